/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * What the guest draws is what the display shows, pixel by pixel, and no more is sent than changed.
 */
#include <string.h>

#include "proto.h"

#define FORMAT VIRTIO_GPU_FORMAT_B8G8R8X8_UNORM

static void show(struct rig *rig, uint32_t id, uint32_t scanout, uint32_t width, uint32_t height)
{
	g_assert_ok(vgpu_transfer_to_host_2d(rig->vgpu, id, 0, 0, 0, width, height));
	g_assert_ok(vgpu_set_scanout(rig->vgpu, scanout, id, 0, 0, width, height));
	g_assert_ok(vgpu_resource_flush(rig->vgpu, id, 0, 0, width, height));
}

struct format {
	uint32_t format;
	unsigned int red, green, blue; /* which byte of the pixel holds it */
};

static void test_formats(const void *mode)
{
	static const struct format formats[] = {
		{VIRTIO_GPU_FORMAT_B8G8R8A8_UNORM, 2, 1, 0},
		{VIRTIO_GPU_FORMAT_B8G8R8X8_UNORM, 2, 1, 0},
		{VIRTIO_GPU_FORMAT_A8R8G8B8_UNORM, 1, 2, 3},
		{VIRTIO_GPU_FORMAT_X8R8G8B8_UNORM, 1, 2, 3},
		{VIRTIO_GPU_FORMAT_R8G8B8A8_UNORM, 0, 1, 2},
		{VIRTIO_GPU_FORMAT_X8B8G8R8_UNORM, 3, 2, 1},
		{VIRTIO_GPU_FORMAT_A8B8G8R8_UNORM, 3, 2, 1},
		{VIRTIO_GPU_FORMAT_R8G8B8X8_UNORM, 0, 1, 2},
	};
	struct rig *rig = proto_rig(mode);
	const uint32_t width = 61, height = 37;

	for (uint32_t i = 0; i < G_N_ELEMENTS(formats); i++) {
		const struct format *format = &formats[i];
		g_autofree uint32_t *pixels = rig_make_pattern(width, height, i);
		g_autofree uint32_t *expected = g_new(uint32_t, width * height);
		for (uint32_t j = 0; j < width * height; j++) {
			const uint8_t *bytes = (const uint8_t *)&pixels[j];
			expected[j] = (uint32_t)bytes[format->red] << 16 |
				      (uint32_t)bytes[format->green] << 8 | bytes[format->blue];
		}
		rig_make_resource(rig, i + 1, format->format, width, height, pixels);
		show(rig, i + 1, 0, width, height);
		g_test_message("format %u", format->format);
		display_wait_pixels(rig->display, 0, expected, width, height);
	}
	rig_destroy(rig);
}

static void fill(uint32_t *pixels, uint32_t stride, uint32_t x, uint32_t y, uint32_t width,
		 uint32_t height, uint32_t value)
{
	for (uint32_t row = y; row < y + height; row++) {
		for (uint32_t column = x; column < x + width; column++) {
			pixels[row * stride + column] = value;
		}
	}
}

