/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * Unix stream sockets: listening, and passing descriptors.
 */
#pragma once

#include <glib.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/uio.h>

#include "util/lockdown.h"

#define SOCK_MAX_FDS 8

/* Longest path that fits a struct sockaddr_un, without its NUL. */
size_t sock_path_max(void);

/*
 * Listen on path. A stale socket (nobody accepts) is replaced; a live one is
 * refused with -EADDRINUSE, a file that is no socket with -EEXIST: neither is
 * touched. Returns the listening descriptor or -errno.
 */
int sock_listen(const char *path) G_GNUC_WARN_UNUSED_RESULT;

/* Is fd a socket, and does it accept connections? 1, 0 or -errno (-ENOTSOCK). */
int sock_is_listening(int fd) G_GNUC_WARN_UNUSED_RESULT;

int sock_set_nonblocking(int fd) G_GNUC_WARN_UNUSED_RESULT;

/*
 * Receive up to size_bytes, without waiting, with up to SOCK_MAX_FDS
 * descriptors, close-on-exec, which the caller then owns; more than that are
 * closed and reported as -EMSGSIZE. Returns bytes (0: peer closed) or -errno.
 */
ssize_t sock_receive(int fd, void *buffer, size_t size_bytes, int fds_out[SOCK_MAX_FDS],
		     size_t *n_fds_out) G_GNUC_WARN_UNUSED_RESULT;

/* As sendmsg(2) with no wait and no SIGPIPE; fd_borrow -1: none. Bytes or -errno. */
ssize_t sock_send(int fd, const struct iovec *iov, size_t n_iov, int fd_borrow)
	G_GNUC_WARN_UNUSED_RESULT;
/* The same with up to SOCK_MAX_FDS descriptors, borrowed. */
ssize_t sock_send_fds(int fd, const struct iovec *iov, size_t n_iov, const int *fds, size_t n_fds)
	G_GNUC_WARN_UNUSED_RESULT;

/* No less than what the peer has not read yet of what was sent; UINT64_MAX if that can't be told. */
uint64_t sock_unread_bytes(int fd);

/* Let that much be sent ahead, as far as the system lets us. */
void sock_set_send_buffer(int fd, int size_bytes);

/* Of a socket that there is; not to make one. */
extern lockdown_names sock_calls;
