/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#pragma once

#include <stdbool.h>
#include <stdint.h>

/*
 * Where size_bytes of memory begin in a file of Mesa's software Vulkan; at a
 * page's boundary. False: it is none of these.
 */
bool opaque_find(int fd, uint64_t size_bytes, uint64_t *offset_out);
