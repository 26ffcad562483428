/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "control/answer.h"

#include <stdarg.h>
#include <string.h>
#include <unistd.h>

#include "control/protocol.h"
#include "util/sock.h"

/* With these a value is easier to read, and none of them parts words or lines. */
#define PLAIN "!#$&'()*+,/:;=?@[]"
/* Room for the end, whatever came before. */
#define RESERVED_BYTES 64

void answer_begin(struct answer *answer)
{
	*answer = (struct answer){ .text = g_string_new(CONTROL_GREETING " ok") };
}

/* What would be too much is left out, and all behind it. */
static void append(struct answer *answer, const char *text)
{
	answer->is_full |=
		answer->text->len + strlen(text) > CONTROL_MAX_ANSWER_BYTES - RESERVED_BYTES;
	if (!answer->is_full) {
		g_string_append(answer->text, text);
	}
}

void answer_record(struct answer *answer, const char *name)
{
	append(answer, "\n");
	append(answer, name);
}

static void append_word(struct answer *answer, const char *key, const char *value)
{
	g_autofree char *word = g_strdup_printf(" %s=%s", key, value);

	append(answer, word);
}

void answer_bytes(struct answer *answer, const char *key, const char *bytes, size_t length)
{
	GString *value = g_string_new(NULL);

	for (size_t i = 0; i < length; i++) {
		if (g_ascii_isalnum(bytes[i]) ||
		    (bytes[i] != '\0' && strchr("-._~" PLAIN, bytes[i]) != NULL)) {
			g_string_append_c(value, bytes[i]);
		} else {
			g_string_append_printf(value, "%%%02X", (unsigned char)bytes[i]);
		}
	}
	append_word(answer, key, value->str);
	g_string_free(value, TRUE);
}

void answer_text(struct answer *answer, const char *key, const char *text)
{
	if (text != NULL) {
		answer_bytes(answer, key, text, strlen(text));
	}
}

void answer_number(struct answer *answer, const char *key, uint64_t number)
{
	char text[32];

	g_snprintf(text, sizeof(text), "%" G_GUINT64_FORMAT, number);
	append_word(answer, key, text);
}

void answer_decimal(struct answer *answer, const char *key, uint64_t thousandths)
{
	char text[40];

	g_snprintf(text, sizeof(text), "%" G_GUINT64_FORMAT ".%03u", thousandths / 1000,
		   (unsigned int)(thousandths % 1000));
	append_word(answer, key, text);
}

void answer_bool(struct answer *answer, const char *key, bool value)
{
	append_word(answer, key, value ? "yes" : "no");
}

static bool send_all(int fd, const char *text, size_t length)
{
	const struct iovec iov = { (void *)(uintptr_t)text, length };

	return sock_send(fd, &iov, 1, -1) == (ssize_t)length;
}

bool answer_end(struct answer *answer, int fd_borrow)
{
	/* A word that was cut off is no word; the line before it may be. */
	if (answer->is_full) {
		g_string_append(answer->text, "\ncut");
	}
	g_string_append(answer->text, "\nend\n");
	bool is_sent = send_all(fd_borrow, answer->text->str, answer->text->len);

	g_string_free(answer->text, TRUE);
	answer->text = NULL;
	return is_sent;
}

void answer_close(struct answer *answer, int consume_fd)
{
	bool ignored = answer_end(answer, consume_fd);

	(void)ignored;
	close(consume_fd);
}

void answer_error(int consume_fd, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	g_autofree char *text = g_strdup_vprintf(format, args);
	va_end(args);
	g_autofree char *line = g_strdup_printf(CONTROL_GREETING " error %s\nend\n", text);
	bool ignored = send_all(consume_fd, line, strlen(line));

	(void)ignored;
	close(consume_fd);
}
