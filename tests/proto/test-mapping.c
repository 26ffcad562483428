/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * Memory of the host's in the guest's window, from the guest's command to a front-end that maps and
 * back, with a library that makes blobs as it is told: what the guest writes there is what the
 * renderer reads, nothing stays that should go, and nobody waits for a front-end but who asked.
 */
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "mock_virgl.h"
#include "proto.h"

#define CTX 1u
#define RESULTS 100u /* a resource */
#define N_RESULTS 16u
#define PAGE ((uint64_t)sysconf(_SC_PAGESIZE))
#define WAIT_MS 10000

static struct rig *make_rig_with(const char *const *args)
{
	mock_virgl_use_server();
	return rig_create(
		&(struct rig_options){.mode = "virglrenderer", .args = args, .has_window = true});
}

/* What a driver sets up. */
static void set_up(struct rig *rig)
{
	g_assert_ok(vgpu_ctx_create(rig->vgpu, CTX, 0, "test"));
	g_assert_ok(vgpu_resource_create_2d(rig->vgpu, RESULTS, 1, N_RESULTS, 1));
	g_assert_ok(vgpu_resource_attach_one(rig->vgpu, RESULTS,
					     rig_backing(rig, NULL, N_RESULTS * 4),
					     N_RESULTS * 4));
}

static struct rig *make_rig(void)
{
	struct rig *rig = make_rig_with(NULL);

	g_assert_cmpuint(rig->frontend->window_bytes, >, 0);
	set_up(rig);
	return rig;
}

static struct window *window_of(struct rig *rig)
{
	return rig->frontend->window;
}

static void make_blob(struct rig *rig, uint32_t id, uint64_t size)
{
	struct virtio_gpu_resource_create_blob cmd = {
		.hdr = vgpu_take_hdr(rig->vgpu, VIRTIO_GPU_CMD_RESOURCE_CREATE_BLOB),
		.resource_id = id,
		.blob_mem = VIRTIO_GPU_BLOB_MEM_HOST3D,
		.blob_flags = VIRTIO_GPU_BLOB_FLAG_USE_MAPPABLE,
		.blob_id = id,
		.size = size,
	};

	cmd.hdr.ctx_id = CTX;
	g_assert_ok(vgpu_call(rig->vgpu, &cmd, sizeof(cmd), sizeof(struct virtio_gpu_ctrl_hdr)));
}

static struct vgpu_call *send_map(struct rig *rig, uint32_t id, uint64_t offset)
{
	struct virtio_gpu_resource_map_blob cmd = {
		.hdr = vgpu_take_hdr(rig->vgpu, VIRTIO_GPU_CMD_RESOURCE_MAP_BLOB),
		.resource_id = id,
		.offset = offset,
	};
	struct vgpu_chain chain = {
		.request = &cmd,
		.request_size = sizeof(cmd),
		.response_size = sizeof(struct virtio_gpu_resp_map_info),
	};
	struct vgpu_call *call = vgpu_submit(rig->vgpu, VGPU_CONTROL, &chain);

	vgpu_kick(rig->vgpu, VGPU_CONTROL);
	return call;
}

static uint32_t finish(struct rig *rig, struct vgpu_call *call)
{
	g_assert_true(vgpu_wait(rig->vgpu, call, 2 * WAIT_MS));
	return vgpu_finish(rig->vgpu, call);
}

static uint32_t map(struct rig *rig, uint32_t id, uint64_t offset)
{
	return finish(rig, send_map(rig, id, offset));
}

static void check_map(struct rig *rig, uint32_t id, uint64_t offset)
{
	g_assert_resp(map(rig, id, offset), VIRTIO_GPU_RESP_OK_MAP_INFO);
	const struct virtio_gpu_resp_map_info *info = (const void *)rig->vgpu->last_response;
	g_assert_cmpuint(rig->vgpu->last_response_size, >=, sizeof(*info));
	g_assert_cmpuint(info->map_info, ==, VIRTIO_GPU_MAP_CACHE_CACHED);
}

/* By the renderer: word of blob id. */
static uint32_t read_word(struct rig *rig, uint32_t id, uint32_t word)
{
	const uint32_t args[] = {id, word};
	uint64_t gpa = rig_backing(rig, NULL, N_RESULTS * 4);

	g_assert_ok(vgpu_resource_create_2d(rig->vgpu, RESULTS + 1, 1, N_RESULTS, 1));
	g_assert_ok(vgpu_resource_attach_one(rig->vgpu, RESULTS + 1, gpa, N_RESULTS * 4));
	g_assert_ok(mock_virgl_run(rig->vgpu, CTX, MOCK_BLOB_READ, RESULTS + 1, args, 2));
	uint32_t value = *(uint32_t *)guestram_at(rig->ram, gpa, 4);
	g_assert_ok(vgpu_resource_unref(rig->vgpu, RESULTS + 1));
	return value;
}

