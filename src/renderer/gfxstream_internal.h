/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * What the gfxstream_*.c files share; nobody else includes this. All of it is
 * for the device thread, but for what the library calls back.
 */
#pragma once

#include <stdatomic.h>

#include "renderer/gfxstream_library.h"
#include "renderer/impls.h"
#include "renderer/timelines.h"

struct gfxstream_pipe; /* gfxstream_pipe.c; reference-counted */

struct gfxstream_context { /* owned by gfxstream.contexts */
	uint32_t id;
	GHashTable *attached; /* set of ids of resources that the library has attached */
	/* blob_id -> struct resource_desc, owned: pictures that no blob was made of yet */
	GHashTable *pending;
	struct gfxstream_pipe *pipe; /* owned reference */
};

/* What the library makes of the arguments that a resource is created with. */
enum gfxstream_kind {
	GFXSTREAM_PICTURE,
	GFXSTREAM_BUFFER,
	GFXSTREAM_PIPE,
	GFXSTREAM_BLOB,	      /* of the host's memory */
	GFXSTREAM_GUEST_BLOB, /* ours alone: the library has no such resource */
};

struct gfxstream_resource { /* owned by gfxstream.resources */
	uint32_t id;
	enum gfxstream_kind kind;
	struct resource_desc desc;
	uint32_t texel_bytes;		/* in the library; 0: nothing is copied to or from it */
	enum pixel_format pixel_format; /* PIXEL_NONE: no picture can be read from it */
	const struct backing *backing;	/* borrowed; NULL while none is attached */
	struct frame *frame;		/* owned reference; NULL until first read */
	struct quota *quota;		/* borrowed */
	uint64_t charged_bytes;		/* of the quota */
	/*
	 * A context has had it, so that what it has drawn may not be in the room
	 * that the library copies through.
	 */
	bool is_shared;
	struct gfxstream_pipe *pipe; /* owned reference: of the context that had it last */

	/* Of a blob: */
	bool is_ring;	       /* it can be one that a context's commands are in */
	bool has_thread;       /* the library has one for it */
	int fd;		       /* owned, or -1: others can't map it */
	uint64_t offset_bytes; /* where in fd it begins */
	uint32_t map_info;     /* VIRTIO_GPU_MAP_CACHE_* */
	unsigned int *n_blobs; /* gfxstream.n_blobs, which counts this one; or NULL */
};

struct gfxstream {
	struct renderer base;
	GHashTable *resources; /* id -> struct gfxstream_resource, owned */
	GHashTable *contexts;  /* id -> struct gfxstream_context, owned */
	unsigned int n_blobs;  /* of the host's memory, each a descriptor at most */
	uint32_t flags;	       /* that the library was started with */
	uint64_t ring_bytes;   /* that it takes for granted of a ring */
	/*
	 * Set of ids. The library has pictures of these that it can't be rid of,
	 * and would end the process for another of that id.
	 */
	GHashTable *spoiled_ids;
	struct timelines timelines;
	int wake_fd;	      /* owned */
	atomic_bool is_woken; /* wake_fd was written and not yet read */
	uint8_t *command;     /* owned: room for one, and for what the library reads beyond it */
};

static inline struct gfxstream *gfxstream_from_base(struct renderer *r)
{
	g_assert(r->impl == &gfxstream_impl);
	return (struct gfxstream *)(void *)r;
}

extern const struct renderer_profile gfxstream_profile; /* gfxstream_profile.c */

/*
 * gfxstream_start.c. The library, started for options, and what it offers. It
 * can be started once in the life of a process, so that a second renderer gets
 * it as it runs, if it is for the same. 0 or -errno after log_failure().
 */
int gfxstream_start(struct gfxstream *gfxstream,
		    const struct renderer_options *options) G_GNUC_WARN_UNUSED_RESULT;
/* It calls this renderer back no more; it runs on. */
void gfxstream_leave(struct gfxstream *gfxstream);

/* gfxstream_log.c: param of GFXSTREAM_PARAM_DEBUG_CALLBACK. */
void gfxstream_log_callback(void *user_data, struct gfxstream_debug *debug);

