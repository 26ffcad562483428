/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * Buffers come from the second region of guest memory by powers of two and go back to a list, so
 * that a test may send any number of commands.
 */
#include <glib.h>
#include <string.h>

#include "suite.h"
#include "vgpu.h"

#define MIN_BUFFER_SHIFT 8u
#define MAX_SEGMENTS 512u
#define BUFFER_REGION 1u

struct vgpu *vgpu_create(struct guestram *ram, struct ring *control, struct ring *cursor)
{
	struct vgpu *vgpu = g_new0(struct vgpu, 1);

	vgpu->ram = ram;
	vgpu->rings[VGPU_CONTROL] = control;
	vgpu->rings[VGPU_CURSOR] = cursor;
	return vgpu;
}

void vgpu_forget(struct vgpu *vgpu)
{
	for (unsigned int queue = 0; queue < VGPU_N_QUEUES; queue++) {
		for (unsigned int head = 0; head < G_N_ELEMENTS(vgpu->calls[queue]); head++) {
			g_clear_pointer(&vgpu->calls[queue][head], g_free);
		}
	}
	memset(vgpu->free_buffers, 0, sizeof(vgpu->free_buffers));
}

void vgpu_destroy(struct vgpu *vgpu)
{
	if (!vgpu) {
		return;
	}
	vgpu_forget(vgpu);
	g_free(vgpu->last_response);
	g_free(vgpu);
}

static unsigned int buffer_shift(uint32_t size)
{
	unsigned int shift = MIN_BUFFER_SHIFT;

	while ((UINT64_C(1) << shift) < size) {
		shift += 1;
	}
	return shift;
}

static uint64_t alloc_buffer(struct vgpu *vgpu, uint32_t size)
{
	unsigned int shift = buffer_shift(size);
	uint64_t gpa = vgpu->free_buffers[shift];

	if (gpa == 0) {
		return guestram_alloc(vgpu->ram, BUFFER_REGION, UINT64_C(1) << shift, 256);
	}
	memcpy(&vgpu->free_buffers[shift], guestram_at(vgpu->ram, gpa, 8), sizeof(uint64_t));
	return gpa;
}

static void free_buffer(struct vgpu *vgpu, uint64_t gpa, uint32_t size)
{
	unsigned int shift = buffer_shift(size);

	memcpy(guestram_at(vgpu->ram, gpa, 8), &vgpu->free_buffers[shift], sizeof(uint64_t));
	vgpu->free_buffers[shift] = gpa;
}

static uint64_t call_buffer(struct vgpu *vgpu, struct vgpu_call *call, unsigned int slot,
			    uint32_t size)
{
	call->buffers[slot] = alloc_buffer(vgpu, size);
	call->buffer_sizes[slot] = size;
	return call->buffers[slot];
}

static unsigned int add_segments(struct ring_segment *segments, unsigned int n, uint64_t gpa,
				 uint32_t size, uint32_t split, bool is_writable)
{
	uint32_t step = split ? split : size;

	for (uint32_t done = 0; done < size; done += step) {
		g_assert_cmpuint(n, <, MAX_SEGMENTS);
		segments[n] =
			(struct ring_segment){gpa + done, MIN(step, size - done), is_writable};
		n += 1;
	}
	return n;
}

struct vgpu_call *vgpu_submit(struct vgpu *vgpu, enum vgpu_queue queue,
			      const struct vgpu_chain *chain)
{
	struct vgpu_call *call = g_new0(struct vgpu_call, 1);
	struct ring_segment segments[MAX_SEGMENTS];
	unsigned int n = 0;

	call->queue = queue;
	if (chain->request_size > 0) {
		uint64_t gpa = call_buffer(vgpu, call, 0, chain->request_size);
		memcpy(guestram_at(vgpu->ram, gpa, chain->request_size), chain->request,
		       chain->request_size);
		n = add_segments(segments, n, gpa, chain->request_size, chain->request_split,
				 false);
	}
	if (chain->payload_size > 0) {
		uint64_t gpa = call_buffer(vgpu, call, 1, chain->payload_size);
		memcpy(guestram_at(vgpu->ram, gpa, chain->payload_size), chain->payload,
		       chain->payload_size);
		n = add_segments(segments, n, gpa, chain->payload_size, chain->request_split,
				 false);
	}
	if (chain->response_size > 0) {
		call->response_gpa = call_buffer(vgpu, call, 2, chain->response_size);
		call->response_size = chain->response_size;
		memset(guestram_at(vgpu->ram, call->response_gpa, chain->response_size), 0,
		       chain->response_size);
		n = add_segments(segments, n, call->response_gpa, chain->response_size,
				 chain->response_split, true);
	}
	if (chain->is_indirect) {
		uint64_t table =
			call_buffer(vgpu, call, 3, n * (uint32_t)sizeof(struct vring_desc));
		call->head = ring_add_indirect(vgpu->rings[queue], segments, n, table);
	} else {
		call->head = ring_add(vgpu->rings[queue], segments, n);
	}
	g_assert_null(vgpu->calls[queue][call->head]);
	vgpu->calls[queue][call->head] = call;
	return call;
}

