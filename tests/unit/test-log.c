/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* What reaches stderr: at which level, in which form, and how much of it. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "util/log.h"
#include "unit.h"

/* ---- levels ---- */

static void test_threshold(void)
{
	for (int level = LOG_LEVEL_OFF; level <= LOG_LEVEL_TRACE; level++) {
		log_threshold = (enum log_level)level;
		unit_capture_begin();
		log_error("e");
		log_info("i");
		log_trace("t");
		g_autofree char *text = unit_capture_end();

		g_assert_cmpint(strstr(text, ": error: e\n") != NULL, ==, level >= LOG_LEVEL_ERROR);
		g_assert_cmpint(strstr(text, ": info: i\n") != NULL, ==, level >= LOG_LEVEL_INFO);
		g_assert_cmpint(strstr(text, ": trace: t\n") != NULL, ==, level >= LOG_LEVEL_TRACE);
	}
	log_threshold = LOG_LEVEL_WARN;
}

static void test_failure_is_always_said(void)
{
	log_threshold = LOG_LEVEL_OFF;
	unit_capture_begin();
	log_failure("no %s", "EGL");
	g_autofree char *text = unit_capture_end();
	g_assert_true(g_str_has_suffix(text, ": error: no EGL\n"));
	log_threshold = LOG_LEVEL_WARN;
}

static void test_line_form(void)
{
	unit_capture_begin();
	errno = EXDEV;
	log_error("res %d", 5);
	int error = errno;
	g_autofree char *text = unit_capture_end();
	g_autofree char *expected =
		g_strdup_printf("vhost-device-gpu[%d]: error: res 5\n", (int)getpid());
	g_assert_cmpstr(text, ==, expected);
	g_assert_cmpint(error, ==, EXDEV);
}

static void test_long_line_is_cut(void)
{
	g_autofree char *many = g_strnfill(100000, 'x');

	unit_capture_begin();
	log_error("%s", many);
	log_error("next");
	g_autofree char *text = unit_capture_end();
	g_assert_cmpuint(unit_count_lines(text), ==, 2);
	g_assert_cmpuint(strlen(text), <, 2000);
	g_assert_true(g_str_has_suffix(text, ": error: next\n"));
}

static void test_closed_stderr_is_survived(void)
{
	int saved = dup(STDERR_FILENO);

	close(STDERR_FILENO);
	log_error("nobody hears this");
	g_assert_no_errno(dup2(saved, STDERR_FILENO));
	close(saved);
}

/* A pipe that nobody reads: lines are lost, time is not. */
static void test_full_stderr_is_survived(void)
{
	char block[4096] = "";
	int saved = dup(STDERR_FILENO), ends[2];

	g_assert_no_errno(pipe2(ends, O_CLOEXEC));
	int flags = fcntl(ends[1], F_GETFL);
	g_assert_no_errno(fcntl(ends[1], F_SETFL, flags | O_NONBLOCK));
	while (write(ends[1], block, sizeof(block)) > 0) {
	}
	g_assert_no_errno(fcntl(ends[1], F_SETFL, flags));
	g_assert_no_errno(dup2(ends[1], STDERR_FILENO));
	for (int i = 0; i < 100; i++) {
		log_failure("nobody reads this");
	}
	g_assert_no_errno(dup2(saved, STDERR_FILENO));
	close(saved);
	close(ends[0]);
	close(ends[1]);
}

/* ---- the environment ---- */

/* Runs in a process of its own, with the environment of the parent's choice. */
static void child_says_all(void)
{
	log_init();
	log_error("error");
	log_warn("warn");
	log_info("info");
	log_debug("debug");
	log_trace("trace");
	g_debug("of glib, debug");
	g_warning("of glib, warning");
}

struct environment {
	const char *own;  /* VHOST_DEVICE_GPU_LOG or NULL */
	const char *rust; /* RUST_LOG or NULL */
	enum log_level level;
	const char *complaint; /* about this word, or NULL */
};

