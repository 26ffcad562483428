/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "logbook.h"

#include <string.h>

static struct logbook *logbook_from_base(struct display *d)
{
	return (struct logbook *)(void *)d;
}

static void logbook_destroy(struct display *d)
{
	struct logbook *l = logbook_from_base(d);

	frame_unref(l->frame);
	g_string_free(l->log, TRUE);
	g_free(l);
}

static bool logbook_is_watched(struct display *d)
{
	return logbook_from_base(d)->is_watched;
}

static bool logbook_update(struct display *d, uint32_t scanout_id,
			   const struct display_picture *picture, const struct rect *damage)
{
	struct logbook *l = logbook_from_base(d);

	g_string_append_printf(l->log, "update %u: %u,%u %ux%u of %ux%u at %u,%u\n", scanout_id,
			       damage->x, damage->y, damage->width, damage->height,
			       picture->view.width, picture->view.height, picture->view.x,
			       picture->view.y);
	frame_unref(l->frame);
	l->frame = frame_ref(picture->frame);
	return l->is_busy;
}

static enum dmabuf_kinds logbook_dmabufs(struct display *d)
{
	return logbook_from_base(d)->takes_dmabufs ? DMABUFS_ALL : DMABUFS_NONE;
}

static bool logbook_update_dmabuf(struct display *d, uint32_t scanout_id, struct dmabuf *dmabuf,
				  uint32_t serial G_GNUC_UNUSED, const struct rect *damage)
{
	struct logbook *l = logbook_from_base(d);

	g_assert_true(l->takes_dmabufs);
	g_string_append_printf(l->log, "draw %u: %u,%u %ux%u of %ux%u/%u\n", scanout_id, damage->x,
			       damage->y, damage->width, damage->height, dmabuf->layout.width,
			       dmabuf->layout.height, dmabuf->layout.stride_bytes);
	l->dmabuf_id = dmabuf->id;
	return l->is_busy;
}

static void logbook_reclaim(struct display *d)
{
	struct logbook *l = logbook_from_base(d);

	l->n_reclaims++;
	if (l->has_read) {
		g_clear_pointer(&l->frame, frame_unref);
	}
}

static void logbook_disable(struct display *d, uint32_t scanout_id)
{
	g_string_append_printf(logbook_from_base(d)->log, "off %u\n", scanout_id);
}

static void logbook_cursor_set(struct display *d, const struct display_cursor *cursor)
{
	struct logbook *l = logbook_from_base(d);

	if (cursor->pixels != NULL) {
		memcpy(l->cursor, cursor->pixels, sizeof(l->cursor));
		g_string_append_printf(l->log, "cursor %u: %d,%d hot %u,%u\n", cursor->scanout_id,
				       (int32_t)cursor->x, (int32_t)cursor->y, cursor->hot_x,
				       cursor->hot_y);
	} else {
		g_string_append_printf(l->log, "move %u: %d,%d\n", cursor->scanout_id,
				       (int32_t)cursor->x, (int32_t)cursor->y);
	}
}

static void logbook_cursor_hide(struct display *d, uint32_t scanout_id, uint32_t x, uint32_t y)
{
	g_string_append_printf(logbook_from_base(d)->log, "hide %u: %d,%d\n", scanout_id,
			       (int32_t)x, (int32_t)y);
}

static bool logbook_request_info(struct display *d, uint64_t token)
{
	logbook_from_base(d)->token = token;
	return logbook_from_base(d)->has_somebody_to_ask;
}

static bool logbook_request_edid(struct display *d, uint64_t token, uint32_t scanout_id)
{
	logbook_from_base(d)->token = token;
	g_assert_cmpuint(scanout_id, <, DISPLAY_MAX_SCANOUTS);
	return logbook_from_base(d)->has_somebody_to_ask;
}

static const struct display_impl logbook_impl = {
	.name = "logbook",
	.destroy = logbook_destroy,
	.is_watched = logbook_is_watched,
	.update = logbook_update,
	.dmabufs = logbook_dmabufs,
	.update_dmabuf = logbook_update_dmabuf,
	.reclaim = logbook_reclaim,
	.disable = logbook_disable,
	.cursor_set = logbook_cursor_set,
	.cursor_hide = logbook_cursor_hide,
	.request_info = logbook_request_info,
	.request_edid = logbook_request_edid,
};

struct logbook *logbook_create(void)
{
	struct logbook *l = g_new0(struct logbook, 1);

	display_init(&l->base, &logbook_impl, NULL, NULL);
	l->log = g_string_new(NULL);
	l->is_watched = true;
	return l;
}
