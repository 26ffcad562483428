/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * The display's life: it comes late, speaks an old dialect, reads slowly or not at all, closes,
 * comes back; the guest is paused, resumed, reset. Whatever it does, the front-end's questions are
 * answered at once and commands complete.
 */
#include <string.h>
#include <unistd.h>

#include "proto.h"

#define FORMAT VIRTIO_GPU_FORMAT_B8G8R8X8_UNORM
#define CONTROL_LIMIT_MS 50

static const char *name_of(const void *mode)
{
	return ((const struct proto_mode *)mode)->name;
}

static void assert_own_edid(struct rig *rig, uint32_t scanout)
{
	struct virtio_gpu_resp_edid edid;
	uint8_t displays[128];

	g_assert_resp(vgpu_get_edid(rig->vgpu, scanout, &edid), VIRTIO_GPU_RESP_OK_EDID);
	proto_assert_edid(&edid);
	display_make_edid(scanout, displays);
	g_assert_cmpint(memcmp(edid.edid, displays, 128), !=, 0);
}

static void assert_own_display_info(struct rig *rig)
{
	struct virtio_gpu_resp_display_info info;

	g_assert_resp(vgpu_get_display_info(rig->vgpu, &info), VIRTIO_GPU_RESP_OK_DISPLAY_INFO);
	g_assert_cmpuint(info.pmodes[0].enabled, ==, 1);
	g_assert_cmpuint(info.pmodes[0].r.width, >=, 640);
	g_assert_cmpuint(info.pmodes[0].r.height, >=, 480);
}

/* QEMU 7.2: no protocol features, so no EDID; all else as ever. */
static void test_old_front_end(const void *mode)
{
	struct display_config display_config = display_config_default();
	display_config.protocol_features = 0;
	struct rig *rig = rig_create(
		&(struct rig_options){.mode = name_of(mode), .display = &display_config});
	struct virtio_gpu_resp_display_info info;
	g_autofree uint32_t *pixels = rig_make_pattern(64, 64, 1);

	assert_own_edid(rig, 0);
	g_assert_resp(vgpu_get_display_info(rig->vgpu, &info), VIRTIO_GPU_RESP_OK_DISPLAY_INFO);
	g_assert_cmpuint(info.pmodes[0].r.width, ==, 1280);
	rig_show_resource(rig, 1, 0, 64, 64, pixels);
	if (((const struct proto_mode *)mode)->draws) {
		display_wait_pixels(rig->display, 0, pixels, 64, 64);
	}
	g_assert_cmpuint(display_count(rig->display, VHOST_USER_GPU_GET_EDID, 0, NULL), ==, 0);
	rig_destroy(rig);
}

static void test_silent_about_features(const void *mode)
{
	struct display_config display_config = display_config_default();
	display_config.is_silent_about_features = true;
	struct rig *rig = rig_create(
		&(struct rig_options){.mode = name_of(mode), .display = &display_config});

	assert_own_edid(rig, 0);
	g_assert_cmpuint(display_count(rig->display, VHOST_USER_GPU_GET_EDID, 0, NULL), ==, 0);
	rig_show_resource(rig, 1, 0, 64, 64, NULL);
	rig_assert_serves(rig);
	rig_destroy(rig);
}

static void test_garbage_replies(const void *mode)
{
	struct display_config display_config = display_config_default();
	display_config.has_garbage_replies = true;
	struct rig *rig = rig_create(
		&(struct rig_options){.mode = name_of(mode), .display = &display_config});

	assert_own_display_info(rig);
	assert_own_edid(rig, 0);
	rig_show_resource(rig, 1, 0, 64, 64, NULL);
	rig_assert_serves(rig);
	/* The next display is a sane one. */
	uint16_t control_base, cursor_base;
	rig_pause(rig, &control_base, &cursor_base);
	rig->display->config.has_garbage_replies = false;
	rig_start(rig, control_base, cursor_base);
	display_wait_features_acked(rig->display);
	struct virtio_gpu_resp_edid edid;
	uint8_t expected[128];
	g_assert_resp(vgpu_get_edid(rig->vgpu, 0, &edid), VIRTIO_GPU_RESP_OK_EDID);
	display_make_edid(0, expected);
	proto_assert_mem(edid.edid, expected, 128);
	rig_destroy(rig);
}

