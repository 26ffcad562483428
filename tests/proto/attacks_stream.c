/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * Streams for virgl, which a GL library and a shader compiler stand behind. What is in them costs
 * their context at most: whatever the answer, the next context draws.
 */
#include <string.h>

#include "attacks.h"
#include "virgl_stream.h"

enum virgl_command {
	NOP = 0,
	CREATE_OBJECT = 1,
	BIND_OBJECT = 2,
	DESTROY_OBJECT = 3,
	SET_FRAMEBUFFER = 5,
	SET_VERTEX_BUFFERS = 6,
	CLEAR = 7,
	DRAW = 8,
	INLINE_WRITE = 9,
	SET_INDEX_BUFFER = 11,
	SET_CONSTANTS = 12,
	BLIT = 16,
	COPY = 17,
	END_QUERY = 20,
	QUERY_RESULT = 21,
	SET_UNIFORM_BUFFER = 27,
	SET_SUB_CTX = 28,
	CREATE_SUB_CTX = 29,
	DESTROY_SUB_CTX = 30,
	BIND_SHADER = 31,
	TRANSFER = 43,
	N_COMMANDS = 53,
};

enum virgl_object {
	SHADER = 4,
	VERTEX_ELEMENTS = 5,
	SAMPLER_VIEW = 6,
	SAMPLER_STATE = 7,
	SURFACE = 8,
	QUERY = 9,
	STREAMOUT_TARGET = 10,
};

#define HEAD(command, object, n_words) ((uint32_t)(command) | (object) << 8 | (n_words) << 16)
/* A command of the words that follow. */
#define N_WORDS(...) (sizeof((const uint32_t[]){ __VA_ARGS__ }) / sizeof(uint32_t))
#define CMD(command, object, ...) HEAD(command, object, N_WORDS(__VA_ARGS__)), __VA_ARGS__

struct words {
	const uint32_t *words;
	uint32_t n;
};

/* Thrice, as what the first has left behind may be what the second falls over. */
static void run_words(struct attacker *attacker)
{
	const struct words *words = attacker->attack->data;

	for (unsigned int i = 0; i < 3; i++) {
		attack_expect_type(attacker,
				   vgpu_submit_3d(attacker->rig->vgpu, STAGE_VICTIM, words->words,
						  words->n * 4),
				   ATTACK_AN_ANSWER);
	}
}

/* ---- one kind of command, all kinds of nonsense ---- */

#define MAX_NONSENSE 300u

static void submit_nonsense(struct attacker *attacker, uint32_t ctx, uint32_t command,
			    uint32_t object, uint32_t n, uint32_t seed)
{
	static const uint32_t fillings[] = {
		0, 1, UINT32_MAX, STAGE_TEXTURE, 0x80000000, 0x7f800000
	};
	struct vgpu *vgpu = attacker->rig->vgpu;
	uint32_t words[1 + MAX_NONSENSE];

	words[0] = HEAD(command, object, n);
	for (uint32_t i = 0; i < n; i++) {
		words[1 + i] = seed < G_N_ELEMENTS(fillings) ? fillings[seed]
							     : (i + seed * 977 + 1) * 2654435761u;
	}
	attack_expect_type(attacker, vgpu_submit_3d(vgpu, ctx, words, (1 + n) * 4),
			   ATTACK_AN_ANSWER);
}

/* numbers[0]: the command. Each in a context of its own, as the first may condemn it. */
static void run_nonsense(struct attacker *attacker)
{
	static const uint32_t lengths[] = { 0, 1, 2, 3, 5, 8, 12, 16, 33, MAX_NONSENSE };
	struct vgpu *vgpu = attacker->rig->vgpu;
	uint32_t command = (uint32_t)attacker->attack->numbers[0];

	for (uint32_t seed = 0; seed < 8; seed++) {
		uint32_t ctx = 100 + seed;
		attack_expect_ok(attacker, vgpu_ctx_create(vgpu, ctx, 0, "nonsense"));
		attack_expect_ok(attacker, vgpu_ctx_attach_resource(vgpu, ctx, STAGE_TEXTURE));
		for (size_t i = 0; i < G_N_ELEMENTS(lengths); i++) {
			submit_nonsense(attacker, ctx, command, (seed * 5 + (uint32_t)i) % 13,
					lengths[i], seed);
		}
		attack_expect_ok(attacker, vgpu_ctx_destroy(vgpu, ctx));
	}
}

