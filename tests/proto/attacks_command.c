/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * Commands that are too short, too long, unknown, on the wrong queue, of another kind of device;
 * and room for answers that does not fit them.
 */
#include <string.h>

#include "attacks.h"
#include "suite.h"

#define MIB (1u << 20)
#define N_LOGGED 5000u
#define MAX_LOG_BYTES (256u << 10)

/* The first @bytes of a command. */
#define CUT(struct_type, command, bytes, ...)                                                      \
	.request = &(const struct struct_type){ .hdr.type = VIRTIO_GPU_CMD_##command,              \
						##__VA_ARGS__ },                                   \
	.request_size = (bytes)
#define HEADER_OF(number)                                                                          \
	.request = &(const struct virtio_gpu_ctrl_hdr){ .type = (number) },                        \
	.request_size = HEADER_BYTES

static void run_no_room(struct attacker *attacker)
{
	struct vgpu *vgpu = attacker->rig->vgpu;
	struct vgpu_chain chain = attacker->attack->chain;

	chain.response_size = (uint32_t)attacker->attack->numbers[0];
	vgpu_call_chain(vgpu, VGPU_CONTROL, &chain);
	attack_expect(attacker, vgpu->last_used_size <= chain.response_size,
		      "more was written than there was room for");
}

/* Bytes behind the command that are none of its own. */
static void run_trailer(struct attacker *attacker)
{
	g_autofree uint8_t *trailer = g_malloc(MIB);
	struct vgpu_chain chain = attacker->attack->chain;

	memset(trailer, 0xa5, MIB);
	chain.payload = trailer;
	chain.payload_size = MIB;
	chain.response_size = HEADER_BYTES;
	attack_expect_response(attacker,
			       vgpu_call_chain(attacker->rig->vgpu, VGPU_CONTROL, &chain));
}

/* What a guest puts into the header comes back only where it may. */
static void run_wild_header(struct attacker *attacker)
{
	struct virtio_gpu_resource_unref cmd = {
		.hdr = {
			.type = VIRTIO_GPU_CMD_RESOURCE_UNREF,
			.flags = UINT32_MAX,
			.fence_id = UINT64_MAX,
			.ctx_id = UINT32_MAX,
			.ring_idx = UINT8_MAX,
			.padding = { 0xff, 0xff, 0xff },
		},
		.resource_id = STAGE_NOBODY,
	};
	struct vgpu *vgpu = attacker->rig->vgpu;

	attack_expect_response(attacker, vgpu_call(vgpu, &cmd, sizeof(cmd), HEADER_BYTES));
	attack_expect(attacker, vgpu->last_hdr.fence_id == UINT64_MAX, "the fence is not echoed");
	attack_expect(attacker,
		      (vgpu->last_hdr.flags &
		       ~(uint32_t)(VIRTIO_GPU_FLAG_FENCE | VIRTIO_GPU_FLAG_INFO_RING_IDX)) == 0,
		      "flags come back that mean nothing");
}

/* @n commands at once, by turns the two of the row's data; all come back. */
static void run_at_once(struct attacker *attacker)
{
	struct vgpu *vgpu = attacker->rig->vgpu;
	struct virtio_gpu_cmd_get_edid edid = { .hdr.type = VIRTIO_GPU_CMD_GET_EDID };
	struct virtio_gpu_ctrl_hdr info = { .type = VIRTIO_GPU_CMD_GET_DISPLAY_INFO };
	struct vgpu_call *calls[100];

	for (unsigned int i = 0; i < G_N_ELEMENTS(calls); i++) {
		edid.hdr.flags = info.flags = i % 3 == 0 ? VIRTIO_GPU_FLAG_FENCE : 0;
		edid.hdr.fence_id = info.fence_id = 1000 - i;
		struct vgpu_chain chain = {
			.request = i % 2 ? (void *)&edid : (void *)&info,
			.request_size = i % 2 ? sizeof(edid) : sizeof(info),
			.response_size = sizeof(struct virtio_gpu_resp_edid),
		};
		calls[i] = vgpu_submit(vgpu, VGPU_CONTROL, &chain);
	}
	vgpu_kick(vgpu, VGPU_CONTROL);
	for (unsigned int i = 0; i < G_N_ELEMENTS(calls); i++) {
		if (!vgpu_wait(vgpu, calls[i], VGPU_ANSWER_MS)) {
			g_error("question %u is not answered", i);
		}
		attack_expect_type(attacker, vgpu_finish(vgpu, calls[i]),
				   i % 2 ? VIRTIO_GPU_RESP_OK_EDID
					 : VIRTIO_GPU_RESP_OK_DISPLAY_INFO);
	}
}

static void run_edid_of_each(struct attacker *attacker)
{
	struct virtio_gpu_resp_edid edid;

	for (uint32_t scanout = 0; scanout < VIRTIO_GPU_MAX_SCANOUTS; scanout++) {
		attack_expect_type(attacker, vgpu_get_edid(attacker->rig->vgpu, scanout, &edid),
				   VIRTIO_GPU_RESP_OK_EDID);
	}
}

/* What a guest gets wrong is not worth a disk full of complaints. */
static void run_log_flood(struct attacker *attacker)
{
	const struct virtio_gpu_ctrl_hdr cmd = { .type = 0xdead };

	for (unsigned int i = 0; i < N_LOGGED; i++) {
		attack_expect_type(attacker,
				   vgpu_call(attacker->rig->vgpu, &cmd, sizeof(cmd), HEADER_BYTES),
				   VIRTIO_GPU_RESP_ERR_UNSPEC);
	}
	g_autofree char *said = daemon_stderr(attacker->rig->daemon);
	attack_expect(attacker, strlen(said) < MAX_LOG_BYTES, "more than 256 KiB of complaints");
}

#define NO_3D ANSWERED(ERR_UNSPEC)
#define NO_BLOBS                                                                                   \
	ANSWERED(ERR_UNSPEC), .withheld_features = FEATURE(VIRTIO_F_GPU_RESOURCE_BLOB)

static const struct attack attacks[] = {
	{ "command/empty", "no command, only room for an answer",
	  SENDS(.response_size = HEADER_BYTES), ANSWERED(ERR_INVALID_PARAMETER) },
	{ "command/one_byte", "a command of one byte",
	  SENDS(CUT(virtio_gpu_resource_unref, RESOURCE_UNREF, 1)),
	  ANSWERED(ERR_INVALID_PARAMETER) },
	{ "command/header_short", "a header short by a byte",
	  SENDS(CUT(virtio_gpu_resource_unref, RESOURCE_UNREF, HEADER_BYTES - 1)),
	  ANSWERED(ERR_INVALID_PARAMETER) },
	{ "command/type_0", "type 0", SENDS(HEADER_OF(0)), ANSWERED(ERR_UNSPEC) },
	{ "command/type_max", "type 0xffffffff", SENDS(HEADER_OF(UINT32_MAX)),
	  ANSWERED(ERR_UNSPEC) },
	{ "command/type_of_answer", "an answer's type as a command's",
	  SENDS(HEADER_OF(VIRTIO_GPU_RESP_OK_NODATA)), ANSWERED(ERR_UNSPEC) },
	{ "command/type_beyond", "the number behind the last command's", SENDS(HEADER_OF(0x10f)),
	  ANSWERED(ERR_UNSPEC) },
	{ "command/cursor_on_control", "a cursor command on the control queue",
	  SENDS(COMMAND(virtio_gpu_update_cursor, UPDATE_CURSOR)), ANSWERED(ERR_UNSPEC) },
	{ "command/control_on_cursor", "a control command on the cursor queue",
	  SENDS(COMMAND(virtio_gpu_resource_unref, RESOURCE_UNREF, .resource_id = STAGE_SHOWN)),
	  ANSWERED(ERR_UNSPEC), .queue = VGPU_CURSOR },
	{ "command/create_short", "RESOURCE_CREATE_2D short by a byte",
	  SENDS(CUT(virtio_gpu_resource_create_2d, RESOURCE_CREATE_2D, 39, .resource_id = 50,
		    .format = 1, .width = 64, .height = 64)),
	  ANSWERED(ERR_INVALID_PARAMETER) },
	{ "command/unref_short", "RESOURCE_UNREF without a body",
	  SENDS(CUT(virtio_gpu_resource_unref, RESOURCE_UNREF, HEADER_BYTES)),
	  ANSWERED(ERR_INVALID_PARAMETER) },
	{ "command/scanout_short", "SET_SCANOUT short by a byte",
	  SENDS(CUT(virtio_gpu_set_scanout, SET_SCANOUT, 47, .r = { 0, 0, 64, 64 },
		    .resource_id = STAGE_SHOWN)),
	  ANSWERED(ERR_INVALID_PARAMETER) },
	{ "command/flush_short", "RESOURCE_FLUSH short by a byte",
	  SENDS(CUT(virtio_gpu_resource_flush, RESOURCE_FLUSH, 47, .r = { 0, 0, 64, 64 },
		    .resource_id = STAGE_SHOWN)),
	  ANSWERED(ERR_INVALID_PARAMETER) },
	{ "command/transfer_short", "TRANSFER_TO_HOST_2D short by a byte",
	  SENDS(CUT(virtio_gpu_transfer_to_host_2d, TRANSFER_TO_HOST_2D, 55, .r = { 0, 0, 64, 64 },
		    .resource_id = STAGE_SHOWN)),
	  ANSWERED(ERR_INVALID_PARAMETER) },
	{ "command/attach_short", "RESOURCE_ATTACH_BACKING short by a byte",
	  SENDS(CUT(virtio_gpu_resource_attach_backing, RESOURCE_ATTACH_BACKING, 31,
		    .resource_id = STAGE_BARE)),
	  ANSWERED(ERR_INVALID_PARAMETER) },
	{ "command/detach_short", "RESOURCE_DETACH_BACKING short by a byte",
	  SENDS(CUT(virtio_gpu_resource_detach_backing, RESOURCE_DETACH_BACKING, 31,
		    .resource_id = STAGE_SHOWN)),
	  ANSWERED(ERR_INVALID_PARAMETER) },
	{ "command/edid_short", "GET_EDID without a body",
	  SENDS(CUT(virtio_gpu_cmd_get_edid, GET_EDID, HEADER_BYTES)),
	  ANSWERED(ERR_INVALID_PARAMETER) },
	{ "command/cursor_short", "UPDATE_CURSOR short by a byte",
	  SENDS(CUT(virtio_gpu_update_cursor, UPDATE_CURSOR, 55, .resource_id = STAGE_CURSOR)),
	  ANSWERED(ERR_INVALID_PARAMETER), .queue = VGPU_CURSOR },
	{ "command/no_answer_wanted", "no room for an answer", .run = run_no_room,
	  .chain = { COMMAND(virtio_gpu_resource_flush, RESOURCE_FLUSH, .r = { 0, 0, 64, 64 },
			     .resource_id = STAGE_SHOWN) },
	  .outcome = "completed" },
	{ "command/answer_of_one_byte", "room for one byte of an answer of 1056",
	  .run = run_no_room, .numbers = { 1 },
	  .chain = { COMMAND(virtio_gpu_cmd_get_edid, GET_EDID) }, .outcome = "completed" },
	{ "command/answer_of_23_bytes", "room for a header less a byte", .run = run_no_room,
	  .numbers = { 23 }, .chain = { COMMAND(virtio_gpu_cmd_get_edid, GET_EDID) },
	  .outcome = "completed" },
	{ "command/answer_of_8_mib", "room for 8 MiB of an answer",
	  SENDS(COMMAND(virtio_gpu_cmd_get_edid, GET_EDID), .response_size = 8 * MIB),
	  ANSWERED(OK_EDID) },
	{ "command/by_bytes", "a command and its answer byte by byte, in an indirect table",
	  SENDS(COMMAND(virtio_gpu_resource_flush, RESOURCE_FLUSH, .r = { 0, 0, 64, 64 },
			.resource_id = STAGE_SHOWN),
		.request_split = 1, .response_split = 1, .is_indirect = true),
	  ANSWERED(OK_NODATA) },
	{ "command/trailer", "1 MiB of nonsense behind a command", .run = run_trailer,
	  .chain = { COMMAND(virtio_gpu_resource_flush, RESOURCE_FLUSH, .r = { 0, 0, 64, 64 },
			     .resource_id = STAGE_SHOWN) },
	  ANSWERED(OK_NODATA) },
	{ "command/wild_header", "all flags, the highest fence, context and ring",
	  .run = run_wild_header, ANSWERED(ERR_INVALID_RESOURCE_ID) },
	{ "command/questions_at_once", "100 questions at once, fences backwards",
	  .run = run_at_once, .outcome = "all answered" },
	{ "command/log_flood", "5000 unknown commands",
	  .outcome = "ERR_UNSPEC, and a log of less than 256 KiB", .run = run_log_flood },

	{ "command/edid_of_none", "GET_EDID of outputs that the display does not have",
	  .run = run_edid_of_each, ANSWERED(OK_EDID) },
	{ "command/edid_16", "GET_EDID of scanout 16",
	  SENDS(COMMAND(virtio_gpu_cmd_get_edid, GET_EDID, .scanout = 16)),
	  ANSWERED(ERR_INVALID_SCANOUT_ID) },
	{ "command/edid_max", "GET_EDID of scanout 0xffffffff",
	  SENDS(COMMAND(virtio_gpu_cmd_get_edid, GET_EDID, .scanout = UINT32_MAX)),
	  ANSWERED(ERR_INVALID_SCANOUT_ID) },
	{ "command/uuid_of_none", "RESOURCE_ASSIGN_UUID for no resource",
	  SENDS(COMMAND(virtio_gpu_resource_assign_uuid, RESOURCE_ASSIGN_UUID,
			.resource_id = STAGE_NOBODY)),
	  ANSWERED(ERR_INVALID_RESOURCE_ID) },

	{ "command/create_blob", "RESOURCE_CREATE_BLOB, whose feature was not acknowledged",
	  SENDS(COMMAND(virtio_gpu_resource_create_blob, RESOURCE_CREATE_BLOB, .resource_id = 50,
			.blob_mem = 1, .size = UINT64_MAX, .nr_entries = UINT32_MAX)),
	  NO_BLOBS },
	{ "command/scanout_blob", "SET_SCANOUT_BLOB, whose feature was not acknowledged",
	  SENDS(COMMAND(virtio_gpu_set_scanout_blob, SET_SCANOUT_BLOB, .r = { 0, 0, 64, 64 },
			.resource_id = STAGE_SHOWN, .width = 64, .height = 64)),
	  NO_BLOBS },
	{ "command/map_blob", "RESOURCE_MAP_BLOB, whose feature was not acknowledged",
	  SENDS(COMMAND(virtio_gpu_resource_map_blob, RESOURCE_MAP_BLOB, .resource_id = STAGE_SHOWN,
			.offset = UINT64_MAX)),
	  NO_BLOBS },
	{ "command/unmap_blob", "RESOURCE_UNMAP_BLOB, whose feature was not acknowledged",
	  SENDS(COMMAND(virtio_gpu_resource_unmap_blob, RESOURCE_UNMAP_BLOB,
			.resource_id = STAGE_SHOWN)),
	  NO_BLOBS },

	{ "command/capset_info_in_2d", "GET_CAPSET_INFO without 3D",
	  SENDS(COMMAND(virtio_gpu_get_capset_info, GET_CAPSET_INFO, .capset_index = UINT32_MAX)),
	  NO_3D },
	{ "command/capset_in_2d", "GET_CAPSET without 3D",
	  SENDS(COMMAND(virtio_gpu_get_capset, GET_CAPSET, .capset_id = 1)), NO_3D },
	{ "command/context_in_2d", "CTX_CREATE without 3D",
	  SENDS(COMMAND(virtio_gpu_ctx_create, CTX_CREATE, .hdr.ctx_id = 1, .nlen = UINT32_MAX)),
	  NO_3D },
	{ "command/destroy_context_in_2d", "CTX_DESTROY without 3D",
	  SENDS(COMMAND(virtio_gpu_ctx_destroy, CTX_DESTROY, .hdr.ctx_id = 1)), NO_3D },
	{ "command/attach_context_in_2d", "CTX_ATTACH_RESOURCE without 3D",
	  SENDS(COMMAND(virtio_gpu_ctx_resource, CTX_ATTACH_RESOURCE, .hdr.ctx_id = 1,
			.resource_id = STAGE_SHOWN)),
	  NO_3D },
	{ "command/detach_context_in_2d", "CTX_DETACH_RESOURCE without 3D",
	  SENDS(COMMAND(virtio_gpu_ctx_resource, CTX_DETACH_RESOURCE, .hdr.ctx_id = 1,
			.resource_id = STAGE_SHOWN)),
	  NO_3D },
	{ "command/create_3d_in_2d", "RESOURCE_CREATE_3D without 3D",
	  SENDS(COMMAND(virtio_gpu_resource_create_3d, RESOURCE_CREATE_3D, .resource_id = 50,
			.target = 2, .format = 1, .width = 64, .height = 64, .depth = 1)),
	  NO_3D },
	{ "command/transfer_3d_in_2d", "TRANSFER_TO_HOST_3D without 3D",
	  SENDS(COMMAND(virtio_gpu_transfer_host_3d, TRANSFER_TO_HOST_3D,
			.box = { 0, 0, 0, UINT32_MAX, UINT32_MAX, UINT32_MAX },
			.resource_id = STAGE_SHOWN)),
	  NO_3D },
	{ "command/transfer_back_in_2d", "TRANSFER_FROM_HOST_3D without 3D",
	  SENDS(COMMAND(virtio_gpu_transfer_host_3d, TRANSFER_FROM_HOST_3D,
			.box = { 0, 0, 0, UINT32_MAX, UINT32_MAX, UINT32_MAX },
			.resource_id = STAGE_SHOWN)),
	  NO_3D },
	{ "command/submit_in_2d", "SUBMIT_3D of 4 GiB without 3D",
	  SENDS(COMMAND(virtio_gpu_cmd_submit, SUBMIT_3D, .hdr.ctx_id = 1, .size = UINT32_MAX)),
	  NO_3D },
};

const struct attack_list attacks_command = { attacks, G_N_ELEMENTS(attacks) };
