/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * The vhost-user-gpu protocol (QEMU docs/interop/vhost-user-gpu). Both ends
 * run on one machine: integers are in its byte order, but for the two replies
 * that are virtio structures.
 */
#pragma once

#include <assert.h>
#include <linux/virtio_gpu.h>
#include <stdint.h>

enum vug_request {
	VUG_GET_PROTOCOL_FEATURES = 1,
	VUG_SET_PROTOCOL_FEATURES = 2,
	VUG_GET_DISPLAY_INFO = 3,
	VUG_CURSOR_POS = 4,
	VUG_CURSOR_POS_HIDE = 5,
	VUG_CURSOR_UPDATE = 6,
	VUG_SCANOUT = 7,
	VUG_UPDATE = 8,
	VUG_DMABUF_SCANOUT = 9,
	VUG_DMABUF_UPDATE = 10, /* answered when it has been drawn, without a payload */
	VUG_GET_EDID = 11,
	VUG_DMABUF_SCANOUT2 = 12,
};

#define VUG_PROTOCOL_F_EDID 0
#define VUG_PROTOCOL_F_DMABUF2 1 /* DMABUF_SCANOUT2 */
#define VUG_FLAG_REPLY 0x4u

struct vug_header {
	uint32_t request;
	uint32_t flags;
	uint32_t size; /* of the payload, bytes */
};
static_assert(sizeof(struct vug_header) == 12, "wire layout");

struct vug_cursor_pos {
	uint32_t scanout_id;
	uint32_t x, y;
};
static_assert(sizeof(struct vug_cursor_pos) == 12, "wire layout");

struct vug_cursor_update {
	struct vug_cursor_pos pos;
	uint32_t hot_x, hot_y;
	uint32_t pixels[64 * 64]; /* a8r8g8b8 */
};
static_assert(sizeof(struct vug_cursor_update) == 16404, "wire layout");

struct vug_scanout {
	uint32_t scanout_id;
	uint32_t width, height; /* 0: off */
};
static_assert(sizeof(struct vug_scanout) == 12, "wire layout");

/* Followed by height rows of width pixels, x8r8g8b8, without gaps. */
struct vug_update {
	uint32_t scanout_id;
	uint32_t x, y, width, height;
};
static_assert(sizeof(struct vug_update) == 20, "wire layout");

/* With one descriptor; without: what there was is shown no more. */
struct vug_dmabuf_scanout {
	uint32_t scanout_id;
	uint32_t x, y; /* QEMU does not look at them */
	uint32_t width, height;
	uint32_t fd_width, fd_height, fd_stride; /* of the buffer; bytes */
	uint32_t fd_flags;			 /* VUG_DMABUF_Y_0_TOP */
	uint32_t fd_drm_fourcc;
};
#define VUG_DMABUF_Y_0_TOP 0x1u /* as VIRTIO_GPU_RESOURCE_FLAG_Y_0_TOP */
static_assert(sizeof(struct vug_dmabuf_scanout) == 40, "wire layout");

struct vug_dmabuf_scanout2 {
	struct vug_dmabuf_scanout scanout;
	uint64_t modifier;
};
static_assert(sizeof(struct vug_dmabuf_scanout2) == 48, "wire layout");

struct vug_edid_request {
	uint32_t scanout_id;
};
static_assert(sizeof(struct vug_edid_request) == 4, "wire layout");

union vug_reply {
	uint64_t protocol_features;
	struct virtio_gpu_resp_display_info info;
	struct virtio_gpu_resp_edid edid;
};
static_assert(sizeof(struct virtio_gpu_resp_display_info) == 408, "wire layout");
static_assert(sizeof(struct virtio_gpu_resp_edid) == 1056, "wire layout");
