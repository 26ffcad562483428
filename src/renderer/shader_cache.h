/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#pragma once

/* Before a library with GPU drivers behind it is loaded. NULL: nothing is kept. */
void shader_cache_choose(const char *folder);
