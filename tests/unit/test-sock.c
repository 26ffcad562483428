/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* Whose file may be replaced by our socket, and whose descriptors are whose. */
#include <errno.h>
#include <fcntl.h>
#include <glib/gstdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "util/sock.h"
#include "unit.h"

struct fixture {
	char *directory;
	char *path;
};

static void setup(struct fixture *f, gconstpointer data G_GNUC_UNUSED)
{
	f->directory = g_dir_make_tmp("test-sock-XXXXXX", NULL);
	g_assert_nonnull(f->directory);
	f->path = g_build_filename(f->directory, "socket", NULL);
}

static void teardown(struct fixture *f, gconstpointer data G_GNUC_UNUSED)
{
	g_unlink(f->path);
	g_assert_no_errno(g_rmdir(f->directory));
	g_free(f->path);
	g_free(f->directory);
}

static int connect_to(const char *path)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	g_assert_no_errno(fd);
	g_strlcpy(address.sun_path, path, sizeof(address.sun_path));
	if (connect(fd, (const struct sockaddr *)&address, sizeof(address)) < 0) {
		int error = -errno;

		close(fd);
		return error;
	}
	return fd;
}

static bool is_close_on_exec(int fd)
{
	return (fcntl(fd, F_GETFD) & FD_CLOEXEC) != 0;
}

/* ---- listening ---- */

static void test_listen_anew(struct fixture *f, gconstpointer data G_GNUC_UNUSED)
{
	int fd = sock_listen(f->path);

	g_assert_cmpint(fd, >=, 0);
	g_assert_true(is_close_on_exec(fd));
	g_assert_cmpint(sock_is_listening(fd), ==, 1);
	int client = connect_to(f->path);
	g_assert_cmpint(client, >=, 0);
	g_assert_cmpint(sock_is_listening(client), ==, 0);
	close(client);
	close(fd);
}

static void test_stale_socket_is_replaced(struct fixture *f, gconstpointer data G_GNUC_UNUSED)
{
	int first = sock_listen(f->path);

	g_assert_cmpint(first, >=, 0);
	close(first); /* its file stays */
	g_assert_true(g_file_test(f->path, G_FILE_TEST_EXISTS));
	int second = sock_listen(f->path);
	g_assert_cmpint(second, >=, 0);
	int client = connect_to(f->path);
	g_assert_cmpint(client, >=, 0);
	close(client);
	close(second);
}

static void test_live_socket_is_refused(struct fixture *f, gconstpointer data G_GNUC_UNUSED)
{
	struct stat before, after;
	int live = sock_listen(f->path);

	g_assert_cmpint(live, >=, 0);
	g_assert_no_errno(lstat(f->path, &before));
	g_assert_cmpint(sock_listen(f->path), ==, -EADDRINUSE);
	g_assert_no_errno(lstat(f->path, &after));
	g_assert_cmpuint(before.st_ino, ==, after.st_ino);
	close(live);
}

/* Its backlog is full: nobody can connect, but it lives. */
static void test_busy_socket_is_refused(struct fixture *f, gconstpointer data G_GNUC_UNUSED)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fds[8];
	size_t n = 0;
	int live = sock_listen(f->path);

	g_assert_cmpint(live, >=, 0);
	g_assert_no_errno(listen(live, 0));
	g_strlcpy(address.sun_path, f->path, sizeof(address.sun_path));
	for (; n < G_N_ELEMENTS(fds); n++) {
		fds[n] = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
		if (connect(fds[n], (const struct sockaddr *)&address, sizeof(address)) < 0) {
			g_assert_cmpint(errno, ==, EAGAIN);
			close(fds[n]);
			break;
		}
	}
	g_assert_cmpuint(n, <, G_N_ELEMENTS(fds));
	g_assert_cmpint(sock_listen(f->path), ==, -EADDRINUSE);
	while (n > 0) {
		close(fds[--n]);
	}
	close(live);
}