/* The generic vhost-user device has no display at all, and a guest still boots. */
static void test_no_display(const void *mode)
{
	struct rig *rig =
		rig_create(&(struct rig_options){.mode = name_of(mode), .has_no_display = true});

	assert_own_display_info(rig);
	for (uint32_t i = 0; i < VIRTIO_GPU_MAX_SCANOUTS; i++) {
		assert_own_edid(rig, i);
	}
	rig_show_resource(rig, 1, 0, 64, 64, NULL);
	vgpu_move_cursor(rig->vgpu, 0, 1, 1, 1);
	rig_assert_serves(rig);
	rig_destroy(rig);
}

static void test_headless(const void *mode)
{
	static const char *const args[] = {"--headless", NULL};
	struct rig *rig = rig_create(
		&(struct rig_options){.mode = name_of(mode), .args = args, .has_no_display = true});

	assert_own_display_info(rig);
	assert_own_edid(rig, 0);
	rig_show_resource(rig, 1, 0, 640, 480, NULL);
	rig_assert_serves(rig);
	rig_destroy(rig);
}

/* QEMU's console is resized: the guest's next question gets the new size. */
static void test_info_changes(const void *mode)
{
	struct rig *rig = proto_rig(mode);
	struct virtio_gpu_resp_display_info info;

	/* Not the answer to a question that the daemon has asked for itself before. */
	display_wait_features_acked(rig->display);
	vgpu_get_display_info(rig->vgpu, &info);
	for (uint32_t width = 800; width < 1600; width += 160) {
		display_resize(rig->display, width, 600);
		g_assert_resp(vgpu_get_display_info(rig->vgpu, &info),
			      VIRTIO_GPU_RESP_OK_DISPLAY_INFO);
		g_assert_cmpuint(info.pmodes[0].r.width, ==, width);
	}
	rig_destroy(rig);
}

static void test_pause_resume(const void *mode)
{
	struct rig *rig = proto_rig(mode);
	g_autofree uint32_t *pixels = rig_make_pattern(200, 100, 1);
	g_autofree uint32_t *image = rig_make_pattern(CURSOR_SIDE, CURSOR_SIDE, 2);
	struct display_cursor cursor;

	rig_make_resource(rig, 2, VIRTIO_GPU_FORMAT_B8G8R8A8_UNORM, CURSOR_SIDE, CURSOR_SIDE,
			  image);
	g_assert_ok(vgpu_transfer_to_host_2d(rig->vgpu, 2, 0, 0, 0, CURSOR_SIDE, CURSOR_SIDE));
	vgpu_update_cursor(rig->vgpu, 0, 2, 30, 40, 5, 6);
	rig_show_resource(rig, 1, 0, 200, 100, pixels);
	rig_show_resource(rig, 3, 7, 64, 64, NULL);
	display_wait_pixels(rig->display, 0, pixels, 200, 100);
	for (unsigned int i = 0; i < 10; i++) {
		rig_pause_resume(rig);
		/* The guest does nothing; all of it is there again. */
		display_wait_pixels(rig->display, 0, pixels, 200, 100);
		display_wait_scanout(rig->display, 7, 64, 64);
		display_wait_cursor(rig->display, 0, 1, 0, &cursor);
		g_assert_true(cursor.is_visible);
		g_assert_cmpuint(cursor.x, ==, 30);
		g_assert_cmpuint(cursor.hot_y, ==, 6);
		proto_assert_mem(cursor.data, image, sizeof(cursor.data));
		g_assert_cmpuint(display_get_surface(rig->display, 0).n_scanouts, ==, 1);
		g_assert_resp(vgpu_resource_create_2d(rig->vgpu, 1, FORMAT, 64, 64),
			      VIRTIO_GPU_RESP_ERR_INVALID_RESOURCE_ID);
	}
	/* Its resources work on. */
	g_assert_ok(vgpu_transfer_to_host_2d(rig->vgpu, 1, 0, 0, 0, 200, 100));
	g_assert_ok(vgpu_resource_flush(rig->vgpu, 1, 0, 0, 200, 100));
	display_wait_pixels(rig->display, 0, pixels, 200, 100);
	rig_destroy(rig);
}

