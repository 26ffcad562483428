/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * libgfxstream_backend.so, loaded when a renderer is created and not before.
 * Its functions are called through the table, by their names without prefix.
 *
 * The ABI is declared here, as few distributions have the library and fewer its
 * headers. It is that of 0.1.2 and of all versions since: what of it has
 * changed (names of macros, functions at the end) is not used. The library's
 * version can't be asked; what it lacks is seen when it is loaded.
 */
#pragma once

#include <glib.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

struct gfxstream_box {
	uint32_t x, y, z;
	uint32_t w, h, d;
};

struct gfxstream_resource_args {
	uint32_t handle, target, format, bind;
	uint32_t width, height, depth, array_size;
	uint32_t last_level, nr_samples, flags;
};

struct gfxstream_fence {
	uint32_t flags; /* GFXSTREAM_FENCE_* */
	uint64_t fence_id;
	uint32_t ctx_id;
	uint8_t ring_idx;
};

struct gfxstream_handle {
	int64_t os_handle;
	uint32_t handle_type; /* GFXSTREAM_HANDLE_* */
};

struct gfxstream_debug {
	uint32_t debug_type; /* GFXSTREAM_DEBUG_* */
	const char *message; /* only during the call */
};

struct gfxstream_param {
	uint64_t key; /* GFXSTREAM_PARAM_* */
	uint64_t value;
};

struct gfxstream_command {
	uint32_t ctx_id;
	uint32_t cmd_size; /* bytes */
	uint8_t *cmd;
	uint32_t num_in_fences;
	void *fences;
};

struct gfxstream_blob_args {
	uint32_t blob_mem, blob_flags; /* VIRTIO_GPU_BLOB_* */
	uint64_t blob_id;
	uint64_t size;
};

