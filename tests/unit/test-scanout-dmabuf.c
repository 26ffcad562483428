/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * Pictures that the display reads from the guest's own pages: what is made a
 * buffer of and how often, and that a copy is there as soon as one is wanted.
 */
#include <endian.h>
#include <string.h>
#include <unistd.h>

#include "gpu/scanout_dmabuf.h"
#include "gpu_rig.h"
#include "renderer/impls.h"
#include "unit.h"

#define PAGE 4096u
#define WIDTH 128u /* rows of 512 bytes */
#define HEIGHT 32u
#define SIZE (WIDTH * HEIGHT * 4)
#define ALL RECT(0, 0, WIDTH, HEIGHT)

/* ---- who makes them ---- */

static struct {
	GString *log; /* of each, from which offset so many pages */
	unsigned int n;
	int error; /* 0: it works */
	const struct guestram *ram;
} made;

static int export_pages(void *data, const struct exporter_run *runs, size_t n_runs)
{
	g_assert_true(data == &made);
	made.n++;
	g_string_append_printf(made.log, "made of");
	for (size_t i = 0; i < n_runs; i++) {
		g_assert_true(unit_is_same_file(runs[i].fd, made.ram->regions[0].memfd));
		g_assert_cmpuint(runs[i].size_bytes % PAGE, ==, 0);
		g_string_append_printf(
			made.log, " %" G_GINT64_MODIFIER "u+%" G_GINT64_MODIFIER "u",
			(runs[i].offset_bytes - made.ram->regions[0].wire.mmap_offset) / PAGE,
			runs[i].size_bytes / PAGE);
	}
	g_string_append_c(made.log, '\n');
	return made.error != 0 ? made.error : unit_memfd(PAGE);
}

static const struct exporter exporter = { .export = export_pages };

static void assert_made(const char *format, ...) G_GNUC_PRINTF(1, 2);

static void assert_made(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	g_autofree char *expected = g_strdup_vprintf(format, args);
	va_end(args);
	g_assert_cmpstr(made.log->str, ==, expected);
	g_string_truncate(made.log, 0);
}

static void begin(struct fixture *f, gconstpointer impl)
{
	setup(f, impl);
	made.log = g_string_new(NULL);
	made.n = 0;
	made.error = 0;
	made.ram = f->vm.ram;
	device_set_exporter(&f->dev, &exporter, &made);
	device_set_features(&f->dev, 1u << VIRTIO_GPU_F_RESOURCE_BLOB);
	f->display->takes_dmabufs = true;
}

static void end(struct fixture *f, gconstpointer impl)
{
	/* The device lets go of them with the guest's resources. */
	device_reset(&f->dev);
	g_assert_cmpuint(f->dev.dmabufs.length, ==, 0);
	g_string_free(made.log, TRUE);
	teardown(f, impl);
}

/* ---- the guest ---- */

static uint64_t alloc_pages(struct fixture *f, uint32_t n)
{
	return guestram_alloc(f->vm.ram, 0, (uint64_t)n * PAGE, PAGE);
}

static uint64_t page_of(const struct fixture *f, uint64_t gpa)
{
	return (gpa - f->vm.ram->regions[0].wire.guest_addr) / PAGE;
}

static void draw(struct fixture *f, uint64_t gpa, uint32_t colour)
{
	uint32_t *pixels = guestram_at(f->vm.ram, gpa, SIZE);

	for (uint32_t i = 0; i < WIDTH * HEIGHT; i++) {
		pixels[i] = colour + i;
	}
}

/* As of a guest that flips: its pages in one piece, transferred once. Returns where they are. */
static uint64_t make_picture(struct fixture *f, uint32_t id)
{
	uint64_t gpa = alloc_pages(f, SIZE / PAGE);

	assert_ok(create_2d(f, id, FORMAT, WIDTH, HEIGHT));
	assert_ok(attach_one(f, id, gpa, SIZE));
	draw(f, gpa, id << 24);
	assert_ok(transfer(f, id, ALL, 0));
	return gpa;
}

/* The last frame that was shown has what the guest has drawn last. */
static void assert_frame(struct fixture *f, uint32_t colour)
{
	const struct frame *frame = f->display->frame;

	g_assert_nonnull(frame);
	for (uint32_t i = 0; i < WIDTH * HEIGHT; i++) {
		g_assert_cmphex(*frame_pixel(frame, i % WIDTH, i / WIDTH), ==, colour + i);
	}
}

