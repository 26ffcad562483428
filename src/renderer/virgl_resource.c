/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * Resources and the copies between them and guest pages.
 *
 * The library checks most of what a guest sends, but counts bytes in 32 bits:
 * a picture or a transfer of more than 4 GiB looks small to it, and it then
 * reads or writes outside its buffers. So such sizes end here. The limits,
 * 2^28 texels (16384 x 16384) and 1 GiB for a buffer, are above what its GL
 * drivers allocate anyway; 2^28 texels of the largest kind, 16 bytes, are the
 * 4 GiB it can't count, hence "fewer than".
 *
 * Memory of textures and buffers is the GL driver's. An estimate of it
 * (virgl_size.c) is charged to the quota, so that a guest's resources as a
 * whole have a bound.
 *
 * Of the eight 2D formats the library knows four everywhere and the others,
 * those with alpha in the first byte, not or only on desktop GL. A 2D resource
 * of such a format becomes a texture of R8G8B8A8, whose bytes GL never
 * reorders, and has its name only where a picture is read (virgl_read.c). One
 * without alpha becomes its sibling with it: the fourth byte is kept, which
 * Linux uses as the alpha of cursors.
 */
#include "renderer/virgl_internal.h"

#include <errno.h>
#include <string.h>

#include "util/log.h"

#define MAX_TEXELS ((UINT64_C(1) << 28) - 1)
#define MAX_BUFFER_BYTES (UINT32_C(1) << 30)
#define PLAIN_MAX_UNITS (4096 * 4096) /* texels, or bytes of a buffer */
#define MAX_LEVEL 15
#define MAX_SAMPLES 32
#define MAX_BLOCK_BYTES 16
#define BYTES_2D 4

enum {
	TARGET_BUFFER = 0,
	TARGET_2D = 2,
	TARGET_3D = 3,
};

struct virgl_resource *virgl_resource_find(struct virgl *virgl, uint32_t id)
{
	return g_hash_table_lookup(virgl->resources, GUINT_TO_POINTER(id));
}

static struct virgl_resource *find(struct renderer *r, uint32_t id)
{
	return virgl_resource_find(virgl_from_base(r), id);
}

void virgl_resource_free(void *data)
{
	struct virgl_resource *resource = data;

	frame_unref(resource->frame);
	if (resource->quota != NULL) {
		quota_release(resource->quota, resource->charged_bytes);
	}
	if (resource->n_files != NULL) {
		(*resource->n_files)--;
	}
	g_free(resource);
}

/* a * b, or more than any limit if that is too much. */
static uint64_t times(uint64_t a, uint64_t b)
{
	uint64_t product;

	return __builtin_mul_overflow(a, b, &product) ? UINT64_MAX : product;
}

static uint64_t count_texels(const struct resource_desc *desc)
{
	uint64_t n = times(desc->width, MAX(desc->height, 1));

	n = times(n, MAX(desc->depth, 1));
	n = times(n, MAX(desc->array_size, 1));
	return times(n, MAX(desc->nr_samples, 1));
}

/*
 * Two pixels share four bytes. The library counts so, and gives R8G8_R8B8 (1.3)
 * to GL as four bytes a pixel: GL reads twice what was allocated.
 */
static bool is_subsampled(uint32_t format)
{
	const uint32_t r8g8_b8g8 = 117, g8r8_g8b8 = 118, r8g8_r8b8 = 227, g8r8_b8r8 = 228;

	return format == r8g8_b8g8 || format == g8r8_g8b8 || format == r8g8_r8b8 ||
	       format == g8r8_b8r8;
}

enum gpu_resp virgl_resource_check(const struct resource_desc *desc)
{
	if (is_subsampled(desc->format) || desc->last_level > MAX_LEVEL ||
	    desc->nr_samples > MAX_SAMPLES) {
		return GPU_RESP_ERR_INVALID_PARAMETER;
	}
	if (desc->target == TARGET_BUFFER) {
		return desc->width <= MAX_BUFFER_BYTES ? GPU_RESP_OK_NODATA :
							 GPU_RESP_ERR_OUT_OF_MEMORY;
	}
	if (desc->width == 0 || desc->height == 0) {
		return GPU_RESP_ERR_INVALID_PARAMETER;
	}
	return count_texels(desc) <= MAX_TEXELS ? GPU_RESP_OK_NODATA : GPU_RESP_ERR_OUT_OF_MEMORY;
}

