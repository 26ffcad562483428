/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "unit.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#define STEP_US 200

bool unit_wait(bool (*condition)(void *data), void *data)
{
	gint64 deadline_us = g_get_monotonic_time() + UNIT_TIMEOUT_MS * 1000;

	while (!condition(data)) {
		if (g_get_monotonic_time() > deadline_us) {
			return false;
		}
		g_usleep(STEP_US);
	}
	return true;
}

static void quit(void *data)
{
	loop_quit(data);
}

void unit_run_for(struct loop *loop, gint64 us)
{
	struct loop_timer timer = { .expired = quit, .data = loop };

	loop->quit = false;
	loop_timer_arm(loop, &timer, us);
	g_assert_cmpint(loop_run(loop), ==, 0);
	loop_timer_disarm(loop, &timer);
}

void unit_run_until(struct loop *loop, bool (*condition)(void *data), void *data)
{
	gint64 deadline_us = g_get_monotonic_time() + UNIT_TIMEOUT_MS * 1000;

	while (!condition(data)) {
		g_assert_cmpint(g_get_monotonic_time(), <, deadline_us);
		unit_run_for(loop, 1000);
	}
}

static bool poll_in(int fd, int timeout_ms)
{
	struct pollfd pollfd = { .fd = fd, .events = POLLIN };
	int n;

	do {
		n = poll(&pollfd, 1, timeout_ms);
	} while (n < 0 && errno == EINTR);
	return n == 1;
}

bool unit_wait_readable(int fd)
{
	return poll_in(fd, UNIT_TIMEOUT_MS);
}

bool unit_is_readable(int fd)
{
	return poll_in(fd, 0);
}

void unit_write(int fd, const void *bytes, size_t size_bytes)
{
	const char *at = bytes;

	while (size_bytes > 0) {
		struct pollfd pollfd = { .fd = fd, .events = POLLOUT };

		g_assert_cmpint(poll(&pollfd, 1, UNIT_TIMEOUT_MS), ==, 1);
		ssize_t n = send(fd, at, size_bytes, MSG_DONTWAIT | MSG_NOSIGNAL);
		g_assert_cmpint(n, >=, 0);
		at += n;
		size_bytes -= (size_t)n;
	}
}

void unit_read(int fd, void *bytes, size_t size_bytes)
{
	char *at = bytes;

	while (size_bytes > 0) {
		g_assert_true(unit_wait_readable(fd));
		ssize_t n = read(fd, at, size_bytes);
		g_assert_cmpint(n, >=, 0);
		g_assert_cmpint(n, >, 0);
		at += n;
		size_bytes -= (size_t)n;
	}
}

void unit_assert_hung_up(int fd)
{
	char byte;

	g_assert_true(unit_wait_readable(fd));
	ssize_t n = read(fd, &byte, 1);
	g_assert_true(n == 0 || (n < 0 && errno == ECONNRESET));
}

void unit_socketpair(int fds_out[2])
{
	g_assert_no_errno(
		socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds_out));
}

int unit_eventfd(void)
{
	int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);

	g_assert_no_errno(fd);
	return fd;
}

uint64_t unit_take_event(int fd)
{
	uint64_t count = 0;

	return read(fd, &count, sizeof(count)) == (ssize_t)sizeof(count) ? count : 0;
}

int unit_memfd(size_t size_bytes)
{
	int fd = memfd_create("unit", MFD_CLOEXEC);

	g_assert_no_errno(fd);
	g_assert_no_errno(ftruncate(fd, (off_t)size_bytes));
	return fd;
}

unsigned int unit_count_fds(void)
{
	DIR *dir = opendir("/proc/self/fd");
	unsigned int n = 0;

	g_assert_nonnull(dir);
	while (readdir(dir) != NULL) {
		n++;
	}
	closedir(dir);
	return n;
}

bool unit_is_same_file(int a, int b)
{
	struct stat info_a, info_b;

	g_assert_no_errno(fstat(a, &info_a));
	g_assert_no_errno(fstat(b, &info_b));
	return info_a.st_dev == info_b.st_dev && info_a.st_ino == info_b.st_ino;
}

void unit_assert_bytes(const void *a, const void *b, size_t size_bytes)
{
	for (size_t i = 0; i < size_bytes; i++) {
		if (((const char *)a)[i] != ((const char *)b)[i]) {
			g_error("byte %zu of %zu differs", i, size_bytes);
		}
	}
}

static int captured_fd = -1, saved_stderr = -1;

void unit_capture_begin(void)
{
	g_assert_cmpint(captured_fd, ==, -1);
	fflush(stderr);
	captured_fd = unit_memfd(0);
	/* Else threads write over each other's lines. */
	g_assert_no_errno(fcntl(captured_fd, F_SETFL, O_APPEND));
	saved_stderr = dup(STDERR_FILENO);
	g_assert_no_errno(saved_stderr);
	g_assert_no_errno(dup2(captured_fd, STDERR_FILENO));
}

char *unit_capture_end(void)
{
	fflush(stderr);
	g_assert_no_errno(dup2(saved_stderr, STDERR_FILENO));
	close(saved_stderr);

	off_t size = lseek(captured_fd, 0, SEEK_END);
	char *text = g_malloc0((gsize)size + 1);
	g_assert_cmpint(pread(captured_fd, text, (size_t)size, 0), ==, size);
	close(captured_fd);
	captured_fd = -1;
	return text;
}

unsigned int unit_count_lines(const char *text)
{
	unsigned int n = 0;

	for (; *text != '\0'; text++) {
		n += *text == '\n';
	}
	return n;
}
