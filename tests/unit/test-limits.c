/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * What a guest can make the device hold: each limit is reached, named in the
 * answer, and left again. docs/limits.md has the list.
 */
#include <inttypes.h>
#include <malloc.h>
#include <string.h>
#include <unistd.h>

#include "gpu_rig.h"
#include "renderer/impls.h"
#include "unit.h"

/* ---- commands that wait ---- */

/* The front-end sets the ring up anew; what came through the old one still waits. */
static void renew_ring(struct fixture *f)
{
	struct virtq *vq = &f->vm.queues[CONTROL];
	struct ring *ring = f->vm.rings[CONTROL];

	virtq_stop(vq);
	ring_reset(ring);
	g_assert_cmpint(virtq_set_base(vq, 0), ==, VIRTQ_OK);
	virtq_set_kick(vq, dup(ring->kick_fd));
}

/* One that fails, and has a fence all the same. */
static enum gpu_resp call_fenced(struct fixture *f, uint64_t fence_id, uint32_t ctx_id,
				 uint8_t ring_idx)
{
	const struct virtio_gpu_ctx_resource request = {
		.hdr = { .type = VIRTIO_GPU_CMD_CTX_ATTACH_RESOURCE,
			 .flags = VIRTIO_GPU_FLAG_FENCE |
				  (ctx_id != 0 ? VIRTIO_GPU_FLAG_INFO_RING_IDX : 0),
			 .fence_id = fence_id,
			 .ctx_id = ctx_id,
			 .ring_idx = ring_idx },
		.resource_id = 99,
	};

	if (f->vm.rings[CONTROL]->n_free < 2) {
		renew_ring(f);
	}
	return call(f, CONTROL, &request, sizeof(request));
}

static void signal_fence(struct fixture *f, const struct renderer_fence *fence)
{
	f->renderer->listener->fence_signaled(f->renderer->listener_data, fence);
}

static void make_all_wait(struct fixture *f)
{
	for (uint64_t i = 0; i < DEVICE_MAX_WAITING; i++) {
		g_assert_cmphex(call_fenced(f, i, 0, 0), ==, GPU_RESP_PENDING);
	}
	renew_ring(f);
}

static void assert_nothing_waits(const struct fixture *f)
{
	g_assert_cmpuint(f->dev.n_waiting, ==, 0);
	g_assert_cmpuint(f->dev.waiting_bytes, ==, 0);
}

static void test_fences(struct fixture *f, gconstpointer data G_GNUC_UNUSED)
{
	struct puppet *p = puppet_from_base(f->renderer);

	g_assert_cmphex(call_fenced(f, 1000, 0, 0), ==, GPU_RESP_PENDING);
	struct renderer_fence first = p->last_fence;
	signal_fence(f, &first);
	g_assert_cmphex(take(f, CONTROL), ==, GPU_RESP_ERR_INVALID_CONTEXT_ID);
	assert_nothing_waits(f);

	make_all_wait(f);
	struct renderer_fence last = p->last_fence;
	for (int i = 0; i < 20; i++) {
		assert_is(call_fenced(f, 5000, 0, 0), OUT_OF_MEMORY);
		g_assert_cmpuint(f->response.header.fence_id, ==, 5000);
	}
	g_assert_cmpuint(p->last_fence.seq, ==, last.seq);
	/* A refused one is not executed. */
	const struct virtio_gpu_resource_create_2d create = {
		{ .type = VIRTIO_GPU_CMD_RESOURCE_CREATE_2D, .flags = VIRTIO_GPU_FLAG_FENCE },
		1,
		FORMAT,
		16,
		16
	};
	assert_is(call(f, CONTROL, &create, sizeof(create)), OUT_OF_MEMORY);
	assert_rendered(f, "");
	/* What does not wait is not concerned. */
	assert_ok(create_2d(f, 1, FORMAT, 16, 16));
	/* One is done, so there is room for one. */
	first.seq++;
	signal_fence(f, &first);
	g_assert_cmphex(call_fenced(f, 5001, 0, 0), ==, GPU_RESP_PENDING);
	assert_is(call_fenced(f, 5002, 0, 0), OUT_OF_MEMORY);
	signal_fence(f, &p->last_fence);
	g_assert_cmphex(take(f, CONTROL), ==, GPU_RESP_ERR_INVALID_CONTEXT_ID);
	g_assert_cmpuint(f->response.header.fence_id, ==, 5001);
	assert_nothing_waits(f);
}

