/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* Commands that wait: in order on their timeline, and independent of the others. */
#include "gpu/fence.h"
#include "unit.h"

static void setup(struct fences *fences, gconstpointer data G_GNUC_UNUSED)
{
	fences_init(fences);
}

static void teardown(struct fences *fences, gconstpointer data G_GNUC_UNUSED)
{
	fences_finish(fences);
}

/* A command without a chain, known by its fence_id. */
static struct renderer_fence add(struct fences *fences, uint64_t id, uint32_t ctx_id, bool has_ring,
				 uint8_t ring_idx)
{
	struct command *command = command_create(NULL, NULL);
	struct renderer_fence fence;

	command->request.header.fence_id = id;
	fences_add(fences, command, ctx_id, has_ring, ring_idx, &fence);
	g_assert_cmpuint(fence.ctx_id, ==, ctx_id);
	g_assert_cmpint(fence.has_ring, ==, has_ring);
	g_assert_cmpuint(fence.ring_idx, ==, ring_idx);
	return fence;
}

static void assert_taken(struct command *command, uint64_t id)
{
	g_assert_nonnull(command);
	g_assert_cmpuint(command->request.header.fence_id, ==, id);
	command_destroy(command);
}

static void test_sequence_starts_at_one_and_grows(struct fences *fences,
						  gconstpointer data G_GNUC_UNUSED)
{
	for (uint64_t i = 1; i <= 100; i++) {
		uint32_t ctx_id = (uint32_t)(i % 3);
		struct renderer_fence fence =
			add(fences, i, ctx_id, ctx_id != 0, (uint8_t)(i % 7));

		g_assert_cmpuint(fence.seq, ==, i);
	}
}

static void test_a_fence_covers_all_before_it(struct fences *fences,
					      gconstpointer data G_GNUC_UNUSED)
{
	struct renderer_fence first = add(fences, 10, 0, false, 0);
	/* The guest's ids are its own. */
	struct renderer_fence second = add(fences, 5, 0, false, 0);
	struct renderer_fence third = add(fences, 10, 0, false, 0);

	assert_taken(fences_take(fences, &second), 10);
	assert_taken(fences_take(fences, &second), 5);
	g_assert_null(fences_take(fences, &second));
	g_assert_null(fences_take(fences, &first)); /* it comes again: nothing */
	assert_taken(fences_take(fences, &third), 10);
	g_assert_null(fences_take(fences, &third));
}

static void test_timelines_do_not_wait_for_each_other(struct fences *fences,
						      gconstpointer data G_GNUC_UNUSED)
{
	struct renderer_fence global = add(fences, 1, 0, false, 0);
	struct renderer_fence ring = add(fences, 2, 7, true, 0);
	struct renderer_fence other_ring = add(fences, 3, 7, true, 1);
	struct renderer_fence other_context = add(fences, 4, 8, true, 0);

	/* The youngest first: it covers no older one elsewhere. */
	assert_taken(fences_take(fences, &other_context), 4);
	g_assert_null(fences_take(fences, &other_context));
	assert_taken(fences_take(fences, &other_ring), 3);
	assert_taken(fences_take(fences, &ring), 2);
	assert_taken(fences_take(fences, &global), 1);
}

static void test_ring_of_context_0_is_not_the_global_one(struct fences *fences,
							 gconstpointer data G_GNUC_UNUSED)
{
	struct renderer_fence ring = add(fences, 1, 0, true, 0);
	struct renderer_fence global = add(fences, 2, 0, false, 0);

	assert_taken(fences_take(fences, &global), 2);
	g_assert_null(fences_take(fences, &global));
	assert_taken(fences_take(fences, &ring), 1);
}

/* Ids whose low bits are alike name different timelines. */
static void test_large_ids(struct fences *fences, gconstpointer data G_GNUC_UNUSED)
{
	static const uint32_t ids[] = { 0, 1, 0x100, 0x10000, 0x1000000, 0x80000000, UINT32_MAX };
	struct renderer_fence made[G_N_ELEMENTS(ids)][2];

	for (size_t i = 0; i < G_N_ELEMENTS(ids); i++) {
		made[i][0] = add(fences, 2 * i, ids[i], true, 0);
		made[i][1] = add(fences, 2 * i + 1, ids[i], true, 255);
	}
	for (size_t i = G_N_ELEMENTS(ids); i-- > 0;) {
		assert_taken(fences_take(fences, &made[i][1]), 2 * i + 1);
		g_assert_null(fences_take(fences, &made[i][1]));
		assert_taken(fences_take(fences, &made[i][0]), 2 * i);
		g_assert_null(fences_take(fences, &made[i][0]));
	}
}

