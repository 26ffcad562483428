/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * The virtio-gpu device: every table that the guest's commands change.
 *
 * Belongs to the device thread. Knows no socket and no GPU API; it stands
 * between the rings, a renderer and a display, all borrowed.
 */
#pragma once

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

#include "display/display.h"
#include "gpu/command.h"
#include "gpu/fence.h"
#include "gpu/resource.h"
#include "renderer/renderer.h"
#include "virtio/guestmem.h"
#include "virtio/virtq.h"

#define DEVICE_MAX_RESOURCES 262144
#define DEVICE_MAX_CONTEXTS 1024
/*
 * Commands that wait for a fence or the display, and what they take. The rings
 * hold half as many; but a ring can be set up anew while what came through it
 * still waits.
 */
#define DEVICE_MAX_WAITING 4096
#define DEVICE_MAX_WAITING_BYTES (32u << 20)
#define DEVICE_DEFAULT_WIDTH 1280
#define DEVICE_DEFAULT_HEIGHT 800

struct scanout {
	uint32_t resource_id; /* 0: off */
	struct rect view;     /* in the resource */
	bool is_flushed;      /* since it was set */
	bool is_full_due;     /* the display has not seen all of view yet */
};

struct cursor {
	bool is_visible;
	uint32_t x, y, hot_x, hot_y;
	uint32_t *pixels; /* owned, DISPLAY_CURSOR_SIDE squared; NULL: none yet */
};

struct context {
	uint32_t id;
	uint32_t capset_id;
};

struct device {
	struct renderer *renderer;
	struct display *display;
	struct quota *quota;
	struct guestmem *mem; /* owned reference: the table of the moment */
	uint64_t features;    /* acknowledged */

	GHashTable *resources; /* id -> struct resource */
	GHashTable *contexts;  /* id -> struct context */
	struct scanout scanouts[DISPLAY_MAX_SCANOUTS];
	struct cursor cursors[DISPLAY_MAX_SCANOUTS];
	struct fences fences;
	GQueue held;	       /* struct command.link: flushes, oldest first; see scanout.c */
	uint32_t slow_scanouts; /* a bit each: they let a flush wait for too long, and wait still */
	GHashTable *questions; /* token -> struct command, pending on the display */
	uint64_t last_token;
	uint32_t n_waiting;	/* commands that wait, or may have to */
	uint64_t waiting_bytes; /* that they take */
	struct virtio_gpu_resp_display_info info; /* the last one known, host byte order */
	void *arena; /* of SUBMIT_3D, reused */
	size_t arena_bytes;
	void (*breathe)(void *data); /* see device_set_breather() */
	void *breathe_data;
};

/* Borrows all three. */
void device_init(struct device *dev, struct renderer *renderer, struct display *display,
		 struct quota *quota);
void device_finish(struct device *dev);

/* Execute a popped chain; it is pushed now or later, exactly once. */
void device_execute(struct device *dev, struct virtq *vq, struct virtq_chain *consume_chain);

void device_set_features(struct device *dev, uint64_t features);
void device_set_memory(struct device *dev, struct guestmem *mem);
/* Everything the guest made goes; commands that wait are dropped. */
void device_reset(struct device *dev);
/* The display knows nothing: tell it all again. */
void device_replay(struct device *dev);
/* The display's answers; NULL: none. */
void device_take_info(struct device *dev, uint64_t token,
		      const struct virtio_gpu_resp_display_info *info);
void device_take_edid(struct device *dev, uint64_t token, const struct virtio_gpu_resp_edid *edid);
/* The display took the pictures of these scanouts, a bit each. */
void device_take_taken(struct device *dev, uint32_t scanouts);
/* Answer what was held for long enough. Returns microseconds until the next is due, or -1. */
gint64 device_expire(struct device *dev);
/*
 * breathe is called now and then from inside a long command. It may execute
 * commands of the cursor queue, and nothing else.
 */
void device_set_breather(struct device *dev, void (*breathe)(void *data), void *data);

/* ---- for the handlers ---- */

bool device_has_feature(const struct device *dev, unsigned int bit);
struct resource *device_find_resource(struct device *dev, uint32_t id);
struct context *device_find_context(struct device *dev, uint32_t id);
/* Answer a command that was pending, or just ran: at once or when its fence is done. */
void device_answer(struct device *dev, struct command *consume_command, enum gpu_resp resp);
/* The same for one whose fence is done, or of no account. */
void device_complete(struct device *dev, struct command *consume_command, enum gpu_resp resp);
/* May it wait? False: those that do are too many, and this one is to be answered now. */
bool device_may_wait(struct device *dev, struct command *command);
/* Memory that it holds until it is completed. False: there is too much of that. */
bool device_charge(struct device *dev, struct command *command, size_t size_bytes);

/* Out of the renderer, the table and memory. */
void device_remove_resource(struct device *dev, struct resource *resource);
void device_remove_context(struct device *dev, struct context *context);

/* scanout.c, cursor.c: parts of replay and reset. */
void scanout_disable(struct device *dev, uint32_t scanout_id);
void scanout_disable_resource(struct device *dev, uint32_t resource_id);
void scanout_drop_held(struct device *dev);
void scanout_replay(struct device *dev, uint32_t scanout_id);
void cursor_replay(struct device *dev, uint32_t scanout_id);