static void test_damage(const void *mode)
{
	struct rig *rig = proto_rig(mode);
	const uint32_t width = 128, height = 96;
	g_autofree uint32_t *expected = rig_make_pattern(width, height, 1);
	uint64_t gpa = rig_make_resource(rig, 1, FORMAT, width, height, expected);
	uint32_t *pixels = guestram_at(rig->ram, gpa, width * height * 4);
	struct display_message damage;

	show(rig, 1, 0, width, height);
	display_wait_pixels(rig->display, 0, expected, width, height);
	/* The guest writes everywhere, transfers some, flushes less: only what was flushed is seen
	 * and sent. */
	unsigned int first = display_n_messages(rig->display);
	fill(pixels, width, 0, 0, width, height, 0x00123456);
	g_assert_ok(vgpu_transfer_to_host_2d(rig->vgpu, 1, (5 * width + 10) * 4, 10, 5, 50, 40));
	g_assert_ok(vgpu_resource_flush(rig->vgpu, 1, 20, 10, 30, 7));
	fill(expected, width, 20, 10, 30, 7, 0x00123456);
	display_wait_pixels(rig->display, 0, expected, width, height);
	g_assert_true(display_get_damage(rig->display, 0, first, &damage));
	g_assert_cmpuint(damage.x, ==, 20);
	g_assert_cmpuint(damage.y, ==, 10);
	g_assert_cmpuint(damage.width, ==, 30);
	g_assert_cmpuint(damage.height, ==, 7);
	/* A flush of what was transferred before shows the rest of it. */
	g_assert_ok(vgpu_resource_flush(rig->vgpu, 1, 0, 0, width, height));
	fill(expected, width, 10, 5, 50, 40, 0x00123456);
	display_wait_pixels(rig->display, 0, expected, width, height);
	/* Nothing, and corners. */
	g_assert_ok(vgpu_resource_flush(rig->vgpu, 1, 0, 0, 0, 0));
	g_assert_ok(vgpu_transfer_to_host_2d(rig->vgpu, 1, (height * width - 1) * 4, width - 1,
					     height - 1, 1, 1));
	g_assert_ok(vgpu_resource_flush(rig->vgpu, 1, width - 1, height - 1, 1, 1));
	expected[width * height - 1] = 0x00123456;
	display_wait_pixels(rig->display, 0, expected, width, height);
	g_assert_cmpuint(display_get_surface(rig->display, 0).n_scanouts, ==, 1);
	rig_destroy(rig);
}

/* A scanout that shows a part of the resource: coordinates are the scanout's, clipped to it. */
static void test_part(const void *mode)
{
	struct rig *rig = proto_rig(mode);
	const uint32_t width = 128, height = 96, x = 32, y = 16, part_width = 64, part_height = 48;
	g_autofree uint32_t *pixels = rig_make_pattern(width, height, 2);
	g_autofree uint32_t *expected = g_new(uint32_t, part_width * part_height);
	uint64_t gpa = rig_make_resource(rig, 1, FORMAT, width, height, pixels);
	uint32_t *guest_pixels = guestram_at(rig->ram, gpa, width * height * 4);
	struct display_message damage;

	for (uint32_t row = 0; row < part_height; row++) {
		memcpy(expected + row * part_width, pixels + (y + row) * width + x, part_width * 4);
	}
	g_assert_ok(vgpu_transfer_to_host_2d(rig->vgpu, 1, 0, 0, 0, width, height));
	g_assert_ok(vgpu_set_scanout(rig->vgpu, 0, 1, x, y, part_width, part_height));
	g_assert_ok(vgpu_resource_flush(rig->vgpu, 1, 0, 0, width, height));
	display_wait_pixels(rig->display, 0, expected, part_width, part_height);

	unsigned int first = display_n_messages(rig->display);
	fill(guest_pixels, width, 0, 0, width, height, 0x00abcdef);
	g_assert_ok(vgpu_transfer_to_host_2d(rig->vgpu, 1, 0, 0, 0, width, height));
	/* Beside the scanout; then half in it, over its top left corner. */
	g_assert_ok(vgpu_resource_flush(rig->vgpu, 1, 0, 0, x, height));
	g_assert_ok(vgpu_resource_flush(rig->vgpu, 1, x + part_width, 0, 32, height));
	g_assert_ok(vgpu_resource_flush(rig->vgpu, 1, x - 10, y - 10, 20, 15));
	fill(expected, part_width, 0, 0, 10, 5, 0x00abcdef);
	display_wait_pixels(rig->display, 0, expected, part_width, part_height);
	g_assert_true(display_get_damage(rig->display, 0, first, &damage));
	g_assert_cmpuint(damage.x, ==, 0);
	g_assert_cmpuint(damage.y, ==, 0);
	g_assert_cmpuint(damage.width, ==, 10);
	g_assert_cmpuint(damage.height, ==, 5);
	rig_destroy(rig);
}

