/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * Who runs the device: a thread of this process (thread_engine.c), or a
 * process of its own (process_engine.c) where the renderer is foreign code,
 * which may die of what a guest sends without taking the front-end's
 * connection, the rings and the display with it.
 *
 * All calls are on the transport thread. None of them waits, but for quiesce,
 * for a few milliseconds.
 */
#pragma once

#include <glib.h>
#include <stdint.h>

#include "gpu/stats.h"
#include "options.h"
#include "util/frame.h"
#include "util/log.h"
#include "util/loop.h"
#include "util/quota.h"
#include "virtio/guestmem.h"
#include "virtio/virtq.h"

/* What the front-end is to put into the guest's host-visible window. */
struct engine_mapping {
	uint64_t offset_bytes, size_bytes; /* in the window; of whole pages */
	int fd;				   /* borrowed */
	uint64_t fd_offset_bytes;
};

struct engine_options {
	const struct options *options; /* borrowed */
	struct quota *quota;	       /* borrowed: what this process may hold for the guest */
	struct virtq *queues;	       /* borrowed; COMMAND_N_QUEUES of them, initialised before start */
	struct loop *loop;	       /* borrowed: of the transport thread */
	/* Once, from any thread, if the device can't go on. Only posts. */
	void (*failed)(void *data);
	/*
	 * On the transport thread: ask the front-end to map, or to unmap. 0: asked,
	 * and engine_mapped() says with number what came of it, in the order of
	 * the calls; or it says nothing if the front-end resets the device before
	 * it has answered. -errno: it can't be asked.
	 */
	int (*map)(void *data, uint64_t number, const struct engine_mapping *mapping);
	int (*unmap)(void *data, uint64_t number, uint64_t offset_bytes, uint64_t size_bytes);
	uint64_t window_bytes; /* the host-visible window; 0: there is none */
	/*
	 * From any thread: what engine_grab() asked for. Only posts. frame, pixels:
	 * as worker_options.grabbed(). Nothing comes of a question that a renderer
	 * process has died of, or with.
	 */
	void (*grabbed)(void *data, uint32_t scanout_id, struct frame *consume_frame,
			const struct rect *view);
	void (*grabbed_cursor)(void *data, uint32_t scanout_id, uint32_t *consume_pixels);
	/*
	 * From any thread: what engine_set_mode() asked for is what a guest is told
	 * from now on; again for each renderer process that comes after. Only posts.
	 */
	void (*mode_set)(void *data, uint32_t scanout_id, uint32_t width, uint32_t height);
	void *data;
};

/* How it is with who renders. */
struct engine_state {
	int pid; /* of the process; 0: a thread of this one, or none at the moment */
	bool is_running;
	bool is_3d_off; /* after too many crashes */
	unsigned int n_restarts;
	/* 0: none. Since when it is at one command, and owes fences without having signalled one.
	 */
	gint64 busy_since_us, awaited_since_us;
};

struct engine;

struct engine_impl {
	void (*destroy)(struct engine *engine);
	void (*stop)(struct engine *engine);
	/* Optional: where the running state of a queue lives, for virtq_init(). */
	struct virtq_state *(*queue_state)(struct engine *engine, unsigned int index);
	int (*start)(struct engine *engine);
	/* As the functions of the same name in gpu/worker.h. */
	void (*set_features)(struct engine *engine, uint64_t features);
	void (*set_memory)(struct engine *engine, struct guestmem *mem);
	void (*queue_changed)(struct engine *engine, unsigned int index);
	void (*reset)(struct engine *engine);
	void (*set_display_socket)(struct engine *engine, int consume_fd);
	void (*quiesce)(struct engine *engine);
	/* Optional, of who maps. */
	void (*mapped)(struct engine *engine, uint64_t number, int error);
	/* For who looks inside. */
	const struct stats *(*stats)(struct engine *engine);
	void (*describe)(struct engine *engine, struct engine_state *state_out);
	void (*grab)(struct engine *engine, uint32_t scanout_id, bool is_cursor);
	void (*set_mode)(struct engine *engine, uint32_t scanout_id, uint32_t width,
			 uint32_t height);
	/* Optional: of processes that have a level of their own. */
	void (*set_log_level)(struct engine *engine, enum log_level level);
};

/* First member of each implementation. */
struct engine {
	const struct engine_impl *impl;
	struct engine_options options;
};

/*
 * Each returns 0 or -errno. A process engine forks, so that it is to be
 * created while this process has one thread.
 */
int thread_engine_create(const struct engine_options *options, struct engine **engine_out)
	G_GNUC_WARN_UNUSED_RESULT;
int process_engine_create(const struct engine_options *options, struct engine **engine_out)
	G_GNUC_WARN_UNUSED_RESULT;

/* Once, after the queues were initialised. Returns 0 or -errno. */
int engine_start(struct engine *engine) G_GNUC_WARN_UNUSED_RESULT;
/* The device and its display end. The queues are not used any more then. */
void engine_stop(struct engine *engine);
/* After engine_stop(), and after the queues were finished. NULL is fine. */
void engine_destroy(struct engine *engine);

/* NULL: the queue's own. */
struct virtq_state *engine_queue_state(struct engine *engine, unsigned int index);
void engine_set_features(struct engine *engine, uint64_t features);
void engine_set_memory(struct engine *engine, struct guestmem *mem);
void engine_queue_changed(struct engine *engine, unsigned int index);
void engine_reset(struct engine *engine);
void engine_set_display_socket(struct engine *engine, int consume_fd);
void engine_quiesce(struct engine *engine);
/*
 * What became of engine_options.map() or unmap(): 0; -EREMOTEIO, the front-end
 * says no; another -errno, and what it did is not known.
 */
void engine_mapped(struct engine *engine, uint64_t number, int error);

/* ---- for who looks inside; after engine_start() ---- */

/* What the device counts, to be read with stats_read(); NULL: nothing (no --control-socket). */
const struct stats *engine_stats(struct engine *engine);
void engine_describe(struct engine *engine, struct engine_state *state_out);
/* As worker_grab(); then options.grabbed(), or grabbed_cursor(). */
void engine_grab(struct engine *engine, uint32_t scanout_id, bool is_cursor);
void engine_set_mode(struct engine *engine, uint32_t scanout_id, uint32_t width, uint32_t height);
void engine_set_log_level(struct engine *engine, enum log_level level);
