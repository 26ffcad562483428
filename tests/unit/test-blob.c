/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* Blob resources: what a guest may make of them, what is shown of them, and the window. */
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "gpu_rig.h"
#include "renderer/impls.h"
#include "unit.h"

#define PAGE 4096u
#define WINDOW (64 * PAGE)

/* ---- commands ---- */

static enum gpu_resp map(struct fixture *f, uint32_t id, uint64_t offset)
{
	const struct virtio_gpu_resource_map_blob request = {
		.hdr = HDR(RESOURCE_MAP_BLOB), .resource_id = id, .offset = offset
	};

	return call(f, CONTROL, &request, sizeof(request));
}

static enum gpu_resp unmap(struct fixture *f, uint32_t id)
{
	const struct virtio_gpu_resource_unmap_blob request = { .hdr = HDR(RESOURCE_UNMAP_BLOB),
								.resource_id = id };

	return call(f, CONTROL, &request, sizeof(request));
}

static void offer_blobs(struct fixture *f)
{
	device_set_features(&f->dev, 1u << VIRTIO_GPU_F_RESOURCE_BLOB |
					     1u << VIRTIO_GPU_F_CONTEXT_INIT |
					     1u << VIRTIO_GPU_F_RESOURCE_UUID);
}

static uint64_t alloc_pages(struct fixture *f, uint32_t n)
{
	return guestram_alloc(f->vm.ram, 0, n * PAGE, PAGE);
}

/* ---- making them ---- */

static void test_create_guest(struct fixture *f, gconstpointer data G_GNUC_UNUSED)
{
	uint64_t gpa = alloc_pages(f, 4);

	offer_blobs(f);
	assert_ok(create_guest_blob(f, 1, gpa, 4 * PAGE));
	assert_is(create_guest_blob(f, 1, gpa, 4 * PAGE), INVALID_RESOURCE_ID);
	assert_is(create_guest_blob(f, 0, gpa, 4 * PAGE), INVALID_RESOURCE_ID);
	assert_is(create_guest_blob(f, 2, VM_NOWHERE, 4 * PAGE), UNSPEC);
	/* It has no size of a picture, and keeps the pages that it has. */
	assert_is(set_scanout(f, 0, 1, RECT(0, 0, 16, 16)), INVALID_PARAMETER);
	assert_is(attach_one(f, 1, gpa, PAGE), UNSPEC);
	assert_is(detach(f, 1), UNSPEC);
	assert_ok(transfer(f, 1, RECT(0, 0, 10000, 10000), UINT64_MAX));
	assert_ok(flush(f, 1, RECT(0, 0, 10000, 10000)));
	assert_ok(unref(f, 1));
	assert_is(unref(f, 1), INVALID_RESOURCE_ID);
	assert_ok(create_guest_blob(f, 1, gpa, 4 * PAGE));
}

static void test_create_errors(struct fixture *f, gconstpointer data G_GNUC_UNUSED)
{
	uint64_t gpa = alloc_pages(f, 2);
	const struct virtio_gpu_mem_entry entries[] = { { gpa, PAGE, 0 }, { gpa + PAGE, PAGE, 0 } };

	offer_blobs(f);
	for (uint32_t mem = 0; mem < 6; mem++) {
		if (mem < GUEST || mem > HOST3D_GUEST) {
			assert_is(create_blob(f, 1, mem, PAGE, entries, 1), INVALID_PARAMETER);
		}
	}
	assert_is(create_blob(f, 1, UINT32_MAX, PAGE, entries, 1), INVALID_PARAMETER);
	assert_is(create_blob(f, 1, GUEST, 0, entries, 1), INVALID_PARAMETER);
	assert_is(create_blob(f, 1, GUEST, PAGE, NULL, 0), INVALID_PARAMETER);
	assert_is(create_blob(f, 1, HOST3D, PAGE, entries, 1), INVALID_PARAMETER);
	assert_is(create_blob(f, 1, HOST3D_GUEST, PAGE, NULL, 0), INVALID_PARAMETER);
	/* Fewer pages than bytes. */
	assert_is(create_blob(f, 1, GUEST, 2 * PAGE + 1, entries, 2), INVALID_PARAMETER);
	assert_is(create_blob(f, 1, GUEST, UINT64_MAX, entries, 2), INVALID_PARAMETER);
	assert_ok(create_blob(f, 1, GUEST, 2 * PAGE, entries, 2));

	struct virtio_gpu_resource_create_blob request = {
		.hdr = HDR(RESOURCE_CREATE_BLOB), .resource_id = 2, .blob_mem = GUEST,
		.blob_flags = 8, .nr_entries = 1, .size = PAGE,
	};
	assert_is(call(f, CONTROL, &request, sizeof(request)), INVALID_PARAMETER);
	request.blob_flags = 0; /* and now the list is not there */
	assert_is(call(f, CONTROL, &request, sizeof(request)), INVALID_PARAMETER);
	request.nr_entries = UINT32_MAX;
	assert_is(call(f, CONTROL, &request, sizeof(request)), INVALID_PARAMETER);
}

static void test_needs_feature(struct fixture *f, gconstpointer data G_GNUC_UNUSED)
{
	const struct blob_layout layout = { FORMAT, 16, 16, 64, 0 };

	assert_is(create_guest_blob(f, 1, alloc_pages(f, 1), PAGE), UNSPEC);
	assert_is(set_scanout_blob(f, 0, 1, RECT(0, 0, 16, 16), &layout), UNSPEC);
	assert_is(map(f, 1, 0), UNSPEC);
	assert_is(unmap(f, 1), UNSPEC);
}

