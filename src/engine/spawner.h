/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * Starts renderer processes, one at a time, and says how they ended.
 *
 * A process with threads can't safely fork one that goes on without exec, and
 * one that is locked down may do neither. So a small process is forked while
 * there is one thread, does nothing but wait, and forks each renderer process
 * from its clean state. It ends them, and itself, when its owner is gone.
 *
 * Where one has a server, the two are as one: whichever ends, the other is ended.
 */
#pragma once

#include <glib.h>
#include <stdbool.h>
#include <sys/types.h>

#include "util/lockdown.h"

struct spawner {
	pid_t pid; /* 0: none */
	int fd;	   /* readable when there is news; owned, or -1 */
};

struct spawner_news {
	bool is_end;	/* of the last one: status as waitpid(2) has it; else it was started */
	pid_t pid;
	int status;
	/* Its server ended first, by itself; status is the server's, and it was ended for that. */
	bool is_of_server;
	int link_fd;	/* started: our end of a link to it, the caller's; else -1 */
};

#define SPAWNER_MAX_KEPT_FDS 4

struct spawner_options {
	/* Optional, once, in the spawner's process; if it fails that process ends. 0 or -errno. */
	int (*prepare)(void *data);
	/*
	 * In each renderer process, with its end of the link and what
	 * spawner_start() was given; its result is the exit status. server_fd: a
	 * socket to its server, 0: it has none.
	 */
	int (*run)(void *data, int link_fd, int variant, int server_fd);
	/*
	 * Optional: the server of a renderer process, in a process that lives and
	 * dies with it (companion.h). needs_server says which variant has one.
	 */
	int (*run_server)(void *data, int fd);
	int server_stderr_fd; /* one of kept_fds, or -1: it has ours */
	bool (*needs_server)(void *data, int variant);
	void *data;
	/* Of the descriptors that are open now both have 0 to 2 and these, no other. */
	int kept_fds[SPAWNER_MAX_KEPT_FDS];
	size_t n_kept;
};

/* Returns 0 or -errno. */
int spawner_init(struct spawner *spawner, const struct spawner_options *options)
	G_GNUC_WARN_UNUSED_RESULT;
/* All of them end, this waits for it. */
void spawner_finish(struct spawner *spawner);

/* Ask for a renderer process; there is none. Returns 0 or -errno. */
int spawner_start(struct spawner *spawner, int variant) G_GNUC_WARN_UNUSED_RESULT;
/* The one there is: to be ended by force. Its end is news as any other. */
void spawner_kill(struct spawner *spawner);
/* Without waiting. 0, -EAGAIN, or -errno: the spawner is gone. */
int spawner_receive(struct spawner *spawner, struct spawner_news *news_out)
	G_GNUC_WARN_UNUSED_RESULT;

/* Of the spawner's own process. */
extern lockdown_names spawner_calls;
/* Of who has one. */
extern lockdown_names spawner_owner_calls;
