/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * Contexts, 3D resources and transfers. The streams themselves are attacks_stream.c's. After each
 * the stage's bystander, STAGE_CONTEXT, and a fresh context draw.
 */
#include <stddef.h>
#include <string.h>

#include "attacks.h"
#include "proctree.h"
#include "virgl_stream.h"

#define CONTEXT(struct_type, command, id, ...)                                                     \
	COMMAND(struct_type, command, .hdr.ctx_id = (id), ##__VA_ARGS__)
/* Resource 50. */
#define CREATE(...)                                                                                \
	.request =                                                                                 \
		&(const struct virtio_gpu_resource_create_3d){                                     \
			.hdr.type = VIRTIO_GPU_CMD_RESOURCE_CREATE_3D,                             \
			.resource_id = 50,                                                         \
			__VA_ARGS__                                                                \
		},                                                                                 \
	.request_size = sizeof(struct virtio_gpu_resource_create_3d)
#define TEXTURE(the_width, the_height)                                                             \
	.target = 2, .format = 1, .bind = VIRGL_BIND_RENDER_TARGET, .width = (the_width),          \
	.height = (the_height)
#define TRANSFER(direction, id, ...)                                                               \
	COMMAND(virtio_gpu_transfer_host_3d, TRANSFER_##direction##_HOST_3D,                       \
		.hdr.ctx_id = STAGE_CONTEXT, .resource_id = (id), ##__VA_ARGS__)
#define BOX(...) .box = { __VA_ARGS__ }
#define ALL BOX(0, 0, 0, STAGE_SIDE, STAGE_SIDE, 1)
#define SUBMIT(id, the_size, ...)                                                                  \
	CONTEXT(virtio_gpu_cmd_submit, SUBMIT_3D, id, .size = (the_size)),                         \
		.payload = (const uint32_t[]){ __VA_ARGS__ },                                      \
		.payload_size = sizeof((const uint32_t[]){ __VA_ARGS__ })
#define NOP 0
/* A quarter of what that many contexts take. */
#define HOARD_LEAK_BYTES (UINT64_C(150) << 20)

static void run_after_destroy(struct attacker *attacker)
{
	attack_expect_ok(attacker, vgpu_ctx_destroy(attacker->rig->vgpu, STAGE_CONTEXT));
	attack_send(attacker);
}

static void run_after_unref(struct attacker *attacker)
{
	attack_expect_ok(attacker, vgpu_resource_unref(attacker->rig->vgpu, STAGE_TEXTURE));
	attack_send(attacker);
}

static void run_after_detach(struct attacker *attacker)
{
	attack_expect_ok(attacker,
			 vgpu_resource_detach_backing(attacker->rig->vgpu, STAGE_TEXTURE));
	attack_send(attacker);
}

static uint64_t rss_bytes(const struct attacker *attacker)
{
	return proctree_memory(attacker->rig->daemon->pid).rss_bytes;
}

/* As many as it gives, and then none. */
static void hoard_contexts(struct attacker *attacker)
{
	struct vgpu *vgpu = attacker->rig->vgpu;
	uint32_t n = 0, type = VIRTIO_GPU_RESP_OK_NODATA;

	while (n < 1100 && type == VIRTIO_GPU_RESP_OK_NODATA) {
		type = vgpu_ctx_create(vgpu, 1000 + n, 0, "hoard");
		n += type == VIRTIO_GPU_RESP_OK_NODATA;
	}
	attack_expect_type(attacker, type, VIRTIO_GPU_RESP_ERR_OUT_OF_MEMORY);
	for (uint32_t i = 0; i < n; i++) {
		attack_expect_ok(attacker, vgpu_ctx_destroy(vgpu, 1000 + i));
	}
}

/* The second time there is memory that was used before. */
static void run_context_hoard(struct attacker *attacker)
{
	hoard_contexts(attacker);
	uint64_t before_bytes = rss_bytes(attacker);
	hoard_contexts(attacker);
	if (rss_bytes(attacker) > before_bytes + HOARD_LEAK_BYTES) {
		attacker->has_leaked = true;
		attack_surprise(attacker, "destroyed contexts leave their memory behind");
	}
}

/* 64 MiB each. */
static void run_texture_hoard(struct attacker *attacker)
{
	struct vgpu *vgpu = attacker->rig->vgpu;
	uint32_t n = 0, type = VIRTIO_GPU_RESP_OK_NODATA;

	while (n < 128 && type == VIRTIO_GPU_RESP_OK_NODATA) {
		type = vgpu_resource_create_3d(vgpu, 1000 + n, VIRGL_FORMAT_B8G8R8A8,
					       VIRGL_BIND_RENDER_TARGET, 4096, 4096, 0);
		n += type == VIRTIO_GPU_RESP_OK_NODATA;
	}
	attack_expect_type(attacker, type, VIRTIO_GPU_RESP_ERR_OUT_OF_MEMORY);
	for (uint32_t i = 0; i < n; i++) {
		attack_expect_ok(attacker, vgpu_resource_unref(vgpu, 1000 + i));
	}
}

/* Attached twice, detached thrice, to contexts that come and go. */
static void run_attach_storm(struct attacker *attacker)
{
	struct vgpu *vgpu = attacker->rig->vgpu;

	for (uint32_t i = 0; i < 50; i++) {
		uint32_t ctx = 100 + i % 3;
		attack_expect_ok(attacker, vgpu_ctx_create(vgpu, ctx, 0, "storm"));
		attack_expect_ok(attacker, vgpu_ctx_attach_resource(vgpu, ctx, STAGE_TEXTURE));
		attack_expect_ok(attacker, vgpu_ctx_attach_resource(vgpu, ctx, STAGE_TEXTURE));
		attack_expect_ok(attacker, vgpu_ctx_attach_resource(vgpu, ctx, STAGE_SHOWN));
		for (unsigned int j = 0; j < i % 4; j++) {
			attack_expect_ok(attacker,
					 vgpu_ctx_detach_resource(vgpu, ctx, STAGE_TEXTURE));
		}
		attack_expect_ok(attacker, vgpu_ctx_destroy(vgpu, ctx));
	}
}

/* The framebuffer's resource goes while it is drawn to. */
static void run_draw_on_unreferenced(struct attacker *attacker)
{
	struct vgpu *vgpu = attacker->rig->vgpu;
	struct virgl_stream stream = { 0 };

	virgl_stream_create_surface(&stream, 1, STAGE_TEXTURE, VIRGL_FORMAT_B8G8R8A8);
	virgl_stream_set_framebuffer(&stream, 1);
	attack_expect_ok(attacker, vgpu_submit_3d(vgpu, STAGE_VICTIM, stream.words,
						  virgl_stream_size_bytes(&stream)));
	attack_expect_ok(attacker, vgpu_resource_unref(vgpu, STAGE_TEXTURE));
	stream.n_words = 0;
	virgl_stream_clear(&stream, 0.0f, 1.0f, 0.0f, 1.0f);
	for (unsigned int i = 0; i < 20; i++) {
		attack_expect_type(attacker,
				   vgpu_submit_3d(vgpu, STAGE_VICTIM, stream.words,
						  virgl_stream_size_bytes(&stream)),
				   ATTACK_AN_ANSWER);
	}
}

/* Fences on rings and contexts that there are not, out of order, twice the same. */
static void run_fence_games(struct attacker *attacker)
{
	static const uint64_t ids[] = { UINT64_MAX, 1, 1, UINT64_C(1) << 32, 0, UINT32_MAX };
	struct vgpu *vgpu = attacker->rig->vgpu;
	const uint32_t nop[] = { NOP };

	for (uint32_t i = 0; i < 60; i++) {
		vgpu->next_hdr = (struct virtio_gpu_ctrl_hdr){
			.flags = VIRTIO_GPU_FLAG_FENCE |
				 (i % 2 ? VIRTIO_GPU_FLAG_INFO_RING_IDX : 0u),
			.fence_id = ids[i % G_N_ELEMENTS(ids)],
			.ring_idx = (uint8_t)(i * 51),
		};
		attack_expect_type(
			attacker,
			vgpu_submit_3d(vgpu, i % 3 ? STAGE_VICTIM : STAGE_NOBODY, nop, sizeof(nop)),
			ATTACK_AN_ANSWER);
		attack_expect(attacker, vgpu->last_hdr.fence_id == ids[i % G_N_ELEMENTS(ids)],
			      "another fence comes back");
	}
}

/* A context that is destroyed with fences in flight: each of them is answered. */
static void run_destroy_with_fences(struct attacker *attacker)
{
	struct vgpu *vgpu = attacker->rig->vgpu;
	struct virgl_stream stream = { 0 };
	struct virtio_gpu_cmd_submit submit = {
		.hdr = { .type = VIRTIO_GPU_CMD_SUBMIT_3D,
			 .flags = VIRTIO_GPU_FLAG_FENCE,
			 .ctx_id = STAGE_VICTIM },
	};
	const struct virtio_gpu_ctx_destroy destroy = { .hdr.type = VIRTIO_GPU_CMD_CTX_DESTROY,
							.hdr.ctx_id = STAGE_VICTIM };
	struct vgpu_chain chain = { .request = &submit,
				    .request_size = sizeof(submit),
				    .payload = stream.words,
				    .response_size = HEADER_BYTES };
	struct vgpu_call *calls[40];

	virgl_stream_create_surface(&stream, 1, STAGE_TEXTURE, VIRGL_FORMAT_B8G8R8A8);
	virgl_stream_set_framebuffer(&stream, 1);
	virgl_stream_clear(&stream, 1.0f, 0.0f, 1.0f, 1.0f);
	submit.size = chain.payload_size = virgl_stream_size_bytes(&stream);
	for (unsigned int i = 0; i < G_N_ELEMENTS(calls); i++) {
		submit.hdr.fence_id = i + 1;
		if (i == 20) {
			chain = (struct vgpu_chain){ .request = &destroy,
						     .request_size = sizeof(destroy),
						     .response_size = HEADER_BYTES };
		}
		calls[i] = vgpu_submit(vgpu, VGPU_CONTROL, &chain);
	}
	vgpu_kick(vgpu, VGPU_CONTROL);
	for (unsigned int i = 0; i < G_N_ELEMENTS(calls); i++) {
		if (!vgpu_wait(vgpu, calls[i], VGPU_ANSWER_MS)) {
			g_error("command %u is not answered", i);
		}
		attack_expect_type(attacker, vgpu_finish(vgpu, calls[i]), ATTACK_AN_ANSWER);
	}
}

#define BAD_CONTEXT ANSWERED(ERR_INVALID_CONTEXT_ID)
#define BAD_ID ANSWERED(ERR_INVALID_RESOURCE_ID)
#define BAD_PARAMETER ANSWERED(ERR_INVALID_PARAMETER)
#define TOO_LARGE ANSWERED(ERR_OUT_OF_MEMORY)
#define REFUSED .responses = { ATTACK_AN_ERROR }
#define ANY .responses = { ATTACK_AN_ANSWER }
#define AFTER_DESTROY(...) .run = run_after_destroy, .chain = { __VA_ARGS__ }
#define AFTER_UNREF(...) .run = run_after_unref, .chain = { __VA_ARGS__ }
#define AFTER_DETACH(...) .run = run_after_detach, .chain = { __VA_ARGS__ }
#define RACES(the_struct, field, to)                                                               \
	.run = attack_race, .outcome = "each round answered", .data = &(const struct attack_race)  \
	{                                                                                          \
		.place = RACE_COMMAND, .offset = offsetof(struct the_struct, field),               \
		.bytes = sizeof(((struct the_struct *)NULL)->field), .bad = (to),                  \
	}

static const struct attack attacks[] = {
	{ "context/id_0", "a context with id 0",
	  SENDS(CONTEXT(virtio_gpu_ctx_create, CTX_CREATE, 0)), BAD_CONTEXT },
	{ "context/twice", "a context with an id in use",
	  SENDS(CONTEXT(virtio_gpu_ctx_create, CTX_CREATE, STAGE_CONTEXT)), BAD_CONTEXT },
	{ "context/name_length_max", "a name of 4 GiB",
	  SENDS(CONTEXT(virtio_gpu_ctx_create, CTX_CREATE, 50, .nlen = UINT32_MAX)),
	  BAD_PARAMETER },
	{ "context/name_unended", "a name of 64 bytes and no end, that is no text",
	  SENDS(CONTEXT(virtio_gpu_ctx_create, CTX_CREATE, 50, .nlen = 64,
			.debug_name = { [0 ... 63] = '\xff' })),
	  ANSWERED(OK_NODATA) },
	{ "context/name_format", "a name that is a format",
	  SENDS(CONTEXT(virtio_gpu_ctx_create, CTX_CREATE, 50, .nlen = 16,
			.debug_name = "%n%s%n%s%n%s%n%s")),
	  ANSWERED(OK_NODATA) },
	{ "context/init_max", "context_init 0xffffffff",
	  SENDS(CONTEXT(virtio_gpu_ctx_create, CTX_CREATE, 50, .context_init = UINT32_MAX)), ANY },
	{ "context/hoard", "as many contexts as it gives, twice", .run = run_context_hoard,
	  .has_plain_heap = true, .outcome = "ERR_OUT_OF_MEMORY before 1100" },
	{ "context/destroy_0", "CTX_DESTROY of 0",
	  SENDS(CONTEXT(virtio_gpu_ctx_destroy, CTX_DESTROY, 0)), BAD_CONTEXT },
	{ "context/destroy_unknown", "CTX_DESTROY of no context",
	  SENDS(CONTEXT(virtio_gpu_ctx_destroy, CTX_DESTROY, STAGE_NOBODY)), BAD_CONTEXT },
	{ "context/destroy_twice", "CTX_DESTROY twice",
	  AFTER_DESTROY(CONTEXT(virtio_gpu_ctx_destroy, CTX_DESTROY, STAGE_CONTEXT)), BAD_CONTEXT },
	{ "context/destroy_then_submit", "SUBMIT_3D to a destroyed context",
	  AFTER_DESTROY(SUBMIT(STAGE_CONTEXT, 4, NOP)), BAD_CONTEXT },
	{ "context/destroy_then_attach", "CTX_ATTACH_RESOURCE to a destroyed context",
	  AFTER_DESTROY(CONTEXT(virtio_gpu_ctx_resource, CTX_ATTACH_RESOURCE, STAGE_CONTEXT,
				.resource_id = STAGE_TEXTURE)),
	  BAD_CONTEXT },
	{ "context/destroy_then_detach", "CTX_DETACH_RESOURCE from a destroyed context",
	  AFTER_DESTROY(CONTEXT(virtio_gpu_ctx_resource, CTX_DETACH_RESOURCE, STAGE_CONTEXT,
				.resource_id = STAGE_TEXTURE)),
	  BAD_CONTEXT },
	{ "context/destroy_then_transfer", "a transfer by a destroyed context",
	  AFTER_DESTROY(TRANSFER(TO, STAGE_TEXTURE, ALL)), BAD_CONTEXT },
	{ "context/attach_unknown", "CTX_ATTACH_RESOURCE of no resource",
	  SENDS(CONTEXT(virtio_gpu_ctx_resource, CTX_ATTACH_RESOURCE, STAGE_CONTEXT,
			.resource_id = STAGE_NOBODY)),
	  BAD_ID },
	{ "context/attach_to_unknown", "CTX_ATTACH_RESOURCE to no context",
	  SENDS(CONTEXT(virtio_gpu_ctx_resource, CTX_ATTACH_RESOURCE, STAGE_NOBODY,
			.resource_id = STAGE_TEXTURE)),
	  BAD_CONTEXT },
	{ "context/detach_unattached", "CTX_DETACH_RESOURCE of what is not attached",
	  SENDS(CONTEXT(virtio_gpu_ctx_resource, CTX_DETACH_RESOURCE, STAGE_STRANGER,
			.resource_id = STAGE_TEXTURE)),
	  ANY },
	{ "context/attach_storm", "attached twice, detached thrice, destroyed, 50 times",
	  .run = run_attach_storm, .outcome = "OK_NODATA" },
	{ "context/draw_on_unreferenced", "drawing on a resource after its unref",
	  .run = run_draw_on_unreferenced, ANY },
	{ "context/fence_games", "fences backwards, twice, on rings and contexts of nobody",
	  .run = run_fence_games, .outcome = "each answered, with its fence" },
	{ "context/destroy_with_fences", "CTX_DESTROY with 20 fences in flight and 19 behind",
	  .run = run_destroy_with_fences, .outcome = "each answered" },

	{ "capset/index_max", "GET_CAPSET_INFO of index 0xffffffff",
	  SENDS(COMMAND(virtio_gpu_get_capset_info, GET_CAPSET_INFO, .capset_index = UINT32_MAX),
		.response_size = sizeof(struct virtio_gpu_resp_capset_info)),
	  REFUSED },
	{ "capset/id_0", "GET_CAPSET of id 0",
	  SENDS(COMMAND(virtio_gpu_get_capset, GET_CAPSET), .response_size = 4096), REFUSED },
	{ "capset/id_max", "GET_CAPSET of id 0xffffffff",
	  SENDS(COMMAND(virtio_gpu_get_capset, GET_CAPSET, .capset_id = UINT32_MAX),
		.response_size = 4096),
	  REFUSED },
	{ "capset/version_max", "GET_CAPSET of version 0xffffffff",
	  SENDS(COMMAND(virtio_gpu_get_capset, GET_CAPSET, .capset_id = 1,
			.capset_version = UINT32_MAX),
		.response_size = 4096),
	  REFUSED },
	{ "capset/no_room", "GET_CAPSET with room for a header",
	  SENDS(COMMAND(virtio_gpu_get_capset, GET_CAPSET, .capset_id = 1, .capset_version = 1)),
	  ANY },

	{ "texture/id_0", "a 3D resource with id 0",
	  SENDS(COMMAND(virtio_gpu_resource_create_3d, RESOURCE_CREATE_3D, TEXTURE(64, 64),
			.depth = 1, .array_size = 1)),
	  BAD_ID },
	{ "texture/twice", "a 3D resource with an id in use",
	  SENDS(COMMAND(virtio_gpu_resource_create_3d, RESOURCE_CREATE_3D,
			.resource_id = STAGE_TEXTURE, TEXTURE(64, 64), .depth = 1,
			.array_size = 1)),
	  BAD_ID },
	{ "texture/twice_over_2d", "a 3D resource with the id of a 2D one",
	  SENDS(COMMAND(virtio_gpu_resource_create_3d, RESOURCE_CREATE_3D,
			.resource_id = STAGE_SHOWN, TEXTURE(64, 64), .depth = 1, .array_size = 1)),
	  BAD_ID },
	{ "texture/target_9", "target 9, one more than there are",
	  SENDS(CREATE(.target = 9, .format = 1, .width = 64, .height = 64, .depth = 1)), REFUSED },
	{ "texture/target_max", "target 0xffffffff",
	  SENDS(CREATE(.target = UINT32_MAX, .format = 1, .width = 64, .height = 64, .depth = 1)),
	  REFUSED },
	{ "texture/format_0", "format 0",
	  SENDS(CREATE(.target = 2, .format = 0, .bind = 2, .width = 64, .height = 64, .depth = 1)),
	  REFUSED },
	{ "texture/format_1000", "format 1000",
	  SENDS(CREATE(.target = 2, .format = 1000, .bind = 2, .width = 64, .height = 64,
		       .depth = 1)),
	  REFUSED },
	{ "texture/format_max", "format 0xffffffff",
	  SENDS(CREATE(.target = 2, .format = UINT32_MAX, .bind = 2, .width = 64, .height = 64,
		       .depth = 1)),
	  REFUSED },
	{ "texture/bind_max", "all ways of use at once",
	  SENDS(CREATE(.target = 2, .format = 1, .bind = UINT32_MAX, .width = 64, .height = 64,
		       .depth = 1, .array_size = 1)),
	  ANY },
	{ "texture/flags_max", "flags 0xffffffff",
	  SENDS(CREATE(TEXTURE(64, 64), .depth = 1, .array_size = 1, .flags = UINT32_MAX)), ANY },
	{ "texture/no_width", "width 0", SENDS(CREATE(TEXTURE(0, 64), .depth = 1)), REFUSED },
	{ "texture/no_height", "height 0", SENDS(CREATE(TEXTURE(64, 0), .depth = 1)), REFUSED },
	{ "texture/width_max", "width 0xffffffff",
	  SENDS(CREATE(TEXTURE(UINT32_MAX, 1), .depth = 1, .array_size = 1)), REFUSED },
	{ "texture/product_wraps", "65536x65536, whose size is 0 in 32 bits",
	  SENDS(CREATE(TEXTURE(65536, 65536), .depth = 1, .array_size = 1)), REFUSED },
	{ "texture/all_max", "0xffffffff throughout",
	  SENDS(CREATE(.target = 3, .format = 1, .bind = 8, .width = UINT32_MAX,
		       .height = UINT32_MAX, .depth = UINT32_MAX, .array_size = UINT32_MAX,
		       .last_level = UINT32_MAX, .nr_samples = UINT32_MAX, .flags = UINT32_MAX)),
	  REFUSED },
	{ "texture/volume_huge", "2048x2048x2048",
	  SENDS(CREATE(.target = 3, .format = 1, .bind = 8, .width = 2048, .height = 2048,
		       .depth = 2048, .array_size = 1)),
	  REFUSED },
	{ "texture/array_max", "an array of 0xffffffff",
	  SENDS(CREATE(.target = 7, .format = 1, .bind = 8, .width = 64, .height = 64, .depth = 1,
		       .array_size = UINT32_MAX)),
	  REFUSED },
	{ "texture/cube_of_5", "a cube of five sides",
	  SENDS(CREATE(.target = 4, .format = 1, .bind = 8, .width = 64, .height = 64, .depth = 1,
		       .array_size = 5)),
	  REFUSED },
	{ "texture/cube_oblong", "a cube whose sides are no squares",
	  SENDS(CREATE(.target = 4, .format = 1, .bind = 8, .width = 64, .height = 32, .depth = 1,
		       .array_size = 6)),
	  REFUSED },
	{ "texture/line_with_height", "a line that is 64 high",
	  SENDS(CREATE(.target = 1, .format = 1, .bind = 8, .width = 64, .height = 64, .depth = 1,
		       .array_size = 1)),
	  REFUSED },
	{ "texture/level_31", "32 levels of 64x64",
	  SENDS(CREATE(TEXTURE(64, 64), .depth = 1, .array_size = 1, .last_level = 31)), REFUSED },
	{ "texture/level_max", "last level 0xffffffff",
	  SENDS(CREATE(TEXTURE(64, 64), .depth = 1, .array_size = 1, .last_level = UINT32_MAX)),
	  REFUSED },
	{ "texture/samples_max", "0xffffffff samples",
	  SENDS(CREATE(TEXTURE(64, 64), .depth = 1, .array_size = 1, .nr_samples = UINT32_MAX)),
	  REFUSED },
	{ "texture/samples_and_levels", "samples and levels at once",
	  SENDS(CREATE(TEXTURE(64, 64), .depth = 1, .array_size = 1, .nr_samples = 4,
		       .last_level = 3)),
	  REFUSED },
	{ "texture/buffer_max", "a buffer of 4 GiB less a byte",
	  SENDS(CREATE(.target = 0, .format = 64, .bind = 1u << 4, .width = UINT32_MAX, .height = 1,
		       .depth = 1, .array_size = 1)),
	  REFUSED },
	{ "texture/buffer_high", "a buffer that is 64 high",
	  SENDS(CREATE(.target = 0, .format = 64, .bind = 1u << 4, .width = 64, .height = 64,
		       .depth = 1, .array_size = 1)),
	  REFUSED },
	{ "texture/hoard", "textures of 64 MiB until 8 GiB", .run = run_texture_hoard,
	  .has_plain_heap = true, .outcome = "ERR_OUT_OF_MEMORY before 8 GiB" },

	{ "transfer_3d/unknown", "a transfer to no resource",
	  SENDS(TRANSFER(TO, STAGE_NOBODY, ALL)), BAD_ID },
	{ "transfer_3d/unreferenced", "a transfer after the unref",
	  AFTER_UNREF(TRANSFER(TO, STAGE_TEXTURE, ALL)), BAD_ID },
	{ "transfer_3d/unbacked", "a transfer after the backing has gone",
	  AFTER_DETACH(TRANSFER(TO, STAGE_TEXTURE, ALL)), BAD_ID },
	{ "transfer_3d/back_unbacked", "a transfer back after the backing has gone",
	  AFTER_DETACH(TRANSFER(FROM, STAGE_TEXTURE, ALL)), BAD_ID },
	{ "transfer_3d/of_stranger", "a transfer by a context that does not have the resource",
	  SENDS(COMMAND(virtio_gpu_transfer_host_3d, TRANSFER_FROM_HOST_3D,
			.hdr.ctx_id = STAGE_STRANGER, .resource_id = STAGE_TEXTURE, ALL)),
	  REFUSED },
	{ "transfer_3d/too_wide", "a box a pixel too wide",
	  SENDS(TRANSFER(TO, STAGE_TEXTURE, BOX(0, 0, 0, 65, 64, 1))), BAD_PARAMETER },
	{ "transfer_3d/back_too_wide", "a box a pixel too wide, back",
	  SENDS(TRANSFER(FROM, STAGE_TEXTURE, BOX(0, 0, 0, 65, 64, 1))), BAD_PARAMETER },
	{ "transfer_3d/x_wraps", "x + width is 1 in 32 bits",
	  SENDS(TRANSFER(TO, STAGE_TEXTURE, BOX(UINT32_MAX, 0, 0, 2, 2, 1))), BAD_PARAMETER },
	{ "transfer_3d/back_y_wraps", "y + height is 1 in 32 bits, back",
	  SENDS(TRANSFER(FROM, STAGE_TEXTURE, BOX(0, UINT32_MAX, 0, 2, 2, 1))), BAD_PARAMETER },
	{ "transfer_3d/z_wraps", "z + depth is 1 in 32 bits",
	  SENDS(TRANSFER(TO, STAGE_TEXTURE, BOX(0, 0, UINT32_MAX, 2, 2, 2))), BAD_PARAMETER },
	{ "transfer_3d/second_layer", "a layer that there is not",
	  SENDS(TRANSFER(FROM, STAGE_TEXTURE, BOX(0, 0, 1, 64, 64, 1))), BAD_PARAMETER },
	{ "transfer_3d/all_max", "a box of 0xffffffff throughout",
	  SENDS(TRANSFER(
		  TO, STAGE_TEXTURE,
		  BOX(UINT32_MAX, UINT32_MAX, UINT32_MAX, UINT32_MAX, UINT32_MAX, UINT32_MAX))),
	  BAD_PARAMETER },
	{ "transfer_3d/empty", "a box of nothing",
	  SENDS(TRANSFER(TO, STAGE_TEXTURE, BOX(0, 0, 0, 0, 0, 0))), ANY },
	{ "transfer_3d/back_empty", "a box of nothing, back",
	  SENDS(TRANSFER(FROM, STAGE_TEXTURE, BOX(64, 64, 1, 0, 0, 0))), ANY },
	{ "transfer_3d/level_1", "a level that there is not",
	  SENDS(TRANSFER(TO, STAGE_TEXTURE, BOX(0, 0, 0, 1, 1, 1), .level = 1)), BAD_PARAMETER },
	{ "transfer_3d/back_level_max", "level 0xffffffff, back",
	  SENDS(TRANSFER(FROM, STAGE_TEXTURE, BOX(0, 0, 0, 1, 1, 1), .level = UINT32_MAX)),
	  BAD_PARAMETER },
	{ "transfer_3d/stride_1", "a stride of a byte",
	  SENDS(TRANSFER(TO, STAGE_TEXTURE, ALL, .stride = 1)), ANY },
	{ "transfer_3d/back_stride_1", "a stride of a byte, back",
	  SENDS(TRANSFER(FROM, STAGE_TEXTURE, ALL, .stride = 1)), ANY },
	{ "transfer_3d/stride_max", "a stride of 4 GiB",
	  SENDS(TRANSFER(TO, STAGE_TEXTURE, ALL, .stride = UINT32_MAX)), REFUSED },
	{ "transfer_3d/back_stride_wraps", "a stride that is 0 in 32 bits when multiplied, back",
	  SENDS(TRANSFER(FROM, STAGE_TEXTURE, ALL, .stride = 0x04000000)), REFUSED },
	{ "transfer_3d/layer_stride_max", "a layer stride of 4 GiB",
	  SENDS(TRANSFER(TO, STAGE_TEXTURE, ALL, .layer_stride = UINT32_MAX)), ANY },
	{ "transfer_3d/back_layer_stride_max", "a layer stride of 4 GiB, back",
	  SENDS(TRANSFER(FROM, STAGE_TEXTURE, ALL, .layer_stride = UINT32_MAX)), ANY },
	{ "transfer_3d/offset_at_end", "an offset where the backing ends",
	  SENDS(TRANSFER(TO, STAGE_TEXTURE, ALL, .offset = STAGE_BYTES)), REFUSED },
	{ "transfer_3d/back_offset_by_one", "an offset a byte too high, back",
	  SENDS(TRANSFER(FROM, STAGE_TEXTURE, ALL, .offset = 1)), REFUSED },
	{ "transfer_3d/offset_4_gib", "an offset of 4 GiB, 0 in 32 bits",
	  SENDS(TRANSFER(TO, STAGE_TEXTURE, ALL, .offset = UINT64_C(1) << 32)), REFUSED },
	{ "transfer_3d/back_offset_wraps", "an offset of 2^64 - 4, back",
	  SENDS(TRANSFER(FROM, STAGE_TEXTURE, ALL, .offset = UINT64_MAX - 3)), REFUSED },

	{ "submit/to_0", "SUBMIT_3D to context 0", SENDS(SUBMIT(0, 4, NOP)), BAD_CONTEXT },
	{ "submit/to_unknown", "SUBMIT_3D to no context", SENDS(SUBMIT(STAGE_NOBODY, 4, NOP)),
	  BAD_CONTEXT },
	{ "submit/no_bytes", "a stream of no bytes", SENDS(SUBMIT(STAGE_VICTIM, 0, NOP)),
	  ANSWERED(OK_NODATA) },
	{ "submit/three_bytes", "a stream of three bytes", SENDS(SUBMIT(STAGE_VICTIM, 3, NOP)),
	  BAD_PARAMETER },
	{ "submit/more_than_sent", "a stream a word longer than what is sent",
	  SENDS(SUBMIT(STAGE_VICTIM, 8, NOP)), BAD_PARAMETER },
	{ "submit/size_max", "a stream of 4 GiB less a byte",
	  SENDS(SUBMIT(STAGE_VICTIM, UINT32_MAX, NOP)), BAD_PARAMETER },
	{ "submit/size_wraps", "a stream that with its header is 28 bytes in 32 bits",
	  SENDS(SUBMIT(STAGE_VICTIM, UINT32_MAX - 3, NOP)), BAD_PARAMETER },
	{ "submit/in_fences_max", "4 billion fences to wait for, in what is padding here",
	  SENDS(CONTEXT(virtio_gpu_cmd_submit, SUBMIT_3D, STAGE_VICTIM, .size = 4,
			.padding = UINT32_MAX),
		.payload = (const uint32_t[]){ NOP }, .payload_size = 4),
	  ANSWERED(OK_NODATA) },
	{ "submit/cut_off", "a command that is longer than the stream",
	  SENDS(SUBMIT(STAGE_VICTIM, 8, 7u | 8u << 16, 4)), BAD_PARAMETER },

	{ "race_3d/submit_size", "a stream's size, to 4 GiB, while it is read",
	  .chain = { SUBMIT(STAGE_VICTIM, 16, NOP, NOP, NOP, NOP) },
	  RACES(virtio_gpu_cmd_submit, size, UINT32_MAX - 3) },
	{ "race_3d/submit_context", "a stream's context, to one that there is not",
	  .chain = { SUBMIT(STAGE_VICTIM, 16, NOP, NOP, NOP, NOP) },
	  RACES(virtio_gpu_cmd_submit, hdr.ctx_id, STAGE_NOBODY) },
	{ "race_3d/transfer_width", "a transfer's width, to 4 GiB, while it is read",
	  .chain = { TRANSFER(TO, STAGE_TEXTURE, ALL) },
	  RACES(virtio_gpu_transfer_host_3d, box.w, UINT32_MAX) },
	{ "race_3d/transfer_stride", "a transfer's stride, to 4 GiB, while it is read",
	  .chain = { TRANSFER(FROM, STAGE_TEXTURE, ALL) },
	  RACES(virtio_gpu_transfer_host_3d, stride, UINT32_MAX) },
	{ "race_3d/transfer_offset", "a transfer's offset, to the end, while it is read",
	  .chain = { TRANSFER(FROM, STAGE_TEXTURE, ALL) },
	  RACES(virtio_gpu_transfer_host_3d, offset, UINT64_MAX - 4095) },
	{ "race_3d/stream_length", "a command's length in a stream, while it is read",
	  .chain = { SUBMIT(STAGE_VICTIM, 16, 2u << 16, 0, 0, NOP) }, .run = attack_race,
	  .outcome = "each round answered",
	  .data = &(const struct attack_race){ .place = RACE_PAYLOAD,
					       .bytes = 4,
					       .bad = 0xffffu << 16 } },
};

const struct attack_list attacks_3d = { attacks, G_N_ELEMENTS(attacks) };
