/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * Blob resources and the host-visible window (virtio 1.3 §5.7.6.8). A blob is
 * bytes: the guest's (GUEST), of the host's GPU (HOST3D), or of both. What the
 * bytes mean is said where they are used.
 *
 * The window is a plan: a range is taken as soon as the front-end is asked to
 * map it, and free as soon as it is asked to unmap it, as both are done in
 * order. The guest is answered when the front-end has answered.
 */
#include <endian.h>
#include <unistd.h>

#include "gpu/device.h"
#include "gpu/handlers.h"
#include "util/log.h"

#define ALL_FLAGS                                                                                  \
	(VIRTIO_GPU_BLOB_FLAG_USE_MAPPABLE | VIRTIO_GPU_BLOB_FLAG_USE_SHAREABLE |                  \
	 VIRTIO_GPU_BLOB_FLAG_USE_CROSS_DEVICE)

static bool has_guest_pages(uint32_t mem)
{
	return mem == VIRTIO_GPU_BLOB_MEM_GUEST || mem == VIRTIO_GPU_BLOB_MEM_HOST3D_GUEST;
}

enum gpu_resp device_check_blob(const struct device *dev, const struct blob_desc *blob,
				uint32_t n_entries)
{
	if (blob->mem < VIRTIO_GPU_BLOB_MEM_GUEST || blob->mem > VIRTIO_GPU_BLOB_MEM_HOST3D_GUEST ||
	    (blob->flags & ~(uint32_t)ALL_FLAGS) != 0 || blob->size_bytes == 0 ||
	    (n_entries != 0) != has_guest_pages(blob->mem) || n_entries > RESOURCE_MAX_ENTRIES) {
		return GPU_RESP_ERR_INVALID_PARAMETER;
	}
	/* It has no context that could have memory of the host's. */
	if (blob->mem != VIRTIO_GPU_BLOB_MEM_GUEST && dev->renderer->impl->blob == NULL) {
		return GPU_RESP_ERR_UNSPEC;
	}
	return GPU_RESP_OK_NODATA;
}

/* What a blob of the guest's memory says of a context is of no account. */
static struct blob_desc desc_from_request(const struct virtio_gpu_resource_create_blob *request)
{
	bool is_guest = request->blob_mem == VIRTIO_GPU_BLOB_MEM_GUEST;

	return (struct blob_desc){
		.mem = request->blob_mem,
		.flags = request->blob_flags,
		.blob_id = is_guest ? 0 : request->blob_id,
		.size_bytes = request->size,
		.ctx_id = is_guest ? 0 : request->hdr.ctx_id,
	};
}

static enum gpu_resp create(struct device *dev, struct command *command,
			    const struct blob_desc *desc)
{
	const struct virtio_gpu_resource_create_blob *request =
		&command->request.resource_create_blob;
	struct resource_entry *entries = NULL;
	struct resource *resource;
	enum gpu_resp resp = GPU_RESP_ERR_OUT_OF_MEMORY;

	if (request->nr_entries > 0) {
		entries = device_read_entries(command, request->nr_entries, &resp);
		if (entries == NULL) {
			return resp;
		}
	}
	resp = device_create_blob(dev, request->resource_id, desc, entries, request->nr_entries,
				  &resource);
	if (resp != GPU_RESP_OK_NODATA) {
		g_free(entries);
		return resp;
	}
	record_resource(dev, resource);
	return resp;
}

enum gpu_resp handle_resource_create_blob(struct device *dev, struct command *command)
{
	const struct virtio_gpu_resource_create_blob *request =
		&command->request.resource_create_blob;
	const struct blob_desc desc = desc_from_request(request);

	if (!device_has_feature(dev, VIRTIO_GPU_F_RESOURCE_BLOB)) {
		return GPU_RESP_ERR_UNSPEC;
	}
	if (request->resource_id == 0 ||
	    device_find_resource_or_lost(dev, request->resource_id) != NULL) {
		return GPU_RESP_ERR_INVALID_RESOURCE_ID;
	}
	enum gpu_resp resp = device_check_blob(dev, &desc, request->nr_entries);
	if (resp != GPU_RESP_OK_NODATA) {
		return resp;
	}
	if (desc.mem != VIRTIO_GPU_BLOB_MEM_GUEST && device_find_context(dev, desc.ctx_id) == NULL) {
		return GPU_RESP_ERR_INVALID_CONTEXT_ID;
	}
	return create(dev, command, &desc);
}

/* ---- the window ---- */

void device_set_mapper(struct device *dev, const struct mapper *mapper, void *data,
		       uint64_t window_bytes)
{
	dev->mapper = mapper;
	dev->mapper_data = data;
	ranges_finish(&dev->window);
	ranges_init(&dev->window, mapper != NULL ? window_bytes : 0);
}

static bool is_mappable(const struct device *dev, const struct resource *resource)
{
	return resource->is_blob && resource->is_made && dev->mapper != NULL &&
	       resource->blob.mem != VIRTIO_GPU_BLOB_MEM_GUEST &&
	       (resource->blob.flags & VIRTIO_GPU_BLOB_FLAG_USE_MAPPABLE) != 0;
}

/* Whole pages from offset on; size_bytes 0 if that can't be. */
static struct mapper_range range_of(const struct resource *resource, uint64_t offset)
{
	uint64_t mask = (uint64_t)sysconf(_SC_PAGESIZE) - 1;
	uint64_t size = resource->blob.size_bytes;

