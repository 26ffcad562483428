/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * The memory table: regions come and go, good ones and others, and are read
 * and written by guest and front-end address. A second table, a plain list,
 * says what each call has to answer; what bytes there are the files say.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "fuzz.h"
#include "input.h"
#include "virtio/guestmem.h"

#define MAX_COPY_BYTES 12288u
#define MAX_HELD 4u
#define PAGE 4096u

struct file {
	int fd;
	uint64_t size_bytes;
	bool is_regular;
	bool is_mappable; /* for reading and writing */
};

static struct file files[8];

struct table {
	struct guestmem *mem; /* owned reference */
	size_t n_regions;
	struct region {
		struct guestmem_region_desc desc;
		const struct file *file;
	} regions[GUESTMEM_MAX_REGIONS];
};

struct fuzz {
	struct fuzz_input in;
	struct table table;
	struct guestmem *held[MAX_HELD]; /* owned references to former tables, or NULL */
	bool has_filled;		 /* it takes long, so seldom and once */
};

/* ---- files ---- */

static int make_file(uint64_t size_bytes, unsigned int flags)
{
	int fd = memfd_create("fuzz", flags | MFD_CLOEXEC);

	g_assert_no_errno(fd);
	g_assert_no_errno(ftruncate(fd, (off_t)size_bytes));
	return fd;
}

static int make_read_only(int fd)
{
	g_autofree char *path = g_strdup_printf("/proc/self/fd/%d", fd);

	return open(path, O_RDONLY | O_CLOEXEC);
}

const char *fuzz_prepare(void)
{
	int pipe_fds[2];

	g_assert_no_errno(pipe2(pipe_fds, O_CLOEXEC));
	int sealed = make_file(4 * PAGE, MFD_ALLOW_SEALING);
	g_assert_no_errno(fcntl(sealed, F_ADD_SEALS, F_SEAL_WRITE));
	files[0] = (struct file){ make_file(4 * PAGE, 0), 4 * PAGE, true, true };
	files[1] = (struct file){ make_file(2 * PAGE, 0), 2 * PAGE, true, true };
	files[2] = (struct file){ make_file(PAGE + 100, 0), PAGE + 100, true, true };
	files[3] = (struct file){ make_file(0, 0), 0, true, true };
	files[4] = (struct file){ sealed, 4 * PAGE, true, false };
	files[5] = (struct file){ make_read_only(files[0].fd), 4 * PAGE, true, false };
	files[6] = (struct file){ pipe_fds[0], 0, false, false };
	files[7] = (struct file){ open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC), 0, false, false };
	return NULL;
}

/* Every byte of every file another one than its neighbours. */
static void fill_files(void)
{
	uint8_t bytes[4 * PAGE];

	for (size_t i = 0; i < G_N_ELEMENTS(files); i++) {
		if (!files[i].is_mappable) {
			continue;
		}
		for (size_t j = 0; j < files[i].size_bytes; j++) {
			bytes[j] = (uint8_t)(j * 7 + j / 256 + i * 31);
		}
		g_assert_cmpint(pwrite(files[i].fd, bytes, files[i].size_bytes, 0), ==,
				(ssize_t)files[i].size_bytes);
	}
}

/* ---- the model ---- */

static bool is_wrapping(uint64_t start, uint64_t size)
{
	return start + size < start;
}

static bool is_overlapping(uint64_t a, uint64_t a_size, uint64_t b, uint64_t b_size)
{
	return a < b + b_size && b < a + a_size;
}

static int expect_add(const struct table *table, const struct guestmem_region_desc *desc,
		      const struct file *file)
{
	if (desc->size_bytes == 0 || is_wrapping(desc->gpa.v, desc->size_bytes) ||
	    is_wrapping(desc->uva.v, desc->size_bytes)) {
		return -EINVAL;
	}
	if (table->n_regions == GUESTMEM_MAX_REGIONS) {
		return -ENOSPC;
	}
	for (size_t i = 0; i < table->n_regions; i++) {
		const struct guestmem_region_desc *other = &table->regions[i].desc;

		if (is_overlapping(desc->gpa.v, desc->size_bytes, other->gpa.v,
				   other->size_bytes) ||
		    is_overlapping(desc->uva.v, desc->size_bytes, other->uva.v,
				   other->size_bytes)) {
			return -EINVAL;
		}
	}
	if (is_wrapping(desc->mmap_offset_bytes, desc->size_bytes) ||
	    is_wrapping(desc->mmap_offset_bytes % PAGE, desc->size_bytes)) {
		return -EINVAL;
	}
	if (file->is_regular && desc->mmap_offset_bytes + desc->size_bytes > file->size_bytes) {
		return -EFBIG;
	}
	return 0;
}

