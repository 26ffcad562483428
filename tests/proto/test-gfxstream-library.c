/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * Mode gfxstream on a real library: the one that GFXSTREAM_LIBRARY names, or one that the linker
 * finds. Where there is none, each test says so and is skipped. Drivers may be of software.
 */
#include <dlfcn.h>
#include <errno.h>
#include <link.h>
#include <string.h>
#include <unistd.h>

#include "proto.h"

#define PAGE GUESTRAM_PAGE
#define FORMAT VIRTIO_GPU_FORMAT_B8G8R8X8_UNORM
#define BIND_RENDER_TARGET (1u << 1)
#define BIND_CUSTOM (1u << 17)
#define R8 64u
#define CTX 1u
#define CAPSET_VULKAN 3u
#define CAPSET_GLES 8u
#define OP_RING_CREATE 0x1001u
#define OP_RING_PING 0x1002u
#define NO_RING UINT32_MAX
#define MAX_ARGS 16

/* Owned by the caller; ends the test as skipped where there is none. */
static char *find_library(void)
{
	static const char *const names[] = { "libgfxstream_backend.so.0",
					     "libgfxstream_backend.so" };
	const char *path = g_getenv("GFXSTREAM_LIBRARY");

	if (path && *path) {
		if (access(path, R_OK) < 0) {
			g_error("GFXSTREAM_LIBRARY=%s: %s", path, g_strerror(errno));
		}
		return g_strdup(path);
	}
	for (size_t i = 0; i < G_N_ELEMENTS(names); i++) {
		void *library = dlopen(names[i], RTLD_LAZY | RTLD_LOCAL);
		struct link_map *map;

		if (library && dlinfo(library, RTLD_DI_LINKMAP, &map) == 0) {
			return g_strdup(map->l_name);
		}
	}
	suite_skip("no gfxstream library");
}

/* @more may be NULL. */
static struct rig *make_rig(const char *capsets, const char *const *more)
{
	g_autofree char *library = find_library();
	const char *args[MAX_ARGS] = {
		"--capset", capsets, "--hostmem", "64M", "--gfxstream-library", library
	};
	size_t n = 6;

	for (; more && *more; more++) {
		args[n++] = *more;
	}
	return rig_create(
		&(struct rig_options){ .mode = "gfxstream", .args = args, .has_window = true });
}

static struct rig *make_gles(void)
{
	return make_rig("gfxstream-gles", NULL);
}

static void end(struct rig *rig)
{
	struct window_counts counts = window_get_counts(rig->frontend->window);

	g_assert_cmpuint(counts.n_bad_files, ==, 0);
	rig_destroy(rig);
}

/* ---- what it offers ---- */

static void test_capsets(const void *mode)
{
	struct rig *rig = make_gles();
	struct virtio_gpu_resp_capset_info info;

	(void)mode;
	g_assert_true(rig->frontend->features & FEATURE(VIRTIO_F_GPU_VIRGL));
	g_assert_true(rig->frontend->features & FEATURE(VIRTIO_F_GPU_CONTEXT_INIT));
	g_assert_resp(vgpu_get_capset_info(rig->vgpu, 0, &info), VIRTIO_GPU_RESP_OK_CAPSET_INFO);
	g_assert_cmpuint(info.capset_id, ==, CAPSET_GLES);
	g_assert_cmpuint(info.capset_max_size, >=, 16);
	g_assert_resp(vgpu_get_capset(rig->vgpu, CAPSET_GLES, 0, info.capset_max_size),
		      VIRTIO_GPU_RESP_OK_CAPSET);
	/* A version, the sizes of a ring and its buffer, an alignment. */
	uint32_t words[4];
	memcpy(words, rig->vgpu->last_response + 24, sizeof(words));
	g_test_message("capset 8: %u bytes; %u %u %u %u", info.capset_max_size, words[0], words[1],
		       words[2], words[3]);
	g_assert_cmpuint(words[0], >=, 1);
	g_assert_cmpuint(words[1], >=, PAGE);
	g_assert_cmpuint(words[2], >=, PAGE);
	proto_assert_error(vgpu_get_capset_info(rig->vgpu, 1, &info));
	end(rig);
}

