/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * A resource's picture, from the GPU into a frame.
 *
 * Only the damage is read, straight into its place in the frame when the
 * resource has the frame's layout (nearly always), else through a buffer of
 * the damage's size and pixman. Rows come top down whatever the resource's
 * Y_0_TOP says: the library numbers rows as the guest does in both cases and
 * turns them where GL's order differs.
 *
 * sRGB formats hold what a display wants and are taken as they are.
 */
#include "renderer/virgl_internal.h"

#include <pixman.h>
#include <string.h>

#include "util/log.h"

enum {
	TARGET_2D = 2,
	TARGET_RECT = 5,
};

/* The library's format numbers beyond virtio's eight; bytes in memory order. */
static const struct {
	uint32_t format;
	pixman_format_code_t pixman;
} formats_3d[] = {
	{ 5, PIXMAN_a1r5g5b5 },	     /* B5G5R5A1 */
	{ 6, PIXMAN_a4r4g4b4 },	     /* B4G4R4A4 */
	{ 7, PIXMAN_r5g6b5 },	     /* B5G6R5 */
	{ 8, PIXMAN_a2b10g10r10 },   /* R10G10B10A2 */
	{ 98, PIXMAN_r8g8b8a8 },     /* A8B8G8R8_SRGB */
	{ 99, PIXMAN_r8g8b8x8 },     /* X8B8G8R8_SRGB */
	{ 100, PIXMAN_a8r8g8b8 },    /* B8G8R8A8_SRGB */
	{ 101, PIXMAN_x8r8g8b8 },    /* B8G8R8X8_SRGB */
	{ 102, PIXMAN_b8g8r8a8 },    /* A8R8G8B8_SRGB */
	{ 103, PIXMAN_b8g8r8x8 },    /* X8R8G8B8_SRGB */
	{ 104, PIXMAN_a8b8g8r8 },    /* R8G8B8A8_SRGB */
	{ 122, PIXMAN_x1r5g5b5 },    /* B5G5R5X1 */
	{ 131, PIXMAN_a2r10g10b10 }, /* B10G10R10A2 */
	{ 135, PIXMAN_x4r4g4b4 },    /* B4G4R4X4 */
	{ 230, PIXMAN_x8b8g8r8 },    /* R8G8B8X8_SRGB */
	{ 233, PIXMAN_x2r10g10b10 }, /* B10G10R10X2 */
	{ 308, PIXMAN_x2b10g10r10 }, /* R10G10B10X2 */
	{ 321, PIXMAN_b5g6r5 },	     /* R5G6B5 */
};

uint32_t virgl_read_format(const struct resource_desc *desc)
{
	uint32_t pixman_format;

	if ((desc->target != TARGET_2D && desc->target != TARGET_RECT) || desc->nr_samples > 1) {
		return 0;
	}
	if (renderer_format_info(desc->format, &pixman_format, NULL)) {
		return pixman_format;
	}
	for (size_t i = 0; i < G_N_ELEMENTS(formats_3d); i++) {
		if (formats_3d[i].format == desc->format) {
			return (uint32_t)formats_3d[i].pixman;
		}
	}
	return 0;
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

static void convert(const struct virgl_resource *resource, const struct rect *rect, uint32_t *from,
		    size_t from_stride_bytes)
{
	struct frame *frame = resource->frame;
	int width = (int)rect->width, height = (int)rect->height;
	pixman_image_t *source = pixman_image_create_bits_no_clear(
		(pixman_format_code_t)resource->pixman_format, width, height, from,
		(int)from_stride_bytes);
	pixman_image_t *target = pixman_image_create_bits_no_clear(
		PIXMAN_a8r8g8b8, width, height, frame_pixel(frame, rect->x, rect->y),
		(int)frame->stride_bytes);

	pixman_image_composite32(PIXMAN_OP_SRC, source, NULL, target, 0, 0, 0, 0, 0, 0, width,
				 height);
	pixman_image_unref(source);
	pixman_image_unref(target);
}

static enum gpu_resp read_converted(const struct virgl_resource *resource, const struct rect *rect,
				    struct quota *quota)
{
	size_t pixel_bytes = PIXMAN_FORMAT_BPP(resource->pixman_format) / 8;
	size_t stride = (rect->width * pixel_bytes + 3) & ~(size_t)3;
	size_t size = stride * rect->height;
	enum gpu_resp resp = GPU_RESP_ERR_OUT_OF_MEMORY;

	if (quota_charge(quota, size) != QUOTA_OK) {
		return resp;
	}
	uint32_t *pixels = g_try_malloc(size);
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
	if (resource->pixman_format == 0 ||
	    !rect_is_inside(damage, resource->desc.width, resource->desc.height)) {
		return GPU_RESP_ERR_INVALID_PARAMETER;
	}
	if (!prepare_frame(resource, r->quota, damage)) {
		return GPU_RESP_ERR_OUT_OF_MEMORY;
	}
	if (!rect_is_empty(damage)) {
		bool is_direct = resource->pixman_format == PIXMAN_a8r8g8b8 ||
				 resource->pixman_format == PIXMAN_x8r8g8b8;
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