static const struct region *find_region(const struct table *table, uint64_t gpa)
{
	for (size_t i = 0; i < table->n_regions; i++) {
		const struct guestmem_region_desc *desc = &table->regions[i].desc;

		if (gpa >= desc->gpa.v && gpa - desc->gpa.v < desc->size_bytes) {
			return &table->regions[i];
		}
	}
	return NULL;
}

/* Piece by piece, the bytes that the files hold. Returns pieces, 0 if one is missing. */
static size_t read_files(const struct table *table, uint64_t gpa, char *to, uint64_t length_bytes)
{
	size_t n = 0;

	while (length_bytes > 0) {
		const struct region *region = find_region(table, gpa);

		if (region == NULL) {
			return 0;
		}
		uint64_t offset = gpa - region->desc.gpa.v;
		uint64_t chunk = MIN(length_bytes, region->desc.size_bytes - offset);
		if (to != NULL) {
			g_assert_cmpint(pread(region->file->fd, to, chunk,
					      (off_t)(region->desc.mmap_offset_bytes + offset)),
					==, (ssize_t)chunk);
			to += chunk;
		}
		gpa += chunk;
		length_bytes -= chunk;
		n++;
	}
	return n;
}

/* ---- choices ---- */

/* An address in a region or at its edges, or any. */
static uint64_t pick_address(struct fuzz *fuzz, bool is_uva)
{
	const struct table *table = &fuzz->table;

	if (table->n_regions == 0 || fuzz_input_one_in(&fuzz->in, 8)) {
		return fuzz_input_number64(&fuzz->in);
	}
	size_t i = fuzz_input_u8(&fuzz->in) % table->n_regions;
	const struct guestmem_region_desc *desc = &table->regions[i].desc;
	uint64_t start = is_uva ? desc->uva.v : desc->gpa.v;
	uint64_t distance = fuzz_input_u16(&fuzz->in) % (2 * PAGE);

	return fuzz_input_flag(&fuzz->in) ? start + distance : start + desc->size_bytes - distance;
}

static struct guestmem_region_desc pick_desc(struct fuzz *fuzz, const struct file *file)
{
	struct guestmem_region_desc desc = { .size_bytes = file->size_bytes };

	/* Pages next to each other, so that some touch and some overlap. */
	desc.gpa.v = fuzz_input_below(&fuzz->in, 64) * (uint64_t)PAGE;
	desc.uva.v = fuzz_input_below(&fuzz->in, 64) * (uint64_t)PAGE + (UINT64_C(7) << 40);
	if (fuzz_input_flag(&fuzz->in)) {
		desc.mmap_offset_bytes = fuzz_input_u16(&fuzz->in) % (file->size_bytes + 2);
		desc.size_bytes = fuzz_input_u16(&fuzz->in) % (file->size_bytes + 2);
	}
	switch (fuzz_input_below(&fuzz->in, 16)) {
	case 1:
		desc.gpa.v = fuzz_input_number64(&fuzz->in);
		break;
	case 2:
		desc.uva.v = fuzz_input_number64(&fuzz->in);
		break;
	case 3:
		desc.size_bytes = fuzz_input_number64(&fuzz->in);
		break;
	case 4:
		desc.mmap_offset_bytes = fuzz_input_number64(&fuzz->in);
		break;
	default:
		break;
	}
	return desc;
}

/* ---- operations ---- */

