/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * OpenGL by virglrenderer: what a command stream draws comes back by transfer and reaches the
 * display; fences complete after what they fence, in order, with all 64 bits; a bad stream hurts
 * its context at most.
 */
#include <string.h>

#include "proto.h"
#include "virgl_stream.h"

#define WIDTH 96u
#define HEIGHT 64u
#define FORMAT VIRGL_FORMAT_B8G8R8A8
#define BIND (VIRGL_BIND_RENDER_TARGET | VIRGL_BIND_SAMPLER_VIEW | VIRGL_BIND_SCANOUT)
#define SIZE_BYTES (WIDTH * HEIGHT * 4)
#define CTX 1u

static const struct virtio_gpu_box whole = {0, 0, 0, WIDTH, HEIGHT, 1};

/* Context CTX, and resource @id attached to it, backed by the memory returned. */
static uint64_t make_target(struct rig *rig, uint32_t id, uint32_t flags)
{
	uint64_t gpa = rig_backing(rig, NULL, SIZE_BYTES);

	g_assert_ok(vgpu_resource_create_3d(rig->vgpu, id, FORMAT, BIND, WIDTH, HEIGHT, flags));
	g_assert_ok(vgpu_resource_attach_one(rig->vgpu, id, gpa, SIZE_BYTES));
	g_assert_ok(vgpu_ctx_attach_resource(rig->vgpu, CTX, id));
	return gpa;
}

static struct rig *make_rig(const void *mode)
{
	struct rig *rig = proto_rig(mode);

	g_assert_ok(vgpu_ctx_create(rig->vgpu, CTX, 0, "test"));
	return rig;
}

static void begin_target(struct virgl_stream *stream, uint32_t resource)
{
	virgl_stream_create_surface(stream, 1000 + resource, resource, FORMAT);
	virgl_stream_set_framebuffer(stream, 1000 + resource);
}

static void submit(struct rig *rig, const struct virgl_stream *stream)
{
	g_assert_ok(vgpu_submit_3d(rig->vgpu, CTX, stream->words, virgl_stream_size_bytes(stream)));
}

static void fill(uint32_t *pixels, uint32_t value)
{
	for (uint32_t i = 0; i < WIDTH * HEIGHT; i++) {
		pixels[i] = value;
	}
}

static void test_clear(const void *mode)
{
	struct rig *rig = make_rig(mode);
	uint64_t gpa = make_target(rig, 1, 0);
	uint32_t *pixels = guestram_at(rig->ram, gpa, SIZE_BYTES);
	g_autofree uint32_t *expected = g_new(uint32_t, WIDTH * HEIGHT);
	struct virgl_stream stream = {0};

	begin_target(&stream, 1);
	virgl_stream_clear(&stream, 1.0f, 0.2f, 0.0f, 1.0f);
	submit(rig, &stream);
	memset(pixels, 0x55, SIZE_BYTES);
	g_assert_ok(vgpu_transfer_from_host_3d(rig->vgpu, CTX, 1, &whole, 0, 0));
	fill(expected, 0xffff3300);
	proto_assert_mem(pixels, expected, SIZE_BYTES);
	/* On a scanout: the same, by read-back. */
	g_assert_ok(vgpu_set_scanout(rig->vgpu, 0, 1, 0, 0, WIDTH, HEIGHT));
	g_assert_ok(vgpu_resource_flush(rig->vgpu, 1, 0, 0, WIDTH, HEIGHT));
	display_wait_pixels(rig->display, 0, expected, WIDTH, HEIGHT);
	/* The next frame replaces it. */
	struct virgl_stream next = {0};
	virgl_stream_clear(&next, 0.0f, 0.0f, 1.0f, 1.0f);
	submit(rig, &next);
	g_assert_ok(vgpu_resource_flush(rig->vgpu, 1, 0, 0, WIDTH, HEIGHT));
	fill(expected, 0x0000ff);
	display_wait_pixels(rig->display, 0, expected, WIDTH, HEIGHT);
	rig_destroy(rig);
}

