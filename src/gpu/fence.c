/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "gpu/fence.h"

struct timeline {
	uint64_t key;
	uint32_t ctx_id;
	bool has_ring;
	GQueue waiting; /* struct command.link, seq ascending */
};

/* A timeline in one number; the global one is 0. */
static uint64_t timeline_key(uint32_t ctx_id, bool has_ring, uint8_t ring_idx)
{
	return has_ring ? 1ull << 40 | (uint64_t)ctx_id << 8 | ring_idx : 0;
}

static void timeline_free(void *data)
{
	struct timeline *timeline = data;
	GList *link;

	while ((link = g_queue_pop_head_link(&timeline->waiting)) != NULL) {
		command_destroy(link->data);
	}
	g_free(timeline);
}

void fences_init(struct fences *fences)
{
	*fences = (struct fences){
		.timelines = g_hash_table_new_full(g_int64_hash, g_int64_equal, NULL, timeline_free),
	};
}

void fences_finish(struct fences *fences)
{
	g_clear_pointer(&fences->timelines, g_hash_table_destroy);
}

void fences_reset(struct fences *fences)
{
	g_hash_table_remove_all(fences->timelines);
}

void fences_add(struct fences *fences, struct command *consume_command, uint32_t ctx_id,
		bool has_ring, uint8_t ring_idx, struct renderer_fence *fence_out)
{
	uint64_t key = timeline_key(ctx_id, has_ring, ring_idx);
	struct timeline *timeline = g_hash_table_lookup(fences->timelines, &key);

	if (timeline == NULL) {
		timeline = g_new0(struct timeline, 1);
		timeline->key = key;
		timeline->ctx_id = ctx_id;
		timeline->has_ring = has_ring;
		g_queue_init(&timeline->waiting);
		g_hash_table_insert(fences->timelines, &timeline->key, timeline);
	}
	consume_command->fence = (struct renderer_fence){
		.ctx_id = ctx_id,
		.has_ring = has_ring,
		.ring_idx = ring_idx,
		.seq = ++fences->last_seq,
	};
	*fence_out = consume_command->fence;
	g_queue_push_tail_link(&timeline->waiting, &consume_command->link);
}

/* The first of timeline up to seq; an empty ring's timeline is dropped with its last command. */
static struct command *take(struct fences *fences, struct timeline *timeline, uint64_t seq)
{
	struct command *command = g_queue_peek_head(&timeline->waiting);

	if (command == NULL || command->fence.seq > seq) {
		return NULL;
	}
	g_queue_pop_head_link(&timeline->waiting);
	if (timeline->has_ring && g_queue_is_empty(&timeline->waiting)) {
		g_hash_table_remove(fences->timelines, &timeline->key);
	}
	return command;
}

struct command *fences_take(struct fences *fences, const struct renderer_fence *fence)
{
	uint64_t key = timeline_key(fence->ctx_id, fence->has_ring, fence->ring_idx);
	struct timeline *timeline = g_hash_table_lookup(fences->timelines, &key);

	return timeline != NULL ? take(fences, timeline, fence->seq) : NULL;
}

struct command *fences_forgo_last(struct fences *fences, const struct renderer_fence *fence)
{
	uint64_t key = timeline_key(fence->ctx_id, fence->has_ring, fence->ring_idx);
	struct timeline *timeline = g_hash_table_lookup(fences->timelines, &key);
	struct command *last = g_queue_peek_tail(&timeline->waiting);

	if (last->link.prev == NULL) {
		return take(fences, timeline, UINT64_MAX);
	}
	const struct command *before = last->link.prev->data;
	last->fence.seq = before->fence.seq;
	return NULL;
}

struct command *fences_take_context(struct fences *fences, uint32_t ctx_id)
{
	GHashTableIter iter;
	void *value;

	g_hash_table_iter_init(&iter, fences->timelines);
	while (g_hash_table_iter_next(&iter, NULL, &value)) {
		struct timeline *timeline = value;

		if (timeline->has_ring && timeline->ctx_id == ctx_id) {
			return take(fences, timeline, UINT64_MAX);
		}
	}
	return NULL;
}
