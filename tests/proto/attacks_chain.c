/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * Chains and indirect tables as no driver lays them out. Descriptors are taken by number, from 0
 * on: nothing is in flight when a row begins.
 */
#include "attacks.h"

/* ---- chains ---- */

static void lay_loop(struct attacker *attacker, struct ring *ring, const struct attack_parts *parts)
{
	(void)attacker;
	ring_set_desc(ring, 0, parts->request, 8, VRING_DESC_F_NEXT, 1);
	ring_set_desc(ring, 1, parts->request, 8, VRING_DESC_F_NEXT, 0);
	ring_publish(ring, 0);
}

static void lay_self_loop(struct attacker *attacker, struct ring *ring,
			  const struct attack_parts *parts)
{
	(void)attacker;
	ring_set_desc(ring, 3, parts->request, 8, VRING_DESC_F_NEXT, 3);
	ring_publish(ring, 3);
}

static void lay_whole_loop(struct attacker *attacker, struct ring *ring,
			   const struct attack_parts *parts)
{
	(void)attacker;
	for (uint16_t i = 0; i < ring->size; i++) {
		ring_set_desc(ring, i, parts->request, 1, VRING_DESC_F_NEXT,
			      (uint16_t)((i + 1u) % ring->size));
	}
	ring_publish(ring, 0);
}

/* numbers[0]: the next index; 0: the ring's size. */
static void lay_next(struct attacker *attacker, struct ring *ring, const struct attack_parts *parts)
{
	uint64_t next = attacker->attack->numbers[0];

	ring_set_desc(ring, 0, parts->request, PARTS_COMMAND_BYTES, VRING_DESC_F_NEXT,
		      next ? (uint16_t)next : ring->size);
	ring_publish(ring, 0);
}

static void lay_write_first(struct attacker *attacker, struct ring *ring,
			    const struct attack_parts *parts)
{
	(void)attacker;
	ring_set_desc(ring, 0, parts->response, HEADER_BYTES,
		      VRING_DESC_F_WRITE | VRING_DESC_F_NEXT, 1);
	ring_set_desc(ring, 1, parts->request, PARTS_COMMAND_BYTES, 0, 0);
	ring_publish(ring, 0);
}

static void lay_read_write_read(struct attacker *attacker, struct ring *ring,
				const struct attack_parts *parts)
{
	(void)attacker;
	ring_set_desc(ring, 0, parts->request, 8, VRING_DESC_F_NEXT, 1);
	ring_set_desc(ring, 1, parts->response, HEADER_BYTES,
		      VRING_DESC_F_WRITE | VRING_DESC_F_NEXT, 2);
	ring_set_desc(ring, 2, parts->request + 8, PARTS_COMMAND_BYTES - 8, 0, 0);
	ring_publish(ring, 0);
}

static void lay_no_request_bytes(struct attacker *attacker, struct ring *ring,
				 const struct attack_parts *parts)
{
	(void)attacker;
	attack_publish(ring, parts->request, 0, parts->response, HEADER_BYTES);
}

static void lay_no_response_bytes(struct attacker *attacker, struct ring *ring,
				  const struct attack_parts *parts)
{
	(void)attacker;
	attack_publish(ring, parts->request, PARTS_COMMAND_BYTES, parts->response, 0);
}

/* numbers: address, size (0: the command's). */
static void lay_bad_request(struct attacker *attacker, struct ring *ring,
			    const struct attack_parts *parts)
{
	uint64_t size = attacker->attack->numbers[1];

	attack_publish(ring, attacker->attack->numbers[0],
		       size ? (uint32_t)size : PARTS_COMMAND_BYTES, parts->response, HEADER_BYTES);
}

static void lay_bad_response(struct attacker *attacker, struct ring *ring,
			     const struct attack_parts *parts)
{
	uint64_t size = attacker->attack->numbers[1];

	attack_publish(ring, parts->request, PARTS_COMMAND_BYTES, attacker->attack->numbers[0],
		       size ? (uint32_t)size : HEADER_BYTES);
}

/* The last 8 bytes of a region, and what is not there behind them. */
static void lay_end_of_region(struct attacker *attacker, struct ring *ring,
			      const struct attack_parts *parts)
{
	const struct vhost_user_mem_region *region = &attacker->rig->ram->regions[0].wire;

	attack_publish(ring, region->guest_addr + region->size - 8, PARTS_COMMAND_BYTES,
		       parts->response, HEADER_BYTES);
}

static void lay_huge(struct attacker *attacker, struct ring *ring, const struct attack_parts *parts)
{
	(void)attacker;
	attack_publish(ring, parts->request, UINT32_MAX, parts->response, UINT32_MAX);
}

/* ---- indirect tables ---- */