static void test_no_host_blobs(struct fixture *f, gconstpointer data G_GNUC_UNUSED)
{
	const struct virtio_gpu_mem_entry entry = { alloc_pages(f, 1), PAGE, 0 };

	offer_blobs(f);
	assert_is(create_blob(f, 1, HOST3D, PAGE, NULL, 0), UNSPEC);
	assert_is(create_blob(f, 1, HOST3D_GUEST, PAGE, &entry, 1), UNSPEC);
	assert_ok(create_guest_blob(f, 1, entry.addr, PAGE));
	assert_is(map(f, 1, 0), UNSPEC);
	assert_is(map(f, 2, 0), INVALID_RESOURCE_ID);
	assert_is(unmap(f, 1), INVALID_PARAMETER);
}

static void test_renderer_is_told(struct fixture *f, gconstpointer data G_GNUC_UNUSED)
{
	const struct virtio_gpu_mem_entry entry = { alloc_pages(f, 1), PAGE, 0 };
	struct guestmem *none = guestmem_create_empty();

	offer_blobs(f);
	assert_is(create_blob(f, 1, HOST3D, PAGE, NULL, 0), INVALID_CONTEXT_ID);
	assert_ok(create_guest_blob(f, 1, entry.addr, PAGE)); /* whatever context it names */
	assert_rendered(f, "blob 1: 1, ctx 0, id 0, 4096 bytes, 1 pieces\n");
	assert_ok(create_context(f, 1, 0, "", 0));
	assert_ok(create_blob(f, 2, HOST3D, 5, NULL, 0));
	assert_ok(create_blob(f, 3, HOST3D_GUEST, PAGE, &entry, 1));
	assert_rendered(f, "ctx 1: 0 ''\n"
			   "blob 2: 2, ctx 1, id 7, 5 bytes, 0 pieces\n"
			   "blob 3: 3, ctx 1, id 7, 4096 bytes, 1 pieces\n");
	/* Memory goes and comes. */
	assert_ok(unref(f, 3));
	g_string_truncate(puppet_from_base(f->renderer)->log, 0);
	device_set_memory(&f->dev, none);
	assert_rendered(f, "detach 1\n");
	device_set_memory(&f->dev, f->vm.mem);
	assert_rendered(f, "attach 1: 1\n");
	assert_ok(unref(f, 1));
	assert_ok(unref(f, 2));
	assert_rendered(f, "detach 1\ndestroy 1\ndestroy 2\n");
	/* It refuses. */
	puppet_from_base(f->renderer)->answer = GPU_RESP_ERR_OUT_OF_MEMORY;
	assert_is(create_guest_blob(f, 1, entry.addr, PAGE), OUT_OF_MEMORY);
	assert_is(create_blob(f, 2, HOST3D, PAGE, NULL, 0), OUT_OF_MEMORY);
	puppet_from_base(f->renderer)->answer = GPU_RESP_OK_NODATA;
	assert_is(unref(f, 1), INVALID_RESOURCE_ID);
	assert_is(unref(f, 2), INVALID_RESOURCE_ID);
	guestmem_unref(none);
}

/* ---- showing them ---- */

static void assert_pixel(const struct fixture *f, uint32_t x, uint32_t y, uint32_t expected)
{
	g_assert_nonnull(f->display->frame);
	g_assert_cmphex(*frame_pixel(f->display->frame, x, y), ==, expected);
}

static void test_show(struct fixture *f, gconstpointer data G_GNUC_UNUSED)
{
	/* Pages in the wrong order: 32 rows of 128 bytes are one. */
	uint64_t gpa = alloc_pages(f, 3);
	const struct virtio_gpu_mem_entry entries[] = { { gpa + 2 * PAGE, PAGE, 0 },
							{ gpa, PAGE, 0 } };
	const struct blob_layout layout = { FORMAT, 20, 60, 128, 256 };
	uint32_t *first = guestram_at(f->vm.ram, gpa + 2 * PAGE, PAGE);
	uint32_t *second = guestram_at(f->vm.ram, gpa, PAGE);

	offer_blobs(f);
	assert_ok(create_blob(f, 1, GUEST, 2 * PAGE, entries, 2));
	first[256 / 4 + 3] = 0x112233;
	second[0] = 0x445566;
	assert_ok(set_scanout_blob(f, 2, 1, RECT(0, 0, 20, 60), &layout));
	assert_shown(f, "");
	assert_ok(flush(f, 1, RECT(0, 0, 20, 60)));
	assert_shown(f, "update 2: 0,0 20x60 of 20x60 at 0,0\n");
	assert_pixel(f, 3, 0, 0x112233);
	assert_pixel(f, 0, 30, 0x445566);
	/* No copy: the display sees the guest's own pages. */
	second[0] = 0x778899;
	assert_pixel(f, 0, 30, 0x778899);
	assert_is(flush(f, 1, RECT(0, 0, 21, 60)), INVALID_PARAMETER);
	assert_ok(flush(f, 1, RECT(1, 2, 3, 4)));
	assert_shown(f, "update 2: 1,2 3x4 of 20x60 at 0,0\n");
	/* A part of it. */
	assert_ok(set_scanout_blob(f, 2, 1, RECT(2, 4, 16, 16), &layout));
	assert_ok(flush(f, 1, RECT(0, 0, 20, 60)));
	assert_shown(f, "update 2: 0,0 16x16 of 16x16 at 2,4\n");
	/* Gone, and the display may read on. */
	assert_ok(unref(f, 1));
	assert_shown(f, "off 2\n");
	assert_pixel(f, 0, 30, 0x778899);
}

