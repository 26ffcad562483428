/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "gpu/udmabuf.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/udmabuf.h>
#include <sys/ioctl.h>

lockdown_names udmabuf_calls = { "ioctl(udmabuf)", NULL };

int udmabuf_open(void)
{
	int fd = open(UDMABUF_PATH, O_RDWR | O_CLOEXEC);

	return fd < 0 ? -errno : fd;
}

/* The module has limits of its own for runs (1024) and bytes (64 MiB): EINVAL. */
static int export(void *data, const struct exporter_run *runs, size_t n_runs)
{
	const int *fd = data;
	size_t size =
		sizeof(struct udmabuf_create_list) + n_runs * sizeof(struct udmabuf_create_item);
	g_autofree struct udmabuf_create_list *list = g_try_malloc0(size);

	if (list == NULL) {
		return -ENOMEM;
	}
	list->flags = UDMABUF_FLAGS_CLOEXEC;
	list->count = (uint32_t)n_runs;
	for (size_t i = 0; i < n_runs; i++) {
		list->list[i] = (struct udmabuf_create_item){
			.memfd = (uint32_t)runs[i].fd,
			.offset = runs[i].offset_bytes,
			.size = runs[i].size_bytes,
		};
	}
	int buffer_fd = ioctl(*fd, UDMABUF_CREATE_LIST, list);
	return buffer_fd < 0 ? -errno : buffer_fd;
}

const struct exporter udmabuf_exporter = { .export = export };
