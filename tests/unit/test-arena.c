/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* Blocks that another process reads: disjoint, zero, given back, and never behind the file's end. */
#include "util/arena.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "util/frame.h"
#include "unit.h"

#define ARENA_BYTES (1u << 20)
#define PAGE 4096u

static struct arena *make_arena(void)
{
	struct arena *arena;

	g_assert_cmpint(arena_create(ARENA_BYTES, &arena), ==, 0);
	return arena;
}

static void test_blocks_are_disjoint_and_zero(void)
{
	struct arena *arena = make_arena();
	static const char zero[ARENA_BYTES];
	char *blocks[16];

	for (unsigned int i = 0; i < 16; i++) {
		blocks[i] = arena_allocate(arena, ARENA_BYTES / 16);
		g_assert_nonnull(blocks[i]);
		g_assert_cmpuint((uintptr_t)blocks[i] % PAGE, ==, 0);
		unit_assert_bytes(blocks[i], zero, ARENA_BYTES / 16);
		memset(blocks[i], (int)i + 1, ARENA_BYTES / 16);
	}
	g_assert_null(arena_allocate(arena, 1));
	for (unsigned int i = 0; i < 16; i++) {
		g_assert_cmpint(blocks[i][0], ==, (int)i + 1);
		g_assert_cmpint(blocks[i][ARENA_BYTES / 16 - 1], ==, (int)i + 1);
	}
	for (unsigned int i = 0; i < 16; i++) {
		arena_free(arena, blocks[(i * 7) % 16], ARENA_BYTES / 16);
	}
	/* In one piece again, and as new. */
	char *all = arena_allocate(arena, ARENA_BYTES);
	g_assert_nonnull(all);
	unit_assert_bytes(all, zero, ARENA_BYTES);
	arena_free(arena, all, ARENA_BYTES);
	arena_destroy(arena);
}

static uint64_t file_bytes(const struct arena *arena)
{
	struct stat info;

	g_assert_no_errno(fstat(arena_fd(arena), &info));
	return (uint64_t)info.st_blocks * 512;
}

static void test_memory_goes_back(void)
{
	struct arena *arena = make_arena();
	char *block = arena_allocate(arena, ARENA_BYTES / 2);

	memset(block, 1, ARENA_BYTES / 2);
	g_assert_cmpuint(file_bytes(arena), >=, ARENA_BYTES / 2);
	arena_free(arena, block, ARENA_BYTES / 2);
	g_assert_cmpuint(file_bytes(arena), ==, 0);
	arena_destroy(arena);
}

/* Random sizes, taken and given back: never two owners of a byte. */
static void test_at_random(void)
{
	struct arena *arena = make_arena();
	GRand *rand = g_rand_new_with_seed(1);
	struct {
		char *at;
		size_t size;
	} blocks[24] = { { NULL, 0 } };

	for (unsigned int i = 0; i < 20000; i++) {
		unsigned int k = (unsigned int)g_rand_int_range(rand, 0, 24);

		if (blocks[k].at != NULL) {
			g_assert_cmpint(blocks[k].at[0], ==, (char)k);
			g_assert_cmpint(blocks[k].at[blocks[k].size - 1], ==, (char)k);
			arena_free(arena, blocks[k].at, blocks[k].size);
			blocks[k].at = NULL;
			continue;
		}
		blocks[k].size = (size_t)g_rand_int_range(rand, 1, 100000);
		blocks[k].at = arena_allocate(arena, blocks[k].size);
		if (blocks[k].at != NULL) {
			blocks[k].at[0] = (char)k;
			blocks[k].at[blocks[k].size - 1] = (char)k;
		}
	}
	for (unsigned int k = 0; k < 24; k++) {
		arena_free(arena, blocks[k].at, blocks[k].size);
	}
	g_assert_nonnull(arena_allocate(arena, ARENA_BYTES));
	g_rand_free(rand);
	arena_destroy(arena);
}

static void test_view(void)
{
	struct arena *arena = make_arena();
	struct arena_view *view;

	arena_allocate(arena, PAGE);
	char *block = arena_allocate(arena, PAGE);
	g_assert_cmpint(arena_view_create(arena_fd(arena), arena_size_bytes(arena), &view), ==, 0);
	strcpy(block, "seen");
	g_assert_cmpstr(arena_view_at(view, arena_offset(arena, block), PAGE), ==, "seen");
	g_assert_nonnull(arena_view_at(view, ARENA_BYTES - 1, 1));
	g_assert_nonnull(arena_view_at(view, ARENA_BYTES, 0));
	g_assert_null(arena_view_at(view, ARENA_BYTES, 1));
	g_assert_null(arena_view_at(view, 0, ARENA_BYTES + 1));
	g_assert_null(arena_view_at(view, UINT64_MAX, 2));
	g_assert_null(arena_view_at(view, 2, UINT64_MAX));
	/* It outlives its owner. */
	uint64_t offset = arena_offset(arena, block);
	arena_destroy(arena);
	g_assert_cmpstr(arena_view_at(arena_view_ref(view), offset, PAGE), ==, "seen");
	arena_view_unref(view);
	arena_view_unref(view);
	arena_view_unref(NULL);
}

