/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * Guest memory: memfd regions at guest addresses, each with a user address that is no address of
 * this process, so that a daemon that mixes up guest, user and host addresses is found out.
 */
#ifndef TESTS_LIB_GUESTRAM_H
#define TESTS_LIB_GUESTRAM_H

#include <stddef.h>
#include <stdint.h>

#include "wire.h"

#define GUESTRAM_MAX_REGIONS 64u
#define GUESTRAM_PAGE 4096u

struct guestram_region {
	struct vhost_user_mem_region wire;
	int memfd;
	uint8_t *hva;  /* of the first byte of the region */
	uint64_t used; /* bytes given out by guestram_alloc() */
};

struct guestram {
	struct guestram_region regions[GUESTRAM_MAX_REGIONS];
	unsigned int n_regions;
};

/* Two regions, @size_bytes each: one at 0, one above 4 GiB that starts in the middle of its memfd.
 */
struct guestram *guestram_create(uint64_t size_bytes);
struct guestram *guestram_create_empty(void);
void guestram_destroy(struct guestram *ram);

unsigned int guestram_add(struct guestram *ram, uint64_t gpa, uint64_t size_bytes,
			  uint64_t mmap_offset);

/* Takes the region that was added last out of the list, and unmaps it. */
void guestram_drop_last(struct guestram *ram);

/* Zeroed guest memory out of a region; asserts that there is enough. @align is a power of two. */
uint64_t guestram_alloc(struct guestram *ram, unsigned int region, uint64_t size_bytes,
			uint64_t align);

/* Asserts that the range lies in one region. */
void *guestram_at(const struct guestram *ram, uint64_t gpa, uint64_t size_bytes);
uint64_t guestram_to_uva(const struct guestram *ram, uint64_t gpa);

#endif
