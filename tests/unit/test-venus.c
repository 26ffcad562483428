/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * Venus in the real library, with its render server and whatever Vulkan driver the host has
 * (lavapipe where there is no GPU). Skipped where one of them is missing.
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "engine/companion.h"
#include "renderer/impls.h"
#include "renderer/virgl_internal.h"
#include "unit.h"

#define QUOTA_BYTES (UINT64_C(1) << 30)
#define SHM_BYTES (UINT64_C(1) << 20)
#define PAGE_BYTES 4096
#define TIMEOUT_MS 10000

static const struct renderer_options venus_options = {
	.capset_mask = 1u << RENDERER_CAPSET_VENUS,
};
static const struct renderer_options all_options = {
	.use_egl = true,
	.use_gles = true,
	.use_surfaceless = true,
};

struct server {
	const struct renderer_options *options;
	char *path;
};

struct test {
	struct companion companion;
	struct server server;
	struct quota quota;
	struct renderer *r;
	GArray *signaled; /* of struct renderer_fence */
};

static int run_server(void *data, int fd)
{
	const struct server *server = data;

	return virgl_server.become(server->options, server->path, fd) == 0 ? 0 : 1;
}

static void on_fence(void *data, const struct renderer_fence *fence)
{
	struct test *test = data;

	g_array_append_val(test->signaled, *fence);
}

static const struct renderer_listener listener = { .fence_signaled = on_fence };

static const struct renderer_capset *find_capset(const struct test *test, uint32_t id)
{
	for (uint32_t i = 0; i < test->r->caps.n_capsets; i++) {
		if (test->r->caps.capsets[i].id == id) {
			return &test->r->caps.capsets[i];
		}
	}
	return NULL;
}

static void teardown(struct test *test)
{
	renderer_destroy(test->r);
	companion_end(&test->companion);
	g_array_unref(test->signaled);
	g_free(test->server.path);
	g_assert_cmpuint(quota_used(&test->quota), ==, 0);
}

static bool setup(struct test *test, const struct renderer_options *wanted)
{
	const struct companion_options companion_options = {
		.run = run_server,
		.data = &test->server,
		.stderr_fd = -1,
	};
	struct renderer_options options = *wanted;

	*test = (struct test){ .server = { wanted, virgl_server.find(wanted) } };
	if (test->server.path == NULL) {
		g_test_skip("no Vulkan driver or no virgl_render_server");
		return false;
	}
	g_assert_cmpint(companion_start(&test->companion, &companion_options, &options.server_fd),
			==, 0);
	test->signaled = g_array_new(FALSE, FALSE, sizeof(struct renderer_fence));
	quota_init(&test->quota, QUOTA_BYTES);
	g_assert_cmpint(renderer_create(&virgl_impl, &options, &test->quota, &test->r), ==, 0);
	renderer_set_listener(test->r, &listener, test);
	if (find_capset(test, RENDERER_CAPSET_VENUS) == NULL) {
		g_test_skip("this virglrenderer has no Venus");
		teardown(test);
		return false;
	}
	return true;
}

static enum gpu_resp create_context(struct test *test, uint32_t id)
{
	return virgl_impl.context->create(test->r, id, RENDERER_CAPSET_VENUS, "test", 4);
}

/* Shared memory of a context's: the rings of Mesa's driver are in such. */
static enum gpu_resp create_shm(struct test *test, uint32_t id, uint32_t ctx_id)
{
	const struct blob_desc desc = {
		.mem = VIRTIO_GPU_BLOB_MEM_HOST3D,
		.flags = VIRTIO_GPU_BLOB_FLAG_USE_MAPPABLE,
		.size_bytes = SHM_BYTES,
		.ctx_id = ctx_id,
	};

	return virgl_impl.blob->create(test->r, id, &desc, NULL);
}

static enum gpu_resp add_fence(struct test *test, uint32_t ctx_id, int ring, uint64_t seq)
{
	const struct renderer_fence fence = {
		.ctx_id = ring >= 0 ? ctx_id : 0,
		.has_ring = ring >= 0,
		.ring_idx = (uint8_t)MAX(ring, 0),
		.seq = seq,
	};

	return virgl_impl.fence_create(test->r, &fence);
}

