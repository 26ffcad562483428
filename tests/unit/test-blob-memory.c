/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "gpu/blob_memory.h"
#include "unit.h"

#define PAGE 4096u
#define N_PAGES 16u

/* A file of pages, each full of its number, mapped as a guest's memory is. */
struct pages {
	char *bytes;
	int fd;
};

static void pages_init(struct pages *pages)
{
	pages->fd = memfd_create("pages", MFD_CLOEXEC);
	g_assert_cmpint(ftruncate(pages->fd, N_PAGES * PAGE), ==, 0);
	pages->bytes = mmap(NULL, N_PAGES * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, pages->fd, 0);
	g_assert_true(pages->bytes != MAP_FAILED);
	for (unsigned int i = 0; i < N_PAGES; i++) {
		memset(pages->bytes + i * PAGE, (int)i, PAGE);
	}
}

static void pages_finish(struct pages *pages)
{
	munmap(pages->bytes, N_PAGES * PAGE);
	close(pages->fd);
}

static struct quota quota;

static struct blob_memory *look_at(const struct backing *backing, uint64_t size)
{
	struct guestmem *mem = guestmem_create_empty();
	struct blob_memory *memory = blob_memory_of_guest(backing, size, mem, &quota);

	guestmem_unref(mem);
	return memory;
}

static void test_one_piece(void)
{
	struct pages pages;
	pages_init(&pages);
	struct iovec iov = { pages.bytes + 8, 2 * PAGE };
	const struct backing backing = { &iov, 1, 2 * PAGE };
	struct blob_memory *memory = look_at(&backing, 100);
	char read[100];

	g_assert_true(blob_memory_whole(memory) == pages.bytes + 8);
	g_assert_true(blob_memory_read(memory, 0, read, 100));
	g_assert_false(blob_memory_read(memory, 1, read, 100));
	g_assert_false(blob_memory_read(memory, UINT64_MAX, read, 1));
	blob_memory_unref(memory);
	pages_finish(&pages);
}

static void test_joined(void)
{
	static const unsigned int order[] = { 9, 3, 4, 0 };
	struct pages pages;
	pages_init(&pages);
	struct iovec iov[] = {
		{ pages.bytes + 9 * PAGE, PAGE },
		{ pages.bytes + 3 * PAGE, 2 * PAGE },
		{ pages.bytes, PAGE },
	};
	const struct backing backing = { iov, G_N_ELEMENTS(iov), 4 * PAGE };
	/* The last page counts in part only. */
	struct blob_memory *memory = look_at(&backing, 3 * PAGE + 10);
	const char *whole = blob_memory_whole(memory);

	g_assert_nonnull(whole);
	for (unsigned int i = 0; i < G_N_ELEMENTS(order); i++) {
		g_assert_cmpint(whole[i * PAGE], ==, order[i]);
		g_assert_cmpint(whole[i * PAGE + 9], ==, order[i]);
	}
	/* They are the same pages. */
	pages.bytes[3 * PAGE + 5] = 77;
	g_assert_cmpint(whole[PAGE + 5], ==, 77);
	g_assert_true(blob_memory_whole(memory) == whole);

	/* And stay when the first mapping goes, as long as someone looks at them. */
	struct blob_memory *other = blob_memory_ref(memory);
	blob_memory_unref(memory);
	munmap(pages.bytes, N_PAGES * PAGE);
	g_assert_cmpint(whole[PAGE + 5], ==, 77);
	blob_memory_unref(other);
	close(pages.fd);
}

static void test_scattered(void)
{
	struct pages pages;
	pages_init(&pages);
	struct iovec unaligned[] = { { pages.bytes, PAGE - 16 }, { pages.bytes + PAGE, PAGE } };
	struct iovec offset[] = { { pages.bytes + 16, PAGE }, { pages.bytes + 4 * PAGE, PAGE } };
	const struct backing short_run = { unaligned, 2, 2 * PAGE - 16 };
	const struct backing off_page = { offset, 2, 2 * PAGE };
	char read[32];

	struct blob_memory *memory = look_at(&short_run, 2 * PAGE - 16);
	g_assert_null(blob_memory_whole(memory));
	g_assert_true(blob_memory_read(memory, PAGE - 32, read, sizeof(read)));
	g_assert_cmpint(read[15], ==, 0);
	g_assert_cmpint(read[16], ==, 1);
	blob_memory_unref(memory);

	memory = look_at(&off_page, 2 * PAGE);
	g_assert_null(blob_memory_whole(memory));
	blob_memory_unref(memory);
	pages_finish(&pages);
}

