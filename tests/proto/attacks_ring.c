/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * Rings, their indexes and their set-up as no driver has them. Descriptors are taken by number,
 * from 0 on: nothing is in flight when a row begins.
 */
#include "attacks.h"
#include "suite.h"

#define ANSWER_MS 5000
#define N_KICKS 20000u

/* numbers[0]: the head; 0: the ring's size. */
static void lay_head(struct attacker *attacker, struct ring *ring, const struct attack_parts *parts)
{
	uint64_t head = attacker->attack->numbers[0];

	(void)parts;
	ring_publish(ring, head ? (uint16_t)head : ring->size);
}

/* numbers[0]: how far ahead; 0: one more than the ring is long. */
static void lay_jump(struct attacker *attacker, struct ring *ring, const struct attack_parts *parts)
{
	uint64_t distance = attacker->attack->numbers[0];

	(void)parts;
	ring->avail_idx = (uint16_t)(ring->avail_idx + (distance ? distance : ring->size + 1u));
	ring->avail->idx = ring->avail_idx;
}

/* ---- what costs the command or nothing ---- */

/* The guest could have asked both at once, and has one buffer for two answers. */
static void run_same_head_twice(struct attacker *attacker)
{
	struct ring *ring = attacker->rig->control;
	struct attack_parts parts = attack_make_parts(attacker);
	struct vring_used_elem elem;
	unsigned int n = 0;

	attack_publish(ring, parts.request, PARTS_COMMAND_BYTES, parts.response, HEADER_BYTES);
	ring_publish(ring, 0);
	ring_kick_always(ring);
	while (n < 2 && attack_wait(ring, ANSWER_MS, &elem) == ATTACK_USED) {
		attack_expect(attacker, elem.id == 0, "another head came back");
		n++;
	}
	attack_expect(attacker, n == 2, "not each of both came back");
}

static void run_answer_over_request(struct attacker *attacker)
{
	struct ring *ring = attacker->rig->control;
	struct attack_parts parts = attack_make_parts(attacker);

	parts.response = parts.request;
	attack_publish(ring, parts.request, PARTS_COMMAND_BYTES, parts.request, HEADER_BYTES);
	ring_kick_always(ring);
	attack_expect_answer(attacker, &parts, VIRTIO_GPU_RESP_ERR_INVALID_RESOURCE_ID);
}

static void run_descriptors_as_request(struct attacker *attacker)
{
	struct ring *ring = attacker->rig->control;
	struct attack_parts parts = attack_make_parts(attacker);

	attack_publish(ring, ring->desc_gpa, 4096, parts.response, HEADER_BYTES);
	ring_kick_always(ring);
	attack_expect_answer(attacker, &parts, VIRTIO_GPU_RESP_ERR_UNSPEC);
}

/* The device writes where the guest says; what then is in the ring is the guest's doing. */
static void answer_over(struct attacker *attacker, uint64_t gpa)
{
	struct ring *ring = attacker->rig->control;
	struct attack_parts parts = attack_make_parts(attacker);

	attack_publish(ring, parts.request, PARTS_COMMAND_BYTES, gpa, HEADER_BYTES);
	ring_kick_always(ring);
	frontend_assert_alive(attacker->rig->frontend);
	vgpu_move_cursor(attacker->rig->vgpu, 0, 0, 5, 5);
}

static void run_answer_over_descriptors(struct attacker *attacker)
{
	answer_over(attacker, attacker->rig->control->desc_gpa);
}

static void run_answer_over_available(struct attacker *attacker)
{
	answer_over(attacker, attacker->rig->control->avail_gpa);
}

static void run_answer_over_used(struct attacker *attacker)
{
	answer_over(attacker, attacker->rig->control->used_gpa);
}