/* Stopped with commands in flight: each comes back exactly once, before or after, none while the
 * rings stand. */
static void test_pause_busy(const void *mode)
{
	struct rig *rig = proto_rig(mode);
	struct virtio_gpu_resource_flush cmd = {
		{.type = VIRTIO_GPU_CMD_RESOURCE_FLUSH, .flags = VIRTIO_GPU_FLAG_FENCE},
		{0, 0, 640, 480},
		1,
		0};
	struct vgpu_chain chain = {
		.request = &cmd, .request_size = sizeof(cmd), .response_size = 24};
	struct vgpu_call *calls[50];

	rig_show_resource(rig, 1, 0, 640, 480, NULL);
	for (unsigned int round = 0; round < 10; round++) {
		uint16_t control_base, cursor_base;
		for (size_t i = 0; i < G_N_ELEMENTS(calls); i++) {
			cmd.hdr.fence_id += 1;
			calls[i] = vgpu_submit(rig->vgpu, VGPU_CONTROL, &chain);
		}
		ring_kick_always(rig->control);
		rig_pause(rig, &control_base, &cursor_base);
		uint16_t used = ring_used_idx(rig->control);
		for (unsigned int i = 0; i < 20; i++) {
			frontend_assert_alive(rig->frontend);
		}
		g_assert_cmpuint(ring_used_idx(rig->control), ==, used);
		rig_start(rig, control_base, cursor_base);
		for (size_t i = 0; i < G_N_ELEMENTS(calls); i++) {
			g_assert_true(vgpu_wait(rig->vgpu, calls[i], VGPU_ANSWER_MS));
			g_assert_ok(vgpu_finish(rig->vgpu, calls[i]));
		}
		rig_assert_serves(rig);
	}
	rig_destroy(rig);
}

/* A reboot: nothing survives, neither on the display nor in the tables nor in the quota. */
static void check_reset(struct rig *rig, bool has_message, bool draws)
{
	struct virtio_gpu_resp_display_info info;

	for (unsigned int i = 0; i < 20; i++) {
		g_autofree uint32_t *pixels = rig_make_pattern(100, 100, i);
		rig_show_resource(rig, 1, 0, 100, 100, pixels);
		g_assert_ok(vgpu_resource_create_2d(rig->vgpu, 2, FORMAT, 2048, 2048));
		if (draws) {
			display_wait_pixels(rig->display, 0, pixels, 100, 100);
		}
		rig_reset(rig, has_message);
		g_assert_resp(vgpu_get_display_info(rig->vgpu, &info),
			      VIRTIO_GPU_RESP_OK_DISPLAY_INFO);
		g_assert_resp(vgpu_resource_unref(rig->vgpu, 1),
			      VIRTIO_GPU_RESP_ERR_INVALID_RESOURCE_ID);
		g_assert_resp(vgpu_resource_unref(rig->vgpu, 2),
			      VIRTIO_GPU_RESP_ERR_INVALID_RESOURCE_ID);
		display_wait_features_acked(rig->display);
		g_assert_false(display_get_surface(rig->display, 0).is_set);
	}
}

static void test_reset_by_message(const void *mode)
{
	struct rig *rig = proto_rig(mode);

	check_reset(rig, true, ((const struct proto_mode *)mode)->draws);
	rig_destroy(rig);
}

static void test_reset_by_base(const void *mode)
{
	struct rig *rig = rig_create(&(struct rig_options){
		.mode = name_of(mode),
		.withheld_protocol_features = FEATURE(VHOST_USER_PROTOCOL_F_RESET_DEVICE)});

	/* QEMU 7.2 says nothing; that the ring starts at 0 again does. */
	check_reset(rig, false, ((const struct proto_mode *)mode)->draws);
	rig_destroy(rig);
}

