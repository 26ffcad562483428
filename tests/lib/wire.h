/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * The two wire formats the fake front-end speaks: vhost-user (towards the daemon) and
 * vhost-user-gpu (as the display).
 *
 * Written from QEMU's documents and on purpose not shared with src/vhost/wire.h: a field that the
 * daemon has in the wrong place must not be in the wrong place here as well.
 */
#ifndef TESTS_LIB_WIRE_H
#define TESTS_LIB_WIRE_H

#include <assert.h>
#include <stdint.h>

static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__,
	      "the tests write wire structs in host order");

enum vhost_user_request {
	VHOST_USER_GET_FEATURES = 1,
	VHOST_USER_SET_FEATURES = 2,
	VHOST_USER_SET_OWNER = 3,
	VHOST_USER_RESET_OWNER = 4,
	VHOST_USER_SET_MEM_TABLE = 5,
	VHOST_USER_SET_LOG_BASE = 6,
	VHOST_USER_SET_LOG_FD = 7,
	VHOST_USER_SET_VRING_NUM = 8,
	VHOST_USER_SET_VRING_ADDR = 9,
	VHOST_USER_SET_VRING_BASE = 10,
	VHOST_USER_GET_VRING_BASE = 11,
	VHOST_USER_SET_VRING_KICK = 12,
	VHOST_USER_SET_VRING_CALL = 13,
	VHOST_USER_SET_VRING_ERR = 14,
	VHOST_USER_GET_PROTOCOL_FEATURES = 15,
	VHOST_USER_SET_PROTOCOL_FEATURES = 16,
	VHOST_USER_GET_QUEUE_NUM = 17,
	VHOST_USER_SET_VRING_ENABLE = 18,
	VHOST_USER_SET_BACKEND_REQ_FD = 21,
	VHOST_USER_GET_CONFIG = 24,
	VHOST_USER_SET_CONFIG = 25,
	VHOST_USER_GPU_SET_SOCKET = 33,
	VHOST_USER_RESET_DEVICE = 34,
	VHOST_USER_GET_MAX_MEM_SLOTS = 36,
	VHOST_USER_ADD_MEM_REG = 37,
	VHOST_USER_REM_MEM_REG = 38,
	VHOST_USER_GET_SHARED_OBJECT = 41,
	VHOST_USER_GET_SHMEM_CONFIG = 44,
};

enum vhost_user_backend_request {
	VHOST_USER_BACKEND_SHARED_OBJECT_REMOVE = 7,
	VHOST_USER_BACKEND_SHMEM_MAP = 9,
	VHOST_USER_BACKEND_SHMEM_UNMAP = 10,
};

#define VHOST_USER_VERSION 1u
#define VHOST_USER_FLAG_REPLY (1u << 2)
#define VHOST_USER_FLAG_NEED_REPLY (1u << 3)
#define VHOST_USER_VRING_NOFD (1u << 8)
#define VHOST_USER_CONFIG_MAX 256

enum vhost_user_protocol_feature {
	VHOST_USER_PROTOCOL_F_MQ = 0,
	VHOST_USER_PROTOCOL_F_LOG_SHMFD = 1,
	VHOST_USER_PROTOCOL_F_REPLY_ACK = 3,
	VHOST_USER_PROTOCOL_F_BACKEND_REQ = 5,
	VHOST_USER_PROTOCOL_F_CONFIG = 9,
	VHOST_USER_PROTOCOL_F_BACKEND_SEND_FD = 10,
	VHOST_USER_PROTOCOL_F_RESET_DEVICE = 13,
	VHOST_USER_PROTOCOL_F_CONFIGURE_MEM_SLOTS = 15,
	VHOST_USER_PROTOCOL_F_STATUS = 16,
	VHOST_USER_PROTOCOL_F_SHARED_OBJECT = 18,
	VHOST_USER_PROTOCOL_F_GPA_ADDRESSES = 21, /* for some front-ends: SHMEM_MAP */
	VHOST_USER_PROTOCOL_F_SHMEM_MAP = 22,
};

enum virtio_feature {
	VIRTIO_F_GPU_VIRGL = 0,
	VIRTIO_F_GPU_EDID = 1,
	VIRTIO_F_GPU_RESOURCE_UUID = 2,
	VIRTIO_F_GPU_RESOURCE_BLOB = 3,
	VIRTIO_F_GPU_CONTEXT_INIT = 4,
	VIRTIO_F_LOG_ALL = 26,
	VIRTIO_F_INDIRECT = 28,
	VIRTIO_F_EVENT_INDEX = 29,
	VIRTIO_F_VHOST_PROTOCOL_FEATURES = 30,
	VIRTIO_F_V1 = 32,
	VIRTIO_F_PACKED = 34,
};

#define FEATURE(bit) (UINT64_C(1) << (bit))

