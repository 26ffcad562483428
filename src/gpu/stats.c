/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "gpu/stats.h"

#include <stdlib.h>
#include <string.h>

/* A rate is of so long a time, or of what came since then. */
#define RATE_US (2 * G_USEC_PER_SEC)

G_STATIC_ASSERT(sizeof(struct stats) % sizeof(uint64_t) == 0);

/* ---- who writes ---- */

void stats_set_bytes(uint64_t *words, size_t n_words, const char *bytes, size_t length)
{
	size_t left = MIN(length, n_words * sizeof(uint64_t));

	for (size_t i = 0; i < n_words; i++) {
		uint64_t word = 0;
		size_t n = MIN(left, sizeof(word));

		memcpy(&word, bytes, n);
		stats_set(&words[i], word);
		bytes += n;
		left -= n;
	}
}

void stats_add_frame(struct stats *stats, uint32_t scanout_id)
{
	if (stats == NULL) {
		return;
	}
	struct stats_scanout *scanout = &stats->scanouts[scanout_id];
	uint64_t n = scanout->n_frames;

	stats_set(&scanout->frame_us[n % STATS_N_FRAMES], (uint64_t)g_get_monotonic_time());
	stats_set(&scanout->n_frames, n + 1);
}

void stats_add_fence(struct stats *stats, uint64_t us)
{
	if (stats == NULL) {
		return;
	}
	uint64_t n = stats->n_fences;

	stats_set(&stats->fence_us[n % STATS_N_FENCES], us);
	stats_set(&stats->n_fences, n + 1);
	stats_add(&stats->fences_us, us);
}

static void clear(void *words, size_t size_bytes)
{
	for (size_t i = 0; i < size_bytes / sizeof(uint64_t); i++) {
		stats_set((uint64_t *)words + i, 0);
	}
}

void stats_forget(struct stats *stats)
{
	if (stats == NULL) {
		return;
	}
	stats_set(&stats->n_resources, 0);
	stats_set(&stats->n_contexts, 0);
	stats_set(&stats->n_waiting, 0);
	stats_set(&stats->memory_bytes, 0);
	clear(stats->texts, sizeof(stats->texts));
	clear(stats->contexts, sizeof(stats->contexts));
	for (uint32_t i = 0; i < DISPLAY_MAX_SCANOUTS; i++) {
		struct stats_scanout *scanout = &stats->scanouts[i];

		stats_set(&scanout->resource_id, 0);
		clear(&scanout->cursor, sizeof(scanout->cursor));
	}
}

/* ---- who reads ---- */

static void bound(uint64_t *word, uint64_t max)
{
	*word = MIN(*word, max);
}

static void bound_context(struct stats_context *context)
{
	bound(&context->id, UINT32_MAX);
	bound(&context->capset_id, UINT32_MAX);
	bound(&context->is_lost, 1);
}

/* An id stands for one context: of two entries the second is a lie. */
static void drop_doubles(struct stats_context *contexts)
{
	for (size_t i = 1; i < STATS_MAX_CONTEXTS; i++) {
		for (size_t j = 0; j < i && contexts[i].id != 0; j++) {
			if (contexts[j].id == contexts[i].id) {
				contexts[i] = (struct stats_context){ 0 };
			}
		}
	}
}

static void bound_scanout(struct stats_scanout *scanout)
{
	struct stats_cursor *cursor = &scanout->cursor;

	bound(&scanout->resource_id, UINT32_MAX);
	bound(&scanout->width, DISPLAY_MAX_SIDE);
	bound(&scanout->height, DISPLAY_MAX_SIDE);
	bound(&scanout->is_blob, 1);
	bound(&scanout->is_dmabuf, 1);
	bound(&cursor->is_visible, 1);
	bound(&cursor->x, UINT32_MAX);
	bound(&cursor->y, UINT32_MAX);
	bound(&cursor->hot_x, DISPLAY_CURSOR_SIDE - 1);
	bound(&cursor->hot_y, DISPLAY_CURSOR_SIDE - 1);
}

void stats_read(const struct stats *stats, struct stats *copy_out)
{
	const uint64_t *from = (const uint64_t *)(const void *)stats;
	uint64_t *to = (uint64_t *)(void *)copy_out;

	for (size_t i = 0; i < sizeof(*stats) / sizeof(uint64_t); i++) {
		to[i] = __atomic_load_n(&from[i], __ATOMIC_RELAXED);
	}
	for (size_t i = 0; i < RENDERER_N_TEXTS; i++) {
		((char *)copy_out->texts[i])[STATS_TEXT_BYTES - 1] = '\0';
	}
	for (size_t i = 0; i < STATS_MAX_CONTEXTS; i++) {
		bound_context(&copy_out->contexts[i]);
	}
	drop_doubles(copy_out->contexts);
	for (size_t i = 0; i < DISPLAY_MAX_SCANOUTS; i++) {
		bound_scanout(&copy_out->scanouts[i]);
	}
}

uint64_t stats_frame_rate(const struct stats_scanout *scanout, gint64 now_us)
{
	uint64_t n_known = MIN(scanout->n_frames, STATS_N_FRAMES);
	uint64_t now = (uint64_t)now_us, first = now, last = 0, n = 0;

	for (uint64_t i = 0; i < n_known; i++) {
		uint64_t at = scanout->frame_us[(scanout->n_frames - 1 - i) % STATS_N_FRAMES];

		/* Backwards; what is out of order was written while we read, or is a lie. */
		if (at > first || now - at > RATE_US) {
			break;
		}
		last = MAX(last, at);
		first = at;
		n++;
	}
	/* One frame has no rate, and a screen that has gone still has none any more. */
	uint64_t span = now - first;
	if (n < 2 || span == 0) {
		return 0;
	}
	uint64_t gap = (last - first) / (n - 1);
	span = now - last > 2 * gap ? span : last - first;
	return span > 0 ? (n - 1) * 1000 * (uint64_t)G_USEC_PER_SEC / span : 0;
}

static int compare(const void *a, const void *b)
{
	uint64_t left = *(const uint64_t *)a, right = *(const uint64_t *)b;

	return left < right ? -1 : left > right;
}

uint64_t stats_fence_us(const struct stats *stats, unsigned int percent)
{
	uint64_t sorted[STATS_N_FENCES];
	size_t n = (size_t)MIN(stats->n_fences, STATS_N_FENCES);

	if (n == 0) {
		return 0;
	}
	memcpy(sorted, stats->fence_us, n * sizeof(*sorted));
	qsort(sorted, n, sizeof(*sorted), compare);
	return sorted[MIN((n * percent + 99) / 100, n) - 1];
}
