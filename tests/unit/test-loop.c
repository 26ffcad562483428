/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* Sources, timers and wake-ups of one thread's loop, and what may happen inside a dispatch. */
#include <errno.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "util/loop.h"
#include "unit.h"

#define N_SOURCES 4
/* Ends a test whose loop would otherwise run for ever. */
#define GUARD_US (UNIT_TIMEOUT_MS * 1000)

struct fixture {
	struct loop loop;
	struct loop_timer guard;
	GString *trace; /* a letter for each thing that happened */
	unsigned int n_woken;
};

static void guard_expired(void *data G_GNUC_UNUSED)
{
	g_error("the loop was not ended in time");
}

static void woken(void *data)
{
	struct fixture *f = data;

	f->n_woken++;
	loop_quit(&f->loop);
}

static void setup(struct fixture *f, gconstpointer data G_GNUC_UNUSED)
{
	g_assert_cmpint(loop_init(&f->loop, woken, f), ==, 0);
	f->guard = (struct loop_timer){ .expired = guard_expired };
	f->trace = g_string_new(NULL);
	loop_timer_arm(&f->loop, &f->guard, GUARD_US);
}

static void teardown(struct fixture *f, gconstpointer data G_GNUC_UNUSED)
{
	loop_timer_disarm(&f->loop, &f->guard);
	loop_finish(&f->loop);
	g_string_free(f->trace, TRUE);
}

static void run(struct fixture *f)
{
	f->loop.quit = false;
	g_assert_cmpint(loop_run(&f->loop), ==, 0);
}

/* ---- sources ---- */

struct source {
	struct loop_source base;
	struct fixture *f;
	int fd;
	struct source *victim; /* to be removed by our dispatch, or NULL */
	uint32_t events;
};

static void dispatch_quit(void *data, uint32_t events)
{
	struct source *source = data;

	source->events = events;
	g_string_append_c(source->f->trace, 's');
	loop_quit(&source->f->loop);
}

static void test_dispatch_gets_the_events(struct fixture *f, gconstpointer data G_GNUC_UNUSED)
{
	struct source source = { .f = f, .fd = unit_eventfd() };

	source.base = (struct loop_source){ .dispatch = dispatch_quit, .data = &source };
	g_assert_cmpint(loop_add(&f->loop, &source.base, source.fd, EPOLLOUT), ==, 0);
	g_assert_true(source.base.is_added);
	run(f);
	g_assert_cmphex(source.events, ==, EPOLLOUT);
	/* Now something else is of interest. */
	g_assert_cmpint(loop_modify(&f->loop, &source.base, EPOLLIN), ==, 0);
	uint64_t one = 1;
	g_assert_cmpint(write(source.fd, &one, sizeof(one)), ==, sizeof(one));
	run(f);
	g_assert_cmphex(source.events, ==, EPOLLIN);
	loop_remove(&f->loop, &source.base);
	g_assert_false(source.base.is_added);
	loop_remove(&f->loop, &source.base); /* twice is fine */
	close(source.fd);
}

static void test_add_reports_errors(struct fixture *f, gconstpointer data G_GNUC_UNUSED)
{
	struct source source = { .f = f, .fd = unit_memfd(1) };

	/* A file is always ready: epoll refuses it. */
	g_assert_cmpint(loop_add(&f->loop, &source.base, source.fd, EPOLLIN), ==, -EPERM);
	g_assert_false(source.base.is_added);
	loop_remove(&f->loop, &source.base);
	close(source.fd);
}

/* Each that runs removes its victim; all are ready at once. */
static void dispatch_remove(void *data, uint32_t events G_GNUC_UNUSED)
{
	struct source *source = data;

	g_string_append_c(source->f->trace, 'r');
	g_assert_true(source->base.is_added);
	for (unsigned int i = 0; i < N_SOURCES; i++) {
		if (&source->victim[i] != source) {
			loop_remove(&source->f->loop, &source->victim[i].base);
		}
	}
	loop_quit(&source->f->loop);
}

static void test_removed_inside_dispatch(struct fixture *f, gconstpointer data G_GNUC_UNUSED)
{
	struct source sources[N_SOURCES];

	for (unsigned int i = 0; i < N_SOURCES; i++) {
		sources[i] = (struct source){ .f = f, .fd = unit_eventfd(), .victim = sources };
		sources[i].base =
			(struct loop_source){ .dispatch = dispatch_remove, .data = &sources[i] };
		g_assert_cmpint(loop_add(&f->loop, &sources[i].base, sources[i].fd, EPOLLOUT), ==,
				0);
	}
	run(f);
	/* The first removed the others, whose events were in the same batch. */
	g_assert_cmpstr(f->trace->str, ==, "r");
	for (unsigned int i = 0; i < N_SOURCES; i++) {
		loop_remove(&f->loop, &sources[i].base);
		close(sources[i].fd);
	}
}

static void dispatch_remove_self(void *data, uint32_t events G_GNUC_UNUSED)
{
	struct source *source = data;

	g_string_append_c(source->f->trace, 'r');
	loop_remove(&source->f->loop, &source->base);
	loop_wake(&source->f->loop);
}

