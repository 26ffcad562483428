/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * Pictures as real dma-bufs: the display maps what it is given and looks at every pixel, and what
 * it is given for each picture is messages of a few bytes. Where there is no /dev/udmabuf these are
 * skipped; the guest suite runs them in a guest that has it (tests/guest/scenarios.py, host-*).
 */
#include <dirent.h>
#include <limits.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "control.h"
#include "mock_gfxstream.h"
#include "mock_virgl.h"
#include "proctree.h"
#include "proto.h"

#define FORMAT VIRTIO_GPU_FORMAT_B8G8R8X8_UNORM
#define WIDTH 640u
#define HEIGHT 400u
#define SIZE_BYTES (WIDTH * HEIGHT * 4)
#define BLOB_FEATURE (UINT64_C(1) << VIRTIO_GPU_F_RESOURCE_BLOB)

/* ---- a machine whose display takes them ---- */

static struct rig *start_with(const void *mode, const struct display_config *display, bool is_real)
{
	static const char *const args[] = {"--dmabuf", "on", "--sandbox", "strict", CONTROL_ARGS,
					   NULL};
	const struct rig_options options = {.mode = ((const struct proto_mode *)mode)->name,
					    .args = args,
					    .display = display,
					    .region_bytes = UINT64_C(64) << 20,
					    .is_not_started = true};

	if (access("/dev/udmabuf", R_OK | W_OK) < 0) {
		suite_skip("no /dev/udmabuf");
	}
	if (mode == PROTO_VIRGL && !is_real) {
		mock_virgl_use();
	}
	struct rig *rig = rig_create(&options);
	rig->acked_features |= rig->frontend->features & BLOB_FEATURE;
	rig_start(rig, 0, 0);
	/* Before it has said what it can it gets frames. */
	display_wait_features_acked(rig->display);
	return rig;
}

static struct rig *start(const void *mode, const struct display_config *display)
{
	return start_with(mode, display, false);
}

static struct rig *start_default(const void *mode)
{
	struct display_config config = display_config_default();

	return start(mode, &config);
}

static void count_dmabufs(pid_t pid, void *data)
{
	g_autofree char *path = g_strdup_printf("/proc/%d/fd", (int)pid);
	DIR *dir = opendir(path);
	unsigned int *n = data;

	for (struct dirent *entry = dir ? readdir(dir) : NULL; entry; entry = readdir(dir)) {
		g_autofree char *link = g_build_filename(path, entry->d_name, NULL);
		g_autofree char *target = g_file_read_link(link, NULL);
		*n += target && strstr(target, "dmabuf") != NULL &&
		      strstr(target, "/dev/udmabuf") == NULL;
	}
	if (dir) {
		closedir(dir);
	}
}

/* That each of the daemon's processes that has any business with them holds. */
static unsigned int held_dmabufs(const struct rig *rig)
{
	unsigned int n_holders = strcmp(rig->options.mode, PROTO_VIRGL->name) == 0 ? 2 : 1;
	unsigned int n = 0;

	proctree_each(rig->daemon->pid, count_dmabufs, &n);
	return n % n_holders == 0 ? n / n_holders : UINT_MAX;
}

struct holding {
	const struct rig *rig;
	unsigned int n;
};

static bool holds_so_many(void *data)
{
	const struct holding *holding = data;

	return held_dmabufs(holding->rig) == holding->n;
}

/* Another process hears of it a moment later. */
static void wait_dmabufs(const struct rig *rig, unsigned int n)
{
	struct holding holding = {rig, n};

	g_assert_true(suite_wait(holds_so_many, &holding, 5000));
}

static unsigned int count(struct rig *rig, uint32_t request)
{
	return display_count(rig->display, request, 0, NULL);
}

static void show(struct rig *rig, uint32_t id, uint32_t width, uint32_t height)
{
	g_assert_ok(vgpu_transfer_to_host_2d(rig->vgpu, id, 0, 0, 0, width, height));
	g_assert_ok(vgpu_set_scanout(rig->vgpu, 0, id, 0, 0, width, height));
	g_assert_ok(vgpu_resource_flush(rig->vgpu, id, 0, 0, width, height));
}

static uint32_t *at(struct rig *rig, uint64_t gpa)
{
	return guestram_at(rig->ram, gpa, SIZE_BYTES);
}

