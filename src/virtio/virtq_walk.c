/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * Guest memory is read once here too: each field of a descriptor is loaded
 * with one access, and an indirect table is copied before it is looked at.
 */
#include "virtio/virtq_walk.h"

#include <endian.h>

#include "util/log.h"

const char virtq_outside_memory[] = "a descriptor points outside guest memory";

static struct vring_desc load_desc(const struct vring_desc *from)
{
	return (struct vring_desc){
		.addr = le64toh(__atomic_load_n(&from->addr, __ATOMIC_RELAXED)),
		.len = le32toh(__atomic_load_n(&from->len, __ATOMIC_RELAXED)),
		.flags = le16toh(__atomic_load_n(&from->flags, __ATOMIC_RELAXED)),
		.next = le16toh(__atomic_load_n(&from->next, __ATOMIC_RELAXED)),
	};
}

/* Returns NULL, or what is wrong with the descriptor. */
static const char *walk_take(struct virtq_walk *walk, const struct vring_desc *desc)
{
	uint32_t n = walk->n_readable + walk->n_writable;

	if (n >= VIRTQ_MAX_CHAIN) {
		return "a chain is longer than 4096 descriptors";
	}
	if (desc->len == 0) {
		return "a descriptor of no bytes";
	}
	if (guestmem_to_iov(walk->mem, (struct gpa){ desc->addr }, desc->len, NULL, 0) == 0) {
		return virtq_outside_memory;
	}
	if (desc->flags & VRING_DESC_F_WRITE) {
		walk->n_writable++;
		walk->writable_bytes += desc->len;
	} else if (walk->n_writable > 0) {
		return "a readable descriptor behind a writable one";
	} else {
		walk->n_readable++;
		walk->readable_bytes += desc->len;
	}
	walk->buffers[n] = (struct virtq_buffer){ { desc->addr }, desc->len };
	return NULL;
}

/* A table that is already a private copy (in guest byte order). */
static const char *walk_indirect(struct virtq_walk *walk, const struct vring_desc *table,
				 uint32_t n)
{
	uint32_t at = 0;

	for (uint32_t steps = 0; steps < n; steps++) {
		struct vring_desc desc = load_desc(&table[at]);

		if (desc.flags & VRING_DESC_F_INDIRECT) {
			return "an indirect table inside an indirect table";
		}
		const char *why = walk_take(walk, &desc);
		if (why != NULL) {
			return why;
		}
		if (!(desc.flags & VRING_DESC_F_NEXT)) {
			return NULL;
		}
		if (desc.next >= n) {
			return "a descriptor's next index is outside its table";
		}
		at = desc.next;
	}
	return "a chain of descriptors loops";
}

/* What is kept of a table that is too long (see VIRTQ_MAX_CHAIN). */
static const char *take_ends(struct virtq *vq, struct virtq_walk *walk, struct gpa table,
			     uint32_t n)
{
	const struct gpa last = { table.v + (uint64_t)(n - 1) * sizeof(struct vring_desc) };
	const char *why = NULL;

	if (!guestmem_read(walk->mem, table, &vq->scratch[0], sizeof(vq->scratch[0])) ||
	    !guestmem_read(walk->mem, last, &vq->scratch[1], sizeof(vq->scratch[1]))) {
		return virtq_outside_memory;
	}
	log_warn("queue %u: an indirect table of %u entries; its command is refused", vq->index, n);
	for (size_t i = 0; i < 2 && why == NULL; i++) {
		struct vring_desc desc = load_desc(&vq->scratch[i]);

		why = walk_take(walk, &desc);
	}
	return why;
}

static const char *open_indirect(struct virtq *vq, struct virtq_walk *walk,
				 const struct vring_desc *desc)
{
	uint32_t n = desc->len / sizeof(struct vring_desc);

	if (!vq->has_indirect) {
		return "an indirect table, which was not negotiated";
	}
	if (desc->flags & VRING_DESC_F_NEXT) {
		return "an indirect table with a next descriptor";
	}
	if (n == 0 || desc->len % sizeof(struct vring_desc) != 0) {
		return "an indirect table of a bad size";
	}
	if (n > VIRTQ_MAX_CHAIN) {
		return take_ends(vq, walk, (struct gpa){ desc->addr }, n);
	}
	if (!guestmem_read(walk->mem, (struct gpa){ desc->addr }, vq->scratch, desc->len)) {
		return virtq_outside_memory;
	}
	return walk_indirect(walk, vq->scratch, n);
}

const char *virtq_walk(struct virtq *vq, struct virtq_walk *walk, uint16_t head)
{
	uint32_t at = head;

	for (uint32_t steps = 0; steps < vq->size; steps++) {
		struct vring_desc desc = load_desc(&vq->desc[at]);

		if (desc.flags & VRING_DESC_F_INDIRECT) {
			/* The last of a chain may be one (§2.7.5.3.2). */
			return open_indirect(vq, walk, &desc);
		}
		const char *why = walk_take(walk, &desc);
		if (why != NULL) {
			return why;
		}
		if (!(desc.flags & VRING_DESC_F_NEXT)) {
			return NULL;
		}
		if (desc.next >= vq->size) {
			return "a descriptor's next index is outside the ring";
		}
		at = desc.next;
	}
	return "a chain of descriptors loops";
}
