/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "renderer/timelines.h"

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

void timelines_init(struct timelines *timelines, void (*wake)(void *data), void *data)
{
	*timelines = (struct timelines){
		.waiting = g_hash_table_new_full(g_int64_hash, g_int64_equal, NULL, timeline_free),
		.signalled = g_array_new(FALSE, FALSE, sizeof(struct renderer_fence)),
		.wake = wake,
		.wake_data = data,
	};
	g_mutex_init(&timelines->lock);
}

void timelines_finish(struct timelines *timelines)
{
	g_hash_table_destroy(timelines->waiting);
	g_array_unref(timelines->signalled);
	g_mutex_clear(&timelines->lock);
}

static void push(struct timelines *timelines, const struct renderer_fence *fence)
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

static void forget_if_empty(struct timelines *timelines, const struct timeline *timeline)
{
	uint64_t key = timeline->key;

	if (timeline->fences.length == 0) {
		g_hash_table_remove(timelines->waiting, &key);
	}
}

void timelines_forgo(struct timelines *timelines, const struct renderer_fence *fence)
{
	uint64_t key = key_of(fence);
	struct timeline *timeline = g_hash_table_lookup(timelines->waiting, &key);

	g_free(g_queue_pop_tail(&timeline->fences));
	timelines->n_waiting--;
	forget_if_empty(timelines, timeline);
}

bool timelines_add(struct timelines *timelines, const struct renderer_fence *fence)
{
	if (timelines->n_waiting >= TIMELINES_MAX_WAITING) {
		return false;
	}
	push(timelines, fence);
	return true;
}

void timelines_signal(struct timelines *timelines, const struct renderer_fence *fence)
{
	g_mutex_lock(&timelines->lock);
	g_array_append_val(timelines->signalled, *fence);
	g_mutex_unlock(&timelines->lock);
	timelines->wake(timelines->wake_data);
}

void timelines_add_done(struct timelines *timelines, const struct renderer_fence *fence)
{
	push(timelines, fence);
	timelines_signal(timelines, fence);
}

static void report_one(struct renderer *r, const struct renderer_fence *fence)
{
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

static bool settle(struct timelines *timelines, struct renderer *r,
		   const struct renderer_fence *fence)
{
	uint64_t key = key_of(fence);
	struct timeline *timeline = g_hash_table_lookup(timelines->waiting, &key);
	unsigned int n = timeline != NULL ? take(timeline, fence->seq) : 0;

	timelines->n_waiting -= n;
	if (n == 0) {
		return false;
	}
	forget_if_empty(timelines, timeline);
	report_one(r, fence);
	return true;
}

static GArray *steal_signalled(struct timelines *timelines)
{
	GArray *fresh = g_array_new(FALSE, FALSE, sizeof(struct renderer_fence));

	g_mutex_lock(&timelines->lock);
	GArray *signalled = timelines->signalled;
	timelines->signalled = fresh;
	g_mutex_unlock(&timelines->lock);
	return signalled;
}

bool timelines_report(struct timelines *timelines, struct renderer *r)
{
	bool is_progress = false;

	if (timelines->n_waiting == 0) {
		return false;
	}
	g_autoptr(GArray) signalled = steal_signalled(timelines);
	for (guint i = 0; i < signalled->len; i++) {
		is_progress |=
			settle(timelines, r, &g_array_index(signalled, struct renderer_fence, i));
	}
	return is_progress;
}

static bool is_of_context(const struct timeline *timeline, uint32_t ctx_id)
{
	return timeline->last.has_ring && timeline->last.ctx_id == ctx_id;
}

void timelines_lose(struct timelines *timelines, uint32_t ctx_id)
{
	GHashTableIter iter;
	void *value;

	g_hash_table_iter_init(&iter, timelines->waiting);
	while (g_hash_table_iter_next(&iter, NULL, &value)) {
		const struct timeline *timeline = value;

		if (is_of_context(timeline, ctx_id)) {
			timelines_signal(timelines, &timeline->last);
		}
	}
}

void timelines_drop(struct timelines *timelines, uint32_t ctx_id)
{
	GHashTableIter iter;
	void *value;

	g_hash_table_iter_init(&iter, timelines->waiting);
	while (g_hash_table_iter_next(&iter, NULL, &value)) {
		const struct timeline *timeline = value;

		if (is_of_context(timeline, ctx_id)) {
			timelines->n_waiting -= timeline->fences.length;
			g_hash_table_iter_remove(&iter);
		}
	}
	if (timelines->n_waiting == 0) {
		/* What came of contexts that are gone. */
		g_array_unref(steal_signalled(timelines));
	}
}
