/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* A frame is shared until somebody writes; then the writer has a copy of its own. */
#include "util/frame.h"
#include "unit.h"

#define WIDTH 13u
#define HEIGHT 7u
#define BYTES (WIDTH * HEIGHT * 4u)

static uint32_t pattern(uint32_t x, uint32_t y)
{
	return 0xff000000u | y << 8 | x;
}

static struct frame *make(struct quota *quota)
{
	struct frame *frame = frame_create(quota, WIDTH, HEIGHT);

	g_assert_nonnull(frame);
	for (uint32_t y = 0; y < HEIGHT; y++) {
		for (uint32_t x = 0; x < WIDTH; x++) {
			*frame_pixel(frame, x, y) = pattern(x, y);
		}
	}
	return frame;
}

static void test_create_is_zero_and_charged(void)
{
	struct quota quota;

	quota_init(&quota, BYTES);
	struct frame *frame = frame_create(&quota, WIDTH, HEIGHT);
	g_assert_nonnull(frame);
	g_assert_cmpuint(frame->width, ==, WIDTH);
	g_assert_cmpuint(frame->height, ==, HEIGHT);
	g_assert_cmpuint(frame->stride_bytes, >=, WIDTH * 4);
	g_assert_cmpuint(quota_used(&quota), ==, BYTES);
	for (uint32_t y = 0; y < HEIGHT; y++) {
		for (uint32_t x = 0; x < WIDTH; x++) {
			g_assert_cmphex(*frame_pixel(frame, x, y), ==, 0);
		}
	}
	frame_unref(frame);
	g_assert_cmpuint(quota_used(&quota), ==, 0);
	frame_unref(NULL);
}

static void test_create_refused(void)
{
	struct quota quota;

	quota_init(&quota, BYTES - 1);
	g_assert_null(frame_create(&quota, WIDTH, HEIGHT));
	g_assert_cmpuint(quota_used(&quota), ==, 0);

	/* 2^66 bytes: the product does not fit its type. */
	quota_init(&quota, UINT64_MAX);
	g_assert_null(frame_create(&quota, UINT32_MAX, UINT32_MAX));
	g_assert_cmpuint(quota_used(&quota), ==, 0);
	/* Allowed by the quota, but there is no such memory: given back. */
	g_assert_null(frame_create(&quota, UINT32_MAX, UINT32_MAX / 4));
	g_assert_cmpuint(quota_used(&quota), ==, 0);
}

static void test_sole_owner_writes_in_place(void)
{
	const struct rect all = { 0, 0, WIDTH, HEIGHT };
	struct quota quota;

	quota_init(&quota, BYTES);
	struct frame *frame = make(&quota);
	struct frame *before = frame;
	g_assert_true(frame_make_writable(&frame, &all));
	g_assert_true(frame == before);
	g_assert_cmphex(*frame_pixel(frame, 3, 4), ==, pattern(3, 4));
	frame_unref(frame);
}

static void check_copy(const struct rect *hole)
{
	struct quota quota;

	quota_init(&quota, 2 * BYTES);
	struct frame *frame = make(&quota);
	struct frame *shared = frame_ref(frame);
	g_assert_true(frame_make_writable(&frame, hole));
	g_assert_true(frame != shared);
	g_assert_cmpuint(quota_used(&quota), ==, 2 * BYTES);
	for (uint32_t y = 0; y < HEIGHT; y++) {
		for (uint32_t x = 0; x < WIDTH; x++) {
			bool is_in_hole = x >= hole->x && x < hole->x + hole->width &&
					  y >= hole->y && y < hole->y + hole->height;

			/* What is promised to be overwritten may be anything. */
			if (!is_in_hole) {
				g_assert_cmphex(*frame_pixel(frame, x, y), ==, pattern(x, y));
			}
			*frame_pixel(frame, x, y) = 0;
			g_assert_cmphex(*frame_pixel(shared, x, y), ==, pattern(x, y));
		}
	}
	frame_unref(shared);
	g_assert_cmpuint(quota_used(&quota), ==, BYTES);
	frame_unref(frame);
	g_assert_cmpuint(quota_used(&quota), ==, 0);
}

static void test_copy_leaves_the_hole_out(void)
{
	static const struct rect holes[] = {
		{ 0, 0, WIDTH, HEIGHT }, /* all: nothing is copied */
		{ 0, 0, 0, 0 },		 /* none: all is copied */
		{ 4, 2, 5, 3 },		 /* in the middle */
		{ 0, 0, 4, 3 },		 /* each corner */
		{ WIDTH - 4, 0, 4, 3 },
		{ 0, HEIGHT - 3, 4, 3 },
		{ WIDTH - 4, HEIGHT - 3, 4, 3 },
		{ 0, 3, WIDTH, 1 },	   /* a row */
		{ 5, 0, 1, HEIGHT },	   /* a column */
		{ WIDTH, HEIGHT, 0, 0 },   /* empty, at the end */
		{ 3, 3, 0, 2 },		   /* empty, inside */
		{ WIDTH - 1, HEIGHT - 1, 1, 1 },
	};

	for (size_t i = 0; i < G_N_ELEMENTS(holes); i++) {
		check_copy(&holes[i]);
	}
}

static void test_copy_without_memory(void)
{
	const struct rect all = { 0, 0, WIDTH, HEIGHT };
	struct quota quota;

	quota_init(&quota, BYTES);
	struct frame *frame = make(&quota);
	struct frame *shared = frame_ref(frame);
	g_assert_false(frame_make_writable(&frame, &all));
	g_assert_true(frame == shared);
	g_assert_cmphex(*frame_pixel(frame, 1, 1), ==, pattern(1, 1));
	frame_unref(shared);
	/* The other one let go: now it is ours. */
	g_assert_true(frame_make_writable(&frame, &all));
	frame_unref(frame);
}

