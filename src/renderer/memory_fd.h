/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* Descriptors of a blob's memory, as libraries hand them out. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

enum memory_fd_kind {
	MEMORY_FD_DMABUF,
	MEMORY_FD_OPAQUE, /* of Vulkan's driver, in a form of its own */
	MEMORY_FD_SHM,
};

/*
 * Where in the file size_bytes of memory are. Libraries do not say how large it
 * is, so it is looked at: who maps more than there is dies of SIGBUS when it is
 * touched. False: others can't map them.
 */
bool memory_fd_find(int fd, enum memory_fd_kind kind, uint64_t size_bytes, uint64_t *offset_out);
