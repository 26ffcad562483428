/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * A request is copied out of guest memory once, brought into host byte order
 * and used from the copy.
 */
#include "gpu/command.h"

#include <endian.h>
#include <string.h>

#include "gpu/handlers.h"
#include "util/log.h"

#define WORDS(type) ((sizeof(type) - sizeof(struct virtio_gpu_ctrl_hdr)) / sizeof(uint32_t))
#define CONTROL_U64(name, type, is_3d, u64_at, n_u64, handle)                                      \
	{ VIRTIO_GPU_CMD_##name, #name, COMMAND_QUEUE_CONTROL, is_3d, sizeof(type), WORDS(type),   \
	  u64_at, n_u64, handle }
#define CONTROL(name, type, is_3d, handle) CONTROL_U64(name, type, is_3d, 0, 0, handle)
#define HEADER struct virtio_gpu_ctrl_hdr

static const struct command_type types[] = {
	CONTROL(GET_DISPLAY_INFO, HEADER, false, handle_get_display_info),
	CONTROL(RESOURCE_CREATE_2D, struct virtio_gpu_resource_create_2d, false,
		handle_resource_create_2d),
	CONTROL(RESOURCE_UNREF, struct virtio_gpu_resource_unref, false, handle_resource_unref),
	CONTROL(SET_SCANOUT, struct virtio_gpu_set_scanout, false, handle_set_scanout),
	CONTROL(RESOURCE_FLUSH, struct virtio_gpu_resource_flush, false, handle_resource_flush),
	CONTROL_U64(TRANSFER_TO_HOST_2D, struct virtio_gpu_transfer_to_host_2d, false,
		    offsetof(struct virtio_gpu_transfer_to_host_2d, offset), 1,
		    handle_transfer_to_host_2d),
	CONTROL(RESOURCE_ATTACH_BACKING, struct virtio_gpu_resource_attach_backing, false,
		handle_resource_attach_backing),
	CONTROL(RESOURCE_DETACH_BACKING, struct virtio_gpu_resource_detach_backing, false,
		handle_resource_detach_backing),
	CONTROL(GET_CAPSET_INFO, struct virtio_gpu_get_capset_info, true, handle_get_capset_info),
	CONTROL(GET_CAPSET, struct virtio_gpu_get_capset, true, handle_get_capset),
	CONTROL(GET_EDID, struct virtio_gpu_cmd_get_edid, false, handle_get_edid),
	CONTROL(RESOURCE_ASSIGN_UUID, struct virtio_gpu_resource_assign_uuid, false,
		handle_resource_assign_uuid),
	CONTROL_U64(RESOURCE_CREATE_BLOB, struct virtio_gpu_resource_create_blob, false,
		    offsetof(struct virtio_gpu_resource_create_blob, blob_id), 2,
		    handle_resource_create_blob),
	CONTROL(SET_SCANOUT_BLOB, struct virtio_gpu_set_scanout_blob, false,
		handle_set_scanout_blob),
	CONTROL_U64(RESOURCE_MAP_BLOB, struct virtio_gpu_resource_map_blob, false,
		    offsetof(struct virtio_gpu_resource_map_blob, offset), 1,
		    handle_resource_map_blob),
	CONTROL(RESOURCE_UNMAP_BLOB, struct virtio_gpu_resource_unmap_blob, false,
		handle_resource_unmap_blob),
	/* The name behind the two words is bytes. */
	{ VIRTIO_GPU_CMD_CTX_CREATE, "CTX_CREATE", COMMAND_QUEUE_CONTROL, true,
	  sizeof(struct virtio_gpu_ctx_create), 2, 0, 0, handle_ctx_create },
	CONTROL(CTX_DESTROY, struct virtio_gpu_ctx_destroy, true, handle_ctx_destroy),
	CONTROL(CTX_ATTACH_RESOURCE, struct virtio_gpu_ctx_resource, true,
		handle_ctx_attach_resource),
	CONTROL(CTX_DETACH_RESOURCE, struct virtio_gpu_ctx_resource, true,
		handle_ctx_detach_resource),
	CONTROL(RESOURCE_CREATE_3D, struct virtio_gpu_resource_create_3d, true,
		handle_resource_create_3d),
	CONTROL_U64(TRANSFER_TO_HOST_3D, struct virtio_gpu_transfer_host_3d, true,
		    offsetof(struct virtio_gpu_transfer_host_3d, offset), 1,
		    handle_transfer_to_host_3d),
	CONTROL_U64(TRANSFER_FROM_HOST_3D, struct virtio_gpu_transfer_host_3d, true,
		    offsetof(struct virtio_gpu_transfer_host_3d, offset), 1,
		    handle_transfer_from_host_3d),
	CONTROL(SUBMIT_3D, struct virtio_gpu_cmd_submit, true, handle_submit_3d),
	{ VIRTIO_GPU_CMD_UPDATE_CURSOR, "UPDATE_CURSOR", COMMAND_QUEUE_CURSOR, false,
	  sizeof(struct virtio_gpu_update_cursor), WORDS(struct virtio_gpu_update_cursor), 0, 0,
	  handle_update_cursor },
	{ VIRTIO_GPU_CMD_MOVE_CURSOR, "MOVE_CURSOR", COMMAND_QUEUE_CURSOR, false,
	  sizeof(struct virtio_gpu_update_cursor), WORDS(struct virtio_gpu_update_cursor), 0, 0,
	  handle_move_cursor },
};

