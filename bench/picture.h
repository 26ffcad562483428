/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * A picture in guest memory as Linux lays one out: pages that are neighbours in the picture are
 * none in memory, and each is an entry of the backing.
 *
 * A frame is told from the next by its number, in the first and the last pixel of each row of the
 * part that changes. Numbers have 24 bits, as the fourth byte of a pixel is not shown.
 */
#ifndef BENCH_PICTURE_H
#define BENCH_PICTURE_H

#include <linux/virtio_gpu.h>
#include <stdbool.h>
#include <stdint.h>

#include "guestram.h"

#define FRAME_NUMBER_MASK 0xffffffu

struct picture {
	uint32_t width, height;
	struct virtio_gpu_rect damage; /* what each frame changes */
	bool is_solid;		       /* the number is in every pixel of it */
	uint32_t n_pages;
	struct virtio_gpu_mem_entry *entries; /* one per page */
	uint8_t **pages;
};

struct picture *picture_create(struct guestram *ram, uint32_t width, uint32_t height,
			       const struct virtio_gpu_rect *damage);
void picture_destroy(struct picture *picture);

/* Draws frame @number. */
void picture_draw(struct picture *picture, uint32_t number);
/* A surface as a display has it: is it the picture? */
bool picture_equals(const struct picture *picture, const uint32_t *pixels, uint32_t stride_pixels);
/* The number of the frame in a surface, or -1 if it is a mixture of frames. */
int64_t picture_find_number(const struct virtio_gpu_rect *damage, bool is_solid,
			    const uint32_t *pixels, uint32_t stride_pixels);

#endif
