/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* Guest addresses to bytes: all of guest memory, nothing beside it, for as long as it is held. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "virtio/guestmem.h"
#include "unit.h"

#define PAGE 4096u
#define REGION (4 * PAGE)
#define UVA_OFFSET UINT64_C(0x7f0000000000)

static struct guestmem_region_desc describe(uint64_t gpa, uint64_t size_bytes)
{
	return (struct guestmem_region_desc){
		.gpa = { gpa },
		.uva = { gpa + UVA_OFFSET },
		.size_bytes = size_bytes,
	};
}

/* *mem is replaced by a table with one region more. */
static int add_fd(struct guestmem **mem, const struct guestmem_region_desc *desc, int fd)
{
	struct guestmem *grown = NULL;
	int error = guestmem_add(*mem, desc, fd, &grown);

	if (error == 0) {
		guestmem_unref(*mem);
		*mem = grown;
	} else {
		g_assert_null(grown);
	}
	return error;
}

static int add(struct guestmem **mem, uint64_t gpa, uint64_t size_bytes)
{
	const struct guestmem_region_desc desc = describe(gpa, size_bytes);
	int fd = unit_memfd(REGION);
	int error = add_fd(mem, &desc, fd);

	close(fd);
	return error;
}

static bool is_mapped(const struct guestmem *mem, uint64_t gpa, uint64_t length)
{
	return guestmem_to_iov(mem, (struct gpa){ gpa }, length, NULL, 0) > 0;
}

/* ---- looking up ---- */

static void test_empty(void)
{
	struct guestmem *mem = guestmem_create_empty();
	char byte;

	g_assert_cmpuint(guestmem_n_regions(mem), ==, 0);
	g_assert_false(is_mapped(mem, 0, 1));
	g_assert_false(guestmem_read(mem, (struct gpa){ 0 }, &byte, 1));
	g_assert_true(guestmem_read(mem, (struct gpa){ 0 }, &byte, 0));
	g_assert_null(guestmem_at_uva(mem, (struct uva){ 0 }, 1));
	guestmem_unref(mem);
	guestmem_unref(NULL);
}

static void test_bytes_are_the_files(void)
{
	struct guestmem *mem = guestmem_create_empty();
	const struct guestmem_region_desc desc = describe(0x100000, REGION);
	int fd = unit_memfd(REGION);
	char bytes[5] = "";

	g_assert_cmpint(add_fd(&mem, &desc, fd), ==, 0);
	g_assert_cmpint(pwrite(fd, "guest", 5, 100), ==, 5);
	g_assert_true(guestmem_read(mem, (struct gpa){ 0x100000 + 100 }, bytes, 5));
	unit_assert_bytes(bytes, "guest", 5);
	unit_assert_bytes(guestmem_at_uva(mem, (struct uva){ UVA_OFFSET + 0x100000 + 100 }, 5),
			  "guest", 5);
	g_assert_true(guestmem_write(mem, (struct gpa){ 0x100000 + REGION - 5 }, "hello", 5));
	g_assert_cmpint(pread(fd, bytes, 5, REGION - 5), ==, 5);
	unit_assert_bytes(bytes, "hello", 5);
	/* The file's descriptor was borrowed, the mapping does not need it. */
	g_assert_no_errno(fcntl(fd, F_GETFD));
	close(fd);
	g_assert_true(guestmem_read(mem, (struct gpa){ 0x100000 + 100 }, bytes, 5));
	guestmem_unref(mem);
}

static void test_edges(void)
{
	static const struct {
		uint64_t gpa, length;
		bool is_inside;
	} cases[] = {
		{ 0x10000, 1, true },
		{ 0x10000, REGION, true },
		{ 0x10000 + REGION - 1, 1, true },
		{ 0x10000 - 1, 1, false },
		{ 0x10000 - 1, 2, false },
		{ 0x10000 + REGION, 1, false },
		{ 0x10000 + REGION - 1, 2, false },
		{ 0x10000, REGION + 1, false },
		{ 0x10000, 0, false },
		{ 0x10000, UINT64_MAX, false },
		{ UINT64_MAX, 1, false },
		{ UINT64_MAX, UINT64_MAX, false },
		{ 0x10001, UINT64_MAX - 0x10000, false },
		{ 0, UINT64_MAX, false },
	};
	struct guestmem *mem = guestmem_create_empty();

	g_assert_cmpint(add(&mem, 0x10000, REGION), ==, 0);
	for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
		const struct uva uva = { cases[i].gpa + UVA_OFFSET };

		g_assert_cmpint(is_mapped(mem, cases[i].gpa, cases[i].length), ==,
				cases[i].is_inside);
		if (cases[i].length > 0) {
			g_assert_cmpint(guestmem_at_uva(mem, uva, cases[i].length) != NULL, ==,
					cases[i].is_inside);
		}
	}
	guestmem_unref(mem);
}