static unsigned int count_kept(const struct fixture *f)
{
	unsigned int n = 0;

	for (GList *link = f->dev.dmabufs.head; link != NULL; link = link->next) {
		n += ((const struct scanout_dmabuf *)link->data)->dmabuf != NULL;
	}
	return n;
}

#define DRAWN "draw 0: 0,0 128x32 of 128x32/512\n"
#define SENT "update 0: 0,0 128x32 of 128x32 at 0,0\n"

/* So is scanout 0 shown, and the others are off: a front-end may have a buffer there of before. */
static void assert_replayed(struct fixture *f, const char *shown)
{
	g_autoptr(GString) expected = g_string_new(shown);

	for (unsigned int i = 1; i < DISPLAY_MAX_SCANOUTS; i++) {
		g_string_append_printf(expected, "off %u\n", i);
	}
	assert_shown(f, expected->str);
}

/* ---- 2D resources ---- */

static void test_2d(struct fixture *f, gconstpointer data G_GNUC_UNUSED)
{
	uint64_t gpa = make_picture(f, 1);

	assert_ok(set_scanout(f, 0, 1, ALL));
	assert_ok(flush(f, 1, ALL));
	assert_shown(f, DRAWN);
	assert_made("made of %u+4\n", (unsigned int)page_of(f, gpa));
	/* From now on it is told what has changed, and nothing is copied. */
	draw(f, gpa, 0x5000000);
	assert_ok(transfer(f, 1, ALL, 0));
	assert_ok(flush(f, 1, RECT(3, 4, 5, 6)));
	assert_shown(f, "draw 0: 3,4 5x6 of 128x32/512\n");
	assert_made("%s", "");
	g_assert_null(f->display->frame);
	/* Errors are errors still. */
	assert_is(transfer(f, 1, RECT(0, 0, WIDTH + 1, 1), 0), INVALID_PARAMETER);
	assert_is(transfer(f, 1, ALL, 4), INVALID_PARAMETER);
}

static void test_flips(struct fixture *f, gconstpointer data G_GNUC_UNUSED)
{
	uint64_t last_id = 0;

	for (uint32_t id = 1; id <= 3; id++) {
		make_picture(f, id);
	}
	for (unsigned int i = 0; i < 12; i++) {
		uint32_t id = 1 + i % 3;

		assert_ok(transfer(f, id, ALL, 0));
		assert_ok(set_scanout(f, 0, id, ALL));
		assert_ok(flush(f, id, ALL));
		assert_shown(f, DRAWN);
		g_assert_cmpuint(f->display->dmabuf_id, !=, last_id);
		last_id = f->display->dmabuf_id;
	}
	g_assert_cmpuint(made.n, ==, 3);
}

/* What the copy was spared is made up for, all of it. */
static void test_display_changes(struct fixture *f, gconstpointer data G_GNUC_UNUSED)
{
	uint64_t gpa = make_picture(f, 1);

	assert_ok(set_scanout(f, 0, 1, ALL));
	assert_ok(flush(f, 1, ALL));
	assert_shown(f, DRAWN);
	draw(f, gpa, 0x7000000);
	assert_ok(transfer(f, 1, RECT(0, 0, WIDTH, 8), 0));
	assert_ok(transfer(f, 1, RECT(0, 8, WIDTH, 24), 8 * WIDTH * 4));
	f->display->takes_dmabufs = false;
	device_replay(&f->dev);
	assert_shown(f, SENT);
	assert_frame(f, 0x7000000);
	/* Then it goes as it always has. */
	assert_ok(flush(f, 1, RECT(1, 2, 3, 4)));
	assert_shown(f, "update 0: 1,2 3x4 of 128x32 at 0,0\n");
	/* And back: all of it. */
	f->display->takes_dmabufs = true;
	assert_ok(flush(f, 1, RECT(1, 2, 3, 4)));
	assert_shown(f, DRAWN);
	g_assert_cmpuint(made.n, ==, 1);
	/* A flush does as well as a replay. */
	draw(f, gpa, 0x8000000);
	assert_ok(transfer(f, 1, ALL, 0));
	f->display->takes_dmabufs = false;
	assert_ok(flush(f, 1, RECT(1, 2, 3, 4)));
	assert_shown(f, SENT);
	assert_frame(f, 0x8000000);
}

