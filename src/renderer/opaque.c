/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * What Vulkan calls an opaque descriptor belongs to its driver, and nobody else
 * is told what is in it. Of hardware it is no file that can be mapped.
 *
 * Mesa's software driver, lavapipe, makes a memory file of it (its
 * os_memory_fd.c): two words, the file's size and where the data begin; an id;
 * the second word once more in front of the data; the data, to the end of the
 * file. It seals the file's size. Where all of that is so, the data are where
 * it says, and can be mapped like any other file if that is a page's boundary.
 * On a host without a GPU, and without /dev/udmabuf, this is all the memory
 * that Venus has to offer.
 *
 * The words are read from outside the data, which is all that a guest gets.
 */
#include "renderer/opaque.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "util/checked.h"

#define ID_BYTES 16
#define SIZE_SEALS (F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL)

struct opaque_head {
	uint64_t size_bytes;   /* of the file */
	uint64_t offset_bytes; /* of the data */
	uint8_t id[ID_BYTES];
};

static bool read_at(int fd, void *to, size_t n_bytes, uint64_t offset_bytes)
{
	return offset_bytes <= INT64_MAX &&
	       pread(fd, to, n_bytes, (off_t)offset_bytes) == (ssize_t)n_bytes;
}

static bool has_fixed_size(int fd)
{
	int seals = fcntl(fd, F_GET_SEALS);

	return seals >= 0 && (seals & SIZE_SEALS) == SIZE_SEALS;
}

bool opaque_find(int fd, uint64_t size_bytes, uint64_t *offset_out)
{
	uint64_t page_bytes = (uint64_t)sysconf(_SC_PAGESIZE), again;
	struct opaque_head head;
	struct stat info;

	if (fstat(fd, &info) < 0 || !S_ISREG(info.st_mode) || !has_fixed_size(fd) ||
	    !read_at(fd, &head, sizeof(head), 0) || head.size_bytes != (uint64_t)info.st_size ||
	    head.offset_bytes < sizeof(head) + sizeof(again) ||
	    head.offset_bytes % page_bytes != 0 ||
	    !checked_range(head.offset_bytes, size_bytes, head.size_bytes) ||
	    !read_at(fd, &again, sizeof(again), head.offset_bytes - sizeof(again)) ||
	    again != head.offset_bytes) {
		return false;
	}
	*offset_out = head.offset_bytes;
	return true;
}
