/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * The records of a device (gpu/record.h), kept as another process keeps them,
 * and given to the device that comes after it.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "gpu/device.h"

struct archive;

/* For device_set_recorder(), with a struct archive as its data. */
extern const struct recorder archive_recorder;

struct archive *archive_create(void);
void archive_destroy(struct archive *archive);

void archive_put(struct archive *archive, uint32_t kind, uint32_t id, const void *bytes,
		 size_t n_bytes);
bool archive_has(const struct archive *archive, uint32_t kind, uint32_t id);
/* How often one was put or dropped so far. */
unsigned int archive_n_changes(const struct archive *archive);

/* All of them, in the order that device_restore() asks for. Returns how many were refused. */
unsigned int archive_hand_over(const struct archive *archive, struct device *dev);

/* What dev is, made of it now by its own functions; owned by the caller. Its recorder stays. */
struct archive *archive_describe(struct device *dev);
/* The same kinds and ids, and bytes: but for where cursors are if those may have moved since. */
void archive_assert_same(const struct archive *a, const struct archive *b, bool with_cursors);
