/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "clock.h"

#include <glib.h>
#include <time.h>

/* Not 0, which stands for "never" here and there; but before any time of a machine that is up. */
#define START_US G_USEC_PER_SEC

static gint64 now_us = START_US;
static uint32_t step_us;

/* The program's own definition goes before the library's. */
gint64 g_get_monotonic_time(void)
{
	return __atomic_add_fetch(&now_us, __atomic_load_n(&step_us, __ATOMIC_RELAXED),
				  __ATOMIC_SEQ_CST);
}

void fuzz_clock_reset(void)
{
	fuzz_clock_set_step(0);
	__atomic_store_n(&now_us, START_US, __ATOMIC_SEQ_CST);
}

void fuzz_clock_advance(uint32_t delay_us)
{
	__atomic_add_fetch(&now_us, delay_us, __ATOMIC_SEQ_CST);
}

void fuzz_clock_set_step(uint32_t new_step_us)
{
	__atomic_store_n(&step_us, new_step_us, __ATOMIC_RELAXED);
}

bool fuzz_clock_is_behind(uint32_t ahead_us)
{
	struct timespec now;

	g_assert_no_errno(clock_gettime(CLOCK_MONOTONIC, &now));
	return __atomic_load_n(&now_us, __ATOMIC_SEQ_CST) + ahead_us <
	       now.tv_sec * G_USEC_PER_SEC;
}
