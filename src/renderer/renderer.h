/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * What draws: the contract between the device and a rendering library.
 *
 * All calls and all upcalls are on the device thread. The device has checked
 * what the virtio specification lets it check before it calls: ids are not 0,
 * new ids are new and others exist, rectangles and boxes lie inside their
 * resource, a 2D resource has one of the eight 2D formats. What only the
 * library can know (3D formats, bindings, command streams) the implementation
 * passes on as the guest sent it, and answers with an error if the library
 * refuses.
 *
 * A renderer never sees a virtqueue, a scanout or a socket.
 */
#pragma once

#include <glib.h>
#include <linux/virtio_gpu.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include "util/dmabuf.h"
#include "util/frame.h"
#include "util/lockdown.h"
#include "util/pixels.h"
#include "util/quota.h"
#include "util/rect.h"

/*
 * What a command is answered with: VIRTIO_GPU_RESP_* of virtio 1.3 §5.7.6.7.
 * GPU_RESP_PENDING is ours: the answer comes later, from another object.
 */
enum gpu_resp {
	GPU_RESP_PENDING = 0,
	GPU_RESP_OK_NODATA = VIRTIO_GPU_RESP_OK_NODATA,
	GPU_RESP_OK_DISPLAY_INFO = VIRTIO_GPU_RESP_OK_DISPLAY_INFO,
	GPU_RESP_OK_CAPSET_INFO = VIRTIO_GPU_RESP_OK_CAPSET_INFO,
	GPU_RESP_OK_CAPSET = VIRTIO_GPU_RESP_OK_CAPSET,
	GPU_RESP_OK_EDID = VIRTIO_GPU_RESP_OK_EDID,
	GPU_RESP_OK_RESOURCE_UUID = VIRTIO_GPU_RESP_OK_RESOURCE_UUID,
	GPU_RESP_OK_MAP_INFO = VIRTIO_GPU_RESP_OK_MAP_INFO,
	GPU_RESP_ERR_UNSPEC = VIRTIO_GPU_RESP_ERR_UNSPEC,
	GPU_RESP_ERR_OUT_OF_MEMORY = VIRTIO_GPU_RESP_ERR_OUT_OF_MEMORY,
	GPU_RESP_ERR_INVALID_SCANOUT_ID = VIRTIO_GPU_RESP_ERR_INVALID_SCANOUT_ID,
	GPU_RESP_ERR_INVALID_RESOURCE_ID = VIRTIO_GPU_RESP_ERR_INVALID_RESOURCE_ID,
	GPU_RESP_ERR_INVALID_CONTEXT_ID = VIRTIO_GPU_RESP_ERR_INVALID_CONTEXT_ID,
	GPU_RESP_ERR_INVALID_PARAMETER = VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER,
};

#define RENDERER_MAX_CAPSETS 8
/* Largest capset blob that is handed to a guest. virgl2's is about 1.5 KB. */
#define RENDERER_MAX_CAPSET_BYTES 65536

enum renderer_capset_id {
	RENDERER_CAPSET_VIRGL = 1,
	RENDERER_CAPSET_VIRGL2 = 2,
	RENDERER_CAPSET_GFXSTREAM_VULKAN = 3,
	RENDERER_CAPSET_VENUS = 4,
	RENDERER_CAPSET_DRM = 6,
	RENDERER_CAPSET_GFXSTREAM_GLES = 8,
};

struct renderer_options {
	uint32_t capset_mask; /* bit n: capset id n may be offered; 0: all that work */
	bool use_egl;
	bool use_glx;
	bool use_gles;
	bool use_surfaceless;
	const char *gpu_device; /* path of a DRM render node, or NULL */
	const char *shader_cache; /* folder for what shader compilers make; NULL: they keep nothing */
	const char *library; /* path of the library to load, or NULL: where the linker finds it */
	/*
	 * A connected socket to a render server of this renderer's own, which it
	 * takes, whatever becomes of it; 0: there is none, and no Venus.
	 */
	int server_fd;
};

struct renderer_capset {
	uint32_t id; /* enum renderer_capset_id */
	uint32_t max_version;
	uint32_t max_size_bytes;
};