static void write_word(struct rig *rig, uint32_t id, uint32_t word, uint32_t value)
{
	const uint32_t args[] = {id, word, value};

	g_assert_ok(mock_virgl_run(rig->vgpu, CTX, MOCK_BLOB_WRITE, 0, args, 3));
}

/* The guest and the renderer see the same memory. */
static void check_shared(struct rig *rig, uint32_t id, uint64_t offset, uint32_t word)
{
	uint32_t value = 0x12345678 + id;

	window_write(window_of(rig), offset + word * 4, &value, 4);
	g_assert_cmphex(read_word(rig, id, word), ==, value);
	write_word(rig, id, word, ~value);
	window_read(window_of(rig), offset + word * 4, &value, 4);
	g_assert_cmphex(value, ==, ~(0x12345678 + id));
}

/* Questions that a front-end has no sense in are none of ours. */
static void assert_clean(struct rig *rig)
{
	const struct window_counts counts = window_get_counts(window_of(rig));

	g_assert_cmpuint(counts.n_overlaps, ==, 0);
	g_assert_cmpuint(counts.n_bad_files, ==, 0);
	g_assert_cmpuint(counts.n_vain_unmaps, ==, 0);
}

/* ---- all goes well ---- */

static void test_work(const void *data)
{
	struct rig *rig = make_rig();
	const uint64_t last = rig->frontend->window_bytes - 4 * PAGE;

	(void)data;
	make_blob(rig, 1, 4 * PAGE);
	make_blob(rig, 2, 100); /* a page, as far as the window goes */
	check_map(rig, 1, last);
	check_map(rig, 2, 3 * PAGE);
	check_shared(rig, 1, last, 0);
	check_shared(rig, 1, last, (uint32_t)(4 * PAGE / 4 - 1));
	check_shared(rig, 2, 3 * PAGE, 24);
	g_assert_cmpuint(window_get_counts(window_of(rig)).live_bytes, ==, 5 * PAGE);

	g_assert_ok(vgpu_resource_unmap_blob(rig->vgpu, 1));
	g_assert_false(window_is_mapped(window_of(rig), last, 1));
	check_map(rig, 1, 8 * PAGE);
	check_shared(rig, 1, 8 * PAGE, 7);
	/* The end of a resource is the end of its mapping. */
	g_assert_ok(vgpu_resource_unref(rig->vgpu, 1));
	g_assert_ok(vgpu_resource_unref(rig->vgpu, 2));
	g_assert_true(window_wait_live(window_of(rig), 0, WAIT_MS));
	assert_clean(rig);
	rig_destroy(rig);
}

/* A guest that writes at once, to a front-end that says yes before it has done it. */
static void test_seen(const void *data)
{
	struct rig *rig = make_rig();

	(void)data;
	window_set_manner(window_of(rig), WINDOW_MAPS_LATE);
	for (uint32_t id = 1; id <= 20; id++) {
		make_blob(rig, id, PAGE);
		check_map(rig, id, id * PAGE);
		check_shared(rig, id, id * PAGE, 0);
	}
	window_set_manner(window_of(rig), WINDOW_SERVES);
	assert_clean(rig);
	rig_destroy(rig);
}

static void test_wrong(const void *data)
{
	struct rig *rig = make_rig();
	const uint64_t size = rig->frontend->window_bytes;
	const uint64_t bad[] = {1, PAGE / 2, size, size - PAGE, size + PAGE, UINT64_MAX - PAGE + 1,
				3 * PAGE, 7 * PAGE};

	(void)data;
	make_blob(rig, 1, 2 * PAGE);
	make_blob(rig, 2, 4 * PAGE);
	check_map(rig, 2, 4 * PAGE);
	for (size_t i = 0; i < G_N_ELEMENTS(bad); i++) {
		g_assert_resp(map(rig, 1, bad[i]), VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER);
	}
	g_assert_resp(map(rig, 2, 0), VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER); /* twice */
	g_assert_resp(map(rig, 9, 0), VIRTIO_GPU_RESP_ERR_INVALID_RESOURCE_ID);
	g_assert_resp(vgpu_resource_unmap_blob(rig->vgpu, 1),
		      VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER);
	check_map(rig, 1, 2 * PAGE);
	check_shared(rig, 2, 4 * PAGE, 1);
	assert_clean(rig);
	rig_destroy(rig);
}