/* The device's loop: waits for n fences in all. */
static bool wait_fences(struct test *test, guint n)
{
	gint64 deadline_us = g_get_monotonic_time() + TIMEOUT_MS * 1000;
	struct pollfd pollfd = { .fd = test->r->event_fd, .events = POLLIN };

	while (test->signaled->len < n && g_get_monotonic_time() < deadline_us) {
		poll(&pollfd, 1, 100);
		renderer_dispatch(test->r);
	}
	return test->signaled->len >= n;
}

static uint64_t signaled_seq(const struct test *test, guint i)
{
	return g_array_index(test->signaled, struct renderer_fence, i).seq;
}

/* ---- tests ---- */

static void check_capset(struct test *test)
{
	const struct renderer_capset *capset = find_capset(test, RENDERER_CAPSET_VENUS);
	g_autofree uint8_t *bytes = g_malloc0(capset->max_size_bytes);
	unsigned int sum = 0;

	g_assert_cmpint(virgl_impl.context->get_capset(test->r, capset, 0, bytes), ==,
			GPU_RESP_OK_CAPSET);
	for (uint32_t i = 0; i < capset->max_size_bytes; i++) {
		sum += bytes[i];
	}
	g_assert_cmpuint(sum, >, 0);
	g_assert_true(test->r->caps.can_export);
	g_assert_true(test->r->caps.needs_server);
}

static void test_with_gl(void)
{
	struct test test;

	if (!setup(&test, &all_options)) {
		return;
	}
	check_capset(&test);
	g_assert_nonnull(find_capset(&test, RENDERER_CAPSET_VIRGL2));
	g_assert_null(find_capset(&test, RENDERER_CAPSET_DRM));
	/* All three at once, and each with fences of its own. */
	g_assert_cmpint(virgl_impl.context->create(test.r, 1, RENDERER_CAPSET_VIRGL, "a", 1), ==,
			GPU_RESP_OK_NODATA);
	g_assert_cmpint(virgl_impl.context->create(test.r, 2, RENDERER_CAPSET_VIRGL2, "b", 1), ==,
			GPU_RESP_OK_NODATA);
	g_assert_cmpint(create_context(&test, 3), ==, GPU_RESP_OK_NODATA);
	g_assert_cmpint(create_context(&test, 3), ==, GPU_RESP_ERR_INVALID_CONTEXT_ID);
	g_assert_cmpint(add_fence(&test, 3, 0, 1), ==, GPU_RESP_OK_NODATA);
	g_assert_cmpint(add_fence(&test, 1, 0, 2), ==, GPU_RESP_OK_NODATA);
	g_assert_cmpint(add_fence(&test, 0, -1, 3), ==, GPU_RESP_OK_NODATA);
	g_assert_cmpint(add_fence(&test, 2, 7, 4), ==, GPU_RESP_OK_NODATA);
	g_assert_cmpint(test.r->awaited_since_us, >, 0);
	g_assert_true(wait_fences(&test, 4));
	g_assert_cmpint(test.r->awaited_since_us, ==, 0);
	teardown(&test);
}

static void test_alone(void)
{
	struct test test;

	if (!setup(&test, &venus_options)) {
		return;
	}
	check_capset(&test);
	g_assert_cmpuint(test.r->caps.n_capsets, ==, 1);
	g_assert_cmpint(virgl_impl.context->create(test.r, 1, 0, "gl", 2), ==,
			GPU_RESP_ERR_INVALID_PARAMETER);
	g_assert_cmpint(virgl_impl.context->create(test.r, 1, RENDERER_CAPSET_VIRGL2, "gl", 2), ==,
			GPU_RESP_ERR_INVALID_PARAMETER);
	/* 2D is our own. */
	const struct resource_desc desc = {
		.is_2d = true,
		.target = 2,
		.format = 1,
		.width = 16,
		.height = 16,
		.depth = 1,
		.array_size = 1,
	};
	static uint32_t pixels[16 * 16];
	struct iovec iov = { pixels, sizeof(pixels) };
	const struct backing backing = { &iov, 1, sizeof(pixels) };
	const struct rect all = { 0, 0, 16, 16 };
	struct frame *frame;

	memset(pixels, 0x5a, sizeof(pixels));
	g_assert_cmpint(virgl_impl.resource_create(test.r, 5, &desc), ==, GPU_RESP_OK_NODATA);
	g_assert_cmpint(virgl_impl.resource_create(test.r, 5, &desc), ==,
			GPU_RESP_ERR_INVALID_RESOURCE_ID);
	g_assert_cmpint(virgl_impl.resource_attach(test.r, 5, &backing), ==, GPU_RESP_OK_NODATA);
	g_assert_cmpint(virgl_impl.transfer_2d(test.r, 5, &all, 0), ==, GPU_RESP_OK_NODATA);
	g_assert_cmpint(virgl_impl.resource_read(test.r, 5, &all, &frame), ==, GPU_RESP_OK_NODATA);
	g_assert_cmpuint(*(uint32_t *)frame_pixel(frame, 15, 15), ==, 0x5a5a5a5a);
	frame_unref(frame);
	g_assert_cmpint(create_context(&test, 1), ==, GPU_RESP_OK_NODATA);
	virgl_impl.context->attach_resource(test.r, 1, 5);
	virgl_impl.context->detach_resource(test.r, 1, 5);
	virgl_impl.resource_detach(test.r, 5);
	virgl_impl.resource_destroy(test.r, 5);
	/* No GL, no work on the timeline that only GL has. */
	g_assert_cmpint(add_fence(&test, 0, -1, 1), ==, GPU_RESP_OK_NODATA);
	g_assert_true(wait_fences(&test, 1));
	teardown(&test);
}

