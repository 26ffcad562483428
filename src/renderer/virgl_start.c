/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * How the library is started, and what it offers then.
 *
 * It renders Vulkan (Venus) in a server and processes of the server's, so that
 * it wants a connection to one. It would start one by itself, from within a
 * process that may not: hence it is asked for Venus only with a connection to
 * give to it. Whether it has Venus can't be asked: a library built without
 * refuses to start, or starts and offers a capset of no size. What refuses
 * with all that is wanted is tried with less, and the last try is the GL that
 * there was before Venus.
 *
 * A blob must be a file where it is to be mapped by a front-end, which is
 * another process (USE_EXTERNAL_BLOB).
 */
#include "renderer/host_check.h"
#include "renderer/library_log.h"
#include "renderer/virgl_internal.h"

#include <errno.h>
#include <fcntl.h>

#include "util/log.h"

static void write_fence(void *cookie, uint32_t library_id)
{
	struct virgl *virgl = cookie;

	virgl_fences_callback(&virgl->fences, library_id);
}

static void write_context_fence(void *cookie, uint32_t ctx_id, uint32_t ring_idx, uint64_t seq)
{
	virgl_timelines_callback(cookie, ctx_id, ring_idx, seq);
}

/* The library closes what it gets. */
static int get_drm_fd(void *cookie)
{
	const struct virgl *virgl = cookie;

	return virgl->gpu_fd >= 0 ? fcntl(virgl->gpu_fd, F_DUPFD_CLOEXEC, 0) : -1;
}

/* The same; and without one it would start a server. */
static int get_server_fd(void *cookie, uint32_t version G_GNUC_UNUSED)
{
	const struct virgl *virgl = cookie;

	return fcntl(virgl->server_fd, F_DUPFD_CLOEXEC, 0);
}

static struct virgl_renderer_callbacks callbacks = {
	.version = VIRGL_LIBRARY_CALLBACKS_BASE,
	.write_fence = write_fence,
	.get_drm_fd = get_drm_fd,
};

/* An older library refuses a version that it does not know. */
static struct virgl_renderer_callbacks blob_callbacks = {
	.version = VIRGL_LIBRARY_CALLBACKS_SERVER,
	.write_fence = write_fence,
	.get_drm_fd = get_drm_fd,
	.write_context_fence = write_context_fence,
	.get_server_fd = get_server_fd,
};

enum {
	FLAGS_SERVER = VIRGL_RENDERER_VENUS | VIRGL_RENDERER_RENDER_SERVER,
	FLAGS_BLOBS = VIRGL_RENDERER_USE_EXTERNAL_BLOB | FLAGS_SERVER | VIRGL_RENDERER_DRM,
};

/* Only what is named is wanted; with no name all is, but for what takes hardware to be tested. */
bool virgl_wants(const struct renderer_options *options, uint32_t capset_id)
{
	if (options->capset_mask == 0) {
		return capset_id != RENDERER_CAPSET_DRM;
	}
	return (options->capset_mask & (UINT32_C(1) << capset_id)) != 0;
}

bool virgl_wants_gl(const struct renderer_options *options)
{
	return virgl_wants(options, RENDERER_CAPSET_VIRGL) ||
	       virgl_wants(options, RENDERER_CAPSET_VIRGL2);
}

