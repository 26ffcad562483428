/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* Pipes of two kinds. What is written to a stream comes back, in the place of what a thread draws.
 */
#include "mock.h"

#include <string.h>
#include <unistd.h>

struct mock_pipe *mock_pipe_create(void)
{
	struct mock_pipe *pipe = g_new0(struct mock_pipe, 1);

	pipe->refs = 1;
	pipe->bytes = g_byte_array_new();
	return pipe;
}

struct mock_pipe *mock_pipe_ref(struct mock_pipe *pipe)
{
	pipe->refs++;
	return pipe;
}

void mock_pipe_unref(struct mock_pipe *pipe)
{
	if (pipe && --pipe->refs == 0) {
		g_byte_array_unref(pipe->bytes);
		g_free(pipe);
	}
}

static bool is_name(const uint8_t *bytes, uint64_t length, const char *name)
{
	g_autofree char *text = g_strndup((const char *)bytes, length);

	return strcmp(text, name) == 0 && length <= strlen(name) + 1;
}

static void take_name(struct mock_pipe *pipe, const uint8_t *bytes, uint64_t length)
{
	pipe->is_process = is_name(bytes, length, "pipe:GLProcessPipe");
	pipe->is_stream = is_name(bytes, length, "pipe:opengles");
	contract(pipe->is_process || pipe->is_stream, "a pipe of a name that is not known");
}

void mock_pipe_write(struct mock_pipe *pipe, const uint8_t *bytes, uint64_t length)
{
	int32_t number;

	if (pipe->is_stream) {
		g_byte_array_append(pipe->bytes, bytes, (guint)length);
		return;
	}
	if (!pipe->is_process) {
		take_name(pipe, bytes, length);
		return;
	}
	contract(!pipe->is_confirmed && length >= sizeof(number), "too much or too little");
	memcpy(&number, bytes, sizeof(number));
	contract(number == 100, "a confirmation of %d", number);
	pipe->is_confirmed = true;
}

/* It waits for what the other end has to say. */
void mock_pipe_read(struct mock_pipe *pipe, uint8_t *bytes_out, uint64_t length)
{
	const uint64_t id = 4711;

	contract(pipe->is_process || pipe->is_stream, "a pipe without a name is read");
	if (pipe->is_process) {
		contract(!pipe->is_read && length >= sizeof(id),
			 "a number is read again, or in part");
		memcpy(bytes_out, &id, sizeof(id));
		pipe->is_read = true;
		return;
	}
	while (pipe->bytes->len < length) {
		if (mock_is_tame()) {
			g_byte_array_append(pipe->bytes, (const uint8_t *)"", 1);
		} else {
			usleep(1000);
		}
	}
	memcpy(bytes_out, pipe->bytes->data, length);
	g_byte_array_remove_range(pipe->bytes, 0, (guint)length);
}
