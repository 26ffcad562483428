/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * The time of g_get_monotonic_time() in a program that links this: it stands
 * still until it is moved, so that an input has the same outcome each time.
 * Not for programs that wait with a deadline of their own (g_cond_wait_until()).
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

void fuzz_clock_reset(void);
void fuzz_clock_advance(uint32_t delay_us);

/*
 * From now on each look moves it on by so much, so that who waits for a
 * deadline by looking again sees it come. 0: it stands still, as after a reset.
 */
void fuzz_clock_set_step(uint32_t step_us);
/* Will the kernel, which has a clock of its own, take a deadline so far ahead for one that is over? */
bool fuzz_clock_is_behind(uint32_t ahead_us);