/* ---- 2D resources ---- */

static void test_pixels(const void *mode)
{
	struct rig *rig = start_default(mode);
	g_autofree uint32_t *pixels = rig_make_pattern(WIDTH, HEIGHT, 1);
	uint64_t gpa = rig_show_resource(rig, 1, 0, WIDTH, HEIGHT, pixels);

	display_wait_pixels(rig->display, 0, pixels, WIDTH, HEIGHT);
	g_assert_cmpuint(count(rig, VHOST_USER_GPU_DMABUF_SCANOUT2), ==, 1);
	/* What a ready display is asked has been asked when the guest's own question is answered. */
	struct virtio_gpu_resp_display_info info;
	g_assert_cmphex(vgpu_get_display_info(rig->vgpu, &info), ==,
			VIRTIO_GPU_RESP_OK_DISPLAY_INFO);
	/* From now on a few bytes for each, however large what has changed is. */
	uint64_t n_bytes = display_n_bytes(rig->display);
	for (uint32_t i = 2; i < 10; i++) {
		g_autofree uint32_t *next = rig_make_pattern(WIDTH, HEIGHT, i);
		memcpy(at(rig, gpa), next, SIZE_BYTES);
		g_assert_ok(vgpu_transfer_to_host_2d(rig->vgpu, 1, 0, 0, 0, WIDTH, HEIGHT));
		g_assert_ok(vgpu_resource_flush(rig->vgpu, 1, 0, 0, WIDTH, HEIGHT));
		display_wait_pixels(rig->display, 0, next, WIDTH, HEIGHT);
	}
	g_assert_cmpuint(display_n_bytes(rig->display) - n_bytes, <=, 8 * 32);
	g_assert_cmpuint(count(rig, VHOST_USER_GPU_UPDATE), ==, 0);
	wait_dmabufs(rig, 1);
	/* Off, and on again. */
	g_assert_ok(vgpu_set_scanout(rig->vgpu, 0, 0, 0, 0, 0, 0));
	display_wait_off(rig->display, 0);
	g_assert_ok(vgpu_set_scanout(rig->vgpu, 0, 1, 0, 0, WIDTH, HEIGHT));
	g_assert_ok(vgpu_resource_flush(rig->vgpu, 1, 0, 0, 1, 1));
	display_wait_pixels(rig->display, 0, at(rig, gpa), WIDTH, HEIGHT);
	wait_dmabufs(rig, 1);
	g_assert_ok(vgpu_resource_unref(rig->vgpu, 1));
	display_wait_off(rig->display, 0);
	wait_dmabufs(rig, 0);
	rig_destroy(rig);
}

static void test_damage(const void *mode)
{
	struct rig *rig = start_default(mode);
	g_autofree uint32_t *expected = rig_make_pattern(WIDTH, HEIGHT, 1);
	uint64_t gpa = rig_show_resource(rig, 1, 0, WIDTH, HEIGHT, expected);
	struct display_message last;

	display_wait_pixels(rig->display, 0, expected, WIDTH, HEIGHT);
	for (uint32_t y = 100; y < 110; y++) {
		for (uint32_t x = 30; x < 50; x++) {
			expected[y * WIDTH + x] = at(rig, gpa)[y * WIDTH + x] = 0xabcdef;
		}
	}
	g_assert_ok(vgpu_transfer_to_host_2d(rig->vgpu, 1, (100 * WIDTH + 30) * 4, 30, 100, 20,
					     10));
	g_assert_ok(vgpu_resource_flush(rig->vgpu, 1, 30, 100, 20, 10));
	display_wait_pixels(rig->display, 0, expected, WIDTH, HEIGHT);
	g_assert_cmpuint(display_count(rig->display, VHOST_USER_GPU_DMABUF_UPDATE, 0, &last), ==,
			 2);
	g_assert_cmpuint(last.x, ==, 30);
	g_assert_cmpuint(last.y, ==, 100);
	g_assert_cmpuint(last.width, ==, 20);
	g_assert_cmpuint(last.height, ==, 10);
	rig_destroy(rig);
}