/* Why it does not start with Vulkan, in one line, owned; NULL: it does. */
static char *why_no_vulkan(void)
{
	char *why = NULL;
	g_autofree char *library = find_library();
	const char *const args[] = { "--capset", "gfxstream-vulkan", "--gfxstream-library", library,
				     NULL };

	proto_let_signals_kill();
	struct daemon *daemon = daemon_start("gfxstream", args);
	while (!g_file_test(daemon->socket_path, G_FILE_TEST_EXISTS) && daemon_is_running(daemon)) {
		g_usleep(10000);
	}
	if (!daemon_is_running(daemon)) {
		why = g_strchomp(daemon_stderr(daemon));
		g_test_message("%s", why);
		g_assert_cmpint(daemon_wait_exit(daemon, 0), ==, 1);
		g_assert_nonnull(strstr(why, "gfxstream cannot start: "));
	}
	daemon_destroy(daemon);
	return why;
}

static void need_vulkan(void)
{
	g_autofree char *why = why_no_vulkan();

	if (why != NULL) {
		suite_skip("no Vulkan: %s", why);
	}
}

static void test_vulkan(const void *mode)
{
	struct virtio_gpu_resp_capset_info info;

	(void)mode;
	need_vulkan();
	struct rig *rig = make_rig("gfxstream-vulkan", NULL);
	g_assert_resp(vgpu_get_capset_info(rig->vgpu, 0, &info), VIRTIO_GPU_RESP_OK_CAPSET_INFO);
	g_assert_cmpuint(info.capset_id, ==, CAPSET_VULKAN);
	g_test_message("capset 3: %u bytes", info.capset_max_size);
	g_assert_ok(vgpu_ctx_create(rig->vgpu, CTX, CAPSET_VULKAN, "vulkan"));
	end(rig);
}

/* For which the library crashes. */
static void test_no_vulkan_driver(const void *mode)
{
	(void)mode;
	g_setenv("VK_DRIVER_FILES", "/nonexistent/driver.json", TRUE);
	g_setenv("VK_ICD_FILENAMES", "/nonexistent/driver.json", TRUE);
	g_autofree char *why = why_no_vulkan();
	g_assert_nonnull(why);
}

/* Where it would hang for ever, were it not told that there is no window system. */
static void test_no_window_system(const void *mode)
{
	static const char *const variables[] = { "EGL_PLATFORM", "DISPLAY", "WAYLAND_DISPLAY" };

	(void)mode;
	for (size_t i = 0; i < G_N_ELEMENTS(variables); i++) {
		g_unsetenv(variables[i]);
	}
	end(make_gles());
}

/* ---- pictures ---- */

struct format {
	uint32_t format;
	uint8_t red, green, blue; /* which byte of a pixel */
};

static void test_formats(const void *mode)
{
	static const struct format formats[] = {
		{ VIRTIO_GPU_FORMAT_B8G8R8A8_UNORM, 2, 1, 0 },
		{ VIRTIO_GPU_FORMAT_B8G8R8X8_UNORM, 2, 1, 0 },
		{ VIRTIO_GPU_FORMAT_A8R8G8B8_UNORM, 1, 2, 3 },
		{ VIRTIO_GPU_FORMAT_X8R8G8B8_UNORM, 1, 2, 3 },
		{ VIRTIO_GPU_FORMAT_R8G8B8A8_UNORM, 0, 1, 2 },
		{ VIRTIO_GPU_FORMAT_X8B8G8R8_UNORM, 3, 2, 1 },
		{ VIRTIO_GPU_FORMAT_A8B8G8R8_UNORM, 3, 2, 1 },
		{ VIRTIO_GPU_FORMAT_R8G8B8X8_UNORM, 0, 1, 2 },
	};
	const uint32_t width = 61, height = 37;
	struct rig *rig = make_gles();

	(void)mode;
	for (uint32_t i = 0; i < G_N_ELEMENTS(formats); i++) {
		const struct format *format = &formats[i];
		g_autofree uint32_t *pixels = rig_make_pattern(width, height, i);
		g_autofree uint32_t *expected = g_new(uint32_t, width * height);

		for (uint32_t j = 0; j < width * height; j++) {
			const uint8_t *bytes = (const uint8_t *)&pixels[j];
			expected[j] = (uint32_t)bytes[format->red] << 16 |
				      (uint32_t)bytes[format->green] << 8 | bytes[format->blue];
		}
		g_test_message("format %u", format->format);
		rig_make_resource(rig, i + 1, format->format, width, height, pixels);
		g_assert_ok(vgpu_transfer_to_host_2d(rig->vgpu, i + 1, 0, 0, 0, width, height));
		g_assert_ok(vgpu_set_scanout(rig->vgpu, 0, i + 1, 0, 0, width, height));
		g_assert_ok(vgpu_resource_flush(rig->vgpu, i + 1, 0, 0, width, height));
		display_wait_pixels(rig->display, 0, expected, width, height);
	}
	end(rig);
}

