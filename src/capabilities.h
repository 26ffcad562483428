/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * What a starter of back-ends may ask of this one (QEMU's vhost-user back-end
 * conventions): JSON on stdout, and nothing else there.
 */
#pragma once

#include <stdbool.h>

#include "options.h"

/*
 * Tries on this host what there is to be tried, with options that are those of
 * --virgl. A feature is an option that works here: "virgl" for --virgl,
 * "render-node" for --render-node beside it. Why one is missing is said on
 * stderr. SIGTERM and SIGINT must be blocked. False: a signal came, or stdout
 * took it not, and it has not been printed.
 */
bool capabilities_print(const struct options *options);
