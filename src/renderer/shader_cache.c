/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * Where Mesa and NVIDIA's driver keep compiled shaders: nowhere, or in a folder
 * that the user has named.
 *
 * Mesa's default is a folder that all programs of a user share. What one guest
 * makes its driver write there, another guest's would read and execute.
 *
 * Mesa up to 23 writes to an index there through a mapping of a file that has
 * holes, so that on a disk that got full it dies of SIGBUS, with whatever is
 * drawn next, until 3D is turned off. So the blocks of that file are asked for
 * before Mesa opens it, and without them nothing is kept.
 */
#include "renderer/shader_cache.h"

#include <errno.h>
#include <fcntl.h>
#include <glib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "util/log.h"

/* Names and size, at the most, of Mesa's (disk_cache_os.c): 65,536 keys of 20 bytes. */
#define INDEX_FOLDER "mesa_shader_cache"
#define INDEX_FILE "index"
#define INDEX_BYTES (2 << 20)

static int reserve_index(const char *folder)
{
	g_autofree char *subfolder = g_build_filename(folder, INDEX_FOLDER, NULL);
	g_autofree char *path = g_build_filename(subfolder, INDEX_FILE, NULL);

	if (mkdir(subfolder, 0700) < 0 && errno != EEXIST) {
		return -errno;
	}
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0) {
		return -errno;
	}
	int error = fallocate(fd, FALLOC_FL_KEEP_SIZE, 0, INDEX_BYTES) < 0 ? -errno : 0;
	close(fd);
	return error;
}

static void keep_nothing(void)
{
	g_setenv("MESA_SHADER_CACHE_DISABLE", "true", TRUE);
	g_setenv("MESA_GLSL_CACHE_DISABLE", "true", TRUE); /* before Mesa 22.3 */
	g_setenv("__GL_SHADER_DISK_CACHE", "0", TRUE);
}

void shader_cache_choose(const char *folder)
{
	int error = folder != NULL ? reserve_index(folder) : 0;

	if (error < 0) {
		log_warn("--shader-cache '%s': %s; shaders are kept in memory only", folder,
			 g_strerror(-error));
	}
	if (folder == NULL || error < 0) {
		keep_nothing();
		return;
	}
	g_setenv("MESA_SHADER_CACHE_DIR", folder, TRUE);
	g_setenv("MESA_GLSL_CACHE_DIR", folder, TRUE);
	g_setenv("__GL_SHADER_DISK_CACHE_PATH", folder, TRUE);
}
