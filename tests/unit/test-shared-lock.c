/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* The lock between two processes: that it excludes, that it wakes, and that it can be had without.
 */
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

#include "unit.h"
#include "util/shared_lock.h"

#define N_ROUNDS 100000u
#define N_WORKERS 3u
#define SHORT_US (20 * G_TIME_SPAN_MILLISECOND)

/* In memory that children share. */
struct shared {
	struct shared_lock lock;
	unsigned int counter; /* under the lock */
	int is_up;	      /* atomic */
};

struct fixture {
	struct shared *shared;
};

static void setup(struct fixture *f, gconstpointer data G_GNUC_UNUSED)
{
	f->shared = mmap(NULL, sizeof(*f->shared), PROT_READ | PROT_WRITE,
			 MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	g_assert_true(f->shared != MAP_FAILED);
	shared_lock_init(&f->shared->lock);
}

static void teardown(struct fixture *f, gconstpointer data G_GNUC_UNUSED)
{
	munmap(f->shared, sizeof(*f->shared));
}

static uint32_t word_of(const struct shared *shared)
{
	return __atomic_load_n(&shared->lock.word, __ATOMIC_RELAXED);
}

static bool is_up(void *data)
{
	struct shared *shared = data;

	return g_atomic_int_get(&shared->is_up) != 0;
}

static bool is_awaited(void *data)
{
	return word_of(data) == SHARED_LOCK_AWAITED;
}

static pid_t start_child(struct shared *shared, void (*run)(struct shared *shared))
{
	pid_t pid = fork();

	g_assert_no_errno(pid);
	if (pid == 0) {
		run(shared);
		_exit(0);
	}
	return pid;
}

static void kill_child(pid_t pid)
{
	g_assert_no_errno(kill(pid, SIGKILL));
	g_assert_cmpint(waitpid(pid, NULL, 0), ==, pid);
}

static void join_child(pid_t pid)
{
	int status;

	g_assert_cmpint(waitpid(pid, &status, 0), ==, pid);
	g_assert_cmpint(status, ==, 0);
}

/* ---- excluding ---- */

static void test_one(struct fixture *f, gconstpointer data G_GNUC_UNUSED)
{
	struct shared_lock *lock = &f->shared->lock;

	for (unsigned int i = 0; i < 3; i++) {
		shared_lock_take(lock);
		/* Nobody waits, so that the release need not enter the kernel. */
		g_assert_cmpuint(word_of(f->shared), ==, SHARED_LOCK_HELD);
		g_assert_false(shared_lock_try(lock));
		shared_lock_release(lock);
		g_assert_cmpuint(word_of(f->shared), ==, SHARED_LOCK_FREE);
	}
	g_assert_true(shared_lock_try(lock));
	shared_lock_release(lock);
	g_assert_true(shared_lock_take_within(lock, 0));
	g_assert_cmpuint(word_of(f->shared), ==, SHARED_LOCK_HELD);
	shared_lock_release(lock);
}

/* Not atomic by itself: two at a time would lose some. */
static void count(struct shared *shared)
{
	for (unsigned int i = 0; i < N_ROUNDS; i++) {
		shared_lock_take(&shared->lock);
		shared->counter++;
		shared_lock_release(&shared->lock);
	}
}

static void *count_in_thread(void *data)
{
	count(data);
	return NULL;
}

static void test_threads(struct fixture *f, gconstpointer data G_GNUC_UNUSED)
{
	GThread *threads[N_WORKERS];

	for (unsigned int i = 0; i < N_WORKERS; i++) {
		threads[i] = g_thread_new("counter", count_in_thread, f->shared);
	}
	for (unsigned int i = 0; i < N_WORKERS; i++) {
		g_thread_join(threads[i]);
	}
	g_assert_cmpuint(f->shared->counter, ==, N_WORKERS * N_ROUNDS);
	g_assert_true(shared_lock_try(&f->shared->lock));
}

static void test_processes(struct fixture *f, gconstpointer data G_GNUC_UNUSED)
{
	pid_t pids[N_WORKERS];

	for (unsigned int i = 0; i < N_WORKERS; i++) {
		pids[i] = start_child(f->shared, count);
	}
	/* With a limit, as the transport takes it. */
	for (unsigned int i = 0; i < N_ROUNDS; i++) {
		g_assert_true(shared_lock_take_within(&f->shared->lock,
						      UNIT_TIMEOUT_MS * G_TIME_SPAN_MILLISECOND));
		f->shared->counter++;
		shared_lock_release(&f->shared->lock);
	}
	for (unsigned int i = 0; i < N_WORKERS; i++) {
		join_child(pids[i]);
	}
	g_assert_cmpuint(f->shared->counter, ==, (N_WORKERS + 1) * N_ROUNDS);
	g_assert_true(shared_lock_try(&f->shared->lock));
}

/* ---- waking ---- */

static void *take_and_release(void *data)
{
	struct shared *shared = data;

	shared_lock_take(&shared->lock);
	shared_lock_release(&shared->lock);
	return NULL;
}

static void take_and_end(struct shared *shared)
{
	take_and_release(shared);
}

static void test_release_wakes(struct fixture *f, gconstpointer data G_GNUC_UNUSED)
{
	shared_lock_take(&f->shared->lock);
	GThread *thread = g_thread_new("waiter", take_and_release, f->shared);
	pid_t pid = start_child(f->shared, take_and_end);
	g_assert_true(unit_wait(is_awaited, f->shared));
	shared_lock_release(&f->shared->lock);
	g_thread_join(thread);
	join_child(pid);
	g_assert_true(shared_lock_try(&f->shared->lock));
}

static bool is_asleep(void *data)
{
	g_autofree char *path = g_strdup_printf("/proc/%d/stat", *(const pid_t *)data);
	g_autofree char *stat = NULL;

	g_assert_true(g_file_get_contents(path, &stat, NULL, NULL));
	return *(strrchr(stat, ')') + 2) == 'S';
}

static void take_traced(struct shared *shared)
{
	if (ptrace(PTRACE_TRACEME, 0, NULL, NULL) < 0) {
		_exit(errno);
	}
	raise(SIGSTOP);
	take_and_end(shared);
}

/* Let it go on to where it enters or leaves the kernel. */
static void next_syscall(pid_t pid)
{
	int status;

	g_assert_no_errno((int)ptrace(PTRACE_SYSCALL, pid, NULL, NULL));
	g_assert_cmpint(waitpid(pid, &status, 0), ==, pid);
	g_assert_true(WIFSTOPPED(status));
}

/* The first one that a release wakes is killed before it can take the lock. */
static void test_waiter_dies(struct fixture *f, gconstpointer data G_GNUC_UNUSED)
{
	int status;

	shared_lock_take(&f->shared->lock);
	pid_t first = start_child(f->shared, take_traced);
	g_assert_cmpint(waitpid(first, &status, 0), ==, first);
	if (WIFEXITED(status)) {
		g_test_skip(g_strerror(WEXITSTATUS(status)));
		return;
	}
	while (!is_awaited(f->shared)) {
		next_syscall(first);
	}
	/* It is about to enter the kernel for its sleep. */
	g_assert_no_errno((int)ptrace(PTRACE_SYSCALL, first, NULL, NULL));
	g_assert_true(unit_wait(is_asleep, &first));
	pid_t second = start_child(f->shared, take_and_end);
	g_assert_true(unit_wait(is_asleep, &second));
	shared_lock_release(&f->shared->lock);
	g_assert_cmpint(waitpid(first, &status, 0), ==, first);
	g_assert_true(WIFSTOPPED(status));
	join_child(second);
	kill_child(first);
	g_assert_true(shared_lock_try(&f->shared->lock));
}

/* ---- limits ---- */

static void assert_times_out(struct shared *shared)
{
	gint64 before_us = g_get_monotonic_time();

	g_assert_false(shared_lock_take_within(&shared->lock, SHORT_US));
	gint64 took_us = g_get_monotonic_time() - before_us;
	g_assert_cmpint(took_us, >=, SHORT_US);
	g_assert_cmpint(took_us, <, UNIT_TIMEOUT_MS * G_TIME_SPAN_MILLISECOND);
}

static void test_times_out(struct fixture *f, gconstpointer data G_GNUC_UNUSED)
{
	shared_lock_take(&f->shared->lock);
	assert_times_out(f->shared);
	g_assert_false(shared_lock_take_within(&f->shared->lock, 0));
	/* Its holder notices nothing. */
	shared_lock_release(&f->shared->lock);
	g_assert_true(shared_lock_take_within(&f->shared->lock, 0));
}

static void test_any_word_times_out(struct fixture *f, gconstpointer data G_GNUC_UNUSED)
{
	const uint32_t words[] = { SHARED_LOCK_HELD, SHARED_LOCK_AWAITED, 3, 0x80000000,
				   UINT32_MAX };

	for (size_t i = 0; i < G_N_ELEMENTS(words); i++) {
		f->shared->lock.word = words[i];
		assert_times_out(f->shared);
		shared_lock_break(&f->shared->lock);
		g_assert_true(shared_lock_try(&f->shared->lock));
		shared_lock_release(&f->shared->lock);
	}
}

static void scribble(struct shared *shared)
{
	for (uint32_t word = 1;; word = word * 1664525 + 1013904223) {
		__atomic_store_n(&shared->lock.word, word | 1, __ATOMIC_RELAXED);
		g_atomic_int_set(&shared->is_up, 1);
	}
}

/* Neither asleep for ever nor awake for ever. */
static void test_changing_word_times_out(struct fixture *f, gconstpointer data G_GNUC_UNUSED)
{
	pid_t pid = start_child(f->shared, scribble);

	g_assert_true(unit_wait(is_up, f->shared));
	assert_times_out(f->shared);
	kill_child(pid);
}

/* ---- breaking ---- */

static void take_and_stay(struct shared *shared)
{
	shared_lock_take(&shared->lock);
	g_atomic_int_set(&shared->is_up, 1);
	while (true) {
		pause();
	}
}

static void test_holder_dies(struct fixture *f, gconstpointer data G_GNUC_UNUSED)
{
	pid_t pid = start_child(f->shared, take_and_stay);

	g_assert_true(unit_wait(is_up, f->shared));
	kill_child(pid);
	g_assert_false(shared_lock_take_within(&f->shared->lock, 0));
	/* Who waits for ever for it is heard, too. */
	GThread *thread = g_thread_new("waiter", take_and_release, f->shared);
	g_assert_true(unit_wait(is_awaited, f->shared));
	shared_lock_break(&f->shared->lock);
	g_thread_join(thread);
	g_assert_true(shared_lock_try(&f->shared->lock));
}

static const struct {
	const char *path;
	void (*test)(struct fixture *f, gconstpointer data);
} tests[] = {
	{ "/shared-lock/one", test_one },
	{ "/shared-lock/threads", test_threads },
	{ "/shared-lock/processes", test_processes },
	{ "/shared-lock/release-wakes", test_release_wakes },
	{ "/shared-lock/waiter-dies", test_waiter_dies },
	{ "/shared-lock/times-out", test_times_out },
	{ "/shared-lock/any-word-times-out", test_any_word_times_out },
	{ "/shared-lock/changing-word-times-out", test_changing_word_times_out },
	{ "/shared-lock/holder-dies", test_holder_dies },
};

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	for (size_t i = 0; i < G_N_ELEMENTS(tests); i++) {
		g_test_add(tests[i].path, struct fixture, NULL, setup, tests[i].test, teardown);
	}
	return g_test_run();
}
