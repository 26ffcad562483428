/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * What a vhost-user front-end may ask for, and what it gets: the state of one
 * connection from its first message to its end. Runs on the transport thread
 * and waits for nothing, because QEMU holds its big lock while it waits for
 * an answer from here.
 */
#pragma once

#include <glib.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "util/loop.h"
#include "vhost/backend_channel.h"
#include "vhost/conn.h"
#include "virtio/guestmem.h"
#include "virtio/virtq.h"

/* Upcalls, on the transport thread. None may wait, but for quiesce()'s bound. */
struct session_listener {
	/* The driver's acknowledged device features. */
	void (*features_changed)(void *data, uint64_t features);
	/* A new memory table; the listener takes its own reference. */
	void (*memory_changed)(void *data, struct guestmem *mem);
	/* Queue index may have become runnable, or stopped. */
	void (*queue_changed)(void *data, unsigned int index);
	/*
	 * A queue has been stopped, or memory is about to go: give the command
	 * in execution, if any, a few milliseconds to get out of guest memory,
	 * once.
	 */
	void (*quiesce)(void *data);
	/* The device was reset: every resource, context and scanout goes. */
	void (*reset)(void *data);
	/* A new channel to the display; replaces the one before. */
	void (*display_socket)(void *data, int consume_fd);
	/*
	 * What became of session_map() or session_unmap() of that number, in the
	 * order of the calls: 0; -EREMOTEIO, the front-end says no; another
	 * -errno, and what it did is not known. Of what it has not answered when
	 * it resets the device nothing is said.
	 */
	void (*mapped)(void *data, uint64_t number, int error);
	/* Optional. The guest has written events_clear: these events it has seen. */
	void (*events_cleared)(void *data, uint32_t events);
	/* Optional. What became of session_tell_config() with that serial, as mapped(). */
	void (*config_told)(void *data, uint32_t serial, int error);
	/* The connection is over. has_failed: by a violation, not by a hang-up. */
	void (*closed)(void *data, bool has_failed);
};

struct session_options {
	uint64_t device_features; /* of the device type, bits 0 to 23; ring bits are added here */
	const void *config;	  /* borrowed; struct virtio_gpu_config, as it is read */
	size_t config_size_bytes;
	struct virtq *queues; /* borrowed; set up and taken down by the session */
	unsigned int n_queues;
	/*
	 * The host-visible window, offered to front-ends that can map (shared
	 * memory region 1); 0: there is none. The protocol feature's bit: 22, and
	 * 21 for some (VHOST_USER_PROTOCOL_F_SHMEM_MAP).
	 */
	uint64_t window_bytes;
	unsigned int window_feature_bit;
};

struct session {
	struct session_options options;
	const struct session_listener *listener;
	void *data;
	struct loop *loop;
	struct loop_source source;
	struct conn conn;
	struct guestmem *mem; /* owned reference */
	struct backend_channel *backend_channel; /* owned, or NULL; SET_BACKEND_REQ_FD */
	unsigned int n_backend_channels;	 /* that there have been */
	uint64_t features;	/* acknowledged */
	uint64_t protocol_features;
	bool is_closed;
	bool has_run;	   /* a queue ran since the last reset */
	uint16_t old_base; /* of queue 0 when it was last stopped */
};

/* Starts serving consume_fd in loop. Returns 0 or -errno; consume_fd is gone either way. */
int session_init(struct session *session, struct loop *loop, int consume_fd,
		 const struct session_options *options, const struct session_listener *listener,
		 void *data) G_GNUC_WARN_UNUSED_RESULT;
void session_finish(struct session *session);

/*
 * Ask the front-end to map size_bytes of fd_borrow into the window, for
 * reading and writing, or to unmap just such a range. Waits for nothing.
 * -ENOTSUP: it can't map; -EINVAL: not inside the window; -EAGAIN: too many
 * questions are unanswered; or another -errno: the channel is broken.
 */
int session_map(struct session *session, uint64_t number, uint64_t offset_bytes,
		uint64_t size_bytes, int fd_borrow, uint64_t fd_offset_bytes)
	G_GNUC_WARN_UNUSED_RESULT;
int session_unmap(struct session *session, uint64_t number, uint64_t offset_bytes,
		  uint64_t size_bytes) G_GNUC_WARN_UNUSED_RESULT;
/*
 * Have the front-end tell the guest that options.config has changed; config_told()
 * says serial again. -ENOTSUP: there is no channel for that, or no answer would
 * come; or as session_map().
 */
int session_tell_config(struct session *session, uint32_t serial) G_GNUC_WARN_UNUSED_RESULT;