static void test_range_across_adjacent_regions(void)
{
	struct guestmem *mem = guestmem_create_empty();
	struct iovec iov[4] = { 0 };
	char out[2 * PAGE], in[2 * PAGE];

	/* In no order, so that the table has to sort them; a hole after the third. */
	g_assert_cmpint(add(&mem, 2 * REGION, REGION), ==, 0);
	g_assert_cmpint(add(&mem, 0, REGION), ==, 0);
	g_assert_cmpint(add(&mem, 4 * REGION, REGION), ==, 0);
	g_assert_cmpint(add(&mem, REGION, REGION), ==, 0);
	g_assert_cmpuint(guestmem_n_regions(mem), ==, 4);

	g_assert_cmpuint(guestmem_to_iov(mem, (struct gpa){ REGION - 10 }, REGION + 20, iov, 4), ==,
			 3);
	g_assert_cmpuint(iov[0].iov_len, ==, 10);
	g_assert_cmpuint(iov[1].iov_len, ==, REGION);
	g_assert_cmpuint(iov[2].iov_len, ==, 10);
	g_assert_false(is_mapped(mem, 3 * REGION - 1, 2));
	g_assert_false(is_mapped(mem, 0, 5 * REGION));
	g_assert_true(guestmem_is_one_region(mem, (struct gpa){ REGION },
					     (struct gpa){ 2 * REGION - 1 }));
	g_assert_false(
		guestmem_is_one_region(mem, (struct gpa){ REGION }, (struct gpa){ REGION - 1 }));
	g_assert_false(guestmem_is_one_region(mem, (struct gpa){ 3 * REGION },
					      (struct gpa){ 3 * REGION }));

	/* How many are needed is told even if there is no room for them. */
	memset(iov, 0, sizeof(iov));
	g_assert_cmpuint(guestmem_to_iov(mem, (struct gpa){ 0 }, 3 * REGION, iov, 1), ==, 3);
	g_assert_cmpuint(iov[0].iov_len, ==, REGION);
	g_assert_null(iov[1].iov_base);

	for (size_t i = 0; i < sizeof(in); i++) {
		in[i] = (char)(i * 7);
	}
	g_assert_true(guestmem_write(mem, (struct gpa){ REGION - PAGE }, in, sizeof(in)));
	g_assert_true(guestmem_read(mem, (struct gpa){ REGION - PAGE }, out, sizeof(out)));
	unit_assert_bytes(in, out, sizeof(in));
	g_assert_true(guestmem_read(mem, (struct gpa){ REGION }, out, PAGE));
	unit_assert_bytes(in + PAGE, out, PAGE);
	/* Rings may not lie across two regions: the front-end's view need not be adjacent. */
	g_assert_null(guestmem_at_uva(mem, (struct uva){ UVA_OFFSET + REGION - 1 }, 2));
	guestmem_unref(mem);
}

static void test_half_mapped_copies_nothing(void)
{
	struct guestmem *mem = guestmem_create_empty();
	char bytes[16], before[16];

	g_assert_cmpint(add(&mem, 0, REGION), ==, 0);
	memset(bytes, '#', sizeof(bytes));
	memcpy(before, bytes, sizeof(bytes));
	g_assert_false(guestmem_read(mem, (struct gpa){ REGION - 8 }, bytes, 16));
	unit_assert_bytes(bytes, before, 16);
	g_assert_false(guestmem_write(mem, (struct gpa){ REGION - 8 }, bytes, 16));
	g_assert_true(guestmem_read(mem, (struct gpa){ REGION - 8 }, bytes, 8));
	for (size_t i = 0; i < 8; i++) {
		g_assert_cmpint(bytes[i], ==, 0);
	}
	guestmem_unref(mem);
}

/* ---- adding ---- */

