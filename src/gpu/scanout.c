/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * SET_SCANOUT only remembers; a picture goes out with the first flush after
 * it, whole, as then the display has a surface and something to put on it.
 *
 * A flush is answered when its picture is on its way. So a guest that draws as
 * soon as it may goes at its display's pace, and no frame is copied that
 * nobody will see. The wait is short, and once a display has let it pass it is
 * not waited for until it reads on: one that is slow or does not read at all
 * must not slow down the guest, it sees fewer frames instead. But where the
 * display reads the guest's own memory each picture is waited for, because the
 * guest draws into the next one then: at least 60 a second are no loss.
 */
#include "gpu/device.h"
#include "gpu/handlers.h"
#include "gpu/scanout_blob.h"
#include "gpu/scanout_dmabuf.h"

/* A frame of a display of 60 Hz. */
#define HOLD_US (16 * 1000)

/* What it is, for who looks. */
static void count(struct device *dev, uint32_t scanout_id)
{
	const struct scanout *scanout = &dev->scanouts[scanout_id];

	if (dev->stats == NULL) {
		return;
	}
	struct stats_scanout *stats = &dev->stats->scanouts[scanout_id];
	stats_set(&stats->width, scanout->view.width);
	stats_set(&stats->height, scanout->view.height);
	stats_set(&stats->is_blob, scanout->layout.format != 0);
	stats_set(&stats->is_dmabuf, scanout->dmabuf_of != 0);
	stats_set(&stats->resource_id, scanout->resource_id);
}

void scanout_disable(struct device *dev, uint32_t scanout_id)
{
	struct scanout *scanout = &dev->scanouts[scanout_id];

	if (scanout->resource_id != 0) {
		frame_unref(scanout->frame);
		*scanout = (struct scanout){ 0 };
		count(dev, scanout_id);
		display_disable(dev->display, scanout_id);
		record_drop(dev, RECORD_SCANOUT, scanout_id);
	}
}

/* Another is set there, but was not flushed yet: what is gone is not to be seen meanwhile. */
static void stop_reading(struct device *dev, uint32_t resource_id)
{
	for (uint32_t i = 0; i < DISPLAY_MAX_SCANOUTS; i++) {
		struct scanout *scanout = &dev->scanouts[i];

		if (scanout->dmabuf_of == resource_id && scanout->resource_id != resource_id) {
			display_disable(dev->display, i);
			scanout->dmabuf_of = 0;
			scanout->is_full_due = true;
		}
	}
}

void scanout_disable_resource(struct device *dev, uint32_t resource_id)
{
	stop_reading(dev, resource_id);
	for (uint32_t i = 0; i < DISPLAY_MAX_SCANOUTS; i++) {
		if (dev->scanouts[i].resource_id == resource_id) {
			scanout_disable(dev, i);
		}
	}
}

static bool is_view(const struct rect *view, uint32_t width, uint32_t height)
{
	return rect_is_inside(view, width, height) && view->width >= DISPLAY_MIN_SIDE &&
	       view->height >= DISPLAY_MIN_SIDE && view->width <= DISPLAY_MAX_SIDE &&
	       view->height <= DISPLAY_MAX_SIDE;
}

/* layout->format is 0 unless the resource is to be shown as a blob. */
static bool is_showable(const struct resource *resource, const struct blob_layout *layout,
			const struct rect *view)
{
	if (layout->format == 0) {
		return is_view(view, resource->desc.width, resource->desc.height);
	}
	return resource->is_blob && blob_layout_is_sane(layout, resource->blob.size_bytes) &&
	       is_view(view, layout->width, layout->height);
}

/* The memory of a copy of one size serves the next. */
static struct frame *take_frame(struct scanout *scanout, const struct blob_layout *layout)
{
	struct frame *frame = g_steal_pointer(&scanout->frame);

	if (frame != NULL && (frame->width != layout->width || frame->height != layout->height)) {
		g_clear_pointer(&frame, frame_unref);
	}
	return frame;
}

