/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * The channel of SET_BACKEND_REQ_FD, where we ask and the front-end answers:
 * to map memory into a window of the guest's, to unmap it, and to tell the
 * guest that the configuration has changed.
 *
 * Belongs to the loop's thread, and never waits: what the socket does not take
 * is queued. Answers come in the order of the questions. A front-end that
 * closes the channel, says what is no answer, or leaves the oldest question
 * without one for 10 s, has the channel given up; it costs nothing else.
 */
#pragma once

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

#include "util/loop.h"
#include "vhost/wire.h"

/* Requests to map that are not answered yet. */
#define BACKEND_CHANNEL_MAX_MAPS 1024
/* And all of them: who asks to unmap no more than was mapped stays below. */
#define BACKEND_CHANNEL_MAX_QUESTIONS (32768 + BACKEND_CHANNEL_MAX_MAPS)

struct backend_channel;

struct backend_channel_listener {
	/*
	 * Replies have come, and none of them was looked at. False: this channel
	 * was destroyed by the call.
	 */
	bool (*replies_came)(void *data);
	/*
	 * What became of a question, once for each, in the order in which they were
	 * asked: 0; -EREMOTEIO, the front-end says no; another -errno, and what it
	 * did is not known. May ask on, but not destroy the channel. Not called
	 * from inside backend_channel_map() and _unmap().
	 */
	void (*answered)(void *data, uint64_t number, int error);
};

/* Returns 0 or -errno; consume_fd is gone either way. */
int backend_channel_create(struct loop *loop, int consume_fd,
			   const struct backend_channel_listener *listener, void *data,
			   struct backend_channel **channel_out) G_GNUC_WARN_UNUSED_RESULT;
/* Nothing is said of what is not answered. NULL is fine. */
void backend_channel_destroy(struct backend_channel *channel);

/*
 * Ask. 0, and answered() is called with the number; or -EAGAIN: too many are
 * not answered; or another -errno: it was not asked.
 *
 * has_objects: the front-end has VHOST_USER_PROTOCOL_F_SHARED_OBJECT. Then a
 * mapping is only told as done when the guest's processors see it. QEMU says
 * yes first and makes it visible afterwards; a guest that is quick loses its
 * first write. But it reads no other question before that is over: so one more
 * goes behind, to forget an object that was never shared, and its answer is
 * waited for.
 */
int backend_channel_map(struct backend_channel *channel, uint64_t number,
			const struct vhost_user_mmap *range, int fd_borrow,
			bool has_objects) G_GNUC_WARN_UNUSED_RESULT;
int backend_channel_unmap(struct backend_channel *channel, uint64_t number,
			  const struct vhost_user_mmap *range) G_GNUC_WARN_UNUSED_RESULT;

/* That the configuration space has changed. As the others. */
int backend_channel_tell_config(struct backend_channel *channel,
				uint64_t number) G_GNUC_WARN_UNUSED_RESULT;

/*
 * Of what has been asked so far no answer is told. It is sent all the same, if
 * it was not yet, so that what is asked from now on finds what it would have.
 */
void backend_channel_forget(struct backend_channel *channel);

/* What is not answered is answered with error (not 0), and so is what comes. */
void backend_channel_give_up(struct backend_channel *channel, int error);
