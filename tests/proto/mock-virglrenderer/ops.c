/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * What a stream can say. Opcodes of a kind have a file of their own with a
 * table, which is named in mock.h and in all_ops below.
 */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "mock.h"

static const struct mock_op *const all_ops[] = {
	mock_basic_ops, mock_fence_ops, mock_escape_ops,
	mock_blob_ops,	mock_ring_ops,	mock_server_ops,
};

uint32_t mock_arg(const struct mock_command *command, uint32_t index)
{
	return index < command->n_args ? command->args[index] : 0;
}

const char *mock_arg_text(const struct mock_command *command, uint32_t index)
{
	if (index >= command->n_args) {
		return "";
	}
	const char *text = (const char *)&command->args[index];

	return memchr(text, '\0', (command->n_args - index) * sizeof(uint32_t)) ? text : "";
}

void mock_put_result(const struct mock_command *command, uint32_t word, uint32_t value)
{
	if (command->result_id != 0) {
		mock_store(command->result_id, word, value);
	}
}

static const struct mock_op *find_op(uint32_t opcode)
{
	for (size_t i = 0; i < sizeof(all_ops) / sizeof(*all_ops); i++) {
		for (const struct mock_op *op = all_ops[i]; op->run != NULL; op++) {
			if (op->opcode == opcode) {
				return op;
			}
		}
	}
	return NULL;
}

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
		const struct mock_op *op = find_op(words[1]);
		int error = op != NULL ? op->run(&command) : EINVAL;

		if (error != 0) {
			return error;
		}
		words += n;
		n_words -= n;
	}
	return 0;
}

static int op_echo(const struct mock_command *command)
{
	mock_put_result(command, 0, mock_arg(command, 0));
	return 0;
}

static int op_sleep(const struct mock_command *command)
{
	usleep(mock_arg(command, 0) * 1000);
	return 0;
}

static int op_die(const struct mock_command *command)
{
	int number = (int)mock_arg(command, 0);

	signal(number, SIG_DFL);
	raise(number);
	pause();
	return 0;
}

static int op_spin(const struct mock_command *command)
{
	volatile uint32_t n = 0;

	(void)command;
	while (n < 2) { /* the compiler can't tell */
		n = 1 - n;
	}
	return 0;
}

static int op_eat(const struct mock_command *command)
{
	static uint8_t **kept; /* that it can be reached, for who looks for leaks */
	static uint32_t n_kept;
	size_t size_bytes = (size_t)mock_arg(command, 0) << 20;
	uint8_t **more = realloc(kept, (n_kept + 1) * sizeof(*kept));

	if (more == NULL) {
		return ENOMEM;
	}
	kept = more;
	kept[n_kept] = malloc(size_bytes);
	if (kept[n_kept] == NULL) {
		return ENOMEM;
	}
	memset(kept[n_kept], 0x5a, size_bytes);
	n_kept++;
	mock_put_result(command, 0, mock_arg(command, 0));
	return 0;
}

static int op_fail(const struct mock_command *command)
{
	return (int)mock_arg(command, 0);
}

static int op_read_slowly(const struct mock_command *command)
{
	mock_read_slowly(mock_arg(command, 0));
	return 0;
}

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

static int op_get_pid(const struct mock_command *command)
{
	mock_put_result(command, 0, (uint32_t)getpid());
	return 0;
}

const struct mock_op mock_basic_ops[] = {
	{ MOCK_ECHO, op_echo },
	{ MOCK_SLEEP, op_sleep },
	{ MOCK_DIE, op_die },
	{ MOCK_SPIN, op_spin },
	{ MOCK_EAT, op_eat },
	{ MOCK_FAIL, op_fail },
	{ MOCK_LOG, op_log },
	{ MOCK_FILL, op_fill },
	{ MOCK_GET_PID, op_get_pid },
	{ MOCK_READ_SLOWLY, op_read_slowly },
	{ 0, NULL },
};