static int gl_flags(const struct renderer_options *options)
{
	int flags = 0;

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

/*
 * Before 1.0 there is a Venus, too, of a protocol that was still to change, and
 * with one timeline for a context. That library has another way to log.
 */
static bool may_have_venus(const struct virgl *virgl)
{
	return virgl->server_fd >= 0 && virgl_library.set_log_callback != NULL;
}

static int flags_from_options(const struct virgl *virgl, const struct renderer_options *options)
{
	int flags = VIRGL_RENDERER_THREAD_SYNC | VIRGL_RENDERER_ASYNC_FENCE_CB;

	flags |= virgl_wants_gl(options) ? gl_flags(options) : VIRGL_RENDERER_NO_VIRGL;
	if (!virgl_library_has_blobs()) {
		return flags;
	}
	flags |= VIRGL_RENDERER_USE_EXTERNAL_BLOB;
	if (may_have_venus(virgl) && virgl_wants(options, RENDERER_CAPSET_VENUS)) {
		flags |= FLAGS_SERVER;
	}
	if (virgl_wants(options, RENDERER_CAPSET_DRM)) {
		flags |= VIRGL_RENDERER_DRM;
	}
	return flags;
}

static bool try_flags(struct virgl *virgl, int flags)
{
	bool is_plain = (flags & FLAGS_BLOBS) == 0;

	virgl->flags = flags;
	return virgl_library.init(virgl, flags, is_plain ? &callbacks : &blob_callbacks) == 0;
}

/* Say without what it is tried again. */
static void give_up(int lost_flags)
{
	char reason[256];

	library_log_last_line(reason, sizeof(reason));
	log_info("virglrenderer does not start with %s (%s); it is tried without",
		 lost_flags & VIRGL_RENDERER_DRM ? "native contexts"
		 : lost_flags & FLAGS_SERVER	 ? "Venus"
						 : "blobs that are files",
		 reason[0] != '\0' ? reason : "it gives no reason");
}

static bool try_with_less_and_less(struct virgl *virgl, int flags)
{
	static const int parts[] = { VIRGL_RENDERER_DRM, FLAGS_SERVER,
				     VIRGL_RENDERER_USE_EXTERNAL_BLOB };

	if (try_flags(virgl, flags)) {
		return true;
	}
	for (size_t i = 0; i < G_N_ELEMENTS(parts); i++) {
		if ((flags & parts[i]) == 0) {
			continue;
		}
		give_up(parts[i]);
		flags &= ~parts[i];
		if (try_flags(virgl, flags)) {
			return true;
		}
	}
	return false;
}

int virgl_start_library(struct virgl *virgl, const struct renderer_options *options)
{
	virgl_log_install();
	library_log_capture(true);
	bool is_started = try_with_less_and_less(virgl, flags_from_options(virgl, options));
	if (!is_started) {
		virgl_host_log_init_failure(options);
	}
	library_log_capture(false);
	return is_started ? 0 : -ENODEV;
}

static bool add_capset(struct virgl *virgl, uint32_t id, const struct renderer_options *options)
{
	struct renderer_caps *caps = &virgl->base.caps;
	struct renderer_capset capset = { .id = id };

	if (!virgl_wants(options, id)) {
		return false;
	}
	virgl_library.get_cap_set(id, &capset.max_version, &capset.max_size_bytes);
	if (capset.max_size_bytes == 0 || capset.max_size_bytes > RENDERER_MAX_CAPSET_BYTES) {
		return false;
	}
	caps->capsets[caps->n_capsets++] = capset;
	return true;
}

/* GL exports what is a buffer of a GPU's; software has none. */
static bool has_gpu(const struct virgl *virgl)
{
	return virgl->gpu_fd >= 0 || host_has_file(VIRGL_RENDER_NODES);
}

/* The library says a capset's size for a renderer, too, that it has not started. */
void virgl_fill_caps(struct virgl *virgl, const struct renderer_options *options)
{
	struct renderer_caps *caps = &virgl->base.caps;
	bool exports = false;

	if (virgl_has_gl(virgl)) {
		add_capset(virgl, RENDERER_CAPSET_VIRGL, options);
		add_capset(virgl, RENDERER_CAPSET_VIRGL2, options);
		exports = (virgl->flags & VIRGL_RENDERER_USE_EXTERNAL_BLOB) && has_gpu(virgl);
	}
	if (virgl->flags & VIRGL_RENDERER_VENUS) {
		caps->needs_server = add_capset(virgl, RENDERER_CAPSET_VENUS, options);
		exports |= caps->needs_server != 0;
	}
	if (virgl->flags & VIRGL_RENDERER_DRM) {
		exports |= add_capset(virgl, RENDERER_CAPSET_DRM, options);
	}
	caps->can_export = exports;
	if (caps->n_capsets > 0) {
		caps->features = (UINT64_C(1) << VIRTIO_GPU_F_VIRGL) |
				 (UINT64_C(1) << VIRTIO_GPU_F_CONTEXT_INIT);
	}
}
