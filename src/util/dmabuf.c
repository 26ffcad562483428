/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "util/dmabuf.h"

#include <assert.h>
#include <errno.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "util/checked.h"

/* As linux/magic.h of Linux 5.3 has it. */
#define DMA_BUF_MAGIC 0x444d4142
#define PIXEL_BYTES 4u
/* What a display can be asked to show; see display.h. */
#define MAX_SIDE 16384u

lockdown_names dmabuf_calls = { "fstatfs", "fstatfs64", NULL };

static_assert(sizeof(struct dmabuf_layout) == 32, "no padding");

struct dmabuf *dmabuf_create(const struct dmabuf_layout *layout, int consume_fd)
{
	static uint64_t last_id; /* atomic */
	struct dmabuf *dmabuf = g_new0(struct dmabuf, 1);

	g_atomic_ref_count_init(&dmabuf->refs);
	dmabuf->id = __atomic_add_fetch(&last_id, 1, __ATOMIC_RELAXED);
	dmabuf->fd = consume_fd;
	dmabuf->layout = *layout;
	return dmabuf;
}

struct dmabuf *dmabuf_ref(struct dmabuf *dmabuf)
{
	g_atomic_ref_count_inc(&dmabuf->refs);
	return dmabuf;
}

void dmabuf_unref(struct dmabuf *dmabuf)
{
	if (dmabuf != NULL && g_atomic_ref_count_dec(&dmabuf->refs)) {
		close(dmabuf->fd);
		g_free(dmabuf);
	}
}

bool dmabuf_is_among(const struct dmabuf_layout *layout, enum dmabuf_kinds kinds)
{
	bool has_no_order = layout->modifier == DMABUF_MODIFIER_LINEAR ||
			    layout->modifier == DMABUF_MODIFIER_INVALID;

	return kinds == DMABUFS_ALL || (kinds == DMABUFS_LINEAR && has_no_order);
}

static bool is_known(uint32_t fourcc)
{
	return fourcc == PIXEL_XRGB8888 || fourcc == PIXEL_ARGB8888 ||
	       fourcc == PIXEL_XBGR8888 || fourcc == PIXEL_ABGR8888;
}

static bool is_sane(const struct dmabuf_layout *layout)
{
	return layout->width > 0 && layout->width <= MAX_SIDE && layout->height > 0 &&
	       layout->height <= MAX_SIDE && layout->is_y_0_top <= 1 &&
	       is_known(layout->fourcc) &&
	       layout->stride_bytes >= layout->width * PIXEL_BYTES;
}

int dmabuf_get_size(int fd, uint64_t *size_bytes_out)
{
	struct statfs fs;

	if (fstatfs(fd, &fs) < 0) {
		return -errno;
	}
	if ((uint64_t)fs.f_type != DMA_BUF_MAGIC) {
		return -EBADF;
	}
	off_t size = lseek(fd, 0, SEEK_END);
	if (size < 0) {
		return -errno;
	}
	*size_bytes_out = (uint64_t)size;
	return 0;
}

int dmabuf_check(int fd, const struct dmabuf_layout *layout)
{
	uint64_t size;

	if (!is_sane(layout)) {
		return -EINVAL;
	}
	int error = dmabuf_get_size(fd, &size);
	if (error < 0) {
		return error;
	}
	/* A GPU's own order of pixels takes no less. */
	return checked_range(layout->offset_bytes, (uint64_t)layout->stride_bytes * layout->height,
			     size)
		       ? 0
		       : -EFBIG;
}
