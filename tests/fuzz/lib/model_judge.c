/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include <string.h>

#include "display/display.h"
#include "gpu/resource.h"
#include "model_internal.h"

#define UNUSED G_GNUC_UNUSED

enum gpu_resp judge_display_info(const struct model *model UNUSED,
				 const struct model_call *call UNUSED, uint64_t *takes_bytes UNUSED)
{
	return GPU_RESP_OK_DISPLAY_INFO;
}

enum gpu_resp judge_edid(const struct model *model UNUSED, const struct model_call *call,
			 uint64_t *takes_bytes UNUSED)
{
	return call->request.get_edid.scanout < VIRTIO_GPU_MAX_SCANOUTS
		       ? GPU_RESP_OK_EDID
		       : GPU_RESP_ERR_INVALID_SCANOUT_ID;
}

/* ---- resources ---- */

static bool is_format_2d(uint32_t format)
{
	static const uint32_t formats[] = {
		VIRTIO_GPU_FORMAT_B8G8R8A8_UNORM, VIRTIO_GPU_FORMAT_B8G8R8X8_UNORM,
		VIRTIO_GPU_FORMAT_A8R8G8B8_UNORM, VIRTIO_GPU_FORMAT_X8R8G8B8_UNORM,
		VIRTIO_GPU_FORMAT_R8G8B8A8_UNORM, VIRTIO_GPU_FORMAT_X8B8G8R8_UNORM,
		VIRTIO_GPU_FORMAT_A8B8G8R8_UNORM, VIRTIO_GPU_FORMAT_R8G8B8X8_UNORM,
	};

	for (size_t i = 0; i < G_N_ELEMENTS(formats); i++) {
		if (formats[i] == format) {
			return true;
		}
	}
	return false;
}

static uint64_t picture_bytes(uint32_t width, uint32_t height)
{
	return 4ull * width * height;
}

enum gpu_resp judge_create_2d(const struct model *model, const struct model_call *call,
			      uint64_t *takes_bytes)
{
	const struct virtio_gpu_resource_create_2d *request = &call->request.resource_create_2d;

	if (request->resource_id == 0 ||
	    model_find_resource_or_lost(model, request->resource_id) != NULL) {
		return GPU_RESP_ERR_INVALID_RESOURCE_ID;
	}
	if (!is_format_2d(request->format) || request->width == 0 || request->height == 0) {
		return GPU_RESP_ERR_INVALID_PARAMETER;
	}
	if (request->width > RESOURCE_MAX_SIDE || request->height > RESOURCE_MAX_SIDE) {
		return GPU_RESP_ERR_OUT_OF_MEMORY;
	}
	*takes_bytes = picture_bytes(request->width, request->height);
	return GPU_RESP_OK_NODATA;
}

enum gpu_resp judge_create_3d(const struct model *model, const struct model_call *call,
			      uint64_t *takes_bytes)
{
	const struct virtio_gpu_resource_create_3d *request = &call->request.resource_create_3d;

	if (request->resource_id == 0 ||
	    model_find_resource_or_lost(model, request->resource_id) != NULL) {
		return GPU_RESP_ERR_INVALID_RESOURCE_ID;
	}
	*takes_bytes = 1;
	return GPU_RESP_OK_NODATA;
}

enum gpu_resp judge_unref(const struct model *model, const struct model_call *call,
			  uint64_t *takes_bytes UNUSED)
{
	return model_find_resource_or_lost(model, call->request.resource_unref.resource_id) != NULL
		       ? GPU_RESP_OK_NODATA
		       : GPU_RESP_ERR_INVALID_RESOURCE_ID;
}

enum gpu_resp judge_assign_uuid(const struct model *model, const struct model_call *call,
				uint64_t *takes_bytes UNUSED)
{
	if (!model_has_feature(model, VIRTIO_GPU_F_RESOURCE_UUID)) {
		return GPU_RESP_ERR_INVALID_PARAMETER;
	}
	return model_find_resource(model, call->request.resource_assign_uuid.resource_id) != NULL
		       ? GPU_RESP_OK_RESOURCE_UUID
		       : GPU_RESP_ERR_INVALID_RESOURCE_ID;
}