static const struct environment environments[] = {
	{ NULL, NULL, LOG_LEVEL_WARN, NULL },
	{ "", "", LOG_LEVEL_WARN, NULL },
	{ "off", NULL, LOG_LEVEL_OFF, NULL },
	{ "error", NULL, LOG_LEVEL_ERROR, NULL },
	{ "warn", NULL, LOG_LEVEL_WARN, NULL },
	{ "info", NULL, LOG_LEVEL_INFO, NULL },
	{ "debug", NULL, LOG_LEVEL_DEBUG, NULL },
	{ "trace", NULL, LOG_LEVEL_TRACE, NULL },
	{ "TRACE", NULL, LOG_LEVEL_TRACE, NULL },
	{ " info ", NULL, LOG_LEVEL_INFO, NULL },
	/* Ours goes first; an empty one is none. */
	{ "error", "trace", LOG_LEVEL_ERROR, NULL },
	{ "", "info", LOG_LEVEL_INFO, NULL },
	{ NULL, "debug", LOG_LEVEL_DEBUG, NULL },
	/* env_logger's directives: ours outranks a bare level, in either order. */
	{ NULL, "vhost_device_gpu=debug", LOG_LEVEL_DEBUG, NULL },
	{ NULL, "vhost-device-gpu=debug", LOG_LEVEL_DEBUG, NULL },
	{ NULL, "vhost_device_gpu=info,trace", LOG_LEVEL_INFO, NULL },
	{ NULL, "trace,vhost_device_gpu=info", LOG_LEVEL_INFO, NULL },
	{ NULL, "vhost_device_gpu=debug,other=info", LOG_LEVEL_DEBUG, NULL },
	{ NULL, "other=trace", LOG_LEVEL_WARN, NULL },
	{ NULL, "other=trace,info", LOG_LEVEL_INFO, NULL },
	{ NULL, ",,info,", LOG_LEVEL_INFO, NULL },
	/* What makes no sense is said and left out. */
	{ "loud", NULL, LOG_LEVEL_WARN, "VHOST_DEVICE_GPU_LOG: unknown level 'loud'" },
	{ "info,loud", NULL, LOG_LEVEL_INFO, "unknown level 'loud'" },
	{ NULL, "vhost_device_gpu=", LOG_LEVEL_WARN, "RUST_LOG: unknown level ''" },
	{ NULL, "a\033[31mb", LOG_LEVEL_WARN, "RUST_LOG: unknown level 'a\\x1b[31mb'" },
};

static void set_or_unset(const char *variable, const char *value)
{
	if (value != NULL) {
		g_setenv(variable, value, TRUE);
	} else {
		g_unsetenv(variable);
	}
}

static void test_environment(gconstpointer data)
{
	const struct environment *e = data;
	static const char *const words[] = { "error", "warn", "info", "debug", "trace" };
	static char *self;

	if (self == NULL) {
		self = g_file_read_link("/proc/self/exe", NULL);
	}
	char *argv[] = { self, (char *)(uintptr_t) "--say-all", NULL };
	g_autofree char *text = NULL;
	g_autoptr(GError) error = NULL;

	set_or_unset("VHOST_DEVICE_GPU_LOG", e->own);
	set_or_unset("RUST_LOG", e->rust);
	g_spawn_sync(NULL, argv, NULL, G_SPAWN_DEFAULT, NULL, NULL, NULL, &text, NULL, &error);
	g_assert_no_error(error);
	for (size_t i = 0; i < G_N_ELEMENTS(words); i++) {
		g_autofree char *line = g_strdup_printf(": %s: %s\n", words[i], words[i]);

		g_assert_cmpint(strstr(text, line) != NULL, ==, e->level >= i + LOG_LEVEL_ERROR);
	}
	g_assert_cmpint(strstr(text, ": warn: glib: of glib, warning\n") != NULL, ==,
			e->level >= LOG_LEVEL_WARN);
	g_assert_cmpint(strstr(text, ": debug: glib: of glib, debug\n") != NULL, ==,
			e->level >= LOG_LEVEL_DEBUG);
	if (e->complaint != NULL) {
		g_assert_nonnull(strstr(text, e->complaint));
	} else {
		g_assert_null(strstr(text, "unknown level"));
	}
}

/* ---- escaping ---- */

