/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * The adapter against the real library, on whatever EGL the host has (llvmpipe
 * where there is no GPU). Pixels are compared with what the names of virtio's
 * formats say about bytes, not with another converter's output. Command
 * streams are written by hand, word by word.
 */
#include <dirent.h>
#include <dlfcn.h>
#include <inttypes.h>
#include <malloc.h>
#include <poll.h>
#include <string.h>

#include "renderer/impls.h"
#include "renderer/virgl_internal.h"
#include "util/log.h"
#include "unit.h"

#define QUOTA_BYTES (UINT64_C(16) << 30)
#define TIMEOUT_MS 5000
#define MAX_WORDS 4096

enum {
	TARGET_BUFFER = 0,
	TARGET_2D = 2,
	TARGET_3D = 3,
	TARGET_CUBE = 4,
	TARGET_2D_ARRAY = 7,
	BIND_RENDER_TARGET = 1 << 1,
	BIND_SAMPLER_VIEW = 1 << 3,
	BIND_VERTEX_BUFFER = 1 << 4,
	BIND_CUSTOM = 1 << 17,
	FORMAT_B5G6R5 = 7,
	FORMAT_R8 = 64,
	FORMAT_R32G32B32A32_FLOAT = 31,
	FORMAT_B10G10R10A2 = 131,
	FORMAT_R8G8_R8B8 = 227,
};

enum {
	CMD_NOP = 0,
	CMD_CREATE_OBJECT = 1,
	CMD_SET_FRAMEBUFFER_STATE = 5,
	CMD_CLEAR = 7,
	CMD_INLINE_WRITE = 9,
	CMD_BLIT = 16,
	CMD_BEGIN_QUERY = 19,
	CMD_END_QUERY = 20,
	CMD_GET_QUERY_RESULT = 21,
	CMD_PIPE_RESOURCE_CREATE = 48,
	OBJECT_SURFACE = 8,
	OBJECT_QUERY = 9,
	CLEAR_COLOR0 = 1 << 2,
};

struct stream {
	uint64_t aligner;
	uint32_t words[MAX_WORDS];
	size_t n;
};

struct test {
	struct quota quota;
	struct renderer *r;
	GArray *signaled; /* of struct renderer_fence */
};

/* Pages in an order of their own, as a guest's are. */
struct pages {
	uint8_t *memory;
	struct iovec *iov;
	struct backing backing;
	size_t page_bytes;
	size_t n_pages;
};

static const struct renderer_options default_options = {
	.use_egl = true,
	.use_gles = true,
	.use_surfaceless = true,
};

/* ---- helpers ---- */

static bool has_egl(void)
{
	void *egl = dlopen("libEGL.so.1", RTLD_LAZY | RTLD_NODELETE);

	if (egl == NULL) {
		g_test_skip("no EGL on this host");
		return false;
	}
	dlclose(egl);
	return true;
}

static void on_fence(void *data, const struct renderer_fence *fence)
{
	struct test *test = data;

	g_array_append_val(test->signaled, *fence);
}

static const struct renderer_listener listener = { .fence_signaled = on_fence };

static bool setup_with(struct test *test, const struct renderer_options *options)
{
	if (!has_egl()) {
		return false;
	}
	*test = (struct test){ 0 };
	test->signaled = g_array_new(FALSE, FALSE, sizeof(struct renderer_fence));
	quota_init(&test->quota, QUOTA_BYTES);
	g_assert_cmpint(renderer_create(&virgl_impl, options, &test->quota, &test->r), ==, 0);
	renderer_set_listener(test->r, &listener, test);
	return true;
}

static bool setup(struct test *test)
{
	return setup_with(test, &default_options);
}

static void teardown(struct test *test)
{
	renderer_destroy(test->r);
	g_array_unref(test->signaled);
	g_assert_cmpuint(quota_used(&test->quota), ==, 0);
}

static struct pages pages_create(size_t size_bytes, size_t page_bytes)
{
	size_t n = (size_bytes + page_bytes - 1) / page_bytes;
	struct pages pages = {
		.memory = g_malloc0(n * page_bytes),
		.iov = g_new0(struct iovec, n),
		.page_bytes = page_bytes,
		.n_pages = n,
	};

	for (size_t i = 0; i < n; i++) {
		pages.iov[i].iov_base = pages.memory + (n - 1 - i) * page_bytes;
		pages.iov[i].iov_len = page_bytes;
	}
	pages.backing = (struct backing){ pages.iov, n, n * page_bytes };
	return pages;
}

static void pages_free(struct pages *pages)
{
	g_free(pages->iov);
	g_free(pages->memory);
}

static uint8_t *page_byte(const struct pages *pages, size_t offset)
{
	size_t page = pages->n_pages - 1 - offset / pages->page_bytes;

	return pages->memory + page * pages->page_bytes + offset % pages->page_bytes;
}

static void put(struct pages *pages, size_t offset, const void *bytes, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		*page_byte(pages, offset + i) = ((const uint8_t *)bytes)[i];
	}
}

static void create_2d(struct test *test, uint32_t id, uint32_t format, uint32_t width,
		      uint32_t height)
{
	struct resource_desc desc = { .is_2d = true,
				      .target = TARGET_2D,
				      .format = format,
				      .bind = BIND_RENDER_TARGET,
				      .width = width,
				      .height = height,
				      .depth = 1,
				      .array_size = 1,
				      .flags = VIRTIO_GPU_RESOURCE_FLAG_Y_0_TOP };

	g_assert_cmphex(virgl_impl.resource_create(test->r, id, &desc), ==, GPU_RESP_OK_NODATA);
}

static struct resource_desc desc_3d(uint32_t format, uint32_t width, uint32_t height,
				    uint32_t flags)
{
	return (struct resource_desc){ .target = TARGET_2D,
				       .format = format,
				       .bind = BIND_RENDER_TARGET | BIND_SAMPLER_VIEW,
				       .width = width,
				       .height = height,
				       .depth = 1,
				       .array_size = 1,
				       .flags = flags };
}

static void create_3d(struct test *test, uint32_t id, const struct resource_desc *desc)
{
	g_assert_cmphex(virgl_impl.resource_create(test->r, id, desc), ==, GPU_RESP_OK_NODATA);
}

static void attach(struct test *test, uint32_t id, struct pages *pages)
{
	g_assert_cmphex(virgl_impl.resource_attach(test->r, id, &pages->backing), ==,
			GPU_RESP_OK_NODATA);
}

static void transfer_2d(struct test *test, uint32_t id, struct rect rect, uint64_t offset)
{
	g_assert_cmphex(virgl_impl.transfer_2d(test->r, id, &rect, offset), ==,
			GPU_RESP_OK_NODATA);
}

static struct frame *read_frame(struct test *test, uint32_t id, struct rect damage)
{
	struct frame *frame = NULL;

	g_assert_cmphex(virgl_impl.resource_read(test->r, id, &damage, &frame), ==,
			GPU_RESP_OK_NODATA);
	g_assert_nonnull(frame);
	return frame;
}

static void create_context(struct test *test, uint32_t ctx_id)
{
	g_assert_cmphex(virgl_context_impl.create(test->r, ctx_id, 0, "test", 4), ==,
			GPU_RESP_OK_NODATA);
}

static void put_command(struct stream *stream, uint32_t command, uint32_t object, uint32_t length)
{
	stream->words[stream->n++] = command | object << 8 | length << 16;
}

static void put_word(struct stream *stream, uint32_t word)
{
	stream->words[stream->n++] = word;
}

static void put_words(struct stream *stream, const uint32_t *words, size_t n)
{
	memcpy(stream->words + stream->n, words, n * sizeof(uint32_t));
	stream->n += n;
}

static void put_float(struct stream *stream, float value)
{
	uint32_t word;

	memcpy(&word, &value, sizeof(word));
	put_word(stream, word);
}

static void put_surface(struct stream *stream, uint32_t handle, uint32_t resource, uint32_t format)
{
	put_command(stream, CMD_CREATE_OBJECT, OBJECT_SURFACE, 5);
	put_words(stream, (uint32_t[]){ handle, resource, format, 0, 0 }, 5);
	put_command(stream, CMD_SET_FRAMEBUFFER_STATE, 0, 3);
	put_words(stream, (uint32_t[]){ 1, 0, handle }, 3);
}

static void put_clear(struct stream *stream, float r, float g, float b, float a)
{
	put_command(stream, CMD_CLEAR, 0, 8);
	put_word(stream, CLEAR_COLOR0);
	put_float(stream, r);
	put_float(stream, g);
	put_float(stream, b);
	put_float(stream, a);
	put_words(stream, (uint32_t[]){ 0, 0, 0 }, 3);
}

static enum gpu_resp submit(struct test *test, uint32_t ctx_id, struct stream *stream)
{
	size_t size = stream->n * sizeof(uint32_t);

	return virgl_context_impl.submit(test->r, ctx_id, stream->words, size);
}

static void wait_readable(struct test *test)
{
	struct pollfd pollfd = { .fd = test->r->event_fd, .events = POLLIN };

	g_assert_cmpint(poll(&pollfd, 1, TIMEOUT_MS), ==, 1);
}

