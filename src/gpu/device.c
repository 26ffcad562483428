/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "gpu/device.h"

#include <string.h>

#include "gpu/scanout_dmabuf.h"
#include "util/log.h"

/* What fence.c and the renderer keep of a command that waits. */
#define FENCE_OVERHEAD_BYTES 384

bool device_has_feature(const struct device *dev, unsigned int bit)
{
	return (dev->features & 1ull << bit) != 0;
}

struct resource *device_find_resource_or_lost(struct device *dev, uint32_t id)
{
	return g_hash_table_lookup(dev->resources, GUINT_TO_POINTER(id));
}

struct resource *device_find_resource(struct device *dev, uint32_t id)
{
	struct resource *resource = device_find_resource_or_lost(dev, id);

	return resource != NULL && !resource->is_lost ? resource : NULL;
}

struct context *device_find_context_or_lost(struct device *dev, uint32_t id)
{
	return g_hash_table_lookup(dev->contexts, GUINT_TO_POINTER(id));
}

struct context *device_find_context(struct device *dev, uint32_t id)
{
	struct context *context = device_find_context_or_lost(dev, id);

	return context != NULL && !context->is_lost ? context : NULL;
}

/* ---- answers ---- */

bool device_charge(struct device *dev, struct command *command, size_t size_bytes)
{
	bool is_first = command->charged_bytes == 0;

	if ((is_first && dev->n_waiting >= DEVICE_MAX_WAITING) ||
	    size_bytes > DEVICE_MAX_WAITING_BYTES - dev->waiting_bytes) {
		return false;
	}
	dev->n_waiting += is_first;
	dev->waiting_bytes += size_bytes;
	command->charged_bytes += size_bytes;
	return true;
}

bool device_may_wait(struct device *dev, struct command *command)
{
	const struct virtq_chain *chain = command->chain;
	size_t n_buffers = (size_t)chain->n_readable + chain->n_writable;

	return command->charged_bytes > 0 ||
	       device_charge(dev, command,
			     sizeof(*command) + sizeof(*chain) +
				     n_buffers * sizeof(chain->buffers[0]) +
				     FENCE_OVERHEAD_BYTES);
}

enum gpu_resp device_wait(struct device *dev, struct command *command)
{
	g_hash_table_insert(dev->questions, &command->token, command);
	return GPU_RESP_PENDING;
}

struct command *device_take_waiting(struct device *dev, uint64_t token)
{
	struct command *command = g_hash_table_lookup(dev->questions, &token);

	if (command != NULL) {
		g_hash_table_steal(dev->questions, &token);
	}
	return command;
}

static void count_answer(struct device *dev, const struct command *command, enum gpu_resp resp)
{
	if (resp >= GPU_RESP_ERR_UNSPEC) {
		stats_add(&dev->stats->n_errors, 1);
	}
	if (command->fenced_us != 0) {
		stats_add_fence(dev->stats,
				(uint64_t)(g_get_monotonic_time() - command->fenced_us));
	}
}

void device_count(struct device *dev)
{
	if (dev->stats == NULL) {
		return;
	}
	stats_set(&dev->stats->n_resources, g_hash_table_size(dev->resources));
	stats_set(&dev->stats->n_contexts, g_hash_table_size(dev->contexts));
	stats_set(&dev->stats->n_waiting, dev->n_waiting);
	stats_set(&dev->stats->memory_bytes, quota_used(dev->quota));
}

void device_complete(struct device *dev, struct command *consume_command, enum gpu_resp resp)
{
	if (dev->stats != NULL) {
		count_answer(dev, consume_command, resp);
	}
	if (consume_command->charged_bytes > 0) {
		dev->n_waiting--;
		dev->waiting_bytes -= consume_command->charged_bytes;
	}
	device_count(dev);
	command_complete(consume_command, resp,
			 device_has_feature(dev, VIRTIO_GPU_F_CONTEXT_INIT));
}

static void fence_signaled(void *data, const struct renderer_fence *fence)
{
	struct device *dev = data;
	struct command *command;

	while ((command = fences_take(&dev->fences, fence)) != NULL) {
		device_complete(dev, command, command->answer);
	}
}

static void breathe(void *data)
{
	struct device *dev = data;

	if (dev->breathe != NULL && !dev->holds_breath) {
		dev->breathe(dev->breathe_data);
	}
}

static const struct renderer_listener renderer_listener = {
	.fence_signaled = fence_signaled,
	.breathe = breathe,
};

