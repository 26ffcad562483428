/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * The guest's driver: virtio-gpu commands over the two rings.
 *
 * One helper per command; each sends, waits and returns the type of the response. vgpu_submit() and
 * vgpu_call_chain() below them take any bytes in any shape of chain, for what no driver would send.
 */
#ifndef TESTS_LIB_VGPU_H
#define TESTS_LIB_VGPU_H

#include <linux/virtio_gpu.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "guestram.h"
#include "ring.h"

enum vgpu_queue { VGPU_CONTROL, VGPU_CURSOR, VGPU_N_QUEUES };

#define VGPU_ANSWER_MS 10000

struct vgpu {
	struct guestram *ram;		     /* borrowed */
	struct ring *rings[VGPU_N_QUEUES];   /* borrowed */
	struct virtio_gpu_ctrl_hdr next_hdr; /* flags, fence, ctx and ring of the next helper's
						command; then cleared */
	struct virtio_gpu_ctrl_hdr last_hdr; /* the header of the last response */
	uint32_t last_used_size;
	uint8_t *last_response; /* all of it, last_response_size bytes */
	uint32_t last_response_size;
	struct vgpu_call *calls[VGPU_N_QUEUES][1024]; /* in flight, by head */
	uint64_t free_buffers[32]; /* by power of two: head of a list threaded through guest memory
				    */
};

/* How a command is put into descriptors. Zero everywhere is one readable and one writable
 * descriptor. */
struct vgpu_chain {
	const void *request;
	uint32_t request_size;
	const void *payload; /* NULL, or more readable bytes in descriptors of their own */
	uint32_t payload_size;
	uint32_t response_size;	 /* 0: no writable descriptor */
	uint32_t request_split;	 /* bytes per readable descriptor; 0: one */
	uint32_t response_split; /* bytes per writable descriptor; 0: one */
	bool is_indirect;
};

struct vgpu_call {
	enum vgpu_queue queue;
	uint16_t head;
	bool is_done;
	uint32_t used_size;
	unsigned int done_order; /* 1 for the first call ever to complete */
	uint64_t buffers[4];
	uint32_t buffer_sizes[4];
	uint64_t response_gpa;
	uint32_t response_size;
};

struct vgpu *vgpu_create(struct guestram *ram, struct ring *control, struct ring *cursor);
void vgpu_destroy(struct vgpu *vgpu);
/* Forgets calls in flight and all buffers, as a driver does that resets the device. The calls
 * become invalid. */
void vgpu_forget(struct vgpu *vgpu);

/* Publishes without a kick. Owned by the caller until vgpu_finish(). */
struct vgpu_call *vgpu_submit(struct vgpu *vgpu, enum vgpu_queue queue,
			      const struct vgpu_chain *chain);
void vgpu_kick(struct vgpu *vgpu, enum vgpu_queue queue);
/* Takes whatever completes until this call does; false when nothing has completed for so long. */
bool vgpu_wait(struct vgpu *vgpu, struct vgpu_call *call, int milliseconds);
/* Copies the response to last_response and frees the call; returns the type in its header (0 if it
 * has none). */
uint32_t vgpu_finish(struct vgpu *vgpu, struct vgpu_call *call);

/* Submit, kick, wait, finish; fails the test when no answer comes. */
uint32_t vgpu_call_chain(struct vgpu *vgpu, enum vgpu_queue queue, const struct vgpu_chain *chain);
uint32_t vgpu_call(struct vgpu *vgpu, const void *request, uint32_t request_size,
		   uint32_t response_size);
/* A header with @type and what next_hdr holds, which it clears. */
struct virtio_gpu_ctrl_hdr vgpu_take_hdr(struct vgpu *vgpu, uint32_t type);

uint32_t vgpu_get_display_info(struct vgpu *vgpu, struct virtio_gpu_resp_display_info *info_out);
uint32_t vgpu_get_edid(struct vgpu *vgpu, uint32_t scanout, struct virtio_gpu_resp_edid *edid_out);
uint32_t vgpu_resource_create_2d(struct vgpu *vgpu, uint32_t id, uint32_t format, uint32_t width,
				 uint32_t height);
uint32_t vgpu_resource_unref(struct vgpu *vgpu, uint32_t id);
uint32_t vgpu_set_scanout(struct vgpu *vgpu, uint32_t scanout, uint32_t id, uint32_t x, uint32_t y,
			  uint32_t width, uint32_t height);
uint32_t vgpu_resource_flush(struct vgpu *vgpu, uint32_t id, uint32_t x, uint32_t y, uint32_t width,
			     uint32_t height);
