/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* Fences that a library signals, in whichever order, how often and on which thread it likes. */
#include "renderer/timelines.h"
#include "unit.h"

struct fixture {
	struct timelines timelines;
	struct renderer r;
	GString *told; /* "ctx.ring=seq " for each, "g=seq " for the one that is no ring's */
	int n_wakes;   /* atomic */
};

static void wake(void *data)
{
	struct fixture *f = data;

	g_atomic_int_inc(&f->n_wakes);
}

static void fence_signaled(void *data, const struct renderer_fence *fence)
{
	struct fixture *f = data;

	if (fence->has_ring) {
		g_string_append_printf(f->told, "%u.%u=%u ", fence->ctx_id, fence->ring_idx,
				       (unsigned int)fence->seq);
	} else {
		g_string_append_printf(f->told, "g=%u ", (unsigned int)fence->seq);
	}
}

static const struct renderer_listener listener = { .fence_signaled = fence_signaled };

static void setup(struct fixture *f, gconstpointer data G_GNUC_UNUSED)
{
	*f = (struct fixture){ .told = g_string_new(NULL) };
	timelines_init(&f->timelines, wake, f);
	renderer_set_listener(&f->r, &listener, f);
}

static void teardown(struct fixture *f, gconstpointer data G_GNUC_UNUSED)
{
	timelines_finish(&f->timelines);
	g_string_free(f->told, TRUE);
}

static struct renderer_fence on_ring(uint32_t ctx_id, uint8_t ring_idx, uint64_t seq)
{
	return (struct renderer_fence){
		.ctx_id = ctx_id, .has_ring = true, .ring_idx = ring_idx, .seq = seq
	};
}

static struct renderer_fence on_none(uint64_t seq)
{
	return (struct renderer_fence){ .seq = seq };
}

static void add(struct fixture *f, struct renderer_fence fence)
{
	g_assert_true(timelines_add(&f->timelines, &fence));
}

static void signal_fence(struct fixture *f, struct renderer_fence fence)
{
	timelines_signal(&f->timelines, &fence);
}

static void check(struct fixture *f, const char *told)
{
	g_assert_true(timelines_report(&f->timelines, &f->r) == (*told != '\0'));
	g_assert_cmpstr(f->told->str, ==, told);
	g_string_truncate(f->told, 0);
}

static void test_order(struct fixture *f, gconstpointer data G_GNUC_UNUSED)
{
	add(f, on_none(1));
	add(f, on_ring(5, 0, 2));
	add(f, on_ring(5, 1, 3));
	add(f, on_ring(5, 0, 4));
	add(f, on_ring(6, 0, 5));
	check(f, "");
	signal_fence(f, on_ring(6, 0, 5));
	signal_fence(f, on_ring(5, 0, 2));
	g_assert_cmpint(f->n_wakes, ==, 2);
	check(f, "6.0=5 5.0=2 ");
	/* One says it for those before it. */
	add(f, on_ring(5, 0, 6));
	signal_fence(f, on_ring(5, 0, 6));
	signal_fence(f, on_ring(5, 0, 4));
	check(f, "5.0=6 ");
	signal_fence(f, on_none(1));
	signal_fence(f, on_ring(5, 1, 3));
	check(f, "g=1 5.1=3 ");
	g_assert_cmpuint(f->timelines.n_waiting, ==, 0);
	check(f, "");
}

/* Of what is not waited for nothing is believed. */
static void test_lies(struct fixture *f, gconstpointer data G_GNUC_UNUSED)
{
	add(f, on_ring(5, 0, 10));
	signal_fence(f, on_ring(5, 0, 9));
	signal_fence(f, on_ring(5, 1, 10));
	signal_fence(f, on_ring(4, 0, 10));
	signal_fence(f, on_none(10));
	check(f, "");
	signal_fence(f, on_ring(5, 0, 10));
	signal_fence(f, on_ring(5, 0, 10));
	check(f, "5.0=10 ");
}

