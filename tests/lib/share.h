/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* Memory that can be passed on as a dma-buf, for the tests' own renderers. */
#ifndef TESTS_LIB_SHARE_H
#define TESTS_LIB_SHARE_H

#include <stddef.h>
#include <stdint.h>

/* A copy (of NULL: zeros), *fd_out being a dma-buf of it; NULL where there is no /dev/udmabuf. */
uint8_t *share_create(const uint8_t *bytes, size_t size_bytes, int *fd_out);
void share_destroy(uint8_t *bytes, size_t size_bytes);

#endif
