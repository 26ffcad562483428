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
#include "gpu/exporter.h"
#include "gpu/fence.h"
#include "gpu/mapper.h"
#include "gpu/record.h"
#include "gpu/resource.h"
#include "gpu/stats.h"
#include "renderer/renderer.h"
#include "util/ranges.h"
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

/* Where in a blob a picture's pixels are. */
struct blob_layout {
	uint32_t format; /* one of the eight 2D formats; 0: it is no blob */
	uint32_t width, height;
	uint32_t stride_bytes, offset_bytes;
};

struct scanout {
	uint32_t resource_id; /* 0: off; of a lost one the display keeps its last picture */
	struct blob_layout layout;
	struct frame *frame; /* owned reference: a copy of a blob's picture; or NULL */
	struct rect view;     /* in the resource */
	bool is_flushed;      /* since it was set */
	bool is_full_due;     /* the display has not seen all of view yet */
	uint32_t dmabuf_of;   /* the resource whose buffer the display reads there; 0: none */
	bool is_lent;	      /* what was shown last is the guest's own memory, or a buffer */
};

struct cursor {
	bool is_visible;
	uint32_t x, y, hot_x, hot_y;
	uint32_t *pixels; /* owned, DISPLAY_CURSOR_SIDE squared; NULL: none yet */
};

struct context {
	uint32_t id;
	uint32_t capset_id;
	bool is_lost; /* only the id is left, the renderer knows it not: see record.h */
	struct stats_context
		*stats;	      /* its place among device.stats' own; NULL: none, or no stats */
	GHashTable *attached; /* resource's id -> nothing; NULL as stats, or: none yet */
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
	GHashTable *questions; /* token -> struct command, pending on the display or the mapper */
	uint64_t last_token;
	uint32_t n_waiting;	/* commands that wait, or may have to */
	uint64_t waiting_bytes; /* that they take */
	struct virtio_gpu_resp_display_info info; /* the last one known, host byte order */
	void *arena; /* of SUBMIT_3D, reused */
	size_t arena_bytes;
	void (*breathe)(void *data); /* see device_set_breather() */
	void *breathe_data;
	const struct recorder *recorder; /* borrowed; NULL: no records */
	void *recorder_data;
	void *record; /* RECORD_MAX_BYTES to make one in */
	bool holds_breath; /* it restores, or replays: no command is being executed */
	const struct mapper *mapper; /* borrowed; NULL: there is no window */
	void *mapper_data;
	const struct exporter *exporter; /* borrowed; NULL: no buffers of the guest's pages */
	void *exporter_data;
	GQueue dmabufs;	      /* struct scanout_dmabuf, owned; the last one used comes first */
	struct ranges window; /* what of it is mapped, when all that was asked for is done */
	struct stats *stats;  /* borrowed; NULL: nobody wants to look inside */
};

/* Borrows all three. */
void device_init(struct device *dev, struct renderer *renderer, struct display *display,
		 struct quota *quota);
/* Drops no record. */
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
/* Of the display, for itself, if it needs to know: no guest waits for it. */
void device_ask_info(struct device *dev);
void device_take_info(struct device *dev, uint64_t token,
		      const struct virtio_gpu_resp_display_info *info);
void device_take_edid(struct device *dev, uint64_t token, const struct virtio_gpu_resp_edid *edid);
/* What became of the mapper's question token. */
void device_take_mapped(struct device *dev, uint64_t token, bool is_done);
/* The display took the pictures of these scanouts, a bit each. */
void device_take_taken(struct device *dev, uint32_t scanouts);
/* Answer what was held for long enough. Returns microseconds until the next is due, or -1. */
gint64 device_expire(struct device *dev);
/*
 * breathe is called now and then from inside a long command. It may execute
 * commands of the cursor queue, and nothing else.
 */
void device_set_breather(struct device *dev, void (*breathe)(void *data), void *data);

/* Borrowed; before the first command. NULL: there is no host-visible window. */
void device_set_mapper(struct device *dev, const struct mapper *mapper, void *data,
		       uint64_t window_bytes);

/* Borrowed; before the first command. Who makes buffers of the guest's pages; NULL: nobody. */
void device_set_exporter(struct device *dev, const struct exporter *exporter, void *data);

/* Borrowed; before anything is made or restored. NULL: nothing is counted. */
void device_set_stats(struct device *dev, struct stats *stats);
/* What the tables are like: after a command or an answer it is done, after restoring not. */
void device_count(struct device *dev);

/*
 * For who wants to look: all that a scanout shows, as it is now, whether a
 * display does or not. *frame_out is a reference. GPU_RESP_ERR_*: it shows
 * nothing, or that can't be had.
 */
enum gpu_resp device_grab(struct device *dev, uint32_t scanout_id, struct frame **frame_out,
			  struct rect *view_out);
