/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * The cursor queue: an image from whatever resource the guest names, in the one format and size
 * that QEMU takes.
 */
#include <string.h>

#include "proto.h"

#define BGRA VIRTIO_GPU_FORMAT_B8G8R8A8_UNORM
#define SIDE CURSOR_SIDE
#define CURSOR_COMMAND_SIZE ((uint32_t)sizeof(struct virtio_gpu_update_cursor))

static bool draws(const void *mode)
{
	return ((const struct proto_mode *)mode)->draws;
}

/* Resource @id with @pixels already on the host. */
static void make_image(struct rig *rig, uint32_t id, uint32_t format, uint32_t width,
		       uint32_t height, const uint32_t *pixels)
{
	rig_make_resource(rig, id, format, width, height, pixels);
	g_assert_ok(vgpu_transfer_to_host_2d(rig->vgpu, id, 0, 0, 0, width, height));
}

/* Moves may be sent together, and with the image before them: the last place counts. */
static struct display_cursor wait_cursor_at(struct rig *rig, uint32_t x, uint32_t y)
{
	struct display_cursor cursor;
	unsigned int n = 0;

	display_wait_cursor(rig->display, 0, 1, 0, &cursor);
	while (cursor.x != x || cursor.y != y) {
		n = cursor.n_updates + cursor.n_moves + 1;
		display_wait_cursor_messages(rig->display, 0, n, &cursor);
	}
	return cursor;
}

/* Any shape of the command on the cursor queue comes back, and the good one after it works. */
static void check_cursor_shapes(struct rig *rig, uint32_t type)
{
	struct virtio_gpu_update_cursor cmd = {.hdr = {.type = type}, .pos = {0, 1, 1, 0}};
	const uint32_t sizes[] = {CURSOR_COMMAND_SIZE - 1, 24, 23, 4, 1};

	for (size_t i = 0; i < G_N_ELEMENTS(sizes); i++) {
		struct vgpu_chain chain = {.request = &cmd, .request_size = sizes[i]};
		vgpu_call_chain(rig->vgpu, VGPU_CURSOR, &chain);
		g_assert_cmpuint(rig->vgpu->last_used_size, ==, 0);
		chain.response_size = 24;
		vgpu_call_chain(rig->vgpu, VGPU_CURSOR, &chain);
	}
	struct vgpu_chain chain = {.request = &cmd,
				   .request_size = sizeof(cmd),
				   .request_split = 6,
				   .is_indirect = true};
	vgpu_call_chain(rig->vgpu, VGPU_CURSOR, &chain);
	rig_assert_serves(rig);
}

static void test_update_cursor(const void *mode)
{
	struct rig *rig = proto_rig(mode);
	g_autofree uint32_t *pixels = rig_make_pattern(SIDE, SIDE, 1);
	struct display_cursor cursor;

	make_image(rig, 1, BGRA, SIDE, SIDE, pixels);
	vgpu_update_cursor(rig->vgpu, 0, 1, 100, 200, 3, 4);
	if (draws(mode)) {
		display_wait_cursor(rig->display, 0, 1, 0, &cursor);
		g_assert_true(cursor.is_visible);
		g_assert_cmpuint(cursor.x, ==, 100);
		g_assert_cmpuint(cursor.y, ==, 200);
		g_assert_cmpuint(cursor.hot_x, ==, 3);
		g_assert_cmpuint(cursor.hot_y, ==, 4);
		proto_assert_mem(cursor.data, pixels, sizeof(cursor.data));
	}
	/* Refused: nothing is sent for a resource that isn't there, or a scanout. */
	vgpu_update_cursor(rig->vgpu, 0, 99, 1, 1, 0, 0);
	vgpu_update_cursor(rig->vgpu, 16, 1, 1, 1, 0, 0);
	vgpu_update_cursor(rig->vgpu, UINT32_MAX, 1, 1, 1, 0, 0);
	check_cursor_shapes(rig, VIRTIO_GPU_CMD_UPDATE_CURSOR);
	vgpu_update_cursor(rig->vgpu, 0, 1, 7, 8, 0, 0);
	if (draws(mode)) {
		display_wait_cursor(rig->display, 0, 2, 0, &cursor);
		g_assert_cmpuint(cursor.x, ==, 7);
		g_assert_cmpuint(
			display_count(rig->display, VHOST_USER_GPU_CURSOR_UPDATE, 16, NULL), ==, 0);
		g_assert_cmpuint(cursor.n_updates, ==, 2);
	}
	rig_destroy(rig);
}

