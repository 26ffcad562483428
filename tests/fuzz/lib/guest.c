/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "guest.h"

#include <string.h>
#include <unistd.h>

#include "guestram.h"
#include "ring.h"

#define MAX_PIECES 8u
/* A request's pieces, and the response in two. */
#define MAX_SEGMENTS (MAX_PIECES + 2)
#define TABLE_BYTES (MAX_SEGMENTS * (uint32_t)sizeof(struct vring_desc))

struct fuzz_guest {
	struct guestram *ram;
	struct ring *rings[FUZZ_N_QUEUES];
	uint64_t slots[FUZZ_N_QUEUES];		    /* a request and a response for each head */
	uint64_t tables[FUZZ_N_QUEUES];		    /* an indirect table for each head */
	bool is_out[FUZZ_N_QUEUES][FUZZ_RING_SIZE]; /* made available and not yet used */
};

struct fuzz_guest *fuzz_guest_create(void)
{
	struct fuzz_guest *guest = g_new0(struct fuzz_guest, 1);

	guest->ram = guestram_create_empty();
	guestram_add(guest->ram, 0, 1 << 20, 0);
	guestram_add(guest->ram, 0x200000, 256 << 10, 0);
	guestram_add(guest->ram, 0x240000, 256 << 10, 0);
	guestram_add(guest->ram, UINT64_C(1) << 32, 64 << 10, 4096);
	for (unsigned int i = 0; i < FUZZ_N_QUEUES; i++) {
		guest->rings[i] = ring_create(guest->ram, 0, i, FUZZ_RING_SIZE, true);
	}
	for (unsigned int i = 0; i < FUZZ_N_QUEUES; i++) {
		guest->slots[i] =
			guestram_alloc(guest->ram, 0, FUZZ_RING_SIZE * 2 * FUZZ_SLOT_BYTES, 8);
		guest->tables[i] = guestram_alloc(guest->ram, 0, FUZZ_RING_SIZE * TABLE_BYTES, 16);
	}
	return guest;
}

void fuzz_guest_destroy(struct fuzz_guest *guest)
{
	for (unsigned int i = 0; i < FUZZ_N_QUEUES; i++) {
		ring_destroy(guest->rings[i]);
	}
	guestram_destroy(guest->ram);
	g_free(guest);
}

/* ---- memory ---- */

struct guestmem_region_desc fuzz_guest_region(const struct fuzz_guest *guest, unsigned int i,
					      int *memfd_borrow_out)
{
	const struct guestram_region *region = &guest->ram->regions[i];

	*memfd_borrow_out = region->memfd;
	return (struct guestmem_region_desc){
		.gpa = { region->wire.guest_addr },
		.uva = { region->wire.user_addr },
		.size_bytes = region->wire.size,
		.mmap_offset_bytes = region->wire.mmap_offset,
	};
}

struct guestmem *fuzz_guest_change_table(const struct fuzz_guest *guest,
					 struct guestmem *consume_mem, unsigned int from,
					 unsigned int to)
{
	struct guestmem *mem = consume_mem;

	for (unsigned int i = 0; i < FUZZ_N_REGIONS; i++) {
		struct guestmem *changed;
		int memfd;

		if (!((from ^ to) & 1u << i)) {
			continue;
		}
		const struct guestmem_region_desc desc = fuzz_guest_region(guest, i, &memfd);
		int error = to & 1u << i ? guestmem_add(mem, &desc, memfd, &changed)
					 : guestmem_remove(mem, &desc, &changed);
		g_assert_cmpint(error, ==, 0);
		guestmem_unref(mem);
		mem = changed;
	}
	return mem;
}

struct guestmem *fuzz_guest_build_table(const struct fuzz_guest *guest, unsigned int mask)
{
	return fuzz_guest_change_table(guest, guestmem_create_empty(), 0, mask);
}

unsigned int fuzz_guest_count_regions(const struct fuzz_guest *guest, unsigned int mask,
				      struct gpa gpa, uint64_t length_bytes)
{
	unsigned int n = 0;

	for (unsigned int i = 0; i < FUZZ_N_REGIONS && length_bytes > 0; i++) {
		const struct vhost_user_mem_region *wire = &guest->ram->regions[i].wire;
		uint64_t offset = gpa.v - wire->guest_addr;

		/* They are in order, so that a range goes on in the next. */
		if (mask & 1u << i && gpa.v >= wire->guest_addr && offset < wire->size) {
			uint64_t chunk = MIN(length_bytes, wire->size - offset);

			gpa.v += chunk;
			length_bytes -= chunk;
			n++;
		}
	}
	return length_bytes == 0 ? n : 0;
}

uint8_t *fuzz_guest_byte(const struct fuzz_guest *guest, unsigned int i, uint64_t offset)
{
	const struct guestram_region *region = &guest->ram->regions[i];

	return region->hva + offset % region->wire.size;
}

void fuzz_guest_spare_rings(const struct fuzz_guest *guest, struct gpa *gpa, uint32_t *length_bytes)
{
	/* From address 0 on, so that a range that touches them begins in them. */
	const struct guestram_region *region = &guest->ram->regions[0];

	if (gpa->v < region->used) {
		uint64_t page = region->used / GUESTRAM_PAGE + 1;

		gpa->v = page * GUESTRAM_PAGE + gpa->v % GUESTRAM_PAGE;
		*length_bytes = (uint32_t)MIN(*length_bytes, region->wire.size - gpa->v);
	}
}

/* ---- rings ---- */

