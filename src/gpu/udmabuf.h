/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * Linux' way to make a dma-buf of pages of a memory file: /dev/udmabuf. The
 * file has to be sealed against shrinking, as QEMU's memory-backend-memfd is.
 */
#pragma once

#include <glib.h>

#include "gpu/exporter.h"
#include "util/lockdown.h"

#define UDMABUF_PATH "/dev/udmabuf"

/* Returns a descriptor, the caller's, or -errno. */
int udmabuf_open(void) G_GNUC_WARN_UNUSED_RESULT;

/* data: where the descriptor of udmabuf_open() is, an int. */
extern const struct exporter udmabuf_exporter;

/* Of who has the descriptor. */
extern lockdown_names udmabuf_calls;
