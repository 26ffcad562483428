/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * Blobs where there are contexts: memory that no context has, and memory without a shape where a
 * renderer expects a texture.
 */
#include <stddef.h>

#include "attacks.h"
#include "virgl_stream.h"

#define PAGE 4096u
#define BLOB 50u
#define HOST3D VIRTIO_GPU_BLOB_MEM_HOST3D
#define HOST3D_GUEST VIRTIO_GPU_BLOB_MEM_HOST3D_GUEST
#define N_HOARDED 3000u

/* BLOB, attached to the context that bad streams are for. */
static bool make_attached(struct attacker *attacker)
{
	if (!attack_make_blob(attacker, BLOB)) {
		return false;
	}
	attack_expect_ok(attacker,
			 vgpu_ctx_attach_resource(attacker->rig->vgpu, STAGE_VICTIM, BLOB));
	return true;
}

static void run_on_attached(struct attacker *attacker)
{
	if (make_attached(attacker)) {
		attack_send(attacker);
	}
}

static void run_send(struct attacker *attacker)
{
	/* There are blobs, or this is no attack. */
	if (attack_make_blob(attacker, BLOB)) {
		attack_send(attacker);
	}
}

static void run_after_destroy(struct attacker *attacker)
{
	if (attack_make_blob(attacker, BLOB)) {
		attack_expect_ok(attacker, vgpu_ctx_destroy(attacker->rig->vgpu, STAGE_STRANGER));
		attack_send(attacker);
	}
}

static uint32_t submit(struct attacker *attacker, const struct virgl_stream *stream)
{
	return vgpu_submit_3d(attacker->rig->vgpu, STAGE_VICTIM, stream->words,
			      virgl_stream_size_bytes(stream));
}

/* Drawn to, copied from and to, and read as vertices. */
static void run_as_texture(struct attacker *attacker)
{
	static const uint8_t red[] = { 255, 0, 0 };
	struct virgl_stream stream = { 0 };

	if (!make_attached(attacker)) {
		return;
	}
	virgl_stream_create_surface(&stream, 1, BLOB, VIRGL_FORMAT_B8G8R8A8);
	virgl_stream_set_framebuffer(&stream, 1);
	virgl_stream_clear(&stream, 1.0f, 0.0f, 0.0f, 1.0f);
	attack_expect_type(attacker, submit(attacker, &stream), ATTACK_AN_ANSWER);
	stream.n_words = 0;
	virgl_stream_copy(&stream, STAGE_TEXTURE, 0, 0, BLOB, 0, 0, STAGE_SIDE, STAGE_SIDE);
	attack_expect_type(attacker, submit(attacker, &stream), ATTACK_AN_ANSWER);
	stream.n_words = 0;
	virgl_stream_copy(&stream, BLOB, 0, 0, STAGE_TEXTURE, 0, 0, STAGE_SIDE, STAGE_SIDE);
	attack_expect_type(attacker, submit(attacker, &stream), ATTACK_AN_ANSWER);
	stream.n_words = 0;
	virgl_stream_fill(&stream, 10, BLOB, STAGE_SIDE, STAGE_SIDE, red);
	attack_expect_type(attacker, submit(attacker, &stream), ATTACK_AN_ANSWER);
}

/* Its resource goes while a context has it. */
static void run_unref_attached(struct attacker *attacker)
{
	struct vgpu *vgpu = attacker->rig->vgpu;
	struct virgl_stream stream = { 0 };

	for (uint32_t i = 0; i < 50; i++) {
		if (!make_attached(attacker)) {
			return;
		}
		if (i % 2) {
			attack_expect_ok(attacker,
					 vgpu_ctx_attach_resource(vgpu, STAGE_STRANGER, BLOB));
		}
		attack_expect_ok(attacker, vgpu_resource_unref(vgpu, BLOB));
		stream.n_words = 0;
		virgl_stream_copy(&stream, STAGE_TEXTURE, 0, 0, BLOB, 0, 0, 8, 8);
		attack_expect_type(attacker, submit(attacker, &stream), ATTACK_AN_ANSWER);
	}
}

