/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* Parts of a space that are taken, none of them twice. Any numbers may be asked about. */
#pragma once

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

struct ranges {
	GTree *tree; /* owned; struct range by offset */
	uint64_t space; /* ranges lie in [0, space) */
};

void ranges_init(struct ranges *ranges, uint64_t space);
void ranges_finish(struct ranges *ranges);
void ranges_clear(struct ranges *ranges);
unsigned int ranges_count(const struct ranges *ranges);

/* False, and nothing is taken: empty, outside the space, or some of it is taken. */
bool ranges_take(struct ranges *ranges, uint64_t offset, uint64_t size);
/* False: no range of just these numbers was taken. */
bool ranges_give_back(struct ranges *ranges, uint64_t offset, uint64_t size);
