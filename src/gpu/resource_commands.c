/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* The commands that make, fill and end resources. */
#include <endian.h>
#include <string.h>
#include <sys/random.h>

#include "gpu/device.h"
#include "gpu/handlers.h"
#include "gpu/scanout_dmabuf.h"
#include "util/checked.h"

static bool is_free(struct device *dev, uint32_t id)
{
	return id != 0 && device_find_resource_or_lost(dev, id) == NULL;
}

/* Of a free id, in no table yet. NULL without memory, or if there are too many. */
static struct resource *allocate(struct device *dev, uint32_t id, const struct resource_desc *desc)
{
	if (g_hash_table_size(dev->resources) >= DEVICE_MAX_RESOURCES) {
		return NULL;
	}
	return resource_create(dev->quota, id, desc);
}

/* Make, in the renderer and in the table, what has been checked. */
static enum gpu_resp create(struct device *dev, uint32_t id, const struct resource_desc *desc,
			    struct resource **resource_out)
{
	if (!is_free(dev, id)) {
		return GPU_RESP_ERR_INVALID_RESOURCE_ID;
	}
	display_reclaim(dev->display);
	struct resource *resource = allocate(dev, id, desc);
	if (resource == NULL) {
		return GPU_RESP_ERR_OUT_OF_MEMORY;
	}
	enum gpu_resp resp = dev->renderer->impl->resource_create(dev->renderer, id, desc);
	if (resp != GPU_RESP_OK_NODATA) {
		resource_destroy(resource, dev->quota);
		return resp;
	}
	resource->is_made = true;
	g_hash_table_insert(dev->resources, GUINT_TO_POINTER(id), resource);
	*resource_out = resource;
	return GPU_RESP_OK_NODATA;
}

static struct resource *allocate_blob(struct device *dev, uint32_t id,
				      const struct blob_desc *blob)
{
	const struct resource_desc none = { 0 };

	display_reclaim(dev->display);
	struct resource *resource = allocate(dev, id, &none);
	if (resource != NULL) {
		resource->is_blob = true;
		resource->blob = *blob;
	}
	return resource;
}

enum gpu_resp device_create_blob(struct device *dev, uint32_t id, const struct blob_desc *blob,
				 struct resource_entry *entries, uint32_t n_entries,
				 struct resource **resource_out)
{
	struct resource *resource = allocate_blob(dev, id, blob);

	if (resource == NULL) {
		return GPU_RESP_ERR_OUT_OF_MEMORY;
	}
	enum gpu_resp resp = resource_make_blob(resource, dev->renderer, dev->quota, dev->mem,
						entries, n_entries);
	if (resp != GPU_RESP_OK_NODATA) {
		resource_destroy(resource, dev->quota);
		return resp;
	}
	g_hash_table_insert(dev->resources, GUINT_TO_POINTER(id), resource);
	*resource_out = resource;
	return GPU_RESP_OK_NODATA;
}

struct resource *device_adopt_blob(struct device *dev, uint32_t id, const struct blob_desc *blob,
				   struct resource_entry *entries, uint32_t n_entries)
{
	struct resource *resource = allocate_blob(dev, id, blob);

	if (resource == NULL) {
		return NULL;
	}
	if (!resource_adopt(resource, dev->renderer, dev->quota, dev->mem, entries, n_entries)) {
		resource_destroy(resource, dev->quota);
		return NULL;
	}
	g_hash_table_insert(dev->resources, GUINT_TO_POINTER(id), resource);
	return resource;
}

enum gpu_resp device_create_2d(struct device *dev, uint32_t id, uint32_t format, uint32_t width,
			       uint32_t height, struct resource **resource_out)
{
	struct resource_desc desc = {
		.is_2d = true,
		.target = 2, /* PIPE_TEXTURE_2D */
		.format = format,
		.width = width,
		.height = height,
		.depth = 1,
		.array_size = 1,
	};
	enum pixel_format pixel_format;

	if (!is_free(dev, id)) {
		return GPU_RESP_ERR_INVALID_RESOURCE_ID;
	}
	if (!renderer_format_info(desc.format, &pixel_format, NULL) || desc.width == 0 ||
	    desc.height == 0) {
		return GPU_RESP_ERR_INVALID_PARAMETER;
	}
	if (desc.width > RESOURCE_MAX_SIDE || desc.height > RESOURCE_MAX_SIDE) {
		return GPU_RESP_ERR_OUT_OF_MEMORY;
	}
	return create(dev, id, &desc, resource_out);
}

struct resource *device_add_lost_resource(struct device *dev, uint32_t id)
{
	const struct resource_desc unknown = { 0 };
	struct resource *resource = is_free(dev, id) ? allocate(dev, id, &unknown) : NULL;

