/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * First fit in a list of what is free, sorted by offset: there are as many
 * blocks as a guest has pictures, a few dozen, and none is taken per frame
 * (struct frame_store keeps them).
 */
#include "util/arena.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "util/checked.h"

lockdown_names arena_calls = { "memfd_create", "ftruncate", "ftruncate64", "fallocate", NULL };

struct range {
	uint64_t offset, size_bytes;
};

struct arena {
	int fd;
	char *base;
	uint64_t size_bytes;
	GMutex lock;
	GArray *free; /* struct range, ascending, none next to another */
};

struct arena_view {
	gatomicrefcount refs;
	void *base;
	uint64_t size_bytes;
};

static size_t to_pages(size_t size_bytes)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);

	return (size_bytes + page - 1) & ~(page - 1);
}

static int make_file(uint64_t size_bytes)
{
	int fd = memfd_create("pictures", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	if (fd < 0) {
		return -errno;
	}
	if (ftruncate(fd, (off_t)size_bytes) < 0 ||
	    fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) < 0) {
		int error = -errno;

		close(fd);
		return error;
	}
	return fd;
}

int arena_create(uint64_t size_bytes, struct arena **arena_out)
{
	const struct range all = { 0, size_bytes };
	int fd = make_file(size_bytes);

	if (fd < 0) {
		return fd;
	}
	void *base =
		mmap(NULL, size_bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, fd, 0);
	if (base == MAP_FAILED) {
		int error = -errno;

		close(fd);
		return error;
	}
	struct arena *arena = g_new0(struct arena, 1);
	*arena = (struct arena){
		.fd = fd,
		.base = base,
		.size_bytes = size_bytes,
		.free = g_array_new(FALSE, FALSE, sizeof(struct range)),
	};
	g_mutex_init(&arena->lock);
	g_array_append_val(arena->free, all);
	*arena_out = arena;
	return 0;
}

void arena_destroy(struct arena *arena)
{
	if (arena == NULL) {
		return;
	}
	munmap(arena->base, arena->size_bytes);
	close(arena->fd);
	g_array_unref(arena->free);
	g_mutex_clear(&arena->lock);
	g_free(arena);
}

static struct range *range_at(const struct arena *arena, unsigned int i)
{
	return &g_array_index(arena->free, struct range, i);
}

void *arena_allocate(struct arena *arena, size_t size_bytes)
{
	size_t size = to_pages(size_bytes);
	void *block = NULL;

	g_mutex_lock(&arena->lock);
	for (unsigned int i = 0; size > 0 && i < arena->free->len && block == NULL; i++) {
		struct range *range = range_at(arena, i);

		if (range->size_bytes < size) {
			continue;
		}
		block = arena->base + range->offset;
		range->offset += size;
		range->size_bytes -= size;
		if (range->size_bytes == 0) {
			g_array_remove_index(arena->free, i);
		}
	}
	g_mutex_unlock(&arena->lock);
	return block;
}

/* With the lock held: put it in its place, and make one of neighbours. */
static void insert(struct arena *arena, struct range range)
{
	unsigned int i = 0;

	while (i < arena->free->len && range_at(arena, i)->offset < range.offset) {
		i++;
	}
	if (i < arena->free->len && range.offset + range.size_bytes == range_at(arena, i)->offset) {
		range.size_bytes += range_at(arena, i)->size_bytes;
		g_array_remove_index(arena->free, i);
	}
	if (i > 0) {
		struct range *before = range_at(arena, i - 1);

		if (before->offset + before->size_bytes == range.offset) {
			before->size_bytes += range.size_bytes;
			return;
		}
	}
	g_array_insert_val(arena->free, i, range);
}

void arena_free(struct arena *arena, void *block, size_t size_bytes)
{
	if (block == NULL) {
		return;
	}
	const struct range range = { arena_offset(arena, block), to_pages(size_bytes) };

	/* Its memory goes back, and what is there is zero again. */
	fallocate(arena->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)range.offset,
		  (off_t)range.size_bytes);
	g_mutex_lock(&arena->lock);
	insert(arena, range);
	g_mutex_unlock(&arena->lock);
}

int arena_fd(const struct arena *arena)
{
	return arena->fd;
}

uint64_t arena_size_bytes(const struct arena *arena)
{
	return arena->size_bytes;
}

uint64_t arena_offset(const struct arena *arena, const void *block)
{
	return (uint64_t)((const char *)block - arena->base);
}

/* ---- the reader ---- */

static int check_file(int fd, uint64_t size_bytes)
{
	int seals = fcntl(fd, F_GET_SEALS);
	struct statfs system;
	struct stat info;

	if (seals < 0 || fstat(fd, &info) < 0 || fstatfs(fd, &system) < 0) {
		return -errno;
	}
	/*
	 * Else a read behind its end would be a SIGBUS. So would one of a hole in
	 * huge pages, of which there may be none left.
	 */
	if (!(seals & F_SEAL_SHRINK) || system.f_type != TMPFS_MAGIC) {
		return -EPERM;
	}
	return info.st_size >= 0 && (uint64_t)info.st_size >= size_bytes ? 0 : -EFBIG;
}

int arena_view_create(int fd_borrow, uint64_t size_bytes, struct arena_view **view_out)
{
	int error = check_file(fd_borrow, size_bytes);

	if (error < 0) {
		return error;
	}
	void *base = mmap(NULL, size_bytes, PROT_READ, MAP_SHARED | MAP_NORESERVE, fd_borrow, 0);
	if (base == MAP_FAILED) {
		return -errno;
	}
	/* A core dump of ours is no place for the guest's pictures. */
	madvise(base, size_bytes, MADV_DONTDUMP);
	struct arena_view *view = g_new(struct arena_view, 1);
	*view = (struct arena_view){ .base = base, .size_bytes = size_bytes };
	g_atomic_ref_count_init(&view->refs);
	*view_out = view;
	return 0;
}

struct arena_view *arena_view_ref(struct arena_view *view)
{
	g_atomic_ref_count_inc(&view->refs);
	return view;
}

void arena_view_unref(struct arena_view *view)
{
	if (view != NULL && g_atomic_ref_count_dec(&view->refs)) {
		munmap(view->base, view->size_bytes);
		g_free(view);
	}
}

const void *arena_view_at(const struct arena_view *view, uint64_t offset, uint64_t length_bytes)
{
	return checked_range(offset, length_bytes, view->size_bytes)
		       ? (const char *)view->base + offset
		       : NULL;
}