/* New ones are black; parts of them come from anywhere in pages that are too few for all. */
static void test_parts(const void *mode)
{
	struct rig *rig = make_gles();
	g_autofree uint32_t *pixels = rig_make_pattern(64, 64, 1);
	g_autofree uint32_t *shown = g_new0(uint32_t, 64 * 64);
	uint64_t gpa = rig_backing(rig, pixels, 16 * 64 * 4);

	(void)mode;
	g_assert_ok(vgpu_resource_create_2d(rig->vgpu, 1, FORMAT, 64, 64));
	g_assert_ok(vgpu_set_scanout(rig->vgpu, 0, 1, 0, 0, 64, 64));
	g_assert_ok(vgpu_resource_flush(rig->vgpu, 1, 0, 0, 64, 64));
	display_wait_pixels(rig->display, 0, shown, 64, 64);
	g_assert_ok(vgpu_resource_attach_one(rig->vgpu, 1, gpa, 16 * 64 * 4));
	g_assert_ok(vgpu_transfer_to_host_2d(rig->vgpu, 1, 0, 0, 48, 64, 16));
	memcpy(shown + 48 * 64, pixels, 16 * 64 * 4);
	g_assert_ok(vgpu_transfer_to_host_2d(rig->vgpu, 1, (64 + 3) * 4, 20, 30, 5, 4));
	for (uint32_t y = 0; y < 4; y++) {
		memcpy(shown + (30 + y) * 64 + 20, pixels + (1 + y) * 64 + 3, 5 * 4);
	}
	g_assert_ok(vgpu_transfer_to_host_2d(rig->vgpu, 1, (2 * 64 + 7) * 4, 7, 2, 9, 3));
	for (uint32_t y = 2; y < 5; y++) {
		memcpy(shown + y * 64 + 7, pixels + y * 64 + 7, 9 * 4);
	}
	g_assert_ok(vgpu_resource_flush(rig->vgpu, 1, 0, 0, 64, 64));
	display_wait_pixels(rig->display, 0, shown, 64, 64);
	/* A frame of a full screen. */
	g_autofree uint32_t *large = rig_make_pattern(1920, 1080, 2);
	rig_show_resource(rig, 2, 0, 1920, 1080, large);
	display_wait_pixels(rig->display, 0, large, 1920, 1080);
	end(rig);
}

/* There and back in each format that has a size, whole and in part. */
static void test_round_trips(const void *mode)
{
	static const uint32_t formats[] = { 1, 2, 67, 134 };
	struct rig *rig = make_gles();
	const struct virtio_gpu_box all = { 0, 0, 0, 64, 64, 1 }, part = { 9, 5, 0, 20, 30, 1 };

	(void)mode;
	g_assert_ok(vgpu_ctx_create(rig->vgpu, CTX, CAPSET_GLES, "test"));
	for (uint32_t i = 0; i < G_N_ELEMENTS(formats); i++) {
		g_autofree uint32_t *pixels = rig_make_pattern(64, 64, i);
		uint64_t gpa = rig_backing(rig, pixels, 64 * 64 * 4);
		uint32_t *there = guestram_at(rig->ram, gpa, 64 * 64 * 4);
		/* Without alpha the fourth byte is the driver's. */
		uint32_t mask = formats[i] == 1 || formats[i] == 67 ? UINT32_MAX : 0xffffff;

		g_test_message("format %u", formats[i]);
		g_assert_ok(vgpu_resource_create_3d(rig->vgpu, 1 + i, formats[i],
						    BIND_RENDER_TARGET, 64, 64, 0));
		g_assert_ok(vgpu_resource_attach_one(rig->vgpu, 1 + i, gpa, 64 * 64 * 4));
		g_assert_ok(vgpu_ctx_attach_resource(rig->vgpu, CTX, 1 + i));
		g_assert_ok(vgpu_transfer_to_host_3d(rig->vgpu, CTX, 1 + i, &all, 0, 0));
		memset(there, 0x5a, 64 * 64 * 4);
		g_assert_ok(vgpu_transfer_from_host_3d(rig->vgpu, CTX, 1 + i, &part, 0, 0));
		for (uint32_t k = 0; k < 64 * 64; k++) {
			uint32_t x = k % 64, y = k / 64;
			bool is_inside = x >= 9 && x < 29 && y >= 5 && y < 35;
			uint32_t expected = is_inside ? pixels[k] : 0x5a5a5a5a;

			g_assert_cmphex(there[k] & mask, ==, expected & mask);
		}
		g_assert_ok(vgpu_transfer_from_host_3d(rig->vgpu, CTX, 1 + i, &all, 0, 0));
		for (uint32_t k = 0; k < 64 * 64; k++) {
			g_assert_cmphex(there[k] & mask, ==, pixels[k] & mask);
		}
	}
	end(rig);
}

