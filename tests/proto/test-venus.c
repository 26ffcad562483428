/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * Venus as a guest sees it, with a library and a render server that do as they are told: contexts
 * with timelines of their own, and what is left when the server, the process that renders, or who
 * keeps both has died. And native contexts, which have such timelines and no server.
 */
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "mock_virgl.h"
#include "proctree.h"
#include "proto.h"

#define CAPSET 4u
#define NATIVE 6u /* --capset drm */
#define CTX 1u
#define OTHER_CTX 2u
#define RESULTS 100u /* a resource */
#define N_RESULTS 16u
#define SERVER "mock-render-ser" /* as /proc cuts it */
#define END_MS 10000

static struct rig *make_rig_with(const void *mode, const char *const *args)
{
	const struct proto_mode *info = mode;
	const struct rig_options options = { .mode = info->name, .args = args };

	mock_virgl_use_server();
	return rig_create(&options);
}

static const uint32_t *make_results(struct rig *rig)
{
	uint64_t gpa = rig_backing(rig, NULL, N_RESULTS * 4);

	g_assert_ok(vgpu_resource_create_2d(rig->vgpu, RESULTS, 1, N_RESULTS, 1));
	g_assert_ok(vgpu_resource_attach_one(rig->vgpu, RESULTS, gpa, N_RESULTS * 4));
	return guestram_at(rig->ram, gpa, N_RESULTS * 4);
}

static struct rig *make_rig(const void *mode)
{
	struct rig *rig = make_rig_with(mode, NULL);

	g_assert_ok(vgpu_ctx_create(rig->vgpu, CTX, CAPSET, "test"));
	return rig;
}

static uint32_t find_capset(struct rig *rig, uint32_t id)
{
	struct virtio_gpu_resp_capset_info info;

	for (uint32_t i = 0; i < 8; i++) {
		if (vgpu_get_capset_info(rig->vgpu, i, &info) == VIRTIO_GPU_RESP_OK_CAPSET_INFO &&
		    info.capset_id == id) {
			return info.capset_max_size;
		}
	}
	return 0;
}

/* A command of no effect with a fence on a ring; the device holds it until the fence is signalled.
 */
static struct vgpu_call *fence(struct rig *rig, uint32_t ctx, uint8_t ring)
{
	static uint64_t last_id;

	rig->vgpu->next_hdr = (struct virtio_gpu_ctrl_hdr){
		.flags = VIRTIO_GPU_FLAG_FENCE | VIRTIO_GPU_FLAG_INFO_RING_IDX,
		.fence_id = ++last_id,
		.ring_idx = ring,
	};
	return mock_virgl_send(rig->vgpu, ctx, MOCK_ECHO, 0, NULL, 0);
}

static void finish(struct rig *rig, struct vgpu_call *call)
{
	g_assert_true(vgpu_wait(rig->vgpu, call, VGPU_ANSWER_MS));
	g_assert_ok(vgpu_finish(rig->vgpu, call));
}

static void set_ring(struct rig *rig, uint32_t ctx, uint32_t ring, enum mock_ring_kind kind)
{
	const uint32_t args[] = { ring, kind };

	g_assert_ok(mock_virgl_run(rig->vgpu, ctx, MOCK_RING, 0, args, 2));
}

static void release(struct rig *rig, uint32_t ctx, uint32_t ring)
{
	g_assert_ok(mock_virgl_run1(rig->vgpu, ctx, MOCK_RING_RELEASE, 0, ring));
}

/* ---- what is offered ---- */

static void test_capset(const void *mode)
{
	struct rig *rig = make_rig_with(mode, NULL);

	g_assert_cmpuint(find_capset(rig, CAPSET), >, 0);
	g_assert_cmpuint(find_capset(rig, 2), >, 0);
	g_assert_resp(vgpu_get_capset(rig->vgpu, CAPSET, 0, 64), VIRTIO_GPU_RESP_OK_CAPSET);
	g_assert_cmpuint(rig->vgpu->last_response[sizeof(struct virtio_gpu_ctrl_hdr)], ==, CAPSET);
	for (uint32_t capset = 1; capset <= CAPSET; capset++) {
		if (capset != 3) {
			g_assert_ok(vgpu_ctx_create(rig->vgpu, capset, capset, "test"));
		}
	}
	/* The library has it; but it is for who asks for it. */
	g_assert_cmpuint(find_capset(rig, NATIVE), ==, 0);
	proto_assert_error(vgpu_get_capset(rig->vgpu, NATIVE, 0, 64));
	g_assert_resp(vgpu_ctx_create(rig->vgpu, 9, NATIVE, "native"),
		      VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER);
	/* The server has what it loads, a library of ours among it. */
	g_autofree char *words = daemon_stderr(rig->daemon);
	g_assert_null(strstr(words, "ld.so"));
	rig_destroy(rig);
}