static int add(struct table *table, const struct guestmem_region_desc *desc,
	       const struct file *file)
{
	int expected = expect_add(table, desc, file);
	struct guestmem *grown;
	int error = guestmem_add(table->mem, desc, file->fd, &grown);

	if (expected != 0) {
		g_assert_cmpint(error, ==, expected);
	} else if (!file->is_mappable) {
		g_assert_cmpint(error, <, 0); /* mmap() says why */
	} else {
		g_assert_cmpint(error, ==, 0);
	}
	if (error == 0) {
		guestmem_unref(table->mem);
		table->mem = grown;
		table->regions[table->n_regions++] = (struct region){ *desc, file };
	}
	return error;
}

static void do_add(struct fuzz *fuzz)
{
	const struct file *file = &files[fuzz_input_below(&fuzz->in, G_N_ELEMENTS(files))];
	const struct guestmem_region_desc desc = pick_desc(fuzz, file);

	add(&fuzz->table, &desc, file);
}

/* As many as there may be, and one more. */
static void do_fill(struct fuzz *fuzz)
{
	struct guestmem_region_desc desc = {
		.gpa = { UINT64_C(1) << 40 },
		.uva = { UINT64_C(1) << 41 },
		.size_bytes = PAGE,
	};
	int error;

	if (fuzz->has_filled || !fuzz_input_one_in(&fuzz->in, 64)) {
		return;
	}
	fuzz->has_filled = true;
	do {
		error = add(&fuzz->table, &desc, &files[1]);
		desc.gpa.v += PAGE;
		desc.uva.v += PAGE;
	} while (error == 0);
	g_assert_true(error == -ENOSPC || error == -EINVAL);
}

static bool is_listed(const struct table *table, const struct guestmem_region_desc *desc,
		      size_t *at_out)
{
	for (size_t i = 0; i < table->n_regions; i++) {
		const struct guestmem_region_desc *other = &table->regions[i].desc;

		if (other->gpa.v == desc->gpa.v && other->uva.v == desc->uva.v &&
		    other->size_bytes == desc->size_bytes) {
			*at_out = i;
			return true;
		}
	}
	return false;
}

static void do_remove(struct fuzz *fuzz)
{
	struct table *table = &fuzz->table;
	struct guestmem_region_desc desc = { 0 };
	struct guestmem *shrunk;
	size_t at = 0;

	if (table->n_regions > 0) {
		desc = table->regions[fuzz_input_u8(&fuzz->in) % table->n_regions].desc;
	}
	desc.gpa.v += fuzz_input_one_in(&fuzz->in, 8);
	desc.uva.v += fuzz_input_one_in(&fuzz->in, 8);
	desc.size_bytes += fuzz_input_one_in(&fuzz->in, 8);
	int error = guestmem_remove(table->mem, &desc, &shrunk);
	if (!is_listed(table, &desc, &at)) {
		g_assert_cmpint(error, ==, -ENOENT);
		return;
	}
	g_assert_cmpint(error, ==, 0);
	guestmem_unref(table->mem);
	table->mem = shrunk;
	table->regions[at] = table->regions[--table->n_regions];
}

static void do_read(struct fuzz *fuzz)
{
	char expected[MAX_COPY_BYTES], found[MAX_COPY_BYTES];
	const struct gpa gpa = { pick_address(fuzz, false) };
	size_t length = fuzz_input_u16(&fuzz->in) % (MAX_COPY_BYTES + 1);
	bool is_there = read_files(&fuzz->table, gpa.v, expected, length) > 0 || length == 0;

	g_assert_cmpint(guestmem_read(fuzz->table.mem, gpa, found, length), ==, is_there);
	if (is_there) {
		fuzz_assert_bytes(found, expected, length);
	}
}

static void do_write(struct fuzz *fuzz)
{
	char written[MAX_COPY_BYTES], found[MAX_COPY_BYTES];
	const struct gpa gpa = { pick_address(fuzz, false) };
	size_t length = fuzz_input_u16(&fuzz->in) % (MAX_COPY_BYTES + 1);
	bool is_there = read_files(&fuzz->table, gpa.v, NULL, length) > 0 || length == 0;

	memset(written, fuzz_input_u8(&fuzz->in), length);
	g_assert_cmpint(guestmem_write(fuzz->table.mem, gpa, written, length), ==, is_there);
	/* Two regions may show the same page of a file; then the last bytes written count. */
	if (is_there && read_files(&fuzz->table, gpa.v, found, length) == 1) {
		fuzz_assert_bytes(found, written, length);
	}
}