static void test_forgo(struct fixture *f, gconstpointer data G_GNUC_UNUSED)
{
	const struct renderer_fence refused = on_ring(5, 0, 2);

	add(f, on_ring(5, 0, 1));
	add(f, refused);
	timelines_forgo(&f->timelines, &refused);
	g_assert_cmpuint(f->timelines.n_waiting, ==, 1);
	signal_fence(f, refused);
	/* That it came means that those before it are done. */
	check(f, "5.0=2 ");
	add(f, refused);
	timelines_forgo(&f->timelines, &refused);
	g_assert_cmpuint(f->timelines.n_waiting, ==, 0);
}

static void test_add_done(struct fixture *f, gconstpointer data G_GNUC_UNUSED)
{
	const struct renderer_fence fence = on_ring(5, 1, 7);

	timelines_add_done(&f->timelines, &fence);
	g_assert_cmpint(f->n_wakes, ==, 1);
	check(f, "5.1=7 ");
}

static void test_contexts(struct fixture *f, gconstpointer data G_GNUC_UNUSED)
{
	add(f, on_none(1));
	add(f, on_ring(5, 0, 2));
	add(f, on_ring(5, 1, 3));
	add(f, on_ring(6, 0, 4));
	timelines_drop(&f->timelines, 5);
	g_assert_cmpuint(f->timelines.n_waiting, ==, 2);
	signal_fence(f, on_ring(5, 0, 2));
	timelines_lose(&f->timelines, 6);
	check(f, "6.0=4 ");
	/* Its id is given to another, whose fences an old one does not end. */
	add(f, on_ring(5, 0, 8));
	signal_fence(f, on_ring(5, 0, 3));
	check(f, "");
	timelines_drop(&f->timelines, 5);
	g_assert_cmpuint(f->timelines.n_waiting, ==, 1);
}

static void test_too_many(struct fixture *f, gconstpointer data G_GNUC_UNUSED)
{
	const struct renderer_fence one_more = on_ring(5, 2, TIMELINES_MAX_WAITING + 1);

	for (uint64_t seq = 1; seq <= TIMELINES_MAX_WAITING; seq++) {
		add(f, on_ring(5, (uint8_t)(seq % 2), seq));
	}
	g_assert_false(timelines_add(&f->timelines, &one_more));
	signal_fence(f, on_ring(5, 0, 2));
	check(f, "5.0=2 ");
	g_assert_true(timelines_add(&f->timelines, &one_more));
}

/* ---- another thread ---- */

#define N_FENCES 20000u

static void *signal_all(void *data)
{
	struct fixture *f = data;

	for (uint64_t seq = 1; seq <= N_FENCES; seq++) {
		signal_fence(f, on_ring(5, 0, seq));
	}
	return NULL;
}

static void test_thread(struct fixture *f, gconstpointer data G_GNUC_UNUSED)
{
	GThread *thread = g_thread_new("signals", signal_all, f);

	/* They may be faster than we; the last is not. */
	for (uint64_t seq = 1; seq <= N_FENCES; seq++) {
		while (!timelines_add(&f->timelines, &(struct renderer_fence){
							     .ctx_id = 5,
							     .has_ring = true,
							     .seq = seq,
						     })) {
			timelines_report(&f->timelines, &f->r);
		}
	}
	g_thread_join(thread);
	signal_fence(f, on_ring(5, 0, N_FENCES));
	timelines_report(&f->timelines, &f->r);
	g_assert_cmpuint(f->timelines.n_waiting, ==, 0);
	g_assert_true(g_str_has_suffix(f->told->str, "5.0=20000 "));
}

int main(int argc, char **argv)
{
	static const struct {
		const char *path;
		void (*test)(struct fixture *f, gconstpointer data);
	} tests[] = {
		{ "/timelines/order", test_order },	  { "/timelines/lies", test_lies },
		{ "/timelines/forgo", test_forgo },	  { "/timelines/add-done", test_add_done },
		{ "/timelines/contexts", test_contexts }, { "/timelines/too-many", test_too_many },
		{ "/timelines/thread", test_thread },
	};

	g_test_init(&argc, &argv, NULL);
	for (size_t i = 0; i < G_N_ELEMENTS(tests); i++) {
		g_test_add(tests[i].path, struct fixture, NULL, setup, tests[i].test, teardown);
	}
	return g_test_run();
}
