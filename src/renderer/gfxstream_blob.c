/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * Blobs. Memory of the guest's is no business of the library's, and memory that
 * is both the guest's and the host's it has not.
 *
 * A context's memory has a name (blob_id): 0 makes a new ring, by which the
 * context sends its commands; others are those that a guest has given in its
 * stream. The library says that it has made a blob whether or not there is such
 * memory, and is asked for what it must know of it if there is.
 *
 * It gives its descriptor away once, so that this one is kept.
 */
#include "renderer/gfxstream_internal.h"

#include <fcntl.h>
#include <unistd.h>

#include "renderer/memory_fd.h"
#include "util/checked.h"
#include "util/log.h"

/* Of the 16384 descriptors that this process may have; each is one. */
#define MAX_BLOBS 8192
/* For more the library ends the process. */
#define MAX_RING_BYTES (16u << 20)
/* A thread that draws what is in a ring, with an OpenGL context. */
#define RING_BYTES (4u << 20)

static bool find_bytes(int fd, uint32_t handle_type, uint64_t size_bytes, uint64_t *offset_out)
{
	switch (handle_type) {
	case GFXSTREAM_HANDLE_DMABUF:
		return memory_fd_find(fd, MEMORY_FD_DMABUF, size_bytes, offset_out);
	case GFXSTREAM_HANDLE_OPAQUE_FD:
		return memory_fd_find(fd, MEMORY_FD_OPAQUE, size_bytes, offset_out);
	case GFXSTREAM_HANDLE_SHM:
		return memory_fd_find(fd, MEMORY_FD_SHM, size_bytes, offset_out);
	default:
		return false;
	}
}

/* What of it others can map, if anything. */
static void take_memory(struct gfxstream_resource *resource, const struct blob_desc *desc,
			uint32_t map_info)
{
	struct gfxstream_handle handle = { .os_handle = -1 };
	uint64_t offset;

	if (gfxstream_library.export_blob(resource->id, &handle) != 0 || handle.os_handle < 0 ||
	    handle.os_handle > INT32_MAX) {
		log_debug("res %u: no descriptor of its memory", resource->id);
		return;
	}
	int fd = (int)handle.os_handle;
	fcntl(fd, F_SETFD, FD_CLOEXEC);
	map_info &= VIRTIO_GPU_MAP_CACHE_MASK;
	if (map_info == VIRTIO_GPU_MAP_CACHE_NONE || map_info > VIRTIO_GPU_MAP_CACHE_WC ||
	    !find_bytes(fd, handle.handle_type, desc->size_bytes, &offset)) {
		log_debug("res %u: its memory is none that others can map (type %u, mode %u)",
			  resource->id, handle.handle_type, map_info);
		close(fd);
		return;
	}
	resource->fd = fd;
	resource->offset_bytes = offset;
	resource->map_info = map_info;
}

/* False: the context has no such memory. */
static bool create_in_library(uint32_t id, const struct blob_desc *desc, uint32_t *map_info_out)
{
	const struct gfxstream_blob_args args = {
		.blob_mem = desc->mem,
		.blob_flags = desc->flags,
		.blob_id = desc->blob_id,
		.size = desc->size_bytes,
	};
	int error = gfxstream_library.create_blob(desc->ctx_id, id, &args, NULL, 0, NULL);

	if (error == 0) {
		error = gfxstream_library.resource_map_info(id, map_info_out);
	}
	if (error != 0) {
		log_debug("res %u: no such blob (%d): flags 0x%x, ctx %u", id, error, desc->flags,
			  desc->ctx_id);
	}
	return error == 0;
}

/* Of what name the library looks for a picture: the half of it that it has there. */
static uint64_t picture_name(const struct blob_desc *desc)
{
	return (uint32_t)desc->blob_id;
}

/* A picture that the context has said the blob is to be of; NULL: none. */
static const struct resource_desc *find_picture(const struct gfxstream_context *context,
						const struct blob_desc *desc)
{
	uint64_t name = picture_name(desc);

	return g_hash_table_lookup(context->pending, &name);
}

/* What a picture takes may be more than its size as a blob; that can be any number. */
static uint64_t charge_of(const struct gfxstream_context *context, const struct blob_desc *desc)
{
	const struct resource_desc *picture = find_picture(context, desc);
	uint64_t size =
		picture != NULL ? gfxstream_resource_estimate(picture, GFXSTREAM_PICTURE) : 0;
	uint64_t sum;

	size = MAX(size, desc->size_bytes);
	return checked_add_u64(size, desc->blob_id == 0 ? RING_BYTES : 0, &sum) ? sum : UINT64_MAX;
}

