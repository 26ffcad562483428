/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "renderer/library_log.h"

#include <stdatomic.h>
#include <string.h>

#define LINE_MAX_BYTES 1024

static char own_line[LIBRARY_LOG_LINE_BYTES];

static struct {
	GMutex lock;
	bool is_on;
	enum log_level level; /* of the line that is kept */
	char *last_line;
} capture = { .last_line = own_line };

static atomic_bool is_capturing;

/* True: it is kept. */
static bool remember(enum log_level level, const char *line)
{
	g_mutex_lock(&capture.lock);
	bool is_on = capture.is_on;
	if (is_on && level <= capture.level) {
		capture.level = level;
		g_strlcpy(capture.last_line, line, LIBRARY_LOG_LINE_BYTES);
	}
	g_mutex_unlock(&capture.lock);
	return is_on;
}

static void write_line(enum log_level level, const char *name, const char *line, size_t length)
{
	char shown[LINE_MAX_BYTES];

	if (length == 0) {
		return;
	}
	log_escape(line, length, shown, sizeof(shown));
	if (remember(level, shown)) {
		level = MAX(level, LOG_LEVEL_INFO);
	}
	if (level == LOG_LEVEL_TRACE) {
		log_trace("%s: %s", name, shown);
	} else {
		log_at(level, "%s: %s", name, shown);
	}
}

bool library_log_wants(enum log_level level)
{
	return level <= log_level() || atomic_load(&is_capturing);
}

void library_log(enum log_level level, const char *name, const char *text)
{
	while (*text != '\0') {
		size_t length = strcspn(text, "\n");

		write_line(level, name, text, length);
		text += length;
		text += strspn(text, "\n");
	}
}

void library_log_capture(bool on)
{
	g_mutex_lock(&capture.lock);
	capture.is_on = on;
	if (on) {
		capture.level = LOG_LEVEL_TRACE;
		capture.last_line[0] = '\0';
	}
	g_mutex_unlock(&capture.lock);
	atomic_store(&is_capturing, on);
}

void library_log_keep_in(char *line)
{
	g_mutex_lock(&capture.lock);
	capture.last_line = line;
	g_mutex_unlock(&capture.lock);
}

const char *library_log_last_line(char *buffer, size_t size)
{
	g_mutex_lock(&capture.lock);
	g_strlcpy(buffer, capture.last_line, size);
	g_mutex_unlock(&capture.lock);
	return buffer;
}
