/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * What of a device outlives the process that runs it.
 *
 * A renderer may take its process down at any time. Another process then has
 * a record of each object that the guest has made, and gives them to the next
 * one, which builds its device from them (device_restore()).
 *
 * 2D resources and blobs of guest memory live on with their backing, and so do
 * scanouts and cursors. Of contexts and all other resources nothing can be had back: their records keep the id
 * taken. What the guest asks of a lost one is refused; that it ends it, is not.
 *
 * The bytes are for the same build of the same program, on the same host.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

enum record_kind {
	RECORD_RESOURCE = 1,
	RECORD_CONTEXT,
	RECORD_SCANOUT,
	RECORD_CURSOR,
};

/* Of one record: a resource with as many entries as it may have. */
#define RECORD_ENTRY_BYTES 16
#define RECORD_MAX_BYTES (64 + 16384 * RECORD_ENTRY_BYTES)

/*
 * Called on the device thread, from inside the command that is the reason: of
 * what is made once it is there, of what ends before it does. So a device that
 * dies of a command leaves what the guest must take for granted whatever it is
 * answered. Never for SUBMIT_3D, transfers, and moves of a cursor that neither
 * show nor hide it; once for all flushes of a scanout.
 */
struct recorder {
	/* The record of that kind and id is now this one. bytes is borrowed. */
	void (*put)(void *data, enum record_kind kind, uint32_t id, const void *bytes,
		    size_t n_bytes);
	/* There is none any more; there may have been none. */
	void (*drop)(void *data, enum record_kind kind, uint32_t id);
	/* There are none of any kind: the device was reset. */
	void (*drop_all)(void *data);
};

/* ---- for the handlers; without a recorder they do nothing ---- */

struct context;
struct device;
struct resource;

void record_resource(struct device *dev, const struct resource *resource);
void record_context(struct device *dev, const struct context *context);
void record_scanout(struct device *dev, uint32_t scanout_id);
/* Nothing, too, while it has no image. */
void record_cursor(struct device *dev, uint32_t scanout_id);
void record_drop(struct device *dev, enum record_kind kind, uint32_t id);
void record_drop_all(struct device *dev);
