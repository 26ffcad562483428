/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "util/ranges.h"

#define SPACE 100

static void test_take(void)
{
	struct ranges ranges;

	ranges_init(&ranges, SPACE);
	g_assert_true(ranges_take(&ranges, 10, 10));
	g_assert_true(ranges_take(&ranges, 20, 5)); /* neighbours */
	g_assert_true(ranges_take(&ranges, 0, 10));
	g_assert_true(ranges_take(&ranges, 99, 1));
	g_assert_cmpuint(ranges_count(&ranges), ==, 4);
	/* The same, the start, the end, the middle, all around, a bit at either side. */
	g_assert_false(ranges_take(&ranges, 10, 10));
	g_assert_false(ranges_take(&ranges, 10, 1));
	g_assert_false(ranges_take(&ranges, 19, 1));
	g_assert_false(ranges_take(&ranges, 12, 3));
	g_assert_false(ranges_take(&ranges, 5, 40));
	g_assert_false(ranges_take(&ranges, 24, 10));
	g_assert_false(ranges_take(&ranges, 90, 10));
	g_assert_cmpuint(ranges_count(&ranges), ==, 4);
	ranges_finish(&ranges);
}

static void test_limits(void)
{
	struct ranges ranges;

	ranges_init(&ranges, SPACE);
	g_assert_false(ranges_take(&ranges, 0, 0));
	g_assert_false(ranges_take(&ranges, SPACE, 1));
	g_assert_false(ranges_take(&ranges, 1, SPACE));
	g_assert_false(ranges_take(&ranges, UINT64_MAX, 1));
	g_assert_false(ranges_take(&ranges, 1, UINT64_MAX));
	g_assert_true(ranges_take(&ranges, 0, SPACE));
	ranges_finish(&ranges);

	ranges_init(&ranges, UINT64_MAX);
	g_assert_true(ranges_take(&ranges, UINT64_MAX - 1, 1));
	g_assert_true(ranges_take(&ranges, 0, UINT64_MAX - 1));
	ranges_finish(&ranges);

	ranges_init(&ranges, 0);
	g_assert_false(ranges_take(&ranges, 0, 1));
	ranges_finish(&ranges);
}

static void test_give_back(void)
{
	struct ranges ranges;

	ranges_init(&ranges, SPACE);
	g_assert_true(ranges_take(&ranges, 10, 10));
	g_assert_false(ranges_give_back(&ranges, 10, 9));
	g_assert_false(ranges_give_back(&ranges, 11, 9));
	g_assert_false(ranges_give_back(&ranges, 0, 10));
	g_assert_true(ranges_give_back(&ranges, 10, 10));
	g_assert_false(ranges_give_back(&ranges, 10, 10));
	g_assert_true(ranges_take(&ranges, 5, 20));
	ranges_clear(&ranges);
	g_assert_cmpuint(ranges_count(&ranges), ==, 0);
	g_assert_true(ranges_take(&ranges, 0, SPACE));
	ranges_finish(&ranges);
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/ranges/take", test_take);
	g_test_add_func("/ranges/limits", test_limits);
	g_test_add_func("/ranges/give-back", test_give_back);
	return g_test_run();
}
