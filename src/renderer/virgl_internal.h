/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * What the virgl_*.c files share; nobody else includes this. All of it is for
 * the device thread, except virgl_fences_callback() and the log callback.
 */
#pragma once

#include <pthread.h>
#include <stdatomic.h>

#include "renderer/impls.h"
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

struct virgl_resource { /* owned by virgl.resources */
	uint32_t id;
	struct resource_desc desc;
	uint32_t pixman_format; /* 0: no picture can be read from it */
	const struct backing *backing; /* borrowed; NULL while none is attached */
	struct frame *frame;	       /* owned reference; NULL until first read */
	struct quota *quota;	       /* borrowed */
	uint64_t charged_bytes;	       /* of the quota, for the texture or buffer */
};

extern const struct renderer_profile virgl_profile; /* virgl_profile.c */

/* virgl_cache.c: before the library is loaded. NULL: nothing is kept. */
void virgl_cache_choose(const char *folder);

struct virgl {
	struct renderer base;
	GHashTable *resources; /* id -> struct virgl_resource, owned */
	GHashTable *contexts;  /* set of ids */
	int gpu_fd;	       /* owned, or -1 */
	struct virgl_fences fences;
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

/* virgl_host.c: 0 or -errno after log_failure(). */
int virgl_host_check(const struct renderer_options *options) G_GNUC_WARN_UNUSED_RESULT;
int virgl_host_open_gpu(const char *path, int *fd_out) G_GNUC_WARN_UNUSED_RESULT;
void virgl_host_log_init_failure(const struct renderer_options *options);

/* virgl_log.c: the library's messages become ours. */
void virgl_log_install(void);
void virgl_log_capture(bool on);
/* The last line since capture began; empty if there was none. */
const char *virgl_log_last_line(char *buffer, size_t size);

/*
 * virgl_fence.c. init before, start after virgl_renderer_init(). After start's
 * -ETIMEDOUT the library can't be cleaned up.
 */
int virgl_fences_init(struct virgl_fences *fences) G_GNUC_WARN_UNUSED_RESULT;
int virgl_fences_start(struct virgl_fences *fences) G_GNUC_WARN_UNUSED_RESULT;
void virgl_fences_finish(struct virgl_fences *fences);
void virgl_fences_callback(struct virgl_fences *fences, uint32_t library_id);
/* True once the library owes nothing; gives up after timeout_ms. */
bool virgl_fences_drain(struct virgl_fences *fences, int timeout_ms);
/* To be called after each context the library destroyed. */
void virgl_fences_guard(struct virgl_fences *fences);
enum gpu_resp virgl_fence_create(struct renderer *r, const struct renderer_fence *fence);
void virgl_dispatch(struct renderer *r);

/* virgl_resource.c */
void virgl_resource_free(void *resource);
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

/* virgl_size.c: bytes, of a description that virgl_resource_create() has checked. */
uint64_t virgl_size_estimate(const struct resource_desc *desc);

/* virgl_read.c */
uint32_t virgl_read_format(const struct resource_desc *desc);
enum gpu_resp virgl_resource_read(struct renderer *r, uint32_t id, const struct rect *damage,
				  struct frame **frame_out);

/* virgl_dmabuf.c */
extern const struct renderer_dmabuf_impl virgl_dmabuf_impl;

/* virgl_context.c */
extern const struct renderer_context_impl virgl_context_impl;
void virgl_contexts_destroy_all(struct virgl *virgl);
