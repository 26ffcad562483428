/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include <glib.h>
#include <string.h>

#include "mock_gfxstream.h"
#include "vgpu.h"

#define MAX_WORDS 16u
#define COMMON_HEAD_WORDS 3u
#define COMMON_MAX_ARGS 1024u

char *mock_gfxstream_path(void)
{
	const char *dir = g_getenv("MOCK_GFXSTREAM");

	g_assert_nonnull(dir);
	/* Or one of the host's would do. */
	char *path = g_build_filename(dir, "libgfxstream_backend.so.0", NULL);
	g_assert_true(g_file_test(path, G_FILE_TEST_EXISTS));
	return path;
}

char *mock_gfxstream_path_of(const char *mode)
{
	return strcmp(mode, "gfxstream") == 0 ? mock_gfxstream_path() : NULL;
}

uint32_t mock_gfxstream_run(struct vgpu *vgpu, uint32_t ctx, uint32_t opcode, const uint32_t *args,
			    uint32_t n_args)
{
	uint32_t words[MAX_WORDS] = { opcode };

	g_assert_cmpuint(n_args, <, MAX_WORDS);
	if (n_args > 0) {
		memcpy(&words[1], args, n_args * sizeof(uint32_t));
	}
	return vgpu_submit_3d(vgpu, ctx, words, (1 + n_args) * (uint32_t)sizeof(uint32_t));
}

struct vgpu_call *mock_gfxstream_send_common(struct vgpu *vgpu, uint32_t ctx,
					     enum mock_opcode opcode, uint32_t result_id,
					     const uint32_t *args, uint32_t n_args)
{
	uint32_t words[COMMON_HEAD_WORDS + COMMON_MAX_ARGS] = { MOCK_GFX_COMMON, result_id,
								opcode };

	g_assert_cmpuint(n_args, <=, COMMON_MAX_ARGS);
	if (n_args > 0) {
		memcpy(&words[COMMON_HEAD_WORDS], args, n_args * sizeof(uint32_t));
	}
	return vgpu_send_3d(vgpu, ctx, words,
			    (COMMON_HEAD_WORDS + n_args) * (uint32_t)sizeof(uint32_t));
}
