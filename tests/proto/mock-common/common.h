/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * Commands that both mocks have (mock_opcodes.h). Each takes them out of its own streams and has a
 * place for their results, mock_store().
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "mock_opcodes.h"

/* A command as its function sees it. args outlives the function no longer than the stream. */
struct mock_command {
	uint32_t ctx_id;
	uint32_t result_id; /* of the resource for results, or 0 */
	const uint32_t *args;
	uint32_t n_args;
};

struct mock_op {
	uint32_t opcode;
	/* What submit_cmd() returns: 0 or an errno. */
	int (*run)(const struct mock_command *command);
};

/* Tables, each ended by an entry without a function. basic.c and escape.c: */
extern const struct mock_op mock_basic_ops[];
extern const struct mock_op mock_escape_ops[];

/* basic.c. NULL: it is in none of these tables. */
const struct mock_op *mock_find_op(const struct mock_op *const *tables, size_t n_tables,
				   uint32_t opcode);

/* For functions of opcodes. 0 where the stream has no such argument. */
uint32_t mock_arg(const struct mock_command *command, uint32_t index);
/* From the argument on, to its NUL; "" where there is none. */
const char *mock_arg_text(const struct mock_command *command, uint32_t index);
/* A u32 to where the command wants its results; words beyond its end are dropped. */
void mock_put_result(const struct mock_command *command, uint32_t word, uint32_t value);

/* basic.c: for as long as a read of pixels takes. */
void mock_wait_to_read(void);

/* Each mock's own: false where there is no such resource, or no such word in it. */
bool mock_store(uint32_t resource_id, uint32_t word, uint32_t value);