/* Each is made once, and costs two messages for each flip. */
static void test_flips(const void *mode)
{
	struct rig *rig = start_default(mode);
	uint32_t *pixels[3];
	const unsigned int n_flips = 60;

	for (uint32_t i = 0; i < 3; i++) {
		pixels[i] = rig_make_pattern(WIDTH, HEIGHT, i);
		rig_make_resource(rig, i + 1, FORMAT, WIDTH, HEIGHT, pixels[i]);
	}
	for (unsigned int i = 0; i < n_flips; i++) {
		show(rig, i % 3 + 1, WIDTH, HEIGHT);
		if (i % 7 == 0) {
			display_wait_pixels(rig->display, 0, pixels[i % 3], WIDTH, HEIGHT);
		}
	}
	display_wait_pixels(rig->display, 0, pixels[(n_flips - 1) % 3], WIDTH, HEIGHT);
	wait_dmabufs(rig, 3);
	g_assert_cmpuint(count(rig, VHOST_USER_GPU_UPDATE), ==, 0);
	g_assert_cmpuint(display_n_bytes(rig->display), <, 200 * (n_flips + 10));
	for (uint32_t i = 0; i < 3; i++) {
		g_free(pixels[i]);
	}
	rig_destroy(rig);
}

/* Pages in any order; the display sees them in the resource's. */
static void test_scattered(const void *mode)
{
	struct rig *rig = start_default(mode);
	g_autofree uint32_t *pixels = rig_make_pattern(WIDTH, HEIGHT, 5);
	const uint32_t n_pages = SIZE_BYTES / GUESTRAM_PAGE;
	g_autofree struct virtio_gpu_mem_entry *entries =
		g_new0(struct virtio_gpu_mem_entry, n_pages);
	uint64_t gpa = rig_backing(rig, NULL, SIZE_BYTES);

	for (uint32_t i = 0; i < n_pages; i++) {
		/* 7 has no divisor in common with 250. */
		entries[i].addr = gpa + (uint64_t)(i * 7 % n_pages) * GUESTRAM_PAGE;
		entries[i].length = GUESTRAM_PAGE;
		memcpy(guestram_at(rig->ram, entries[i].addr, GUESTRAM_PAGE),
		       (const char *)pixels + (size_t)i * GUESTRAM_PAGE, GUESTRAM_PAGE);
	}
	g_assert_cmpuint(n_pages, ==, 250);
	g_assert_ok(vgpu_resource_create_2d(rig->vgpu, 1, FORMAT, WIDTH, HEIGHT));
	g_assert_ok(vgpu_resource_attach_backing(rig->vgpu, 1, entries, n_pages));
	show(rig, 1, WIDTH, HEIGHT);
	display_wait_pixels(rig->display, 0, pixels, WIDTH, HEIGHT);
	g_assert_cmpuint(count(rig, VHOST_USER_GPU_DMABUF_SCANOUT2), ==, 1);
	g_assert_cmpuint(count(rig, VHOST_USER_GPU_UPDATE), ==, 0);
	rig_destroy(rig);
}

/* What is no buffer is sent, beside what is one, and the one takes the other's place. */
static void test_parts(const void *mode)
{
	struct rig *rig = start_default(mode);
	g_autofree uint32_t *pixels = rig_make_pattern(WIDTH, HEIGHT, 6);
	g_autofree uint32_t *part = g_new(uint32_t, WIDTH / 2 * 100);

	rig_show_resource(rig, 1, 0, WIDTH, HEIGHT, pixels);
	display_wait_pixels(rig->display, 0, pixels, WIDTH, HEIGHT);
	/* The first row of each begins with a page (2560 bytes, 8 rows are 5 pages), or not. */
	for (uint32_t y = 198; y < 203; y++) {
		for (uint32_t row = 0; row < 100; row++) {
			memcpy(part + row * WIDTH / 2, pixels + (y + row) * WIDTH, WIDTH / 2 * 4);
		}
		unsigned int n_sent = count(rig, VHOST_USER_GPU_UPDATE);
		g_assert_ok(vgpu_set_scanout(rig->vgpu, 0, 1, 0, y, WIDTH / 2, 100));
		g_assert_ok(vgpu_resource_flush(rig->vgpu, 1, 0, 0, WIDTH, HEIGHT));
		display_wait_pixels(rig->display, 0, part, WIDTH / 2, 100);
		g_assert_cmpuint(count(rig, VHOST_USER_GPU_UPDATE) - n_sent, ==, y % 8 != 0);
	}
	g_assert_ok(vgpu_set_scanout(rig->vgpu, 0, 1, 0, 0, WIDTH, HEIGHT));
	g_assert_ok(vgpu_resource_flush(rig->vgpu, 1, 0, 0, WIDTH, HEIGHT));
	display_wait_pixels(rig->display, 0, pixels, WIDTH, HEIGHT);
	rig_destroy(rig);
}

