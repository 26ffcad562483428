/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * Blobs of the host's memory, from end to end: a guest that makes and maps them, the daemon with
 * the mock library, a front-end that fills the window. What a guest writes there the library reads,
 * and what becomes of all of it when something goes wrong on either side.
 */
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "mock_virgl.h"
#include "proctree.h"
#include "proto.h"

#define PAGE GUESTRAM_PAGE
#define HOST3D VIRTIO_GPU_BLOB_MEM_HOST3D
#define MAPPABLE VIRTIO_GPU_BLOB_FLAG_USE_MAPPABLE
#define FORMAT VIRTIO_GPU_FORMAT_B8G8R8X8_UNORM
#define CTX 1u
#define CAPSET 4u /* Venus, whose memory is files */
#define RESULTS 100u /* a resource */
#define N_RESULTS 16u
#define WINDOW_BYTES (UINT64_C(64) << 20)
#define MAP_BYTES ((uint32_t)sizeof(struct virtio_gpu_resp_map_info))
#define HEADER_SIZE ((uint32_t)sizeof(struct virtio_gpu_ctrl_hdr))
/* Lives of a blob; after the first of them all is there that stays. */
#define N_CYCLES 10000u
#define N_FIRST_CYCLES 1000u
/* What an allocator may take for itself, an arena being two mappings: one for each life that was
 * cut short would be 900. And half of the least that it gives, for each. */
#define MORE_MAPPINGS 16u
#define MORE_BYTES ((N_CYCLES - N_FIRST_CYCLES) * 16u)
/* A front-end that does not answer is given up after 10 s. */
#define GIVEN_UP_MS 20000

struct machine {
	struct rig *rig;
	struct vgpu *vgpu;     /* rig's */
	struct window *window; /* rig's front-end's */
	const uint32_t *results;
	unsigned int n_unanswered; /* questions that a reset may come before the answer of */
};

/* What a driver does first. */
static void begin(struct machine *machine)
{
	struct rig *rig = machine->rig;
	uint64_t gpa = rig_backing(rig, NULL, N_RESULTS * 4);

	g_assert_ok(vgpu_ctx_create(rig->vgpu, CTX, CAPSET, "test"));
	g_assert_ok(vgpu_resource_create_2d(rig->vgpu, RESULTS, 1, N_RESULTS, 1));
	g_assert_ok(vgpu_resource_attach_one(rig->vgpu, RESULTS, gpa, N_RESULTS * 4));
	machine->results = guestram_at(rig->ram, gpa, N_RESULTS * 4);
}

static struct machine make_machine(void)
{
	static const char *const args[] = {"--hostmem", "64M", "--max-crashes", "1000", NULL};
	struct machine machine = {0};

	mock_virgl_use_server();
	machine.rig = rig_create(&(struct rig_options){
		.mode = "virglrenderer", .args = args, .has_window = true});
	machine.vgpu = machine.rig->vgpu;
	machine.window = machine.rig->frontend->window;
	if (machine.rig->frontend->window_bytes == 0) {
		rig_destroy(machine.rig);
		suite_skip("the renderer has no memory to show");
	}
	g_assert_cmpuint(machine.rig->frontend->window_bytes, ==, WINDOW_BYTES);
	begin(&machine);
	return machine;
}

/* Nothing was asked for that breaks a rule. */
static void end(struct machine *machine)
{
	struct window_counts counts = window_get_counts(machine->window);

	g_assert_cmpuint(counts.n_overlaps, ==, 0);
	/* What was not answered before a reset is unmapped, whether it was mapped or not. */
	g_assert_cmpuint(counts.n_vain_unmaps, <=, machine->n_unanswered);
	g_assert_cmpuint(counts.n_bad_files, ==, 0);
	rig_destroy(machine->rig);
}

static uint32_t create(struct machine *machine, uint32_t id, uint32_t flags, uint64_t size_bytes)
{
	const struct vgpu_blob blob = {
		.mem = HOST3D, .flags = flags, .blob_id = id, .size_bytes = size_bytes};

	machine->vgpu->next_hdr.ctx_id = CTX;
	return vgpu_resource_create_blob(machine->vgpu, id, &blob);
}

static void make(struct machine *machine, uint32_t id, uint64_t size_bytes)
{
	g_assert_ok(create(machine, id, MAPPABLE, size_bytes));
}

static void map(struct machine *machine, uint32_t id, uint64_t offset)
{
	struct virtio_gpu_resp_map_info info;

	g_assert_resp(vgpu_resource_map_blob(machine->vgpu, id, offset),
		      VIRTIO_GPU_RESP_OK_MAP_INFO);
	g_assert_cmpuint(machine->vgpu->last_used_size, ==, MAP_BYTES);
	memcpy(&info, machine->vgpu->last_response, sizeof(info));
	g_assert_cmpuint(info.map_info, ==, VIRTIO_GPU_MAP_CACHE_CACHED);
}

