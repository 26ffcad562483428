/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * Memory that is unplugged, or becomes other memory, while a resource or a ring is in it. A row's
 * chain is the transfer.
 */
#include <string.h>

#include "attacks.h"
#include "virgl_stream.h"

#define FORMAT VIRTIO_GPU_FORMAT_B8G8R8X8_UNORM
#define SPARE 60u /* the resource */
#define N_IN_FLIGHT 100u

/* A row's numbers[0]. */
enum { OF_2D, OF_TEXTURE };

bool attack_can_unplug(struct attacker *attacker)
{
	bool can = attacker->rig->frontend->acked_protocol_features &
		   FEATURE(VHOST_USER_PROTOCOL_F_CONFIGURE_MEM_SLOTS);

	if (!can) {
		attacker->lacks = "memory slots";
	}
	return can;
}

unsigned int attack_plug(struct attacker *attacker)
{
	struct rig *rig = attacker->rig;
	unsigned int index = guestram_add(rig->ram, SPARE_GPA, SPARE_BYTES, 0);

	g_assert_cmpuint(frontend_add_region(rig->frontend, &rig->ram->regions[index]), ==, 0);
	return index;
}

void attack_unplug(struct attacker *attacker, unsigned int index)
{
	struct vhost_user_mem_reg_msg msg = { .region = attacker->rig->ram->regions[index].wire };

	g_assert_cmpuint(frontend_request(attacker->rig->frontend, VHOST_USER_REM_MEM_REG, &msg,
					  sizeof(msg), NULL, 0),
			 ==, 0);
}

void attack_forget_region(struct attacker *attacker, unsigned int index)
{
	g_assert_cmpuint(index, ==, attacker->rig->ram->n_regions - 1);
	guestram_drop_last(attacker->rig->ram);
}

static void make_spare(struct attacker *attacker)
{
	struct vgpu *vgpu = attacker->rig->vgpu;

	if (attacker->attack->numbers[0] == OF_TEXTURE) {
		attack_expect_ok(attacker, vgpu_resource_create_3d(
						   vgpu, SPARE, VIRGL_FORMAT_B8G8R8A8,
						   VIRGL_BIND_RENDER_TARGET | VIRGL_BIND_SCANOUT,
						   SPARE_SIDE, SPARE_SIDE, 0));
		attack_expect_ok(attacker, vgpu_ctx_attach_resource(vgpu, STAGE_CONTEXT, SPARE));
	} else {
		attack_expect_ok(attacker, vgpu_resource_create_2d(vgpu, SPARE, FORMAT, SPARE_SIDE,
								   SPARE_SIDE));
	}
	attack_expect_ok(attacker, vgpu_resource_attach_one(vgpu, SPARE, SPARE_GPA, SPARE_BYTES));
}

static struct vgpu_call *submit_transfer(struct attacker *attacker)
{
	struct vgpu_chain chain = attacker->attack->chain;

	chain.response_size = HEADER_BYTES;
	return vgpu_submit(attacker->rig->vgpu, VGPU_CONTROL, &chain);
}

static uint32_t transfer_spare(struct attacker *attacker)
{
	struct vgpu *vgpu = attacker->rig->vgpu;
	struct vgpu_call *call = submit_transfer(attacker);

	vgpu_kick(vgpu, VGPU_CONTROL);
	if (!vgpu_wait(vgpu, call, VGPU_ANSWER_MS)) {
		g_error("the transfer is not answered");
	}
	return vgpu_finish(vgpu, call);
}

static void run_unplug_then_use(struct attacker *attacker)
{
	struct vgpu *vgpu = attacker->rig->vgpu;

	if (!attack_can_unplug(attacker)) {
		return;
	}
	unsigned int index = attack_plug(attacker);
	make_spare(attacker);
	attack_expect_ok(attacker, transfer_spare(attacker));
	attack_unplug(attacker, index);
	for (unsigned int i = 0; i < 10; i++) {
		attack_expect_type(attacker, transfer_spare(attacker), ATTACK_AN_ERROR);
	}
	attack_expect_ok(attacker, vgpu_set_scanout(vgpu, 0, SPARE, 0, 0, SPARE_SIDE, SPARE_SIDE));
	attack_expect_ok(attacker, vgpu_resource_flush(vgpu, SPARE, 0, 0, SPARE_SIDE, SPARE_SIDE));
	attack_expect_ok(attacker, vgpu_resource_detach_backing(vgpu, SPARE));
	attack_expect_ok(attacker, vgpu_resource_unref(vgpu, SPARE));
	attack_forget_region(attacker, index);
}

