/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include <string.h>

#include "gpu/device.h"
#include "gpu/handlers.h"

#define SIDE DISPLAY_CURSOR_SIDE

static void count(struct device *dev, uint32_t scanout_id)
{
	const struct cursor *cursor = &dev->cursors[scanout_id];

	if (dev->stats == NULL) {
		return;
	}
	struct stats_cursor *stats = &dev->stats->scanouts[scanout_id].cursor;
	stats_set(&stats->is_visible, cursor->is_visible);
	stats_set(&stats->x, cursor->x);
	stats_set(&stats->y, cursor->y);
	stats_set(&stats->hot_x, cursor->hot_x);
	stats_set(&stats->hot_y, cursor->hot_y);
}

/* Where it is is recorded no more often than whether it is to be seen. */
static void place(struct device *dev, const struct virtio_gpu_cursor_pos *pos, bool is_visible)
{
	struct cursor *cursor = &dev->cursors[pos->scanout_id];
	bool has_changed = cursor->is_visible != is_visible;

	cursor->is_visible = is_visible;
	cursor->x = pos->x;
	cursor->y = pos->y;
	count(dev, pos->scanout_id);
	if (has_changed) {
		record_cursor(dev, pos->scanout_id);
	}
}

static void hide(struct device *dev, const struct virtio_gpu_cursor_pos *pos)
{
	place(dev, pos, false);
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

static bool reserve_image(struct cursor *cursor)
{
	if (cursor->pixels == NULL) {
		cursor->pixels = g_try_new(uint32_t, SIDE * SIDE);
	}
	return cursor->pixels != NULL;
}

/* The picture in the top left corner, the rest transparent. */
static void fill_image(struct cursor *cursor, const struct frame *frame, bool has_alpha)
{
	memset(cursor->pixels, 0, SIDE * SIDE * sizeof(uint32_t));
	for (uint32_t y = 0; frame != NULL && y < frame->height; y++) {
		memcpy(cursor->pixels + y * SIDE, frame_pixel(frame, 0, y),
		       frame->width * sizeof(uint32_t));
	}
	if (frame != NULL && !has_alpha) {
		settle_alpha(cursor->pixels, frame->width, frame->height);
	}
}

/* resource is no larger than a cursor. */
static enum gpu_resp take_image(struct device *dev, struct cursor *cursor,
				const struct resource *resource)
{
	const struct rect all = { 0, 0, resource->desc.width, resource->desc.height };
	struct frame *frame = NULL;
	enum pixel_format pixel_format;
	bool has_alpha = true;
	enum gpu_resp resp =
		dev->renderer->impl->resource_read(dev->renderer, resource->id, &all, &frame);

	if (resp != GPU_RESP_OK_NODATA) {
		return resp;
	}
	renderer_format_info(resource->desc.format, &pixel_format, &has_alpha);
	if (reserve_image(cursor)) {
		fill_image(cursor, frame, has_alpha);
	} else {
		resp = GPU_RESP_ERR_OUT_OF_MEMORY;
	}
	frame_unref(frame);
	return resp;
}

/* Zeros where nothing is ever seen. */
static enum gpu_resp read_blob(struct device *dev, struct resource *resource, uint32_t *pixels)
{
	struct blob_memory *memory = resource_blob_memory(resource, dev->renderer, dev->quota);

	if (dev->renderer->impl->is_blind) {
		memset(pixels, 0, SIDE * SIDE * sizeof(uint32_t));
		return GPU_RESP_OK_NODATA;
	}
	if (memory == NULL ||
	    !blob_memory_read(memory, 0, pixels, SIDE * SIDE * sizeof(uint32_t))) {
		return GPU_RESP_ERR_UNSPEC;
	}
	settle_alpha(pixels, SIDE, SIDE);
	return GPU_RESP_OK_NODATA;
}

/* Into memory of its own first: what is refused leaves the cursor as it was. */
static enum gpu_resp take_blob(struct device *dev, struct cursor *cursor,
			       struct resource *resource)
{
	uint32_t *pixels = g_try_new(uint32_t, SIDE * SIDE);

	if (pixels == NULL) {
		return GPU_RESP_ERR_OUT_OF_MEMORY;
	}
	enum gpu_resp resp = read_blob(dev, resource, pixels);
	if (resp != GPU_RESP_OK_NODATA) {
		g_free(pixels);
		return resp;
	}
	g_free(cursor->pixels);
	cursor->pixels = pixels;
	return GPU_RESP_OK_NODATA;
}

/* A blob has no size of a picture; Linux means one of a cursor's, without gaps. */
static bool is_cursor_sized(const struct resource *resource)
{
	if (resource->is_blob) {
		return resource->blob.size_bytes >= SIDE * SIDE * sizeof(uint32_t);
	}
	return resource->desc.width > 0 && resource->desc.width <= SIDE &&
	       resource->desc.height > 0 && resource->desc.height <= SIDE;
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
	struct resource *resource = device_find_resource(dev, request->resource_id);
	if (resource == NULL) {
		return GPU_RESP_ERR_INVALID_RESOURCE_ID;
	}
	if (!is_cursor_sized(resource) || request->hot_x >= SIDE || request->hot_y >= SIDE) {
		return GPU_RESP_ERR_INVALID_PARAMETER;
	}
	struct cursor *cursor = &dev->cursors[request->pos.scanout_id];
	enum gpu_resp resp = resource->is_blob ? take_blob(dev, cursor, resource) :
						 take_image(dev, cursor, resource);
	if (resp != GPU_RESP_OK_NODATA) {
		return resp;
	}
	cursor->is_visible = true;
	cursor->x = request->pos.x;
	cursor->y = request->pos.y;
	cursor->hot_x = request->hot_x;
	cursor->hot_y = request->hot_y;
	count(dev, request->pos.scanout_id);
	record_cursor(dev, request->pos.scanout_id);
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
	place(dev, &request->pos, true);
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

bool cursor_restore(struct device *dev, uint32_t scanout_id, const struct cursor *state)
{
	if (scanout_id >= DISPLAY_MAX_SCANOUTS || dev->cursors[scanout_id].pixels != NULL ||
	    state->hot_x >= SIDE || state->hot_y >= SIDE) {
		return false;
	}
	struct cursor restored = *state;
	restored.pixels = NULL;
	if (!reserve_image(&restored)) {
		return false;
	}
	memcpy(restored.pixels, state->pixels, SIDE * SIDE * sizeof(uint32_t));
	dev->cursors[scanout_id] = restored;
	count(dev, scanout_id);
	return true;
}

uint32_t *device_grab_cursor(const struct device *dev, uint32_t scanout_id)
{
	const struct cursor *cursor = &dev->cursors[scanout_id];

	return cursor->pixels != NULL ? g_memdup2(cursor->pixels, SIDE * SIDE * sizeof(uint32_t))
				      : NULL;
}
