/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * The few words of virgl's command stream that a test needs to draw: what a guest's Mesa would send
 * in SUBMIT_3D.
 */
#ifndef TESTS_LIB_VIRGL_STREAM_H
#define TESTS_LIB_VIRGL_STREAM_H

#include <stdint.h>

#define VIRGL_STREAM_MAX 256u

/* Of virgl_hw.h. */
#define VIRGL_FORMAT_B8G8R8A8 1u
#define VIRGL_FORMAT_B8G8R8X8 2u
#define VIRGL_BIND_RENDER_TARGET (1u << 1)
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
/* One colour buffer, no depth. */
void virgl_stream_set_framebuffer(struct virgl_stream *stream, uint32_t surface);
/* The colour buffer; components 0.0 to 1.0. */
void virgl_stream_clear(struct virgl_stream *stream, float red, float green, float blue,
			float alpha);
/* A box of level 0 of one resource to another. */
void virgl_stream_copy(struct virgl_stream *stream, uint32_t target, uint32_t target_x,
		       uint32_t target_y, uint32_t source, uint32_t x, uint32_t y, uint32_t width,
		       uint32_t height);

#endif