/* Commands in flight when the guest resets must not come back into its new rings. */
static void test_reset_busy(const void *mode)
{
	struct rig *rig = proto_rig(mode);
	struct virtio_gpu_resource_flush cmd = {
		{.type = VIRTIO_GPU_CMD_RESOURCE_FLUSH, .flags = VIRTIO_GPU_FLAG_FENCE},
		{0, 0, 640, 480},
		1,
		0};
	struct vgpu_chain chain = {
		.request = &cmd, .request_size = sizeof(cmd), .response_size = 24};

	for (unsigned int round = 0; round < 10; round++) {
		rig_show_resource(rig, 1, 0, 640, 480, NULL);
		for (unsigned int i = 0; i < 50; i++) {
			vgpu_submit(rig->vgpu, VGPU_CONTROL, &chain);
		}
		ring_kick_always(rig->control);
		rig_reset(rig, true);
		/* A used entry that nobody waits for would be found here. */
		rig_assert_serves(rig);
	}
	rig_destroy(rig);
}

/* A second socket while the first is open: the latest is served, the old one closed. */
static void test_socket_replaced(const void *mode)
{
	struct rig *rig = proto_rig(mode);
	struct display_config config = display_config_default();
	g_autofree uint32_t *pixels = rig_make_pattern(64, 64, 1);
	bool draws = ((const struct proto_mode *)mode)->draws;

	rig_show_resource(rig, 1, 0, 64, 64, pixels);
	if (draws) {
		display_wait_pixels(rig->display, 0, pixels, 64, 64);
	}
	for (unsigned int i = 0; i < 10; i++) {
		struct display *next = display_create(&config);
		int fd = display_connect(next);
		frontend_gpu_set_socket(rig->frontend, fd);
		close(fd);
		display_wait_peer_closed(rig->display);
		display_wait_features_acked(next);
		if (draws) {
			display_wait_pixels(next, 0, pixels, 64, 64);
		}
		display_destroy(rig->display);
		rig->display = next;
	}
	rig_assert_serves(rig);
	rig_destroy(rig);
}

/* It goes, in the middle of a message, and commands go on; the next one gets everything. */
static void test_closes_half_way(const void *mode)
{
	struct rig *rig = rig_create(
		&(struct rig_options){.mode = name_of(mode), .region_bytes = UINT64_C(64) << 20});
	const uint32_t width = 1280, height = 800;
	g_autofree uint32_t *pixels = rig_make_pattern(width, height, 1);

	rig_make_resource(rig, 1, FORMAT, width, height, pixels);
	g_assert_ok(vgpu_transfer_to_host_2d(rig->vgpu, 1, 0, 0, 0, width, height));
	g_assert_ok(vgpu_set_scanout(rig->vgpu, 0, 1, 0, 0, width, height));
	for (unsigned int i = 0; i < 5; i++) {
		display_set_slow(rig->display, 4096);
		uint64_t n_bytes = display_n_bytes(rig->display);
		g_assert_ok(vgpu_resource_flush(rig->vgpu, 1, 0, 0, width, height));
		display_wait_bytes(rig->display, n_bytes + 20000);
		display_disconnect(rig->display);
		g_assert_ok(vgpu_resource_flush(rig->vgpu, 1, 0, 0, width, height));
		rig_assert_serves(rig);
		display_set_slow(rig->display, 0);
		int fd = display_connect(rig->display);
		frontend_gpu_set_socket(rig->frontend, fd);
		close(fd);
		display_wait_pixels(rig->display, 0, pixels, width, height);
	}
	rig_destroy(rig);
}

/* ---- B1: a display that does not read must hold up nobody ---- */

struct latencies {
	unsigned int n;
	unsigned int n_late;
	int64_t worst_us;
};

static void ask_config(struct rig *rig, struct latencies *latencies)
{
	uint8_t config[20];
	int64_t start = g_get_monotonic_time();

	g_assert_cmpuint(frontend_get_config(rig->frontend, 0, sizeof(config), config), ==,
			 sizeof(config));
	int64_t took = g_get_monotonic_time() - start;
	latencies->n += 1;
	latencies->n_late += took > suite_timeout_ms(CONTROL_LIMIT_MS) * 1000;
	latencies->worst_us = MAX(latencies->worst_us, took);
}

/* The host's own scheduling may hold up one answer in a hundred, none for long. */
static void assert_prompt(const struct latencies *latencies)
{
	g_test_message("%u answers, %u late, worst %d us", latencies->n, latencies->n_late,
		       (int)latencies->worst_us);
	g_assert_cmpuint(latencies->n, >=, 100);
	g_assert_cmpuint(latencies->n_late * 100, <=, latencies->n);
	g_assert_cmpint(latencies->worst_us, <, suite_timeout_ms(1000) * 1000);
}