/* The guest takes its pages back, and may use them for anything. */
static void test_detach(struct fixture *f, gconstpointer data G_GNUC_UNUSED)
{
	uint64_t gpa = make_picture(f, 1);

	assert_ok(set_scanout(f, 0, 1, ALL));
	assert_ok(flush(f, 1, ALL));
	assert_shown(f, DRAWN);
	draw(f, gpa, 0x9000000);
	assert_ok(transfer(f, 1, ALL, 0));
	assert_ok(detach(f, 1));
	assert_shown(f, SENT);
	assert_frame(f, 0x9000000);
	g_assert_cmpuint(count_kept(f), ==, 0);
	draw(f, gpa, 0);
	assert_ok(flush(f, 1, ALL));
	assert_shown(f, SENT);
	assert_frame(f, 0x9000000);
	/* Other pages, another buffer. */
	assert_ok(attach_one(f, 1, alloc_pages(f, SIZE / PAGE), SIZE));
	assert_ok(flush(f, 1, ALL));
	assert_shown(f, DRAWN);
	g_assert_cmpuint(made.n, ==, 2);
	assert_ok(unref(f, 1));
	assert_shown(f, "off 0\n");
}

/* As a pause does: the memory goes, the picture stays; with the memory come buffers again. */
static void test_memory_goes(struct fixture *f, gconstpointer data G_GNUC_UNUSED)
{
	struct guestmem *none = guestmem_create_empty();
	uint64_t gpa = make_picture(f, 1);

	assert_ok(set_scanout(f, 0, 1, ALL));
	assert_ok(flush(f, 1, ALL));
	draw(f, gpa, 0xa000000);
	assert_ok(transfer(f, 1, ALL, 0));
	device_set_memory(&f->dev, none);
	g_assert_cmpuint(f->dev.dmabufs.length, ==, 0);
	g_string_truncate(f->display->log, 0);
	device_replay(&f->dev);
	assert_replayed(f, SENT);
	assert_frame(f, 0xa000000);
	struct guestmem *again = vm_build_table(f->vm.ram, 0, f->vm.ram->n_regions);
	device_set_memory(&f->dev, again);
	assert_ok(flush(f, 1, ALL));
	assert_shown(f, DRAWN);
	g_assert_cmpuint(made.n, ==, 2);
	device_set_memory(&f->dev, f->vm.mem);
	guestmem_unref(again);
	guestmem_unref(none);
}

/* Another is set, and has nothing to show yet: what it was given is not read any longer. */
static void test_not_shown_yet(struct fixture *f, gconstpointer data G_GNUC_UNUSED)
{
	for (uint32_t id = 1; id <= 3; id++) {
		make_picture(f, id);
	}
	for (unsigned int i = 0; i < 2; i++) {
		assert_ok(set_scanout(f, 0, 1, ALL));
		assert_ok(flush(f, 1, ALL));
		assert_shown(f, DRAWN);
		assert_ok(set_scanout(f, 0, 2, ALL));
		assert_ok(set_scanout(f, 0, 3, ALL));
		assert_shown(f, "");
		assert_ok(i == 0 ? detach(f, 1) : unref(f, 1));
		assert_shown(f, "off 0\n");
		assert_ok(flush(f, 3, RECT(0, 0, 1, 1)));
		assert_shown(f, DRAWN);
		if (i == 0) {
			assert_ok(attach_one(f, 1, alloc_pages(f, SIZE / PAGE), SIZE));
		}
	}
	/* A frame is a copy that the front-end has. */
	f->display->takes_dmabufs = false;
	assert_ok(flush(f, 3, ALL));
	assert_shown(f, SENT);
	assert_ok(set_scanout(f, 0, 2, ALL));
	assert_ok(unref(f, 3));
	assert_shown(f, "");
}

/* A front-end may have a buffer of before a reset, of which the device knows nothing. */
static void test_left_over(struct fixture *f, gconstpointer data G_GNUC_UNUSED)
{
	make_picture(f, 1);
	assert_ok(set_scanout(f, 0, 1, ALL));
	assert_ok(flush(f, 1, ALL));
	g_string_truncate(f->display->log, 0);
	device_replay(&f->dev);
	assert_replayed(f, DRAWN);
	f->display->takes_dmabufs = false;
	g_string_truncate(f->display->log, 0);
	device_replay(&f->dev);
	assert_shown(f, SENT);
}