/*
 * Once the library accepts it, nothing in it can raise a GL error: nearly all
 * that guests create. What is not plain is created in context 0, where an
 * error stays without effect. Elsewhere it would be found after the next
 * command of whichever guest context is current, and condemn that. (Always
 * to change the context would be simpler and make each creation flush: 40 us
 * instead of 3.)
 */
static bool is_plain(const struct resource_desc *desc)
{
	if (desc->target == TARGET_BUFFER) {
		return desc->width <= PLAIN_MAX_UNITS;
	}
	return desc->target == TARGET_2D && desc->nr_samples == 0 &&
	       MAX(desc->width, desc->height) >> desc->last_level > 0 &&
	       times(desc->width, desc->height) <= PLAIN_MAX_UNITS;
}

static uint32_t texture_format_2d(uint32_t format)
{
	switch (format) {
	case VIRTIO_GPU_FORMAT_A8R8G8B8_UNORM:
	case VIRTIO_GPU_FORMAT_X8R8G8B8_UNORM:
	case VIRTIO_GPU_FORMAT_A8B8G8R8_UNORM:
	case VIRTIO_GPU_FORMAT_X8B8G8R8_UNORM:
	case VIRTIO_GPU_FORMAT_R8G8B8X8_UNORM:
		return VIRTIO_GPU_FORMAT_R8G8B8A8_UNORM;
	case VIRTIO_GPU_FORMAT_B8G8R8X8_UNORM:
		return VIRTIO_GPU_FORMAT_B8G8R8A8_UNORM;
	default:
		return format;
	}
}

static struct virgl_renderer_resource_create_args args_2d(uint32_t id,
							  const struct resource_desc *desc)
{
	return (struct virgl_renderer_resource_create_args){
		.handle = id,
		.target = TARGET_2D,
		.format = texture_format_2d(desc->format),
		.bind = VIRGL_RES_BIND_RENDER_TARGET,
		.width = desc->width,
		.height = desc->height,
		.depth = 1,
		.array_size = 1,
		.flags = VIRTIO_GPU_RESOURCE_FLAG_Y_0_TOP,
	};
}

static struct virgl_renderer_resource_create_args args_3d(uint32_t id,
							  const struct resource_desc *desc)
{
	return (struct virgl_renderer_resource_create_args){
		.handle = id,
		.target = desc->target,
		.format = desc->format,
		.bind = desc->bind,
		.width = desc->width,
		.height = desc->height,
		.depth = desc->depth,
		.array_size = desc->array_size,
		.last_level = desc->last_level,
		.nr_samples = desc->nr_samples,
		.flags = desc->flags,
	};
}

/* The library says EINVAL for all its reasons; in 2D only the size can be one. */
static enum gpu_resp resp_from_create_error(const struct resource_desc *desc, int error)
{
	return desc->is_2d || abs(error) == ENOMEM ? GPU_RESP_ERR_OUT_OF_MEMORY :
						     GPU_RESP_ERR_INVALID_PARAMETER;
}

/* By our own renderer, where the library has no GL. */
static enum gpu_resp create_flat(struct virgl *virgl, uint32_t id, const struct resource_desc *desc)
{
	if (virgl_resource_find(virgl, id) != NULL) {
		return GPU_RESP_ERR_INVALID_RESOURCE_ID;
	}
	if (!desc->is_2d) {
		return GPU_RESP_ERR_INVALID_PARAMETER;
	}
	enum gpu_resp resp = virgl->flat->impl->resource_create(virgl->flat, id, desc);
	if (resp == GPU_RESP_OK_NODATA) {
		struct virgl_resource *resource = g_new(struct virgl_resource, 1);

		*resource = (struct virgl_resource){ .id = id, .is_flat = true, .desc = *desc };
		g_hash_table_insert(virgl->resources, GUINT_TO_POINTER(id), resource);
	}
	return resp;
}

