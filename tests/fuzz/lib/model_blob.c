/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* Blobs and the host-visible window: the right answers (virtio 1.3 §5.7.6.8). */
#include "display/display.h"
#include "fenced.h"
#include "gpu/resource.h"
#include "model_internal.h"

#define PAGE 4096u
#define KNOWN_FLAGS 7u
#define PIXEL_BYTES 4u

bool model_has_pages(uint32_t blob_mem)
{
	return blob_mem == VIRTIO_GPU_BLOB_MEM_GUEST ||
	       blob_mem == VIRTIO_GPU_BLOB_MEM_HOST3D_GUEST;
}

static bool is_known_mem(uint32_t mem)
{
	return mem == VIRTIO_GPU_BLOB_MEM_HOST3D || model_has_pages(mem);
}

/* Its list, if it is to have one. */
static enum gpu_resp judge_pages(const struct model *model, const struct model_call *call,
				 uint64_t *takes_bytes)
{
	const struct virtio_gpu_resource_create_blob *request =
		&call->request.resource_create_blob;
	uint64_t list_bytes = request->nr_entries * sizeof(struct virtio_gpu_mem_entry);
	uint32_t size;

	*takes_bytes = 2 * list_bytes + PAGE;
	model_extra(call, sizeof(*request), &size);
	if (list_bytes > size) {
		return GPU_RESP_ERR_INVALID_PARAMETER;
	}
	g_autoptr(GArray) entries = model_read_entries(call, sizeof(*request), request->nr_entries);
	if (model_sum_entries(entries) < request->size) {
		return GPU_RESP_ERR_INVALID_PARAMETER;
	}
	enum model_mapping mapping = model_map(model, entries);
	if (mapping == MODEL_UNSURE) {
		return MODEL_ANY;
	}
	return mapping == MODEL_MAPPED ? GPU_RESP_OK_NODATA : GPU_RESP_ERR_UNSPEC;
}

enum gpu_resp judge_create_blob(const struct model *model, const struct model_call *call,
				uint64_t *takes_bytes)
{
	const struct virtio_gpu_resource_create_blob *request =
		&call->request.resource_create_blob;
	bool is_guest = request->blob_mem == VIRTIO_GPU_BLOB_MEM_GUEST;
	bool has_pages = model_has_pages(request->blob_mem);

	if (!model_has_feature(model, VIRTIO_GPU_F_RESOURCE_BLOB)) {
		return GPU_RESP_ERR_UNSPEC;
	}
	if (request->resource_id == 0 ||
	    model_find_resource_or_lost(model, request->resource_id) != NULL) {
		return GPU_RESP_ERR_INVALID_RESOURCE_ID;
	}
	if (!is_known_mem(request->blob_mem) || request->blob_flags > KNOWN_FLAGS ||
	    request->size == 0 || has_pages != (request->nr_entries > 0) ||
	    request->nr_entries > RESOURCE_MAX_ENTRIES) {
		return GPU_RESP_ERR_INVALID_PARAMETER;
	}
	if (!is_guest && model->renderer->impl->blob == NULL) {
		return GPU_RESP_ERR_UNSPEC;
	}
	if (!is_guest && !model_has_context(model, request->hdr.ctx_id)) {
		return GPU_RESP_ERR_INVALID_CONTEXT_ID;
	}
	*takes_bytes = PAGE;
	return has_pages ? judge_pages(model, call, takes_bytes) : GPU_RESP_OK_NODATA;
}

/* ---- on a scanout ---- */

static bool is_format_2d(uint32_t format)
{
	return (format >= 1 && format <= 4) || format == 67 || format == 68 || format == 121 ||
	       format == 134;
}

static bool is_layout(const struct virtio_gpu_set_scanout_blob *request, uint64_t size_bytes)
{
	uint64_t row_bytes = (uint64_t)request->width * PIXEL_BYTES;

	if (!is_format_2d(request->format) || request->width == 0 || request->height == 0 ||
	    request->strides[0] < row_bytes || request->offsets[0] > size_bytes) {
		return false;
	}
	/* At most 2^64 - 2^33 + ... */
	uint64_t last_row = (uint64_t)request->strides[0] * (request->height - 1);
	uint64_t left = size_bytes - request->offsets[0];
	return last_row <= left && row_bytes <= left - last_row;
}

static bool is_view(const struct virtio_gpu_set_scanout_blob *request)
{
	const struct virtio_gpu_rect *r = &request->r;

	return (uint64_t)r->x + r->width <= request->width &&
	       (uint64_t)r->y + r->height <= request->height && r->width >= DISPLAY_MIN_SIDE &&
	       r->height >= DISPLAY_MIN_SIDE && r->width <= DISPLAY_MAX_SIDE &&
	       r->height <= DISPLAY_MAX_SIDE;
}