/* For an output that there is not. */
static void test_no_output(struct fixture *f, gconstpointer data G_GNUC_UNUSED)
{
	struct virtio_gpu_resp_display_info info = { 0 };

	make_picture(f, 1);
	assert_ok(set_scanout(f, 0, 1, ALL));
	assert_ok(set_scanout(f, 1, 1, ALL));
	assert_ok(flush(f, 1, ALL));
	assert_shown(f, DRAWN "update 1: 0,0 128x32 of 128x32 at 0,0\n");
	info.pmodes[1].enabled = htole32(1);
	device_take_info(&f->dev, DISPLAY_NO_TOKEN, &info);
	assert_ok(flush(f, 1, ALL));
	assert_shown(f, SENT "draw 1: 0,0 128x32 of 128x32/512\n");
}

/* Pixels that don't lie where they are seen: what a transfer makes of them counts. */
static void test_rearranged(struct fixture *f, gconstpointer data G_GNUC_UNUSED)
{
	uint64_t gpa = make_picture(f, 1);

	assert_ok(set_scanout(f, 0, 1, ALL));
	assert_ok(flush(f, 1, ALL));
	draw(f, gpa, 0xb000000);
	assert_ok(transfer(f, 1, ALL, 0)); /* spared */
	/* Its last row to the top. */
	assert_ok(transfer(f, 1, RECT(0, 0, WIDTH, 1), (HEIGHT - 1) * WIDTH * 4));
	g_string_truncate(f->display->log, 0);
	assert_ok(flush(f, 1, RECT(0, 0, WIDTH, 1)));
	assert_shown(f, SENT);
	g_assert_cmphex(*frame_pixel(f->display->frame, 5, 0), ==,
			0xb000000 + (HEIGHT - 1) * WIDTH + 5);
	g_assert_cmphex(*frame_pixel(f->display->frame, 5, 1), ==, 0xb000000 + WIDTH + 5);
	/* For good. */
	assert_ok(transfer(f, 1, ALL, 0));
	assert_ok(flush(f, 1, ALL));
	assert_shown(f, SENT);
	assert_frame(f, 0xb000000);
	g_assert_cmpuint(made.n, ==, 1);
}

/* A part that begins with a page is a buffer of its own; another is sent. */
static void test_parts(struct fixture *f, gconstpointer data G_GNUC_UNUSED)
{
	uint64_t page = page_of(f, make_picture(f, 1));

	assert_ok(set_scanout(f, 0, 1, RECT(0, 8, 64, 16)));
	assert_ok(flush(f, 1, RECT(10, 10, 100, 1)));
	assert_shown(f, "draw 0: 0,0 64x16 of 64x16/512\n");
	assert_made("made of %u+2\n", (unsigned int)page + 1);
	assert_ok(flush(f, 1, RECT(10, 10, 100, 1)));
	assert_shown(f, "draw 0: 10,2 54x1 of 64x16/512\n");
	assert_ok(set_scanout(f, 0, 1, RECT(0, 9, 64, 16)));
	assert_ok(flush(f, 1, ALL));
	assert_shown(f, "update 0: 0,0 64x16 of 64x16 at 0,9\n");
	assert_ok(set_scanout(f, 0, 1, RECT(64, 8, 64, 16)));
	assert_ok(flush(f, 1, ALL));
	assert_shown(f, "update 0: 0,0 64x16 of 64x16 at 64,8\n");
	/* Two scanouts of one resource. */
	f->dev.info.pmodes[1].enabled = 1;
	assert_ok(set_scanout(f, 0, 1, ALL));
	assert_ok(set_scanout(f, 1, 1, RECT(0, 0, 64, 32)));
	assert_ok(flush(f, 1, ALL));
	assert_shown(f, DRAWN "draw 1: 0,0 64x32 of 64x32/512\n");
	assert_made("made of %u+4\nmade of %u+4\n", (unsigned int)page, (unsigned int)page);
	assert_ok(flush(f, 1, ALL));
	assert_shown(f, DRAWN "draw 1: 0,0 64x32 of 64x32/512\n");
	assert_made("%s", "");
}

