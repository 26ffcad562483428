/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include <errno.h>
#include <glib.h>
#include <poll.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "suite.h"
#include "window.h"
#include "wire.h"

#define MAX_FDS 4u
/* Between a yes and what it was said to. */
#define LATE_US 5000

struct mapping {
	uint64_t offset, size;
};

struct question {
	struct vhost_user_header header;
	union {
		struct vhost_user_shmem_range range;
		uint8_t uuid[VHOST_USER_UUID_SIZE];
	};
	int fd; /* owned, or -1 */
};

struct window {
	GMutex lock;
	GCond changed;
	GThread *thread;
	int fd; /* of the channel, or -1 */
	int old_fd; /* of the one before, which is open until the daemon has the new one; or -1 */
	int wake_fd;
	bool must_stop;
	bool owes_answer; /* answers are in the questions' order: none after one that is not given */
	enum window_manner manner;
	unsigned int delay_ms;
	uint8_t *base; /* NULL: no size yet */
	uint64_t size;
	GArray *mappings; /* of struct mapping */
	struct window_counts counts;
	unsigned int n_asked;
};

/* ---- what a front-end does; with the lock held ---- */

static struct mapping *mapping_at(const struct window *window, unsigned int i)
{
	return &g_array_index(window->mappings, struct mapping, i);
}

static bool overlaps(const struct window *window, uint64_t offset, uint64_t size)
{
	for (unsigned int i = 0; i < window->mappings->len; i++) {
		const struct mapping *mapping = mapping_at(window, i);

		if (offset < mapping->offset + mapping->size && mapping->offset < offset + size) {
			return true;
		}
	}
	return false;
}

static void reserve(struct window *window, uint64_t offset, uint64_t size)
{
	void *at = mmap(window->base + offset, size, PROT_NONE,
			MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1, 0);

	g_assert_true(at == window->base + offset);
}

static bool is_long_enough(int fd, uint64_t end)
{
	uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);
	off_t length = lseek(fd, 0, SEEK_END);

	return length >= 0 && ((uint64_t)length + page - 1) / page * page >= end;
}

static bool do_map(struct window *window, const struct vhost_user_shmem_range *range, int fd)
{
	const struct mapping mapping = {range->shm_offset, range->len};

	if (overlaps(window, mapping.offset, mapping.size)) {
		window->counts.n_overlaps += 1;
		return false;
	}
	/* Who touched what is not there would be ended by it. */
	if (!is_long_enough(fd, range->fd_offset + range->len) ||
	    mmap(window->base + mapping.offset, mapping.size, PROT_READ | PROT_WRITE,
		 MAP_SHARED | MAP_FIXED, fd, (off_t)range->fd_offset) == MAP_FAILED) {
		window->counts.n_bad_files += 1;
		return false;
	}
	g_array_append_val(window->mappings, mapping);
	window->counts.n_maps += 1;
	window->counts.n_live += 1;
	window->counts.live_bytes += mapping.size;
	return true;
}

static bool do_unmap(struct window *window, const struct vhost_user_shmem_range *range)
{
	for (unsigned int i = 0; i < window->mappings->len; i++) {
		const struct mapping mapping = *mapping_at(window, i);

		if (mapping.offset == range->shm_offset && mapping.size == range->len) {
			reserve(window, mapping.offset, mapping.size);
			g_array_remove_index_fast(window->mappings, i);
			window->counts.n_unmaps += 1;
			window->counts.n_live -= 1;
			window->counts.live_bytes -= mapping.size;
			return true;
		}
	}
	window->counts.n_vain_unmaps += 1;
	return false;
}

/* An object that is nobody's: only when it is answered is of interest. */
static void check_echo(const struct question *question)
{
	static const uint8_t zero[VHOST_USER_UUID_SIZE];

	g_assert_cmphex(question->header.flags, ==,
			VHOST_USER_VERSION | VHOST_USER_FLAG_NEED_REPLY);
	g_assert_cmpuint(question->header.size, ==, sizeof(zero));
	g_assert_cmpint(memcmp(question->uuid, zero, sizeof(zero)), ==, 0);
	g_assert_cmpint(question->fd, ==, -1);
}

