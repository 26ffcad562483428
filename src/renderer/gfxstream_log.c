/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * The library's messages in our log. Its errors are mostly of a guest's making,
 * but may be about the host: "warn", which is rate-limited. Its warnings and
 * what it has to tell else are for who wants to know.
 */
#include "renderer/gfxstream_internal.h"
#include "renderer/library_log.h"

static enum log_level level_of(uint32_t debug_type)
{
	switch (debug_type) {
	case GFXSTREAM_DEBUG_ERROR:
		return LOG_LEVEL_WARN;
	case GFXSTREAM_DEBUG_WARN:
		return LOG_LEVEL_INFO;
	case GFXSTREAM_DEBUG_INFO:
		return LOG_LEVEL_DEBUG;
	default:
		return LOG_LEVEL_TRACE;
	}
}

void gfxstream_log_callback(void *user_data G_GNUC_UNUSED, struct gfxstream_debug *debug)
{
	enum log_level level = level_of(debug->debug_type);

	if (debug->message != NULL && library_log_wants(level)) {
		library_log(level, "gfxstream", debug->message);
	}
}
