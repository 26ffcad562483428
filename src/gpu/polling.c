/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "gpu/polling.h"

#include <glib.h>

#define MIN_BACKOFF 16
/* A guest of 1,000 commands a second pays for a wait in vain every 8 s. */
#define MAX_BACKOFF 8192

void polling_init(struct polling *polling)
{
	*polling = (struct polling){ .backoff = MIN_BACKOFF };
}

bool polling_is_worth_it(struct polling *polling)
{
	if (polling->skip > 0) {
		polling->skip--;
		return false;
	}
	return true;
}

void polling_has_paid(struct polling *polling, bool has_paid)
{
	if (has_paid) {
		polling->backoff = MAX(polling->backoff / 2, MIN_BACKOFF);
	} else {
		polling->skip = polling->backoff;
		polling->backoff = MIN(polling->backoff * 2, MAX_BACKOFF);
	}
}