/* To the host and back, all of it and parts, at strides of their own. */
static void test_round_trip(const void *mode)
{
	struct rig *rig = make_rig(mode);
	uint64_t gpa = make_target(rig, 1, 0);
	uint32_t *pixels = guestram_at(rig->ram, gpa, SIZE_BYTES);
	g_autofree uint32_t *pattern = rig_make_pattern(WIDTH, HEIGHT, 1);
	const struct virtio_gpu_box part = {16, 8, 0, 32, 20, 1};

	memcpy(pixels, pattern, SIZE_BYTES);
	g_assert_ok(vgpu_transfer_to_host_3d(rig->vgpu, CTX, 1, &whole, 0, WIDTH * 4));
	memset(pixels, 0, SIZE_BYTES);
	g_assert_ok(vgpu_transfer_from_host_3d(rig->vgpu, CTX, 1, &whole, 0, WIDTH * 4));
	proto_assert_mem(pixels, pattern, SIZE_BYTES);

	memset(pixels, 0, SIZE_BYTES);
	g_assert_ok(vgpu_transfer_from_host_3d(rig->vgpu, CTX, 1, &part, (8 * WIDTH + 16) * 4,
					       WIDTH * 4));
	for (uint32_t row = 0; row < HEIGHT; row++) {
		for (uint32_t column = 0; column < WIDTH; column++) {
			bool is_inside = column >= 16 && column < 48 && row >= 8 && row < 28;
			uint32_t i = row * WIDTH + column;
			g_assert_cmphex(pixels[i], ==, is_inside ? pattern[i] : 0);
		}
	}
	rig_destroy(rig);
}

/* Resource @id, attached to CTX: a texture that a stream has made, and the guest's pages, as two
 * pieces of the memory returned: the lower half of the picture lies before the upper one. */
static uint64_t make_blob_of_both(struct rig *rig, uint32_t id)
{
	struct virgl_stream stream = {0};
	uint64_t gpa = rig_backing(rig, NULL, SIZE_BYTES);
	const struct virtio_gpu_mem_entry entries[] = {{gpa + SIZE_BYTES / 2, SIZE_BYTES / 2, 0},
						       {gpa, SIZE_BYTES / 2, 0}};
	const struct vgpu_blob blob = {.mem = VIRTIO_GPU_BLOB_MEM_HOST3D_GUEST,
				       .blob_id = 4711,
				       .size_bytes = SIZE_BYTES,
				       .entries = entries,
				       .n_entries = G_N_ELEMENTS(entries)};

	virgl_stream_create_pipe_resource(&stream, 4711, FORMAT, BIND, WIDTH, HEIGHT);
	submit(rig, &stream);
	rig->vgpu->next_hdr.ctx_id = CTX;
	g_assert_ok(vgpu_resource_create_blob(rig->vgpu, id, &blob));
	g_assert_ok(vgpu_ctx_attach_resource(rig->vgpu, CTX, id));
	return gpa;
}

/* The same with a blob of both memories: what the guest has written is the texture's when it says
 * so, and what was drawn is the guest's; neither before. Also when the pages were away. */