enum gpu_resp judge_set_scanout_blob(const struct model *model, const struct model_call *call,
				     uint64_t *takes_bytes G_GNUC_UNUSED)
{
	const struct virtio_gpu_set_scanout_blob *request = &call->request.set_scanout_blob;
	const struct model_resource *resource = model_find_resource(model, request->resource_id);

	if (!model_has_feature(model, VIRTIO_GPU_F_RESOURCE_BLOB)) {
		return GPU_RESP_ERR_UNSPEC;
	}
	if (request->resource_id != 0 && request->format == 0) {
		return GPU_RESP_ERR_INVALID_PARAMETER;
	}
	if (request->scanout_id >= VIRTIO_GPU_MAX_SCANOUTS) {
		return GPU_RESP_ERR_INVALID_SCANOUT_ID;
	}
	if (request->resource_id == 0) {
		return GPU_RESP_OK_NODATA;
	}
	if (resource == NULL) {
		return GPU_RESP_ERR_INVALID_RESOURCE_ID;
	}
	return resource->is_blob && is_layout(request, resource->blob.size_bytes) &&
			       is_view(request)
		       ? GPU_RESP_OK_NODATA
		       : GPU_RESP_ERR_INVALID_PARAMETER;
}

/* ---- in the window ---- */

bool model_window_range(const struct model_resource *resource, uint64_t offset,
			uint64_t *size_bytes_out)
{
	uint64_t size = resource->blob.size_bytes;

	if (offset % PAGE != 0 || size > UINT64_MAX - PAGE) {
		return false;
	}
	*size_bytes_out = (size + PAGE - 1) / PAGE * PAGE;
	return true;
}

static bool is_free(const struct model *model, uint64_t offset, uint64_t size_bytes)
{
	GHashTableIter iter;
	void *value;

	if (offset > model->window_bytes || size_bytes > model->window_bytes - offset) {
		return false;
	}
	g_hash_table_iter_init(&iter, model->resources);
	while (g_hash_table_iter_next(&iter, NULL, &value)) {
		const struct model_resource *other = value;

		if (other->is_in_window && offset < other->window_offset + other->window_bytes &&
		    other->window_offset < offset + size_bytes) {
			return false;
		}
	}
	return true;
}

enum gpu_resp judge_map_blob(const struct model *model, const struct model_call *call,
			     uint64_t *takes_bytes G_GNUC_UNUSED)
{
	const struct virtio_gpu_resource_map_blob *request = &call->request.resource_map_blob;
	const struct model_resource *resource = model_find_resource(model, request->resource_id);
	uint64_t size;

	if (!model_has_feature(model, VIRTIO_GPU_F_RESOURCE_BLOB)) {
		return GPU_RESP_ERR_UNSPEC;
	}
	if (resource == NULL) {
		return GPU_RESP_ERR_INVALID_RESOURCE_ID;
	}
	if (model->window_bytes == 0 || !resource->is_blob ||
	    resource->blob.mem == VIRTIO_GPU_BLOB_MEM_GUEST ||
	    !(resource->blob.flags & VIRTIO_GPU_BLOB_FLAG_USE_MAPPABLE)) {
		return GPU_RESP_ERR_UNSPEC;
	}
	if (resource->is_in_window || !model_window_range(resource, request->offset, &size) ||
	    !is_free(model, request->offset, size)) {
		return GPU_RESP_ERR_INVALID_PARAMETER;
	}
	return model->is_window_deaf || !fenced_exports(resource->blob.blob_id)
		       ? GPU_RESP_ERR_UNSPEC
		       : GPU_RESP_OK_MAP_INFO;
}

enum gpu_resp judge_unmap_blob(const struct model *model, const struct model_call *call,
			       uint64_t *takes_bytes G_GNUC_UNUSED)
{
	const struct model_resource *resource =
		model_find_resource(model, call->request.resource_unmap_blob.resource_id);

	if (!model_has_feature(model, VIRTIO_GPU_F_RESOURCE_BLOB)) {
		return GPU_RESP_ERR_UNSPEC;
	}
	if (resource == NULL) {
		return GPU_RESP_ERR_INVALID_RESOURCE_ID;
	}
	if (!resource->is_in_window) {
		return GPU_RESP_ERR_INVALID_PARAMETER;
	}
	return model->is_window_deaf ? GPU_RESP_ERR_UNSPEC : GPU_RESP_OK_NODATA;
}