static void test_shared_memory(void)
{
	struct renderer_export first, second;
	struct stat info;
	struct test test;

	if (!setup(&test, &venus_options)) {
		return;
	}
	g_assert_cmpint(create_shm(&test, 10, 1), ==, GPU_RESP_ERR_INVALID_CONTEXT_ID);
	g_assert_cmpint(create_context(&test, 1), ==, GPU_RESP_OK_NODATA);
	uint64_t used = quota_used(&test.quota);
	g_assert_cmpint(create_shm(&test, 10, 1), ==, GPU_RESP_OK_NODATA);
	g_assert_cmpuint(quota_used(&test.quota) - used, ==, SHM_BYTES);
	g_assert_cmpint(create_shm(&test, 10, 1), ==, GPU_RESP_ERR_INVALID_RESOURCE_ID);
	virgl_impl.context->attach_resource(test.r, 1, 10);

	g_assert_cmpint(virgl_impl.blob->export(test.r, 10, &first), ==, GPU_RESP_OK_NODATA);
	g_assert_cmpint(virgl_impl.blob->export(test.r, 10, &second), ==, GPU_RESP_OK_NODATA);
	g_assert_cmpint(first.fd, !=, second.fd);
	g_assert_cmpuint(first.offset_bytes, ==, 0);
	g_assert_cmpuint(first.map_info, ==, VIRTIO_GPU_MAP_CACHE_CACHED);
	g_assert_cmpint(fstat(first.fd, &info), ==, 0);
	g_assert_cmpint(info.st_size, ==, SHM_BYTES);
	char *there = mmap(NULL, SHM_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, first.fd, 0);
	const char *here = mmap(NULL, SHM_BYTES, PROT_READ, MAP_SHARED, second.fd, 0);
	g_assert_true(there != MAP_FAILED && here != MAP_FAILED);
	memset(there, 0x42, SHM_BYTES);
	g_assert_cmpint(here[SHM_BYTES - 1], ==, 0x42);
	munmap(there, SHM_BYTES);
	munmap((void *)(uintptr_t)here, SHM_BYTES);
	close(first.fd);
	close(second.fd);
	virgl_impl.resource_destroy(test.r, 10);
	g_assert_cmpuint(quota_used(&test.quota), ==, used);
	g_assert_cmpint(virgl_impl.blob->export(test.r, 10, &first), ==,
			GPU_RESP_ERR_INVALID_RESOURCE_ID);
	teardown(&test);
}

static void test_quota(void)
{
	struct test test;

	if (!setup(&test, &venus_options)) {
		return;
	}
	g_assert_cmpint(create_context(&test, 1), ==, GPU_RESP_OK_NODATA);
	const struct blob_desc large = {
		.mem = VIRTIO_GPU_BLOB_MEM_HOST3D,
		.flags = VIRTIO_GPU_BLOB_FLAG_USE_MAPPABLE,
		.size_bytes = QUOTA_BYTES,
		.ctx_id = 1,
	};
	g_assert_cmpint(virgl_impl.blob->create(test.r, 1, &large, NULL), ==,
			GPU_RESP_ERR_OUT_OF_MEMORY);
	/* As many contexts as there is room for, and no more. */
	uint32_t n = 1;
	while (n < 1000 && create_context(&test, n + 1) == GPU_RESP_OK_NODATA) {
		n++;
	}
	g_assert_cmpuint(n, >, 1);
	g_assert_cmpuint(n, <, 256);
	teardown(&test);
}