static void test_blob_round_trip(const void *mode)
{
	const uint32_t half = WIDTH * HEIGHT / 2, whole_row = WIDTH * 4;
	const struct virtio_gpu_box row = {0, HEIGHT - 1, 0, WIDTH, 1, 1};
	const struct virtio_gpu_box beyond = {0, 1, 0, WIDTH, HEIGHT, 1};
	struct rig *rig = make_rig(mode);
	uint64_t gpa = make_blob_of_both(rig, 1);
	uint32_t *pixels = guestram_at(rig->ram, gpa, SIZE_BYTES);
	g_autofree uint32_t *pattern = rig_make_pattern(WIDTH, HEIGHT, 6);
	g_autofree uint32_t *expected = g_new0(uint32_t, WIDTH * HEIGHT);

	memcpy(pixels, pattern, SIZE_BYTES);
	g_assert_ok(vgpu_transfer_to_host_3d(rig->vgpu, CTX, 1, &whole, 0, whole_row));
	memset(pixels, 0, SIZE_BYTES);
	/* A row alone, the last, which is in the first piece of memory. */
	g_assert_ok(vgpu_transfer_from_host_3d(rig->vgpu, CTX, 1, &row, (HEIGHT - 1) * whole_row,
					       whole_row));
	memcpy(expected + half - WIDTH, pattern + half - WIDTH, whole_row);
	proto_assert_mem(pixels, expected, SIZE_BYTES);
	g_assert_ok(vgpu_transfer_from_host_3d(rig->vgpu, CTX, 1, &whole, 0, whole_row));
	proto_assert_mem(pixels, pattern, SIZE_BYTES);
	/* The second half of memory is the upper one of the picture. */
	memcpy(expected, pattern + half, SIZE_BYTES / 2);
	memcpy(expected + half, pattern, SIZE_BYTES / 2);
	g_assert_ok(vgpu_set_scanout_blob(rig->vgpu, 0, 1,
					  &(struct vgpu_layout){FORMAT, WIDTH, HEIGHT, whole_row, 0}));
	g_assert_ok(vgpu_resource_flush(rig->vgpu, 1, 0, 0, WIDTH, HEIGHT));
	display_wait_pixels(rig->display, 0, expected, WIDTH, HEIGHT);

	struct virgl_stream stream = {0};
	begin_target(&stream, 1);
	virgl_stream_clear(&stream, 1.0f, 0.2f, 0.0f, 1.0f);
	submit(rig, &stream);
	proto_assert_mem(pixels, pattern, SIZE_BYTES);
	rig_pause_resume(rig);
	g_assert_ok(vgpu_transfer_from_host_3d(rig->vgpu, CTX, 1, &whole, 0, 0));
	fill(expected, 0xffff3300);
	proto_assert_mem(pixels, expected, SIZE_BYTES);

	g_assert_resp(vgpu_transfer_to_host_3d(rig->vgpu, CTX, 1, &beyond, 0, whole_row),
		      VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER);
	g_assert_resp(vgpu_transfer_from_host_3d(rig->vgpu, CTX, 1, &beyond, 0, whole_row),
		      VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER);
	rig_destroy(rig);
}

/* The first row of what the guest uploads is the upper one on the display, whichever way the
 * texture is stored. */
static void check_orientation(const void *mode, uint32_t flags)
{
	struct rig *rig = make_rig(mode);
	uint64_t gpa = make_target(rig, 1, flags);
	g_autofree uint32_t *pattern = rig_make_pattern(WIDTH, HEIGHT, 2);
	struct display_message damage;

	memcpy(guestram_at(rig->ram, gpa, SIZE_BYTES), pattern, SIZE_BYTES);
	g_assert_ok(vgpu_transfer_to_host_3d(rig->vgpu, CTX, 1, &whole, 0, 0));
	g_assert_ok(vgpu_set_scanout(rig->vgpu, 0, 1, 0, 0, WIDTH, HEIGHT));
	g_assert_ok(vgpu_resource_flush(rig->vgpu, 1, 0, 0, WIDTH, HEIGHT));
	display_wait_pixels(rig->display, 0, pattern, WIDTH, HEIGHT);
	/* Damage is counted from the same corner. */
	unsigned int first = display_n_messages(rig->display);
	const struct virtio_gpu_box box = {8, 4, 0, 16, 8, 1};
	uint32_t *pixels = guestram_at(rig->ram, gpa, SIZE_BYTES);
	for (uint32_t row = 4; row < 12; row++) {
		for (uint32_t column = 8; column < 24; column++) {
			pixels[row * WIDTH + column] = pattern[row * WIDTH + column] = 0xff445566;
		}
	}
	g_assert_ok(
		vgpu_transfer_to_host_3d(rig->vgpu, CTX, 1, &box, (4 * WIDTH + 8) * 4, WIDTH * 4));
	g_assert_ok(vgpu_resource_flush(rig->vgpu, 1, 8, 4, 16, 8));
	display_wait_pixels(rig->display, 0, pattern, WIDTH, HEIGHT);
	g_assert_true(display_get_damage(rig->display, 0, first, &damage));
	g_assert_cmpuint(damage.x, ==, 8);
	g_assert_cmpuint(damage.y, ==, 4);
	g_assert_cmpuint(damage.width, ==, 16);
	g_assert_cmpuint(damage.height, ==, 8);
	rig_destroy(rig);
}

static void test_orientation_bottom_up(const void *mode)
{
	check_orientation(mode, 0);
}

static void test_orientation_top_down(const void *mode)
{
	check_orientation(mode, VIRTIO_GPU_RESOURCE_FLAG_Y_0_TOP);
}

