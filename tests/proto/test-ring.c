/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * Rings as drivers lay them out and as none does. A fault breaks its queue: the error eventfd says
 * so, the queue takes nothing more, everything else goes on, and setting the queue up again revives
 * it.
 */
#include <string.h>

#include "proto.h"

#define TABLE_SIZE (5000u * 16u)
#define COMMAND_SIZE ((uint32_t)sizeof(struct virtio_gpu_resource_unref))
#define RESPONSE_SIZE ((uint32_t)sizeof(struct virtio_gpu_ctrl_hdr))

/* A command to be put into descriptors by hand: UNREF of nothing, whose answer is
 * ERR_INVALID_RESOURCE_ID. */
struct parts {
	uint64_t request;
	uint64_t response;
	uint64_t table; /* room for an indirect table */
};

static struct parts make_parts(struct rig *rig)
{
	struct virtio_gpu_resource_unref cmd = {{.type = VIRTIO_GPU_CMD_RESOURCE_UNREF}, 99, 0};
	struct parts parts = {
		.request = guestram_alloc(rig->ram, 1, COMMAND_SIZE, 8),
		.response = guestram_alloc(rig->ram, 1, 4096, 8),
		.table = guestram_alloc(rig->ram, 1, TABLE_SIZE, 16),
	};

	memcpy(guestram_at(rig->ram, parts.request, sizeof(cmd)), &cmd, sizeof(cmd));
	return parts;
}

static uint32_t response_type(struct rig *rig, const struct parts *parts)
{
	uint32_t type;

	memcpy(&type, guestram_at(rig->ram, parts->response, sizeof(type)), sizeof(type));
	return type;
}

static void test_indirect(const void *data)
{
	struct rig *rig = rig_create_mode("null");
	struct virtio_gpu_resource_unref cmd = {{.type = VIRTIO_GPU_CMD_RESOURCE_UNREF}, 99, 0};

	(void)data;
	for (uint32_t split = 1; split <= 8; split++) {
		struct vgpu_chain chain = {.request = &cmd,
					   .request_size = sizeof(cmd),
					   .request_split = split,
					   .response_size = RESPONSE_SIZE,
					   .response_split = 9 - split,
					   .is_indirect = true};
		g_assert_resp(vgpu_call_chain(rig->vgpu, VGPU_CONTROL, &chain),
			      VIRTIO_GPU_RESP_ERR_INVALID_RESOURCE_ID);
		g_assert_cmpuint(rig->vgpu->last_used_size, ==, RESPONSE_SIZE);
	}
	rig_destroy(rig);
}

/* As many descriptors as the ring has, directly; the longest chain that is allowed. */
static void test_longest_chain(const void *data)
{
	struct rig *rig = rig_create(&(struct rig_options){.ring_size = 64});
	struct virtio_gpu_resource_unref cmd = {{.type = VIRTIO_GPU_CMD_RESOURCE_UNREF}, 99, 0};
	struct vgpu_chain chain = {.request = &cmd,
				   .request_size = 32,
				   .request_split = 1,
				   .response_size = 32,
				   .response_split = 1};

	(void)data;
	for (unsigned int i = 0; i < 5; i++) {
		g_assert_resp(vgpu_call_chain(rig->vgpu, VGPU_CONTROL, &chain),
			      VIRTIO_GPU_RESP_ERR_INVALID_RESOURCE_ID);
	}
	rig_destroy(rig);
}

/* Chains are done in order and each comes back once, with its own head. */
static void test_batch(const void *data)
{
	struct rig *rig = rig_create_mode("null");
	struct virtio_gpu_resource_unref cmd = {{.type = VIRTIO_GPU_CMD_RESOURCE_UNREF}, 99, 0};
	struct vgpu_chain chain = {
		.request = &cmd, .request_size = sizeof(cmd), .response_size = RESPONSE_SIZE};
	struct vgpu_call *calls[100];

	(void)data;
	for (unsigned int round = 0; round < 20; round++) {
		for (size_t i = 0; i < G_N_ELEMENTS(calls); i++) {
			calls[i] = vgpu_submit(rig->vgpu, VGPU_CONTROL, &chain);
		}
		vgpu_kick(rig->vgpu, VGPU_CONTROL);
		for (size_t i = 0; i < G_N_ELEMENTS(calls); i++) {
			g_assert_true(vgpu_wait(rig->vgpu, calls[i], VGPU_ANSWER_MS));
			if (i > 0) {
				g_assert_cmpuint(calls[i]->done_order, ==,
						 calls[i - 1]->done_order + 1);
			}
		}
		for (size_t i = 0; i < G_N_ELEMENTS(calls); i++) {
			g_assert_resp(vgpu_finish(rig->vgpu, calls[i]),
				      VIRTIO_GPU_RESP_ERR_INVALID_RESOURCE_ID);
		}
	}
	rig_destroy(rig);
}

