/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * What renderer.h promises, of every renderer that needs nothing of the host: null, soft, and
 * gfxstream on a library of the tests' own. It gets Vulkan alone, which takes no EGL.
 */
#include <string.h>

#include "renderer/impls.h"
#include "unit.h"

#define QUOTA_BYTES (UINT64_C(64) << 20)
#define WIDTH 37u
#define HEIGHT 11u
#define SIZE (WIDTH * HEIGHT * 4)

struct fixture {
	struct quota quota;
	struct renderer *r;
	uint8_t pixels[2 * SIZE];
	struct iovec iov[3];
	struct backing backing;
};

static const char *mock_library(void)
{
	static char *path;

	if (path == NULL) {
		path = g_build_filename(g_getenv("MOCK_GFXSTREAM"), "libgfxstream_backend.so.0",
					NULL);
	}
	return path;
}

static void setup(struct fixture *f, gconstpointer impl)
{
	const struct renderer_options options = {
		.use_egl = true,
		.library = impl == &gfxstream_impl ? mock_library() : NULL,
	};

	memset(f, 0, sizeof(*f));
	quota_init(&f->quota, QUOTA_BYTES);
	g_assert_cmpint(renderer_create(impl, &options, &f->quota, &f->r), ==, 0);
	/* Three pieces, in another order than in memory. */
	f->iov[0] = (struct iovec){ f->pixels + SIZE, 1000 };
	f->iov[1] = (struct iovec){ f->pixels, 3 };
	f->iov[2] = (struct iovec){ f->pixels + 100, SIZE - 1003 };
	f->backing = (struct backing){ f->iov, 3, SIZE };
}

static void teardown(struct fixture *f, gconstpointer impl G_GNUC_UNUSED)
{
	renderer_destroy(f->r);
	g_assert_cmpuint(quota_used(&f->quota), ==, 0);
}

static void write_backing(struct fixture *f, const uint8_t *bytes)
{
	size_t at = 0;

	for (size_t i = 0; i < 3; i++) {
		memcpy(f->iov[i].iov_base, bytes + at, f->iov[i].iov_len);
		at += f->iov[i].iov_len;
	}
}

static struct resource_desc describe(uint32_t format)
{
	return (struct resource_desc){
		.is_2d = true,
		.target = 2,
		.format = format,
		.width = WIDTH,
		.height = HEIGHT,
		.depth = 1,
		.array_size = 1,
	};
}

static void create(struct fixture *f, uint32_t id, uint32_t format)
{
	const struct resource_desc desc = describe(format);

	g_assert_cmphex(f->r->impl->resource_create(f->r, id, &desc), ==, GPU_RESP_OK_NODATA);
}

static struct frame *read_frame(struct fixture *f, uint32_t id)
{
	const struct rect all = { 0, 0, WIDTH, HEIGHT };
	struct frame *frame = NULL;

	g_assert_cmphex(f->r->impl->resource_read(f->r, id, &all, &frame), ==, GPU_RESP_OK_NODATA);
	if (frame != NULL) {
		g_assert_cmpuint(frame->width, ==, WIDTH);
		g_assert_cmpuint(frame->height, ==, HEIGHT);
	}
	return frame;
}

static void transfer(struct fixture *f, uint32_t id, const struct rect *rect, uint64_t offset)
{
	g_assert_cmphex(f->r->impl->transfer_2d(f->r, id, rect, offset), ==, GPU_RESP_OK_NODATA);
}

/* ---- the contract ---- */

static void test_table(struct fixture *f, gconstpointer impl)
{
	g_assert_true(f->r->impl == impl);
	g_assert_true(renderer_find(f->r->impl->name) == impl);
	g_assert_true((f->r->impl->fence_create == NULL) == (f->r->impl->dispatch == NULL));
	g_assert_cmpuint(f->r->caps.n_capsets, <=, RENDERER_MAX_CAPSETS);
	for (uint32_t i = 0; i < f->r->caps.n_capsets; i++) {
		g_assert_cmpuint(f->r->caps.capsets[i].max_size_bytes, <=,
				 RENDERER_MAX_CAPSET_BYTES);
	}
	/* Without a capset no guest may be told of 3D. */
	if (f->r->caps.n_capsets == 0) {
		g_assert_cmphex(f->r->caps.features, ==, 0);
	}
	renderer_dispatch(f->r); /* always fine */
}