/* Two regions that happen to be mapped side by side; false: none are. */
static bool find_neighbours(struct fixture *f, unsigned int first, struct guestmem *mem,
			    uint64_t *lower_gpa, uint64_t *upper_gpa)
{
	const struct guestram *ram = f->vm.ram;

	for (unsigned int i = first; i < ram->n_regions; i++) {
		for (unsigned int j = first; j < ram->n_regions; j++) {
			struct iovec lower, upper;

			*lower_gpa = ram->regions[i].wire.guest_addr;
			*upper_gpa = ram->regions[j].wire.guest_addr;
			guestmem_to_iov(mem, (struct gpa){ *lower_gpa }, 2 * PAGE, &lower, 1);
			guestmem_to_iov(mem, (struct gpa){ *upper_gpa }, PAGE, &upper, 1);
			if ((char *)lower.iov_base + 2 * PAGE == upper.iov_base) {
				return true;
			}
		}
	}
	return false;
}

/* Pages of two files: what follows in the address space does not follow in the file. */
static void test_show_neighbours(struct fixture *f, gconstpointer data G_GNUC_UNUSED)
{
	const struct blob_layout layout = { FORMAT, 32, 96, 128, 0 };
	unsigned int first = f->vm.ram->n_regions;
	uint64_t lower, upper;

	for (uint64_t i = 0; i < 4; i++) {
		guestram_add(f->vm.ram, (i + 3) << 32, 2 * PAGE, 0);
	}
	struct guestmem *mem = vm_build_table(f->vm.ram, 0, f->vm.ram->n_regions);
	if (!find_neighbours(f, first, mem, &lower, &upper)) {
		g_test_skip("no two mappings are neighbours");
		guestmem_unref(mem);
		return;
	}
	device_set_memory(&f->dev, mem);
	guestmem_unref(mem);
	/* The first is elsewhere, so that they have to be joined. */
	const struct virtio_gpu_mem_entry entries[] = { { alloc_pages(f, 1), PAGE, 0 },
							{ lower + PAGE, PAGE, 0 },
							{ upper, PAGE, 0 } };
	for (uint32_t i = 0; i < G_N_ELEMENTS(entries); i++) {
		memset(guestram_at(f->vm.ram, entries[i].addr, PAGE), 0x11 + (int)i, PAGE);
	}
	offer_blobs(f);
	assert_ok(create_blob(f, 1, GUEST, 3 * PAGE, entries, 3));
	assert_ok(set_scanout_blob(f, 0, 1, RECT(0, 0, 32, 96), &layout));
	assert_ok(flush(f, 1, RECT(0, 0, 32, 96)));
	assert_pixel(f, 0, 0, 0x11111111);
	assert_pixel(f, 31, 63, 0x12121212);
	assert_pixel(f, 0, 64, 0x13131313);
	assert_pixel(f, 31, 95, 0x13131313);
}

/* How often this process has a file mapped. */
static unsigned int count_mappings(int fd)
{
	g_autofree char *maps = NULL;
	g_autofree char *inode = NULL;
	unsigned int n = 0;
	struct stat info;

	g_assert_cmpint(fstat(fd, &info), ==, 0);
	inode = g_strdup_printf(" %ju ", (uintmax_t)info.st_ino);
	g_assert_true(g_file_get_contents("/proc/self/maps", &maps, NULL, NULL));
	for (const char *at = maps; (at = strstr(at, inode)) != NULL; at++) {
		n++;
	}
	return n;
}

/* Other memory of the guest's goes: a blob that is shown does not keep it. */
static void test_show_keeps_no_table(struct fixture *f, gconstpointer data G_GNUC_UNUSED)
{
	const struct blob_layout layout = { FORMAT, 16, 16, 64, 0 };
	unsigned int other = guestram_add(f->vm.ram, UINT64_C(3) << 32, PAGE, 0);
	int fd = f->vm.ram->regions[other].memfd;
	unsigned int n_ours = count_mappings(fd);
	struct guestmem *grown = vm_build_table(f->vm.ram, 0, f->vm.ram->n_regions);
	struct guestmem *shrunk;
	const struct guestmem_region_desc desc = {
		.gpa = { f->vm.ram->regions[other].wire.guest_addr },
		.uva = { f->vm.ram->regions[other].wire.user_addr },
		.size_bytes = PAGE,
	};

	offer_blobs(f);
	device_set_memory(&f->dev, grown);
	assert_ok(create_guest_blob(f, 1, alloc_pages(f, 1), PAGE));
	assert_ok(set_scanout_blob(f, 0, 1, RECT(0, 0, 16, 16), &layout));
	assert_ok(flush(f, 1, RECT(0, 0, 16, 16)));
	g_assert_cmpuint(count_mappings(fd), ==, n_ours + 1);
	g_assert_cmpint(guestmem_remove(grown, &desc, &shrunk), ==, 0);
	guestmem_unref(grown);
	device_set_memory(&f->dev, shrunk);
	guestmem_unref(shrunk);
	g_assert_cmpuint(count_mappings(fd), ==, n_ours);
	*frame_pixel(f->display->frame, 3, 3) = 0x123456;
	assert_pixel(f, 3, 3, 0x123456);
}

/* Memory goes and comes, as when a machine is stopped: what was flushed is shown then. */
static void test_show_when_it_is_back(struct fixture *f, gconstpointer data G_GNUC_UNUSED)
{
	const struct blob_layout layout = { FORMAT, 16, 16, 64, 0 };
	struct guestmem *without = vm_build_table(f->vm.ram, 1, 2);

	offer_blobs(f);
	assert_ok(create_guest_blob(f, 1, alloc_pages(f, 1), PAGE));
	assert_ok(set_scanout_blob(f, 0, 1, RECT(0, 0, 16, 16), &layout));
	/* Nothing, as it was never flushed. */
	device_set_memory(&f->dev, without);
	device_set_memory(&f->dev, f->vm.mem);
	assert_shown(f, "");
	assert_ok(flush(f, 1, RECT(0, 0, 16, 16)));
	assert_shown(f, "update 0: 0,0 16x16 of 16x16 at 0,0\n");
	/* Nothing is due. */
	device_set_memory(&f->dev, without);
	device_set_memory(&f->dev, f->vm.mem);
	assert_shown(f, "");
	/* A display came meanwhile. */
	device_set_memory(&f->dev, without);
	device_replay(&f->dev);
	assert_shown(f, "");
	device_set_memory(&f->dev, f->vm.mem);
	assert_shown(f, "update 0: 0,0 16x16 of 16x16 at 0,0\n");
	/* The guest went on. */
	device_set_memory(&f->dev, without);
	assert_is(flush(f, 1, RECT(0, 0, 1, 1)), UNSPEC);
	device_set_memory(&f->dev, f->vm.mem);
	assert_shown(f, "update 0: 0,0 16x16 of 16x16 at 0,0\n");
	guestmem_unref(without);
}