static void wait_for(struct test *test, guint n_signaled)
{
	while (test->signaled->len < n_signaled) {
		wait_readable(test);
		renderer_dispatch(test->r);
	}
}

static enum gpu_resp create_fence(struct test *test, uint32_t ctx_id, int ring, uint64_t seq)
{
	struct renderer_fence fence = {
		.ctx_id = ctx_id,
		.has_ring = ring >= 0,
		.ring_idx = ring >= 0 ? (uint8_t)ring : 0,
		.seq = seq,
	};

	return virgl_impl.fence_create(test->r, &fence);
}

static guint count_dir(const char *path)
{
	DIR *dir = opendir(path);
	guint n = 0;

	g_assert_nonnull(dir);
	while (readdir(dir) != NULL) {
		n++;
	}
	closedir(dir);
	return n;
}

/* ---- 2D ---- */

/* Where a format's name puts the channels in memory; -1: no alpha, but the byte is kept. */
struct layout {
	const char *name;
	uint32_t format;
	int r, g, b, a;
};

static const struct layout layouts[] = {
	{ "B8G8R8A8", VIRTIO_GPU_FORMAT_B8G8R8A8_UNORM, 2, 1, 0, 3 },
	{ "B8G8R8X8", VIRTIO_GPU_FORMAT_B8G8R8X8_UNORM, 2, 1, 0, -1 },
	{ "A8R8G8B8", VIRTIO_GPU_FORMAT_A8R8G8B8_UNORM, 1, 2, 3, 0 },
	{ "X8R8G8B8", VIRTIO_GPU_FORMAT_X8R8G8B8_UNORM, 1, 2, 3, -1 },
	{ "R8G8B8A8", VIRTIO_GPU_FORMAT_R8G8B8A8_UNORM, 0, 1, 2, 3 },
	{ "X8B8G8R8", VIRTIO_GPU_FORMAT_X8B8G8R8_UNORM, 3, 2, 1, -1 },
	{ "A8B8G8R8", VIRTIO_GPU_FORMAT_A8B8G8R8_UNORM, 3, 2, 1, 0 },
	{ "R8G8B8X8", VIRTIO_GPU_FORMAT_R8G8B8X8_UNORM, 0, 1, 2, -1 },
};

static void pattern(uint32_t x, uint32_t y, uint8_t bytes[4])
{
	bytes[0] = (uint8_t)(x * 7 + 1);
	bytes[1] = (uint8_t)(y * 11 + 2);
	bytes[2] = (uint8_t)(x * 3 + y * 5 + 3);
	bytes[3] = (uint8_t)(x + y * 13 + 4);
}

static uint32_t expected(const struct layout *layout, const uint8_t bytes[4])
{
	uint32_t alpha = bytes[layout->a < 0 ? 0 + 1 + 2 + 3 - layout->r - layout->g - layout->b
					      : layout->a];

	return alpha << 24 | (uint32_t)bytes[layout->r] << 16 | (uint32_t)bytes[layout->g] << 8 |
	       bytes[layout->b];
}

static void fill_pattern(struct pages *pages, uint32_t width, uint32_t height)
{
	uint8_t bytes[4];

	for (uint32_t y = 0; y < height; y++) {
		for (uint32_t x = 0; x < width; x++) {
			pattern(x, y, bytes);
			put(pages, ((size_t)y * width + x) * 4, bytes, 4);
		}
	}
}

static void assert_pattern(const struct frame *frame, const struct layout *layout)
{
	uint8_t bytes[4];

	for (uint32_t y = 0; y < frame->height; y++) {
		for (uint32_t x = 0; x < frame->width; x++) {
			pattern(x, y, bytes);
			g_assert_cmphex(*frame_pixel(frame, x, y), ==, expected(layout, bytes));
		}
	}
}

static void check_formats(const struct renderer_options *options)
{
	const uint32_t width = 77, height = 41;
	struct test test;

	if (!setup_with(&test, options)) {
		return;
	}
	for (uint32_t i = 0; i < G_N_ELEMENTS(layouts); i++) {
		struct pages pages = pages_create((size_t)width * height * 4, 4096);

		g_test_message("%s", layouts[i].name);
		fill_pattern(&pages, width, height);
		create_2d(&test, i + 1, layouts[i].format, width, height);
		attach(&test, i + 1, &pages);
		transfer_2d(&test, i + 1, (struct rect){ 0, 0, width, height }, 0);
		struct frame *frame =
			read_frame(&test, i + 1, (struct rect){ 0, 0, width, height });
		g_assert_cmpuint(frame->width, ==, width);
		g_assert_cmpuint(frame->height, ==, height);
		assert_pattern(frame, &layouts[i]);
		frame_unref(frame);
		virgl_impl.resource_detach(test.r, i + 1);
		virgl_impl.resource_destroy(test.r, i + 1);
		pages_free(&pages);
	}
	teardown(&test);
}

static void test_formats(void)
{
	check_formats(&default_options);
}

/*
 * Started again with other options in the same process, the library goes on
 * with features and a fence mode of before: such a test has its own process.
 */
static bool is_in_own_process(void)
{
	if (!g_test_subprocess()) {
		g_test_trap_subprocess(NULL, 0, G_TEST_SUBPROCESS_INHERIT_STDERR);
		g_test_trap_assert_passed();
		return false;
	}
	return true;
}

static void test_formats_desktop_gl(void)
{
	struct renderer_options options = default_options;

	if (!has_egl() || !is_in_own_process()) {
		return;
	}
	options.use_gles = false;
	check_formats(&options);
}

/* A part of the picture comes from its place in the backing and goes nowhere else. */
static void check_sub_rect(struct test *test, uint32_t id, const struct layout *layout,
			   struct rect rect, size_t page_bytes)
{
	const uint32_t width = 64, height = 48;
	struct pages pages = pages_create((size_t)width * height * 4, page_bytes);
	uint64_t offset = ((uint64_t)rect.y * width + rect.x) * 4;
	uint8_t bytes[4];

	fill_pattern(&pages, width, height);
	create_2d(test, id, layout->format, width, height);
	attach(test, id, &pages);
	struct frame *before = read_frame(test, id, (struct rect){ 0, 0, width, height });
	transfer_2d(test, id, rect, offset);
	struct frame *frame = read_frame(test, id, (struct rect){ 0, 0, width, height });
	for (uint32_t y = 0; y < height; y++) {
		for (uint32_t x = 0; x < width; x++) {
			bool is_in = x - rect.x < rect.width && y - rect.y < rect.height;

			pattern(x, y, bytes);
			uint32_t pixel = is_in ? expected(layout, bytes) :
						 *frame_pixel(before, x, y);
			g_assert_cmphex(*frame_pixel(frame, x, y), ==, pixel);
		}
	}
	frame_unref(before);
	frame_unref(frame);
	virgl_impl.resource_detach(test->r, id);
	virgl_impl.resource_destroy(test->r, id);
	pages_free(&pages);
}

static void test_sub_rects(void)
{
	static const struct rect rects[] = {
		{ 0, 0, 64, 48 }, { 0, 0, 1, 1 },    { 63, 47, 1, 1 }, { 5, 7, 20, 30 },
		{ 0, 9, 64, 3 },  { 11, 0, 13, 48 }, { 40, 47, 24, 1 },
	};
	struct test test;

	if (!setup(&test)) {
		return;
	}
	for (size_t i = 0; i < G_N_ELEMENTS(rects); i++) {
		check_sub_rect(&test, 1, &layouts[0], rects[i], 4096);
		check_sub_rect(&test, 1, &layouts[2], rects[i], 100); /* rows across entries */
		check_sub_rect(&test, 1, &layouts[5], rects[i], 64 * 48 * 4); /* one entry */
	}
	teardown(&test);
}

/* A page flip shows another picture that starts at an offset in the same backing. */
static void test_offset(void)
{
	const uint32_t width = 32, height = 16;
	const size_t size = (size_t)width * height * 4;
	struct pages pages = pages_create(3 * size, 4096);
	const uint32_t red = 0xffff0000, blue = 0xff0000ff;
	struct test test;

	if (!setup(&test)) {
		pages_free(&pages);
		return;
	}
	for (size_t i = 0; i < size; i += 4) {
		put(&pages, i, &red, 4);
		put(&pages, size + i, &blue, 4);
	}
	create_2d(&test, 1, VIRTIO_GPU_FORMAT_B8G8R8X8_UNORM, width, height);
	attach(&test, 1, &pages);
	transfer_2d(&test, 1, (struct rect){ 0, 0, width, height }, size);
	struct frame *frame = read_frame(&test, 1, (struct rect){ 0, 0, width, height });
	g_assert_cmphex(*frame_pixel(frame, 3, 3), ==, blue);
	frame_unref(frame);

	/* Offsets that leave the backing, or 32 bits, are refused. */
	struct rect all = { 0, 0, width, height };
	uint64_t last = pages.backing.size_bytes - size;
	transfer_2d(&test, 1, all, last);
	g_assert_cmphex(virgl_impl.transfer_2d(test.r, 1, &all, last + 1), !=, GPU_RESP_OK_NODATA);
	g_assert_cmphex(virgl_impl.transfer_2d(test.r, 1, &all, UINT64_C(1) << 32), !=,
			GPU_RESP_OK_NODATA);
	g_assert_cmphex(virgl_impl.transfer_2d(test.r, 1, &all, UINT64_MAX - 3), !=,
			GPU_RESP_OK_NODATA);
	teardown(&test);
	pages_free(&pages);
}

