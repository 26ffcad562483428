/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * The display side of the vhost-user-gpu channel, costing what QEMU costs: it sleeps in poll(),
 * reads a header in three pieces, allocates a message, reads it, and composes it onto a surface
 * with pixman. What is on the surface then is looked at: which frame it is, whether it is one
 * frame, and when it came.
 */
#ifndef BENCH_READER_H
#define BENCH_READER_H

#include <glib.h>
#include <pixman.h>
#include <stdbool.h>
#include <stdint.h>

#include "picture.h"
#include "samples.h"

#define READER_SCANOUTS 16u
#define READER_HISTORY (1u << 20)

struct reader_counts {
	uint64_t n_updates;
	uint64_t n_dmabufs; /* of these, of buffers that were not sent */
	uint64_t n_shown;   /* updates that brought a newer frame */
	uint64_t n_torn;    /* updates that left a mixture */
	uint64_t n_stale;   /* updates that brought an older frame */
	uint64_t n_cursors; /* cursor messages */
};

/* With skims it costs next to nothing, so that it is the back-end that bounds the frames. */
struct reader {
	int fd;				  /* blocking */
	int shown_fd;			  /* eventfd: a newer frame is shown; -1: nobody waits */
	unsigned int max_updates_per_s;	  /* 0: as fast as they come */
	_Atomic unsigned int stall_every; /* stops for a while after so many updates; 0: never */
	_Atomic bool skims; /* looks at the first row of an update, and at no other pixel */
	int null_fd, null_pipe[2];	  /* where the others go */
	GThread *thread;

	/* What the guest has done and when; written before the kick. */
	_Atomic int64_t *frame_kicked_ns;  /* READER_HISTORY, by number */
	_Atomic int64_t *cursor_kicked_ns; /* READER_HISTORY, by x of the cursor */

	GMutex lock;
	bool is_solid; /* the number must be in every pixel */
	struct reader_scanout {
		pixman_image_t *surface;
		bool has_picture;
		struct virtio_gpu_rect damage;
		uint32_t last_number;
	} scanouts[READER_SCANOUTS];
	struct reader_counts counts; /* of all scanouts */
	struct samples frame_latency, cursor_latency;
};

/* Reads from @consume_fd until it is closed by the other end. */
struct reader *reader_create(int consume_fd, unsigned int max_updates_per_s);
/* After the other end has closed. reader_destroy(NULL) is fine. */
void reader_destroy(struct reader *reader);

/* From now on updates of @scanout are looked at for the frame numbers of a picture whose frames
 * have this @damage. Where several are watched, no two frames have the same number. */
void reader_watch(struct reader *reader, uint32_t scanout, const struct virtio_gpu_rect *damage);
/* Forgets latencies so far. */
void reader_forget(struct reader *reader);
struct reader_counts reader_get_counts(struct reader *reader);
uint32_t reader_last_number(struct reader *reader, uint32_t scanout);
/* Waits until frame @number is shown; false if it is not after five seconds. */
bool reader_wait_number(struct reader *reader, uint32_t scanout, uint32_t number);
bool reader_shows(struct reader *reader, uint32_t scanout, const struct picture *picture);

#endif
