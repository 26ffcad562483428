/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* What any driver does that is broken: it takes its time, dies, keeps memory. */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common.h"

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

const struct mock_op *mock_find_op(const struct mock_op *const *tables, size_t n_tables,
				   uint32_t opcode)
{
	for (size_t i = 0; i < n_tables; i++) {
		for (const struct mock_op *op = tables[i]; op->run != NULL; op++) {
			if (op->opcode == opcode) {
				return op;
			}
		}
	}
	return NULL;
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

static int op_get_pid(const struct mock_command *command)
{
	mock_put_result(command, 0, (uint32_t)getpid());
	return 0;
}

static uint32_t read_ms;

void mock_wait_to_read(void)
{
	usleep(read_ms * 1000);
}

static int op_read_slowly(const struct mock_command *command)
{
	read_ms = mock_arg(command, 0);
	return 0;
}

const struct mock_op mock_basic_ops[] = {
	{ MOCK_ECHO, op_echo },
	{ MOCK_SLEEP, op_sleep },
	{ MOCK_DIE, op_die },
	{ MOCK_SPIN, op_spin },
	{ MOCK_EAT, op_eat },
	{ MOCK_FAIL, op_fail },
	{ MOCK_GET_PID, op_get_pid },
	{ MOCK_READ_SLOWLY, op_read_slowly },
	{ 0, NULL },
};
