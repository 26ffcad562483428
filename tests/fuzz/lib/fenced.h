/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * The 2d renderer with what it lacks: capsets, contexts, 3D resources (of no
 * picture), blobs of the host's, and fences that are done when the fuzzer says
 * so.
 */
#pragma once

#include <glib.h>
#include <stdbool.h>

#include "renderer/renderer.h"

extern const struct renderer_impl fenced_impl;

/* All blobs have the same memory, from a page of their own on; some show it to nobody. */
#define FENCED_BLOB_BYTES (64u << 10)
static inline bool fenced_exports(uint64_t blob_id)
{
	return blob_id % 8 != 7;
}

/* So that the next fence can't be made, or can. */
void fenced_set_failing(struct renderer *r, bool is_failing);
/* How many were made and not yet signalled. */
unsigned int fenced_count(struct renderer *r);
/* The i-th of them is done, and with it those before it on its timeline. */
void fenced_signal(struct renderer *r, unsigned int i);