#define GFXSTREAM_IS_AT(type, member, offset)                                                      \
	G_STATIC_ASSERT(offsetof(struct gfxstream_##type, member) == (offset))
G_STATIC_ASSERT(sizeof(struct gfxstream_box) == 24);
G_STATIC_ASSERT(sizeof(struct gfxstream_resource_args) == 44);
GFXSTREAM_IS_AT(resource_args, width, 16);
GFXSTREAM_IS_AT(resource_args, flags, 40);
G_STATIC_ASSERT(sizeof(struct gfxstream_fence) == 24);
GFXSTREAM_IS_AT(fence, fence_id, 8);
GFXSTREAM_IS_AT(fence, ctx_id, 16);
GFXSTREAM_IS_AT(fence, ring_idx, 20);
G_STATIC_ASSERT(sizeof(struct gfxstream_handle) == 16);
GFXSTREAM_IS_AT(handle, handle_type, 8);
G_STATIC_ASSERT(sizeof(struct gfxstream_debug) == 8 + sizeof(void *));
GFXSTREAM_IS_AT(debug, message, sizeof(void *));
G_STATIC_ASSERT(sizeof(struct gfxstream_param) == 16);
GFXSTREAM_IS_AT(param, value, 8);
G_STATIC_ASSERT(sizeof(struct gfxstream_command) == 8 + 3 * sizeof(void *));
GFXSTREAM_IS_AT(command, cmd, 8);
GFXSTREAM_IS_AT(command, num_in_fences, 8 + sizeof(void *));
G_STATIC_ASSERT(sizeof(struct gfxstream_blob_args) == 24);
GFXSTREAM_IS_AT(blob_args, blob_id, 8);
GFXSTREAM_IS_AT(blob_args, size, 16);
#undef GFXSTREAM_IS_AT

enum gfxstream_param_key {
	GFXSTREAM_PARAM_USER_DATA = 1,
	GFXSTREAM_PARAM_RENDERER_FLAGS = 2,
	GFXSTREAM_PARAM_FENCE_CALLBACK = 3,
	GFXSTREAM_PARAM_WIN0_WIDTH = 4,
	GFXSTREAM_PARAM_WIN0_HEIGHT = 5,
	GFXSTREAM_PARAM_DEBUG_CALLBACK = 6,
};

enum gfxstream_flag {
	GFXSTREAM_USE_EGL = 1 << 0,
	GFXSTREAM_USE_GLX = 1 << 2,
	GFXSTREAM_USE_SURFACELESS = 1 << 3,
	GFXSTREAM_USE_GLES = 1 << 4,
	GFXSTREAM_USE_VK = 1 << 5,
	/* Blobs are descriptors, and can't be mapped by the library itself. */
	GFXSTREAM_USE_EXTERNAL_BLOB = 1 << 6,
};

enum gfxstream_fence_flag {
	GFXSTREAM_FENCE = 1 << 0,
	GFXSTREAM_FENCE_RING_IDX = 1 << 1,
};

/* That are ours to look at. */
enum gfxstream_handle_type {
	GFXSTREAM_HANDLE_OPAQUE_FD = 1,
	GFXSTREAM_HANDLE_DMABUF = 2,
	GFXSTREAM_HANDLE_SHM = 4,
};

enum gfxstream_debug_type {
	GFXSTREAM_DEBUG_ERROR = 1,
	GFXSTREAM_DEBUG_WARN = 2,
	GFXSTREAM_DEBUG_INFO = 3,
	GFXSTREAM_DEBUG_DEBUG = 4,
};

/* First word of what a context is sent. */
enum gfxstream_opcode {
	GFXSTREAM_OP_CONTEXT_CREATE = 0x1001,		  /* resource */
	GFXSTREAM_OP_CONTEXT_PING = 0x1002,		  /* resource */
	GFXSTREAM_OP_CONTEXT_PING_WITH_RESPONSE = 0x1003, /* resource */
	GFXSTREAM_OP_EXPORT_SYNC = 0x9000,		  /* OpenGL's */
	GFXSTREAM_OP_EXPORT_SYNC_VK = 0xa000,		  /* device, fence */
	GFXSTREAM_OP_IMPORT_SYNC_VK = 0xa001,		  /* the same */
	GFXSTREAM_OP_EXPORT_QSRI_VK = 0xa002,		  /* image, when it can be shown */
	GFXSTREAM_OP_RESOURCE_CREATE_3D = 0xa003,	  /* struct gfxstream_create_3d */
};

/* A picture that a blob with the name blob_id is to be made of. */
struct gfxstream_create_3d {
	uint32_t opcode;
	uint32_t target, format, bind;
	uint32_t width, height, depth, array_size;
	uint32_t last_level, nr_samples, flags;
	uint32_t padding;
	uint64_t blob_id;
};

G_STATIC_ASSERT(sizeof(struct gfxstream_create_3d) == 56);
G_STATIC_ASSERT(offsetof(struct gfxstream_create_3d, blob_id) == 48);

/* The longest struct that one of them is of, which the library reads whatever a guest sent. */
#define GFXSTREAM_OP_MAX_BYTES 64

typedef void (*gfxstream_fence_fn)(void *user_data, struct gfxstream_fence *fence);
typedef void (*gfxstream_debug_fn)(void *user_data, struct gfxstream_debug *debug);

/*
 * X(type, name, arguments) for each stream_renderer_<name>(). An int is 0, or
 * an error: negative in most functions and positive in some.
 */
#define GFXSTREAM_LIBRARY_FUNCTIONS(X)                                                             \
	X(int, init, (struct gfxstream_param * params, uint64_t n_params))                         \
	X(int, resource_create,                                                                    \
	  (struct gfxstream_resource_args * args, struct iovec * iov, uint32_t n_iov))             \
	X(void, resource_unref, (uint32_t id))                                                     \
	X(int, resource_attach_iov, (int id, struct iovec *iov, int n_iov))                        \
	X(int, transfer_read_iov,                                                                  \
	  (uint32_t id, uint32_t ctx_id, uint32_t level, uint32_t stride, uint32_t layer_stride,   \
	   struct gfxstream_box * box, uint64_t offset, struct iovec * iov, int n_iov))            \
	X(int, transfer_write_iov,                                                                 \
	  (uint32_t id, uint32_t ctx_id, int level, uint32_t stride, uint32_t layer_stride,        \
	   struct gfxstream_box *box, uint64_t offset, struct iovec *iov, unsigned int n_iov))     \
	X(int, context_create,                                                                     \
	  (uint32_t ctx_id, uint32_t name_bytes, const char *name, uint32_t context_init))         \
	X(void, context_destroy, (uint32_t ctx_id))                                                \
	X(void, ctx_attach_resource, (int ctx_id, int id))                                         \
	X(void, ctx_detach_resource, (int ctx_id, int id))                                         \
	X(int, submit_cmd, (struct gfxstream_command * command))                                   \
	X(void, get_cap_set, (uint32_t set, uint32_t * max_version, uint32_t * max_size))          \
	X(void, fill_caps, (uint32_t set, uint32_t version, void *caps))                           \
	X(int, create_blob,                                                                        \
	  (uint32_t ctx_id, uint32_t id, const struct gfxstream_blob_args *args,                   \
	   const struct iovec *iov, uint32_t n_iov, const struct gfxstream_handle *handle))        \
	X(int, export_blob, (uint32_t id, struct gfxstream_handle * handle))                       \
	X(int, resource_map_info, (uint32_t id, uint32_t * map_info))                              \
	X(int, create_fence, (const struct gfxstream_fence *fence))

struct gfxstream_library {
#define X(type, name, arguments) type(*name) arguments;
	GFXSTREAM_LIBRARY_FUNCTIONS(X)
#undef X
};

/* To be read only after gfxstream_library_load() has returned 0. */
extern struct gfxstream_library gfxstream_library;

/*
 * path: where it is, or NULL: where the linker finds it. On the device thread,
 * as often as wanted, with the same path. 0 or -errno after log_failure().
 */
int gfxstream_library_load(const char *path) G_GNUC_WARN_UNUSED_RESULT;