static void test_add_refused(void)
{
	static const struct {
		uint64_t gpa, uva, size;
	} cases[] = {
		{ 0x100000, 0x900000, 0 },	       /* empty */
		{ UINT64_MAX - PAGE, 0x900000, REGION }, /* wraps */
		{ 0x100000, UINT64_MAX - PAGE, REGION },
		{ UINT64_MAX - REGION + 1, 0x900000, REGION }, /* its end is 2^64 */
		{ 0x100000, 0x900000, UINT64_MAX },
		{ 0x10000, 0x900000, REGION }, /* overlaps in guest addresses */
		{ 0x10000 + REGION - 1, 0x900000, REGION },
		{ 0x10000 - REGION + 1, 0x900000, REGION },
		{ 0x10000 + PAGE, 0x900000, PAGE },
		{ 0x100000, 0x800000, REGION }, /* overlaps in the front-end's */
		{ 0x100000, 0x800000 + REGION - 1, REGION },
		{ 0x100000, 0x800000 - 1, PAGE },
	};
	struct guestmem *mem = guestmem_create_empty();
	int fd = unit_memfd(REGION);
	const struct guestmem_region_desc first = {
		.gpa = { 0x10000 }, .uva = { 0x800000 }, .size_bytes = REGION
	};

	g_assert_cmpint(add_fd(&mem, &first, fd), ==, 0);
	for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
		const struct guestmem_region_desc desc = {
			.gpa = { cases[i].gpa },
			.uva = { cases[i].uva },
			.size_bytes = cases[i].size,
		};

		g_assert_cmpint(add_fd(&mem, &desc, fd), ==, -EINVAL);
		g_assert_cmpuint(guestmem_n_regions(mem), ==, 1);
	}
	/* Touching is not overlapping. */
	const struct guestmem_region_desc next = {
		.gpa = { 0x10000 + REGION }, .uva = { 0x800000 + REGION }, .size_bytes = REGION
	};
	g_assert_cmpint(add_fd(&mem, &next, fd), ==, 0);
	close(fd);
	guestmem_unref(mem);
}

static void test_file_too_short(void)
{
	static const struct {
		uint64_t offset, size;
		int error;
	} cases[] = {
		{ 0, REGION, 0 },
		{ 0, REGION + 1, -EFBIG },
		{ 1, REGION, -EFBIG },
		{ PAGE, REGION, -EFBIG },
		{ REGION, 1, -EFBIG },
		{ REGION - 1, 1, 0 },
		{ UINT64_C(1) << 40, PAGE, -EFBIG },
		{ UINT64_MAX - 10, PAGE, -EINVAL },
	};

	for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
		struct guestmem *mem = guestmem_create_empty();
		struct guestmem_region_desc desc = describe(0, cases[i].size);
		int fd = unit_memfd(REGION);

		desc.mmap_offset_bytes = cases[i].offset;
		g_assert_cmpint(add_fd(&mem, &desc, fd), ==, cases[i].error);
		close(fd);
		guestmem_unref(mem);
	}
}

static void test_offset_need_not_be_page_aligned(void)
{
	static const uint64_t offsets[] = { 0, 1, 100, PAGE - 1, PAGE, PAGE + 1, 3 * PAGE - 5 };

	for (size_t i = 0; i < G_N_ELEMENTS(offsets); i++) {
		struct guestmem *mem = guestmem_create_empty();
		struct guestmem_region_desc desc = describe(0x10000, PAGE);
		int fd = unit_memfd(REGION);
		char bytes[4];

		desc.mmap_offset_bytes = offsets[i];
		g_assert_cmpint(add_fd(&mem, &desc, fd), ==, 0);
		g_assert_true(guestmem_write(mem, (struct gpa){ 0x10000 }, "head", 4));
		g_assert_true(guestmem_write(mem, (struct gpa){ 0x10000 + PAGE - 4 }, "tail", 4));
		g_assert_cmpint(pread(fd, bytes, 4, (off_t)offsets[i]), ==, 4);
		unit_assert_bytes(bytes, "head", 4);
		g_assert_cmpint(pread(fd, bytes, 4, (off_t)(offsets[i] + PAGE - 4)), ==, 4);
		unit_assert_bytes(bytes, "tail", 4);
		close(fd);
		guestmem_unref(mem);
	}
}

static void test_descriptor_that_maps_nothing(void)
{
	struct guestmem *mem = guestmem_create_empty();
	const struct guestmem_region_desc desc = describe(0, REGION);
	int pair[2], read_only = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);

	unit_socketpair(pair);
	g_assert_cmpint(add_fd(&mem, &desc, pair[0]), <, 0);
	g_assert_cmpint(add_fd(&mem, &desc, -1), ==, -EBADF);
	g_assert_cmpint(add_fd(&mem, &desc, read_only), ==, -EACCES);
	g_assert_cmpuint(guestmem_n_regions(mem), ==, 0);
	close(read_only);
	close(pair[0]);
	close(pair[1]);
	guestmem_unref(mem);
}

