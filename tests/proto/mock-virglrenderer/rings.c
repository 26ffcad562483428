/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * Fences of contexts whose rings are timelines: a thread signals them as they
 * come, but for those of rings that are told otherwise.
 */
#define VIRGL_RENDERER_UNSTABLE_APIS
#include <virglrenderer.h>

#include <errno.h>
#include <glib.h>

#include "mock.h"

#define N_RINGS 64

struct fence {
	uint32_t ctx_id, ring;
	uint64_t id;
};

static struct {
	GMutex lock;
	GCond changed;
	GQueue due;	   /* of struct fence, owned */
	GQueue held;	   /* the same */
	GHashTable *kinds; /* ctx_id and ring -> kind + 1 */
	GThread *thread;
	bool is_ending, is_busy;
	void (*signal_fence)(uint32_t ctx_id, uint32_t ring, uint64_t id);
} rings;

static void *key_of(uint32_t ctx_id, uint32_t ring)
{
	return GUINT_TO_POINTER(ctx_id * N_RINGS + ring);
}

/* -1: nothing special. */
static int kind_of(uint32_t ctx_id, uint32_t ring)
{
	return GPOINTER_TO_INT(g_hash_table_lookup(rings.kinds, key_of(ctx_id, ring))) - 1;
}

static void signal_one(const struct fence *fence, int kind)
{
	if (kind == MOCK_RING_LIES) {
		rings.signal_fence(fence->ctx_id + 1, fence->ring, fence->id);
		rings.signal_fence(fence->ctx_id, 0xffffffff, UINT64_MAX);
		rings.signal_fence(fence->ctx_id, N_RINGS + fence->ring, UINT64_MAX);
	}
	rings.signal_fence(fence->ctx_id, fence->ring, fence->id);
	if (kind == MOCK_RING_TWICE) {
		rings.signal_fence(fence->ctx_id, fence->ring, fence->id);
	}
}

static void *work(void *data)
{
	(void)data;
	g_mutex_lock(&rings.lock);
	while (!rings.is_ending) {
		struct fence *fence = g_queue_pop_head(&rings.due);

		if (fence == NULL) {
			g_cond_wait(&rings.changed, &rings.lock);
			continue;
		}
		int kind = kind_of(fence->ctx_id, fence->ring);

		rings.is_busy = true;
		g_mutex_unlock(&rings.lock);
		signal_one(fence, kind);
		g_free(fence);
		g_mutex_lock(&rings.lock);
		rings.is_busy = false;
		g_cond_broadcast(&rings.changed);
	}
	g_mutex_unlock(&rings.lock);
	return NULL;
}

void mock_rings_start(void (*signal_fence)(uint32_t ctx_id, uint32_t ring, uint64_t id))
{
	rings.signal_fence = signal_fence;
	rings.is_ending = false;
	rings.kinds = g_hash_table_new(NULL, NULL);
	rings.thread = g_thread_new("mock-rings", work, NULL);
}

void mock_rings_stop(void)
{
	g_mutex_lock(&rings.lock);
	rings.is_ending = true;
	g_cond_broadcast(&rings.changed);
	g_mutex_unlock(&rings.lock);
	g_thread_join(rings.thread);
	g_queue_clear_full(&rings.due, g_free);
	g_queue_clear_full(&rings.held, g_free);
	g_hash_table_destroy(rings.kinds);
}

static void drop_of(GQueue *queue, uint32_t ctx_id)
{
	for (GList *link = queue->head, *next; link != NULL; link = next) {
		next = link->next;
		if (((struct fence *)link->data)->ctx_id == ctx_id) {
			g_free(link->data);
			g_queue_delete_link(queue, link);
		}
	}
}

/* As with the real one, none is signalled from now on. */
void mock_rings_forget(uint32_t ctx_id)
{
	g_mutex_lock(&rings.lock);
	drop_of(&rings.due, ctx_id);
	drop_of(&rings.held, ctx_id);
	while (rings.is_busy) {
		g_cond_wait(&rings.changed, &rings.lock);
	}
	for (uint32_t ring = 0; ring < N_RINGS; ring++) {
		g_hash_table_remove(rings.kinds, key_of(ctx_id, ring));
	}
	g_mutex_unlock(&rings.lock);
}

int virgl_renderer_context_create_fence(uint32_t ctx_id, uint32_t flags, uint32_t ring_idx,
					uint64_t fence_id)
{
	const struct fence fence = { ctx_id, ring_idx, fence_id };
	uint32_t capset = mock_find_context(ctx_id);

	(void)flags;
	if ((capset != 4 && capset != 6) || ring_idx >= N_RINGS) {
		return -EINVAL;
	}
	g_mutex_lock(&rings.lock);
	int kind = kind_of(ctx_id, ring_idx);
	if (kind != MOCK_RING_AT_ONCE) {
		g_queue_push_tail(kind == MOCK_RING_HOLD ? &rings.held : &rings.due,
				  g_memdup2(&fence, sizeof(fence)));
		g_cond_broadcast(&rings.changed);
	}
	g_mutex_unlock(&rings.lock);
	if (kind == MOCK_RING_AT_ONCE) {
		signal_one(&fence, kind);
	}
	return 0;
}

static int op_ring(const struct mock_command *command)
{
	uint32_t ring = mock_arg(command, 0);

	if (ring >= N_RINGS) {
		return EINVAL;
	}
	g_mutex_lock(&rings.lock);
	g_hash_table_insert(rings.kinds, key_of(command->ctx_id, ring),
			    GINT_TO_POINTER((int)mock_arg(command, 1) + 1));
	g_mutex_unlock(&rings.lock);
	return 0;
}

static int op_release(const struct mock_command *command)
{
	uint32_t ring = mock_arg(command, 0);

	g_mutex_lock(&rings.lock);
	g_hash_table_remove(rings.kinds, key_of(command->ctx_id, ring));
	for (GList *link = rings.held.head, *next; link != NULL; link = next) {
		struct fence *fence = link->data;

		next = link->next;
		if (fence->ctx_id == command->ctx_id && fence->ring == ring) {
			g_queue_unlink(&rings.held, link);
			g_queue_push_tail_link(&rings.due, link);
		}
	}
	g_cond_broadcast(&rings.changed);
	g_mutex_unlock(&rings.lock);
	return 0;
}

const struct mock_op mock_ring_ops[] = {
	{ MOCK_RING, op_ring },
	{ MOCK_RING_RELEASE, op_release },
	{ 0, NULL },
};