/* ---- memory ---- */

static uint32_t create_blob(struct rig *rig, uint32_t id, uint64_t blob_id, uint64_t size_bytes)
{
	const struct vgpu_blob blob = { .mem = VIRTIO_GPU_BLOB_MEM_HOST3D,
					.flags = VIRTIO_GPU_BLOB_FLAG_USE_MAPPABLE,
					.blob_id = blob_id,
					.size_bytes = size_bytes };

	rig->vgpu->next_hdr.ctx_id = CTX;
	return vgpu_resource_create_blob(rig->vgpu, id, &blob);
}

static void test_ring(const void *mode)
{
	const uint64_t size = 12288 + (1 << 20);
	struct rig *rig = make_gles();
	struct window *window = rig->frontend->window;
	uint32_t value = 0x12345678, seen;

	(void)mode;
	g_assert_ok(vgpu_ctx_create(rig->vgpu, CTX, CAPSET_GLES, "test"));
	g_assert_resp(create_blob(rig, 1, 77, PAGE), VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER);
	g_assert_ok(create_blob(rig, 1, 0, size));
	g_assert_resp(vgpu_resource_map_blob(rig->vgpu, 1, 0), VIRTIO_GPU_RESP_OK_MAP_INFO);
	window_write(window, size - 4, &value, sizeof(value));
	g_assert_ok(vgpu_resource_unmap_blob(rig->vgpu, 1));
	g_assert_resp(vgpu_resource_map_blob(rig->vgpu, 1, 4 << 20), VIRTIO_GPU_RESP_OK_MAP_INFO);
	window_read(window, (4 << 20) + size - 4, &seen, sizeof(seen));
	g_assert_cmphex(seen, ==, value);
	/* The host's end of it. */
	const uint32_t create[] = { OP_RING_CREATE, 1 }, ping[] = { OP_RING_PING, 1 };
	g_assert_resp(vgpu_submit_3d(rig->vgpu, CTX, create, sizeof(create)),
		      VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER);
	g_assert_ok(vgpu_ctx_attach_resource(rig->vgpu, CTX, 1));
	g_assert_ok(vgpu_submit_3d(rig->vgpu, CTX, create, sizeof(create)));
	g_assert_resp(vgpu_submit_3d(rig->vgpu, CTX, create, sizeof(create)),
		      VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER);
	g_assert_ok(vgpu_submit_3d(rig->vgpu, CTX, ping, sizeof(ping)));
	/* With a ring that lives. */
	g_assert_ok(vgpu_ctx_destroy(rig->vgpu, CTX));
	g_assert_ok(vgpu_resource_unref(rig->vgpu, 1));
	end(rig);
}

/*
 * What a guest's driver does with a ring: it writes a call into the buffer, where that is into the
 * queue to the host, and finds what is answered at the other end of the buffer's.
 */
struct stream {
	struct rig *rig;
	uint32_t n_queued, n_buffered, n_answered; /* bytes, ever */
};

enum {
	QUEUE_WRITTEN = 8, /* where in the ring */
	QUEUE_BYTES = 128,
	QUEUE_SIZE = 2048,
	ANSWERS = 8192,
	ANSWERS_WRITTEN = ANSWERS + 8,
	ANSWERS_READ = ANSWERS + 64,
	BUFFER = 12288,
	BUFFER_SIZE = 1 << 20,
	VK_ENUMERATE_INSTANCE_VERSION = 20137,
};

static uint32_t ring_word(const struct stream *stream, uint64_t offset)
{
	uint32_t value;

	window_read(stream->rig->frontend->window, offset, &value, sizeof(value));
	return value;
}

static void stream_write(struct stream *stream, const void *bytes, uint32_t size_bytes)
{
	struct window *window = stream->rig->frontend->window;
	const uint32_t element[] = { stream->n_buffered, size_bytes };
	const uint32_t ping[] = { OP_RING_PING, 1 };

	g_assert_cmpuint(stream->n_buffered + size_bytes, <=, BUFFER_SIZE);
	window_write(window, BUFFER + stream->n_buffered, bytes, size_bytes);
	window_write(window, QUEUE_BYTES + stream->n_queued % QUEUE_SIZE, element, sizeof(element));
	stream->n_buffered += size_bytes;
	stream->n_queued += (uint32_t)sizeof(element);
	window_write(window, QUEUE_WRITTEN, &stream->n_queued, sizeof(stream->n_queued));
	g_assert_ok(vgpu_submit_3d(stream->rig->vgpu, CTX, ping, sizeof(ping)));
}