static void test_removes_itself(struct fixture *f, gconstpointer data G_GNUC_UNUSED)
{
	struct source source = { .f = f, .fd = unit_eventfd() };

	source.base = (struct loop_source){ .dispatch = dispatch_remove_self, .data = &source };
	g_assert_cmpint(loop_add(&f->loop, &source.base, source.fd, EPOLLOUT), ==, 0);
	run(f);
	g_assert_cmpstr(f->trace->str, ==, "r");
	close(source.fd);
}

static void test_more_sources_than_a_batch(struct fixture *f, gconstpointer data G_GNUC_UNUSED)
{
	enum { N = 3 * LOOP_MAX_EVENTS };
	struct source sources[N];

	for (unsigned int i = 0; i < N; i++) {
		sources[i] = (struct source){ .f = f, .fd = unit_eventfd() };
		sources[i].base = (struct loop_source){ .dispatch = dispatch_remove_self,
							.data = &sources[i] };
		g_assert_cmpint(loop_add(&f->loop, &sources[i].base, sources[i].fd, EPOLLOUT), ==,
				0);
	}
	while (f->trace->len < N) {
		run(f);
	}
	g_assert_cmpuint(f->trace->len, ==, N);
	for (unsigned int i = 0; i < N; i++) {
		close(sources[i].fd);
	}
}

/* ---- timers ---- */

struct timer {
	struct loop_timer base;
	struct fixture *f;
	char letter;
	bool is_last;
	struct timer *to_disarm;
};

static void timer_expired(void *data)
{
	struct timer *timer = data;

	g_assert_cmpint(timer->base.deadline_us, ==, 0);
	g_string_append_c(timer->f->trace, timer->letter);
	if (timer->to_disarm != NULL) {
		loop_timer_disarm(&timer->f->loop, &timer->to_disarm->base);
	}
	if (timer->is_last) {
		loop_quit(&timer->f->loop);
	}
}

static void timer_init(struct timer *timer, struct fixture *f, char letter)
{
	*timer = (struct timer){ .f = f, .letter = letter };
	timer->base = (struct loop_timer){ .expired = timer_expired, .data = timer };
}

static void test_timers_go_off_in_order(struct fixture *f, gconstpointer data G_GNUC_UNUSED)
{
	struct timer a, b, c, d;

	timer_init(&a, f, 'a');
	timer_init(&b, f, 'b');
	timer_init(&c, f, 'c');
	timer_init(&d, f, 'd');
	d.is_last = true;
	gint64 start_us = g_get_monotonic_time();
	loop_timer_arm(&f->loop, &d.base, 4000);
	loop_timer_arm(&f->loop, &b.base, 2000);
	loop_timer_arm(&f->loop, &a.base, 1000);
	loop_timer_arm(&f->loop, &c.base, 3000);
	run(f);
	g_assert_cmpstr(f->trace->str, ==, "abcd");
	g_assert_cmpint(g_get_monotonic_time() - start_us, >=, 4000);
}

static void test_timer_rearmed_and_disarmed(struct fixture *f, gconstpointer data G_GNUC_UNUSED)
{
	struct timer a, b, c;

	timer_init(&a, f, 'a');
	timer_init(&b, f, 'b');
	timer_init(&c, f, 'c');
	c.is_last = true;
	loop_timer_arm(&f->loop, &a.base, 0);
	loop_timer_arm(&f->loop, &b.base, 1000);
	loop_timer_arm(&f->loop, &a.base, 2000); /* moves it */
	loop_timer_arm(&f->loop, &c.base, 3000);
	run(f);
	g_assert_cmpstr(f->trace->str, ==, "bac");

	loop_timer_arm(&f->loop, &a.base, 0);
	loop_timer_arm(&f->loop, &c.base, 1000);
	loop_timer_disarm(&f->loop, &a.base);
	loop_timer_disarm(&f->loop, &a.base); /* twice is fine */
	loop_timer_disarm(&f->loop, &b.base); /* never armed again */
	run(f);
	g_assert_cmpstr(f->trace->str, ==, "bacc");
}

static void test_timer_disarmed_by_another(struct fixture *f, gconstpointer data G_GNUC_UNUSED)
{
	struct timer a, b, c;

	timer_init(&a, f, 'a');
	timer_init(&b, f, 'b');
	timer_init(&c, f, 'c');
	a.to_disarm = &b;
	c.is_last = true;
	/* All due at once. */
	loop_timer_arm(&f->loop, &a.base, 0);
	loop_timer_arm(&f->loop, &b.base, 0);
	loop_timer_arm(&f->loop, &c.base, 0);
	run(f);
	g_assert_cmpstr(f->trace->str, ==, "ac");
}

static void rearm_thrice(void *data)
{
	struct timer *timer = data;

	g_string_append_c(timer->f->trace, timer->letter);
	if (timer->f->trace->len < 3) {
		loop_timer_arm(&timer->f->loop, &timer->base, 100);
	} else {
		loop_quit(&timer->f->loop);
	}
}

