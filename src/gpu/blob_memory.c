/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * A picture in guest memory is some thousand pages in any order. To be shown
 * without a copy it has to lie in one piece: so each run of pages is mapped a
 * second time, at its place in a range of addresses (mremap(2) of nothing, for
 * which no descriptor is needed). What /dev/udmabuf does in the kernel, at a
 * few microseconds for a run, once.
 */
#include "gpu/blob_memory.h"

#include <sys/mman.h>
#include <unistd.h>

#include "util/checked.h"

static gint n_all_runs; /* atomic */

static size_t page_mask(void)
{
	return (size_t)sysconf(_SC_PAGESIZE) - 1;
}

static struct blob_memory *create(uint64_t size_bytes, struct quota *quota)
{
	struct blob_memory *memory = g_new0(struct blob_memory, 1);

	g_atomic_ref_count_init(&memory->refs);
	memory->size_bytes = size_bytes;
	memory->quota = quota;
	return memory;
}

/* The page tables of a mapping, and what the kernel keeps of each part of it. */
static bool charge(struct blob_memory *memory, size_t n_runs)
{
	uint64_t n_pages = memory->size_bytes / (page_mask() + 1) + 1;
	uint64_t cost = n_pages * sizeof(void *) + n_runs * (uint64_t)BLOB_MEMORY_RUN_BYTES;

	if (quota_charge(memory->quota, cost) != QUOTA_OK) {
		return false;
	}
	memory->charged_bytes = cost;
	return true;
}

struct blob_memory *blob_memory_of_guest(const struct backing *backing, uint64_t size_bytes,
					 struct guestmem *mem, struct quota *quota)
{
	struct blob_memory *memory = create(size_bytes, quota);

	iov_cursor_init(&memory->cursor, backing->iov, backing->n_iov);
	memory->mem = guestmem_ref(mem);
	if (backing->n_iov == 1 && backing->iov[0].iov_len >= size_bytes) {
		memory->whole = backing->iov[0];
	}
	return memory;
}

struct blob_memory *blob_memory_of_export(const struct renderer_export *exported,
					  uint64_t size_bytes, struct quota *quota)
{
	/* Of a dma-buf, too, this is its size. */
	off_t end = lseek(exported->fd, 0, SEEK_END);

	if (end < 0 || exported->offset_bytes & page_mask() || size_bytes > SIZE_MAX ||
	    !checked_range(exported->offset_bytes, size_bytes, (uint64_t)end)) {
		return NULL;
	}
	struct blob_memory *memory = create(size_bytes, quota);
	void *mapping = MAP_FAILED;
	if (charge(memory, 1)) {
		mapping = mmap(NULL, (size_t)size_bytes, PROT_READ, MAP_SHARED, exported->fd,
			       (off_t)exported->offset_bytes);
	}
	if (mapping == MAP_FAILED) {
		blob_memory_unref(memory);
		return NULL;
	}
	memory->mapping = mapping;
	memory->mapping_bytes = (size_t)size_bytes;
	memory->whole = (struct iovec){ mapping, (size_t)size_bytes };
	iov_cursor_init(&memory->cursor, &memory->whole, 1);
	return memory;
}

/* A display that has a reference looks at mem only when it gives up the last one. */
void blob_memory_follow(struct blob_memory *memory, struct guestmem *mem)
{
	if (memory->mem != NULL) {
		guestmem_unref(memory->mem);
		memory->mem = guestmem_ref(mem);
	}
}

struct blob_memory *blob_memory_ref(struct blob_memory *memory)
{
	g_atomic_ref_count_inc(&memory->refs);
	return memory;
}

void blob_memory_unref(struct blob_memory *memory)
{
	if (memory == NULL || !g_atomic_ref_count_dec(&memory->refs)) {
		return;
	}
	if (memory->mapping != NULL) {
		munmap(memory->mapping, memory->mapping_bytes);
	}
	g_atomic_int_add(&n_all_runs, -(gint)memory->n_runs);
	quota_release(memory->quota, memory->charged_bytes);
	guestmem_unref(memory->mem);
	g_free(memory);
}

