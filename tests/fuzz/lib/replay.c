/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * test-fuzz-NAME FOLDER: a test for each input in FOLDER, and for what every
 * fuzzer should bear: nothing, and long runs of one byte. Needs no libFuzzer.
 */
#include <glib.h>
#include <string.h>

#include "fuzz.h"
#include "util/log.h"

static const char *lacking; /* what the host lacks, or NULL */

static void test_bytes(const char *bytes, size_t size_bytes)
{
	if (lacking != NULL) {
		g_test_skip(lacking);
		return;
	}
	/* A copy of its own, so that a sanitizer sees who reads beyond it. */
	g_autofree uint8_t *copy = g_memdup2(bytes, size_bytes);
	fuzz_one(copy, size_bytes);
}

static void test_file(gconstpointer path)
{
	g_autofree char *bytes = NULL;
	gsize size;

	g_assert_true(g_file_get_contents(path, &bytes, &size, NULL));
	test_bytes(bytes, size);
}

static void test_nothing(void)
{
	test_bytes("", 0);
}

static void test_runs(void)
{
	char bytes[512];

	for (int i = 0; i <= UINT8_MAX; i++) {
		memset(bytes, i, sizeof(bytes));
		test_bytes(bytes, sizeof(bytes));
	}
}

static int compare(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* The names in the folder, in order; owned by the caller. */
static GPtrArray *list_files(const char *folder)
{
	GPtrArray *names = g_ptr_array_new_with_free_func(g_free);
	g_autoptr(GDir) dir = g_dir_open(folder, 0, NULL);
	const char *name;

	g_assert_nonnull(dir);
	while ((name = g_dir_read_name(dir)) != NULL) {
		g_ptr_array_add(names, g_strdup(name));
	}
	g_ptr_array_sort(names, compare);
	return names;
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_assert_cmpint(argc, ==, 2);
	g_autoptr(GPtrArray) names = list_files(argv[1]);

	log_threshold = LOG_LEVEL_OFF;
	lacking = fuzz_prepare();
	g_test_add_func("/fuzz/nothing", test_nothing);
	g_test_add_func("/fuzz/runs", test_runs);
	for (guint i = 0; i < names->len; i++) {
		g_autofree char *path = g_strconcat("/fuzz/", names->pdata[i], NULL);
		char *file = g_build_filename(argv[1], names->pdata[i], NULL);

		g_test_add_data_func_full(path, file, test_file, g_free);
	}
	return g_test_run();
}