static void check_question(const struct window *window, const struct question *question)
{
	static const uint8_t zero[7];
	const struct vhost_user_shmem_range *range = &question->range;
	bool is_map = question->header.request == VHOST_USER_BACKEND_SHMEM_MAP;
	uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);

	g_assert_true(is_map || question->header.request == VHOST_USER_BACKEND_SHMEM_UNMAP);
	g_assert_cmphex(question->header.flags, ==,
			VHOST_USER_VERSION | VHOST_USER_FLAG_NEED_REPLY);
	g_assert_cmpuint(question->header.size, ==, sizeof(*range));
	g_assert_cmpint(question->fd >= 0, ==, is_map);
	g_assert_cmpuint(range->shmid, ==, VHOST_USER_SHMID_HOST_VISIBLE);
	g_assert_cmpint(memcmp(range->padding, zero, sizeof(zero)), ==, 0);
	g_assert_cmphex(range->flags, ==, is_map ? VHOST_USER_SHMEM_RW : 0);
	g_assert_cmpuint(range->len, >, 0);
	g_assert_cmpuint((range->shm_offset | range->len | range->fd_offset) % page, ==, 0);
	g_assert_cmpuint(range->shm_offset, <=, window->size);
	g_assert_cmpuint(range->len, <=, window->size - range->shm_offset);
}

static bool do_question(struct window *window, const struct question *question)
{
	if (window->manner == WINDOW_REFUSES) {
		window->counts.n_refused += 1;
		return false;
	}
	return question->header.request == VHOST_USER_BACKEND_SHMEM_MAP
		       ? do_map(window, &question->range, question->fd)
		       : do_unmap(window, &question->range);
}

/* ---- the channel ---- */

static bool receive_all(int fd, void *buffer, size_t size, int *fd_out)
{
	union {
		char bytes[CMSG_SPACE(sizeof(int) * MAX_FDS)];
		struct cmsghdr align;
	} control;
	uint8_t *to = buffer;

	while (size > 0) {
		struct iovec iov = {to, size};
		struct msghdr msg = {.msg_iov = &iov,
				     .msg_iovlen = 1,
				     .msg_control = control.bytes,
				     .msg_controllen = sizeof(control.bytes)};
		ssize_t n = recvmsg(fd, &msg, MSG_CMSG_CLOEXEC);
		if (n < 0 && errno == EINTR) {
			continue;
		}
		if (n <= 0) {
			return false;
		}
		struct cmsghdr *cmsg = CMSG_FIRSTHDR(&msg);
		if (cmsg) {
			g_assert_cmpuint(cmsg->cmsg_len, ==, CMSG_LEN(sizeof(int)));
			g_assert_cmpint(*fd_out, ==, -1);
			memcpy(fd_out, CMSG_DATA(cmsg), sizeof(int));
		}
		to += n;
		size -= (size_t)n;
	}
	return true;
}

/* It comes in one piece, as nobody waits in between. */
static bool receive_question(int fd, struct question *question)
{
	question->fd = -1;
	if (!receive_all(fd, &question->header, sizeof(question->header), &question->fd)) {
		return false;
	}
	g_assert_cmpuint(question->header.size, <=, sizeof(question->range));
	return receive_all(fd, &question->range, question->header.size, &question->fd);
}

static void answer(int fd, const struct question *question, bool is_done, bool is_nonsense)
{
	struct {
		struct vhost_user_header header;
		uint32_t result[2];
	} reply = {
		{question->header.request, VHOST_USER_VERSION | VHOST_USER_FLAG_REPLY, 8},
		{is_done ? 0 : 1, 0},
	};

	if (is_nonsense) {
		reply.header.request = VHOST_USER_GET_FEATURES;
	}
	/* Whether the daemon still listens is no concern of a front-end's. */
	ssize_t ignored = send(fd, &reply, sizeof(reply), MSG_NOSIGNAL);
	(void)ignored;
}

static void close_fd(int *fd)
{
	if (*fd >= 0) {
		close(*fd);
		*fd = -1;
	}
}

static bool is_echo(const struct question *question)
{
	return question->header.request == VHOST_USER_BACKEND_SHARED_OBJECT_REMOVE;
}

