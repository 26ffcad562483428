/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * SET_SCANOUT only remembers; a picture goes out with the first flush after
 * it, whole, as then the display has a surface and something to put on it.
 */
#include "gpu/device.h"
#include "gpu/handlers.h"

void scanout_disable(struct device *dev, uint32_t scanout_id)
{
	struct scanout *scanout = &dev->scanouts[scanout_id];

	if (scanout->resource_id != 0) {
		*scanout = (struct scanout){ 0 };
		display_disable(dev->display, scanout_id);
	}
}

void scanout_disable_resource(struct device *dev, uint32_t resource_id)
{
	for (uint32_t i = 0; i < DISPLAY_MAX_SCANOUTS; i++) {
		if (dev->scanouts[i].resource_id == resource_id) {
			scanout_disable(dev, i);
		}
	}
}

enum gpu_resp handle_set_scanout(struct device *dev, struct command *command)
{
	const struct virtio_gpu_set_scanout *request = &command->request.set_scanout;
	const struct rect view = { request->r.x, request->r.y, request->r.width,
				   request->r.height };

	if (request->scanout_id >= DISPLAY_MAX_SCANOUTS) {
		return GPU_RESP_ERR_INVALID_SCANOUT_ID;
	}
	if (request->resource_id == 0) {
		scanout_disable(dev, request->scanout_id);
		return GPU_RESP_OK_NODATA;
	}
	const struct resource *resource = device_find_resource(dev, request->resource_id);
	if (resource == NULL) {
		return GPU_RESP_ERR_INVALID_RESOURCE_ID;
	}
	if (!rect_is_inside(&view, resource->desc.width, resource->desc.height) ||
	    view.width < DISPLAY_MIN_SIDE || view.height < DISPLAY_MIN_SIDE ||
	    view.width > DISPLAY_MAX_SIDE || view.height > DISPLAY_MAX_SIDE) {
		return GPU_RESP_ERR_INVALID_PARAMETER;
	}
	dev->scanouts[request->scanout_id] = (struct scanout){
		.resource_id = request->resource_id,
		.view = view,
		.is_full_due = true,
	};
	return GPU_RESP_OK_NODATA;
}

/* Show damage, which is inside the scanout's view and in the resource's coordinates. */
static enum gpu_resp show(struct device *dev, uint32_t scanout_id, const struct rect *damage)
{
	struct scanout *scanout = &dev->scanouts[scanout_id];
	struct display_picture picture = { .view = scanout->view };
	enum gpu_resp resp = dev->renderer->impl->resource_read(
		dev->renderer, scanout->resource_id, damage, &picture.frame);

	if (resp != GPU_RESP_OK_NODATA || picture.frame == NULL) {
		return resp;
	}
	const struct rect on_scanout = { damage->x - scanout->view.x, damage->y - scanout->view.y,
					 damage->width, damage->height };
	display_update(dev->display, scanout_id, &picture, &on_scanout);
	frame_unref(picture.frame);
	scanout->is_full_due = false;
	return GPU_RESP_OK_NODATA;
}

static enum gpu_resp flush(struct device *dev, uint32_t scanout_id, const struct rect *rect)
{
	const struct scanout *scanout = &dev->scanouts[scanout_id];
	const struct rect damage =
		scanout->is_full_due ? scanout->view : rect_intersect(rect, &scanout->view);

	return rect_is_empty(&damage) ? GPU_RESP_OK_NODATA : show(dev, scanout_id, &damage);
}

enum gpu_resp handle_resource_flush(struct device *dev, struct command *command)
{
	const struct virtio_gpu_resource_flush *request = &command->request.resource_flush;
	const struct rect rect = { request->r.x, request->r.y, request->r.width,
				   request->r.height };
	const struct resource *resource = device_find_resource(dev, request->resource_id);
	enum gpu_resp resp = GPU_RESP_OK_NODATA;

	if (resource == NULL) {
		return GPU_RESP_ERR_INVALID_RESOURCE_ID;
	}
	if (!rect_is_inside(&rect, resource->desc.width, resource->desc.height)) {
		return GPU_RESP_ERR_INVALID_PARAMETER;
	}
	for (uint32_t i = 0; i < DISPLAY_MAX_SCANOUTS; i++) {
		if (dev->scanouts[i].resource_id != resource->id) {
			continue;
		}
		dev->scanouts[i].is_flushed = true;
		if (!display_is_watched(dev->display)) {
			dev->scanouts[i].is_full_due = true;
			continue;
		}
		enum gpu_resp one = flush(dev, i, &rect);
		if (one != GPU_RESP_OK_NODATA) {
			resp = one;
		}
	}
	return resp;
}

void scanout_replay(struct device *dev, uint32_t scanout_id)
{
	struct scanout *scanout = &dev->scanouts[scanout_id];

	scanout->is_full_due = true;
	/* What was never flushed is not to be seen yet. */
	if (scanout->resource_id != 0 && scanout->is_flushed) {
		show(dev, scanout_id, &scanout->view);
	}
}