/* Two scanouts of one resource, and one of another: one update at a time, of all. */
/* On an output that the front-end has not got it is no buffer: QEMU would log each of them. */
static void test_scanouts(const void *mode)
{
	struct display_config config = display_config_default();
	struct virtio_gpu_resp_display_info info;

	config.n_outputs = 3;
	struct rig *rig = start(mode, &config);
	g_autofree uint32_t *pixels = rig_make_pattern(WIDTH, HEIGHT, 7);
	g_autofree uint32_t *other = rig_make_pattern(WIDTH, HEIGHT, 8);

	g_assert_resp(vgpu_get_display_info(rig->vgpu, &info), VIRTIO_GPU_RESP_OK_DISPLAY_INFO);
	rig_make_resource(rig, 2, FORMAT, WIDTH, HEIGHT, other);
	g_assert_ok(vgpu_transfer_to_host_2d(rig->vgpu, 2, 0, 0, 0, WIDTH, HEIGHT));
	g_assert_ok(vgpu_set_scanout(rig->vgpu, 2, 2, 0, 0, WIDTH, HEIGHT));
	g_assert_ok(vgpu_set_scanout(rig->vgpu, 3, 2, 0, 0, WIDTH, HEIGHT));
	uint64_t gpa = rig_show_resource(rig, 1, 0, WIDTH, HEIGHT, pixels);
	g_assert_ok(vgpu_set_scanout(rig->vgpu, 1, 1, 0, 0, WIDTH, HEIGHT));
	for (uint32_t i = 0; i < 10; i++) {
		at(rig, gpa)[i] = i;
		pixels[i] = i;
		g_assert_ok(vgpu_transfer_to_host_2d(rig->vgpu, 1, 0, 0, 0, WIDTH, HEIGHT));
		g_assert_ok(vgpu_resource_flush(rig->vgpu, 1, 0, 0, WIDTH, HEIGHT));
		g_assert_ok(vgpu_resource_flush(rig->vgpu, 2, 0, 0, WIDTH, HEIGHT));
	}
	display_wait_pixels(rig->display, 0, pixels, WIDTH, HEIGHT);
	display_wait_pixels(rig->display, 1, pixels, WIDTH, HEIGHT);
	display_wait_pixels(rig->display, 2, other, WIDTH, HEIGHT);
	display_wait_pixels(rig->display, 3, other, WIDTH, HEIGHT);
	for (uint32_t i = 0; i < 4; i++) {
		unsigned int n = display_count(rig->display, VHOST_USER_GPU_DMABUF_SCANOUT2, i, NULL);

		g_assert_cmpuint(n, ==, i < 3 ? 1 : 0);
	}
	rig_destroy(rig);
}

/* ---- blobs ---- */

static void show_blob(struct rig *rig, uint32_t id, uint32_t stride, uint32_t offset)
{
	const struct vgpu_layout layout = {FORMAT, WIDTH, HEIGHT, stride, offset};

	g_assert_ok(vgpu_set_scanout_blob(rig->vgpu, 0, id, &layout));
	g_assert_ok(vgpu_resource_flush(rig->vgpu, id, 0, 0, WIDTH, HEIGHT));
}