static void test_only_venus(const void *mode)
{
	const char *const args[] = { "--capset", "venus", NULL };
	struct rig *rig = make_rig_with(mode, args);
	g_autofree uint32_t *pixels = rig_make_pattern(64, 64, 1);

	g_assert_cmpuint(find_capset(rig, CAPSET), >, 0);
	g_assert_cmpuint(find_capset(rig, 1) + find_capset(rig, 2), ==, 0);
	g_assert_resp(vgpu_ctx_create(rig->vgpu, CTX, 0, "gl"),
		      VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER);
	g_assert_ok(vgpu_ctx_create(rig->vgpu, CTX, CAPSET, "test"));
	rig_show_resource(rig, 1, 0, 64, 64, pixels);
	display_wait_pixels(rig->display, 0, pixels, 64, 64);
	g_assert_ok(vgpu_ctx_attach_resource(rig->vgpu, CTX, 1));
	g_assert_resp(vgpu_resource_create_3d(rig->vgpu, 2, 1, 2, 8, 8, 0),
		      VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER);
	/* Of the one timeline that only GL has, nothing is to come. */
	rig->vgpu->next_hdr.flags = VIRTIO_GPU_FLAG_FENCE;
	rig->vgpu->next_hdr.fence_id = 77;
	g_assert_ok(vgpu_resource_flush(rig->vgpu, 1, 0, 0, 64, 64));
	finish(rig, fence(rig, CTX, 5));
	rig_destroy(rig);
}

/* Work, memory and fences of one, its rings independent of each other. */
static void check_native(struct rig *rig)
{
	uint64_t gpa = rig_backing(rig, NULL, GUESTRAM_PAGE);
	const uint32_t *results = guestram_at(rig->ram, gpa, GUESTRAM_PAGE);
	const struct vgpu_blob blob = { .mem = VIRTIO_GPU_BLOB_MEM_HOST3D,
					.flags = VIRTIO_GPU_BLOB_FLAG_USE_MAPPABLE,
					.blob_id = 1,
					.size_bytes = GUESTRAM_PAGE };
	const uint32_t word[] = { 1, 3, 4711 };
	uint32_t seen;

	g_assert_resp(vgpu_get_capset(rig->vgpu, NATIVE, 0, 64), VIRTIO_GPU_RESP_OK_CAPSET);
	g_assert_cmpuint(rig->vgpu->last_response[sizeof(struct virtio_gpu_ctrl_hdr)], ==, NATIVE);
	g_assert_ok(vgpu_ctx_create(rig->vgpu, CTX, NATIVE, "native"));
	/* Without GL the library has no pictures, but blobs it has. */
	g_assert_ok(vgpu_resource_create_guest_blob(rig->vgpu, RESULTS, gpa, GUESTRAM_PAGE));
	g_assert_ok(mock_virgl_run1(rig->vgpu, CTX, MOCK_ECHO, RESULTS, 42));
	g_assert_cmpuint(results[0], ==, 42);
	rig->vgpu->next_hdr.ctx_id = CTX;
	g_assert_ok(vgpu_resource_create_blob(rig->vgpu, 1, &blob));
	g_assert_resp(vgpu_resource_map_blob(rig->vgpu, 1, 0), VIRTIO_GPU_RESP_OK_MAP_INFO);
	g_assert_ok(mock_virgl_run(rig->vgpu, CTX, MOCK_BLOB_WRITE, 0, word, 3));
	window_read(rig->frontend->window, 3 * sizeof(seen), &seen, sizeof(seen));
	g_assert_cmpuint(seen, ==, 4711);
	set_ring(rig, CTX, 1, MOCK_RING_HOLD);
	struct vgpu_call *held = fence(rig, CTX, 1);
	finish(rig, fence(rig, CTX, 2));
	g_assert_false(held->is_done);
	release(rig, CTX, 1);
	finish(rig, held);
	g_assert_ok(vgpu_ctx_destroy(rig->vgpu, CTX));
}

