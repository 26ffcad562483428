/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * Random commands, right and wrong, and a model of the device that foretells the answer of each, in
 * the order in which they are made available on the control queue.
 */
#ifndef TESTS_PROTO_GUESSER_H
#define TESTS_PROTO_GUESSER_H

#include <glib.h>
#include <stdalign.h>

#include "rig.h"

#define GUESSER_RESOURCES 8u /* ids 1 to 8; 0 and 9 never exist */
#define GUESSER_MAX_SIDE 48u
#define GUESSER_SCANOUTS 3u
#define GUESSER_CTX 1u /* that of the host's memory, made by the test; there is no other */

struct guesser_resource {
	bool exists;
	bool has_backing;
	uint32_t width, height; /* of a blob 0 */
	uint64_t blob_bytes;	/* 0: it is none */
	bool is_mappable;	/* memory of the host's */
	bool is_mapped;
	uint64_t offset; /* of the mapping */
};

/* The picture of a blob on a scanout. */
struct guesser_scanout {
	uint32_t id; /* 0: it shows none */
	uint32_t width, height;
};

struct guesser {
	GRand *random;	      /* owned */
	uint64_t backing_gpa; /* one for all: pixels don't matter here */
	bool has_3d;	      /* then 3D commands are left out */
	/* If not 0, there are blobs of the host's memory, and streams of the mock library's; and
	 * a command with a fence waits for it. Of whole pages; set after guesser_init(). */
	uint64_t window_bytes;
	uint64_t n_guesses;
	struct guesser_resource resources[GUESSER_RESOURCES + 2];
	struct guesser_scanout scanouts[GUESSER_SCANOUTS];
};

/* Of commands without a fence, of those with one, and of rings of the context's. */
#define GUESSER_RINGS 3u
#define GUESSER_TIMELINES (2u + GUESSER_RINGS)

/* A command, its shape and what comes of it. */
struct guess {
	enum vgpu_queue queue;
	alignas(8) uint8_t request[128];
	uint32_t request_size;
	struct virtio_gpu_mem_entry entries[4];
	uint32_t n_entries;
	struct vgpu_chain chain; /* borrows the above */
	uint32_t expected;	 /* 0: any answer that there is */
	bool is_ordered;	 /* completes after those before it that are, of its timeline; the
				    others wait for the display or the front-end */
	unsigned int timeline;	 /* below GUESSER_TIMELINES */
	uint64_t fence_id;	 /* 0: none */
};

/* Room for GUESSER_MAX_SIDE squared pixels at @backing_gpa. */
void guesser_init(struct guesser *guesser, uint32_t seed, uint64_t backing_gpa, bool has_3d);
void guesser_finish(struct guesser *guesser);
/* The device was reset. */
void guesser_forget(struct guesser *guesser);
/* From 0 to @n - 1. */
uint32_t guesser_pick(struct guesser *guesser, uint32_t n);
/* Resources that are in the window when all is answered. */
unsigned int guesser_count_mapped(const struct guesser *guesser);
void guesser_make(struct guesser *guesser, struct guess *guess_out);

#endif
