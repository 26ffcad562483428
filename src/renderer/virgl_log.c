/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * The library's messages in our log. Nearly all of it is about what a guest
 * did, so it is "debug" here; what newer versions mark as an error may be about
 * the host and is "warn", which is rate-limited. While the library starts the
 * last line is the only reason virgl_renderer_init() ever gives.
 */
#include "renderer/library_log.h"
#include "renderer/virgl_internal.h"

#include <stdio.h>

#define TEXT_MAX_BYTES 1024
#define NAME "virglrenderer"

/* Since 1.0. */
static void on_message(enum virgl_library_log_level library_level, const char *message,
		       void *data G_GNUC_UNUSED)
{
	enum log_level level =
		library_level == VIRGL_LIBRARY_LOG_LEVEL_ERROR ? LOG_LEVEL_WARN : LOG_LEVEL_DEBUG;

	if (library_log_wants(level)) {
		library_log(level, NAME, message);
	}
}

/* Before. */
static void G_GNUC_PRINTF(1, 0) on_format(const char *format, va_list args)
{
	char text[TEXT_MAX_BYTES];

	if (library_log_wants(LOG_LEVEL_DEBUG)) {
		vsnprintf(text, sizeof(text), format, args);
		library_log(LOG_LEVEL_DEBUG, NAME, text);
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