static void unmap(struct machine *machine, uint32_t id)
{
	g_assert_ok(vgpu_resource_unmap_blob(machine->vgpu, id));
}

static void set_kind(struct machine *machine, uint32_t kind, uint32_t value)
{
	const uint32_t args[] = {kind, value};

	g_assert_ok(mock_virgl_run(machine->vgpu, CTX, MOCK_BLOBS, 0, args, 2));
}

/* A word of a blob as the library has it. */
static uint32_t host_read(struct machine *machine, uint32_t id, uint32_t word)
{
	const uint32_t args[] = {id, word};

	g_assert_ok(mock_virgl_run(machine->vgpu, CTX, MOCK_BLOB_READ, RESULTS, args, 2));
	return machine->results[0];
}

static void host_write(struct machine *machine, uint32_t id, uint32_t word, uint32_t value)
{
	const uint32_t args[] = {id, word, value};

	g_assert_ok(mock_virgl_run(machine->vgpu, CTX, MOCK_BLOB_WRITE, 0, args, 3));
}

/* Word @word of blob @id, at @offset of the window, is the same from both sides. */
static void check_word(struct machine *machine, uint32_t id, uint64_t offset, uint32_t word)
{
	uint32_t value = id * 1000003 + word, seen;

	window_write(machine->window, offset + word * 4, &value, sizeof(value));
	g_assert_cmphex(host_read(machine, id, word), ==, value);
	host_write(machine, id, word, ~value);
	window_read(machine->window, offset + word * 4, &seen, sizeof(seen));
	g_assert_cmphex(seen, ==, ~value);
}

static unsigned int n_live(struct machine *machine)
{
	return window_get_counts(machine->window).n_live;
}

/* ---- making them ---- */

static void test_create(const void *mode)
{
	struct machine machine = make_machine();
	const struct virtio_gpu_mem_entry entry = {rig_backing(machine.rig, NULL, PAGE), PAGE, 0};
	struct vgpu_blob both = {.mem = VIRTIO_GPU_BLOB_MEM_HOST3D_GUEST,
				 .size_bytes = PAGE,
				 .entries = &entry,
				 .n_entries = 1};

	(void)mode;
	make(&machine, 1, PAGE);
	g_assert_resp(create(&machine, 1, MAPPABLE, PAGE), VIRTIO_GPU_RESP_ERR_INVALID_RESOURCE_ID);
	for (uint32_t flags = 0; flags < 8; flags++) {
		g_assert_ok(create(&machine, 10 + flags, flags, 5));
	}
	machine.vgpu->next_hdr.ctx_id = CTX;
	g_assert_ok(vgpu_resource_create_blob(machine.vgpu, 2, &both));
	/* Of no context, or of one that there is not. */
	both.mem = HOST3D;
	both.entries = NULL;
	both.n_entries = 0;
	g_assert_resp(vgpu_resource_create_blob(machine.vgpu, 3, &both),
		      VIRTIO_GPU_RESP_ERR_INVALID_CONTEXT_ID);
	machine.vgpu->next_hdr.ctx_id = 77;
	g_assert_resp(vgpu_resource_create_blob(machine.vgpu, 3, &both),
		      VIRTIO_GPU_RESP_ERR_INVALID_CONTEXT_ID);
	/* More than the host gives to a guest, and than there is anywhere. */
	for (uint32_t bit = 32; bit < 64; bit++) {
		g_assert_resp(create(&machine, 3, MAPPABLE, UINT64_C(1) << bit),
			      VIRTIO_GPU_RESP_ERR_OUT_OF_MEMORY);
	}
	g_assert_resp(create(&machine, 3, MAPPABLE, UINT64_MAX),
		      VIRTIO_GPU_RESP_ERR_OUT_OF_MEMORY);
	/* The context has no such memory, or the library none at all. */
	set_kind(&machine, MOCK_BLOBS_FAIL, EINVAL);
	g_assert_resp(create(&machine, 3, MAPPABLE, PAGE), VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER);
	set_kind(&machine, MOCK_BLOBS_FAIL, ENOMEM);
	g_assert_resp(create(&machine, 3, MAPPABLE, PAGE), VIRTIO_GPU_RESP_ERR_OUT_OF_MEMORY);
	set_kind(&machine, MOCK_BLOBS_FINE, 0);
	g_assert_resp(vgpu_resource_unref(machine.vgpu, 3),
		      VIRTIO_GPU_RESP_ERR_INVALID_RESOURCE_ID);
	make(&machine, 3, PAGE);
	end(&machine);
}

