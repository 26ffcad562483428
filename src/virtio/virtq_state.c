/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * Each chain is completed exactly once, whatever instruction the device's
 * process dies at.
 *
 * A killed process has run some first part of its program, and what it had
 * stored is there for the others. So nothing counts but the order of the
 * stores in the program, and it needs no barrier of the processor's, only the
 * compiler's (step()). Between any two of them the state tells what to do:
 *
 *   pop   1  in_flight[head] = last_avail
 *         2  last_avail++             from here on it is popped
 *         3  n_out++                  recovery counts again
 *
 * An entry that is not below last_avail is of a pop that died before 2. It is
 * cleared: the chain is still available, and its device knows nothing of it.
 *
 *   push  1  pushing = head
 *         2  the used ring's element
 *         3  the used ring's index    from here on it is the guest's
 *         4  in_flight[head] = 0
 *         5  used_index++, n_out--
 *
 * Between 3 and 5 the index in the guest's memory is one ahead of used_index,
 * and only there: then the chain in "pushing" was completed, and is taken off
 * if 4 was not reached. Else the two are equal and "pushing" means nothing,
 * so that it need not be cleared; a push that died before 3 has not been, and
 * its chain is lost like any other. The guest's memory may be away when the
 * process dies, thus see_used() may come later than the rest; nobody writes
 * to the ring meanwhile. It must not come before: it would note the index of
 * half a push, and the chain would be lost as well. What keeps it off is the
 * lock, which the dead one has until recovery.
 *
 * last_avail has 64 bits because a chain may be out for longer than the
 * ring's 16 take to come round: it would be mistaken for half a pop.
 */
#include "virtio/virtq_state.h"

#include <string.h>

/* In in_flight[]: its process died. Bits below are the pop's number. */
#define LOST (UINT64_C(1) << 63)
/* Number of an epoch's first pop, but for the base: an entry is never 0. */
#define FIRST_POP (UINT64_C(1) << 16)
/* No queue comes so far; a number from here on is not ours. */
#define MAX_POP (LOST / 2)

_Static_assert(__atomic_always_lock_free(sizeof(uint64_t), NULL),
	       "a process could die between the halves of a number");

/* What is above is stored before what is below, as far as a killed process goes. */
static void step(void)
{
	__atomic_signal_fence(__ATOMIC_SEQ_CST);
}

void virtq_state_init(struct virtq_state *state)
{
	*state = (struct virtq_state){ .last_avail = FIRST_POP };
	shared_lock_init(&state->lock);
}

void virtq_state_begin(struct virtq_state *state, uint32_t epoch, uint16_t base)
{
	memset(state->in_flight, 0, sizeof(state->in_flight));
	state->epoch = epoch;
	state->n_out = 0;
	state->n_lost = 0;
	state->last_avail = FIRST_POP | base;
}

uint16_t virtq_state_base(const struct virtq_state *state)
{
	return (uint16_t)state->last_avail;
}

void virtq_state_pop(struct virtq_state *state, uint16_t head)
{
	uint64_t number = state->last_avail;

	__atomic_store_n(&state->in_flight[head], number, __ATOMIC_RELAXED);
	step();
	__atomic_store_n(&state->last_avail, number + 1, __ATOMIC_RELAXED);
	step();
	state->n_out++;
}

void virtq_state_begin_push(struct virtq_state *state, uint16_t head)
{
	__atomic_store_n(&state->pushing, head, __ATOMIC_RELAXED);
	step();
}

void virtq_state_end_push(struct virtq_state *state, uint16_t head)
{
	step();
	__atomic_store_n(&state->in_flight[head], 0, __ATOMIC_RELAXED);
	step();
	state->used_index++;
	state->n_out--;
}

/* Can this be the entry of a head in a ring of that size? */
static bool is_out(const struct virtq_state *state, uint32_t head, uint32_t size)
{
	uint64_t number = state->in_flight[head] & ~LOST;

	return head < size && number != 0 && number < state->last_avail;
}

void virtq_state_recover(struct virtq_state *state, uint32_t size)
{
	uint32_t n = 0;

	if (state->last_avail < FIRST_POP || state->last_avail >= MAX_POP) {
		state->last_avail = FIRST_POP | virtq_state_base(state);
	}
	for (uint32_t head = 0; head < VIRTQ_MAX_SIZE; head++) {
		if (is_out(state, head, size)) {
			state->in_flight[head] |= LOST;
			n++;
		} else {
			state->in_flight[head] = 0;
		}
	}
	state->n_out = n;
	state->n_lost = n;
}

void virtq_state_see_used(struct virtq_state *state, uint16_t used_index)
{
	uint32_t head = __atomic_load_n(&state->pushing, __ATOMIC_RELAXED);

	if (used_index == (uint16_t)(state->used_index + 1) && head < VIRTQ_MAX_SIZE &&
	    state->in_flight[head] & LOST) {
		state->in_flight[head] = 0;
		state->n_out--;
		state->n_lost--;
	}
	state->used_index = used_index;
}

bool virtq_state_find_lost(struct virtq_state *state, uint32_t size, uint16_t *head_out)
{
	uint64_t first = UINT64_MAX;

	if (state->n_lost == 0) {
		return false;
	}
	for (uint32_t head = 0; head < size; head++) {
		uint64_t entry = state->in_flight[head];

		if (entry & LOST && entry < first) {
			first = entry;
			*head_out = (uint16_t)head;
		}
	}
	if (first == UINT64_MAX) {
		state->n_lost = 0; /* a guest that made one available again hid it */
		return false;
	}
	return true;
}

void virtq_state_take_lost(struct virtq_state *state, uint16_t head)
{
	state->in_flight[head] &= ~LOST;
	state->n_lost--;
}