#define BATCH 64

static void submit_batch(struct rig *rig)
{
	struct virtio_gpu_resource_unref cmd = {{.type = VIRTIO_GPU_CMD_RESOURCE_UNREF}, 99, 0};
	struct vgpu_chain chain = {
		.request = &cmd, .request_size = sizeof(cmd), .response_size = RESPONSE_SIZE};

	for (unsigned int i = 0; i < BATCH; i++) {
		vgpu_submit(rig->vgpu, VGPU_CONTROL, &chain);
	}
	ring_kick_always(rig->control);
}

static bool is_batch_used(void *data)
{
	struct ring *ring = data;

	return (uint16_t)(ring_used_idx(ring) - ring->last_used) == BATCH;
}

/*
 * None for a batch whose driver wants none. The one before it is not its own,
 * and may come a moment after what it is for was seen: that one alone, and in
 * no more than two rounds out of three. Right after a start the device can't know what is
 * wanted, so a command comes first.
 */
static void assert_no_calls(struct rig *rig, uint16_t n_suppressed)
{
	struct ring *ring = rig->control;
	uint64_t n_calls = 1;

	for (unsigned int i = 0; i < 3 && n_calls > 0; i++) {
		rig_assert_serves(rig);
		ring_take_calls(ring);
		ring_suppress_calls(ring, n_suppressed);
		submit_batch(rig);
		g_assert_true(suite_wait(is_batch_used, ring, VGPU_ANSWER_MS));
		frontend_stop_ring(rig->frontend, 0);
		n_calls = ring_take_calls(ring);
		g_assert_cmpuint(n_calls, <=, 1);
		vgpu_forget(rig->vgpu);
		rig_revive_queue(rig, VGPU_CONTROL);
	}
	g_assert_cmpuint(n_calls, ==, 0);
	rig_assert_serves(rig);
}

/* Asks for an interrupt after the whole batch, for one at once, for none in sight. */
static void test_event_idx(const void *data)
{
	struct rig *rig = rig_create_mode("null");
	struct ring *ring = rig->control;
	struct vring_used_elem elem;

	(void)data;
	g_assert_true(ring->has_event_idx);
	for (unsigned int round = 0; round < 3; round++) {
		ring_take_calls(ring);
		ring_suppress_calls(ring, BATCH);
		submit_batch(rig);
		g_assert_true(suite_wait(is_batch_used, ring, VGPU_ANSWER_MS));
		/* The interrupt may come a moment after the entry that it is for. */
		frontend_assert_alive(rig->frontend);
		ring->last_used = (uint16_t)(ring->last_used + BATCH - 1);
		g_assert_true(ring_wait_used(ring, VGPU_ANSWER_MS, &elem));
		/* One for the batch; one more where the device can't know yet what was signalled.
		 */
		g_assert_cmpuint(ring_take_calls(ring), <=, 2);
		ring_reset(ring);
		vgpu_forget(rig->vgpu);
		rig_revive_queue(rig, VGPU_CONTROL);
	}
	/* An event that is far off asks for nothing. */
	assert_no_calls(rig, (uint16_t)(BATCH * 100));
	rig_destroy(rig);
}