/* ---- backings ---- */

enum model_mapping model_map(const struct model *model, const GArray *entries)
{
	uint64_t n_pieces = 0;

	for (guint i = 0; i < entries->len; i++) {
		const struct virtio_gpu_mem_entry *entry =
			&g_array_index(entries, struct virtio_gpu_mem_entry, i);
		unsigned int n = fuzz_guest_count_regions(
			model->guest, model->mask, (struct gpa){ entry->addr }, entry->length);

		if (n == 0) {
			return MODEL_UNMAPPED;
		}
		n_pieces += n;
	}
	/* Neighbours may be joined, or not: the device does not say where it maps them. */
	return n_pieces <= (uint64_t)entries->len + RESOURCE_MAX_CROSSINGS ? MODEL_MAPPED
									   : MODEL_UNSURE;
}

GArray *model_read_entries(const struct model_call *call, size_t fixed_bytes, uint32_t n)
{
	GArray *entries = g_array_new(FALSE, FALSE, sizeof(struct virtio_gpu_mem_entry));
	uint32_t size;

	g_array_append_vals(entries, model_extra(call, fixed_bytes, &size), n);
	return entries;
}

uint64_t model_sum_entries(const GArray *entries)
{
	uint64_t sum = 0;

	for (guint i = 0; i < entries->len; i++) {
		sum += g_array_index(entries, struct virtio_gpu_mem_entry, i).length;
	}
	return sum;
}

enum gpu_resp judge_attach_backing(const struct model *model, const struct model_call *call,
				   uint64_t *takes_bytes)
{
	const struct virtio_gpu_resource_attach_backing *request =
		&call->request.resource_attach_backing;
	const struct model_resource *resource = model_find_resource(model, request->resource_id);
	uint64_t list_bytes = request->nr_entries * sizeof(struct virtio_gpu_mem_entry);
	uint32_t size;

	model_extra(call, sizeof(*request), &size);
	if (resource == NULL) {
		return GPU_RESP_ERR_INVALID_RESOURCE_ID;
	}
	if (resource->has_backing || resource->is_blob || request->nr_entries == 0 ||
	    request->nr_entries > RESOURCE_MAX_ENTRIES) {
		return GPU_RESP_ERR_UNSPEC;
	}
	if (list_bytes > size) {
		return GPU_RESP_ERR_INVALID_PARAMETER;
	}
	g_autoptr(GArray) entries = model_read_entries(call, sizeof(*request), request->nr_entries);
	enum model_mapping mapping = model_map(model, entries);
	*takes_bytes = 2 * list_bytes + 4096;
	if (mapping == MODEL_UNSURE) {
		return MODEL_ANY;
	}
	return mapping == MODEL_MAPPED ? GPU_RESP_OK_NODATA : GPU_RESP_ERR_UNSPEC;
}

enum gpu_resp judge_detach_backing(const struct model *model, const struct model_call *call,
				   uint64_t *takes_bytes UNUSED)
{
	const struct model_resource *resource = model_find_resource_or_lost(
		model, call->request.resource_detach_backing.resource_id);

	/* Nobody knows any more whether a lost one had one. */
	if (resource != NULL && resource->is_lost) {
		return GPU_RESP_OK_NODATA;
	}
	if (resource == NULL || !resource->has_backing) {
		return GPU_RESP_ERR_INVALID_RESOURCE_ID;
	}
	return resource->is_blob ? GPU_RESP_ERR_UNSPEC : GPU_RESP_OK_NODATA;
}

/* ---- pixels ---- */

static bool is_inside(const struct virtio_gpu_rect *r, const struct model_resource *resource)
{
	return (uint64_t)r->x + r->width <= resource->width &&
	       (uint64_t)r->y + r->height <= resource->height;
}

/* Can the bytes of a blob be had? What the host has of one, nobody knows. */
static bool is_readable(const struct model_resource *resource)
{
	return resource->blob.mem == VIRTIO_GPU_BLOB_MEM_GUEST &&
	       resource->mapping == MODEL_MAPPED;
}

