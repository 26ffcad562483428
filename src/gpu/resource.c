/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "gpu/resource.h"

#include <unistd.h>

#include "gpu/record.h"
#include "util/log.h"

struct resource *resource_create(struct quota *quota, uint32_t id, const struct resource_desc *desc)
{
	if (quota_charge(quota, RESOURCE_OVERHEAD_BYTES) != QUOTA_OK) {
		return NULL;
	}
	struct resource *resource = g_try_new(struct resource, 1);
	if (resource == NULL) {
		quota_release(quota, RESOURCE_OVERHEAD_BYTES);
		return NULL;
	}
	*resource = (struct resource){ .id = id, .desc = *desc };
	resource->charged_bytes = RESOURCE_OVERHEAD_BYTES;
	return resource;
}

void resource_destroy(struct resource *resource, struct quota *quota)
{
	blob_memory_unref(resource->memory);
	quota_release(quota, resource->charged_bytes);
	g_free(resource);
}

/* Walks the pages of a backing: one piece for each memory region that an entry crosses. */
struct page_walk {
	const struct resource *resource;
	const struct guestmem *mem;
	uint32_t index;	     /* of the entry */
	uint32_t done_bytes; /* of it */
	struct gpa at;	     /* of the piece that was given last */
	bool has_failed;     /* a page is not guest memory */
};

/* False at the end, or after a failure. */
static bool next_piece(struct page_walk *walk, struct iovec *piece_out)
{
	while (walk->index < walk->resource->n_entries) {
		const struct resource_entry *entry = &walk->resource->entries[walk->index];
		uint32_t left = entry->length_bytes - walk->done_bytes;
		const struct gpa at = { entry->gpa.v + walk->done_bytes };

		if (left == 0 && entry->length_bytes > 0) {
			walk->index++;
			walk->done_bytes = 0;
			continue;
		}
		if (guestmem_to_iov(walk->mem, at, left, piece_out, 1) == 0) {
			walk->has_failed = true;
			return false;
		}
		walk->at = at;
		walk->done_bytes += (uint32_t)piece_out->iov_len;
		return true;
	}
	return false;
}

static bool is_next(const struct iovec *last, const struct iovec *piece)
{
	return (char *)last->iov_base + last->iov_len == piece->iov_base;
}

/*
 * Fill iov_out, which has room for max_iov, joining pages that are neighbours
 * in our address space too; but not those of two regions, which only happen to
 * be mapped so (blob_memory.c). Returns pieces, 0 if a page is not guest memory
 * or they are too many.
 */
static size_t translate(const struct resource *resource, const struct guestmem *mem,
			struct iovec *iov_out, size_t max_iov)
{
	struct page_walk walk = { .resource = resource, .mem = mem };
	struct gpa last_at = { 0 };
	struct iovec piece;
	size_t n = 0;

	for (; next_piece(&walk, &piece); last_at = walk.at) {
		struct iovec *last = n > 0 ? &iov_out[n - 1] : NULL;

		if (last != NULL && is_next(last, &piece) &&
		    guestmem_is_one_region(mem, last_at, walk.at)) {
			last->iov_len += piece.iov_len;
		} else if (n < max_iov) {
			iov_out[n++] = piece;
		} else {
			return 0;
		}
	}
	return walk.has_failed ? 0 : n;
}

/* A blob of which the renderer is told: one of the host's, or where it wants to know of all. */
static bool is_told(const struct resource *resource, const struct renderer *renderer)
{
	return !resource->is_blob || renderer->impl->blob != NULL;
}

enum gpu_resp resource_settle(struct resource *resource, struct renderer *renderer)
{
	struct rect spared = resource->spared;

	/* Its pages are there: before they go, it is settled. */
	if (rect_is_empty(&spared)) {
		return GPU_RESP_OK_NODATA;
	}
	resource->spared = (struct rect){ 0 };
	enum gpu_resp resp = renderer->impl->transfer_2d(
		renderer, resource->id, &spared,
		((uint64_t)spared.y * resource->desc.width + spared.x) * sizeof(uint32_t));
	if (resp != GPU_RESP_OK_NODATA) {
		log_debug("res %u: what was spared can't be had", resource->id);
		resource->spared = spared;
	}
	return resp;
}