static void test_two_scanouts(const void *mode)
{
	struct rig *rig = proto_rig(mode);
	const uint32_t width = 96, height = 64;
	g_autofree uint32_t *pixels = rig_make_pattern(width, height, 3);
	g_autofree uint32_t *right = g_new(uint32_t, 48 * height);
	uint64_t gpa = rig_make_resource(rig, 1, FORMAT, width, height, pixels);

	for (unsigned int round = 0; round < 3; round++) {
		for (uint32_t row = 0; row < height; row++) {
			memcpy(right + row * 48, pixels + row * width + 48, 48 * 4);
		}
		g_assert_ok(vgpu_transfer_to_host_2d(rig->vgpu, 1, 0, 0, 0, width, height));
		g_assert_ok(vgpu_set_scanout(rig->vgpu, 0, 1, 0, 0, width, height));
		g_assert_ok(vgpu_set_scanout(rig->vgpu, 5, 1, 48, 0, 48, height));
		g_assert_ok(vgpu_resource_flush(rig->vgpu, 1, 0, 0, width, height));
		display_wait_pixels(rig->display, 0, pixels, width, height);
		display_wait_pixels(rig->display, 5, right, 48, height);
		fill(pixels, width, 40, 10, 20, 20, 0x00111111 * (round + 1));
		memcpy(guestram_at(rig->ram, gpa, width * height * 4), pixels, width * height * 4);
	}
	/* One goes off, the other stays. */
	g_assert_ok(vgpu_set_scanout(rig->vgpu, 0, 0, 0, 0, 0, 0));
	display_wait_off(rig->display, 0);
	g_assert_ok(vgpu_transfer_to_host_2d(rig->vgpu, 1, 0, 0, 0, width, height));
	g_assert_ok(vgpu_resource_flush(rig->vgpu, 1, 0, 0, width, height));
	display_wait_pixel(rig->display, 5, 0, 15, 0x333333);
	rig_destroy(rig);
}

static void test_sixteen_scanouts(const void *mode)
{
	struct rig *rig = proto_rig(mode);

	for (uint32_t i = 0; i < VIRTIO_GPU_MAX_SCANOUTS; i++) {
		g_autofree uint32_t *pixels = rig_make_pattern(32 + i, 64 - i, i);
		rig_make_resource(rig, i + 1, FORMAT, 32 + i, 64 - i, pixels);
		show(rig, i + 1, i, 32 + i, 64 - i);
	}
	for (uint32_t i = 0; i < VIRTIO_GPU_MAX_SCANOUTS; i++) {
		g_autofree uint32_t *pixels = rig_make_pattern(32 + i, 64 - i, i);
		display_wait_pixels(rig->display, i, pixels, 32 + i, 64 - i);
	}
	for (uint32_t i = 0; i < VIRTIO_GPU_MAX_SCANOUTS; i++) {
		g_assert_ok(vgpu_resource_unref(rig->vgpu, i + 1));
		display_wait_off(rig->display, i);
	}
	rig_destroy(rig);
}

/* Another resource of the same size is no reason for a new surface in QEMU, but all of it is new.
 */
static void test_page_flip(const void *mode)
{
	struct rig *rig = proto_rig(mode);
	const uint32_t width = 80, height = 60;
	uint32_t *pixels[2];

	for (uint32_t i = 0; i < 2; i++) {
		pixels[i] = rig_make_pattern(width, height, 10 + i);
		rig_make_resource(rig, i + 1, FORMAT, width, height, pixels[i]);
		g_assert_ok(vgpu_transfer_to_host_2d(rig->vgpu, i + 1, 0, 0, 0, width, height));
	}
	for (uint32_t i = 0; i < 20; i++) {
		uint32_t id = i % 2 + 1;
		g_assert_ok(vgpu_set_scanout(rig->vgpu, 0, id, 0, 0, width, height));
		/* However small the flush that follows it. */
		g_assert_ok(vgpu_resource_flush(rig->vgpu, id, 4, 4, 8, 8));
		display_wait_pixels(rig->display, 0, pixels[i % 2], width, height);
	}
	g_assert_cmpuint(display_get_surface(rig->display, 0).n_scanouts, ==, 1);
	g_free(pixels[0]);
	g_free(pixels[1]);
	rig_destroy(rig);
}