static void fill(struct pages *pages, size_t n_pixels, uint32_t pixel)
{
	for (size_t i = 0; i < n_pixels; i++) {
		put(pages, i * 4, &pixel, 4);
	}
}

/* Only the damage is read, and whoever holds an older frame keeps it as it was. */
static void test_damage(void)
{
	const struct rect all = { 0, 0, 40, 40 }, part = { 10, 20, 5, 6 };
	struct pages pages = pages_create(40 * 40 * 4, 4096);
	struct test test;

	if (!setup(&test)) {
		pages_free(&pages);
		return;
	}
	create_2d(&test, 1, VIRTIO_GPU_FORMAT_B8G8R8A8_UNORM, 40, 40);
	attach(&test, 1, &pages);
	fill(&pages, 40 * 40, 0xff112233);
	transfer_2d(&test, 1, all, 0);
	struct frame *old = read_frame(&test, 1, all);
	fill(&pages, 40 * 40, 0x80445566);
	transfer_2d(&test, 1, all, 0);
	struct frame *new = read_frame(&test, 1, part);

	g_assert_true(old != new);
	for (uint32_t y = 0; y < 40; y++) {
		for (uint32_t x = 0; x < 40; x++) {
			bool is_in = x - part.x < part.width && y - part.y < part.height;

			g_assert_cmphex(*frame_pixel(old, x, y), ==, 0xff112233);
			g_assert_cmphex(*frame_pixel(new, x, y), ==,
					is_in ? 0x80445566 : 0xff112233);
		}
	}
	frame_unref(old);
	frame_unref(new);
	struct frame *same = read_frame(&test, 1, (struct rect){ 0 });
	frame_unref(same);
	teardown(&test);
	pages_free(&pages);
}

static void test_quota(void)
{
	struct frame *frame = NULL;
	struct rect all = { 0, 0, 64, 64 };
	struct test test;

	if (!setup(&test)) {
		return;
	}
	/* Two textures, as far as they are estimated, and one frame. */
	create_2d(&test, 1, VIRTIO_GPU_FORMAT_B8G8R8A8_UNORM, 64, 64);
	g_assert_cmpuint(quota_used(&test.quota), >=, 64 * 64 * 4);
	test.quota.limit_bytes = 2 * quota_used(&test.quota) + 64 * 64 * 4;
	create_2d(&test, 2, VIRTIO_GPU_FORMAT_B8G8R8A8_UNORM, 64, 64);
	frame_unref(read_frame(&test, 1, all));
	g_assert_cmphex(virgl_impl.resource_read(test.r, 2, &all, &frame), ==,
			GPU_RESP_ERR_OUT_OF_MEMORY);
	g_assert_null(frame);
	virgl_impl.resource_destroy(test.r, 1);
	frame_unref(read_frame(&test, 2, all));
	teardown(&test);
}

/* ---- 3D ---- */

static void check_clear(struct test *test, uint32_t id, uint32_t format, uint32_t flags,
			uint32_t pixel)
{
	struct resource_desc desc = desc_3d(format, 32, 24, flags);
	struct stream stream = { 0 };
	/* What GL leaves in the fourth byte of a format without alpha is its own affair. */
	uint32_t left_open = format == VIRTIO_GPU_FORMAT_B8G8R8X8_UNORM ||
					     format == VIRTIO_GPU_FORMAT_R8G8B8X8_UNORM
				     ? 0xff000000
				     : 0;

	create_3d(test, id, &desc);
	virgl_context_impl.attach_resource(test->r, 1, id);
	put_surface(&stream, id, id, format);
	/* A half would be rounded either way. */
	put_clear(&stream, 1.0f, 128.0f / 255.0f, 64.0f / 255.0f, 0.0f);
	g_assert_cmphex(submit(test, 1, &stream), ==, GPU_RESP_OK_NODATA);
	struct frame *frame = read_frame(test, id, (struct rect){ 0, 0, 32, 24 });
	for (uint32_t y = 0; y < 24; y++) {
		for (uint32_t x = 0; x < 32; x++) {
			g_assert_cmphex(*frame_pixel(frame, x, y) | left_open, ==, pixel);
		}
	}
	frame_unref(frame);
}

static uint64_t heap_bytes(void)
{
	struct mallinfo2 info = mallinfo2();

	return info.uordblks + info.hblkhd;
}

/* What llvmpipe takes is charged, whatever is asked for to take more than it looks. */
static void test_memory_is_charged(void)
{
	static const struct resource_desc descs[] = {
		{ .target = TARGET_2D, .format = 1, .width = 1, .height = 1 },
		{ .target = TARGET_2D, .format = 1, .width = 64, .height = 64 },
		{ .target = TARGET_2D, .format = 1, .width = 1, .height = 16384 },
		{ .target = TARGET_2D, .format = 1, .width = 16384, .height = 1 },
		{ .target = TARGET_2D, .format = 1, .width = 512, .height = 512, .last_level = 9 },
		{ .target = TARGET_2D, .format = 1, .width = 5, .height = 4096, .last_level = 12 },
		{ .target = TARGET_2D, .format = 1, .width = 64, .height = 64, .nr_samples = 4 },
		{ .target = TARGET_2D_ARRAY, .format = 1, .width = 1, .height = 1,
		  .array_size = 1024 },
		{ .target = TARGET_3D, .format = 1, .width = 2, .height = 2, .depth = 1024 },
		{ .target = TARGET_CUBE, .format = 1, .width = 64, .height = 64, .array_size = 6,
		  .last_level = 6 },
		{ .target = TARGET_2D, .format = 51, .width = 64, .height = 64 },
		{ .target = TARGET_2D, .format = FORMAT_R32G32B32A32_FLOAT, .width = 256,
		  .height = 256 },
		{ .target = TARGET_2D, .format = 126, .width = 256, .height = 256 },
		{ .target = TARGET_2D, .format = 196, .width = 256, .height = 256 },
		{ .target = TARGET_BUFFER, .format = FORMAT_R8, .width = 1, .height = 1 },
		{ .target = TARGET_BUFFER, .format = FORMAT_R8, .width = 65536, .height = 1 },
		{ .target = TARGET_BUFFER, .format = FORMAT_R8, .width = 1 << 20, .height = 1 },
	};
	enum { N = 20 };
	struct test test;

	if (mallinfo2().uordblks == 0) {
		g_test_skip("the allocator tells nothing (mallinfo2)");
		return;
	}
	if (!setup(&test)) {
		return;
	}
	for (size_t i = 0; i < G_N_ELEMENTS(descs); i++) {
		struct resource_desc desc = descs[i];
		desc.depth = MAX(desc.depth, 1);
		desc.array_size = MAX(desc.array_size, 1);
		desc.bind = desc.target == TARGET_BUFFER ? BIND_VERTEX_BUFFER : BIND_SAMPLER_VIEW;
		/* Not the first of its kind, for which code may be made. */
		create_3d(&test, 1, &desc);
		uint64_t heap = heap_bytes(), used = quota_used(&test.quota);
		for (uint32_t id = 2; id < 2 + N; id++) {
			create_3d(&test, id, &desc);
		}
		uint64_t taken = heap_bytes() - heap, charged = quota_used(&test.quota) - used;
		g_test_message("%zu: %" PRIu64 " bytes taken, %" PRIu64 " charged", i, taken / N,
			       charged / N);
		g_assert_cmpuint(taken, <=, charged);
		for (uint32_t id = 1; id < 2 + N; id++) {
			virgl_impl.resource_destroy(test.r, id);
		}
		g_assert_cmpuint(quota_used(&test.quota), ==, 0);
	}
	teardown(&test);
}

static void test_contexts_are_charged(void)
{
	struct test test;

	if (!setup(&test)) {
		return;
	}
	create_context(&test, 1);
	uint64_t one = quota_used(&test.quota);
	g_assert_cmpuint(one, >, 2 << 20);
	test.quota.limit_bytes = 2 * one;
	create_context(&test, 2);
	g_assert_cmphex(virgl_context_impl.create(test.r, 3, 0, "test", 4), ==,
			GPU_RESP_ERR_OUT_OF_MEMORY);
	g_assert_cmphex(virgl_context_impl.create(test.r, 2, 0, "test", 4), ==,
			GPU_RESP_ERR_INVALID_CONTEXT_ID);
	g_assert_cmpuint(quota_used(&test.quota), ==, 2 * one);
	virgl_context_impl.destroy(test.r, 1);
	create_context(&test, 3);
	teardown(&test); /* with two of them */
}

