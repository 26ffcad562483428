/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * A resource's picture, from the library into a frame: the rows that the damage
 * is in, straight to their places, as a frame's layout is the library's. What
 * has other colours there is converted where it lies.
 */
#include <string.h>

#include "renderer/gfxstream_internal.h"

enum { PIXEL_BYTES = sizeof(uint32_t) };

static bool prepare_frame(struct gfxstream_resource *resource, const struct rect *rows)
{
	if (resource->frame != NULL) {
		return frame_make_writable(&resource->frame, rows);
	}
	resource->frame =
		frame_create(resource->quota, resource->desc.width, resource->desc.height);
	return resource->frame != NULL;
}

/* Pixels of the library's format where the frame's are to be. */
static bool convert_rows(const struct gfxstream_resource *resource, const struct rect *rows)
{
	g_autofree uint32_t *row = g_try_new(uint32_t, rows->width);

	if (row == NULL) {
		return false;
	}
	for (uint32_t y = rows->y; y < rows->y + rows->height; y++) {
		uint32_t *pixels = frame_pixel(resource->frame, 0, y);

		memcpy(row, pixels, rows->width * PIXEL_BYTES);
		pixels_convert_row(pixels, row, resource->pixel_format, rows->width);
	}
	return true;
}

/* Whole rows, as the library copies them anyway. */
static enum gpu_resp read_rows(struct gfxstream_resource *resource, const struct rect *rows)
{
	struct frame *frame = resource->frame;
	struct iovec iov = { frame->pixels, frame->stride_bytes * frame->height };
	enum gpu_resp resp = gfxstream_copy(resource, 0, rows, &iov, 1, false);

	if (resp == GPU_RESP_OK_NODATA && resource->pixel_format != PIXEL_ARGB8888 &&
	    !convert_rows(resource, rows)) {
		resp = GPU_RESP_ERR_OUT_OF_MEMORY;
	}
	return resp;
}

enum gpu_resp gfxstream_resource_read(struct renderer *r, uint32_t id, const struct rect *damage,
				      struct frame **frame_out)
{
	struct gfxstream_resource *resource = gfxstream_resource_find(gfxstream_from_base(r), id);
	enum gpu_resp resp = GPU_RESP_OK_NODATA;

	if (resource == NULL) {
		return GPU_RESP_ERR_INVALID_RESOURCE_ID;
	}
	if (resource->pixel_format == PIXEL_NONE ||
	    !rect_is_inside(damage, resource->desc.width, resource->desc.height)) {
		return GPU_RESP_ERR_INVALID_PARAMETER;
	}
	const struct rect rows = { 0, damage->y, resource->desc.width, damage->height };
	if (!prepare_frame(resource, &rows)) {
		return GPU_RESP_ERR_OUT_OF_MEMORY;
	}
	if (!rect_is_empty(damage)) {
		resp = read_rows(resource, &rows);
	}
	if (resp != GPU_RESP_OK_NODATA) {
		frame_clear(resource->frame, &rows);
		return resp;
	}
	*frame_out = frame_ref(resource->frame);
	return GPU_RESP_OK_NODATA;
}