/* What blobs hold is charged, and given back. */
static void test_memory_bound(const void *mode)
{
	struct machine machine = make_machine();
	uint32_t n = 0, type;

	(void)mode;
	while ((type = create(&machine, 1 + n, MAPPABLE, 256 << 20)) ==
	       VIRTIO_GPU_RESP_OK_NODATA) {
		g_assert_cmpuint(++n, <, 100);
	}
	g_assert_resp(type, VIRTIO_GPU_RESP_ERR_OUT_OF_MEMORY);
	g_assert_cmpuint(n, >, 2);
	for (uint32_t i = 0; i < n; i++) {
		g_assert_ok(vgpu_resource_unref(machine.vgpu, 1 + i));
	}
	make(&machine, 1, 256 << 20);
	end(&machine);
}

/* ---- the window ---- */

static void test_map(const void *mode)
{
	struct machine machine = make_machine();

	(void)mode;
	make(&machine, 1, 3 * PAGE);
	make(&machine, 2, 5); /* a page, all the same */
	map(&machine, 1, 0);
	map(&machine, 2, WINDOW_BYTES - PAGE);
	g_assert_cmpuint(n_live(&machine), ==, 2);
	g_assert_true(window_is_mapped(machine.window, 0, 3 * PAGE));
	g_assert_true(window_is_mapped(machine.window, WINDOW_BYTES - PAGE, PAGE));
	check_word(&machine, 1, 0, 0);
	check_word(&machine, 1, 0, 3 * PAGE / 4 - 1);
	check_word(&machine, 2, WINDOW_BYTES - PAGE, 0);
	/* Unmapped, it keeps what it has, and shows it elsewhere. */
	host_write(&machine, 1, 7, 0x12345678);
	unmap(&machine, 1);
	g_assert_cmpuint(n_live(&machine), ==, 1);
	map(&machine, 1, 16 * PAGE);
	uint32_t seen;
	window_read(machine.window, 16 * PAGE + 7 * 4, &seen, sizeof(seen));
	g_assert_cmphex(seen, ==, 0x12345678);
	/* Two in a row, and one in the place of another. */
	make(&machine, 3, PAGE);
	map(&machine, 3, 19 * PAGE);
	check_word(&machine, 3, 19 * PAGE, 9);
	g_assert_ok(vgpu_resource_unref(machine.vgpu, 3));
	make(&machine, 4, 2 * PAGE);
	map(&machine, 4, 19 * PAGE);
	check_word(&machine, 4, 19 * PAGE, 9);
	/* Whose context goes keeps its memory. */
	g_assert_ok(vgpu_ctx_destroy(machine.vgpu, CTX));
	window_write(machine.window, 19 * PAGE, &seen, sizeof(seen));
	unmap(&machine, 4);
	unmap(&machine, 1);
	unmap(&machine, 2);
	g_assert_cmpuint(n_live(&machine), ==, 0);
	end(&machine);
}

