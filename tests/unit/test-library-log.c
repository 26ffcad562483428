/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* What a library says, in our log, and what is kept of it while it starts. */
#include <string.h>

#include "renderer/library_log.h"
#include "unit.h"

static char *say(enum log_level level, const char *text)
{
	unit_capture_begin();
	library_log(level, "lib", text);
	return unit_capture_end();
}

static void test_lines(void)
{
	log_threshold = LOG_LEVEL_WARN;
	g_autofree char *two = say(LOG_LEVEL_WARN, "one\n\ntwo \x1b[1m\n");
	g_assert_nonnull(strstr(two, "warn: lib: one\n"));
	g_assert_nonnull(strstr(two, "warn: lib: two "));
	g_assert_null(strchr(two, '\x1b'));
	g_autofree char *none = say(LOG_LEVEL_DEBUG, "three");
	g_assert_cmpstr(none, ==, "");
	g_assert_true(library_log_wants(LOG_LEVEL_WARN));
	g_assert_false(library_log_wants(LOG_LEVEL_DEBUG));
}

static void assert_kept(const char *line)
{
	char buffer[LIBRARY_LOG_LINE_BYTES];

	g_assert_cmpstr(library_log_last_line(buffer, sizeof(buffer)), ==, line);
}

/* The last of the worst, which is no warning meanwhile. */
static void test_capture(void)
{
	char line[LIBRARY_LOG_LINE_BYTES] = { 0 }, text[1000];

	log_threshold = LOG_LEVEL_WARN;
	library_log_capture(true);
	assert_kept("");
	g_assert_true(library_log_wants(LOG_LEVEL_TRACE));
	g_autofree char *said = say(LOG_LEVEL_DEBUG, "chatter\nmore");
	assert_kept("more");
	g_autofree char *error = say(LOG_LEVEL_WARN, "no driver");
	g_autofree char *chatter = say(LOG_LEVEL_INFO, "so this ends");
	assert_kept("no driver");
	g_autofree char *last = say(LOG_LEVEL_WARN, "no memory");
	assert_kept("no memory");
	g_assert_cmpstr(said, ==, "");
	g_assert_cmpstr(error, ==, "");
	g_assert_cmpstr(chatter, ==, "");
	g_assert_cmpstr(last, ==, "");
	library_log_capture(false);
	g_autofree char *later = say(LOG_LEVEL_WARN, "later");
	g_assert_nonnull(strstr(later, "later"));
	assert_kept("no memory");
	/* Where another process can read it. */
	library_log_keep_in(line);
	library_log_capture(true);
	memset(text, 'x', sizeof(text));
	text[sizeof(text) - 1] = '\0';
	g_autofree char *rest = say(LOG_LEVEL_WARN, text);
	g_assert_cmpstr(rest, ==, "");
	g_assert_cmpuint(strlen(line), ==, sizeof(line) - 1);
	library_log_capture(false);
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/library-log/lines", test_lines);
	g_test_add_func("/library-log/capture", test_capture);
	return g_test_run();
}