static void test_resize(const void *mode)
{
	static const uint32_t sizes[][2] = {{64, 64},  {128, 96}, {16, 16},
					    {640, 17}, {17, 640}, {64, 64}};
	struct rig *rig = proto_rig(mode);

	for (uint32_t i = 0; i < G_N_ELEMENTS(sizes); i++) {
		const uint32_t width = sizes[i][0], height = sizes[i][1];
		g_autofree uint32_t *pixels = rig_make_pattern(width, height, i);
		rig_make_resource(rig, i + 1, FORMAT, width, height, pixels);
		show(rig, i + 1, 0, width, height);
		display_wait_pixels(rig->display, 0, pixels, width, height);
		if (i > 0) {
			g_assert_ok(vgpu_resource_unref(rig->vgpu, i));
		}
	}
	rig_destroy(rig);
}

static void test_off_and_on(const void *mode)
{
	struct rig *rig = proto_rig(mode);
	g_autofree uint32_t *pixels = rig_make_pattern(64, 64, 4);

	rig_make_resource(rig, 1, FORMAT, 64, 64, pixels);
	for (unsigned int i = 0; i < 5; i++) {
		show(rig, 1, 0, 64, 64);
		display_wait_pixels(rig->display, 0, pixels, 64, 64);
		g_assert_ok(vgpu_set_scanout(rig->vgpu, 0, 0, 0, 0, 0, 0));
		display_wait_off(rig->display, 0);
		/* Off twice is off once; a flush of what is not shown reaches nobody. */
		g_assert_ok(vgpu_set_scanout(rig->vgpu, 0, 0, 0, 0, 0, 0));
		g_assert_ok(vgpu_resource_flush(rig->vgpu, 1, 0, 0, 64, 64));
	}
	show(rig, 1, 1, 64, 64);
	display_wait_pixels(rig->display, 1, pixels, 64, 64);
	rig_destroy(rig);
}

/* A resource never written to is black, not what was in the host's memory. */
static void test_fresh_is_black(const void *mode)
{
	struct rig *rig = proto_rig(mode);
	g_autofree uint32_t *black = g_new0(uint32_t, 64 * 64);
	g_autofree uint32_t *pixels = rig_make_pattern(64, 64, 5);

	for (uint32_t i = 1; i < 20; i += 2) {
		rig_show_resource(rig, i, 0, 64, 64, pixels);
		display_wait_pixels(rig->display, 0, pixels, 64, 64);
		g_assert_ok(vgpu_resource_unref(rig->vgpu, i));
		g_assert_ok(vgpu_resource_create_2d(rig->vgpu, i + 1, FORMAT, 64, 64));
		g_assert_ok(vgpu_set_scanout(rig->vgpu, 0, i + 1, 0, 0, 64, 64));
		g_assert_ok(vgpu_resource_flush(rig->vgpu, i + 1, 0, 0, 64, 64));
		display_wait_pixels(rig->display, 0, black, 64, 64);
	}
	rig_destroy(rig);
}

/* Backing in pieces of @piece bytes, laid out backwards in guest memory. */
static void check_scattered(struct rig *rig, uint32_t id, uint32_t piece)
{
	const uint32_t width = 100, height = 80, size_bytes = width * height * 4;
	g_autofree uint32_t *pixels = rig_make_pattern(width, height, piece);
	uint32_t n_entries = (size_bytes + piece - 1) / piece;
	g_autofree struct virtio_gpu_mem_entry *entries =
		g_new0(struct virtio_gpu_mem_entry, n_entries);
	uint64_t gpa = rig_backing(rig, NULL, n_entries * (piece + 16));

	for (uint32_t i = 0; i < n_entries; i++) {
		uint32_t length = MIN(piece, size_bytes - i * piece);
		entries[i].addr = gpa + (uint64_t)(n_entries - 1 - i) * (piece + 16);
		entries[i].length = length;
		memcpy(guestram_at(rig->ram, entries[i].addr, length),
		       (uint8_t *)pixels + i * piece, length);
	}
	g_assert_ok(vgpu_resource_create_2d(rig->vgpu, id, FORMAT, width, height));
	g_assert_ok(vgpu_resource_attach_backing(rig->vgpu, id, entries, n_entries));
	show(rig, id, 0, width, height);
	display_wait_pixels(rig->display, 0, pixels, width, height);
	g_assert_ok(vgpu_set_scanout(rig->vgpu, 0, 0, 0, 0, 0, 0));
	display_wait_off(rig->display, 0);
}

