/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * Where vhost-device-gpuctl comes in: the listening control socket, and those
 * who have not asked their question yet.
 *
 * Belongs to its loop's thread. Who asks is our own user, and may yet be a
 * program gone wild: so few may be inside at a time, each for a short time and
 * with one line of room, and so many may come in a second. The others wait
 * outside, in the kernel.
 */
#pragma once

#include <glib.h>
#include <stddef.h>

#include "control/question.h"
#include "util/lockdown.h"
#include "util/loop.h"

#define DOOR_MAX_CLIENTS 16
#define DOOR_QUESTION_US (1 * G_USEC_PER_SEC) /* to ask in, from connect() on */
/* So many a second, and so many at once after a pause. */
#define DOOR_PACE 100
#define DOOR_AT_ONCE 32

struct door;

struct door_listener {
	/*
	 * question is sane; line (without its newline) is what it was read from,
	 * to be passed on as it is. Both are borrowed, the connection is not.
	 */
	void (*asked)(void *data, const struct control_question *question, const char *line,
		      size_t length, int consume_fd);
};

/*
 * Listen on path, for our own user alone (0600). A stale socket is replaced.
 * While the process has one thread. Returns a descriptor, or -errno as
 * sock_listen().
 */
int door_listen(const char *path) G_GNUC_WARN_UNUSED_RESULT;

/* Returns 0 or -errno; consume_fd is gone either way. */
int door_create(struct loop *loop, int consume_fd, const struct door_listener *listener, void *data,
		struct door **door_out) G_GNUC_WARN_UNUSED_RESULT;
/* In a process that was forked from the one that has the loop: the loop is not touched. */
void door_abandon(struct door *door);
void door_destroy(struct door *door); /* NULL is fine */

extern lockdown_names door_calls;