void vgpu_kick(struct vgpu *vgpu, enum vgpu_queue queue)
{
	ring_kick(vgpu->rings[queue]);
}

static void complete(struct vgpu *vgpu, enum vgpu_queue queue, const struct vring_used_elem *elem)
{
	static unsigned int n_done;
	struct vgpu_call *call = vgpu->calls[queue][elem->id];

	if (!call) {
		g_error("queue %u: head %u came back and is not in flight", queue, elem->id);
	}
	vgpu->calls[queue][elem->id] = NULL;
	n_done += 1;
	call->is_done = true;
	call->done_order = n_done;
	call->used_size = elem->len;
	g_assert_cmpuint(elem->len, <=, call->response_size);
}

bool vgpu_wait(struct vgpu *vgpu, struct vgpu_call *call, int milliseconds)
{
	struct vring_used_elem elem;

	while (!call->is_done) {
		if (!ring_wait_used(vgpu->rings[call->queue], milliseconds, &elem)) {
			return false;
		}
		complete(vgpu, call->queue, &elem);
	}
	return true;
}

uint32_t vgpu_finish(struct vgpu *vgpu, struct vgpu_call *call)
{
	g_assert_true(call->is_done);
	g_free(vgpu->last_response);
	vgpu->last_response = g_malloc0(MAX(call->response_size, 1u));
	vgpu->last_response_size = call->response_size;
	vgpu->last_used_size = call->used_size;
	vgpu->last_hdr = (struct virtio_gpu_ctrl_hdr){0};
	if (call->response_size > 0) {
		memcpy(vgpu->last_response,
		       guestram_at(vgpu->ram, call->response_gpa, call->response_size),
		       call->response_size);
		memcpy(&vgpu->last_hdr, vgpu->last_response,
		       MIN(call->response_size, (uint32_t)sizeof(vgpu->last_hdr)));
	}
	for (unsigned int i = 0; i < G_N_ELEMENTS(call->buffers); i++) {
		if (call->buffer_sizes[i] > 0) {
			free_buffer(vgpu, call->buffers[i], call->buffer_sizes[i]);
		}
	}
	g_free(call);
	return vgpu->last_hdr.type;
}

static uint32_t take_answer(struct vgpu *vgpu, struct vgpu_call *call, uint32_t type)
{
	if (!vgpu_wait(vgpu, call, VGPU_ANSWER_MS)) {
		g_error("queue %u: command 0x%04x was not answered", call->queue, type);
	}
	return vgpu_finish(vgpu, call);
}

uint32_t vgpu_call_chain(struct vgpu *vgpu, enum vgpu_queue queue, const struct vgpu_chain *chain)
{
	struct vgpu_call *call = vgpu_submit(vgpu, queue, chain);
	uint32_t type = 0;

	vgpu_kick(vgpu, queue);
	/* Of a chain that is all response there is none. */
	if (chain->request != NULL) {
		memcpy(&type, chain->request, MIN(chain->request_size, (uint32_t)sizeof(type)));
	}
	return take_answer(vgpu, call, type);
}

uint32_t vgpu_call(struct vgpu *vgpu, const void *request, uint32_t request_size,
		   uint32_t response_size)
{
	struct vgpu_chain chain = {
		.request = request, .request_size = request_size, .response_size = response_size};

	return vgpu_call_chain(vgpu, VGPU_CONTROL, &chain);
}

