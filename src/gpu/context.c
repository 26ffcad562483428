/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * 3D: contexts, their resources, command streams and transfers. The table has
 * made sure that the renderer has contexts at all.
 */
#include <linux/virtio_gpu.h>
#include <string.h>

#include "gpu/device.h"
#include "gpu/handlers.h"
#include "util/log.h"

/*
 * Mesa's command buffers are 256 KiB, with inline data more. What one
 * descriptor chain of pages can hold is 16 MiB.
 */
#define MAX_SUBMIT_BYTES (16u << 20)
/* An arena larger than this is given back after use. */
#define KEEP_ARENA_BYTES (1u << 20)

static const struct renderer_context_impl *impl(const struct device *dev)
{
	return dev->renderer->impl->context;
}

/* ---- for who looks ---- */

/* Beyond that what is attached is not counted, as it costs memory of ours. */
#define MAX_COUNTED 4096

uint64_t resource_size_bytes(const struct resource *resource)
{
	const struct resource_desc *desc = &resource->desc;

	if (resource->is_blob) {
		return resource->blob.size_bytes;
	}
	if (resource->has_backing) {
		return resource->backing.size_bytes;
	}
	return (uint64_t)desc->width * desc->height * MAX(desc->depth, 1) *
	       MAX(desc->array_size, 1) * sizeof(uint32_t);
}

static struct stats_context *find_place(struct stats *stats)
{
	for (size_t i = 0; stats != NULL && i < STATS_MAX_CONTEXTS; i++) {
		if (stats->contexts[i].id == 0) {
			return &stats->contexts[i];
		}
	}
	return NULL;
}

static void begin_counting(struct device *dev, struct context *context)
{
	struct stats_context *stats = find_place(dev->stats);

	context->stats = stats;
	if (stats == NULL) {
		return;
	}
	stats_set(&stats->capset_id, context->capset_id);
	stats_set(&stats->is_lost, context->is_lost);
	stats_set(&stats->n_resources, 0);
	stats_set(&stats->bytes, 0);
	stats_set(&stats->n_submits, 0);
	stats_set_bytes(stats->name, STATS_NAME_WORDS, "", 0);
	stats_set(&stats->id, context->id);
}

void context_stop_counting(struct context *context)
{
	if (context->stats != NULL) {
		stats_set(&context->stats->id, 0);
	}
	g_clear_pointer(&context->attached, g_hash_table_destroy);
}

static void count_attached(struct context *context, const struct resource *resource)
{
	if (context->stats == NULL) {
		return;
	}
	if (context->attached == NULL) {
		context->attached = g_hash_table_new_full(NULL, NULL, NULL, g_free);
	}
	if (g_hash_table_size(context->attached) >= MAX_COUNTED ||
	    g_hash_table_contains(context->attached, GUINT_TO_POINTER(resource->id))) {
		return;
	}
	uint64_t size = resource_size_bytes(resource);
	g_hash_table_insert(context->attached, GUINT_TO_POINTER(resource->id),
			    g_memdup2(&size, sizeof(size)));
	stats_add(&context->stats->n_resources, 1);
	stats_add(&context->stats->bytes, size);
}

static void count_detached(struct context *context, uint32_t resource_id)
{
	const uint64_t *size =
		context->attached != NULL
			? g_hash_table_lookup(context->attached, GUINT_TO_POINTER(resource_id))
			: NULL;

	if (size == NULL) {
		return;
	}
	stats_add(&context->stats->n_resources, -UINT64_C(1));
	stats_add(&context->stats->bytes, -*size);
	g_hash_table_remove(context->attached, GUINT_TO_POINTER(resource_id));
}

void contexts_count_removed(struct device *dev, const struct resource *resource)
{
	GHashTableIter iter;
	void *context;

	if (dev->stats == NULL) {
		return;
	}
	g_hash_table_iter_init(&iter, dev->contexts);
	while (g_hash_table_iter_next(&iter, NULL, &context)) {
		count_detached(context, resource->id);
	}
}

/* ---- commands ---- */

static struct context *add(struct device *dev, uint32_t id, uint32_t capset_id, bool is_lost)
{
	struct context *context = g_new(struct context, 1);

	*context = (struct context){ .id = id, .capset_id = capset_id, .is_lost = is_lost };
	begin_counting(dev, context);
	g_hash_table_insert(dev->contexts, GUINT_TO_POINTER(id), context);
	return context;
}

