/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "gpu/resource.h"

#include <endian.h>
#include <string.h>
#include <sys/random.h>

#include "gpu/device.h"
#include "gpu/handlers.h"
#include "util/checked.h"
#include "util/log.h"

struct resource *resource_create(struct quota *quota, uint32_t id, const struct resource_desc *desc)
{
	if (quota_charge(quota, sizeof(struct resource)) != QUOTA_OK) {
		return NULL;
	}
	struct resource *resource = g_try_new(struct resource, 1);
	if (resource == NULL) {
		quota_release(quota, sizeof(struct resource));
		return NULL;
	}
	*resource = (struct resource){ .id = id, .desc = *desc };
	resource->charged_bytes = sizeof(struct resource);
	return resource;
}

void resource_destroy(struct resource *resource, struct quota *quota)
{
	quota_release(quota, resource->charged_bytes);
	g_free(resource);
}

/* ---- backing ---- */

/*
 * Fill iov_out, which has room for max_iov, joining pages that are neighbours
 * in our address space too. Returns pieces, 0 if one is not guest memory.
 */
static size_t translate(const struct resource *resource, const struct guestmem *mem,
			struct iovec *iov_out, size_t max_iov)
{
	size_t n = 0;

	for (uint32_t i = 0; i < resource->n_entries; i++) {
		const struct resource_entry *entry = &resource->entries[i];
		struct iovec piece;

		/* An entry across two regions would need two pieces; nobody makes one. */
		if (guestmem_to_iov(mem, entry->gpa, entry->length_bytes, &piece, 1) != 1) {
			return 0;
		}
		struct iovec *last = n > 0 ? &iov_out[n - 1] : NULL;
		if (last != NULL && (char *)last->iov_base + last->iov_len == piece.iov_base) {
			last->iov_len += piece.iov_len;
		} else if (n < max_iov) {
			iov_out[n++] = piece;
		}
	}
	return n;
}

static void unmap(struct resource *resource, struct renderer *renderer)
{
	if (resource->mem == NULL) {
		return;
	}
	renderer->impl->resource_detach(renderer, resource->id);
	g_clear_pointer(&resource->mem, guestmem_unref);
	resource->backing.n_iov = 0;
}

static enum gpu_resp map(struct resource *resource, struct renderer *renderer, struct guestmem *mem)
{
	size_t n = translate(resource, mem, resource->backing.iov, resource->n_entries);

	if (n == 0) {
		return GPU_RESP_ERR_UNSPEC;
	}
	resource->backing.n_iov = n;
	enum gpu_resp resp =
		renderer->impl->resource_attach(renderer, resource->id, &resource->backing);
	if (resp == GPU_RESP_OK_NODATA) {
		resource->mem = guestmem_ref(mem);
	} else {
		resource->backing.n_iov = 0;
	}
	return resp;
}

static uint64_t list_bytes(uint32_t n_entries)
{
	return n_entries * (uint64_t)(sizeof(struct resource_entry) + sizeof(struct iovec));
}

static void forget_backing(struct resource *resource, struct quota *quota)
{
	uint64_t size = list_bytes(resource->n_entries);

	g_clear_pointer(&resource->entries, g_free);
	g_clear_pointer(&resource->backing.iov, g_free);
	resource->backing = (struct backing){ 0 };
	resource->n_entries = 0;
	resource->has_backing = false;
	resource->charged_bytes -= size;
	quota_release(quota, size);
}

enum gpu_resp resource_attach(struct resource *resource, struct renderer *renderer,
			      struct quota *quota, struct guestmem *mem,
			      struct resource_entry *entries, uint32_t n_entries)
{
	struct iovec *iov = g_try_new(struct iovec, n_entries);

	if (iov == NULL || quota_charge(quota, list_bytes(n_entries)) != QUOTA_OK) {
		g_free(iov);
		return GPU_RESP_ERR_OUT_OF_MEMORY;
	}
	resource->charged_bytes += list_bytes(n_entries);
	resource->entries = entries;
	resource->n_entries = n_entries;
	resource->backing.iov = iov;
	for (uint32_t i = 0; i < n_entries; i++) {
		resource->backing.size_bytes += entries[i].length_bytes;
	}
	resource->has_backing = true;
	enum gpu_resp resp = map(resource, renderer, mem);
	if (resp != GPU_RESP_OK_NODATA) {
		resource->entries = NULL; /* still the caller's */
		forget_backing(resource, quota);
	}
	return resp;
}

void resource_detach(struct resource *resource, struct renderer *renderer, struct quota *quota)
{
	if (resource->has_backing) {
		unmap(resource, renderer);
		forget_backing(resource, quota);
	}
}

/* Does every page lie where the renderer has it? */
static bool is_unmoved(const struct resource *resource, const struct guestmem *mem)
{
	const struct iovec *iov = resource->backing.iov;
	size_t index = 0, offset = 0;

	for (uint32_t i = 0; i < resource->n_entries; i++) {
		const struct resource_entry *entry = &resource->entries[i];
		struct iovec piece;

		if (guestmem_to_iov(mem, entry->gpa, entry->length_bytes, &piece, 1) != 1) {
			return false;
		}
		if (offset == iov[index].iov_len) {
			index++;
			offset = 0;
		}
		if (index >= resource->backing.n_iov ||
		    (char *)iov[index].iov_base + offset != piece.iov_base) {
			return false;
		}
		offset += piece.iov_len;
	}
	return true;
}