static void show_2d(struct fixture *f, uint32_t format, uint32_t width, uint32_t height,
		    const struct virtio_gpu_mem_entry *entries, uint32_t n_entries)
{
	assert_ok(create_2d(f, 1, format, width, height));
	assert_ok(attach(f, 1, n_entries, entries, n_entries));
	assert_ok(transfer(f, 1, RECT(0, 0, width, height), 0));
	assert_ok(set_scanout(f, 0, 1, RECT(0, 0, width, height)));
	assert_ok(flush(f, 1, RECT(0, 0, width, height)));
}

static void forget_2d(struct fixture *f)
{
	g_string_truncate(f->display->log, 0);
	assert_ok(unref(f, 1));
	g_string_truncate(f->display->log, 0);
	g_string_truncate(made.log, 0);
}

/* Rows and colours that not every display reads are sent. */
static void test_other_forms(struct fixture *f, gconstpointer data G_GNUC_UNUSED)
{
	const struct virtio_gpu_mem_entry entry = { alloc_pages(f, 16), 16 * PAGE, 0 };

	show_2d(f, VIRTIO_GPU_FORMAT_B8G8R8A8_UNORM, WIDTH, HEIGHT, &entry, 1);
	assert_shown(f, DRAWN);
	forget_2d(f);
	show_2d(f, VIRTIO_GPU_FORMAT_R8G8B8X8_UNORM, WIDTH, HEIGHT, &entry, 1);
	assert_shown(f, SENT);
	forget_2d(f);
	show_2d(f, FORMAT, 130, HEIGHT, &entry, 1);
	assert_shown(f, "update 0: 0,0 130x32 of 130x32 at 0,0\n");
	g_assert_cmpuint(made.n, ==, 1);
	forget_2d(f);
}

static void test_pages(struct fixture *f, gconstpointer data G_GNUC_UNUSED)
{
	uint64_t gpa = alloc_pages(f, 16);
	unsigned int page = (unsigned int)page_of(f, gpa);
	const struct virtio_gpu_mem_entry scattered[] = {
		{ gpa + 3 * PAGE, PAGE, 0 },
		{ gpa, 2 * PAGE, 0 },
		{ gpa + 2 * PAGE, PAGE, 0 },
	};
	const struct virtio_gpu_mem_entry shifted = { gpa + 512, SIZE, 0 };
	const struct virtio_gpu_mem_entry torn[] = {
		{ gpa, PAGE / 2, 0 },
		{ gpa + PAGE, SIZE - PAGE / 2, 0 },
	};
	/* 31 rows end inside a page. */
	const struct virtio_gpu_mem_entry rest = { gpa, 31 * WIDTH * 4, 0 };

	show_2d(f, FORMAT, WIDTH, HEIGHT, scattered, 3);
	assert_shown(f, DRAWN);
	assert_made("made of %u+1 %u+3\n", page + 3, page);
	forget_2d(f);
	show_2d(f, FORMAT, WIDTH, HEIGHT, &shifted, 1);
	assert_shown(f, SENT);
	forget_2d(f);
	show_2d(f, FORMAT, WIDTH, HEIGHT, torn, 2);
	assert_shown(f, SENT);
	forget_2d(f);
	g_assert_cmpuint(made.n, ==, 1);
	show_2d(f, FORMAT, WIDTH, 31, &rest, 1);
	assert_shown(f, "draw 0: 0,0 128x31 of 128x31/512\n");
	assert_made("made of %u+4\n", page);
	forget_2d(f);
}

/* The kernel may refuse; it is asked once. */
static void test_refused(struct fixture *f, gconstpointer data G_GNUC_UNUSED)
{
	uint64_t gpa = make_picture(f, 1);

	made.error = -EINVAL;
	assert_ok(set_scanout(f, 0, 1, ALL));
	for (uint32_t i = 0; i < 3; i++) {
		draw(f, gpa, i << 24);
		assert_ok(transfer(f, 1, ALL, 0));
		assert_ok(flush(f, 1, ALL));
		assert_shown(f, SENT);
		assert_frame(f, i << 24);
	}
	g_assert_cmpuint(made.n, ==, 1);
}

