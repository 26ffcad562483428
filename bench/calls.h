/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* System calls of a back-end, counted by strace; slow, so never while time is measured. */
#ifndef BENCH_CALLS_H
#define BENCH_CALLS_H

#include <stdint.h>

#include "process.h"

struct calls {
	pid_t strace_pid;
	char *path;
};

/* Ends the program if there is no strace. */
void calls_begin(struct calls *calls, const struct process *process);
/* Stops counting; prints the numbers per @n of what was done as calls_NAME. */
void calls_end(struct calls *calls, uint64_t n);

#endif
