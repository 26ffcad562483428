/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * What virglrenderer itself takes, called without any back-end around it: a submit, a submit until
 * its fence comes back, an upload and a read-back of a 1080p picture. The floor of 3D.
 */
#define VIRGL_RENDERER_UNSTABLE_APIS
#include <virglrenderer.h>

#include <glib.h>
#include <stdio.h>
#include <sys/eventfd.h>
#include <sys/uio.h>
#include <unistd.h>

#include "awake.h"
#include "process.h"
#include "samples.h"
#include "virgl_stream.h"

#define CTX 1u
#define TARGET_ID 10u
#define TARGET_SIDE 64u
#define SCREEN_ID 11u
#define SURFACE 1000u
#define WIDTH 1920u
#define HEIGHT 1080u
#define FORMAT VIRGL_FORMAT_B8G8R8X8
#define BIND (VIRGL_BIND_RENDER_TARGET | VIRGL_BIND_SAMPLER_VIEW | VIRGL_BIND_SCANOUT)
#define WARM_UP 20u
#define MAX_RUNS 20000u
#define NS_PER_S 1e9

/* Declared by the library and not defined. */
struct virgl_box {
	uint32_t x, y, z, w, h, d;
};

static int fence_fd;
static uint32_t fence_id;

static void write_fence(void *cookie, uint32_t id)
{
	(void)cookie;
	(void)id;
	eventfd_write(fence_fd, 1);
}

static struct virgl_renderer_callbacks callbacks = {
	.version = 2,
	.write_fence = write_fence,
};

static void create_target(uint32_t id, uint32_t width, uint32_t height)
{
	struct virgl_renderer_resource_create_args args = {
		.handle = id,
		.target = 2,
		.format = FORMAT,
		.bind = BIND,
		.width = width,
		.height = height,
		.depth = 1,
		.array_size = 1,
	};

	if (virgl_renderer_resource_create(&args, NULL, 0) != 0) {
		g_error("virglrenderer makes no resource");
	}
	virgl_renderer_ctx_attach_resource(CTX, (int)id);
}

static void submit(struct virgl_stream *stream)
{
	if (virgl_renderer_submit_cmd(stream->words, (int)CTX, (int)stream->n_words) != 0) {
		g_error("virglrenderer refuses a stream");
	}
}

static void submit_and_wait(struct virgl_stream *stream)
{
	eventfd_t value;

	submit(stream);
	fence_id += 1;
	virgl_renderer_create_fence((int)fence_id, CTX);
	if (eventfd_read(fence_fd, &value) < 0) {
		g_error("a fence's eventfd can't be read");
	}
}

static uint32_t *pixels;

static void transfer(bool is_read)
{
	struct virgl_box box = {0, 0, 0, WIDTH, HEIGHT, 1};
	struct iovec iov = {pixels, WIDTH * HEIGHT * sizeof(uint32_t)};

	if (is_read) {
		virgl_renderer_transfer_read_iov(SCREEN_ID, 0, 0, WIDTH * 4, 0, &box, 0, &iov, 1);
	} else {
		virgl_renderer_transfer_write_iov(SCREEN_ID, CTX, 0, WIDTH * 4, 0, &box, 0, &iov,
						  1);
	}
}

static void upload(struct virgl_stream *stream)
{
	(void)stream;
	transfer(false);
}

static void read_back(struct virgl_stream *stream)
{
	(void)stream;
	transfer(true);
}

static void measure(const char *name, void (*fn)(struct virgl_stream *stream),
		    struct virgl_stream *stream, double seconds)
{
	struct samples samples = {0};

	for (unsigned int i = 0; i < WARM_UP; i++) {
		fn(stream);
	}
	int64_t deadline_ns = now_ns() + (int64_t)(seconds * NS_PER_S);
	while (now_ns() < deadline_ns && samples.n < MAX_RUNS) {
		int64_t start_ns = now_ns();
		fn(stream);
		samples_add(&samples, now_ns() - start_ns);
	}
	result_samples(name, &samples);
	samples_finish(&samples);
}

int main(int argc, char **argv)
{
	double seconds = argc > 1 ? g_ascii_strtod(argv[1], NULL) : 0.5;
	int flags = VIRGL_RENDERER_USE_EGL | VIRGL_RENDERER_USE_GLES |
		    VIRGL_RENDERER_USE_SURFACELESS | VIRGL_RENDERER_THREAD_SYNC |
		    VIRGL_RENDERER_ASYNC_FENCE_CB;
	struct virgl_stream setup = {0}, nothing = {0}, clear = {0};

	keep_awake();
	fence_fd = eventfd(0, EFD_CLOEXEC);
	pixels = g_malloc0(WIDTH * HEIGHT * sizeof(uint32_t));
	if (virgl_renderer_init(&fence_fd, flags, &callbacks) != 0) {
		fprintf(stderr, "virglrenderer does not start\n");
		return 1;
	}
	virgl_renderer_context_create(CTX, 5, "bench");
	create_target(TARGET_ID, TARGET_SIDE, TARGET_SIDE);
	create_target(SCREEN_ID, WIDTH, HEIGHT);
	virgl_stream_create_surface(&setup, SURFACE, TARGET_ID, FORMAT);
	virgl_stream_set_framebuffer(&setup, SURFACE);
	submit(&setup);
	virgl_stream_set_framebuffer(&nothing, SURFACE);
	virgl_stream_clear(&clear, 1.0f, 0.5f, 0.0f, 1.0f);
	measure("submit_empty", submit, &nothing, seconds);
	measure("submit_empty_fenced", submit_and_wait, &nothing, seconds);
	measure("submit_clear", submit, &clear, seconds);
	measure("submit_clear_fenced", submit_and_wait, &clear, seconds);
	measure("transfer_1080p", upload, NULL, seconds);
	measure("read_1080p", read_back, NULL, seconds);
	/* The library's threads end with the process. */
	fflush(stdout);
	_exit(0);
}
