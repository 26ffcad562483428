/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "display/vug_loans.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "util/log.h"
#include "util/sock.h"

/*
 * Of all pipes of one user together the kernel makes 64 MiB large at most
 * (pipe-user-pages-soft), and one user may run many VMs. What it makes of the
 * others, two pages, is not worth a system call.
 */
#define PIPE_BYTES (512 << 10)
#define MIN_PIPE_BYTES (64 << 10)
/* A row costs as much as a page or two; shorter ones are cheaper copied. */
#define MIN_ROW_BYTES 8192u

/*
 * Since 6.5 a socket takes the pages in one go. Before, it took each under the
 * lock that the reader holds while it copies, and waited for that, whatever it
 * was told of waiting.
 */
bool vug_loans_suit_kernel(void)
{
	unsigned int major = 0, minor = 0;
	struct utsname name;

	if (uname(&name) < 0 || sscanf(name.release, "%u.%u", &major, &minor) != 2) {
		return false;
	}
	return major > 6 || (major == 6 && minor >= 5);
}

void vug_loans_init(struct vug_loans *loans)
{
	*loans = (struct vug_loans){ .pipe = { -1, -1 } };
}

static void close_pipe(struct vug_loans *loans)
{
	for (size_t i = 0; i < 2; i++) {
		if (loans->pipe[i] >= 0) {
			close(loans->pipe[i]);
			loans->pipe[i] = -1;
		}
	}
	loans->piped_bytes = 0;
}

static void end_first(struct vug_loans *loans, int n)
{
	for (int i = 0; i < n; i++) {
		frame_unref(loans->loans[i].frame);
	}
	memmove(loans->loans, loans->loans + n,
		(size_t)(loans->n - n) * sizeof(loans->loans[0]));
	g_atomic_int_set(&loans->n, loans->n - n);
}

void vug_loans_clear(struct vug_loans *loans)
{
	close_pipe(loans);
	end_first(loans, loans->n);
}

static ssize_t give_up(struct vug_loans *loans, const char *call)
{
	log_info("%s on the display channel: %s; pictures are copied into it", call,
		 g_strerror(errno));
	close_pipe(loans);
	loans->is_unavailable = true;
	return -ENOTSUP;
}

static bool open_pipe(struct vug_loans *loans)
{
	if (loans->pipe[0] >= 0) {
		return true;
	}
	if (!vug_loans_suit_kernel()) {
		errno = ENOSYS;
		give_up(loans, "splice of many pages");
		return false;
	}
	if (pipe2(loans->pipe, O_CLOEXEC | O_NONBLOCK) < 0) {
		give_up(loans, "pipe");
		return false;
	}
	int size = fcntl(loans->pipe[1], F_SETPIPE_SZ, PIPE_BYTES);
	if (size < 0) {
		size = fcntl(loans->pipe[1], F_GETPIPE_SZ);
	}
	if (size < MIN_PIPE_BYTES) {
		errno = ENOSPC;
		give_up(loans, "a pipe of a useful size");
		return false;
	}
	return true;
}

bool vug_loans_accept(struct vug_loans *loans, const struct frame *frame, size_t row_bytes,
		      size_t total_bytes)
{
	bool has_gaps = row_bytes != frame->stride_bytes;
	/* For a little of a frame not all of it should have to be copied when the guest draws on. */
	bool is_much = total_bytes >= frame->stride_bytes * frame->height / 8;

	return is_much && !loans->is_unavailable && loans->n < VUG_MAX_LOANS && frame_is_mapped(frame) &&
	       total_bytes >= FRAME_MIN_MAPPED_BYTES && (!has_gaps || row_bytes >= MIN_ROW_BYTES) &&
	       open_pipe(loans);
}

ssize_t vug_loans_send(struct vug_loans *loans, int fd, const struct iovec *iov, size_t n_iov)
{
	ssize_t n;

	if (loans->piped_bytes == 0) {
		do {
			n = vmsplice(loans->pipe[1], iov, n_iov, SPLICE_F_NONBLOCK);
		} while (n < 0 && errno == EINTR);
		if (n <= 0) {
			return give_up(loans, "vmsplice");
		}
		loans->piped_bytes = (size_t)n;
	}
	do {
		n = splice(loans->pipe[0], NULL, fd, NULL, loans->piped_bytes, SPLICE_F_NONBLOCK);
	} while (n < 0 && errno == EINTR);
	if (n < 0 && (errno == EINVAL || errno == ENOSYS || errno == EPERM)) {
		return give_up(loans, "splice");
	}
	if (n < 0) {
		return -errno;
	}
	loans->piped_bytes -= (size_t)n;
	return n;
}

void vug_loans_add(struct vug_loans *loans, struct frame *consume_frame, uint64_t sent_bytes)
{
	g_assert(loans->n < VUG_MAX_LOANS);
	loans->loans[loans->n] = (struct vug_loan){ consume_frame, sent_bytes };
	g_atomic_int_inc(&loans->n);
}

void vug_loans_settle(struct vug_loans *loans, int fd, uint64_t sent_bytes)
{
	int n_read = 0;

	if (loans->n == 0) {
		return;
	}
	/* Counted with the kernel's overhead, so never too few. */
	uint64_t unread = sock_unread_bytes(fd);
	uint64_t read = unread < sent_bytes ? sent_bytes - unread : 0;
	while (n_read < loans->n && loans->loans[n_read].end_bytes <= read) {
		n_read++;
	}
	if (n_read > 0) {
		end_first(loans, n_read);
	}
}
