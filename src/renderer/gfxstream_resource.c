/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * Resources. By its arguments one is a picture, a buffer or a pipe to a thread
 * that decodes a stream; the library asks no more of them than that, and ends
 * the process for an id that it has.
 *
 * The guest's pages are never attached to the library: of a list that is
 * shorter than the resource it would read and write more than there is. What
 * is copied is given with each copy (gfxstream_transfer.c).
 *
 * Of the eight 2D formats the library can copy four. A 2D resource is a picture
 * of B8G8R8A8 or R8G8B8A8 there, of which no driver changes a byte, and has
 * its name only where it is read. So the fourth byte is kept, too, which Linux
 * uses as the alpha of cursors.
 */
#include "renderer/gfxstream_internal.h"

#include <unistd.h>

#include "util/log.h"

/* The library counts bytes in 32 bits, some of them with a sign. */
#define MAX_BYTES (UINT64_C(1) << 30)
/* Drivers take no larger pictures; the library says yes, and has none then. */
#define MAX_PICTURE_SIDE 16384
/* What a guest reads of a pipe at once: Linux' drivers take 1 MiB and less. */
#define MAX_PIPE_BYTES (UINT32_C(16) << 20)

/* An estimate, on the high side, of what a driver keeps of a picture beside its texels. */
#define PICTURE_BYTES (16u << 10)
/* A thread with an OpenGL context. */
#define PIPE_BYTES (4u << 20)

enum {
	TARGET_BUFFER = 0,
	MAX_TARGET = 8,
	FORMAT_R8 = 64,
	MAX_FORMAT = 511, /* there are not as many */
	BIND_RENDER_TARGET = 1 << 1,
	BIND_SAMPLER_VIEW = 1 << 3,
	BIND_CURSOR = 1 << 16,
	BIND_CUSTOM = 1 << 17,
	BIND_SCANOUT = 1 << 18,
	BIND_LINEAR = 1 << 22,
};

struct gfxstream_resource *gfxstream_resource_find(struct gfxstream *gfxstream, uint32_t id)
{
	return g_hash_table_lookup(gfxstream->resources, GUINT_TO_POINTER(id));
}

static struct gfxstream_resource *find(struct renderer *r, uint32_t id)
{
	return gfxstream_resource_find(gfxstream_from_base(r), id);
}

void gfxstream_resource_free(void *data)
{
	struct gfxstream_resource *resource = data;
	frame_unref(resource->frame);
	gfxstream_pipe_unref(resource->pipe);
	if (resource->fd >= 0) {
		close(resource->fd);
	}
	if (resource->n_blobs != NULL) {
		(*resource->n_blobs)--;
	}
	quota_release(resource->quota, resource->charged_bytes);
	g_free(resource);
}

/* As the library decides it. */
static enum gfxstream_kind kind_of(const struct resource_desc *desc)
{
	const uint32_t picture_binds =
		BIND_RENDER_TARGET | BIND_SAMPLER_VIEW | BIND_SCANOUT | BIND_CURSOR;

	if (desc->target == TARGET_BUFFER && desc->bind == BIND_CUSTOM) {
		return GFXSTREAM_PIPE;
	}
	if (desc->format == FORMAT_R8 && (desc->bind & BIND_LINEAR) != 0 &&
	    (desc->bind & picture_binds) == 0) {
		return GFXSTREAM_BUFFER;
	}
	return GFXSTREAM_PICTURE;
}

static uint64_t count_texels(const struct resource_desc *desc)
{
	return (uint64_t)desc->width * desc->height;
}

/* There are no levels, layers and samples in the library. */
static bool is_flat(const struct resource_desc *desc)
{
	return desc->depth <= 1 && desc->array_size <= 1 && desc->last_level == 0 &&
	       desc->nr_samples <= 1;
}

static uint64_t count_bytes(const struct resource_desc *desc, enum gfxstream_kind kind)
{
	uint32_t texel_bytes = gfxstream_texel_bytes(desc->format);

	if (kind != GFXSTREAM_PICTURE) {
		texel_bytes = 1;
	} else if (texel_bytes == 0) {
		texel_bytes = GFXSTREAM_MAX_TEXEL_BYTES;
	}
	return count_texels(desc) * texel_bytes;
}

static bool is_too_large(const struct resource_desc *desc, enum gfxstream_kind kind)
{
	switch (kind) {
	case GFXSTREAM_PIPE:
		return desc->width > MAX_PIPE_BYTES;
	case GFXSTREAM_PICTURE:
		return desc->width > MAX_PICTURE_SIDE || desc->height > MAX_PICTURE_SIDE ||
		       count_bytes(desc, kind) > MAX_BYTES;
	case GFXSTREAM_BUFFER:
	case GFXSTREAM_BLOB:
	case GFXSTREAM_GUEST_BLOB:
	default:
		return count_bytes(desc, kind) > MAX_BYTES;
	}
}

enum gpu_resp gfxstream_resource_check(const struct resource_desc *desc,
				       enum gfxstream_kind *kind_out)
{
	enum gfxstream_kind kind = kind_of(desc);

	if (desc->target > MAX_TARGET || desc->format > MAX_FORMAT || desc->width == 0 ||
	    desc->height == 0 || !is_flat(desc) ||
	    (kind == GFXSTREAM_PIPE && (desc->height != 1 || desc->format != FORMAT_R8))) {
		return GPU_RESP_ERR_INVALID_PARAMETER;
	}
	if (is_too_large(desc, kind)) {
		return GPU_RESP_ERR_OUT_OF_MEMORY;
	}
	*kind_out = kind;
	return GPU_RESP_OK_NODATA;
}

