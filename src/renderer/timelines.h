/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * Fences that wait in a library which signals each by its own number, in the
 * order of its ring, on any thread, and maybe before the call that made it has
 * returned.
 *
 * A library's callback may come with locks of the library's held. So it leaves
 * a line in a list and wakes the device thread, and does nothing else. What it
 * says is believed only of fences that are waited for: the numbers may come
 * from memory that somebody shares with us.
 */
#pragma once

#include "renderer/renderer.h"

/* As many as commands may wait and a reset may drop; libraries have no limit. */
#define TIMELINES_MAX_WAITING 16384

struct timelines {
	GHashTable *waiting;	/* of struct timeline, owned, by its key */
	unsigned int n_waiting; /* fences in all of them */
	GMutex lock;
	GArray *signalled; /* of struct renderer_fence, under the lock, in the order they came */
	void (*wake)(void *data);
	void *wake_data;
};

/* wake is called on any thread: timelines_report() has something to do. */
void timelines_init(struct timelines *timelines, void (*wake)(void *data), void *data);
void timelines_finish(struct timelines *timelines);

/*
 * Before the library has the fence, whose thread may be faster than we. False:
 * there are too many.
 */
bool timelines_add(struct timelines *timelines,
		   const struct renderer_fence *fence) G_GNUC_WARN_UNUSED_RESULT;
/* The newest is taken back: the library did not take it. */
void timelines_forgo(struct timelines *timelines, const struct renderer_fence *fence);
/* One that nothing waits for: reported by the next timelines_report(). */
void timelines_add_done(struct timelines *timelines, const struct renderer_fence *fence);

/* From any thread: it is done, and so are all before it on its timeline. */
void timelines_signal(struct timelines *timelines, const struct renderer_fence *fence);

/* Tell the listener what was signalled. True: there was something. */
bool timelines_report(struct timelines *timelines, struct renderer *r);

/* The library has lost the context: all its fences count as signalled. */
void timelines_lose(struct timelines *timelines, uint32_t ctx_id);
/* The context is destroyed, the library's too: none of its fences is waited for. */
void timelines_drop(struct timelines *timelines, uint32_t ctx_id);
