/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * virglrenderer's render server, which draws what Venus guests ask Vulkan for:
 * a program that forks a process for each context. Started by us, with the
 * socket as its only way to the rest, it can be locked down and watched.
 *
 * Without a Vulkan driver it would start and have no device for a guest; so
 * the files by which the Vulkan loader finds drivers are looked for before.
 */
#include "renderer/host_check.h"
#include "renderer/shader_cache.h"
#include "renderer/virgl_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "config.h"
#include "util/log.h"

/* The library's own variable, for one that is not installed. */
#define PATH_VARIABLE "RENDER_SERVER_EXEC_PATH"

/* See preload/udmabuf.c. */
#define UDMABUF_LIBRARY "libvhost-device-gpu-udmabuf.so"

/* Debian, Fedora; Arch, openSUSE; by hand; NixOS. */
static const char *const programs[] = { "/usr/libexec/virgl_render_server",
					"/usr/lib/virgl_render_server",
					"/usr/lib64/virgl_render_server",
					"/usr/lib/virglrenderer/virgl_render_server",
					"/usr/local/libexec/virgl_render_server",
					"/run/current-system/sw/libexec/virgl_render_server",
					NULL };

static char *find_program(void)
{
	const char *own = g_getenv(PATH_VARIABLE);

	if (own != NULL) {
		return access(own, X_OK) == 0 ? g_canonicalize_filename(own, NULL) : NULL;
	}
	for (const char *const *path = programs; *path != NULL; path++) {
		if (access(*path, X_OK) == 0) {
			return g_strdup(*path);
		}
	}
	return NULL;
}

static char *find(const struct renderer_options *options)
{
	if (!virgl_wants(options, RENDERER_CAPSET_VENUS)) {
		return NULL;
	}
	if (!host_has_vulkan()) {
		log_info("no Vulkan for guests: there is no driver for it (mesa-vulkan-drivers in "
			 "Debian)");
		return NULL;
	}
	char *path = find_program();
	if (path == NULL) {
		log_info("no Vulkan for guests: there is no virgl_render_server (virgl-server in "
			 "Debian; " PATH_VARIABLE " names another place)");
	}
	return path;
}

/* In a build's own folder, or where it is installed. */
static char *find_udmabuf_library(void)
{
	g_autofree char *program = g_file_read_link("/proc/self/exe", NULL);
	g_autofree char *folder = g_path_get_dirname(program != NULL ? program : "/");
	const char *const folders[] = { folder, LIBRARY_FOLDER };

	for (size_t i = 0; i < G_N_ELEMENTS(folders); i++) {
		char *path = g_build_filename(folders[i], UDMABUF_LIBRARY, NULL);

		if (access(path, R_OK) == 0) {
			return path;
		}
		g_free(path);
	}
	return NULL;
}

/* Where Vulkan is drawn in software, and has no way to make memory that can be mapped as it is. */
static char *find_library(void)
{
	return access("/dev/udmabuf", R_OK | W_OK) == 0 || host_has_file(VIRGL_RENDER_NODES)
		       ? NULL
		       : find_udmabuf_library();
}

static void preload(void)
{
	g_autofree char *library = find_library();
	const char *others = g_getenv("LD_PRELOAD");

	if (library != NULL) {
		g_autofree char *all = g_strjoin(":", library, others != NULL ? others : "", NULL);

		g_setenv("LD_PRELOAD", all, TRUE);
	}
}

static int become(const struct renderer_options *options, const char *path, int socket_fd)
{
	char argument[32];
	char *const arguments[] = { (char *)(uintptr_t)path, argument, NULL };

	shader_cache_choose(options->shader_cache);
	preload();
	if (fcntl(socket_fd, F_SETFD, 0) < 0) {
		return -errno;
	}
	snprintf(argument, sizeof(argument), "--socket-fd=%d", socket_fd);
	execv(path, arguments);
	return -errno;
}

/*
 * Measured as those of virgl_profile.c, besides which they are: strace and
 * --sandbox report of vkmark and our own programs in a guest, with
 * virglrenderer 1.1 and lavapipe of Mesa 26.1. What it would have and has not
 * is the system log, processors for its threads, and
 * /proc/sys/vm/overcommit_memory.
 *
 * A filter stays with a program that is run, so that the one execve that there
 * is has to be allowed for good; of what could be run then, Landlock leaves
 * this program.
 */
static lockdown_names calls = {
	/* the beginning of a program */
	"execve", "arch_prctl", "set_thread_area", "set_tls",
	/* processes of contexts, and their ends */
	"clone", "fork", "wait4", "waitid", "signalfd4", "socketpair", "eventfd2", NULL
};

static const char *const files[] = { "/etc/vulkan", "/usr/share/vulkan", "/usr/local/share/vulkan",
				     "/usr/local/etc/vulkan", NULL };

const struct renderer_server virgl_server = {
	.find = find,
	.find_library = find_library,
	.become = become,
	.files = files,
	.variables = host_vulkan_variables,
	.calls = calls,
};