/* Other formats, rows between pixels, pages off their boundary: a copy, of the damage. */
static void test_show_copies(struct fixture *f, gconstpointer data G_GNUC_UNUSED)
{
	static const struct {
		struct blob_layout layout;
		uint32_t from; /* of the page: where the blob begins */
	} cases[] = {
		{ { VIRTIO_GPU_FORMAT_R8G8B8X8_UNORM, 16, 16, 64, 0 }, 0 },
		{ { FORMAT, 16, 16, 65, 1 }, 0 },
		{ { FORMAT, 16, 16, 64, 4 }, 7 },
	};
	uint64_t gpa = alloc_pages(f, 1);

	offer_blobs(f);
	for (uint32_t i = 0; i < G_N_ELEMENTS(cases); i++) {
		const struct blob_layout *layout = &cases[i].layout;
		uint32_t size = PAGE - cases[i].from;
		uint8_t *bytes = guestram_at(f->vm.ram, gpa + cases[i].from, size);
		uint8_t *pixel = bytes + layout->offset_bytes + 2 * layout->stride_bytes + 3 * 4;
		bool is_bgr = layout->format == FORMAT;

		memset(bytes, 0, size);
		memcpy(pixel, "\1\2\3", 3);
		assert_ok(create_guest_blob(f, 1 + i, gpa + cases[i].from, size));
		assert_ok(set_scanout_blob(f, 0, 1 + i, RECT(0, 0, 16, 16), layout));
		assert_ok(flush(f, 1 + i, RECT(0, 0, 16, 16)));
		assert_pixel(f, 3, 2, is_bgr ? 0x030201 : 0x010203);
		/* A copy stays as it was, but where it is flushed. */
		memcpy(pixel, "\7\7\7", 3);
		memcpy(pixel + 4, "\7\7\7", 3);
		assert_pixel(f, 3, 2, is_bgr ? 0x030201 : 0x010203);
		assert_ok(flush(f, 1 + i, RECT(4, 0, 1, 16)));
		assert_pixel(f, 3, 2, is_bgr ? 0x030201 : 0x010203);
		assert_pixel(f, 4, 2, 0x070707);
	}
}

#define MANY BLOB_MEMORY_MAX_RUNS

/* All that may be joined of this process is, by blobs that are on scanouts 1 to 4. */
static void take_all_runs(struct fixture *f)
{
	const struct blob_layout layout = { FORMAT, 1024, MANY, PAGE, 0 };
	g_autofree struct virtio_gpu_mem_entry *entries = g_new0(struct virtio_gpu_mem_entry, MANY);
	uint64_t gpa = alloc_pages(f, 4);

	for (uint32_t i = 0; i < MANY; i++) {
		entries[i] = (struct virtio_gpu_mem_entry){ gpa + i % 2 * 2 * PAGE, PAGE, 0 };
	}
	for (uint32_t i = 1; i <= BLOB_MEMORY_MAX_ALL_RUNS / MANY; i++) {
		assert_ok(create_blob(f, 100 + i, GUEST, (uint64_t)MANY * PAGE, entries, MANY));
		assert_ok(set_scanout_blob(f, i, 100 + i, RECT(0, 0, 16, 16), &layout));
		assert_ok(flush(f, 100 + i, RECT(0, 0, 16, 16)));
	}
}

/* What was shown as it lies and can't be any more is copied, and not only where it was flushed. */
static void test_show_begins_to_copy(struct fixture *f, gconstpointer data G_GNUC_UNUSED)
{
	struct guestmem *without = vm_build_table(f->vm.ram, 1, 2);
	uint64_t gpa = alloc_pages(f, 3);
	const struct virtio_gpu_mem_entry entries[] = { { gpa, PAGE, 0 },
							{ gpa + 2 * PAGE, PAGE, 0 } };
	const struct blob_layout layout = { FORMAT, 32, 64, 128, 0 };

	offer_blobs(f);
	memset(guestram_at(f->vm.ram, gpa, 3 * PAGE), 0x11, 3 * PAGE);
	assert_ok(create_blob(f, 1, GUEST, 2 * PAGE, entries, 2));
	assert_ok(set_scanout_blob(f, 0, 1, RECT(0, 0, 32, 64), &layout));
	assert_ok(flush(f, 1, RECT(0, 0, 32, 64)));
	device_set_memory(&f->dev, without);
	g_clear_pointer(&f->display->frame, frame_unref);
	device_set_memory(&f->dev, f->vm.mem);
	take_all_runs(f);
	assert_ok(flush(f, 1, RECT(1, 1, 2, 2)));
	/* A copy, with all that there is. */
	memset(guestram_at(f->vm.ram, gpa, 3 * PAGE), 0x22, 3 * PAGE);
	assert_pixel(f, 1, 1, 0x11111111);
	assert_pixel(f, 31, 63, 0x11111111);
	guestmem_unref(without);
}

static void count_breath(void *data)
{
	unsigned int *n_breaths = data;

	(*n_breaths)++;
}