static void test_life_of_a_resource(struct fixture *f, gconstpointer impl G_GNUC_UNUSED)
{
	const struct rect all = { 0, 0, WIDTH, HEIGHT };

	for (int round = 0; round < 3; round++) {
		create(f, 5, VIRTIO_GPU_FORMAT_B8G8R8A8_UNORM);
		/* Attached and detached any number of times. */
		for (int i = 0; i < 3; i++) {
			g_assert_cmphex(f->r->impl->resource_attach(f->r, 5, &f->backing), ==,
					GPU_RESP_OK_NODATA);
			transfer(f, 5, &all, 0);
			f->r->impl->resource_detach(f->r, 5);
		}
		frame_unref(read_frame(f, 5));
		f->r->impl->resource_destroy(f->r, 5);
	}
	g_assert_cmpuint(quota_used(&f->quota), ==, 0);
}

static void test_destroy_frees_what_is_left(struct fixture *f, gconstpointer impl G_GNUC_UNUSED)
{
	for (uint32_t id = 1; id < 20; id++) {
		create(f, id * 0x01010101u, VIRTIO_GPU_FORMAT_R8G8B8X8_UNORM);
	}
	/* teardown looks at the quota */
}

static void test_a_frame_outlives_its_resource(struct fixture *f, gconstpointer impl G_GNUC_UNUSED)
{
	create(f, 1, VIRTIO_GPU_FORMAT_B8G8R8A8_UNORM);
	struct frame *frame = read_frame(f, 1);
	f->r->impl->resource_destroy(f->r, 1);
	if (frame != NULL) {
		g_assert_cmphex(*frame_pixel(frame, WIDTH - 1, HEIGHT - 1), ==, 0);
		g_assert_cmpuint(quota_used(&f->quota), >=, SIZE);
	}
	frame_unref(frame);
	g_assert_cmpuint(quota_used(&f->quota), ==, 0);
}

/* A new resource shows nothing of anyone's memory. */
static void test_new_is_black(struct fixture *f, gconstpointer impl G_GNUC_UNUSED)
{
	static const uint32_t formats[] = { 1, 2, 3, 4, 67, 68, 121, 134 };

	for (uint32_t i = 0; i < G_N_ELEMENTS(formats); i++) {
		create(f, i + 1, formats[i]);
		struct frame *frame = read_frame(f, i + 1);
		for (uint32_t k = 0; frame != NULL && k < WIDTH * HEIGHT; k++) {
			g_assert_cmphex(*frame_pixel(frame, k % WIDTH, k / WIDTH) & 0xffffff, ==,
					0);
		}
		frame_unref(frame);
	}
}

static void test_no_memory(struct fixture *f, gconstpointer impl G_GNUC_UNUSED)
{
	const struct resource_desc desc = describe(VIRTIO_GPU_FORMAT_B8G8R8A8_UNORM);

	quota_init(&f->quota, SIZE - 1);
	enum gpu_resp resp = f->r->impl->resource_create(f->r, 1, &desc);
	/* Who has no pixels needs no memory. */
	g_assert_true(resp == GPU_RESP_ERR_OUT_OF_MEMORY || resp == GPU_RESP_OK_NODATA);
	g_assert_cmpuint(quota_used(&f->quota), ==, 0);
	if (resp == GPU_RESP_OK_NODATA) {
		f->r->impl->resource_destroy(f->r, 1);
	}
}

/* ---- pixels (a renderer that shows nothing has none) ---- */

/* Where each colour is in a pixel's bytes, by the formats' names; 4: no alpha, but the
 * byte is kept. */
