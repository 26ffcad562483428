/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * The device thread: runs the rings, the device and the renderer.
 *
 * The functions below are for other threads. They leave a note and return;
 * notes are states, not events, so that no peer can make the notes pile up.
 * The thread looks at them before each command.
 */
#pragma once

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

#include "display/display.h"
#include "gpu/device.h"
#include "gpu/mapper.h"
#include "renderer/renderer.h"
#include "util/quota.h"
#include "virtio/guestmem.h"
#include "virtio/virtq.h"

struct worker_options {
	const struct renderer_impl *renderer_impl;
	struct renderer_options renderer_options; /* strings borrowed */
	struct quota *quota;			  /* borrowed */
	struct virtq *queues;			  /* borrowed; COMMAND_N_QUEUES of them */
	uint64_t features;	/* known from the beginning */
	struct guestmem *mem;	/* borrowed; known from the beginning, or NULL */

	/* Where its pictures go; the display's upcalls go to that listener. 0 or -errno. */
	int (*create_display)(void *data, const struct display_listener *listener,
			      void *listener_data, struct display **display_out);
	/* From the device thread, once, if it can't go on (no renderer). Only posts. */
	void (*failed)(void *data);
	/*
	 * Optional, on the device thread. started: the device is there and has
	 * executed no command and heeded no note yet. busy: a command will be looked for and
	 * executed; not busy: that is done, or a fence was signalled. awaited_since_us is the
	 * renderer's.
	 */
	void (*started)(void *data, struct device *device);
	void (*busy)(void *data, bool is_busy, gint64 awaited_since_us);
	/* The host-visible window: how large it is and how to fill it. Called on the device thread. */
	const struct mapper *mapper; /* NULL: there is none */
	uint64_t window_bytes;
	void *data; /* of these */
	/* Who makes buffers of the guest's pages; NULL: nobody. Called on the device thread. */
	const struct exporter *exporter;
	void *exporter_data;
	/* What is counted, borrowed; NULL: nothing is. */
	struct stats *stats;
	/*
	 * On the device thread, once for worker_grab(): frame is a reference, the
	 * callee's; NULL: there is no picture. pixels: of a cursor, g_free(); or NULL.
	 */
	void (*grabbed)(void *data, uint32_t scanout_id, struct frame *consume_frame,
			const struct rect *view);
	void (*grabbed_cursor)(void *data, uint32_t scanout_id, uint32_t *consume_pixels);
	/* On the device thread: what worker_set_mode() asked for is what a guest is told from now on. */
	void (*mode_set)(void *data, uint32_t scanout_id, uint32_t width, uint32_t height);
};

struct worker;

/* Starts the thread. Returns 0 or -errno. */
int worker_create(const struct worker_options *options, struct worker **worker_out)
	G_GNUC_WARN_UNUSED_RESULT;
/* Ends the thread after the command that it is at. NULL is fine. */
void worker_destroy(struct worker *worker);

void worker_set_features(struct worker *worker, uint64_t features);
void worker_set_memory(struct worker *worker, struct guestmem *mem);
/* The queue may run now, or no more. */
void worker_queue_changed(struct worker *worker, unsigned int index);
void worker_reset(struct worker *worker);
void worker_set_display_socket(struct worker *worker, int consume_fd);

/* What became of mapper's question token. */
void worker_mapped(struct worker *worker, uint64_t token, bool is_done);

/*
 * Have what a scanout shows, or its cursor, given to options.grabbed(), soon.
 * A second one of the same scanout, before that, is one with the first.
 */
void worker_grab(struct worker *worker, uint32_t scanout_id, bool is_cursor);
/* As device_set_mode(), and then options.mode_set(); of several before that the last one counts. */
void worker_set_mode(struct worker *worker, uint32_t scanout_id, uint32_t width, uint32_t height);

/* Wait until no command executes, a few milliseconds at most, and once for each command. */
void worker_quiesce(struct worker *worker);