uint32_t vgpu_transfer_to_host_2d(struct vgpu *vgpu, uint32_t id, uint64_t offset, uint32_t x,
				  uint32_t y, uint32_t width, uint32_t height);
uint32_t vgpu_resource_attach_backing(struct vgpu *vgpu, uint32_t id,
				      const struct virtio_gpu_mem_entry *entries,
				      uint32_t n_entries);
/* One entry of @size_bytes at @gpa. */
uint32_t vgpu_resource_attach_one(struct vgpu *vgpu, uint32_t id, uint64_t gpa,
				  uint32_t size_bytes);
uint32_t vgpu_resource_detach_backing(struct vgpu *vgpu, uint32_t id);
uint32_t vgpu_get_capset_info(struct vgpu *vgpu, uint32_t index,
			      struct virtio_gpu_resp_capset_info *info_out);
/* The capset's bytes are last_response after the header. */
uint32_t vgpu_get_capset(struct vgpu *vgpu, uint32_t id, uint32_t version, uint32_t max_size);
uint32_t vgpu_resource_assign_uuid(struct vgpu *vgpu, uint32_t id, uint8_t uuid_out[16]);
uint32_t vgpu_ctx_create(struct vgpu *vgpu, uint32_t ctx, uint32_t context_init, const char *name);
uint32_t vgpu_ctx_destroy(struct vgpu *vgpu, uint32_t ctx);
uint32_t vgpu_ctx_attach_resource(struct vgpu *vgpu, uint32_t ctx, uint32_t id);
uint32_t vgpu_ctx_detach_resource(struct vgpu *vgpu, uint32_t ctx, uint32_t id);
/* A 2D texture, one level. */
uint32_t vgpu_resource_create_3d(struct vgpu *vgpu, uint32_t id, uint32_t format, uint32_t bind,
				 uint32_t width, uint32_t height, uint32_t flags);
uint32_t vgpu_transfer_to_host_3d(struct vgpu *vgpu, uint32_t ctx, uint32_t id,
				  const struct virtio_gpu_box *box, uint64_t offset,
				  uint32_t stride);
uint32_t vgpu_transfer_from_host_3d(struct vgpu *vgpu, uint32_t ctx, uint32_t id,
				    const struct virtio_gpu_box *box, uint64_t offset,
				    uint32_t stride);
uint32_t vgpu_submit_3d(struct vgpu *vgpu, uint32_t ctx, const void *commands, uint32_t size);
/* Sends and doesn't wait: for vgpu_wait() and vgpu_finish(). */
struct vgpu_call *vgpu_send_3d(struct vgpu *vgpu, uint32_t ctx, const void *commands,
			       uint32_t size);
/* RESOURCE_CREATE_BLOB; its context is next_hdr.ctx_id. */
struct vgpu_blob {
	uint32_t mem, flags;
	uint64_t blob_id, size_bytes;
	const struct virtio_gpu_mem_entry *entries;
	uint32_t n_entries;
};
uint32_t vgpu_resource_create_blob(struct vgpu *vgpu, uint32_t id, const struct vgpu_blob *blob);
/* Of guest memory, one entry of @size_bytes at @gpa. */
uint32_t vgpu_resource_create_guest_blob(struct vgpu *vgpu, uint32_t id, uint64_t gpa,
					 uint32_t size_bytes);
/* Where in a blob a picture is. */
struct vgpu_layout {
	uint32_t format, width, height, stride_bytes, offset_bytes;
};
/* All of the picture. */
uint32_t vgpu_set_scanout_blob(struct vgpu *vgpu, uint32_t scanout, uint32_t id,
			       const struct vgpu_layout *layout);
uint32_t vgpu_set_scanout_blob_rect(struct vgpu *vgpu, uint32_t scanout, uint32_t id,
				    const struct vgpu_layout *layout,
				    const struct virtio_gpu_rect *rect);
uint32_t vgpu_resource_map_blob(struct vgpu *vgpu, uint32_t id, uint64_t offset);
uint32_t vgpu_resource_unmap_blob(struct vgpu *vgpu, uint32_t id);
/* On the cursor queue; the chain has no response, as Linux sends it. */
void vgpu_update_cursor(struct vgpu *vgpu, uint32_t scanout, uint32_t id, uint32_t x, uint32_t y,
			uint32_t hot_x, uint32_t hot_y);
void vgpu_move_cursor(struct vgpu *vgpu, uint32_t scanout, uint32_t id, uint32_t x, uint32_t y);

#endif