	if (resource != NULL) {
		resource->is_lost = true;
		g_hash_table_insert(dev->resources, GUINT_TO_POINTER(id), resource);
	}
	return resource;
}

enum gpu_resp handle_resource_create_2d(struct device *dev, struct command *command)
{
	const struct virtio_gpu_resource_create_2d *request = &command->request.resource_create_2d;
	struct resource *resource;
	enum gpu_resp resp = device_create_2d(dev, request->resource_id, request->format,
					      request->width, request->height, &resource);

	if (resp == GPU_RESP_OK_NODATA) {
		record_resource(dev, resource);
	}
	return resp;
}

enum gpu_resp handle_resource_create_3d(struct device *dev, struct command *command)
{
	const struct virtio_gpu_resource_create_3d *request = &command->request.resource_create_3d;
	struct resource_desc desc = {
		.target = request->target,
		.format = request->format,
		.bind = request->bind,
		.width = request->width,
		.height = request->height,
		.depth = request->depth,
		.array_size = request->array_size,
		.last_level = request->last_level,
		.nr_samples = request->nr_samples,
		.flags = request->flags,
	};
	struct resource *resource;
	enum gpu_resp resp = create(dev, request->resource_id, &desc, &resource);

	if (resp == GPU_RESP_OK_NODATA) {
		record_resource(dev, resource);
	}
	return resp;
}

enum gpu_resp handle_resource_unref(struct device *dev, struct command *command)
{
	uint32_t id = command->request.resource_unref.resource_id;
	struct resource *resource = device_find_resource_or_lost(dev, id);

	if (resource == NULL) {
		return GPU_RESP_ERR_INVALID_RESOURCE_ID;
	}
	scanout_disable_resource(dev, id);
	/* First: should the renderer die of it, the guest has done with it all the same. */
	record_drop(dev, RECORD_RESOURCE, id);
	device_remove_resource(dev, resource);
	return GPU_RESP_OK_NODATA;
}

struct resource_entry *device_read_entries(const struct command *command, uint32_t n_entries,
					   enum gpu_resp *error_out)
{
	size_t size = n_entries * sizeof(struct virtio_gpu_mem_entry);
	struct resource_entry *entries = NULL;

	if (command_extra_bytes(command) < size) {
		*error_out = GPU_RESP_ERR_INVALID_PARAMETER;
		return NULL;
	}
	struct virtio_gpu_mem_entry *wire = g_try_malloc(size);
	if (wire != NULL) {
		entries = g_try_new(struct resource_entry, n_entries);
	}
	if (entries == NULL || !command_read_extra(command, 0, wire, size)) {
		g_free(wire);
		g_free(entries);
		*error_out = GPU_RESP_ERR_OUT_OF_MEMORY;
		return NULL;
	}
	for (uint32_t i = 0; i < n_entries; i++) {
		entries[i].gpa.v = le64toh(wire[i].addr);
		entries[i].length_bytes = le32toh(wire[i].length);
	}
	g_free(wire);
	return entries;
}

/* Of 3D resources the record holds nothing that could have changed. */
static void record_if_kept(struct device *dev, const struct resource *resource)
{
	if (resource->desc.is_2d || resource->is_blob) {
		record_resource(dev, resource);
	}
}

enum gpu_resp handle_resource_attach_backing(struct device *dev, struct command *command)
{
	const struct virtio_gpu_resource_attach_backing *request =
		&command->request.resource_attach_backing;
	struct resource *resource = device_find_resource(dev, request->resource_id);
	enum gpu_resp resp = GPU_RESP_ERR_UNSPEC;

	if (resource == NULL) {
		return GPU_RESP_ERR_INVALID_RESOURCE_ID;
	}
	/* A blob has the pages that it was made with. */
	if (resource->has_backing || resource->is_blob || request->nr_entries == 0 ||
	    request->nr_entries > RESOURCE_MAX_ENTRIES) {
		return GPU_RESP_ERR_UNSPEC;
	}
	struct resource_entry *entries = device_read_entries(command, request->nr_entries, &resp);
	if (entries == NULL) {
		return resp;
	}
	resp = resource_attach(resource, dev->renderer, dev->quota, dev->mem, entries,
			       request->nr_entries);
	if (resp != GPU_RESP_OK_NODATA) {
		g_free(entries);
		return resp;
	}
	scanout_forget_dmabufs(dev, resource->id); /* that there could be none */
	record_if_kept(dev, resource);
	return resp;
}

enum gpu_resp handle_resource_detach_backing(struct device *dev, struct command *command)
{
	struct resource *resource = device_find_resource_or_lost(
		dev, command->request.resource_detach_backing.resource_id);