/* A driver that asks for every interrupt still gets few for a batch that came with one kick. */
static void test_coalescing(const void *data)
{
	struct rig *rig = rig_create(&(struct rig_options){
		.withheld_features = *(const uint64_t *)data ? FEATURE(VIRTIO_F_EVENT_INDEX) : 0});
	struct ring *ring = rig->control;

	frontend_stop_ring(rig->frontend, 0);
	ring_reset(ring);
	submit_batch(rig);
	ring_take_calls(ring);
	frontend_start_ring(rig->frontend, ring, 0, false);
	g_assert_true(suite_wait(is_batch_used, ring, VGPU_ANSWER_MS));
	/* Stopping the ring is the barrier after which no interrupt can follow. */
	frontend_stop_ring(rig->frontend, 0);
	uint64_t n_calls = ring_take_calls(ring);
	g_assert_cmpuint(n_calls, >=, 1);
	g_assert_cmpuint(n_calls, <=, 8);
	vgpu_forget(rig->vgpu);
	rig_revive_queue(rig, VGPU_CONTROL);
	rig_assert_serves(rig);
	rig_destroy(rig);
}

static void test_no_interrupt_flag(const void *data)
{
	struct rig *rig = rig_create(
		&(struct rig_options){.withheld_features = FEATURE(VIRTIO_F_EVENT_INDEX)});

	(void)data;
	g_assert_false(rig->control->has_event_idx);
	assert_no_calls(rig, 1);
	rig_destroy(rig);
}

/* Commands one by one as fast as they go, over both queues: no wake-up is lost on either side. */
static void test_wakeups(const void *data)
{
	struct rig *rig = rig_create_mode("null");

	(void)data;
	for (unsigned int i = 0; i < 2000; i++) {
		g_assert_resp(vgpu_resource_unref(rig->vgpu, 99),
			      VIRTIO_GPU_RESP_ERR_INVALID_RESOURCE_ID);
		if (i % 3 == 0) {
			vgpu_move_cursor(rig->vgpu, 0, 0, i, i);
		}
	}
	rig_destroy(rig);
}

/* Without INDIRECT_DESC and EVENT_IDX: the oldest driver there is. */
static void test_plain_ring(const void *data)
{
	struct rig *rig = rig_create(&(struct rig_options){
		.withheld_features = FEATURE(VIRTIO_F_EVENT_INDEX) | FEATURE(VIRTIO_F_INDIRECT)});

	(void)data;
	for (unsigned int i = 0; i < 600; i++) {
		rig_assert_serves(rig);
	}
	rig_destroy(rig);
}

/* ---- faults ---- */

typedef void (*fault_fn)(struct rig *rig, struct ring *ring, const struct parts *parts);

static void publish_pair(struct ring *ring, const struct parts *parts, uint64_t request,
			 uint32_t request_size, uint64_t response, uint32_t response_size)
{
	(void)parts;
	ring_set_desc(ring, 0, request, request_size, VRING_DESC_F_NEXT, 1);
	ring_set_desc(ring, 1, response, response_size, VRING_DESC_F_WRITE, 0);
	ring_publish(ring, 0);
}

static void fault_loop(struct rig *rig, struct ring *ring, const struct parts *parts)
{
	(void)rig;
	ring_set_desc(ring, 0, parts->request, 8, VRING_DESC_F_NEXT, 1);
	ring_set_desc(ring, 1, parts->request, 8, VRING_DESC_F_NEXT, 0);
	ring_publish(ring, 0);
}

static void fault_self_loop(struct rig *rig, struct ring *ring, const struct parts *parts)
{
	(void)rig;
	ring_set_desc(ring, 3, parts->request, 8, VRING_DESC_F_NEXT, 3);
	ring_publish(ring, 3);
}

static void fault_next_out_of_range(struct rig *rig, struct ring *ring, const struct parts *parts)
{
	(void)rig;
	ring_set_desc(ring, 0, parts->request, COMMAND_SIZE, VRING_DESC_F_NEXT, ring->size);
	ring_publish(ring, 0);
}

static void fault_head_out_of_range(struct rig *rig, struct ring *ring, const struct parts *parts)
{
	(void)rig;
	(void)parts;
	ring_publish(ring, ring->size);
}

static void fault_head_far_out_of_range(struct rig *rig, struct ring *ring,
					const struct parts *parts)
{
	(void)rig;
	(void)parts;
	ring_publish(ring, UINT16_MAX);
}

static void fault_avail_jumps(struct rig *rig, struct ring *ring, const struct parts *parts)
{
	(void)rig;
	(void)parts;
	ring->avail_idx = (uint16_t)(ring->avail_idx + ring->size + 1);
	ring->avail->idx = ring->avail_idx;
}