#undef WORDS
#undef CONTROL
#undef CONTROL_U64
#undef HEADER

static const struct command_type *find_type(uint32_t number)
{
	for (size_t i = 0; i < G_N_ELEMENTS(types); i++) {
		if (types[i].type == number) {
			return &types[i];
		}
	}
	return NULL;
}

const struct command_type *command_type_at(size_t i)
{
	return i < G_N_ELEMENTS(types) ? &types[i] : NULL;
}

struct command *command_create(struct virtq *vq, struct virtq_chain *consume_chain)
{
	struct command *command = g_slice_new(struct command);

	command->vq = vq;
	command->chain = consume_chain;
	command->type = NULL;
	command->request.header = (struct virtio_gpu_ctrl_hdr){ 0 };
	command->response_bytes = sizeof(struct virtio_gpu_ctrl_hdr);
	command->long_response = NULL;
	command->token = 0;
	command->fence = (struct renderer_fence){ 0 };
	command->answer = GPU_RESP_PENDING;
	command->waits_for = 0;
	command->deadline_us = 0;
	command->fenced_us = 0;
	command->charged_bytes = 0;
	command->link = (GList){ .data = command };
	return command;
}

void command_destroy(struct command *command)
{
	if (command->chain != NULL) {
		virtq_chain_discard(command->chain);
	}
	g_free(command->long_response);
	g_slice_free(struct command, command);
}

static void header_to_host(struct virtio_gpu_ctrl_hdr *header)
{
	header->type = le32toh(header->type);
	header->flags = le32toh(header->flags);
	header->fence_id = le64toh(header->fence_id);
	header->ctx_id = le32toh(header->ctx_id);
}

/* Nothing to do on little-endian hosts, and the compiler sees that. */
static void body_to_host(const struct command_type *type, char *request)
{
	size_t at = sizeof(struct virtio_gpu_ctrl_hdr);
	size_t end = at + type->n_words * sizeof(uint32_t);

	while (at < end) {
		if (at >= type->u64_at && at < type->u64_at + type->n_u64 * sizeof(uint64_t)) {
			uint64_t value;

			memcpy(&value, request + at, sizeof(value));
			value = le64toh(value);
			memcpy(request + at, &value, sizeof(value));
			at += sizeof(value);
		} else {
			uint32_t value;

			memcpy(&value, request + at, sizeof(value));
			value = le32toh(value);
			memcpy(request + at, &value, sizeof(value));
			at += sizeof(value);
		}
	}
}

enum gpu_resp command_decode(struct command *command)
{
	struct virtio_gpu_ctrl_hdr *header = &command->request.header;

	if (!virtq_chain_read(command->chain, 0, header, sizeof(*header))) {
		memset(header, 0, sizeof(*header));
		return GPU_RESP_ERR_INVALID_PARAMETER;
	}
	header_to_host(header);

	const struct command_type *type = find_type(header->type);
	if (type == NULL || type->queue != command->vq->index) {
		return GPU_RESP_ERR_UNSPEC;
	}
	if (!virtq_chain_read(command->chain, sizeof(*header),
			      (char *)&command->request + sizeof(*header),
			      type->size_bytes - sizeof(*header))) {
		return GPU_RESP_ERR_INVALID_PARAMETER;
	}
	body_to_host(type, (char *)&command->request);
	command->type = type;
	return GPU_RESP_OK_NODATA;
}

uint64_t command_extra_bytes(const struct command *command)
{
	/* Decoding read the fixed part, so there is at least that. */
	return command->chain->readable_bytes - command->type->size_bytes;
}

bool command_read_extra(const struct command *command, uint64_t offset, void *to,
			size_t length_bytes)
{
	return virtq_chain_read(command->chain, command->type->size_bytes + offset, to,
				length_bytes);
}

void command_complete(struct command *consume_command, enum gpu_resp resp, bool has_ring_idx)
{
	const struct virtio_gpu_ctrl_hdr *request = &consume_command->request.header;
	struct virtio_gpu_ctrl_hdr header = { .type = htole32(resp) };
	void *response = &consume_command->response;
	size_t size = consume_command->response_bytes;

	if (request->flags & VIRTIO_GPU_FLAG_FENCE) {
		header.flags = htole32(VIRTIO_GPU_FLAG_FENCE);
		header.fence_id = htole64(request->fence_id);
		header.ctx_id = htole32(request->ctx_id);
		if (has_ring_idx && request->flags & VIRTIO_GPU_FLAG_INFO_RING_IDX) {
			header.flags |= htole32(VIRTIO_GPU_FLAG_INFO_RING_IDX);
			header.ring_idx = request->ring_idx;
		}
	}
	if (resp >= GPU_RESP_ERR_UNSPEC) {
		size = sizeof(header);
	} else if (consume_command->long_response != NULL) {
		response = consume_command->long_response;
	}
	memcpy(response, &header, sizeof(header));
	log_trace("%s: 0x%x",
		  consume_command->type != NULL ? consume_command->type->name : "bad command",
		  (unsigned int)resp);
	virtq_push(consume_command->vq, consume_command->chain, response, size);
	consume_command->chain = NULL;
	command_destroy(consume_command);
}