/* Those go first that can be answered without waiting. */
static void test_questions_and_holds(struct fixture *f, gconstpointer data G_GNUC_UNUSED)
{
	struct puppet *p = puppet_from_base(f->renderer);

	p->picture = frame_create(&f->quota, 64, 32);
	make_resource(f, 1, FORMAT, 64, 32);
	assert_ok(set_scanout(f, 0, 1, RECT(0, 0, 64, 32)));
	f->display->is_busy = true;
	f->display->has_somebody_to_ask = true;
	make_all_wait(f);
	g_assert_cmphex(get_info(f), ==, GPU_RESP_OK_DISPLAY_INFO);
	g_assert_cmphex(get_edid(f, 0), ==, GPU_RESP_OK_EDID);
	assert_ok(flush(f, 1, RECT(0, 0, 64, 32)));
	signal_fence(f, &p->last_fence);
	assert_nothing_waits(f);

	/* They count among those that wait, until they are answered. */
	g_assert_cmphex(get_info(f), ==, GPU_RESP_PENDING);
	uint64_t token = f->display->token;
	g_assert_cmphex(get_edid(f, 0), ==, GPU_RESP_PENDING);
	g_assert_cmphex(flush(f, 1, RECT(0, 0, 64, 32)), ==, GPU_RESP_PENDING);
	g_assert_cmpuint(f->dev.n_waiting, ==, 3);
	device_take_info(&f->dev, token, NULL);
	device_take_edid(&f->dev, f->display->token, NULL);
	device_take_taken(&f->dev, 1);
	assert_nothing_waits(f);
}

static void test_reset_ends_waiting(struct fixture *f, gconstpointer data G_GNUC_UNUSED)
{
	for (int i = 0; i < 3; i++) {
		make_all_wait(f);
		assert_is(call_fenced(f, 1, 0, 0), OUT_OF_MEMORY);
		device_reset(&f->dev);
		assert_nothing_waits(f);
	}
}

static void test_context_ends_waiting(struct fixture *f, gconstpointer data G_GNUC_UNUSED)
{
	device_set_features(&f->dev, 1u << VIRTIO_GPU_F_CONTEXT_INIT);
	assert_ok(create_context(f, 1, 0, "", 0));
	for (uint64_t i = 0; i < DEVICE_MAX_WAITING; i++) {
		g_assert_cmphex(call_fenced(f, i, 1, (uint8_t)i), ==, GPU_RESP_PENDING);
	}
	assert_is(call_fenced(f, 1, 1, 0), OUT_OF_MEMORY);
	renew_ring(f);
	assert_ok(context_call(f, VIRTIO_GPU_CMD_CTX_DESTROY, 1, 0));
	assert_nothing_waits(f);
}

/* A header, a page of crumbs, and room for the answer: 64 KiB of descriptors. */
static void execute_crumbs(struct fixture *f, uint64_t gpa)
{
	enum { N = VIRTQ_MAX_CHAIN };
	const struct virtio_gpu_ctrl_hdr header = { .type = VIRTIO_GPU_CMD_GET_DISPLAY_INFO,
						    .flags = VIRTIO_GPU_FLAG_FENCE };
	g_autofree struct ring_segment *segments = g_new(struct ring_segment, N);

	memcpy(guestram_at(f->vm.ram, gpa, sizeof(header)), &header, sizeof(header));
	segments[0] = (struct ring_segment){ gpa, sizeof(header), false };
	for (unsigned int i = 1; i < N - 1; i++) {
		segments[i] = (struct ring_segment){ gpa, 1, false };
	}
	segments[N - 1] = (struct ring_segment){ gpa + 4096, 4096, true };
	if (f->vm.rings[CONTROL]->n_free < 1) {
		renew_ring(f);
	}
	ring_add_indirect(f->vm.rings[CONTROL], segments, N, gpa + 8192);
	device_execute(&f->dev, &f->vm.queues[CONTROL], vm_pop(&f->vm, CONTROL));
}