static void fault_write_before_read(struct rig *rig, struct ring *ring, const struct parts *parts)
{
	(void)rig;
	ring_set_desc(ring, 0, parts->response, RESPONSE_SIZE,
		      VRING_DESC_F_WRITE | VRING_DESC_F_NEXT, 1);
	ring_set_desc(ring, 1, parts->request, COMMAND_SIZE, 0, 0);
	ring_publish(ring, 0);
}

static void fault_unmappable_request(struct rig *rig, struct ring *ring, const struct parts *parts)
{
	(void)rig;
	publish_pair(ring, parts, UINT64_C(0x7000000000), COMMAND_SIZE, parts->response,
		     RESPONSE_SIZE);
}

static void fault_unmappable_response(struct rig *rig, struct ring *ring, const struct parts *parts)
{
	(void)rig;
	publish_pair(ring, parts, parts->request, COMMAND_SIZE, UINT64_C(0x7000000000),
		     RESPONSE_SIZE);
}

static void fault_address_wraps(struct rig *rig, struct ring *ring, const struct parts *parts)
{
	(void)rig;
	publish_pair(ring, parts, UINT64_MAX - 7, COMMAND_SIZE, parts->response, RESPONSE_SIZE);
}

static void fault_end_of_region(struct rig *rig, struct ring *ring, const struct parts *parts)
{
	const struct vhost_user_mem_region *region = &rig->ram->regions[0].wire;

	publish_pair(ring, parts, region->guest_addr + region->size - 8, COMMAND_SIZE,
		     parts->response, RESPONSE_SIZE);
}

static void fault_huge_length(struct rig *rig, struct ring *ring, const struct parts *parts)
{
	(void)rig;
	publish_pair(ring, parts, parts->request, UINT32_MAX, parts->response, UINT32_MAX);
}

static void publish_table(struct ring *ring, const struct parts *parts, uint32_t size,
			  unsigned int more_flags)
{
	ring_set_desc(ring, 0, parts->table, size, (uint16_t)(VRING_DESC_F_INDIRECT | more_flags),
		      1);
	ring_set_desc(ring, 1, parts->response, RESPONSE_SIZE, VRING_DESC_F_WRITE, 0);
	ring_publish(ring, 0);
}

static struct vring_desc *fill_table(struct rig *rig, const struct parts *parts)
{
	struct vring_desc *table = guestram_at(rig->ram, parts->table, TABLE_SIZE);

	table[0] = (struct vring_desc){parts->request, COMMAND_SIZE, VRING_DESC_F_NEXT, 1};
	table[1] = (struct vring_desc){parts->response, RESPONSE_SIZE, VRING_DESC_F_WRITE, 0};
	return table;
}

static void fault_indirect_empty(struct rig *rig, struct ring *ring, const struct parts *parts)
{
	fill_table(rig, parts);
	publish_table(ring, parts, 0, 0);
}

static void fault_indirect_odd_length(struct rig *rig, struct ring *ring, const struct parts *parts)
{
	fill_table(rig, parts);
	publish_table(ring, parts, 31, 0);
}

static void fault_indirect_nested(struct rig *rig, struct ring *ring, const struct parts *parts)
{
	struct vring_desc *table = fill_table(rig, parts);

	table[0] = (struct vring_desc){parts->table, 32, VRING_DESC_F_INDIRECT, 0};
	publish_table(ring, parts, 32, 0);
}

static void fault_indirect_loop(struct rig *rig, struct ring *ring, const struct parts *parts)
{
	struct vring_desc *table = fill_table(rig, parts);

	table[1].next = 0;
	table[1].flags |= VRING_DESC_F_NEXT;
	publish_table(ring, parts, 32, 0);
}

static void fault_indirect_next(struct rig *rig, struct ring *ring, const struct parts *parts)
{
	struct vring_desc *table = fill_table(rig, parts);

	table[0].next = 2;
	publish_table(ring, parts, 32, 0);
}

static void fault_indirect_unmappable(struct rig *rig, struct ring *ring, const struct parts *parts)
{
	(void)rig;
	ring_set_desc(ring, 0, UINT64_C(0x7000000000), 32, VRING_DESC_F_INDIRECT, 0);
	ring_publish(ring, 0);
	(void)parts;
}

static void fault_indirect_and_next(struct rig *rig, struct ring *ring, const struct parts *parts)
{
	fill_table(rig, parts);
	publish_table(ring, parts, 32, VRING_DESC_F_NEXT);
}