static void test_blob(const void *mode)
{
	struct rig *rig = start_default(mode);
	g_autofree uint32_t *pixels = rig_make_pattern(WIDTH, HEIGHT, 9);
	const uint32_t stride = 2 * WIDTH * 4, size = HEIGHT * stride + GUESTRAM_PAGE;
	uint64_t gpa = rig_backing(rig, NULL, size);

	g_assert_true(rig->acked_features & BLOB_FEATURE);
	for (uint32_t y = 0; y < HEIGHT; y++) {
		memcpy(guestram_at(rig->ram, gpa + GUESTRAM_PAGE + (uint64_t)y * stride, WIDTH * 4),
		       pixels + (size_t)y * WIDTH, WIDTH * 4);
	}
	g_assert_ok(vgpu_resource_create_guest_blob(rig->vgpu, 1, gpa, size));
	show_blob(rig, 1, stride, GUESTRAM_PAGE);
	display_wait_pixels(rig->display, 0, pixels, WIDTH, HEIGHT);
	g_assert_cmpuint(count(rig, VHOST_USER_GPU_DMABUF_SCANOUT2), ==, 1);
	g_assert_cmpuint(count(rig, VHOST_USER_GPU_UPDATE), ==, 0);
	/* It is drawn on without a word, but for the flush. */
	*(uint32_t *)guestram_at(rig->ram, gpa + GUESTRAM_PAGE, 4) = pixels[0] = 0x123456;
	g_assert_ok(vgpu_resource_flush(rig->vgpu, 1, 0, 0, 1, 1));
	display_wait_pixels(rig->display, 0, pixels, WIDTH, HEIGHT);
	/* Who looks inside gets a copy, and the display the buffer. */
	control_assert_screenshot(rig->daemon, pixels, WIDTH, HEIGHT);
	g_assert_ok(vgpu_resource_flush(rig->vgpu, 1, 0, 0, 1, 1));
	g_assert_cmpuint(count(rig, VHOST_USER_GPU_UPDATE), ==, 0);
	rig_destroy(rig);
}

/* Memory of the context's with the name 1, of which a blob can be made. */
static void make_host_memory(struct rig *rig, const void *mode)
{
	if (mode == PROTO_GFXSTREAM) {
		g_assert_ok(mock_gfxstream_run(
			rig->vgpu, 1, MOCK_GFX_MEMORY,
			(const uint32_t[]){1, MOCK_GFX_MEMORY_DMABUF, 0}, 3));
	} else {
		g_assert_ok(mock_virgl_run(rig->vgpu, 1, MOCK_BLOBS, 0,
					   (const uint32_t[]){MOCK_BLOBS_DMABUF, 0}, 2));
	}
}

static void draw_in_host_blob(struct rig *rig, const void *mode, uint32_t word, uint32_t value)
{
	const uint32_t args[] = {1, word, value};

	g_assert_ok(mode == PROTO_GFXSTREAM ?
			    mock_gfxstream_run(rig->vgpu, 1, MOCK_GFX_BLOB_WRITE, args, 3) :
			    mock_virgl_run(rig->vgpu, 1, MOCK_BLOB_WRITE, 0, args, 3));
}

/* Of the host's memory, which is no texture: as the guest says. */
static void test_host_blob(const void *mode)
{
	struct rig *rig = start_default(mode);
	const struct vgpu_blob blob = {
		.mem = VIRTIO_GPU_BLOB_MEM_HOST3D,
		.flags = VIRTIO_GPU_BLOB_FLAG_USE_MAPPABLE,
		.blob_id = 1,
		.size_bytes = SIZE_BYTES,
	};
	g_autofree uint32_t *pixels = g_new0(uint32_t, WIDTH * HEIGHT);

	g_assert_ok(vgpu_ctx_create(rig->vgpu, 1, 0, "test"));
	make_host_memory(rig, mode);
	rig->vgpu->next_hdr.ctx_id = 1;
	g_assert_ok(vgpu_resource_create_blob(rig->vgpu, 1, &blob));
	for (uint32_t i = 0; i < 10; i++) {
		pixels[i * 20011] = 0x10101 * i;
		draw_in_host_blob(rig, mode, i * 20011, 0x10101 * i);
	}
	show_blob(rig, 1, WIDTH * 4, 0);
	display_wait_pixels(rig->display, 0, pixels, WIDTH, HEIGHT);
	g_assert_cmpuint(count(rig, VHOST_USER_GPU_DMABUF_SCANOUT2), ==, 1);
	g_assert_cmpuint(count(rig, VHOST_USER_GPU_UPDATE), ==, 0);
	g_assert_cmpuint(held_dmabufs(rig), !=, 0);
	g_assert_ok(vgpu_resource_unref(rig->vgpu, 1));
	display_wait_off(rig->display, 0);
	rig_destroy(rig);
}

/* ---- a display that comes and goes ---- */