static void test_as_many_regions_as_allowed(void)
{
	struct guestmem *mem = guestmem_create_empty();
	int fd = unit_memfd(REGION);

	for (uint64_t i = 0; i < GUESTMEM_MAX_REGIONS; i++) {
		/* Downwards, every other page. */
		const struct guestmem_region_desc desc =
			describe((GUESTMEM_MAX_REGIONS - i) * 2 * PAGE, PAGE);

		g_assert_cmpint(add_fd(&mem, &desc, fd), ==, 0);
	}
	const struct guestmem_region_desc more = describe(UINT64_C(1) << 40, PAGE);
	g_assert_cmpint(add_fd(&mem, &more, fd), ==, -ENOSPC);
	for (uint64_t i = 1; i <= GUESTMEM_MAX_REGIONS; i++) {
		g_assert_true(is_mapped(mem, i * 2 * PAGE, PAGE));
		g_assert_false(is_mapped(mem, i * 2 * PAGE + PAGE, 1));
	}
	close(fd);
	guestmem_unref(mem);
}

/* ---- changing ---- */

static void test_remove(void)
{
	struct guestmem *mem = guestmem_create_empty(), *less = NULL;
	struct guestmem_region_desc desc = describe(REGION, REGION);

	g_assert_cmpint(add(&mem, 0, REGION), ==, 0);
	g_assert_cmpint(add(&mem, REGION, REGION), ==, 0);
	g_assert_cmpint(add(&mem, 2 * REGION, REGION), ==, 0);
	/* What front-ends send along need not match: only addresses and size name a region. */
	desc.mmap_offset_bytes = 12345;
	g_assert_cmpint(guestmem_remove(mem, &desc, &less), ==, 0);
	g_assert_cmpuint(guestmem_n_regions(less), ==, 2);
	g_assert_true(is_mapped(less, 0, REGION));
	g_assert_false(is_mapped(less, REGION, 1));
	g_assert_true(is_mapped(less, 2 * REGION, REGION));
	/* The old table is as it was. */
	g_assert_cmpuint(guestmem_n_regions(mem), ==, 3);
	g_assert_true(is_mapped(mem, 0, 3 * REGION));
	guestmem_unref(mem);
	guestmem_unref(less);
}

static void test_remove_refused(void)
{
	struct guestmem *mem = guestmem_create_empty(), *less = NULL;
	struct guestmem_region_desc desc;

	g_assert_cmpint(add(&mem, REGION, REGION), ==, 0);
	desc = describe(0, REGION);
	g_assert_cmpint(guestmem_remove(mem, &desc, &less), ==, -ENOENT);
	desc = describe(REGION, PAGE);
	g_assert_cmpint(guestmem_remove(mem, &desc, &less), ==, -ENOENT);
	desc = describe(REGION, REGION);
	desc.uva.v++;
	g_assert_cmpint(guestmem_remove(mem, &desc, &less), ==, -ENOENT);
	g_assert_null(less);
	guestmem_unref(mem);
}

static bool is_address_mapped(void *address)
{
	unsigned char resident;

	return mincore(address, PAGE, &resident) == 0;
}

static void test_mapping_lives_as_long_as_a_table_with_it(void)
{
	struct guestmem *first = guestmem_create_empty(), *second, *third;
	const struct guestmem_region_desc desc = describe(REGION, REGION);
	struct iovec piece;

	g_assert_cmpint(add(&first, REGION, REGION), ==, 0);
	g_assert_cmpuint(guestmem_to_iov(first, desc.gpa, PAGE, &piece, 1), ==, 1);
	strcpy(piece.iov_base, "kept");

	second = guestmem_ref(first);
	g_assert_cmpint(add(&second, 0, REGION), ==, 0); /* first has one reference less */
	g_assert_cmpint(guestmem_remove(second, &desc, &third), ==, 0);
	guestmem_unref(first);
	g_assert_true(is_address_mapped(piece.iov_base));
	g_assert_cmpstr(piece.iov_base, ==, "kept");
	g_assert_true(guestmem_at_uva(second, desc.uva, 1) == piece.iov_base);
	guestmem_unref(second);
	/* third does not have it. */
	g_assert_false(is_address_mapped(piece.iov_base));
	guestmem_unref(third);
}

