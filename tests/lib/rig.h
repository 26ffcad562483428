/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * A whole machine around the daemon: front-end, guest memory, both rings, driver and display,
 * brought up in the order of stock QEMU, and the ways a running machine changes: pause, resume,
 * reset.
 */
#ifndef TESTS_LIB_RIG_H
#define TESTS_LIB_RIG_H

#include "daemon.h"
#include "display.h"
#include "display_wait.h"
#include "frontend.h"
#include "guestram.h"
#include "ring.h"
#include "vgpu.h"

struct rig_options {
	struct daemon *foreign;		      /* borrowed: another back-end, started already */
	const char *mode;		      /* NULL: "null" */
	const char *const *args;	      /* more arguments of the daemon */
	const struct display_config *display; /* NULL: display_config_default() */
	bool has_no_display;
	uint64_t withheld_features;	     /* offered ones that the guest doesn't ack */
	uint64_t withheld_protocol_features; /* the same for the front-end */
	uint16_t ring_size;		     /* 0: 256 for the control queue, 16 for the cursor's */
	uint64_t region_bytes;		     /* 0: 32 MiB each, two of them */
	bool is_not_started;		     /* stop after the handshake */
	bool has_window; /* the front-end maps, if there is something to; with blob resources */
};

struct rig {
	struct rig_options options;
	struct daemon *daemon;
	struct frontend *frontend;
	struct guestram *ram;
	struct ring *control;
	struct ring *cursor;
	struct vgpu *vgpu;
	struct display *display;
	uint64_t acked_features;
};

/* Skips the test, with the daemon's words, where the mode is virglrenderer and the host has no EGL.
 */
struct rig *rig_create(const struct rig_options *options);
struct rig *rig_create_mode(const char *mode);
/* Asserts the display's rules, that the daemon still serves, that no queue broke, and that all ends
 * cleanly. Of a foreign back-end nothing is asserted, and it goes on. */
void rig_destroy(struct rig *rig);
/* For a daemon that the test has ended; asserts only that it is clean. */
void rig_destroy_ended(struct rig *rig);

/* Display socket, features, memory, rings: what QEMU does at DRIVER_OK. */
void rig_start(struct rig *rig, uint16_t control_base, uint16_t cursor_base);
/* `stop`: display closed, rings stopped, memory taken away. Bases in *control_out and *cursor_out.
 */
void rig_pause(struct rig *rig, uint16_t *control_out, uint16_t *cursor_out);
/* `stop` and `cont`. */
void rig_pause_resume(struct rig *rig);
/* A guest's reset: stopped, RESET_DEVICE if @has_message, rings from 0, memory not in use. */
void rig_reset(struct rig *rig, bool has_message);
/* Starts one queue anew at index 0, as a driver does whose queue broke. */
void rig_revive_queue(struct rig *rig, enum vgpu_queue queue);

/* Asserts that the control queue serves a harmless command and the session answers. */
void rig_assert_serves(struct rig *rig);

/* Memory for a backing, filled with @pixels unless NULL. */
uint64_t rig_backing(struct rig *rig, const uint32_t *pixels, uint32_t size_bytes);
/* Resource @id of @width x @height, backed by contiguous memory; returns the memory. */
uint64_t rig_make_resource(struct rig *rig, uint32_t id, uint32_t format, uint32_t width,
			   uint32_t height, const uint32_t *pixels);
/* The same, transferred, shown on @scanout and flushed. */
uint64_t rig_show_resource(struct rig *rig, uint32_t id, uint32_t scanout, uint32_t width,
			   uint32_t height, const uint32_t *pixels);

/* width * height pixels, all different from their neighbours, no two rows alike; free with
 * g_free(). */
uint32_t *rig_make_pattern(uint32_t width, uint32_t height, uint32_t seed);

#define g_assert_resp(actual, expected) g_assert_cmphex(actual, ==, expected)
#define g_assert_ok(actual) g_assert_cmphex(actual, ==, VIRTIO_GPU_RESP_OK_NODATA)

#endif
