/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* The kinds of work. Each starts its back-end, measures once, prints results and ends it. */
#ifndef BENCH_ROWS_H
#define BENCH_ROWS_H

#include <stdbool.h>
#include <stdint.h>

#include "samples.h"

struct row_options {
	const char *command; /* the back-end, with @SOCK@ */
	double seconds;	     /* to measure */
	bool counts_calls;   /* count system calls with strace instead of timing */
};

void row_start(const struct row_options *options);
void row_idle(const struct row_options *options);
void row_many(const struct row_options *options);
void row_queue_1_together(const struct row_options *options);
void row_queue_1_apart(const struct row_options *options);
void row_queue_64(const struct row_options *options);
/* A guest that draws as fast as its flushes are answered. */
void row_small(const struct row_options *options);
void row_1080p(const struct row_options *options);
void row_4k(const struct row_options *options);
/* The same without a transfer: out of three blobs in turn. */
void row_1080p_blob(const struct row_options *options);
void row_4k_blob(const struct row_options *options);
/* To a display that copies nothing: what the back-end could do. */
void row_1080p_skimmed(const struct row_options *options);
void row_4k_skimmed(const struct row_options *options);
void row_1080p_blob_skimmed(const struct row_options *options);
void row_4k_blob_skimmed(const struct row_options *options);
void row_1080p_blob_paced(const struct row_options *options);
void row_4k_blob_paced(const struct row_options *options);
/* 16 MiB of the renderer's memory into the guest's window and out of it. */
void row_map_blob(const struct row_options *options);
/* A guest that draws a frame when the last one is on the display. */
void row_small_paced(const struct row_options *options);
void row_1080p_paced(const struct row_options *options);
void row_4k_paced(const struct row_options *options);
/* What no back-end is asked to beat by less: one copy, one blocking write. */
void row_floor_small(const struct row_options *options);
void row_floor_1080p(const struct row_options *options);
void row_floor_4k(const struct row_options *options);
void row_cursor(const struct row_options *options);
void row_slow(const struct row_options *options);
/* 100,000 frames to a fast, a slow and a stalling display; ends the program if one is torn. */
void row_torn(const struct row_options *options);
/* The first flush of a 1080p picture in scattered pages; with --dmabuf on it makes a buffer. */
void row_first_flush(const struct row_options *options);
void row_3d(const struct row_options *options);
void row_growth_size(const struct row_options *options);
void row_growth_scanouts(const struct row_options *options);
void row_growth_machines(const struct row_options *options);

#endif
