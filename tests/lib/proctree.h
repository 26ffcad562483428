/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * A process and all that it has started, as /proc shows them. A process may end while it is looked
 * at; then it is left out.
 */
#ifndef TESTS_LIB_PROCTREE_H
#define TESTS_LIB_PROCTREE_H

#include <stdint.h>
#include <sys/types.h>

struct proctree_memory {
	uint64_t rss_bytes;
	uint64_t size_bytes; /* of the address spaces, touched or not */
};

typedef void (*proctree_fn)(pid_t pid, void *data);

/* @fn for @pid first, then for every process below it. */
void proctree_each(pid_t pid, proctree_fn fn, void *data);

unsigned int proctree_count(pid_t pid);
unsigned int proctree_count_fds(pid_t pid);
struct proctree_memory proctree_memory(pid_t pid);
/*
 * Of one process; each is a proctree_fn. Held is memory of its own making, in bytes (uint64_t):
 * neither files nor guest memory. The numbers are unsigned int.
 */
void proctree_add_memory(pid_t pid, void *memory_inout);
void proctree_add_held(pid_t pid, void *bytes_inout);
void proctree_add_fds(pid_t pid, void *n_inout);
void proctree_add_mappings(pid_t pid, void *n_inout);
/* SIGKILL to each. */
void proctree_kill(pid_t pid);

#endif