static void unmap(struct resource *resource, struct renderer *renderer)
{
	if (resource->mem == NULL) {
		return;
	}
	if (resource_settle(resource, renderer) != GPU_RESP_OK_NODATA) {
		resource->spared = (struct rect){ 0 };
	}
	g_clear_pointer(&resource->memory, blob_memory_unref);
	if (resource->is_made) {
		renderer->impl->resource_detach(renderer, resource->id);
	}
	g_clear_pointer(&resource->mem, guestmem_unref);
	resource->backing.n_iov = 0;
}

/* A blob is made with its pages, so at the latest when they are there. */
static enum gpu_resp give(struct resource *resource, struct renderer *renderer)
{
	const struct renderer_impl *impl = renderer->impl;

	if (!is_told(resource, renderer)) {
		return GPU_RESP_OK_NODATA;
	}
	if (resource->is_made) {
		return impl->resource_attach(renderer, resource->id, &resource->backing);
	}
	enum gpu_resp resp = impl->blob->create(renderer, resource->id, &resource->blob,
						resource->has_backing ? &resource->backing : NULL);
	resource->is_made = resp == GPU_RESP_OK_NODATA;
	return resp;
}

static enum gpu_resp map(struct resource *resource, struct renderer *renderer, struct guestmem *mem)
{
	size_t n = translate(resource, mem, resource->backing.iov,
			     (size_t)resource->n_entries + RESOURCE_MAX_CROSSINGS);

	if (n == 0) {
		return GPU_RESP_ERR_UNSPEC;
	}
	resource->backing.n_iov = n;
	enum gpu_resp resp = give(resource, renderer);
	if (resp == GPU_RESP_OK_NODATA) {
		resource->mem = guestmem_ref(mem);
	} else {
		resource->backing.n_iov = 0;
	}
	return resp;
}