static void fault_indirect_write_before_read(struct rig *rig, struct ring *ring,
					     const struct parts *parts)
{
	struct vring_desc *table = fill_table(rig, parts);

	table[0].flags |= VRING_DESC_F_WRITE;
	table[0].addr = parts->response;
	table[1] = (struct vring_desc){parts->request, COMMAND_SIZE, 0, 0};
	publish_table(ring, parts, 32, 0);
}

static const struct fault {
	const char *name;
	fault_fn make;
} faults[] = {
	{"loop", fault_loop},
	{"self_loop", fault_self_loop},
	{"next_out_of_range", fault_next_out_of_range},
	{"head_out_of_range", fault_head_out_of_range},
	{"head_far_out_of_range", fault_head_far_out_of_range},
	{"avail_jumps", fault_avail_jumps},
	{"write_before_read", fault_write_before_read},
	{"unmappable_request", fault_unmappable_request},
	{"unmappable_response", fault_unmappable_response},
	{"address_wraps", fault_address_wraps},
	{"end_of_region", fault_end_of_region},
	{"huge_length", fault_huge_length},
	{"indirect_empty", fault_indirect_empty},
	{"indirect_odd_length", fault_indirect_odd_length},
	{"indirect_nested", fault_indirect_nested},
	{"indirect_loop", fault_indirect_loop},
	{"indirect_next", fault_indirect_next},
	{"indirect_unmappable", fault_indirect_unmappable},
	{"indirect_and_next", fault_indirect_and_next},
	{"indirect_write_before_read", fault_indirect_write_before_read},
};

/* A good command first, so that the fault does not stand at the start; then on each queue in turn.
 */
static void test_fault(const void *data)
{
	const struct fault *fault = data;
	struct rig *rig = rig_create_mode("null");
	struct parts parts = make_parts(rig);
	struct virtio_gpu_ctrl_hdr cmd = {.type = VIRTIO_GPU_CMD_GET_DISPLAY_INFO};
	struct vgpu_chain chain = {
		.request = &cmd, .request_size = sizeof(cmd), .response_size = 408};

	rig_assert_serves(rig);
	vgpu_move_cursor(rig->vgpu, 0, 0, 1, 1);

	uint16_t used = ring_used_idx(rig->control);
	fault->make(rig, rig->control, &parts);
	ring_kick_always(rig->control);
	g_assert_true(ring_wait_error(rig->control, 5000));
	/* The other queue and the session go on; nothing more is taken from this one. */
	vgpu_submit(rig->vgpu, VGPU_CONTROL, &chain);
	ring_kick_always(rig->control);
	vgpu_move_cursor(rig->vgpu, 0, 0, 2, 2);
	frontend_assert_alive(rig->frontend);
	g_assert_cmpuint(ring_used_idx(rig->control), ==, used);
	vgpu_forget(rig->vgpu);
	rig_revive_queue(rig, VGPU_CONTROL);
	rig_assert_serves(rig);

	fault->make(rig, rig->cursor, &parts);
	ring_kick_always(rig->cursor);
	g_assert_true(ring_wait_error(rig->cursor, 5000));
	rig_assert_serves(rig);
	rig_revive_queue(rig, VGPU_CURSOR);
	vgpu_move_cursor(rig->vgpu, 0, 0, 3, 3);
	rig_assert_serves(rig);
	rig_destroy(rig);
}

/* What is legal and odd: a zero-length descriptor carries nothing, and stands in nobody's way. */
static void test_zero_length(const void *data)
{
	struct rig *rig = rig_create_mode("null");
	struct parts parts = make_parts(rig);
	struct ring_segment segments[] = {
		{parts.request, 0, false},
		{parts.request, COMMAND_SIZE, false},
		{parts.request, 0, false},
		{parts.response, 0, true},
		{parts.response, RESPONSE_SIZE, true},
	};
	struct vring_used_elem elem;

	/* Either it is served as if the empty ones weren't there, or refused as any other fault. */
	(void)data;
	ring_add(rig->control, segments, G_N_ELEMENTS(segments));
	ring_kick_always(rig->control);
	if (ring_wait_used(rig->control, 3000, &elem)) {
		g_assert_resp(response_type(rig, &parts), VIRTIO_GPU_RESP_ERR_INVALID_RESOURCE_ID);
		g_assert_cmpuint(elem.len, ==, RESPONSE_SIZE);
	} else {
		g_assert_true(ring_wait_error(rig->control, 0));
		rig_revive_queue(rig, VGPU_CONTROL);
	}
	rig_assert_serves(rig);
	rig_destroy(rig);
}