/* Its memory is unplugged while the renderer knows of it, and comes back elsewhere. */
static void run_unplug_attached(struct attacker *attacker)
{
	const struct virtio_gpu_box all = { 0, 0, 0, STAGE_SIDE, STAGE_SIDE, 1 };
	struct rig *rig = attacker->rig;

	if (!attack_can_unplug(attacker) || !make_attached(attacker)) {
		return;
	}
	unsigned int index = attack_plug(attacker);
	attack_expect_ok(attacker, vgpu_resource_create_guest_blob(rig->vgpu, BLOB + 1, SPARE_GPA,
								   SPARE_BYTES));
	attack_expect_ok(attacker, vgpu_ctx_attach_resource(rig->vgpu, STAGE_VICTIM, BLOB + 1));
	for (unsigned int i = 0; i < 10; i++) {
		attack_unplug(attacker, index);
		attack_expect_type(attacker,
				   vgpu_transfer_to_host_3d(rig->vgpu, STAGE_VICTIM, BLOB + 1,
							    &all, 0, 0),
				   ATTACK_AN_ERROR);
		g_assert_cmpuint(
			frontend_add_region(rig->frontend, &rig->ram->regions[index]), ==, 0);
		attack_expect_type(attacker,
				   vgpu_transfer_from_host_3d(rig->vgpu, STAGE_VICTIM, BLOB + 1,
							      &all, 0, 0),
				   ATTACK_AN_ANSWER);
	}
	attack_expect_ok(attacker, vgpu_resource_unref(rig->vgpu, BLOB + 1));
	attack_unplug(attacker, index);
	attack_forget_region(attacker, index);
}

/* Memory of every name that a context may have given it. */
static void run_hoard(struct attacker *attacker)
{
	struct vgpu *vgpu = attacker->rig->vgpu;
	struct vgpu_blob blob = { .mem = HOST3D,
				  .flags = VIRTIO_GPU_BLOB_FLAG_USE_MAPPABLE,
				  .size_bytes = 1 << 20 };
	uint32_t n = 0;

	if (!attack_make_blob(attacker, BLOB)) {
		return;
	}
	for (uint32_t i = 0; i < N_HOARDED; i++) {
		blob.blob_id = i;
		vgpu->next_hdr.ctx_id = STAGE_CONTEXT;
		uint32_t type = vgpu_resource_create_blob(vgpu, 1000 + n, &blob);
		attack_expect_type(attacker, type, ATTACK_AN_ANSWER);
		n += type == VIRTIO_GPU_RESP_OK_NODATA;
	}
	for (uint32_t i = 0; i < n; i++) {
		attack_expect_ok(attacker, vgpu_resource_unref(vgpu, 1000 + i));
	}
}

/* ---- rows ---- */

#define CREATE(the_mem, the_size, ...)                                                             \
	COMMAND(virtio_gpu_resource_create_blob, RESOURCE_CREATE_BLOB, .resource_id = 60,          \
		.blob_mem = (the_mem), .size = (the_size), __VA_ARGS__)
#define ONE_PAGE                                                                                   \
	.payload = &(const struct virtio_gpu_mem_entry){ .addr = FREE_GPA, .length = PAGE },       \
	.payload_size = sizeof(struct virtio_gpu_mem_entry)
#define OF_CONTEXT .hdr.ctx_id = STAGE_CONTEXT
#define TRANSFER(direction, ...)                                                                   \
	COMMAND(virtio_gpu_transfer_host_3d, TRANSFER_##direction##_HOST_3D,                       \
		.hdr.ctx_id = STAGE_VICTIM, .resource_id = BLOB, __VA_ARGS__)
#define BOX(...) .box = { __VA_ARGS__ }
#define SENDS_BLOB(...) .run = run_send, .chain = { __VA_ARGS__ }
#define ON_ATTACHED(...) .run = run_on_attached, .chain = { __VA_ARGS__ }
#define REFUSED .responses = { ATTACK_AN_ERROR }
#define ANY .responses = { ATTACK_AN_ANSWER }