/* So many runs of one blob, and so many of all. */
static void test_too_many_runs(void)
{
	struct pages pages;
	pages_init(&pages);
	size_t n = BLOB_MEMORY_MAX_RUNS + 1;
	g_autofree struct iovec *iov = g_new(struct iovec, n);
	struct blob_memory *many[BLOB_MEMORY_MAX_ALL_RUNS / BLOB_MEMORY_MAX_RUNS + 1];

	for (size_t i = 0; i < n; i++) {
		iov[i] = (struct iovec){ pages.bytes + 2 * (i % 2) * PAGE, PAGE };
	}
	const struct backing backing = { iov, n, n * PAGE };
	struct blob_memory *memory = look_at(&backing, n * PAGE);
	g_assert_null(blob_memory_whole(memory));
	blob_memory_unref(memory);

	for (size_t i = 0; i < G_N_ELEMENTS(many); i++) {
		many[i] = look_at(&backing, BLOB_MEMORY_MAX_RUNS * PAGE);
		bool is_last = i == G_N_ELEMENTS(many) - 1;
		g_assert_true((blob_memory_whole(many[i]) == NULL) == is_last);
	}
	for (size_t i = 0; i < G_N_ELEMENTS(many); i++) {
		blob_memory_unref(many[i]);
	}
	memory = look_at(&backing, BLOB_MEMORY_MAX_RUNS * PAGE);
	g_assert_nonnull(blob_memory_whole(memory));
	blob_memory_unref(memory);
	pages_finish(&pages);
}

/* What the kernel keeps for it is paid for, or it is not done. */
static void test_charged(void)
{
	struct pages pages;
	pages_init(&pages);
	struct iovec iov[] = { { pages.bytes, PAGE }, { pages.bytes + 2 * PAGE, PAGE } };
	const struct backing backing = { iov, G_N_ELEMENTS(iov), 2 * PAGE };
	uint64_t limit_bytes = quota.limit_bytes;
	char read[PAGE];

	struct blob_memory *memory = look_at(&backing, 2 * PAGE);
	g_assert_cmpuint(quota_used(&quota), ==, 0);
	g_assert_nonnull(blob_memory_whole(memory));
	g_assert_cmpuint(quota_used(&quota), >=, 2 * BLOB_MEMORY_RUN_BYTES);
	quota.limit_bytes = quota_used(&quota);
	struct blob_memory *other = look_at(&backing, 2 * PAGE);
	g_assert_null(blob_memory_whole(other));
	g_assert_true(blob_memory_read(other, PAGE, read, PAGE));
	g_assert_cmpint(read[0], ==, 2);
	blob_memory_unref(other);
	blob_memory_unref(memory);
	g_assert_cmpuint(quota_used(&quota), ==, 0);
	quota.limit_bytes = limit_bytes;
	pages_finish(&pages);
}

/* Memory that the kernel does not map twice: all of it, or what comes later. */
static void test_not_shared(void)
{
	struct pages pages;
	pages_init(&pages);
	char *private_page = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
				  -1, 0);
	g_assert_true(private_page != MAP_FAILED);
	struct iovec iov[] = { { pages.bytes, PAGE },
			       { private_page, PAGE },
			       { pages.bytes + 3 * PAGE, PAGE } };
	char read[PAGE];

	for (size_t first = 0; first < 2; first++) {
		const size_t n = 3 - first;
		const struct backing backing = { iov + first, n, n * PAGE };
		struct blob_memory *memory = look_at(&backing, backing.size_bytes);

		g_assert_null(blob_memory_whole(memory));
		g_assert_null(blob_memory_whole(memory));
		g_assert_true(blob_memory_read(memory, backing.size_bytes - PAGE, read, PAGE));
		g_assert_cmpint(read[0], ==, 3);
		blob_memory_unref(memory);
	}
	munmap(private_page, PAGE);
	g_assert_cmpuint(quota_used(&quota), ==, 0);
	pages_finish(&pages);
}

static void test_export(void)
{
	struct pages pages;
	pages_init(&pages);
	struct renderer_export exported = { .fd = pages.fd, .offset_bytes = 2 * PAGE };
	struct blob_memory *memory = blob_memory_of_export(&exported, 3 * PAGE, &quota);
	char read[2];

	g_assert_nonnull(memory);
	g_assert_cmpint(((const char *)blob_memory_whole(memory))[PAGE], ==, 3);
	g_assert_true(blob_memory_read(memory, PAGE - 1, read, 2));
	g_assert_cmpint(read[0], ==, 2);
	g_assert_cmpint(read[1], ==, 3);
	blob_memory_unref(memory);

	/* Shorter than it has to be, off a page, nothing to be mapped. */
	g_assert_null(blob_memory_of_export(&exported, (N_PAGES - 2) * PAGE + 1, &quota));
	exported.offset_bytes = UINT64_MAX & ~(uint64_t)(PAGE - 1);
	g_assert_null(blob_memory_of_export(&exported, PAGE, &quota));
	exported.offset_bytes = 1;
	g_assert_null(blob_memory_of_export(&exported, PAGE, &quota));
	int ends[2];
	g_assert_cmpint(pipe(ends), ==, 0);
	exported = (struct renderer_export){ .fd = ends[0] };
	g_assert_null(blob_memory_of_export(&exported, PAGE, &quota));
	close(ends[0]);
	close(ends[1]);
	pages_finish(&pages);
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	quota_init(&quota, 16u << 20);
	g_test_add_func("/blob-memory/one-piece", test_one_piece);
	g_test_add_func("/blob-memory/joined", test_joined);
	g_test_add_func("/blob-memory/scattered", test_scattered);
	g_test_add_func("/blob-memory/too-many-runs", test_too_many_runs);
	g_test_add_func("/blob-memory/charged", test_charged);
	g_test_add_func("/blob-memory/not-shared", test_not_shared);
	g_test_add_func("/blob-memory/export", test_export);
	return g_test_run();
}