static void test_move_cursor(const void *mode)
{
	struct rig *rig = proto_rig(mode);
	g_autofree uint32_t *pixels = rig_make_pattern(SIDE, SIDE, 2);

	make_image(rig, 1, BGRA, SIDE, SIDE, pixels);
	vgpu_update_cursor(rig->vgpu, 0, 1, 10, 20, 0, 0);
	vgpu_move_cursor(rig->vgpu, 0, 1, 30, 40);
	if (draws(mode)) {
		g_assert_true(wait_cursor_at(rig, 30, 40).is_visible);
	}
	/* Over the left and upper edge: the hot spot is on the screen, the image begins outside. */
	vgpu_move_cursor(rig->vgpu, 0, 1, (uint32_t)-5, (uint32_t)-6);
	if (draws(mode)) {
		g_assert_true(wait_cursor_at(rig, (uint32_t)-5, (uint32_t)-6).is_visible);
	}
	vgpu_move_cursor(rig->vgpu, 16, 1, 1, 1);
	vgpu_move_cursor(rig->vgpu, UINT32_MAX, 1, 1, 1);
	check_cursor_shapes(rig, VIRTIO_GPU_CMD_MOVE_CURSOR);
	rig_destroy(rig);
}

static void test_hide(const void *mode)
{
	struct rig *rig = proto_rig(mode);
	g_autofree uint32_t *pixels = rig_make_pattern(SIDE, SIDE, 3);
	struct display_cursor cursor;

	/* By UPDATE_CURSOR and by MOVE_CURSOR of resource 0. */
	make_image(rig, 1, BGRA, SIDE, SIDE, pixels);
	vgpu_update_cursor(rig->vgpu, 0, 1, 10, 20, 0, 0);
	display_wait_cursor(rig->display, 0, 1, 0, &cursor);
	vgpu_update_cursor(rig->vgpu, 0, 0, 10, 20, 0, 0);
	display_wait_cursor(rig->display, 0, 1, 1, &cursor);
	g_assert_false(cursor.is_visible);
	g_assert_cmpuint(cursor.n_updates, ==, 1);
	vgpu_update_cursor(rig->vgpu, 0, 1, 11, 21, 0, 0);
	display_wait_cursor(rig->display, 0, 2, 1, &cursor);
	g_assert_true(cursor.is_visible);
	vgpu_move_cursor(rig->vgpu, 0, 0, 11, 21);
	display_wait_cursor(rig->display, 0, 2, 2, &cursor);
	g_assert_false(cursor.is_visible);
	rig_destroy(rig);
}

struct cursor_format {
	uint32_t format;
	unsigned int red, green, blue;
	int alpha; /* -1: none by name, but Linux puts it into the byte that is left over */
};

