/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * A command is a header word (command in bits 0..7, object type in 8..15, length in words
 * in 16..31) and its words. The numbers are of virglrenderer's virgl_protocol.h.
 */
#include <glib.h>
#include <string.h>

#include "virgl_stream.h"

enum virgl_command {
	VIRGL_CREATE_OBJECT = 1,
	VIRGL_SET_FRAMEBUFFER_STATE = 5,
	VIRGL_CLEAR = 7,
	VIRGL_RESOURCE_COPY_REGION = 17,
};

#define VIRGL_OBJECT_SURFACE 8u
#define PIPE_CLEAR_COLOR0 (1u << 2)

uint32_t virgl_stream_size_bytes(const struct virgl_stream *stream)
{
	return stream->n_words * (uint32_t)sizeof(uint32_t);
}

void virgl_stream_add(struct virgl_stream *stream, uint32_t command, uint32_t object,
		      const uint32_t *words, uint32_t n_words)
{
	g_assert_cmpuint(stream->n_words + 1 + n_words, <=, VIRGL_STREAM_MAX);
	stream->words[stream->n_words] = command | object << 8 | n_words << 16;
	if (n_words > 0) {
		memcpy(&stream->words[stream->n_words + 1], words, n_words * sizeof(uint32_t));
	}
	stream->n_words += 1 + n_words;
}

void virgl_stream_create_surface(struct virgl_stream *stream, uint32_t handle, uint32_t resource,
				 uint32_t format)
{
	uint32_t words[] = {handle, resource, format, 0, 0};

	virgl_stream_add(stream, VIRGL_CREATE_OBJECT, VIRGL_OBJECT_SURFACE, words,
			 G_N_ELEMENTS(words));
}

void virgl_stream_set_framebuffer(struct virgl_stream *stream, uint32_t surface)
{
	uint32_t words[] = {1, 0, surface};

	virgl_stream_add(stream, VIRGL_SET_FRAMEBUFFER_STATE, 0, words, G_N_ELEMENTS(words));
}

void virgl_stream_clear(struct virgl_stream *stream, float red, float green, float blue,
			float alpha)
{
	const float colour[4] = {red, green, blue, alpha};
	uint32_t words[8] = {PIPE_CLEAR_COLOR0};

	/* buffers, four components, depth as a double, stencil */
	memcpy(&words[1], colour, sizeof(colour));
	virgl_stream_add(stream, VIRGL_CLEAR, 0, words, G_N_ELEMENTS(words));
}

void virgl_stream_copy(struct virgl_stream *stream, uint32_t target, uint32_t target_x,
		       uint32_t target_y, uint32_t source, uint32_t x, uint32_t y, uint32_t width,
		       uint32_t height)
{
	uint32_t words[] = {target, 0, target_x, target_y, 0, source, 0, x, y, 0, width, height, 1};

	virgl_stream_add(stream, VIRGL_RESOURCE_COPY_REGION, 0, words, G_N_ELEMENTS(words));
}
