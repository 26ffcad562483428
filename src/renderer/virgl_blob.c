/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * Blobs: memory without a shape, of the guest's, of a context's, or of both.
 *
 * A context's memory is what its stream has made and given a name to (blob_id);
 * Venus has shared memory by the name of 0, besides. The library hands it out
 * as a descriptor, which others map. Where it lies in the file, and how large
 * that is, the library does not say, so it is looked at (memory_fd.c).
 *
 * Of what Vulkan calls opaque, memory of a driver's own kind, only that is
 * handed out of which it is known where it lies (opaque.c).
 *
 * What GL's context has made has a shape, and the library tells it.
 */
#include "renderer/memory_fd.h"
#include "renderer/virgl_internal.h"

#include <errno.h>
#include <unistd.h>

#include "util/log.h"

/* Of the 16384 descriptors that this process may have; each is one. */
#define MAX_FILES 8192

enum {
	TARGET_BUFFER = 0,
	TARGET_2D = 2,
	TARGET_3D = 3,
};

static enum gpu_resp check_context(struct virgl *virgl, const struct blob_desc *desc)
{
	const struct virgl_context *context = virgl_context_find(virgl, desc->ctx_id);

	if (desc->mem == VIRTIO_GPU_BLOB_MEM_GUEST) {
		return GPU_RESP_OK_NODATA;
	}
	if (context == NULL) {
		return GPU_RESP_ERR_INVALID_CONTEXT_ID;
	}
	return context->is_lost ? GPU_RESP_ERR_UNSPEC : GPU_RESP_OK_NODATA;
}

static int create_in_library(uint32_t id, const struct blob_desc *desc,
			     const struct backing *backing)
{
	const struct virgl_renderer_resource_create_blob_args args = {
		.res_handle = id,
		.ctx_id = desc->ctx_id,
		.blob_mem = desc->mem,
		.blob_flags = desc->flags,
		.blob_id = desc->blob_id,
		.size = desc->size_bytes,
		.iovecs = backing != NULL ? backing->iov : NULL,
		.num_iovs = backing != NULL ? (uint32_t)backing->n_iov : 0,
	};

	return virgl_library.resource_create_blob(&args);
}

/*
 * What the library has made of it, as far as it says. Levels, layers and
 * samples it does not, so that there is one of each; and a row may be a buffer.
 */
static struct resource_desc ask_shape(uint32_t id)
{
	union virgl_library_info_room of = { .room = { 0 } };
	/* That it can't tell a DRM format is none of our business. */
	int ignored = virgl_library.resource_get_info((int)id, &of.argument);
	(void)ignored;

	if (of.info.width == 0) {
		return (struct resource_desc){ 0 };
	}
	return (struct resource_desc){
		.target = of.info.depth > 1  ? TARGET_3D :
			  of.info.height > 1 ? TARGET_2D :
					       TARGET_BUFFER,
		.format = of.info.virgl_format,
		.width = of.info.width,
		.height = MAX(of.info.height, 1),
		.depth = MAX(of.info.depth, 1),
		.array_size = 1,
	};
}

/* What a shape takes may be more than its size as a blob. */
static bool charge_shape(struct quota *quota, const struct resource_desc *shape, uint64_t *charged_bytes)
{
	uint64_t size = shape->width > 0 ? virgl_size_estimate(shape) : 0;
	uint64_t more = size > *charged_bytes ? size - *charged_bytes : 0;

	if (quota_charge(quota, more) != QUOTA_OK) {
		return false;
	}
	*charged_bytes += more;
	return true;
}

static enum gpu_resp add(struct virgl *virgl, uint32_t id, const struct blob_desc *desc,
			 const struct backing *backing, uint64_t charged_bytes)
{
	const struct virgl_context *context = virgl_context_find(virgl, desc->ctx_id);
	bool is_hosts = desc->mem != VIRTIO_GPU_BLOB_MEM_GUEST;
	const struct resource_desc shape = is_hosts ? ask_shape(id) : (struct resource_desc){ 0 };

	if (!charge_shape(virgl->base.quota, &shape, &charged_bytes)) {
		virgl_library.resource_unref(id);
		quota_release(virgl->base.quota, charged_bytes);
		return GPU_RESP_ERR_OUT_OF_MEMORY;
	}
	struct virgl_resource *resource = g_new(struct virgl_resource, 1);
	*resource = (struct virgl_resource){
		.id = id,
		.is_blob = true,
		.blob_bytes = desc->size_bytes,
		.backing = backing,
		.quota = virgl->base.quota,
		.charged_bytes = charged_bytes,
		.desc = shape,
		.context_number = is_hosts ? context->number : 0,
		.pixel_format = shape.width > 0 ? virgl_read_format(&shape) : PIXEL_NONE,
	};
	if (is_hosts) {
		virgl->n_files++;
		resource->n_files = &virgl->n_files;
	}
	g_hash_table_insert(virgl->resources, GUINT_TO_POINTER(id), resource);
	return GPU_RESP_OK_NODATA;
}