static struct gfxstream_resource *add(struct gfxstream *gfxstream, uint32_t id,
				      enum gfxstream_kind kind, uint64_t charged_bytes)
{
	struct gfxstream_resource *resource = g_new(struct gfxstream_resource, 1);

	*resource = (struct gfxstream_resource){
		.id = id,
		.kind = kind,
		.quota = gfxstream->base.quota,
		.charged_bytes = charged_bytes,
		.fd = -1,
	};
	g_hash_table_insert(gfxstream->resources, GUINT_TO_POINTER(id), resource);
	return resource;
}

/* A picture was made, and no blob of it: that stays, and nobody has a name for it. */
static void spoil_id(struct gfxstream *gfxstream, struct gfxstream_context *context, uint32_t id,
		     const struct blob_desc *desc)
{
	uint64_t name = picture_name(desc);

	if (g_hash_table_remove(context->pending, &name)) {
		g_hash_table_add(gfxstream->spoiled_ids, GUINT_TO_POINTER(id));
	}
}

static enum gpu_resp create_of_host(struct gfxstream *gfxstream, uint32_t id,
				    const struct blob_desc *desc)
{
	struct gfxstream_context *context = gfxstream_context_find(gfxstream, desc->ctx_id);
	uint32_t map_info = 0;

	if (context == NULL) {
		return GPU_RESP_ERR_INVALID_CONTEXT_ID;
	}
	if (desc->mem != VIRTIO_GPU_BLOB_MEM_HOST3D) {
		return GPU_RESP_ERR_INVALID_PARAMETER;
	}
	uint64_t charge = charge_of(context, desc);
	if (gfxstream->n_blobs >= MAX_BLOBS ||
	    g_hash_table_contains(gfxstream->spoiled_ids, GUINT_TO_POINTER(id)) ||
	    quota_charge(gfxstream->base.quota, charge) != QUOTA_OK) {
		return GPU_RESP_ERR_OUT_OF_MEMORY;
	}
	if (!create_in_library(id, desc, &map_info)) {
		quota_release(gfxstream->base.quota, charge);
		spoil_id(gfxstream, context, id, desc);
		return GPU_RESP_ERR_INVALID_PARAMETER;
	}
	uint64_t name = picture_name(desc);
	g_hash_table_remove(context->pending, &name);
	struct gfxstream_resource *resource = add(gfxstream, id, GFXSTREAM_BLOB, charge);
	resource->is_ring = desc->blob_id == 0 && desc->size_bytes >= gfxstream->ring_bytes &&
			    desc->size_bytes <= MAX_RING_BYTES;
	resource->n_blobs = &gfxstream->n_blobs;
	gfxstream->n_blobs++;
	take_memory(resource, desc, map_info);
	return GPU_RESP_OK_NODATA;
}

static enum gpu_resp blob_create(struct renderer *r, uint32_t id, const struct blob_desc *desc,
				 const struct backing *backing)
{
	struct gfxstream *gfxstream = gfxstream_from_base(r);

	if (gfxstream_resource_find(gfxstream, id) != NULL) {
		return GPU_RESP_ERR_INVALID_RESOURCE_ID;
	}
	if (desc->mem != VIRTIO_GPU_BLOB_MEM_GUEST) {
		return create_of_host(gfxstream, id, desc);
	}
	add(gfxstream, id, GFXSTREAM_GUEST_BLOB, 0)->backing = backing;
	return GPU_RESP_OK_NODATA;
}

static enum gpu_resp blob_export(struct renderer *r, uint32_t id,
				 struct renderer_export *export_out)
{
	const struct gfxstream_resource *resource =
		gfxstream_resource_find(gfxstream_from_base(r), id);

	if (resource == NULL || resource->kind != GFXSTREAM_BLOB) {
		return GPU_RESP_ERR_INVALID_RESOURCE_ID;
	}
	int fd = resource->fd >= 0 ? fcntl(resource->fd, F_DUPFD_CLOEXEC, 0) : -1;
	if (fd < 0) {
		log_debug("res %u: it can't be mapped", id);
		return GPU_RESP_ERR_UNSPEC;
	}
	*export_out = (struct renderer_export){
		.fd = fd,
		.offset_bytes = resource->offset_bytes,
		.map_info = resource->map_info,
	};
	return GPU_RESP_OK_NODATA;
}

const struct renderer_blob_impl gfxstream_blob_impl = {
	.create = blob_create,
	.export = blob_export,
};