bool device_add_lost_context(struct device *dev, uint32_t id, uint32_t capset_id)
{
	if (id == 0 || device_find_context_or_lost(dev, id) != NULL ||
	    g_hash_table_size(dev->contexts) >= DEVICE_MAX_CONTEXTS) {
		return false;
	}
	add(dev, id, capset_id, true);
	return true;
}

enum gpu_resp handle_ctx_create(struct device *dev, struct command *command)
{
	const struct virtio_gpu_ctx_create *request = &command->request.ctx_create;
	uint32_t id = request->hdr.ctx_id;
	uint32_t capset_id = 0;
	char shown[2 * sizeof(request->debug_name)];

	if (id == 0 || device_find_context_or_lost(dev, id) != NULL) {
		return GPU_RESP_ERR_INVALID_CONTEXT_ID;
	}
	if (request->nlen > sizeof(request->debug_name)) {
		return GPU_RESP_ERR_INVALID_PARAMETER;
	}
	if (device_has_feature(dev, VIRTIO_GPU_F_CONTEXT_INIT)) {
		capset_id = request->context_init & VIRTIO_GPU_CONTEXT_INIT_CAPSET_ID_MASK;
		if (capset_id != 0 && renderer_find_capset(&dev->renderer->caps, capset_id) == NULL) {
			return GPU_RESP_ERR_INVALID_PARAMETER;
		}
	}
	if (g_hash_table_size(dev->contexts) >= DEVICE_MAX_CONTEXTS) {
		return GPU_RESP_ERR_OUT_OF_MEMORY;
	}
	/* Linux counts no NUL, others may; what is behind one is no name. */
	size_t name_bytes = strnlen(request->debug_name, request->nlen);
	enum gpu_resp resp =
		impl(dev)->create(dev->renderer, id, capset_id, request->debug_name, name_bytes);
	if (resp != GPU_RESP_OK_NODATA) {
		return resp;
	}
	struct context *context = add(dev, id, capset_id, false);
	if (context->stats != NULL) {
		stats_set_bytes(context->stats->name, STATS_NAME_WORDS, request->debug_name,
				name_bytes);
	}
	record_context(dev, context);
	log_debug("ctx %u: capset %u, '%s'", id, capset_id,
		  log_escape(request->debug_name, name_bytes, shown, sizeof(shown)));
	return GPU_RESP_OK_NODATA;
}

enum gpu_resp handle_ctx_destroy(struct device *dev, struct command *command)
{
	uint32_t id = command->request.header.ctx_id;

	struct context *context = device_find_context_or_lost(dev, id);

	if (context == NULL) {
		return GPU_RESP_ERR_INVALID_CONTEXT_ID;
	}
	record_drop(dev, RECORD_CONTEXT, id); /* first, as in RESOURCE_UNREF */
	device_remove_context(dev, context);

	/* Nobody will signal the fences of its rings any more. */
	struct command *waiting;
	while ((waiting = fences_take_context(&dev->fences, id)) != NULL) {
		device_complete(dev, waiting, waiting->answer);
	}
	return GPU_RESP_OK_NODATA;
}

/* Both ids of a CTX_ATTACH or DETACH_RESOURCE. */
static enum gpu_resp check_pair(struct device *dev, const struct command *command)
{
	const struct virtio_gpu_ctx_resource *request = &command->request.ctx_resource;

	if (device_find_context(dev, request->hdr.ctx_id) == NULL) {
		return GPU_RESP_ERR_INVALID_CONTEXT_ID;
	}
	if (device_find_resource(dev, request->resource_id) == NULL) {
		return GPU_RESP_ERR_INVALID_RESOURCE_ID;
	}
	return GPU_RESP_OK_NODATA;
}

enum gpu_resp handle_ctx_attach_resource(struct device *dev, struct command *command)
{
	enum gpu_resp resp = check_pair(dev, command);

	if (resp == GPU_RESP_OK_NODATA) {
		impl(dev)->attach_resource(dev->renderer, command->request.header.ctx_id,
					   command->request.ctx_resource.resource_id);
		count_attached(
			device_find_context(dev, command->request.header.ctx_id),
			device_find_resource(dev, command->request.ctx_resource.resource_id));
	}
	return resp;
}

enum gpu_resp handle_ctx_detach_resource(struct device *dev, struct command *command)
{
	enum gpu_resp resp = check_pair(dev, command);