static enum gpu_resp set_scanout(struct device *dev, uint32_t scanout_id, uint32_t resource_id,
				 const struct blob_layout *layout, const struct rect *view)
{
	if (scanout_id >= DISPLAY_MAX_SCANOUTS) {
		return GPU_RESP_ERR_INVALID_SCANOUT_ID;
	}
	if (resource_id == 0) {
		scanout_disable(dev, scanout_id);
		return GPU_RESP_OK_NODATA;
	}
	const struct resource *resource = device_find_resource(dev, resource_id);
	if (resource == NULL) {
		return GPU_RESP_ERR_INVALID_RESOURCE_ID;
	}
	if (!is_showable(resource, layout, view)) {
		return GPU_RESP_ERR_INVALID_PARAMETER;
	}
	struct frame *frame = take_frame(&dev->scanouts[scanout_id], layout);
	dev->scanouts[scanout_id] = (struct scanout){
		.resource_id = resource_id,
		.layout = *layout,
		.frame = frame,
		.view = *view,
		.is_full_due = true,
		.dmabuf_of = dev->scanouts[scanout_id].dmabuf_of,
	};
	count(dev, scanout_id);
	record_scanout(dev, scanout_id);
	return GPU_RESP_OK_NODATA;
}

enum gpu_resp handle_set_scanout(struct device *dev, struct command *command)
{
	const struct virtio_gpu_set_scanout *request = &command->request.set_scanout;
	const struct rect view = { request->r.x, request->r.y, request->r.width,
				   request->r.height };
	const struct blob_layout none = { 0 };

	return set_scanout(dev, request->scanout_id, request->resource_id, &none, &view);
}

/* One plane, as all formats that there are have. */
enum gpu_resp handle_set_scanout_blob(struct device *dev, struct command *command)
{
	const struct virtio_gpu_set_scanout_blob *request = &command->request.set_scanout_blob;
	const struct rect view = { request->r.x, request->r.y, request->r.width,
				   request->r.height };
	const struct blob_layout layout = {
		.format = request->format,
		.width = request->width,
		.height = request->height,
		.stride_bytes = request->strides[0],
		.offset_bytes = request->offsets[0],
	};

	if (!device_has_feature(dev, VIRTIO_GPU_F_RESOURCE_BLOB)) {
		return GPU_RESP_ERR_UNSPEC;
	}
	if (request->format == 0 && request->resource_id != 0) {
		return GPU_RESP_ERR_INVALID_PARAMETER;
	}
	return set_scanout(dev, request->scanout_id, request->resource_id, &layout, &view);
}

static enum gpu_resp read_picture(struct device *dev, struct scanout *scanout,
				  struct resource *resource, const struct rect *damage,
				  struct frame **frame_out)
{
	if (scanout->layout.format != 0) {
		return scanout_read_blob(dev, scanout, resource, damage, frame_out);
	}
	enum gpu_resp resp = resource_settle(resource, dev->renderer);
	if (resp != GPU_RESP_OK_NODATA) {
		return resp;
	}
	return dev->renderer->impl->resource_read(dev->renderer, scanout->resource_id, damage,
						  frame_out);
}

static enum gpu_resp show_frame(struct device *dev, uint32_t scanout_id, struct resource *resource,
				const struct rect *damage, const struct rect *on_scanout,
				bool *is_waiting_out)
{
	struct scanout *scanout = &dev->scanouts[scanout_id];
	struct display_picture picture = { .view = scanout->view };
	enum gpu_resp resp = read_picture(dev, scanout, resource, damage, &picture.frame);

	if (resp != GPU_RESP_OK_NODATA) {
		scanout->is_full_due = true;
		return resp;
	}
	if (picture.frame == NULL) {
		return resp;
	}
	*is_waiting_out = display_update(dev->display, scanout_id, &picture, on_scanout);
	scanout->is_full_due = false;
	scanout->dmabuf_of = 0;
	scanout->is_lent = picture.frame->lender != NULL;
	frame_unref(picture.frame);
	count(dev, scanout_id);
	return GPU_RESP_OK_NODATA;
}

/*
 * Show damage, which is inside the scanout's view and in the resource's
 * coordinates; or all of the view, if the display has not got it in this way.
 * *is_waiting_out: an older picture has to go out first, or the display has to
 * draw.
 */
static enum gpu_resp show(struct device *dev, uint32_t scanout_id, const struct rect *damage,
			  bool *is_waiting_out)
{
	struct scanout *scanout = &dev->scanouts[scanout_id];
	struct resource *resource = device_find_resource(dev, scanout->resource_id);
	struct dmabuf *dmabuf = scanout_find_dmabuf(dev, scanout_id, resource);

	if ((scanout->dmabuf_of != 0) != (dmabuf != NULL)) {
		damage = &scanout->view;
	}
	const struct rect on_scanout = { damage->x - scanout->view.x, damage->y - scanout->view.y,
					 damage->width, damage->height };
	if (dmabuf == NULL) {
		return show_frame(dev, scanout_id, resource, damage, &on_scanout, is_waiting_out);
	}
	*is_waiting_out = display_update_dmabuf(dev->display, scanout_id, dmabuf, 0, &on_scanout);
	scanout->is_full_due = false;
	scanout->dmabuf_of = scanout->resource_id;
	scanout->is_lent = true;
	g_clear_pointer(&scanout->frame, frame_unref);
	count(dev, scanout_id);
	return GPU_RESP_OK_NODATA;
}

