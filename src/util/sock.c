/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "util/sock.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/sockios.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define LISTEN_BACKLOG 16

lockdown_names sock_calls = { "sendmsg",    "recvmsg",	"sendto",	 "recvfrom", "getsockopt",
			      "setsockopt", "shutdown", "ioctl(unread)", NULL };

size_t sock_path_max(void)
{
	return sizeof(((struct sockaddr_un *)NULL)->sun_path) - 1;
}

/*
 * May the file at the address go? Connecting tells a dead socket from a live
 * one: only ECONNREFUSED proves that nobody listens.
 */
static int remove_stale(const struct sockaddr_un *address)
{
	struct stat info;

	if (lstat(address->sun_path, &info) < 0) {
		return errno == ENOENT ? 0 : -errno;
	}
	if (!S_ISSOCK(info.st_mode)) {
		return -EEXIST;
	}

	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0) {
		return -errno;
	}
	int error = connect(fd, (const struct sockaddr *)address, sizeof(*address)) < 0 ? errno : 0;
	close(fd);
	if (error == ECONNREFUSED) {
		return unlink(address->sun_path) < 0 && errno != ENOENT ? -errno : 0;
	}
	return error == 0 || error == EAGAIN ? -EADDRINUSE : -error;
}

int sock_listen(const char *path)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };

	if (strlen(path) > sock_path_max()) {
		return -ENAMETOOLONG;
	}
	strncpy(address.sun_path, path, sizeof(address.sun_path) - 1);

	int error = remove_stale(&address);
	if (error < 0) {
		return error;
	}
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0) {
		return -errno;
	}
	if (bind(fd, (const struct sockaddr *)&address, sizeof(address)) < 0) {
		error = -errno;
		close(fd);
		return error;
	}
	if (listen(fd, LISTEN_BACKLOG) < 0) {
		error = -errno;
		unlink(path);
		close(fd);
		return error;
	}
	return fd;
}

int sock_is_listening(int fd)
{
	int accepts = 0;
	socklen_t size = sizeof(accepts);

	if (getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &accepts, &size) < 0) {
		return -errno;
	}
	return accepts != 0;
}

int sock_set_nonblocking(int fd)
{
	int flags = fcntl(fd, F_GETFL);

	if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0) {
		return -errno;
	}
	return 0;
}

static void close_all(const int *fds, size_t n_fds)
{
	for (size_t i = 0; i < n_fds; i++) {
		close(fds[i]);
	}
}

ssize_t sock_receive(int fd, void *buffer, size_t size_bytes, int fds_out[SOCK_MAX_FDS],
		     size_t *n_fds_out)
{
	union {
		struct cmsghdr header;
		char bytes[CMSG_SPACE(SOCK_MAX_FDS * sizeof(int))];
	} control = { .bytes = { 0 } };
	struct iovec iov = { .iov_base = buffer, .iov_len = size_bytes };
	struct msghdr message = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = control.bytes,
		.msg_controllen = sizeof(control.bytes),
	};
	int fds[SOCK_MAX_FDS];
	size_t n_fds = 0;
	ssize_t n;

	do {
		n = recvmsg(fd, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	} while (n < 0 && errno == EINTR);
	if (n < 0) {
		return -errno;
	}
	for (struct cmsghdr *c = CMSG_FIRSTHDR(&message); c != NULL; c = CMSG_NXTHDR(&message, c)) {
		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS) {
			continue;
		}
		size_t count = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		for (size_t i = 0; i < count && n_fds < SOCK_MAX_FDS; i++) {
			memcpy(&fds[n_fds++], CMSG_DATA(c) + i * sizeof(int), sizeof(int));
		}
	}
	/* The kernel dropped what did not fit. */
	if (message.msg_flags & MSG_CTRUNC) {
		close_all(fds, n_fds);
		return -EMSGSIZE;
	}
	memcpy(fds_out, fds, n_fds * sizeof(int));
	*n_fds_out = n_fds;
	return n;
}

ssize_t sock_send_fds(int fd, const struct iovec *iov, size_t n_iov, const int *fds, size_t n_fds)
{
	union {
		struct cmsghdr header;
		char bytes[CMSG_SPACE(SOCK_MAX_FDS * sizeof(int))];
	} control;
	struct msghdr message = {
		.msg_iov = (struct iovec *)(uintptr_t)iov,
		.msg_iovlen = n_iov,
	};
	ssize_t n;

	if (n_fds > SOCK_MAX_FDS) {
		return -EINVAL;
	}
	if (n_fds > 0) {
		memset(&control, 0, sizeof(control));
		message.msg_control = control.bytes;
		message.msg_controllen = CMSG_SPACE(n_fds * sizeof(int));
		control.header.cmsg_level = SOL_SOCKET;
		control.header.cmsg_type = SCM_RIGHTS;
		control.header.cmsg_len = CMSG_LEN(n_fds * sizeof(int));
		memcpy(CMSG_DATA(&control.header), fds, n_fds * sizeof(int));
	}
	do {
		n = sendmsg(fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL);
	} while (n < 0 && errno == EINTR);
	return n < 0 ? -errno : n;
}

ssize_t sock_send(int fd, const struct iovec *iov, size_t n_iov, int fd_borrow)
{
	return sock_send_fds(fd, iov, n_iov, &fd_borrow, fd_borrow >= 0 ? 1 : 0);
}

uint64_t sock_unread_bytes(int fd)
{
	int unread;

	return ioctl(fd, SIOCOUTQ, &unread) == 0 && unread >= 0 ? (uint64_t)unread : UINT64_MAX;
}

void sock_set_send_buffer(int fd, int size_bytes)
{
	int now = 0;
	socklen_t size = sizeof(now);

	/* The kernel doubles what it is given, for its overhead, and answers with that. */
	if (getsockopt(fd, SOL_SOCKET, SO_SNDBUF, &now, &size) == 0 && now < size_bytes) {
		setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size_bytes, sizeof(size_bytes));
	}
}
