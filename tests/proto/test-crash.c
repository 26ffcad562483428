/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * The process that renders dies, of any signal and at any moment: the front-end's connection, the
 * rings, the 2D resources, scanouts and cursors live on, each command is answered once, contexts
 * are lost and say so.
 */
#include <signal.h>
#include <string.h>

#include "mock_gfxstream.h"
#include "proto.h"
#include "virgl_stream.h"

#define WIDTH 96u
#define HEIGHT 64u
#define SIZE_BYTES (WIDTH * HEIGHT * 4)
#define FORMAT VIRGL_FORMAT_B8G8R8A8
#define BIND (VIRGL_BIND_RENDER_TARGET | VIRGL_BIND_SAMPLER_VIEW | VIRGL_BIND_SCANOUT)
#define CTX 1u
#define COLOUR 0xffff3300u

struct renderer_wait {
	struct rig *rig;
	pid_t old, pid;
};

static bool has_other_renderer(void *data)
{
	struct renderer_wait *wait = data;

	wait->pid = daemon_find_process(wait->rig->daemon, "renderer");
	return wait->pid != 0 && wait->pid != wait->old;
}

/* The process that renders, once there is one other than @old. */
static pid_t await_renderer(struct rig *rig, pid_t old)
{
	struct renderer_wait wait = {rig, old, 0};

	if (!suite_wait(has_other_renderer, &wait, 10000)) {
		g_error("no process renders");
	}
	return wait.pid;
}

static pid_t crash(struct rig *rig, int signal_number)
{
	pid_t pid = await_renderer(rig, 0);

	g_assert_no_errno(kill(pid, signal_number));
	return await_renderer(rig, pid);
}

static struct rig *make_rig(const void *mode, const char *max_crashes)
{
	const struct proto_mode *info = mode;
	const char *args[] = {"--max-crashes", max_crashes, NULL};
	const struct rig_options options = {.mode = info->name, .args = args};

	return rig_create(&options);
}

/* The screen as it was, and what the guest draws on it. */
static void check_2d(struct rig *rig, uint32_t id, uint64_t gpa, uint32_t seed)
{
	g_autofree uint32_t *pixels = rig_make_pattern(WIDTH, HEIGHT, seed);

	memcpy(guestram_at(rig->ram, gpa, SIZE_BYTES), pixels, SIZE_BYTES);
	g_assert_ok(vgpu_transfer_to_host_2d(rig->vgpu, id, 0, 0, 0, WIDTH, HEIGHT));
	g_assert_ok(vgpu_resource_flush(rig->vgpu, id, 0, 0, WIDTH, HEIGHT));
	display_wait_pixels(rig->display, 0, pixels, WIDTH, HEIGHT);
}

static uint64_t make_target(struct rig *rig, uint32_t id)
{
	uint64_t gpa = rig_backing(rig, NULL, SIZE_BYTES);

	g_assert_ok(vgpu_resource_create_3d(rig->vgpu, id, FORMAT, BIND, WIDTH, HEIGHT, 0));
	g_assert_ok(vgpu_resource_attach_one(rig->vgpu, id, gpa, SIZE_BYTES));
	g_assert_ok(vgpu_ctx_attach_resource(rig->vgpu, CTX, id));
	return gpa;
}

/* What has all of a target COLOUR. gfxstream's library takes one command at a time. */
static struct virgl_stream make_clear(const void *mode, uint32_t id)
{
	struct virgl_stream stream = {0};

	if (mode == PROTO_GFXSTREAM) {
		return (struct virgl_stream){{MOCK_GFX_FILL, id, COLOUR}, 3};
	}
	virgl_stream_create_surface(&stream, 1000 + id, id, FORMAT);
	virgl_stream_set_framebuffer(&stream, 1000 + id);
	virgl_stream_clear(&stream, 1.0f, 0.2f, 0.0f, 1.0f);
	return stream;
}

/* What keeps the library at work for a while. */
static struct virgl_stream make_work(const void *mode, uint32_t id)
{
	struct virgl_stream stream = {0};

	if (mode == PROTO_GFXSTREAM) {
		return make_clear(mode, id);
	}
	for (unsigned int i = 0; i < 25; i++) {
		virgl_stream_clear(&stream, 0.0f, 1.0f, 0.0f, 1.0f);
	}
	return stream;
}

static uint32_t clear(struct rig *rig, const void *mode, uint32_t id)
{
	const struct virgl_stream stream = make_clear(mode, id);

	return vgpu_submit_3d(rig->vgpu, CTX, stream.words, virgl_stream_size_bytes(&stream));
}