static const struct format {
	const char *name;
	uint32_t format;
	uint8_t red, green, blue, alpha;
} formats[] = {
	{ "B8G8R8A8", VIRTIO_GPU_FORMAT_B8G8R8A8_UNORM, 2, 1, 0, 3 },
	{ "B8G8R8X8", VIRTIO_GPU_FORMAT_B8G8R8X8_UNORM, 2, 1, 0, 4 },
	{ "A8R8G8B8", VIRTIO_GPU_FORMAT_A8R8G8B8_UNORM, 1, 2, 3, 0 },
	{ "X8R8G8B8", VIRTIO_GPU_FORMAT_X8R8G8B8_UNORM, 1, 2, 3, 4 },
	{ "R8G8B8A8", VIRTIO_GPU_FORMAT_R8G8B8A8_UNORM, 0, 1, 2, 3 },
	{ "X8B8G8R8", VIRTIO_GPU_FORMAT_X8B8G8R8_UNORM, 3, 2, 1, 4 },
	{ "A8B8G8R8", VIRTIO_GPU_FORMAT_A8B8G8R8_UNORM, 3, 2, 1, 0 },
	{ "R8G8B8X8", VIRTIO_GPU_FORMAT_R8G8B8X8_UNORM, 0, 1, 2, 4 },
};

struct case_of_format {
	const struct renderer_impl *impl;
	const struct format *format;
};

static uint32_t expected_pixel(const struct format *format, const uint8_t *bytes)
{
	unsigned int left_over = 0u + 1 + 2 + 3 - format->red - format->green - format->blue;
	uint32_t alpha = bytes[left_over];

	return alpha << 24 | (uint32_t)bytes[format->red] << 16 |
	       (uint32_t)bytes[format->green] << 8 | bytes[format->blue];
}

static void test_format(gconstpointer data)
{
	const struct case_of_format *c = data;
	static const struct rect rects[] = {
		{ 0, 0, WIDTH, HEIGHT }, { 3, 2, 5, 4 },  { 0, 5, WIDTH, 2 },
		{ 36, 10, 1, 1 },	 { 10, 0, 1, 11 },
	};
	struct fixture fixture, *f = &fixture;
	uint8_t bytes[SIZE];
	uint32_t shown[WIDTH * HEIGHT] = { 0 };

	setup(f, c->impl);
	create(f, 1, c->format->format);
	g_assert_cmphex(f->r->impl->resource_attach(f->r, 1, &f->backing), ==, GPU_RESP_OK_NODATA);
	for (size_t i = 0; i < G_N_ELEMENTS(rects); i++) {
		const struct rect *rect = &rects[i];

		for (size_t k = 0; k < SIZE; k++) {
			bytes[k] = (uint8_t)(k * 31 + i * 97);
		}
		write_backing(f, bytes);
		transfer(f, 1, rect, (rect->y * WIDTH + rect->x) * 4);
		for (uint32_t y = rect->y; y < rect->y + rect->height; y++) {
			for (uint32_t x = rect->x; x < rect->x + rect->width; x++) {
				uint32_t k = y * WIDTH + x;

				shown[k] = expected_pixel(c->format, bytes + 4 * k);
			}
		}
		struct frame *frame = read_frame(f, 1);
		for (uint32_t k = 0; frame != NULL && k < WIDTH * HEIGHT; k++) {
			g_assert_cmphex(*frame_pixel(frame, k % WIDTH, k / WIDTH), ==, shown[k]);
		}
		/* The next transfer changes no frame that is held. */
		if (frame != NULL && i == 0) {
			write_backing(f, (const uint8_t *)shown);
			transfer(f, 1, rect, 0);
			g_assert_cmphex(*frame_pixel(frame, 0, 0), ==, shown[0]);
			write_backing(f, bytes);
			transfer(f, 1, rect, 0);
		}
		frame_unref(frame);
	}
	f->r->impl->resource_detach(f->r, 1);
	f->r->impl->resource_destroy(f->r, 1);
	teardown(f, NULL);
}

/* ---- long copies ---- */

enum { LARGE_WIDTH = 1024, LARGE_HEIGHT = 1100 }; /* 4.3 MiB: no whole number of pieces */

struct breather {
	struct fixture *f;
	unsigned int n;
	uint32_t colour; /* of resource 2 */
};

static void breathe(void *data)
{
	struct breather *b = data;
	struct frame *frame = read_frame(b->f, 2);

	g_assert_cmphex(*frame_pixel(frame, WIDTH - 1, HEIGHT - 1), ==, b->colour);
	frame_unref(frame);
	b->n++;
}

static const struct renderer_listener breather_listener = { .breathe = breathe };

