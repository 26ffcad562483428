/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* Records of a process that is no more: the latest of each, within the quota, in order. */
#include "engine/keepsakes.h"

#include "unit.h"

struct fixture {
	struct quota quota;
	struct keepsakes keepsakes;
};

static void setup(struct fixture *f, gconstpointer data G_GNUC_UNUSED)
{
	quota_init(&f->quota, 4096);
	keepsakes_init(&f->keepsakes, &f->quota);
}

static void teardown(struct fixture *f, gconstpointer data G_GNUC_UNUSED)
{
	keepsakes_finish(&f->keepsakes);
	g_assert_cmpuint(quota_used(&f->quota), ==, 0);
	keepsakes_finish(&f->keepsakes);
}

static void assert_list(struct fixture *f, const char *expected)
{
	GQueue list = keepsakes_list(&f->keepsakes);
	GString *text = g_string_new("");
	struct keepsake *keepsake;

	while ((keepsake = g_queue_pop_head(&list)) != NULL) {
		gsize size;
		const char *bytes = g_bytes_get_data(keepsake->bytes, &size);

		g_string_append_printf(text, "%u.%u=%.*s ", keepsake_kind(keepsake),
				       keepsake_id(keepsake), (int)size, size > 0 ? bytes : "");
		keepsake_free(keepsake);
	}
	g_assert_cmpstr(text->str, ==, expected);
	g_string_free(text, TRUE);
}

static void test_latest_counts(struct fixture *f, gconstpointer data G_GNUC_UNUSED)
{
	g_assert_true(keepsakes_put(&f->keepsakes, 2, 1, "c", 1));
	g_assert_true(keepsakes_put(&f->keepsakes, 1, UINT32_MAX, "b", 1));
	g_assert_true(keepsakes_put(&f->keepsakes, 1, 7, "first", 5));
	g_assert_true(keepsakes_put(&f->keepsakes, 1, 7, "a", 1));
	g_assert_true(keepsakes_put(&f->keepsakes, 3, 0, "", 0));
	assert_list(f, "1.7=a 1.4294967295=b 2.1=c 3.0= ");
	keepsakes_drop(&f->keepsakes, 1, 7);
	keepsakes_drop(&f->keepsakes, 1, 8);
	assert_list(f, "1.4294967295=b 2.1=c 3.0= ");
	keepsakes_clear(&f->keepsakes);
	assert_list(f, "");
	g_assert_cmpuint(quota_used(&f->quota), ==, 0);
}

static void test_quota(struct fixture *f, gconstpointer data G_GNUC_UNUSED)
{
	static const char large[4096];
	uint32_t n = 0;

	g_assert_true(keepsakes_put(&f->keepsakes, 1, 0, "kept", 4));
	g_assert_false(keepsakes_put(&f->keepsakes, 1, 0, large, sizeof(large)));
	assert_list(f, "1.0=kept ");
	while (keepsakes_put(&f->keepsakes, 2, n, large, 16)) {
		n++;
	}
	g_assert_cmpuint(n, >, 10);
	g_assert_cmpuint(n, <, 4096 / 16);
	keepsakes_drop(&f->keepsakes, 2, 0);
	g_assert_true(keepsakes_put(&f->keepsakes, 2, 0, large, 16));
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add("/keepsakes/latest-counts", struct fixture, NULL, setup, test_latest_counts,
		   teardown);
	g_test_add("/keepsakes/quota", struct fixture, NULL, setup, test_quota, teardown);
	return g_test_run();
}