/* Nobody makes them, or takes them: all is as without. */
static void test_not_asked_for(struct fixture *f, gconstpointer data G_GNUC_UNUSED)
{
	make_picture(f, 1);
	assert_ok(set_scanout(f, 0, 1, ALL));
	device_set_exporter(&f->dev, NULL, NULL);
	assert_ok(flush(f, 1, ALL));
	assert_shown(f, SENT);
	device_set_exporter(&f->dev, &exporter, &made);
	f->display->takes_dmabufs = false;
	assert_ok(flush(f, 1, ALL));
	assert_shown(f, SENT);
	g_assert_cmpuint(made.n, ==, 0);
}

/* A renderer with contexts reads and writes its copy. */
static void test_of_contexts(struct fixture *f, gconstpointer data G_GNUC_UNUSED)
{
	puppet_from_base(f->renderer)->picture = frame_create(&f->quota, WIDTH, HEIGHT);
	make_picture(f, 1);
	assert_ok(set_scanout(f, 0, 1, ALL));
	assert_ok(flush(f, 1, ALL));
	assert_shown(f, SENT);
	g_assert_cmpuint(made.n, ==, 0);
}

/* Cursors are made of copies. */
static void test_cursor(struct fixture *f, gconstpointer data G_GNUC_UNUSED)
{
	const struct virtio_gpu_rect all = RECT(0, 0, 64, 64);
	uint64_t gpa = alloc_pages(f, 4);
	uint32_t *pixels = guestram_at(f->vm.ram, gpa, 4 * PAGE);

	assert_ok(create_2d(f, 1, VIRTIO_GPU_FORMAT_B8G8R8A8_UNORM, 64, 64));
	assert_ok(attach_one(f, 1, gpa, 4 * PAGE));
	assert_ok(set_scanout(f, 0, 1, all));
	assert_ok(flush(f, 1, all));
	assert_shown(f, "draw 0: 0,0 64x64 of 64x64/256\n");
	pixels[3] = 0xff123456;
	assert_ok(transfer(f, 1, all, 0));
	assert_ok(update_cursor(f, 0, 1, 0, 0, 0, 0));
	g_assert_cmphex(f->display->cursor[3], ==, 0xff123456);
}

/* So many are kept; beyond them the one that was not used for longest is made anew. */
static void test_limit(struct fixture *f, gconstpointer data G_GNUC_UNUSED)
{
	uint64_t gpa = alloc_pages(f, SIZE / PAGE);
	unsigned int n_fds = unit_count_fds();

	for (uint32_t i = 0; i < 3 * SCANOUT_MAX_DMABUFS; i++) {
		uint32_t id = 1 + i;

		assert_ok(create_2d(f, id, FORMAT, WIDTH, HEIGHT));
		assert_ok(attach_one(f, id, gpa, SIZE));
		assert_ok(set_scanout(f, 0, id, ALL));
		assert_ok(flush(f, id, ALL));
		assert_shown(f, DRAWN);
		g_assert_cmpuint(unit_count_fds(), <=, n_fds + SCANOUT_MAX_DMABUFS);
	}
	g_assert_cmpuint(made.n, ==, 3 * SCANOUT_MAX_DMABUFS);
	device_reset(&f->dev);
	g_assert_cmpuint(unit_count_fds(), ==, n_fds);
}

/* ---- blobs ---- */

static void show_blob(struct fixture *f, uint32_t id, uint32_t width, uint32_t stride,
		      uint32_t offset)
{
	const struct blob_layout layout = {
		.format = FORMAT,
		.width = width,
		.height = HEIGHT,
		.stride_bytes = stride,
		.offset_bytes = offset,
	};

	assert_ok(set_scanout_blob(f, 0, id, RECT(0, 0, width, HEIGHT), &layout));
}

static void test_blob(struct fixture *f, gconstpointer data G_GNUC_UNUSED)
{
	uint64_t gpa = alloc_pages(f, 16);
	unsigned int page = (unsigned int)page_of(f, gpa);

	assert_ok(create_guest_blob(f, 1, gpa, 16 * PAGE));
	show_blob(f, 1, WIDTH, 512, 0);
	assert_ok(flush(f, 1, ALL));
	assert_shown(f, DRAWN);
	assert_made("made of %u+4\n", page);
	/* Another picture in the same blob. */
	show_blob(f, 1, WIDTH, 1024, 4 * PAGE);
	assert_ok(flush(f, 1, ALL));
	assert_shown(f, "draw 0: 0,0 128x32 of 128x32/1024\n");
	assert_made("made of %u+8\n", page + 4);
	/* Both are kept. */
	show_blob(f, 1, WIDTH, 512, 0);
	assert_ok(flush(f, 1, ALL));
	assert_shown(f, DRAWN);
	assert_made("%s", "");
	/* No page begins there; no whole row is there; no display has such rows. */
	show_blob(f, 1, WIDTH, 512, 16);
	assert_ok(flush(f, 1, ALL));
	assert_shown(f, SENT);
	show_blob(f, 1, WIDTH, 520, 0);
	assert_ok(flush(f, 1, ALL));
	assert_shown(f, SENT);
	assert_made("%s", "");
	assert_ok(unref(f, 1));
	g_assert_cmpuint(f->dev.dmabufs.length, ==, 0);
}