static void test_never_reads(const void *mode)
{
	struct rig *rig = rig_create(
		&(struct rig_options){.mode = name_of(mode), .region_bytes = UINT64_C(64) << 20});
	const uint32_t width = 1920, height = 1080;
	struct latencies latencies = {0};
	uint64_t gpa = rig_make_resource(rig, 1, FORMAT, width, height, NULL);

	g_assert_ok(vgpu_set_scanout(rig->vgpu, 0, 1, 0, 0, width, height));
	display_wait_features_acked(rig->display);
	display_set_stalled(rig->display, true);
	for (uint32_t i = 0; i < 30; i++) {
		memset(guestram_at(rig->ram, gpa, width * height * 4), (int)(i * 8 + 7),
		       width * height * 4);
		g_assert_ok(vgpu_transfer_to_host_2d(rig->vgpu, 1, 0, 0, 0, width, height));
		g_assert_ok(vgpu_resource_flush(rig->vgpu, 1, 0, 0, width, height));
		vgpu_move_cursor(rig->vgpu, 0, 0, i, i);
		for (unsigned int j = 0; j < 20; j++) {
			ask_config(rig, &latencies);
			frontend_assert_alive(rig->frontend);
		}
	}
	assert_prompt(&latencies);
	/* A question to the display is answered for it when its time is up. */
	assert_own_display_info(rig);
	g_autofree char *words = daemon_stderr(rig->daemon);
	g_assert_nonnull(strstr(words, "the front-end's display does not answer"));
	/* It reads again, and has missed nothing of the last frame. */
	display_set_stalled(rig->display, false);
	g_autofree uint32_t *expected = g_new(uint32_t, width * height);
	memset(expected, 29 * 8 + 7, width * height * 4);
	display_wait_pixels(rig->display, 0, expected, width, height);
	rig_destroy(rig);
}

static void test_never_reads_and_stops(const void *mode)
{
	struct rig *rig = rig_create(
		&(struct rig_options){.mode = name_of(mode), .region_bytes = UINT64_C(64) << 20});
	g_autofree uint32_t *pixels = rig_make_pattern(1280, 800, 1);

	rig_show_resource(rig, 1, 0, 1280, 800, pixels);
	display_wait_pixels(rig->display, 0, pixels, 1280, 800);
	for (unsigned int i = 0; i < 5; i++) {
		display_set_stalled(rig->display, true);
		g_assert_ok(vgpu_resource_flush(rig->vgpu, 1, 0, 0, 1280, 800));
		g_assert_ok(vgpu_resource_flush(rig->vgpu, 1, 0, 0, 1280, 800));
		display_set_stalled(rig->display, false);
		int64_t start = g_get_monotonic_time();
		rig_pause_resume(rig);
		g_assert_cmpint(g_get_monotonic_time() - start, <, suite_timeout_ms(1000) * 1000);
		display_wait_pixels(rig->display, 0, pixels, 1280, 800);
	}
	rig_destroy(rig);
}

/* QEMU's display is as slow as its user interface, the console scrolls, and a vCPU reads the config
 * space in a loop. */
static void test_config_loop(const void *mode)
{
	struct rig *rig = rig_create(
		&(struct rig_options){.mode = name_of(mode), .region_bytes = UINT64_C(64) << 20});
	const uint32_t width = 1280, height = 800;
	struct latencies latencies = {0};
	int64_t end = g_get_monotonic_time() + 2 * G_USEC_PER_SEC;

	rig_make_resource(rig, 1, FORMAT, width, height, NULL);
	g_assert_ok(vgpu_set_scanout(rig->vgpu, 0, 1, 0, 0, width, height));
	display_set_slow(rig->display, 65536);
	while (g_get_monotonic_time() < end || latencies.n < 100) {
		g_assert_ok(vgpu_transfer_to_host_2d(rig->vgpu, 1, 0, 0, 0, width, height));
		g_assert_ok(vgpu_resource_flush(rig->vgpu, 1, 0, 0, width, height));
		for (unsigned int i = 0; i < 10; i++) {
			ask_config(rig, &latencies);
		}
	}
	assert_prompt(&latencies);
	display_set_slow(rig->display, 0);
	display_wait_scanout(rig->display, 0, width, height);
	rig_destroy(rig);
}