static void test_scattered_backing(const void *mode)
{
	static const uint32_t pieces[] = {4096, 1000, 401, 64, 7};
	struct rig *rig = proto_rig(mode);

	for (uint32_t i = 0; i < G_N_ELEMENTS(pieces); i++) {
		check_scattered(rig, i + 1, pieces[i]);
	}
	rig_destroy(rig);
}

/* A backing of more than 4 GiB, made of the same memory over and over: the offset's upper half
 * counts. */
static void test_offset_64_bit(const void *mode)
{
	struct rig *rig = proto_rig(mode);
	const uint32_t chunk = 16 << 20, n_chunks = 256;
	g_autofree uint32_t *pixels = rig_make_pattern(64, 64, 6);
	uint64_t gpa = rig_backing(rig, pixels, 64 * 64 * 4);
	struct virtio_gpu_mem_entry entries[257];

	for (uint32_t i = 0; i < n_chunks; i++) {
		entries[i] = (struct virtio_gpu_mem_entry){.addr = 0, .length = chunk};
	}
	entries[n_chunks] = (struct virtio_gpu_mem_entry){.addr = gpa, .length = 64 * 64 * 4};
	g_assert_ok(vgpu_resource_create_2d(rig->vgpu, 1, FORMAT, 64, 64));
	g_assert_ok(vgpu_resource_attach_backing(rig->vgpu, 1, entries, n_chunks + 1));
	uint32_t type =
		vgpu_transfer_to_host_2d(rig->vgpu, 1, (uint64_t)chunk * n_chunks, 0, 0, 64, 64);
	if (((const struct proto_mode *)mode)->has_3d && type != VIRTIO_GPU_RESP_OK_NODATA) {
		/* virglrenderer adds up a backing in 32 bits: it may refuse, but not read
		 * elsewhere. */
		g_assert_resp(type, VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER);
		rig_destroy(rig);
		return;
	}
	g_assert_ok(type);
	g_assert_ok(vgpu_set_scanout(rig->vgpu, 0, 1, 0, 0, 64, 64));
	g_assert_ok(vgpu_resource_flush(rig->vgpu, 1, 0, 0, 64, 64));
	display_wait_pixels(rig->display, 0, pixels, 64, 64);
	rig_destroy(rig);
}

/* A part of the resource is read from the guest at the resource's stride, wherever the offset says
 * it starts. */
static void test_partial_transfer(const void *mode)
{
	struct rig *rig = proto_rig(mode);
	const uint32_t width = 90, height = 70;
	g_autofree uint32_t *pixels = rig_make_pattern(width, height, 7);
	g_autofree uint32_t *expected = g_new0(uint32_t, width * height);

	rig_make_resource(rig, 1, FORMAT, width, height, pixels);
	g_assert_ok(vgpu_set_scanout(rig->vgpu, 0, 1, 0, 0, width, height));
	/* Its own place, then one that does not fit: rows of the guest's 3.. go to rows 40.. */
	g_assert_ok(vgpu_transfer_to_host_2d(rig->vgpu, 1, (20 * width + 13) * 4, 13, 20, 31, 11));
	g_assert_ok(vgpu_transfer_to_host_2d(rig->vgpu, 1, (3 * width + 1) * 4, 50, 40, 20, 9));
	g_assert_ok(vgpu_resource_flush(rig->vgpu, 1, 0, 0, width, height));
	for (uint32_t row = 0; row < 11; row++) {
		memcpy(expected + (20 + row) * width + 13, pixels + (20 + row) * width + 13,
		       31 * 4);
	}
	for (uint32_t row = 0; row < 9; row++) {
		memcpy(expected + (40 + row) * width + 50, pixels + (3 + row) * width + 1, 20 * 4);
	}
	display_wait_pixels(rig->display, 0, expected, width, height);
	rig_destroy(rig);
}

