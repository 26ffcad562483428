/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "util/log.h"

#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define LINE_MAX_BYTES 1024
#define LINES_AT_ONCE 10

enum log_level log_threshold = LOG_LEVEL_WARN;

static const char *const level_names[] = {
	[LOG_LEVEL_OFF] = "off",   [LOG_LEVEL_ERROR] = "error", [LOG_LEVEL_WARN] = "warn",
	[LOG_LEVEL_INFO] = "info", [LOG_LEVEL_DEBUG] = "debug", [LOG_LEVEL_TRACE] = "trace",
};

void log_set_level(enum log_level level)
{
	__atomic_store_n(&log_threshold, level, __ATOMIC_RELAXED);
}

const char *log_level_name(enum log_level level)
{
	return level_names[level];
}

static void write_line_of(int pid, enum log_level level, const char *text)
{
	char line[LINE_MAX_BYTES];
	int saved_errno = errno;
	int length = snprintf(line, sizeof(line), "vhost-device-gpu[%d]: %s: %s\n", pid,
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

static void write_line(enum log_level level, const char *text)
{
	write_line_of((int)getpid(), level, text);
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

/*
 * What a level may still say. A line costs time, and time passes: since_us is
 * when the last line would have been due if all had come at the highest pace.
 */
struct budget {
	gint64 line_us; /* what one costs */
	gint64 since_us;
	unsigned int n_left_out;
};

/*
 * What is logged where nobody has asked for it must not fill a disk over the
 * months that a VM runs; what is asked for is read.
 */
static struct budget budgets[] = {
	[LOG_LEVEL_ERROR] = { .line_us = G_USEC_PER_SEC },
	[LOG_LEVEL_WARN] = { .line_us = G_USEC_PER_SEC },
	[LOG_LEVEL_INFO] = { .line_us = G_USEC_PER_SEC / 10 },
	[LOG_LEVEL_DEBUG] = { .line_us = G_USEC_PER_SEC / 10 },
};

/* Returns false if the line has to be left out, else how many were before it. */
static bool take_line(struct budget *budget, unsigned int *n_left_out)
{
	gint64 now_us = g_get_monotonic_time();

	budget->since_us = MAX(budget->since_us, now_us - LINES_AT_ONCE * budget->line_us);
	if (budget->since_us + budget->line_us > now_us) {
		budget->n_left_out++;
		return false;
	}
	budget->since_us += budget->line_us;
	*n_left_out = budget->n_left_out;
	budget->n_left_out = 0;
	return true;
}

static GMutex lock; /* of the budgets */

void log_write_limited(enum log_level level, const char *format, ...)
{
	unsigned int n_left_out = 0;
	char text[LINE_MAX_BYTES];
	va_list args;

	/* Whoever asks for everything gets everything. */
	if (log_level() < LOG_LEVEL_TRACE) {
		g_mutex_lock(&lock);
		bool is_allowed = take_line(&budgets[level], &n_left_out);
		g_mutex_unlock(&lock);
		if (!is_allowed) {
			return;
		}
	}
	if (n_left_out > 0) {
		log_write(level, "(%u messages left out)", n_left_out);
	}
	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	write_line(level, text);
}

/* "vhost-device-gpu[1]: error: text" is what another process of ours writes. NULL: it is not. */
static const char *parse_own(const char *line, enum log_level *level_out)
{
	const char *rest = line;

	if (!g_str_has_prefix(line, "vhost-device-gpu[")) {
		return NULL;
	}
	rest += strcspn(rest, "]");
	for (size_t i = LOG_LEVEL_ERROR;
	     g_str_has_prefix(rest, "]: ") && i < G_N_ELEMENTS(level_names); i++) {
		size_t length = strlen(level_names[i]);

		if (strncmp(rest + 3, level_names[i], length) == 0 &&
		    g_str_has_prefix(rest + 3 + length, ": ")) {
			*level_out = (enum log_level)i;
			return rest + 3 + length + 2;
		}
	}
	return NULL;
}

void log_relay(int pid, const char *line, size_t length)
{
	static struct budget budget = { .line_us = G_USEC_PER_SEC / 10 };
	enum log_level level = LOG_LEVEL_WARN;
	unsigned int n_left_out = 0;
	char text[LINE_MAX_BYTES];

	log_escape(line, length, text, sizeof(text));
	const char *words = parse_own(text, &level);
	if (level > log_level()) {
		return;
	}
	if (log_level() < LOG_LEVEL_TRACE) {
		g_mutex_lock(&lock);
		bool is_allowed = take_line(&budget, &n_left_out);
		g_mutex_unlock(&lock);
		if (!is_allowed) {
			return;
		}
	}
	if (n_left_out > 0) {
		log_write(level, "(%u lines of process %d left out)", n_left_out, pid);
	}
	write_line_of(pid, level, words != NULL ? words : text);
}

void log_charge_child(void)
{
	unsigned int ignored;

	g_mutex_lock(&lock);
	for (size_t i = LOG_LEVEL_ERROR; i < G_N_ELEMENTS(budgets); i++) {
		struct budget budget = budgets[i];

		/* What could not be charged is no message that was left out. */
		if (take_line(&budget, &ignored)) {
			budgets[i].since_us = budget.since_us;
		}
	}
	g_mutex_unlock(&lock);
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

bool log_level_parse(const char *word, enum log_level *level_out)
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
		if (log_level_parse(text, &level)) {
			log_set_level(level);
		} else {
			char shown[64];
			log_write(LOG_LEVEL_WARN,
				  "%s: unknown level '%s' (allowed: off, error, warn, info, debug, "
				  "trace)",
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
		if (strcmp(fields[i].key, "MESSAGE") == 0) {
			log_at(level, "glib: %s", (const char *)fields[i].value);
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
