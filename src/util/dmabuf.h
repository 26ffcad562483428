/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * A picture in memory that others can have by a descriptor (Linux' dma-buf):
 * a display gets the descriptor once and reads the pixels by itself, so that
 * nobody copies them.
 *
 * Reference-counted across threads, and never changed. What is in the pixels
 * changes at any time; a display is told when to look.
 */
#pragma once

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

#include "util/lockdown.h"
#include "util/pixels.h"

#define DMABUF_MODIFIER_LINEAR UINT64_C(0)
#define DMABUF_MODIFIER_INVALID UINT64_C(0x00ffffffffffffff) /* nobody knows */

/* One plane, as all formats that there are have. Without padding: it goes to other processes. */
struct dmabuf_layout {
	uint32_t width, height;		     /* pixels */
	uint32_t stride_bytes, offset_bytes; /* of the first row, in the buffer */
	uint64_t modifier;		     /* DMABUF_MODIFIER_*, or a GPU's own */
	uint32_t fourcc; /* PIXEL_[AX]RGB8888, PIXEL_[AX]BGR8888 */
	/* VIRTIO_GPU_RESOURCE_FLAG_Y_0_TOP as displays take it: the last row lies first. */
	uint32_t is_y_0_top;
};

/* What somebody can be given; of any other order than rows they would have to be told. */
enum dmabuf_kinds {
	DMABUFS_NONE,
	DMABUFS_LINEAR,
	DMABUFS_ALL,
};

struct dmabuf {
	gatomicrefcount refs;
	uint64_t id; /* of this one and no other, in this process; never 0 */
	int fd;	     /* owned */
	struct dmabuf_layout layout;
};

struct dmabuf *dmabuf_create(const struct dmabuf_layout *layout, int consume_fd);
struct dmabuf *dmabuf_ref(struct dmabuf *dmabuf);
void dmabuf_unref(struct dmabuf *dmabuf); /* NULL is fine */

bool dmabuf_is_among(const struct dmabuf_layout *layout, enum dmabuf_kinds kinds);

/* 0, -EBADF: it is another kind of file; or another -errno. */
int dmabuf_get_size(int fd, uint64_t *size_bytes_out) G_GNUC_WARN_UNUSED_RESULT;

/*
 * Of what another process says: is that a dma-buf, and do all rows lie in it?
 * Returns 0; -EINVAL, -EFBIG: the layout makes no sense, or not of that
 * buffer; -EBADF: it is another kind of file; or another -errno.
 */
int dmabuf_check(int fd, const struct dmabuf_layout *layout) G_GNUC_WARN_UNUSED_RESULT;

/* Of both. */
extern lockdown_names dmabuf_calls;