static enum gpu_resp blob_create(struct renderer *r, uint32_t id, const struct blob_desc *desc,
				 const struct backing *backing)
{
	struct virgl *virgl = virgl_from_base(r);
	uint64_t charge = desc->mem == VIRTIO_GPU_BLOB_MEM_GUEST ? 0 : desc->size_bytes;
	enum gpu_resp resp = check_context(virgl, desc);

	if (!virgl_library_has_blobs()) {
		return GPU_RESP_ERR_UNSPEC;
	}
	if (resp != GPU_RESP_OK_NODATA) {
		return resp;
	}
	if (virgl_resource_find(virgl, id) != NULL) {
		return GPU_RESP_ERR_INVALID_RESOURCE_ID;
	}
	if (backing != NULL && backing->n_iov > INT32_MAX) {
		return GPU_RESP_ERR_INVALID_PARAMETER;
	}
	if ((desc->mem != VIRTIO_GPU_BLOB_MEM_GUEST && virgl->n_files >= MAX_FILES) ||
	    quota_charge(r->quota, charge) != QUOTA_OK) {
		return GPU_RESP_ERR_OUT_OF_MEMORY;
	}
	int error = create_in_library(id, desc, backing);
	if (error != 0) {
		log_debug("res %u: no such blob (%d): memory %u, flags 0x%x, ctx %u", id, error,
			  desc->mem, desc->flags, desc->ctx_id);
		quota_release(r->quota, charge);
		return abs(error) == ENOMEM ? GPU_RESP_ERR_OUT_OF_MEMORY :
					      GPU_RESP_ERR_INVALID_PARAMETER;
	}
	return add(virgl, id, desc, backing, charge);
}

/* A descriptor of the resource, or -1; what kind of memory it is. */
static int export_fd(uint32_t id, uint32_t *type_out)
{
	int fd = -1;

	return virgl_library.resource_export_blob(id, type_out, &fd) == 0 ? fd : -1;
}

bool virgl_blob_is_shareable(const struct virgl_resource *resource)
{
	uint32_t type = 0;
	int fd = virgl_library_has_blobs() ? export_fd(resource->id, &type) : -1;

	if (fd < 0) {
		return false;
	}
	close(fd);
	return type == VIRGL_RENDERER_BLOB_FD_TYPE_DMABUF;
}

/* Where size_bytes of it are. False: others can't map them. */
static bool find_bytes(int fd, uint32_t type, uint64_t size_bytes, uint64_t *offset_out)
{
	switch (type) {
	case VIRGL_RENDERER_BLOB_FD_TYPE_DMABUF:
		return memory_fd_find(fd, MEMORY_FD_DMABUF, size_bytes, offset_out);
	case VIRGL_RENDERER_BLOB_FD_TYPE_OPAQUE:
		return memory_fd_find(fd, MEMORY_FD_OPAQUE, size_bytes, offset_out);
	case VIRGL_RENDERER_BLOB_FD_TYPE_SHM:
		return memory_fd_find(fd, MEMORY_FD_SHM, size_bytes, offset_out);
	default:
		return false;
	}
}

static enum gpu_resp blob_export(struct renderer *r, uint32_t id, struct renderer_export *export_out)
{
	const struct virgl_resource *resource = virgl_resource_find(virgl_from_base(r), id);
	uint32_t map_info = 0, type = 0;
	uint64_t offset;

	if (resource == NULL || !resource->is_blob) {
		return GPU_RESP_ERR_INVALID_RESOURCE_ID;
	}
	if (virgl_library.resource_get_map_info(id, &map_info) != 0) {
		log_debug("res %u: it can't be mapped", id);
		return GPU_RESP_ERR_UNSPEC;
	}
	map_info &= VIRGL_RENDERER_MAP_CACHE_MASK;
	int fd = export_fd(id, &type);
	if (fd < 0 || map_info == VIRGL_RENDERER_MAP_CACHE_NONE ||
	    map_info > VIRGL_RENDERER_MAP_CACHE_WC ||
	    !find_bytes(fd, type, resource->blob_bytes, &offset)) {
		log_debug("res %u: its memory is none that others can map (type %u)", id, type);
		if (fd >= 0) {
			close(fd);
		}
		return GPU_RESP_ERR_UNSPEC;
	}
	*export_out = (struct renderer_export){
		.fd = fd,
		.offset_bytes = offset,
		.map_info = map_info,
	};
	return GPU_RESP_OK_NODATA;
}

const struct renderer_blob_impl virgl_blob_impl = {
	.create = blob_create,
	.export = blob_export,
};