/* Hold the answer until no scanout of the mask waits, or for too long, if it may be. */
static enum gpu_resp hold(struct device *dev, struct command *command, uint32_t scanouts)
{
	if (!device_may_wait(dev, command)) {
		return GPU_RESP_OK_NODATA;
	}
	command->waits_for = scanouts;
	command->deadline_us = g_get_monotonic_time() + HOLD_US;
	g_queue_push_tail_link(&dev->held, &command->link);
	return GPU_RESP_PENDING;
}

static void release(struct device *dev, struct command *command)
{
	g_queue_unlink(&dev->held, &command->link);
	device_answer(dev, command, GPU_RESP_OK_NODATA);
}

void device_take_taken(struct device *dev, uint32_t scanouts)
{
	dev->slow_scanouts &= ~scanouts;
	for (GList *link = dev->held.head, *next; link != NULL; link = next) {
		struct command *command = link->data;

		next = link->next;
		command->waits_for &= ~scanouts;
		if (command->waits_for == 0) {
			release(dev, command);
		}
	}
}

gint64 device_expire(struct device *dev)
{
	struct command *command;

	while ((command = g_queue_peek_head(&dev->held)) != NULL) {
		gint64 left_us = command->deadline_us - g_get_monotonic_time();

		if (left_us > 0) {
			return left_us;
		}
		dev->slow_scanouts |= command->waits_for;
		release(dev, command);
	}
	return -1;
}

void scanout_drop_held(struct device *dev)
{
	GList *link;

	while ((link = g_queue_pop_head_link(&dev->held)) != NULL) {
		command_destroy(link->data);
	}
	dev->slow_scanouts = 0;
}

static enum gpu_resp flush(struct device *dev, uint32_t scanout_id, const struct rect *rect,
			   bool *is_waiting_out)
{
	const struct scanout *scanout = &dev->scanouts[scanout_id];
	const struct rect damage =
		scanout->is_full_due ? scanout->view : rect_intersect(rect, &scanout->view);

	return rect_is_empty(&damage) ? GPU_RESP_OK_NODATA :
					show(dev, scanout_id, &damage, is_waiting_out);
}

static void mark_flushed(struct device *dev, uint32_t scanout_id)
{
	if (!dev->scanouts[scanout_id].is_flushed) {
		dev->scanouts[scanout_id].is_flushed = true;
		record_scanout(dev, scanout_id);
	}
}

/* Inside all pictures that there are of it. */
static bool is_flushable(const struct device *dev, const struct resource *resource,
			 const struct rect *rect)
{
	if (!resource->is_blob) {
		return rect_is_inside(rect, resource->desc.width, resource->desc.height);
	}
	for (uint32_t i = 0; i < DISPLAY_MAX_SCANOUTS; i++) {
		const struct blob_layout *layout = &dev->scanouts[i].layout;

		if (dev->scanouts[i].resource_id == resource->id &&
		    !rect_is_inside(rect, layout->width, layout->height)) {
			return false;
		}
	}
	return true;
}

/* Of a resource that several scanouts show, each may show another part. */
static void count_frame(struct device *dev, uint32_t scanout_id, const struct rect *rect)
{
	const struct rect shown = rect_intersect(rect, &dev->scanouts[scanout_id].view);

	if (!rect_is_empty(&shown)) {
		stats_add_frame(dev->stats, scanout_id);
	}
}

enum gpu_resp handle_resource_flush(struct device *dev, struct command *command)
{
	const struct virtio_gpu_resource_flush *request = &command->request.resource_flush;
	const struct rect rect = { request->r.x, request->r.y, request->r.width,
				   request->r.height };
	const struct resource *resource = device_find_resource(dev, request->resource_id);
	enum gpu_resp resp = GPU_RESP_OK_NODATA;
	uint32_t waiting = 0;