/* @has_gl: virgl2 was asked for, too. */
static void check_with_native(const void *mode, const char *capsets, bool has_gl)
{
	const struct proto_mode *info = mode;
	const char *const args[] = { "--capset", capsets, "--hostmem", "64M", NULL };

	mock_virgl_use();
	struct rig *rig = rig_create(
		&(struct rig_options){ .mode = info->name, .args = args, .has_window = true });
	g_assert_cmpuint(find_capset(rig, NATIVE), >, 0);
	g_assert_cmpuint(find_capset(rig, 1) + find_capset(rig, CAPSET), ==, 0);
	g_assert_cmpint(find_capset(rig, 2) > 0, ==, has_gl);
	check_native(rig);
	uint32_t type = vgpu_ctx_create(rig->vgpu, OTHER_CTX, 2, "gl");
	g_assert_resp(type, has_gl ? VIRTIO_GPU_RESP_OK_NODATA :
				     VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER);
	rig_destroy(rig);
}

static void test_native(const void *mode)
{
	check_with_native(mode, "drm", false);
}

static void test_native_and_virgl(const void *mode)
{
	check_with_native(mode, "virgl2,drm", true);
}

static void check_without(const void *mode, const char *const *args)
{
	struct rig *rig = make_rig_with(mode, args);

	g_assert_cmpuint(find_capset(rig, CAPSET), ==, 0);
	g_assert_cmpuint(find_capset(rig, 2), >, 0);
	g_assert_resp(vgpu_ctx_create(rig->vgpu, CTX, CAPSET, "test"),
		      VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER);
	g_assert_cmpint(daemon_find_process(rig->daemon, SERVER), ==, 0);
	g_autofree char *words = daemon_stderr(rig->daemon);
	g_assert_null(strstr(words, "warn:"));
	g_assert_null(strstr(words, "error:"));
	rig_destroy(rig);
}

static void test_only_virgl(const void *mode)
{
	const char *const args[] = { "--capset", "virgl,virgl2", NULL };

	check_without(mode, args);
}

static void test_no_server(const void *mode)
{
	mock_virgl_use_server();
	g_setenv("RENDER_SERVER_EXEC_PATH", "/nonexistent", TRUE);
	struct rig *rig = proto_rig(mode);

	g_assert_cmpuint(find_capset(rig, CAPSET), ==, 0);
	g_assert_cmpuint(find_capset(rig, 2), >, 0);
	g_autofree char *words = daemon_stderr(rig->daemon);
	g_assert_null(strstr(words, "warn:"));
	g_assert_null(strstr(words, "error:"));
	rig_destroy(rig);

	/* What was asked for by name is missed aloud. */
	static const char *const args[] = {"--capset", "virgl2,venus", NULL};
	rig = rig_create(&(struct rig_options){
		.mode = ((const struct proto_mode *)mode)->name, .args = args});
	g_autofree char *more = daemon_stderr(rig->daemon);
	g_assert_nonnull(strstr(more, "--capset: this host has no 'venus'"));
	rig_destroy(rig);
}

/* A program that is there, and ends at once. */
static void test_bad_server(const void *mode)
{
	mock_virgl_use_server();
	g_setenv("RENDER_SERVER_EXEC_PATH", "/bin/false", TRUE);
	struct rig *rig = proto_rig(mode);

	g_assert_cmpuint(find_capset(rig, CAPSET), ==, 0);
	g_assert_cmpuint(find_capset(rig, 2), >, 0);
	g_assert_cmpint(daemon_find_process(rig->daemon, "false"), ==, 0);
	g_autofree char *words = daemon_stderr(rig->daemon);
	g_assert_null(strstr(words, "error:"));
	rig_destroy(rig);
}

/* ---- timelines ---- */

