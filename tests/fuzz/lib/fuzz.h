/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * A fuzzer is a file with fuzz_one() in it. Linked with libFuzzer it searches
 * for inputs (scripts/fuzz), linked with replay.c it goes through those that
 * were found, as a unit test in every build.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * One input, from the beginning to the end: nothing that it makes may be left
 * behind. What must hold is asserted by g_assert*(), which ends the program.
 */
void fuzz_one(const uint8_t *bytes, size_t size_bytes);

/* NULL, or what the host lacks: then there is nothing to do here. Once, before all. */
const char *fuzz_prepare(void);

/* The same bytes; size_bytes may be 0. */
void fuzz_assert_bytes(const void *a, const void *b, size_t size_bytes);

/*
 * Until condition(data) holds, or for so long (of real time, whatever the
 * fuzzer's clock says). Returns whether it holds.
 */
bool fuzz_wait(bool (*condition)(void *data), void *data, unsigned int milliseconds);

/* For an assertion about all of an input: open descriptors of the process. */
unsigned int fuzz_count_fds(void);