/* What this renderer can do on this host. Plain data: the probe sends it through a pipe. */
struct renderer_caps {
	uint64_t features; /* 1 << VIRTIO_GPU_F_VIRGL, _CONTEXT_INIT */
	uint32_t n_capsets;
	struct renderer_capset capsets[RENDERER_MAX_CAPSETS];
	uint32_t can_export; /* it has blobs whose memory others can map */
	uint32_t needs_server; /* it has what a renderer_server is for */
};

/* As the guest asked for it; 2D resources have target 2, depth and array_size 1. */
struct resource_desc {
	bool is_2d;
	uint32_t target; /* enum pipe_texture_target */
	uint32_t format; /* enum virtio_gpu_formats, for 3D enum virgl_formats */
	uint32_t bind;
	uint32_t width, height, depth;
	uint32_t array_size;
	uint32_t last_level;
	uint32_t nr_samples;
	uint32_t flags; /* VIRTIO_GPU_RESOURCE_FLAG_Y_0_TOP */
};

/* Guest pages of a resource, in order. */
struct backing {
	struct iovec *iov; /* array and pages borrowed by the renderer until detached */
	size_t n_iov;
	uint64_t size_bytes;
};

/* As the guest asked for it (virtio 1.3 §5.7.6.8, RESOURCE_CREATE_BLOB), checked. */
struct blob_desc {
	uint32_t mem;	/* VIRTIO_GPU_BLOB_MEM_* */
	uint32_t flags; /* VIRTIO_GPU_BLOB_FLAG_* */
	uint64_t blob_id;    /* the context's name for the memory; 0 for GUEST */
	uint64_t size_bytes; /* not 0 */
	uint32_t ctx_id;     /* an existing context; 0 for GUEST */
};

/* Memory of a blob, for others to map. */
struct renderer_export {
	int fd; /* owned by who gets this */
	uint64_t offset_bytes; /* where in the file the blob begins */
	uint32_t map_info;     /* VIRTIO_GPU_MAP_CACHE_*: how the guest is to map it */
};

struct transfer_3d {
	uint32_t ctx_id; /* 0 or an existing context */
	uint32_t level;
	uint32_t stride;       /* bytes; 0: tightly packed */
	uint32_t layer_stride; /* bytes; 0: tightly packed */
	uint64_t offset;       /* bytes, into the backing */
	struct virtio_gpu_box box; /* host byte order */
	bool to_host;
};

/*
 * A point in a timeline. seq is ours: it starts at 1, only grows over the life
 * of the renderer, and is never used twice; the guest's ids stay in the device.
 */
struct renderer_fence {
	uint32_t ctx_id;
	bool has_ring; /* ring of ctx_id; else the one global timeline */
	uint8_t ring_idx;
	uint64_t seq;
};

/* Of OpenGL, as it says of itself. */
enum renderer_text {
	RENDERER_GL_VENDOR,
	RENDERER_GL_RENDERER,
	RENDERER_GL_VERSION,
	RENDERER_N_TEXTS,
};

struct renderer;

struct renderer_listener {
	/*
	 * fence and all before it on its timeline are done. May come more than
	 * once, and only from inside renderer_dispatch().
	 */
	void (*fence_signaled)(void *data, const struct renderer_fence *fence);
	/*
	 * From inside a long call: others may have their turn. They may call
	 * resource_read() for other resources, and nothing else.
	 */
	void (*breathe)(void *data);
};

/* Contexts, 3D resources and command streams. */
struct renderer_context_impl {
	/* capset_id: low byte of context_init, 0 for the default. name: n bytes, no NUL inside. */
	enum gpu_resp (*create)(struct renderer *r, uint32_t ctx_id, uint32_t capset_id,
				const char *name, size_t name_bytes);
	void (*destroy)(struct renderer *r, uint32_t ctx_id);
	void (*attach_resource)(struct renderer *r, uint32_t ctx_id, uint32_t resource_id);
	void (*detach_resource)(struct renderer *r, uint32_t ctx_id, uint32_t resource_id);
	/* commands is ours to the last byte (no guest can change it) and 8-byte aligned. */
	enum gpu_resp (*submit)(struct renderer *r, uint32_t ctx_id, void *commands,
				size_t size_bytes);
	enum gpu_resp (*transfer)(struct renderer *r, uint32_t resource_id,
				  const struct transfer_3d *transfer);
	/* Fills exactly capset->max_size_bytes. version <= capset->max_version. */
	enum gpu_resp (*get_capset)(struct renderer *r, const struct renderer_capset *capset,
				    uint32_t version, void *capset_out);
};