static void test_timelines(const void *mode)
{
	struct rig *rig = make_rig(mode);

	g_assert_ok(vgpu_ctx_create(rig->vgpu, OTHER_CTX, CAPSET, "other"));
	set_ring(rig, CTX, 1, MOCK_RING_HOLD);
	struct vgpu_call *first = fence(rig, CTX, 1);
	struct vgpu_call *second = fence(rig, CTX, 1);
	/* Neither another ring nor another context waits for them. */
	finish(rig, fence(rig, CTX, 0));
	finish(rig, fence(rig, CTX, 63));
	finish(rig, fence(rig, OTHER_CTX, 1));
	g_assert_false(first->is_done || second->is_done);
	release(rig, CTX, 1);
	g_assert_true(vgpu_wait(rig->vgpu, second, VGPU_ANSWER_MS));
	g_assert_true(first->is_done);
	g_assert_cmpuint(first->done_order, <, second->done_order);
	finish(rig, first);
	finish(rig, second);
	/* Rings that there are not. */
	finish(rig, fence(rig, CTX, 64));
	finish(rig, fence(rig, CTX, 255));
	rig_destroy(rig);
}

static void test_odd_fences(const void *mode)
{
	struct rig *rig = make_rig(mode);

	g_assert_ok(vgpu_ctx_create(rig->vgpu, OTHER_CTX, CAPSET, "other"));
	set_ring(rig, CTX, 1, MOCK_RING_AT_ONCE);
	set_ring(rig, CTX, 2, MOCK_RING_TWICE);
	set_ring(rig, CTX, 3, MOCK_RING_LIES);
	set_ring(rig, OTHER_CTX, 3, MOCK_RING_HOLD);
	for (unsigned int i = 0; i < 50; i++) {
		for (uint8_t ring = 1; ring <= 3; ring++) {
			finish(rig, fence(rig, CTX, ring));
		}
	}
	/* One of these would be signalled, if lies were believed. */
	struct vgpu_call *held = fence(rig, OTHER_CTX, 3);
	finish(rig, fence(rig, CTX, 2));
	g_assert_false(held->is_done);
	release(rig, OTHER_CTX, 3);
	finish(rig, held);
	rig_destroy(rig);
}

static void test_destroyed_with_fences(const void *mode)
{
	struct rig *rig = make_rig(mode);

	for (unsigned int i = 0; i < 20; i++) {
		struct vgpu_call *calls[8];

		set_ring(rig, CTX, 7, MOCK_RING_HOLD);
		for (unsigned int k = 0; k < G_N_ELEMENTS(calls); k++) {
			calls[k] = fence(rig, CTX, (uint8_t)(k % 2 ? 7 : 8));
		}
		g_assert_ok(vgpu_ctx_destroy(rig->vgpu, CTX));
		for (unsigned int k = 0; k < G_N_ELEMENTS(calls); k++) {
			g_assert_true(vgpu_wait(rig->vgpu, calls[k], VGPU_ANSWER_MS));
			vgpu_finish(rig->vgpu, calls[k]);
		}
		g_assert_ok(vgpu_ctx_create(rig->vgpu, CTX, CAPSET, "again"));
		finish(rig, fence(rig, CTX, 7));
	}
	rig_destroy(rig);
}

/* A context whose process does not listen any more is lost, and no other. */
static void test_lost_context(const void *mode)
{
	struct rig *rig = make_rig(mode);

	g_assert_ok(vgpu_ctx_create(rig->vgpu, OTHER_CTX, CAPSET, "other"));
	set_ring(rig, CTX, 1, MOCK_RING_HOLD);
	struct vgpu_call *held = fence(rig, CTX, 1);
	proto_assert_error(mock_virgl_run1(rig->vgpu, CTX, MOCK_FAIL, 0, 1));
	finish(rig, held);
	proto_assert_error(mock_virgl_run1(rig->vgpu, CTX, MOCK_ECHO, 0, 1));
	struct vgpu_call *late = fence(rig, CTX, 2);
	g_assert_true(vgpu_wait(rig->vgpu, late, VGPU_ANSWER_MS));
	proto_assert_error(vgpu_finish(rig->vgpu, late));
	finish(rig, fence(rig, OTHER_CTX, 1));
	g_assert_ok(vgpu_ctx_destroy(rig->vgpu, CTX));
	g_assert_ok(vgpu_ctx_create(rig->vgpu, CTX, CAPSET, "again"));
	finish(rig, fence(rig, CTX, 1));
	rig_destroy(rig);
}

/* ---- processes ---- */

