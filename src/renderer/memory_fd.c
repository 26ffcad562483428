/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "renderer/memory_fd.h"

#include <sys/stat.h>
#include <unistd.h>

#include "renderer/opaque.h"

bool memory_fd_find(int fd, enum memory_fd_kind kind, uint64_t size_bytes, uint64_t *offset_out)
{
	struct stat info;

	if (kind == MEMORY_FD_OPAQUE) {
		return opaque_find(fd, size_bytes, offset_out);
	}
	off_t end = lseek(fd, 0, SEEK_END);
	if (end < 0 || (uint64_t)end < size_bytes || fstat(fd, &info) < 0) {
		return false;
	}
	*offset_out = 0;
	return kind == MEMORY_FD_DMABUF || S_ISREG(info.st_mode);
}
