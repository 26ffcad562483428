/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * A fuzzer's bytes as choices. Each choice takes bytes off the front; where
 * there are none left it is 0, so that any input is a whole story and a longer
 * one goes on where the shorter ended.
 *
 * Inputs are kept for years and must keep their meaning: what a choice takes
 * may not depend on how many alternatives there are now. So operations are
 * appended to a table and never inserted (fuzz_input_operation()).
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Slots of a table of operations; those not yet used do nothing. */
#define FUZZ_MAX_OPERATIONS 64u

struct fuzz_input {
	const uint8_t *bytes; /* borrowed */
	size_t size_bytes;
	size_t at;
};

void fuzz_input_init(struct fuzz_input *in, const uint8_t *bytes, size_t size_bytes);
bool fuzz_input_is_over(const struct fuzz_input *in);

/* Takes 1 byte; below FUZZ_MAX_OPERATIONS. */
unsigned int fuzz_input_operation(struct fuzz_input *in);

bool fuzz_input_flag(struct fuzz_input *in);
/* True in about one of n inputs, and never behind the end; n up to 256. */
bool fuzz_input_one_in(struct fuzz_input *in, unsigned int n);
uint8_t fuzz_input_u8(struct fuzz_input *in);
uint16_t fuzz_input_u16(struct fuzz_input *in);
uint32_t fuzz_input_u32(struct fuzz_input *in);
uint64_t fuzz_input_u64(struct fuzz_input *in);

/* 0 to n - 1, by one byte; n up to 256, not 0. */
unsigned int fuzz_input_below(struct fuzz_input *in, unsigned int n);

/*
 * A number as bad input has them: mostly small, else next to a power of two or
 * to the largest, else any.
 */
uint32_t fuzz_input_number(struct fuzz_input *in);
uint64_t fuzz_input_number64(struct fuzz_input *in);

/* size_bytes of them, zero behind the end. */
void fuzz_input_copy(struct fuzz_input *in, void *to, size_t size_bytes);
