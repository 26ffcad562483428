/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * Arithmetic on numbers that somebody else chose. Every sum and product of
 * guest or front-end values goes through here; anywhere else plain operators
 * mean that the operands are ours.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* False, with *out untouched, if the result does not fit. */
static inline bool checked_add_u64(uint64_t a, uint64_t b, uint64_t *out)
{
	uint64_t sum;

	if (__builtin_add_overflow(a, b, &sum)) {
		return false;
	}
	*out = sum;
	return true;
}

static inline bool checked_mul_u64(uint64_t a, uint64_t b, uint64_t *out)
{
	uint64_t product;

	if (__builtin_mul_overflow(a, b, &product)) {
		return false;
	}
	*out = product;
	return true;
}

/* Is [offset, offset + length) inside [0, size)? An empty range may sit at size. */
static inline bool checked_range(uint64_t offset, uint64_t length, uint64_t size)
{
	return offset <= size && length <= size - offset;
}
