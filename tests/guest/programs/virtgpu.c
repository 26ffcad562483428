// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
/*
 * Blob resources, host-visible memory and contexts, with nothing between this
 * program and the kernel's driver.
 *
 *   virtgpu info                    what the driver says it has
 *   virtgpu map CAPSET CYCLES KIB   creates, maps, writes, maps anew, reads,
 *                                   unmaps and destroys blobs in memory of the
 *                                   host, AT_ONCE of them side by side
 *   virtgpu fill CAPSET KIB         as many of them as there can be, each with
 *                                   its own bytes; then all of them are gone
 *   virtgpu hold CAPSET COUNT KIB   has so many, writes and reads them for
 *                                   ever; says "ready", and "lost" when what
 *                                   is read is not what was written
 *   virtgpu fences ROUNDS CAPSET... a context of each capset at the same time;
 *                                   each has fences of its own, and all come
 *
 * A capset is a number: 1 virgl, 2 virgl2, 4 Venus. Venus has a kind of blob
 * (id 0) that needs nothing of Vulkan, plain memory: what the others have is
 * made by their commands. The numbers below are the kernel's interface; the
 * header of Debian 12's libdrm is older than they are.
 */
#define _GNU_SOURCE
#include <drm.h>
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#define AT_ONCE 4
#define MAX_CONTEXTS 8
#define MAX_BLOBS 4096

enum {
	BLOB_MEM_HOST3D = 2,
	BLOB_FLAG_MAPPABLE = 1,
	EXEC_FENCE_FD_OUT = 2,
	EXEC_RING_IDX = 4,
	CONTEXT_PARAM_CAPSET_ID = 1,
	CONTEXT_PARAM_NUM_RINGS = 2,
};

struct map {
	uint64_t offset;
	uint32_t handle, pad;
};

struct execbuffer {
	uint32_t flags, size;
	uint64_t command, bo_handles;
	uint32_t num_bo_handles;
	int32_t fence_fd;
	uint32_t ring_idx, syncobj_stride, num_in_syncobjs, num_out_syncobjs;
	uint64_t in_syncobjs, out_syncobjs;
};

struct getparam {
	uint64_t param, value;
};

struct create_blob {
	uint32_t blob_mem, blob_flags, bo_handle, res_handle;
	uint64_t size;
	uint32_t pad, cmd_size;
	uint64_t cmd, blob_id;
};

struct context_param {
	uint64_t param, value;
};

struct context_init {
	uint32_t num_params, pad;
	uint64_t params;
};

#define IOCTL_MAP DRM_IOWR(DRM_COMMAND_BASE + 0x01, struct map)
#define IOCTL_EXECBUFFER DRM_IOWR(DRM_COMMAND_BASE + 0x02, struct execbuffer)
#define IOCTL_GETPARAM DRM_IOWR(DRM_COMMAND_BASE + 0x03, struct getparam)
#define IOCTL_CREATE_BLOB DRM_IOWR(DRM_COMMAND_BASE + 0x0a, struct create_blob)
#define IOCTL_CONTEXT_INIT DRM_IOWR(DRM_COMMAND_BASE + 0x0b, struct context_init)

/* The value that GETPARAM writes is an int behind a pointer. */
static const char *const params[] = {
	[1] = "3d_features",  [2] = "capset_query_fix", [3] = "resource_blob", [4] = "host_visible",
	[5] = "cross_device", [6] = "context_init",	[7] = "capsets",
};

struct blob {
	int fd; /* of the device; not the blob's */
	uint32_t handle;
	size_t size_bytes;
	volatile uint64_t *words; /* NULL: not mapped */
};

static int must(int fd, unsigned long request, void *arg, const char *what)
{
	int rc;

	do {
		rc = ioctl(fd, request, arg);
	} while (rc < 0 && (errno == EINTR || errno == EAGAIN));
	if (rc < 0) {
		err(1, "%s", what);
	}
	return rc;
}

static uint64_t pointer(const void *p)
{
	return (uint64_t)(uintptr_t)p;
}

static int open_device(void)
{
	int fd = open("/dev/dri/renderD128", O_RDWR | O_CLOEXEC);

	if (fd < 0) {
		err(1, "/dev/dri/renderD128");
	}
	return fd;
}