struct vhost_user_header {
	uint32_t request;
	uint32_t flags;
	uint32_t size;
};
static_assert(sizeof(struct vhost_user_header) == 12, "");

struct vhost_user_vring_state {
	uint32_t index;
	uint32_t num;
};

struct vhost_user_vring_addr {
	uint32_t index;
	uint32_t flags;
	uint64_t desc;
	uint64_t used;
	uint64_t avail;
	uint64_t log;
};
static_assert(sizeof(struct vhost_user_vring_addr) == 40, "");

struct vhost_user_mem_region {
	uint64_t guest_addr;
	uint64_t size;
	uint64_t user_addr;
	uint64_t mmap_offset;
};

struct vhost_user_mem_reg_msg {
	uint64_t padding;
	struct vhost_user_mem_region region;
};
static_assert(sizeof(struct vhost_user_mem_reg_msg) == 40, "");

struct vhost_user_config {
	uint32_t offset;
	uint32_t size;
	uint32_t flags;
	uint8_t region[VHOST_USER_CONFIG_MAX];
};
#define VHOST_USER_CONFIG_HEADER_SIZE 12u

#define VHOST_USER_SHMEM_REGIONS 256
#define VHOST_USER_SHMID_HOST_VISIBLE 1

struct vhost_user_shmem_config {
	uint32_t n_regions;
	uint32_t padding;
	uint64_t sizes[VHOST_USER_SHMEM_REGIONS];
};
static_assert(sizeof(struct vhost_user_shmem_config) == 2056, "");

/* Of SHMEM_MAP and SHMEM_UNMAP. */
struct vhost_user_shmem_range {
	uint8_t shmid;
	uint8_t padding[7];
	uint64_t fd_offset;
	uint64_t shm_offset;
	uint64_t len;
	uint64_t flags;
};
static_assert(sizeof(struct vhost_user_shmem_range) == 40, "");
#define VHOST_USER_SHMEM_RW 1u

#define VHOST_USER_UUID_SIZE 16u

enum vhost_user_gpu_request {
	VHOST_USER_GPU_GET_PROTOCOL_FEATURES = 1,
	VHOST_USER_GPU_SET_PROTOCOL_FEATURES = 2,
	VHOST_USER_GPU_GET_DISPLAY_INFO = 3,
	VHOST_USER_GPU_CURSOR_POS = 4,
	VHOST_USER_GPU_CURSOR_POS_HIDE = 5,
	VHOST_USER_GPU_CURSOR_UPDATE = 6,
	VHOST_USER_GPU_SCANOUT = 7,
	VHOST_USER_GPU_UPDATE = 8,
	VHOST_USER_GPU_DMABUF_SCANOUT = 9,
	VHOST_USER_GPU_DMABUF_UPDATE = 10,
	VHOST_USER_GPU_GET_EDID = 11,
	VHOST_USER_GPU_DMABUF_SCANOUT2 = 12,
};

#define VHOST_USER_GPU_FLAG_REPLY (1u << 2)
#define VHOST_USER_GPU_F_EDID 1u
#define VHOST_USER_GPU_F_DMABUF2 2u

struct gpu_msg_header {
	uint32_t request;
	uint32_t flags;
	uint32_t size;
};

struct gpu_msg_cursor_pos {
	uint32_t scanout_id;
	uint32_t x;
	uint32_t y;
};

#define CURSOR_SIDE 64u
struct gpu_msg_cursor_update {
	struct gpu_msg_cursor_pos pos;
	uint32_t hot_x;
	uint32_t hot_y;
	uint32_t data[CURSOR_SIDE * CURSOR_SIDE];
};
static_assert(sizeof(struct gpu_msg_cursor_update) == 16404, "");

struct gpu_msg_scanout {
	uint32_t scanout_id;
	uint32_t width;
	uint32_t height;
};

/* With a descriptor; without, the buffer is shown no more. */
struct gpu_msg_dmabuf_scanout {
	uint32_t scanout_id;
	uint32_t x;
	uint32_t y;
	uint32_t width;
	uint32_t height;
	uint32_t fd_width;
	uint32_t fd_height;
	uint32_t fd_stride;
	uint32_t fd_flags;
	uint32_t fd_drm_fourcc;
};
static_assert(sizeof(struct gpu_msg_dmabuf_scanout) == 40, "");

struct gpu_msg_dmabuf_scanout2 {
	struct gpu_msg_dmabuf_scanout scanout;
	uint64_t modifier;
};
static_assert(sizeof(struct gpu_msg_dmabuf_scanout2) == 48, "");

struct gpu_msg_update {
	uint32_t scanout_id;
	uint32_t x;
	uint32_t y;
	uint32_t width;
	uint32_t height;
};
static_assert(sizeof(struct gpu_msg_update) == 20, "");

#endif
