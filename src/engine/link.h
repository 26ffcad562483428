/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * What a process engine's two processes say to each other: the keeper, which
 * has the front-end's connection, the display and whatever has to live on, and
 * the renderer process, which has the device and may die at any moment.
 *
 * Messages on a SOCK_SEQPACKET pair, each whole or not at all; numbers in host
 * order, as both ends are one program. Beside it there is one piece of shared
 * memory for what is too frequent for messages.
 *
 * The renderer process may be taken over by its guest. So the keeper checks
 * what it gets, of both, like a guest's bytes, and never waits for it.
 */
#pragma once

#include <glib.h>
#include <linux/virtio_gpu.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "display/display.h"
#include "gpu/command.h"
#include "gpu/record.h"
#include "gpu/stats.h"
#include "util/rect.h"
#include "util/sock.h"
#include "virtio/guestmem.h"
#include "virtio/virtq.h"

enum link_type {
	/* The keeper says: */
	LINK_RESET = 1, /* struct link_reset */
	LINK_FEATURES,	/* uint64_t */
	LINK_MEMORY,	/* struct link_memory, a descriptor for each region that has has_fd */
	LINK_QUEUE,	/* struct link_queue, up to three descriptors */
	LINK_RESTORE,	/* struct link_record and its bytes; before START only */
	LINK_START,	/* all is said that a device begins with */
	LINK_READY,	/* display_listener.ready */
	LINK_TAKEN,	/* struct link_taken */
	LINK_INFO,	/* struct link_answer */
	LINK_EDID,	/* struct link_answer */
	LINK_MAPPED,	/* struct link_mapped */
	/* The renderer process says: */
	LINK_HELLO,	     /* struct link_hello, one descriptor: its arena */
	LINK_RUNNING,	     /* the device is there and has been restored */
	LINK_PUT,	     /* struct link_record and its bytes */
	LINK_DROP,	     /* struct link_record */
	LINK_DROP_ALL,	     /* struct link_record, of which the generation counts */
	LINK_PICTURE,	     /* struct link_picture */
	LINK_DMABUF,	     /* struct link_dmabuf, one descriptor unless it is_gone */
	LINK_DRAW,	     /* struct link_draw */
	LINK_OFF,	     /* uint32_t scanout */
	LINK_CURSOR,	     /* struct link_cursor and pixels or none */
	LINK_CURSOR_HIDE,    /* struct link_cursor */
	LINK_ASK_INFO,	     /* struct link_question */
	LINK_ASK_EDID,	     /* struct link_question */
	LINK_MAP,	     /* struct link_mapping, one descriptor: the memory */
	LINK_UNMAP,	     /* struct link_mapping, of which fd_offset is 0 */
	LINK_GRABBED,	     /* struct link_grabbed */
	LINK_GRABBED_CURSOR, /* struct link_cursor and pixels, or none: there is no image */
	LINK_MODE_SET,	     /* struct link_mode, as LINK_MODE brought it */
	/* The keeper says, for who looks inside: */
	LINK_LOG,  /* uint32_t enum log_level */
	LINK_GRAB, /* struct link_grab */
	LINK_MODE, /* struct link_mode; before START of those that the device is to begin with */
};

struct link_reset {
	uint32_t generation; /* of records, from now on */
};

/*
 * What is sent has no padding, where bytes of the sender's stack would go to the
 * other process: it has a member, which is zero because nobody names it.
 */

#define LINK_MEMORY_REGIONS 8

/* A table comes in parts; the last one makes it the table. */
struct link_memory {
	uint32_t n_regions; /* in this part */
	uint32_t is_first, is_last;
	uint32_t padding;
	struct {
		uint64_t id; /* see guestmem_region() */
		struct guestmem_region_desc desc;
		uint32_t has_fd; /* else the renderer process has it already */
		uint32_t padding;
	} regions[LINK_MEMORY_REGIONS];
};

struct link_queue {
	uint32_t index;
	uint32_t has_kick, has_call, has_err; /* a descriptor each, in this order */
	struct virtq_view view;		      /* its descriptors mean nothing here */
};

struct link_record {
	uint32_t kind; /* enum record_kind */
	uint32_t id;
	uint32_t generation;
};

/* display_listener.taken, for several scanouts. */
struct link_taken {
	uint32_t scanouts; /* a bit for each */
	uint32_t serials[DISPLAY_MAX_SCANOUTS];
};

struct link_answer {
	uint64_t token;
	uint32_t is_none;
	uint32_t padding;
	union {
		struct virtio_gpu_resp_display_info info;
		struct virtio_gpu_resp_edid edid;
	};
};

struct link_hello {
	uint64_t arena_bytes;
};

struct link_picture {
	uint32_t slot;	 /* in struct link_shared.slots */
	uint32_t serial; /* never 0 */
	uint32_t scanout_id;
	uint32_t padding;
	uint64_t offset; /* of the frame, in the arena */
	uint32_t width, height;
	struct rect view, damage;
};

