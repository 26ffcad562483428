/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * close_range() came with Linux 5.9, and filters of system calls that are
 * older than it answer for the kernel. /proc may be missing where a program is
 * confined; then every number is tried that can have been given out, which
 * takes a second for each few million.
 */
#include "util/fds.h"

#include <dirent.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

/* The kernel's own bound (fs.nr_open), unless it was raised, for who has no limit. */
#define NO_LIMIT (1u << 20)

static bool close_listed(unsigned int first, unsigned int last)
{
	DIR *dir = opendir("/proc/self/fd");

	if (dir == NULL) {
		return false;
	}
	/* The kernel goes on with the number after the last one that it gave. */
	for (struct dirent *entry = readdir(dir); entry != NULL; entry = readdir(dir)) {
		char *end;
		unsigned long fd = strtoul(entry->d_name, &end, 10);

		if (end != entry->d_name && fd >= first && fd <= last &&
		    fd != (unsigned long)dirfd(dir)) {
			close((int)fd);
		}
	}
	closedir(dir);
	return true;
}

static void close_all(unsigned int first, unsigned int last)
{
	struct rlimit limit;
	unsigned int end = NO_LIMIT;

	/* One that was lowered later leaves what is above it open: the hard one counts. */
	if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_max < NO_LIMIT) {
		end = (unsigned int)limit.rlim_max;
	}
	for (unsigned int fd = first; fd < end && fd <= last; fd++) {
		close((int)fd);
	}
}

void fds_close_range(unsigned int first, unsigned int last)
{
	if (first > last || close_range(first, last, 0) == 0 || close_listed(first, last)) {
		return;
	}
	close_all(first, last);
}
