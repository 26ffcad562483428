/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * Commands that wait for the renderer: one queue per timeline. There is the
 * global one, and one for each ring of a context (virtio 1.3 §5.7.6.6).
 */
#pragma once

#include <glib.h>

#include "gpu/command.h"

struct fences {
	GHashTable *timelines; /* key -> struct timeline, owned */
	uint64_t last_seq;     /* never goes back, see struct renderer_fence */
};

void fences_init(struct fences *fences);
/* Drops every waiting command without an answer. */
void fences_finish(struct fences *fences);
/* As after init, but sequence numbers go on. */
void fences_reset(struct fences *fences);

/*
 * Queue command, which has executed, behind what its timeline waits for.
 * fence_out is what the renderer is to signal.
 */
void fences_add(struct fences *fences, struct command *consume_command, uint32_t ctx_id,
		bool has_ring, uint8_t ring_idx, struct renderer_fence *fence_out);

/*
 * The renderer made no fence for the last command added: it is done when the
 * one before it is. Returns it, taken off, if there is none before it.
 */
struct command *fences_forgo_last(struct fences *fences, const struct renderer_fence *fence);

/* The next command on fence's timeline that fence covers, taken off; or NULL. */
struct command *fences_take(struct fences *fences, const struct renderer_fence *fence);

/* Any command that waits on a ring of ctx_id, in order per ring, taken off; or NULL. */
struct command *fences_take_context(struct fences *fences, uint32_t ctx_id);