/* Blobs, of a renderer that has to know of them. */
struct renderer_blob_impl {
	/*
	 * backing: the guest's pages, at least size_bytes of them, attached as by
	 * resource_attach() on success; NULL for HOST3D. The implementation
	 * charges memory of the host's to its quota. ERR_INVALID_PARAMETER: the
	 * context has no such memory.
	 */
	enum gpu_resp (*create)(struct renderer *r, uint32_t id, const struct blob_desc *desc,
				const struct backing *backing);
	/*
	 * A new descriptor of the same memory each time. ERR_UNSPEC: it has none
	 * that others can map. Not called for GUEST.
	 */
	enum gpu_resp (*export)(struct renderer *r, uint32_t id, struct renderer_export *export_out);
};

/* A program that the library of an implementation has beside it, on a socket, to render by. */
struct renderer_server {
	/*
	 * The path of the program, owned by the caller, where options and this
	 * host have a use for it; else NULL, after log_info() if it is the host.
	 */
	char *(*find)(const struct renderer_options *options);
	/*
	 * A library of ours that the program is to load as well, owned by the
	 * caller; NULL: none. The same before and after a process is locked down.
	 */
	char *(*find_library)(void);
	/* In the process that is to run it: become the program. Only if it can't, -errno. */
	int (*become)(const struct renderer_options *options, const char *path, int socket_fd);
	/* Of it and of processes that it starts: besides, and instead of, the library's. */
	const char *const *files;
	const char *const *variables;
	const char *const *calls;
};

/* Pictures in memory that a display can have by a descriptor. */
struct renderer_dmabuf_impl {
	/*
	 * All of a 2D texture's level 0, as it lies; *fd_out is the caller's. The
	 * memory stays the resource's. ERR_INVALID_PARAMETER: it is a blob of which
	 * the guest alone knows what lies there, and how. Another error: it can't be
	 * had, now or later.
	 */
	enum gpu_resp (*export)(struct renderer *r, uint32_t id, struct dmabuf_layout *layout_out,
				int *fd_out);
	/* Return when all that was drawn into it so far is there to be seen. */
	void (*complete)(struct renderer *r, uint32_t id);
};

/*
 * What a sandbox has to leave to the library of an implementation. Lists end
 * with NULL. Patterns are glob(3)'s with {a,b}; what is not there is no matter.
 */
struct renderer_profile {
	const char *const *calls;	 /* as in util/lockdown.h */
	const char *const *window_calls; /* with use_glx, besides */
	const char *const *cache_calls;	 /* with shader_cache, besides */
	const char *const *files;	 /* patterns, to be read; folders with all beneath */
	const char *const *folders;	 /* patterns: what names there are in them */
	const char *const *variables;	 /* of the environment: paths to be read, with ':' between */
	const char *const *more_variables; /* besides; or NULL */
	const char *const *devices;	 /* patterns of nodes */
	const char *const *gpu_devices;	 /* the same, unless gpu_device says which */
	/* The same, unless gpu_device is another driver's in the kernel. */
	const char *driver;
	const char *const *driver_devices;
	const struct renderer_server *server; /* or NULL */
	/* What is wrong, and would help, where it crashes or hangs while it starts. */
	const char *start_help;
	/*
	 * Warns of what the host has and this user can't use. Once, in the process that starts,
	 * before anything of the renderer is loaded.
	 */
	void (*advise)(const struct renderer_options *options);
};

struct renderer_impl {
	const char *name; /* as --gpu-mode has it */
	/* It runs code that may hang or crash where a GPU driver is broken. */
	bool is_foreign;
	bool is_blind; /* there is never a picture of anything */
	/* Of foreign code, and only of that. */
	const struct renderer_profile *profile;

	/*
	 * Start the library. Returns 0 or -errno, after log_failure() has said
	 * what failed and what would help. Everything is torn down on failure.
	 */
	int (*create)(const struct renderer_options *options, struct quota *quota,
		      struct renderer **renderer_out);
	void (*destroy)(struct renderer *r);