static void test_pause(const void *mode)
{
	struct rig *rig = start_default(mode);
	g_autofree uint32_t *pixels = rig_make_pattern(WIDTH, HEIGHT, 10);
	uint64_t gpa = rig_show_resource(rig, 1, 0, WIDTH, HEIGHT, pixels);

	display_wait_pixels(rig->display, 0, pixels, WIDTH, HEIGHT);
	for (uint32_t i = 0; i < 5; i++) {
		at(rig, gpa)[i] = pixels[i] = i << 8;
		g_assert_ok(vgpu_transfer_to_host_2d(rig->vgpu, 1, 0, 0, 0, WIDTH, HEIGHT));
		rig_pause_resume(rig);
		/* What was transferred is there at once, though its pages were not. */
		display_wait_pixels(rig->display, 0, pixels, WIDTH, HEIGHT);
		display_wait_features_acked(rig->display);
		at(rig, gpa)[100] = pixels[100] = i;
		g_assert_ok(vgpu_transfer_to_host_2d(rig->vgpu, 1, 0, 0, 0, WIDTH, HEIGHT));
		g_assert_ok(vgpu_resource_flush(rig->vgpu, 1, 0, 0, WIDTH, HEIGHT));
		display_wait_pixels(rig->display, 0, pixels, WIDTH, HEIGHT);
		g_assert_cmpuint(count(rig, VHOST_USER_GPU_DMABUF_SCANOUT2), >=, 1);
		wait_dmabufs(rig, 1);
	}
	rig_destroy(rig);
}

static void test_reset(const void *mode)
{
	struct rig *rig = start_default(mode);
	g_autofree uint32_t *pixels = rig_make_pattern(WIDTH, HEIGHT, 11);
	unsigned int n_fds = 0;

	for (uint32_t i = 0; i < 10; i++) {
		rig_show_resource(rig, 1, 0, WIDTH, HEIGHT, pixels);
		display_wait_pixels(rig->display, 0, pixels, WIDTH, HEIGHT);
		rig_reset(rig, true);
		display_wait_features_acked(rig->display);
		rig_assert_serves(rig);
		wait_dmabufs(rig, 0);
		if (i == 0) {
			n_fds = daemon_count_fds(rig->daemon);
		}
		g_assert_true(daemon_wait_fds(rig->daemon, n_fds));
	}
	rig_destroy(rig);
}

/* The guest takes its pages back, and draws something else there. */
static void test_detach(const void *mode)
{
	struct rig *rig = start_default(mode);
	g_autofree uint32_t *pixels = rig_make_pattern(WIDTH, HEIGHT, 12);
	uint64_t gpa = rig_show_resource(rig, 1, 0, WIDTH, HEIGHT, pixels);

	display_wait_pixels(rig->display, 0, pixels, WIDTH, HEIGHT);
	at(rig, gpa)[7] = pixels[7] = 0x777777;
	g_assert_ok(vgpu_transfer_to_host_2d(rig->vgpu, 1, 0, 0, 0, WIDTH, HEIGHT));
	g_assert_ok(vgpu_resource_detach_backing(rig->vgpu, 1));
	memset(at(rig, gpa), 0, SIZE_BYTES);
	g_assert_ok(vgpu_resource_flush(rig->vgpu, 1, 0, 0, WIDTH, HEIGHT));
	display_wait_pixels(rig->display, 0, pixels, WIDTH, HEIGHT);
	wait_dmabufs(rig, 0);
	rig_destroy(rig);
}

static bool says_too_long(void *daemon)
{
	g_autofree char *text = daemon_stderr(daemon);

	return strstr(text, "the front-end's display has not drawn a buffer for too long") != NULL;
}