/* Small frames keep none; large ones go round in the memory that they have. */
static void check_spares(uint32_t width, uint32_t height, bool is_kept)
{
	const struct rect all = { 0, 0, width, height };
	struct quota quota;

	quota_init(&quota, UINT64_C(1) << 30);
	struct frame *frame = frame_create(&quota, width, height);
	g_assert_nonnull(frame);
	g_assert_cmpint(frame_is_mapped(frame), ==, is_kept);
	uint64_t one = quota_used(&quota);
	g_assert_cmpuint(one, >=, (uint64_t)width * height * 4);
	g_assert_cmpuint(one, <=, (uint64_t)width * height * 4 * 17 / 16 + 4096);

	struct frame *shared = frame_ref(frame);
	void *first_pixels = frame->pixels;
	g_assert_true(frame_make_writable(&frame, &all));
	g_assert_cmpuint(quota_used(&quota), ==, 2 * one);
	frame_unref(shared);
	g_assert_cmpuint(quota_used(&quota), ==, is_kept ? 2 * one : one);
	shared = frame_ref(frame);
	g_assert_true(frame_make_writable(&frame, &all));
	g_assert_cmpuint(quota_used(&quota), ==, 2 * one);
	if (is_kept) {
		g_assert_true(frame->pixels == first_pixels);
	}
	frame_unref(shared);

	/* A stream has ended: what it left over goes as well. */
	for (unsigned int i = 0; i < 100; i++) {
		g_assert_true(frame_make_writable(&frame, &all));
	}
	g_assert_cmpuint(quota_used(&quota), ==, one);
	frame_unref(frame);
	g_assert_cmpuint(quota_used(&quota), ==, 0);
}

static void test_memory_goes_round(void)
{
	check_spares(WIDTH, HEIGHT, false);
	check_spares(320, 240, true);
	check_spares(1920, 1080, true); /* huge pages, rounded up */
	check_spares(2000, 1300, true); /* huge pages and small ones */
}

static void test_large_is_zero(void)
{
	struct quota quota;

	quota_init(&quota, UINT64_MAX);
	struct frame *frame = frame_create(&quota, 1920, 1080);
	for (uint32_t y = 0; y < 1080; y++) {
		for (uint32_t x = 0; x < 1920; x++) {
			g_assert_cmphex(*frame_pixel(frame, x, y), ==, 0);
		}
	}
	frame_unref(frame);
}

/*
 * One thread draws whole frames of one colour and hands them over; the other
 * checks that each is of one colour, as long as it holds it.
 */
struct exchange {
	GMutex lock;
	struct frame *offered; /* owned reference or NULL */
	bool is_over;
	unsigned int n_checked;
};

static void *look(void *data)
{
	struct exchange *exchange = data;
	bool is_over = false;

	while (!is_over) {
		g_mutex_lock(&exchange->lock);
		struct frame *frame = g_steal_pointer(&exchange->offered);
		is_over = exchange->is_over;
		g_mutex_unlock(&exchange->lock);
		if (frame == NULL) {
			g_thread_yield();
			continue;
		}
		uint32_t colour = *frame_pixel(frame, 0, 0);
		for (uint32_t y = 0; y < HEIGHT; y++) {
			for (uint32_t x = 0; x < WIDTH; x++) {
				g_assert_cmphex(*frame_pixel(frame, x, y), ==, colour);
			}
		}
		exchange->n_checked++;
		frame_unref(frame);
	}
	return NULL;
}

static void test_threads_never_see_half_a_picture(void)
{
	const struct rect all = { 0, 0, WIDTH, HEIGHT };
	struct exchange exchange = { 0 };
	struct quota quota;

	quota_init(&quota, 3 * BYTES);
	g_mutex_init(&exchange.lock);
	GThread *thread = g_thread_new("look", look, &exchange);
	struct frame *frame = frame_create(&quota, WIDTH, HEIGHT);
	for (uint32_t colour = 1; colour <= 5000; colour++) {
		/* Drawn on, offered and looked at: three at most. */
		g_assert_true(frame_make_writable(&frame, &all));
		for (uint32_t i = 0; i < WIDTH * HEIGHT; i++) {
			*frame_pixel(frame, i % WIDTH, i / WIDTH) = colour;
		}
		g_mutex_lock(&exchange.lock);
		struct frame *unseen = exchange.offered;
		exchange.offered = frame_ref(frame);
		g_mutex_unlock(&exchange.lock);
		frame_unref(unseen);
	}
	g_mutex_lock(&exchange.lock);
	exchange.is_over = true;
	g_mutex_unlock(&exchange.lock);
	g_thread_join(thread);
	g_assert_cmpuint(exchange.n_checked, >, 0);
	frame_unref(exchange.offered);
	frame_unref(frame);
	g_assert_cmpuint(quota_used(&quota), ==, 0);
	g_mutex_clear(&exchange.lock);
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/frame/create-is-zero-and-charged", test_create_is_zero_and_charged);
	g_test_add_func("/frame/create-refused", test_create_refused);
	g_test_add_func("/frame/sole-owner-writes-in-place", test_sole_owner_writes_in_place);
	g_test_add_func("/frame/copy-leaves-the-hole-out", test_copy_leaves_the_hole_out);
	g_test_add_func("/frame/copy-without-memory", test_copy_without_memory);
	g_test_add_func("/frame/threads-never-see-half-a-picture",
			test_threads_never_see_half_a_picture);
	g_test_add_func("/frame/memory-goes-round", test_memory_goes_round);
	g_test_add_func("/frame/large-is-zero", test_large_is_zero);
	return g_test_run();
}