struct virtio_gpu_ctrl_hdr vgpu_take_hdr(struct vgpu *vgpu, uint32_t type)
{
	struct virtio_gpu_ctrl_hdr hdr = vgpu->next_hdr;

	hdr.type = type;
	vgpu->next_hdr = (struct virtio_gpu_ctrl_hdr){0};
	return hdr;
}

#define HEADER_SIZE ((uint32_t)sizeof(struct virtio_gpu_ctrl_hdr))

static uint32_t call_into(struct vgpu *vgpu, const void *request, uint32_t request_size,
			  void *response_out, uint32_t response_size)
{
	uint32_t type = vgpu_call(vgpu, request, request_size, response_size);

	if (response_out) {
		memcpy(response_out, vgpu->last_response, response_size);
	}
	return type;
}

uint32_t vgpu_get_display_info(struct vgpu *vgpu, struct virtio_gpu_resp_display_info *info_out)
{
	struct virtio_gpu_ctrl_hdr cmd = vgpu_take_hdr(vgpu, VIRTIO_GPU_CMD_GET_DISPLAY_INFO);

	return call_into(vgpu, &cmd, sizeof(cmd), info_out, sizeof(*info_out));
}

uint32_t vgpu_get_edid(struct vgpu *vgpu, uint32_t scanout, struct virtio_gpu_resp_edid *edid_out)
{
	struct virtio_gpu_cmd_get_edid cmd = {vgpu_take_hdr(vgpu, VIRTIO_GPU_CMD_GET_EDID), scanout,
					      0};

	return call_into(vgpu, &cmd, sizeof(cmd), edid_out, sizeof(*edid_out));
}

uint32_t vgpu_resource_create_2d(struct vgpu *vgpu, uint32_t id, uint32_t format, uint32_t width,
				 uint32_t height)
{
	struct virtio_gpu_resource_create_2d cmd = {
		vgpu_take_hdr(vgpu, VIRTIO_GPU_CMD_RESOURCE_CREATE_2D), id, format, width, height};

	return vgpu_call(vgpu, &cmd, sizeof(cmd), HEADER_SIZE);
}

uint32_t vgpu_resource_unref(struct vgpu *vgpu, uint32_t id)
{
	struct virtio_gpu_resource_unref cmd = {vgpu_take_hdr(vgpu, VIRTIO_GPU_CMD_RESOURCE_UNREF),
						id, 0};

	return vgpu_call(vgpu, &cmd, sizeof(cmd), HEADER_SIZE);
}

uint32_t vgpu_set_scanout(struct vgpu *vgpu, uint32_t scanout, uint32_t id, uint32_t x, uint32_t y,
			  uint32_t width, uint32_t height)
{
	struct virtio_gpu_set_scanout cmd = {vgpu_take_hdr(vgpu, VIRTIO_GPU_CMD_SET_SCANOUT),
					     {x, y, width, height},
					     scanout,
					     id};

	return vgpu_call(vgpu, &cmd, sizeof(cmd), HEADER_SIZE);
}

uint32_t vgpu_resource_flush(struct vgpu *vgpu, uint32_t id, uint32_t x, uint32_t y, uint32_t width,
			     uint32_t height)
{
	struct virtio_gpu_resource_flush cmd = {
		vgpu_take_hdr(vgpu, VIRTIO_GPU_CMD_RESOURCE_FLUSH), {x, y, width, height}, id, 0};

	return vgpu_call(vgpu, &cmd, sizeof(cmd), HEADER_SIZE);
}

uint32_t vgpu_transfer_to_host_2d(struct vgpu *vgpu, uint32_t id, uint64_t offset, uint32_t x,
				  uint32_t y, uint32_t width, uint32_t height)
{
	struct virtio_gpu_transfer_to_host_2d cmd = {
		vgpu_take_hdr(vgpu, VIRTIO_GPU_CMD_TRANSFER_TO_HOST_2D),
		{x, y, width, height},
		offset,
		id,
		0};

	return vgpu_call(vgpu, &cmd, sizeof(cmd), HEADER_SIZE);
}