static void test_formats(const void *mode)
{
	static const struct cursor_format formats[] = {
		{VIRTIO_GPU_FORMAT_B8G8R8A8_UNORM, 2, 1, 0, 3},
		{VIRTIO_GPU_FORMAT_B8G8R8X8_UNORM, 2, 1, 0, -1},
		{VIRTIO_GPU_FORMAT_A8R8G8B8_UNORM, 1, 2, 3, 0},
		{VIRTIO_GPU_FORMAT_X8R8G8B8_UNORM, 1, 2, 3, -1},
		{VIRTIO_GPU_FORMAT_R8G8B8A8_UNORM, 0, 1, 2, 3},
		{VIRTIO_GPU_FORMAT_X8B8G8R8_UNORM, 3, 2, 1, -1},
		{VIRTIO_GPU_FORMAT_A8B8G8R8_UNORM, 3, 2, 1, 0},
		{VIRTIO_GPU_FORMAT_R8G8B8X8_UNORM, 0, 1, 2, -1},
	};
	struct rig *rig = proto_rig(mode);
	struct display_cursor cursor;
	uint32_t expected[SIDE * SIDE];

	for (uint32_t i = 0; i < G_N_ELEMENTS(formats); i++) {
		const struct cursor_format *format = &formats[i];
		g_autofree uint32_t *pixels = rig_make_pattern(SIDE, SIDE, i);
		for (uint32_t j = 0; j < SIDE * SIDE; j++) {
			const uint8_t *bytes = (const uint8_t *)&pixels[j];
			uint32_t alpha =
				bytes[0 + 1 + 2 + 3 - format->red - format->green - format->blue];
			expected[j] = alpha << 24 | (uint32_t)bytes[format->red] << 16 |
				      (uint32_t)bytes[format->green] << 8 | bytes[format->blue];
		}
		make_image(rig, i + 1, format->format, SIDE, SIDE, pixels);
		vgpu_update_cursor(rig->vgpu, 0, i + 1, 0, 0, 0, 0);
		display_wait_cursor(rig->display, 0, i + 1, 0, &cursor);
		g_test_message("format %u", format->format);
		proto_assert_mem(cursor.data, expected, sizeof(cursor.data));
	}
	rig_destroy(rig);
}

/* Smaller images stand in the top left of transparent ones; larger ones are refused or cut, and
 * nothing else. */
static void test_sizes(const void *mode)
{
	static const uint32_t sizes[][2] = {{32, 32}, {1, 1},	{64, 16},
					    {16, 64}, {24, 48}, {63, 63}};
	struct rig *rig = proto_rig(mode);
	struct display_cursor cursor;

	for (uint32_t i = 0; i < G_N_ELEMENTS(sizes); i++) {
		const uint32_t width = sizes[i][0], height = sizes[i][1];
		g_autofree uint32_t *pixels = rig_make_pattern(width, height, i);
		uint32_t expected[SIDE * SIDE] = {0};
		for (uint32_t row = 0; row < height; row++) {
			memcpy(expected + row * SIDE, pixels + row * width, width * 4);
		}
		make_image(rig, i + 1, BGRA, width, height, pixels);
		vgpu_update_cursor(rig->vgpu, 0, i + 1, 0, 0, 0, 0);
		display_wait_cursor(rig->display, 0, i + 1, 0, &cursor);
		proto_assert_mem(cursor.data, expected, sizeof(expected));
	}
	rig_make_resource(rig, 50, BGRA, 65, 64, NULL);
	rig_make_resource(rig, 51, BGRA, 2048, 2048, NULL);
	vgpu_update_cursor(rig->vgpu, 0, 50, 0, 0, 0, 0);
	vgpu_update_cursor(rig->vgpu, 0, 51, 0, 0, 0, 0);
	rig_assert_serves(rig);
	rig_destroy(rig);
}

static void test_scanouts(const void *mode)
{
	struct rig *rig = proto_rig(mode);
	g_autofree uint32_t *pixels = rig_make_pattern(SIDE, SIDE, 9);
	struct display_cursor cursor;

	make_image(rig, 1, BGRA, SIDE, SIDE, pixels);
	for (uint32_t i = 0; i < DISPLAY_SCANOUTS; i++) {
		vgpu_update_cursor(rig->vgpu, i, 1, i, 2 * i, 0, 0);
	}
	for (uint32_t i = 0; i < DISPLAY_SCANOUTS; i++) {
		display_wait_cursor(rig->display, i, 1, 0, &cursor);
		g_assert_cmpuint(cursor.x, ==, i);
		proto_assert_mem(cursor.data, pixels, sizeof(cursor.data));
	}
	rig_destroy(rig);
}

