/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "util/frame.h"

#include <assert.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "util/checked.h"

#define HUGE_BYTES ((size_t)2 << 20)
/* One frame is drawn into, one waits, one is being sent: two are left over when none is. */
#define MAX_SPARES 2
/* So many writes in a row that found the frame unshared: the spares are of no use now. */
#define SPARE_PATIENCE 64

/* Memory for frames of one size: a frame and its copies. */
struct frame_store {
	gatomicrefcount refs;
	struct quota *quota; /* borrowed; charged for spares too */
	size_t size_bytes;
	unsigned int n_unshared; /* of the one who writes */

	GMutex lock;
	unsigned int n_spares;
	void *spares[MAX_SPARES];
};

/* ---- memory ---- */

static struct arena *shared; /* borrowed; NULL: frames are this process's own */

void frame_share(struct arena *arena)
{
	shared = arena;
}

static size_t page_bytes(void)
{
	return (size_t)sysconf(_SC_PAGESIZE);
}

static bool is_mapped_size(size_t size_bytes)
{
	return shared != NULL || size_bytes >= FRAME_MIN_MAPPED_BYTES;
}

/* What is taken for that many bytes: whole pages, huge ones if that is little more. */
static size_t round_up(size_t size_bytes)
{
	size_t pages = (size_bytes + page_bytes() - 1) & ~(page_bytes() - 1);
	size_t huge = (size_bytes + HUGE_BYTES - 1) & ~(HUGE_BYTES - 1);

	if (!is_mapped_size(size_bytes)) {
		return size_bytes;
	}
	return shared == NULL && huge - size_bytes <= size_bytes / 16 ? huge : pages;
}