static struct vring_desc *fill_table(struct attacker *attacker, const struct attack_parts *parts)
{
	struct vring_desc *table = guestram_at(attacker->rig->ram, parts->table, PARTS_TABLE_BYTES);

	table[0] = (struct vring_desc){ parts->request, PARTS_COMMAND_BYTES, VRING_DESC_F_NEXT, 1 };
	table[1] = (struct vring_desc){ parts->response, HEADER_BYTES, VRING_DESC_F_WRITE, 0 };
	return table;
}

static void publish_table(struct ring *ring, const struct attack_parts *parts, uint64_t gpa,
			  uint32_t size, unsigned int more_flags)
{
	ring_set_desc(ring, 0, gpa, size, (uint16_t)(VRING_DESC_F_INDIRECT | more_flags), 1);
	ring_set_desc(ring, 1, parts->response, HEADER_BYTES, VRING_DESC_F_WRITE, 0);
	ring_publish(ring, 0);
}

/* numbers[0]: the table's size. */
static void lay_table_size(struct attacker *attacker, struct ring *ring,
			   const struct attack_parts *parts)
{
	fill_table(attacker, parts);
	publish_table(ring, parts, parts->table, (uint32_t)attacker->attack->numbers[0], 0);
}

/* numbers[0]: the table's address. */
static void lay_table_address(struct attacker *attacker, struct ring *ring,
			      const struct attack_parts *parts)
{
	publish_table(ring, parts, attacker->attack->numbers[0], 32, 0);
}

static void lay_table_nested(struct attacker *attacker, struct ring *ring,
			     const struct attack_parts *parts)
{
	struct vring_desc *table = fill_table(attacker, parts);

	table[0] = (struct vring_desc){ parts->table, 32, VRING_DESC_F_INDIRECT, 0 };
	publish_table(ring, parts, parts->table, 32, 0);
}

static void lay_table_loop(struct attacker *attacker, struct ring *ring,
			   const struct attack_parts *parts)
{
	struct vring_desc *table = fill_table(attacker, parts);

	table[1].next = 0;
	table[1].flags |= VRING_DESC_F_NEXT;
	publish_table(ring, parts, parts->table, 32, 0);
}

/* numbers[0]: the next index in the table. */
static void lay_table_next(struct attacker *attacker, struct ring *ring,
			   const struct attack_parts *parts)
{
	struct vring_desc *table = fill_table(attacker, parts);

	table[0].next = (uint16_t)attacker->attack->numbers[0];
	publish_table(ring, parts, parts->table, 32, 0);
}

static void lay_table_and_next(struct attacker *attacker, struct ring *ring,
			       const struct attack_parts *parts)
{
	fill_table(attacker, parts);
	publish_table(ring, parts, parts->table, 32, VRING_DESC_F_NEXT);
}

static void lay_table_write_first(struct attacker *attacker, struct ring *ring,
				  const struct attack_parts *parts)
{
	struct vring_desc *table = fill_table(attacker, parts);

	table[0].flags |= VRING_DESC_F_WRITE;
	table[0].addr = parts->response;
	table[1] = (struct vring_desc){ parts->request, PARTS_COMMAND_BYTES, 0, 0 };
	publish_table(ring, parts, parts->table, 32, 0);
}

/* A good table, whose feature the driver has not acknowledged. */
static void lay_table(struct attacker *attacker, struct ring *ring,
		      const struct attack_parts *parts)
{
	fill_table(attacker, parts);
	publish_table(ring, parts, parts->table, 32, 0);
}

/* The ring's own descriptors are the table, which so holds itself. */
static void lay_table_is_ring(struct attacker *attacker, struct ring *ring,
			      const struct attack_parts *parts)
{
	(void)attacker;
	publish_table(ring, parts, ring->desc_gpa, 32, 0);
}

/* ---- what costs the command and not the queue ---- */

static void run_table_too_long(struct attacker *attacker)
{
	struct ring *ring = attacker->rig->control;
	struct attack_parts parts = attack_make_parts(attacker);
	struct vring_desc *table = fill_table(attacker, &parts);
	const unsigned int last = PARTS_TABLE_BYTES / 16 - 1;

	for (unsigned int i = 1; i < last; i++) {
		table[i] = (struct vring_desc){ parts.request, 1, VRING_DESC_F_NEXT,
						(uint16_t)(i + 1) };
	}
	table[last] = (struct vring_desc){ parts.response, HEADER_BYTES, VRING_DESC_F_WRITE, 0 };
	ring_set_desc(ring, 0, parts.table, PARTS_TABLE_BYTES, VRING_DESC_F_INDIRECT, 0);
	ring_publish(ring, 0);
	ring_kick_always(ring);
	attack_expect_answer(attacker, &parts, ATTACK_AN_ERROR);
}