	/* The implementation charges its own memory for pixels to its quota. */
	enum gpu_resp (*resource_create)(struct renderer *r, uint32_t id,
					 const struct resource_desc *desc);
	/* The backing, if any, was detached before. */
	void (*resource_destroy)(struct renderer *r, uint32_t id);
	/* backing is borrowed until resource_detach() returns. */
	enum gpu_resp (*resource_attach)(struct renderer *r, uint32_t id,
					 const struct backing *backing);
	void (*resource_detach)(struct renderer *r, uint32_t id);

	/*
	 * TRANSFER_TO_HOST_2D: copy rect from the attached backing, whose row of
	 * the rectangle's top left pixel begins at offset_bytes and whose rows
	 * are a resource's width apart. The device has checked that the backing
	 * holds all of it. Called for 2D resources only.
	 */
	enum gpu_resp (*transfer_2d)(struct renderer *r, uint32_t id, const struct rect *rect,
				     uint64_t offset_bytes);

	/*
	 * The picture of a resource, with damage (inside it) up to date. On
	 * OK_NODATA *frame_out is the resource's size and a new reference; it
	 * is a8r8g8b8; of 2D formats without alpha the fourth byte is what the
	 * guest left there, because Linux draws its cursors so. OK_NODATA with
	 * NULL: nothing to show (null). Called for resources on scanouts and
	 * cursors, 2D textures of level 0.
	 */
	enum gpu_resp (*resource_read)(struct renderer *r, uint32_t id, const struct rect *damage,
				       struct frame **frame_out);

	/* Optional. NULL: 2D only, and 3D commands are answered ERR_UNSPEC. */
	const struct renderer_context_impl *context;
	/*
	 * Optional. NULL: there are GUEST blobs only, and this renderer is told
	 * nothing of them. Of blobs resource_read() may have no picture
	 * (ERR_INVALID_PARAMETER); the device then looks at their memory.
	 */
	const struct renderer_blob_impl *blob;
	/* Optional. NULL: pictures can be read, and no more. */
	const struct renderer_dmabuf_impl *dmabuf;

	/*
	 * Optional, together. fence_create: signal fence when everything given
	 * to its timeline so far is done; a failure makes the fence done at
	 * once. NULL: every command is done when its call returns. dispatch:
	 * deliver what was signalled since; cheap when there is nothing. Fences
	 * of a context that is destroyed need not be signalled.
	 */
	enum gpu_resp (*fence_create)(struct renderer *r, const struct renderer_fence *fence);
	void (*dispatch)(struct renderer *r);
};

/* First member of each implementation. */
struct renderer {
	const struct renderer_impl *impl;
	struct renderer_caps caps; /* filled by create */
	const struct renderer_listener *listener;
	void *listener_data;
	int event_fd; /* polls readable while dispatch has work, never read by others; or -1 */
	struct quota *quota; /* borrowed */
	/* g_get_monotonic_time() since when fences are due and none was signalled; 0: none is due */
	gint64 awaited_since_us;
	/* Filled by create, static or of the library's: what draws; NULL: it does not say. */
	const char *texts[RENDERER_N_TEXTS];
};

/* NULL: it is not offered. Borrowed of caps. */
const struct renderer_capset *renderer_find_capset(const struct renderer_caps *caps, uint32_t id);

/* By --gpu-mode's name or NULL. */
const struct renderer_impl *renderer_find(const char *mode);

int renderer_create(const struct renderer_impl *impl, const struct renderer_options *options,
		    struct quota *quota, struct renderer **renderer_out) G_GNUC_WARN_UNUSED_RESULT;
void renderer_destroy(struct renderer *r); /* NULL is fine */
void renderer_set_listener(struct renderer *r, const struct renderer_listener *listener,
			   void *data);
void renderer_dispatch(struct renderer *r);

/* For implementations: every few hundred microseconds of work. */
void renderer_breathe(struct renderer *r);

/* For implementations: what a library's 0, errno or -errno is to the guest. */
enum gpu_resp renderer_resp_from_error(int error);

/* For implementations: fills the base, event_fd -1. Asserts the mandatory members. */
void renderer_init(struct renderer *r, const struct renderer_impl *impl, struct quota *quota);

/*
 * The format, with alpha always, that has its colours where a virtio 2D format
 * has them. False: not one of the eight. has_alpha_out may be NULL.
 */
bool renderer_format_info(uint32_t virtio_format, enum pixel_format *format_out,
			  bool *has_alpha_out);
