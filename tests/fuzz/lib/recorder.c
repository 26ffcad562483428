/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "recorder.h"

/* As many as a real channel lends, so that memory stays bounded. */
#define MAX_FRAMES 4u

static struct witness *from_base(struct display *d)
{
	return (struct witness *)(void *)d;
}

void recorder_drop_frames(struct witness *recorder)
{
	g_ptr_array_set_size(recorder->frames, 0);
}

static void recorder_destroy(struct display *d)
{
	struct witness *recorder = from_base(d);

	for (unsigned int i = 0; i < DISPLAY_MAX_SCANOUTS; i++) {
		dmabuf_unref(recorder->shown[i]);
	}
	g_ptr_array_free(recorder->frames, TRUE);
	g_array_free(recorder->questions, TRUE);
	g_free(recorder);
}

static bool recorder_is_watched(struct display *d)
{
	return from_base(d)->is_watched;
}

/* Looks at the corners of what is new, so that a sanitizer sees a picture that is not there. */
static void look_at(const struct display_picture *picture, const struct rect *damage)
{
	uint32_t x = picture->view.x + damage->x, y = picture->view.y + damage->y;
	volatile uint32_t sum = *frame_pixel(picture->frame, x, y);

	sum += *frame_pixel(picture->frame, x + damage->width - 1, y + damage->height - 1);
	(void)sum;
}

static bool recorder_update(struct display *d, uint32_t scanout_id,
			    const struct display_picture *picture, const struct rect *damage)
{
	struct witness *recorder = from_base(d);

	g_assert_true(recorder->is_watched);
	g_assert_cmpuint(picture->view.width, >=, DISPLAY_MIN_SIDE);
	g_assert_cmpuint(picture->view.height, >=, DISPLAY_MIN_SIDE);
	g_assert_false(rect_is_empty(damage));
	look_at(picture, damage);
	g_clear_pointer(&recorder->shown[scanout_id], dmabuf_unref);
	if (recorder->frames->len == MAX_FRAMES) {
		g_ptr_array_remove_index(recorder->frames, 0);
	}
	g_ptr_array_add(recorder->frames, frame_ref(picture->frame));
	return recorder->is_busy;
}

static void recorder_reclaim(struct display *d)
{
	if (from_base(d)->has_read) {
		recorder_drop_frames(from_base(d));
	}
}

static enum dmabuf_kinds recorder_dmabufs(struct display *d)
{
	return from_base(d)->dmabufs;
}

static bool recorder_update_dmabuf(struct display *d, uint32_t scanout_id, struct dmabuf *dmabuf,
				   uint32_t serial G_GNUC_UNUSED, const struct rect *damage)
{
	struct witness *recorder = from_base(d);
	const struct dmabuf_layout *layout = &dmabuf->layout;

	g_assert_true(recorder->is_watched);
	g_assert_true(dmabuf_is_among(layout, recorder->dmabufs));
	g_assert_cmpuint(layout->width, >=, DISPLAY_MIN_SIDE);
	g_assert_cmpuint(layout->height, >=, DISPLAY_MIN_SIDE);
	g_assert_cmpuint(layout->stride_bytes / sizeof(uint32_t), >=, layout->width);
	g_assert_cmpuint(layout->offset_bytes, ==, 0);
	g_assert_false(rect_is_empty(damage));
	g_assert_true(rect_is_inside(damage, layout->width, layout->height));
	dmabuf_unref(recorder->shown[scanout_id]);
	recorder->shown[scanout_id] = dmabuf_ref(dmabuf);
	return recorder->is_busy;
}

static void recorder_disable(struct display *d, uint32_t scanout_id)
{
	g_clear_pointer(&from_base(d)->shown[scanout_id], dmabuf_unref);
}

static void recorder_cursor_set(struct display *d G_GNUC_UNUSED,
				const struct display_cursor *cursor)
{
	if (cursor->pixels != NULL) {
		g_assert_cmpuint(cursor->hot_x, <, DISPLAY_CURSOR_SIDE);
		g_assert_cmpuint(cursor->hot_y, <, DISPLAY_CURSOR_SIDE);
	}
}

static void recorder_cursor_hide(struct display *d G_GNUC_UNUSED, uint32_t scanout_id G_GNUC_UNUSED,
				 uint32_t x G_GNUC_UNUSED, uint32_t y G_GNUC_UNUSED)
{
}

static bool ask(struct witness *recorder, uint64_t token, bool is_edid)
{
	const struct recorder_question question = { token, is_edid };

	if (recorder->answers) {
		g_array_append_val(recorder->questions, question);
	}
	return recorder->answers;
}

static bool recorder_request_info(struct display *d, uint64_t token)
{
	return ask(from_base(d), token, false);
}

static bool recorder_request_edid(struct display *d, uint64_t token, uint32_t scanout_id)
{
	g_assert_cmpuint(scanout_id, <, DISPLAY_MAX_SCANOUTS);
	return ask(from_base(d), token, true);
}

static const struct display_impl recorder_impl = {
	.name = "recorder",
	.destroy = recorder_destroy,
	.is_watched = recorder_is_watched,
	.update = recorder_update,
	.dmabufs = recorder_dmabufs,
	.update_dmabuf = recorder_update_dmabuf,
	.reclaim = recorder_reclaim,
	.disable = recorder_disable,
	.cursor_set = recorder_cursor_set,
	.cursor_hide = recorder_cursor_hide,
	.request_info = recorder_request_info,
	.request_edid = recorder_request_edid,
};

static void unref_frame(void *frame)
{
	frame_unref(frame);
}

struct witness *recorder_create(void)
{
	struct witness *recorder = g_new0(struct witness, 1);

	display_init(&recorder->base, &recorder_impl, NULL, NULL);
	recorder->is_watched = true;
	recorder->questions = g_array_new(FALSE, FALSE, sizeof(struct recorder_question));
	recorder->frames = g_ptr_array_new_with_free_func(unref_frame);
	return recorder;
}