static const struct attack attacks[] = {
	{ "blob_3d/id_unknown", "memory that the context has not",
	  SENDS_BLOB(CREATE(HOST3D, PAGE, OF_CONTEXT, .blob_id = 4711)), REFUSED },
	{ "blob_3d/id_0", "memory of the name 0", SENDS_BLOB(CREATE(HOST3D, PAGE, OF_CONTEXT)),
	  ANY },
	{ "blob_3d/id_max", "memory of the last name",
	  SENDS_BLOB(CREATE(HOST3D, PAGE, OF_CONTEXT, .blob_id = UINT64_MAX)), REFUSED },
	{ "blob_3d/size_0", "no bytes of a context's",
	  SENDS_BLOB(CREATE(HOST3D, 0, OF_CONTEXT, .blob_id = 1)),
	  ANSWERED(ERR_INVALID_PARAMETER) },
	{ "blob_3d/size_max", "2^64 - 1 bytes of a context's",
	  SENDS_BLOB(CREATE(HOST3D, UINT64_MAX, OF_CONTEXT, .blob_id = 1)), REFUSED },
	{ "blob_3d/size_half", "2^63 bytes of a context's",
	  SENDS_BLOB(CREATE(HOST3D, UINT64_C(1) << 63, OF_CONTEXT, .blob_id = 1)), REFUSED },
	{ "blob_3d/size_4_gib", "2^32 + 1 bytes of a context's",
	  SENDS_BLOB(CREATE(HOST3D, UINT64_C(0x100000001), OF_CONTEXT, .blob_id = 1)), REFUSED },
	{ "blob_3d/flags_max", "all flags",
	  SENDS_BLOB(CREATE(HOST3D, PAGE, OF_CONTEXT, .blob_flags = UINT32_MAX)),
	  ANSWERED(ERR_INVALID_PARAMETER) },
	{ "blob_3d/context_0", "memory of no context", SENDS_BLOB(CREATE(HOST3D, PAGE, .hdr.ctx_id = 0)),
	  ANSWERED(ERR_INVALID_CONTEXT_ID) },
	{ "blob_3d/context_max", "memory of the last context",
	  SENDS_BLOB(CREATE(HOST3D, PAGE, .hdr.ctx_id = UINT32_MAX)),
	  ANSWERED(ERR_INVALID_CONTEXT_ID) },
	{ "blob_3d/context_gone", "memory of a context that is gone", .run = run_after_destroy,
	  .chain = { CREATE(HOST3D, PAGE, .hdr.ctx_id = STAGE_STRANGER) },
	  ANSWERED(ERR_INVALID_CONTEXT_ID) },
	{ "blob_3d/both_without_pages", "memory of both without the guest's",
	  SENDS_BLOB(CREATE(HOST3D_GUEST, PAGE, OF_CONTEXT, .blob_id = 1)),
	  ANSWERED(ERR_INVALID_PARAMETER) },
	{ "blob_3d/both_unknown", "memory of both that the context has not",
	  SENDS_BLOB(CREATE(HOST3D_GUEST, PAGE, OF_CONTEXT, .blob_id = 4711, .nr_entries = 1),
		     ONE_PAGE),
	  REFUSED },
	{ "blob_3d/transfer_max", "all numbers of a transfer 0xffffffff",
	  ON_ATTACHED(TRANSFER(TO, BOX(UINT32_MAX, UINT32_MAX, UINT32_MAX, UINT32_MAX, UINT32_MAX,
				       UINT32_MAX),
			       .level = UINT32_MAX, .stride = UINT32_MAX,
			       .layer_stride = UINT32_MAX, .offset = UINT64_MAX)),
	  REFUSED },
	{ "blob_3d/transfer_box_max", "a box of 2^96 pixels to a blob",
	  ON_ATTACHED(TRANSFER(TO, BOX(0, 0, 0, UINT32_MAX, UINT32_MAX, UINT32_MAX))), ANY },
	{ "blob_3d/transfer_back_box_max", "a box of 2^96 pixels out of a blob",
	  ON_ATTACHED(TRANSFER(FROM, BOX(0, 0, 0, UINT32_MAX, UINT32_MAX, UINT32_MAX))), ANY },
	{ "blob_3d/transfer", "a picture to a blob, which has no pixels",
	  ON_ATTACHED(TRANSFER(TO, BOX(0, 0, 0, STAGE_SIDE, STAGE_SIDE, 1))), ANY },
	{ "blob_3d/transfer_back", "a picture out of a blob, which has no pixels",
	  ON_ATTACHED(TRANSFER(FROM, BOX(0, 0, 0, STAGE_SIDE, STAGE_SIDE, 1))), ANY },
	{ "blob_3d/transfer_stride", "a transfer by rows that are 4 GiB apart",
	  ON_ATTACHED(TRANSFER(TO, BOX(0, 0, 0, STAGE_SIDE, STAGE_SIDE, 1),
			       .stride = UINT32_MAX)),
	  ANY },
	{ "blob_3d/transfer_level", "a transfer to a blob's level 31",
	  ON_ATTACHED(TRANSFER(TO, BOX(0, 0, 0, 1, 1, 1), .level = 31)), ANY },
	{ "blob_3d/transfer_of_no_context", "a transfer to a blob outside of contexts",
	  ON_ATTACHED(COMMAND(virtio_gpu_transfer_host_3d, TRANSFER_TO_HOST_3D,
			      BOX(0, 0, 0, 16, 16, 1), .resource_id = BLOB)),
	  ANY },
	{ "blob_3d/as_texture", "drawn to, copied from and to, and read as vertices",
	  .run = run_as_texture, ANY },
	{ "blob_3d/unref_attached", "a blob given up while contexts have it",
	  .run = run_unref_attached, ANY },
	{ "blob_3d/unplug_attached", "memory of a blob unplugged while a context has it",
	  .run = run_unplug_attached, .outcome = "an error while it is away" },
	{ "blob_3d/hoard", "3000 names of memory that a context might have", .run = run_hoard, ANY,
	  .has_plain_heap = true },
};

const struct attack_list attacks_blob_3d = { attacks, G_N_ELEMENTS(attacks) };