/* Random commands behind each other, with lengths that fit: one seed a context. */
static void run_random(struct attacker *attacker)
{
	struct vgpu *vgpu = attacker->rig->vgpu;
	GRand *random = g_rand_new_with_seed(20260923);

	for (uint32_t round = 0; round < 40; round++) {
		uint32_t words[512], n = 0;
		while (n < 400) {
			uint32_t length = (uint32_t)g_rand_int_range(random, 0, 40);
			words[n++] = HEAD(g_rand_int_range(random, 0, N_COMMANDS),
					  (uint32_t)g_rand_int_range(random, 0, 12), length);
			for (uint32_t i = 0; i < length; i++) {
				words[n++] = g_rand_boolean(random)
						     ? g_rand_int(random)
						     : (uint32_t)g_rand_int_range(random, 0, 16);
			}
		}
		attack_expect_ok(attacker, vgpu_ctx_create(vgpu, 100, 0, "random"));
		attack_expect_ok(attacker, vgpu_ctx_attach_resource(vgpu, 100, STAGE_TEXTURE));
		attack_expect_type(attacker, vgpu_submit_3d(vgpu, 100, words, n * 4),
				   ATTACK_AN_ANSWER);
		attack_expect_ok(attacker, vgpu_ctx_destroy(vgpu, 100));
	}
	g_rand_free(random);
}

/* ---- shaders, which are text ---- */

#define MAX_TEXT 2048u

static void submit_shader(struct attacker *attacker, uint32_t type, uint32_t length_word,
			  uint32_t n_tokens, const char *text, uint32_t text_bytes)
{
	uint32_t words[6 + MAX_TEXT / 4] = { 0 };
	uint32_t n_words = 5 + (text_bytes + 3) / 4;

	g_assert_cmpuint(text_bytes, <=, MAX_TEXT);
	words[0] = HEAD(CREATE_OBJECT, SHADER, n_words);
	words[1] = 10; /* handle */
	words[2] = type;
	words[3] = length_word;
	words[4] = n_tokens;
	words[5] = 0; /* no stream output */
	memcpy(&words[6], text, text_bytes);
	attack_expect_type(
		attacker,
		vgpu_submit_3d(attacker->rig->vgpu, STAGE_VICTIM, words, (1 + n_words) * 4),
		ATTACK_AN_ANSWER);
}

/* data: the text. As each kind of shader. */
static void run_shader(struct attacker *attacker)
{
	const char *text = attacker->attack->data;
	uint32_t length = (uint32_t)strlen(text) + 1;

	for (uint32_t type = 0; type < 7; type++) {
		submit_shader(attacker, type, length, 300, text, length);
	}
}

/* numbers: the length that is claimed, the number of tokens that is claimed. */
static void run_shader_length(struct attacker *attacker)
{
	static const char text[] = "FRAG\n  0: END\n";
	const uint64_t *numbers = attacker->attack->numbers;

	submit_shader(attacker, 1, (uint32_t)numbers[0], (uint32_t)numbers[1], text, sizeof(text));
	/* And the piece that would go on with it. */
	submit_shader(attacker, 1, 0x80000000u | 12, 300, text, sizeof(text));
}

/* Brackets within brackets, as far as a message goes. */
static void run_shader_nested(struct attacker *attacker)
{
	char text[MAX_TEXT];
	size_t n = (size_t)g_snprintf(text, sizeof(text), "FRAG\nDCL TEMP[0]\n");

	for (unsigned int i = 0; n + 16 < sizeof(text); i++) {
		n += (size_t)g_snprintf(text + n, sizeof(text) - n, "%u: BGNLOOP\n", i);
	}
	submit_shader(attacker, 1, (uint32_t)n + 1, 4096, text, (uint32_t)n + 1);
}

#define STREAM(...)                                                                                \
	.run = run_words, .responses = { ATTACK_AN_ANSWER }, .data = &(const struct words)         \
	{                                                                                          \
		(const uint32_t[]){ __VA_ARGS__ }, N_WORDS(__VA_ARGS__)                            \
	}
#define TEXT(text) .run = run_shader, .responses = { ATTACK_AN_ANSWER }, .data = (text)
#define CLAIMS(...)                                                                                \
	.run = run_shader_length, .responses = { ATTACK_AN_ANSWER }, .numbers = { __VA_ARGS__ }