/* ---- a front-end that is slow, or does not do as it should ---- */

static void test_refused(const void *data)
{
	struct rig *rig = make_rig();

	(void)data;
	make_blob(rig, 1, PAGE);
	window_set_manner(window_of(rig), WINDOW_REFUSES);
	g_assert_resp(map(rig, 1, 0), VIRTIO_GPU_RESP_ERR_UNSPEC);
	window_set_manner(window_of(rig), WINDOW_SERVES);
	check_map(rig, 1, 0);
	check_shared(rig, 1, 0, 0);
	assert_clean(rig);
	rig_destroy(rig);
}

static void test_slow(const void *data)
{
	struct rig *rig = make_rig();

	(void)data;
	make_blob(rig, 1, PAGE);
	make_blob(rig, 2, PAGE);
	window_set_manner(window_of(rig), WINDOW_STALLS);
	struct vgpu_call *first = send_map(rig, 1, 0);
	struct vgpu_call *second = send_map(rig, 2, PAGE);
	/* All others are served. */
	rig_assert_serves(rig);
	make_blob(rig, 3, PAGE);
	rig_pause_resume(rig);
	rig_assert_serves(rig);
	g_assert_false(vgpu_wait(rig->vgpu, first, 100));
	window_set_manner(window_of(rig), WINDOW_SERVES);
	g_assert_resp(finish(rig, first), VIRTIO_GPU_RESP_OK_MAP_INFO);
	g_assert_resp(finish(rig, second), VIRTIO_GPU_RESP_OK_MAP_INFO);
	check_shared(rig, 2, PAGE, 3);
	assert_clean(rig);
	rig_destroy(rig);
}

/* The resource is gone before its mapping is there. */
static void test_unref_before_the_answer(const void *data)
{
	struct rig *rig = make_rig();

	(void)data;
	make_blob(rig, 1, PAGE);
	make_blob(rig, 2, PAGE);
	window_set_manner(window_of(rig), WINDOW_STALLS);
	struct vgpu_call *first = send_map(rig, 1, 0);
	g_assert_ok(vgpu_resource_unref(rig->vgpu, 1));
	struct vgpu_call *second = send_map(rig, 2, 0);
	window_set_manner(window_of(rig), WINDOW_SERVES);
	finish(rig, first);
	g_assert_resp(finish(rig, second), VIRTIO_GPU_RESP_OK_MAP_INFO);
	check_shared(rig, 2, 0, 3);
	g_assert_cmpuint(window_get_counts(window_of(rig)).n_live, ==, 1);
	assert_clean(rig);
	rig_destroy(rig);
}

static void check_broken(enum window_manner manner, bool is_there)
{
	struct rig *rig = make_rig();

	make_blob(rig, 1, PAGE);
	make_blob(rig, 2, PAGE);
	check_map(rig, 1, 0);
	window_set_manner(window_of(rig), manner);
	g_assert_resp(map(rig, 2, PAGE), VIRTIO_GPU_RESP_ERR_UNSPEC);
	window_set_manner(window_of(rig), WINDOW_SERVES);
	g_assert_resp(map(rig, 2, PAGE), VIRTIO_GPU_RESP_ERR_UNSPEC);
	rig_assert_serves(rig);
	/* What is there stays. */
	check_shared(rig, 1, 0, 5);
	g_assert_cmpuint(window_get_counts(window_of(rig)).n_live, ==, is_there ? 2 : 1);
	/* Another chance; where the old one had mapped without a word is not free. */
	frontend_set_backend_req_fd(rig->frontend);
	check_map(rig, 2, 2 * PAGE);
	check_shared(rig, 2, 2 * PAGE, 5);
	g_assert_ok(vgpu_resource_unmap_blob(rig->vgpu, 1));
	rig_destroy(rig);
}

static void test_nonsense(const void *data)
{
	(void)data;
	check_broken(WINDOW_TALKS_NONSENSE, true);
}

static void test_hangs_up(const void *data)
{
	(void)data;
	check_broken(WINDOW_HANGS_UP, false);
}

static void test_silent(const void *data)
{
	(void)data;
	check_broken(WINDOW_READS, true);
}

