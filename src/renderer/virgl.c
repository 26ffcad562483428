/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * 2D, OpenGL and Vulkan by virglrenderer, 0.10.4 to 1.3. Where no OpenGL is
 * wanted there is none in the library, and 2D is our own (flat).
 *
 * The library is one per process, lives on the device thread, where its EGL
 * context stays current, and owns everything a guest makes. This adapter keeps
 * per resource only what the library can't be asked for: the description, the
 * backing the library points to, and the frame that displays share.
 *
 * virgl_library.c   how the library gets into the process
 * virgl_host.c   what must be there before the library is started
 * virgl_start.c  how it is started, and what it offers then
 * virgl_resource.c, virgl_blob.c, virgl_read.c, virgl_context.c   what a guest makes of it
 * virgl_fence.c  one timeline out of many, and how its thread reaches ours
 * virgl_timeline.c  the timelines of contexts that have some
 * virgl_log.c    its messages
 * virgl_dmabuf.c  textures that displays read by themselves
 * virgl_profile.c  what a sandbox has to leave it
 * virgl_server.c  the program that it has beside it for Vulkan
 *
 * The library may still crash while it starts on a host whose GL is broken, or
 * later on a stream it does not foresee; who wants to survive either keeps it
 * in a process of its own. Hence is_foreign.
 */
#include "renderer/shader_cache.h"
#include "renderer/virgl_internal.h"

#include <errno.h>
#include <unistd.h>

#include "util/log.h"

/* Exit within a second of SIGTERM leaves this much for a GPU to finish. */
#define DRAIN_TIMEOUT_MS 500

static bool is_library_in_use;

/* The library has a connection of its own; where ours is left the server would wait for us. */
static void close_server(struct virgl *virgl)
{
	if (virgl->server_fd >= 0) {
		close(virgl->server_fd);
	}
	virgl->server_fd = -1;
}

static void free_virgl(struct virgl *virgl)
{
	renderer_destroy(virgl->flat);
	timelines_finish(&virgl->timelines);
	virgl_fences_finish(&virgl->fences);
	g_hash_table_destroy(virgl->contexts);
	g_hash_table_destroy(virgl->resources);
	if (virgl->gpu_fd >= 0) {
		close(virgl->gpu_fd);
	}
	close_server(virgl);
	g_free(virgl);
}

static int prepare(struct virgl *virgl, const struct renderer_options *options)
{
	shader_cache_choose(options->shader_cache);
	int r = virgl_library_load();

	if (r == 0 && virgl_wants_gl(options)) {
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
	int r = virgl_start_library(virgl, options);

	close_server(virgl);
	if (r < 0) {
		return r;
	}
	r = virgl_fences_start(&virgl->fences, virgl_has_gl(virgl));
	if (r < 0) {
		if (r != -ETIMEDOUT) {
			virgl_library.cleanup(virgl);
		}
		return r;
	}
	virgl_fill_caps(virgl, options);
	if (virgl_has_gl(virgl)) {
		virgl_host_describe_gl(virgl->base.texts);
	}
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
	virgl->contexts = g_hash_table_new_full(NULL, NULL, NULL, g_free);
	virgl->gpu_fd = -1;
	virgl->server_fd = options->server_fd > 0 ? options->server_fd : -1;
	timelines_init(&virgl->timelines, virgl_fences_wake, &virgl->fences);
	virgl->fences = (struct virgl_fences){ .epoll_fd = -1, .wake_fd = -1, .timer_fd = -1 };
	int r = prepare(virgl, options);
	if (r == 0) {
		r = start(virgl, options);
	}
	if (r == 0 && !virgl_has_gl(virgl)) {
		r = renderer_create(&soft_impl, options, quota, &virgl->flat);
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
	.blob = &virgl_blob_impl,
	.dmabuf = &virgl_dmabuf_impl,
	.fence_create = virgl_fence_create,
	.dispatch = virgl_dispatch,
};