/* What is shown does not depend on the backing any more once it was transferred. */
static void test_detached_stays(const void *mode)
{
	struct rig *rig = proto_rig(mode);
	g_autofree uint32_t *pixels = rig_make_pattern(64, 64, 8);
	uint64_t gpa = rig_show_resource(rig, 1, 0, 64, 64, pixels);

	display_wait_pixels(rig->display, 0, pixels, 64, 64);
	g_assert_ok(vgpu_resource_detach_backing(rig->vgpu, 1));
	memset(guestram_at(rig->ram, gpa, 64 * 64 * 4), 0xee, 64 * 64 * 4);
	g_assert_ok(vgpu_resource_flush(rig->vgpu, 1, 0, 0, 64, 64));
	rig_assert_serves(rig);
	display_wait_pixels(rig->display, 0, pixels, 64, 64);
	rig_destroy(rig);
}

/* Many small changes as fast as they go: they may be sent together, the last state is what counts.
 */
static void test_many_flushes(const void *mode)
{
	struct rig *rig = proto_rig(mode);
	const uint32_t width = 640, height = 480;
	g_autofree uint32_t *expected = g_new0(uint32_t, width * height);
	uint64_t gpa = rig_make_resource(rig, 1, FORMAT, width, height, NULL);
	uint32_t *pixels = guestram_at(rig->ram, gpa, width * height * 4);

	show(rig, 1, 0, width, height);
	for (uint32_t i = 0; i < 500; i++) {
		uint32_t x = i * 37 % (width - 8), y = i * 91 % (height - 8);
		fill(pixels, width, x, y, 8, 8, i * 12345);
		fill(expected, width, x, y, 8, 8, i * 12345);
		g_assert_ok(
			vgpu_transfer_to_host_2d(rig->vgpu, 1, (y * width + x) * 4, x, y, 8, 8));
		g_assert_ok(vgpu_resource_flush(rig->vgpu, 1, x, y, 8, 8));
	}
	display_wait_pixels(rig->display, 0, expected, width, height);
	/* Damage only: far less than a frame for each. */
	g_assert_cmpuint(display_n_bytes(rig->display), <, (uint64_t)width * height * 4 * 60);
	rig_destroy(rig);
}

static void test_full_hd(const void *mode)
{
	struct rig *rig =
		rig_create(&(struct rig_options){.mode = ((const struct proto_mode *)mode)->name,
						 .region_bytes = UINT64_C(128) << 20});
	const uint32_t width = 1920, height = 1080;

	for (uint32_t i = 1; i <= 3; i++) {
		g_autofree uint32_t *pixels = rig_make_pattern(width, height, i);
		rig_show_resource(rig, i, 0, width, height, pixels);
		display_wait_pixels(rig->display, 0, pixels, width, height);
	}
	g_assert_cmpuint(display_get_surface(rig->display, 0).n_scanouts, ==, 1);
	rig_destroy(rig);
}

int main(int argc, char **argv)
{
	suite_init(&argc, &argv);
	proto_add_drawing("scanout", "formats", test_formats);
	proto_add_drawing("scanout", "damage", test_damage);
	proto_add_drawing("scanout", "part", test_part);
	proto_add_drawing("scanout", "two_scanouts", test_two_scanouts);
	proto_add_drawing("scanout", "sixteen_scanouts", test_sixteen_scanouts);
	proto_add_drawing("scanout", "page_flip", test_page_flip);
	proto_add_drawing("scanout", "resize", test_resize);
	proto_add_drawing("scanout", "off_and_on", test_off_and_on);
	proto_add_drawing("scanout", "fresh_is_black", test_fresh_is_black);
	proto_add_drawing("scanout", "scattered_backing", test_scattered_backing);
	proto_add_drawing("scanout", "offset_64_bit", test_offset_64_bit);
	proto_add_drawing("scanout", "partial_transfer", test_partial_transfer);
	proto_add_drawing("scanout", "detached_stays", test_detached_stays);
	proto_add_drawing("scanout", "many_flushes", test_many_flushes);
	proto_add_drawing("scanout", "full_hd", test_full_hd);
	return suite_run();
}