static void serve_echo(struct window *window, const struct question *question)
{
	check_echo(question);
	if (window->manner == WINDOW_HANGS_UP) {
		close_fd(&window->fd);
		window->manner = WINDOW_SERVES;
	} else if (window->manner != WINDOW_READS && !window->owes_answer) {
		/* Whether it knew the object is none of the daemon's business. */
		answer(window->fd, question, window->n_asked % 2 == 0,
		       window->manner == WINDOW_TALKS_NONSENSE);
	}
}

/* With the lock held: is there a question, or an end, and may it be heard? */
static bool is_to_be_served(const struct window *window)
{
	struct pollfd look = {.fd = window->fd, .events = POLLIN};

	return window->manner != WINDOW_STALLS && poll(&look, 1, 0) > 0;
}

/* A channel has a question, or has ended; since then it may have been replaced. */
static void serve(struct window *window)
{
	struct question question;

	g_mutex_lock(&window->lock);
	int fd = window->fd;
	if (!is_to_be_served(window)) {
		g_mutex_unlock(&window->lock);
		return;
	}
	if (!receive_question(fd, &question)) {
		close_fd(&window->fd);
		g_mutex_unlock(&window->lock);
		return;
	}
	if (is_echo(&question)) {
		serve_echo(window, &question);
		g_mutex_unlock(&window->lock);
		return;
	}
	check_question(window, &question);
	window->n_asked += 1;
	enum window_manner manner = window->manner;
	if (manner == WINDOW_HANGS_UP) {
		close_fd(&window->fd);
		window->manner = WINDOW_SERVES;
	} else if (manner == WINDOW_MAPS_LATE) {
		answer(fd, &question, true, false);
		g_mutex_unlock(&window->lock);
		g_usleep(LATE_US);
		g_mutex_lock(&window->lock);
		g_assert_true(do_question(window, &question));
	} else {
		bool is_done = do_question(window, &question);
		if (window->delay_ms > 0) {
			g_usleep(window->delay_ms * 1000);
		}
		window->owes_answer |= manner == WINDOW_READS;
		if (!window->owes_answer) {
			answer(fd, &question, is_done, manner == WINDOW_TALKS_NONSENSE);
		}
	}
	g_cond_broadcast(&window->changed);
	g_mutex_unlock(&window->lock);
	if (question.fd >= 0) {
		close(question.fd);
	}
}

static void *run(void *data)
{
	struct window *window = data;

	for (;;) {
		g_mutex_lock(&window->lock);
		bool must_stop = window->must_stop;
		struct pollfd fds[] = {
			{.fd = window->wake_fd, .events = POLLIN},
			{.fd = window->manner == WINDOW_STALLS ? -1 : window->fd, .events = POLLIN},
		};
		g_mutex_unlock(&window->lock);
		if (must_stop) {
			return NULL;
		}
		if (poll(fds, G_N_ELEMENTS(fds), -1) < 0) {
			continue;
		}
		if (fds[0].revents) {
			eventfd_t ignored;
			eventfd_read(window->wake_fd, &ignored);
		} else if (fds[1].revents) {
			serve(window);
		}
	}
}

static void wake(struct window *window)
{
	g_assert_no_errno(eventfd_write(window->wake_fd, 1));
}

/* ---- life ---- */

struct window *window_create(void)
{
	struct window *window = g_new0(struct window, 1);

	window->fd = -1;
	window->old_fd = -1;
	window->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	g_assert_no_errno(window->wake_fd);
	window->mappings = g_array_new(FALSE, FALSE, sizeof(struct mapping));
	g_mutex_init(&window->lock);
	g_cond_init(&window->changed);
	window->thread = g_thread_new("window", run, window);
	return window;
}

void window_destroy(struct window *window)
{
	if (!window) {
		return;
	}
	g_mutex_lock(&window->lock);
	window->must_stop = true;
	g_mutex_unlock(&window->lock);
	wake(window);
	g_thread_join(window->thread);
	close_fd(&window->fd);
	close_fd(&window->old_fd);
	close(window->wake_fd);
	if (window->base) {
		munmap(window->base, window->size);
	}
	g_array_unref(window->mappings);
	g_mutex_clear(&window->lock);
	g_cond_clear(&window->changed);
	g_free(window);
}

