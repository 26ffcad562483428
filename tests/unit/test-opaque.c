/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* Files as Mesa's software Vulkan makes them, and such as only look like it. */
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "renderer/opaque.h"
#include "unit.h"

#define PAGE 4096u
#define SEALS (F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL)

struct words {
	uint64_t file_bytes;
	uint64_t size, offset, again; /* as it says */
	int seals;
};

static int make_file(const struct words *words)
{
	int fd = memfd_create("opaque", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	g_assert_cmpint(ftruncate(fd, (off_t)words->file_bytes), ==, 0);
	g_assert_cmpint(pwrite(fd, &words->size, 8, 0), ==, 8);
	g_assert_cmpint(pwrite(fd, &words->offset, 8, 8), ==, 8);
	g_assert_cmpint(pwrite(fd, &words->again, 8, PAGE - 8), ==, 8);
	g_assert_cmpint(fcntl(fd, F_ADD_SEALS, words->seals), ==, 0);
	return fd;
}

static bool finds(const struct words *words, uint64_t size_bytes, uint64_t *offset_out)
{
	int fd = make_file(words);
	bool is_found = opaque_find(fd, size_bytes, offset_out);

	close(fd);
	return is_found;
}

static void test_found(void)
{
	const struct words words = { 5 * PAGE + 40, 5 * PAGE + 40, PAGE, PAGE, SEALS };
	uint64_t offset = 0;

	g_assert_true(finds(&words, 4 * PAGE, &offset));
	g_assert_cmpuint(offset, ==, PAGE);
	g_assert_true(finds(&words, 1, &offset));
	g_assert_true(finds(&words, 4 * PAGE + 40, &offset));
	g_assert_false(finds(&words, 4 * PAGE + 41, &offset));
	g_assert_false(finds(&words, UINT64_MAX, &offset));
}

static void test_not_so(void)
{
	static const struct words wrong[] = {
		{ 5 * PAGE, 5 * PAGE - 1, PAGE, PAGE, SEALS },	  /* another size */
		{ 5 * PAGE, 5 * PAGE + 1, PAGE, PAGE, SEALS },
		{ 5 * PAGE, 5 * PAGE, PAGE + 8, PAGE, SEALS },	  /* off a page */
		{ 5 * PAGE, 5 * PAGE, 0, 0, SEALS },		  /* the head itself */
		{ 5 * PAGE, 5 * PAGE, PAGE, 2 * PAGE, SEALS },	  /* not the same twice */
		{ 5 * PAGE, 5 * PAGE, 8 * PAGE, 8 * PAGE, SEALS }, /* behind its end */
		{ 5 * PAGE, 5 * PAGE, UINT64_MAX & ~(uint64_t)(PAGE - 1), PAGE, SEALS },
		{ 5 * PAGE, 5 * PAGE, PAGE, PAGE, F_SEAL_SHRINK }, /* it may grow */
		{ 5 * PAGE, 5 * PAGE, PAGE, PAGE, 0 },
	};
	uint64_t offset;

	for (size_t i = 0; i < G_N_ELEMENTS(wrong); i++) {
		g_assert_false(finds(&wrong[i], PAGE, &offset));
	}
}

static void test_no_file(void)
{
	uint64_t offset;
	int ends[2];

	g_assert_cmpint(pipe(ends), ==, 0);
	g_assert_false(opaque_find(ends[0], PAGE, &offset));
	close(ends[0]);
	close(ends[1]);
	g_assert_false(opaque_find(-1, PAGE, &offset));
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/opaque/found", test_found);
	g_test_add_func("/opaque/not-so", test_not_so);
	g_test_add_func("/opaque/no-file", test_no_file);
	return g_test_run();
}