/* A segment that runs over from one region into the next, which lies right behind it, is good
 * memory to the guest. */
static void test_adjacent_regions(const void *data)
{
	struct rig *rig = rig_create(&(struct rig_options){.is_not_started = true});
	struct virtio_gpu_resource_unref cmd = {{.type = VIRTIO_GPU_CMD_RESOURCE_UNREF}, 99, 0};
	const uint64_t base = UINT64_C(0x200000000);
	struct vring_used_elem elem;

	(void)data;
	guestram_add(rig->ram, base, 65536, 0);
	guestram_add(rig->ram, base + 65536, 65536, 0);
	rig_start(rig, 0, 0);
	uint64_t request = base + 65536 - 16;
	memcpy(guestram_at(rig->ram, request, 16), &cmd, 16);
	memcpy(guestram_at(rig->ram, base + 65536, 16), (const uint8_t *)&cmd + 16, 16);
	uint64_t response = guestram_alloc(rig->ram, 1, RESPONSE_SIZE, 8);
	struct ring_segment segments[] = {{request, COMMAND_SIZE, false},
					  {response, RESPONSE_SIZE, true}};
	ring_add(rig->control, segments, G_N_ELEMENTS(segments));
	ring_kick_always(rig->control);
	g_assert_true(ring_wait_used(rig->control, 3000, &elem));
	uint32_t type;
	memcpy(&type, guestram_at(rig->ram, response, sizeof(type)), sizeof(type));
	g_assert_resp(type, VIRTIO_GPU_RESP_ERR_INVALID_RESOURCE_ID);
	rig_destroy(rig);
}

/* More descriptors than any device takes; a user in a guest can have its kernel send it. It costs
 * the command, not the queue. */
static void test_indirect_oversized(const void *data)
{
	struct rig *rig = rig_create_mode("null");
	struct parts parts = make_parts(rig);
	struct vring_desc *table = fill_table(rig, &parts);
	const unsigned int last = TABLE_SIZE / 16 - 1;
	struct vring_used_elem elem;

	(void)data;
	for (unsigned int i = 1; i < last; i++) {
		table[i] =
			(struct vring_desc){parts.request, 1, VRING_DESC_F_NEXT, (uint16_t)(i + 1)};
	}
	table[last] = (struct vring_desc){parts.response, RESPONSE_SIZE, VRING_DESC_F_WRITE, 0};
	ring_set_desc(rig->control, ring_take_desc(rig->control), parts.table, TABLE_SIZE,
		      VRING_DESC_F_INDIRECT, 0);
	ring_publish(rig->control, 0);
	ring_kick_always(rig->control);
	g_assert_true(ring_wait_used(rig->control, 5000, &elem));
	proto_assert_error(response_type(rig, &parts));
	rig_assert_serves(rig);
	rig_destroy(rig);
}

/* A direct descriptor whose chain ends in an indirect one: virtio 1.3 2.7.5.3.2 allows it. */
static void test_indirect_last(const void *data)
{
	struct rig *rig = rig_create_mode("null");
	struct parts parts = make_parts(rig);
	struct vring_desc *table = fill_table(rig, &parts);
	struct vring_used_elem elem;

	(void)data;
	table[0] = (struct vring_desc){parts.request + 16, COMMAND_SIZE - 16, VRING_DESC_F_NEXT, 1};
	uint16_t head = ring_take_desc(rig->control), tail = ring_take_desc(rig->control);
	ring_set_desc(rig->control, head, parts.request, 16, VRING_DESC_F_NEXT, tail);
	ring_set_desc(rig->control, tail, parts.table, 32, VRING_DESC_F_INDIRECT, 0);
	ring_publish(rig->control, head);
	ring_kick_always(rig->control);
	g_assert_true(ring_wait_used(rig->control, 5000, &elem));
	g_assert_cmpuint(elem.id, ==, head);
	g_assert_resp(response_type(rig, &parts), VIRTIO_GPU_RESP_ERR_INVALID_RESOURCE_ID);
	rig_assert_serves(rig);
	rig_destroy(rig);
}