/* A device with a context of this kind, that has one ring for fences. */
static int open_context(unsigned int capset)
{
	int fd = open_device();
	struct context_param set[] = {
		{ CONTEXT_PARAM_CAPSET_ID, capset },
		{ CONTEXT_PARAM_NUM_RINGS, 1 },
	};
	struct context_init init = { .num_params = 2, .params = pointer(set) };

	must(fd, IOCTL_CONTEXT_INIT, &init, "CONTEXT_INIT");
	return fd;
}

static void info(void)
{
	int fd = open_device();

	for (unsigned int p = 1; p < sizeof(params) / sizeof(params[0]); p++) {
		int value = 0;
		struct getparam get = { .param = p, .value = pointer(&value) };

		if (ioctl(fd, IOCTL_GETPARAM, &get) == 0) {
			printf("%s %d\n", params[p], value);
		}
	}
}

/* Blobs */

/* False, with errno, if there is no room or none that can be mapped. */
static bool create(struct blob *b, int fd, size_t size_bytes)
{
	struct create_blob blob = {
		.blob_mem = BLOB_MEM_HOST3D,
		.blob_flags = BLOB_FLAG_MAPPABLE,
		.size = size_bytes,
	};

	if (ioctl(fd, IOCTL_CREATE_BLOB, &blob) < 0) {
		return false;
	}
	*b = (struct blob){ .fd = fd, .handle = blob.bo_handle, .size_bytes = size_bytes };
	return true;
}

/* The kernel's driver says only here what the device made of the command. */
static bool map(struct blob *b)
{
	struct map at = { .handle = b->handle };

	must(b->fd, IOCTL_MAP, &at, "MAP");
	void *p = mmap(NULL, b->size_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, b->fd,
		       (off_t)at.offset);
	b->words = p == MAP_FAILED ? NULL : p;
	return b->words != NULL;
}

static void unmap(struct blob *b)
{
	if (b->words != NULL) {
		munmap((void *)(uintptr_t)b->words, b->size_bytes);
		b->words = NULL;
	}
}

static void destroy(struct blob *b)
{
	struct drm_gem_close gem = { .handle = b->handle };

	unmap(b);
	must(b->fd, DRM_IOCTL_GEM_CLOSE, &gem, "GEM_CLOSE");
}

static uint64_t word(uint64_t seed, size_t i)
{
	return (seed + 1) * UINT64_C(0x9e3779b97f4a7c15) ^ i;
}

static void write_words(struct blob *b, uint64_t seed)
{
	for (size_t i = 0; i < b->size_bytes / 8; i++) {
		b->words[i] = word(seed, i);
	}
}

static size_t count_wrong(const struct blob *b, uint64_t seed)
{
	size_t wrong = 0;

	for (size_t i = 0; i < b->size_bytes / 8; i++) {
		wrong += b->words[i] != word(seed, i);
	}
	return wrong;
}

static void must_map(struct blob *b)
{
	if (!map(b)) {
		err(1, "mmap of a blob");
	}
}

static size_t cycle(int fd, uint64_t seed, size_t size_bytes)
{
	struct blob blobs[AT_ONCE];
	size_t wrong = 0;

	for (size_t i = 0; i < AT_ONCE; i++) {
		if (!create(&blobs[i], fd, size_bytes)) {
			err(1, "RESOURCE_CREATE_BLOB");
		}
		must_map(&blobs[i]);
		write_words(&blobs[i], seed + i);
		unmap(&blobs[i]);
	}
	for (size_t i = 0; i < AT_ONCE; i++) {
		must_map(&blobs[i]);
		wrong += count_wrong(&blobs[i], seed + i);
		destroy(&blobs[i]);
	}
	return wrong;
}

static void map_cycles(unsigned int capset, unsigned long cycles, size_t size_bytes)
{
	int fd = open_context(capset);
	size_t wrong = 0;

	for (unsigned long n = 0; n < cycles; n++) {
		wrong += cycle(fd, n * AT_ONCE, size_bytes);
	}
	printf("blobs %lu wrong words %zu\n", cycles * AT_ONCE, wrong);
	if (wrong > 0) {
		exit(1);
	}
}

/* Until the window, or what the guest may have, is full. */
static void fill(unsigned int capset, size_t size_bytes)
{
	static struct blob blobs[MAX_BLOBS];
	int fd = open_context(capset);
	size_t n = 0, wrong = 0;

	while (n < MAX_BLOBS && create(&blobs[n], fd, size_bytes)) {
		if (!map(&blobs[n])) {
			destroy(&blobs[n]);
			break;
		}
		write_words(&blobs[n], n);
		n++;
	}
	for (size_t i = 0; i < n; i++) {
		wrong += count_wrong(&blobs[i], i);
		destroy(&blobs[i]);
	}
	printf("blobs %zu wrong words %zu\n", n, wrong);
	if (wrong > 0 || n == 0) {
		exit(1);
	}
}

