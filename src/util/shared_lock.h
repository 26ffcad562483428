/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * A lock in memory that two processes share, for as long as a few
 * instructions take. Not recursive, not fair. Nobody in its way: one atomic
 * instruction to take it, one to release it, and no system call.
 *
 * The other process may be killed while it holds the lock, and it may be
 * hostile: whatever it writes there, who takes the lock with a limit has it
 * or hears so in time. That its holder is dead nobody is told. Who knows it
 * breaks the lock, and repairs what it guarded.
 *
 * The memory must not shrink while it is mapped (anonymous, or sealed), or a
 * hostile process could make the other one fault.
 */
#pragma once

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

enum shared_lock_word {
	SHARED_LOCK_FREE,
	SHARED_LOCK_HELD,
	SHARED_LOCK_AWAITED, /* held, and somebody may be asleep until it is free */
};

/* Plain data: its place does not matter, zeroed memory is a free one. */
struct shared_lock {
	uint32_t word;
};

/* Where nobody knows of it yet. */
void shared_lock_init(struct shared_lock *lock);

/* As shared_lock_take_within(); timeout_us -1: for ever. */
bool shared_lock_wait(struct shared_lock *lock, gint64 timeout_us);
/* Of shared_lock_release(), when somebody may be asleep. */
void shared_lock_wake(struct shared_lock *lock);

static inline bool shared_lock_try(struct shared_lock *lock)
{
	uint32_t word = SHARED_LOCK_FREE;

	return __atomic_compare_exchange_n(&lock->word, &word, SHARED_LOCK_HELD, false,
					   __ATOMIC_ACQUIRE, __ATOMIC_RELAXED);
}

/* Waits for ever for a holder that has died: only where the other process is trusted. */
static inline void shared_lock_take(struct shared_lock *lock)
{
	if (!shared_lock_try(lock)) {
		shared_lock_wait(lock, -1);
	}
}

/* False: not taken, timeout_us are over. */
G_GNUC_WARN_UNUSED_RESULT
static inline bool shared_lock_take_within(struct shared_lock *lock, gint64 timeout_us)
{
	return shared_lock_try(lock) || shared_lock_wait(lock, timeout_us);
}

static inline void shared_lock_release(struct shared_lock *lock)
{
	uint32_t word = __atomic_exchange_n(&lock->word, SHARED_LOCK_FREE, __ATOMIC_RELEASE);

	if (word != SHARED_LOCK_HELD) {
		shared_lock_wake(lock);
	}
}

/* Free from now on, whoever held it; the caller knows that nobody does any more. */
void shared_lock_break(struct shared_lock *lock);