/* Each is a descriptor; there are some left for everything else. */
static void test_too_many_blobs(void)
{
	struct test test;
	uint32_t n = 0;

	if (!setup(&test, &venus_options)) {
		return;
	}
	g_assert_cmpint(create_context(&test, 1), ==, GPU_RESP_OK_NODATA);
	const struct blob_desc small = {
		.mem = VIRTIO_GPU_BLOB_MEM_HOST3D,
		.flags = VIRTIO_GPU_BLOB_FLAG_USE_MAPPABLE,
		.size_bytes = PAGE_BYTES,
		.ctx_id = 1,
	};
	while (n < 100000 &&
	       virgl_impl.blob->create(test.r, n + 1, &small, NULL) == GPU_RESP_OK_NODATA) {
		n++;
	}
	g_assert_cmpuint(n, >, 500);
	g_assert_cmpuint(n, <=, 8192);
	virgl_impl.resource_destroy(test.r, n);
	g_assert_cmpint(virgl_impl.blob->create(test.r, n, &small, NULL), ==, GPU_RESP_OK_NODATA);
	g_assert_cmpint(add_fence(&test, 1, 0, 1), ==, GPU_RESP_OK_NODATA);
	g_assert_true(wait_fences(&test, 1));
	teardown(&test);
}

static void test_guest_memory(void)
{
	static char pages[2][PAGE_BYTES];
	struct iovec iov[] = { { pages[0], PAGE_BYTES }, { pages[1], PAGE_BYTES } };
	const struct backing backing = { iov, 2, 2 * PAGE_BYTES };
	const struct blob_desc desc = {
		.mem = VIRTIO_GPU_BLOB_MEM_GUEST,
		.size_bytes = 2 * PAGE_BYTES,
	};
	struct test test;

	if (!setup(&test, &venus_options)) {
		return;
	}
	g_assert_cmpint(create_context(&test, 1), ==, GPU_RESP_OK_NODATA);
	uint64_t used = quota_used(&test.quota);
	g_assert_cmpint(virgl_impl.blob->create(test.r, 3, &desc, &backing), ==,
			GPU_RESP_OK_NODATA);
	g_assert_cmpuint(quota_used(&test.quota), ==, used);
	virgl_impl.context->attach_resource(test.r, 1, 3);
	virgl_impl.resource_detach(test.r, 3);
	g_assert_cmpint(virgl_impl.resource_attach(test.r, 3, &backing), ==, GPU_RESP_OK_NODATA);
	virgl_impl.context->detach_resource(test.r, 1, 3);
	virgl_impl.resource_detach(test.r, 3);
	virgl_impl.resource_destroy(test.r, 3);
	teardown(&test);
}

static void test_fences(void)
{
	struct test test;

	if (!setup(&test, &venus_options)) {
		return;
	}
	g_assert_cmpint(create_context(&test, 1), ==, GPU_RESP_OK_NODATA);
	g_assert_cmpint(create_context(&test, 2), ==, GPU_RESP_OK_NODATA);
	for (uint64_t seq = 1; seq <= 100; seq++) {
		g_assert_cmpint(add_fence(&test, 1 + seq % 2, 0, seq), ==, GPU_RESP_OK_NODATA);
	}
	/* The last one of each stands for those before it. */
	gint64 deadline_us = g_get_monotonic_time() + TIMEOUT_MS * 1000;
	while (test.r->awaited_since_us != 0 && g_get_monotonic_time() < deadline_us) {
		wait_fences(&test, test.signaled->len + 1);
	}
	g_assert_cmpint(test.r->awaited_since_us, ==, 0);
	uint64_t last[2] = { 0, 0 };
	for (guint i = 0; i < test.signaled->len; i++) {
		uint64_t seq = signaled_seq(&test, i);

		g_assert_cmpuint(seq, >, last[seq % 2]);
		last[seq % 2] = seq;
	}
	g_assert_cmpuint(last[0] + last[1], ==, 199);
	/* Beyond the last ring there is nothing to wait for. */
	g_array_set_size(test.signaled, 0);
	g_assert_cmpint(add_fence(&test, 1, 64, 101), ==, GPU_RESP_OK_NODATA);
	g_assert_cmpint(add_fence(&test, 1, 255, 102), ==, GPU_RESP_OK_NODATA);
	g_assert_true(wait_fences(&test, 2));
	teardown(&test);
}

