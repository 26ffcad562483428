/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* OpenGL by virglrenderer, on a host that may have no GPU. */
#include <glib.h>
#include <linux/virtio_gpu.h>
#include <string.h>

#include "machine.h"
#include "rows.h"
#include "virgl_stream.h"

#define NS_PER_S 1e9
#define HEADER_SIZE ((uint32_t)sizeof(struct virtio_gpu_ctrl_hdr))
#define CTX 1u
#define TARGET_ID 10u
#define TARGET_SIDE 64u
#define SCREEN_ID 11u
#define SURFACE 1000u
#define FORMAT VIRGL_FORMAT_B8G8R8X8
#define BIND (VIRGL_BIND_RENDER_TARGET | VIRGL_BIND_SAMPLER_VIEW | VIRGL_BIND_SCANOUT)
#define WARM_UP 20u
#define MAX_RUNS 20000u
#define N_CONTEXTS_MAX 64u

static void create_target(struct machine *machine, uint32_t id, uint32_t ctx, uint32_t width,
			  uint32_t height)
{
	const struct virtio_gpu_resource_create_3d request = {
		.hdr.type = VIRTIO_GPU_CMD_RESOURCE_CREATE_3D,
		.resource_id = id,
		.target = 2,
		.format = FORMAT,
		.bind = BIND,
		.width = width,
		.height = height,
		.depth = 1,
		.array_size = 1,
	};
	const struct virtio_gpu_ctx_resource attach = {
		.hdr = {.type = VIRTIO_GPU_CMD_CTX_ATTACH_RESOURCE, .ctx_id = ctx},
		.resource_id = id,
	};

	driver_command(machine->control, &request, sizeof(request));
	driver_command(machine->control, &attach, sizeof(attach));
}

static void create_context(struct machine *machine, uint32_t ctx)
{
	const struct virtio_gpu_ctx_create request = {
		.hdr = {.type = VIRTIO_GPU_CMD_CTX_CREATE, .ctx_id = ctx},
		.nlen = 5,
		.debug_name = "bench",
	};

	driver_command(machine->control, &request, sizeof(request));
}

/* A SUBMIT_3D in a slot, ready to be sent again and again. */
static void lay_out_submit(struct machine *machine, unsigned int slot, uint32_t ctx,
			   const struct virgl_stream *stream, bool is_fenced)
{
	const struct virtio_gpu_cmd_submit request = {
		.hdr = {.type = VIRTIO_GPU_CMD_SUBMIT_3D,
			.ctx_id = ctx,
			.flags = is_fenced ? VIRTIO_GPU_FLAG_FENCE : 0,
			.fence_id = 1},
		.size = virgl_stream_size_bytes(stream),
	};
	uint64_t gpa = guestram_alloc(machine->ram, 0, request.size, 64);

	memcpy(guestram_at(machine->ram, gpa, request.size), stream->words, request.size);
	driver_lay_out(machine->control, slot, &request, sizeof(request), gpa, request.size,
		       HEADER_SIZE);
}

static void run_slot(struct machine *machine, unsigned int index)
{
	struct slot *slot;

	driver_submit(machine->control, index);
	driver_kick(machine->control);
	while ((slot = driver_take(machine->control)) == NULL) {
		driver_wait(machine->control);
	}
	if (driver_response(slot) != VIRTIO_GPU_RESP_OK_NODATA) {
		g_error("a 3D command is answered 0x%x", driver_response(slot));
	}
}

static void measure_slot(struct machine *machine, unsigned int index, double seconds,
			 const char *name)
{
	struct samples samples = {0};

	for (unsigned int i = 0; i < WARM_UP; i++) {
		run_slot(machine, index);
	}
	int64_t deadline_ns = now_ns() + (int64_t)(seconds * NS_PER_S);
	while (now_ns() < deadline_ns && samples.n < MAX_RUNS) {
		int64_t start_ns = now_ns();
		run_slot(machine, index);
		samples_add(&samples, now_ns() - start_ns);
	}
	result_samples(name, &samples);
	samples_finish(&samples);
}

/* First in a context: the framebuffer that all later streams clear. */
static void bind_target(struct machine *machine, uint32_t ctx, uint32_t resource)
{
	struct virgl_stream stream = {0};

	virgl_stream_create_surface(&stream, SURFACE, resource, FORMAT);
	virgl_stream_set_framebuffer(&stream, SURFACE);
	lay_out_submit(machine, 1, ctx, &stream, false);
	run_slot(machine, 1);
}

static void measure_submit(struct machine *machine, double seconds)
{
	struct virgl_stream nothing = {0}, clear = {0};

	/* Binding what is bound asks nothing of the GPU. */
	virgl_stream_set_framebuffer(&nothing, SURFACE);
	virgl_stream_clear(&clear, 1.0f, 0.5f, 0.0f, 1.0f);
	lay_out_submit(machine, 1, CTX, &nothing, false);
	measure_slot(machine, 1, seconds, "submit_empty");
	lay_out_submit(machine, 1, CTX, &nothing, true);
	measure_slot(machine, 1, seconds, "submit_empty_fenced");
	lay_out_submit(machine, 1, CTX, &clear, false);
	measure_slot(machine, 1, seconds, "submit_clear");
	lay_out_submit(machine, 1, CTX, &clear, true);
	measure_slot(machine, 1, seconds, "submit_clear_fenced");
}