static void test_clear(void)
{
	struct test test;

	if (!setup(&test)) {
		return;
	}
	create_context(&test, 1);
	check_clear(&test, 1, VIRTIO_GPU_FORMAT_B8G8R8A8_UNORM, 0, 0x00ff8040);
	check_clear(&test, 2, VIRTIO_GPU_FORMAT_B8G8R8X8_UNORM, 0, 0xffff8040);
	check_clear(&test, 3, VIRTIO_GPU_FORMAT_R8G8B8A8_UNORM, 0, 0x00ff8040);
	check_clear(&test, 4, VIRTIO_GPU_FORMAT_R8G8B8X8_UNORM, 0, 0xffff8040);
	check_clear(&test, 5, VIRTIO_GPU_FORMAT_B8G8R8X8_UNORM, 1, 0xffff8040);
	virgl_context_impl.destroy(test.r, 1);
	teardown(&test);
}

/* Rows of a picture from the guest stay in order, with GL's origin or without. */
static void check_rows(struct test *test, uint32_t id, uint32_t flags)
{
	struct resource_desc desc = desc_3d(VIRTIO_GPU_FORMAT_B8G8R8A8_UNORM, 8, 4, flags);
	struct stream stream = { 0 };

	create_3d(test, id, &desc);
	virgl_context_impl.attach_resource(test->r, 1, id);
	put_command(&stream, CMD_INLINE_WRITE, 0, 11 + 32);
	put_words(&stream, (uint32_t[]){ id, 0, 0, 0, 0, 0, 0, 0, 8, 4, 1 }, 11);
	for (uint32_t i = 0; i < 32; i++) {
		put_word(&stream, 0xff000000 | (i / 8 + 1));
	}
	g_assert_cmphex(submit(test, 1, &stream), ==, GPU_RESP_OK_NODATA);
	struct frame *frame = read_frame(test, id, (struct rect){ 0, 0, 8, 4 });
	for (uint32_t y = 0; y < 4; y++) {
		g_assert_cmphex(*frame_pixel(frame, 3, y), ==, 0xff000000 | (y + 1));
	}
	frame_unref(frame);
	/* And a part of it alone. */
	frame = read_frame(test, id, (struct rect){ 2, 1, 3, 2 });
	g_assert_cmphex(*frame_pixel(frame, 3, 2), ==, 0xff000003);
	frame_unref(frame);
}

/* Of a leak checker, if one is linked. */
void __lsan_disable(void) __attribute__((weak));
void __lsan_enable(void) __attribute__((weak));

/* Some memory Mesa's driver keeps in itself; it is unloaded before leaks are looked for. */
static enum gpu_resp submit_unwatched(struct test *test, struct stream *stream)
{
	if (__lsan_disable != NULL) {
		__lsan_disable();
	}
	enum gpu_resp resp = submit(test, 1, stream);
	if (__lsan_enable != NULL) {
		__lsan_enable();
	}
	return resp;
}

static void put_blit(struct stream *stream, uint32_t from, uint32_t from_y, uint32_t to,
		     uint32_t to_y)
{
	const uint32_t format = VIRTIO_GPU_FORMAT_B8G8R8A8_UNORM, rgba = 0xf;

	put_command(stream, CMD_BLIT, 0, 21);
	put_words(stream, (uint32_t[]){ rgba, 0, 0 }, 3);
	put_words(stream, (uint32_t[]){ to, 0, format, 0, to_y, 0, 8, 2, 1 }, 9);
	put_words(stream, (uint32_t[]){ from, 0, format, 0, from_y, 0, 8, 1, 1 }, 9);
}

/*
 * Drawn by the GPU from one orientation to the other, row 0 is still on top.
 * (Only with scaling: without, the library copies texels and forgets to turn.)
 */
static void check_drawn_rows(struct test *test, uint32_t from, uint32_t to)
{
	struct stream stream = { 0 };

	put_blit(&stream, from, 0, to, 2);
	put_blit(&stream, from, 1, to, 0);
	g_assert_cmphex(submit_unwatched(test, &stream), ==, GPU_RESP_OK_NODATA);
	struct frame *frame = read_frame(test, to, (struct rect){ 0, 0, 8, 4 });
	g_assert_cmphex(*frame_pixel(frame, 1, 0), ==, 0xff000002);
	g_assert_cmphex(*frame_pixel(frame, 1, 1), ==, 0xff000002);
	g_assert_cmphex(*frame_pixel(frame, 1, 2), ==, 0xff000001);
	g_assert_cmphex(*frame_pixel(frame, 1, 3), ==, 0xff000001);
	frame_unref(frame);
}

static void test_orientation(void)
{
	struct test test;

	if (!setup(&test)) {
		return;
	}
	create_context(&test, 1);
	check_rows(&test, 1, 0);
	check_rows(&test, 2, VIRTIO_GPU_RESOURCE_FLAG_Y_0_TOP);
	check_drawn_rows(&test, 1, 2);
	check_rows(&test, 3, 0);
	check_rows(&test, 4, VIRTIO_GPU_RESOURCE_FLAG_Y_0_TOP);
	check_drawn_rows(&test, 4, 3);
	teardown(&test);
}

static enum gpu_resp transfer_3d(struct test *test, uint32_t id, const struct transfer_3d *transfer)
{
	return virgl_context_impl.transfer(test->r, id, transfer);
}

/* Written and read back through strides of the guest's choice, with and without a context. */
static void check_round_trip(struct test *test, uint32_t id, uint32_t ctx_id, uint32_t stride)
{
	struct resource_desc desc = desc_3d(VIRTIO_GPU_FORMAT_R8G8B8A8_UNORM, 16, 16, 0);
	struct pages pages = pages_create(8192, 4096);
	struct transfer_3d transfer = {
		.ctx_id = ctx_id,
		.stride = stride,
		.offset = 64,
		.box = { .x = 2, .y = 3, .z = 0, .w = 10, .h = 9, .d = 1 },
		.to_host = true,
	};
	uint32_t pitch = stride != 0 ? stride : 64;

	create_3d(test, id, &desc);
	virgl_context_impl.attach_resource(test->r, 1, id);
	attach(test, id, &pages);
	for (uint32_t y = 0; y < 9; y++) {
		for (uint32_t x = 0; x < 10; x++) {
			uint32_t pixel = 0x01020304 * (y + 1) + x;
			put(&pages, 64 + y * pitch + x * 4, &pixel, 4);
		}
	}
	uint8_t *copy = g_memdup2(pages.memory, 8192);
	g_assert_cmphex(transfer_3d(test, id, &transfer), ==, GPU_RESP_OK_NODATA);
	memset(pages.memory, 0, 8192);
	transfer.to_host = false;
	g_assert_cmphex(transfer_3d(test, id, &transfer), ==, GPU_RESP_OK_NODATA);
	g_assert_true(memcmp(pages.memory, copy, 8192) == 0);
	g_free(copy);
	virgl_impl.resource_detach(test->r, id);
	virgl_impl.resource_destroy(test->r, id);
	pages_free(&pages);
}

static void test_round_trip(void)
{
	struct test test;

	if (!setup(&test)) {
		return;
	}
	create_context(&test, 1);
	check_round_trip(&test, 1, 0, 0);
	check_round_trip(&test, 2, 1, 0);
	check_round_trip(&test, 3, 1, 128);
	check_round_trip(&test, 4, 0, 52);
	teardown(&test);
}

static void test_buffer_round_trip(void)
{
	struct resource_desc desc = { .target = TARGET_BUFFER,
				      .format = FORMAT_R8,
				      .bind = BIND_VERTEX_BUFFER,
				      .width = 1000,
				      .height = 1,
				      .depth = 1,
				      .array_size = 1 };
	struct pages pages = pages_create(1000, 128);
	struct transfer_3d transfer = {
		.ctx_id = 1,
		.offset = 10,
		.box = { .x = 5, .w = 900, .h = 1, .d = 1 },
		.to_host = true,
	};
	uint8_t *copy;
	struct test test;

	if (!setup(&test)) {
		pages_free(&pages);
		return;
	}
	create_context(&test, 1);
	create_3d(&test, 1, &desc);
	virgl_context_impl.attach_resource(test.r, 1, 1);
	attach(&test, 1, &pages);
	for (size_t i = 0; i < 900; i++) {
		*page_byte(&pages, 10 + i) = (uint8_t)(i * 31);
	}
	copy = g_memdup2(pages.memory, 1024);
	g_assert_cmphex(transfer_3d(&test, 1, &transfer), ==, GPU_RESP_OK_NODATA);
	memset(pages.memory, 0, 1024);
	transfer.to_host = false;
	g_assert_cmphex(transfer_3d(&test, 1, &transfer), ==, GPU_RESP_OK_NODATA);
	g_assert_true(memcmp(pages.memory, copy, 1024) == 0);
	g_free(copy);
	teardown(&test);
	pages_free(&pages);
}