/* The image is taken when the command comes: the guest may reuse or drop the resource at once. */
static void test_resource_goes(const void *mode)
{
	struct rig *rig = proto_rig(mode);
	g_autofree uint32_t *pixels = rig_make_pattern(SIDE, SIDE, 10);
	struct display_cursor cursor;

	for (uint32_t i = 1; i < 20; i++) {
		make_image(rig, 1, BGRA, SIDE, SIDE, pixels);
		vgpu_update_cursor(rig->vgpu, 0, 1, i, 0, 0, 0);
		g_assert_ok(vgpu_resource_unref(rig->vgpu, 1));
		display_wait_cursor(rig->display, 0, i, 0, &cursor);
		proto_assert_mem(cursor.data, pixels, sizeof(cursor.data));
	}
	rig_destroy(rig);
}

/* What belongs on the control queue is not carried out on this one. */
static void test_wrong_queue(const void *mode)
{
	struct rig *rig = proto_rig(mode);
	struct virtio_gpu_resource_create_2d cmd = {
		{.type = VIRTIO_GPU_CMD_RESOURCE_CREATE_2D}, 1, BGRA, 64, 64};
	struct vgpu_chain chain = {
		.request = &cmd, .request_size = sizeof(cmd), .response_size = 24};

	uint32_t type = vgpu_call_chain(rig->vgpu, VGPU_CURSOR, &chain);
	g_assert_cmphex(type, !=, VIRTIO_GPU_RESP_OK_NODATA);
	g_assert_resp(vgpu_resource_unref(rig->vgpu, 1), VIRTIO_GPU_RESP_ERR_INVALID_RESOURCE_ID);
	rig_destroy(rig);
}

/* A desktop moves its pointer hundreds of times a second; the last place counts. */
static void test_many_moves(const void *mode)
{
	struct rig *rig = proto_rig(mode);
	g_autofree uint32_t *pixels = rig_make_pattern(SIDE, SIDE, 11);

	make_image(rig, 1, BGRA, SIDE, SIDE, pixels);
	vgpu_update_cursor(rig->vgpu, 0, 1, 0, 0, 0, 0);
	for (uint32_t i = 1; i <= 500; i++) {
		vgpu_move_cursor(rig->vgpu, 0, 1, i, i);
	}
	g_assert_true(wait_cursor_at(rig, 500, 500).is_visible);
	rig_destroy(rig);
}

/* ---- beside copies that take long ---- */

#define LARGE_SIDE 8192u
#define LARGE_ID 50u

static struct vgpu_call *submit(struct rig *rig, enum vgpu_queue queue, const void *cmd,
				uint32_t size)
{
	struct vgpu_chain chain = {.request = cmd, .request_size = size, .response_size = 24};

	return vgpu_submit(rig->vgpu, queue, &chain);
}

static struct vgpu_call *submit_transfer(struct rig *rig)
{
	struct virtio_gpu_transfer_to_host_2d cmd = {{.type = VIRTIO_GPU_CMD_TRANSFER_TO_HOST_2D},
						     {0, 0, LARGE_SIDE, LARGE_SIDE},
						     0,
						     LARGE_ID,
						     0};

	return submit(rig, VGPU_CONTROL, &cmd, sizeof(cmd));
}

static struct vgpu_call *send_move(struct rig *rig, uint32_t x)
{
	struct virtio_gpu_update_cursor cmd = {
		.hdr = {.type = VIRTIO_GPU_CMD_MOVE_CURSOR}, .pos = {.x = x}, .resource_id = 1};
	struct vgpu_call *call = submit(rig, VGPU_CURSOR, &cmd, sizeof(cmd));

	vgpu_kick(rig->vgpu, VGPU_CURSOR);
	return call;
}

static void finish(struct rig *rig, struct vgpu_call *call)
{
	g_assert_true(vgpu_wait(rig->vgpu, call, VGPU_ANSWER_MS));
	g_assert_ok(vgpu_finish(rig->vgpu, call));
}

struct progress {
	struct rig *rig;
	uint16_t used_before;
};

static bool has_answered_one(void *data)
{
	struct progress *progress = data;

	return ring_used_idx(progress->rig->control) != progress->used_before;
}