static void test_map_errors(const void *mode)
{
	static const uint64_t bad_offsets[] = {
		1,
		PAGE - 1,
		PAGE / 2,
		WINDOW_BYTES,
		WINDOW_BYTES - PAGE,
		WINDOW_BYTES + PAGE,
		UINT64_C(1) << 32,
		UINT64_C(1) << 63,
		UINT64_MAX - PAGE + 1,
		UINT64_MAX - 2 * PAGE + 1,
		UINT64_MAX,
	};
	struct machine machine = make_machine();
	struct vgpu *vgpu = machine.vgpu;

	(void)mode;
	make(&machine, 1, 2 * PAGE);
	make(&machine, 2, 2 * PAGE);
	for (size_t i = 0; i < G_N_ELEMENTS(bad_offsets); i++) {
		g_assert_resp(vgpu_resource_map_blob(vgpu, 1, bad_offsets[i]),
			      VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER);
	}
	map(&machine, 1, 4 * PAGE);
	g_assert_resp(vgpu_resource_map_blob(vgpu, 1, 4 * PAGE),
		      VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER);
	g_assert_resp(vgpu_resource_map_blob(vgpu, 1, 8 * PAGE),
		      VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER);
	for (uint64_t page = 3; page <= 5; page++) {
		g_assert_resp(vgpu_resource_map_blob(vgpu, 2, page * PAGE),
			      VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER);
	}
	g_assert_resp(vgpu_resource_unmap_blob(vgpu, 2), VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER);
	unmap(&machine, 1);
	g_assert_resp(vgpu_resource_unmap_blob(vgpu, 1), VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER);
	/* Larger than the window; not to be mapped; none of the host's; none at all. */
	make(&machine, 3, WINDOW_BYTES + 1);
	g_assert_resp(vgpu_resource_map_blob(vgpu, 3, 0), VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER);
	g_assert_ok(create(&machine, 4, VIRTIO_GPU_BLOB_FLAG_USE_SHAREABLE, PAGE));
	g_assert_resp(vgpu_resource_map_blob(vgpu, 4, 0), VIRTIO_GPU_RESP_ERR_UNSPEC);
	g_assert_ok(vgpu_resource_create_guest_blob(vgpu, 5, rig_backing(machine.rig, NULL, PAGE),
						    PAGE));
	g_assert_resp(vgpu_resource_map_blob(vgpu, 5, 0), VIRTIO_GPU_RESP_ERR_UNSPEC);
	g_assert_resp(vgpu_resource_map_blob(vgpu, RESULTS, 0), VIRTIO_GPU_RESP_ERR_UNSPEC);
	g_assert_resp(vgpu_resource_map_blob(vgpu, 99, 0),
		      VIRTIO_GPU_RESP_ERR_INVALID_RESOURCE_ID);
	/* None of these came to the front-end, or took anything. */
	g_assert_cmpuint(window_get_counts(machine.window).n_maps, ==, 1);
	make(&machine, 6, WINDOW_BYTES);
	map(&machine, 6, 0);
	struct virtio_gpu_resource_map_blob cmd = {
		.hdr = {.type = VIRTIO_GPU_CMD_RESOURCE_MAP_BLOB},
		.resource_id = 6,
		.offset = PAGE};
	proto_check_shapes(machine.rig, &cmd, sizeof(cmd), VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER);
	end(&machine);
}

struct kind {
	uint32_t kind, value;
	uint32_t map_info; /* 0: it can't be mapped */
};

/* Whatever the library has there, no front-end is asked to map what it can't. */
static void test_kinds(const void *mode)
{
	static const struct kind kinds[] = {
		{MOCK_BLOBS_FINE, 0, VIRTIO_GPU_MAP_CACHE_CACHED},
		{MOCK_BLOBS_UNMAPPABLE, 0, 0},
		{MOCK_BLOBS_UNEXPORTABLE, 0, 0},
		{MOCK_BLOBS_MAP_INFO, VIRTIO_GPU_MAP_CACHE_UNCACHED,
		 VIRTIO_GPU_MAP_CACHE_UNCACHED},
		{MOCK_BLOBS_MAP_INFO, VIRTIO_GPU_MAP_CACHE_WC, VIRTIO_GPU_MAP_CACHE_WC},
		{MOCK_BLOBS_MAP_INFO, 0xf0, 0},
		{MOCK_BLOBS_MAP_INFO, 9, 0},
		{MOCK_BLOBS_FD_TYPE, 1, VIRTIO_GPU_MAP_CACHE_CACHED},
		{MOCK_BLOBS_FD_TYPE, 3, VIRTIO_GPU_MAP_CACHE_CACHED},
		{MOCK_BLOBS_FD_TYPE, 77, 0},
		{MOCK_BLOBS_SHORT, PAGE, 0},
		{MOCK_BLOBS_SHORT, 1, 0},
		{MOCK_BLOBS_PIPE, 0, 0},
	};
	struct machine machine = make_machine();
	unsigned int n_maps = 0;

	(void)mode;
	for (uint32_t i = 0; i < G_N_ELEMENTS(kinds); i++) {
		struct virtio_gpu_resp_map_info info = {0};

		set_kind(&machine, kinds[i].kind, kinds[i].value);
		make(&machine, 1 + i, 2 * PAGE);
		uint32_t type = vgpu_resource_map_blob(machine.vgpu, 1 + i, 2 * i * PAGE);
		memcpy(&info, machine.vgpu->last_response, sizeof(info));
		g_test_message("kind %u, value %u: 0x%x", kinds[i].kind, kinds[i].value, type);
		if (kinds[i].map_info == 0) {
			g_assert_resp(type, VIRTIO_GPU_RESP_ERR_UNSPEC);
		} else {
			g_assert_resp(type, VIRTIO_GPU_RESP_OK_MAP_INFO);
			g_assert_cmpuint(info.map_info, ==, kinds[i].map_info);
			n_maps++;
		}
		g_assert_cmpuint(n_live(&machine), ==, n_maps);
	}
	/* The places of those that could not be had are free. */
	set_kind(&machine, MOCK_BLOBS_FINE, 0);
	make(&machine, 50, 2 * PAGE);
	map(&machine, 50, 2 * PAGE);
	end(&machine);
}

/* ---- front-ends ---- */

