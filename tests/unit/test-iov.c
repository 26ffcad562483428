/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* A scattered buffer reads and writes like a flat one, up to its end and no further. */
#include <string.h>

#include "util/iov.h"
#include "unit.h"

#define N_PIECES 5
#define SIZE 26

/* The alphabet in pieces of 1, 10, 0, 4 and 11 bytes, at their own places in memory. */
struct scattered {
	char memory[64];
	struct iovec iov[N_PIECES];
};

static void scatter(struct scattered *s)
{
	static const size_t sizes[N_PIECES] = { 1, 10, 0, 4, 11 };
	static const size_t places[N_PIECES] = { 40, 3, 50, 30, 14 };
	char next = 'a';

	memset(s->memory, '.', sizeof(s->memory));
	for (size_t i = 0; i < N_PIECES; i++) {
		s->iov[i] = (struct iovec){ s->memory + places[i], sizes[i] };
		for (size_t k = 0; k < sizes[i]; k++) {
			s->memory[places[i] + k] = next++;
		}
	}
}

static void test_size(void)
{
	struct scattered s;

	scatter(&s);
	g_assert_cmpuint(iov_size(s.iov, N_PIECES), ==, SIZE);
	g_assert_cmpuint(iov_size(s.iov, 1), ==, 1);
	g_assert_cmpuint(iov_size(NULL, 0), ==, 0);
	/* Pieces of a large buffer add up in 64 bits. */
	const struct iovec large[] = { { NULL, 0x90000000u }, { NULL, 0x90000000u } };
	g_assert_cmpuint(iov_size(large, 2), ==, UINT64_C(0x120000000));
}

static void test_every_range_reads(void)
{
	struct scattered s;
	struct iov_cursor cursor;
	char out[SIZE + 1];

	scatter(&s);
	iov_cursor_init(&cursor, s.iov, N_PIECES);
	for (size_t offset = 0; offset <= SIZE; offset++) {
		for (size_t length = 0; offset + length <= SIZE; length++) {
			memset(out, '#', sizeof(out));
			g_assert_true(iov_cursor_read(&cursor, offset, out, length));
			for (size_t i = 0; i < length; i++) {
				g_assert_cmpint(out[i], ==, 'a' + (char)(offset + i));
			}
			g_assert_cmpint(out[length], ==, '#');
		}
	}
}

static void test_offsets_may_go_down(void)
{
	struct scattered s;
	struct iov_cursor cursor;
	char c;

	scatter(&s);
	iov_cursor_init(&cursor, s.iov, N_PIECES);
	for (int offset = SIZE - 1; offset >= 0; offset--) {
		g_assert_true(iov_cursor_read(&cursor, (uint64_t)offset, &c, 1));
		g_assert_cmpint(c, ==, 'a' + offset);
	}
}

static void test_write_touches_its_bytes_only(void)
{
	struct scattered s;
	struct iov_cursor cursor;
	char all[SIZE];
	unsigned int n_dots = 0;

	scatter(&s);
	iov_cursor_init(&cursor, s.iov, N_PIECES);
	g_assert_true(iov_cursor_write(&cursor, 9, "0123456", 7));
	g_assert_true(iov_cursor_write(&cursor, 0, "A", 1));
	g_assert_true(iov_cursor_read(&cursor, 0, all, SIZE));
	unit_assert_bytes(all, "Abcdefghi0123456qrstuvwxyz", SIZE);
	for (size_t i = 0; i < sizeof(s.memory); i++) {
		n_dots += s.memory[i] == '.';
	}
	g_assert_cmpuint(n_dots, ==, sizeof(s.memory) - SIZE);
}

static void test_outside_copies_nothing(void)
{
	static const struct {
		uint64_t offset;
		size_t length;
	} outside[] = {
		{ 0, SIZE + 1 },       { 1, SIZE },	     { SIZE, 1 },
		{ SIZE - 1, 2 },       { SIZE + 1, 1 },	     { UINT64_MAX, 1 },
		{ UINT64_MAX - 1, 2 }, { UINT64_MAX, SIZE }, { 25, SIZE_MAX },
		{ 0, SIZE_MAX },
	};
	struct scattered s, before;
	struct iov_cursor cursor;
	char flat[2 * SIZE];

	scatter(&s);
	before = s;
	iov_cursor_init(&cursor, s.iov, N_PIECES);
	for (size_t i = 0; i < G_N_ELEMENTS(outside); i++) {
		memset(flat, '#', sizeof(flat));
		g_assert_false(
			iov_cursor_read(&cursor, outside[i].offset, flat, outside[i].length));
		for (size_t k = 0; k < sizeof(flat); k++) {
			g_assert_cmpint(flat[k], ==, '#');
		}
		g_assert_false(
			iov_cursor_write(&cursor, outside[i].offset, flat, outside[i].length));
		unit_assert_bytes(s.memory, before.memory, sizeof(s.memory));
		/* And the cursor is as good as before. */
		g_assert_true(iov_cursor_read(&cursor, 3, flat, 1));
		g_assert_cmpint(flat[0], ==, 'd');
	}
}

static void test_nothing_is_always_inside(void)
{
	struct iov_cursor cursor;
	char c = '#';

	iov_cursor_init(&cursor, NULL, 0);
	g_assert_true(iov_cursor_read(&cursor, 0, &c, 0));
	g_assert_true(iov_cursor_write(&cursor, 0, &c, 0));
	g_assert_false(iov_cursor_read(&cursor, 0, &c, 1));
	g_assert_cmpint(c, ==, '#');
}

/* A long list is walked once, not once a row: 40,000 rows of it would take minutes otherwise. */
static void test_walk_is_linear(void)
{
	enum { N = 40000 };
	g_autofree struct iovec *iov = g_new(struct iovec, N);
	g_autofree uint32_t *words = g_new(uint32_t, N);
	struct iov_cursor cursor;
	uint32_t word;

	for (uint32_t i = 0; i < N; i++) {
		words[i] = i;
		iov[i] = (struct iovec){ &words[i], sizeof(words[i]) };
	}
	iov_cursor_init(&cursor, iov, N);
	for (uint32_t i = 0; i < N; i++) {
		g_assert_true(iov_cursor_read(&cursor, i * sizeof(word), &word, sizeof(word)));
		g_assert_cmpuint(word, ==, i);
		g_assert_cmpuint(cursor.index, ==, i);
	}
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/iov/size", test_size);
	g_test_add_func("/iov/every-range-reads", test_every_range_reads);
	g_test_add_func("/iov/offsets-may-go-down", test_offsets_may_go_down);
	g_test_add_func("/iov/write-touches-its-bytes-only", test_write_touches_its_bytes_only);
	g_test_add_func("/iov/outside-copies-nothing", test_outside_copies_nothing);
	g_test_add_func("/iov/nothing-is-always-inside", test_nothing_is_always_inside);
	g_test_add_func("/iov/walk-is-linear", test_walk_is_linear);
	return g_test_run();
}
