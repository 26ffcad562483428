/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * 2D and OpenGL by virglrenderer, 0.10.4 to 1.3.
 *
 * The library is one per process, lives on the device thread, where its EGL
 * context stays current, and owns everything a guest makes. This adapter keeps
 * per resource only what the library can't be asked for: the description, the
 * backing the library points to, and the frame that displays share.
 *
 * virgl_library.c   how the library gets into the process
 * virgl_host.c   what must be there before the library is started
 * virgl_cache.c  where compiled shaders are kept
 * virgl_resource.c, virgl_read.c, virgl_context.c   what a guest makes of it
 * virgl_fence.c  one timeline out of many, and how its thread reaches ours
 * virgl_log.c    its messages
 * virgl_dmabuf.c  textures that displays read by themselves
 * virgl_profile.c  what a sandbox has to leave it
 *
 * The library may still crash while it starts on a host whose GL is broken, or
 * later on a stream it does not foresee; who wants to survive either keeps it
 * in a process of its own. Hence is_foreign.
 */
#include "renderer/virgl_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "util/log.h"

/* Exit within a second of SIGTERM leaves this much for a GPU to finish. */
#define DRAIN_TIMEOUT_MS 500

static bool is_library_in_use;

static void write_fence(void *cookie, uint32_t library_id)
{
	struct virgl *virgl = cookie;

	virgl_fences_callback(&virgl->fences, library_id);
}

/* The library closes what it gets. */
static int get_drm_fd(void *cookie)
{
	const struct virgl *virgl = cookie;

	return virgl->gpu_fd >= 0 ? fcntl(virgl->gpu_fd, F_DUPFD_CLOEXEC, 0) : -1;
}

static struct virgl_renderer_callbacks callbacks = {
	.version = 2,
	.write_fence = write_fence,
	.get_drm_fd = get_drm_fd,
};

static int flags_from_options(const struct renderer_options *options)
{
	int flags = VIRGL_RENDERER_THREAD_SYNC | VIRGL_RENDERER_ASYNC_FENCE_CB;

	if (options->use_egl) {
		flags |= VIRGL_RENDERER_USE_EGL;
	}
	if (options->use_glx) {
		flags |= VIRGL_RENDERER_USE_GLX;
	}
	if (options->use_gles) {
		flags |= VIRGL_RENDERER_USE_GLES;
	}
	if (options->use_surfaceless) {
		flags |= VIRGL_RENDERER_USE_SURFACELESS;
	}
	return flags;
}

static void add_capset(struct renderer_caps *caps, uint32_t id, uint32_t mask)
{
	struct renderer_capset capset = { .id = id };

	if (mask != 0 && (mask & (UINT32_C(1) << id)) == 0) {
		return;
	}
	virgl_library.get_cap_set(id, &capset.max_version, &capset.max_size_bytes);
	if (capset.max_size_bytes > 0 && capset.max_size_bytes <= RENDERER_MAX_CAPSET_BYTES) {
		caps->capsets[caps->n_capsets++] = capset;
	}
}

static void fill_caps(struct renderer_caps *caps, uint32_t capset_mask)
{
	add_capset(caps, RENDERER_CAPSET_VIRGL, capset_mask);
	add_capset(caps, RENDERER_CAPSET_VIRGL2, capset_mask);
	if (caps->n_capsets > 0) {
		caps->features = (UINT64_C(1) << VIRTIO_GPU_F_VIRGL) |
				 (UINT64_C(1) << VIRTIO_GPU_F_CONTEXT_INIT);
	}
}

static int start_library(struct virgl *virgl, const struct renderer_options *options)
{
	virgl_log_install();
	virgl_log_capture(true);
	int error = virgl_library.init(virgl, flags_from_options(options), &callbacks);
	if (error != 0) {
		virgl_host_log_init_failure(options);
	}
	virgl_log_capture(false);
	return error == 0 ? 0 : -ENODEV;
}

static void free_virgl(struct virgl *virgl)
{
	virgl_fences_finish(&virgl->fences);
	g_hash_table_destroy(virgl->contexts);
	g_hash_table_destroy(virgl->resources);
	if (virgl->gpu_fd >= 0) {
		close(virgl->gpu_fd);
	}
	g_free(virgl);
}

static int prepare(struct virgl *virgl, const struct renderer_options *options)
{
	virgl_cache_choose(options->shader_cache);
	int r = virgl_library_load();

	if (r == 0) {
		r = virgl_host_check(options);
	}
	if (r == 0 && options->gpu_device != NULL) {
		r = virgl_host_open_gpu(options->gpu_device, &virgl->gpu_fd);
	}
	if (r == 0) {
		r = virgl_fences_init(&virgl->fences);
	}
	return r;
}

static int start(struct virgl *virgl, const struct renderer_options *options)
{
	int r = start_library(virgl, options);

	if (r < 0) {
		return r;
	}
	r = virgl_fences_start(&virgl->fences);
	if (r < 0) {
		if (r != -ETIMEDOUT) {
			virgl_library.cleanup(virgl);
		}
		return r;
	}
	fill_caps(&virgl->base.caps, options->capset_mask);
	virgl->base.event_fd = virgl->fences.epoll_fd;
	is_library_in_use = true;
	return 0;
}

static int virgl_create(const struct renderer_options *options, struct quota *quota,
			struct renderer **renderer_out)
{
	struct virgl *virgl = g_new0(struct virgl, 1);

	g_assert(!is_library_in_use);
	renderer_init(&virgl->base, &virgl_impl, quota);
	virgl->resources = g_hash_table_new_full(NULL, NULL, NULL, virgl_resource_free);
	virgl->contexts = g_hash_table_new(NULL, NULL);
	virgl->gpu_fd = -1;
	virgl->fences = (struct virgl_fences){ .epoll_fd = -1, .wake_fd = -1, .timer_fd = -1 };
	int r = prepare(virgl, options);
	if (r == 0) {
		r = start(virgl, options);
	}
	if (r < 0) {
		if (r != -ETIMEDOUT) { /* the library's thread may still call back */
			free_virgl(virgl);
		}
		return r;
	}
	*renderer_out = &virgl->base;
	return 0;
}

/*
 * The library's clean-up joins its thread, and that thread may wait for us to
 * poll (virgl_fence.c): no context, no fence, then clean up. With a GPU that
 * hangs there is no way to end that thread. It keeps its memory then, for the
 * process is about to end.
 */
static void virgl_destroy(struct renderer *r)
{
	struct virgl *virgl = virgl_from_base(r);

	virgl_contexts_destroy_all(virgl);
	virgl_library.poll();
	virgl_fences_guard(&virgl->fences);
	if (!virgl_fences_drain(&virgl->fences, DRAIN_TIMEOUT_MS)) {
		log_error("the GPU does not finish its work: virglrenderer is left as it is");
		return;
	}
	virgl_library.cleanup(virgl);
	is_library_in_use = false;
	free_virgl(virgl);
}

const struct renderer_impl virgl_impl = {
	.name = "virglrenderer",
	.is_foreign = true,
	.profile = &virgl_profile,
	.create = virgl_create,
	.destroy = virgl_destroy,
	.resource_create = virgl_resource_create,
	.resource_destroy = virgl_resource_destroy,
	.resource_attach = virgl_resource_attach,
	.resource_detach = virgl_resource_detach,
	.transfer_2d = virgl_transfer_2d,
	.resource_read = virgl_resource_read,
	.context = &virgl_context_impl,
	.dmabuf = &virgl_dmabuf_impl,
	.fence_create = virgl_fence_create,
	.dispatch = virgl_dispatch,
};
