/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * What a stream can say. Opcodes of a kind have a file of their own with a
 * table, which is named in mock.h and in all_ops below; what the other mock
 * has as well is in ../mock-common.
 */
#include <errno.h>

#include "mock.h"

static int op_log(const struct mock_command *command)
{
	for (uint32_t i = 0; i < mock_arg(command, 0); i++) {
		mock_log(mock_arg(command, 1), "the guest did something\n");
	}
	return 0;
}

static int op_fill(const struct mock_command *command)
{
	return mock_fill(mock_arg(command, 0), mock_arg(command, 1)) ? 0 : EINVAL;
}

static const struct mock_op mock_picture_ops[] = {
	{ MOCK_LOG, op_log },
	{ MOCK_FILL, op_fill },
	{ 0, NULL },
};

static const struct mock_op *const all_ops[] = {
	mock_basic_ops, mock_escape_ops, mock_fence_ops, mock_blob_ops,
	mock_ring_ops,	mock_server_ops, mock_picture_ops,
};

int mock_run(uint32_t ctx_id, const uint32_t *words, size_t n_words)
{
	while (n_words > 0) {
		size_t n = 1 + (size_t)(words[0] >> 16);

		if ((words[0] & 0xffff) != MOCK_VIRGL_MAGIC || n < MOCK_VIRGL_HEAD_WORDS ||
		    n > n_words) {
			return EINVAL;
		}
		struct mock_command command = {
			.ctx_id = ctx_id,
			.result_id = words[2],
			.args = &words[MOCK_VIRGL_HEAD_WORDS],
			.n_args = (uint32_t)(n - MOCK_VIRGL_HEAD_WORDS),
		};
		const struct mock_op *op =
			mock_find_op(all_ops, sizeof(all_ops) / sizeof(*all_ops), words[1]);
		int error = op != NULL ? op->run(&command) : EINVAL;

		if (error != 0) {
			return error;
		}
		words += n;
		n_words -= n;
	}
	return 0;
}
