/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * One command of the guest, from the ring to its response, and the table of
 * those that there are (virtio 1.3 §5.7.6.7 to §5.7.6.10).
 */
#pragma once

#include <glib.h>
#include <linux/virtio_gpu.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "renderer/renderer.h"
#include "virtio/virtq.h"

struct device;

/* The fixed part of each request, in host byte order. */
union gpu_request {
	struct virtio_gpu_ctrl_hdr header;
	struct virtio_gpu_resource_create_2d resource_create_2d;
	struct virtio_gpu_resource_unref resource_unref;
	struct virtio_gpu_set_scanout set_scanout;
	struct virtio_gpu_resource_flush resource_flush;
	struct virtio_gpu_transfer_to_host_2d transfer_to_host_2d;
	struct virtio_gpu_resource_attach_backing resource_attach_backing;
	struct virtio_gpu_resource_detach_backing resource_detach_backing;
	struct virtio_gpu_get_capset_info get_capset_info;
	struct virtio_gpu_get_capset get_capset;
	struct virtio_gpu_cmd_get_edid get_edid;
	struct virtio_gpu_resource_assign_uuid resource_assign_uuid;
	struct virtio_gpu_resource_create_blob resource_create_blob;
	struct virtio_gpu_set_scanout_blob set_scanout_blob;
	struct virtio_gpu_resource_map_blob resource_map_blob;
	struct virtio_gpu_resource_unmap_blob resource_unmap_blob;
	struct virtio_gpu_ctx_create ctx_create;
	struct virtio_gpu_ctx_destroy ctx_destroy;
	struct virtio_gpu_ctx_resource ctx_resource;
	struct virtio_gpu_resource_create_3d resource_create_3d;
	struct virtio_gpu_transfer_host_3d transfer_host_3d;
	struct virtio_gpu_cmd_submit submit_3d;
	struct virtio_gpu_update_cursor update_cursor;
};

/* As on the wire: little-endian. */
union gpu_response {
	struct virtio_gpu_ctrl_hdr header;
	struct virtio_gpu_resp_display_info display_info;
	struct virtio_gpu_resp_edid edid;
	struct virtio_gpu_resp_capset_info capset_info;
	struct virtio_gpu_resp_resource_uuid resource_uuid;
	struct virtio_gpu_resp_map_info map_info;
};

/* Owned by the device from pop to push; pending ones by device.questions or a timeline. */
struct command {
	struct virtq *vq;	   /* borrowed */
	struct virtq_chain *chain; /* owned */
	const struct command_type *type; /* NULL: unknown or cut short */
	union gpu_request request;
	union gpu_response response;
	size_t response_bytes;	  /* set by a handler that answers more than a header */
	void *long_response;	  /* owned; used instead of response if not NULL (capsets) */
	uint64_t token;		  /* of a question to the display */
	struct renderer_fence fence; /* seq 0: none */
	enum gpu_resp answer;	     /* to give when the fence is done */
	uint32_t waits_for;	  /* scanouts whose pictures are not on their way, a bit each */
	gint64 deadline_us;	  /* to wait until, g_get_monotonic_time() */
	gint64 fenced_us; /* when it began to wait for its fence; 0: it did not, or no stats */
	uint64_t charged_bytes;	  /* of device.waiting_bytes; 0: it is none of those */
	GList link;		  /* struct timeline.waiting, struct device.held */
};

enum command_queue {
	COMMAND_QUEUE_CONTROL = 0,
	COMMAND_QUEUE_CURSOR = 1,
	COMMAND_N_QUEUES,
};

struct command_type {
	uint32_t type; /* VIRTIO_GPU_CMD_* */
	const char *name;
	enum command_queue queue;
	bool is_3d;	       /* refused where the renderer has no contexts */
	uint16_t size_bytes;   /* of the fixed part, header included */
	uint16_t n_words;      /* 32-bit words behind the header to bring into host order */
	uint16_t u64_at;       /* offset of 64-bit fields among them, or 0 */
	uint16_t n_u64;	       /* that follow each other there */
	enum gpu_resp (*handle)(struct device *dev, struct command *command);
};

/* The i-th of all that there are, NULL behind the last. For who wants to try each. */
const struct command_type *command_type_at(size_t i);

/* Takes consume_chain; reads and checks what it can. Never NULL. */
struct command *command_create(struct virtq *vq, struct virtq_chain *consume_chain);
void command_destroy(struct command *command);

/*
 * Read and check the request. OK_NODATA: command->type and request are set.
 * Anything else is the answer.
 */
enum gpu_resp command_decode(struct command *command);

/* Bytes behind the fixed part. */
uint64_t command_extra_bytes(const struct command *command);
bool command_read_extra(const struct command *command, uint64_t offset, void *to,
			size_t length_bytes);

/* Write the response header, push, and free. has_ring_idx: INFO_RING_IDX was negotiated. */
void command_complete(struct command *consume_command, enum gpu_resp resp, bool has_ring_idx);