/* One resource drawn from another: the stream's own coordinates. */
static void test_copy(const void *mode)
{
	struct rig *rig = make_rig(mode);
	g_autofree uint32_t *pattern = rig_make_pattern(WIDTH, HEIGHT, 3);
	g_autofree uint32_t *expected = g_new(uint32_t, WIDTH * HEIGHT);
	struct virgl_stream stream = {0};

	uint64_t source = make_target(rig, 1, 0);
	uint64_t target = make_target(rig, 2, 0);
	memcpy(guestram_at(rig->ram, source, SIZE_BYTES), pattern, SIZE_BYTES);
	g_assert_ok(vgpu_transfer_to_host_3d(rig->vgpu, CTX, 1, &whole, 0, 0));
	begin_target(&stream, 2);
	virgl_stream_clear(&stream, 0.0f, 1.0f, 0.0f, 1.0f);
	virgl_stream_copy(&stream, 2, 40, 30, 1, 10, 5, 20, 12);
	submit(rig, &stream);
	g_assert_ok(vgpu_transfer_from_host_3d(rig->vgpu, CTX, 2, &whole, 0, 0));
	fill(expected, 0xff00ff00);
	for (uint32_t row = 0; row < 12; row++) {
		memcpy(expected + (30 + row) * WIDTH + 40, pattern + (5 + row) * WIDTH + 10,
		       20 * 4);
	}
	proto_assert_mem(guestram_at(rig->ram, target, SIZE_BYTES), expected, SIZE_BYTES);
	rig_destroy(rig);
}

static void test_part_of_scanout(const void *mode)
{
	struct rig *rig = make_rig(mode);
	uint64_t gpa = make_target(rig, 1, 0);
	g_autofree uint32_t *pattern = rig_make_pattern(WIDTH, HEIGHT, 4);
	g_autofree uint32_t *expected = g_new(uint32_t, 40 * 30);

	memcpy(guestram_at(rig->ram, gpa, SIZE_BYTES), pattern, SIZE_BYTES);
	g_assert_ok(vgpu_transfer_to_host_3d(rig->vgpu, CTX, 1, &whole, 0, 0));
	g_assert_ok(vgpu_set_scanout(rig->vgpu, 0, 1, 20, 10, 40, 30));
	g_assert_ok(vgpu_resource_flush(rig->vgpu, 1, 0, 0, WIDTH, HEIGHT));
	for (uint32_t row = 0; row < 30; row++) {
		memcpy(expected + row * 40, pattern + (10 + row) * WIDTH + 20, 40 * 4);
	}
	display_wait_pixels(rig->display, 0, expected, 40, 30);
	rig_destroy(rig);
}

/* Fenced submits in a row: all complete, in order, after their work, with the id they came with. */
static void test_fences(const void *mode)
{
	struct rig *rig = make_rig(mode);
	const uint64_t base = UINT64_C(0xfffffffe);
	struct vgpu_call *calls[40];
	struct virgl_stream stream = {0};
	struct virtio_gpu_cmd_submit cmd = {.hdr = {.type = VIRTIO_GPU_CMD_SUBMIT_3D,
						    .flags = VIRTIO_GPU_FLAG_FENCE,
						    .ctx_id = CTX}};
	struct vgpu_chain chain = {.request = &cmd,
				   .request_size = sizeof(cmd),
				   .payload = stream.words,
				   .response_size = 24};

	make_target(rig, 1, 0);
	begin_target(&stream, 1);
	submit(rig, &stream);
	stream.n_words = 0;
	virgl_stream_clear(&stream, 0.5f, 0.5f, 0.5f, 1.0f);
	cmd.size = virgl_stream_size_bytes(&stream);
	chain.payload_size = cmd.size;
	for (size_t i = 0; i < G_N_ELEMENTS(calls); i++) {
		/* Over the 32-bit edge, as a guest's counter goes. */
		cmd.hdr.fence_id = base + i;
		calls[i] = vgpu_submit(rig->vgpu, VGPU_CONTROL, &chain);
	}
	vgpu_kick(rig->vgpu, VGPU_CONTROL);
	for (size_t i = 0; i < G_N_ELEMENTS(calls); i++) {
		g_assert_true(vgpu_wait(rig->vgpu, calls[i], VGPU_ANSWER_MS));
		if (i > 0) {
			g_assert_cmpuint(calls[i]->done_order, >, calls[i - 1]->done_order);
		}
	}
	for (size_t i = 0; i < G_N_ELEMENTS(calls); i++) {
		g_assert_ok(vgpu_finish(rig->vgpu, calls[i]));
		g_assert_cmphex(rig->vgpu->last_hdr.fence_id, ==, base + i);
		g_assert_cmphex(rig->vgpu->last_hdr.flags, ==, VIRTIO_GPU_FLAG_FENCE);
		g_assert_cmpuint(rig->vgpu->last_hdr.ctx_id, ==, CTX);
	}
	rig_destroy(rig);
}