/* Of which there need not be any: a read would be a SIGBUS, and a write(2) of them fail. */
static void test_view_refuses_huge_pages(void)
{
	struct arena_view *view = NULL;
	int fd = memfd_create("huge", MFD_CLOEXEC | MFD_ALLOW_SEALING | MFD_HUGETLB);

	if (fd < 0) {
		g_test_skip("no huge pages in this kernel");
		return;
	}
	g_assert_no_errno(ftruncate(fd, 64 << 20));
	g_assert_no_errno(fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK));
	g_assert_cmpint(arena_view_create(fd, ARENA_BYTES, &view), ==, -EPERM);
	g_assert_null(view);
	close(fd);
}

/* What a hostile owner might hand over. */
static void test_view_refuses(void)
{
	struct arena *arena = make_arena();
	struct arena_view *view = NULL;
	int plain = unit_memfd(ARENA_BYTES); /* may shrink */

	g_assert_cmpint(arena_view_create(plain, ARENA_BYTES, &view), ==, -EPERM);
	g_assert_cmpint(arena_view_create(arena_fd(arena), ARENA_BYTES + 1, &view), ==, -EFBIG);
	int event = unit_eventfd();
	g_assert_cmpint(arena_view_create(event, PAGE, &view), ==, -EINVAL);
	g_assert_null(view);
	/* Ours can't shrink under a reader. */
	g_assert_cmpint(ftruncate(arena_fd(arena), 0), ==, -1);
	close(plain);
	close(event);
	arena_destroy(arena);
}

/* ---- frames in an arena ---- */

static void count_sent(void *data)
{
	*(unsigned int *)data += 100;
}

static void count_done(void *data)
{
	++*(unsigned int *)data;
}

static const struct frame_lender lender = { .sent = count_sent, .done = count_done };

static void test_frames(void)
{
	struct arena *arena = make_arena();
	struct arena_view *view;
	struct quota quota;
	unsigned int n_done = 0;

	frame_share(arena);
	quota_init(&quota, ARENA_BYTES);
	struct frame *frame = frame_create(&quota, 64, 48);
	g_assert_nonnull(frame);
	g_assert_true(frame_is_mapped(frame));
	*frame_pixel(frame, 3, 5) = 0xabcdef;
	g_assert_cmpint(arena_view_create(arena_fd(arena), ARENA_BYTES, &view), ==, 0);
	const void *pixels = arena_view_at(view, frame_offset(frame), 64 * 48 * 4);
	struct frame *seen = frame_borrow(pixels, 64, 48, 64 * 4, &lender, &n_done);
	g_assert_cmphex(*frame_pixel(seen, 3, 5), ==, 0xabcdef);
	frame_unref(frame_ref(seen));
	frame_was_sent(frame); /* nobody to tell */
	g_assert_cmpuint(n_done, ==, 0);
	frame_was_sent(seen);
	g_assert_cmpuint(n_done, ==, 100);
	frame_unref(seen);
	g_assert_cmpuint(n_done, ==, 101);
	/* Copy-on-write as elsewhere. */
	struct frame *held = frame_ref(frame);
	g_assert_true(frame_make_writable(&frame, &(struct rect){ 0, 0, 1, 1 }));
	g_assert_true(frame != held);
	g_assert_cmphex(*frame_pixel(frame, 3, 5), ==, 0xabcdef);
	g_assert_true(frame_offset(frame) != frame_offset(held));
	frame_unref(held);
	frame_unref(frame);
	g_assert_cmpuint(quota_used(&quota), ==, 0);
	g_assert_null(frame_create(&quota, 1024, 1024));
	arena_view_unref(view);
	frame_share(NULL);
	arena_destroy(arena);
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/arena/disjoint-and-zero", test_blocks_are_disjoint_and_zero);
	g_test_add_func("/arena/memory-goes-back", test_memory_goes_back);
	g_test_add_func("/arena/at-random", test_at_random);
	g_test_add_func("/arena/view", test_view);
	g_test_add_func("/arena/view-refuses", test_view_refuses);
	g_test_add_func("/arena/view-refuses-huge-pages", test_view_refuses_huge_pages);
	g_test_add_func("/arena/frames", test_frames);
	return g_test_run();
}