static struct vgpu_call *send_map(struct machine *machine, uint32_t id, uint64_t offset)
{
	struct virtio_gpu_resource_map_blob cmd = {
		.hdr = {.type = VIRTIO_GPU_CMD_RESOURCE_MAP_BLOB},
		.resource_id = id,
		.offset = offset};
	struct vgpu_chain chain = {
		.request = &cmd, .request_size = sizeof(cmd), .response_size = MAP_BYTES};
	struct vgpu_call *call = vgpu_submit(machine->vgpu, VGPU_CONTROL, &chain);

	vgpu_kick(machine->vgpu, VGPU_CONTROL);
	machine->n_unanswered++;
	return call;
}

static uint32_t finish(struct machine *machine, struct vgpu_call *call, int milliseconds)
{
	g_assert_true(vgpu_wait(machine->vgpu, call, milliseconds));
	return vgpu_finish(machine->vgpu, call);
}

/* While the front-end thinks: both queues, the session, and a picture. */
static void check_service(struct machine *machine)
{
	struct rig *rig = machine->rig;
	g_autofree uint32_t *pixels = rig_make_pattern(64, 64, 1);

	rig_show_resource(rig, 900, 0, 64, 64, pixels);
	display_wait_pixels(rig->display, 0, pixels, 64, 64);
	g_assert_ok(vgpu_resource_unref(rig->vgpu, 900));
	vgpu_move_cursor(rig->vgpu, 0, 0, 1, 1);
	rig_assert_serves(rig);
}

/* It takes its time: each question is answered, in order, and nobody else waits. */
static void test_slow(const void *mode)
{
	struct machine machine = make_machine();
	struct vgpu_call *calls[8];

	(void)mode;
	for (uint32_t i = 0; i < G_N_ELEMENTS(calls); i++) {
		make(&machine, 1 + i, PAGE);
	}
	window_set_delay_ms(machine.window, 100);
	gint64 start_us = g_get_monotonic_time();
	for (uint32_t i = 0; i < G_N_ELEMENTS(calls); i++) {
		calls[i] = send_map(&machine, 1 + i, i * PAGE);
	}
	check_service(&machine);
	if (g_get_monotonic_time() - start_us < (gint64)G_N_ELEMENTS(calls) * 100 * 1000) {
		g_assert_false(calls[G_N_ELEMENTS(calls) - 1]->is_done);
	}
	for (uint32_t i = 0; i < G_N_ELEMENTS(calls); i++) {
		g_assert_resp(finish(&machine, calls[i], VGPU_ANSWER_MS),
			      VIRTIO_GPU_RESP_OK_MAP_INFO);
	}
	/* Unmapped and mapped anew before anything was answered. */
	struct virtio_gpu_resource_unmap_blob cmd = {
		.hdr = {.type = VIRTIO_GPU_CMD_RESOURCE_UNMAP_BLOB}, .resource_id = 1};
	struct vgpu_chain chain = {
		.request = &cmd, .request_size = sizeof(cmd), .response_size = HEADER_SIZE};
	calls[0] = vgpu_submit(machine.vgpu, VGPU_CONTROL, &chain);
	calls[1] = send_map(&machine, 1, 0);
	calls[2] = vgpu_submit(machine.vgpu, VGPU_CONTROL, &chain);
	make(&machine, 50, PAGE);
	calls[3] = send_map(&machine, 50, 0);
	g_assert_ok(finish(&machine, calls[0], VGPU_ANSWER_MS));
	g_assert_resp(finish(&machine, calls[1], VGPU_ANSWER_MS), VIRTIO_GPU_RESP_OK_MAP_INFO);
	g_assert_ok(finish(&machine, calls[2], VGPU_ANSWER_MS));
	g_assert_resp(finish(&machine, calls[3], VGPU_ANSWER_MS), VIRTIO_GPU_RESP_OK_MAP_INFO);
	window_set_delay_ms(machine.window, 0);
	check_word(&machine, 50, 0, 5);
	end(&machine);
}

static void test_refuses(const void *mode)
{
	struct machine machine = make_machine();

	(void)mode;
	make(&machine, 1, PAGE);
	make(&machine, 2, PAGE);
	map(&machine, 2, PAGE);
	window_set_manner(machine.window, WINDOW_REFUSES);
	for (unsigned int i = 0; i < 3; i++) {
		g_assert_resp(vgpu_resource_map_blob(machine.vgpu, 1, 0),
			      VIRTIO_GPU_RESP_ERR_UNSPEC);
		g_assert_resp(vgpu_resource_unmap_blob(machine.vgpu, 1),
			      VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER);
	}
	window_set_manner(machine.window, WINDOW_SERVES);
	map(&machine, 1, 0);
	check_word(&machine, 1, 0, 3);
	check_word(&machine, 2, PAGE, 3);
	end(&machine);
}