enum gpu_resp virgl_resource_create(struct renderer *r, uint32_t id,
				    const struct resource_desc *desc)
{
	struct virgl_renderer_resource_create_args args =
		desc->is_2d ? args_2d(id, desc) : args_3d(id, desc);
	enum gpu_resp resp = virgl_resource_check(desc);

	if (resp != GPU_RESP_OK_NODATA) {
		return resp;
	}
	if (!virgl_has_gl(virgl_from_base(r))) {
		return create_flat(virgl_from_base(r), id, desc);
	}
	if (find(r, id) != NULL) {
		return GPU_RESP_ERR_INVALID_RESOURCE_ID;
	}
	uint64_t size = virgl_size_estimate(desc);
	if (quota_charge(r->quota, size) != QUOTA_OK) {
		return GPU_RESP_ERR_OUT_OF_MEMORY;
	}
	if (!is_plain(desc)) {
		virgl_library.force_ctx_0();
	}
	int error = virgl_library.resource_create(&args, NULL, 0);
	if (error != 0) {
		log_debug("res %u: refused (%d): target %u format %u bind 0x%x %ux%ux%u", id, error,
			  args.target, args.format, args.bind, args.width, args.height,
			  args.depth);
		quota_release(r->quota, size);
		return resp_from_create_error(desc, error);
	}
	struct virgl_resource *resource = g_new(struct virgl_resource, 1);
	*resource = (struct virgl_resource){
		.id = id,
		.desc = *desc,
		.pixel_format = virgl_read_format(desc),
		.quota = r->quota,
		.charged_bytes = size,
	};
	g_hash_table_insert(virgl_from_base(r)->resources, GUINT_TO_POINTER(id), resource);
	return GPU_RESP_OK_NODATA;
}

void virgl_resource_destroy(struct renderer *r, uint32_t id)
{
	struct virgl *virgl = virgl_from_base(r);
	const struct virgl_resource *resource = find(r, id);

	if (resource == NULL) {
		return;
	}
	if (resource->is_flat) {
		virgl->flat->impl->resource_destroy(virgl->flat, id);
	} else {
		virgl_library.resource_unref(id);
	}
	g_hash_table_remove(virgl->resources, GUINT_TO_POINTER(id));
}

static enum gpu_resp attach_flat(struct virgl *virgl, struct virgl_resource *resource,
				 const struct backing *backing)
{
	enum gpu_resp resp = virgl->flat->impl->resource_attach(virgl->flat, resource->id, backing);

	if (resp == GPU_RESP_OK_NODATA) {
		resource->backing = backing;
	}
	return resp;
}

enum gpu_resp virgl_resource_attach(struct renderer *r, uint32_t id, const struct backing *backing)
{
	struct virgl_resource *resource = find(r, id);

	if (resource == NULL) {
		return GPU_RESP_ERR_INVALID_RESOURCE_ID;
	}
	if (resource->backing != NULL || backing->n_iov > INT32_MAX) {
		return GPU_RESP_ERR_UNSPEC;
	}
	if (resource->is_flat) {
		return attach_flat(virgl_from_base(r), resource, backing);
	}
	/* Without an entry the library would keep the list and read its first one. */
	if (backing->n_iov > 0 && virgl_library.resource_attach_iov((int)id, backing->iov,
								    (int)backing->n_iov) != 0) {
		return GPU_RESP_ERR_UNSPEC;
	}
	resource->backing = backing;
	return GPU_RESP_OK_NODATA;
}

void virgl_resource_detach(struct renderer *r, uint32_t id)
{
	struct virgl_resource *resource = find(r, id);
	struct iovec *iov;
	int n_iov;

	if (resource == NULL || resource->backing == NULL) {
		return;
	}
	if (resource->is_flat) {
		virgl_from_base(r)->flat->impl->resource_detach(virgl_from_base(r)->flat, id);
	} else {
		virgl_library.resource_detach_iov((int)id, &iov, &n_iov);
	}
	resource->backing = NULL;
}

static uint32_t at_level(uint32_t size, uint32_t level)
{
	return MAX(size >> level, 1);
}

static bool is_box_inside(const struct resource_desc *desc, const struct transfer_3d *transfer)
{
	const struct virtio_gpu_box *box = &transfer->box;

	if (transfer->level > desc->last_level) {
		return false;
	}
	uint32_t depth = desc->target == TARGET_3D ? at_level(desc->depth, transfer->level) :
						     desc->array_size;
	return (uint64_t)box->x + box->w <= at_level(desc->width, transfer->level) &&
	       (uint64_t)box->y + box->h <= at_level(desc->height, transfer->level) &&
	       (uint64_t)box->z + box->d <= depth;
}

