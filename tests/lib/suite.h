/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * One process per test, on top of GLib's test runner.
 *
 * A test that fails, crashes or hangs ends alone: its process is killed with all it started, the
 * ones after it still run. The outcome of each test goes to TAP and, where PROTO_RESULTS names a
 * folder, to a file there that the conformance check reads.
 */
#ifndef TESTS_LIB_SUITE_H
#define TESTS_LIB_SUITE_H

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

typedef void (*suite_fn)(const void *data);

void suite_init(int *argc, char ***argv);
/*
 * @data is borrowed and must live until suite_run() returns. A test with a word of
 * TEST_WITHOUT, a list with commas, as a part of its path is left out: what can't be run under
 * valgrind, say.
 */
void suite_add(suite_fn fn, const void *data, const char *path_format, ...) G_GNUC_PRINTF(3, 4);
int suite_run(void);
/* For tests that take longer than the usual minute; before suite_run(). */
void suite_set_limit_s(int seconds);

/* Ends the running test as skipped; @reason names what the host lacks. */
G_NORETURN void suite_skip(const char *reason_format, ...) G_GNUC_PRINTF(1, 2);

/* Milliseconds, stretched by TEST_TIMEOUT_FACTOR (sanitizer builds set it). */
int suite_timeout_ms(int milliseconds);
int64_t suite_deadline_us(int milliseconds);
/* What is left until @deadline_us, for poll(); 0 once it has passed. */
int suite_left_ms(int64_t deadline_us);

/* True as soon as @condition holds; looks again every millisecond until the time is up. */
bool suite_wait(bool (*condition)(void *data), void *data, int milliseconds);

#endif