/* The used index is the device's to write: what the guest writes there is not looked at. */
static void run_used_index_overwritten(struct attacker *attacker)
{
	struct ring *ring = attacker->rig->control;
	struct attack_parts parts = attack_make_parts(attacker);

	attack_publish(ring, parts.request, PARTS_COMMAND_BYTES, parts.response, HEADER_BYTES);
	ring->used->idx = ring->last_used;
	ring->used->flags = 0xfffe;
	ring_kick_always(ring);
	attack_expect_answer(attacker, &parts, VIRTIO_GPU_RESP_ERR_INVALID_RESOURCE_ID);
}

static bool is_one_used(void *data)
{
	struct ring *ring = data;

	return ring_used_idx(ring) != ring->last_used;
}

static void run_event_noise(struct attacker *attacker)
{
	struct ring *ring = attacker->rig->control;
	struct attack_parts parts = attack_make_parts(attacker);
	struct vring_used_elem elem;

	for (uint16_t i = 0; i < 500; i++) {
		ring->avail->flags = (uint16_t)(i * 2654435761u);
		ring->avail->ring[ring->size] = (uint16_t)(i * 40503u);
		attack_publish(ring, parts.request, PARTS_COMMAND_BYTES, parts.response,
			       HEADER_BYTES);
		ring_kick_always(ring);
		if (!suite_wait(is_one_used, ring, ANSWER_MS) || !ring_pop_used(ring, &elem)) {
			attack_surprise(attacker, "command %u is not answered", i);
			return;
		}
	}
	ring->avail->flags = 0;
}

static void run_kicks_for_nothing(struct attacker *attacker)
{
	for (unsigned int i = 0; i < N_KICKS; i++) {
		ring_kick_always(attacker->rig->control);
		ring_kick_always(attacker->rig->cursor);
	}
}

/* ---- set-up: where the rings lie and how long they are is the driver's choice ---- */

/* numbers[0]: the size. */
static void run_bad_size(struct attacker *attacker)
{
	const struct vhost_user_vring_state state = { VGPU_CONTROL,
						      (uint32_t)attacker->attack->numbers[0] };
	struct frontend *frontend = attacker->rig->frontend;

	frontend_stop_ring(frontend, VGPU_CONTROL);
	attack_expect(attacker,
		      frontend_request(frontend, VHOST_USER_SET_VRING_NUM, &state, sizeof(state),
				       NULL, 0) != 0,
		      "the size is accepted");
	frontend_assert_alive(frontend);
}

static uint64_t set_addresses(struct attacker *attacker, uint64_t desc, uint64_t avail,
			      uint64_t used)
{
	const struct vhost_user_vring_addr addr = {
		.index = VGPU_CONTROL, .desc = desc, .avail = avail, .used = used
	};

	frontend_stop_ring(attacker->rig->frontend, VGPU_CONTROL);
	return frontend_request(attacker->rig->frontend, VHOST_USER_SET_VRING_ADDR, &addr,
				sizeof(addr), NULL, 0);
}

static void run_misaligned(struct attacker *attacker)
{
	const struct ring *ring = attacker->rig->control;
	const struct guestram *ram = attacker->rig->ram;

	attack_expect(attacker,
		      set_addresses(attacker, guestram_to_uva(ram, ring->desc_gpa) + 1,
				    guestram_to_uva(ram, ring->avail_gpa),
				    guestram_to_uva(ram, ring->used_gpa)) != 0,
		      "the address is accepted");
	frontend_assert_alive(attacker->rig->frontend);
}

/* All three rings in the same place: each used entry is a new descriptor. */
static void run_rings_overlap(struct attacker *attacker)
{
	struct ring *ring = attacker->rig->control;
	uint64_t uva = guestram_to_uva(attacker->rig->ram, ring->desc_gpa);
	struct attack_parts parts = attack_make_parts(attacker);

	if (set_addresses(attacker, uva, uva, uva) == 0) {
		frontend_set_vring_fd(attacker->rig->frontend, VHOST_USER_SET_VRING_KICK,
				      VGPU_CONTROL, ring->kick_fd);
		frontend_set_vring(attacker->rig->frontend, VHOST_USER_SET_VRING_ENABLE,
				   VGPU_CONTROL, 1);
		for (uint16_t i = 0; i < 64; i++) {
			ring_set_desc(ring, i, parts.request, PARTS_COMMAND_BYTES, i, i);
		}
		ring_kick_always(ring);
	}
	frontend_assert_alive(attacker->rig->frontend);
	vgpu_move_cursor(attacker->rig->vgpu, 0, 0, 5, 5);
}