static void test_file_is_refused(struct fixture *f, gconstpointer data G_GNUC_UNUSED)
{
	g_autofree char *text = NULL;

	g_assert_true(g_file_set_contents(f->path, "precious", -1, NULL));
	g_assert_cmpint(sock_listen(f->path), ==, -EEXIST);
	g_assert_true(g_file_get_contents(f->path, &text, NULL, NULL));
	g_assert_cmpstr(text, ==, "precious");
}

static void test_link_is_refused(struct fixture *f, gconstpointer data G_GNUC_UNUSED)
{
	g_autofree char *target = g_build_filename(f->directory, "target", NULL);
	int stale = sock_listen(target);

	close(stale);
	g_assert_no_errno(symlink(target, f->path));
	g_assert_cmpint(sock_listen(f->path), ==, -EEXIST);
	g_assert_true(g_file_test(f->path, G_FILE_TEST_IS_SYMLINK));
	g_assert_true(g_file_test(target, G_FILE_TEST_EXISTS));
	g_unlink(target);
}

static void test_directories(struct fixture *f, gconstpointer data G_GNUC_UNUSED)
{
	g_autofree char *nowhere = g_build_filename(f->directory, "no", "where", NULL);

	g_assert_cmpint(sock_listen(nowhere), ==, -ENOENT);
	g_assert_cmpint(sock_listen(f->directory), ==, -EEXIST);
}

static void test_path_length(struct fixture *f, gconstpointer data G_GNUC_UNUSED)
{
	g_autoptr(GString) path = g_string_new(f->directory);

	g_string_append_c(path, '/');
	while (path->len < sock_path_max()) {
		g_string_append_c(path, 'x');
	}
	int fd = sock_listen(path->str);
	g_assert_cmpint(fd, >=, 0);
	close(fd);
	g_assert_no_errno(g_unlink(path->str));
	g_string_append_c(path, 'x');
	g_assert_cmpint(sock_listen(path->str), ==, -ENAMETOOLONG);
}

static void test_is_listening(void)
{
	int fds[2], file = unit_memfd(0);

	unit_socketpair(fds);
	g_assert_cmpint(sock_is_listening(fds[0]), ==, 0);
	g_assert_cmpint(sock_is_listening(file), ==, -ENOTSOCK);
	g_assert_cmpint(sock_is_listening(-1), ==, -EBADF);
	close(file);
	close(fds[0]);
	close(fds[1]);
}

static void test_set_nonblocking(void)
{
	int fds[2];

	g_assert_no_errno(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds));
	g_assert_cmpint(sock_set_nonblocking(fds[0]), ==, 0);
	g_assert_true((fcntl(fds[0], F_GETFL) & O_NONBLOCK) != 0);
	g_assert_cmpint(sock_set_nonblocking(-1), ==, -EBADF);
	close(fds[0]);
	close(fds[1]);
}

/* ---- descriptors ---- */

static void send_fds(int to, const int *fds, size_t n_fds)
{
	union {
		struct cmsghdr header;
		char bytes[CMSG_SPACE(64 * sizeof(int))];
	} control = { .bytes = { 0 } };
	char byte = 'x';
	struct iovec iov = { &byte, 1 };
	struct msghdr message = { .msg_iov = &iov, .msg_iovlen = 1 };

	g_assert_cmpuint(n_fds, <=, 64);
	message.msg_control = control.bytes;
	message.msg_controllen = CMSG_SPACE(n_fds * sizeof(int));
	control.header.cmsg_level = SOL_SOCKET;
	control.header.cmsg_type = SCM_RIGHTS;
	control.header.cmsg_len = CMSG_LEN(n_fds * sizeof(int));
	memcpy(CMSG_DATA(&control.header), fds, n_fds * sizeof(int));
	g_assert_cmpint(sendmsg(to, &message, 0), ==, 1);
}

