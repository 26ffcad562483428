/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* From the head of a chain to the buffers that its descriptors name. Of virtq.c, nobody else's. */
#pragma once

#include "virtio/virtq.h"

/* What a walk has found so far. */
struct virtq_walk {
	const struct guestmem *mem;   /* borrowed: where the buffers must lie */
	struct virtq_buffer *buffers; /* borrowed: room for VIRTQ_MAX_CHAIN */
	uint32_t n_readable, n_writable;
	uint64_t readable_bytes, writable_bytes;
};

/* What virtq_walk() says of a buffer or table that is not in mem: this very pointer. */
extern const char virtq_outside_memory[];

/* With the queue's lock held, its rings mapped and head inside. Returns NULL, or what is wrong. */
const char *virtq_walk(struct virtq *vq, struct virtq_walk *walk, uint16_t head);