static uint64_t list_bytes(uint32_t n_entries)
{
	return n_entries * (uint64_t)(sizeof(struct resource_entry) + RECORD_ENTRY_BYTES) +
	       ((uint64_t)n_entries + RESOURCE_MAX_CROSSINGS) * sizeof(struct iovec);
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

uint64_t resource_entries_bytes(const struct resource_entry *entries, uint32_t n_entries)
{
	uint64_t sum = 0; /* of at most 2^14 numbers of 32 bits */

	for (uint32_t i = 0; i < n_entries; i++) {
		sum += entries[i].length_bytes;
	}
	return sum;
}

/* entries is the resource's now. False, and it is not, without memory. */
static bool take_entries(struct resource *resource, struct quota *quota,
			 struct resource_entry *entries, uint32_t n_entries)
{
	if (quota_charge(quota, list_bytes(n_entries)) != QUOTA_OK) {
		return false;
	}
	struct iovec *iov = g_try_new(struct iovec, (gsize)n_entries + RESOURCE_MAX_CROSSINGS);
	if (iov == NULL) {
		quota_release(quota, list_bytes(n_entries));
		return false;
	}
	resource->charged_bytes += list_bytes(n_entries);
	resource->entries = entries;
	resource->n_entries = n_entries;
	resource->backing.iov = iov;
	resource->backing.size_bytes = resource_entries_bytes(entries, n_entries);
	resource->has_backing = true;
	return true;
}

enum gpu_resp resource_attach(struct resource *resource, struct renderer *renderer,
			      struct quota *quota, struct guestmem *mem,
			      struct resource_entry *entries, uint32_t n_entries)
{
	if (!take_entries(resource, quota, entries, n_entries)) {
		return GPU_RESP_ERR_OUT_OF_MEMORY;
	}
	enum gpu_resp resp = map(resource, renderer, mem);
	if (resp != GPU_RESP_OK_NODATA) {
		resource->entries = NULL; /* still the caller's */
		forget_backing(resource, quota);
	}
	return resp;
}

enum gpu_resp resource_make_blob(struct resource *resource, struct renderer *renderer,
				 struct quota *quota, struct guestmem *mem,
				 struct resource_entry *entries, uint32_t n_entries)
{
	if (entries == NULL) {
		return give(resource, renderer);
	}
	if (resource_entries_bytes(entries, n_entries) < resource->blob.size_bytes) {
		return GPU_RESP_ERR_INVALID_PARAMETER;
	}
	return resource_attach(resource, renderer, quota, mem, entries, n_entries);
}

static struct blob_memory *look_at(const struct resource *resource, struct renderer *renderer,
				   struct quota *quota)
{
	struct renderer_export exported;

	if (resource->blob.mem == VIRTIO_GPU_BLOB_MEM_GUEST) {
		return resource->mem == NULL ? NULL :
					       blob_memory_of_guest(&resource->backing,
								    resource->blob.size_bytes,
								    resource->mem, quota);
	}
	if (renderer->impl->blob->export(renderer, resource->id, &exported) != GPU_RESP_OK_NODATA) {
		return NULL;
	}
	struct blob_memory *memory =
		blob_memory_of_export(&exported, resource->blob.size_bytes, quota);
	close(exported.fd);
	return memory;
}

struct blob_memory *resource_blob_memory(struct resource *resource, struct renderer *renderer,
					 struct quota *quota)
{
	if (resource->memory == NULL && resource->is_blob) {
		resource->memory = look_at(resource, renderer, quota);
	}
	return resource->memory;
}

void resource_detach(struct resource *resource, struct renderer *renderer, struct quota *quota)
{
	if (resource->has_backing) {
		unmap(resource, renderer);
		forget_backing(resource, quota);
	}
}

bool resource_adopt(struct resource *resource, struct renderer *renderer, struct quota *quota,
		    struct guestmem *mem, struct resource_entry *entries, uint32_t n_entries)
{
	if (!take_entries(resource, quota, entries, n_entries)) {
		return false;
	}
	resource_remap(resource, renderer, mem);
	return true;
}

void resource_refill(const struct resource *resource, struct renderer *renderer)
{
	uint64_t row_bytes = (uint64_t)resource->desc.width * sizeof(uint32_t);
	uint64_t n_rows = MIN(resource->backing.size_bytes / row_bytes, resource->desc.height);
	const struct rect rows = { 0, 0, resource->desc.width, (uint32_t)n_rows };

	if (resource->mem == NULL || n_rows == 0) {
		return;
	}
	if (renderer->impl->transfer_2d(renderer, resource->id, &rows, 0) != GPU_RESP_OK_NODATA) {
		log_debug("res %u: its picture can't be had back", resource->id);
	}
}

/* Does every page lie where the renderer has it? */
static bool is_unmoved(const struct resource *resource, const struct guestmem *mem)
{
	struct page_walk walk = { .resource = resource, .mem = mem };
	const struct iovec *iov = resource->backing.iov;
	size_t index = 0, offset = 0;
	struct iovec piece;

	while (next_piece(&walk, &piece)) {
		if (offset == iov[index].iov_len) {
			index++;
			offset = 0;
		}
		if (index >= resource->backing.n_iov ||
		    (char *)iov[index].iov_base + offset != piece.iov_base ||
		    piece.iov_len > iov[index].iov_len - offset) {
			return false;
		}
		offset += piece.iov_len;
	}
	return !walk.has_failed;
}

void resource_remap(struct resource *resource, struct renderer *renderer, struct guestmem *mem)
{
	if (!resource->has_backing) {
		return;
	}
	if (resource->mem != NULL && is_unmoved(resource, mem)) {
		guestmem_unref(resource->mem);
		resource->mem = guestmem_ref(mem);
		if (resource->memory != NULL) {
			blob_memory_follow(resource->memory, mem);
		}
		return;
	}
	unmap(resource, renderer);
	if (map(resource, renderer, mem) != GPU_RESP_OK_NODATA) {
		log_debug("res %u: its pages are not mapped at present", resource->id);
	}
}