/* It is given up: what was asked is answered with an error, and so is what comes; and the machine
 * goes on. With another channel, after a reset, all is well. */
static void check_given_up(enum window_manner manner)
{
	struct machine machine = make_machine();

	make(&machine, 1, PAGE);
	make(&machine, 2, PAGE);
	map(&machine, 2, 4 * PAGE);
	window_set_manner(machine.window, manner);
	struct vgpu_call *call = send_map(&machine, 1, 0);
	check_service(&machine);
	g_assert_resp(finish(&machine, call, GIVEN_UP_MS), VIRTIO_GPU_RESP_ERR_UNSPEC);
	proto_assert_error(vgpu_resource_map_blob(machine.vgpu, 1, 8 * PAGE));
	check_service(&machine);
	window_set_manner(machine.window, WINDOW_SERVES);
	frontend_set_backend_req_fd(machine.rig->frontend);
	rig_reset(machine.rig, true);
	begin(&machine);
	make(&machine, 1, PAGE);
	map(&machine, 1, 0);
	check_word(&machine, 1, 0, 1);
	end(&machine);
}

static void test_hangs_up(const void *mode)
{
	(void)mode;
	check_given_up(WINDOW_HANGS_UP);
}

static void test_talks_nonsense(const void *mode)
{
	(void)mode;
	check_given_up(WINDOW_TALKS_NONSENSE);
}

static void test_never_answers(const void *mode)
{
	(void)mode;
	check_given_up(WINDOW_READS);
}

/* ---- the life of a machine ---- */

static void make_and_map(struct machine *machine, uint32_t first_id, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++) {
		make(machine, first_id + i, PAGE);
		map(machine, first_id + i, i * 2 * PAGE);
	}
}

static void test_pause_resume(const void *mode)
{
	struct machine machine = make_machine();

	(void)mode;
	make_and_map(&machine, 1, 10);
	for (unsigned int i = 0; i < 5; i++) {
		host_write(&machine, 3, 5, 0x55 + i);
		rig_pause_resume(machine.rig);
		g_assert_cmpuint(n_live(&machine), ==, 10);
		uint32_t seen;
		window_read(machine.window, 4 * PAGE + 5 * 4, &seen, sizeof(seen));
		g_assert_cmphex(seen, ==, 0x55 + i);
		check_word(&machine, 1, 0, 2);
	}
	/* Answered while the machine stands: told when it goes on. */
	make(&machine, 50, PAGE);
	window_set_delay_ms(machine.window, 50);
	struct vgpu_call *call = send_map(&machine, 50, 100 * PAGE);
	rig_pause_resume(machine.rig);
	g_assert_resp(finish(&machine, call, VGPU_ANSWER_MS), VIRTIO_GPU_RESP_OK_MAP_INFO);
	end(&machine);
}

/* With mappings, which the front-end takes away by itself and is not asked to; and with a question
 * that is not answered. */
static void check_reset(bool has_message)
{
	struct machine machine = make_machine();

	for (unsigned int i = 0; i < 10; i++) {
		make_and_map(&machine, 1, 5);
		if (i % 2) {
			make(&machine, 50, PAGE);
			window_set_delay_ms(machine.window, 20);
			send_map(&machine, 50, 100 * PAGE);
		}
		unsigned int n_unmaps = window_get_counts(machine.window).n_unmaps;
		rig_reset(machine.rig, has_message);
		window_set_delay_ms(machine.window, 0);
		begin(&machine);
		g_assert_true(window_wait_live(machine.window, 0, VGPU_ANSWER_MS));
		/* But for what was asked before the reset, and may be done after it. */
		g_assert_cmpuint(window_get_counts(machine.window).n_unmaps, <=, n_unmaps + i % 2);
		g_assert_resp(vgpu_resource_map_blob(machine.vgpu, 1, 0),
			      VIRTIO_GPU_RESP_ERR_INVALID_RESOURCE_ID);
	}
	make_and_map(&machine, 1, 5);
	check_word(&machine, 5, 8 * PAGE, 100);
	end(&machine);
}

static void test_reset_by_message(const void *mode)
{
	(void)mode;
	check_reset(true);
}

static void test_reset_by_base(const void *mode)
{
	(void)mode;
	check_reset(false);
}