/* In the middle of a question: what it may have done is undone on the next one. */
static void test_another_channel(const void *data)
{
	struct rig *rig = make_rig();

	(void)data;
	make_blob(rig, 1, PAGE);
	window_set_manner(window_of(rig), WINDOW_READS);
	struct vgpu_call *call = send_map(rig, 1, 0);
	g_assert_true(window_wait_live(window_of(rig), 1, WAIT_MS));
	window_set_manner(window_of(rig), WINDOW_SERVES);
	frontend_set_backend_req_fd(rig->frontend);
	g_assert_resp(finish(rig, call), VIRTIO_GPU_RESP_ERR_UNSPEC);
	g_assert_true(window_wait_live(window_of(rig), 0, WAIT_MS));
	check_map(rig, 1, 0);
	check_shared(rig, 1, 0, 1);
	assert_clean(rig);
	rig_destroy(rig);
}

/* ---- the end of a renderer process ---- */

static void make_many(struct rig *rig, unsigned int n)
{
	for (unsigned int i = 1; i <= n; i++) {
		make_blob(rig, i, i * PAGE);
		check_map(rig, i, 100 * i * PAGE);
	}
}

static void die(struct rig *rig)
{
	rig->daemon->may_lose_processes = true;
	g_assert_resp(mock_virgl_run1(rig->vgpu, CTX, MOCK_DIE, 0, SIGSEGV),
		      VIRTIO_GPU_RESP_ERR_UNSPEC);
}

static void give_up_lost(struct rig *rig, unsigned int n)
{
	for (unsigned int i = 1; i <= n; i++) {
		g_assert_ok(vgpu_resource_unref(rig->vgpu, i));
	}
	g_assert_ok(vgpu_ctx_destroy(rig->vgpu, CTX));
	g_assert_ok(vgpu_ctx_create(rig->vgpu, CTX, 0, "again"));
}

static void test_crash(const void *data)
{
	proto_let_signals_kill();
	struct rig *rig = make_rig();

	(void)data;
	make_many(rig, 10);
	die(rig);
	/* All of it is taken back, once. */
	g_assert_true(window_wait_live(window_of(rig), 0, WAIT_MS));
	g_assert_cmpuint(window_get_counts(window_of(rig)).n_unmaps, ==, 10);
	give_up_lost(rig, 10);
	make_many(rig, 10);
	check_shared(rig, 7, 700 * PAGE, 11);
	g_assert_cmpuint(window_get_counts(window_of(rig)).n_live, ==, 10);
	assert_clean(rig);
	rig_destroy(rig);
}

/* With questions that the front-end has not looked at yet. */
static void test_crash_unanswered(const void *data)
{
	struct vgpu_call *calls[10];
	proto_let_signals_kill();
	struct rig *rig = make_rig();

	(void)data;
	for (unsigned int i = 0; i < G_N_ELEMENTS(calls); i++) {
		make_blob(rig, 1 + i, PAGE);
	}
	window_set_manner(window_of(rig), WINDOW_STALLS);
	for (unsigned int i = 0; i < G_N_ELEMENTS(calls); i++) {
		calls[i] = send_map(rig, 1 + i, i * PAGE);
	}
	die(rig);
	for (unsigned int i = 0; i < G_N_ELEMENTS(calls); i++) {
		g_assert_resp(finish(rig, calls[i]), VIRTIO_GPU_RESP_ERR_UNSPEC);
	}
	give_up_lost(rig, 10);
	make_blob(rig, 1, 10 * PAGE);
	struct vgpu_call *call = send_map(rig, 1, 0);
	window_set_manner(window_of(rig), WINDOW_SERVES);
	g_assert_resp(finish(rig, call), VIRTIO_GPU_RESP_OK_MAP_INFO);
	check_shared(rig, 1, 0, 1);
	const struct window_counts counts = window_get_counts(window_of(rig));
	g_assert_cmpuint(counts.n_maps, ==, 11);
	g_assert_cmpuint(counts.n_unmaps, ==, 10);
	assert_clean(rig);
	rig_destroy(rig);
}

/* ---- resets ---- */

static void check_reset(bool has_message)
{
	struct rig *rig = make_rig();

	make_many(rig, 10);
	for (unsigned int i = 0; i < 3; i++) {
		rig_reset(rig, has_message);
		g_assert_cmpuint(window_get_counts(window_of(rig)).n_live, ==, 0);
		set_up(rig);
		make_many(rig, 10);
		check_shared(rig, 3, 300 * PAGE, 3);
	}
	/* The front-end had unmapped all of it by itself. */
	g_assert_cmpuint(window_get_counts(window_of(rig)).n_unmaps, ==, 0);
	assert_clean(rig);
	rig_destroy(rig);
}