	if ((offset & mask) != 0 || size > UINT64_MAX - mask) {
		return (struct mapper_range){ 0 };
	}
	return (struct mapper_range){ offset, (size + mask) & ~mask };
}

/* range is taken. */
static enum gpu_resp ask_to_map(struct device *dev, struct command *command,
				struct resource *resource, const struct mapper_range *range)
{
	struct renderer_export exported;
	enum gpu_resp resp =
		dev->renderer->impl->blob->export(dev->renderer, resource->id, &exported);

	if (resp != GPU_RESP_OK_NODATA) {
		return resp;
	}
	command->token = ++dev->last_token;
	bool is_asked = dev->mapper->map(dev->mapper_data, command->token, range, exported.fd,
					 exported.offset_bytes);
	close(exported.fd);
	if (!is_asked) {
		return GPU_RESP_ERR_UNSPEC;
	}
	command->response.map_info = (struct virtio_gpu_resp_map_info){
		.map_info = htole32(exported.map_info & VIRTIO_GPU_MAP_CACHE_MASK),
	};
	command->response_bytes = sizeof(command->response.map_info);
	resource->is_mapped = true;
	resource->map_token = command->token;
	resource->mapping = *range;
	return device_wait(dev, command);
}

enum gpu_resp handle_resource_map_blob(struct device *dev, struct command *command)
{
	const struct virtio_gpu_resource_map_blob *request = &command->request.resource_map_blob;
	struct resource *resource = device_find_resource(dev, request->resource_id);

	if (!device_has_feature(dev, VIRTIO_GPU_F_RESOURCE_BLOB)) {
		return GPU_RESP_ERR_UNSPEC;
	}
	if (resource == NULL) {
		return GPU_RESP_ERR_INVALID_RESOURCE_ID;
	}
	if (!is_mappable(dev, resource)) {
		return GPU_RESP_ERR_UNSPEC;
	}
	const struct mapper_range range = range_of(resource, request->offset);
	if (resource->is_mapped || range.size_bytes == 0) {
		return GPU_RESP_ERR_INVALID_PARAMETER;
	}
	if (ranges_count(&dev->window) >= MAPPER_MAX_RANGES || !device_may_wait(dev, command)) {
		return GPU_RESP_ERR_OUT_OF_MEMORY;
	}
	if (!ranges_take(&dev->window, range.offset_bytes, range.size_bytes)) {
		return GPU_RESP_ERR_INVALID_PARAMETER;
	}
	enum gpu_resp resp = ask_to_map(dev, command, resource, &range);
	if (resp != GPU_RESP_PENDING) {
		ranges_give_back(&dev->window, range.offset_bytes, range.size_bytes);
	}
	return resp;
}

/* The plan no longer has it. */
static void forget_mapping(struct device *dev, struct resource *resource)
{
	ranges_give_back(&dev->window, resource->mapping.offset_bytes,
			 resource->mapping.size_bytes);
	resource->is_mapped = false;
}

/* Where the front-end can't be asked the range stays taken: it may show the memory still. */
void device_unmap(struct device *dev, struct resource *resource)
{
	if (resource->is_mapped &&
	    dev->mapper->unmap(dev->mapper_data, 0, &resource->mapping)) {
		forget_mapping(dev, resource);
	}
}

enum gpu_resp handle_resource_unmap_blob(struct device *dev, struct command *command)
{
	struct resource *resource =
		device_find_resource(dev, command->request.resource_unmap_blob.resource_id);

	if (!device_has_feature(dev, VIRTIO_GPU_F_RESOURCE_BLOB)) {
		return GPU_RESP_ERR_UNSPEC;
	}
	if (resource == NULL) {
		return GPU_RESP_ERR_INVALID_RESOURCE_ID;
	}
	if (!resource->is_mapped) {
		return GPU_RESP_ERR_INVALID_PARAMETER;
	}
	/* One that can't wait is done all the same, and the guest is told so too early. */
	command->token = device_may_wait(dev, command) ? ++dev->last_token : 0;
	if (!dev->mapper->unmap(dev->mapper_data, command->token, &resource->mapping)) {
		return GPU_RESP_ERR_UNSPEC;
	}
	forget_mapping(dev, resource);
	return command->token != 0 ? device_wait(dev, command) : GPU_RESP_OK_NODATA;
}

/* The front-end did not do what was asked; by now the resource may be another, or mapped anew. */
static void take_back(struct device *dev, const struct command *command)
{
	struct resource *resource =
		device_find_resource(dev, command->request.resource_map_blob.resource_id);

	if (resource != NULL && resource->is_mapped && resource->map_token == command->token) {
		forget_mapping(dev, resource);
	}
}

void device_take_mapped(struct device *dev, uint64_t token, bool is_done)
{
	struct command *command = device_take_waiting(dev, token);

	if (command == NULL) {
		return;
	}
	bool is_map = command->type->type == VIRTIO_GPU_CMD_RESOURCE_MAP_BLOB;
	if (!is_done) {
		log_debug("%s: the front-end refuses", command->type->name);
		if (is_map) {
			take_back(dev, command);
		}
		device_answer(dev, command, GPU_RESP_ERR_UNSPEC);
		return;
	}
	device_answer(dev, command, is_map ? GPU_RESP_OK_MAP_INFO : GPU_RESP_OK_NODATA);
}