/* Few but large: they are too much before they are too many. */
static void test_waiting_bytes(struct fixture *f, gconstpointer data G_GNUC_UNUSED)
{
	const uint64_t large = VIRTQ_MAX_CHAIN * sizeof(struct virtq_buffer);
	uint64_t gpa = guestram_alloc(f->vm.ram, 0, 8192 + VIRTQ_MAX_CHAIN * 16, 4096);
	unsigned int n = 0;

	while (f->dev.n_waiting == n) {
		g_assert_cmpuint(f->dev.waiting_bytes, <=, DEVICE_MAX_WAITING_BYTES);
		g_assert_cmpuint(f->dev.waiting_bytes, >=, n * large);
		execute_crumbs(f, gpa);
		n++;
	}
	g_assert_cmpuint(n, >, VIRTQ_MAX_SIZE / 8);
	g_assert_cmpuint(n, <, DEVICE_MAX_WAITING);
	struct vring_used_elem element;
	g_assert_true(ring_pop_used(f->vm.rings[CONTROL], &element));
	const struct virtio_gpu_ctrl_hdr *answer = guestram_at(f->vm.ram, gpa + 4096, 24);
	g_assert_cmphex(answer->type, ==, VIRTIO_GPU_RESP_ERR_OUT_OF_MEMORY);
	/* There is room for a small one. */
	g_assert_cmphex(call_fenced(f, 1, 0, 0), ==, GPU_RESP_PENDING);

	/* A long answer counts as well, while it waits. */
	const struct virtio_gpu_get_capset get = { HDR(GET_CAPSET), RENDERER_CAPSET_VIRGL2, 2 };
	f->renderer->caps.capsets[1].max_size_bytes = RENDERER_MAX_CAPSET_BYTES;
	while (call_fenced(f, 1, 0, 0) == GPU_RESP_PENDING) {
	}
	renew_ring(f);
	assert_is(call(f, CONTROL, &get, sizeof(get)), OUT_OF_MEMORY);
	signal_fence(f, &puppet_from_base(f->renderer)->last_fence);
	assert_nothing_waits(f);
	g_assert_cmphex(call(f, CONTROL, &get, sizeof(get)), ==, GPU_RESP_OK_CAPSET);
	assert_nothing_waits(f);
}

/* ---- one command ---- */

static enum gpu_resp submit(struct fixture *f, uint64_t gpa, uint32_t size)
{
	const struct virtio_gpu_cmd_submit request = {
		.hdr = { .type = VIRTIO_GPU_CMD_SUBMIT_3D, .ctx_id = 1 },
		.size = size,
	};
	const struct ring_segment segments[] = {
		{ gpa, sizeof(request), false },
		{ gpa + 4096, size, false },
		{ gpa + 2048, 24, true },
	};
	struct virtio_gpu_ctrl_hdr *answer = guestram_at(f->vm.ram, gpa + 2048, 24);
	struct vring_used_elem element;

	memcpy(guestram_at(f->vm.ram, gpa, sizeof(request)), &request, sizeof(request));
	ring_add(f->vm.rings[CONTROL], segments, G_N_ELEMENTS(segments));
	device_execute(&f->dev, &f->vm.queues[CONTROL], vm_pop(&f->vm, CONTROL));
	g_assert_true(ring_pop_used(f->vm.rings[CONTROL], &element));
	return (enum gpu_resp)answer->type;
}

static void test_command_bytes(struct fixture *f, gconstpointer data G_GNUC_UNUSED)
{
	uint64_t gpa = guestram_alloc(f->vm.ram, 0, (20u << 20) + 4096, 4096);

	assert_ok(create_context(f, 1, 0, "", 0));
	assert_ok(submit(f, gpa, 16u << 20));
	g_assert_cmpuint(f->dev.arena_bytes, ==, 0); /* not kept */
	assert_is(submit(f, gpa, (16u << 20) + 1), INVALID_PARAMETER);
	assert_is(submit(f, gpa, 20u << 20), INVALID_PARAMETER);
	assert_ok(submit(f, gpa, 1u << 20));
	g_assert_cmpuint(f->dev.arena_bytes, ==, 1u << 20);
	assert_ok(submit(f, gpa, 4));
	g_assert_cmpuint(f->dev.arena_bytes, ==, 1u << 20);
	assert_ok(submit(f, gpa, (1u << 20) + 1));
	g_assert_cmpuint(f->dev.arena_bytes, ==, 0);
}

/* ---- what is charged is what it takes ---- */

static bool is_heap_hidden(void)
{
	/* A sanitizer's allocator answers 0. */
	if (mallinfo2().uordblks == 0) {
		g_test_skip("the allocator tells nothing (mallinfo2)");
		return true;
	}
	return false;
}

static uint64_t heap_bytes(void)
{
	struct mallinfo2 info = mallinfo2();

	return info.uordblks + info.hblkhd;
}

static void assert_paid(uint64_t taken_bytes, uint64_t charged_bytes)
{
	g_test_message("%" PRIu64 " bytes taken, %" PRIu64 " charged", taken_bytes, charged_bytes);
	g_assert_cmpuint(taken_bytes, <=, charged_bytes);
}

