/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * Messages for the operator, on stderr, one write(2) per line.
 *
 * error: the operator must act. warn: a peer misbehaved. info: life of the
 * process. debug: the guest did something odd. trace: every command.
 *
 * A guest or a front-end can cause lines of each level, and must neither fill
 * a disk nor hide what others cause. So each level has a limit of its own:
 * errors and warnings ten at once, then one a second; info and debug ten at
 * once, then ten a second. How many were left out is said before the next one.
 * Only trace has all of all levels.
 *
 * Any thread may log. Guest-controlled strings never reach a format argument
 * unescaped: use log_escape().
 */
#pragma once

#include <glib.h>
#include <stdbool.h>
#include <stddef.h>

enum log_level {
	LOG_LEVEL_OFF,
	LOG_LEVEL_ERROR,
	LOG_LEVEL_WARN,
	LOG_LEVEL_INFO,
	LOG_LEVEL_DEBUG,
	LOG_LEVEL_TRACE,
};

extern enum log_level log_threshold;

/*
 * Read the level from VHOST_DEVICE_GPU_LOG, else RUST_LOG, else "warn".
 * RUST_LOG may carry directives ("vhost_device_gpu=debug,other=info"); one for
 * this program counts, then a bare level. An unknown word is reported and
 * ignored. Also catches GLib's own messages.
 */
void log_init(void);

/* As log_init() has it; in a process whose threads go on, too. */
void log_set_level(enum log_level level);
/* One of the words that VHOST_DEVICE_GPU_LOG takes. False: it is none. */
bool log_level_parse(const char *word, enum log_level *level_out);
const char *log_level_name(enum log_level level);

static inline enum log_level log_level(void)
{
	return __atomic_load_n(&log_threshold, __ATOMIC_RELAXED);
}

void log_write(enum log_level level, const char *format, ...) G_GNUC_PRINTF(2, 3);

/* As log_write() within the limits above; level: from error to debug. */
void log_write_limited(enum log_level level, const char *format, ...) G_GNUC_PRINTF(2, 3);

/*
 * Before a fork() whose child serves somebody who may come back as often as he
 * likes: each such child begins with what its forerunners have left of the
 * limits, for it is a fresh process each time.
 */
void log_charge_child(void);

/*
 * What process pid, which is not to be trusted, has written to its stderr,
 * without the newline: escaped, under its own number whatever it says, ten
 * lines at once, then ten a second.
 */
void log_relay(int pid, const char *line, size_t length);

/* Printable copy of guest bytes, at most size - 1 characters, always terminated. */
const char *log_escape(const void *bytes, size_t length, char *buffer, size_t size);

#define log_at(level, ...)                                                                         \
	do {                                                                                       \
		if (G_UNLIKELY((level) <= log_level())) {                                          \
			log_write_limited((level), __VA_ARGS__);                                   \
		}                                                                                  \
	} while (0)

/* Why the program can't start or go on: said whatever the level is. */
#define log_failure(...) log_write(LOG_LEVEL_ERROR, __VA_ARGS__)

#define log_error(...) log_at(LOG_LEVEL_ERROR, __VA_ARGS__)
#define log_warn(...) log_at(LOG_LEVEL_WARN, __VA_ARGS__)
#define log_info(...) log_at(LOG_LEVEL_INFO, __VA_ARGS__)
#define log_debug(...) log_at(LOG_LEVEL_DEBUG, __VA_ARGS__)
#define log_trace(...)                                                                             \
	do {                                                                                       \
		if (G_UNLIKELY(log_level() >= LOG_LEVEL_TRACE)) {                                  \
			log_write(LOG_LEVEL_TRACE, __VA_ARGS__);                                   \
		}                                                                                  \
	} while (0)