/* The process that renders dies: its memory is taken out of the window, and its ids can be ended. */
static void test_crash(const void *mode)
{
	struct machine machine = make_machine();

	(void)mode;
	for (unsigned int i = 0; i < 4; i++) {
		make_and_map(&machine, 1, 10);
		if (i % 2) {
			/* In the middle of a question. */
			make(&machine, 50, PAGE);
			window_set_delay_ms(machine.window, 50);
		}
		struct vgpu_call *call = i % 2 ? send_map(&machine, 50, 100 * PAGE) : NULL;
		pid_t pid = daemon_find_process(machine.rig->daemon, "renderer");
		g_assert_no_errno(kill(pid, SIGKILL));
		if (call) {
			proto_assert_error(finish(&machine, call, VGPU_ANSWER_MS));
		}
		window_set_delay_ms(machine.window, 0);
		rig_assert_serves(machine.rig);
		g_assert_true(window_wait_live(machine.window, 0, VGPU_ANSWER_MS));
		g_assert_resp(vgpu_resource_map_blob(machine.vgpu, 1, 0),
			      VIRTIO_GPU_RESP_ERR_INVALID_RESOURCE_ID);
		g_assert_resp(vgpu_resource_unmap_blob(machine.vgpu, 1),
			      VIRTIO_GPU_RESP_ERR_INVALID_RESOURCE_ID);
		for (uint32_t id = 1; id <= 10; id++) {
			g_assert_ok(vgpu_resource_unref(machine.vgpu, id));
		}
		vgpu_resource_unref(machine.vgpu, 50);
		g_assert_ok(vgpu_ctx_destroy(machine.vgpu, CTX));
		g_assert_ok(vgpu_ctx_create(machine.vgpu, CTX, CAPSET, "test"));
	}
	make_and_map(&machine, 1, 10);
	check_word(&machine, 10, 18 * PAGE, 77);
	end(&machine);
}

/* One life of a blob; @end: where a reset cuts it short, or 5. */
static void live(struct machine *machine, uint32_t end, uint64_t offset)
{
	make(machine, 1, 2 * PAGE);
	if (end > 1) {
		map(machine, 1, offset);
	} else if (end == 1) {
		send_map(machine, 1, offset);
	}
	if (end > 3) {
		unmap(machine, 1);
	}
	if (end == 5) {
		g_assert_ok(vgpu_resource_unref(machine->vgpu, 1));
		return;
	}
	rig_reset(machine->rig, end % 2);
	begin(machine);
}

/* What a process has, or all of the daemon's together. */
struct footprint {
	unsigned int n_fds, n_mappings;
	uint64_t held_bytes;
};

static struct footprint look_at_daemon(const struct machine *machine)
{
	const struct daemon *daemon = machine->rig->daemon;

	return (struct footprint){daemon_count_fds(daemon), daemon_count_mappings(daemon),
				  daemon_held_bytes(daemon)};
}

/* The front-end is this process. */
static struct footprint look_at_self(const struct machine *machine)
{
	struct footprint footprint = {0};

	(void)machine;
	proctree_add_fds(getpid(), &footprint.n_fds);
	proctree_add_mappings(getpid(), &footprint.n_mappings);
	proctree_add_held(getpid(), &footprint.held_bytes);
	return footprint;
}

/* What there was after the first cycles, and who may have no more. */
struct bound {
	const char *who;
	struct footprint (*look)(const struct machine *machine);
	const struct machine *machine;
	struct footprint before, now;
};

/* Where the last cycles are done with, and their descriptors on the way between two processes. */
static bool is_kept(void *data)
{
	struct bound *bound = data;
	/* A sanitizer keeps what was given back, in mappings of its own. */
	bool is_sanitized = g_strcmp0(g_getenv("TEST_SANITIZED"), "1") == 0;

	bound->now = bound->look(bound->machine);
	return bound->now.n_fds <= bound->before.n_fds &&
	       (is_sanitized ||
		(bound->now.n_mappings <= bound->before.n_mappings + MORE_MAPPINGS &&
		 bound->now.held_bytes <= bound->before.held_bytes + MORE_BYTES));
}

/* The least that is seen for a while, which has nothing in it that is on its way. */
static void set_bound(struct bound *bound)
{
	bound->before = bound->look(bound->machine);
	for (unsigned int i = 0; i < 50; i++) {
		g_usleep(1000);
		struct footprint now = bound->look(bound->machine);
		bound->before.n_fds = MIN(bound->before.n_fds, now.n_fds);
		bound->before.n_mappings = MIN(bound->before.n_mappings, now.n_mappings);
		bound->before.held_bytes = MIN(bound->before.held_bytes, now.held_bytes);
	}
}