/* A scanout of fewer or more bits per channel is shown as 8. */
static void check_packed(struct test *test, uint32_t id, uint32_t format, uint32_t raw,
			 size_t bytes, uint32_t pixel)
{
	struct resource_desc desc = desc_3d(format, 5, 3, 0);
	struct pages pages = pages_create(64, 64);
	struct transfer_3d transfer = { .box = { .w = 5, .h = 3, .d = 1 }, .to_host = true };

	create_3d(test, id, &desc);
	attach(test, id, &pages);
	for (size_t i = 0; i < 15; i++) {
		put(&pages, i * bytes, &raw, bytes);
	}
	g_assert_cmphex(transfer_3d(test, id, &transfer), ==, GPU_RESP_OK_NODATA);
	struct frame *frame = read_frame(test, id, (struct rect){ 0, 0, 5, 3 });
	g_assert_cmphex(*frame_pixel(frame, 0, 0), ==, pixel);
	g_assert_cmphex(*frame_pixel(frame, 4, 2), ==, pixel);
	frame_unref(frame);
	virgl_impl.resource_detach(test->r, id);
	pages_free(&pages);
}

static void test_packed_formats(void)
{
	struct test test;

	if (!setup(&test)) {
		return;
	}
	check_packed(&test, 1, FORMAT_B5G6R5, 0xf81f, 2, 0xffff00ff);
	check_packed(&test, 2, FORMAT_B5G6R5, 0x07e0, 2, 0xff00ff00);
	check_packed(&test, 3, FORMAT_B10G10R10A2, 0xfff00000, 4, 0xffff0000);
	teardown(&test);
}

static void test_capsets(void)
{
	struct renderer_options options = default_options;
	struct test test;

	if (!setup(&test)) {
		return;
	}
	g_assert_cmpuint(test.r->caps.n_capsets, ==, 2);
	g_assert_cmpuint(test.r->caps.capsets[0].id, ==, RENDERER_CAPSET_VIRGL);
	g_assert_cmpuint(test.r->caps.capsets[1].id, ==, RENDERER_CAPSET_VIRGL2);
	g_assert_cmphex(test.r->caps.features, ==,
			1 << VIRTIO_GPU_F_VIRGL | 1 << VIRTIO_GPU_F_CONTEXT_INIT);
	for (uint32_t i = 0; i < 2; i++) {
		const struct renderer_capset *capset = &test.r->caps.capsets[i];
		uint8_t *bytes = g_malloc(capset->max_size_bytes + 8);
		uint32_t version;

		memset(bytes, 0x55, capset->max_size_bytes + 8);
		g_assert_cmphex(virgl_context_impl.get_capset(test.r, capset, capset->max_version,
							      bytes),
				==, GPU_RESP_OK_CAPSET);
		memcpy(&version, bytes, sizeof(version));
		g_assert_cmpuint(version, >=, 1);
		g_assert_cmpuint(version, <=, capset->max_version);
		g_assert_cmphex(bytes[capset->max_size_bytes], ==, 0x55);
		g_free(bytes);
	}
	/* A context for an offered capset, and for one that isn't. */
	g_assert_cmphex(virgl_context_impl.create(test.r, 1, RENDERER_CAPSET_VIRGL2, "", 0), ==,
			GPU_RESP_OK_NODATA);
	g_assert_cmphex(virgl_context_impl.create(test.r, 2, RENDERER_CAPSET_VENUS, "", 0), ==,
			GPU_RESP_ERR_INVALID_PARAMETER);
	teardown(&test);

	options.capset_mask = 1 << RENDERER_CAPSET_VIRGL2;
	g_assert_true(setup_with(&test, &options));
	g_assert_cmpuint(test.r->caps.n_capsets, ==, 1);
	g_assert_cmpuint(test.r->caps.capsets[0].id, ==, RENDERER_CAPSET_VIRGL2);
	teardown(&test);

	options.capset_mask = 1 << RENDERER_CAPSET_VENUS;
	g_assert_true(setup_with(&test, &options));
	g_assert_cmpuint(test.r->caps.n_capsets, ==, 0);
	g_assert_cmphex(test.r->caps.features, ==, 0);
	teardown(&test);
}

/* ---- fences ---- */

static void check_fence_order(const struct test *test, uint64_t first_seq, guint n)
{
	g_assert_cmpuint(test->signaled->len, ==, n);
	for (guint i = 0; i < n; i++) {
		const struct renderer_fence *fence =
			&g_array_index(test->signaled, struct renderer_fence, i);
		g_assert_cmpuint(fence->seq, ==, first_seq + i);
	}
}

/* More fences than there are ids before the library's 32 bits wrap, and ours beyond them. */
static void test_fences(void)
{
	const uint64_t first = UINT64_C(0xfffffff0);
	struct test test;

	if (!setup(&test)) {
		return;
	}
	renderer_dispatch(test.r);
	g_assert_cmpuint(test.signaled->len, ==, 0);
	for (uint64_t i = 0; i < 200; i++) {
		g_assert_cmphex(create_fence(&test, 0, -1, first + i), ==, GPU_RESP_OK_NODATA);
	}
	wait_for(&test, 200);
	check_fence_order(&test, first, 200);
	/* Nothing is left to do, and the loop isn't told otherwise. */
	struct pollfd pollfd = { .fd = test.r->event_fd, .events = POLLIN };
	renderer_dispatch(test.r);
	g_assert_cmpint(poll(&pollfd, 1, 20), ==, 0);
	teardown(&test);
}

static void test_ring_fences(void)
{
	struct test test;

	if (!setup(&test)) {
		return;
	}
	create_context(&test, 1);
	create_context(&test, 2);
	for (uint64_t seq = 1; seq <= 60; seq++) {
		uint32_t ctx_id = 1 + seq % 2;
		int ring = (int)(seq % 3) - 1;

		g_assert_cmphex(create_fence(&test, ctx_id, ring, seq), ==, GPU_RESP_OK_NODATA);
	}
	wait_for(&test, 60);
	check_fence_order(&test, 1, 60);
	for (guint i = 0; i < 60; i++) {
		const struct renderer_fence *fence =
			&g_array_index(test.signaled, struct renderer_fence, i);

		g_assert_cmpuint(fence->ctx_id, ==, 1 + (i + 1) % 2);
		g_assert_cmpint(fence->has_ring ? fence->ring_idx : -1, ==, (int)((i + 1) % 3) - 1);
	}
	teardown(&test);
}

/* The library's thread signals them while this thread does something else. */
/* Nobody looks what has been signalled, as when resets come one after the other. */
static void test_too_many_fences(void)
{
	enum { MAX = 16384 };
	struct test test;

	if (!setup(&test)) {
		return;
	}
	for (uint64_t seq = 1; seq <= MAX; seq++) {
		g_assert_cmphex(create_fence(&test, 0, -1, seq), ==, GPU_RESP_OK_NODATA);
	}
	g_assert_cmphex(create_fence(&test, 0, -1, MAX + 1), ==, GPU_RESP_ERR_OUT_OF_MEMORY);
	wait_for(&test, MAX);
	check_fence_order(&test, 1, MAX);
	g_assert_cmphex(create_fence(&test, 0, -1, MAX + 2), ==, GPU_RESP_OK_NODATA);
	wait_for(&test, MAX + 1);
	teardown(&test);
}

static void test_fences_come_by_callback(void)
{
	struct virgl *virgl;
	struct test test;

	if (!setup(&test)) {
		return;
	}
	virgl = (struct virgl *)(void *)test.r;
	g_assert_cmphex(create_fence(&test, 0, -1, 1), ==, GPU_RESP_OK_NODATA);
	struct virgl_fences *fences = &virgl->fences;
	for (int i = 0; i < TIMEOUT_MS && atomic_load(&fences->retired) != fences->issued; i++) {
		g_usleep(1000);
	}
	g_assert_cmpuint(atomic_load(&fences->retired), ==, fences->issued);
	g_assert_true(atomic_load(&virgl->fences.is_async));
	g_assert_cmpuint(test.signaled->len, ==, 0);
	wait_readable(&test);
	renderer_dispatch(test.r);
	g_assert_cmpuint(test.signaled->len, ==, 1);
	teardown(&test);
}

/* Where the library may have no thread, the clock asks it. */
static void test_fences_come_by_timer(void)
{
	struct virgl *virgl;
	struct test test;

	if (!has_egl() || !is_in_own_process()) {
		return;
	}
	g_setenv("VIRGL_DISABLE_MT", "1", TRUE);
	g_assert_true(setup(&test));
	virgl = (struct virgl *)(void *)test.r;
	g_assert_cmpint(virgl->fences.poll_fd, ==, -1);
	g_assert_false(atomic_load(&virgl->fences.is_async));
	for (uint64_t seq = 1; seq <= 100; seq++) {
		g_assert_cmphex(create_fence(&test, 0, -1, seq), ==, GPU_RESP_OK_NODATA);
	}
	wait_for(&test, 100);
	check_fence_order(&test, 1, 100);
	struct pollfd pollfd = { .fd = test.r->event_fd, .events = POLLIN };
	renderer_dispatch(test.r);
	g_assert_cmpint(poll(&pollfd, 1, 20), ==, 0);
	teardown(&test);
}