enum gpu_resp judge_transfer_2d(const struct model *model, const struct model_call *call,
				uint64_t *takes_bytes)
{
	const struct virtio_gpu_transfer_to_host_2d *request = &call->request.transfer_to_host_2d;
	const struct model_resource *resource = model_find_resource(model, request->resource_id);

	if (resource == NULL || !resource->has_backing) {
		return GPU_RESP_ERR_INVALID_RESOURCE_ID;
	}
	/* Its pages are where it is shown from. */
	if (resource->is_blob) {
		return GPU_RESP_OK_NODATA;
	}
	if (!is_inside(&request->r, resource)) {
		return GPU_RESP_ERR_INVALID_PARAMETER;
	}
	if (resource->mapping != MODEL_MAPPED) {
		return resource->mapping == MODEL_UNSURE ? MODEL_ANY : GPU_RESP_ERR_UNSPEC;
	}
	if (request->r.width == 0 || request->r.height == 0) {
		return GPU_RESP_OK_NODATA;
	}
	*takes_bytes = picture_bytes(resource->width, resource->height);
	/* The last pixel's last byte, rows being as far apart as the resource is wide. */
	uint64_t length =
		picture_bytes(resource->width, request->r.height - 1) + 4ull * request->r.width;
	if (resource->is_2d && (request->offset > resource->backing_bytes ||
				length > resource->backing_bytes - request->offset)) {
		return GPU_RESP_ERR_INVALID_PARAMETER;
	}
	return GPU_RESP_OK_NODATA;
}

enum gpu_resp judge_set_scanout(const struct model *model, const struct model_call *call,
				uint64_t *takes_bytes UNUSED)
{
	const struct virtio_gpu_set_scanout *request = &call->request.set_scanout;
	const struct model_resource *resource = model_find_resource(model, request->resource_id);

	if (request->scanout_id >= VIRTIO_GPU_MAX_SCANOUTS) {
		return GPU_RESP_ERR_INVALID_SCANOUT_ID;
	}
	if (request->resource_id == 0) {
		return GPU_RESP_OK_NODATA;
	}
	if (resource == NULL) {
		return GPU_RESP_ERR_INVALID_RESOURCE_ID;
	}
	if (!is_inside(&request->r, resource) || request->r.width < DISPLAY_MIN_SIDE ||
	    request->r.height < DISPLAY_MIN_SIDE || request->r.width > DISPLAY_MAX_SIDE ||
	    request->r.height > DISPLAY_MAX_SIDE) {
		return GPU_RESP_ERR_INVALID_PARAMETER;
	}
	return GPU_RESP_OK_NODATA;
}

/* Inside each picture that there is of it. */
static enum gpu_resp judge_flush_blob(const struct model *model,
				      const struct model_resource *resource,
				      const struct virtio_gpu_rect *r, uint64_t *takes_bytes)
{
	bool is_shown = false;

	for (size_t i = 0; i < G_N_ELEMENTS(model->scanouts); i++) {
		const struct model_scanout *scanout = &model->scanouts[i];

		if (scanout->resource_id != resource->id) {
			continue;
		}
		if ((uint64_t)r->x + r->width > scanout->width ||
		    (uint64_t)r->y + r->height > scanout->height) {
			return GPU_RESP_ERR_INVALID_PARAMETER;
		}
		is_shown = true;
		*takes_bytes += picture_bytes(scanout->width, scanout->height) +
				resource->blob.size_bytes / 256;
	}
	if (!is_shown || model->renderer->impl->is_blind || is_readable(resource)) {
		return GPU_RESP_OK_NODATA;
	}
	/* Nobody may be watching. */
	return MODEL_ANY;
}

enum gpu_resp judge_flush(const struct model *model, const struct model_call *call,
			  uint64_t *takes_bytes)
{
	const struct virtio_gpu_resource_flush *request = &call->request.resource_flush;
	const struct model_resource *resource = model_find_resource(model, request->resource_id);

	if (resource == NULL) {
		return GPU_RESP_ERR_INVALID_RESOURCE_ID;
	}
	if (resource->is_blob) {
		return judge_flush_blob(model, resource, &request->r, takes_bytes);
	}
	return is_inside(&request->r, resource) ? GPU_RESP_OK_NODATA
						: GPU_RESP_ERR_INVALID_PARAMETER;
}