void resource_remap(struct resource *resource, struct renderer *renderer, struct guestmem *mem)
{
	if (!resource->has_backing) {
		return;
	}
	if (resource->mem != NULL && is_unmoved(resource, mem)) {
		guestmem_unref(resource->mem);
		resource->mem = guestmem_ref(mem);
		return;
	}
	unmap(resource, renderer);
	if (map(resource, renderer, mem) != GPU_RESP_OK_NODATA) {
		log_debug("res %u: its pages are not mapped at present", resource->id);
	}
}

/* ---- commands ---- */

/* Make, in the renderer and in the table, what has been checked. */
static enum gpu_resp create(struct device *dev, uint32_t id, const struct resource_desc *desc)
{
	if (id == 0 || device_find_resource(dev, id) != NULL) {
		return GPU_RESP_ERR_INVALID_RESOURCE_ID;
	}
	if (g_hash_table_size(dev->resources) >= DEVICE_MAX_RESOURCES) {
		return GPU_RESP_ERR_OUT_OF_MEMORY;
	}
	struct resource *resource = resource_create(dev->quota, id, desc);
	if (resource == NULL) {
		return GPU_RESP_ERR_OUT_OF_MEMORY;
	}
	enum gpu_resp resp = dev->renderer->impl->resource_create(dev->renderer, id, desc);
	if (resp != GPU_RESP_OK_NODATA) {
		resource_destroy(resource, dev->quota);
		return resp;
	}
	g_hash_table_insert(dev->resources, GUINT_TO_POINTER(id), resource);
	return GPU_RESP_OK_NODATA;
}

enum gpu_resp handle_resource_create_2d(struct device *dev, struct command *command)
{
	const struct virtio_gpu_resource_create_2d *request = &command->request.resource_create_2d;
	struct resource_desc desc = {
		.is_2d = true,
		.target = 2, /* PIPE_TEXTURE_2D */
		.format = request->format,
		.width = request->width,
		.height = request->height,
		.depth = 1,
		.array_size = 1,
	};
	uint32_t pixman_format;

	if (request->resource_id == 0 || device_find_resource(dev, request->resource_id) != NULL) {
		return GPU_RESP_ERR_INVALID_RESOURCE_ID;
	}
	if (!renderer_format_info(desc.format, &pixman_format, NULL) || desc.width == 0 ||
	    desc.height == 0) {
		return GPU_RESP_ERR_INVALID_PARAMETER;
	}
	if (desc.width > RESOURCE_MAX_SIDE || desc.height > RESOURCE_MAX_SIDE) {
		return GPU_RESP_ERR_OUT_OF_MEMORY;
	}
	return create(dev, request->resource_id, &desc);
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

	return create(dev, request->resource_id, &desc);
}

enum gpu_resp handle_resource_unref(struct device *dev, struct command *command)
{
	struct resource *resource =
		device_find_resource(dev, command->request.resource_unref.resource_id);

	if (resource == NULL) {
		return GPU_RESP_ERR_INVALID_RESOURCE_ID;
	}
	scanout_disable_resource(dev, resource->id);
	device_remove_resource(dev, resource);
	return GPU_RESP_OK_NODATA;
}

/* The guest's list, in host byte order; NULL if it is not all there or for want of memory. */
static struct resource_entry *read_entries(struct device *dev, const struct command *command,
					   uint32_t n_entries, enum gpu_resp *error_out)
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
	if (entries == NULL || !command_read_extra(command, dev->mem, 0, wire, size)) {
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

enum gpu_resp handle_resource_attach_backing(struct device *dev, struct command *command)
{
	const struct virtio_gpu_resource_attach_backing *request =
		&command->request.resource_attach_backing;
	struct resource *resource = device_find_resource(dev, request->resource_id);
	enum gpu_resp resp = GPU_RESP_ERR_UNSPEC;

	if (resource == NULL) {
		return GPU_RESP_ERR_INVALID_RESOURCE_ID;
	}
	if (resource->has_backing || request->nr_entries == 0 ||
	    request->nr_entries > RESOURCE_MAX_ENTRIES) {
		return GPU_RESP_ERR_UNSPEC;
	}
	struct resource_entry *entries = read_entries(dev, command, request->nr_entries, &resp);
	if (entries == NULL) {
		return resp;
	}
	resp = resource_attach(resource, dev->renderer, dev->quota, dev->mem, entries,
			       request->nr_entries);
	if (resp != GPU_RESP_OK_NODATA) {
		g_free(entries);
	}
	return resp;
}

enum gpu_resp handle_resource_detach_backing(struct device *dev, struct command *command)
{
	struct resource *resource = device_find_resource(
		dev, command->request.resource_detach_backing.resource_id);

	if (resource == NULL || !resource->has_backing) {
		return GPU_RESP_ERR_INVALID_RESOURCE_ID;
	}
	resource_detach(resource, dev->renderer, dev->quota);
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
	if (!rect_is_inside(&rect, resource->desc.width, resource->desc.height)) {
		return GPU_RESP_ERR_INVALID_PARAMETER;
	}
	if (resource->mem == NULL) {
		return GPU_RESP_ERR_UNSPEC;
	}
	if (rect_is_empty(&rect)) {
		return GPU_RESP_OK_NODATA;
	}
	if (!resource->desc.is_2d) {
		return transfer_3d_resource(dev, resource, &rect, request->offset);
	}
	if (!is_backed(resource, &rect, request->offset)) {
		return GPU_RESP_ERR_INVALID_PARAMETER;
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
	}
	memcpy(command->response.resource_uuid.uuid, resource->uuid, sizeof(resource->uuid));
	command->response_bytes = sizeof(command->response.resource_uuid);
	return GPU_RESP_OK_RESOURCE_UUID;
}
