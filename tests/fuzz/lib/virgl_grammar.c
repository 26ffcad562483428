/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "virgl_grammar.h"

#include <glib.h>
#include <string.h>

#define MAX_COMMANDS 32u
#define MAX_REPEATS 8u
#define OBJECT_SHADER 4u

/*
 * The words of a command, a letter each: a handle of an object, a resource, a
 * format, a small number, any number, a real number (g); a star: some more of
 * the last kind; T: the text of a shader, with its head.
 */
struct rule {
	uint8_t command;
	uint8_t object;
	const char *words;
};

/* Inputs name rules by their place here: append, and never insert. */
/* clang-format off */
static const struct rule rules[] = {
	{ 0, 0, "" },                                    /* NOP */
	{ 1, 8, "hrfss" },                               /* CREATE_OBJECT: surface */
	{ 5, 0, "shh*" },                                /* SET_FRAMEBUFFER_STATE */
	{ 7, 0, "sgggggns" },                            /* CLEAR */
	{ 4, 0, "sgggggg" },                             /* SET_VIEWPORT_STATE */
	{ 1, 1, "hnnnnnnnnnn" },                         /* CREATE_OBJECT: blend */
	{ 1, 2, "hngnngggg" },                           /* rasterizer */
	{ 1, 3, "hnnng" },                               /* depth, stencil, alpha */
	{ 1, OBJECT_SHADER, "T" },                       /* shader */
	{ 1, 5, "hsssf*" },                              /* vertex elements */
	{ 1, 6, "hrfssn" },                              /* sampler view */
	{ 1, 7, "hngggnnnn" },                           /* sampler state */
	{ 1, 9, "hssr" },                                /* query */
	{ 1, 10, "hrss" },                               /* streamout target */
	{ 2, 1, "h" },                                   /* BIND_OBJECT: blend */
	{ 2, 2, "h" },                                   /* rasterizer */
	{ 2, 3, "h" },                                   /* depth, stencil, alpha */
	{ 2, 5, "h" },                                   /* vertex elements */
	{ 3, 1, "h" },                                   /* DESTROY_OBJECT: blend */
	{ 3, 8, "h" },                                   /* surface */
	{ 6, 0, "ssr" },                                 /* SET_VERTEX_BUFFERS */
	{ 8, 0, "ssssnsssnssn" },                        /* DRAW_VBO */
	{ 9, 0, "rsnnnssssssn*" },                       /* RESOURCE_INLINE_WRITE */
	{ 10, 0, "ssh*" },                               /* SET_SAMPLER_VIEWS */
	{ 11, 0, "rss" },                                /* SET_INDEX_BUFFER */
	{ 12, 0, "ssg*" },                               /* SET_CONSTANT_BUFFER */
	{ 13, 0, "n" },                                  /* SET_STENCIL_REF */
	{ 14, 0, "gggg" },                               /* SET_BLEND_COLOR */
	{ 15, 0, "snn" },                                /* SET_SCISSOR_STATE */
	{ 16, 0, "nnnrsfssssssrsfssssss" },              /* BLIT */
	{ 17, 0, "rssssrsssssss" },                      /* RESOURCE_COPY_REGION */
	{ 18, 0, "ssh*" },                               /* BIND_SAMPLER_STATES */
	{ 19, 0, "h" },                                  /* BEGIN_QUERY */
	{ 20, 0, "h" },                                  /* END_QUERY */
	{ 21, 0, "hs" },                                 /* GET_QUERY_RESULT */
	{ 23, 0, "gggggggggggggggggggggggggggggggg" },   /* SET_CLIP_STATE */
	{ 24, 0, "n" },                                  /* SET_SAMPLE_MASK */
	{ 25, 0, "nh*" },                                /* SET_STREAMOUT_TARGETS */
	{ 26, 0, "hss" },                                /* SET_RENDER_CONDITION */
	{ 27, 0, "ssnnr" },                              /* SET_UNIFORM_BUFFER */
	{ 28, 0, "s" },                                  /* SET_SUB_CTX */
	{ 29, 0, "s" },                                  /* CREATE_SUB_CTX */
	{ 30, 0, "s" },                                  /* DESTROY_SUB_CTX */
	{ 31, 0, "hs" },                                 /* BIND_SHADER */
	{ 34, 0, "ssnnr" },                              /* SET_SHADER_BUFFERS */
	{ 35, 0, "ssfsssr" },                            /* SET_SHADER_IMAGES */
	{ 36, 0, "n" },                                  /* MEMORY_BARRIER */
	{ 37, 0, "ssssssrn" },                           /* LAUNCH_GRID */
	{ 38, 0, "nn" },                                 /* SET_FRAMEBUFFER_STATE_NO_ATTACH */
	{ 43, 0, "rsnnnssssssns" },                      /* TRANSFER3D */
	{ 44, 0, "" },                                   /* END_TRANSFERS */
	{ 45, 0, "rsnnnssssssrns" },                     /* COPY_TRANSFER3D */
	{ 47, 0, "rsssssssgggg" },                       /* CLEAR_TEXTURE */
};
/* clang-format on */