/* ---- a flush waits for its display, for a moment ---- */

static uint64_t show_large(struct rig *rig, const uint32_t *pixels)
{
	uint64_t gpa = rig_make_resource(rig, 1, FORMAT, 1920, 1080, pixels);

	g_assert_ok(vgpu_transfer_to_host_2d(rig->vgpu, 1, 0, 0, 0, 1920, 1080));
	g_assert_ok(vgpu_set_scanout(rig->vgpu, 0, 1, 0, 0, 1920, 1080));
	display_wait_features_acked(rig->display);
	return gpa;
}

/* A flush, and a command behind it which is answered. */
static struct vgpu_call *flush_and_go_on(struct rig *rig)
{
	const struct virtio_gpu_resource_flush flush = {
		{.type = VIRTIO_GPU_CMD_RESOURCE_FLUSH}, {0, 0, 1920, 1080}, 1, 0};
	const struct virtio_gpu_resource_create_2d create = {
		{.type = VIRTIO_GPU_CMD_RESOURCE_CREATE_2D}, 1, FORMAT, 16, 16};
	struct vgpu_chain chain = {
		.request = &flush, .request_size = sizeof(flush), .response_size = 24};

	struct vgpu_call *held = vgpu_submit(rig->vgpu, VGPU_CONTROL, &chain);
	chain.request = &create;
	chain.request_size = sizeof(create);
	struct vgpu_call *behind = vgpu_submit(rig->vgpu, VGPU_CONTROL, &chain);
	vgpu_kick(rig->vgpu, VGPU_CONTROL);
	g_assert_true(vgpu_wait(rig->vgpu, behind, VGPU_ANSWER_MS));
	g_assert_resp(vgpu_finish(rig->vgpu, behind), VIRTIO_GPU_RESP_ERR_INVALID_RESOURCE_ID);
	return held;
}

/* A display that stops to read, a picture of which it gets a part, and one with news that waits. */
static struct vgpu_call *hold_up(struct rig *rig, uint64_t gpa, uint32_t *pixels)
{
	display_set_stalled(rig->display, true);
	g_assert_ok(vgpu_resource_flush(rig->vgpu, 1, 0, 0, 1920, 1080));
	pixels[0] += 1;
	memcpy(guestram_at(rig->ram, gpa, 4), pixels, 4);
	g_assert_ok(vgpu_transfer_to_host_2d(rig->vgpu, 1, 0, 0, 0, 1, 1));
	return flush_and_go_on(rig);
}

static void finish_held(struct rig *rig, struct vgpu_call *held)
{
	g_assert_true(vgpu_wait(rig->vgpu, held, VGPU_ANSWER_MS));
	g_assert_ok(vgpu_finish(rig->vgpu, held));
}

/* With memory for pictures that do not fit a socket. */
static struct rig *create_roomy(const void *mode)
{
	return rig_create(
		&(struct rig_options){.mode = name_of(mode), .region_bytes = UINT64_C(64) << 20});
}

/* A flush is held for 16 ms; what took about as long says nothing of who came first. */
#define TELLING_US (12 * 1000)
#define TELLING_ROUNDS 10u
#define MAX_ROUNDS 200u

/*
 * The display has read all; but it lets flushes pass until the daemon has heard of it, in the
 * process that renders as well, which is told some time after the last byte went.
 */
static void let_it_be_known(struct rig *rig, uint64_t gpa, uint32_t *pixels)
{
	for (unsigned int i = 0; i < 2; i++) {
		display_wait_pixels(rig->display, 0, pixels, 1920, 1080);
		g_usleep(10 * 1000);
		pixels[0] += 1;
		memcpy(guestram_at(rig->ram, gpa, 4), pixels, 4);
		g_assert_ok(vgpu_transfer_to_host_2d(rig->vgpu, 1, 0, 0, 0, 1, 1));
		g_assert_ok(vgpu_resource_flush(rig->vgpu, 1, 0, 0, 1, 1));
	}
	display_wait_pixels(rig->display, 0, pixels, 1920, 1080);
}