static void test_receive_fds(void)
{
	int pair[2], sent[SOCK_MAX_FDS], received[SOCK_MAX_FDS];
	size_t n_received = 99;
	char byte;

	unit_socketpair(pair);
	for (size_t i = 0; i < SOCK_MAX_FDS; i++) {
		sent[i] = unit_memfd(i);
	}
	for (size_t n = 1; n <= SOCK_MAX_FDS; n++) {
		send_fds(pair[0], sent, n);
		g_assert_cmpint(sock_receive(pair[1], &byte, 1, received, &n_received), ==, 1);
		g_assert_cmpuint(n_received, ==, n);
		for (size_t i = 0; i < n; i++) {
			g_assert_true(unit_is_same_file(sent[i], received[i]));
			g_assert_true(is_close_on_exec(received[i]));
			close(received[i]);
		}
	}
	for (size_t i = 0; i < SOCK_MAX_FDS; i++) {
		close(sent[i]);
	}
	close(pair[0]);
	close(pair[1]);
}

static void test_surplus_fds_are_closed(void)
{
	int pair[2], fd = unit_memfd(0), many[64], received[SOCK_MAX_FDS];
	size_t n_received = 0;
	char byte;

	unit_socketpair(pair);
	for (size_t i = 0; i < G_N_ELEMENTS(many); i++) {
		many[i] = fd;
	}
	unsigned int n_before = unit_count_fds();
	for (size_t n = SOCK_MAX_FDS + 1; n <= G_N_ELEMENTS(many); n++) {
		send_fds(pair[0], many, n);
		g_assert_cmpint(sock_receive(pair[1], &byte, 1, received, &n_received), ==,
				-EMSGSIZE);
		g_assert_cmpuint(n_received, ==, 0);
		g_assert_cmpuint(unit_count_fds(), ==, n_before);
	}
	close(fd);
	close(pair[0]);
	close(pair[1]);
}

static void test_receive_without_fds(void)
{
	int pair[2], fds[SOCK_MAX_FDS];
	size_t n_fds = 99;
	char bytes[8] = "";

	unit_socketpair(pair);
	g_assert_cmpint(sock_receive(pair[1], bytes, sizeof(bytes), fds, &n_fds), ==, -EAGAIN);
	unit_write(pair[0], "abc", 3);
	g_assert_cmpint(sock_receive(pair[1], bytes, 2, fds, &n_fds), ==, 2);
	g_assert_cmpuint(n_fds, ==, 0);
	g_assert_cmpint(sock_receive(pair[1], bytes + 2, 6, fds, &n_fds), ==, 1);
	g_assert_cmpstr(bytes, ==, "abc");
	close(pair[0]);
	g_assert_cmpint(sock_receive(pair[1], bytes, sizeof(bytes), fds, &n_fds), ==, 0);
	close(pair[1]);
}

static void test_send(void)
{
	int pair[2], sent = unit_memfd(0), received[SOCK_MAX_FDS];
	const struct iovec iov[] = { { (void *)(uintptr_t) "abc", 3 },
				     { (void *)(uintptr_t) "", 0 },
				     { (void *)(uintptr_t) "de", 2 } };
	size_t n_received;
	char bytes[16];

	unit_socketpair(pair);
	g_assert_cmpint(sock_send(pair[0], iov, 3, sent), ==, 5);
	g_assert_cmpint(sock_receive(pair[1], bytes, sizeof(bytes), received, &n_received), ==, 5);
	unit_assert_bytes(bytes, "abcde", 5);
	g_assert_cmpuint(n_received, ==, 1);
	g_assert_true(unit_is_same_file(sent, received[0]));
	close(received[0]);
	g_assert_cmpint(sock_send(pair[0], iov, 1, -1), ==, 3);
	g_assert_cmpint(sock_receive(pair[1], bytes, sizeof(bytes), received, &n_received), ==, 3);
	g_assert_cmpuint(n_received, ==, 0);
	close(sent);
	close(pair[0]);
	close(pair[1]);
}

static void test_send_never_waits_and_never_kills(void)
{
	static char block[65536];
	const struct iovec iov = { block, sizeof(block) };
	int pair[2];
	ssize_t n;

	/* Blocking descriptors: it is the call that does not wait. */
	g_assert_no_errno(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair));
	do {
		n = sock_send(pair[0], &iov, 1, -1);
	} while (n > 0);
	g_assert_cmpint(n, ==, -EAGAIN);
	close(pair[1]);
	g_assert_cmpint(sock_send(pair[0], &iov, 1, -1), ==, -EPIPE);
	close(pair[0]);
}

