/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * GLib ends the whole program at the first failed assertion. Here that would lose every test that
 * follows, and a daemon under test would outlive its test. So each test runs in a child of its own:
 * the child's standard output is its standard error (GLib says "Bail out!" on standard output,
 * which a TAP reader takes for the end of everything), a skip comes back as exit status 77 with its
 * reason in a pipe, and anything but 0 or 77 is a failure. As a subreaper this process inherits
 * whatever a test leaves behind: it is ended, and where the test had passed, fails it.
 */
#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "suite.h"

#define EXIT_SKIP 77
#define TEST_LIMIT_S 60
#define ORPHAN_LIMIT_MS 10000
/* Of what was killed, and has gigabytes to give back first. */
#define KILLED_LIMIT_MS 30000

struct suite_test {
	char *path;
	suite_fn fn;
	const void *data;
};

static FILE *results;
static GPtrArray *tests; /* of struct suite_test *; GLib's tests refer to them */
static int skip_pipe = -1;
static int limit_s = TEST_LIMIT_S;

static int timeout_factor(void)
{
	const char *text = g_getenv("TEST_TIMEOUT_FACTOR");
	int factor = text ? atoi(text) : 1;

	return CLAMP(factor, 1, 100);
}

int suite_timeout_ms(int milliseconds)
{
	return milliseconds * timeout_factor();
}

int64_t suite_deadline_us(int milliseconds)
{
	return g_get_monotonic_time() + (int64_t)suite_timeout_ms(milliseconds) * 1000;
}

int suite_left_ms(int64_t deadline_us)
{
	int64_t left = deadline_us - g_get_monotonic_time();

	return left <= 0 ? 0 : (int)(left / 1000) + 1;
}

bool suite_wait(bool (*condition)(void *data), void *data, int milliseconds)
{
	int64_t deadline = suite_deadline_us(milliseconds);

	while (!condition(data)) {
		if (suite_left_ms(deadline) == 0) {
			return condition(data);
		}
		g_usleep(1000);
	}
	return true;
}

void suite_skip(const char *reason_format, ...)
{
	va_list args;
	va_start(args, reason_format);
	g_autofree char *reason = g_strdup_vprintf(reason_format, args);
	va_end(args);

	if (write(skip_pipe, reason, strlen(reason)) < 0) {
		_exit(EXIT_FAILURE);
	}
	exit(EXIT_SKIP);
}

static void record(const char *outcome, const char *path)
{
	if (results) {
		fprintf(results, "%s %s\n", outcome, path);
		fflush(results);
	}
}

static void run_child(const struct suite_test *test)
{
	/* A group of its own, so that the parent can end all it has started; and never outlive the
	 * parent. */
	setpgid(0, 0);
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	dup2(STDERR_FILENO, STDOUT_FILENO);
	signal(SIGPIPE, SIG_IGN);
	if (results) {
		close(fileno(results));
	}
	test->fn(test->data);
	exit(EXIT_SUCCESS);
}

static int wait_child(pid_t pid)
{
	int64_t deadline = suite_deadline_us(limit_s * 1000);
	int status = 0;
	pid_t done;

	while ((done = waitpid(pid, &status, WNOHANG)) == 0 && suite_left_ms(deadline) > 0) {
		g_usleep(500);
	}
	if (done == 0) {
		kill(-pid, SIGKILL);
		waitpid(pid, &status, 0);
		g_test_message("killed: still running after %d s",
			       suite_timeout_ms(limit_s));
		return -1;
	}
	return status;
}

static bool has_no_children(void *data)
{
	pid_t pid;

	(void)data;
	do {
		pid = waitpid(-1, NULL, WNOHANG);
	} while (pid > 0);
	return pid < 0 && errno == ECHILD;
}

/* Ends what the test has left behind; false if there was something that did not end by itself. */
static bool reap_orphans(pid_t group, bool has_passed)
{
	if (!has_passed) {
		kill(-group, SIGKILL);
	}
	if (suite_wait(has_no_children, NULL, ORPHAN_LIMIT_MS)) {
		return true;
	}
	g_autofree char *path = g_strdup_printf("/proc/self/task/%d/children", (int)getpid());
	g_autofree char *text = NULL;
	g_assert_true(g_file_get_contents(path, &text, NULL, NULL));
	g_auto(GStrv) pids = g_strsplit(text, " ", -1);
	for (char **child = pids; *child; child++) {
		if (atoi(*child) > 0) {
			kill(atoi(*child), SIGKILL);
		}
	}
	g_assert_true(suite_wait(has_no_children, NULL, KILLED_LIMIT_MS));
	return false;
}