uint32_t vgpu_resource_attach_backing(struct vgpu *vgpu, uint32_t id,
				      const struct virtio_gpu_mem_entry *entries,
				      uint32_t n_entries)
{
	struct virtio_gpu_resource_attach_backing cmd = {
		vgpu_take_hdr(vgpu, VIRTIO_GPU_CMD_RESOURCE_ATTACH_BACKING), id, n_entries};
	struct vgpu_chain chain = {
		.request = &cmd,
		.request_size = sizeof(cmd),
		.payload = entries,
		.payload_size = n_entries * (uint32_t)sizeof(*entries),
		.response_size = HEADER_SIZE,
	};

	return vgpu_call_chain(vgpu, VGPU_CONTROL, &chain);
}

uint32_t vgpu_resource_attach_one(struct vgpu *vgpu, uint32_t id, uint64_t gpa, uint32_t size_bytes)
{
	struct virtio_gpu_mem_entry entry = {.addr = gpa, .length = size_bytes};

	return vgpu_resource_attach_backing(vgpu, id, &entry, 1);
}

uint32_t vgpu_resource_detach_backing(struct vgpu *vgpu, uint32_t id)
{
	struct virtio_gpu_resource_detach_backing cmd = {
		vgpu_take_hdr(vgpu, VIRTIO_GPU_CMD_RESOURCE_DETACH_BACKING), id, 0};

	return vgpu_call(vgpu, &cmd, sizeof(cmd), HEADER_SIZE);
}

uint32_t vgpu_get_capset_info(struct vgpu *vgpu, uint32_t index,
			      struct virtio_gpu_resp_capset_info *info_out)
{
	struct virtio_gpu_get_capset_info cmd = {
		vgpu_take_hdr(vgpu, VIRTIO_GPU_CMD_GET_CAPSET_INFO), index, 0};

	return call_into(vgpu, &cmd, sizeof(cmd), info_out, sizeof(*info_out));
}

uint32_t vgpu_get_capset(struct vgpu *vgpu, uint32_t id, uint32_t version, uint32_t max_size)
{
	struct virtio_gpu_get_capset cmd = {vgpu_take_hdr(vgpu, VIRTIO_GPU_CMD_GET_CAPSET), id,
					    version};

	return vgpu_call(vgpu, &cmd, sizeof(cmd), HEADER_SIZE + max_size);
}

uint32_t vgpu_resource_assign_uuid(struct vgpu *vgpu, uint32_t id, uint8_t uuid_out[16])
{
	struct virtio_gpu_resource_assign_uuid cmd = {
		vgpu_take_hdr(vgpu, VIRTIO_GPU_CMD_RESOURCE_ASSIGN_UUID), id, 0};
	struct virtio_gpu_resp_resource_uuid response;
	uint32_t type = call_into(vgpu, &cmd, sizeof(cmd), &response, sizeof(response));

	memcpy(uuid_out, response.uuid, 16);
	return type;
}

uint32_t vgpu_ctx_create(struct vgpu *vgpu, uint32_t ctx, uint32_t context_init, const char *name)
{
	struct virtio_gpu_ctx_create cmd = {.hdr = vgpu_take_hdr(vgpu, VIRTIO_GPU_CMD_CTX_CREATE),
					    .nlen = (uint32_t)strlen(name),
					    .context_init = context_init};

	memcpy(cmd.debug_name, name, MIN(strlen(name), sizeof(cmd.debug_name)));
	cmd.hdr.ctx_id = ctx;
	return vgpu_call(vgpu, &cmd, sizeof(cmd), HEADER_SIZE);
}

uint32_t vgpu_ctx_destroy(struct vgpu *vgpu, uint32_t ctx)
{
	struct virtio_gpu_ctrl_hdr cmd = vgpu_take_hdr(vgpu, VIRTIO_GPU_CMD_CTX_DESTROY);

	cmd.ctx_id = ctx;
	return vgpu_call(vgpu, &cmd, sizeof(cmd), HEADER_SIZE);
}

static uint32_t ctx_resource(struct vgpu *vgpu, uint32_t type, uint32_t ctx, uint32_t id)
{
	struct virtio_gpu_ctx_resource cmd = {vgpu_take_hdr(vgpu, type), id, 0};

	cmd.hdr.ctx_id = ctx;
	return vgpu_call(vgpu, &cmd, sizeof(cmd), HEADER_SIZE);
}