/* Fences of a context that goes away are neither lost for others nor touched again. */
static void test_destroy_with_fences(void)
{
	struct resource_desc desc = desc_3d(VIRTIO_GPU_FORMAT_B8G8R8A8_UNORM, 1024, 1024, 0);
	struct stream stream = { 0 };
	struct test test;

	if (!setup(&test)) {
		return;
	}
	create_3d(&test, 1, &desc);
	put_surface(&stream, 1, 1, VIRTIO_GPU_FORMAT_B8G8R8A8_UNORM);
	put_clear(&stream, 0.0f, 1.0f, 0.0f, 1.0f);
	for (uint64_t round = 0; round < 50; round++) {
		create_context(&test, 7);
		virgl_context_impl.attach_resource(test.r, 7, 1);
		g_assert_cmphex(submit(&test, 7, &stream), ==, GPU_RESP_OK_NODATA);
		g_assert_cmphex(create_fence(&test, 7, 0, 2 * round + 1), ==, GPU_RESP_OK_NODATA);
		g_assert_cmphex(create_fence(&test, 0, -1, 2 * round + 2), ==, GPU_RESP_OK_NODATA);
		virgl_context_impl.destroy(test.r, 7);
	}
	wait_for(&test, 100);
	check_fence_order(&test, 1, 100);
	teardown(&test);
}

static void put_query(struct stream *stream, uint32_t handle, uint32_t resource)
{
	put_command(stream, CMD_CREATE_OBJECT, OBJECT_QUERY, 4);
	put_words(stream, (uint32_t[]){ handle, 0, 0, resource }, 4);
	put_command(stream, CMD_BEGIN_QUERY, 0, 1);
	put_word(stream, handle);
	put_clear(stream, 0.0f, 1.0f, 0.0f, 1.0f);
	put_command(stream, CMD_END_QUERY, 0, 1);
	put_word(stream, handle);
	put_command(stream, CMD_GET_QUERY_RESULT, 0, 2);
	put_words(stream, (uint32_t[]){ handle, 0 }, 2);
}

/*
 * While a query's result is out, the library's thread waits for us to poll
 * before it signals. It must not have to wait for its own time-out of 5 s.
 */
static void check_queries(struct test *test, bool is_destroyed_at_once)
{
	struct resource_desc desc = desc_3d(VIRTIO_GPU_FORMAT_B8G8R8A8_UNORM, 2048, 2048, 0);
	struct resource_desc result = { .target = TARGET_BUFFER,
					.format = FORMAT_R8,
					.bind = BIND_CUSTOM,
					.width = 16,
					.height = 1,
					.depth = 1,
					.array_size = 1 };
	struct pages pages = pages_create(4096, 4096);
	struct stream stream = { 0 };

	create_context(test, 1);
	create_3d(test, 1, &desc);
	create_3d(test, 2, &result);
	attach(test, 2, &pages);
	virgl_context_impl.attach_resource(test->r, 1, 1);
	virgl_context_impl.attach_resource(test->r, 1, 2);
	put_surface(&stream, 1, 1, VIRTIO_GPU_FORMAT_B8G8R8A8_UNORM);
	for (uint32_t i = 0; i < 40; i++) {
		put_query(&stream, 100 + i, 2);
	}
	g_assert_cmphex(submit(test, 1, &stream), ==, GPU_RESP_OK_NODATA);
	g_assert_cmphex(create_fence(test, 0, -1, 1), ==, GPU_RESP_OK_NODATA);
	gint64 start_us = g_get_monotonic_time();
	if (!is_destroyed_at_once) {
		wait_for(test, 1);
	}
	virgl_impl.resource_detach(test->r, 2);
	teardown(test);
	/* It is not the library's time limit of 5 s that has ended it. */
	g_assert_cmpint(g_get_monotonic_time() - start_us, <, 4 * G_USEC_PER_SEC);
	pages_free(&pages);
}

static void test_queries(void)
{
	struct test test;

	if (setup(&test)) {
		check_queries(&test, false);
	}
}

static void test_destroy_with_queries(void)
{
	struct test test;

	for (int i = 0; i < 5 && setup(&test); i++) {
		check_queries(&test, true);
	}
}

/* ---- what a guest should not do ---- */

static void check_refused_desc(struct test *test, struct resource_desc desc, enum gpu_resp resp)
{
	g_assert_cmphex(virgl_impl.resource_create(test->r, 99, &desc), ==, resp);
}

static void test_bad_resources(void)
{
	struct resource_desc desc = desc_3d(VIRTIO_GPU_FORMAT_B8G8R8A8_UNORM, 64, 64, 0);
	struct resource_desc bad;
	struct stream stream = { 0 };
	struct test test;

	if (!setup(&test)) {
		return;
	}
	bad = desc;
	bad.format = 0xffff;
	check_refused_desc(&test, bad, GPU_RESP_ERR_INVALID_PARAMETER);
	bad = desc;
	bad.format = FORMAT_R8G8_R8B8;
	check_refused_desc(&test, bad, GPU_RESP_ERR_INVALID_PARAMETER);
	bad = desc;
	bad.target = 77;
	check_refused_desc(&test, bad, GPU_RESP_ERR_INVALID_PARAMETER);
	bad = desc;
	bad.bind = BIND_VERTEX_BUFFER;
	check_refused_desc(&test, bad, GPU_RESP_ERR_INVALID_PARAMETER);
	bad = desc;
	bad.width = 0;
	check_refused_desc(&test, bad, GPU_RESP_ERR_INVALID_PARAMETER);
	bad = desc;
	bad.last_level = 200;
	check_refused_desc(&test, bad, GPU_RESP_ERR_INVALID_PARAMETER);
	bad = desc;
	bad.nr_samples = 1000;
	check_refused_desc(&test, bad, GPU_RESP_ERR_INVALID_PARAMETER);
	bad = desc;
	bad.width = bad.height = UINT32_MAX;
	bad.depth = bad.array_size = UINT32_MAX;
	check_refused_desc(&test, bad, GPU_RESP_ERR_OUT_OF_MEMORY);
	bad = desc;
	bad.width = 100000;
	check_refused_desc(&test, bad, GPU_RESP_ERR_INVALID_PARAMETER);
	bad.is_2d = true;
	check_refused_desc(&test, bad, GPU_RESP_ERR_OUT_OF_MEMORY);
	bad = (struct resource_desc){ .bind = BIND_CUSTOM, .height = 1, .depth = 1 };
	bad.width = UINT32_MAX;
	check_refused_desc(&test, bad, GPU_RESP_ERR_OUT_OF_MEMORY);

	create_3d(&test, 1, &desc);
	g_assert_cmphex(virgl_impl.resource_create(test.r, 1, &desc), ==,
			GPU_RESP_ERR_INVALID_RESOURCE_ID);
	/* After all that, work goes on. */
	create_context(&test, 1);
	check_clear(&test, 2, VIRTIO_GPU_FORMAT_B8G8R8X8_UNORM, 0, 0xffff8040);
	/* And after what the library accepts and GL does not, while a context is current. */
	put_clear(&stream, 0, 0, 0, 0);
	g_assert_cmphex(submit(&test, 1, &stream), ==, GPU_RESP_OK_NODATA);
	bad = desc;
	bad.nr_samples = 32;
	virgl_impl.resource_create(test.r, 3, &bad);
	g_assert_cmphex(submit(&test, 1, &stream), ==, GPU_RESP_OK_NODATA);
	bad = desc;
	bad.last_level = 7;
	virgl_impl.resource_create(test.r, 4, &bad);
	g_assert_cmphex(submit(&test, 1, &stream), ==, GPU_RESP_OK_NODATA);
	teardown(&test);
}

static void check_refused_transfer(struct test *test, struct transfer_3d transfer)
{
	g_assert_cmphex(transfer_3d(test, 1, &transfer), !=, GPU_RESP_OK_NODATA);
	transfer.to_host = !transfer.to_host;
	g_assert_cmphex(transfer_3d(test, 1, &transfer), !=, GPU_RESP_OK_NODATA);
}

static void test_bad_transfers(void)
{
	struct resource_desc desc = desc_3d(VIRTIO_GPU_FORMAT_B8G8R8A8_UNORM, 64, 64, 0);
	const struct transfer_3d good = { .ctx_id = 1, .box = { .w = 64, .h = 64, .d = 1 } };
	struct pages pages = pages_create(64 * 64 * 4, 4096);
	struct backing empty = { 0 };
	struct transfer_3d bad;
	struct test test;

	if (!setup(&test)) {
		pages_free(&pages);
		return;
	}
	create_context(&test, 1);
	create_3d(&test, 1, &desc);
	virgl_context_impl.attach_resource(test.r, 1, 1);
	check_refused_transfer(&test, good); /* no backing */
	g_assert_cmphex(virgl_impl.resource_attach(test.r, 1, &empty), ==, GPU_RESP_OK_NODATA);
	check_refused_transfer(&test, good);
	virgl_impl.resource_detach(test.r, 1);
	attach(&test, 1, &pages);
	g_assert_cmphex(virgl_impl.resource_attach(test.r, 1, &pages.backing), ==,
			GPU_RESP_ERR_UNSPEC);

	bad = good;
	bad.box.w = 0; /* nothing to do, but not an error */
	g_assert_cmphex(transfer_3d(&test, 1, &bad), ==, GPU_RESP_OK_NODATA);
	bad = good;
	bad.level = 5;
	check_refused_transfer(&test, bad);
	bad = good;
	bad.box.x = 1;
	check_refused_transfer(&test, bad);
	bad = good;
	bad.box.z = UINT32_MAX;
	check_refused_transfer(&test, bad);
	bad = good;
	bad.box.y = UINT32_MAX - 31;
	check_refused_transfer(&test, bad);
	bad = good;
	bad.stride = UINT32_MAX & ~3U;
	check_refused_transfer(&test, bad);
	bad = good;
	bad.stride = 0x04104108; /* 63 rows of it are 216 bytes more than 4 GiB */
	check_refused_transfer(&test, bad);
	bad = good;
	bad.offset = UINT64_C(1) << 40;
	check_refused_transfer(&test, bad);
	g_assert_cmphex(transfer_3d(&test, 55, &good), ==, GPU_RESP_ERR_INVALID_RESOURCE_ID);
	bad = good;
	bad.ctx_id = 44;
	check_refused_transfer(&test, bad);

	/* None of it has condemned the context. */
	g_assert_cmphex(transfer_3d(&test, 1, &good), ==, GPU_RESP_OK_NODATA);
	teardown(&test);
	pages_free(&pages);
}

