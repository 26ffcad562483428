/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * What the virgl_*.c files share; nobody else includes this. All of it is for
 * the device thread, except virgl_fences_callback() and the log callback.
 */
#pragma once

#include <pthread.h>
#include <stdatomic.h>

#include "renderer/impls.h"
#include "renderer/timelines.h"
#include "renderer/virgl_library.h"

/* Fences given to the library and not yet reported, oldest first. */
struct virgl_fences {
	GQueue pending;	   /* of struct pending_fence, owned */
	uint64_t issued;   /* serial of the newest given to the library */
	uint64_t reported; /* all up to this serial were reported */
	_Atomic uint64_t retired; /* written by the callback, on whichever thread */
	atomic_bool is_woken;	  /* wake_fd was written and not yet read */
	int epoll_fd; /* owned; what the device loop watches */
	int wake_fd;  /* owned; the callback writes it */
	int timer_fd; /* owned; -1 unless the library must be asked by the clock */
	int poll_fd;  /* the library's, or -1 */
	pthread_t device_thread;
	atomic_bool is_async; /* the last fence came on a thread of the library's */
};

struct virgl_context { /* owned by virgl.contexts */
	uint32_t id;
	uint32_t capset_id; /* enum renderer_capset_id; never 0 */
	uint64_t number;    /* of this context and no other one, whatever its id */
	uint64_t charged_bytes;
	bool is_lost; /* the library has it no more */
};

struct virgl_resource { /* owned by virgl.resources */
	uint32_t id;
	bool is_blob;
	bool is_flat; /* virgl.flat has it, and the library has not */
	/* A blob's: the context that it came from and is attached to ever since, or 0. */
	uint64_t context_number;
	uint64_t blob_bytes;
	struct resource_desc desc; /* of a blob what the library has made of it, or all 0 */
	enum pixel_format pixel_format; /* PIXEL_NONE: no picture can be read from it */
	const struct backing *backing; /* borrowed; NULL while none is attached */
	struct frame *frame;	       /* owned reference; NULL until first read */
	struct quota *quota;	       /* borrowed */
	uint64_t charged_bytes;	       /* of the quota, for the texture or buffer */
	unsigned int *n_files; /* virgl.n_files, which counts this one; or NULL */
};

#define VIRGL_RENDER_NODES "/dev/dri/renderD*" /* a pattern for glob(3) */

extern const struct renderer_profile virgl_profile; /* virgl_profile.c */
extern const struct renderer_server virgl_server;   /* virgl_server.c */

struct virgl {
	struct renderer base;
	GHashTable *resources; /* id -> struct virgl_resource, owned */
	GHashTable *contexts;  /* id -> struct virgl_context, owned */
	uint64_t last_context_number;
	unsigned int n_files; /* resources that the library has as a descriptor, at most */
	int flags;	       /* that the library was started with */
	int gpu_fd;	       /* owned, or -1 */
	int server_fd;	       /* owned, or -1 */
	struct renderer *flat; /* owned: 2D where the library has no GL; else NULL */
	struct virgl_fences fences;
	struct timelines timelines; /* of contexts that have some of their own */
};

/* The library's own, which its public header only declares. */
struct virgl_box {
	uint32_t x, y, z;
	uint32_t w, h, d;
};

static inline struct virgl *virgl_from_base(struct renderer *r)
{
	g_assert(r->impl == &virgl_impl);
	return (struct virgl *)(void *)r;
}

static inline bool virgl_has_gl(const struct virgl *virgl)
{
	return (virgl->flags & VIRGL_RENDERER_NO_VIRGL) == 0;
}

/* virgl_start.c */
bool virgl_wants(const struct renderer_options *options, uint32_t capset_id);
bool virgl_wants_gl(const struct renderer_options *options);
/*
 * The library, with as much as it can of what options ask for.
 * 0 or -errno after log_failure().
 */
int virgl_start_library(struct virgl *virgl,
			const struct renderer_options *options) G_GNUC_WARN_UNUSED_RESULT;
/* What it offers now that it runs. */
void virgl_fill_caps(struct virgl *virgl, const struct renderer_options *options);

