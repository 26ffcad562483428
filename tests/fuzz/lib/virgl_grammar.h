/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * SUBMIT_3D streams as a driver makes them, and some that it would not: whole
 * commands of the right length as a rule, on objects and resources that may be
 * there. The numbers are those of virgl's protocol.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "input.h"

struct virgl_grammar {
	const uint32_t *resource_ids; /* of those that exist; borrowed */
	size_t n_resources;
};

/* Returns how many words were written, up to max_words. */
size_t virgl_grammar_make(const struct virgl_grammar *grammar, struct fuzz_input *in,
			  uint32_t *words_out, size_t max_words);
