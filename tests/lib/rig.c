/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include <glib.h>
#include <string.h>
#include <unistd.h>

#include "rig.h"
#include "suite.h"

#define CONTROL_RING_SIZE 256
#define CURSOR_RING_SIZE 16
#define REGION_BYTES (UINT64_C(32) << 20)

/* What a guest would ack of what a front-end offers. */
#define WANTED_FEATURES                                                                            \
	(FEATURE(VIRTIO_F_GPU_VIRGL) | FEATURE(VIRTIO_F_GPU_EDID) |                                \
	 FEATURE(VIRTIO_F_GPU_RESOURCE_UUID) | FEATURE(VIRTIO_F_GPU_CONTEXT_INIT) |                \
	 FEATURE(VIRTIO_F_INDIRECT) | FEATURE(VIRTIO_F_EVENT_INDEX) |                              \
	 FEATURE(VIRTIO_F_VHOST_PROTOCOL_FEATURES) | FEATURE(VIRTIO_F_V1))

static void connect_display(struct rig *rig)
{
	if (!rig->display) {
		return;
	}
	int fd = display_connect(rig->display);
	frontend_gpu_set_socket(rig->frontend, fd);
	close(fd);
}

/* Not every back-end takes memory region by region. */
static bool has_memory_slots(const struct rig *rig)
{
	return rig->frontend->acked_protocol_features &
	       FEATURE(VHOST_USER_PROTOCOL_F_CONFIGURE_MEM_SLOTS);
}

static void share_memory(struct rig *rig)
{
	if (has_memory_slots(rig) || !rig->options.foreign) {
		frontend_add_memory(rig->frontend, rig->ram);
	} else {
		frontend_set_mem_table(rig->frontend, rig->ram);
	}
}

void rig_start(struct rig *rig, uint16_t control_base, uint16_t cursor_base)
{
	connect_display(rig);
	frontend_set_features(rig->frontend, rig->acked_features);
	share_memory(rig);
	frontend_start_ring(rig->frontend, rig->control, control_base, true);
	frontend_start_ring(rig->frontend, rig->cursor, cursor_base, true);
	frontend_set_vring(rig->frontend, VHOST_USER_SET_VRING_ENABLE, VGPU_CONTROL, 1);
	frontend_set_vring(rig->frontend, VHOST_USER_SET_VRING_ENABLE, VGPU_CURSOR, 1);
}

static void start_daemon(struct rig *rig)
{
	if (rig->options.foreign) {
		rig->daemon = rig->options.foreign;
		rig->frontend = frontend_create(daemon_connect(rig->daemon));
	} else {
		rig->daemon = daemon_start(rig->options.mode, rig->options.args);
		rig->frontend = frontend_create(daemon_connect_or_skip(rig->daemon));
	}
}

struct rig *rig_create(const struct rig_options *options)
{
	struct rig *rig = g_new0(struct rig, 1);
	struct display_config display_config =
		options->display ? *options->display : display_config_default();
	uint64_t region_bytes = options->region_bytes ? options->region_bytes : REGION_BYTES;

	rig->options = *options;
	if (!rig->options.mode) {
		rig->options.mode = "null";
	}
	start_daemon(rig);
	rig->frontend->withheld_protocol_features = options->withheld_protocol_features;
	if (options->has_window) {
		rig->frontend->window = window_create();
	}
	frontend_handshake(rig->frontend);
	uint64_t wanted = WANTED_FEATURES;
	if (options->has_window) {
		wanted |= FEATURE(VIRTIO_F_GPU_RESOURCE_BLOB);
	}
	rig->acked_features = rig->frontend->features & wanted & ~options->withheld_features;

	bool has_event_idx = rig->acked_features & FEATURE(VIRTIO_F_EVENT_INDEX);
	rig->ram = guestram_create(region_bytes);
	rig->control = ring_create(rig->ram, 0, VGPU_CONTROL,
				   options->ring_size ? options->ring_size : CONTROL_RING_SIZE,
				   has_event_idx);
	rig->cursor = ring_create(rig->ram, 0, VGPU_CURSOR,
				  options->ring_size ? options->ring_size : CURSOR_RING_SIZE,
				  has_event_idx);
	rig->vgpu = vgpu_create(rig->ram, rig->control, rig->cursor);
	if (!options->has_no_display) {
		display_config.is_lenient |= options->foreign != NULL;
		rig->display = display_create(&display_config);
	}
	if (!options->is_not_started) {
		rig_start(rig, 0, 0);
	}
	return rig;
}

struct rig *rig_create_mode(const char *mode)
{
	return rig_create(&(struct rig_options){.mode = mode});
}

static void release(struct rig *rig)
{
	display_destroy(rig->display);
	frontend_destroy(rig->frontend);
	if (!rig->options.foreign) {
		daemon_destroy(rig->daemon);
	}
	vgpu_destroy(rig->vgpu);
	ring_destroy(rig->control);
	ring_destroy(rig->cursor);
	guestram_destroy(rig->ram);
	g_free(rig);
}