static void test_wide_buffer_format(void)
{
	struct resource_desc desc = { .target = TARGET_BUFFER,
				      .format = FORMAT_R32G32B32A32_FLOAT,
				      .bind = BIND_VERTEX_BUFFER,
				      .width = 256,
				      .height = 1,
				      .depth = 1,
				      .array_size = 1 };
	struct pages pages = pages_create(1 << 16, 1 << 16);
	struct transfer_3d transfer = { .box = { .w = 256, .h = 1, .d = 1 } };
	struct test test;

	if (!setup(&test)) {
		pages_free(&pages);
		return;
	}
	create_3d(&test, 1, &desc);
	attach(&test, 1, &pages);
	g_assert_cmphex(transfer_3d(&test, 1, &transfer), ==, GPU_RESP_ERR_INVALID_PARAMETER);
	transfer.box.w = 16;
	g_assert_cmphex(transfer_3d(&test, 1, &transfer), ==, GPU_RESP_OK_NODATA);
	teardown(&test);
	pages_free(&pages);
}

static void test_bad_streams(void)
{
	struct stream stream = { 0 };
	struct test test;

	if (!setup(&test)) {
		return;
	}
	create_context(&test, 1);
	create_context(&test, 2);
	g_assert_cmphex(virgl_context_impl.create(test.r, 1, 0, "", 0), ==,
			GPU_RESP_ERR_INVALID_CONTEXT_ID);
	g_assert_cmphex(virgl_context_impl.submit(test.r, 9, stream.words, 4), ==,
			GPU_RESP_ERR_INVALID_CONTEXT_ID);
	g_assert_cmphex(virgl_context_impl.submit(test.r, 1, stream.words, 7), ==,
			GPU_RESP_ERR_INVALID_PARAMETER);
	g_assert_cmphex(virgl_context_impl.submit(test.r, 1, stream.words, 0), ==,
			GPU_RESP_OK_NODATA);

	/* Cut off in the middle of a command: refused, and the context lives on. */
	put_command(&stream, CMD_CLEAR, 0, 8);
	put_word(&stream, CLEAR_COLOR0);
	g_assert_cmphex(submit(&test, 1, &stream), ==, GPU_RESP_ERR_INVALID_PARAMETER);
	check_clear(&test, 1, VIRTIO_GPU_FORMAT_B8G8R8X8_UNORM, 0, 0xffff8040);

	/* No such command, then a resource that isn't there: an error each. */
	stream.n = 0;
	put_command(&stream, 0xff, 0, 0);
	g_assert_cmphex(submit(&test, 1, &stream), ==, GPU_RESP_ERR_UNSPEC);
	stream.n = 0;
	put_surface(&stream, 77, 4711, VIRTIO_GPU_FORMAT_B8G8R8X8_UNORM);
	g_assert_cmphex(submit(&test, 1, &stream), ==, GPU_RESP_ERR_UNSPEC);

	/* That was the end of context 1, and of no other; its id can begin anew. */
	stream.n = 0;
	put_command(&stream, CMD_NOP, 0, 0);
	g_assert_cmphex(submit(&test, 1, &stream), ==, GPU_RESP_ERR_UNSPEC);
	g_assert_cmphex(submit(&test, 2, &stream), ==, GPU_RESP_OK_NODATA);
	virgl_context_impl.destroy(test.r, 1);
	virgl_context_impl.destroy(test.r, 1);
	create_context(&test, 1);
	check_clear(&test, 5, VIRTIO_GPU_FORMAT_B8G8R8X8_UNORM, 0, 0xffff8040);
	g_assert_cmphex(create_fence(&test, 0, -1, 1), ==, GPU_RESP_OK_NODATA);
	wait_for(&test, 1);
	teardown(&test);
}

/* ---- blobs; those of Venus are in test-venus.c ---- */

#define BLOB_BYTES 8192

static enum gpu_resp create_blob(struct test *test, uint32_t id, uint32_t mem, uint64_t blob_id,
				 uint64_t size_bytes, struct pages *pages)
{
	const struct blob_desc desc = {
		.mem = mem,
		.blob_id = blob_id,
		.size_bytes = size_bytes,
		.ctx_id = mem == VIRTIO_GPU_BLOB_MEM_GUEST ? 0 : 1,
	};

	return virgl_blob_impl.create(test->r, id, &desc, pages != NULL ? &pages->backing : NULL);
}

static bool has_blobs(void)
{
	if (!virgl_library_has_blobs()) {
		g_test_skip("this virglrenderer has no blobs");
		return false;
	}
	return true;
}

static void test_guest_blob(void)
{
	struct pages pages = pages_create(BLOB_BYTES, 4096);
	struct renderer_export exported;
	struct frame *frame = NULL;
	struct rect rect = { 0, 0, 1, 1 };
	struct test test;

	if (!setup(&test)) {
		pages_free(&pages);
		return;
	}
	if (has_blobs()) {
		create_context(&test, 1);
		uint64_t used = quota_used(&test.quota);
		const struct transfer_3d transfer = { .ctx_id = 1, .box = { .w = 1, .h = 1, .d = 1 } };

		g_assert_cmphex(create_blob(&test, 1, VIRTIO_GPU_BLOB_MEM_GUEST, 0, BLOB_BYTES + 1,
					    &pages),
				==, GPU_RESP_ERR_INVALID_PARAMETER);
		g_assert_cmphex(create_blob(&test, 1, VIRTIO_GPU_BLOB_MEM_GUEST, 0, BLOB_BYTES,
					    &pages),
				==, GPU_RESP_OK_NODATA);
		g_assert_cmphex(create_blob(&test, 1, VIRTIO_GPU_BLOB_MEM_GUEST, 0, BLOB_BYTES,
					    &pages),
				==, GPU_RESP_ERR_INVALID_RESOURCE_ID);
		/* The pages are the guest's, and no picture is in them that the library knows of. */
		g_assert_cmpuint(quota_used(&test.quota), ==, used);
		g_assert_cmphex(virgl_impl.resource_read(test.r, 1, &rect, &frame), ==,
				GPU_RESP_ERR_INVALID_PARAMETER);
		g_assert_cmphex(virgl_context_impl.transfer(test.r, 1, &transfer), ==,
				GPU_RESP_ERR_INVALID_PARAMETER);
		virgl_context_impl.attach_resource(test.r, 1, 1);
		virgl_impl.resource_detach(test.r, 1);
		virgl_impl.resource_detach(test.r, 1);
		attach(&test, 1, &pages);
		virgl_context_impl.detach_resource(test.r, 1, 1);
		virgl_impl.resource_detach(test.r, 1);
		virgl_impl.resource_destroy(test.r, 1);
		g_assert_cmphex(virgl_blob_impl.export(test.r, 1, &exported), ==,
				GPU_RESP_ERR_INVALID_RESOURCE_ID);
	}
	pages_free(&pages);
	teardown(&test);
}

static enum gpu_resp create_pipe_resource(struct test *test, uint32_t width, uint32_t height,
					  uint32_t depth, uint32_t blob_id)
{
	struct stream stream = { 0 };

	put_command(&stream, CMD_PIPE_RESOURCE_CREATE, 0, 11);
	put_words(&stream,
		  (uint32_t[]){ TARGET_2D, VIRTIO_GPU_FORMAT_B8G8R8A8_UNORM, BIND_RENDER_TARGET,
				width, height, depth, 1, 0, 0, 0, blob_id },
		  11);
	return submit(test, 1, &stream);
}