/* One clear in each context, all in flight: the time from the kick to each answer. */
static void clear_all(struct machine *machine, unsigned int n_contexts, struct samples *answered)
{
	unsigned int n_out = n_contexts;
	struct slot *slot;

	for (unsigned int i = 0; i < n_contexts; i++) {
		driver_submit(machine->control, i);
	}
	int64_t kicked_ns = now_ns();
	driver_kick(machine->control);
	while (n_out > 0) {
		driver_wait(machine->control);
		while ((slot = driver_take(machine->control)) != NULL) {
			if (driver_response(slot) != VIRTIO_GPU_RESP_OK_NODATA) {
				g_error("a clear is answered 0x%x", driver_response(slot));
			}
			samples_add(answered, now_ns() - kicked_ns);
			n_out -= 1;
		}
	}
}

static void measure_clears(struct machine *machine, const struct virgl_stream *clear,
			   unsigned int n_contexts, bool is_fenced, double seconds)
{
	const char *how = is_fenced ? "_fenced" : "";
	g_autofree char *rate = g_strdup_printf("clears%s_per_s_%u_contexts", how, n_contexts);
	g_autofree char *latency = g_strdup_printf("clears%s_%u_contexts", how, n_contexts);
	struct samples answered = {0};

	for (unsigned int i = 0; i < n_contexts; i++) {
		lay_out_submit(machine, i, CTX + i, clear, is_fenced);
	}
	clear_all(machine, n_contexts, &answered);
	samples_clear(&answered);
	int64_t start_ns = now_ns();
	int64_t deadline_ns = start_ns + (int64_t)(seconds * NS_PER_S);
	while (now_ns() < deadline_ns) {
		clear_all(machine, n_contexts, &answered);
	}
	result(rate, (double)answered.n / (double)(now_ns() - start_ns) * NS_PER_S);
	result_samples(latency, &answered);
	samples_finish(&answered);
}

static void measure_contexts(struct machine *machine, double seconds)
{
	struct virgl_stream clear = {0};

	virgl_stream_clear(&clear, 0.0f, 0.5f, 1.0f, 1.0f);
	for (uint32_t i = 1; i < N_CONTEXTS_MAX; i++) {
		create_context(machine, CTX + i);
		create_target(machine, 100 + i, CTX + i, TARGET_SIDE, TARGET_SIDE);
		bind_target(machine, CTX + i, 100 + i);
	}
	for (uint32_t n_contexts = 1; n_contexts <= N_CONTEXTS_MAX; n_contexts *= 8) {
		measure_clears(machine, &clear, n_contexts, false, seconds);
		measure_clears(machine, &clear, n_contexts, true, seconds);
	}
}

static void measure_screen(struct machine *machine, double seconds)
{
	const struct virtio_gpu_rect whole = {0, 0, 1920, 1080};
	struct picture *picture = picture_create(machine->ram, whole.width, whole.height, &whole);
	const struct virtio_gpu_transfer_host_3d transfer = {
		.hdr = {.type = VIRTIO_GPU_CMD_TRANSFER_TO_HOST_3D, .ctx_id = CTX},
		.box = {0, 0, 0, whole.width, whole.height, 1},
		.resource_id = SCREEN_ID,
	};
	const struct virtio_gpu_resource_flush flush = {
		.hdr.type = VIRTIO_GPU_CMD_RESOURCE_FLUSH,
		.r = whole,
		.resource_id = SCREEN_ID,
	};
	struct samples shown = {0};
	uint32_t number = 1;

	create_target(machine, SCREEN_ID, CTX, whole.width, whole.height);
	machine_attach(machine, SCREEN_ID, picture);
	driver_lay_out(machine->control, 1, &transfer, sizeof(transfer), 0, 0, HEADER_SIZE);
	measure_slot(machine, 1, seconds, "transfer_1080p");
	machine_set_scanout(machine, 0, SCREEN_ID, picture);
	driver_lay_out(machine->control, 2, &flush, sizeof(flush), 0, 0, HEADER_SIZE);
	reader_watch(machine->reader, 0, &whole);
	int64_t deadline_ns = now_ns() + (int64_t)(seconds * NS_PER_S);
	while (now_ns() < deadline_ns) {
		number += 1;
		picture_draw(picture, number);
		run_slot(machine, 1);
		int64_t start_ns = now_ns();
		run_slot(machine, 2);
		if (!reader_wait_number(machine->reader, 0, number)) {
			g_error("a 3D frame is not on the display");
		}
		samples_add(&shown, now_ns() - start_ns);
	}
	if (!reader_shows(machine->reader, 0, picture)) {
		g_error("the last 3D frame is not on the display as it was drawn");
	}
	result_samples("flush_1080p_shown", &shown);
	measure_slot(machine, 2, seconds, "flush_1080p_answered");
	picture_destroy(picture);
	samples_finish(&shown);
}

void row_3d(const struct row_options *options)
{
	struct machine *machine = machine_create(options->command, 0);

	create_context(machine, CTX);
	create_target(machine, TARGET_ID, CTX, TARGET_SIDE, TARGET_SIDE);
	bind_target(machine, CTX, TARGET_ID);
	measure_submit(machine, options->seconds);
	measure_contexts(machine, options->seconds);
	/* Last, as there are back-ends that show no 3D picture without a GPU. */
	measure_screen(machine, options->seconds);
	machine_destroy(machine);
}
