/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include <glib.h>
#include <string.h>

#include "mock_virgl.h"
#include "vgpu.h"

#define MAX_WORDS (MOCK_VIRGL_HEAD_WORDS + MOCK_VIRGL_MAX_ARGS)

void mock_virgl_use(void)
{
	const char *dir = g_getenv("MOCK_VIRGLRENDERER");

	g_assert_nonnull(dir);
	/* Or the real one would do. */
	g_autofree char *path = g_build_filename(dir, "libvirglrenderer.so.1", NULL);
	g_assert_true(g_file_test(path, G_FILE_TEST_EXISTS));
	g_setenv("LD_LIBRARY_PATH", dir, TRUE);
	/* No server of the host's. */
	g_setenv("RENDER_SERVER_EXEC_PATH", "/nonexistent", TRUE);
}

void mock_virgl_use_server(void)
{
	const char *path = g_getenv("MOCK_RENDER_SERVER");

	mock_virgl_use();
	g_assert_nonnull(path);
	g_setenv("RENDER_SERVER_EXEC_PATH", path, TRUE);
	/* It needs no driver; but without one it would not be started. */
	g_setenv("VK_DRIVER_FILES", "/dev/null", TRUE);
}

struct vgpu_call *mock_virgl_send(struct vgpu *vgpu, uint32_t ctx, uint32_t opcode,
				  uint32_t result_id, const uint32_t *args, uint32_t n_args)
{
	uint32_t n_words = MOCK_VIRGL_HEAD_WORDS + n_args;
	uint32_t words[MAX_WORDS] = {MOCK_VIRGL_MAGIC | (n_words - 1) << 16, opcode, result_id};

	g_assert_cmpuint(n_args, <=, MOCK_VIRGL_MAX_ARGS);
	if (n_args > 0) {
		memcpy(&words[MOCK_VIRGL_HEAD_WORDS], args, n_args * sizeof(uint32_t));
	}
	return vgpu_send_3d(vgpu, ctx, words, n_words * (uint32_t)sizeof(uint32_t));
}

uint32_t mock_virgl_run(struct vgpu *vgpu, uint32_t ctx, uint32_t opcode, uint32_t result_id,
			const uint32_t *args, uint32_t n_args)
{
	struct vgpu_call *call = mock_virgl_send(vgpu, ctx, opcode, result_id, args, n_args);

	g_assert_true(vgpu_wait(vgpu, call, VGPU_ANSWER_MS));
	return vgpu_finish(vgpu, call);
}

uint32_t mock_virgl_run1(struct vgpu *vgpu, uint32_t ctx, uint32_t opcode, uint32_t result_id,
			 uint32_t arg)
{
	return mock_virgl_run(vgpu, ctx, opcode, result_id, &arg, 1);
}

uint32_t mock_virgl_run_text(struct vgpu *vgpu, uint32_t ctx, uint32_t opcode, uint32_t result_id,
			     const char *text)
{
	size_t size = strlen(text) + 1;
	uint32_t n_words = (uint32_t)((size + sizeof(uint32_t) - 1) / sizeof(uint32_t));
	uint32_t words[MOCK_VIRGL_MAX_ARGS] = {0};

	g_assert_cmpuint(n_words, <=, MOCK_VIRGL_MAX_ARGS);
	memcpy(words, text, size);
	return mock_virgl_run(vgpu, ctx, opcode, result_id, words, n_words);
}
