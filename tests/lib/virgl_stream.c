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
	VIRGL_BIND_OBJECT = 2,
	VIRGL_SET_VIEWPORT_STATE = 4,
	VIRGL_SET_FRAMEBUFFER_STATE = 5,
	VIRGL_SET_VERTEX_BUFFERS = 6,
	VIRGL_CLEAR = 7,
	VIRGL_DRAW_VBO = 8,
	VIRGL_RESOURCE_INLINE_WRITE = 9,
	VIRGL_RESOURCE_COPY_REGION = 17,
	VIRGL_BIND_SHADER = 31,
	VIRGL_PIPE_RESOURCE_CREATE = 48,
};

enum virgl_object {
	VIRGL_OBJECT_BLEND = 1,
	VIRGL_OBJECT_RASTERIZER = 2,
	VIRGL_OBJECT_DSA = 3,
	VIRGL_OBJECT_SHADER = 4,
	VIRGL_OBJECT_VERTEX_ELEMENTS = 5,
	VIRGL_OBJECT_SURFACE = 8,
};

#define PIPE_CLEAR_COLOR0 (1u << 2)
#define PIPE_TEXTURE_2D 2u
#define PIPE_PRIM_TRIANGLES 4u
#define BLEND_ALL_COLOURS (0xfu << 27)
#define RASTERIZER_DEPTH_CLIP (1u << 1)
#define RASTERIZER_HALF_PIXEL_CENTER (1u << 29)

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

void virgl_stream_create_pipe_resource(struct virgl_stream *stream, uint32_t blob_id,
				       uint32_t format, uint32_t bind, uint32_t width,
				       uint32_t height)
{
	/* One layer, one level, one sample, no flags. */
	uint32_t words[] = {PIPE_TEXTURE_2D, format, bind, width, height, 1, 1, 0, 0, 0, blob_id};

	virgl_stream_add(stream, VIRGL_PIPE_RESOURCE_CREATE, 0, words, G_N_ELEMENTS(words));
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

static void add_shader(struct virgl_stream *stream, uint32_t handle, uint32_t type,
		       const char *text)
{
	uint32_t size = (uint32_t)strlen(text) + 1;
	uint32_t words[5 + 64] = {handle, type, size, 300};

	g_assert_cmpuint(size, <=, sizeof(words) - 5 * sizeof(uint32_t));
	memcpy(&words[5], text, size);
	virgl_stream_add(stream, VIRGL_CREATE_OBJECT, VIRGL_OBJECT_SHADER, words,
			 5 + (size + 3) / 4);
	virgl_stream_add(stream, VIRGL_BIND_SHADER, 0, (uint32_t[]){handle, type}, 2);
}

static void add_shaders(struct virgl_stream *stream, uint32_t handle, const uint8_t rgb[3])
{
	g_autofree char *fragment = g_strdup_printf("FRAG\n"
						    "DCL OUT[0], COLOR\n"
						    "IMM[0] FLT32 {%.6f, %.6f, %.6f, 1.0}\n"
						    "  0: MOV OUT[0], IMM[0]\n"
						    "  1: END\n",
						    rgb[0] / 255.0, rgb[1] / 255.0, rgb[2] / 255.0);

	add_shader(stream, handle, 0,
		   "VERT\n"
		   "DCL IN[0]\n"
		   "DCL OUT[0], POSITION\n"
		   "  0: MOV OUT[0], IN[0]\n"
		   "  1: END\n");
	add_shader(stream, handle + 1, 1, fragment);
}

static void add_state(struct virgl_stream *stream, uint32_t object, const uint32_t *words,
		      uint32_t n_words)
{
	virgl_stream_add(stream, VIRGL_CREATE_OBJECT, object, words, n_words);
	virgl_stream_add(stream, VIRGL_BIND_OBJECT, object, words, 1);
}

static uint32_t word_of(float number)
{
	uint32_t word;

	memcpy(&word, &number, sizeof(word));
	return word;
}

/* One that reaches far enough beyond the framebuffer to cover all of it. */
static void add_vertices(struct virgl_stream *stream, uint32_t buffer)
{
	static const float vertices[12] = {-1, -1, 0, 1, 3, -1, 0, 1, -1, 3, 0, 1};
	uint32_t words[11 + 12] = {buffer, 0, 0, 0, 0, 0, 0, 0, sizeof(vertices), 1, 1};

	memcpy(&words[11], vertices, sizeof(vertices));
	virgl_stream_add(stream, VIRGL_RESOURCE_INLINE_WRITE, 0, words, G_N_ELEMENTS(words));
	virgl_stream_add(stream, VIRGL_SET_VERTEX_BUFFERS, 0, (uint32_t[]){16, 0, buffer}, 3);
}

void virgl_stream_fill(struct virgl_stream *stream, uint32_t handle, uint32_t buffer,
		       uint32_t width, uint32_t height, const uint8_t rgb[3])
{
	const uint32_t half_width = word_of((float)width / 2);
	const uint32_t half_height = word_of((float)height / 2);
	const uint32_t viewport[7] = {0,	   half_width,	half_height, word_of(0.5f),
				      half_width, half_height, word_of(0.5f)};

	add_shaders(stream, handle, rgb);
	add_state(stream, VIRGL_OBJECT_BLEND, (uint32_t[11]){handle + 2, 0, 0, BLEND_ALL_COLOURS},
		  11);
	add_state(stream, VIRGL_OBJECT_RASTERIZER,
		  (uint32_t[9]){handle + 3, RASTERIZER_DEPTH_CLIP | RASTERIZER_HALF_PIXEL_CENTER,
				word_of(1.0f), 0, 0, word_of(1.0f)},
		  9);
	add_state(stream, VIRGL_OBJECT_DSA, (uint32_t[5]){handle + 4}, 5);
	add_state(stream, VIRGL_OBJECT_VERTEX_ELEMENTS,
		  (uint32_t[5]){handle + 5, 0, 0, 0, VIRGL_FORMAT_R32G32B32A32_FLOAT}, 5);
	add_vertices(stream, buffer);
	virgl_stream_add(stream, VIRGL_SET_VIEWPORT_STATE, 0, viewport, G_N_ELEMENTS(viewport));
	virgl_stream_add(stream, VIRGL_DRAW_VBO, 0,
			 (uint32_t[12]){0, 3, PIPE_PRIM_TRIANGLES, 0, 1, 0, 0, 0, 0, 0, 2}, 12);
}

void virgl_stream_copy(struct virgl_stream *stream, uint32_t target, uint32_t target_x,
		       uint32_t target_y, uint32_t source, uint32_t x, uint32_t y, uint32_t width,
		       uint32_t height)
{
	uint32_t words[] = {target, 0, target_x, target_y, 0, source, 0, x, y, 0, width, height, 1};

	virgl_stream_add(stream, VIRGL_RESOURCE_COPY_REGION, 0, words, G_N_ELEMENTS(words));
}
