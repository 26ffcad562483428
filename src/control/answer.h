/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * An answer on the control socket, while it is written: see protocol.h.
 *
 * It goes out with one system call, and never waits: a socket that nothing was
 * sent on holds CONTROL_MAX_ANSWER_BYTES, whether its reader is slow, stopped
 * or none. So nothing is kept for a reader here.
 */
#pragma once

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

struct answer {
	GString *text;
	bool is_full; /* what did not fit was left out, and "end" says so */
};

void answer_begin(struct answer *answer);
/* A record; its words follow. */
void answer_record(struct answer *answer, const char *name);
void answer_text(struct answer *answer, const char *key, const char *text); /* NULL: left out */
void answer_bytes(struct answer *answer, const char *key, const char *bytes, size_t length);
void answer_number(struct answer *answer, const char *key, uint64_t number);
/* In thousandths. */
void answer_decimal(struct answer *answer, const char *key, uint64_t thousandths);
void answer_bool(struct answer *answer, const char *key, bool value);

/* Sends it; what it took is freed. False: it did not go out whole. */
bool answer_end(struct answer *answer, int fd_borrow);
/* The same, and the connection is closed, whether it took the answer or not. */
void answer_close(struct answer *answer, int consume_fd);
/* The same, of an answer that is nothing but an error. */
void answer_error(int consume_fd, const char *format, ...) G_GNUC_PRINTF(2, 3);