/* What the keeper has asked for; of the picture what is borrowed and shown counts. */
struct link_grab {
	uint32_t scanout_id;
	uint32_t is_cursor;
};

struct link_grabbed {
	uint32_t is_none; /* there is no picture; of the rest the scanout counts */
	uint32_t padding;
	struct link_picture picture; /* damage: all of it */
};

/* As device_set_mode(). */
struct link_mode {
	uint32_t scanout_id, width, height;
};

/* Buffers of the renderer process that the keeper has by number, so that each is passed once. */
#define LINK_N_DMABUFS 64

struct link_dmabuf {
	uint32_t number; /* below LINK_N_DMABUFS; what had it before is forgotten */
	uint32_t is_gone;
	struct dmabuf_layout layout;
};

/* As display_update_dmabuf(). */
struct link_draw {
	uint32_t number; /* of the buffer */
	uint32_t serial; /* as a picture's */
	uint32_t scanout_id;
	uint32_t padding;
	struct rect damage;
};

/* As struct display_cursor; its pixels follow, or none. */
struct link_cursor {
	uint32_t scanout_id;
	uint32_t x, y, hot_x, hot_y;
};
#define LINK_CURSOR_PIXELS_BYTES (DISPLAY_CURSOR_SIDE * DISPLAY_CURSOR_SIDE * sizeof(uint32_t))

struct link_question {
	uint64_t token;
	uint32_t scanout_id;
	uint32_t padding;
};

/* As struct mapper's calls; answered by LINK_MAPPED, in order. */
struct link_mapping {
	uint64_t token;
	uint64_t offset_bytes, size_bytes; /* in the window */
	uint64_t fd_offset_bytes;
	uint32_t generation; /* as of records: what is of before a reset is dropped, unanswered */
	uint32_t padding;
};

struct link_mapped {
	uint64_t token;
	uint32_t is_refused;
	uint32_t padding;
};

/* Pictures that the display may hold at a time: a few for each scanout. */
#define LINK_N_SLOTS 128

enum link_slot {
	LINK_SLOT_FREE,
	LINK_SLOT_WAITING, /* a picture that is not sent yet, or not all of it */
	LINK_SLOT_SENT,	   /* it is not read yet, or not known to be */
};

/* Atomics, but for the queues. */
struct link_shared {
	struct virtq_state queues[COMMAND_N_QUEUES];
	int is_busy;	    /* a command executes, or is being looked for */
	gint64 busy_since_us; /* g_get_monotonic_time(); 0: not busy */
	gint64 awaited_since_us; /* as struct renderer's */
	int is_timed;	    /* the keeper looks at these two now and then */
	int is_watched;	    /* as display_is_watched() */
	int dmabufs;	    /* as display_dmabufs() */
	int slots[LINK_N_SLOTS]; /* enum link_slot */
	/* By scanout: the serial of the picture whose LINK_TAKEN is waited for, or 0. */
	uint32_t awaited[DISPLAY_MAX_SCANOUTS];
	uint32_t last_awaited[DISPLAY_MAX_SCANOUTS]; /* the same, but stays: an older answer is none */
	struct stats stats; /* untouched unless somebody wants to look inside */
};

#define LINK_MAX_BYTES (sizeof(uint64_t) + sizeof(struct link_record) + RECORD_MAX_BYTES)

struct link_message {
	uint64_t type;	  /* enum link_type, or anything */
	const void *body; /* in the receiver's buffer, aligned as it is */
	size_t size_bytes;
	int fds[SOCK_MAX_FDS]; /* owned: link_take_fd(), link_message_finish() */
	size_t n_fds;
};

/* A pair of sockets, with room for the longest message. Returns 0 or -errno. */
int link_create(int pair_out[2]) G_GNUC_WARN_UNUSED_RESULT;

/*
 * Send head and then body (may be NULL) as one message, without waiting.
 * Descriptors are borrowed. Returns 0 or -errno (-EAGAIN).
 */
int link_send(int fd, enum link_type type, const void *head, size_t head_bytes, const void *body,
	      size_t body_bytes, const int *fds, size_t n_fds) G_GNUC_WARN_UNUSED_RESULT;
/* The same, and wait for room. */
int link_send_wait(int fd, enum link_type type, const void *head, size_t head_bytes,
		   const void *body, size_t body_bytes, const int *fds, size_t n_fds)
	G_GNUC_WARN_UNUSED_RESULT;

/*
 * Without waiting, into buffer of LINK_MAX_BYTES. 0, -EAGAIN, -EPIPE (the
 * other end is closed), -EBADMSG (no message of this protocol), or -errno.
 */
int link_receive(int fd, void *buffer, struct link_message *message_out) G_GNUC_WARN_UNUSED_RESULT;
/* The body, if it has just that size; else NULL. */
const void *link_body(const struct link_message *message, size_t size_bytes);
int link_take_fd(struct link_message *message, size_t i); /* the caller's then */
void link_message_finish(struct link_message *message);