bool blob_memory_read(struct blob_memory *memory, uint64_t offset_bytes, void *to,
		      size_t length_bytes)
{
	return checked_range(offset_bytes, length_bytes, memory->size_bytes) &&
	       iov_cursor_read(&memory->cursor, offset_bytes, to, length_bytes);
}

/* Runs that make up the blob; 0: they are too many, or not whole pages. */
static size_t count_runs(const struct blob_memory *memory)
{
	const struct iov_cursor *pages = &memory->cursor;
	uint64_t left = memory->size_bytes;
	size_t n = 0;

	for (; n < pages->n_iov && n < BLOB_MEMORY_MAX_RUNS && left > 0; n++) {
		const struct iovec *run = &pages->iov[n];

		if (((uintptr_t)run->iov_base & page_mask()) != 0 ||
		    ((run->iov_len & page_mask()) != 0 && run->iov_len < left)) {
			return 0;
		}
		left -= MIN(left, run->iov_len);
	}
	return left == 0 ? n : 0;
}

/* Can this memory be mapped twice? Not if it is the host's own, or of huge pages. */
static bool has_twin(const struct iovec *run)
{
	void *twin = mremap(run->iov_base, 0, page_mask() + 1, MREMAP_MAYMOVE);

	if (twin == MAP_FAILED) {
		return false;
	}
	munmap(twin, page_mask() + 1);
	return true;
}

/* Of length_bytes from start on, all but the hole is ours. */
static void unmap_around(char *start, size_t length_bytes, size_t hole, size_t hole_bytes)
{
	if (hole > 0) {
		munmap(start, hole);
	}
	if (hole + hole_bytes < length_bytes) {
		munmap(start + hole + hole_bytes, length_bytes - hole - hole_bytes);
	}
}

static size_t to_pages(size_t length_bytes)
{
	return (length_bytes + page_mask()) & ~page_mask();
}

/*
 * One run behind the other, over the range that is reserved for them. Where
 * one fails the kernel may have unmapped what was there, and another thread
 * may have that place by now: it is left alone for ever. That is rare; its runs
 * count on, so that a guest that could bring it about could not do so often.
 */
static bool map_runs(struct blob_memory *memory)
{
	char *start = memory->mapping;
	size_t size = (size_t)memory->size_bytes, at = 0;

	for (size_t i = 0; i < memory->n_runs; i++) {
		const struct iovec *run = &memory->cursor.iov[i];
		size_t length = MIN(size - at, run->iov_len);

		if (mremap(run->iov_base, 0, length, MREMAP_MAYMOVE | MREMAP_FIXED, start + at) ==
		    MAP_FAILED) {
			unmap_around(start, memory->mapping_bytes, at, to_pages(length));
			memory->mapping = NULL;
			memory->n_runs = 0;
			return false;
		}
		at += length;
	}
	return true;
}

/* So many more of all. */
static bool take_runs(struct blob_memory *memory, size_t n_runs)
{
	if (g_atomic_int_add(&n_all_runs, (gint)n_runs) + (gint)n_runs > BLOB_MEMORY_MAX_ALL_RUNS) {
		g_atomic_int_add(&n_all_runs, -(gint)n_runs);
		return false;
	}
	memory->n_runs = n_runs;
	return true;
}

static bool reserve(struct blob_memory *memory)
{
	size_t size = to_pages((size_t)memory->size_bytes);
	void *start = mmap(NULL, size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1,
			   0);

	if (start == MAP_FAILED) {
		return false;
	}
	memory->mapping = start;
	memory->mapping_bytes = size;
	return true;
}

/* On failure, what there is by then goes with memory. */
static bool join(struct blob_memory *memory)
{
	size_t n_runs = memory->mem != NULL ? count_runs(memory) : 0;

	if (n_runs == 0 || !has_twin(&memory->cursor.iov[0]) || !charge(memory, n_runs) ||
	    !take_runs(memory, n_runs) || !reserve(memory) || !map_runs(memory)) {
		return false;
	}
	memory->whole = (struct iovec){ memory->mapping, memory->mapping_bytes };
	return true;
}

const void *blob_memory_whole(struct blob_memory *memory)
{
	if (memory->whole.iov_base == NULL && !memory->is_scattered) {
		memory->is_scattered = !join(memory);
	}
	return memory->whole.iov_base;
}