/* The smallest resources, where pixels are the least part. */
static void test_resource_bytes(struct fixture *f, gconstpointer data G_GNUC_UNUSED)
{
	uint64_t heap = heap_bytes(), used = quota_used(&f->quota);

	if (is_heap_hidden()) {
		return;
	}
	for (uint32_t i = 1; i <= 5000; i++) {
		assert_ok(create_2d(f, i, FORMAT, 1, 1));
	}
	assert_paid(heap_bytes() - heap, quota_used(&f->quota) - used);
}

static void test_list_bytes(struct fixture *f, gconstpointer data G_GNUC_UNUSED)
{
	g_autofree struct virtio_gpu_mem_entry *many =
		g_new0(struct virtio_gpu_mem_entry, RESOURCE_MAX_ENTRIES);
	uint64_t gpa = guestram_alloc(f->vm.ram, 0, 1 << 20, 4096);

	if (is_heap_hidden()) {
		return;
	}
	for (uint32_t i = 0; i < RESOURCE_MAX_ENTRIES; i++) {
		many[i] = (struct virtio_gpu_mem_entry){ gpa + 8ull * i, 4, 0 };
	}
	uint64_t heap = heap_bytes(), used = quota_used(&f->quota);
	for (uint32_t i = 1; i <= 20; i++) {
		assert_ok(create_2d(f, i, FORMAT, 1, 1));
		assert_ok(attach(f, i, RESOURCE_MAX_ENTRIES, many, RESOURCE_MAX_ENTRIES));
	}
	assert_paid(heap_bytes() - heap, quota_used(&f->quota) - used);
}

/* Each on a timeline of its own, which is the most. */
static void test_waiting_command_bytes(struct fixture *f, gconstpointer data G_GNUC_UNUSED)
{
	if (is_heap_hidden()) {
		return;
	}
	device_set_features(&f->dev, 1u << VIRTIO_GPU_F_CONTEXT_INIT);
	for (uint32_t i = 1; i <= 16; i++) {
		assert_ok(create_context(f, i, 0, "", 0));
	}
	uint64_t heap = heap_bytes();
	for (uint32_t i = 0; i < DEVICE_MAX_WAITING; i++) {
		g_assert_cmphex(call_fenced(f, i, 1 + i / 256, (uint8_t)i), ==, GPU_RESP_PENDING);
	}
	assert_paid(heap_bytes() - heap, f->dev.waiting_bytes);
	g_assert_cmpuint(f->dev.waiting_bytes, <=, DEVICE_MAX_WAITING_BYTES);
}

/* Not charged, for there are few of them. */
static void test_fixed_bytes(struct fixture *f, gconstpointer data G_GNUC_UNUSED)
{
	if (is_heap_hidden()) {
		return;
	}
	make_resource(f, 1, FORMAT, 64, 64);
	uint64_t heap = heap_bytes();
	for (uint32_t i = 1; i <= DEVICE_MAX_CONTEXTS; i++) {
		assert_ok(create_context(f, i, 0, "", 0));
	}
	assert_is(create_context(f, 5000, 0, "", 0), OUT_OF_MEMORY);
	for (uint32_t i = 0; i < DISPLAY_MAX_SCANOUTS; i++) {
		assert_ok(update_cursor(f, i, 1, 0, 0, 0, 0));
		assert_ok(update_cursor(f, i, 1, 0, 0, 0, 0));
	}
	assert_paid(heap_bytes() - heap, 512u << 10);
}

static const struct {
	const char *path;
	const struct renderer_impl *impl;
	void (*test)(struct fixture *f, gconstpointer data);
} tests[] = {
	{ "waiting/fences", &puppet_impl, test_fences },
	{ "waiting/questions-and-holds", &puppet_impl, test_questions_and_holds },
	{ "waiting/reset", &puppet_impl, test_reset_ends_waiting },
	{ "waiting/context", &puppet_impl, test_context_ends_waiting },
	{ "waiting/bytes", &puppet_impl, test_waiting_bytes },
	{ "command-bytes", &puppet_impl, test_command_bytes },
	{ "memory/resources", &soft_impl, test_resource_bytes },
	{ "memory/lists", &soft_impl, test_list_bytes },
	{ "memory/waiting", &puppet_impl, test_waiting_command_bytes },
	{ "memory/contexts-and-cursors", &null_impl, test_fixed_bytes },
};

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	for (size_t i = 0; i < G_N_ELEMENTS(tests); i++) {
		g_autofree char *path = g_strdup_printf("/limits/%s", tests[i].path);

		g_test_add(path, struct fixture, tests[i].impl, setup, tests[i].test, teardown);
	}
	return g_test_run();
}
