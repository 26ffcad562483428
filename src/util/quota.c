/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "util/quota.h"

#include <assert.h>

#include "util/checked.h"

void quota_init(struct quota *quota, uint64_t limit_bytes)
{
	*quota = (struct quota){ .limit_bytes = limit_bytes };
}

enum quota_error quota_charge(struct quota *quota, uint64_t size_bytes)
{
	uint64_t used = __atomic_load_n(&quota->used_bytes, __ATOMIC_RELAXED);
	uint64_t wanted;

	do {
		if (!checked_add_u64(used, size_bytes, &wanted) || wanted > quota->limit_bytes) {
			return QUOTA_E_LIMIT;
		}
	} while (!__atomic_compare_exchange_n(&quota->used_bytes, &used, wanted, true,
					      __ATOMIC_RELAXED, __ATOMIC_RELAXED));
	return QUOTA_OK;
}

void quota_release(struct quota *quota, uint64_t size_bytes)
{
	uint64_t before = __atomic_fetch_sub(&quota->used_bytes, size_bytes, __ATOMIC_RELAXED);

	assert(before >= size_bytes);
}

uint64_t quota_used(const struct quota *quota)
{
	return __atomic_load_n(&quota->used_bytes, __ATOMIC_RELAXED);
}
