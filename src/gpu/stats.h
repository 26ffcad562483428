/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * What a device counts of itself, for who wants to look inside.
 *
 * In memory that the device's thread writes and others read at any time, maybe
 * from another process: so all of it is 64-bit words, each written and read in
 * one piece, without a lock and without an order among them. A reader takes a
 * copy (stats_read()) and believes none of it: the process that wrote it may
 * have been taken over by its guest.
 *
 * Who writes is one thread. A word costs it one store, and there is nothing to
 * wake: a device is not slower for being looked at, nor while it is.
 */
#pragma once

#include <glib.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "display/display.h"
#include "renderer/renderer.h"

#define STATS_MAX_CONTEXTS 256 /* as virglrenderer's; further ones are only counted */
#define STATS_N_FRAMES 128     /* of each scanout: the last ones' times */
#define STATS_N_FENCES 1024    /* the last ones' */
#define STATS_TEXT_WORDS 16
#define STATS_NAME_WORDS 8
#define STATS_TEXT_BYTES (STATS_TEXT_WORDS * sizeof(uint64_t))
#define STATS_NAME_BYTES (STATS_NAME_WORDS * sizeof(uint64_t))

struct stats_context {
	uint64_t id; /* 0: nothing is here */
	uint64_t capset_id;
	uint64_t is_lost;
	uint64_t n_resources, bytes; /* attached to it; what those hold */
	uint64_t n_submits;
	uint64_t name[STATS_NAME_WORDS]; /* the guest's, no NUL if it is as long as this */
};

struct stats_cursor {
	uint64_t is_visible;
	uint64_t x, y, hot_x, hot_y; /* x and y may be negative as int32_t */
};

struct stats_scanout {
	uint64_t resource_id; /* 0: off */
	uint64_t width, height;
	uint64_t is_blob, is_dmabuf;
	uint64_t n_frames; /* flushes that it showed a part of, or would have if anybody watched */
	uint64_t frame_us[STATS_N_FRAMES]; /* g_get_monotonic_time(); n_frames % N is the next */
	struct stats_cursor cursor;
};

struct stats {
	uint64_t n_commands[2]; /* by queue */
	uint64_t n_errors;	/* of these, answered with one */
	uint64_t n_resources, n_contexts;
	uint64_t n_waiting;				    /* commands whose answer waits */
	uint64_t memory_bytes;				    /* of the quota */
	uint64_t n_fences;				    /* that were signalled */
	uint64_t fences_us;				    /* all that they took, together */
	uint64_t fence_us[STATS_N_FENCES];		    /* each; n_fences % N is the next */
	uint64_t texts[RENDERER_N_TEXTS][STATS_TEXT_WORDS]; /* struct renderer.texts */
	struct stats_context contexts[STATS_MAX_CONTEXTS];
	struct stats_scanout scanouts[DISPLAY_MAX_SCANOUTS];
};

/* ---- who writes; stats NULL: nobody wants to look, and nothing happens ---- */

static inline void stats_set(uint64_t *word, uint64_t value)
{
	__atomic_store_n(word, value, __ATOMIC_RELAXED);
}

static inline void stats_add(uint64_t *word, uint64_t value)
{
	stats_set(word, *word + value);
}

/* As long as it fits, zeros behind it. */
void stats_set_bytes(uint64_t *words, size_t n_words, const char *bytes, size_t length);
void stats_add_frame(struct stats *stats, uint32_t scanout_id);
void stats_add_fence(struct stats *stats, uint64_t us);
/*
 * The device is no more: what it was made of is gone, what it counted is not.
 * Of who has ended it, when it has.
 */
void stats_forget(struct stats *stats);

/* ---- who reads ---- */

/* A copy of each word. What must have a bound, or an end, has it in the copy. */
void stats_read(const struct stats *stats, struct stats *copy_out);

/* The rest is of a copy. Thousandths of frames a second, of the last two seconds. */
uint64_t stats_frame_rate(const struct stats_scanout *scanout, gint64 now_us);
/* What so many of a hundred fences, of the last ones, did not take longer than; 0: there is none.
 */
uint64_t stats_fence_us(const struct stats *stats, unsigned int percent);
