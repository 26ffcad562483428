/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * How the library is started, and what it offers then.
 *
 * Once in the life of a process, also after it was torn down. So it is never
 * torn down, and who comes later in the same process gets it as it runs.
 *
 * It says that it has a capset whether or not what renders it was started; so
 * what is offered is what it was started with.
 *
 * With EGL but no window system that it could reach it hangs for ever, and so
 * it does without EGL; hence the environment, and the check.
 */
#include "renderer/gfxstream_internal.h"

#include <errno.h>

#include "renderer/host_check.h"
#include "renderer/library_log.h"
#include "renderer/shader_cache.h"
#include "util/log.h"

/* Of a window that there is not. */
#define WINDOW_WIDTH 1280
#define WINDOW_HEIGHT 1024
#define MIN_CAPSET_BYTES 16
/* As all versions have it. */
#define DEFAULT_RING_BYTES (12288 + (1 << 20))
#define SELF_TEST_TIMEOUT_US (5 * 1000 * 1000)
/* No fence of a device's has this number. */
#define SELF_TEST_ID UINT64_C(0xfeedfacecafe0001)

/* What the library calls back to, as long as it lives: it is the process' only one. */
static struct {
	GMutex lock;
	GCond changed;
	struct gfxstream *gfxstream; /* under the lock; borrowed; NULL: nobody */
	bool is_tested;		     /* under the lock: a fence has come that was for us */
	bool is_started;
	uint32_t flags; /* that it was started with */
} library;

static void on_fence(void *user_data G_GNUC_UNUSED, struct gfxstream_fence *fence)
{
	const struct gfxstream_fence copy = *fence;

	g_mutex_lock(&library.lock);
	if (copy.fence_id == SELF_TEST_ID && copy.flags == GFXSTREAM_FENCE) {
		library.is_tested = true;
		g_cond_signal(&library.changed);
	} else if (library.gfxstream != NULL) {
		gfxstream_fences_signal(library.gfxstream, &copy);
	}
	g_mutex_unlock(&library.lock);
}

/* Only what is named is wanted; with no name all is that the other options leave. */
static bool wants(const struct renderer_options *options, uint32_t capset_id)
{
	if (options->capset_mask == 0) {
		return capset_id != RENDERER_CAPSET_GFXSTREAM_GLES || options->use_gles;
	}
	return (options->capset_mask & (UINT32_C(1) << capset_id)) != 0;
}

static uint32_t flags_from_options(const struct renderer_options *options)
{
	uint32_t flags = GFXSTREAM_USE_EXTERNAL_BLOB;

	if (options->use_egl) {
		flags |= GFXSTREAM_USE_EGL;
	}
	if (options->use_glx) {
		flags |= GFXSTREAM_USE_GLX;
	}
	if (options->use_surfaceless) {
		flags |= GFXSTREAM_USE_SURFACELESS;
	}
	if (wants(options, RENDERER_CAPSET_GFXSTREAM_GLES)) {
		flags |= GFXSTREAM_USE_GLES;
	}
	if (wants(options, RENDERER_CAPSET_GFXSTREAM_VULKAN)) {
		flags |= GFXSTREAM_USE_VK;
	}
	return flags;
}

/* Without a driver for Vulkan the library crashes. */
static int check_vulkan(const struct renderer_options *options, uint32_t *flags)
{
	bool is_named = options->capset_mask != 0;

	if ((*flags & GFXSTREAM_USE_VK) == 0 || host_has_vulkan()) {
		return 0;
	}
	if (is_named || (*flags & GFXSTREAM_USE_GLES) == 0) {
		log_failure("gfxstream cannot start: there is no driver for Vulkan: install one "
			    "(mesa-vulkan-drivers in Debian), or use --capset gfxstream-gles");
		return -ENODEV;
	}
	log_info("no Vulkan for guests: there is no driver for it (mesa-vulkan-drivers in Debian)");
	*flags &= ~(uint32_t)GFXSTREAM_USE_VK;
	return 0;
}

static int check_host(const struct renderer_options *options, uint32_t *flags)
{
	int error = check_vulkan(options, flags);

	return error == 0 && (*flags & GFXSTREAM_USE_GLES) != 0 ? host_check_egl("gfxstream")
								: error;
}

/* A display that there is may be out of reach: a sandbox leaves no socket to it. */
static void choose_platform(const struct renderer_options *options)
{
	bool has_display = g_getenv("DISPLAY") != NULL || g_getenv("WAYLAND_DISPLAY") != NULL;

	if (!has_display || (options->use_surfaceless && !options->use_glx)) {
		g_setenv("EGL_PLATFORM", "surfaceless", FALSE);
	}
}

static uint64_t pointer_value(const void *pointer)
{
	return (uint64_t)(uintptr_t)pointer;
}

static uint64_t fence_fn_value(gfxstream_fence_fn function)
{
	return (uint64_t)(uintptr_t)function;
}

static uint64_t debug_fn_value(gfxstream_debug_fn function)
{
	return (uint64_t)(uintptr_t)function;
}

