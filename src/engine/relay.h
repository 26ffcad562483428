/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * The stderr of renderer processes, read by their keeper, which passes it on
 * line by line. Ours itself they don't get: it is one file with those of all
 * other processes, which who has taken one over could truncate, fill without
 * bound, or make a terminal obey.
 */
#pragma once

#include <glib.h>
#include <stddef.h>

#include "util/loop.h"

#define RELAY_LINE_BYTES 900

struct relay {
	int fd;	      /* owned, -1: none; the keeper's end */
	int write_fd; /* owned, -1: none; becomes the stderr of a renderer process */
	int pid;      /* of the moment */
	struct loop_source source;
	char line[RELAY_LINE_BYTES]; /* that has not ended yet */
	size_t length;
};

/* Nothing is open. */
void relay_init(struct relay *relay);
/* Returns 0 or -errno. */
int relay_open(struct relay *relay) G_GNUC_WARN_UNUSED_RESULT;
/* In a renderer process, if there is a relay. Returns 0 or -errno. */
int relay_become_stderr(const struct relay *relay) G_GNUC_WARN_UNUSED_RESULT;
/* From now on what comes is passed on. Returns 0 or -errno. */
int relay_start(struct relay *relay, struct loop *loop) G_GNUC_WARN_UNUSED_RESULT;
/* What is there, and the line that has no end: pid has ended. */
void relay_end_process(struct relay *relay);
void relay_finish(struct relay *relay, struct loop *loop);
