/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * A futex and nothing else. A robust mutex of the C library would tell that
 * its holder died, but it keeps a list of pointers in the very memory that
 * the other process writes, and follows it.
 *
 * The word says whether a release has somebody to wake. Who has waited leaves
 * it "awaited", as there may be more like it; at worst there is nobody to wake.
 */
#include "util/shared_lock.h"

#include <limits.h>
#include <linux/futex.h>
#include <linux/time_types.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Until the lock is released, the deadline (-1: none), or for no reason at all. */
static void sleep_while_awaited(struct shared_lock *lock, gint64 deadline_us)
{
	const struct __kernel_old_timespec deadline = {
		.tv_sec = (__kernel_old_time_t)(deadline_us / G_USEC_PER_SEC),
		.tv_nsec = (long)(deadline_us % G_USEC_PER_SEC * 1000),
	};

	/* Of all waits on a futex this one takes a point in time, of the clock that GLib reads. */
	syscall(SYS_futex, &lock->word, FUTEX_WAIT_BITSET, SHARED_LOCK_AWAITED,
		deadline_us < 0 ? NULL : &deadline, NULL, FUTEX_BITSET_MATCH_ANY);
}

void shared_lock_init(struct shared_lock *lock)
{
	__atomic_store_n(&lock->word, SHARED_LOCK_FREE, __ATOMIC_RELEASE);
}

bool shared_lock_wait(struct shared_lock *lock, gint64 timeout_us)
{
	const gint64 deadline_us = timeout_us < 0 ? -1 : g_get_monotonic_time() + timeout_us;

	while (__atomic_exchange_n(&lock->word, SHARED_LOCK_AWAITED, __ATOMIC_ACQUIRE) !=
	       SHARED_LOCK_FREE) {
		/* Our own clock: a word that somebody keeps changing lets nobody sleep. */
		if (deadline_us >= 0 && g_get_monotonic_time() >= deadline_us) {
			return false;
		}
		sleep_while_awaited(lock, deadline_us);
	}
	return true;
}

void shared_lock_wake(struct shared_lock *lock)
{
	/* All of them: a single one may be killed before it takes the lock. */
	syscall(SYS_futex, &lock->word, FUTEX_WAKE, INT_MAX, NULL, NULL, 0);
}

void shared_lock_break(struct shared_lock *lock)
{
	shared_lock_init(lock);
	shared_lock_wake(lock);
}
