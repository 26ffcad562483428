/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * RLIMIT_NOFILE is no count but the first number that is not given out, so the limit is looked for
 * among the numbers that are in use.
 */
#include <glib.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "proctree.h"
#include "scarcity.h"
#include "suite.h"

/* More than any process maps that runs by itself. */
#define SANITIZER_BYTES (UINT64_C(1) << 40)

struct limit {
	pid_t listener; /* is spared; 0: none is */
	int resource;
	uint64_t more;
};

static bool is_open_in(pid_t pid, uint64_t fd)
{
	g_autofree char *path =
		g_strdup_printf("/proc/%d/fd/%" G_GUINT64_FORMAT, (int)pid, fd);
	struct stat info;

	return lstat(path, &info) == 0;
}

static uint64_t find_fd_limit(pid_t pid, uint64_t n_more)
{
	uint64_t fd = 0;

	for (uint64_t n_free = 0; n_free < n_more || is_open_in(pid, fd); fd++) {
		n_free += !is_open_in(pid, fd);
	}
	return fd;
}

static uint64_t find_memory_limit(pid_t pid, uint64_t more_bytes)
{
	struct proctree_memory memory = {0};

	proctree_add_memory(pid, &memory);
	if (memory.size_bytes > SANITIZER_BYTES) {
		suite_skip("a sanitizer has taken the address space");
	}
	return memory.size_bytes + more_bytes;
}

static void set_limit(pid_t pid, int resource, const uint64_t *value)
{
	struct rlimit rlimit;

	g_assert_no_errno(prlimit(pid, (__rlimit_resource_t)resource, NULL, &rlimit));
	rlimit.rlim_cur = value ? *value : rlimit.rlim_max;
	g_assert_no_errno(prlimit(pid, (__rlimit_resource_t)resource, &rlimit, NULL));
}

static void limit_one(pid_t pid, void *data)
{
	const struct limit *limit = data;

	if (pid != limit->listener) {
		uint64_t value = limit->resource == RLIMIT_NOFILE
					 ? find_fd_limit(pid, limit->more)
					 : find_memory_limit(pid, limit->more);
		set_limit(pid, limit->resource, &value);
	}
}

void scarcity_of_fds(const struct daemon *daemon, unsigned int n_more)
{
	struct limit limit = {daemon->pid, RLIMIT_NOFILE, n_more};

	proctree_each(daemon->pid, limit_one, &limit);
}

void scarcity_of_listener_fds(const struct daemon *daemon, unsigned int n_more)
{
	struct limit limit = {0, RLIMIT_NOFILE, n_more};

	limit_one(daemon->pid, &limit);
}

void scarcity_of_memory(const struct daemon *daemon, uint64_t more_bytes)
{
	struct limit limit = {daemon->pid, RLIMIT_AS, more_bytes};

	proctree_each(daemon->pid, limit_one, &limit);
}

static void lift_one(pid_t pid, void *data)
{
	(void)data;
	set_limit(pid, RLIMIT_NOFILE, NULL);
	set_limit(pid, RLIMIT_AS, NULL);
}

void scarcity_lift(const struct daemon *daemon)
{
	proctree_each(daemon->pid, lift_one, NULL);
}
