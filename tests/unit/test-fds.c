/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * All of a range is closed and nothing else, by a kernel that has close_range(), by one that has
 * not, and where there is no /proc either. A filter of system calls plays the old kernel, in a
 * process of its own.
 */
#include "util/fds.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "unit.h"

#define FIRST 400
#define LAST 500
#define LIMIT 1024

/* What the kernel has not got. */
struct host {
	const char *name;
	bool lacks_close_range;
	bool lacks_proc;
};

static const struct host hosts[] = {
	{ "new-kernel", false, false },
	{ "old-kernel", true, false },
	{ "old-kernel-without-proc", true, true },
};

/* From now on the call fails with ENOSYS. */
static void take_away(unsigned int number)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, number, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOSYS),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	const struct sock_fprog program = { G_N_ELEMENTS(code), code };

	g_assert_no_errno(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
	g_assert_no_errno(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program));
}

static void become(const struct host *host)
{
	if (host->lacks_close_range) {
		take_away(SYS_close_range);
		g_assert_cmpint(close_range(FIRST, LAST, 0), ==, -1);
	}
	if (host->lacks_proc) {
		take_away(SYS_openat);
	}
}

static bool is_open(int fd)
{
	return fcntl(fd, F_GETFD) >= 0;
}

static void assert_open(int fd, bool is_expected)
{
	if (is_open(fd) != is_expected) {
		g_error("descriptor %d is%s open", fd, is_expected ? " not" : "");
	}
}

static void open_at(int fd)
{
	g_assert_cmpint(dup2(STDERR_FILENO, fd), ==, fd);
}

static void in_child(const struct host *host)
{
	const struct rlimit limit = { LIMIT, LIMIT };

	g_assert_no_errno(setrlimit(RLIMIT_NOFILE, &limit));
	for (int fd = FIRST - 1; fd <= LAST + 1; fd++) {
		open_at(fd);
	}
	open_at(LIMIT - 1);
	become(host);
	fds_close_range(FIRST, FIRST - 1);
	assert_open(FIRST, true);
	fds_close_range(FIRST, LAST);
	for (int fd = FIRST; fd <= LAST; fd++) {
		assert_open(fd, false);
	}
	assert_open(FIRST - 1, true);
	assert_open(LAST + 1, true);
	fds_close_range(LAST, UINT_MAX);
	assert_open(LAST + 1, false);
	assert_open(LIMIT - 1, false);
	assert_open(FIRST - 1, true);
	assert_open(STDERR_FILENO, true);
}

static void test_range(gconstpointer data)
{
	int status;
	pid_t child = fork();

	if (child == 0) {
		in_child(data);
		_exit(0);
	}
	g_assert_cmpint(waitpid(child, &status, 0), ==, child);
	g_assert_cmpint(status, ==, 0);
}

int main(int argc, char *argv[])
{
	g_test_init(&argc, &argv, NULL);
	for (size_t i = 0; i < G_N_ELEMENTS(hosts); i++) {
		g_autofree char *path = g_strdup_printf("/fds/close-range/%s", hosts[i].name);

		g_test_add_data_func(path, &hosts[i], test_range);
	}
	return g_test_run();
}
