/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * The running state of a queue: where it is in its rings, and what is out. It
 * survives the process that runs the device, killed at whatever instruction:
 * virtq_state_recover() finishes or undoes what that was in the middle of.
 *
 * Plain data without pointers, for memory that two processes share and none
 * can shrink (see shared_lock.h). What the other process leaves in it can
 * break its own queue and no more: every index that is read out of it is
 * checked or masked, and no loop depends on it.
 *
 * Of virtq.c, which holds the lock. Only virtq_state_init() is for all.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "util/shared_lock.h"

/* Largest ring that we offer (vhost-user has no message to say so; QEMU's limit is 1024 too). */
#define VIRTQ_MAX_SIZE 1024

struct virtq_state {
	struct shared_lock lock; /* everything below, but setup_serial */
	uint32_t setup_serial;	 /* atomic; of the transport's setup. Views of another are old */

	uint32_t epoch;	 /* of the transport; see virtq_reset() */
	uint32_t n_out;	 /* popped in this epoch, not yet pushed: at most the ring's size */
	uint32_t n_lost; /* of those, lost and not popped again yet */

	/* Number of the next pop. Its low 16 bits are the index in the available ring. */
	uint64_t last_avail;
	uint16_t used_index; /* next entry of the used ring to write */
	uint16_t signalled;  /* used_index at the last interrupt */

	/* No bool: what a hostile process may leave in one has no meaning in C. */
	uint8_t is_signalled_valid;
	uint8_t is_notify_due; /* pushed since the last virtq_notify() */
	uint8_t is_broken;

	uint32_t pushing; /* head of the last push that was begun */
	/* By head: the number of its pop, 0 while it is not out; with a bit for "lost". */
	uint64_t in_flight[VIRTQ_MAX_SIZE];
};

/* Before any queue knows of it. */
void virtq_state_init(struct virtq_state *state);

/* Nothing is out any more, the next entry to pop is the one at base. */
void virtq_state_begin(struct virtq_state *state, uint32_t epoch, uint16_t base);
/* Index of the next entry to pop. */
uint16_t virtq_state_base(const struct virtq_state *state);

/* The entry at the base is popped; head < VIRTQ_MAX_SIZE, here and below. */
void virtq_state_pop(struct virtq_state *state, uint16_t head);
/* Around the stores that complete a chain in the used ring. */
void virtq_state_begin_push(struct virtq_state *state, uint16_t head);
void virtq_state_end_push(struct virtq_state *state, uint16_t head);

/*
 * Nobody else runs, and the lock is nobody's: what is out in a ring of this
 * size is lost. Half a pop is undone. Half a push is taken for none until
 * virtq_state_see_used() tells otherwise.
 */
void virtq_state_recover(struct virtq_state *state, uint32_t size);
/* The index in the used ring's memory, whenever that is (again) at hand. */
void virtq_state_see_used(struct virtq_state *state, uint16_t used_index);

/* The lost head of less than size that was popped first. False: none. */
bool virtq_state_find_lost(struct virtq_state *state, uint32_t size, uint16_t *head_out);
/* It is out again, as popped when it was. */
void virtq_state_take_lost(struct virtq_state *state, uint16_t head);