/* A new context draws, and its picture is seen. */
static void check_3d(struct rig *rig, const void *mode, uint32_t id)
{
	g_autofree uint32_t *expected = g_new(uint32_t, WIDTH * HEIGHT);

	g_assert_ok(vgpu_ctx_create(rig->vgpu, CTX, 0, "test"));
	make_target(rig, id);
	g_assert_ok(clear(rig, mode, id));
	g_assert_ok(vgpu_set_scanout(rig->vgpu, 0, id, 0, 0, WIDTH, HEIGHT));
	g_assert_ok(vgpu_resource_flush(rig->vgpu, id, 0, 0, WIDTH, HEIGHT));
	for (uint32_t i = 0; i < WIDTH * HEIGHT; i++) {
		expected[i] = COLOUR;
	}
	display_wait_pixels(rig->display, 0, expected, WIDTH, HEIGHT);
}

static void check_screen_lives(const void *mode, int signal_number)
{
	struct rig *rig = make_rig(mode, "5");
	g_autofree uint32_t *pixels = rig_make_pattern(WIDTH, HEIGHT, 1);
	uint64_t gpa = rig_show_resource(rig, 1, 0, WIDTH, HEIGHT, pixels);
	uint8_t uuid[16], uuid_after[16];

	display_wait_pixels(rig->display, 0, pixels, WIDTH, HEIGHT);
	g_assert_resp(vgpu_resource_assign_uuid(rig->vgpu, 1, uuid),
		      VIRTIO_GPU_RESP_OK_RESOURCE_UUID);
	unsigned int n_messages = display_n_messages(rig->display);
	crash(rig, signal_number);
	/* The guest has not drawn: what it flushes is what was there, out of its own memory. */
	g_assert_ok(vgpu_resource_flush(rig->vgpu, 1, 8, 8, 1, 1));
	display_wait_updates(rig->display, 0, 2);
	display_wait_pixels(rig->display, 0, pixels, WIDTH, HEIGHT);
	g_assert_cmpuint(display_n_messages(rig->display), <=, n_messages + 2);
	g_assert_resp(vgpu_resource_assign_uuid(rig->vgpu, 1, uuid_after),
		      VIRTIO_GPU_RESP_OK_RESOURCE_UUID);
	proto_assert_mem(uuid, uuid_after, sizeof(uuid));
	check_2d(rig, 1, gpa, 2);
	g_assert_resp(vgpu_resource_create_2d(rig->vgpu, 1, 1, 8, 8),
		      VIRTIO_GPU_RESP_ERR_INVALID_RESOURCE_ID);
	g_assert_ok(vgpu_resource_unref(rig->vgpu, 1));
	rig_destroy(rig);
}

static void test_killed(const void *mode)
{
	check_screen_lives(mode, SIGKILL);
}

static void test_segv(const void *mode)
{
	check_screen_lives(mode, SIGSEGV);
}

static void test_abort(const void *mode)
{
	check_screen_lives(mode, SIGABRT);
}

static void test_contexts(const void *mode)
{
	struct rig *rig = make_rig(mode, "5");

	check_3d(rig, mode, 1);
	crash(rig, SIGKILL);
	g_assert_resp(clear(rig, mode, 1), VIRTIO_GPU_RESP_ERR_INVALID_CONTEXT_ID);
	g_assert_resp(vgpu_ctx_create(rig->vgpu, CTX, 0, "test"),
		      VIRTIO_GPU_RESP_ERR_INVALID_CONTEXT_ID);
	g_assert_resp(vgpu_resource_flush(rig->vgpu, 1, 0, 0, WIDTH, HEIGHT),
		      VIRTIO_GPU_RESP_ERR_INVALID_RESOURCE_ID);
	/* The guest cleans up, and its ids are free again. */
	g_assert_ok(vgpu_resource_unref(rig->vgpu, 1));
	g_assert_ok(vgpu_ctx_destroy(rig->vgpu, CTX));
	check_3d(rig, mode, 1);
	rig_destroy(rig);
}

