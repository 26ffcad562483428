/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * The few words of virgl's command stream that a test needs to draw: what a guest's Mesa would send
 * in SUBMIT_3D.
 */
#ifndef TESTS_LIB_VIRGL_STREAM_H
#define TESTS_LIB_VIRGL_STREAM_H

#include <stdint.h>

#define VIRGL_STREAM_MAX 512u

/* Of virgl_hw.h. */
#define VIRGL_FORMAT_B8G8R8A8 1u
#define VIRGL_FORMAT_B8G8R8X8 2u
#define VIRGL_BIND_RENDER_TARGET (1u << 1)
#define VIRGL_FORMAT_R32G32B32A32_FLOAT 31u
#define VIRGL_FORMAT_R8 64u
#define VIRGL_TARGET_BUFFER 0u
#define VIRGL_BIND_VERTEX_BUFFER (1u << 4)
#define VIRGL_BIND_SAMPLER_VIEW (1u << 3)
#define VIRGL_BIND_SCANOUT (1u << 18)

struct virgl_stream {
	uint32_t words[VIRGL_STREAM_MAX];
	uint32_t n_words;
};

uint32_t virgl_stream_size_bytes(const struct virgl_stream *stream);
/* One command, its length word made from @n_words. */
void virgl_stream_add(struct virgl_stream *stream, uint32_t command, uint32_t object,
		      const uint32_t *words, uint32_t n_words);
/* A surface object @handle over level 0 of @resource. */
void virgl_stream_create_surface(struct virgl_stream *stream, uint32_t handle, uint32_t resource,
				 uint32_t format);
/* A 2D texture without a resource, for a blob to be made of by the name of @blob_id. */
void virgl_stream_create_pipe_resource(struct virgl_stream *stream, uint32_t blob_id,
				       uint32_t format, uint32_t bind, uint32_t width,
				       uint32_t height);
/* One colour buffer, no depth. */
void virgl_stream_set_framebuffer(struct virgl_stream *stream, uint32_t surface);
/* The colour buffer; components 0.0 to 1.0. */
void virgl_stream_clear(struct virgl_stream *stream, float red, float green, float blue,
			float alpha);
/* The whole framebuffer of @width x @height by a triangle and a pair of shaders of the colour's own;
 * components 0 to 255. @buffer is a resource for vertices, of VIRGL_STREAM_VERTEX_BYTES at least.
 * Makes objects @handle and the six behind it. */
#define VIRGL_STREAM_VERTEX_BYTES 48u
void virgl_stream_fill(struct virgl_stream *stream, uint32_t handle, uint32_t buffer,
		       uint32_t width, uint32_t height, const uint8_t rgb[3]);
/* A box of level 0 of one resource to another. */
void virgl_stream_copy(struct virgl_stream *stream, uint32_t target, uint32_t target_x,
		       uint32_t target_y, uint32_t source, uint32_t x, uint32_t y, uint32_t width,
		       uint32_t height);

#endif