/* A fence on the context's own ring completes too, with its ring in the header. */
static void test_ring_fence(const void *mode)
{
	struct rig *rig = proto_rig(mode);
	struct virgl_stream stream = {0};

	g_assert_ok(vgpu_ctx_create(rig->vgpu, CTX, VIRTIO_GPU_CAPSET_VIRGL2, "ring"));
	virgl_stream_add(&stream, 0, 0, NULL, 0);
	for (uint64_t fence = 1; fence < 10; fence++) {
		rig->vgpu->next_hdr = (struct virtio_gpu_ctrl_hdr){
			.flags = VIRTIO_GPU_FLAG_FENCE | VIRTIO_GPU_FLAG_INFO_RING_IDX,
			.fence_id = fence << 33,
			.ring_idx = 0};
		g_assert_ok(vgpu_submit_3d(rig->vgpu, CTX, stream.words,
					   virgl_stream_size_bytes(&stream)));
		g_assert_cmphex(rig->vgpu->last_hdr.fence_id, ==, fence << 33);
		g_assert_cmphex(rig->vgpu->last_hdr.flags, ==,
				VIRTIO_GPU_FLAG_FENCE | VIRTIO_GPU_FLAG_INFO_RING_IDX);
	}
	rig_destroy(rig);
}

/* Whatever the stream holds, it is answered and the next guest command is served; other contexts
 * draw on. */
static void test_bad_streams(const void *mode)
{
	struct rig *rig = make_rig(mode);
	uint32_t words[64];

	make_target(rig, 1, 0);
	for (uint32_t i = 0; i < 60; i++) {
		uint32_t ctx = 100 + i;
		g_assert_ok(vgpu_ctx_create(rig->vgpu, ctx, 0, "bad"));
		g_assert_ok(vgpu_ctx_attach_resource(rig->vgpu, ctx, 1));
		for (uint32_t j = 0; j < G_N_ELEMENTS(words); j++) {
			words[j] = (i * 64 + j + 1) * 2654435761u;
		}
		/* A known command of each kind, with a length that fits, one that doesn't, and
		 * nonsense behind. */
		words[0] = i | (i % 12) << 8 | (i % 3 == 0 ? 63u : i % 3 == 1 ? 0xffffu : 1u) << 16;
		vgpu_submit_3d(rig->vgpu, ctx, words, sizeof(words));
		rig_assert_serves(rig);
		g_assert_ok(vgpu_ctx_destroy(rig->vgpu, ctx));
	}
	/* What can be told to be wrong is an error, not OK: a surface over a resource that isn't
	 * there. */
	struct virgl_stream stream = {0};
	virgl_stream_create_surface(&stream, 5, 12345, FORMAT);
	g_assert_ok(vgpu_ctx_create(rig->vgpu, 99, 0, "bad"));
	proto_assert_error(
		vgpu_submit_3d(rig->vgpu, 99, stream.words, virgl_stream_size_bytes(&stream)));
	struct virgl_stream good = {0};
	begin_target(&good, 1);
	virgl_stream_clear(&good, 1.0f, 1.0f, 1.0f, 1.0f);
	submit(rig, &good);
	rig_destroy(rig);
}