#define REFUSED "refused; the next set-up is served"
#define UNHARMED "session and other queue go on; served after a reset"

static const struct attack attacks[] = {
	{ "ring/head_beyond", "a head just beyond the ring", BREAKS(lay_head) },
	{ "ring/head_far_beyond", "head 65535", BREAKS(lay_head), .numbers = { UINT16_MAX } },
	{ "ring/available_jumps", "more entries available than the ring has", BREAKS(lay_jump) },
	{ "ring/available_half", "32768 entries available", BREAKS(lay_jump),
	  .numbers = { 32768 } },
	{ "ring/available_back", "the available index goes back by one", BREAKS(lay_jump),
	  .numbers = { UINT16_MAX } },
	{ "ring/same_head_twice", "one chain made available twice", .outcome = "comes back twice",
	  .run = run_same_head_twice },
	{ "ring/answer_over_request", "the answer's memory is the command's", .outcome = "answered",
	  .run = run_answer_over_request },
	{ "ring/descriptors_as_request", "the descriptors themselves as a command",
	  .outcome = "ERR_UNSPEC", .run = run_descriptors_as_request },
	{ "ring/answer_over_descriptors", "the answer's memory is the descriptors",
	  .outcome = UNHARMED, .run = run_answer_over_descriptors, .end = ATTACK_REPAIR },
	{ "ring/answer_over_available", "the answer's memory is the available ring",
	  .outcome = UNHARMED, .run = run_answer_over_available, .end = ATTACK_REPAIR },
	{ "ring/answer_over_used", "the answer's memory is the used ring", .outcome = UNHARMED,
	  .run = run_answer_over_used, .end = ATTACK_REPAIR },
	{ "ring/used_overwritten", "the guest writes to the used ring", .outcome = "answered",
	  .run = run_used_index_overwritten },
	{ "ring/event_noise", "random event indexes and flags", .outcome = "answered",
	  .run = run_event_noise },
	{ "ring/kicks_for_nothing", "40,000 kicks with nothing to take", .outcome = "served",
	  .run = run_kicks_for_nothing },
	{ "ring/size_zero", "a ring of no entries", .outcome = REFUSED, .run = run_bad_size,
	  .end = ATTACK_REPAIR },
	{ "ring/size_odd", "a ring of 100 entries", .outcome = REFUSED, .run = run_bad_size,
	  .end = ATTACK_REPAIR, .numbers = { 100 } },
	{ "ring/size_huge", "a ring of 65536 entries", .outcome = REFUSED, .run = run_bad_size,
	  .end = ATTACK_REPAIR, .numbers = { 65536 } },
	{ "ring/misaligned", "descriptors at an odd address", .outcome = REFUSED,
	  .run = run_misaligned, .end = ATTACK_REPAIR },
	{ "ring/rings_overlap", "all three rings in one place", .outcome = UNHARMED,
	  .run = run_rings_overlap, .end = ATTACK_REPAIR },
	{ "cursor_ring/head_beyond", "on the cursor queue: a head beyond the ring",
	  BREAKS(lay_head), .queue = VGPU_CURSOR },
	{ "cursor_ring/available_jumps", "on the cursor queue: more entries than the ring has",
	  BREAKS(lay_jump), .queue = VGPU_CURSOR },
};

const struct attack_list attacks_ring = { attacks, G_N_ELEMENTS(attacks) };
