/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* Rectangles and ranges whose numbers a guest chose: right answers, and no wrap-around. */
#include "util/checked.h"
#include "util/rect.h"
#include "unit.h"

#define LIMIT UINT32_MAX

static void assert_rect(const struct rect *r, uint32_t x, uint32_t y, uint32_t width,
			uint32_t height)
{
	g_assert_cmpuint(r->x, ==, x);
	g_assert_cmpuint(r->y, ==, y);
	g_assert_cmpuint(r->width, ==, width);
	g_assert_cmpuint(r->height, ==, height);
}

static void test_empty(void)
{
	g_assert_true(rect_is_empty(&(struct rect){ 1, 2, 0, 4 }));
	g_assert_true(rect_is_empty(&(struct rect){ 1, 2, 3, 0 }));
	g_assert_false(rect_is_empty(&(struct rect){ 1, 2, 3, 4 }));
}

static void test_inside(void)
{
	static const struct {
		struct rect r;
		bool is_inside;
	} cases[] = {
		{ { 0, 0, 10, 20 }, true },   { { 9, 19, 1, 1 }, true },
		{ { 10, 20, 0, 0 }, true },   { { 0, 0, 11, 20 }, false },
		{ { 0, 0, 10, 21 }, false },  { { 10, 0, 1, 1 }, false },
		{ { 11, 0, 0, 0 }, false },   { { LIMIT, 0, 2, 1 }, false },
		{ { 0, LIMIT, 1, 2 }, false },  { { 2, 0, LIMIT, 1 }, false },
		{ { LIMIT, LIMIT, LIMIT, LIMIT }, false },
	};

	for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
		g_assert_cmpint(rect_is_inside(&cases[i].r, 10, 20), ==, cases[i].is_inside);
	}
	g_assert_true(rect_is_inside(&(struct rect){ 0, 0, LIMIT, LIMIT }, LIMIT, LIMIT));
}

static void test_intersect(void)
{
	const struct rect a = { 10, 10, 20, 20 };
	struct rect r;

	r = rect_intersect(&a, &(struct rect){ 0, 0, 15, 16 });
	assert_rect(&r, 10, 10, 5, 6);
	r = rect_intersect(&a, &(struct rect){ 25, 26, 100, 100 });
	assert_rect(&r, 25, 26, 5, 4);
	r = rect_intersect(&a, &(struct rect){ 12, 13, 2, 3 });
	assert_rect(&r, 12, 13, 2, 3);
	/* Side by side share no pixel. */
	r = rect_intersect(&a, &(struct rect){ 30, 10, 5, 5 });
	g_assert_true(rect_is_empty(&r));
	r = rect_intersect(&a, &(struct rect){ 0, 0, 10, 10 });
	g_assert_true(rect_is_empty(&r));
	/* Edges beyond 2^32 are not taken for small ones. */
	r = rect_intersect(&a, &(struct rect){ 15, 15, LIMIT, LIMIT });
	assert_rect(&r, 15, 15, 15, 15);
	r = rect_intersect(&a, &(struct rect){ LIMIT, LIMIT, LIMIT, LIMIT });
	g_assert_true(rect_is_empty(&r));
}

static void test_union(void)
{
	const struct rect a = { 10, 10, 20, 20 }, empty = { 5, 5, 0, 9 };
	struct rect r;

	r = rect_union(&a, &(struct rect){ 0, 0, 5, 5 });
	assert_rect(&r, 0, 0, 30, 30);
	r = rect_union(&a, &(struct rect){ 12, 12, 3, 3 });
	assert_rect(&r, 10, 10, 20, 20);
	r = rect_union(&a, &(struct rect){ 12, 12, 30, 3 });
	assert_rect(&r, 10, 10, 32, 20);
	/* An empty one has no place of its own. */
	r = rect_union(&a, &empty);
	g_assert_true(rect_is_equal(&r, &a));
	r = rect_union(&empty, &a);
	g_assert_true(rect_is_equal(&r, &a));
}

static void test_checked_add(void)
{
	uint64_t out = 7;

	g_assert_true(checked_add_u64(UINT64_MAX - 1, 1, &out));
	g_assert_cmphex(out, ==, UINT64_MAX);
	out = 7;
	g_assert_false(checked_add_u64(UINT64_MAX, 1, &out));
	g_assert_false(checked_add_u64(UINT64_MAX, UINT64_MAX, &out));
	g_assert_cmpuint(out, ==, 7);
}

static void test_checked_mul(void)
{
	uint64_t out = 7;

	g_assert_true(checked_mul_u64(UINT32_MAX, UINT32_MAX, &out));
	g_assert_cmphex(out, ==, UINT64_C(0xfffffffe00000001));
	g_assert_true(checked_mul_u64(0, UINT64_MAX, &out));
	g_assert_cmpuint(out, ==, 0);
	out = 7;
	g_assert_false(checked_mul_u64(UINT64_C(1) << 32, UINT64_C(1) << 32, &out));
	g_assert_cmpuint(out, ==, 7);
}

static void test_checked_range(void)
{
	g_assert_true(checked_range(0, 0, 0));
	g_assert_true(checked_range(10, 0, 10));
	g_assert_true(checked_range(3, 7, 10));
	g_assert_true(checked_range(0, UINT64_MAX, UINT64_MAX));
	g_assert_false(checked_range(3, 8, 10));
	g_assert_false(checked_range(11, 0, 10));
	g_assert_false(checked_range(1, UINT64_MAX, UINT64_MAX));
	g_assert_false(checked_range(UINT64_MAX, 1, 10));
	g_assert_false(checked_range(UINT64_MAX, UINT64_MAX, UINT64_MAX));
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/rect/empty", test_empty);
	g_test_add_func("/rect/inside", test_inside);
	g_test_add_func("/rect/intersect", test_intersect);
	g_test_add_func("/rect/union", test_union);
	g_test_add_func("/checked/add", test_checked_add);
	g_test_add_func("/checked/mul", test_checked_mul);
	g_test_add_func("/checked/range", test_checked_range);
	return g_test_run();
}
