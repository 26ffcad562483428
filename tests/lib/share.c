/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* Textures as a GPU's driver would share them, made of a memory file. */
#include <fcntl.h>
#include <linux/udmabuf.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "share.h"

static size_t whole_pages(size_t size_bytes)
{
	size_t mask = (size_t)sysconf(_SC_PAGESIZE) - 1;

	return (size_bytes + mask) & ~mask;
}

static int make_file(size_t size_bytes)
{
	int fd = memfd_create("texture", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	if (fd >= 0 && (ftruncate(fd, (off_t)size_bytes) < 0 ||
			fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK) < 0)) {
		close(fd);
		return -1;
	}
	return fd;
}

static int make_dmabuf(int file, size_t size_bytes)
{
	struct udmabuf_create create = {.memfd = (uint32_t)file,
					.flags = UDMABUF_FLAGS_CLOEXEC,
					.size = size_bytes};
	int device = open("/dev/udmabuf", O_RDWR | O_CLOEXEC);

	if (device < 0) {
		return -1;
	}
	int fd = ioctl(device, UDMABUF_CREATE, &create);
	close(device);
	return fd;
}

uint8_t *share_create(const uint8_t *bytes, size_t size_bytes, int *fd_out)
{
	size_t size = whole_pages(size_bytes);
	int file = make_file(size);

	if (file < 0) {
		return NULL;
	}
	int fd = make_dmabuf(file, size);
	void *shared = fd < 0 ? MAP_FAILED
			      : mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
	close(file);
	if (shared == MAP_FAILED) {
		if (fd >= 0) {
			close(fd);
		}
		return NULL;
	}
	if (bytes != NULL) {
		memcpy(shared, bytes, size_bytes);
	}
	*fd_out = fd;
	return shared;
}

void share_destroy(uint8_t *bytes, size_t size_bytes)
{
	munmap(bytes, whole_pages(size_bytes));
}