static void test_reset(const void *data)
{
	(void)data;
	check_reset(true);
}

static void test_reset_by_base(const void *data)
{
	(void)data;
	check_reset(false);
}

/* It finds the question only after it has reset the device. */
static void test_reset_unanswered(const void *data)
{
	struct rig *rig = make_rig();

	(void)data;
	for (unsigned int i = 0; i < 20; i++) {
		make_blob(rig, 1, 4 * PAGE);
		make_blob(rig, 2, PAGE);
		check_map(rig, 2, 8 * PAGE);
		window_set_manner(window_of(rig), WINDOW_STALLS);
		send_map(rig, 1, 0);
		rig_assert_serves(rig); /* by now it was asked */
		rig_reset(rig, true);
		set_up(rig);
		make_blob(rig, 1, 2 * PAGE);
		struct vgpu_call *call = send_map(rig, 1, PAGE);
		window_set_manner(window_of(rig), WINDOW_SERVES);
		g_assert_resp(finish(rig, call), VIRTIO_GPU_RESP_OK_MAP_INFO);
		check_shared(rig, 1, PAGE, 3);
		g_assert_cmpuint(window_get_counts(window_of(rig)).n_live, ==, 1);
		rig_reset(rig, true);
		set_up(rig);
	}
	assert_clean(rig);
	rig_destroy(rig);
}

/* Again and again, and some of it in the middle of everything. */
static void test_cycles(const void *data)
{
	const unsigned int n_cycles = 1000;
	struct rig *rig = make_rig();
	unsigned int n_fds = 0;

	(void)data;
	for (unsigned int i = 0; i < n_cycles; i++) {
		uint64_t offset = i % 64 * PAGE;

		make_blob(rig, 1, PAGE);
		make_blob(rig, 2, 16 * PAGE);
		check_map(rig, 1, offset);
		struct vgpu_call *call = send_map(rig, 2, 100 * PAGE);
		if (i % 10 == 9) {
			rig_reset(rig, true);
			set_up(rig);
		} else {
			g_assert_resp(finish(rig, call), VIRTIO_GPU_RESP_OK_MAP_INFO);
			g_assert_ok(vgpu_resource_unmap_blob(rig->vgpu, 1));
			g_assert_ok(vgpu_resource_unref(rig->vgpu, 1));
			g_assert_ok(vgpu_resource_unref(rig->vgpu, 2));
			g_assert_true(window_wait_live(window_of(rig), 0, WAIT_MS));
		}
		/* One on its way is with nobody for a moment. */
		if (i >= 100 && i < 110) {
			n_fds = MAX(n_fds, daemon_count_fds(rig->daemon));
		}
	}
	g_assert_true(daemon_wait_fds(rig->daemon, n_fds));
	g_assert_cmpuint(window_get_counts(window_of(rig)).n_live, ==, 0);
	const struct window_counts counts = window_get_counts(window_of(rig));
	g_assert_cmpuint(counts.n_overlaps, ==, 0);
	g_assert_cmpuint(counts.n_bad_files, ==, 0);
	rig_destroy(rig);
}

int main(int argc, char *argv[])
{
	suite_init(&argc, &argv);
	proto_add_virgl("mapping", "work", test_work);
	proto_add_virgl("mapping", "seen", test_seen);
	proto_add_virgl("mapping", "wrong", test_wrong);
	proto_add_virgl("mapping", "refused", test_refused);
	proto_add_virgl("mapping", "slow", test_slow);
	proto_add_virgl("mapping", "unref_before_the_answer", test_unref_before_the_answer);
	proto_add_virgl("mapping", "nonsense", test_nonsense);
	proto_add_virgl("mapping", "hangs_up", test_hangs_up);
	proto_add_virgl("mapping", "silent", test_silent);
	proto_add_virgl("mapping", "another_channel", test_another_channel);
	proto_add_virgl("mapping", "crash", test_crash);
	proto_add_virgl("mapping", "crash_unanswered", test_crash_unanswered);
	proto_add_virgl("mapping", "reset", test_reset);
	proto_add_virgl("mapping", "reset_by_base", test_reset_by_base);
	proto_add_virgl("mapping", "reset_unanswered", test_reset_unanswered);
	proto_add_virgl("mapping", "cycles", test_cycles);
	return suite_run();
}
