/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * Fences of contexts whose rings are timelines of their own: Venus and native
 * contexts. The library signals each of them, in the order of its ring, on a
 * thread that it has for the context; its ids have 64 bits, so that they are
 * our sequence numbers.
 *
 * The callback runs with a lock of the library's held. It leaves a line in a
 * list and writes an eventfd. What it says is believed only of fences that are
 * waited for: the numbers come from memory that a server shares with us.
 */
#include "renderer/virgl_internal.h"

#include "util/log.h"

/* As many as of the other kind; the library and its server have no limit. */
#define MAX_WAITING 16384

struct timeline {
	uint64_t key;
	struct renderer_fence last; /* that was given to it */
	GQueue fences;		    /* of their seq, owned, ascending */
};

/* The global timeline is 0, and no context's. */
static uint64_t key_of(const struct renderer_fence *fence)
{
	return fence->has_ring ? (uint64_t)fence->ctx_id << 32 | 1u << 31 | fence->ring_idx : 0;
}

static void timeline_free(void *data)
{
	struct timeline *timeline = data;

	g_queue_clear_full(&timeline->fences, g_free);
	g_free(timeline);
}

void virgl_timelines_init(struct virgl_timelines *timelines)
{
	*timelines = (struct virgl_timelines){
		.waiting = g_hash_table_new_full(g_int64_hash, g_int64_equal, NULL, timeline_free),
		.signalled = g_array_new(FALSE, FALSE, sizeof(struct renderer_fence)),
	};
	g_mutex_init(&timelines->lock);
}

void virgl_timelines_finish(struct virgl_timelines *timelines)
{
	g_hash_table_destroy(timelines->waiting);
	g_array_unref(timelines->signalled);
	g_mutex_clear(&timelines->lock);
}

static void push(struct virgl_timelines *timelines, const struct renderer_fence *fence)
{
	uint64_t key = key_of(fence);
	struct timeline *timeline = g_hash_table_lookup(timelines->waiting, &key);

	if (timeline == NULL) {
		timeline = g_new(struct timeline, 1);
		*timeline = (struct timeline){ .key = key, .last = *fence };
		g_queue_init(&timeline->fences);
		g_hash_table_insert(timelines->waiting, &timeline->key, timeline);
	}
	timeline->last = *fence;
	g_queue_push_tail(&timeline->fences, g_memdup2(&fence->seq, sizeof(fence->seq)));
	timelines->n_waiting++;
}

static void forget_if_empty(struct virgl_timelines *timelines, const struct timeline *timeline)
{
	uint64_t key = timeline->key;

	if (g_queue_is_empty((GQueue *)(uintptr_t)&timeline->fences)) {
		g_hash_table_remove(timelines->waiting, &key);
	}
}

/* The newest is taken back. */
static void pop_newest(struct virgl_timelines *timelines, const struct renderer_fence *fence)
{
	uint64_t key = key_of(fence);
	struct timeline *timeline = g_hash_table_lookup(timelines->waiting, &key);

	g_free(g_queue_pop_tail(&timeline->fences));
	timelines->n_waiting--;
	forget_if_empty(timelines, timeline);
}

static void append(struct virgl *virgl, const struct renderer_fence *fence)
{
	g_mutex_lock(&virgl->timelines.lock);
	g_array_append_val(virgl->timelines.signalled, *fence);
	g_mutex_unlock(&virgl->timelines.lock);
	virgl_fences_wake(&virgl->fences);
}

enum gpu_resp virgl_timelines_add(struct virgl *virgl, struct virgl_context *context,
				  const struct renderer_fence *fence)
{
	struct virgl_timelines *timelines = &virgl->timelines;

	if (context->is_lost) {
		virgl_timelines_add_done(virgl, fence);
		return GPU_RESP_OK_NODATA;
	}
	if (timelines->n_waiting >= MAX_WAITING) {
		return GPU_RESP_ERR_OUT_OF_MEMORY;
	}
	/* Before the library has it, whose thread may be faster than we. */
	push(timelines, fence);
	int error =
		virgl_library.context_create_fence(fence->ctx_id, 0, fence->ring_idx, fence->seq);
	if (error == 0) {
		return GPU_RESP_OK_NODATA;
	}
	log_debug("ctx %u: no fence on ring %u (%d)", fence->ctx_id, fence->ring_idx, error);
	if (abs(error) == EINVAL) {
		/* A ring beyond the last one, on which nothing is submitted. */
		append(virgl, fence);
		return GPU_RESP_OK_NODATA;
	}
	pop_newest(timelines, fence);
	virgl_context_lose(virgl, context);
	return GPU_RESP_ERR_UNSPEC;
}

