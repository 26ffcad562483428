/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * What a host has, looked at before a library that needs it is started: what
 * is missing libraries answer with a crash, or by hanging, rather than with an
 * error.
 */
#pragma once

#include <glib.h>
#include <stdbool.h>

/* Is there libEGL with a driver behind it? 0 or -errno, after log_failure() for who needs it. */
int host_check_egl(const char *who) G_GNUC_WARN_UNUSED_RESULT;

/* Does anything of that name exist? pattern as for glob(3). */
bool host_has_file(const char *pattern);

/* Are there files by which Vulkan's loader finds a driver? */
bool host_has_vulkan(void);
/* Of the environment: where it looks. Ends with NULL. */
extern const char *const host_vulkan_variables[];
