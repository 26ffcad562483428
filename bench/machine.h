/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* A virtual machine without a guest system: back-end, front-end, memory, rings and display. */
#ifndef BENCH_MACHINE_H
#define BENCH_MACHINE_H

#include <stdbool.h>

#include "driver.h"
#include "frontend.h"
#include "guestram.h"
#include "picture.h"
#include "process.h"
#include "reader.h"

#define MACHINE_QUEUE_DEPTH 64u

struct machine {
	struct process *process;
	struct frontend *frontend;
	struct guestram *ram;
	struct ring *control_ring, *cursor_ring;
	struct driver *control, *cursor;
	struct reader *reader;
	uint64_t features; /* acknowledged */
};

/* Started, connected, and as far as a guest that has loaded its driver. */
struct machine *machine_create(const char *command, unsigned int max_updates_per_s);
/* The same, at full speed, with the guest's and the display's CPUs apart (place.h). */
struct machine *machine_create_placed(const char *command);
/* The same with a front-end that maps (window.h); frontend->window_bytes says if there is anything
 * to map. */
struct machine *machine_create_mapping(const char *command);
void machine_destroy(struct machine *machine);

/* Resource @id with one backing entry for each page of the picture. */
void machine_add_resource(struct machine *machine, uint32_t id, const struct picture *picture);
/* The same as a blob of guest memory; false: the back-end has none. */
bool machine_add_blob(struct machine *machine, uint32_t id, const struct picture *picture);
void machine_attach(struct machine *machine, uint32_t id, const struct picture *picture);
void machine_set_scanout(struct machine *machine, uint32_t scanout, uint32_t id,
			 const struct picture *picture);
/* All of it: resource @scanout + 1, on @scanout, shown once as frame @scanout + 1. The reader
 * watches for its frames. */
struct picture *machine_show_picture(struct machine *machine, uint32_t scanout, uint32_t width,
				     uint32_t height, const struct virtio_gpu_rect *damage);

/*
 * One is with the display, one may be half way in a socket, and one is drawn into: what is shown
 * out of guest memory is whole only if nobody draws into it meanwhile.
 */
#define STREAM_BLOBS 3u

/* Frame after frame of one picture, numbered one by one. Slots 0 and 1 of the control queue are
 * its; with several streams on a machine, slots 2 * scanout and the next. */
struct stream {
	struct machine *machine;
	uint32_t scanout;
	struct picture *picture; /* of blobs, the one drawn last */
	struct picture *blobs[STREAM_BLOBS]; /* in turn, by page flips; NULL: transfers of picture */
	uint32_t number; /* of the last frame submitted */
	unsigned int n_in_flight;
};

/* Scanout 0's. */
void stream_init(struct stream *stream, struct machine *machine, struct picture *picture);
void stream_init_on(struct stream *stream, struct machine *machine, uint32_t scanout,
		    struct picture *picture);
/* Of blobs @first_id and on, all on scanout 0; the picture of the first is shown already. */
void stream_init_blobs(struct stream *stream, struct machine *machine, uint32_t first_id,
		       struct picture *const blobs[STREAM_BLOBS]);
/* Draws the next frame, queues transfer and flush, or page flip and flush, kicks once. */
void stream_submit(struct stream *stream);
/* The same for frame @number, without the kick. */
void stream_queue(struct stream *stream, uint32_t number);
/* One frame, until both are answered. */
void stream_frame(struct stream *stream);
/* Takes the answer in a slot of the stream's. */
void stream_take(struct stream *stream, const struct slot *slot);

#endif