void virgl_timelines_add_done(struct virgl *virgl, const struct renderer_fence *fence)
{
	push(&virgl->timelines, fence);
	append(virgl, fence);
}

void virgl_timelines_callback(struct virgl *virgl, uint32_t ctx_id, uint32_t ring_idx, uint64_t seq)
{
	const struct renderer_fence fence = {
		.ctx_id = ctx_id,
		.has_ring = true,
		.ring_idx = (uint8_t)ring_idx,
		.seq = seq,
	};

	if (ring_idx <= UINT8_MAX) {
		append(virgl, &fence);
	}
}

static void report_one(struct virgl *virgl, const struct renderer_fence *fence)
{
	struct renderer *r = &virgl->base;

	if (r->listener != NULL) {
		r->listener->fence_signaled(r->listener_data, fence);
	}
}

/* How many fences there are up to seq; they are waited for no more. */
static unsigned int take(struct timeline *timeline, uint64_t seq)
{
	unsigned int n = 0;
	uint64_t *first;

	while ((first = g_queue_peek_head(&timeline->fences)) != NULL && *first <= seq) {
		g_free(g_queue_pop_head(&timeline->fences));
		n++;
	}
	return n;
}

static bool settle(struct virgl *virgl, const struct renderer_fence *fence)
{
	uint64_t key = key_of(fence);
	struct timeline *timeline = g_hash_table_lookup(virgl->timelines.waiting, &key);
	unsigned int n = timeline != NULL ? take(timeline, fence->seq) : 0;

	virgl->timelines.n_waiting -= n;
	if (n == 0) {
		return false;
	}
	forget_if_empty(&virgl->timelines, timeline);
	report_one(virgl, fence);
	return true;
}

static GArray *steal_signalled(struct virgl_timelines *timelines)
{
	GArray *fresh = g_array_new(FALSE, FALSE, sizeof(struct renderer_fence));

	g_mutex_lock(&timelines->lock);
	GArray *signalled = timelines->signalled;
	timelines->signalled = fresh;
	g_mutex_unlock(&timelines->lock);
	return signalled;
}

bool virgl_timelines_report(struct virgl *virgl)
{
	bool is_progress = false;

	if (virgl->timelines.n_waiting == 0) {
		return false;
	}
	g_autoptr(GArray) signalled = steal_signalled(&virgl->timelines);
	for (guint i = 0; i < signalled->len; i++) {
		is_progress |= settle(virgl, &g_array_index(signalled, struct renderer_fence, i));
	}
	return is_progress;
}

static bool is_of_context(const struct timeline *timeline, uint32_t ctx_id)
{
	return timeline->last.has_ring && timeline->last.ctx_id == ctx_id;
}

void virgl_timelines_lose(struct virgl *virgl, uint32_t ctx_id)
{
	GHashTableIter iter;
	void *value;

	g_hash_table_iter_init(&iter, virgl->timelines.waiting);
	while (g_hash_table_iter_next(&iter, NULL, &value)) {
		const struct timeline *timeline = value;

		if (is_of_context(timeline, ctx_id)) {
			append(virgl, &timeline->last);
		}
	}
}

void virgl_timelines_drop(struct virgl *virgl, uint32_t ctx_id)
{
	GHashTableIter iter;
	void *value;

	g_hash_table_iter_init(&iter, virgl->timelines.waiting);
	while (g_hash_table_iter_next(&iter, NULL, &value)) {
		const struct timeline *timeline = value;

		if (is_of_context(timeline, ctx_id)) {
			virgl->timelines.n_waiting -= timeline->fences.length;
			g_hash_table_iter_remove(&iter);
		}
	}
	if (virgl->timelines.n_waiting == 0) {
		/* What came of contexts that are gone. */
		g_array_unref(steal_signalled(&virgl->timelines));
	}
	virgl_fences_note(virgl, false);
}