/* A long copy gives the cursor its turn, in the middle of a command and nowhere else. */
static void test_show_breathes(struct fixture *f, gconstpointer data G_GNUC_UNUSED)
{
	const struct blob_layout layout = { VIRTIO_GPU_FORMAT_R8G8B8X8_UNORM, 1024, 1024, 4096, 0 };
	unsigned int n_breaths = 0;

	offer_blobs(f);
	device_set_breather(&f->dev, count_breath, &n_breaths);
	assert_ok(create_guest_blob(f, 1, alloc_pages(f, 1024), 1024 * PAGE));
	assert_ok(set_scanout_blob(f, 0, 1, RECT(0, 0, 1024, 1024), &layout));
	assert_ok(flush(f, 1, RECT(0, 0, 1024, 1024)));
	g_assert_cmpuint(n_breaths, ==, 4);
	device_replay(&f->dev);
	g_assert_cmpuint(n_breaths, ==, 4);
	assert_ok(flush(f, 1, RECT(0, 0, 1024, 256)));
	g_assert_cmpuint(n_breaths, ==, 5);
}

static void test_show_errors(struct fixture *f, gconstpointer data G_GNUC_UNUSED)
{
	static const struct blob_layout bad[] = {
		{ 0, 16, 16, 64, 0 },	       { 77, 16, 16, 64, 0 },
		{ FORMAT, 0, 16, 64, 0 },      { FORMAT, 16, 0, 64, 0 },
		{ FORMAT, 16, 16, 63, 0 },     { FORMAT, 16, 64, 64, 1 },
		{ FORMAT, 16, 65, 64, 0 },     { FORMAT, 16, 16, 64, PAGE },
		{ FORMAT, 16, 16, UINT32_MAX, 0 }, { FORMAT, 16, 16, 64, UINT32_MAX },
		{ FORMAT, UINT32_MAX, 16, UINT32_MAX, 0 },
		{ FORMAT, UINT32_MAX, UINT32_MAX, UINT32_MAX, UINT32_MAX },
	};
	const struct blob_layout good = { FORMAT, 16, 64, 64, 0 };

	offer_blobs(f);
	assert_ok(create_guest_blob(f, 1, alloc_pages(f, 1), PAGE));
	for (size_t i = 0; i < G_N_ELEMENTS(bad); i++) {
		assert_is(set_scanout_blob(f, 0, 1, RECT(0, 0, 16, 16), &bad[i]),
			  INVALID_PARAMETER);
	}
	assert_is(set_scanout_blob(f, 0, 1, RECT(0, 0, 17, 16), &good), INVALID_PARAMETER);
	assert_is(set_scanout_blob(f, 0, 1, RECT(0, 0, 15, 16), &good), INVALID_PARAMETER);
	assert_is(set_scanout_blob(f, 16, 1, RECT(0, 0, 16, 16), &good), INVALID_SCANOUT_ID);
	assert_is(set_scanout_blob(f, 0, 2, RECT(0, 0, 16, 16), &good), INVALID_RESOURCE_ID);
	make_resource(f, 3, FORMAT, 16, 64);
	assert_is(set_scanout_blob(f, 0, 3, RECT(0, 0, 16, 16), &good), INVALID_PARAMETER);
	assert_ok(set_scanout_blob(f, 0, 1, RECT(0, 0, 16, 64), &good));
	assert_ok(set_scanout_blob(f, 0, 0, RECT(0, 0, 0, 0), &bad[0]));
	assert_shown(f, "off 0\n");
}

static void test_null_shows_nothing(struct fixture *f, gconstpointer data G_GNUC_UNUSED)
{
	const struct blob_layout layout = { FORMAT, 16, 16, 64, 0 };

	offer_blobs(f);
	assert_ok(create_guest_blob(f, 1, alloc_pages(f, 1), PAGE));
	assert_ok(set_scanout_blob(f, 0, 1, RECT(0, 0, 16, 16), &layout));
	assert_ok(flush(f, 1, RECT(0, 0, 16, 16)));
	assert_shown(f, "");
}

static void test_cursor(struct fixture *f, gconstpointer data G_GNUC_UNUSED)
{
	uint64_t gpa = alloc_pages(f, 4);
	uint32_t *pixels = guestram_at(f->vm.ram, gpa, 4 * PAGE);

	offer_blobs(f);
	pixels[64 + 2] = 0x80123456;
	assert_ok(create_guest_blob(f, 1, gpa, 4 * PAGE));
	assert_ok(create_guest_blob(f, 2, gpa, 4 * PAGE - 1));
	g_assert_cmphex(update_cursor(f, 0, 1, 5, 6, 1, 2), ==, GPU_RESP_OK_NODATA);
	assert_shown(f, "cursor 0: 5,6 hot 1,2\n");
	g_assert_cmphex(f->display->cursor[64 + 2], ==, 0x80123456);
	assert_is(update_cursor(f, 0, 2, 5, 6, 1, 2), INVALID_PARAMETER);

	/* What is refused leaves the image as it was, and a cursor without one as it was. */
	struct guestmem *none = guestmem_create_empty();
	device_set_memory(&f->dev, none);
	assert_is(update_cursor(f, 0, 1, 9, 9, 0, 0), UNSPEC);
	assert_is(update_cursor(f, 1, 1, 9, 9, 0, 0), UNSPEC);
	g_assert_null(f->dev.cursors[1].pixels);
	g_assert_cmphex(f->dev.cursors[0].pixels[64 + 2], ==, 0x80123456);
	device_set_memory(&f->dev, f->vm.mem);
	guestmem_unref(none);
}

