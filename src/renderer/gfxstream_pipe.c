/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * Pipes. A context has one, which all resources that are pipes and attached to
 * it last are ends of. What is written there first is what kind it is; for any
 * other word than two, for reading before it, and for breaking the rules of
 * the first kind, the library ends the process. So these are kept here:
 *
 * "pipe:GLProcessPipe": the guest writes the number 100, once, and reads a
 * number of 64 bits, once.
 * "pipe:opengles": anything either way, for a thread that draws. What it makes
 * of a stream that makes no sense, and whether it ever answers, is its own.
 */
#include <string.h>

#include "renderer/gfxstream_internal.h"

#define CONFIRMATION 100
#define MAX_NAME_BYTES 32

enum pipe_kind {
	PIPE_UNNAMED,
	PIPE_PROCESS,
	PIPE_STREAM,
};

struct gfxstream_pipe {
	unsigned int refs;
	enum pipe_kind kind;
	bool is_confirmed, is_read; /* of PIPE_PROCESS */
};

struct gfxstream_pipe *gfxstream_pipe_create(void)
{
	struct gfxstream_pipe *pipe = g_new0(struct gfxstream_pipe, 1);

	pipe->refs = 1;
	return pipe;
}

struct gfxstream_pipe *gfxstream_pipe_ref(struct gfxstream_pipe *pipe)
{
	pipe->refs++;
	return pipe;
}

void gfxstream_pipe_unref(struct gfxstream_pipe *pipe)
{
	if (pipe != NULL && --pipe->refs == 0) {
		g_free(pipe);
	}
}

bool gfxstream_pipe_is_stream(const struct gfxstream_pipe *pipe)
{
	return pipe->kind == PIPE_STREAM;
}

/* With the NUL behind it, as guests send it, or without. */
static bool is_name(const void *bytes, size_t size_bytes, const char *name)
{
	size_t length = strlen(name);

	return (size_bytes == length || size_bytes == length + 1) &&
	       memcmp(bytes, name, size_bytes) == 0;
}

static bool take_name(struct gfxstream_pipe *pipe, const void *bytes, size_t size_bytes)
{
	if (is_name(bytes, size_bytes, "pipe:GLProcessPipe")) {
		pipe->kind = PIPE_PROCESS;
	} else if (is_name(bytes, size_bytes, "pipe:opengles")) {
		pipe->kind = PIPE_STREAM;
	}
	return pipe->kind != PIPE_UNNAMED;
}

bool gfxstream_pipe_take(struct gfxstream_pipe *pipe, const void *bytes, size_t size_bytes)
{
	int32_t confirmation;

	if (size_bytes > MAX_NAME_BYTES) {
		return false;
	}
	if (pipe->kind == PIPE_UNNAMED) {
		return take_name(pipe, bytes, size_bytes);
	}
	if (pipe->is_confirmed || size_bytes < sizeof(confirmation)) {
		return false;
	}
	memcpy(&confirmation, bytes, sizeof(confirmation));
	pipe->is_confirmed = confirmation == CONFIRMATION;
	return pipe->is_confirmed;
}

bool gfxstream_pipe_give(struct gfxstream_pipe *pipe, size_t size_bytes)
{
	if (pipe->kind == PIPE_UNNAMED) {
		return false;
	}
	if (pipe->kind == PIPE_STREAM) {
		return true;
	}
	if (pipe->is_read || size_bytes < sizeof(uint64_t)) {
		return false;
	}
	pipe->is_read = true;
	return true;
}