/* One that does not answer gets pictures after a while, and the guest never waits for it. */
static void test_silent(const void *mode)
{
	struct display_config config = display_config_default();
	g_autofree uint32_t *pixels = rig_make_pattern(WIDTH, HEIGHT, 13);

	config.is_silent_about_dmabufs = true;
	struct rig *rig = start(mode, &config);
	uint64_t gpa = rig_show_resource(rig, 1, 0, WIDTH, HEIGHT, pixels);
	int64_t start_us = g_get_monotonic_time();
	for (uint32_t i = 0; count(rig, VHOST_USER_GPU_UPDATE) == 0; i++) {
		at(rig, gpa)[i % 100] = pixels[i % 100] = i;
		g_assert_ok(vgpu_transfer_to_host_2d(rig->vgpu, 1, 0, 0, 0, WIDTH, HEIGHT));
		g_assert_ok(vgpu_resource_flush(rig->vgpu, 1, 0, 0, WIDTH, HEIGHT));
		g_assert_cmpint(g_get_monotonic_time() - start_us, <,
				suite_timeout_ms(10000) * INT64_C(1000));
	}
	g_assert_ok(vgpu_resource_flush(rig->vgpu, 1, 0, 0, WIDTH, HEIGHT));
	display_wait_pixels(rig->display, 0, pixels, WIDTH, HEIGHT);
	g_assert_cmpuint(count(rig, VHOST_USER_GPU_DMABUF_UPDATE), ==, 1);
	g_assert_true(suite_wait(says_too_long, rig->daemon, 10000));
	rig_destroy(rig);
}

/* ---- a look inside ---- */

/* Who looks gets a copy of what the display reads, which goes on reading it. */
static void test_screenshot(const void *mode)
{
	struct rig *rig = start_default(mode);
	g_autofree uint32_t *pixels = rig_make_pattern(WIDTH, HEIGHT, 18);
	uint64_t gpa = rig_show_resource(rig, 1, 0, WIDTH, HEIGHT, pixels);

	for (uint32_t i = 0; i < 3; i++) {
		display_wait_pixels(rig->display, 0, pixels, WIDTH, HEIGHT);
		control_assert_screenshot(rig->daemon, pixels, WIDTH, HEIGHT);
		g_autofree char *status = control_ask(rig->daemon, "status");
		g_assert_nonnull(strstr(status, " dmabuf=yes\n"));
		at(rig, gpa)[i * WIDTH] = pixels[i * WIDTH] = 0x123456 * i;
		g_assert_ok(vgpu_transfer_to_host_2d(rig->vgpu, 1, 0, 0, 0, WIDTH, HEIGHT));
		g_assert_ok(vgpu_resource_flush(rig->vgpu, 1, 0, 0, WIDTH, HEIGHT));
		/* There are so many a second. */
		g_usleep(110 * 1000);
	}
	display_wait_pixels(rig->display, 0, pixels, WIDTH, HEIGHT);
	g_assert_cmpuint(count(rig, VHOST_USER_GPU_UPDATE), ==, 0);
	wait_dmabufs(rig, 1);
	rig_destroy(rig);
}

/* QEMU 7.2: the older message, and no EDID. */
static void test_without_the_feature(const void *mode)
{
	struct display_config config = display_config_default();
	g_autofree uint32_t *pixels = rig_make_pattern(WIDTH, HEIGHT, 14);

	config.protocol_features = 0;
	struct rig *rig = start(mode, &config);
	rig_show_resource(rig, 1, 0, WIDTH, HEIGHT, pixels);
	display_wait_pixels(rig->display, 0, pixels, WIDTH, HEIGHT);
	g_assert_cmpuint(count(rig, VHOST_USER_GPU_DMABUF_SCANOUT), ==, 1);
	g_assert_cmpuint(count(rig, VHOST_USER_GPU_UPDATE), ==, 0);
	rig_destroy(rig);
}

/* ---- a real library ---- */

/* Textures of a GL driver's, in whatever order and colours it keeps them. */
static void test_gl(const void *mode)
{
	struct display_config config = display_config_default();
	struct rig *rig = start_with(mode, &config, true);
	g_autofree uint32_t *pixels = rig_make_pattern(WIDTH, HEIGHT, 17);
	uint64_t gpa = rig_show_resource(rig, 1, 0, WIDTH, HEIGHT, pixels);

	display_wait_pixels(rig->display, 0, pixels, WIDTH, HEIGHT);
	if (count(rig, VHOST_USER_GPU_DMABUF_SCANOUT2) == 0) {
		suite_skip("EGL exports no textures here");
	}
	for (uint32_t i = 0; i < 5; i++) {
		at(rig, gpa)[i * WIDTH] = pixels[i * WIDTH] = 0x111111 * i;
		g_assert_ok(vgpu_transfer_to_host_2d(rig->vgpu, 1, 0, 0, 0, WIDTH, HEIGHT));
		g_assert_ok(vgpu_resource_flush(rig->vgpu, 1, 0, 0, WIDTH, HEIGHT));
		display_wait_pixels(rig->display, 0, pixels, WIDTH, HEIGHT);
	}
	g_assert_cmpuint(count(rig, VHOST_USER_GPU_DMABUF_SCANOUT2), ==, 1);
	g_assert_cmpuint(count(rig, VHOST_USER_GPU_UPDATE), ==, 0);
	rig_destroy(rig);
}