/* A blob of the host's is shown from its memory where its renderer has no picture. */
static void test_show_export(struct fixture *f, gconstpointer data G_GNUC_UNUSED)
{
	const struct blob_layout layout = { FORMAT, 16, 16, 64, 0 };
	struct puppet *puppet = puppet_from_base(f->renderer);
	int fd = memfd_create("blob", MFD_CLOEXEC);
	uint32_t pixel = 0xabcdef;

	offer_blobs(f);
	g_assert_cmpint(ftruncate(fd, 2 * PAGE), ==, 0);
	g_assert_cmpint(pwrite(fd, &pixel, sizeof(pixel), PAGE + 4), ==, sizeof(pixel));
	puppet->export_fd = fd;
	puppet->export_offset = PAGE;
	assert_ok(create_context(f, 1, 0, "", 0));
	assert_ok(create_blob(f, 1, HOST3D, PAGE, NULL, 0));
	assert_ok(create_blob(f, 2, HOST3D, PAGE + 1, NULL, 0)); /* its file is shorter */
	assert_ok(set_scanout_blob(f, 0, 1, RECT(0, 0, 16, 16), &layout));
	assert_ok(set_scanout_blob(f, 1, 2, RECT(0, 0, 16, 16), &layout));
	puppet->answer = GPU_RESP_ERR_INVALID_PARAMETER;
	assert_ok(flush(f, 1, RECT(0, 0, 16, 16)));
	assert_pixel(f, 1, 0, pixel);
	assert_is(flush(f, 2, RECT(0, 0, 16, 16)), UNSPEC);
	puppet->answer = GPU_RESP_OK_NODATA;
	close(fd);
}

/* ---- the window ---- */

struct window {
	GString *log;
	bool is_deaf;
	uint64_t token; /* of the last question */
};

static bool window_map(void *data, uint64_t token, const struct mapper_range *range,
		       int fd_borrow G_GNUC_UNUSED, uint64_t fd_offset_bytes)
{
	struct window *window = data;

	g_string_append_printf(window->log, "map %u+%u of %u\n",
			       (unsigned int)(range->offset_bytes / PAGE),
			       (unsigned int)(range->size_bytes / PAGE),
			       (unsigned int)(fd_offset_bytes / PAGE));
	window->token = token;
	return !window->is_deaf;
}

static bool window_unmap(void *data, uint64_t token, const struct mapper_range *range)
{
	struct window *window = data;

	g_string_append_printf(window->log, "unmap %u+%u%s\n",
			       (unsigned int)(range->offset_bytes / PAGE),
			       (unsigned int)(range->size_bytes / PAGE), token == 0 ? ", no answer" : "");
	window->token = token;
	return !window->is_deaf;
}

static const struct mapper mapper = { window_map, window_unmap };

static void window_begin(struct fixture *f, struct window *window)
{
	*window = (struct window){ .log = g_string_new(NULL) };
	offer_blobs(f);
	device_set_mapper(&f->dev, &mapper, window, WINDOW);
	puppet_from_base(f->renderer)->export_fd = STDIN_FILENO;
	puppet_from_base(f->renderer)->export_offset = 3 * PAGE;
	assert_ok(create_context(f, 1, 0, "", 0));
	for (uint32_t id = 1; id <= 4; id++) {
		assert_ok(create_blob(f, id, HOST3D, 2 * PAGE - 1, NULL, 0));
	}
}

static void window_end(struct fixture *f, struct window *window)
{
	stop_device(f);
	g_string_free(window->log, TRUE);
	start_device(f, &puppet_impl);
}

static void assert_asked(struct window *window, const char *expected)
{
	g_assert_cmpstr(window->log->str, ==, expected);
	g_string_truncate(window->log, 0);
}

static void test_map(struct fixture *f, gconstpointer data G_GNUC_UNUSED)
{
	struct window window;

	window_begin(f, &window);
	g_assert_cmphex(map(f, 1, 4 * PAGE), ==, GPU_RESP_PENDING);
	assert_asked(&window, "map 4+2 of 3\n");
	/* Others go on meanwhile. */
	g_assert_cmphex(get_info(f), ==, GPU_RESP_OK_DISPLAY_INFO);
	device_take_mapped(&f->dev, window.token + 1, true);
	g_assert_cmphex(take(f, CONTROL), ==, GPU_RESP_PENDING);
	device_take_mapped(&f->dev, window.token, true);
	g_assert_cmphex(take(f, CONTROL), ==, GPU_RESP_OK_MAP_INFO);
	struct virtio_gpu_resp_map_info info;
	memcpy(&info, &f->response, sizeof(info));
	g_assert_cmpuint(f->response_bytes, ==, sizeof(info));
	g_assert_cmpuint(info.map_info, ==, VIRTIO_GPU_MAP_CACHE_CACHED);
	device_take_mapped(&f->dev, window.token, true);
	g_assert_cmphex(take(f, CONTROL), ==, GPU_RESP_PENDING);

	g_assert_cmphex(unmap(f, 1), ==, GPU_RESP_PENDING);
	assert_asked(&window, "unmap 4+2\n");
	device_take_mapped(&f->dev, window.token, true);
	assert_ok(take(f, CONTROL));
	assert_is(unmap(f, 1), INVALID_PARAMETER);
	window_end(f, &window);
}