static void test_timer_rearms_itself(struct fixture *f, gconstpointer data G_GNUC_UNUSED)
{
	struct timer timer;

	timer_init(&timer, f, 't');
	timer.base.expired = rearm_thrice;
	loop_timer_arm(&f->loop, &timer.base, 0);
	run(f);
	g_assert_cmpstr(f->trace->str, ==, "ttt");
}

/* ---- waking ---- */

static void *wake_from_thread(void *data)
{
	loop_wake(data);
	return NULL;
}

static void test_woken_by_another_thread(struct fixture *f, gconstpointer data G_GNUC_UNUSED)
{
	GThread *thread = g_thread_new("wake", wake_from_thread, &f->loop);

	run(f);
	g_assert_cmpuint(f->n_woken, ==, 1);
	g_thread_join(thread);
}

static void test_wakes_before_run_become_one(struct fixture *f, gconstpointer data G_GNUC_UNUSED)
{
	for (int i = 0; i < 100; i++) {
		loop_wake(&f->loop);
	}
	run(f);
	g_assert_cmpuint(f->n_woken, ==, 1);
	/* Nothing is left over from them. */
	g_assert_false(unit_is_readable(f->loop.epoll_fd));
	loop_wake(&f->loop);
	run(f);
	g_assert_cmpuint(f->n_woken, ==, 2);
}

static void *wake_often(void *data)
{
	for (int i = 0; i < 1000; i++) {
		loop_wake(data);
	}
	return NULL;
}

static void test_wakes_of_many_threads(struct fixture *f, gconstpointer data G_GNUC_UNUSED)
{
	GThread *threads[4];

	for (size_t i = 0; i < G_N_ELEMENTS(threads); i++) {
		threads[i] = g_thread_new("wake", wake_often, &f->loop);
	}
	run(f);
	for (size_t i = 0; i < G_N_ELEMENTS(threads); i++) {
		g_thread_join(threads[i]);
	}
	loop_wake(&f->loop);
	run(f);
	g_assert_cmpuint(f->n_woken, ==, 2);
}

static void dispatch_abandon(void *data, uint32_t events G_GNUC_UNUSED)
{
	struct source *source = data;

	g_string_append_c(source->f->trace, 'a');
	loop_abandon(&source->f->loop);
}

/* Nothing that was ready or armed is touched again, not even where it is freed memory. */
static void test_abandoned_inside_dispatch(struct fixture *f, gconstpointer data G_GNUC_UNUSED)
{
	struct source sources[3];
	struct timer timer;

	for (size_t i = 0; i < G_N_ELEMENTS(sources); i++) {
		sources[i] = (struct source){ .f = f, .fd = unit_eventfd() };
		sources[i].base = (struct loop_source){ .dispatch = dispatch_abandon,
							.data = &sources[i] };
		g_assert_cmpint(loop_add(&f->loop, &sources[i].base, sources[i].fd, EPOLLOUT), ==,
				0);
	}
	timer_init(&timer, f, 't');
	loop_timer_arm(&f->loop, &timer.base, 0);
	run(f);
	g_assert_cmpstr(f->trace->str, ==, "a");
	for (size_t i = 0; i < G_N_ELEMENTS(sources); i++) {
		close(sources[i].fd);
	}
}

static void test_life(void)
{
	unsigned int n_fds = unit_count_fds();
	struct loop loop;

	/* Nobody to be woken: a wake-up is only swallowed. */
	g_assert_cmpint(loop_init(&loop, NULL, NULL), ==, 0);
	loop_wake(&loop);
	loop_finish(&loop);
	loop_finish(&loop); /* twice is fine */
	g_assert_cmpuint(unit_count_fds(), ==, n_fds);
}

int main(int argc, char **argv)
{
	static const struct {
		const char *path;
		void (*test)(struct fixture *f, gconstpointer data);
	} tests[] = {
		{ "/loop/dispatch-gets-the-events", test_dispatch_gets_the_events },
		{ "/loop/add-reports-errors", test_add_reports_errors },
		{ "/loop/removed-inside-dispatch", test_removed_inside_dispatch },
		{ "/loop/removes-itself", test_removes_itself },
		{ "/loop/more-sources-than-a-batch", test_more_sources_than_a_batch },
		{ "/loop/timers-go-off-in-order", test_timers_go_off_in_order },
		{ "/loop/timer-rearmed-and-disarmed", test_timer_rearmed_and_disarmed },
		{ "/loop/timer-disarmed-by-another", test_timer_disarmed_by_another },
		{ "/loop/timer-rearms-itself", test_timer_rearms_itself },
		{ "/loop/woken-by-another-thread", test_woken_by_another_thread },
		{ "/loop/wakes-before-run-become-one", test_wakes_before_run_become_one },
		{ "/loop/wakes-of-many-threads", test_wakes_of_many_threads },
		{ "/loop/abandoned-inside-dispatch", test_abandoned_inside_dispatch },
	};

	g_test_init(&argc, &argv, NULL);
	for (size_t i = 0; i < G_N_ELEMENTS(tests); i++) {
		g_test_add(tests[i].path, struct fixture, NULL, setup, tests[i].test, teardown);
	}
	g_test_add_func("/loop/life", test_life);
	return g_test_run();
}