static void *ref_and_unref(void *data)
{
	struct guestmem *mem = data;
	uint32_t value = 0;

	for (int i = 0; i < 5000; i++) {
		struct guestmem *mine = guestmem_ref(mem);

		g_assert_true(guestmem_read(mine, (struct gpa){ 8 }, &value, sizeof(value)));
		g_assert_cmphex(value, ==, 0xabcd1234);
		guestmem_unref(mine);
	}
	guestmem_unref(mem);
	return NULL;
}

static void test_threads(void)
{
	struct guestmem *mem = guestmem_create_empty();
	const uint32_t value = 0xabcd1234;
	GThread *threads[4];

	g_assert_cmpint(add(&mem, 0, REGION), ==, 0);
	g_assert_true(guestmem_write(mem, (struct gpa){ 8 }, &value, sizeof(value)));
	for (size_t i = 0; i < G_N_ELEMENTS(threads); i++) {
		threads[i] = g_thread_new("ref", ref_and_unref, guestmem_ref(mem));
	}
	guestmem_unref(mem);
	for (size_t i = 0; i < G_N_ELEMENTS(threads); i++) {
		g_thread_join(threads[i]);
	}
}

/* ---- files ---- */

static uint64_t to_file(const struct guestmem *mem, uint64_t gpa, uint64_t length, int *fd_out,
			uint64_t *offset_out)
{
	*fd_out = -1;
	*offset_out = 0;
	return guestmem_to_file(mem, (struct gpa){ gpa }, length, fd_out, offset_out);
}

/* For good: who keeps them is the last of these tests. */
static void test_files(void)
{
	struct guestmem *mem = guestmem_create_empty();
	struct guestmem_region_desc desc = describe(16 * PAGE, 2 * PAGE);
	int fd = unit_memfd(REGION), found;
	uint64_t offset;

	g_assert_cmpint(add(&mem, 0, REGION), ==, 0);
	g_assert_cmpuint(to_file(mem, 0, 1, &found, &offset), ==, 0); /* it was not kept */
	guestmem_keep_files();
	desc.mmap_offset_bytes = PAGE;
	g_assert_cmpint(add_fd(&mem, &desc, fd), ==, 0);
	g_assert_cmpuint(to_file(mem, 16 * PAGE, 2 * PAGE, &found, &offset), ==, 2 * PAGE);
	g_assert_true(unit_is_same_file(found, fd));
	g_assert_cmpuint(offset, ==, PAGE);
	g_assert_cmpuint(to_file(mem, 16 * PAGE + 5, 7, &found, &offset), ==, 7);
	g_assert_cmpuint(offset, ==, PAGE + 5);
	/* As far as the region goes. */
	g_assert_cmpuint(to_file(mem, 17 * PAGE, UINT64_MAX, &found, &offset), ==, PAGE);
	g_assert_cmpuint(offset, ==, 2 * PAGE);
	g_assert_cmpuint(to_file(mem, 18 * PAGE, 1, &found, &offset), ==, 0);
	g_assert_cmpuint(to_file(mem, UINT64_MAX, 1, &found, &offset), ==, 0);
	guestmem_unref(mem);
	close(fd);
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/guestmem/empty", test_empty);
	g_test_add_func("/guestmem/bytes-are-the-files", test_bytes_are_the_files);
	g_test_add_func("/guestmem/edges", test_edges);
	g_test_add_func("/guestmem/range-across-adjacent-regions",
			test_range_across_adjacent_regions);
	g_test_add_func("/guestmem/half-mapped-copies-nothing", test_half_mapped_copies_nothing);
	g_test_add_func("/guestmem/add/refused", test_add_refused);
	g_test_add_func("/guestmem/add/file-too-short", test_file_too_short);
	g_test_add_func("/guestmem/add/offset-need-not-be-page-aligned",
			test_offset_need_not_be_page_aligned);
	g_test_add_func("/guestmem/add/descriptor-that-maps-nothing",
			test_descriptor_that_maps_nothing);
	g_test_add_func("/guestmem/add/as-many-regions-as-allowed",
			test_as_many_regions_as_allowed);
	g_test_add_func("/guestmem/remove", test_remove);
	g_test_add_func("/guestmem/remove/refused", test_remove_refused);
	g_test_add_func("/guestmem/mapping-lives-as-long-as-a-table-with-it",
			test_mapping_lives_as_long_as_a_table_with_it);
	g_test_add_func("/guestmem/threads", test_threads);
	g_test_add_func("/guestmem/files", test_files);
	return g_test_run();
}
