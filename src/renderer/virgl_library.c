/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * virglrenderer is not linked but loaded, because it brings some fifteen other
 * libraries, X11's, Vulkan's and VA-API's among them. They are half of what
 * the dynamic linker does at the start of a process that has them, also where
 * nobody draws with GL: in the other modes, and in the listener of every mode.
 */
#include "renderer/virgl_library.h"

#include <errno.h>
#include <stddef.h>

#include "renderer/library.h"
#include "util/log.h"

#define SONAME "libvirglrenderer.so.1"
#define HELP                                                                                       \
	"install virglrenderer 0.10.4 or newer (libvirglrenderer1 in Debian, virglrenderer in "    \
	"Fedora), or use --gpu-mode 2d"

struct virgl_library virgl_library;

static const struct library_entry needed[] = {
#define X(name) { "virgl_renderer_" #name, offsetof(struct virgl_library, name) },
	VIRGL_LIBRARY_FUNCTIONS(X)
#undef X
};

static const struct library_entry optional[] = {
#define X(name) { "virgl_renderer_" #name, offsetof(struct virgl_library, name) },
	VIRGL_LIBRARY_BLOB_FUNCTIONS(X)
#undef X
		{ "virgl_set_log_callback", offsetof(struct virgl_library, set_log_callback) },
	{ "virgl_set_debug_callback", offsetof(struct virgl_library, set_debug_callback) },
	{ "virgl_renderer_get_fd_for_texture2",
	  offsetof(struct virgl_library, get_fd_for_texture2) },
	{ "virgl_renderer_resource_get_info_ext",
	  offsetof(struct virgl_library, resource_get_info_ext) },
};

int virgl_library_load(void)
{
	static void *handle;
	g_autofree char *reason = NULL;

	if (handle != NULL) {
		return 0;
	}
	void *loaded = library_open(SONAME, &reason);
	if (loaded == NULL) {
		log_failure("virglrenderer can't be loaded: %s: " HELP, reason);
		return -ENOENT;
	}
	const char *missing =
		library_fill(loaded, &virgl_library, needed, G_N_ELEMENTS(needed));
	if (missing != NULL) {
		log_failure("virglrenderer can't be used: " SONAME " has no %s(): " HELP, missing);
		return -ENOSYS;
	}
	library_fill(loaded, &virgl_library, optional, G_N_ELEMENTS(optional));
	handle = loaded;
	return 0;
}

bool virgl_library_has_blobs(void)
{
#define X(name) virgl_library.name != NULL &&
	return VIRGL_LIBRARY_BLOB_FUNCTIONS(X) true;
#undef X
}