static bool is_fenced(const struct device *dev, const struct command *command)
{
	return (command->request.header.flags & VIRTIO_GPU_FLAG_FENCE) != 0 &&
	       dev->renderer->impl->fence_create != NULL;
}

void device_answer(struct device *dev, struct command *consume_command, enum gpu_resp resp)
{
	const struct virtio_gpu_ctrl_hdr *header = &consume_command->request.header;
	struct renderer_fence fence;
	bool has_ring = header->flags & VIRTIO_GPU_FLAG_INFO_RING_IDX &&
			device_has_feature(dev, VIRTIO_GPU_F_CONTEXT_INIT);

	if (!is_fenced(dev, consume_command) ||
	    (has_ring && device_find_context(dev, header->ctx_id) == NULL)) {
		device_complete(dev, consume_command, resp);
		return;
	}
	/*
	 * Failed commands too: the guest takes a fence for a promise that all
	 * before it on the timeline are done.
	 */
	virtq_chain_release(consume_command->chain);
	consume_command->answer = resp;
	consume_command->fenced_us = dev->stats != NULL ? g_get_monotonic_time() : 0;
	fences_add(&dev->fences, consume_command, has_ring ? header->ctx_id : 0, has_ring,
		   has_ring ? header->ring_idx : 0, &fence);
	if (dev->renderer->impl->fence_create(dev->renderer, &fence) != GPU_RESP_OK_NODATA) {
		log_warn("the renderer makes no fence: the command is done with those before it");
		struct command *done = fences_forgo_last(&dev->fences, &fence);
		if (done != NULL) {
			device_complete(dev, done, done->answer);
		}
	}
}

/* Without contexts there are no 3D commands; but what is left of lost ones can be ended. */
static bool is_offered(struct device *dev, const struct command *command)
{
	return !command->type->is_3d || dev->renderer->impl->context != NULL ||
	       (command->type->type == VIRTIO_GPU_CMD_CTX_DESTROY &&
		device_find_context_or_lost(dev, command->request.header.ctx_id) != NULL);
}

void device_execute(struct device *dev, struct virtq *vq, struct virtq_chain *consume_chain)
{
	struct command *command = command_create(vq, consume_chain);
	enum gpu_resp resp = command_decode(command);

	if (dev->stats != NULL) {
		stats_add(&dev->stats->n_commands[vq->index], 1);
	}
	if (is_fenced(dev, command) && !device_may_wait(dev, command)) {
		log_warn("%u commands wait for their fences; one more is refused", dev->n_waiting);
		device_complete(dev, command, GPU_RESP_ERR_OUT_OF_MEMORY);
		return;
	}
	if (resp != GPU_RESP_OK_NODATA) {
		log_debug("bad command 0x%x on queue %u: answered 0x%x",
			  command->request.header.type, vq->index, (unsigned int)resp);
	} else if (!is_offered(dev, command)) {
		resp = GPU_RESP_ERR_UNSPEC;
	} else {
		resp = command->type->handle(dev, command);
		if (resp >= GPU_RESP_ERR_UNSPEC) {
			log_debug("%s: refused, 0x%x", command->type->name, (unsigned int)resp);
		}
	}
	/* A command that waits reads no more; an answered one is gone with its chain. */
	if (resp == GPU_RESP_PENDING) {
		virtq_chain_release(command->chain);
	} else {
		device_answer(dev, command, resp);
	}
	device_count(dev); /* those that wait now, too */
}

/* ---- life ---- */

static void question_free(void *data)
{
	command_destroy(data);
}

void device_init(struct device *dev, struct renderer *renderer, struct display *display,
		 struct quota *quota)
{
	*dev = (struct device){
		.renderer = renderer,
		.display = display,
		.quota = quota,
		.mem = guestmem_create_empty(),
		.resources = g_hash_table_new(NULL, NULL),
		.contexts = g_hash_table_new(NULL, NULL),
		.questions =
			g_hash_table_new_full(g_int64_hash, g_int64_equal, NULL, question_free),
	};
	dev->info.pmodes[0] = (struct virtio_gpu_display_one){
		.r = { 0, 0, DEVICE_DEFAULT_WIDTH, DEVICE_DEFAULT_HEIGHT },
		.enabled = 1,
	};
	g_queue_init(&dev->held);
	g_queue_init(&dev->dmabufs);
	fences_init(&dev->fences);
	ranges_init(&dev->window, 0);
	renderer_set_listener(renderer, &renderer_listener, dev);
}