/* gfxstream_fence.c: 0 or -errno after log_failure(). */
int gfxstream_fences_init(struct gfxstream *gfxstream) G_GNUC_WARN_UNUSED_RESULT;
void gfxstream_fences_finish(struct gfxstream *gfxstream);
/* On any thread, with locks of the library's held, or inside of create_fence(). */
void gfxstream_fences_signal(struct gfxstream *gfxstream, const struct gfxstream_fence *fence);
void gfxstream_fences_drop_context(struct gfxstream *gfxstream, uint32_t ctx_id);
enum gpu_resp gfxstream_fence_create(struct renderer *r, const struct renderer_fence *fence);
void gfxstream_dispatch(struct renderer *r);

/* gfxstream_resource.c */
struct gfxstream_resource *gfxstream_resource_find(struct gfxstream *gfxstream, uint32_t id);
void gfxstream_resource_free(void *resource);
/* OK_NODATA, and what it is: arguments with which the library does no harm. */
enum gpu_resp gfxstream_resource_check(const struct resource_desc *desc,
				       enum gfxstream_kind *kind_out);
/* What the library, the driver and we take for it; of a checked description. */
uint64_t gfxstream_resource_estimate(const struct resource_desc *desc, enum gfxstream_kind kind);
enum gpu_resp gfxstream_resource_create(struct renderer *r, uint32_t id,
					const struct resource_desc *desc);
void gfxstream_resource_destroy(struct renderer *r, uint32_t id);
enum gpu_resp gfxstream_resource_attach(struct renderer *r, uint32_t id,
					const struct backing *backing);
void gfxstream_resource_detach(struct renderer *r, uint32_t id);

/* gfxstream_pipe.c */
struct gfxstream_pipe *gfxstream_pipe_create(void);
struct gfxstream_pipe *gfxstream_pipe_ref(struct gfxstream_pipe *pipe);
void gfxstream_pipe_unref(struct gfxstream_pipe *pipe); /* NULL is fine */
/* Can the guest write what it likes? */
bool gfxstream_pipe_is_stream(const struct gfxstream_pipe *pipe);
/* Else: may it write these bytes, our own copy of the guest's? They are written, then. */
bool gfxstream_pipe_take(struct gfxstream_pipe *pipe, const void *bytes, size_t size_bytes);
/* May it read so many? They are read, then. */
bool gfxstream_pipe_give(struct gfxstream_pipe *pipe, size_t size_bytes);

/* gfxstream_transfer.c */
/* Of any format; what one is taken to have that is not known. */
#define GFXSTREAM_MAX_TEXEL_BYTES 8
/* Bytes of a texel of a library's format; 0: it is not known, or not that simple. */
uint32_t gfxstream_texel_bytes(uint32_t format);
/* What the library is to have to copy through. */
uint64_t gfxstream_room_bytes(const struct gfxstream_resource *resource);
/* So that it has that, of a resource that it has. False: it refuses. */
bool gfxstream_make_room(const struct gfxstream_resource *resource);
/*
 * One copy by the library. iov is a list in the layout of the whole resource, as
 * long as to the end of rect at least. What is not whole rows takes, or gives,
 * what is between them as well.
 */
enum gpu_resp gfxstream_copy(const struct gfxstream_resource *resource, uint32_t ctx_id,
			     const struct rect *rect, struct iovec *iov, size_t n_iov,
			     bool to_host);
enum gpu_resp gfxstream_transfer_2d(struct renderer *r, uint32_t id, const struct rect *rect,
				    uint64_t offset_bytes);
enum gpu_resp gfxstream_transfer_3d(struct renderer *r, uint32_t id,
				    const struct transfer_3d *transfer);

/* gfxstream_read.c */
enum gpu_resp gfxstream_resource_read(struct renderer *r, uint32_t id, const struct rect *damage,
				      struct frame **frame_out);

/* gfxstream_blob.c */
extern const struct renderer_blob_impl gfxstream_blob_impl;

/* gfxstream_context.c */
extern const struct renderer_context_impl gfxstream_context_impl;
void gfxstream_context_free(void *context);
struct gfxstream_context *gfxstream_context_find(struct gfxstream *gfxstream, uint32_t id);
void gfxstream_contexts_destroy_all(struct gfxstream *gfxstream);
/* Before the resource goes. */
void gfxstream_contexts_detach(struct gfxstream *gfxstream, uint32_t resource_id);

/* gfxstream_submit.c: the longest command that a context is sent. */
#define GFXSTREAM_MAX_COMMAND_BYTES (64u << 10)
enum gpu_resp gfxstream_submit(struct renderer *r, uint32_t ctx_id, void *commands,
			       size_t size_bytes);