	if (resp == GPU_RESP_OK_NODATA) {
		impl(dev)->detach_resource(dev->renderer, command->request.header.ctx_id,
					   command->request.ctx_resource.resource_id);
		count_detached(device_find_context(dev, command->request.header.ctx_id),
			       command->request.ctx_resource.resource_id);
	}
	return resp;
}

static uint32_t minify(uint32_t side, uint32_t level)
{
	uint32_t small = level < 32 ? side >> level : 0;

	return small > 0 ? small : 1;
}

/* Is the box inside the level? Layers count as depth, or as height in 1D arrays. */
static bool is_box_inside(const struct resource_desc *desc, const struct virtio_gpu_box *box,
			  uint32_t level)
{
	uint64_t layers = MAX(desc->array_size, 1);
	uint64_t height = MAX(minify(desc->height, level), layers);
	uint64_t depth = MAX(minify(desc->depth, level), layers);

	return level <= desc->last_level &&
	       (uint64_t)box->x + box->w <= minify(desc->width, level) &&
	       (uint64_t)box->y + box->h <= height && (uint64_t)box->z + box->d <= depth;
}

static enum gpu_resp transfer(struct device *dev, struct command *command, bool to_host)
{
	const struct virtio_gpu_transfer_host_3d *request = &command->request.transfer_host_3d;
	struct resource *resource = device_find_resource(dev, request->resource_id);
	const struct transfer_3d transfer = {
		.ctx_id = request->hdr.ctx_id,
		.level = request->level,
		.stride = request->stride,
		.layer_stride = request->layer_stride,
		.offset = request->offset,
		.box = request->box,
		.to_host = to_host,
	};

	if (transfer.ctx_id != 0 && device_find_context(dev, transfer.ctx_id) == NULL) {
		return GPU_RESP_ERR_INVALID_CONTEXT_ID;
	}
	if (resource == NULL || !resource->has_backing) {
		return GPU_RESP_ERR_INVALID_RESOURCE_ID;
	}
	/* What a blob holds its renderer knows. */
	if ((!resource->is_blob &&
	     !is_box_inside(&resource->desc, &transfer.box, transfer.level)) ||
	    transfer.offset > resource->backing.size_bytes) {
		return GPU_RESP_ERR_INVALID_PARAMETER;
	}
	if (resource->mem == NULL || !resource->is_made) {
		return GPU_RESP_ERR_UNSPEC;
	}
	return impl(dev)->transfer(dev->renderer, resource->id, &transfer);
}

enum gpu_resp handle_transfer_to_host_3d(struct device *dev, struct command *command)
{
	return transfer(dev, command, true);
}

enum gpu_resp handle_transfer_from_host_3d(struct device *dev, struct command *command)
{
	return transfer(dev, command, false);
}

/* Room for size_bytes, never zeroed, reused from one stream to the next. */
static void *reserve_arena(struct device *dev, size_t size_bytes)
{
	if (dev->arena_bytes < size_bytes) {
		g_free(dev->arena);
		dev->arena = g_try_malloc(size_bytes);
		dev->arena_bytes = dev->arena != NULL ? size_bytes : 0;
	}
	return dev->arena;
}

enum gpu_resp handle_submit_3d(struct device *dev, struct command *command)
{
	const struct virtio_gpu_cmd_submit *request = &command->request.submit_3d;
	const struct context *context = device_find_context(dev, request->hdr.ctx_id);
	enum gpu_resp resp;

	if (context == NULL) {
		return GPU_RESP_ERR_INVALID_CONTEXT_ID;
	}
	if (context->stats != NULL) {
		stats_add(&context->stats->n_submits, 1);
	}
	if (request->size > MAX_SUBMIT_BYTES || request->size > command_extra_bytes(command)) {
		return GPU_RESP_ERR_INVALID_PARAMETER;
	}
	if (request->size == 0) {
		return GPU_RESP_OK_NODATA;
	}
	void *stream = reserve_arena(dev, request->size);
	if (stream == NULL) {
		return GPU_RESP_ERR_OUT_OF_MEMORY;
	}
	if (!command_read_extra(command, 0, stream, request->size)) {
		return GPU_RESP_ERR_UNSPEC;
	}
	resp = impl(dev)->submit(dev->renderer, request->hdr.ctx_id, stream, request->size);
	if (dev->arena_bytes > KEEP_ARENA_BYTES) {
		g_clear_pointer(&dev->arena, g_free);
		dev->arena_bytes = 0;
	}
	return resp;
}