/* False: there was no answer in this time. */
static bool stream_read(struct stream *stream, void *bytes_out, uint32_t size_bytes,
			unsigned int milliseconds)
{
	struct window *window = stream->rig->frontend->window;

	for (; ring_word(stream, ANSWERS_WRITTEN) - stream->n_answered < size_bytes;
	     milliseconds--) {
		if (milliseconds == 0) {
			return false;
		}
		g_usleep(1000);
	}
	window_read(window, BUFFER + stream->n_answered % BUFFER_SIZE, bytes_out, size_bytes);
	stream->n_answered += size_bytes;
	window_write(window, ANSWERS_READ, &stream->n_answered, sizeof(stream->n_answered));
	return true;
}

static struct stream make_stream(struct rig *rig)
{
	const uint32_t create[] = { OP_RING_CREATE, 1 }, flags = 0;
	struct stream stream = { rig, 0, 0, 0 };

	g_assert_ok(vgpu_ctx_create(rig->vgpu, CTX, CAPSET_VULKAN, "vulkan"));
	g_assert_ok(create_blob(rig, 1, 0, BUFFER + BUFFER_SIZE));
	g_assert_resp(vgpu_resource_map_blob(rig->vgpu, 1, 0), VIRTIO_GPU_RESP_OK_MAP_INFO);
	g_assert_ok(vgpu_ctx_attach_resource(rig->vgpu, CTX, 1));
	g_assert_ok(vgpu_submit_3d(rig->vgpu, CTX, create, sizeof(create)));
	stream_write(&stream, &flags, sizeof(flags));
	return stream;
}

/* Which the library may wait for a thread with that never ends. */
static void destroy_context(struct rig *rig)
{
	const struct virtio_gpu_ctx_destroy cmd = { .hdr = { .type = VIRTIO_GPU_CMD_CTX_DESTROY,
							     .ctx_id = CTX } };
	const struct vgpu_chain chain = { .request = &cmd,
					  .request_size = sizeof(cmd),
					  .response_size = 24 };
	struct vgpu_call *call = vgpu_submit(rig->vgpu, VGPU_CONTROL, &chain);

	vgpu_kick(rig->vgpu, VGPU_CONTROL);
	frontend_assert_alive(rig->frontend);
	g_assert_true(vgpu_wait(rig->vgpu, call, 60000));
	g_test_message("the end of its context: 0x%x", vgpu_finish(rig->vgpu, call));
}

/* A guest's Vulkan: one call by the ring. Then one out of turn, for which its thread waits. */
static void test_vulkan_ring(const void *mode)
{
	uint32_t call[] = { VK_ENUMERATE_INSTANCE_VERSION, 16, 1, 0 }, answer[2];

	(void)mode;
	need_vulkan();
	struct rig *rig = make_rig("gfxstream-vulkan", NULL);
	rig->daemon->may_lose_processes = true;
	struct stream stream = make_stream(rig);
	stream_write(&stream, call, sizeof(call));
	g_assert_true(stream_read(&stream, answer, sizeof(answer), VGPU_ANSWER_MS));
	g_test_message("Vulkan %u.%u, %d", answer[0] >> 22, answer[0] >> 12 & 1023, (int)answer[1]);
	g_assert_cmpuint(answer[0] >> 22, ==, 1);
	g_assert_cmpuint(answer[1], ==, 0);
	call[2] = 7;
	stream_write(&stream, call, sizeof(call));
	g_assert_false(stream_read(&stream, answer, sizeof(answer), 100));
	destroy_context(rig);
	rig_assert_serves(rig);
	g_assert_ok(vgpu_ctx_create(rig->vgpu, CTX, CAPSET_VULKAN, "again"));
	end(rig);
}

/* ---- commands and fences ---- */

static void test_commands(const void *mode)
{
	static const uint32_t opcodes[] = { 0,	    1,	    0x1000, 0x9001,    0xa000,
					    0xa001, 0xa002, 0xdead, UINT32_MAX };
	struct rig *rig = make_gles();

	(void)mode;
	g_assert_ok(vgpu_ctx_create(rig->vgpu, CTX, CAPSET_GLES, "test"));
	for (size_t i = 0; i < G_N_ELEMENTS(opcodes); i++) {
		proto_assert_error(vgpu_submit_3d(rig->vgpu, CTX, &opcodes[i], 4));
	}
	rig_assert_serves(rig);
	end(rig);
}

