/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "renderer/gfxstream_library.h"

#include <errno.h>

#include "renderer/library.h"
#include "util/log.h"

#define HELP                                                                                       \
	"install gfxstream (Fedora, Arch Linux and nixpkgs have it; Debian has not), or name it "  \
	"by --gfxstream-library, or use --gpu-mode virglrenderer"

/* With a version as distributions have it, and as it is built without one. */
static const char *const names[] = { "libgfxstream_backend.so.0", "libgfxstream_backend.so" };

struct gfxstream_library gfxstream_library;

static const struct library_entry needed[] = {
#define X(type, name, arguments)                                                                   \
	{ "stream_renderer_" #name, offsetof(struct gfxstream_library, name) },
	GFXSTREAM_LIBRARY_FUNCTIONS(X)
#undef X
};

static void *open_path(const char *path)
{
	g_autofree char *reason = NULL;
	void *library = library_open(path, &reason);

	if (library == NULL) {
		log_failure("gfxstream cannot start: --gfxstream-library '%s': %s: " HELP, path,
			    reason);
	}
	return library;
}

static void *open_by_name(void)
{
	g_autofree char *first_reason = NULL, *second_reason = NULL;
	void *library = library_open(names[0], &first_reason);

	if (library == NULL) {
		library = library_open(names[1], &second_reason);
	}
	if (library == NULL) {
		log_failure("gfxstream cannot start: %s; %s: " HELP, first_reason, second_reason);
	}
	return library;
}

int gfxstream_library_load(const char *path)
{
	static void *handle;

	if (handle != NULL) {
		return 0;
	}
	void *loaded = path != NULL ? open_path(path) : open_by_name();
	if (loaded == NULL) {
		return -ENOENT;
	}
	const char *missing =
		library_fill(loaded, &gfxstream_library, needed, G_N_ELEMENTS(needed));
	if (missing != NULL) {
		log_failure("gfxstream cannot start: %s has no %s(): " HELP,
			    path != NULL ? path : "libgfxstream_backend.so", missing);
		return -ENOSYS;
	}
	handle = loaded;
	return 0;
}
