/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * What the host must have before the library is started, and what to say if
 * it has not. Some of this the library answers with a crash instead of an
 * error (0.10.4, and in part up to 1.3), so it is looked at first:
 * without EGL and GLX it calls GL functions with no context; with libEGL but
 * no driver behind it, it follows a null GBM device; without libEGL, libepoxy
 * ends the process.
 *
 * No environment variable is needed for software rendering: where no device
 * can be opened, Mesa's eglInitialize() tries once more with its own software
 * driver (seen with 22.3 and 26.1 on hosts without /dev/dri).
 */
#include "renderer/host_check.h"
#include "renderer/library_log.h"
#include "renderer/virgl_internal.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "util/log.h"

#define DRM_MAJOR 226
#define HELP_EGL "is Mesa's EGL there (libegl1, libgl1-mesa-dri)? --gpu-mode 2d does without"
#define HELP_GLES "install libgles2, or use --use-gles false"

/* Without it libepoxy ends the process. */
static int check_gles(void)
{
	void *gles = dlopen("libGLESv2.so.2", RTLD_LAZY | RTLD_LOCAL);

	if (gles == NULL) {
		log_failure("virglrenderer needs OpenGL ES: %s: " HELP_GLES, dlerror());
		return -ENOENT;
	}
	dlclose(gles);
	return 0;
}

static int check_window_system(const struct renderer_options *options)
{
	if (options->use_egl) {
		return host_check_egl("virglrenderer");
	}
	if (!options->use_glx) {
		log_failure("virglrenderer needs EGL or GLX: give --use-egl true");
		return -EINVAL;
	}
	if (g_getenv("DISPLAY") == NULL) {
		log_failure("GLX needs an X server, and DISPLAY is not set: "
			    "set it, or give --use-egl true");
		return -ENODEV;
	}
	return 0;
}

int virgl_host_check(const struct renderer_options *options)
{
	int error = check_window_system(options);

	return error == 0 && options->use_gles ? check_gles() : error;
}

/* GBM takes any file and falls back to software without a word. */
static bool is_drm_device(int fd)
{
	struct stat st;

	return fstat(fd, &st) == 0 && S_ISCHR(st.st_mode) && major(st.st_rdev) == DRM_MAJOR;
}

/* Why it can't be opened, to somebody who may not know whose it is. */
static const char *help_with_device(int error)
{
	switch (error) {
	case EACCES:
	case EPERM:
		return " (add this user to the group that it belongs to, mostly render; or does "
		       "SELinux, AppArmor or a container keep it away?)";
	case ENOENT:
		return " (ls /dev/dri shows which there are)";
	default:
		return "";
	}
}

/* A GPU that may not be opened is passed over without a word, and all is drawn in software. */
void virgl_host_advise(const struct renderer_options *options)
{
	glob_t found;

	if (options->gpu_device != NULL || glob(VIRGL_RENDER_NODES, 0, NULL, &found) != 0) {
		return;
	}
	int error = 0;
	for (size_t i = 0; i < found.gl_pathc; i++) {
		if (access(found.gl_pathv[i], R_OK | W_OK) == 0) {
			error = 0;
			break;
		}
		error = errno;
	}
	if (error != 0) {
		log_warn("no render node can be opened, and it may be drawn in software: '%s': %s%s",
			 found.gl_pathv[0], g_strerror(error), help_with_device(error));
	}
	globfree(&found);
}

int virgl_host_open_gpu(const char *path, int *fd_out)
{
	int fd = open(path, O_RDWR | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);

	if (fd < 0) {
		int error = errno;

		log_failure("Failed to open GPU device '%s': %s%s", path, g_strerror(error),
			    help_with_device(error));
		return -error;
	}
	if (!is_drm_device(fd)) {
		close(fd);
		log_failure("GPU device '%s' is no DRM render node (/dev/dri/renderD128 is one)",
			    path);
		return -ENODEV;
	}
	*fd_out = fd;
	return 0;
}

static const char *help_for(const struct renderer_options *options)
{
	if (options->gpu_device != NULL) {
		return "is --gpu-device a DRM render node with a Mesa driver?";
	}
	if (!options->use_egl) {
		return "is the X server of DISPLAY there, and does it have GLX?";
	}
	if (!options->use_surfaceless) {
		return "without a GPU, --use-surfaceless must be true";
	}
	return HELP_EGL;
}

void virgl_host_log_init_failure(const struct renderer_options *options)
{
	char reason[256];

	library_log_last_line(reason, sizeof(reason));
	log_failure("virglrenderer can't start (%s): %s",
		    reason[0] != '\0' ? reason : "it gives no reason", help_for(options));
}

/*
 * The library has loaded one of them, and made its context this thread's; none
 * is loaded for this.
 */
void virgl_host_describe_gl(const char *texts_out[RENDERER_N_TEXTS])
{
	static const char *const libraries[] = { "libGLESv2.so.2", "libGL.so.1", "libOpenGL.so.0" };
	static const unsigned int names[] = {
		[RENDERER_GL_VENDOR] = 0x1F00,
		[RENDERER_GL_RENDERER] = 0x1F01,
		[RENDERER_GL_VERSION] = 0x1F02,
	};
	const unsigned char *(*get_string)(unsigned int name) = NULL;

	for (size_t i = 0; i < G_N_ELEMENTS(libraries) && get_string == NULL; i++) {
		void *library = dlopen(libraries[i], RTLD_LAZY | RTLD_LOCAL | RTLD_NOLOAD);
		void *symbol = library != NULL ? dlsym(library, "glGetString") : NULL;

		memcpy(&get_string, &symbol, sizeof(get_string));
	}
	for (size_t i = 0; i < RENDERER_N_TEXTS && get_string != NULL; i++) {
		texts_out[i] = (const char *)get_string(names[i]);
	}
}
