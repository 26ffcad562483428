/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "fuzz.h"

#include <dirent.h>
#include <glib.h>
#include <time.h>

void fuzz_assert_bytes(const void *a, const void *b, size_t size_bytes)
{
	const char *left = a, *right = b;

	for (size_t i = 0; i < size_bytes; i++) {
		if (left[i] != right[i]) {
			g_error("byte %zu of %zu differs", i, size_bytes);
		}
	}
}

static uint64_t real_us(void)
{
	struct timespec now;

	g_assert_no_errno(clock_gettime(CLOCK_MONOTONIC, &now));
	return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

bool fuzz_wait(bool (*condition)(void *data), void *data, unsigned int milliseconds)
{
	uint64_t deadline_us = real_us() + milliseconds * 1000ull;

	while (!condition(data)) {
		if (real_us() > deadline_us) {
			return false;
		}
		g_usleep(20);
	}
	return true;
}

unsigned int fuzz_count_fds(void)
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
