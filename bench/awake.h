/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * In a virtual machine a CPU that goes idle is taken away by the host, and to have it back takes
 * longer than all that is measured here. So a thread of the lowest class (SCHED_IDLE), which gives
 * way at once to any other, keeps each CPU from it.
 */
#ifndef BENCH_AWAKE_H
#define BENCH_AWAKE_H

/* Until this program ends. */
void keep_awake(void);

#endif