static enum gpu_resp judge_blob_cursor(const struct model *model,
				       const struct model_resource *resource)
{
	if (resource->blob.size_bytes <
	    picture_bytes(DISPLAY_CURSOR_SIDE, DISPLAY_CURSOR_SIDE)) {
		return GPU_RESP_ERR_INVALID_PARAMETER;
	}
	if (model->renderer->impl->is_blind || is_readable(resource)) {
		return GPU_RESP_OK_NODATA;
	}
	return resource->blob.mem == VIRTIO_GPU_BLOB_MEM_GUEST &&
			       resource->mapping == MODEL_UNMAPPED
		       ? GPU_RESP_ERR_UNSPEC
		       : MODEL_ANY;
}

enum gpu_resp judge_update_cursor(const struct model *model, const struct model_call *call,
				  uint64_t *takes_bytes UNUSED)
{
	const struct virtio_gpu_update_cursor *request = &call->request.update_cursor;
	const struct model_resource *resource = model_find_resource(model, request->resource_id);

	if (request->pos.scanout_id >= VIRTIO_GPU_MAX_SCANOUTS) {
		return GPU_RESP_ERR_INVALID_SCANOUT_ID;
	}
	if (request->resource_id == 0) {
		return GPU_RESP_OK_NODATA;
	}
	if (resource == NULL) {
		return GPU_RESP_ERR_INVALID_RESOURCE_ID;
	}
	if (request->hot_x >= DISPLAY_CURSOR_SIDE || request->hot_y >= DISPLAY_CURSOR_SIDE) {
		return GPU_RESP_ERR_INVALID_PARAMETER;
	}
	if (resource->is_blob) {
		return judge_blob_cursor(model, resource);
	}
	if (resource->width - 1 >= DISPLAY_CURSOR_SIDE ||
	    resource->height - 1 >= DISPLAY_CURSOR_SIDE) {
		return GPU_RESP_ERR_INVALID_PARAMETER;
	}
	return GPU_RESP_OK_NODATA;
}

enum gpu_resp judge_move_cursor(const struct model *model UNUSED, const struct model_call *call,
				uint64_t *takes_bytes UNUSED)
{
	return call->request.update_cursor.pos.scanout_id < VIRTIO_GPU_MAX_SCANOUTS
		       ? GPU_RESP_OK_NODATA
		       : GPU_RESP_ERR_INVALID_SCANOUT_ID;
}

/* ---- 3D ---- */

enum gpu_resp judge_get_capset_info(const struct model *model, const struct model_call *call,
				    uint64_t *takes_bytes UNUSED)
{
	return call->request.get_capset_info.capset_index < model->renderer->caps.n_capsets
		       ? GPU_RESP_OK_CAPSET_INFO
		       : GPU_RESP_ERR_INVALID_PARAMETER;
}

enum gpu_resp judge_get_capset(const struct model *model, const struct model_call *call,
			       uint64_t *takes_bytes UNUSED)
{
	const struct virtio_gpu_get_capset *request = &call->request.get_capset;
	const struct renderer_caps *caps = &model->renderer->caps;

	for (uint32_t i = 0; i < caps->n_capsets; i++) {
		if (caps->capsets[i].id == request->capset_id &&
		    request->capset_version <= caps->capsets[i].max_version) {
			return GPU_RESP_OK_CAPSET;
		}
	}
	return GPU_RESP_ERR_INVALID_PARAMETER;
}

static bool is_offered(const struct model *model, uint32_t capset_id)
{
	const struct renderer_caps *caps = &model->renderer->caps;

	for (uint32_t i = 0; i < caps->n_capsets; i++) {
		if (caps->capsets[i].id == capset_id) {
			return true;
		}
	}
	return capset_id == 0;
}