static int init(uint32_t flags)
{
	struct gfxstream_param params[] = {
		{ GFXSTREAM_PARAM_USER_DATA, pointer_value(&library) },
		{ GFXSTREAM_PARAM_RENDERER_FLAGS, flags },
		{ GFXSTREAM_PARAM_FENCE_CALLBACK, fence_fn_value(on_fence) },
		{ GFXSTREAM_PARAM_WIN0_WIDTH, WINDOW_WIDTH },
		{ GFXSTREAM_PARAM_WIN0_HEIGHT, WINDOW_HEIGHT },
		{ GFXSTREAM_PARAM_DEBUG_CALLBACK, debug_fn_value(gfxstream_log_callback) },
	};
	char reason[LIBRARY_LOG_LINE_BYTES];

	library_log_capture(true);
	int error = gfxstream_library.init(params, G_N_ELEMENTS(params));
	library_log_last_line(reason, sizeof(reason));
	library_log_capture(false);
	if (error != 0) {
		log_failure("gfxstream cannot start: its init() returns %d (%s): %s", error,
			    reason[0] != '\0' ? reason : "it gives no reason",
			    gfxstream_profile.start_help);
		return -ENODEV;
	}
	return 0;
}

/* One fence proves that it has our callbacks, and signals. */
static int test_fence(void)
{
	const struct gfxstream_fence fence = { .flags = GFXSTREAM_FENCE, .fence_id = SELF_TEST_ID };
	gint64 deadline_us = g_get_monotonic_time() + SELF_TEST_TIMEOUT_US;
	int error = gfxstream_library.create_fence(&fence);

	g_mutex_lock(&library.lock);
	while (error == 0 && !library.is_tested &&
	       g_cond_wait_until(&library.changed, &library.lock, deadline_us)) {
	}
	bool is_tested = library.is_tested;
	g_mutex_unlock(&library.lock);
	if (!is_tested) {
		log_failure("gfxstream cannot start: it signals no fence (%d): %s", error,
			    gfxstream_profile.start_help);
		return -ETIMEDOUT;
	}
	return 0;
}

static int start_library(const struct renderer_options *options, uint32_t flags)
{
	if (library.is_started) {
		if (flags != library.flags) {
			log_failure("gfxstream cannot start: a process can start it once");
			return -EBUSY;
		}
		return 0;
	}
	choose_platform(options);
	int error = init(flags);
	if (error == 0) {
		library.is_started = true;
		library.flags = flags;
		error = test_fence();
	}
	return error;
}

/* The second word and the third of a capset: how long a ring is, and its buffer. */
static uint64_t ask_ring_bytes(uint32_t capset_id, uint32_t size_bytes)
{
	g_autofree uint32_t *words = g_malloc0(MAX(size_bytes, MIN_CAPSET_BYTES));

	gfxstream_library.fill_caps(capset_id, 0, words);
	return words[1] > 0 && words[2] > 0 ? (uint64_t)words[1] + words[2] : DEFAULT_RING_BYTES;
}

static void add_capset(struct gfxstream *gfxstream, uint32_t id)
{
	struct renderer_caps *caps = &gfxstream->base.caps;
	uint32_t ignored_version = 0, size_bytes = 0;

	gfxstream_library.get_cap_set(id, &ignored_version, &size_bytes);
	if (size_bytes == 0 || size_bytes > RENDERER_MAX_CAPSET_BYTES) {
		log_info("gfxstream has no capset %u (of %u bytes)", id, size_bytes);
		return;
	}
	caps->capsets[caps->n_capsets++] =
		(struct renderer_capset){ .id = id, .max_size_bytes = size_bytes };
	gfxstream->ring_bytes = MAX(gfxstream->ring_bytes, ask_ring_bytes(id, size_bytes));
}

/* In the order in which guests of other back-ends find them. */
static void fill_caps(struct gfxstream *gfxstream)
{
	struct renderer_caps *caps = &gfxstream->base.caps;

	if (gfxstream->flags & GFXSTREAM_USE_VK) {
		add_capset(gfxstream, RENDERER_CAPSET_GFXSTREAM_VULKAN);
	}
	if (gfxstream->flags & GFXSTREAM_USE_GLES) {
		add_capset(gfxstream, RENDERER_CAPSET_GFXSTREAM_GLES);
	}
	caps->can_export = caps->n_capsets > 0;
	if (caps->n_capsets > 0) {
		caps->features = (UINT64_C(1) << VIRTIO_GPU_F_VIRGL) |
				 (UINT64_C(1) << VIRTIO_GPU_F_CONTEXT_INIT);
	}
}

static void set_owner(struct gfxstream *gfxstream)
{
	g_mutex_lock(&library.lock);
	library.gfxstream = gfxstream;
	g_mutex_unlock(&library.lock);
}

int gfxstream_start(struct gfxstream *gfxstream, const struct renderer_options *options)
{
	uint32_t flags = flags_from_options(options);

	g_assert(library.gfxstream == NULL);
	shader_cache_choose(options->shader_cache);
	int error = gfxstream_library_load(options->library);
	if (error == 0) {
		error = check_host(options, &flags);
	}
	if (error == 0) {
		error = start_library(options, flags);
	}
	if (error < 0) {
		return error;
	}
	gfxstream->flags = flags;
	fill_caps(gfxstream);
	set_owner(gfxstream);
	return 0;
}

void gfxstream_leave(struct gfxstream *gfxstream G_GNUC_UNUSED)
{
	set_owner(NULL);
}
