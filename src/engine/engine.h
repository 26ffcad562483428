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

#include "options.h"
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
	void *data;
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