/* Pages, all zero; at a huge page's boundary if one fits. NULL without memory. */
static void *map(size_t size_bytes)
{
	size_t slack = size_bytes >= HUGE_BYTES ? HUGE_BYTES : 0;
	char *start = mmap(NULL, size_bytes + slack, PROT_READ | PROT_WRITE,
			   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (start == MAP_FAILED) {
		return NULL;
	}
	if (slack == 0) {
		return start;
	}
	size_t skip = -(uintptr_t)start & (HUGE_BYTES - 1);
	if (skip > 0) {
		munmap(start, skip);
	}
	if (skip < slack) {
		munmap(start + skip + size_bytes, slack - skip);
	}
	/* A wish; without it the pages are small. */
	madvise(start + skip, size_bytes, MADV_HUGEPAGE);
	return start + skip;
}

static void *allocate(size_t size_bytes, bool is_zeroed)
{
	if (shared != NULL) {
		return arena_allocate(shared, size_bytes);
	}
	if (is_mapped_size(size_bytes)) {
		return map(size_bytes);
	}
	return is_zeroed ? g_try_malloc0(size_bytes) : g_try_malloc(size_bytes);
}

static void release(void *pixels, size_t size_bytes)
{
	if (shared != NULL) {
		arena_free(shared, pixels, size_bytes);
	} else if (is_mapped_size(size_bytes)) {
		munmap(pixels, size_bytes);
	} else {
		g_free(pixels);
	}
}

/* ---- stores ---- */

static struct frame_store *store_create(struct quota *quota, size_t size_bytes)
{
	struct frame_store *store = g_new0(struct frame_store, 1);

	g_atomic_ref_count_init(&store->refs);
	store->quota = quota;
	store->size_bytes = size_bytes;
	g_mutex_init(&store->lock);
	return store;
}

static void drop_spares(struct frame_store *store)
{
	g_mutex_lock(&store->lock);
	while (store->n_spares > 0) {
		release(store->spares[--store->n_spares], store->size_bytes);
		quota_release(store->quota, store->size_bytes);
	}
	g_mutex_unlock(&store->lock);
}

static void store_unref(struct frame_store *store)
{
	if (g_atomic_ref_count_dec(&store->refs)) {
		drop_spares(store);
		g_mutex_clear(&store->lock);
		g_free(store);
	}
}

static void *take_spare(struct frame_store *store)
{
	g_mutex_lock(&store->lock);
	void *pixels = store->n_spares > 0 ? store->spares[--store->n_spares] : NULL;
	g_mutex_unlock(&store->lock);
	return pixels;
}

/* Back from a frame that nobody holds any more: kept, unless memory is getting short. */
static void give_back(struct frame_store *store, void *pixels)
{
	g_mutex_lock(&store->lock);
	bool is_kept = is_mapped_size(store->size_bytes) && store->n_spares < MAX_SPARES &&
		       quota_used(store->quota) <= store->quota->limit_bytes / 2;
	if (is_kept) {
		store->spares[store->n_spares++] = pixels;
	}
	g_mutex_unlock(&store->lock);
	if (!is_kept) {
		release(pixels, store->size_bytes);
		quota_release(store->quota, store->size_bytes);
	}
}

/* ---- frames ---- */

/* Takes a reference of store. NULL without memory. */
static struct frame *create(struct frame_store *store, uint32_t width, uint32_t height,
			    bool is_zeroed)
{
	void *pixels = is_zeroed ? NULL : take_spare(store);

	if (pixels == NULL) {
		if (quota_charge(store->quota, store->size_bytes) != QUOTA_OK) {
			return NULL;
		}
		pixels = allocate(store->size_bytes, is_zeroed);
	}
	if (pixels == NULL && store->size_bytes > 0) {
		quota_release(store->quota, store->size_bytes);
		return NULL;
	}
	struct frame *frame = g_new(struct frame, 1);
	*frame = (struct frame){
		.width = width,
		.height = height,
		.stride_bytes = (size_t)width * sizeof(uint32_t),
		.pixels = pixels,
		.store = store,
	};
	g_atomic_ref_count_init(&frame->refs);
	g_atomic_ref_count_inc(&store->refs);
	return frame;
}

struct frame *frame_create(struct quota *quota, uint32_t width, uint32_t height)
{
	uint64_t size;

	if (!checked_mul_u64((uint64_t)width * sizeof(uint32_t), height, &size) ||
	    size > SIZE_MAX - HUGE_BYTES) {
		return NULL;
	}
	struct frame_store *store = store_create(quota, round_up((size_t)size));
	struct frame *frame = create(store, width, height, true);
	store_unref(store);
	return frame;
}

struct frame *frame_borrow(const void *pixels, uint32_t width, uint32_t height,
			   size_t stride_bytes, const struct frame_lender *lender, void *data)
{
	struct frame *frame = g_new(struct frame, 1);

	*frame = (struct frame){
		.width = width,
		.height = height,
		.stride_bytes = stride_bytes,
		.pixels = (uint32_t *)(uintptr_t)pixels,
		.lender = lender,
		.lender_data = data,
	};
	g_atomic_ref_count_init(&frame->refs);
	return frame;
}

struct frame *frame_ref(struct frame *frame)
{
	g_atomic_ref_count_inc(&frame->refs);
	return frame;
}

void frame_unref(struct frame *frame)
{
	if (frame == NULL || !g_atomic_ref_count_dec(&frame->refs)) {
		return;
	}
	if (frame->store != NULL) {
		give_back(frame->store, frame->pixels);
		store_unref(frame->store);
	} else {
		frame->lender->done(frame->lender_data);
	}
	g_free(frame);
}

void frame_was_sent(const struct frame *frame)
{
	if (frame->lender != NULL && frame->lender->sent != NULL) {
		frame->lender->sent(frame->lender_data);
	}
}

bool frame_is_mapped(const struct frame *frame)
{
	/* Of a borrowed one they are pages of an arena, or a guest's. */
	return frame->store == NULL || is_mapped_size(frame->store->size_bytes);
}

bool frame_is_shared(void)
{
	return shared != NULL;
}

uint64_t frame_offset(const struct frame *frame)
{
	return arena_offset(shared, frame->pixels);
}

/* Copy the rows [from, to), whole. */
static void copy_rows(struct frame *to_frame, const struct frame *from_frame, uint32_t from,
		      uint32_t to)
{
	memcpy(frame_pixel(to_frame, 0, from), frame_pixel(from_frame, 0, from),
	       (size_t)(to - from) * from_frame->stride_bytes);
}

static void copy_outside(struct frame *to, const struct frame *from, const struct rect *hole)
{
	uint32_t right = hole->x + hole->width;
	uint32_t bottom = hole->y + hole->height;

	copy_rows(to, from, 0, hole->y);
	copy_rows(to, from, bottom, from->height);
	for (uint32_t y = hole->y; y < bottom; y++) {
		memcpy(frame_pixel(to, 0, y), frame_pixel(from, 0, y), hole->x * sizeof(uint32_t));
		memcpy(frame_pixel(to, right, y), frame_pixel(from, right, y),
		       (from->width - right) * sizeof(uint32_t));
	}
}

bool frame_make_writable(struct frame **frame, const struct rect *overwritten)
{
	struct frame *old = *frame;
	struct frame_store *store = old->store;

	assert(store != NULL);
	if (g_atomic_ref_count_compare(&old->refs, 1)) {
		if (++store->n_unshared >= SPARE_PATIENCE) {
			store->n_unshared = 0;
			drop_spares(store);
		}
		return true;
	}
	struct frame *copy = create(store, old->width, old->height, false);
	if (copy == NULL) {
		return false;
	}
	store->n_unshared = 0;
	copy_outside(copy, old, overwritten);
	frame_unref(old);
	*frame = copy;
	return true;
}

void frame_clear(struct frame *frame, const struct rect *rect)
{
	for (uint32_t row = 0; row < rect->height; row++) {
		memset(frame_pixel(frame, rect->x, rect->y + row), 0,
		       rect->width * sizeof(uint32_t));
	}
}