static void test_escape(void)
{
	static const struct {
		const char *bytes;
		size_t length;
		const char *expected;
	} cases[] = {
		{ "plain text", 10, "plain text" },
		{ "", 0, "" },
		{ "a\nb", 3, "a\\x0ab" },
		{ "\033[2J", 4, "\\x1b[2J" },
		{ "back\\slash", 10, "back\\x5cslash" },
		{ "\x7f\x80\xff", 3, "\\x7f\\x80\\xff" },
		{ "ends\0here", 9, "ends" },
		{ "cut", 2, "cu" },
		{ "100%s%n", 7, "100%s%n" },
	};
	char buffer[64];

	for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
		g_assert_cmpstr(
			log_escape(cases[i].bytes, cases[i].length, buffer, sizeof(buffer)), ==,
			cases[i].expected);
	}
}

static void test_escape_stays_in_its_buffer(void)
{
	const char bytes[] = "\001\002\003\004\005\006\007\010";
	char buffer[32];

	for (size_t size = 1; size < sizeof(buffer); size++) {
		memset(buffer, '#', sizeof(buffer));
		log_escape(bytes, sizeof(bytes), buffer, size);
		g_assert_cmpuint(strlen(buffer), <, size);
		g_assert_cmpint(buffer[size], ==, '#');
		/* No escape is cut in two. */
		g_assert_cmpuint(strlen(buffer) % 4, ==, 0);
	}
}

/* ---- rate ---- */

static bool is_window_over(void *data)
{
	return g_get_monotonic_time() > *(gint64 *)data;
}

/* Until a second has passed since the last line of any window. */
static void wait_for_new_window(void)
{
	gint64 end_us = g_get_monotonic_time() + G_USEC_PER_SEC;

	g_assert_true(unit_wait(is_window_over, &end_us));
}

static void test_rate_is_limited(void)
{
	wait_for_new_window();
	unit_capture_begin();
	for (int i = 0; i < 1000; i++) {
		log_warn("warning %d", i);
	}
	log_error("not limited");
	g_autofree char *text = unit_capture_end();
	/* A slow machine may see the next second begin in between. */
	g_assert_cmpuint(unit_count_lines(text), >=, 11);
	g_assert_cmpuint(unit_count_lines(text), <=, 40);
	g_assert_nonnull(strstr(text, "warning 9\n"));
	g_assert_nonnull(strstr(text, "not limited"));

	wait_for_new_window();
	unit_capture_begin();
	log_warn("after");
	g_autofree char *after = unit_capture_end();
	g_assert_nonnull(strstr(after, "messages left out)"));
	g_assert_nonnull(strstr(after, ": warn: after\n"));
}

/* How many a text says were left out, all told. */
static unsigned int sum_left_out(const char *text)
{
	g_auto(GStrv) lines = g_strsplit(text, "\n", -1);
	unsigned int sum = 0;

	for (char **line = lines; *line != NULL; line++) {
		const char *at = strstr(*line, ": (");

		if (at != NULL && strstr(at, " messages left out)") != NULL) {
			sum += (unsigned int)g_ascii_strtoull(at + 3, NULL, 10);
		}
	}
	return sum;
}

static unsigned int count_ending(const char *text, const char *ending)
{
	g_auto(GStrv) lines = g_strsplit(text, "\n", -1);
	unsigned int n = 0;

	for (char **line = lines; *line != NULL; line++) {
		n += g_str_has_suffix(*line, ending) ? 1 : 0;
	}
	return n;
}

/* 100,000 lines of one level, and after a second one more. What was said of them in *text_out. */
static gint64 flood(enum log_level level, char **text_out)
{
	gint64 start_us = g_get_monotonic_time();

	unit_capture_begin();
	for (int i = 0; i < 100000; i++) {
		log_at(level, "same");
	}
	wait_for_new_window();
	gint64 took_us = g_get_monotonic_time() - start_us;
	log_at(level, "same");
	*text_out = unit_capture_end();
	return took_us;
}

static const struct pace {
	enum log_level level;
	unsigned int per_second;
} paces[] = {
	{ LOG_LEVEL_ERROR, 1 },
	{ LOG_LEVEL_WARN, 1 },
	{ LOG_LEVEL_INFO, 10 },
	{ LOG_LEVEL_DEBUG, 10 },
};