void device_finish(struct device *dev)
{
	device_set_recorder(dev, NULL, NULL);
	device_reset(dev);
	fences_finish(&dev->fences);
	g_hash_table_destroy(dev->questions);
	g_hash_table_destroy(dev->contexts);
	g_hash_table_destroy(dev->resources);
	ranges_finish(&dev->window);
	scanout_forget_dmabufs(dev, 0);
	guestmem_unref(dev->mem);
	g_free(dev->arena);
	g_free(dev->record);
	*dev = (struct device){ 0 };
}

void device_remove_resource(struct device *dev, struct resource *resource)
{
	contexts_count_removed(dev, resource);
	device_unmap(dev, resource);
	scanout_forget_dmabufs(dev, resource->id);
	resource->spared = (struct rect){ 0 }; /* nobody will see it */
	resource_detach(resource, dev->renderer, dev->quota);
	if (resource->is_made) {
		dev->renderer->impl->resource_destroy(dev->renderer, resource->id);
	}
	g_hash_table_remove(dev->resources, GUINT_TO_POINTER(resource->id));
	resource_destroy(resource, dev->quota);
}

void device_remove_context(struct device *dev, struct context *context)
{
	if (!context->is_lost) {
		dev->renderer->impl->context->destroy(dev->renderer, context->id);
	}
	context_stop_counting(context);
	g_hash_table_remove(dev->contexts, GUINT_TO_POINTER(context->id));
	g_free(context);
}

void device_reset(struct device *dev)
{
	g_autoptr(GList) contexts = g_hash_table_get_values(dev->contexts);
	g_autoptr(GList) resources = g_hash_table_get_values(dev->resources);

	record_drop_all(dev);
	for (uint32_t i = 0; i < DISPLAY_MAX_SCANOUTS; i++) {
		scanout_disable(dev, i);
		g_free(dev->cursors[i].pixels);
		dev->cursors[i] = (struct cursor){ 0 };
		if (dev->stats != NULL) {
			stats_set(&dev->stats->scanouts[i].cursor.is_visible, false);
		}
	}
	scanout_drop_held(dev);
	fences_reset(&dev->fences);
	g_hash_table_remove_all(dev->questions);
	ranges_clear(&dev->window);
	dev->n_waiting = 0;
	dev->waiting_bytes = 0;
	for (GList *link = contexts; link != NULL; link = link->next) {
		device_remove_context(dev, link->data);
	}
	for (GList *link = resources; link != NULL; link = link->next) {
		/* The front-end has emptied the window by itself. */
		((struct resource *)link->data)->is_mapped = false;
		device_remove_resource(dev, link->data);
	}
	device_count(dev);
}

void device_set_breather(struct device *dev, void (*breathe_fn)(void *data), void *data)
{
	dev->breathe = breathe_fn;
	dev->breathe_data = data;
}

void device_set_exporter(struct device *dev, const struct exporter *exporter, void *data)
{
	dev->exporter = exporter;
	dev->exporter_data = data;
}

void device_set_stats(struct device *dev, struct stats *stats)
{
	dev->stats = stats;
	for (size_t i = 0; stats != NULL && i < RENDERER_N_TEXTS; i++) {
		const char *text = dev->renderer->texts[i];

		if (text != NULL) {
			stats_set_bytes(stats->texts[i], STATS_TEXT_WORDS, text, strlen(text));
		}
	}
}

void device_set_mode(struct device *dev, uint32_t scanout_id, uint32_t width, uint32_t height)
{
	dev->info.pmodes[scanout_id] = (struct virtio_gpu_display_one){
		.r = { 0, 0, width, height },
		.enabled = 1,
	};
}

void device_set_features(struct device *dev, uint64_t features)
{
	dev->features = features;
}

void device_set_memory(struct device *dev, struct guestmem *mem)
{
	GHashTableIter iter;
	void *value;

	scanout_forget_dmabufs(dev, 0);
	guestmem_unref(dev->mem);
	dev->mem = guestmem_ref(mem);
	/* Nothing is executed half way, though pages that go may have to be copied first. */
	dev->holds_breath = true;
	g_hash_table_iter_init(&iter, dev->resources);
	while (g_hash_table_iter_next(&iter, NULL, &value)) {
		resource_remap(value, dev->renderer, mem);
	}
	dev->holds_breath = false;
	scanout_catch_up(dev);
}

void device_replay(struct device *dev)
{
	for (uint32_t i = 0; i < DISPLAY_MAX_SCANOUTS; i++) {
		scanout_replay(dev, i);
		cursor_replay(dev, i);
	}
}