void window_set_size(struct window *window, uint64_t size_bytes)
{
	void *base = mmap(NULL, size_bytes, PROT_NONE,
			  MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	g_assert_true(base != MAP_FAILED);
	g_mutex_lock(&window->lock);
	g_assert_null(window->base);
	window->base = base;
	window->size = size_bytes;
	g_mutex_unlock(&window->lock);
}

int window_connect(struct window *window)
{
	int fds[2];

	g_assert_no_errno(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds));
	g_mutex_lock(&window->lock);
	close_fd(&window->old_fd);
	window->old_fd = window->fd;
	window->fd = fds[0];
	window->owes_answer = false;
	g_mutex_unlock(&window->lock);
	wake(window);
	return fds[1];
}

void window_set_manner(struct window *window, enum window_manner manner)
{
	g_mutex_lock(&window->lock);
	window->manner = manner;
	g_mutex_unlock(&window->lock);
	wake(window);
}

void window_set_delay_ms(struct window *window, unsigned int delay_ms)
{
	g_mutex_lock(&window->lock);
	window->delay_ms = delay_ms;
	g_mutex_unlock(&window->lock);
}

void window_begin_reset(struct window *window)
{
	g_mutex_lock(&window->lock);
	for (unsigned int i = 0; i < window->mappings->len; i++) {
		reserve(window, mapping_at(window, i)->offset, mapping_at(window, i)->size);
	}
	g_array_set_size(window->mappings, 0);
	window->counts.n_live = 0;
	window->counts.live_bytes = 0;
}

void window_end_reset(struct window *window)
{
	g_mutex_unlock(&window->lock);
}

/* ---- what a test looks at ---- */

struct window_counts window_get_counts(struct window *window)
{
	g_mutex_lock(&window->lock);
	struct window_counts counts = window->counts;
	g_mutex_unlock(&window->lock);
	return counts;
}

static bool wait_for(struct window *window, const unsigned int *number, unsigned int wanted,
		     int milliseconds)
{
	int64_t deadline = suite_deadline_us(milliseconds);

	g_mutex_lock(&window->lock);
	while (*number != wanted &&
	       g_cond_wait_until(&window->changed, &window->lock, deadline)) {
	}
	bool is_reached = *number == wanted;
	g_mutex_unlock(&window->lock);
	return is_reached;
}

bool window_wait_live(struct window *window, unsigned int n_live, int milliseconds)
{
	return wait_for(window, &window->counts.n_live, n_live, milliseconds);
}

bool window_wait_asked(struct window *window, unsigned int n_asked, int milliseconds)
{
	return wait_for(window, &window->n_asked, n_asked, milliseconds);
}

/* With the lock held: mappings may lie side by side. */
static bool is_covered(const struct window *window, uint64_t offset, uint64_t size)
{
	uint64_t end = offset + size;

	for (unsigned int i = 0; i < window->mappings->len && offset < end; i++) {
		const struct mapping *mapping = mapping_at(window, i);

		if (mapping->offset <= offset && offset < mapping->offset + mapping->size) {
			offset = mapping->offset + mapping->size;
			i = UINT_MAX; /* from the first one again */
		}
	}
	return offset >= end;
}

bool window_is_mapped(struct window *window, uint64_t offset, uint64_t size)
{
	g_mutex_lock(&window->lock);
	bool is_mapped = is_covered(window, offset, size);
	g_mutex_unlock(&window->lock);
	return is_mapped;
}

void window_write(struct window *window, uint64_t offset, const void *bytes, size_t size)
{
	g_mutex_lock(&window->lock);
	g_assert_true(is_covered(window, offset, size));
	memcpy(window->base + offset, bytes, size);
	g_mutex_unlock(&window->lock);
}

void window_read(struct window *window, uint64_t offset, void *bytes_out, size_t size)
{
	g_mutex_lock(&window->lock);
	g_assert_true(is_covered(window, offset, size));
	memcpy(bytes_out, window->base + offset, size);
	g_mutex_unlock(&window->lock);
}