/* Each is answered, an error or not, and its fence with it; the ring's rules are the rig's. */
static void test_in_flight(const void *mode)
{
	struct rig *rig = make_rig(mode, "1000");
	struct vgpu_call *calls[32];

	for (unsigned int round = 0; round < 12; round++) {
		unsigned int n_failed = 0;

		check_3d(rig, mode, 1);
		pid_t pid = await_renderer(rig, 0);
		const struct virgl_stream stream = make_work(mode, 1);
		for (unsigned int i = 0; i < G_N_ELEMENTS(calls); i++) {
			struct virtio_gpu_cmd_submit submit = {
				.hdr = {
					.type = VIRTIO_GPU_CMD_SUBMIT_3D,
					.flags = VIRTIO_GPU_FLAG_FENCE,
					.fence_id = 100 + i,
					.ctx_id = CTX,
				},
				.size = virgl_stream_size_bytes(&stream),
			};
			const struct vgpu_chain chain = {
				.request = &submit,
				.request_size = sizeof(submit),
				.payload = stream.words,
				.payload_size = virgl_stream_size_bytes(&stream),
				.response_size = sizeof(struct virtio_gpu_ctrl_hdr),
			};
			calls[i] = vgpu_submit(rig->vgpu, VGPU_CONTROL, &chain);
		}
		vgpu_kick(rig->vgpu, VGPU_CONTROL);
		/* Somewhere in the middle of it. */
		g_usleep(round * 300);
		int number = round % 2 == 1 ? SIGKILL : SIGSEGV;
		g_assert_no_errno(kill(pid, number));
		for (unsigned int i = 0; i < G_N_ELEMENTS(calls); i++) {
			g_assert_true(vgpu_wait(rig->vgpu, calls[i], VGPU_ANSWER_MS));
			uint32_t type = vgpu_finish(rig->vgpu, calls[i]);
			n_failed += type != VIRTIO_GPU_RESP_OK_NODATA;
			g_assert_cmphex(rig->vgpu->last_hdr.flags, ==, VIRTIO_GPU_FLAG_FENCE);
			g_assert_cmpuint(rig->vgpu->last_hdr.fence_id, ==, 100 + i);
		}
		g_test_message("%u of %zu were answered with an error", n_failed,
			       G_N_ELEMENTS(calls));
		await_renderer(rig, pid);
		vgpu_resource_unref(rig->vgpu, 1);
		vgpu_ctx_destroy(rig->vgpu, CTX);
	}
	rig_destroy(rig);
}

#define WIDE 1280u
#define HIGH 800u

/* Half of a picture is on its way when the process that made it dies: the display gets the rest. */
static void check_mid_frame(const void *mode, uint32_t id, bool is_3d, int signal_number)
{
	struct rig *rig = make_rig(mode, "5");
	g_autofree uint32_t *pixels = rig_make_pattern(WIDE, HIGH, id);

	if (is_3d) {
		const struct virtio_gpu_box all = {0, 0, 0, WIDE, HIGH, 1};
		uint64_t gpa = rig_backing(rig, pixels, WIDE * HIGH * 4);
		g_assert_ok(vgpu_ctx_create(rig->vgpu, CTX, 0, "test"));
		g_assert_ok(vgpu_resource_create_3d(rig->vgpu, id, FORMAT, BIND, WIDE, HIGH, 0));
		g_assert_ok(vgpu_resource_attach_one(rig->vgpu, id, gpa, WIDE * HIGH * 4));
		g_assert_ok(vgpu_ctx_attach_resource(rig->vgpu, CTX, id));
		g_assert_ok(vgpu_transfer_to_host_3d(rig->vgpu, CTX, id, &all, 0, 0));
	} else {
		rig_make_resource(rig, id, VIRTIO_GPU_FORMAT_B8G8R8X8_UNORM, WIDE, HIGH, pixels);
		g_assert_ok(vgpu_transfer_to_host_2d(rig->vgpu, id, 0, 0, 0, WIDE, HIGH));
	}
	g_assert_ok(vgpu_set_scanout(rig->vgpu, 0, id, 0, 0, WIDE, HIGH));
	display_wait_features_acked(rig->display);
	uint64_t before = display_n_bytes(rig->display);
	display_set_slow(rig->display, 4096);
	g_assert_ok(vgpu_resource_flush(rig->vgpu, id, 0, 0, WIDE, HIGH));
	display_wait_bytes(rig->display, before + 64 * 1024);
	crash(rig, signal_number);
	uint64_t sent = display_n_bytes(rig->display) - before;
	display_set_slow(rig->display, 0);
	display_wait_pixels(rig->display, 0, pixels, WIDE, HIGH);
	g_test_message("%" G_GUINT64_FORMAT " of %u bytes were sent", sent, WIDE * HIGH * 4);
	rig_assert_serves(rig);
	rig_destroy(rig);
}

