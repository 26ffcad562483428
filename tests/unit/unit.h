/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* What the unit tests share: bounded waits, descriptors to count, stderr to read back. */
#pragma once

#include <glib.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "util/loop.h"

/* Longest wait for something that must happen. */
#define UNIT_TIMEOUT_MS 10000

/* Until condition(data) holds; false once UNIT_TIMEOUT_MS are over. */
bool unit_wait(bool (*condition)(void *data), void *data);
/* Until fd is readable (or hung up); false once UNIT_TIMEOUT_MS are over. */
bool unit_wait_readable(int fd);
/* Is it now? */
bool unit_is_readable(int fd);

/*
 * The loop, which lives in this thread, for so long. As the thread may be held
 * up for longer than that, nothing need have happened then; what must happen is
 * waited for with the other. Which asserts that it does in UNIT_TIMEOUT_MS.
 */
void unit_run_for(struct loop *loop, gint64 us);
void unit_run_until(struct loop *loop, bool (*condition)(void *data), void *data);

/* Whole or not at all: asserts. */
void unit_write(int fd, const void *bytes, size_t size_bytes);
void unit_read(int fd, void *bytes, size_t size_bytes);
/* The peer has closed, and there is nothing more to read. */
void unit_assert_hung_up(int fd);

/* A connected pair, not blocking. */
void unit_socketpair(int fds_out[2]);
int unit_eventfd(void);
/* How often fd was signalled since the last call. */
uint64_t unit_take_event(int fd);
/* A memory file; the contents are zero. */
int unit_memfd(size_t size_bytes);

unsigned int unit_count_fds(void);
/* Do both name the same open file? */
bool unit_is_same_file(int a, int b);

void unit_assert_bytes(const void *a, const void *b, size_t size_bytes);

/* From begin to end all that goes to stderr is kept. One at a time. */
void unit_capture_begin(void);
char *unit_capture_end(void); /* owned by the caller */
unsigned int unit_count_lines(const char *text);