/* From the large picture in pixels to resource 1: how often did it breathe? */
static unsigned int breathe_in(struct breather *b, const struct format *format,
			       const uint8_t *pixels, const struct rect *rect)
{
	struct fixture *f = b->f;
	const struct rect all = { 0, 0, LARGE_WIDTH, LARGE_HEIGHT };
	struct frame *frame = NULL;

	b->n = 0;
	transfer(f, 1, rect, (rect->y * LARGE_WIDTH + rect->x) * 4);
	g_assert_cmphex(f->r->impl->resource_read(f->r, 1, &all, &frame), ==, GPU_RESP_OK_NODATA);
	for (uint32_t y = rect->y; y < rect->y + rect->height; y++) {
		for (uint32_t x = rect->x; x < rect->x + rect->width; x++) {
			g_assert_cmphex(*frame_pixel(frame, x, y), ==,
					expected_pixel(format, pixels + (y * LARGE_WIDTH + x) * 4));
		}
	}
	frame_unref(frame);
	return b->n;
}

/* Who waits for a long copy has its turn in the middle of it, and the picture is right. */
static void test_breathes(gconstpointer data)
{
	const struct format *format = data;
	const size_t size = LARGE_WIDTH * LARGE_HEIGHT * 4;
	const struct resource_desc desc = { .is_2d = true, .target = 2, .format = format->format,
					    .width = LARGE_WIDTH, .height = LARGE_HEIGHT,
					    .depth = 1, .array_size = 1 };
	struct fixture fixture, *f = &fixture;
	struct breather b = { .f = f };
	g_autofree uint8_t *pixels = g_malloc(size);
	/* Two pieces that meet inside a row. */
	struct iovec iov[] = { { pixels, size / 3 }, { pixels + size / 3, size - size / 3 } };
	const struct backing backing = { iov, 2, size };

	for (size_t i = 0; i < size; i++) {
		pixels[i] = (uint8_t)(i * 7 + i / 4099);
	}
	setup(f, &soft_impl);
	renderer_set_listener(f->r, &breather_listener, &b);
	create(f, 2, format->format);
	memset(f->pixels, 0x5a, sizeof(f->pixels));
	b.colour = 0x5a5a5a5a;
	g_assert_cmphex(f->r->impl->resource_attach(f->r, 2, &f->backing), ==, GPU_RESP_OK_NODATA);
	transfer(f, 2, &(struct rect){ 0, 0, WIDTH, HEIGHT }, 0);
	g_assert_cmpuint(b.n, ==, 0);

	g_assert_cmphex(f->r->impl->resource_create(f->r, 1, &desc), ==, GPU_RESP_OK_NODATA);
	g_assert_cmphex(f->r->impl->resource_attach(f->r, 1, &backing), ==, GPU_RESP_OK_NODATA);
	g_assert_cmpuint(breathe_in(&b, format, pixels,
				    &(struct rect){ 0, 0, LARGE_WIDTH, LARGE_HEIGHT }),
			 >=, 3);
	/* Not from edge to edge. */
	memset(pixels, 0x77, size / 2);
	g_assert_cmpuint(breathe_in(&b, format, pixels,
				    &(struct rect){ 5, 3, LARGE_WIDTH - 9, LARGE_HEIGHT - 4 }),
			 >=, 3);
	g_assert_cmpuint(breathe_in(&b, format, pixels, &(struct rect){ 9, 700, 256, 256 }), ==, 0);
	f->r->impl->resource_detach(f->r, 1);
	f->r->impl->resource_detach(f->r, 2);
	teardown(f, NULL);
}

static void test_format_table(void)
{
	uint32_t n_known = 0;
	enum pixel_format pixel_format = PIXEL_NONE;
	bool has_alpha;

	for (uint32_t format = 0; format < 1000; format++) {
		if (!renderer_format_info(format, &pixel_format, &has_alpha)) {
			continue;
		}
		bool is_listed = false;
		for (size_t i = 0; i < G_N_ELEMENTS(formats); i++) {
			if (formats[i].format == format) {
				g_assert_cmpint(has_alpha, ==, formats[i].alpha < 4);
				is_listed = true;
			}
		}
		g_assert_true(is_listed);
		g_assert_true(renderer_format_info(format, &pixel_format, NULL));
		n_known++;
	}
	g_assert_cmpuint(n_known, ==, 8);
	g_assert_false(renderer_format_info(UINT32_MAX, &pixel_format, NULL));
}