/* Memory that goes while a backing points to it: no access outlives its region, and commands say
 * so. */
static void test_region_goes(const void *mode)
{
	struct rig *rig = rig_create(&(struct rig_options){
		.mode = ((const struct proto_mode *)mode)->name, .is_not_started = true});
	unsigned int spare = guestram_add(rig->ram, UINT64_C(0x200000000), 1 << 20, 0);

	rig_start(rig, 0, 0);
	g_assert_ok(
		vgpu_resource_create_2d(rig->vgpu, 1, VIRTIO_GPU_FORMAT_B8G8R8X8_UNORM, 64, 64));
	g_assert_ok(vgpu_resource_attach_one(rig->vgpu, 1, UINT64_C(0x200000000), 64 * 64 * 4));
	g_assert_ok(vgpu_transfer_to_host_2d(rig->vgpu, 1, 0, 0, 0, 64, 64));
	struct vhost_user_mem_reg_msg msg = {.region = rig->ram->regions[spare].wire};
	g_assert_cmpuint(
		frontend_request(rig->frontend, VHOST_USER_REM_MEM_REG, &msg, sizeof(msg), NULL, 0),
		==, 0);
	proto_assert_error(vgpu_transfer_to_host_2d(rig->vgpu, 1, 0, 0, 0, 64, 64));
	rig_assert_serves(rig);
	/* It comes back elsewhere in the daemon's address space, and the backing is good again. */
	g_assert_cmpuint(frontend_add_region(rig->frontend, &rig->ram->regions[spare]), ==, 0);
	g_assert_ok(vgpu_transfer_to_host_2d(rig->vgpu, 1, 0, 0, 0, 64, 64));
	rig_destroy(rig);
}

/* The rings' own memory goes while they run. */
static void test_ring_memory_goes(const void *data)
{
	struct rig *rig = rig_create_mode("null");
	struct vhost_user_mem_reg_msg msg = {.region = rig->ram->regions[0].wire};

	(void)data;
	rig_assert_serves(rig);
	g_assert_cmpuint(
		frontend_request(rig->frontend, VHOST_USER_REM_MEM_REG, &msg, sizeof(msg), NULL, 0),
		==, 0);
	ring_kick_always(rig->control);
	frontend_assert_alive(rig->frontend);
	g_assert_cmpuint(frontend_add_region(rig->frontend, &rig->ram->regions[0]), ==, 0);
	ring_wait_error(rig->control, 0);
	rig_revive_queue(rig, VGPU_CONTROL);
	rig_revive_queue(rig, VGPU_CURSOR);
	rig_assert_serves(rig);
	rig_destroy(rig);
}

int main(int argc, char **argv)
{
	static const uint64_t with = 0, without = 1;

	suite_init(&argc, &argv);
	suite_add(test_indirect, NULL, "/proto/ring/indirect");
	suite_add(test_indirect_oversized, NULL, "/proto/ring/indirect_oversized");
	suite_add(test_indirect_last, NULL, "/proto/ring/indirect_last");
	suite_add(test_longest_chain, NULL, "/proto/ring/longest_chain");
	suite_add(test_batch, NULL, "/proto/ring/batch");
	suite_add(test_event_idx, NULL, "/proto/ring/event_idx");
	suite_add(test_coalescing, &with, "/proto/ring/coalescing/event_idx");
	suite_add(test_coalescing, &without, "/proto/ring/coalescing/plain");
	suite_add(test_no_interrupt_flag, NULL, "/proto/ring/no_interrupt_flag");
	suite_add(test_wakeups, NULL, "/proto/ring/wakeups");
	suite_add(test_plain_ring, NULL, "/proto/ring/plain");
	suite_add(test_zero_length, NULL, "/proto/ring/zero_length");
	suite_add(test_adjacent_regions, NULL, "/proto/ring/adjacent_regions");
	proto_add("ring", "region_goes", test_region_goes);
	suite_add(test_ring_memory_goes, NULL, "/proto/ring/memory_goes");
	for (size_t i = 0; i < G_N_ELEMENTS(faults); i++) {
		suite_add(test_fault, &faults[i], "/proto/ring/fault/%s", faults[i].name);
	}
	return suite_run();
}