static void test_pace(gconstpointer data)
{
	const struct pace *pace = data;
	g_autofree char *text = NULL, *before = NULL;

	log_threshold = LOG_LEVEL_DEBUG;
	/* What earlier tests left out is said here. */
	flood(pace->level, &before);
	gint64 took_us = flood(pace->level, &text);
	unsigned int n_said = count_ending(text, ": same");
	gint64 allowed = 11 + took_us * pace->per_second / G_USEC_PER_SEC;

	g_assert_cmpuint(n_said, >=, 1);
	g_assert_cmpint(n_said, <=, allowed);
	g_assert_cmpuint(n_said + sum_left_out(text), ==, 100001);
	log_threshold = LOG_LEVEL_WARN;
}

/* A guest that makes us say much of one level hides nothing of another. */
static void test_levels_do_not_share(void)
{
	log_threshold = LOG_LEVEL_DEBUG;
	/* Warnings are allowed one a second. */
	wait_for_new_window();
	unit_capture_begin();
	for (int i = 0; i < 1000; i++) {
		log_debug("much");
		log_info("much");
	}
	log_warn("seen");
	log_error("seen");
	g_autofree char *text = unit_capture_end();
	g_assert_nonnull(strstr(text, ": warn: seen\n"));
	g_assert_nonnull(strstr(text, ": error: seen\n"));
	log_threshold = LOG_LEVEL_WARN;
}

static void test_trace_is_not_limited(void)
{
	log_threshold = LOG_LEVEL_TRACE;
	unit_capture_begin();
	for (int i = 0; i < 100; i++) {
		log_debug("line");
	}
	g_autofree char *text = unit_capture_end();
	g_assert_cmpuint(unit_count_lines(text), >=, 100);
	log_threshold = LOG_LEVEL_WARN;
}

static void *warn_often(void *data G_GNUC_UNUSED)
{
	for (int i = 0; i < 1000; i++) {
		log_warn("from a thread");
		log_failure("whole line");
	}
	return NULL;
}

static void test_threads(void)
{
	GThread *threads[3];

	unit_capture_begin();
	for (size_t i = 0; i < G_N_ELEMENTS(threads); i++) {
		threads[i] = g_thread_new("warn", warn_often, NULL);
	}
	for (size_t i = 0; i < G_N_ELEMENTS(threads); i++) {
		g_thread_join(threads[i]);
	}
	g_autofree char *text = unit_capture_end();
	g_auto(GStrv) lines = g_strsplit(text, "\n", -1);
	unsigned int n_whole = 0;
	for (char **line = lines; *line != NULL; line++) {
		g_assert_true(**line == '\0' || g_str_has_prefix(*line, "vhost-device-gpu["));
		n_whole += g_str_has_suffix(*line, ": error: whole line") ? 1 : 0;
	}
	g_assert_cmpuint(n_whole, ==, 3000);
}

int main(int argc, char **argv)
{
	if (argc == 2 && strcmp(argv[1], "--say-all") == 0) {
		child_says_all();
		return 0;
	}
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/log/threshold", test_threshold);
	g_test_add_func("/log/failure-is-always-said", test_failure_is_always_said);
	g_test_add_func("/log/line-form", test_line_form);
	g_test_add_func("/log/long-line-is-cut", test_long_line_is_cut);
	g_test_add_func("/log/closed-stderr-is-survived", test_closed_stderr_is_survived);
	g_test_add_func("/log/full-stderr-is-survived", test_full_stderr_is_survived);
	for (size_t i = 0; i < G_N_ELEMENTS(environments); i++) {
		g_autofree char *path = g_strdup_printf("/log/environment/%zu", i);

		g_test_add_data_func(path, &environments[i], test_environment);
	}
	g_test_add_func("/log/escape", test_escape);
	g_test_add_func("/log/escape-stays-in-its-buffer", test_escape_stays_in_its_buffer);
	g_test_add_func("/log/rate-is-limited", test_rate_is_limited);
	for (size_t i = 0; i < G_N_ELEMENTS(paces); i++) {
		g_autofree char *path = g_strdup_printf("/log/pace/%d", paces[i].level);

		g_test_add_data_func(path, &paces[i], test_pace);
	}
	g_test_add_func("/log/levels-do-not-share", test_levels_do_not_share);
	g_test_add_func("/log/trace-is-not-limited", test_trace_is_not_limited);
	g_test_add_func("/log/threads", test_threads);
	return g_test_run();
}
