/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * A library's messages in our log. By itself it would write to stderr, as
 * often as a guest likes and with the guest's bytes in it (shaders, names).
 *
 * A library is one per process and may write from threads of its own, hence
 * the static state. All of this is for any thread.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "util/log.h"

#define LIBRARY_LOG_LINE_BYTES 256

/* Is a message of this level worth being made? */
bool library_log_wants(enum log_level level);

/* Each line of text, escaped, with the library's name in front. */
void library_log(enum log_level level, const char *name, const char *text);

/*
 * While the library starts, the last of its worst lines is kept, for who says
 * that it does not start: often it is the only reason there is. So it is no
 * warning as well.
 */
void library_log_capture(bool on);
/* Since capture began; empty if there was none. */
const char *library_log_last_line(char *buffer, size_t size);
/*
 * Keep it in line, of LIBRARY_LOG_LINE_BYTES zeros, which another process can
 * read when this one has crashed. Borrowed for good.
 */
void library_log_keep_in(char *line);
