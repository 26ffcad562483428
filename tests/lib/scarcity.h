/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * A daemon whose host runs out of something while it runs: limits are set from outside (prlimit())
 * and counted from what it has at that moment.
 */
#ifndef TESTS_LIB_SCARCITY_H
#define TESTS_LIB_SCARCITY_H

#include <stdint.h>

#include "daemon.h"

/* Each process that serves a front-end can open @n_more descriptors and not one beyond. */
void scarcity_of_fds(const struct daemon *daemon, unsigned int n_more);
/* The same for the process that listens, alone. */
void scarcity_of_listener_fds(const struct daemon *daemon, unsigned int n_more);
/* Each process that serves can map so many more bytes (RLIMIT_AS). Skips the test where a sanitizer
 * has reserved the address space beforehand. */
void scarcity_of_memory(const struct daemon *daemon, uint64_t more_bytes);
/* Plenty again, for all of them. */
void scarcity_lift(const struct daemon *daemon);

#endif
