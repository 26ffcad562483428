/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * A stand-in for /dev/udmabuf, loaded into a render server (LD_PRELOAD) on a
 * host that has neither that device nor a GPU: a container, mostly.
 *
 * Vulkan in software makes memory that others can map out of memory files. By
 * way of /dev/udmabuf it becomes a dma-buf of whole pages, which begins where
 * the file does. Without, it is one of a kind that belongs to the driver: its
 * data have a head in front, do not fill the last page, and are no image that
 * a swapchain could have (renderer/opaque.c). Nobody on such a host has a use for
 * what makes a dma-buf more than a file: there is no other device. So the file
 * itself is given out in its place.
 *
 * It is no library of the program's; nothing else is in it, and it calls
 * nothing but the C library.
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/udmabuf.h>
#include <stdarg.h>
#include <stdbool.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define DEVICE "/dev/udmabuf"
#define EXPORT __attribute__((visibility("default")))

/* The C library's headers have them with attributes and as macros. */
#undef open
#undef open64
EXPORT int open(const char *path, int flags, ...);
EXPORT int open64(const char *path, int flags, ...);
EXPORT int __open_2(const char *path, int flags);
EXPORT int __open64_2(const char *path, int flags);
EXPORT int ioctl(int fd, unsigned long request, ...);

/* What is handed out as the device: a file of no use, so that it can be told from others. */
static int device_fd = -1;

/* With dlsym(), as a function's address is no object's to C. */
static void find_next(const char *name, void *function_out)
{
	void *address = dlsym(RTLD_NEXT, name);

	memcpy(function_out, &address, sizeof(address));
}

static int open_device(int flags)
{
	if (device_fd < 0) {
		device_fd = memfd_create("udmabuf", MFD_CLOEXEC);
	}
	return device_fd < 0 ? -1
			     : fcntl(device_fd, flags & O_CLOEXEC ? F_DUPFD_CLOEXEC : F_DUPFD, 0);
}

static bool is_same_file(int fd, int other_fd)
{
	struct stat file, other;

	return fstat(fd, &file) == 0 && fstat(other_fd, &other) == 0 &&
	       file.st_dev == other.st_dev && file.st_ino == other.st_ino;
}

/* As the device does, of what the file is all of: its size must not shrink any more. */
static int create(const struct udmabuf_create *wanted)
{
	int seals = fcntl((int)wanted->memfd, F_GET_SEALS);
	bool closes = (wanted->flags & UDMABUF_FLAGS_CLOEXEC) != 0;
	off_t size = lseek((int)wanted->memfd, 0, SEEK_END);

	if (seals < 0 || (seals & F_SEAL_SHRINK) == 0 || (seals & F_SEAL_WRITE) != 0 ||
	    wanted->offset != 0 || wanted->size == 0 || size < 0 || wanted->size > (__u64)size ||
	    wanted->size % (__u64)sysconf(_SC_PAGESIZE) != 0) {
		errno = EINVAL;
		return -1;
	}
	return fcntl((int)wanted->memfd, closes ? F_DUPFD_CLOEXEC : F_DUPFD, 0);
}

static int open_any(const char *path, int flags, mode_t mode)
{
	static int (*next)(const char *path, int flags, ...);

	if (strcmp(path, DEVICE) == 0) {
		return open_device(flags);
	}
	if (next == NULL) {
		find_next("open64", &next);
	}
	/* Of a C library that has no other one. */
	if (next == NULL) {
		find_next("open", &next);
	}
	return next(path, flags, mode);
}

static bool has_mode(int flags)
{
	return (flags & O_CREAT) != 0 || (flags & O_TMPFILE) == O_TMPFILE;
}

int open(const char *path, int flags, ...)
{
	mode_t mode = 0;

	if (has_mode(flags)) {
		va_list args;

		va_start(args, flags);
		mode = va_arg(args, mode_t);
		va_end(args);
	}
	return open_any(path, flags, mode);
}

int open64(const char *path, int flags, ...)
{
	mode_t mode = 0;

	if (has_mode(flags)) {
		va_list args;

		va_start(args, flags);
		mode = va_arg(args, mode_t);
		va_end(args);
	}
	return open_any(path, flags, mode);
}

int __open_2(const char *path, int flags)
{
	return open_any(path, flags, 0);
}

int __open64_2(const char *path, int flags)
{
	return open_any(path, flags, 0);
}

int ioctl(int fd, unsigned long request, ...)
{
	static int (*next)(int fd, unsigned long request, ...);
	va_list args;

	va_start(args, request);
	void *argument = va_arg(args, void *);
	va_end(args);
	if (device_fd >= 0 && request == UDMABUF_CREATE && is_same_file(fd, device_fd)) {
		return create(argument);
	}
	if (next == NULL) {
		find_next("ioctl", &next);
	}
	return next(fd, request, argument);
}
