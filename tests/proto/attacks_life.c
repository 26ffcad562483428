/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * What a guest makes its front-end do: resets and pauses in the middle of work, questions about the
 * configuration while the display does not read.
 */
#include <string.h>

#include "attacks.h"
#include "proctree.h"
#include "virgl_stream.h"

#define FORMAT VIRTIO_GPU_FORMAT_B8G8R8X8_UNORM
#define SPARE 60u /* the resource */
#define N_IN_FLIGHT 100u
#define REBOOT_LEAK_BYTES (UINT64_C(150) << 20)

/* ---- resets and pauses ---- */

/* A reset with as much in flight as the ring holds; what comes after is the new driver's. */
static void run_reset_in_flight(struct attacker *attacker)
{
	for (unsigned int round = 0; round < 5; round++) {
		for (unsigned int i = 0; i < N_IN_FLIGHT; i++) {
			const struct virtio_gpu_resource_create_2d create = {
				.hdr.type = VIRTIO_GPU_CMD_RESOURCE_CREATE_2D,
				.resource_id = 1000 + i,
				.format = FORMAT,
				.width = 256,
				.height = 256,
			};
			const struct vgpu_chain chain = { .request = &create,
							  .request_size = sizeof(create),
							  .response_size = HEADER_BYTES };
			vgpu_submit(attacker->rig->vgpu, VGPU_CONTROL, &chain);
		}
		vgpu_kick(attacker->rig->vgpu, VGPU_CONTROL);
		attack_repair(attacker);
		attack_prove(attacker);
	}
}

static void run_reset_storm(struct attacker *attacker)
{
	for (unsigned int i = 0; i < 20; i++) {
		attack_repair(attacker);
	}
}

/* Reboots of a guest that drops nothing: 32 MiB each, of which none may stay. */
static void run_reboots(struct attacker *attacker)
{
	uint64_t before_bytes = proctree_memory(attacker->rig->daemon->pid).rss_bytes;
	struct vgpu *vgpu = attacker->rig->vgpu;

	for (uint32_t reboot = 0; reboot < 10; reboot++) {
		for (uint32_t i = 0; i < 8; i++) {
			uint32_t id = 1000 + reboot * 8 + i;
			attack_expect_ok(attacker,
					 vgpu_resource_create_2d(vgpu, id, FORMAT, 1024, 1024));
			attack_expect_ok(attacker,
					 vgpu_resource_attach_one(vgpu, id, FREE_GPA, 1 << 22));
			attack_expect_ok(attacker,
					 vgpu_transfer_to_host_2d(vgpu, id, 0, 0, 0, 1024, 1024));
		}
		attack_repair(attacker);
	}
	uint64_t now_bytes = proctree_memory(attacker->rig->daemon->pid).rss_bytes;
	if (now_bytes > before_bytes + REBOOT_LEAK_BYTES) {
		attacker->has_leaked = true;
		attack_surprise(attacker, "%u of 320 MiB are still held",
				(unsigned int)((now_bytes - before_bytes) >> 20));
	}
}

/* What was shown is shown again, and what the guest owns is still its own. */
static void run_pause(struct attacker *attacker)
{
	struct rig *rig = attacker->rig;
	g_autofree uint32_t *pixels = rig_make_pattern(STAGE_SIDE, STAGE_SIDE, 1);

	for (unsigned int i = 0; i < 3; i++) {
		rig_pause_resume(rig);
		attack_expect_ok(attacker, vgpu_transfer_to_host_2d(rig->vgpu, STAGE_SHOWN, 0, 0, 0,
								    STAGE_SIDE, STAGE_SIDE));
		attack_expect_ok(attacker, vgpu_resource_flush(rig->vgpu, STAGE_SHOWN, 0, 0,
							       STAGE_SIDE, STAGE_SIDE));
		if (attacker->has_pictures) {
			display_wait_pixels(rig->display, 0, pixels, STAGE_SIDE, STAGE_SIDE);
		}
	}
}

/* ---- fences in flight ---- */

#define N_FENCED 40u
/* More than the last fence takes after the stop. */
#define FENCES_MS 100

static void submit_fenced(struct attacker *attacker, uint32_t ctx, struct vgpu_call **calls_out)
{
	struct virgl_stream stream = { 0 };
	struct virtio_gpu_cmd_submit submit = {
		.hdr = { .type = VIRTIO_GPU_CMD_SUBMIT_3D,
			 .flags = VIRTIO_GPU_FLAG_FENCE,
			 .ctx_id = ctx },
	};

	virgl_stream_create_surface(&stream, 1, STAGE_TEXTURE, VIRGL_FORMAT_B8G8R8A8);
	virgl_stream_set_framebuffer(&stream, 1);
	for (unsigned int i = 0; i < 20; i++) {
		virgl_stream_clear(&stream, 1.0f, 0.0f, 1.0f, 1.0f);
	}
	submit.size = virgl_stream_size_bytes(&stream);
	const struct vgpu_chain chain = { .request = &submit,
					  .request_size = sizeof(submit),
					  .payload = stream.words,
					  .payload_size = submit.size,
					  .response_size = HEADER_BYTES };
	for (unsigned int i = 0; i < N_FENCED; i++) {
		submit.hdr.fence_id = i + 1;
		calls_out[i] = vgpu_submit(attacker->rig->vgpu, VGPU_CONTROL, &chain);
	}
	vgpu_kick(attacker->rig->vgpu, VGPU_CONTROL);
}