static void hold(unsigned int capset, size_t count, size_t size_bytes)
{
	static struct blob blobs[MAX_BLOBS];
	int fd = open_context(capset);
	bool was_right = true;

	if (count > MAX_BLOBS) {
		errx(2, "more than %d blobs", MAX_BLOBS);
	}
	for (size_t i = 0; i < count; i++) {
		if (!create(&blobs[i], fd, size_bytes)) {
			err(1, "RESOURCE_CREATE_BLOB");
		}
		must_map(&blobs[i]);
	}
	printf("ready\n");
	for (uint64_t seed = 0;; seed += count, usleep(50000)) {
		size_t wrong = 0;

		for (size_t i = 0; i < count; i++) {
			write_words(&blobs[i], seed + i);
		}
		for (size_t i = 0; i < count; i++) {
			wrong += count_wrong(&blobs[i], seed + i);
		}
		if ((wrong == 0) != was_right) {
			was_right = wrong == 0;
			printf("%s\n", was_right ? "found" : "lost");
		}
	}
}

/* Contexts */

/* Nothing to do, and a descriptor that becomes readable when it is done. An
 * empty stream is one for Venus; virgl has a command for it, a zero. */
static int submit_nothing(int fd, unsigned int capset)
{
	uint32_t nop = 0;
	struct execbuffer exec = {
		.flags = EXEC_FENCE_FD_OUT | EXEC_RING_IDX,
		.size = capset <= 2 ? sizeof(nop) : 0,
		.command = pointer(&nop),
		.fence_fd = -1,
	};

	must(fd, IOCTL_EXECBUFFER, &exec, "EXECBUFFER");
	return exec.fence_fd;
}

static void wait_fence(int consume_fd, unsigned int capset)
{
	struct pollfd pfd = { .fd = consume_fd, .events = POLLIN };

	if (poll(&pfd, 1, 20000) != 1) {
		errx(1, "no fence of capset %u within 20 s", capset);
	}
	close(consume_fd);
}

/* Those of one round are all under way before one is waited for. */
static void fences(unsigned long rounds, unsigned int n, const unsigned int *capsets)
{
	int contexts[MAX_CONTEXTS], pending[MAX_CONTEXTS];

	for (unsigned int i = 0; i < n; i++) {
		contexts[i] = open_context(capsets[i]);
	}
	for (unsigned long r = 0; r < rounds; r++) {
		for (unsigned int i = 0; i < n; i++) {
			pending[i] = submit_nothing(contexts[i], capsets[i]);
		}
		for (unsigned int i = n; i-- > 0;) {
			wait_fence(pending[i], capsets[i]);
		}
	}
	printf("contexts %u fences %lu\n", n, rounds * n);
}

static unsigned long number(const char *text)
{
	char *end;
	unsigned long n = strtoul(text, &end, 10);

	if (*text == '\0' || *end != '\0') {
		errx(2, "%s is no number", text);
	}
	return n;
}

static void fences_of_arguments(int argc, char **argv)
{
	unsigned int capsets[MAX_CONTEXTS], n = 0;

	for (int i = 3; i < argc && n < MAX_CONTEXTS; i++) {
		capsets[n++] = (unsigned int)number(argv[i]);
	}
	fences(number(argv[2]), n, capsets);
}

int main(int argc, char **argv)
{
	const char *verb = argc > 1 ? argv[1] : "";

	setvbuf(stdout, NULL, _IOLBF, 0);
	if (!strcmp(verb, "info") && argc == 2) {
		info();
	} else if (!strcmp(verb, "map") && argc == 5) {
		map_cycles((unsigned int)number(argv[2]), number(argv[3]), number(argv[4]) << 10);
	} else if (!strcmp(verb, "fill") && argc == 4) {
		fill((unsigned int)number(argv[2]), number(argv[3]) << 10);
	} else if (!strcmp(verb, "hold") && argc == 5) {
		hold((unsigned int)number(argv[2]), number(argv[3]), number(argv[4]) << 10);
	} else if (!strcmp(verb, "fences") && argc >= 4) {
		fences_of_arguments(argc, argv);
	} else {
		errx(2, "usage: virtgpu info|map|fill|hold|fences ...");
	}
	return 0;
}