static const struct attack attacks[] = {
	{ "chain/loop", "two descriptors that follow each other", BREAKS(lay_loop) },
	{ "chain/loop_of_one", "a descriptor that follows itself", BREAKS(lay_self_loop) },
	{ "chain/loop_of_all", "all descriptors in a circle", BREAKS(lay_whole_loop) },
	{ "chain/next_beyond", "a next index just beyond the ring", BREAKS(lay_next) },
	{ "chain/next_far_beyond", "next index 65535", BREAKS(lay_next),
	  .numbers = { UINT16_MAX } },
	{ "chain/write_before_read", "the answer's descriptor before the command's",
	  BREAKS(lay_write_first) },
	{ "chain/read_write_read", "the answer's descriptor inside the command",
	  BREAKS(lay_read_write_read) },
	{ "chain/empty_request", "a command's descriptor of no bytes",
	  BREAKS(lay_no_request_bytes) },
	{ "chain/empty_response", "an answer's descriptor of no bytes",
	  BREAKS(lay_no_response_bytes) },
	{ "chain/request_nowhere", "a command where there is no memory", BREAKS(lay_bad_request),
	  .numbers = { HOLE_GPA } },
	{ "chain/response_nowhere", "room for the answer where there is no memory",
	  BREAKS(lay_bad_response), .numbers = { HOLE_GPA } },
	{ "chain/request_wraps", "a command that ends beyond 2^64", BREAKS(lay_bad_request),
	  .numbers = { UINT64_MAX - 7 } },
	{ "chain/response_wraps", "room for the answer that ends beyond 2^64",
	  BREAKS(lay_bad_response), .numbers = { UINT64_MAX - 7 } },
	{ "chain/end_of_memory", "a command that runs over the end of memory",
	  BREAKS(lay_end_of_region) },
	{ "chain/lengths_of_4_gib", "descriptors of 4 GiB less a byte", BREAKS(lay_huge) },
	{ "indirect/empty", "an indirect table of no bytes", BREAKS(lay_table_size) },
	{ "indirect/odd", "an indirect table of 31 bytes", BREAKS(lay_table_size),
	  .numbers = { 31 } },
	{ "indirect/huge", "an indirect table of 4 GiB", BREAKS(lay_table_size),
	  .numbers = { UINT32_MAX & ~15u } },
	{ "indirect/nowhere", "an indirect table where there is no memory",
	  BREAKS(lay_table_address), .numbers = { HOLE_GPA } },
	{ "indirect/wraps", "an indirect table that ends beyond 2^64", BREAKS(lay_table_address),
	  .numbers = { UINT64_MAX - 15 } },
	{ "indirect/nested", "an indirect table in an indirect table", BREAKS(lay_table_nested) },
	{ "indirect/ring", "the ring itself as an indirect table", BREAKS(lay_table_is_ring) },
	{ "indirect/loop", "a loop in an indirect table", BREAKS(lay_table_loop) },
	{ "indirect/next_beyond", "a next index just beyond the table", BREAKS(lay_table_next),
	  .numbers = { 2 } },
	{ "indirect/next_far", "a next index far beyond the table", BREAKS(lay_table_next),
	  .numbers = { UINT16_MAX } },
	{ "indirect/and_next", "an indirect table with a next descriptor",
	  BREAKS(lay_table_and_next) },
	{ "indirect/write_first", "the answer before the command in a table",
	  BREAKS(lay_table_write_first) },
	{ "indirect/unasked", "an indirect table without the feature", BREAKS(lay_table),
	  .withheld_features = FEATURE(VIRTIO_F_INDIRECT) },
	{ "indirect/too_long", "an indirect table of 5000 entries",
	  .outcome = "an error; the queue goes on", .run = run_table_too_long },
	{ "cursor_chain/loop", "on the cursor queue: a loop", BREAKS(lay_loop),
	  .queue = VGPU_CURSOR },
	{ "cursor_chain/next_beyond", "on the cursor queue: a next index beyond the ring",
	  BREAKS(lay_next), .queue = VGPU_CURSOR },
	{ "cursor_chain/request_nowhere", "on the cursor queue: a command outside memory",
	  BREAKS(lay_bad_request), .queue = VGPU_CURSOR, .numbers = { HOLE_GPA } },
	{ "cursor_chain/lengths_of_4_gib", "on the cursor queue: descriptors of 4 GiB",
	  BREAKS(lay_huge), .queue = VGPU_CURSOR },
	{ "cursor_chain/indirect_loop", "on the cursor queue: a loop in an indirect table",
	  BREAKS(lay_table_loop), .queue = VGPU_CURSOR },
	{ "cursor_chain/write_before_read", "on the cursor queue: the answer before the command",
	  BREAKS(lay_write_first), .queue = VGPU_CURSOR },
};

const struct attack_list attacks_chain = { attacks, G_N_ELEMENTS(attacks) };
