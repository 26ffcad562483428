/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "clock.h"

#include <glib.h>

/* Not 0, which stands for "never" here and there. */
#define START_US (1000 * G_USEC_PER_SEC)

static gint64 now_us = START_US;

/* The program's own definition goes before the library's. */
gint64 g_get_monotonic_time(void)
{
	return __atomic_load_n(&now_us, __ATOMIC_SEQ_CST);
}

void fuzz_clock_reset(void)
{
	__atomic_store_n(&now_us, START_US, __ATOMIC_SEQ_CST);
}

void fuzz_clock_advance(uint32_t delay_us)
{
	__atomic_add_fetch(&now_us, delay_us, __ATOMIC_SEQ_CST);
}