void rig_destroy(struct rig *rig)
{
	if (!rig) {
		return;
	}
	if (!rig->options.foreign) {
		frontend_assert_alive(rig->frontend);
		g_assert_false(ring_wait_error(rig->control, 0));
		g_assert_false(ring_wait_error(rig->cursor, 0));
	}
	release(rig);
}

void rig_destroy_ended(struct rig *rig)
{
	g_assert_false(daemon_is_running(rig->daemon));
	release(rig);
}

void rig_pause(struct rig *rig, uint16_t *control_out, uint16_t *cursor_out)
{
	if (rig->display) {
		display_disconnect(rig->display);
	}
	*control_out = frontend_stop_ring(rig->frontend, VGPU_CONTROL);
	*cursor_out = frontend_stop_ring(rig->frontend, VGPU_CURSOR);
	if (has_memory_slots(rig) || !rig->options.foreign) {
		frontend_remove_memory(rig->frontend, rig->ram);
	}
}

void rig_pause_resume(struct rig *rig)
{
	uint16_t control_base, cursor_base;

	rig_pause(rig, &control_base, &cursor_base);
	rig_start(rig, control_base, cursor_base);
}

void rig_reset(struct rig *rig, bool has_message)
{
	struct window *window = rig->frontend->window;
	uint16_t control_base, cursor_base;

	rig_pause(rig, &control_base, &cursor_base);
	/* As QEMU does, before it says so. */
	if (window) {
		window_begin_reset(window);
	}
	if (has_message) {
		g_assert_cmpint(
			frontend_send(rig->frontend, VHOST_USER_RESET_DEVICE, 0, NULL, 0, NULL, 0),
			==, 0);
	}
	vgpu_forget(rig->vgpu);
	/* The rings are in region 0; in region 1 is all that the guest has just forgotten. */
	rig->ram->regions[1].used = 0;
	ring_reset(rig->control);
	ring_reset(rig->cursor);
	if (window && has_message) {
		window_end_reset(window);
	}
	rig_start(rig, 0, 0);
	/* Without a message it is said by where the rings start. */
	if (window && !has_message) {
		window_end_reset(window);
	}
}

void rig_revive_queue(struct rig *rig, enum vgpu_queue queue)
{
	struct ring *ring = rig->vgpu->rings[queue];

	frontend_stop_ring(rig->frontend, queue);
	ring_reset(ring);
	frontend_start_ring(rig->frontend, ring, 0, false);
}

void rig_assert_serves(struct rig *rig)
{
	struct virtio_gpu_resp_edid edid;

	g_assert_resp(vgpu_get_edid(rig->vgpu, 0, &edid), VIRTIO_GPU_RESP_OK_EDID);
	frontend_assert_alive(rig->frontend);
}

uint64_t rig_backing(struct rig *rig, const uint32_t *pixels, uint32_t size_bytes)
{
	uint64_t gpa = guestram_alloc(rig->ram, 1, size_bytes, GUESTRAM_PAGE);

	if (pixels) {
		memcpy(guestram_at(rig->ram, gpa, size_bytes), pixels, size_bytes);
	}
	return gpa;
}

uint64_t rig_make_resource(struct rig *rig, uint32_t id, uint32_t format, uint32_t width,
			   uint32_t height, const uint32_t *pixels)
{
	uint32_t size_bytes = width * height * 4;
	uint64_t gpa = rig_backing(rig, pixels, size_bytes);

	g_assert_ok(vgpu_resource_create_2d(rig->vgpu, id, format, width, height));
	g_assert_ok(vgpu_resource_attach_one(rig->vgpu, id, gpa, size_bytes));
	return gpa;
}

uint64_t rig_show_resource(struct rig *rig, uint32_t id, uint32_t scanout, uint32_t width,
			   uint32_t height, const uint32_t *pixels)
{
	uint64_t gpa =
		rig_make_resource(rig, id, VIRTIO_GPU_FORMAT_B8G8R8X8_UNORM, width, height, pixels);

	g_assert_ok(vgpu_transfer_to_host_2d(rig->vgpu, id, 0, 0, 0, width, height));
	g_assert_ok(vgpu_set_scanout(rig->vgpu, scanout, id, 0, 0, width, height));
	g_assert_ok(vgpu_resource_flush(rig->vgpu, id, 0, 0, width, height));
	return gpa;
}

uint32_t *rig_make_pattern(uint32_t width, uint32_t height, uint32_t seed)
{
	uint32_t *pixels = g_new(uint32_t, (size_t)width * height);

	for (uint32_t i = 0; i < width * height; i++) {
		/* An odd multiplier walks through all 32-bit values before it repeats one. */
		pixels[i] = (i + seed * 7919u + 1u) * 2654435761u;
	}
	return pixels;
}
