/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * The program around the attacks: a suite against our own daemon, a TAP line each; or, to compare,
 * a measurement of any back-end, which says how each attack ended and fails none.
 *
 *   PROGRAM DAEMON                           the suite
 *   PROGRAM --list                           name, what it does, what is expected: three columns
 *   PROGRAM --compare COMMAND [NAME...]      name, verdict, details: three columns
 *   PROGRAM --compare-unseen COMMAND ...     the same for one that shows no pictures here
 */
#ifndef TESTS_PROTO_ATTACKS_SUITE_H
#define TESTS_PROTO_ATTACKS_SUITE_H

#include <stdbool.h>

int attacks_main(int argc, char **argv, bool is_3d);

#endif
