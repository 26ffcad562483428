/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * A process beside one that renders, with a socket between the two, that may
 * start others: a group of processes, ended as one. Whoever starts it has one
 * thread.
 */
#pragma once

#include <glib.h>
#include <stdbool.h>
#include <sys/types.h>

#include "util/lockdown.h"

struct companion {
	pid_t pid; /* and of its group; 0: none */
};

struct companion_options {
	/* In the new process; its result is the exit status. */
	int (*run)(void *data, int fd);
	void *data;
	int stderr_fd; /* becomes its stderr, -1: it has ours */
};

/*
 * The new process has descriptors 0 to 2 and its end of the socket and no
 * other. *fd_out is the other end, the caller's: SOCK_SEQPACKET, which waits.
 * Returns 0 or -errno.
 */
int companion_start(struct companion *companion, const struct companion_options *options,
		    int *fd_out) G_GNUC_WARN_UNUSED_RESULT;
/* If it has ended by itself: *status_out as waitpid(2) has it, and the rest of its group ends. */
bool companion_has_ended(struct companion *companion, int *status_out);
/*
 * By force, and this waits for it; for all of the group, if the caller has asked
 * for orphans (PR_SET_CHILD_SUBREAPER). Fine without one.
 */
void companion_end(struct companion *companion);

/* Of who starts one. */
extern lockdown_names companion_calls;
