/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* A guest without a front-end: memory, and a driver's two rings joined to two virtqueues. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "guestram.h"
#include "ring.h"
#include "virtio/guestmem.h"
#include "virtio/virtq.h"

#define VM_N_QUEUES 2
#define VM_RING_SIZE 16u
/* Room for one request, and as much for its response. */
#define VM_SLOT_BYTES (512u << 10)
/* For the test's own use. */
#define VM_RAM_BYTES (32u << 20)
/* Guest addresses where there is none. */
#define VM_NOWHERE UINT64_C(0x80000000)

struct vm {
	struct guestram *ram;
	struct guestmem *mem; /* of all of ram's regions */
	struct ring *rings[VM_N_QUEUES];
	struct virtq queues[VM_N_QUEUES];
	uint64_t slots[VM_N_QUEUES]; /* VM_RING_SIZE pairs each */
};

void vm_init(struct vm *vm);
void vm_finish(struct vm *vm);
/* The driver begins anew; what is in flight is forgotten. */
void vm_restart(struct vm *vm);

/* A table of ram's regions first to last; owned by the caller. */
struct guestmem *vm_build_table(const struct guestram *ram, unsigned int first, unsigned int n);

/* Lay out a chain and make it available; response_bytes may be 0. Returns its head. */
uint16_t vm_submit(struct vm *vm, unsigned int queue, const void *request, size_t size_bytes,
		   size_t response_bytes);
/* It must be there. */
struct virtq_chain *vm_pop(struct vm *vm, unsigned int queue);

/* The next used one, with what was written, up to size_bytes (the rest is zero). False: none. */
bool vm_take(struct vm *vm, unsigned int queue, uint16_t *head_out, void *response,
	     size_t size_bytes, uint32_t *length_out);
