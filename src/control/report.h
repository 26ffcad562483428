/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* The records of a status: what is known of a VM, put in words. */
#pragma once

#include "control/answer.h"
#include "control/desk.h"

struct report {
	const struct desk_options *options;
	const struct desk_facts *facts;
	const struct engine_state *engine;
	const struct stats *stats; /* a copy, as stats_read() makes them */
	gint64 since_us;	   /* the VM is served since */
	gint64 now_us;
};

void report_write(const struct report *report, struct answer *answer);