static void test_mid_frame(const void *mode)
{
	check_mid_frame(mode, 1, false, SIGKILL);
	check_mid_frame(mode, 2, false, SIGSEGV);
}

static void test_mid_frame_3d(const void *mode)
{
	check_mid_frame(mode, 3, true, SIGKILL);
	check_mid_frame(mode, 4, true, SIGSEGV);
}

/* While the machine is paused; and it goes on as if nothing had been. */
static void test_paused(const void *mode)
{
	struct rig *rig = make_rig(mode, "5");
	g_autofree uint32_t *pixels = rig_make_pattern(WIDTH, HEIGHT, 1);
	uint64_t gpa = rig_show_resource(rig, 1, 0, WIDTH, HEIGHT, pixels);
	uint16_t control_base, cursor_base;

	display_wait_pixels(rig->display, 0, pixels, WIDTH, HEIGHT);
	rig_pause(rig, &control_base, &cursor_base);
	crash(rig, SIGKILL);
	rig_start(rig, control_base, cursor_base);
	display_wait_pixels(rig->display, 0, pixels, WIDTH, HEIGHT);
	check_2d(rig, 1, gpa, 3);
	rig_destroy(rig);
}

static void test_reset(const void *mode)
{
	struct rig *rig = make_rig(mode, "5");

	check_3d(rig, mode, 1);
	crash(rig, SIGKILL);
	rig_reset(rig, true);
	check_3d(rig, mode, 1);
	rig_reset(rig, true);
	crash(rig, SIGKILL);
	/* Of what was before the reset nothing comes back. */
	check_3d(rig, mode, 1);
	rig_destroy(rig);
}

static void test_cursor(const void *mode)
{
	struct rig *rig = make_rig(mode, "5");
	g_autofree uint32_t *pixels = rig_make_pattern(64, 64, 1);
	struct display_cursor cursor;

	rig_make_resource(rig, 7, 1, 64, 64, pixels);
	g_assert_ok(vgpu_transfer_to_host_2d(rig->vgpu, 7, 0, 0, 0, 64, 64));
	vgpu_update_cursor(rig->vgpu, 0, 7, 10, 20, 1, 2);
	display_wait_cursor(rig->display, 0, 1, 0, &cursor);
	crash(rig, SIGKILL);
	vgpu_move_cursor(rig->vgpu, 0, 7, 30, 40);
	display_wait_cursor(rig->display, 0, 1, 1, &cursor);
	/* To a display that knows nothing the image is sent again. */
	rig_pause_resume(rig);
	display_wait_cursor(rig->display, 0, 1, 0, &cursor);
	rig_destroy(rig);
}

static const struct vgpu_layout blob_layout = {VIRTIO_GPU_FORMAT_B8G8R8X8_UNORM, WIDTH, HEIGHT,
					       WIDTH * 4, 0};

/* Blob @id in pages that are not in order, on scanout 0; returns where they are. */
static uint64_t show_blob(struct rig *rig, uint32_t id, const uint32_t *pixels)
{
	const uint32_t n = SIZE_BYTES / GUESTRAM_PAGE;
	uint64_t gpa = rig_backing(rig, NULL, SIZE_BYTES);
	struct virtio_gpu_mem_entry entries[SIZE_BYTES / GUESTRAM_PAGE];
	const struct vgpu_blob blob = {.mem = VIRTIO_GPU_BLOB_MEM_GUEST,
				       .size_bytes = SIZE_BYTES,
				       .entries = entries,
				       .n_entries = n};

	for (uint32_t i = 0; i < n; i++) {
		entries[i] = (struct virtio_gpu_mem_entry){gpa + (n - 1 - i) * GUESTRAM_PAGE,
							   GUESTRAM_PAGE, 0};
		memcpy(guestram_at(rig->ram, entries[i].addr, GUESTRAM_PAGE),
		       (const uint8_t *)pixels + i * GUESTRAM_PAGE, GUESTRAM_PAGE);
	}
	g_assert_ok(vgpu_resource_create_blob(rig->vgpu, id, &blob));
	g_assert_ok(vgpu_set_scanout_blob(rig->vgpu, 0, id, &blob_layout));
	g_assert_ok(vgpu_resource_flush(rig->vgpu, id, 0, 0, WIDTH, HEIGHT));
	display_wait_pixels(rig->display, 0, pixels, WIDTH, HEIGHT);
	return gpa;
}