/* The same of a cursor: a copy, g_free(). NULL: it has no image. */
uint32_t *device_grab_cursor(const struct device *dev, uint32_t scanout_id);
/* What a screen that no front-end knows better is to be, from the next question on. */
void device_set_mode(struct device *dev, uint32_t scanout_id, uint32_t width, uint32_t height);

/* Borrowed. NULL: no records are kept, and they cost nothing. */
void device_set_recorder(struct device *dev, const struct recorder *recorder, void *data);
/*
 * Make of a device before this one what a record says of it: after memory and
 * features are set and before the first command; resources first, then
 * contexts, scanouts, cursors. The display is told nothing. The bytes are
 * checked as a guest's. False: refused; nothing is made of it, and unless one
 * like it was taken before, it is dropped. A 2D resource that there is no
 * memory for is lost, and its record says so from then on.
 */
bool device_restore(struct device *dev, enum record_kind kind, uint32_t id, const void *bytes,
		    size_t n_bytes);

/* ---- for the handlers ---- */

bool device_has_feature(const struct device *dev, unsigned int bit);
/* NULL: there is none, or it is lost. The others find those too, whose ids are taken. */
struct resource *device_find_resource(struct device *dev, uint32_t id);
struct context *device_find_context(struct device *dev, uint32_t id);
struct resource *device_find_resource_or_lost(struct device *dev, uint32_t id);
struct context *device_find_context_or_lost(struct device *dev, uint32_t id);
/* Answer a command that was pending, or just ran: at once or when its fence is done. */
void device_answer(struct device *dev, struct command *consume_command, enum gpu_resp resp);
/* The same for one whose fence is done, or of no account. */
void device_complete(struct device *dev, struct command *consume_command, enum gpu_resp resp);
/* May it wait? False: those that do are too many, and this one is to be answered now. */
bool device_may_wait(struct device *dev, struct command *command);
/* Park it until its token, which is new, is answered. GPU_RESP_PENDING. */
enum gpu_resp device_wait(struct device *dev, struct command *command);
/* It waits no more. NULL: none of that token did. */
struct command *device_take_waiting(struct device *dev, uint64_t token);
/* Memory that it holds until it is completed. False: there is too much of that. */
bool device_charge(struct device *dev, struct command *command, size_t size_bytes);

/* resource_commands.c, context.c: into the table, checked. No record is made. */
enum gpu_resp device_create_2d(struct device *dev, uint32_t id, uint32_t format, uint32_t width,
			       uint32_t height, struct resource **resource_out);
/* Of a free id; entries are consumed on success. The first is a part of what both check before. */
enum gpu_resp device_check_blob(const struct device *dev, const struct blob_desc *blob,
				uint32_t n_entries);
enum gpu_resp device_create_blob(struct device *dev, uint32_t id, const struct blob_desc *blob,
				 struct resource_entry *entries, uint32_t n_entries,
				 struct resource **resource_out);
/* Of guest memory, which need not be mapped at present. Entries as above. NULL without memory. */
struct resource *device_adopt_blob(struct device *dev, uint32_t id, const struct blob_desc *blob,
				   struct resource_entry *entries, uint32_t n_entries);
/*
 * The guest's list behind a request, in host byte order, n_entries of at most
 * RESOURCE_MAX_ENTRIES; NULL if it is not all there or for want of memory.
 */
struct resource_entry *device_read_entries(const struct command *command, uint32_t n_entries,
					   enum gpu_resp *error_out);
/* blob.c: out of the window, if it is in it. Nobody waits for that. */
void device_unmap(struct device *dev, struct resource *resource);
struct resource *device_add_lost_resource(struct device *dev, uint32_t id); /* or NULL */
bool device_add_lost_context(struct device *dev, uint32_t id, uint32_t capset_id);
/* Out of the renderer, the table and memory. */
void device_remove_resource(struct device *dev, struct resource *resource);
void device_remove_context(struct device *dev, struct context *context);

/* context.c: what is attached to whom, as far as somebody wants to know. */
void context_stop_counting(struct context *context);
void contexts_count_removed(struct device *dev, const struct resource *resource);
/* What it holds, as far as the device knows; else what the guest gave it. */
uint64_t resource_size_bytes(const struct resource *resource);

/* scanout.c, cursor.c: parts of replay, reset and restore. */
void scanout_disable(struct device *dev, uint32_t scanout_id);
void scanout_disable_resource(struct device *dev, uint32_t resource_id);
/* The resource's pages go, the picture stays: where they were shown themselves it is shown anew. */
void scanout_leave_pages(struct device *dev, uint32_t resource_id);
void scanout_drop_held(struct device *dev);
void scanout_replay(struct device *dev, uint32_t scanout_id);
/* The memory changed: show blobs that were flushed when theirs was away. */
void scanout_catch_up(struct device *dev);
void cursor_replay(struct device *dev, uint32_t scanout_id);
/* state is copied, with its pixels. False: refused. */
bool scanout_restore(struct device *dev, uint32_t scanout_id, const struct scanout *state);
bool cursor_restore(struct device *dev, uint32_t scanout_id, const struct cursor *state);