/* Other memory in the same place: its pixels, and never those of the old. */
static void run_unplug_and_replace(struct attacker *attacker)
{
	struct rig *rig = attacker->rig;

	if (!attack_can_unplug(attacker)) {
		return;
	}
	unsigned int index = attack_plug(attacker);
	memset(rig->ram->regions[index].hva, 0x11, SPARE_BYTES);
	make_spare(attacker);
	attack_expect_ok(attacker, transfer_spare(attacker));
	attack_unplug(attacker, index);
	attack_forget_region(attacker, index);
	index = attack_plug(attacker);
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
	attack_unplug(attacker, index);
	attack_forget_region(attacker, index);
}

/* Unplugged while it is copied from or to: that is of the old memory, or an error. */
static void run_unplug_under_transfer(struct attacker *attacker)
{
	struct vgpu *vgpu = attacker->rig->vgpu;
	struct vgpu_call *calls[8];

	if (!attack_can_unplug(attacker)) {
		return;
	}
	unsigned int index = attack_plug(attacker);
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
		attack_unplug(attacker, index);
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
	attack_unplug(attacker, index);
	attack_forget_region(attacker, index);
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

	if (!attack_can_unplug(attacker)) {
		return;
	}
	for (unsigned int i = 0; i < N_IN_FLIGHT; i++) {
		vgpu_submit(rig->vgpu, VGPU_CONTROL, &chain);
	}
	vgpu_kick(rig->vgpu, VGPU_CONTROL);
	for (unsigned int i = 0; i < 2; i++) {
		attack_unplug(attacker, i);
		ring_kick_always(rig->control);
		ring_kick_always(rig->cursor);
		frontend_assert_alive(rig->frontend);
	}
	for (unsigned int i = 0; i < 2; i++) {
		g_assert_cmpuint(frontend_add_region(rig->frontend, &rig->ram->regions[i]), ==, 0);
	}
}

#define TRANSFER_2D                                                                                \
	.chain = { COMMAND(virtio_gpu_transfer_to_host_2d, TRANSFER_TO_HOST_2D,                    \
			   .r = { 0, 0, SPARE_SIDE, SPARE_SIDE }, .resource_id = SPARE) }
#define TRANSFER_3D(direction)                                                                     \
	.chain = { COMMAND(virtio_gpu_transfer_host_3d, TRANSFER_##direction##_HOST_3D,            \
			   .hdr.ctx_id = STAGE_CONTEXT, .resource_id = SPARE,                      \
			   .box = { 0, 0, 0, SPARE_SIDE, SPARE_SIDE, 1 }) },                       \
	.numbers = { OF_TEXTURE }

static const struct attack attacks_2d[] = {
	{ "memory/unplug_then_use", "a backing's memory unplugged, then used", TRANSFER_2D,
	  .run = run_unplug_then_use, .outcome = "an error; flush, detach and unref as ever" },
	{ "memory/unplug_and_replace", "a backing's memory replaced by other memory", TRANSFER_2D,
	  .run = run_unplug_and_replace, .outcome = "the new memory is shown" },
	{ "memory/unplug_under_transfer", "a backing's memory unplugged while it is copied",
	  TRANSFER_2D, .run = run_unplug_under_transfer, .outcome = "each transfer answered" },
	{ "memory/unplug_the_rings", "the rings' memory unplugged with commands in flight",
	  .run = run_unplug_the_rings, .end = ATTACK_REPAIR,
	  .outcome = "session answers; served after a reset" },
};

static const struct attack attacks_of_3d[] = {
	{ "memory_3d/unplug_then_use", "a texture's memory unplugged, then used", TRANSFER_3D(TO),
	  .run = run_unplug_then_use, .outcome = "an error; flush, detach and unref as ever" },
	{ "memory_3d/unplug_then_use_back", "a texture's memory unplugged, then written to",
	  TRANSFER_3D(FROM), .run = run_unplug_then_use,
	  .outcome = "an error; flush, detach and unref as ever" },
	{ "memory_3d/unplug_and_replace", "a texture's memory replaced by other memory",
	  TRANSFER_3D(TO), .run = run_unplug_and_replace, .outcome = "the new memory is shown" },
	{ "memory_3d/unplug_under_transfer", "a texture's memory unplugged while it is copied",
	  TRANSFER_3D(TO), .run = run_unplug_under_transfer, .outcome = "each transfer answered" },
	{ "memory_3d/unplug_under_transfer_back",
	  "a texture's memory unplugged while it is written to", TRANSFER_3D(FROM),
	  .run = run_unplug_under_transfer, .outcome = "each transfer answered" },
	{ "memory_3d/unplug_2d_under_transfer",
	  "a 2D resource's memory unplugged while it is copied", TRANSFER_2D,
	  .run = run_unplug_under_transfer, .outcome = "each transfer answered" },
};

const struct attack_list attacks_memory = { attacks_2d, G_N_ELEMENTS(attacks_2d) };
const struct attack_list attacks_memory_3d = { attacks_of_3d, G_N_ELEMENTS(attacks_of_3d) };