enum gpu_resp judge_ctx_create(const struct model *model, const struct model_call *call,
			       uint64_t *takes_bytes)
{
	const struct virtio_gpu_ctx_create *request = &call->request.ctx_create;

	if (request->hdr.ctx_id == 0 ||
	    model_has_context_or_lost(model, request->hdr.ctx_id)) {
		return GPU_RESP_ERR_INVALID_CONTEXT_ID;
	}
	if (request->nlen > sizeof(request->debug_name)) {
		return GPU_RESP_ERR_INVALID_PARAMETER;
	}
	if (model_has_feature(model, VIRTIO_GPU_F_CONTEXT_INIT) &&
	    !is_offered(model, request->context_init & 0xff)) {
		return GPU_RESP_ERR_INVALID_PARAMETER;
	}
	*takes_bytes = 1;
	return GPU_RESP_OK_NODATA;
}

enum gpu_resp judge_ctx_destroy(const struct model *model, const struct model_call *call,
				uint64_t *takes_bytes UNUSED)
{
	return model_has_context_or_lost(model, call->request.header.ctx_id)
		       ? GPU_RESP_OK_NODATA
		       : GPU_RESP_ERR_INVALID_CONTEXT_ID;
}

enum gpu_resp judge_ctx_resource(const struct model *model, const struct model_call *call,
				 uint64_t *takes_bytes UNUSED)
{
	if (!model_has_context(model, call->request.header.ctx_id)) {
		return GPU_RESP_ERR_INVALID_CONTEXT_ID;
	}
	return model_find_resource(model, call->request.ctx_resource.resource_id) != NULL
		       ? GPU_RESP_OK_NODATA
		       : GPU_RESP_ERR_INVALID_RESOURCE_ID;
}

static uint64_t at_level(uint32_t side, uint32_t level)
{
	uint32_t small = level < 32 ? side >> level : 0;

	return MAX(small, 1);
}

static bool is_box_inside(const struct model_resource *resource, const struct virtio_gpu_box *box,
			  uint32_t level)
{
	uint64_t layers = MAX(resource->layers, 1);

	/* Layers are the depth of one, and the height of an array of lines. */
	return level <= resource->last_level &&
	       (uint64_t)box->x + box->w <= at_level(resource->width, level) &&
	       (uint64_t)box->y + box->h <= MAX(at_level(resource->height, level), layers) &&
	       (uint64_t)box->z + box->d <= MAX(at_level(resource->depth, level), layers);
}

enum gpu_resp judge_transfer_3d(const struct model *model, const struct model_call *call,
				uint64_t *takes_bytes UNUSED)
{
	const struct virtio_gpu_transfer_host_3d *request = &call->request.transfer_host_3d;
	const struct model_resource *resource = model_find_resource(model, request->resource_id);

	if (request->hdr.ctx_id != 0 && !model_has_context(model, request->hdr.ctx_id)) {
		return GPU_RESP_ERR_INVALID_CONTEXT_ID;
	}
	if (resource == NULL || !resource->has_backing) {
		return GPU_RESP_ERR_INVALID_RESOURCE_ID;
	}
	if ((!resource->is_blob && !is_box_inside(resource, &request->box, request->level)) ||
	    request->offset > resource->backing_bytes) {
		return GPU_RESP_ERR_INVALID_PARAMETER;
	}
	if (resource->mapping != MODEL_MAPPED) {
		return resource->mapping == MODEL_UNSURE ? MODEL_ANY : GPU_RESP_ERR_UNSPEC;
	}
	/* Where the renderer was not told of it there is nothing to transfer to. */
	return resource->is_blob && model->renderer->impl->blob == NULL ? GPU_RESP_ERR_UNSPEC
									: GPU_RESP_OK_NODATA;
}

enum gpu_resp judge_submit(const struct model *model, const struct model_call *call,
			   uint64_t *takes_bytes UNUSED)
{
	const struct virtio_gpu_cmd_submit *request = &call->request.submit_3d;
	uint32_t size;

	model_extra(call, sizeof(*request), &size);
	if (!model_has_context(model, request->hdr.ctx_id)) {
		return GPU_RESP_ERR_INVALID_CONTEXT_ID;
	}
	return request->size <= size ? GPU_RESP_OK_NODATA : GPU_RESP_ERR_INVALID_PARAMETER;
}
