/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "gpu/stats.h"

#include <string.h>

static struct stats *written, *copy;

static void set_up(void)
{
	written = g_new0(struct stats, 1);
	copy = g_new0(struct stats, 1);
}

static void tear_down(void)
{
	g_clear_pointer(&written, g_free);
	g_clear_pointer(&copy, g_free);
}

/* n frames so far apart, the last one so long before now; in thousandths a second. */
static uint64_t rate_of(unsigned int n, gint64 apart_us, gint64 ago_us)
{
	gint64 now_us = 1000 * G_USEC_PER_SEC;
	struct stats_scanout *scanout = &written->scanouts[3];

	memset(scanout, 0, sizeof(*scanout));
	for (unsigned int i = 0; i < n; i++) {
		scanout->frame_us[i % STATS_N_FRAMES] =
			(uint64_t)(now_us - ago_us - (gint64)(n - 1 - i) * apart_us);
	}
	scanout->n_frames = n;
	stats_read(written, copy);
	return stats_frame_rate(&copy->scanouts[3], now_us);
}

static void test_frame_rate(void)
{
	set_up();
	g_assert_cmpuint(rate_of(0, 1000, 0), ==, 0);
	g_assert_cmpuint(rate_of(1, 1000, 0), ==, 0);
	g_assert_cmpuint(rate_of(20, 100000, 50000), ==, 10000);
	/* More than are kept. */
	g_assert_cmpuint(rate_of(1000, 4000, 3000), ==, 250000);
	/* It has slowed down, it has stopped. */
	g_assert_cmpuint(rate_of(10, 100000, 900000), ==, 5000);
	g_assert_cmpuint(rate_of(100, 10000, 2100000), ==, 0);
	/* All at once, or in the future. */
	g_assert_cmpuint(rate_of(10, 0, 0), ==, 0);
	g_assert_cmpuint(rate_of(10, 1000, -5000000), ==, 0);
	tear_down();
}

static void test_frames_are_counted(void)
{
	set_up();
	for (unsigned int i = 0; i < STATS_N_FRAMES + 5; i++) {
		stats_add_frame(written, 0);
	}
	stats_read(written, copy);
	g_assert_cmpuint(copy->scanouts[0].n_frames, ==, STATS_N_FRAMES + 5);
	g_assert_cmpuint(copy->scanouts[1].n_frames, ==, 0);
	stats_add_frame(NULL, 0);
	stats_add_fence(NULL, 1);
	stats_forget(NULL);
	tear_down();
}

static void test_fences(void)
{
	set_up();
	g_assert_cmpuint(stats_fence_us(written, 50), ==, 0);
	stats_add_fence(written, 7);
	g_assert_cmpuint(stats_fence_us(written, 50), ==, 7);
	g_assert_cmpuint(stats_fence_us(written, 99), ==, 7);
	for (uint64_t i = 1; i <= 2000; i++) {
		stats_add_fence(written, i);
	}
	stats_read(written, copy);
	g_assert_cmpuint(copy->n_fences, ==, 2001);
	g_assert_cmpuint(copy->fences_us, ==, 7 + 2000 * 2001 / 2);
	/* Of the last 1024: 977 to 2000. */
	g_assert_cmpuint(stats_fence_us(copy, 50), ==, 976 + 512);
	g_assert_cmpuint(stats_fence_us(copy, 99), ==, 976 + 1014);
	g_assert_cmpuint(stats_fence_us(copy, 100), ==, 2000);
	tear_down();
}

static void test_text(void)
{
	set_up();
	char long_text[STATS_TEXT_BYTES + 10];
	struct stats_context *context = &written->contexts[0];

	memset(long_text, 'x', sizeof(long_text));
	stats_set_bytes(written->texts[0], STATS_TEXT_WORDS, long_text, sizeof(long_text));
	stats_set_bytes(written->texts[1], STATS_TEXT_WORDS, "llvmpipe", 8);
	stats_set_bytes(context->name, STATS_NAME_WORDS, "glxgears", 8);
	stats_set_bytes(context->name, STATS_NAME_WORDS, "vi", 2);
	stats_read(written, copy);
	g_assert_cmpuint(strlen((const char *)copy->texts[0]), ==, STATS_TEXT_BYTES - 1);
	g_assert_cmpstr((const char *)copy->texts[1], ==, "llvmpipe");
	g_assert_cmpstr((const char *)copy->contexts[0].name, ==, "vi");
	tear_down();
}

/* Whoever has taken a renderer process over writes what he likes. */
static void test_lies(void)
{
	set_up();
	memset(written, 0xff, sizeof(*written));
	stats_read(written, copy);
	g_assert_cmpuint(copy->scanouts[0].width, ==, DISPLAY_MAX_SIDE);
	g_assert_cmpuint(copy->scanouts[0].cursor.x, ==, UINT32_MAX);
	g_assert_cmpuint(copy->scanouts[0].cursor.hot_x, ==, DISPLAY_CURSOR_SIDE - 1);
	g_assert_cmpuint(copy->contexts[0].id, ==, UINT32_MAX);
	/* One context is not two. */
	g_assert_cmpuint(copy->contexts[5].id, ==, 0);
	g_assert_cmpuint(copy->contexts[5].bytes, ==, 0);
	g_assert_cmpuint(strlen((const char *)copy->texts[2]), ==, STATS_TEXT_BYTES - 1);
	stats_frame_rate(&copy->scanouts[0], g_get_monotonic_time());
	g_assert_cmpuint(stats_fence_us(copy, 50), ==, UINT64_MAX);
	tear_down();
}

/* What it was made of goes, what was counted stays. */
static void test_forget(void)
{
	set_up();
	memset(written, 0x01, sizeof(*written));
	stats_forget(written);
	g_assert_cmpuint(written->n_resources, ==, 0);
	g_assert_cmpuint(written->contexts[9].id, ==, 0);
	g_assert_cmpuint(written->scanouts[2].resource_id, ==, 0);
	g_assert_cmpuint(written->scanouts[2].cursor.is_visible, ==, 0);
	g_assert_cmpuint(written->texts[0][0], ==, 0);
	g_assert_cmpuint(written->n_commands[0], !=, 0);
	g_assert_cmpuint(written->scanouts[2].n_frames, !=, 0);
	tear_down();
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/stats/frame-rate", test_frame_rate);
	g_test_add_func("/stats/frames-are-counted", test_frames_are_counted);
	g_test_add_func("/stats/fences", test_fences);
	g_test_add_func("/stats/text", test_text);
	g_test_add_func("/stats/lies", test_lies);
	g_test_add_func("/stats/forget", test_forget);
	return g_test_run();
}