static void do_to_iov(struct fuzz *fuzz)
{
	const struct gpa gpa = { pick_address(fuzz, false) };
	uint64_t length = fuzz_input_number64(&fuzz->in);
	size_t max_iov = fuzz_input_below(&fuzz->in, 4);
	struct iovec iov[4];
	uint64_t sum = 0;
	size_t n = guestmem_to_iov(fuzz->table.mem, gpa, length, iov, max_iov);

	g_assert_cmpuint(n, ==, read_files(&fuzz->table, gpa.v, NULL, length));
	for (size_t i = 0; i < MIN(n, max_iov); i++) {
		g_assert_cmpuint(iov[i].iov_len, >, 0);
		sum += iov[i].iov_len;
	}
	if (n > 0 && n <= max_iov) {
		g_assert_cmpuint(sum, ==, length);
	}
}

static void do_at_uva(struct fuzz *fuzz)
{
	const struct uva uva = { pick_address(fuzz, true) };
	uint64_t length = fuzz_input_number64(&fuzz->in);
	const char *found = guestmem_at_uva(fuzz->table.mem, uva, length);
	const struct region *region = NULL;

	for (size_t i = 0; i < fuzz->table.n_regions; i++) {
		const struct guestmem_region_desc *desc = &fuzz->table.regions[i].desc;
		uint64_t offset = uva.v - desc->uva.v;

		if (uva.v >= desc->uva.v && offset <= desc->size_bytes &&
		    length <= desc->size_bytes - offset) {
			region = &fuzz->table.regions[i];
		}
	}
	g_assert_cmpint(found != NULL, ==, region != NULL);
	if (region != NULL && length > 0) {
		uint64_t offset = uva.v - region->desc.uva.v + region->desc.mmap_offset_bytes;
		char byte;

		g_assert_cmpint(pread(region->file->fd, &byte, 1, (off_t)offset), ==, 1);
		g_assert_cmpint(found[0], ==, byte);
	}
}

/* Who holds a table reads from it, whatever became of its regions since. */
static void do_hold(struct fuzz *fuzz)
{
	struct guestmem **held = &fuzz->held[fuzz_input_below(&fuzz->in, MAX_HELD)];
	char byte;

	if (*held != NULL) {
		guestmem_read(*held, (struct gpa){ pick_address(fuzz, false) }, &byte, 1);
		guestmem_unref(*held);
		*held = NULL;
	} else {
		*held = guestmem_ref(fuzz->table.mem);
	}
}

static void do_forget_all(struct fuzz *fuzz)
{
	guestmem_unref(fuzz->table.mem);
	fuzz->table.mem = guestmem_create_empty();
	fuzz->table.n_regions = 0;
}

static void (*const operations[])(struct fuzz *fuzz) = {
	do_add,	   do_add,    do_remove, do_read, do_write,
	do_to_iov, do_at_uva, do_hold,	 do_fill, do_forget_all,
};

void fuzz_one(const uint8_t *bytes, size_t size_bytes)
{
	struct fuzz *fuzz = g_new0(struct fuzz, 1);

	fill_files();
	fuzz_input_init(&fuzz->in, bytes, size_bytes);
	fuzz->table.mem = guestmem_create_empty();
	while (!fuzz_input_is_over(&fuzz->in)) {
		unsigned int i = fuzz_input_operation(&fuzz->in);

		if (i < G_N_ELEMENTS(operations)) {
			operations[i](fuzz);
			g_assert_cmpuint(guestmem_n_regions(fuzz->table.mem), ==,
					 fuzz->table.n_regions);
		}
	}
	for (size_t i = 0; i < MAX_HELD; i++) {
		guestmem_unref(fuzz->held[i]);
	}
	guestmem_unref(fuzz->table.mem);
	g_free(fuzz);
}
