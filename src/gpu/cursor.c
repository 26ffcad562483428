/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include <string.h>

#include "gpu/device.h"
#include "gpu/handlers.h"

#define SIDE DISPLAY_CURSOR_SIDE

static void hide(struct device *dev, const struct virtio_gpu_cursor_pos *pos)
{
	struct cursor *cursor = &dev->cursors[pos->scanout_id];

	cursor->is_visible = false;
	cursor->x = pos->x;
	cursor->y = pos->y;
	display_cursor_hide(dev->display, pos->scanout_id, pos->x, pos->y);
}

static void send(struct device *dev, uint32_t scanout_id, bool with_image)
{
	const struct cursor *cursor = &dev->cursors[scanout_id];
	const struct display_cursor shown = {
		.scanout_id = scanout_id,
		.x = cursor->x,
		.y = cursor->y,
		.hot_x = cursor->hot_x,
		.hot_y = cursor->hot_y,
		.pixels = with_image ? cursor->pixels : NULL,
	};

	display_cursor_set(dev->display, &shown);
}

/*
 * Linux draws cursors with alpha into buffers of a format without (it makes
 * every dumb buffer B8G8R8X8), so the fourth byte counts whatever the format
 * says. Only where it says nothing, nowhere, though there are colours, did
 * the guest mean what the format says: no alpha, all opaque.
 */
static void settle_alpha(uint32_t *pixels, uint32_t width, uint32_t height)
{
	uint32_t all = 0;

	for (uint32_t y = 0; y < height; y++) {
		for (uint32_t x = 0; x < width; x++) {
			all |= pixels[y * SIDE + x];
		}
	}
	if (all >> 24 != 0 || all == 0) {
		return;
	}
	for (uint32_t y = 0; y < height; y++) {
		for (uint32_t x = 0; x < width; x++) {
			pixels[y * SIDE + x] |= 0xff000000;
		}
	}
}

/* The resource's picture in the top left corner, the rest transparent. */
static void take_image(struct cursor *cursor, const struct frame *frame, bool has_alpha)
{
	if (cursor->pixels == NULL) {
		cursor->pixels = g_new(uint32_t, SIDE * SIDE);
	}
	memset(cursor->pixels, 0, SIDE * SIDE * sizeof(uint32_t));
	for (uint32_t y = 0; frame != NULL && y < frame->height; y++) {
		memcpy(cursor->pixels + y * SIDE, frame_pixel(frame, 0, y),
		       frame->width * sizeof(uint32_t));
	}
	if (frame != NULL && !has_alpha) {
		settle_alpha(cursor->pixels, frame->width, frame->height);
	}
}

enum gpu_resp handle_update_cursor(struct device *dev, struct command *command)
{
	const struct virtio_gpu_update_cursor *request = &command->request.update_cursor;

	if (request->pos.scanout_id >= DISPLAY_MAX_SCANOUTS) {
		return GPU_RESP_ERR_INVALID_SCANOUT_ID;
	}
	if (request->resource_id == 0) {
		hide(dev, &request->pos);
		return GPU_RESP_OK_NODATA;
	}
	const struct resource *resource = device_find_resource(dev, request->resource_id);
	if (resource == NULL) {
		return GPU_RESP_ERR_INVALID_RESOURCE_ID;
	}
	const struct rect all = { 0, 0, resource->desc.width, resource->desc.height };
	if (all.width > SIDE || all.height > SIDE || rect_is_empty(&all) ||
	    request->hot_x >= SIDE || request->hot_y >= SIDE) {
		return GPU_RESP_ERR_INVALID_PARAMETER;
	}
	struct frame *frame = NULL;
	enum gpu_resp resp =
		dev->renderer->impl->resource_read(dev->renderer, resource->id, &all, &frame);
	if (resp != GPU_RESP_OK_NODATA) {
		return resp;
	}

	struct cursor *cursor = &dev->cursors[request->pos.scanout_id];
	uint32_t pixman_format;
	bool has_alpha = true;
	renderer_format_info(resource->desc.format, &pixman_format, &has_alpha);
	take_image(cursor, frame, has_alpha);
	frame_unref(frame);
	cursor->is_visible = true;
	cursor->x = request->pos.x;
	cursor->y = request->pos.y;
	cursor->hot_x = request->hot_x;
	cursor->hot_y = request->hot_y;
	send(dev, request->pos.scanout_id, true);
	return GPU_RESP_OK_NODATA;
}

enum gpu_resp handle_move_cursor(struct device *dev, struct command *command)
{
	const struct virtio_gpu_update_cursor *request = &command->request.update_cursor;

	if (request->pos.scanout_id >= DISPLAY_MAX_SCANOUTS) {
		return GPU_RESP_ERR_INVALID_SCANOUT_ID;
	}
	/* QEMU's devices agree on this; the specification says nothing of it. */
	if (request->resource_id == 0) {
		hide(dev, &request->pos);
		return GPU_RESP_OK_NODATA;
	}
	struct cursor *cursor = &dev->cursors[request->pos.scanout_id];
	cursor->x = request->pos.x;
	cursor->y = request->pos.y;
	cursor->is_visible = true;
	send(dev, request->pos.scanout_id, false);
	return GPU_RESP_OK_NODATA;
}

void cursor_replay(struct device *dev, uint32_t scanout_id)
{
	const struct cursor *cursor = &dev->cursors[scanout_id];

	if (cursor->pixels == NULL) {
		return;
	}
	send(dev, scanout_id, true);
	if (!cursor->is_visible) {
		display_cursor_hide(dev->display, scanout_id, cursor->x, cursor->y);
	}
}
