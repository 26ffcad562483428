/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * The time of g_get_monotonic_time() in a program that links this: it stands
 * still until it is moved, so that an input has the same outcome each time.
 * Not for programs that wait with a deadline of their own (g_cond_wait_until()).
 */
#pragma once

#include <stdint.h>

void fuzz_clock_reset(void);
void fuzz_clock_advance(uint32_t delay_us);
