/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * A resource's picture, from the GPU into a frame.
 *
 * Only the damage is read, straight into its place in the frame when the
 * resource has the frame's layout (nearly always), else through a buffer of
 * the damage's size. Rows come top down whatever the resource's
 * Y_0_TOP says: the library numbers rows as the guest does in both cases and
 * turns them where GL's order differs.
 *
 * sRGB formats hold what a display wants and are taken as they are.
 */
#include "renderer/virgl_internal.h"

#include <string.h>

#include "util/log.h"

enum {
	TARGET_2D = 2,
	TARGET_RECT = 5,
};

/* The library's format numbers beyond virtio's eight; bytes in memory order. */
static const struct {
	uint32_t format;
	enum pixel_format pixels;
} formats_3d[] = {
	{ 5, PIXEL_ARGB1555 },	    /* B5G5R5A1 */
	{ 6, PIXEL_ARGB4444 },	    /* B4G4R4A4 */
	{ 7, PIXEL_RGB565 },	    /* B5G6R5 */
	{ 8, PIXEL_ABGR2101010 },   /* R10G10B10A2 */
	{ 98, PIXEL_RGBA8888 },	    /* A8B8G8R8_SRGB */
	{ 99, PIXEL_RGBX8888 },	    /* X8B8G8R8_SRGB */
	{ 100, PIXEL_ARGB8888 },    /* B8G8R8A8_SRGB */
	{ 101, PIXEL_XRGB8888 },    /* B8G8R8X8_SRGB */
	{ 102, PIXEL_BGRA8888 },    /* A8R8G8B8_SRGB */
	{ 103, PIXEL_BGRX8888 },    /* X8R8G8B8_SRGB */
	{ 104, PIXEL_ABGR8888 },    /* R8G8B8A8_SRGB */
	{ 122, PIXEL_XRGB1555 },    /* B5G5R5X1 */
	{ 131, PIXEL_ARGB2101010 }, /* B10G10R10A2 */
	{ 135, PIXEL_XRGB4444 },    /* B4G4R4X4 */
	{ 230, PIXEL_XBGR8888 },    /* R8G8B8X8_SRGB */
	{ 233, PIXEL_XRGB2101010 }, /* B10G10R10X2 */
	{ 308, PIXEL_XBGR2101010 }, /* R10G10B10X2 */
	{ 321, PIXEL_BGR565 },	    /* R5G6B5 */
};

enum pixel_format virgl_read_format(const struct resource_desc *desc)
{
	enum pixel_format pixel_format;

	if ((desc->target != TARGET_2D && desc->target != TARGET_RECT) || desc->nr_samples > 1) {
		return PIXEL_NONE;
	}
	if (renderer_format_info(desc->format, &pixel_format, NULL)) {
		return pixel_format;
	}
	for (size_t i = 0; i < G_N_ELEMENTS(formats_3d); i++) {
		if (formats_3d[i].format == desc->format) {
			return formats_3d[i].pixels;
		}
	}
	return PIXEL_NONE;
}

/* rect into rows that are stride_bytes apart; size_bytes is all there is at to. */
static bool read_pixels(const struct virgl_resource *resource, const struct rect *rect, void *to,
			size_t stride_bytes, size_t size_bytes)
{
	struct virgl_box box = { rect->x, rect->y, 0, rect->width, rect->height, 1 };
	struct iovec iov = { .iov_base = to, .iov_len = size_bytes };
	int error = virgl_library.transfer_read_iov(resource->id, 0, 0, (uint32_t)stride_bytes, 0,
						    &box, 0, &iov, 1);

	if (error != 0) {
		log_debug("res %u: no picture (%d)", resource->id, error);
	}
	return error == 0;
}

static enum gpu_resp read_direct(const struct virgl_resource *resource, const struct rect *rect)
{
	struct frame *frame = resource->frame;
	size_t size = (rect->height - 1) * frame->stride_bytes + rect->width * sizeof(uint32_t);

	if (!read_pixels(resource, rect, frame_pixel(frame, rect->x, rect->y),
			 frame->stride_bytes, size)) {
		return GPU_RESP_ERR_UNSPEC;
	}
	return GPU_RESP_OK_NODATA;
}

static void convert(const struct virgl_resource *resource, const struct rect *rect,
		    const char *from, size_t from_stride_bytes)
{
	for (uint32_t row = 0; row < rect->height; row++) {
		pixels_convert_row(frame_pixel(resource->frame, rect->x, rect->y + row),
				   from + row * from_stride_bytes, resource->pixel_format,
				   rect->width);
	}
}

static enum gpu_resp read_converted(const struct virgl_resource *resource, const struct rect *rect,
				    struct quota *quota)
{
	size_t pixel_bytes = pixels_size(resource->pixel_format);
	size_t stride = (rect->width * pixel_bytes + 3) & ~(size_t)3;
	size_t size = stride * rect->height;
	enum gpu_resp resp = GPU_RESP_ERR_OUT_OF_MEMORY;

	if (quota_charge(quota, size) != QUOTA_OK) {
		return resp;
	}
	char *pixels = g_try_malloc(size);
	if (pixels != NULL) {
		resp = GPU_RESP_ERR_UNSPEC;
		if (read_pixels(resource, rect, pixels, stride, size)) {
			convert(resource, rect, pixels, stride);
			resp = GPU_RESP_OK_NODATA;
		}
	}
	g_free(pixels);
	quota_release(quota, size);
	return resp;
}

static bool prepare_frame(struct virgl_resource *resource, struct quota *quota,
			  const struct rect *damage)
{
	if (resource->frame != NULL) {
		return frame_make_writable(&resource->frame, damage);
	}
	resource->frame = frame_create(quota, resource->desc.width, resource->desc.height);
	return resource->frame != NULL;
}

enum gpu_resp virgl_resource_read(struct renderer *r, uint32_t id, const struct rect *damage,
				  struct frame **frame_out)
{
	struct virgl *virgl = virgl_from_base(r);
	struct virgl_resource *resource =
		g_hash_table_lookup(virgl->resources, GUINT_TO_POINTER(id));
	enum gpu_resp resp = GPU_RESP_OK_NODATA;

	if (resource == NULL) {
		return GPU_RESP_ERR_INVALID_RESOURCE_ID;
	}
	if (resource->is_flat) {
		return virgl->flat->impl->resource_read(virgl->flat, id, damage, frame_out);
	}
	if (resource->pixel_format == PIXEL_NONE ||
	    !rect_is_inside(damage, resource->desc.width, resource->desc.height)) {
		return GPU_RESP_ERR_INVALID_PARAMETER;
	}
	if (!prepare_frame(resource, r->quota, damage)) {
		return GPU_RESP_ERR_OUT_OF_MEMORY;
	}
	if (!rect_is_empty(damage)) {
		bool is_direct = resource->pixel_format == PIXEL_ARGB8888 ||
				 resource->pixel_format == PIXEL_XRGB8888;
		resp = is_direct ? read_direct(resource, damage) :
				   read_converted(resource, damage, r->quota);
	}
	if (resp != GPU_RESP_OK_NODATA) {
		frame_clear(resource->frame, damage);
		return resp;
	}
	*frame_out = frame_ref(resource->frame);
	return GPU_RESP_OK_NODATA;
}
