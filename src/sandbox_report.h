/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * --sandbox report: what a sandbox would have refused, as warnings, each once.
 * Nothing is refused.
 *
 * A process of its own for each that is watched, as who waits for an answer
 * can't give it. It ends with the last thread that it watches.
 */
#pragma once

#include <glib.h>

#include "sandbox.h"

/*
 * The calling process, which has one thread, is watched from now on. lists: as
 * in struct lockdown_calls. Returns 0 or -errno; then nothing is watched.
 */
int sandbox_report_begin(enum sandbox_role role, const struct options *options,
			 const char *const *const *lists) G_GNUC_WARN_UNUSED_RESULT;