/* ---- the renderer's memory ---- */

/* All of a texture, each time when it is complete; a part of it nobody can find. */
static void test_texture(struct fixture *f, gconstpointer data G_GNUC_UNUSED)
{
	struct puppet *p = puppet_from_base(f->renderer);
	int fd = unit_memfd(PAGE);
	unsigned int n_fds = unit_count_fds();

	p->picture_fd = fd;
	p->picture_layout = (struct dmabuf_layout){
		.width = WIDTH,
		.height = HEIGHT,
		.stride_bytes = 2048,
		.modifier = 5,
		.fourcc = PIXEL_XBGR8888,
		.is_y_0_top = true,
	};
	p->picture = frame_create(&f->quota, WIDTH, HEIGHT);
	assert_ok(create_3d(f, 1, WIDTH, HEIGHT, 1, 1, 0));
	assert_ok(set_scanout(f, 0, 1, ALL));
	g_string_truncate(p->log, 0);
	assert_ok(flush(f, 1, ALL));
	assert_shown(f, "draw 0: 0,0 128x32 of 128x32/2048\n");
	assert_ok(flush(f, 1, RECT(1, 2, 3, 4)));
	assert_shown(f, "draw 0: 1,2 3x4 of 128x32/2048\n");
	assert_rendered(f, "export picture 1\ncomplete 1\ncomplete 1\n");
	assert_ok(set_scanout(f, 0, 1, RECT(0, 8, 64, 16)));
	assert_ok(flush(f, 1, ALL));
	assert_shown(f, "update 0: 0,0 64x16 of 64x16 at 0,8\n");
	assert_rendered(f, "");
	/* Where the pages are the guest's, too, this is what was drawn. */
	assert_ok(set_scanout(f, 0, 1, ALL));
	assert_ok(attach_one(f, 1, alloc_pages(f, SIZE / PAGE), SIZE));
	assert_ok(flush(f, 1, ALL));
	assert_shown(f, "draw 0: 0,0 128x32 of 128x32/2048\n");
	assert_ok(unref(f, 1));
	assert_shown(f, "off 0\n");
	g_assert_cmpuint(unit_count_fds(), ==, n_fds);
	close(fd);
}

/* A blob that is one, however it lies. */
static void test_texture_blob(struct fixture *f, gconstpointer data G_GNUC_UNUSED)
{
	struct puppet *p = puppet_from_base(f->renderer);
	int fd = unit_memfd(PAGE);

	p->picture_fd = fd;
	p->picture_layout = (struct dmabuf_layout){
		.width = WIDTH,
		.height = HEIGHT,
		.stride_bytes = 2048,
		.modifier = 5,
		.fourcc = PIXEL_XBGR8888,
	};
	assert_ok(create_context(f, 1, 0, "", 0));
	assert_ok(create_blob(f, 1, VIRTIO_GPU_BLOB_MEM_HOST3D, SIZE, NULL, 0));
	g_string_truncate(p->log, 0);
	show_blob(f, 1, WIDTH, 512, 0);
	assert_ok(flush(f, 1, ALL));
	assert_shown(f, "draw 0: 0,0 128x32 of 128x32/2048\n");
	assert_rendered(f, "export picture 1\ncomplete 1\n");
	assert_ok(unref(f, 1));
	assert_shown(f, "off 0\n");
	close(fd);
}