static void test_flush_is_held(const void *mode)
{
	struct rig *rig = create_roomy(mode);
	g_autofree uint32_t *pixels = rig_make_pattern(1920, 1080, 1);
	uint64_t gpa = show_large(rig, pixels);
	unsigned int n_telling = 0, n_early = 0, n_rounds = 0;

	for (; n_telling < TELLING_ROUNDS && n_rounds < MAX_ROUNDS; n_rounds++) {
		gint64 start_us = g_get_monotonic_time();
		struct vgpu_call *held = hold_up(rig, gpa, pixels);
		bool is_telling = g_get_monotonic_time() - start_us < TELLING_US;
		n_telling += is_telling;
		n_early += is_telling && held->is_done;
		finish_held(rig, held);
		/* Once is enough until it reads on. */
		held = flush_and_go_on(rig);
		g_assert_true(!is_telling || held->is_done);
		finish_held(rig, held);
		display_set_stalled(rig->display, false);
		let_it_be_known(rig, gpa, pixels);
	}
	g_test_message("%u of %u rounds were quick enough to tell; early: %u", n_telling, n_rounds,
		       n_early);
	g_assert_cmpuint(n_early, ==, 0);
	rig_assert_serves(rig);
	rig_destroy(rig);
	if (n_telling < TELLING_ROUNDS) {
		suite_skip("this machine is too slow: %u of %u rounds took less than %u ms",
			   n_telling, n_rounds, TELLING_US / 1000u);
	}
}

/* Its time is up while the ring stands: it is answered when the ring runs again, once. */
static void test_held_flush_and_stop(const void *mode)
{
	struct rig *rig = create_roomy(mode);
	g_autofree uint32_t *pixels = rig_make_pattern(1920, 1080, 1);
	uint64_t gpa = show_large(rig, pixels);

	for (unsigned int i = 0; i < 10; i++) {
		struct vgpu_call *held = hold_up(rig, gpa, pixels);
		uint16_t base, cursor_base = 0;
		bool is_paused = i % 2 == 1; /* the display goes as well, and comes back */

		if (is_paused) {
			rig_pause(rig, &base, &cursor_base);
		} else {
			base = frontend_stop_ring(rig->frontend, VGPU_CONTROL);
		}
		uint16_t used = ring_used_idx(rig->control);
		g_usleep(50 * 1000);
		g_assert_cmpuint(ring_used_idx(rig->control), ==, used);
		if (is_paused) {
			rig_start(rig, base, cursor_base);
		} else {
			frontend_start_ring(rig->frontend, rig->control, base, false);
		}
		finish_held(rig, held);
		display_set_stalled(rig->display, false);
		display_wait_pixels(rig->display, 0, pixels, 1920, 1080);
	}
	rig_assert_serves(rig);
	rig_destroy(rig);
}

int main(int argc, char **argv)
{
	suite_init(&argc, &argv);
	proto_add("display", "old_front_end", test_old_front_end);
	/* These wait for deadlines, which no renderer has a part in: one mode is enough. */
	suite_add(test_silent_about_features, PROTO_NULL,
		  "/proto/display/null/silent_about_features");
	suite_add(test_garbage_replies, PROTO_NULL, "/proto/display/null/garbage_replies");
	proto_add("display", "no_display", test_no_display);
	proto_add("display", "headless", test_headless);
	proto_add("display", "info_changes", test_info_changes);
	proto_add_drawing("display", "pause_resume", test_pause_resume);
	proto_add("display", "pause_busy", test_pause_busy);
	proto_add("display", "reset_by_message", test_reset_by_message);
	proto_add("display", "reset_by_base", test_reset_by_base);
	proto_add("display", "reset_busy", test_reset_busy);
	proto_add("display", "socket_replaced", test_socket_replaced);
	proto_add_drawing("display", "closes_half_way", test_closes_half_way);
	proto_add_drawing("display", "never_reads", test_never_reads);
	proto_add_drawing("display", "never_reads_and_stops", test_never_reads_and_stops);
	proto_add_drawing("display", "config_loop", test_config_loop);
	proto_add_drawing("display", "flush_is_held", test_flush_is_held);
	proto_add_drawing("display", "held_flush_and_stop", test_held_flush_and_stop);
	return suite_run();
}
