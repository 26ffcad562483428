/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * The records that outlive a renderer process (gpu/record.h), as it left them.
 * Bytes of somebody else's: they are counted, kept and given back, not looked
 * into.
 */
#pragma once

#include <glib.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "util/quota.h"

struct keepsakes {
	struct quota *quota; /* borrowed, charged for each */
	GHashTable *table;   /* key -> struct keepsake */
};

struct keepsake {
	uint64_t key; /* kind, id */
	GBytes *bytes;
};

void keepsakes_init(struct keepsakes *keepsakes, struct quota *quota);
void keepsakes_finish(struct keepsakes *keepsakes);

/* Replaces the one there was. False: the quota does not allow it, and nothing changed. */
bool keepsakes_put(struct keepsakes *keepsakes, uint32_t kind, uint32_t id, const void *bytes,
		   size_t n_bytes);
void keepsakes_drop(struct keepsakes *keepsakes, uint32_t kind, uint32_t id);
void keepsakes_clear(struct keepsakes *keepsakes);

static inline uint32_t keepsake_kind(const struct keepsake *keepsake)
{
	return (uint32_t)(keepsake->key >> 32);
}

static inline uint32_t keepsake_id(const struct keepsake *keepsake)
{
	return (uint32_t)keepsake->key;
}

/* Copies of all of them as they are now, by kind and id, ascending; keepsake_free() each. */
GQueue keepsakes_list(const struct keepsakes *keepsakes);
void keepsake_free(void *keepsake);