static void run_test(const void *data)
{
	const struct suite_test *test = data;
	int fds[2];

	g_assert_no_errno(pipe(fds));
	fflush(NULL);
	pid_t pid = fork();
	g_assert_no_errno(pid);
	if (pid == 0) {
		close(fds[0]);
		skip_pipe = fds[1];
		run_child(test);
	}
	setpgid(pid, pid);
	close(fds[1]);

	int status = wait_child(pid);
	char reason[256] = "";
	ssize_t length = read(fds[0], reason, sizeof(reason) - 1);
	close(fds[0]);

	bool has_passed = WIFEXITED(status) && WEXITSTATUS(status) == 0;
	bool is_clean = reap_orphans(pid, has_passed);
	if (has_passed && !is_clean) {
		record("fail", test->path);
		g_test_message("left processes behind");
		g_test_fail();
	} else if (has_passed) {
		record("ok", test->path);
	} else if (WIFEXITED(status) && WEXITSTATUS(status) == EXIT_SKIP && length > 0) {
		record("skip", test->path);
		g_test_skip(reason);
	} else {
		record("fail", test->path);
		g_test_message("ended with wait status 0x%x", (unsigned int)status);
		g_test_fail();
	}
}

static void open_results(void)
{
	const char *dir = g_getenv("PROTO_RESULTS");

	if (!dir || g_test_subprocess()) {
		return;
	}
	g_assert_no_errno(g_mkdir_with_parents(dir, 0755));
	g_autofree char *name = g_path_get_basename(g_get_prgname());
	g_autofree char *path = g_strdup_printf("%s/%s.results", dir, name);
	results = fopen(path, "we");
	if (!results) {
		g_error("%s: %s", path, g_strerror(errno));
	}
}

static void free_test(void *data)
{
	struct suite_test *test = data;

	g_free(test->path);
	g_free(test);
}

void suite_init(int *argc, char ***argv)
{
	/* GLib reads this from the arguments only. It keeps assertions fatal, but for the child
	 * they end alone. */
	static char **all; /* what *argv points to from now on */
	all = g_new0(char *, (size_t)*argc + 2);
	all[0] = (*argv)[0];
	all[1] = (char *)"--keep-going";
	memcpy(&all[2], &(*argv)[1], (size_t)(*argc - 1) * sizeof(char *));
	*argv = all;
	*argc += 1;
	g_test_init(argc, argv, NULL);
	tests = g_ptr_array_new_with_free_func(free_test);
	if (*argc > 1) {
		g_setenv("VHOST_DEVICE_GPU", (*argv)[1], TRUE);
	}
}

static bool is_left_out(const char *path)
{
	const char *list = g_getenv("TEST_WITHOUT");
	g_auto(GStrv) words = g_strsplit(list ? list : "", ",", -1);
	g_auto(GStrv) parts = g_strsplit(path, "/", -1);

	for (char **word = words; *word; word++) {
		if (g_strv_contains((const char *const *)parts, *word)) {
			return true;
		}
	}
	return false;
}

void suite_add(suite_fn fn, const void *data, const char *path_format, ...)
{
	struct suite_test *test = g_new0(struct suite_test, 1);
	va_list args;

	va_start(args, path_format);
	test->path = g_strdup_vprintf(path_format, args);
	va_end(args);
	test->fn = fn;
	test->data = data;
	if (is_left_out(test->path)) {
		free_test(test);
		return;
	}
	g_ptr_array_add(tests, test);
	g_test_add_data_func(test->path, test, run_test);
}

void suite_set_limit_s(int seconds)
{
	limit_s = seconds;
}

int suite_run(void)
{
	g_assert_no_errno(prctl(PR_SET_CHILD_SUBREAPER, 1));
	open_results();
	int status = g_test_run();
	g_ptr_array_unref(tests);
	if (results) {
		fclose(results);
	}
	return status;
}
