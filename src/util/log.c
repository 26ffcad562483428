/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "util/log.h"

#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define LINE_MAX_BYTES 1024
#define LIMIT_PER_SECOND 10

enum log_level log_threshold = LOG_LEVEL_WARN;

static const char *const level_names[] = {
	[LOG_LEVEL_OFF] = "off",   [LOG_LEVEL_ERROR] = "error", [LOG_LEVEL_WARN] = "warn",
	[LOG_LEVEL_INFO] = "info", [LOG_LEVEL_DEBUG] = "debug", [LOG_LEVEL_TRACE] = "trace",
};

static void write_line(enum log_level level, const char *text)
{
	char line[LINE_MAX_BYTES];
	int saved_errno = errno;
	int length = snprintf(line, sizeof(line), "vhost-device-gpu[%d]: %s: %s\n", (int)getpid(),
			      level_names[level], text);

	if (length < 0) {
		return;
	}
	if ((size_t)length >= sizeof(line)) {
		length = sizeof(line) - 1;
		line[length - 1] = '\n';
	}
	/*
	 * A stderr that is full because nobody reads it must not stop the VM.
	 * A pipe that polls writable has room for PIPE_BUF, more than a line.
	 */
	struct pollfd room = { .fd = STDERR_FILENO, .events = POLLOUT };
	if (poll(&room, 1, 0) == 1 && (room.revents & POLLOUT) != 0) {
		ssize_t ignored = write(STDERR_FILENO, line, (size_t)length);
		(void)ignored;
	}
	errno = saved_errno;
}

void log_write(enum log_level level, const char *format, ...)
{
	char text[LINE_MAX_BYTES];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	write_line(level, text);
}

void log_write_limited(enum log_level level, const char *format, ...)
{
	static GMutex lock;
	static gint64 window_start_us;
	static unsigned int n_in_window;
	static unsigned int n_dropped;
	unsigned int report = 0;
	bool drop = false;

	g_mutex_lock(&lock);
	gint64 now_us = g_get_monotonic_time();
	if (window_start_us == 0 || now_us - window_start_us >= G_USEC_PER_SEC) {
		window_start_us = now_us;
		n_in_window = 0;
		report = n_dropped;
		n_dropped = 0;
	}
	if (log_threshold >= LOG_LEVEL_TRACE) {
		/* Whoever asks for everything gets everything. */
	} else if (n_in_window >= LIMIT_PER_SECOND) {
		n_dropped++;
		drop = true;
	} else {
		n_in_window++;
	}
	g_mutex_unlock(&lock);

	if (report > 0) {
		log_write(level, "(%u messages left out)", report);
	}
	if (drop) {
		return;
	}

	char text[LINE_MAX_BYTES];
	va_list args;
	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	write_line(level, text);
}

const char *log_escape(const void *bytes, size_t length, char *buffer, size_t size)
{
	const unsigned char *in = bytes;
	size_t n = 0;

	for (size_t i = 0; i < length && in[i] != 0 && n + 5 < size; i++) {
		if (in[i] >= 0x20 && in[i] < 0x7f && in[i] != '\\') {
			buffer[n++] = (char)in[i];
		} else {
			n += (size_t)snprintf(buffer + n, size - n, "\\x%02x", in[i]);
		}
	}
	buffer[n] = '\0';
	return buffer;
}

static bool parse_level(const char *word, enum log_level *level_out)
{
	for (size_t i = 0; i < G_N_ELEMENTS(level_names); i++) {
		if (g_ascii_strcasecmp(word, level_names[i]) == 0) {
			*level_out = (enum log_level)i;
			return true;
		}
	}
	return false;
}

/* "level", or env_logger's "target=level,level": the most specific one wins. */
static void parse_spec(const char *variable, const char *spec)
{
	g_auto(GStrv) words = g_strsplit(spec, ",", 64);
	bool is_specific = false;

	for (char **word = words; *word != NULL; word++) {
		const char *text = g_strstrip(*word);
		const char *equals = strchr(text, '=');
		enum log_level level;

		if (*text == '\0') {
			continue;
		}
		if (equals != NULL) {
			g_autofree char *target = g_strndup(text, (gsize)(equals - text));
			g_strdelimit(target, "-", '_');
			if (strcmp(target, "vhost_device_gpu") != 0) {
				continue;
			}
			is_specific = true;
			text = equals + 1;
		} else if (is_specific) {
			continue;
		}
		if (parse_level(text, &level)) {
			log_threshold = level;
		} else {
			char shown[64];
			log_write(LOG_LEVEL_WARN,
				  "%s: unknown level '%s' (allowed: off, error, warn, info, debug, trace)",
				  variable, log_escape(text, strlen(text), shown, sizeof(shown)));
		}
	}
}

static GLogWriterOutput from_glib(GLogLevelFlags flags, const GLogField *fields, gsize n_fields,
				  gpointer data G_GNUC_UNUSED)
{
	enum log_level level = LOG_LEVEL_DEBUG;

	if (flags & (G_LOG_LEVEL_ERROR | G_LOG_LEVEL_CRITICAL)) {
		level = LOG_LEVEL_ERROR;
	} else if (flags & G_LOG_LEVEL_WARNING) {
		level = LOG_LEVEL_WARN;
	}
	for (gsize i = 0; i < n_fields; i++) {
		if (level <= log_threshold && strcmp(fields[i].key, "MESSAGE") == 0) {
			log_write(level, "glib: %s", (const char *)fields[i].value);
		}
	}
	return G_LOG_WRITER_HANDLED;
}

void log_init(void)
{
	static const char *const variables[] = { "VHOST_DEVICE_GPU_LOG", "RUST_LOG" };

	g_log_set_writer_func(from_glib, NULL, NULL);
	for (size_t i = 0; i < G_N_ELEMENTS(variables); i++) {
		const char *spec = g_getenv(variables[i]);

		if (spec != NULL && *spec != '\0') {
			parse_spec(variables[i], spec);
			return;
		}
	}
}