static bool is_lost(struct test *test, uint32_t ctx_id)
{
	const struct virgl_context *context = virgl_context_find(virgl_from_base(test->r), ctx_id);

	return context->is_lost;
}

/* Its process ends of what it is told; nothing but the context is lost. */
static void test_bad_stream(void)
{
	uint32_t bad[] = { 0xffffffff, 0xffffffff };
	struct test test;

	if (!setup(&test, &venus_options)) {
		return;
	}
	g_assert_cmpint(create_context(&test, 1), ==, GPU_RESP_OK_NODATA);
	g_assert_cmpint(create_context(&test, 2), ==, GPU_RESP_OK_NODATA);
	g_assert_cmpint(create_shm(&test, 10, 1), ==, GPU_RESP_OK_NODATA);
	g_assert_cmpint(virgl_impl.context->submit(test.r, 1, bad, 3), ==,
			GPU_RESP_ERR_INVALID_PARAMETER);
	for (unsigned int i = 0; i < 1000 && !is_lost(&test, 1); i++) {
		virgl_impl.context->submit(test.r, 1, bad, sizeof(bad));
		g_usleep(10 * 1000);
	}
	g_assert_true(is_lost(&test, 1));
	g_assert_cmpint(virgl_impl.context->submit(test.r, 1, bad, sizeof(bad)), ==,
			GPU_RESP_ERR_UNSPEC);
	g_assert_cmpint(create_shm(&test, 11, 1), ==, GPU_RESP_ERR_UNSPEC);
	virgl_impl.context->attach_resource(test.r, 1, 10);
	virgl_impl.context->detach_resource(test.r, 1, 10);
	g_assert_cmpint(add_fence(&test, 1, 3, 1), ==, GPU_RESP_OK_NODATA);
	g_assert_true(wait_fences(&test, 1));
	/* The other one lives, and so does the memory that the first has given. */
	g_assert_cmpint(add_fence(&test, 2, 0, 2), ==, GPU_RESP_OK_NODATA);
	g_assert_true(wait_fences(&test, 2));
	virgl_impl.resource_destroy(test.r, 10);
	virgl_impl.context->destroy(test.r, 1);
	g_assert_cmpint(create_context(&test, 1), ==, GPU_RESP_OK_NODATA);
	g_assert_cmpint(create_shm(&test, 10, 1), ==, GPU_RESP_OK_NODATA);
	teardown(&test);
}

/* What is no packet is not sent, as half of it would be. */
static void test_long_stream(void)
{
	size_t size = (128 << 10) + 4;
	g_autofree uint32_t *words = g_malloc0(size);
	struct test test;

	if (!setup(&test, &venus_options)) {
		return;
	}
	g_assert_cmpint(create_context(&test, 1), ==, GPU_RESP_OK_NODATA);
	g_assert_cmpint(virgl_impl.context->submit(test.r, 1, words, size), ==,
			GPU_RESP_ERR_INVALID_PARAMETER);
	g_assert_cmpint(virgl_impl.context->submit(test.r, 1, words, 0), ==, GPU_RESP_OK_NODATA);
	g_assert_cmpint(add_fence(&test, 1, 0, 1), ==, GPU_RESP_OK_NODATA);
	g_assert_true(wait_fences(&test, 1));
	g_assert_false(is_lost(&test, 1));
	teardown(&test);
}