#define NONSENSE(number, lower)                                                                    \
	{                                                                                          \
		"nonsense/" lower, "80 streams of nonsense in command " #number,                   \
			.outcome = SERVED, .run = run_nonsense, .numbers = {                       \
				number                                                             \
			}                                                                          \
	}
#define SERVED "answered; other contexts draw"
#define TEXTURE_SURFACE(handle) CMD(CREATE_OBJECT, SURFACE, handle, STAGE_TEXTURE, 1, 0, 0)

static const struct attack attacks[] = {
	{ "stream/lone_head", "a command's head that claims 65535 words",
	  STREAM(HEAD(CLEAR, 0, 0xffffu)) },
	{ "stream/unknown", "a command that there is not", STREAM(CMD(200, 0, 1, 2, 3)) },
	{ "stream/nops", "NOPs of all lengths", STREAM(HEAD(NOP, 0, 0u), CMD(NOP, 0, 1, 2), NOP) },
	{ "stream/object_unknown", "an object of a kind that there is not",
	  STREAM(CMD(CREATE_OBJECT, 99, 1, 2, 3, 4, 5)) },
	{ "stream/object_0", "an object with handle 0",
	  STREAM(CMD(CREATE_OBJECT, SURFACE, 0, STAGE_TEXTURE, 1, 0, 0)) },
	{ "stream/object_twice", "two objects with one handle",
	  STREAM(TEXTURE_SURFACE(5),
		 CMD(CREATE_OBJECT, SAMPLER_VIEW, 5, STAGE_TEXTURE, 1, 0, 0, 0)) },
	{ "stream/surface_of_nobody", "a surface of no resource",
	  STREAM(CMD(CREATE_OBJECT, SURFACE, 5, STAGE_NOBODY, 1, 0, 0)) },
	{ "stream/surface_of_stranger", "a surface of a resource that is another context's",
	  STREAM(CMD(CREATE_OBJECT, SURFACE, 5, STAGE_SHOWN, 1, 0, 0)) },
	{ "stream/surface_level", "a surface of level 0xffffffff",
	  STREAM(CMD(CREATE_OBJECT, SURFACE, 5, STAGE_TEXTURE, 1, UINT32_MAX, 0),
		 CMD(SET_FRAMEBUFFER, 0, 1, 0, 5), CMD(CLEAR, 0, 4, 0, 0, 0, 0, 0, 0, 0)) },
	{ "stream/surface_layers", "a surface of layers 65535 to 0",
	  STREAM(CMD(CREATE_OBJECT, SURFACE, 5, STAGE_TEXTURE, 1, 0, 0xffff),
		 CMD(SET_FRAMEBUFFER, 0, 1, 0, 5), CMD(CLEAR, 0, 4, 0, 0, 0, 0, 0, 0, 0)) },
	{ "stream/surface_format", "a surface of format 0xffffffff",
	  STREAM(CMD(CREATE_OBJECT, SURFACE, 5, STAGE_TEXTURE, UINT32_MAX, 0, 0)) },
	{ "stream/view_format", "a sampler view of format 0xffffffff",
	  STREAM(CMD(CREATE_OBJECT, SAMPLER_VIEW, 6, STAGE_TEXTURE, UINT32_MAX, 0, UINT32_MAX,
		     UINT32_MAX)) },
	{ "stream/view_levels", "a sampler view of levels 255 to 0",
	  STREAM(CMD(CREATE_OBJECT, SAMPLER_VIEW, 6, STAGE_TEXTURE, 1, 0, 0x00ff, 0x688)) },
	{ "stream/destroy_unknown", "destroying what there is not",
	  STREAM(CMD(DESTROY_OBJECT, SURFACE, 12345)) },
	{ "stream/destroy_bound", "destroying the framebuffer's surface, then drawing",
	  STREAM(TEXTURE_SURFACE(5), CMD(SET_FRAMEBUFFER, 0, 1, 0, 5),
		 CMD(DESTROY_OBJECT, SURFACE, 5), CMD(CLEAR, 0, 4, 0, 0, 0, 0, 0, 0, 0)) },
	{ "stream/bind_unknown", "binding what there is not",
	  STREAM(CMD(BIND_OBJECT, SAMPLER_STATE, 12345), CMD(BIND_SHADER, 0, 12345, 1)) },
	{ "stream/bind_wrong_kind", "binding a surface as a shader",
	  STREAM(TEXTURE_SURFACE(5), CMD(BIND_SHADER, 0, 5, 1), CMD(BIND_OBJECT, 1, 5)) },
	{ "stream/bind_shader_stage", "binding to shader stage 0xffffffff",
	  STREAM(CMD(BIND_SHADER, 0, 0, UINT32_MAX)) },
	{ "stream/framebuffer_of_255", "a framebuffer of 255 surfaces",
	  STREAM(CMD(SET_FRAMEBUFFER, 0, 255, 0, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5)) },
	{ "stream/framebuffer_max", "a framebuffer of 0xffffffff surfaces",
	  STREAM(CMD(SET_FRAMEBUFFER, 0, UINT32_MAX, 0, 5)) },
	{ "stream/draw_nothing", "drawing with nothing bound",
	  STREAM(CMD(DRAW, 0, 0, 3, 4, 0, 1, 0, 0, 0, 0, 0, 2, 0)) },
	{ "stream/draw_indexed", "drawing 4 billion indexes without an index buffer",
	  STREAM(CMD(DRAW, 0, 0, UINT32_MAX, 4, 1, UINT32_MAX, 0, 0, 0, 0, 0, UINT32_MAX, 0)) },
	{ "stream/vertex_buffers_of_nobody", "vertex buffers of no resource",
	  STREAM(CMD(SET_VERTEX_BUFFERS, 0, UINT32_MAX, UINT32_MAX, STAGE_NOBODY)) },
	{ "stream/vertex_elements_1000", "a thousand vertex elements claimed",
	  STREAM(CMD(CREATE_OBJECT, VERTEX_ELEMENTS, 7, 0, 0, 0, UINT32_MAX, 0, 0, UINT32_MAX,
		     UINT32_MAX)) },
	{ "stream/index_buffer_texture", "a texture as an index buffer",
	  STREAM(CMD(SET_INDEX_BUFFER, 0, STAGE_TEXTURE, 4, UINT32_MAX),
		 CMD(DRAW, 0, 0, 300, 4, 1, 1, 0, 0, 0, 0, 0, 2, 0)) },
	{ "stream/constants_stage", "constants for shader stage 0xffffffff",
	  STREAM(CMD(SET_CONSTANTS, 0, UINT32_MAX, 0, 1, 2, 3, 4)) },
	{ "stream/uniform_buffer_texture", "a texture as a uniform buffer, beyond its end",
	  STREAM(CMD(SET_UNIFORM_BUFFER, 0, 1, 31, UINT32_MAX, UINT32_MAX, STAGE_TEXTURE)) },
	{ "stream/inline_beyond", "inline data beyond the resource",
	  STREAM(CMD(INLINE_WRITE, 0, STAGE_TEXTURE, 0, 0, 0, 0, 60, 60, 0, 64, 64, 1, 1, 2, 3)) },
	{ "stream/inline_too_little", "inline data for 64x64 of three words",
	  STREAM(CMD(INLINE_WRITE, 0, STAGE_TEXTURE, 0, 0, 0, 0, 0, 0, 0, 64, 64, 1, 1, 2, 3)) },
	{ "stream/inline_stride", "inline data with a stride of 4 GiB",
	  STREAM(CMD(INLINE_WRITE, 0, STAGE_TEXTURE, 0, 0, UINT32_MAX, UINT32_MAX, 0, 0, 0, 1, 2, 1,
		     1, 2, 3)) },
	{ "stream/copy_beyond", "a copy beyond both resources",
	  STREAM(CMD(COPY, 0, STAGE_TEXTURE, 0, 60, 60, 0, STAGE_TEXTURE, 0, 60, 60, 0, 64, 64,
		     1)) },
	{ "stream/copy_wraps", "a copy whose ends wrap",
	  STREAM(CMD(COPY, 0, STAGE_TEXTURE, 0, UINT32_MAX, UINT32_MAX, 0, STAGE_TEXTURE, 0,
		     UINT32_MAX, UINT32_MAX, 0, 2, 2, 1)) },
	{ "stream/copy_level", "a copy to level 0xffffffff",
	  STREAM(CMD(COPY, 0, STAGE_TEXTURE, UINT32_MAX, 0, 0, 0, STAGE_TEXTURE, UINT32_MAX, 0, 0,
		     0, 2, 2, 1)) },
	{ "stream/copy_over_itself", "a copy over itself",
	  STREAM(CMD(COPY, 0, STAGE_TEXTURE, 0, 1, 1, 0, STAGE_TEXTURE, 0, 0, 0, 0, 63, 63, 1)) },
	{ "stream/blit_beyond", "a blit beyond both resources, scaled",
	  STREAM(CMD(BLIT, 0, 0xff, 0, 0, STAGE_TEXTURE, 0, 1, 0x7fffffff, 0, 0, 0x7fffffff, 64, 1,
		     STAGE_TEXTURE, 0, 1, 0x80000000, 0, 0, 1, 0x7fffffff, 1)) },
	{ "stream/query_of_nobody", "a query whose result goes to no resource",
	  STREAM(CMD(CREATE_OBJECT, QUERY, 8, 0, 0, STAGE_NOBODY), CMD(END_QUERY, 0, 8),
		 CMD(QUERY_RESULT, 0, 8, 1)) },
	{ "stream/query_into_texture", "a query whose result goes beyond a texture",
	  STREAM(CMD(CREATE_OBJECT, QUERY, 8, 0, UINT32_MAX, STAGE_TEXTURE), CMD(END_QUERY, 0, 8),
		 CMD(QUERY_RESULT, 0, 8, 1)) },
	{ "stream/streamout_texture", "a texture as a target of stream output",
	  STREAM(CMD(CREATE_OBJECT, STREAMOUT_TARGET, 9, STAGE_TEXTURE, UINT32_MAX, UINT32_MAX)) },
	{ "stream/sub_contexts", "contexts in a context, current when destroyed",
	  STREAM(CMD(CREATE_SUB_CTX, 0, 1), CMD(CREATE_SUB_CTX, 0, 1), CMD(SET_SUB_CTX, 0, 1),
		 CMD(DESTROY_SUB_CTX, 0, 1), TEXTURE_SURFACE(5),
		 CMD(CLEAR, 0, 4, 0, 0, 0, 0, 0, 0, 0)) },
	{ "stream/sub_context_0", "destroying the first context in a context",
	  STREAM(CMD(DESTROY_SUB_CTX, 0, 0), CMD(SET_SUB_CTX, 0, 0), TEXTURE_SURFACE(5)) },
	{ "stream/sub_context_unknown", "a context in a context that there is not",
	  STREAM(CMD(SET_SUB_CTX, 0, 12345), CMD(DESTROY_SUB_CTX, 0, 54321)) },
	{ "stream/clear_nothing", "clearing with no framebuffer, to not-a-number",
	  STREAM(CMD(CLEAR, 0, UINT32_MAX, 0x7fc00000, 0x7fc00000, 0x7fc00000, 0x7fc00000,
		     0x7fffffff, 0xffffffff, UINT32_MAX)) },
	{ "stream/transfer_beyond", "a transfer in a stream, beyond all ends",
	  STREAM(CMD(TRANSFER, 0, STAGE_TEXTURE, 0, 0, UINT32_MAX, UINT32_MAX, UINT32_MAX,
		     UINT32_MAX, 0, UINT32_MAX, UINT32_MAX, 1, UINT32_MAX, 1)) },
	{ "stream/random", "40 streams of random commands", .run = run_random, .outcome = SERVED },
	{ "shader/empty", "a shader without text", TEXT("") },
	{ "shader/no_shader", "a shader that is none", TEXT("int main() { return 0; }") },
	{ "shader/format", "a shader that is a format", TEXT("FRAG\n%s%n%s%n\n 0: END\n") },
	{ "shader/register_max", "registers far beyond what there is",
	  TEXT("FRAG\nDCL IN[4294967295], GENERIC[4294967295], PERSPECTIVE\n"
	       "DCL OUT[99999], COLOR\nDCL TEMP[0..4294967295]\n"
	       "  0: MOV OUT[99999], IN[4294967295]\n  1: END\n") },
	{ "shader/register_negative", "registers below 0",
	  TEXT("FRAG\nDCL OUT[0], COLOR\nDCL TEMP[-1..-5]\n  0: MOV OUT[-1], TEMP[-7]\n"
	       "  1: END\n") },
	{ "shader/undeclared", "registers that are not declared",
	  TEXT("FRAG\n  0: MOV OUT[0], TEMP[3]\n  1: ADD TEMP[9].xyzw, IMM[4], CONST[7][9]\n"
	       "  2: END\n") },
	{ "shader/samplers", "samplers, images and buffers beyond what there is",
	  TEXT("FRAG\nDCL SAMP[999]\nDCL SVIEW[999], 2D, FLOAT\nDCL IMAGE[999], 2D\n"
	       "DCL BUFFER[999]\nDCL TEMP[0]\n  0: TEX TEMP[0], TEMP[0], SAMP[999], 2D\n"
	       "  1: LOAD TEMP[0], BUFFER[999], TEMP[0]\n  2: END\n") },
	{ "shader/endless_if", "an IF that does not end",
	  TEXT("FRAG\nDCL TEMP[0]\n  0: IF TEMP[0] :9\n  1: ELSE :77\n  2: END\n") },
	{ "shader/ends_alone", "ENDIF and ENDLOOP without a beginning",
	  TEXT("VERT\n  0: ENDIF\n  1: ENDLOOP\n  2: ENDSUB\n  3: END\n") },
	{ "shader/no_end", "a shader without an END", TEXT("VERT\n  0: NOP\n") },
	{ "shader/properties", "properties of 4 billion",
	  TEXT("GEOM\nPROPERTY GS_INPUT_PRIMITIVE 4294967295\n"
	       "PROPERTY GS_OUTPUT_PRIMITIVE 4294967295\n"
	       "PROPERTY GS_MAX_OUTPUT_VERTICES 4294967295\nPROPERTY GS_INVOCATIONS 4294967295\n"
	       "  0: EMIT IMM[0]\n  1: END\n") },
	{ "shader/nested", "loops within loops", .run = run_shader_nested, .outcome = SERVED },
	{ "shader/length_0", "a shader that claims no bytes", CLAIMS(0, 300) },
	{ "shader/length_1", "a shader that claims a byte", CLAIMS(1, 300) },
	{ "shader/length_huge", "a shader that claims 2 GiB", CLAIMS(0x7fffffff, 300) },
	{ "shader/second_part", "the second part of a shader without the first",
	  CLAIMS(0x80000000u | 4096, 300) },
	{ "shader/second_part_far", "the second part of a shader, far behind",
	  CLAIMS(UINT32_MAX, 300) },
	{ "shader/tokens_0", "a shader of no tokens", CLAIMS(15, 0) },
	{ "shader/tokens_max", "a shader of 4 billion tokens", CLAIMS(15, UINT32_MAX) },
	NONSENSE(1, "create_object"),
	NONSENSE(2, "bind_object"),
	NONSENSE(3, "destroy_object"),
	NONSENSE(4, "set_viewport"),
	NONSENSE(5, "set_framebuffer"),
	NONSENSE(6, "set_vertex_buffers"),
	NONSENSE(7, "clear"),
	NONSENSE(8, "draw"),
	NONSENSE(9, "inline_write"),
	NONSENSE(10, "set_sampler_views"),
	NONSENSE(11, "set_index_buffer"),
	NONSENSE(12, "set_constants"),
	NONSENSE(15, "set_scissor"),
	NONSENSE(16, "blit"),
	NONSENSE(17, "copy"),
	NONSENSE(18, "bind_samplers"),
	NONSENSE(19, "begin_query"),
	NONSENSE(20, "end_query"),
	NONSENSE(21, "query_result"),
	NONSENSE(22, "set_stipple"),
	NONSENSE(23, "set_clip"),
	NONSENSE(25, "set_streamout"),
	NONSENSE(26, "render_condition"),
	NONSENSE(27, "set_uniform_buffer"),
	NONSENSE(28, "set_sub_ctx"),
	NONSENSE(29, "create_sub_ctx"),
	NONSENSE(30, "destroy_sub_ctx"),
	NONSENSE(31, "bind_shader"),
	NONSENSE(32, "set_tess"),
	NONSENSE(34, "set_shader_buffers"),
	NONSENSE(35, "set_shader_images"),
	NONSENSE(36, "memory_barrier"),
	NONSENSE(37, "launch_grid"),
	NONSENSE(38, "framebuffer_no_attach"),
	NONSENSE(40, "set_atomic_buffers"),
	NONSENSE(41, "set_debug_flags"),
	NONSENSE(42, "query_result_into"),
	NONSENSE(43, "transfer"),
	NONSENSE(44, "end_transfers"),
	NONSENSE(45, "copy_transfer"),
	NONSENSE(46, "set_tweaks"),
	NONSENSE(47, "clear_texture"),
	NONSENSE(48, "pipe_create"),
	NONSENSE(49, "pipe_set_type"),
	NONSENSE(50, "memory_info"),
	NONSENSE(51, "string_marker"),
	NONSENSE(52, "link_shader"),
};

const struct attack_list attacks_stream = { attacks, G_N_ELEMENTS(attacks) };
