/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * Where pictures go: the contract between the device and what shows them.
 *
 * Calls come from the device thread, but for set_socket (transport thread),
 * and never wait. Upcalls come from any thread and only post.
 */
#pragma once

#include <glib.h>
#include <linux/virtio_gpu.h>
#include <stdbool.h>
#include <stdint.h>

#include "util/dmabuf.h"
#include "util/frame.h"
#include "util/lockdown.h"

#define DISPLAY_MAX_SCANOUTS VIRTIO_GPU_MAX_SCANOUTS
#define DISPLAY_CURSOR_SIDE 64 /* pixels */
/* What a front-end can be asked to show; QEMU aborts on more, and QEMU's own device refuses less. */
#define DISPLAY_MIN_SIDE 16
#define DISPLAY_MAX_SIDE 16384

/* One picture of a scanout: view is the part of frame that it shows. */
struct display_picture {
	struct frame *frame;
	struct rect view; /* inside frame; its size is the scanout's size */
	uint32_t serial;  /* the caller's, who is told by taken() */
};

struct display_cursor {
	uint32_t scanout_id;
	uint32_t x, y; /* may be negative as int32_t */
	uint32_t hot_x, hot_y;
	/* a8r8g8b8, native words, DISPLAY_CURSOR_SIDE rows; NULL: only move. Borrowed. */
	const uint32_t *pixels;
};

/* Of an answer that nobody waits for any more, but that holds news. */
#define DISPLAY_NO_TOKEN 0

struct display_listener {
	/*
	 * A new channel is there and knows nothing, or what dmabufs() says has
	 * changed: show everything again.
	 */
	void (*ready)(void *data);
	/*
	 * The picture that update() said is waiting is on its way, or nobody
	 * wants it any more; the one that update_dmabuf() said is waiting has been
	 * drawn, or nobody wants it any more. serial: of the last one that became
	 * part of it, or one before that.
	 */
	void (*taken)(void *data, uint32_t scanout_id, uint32_t serial);
	/*
	 * Answers to request_info and request_edid, each token exactly once. NULL:
	 * the front-end has none, or did not answer in time. Values as on the
	 * wire (little-endian), header not filled.
	 */
	void (*info)(void *data, uint64_t token, const struct virtio_gpu_resp_display_info *info);
	void (*edid)(void *data, uint64_t token, const struct virtio_gpu_resp_edid *edid);
};

struct display;

struct display_impl {
	const char *name;
	void (*destroy)(struct display *d);

	/* Would a picture be seen? If not, nobody need make one. ready() says when that changes. */
	bool (*is_watched)(struct display *d);
	/*
	 * damage: in scanout coordinates, inside view's size. picture->frame is
	 * borrowed. True: it waits for an older picture to go out, and taken()
	 * says once when it waits no more; a newer one may take its place.
	 */
	bool (*update)(struct display *d, uint32_t scanout_id,
		       const struct display_picture *picture, const struct rect *damage);
	/*
	 * Optional, together. dmabufs: what update_dmabuf() may be given so that
	 * it is seen, at present. ready() says when that may have changed; where it
	 * has, buffers that wait are forgotten.
	 *
	 * update_dmabuf: as update(), but the scanout shows all of dmabuf
	 * (borrowed), whose first row begins at offset 0, and which the front-end
	 * reads by itself from now on, and at the latest when it has drawn it.
	 * True: it has not yet, and taken() says once when it has: then the guest
	 * may draw, on this buffer and on the one that was there before.
	 */
	enum dmabuf_kinds (*dmabufs)(struct display *d);
	bool (*update_dmabuf)(struct display *d, uint32_t scanout_id, struct dmabuf *dmabuf,
			      uint32_t serial, const struct rect *damage);
	/* Optional. About to draw, or to take memory: let go of frames that nobody reads any more. */
	void (*reclaim)(struct display *d);
	/* The scanout shows nothing any more. */
	void (*disable)(struct display *d, uint32_t scanout_id);
	void (*cursor_set)(struct display *d, const struct display_cursor *cursor);
	void (*cursor_hide)(struct display *d, uint32_t scanout_id, uint32_t x, uint32_t y);

	/* Optional. False: there is nobody to ask, and no upcall follows. */
	bool (*request_info)(struct display *d, uint64_t token);
	bool (*request_edid)(struct display *d, uint64_t token, uint32_t scanout_id);

	/* Optional: a channel to the front-end, which replaces the one before. Owned on return. */
	void (*set_socket)(struct display *d, int consume_fd);
};

/* First member of each implementation. */
struct display {
	const struct display_impl *impl;
	const struct display_listener *listener;
	void *listener_data;
};

/* Shows nothing, has nobody to ask. Never fails. */
struct display *display_create_headless(void);

/*
 * The vhost-user-gpu channel (QEMU docs/interop/vhost-user-gpu), with a thread
 * of its own. Without a socket it is as headless. with_dmabufs: the front-end's
 * user says that it can show them; the front-end itself does not. Returns 0 or
 * -errno.
 */
int display_create_vhost_user_gpu(const struct display_listener *listener, void *data,
				  bool with_dmabufs, struct display **display_out)
	G_GNUC_WARN_UNUSED_RESULT;

void display_destroy(struct display *d); /* NULL is fine */
bool display_is_watched(struct display *d);
bool display_update(struct display *d, uint32_t scanout_id, const struct display_picture *picture,
		    const struct rect *damage);
enum dmabuf_kinds display_dmabufs(struct display *d);
/* Would display_update_dmabuf() of such a buffer be seen? */
bool display_takes_dmabuf(struct display *d, const struct dmabuf_layout *layout);
/* False as well, and nothing is shown, if it never takes any. */
bool display_update_dmabuf(struct display *d, uint32_t scanout_id, struct dmabuf *dmabuf,
			   uint32_t serial, const struct rect *damage);
void display_reclaim(struct display *d);
void display_disable(struct display *d, uint32_t scanout_id);
void display_cursor_set(struct display *d, const struct display_cursor *cursor);
void display_cursor_hide(struct display *d, uint32_t scanout_id, uint32_t x, uint32_t y);
bool display_request_info(struct display *d, uint64_t token);
bool display_request_edid(struct display *d, uint64_t token, uint32_t scanout_id);
void display_set_socket(struct display *d, int consume_fd);

/* For implementations: fills the base, asserts the mandatory members. */
void display_init(struct display *d, const struct display_impl *impl,
		  const struct display_listener *listener, void *data);

/* Of all displays there are. */
extern lockdown_names display_calls;