/* ---- contexts, where there are any ---- */

static void test_contexts(struct fixture *f, gconstpointer impl G_GNUC_UNUSED)
{
	const struct renderer_context_impl *context = f->r->impl->context;
	const struct resource_desc desc = { .target = 2, .format = 1, .width = 8, .height = 8,
					    .depth = 1, .array_size = 1 };
	const struct transfer_3d transfer_3d = { .box = { 0, 0, 0, 8, 8, 1 }, .to_host = true };
	uint64_t stream[4] = { 0 };

	if (context == NULL) {
		g_test_skip("this renderer is 2D only");
		return;
	}
	g_assert_cmphex(context->create(f->r, 1, 0, "name", 4), ==, GPU_RESP_OK_NODATA);
	g_assert_cmphex(f->r->impl->resource_create(f->r, 1, &desc), ==, GPU_RESP_OK_NODATA);
	context->attach_resource(f->r, 1, 1);
	g_assert_cmphex(f->r->impl->resource_attach(f->r, 1, &f->backing), ==, GPU_RESP_OK_NODATA);
	g_assert_cmphex(context->transfer(f->r, 1, &transfer_3d), ==, GPU_RESP_OK_NODATA);
	g_assert_cmphex(context->submit(f->r, 1, stream, sizeof(stream)), ==, GPU_RESP_OK_NODATA);
	context->detach_resource(f->r, 1, 1);
	f->r->impl->resource_detach(f->r, 1);
	f->r->impl->resource_destroy(f->r, 1);
	context->destroy(f->r, 1);
}

static void test_unknown_names(void)
{
	static const char *const names[] = { "", "2D", "soft", "Gfxstream", "virgl", "nul" };

	for (size_t i = 0; i < G_N_ELEMENTS(names); i++) {
		g_assert_null(renderer_find(names[i]));
	}
	g_assert_nonnull(renderer_find("virglrenderer"));
	g_assert_nonnull(renderer_find("gfxstream"));
	renderer_destroy(NULL);
}

int main(int argc, char **argv)
{
	static const struct {
		const char *path;
		void (*test)(struct fixture *f, gconstpointer impl);
	} tests[] = {
		{ "table", test_table },
		{ "life-of-a-resource", test_life_of_a_resource },
		{ "destroy-frees-what-is-left", test_destroy_frees_what_is_left },
		{ "a-frame-outlives-its-resource", test_a_frame_outlives_its_resource },
		{ "new-is-black", test_new_is_black },
		{ "no-memory", test_no_memory },
		{ "contexts", test_contexts },
	};
	static const struct renderer_impl *const impls[] = { &null_impl, &soft_impl,
							    &gfxstream_impl };
	static struct case_of_format cases[G_N_ELEMENTS(impls) * G_N_ELEMENTS(formats)];
	size_t n_cases = 0;

	g_test_init(&argc, &argv, NULL);
	g_setenv("VK_DRIVER_FILES", "/dev/null", TRUE);
	for (size_t i = 0; i < G_N_ELEMENTS(impls); i++) {
		for (size_t k = 0; k < G_N_ELEMENTS(tests); k++) {
			g_autofree char *path = g_strdup_printf("/renderer/%s/%s", impls[i]->name,
								tests[k].path);

			g_test_add(path, struct fixture, impls[i], setup, tests[k].test, teardown);
		}
		for (size_t k = 0; k < G_N_ELEMENTS(formats); k++) {
			g_autofree char *path = g_strdup_printf("/renderer/%s/format/%s",
								impls[i]->name, formats[k].name);

			cases[n_cases] = (struct case_of_format){ impls[i], &formats[k] };
			g_test_add_data_func(path, &cases[n_cases++], test_format);
		}
	}
	g_test_add_data_func("/renderer/2d/breathes/straight", &formats[0], test_breathes);
	g_test_add_data_func("/renderer/2d/breathes/converted", &formats[4], test_breathes);
	g_test_add_func("/renderer/format-table", test_format_table);
	g_test_add_func("/renderer/unknown-names", test_unknown_names);
	return g_test_run();
}
