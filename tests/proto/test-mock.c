/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * The mock libraries do what the other suites rely on: pictures, results, fences of each kind. What
 * only gfxstream's has is relied on in test-gfxstream.c.
 */
#include <errno.h>
#include <signal.h>
#include <string.h>

#include "mock_mode.h"
#include "mock_virgl.h"
#include "proto.h"

#define WIDTH 96u
#define HEIGHT 64u
#define SIZE_BYTES (WIDTH * HEIGHT * 4)
#define CTX 1u
#define RESULTS 100u /* a resource */

static const char *name_of(const void *mode)
{
	return ((const struct proto_mode *)mode)->name;
}

static struct rig *make_rig(const void *mode)
{
	mock_mode_use(name_of(mode));
	struct rig *rig = proto_rig(mode);

	g_assert_ok(vgpu_ctx_create(rig->vgpu, CTX, 0, "test"));
	return rig;
}

static const uint32_t *make_results(struct rig *rig)
{
	uint64_t gpa = rig_backing(rig, NULL, MOCK_N_RESULTS * 4);

	g_assert_ok(vgpu_resource_create_2d(rig->vgpu, RESULTS, 1, MOCK_N_RESULTS, 1));
	g_assert_ok(vgpu_resource_attach_one(rig->vgpu, RESULTS, gpa, MOCK_N_RESULTS * 4));
	return guestram_at(rig->ram, gpa, MOCK_N_RESULTS * 4);
}

static void test_pictures(const void *mode)
{
	struct rig *rig = make_rig(mode);
	g_autofree uint32_t *pixels = rig_make_pattern(WIDTH, HEIGHT, 1);
	const uint32_t fill[] = {1, 0xff3366};

	rig_show_resource(rig, 1, 0, WIDTH, HEIGHT, pixels);
	display_wait_pixels(rig->display, 0, pixels, WIDTH, HEIGHT);
	g_assert_ok(mock_virgl_run(rig->vgpu, CTX, MOCK_FILL, 0, fill, 2));
	g_assert_ok(vgpu_resource_flush(rig->vgpu, 1, 0, 0, WIDTH, HEIGHT));
	for (uint32_t i = 0; i < WIDTH * HEIGHT; i++) {
		pixels[i] = 0xff3366;
	}
	display_wait_pixels(rig->display, 0, pixels, WIDTH, HEIGHT);
	rig_destroy(rig);
}

static uint32_t run(struct rig *rig, const void *mode, enum mock_opcode opcode, uint32_t arg)
{
	return mock_mode_run1(name_of(mode), rig->vgpu, CTX, opcode, RESULTS, arg);
}

static void test_results(const void *mode)
{
	struct rig *rig = make_rig(mode);
	const uint32_t *results = make_results(rig);

	g_assert_ok(run(rig, mode, MOCK_ECHO, 4711));
	g_assert_cmpuint(results[0], ==, 4711);
	g_assert_ok(run(rig, mode, MOCK_EAT, 3));
	g_assert_cmpuint(results[0], ==, 3);
	g_assert_ok(run(rig, mode, MOCK_GET_PID, 0));
	g_assert_cmpint((pid_t)results[0], ==, daemon_find_process(rig->daemon, "renderer"));
	/* gfxstream's adapter doesn't look at why. */
	g_assert_resp(run(rig, mode, MOCK_FAIL, ENOMEM),
		      mode == PROTO_VIRGL ? VIRTIO_GPU_RESP_ERR_OUT_OF_MEMORY
					  : VIRTIO_GPU_RESP_ERR_UNSPEC);
	g_assert_resp(run(rig, mode, 0xffff, 0), VIRTIO_GPU_RESP_ERR_UNSPEC);
	int64_t before_us = g_get_monotonic_time();
	g_assert_ok(run(rig, mode, MOCK_SLEEP, 100));
	g_assert_cmpint(g_get_monotonic_time() - before_us, >=, 100 * 1000);
	rig_destroy(rig);
}

static void check_fence(struct rig *rig, uint64_t id)
{
	rig->vgpu->next_hdr.flags = VIRTIO_GPU_FLAG_FENCE;
	rig->vgpu->next_hdr.fence_id = id;
	g_assert_ok(mock_virgl_run(rig->vgpu, CTX, MOCK_GET_PID, 0, NULL, 0));
	g_assert_cmpuint(rig->vgpu->last_hdr.fence_id, ==, id);
}

static void test_fences(const void *mode)
{
	struct rig *rig = make_rig(mode);

	check_fence(rig, 1);
	g_assert_ok(mock_virgl_run1(rig->vgpu, CTX, MOCK_FENCES_BY_POLL, 0, 1));
	check_fence(rig, 2);
	g_assert_ok(mock_virgl_run1(rig->vgpu, CTX, MOCK_FENCES_LATE, 0, 100));
	int64_t before_us = g_get_monotonic_time();
	check_fence(rig, 3);
	g_assert_cmpint(g_get_monotonic_time() - before_us, >=, 100 * 1000);
	rig_destroy(rig);
}

static void test_never(const void *mode)
{
	struct rig *rig = make_rig(mode);

	g_assert_ok(mock_virgl_run(rig->vgpu, CTX, MOCK_FENCES_NEVER, 0, NULL, 0));
	rig->vgpu->next_hdr.flags = VIRTIO_GPU_FLAG_FENCE;
	struct vgpu_call *call = mock_virgl_send(rig->vgpu, CTX, MOCK_GET_PID, 0, NULL, 0);
	g_assert_false(vgpu_wait(rig->vgpu, call, 300));
	rig_destroy(rig);
}

static void test_die(const void *mode)
{
	proto_let_signals_kill();
	struct rig *rig = make_rig(mode);

	rig->daemon->may_lose_processes = true;
	make_results(rig);
	g_assert_resp(run(rig, mode, MOCK_DIE, SIGSEGV), VIRTIO_GPU_RESP_ERR_UNSPEC);
	g_assert_resp(run(rig, mode, MOCK_GET_PID, 0), VIRTIO_GPU_RESP_ERR_INVALID_CONTEXT_ID);
	rig_destroy(rig);
}

int main(int argc, char *argv[])
{
	suite_init(&argc, &argv);
	proto_add_virgl("mock", "pictures", test_pictures);
	proto_add_3d("mock", "results", test_results);
	proto_add_virgl("mock", "fences", test_fences);
	proto_add_virgl("mock", "fences-never", test_never);
	proto_add_3d("mock", "die", test_die);
	return suite_run();
}