/* It can't be exported, or is another size: read back, and not asked again. */
static void test_no_texture(struct fixture *f, gconstpointer data G_GNUC_UNUSED)
{
	struct puppet *p = puppet_from_base(f->renderer);
	int fd = unit_memfd(PAGE);

	p->picture = frame_create(&f->quota, WIDTH, HEIGHT);
	for (unsigned int i = 0; i < 2; i++) {
		assert_ok(create_3d(f, 1, WIDTH, HEIGHT, 1, 1, 0));
		assert_ok(set_scanout(f, 0, 1, ALL));
		g_string_truncate(p->log, 0);
		assert_ok(flush(f, 1, ALL));
		assert_ok(flush(f, 1, ALL));
		assert_shown(f, SENT SENT);
		assert_rendered(f, "export picture 1\n");
		assert_ok(unref(f, 1));
		g_string_truncate(f->display->log, 0);
		p->picture_fd = fd;
		p->picture_layout = (struct dmabuf_layout){ .width = WIDTH, .height = HEIGHT + 1 };
	}
	close(fd);
}

/* Of memory of the host's the guest says how the pixels lie; it has to be a dma-buf. */
static void test_no_host_blob(struct fixture *f, gconstpointer data G_GNUC_UNUSED)
{
	struct puppet *p = puppet_from_base(f->renderer);
	int fd = unit_memfd(SIZE);

	p->export_fd = fd;
	p->picture_answer = GPU_RESP_ERR_INVALID_PARAMETER;
	p->picture = frame_create(&f->quota, WIDTH, HEIGHT);
	assert_ok(create_context(f, 1, 0, "", 0));
	assert_ok(create_blob(f, 1, VIRTIO_GPU_BLOB_MEM_HOST3D, SIZE, NULL, 0));
	show_blob(f, 1, WIDTH, 512, 0);
	assert_ok(flush(f, 1, ALL));
	assert_shown(f, SENT);
	g_assert_cmpuint(count_kept(f), ==, 0);
	assert_ok(unref(f, 1));
	close(fd);
}

int main(int argc, char **argv)
{
	static const struct {
		const char *path;
		const struct renderer_impl *impl;
		void (*test)(struct fixture *f, gconstpointer data);
	} tests[] = {
		{ "/scanout-dmabuf/2d", &soft_impl, test_2d },
		{ "/scanout-dmabuf/flips", &soft_impl, test_flips },
		{ "/scanout-dmabuf/display-changes", &soft_impl, test_display_changes },
		{ "/scanout-dmabuf/detach", &soft_impl, test_detach },
		{ "/scanout-dmabuf/memory-goes", &soft_impl, test_memory_goes },
		{ "/scanout-dmabuf/not-shown-yet", &soft_impl, test_not_shown_yet },
		{ "/scanout-dmabuf/left-over", &soft_impl, test_left_over },
		{ "/scanout-dmabuf/no-output", &soft_impl, test_no_output },
		{ "/scanout-dmabuf/rearranged", &soft_impl, test_rearranged },
		{ "/scanout-dmabuf/parts", &soft_impl, test_parts },
		{ "/scanout-dmabuf/other-forms", &soft_impl, test_other_forms },
		{ "/scanout-dmabuf/pages", &soft_impl, test_pages },
		{ "/scanout-dmabuf/refused", &soft_impl, test_refused },
		{ "/scanout-dmabuf/not-asked-for", &soft_impl, test_not_asked_for },
		{ "/scanout-dmabuf/of-contexts", &puppet_impl, test_of_contexts },
		{ "/scanout-dmabuf/cursor", &soft_impl, test_cursor },
		{ "/scanout-dmabuf/limit", &soft_impl, test_limit },
		{ "/scanout-dmabuf/blob", &soft_impl, test_blob },
		{ "/scanout-dmabuf/blob-of-contexts", &puppet_impl, test_blob },
		{ "/scanout-dmabuf/texture", &puppet_impl, test_texture },
		{ "/scanout-dmabuf/texture-blob", &puppet_impl, test_texture_blob },
		{ "/scanout-dmabuf/no-texture", &puppet_impl, test_no_texture },
		{ "/scanout-dmabuf/no-host-blob", &puppet_impl, test_no_host_blob },
	};

	g_test_init(&argc, &argv, NULL);
	guestmem_keep_files();
	for (size_t i = 0; i < G_N_ELEMENTS(tests); i++) {
		g_test_add(tests[i].path, struct fixture, tests[i].impl, begin, tests[i].test, end);
	}
	return g_test_run();
}