static void test_map_errors(struct fixture *f, gconstpointer data G_GNUC_UNUSED)
{
	struct window window;

	window_begin(f, &window);
	g_assert_cmphex(map(f, 1, 4 * PAGE), ==, GPU_RESP_PENDING);
	assert_is(map(f, 1, 10 * PAGE), INVALID_PARAMETER); /* twice */
	assert_is(map(f, 2, 4 * PAGE), INVALID_PARAMETER);
	assert_is(map(f, 2, 3 * PAGE), INVALID_PARAMETER);
	assert_is(map(f, 2, 5 * PAGE), INVALID_PARAMETER);
	assert_is(map(f, 2, 8 * PAGE + 1), INVALID_PARAMETER);
	assert_is(map(f, 2, WINDOW - PAGE), INVALID_PARAMETER);
	assert_is(map(f, 2, WINDOW), INVALID_PARAMETER);
	assert_is(map(f, 2, UINT64_MAX - PAGE + 1), INVALID_PARAMETER);
	assert_is(map(f, 9, 0), INVALID_RESOURCE_ID);
	assert_is(unmap(f, 9), INVALID_RESOURCE_ID);
	make_resource(f, 10, FORMAT, 16, 16);
	assert_is(map(f, 10, 0), UNSPEC);
	assert_ok(create_guest_blob(f, 11, alloc_pages(f, 1), PAGE));
	assert_is(map(f, 11, 0), UNSPEC);
	puppet_from_base(f->renderer)->export_fd = -1;
	assert_is(map(f, 2, 0), UNSPEC);
	puppet_from_base(f->renderer)->export_fd = STDIN_FILENO;
	window.is_deaf = true;
	assert_is(map(f, 2, 0), UNSPEC);
	window.is_deaf = false;
	/* None of these took anything. */
	g_assert_cmphex(map(f, 2, 0), ==, GPU_RESP_PENDING);
	g_assert_cmphex(map(f, 3, WINDOW - 2 * PAGE), ==, GPU_RESP_PENDING);
	window_end(f, &window);
}

/* The front-end refuses: the range is free again, unless it is another's by then. */
static void test_map_refused(struct fixture *f, gconstpointer data G_GNUC_UNUSED)
{
	struct window window;

	window_begin(f, &window);
	g_assert_cmphex(map(f, 1, 0), ==, GPU_RESP_PENDING);
	device_take_mapped(&f->dev, window.token, false);
	assert_is(take(f, CONTROL), UNSPEC);
	assert_is(unmap(f, 1), INVALID_PARAMETER);
	g_assert_cmphex(map(f, 2, 0), ==, GPU_RESP_PENDING);
	uint64_t token = window.token;
	/* Unmapped, and mapped by another, before the first answer. */
	g_assert_cmphex(unmap(f, 2), ==, GPU_RESP_PENDING);
	uint64_t unmap_token = window.token;
	g_assert_cmphex(map(f, 2, 0), ==, GPU_RESP_PENDING);
	device_take_mapped(&f->dev, token, false);
	assert_is(take(f, CONTROL), UNSPEC);
	device_take_mapped(&f->dev, unmap_token, false);
	assert_is(take(f, CONTROL), UNSPEC);
	assert_is(map(f, 3, 0), INVALID_PARAMETER);
	device_take_mapped(&f->dev, window.token, true);
	g_assert_cmphex(take(f, CONTROL), ==, GPU_RESP_OK_MAP_INFO);
	window_end(f, &window);
}

/* Who can't be asked has it mapped still: nothing else may come there. */
static void test_unmap_not_asked(struct fixture *f, gconstpointer data G_GNUC_UNUSED)
{
	struct window window;

	window_begin(f, &window);
	for (uint32_t id = 1; id <= 2; id++) {
		g_assert_cmphex(map(f, id, (id - 1) * 2 * PAGE), ==, GPU_RESP_PENDING);
		device_take_mapped(&f->dev, window.token, true);
		g_assert_cmphex(take(f, CONTROL), ==, GPU_RESP_OK_MAP_INFO);
	}
	window.is_deaf = true;
	assert_is(unmap(f, 1), UNSPEC);
	assert_ok(unref(f, 2));
	window.is_deaf = false;
	assert_is(map(f, 3, 0), INVALID_PARAMETER);
	assert_is(map(f, 3, 2 * PAGE), INVALID_PARAMETER);
	g_assert_cmphex(unmap(f, 1), ==, GPU_RESP_PENDING);
	g_assert_cmphex(map(f, 3, 0), ==, GPU_RESP_PENDING);
	window_end(f, &window);
}

/* A blob each, until there are as many as a front-end is asked to bear. */
static void test_map_many(struct fixture *f, gconstpointer data G_GNUC_UNUSED)
{
	struct window window;

	window_begin(f, &window);
	device_set_mapper(&f->dev, &mapper, &window, 2ull * MAPPER_MAX_RANGES * PAGE);
	for (uint32_t i = 0; i < MAPPER_MAX_RANGES; i++) {
		assert_ok(create_blob(f, 100 + i, HOST3D, PAGE, NULL, 0));
		g_assert_cmphex(map(f, 100 + i, 2ull * i * PAGE), ==, GPU_RESP_PENDING);
		device_take_mapped(&f->dev, window.token, true);
		g_assert_cmphex(take(f, CONTROL), ==, GPU_RESP_OK_MAP_INFO);
		g_string_truncate(window.log, 0);
	}
	assert_is(map(f, 1, PAGE), OUT_OF_MEMORY);
	assert_ok(unref(f, 100));
	g_assert_cmphex(map(f, 1, 0), ==, GPU_RESP_PENDING);
	window_end(f, &window);
}

static void test_unref_unmaps(struct fixture *f, gconstpointer data G_GNUC_UNUSED)
{
	struct window window;

	window_begin(f, &window);
	g_assert_cmphex(map(f, 1, 0), ==, GPU_RESP_PENDING);
	uint64_t token = window.token;
	assert_ok(unref(f, 1));
	assert_asked(&window, "map 0+2 of 3\nunmap 0+2, no answer\n");
	g_assert_cmphex(map(f, 2, 0), ==, GPU_RESP_PENDING);
	device_take_mapped(&f->dev, token, true);
	g_assert_cmphex(take(f, CONTROL), ==, GPU_RESP_OK_MAP_INFO);
	window_end(f, &window);
}

static unsigned int count_fds(void)
{
	g_autoptr(GDir) dir = g_dir_open("/proc/self/fd", 0, NULL);
	unsigned int n = 0;

	while (g_dir_read_name(dir) != NULL) {
		n++;
	}
	return n;
}

