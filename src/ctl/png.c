/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* Written beside its place and then put there: a file that is there is whole. */
#include "ctl/ctl.h"

#include <errno.h>
#include <fcntl.h>
#include <png.h>
#include <setjmp.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static void write_rows(png_structp png, png_infop info, FILE *file, uint32_t width, uint32_t height,
		       bool has_alpha, const char *pixels)
{
	png_init_io(png, file);
	png_set_IHDR(png, info, width, height, 8,
		     has_alpha ? PNG_COLOR_TYPE_RGB_ALPHA : PNG_COLOR_TYPE_RGB, PNG_INTERLACE_NONE,
		     PNG_COMPRESSION_TYPE_DEFAULT, PNG_FILTER_TYPE_DEFAULT);
	png_write_info(png, info);
	png_set_bgr(png);
	if (!has_alpha) {
		png_set_filler(png, 0, PNG_FILLER_AFTER);
	}
	for (uint32_t y = 0; y < height; y++) {
		png_write_row(png, (png_const_bytep)pixels + (size_t)y * width * 4);
	}
	png_write_end(png, info);
}

static int write_file(FILE *file, uint32_t width, uint32_t height, bool has_alpha,
		      const char *pixels)
{
	png_structp png = png_create_write_struct(PNG_LIBPNG_VER_STRING, NULL, NULL, NULL);
	png_infop info = png != NULL ? png_create_info_struct(png) : NULL;

	if (info == NULL) {
		png_destroy_write_struct(&png, NULL);
		return -ENOMEM;
	}
	/* Where libpng goes when it can't write. */
	if (setjmp(png_jmpbuf(png)) != 0) {
		png_destroy_write_struct(&png, &info);
		return -EIO;
	}
	write_rows(png, info, file, width, height, has_alpha, pixels);
	png_destroy_write_struct(&png, &info);
	return 0;
}

/* For its user's eyes alone, under a name that nobody can have put a link at. */
static FILE *open_beside(const char *path, char **part_out)
{
	g_autofree char *part = g_strdup_printf("%s.XXXXXX", path);
	int fd = g_mkstemp_full(part, O_WRONLY | O_CLOEXEC, 0600);
	FILE *file = fd >= 0 ? fdopen(fd, "wb") : NULL;

	if (file == NULL) {
		int error = errno;

		if (fd >= 0) {
			close(fd);
			unlink(part);
		}
		errno = error;
		return NULL;
	}
	*part_out = g_steal_pointer(&part);
	return file;
}

/* A device or a pipe gets the bytes; it is not replaced. */
static bool is_stream(const char *path)
{
	struct stat info;

	return stat(path, &info) == 0 && !S_ISREG(info.st_mode);
}

static FILE *open_file(const char *path, char **part_out)
{
	if (strcmp(path, "-") == 0) {
		return stdout;
	}
	return is_stream(path) ? fopen(path, "wbe") : open_beside(path, part_out);
}

int png_write(const char *path, uint32_t width, uint32_t height, bool has_alpha, const char *pixels)
{
	g_autofree char *part = NULL;
	FILE *file = open_file(path, &part);

	if (file == NULL) {
		return -errno;
	}
	int error = write_file(file, width, height, has_alpha, pixels);
	if (file == stdout) {
		return fflush(file) != 0 ? -errno : error;
	}
	if (fclose(file) != 0 && error == 0) {
		error = -errno;
	}
	if (part != NULL && error == 0 && rename(part, path) < 0) {
		error = -errno;
	}
	if (part != NULL && error < 0) {
		unlink(part);
	}
	return error;
}