/* Of what a stream has made: it has a shape, and can be drawn on, shown, and be written to. */
static void test_context_blob(void)
{
	struct rect all = { 0, 0, 16, 16 };
	struct stream stream = { 0 };
	struct test test;

	if (!setup(&test)) {
		return;
	}
	if (has_blobs()) {
		g_assert_cmphex(create_blob(&test, 5, VIRTIO_GPU_BLOB_MEM_HOST3D, 7, BLOB_BYTES, NULL),
				==, GPU_RESP_ERR_INVALID_CONTEXT_ID);
		create_context(&test, 1);
		uint64_t used = quota_used(&test.quota);
		g_assert_cmphex(create_blob(&test, 5, VIRTIO_GPU_BLOB_MEM_HOST3D, 7, BLOB_BYTES, NULL),
				==, GPU_RESP_ERR_INVALID_PARAMETER);
		g_assert_cmpuint(quota_used(&test.quota), ==, used);
		g_assert_cmphex(create_pipe_resource(&test, 16, 16, 1, 7), ==, GPU_RESP_OK_NODATA);
		/* What it is said to take does not make it smaller. */
		g_assert_cmphex(create_blob(&test, 5, VIRTIO_GPU_BLOB_MEM_HOST3D, 7, 1, NULL), ==,
				GPU_RESP_OK_NODATA);
		g_assert_cmpuint(quota_used(&test.quota), >=, used + 16 * 16 * 4);
		virgl_context_impl.attach_resource(test.r, 1, 5);
		put_surface(&stream, 50, 5, VIRTIO_GPU_FORMAT_B8G8R8A8_UNORM);
		put_clear(&stream, 1.0f, 0.0f, 1.0f, 1.0f);
		g_assert_cmphex(submit(&test, 1, &stream), ==, GPU_RESP_OK_NODATA);
		struct frame *frame = read_frame(&test, 5, all);
		g_assert_cmphex(*(uint32_t *)frame_pixel(frame, 15, 15), ==, 0xffff00ff);
		frame_unref(frame);
		virgl_impl.resource_destroy(test.r, 5);
	}
	teardown(&test);
}

/* Sizes that the library can't count are refused in a stream, too. */
static void test_bad_pipe_resources(void)
{
	struct test test;

	if (!setup(&test)) {
		return;
	}
	create_context(&test, 1);
	g_assert_cmphex(create_pipe_resource(&test, 0x10000, 0x10000, 1, 1), ==,
			GPU_RESP_ERR_INVALID_PARAMETER);
	g_assert_cmphex(create_pipe_resource(&test, 16, 16, UINT32_MAX, 1), ==,
			GPU_RESP_ERR_INVALID_PARAMETER);
	g_assert_cmphex(create_pipe_resource(&test, 0, 16, 1, 1), ==,
			GPU_RESP_ERR_INVALID_PARAMETER);
	g_assert_cmphex(create_pipe_resource(&test, 16, 16, 1, 1), ==, GPU_RESP_OK_NODATA);
	/* What nobody takes the library (0.10.4) keeps for ever. */
	if (has_blobs()) {
		g_assert_cmphex(create_blob(&test, 5, VIRTIO_GPU_BLOB_MEM_HOST3D, 1, 4096, NULL),
				==, GPU_RESP_OK_NODATA);
		virgl_impl.resource_destroy(test.r, 5);
	}
	teardown(&test);
}

static void test_bad_reads(void)
{
	struct resource_desc buffer = { .target = TARGET_BUFFER,
					.format = FORMAT_R8,
					.bind = BIND_VERTEX_BUFFER,
					.width = 64,
					.height = 1,
					.depth = 1,
					.array_size = 1 };
	struct rect rect = { 0, 0, 8, 1 };
	struct frame *frame = NULL;
	struct test test;

	if (!setup(&test)) {
		return;
	}
	create_3d(&test, 1, &buffer);
	create_2d(&test, 2, VIRTIO_GPU_FORMAT_B8G8R8A8_UNORM, 8, 8);
	g_assert_cmphex(virgl_impl.resource_read(test.r, 1, &rect, &frame), ==,
			GPU_RESP_ERR_INVALID_PARAMETER);
	g_assert_cmphex(virgl_impl.resource_read(test.r, 3, &rect, &frame), ==,
			GPU_RESP_ERR_INVALID_RESOURCE_ID);
	rect.x = UINT32_MAX;
	g_assert_cmphex(virgl_impl.resource_read(test.r, 2, &rect, &frame), ==,
			GPU_RESP_ERR_INVALID_PARAMETER);
	g_assert_null(frame);
	virgl_impl.resource_destroy(test.r, 2);
	virgl_impl.resource_destroy(test.r, 2);
	virgl_impl.resource_detach(test.r, 2);
	teardown(&test);
}

/* ---- life ---- */

static void check_no_start(struct renderer_options options)
{
	struct renderer *r = NULL;
	struct quota quota;

	quota_init(&quota, QUOTA_BYTES);
	g_assert_cmpint(renderer_create(&virgl_impl, &options, &quota, &r), <, 0);
	g_assert_null(r);
}

static void test_no_start(void)
{
	struct renderer_options options = default_options;

	if (!has_egl()) {
		return;
	}
	guint n_fds = count_dir("/proc/self/fd");
	options.use_egl = false;
	check_no_start(options);
	options = default_options;
	options.gpu_device = "/nonexistent/renderD128";
	check_no_start(options);
	options.gpu_device = "/dev/null";
	check_no_start(options);
	g_assert_cmpuint(count_dir("/proc/self/fd"), ==, n_fds);
}

/* libEGL alone, without Mesa: the library itself would crash. */
static void test_no_driver(void)
{
	if (!has_egl() || !is_in_own_process()) {
		return;
	}
	g_setenv("__EGL_VENDOR_LIBRARY_DIRS", "/nonexistent", TRUE);
	check_no_start(default_options);
}

/* One that was joined is listed for a moment after. */
static bool has_no_more_threads(void *data)
{
	return count_dir("/proc/self/task") <= *(const guint *)data;
}

static void test_again_and_again(void)
{
	guint n_fds = 0, n_threads = 0;

	for (int i = 0; i < 20; i++) {
		struct test test;

		if (!setup(&test)) {
			return;
		}
		create_context(&test, 1);
		check_clear(&test, 1, VIRTIO_GPU_FORMAT_B8G8R8X8_UNORM, 0, 0xffff8040);
		g_assert_cmphex(create_fence(&test, 0, -1, 1), ==, GPU_RESP_OK_NODATA);
		if (i % 2 == 0) {
			wait_for(&test, 1);
		}
		teardown(&test);
		if (i == 0) {
			n_fds = count_dir("/proc/self/fd");
			n_threads = count_dir("/proc/self/task");
		}
	}
	g_assert_cmpuint(count_dir("/proc/self/fd"), ==, n_fds);
	g_assert_true(unit_wait(has_no_more_threads, &n_threads));
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	log_init();
	g_test_add_func("/virgl/blob/guest", test_guest_blob);
	g_test_add_func("/virgl/blob/context", test_context_blob);
	g_test_add_func("/virgl/blob/bad-pipe-resources", test_bad_pipe_resources);
	g_test_add_func("/virgl/2d/formats", test_formats);
	g_test_add_func("/virgl/2d/formats-desktop-gl", test_formats_desktop_gl);
	g_test_add_func("/virgl/2d/sub-rects", test_sub_rects);
	g_test_add_func("/virgl/2d/offset", test_offset);
	g_test_add_func("/virgl/2d/damage", test_damage);
	g_test_add_func("/virgl/2d/quota", test_quota);
	g_test_add_func("/virgl/3d/memory-is-charged", test_memory_is_charged);
	g_test_add_func("/virgl/3d/contexts-are-charged", test_contexts_are_charged);
	g_test_add_func("/virgl/3d/clear", test_clear);
	g_test_add_func("/virgl/3d/orientation", test_orientation);
	g_test_add_func("/virgl/3d/round-trip", test_round_trip);
	g_test_add_func("/virgl/3d/buffer-round-trip", test_buffer_round_trip);
	g_test_add_func("/virgl/3d/packed-formats", test_packed_formats);
	g_test_add_func("/virgl/3d/capsets", test_capsets);
	g_test_add_func("/virgl/fence/order", test_fences);
	g_test_add_func("/virgl/fence/too-many", test_too_many_fences);
	g_test_add_func("/virgl/fence/rings", test_ring_fences);
	g_test_add_func("/virgl/fence/callback", test_fences_come_by_callback);
	g_test_add_func("/virgl/fence/timer", test_fences_come_by_timer);
	g_test_add_func("/virgl/fence/destroyed-context", test_destroy_with_fences);
	g_test_add_func("/virgl/fence/queries", test_queries);
	g_test_add_func("/virgl/fence/destroy-with-queries", test_destroy_with_queries);
	g_test_add_func("/virgl/bad/resources", test_bad_resources);
	g_test_add_func("/virgl/bad/transfers", test_bad_transfers);
	g_test_add_func("/virgl/bad/wide-buffer", test_wide_buffer_format);
	g_test_add_func("/virgl/bad/streams", test_bad_streams);
	g_test_add_func("/virgl/bad/reads", test_bad_reads);
	g_test_add_func("/virgl/life/no-start", test_no_start);
	g_test_add_func("/virgl/life/no-driver", test_no_driver);
	g_test_add_func("/virgl/life/again", test_again_and_again);
	return g_test_run();
}
