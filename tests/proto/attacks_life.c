/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * What a guest makes its front-end do: memory that is unplugged while it is in use, resets and
 * pauses in the middle of work, questions about the configuration while the display does not read.
 */
#include <string.h>

#include "attacks.h"
#include "proctree.h"
#include "suite.h"

#define FORMAT VIRTIO_GPU_FORMAT_B8G8R8X8_UNORM
#define SPARE_GPA UINT64_C(0x200000000)
#define SPARE_SIDE 1024u
#define SPARE_BYTES (SPARE_SIDE * SPARE_SIDE * 4u)
#define SPARE 60u /* the resource */
#define N_IN_FLIGHT 100u
#define REBOOT_LEAK_BYTES (UINT64_C(150) << 20)

/* ---- memory ---- */

/* Not every back-end takes memory away from a running machine. */
static bool can_unplug(struct attacker *attacker)
{
	bool can = attacker->rig->frontend->acked_protocol_features &
		   FEATURE(VHOST_USER_PROTOCOL_F_CONFIGURE_MEM_SLOTS);

	if (!can) {
		attacker->lacks = "memory slots";
	}
	return can;
}

static unsigned int plug(struct attacker *attacker)
{
	struct rig *rig = attacker->rig;
	unsigned int index = guestram_add(rig->ram, SPARE_GPA, SPARE_BYTES, 0);

	g_assert_cmpuint(frontend_add_region(rig->frontend, &rig->ram->regions[index]), ==, 0);
	return index;
}

static void unplug(struct attacker *attacker, unsigned int index)
{
	struct vhost_user_mem_reg_msg msg = { .region = attacker->rig->ram->regions[index].wire };

	g_assert_cmpuint(frontend_request(attacker->rig->frontend, VHOST_USER_REM_MEM_REG, &msg,
					  sizeof(msg), NULL, 0),
			 ==, 0);
}

/* The regions that a pause takes away are those that are there. */
static void forget_region(struct attacker *attacker, unsigned int index)
{
	g_assert_cmpuint(index, ==, attacker->rig->ram->n_regions - 1);
	guestram_drop_last(attacker->rig->ram);
}

static void make_spare(struct attacker *attacker)
{
	struct vgpu *vgpu = attacker->rig->vgpu;

	attack_expect_ok(attacker,
			 vgpu_resource_create_2d(vgpu, SPARE, FORMAT, SPARE_SIDE, SPARE_SIDE));
	attack_expect_ok(attacker, vgpu_resource_attach_one(vgpu, SPARE, SPARE_GPA, SPARE_BYTES));
}

static uint32_t transfer_spare(struct attacker *attacker)
{
	return vgpu_transfer_to_host_2d(attacker->rig->vgpu, SPARE, 0, 0, 0, SPARE_SIDE,
					SPARE_SIDE);
}

static void run_unplug_then_use(struct attacker *attacker)
{
	struct vgpu *vgpu = attacker->rig->vgpu;

	if (!can_unplug(attacker)) {
		return;
	}
	unsigned int index = plug(attacker);
	make_spare(attacker);
	attack_expect_ok(attacker, transfer_spare(attacker));
	unplug(attacker, index);
	for (unsigned int i = 0; i < 10; i++) {
		attack_expect_type(attacker, transfer_spare(attacker), ATTACK_AN_ERROR);
	}
	attack_expect_ok(attacker, vgpu_set_scanout(vgpu, 0, SPARE, 0, 0, SPARE_SIDE, SPARE_SIDE));
	attack_expect_ok(attacker, vgpu_resource_flush(vgpu, SPARE, 0, 0, SPARE_SIDE, SPARE_SIDE));
	attack_expect_ok(attacker, vgpu_resource_detach_backing(vgpu, SPARE));
	attack_expect_ok(attacker, vgpu_resource_unref(vgpu, SPARE));
	forget_region(attacker, index);
}

/* Other memory in the same place: its pixels, and never those of the old. */
static void run_unplug_and_replace(struct attacker *attacker)
{
	struct rig *rig = attacker->rig;

	if (!can_unplug(attacker)) {
		return;
	}
	unsigned int index = plug(attacker);
	memset(rig->ram->regions[index].hva, 0x11, SPARE_BYTES);
	make_spare(attacker);
	attack_expect_ok(attacker, transfer_spare(attacker));
	unplug(attacker, index);
	forget_region(attacker, index);
	index = plug(attacker);
	memset(rig->ram->regions[index].hva, 0x22, SPARE_BYTES);
	attack_expect_ok(attacker, transfer_spare(attacker));
	attack_expect_ok(attacker,
			 vgpu_set_scanout(rig->vgpu, 0, SPARE, 0, 0, SPARE_SIDE, SPARE_SIDE));
	attack_expect_ok(attacker,
			 vgpu_resource_flush(rig->vgpu, SPARE, 0, 0, SPARE_SIDE, SPARE_SIDE));
	attack_expect(attacker,
		      !attacker->has_pictures ||
			      display_shows_pixel(rig->display, 0, 9, 9, 0x222222),
		      "not the new memory is shown");
	attack_expect_ok(attacker, vgpu_resource_unref(rig->vgpu, SPARE));
	unplug(attacker, index);
	forget_region(attacker, index);
}

