/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * The stand-in for /dev/udmabuf, which is loaded into this program: what it gives out is the file,
 * what the device would refuse it refuses, and nothing else is changed.
 */
#include <errno.h>
#include <fcntl.h>
#include <glib.h>
#include <glib/gstdio.h>
#include <linux/udmabuf.h>
#include <stdint.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#define SIZE_BYTES 8192

static int make_file(off_t size_bytes, int seals)
{
	int fd = memfd_create("test", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	g_assert_cmpint(fd, >=, 0);
	g_assert_cmpint(ftruncate(fd, size_bytes), ==, 0);
	g_assert_cmpint(fcntl(fd, F_ADD_SEALS, seals), ==, 0);
	return fd;
}

static int open_device(void)
{
	int fd = open("/dev/udmabuf", O_RDWR | O_CLOEXEC);

	g_assert_cmpint(fd, >=, 0);
	g_assert_cmpint(fcntl(fd, F_GETFD), ==, FD_CLOEXEC);
	return fd;
}

static int create(int device_fd, int memfd, uint64_t offset, uint64_t size)
{
	const struct udmabuf_create wanted = {
		.memfd = (uint32_t)memfd,
		.flags = UDMABUF_FLAGS_CLOEXEC,
		.offset = offset,
		.size = size,
	};

	return ioctl(device_fd, UDMABUF_CREATE, &wanted);
}

static void test_memory(void)
{
	int device_fd = open_device(), memfd = make_file(SIZE_BYTES, F_SEAL_SHRINK);
	int fd = create(device_fd, memfd, 0, SIZE_BYTES);

	g_assert_cmpint(fd, >=, 0);
	g_assert_cmpint(fd, !=, memfd);
	g_assert_cmpint(fcntl(fd, F_GETFD), ==, FD_CLOEXEC);
	g_assert_cmpint(lseek(fd, 0, SEEK_END), ==, SIZE_BYTES);
	char *here = mmap(NULL, SIZE_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	const char *there = mmap(NULL, SIZE_BYTES, PROT_READ, MAP_SHARED, memfd, 0);
	g_assert_true(here != MAP_FAILED && there != MAP_FAILED);
	memset(here, 0x5a, SIZE_BYTES);
	g_assert_cmpint(there[SIZE_BYTES - 1], ==, 0x5a);
	munmap(here, SIZE_BYTES);
	munmap((void *)(uintptr_t)there, SIZE_BYTES);
	close(fd);
	close(memfd);
	close(device_fd);
}

static void assert_refused(int device_fd, int memfd, uint64_t offset, uint64_t size)
{
	errno = 0;
	g_assert_cmpint(create(device_fd, memfd, offset, size), ==, -1);
	g_assert_cmpint(errno, ==, EINVAL);
}

static void test_refused(void)
{
	int device_fd = open_device();
	int sound = make_file(SIZE_BYTES, F_SEAL_SHRINK);
	int may_shrink = make_file(SIZE_BYTES, 0);
	int read_only = make_file(SIZE_BYTES, F_SEAL_SHRINK | F_SEAL_WRITE);
	int no_file = open("/dev/null", O_RDWR | O_CLOEXEC);

	assert_refused(device_fd, sound, 4096, 4096);
	assert_refused(device_fd, sound, 0, SIZE_BYTES + 4096);
	assert_refused(device_fd, sound, 0, 100);
	assert_refused(device_fd, sound, 0, 0);
	assert_refused(device_fd, may_shrink, 0, SIZE_BYTES);
	assert_refused(device_fd, read_only, 0, SIZE_BYTES);
	assert_refused(device_fd, no_file, 0, SIZE_BYTES);
	assert_refused(device_fd, -1, 0, SIZE_BYTES);
	close(no_file);
	close(read_only);
	close(may_shrink);
	close(sound);
	close(device_fd);
}

static void test_others(void)
{
	int device_fd = open_device(), memfd = make_file(SIZE_BYTES, F_SEAL_SHRINK);
	int null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	g_autofree char *path = g_build_filename(g_get_tmp_dir(), "udmabuf-XXXXXX", NULL);
	int n = 0, pipe_fds[2];

	g_assert_cmpint(null_fd, >=, 0);
	/* Of another file the call is the kernel's to refuse. */
	errno = 0;
	g_assert_cmpint(create(null_fd, memfd, 0, SIZE_BYTES), ==, -1);
	g_assert_cmpint(errno, ==, ENOTTY);
	g_assert_cmpint(pipe(pipe_fds), ==, 0);
	g_assert_cmpint(write(pipe_fds[1], "abc", 3), ==, 3);
	g_assert_cmpint(ioctl(pipe_fds[0], FIONREAD, &n), ==, 0);
	g_assert_cmpint(n, ==, 3);
	g_assert_cmpint(open("/nonexistent/udmabuf", O_RDONLY | O_CLOEXEC), ==, -1);
	g_assert_cmpint(errno, ==, ENOENT);
	/* A file's mode arrives. */
	g_assert_cmpint(g_mkstemp(path), >=, 0);
	g_assert_cmpint(unlink(path), ==, 0);
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0400);
	g_assert_cmpint(fd, >=, 0);
	GStatBuf info;
	g_assert_cmpint(g_stat(path, &info), ==, 0);
	g_assert_cmpuint(info.st_mode & 0777, ==, 0400);
	unlink(path);
	close(fd);
	close(pipe_fds[0]);
	close(pipe_fds[1]);
	close(null_fd);
	close(memfd);
	close(device_fd);
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/udmabuf-library/memory", test_memory);
	g_test_add_func("/udmabuf-library/refused", test_refused);
	g_test_add_func("/udmabuf-library/others", test_others);
	return g_test_run();
}