static pid_t ask_server(struct rig *rig, const uint32_t *results, enum mock_server_order order)
{
	g_assert_ok(mock_virgl_run1(rig->vgpu, CTX, MOCK_SERVER, RESULTS, order));
	return (pid_t)results[0];
}

static bool has_ended(void *data)
{
	return kill(*(const pid_t *)data, 0) < 0 && errno == ESRCH;
}

static void assert_ends(pid_t pid)
{
	if (!suite_wait(has_ended, &pid, END_MS)) {
		g_error("process %d is still there", (int)pid);
	}
}

struct family {
	struct rig *rig;
	pid_t renderer, server, context; /* the last one ends by no wish but the kernel's */
};

static struct family make_family(const void *mode)
{
	struct family family = { .rig = make_rig(mode) };
	const uint32_t *results = make_results(family.rig);

	family.rig->daemon->may_lose_processes = true;
	family.server = ask_server(family.rig, results, MOCK_SERVER_GET_PID);
	g_assert_cmpint(family.server, ==, daemon_find_process(family.rig->daemon, SERVER));
	family.context = ask_server(family.rig, results, MOCK_SERVER_FORK);
	family.renderer = daemon_find_process(family.rig->daemon, "renderer");
	g_assert_cmpint(family.context, >, 0);
	g_assert_cmpint(family.renderer, >, 0);
	return family;
}

static void assert_family_ends(const struct family *family)
{
	assert_ends(family->server);
	assert_ends(family->context);
	assert_ends(family->renderer);
}

/* Contexts are gone, all else is there, and there is a new server. */
static void assert_goes_on(const struct family *family)
{
	struct rig *rig = family->rig;
	g_autofree uint32_t *pixels = rig_make_pattern(64, 64, 1);

	assert_family_ends(family);
	g_assert_resp(mock_virgl_run1(rig->vgpu, CTX, MOCK_ECHO, 0, 1),
		      VIRTIO_GPU_RESP_ERR_INVALID_CONTEXT_ID);
	g_assert_ok(vgpu_ctx_destroy(rig->vgpu, CTX));
	g_assert_ok(vgpu_ctx_create(rig->vgpu, CTX, CAPSET, "again"));
	finish(rig, fence(rig, CTX, 1));
	pid_t server = daemon_find_process(rig->daemon, SERVER);
	g_assert_cmpint(server, >, 0);
	g_assert_cmpint(server, !=, family->server);
	rig_show_resource(rig, 1, 0, 64, 64, pixels);
	display_wait_pixels(rig->display, 0, pixels, 64, 64);
}

static void test_server_dies(const void *mode)
{
	struct family family = make_family(mode);

	mock_virgl_run1(family.rig->vgpu, CTX, MOCK_SERVER, 0, MOCK_SERVER_DIE);
	assert_goes_on(&family);
	g_autofree char *words = daemon_stderr(family.rig->daemon);
	g_assert_nonnull(strstr(words, "the render server of process"));
	rig_destroy(family.rig);
}

static void test_server_exits(const void *mode)
{
	struct family family = make_family(mode);

	mock_virgl_run1(family.rig->vgpu, CTX, MOCK_SERVER, 0, MOCK_SERVER_EXIT);
	assert_goes_on(&family);
	rig_destroy(family.rig);
}

static void test_server_is_killed(const void *mode)
{
	struct family family = make_family(mode);

	g_assert_no_errno(kill(family.server, SIGKILL));
	assert_goes_on(&family);
	rig_destroy(family.rig);
}

static void test_renderer_dies(const void *mode)
{
	struct family family = make_family(mode);

	mock_virgl_run1(family.rig->vgpu, CTX, MOCK_DIE, 0, SIGKILL);
	assert_goes_on(&family);
	g_autofree char *words = daemon_stderr(family.rig->daemon);
	g_assert_null(strstr(words, "the render server of process"));
	rig_destroy(family.rig);
}