static const char *const shaders[] = {
	"VERT\nDCL IN[0]\nDCL OUT[0], POSITION\n  0: MOV OUT[0], IN[0]\n  1: END\n",
	"FRAG\nDCL OUT[0], COLOR\nIMM[0] FLT32 { 1.0, 0.0, 0.5, 1.0}\n"
	"  0: MOV OUT[0], IMM[0]\n  1: END\n",
	"FRAG\nDCL IN[0], GENERIC[0], LINEAR\nDCL OUT[0], COLOR\nDCL SAMP[0]\n"
	"DCL SVIEW[0], 2D, FLOAT\n  0: TEX OUT[0], IN[0], SAMP[0], 2D\n  1: END\n",
	"VERT\nDCL IN[0]\nDCL CONST[0..7]\nDCL OUT[0], POSITION\nDCL TEMP[0]\nDCL ADDR[0]\n"
	"  0: ARL ADDR[0].x, IN[0].xxxx\n  1: MUL TEMP[0], IN[0], CONST[ADDR[0].x]\n"
	"  2: MOV OUT[0], TEMP[0]\n  3: END\n",
};

struct stream {
	const struct virgl_grammar *grammar;
	struct fuzz_input *in;
	uint32_t *words;
	size_t n, max;
};

static void add(struct stream *stream, uint32_t word)
{
	if (stream->n < stream->max) {
		stream->words[stream->n++] = word;
	}
}

static uint32_t pick_real(struct fuzz_input *in)
{
	static const float reals[] = { 0.0f, 1.0f, -1.0f, 0.5f, 64.0f, 1e30f, -1e30f, 1e-30f };
	uint8_t byte = fuzz_input_u8(in);
	uint32_t word;

	if (byte & 0x80) {
		return fuzz_input_number(in);
	}
	memcpy(&word, &reals[byte % G_N_ELEMENTS(reals)], sizeof(word));
	return word;
}

static uint32_t pick_resource(const struct stream *stream)
{
	uint8_t byte = fuzz_input_u8(stream->in);

	if (byte >= 0xf0 || stream->grammar->n_resources == 0) {
		return byte & 0xf;
	}
	return stream->grammar->resource_ids[byte % stream->grammar->n_resources];
}

/* That of the pictures half of the time. */
static uint32_t pick_format(const struct stream *stream)
{
	uint8_t byte = fuzz_input_u8(stream->in);

	return byte & 1 ? byte >> 1 : 1;
}

static uint32_t pick_word(const struct stream *stream, char kind)
{
	switch (kind) {
	case 'h':
		return fuzz_input_u8(stream->in) % 16;
	case 'r':
		return pick_resource(stream);
	case 'f':
		return pick_format(stream);
	case 's':
		return fuzz_input_u8(stream->in) % 32;
	case 'g':
		return pick_real(stream->in);
	default:
		return fuzz_input_number(stream->in);
	}
}

static void add_shader(struct stream *stream)
{
	uint8_t byte = fuzz_input_u8(stream->in);
	const char *text = shaders[byte % G_N_ELEMENTS(shaders)];
	size_t length = strlen(text) + 1;

	add(stream, fuzz_input_u8(stream->in) % 16);
	add(stream, byte & 0x80 ? byte & 7u : text[0] == 'F');
	add(stream, byte & 0x40 ? fuzz_input_number(stream->in) : (uint32_t)length);
	add(stream, 300);
	add(stream, 0);
	for (size_t at = 0; at < length; at += sizeof(uint32_t)) {
		uint32_t word = 0;

		memcpy(&word, text + at, MIN(sizeof(word), length - at));
		/* A text of the fuzzer's own making, out of a good one. */
		if (byte & 0x20 && fuzz_input_one_in(stream->in, 16)) {
			word ^= 1u << fuzz_input_u8(stream->in) % 32;
		}
		add(stream, word);
	}
}

static void add_command(struct stream *stream, const struct rule *rule)
{
	size_t at = stream->n;
	char last = 'n';

	add(stream, 0);
	for (const char *kind = rule->words; *kind != '\0'; kind++) {
		if (*kind == 'T') {
			add_shader(stream);
		} else if (*kind != '*') {
			last = *kind;
			add(stream, pick_word(stream, last));
		} else {
			for (unsigned int n = fuzz_input_below(stream->in, MAX_REPEATS); n > 0;
			     n--) {
				add(stream, pick_word(stream, last));
			}
		}
	}
	stream->words[at] =
		rule->command | (uint32_t)rule->object << 8 | (uint32_t)(stream->n - at - 1) << 16;
}

size_t virgl_grammar_make(const struct virgl_grammar *grammar, struct fuzz_input *in,
			  uint32_t *words_out, size_t max_words)
{
	struct stream stream = { grammar, in, words_out, 0, max_words };

	for (unsigned int n = fuzz_input_below(in, MAX_COMMANDS); n > 0; n--) {
		unsigned int i = fuzz_input_operation(in);

		if (stream.n == max_words) {
			break;
		}
		if (i < G_N_ELEMENTS(rules)) {
			add_command(&stream, &rules[i]);
		} else {
			add(&stream, fuzz_input_u32(in));
		}
	}
	return stream.n;
}