/* A resource that isn't attached to the context is not the context's to draw on. */
static void test_foreign_resource(const void *mode)
{
	struct rig *rig = make_rig(mode);
	struct virgl_stream stream = {0};
	uint64_t gpa = make_target(rig, 1, 0);
	uint32_t *pixels = guestram_at(rig->ram, gpa, SIZE_BYTES);
	g_autofree uint32_t *pattern = rig_make_pattern(WIDTH, HEIGHT, 5);

	memcpy(pixels, pattern, SIZE_BYTES);
	g_assert_ok(vgpu_transfer_to_host_3d(rig->vgpu, CTX, 1, &whole, 0, 0));
	g_assert_ok(vgpu_ctx_create(rig->vgpu, 2, 0, "other"));
	begin_target(&stream, 1);
	virgl_stream_clear(&stream, 1.0f, 1.0f, 1.0f, 1.0f);
	vgpu_submit_3d(rig->vgpu, 2, stream.words, virgl_stream_size_bytes(&stream));
	memset(pixels, 0, SIZE_BYTES);
	g_assert_ok(vgpu_transfer_from_host_3d(rig->vgpu, CTX, 1, &whole, 0, 0));
	proto_assert_mem(pixels, pattern, SIZE_BYTES);
	rig_destroy(rig);
}

/* Stop and continue: contexts, surfaces and pictures are the guest's still. */
static void test_pause_resume(const void *mode)
{
	struct rig *rig = make_rig(mode);
	g_autofree uint32_t *expected = g_new(uint32_t, WIDTH * HEIGHT);
	struct virgl_stream stream = {0};

	make_target(rig, 1, 0);
	begin_target(&stream, 1);
	virgl_stream_clear(&stream, 0.0f, 1.0f, 1.0f, 1.0f);
	submit(rig, &stream);
	g_assert_ok(vgpu_set_scanout(rig->vgpu, 0, 1, 0, 0, WIDTH, HEIGHT));
	g_assert_ok(vgpu_resource_flush(rig->vgpu, 1, 0, 0, WIDTH, HEIGHT));
	fill(expected, 0x00ffff);
	display_wait_pixels(rig->display, 0, expected, WIDTH, HEIGHT);
	for (unsigned int i = 0; i < 5; i++) {
		rig_pause_resume(rig);
		display_wait_pixels(rig->display, 0, expected, WIDTH, HEIGHT);
	}
	stream.n_words = 0;
	virgl_stream_clear(&stream, 1.0f, 1.0f, 0.0f, 1.0f);
	submit(rig, &stream);
	g_assert_ok(vgpu_resource_flush(rig->vgpu, 1, 0, 0, WIDTH, HEIGHT));
	fill(expected, 0xffff00);
	display_wait_pixels(rig->display, 0, expected, WIDTH, HEIGHT);
	rig_destroy(rig);
}

/* A reboot: contexts and textures are gone, and may be made again under the same ids. */
static void test_reset(const void *mode)
{
	struct rig *rig = make_rig(mode);
	struct virgl_stream stream = {0};

	begin_target(&stream, 1);
	virgl_stream_clear(&stream, 0.0f, 1.0f, 1.0f, 1.0f);
	for (unsigned int i = 0; i < 10; i++) {
		make_target(rig, 1, 0);
		submit(rig, &stream);
		rig_reset(rig, true);
		g_assert_resp(vgpu_ctx_destroy(rig->vgpu, CTX),
			      VIRTIO_GPU_RESP_ERR_INVALID_CONTEXT_ID);
		g_assert_resp(vgpu_resource_unref(rig->vgpu, 1),
			      VIRTIO_GPU_RESP_ERR_INVALID_RESOURCE_ID);
		g_assert_ok(vgpu_ctx_create(rig->vgpu, CTX, 0, "again"));
	}
	rig_destroy(rig);
}

int main(int argc, char **argv)
{
	suite_init(&argc, &argv);
	proto_add_virgl("virgl", "clear", test_clear);
	proto_add_virgl("virgl", "round_trip", test_round_trip);
	proto_add_virgl("virgl", "blob_round_trip", test_blob_round_trip);
	proto_add_virgl("virgl", "orientation_bottom_up", test_orientation_bottom_up);
	proto_add_virgl("virgl", "orientation_top_down", test_orientation_top_down);
	proto_add_virgl("virgl", "copy", test_copy);
	proto_add_virgl("virgl", "part_of_scanout", test_part_of_scanout);
	proto_add_virgl("virgl", "fences", test_fences);
	proto_add_virgl("virgl", "ring_fence", test_ring_fence);
	proto_add_virgl("virgl", "bad_streams", test_bad_streams);
	proto_add_virgl("virgl", "foreign_resource", test_foreign_resource);
	proto_add_virgl("virgl", "pause_resume", test_pause_resume);
	proto_add_virgl("virgl", "reset", test_reset);
	return suite_run();
}
