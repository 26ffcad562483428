/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * A guest for a fuzzer: memory in a few regions, and the driver's half of the
 * control and the cursor queue. Right as far as it goes; what is to be wrong
 * the fuzzer writes over it.
 *
 * Apart from tests/lib, whose wire.h names the same things as the daemon's.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "virtio/guestmem.h"
#include "virtio/virtq.h"

#define FUZZ_N_QUEUES 2u
#define FUZZ_RING_SIZE 16u
/* The rings and slots; two that are neighbours; one far away, inside its file. */
#define FUZZ_N_REGIONS 4u
#define FUZZ_ALL_REGIONS ((1u << FUZZ_N_REGIONS) - 1)
/* Room of one request, and of one response. */
#define FUZZ_SLOT_BYTES 8192u

struct fuzz_guest;

struct fuzz_guest *fuzz_guest_create(void);
void fuzz_guest_destroy(struct fuzz_guest *guest);

/* ---- memory ---- */

struct guestmem_region_desc fuzz_guest_region(const struct fuzz_guest *guest, unsigned int i,
					      int *memfd_borrow_out);
/* Of the regions in mask, a bit each; owned by the caller. */
struct guestmem *fuzz_guest_build_table(const struct fuzz_guest *guest, unsigned int mask);
/* mem, of the regions in from, made one of those in to: what both have stays mapped as it is. */
struct guestmem *fuzz_guest_change_table(const struct fuzz_guest *guest,
					 struct guestmem *consume_mem, unsigned int from,
					 unsigned int to);
/* Which of the regions in mask hold the range, and how many it touches; 0: a byte is in none. */
unsigned int fuzz_guest_count_regions(const struct fuzz_guest *guest, unsigned int mask,
				      struct gpa gpa, uint64_t length_bytes);
/* A byte of region i; offsets go round. */
uint8_t *fuzz_guest_byte(const struct fuzz_guest *guest, unsigned int i, uint64_t offset);
/* A range that touches rings or slots goes behind them, cut to what there is; another stays. */
void fuzz_guest_spare_rings(const struct fuzz_guest *guest, struct gpa *gpa,
			    uint32_t *length_bytes);

/* ---- rings ---- */

struct fuzz_vring {
	struct uva desc, avail, used;
	int kick_fd, call_fd, err_fd; /* borrowed */
};

struct fuzz_vring fuzz_guest_vring(const struct fuzz_guest *guest, unsigned int queue);
/* As a driver that starts anew. */
void fuzz_guest_reset_rings(struct fuzz_guest *guest);

struct fuzz_chain {
	const void *request;
	uint32_t request_bytes;	 /* up to FUZZ_SLOT_BYTES */
	uint32_t response_bytes; /* likewise; not 0 if there is no request */
	uint32_t piece_bytes;	 /* of a descriptor of the request; 0: there is one */
	bool is_indirect;
};

/* Lay it out and make it available, without a kick. False: no room in the ring. */
bool fuzz_guest_submit(struct fuzz_guest *guest, unsigned int queue, const struct fuzz_chain *chain,
		       uint16_t *head_out);
void fuzz_guest_kick(struct fuzz_guest *guest, unsigned int queue);

struct fuzz_used {
	uint16_t head;
	uint32_t length_bytes;
	const void *response; /* in guest memory, until the next submit */
};

/* The next completed one. Aborts if the device made none or too many of it. */
bool fuzz_guest_take(struct fuzz_guest *guest, unsigned int queue, struct fuzz_used *used_out);
/* What a paused guest may rely on not to change. */
uint16_t fuzz_guest_used_index(const struct fuzz_guest *guest, unsigned int queue);

/* ---- without a front-end ---- */

void fuzz_queue_init(struct virtq *vq, unsigned int index);
void fuzz_queue_finish(struct virtq *vq);

/* Give vq the ring, the memory and its descriptors, from base on, and let it run. */
void fuzz_guest_start_queue(struct fuzz_guest *guest, struct virtq *vq, struct guestmem *mem,
			    uint16_t base);