	if (resource == NULL) {
		return GPU_RESP_ERR_INVALID_RESOURCE_ID;
	}
	if (!is_flushable(dev, resource, &rect)) {
		return GPU_RESP_ERR_INVALID_PARAMETER;
	}
	display_reclaim(dev->display);
	for (uint32_t i = 0; i < DISPLAY_MAX_SCANOUTS; i++) {
		bool is_waiting = false;

		if (dev->scanouts[i].resource_id != resource->id) {
			continue;
		}
		mark_flushed(dev, i);
		count_frame(dev, i, &rect);
		if (!display_is_watched(dev->display)) {
			dev->scanouts[i].is_full_due = true;
			continue;
		}
		enum gpu_resp one = flush(dev, i, &rect, &is_waiting);
		if (one != GPU_RESP_OK_NODATA) {
			resp = one;
		}
		waiting |= (uint32_t)is_waiting << i;
		if (!is_waiting || dev->scanouts[i].is_lent) {
			dev->slow_scanouts &= ~(1u << i); /* it reads on, or is waited for */
		}
	}
	waiting &= ~dev->slow_scanouts;
	return resp == GPU_RESP_OK_NODATA && waiting != 0 ? hold(dev, command, waiting) : resp;
}

void scanout_leave_pages(struct device *dev, uint32_t resource_id)
{
	stop_reading(dev, resource_id);
	for (uint32_t i = 0; i < DISPLAY_MAX_SCANOUTS; i++) {
		if (dev->scanouts[i].resource_id == resource_id &&
		    dev->scanouts[i].dmabuf_of == resource_id) {
			scanout_replay(dev, i);
		}
	}
}

void scanout_replay(struct device *dev, uint32_t scanout_id)
{
	struct scanout *scanout = &dev->scanouts[scanout_id];

	scanout->is_full_due = true;
	/* A front-end may still have a buffer of before a reset. */
	if (scanout->resource_id == 0 && display_dmabufs(dev->display) != DMABUFS_NONE) {
		display_disable(dev->display, scanout_id);
	}
	/* What was never flushed is not to be seen yet, and what is lost not any more. */
	if (scanout->is_flushed && device_find_resource(dev, scanout->resource_id) != NULL) {
		bool ignored;

		dev->holds_breath = true;
		show(dev, scanout_id, &scanout->view, &ignored);
		dev->holds_breath = false;
	}
}

/* The display may come before the memory, and a guest that has drawn waits for nothing. */
void scanout_catch_up(struct device *dev)
{
	for (uint32_t i = 0; i < DISPLAY_MAX_SCANOUTS; i++) {
		const struct scanout *scanout = &dev->scanouts[i];

		if (scanout->layout.format != 0 && scanout->is_full_due &&
		    display_is_watched(dev->display)) {
			scanout_replay(dev, i);
		}
	}
}

/*
 * One whose resource is lost stays as it is: the display shows its last
 * picture until the guest shows another, or ends the scanout or the resource.
 */
bool scanout_restore(struct device *dev, uint32_t scanout_id, const struct scanout *state)
{
	const struct resource *resource = device_find_resource_or_lost(dev, state->resource_id);

	if (scanout_id >= DISPLAY_MAX_SCANOUTS || dev->scanouts[scanout_id].resource_id != 0 ||
	    resource == NULL ||
	    (!resource->is_lost && !is_showable(resource, &state->layout, &state->view))) {
		return false;
	}
	dev->scanouts[scanout_id] = *state;
	dev->scanouts[scanout_id].frame = NULL;
	dev->scanouts[scanout_id].is_full_due = true;
	count(dev, scanout_id);
	/* What the display may read meanwhile is of a resource that nobody knows any more. */
	if (!state->is_flushed && display_dmabufs(dev->display) != DMABUFS_NONE) {
		display_disable(dev->display, scanout_id);
	}
	return true;
}

/* Flushed or not: who looks inside wants to see why a screen is dark. */
enum gpu_resp device_grab(struct device *dev, uint32_t scanout_id, struct frame **frame_out,
			  struct rect *view_out)
{
	struct scanout *scanout = &dev->scanouts[scanout_id];
	struct resource *resource = device_find_resource(dev, scanout->resource_id);
	struct frame *frame = NULL;

	if (resource == NULL) {
		return GPU_RESP_ERR_INVALID_SCANOUT_ID;
	}
	dev->holds_breath = true;
	enum gpu_resp resp = read_picture(dev, scanout, resource, &scanout->view, &frame);
	dev->holds_breath = false;
	if (resp != GPU_RESP_OK_NODATA) {
		return resp;
	}
	if (frame == NULL) {
		return GPU_RESP_ERR_UNSPEC;
	}
	*frame_out = frame;
	*view_out = scanout->view;
	return GPU_RESP_OK_NODATA;
}
