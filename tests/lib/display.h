/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * QEMU's end of the vhost-user-gpu channel, in a thread of its own: answers questions, keeps
 * surfaces as QEMU keeps them, and holds the daemon to every rule that keeps QEMU from crashing,
 * leaking or hanging. A breach is recorded with what was seen, and display_assert_rules(), which
 * display_destroy() calls, fails the test.
 *
 * Fields up to `lock` are configuration and may be changed before display_connect(). All else is
 * behind the functions.
 */
#ifndef TESTS_LIB_DISPLAY_H
#define TESTS_LIB_DISPLAY_H

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

#include "wire.h"

#define DISPLAY_SCANOUTS 16u
#define DISPLAY_MIN_SIDE 16u
#define DISPLAY_MAX_SIDE 16384u

struct display_config {
	uint64_t protocol_features;    /* 0: QEMU 7.2; VHOST_USER_GPU_F_*: QEMU 10 and 11 */
	bool is_silent_about_features; /* never answers GET_PROTOCOL_FEATURES */
	bool has_garbage_replies;      /* answers with a wrong request id and a wrong size */
	bool is_silent_about_dmabufs;  /* never answers DMABUF_UPDATE */
	bool is_lenient;	       /* broken rules are counted and fail no test */
	uint32_t n_outputs; /* enabled modes; GET_EDID beyond is not answered, as QEMU does */
	uint32_t width;
	uint32_t height;
};

struct display_message {
	uint32_t request;
	uint32_t size;
	uint32_t scanout_id;
	uint32_t x, y, width, height;
};

/* A buffer that the daemon has given a descriptor of, and that is read as it is drawn. */
struct display_dmabuf {
	const uint8_t *bytes; /* owned mapping; NULL: there is none */
	size_t size;
	struct gpu_msg_dmabuf_scanout2 scanout;
};

struct display_surface {
	bool is_set;   /* between SCANOUT(w, h) or DMABUF_SCANOUT with a descriptor and off */
	bool is_shown; /* has had its first UPDATE or DMABUF_UPDATE */
	bool is_off_due; /* a buffer went, and what was there before it would be seen again */
	uint32_t width, height;
	uint32_t *pixels;	 /* x8r8g8b8; of a buffer as it was when it was last drawn */
	struct display_dmabuf dmabuf;
	unsigned int n_dmabufs; /* that came, since the display was connected */
	unsigned int n_updates;	 /* since the last SCANOUT, or DMABUF_SCANOUT */
	unsigned int n_scanouts; /* since the display was connected, disabling ones included */
};

struct display_cursor {
	bool is_visible;
	unsigned int n_updates;
	unsigned int n_moves; /* CURSOR_POS and CURSOR_POS_HIDE */
	uint32_t x, y, hot_x, hot_y;
	uint32_t data[CURSOR_SIDE * CURSOR_SIDE];
};

struct display {
	struct display_config config;

	GMutex lock;
	GCond changed;
	GThread *thread;
	int fd;
	int wake_fd;
	bool must_stop;
	bool is_stalled;
	uint32_t bytes_per_read; /* 0: as fast as they come */
	uint64_t hang_up_at;	 /* 0: never */
	bool is_peer_closed;
	uint64_t acked_features;
	bool has_acked_features;
	bool has_offered_features;
	unsigned int n_display_infos;
	unsigned int n_edids[DISPLAY_SCANOUTS];
	uint64_t n_bytes;
	struct display_surface surfaces[DISPLAY_SCANOUTS];
	struct display_cursor cursors[DISPLAY_SCANOUTS];
	GArray *messages;    /* of struct display_message */
	GPtrArray *breaches; /* of char * */
};

/* As QEMU 10 and 11 with one output of 1280x800. */
struct display_config display_config_default(void);
struct display *display_create(const struct display_config *config);
/* Starts to serve one end of a socketpair and returns the other, for GPU_SET_SOCKET; the caller
 * closes it. */
int display_connect(struct display *display);
/* As QEMU on stop or reset: the socket is closed, the surfaces are kept for display_assert_rules().
 */
void display_disconnect(struct display *display);
void display_destroy(struct display *display);

/* Stops reading, for as long as @is_stalled. */
void display_set_stalled(struct display *display, bool is_stalled);
/* Hangs up, as one that crashes, when there is more to read than @n_bytes in all since the display
 * was created; 0: never. display_disconnect() is due all the same. */
void display_hang_up_at(struct display *display, uint64_t n_bytes);
/* Reads at most @bytes_per_read a millisecond; 0: no limit. */
void display_set_slow(struct display *display, uint32_t bytes_per_read);

/* The 128-byte EDID that the display answers GET_EDID with: begins with the right magic, sums up to
 * 0. */
void display_make_edid(uint32_t scanout_id, uint8_t *edid_out);

#endif