static struct vgpu_call *send_fenced(struct rig *rig, uint32_t ring, uint64_t id)
{
	struct virtio_gpu_ctx_resource cmd = {
		.hdr = { .type = VIRTIO_GPU_CMD_CTX_ATTACH_RESOURCE,
			 .flags = VIRTIO_GPU_FLAG_FENCE |
				  (ring != NO_RING ? VIRTIO_GPU_FLAG_INFO_RING_IDX : 0),
			 .fence_id = id,
			 .ctx_id = CTX,
			 .ring_idx = ring != NO_RING ? (uint8_t)ring : 0 },
		.resource_id = 1
	};
	const struct vgpu_chain chain = { .request = &cmd,
					  .request_size = sizeof(cmd),
					  .response_size = 24 };
	struct vgpu_call *call = vgpu_submit(rig->vgpu, VGPU_CONTROL, &chain);

	vgpu_kick(rig->vgpu, VGPU_CONTROL);
	return call;
}

static void test_fences(const void *mode)
{
	static const uint32_t rings[] = { NO_RING, 0, 1, 2, 63 };
	struct rig *rig = make_gles();
	struct vgpu_call *calls[50];

	(void)mode;
	g_assert_ok(vgpu_ctx_create(rig->vgpu, CTX, CAPSET_GLES, "test"));
	g_assert_ok(vgpu_resource_create_2d(rig->vgpu, 1, FORMAT, 64, 64));
	for (size_t i = 0; i < G_N_ELEMENTS(rings); i++) {
		unsigned int last_order = 0;

		for (uint64_t k = 0; k < G_N_ELEMENTS(calls); k++) {
			calls[k] = send_fenced(rig, rings[i], k + 1);
		}
		for (size_t k = 0; k < G_N_ELEMENTS(calls); k++) {
			g_assert_true(vgpu_wait(rig->vgpu, calls[k], VGPU_ANSWER_MS));
			g_assert_cmpuint(calls[k]->done_order, >, last_order);
			last_order = calls[k]->done_order;
			g_assert_ok(vgpu_finish(rig->vgpu, calls[k]));
		}
	}
	end(rig);
}

/* ---- life ---- */

/* The end of a pipe that a guest has: a resource, and its page. */
struct pipe {
	struct rig *rig;
	uint8_t *bytes;
};

#define PIPE_ID 500u

static struct pipe make_pipe(struct rig *rig)
{
	const struct virtio_gpu_resource_create_3d cmd = {
		.hdr = { .type = VIRTIO_GPU_CMD_RESOURCE_CREATE_3D },
		.resource_id = PIPE_ID,
		.format = R8,
		.bind = BIND_CUSTOM,
		.width = PAGE,
		.height = 1,
		.depth = 1,
		.array_size = 1,
	};
	uint64_t gpa = rig_backing(rig, NULL, PAGE);

	g_assert_ok(vgpu_call(rig->vgpu, &cmd, sizeof(cmd), 24));
	g_assert_ok(vgpu_resource_attach_one(rig->vgpu, PIPE_ID, gpa, PAGE));
	g_assert_ok(vgpu_ctx_attach_resource(rig->vgpu, CTX, PIPE_ID));
	return (struct pipe){ rig, guestram_at(rig->ram, gpa, PAGE) };
}

static uint32_t write_pipe(const struct pipe *pipe, const void *bytes, uint32_t size_bytes)
{
	const struct virtio_gpu_box box = { 0, 0, 0, size_bytes, 1, 1 };

	memcpy(pipe->bytes, bytes, size_bytes);
	return vgpu_transfer_to_host_3d(pipe->rig->vgpu, CTX, PIPE_ID, &box, 0, 0);
}

static uint32_t name_pipe(const struct pipe *pipe, const char *name)
{
	return write_pipe(pipe, name, (uint32_t)strlen(name) + 1);
}

/* One call of a stream: what it is, its arguments, and the words that it answers with. */
static const uint32_t *call(const struct pipe *pipe, uint32_t opcode, const uint32_t *args,
			    uint32_t n_args, uint32_t n_answers)
{
	const struct virtio_gpu_box box = { 0, 0, 0, n_answers * 4, 1, 1 };
	uint32_t words[64] = { opcode, (2 + n_args) * 4 };

	g_assert_cmpuint(n_args, <=, G_N_ELEMENTS(words) - 2);
	for (uint32_t i = 0; i < n_args; i++) {
		words[2 + i] = args[i];
	}
	g_assert_ok(write_pipe(pipe, words, words[1]));
	if (n_answers > 0) {
		g_assert_ok(vgpu_transfer_from_host_3d(pipe->rig->vgpu, CTX, PIPE_ID, &box, 0, 0));
	}
	return (const uint32_t *)(void *)pipe->bytes;
}