/* Stopped where fences are still to come: they wait until the ring goes on. */
static void run_stop_with_fences(struct attacker *attacker)
{
	struct rig *rig = attacker->rig;
	struct vgpu_call *calls[N_FENCED];

	for (unsigned int round = 0; round < 5; round++) {
		submit_fenced(attacker, STAGE_VICTIM, calls);
		uint16_t base = frontend_stop_ring(rig->frontend, VGPU_CONTROL);
		uint16_t used = ring_used_idx(rig->control);
		g_usleep(FENCES_MS * 1000);
		frontend_assert_alive(rig->frontend);
		attack_expect(attacker, ring_used_idx(rig->control) == used,
			      "written to after GET_VRING_BASE");
		frontend_start_ring(rig->frontend, rig->control, base, false);
		for (unsigned int i = 0; i < N_FENCED; i++) {
			if (!vgpu_wait(rig->vgpu, calls[i], VGPU_ANSWER_MS)) {
				g_error("command %u is not answered", i);
			}
			attack_expect_type(attacker, vgpu_finish(rig->vgpu, calls[i]),
					   ATTACK_AN_ANSWER);
		}
	}
}

/* What is signalled after a reset is nobody's: a chain that comes back unasked ends the process. */
static void run_reset_with_fences(struct attacker *attacker)
{
	struct vgpu_call *calls[N_FENCED];

	submit_fenced(attacker, STAGE_VICTIM, calls);
	attack_repair(attacker);
	g_usleep(FENCES_MS * 1000);
	attack_prove(attacker);
}

/* ---- the display does not read ---- */

#define WIDE 1280u
#define HIGH 800u

/* Frames that do not fit the display's socket. */
static void make_wide(struct attacker *attacker)
{
	struct vgpu *vgpu = attacker->rig->vgpu;

	attack_expect_ok(attacker, vgpu_resource_create_2d(vgpu, SPARE, FORMAT, WIDE, HIGH));
	attack_expect_ok(attacker,
			 vgpu_resource_attach_one(vgpu, SPARE, FREE_GPA, WIDE * HIGH * 4));
	attack_expect_ok(attacker, vgpu_transfer_to_host_2d(vgpu, SPARE, 0, 0, 0, WIDE, HIGH));
	attack_expect_ok(attacker, vgpu_set_scanout(vgpu, 0, SPARE, 0, 0, WIDE, HIGH));
}

static void flush_unread(struct attacker *attacker)
{
	const struct virtio_gpu_resource_flush flush = {
		.hdr.type = VIRTIO_GPU_CMD_RESOURCE_FLUSH,
		.r = { 0, 0, WIDE, HIGH },
		.resource_id = SPARE,
	};
	struct vgpu_chain chain = { .request = &flush,
				    .request_size = sizeof(flush),
				    .response_size = HEADER_BYTES };

	display_set_stalled(attacker->rig->display, true);
	for (unsigned int i = 0; i < 4; i++) {
		vgpu_submit(attacker->rig->vgpu, VGPU_CONTROL, &chain);
	}
	vgpu_kick(attacker->rig->vgpu, VGPU_CONTROL);
}

/*
 * A guest that reads its configuration space while it flushes. QEMU waits for the answer with its
 * big lock held, and reads the display's socket only when it has let go of it.
 */
static void run_config_unread(struct attacker *attacker)
{
	uint8_t config[16];

	make_wide(attacker);
	flush_unread(attacker);
	for (unsigned int i = 0; i < 200; i++) {
		frontend_get_config(attacker->rig->frontend, 0, sizeof(config), config);
	}
	frontend_assert_alive(attacker->rig->frontend);
	vgpu_move_cursor(attacker->rig->vgpu, 0, 0, 1, 1);
	display_set_stalled(attacker->rig->display, false);
}

static void run_reset_unread(struct attacker *attacker)
{
	make_wide(attacker);
	flush_unread(attacker);
	attack_repair(attacker);
	display_set_stalled(attacker->rig->display, false);
}

static const struct attack attacks[] = {
	{ "life/reset_in_flight", "five resets with 100 commands in flight",
	  .run = run_reset_in_flight, .end = ATTACK_REPAIR, .outcome = "served after each" },
	{ "life/reset_storm", "20 resets in a row", .run = run_reset_storm, .end = ATTACK_REPAIR,
	  .outcome = "served" },
	{ "life/reboots", "10 reboots of a guest that drops nothing", .run = run_reboots,
	  .end = ATTACK_REPAIR, .outcome = "memory comes back" },
	{ "life/pause", "three times stop and cont with a picture shown", .run = run_pause,
	  .outcome = "resources and picture are kept" },
	{ "life/config_unread", "the configuration read 200 times while the display does not read",
	  .run = run_config_unread, .end = ATTACK_REPAIR, .outcome = "answered" },
	{ "life/reset_unread", "a reset while the display does not read", .run = run_reset_unread,
	  .end = ATTACK_REPAIR, .outcome = "served" },
};

static const struct attack attacks_of_3d[] = {
	{ "life_3d/stop_with_fences", "the ring stopped with 40 fences in flight, five times",
	  .run = run_stop_with_fences,
	  .outcome = "nothing written after GET_VRING_BASE; each answered once it goes on" },
	{ "life_3d/reset_with_fences", "a reset with 40 fences in flight",
	  .run = run_reset_with_fences, .end = ATTACK_REPAIR,
	  .outcome = "none comes back on the new ring" },
};

const struct attack_list attacks_life = { attacks, G_N_ELEMENTS(attacks) };
const struct attack_list attacks_life_3d = { attacks_of_3d, G_N_ELEMENTS(attacks_of_3d) };