/* The guest draws the last page of the picture, which is its first in memory. */
static void check_blob(struct rig *rig, uint32_t id, uint64_t gpa, uint32_t *pixels, int byte)
{
	memset(guestram_at(rig->ram, gpa, GUESTRAM_PAGE), byte, GUESTRAM_PAGE);
	memset((uint8_t *)pixels + SIZE_BYTES - GUESTRAM_PAGE, byte, GUESTRAM_PAGE);
	g_assert_ok(vgpu_resource_flush(rig->vgpu, id, 0, 0, WIDTH, HEIGHT));
	display_wait_pixels(rig->display, 0, pixels, WIDTH, HEIGHT);
}

/* A blob of the guest's memory lives on as a 2D resource does, and so does its scanout. */
static void test_blob(const void *mode)
{
	struct rig *rig = make_rig(mode, "100");
	g_autofree uint32_t *pixels = rig_make_pattern(WIDTH, HEIGHT, 1);
	uint64_t gpa = show_blob(rig, 1, pixels);
	uint8_t uuid[16], uuid_after[16];

	g_assert_resp(vgpu_resource_assign_uuid(rig->vgpu, 1, uuid),
		      VIRTIO_GPU_RESP_OK_RESOURCE_UUID);
	for (int i = 0; i < 4; i++) {
		crash(rig, i % 2 ? SIGKILL : SIGSEGV);
		check_blob(rig, 1, gpa, pixels, 0x21 + i);
	}
	g_assert_resp(vgpu_resource_assign_uuid(rig->vgpu, 1, uuid_after),
		      VIRTIO_GPU_RESP_OK_RESOURCE_UUID);
	proto_assert_mem(uuid, uuid_after, sizeof(uuid));
	g_assert_resp(vgpu_resource_create_guest_blob(rig->vgpu, 1, gpa, SIZE_BYTES),
		      VIRTIO_GPU_RESP_ERR_INVALID_RESOURCE_ID);
	g_assert_ok(vgpu_resource_unref(rig->vgpu, 1));
	display_wait_off(rig->display, 0);
	/* What it ended does not come back. */
	crash(rig, SIGKILL);
	g_assert_resp(vgpu_resource_flush(rig->vgpu, 1, 0, 0, 1, 1),
		      VIRTIO_GPU_RESP_ERR_INVALID_RESOURCE_ID);
	rig_destroy(rig);
}

/* The memory is away when the process dies, and when the next one begins. */
static void test_blob_paused(const void *mode)
{
	struct rig *rig = make_rig(mode, "100");
	g_autofree uint32_t *pixels = rig_make_pattern(WIDTH, HEIGHT, 2);
	uint64_t gpa = show_blob(rig, 1, pixels);
	uint16_t control_base, cursor_base;

	for (int i = 0; i < 3; i++) {
		rig_pause(rig, &control_base, &cursor_base);
		crash(rig, SIGKILL);
		rig_start(rig, control_base, cursor_base);
		display_wait_pixels(rig->display, 0, pixels, WIDTH, HEIGHT);
		check_blob(rig, 1, gpa, pixels, 0x31 + i);
	}
	rig_destroy(rig);
}