#define CALL(pipe, opcode, n_answers, ...)                                                         \
	call(pipe, opcode, (const uint32_t[]){ __VA_ARGS__ },                                      \
	     sizeof((const uint32_t[]){ __VA_ARGS__ }) / sizeof(uint32_t), n_answers)

/* Of the library's protocols of streams: EGL's and windows', then OpenGL ES 2's. */
enum {
	RC_CHOOSE_CONFIG = 10006,
	RC_CREATE_CONTEXT = 10008,
	RC_CREATE_WINDOW = 10010,
	RC_SET_WINDOW_PICTURE = 10015,
	RC_FLUSH_WINDOW = 10016,
	RC_MAKE_CURRENT = 10017,
	GL_CLEAR = 2063,
	GL_CLEAR_COLOR = 2064,
	GL_GET_ERROR = 2108,
};

#define ATTRIBUTES 0x3040, 4, 0x3033, 5, 0x3024, 8, 0x3023, 8, 0x3022, 8, 0x3021, 8, 0x3038

static uint32_t float_word(float value)
{
	uint32_t word;

	memcpy(&word, &value, sizeof(word));
	return word;
}

/* A window that the picture is of, and a context that draws there. */
static void make_window(const struct pipe *pipe, uint32_t picture)
{
	static const uint32_t attributes[] = { ATTRIBUTES };
	const uint32_t size = sizeof(attributes);
	const uint32_t flags = 0;

	g_assert_ok(write_pipe(pipe, &flags, sizeof(flags)));
	uint32_t config = CALL(pipe, RC_CHOOSE_CONFIG, 2, size, ATTRIBUTES, size, 4, 1)[0];
	uint32_t context = CALL(pipe, RC_CREATE_CONTEXT, 1, config, 0, 2)[0];
	uint32_t window = CALL(pipe, RC_CREATE_WINDOW, 1, config, 64, 64)[0];
	g_test_message("config %u, context %u, window %u", config, context, window);
	CALL(pipe, RC_SET_WINDOW_PICTURE, 0, window, picture);
	g_assert_cmpuint(CALL(pipe, RC_MAKE_CURRENT, 1, context, window, window)[0], ==, 1);
	CALL(pipe, GL_CLEAR_COLOR, 0, float_word(1), float_word(0.5f), 0, float_word(1));
	CALL(pipe, GL_CLEAR, 0, 0x4000);
	g_assert_cmphex(call(pipe, GL_GET_ERROR, NULL, 0, 1)[0], ==, 0);
	CALL(pipe, RC_FLUSH_WINDOW, 1, window);
}

/* A guest's OpenGL ES, by the pipe: pixels are what was drawn, on the display and read back. */
static void test_draw(const void *mode)
{
	struct rig *rig = make_gles();
	const struct virtio_gpu_box all = { 0, 0, 0, 64, 64, 1 };
	uint64_t gpa = rig_backing(rig, NULL, 64 * 64 * 4);
	const uint8_t *there = guestram_at(rig->ram, gpa, 64 * 64 * 4);

	(void)mode;
	g_assert_ok(vgpu_ctx_create(rig->vgpu, CTX, CAPSET_GLES, "test"));
	g_assert_ok(vgpu_resource_create_3d(rig->vgpu, 70, VIRTIO_GPU_FORMAT_R8G8B8A8_UNORM,
					    BIND_RENDER_TARGET, 64, 64, 0));
	g_assert_ok(vgpu_resource_attach_one(rig->vgpu, 70, gpa, 64 * 64 * 4));
	g_assert_ok(vgpu_ctx_attach_resource(rig->vgpu, CTX, 70));
	struct pipe pipe = make_pipe(rig);
	g_assert_ok(name_pipe(&pipe, "pipe:opengles"));
	make_window(&pipe, 70);
	g_assert_ok(vgpu_transfer_from_host_3d(rig->vgpu, CTX, 70, &all, 0, 0));
	for (uint32_t i = 0; i < 64 * 64; i++) {
		g_assert_cmpuint(there[4 * i], ==, 255);
		g_assert_true(there[4 * i + 1] == 127 || there[4 * i + 1] == 128);
		g_assert_cmpuint(there[4 * i + 2], ==, 0);
	}
	g_assert_ok(vgpu_set_scanout(rig->vgpu, 0, 70, 0, 0, 64, 64));
	g_assert_ok(vgpu_resource_flush(rig->vgpu, 70, 0, 0, 64, 64));
	display_wait_pixel(rig->display, 0, 63, 63, UINT32_C(255) << 16 | (uint32_t)there[1] << 8);
	end(rig);
}

