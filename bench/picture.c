/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include <glib.h>

#include "picture.h"

/* Coprime to any number of pages a picture here has, and far. */
#define PAGE_STEP 7919u
#define BYTES_PER_PIXEL 4u

static uint32_t *pixel(const struct picture *picture, uint32_t x, uint32_t y)
{
	uint64_t offset = ((uint64_t)y * picture->width + x) * BYTES_PER_PIXEL;
	uint8_t *page = picture->pages[offset / GUESTRAM_PAGE];

	return (uint32_t *)(void *)(page + offset % GUESTRAM_PAGE);
}

struct picture *picture_create(struct guestram *ram, uint32_t width, uint32_t height,
			       const struct virtio_gpu_rect *damage)
{
	struct picture *picture = g_new0(struct picture, 1);
	uint64_t size = (uint64_t)width * height * BYTES_PER_PIXEL;

	picture->width = width;
	picture->height = height;
	picture->damage = *damage;
	picture->n_pages = (uint32_t)((size + GUESTRAM_PAGE - 1) / GUESTRAM_PAGE);
	picture->entries = g_new0(struct virtio_gpu_mem_entry, picture->n_pages);
	picture->pages = g_new0(uint8_t *, picture->n_pages);
	uint64_t gpa = guestram_alloc(ram, 1, (uint64_t)picture->n_pages * GUESTRAM_PAGE,
				      GUESTRAM_PAGE);
	for (uint64_t i = 0; i < picture->n_pages; i++) {
		uint64_t at = gpa + i * PAGE_STEP % picture->n_pages * GUESTRAM_PAGE;

		picture->entries[i] =
			(struct virtio_gpu_mem_entry){.addr = at, .length = GUESTRAM_PAGE};
		picture->pages[i] = guestram_at(ram, at, GUESTRAM_PAGE);
	}
	for (uint32_t y = 0; y < height; y++) {
		for (uint32_t x = 0; x < width; x++) {
			*pixel(picture, x, y) = (y * width + x + 1u) * 2654435761u;
		}
	}
	return picture;
}

void picture_destroy(struct picture *picture)
{
	if (picture == NULL) {
		return;
	}
	g_free(picture->entries);
	g_free(picture->pages);
	g_free(picture);
}

void picture_draw(struct picture *picture, uint32_t number)
{
	const struct virtio_gpu_rect *damage = &picture->damage;

	for (uint32_t y = damage->y; y < damage->y + damage->height; y++) {
		uint32_t step = picture->is_solid ? 1 : damage->width - 1;

		for (uint32_t x = 0; x < damage->width; x += step) {
			*pixel(picture, damage->x + x, y) = number;
		}
	}
}

bool picture_equals(const struct picture *picture, const uint32_t *pixels, uint32_t stride_pixels)
{
	for (uint32_t y = 0; y < picture->height; y++) {
		for (uint32_t x = 0; x < picture->width; x++) {
			uint32_t shown = pixels[(size_t)y * stride_pixels + x];

			if ((shown ^ *pixel(picture, x, y)) & 0xffffffu) {
				return false;
			}
		}
	}
	return true;
}

int64_t picture_find_number(const struct virtio_gpu_rect *damage, bool is_solid,
			    const uint32_t *pixels, uint32_t stride_pixels)
{
	uint32_t step = is_solid ? 1 : damage->width - 1;
	const uint32_t *row = pixels + (size_t)damage->y * stride_pixels + damage->x;
	uint32_t number = *row & FRAME_NUMBER_MASK;

	for (uint32_t y = 0; y < damage->height; y++) {
		for (uint32_t x = 0; x < damage->width; x += step) {
			if ((row[x] & FRAME_NUMBER_MASK) != number) {
				return -1;
			}
		}
		row += stride_pixels;
	}
	return number;
}
