/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * The attacks against any back-end, to see how it takes them. A verdict each:
 *
 *   expected   answered as expected, and the service goes on
 *   otherwise  answered in another way, and the service goes on
 *   leaked     the service goes on, with more memory than may be
 *   stalled    the back-end runs, and serves no more
 *   died       by a signal or by itself
 *   n/a        it lacks what the attack is on
 */
#ifndef TESTS_PROTO_ATTACKS_COMPARE_H
#define TESTS_PROTO_ATTACKS_COMPARE_H

#include <stdbool.h>

struct compare_options {
	const char *command; /* with @SOCK@ in it */
	bool is_3d;
	bool has_pictures;
	char *const *names; /* prefixes of the attacks wanted, NULL-terminated; none: all */
};

/* Prints a line for each attack: name, verdict, details. Returns an exit status. */
int compare_run(const struct compare_options *options);

#endif
