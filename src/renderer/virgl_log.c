/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * The library's messages in our log. It writes to stderr on its own otherwise,
 * as often as a guest likes and with the guest's bytes in it (shaders, names).
 * Nearly all of it is about what a guest did, so it is "debug" here; what
 * newer versions mark as an error may be about the host and is "warn", which
 * is rate-limited. While the library starts, the last line is kept as well: it
 * is the only reason virgl_renderer_init() ever gives.
 *
 * The library is one per process and may write from its own thread, hence the
 * static state and its lock.
 */
#include "renderer/virgl_internal.h"

#include <stdio.h>
#include <string.h>

#include "util/log.h"

#define TEXT_MAX_BYTES 1024

static struct {
	GMutex lock;
	bool is_on;
	char last_line[256];
} capture;

static atomic_bool is_capturing;

static void remember(const char *line)
{
	g_mutex_lock(&capture.lock);
	if (capture.is_on) {
		g_strlcpy(capture.last_line, line, sizeof(capture.last_line));
	}
	g_mutex_unlock(&capture.lock);
}

static void write_line(enum log_level level, const char *line, size_t length)
{
	char shown[TEXT_MAX_BYTES];

	if (length == 0) {
		return;
	}
	log_escape(line, length, shown, sizeof(shown));
	remember(shown);
	log_at(level, "virglrenderer: %s", shown);
}

static void write_lines(enum log_level level, const char *text)
{
	while (*text != '\0') {
		size_t length = strcspn(text, "\n");

		write_line(level, text, length);
		text += length;
		text += strspn(text, "\n");
	}
}

static bool is_wanted(enum log_level level)
{
	return level <= log_level() || atomic_load(&is_capturing);
}

/* Since 1.0. */
static void on_message(enum virgl_library_log_level library_level, const char *message,
		       void *data G_GNUC_UNUSED)
{
	enum log_level level =
		library_level == VIRGL_LIBRARY_LOG_LEVEL_ERROR ? LOG_LEVEL_WARN : LOG_LEVEL_DEBUG;

	if (is_wanted(level)) {
		write_lines(level, message);
	}
}

/* Before. */
static void G_GNUC_PRINTF(1, 0) on_format(const char *format, va_list args)
{
	char text[TEXT_MAX_BYTES];

	if (is_wanted(LOG_LEVEL_DEBUG)) {
		vsnprintf(text, sizeof(text), format, args);
		write_lines(LOG_LEVEL_DEBUG, text);
	}
}

void virgl_log_install(void)
{
	if (virgl_library.set_log_callback != NULL) {
		virgl_library.set_log_callback(on_message, NULL, NULL);
	} else if (virgl_library.set_debug_callback != NULL) {
		virgl_library.set_debug_callback(on_format);
	}
}

void virgl_log_capture(bool on)
{
	g_mutex_lock(&capture.lock);
	capture.is_on = on;
	if (on) {
		capture.last_line[0] = '\0';
	}
	g_mutex_unlock(&capture.lock);
	atomic_store(&is_capturing, on);
}

const char *virgl_log_last_line(char *buffer, size_t size)
{
	g_mutex_lock(&capture.lock);
	g_strlcpy(buffer, capture.last_line, size);
	g_mutex_unlock(&capture.lock);
	return buffer;
}