struct fuzz_vring fuzz_guest_vring(const struct fuzz_guest *guest, unsigned int queue)
{
	const struct ring *ring = guest->rings[queue];

	return (struct fuzz_vring){
		.desc = { guestram_to_uva(guest->ram, ring->desc_gpa) },
		.avail = { guestram_to_uva(guest->ram, ring->avail_gpa) },
		.used = { guestram_to_uva(guest->ram, ring->used_gpa) },
		.kick_fd = ring->kick_fd,
		.call_fd = ring->call_fd,
		.err_fd = ring->err_fd,
	};
}

void fuzz_guest_reset_rings(struct fuzz_guest *guest)
{
	for (unsigned int i = 0; i < FUZZ_N_QUEUES; i++) {
		ring_reset(guest->rings[i]);
	}
	memset(guest->is_out, 0, sizeof(guest->is_out));
}

static uint64_t request_slot(const struct fuzz_guest *guest, unsigned int queue, uint16_t head)
{
	return guest->slots[queue] + head * 2ull * FUZZ_SLOT_BYTES;
}

/* Cut it into segments; returns how many. */
static unsigned int lay_out(const struct fuzz_chain *chain, uint64_t slot,
			    struct ring_segment segments[MAX_SEGMENTS])
{
	uint32_t piece = MAX(chain->piece_bytes, chain->request_bytes / MAX_PIECES + 1);
	uint32_t first = MIN(chain->response_bytes, 24);
	unsigned int n = 0;

	if (chain->piece_bytes == 0) {
		piece = FUZZ_SLOT_BYTES;
	}
	for (uint32_t at = 0; at < chain->request_bytes; at += piece) {
		segments[n++] =
			(struct ring_segment){ slot + at, MIN(piece, chain->request_bytes - at),
					       false };
	}
	slot += FUZZ_SLOT_BYTES;
	if (chain->piece_bytes == 0) {
		first = chain->response_bytes;
	}
	if (first > 0) {
		segments[n++] = (struct ring_segment){ slot, first, true };
	}
	if (chain->response_bytes > first) {
		segments[n++] =
			(struct ring_segment){ slot + first, chain->response_bytes - first, true };
	}
	return n;
}

bool fuzz_guest_submit(struct fuzz_guest *guest, unsigned int queue, const struct fuzz_chain *chain,
		       uint16_t *head_out)
{
	struct ring *ring = guest->rings[queue];
	struct ring_segment segments[MAX_SEGMENTS];

	if (ring->n_free == 0) {
		return false;
	}
	/* The head is the next free descriptor. */
	uint16_t head = ring->free_heads[ring->n_free - 1];
	uint64_t slot = request_slot(guest, queue, head);
	unsigned int n = lay_out(chain, slot, segments);
	if (!chain->is_indirect && n > ring->n_free) {
		return false;
	}
	if (chain->request_bytes > 0) {
		memcpy(guestram_at(guest->ram, slot, chain->request_bytes), chain->request,
		       chain->request_bytes);
	}
	g_assert_false(guest->is_out[queue][head]);
	guest->is_out[queue][head] = true;
	if (chain->is_indirect) {
		ring_add_indirect(ring, segments, n, guest->tables[queue] + head * TABLE_BYTES);
	} else {
		ring_add(ring, segments, n);
	}
	*head_out = head;
	return true;
}

void fuzz_guest_kick(struct fuzz_guest *guest, unsigned int queue)
{
	ring_kick_always(guest->rings[queue]);
}

bool fuzz_guest_take(struct fuzz_guest *guest, unsigned int queue, struct fuzz_used *used_out)
{
	struct vring_used_elem element;

	if (!ring_pop_used(guest->rings[queue], &element)) {
		return false;
	}
	g_assert_true(guest->is_out[queue][element.id]);
	guest->is_out[queue][element.id] = false;
	uint64_t slot = request_slot(guest, queue, (uint16_t)element.id) + FUZZ_SLOT_BYTES;
	*used_out = (struct fuzz_used){
		.head = (uint16_t)element.id,
		.length_bytes = element.len,
		.response = guestram_at(guest->ram, slot, FUZZ_SLOT_BYTES),
	};
	return true;
}

uint16_t fuzz_guest_used_index(const struct fuzz_guest *guest, unsigned int queue)
{
	return ring_used_idx(guest->rings[queue]);
}

/* ---- without a front-end ---- */

void fuzz_queue_init(struct virtq *vq, unsigned int index)
{
	virtq_init(vq, index, NULL);
}

void fuzz_queue_finish(struct virtq *vq)
{
	virtq_finish(vq);
}

void fuzz_guest_start_queue(struct fuzz_guest *guest, struct virtq *vq, struct guestmem *mem,
			    uint16_t base)
{
	const struct fuzz_vring vring = fuzz_guest_vring(guest, vq->index);

	virtq_set_features(vq, true, true);
	virtq_set_memory(vq, mem);
	g_assert_cmpint(virtq_set_size(vq, FUZZ_RING_SIZE), ==, VIRTQ_OK);
	g_assert_cmpint(virtq_set_addresses(vq, vring.desc, vring.avail, vring.used), ==, VIRTQ_OK);
	g_assert_cmpint(virtq_set_base(vq, base), ==, VIRTQ_OK);
	virtq_set_call(vq, dup(vring.call_fd));
	virtq_set_err(vq, dup(vring.err_fd));
	virtq_set_kick(vq, dup(vring.kick_fd));
	virtq_set_enabled(vq, true);
}