	/* Of a lost one nobody knows whether it had one; the guest does. */
	if (resource != NULL && resource->is_lost) {
		return GPU_RESP_OK_NODATA;
	}
	if (resource == NULL || !resource->has_backing) {
		return GPU_RESP_ERR_INVALID_RESOURCE_ID;
	}
	if (resource->is_blob) {
		return GPU_RESP_ERR_UNSPEC;
	}
	struct resource without = *resource;
	without.n_entries = 0;
	record_if_kept(dev, &without); /* first, as in RESOURCE_UNREF */
	scanout_forget_dmabufs(dev, resource->id);
	resource_detach(resource, dev->renderer, dev->quota);
	scanout_leave_pages(dev, resource->id);
	return GPU_RESP_OK_NODATA;
}

/* Rows of rect, a resource's width apart, from offset on: are they all in the backing? */
static bool is_backed(const struct resource *resource, const struct rect *rect, uint64_t offset)
{
	/* At most 2^14 rows of 2^16 bytes. */
	uint64_t length = ((uint64_t)(rect->height - 1) * resource->desc.width + rect->width) *
			  sizeof(uint32_t);

	return checked_range(offset, length, resource->backing.size_bytes);
}

/* A 3D resource takes the 2D command as a transfer to its level 0 (QEMU does so too). */
static enum gpu_resp transfer_3d_resource(struct device *dev, const struct resource *resource,
					  const struct rect *rect, uint64_t offset)
{
	const struct transfer_3d transfer = {
		.offset = offset,
		.box = { .x = rect->x, .y = rect->y, .w = rect->width, .h = rect->height, .d = 1 },
		.to_host = true,
	};

	return dev->renderer->impl->context->transfer(dev->renderer, resource->id, &transfer);
}

enum gpu_resp handle_transfer_to_host_2d(struct device *dev, struct command *command)
{
	const struct virtio_gpu_transfer_to_host_2d *request =
		&command->request.transfer_to_host_2d;
	const struct rect rect = { request->r.x, request->r.y, request->r.width,
				   request->r.height };
	struct resource *resource = device_find_resource(dev, request->resource_id);

	if (resource == NULL || !resource->has_backing) {
		return GPU_RESP_ERR_INVALID_RESOURCE_ID;
	}
	/* Its bytes are where they are shown from; Linux transfers them all the same. */
	if (resource->is_blob) {
		return GPU_RESP_OK_NODATA;
	}
	if (!rect_is_inside(&rect, resource->desc.width, resource->desc.height)) {
		return GPU_RESP_ERR_INVALID_PARAMETER;
	}
	if (resource->mem == NULL) {
		return GPU_RESP_ERR_UNSPEC;
	}
	if (rect_is_empty(&rect)) {
		return GPU_RESP_OK_NODATA;
	}
	display_reclaim(dev->display);
	if (!resource->desc.is_2d) {
		return transfer_3d_resource(dev, resource, &rect, request->offset);
	}
	if (!is_backed(resource, &rect, request->offset)) {
		return GPU_RESP_ERR_INVALID_PARAMETER;
	}
	if (scanout_spares_transfer(dev, resource, &rect, request->offset)) {
		return GPU_RESP_OK_NODATA;
	}
	return dev->renderer->impl->transfer_2d(dev->renderer, resource->id, &rect,
						request->offset);
}

enum gpu_resp handle_resource_assign_uuid(struct device *dev, struct command *command)
{
	struct resource *resource =
		device_find_resource(dev, command->request.resource_assign_uuid.resource_id);

	if (!device_has_feature(dev, VIRTIO_GPU_F_RESOURCE_UUID)) {
		return GPU_RESP_ERR_INVALID_PARAMETER;
	}
	if (resource == NULL) {
		return GPU_RESP_ERR_INVALID_RESOURCE_ID;
	}
	if (!resource->has_uuid) {
		if (getrandom(resource->uuid, sizeof(resource->uuid), 0) !=
		    (ssize_t)sizeof(resource->uuid)) {
			return GPU_RESP_ERR_UNSPEC;
		}
		/* Version 4, variant 1 (RFC 9562 §5.4). */
		resource->uuid[6] = (uint8_t)((resource->uuid[6] & 0x0f) | 0x40);
		resource->uuid[8] = (uint8_t)((resource->uuid[8] & 0x3f) | 0x80);
		resource->has_uuid = true;
		record_if_kept(dev, resource);
	}
	memcpy(command->response.resource_uuid.uuid, resource->uuid, sizeof(resource->uuid));
	command->response_bytes = sizeof(command->response.resource_uuid);
	return GPU_RESP_OK_RESOURCE_UUID;
}