/* virgl_host.c: 0 or -errno after log_failure(). */
void virgl_host_advise(const struct renderer_options *options);
int virgl_host_check(const struct renderer_options *options) G_GNUC_WARN_UNUSED_RESULT;
int virgl_host_open_gpu(const char *path, int *fd_out) G_GNUC_WARN_UNUSED_RESULT;
void virgl_host_log_init_failure(const struct renderer_options *options);
/* What the GL of this thread's context says of itself; NULL where it says nothing. */
void virgl_host_describe_gl(const char *texts_out[RENDERER_N_TEXTS]);

/* virgl_log.c: the library's messages become ours. */
void virgl_log_install(void);

/*
 * virgl_fence.c. init before, start after virgl_renderer_init(). After start's
 * -ETIMEDOUT the library can't be cleaned up. Without GL there are none.
 */
int virgl_fences_init(struct virgl_fences *fences) G_GNUC_WARN_UNUSED_RESULT;
int virgl_fences_start(struct virgl_fences *fences, bool has_gl) G_GNUC_WARN_UNUSED_RESULT;
void virgl_fences_finish(struct virgl_fences *fences);
void virgl_fences_callback(struct virgl_fences *fences, uint32_t library_id);
/* Fences became due or were dropped; is_progress: some were signalled. */
void virgl_fences_note(struct virgl *virgl, bool is_progress);
/* From any thread: dispatch has work. fences is a struct virgl_fences. */
void virgl_fences_wake(void *fences);
/* True once the library owes nothing; gives up after timeout_ms. */
bool virgl_fences_drain(struct virgl_fences *fences, int timeout_ms);
/* To be called after each context the library destroyed. */
void virgl_fences_guard(struct virgl_fences *fences);
enum gpu_resp virgl_fence_create(struct renderer *r, const struct renderer_fence *fence);
void virgl_dispatch(struct renderer *r);

/*
 * virgl_timeline.c. Of context, which has timelines: as renderer_impl.fence_create.
 * The callback may come on any thread; all else is the device thread's.
 */
enum gpu_resp virgl_timelines_add(struct virgl *virgl, struct virgl_context *context,
				  const struct renderer_fence *fence);
void virgl_timelines_callback(struct virgl *virgl, uint32_t ctx_id, uint32_t ring_idx,
			      uint64_t seq);
/* As timelines_drop(). */
void virgl_timelines_drop(struct virgl *virgl, uint32_t ctx_id);

/* virgl_blob.c */
extern const struct renderer_blob_impl virgl_blob_impl;
/* Can others map, or import, what this resource has? */
bool virgl_blob_is_shareable(const struct virgl_resource *resource);

/* virgl_resource.c */
struct virgl_resource *virgl_resource_find(struct virgl *virgl, uint32_t id);
void virgl_resource_free(void *resource);
/* OK_NODATA: sizes with which the library does no harm. */
enum gpu_resp virgl_resource_check(const struct resource_desc *desc);
enum gpu_resp virgl_resource_create(struct renderer *r, uint32_t id,
				    const struct resource_desc *desc);
void virgl_resource_destroy(struct renderer *r, uint32_t id);
enum gpu_resp virgl_resource_attach(struct renderer *r, uint32_t id,
				    const struct backing *backing);
void virgl_resource_detach(struct renderer *r, uint32_t id);
enum gpu_resp virgl_transfer_2d(struct renderer *r, uint32_t id, const struct rect *rect,
				uint64_t offset_bytes);
enum gpu_resp virgl_transfer_3d(struct renderer *r, uint32_t id,
				const struct transfer_3d *transfer);

/* virgl_size.c: bytes, of a description that virgl_resource_check() has found sound. */
uint64_t virgl_size_estimate(const struct resource_desc *desc);

/* virgl_read.c */
enum pixel_format virgl_read_format(const struct resource_desc *desc);
enum gpu_resp virgl_resource_read(struct renderer *r, uint32_t id, const struct rect *damage,
				  struct frame **frame_out);

/* virgl_dmabuf.c */
extern const struct renderer_dmabuf_impl virgl_dmabuf_impl;

/* virgl_context.c */
extern const struct renderer_context_impl virgl_context_impl;
struct virgl_context *virgl_context_find(struct virgl *virgl, uint32_t id);
/* Its rings are timelines of their own, and its streams not virgl's. */
bool virgl_context_has_timelines(const struct virgl_context *context);
/* Its process is gone, if it has one: nothing but its end is to come. */
void virgl_context_lose(struct virgl *virgl, struct virgl_context *context);
void virgl_contexts_destroy_all(struct virgl *virgl);