/* The pointer does not wait for a picture that is being copied. */
static void test_overtakes_a_copy(const void *mode)
{
	struct rig *rig = proto_rig(mode);
	struct virtio_gpu_resource_flush flush = {
		{.type = VIRTIO_GPU_CMD_RESOURCE_FLUSH}, {0}, LARGE_ID, 0};
	bool has_overtaken = false;

	rig_make_large(rig, LARGE_ID, LARGE_SIDE);
	for (uint32_t i = 0; i < 10 && !has_overtaken; i++) {
		struct progress progress = {rig, ring_used_idx(rig->control)};
		/* Its answer says that the copy has its turn. */
		struct vgpu_call *first = submit(rig, VGPU_CONTROL, &flush, sizeof(flush));
		struct vgpu_call *transfer = submit_transfer(rig);
		vgpu_kick(rig->vgpu, VGPU_CONTROL);
		g_assert_true(suite_wait(has_answered_one, &progress, VGPU_ANSWER_MS));
		g_usleep(1000);
		struct vgpu_call *move = send_move(rig, i + 1);
		g_assert_true(vgpu_wait(rig->vgpu, move, VGPU_ANSWER_MS));
		has_overtaken = ring_used_idx(rig->control) == (uint16_t)(progress.used_before + 1);
		finish(rig, move);
		finish(rig, first);
		finish(rig, transfer);
	}
	g_assert_true(has_overtaken);
	rig_destroy(rig);
}

/* Stopped or reset in the middle of a copy, with the pointer on its way: each command comes back
 * once, or is dropped with its guest. */
static void test_stops_in_a_copy(const void *mode)
{
	struct rig *rig = proto_rig(mode);
	struct vgpu_call *moves[7];

	rig_make_large(rig, LARGE_ID, LARGE_SIDE);
	for (uint32_t round = 0; round < 12; round++) {
		uint16_t control_base, cursor_base;
		struct vgpu_call *transfer = submit_transfer(rig);
		vgpu_kick(rig->vgpu, VGPU_CONTROL);
		for (uint32_t i = 0; i < G_N_ELEMENTS(moves); i++) {
			g_usleep(300 * (round / 2));
			moves[i] = send_move(rig, i);
		}
		if (round % 2 == 1) {
			rig_reset(rig, true);
			/* The old copy goes on; its answer must not come into the new ring. */
			finish(rig, send_move(rig, 1));
			rig_assert_serves(rig);
			rig_make_large(rig, LARGE_ID, LARGE_SIDE);
			continue;
		}
		rig_pause(rig, &control_base, &cursor_base);
		uint16_t control_used = ring_used_idx(rig->control);
		uint16_t cursor_used = ring_used_idx(rig->cursor);
		g_usleep(100 * 1000); /* the copy is done by now */
		frontend_assert_alive(rig->frontend);
		g_assert_cmpuint(ring_used_idx(rig->control), ==, control_used);
		g_assert_cmpuint(ring_used_idx(rig->cursor), ==, cursor_used);
		rig_start(rig, control_base, cursor_base);
		finish(rig, transfer);
		for (uint32_t i = 0; i < G_N_ELEMENTS(moves); i++) {
			finish(rig, moves[i]);
		}
		rig_assert_serves(rig);
	}
	rig_destroy(rig);
}

int main(int argc, char **argv)
{
	suite_init(&argc, &argv);
	proto_add("device", "update_cursor", test_update_cursor);
	proto_add("device", "move_cursor", test_move_cursor);
	proto_add("cursor", "wrong_queue", test_wrong_queue);
	proto_add_drawing("cursor", "hide", test_hide);
	proto_add_drawing("cursor", "formats", test_formats);
	proto_add_drawing("cursor", "sizes", test_sizes);
	proto_add_drawing("cursor", "scanouts", test_scanouts);
	proto_add_drawing("cursor", "resource_goes", test_resource_goes);
	proto_add_drawing("cursor", "many_moves", test_many_moves);
	suite_add(test_overtakes_a_copy, PROTO_2D, "/proto/cursor/2d/overtakes_a_copy");
	suite_add(test_stops_in_a_copy, PROTO_2D, "/proto/cursor/2d/stops_in_a_copy");
	return suite_run();
}
