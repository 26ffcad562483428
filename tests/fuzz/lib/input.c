/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "input.h"

#include <assert.h>
#include <string.h>

void fuzz_input_init(struct fuzz_input *in, const uint8_t *bytes, size_t size_bytes)
{
	*in = (struct fuzz_input){ .bytes = bytes, .size_bytes = size_bytes };
}

bool fuzz_input_is_over(const struct fuzz_input *in)
{
	return in->at >= in->size_bytes;
}

uint8_t fuzz_input_u8(struct fuzz_input *in)
{
	return fuzz_input_is_over(in) ? 0 : in->bytes[in->at++];
}

uint16_t fuzz_input_u16(struct fuzz_input *in)
{
	uint16_t low = fuzz_input_u8(in);

	return (uint16_t)(low | fuzz_input_u8(in) << 8);
}

uint32_t fuzz_input_u32(struct fuzz_input *in)
{
	uint32_t low = fuzz_input_u16(in);

	return low | (uint32_t)fuzz_input_u16(in) << 16;
}

uint64_t fuzz_input_u64(struct fuzz_input *in)
{
	uint64_t low = fuzz_input_u32(in);

	return low | (uint64_t)fuzz_input_u32(in) << 32;
}

unsigned int fuzz_input_operation(struct fuzz_input *in)
{
	return fuzz_input_u8(in) % FUZZ_MAX_OPERATIONS;
}

bool fuzz_input_flag(struct fuzz_input *in)
{
	return fuzz_input_u8(in) & 1;
}

unsigned int fuzz_input_below(struct fuzz_input *in, unsigned int n)
{
	assert(n > 0 && n <= 256);
	return fuzz_input_u8(in) % n;
}

bool fuzz_input_one_in(struct fuzz_input *in, unsigned int n)
{
	return fuzz_input_below(in, n) == n - 1;
}

/* From the top two bits of a byte the class, from the others the number, or where it lies. */
uint64_t fuzz_input_number64(struct fuzz_input *in)
{
	uint8_t byte = fuzz_input_u8(in);
	uint64_t low = byte & 0x3f;

	switch (byte >> 6) {
	case 0:
		return low;
	case 1:
		return (1ull << low) + fuzz_input_below(in, 5) - 2;
	case 2:
		return UINT64_MAX - low;
	default:
		return fuzz_input_u64(in);
	}
}

uint32_t fuzz_input_number(struct fuzz_input *in)
{
	uint8_t byte = fuzz_input_u8(in);
	uint32_t low = byte & 0x3f;

	switch (byte >> 6) {
	case 0:
	case 1:
		return low << (byte >> 6 & 1) * 2;
	case 2:
		return (1u << low % 32) + fuzz_input_below(in, 5) - 2;
	default:
		return low < 32 ? UINT32_MAX - low : fuzz_input_u32(in);
	}
}

void fuzz_input_copy(struct fuzz_input *in, void *to, size_t size_bytes)
{
	size_t left = in->size_bytes - in->at;
	size_t n = size_bytes < left ? size_bytes : left;

	memset(to, 0, size_bytes);
	if (n > 0) {
		memcpy(to, in->bytes + in->at, n);
		in->at += n;
	}
}
