/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * Fences, in order on each ring. The callback comes with a lock held that every call for a fence
 * takes: who called the library out of it, or waited there for its own thread, would never return.
 */
#include "mock.h"

#include <errno.h>

static struct {
	GMutex lock; /* not recursive, as the real one's */
	GMutex queue_lock;
	GCond changed;
	GQueue due;	   /* of struct gfxstream_fence, owned: for the thread */
	GQueue held;	   /* the same */
	GHashTable *kinds; /* key -> kind */
	GHashTable *last;  /* key -> the last fence's id, owned */
	bool is_mute;
	void (*signal)(const struct gfxstream_fence *fence);
} fences;

static __thread bool is_calling;

bool mock_fences_is_calling(void)
{
	return is_calling;
}

static uint64_t key_of(uint32_t ctx_id, int32_t ring)
{
	return ring < 0 ? 0 : (uint64_t)ctx_id << 16 | 1u << 8 | (uint32_t)ring;
}

static uint64_t key_of_fence(const struct gfxstream_fence *fence)
{
	return fence->flags & GFXSTREAM_FENCE_RING_IDX ? key_of(fence->ctx_id, fence->ring_idx) : 0;
}

static uint32_t kind_of(uint64_t key)
{
	return GPOINTER_TO_UINT(g_hash_table_lookup(fences.kinds, &key));
}

/* With the lock held. */
static void call(const struct gfxstream_fence *fence)
{
	is_calling = true;
	fences.signal(fence);
	is_calling = false;
}

static void signal_one(const struct gfxstream_fence *fence, uint32_t kind)
{
	g_mutex_lock(&fences.lock);
	if (kind == MOCK_GFX_FENCES_LIES) {
		call(&(struct gfxstream_fence){ 3, UINT64_MAX, fence->ctx_id + 1,
						fence->ring_idx });
		call(&(struct gfxstream_fence){ 3, UINT64_MAX, fence->ctx_id, 77 });
	}
	call(fence);
	if (kind == MOCK_GFX_FENCES_TWICE) {
		call(fence);
	}
	g_mutex_unlock(&fences.lock);
}

static void *work(void *data)
{
	(void)data;
	for (;;) {
		g_mutex_lock(&fences.queue_lock);
		while (g_queue_is_empty(&fences.due)) {
			g_cond_wait(&fences.changed, &fences.queue_lock);
		}
		struct gfxstream_fence *fence = g_queue_pop_head(&fences.due);
		g_mutex_unlock(&fences.queue_lock);
		signal_one(fence, MOCK_GFX_FENCES_THREAD);
		g_free(fence);
	}
	return NULL;
}

/* Its thread lives as long as the process. */
void mock_fences_start(void (*signal)(const struct gfxstream_fence *fence), bool is_mute)
{
	fences.signal = signal;
	fences.is_mute = is_mute;
	fences.kinds = g_hash_table_new_full(g_int64_hash, g_int64_equal, g_free, NULL);
	fences.last = g_hash_table_new_full(g_int64_hash, g_int64_equal, g_free, g_free);
	g_thread_unref(g_thread_new("mock-fences", work, NULL));
}

void mock_fences_set(uint32_t ctx_id, int32_t ring, uint32_t how)
{
	uint64_t key = key_of(ctx_id, ring);

	g_hash_table_insert(fences.kinds, g_memdup2(&key, sizeof(key)), GUINT_TO_POINTER(how));
}

void mock_fences_release(uint32_t ctx_id, int32_t ring)
{
	uint64_t key = key_of(ctx_id, ring);

	g_mutex_lock(&fences.queue_lock);
	for (GList *link = fences.held.head, *next; link; link = next) {
		next = link->next;
		if (key_of_fence(link->data) == key) {
			g_queue_unlink(&fences.held, link);
			g_queue_push_tail_link(&fences.due, link);
		}
	}
	g_cond_signal(&fences.changed);
	g_mutex_unlock(&fences.queue_lock);
	mock_fences_set(ctx_id, ring, MOCK_GFX_FENCES_THREAD);
}

/* Numbers only grow on a ring. */
static void check_order(const struct gfxstream_fence *fence)
{
	uint64_t key = key_of_fence(fence);
	const uint64_t *last = g_hash_table_lookup(fences.last, &key);

	/* The number of a self-test is of no timeline. */
	if (fence->fence_id >> 32) {
		return;
	}
	contract(!last || *last < fence->fence_id, "fence %" G_GUINT64_FORMAT " behind its time",
		 fence->fence_id);
	g_hash_table_insert(fences.last, g_memdup2(&key, sizeof(key)),
			    g_memdup2(&fence->fence_id, sizeof(fence->fence_id)));
}

int stream_renderer_create_fence(const struct gfxstream_fence *fence)
{
	mock_enter("create_fence");
	uint32_t kind = kind_of(key_of_fence(fence));
	contract((fence->flags & ~2u) == GFXSTREAM_FENCE, "a fence with flags 0x%x", fence->flags);
	contract(!(fence->flags & 2) || mock_find_context(fence->ctx_id),
		 "a fence on a ring of context %u, which there is not", fence->ctx_id);
	check_order(fence);
	if (mock_take_failure(MOCK_GFX_FAIL_FENCE)) {
		mock_leave();
		return -EINVAL;
	}
	g_mutex_lock(&fences.queue_lock);
	if (kind == MOCK_GFX_FENCES_HOLD || kind == MOCK_GFX_FENCES_THREAD) {
		g_queue_push_tail(kind == MOCK_GFX_FENCES_HOLD ? &fences.held : &fences.due,
				  g_memdup2(fence, sizeof(*fence)));
		g_cond_signal(&fences.changed);
		kind = MOCK_GFX_FENCES_HOLD;
	}
	g_mutex_unlock(&fences.queue_lock);
	if (kind != MOCK_GFX_FENCES_HOLD && !fences.is_mute) {
		signal_one(fence, kind);
	}
	mock_leave();
	return 0;
}