/* Never told too little: what it says is read may be written to. */
static void test_unread_bytes(void)
{
	static char block[65536];
	const struct iovec iov = { block, sizeof(block) };
	int pair[2], file = unit_memfd(0);

	unit_socketpair(pair);
	g_assert_cmpuint(sock_unread_bytes(pair[0]), ==, 0);
	for (size_t i = 1; i <= 3; i++) {
		g_assert_cmpint(sock_send(pair[0], &iov, 1, -1), ==, sizeof(block));
		g_assert_cmpuint(sock_unread_bytes(pair[0]), >=, i * sizeof(block));
	}
	g_assert_cmpuint(sock_unread_bytes(pair[1]), ==, 0); /* the other direction */
	for (size_t left = 3 * sizeof(block); left > 0; left -= 1024) {
		g_assert_cmpuint(sock_unread_bytes(pair[0]), >=, left);
		unit_read(pair[1], block, 1024);
	}
	g_assert_cmpuint(sock_unread_bytes(pair[0]), ==, 0);
	g_assert_cmpuint(sock_unread_bytes(file), ==, UINT64_MAX);
	g_assert_cmpuint(sock_unread_bytes(-1), ==, UINT64_MAX);
	close(file);
	close(pair[0]);
	close(pair[1]);
}

static size_t count_sent_ahead(int size_bytes)
{
	static char block[4096];
	const struct iovec iov = { block, sizeof(block) };
	size_t n = 0;
	int pair[2];

	unit_socketpair(pair);
	if (size_bytes > 0) {
		sock_set_send_buffer(pair[0], size_bytes);
	}
	while (sock_send(pair[0], &iov, 1, -1) > 0) {
		n += sizeof(block);
	}
	close(pair[0]);
	close(pair[1]);
	return n;
}

static void test_send_buffer(void)
{
	size_t usual = count_sent_ahead(0);

	g_assert_cmpuint(count_sent_ahead(1), ==, usual);
	g_assert_cmpuint(count_sent_ahead((int)usual / 4), ==, usual);
	/* As much as is usual may be asked for everywhere, and the kernel doubles it. */
	g_assert_cmpuint(count_sent_ahead(1 << 20), >, usual);
	sock_set_send_buffer(-1, 1 << 20);
}

int main(int argc, char **argv)
{
	static const struct {
		const char *path;
		void (*test)(struct fixture *f, gconstpointer data);
	} tests[] = {
		{ "/sock/listen/anew", test_listen_anew },
		{ "/sock/listen/stale-socket-is-replaced", test_stale_socket_is_replaced },
		{ "/sock/listen/live-socket-is-refused", test_live_socket_is_refused },
		{ "/sock/listen/busy-socket-is-refused", test_busy_socket_is_refused },
		{ "/sock/listen/file-is-refused", test_file_is_refused },
		{ "/sock/listen/link-is-refused", test_link_is_refused },
		{ "/sock/listen/directories", test_directories },
		{ "/sock/listen/path-length", test_path_length },
	};

	g_test_init(&argc, &argv, NULL);
	for (size_t i = 0; i < G_N_ELEMENTS(tests); i++) {
		g_test_add(tests[i].path, struct fixture, NULL, setup, tests[i].test, teardown);
	}
	g_test_add_func("/sock/is-listening", test_is_listening);
	g_test_add_func("/sock/set-nonblocking", test_set_nonblocking);
	g_test_add_func("/sock/receive/fds", test_receive_fds);
	g_test_add_func("/sock/receive/surplus-fds-are-closed", test_surplus_fds_are_closed);
	g_test_add_func("/sock/receive/without-fds", test_receive_without_fds);
	g_test_add_func("/sock/send", test_send);
	g_test_add_func("/sock/send/never-waits-and-never-kills",
			test_send_never_waits_and_never_kills);
	g_test_add_func("/sock/unread-bytes", test_unread_bytes);
	g_test_add_func("/sock/send-buffer", test_send_buffer);
	return g_test_run();
}
