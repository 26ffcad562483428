/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * virglrenderer is not linked but loaded, because it brings some fifteen other
 * libraries, X11's, Vulkan's and VA-API's among them. They are half of what
 * the dynamic linker does at the start of a process that has them, also where
 * nobody draws with GL: in the other modes, and in the listener of every mode.
 *
 * It is never unloaded. It and the GL drivers behind it leave threads,
 * thread-local storage and exit handlers that point into their code.
 */
#include "renderer/virgl_library.h"

#include <dlfcn.h>
#include <errno.h>
#include <stddef.h>
#include <string.h>

#include "util/log.h"

#define SONAME "libvirglrenderer.so.1"
#define HELP                                                                                       \
	"install virglrenderer 0.10.4 or newer (libvirglrenderer1 in Debian, virglrenderer in "    \
	"Fedora), or use --gpu-mode 2d"

struct virgl_library virgl_library;

struct entry {
	const char *symbol;
	size_t offset; /* of the pointer in struct virgl_library */
};

static const struct entry needed[] = {
#define X(name) { "virgl_renderer_" #name, offsetof(struct virgl_library, name) },
	VIRGL_LIBRARY_FUNCTIONS(X)
#undef X
};

static const struct entry optional[] = {
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

/* POSIX, not C, lets a function's address be an object's: hence no assignment. */
static bool find(void *handle, const struct entry *entry)
{
	void *address = dlsym(handle, entry->symbol);

	memcpy((char *)&virgl_library + entry->offset, &address, sizeof(address));
	return address != NULL;
}

int virgl_library_load(void)
{
	static void *handle;

	if (handle != NULL) {
		return 0;
	}
	void *loaded = dlopen(SONAME, RTLD_NOW | RTLD_LOCAL);
	if (loaded == NULL) {
		log_failure("virglrenderer can't be loaded: %s: " HELP, dlerror());
		return -ENOENT;
	}
	for (size_t i = 0; i < G_N_ELEMENTS(needed); i++) {
		if (!find(loaded, &needed[i])) {
			log_failure("virglrenderer can't be used: " SONAME " has no %s(): " HELP,
				    needed[i].symbol);
			return -ENOSYS;
		}
	}
	for (size_t i = 0; i < G_N_ELEMENTS(optional); i++) {
		find(loaded, &optional[i]);
	}
	handle = loaded;
	return 0;
}

bool virgl_library_has_blobs(void)
{
#define X(name) virgl_library.name != NULL &&
	return VIRGL_LIBRARY_BLOB_FUNCTIONS(X) true;
#undef X
}