/* What the library would end the process for does not get there. */
static void test_pipe_rules(const void *mode)
{
	const int32_t wrong = 99, right = 100;
	const struct virtio_gpu_box box = { 0, 0, 0, 8, 1, 1 };
	struct rig *rig = make_gles();

	(void)mode;
	g_assert_ok(vgpu_ctx_create(rig->vgpu, CTX, CAPSET_GLES, "test"));
	struct pipe pipe = make_pipe(rig);
	proto_assert_error(vgpu_transfer_from_host_3d(rig->vgpu, CTX, PIPE_ID, &box, 0, 0));
	proto_assert_error(name_pipe(&pipe, "pipe:nosuchthing"));
	g_assert_ok(name_pipe(&pipe, "pipe:GLProcessPipe"));
	proto_assert_error(write_pipe(&pipe, &wrong, sizeof(wrong)));
	g_assert_ok(write_pipe(&pipe, &right, sizeof(right)));
	proto_assert_error(write_pipe(&pipe, &right, sizeof(right)));
	g_assert_ok(vgpu_transfer_from_host_3d(rig->vgpu, CTX, PIPE_ID, &box, 0, 0));
	proto_assert_error(vgpu_transfer_from_host_3d(rig->vgpu, CTX, PIPE_ID, &box, 0, 0));
	rig_assert_serves(rig);
	end(rig);
}

/* All of a guest's goes, and its ids with it; then the next guest has a library of its own. */
static void test_life(const void *mode)
{
	struct rig *rig = make_gles();

	(void)mode;
	for (unsigned int i = 0; i < 10; i++) {
		g_autofree uint32_t *pixels = rig_make_pattern(64, 64, i);

		rig_show_resource(rig, 1, 0, 64, 64, pixels);
		display_wait_pixels(rig->display, 0, pixels, 64, 64);
		g_assert_ok(vgpu_ctx_create(rig->vgpu, CTX, CAPSET_GLES, "test"));
		g_assert_ok(create_blob(rig, 2, 0, 12288 + (1 << 20)));
		struct pipe pipe = make_pipe(rig);
		g_assert_ok(name_pipe(&pipe, "pipe:opengles"));
		g_assert_ok(vgpu_ctx_attach_resource(rig->vgpu, CTX, 1));
		rig_reset(rig, true);
	}
	display_disconnect(rig->display);
	frontend_destroy(rig->frontend);
	rig->frontend = frontend_create(daemon_connect(rig->daemon));
	rig->frontend->window = window_create();
	frontend_handshake(rig->frontend);
	vgpu_forget(rig->vgpu);
	ring_reset(rig->control);
	ring_reset(rig->cursor);
	rig_start(rig, 0, 0);
	g_autofree uint32_t *pixels = rig_make_pattern(64, 64, 99);
	rig_show_resource(rig, 1, 0, 64, 64, pixels);
	display_wait_pixels(rig->display, 0, pixels, 64, 64);
	end(rig);
}

int main(int argc, char **argv)
{
	suite_init(&argc, &argv);
	suite_set_limit_s(200);
	proto_add_gfxstream("library", "capsets", test_capsets);
	proto_add_gfxstream("library", "vulkan", test_vulkan);
	proto_add_gfxstream("library", "no_vulkan_driver", test_no_vulkan_driver);
	proto_add_gfxstream("library", "no_window_system", test_no_window_system);
	proto_add_gfxstream("library", "formats", test_formats);
	proto_add_gfxstream("library", "parts", test_parts);
	proto_add_gfxstream("library", "round_trips", test_round_trips);
	proto_add_gfxstream("library", "ring", test_ring);
	proto_add_gfxstream("library", "vulkan_ring", test_vulkan_ring);
	proto_add_gfxstream("library", "commands", test_commands);
	proto_add_gfxstream("library", "fences", test_fences);
	proto_add_gfxstream("library", "draw", test_draw);
	proto_add_gfxstream("library", "pipe_rules", test_pipe_rules);
	proto_add_gfxstream("library", "life", test_life);
	return suite_run();
}
