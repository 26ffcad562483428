/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * libvirglrenderer.so.1, loaded when a renderer is created and not before.
 * Its functions are called through the table, by their names without prefix.
 */
#pragma once

#define VIRGL_RENDERER_UNSTABLE_APIS
#include <virglrenderer.h>

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

/* What 0.10.4 has; X(name) for each virgl_renderer_<name>(). */
#define VIRGL_LIBRARY_FUNCTIONS(X)                                                                 \
	X(cleanup)                                                                                 \
	X(context_create)                                                                          \
	X(context_create_with_flags)                                                               \
	X(context_destroy)                                                                         \
	X(create_fence)                                                                            \
	X(ctx_attach_resource)                                                                     \
	X(ctx_detach_resource)                                                                     \
	X(fill_caps)                                                                               \
	X(force_ctx_0)                                                                             \
	X(get_cap_set)                                                                             \
	X(get_poll_fd)                                                                             \
	X(init)                                                                                    \
	X(poll)                                                                                    \
	X(resource_attach_iov)                                                                     \
	X(resource_create)                                                                         \
	X(resource_detach_iov)                                                                     \
	X(resource_unref)                                                                          \
	X(submit_cmd)                                                                              \
	X(transfer_read_iov)                                                                       \
	X(transfer_write_iov)

/*
 * What blobs take; all of it or nothing. 0.10.4 has it as well, but a library
 * may be built without.
 */
#define VIRGL_LIBRARY_BLOB_FUNCTIONS(X)                                                            \
	X(context_create_fence)                                                                    \
	X(resource_create_blob)                                                                    \
	X(resource_export_blob)                                                                    \
	X(resource_get_info)                                                                       \
	X(resource_get_map_info)

/*
 * The library takes flags and callbacks that it does not know for an error or
 * ignores them, so that these may be those of the header at hand, as long as
 * they mean the same to each version.
 */
G_STATIC_ASSERT(VIRGL_RENDERER_USE_EXTERNAL_BLOB == 1 << 5);
G_STATIC_ASSERT(VIRGL_RENDERER_VENUS == 1 << 6);
G_STATIC_ASSERT(VIRGL_RENDERER_NO_VIRGL == 1 << 7);
G_STATIC_ASSERT(VIRGL_RENDERER_ASYNC_FENCE_CB == 1 << 8);
G_STATIC_ASSERT(VIRGL_RENDERER_RENDER_SERVER == 1 << 9);
G_STATIC_ASSERT(VIRGL_RENDERER_DRM == 1 << 10);
/* Of the callbacks: up to 2 there are fences and a GPU's node; 3 has contexts' fences and a server.
 */
#define VIRGL_LIBRARY_CALLBACKS_BASE 2
#define VIRGL_LIBRARY_CALLBACKS_SERVER 3
G_STATIC_ASSERT(VIRGL_RENDERER_CALLBACKS_VERSION >= VIRGL_LIBRARY_CALLBACKS_SERVER);

/* 1.0's enum virgl_log_level_flags: the header that we are built with may be older. */
enum virgl_library_log_level {
	VIRGL_LIBRARY_LOG_LEVEL_DEBUG,
	VIRGL_LIBRARY_LOG_LEVEL_INFO,
	VIRGL_LIBRARY_LOG_LEVEL_WARNING,
	VIRGL_LIBRARY_LOG_LEVEL_ERROR,
};

/* 1.0's struct virgl_renderer_resource_info, which has a member more than 0.10's, and its _ext. */
struct virgl_library_info {
	uint32_t handle, virgl_format;
	uint32_t width, height, depth;
	uint32_t flags; /* VIRTIO_GPU_RESOURCE_FLAG_Y_0_TOP */
	uint32_t tex_id, stride;
	int drm_fourcc;
	int fd; /* the library's; not filled by 0.10 */
};

/* What resource_get_info() fills: it grows at its end. */
union virgl_library_info_room {
	struct virgl_library_info info;
	struct virgl_renderer_resource_info argument;
	char room[256];
};

struct virgl_library_info_ext { /* see the room below */
	int version; /* of this, set by the caller: 0 */
	struct virgl_library_info base;
	bool has_dmabuf_export;
	int planes;
	uint64_t modifiers;
	void *d3d_tex2d;
};

/* 1.0 has a driver fill in a modifier for each plane, where it has room for one. */
union virgl_library_info_ext_room {
	struct virgl_library_info_ext info;
	char room[256];
};

typedef void (*virgl_library_log_fn)(enum virgl_library_log_level level, const char *message,
				     void *user_data);

struct virgl_library {
#define X(name) __typeof__(virgl_renderer_##name) *name;
	VIRGL_LIBRARY_FUNCTIONS(X)
	VIRGL_LIBRARY_BLOB_FUNCTIONS(X)
#undef X

	/* NULL where the library hasn't got it: the first came with 1.0 to replace the second. */
	void (*set_log_callback)(virgl_library_log_fn callback, void *user_data,
				 void (*free_user_data)(void *user_data));
	virgl_debug_callback_type (*set_debug_callback)(virgl_debug_callback_type callback);
	__typeof__(virgl_renderer_get_fd_for_texture2) *get_fd_for_texture2;
	int (*resource_get_info_ext)(int id, struct virgl_library_info_ext *info); /* with 1.0 */
};

/* To be read only after virgl_library_load() has returned 0. */
extern struct virgl_library virgl_library;

/* On the device thread, as often as wanted. 0 or -errno after log_failure(). */
int virgl_library_load(void) G_GNUC_WARN_UNUSED_RESULT;

/* Has it all of the functions for blobs? */
bool virgl_library_has_blobs(void);