/* As often as --max-crashes says; then 2D is left, and no server. */
static void test_too_often(const void *mode)
{
	const char *const args[] = { "--max-crashes", "1", NULL };
	struct rig *rig = make_rig_with(mode, args);

	rig->daemon->may_lose_processes = true;
	for (unsigned int i = 0; i < 2; i++) {
		g_assert_ok(vgpu_ctx_create(rig->vgpu, CTX, CAPSET, "test"));
		pid_t renderer = daemon_find_process(rig->daemon, "renderer");
		g_assert_cmpint(renderer, >, 0);
		g_assert_cmpint(daemon_find_process(rig->daemon, SERVER), >, 0);
		mock_virgl_run1(rig->vgpu, CTX, MOCK_SERVER, 0, MOCK_SERVER_EXIT);
		assert_ends(renderer);
		g_assert_ok(vgpu_ctx_destroy(rig->vgpu, CTX));
	}
	proto_assert_error(vgpu_ctx_create(rig->vgpu, CTX, CAPSET, "test"));
	g_assert_cmpint(daemon_find_process(rig->daemon, SERVER), ==, 0);
	rig_assert_serves(rig);
	rig_destroy(rig);
}

static void test_front_end_leaves(const void *mode)
{
	struct family family = make_family(mode);

	rig_destroy(family.rig);
	assert_family_ends(&family);
}

static void test_keeper_is_killed(const void *mode)
{
	struct family family = make_family(mode);
	g_autoptr(GArray) keepers = daemon_children(family.rig->daemon->pid);

	proto_let_signals_kill();
	g_assert_cmpuint(keepers->len, ==, 1);
	g_assert_no_errno(kill(g_array_index(keepers, pid_t, 0), SIGKILL));
	assert_family_ends(&family);
	g_assert_no_errno(kill(family.rig->daemon->pid, SIGTERM));
	g_assert_cmpint(daemon_wait_exit(family.rig->daemon, END_MS), ==, 0);
	rig_destroy_ended(family.rig);
}

/* A context's process is its guest's, if that likes. */
static void test_locked_down(const void *mode)
{
	static const struct {
		enum mock_server_order order;
		int expected;
	} rows[] = {
		{MOCK_SERVER_OPEN, EACCES},  {MOCK_SERVER_WRITE, EACCES},
		{MOCK_SERVER_SOCKET, EPERM}, {MOCK_SERVER_EXEC, EACCES},
		{MOCK_SERVER_GROUP, EPERM},  {MOCK_SERVER_SIGNAL, EPERM},
		{MOCK_SERVER_PTRACE, -SIGSYS},
	};

	/* Signals to others are refused from its ABI 6 on. */
	long abi = syscall(SYS_landlock_create_ruleset, NULL, 0, 1 /* its version */);

	if (abi < 6) {
		suite_skip("sandbox: this kernel has no Landlock, or an old one");
	}
	if (g_getenv("TEST_SANITIZED") != NULL) {
		suite_skip("a sanitizer reads and traces its own process");
	}
	struct rig *rig = make_rig(mode);
	const uint32_t *results = make_results(rig);

	for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
		int result = (int)ask_server(rig, results, rows[i].order);

		if (result != rows[i].expected) {
			g_error("order %u: %d instead of %d", rows[i].order, result,
				rows[i].expected);
		}
	}
	rig_destroy(rig);
}

int main(int argc, char **argv)
{
	suite_init(&argc, &argv);
	proto_add_virgl("venus", "capset", test_capset);
	proto_add_virgl("venus", "native", test_native);
	proto_add_virgl("venus", "native_and_virgl", test_native_and_virgl);
	proto_add_virgl("venus", "only_venus", test_only_venus);
	proto_add_virgl("venus", "only_virgl", test_only_virgl);
	proto_add_virgl("venus", "no_server", test_no_server);
	proto_add_virgl("venus", "bad_server", test_bad_server);
	proto_add_virgl("venus", "timelines", test_timelines);
	proto_add_virgl("venus", "odd_fences", test_odd_fences);
	proto_add_virgl("venus", "destroyed_with_fences", test_destroyed_with_fences);
	proto_add_virgl("venus", "lost_context", test_lost_context);
	proto_add_virgl("venus", "server_dies", test_server_dies);
	proto_add_virgl("venus", "server_exits", test_server_exits);
	proto_add_virgl("venus", "server_is_killed", test_server_is_killed);
	proto_add_virgl("venus", "renderer_dies", test_renderer_dies);
	proto_add_virgl("venus", "too_often", test_too_often);
	proto_add_virgl("venus", "locked_down", test_locked_down);
	proto_add_virgl("venus", "front_end_leaves", test_front_end_leaves);
	proto_add_virgl("venus", "keeper_is_killed", test_keeper_is_killed);
	return suite_run();
}
