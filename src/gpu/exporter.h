/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * Who makes a buffer for displays (util/dmabuf.h) of pages of the guest's
 * memory, so that what the guest draws there is seen without a copy.
 *
 * Called on the device thread.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

/* Whole pages of a file that the guest's memory is in. */
struct exporter_run {
	int fd; /* borrowed */
	uint64_t offset_bytes, size_bytes;
};

struct exporter {
	/* One run behind the other. Returns a descriptor, the caller's, or -errno. */
	int (*export)(void *data, const struct exporter_run *runs, size_t n_runs);
};
