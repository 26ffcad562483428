/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * When to wait awake for the next command. A guest that has one after the
 * other sends it sooner than it takes to sleep and be woken; one that shares
 * our CPU can't send it while we wait; most have none. So it is tried, as
 * often as it has paid of late.
 */
#pragma once

#include <stdbool.h>

/* For so long. More than a guest needs that was woken and has its next command ready. */
#define POLLING_US 50

struct polling {
	unsigned int skip;    /* so many times not */
	unsigned int backoff; /* how many, after the next time in vain */
};

void polling_init(struct polling *polling);

/* Asked each time that there is nothing to do; if true, say then whether it paid. */
bool polling_is_worth_it(struct polling *polling);
void polling_has_paid(struct polling *polling, bool has_paid);
