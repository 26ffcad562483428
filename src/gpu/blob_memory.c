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

static struct blob_memory *create(uint64_t size_bytes)
{
	struct blob_memory *memory = g_new0(struct blob_memory, 1);

	g_atomic_ref_count_init(&memory->refs);
	memory->size_bytes = size_bytes;
	return memory;
}

struct blob_memory *blob_memory_of_guest(const struct backing *backing, uint64_t size_bytes,
					 struct guestmem *mem)
{
	struct blob_memory *memory = create(size_bytes);

	iov_cursor_init(&memory->cursor, backing->iov, backing->n_iov);
	memory->mem = guestmem_ref(mem);
	if (backing->n_iov == 1 && backing->iov[0].iov_len >= size_bytes) {
		memory->whole = backing->iov[0];
	}
	return memory;
}

struct blob_memory *blob_memory_of_export(const struct renderer_export *exported,
					  uint64_t size_bytes)
{
	/* Of a dma-buf, too, this is its size. */
	off_t end = lseek(exported->fd, 0, SEEK_END);

	if (end < 0 || exported->offset_bytes & page_mask() || size_bytes > SIZE_MAX ||
	    !checked_range(exported->offset_bytes, size_bytes, (uint64_t)end)) {
		return NULL;
	}
	void *mapping = mmap(NULL, (size_t)size_bytes, PROT_READ, MAP_SHARED, exported->fd,
			     (off_t)exported->offset_bytes);
	if (mapping == MAP_FAILED) {
		return NULL;
	}
	struct blob_memory *memory = create(size_bytes);
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

/* One run behind the other from start on. */
static bool map_runs(const struct blob_memory *memory, char *start, size_t n_runs)
{
	size_t left = (size_t)memory->size_bytes;

	for (size_t i = 0; i < n_runs; i++) {
		const struct iovec *run = &memory->cursor.iov[i];
		size_t length = MIN(left, run->iov_len);

		if (mremap(run->iov_base, 0, length, MREMAP_MAYMOVE | MREMAP_FIXED, start) ==
		    MAP_FAILED) {
			return false;
		}
		start += length;
		left -= length;
	}
	return true;
}

static bool join(struct blob_memory *memory)
{
	size_t n_runs = memory->mem != NULL ? count_runs(memory) : 0;
	size_t size = ((size_t)memory->size_bytes + page_mask()) & ~page_mask();

	if (n_runs == 0) {
		return false;
	}
	if (g_atomic_int_add(&n_all_runs, (gint)n_runs) + (gint)n_runs > BLOB_MEMORY_MAX_ALL_RUNS) {
		g_atomic_int_add(&n_all_runs, -(gint)n_runs);
		return false;
	}
	memory->n_runs = n_runs;
	void *start = mmap(NULL, size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1,
			   0);
	if (start == MAP_FAILED) {
		return false;
	}
	memory->mapping = start;
	memory->mapping_bytes = size;
	if (!map_runs(memory, start, n_runs)) {
		return false;
	}
	memory->whole = (struct iovec){ start, size };
	return true;
}

const void *blob_memory_whole(struct blob_memory *memory)
{
	if (memory->whole.iov_base == NULL && !memory->is_scattered) {
		memory->is_scattered = !join(memory);
	}
	return memory->whole.iov_base;
}