/* Blobs come, are shown and go while the process dies: each command is answered once. */
static void test_blob_in_flight(const void *mode)
{
	struct rig *rig = make_rig(mode, "1000");
	g_autofree uint32_t *pixels = rig_make_pattern(WIDTH, HEIGHT, 3);
	struct vgpu_call *calls[40];

	for (unsigned int round = 0; round < 12; round++) {
		uint64_t gpa = show_blob(rig, 1, pixels);
		pid_t pid = await_renderer(rig, 0);
		struct {
			struct virtio_gpu_resource_create_blob create;
			struct virtio_gpu_mem_entry entry;
		} create = {{.hdr = {.type = VIRTIO_GPU_CMD_RESOURCE_CREATE_BLOB},
			     .blob_mem = VIRTIO_GPU_BLOB_MEM_GUEST,
			     .nr_entries = 1,
			     .size = SIZE_BYTES},
			    {gpa, SIZE_BYTES, 0}};
		struct virtio_gpu_set_scanout_blob set = {
			.hdr = {.type = VIRTIO_GPU_CMD_SET_SCANOUT_BLOB},
			.r = {0, 0, WIDTH, HEIGHT},
			.width = WIDTH,
			.height = HEIGHT,
			.format = VIRTIO_GPU_FORMAT_B8G8R8X8_UNORM,
			.strides = {WIDTH * 4}};
		struct virtio_gpu_resource_flush flush = {
			.hdr = {.type = VIRTIO_GPU_CMD_RESOURCE_FLUSH}, .r = {0, 0, WIDTH, HEIGHT}};
		struct virtio_gpu_resource_unref unref = {
			.hdr = {.type = VIRTIO_GPU_CMD_RESOURCE_UNREF}};

		for (unsigned int i = 0; i < G_N_ELEMENTS(calls); i++) {
			struct vgpu_chain chain = {.response_size = 24};

			create.create.resource_id = set.resource_id = flush.resource_id =
				unref.resource_id = 10 + i / 4;
			chain.request = i % 4 == 0   ? (void *)&create
					: i % 4 == 1 ? (void *)&set
					: i % 4 == 2 ? (void *)&flush
						     : (void *)&unref;
			chain.request_size = (uint32_t)(i % 4 == 0   ? sizeof(create)
							: i % 4 == 1 ? sizeof(set)
							: i % 4 == 2 ? sizeof(flush)
								     : sizeof(unref));
			calls[i] = vgpu_submit(rig->vgpu, VGPU_CONTROL, &chain);
		}
		vgpu_kick(rig->vgpu, VGPU_CONTROL);
		g_usleep(round * 100);
		g_assert_no_errno(kill(pid, SIGKILL));
		for (unsigned int i = 0; i < G_N_ELEMENTS(calls); i++) {
			g_assert_true(vgpu_wait(rig->vgpu, calls[i], VGPU_ANSWER_MS));
			proto_assert_answer(vgpu_finish(rig->vgpu, calls[i]));
		}
		await_renderer(rig, pid);
		/* What the guest was not told of may be there or not; it ends all of it. */
		for (uint32_t id = 10; id < 10 + G_N_ELEMENTS(calls) / 4; id++) {
			vgpu_resource_unref(rig->vgpu, id);
		}
		g_assert_ok(vgpu_set_scanout_blob(rig->vgpu, 0, 1, &blob_layout));
		check_blob(rig, 1, gpa, pixels, (int)(0x41 + round));
		g_assert_ok(vgpu_resource_unref(rig->vgpu, 1));
	}
	rig_destroy(rig);
}

/* Then there is no 3D for this guest any more, and all the rest. */
static void test_too_many(const void *mode)
{
	struct rig *rig = make_rig(mode, "2");
	g_autofree uint32_t *pixels = rig_make_pattern(WIDTH, HEIGHT, 1);
	uint64_t gpa = rig_show_resource(rig, 2, 0, WIDTH, HEIGHT, pixels);

	for (unsigned int i = 0; i < 3; i++) {
		crash(rig, SIGKILL);
		rig_assert_serves(rig);
	}
	check_2d(rig, 2, gpa, 5);
	g_assert_resp(vgpu_ctx_create(rig->vgpu, CTX, 0, "test"), VIRTIO_GPU_RESP_ERR_UNSPEC);
	g_autofree char *text = daemon_stderr(rig->daemon);
	g_assert_nonnull(strstr(text, "crashes in a row: 3D is turned off for this guest"));
	rig_destroy(rig);
}

/* What the front-end asks is answered while there is nobody who renders. */
static void test_control(const void *mode)
{
	struct rig *rig = make_rig(mode, "1000");

	for (unsigned int i = 0; i < 10; i++) {
		pid_t pid = await_renderer(rig, 0);

		g_assert_no_errno(kill(pid, SIGKILL));
		rig_pause_resume(rig);
		await_renderer(rig, pid);
		rig_assert_serves(rig);
	}
	rig_destroy(rig);
}

int main(int argc, char **argv)
{
	suite_init(&argc, &argv);
	proto_let_signals_kill();
	proto_add_3d("crash", "killed", test_killed);
	proto_add_3d("crash", "segv", test_segv);
	proto_add_3d("crash", "abort", test_abort);
	proto_add_3d("crash", "contexts", test_contexts);
	proto_add_3d("crash", "in-flight", test_in_flight);
	proto_add_3d("crash", "mid-frame", test_mid_frame);
	proto_add_3d("crash", "mid-frame-3d", test_mid_frame_3d);
	proto_add_3d("crash", "paused", test_paused);
	proto_add_3d("crash", "reset", test_reset);
	proto_add_3d("crash", "cursor", test_cursor);
	proto_add_3d("crash", "blob", test_blob);
	proto_add_3d("crash", "blob-paused", test_blob_paused);
	proto_add_3d("crash", "blob-in-flight", test_blob_in_flight);
	proto_add_3d("crash", "too-many", test_too_many);
	proto_add_3d("crash", "control", test_control);
	return suite_run();
}
