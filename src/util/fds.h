/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * Descriptors that a process has not been given for itself.
 */
#pragma once

/*
 * Closes all descriptors from first to last (UINT_MAX: whatever there is), on
 * any kernel. While the process has one thread. An empty range is fine.
 */
void fds_close_range(unsigned int first, unsigned int last);