/* 10,000 lives of a blob, of which each tenth ends with its device, at any point. */
static void test_map_cycles(struct fixture *f, gconstpointer data G_GNUC_UNUSED)
{
	struct window window;

	window_begin(f, &window);
	unsigned int n_fds = count_fds();
	uint64_t used_bytes = quota_used(&f->quota);
	for (unsigned int i = 0; i < 10000; i++) {
		unsigned int end = i % 10 == 9 ? i / 10 % 5 : 5;

		assert_ok(create_blob(f, 9, HOST3D, 2 * PAGE, NULL, 0));
		if (end > 0) {
			g_assert_cmphex(map(f, 9, i % 60 * PAGE), ==, GPU_RESP_PENDING);
		}
		if (end > 1) {
			device_take_mapped(&f->dev, window.token, i % 7 != 3);
			g_assert_cmphex(take(f, CONTROL), ==,
					i % 7 != 3 ? GPU_RESP_OK_MAP_INFO : GPU_RESP_ERR_UNSPEC);
		}
		if (end > 2 && i % 7 != 3) {
			g_assert_cmphex(unmap(f, 9), ==, GPU_RESP_PENDING);
		}
		if (end > 3 && i % 7 != 3) {
			device_take_mapped(&f->dev, window.token, true);
			assert_ok(take(f, CONTROL));
		}
		if (end == 5) {
			assert_ok(unref(f, 9));
		} else {
			device_reset(&f->dev);
			g_assert_cmphex(take(f, CONTROL), ==, GPU_RESP_PENDING);
			vm_restart(&f->vm);
			g_assert_cmpuint(quota_used(&f->quota), ==, 0);
			g_assert_cmpuint(ranges_count(&f->dev.window), ==, 0);
			assert_ok(create_context(f, 1, 0, "", 0));
			used_bytes = 0;
		}
		g_assert_cmpuint(quota_used(&f->quota), ==, used_bytes);
		g_assert_cmpuint(ranges_count(&f->dev.window), ==, 0);
		g_string_truncate(window.log, 0);
		g_string_truncate(puppet_from_base(f->renderer)->log, 0);
		g_string_truncate(f->display->log, 0);
	}
	g_assert_cmpuint(count_fds(), ==, n_fds);
	g_assert_cmpuint(f->dev.n_waiting, ==, 0);
	g_assert_cmpuint(f->dev.waiting_bytes, ==, 0);
	window_end(f, &window);
}

/* The front-end empties the window by itself, and what it has not answered is answered no more. */
static void test_reset_empties_window(struct fixture *f, gconstpointer data G_GNUC_UNUSED)
{
	struct window window;

	window_begin(f, &window);
	g_assert_cmphex(map(f, 1, 0), ==, GPU_RESP_PENDING);
	assert_asked(&window, "map 0+2 of 3\n");
	device_reset(&f->dev);
	assert_asked(&window, "");
	device_take_mapped(&f->dev, window.token, true);
	g_assert_cmphex(take(f, CONTROL), ==, GPU_RESP_PENDING);
	assert_ok(create_context(f, 1, 0, "", 0));
	assert_ok(create_blob(f, 1, HOST3D, WINDOW, NULL, 0));
	g_assert_cmphex(map(f, 1, 0), ==, GPU_RESP_PENDING);
	window_end(f, &window);
}

static const struct {
	const char *path;
	void (*test)(struct fixture *f, gconstpointer data);
	bool on_soft, on_null, on_puppet;
} tests[] = {
	{ "create/guest", test_create_guest, true, true, true },
	{ "create/errors", test_create_errors, true, true, true },
	{ "create/needs-the-feature", test_needs_feature, true, true, true },
	{ "create/none-of-the-host", test_no_host_blobs, true, true, false },
	{ "create/renderer-is-told", test_renderer_is_told, false, false, true },
	{ "show/without-a-copy", test_show, true, false, true },
	{ "show/neighbours", test_show_neighbours, true, false, true },
	{ "show/keeps-no-table", test_show_keeps_no_table, true, false, true },
	{ "show/when-it-is-back", test_show_when_it_is_back, true, false, true },
	{ "show/copied", test_show_copies, true, false, true },
	{ "show/begins-to-copy", test_show_begins_to_copy, true, false, true },
	{ "show/breathes", test_show_breathes, true, false, true },
	{ "show/errors", test_show_errors, true, true, true },
	{ "show/nothing", test_null_shows_nothing, false, true, false },
	{ "show/memory-of-the-host", test_show_export, false, false, true },
	{ "cursor", test_cursor, true, false, true },
	{ "window/map", test_map, false, false, true },
	{ "window/errors", test_map_errors, false, false, true },
	{ "window/refused", test_map_refused, false, false, true },
	{ "window/many", test_map_many, false, false, true },
	{ "window/cycles", test_map_cycles, false, false, true },
	{ "window/unmap-not-asked", test_unmap_not_asked, false, false, true },
	{ "window/unref-unmaps", test_unref_unmaps, false, false, true },
	{ "window/reset-empties-it", test_reset_empties_window, false, false, true },
};

static void add(const char *name, const char *path, const struct renderer_impl *impl,
		void (*test)(struct fixture *f, gconstpointer data))
{
	g_autofree char *full = g_strdup_printf("/blob/%s/%s", name, path);

	g_test_add(full, struct fixture, impl, setup, test, teardown);
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	for (size_t i = 0; i < G_N_ELEMENTS(tests); i++) {
		if (tests[i].on_soft) {
			add("soft", tests[i].path, &soft_impl, tests[i].test);
		}
		if (tests[i].on_null) {
			add("null", tests[i].path, &null_impl, tests[i].test);
		}
		if (tests[i].on_puppet) {
			add("puppet", tests[i].path, &puppet_impl, tests[i].test);
		}
	}
	return g_test_run();
}