uint32_t vgpu_ctx_attach_resource(struct vgpu *vgpu, uint32_t ctx, uint32_t id)
{
	return ctx_resource(vgpu, VIRTIO_GPU_CMD_CTX_ATTACH_RESOURCE, ctx, id);
}

uint32_t vgpu_ctx_detach_resource(struct vgpu *vgpu, uint32_t ctx, uint32_t id)
{
	return ctx_resource(vgpu, VIRTIO_GPU_CMD_CTX_DETACH_RESOURCE, ctx, id);
}

uint32_t vgpu_resource_create_3d(struct vgpu *vgpu, uint32_t id, uint32_t format, uint32_t bind,
				 uint32_t width, uint32_t height, uint32_t flags)
{
	struct virtio_gpu_resource_create_3d cmd = {
		.hdr = vgpu_take_hdr(vgpu, VIRTIO_GPU_CMD_RESOURCE_CREATE_3D),
		.resource_id = id,
		.target = 2,
		.format = format,
		.bind = bind,
		.width = width,
		.height = height,
		.depth = 1,
		.array_size = 1,
		.flags = flags,
	};

	return vgpu_call(vgpu, &cmd, sizeof(cmd), HEADER_SIZE);
}

static uint32_t transfer_3d(struct vgpu *vgpu, uint32_t type, uint32_t ctx, uint32_t id,
			    const struct virtio_gpu_box *box, uint64_t offset, uint32_t stride)
{
	struct virtio_gpu_transfer_host_3d cmd = {
		.hdr = vgpu_take_hdr(vgpu, type),
		.box = *box,
		.offset = offset,
		.resource_id = id,
		.stride = stride,
	};

	cmd.hdr.ctx_id = ctx;
	return vgpu_call(vgpu, &cmd, sizeof(cmd), HEADER_SIZE);
}

uint32_t vgpu_transfer_to_host_3d(struct vgpu *vgpu, uint32_t ctx, uint32_t id,
				  const struct virtio_gpu_box *box, uint64_t offset,
				  uint32_t stride)
{
	return transfer_3d(vgpu, VIRTIO_GPU_CMD_TRANSFER_TO_HOST_3D, ctx, id, box, offset, stride);
}

uint32_t vgpu_transfer_from_host_3d(struct vgpu *vgpu, uint32_t ctx, uint32_t id,
				    const struct virtio_gpu_box *box, uint64_t offset,
				    uint32_t stride)
{
	return transfer_3d(vgpu, VIRTIO_GPU_CMD_TRANSFER_FROM_HOST_3D, ctx, id, box, offset,
			   stride);
}

struct vgpu_call *vgpu_send_3d(struct vgpu *vgpu, uint32_t ctx, const void *commands, uint32_t size)
{
	struct virtio_gpu_cmd_submit cmd = {vgpu_take_hdr(vgpu, VIRTIO_GPU_CMD_SUBMIT_3D), size, 0};
	struct vgpu_chain chain = {
		.request = &cmd,
		.request_size = sizeof(cmd),
		.payload = commands,
		.payload_size = size,
		.response_size = HEADER_SIZE,
	};

	cmd.hdr.ctx_id = ctx;
	struct vgpu_call *call = vgpu_submit(vgpu, VGPU_CONTROL, &chain);
	vgpu_kick(vgpu, VGPU_CONTROL);
	return call;
}

uint32_t vgpu_submit_3d(struct vgpu *vgpu, uint32_t ctx, const void *commands, uint32_t size)
{
	return take_answer(vgpu, vgpu_send_3d(vgpu, ctx, commands, size),
			   VIRTIO_GPU_CMD_SUBMIT_3D);
}

uint32_t vgpu_resource_create_blob(struct vgpu *vgpu, uint32_t id, const struct vgpu_blob *blob)
{
	struct virtio_gpu_resource_create_blob cmd = {
		.hdr = vgpu_take_hdr(vgpu, VIRTIO_GPU_CMD_RESOURCE_CREATE_BLOB),
		.resource_id = id,
		.blob_mem = blob->mem,
		.blob_flags = blob->flags,
		.nr_entries = blob->n_entries,
		.blob_id = blob->blob_id,
		.size = blob->size_bytes,
	};
	struct vgpu_chain chain = {
		.request = &cmd,
		.request_size = sizeof(cmd),
		.payload = blob->entries,
		.payload_size = blob->n_entries * (uint32_t)sizeof(blob->entries[0]),
		.response_size = HEADER_SIZE,
	};

	return vgpu_call_chain(vgpu, VGPU_CONTROL, &chain);
}