static void test_a_fence_of_nobody(struct fences *fences, gconstpointer data G_GNUC_UNUSED)
{
	add(fences, 1, 0, false, 0);
	g_assert_null(fences_take(fences, &(struct renderer_fence){ .seq = 0 }));
	g_assert_null(fences_take(fences, &(struct renderer_fence){
						  .ctx_id = 99, .has_ring = true, .seq = 1000 }));
}

/* Taken while others are added, as a renderer does it. */
static void test_add_and_take_by_turns(struct fences *fences, gconstpointer data G_GNUC_UNUSED)
{
	struct renderer_fence before = add(fences, 0, 1, true, 1);

	for (uint64_t i = 1; i < 1000; i++) {
		struct renderer_fence now = add(fences, i, 1, true, 1);

		assert_taken(fences_take(fences, &before), i - 1);
		g_assert_null(fences_take(fences, &before));
		before = now;
	}
	assert_taken(fences_take(fences, &before), 999);
	/* A timeline that nothing waits on costs nothing. */
	g_assert_cmpuint(g_hash_table_size(fences->timelines), ==, 0);
}

static void test_take_context(struct fences *fences, gconstpointer data G_GNUC_UNUSED)
{
	struct command *command;
	uint64_t last[2] = { 0, 0 };
	unsigned int n = 0;

	for (uint64_t i = 0; i < 5; i++) {
		add(fences, 100 + i, 7, true, 0);
		add(fences, 200 + i, 7, true, 1);
	}
	add(fences, 1, 0, false, 0);
	add(fences, 2, 8, true, 0);
	while ((command = fences_take_context(fences, 7)) != NULL) {
		uint64_t id = command->request.header.fence_id;
		size_t ring = id >= 200;

		g_assert_cmpuint(id, >, last[ring]);
		last[ring] = id;
		n++;
		command_destroy(command);
	}
	g_assert_cmpuint(n, ==, 10);
	g_assert_null(fences_take_context(fences, 0));
	assert_taken(fences_take_context(fences, 8), 2);
	g_assert_null(fences_take_context(fences, 8));
	assert_taken(fences_take(fences, &(struct renderer_fence){ .seq = UINT64_MAX }), 1);
}

static void test_reset_drops_but_numbers_go_on(struct fences *fences,
					       gconstpointer data G_GNUC_UNUSED)
{
	struct renderer_fence old = add(fences, 1, 0, false, 0);

	add(fences, 2, 7, true, 0);
	fences_reset(fences);
	g_assert_null(fences_take(fences, &old));
	g_assert_null(fences_take_context(fences, 7));
	struct renderer_fence new = add(fences, 3, 0, false, 0);
	g_assert_cmpuint(new.seq, ==, 3);
	/* A signal of before the reset completes nothing of after it. */
	g_assert_null(fences_take(fences, &old));
	assert_taken(fences_take(fences, &new), 3);
	/* What still waits is dropped with the rest: teardown. */
	add(fences, 4, 0, false, 0);
}

int main(int argc, char **argv)
{
	static const struct {
		const char *path;
		void (*test)(struct fences *fences, gconstpointer data);
	} tests[] = {
		{ "/fence/sequence-starts-at-one-and-grows",
		  test_sequence_starts_at_one_and_grows },
		{ "/fence/covers-all-before-it", test_a_fence_covers_all_before_it },
		{ "/fence/timelines-do-not-wait-for-each-other",
		  test_timelines_do_not_wait_for_each_other },
		{ "/fence/ring-of-context-0-is-not-the-global-one",
		  test_ring_of_context_0_is_not_the_global_one },
		{ "/fence/large-ids", test_large_ids },
		{ "/fence/of-nobody", test_a_fence_of_nobody },
		{ "/fence/add-and-take-by-turns", test_add_and_take_by_turns },
		{ "/fence/take-context", test_take_context },
		{ "/fence/reset-drops-but-numbers-go-on", test_reset_drops_but_numbers_go_on },
	};

	g_test_init(&argc, &argv, NULL);
	for (size_t i = 0; i < G_N_ELEMENTS(tests); i++) {
		g_test_add(tests[i].path, struct fences, NULL, setup, tests[i].test, teardown);
	}
	return g_test_run();
}