static void check_bound(struct bound *bound)
{
	const struct footprint *before = &bound->before, *now = &bound->now;
	bool is_kept_soon = suite_wait(is_kept, bound, VGPU_ANSWER_MS);

	g_test_message("%s: %u descriptors, then %u; %u mappings, then %u; %" G_GUINT64_FORMAT
		       " bytes, then %" G_GUINT64_FORMAT,
		       bound->who, before->n_fds, now->n_fds, before->n_mappings, now->n_mappings,
		       before->held_bytes, now->held_bytes);
	g_assert_true(is_kept_soon);
}

/* 10,000 of them, each tenth cut short: nothing is left of any, here or there. */
static void test_cycles(const void *mode)
{
	struct machine machine = make_machine();
	struct bound daemon = {.who = "daemon", .look = look_at_daemon, .machine = &machine};
	struct bound own = {.who = "front-end", .look = look_at_self, .machine = &machine};

	(void)mode;
	for (unsigned int i = 0; i < N_CYCLES; i++) {
		if (i == N_FIRST_CYCLES) {
			set_bound(&daemon);
			set_bound(&own);
		}
		live(&machine, i % 10 == 9 ? i / 10 % 5 : 5, i % 1000 * PAGE);
	}
	g_assert_cmpuint(n_live(&machine), ==, 0);
	check_bound(&daemon);
	check_bound(&own);
	end(&machine);
}

/* ---- on a scanout ---- */

/* By the picture that the library has of it, and without one by its memory. */
static void test_scanout(const void *mode)
{
	const struct vgpu_layout layout = {FORMAT, 64, 64, 256, 0};
	struct machine machine = make_machine();
	struct display *display = machine.rig->display;

	(void)mode;
	for (uint32_t id = 1; id <= 2; id++) {
		set_kind(&machine, id == 1 ? MOCK_BLOBS_FINE : MOCK_BLOBS_PICTURE, 64 | 64 << 16);
		make(&machine, id, 64 * 64 * 4);
		host_write(&machine, id, 64 + 3, 0x123456);
		g_assert_ok(vgpu_set_scanout_blob(machine.vgpu, 0, id, &layout));
		g_assert_ok(vgpu_resource_flush(machine.vgpu, id, 0, 0, 64, 64));
		display_wait_pixel(display, 0, 3, 1, 0x123456);
		/* As the guest draws, through the window. */
		uint32_t pixel = 0xabcdef;
		map(&machine, id, 0);
		window_write(machine.window, (64 + 4) * 4, &pixel, sizeof(pixel));
		g_assert_ok(vgpu_resource_flush(machine.vgpu, id, 4, 1, 1, 1));
		display_wait_pixel(display, 0, 4, 1, 0xabcdef);
		unmap(&machine, id);
	}
	/* Memory that nobody can look at, and that ends too early: an error, and no more. */
	for (uint32_t id = 3; id <= 5; id++) {
		static const uint32_t kinds[] = {MOCK_BLOBS_UNEXPORTABLE, MOCK_BLOBS_SHORT,
						 MOCK_BLOBS_PIPE};
		set_kind(&machine, kinds[id - 3], 1);
		make(&machine, id, 64 * 64 * 4);
		g_assert_ok(vgpu_set_scanout_blob(machine.vgpu, 0, id, &layout));
		g_assert_resp(vgpu_resource_flush(machine.vgpu, id, 0, 0, 64, 64),
			      VIRTIO_GPU_RESP_ERR_UNSPEC);
		vgpu_update_cursor(machine.vgpu, 0, id, 0, 0, 0, 0);
	}
	check_service(&machine);
	end(&machine);
}

int main(int argc, char **argv)
{
	suite_init(&argc, &argv);
	suite_set_limit_s(200);
	proto_let_signals_kill();
	proto_add_virgl("host-blob", "create", test_create);
	proto_add_virgl("host-blob", "memory_bound", test_memory_bound);
	proto_add_virgl("host-blob", "map", test_map);
	proto_add_virgl("host-blob", "map_errors", test_map_errors);
	proto_add_virgl("host-blob", "kinds", test_kinds);
	proto_add_virgl("host-blob", "slow", test_slow);
	proto_add_virgl("host-blob", "refuses", test_refuses);
	proto_add_virgl("host-blob", "hangs_up", test_hangs_up);
	proto_add_virgl("host-blob", "talks_nonsense", test_talks_nonsense);
	proto_add_virgl("host-blob", "never_answers", test_never_answers);
	proto_add_virgl("host-blob", "pause_resume", test_pause_resume);
	proto_add_virgl("host-blob", "reset_by_message", test_reset_by_message);
	proto_add_virgl("host-blob", "reset_by_base", test_reset_by_base);
	proto_add_virgl("host-blob", "crash", test_crash);
	proto_add_virgl("host-blob", "cycles", test_cycles);
	proto_add_virgl("host-blob", "scanout", test_scanout);
	return suite_run();
}
