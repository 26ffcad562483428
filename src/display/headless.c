/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* No output: the guest draws, nobody looks. A display socket that comes all the same is closed. */
#include "display/display.h"

static const struct display_impl headless_impl;

static void headless_destroy(struct display *d)
{
	g_free(d);
}

static bool headless_is_watched(struct display *d G_GNUC_UNUSED)
{
	return false;
}

static bool headless_update(struct display *d G_GNUC_UNUSED, uint32_t scanout_id G_GNUC_UNUSED,
			    const struct display_picture *picture G_GNUC_UNUSED,
			    const struct rect *damage G_GNUC_UNUSED)
{
	return false;
}

static void headless_disable(struct display *d G_GNUC_UNUSED, uint32_t scanout_id G_GNUC_UNUSED)
{
}

static void headless_cursor_set(struct display *d G_GNUC_UNUSED,
				const struct display_cursor *cursor G_GNUC_UNUSED)
{
}

static void headless_cursor_hide(struct display *d G_GNUC_UNUSED, uint32_t scanout_id G_GNUC_UNUSED,
				 uint32_t x G_GNUC_UNUSED, uint32_t y G_GNUC_UNUSED)
{
}

static const struct display_impl headless_impl = {
	.name = "headless",
	.destroy = headless_destroy,
	.is_watched = headless_is_watched,
	.update = headless_update,
	.disable = headless_disable,
	.cursor_set = headless_cursor_set,
	.cursor_hide = headless_cursor_hide,
};

struct display *display_create_headless(void)
{
	struct display *d = g_new0(struct display, 1);

	display_init(d, &headless_impl, NULL, NULL);
	return d;
}
