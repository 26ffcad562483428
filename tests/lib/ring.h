/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * The driver's half of a split virtqueue, laid out by hand so that tests can also lay it out
 * wrongly.
 *
 * ring_wait_used() is strict: a used entry that comes without the interrupt it was due is a
 * failure, and ring_kick() stays silent when the device has asked for silence, so that a wake-up
 * the device loses shows as a timeout.
 */
#ifndef TESTS_LIB_RING_H
#define TESTS_LIB_RING_H

#include <linux/virtio_ring.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "guestram.h"

struct ring_segment {
	uint64_t gpa;
	uint32_t size;
	bool is_writable;
};

struct ring {
	struct guestram *ram; /* borrowed */
	uint32_t index;
	uint16_t size;
	bool has_event_idx;

	uint64_t desc_gpa;
	uint64_t avail_gpa;
	uint64_t used_gpa;
	struct vring_desc *desc;
	struct vring_avail *avail;
	struct vring_used *used;

	int kick_fd;
	int call_fd;
	int err_fd;

	uint16_t avail_idx;   /* what the driver has published */
	uint16_t last_used;   /* what the driver has taken */
	uint16_t *free_heads; /* stack of free descriptors */
	unsigned int n_free;
};

/* Memory from region @region of @ram. @size is a power of two. */
struct ring *ring_create(struct guestram *ram, unsigned int region, uint32_t index, uint16_t size,
			 bool has_event_idx);
void ring_destroy(struct ring *ring);
/* As a driver that starts anew: indexes 0, all descriptors free. */
void ring_reset(struct ring *ring);

/* Lays out and publishes a chain; returns its head. */
uint16_t ring_add(struct ring *ring, const struct ring_segment *segments, unsigned int n_segments);
/* The same by one indirect descriptor; the table is written at @table_gpa. */
uint16_t ring_add_indirect(struct ring *ring, const struct ring_segment *segments,
			   unsigned int n_segments, uint64_t table_gpa);
/* Takes a descriptor off the free list, to be filled in by hand. */
uint16_t ring_take_desc(struct ring *ring);
void ring_set_desc(struct ring *ring, uint16_t index, uint64_t gpa, uint32_t size, uint16_t flags,
		   uint16_t next);
/* Publishes @head without looking at it. */
void ring_publish(struct ring *ring, uint16_t head);

void ring_kick(struct ring *ring);
void ring_kick_always(struct ring *ring);

bool ring_pop_used(struct ring *ring, struct vring_used_elem *elem_out);
/* False if none came in time. */
bool ring_wait_used(struct ring *ring, int milliseconds, struct vring_used_elem *elem_out);
/* Interrupts since the last call of this function. */
uint64_t ring_take_calls(struct ring *ring);
/* Asks for no interrupt before @n more entries were used (EVENT_IDX), or for none at all without
 * it. */
void ring_suppress_calls(struct ring *ring, uint16_t n);
/* Asks for an interrupt at the next entry. */
void ring_enable_calls(struct ring *ring);
/* True if the queue's error eventfd fires in time. */
bool ring_wait_error(struct ring *ring, int milliseconds);
uint16_t ring_used_idx(const struct ring *ring);

#endif
