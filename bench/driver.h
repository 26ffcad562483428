/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * A driver that costs as little as one can, so that it is the back-end that is measured: requests
 * are laid out once, and submitted as often as wanted. As Linux does it, a request and its response
 * are one indirect descriptor, interrupts are asked for only before sleeping, and kicks are given
 * only when asked for (EVENT_IDX).
 */
#ifndef BENCH_DRIVER_H
#define BENCH_DRIVER_H

#include <stdbool.h>
#include <stdint.h>

#include "ring.h"

struct slot {
	uint16_t head;
	uint32_t request_size, response_size;
	uint64_t request_gpa, response_gpa;
	void *request, *response;
	struct vring_desc *table; /* indirect: request, payload, response */
	uint64_t table_gpa;
};

struct driver {
	struct ring *ring; /* borrowed */
	unsigned int n_slots;
	struct slot *slots;
	struct slot *by_head[1024];
};

struct driver *driver_create(struct ring *ring, unsigned int n_slots);
void driver_destroy(struct driver *driver);

/* Lays slot @index out. @payload_gpa: guest memory to follow the request, if @payload_size. */
void driver_lay_out(struct driver *driver, unsigned int index, const void *request,
		    uint32_t request_size, uint64_t payload_gpa, uint32_t payload_size,
		    uint32_t response_size);
/* Publishes without a kick. */
void driver_submit(struct driver *driver, unsigned int index);
void driver_kick(struct driver *driver);
/* The next slot that has completed, or NULL; never waits. */
struct slot *driver_take(struct driver *driver);
/* Sleeps until there is something to take. */
void driver_wait(struct driver *driver);
/* The type of the response in a slot that has completed. */
uint32_t driver_response(const struct slot *slot);

/* Lays out, submits, kicks, waits; returns the response's type. Nothing else may be in flight. */
uint32_t driver_call(struct driver *driver, const void *request, uint32_t request_size,
		     uint32_t response_size);
/* The same; ends the program if the answer is not OK_NODATA. */
void driver_command(struct driver *driver, const void *request, uint32_t request_size);

#endif
