/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "window.h"

#include <fcntl.h>

#define PAGE 4096u

struct mapped {
	struct mapper_range range;
	uint64_t token;
};

void window_init(struct window *window)
{
	*window = (struct window){
		.mapped = g_array_new(FALSE, FALSE, sizeof(struct mapped)),
		.questions = g_array_new(FALSE, TRUE, sizeof(struct window_question)),
	};
}

void window_finish(struct window *window)
{
	g_array_free(window->mapped, TRUE);
	g_array_free(window->questions, TRUE);
}

void window_clear(struct window *window)
{
	g_array_set_size(window->mapped, 0);
	g_array_set_size(window->questions, 0);
}

static void ask(struct window *window, uint64_t token, bool is_map)
{
	const struct window_question question = { .token = token, .is_map = is_map };

	if (token != 0) {
		g_array_append_val(window->questions, question);
	}
}

static void assert_free(const struct window *window, const struct mapper_range *range)
{
	g_assert_cmpuint(range->offset_bytes % PAGE, ==, 0);
	g_assert_cmpuint(range->size_bytes % PAGE, ==, 0);
	g_assert_cmpuint(range->size_bytes, >, 0);
	g_assert_cmpuint(range->offset_bytes, <=, WINDOW_BYTES);
	g_assert_cmpuint(range->size_bytes, <=, WINDOW_BYTES - range->offset_bytes);
	for (guint i = 0; i < window->mapped->len; i++) {
		const struct mapper_range *other =
			&g_array_index(window->mapped, struct mapped, i).range;

		g_assert_true(range->offset_bytes + range->size_bytes <= other->offset_bytes ||
			      other->offset_bytes + other->size_bytes <= range->offset_bytes);
	}
}

static bool map(void *data, uint64_t token, const struct mapper_range *range, int fd_borrow,
		uint64_t fd_offset_bytes)
{
	const struct mapped mapped = { *range, token };
	struct window *window = data;

	g_assert_cmpuint(token, !=, 0);
	g_assert_cmpint(fcntl(fd_borrow, F_GETFD), >=, 0);
	g_assert_cmpuint(fd_offset_bytes % PAGE, ==, 0);
	assert_free(window, range);
	if (window->is_deaf) {
		return false;
	}
	g_array_append_val(window->mapped, mapped);
	ask(window, token, true);
	return true;
}

static bool unmap(void *data, uint64_t token, const struct mapper_range *range)
{
	struct window *window = data;
	guint i = 0;

	if (window->is_deaf && token != 0) {
		return false;
	}
	while (i < window->mapped->len &&
	       g_array_index(window->mapped, struct mapped, i).range.offset_bytes !=
		       range->offset_bytes) {
		i++;
	}
	g_assert_cmpuint(i, <, window->mapped->len);
	g_assert_cmpuint(g_array_index(window->mapped, struct mapped, i).range.size_bytes, ==,
			 range->size_bytes);
	g_array_remove_index(window->mapped, i);
	ask(window, token, false);
	return true;
}

const struct mapper window_mapper = { .map = map, .unmap = unmap };

struct window_question window_take_question(struct window *window, bool is_refused)
{
	const struct window_question question =
		g_array_index(window->questions, struct window_question, 0);

	g_array_remove_index(window->questions, 0);
	for (guint i = 0; is_refused && question.is_map && i < window->mapped->len; i++) {
		if (g_array_index(window->mapped, struct mapped, i).token == question.token) {
			g_array_remove_index(window->mapped, i);
			break;
		}
	}
	return question;
}