/* ---- off ---- */

/* Unless somebody asks for them, there are none: this one runs everywhere. */
static void test_off(const void *mode)
{
	struct rig *rig = proto_rig(mode);
	g_autofree uint32_t *pixels = rig_make_pattern(WIDTH, HEIGHT, 15);

	display_wait_features_acked(rig->display);
	g_assert_cmphex(rig->display->acked_features, ==, VHOST_USER_GPU_F_EDID);
	rig_show_resource(rig, 1, 0, WIDTH, HEIGHT, pixels);
	display_wait_pixels(rig->display, 0, pixels, WIDTH, HEIGHT);
	g_assert_cmpuint(count(rig, VHOST_USER_GPU_DMABUF_SCANOUT), ==, 0);
	g_assert_cmpuint(count(rig, VHOST_USER_GPU_DMABUF_SCANOUT2), ==, 0);
	g_assert_cmpuint(held_dmabufs(rig), ==, 0);
	rig_destroy(rig);
}

/* ---- another process ---- */

/* Its end takes nothing from the display, and the next one shows what there is to show. */
static void test_crash(const void *mode)
{
	struct rig *rig = start_default(mode);
	g_autofree uint32_t *pixels = rig_make_pattern(WIDTH, HEIGHT, 16);
	uint64_t gpa = rig_show_resource(rig, 1, 0, WIDTH, HEIGHT, pixels);

	rig->daemon->may_lose_processes = true;
	for (uint32_t i = 0; i < 3; i++) {
		display_wait_pixels(rig->display, 0, pixels, WIDTH, HEIGHT);
		wait_dmabufs(rig, 1);
		kill(daemon_find_process(rig->daemon, "renderer"), SIGKILL);
		at(rig, gpa)[i] = pixels[i] = i;
		/* Those that it was at are lost, if there were any. */
		while (vgpu_transfer_to_host_2d(rig->vgpu, 1, 0, 0, 0, WIDTH, HEIGHT) !=
			       VIRTIO_GPU_RESP_OK_NODATA ||
		       vgpu_resource_flush(rig->vgpu, 1, 0, 0, WIDTH, HEIGHT) !=
			       VIRTIO_GPU_RESP_OK_NODATA) {
			g_usleep(1000);
		}
	}
	display_wait_pixels(rig->display, 0, pixels, WIDTH, HEIGHT);
	rig_destroy(rig);
}

static void add_2d(const char *name, suite_fn fn)
{
	suite_add(fn, PROTO_2D, "/proto/dmabuf/2d/%s", name);
}

/* Where a resource of the guest's pages, or a texture, is a buffer; gfxstream exports no texture. */
static void add_exporting(const char *name, suite_fn fn)
{
	add_2d(name, fn);
	proto_add_virgl("dmabuf", name, fn);
}

int main(int argc, char **argv)
{
	suite_init(&argc, &argv);
	add_exporting("pixels", test_pixels);
	add_exporting("damage", test_damage);
	add_exporting("flips", test_flips);
	add_exporting("scanouts", test_scanouts);
	proto_add_drawing("dmabuf", "blob", test_blob);
	add_exporting("pause", test_pause);
	add_exporting("reset", test_reset);
	add_exporting("silent", test_silent);
	add_exporting("screenshot", test_screenshot);
	proto_add_drawing("dmabuf", "off", test_off);
	/* What only the guest's pages can be. */
	add_2d("scattered", test_scattered);
	add_2d("parts", test_parts);
	add_2d("detach", test_detach);
	add_2d("without_the_feature", test_without_the_feature);
	proto_add_virgl("dmabuf", "host_blob", test_host_blob);
	proto_add_gfxstream("dmabuf", "host_blob", test_host_blob);
	proto_add_virgl("dmabuf", "crash", test_crash);
	suite_add(test_gl, PROTO_VIRGL, "/proto/dmabuf/gl");
	return suite_run();
}
