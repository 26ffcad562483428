/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "renderer/host_check.h"

#include <dlfcn.h>
#include <errno.h>
#include <glob.h>
#include <stdint.h>
#include <string.h>

#include "util/log.h"

/* ---- EGL ---- */

#define EGL_EXTENSIONS_QUERY 0x3055
#define HELP_EGL "install libegl1 and libgl1-mesa-dri (Mesa's EGL), or use --gpu-mode 2d"

typedef const char *(*egl_query_string_fn)(void *display, int32_t name);

int host_check_egl(const char *who)
{
	void *egl = dlopen("libEGL.so.1", RTLD_LAZY | RTLD_LOCAL | RTLD_NODELETE);
	const char *extensions = NULL;

	if (egl == NULL) {
		log_failure("%s needs EGL: %s: " HELP_EGL, who, dlerror());
		return -ENOENT;
	}
	void *symbol = dlsym(egl, "eglQueryString");
	egl_query_string_fn query;

	memcpy(&query, &symbol, sizeof(query));
	if (symbol != NULL) {
		extensions = query(NULL, EGL_EXTENSIONS_QUERY);
	}
	bool has_driver = extensions != NULL && strstr(extensions, "EGL_EXT_platform_base") != NULL;

	dlclose(egl);
	if (!has_driver) {
		log_failure("%s needs EGL, and libEGL.so.1 finds no driver: " HELP_EGL, who);
		return -ENODEV;
	}
	return 0;
}

/* ---- Vulkan ---- */

static const char *const drivers[] = { "/usr/share/vulkan/icd.d/*.json",
				       "/etc/vulkan/icd.d/*.json",
				       "/usr/local/share/vulkan/icd.d/*.json",
				       "/usr/local/etc/vulkan/icd.d/*.json",
				       "/run/opengl-driver/share/vulkan/icd.d/*.json",
				       "/run/host/usr/share/vulkan/icd.d/*.json",
				       NULL };

/* With these the Vulkan loader looks elsewhere. */
static const char *const loader_variables[] = { "VK_DRIVER_FILES", "VK_ICD_FILENAMES",
						"VK_ADD_DRIVER_FILES", NULL };

const char *const host_vulkan_variables[] = { "VK_DRIVER_FILES",     "VK_ICD_FILENAMES",
					      "VK_ADD_DRIVER_FILES", "VK_LAYER_PATH",
					      "XDG_DATA_DIRS",	     NULL };

bool host_has_file(const char *pattern)
{
	glob_t found;

	if (glob(pattern, GLOB_NOSORT, NULL, &found) != 0) {
		return false;
	}
	globfree(&found);
	return true;
}

static bool has_driver_in_data_folders(void)
{
	g_auto(GStrv) folders = g_strsplit(g_getenv("XDG_DATA_DIRS") ?: "", ":", -1);

	for (char **folder = folders; *folder != NULL; folder++) {
		g_autofree char *pattern =
			g_build_filename(*folder, "vulkan", "icd.d", "*.json", NULL);

		if (**folder == '/' && host_has_file(pattern)) {
			return true;
		}
	}
	return false;
}

bool host_has_vulkan(void)
{
	for (const char *const *variable = loader_variables; *variable != NULL; variable++) {
		if (g_getenv(*variable) != NULL) {
			return true;
		}
	}
	for (const char *const *pattern = drivers; *pattern != NULL; pattern++) {
		if (host_has_file(*pattern)) {
			return true;
		}
	}
	return has_driver_in_data_folders();
}