static struct vgpu_call *submit_transfer(struct attacker *attacker)
{
	const struct virtio_gpu_transfer_to_host_2d transfer = {
		.hdr.type = VIRTIO_GPU_CMD_TRANSFER_TO_HOST_2D,
		.r = { 0, 0, SPARE_SIDE, SPARE_SIDE },
		.resource_id = SPARE,
	};
	const struct vgpu_chain chain = { .request = &transfer,
					  .request_size = sizeof(transfer),
					  .response_size = HEADER_BYTES };

	return vgpu_submit(attacker->rig->vgpu, VGPU_CONTROL, &chain);
}

/* Unplugged while it is copied from: the copy is of the old memory, or an error. */
static void run_unplug_under_transfer(struct attacker *attacker)
{
	struct vgpu *vgpu = attacker->rig->vgpu;
	struct vgpu_call *calls[8];

	if (!can_unplug(attacker)) {
		return;
	}
	unsigned int index = plug(attacker);
	make_spare(attacker);
	for (unsigned int round = 0; round < 25; round++) {
		for (unsigned int i = 0; i < G_N_ELEMENTS(calls); i++) {
			calls[i] = submit_transfer(attacker);
		}
		vgpu_kick(vgpu, VGPU_CONTROL);
		if (round % 2 == 0) {
			/* When the first is done, the next is on its way. */
			vgpu_wait(vgpu, calls[0], VGPU_ANSWER_MS);
		}
		unplug(attacker, index);
		for (unsigned int i = 0; i < G_N_ELEMENTS(calls); i++) {
			if (!vgpu_wait(vgpu, calls[i], VGPU_ANSWER_MS)) {
				g_error("transfer %u is not answered", i);
			}
			attack_expect_type(attacker, vgpu_finish(vgpu, calls[i]), ATTACK_AN_ANSWER);
		}
		g_assert_cmpuint(frontend_add_region(attacker->rig->frontend,
						     &attacker->rig->ram->regions[index]),
				 ==, 0);
	}
	attack_expect_ok(attacker, vgpu_resource_unref(vgpu, SPARE));
	unplug(attacker, index);
	forget_region(attacker, index);
}

/* The memory that commands and answers lie in, with commands in flight. */
static void run_unplug_the_rings(struct attacker *attacker)
{
	struct rig *rig = attacker->rig;
	const struct virtio_gpu_resource_unref cmd = { .hdr.type = VIRTIO_GPU_CMD_RESOURCE_UNREF,
						       .resource_id = STAGE_NOBODY };
	const struct vgpu_chain chain = { .request = &cmd,
					  .request_size = sizeof(cmd),
					  .response_size = HEADER_BYTES };

	if (!can_unplug(attacker)) {
		return;
	}
	for (unsigned int i = 0; i < N_IN_FLIGHT; i++) {
		vgpu_submit(rig->vgpu, VGPU_CONTROL, &chain);
	}
	vgpu_kick(rig->vgpu, VGPU_CONTROL);
	for (unsigned int i = 0; i < 2; i++) {
		unplug(attacker, i);
		ring_kick_always(rig->control);
		ring_kick_always(rig->cursor);
		frontend_assert_alive(rig->frontend);
	}
	for (unsigned int i = 0; i < 2; i++) {
		g_assert_cmpuint(frontend_add_region(rig->frontend, &rig->ram->regions[i]), ==, 0);
	}
}

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
	{ "memory/unplug_then_use", "a backing's memory unplugged, then used",
	  .run = run_unplug_then_use, .outcome = "an error; flush, detach and unref as ever" },
	{ "memory/unplug_and_replace", "a backing's memory replaced by other memory",
	  .run = run_unplug_and_replace, .outcome = "the new memory is shown" },
	{ "memory/unplug_under_transfer", "a backing's memory unplugged while it is copied",
	  .run = run_unplug_under_transfer, .outcome = "each transfer answered" },
	{ "memory/unplug_the_rings", "the rings' memory unplugged with commands in flight",
	  .run = run_unplug_the_rings, .end = ATTACK_REPAIR,
	  .outcome = "session answers; served after a reset" },
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

const struct attack_list attacks_life = { attacks, G_N_ELEMENTS(attacks) };