/* A fence on a ring without a queue ends the process; the fence is signalled all the same. */
static void test_bad_ring(void)
{
	struct test test;

	if (!setup(&test, &venus_options)) {
		return;
	}
	g_assert_cmpint(create_context(&test, 1), ==, GPU_RESP_OK_NODATA);
	add_fence(&test, 1, 9, 1);
	g_assert_true(wait_fences(&test, 1));
	g_assert_cmpint(test.r->awaited_since_us, ==, 0);
	/* Destroyed with fences that nobody will signal. */
	g_assert_cmpint(create_context(&test, 2), ==, GPU_RESP_OK_NODATA);
	for (uint64_t seq = 2; seq < 50; seq++) {
		add_fence(&test, 2, (int)seq, seq);
	}
	virgl_impl.context->destroy(test.r, 2);
	g_assert_cmpint(create_context(&test, 2), ==, GPU_RESP_OK_NODATA);
	g_array_set_size(test.signaled, 0);
	g_assert_cmpint(add_fence(&test, 2, 0, 50), ==, GPU_RESP_OK_NODATA);
	g_assert_true(wait_fences(&test, 1));
	g_assert_cmpuint(signaled_seq(&test, test.signaled->len - 1), ==, 50);
	g_assert_cmpint(test.r->awaited_since_us, ==, 0);
	teardown(&test);
}

/* What one context has is not forced on another, which might die of it. */
static void test_attach(void)
{
	struct test test;

	if (!setup(&test, &venus_options)) {
		return;
	}
	g_assert_cmpint(create_context(&test, 1), ==, GPU_RESP_OK_NODATA);
	g_assert_cmpint(create_context(&test, 2), ==, GPU_RESP_OK_NODATA);
	g_assert_cmpint(create_shm(&test, 10, 1), ==, GPU_RESP_OK_NODATA);
	virgl_impl.context->attach_resource(test.r, 2, 10);
	virgl_impl.context->detach_resource(test.r, 2, 10);
	virgl_impl.context->attach_resource(test.r, 1, 10);
	virgl_impl.context->detach_resource(test.r, 1, 10);
	virgl_impl.context->attach_resource(test.r, 1, 10);
	virgl_impl.context->attach_resource(test.r, 1, 11);
	virgl_impl.context->attach_resource(test.r, 3, 10);
	/* The same id, and not the same context. */
	g_assert_cmpint(create_shm(&test, 12, 1), ==, GPU_RESP_OK_NODATA);
	virgl_impl.context->destroy(test.r, 1);
	g_assert_cmpint(create_context(&test, 1), ==, GPU_RESP_OK_NODATA);
	virgl_impl.context->attach_resource(test.r, 1, 12);
	for (uint64_t seq = 1; seq <= 2; seq++) {
		g_assert_cmpint(add_fence(&test, (uint32_t)seq, 0, seq), ==, GPU_RESP_OK_NODATA);
		g_assert_true(wait_fences(&test, (guint)seq));
	}
	g_assert_false(is_lost(&test, 1));
	g_assert_false(is_lost(&test, 2));
	teardown(&test);
}

static void test_dead_server(void)
{
	uint32_t words[] = { 0, 0 };
	struct test test;

	if (!setup(&test, &venus_options)) {
		return;
	}
	g_assert_cmpint(create_context(&test, 1), ==, GPU_RESP_OK_NODATA);
	g_assert_cmpint(create_shm(&test, 10, 1), ==, GPU_RESP_OK_NODATA);
	companion_end(&test.companion);
	g_assert_cmpint(create_shm(&test, 11, 1), !=, GPU_RESP_OK_NODATA);
	g_assert_cmpint(create_context(&test, 2), !=, GPU_RESP_OK_NODATA);
	g_assert_cmpint(virgl_impl.context->submit(test.r, 1, words, sizeof(words)), !=,
			GPU_RESP_OK_NODATA);
	g_assert_true(is_lost(&test, 1));
	teardown(&test);
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/venus/with-gl", test_with_gl);
	g_test_add_func("/venus/alone", test_alone);
	g_test_add_func("/venus/shared-memory", test_shared_memory);
	g_test_add_func("/venus/quota", test_quota);
	g_test_add_func("/venus/too-many-blobs", test_too_many_blobs);
	g_test_add_func("/venus/guest-memory", test_guest_memory);
	g_test_add_func("/venus/fences", test_fences);
	g_test_add_func("/venus/bad-stream", test_bad_stream);
	g_test_add_func("/venus/long-stream", test_long_stream);
	g_test_add_func("/venus/bad-ring", test_bad_ring);
	g_test_add_func("/venus/attach", test_attach);
	g_test_add_func("/venus/dead-server", test_dead_server);
	return g_test_run();
}