/* The library, built with assertions, ends the process for one. */
static bool is_box_empty(const struct virtio_gpu_box *box)
{
	return box->w == 0 || box->h == 0 || box->d == 0;
}

/* Does no sum or product the library makes leave 32 bits? */
static bool is_countable(const struct transfer_3d *transfer)
{
	const struct virtio_gpu_box *box = &transfer->box;
	uint64_t rows = times(transfer->stride, box->h);
	uint64_t layers = times(transfer->layer_stride, box->d);

	return transfer->offset <= UINT32_MAX && rows <= UINT32_MAX && layers <= UINT32_MAX &&
	       transfer->offset + rows + layers <= UINT32_MAX;
}

/* A buffer is read back by its format's size per unit of width, but mapped by width. */
static bool is_buffer_read_inside(const struct resource_desc *desc,
				  const struct transfer_3d *transfer)
{
	const uint32_t r8_unorm = 64;

	return desc->target != TARGET_BUFFER || transfer->to_host || desc->format == r8_unorm ||
	       transfer->box.x + (uint64_t)transfer->box.w * MAX_BLOCK_BYTES <= desc->width;
}

/*
 * The pages are named each time, as the library (0.10.4) does not tell its GL
 * of those that a blob was made with, and refuses a transfer then.
 */
static int copy(const struct virgl_resource *resource, const struct transfer_3d *transfer)
{
	const struct backing *backing = resource->backing;
	struct virgl_box box = {
		transfer->box.x, transfer->box.y, transfer->box.z,
		transfer->box.w, transfer->box.h, transfer->box.d,
	};

	if (transfer->to_host) {
		return virgl_library.transfer_write_iov(resource->id, transfer->ctx_id,
							(int)transfer->level, transfer->stride,
							transfer->layer_stride, &box,
							transfer->offset, backing->iov,
							(unsigned int)backing->n_iov);
	}
	return virgl_library.transfer_read_iov(resource->id, transfer->ctx_id, transfer->level,
					       transfer->stride, transfer->layer_stride, &box,
					       transfer->offset, backing->iov, (int)backing->n_iov);
}

enum gpu_resp virgl_transfer_3d(struct renderer *r, uint32_t id, const struct transfer_3d *transfer)
{
	const struct virgl_resource *resource = find(r, id);

	if (resource == NULL) {
		return GPU_RESP_ERR_INVALID_RESOURCE_ID;
	}
	if (resource->is_flat || resource->backing == NULL || resource->backing->n_iov == 0 ||
	    !is_box_inside(&resource->desc, transfer) || !is_countable(transfer) ||
	    !is_buffer_read_inside(&resource->desc, transfer)) {
		return GPU_RESP_ERR_INVALID_PARAMETER;
	}
	if (is_box_empty(&transfer->box)) {
		return GPU_RESP_OK_NODATA;
	}
	int error = copy(resource, transfer);
	if (error != 0) {
		log_debug("res %u: transfer refused (%d)", id, error);
		return GPU_RESP_ERR_UNSPEC;
	}
	return GPU_RESP_OK_NODATA;
}

enum gpu_resp virgl_transfer_2d(struct renderer *r, uint32_t id, const struct rect *rect,
				uint64_t offset_bytes)
{
	const struct virgl_resource *resource = find(r, id);

	if (resource == NULL) {
		return GPU_RESP_ERR_INVALID_RESOURCE_ID;
	}
	if (resource->is_flat) {
		struct renderer *flat = virgl_from_base(r)->flat;

		renderer_set_listener(flat, r->listener, r->listener_data);
		return flat->impl->transfer_2d(flat, id, rect, offset_bytes);
	}
	struct transfer_3d transfer = {
		.stride = resource->desc.width * BYTES_2D,
		.offset = offset_bytes,
		.box = { .x = rect->x, .y = rect->y, .w = rect->width, .h = rect->height, .d = 1 },
		.to_host = true,
	};
	return virgl_transfer_3d(r, id, &transfer);
}