uint32_t vgpu_resource_create_guest_blob(struct vgpu *vgpu, uint32_t id, uint64_t gpa,
					 uint32_t size_bytes)
{
	const struct virtio_gpu_mem_entry entry = {gpa, size_bytes, 0};
	const struct vgpu_blob blob = {
		.mem = VIRTIO_GPU_BLOB_MEM_GUEST,
		.flags = VIRTIO_GPU_BLOB_FLAG_USE_SHAREABLE,
		.size_bytes = size_bytes,
		.entries = &entry,
		.n_entries = 1,
	};

	return vgpu_resource_create_blob(vgpu, id, &blob);
}

uint32_t vgpu_set_scanout_blob_rect(struct vgpu *vgpu, uint32_t scanout, uint32_t id,
				    const struct vgpu_layout *layout,
				    const struct virtio_gpu_rect *rect)
{
	struct virtio_gpu_set_scanout_blob cmd = {
		.hdr = vgpu_take_hdr(vgpu, VIRTIO_GPU_CMD_SET_SCANOUT_BLOB),
		.r = *rect,
		.scanout_id = scanout,
		.resource_id = id,
		.width = layout->width,
		.height = layout->height,
		.format = layout->format,
		.strides = {layout->stride_bytes, 0, 0, 0},
		.offsets = {layout->offset_bytes, 0, 0, 0},
	};

	return vgpu_call(vgpu, &cmd, sizeof(cmd), HEADER_SIZE);
}

uint32_t vgpu_set_scanout_blob(struct vgpu *vgpu, uint32_t scanout, uint32_t id,
			       const struct vgpu_layout *layout)
{
	const struct virtio_gpu_rect all = {0, 0, layout->width, layout->height};

	return vgpu_set_scanout_blob_rect(vgpu, scanout, id, layout, &all);
}

uint32_t vgpu_resource_map_blob(struct vgpu *vgpu, uint32_t id, uint64_t offset)
{
	struct virtio_gpu_resource_map_blob cmd = {
		.hdr = vgpu_take_hdr(vgpu, VIRTIO_GPU_CMD_RESOURCE_MAP_BLOB),
		.resource_id = id,
		.offset = offset};

	return vgpu_call(vgpu, &cmd, sizeof(cmd), sizeof(struct virtio_gpu_resp_map_info));
}

uint32_t vgpu_resource_unmap_blob(struct vgpu *vgpu, uint32_t id)
{
	struct virtio_gpu_resource_unmap_blob cmd = {
		.hdr = vgpu_take_hdr(vgpu, VIRTIO_GPU_CMD_RESOURCE_UNMAP_BLOB), .resource_id = id};

	return vgpu_call(vgpu, &cmd, sizeof(cmd), HEADER_SIZE);
}

static void cursor(struct vgpu *vgpu, const struct virtio_gpu_update_cursor *cmd)
{
	struct vgpu_chain chain = {.request = cmd, .request_size = sizeof(*cmd)};

	vgpu_call_chain(vgpu, VGPU_CURSOR, &chain);
}

void vgpu_update_cursor(struct vgpu *vgpu, uint32_t scanout, uint32_t id, uint32_t x, uint32_t y,
			uint32_t hot_x, uint32_t hot_y)
{
	struct virtio_gpu_update_cursor cmd = {
		.hdr = vgpu_take_hdr(vgpu, VIRTIO_GPU_CMD_UPDATE_CURSOR),
		.pos = {scanout, x, y, 0},
		.resource_id = id,
		.hot_x = hot_x,
		.hot_y = hot_y};

	cursor(vgpu, &cmd);
}

void vgpu_move_cursor(struct vgpu *vgpu, uint32_t scanout, uint32_t id, uint32_t x, uint32_t y)
{
	struct virtio_gpu_update_cursor cmd = {
		.hdr = vgpu_take_hdr(vgpu, VIRTIO_GPU_CMD_MOVE_CURSOR),
		.pos = {scanout, x, y, 0},
		.resource_id = id};

	cursor(vgpu, &cmd);
}
