/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * Host memory that a guest may make us hold. Charge first, allocate second,
 * give back when freed. Thread-safe: a frame that the display thread drops
 * last is given back from there.
 */
#pragma once

#include <stdint.h>

enum quota_error {
	QUOTA_OK = 0,
	QUOTA_E_LIMIT = 1,
};

struct quota {
	uint64_t limit_bytes;
	uint64_t used_bytes; /* atomic */
};

void quota_init(struct quota *quota, uint64_t limit_bytes);

/* QUOTA_E_LIMIT, and nothing charged, if the limit would be passed. */
enum quota_error quota_charge(struct quota *quota, uint64_t size_bytes);
void quota_release(struct quota *quota, uint64_t size_bytes);
uint64_t quota_used(const struct quota *quota);