uint64_t gfxstream_resource_estimate(const struct resource_desc *desc, enum gfxstream_kind kind)
{
	return count_bytes(desc, kind) + (kind == GFXSTREAM_PIPE ? PIPE_BYTES : PICTURE_BYTES);
}

static uint32_t format_2d(uint32_t format)
{
	return format == VIRTIO_GPU_FORMAT_B8G8R8A8_UNORM ||
			       format == VIRTIO_GPU_FORMAT_B8G8R8X8_UNORM
		       ? VIRTIO_GPU_FORMAT_B8G8R8A8_UNORM
		       : VIRTIO_GPU_FORMAT_R8G8B8A8_UNORM;
}

static struct gfxstream_resource_args args_of(uint32_t id, const struct resource_desc *desc)
{
	return (struct gfxstream_resource_args){
		.handle = id,
		.target = desc->target,
		.format = desc->is_2d ? format_2d(desc->format) : desc->format,
		.bind = desc->is_2d ? BIND_RENDER_TARGET : desc->bind,
		.width = desc->width,
		.height = desc->height,
		.depth = MAX(desc->depth, 1),
		.array_size = MAX(desc->array_size, 1),
		.flags = desc->flags,
	};
}

static enum pixel_format picture_format(const struct gfxstream_resource *resource)
{
	enum pixel_format format;

	if (resource->kind != GFXSTREAM_PICTURE || resource->texel_bytes != sizeof(uint32_t) ||
	    !renderer_format_info(resource->desc.format, &format, NULL)) {
		return PIXEL_NONE;
	}
	return format;
}

static bool create_in_library(const struct gfxstream_resource *resource)
{
	struct gfxstream_resource_args args = args_of(resource->id, &resource->desc);
	int error = gfxstream_library.resource_create(&args, NULL, 0);

	if (error != 0) {
		log_debug("res %u: refused (%d): target %u format %u bind 0x%x %ux%u", resource->id,
			  error, args.target, args.format, args.bind, args.width, args.height);
		return false;
	}
	if (resource->texel_bytes != 0 && !gfxstream_make_room(resource)) {
		gfxstream_library.resource_unref(resource->id);
		return false;
	}
	return true;
}

static struct gfxstream_resource describe(uint32_t id, const struct resource_desc *desc,
					  enum gfxstream_kind kind, struct quota *quota)
{
	struct gfxstream_resource resource = {
		.id = id,
		.kind = kind,
		.desc = *desc,
		.texel_bytes = kind == GFXSTREAM_PICTURE
				       ? gfxstream_texel_bytes(args_of(id, desc).format)
				       : 1,
		.quota = quota,
		.fd = -1,
	};

	resource.pixel_format = picture_format(&resource);
	return resource;
}

/* For the driver's memory, and for what the library copies through. */
static bool charge(struct gfxstream_resource *resource)
{
	uint64_t size = gfxstream_resource_estimate(&resource->desc, resource->kind) +
			gfxstream_room_bytes(resource);

	if (quota_charge(resource->quota, size) != QUOTA_OK) {
		return false;
	}
	resource->charged_bytes = size;
	return true;
}

enum gpu_resp gfxstream_resource_create(struct renderer *r, uint32_t id,
					const struct resource_desc *desc)
{
	struct gfxstream *gfxstream = gfxstream_from_base(r);
	enum gfxstream_kind kind;
	enum gpu_resp resp = gfxstream_resource_check(desc, &kind);

	if (resp != GPU_RESP_OK_NODATA) {
		return resp;
	}
	if (find(r, id) != NULL) {
		return GPU_RESP_ERR_INVALID_RESOURCE_ID;
	}
	if (g_hash_table_contains(gfxstream->spoiled_ids, GUINT_TO_POINTER(id))) {
		return GPU_RESP_ERR_OUT_OF_MEMORY;
	}
	struct gfxstream_resource *resource = g_new(struct gfxstream_resource, 1);
	*resource = describe(id, desc, kind, r->quota);
	if (!charge(resource)) {
		gfxstream_resource_free(resource);
		return GPU_RESP_ERR_OUT_OF_MEMORY;
	}
	if (!create_in_library(resource)) {
		gfxstream_resource_free(resource);
		/* Of a 2D resource only the size can be a reason. */
		return desc->is_2d ? GPU_RESP_ERR_OUT_OF_MEMORY : GPU_RESP_ERR_INVALID_PARAMETER;
	}
	g_hash_table_insert(gfxstream->resources, GUINT_TO_POINTER(id), resource);
	return GPU_RESP_OK_NODATA;
}

void gfxstream_resource_destroy(struct renderer *r, uint32_t id)
{
	struct gfxstream *gfxstream = gfxstream_from_base(r);
	const struct gfxstream_resource *resource = find(r, id);

	if (resource == NULL) {
		return;
	}
	if (resource->kind != GFXSTREAM_GUEST_BLOB) {
		gfxstream_contexts_detach(gfxstream, id);
		gfxstream_library.resource_unref(id);
	}
	g_hash_table_remove(gfxstream->resources, GUINT_TO_POINTER(id));
}

enum gpu_resp gfxstream_resource_attach(struct renderer *r, uint32_t id,
					const struct backing *backing)
{
	struct gfxstream_resource *resource = find(r, id);

	if (resource == NULL) {
		return GPU_RESP_ERR_INVALID_RESOURCE_ID;
	}
	if (resource->backing != NULL || backing->n_iov > INT32_MAX) {
		return GPU_RESP_ERR_UNSPEC;
	}
	resource->backing = backing;
	return GPU_RESP_OK_NODATA;
}

void gfxstream_resource_detach(struct renderer *r, uint32_t id)
{
	struct gfxstream_resource *resource = find(r, id);

	if (resource != NULL) {
		resource->backing = NULL;
	}
}
