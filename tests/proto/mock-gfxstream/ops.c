/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* Commands: the real one's, as far as they matter here, and those of a test. */
#include "mock.h"

#include <errno.h>
#include <string.h>

#define N_ARGS 8u
#define MAX_RING_BYTES (16u << 20)

struct arguments {
	struct mock_context *context;
	const uint8_t *bytes; /* the whole command */
	uint32_t size_bytes;
	uint32_t words[N_ARGS]; /* behind the opcode; 0 where there are none */
};

static struct mock_resource *find_ring(const struct arguments *a)
{
	struct mock_resource *ring = mock_find_resource(a->words[0]);

	contract(ring && ring->kind == MOCK_BLOB, "a ring in resource %u", a->words[0]);
	return ring;
}

static int ring_create(const struct arguments *a)
{
	struct mock_resource *ring = find_ring(a);

	contract(ring->size_bytes >= MOCK_RING_BYTES + MOCK_BUFFER_BYTES, "a ring of %u bytes",
		 (uint32_t)ring->size_bytes);
	contract(ring->size_bytes <= MAX_RING_BYTES, "a ring of %u bytes",
		 (uint32_t)ring->size_bytes);
	contract(ring->n_rings == 0, "two threads for one ring");
	contract(g_hash_table_contains(a->context->attached, GUINT_TO_POINTER(ring->id)),
		 "a ring that is not attached to its context");
	ring->n_rings++;
	return 0;
}

static int ring_ping(const struct arguments *a)
{
	struct mock_resource *ring = find_ring(a);

	ring->n_pings++;
	return ring->n_rings > 0 ? 0 : -EINVAL;
}

static int count_rings(const struct arguments *a)
{
	const struct mock_resource *ring = mock_find_resource(a->words[1]);

	return ring && mock_store(a->words[0], 0, ring->n_rings) &&
			       mock_store(a->words[0], 1, ring->n_pings)
		       ? 0
		       : -EINVAL;
}

static int add_memory(struct mock_context *context, uint64_t blob_id, uint32_t kind, uint32_t value,
		      bool is_picture)
{
	struct mock_memory *memory = g_new(struct mock_memory, 1);
	*memory = (struct mock_memory){ kind, value, is_picture };
	g_hash_table_insert(context->memory, g_memdup2(&blob_id, sizeof(blob_id)), memory);
	return 0;
}

static int create_3d(const struct arguments *a)
{
	struct gfxstream_create_3d create;

	memcpy(&create, a->bytes, sizeof(create));
	contract(create.width > 0 && create.height > 0 && create.blob_id != 0,
		 "a picture that can't be");
	contract(!g_hash_table_contains(a->context->memory, &create.blob_id),
		 "a picture of a name that is taken");
	return add_memory(a->context, create.blob_id, MOCK_GFX_MEMORY_SHM, 0, true);
}

static int sync_gles(const struct arguments *a)
{
	(void)a;
	contract(mock_flags() & GFXSTREAM_USE_GLES, "OpenGL was not started: no sync of its");
	return 0;
}

static int sync_vulkan(const struct arguments *a)
{
	(void)a;
	contract(mock_flags() & GFXSTREAM_USE_VK, "Vulkan was not started: no sync of its");
	return 0;
}

static int nop(const struct arguments *a)
{
	(void)a;
	return 0;
}

static int run_common(uint32_t opcode, const struct mock_command *command)
{
	static const struct mock_op *const tables[] = { mock_basic_ops, mock_escape_ops };
	const struct mock_op *op = mock_find_op(tables, G_N_ELEMENTS(tables), opcode);

	return op ? op->run(command) : -EINVAL;
}

#define COMMON_HEAD_WORDS 3u /* its opcode, the resource, the other mock's opcode */

static int op_common(const struct arguments *a)
{
	const uint32_t n_words = a->size_bytes / (uint32_t)sizeof(uint32_t);
	const struct mock_command command = {
		.ctx_id = a->context->id,
		.result_id = a->words[0],
		.args = (const uint32_t *)(const void *)a->bytes + COMMON_HEAD_WORDS,
		.n_args = n_words > COMMON_HEAD_WORDS ? n_words - COMMON_HEAD_WORDS : 0,
	};

	return run_common(a->words[1], &command);
}

static int op_die(const struct arguments *a)
{
	return run_common(MOCK_DIE, &(struct mock_command){ .args = a->words, .n_args = 1 });
}

static int op_fail(const struct arguments *a)
{
	return (int)a->words[0];
}

static int op_log(const struct arguments *a)
{
	for (uint32_t i = 0; i < a->words[0]; i++) {
		mock_log(a->words[1], "[Guest.cpp(1)] the guest did \x1b[31msomething\nand more");
	}
	return 0;
}

static int op_fill(const struct arguments *a)
{
	uint32_t word = 0;

	while (mock_store(a->words[0], word, a->words[1])) {
		word++;
	}
	return word > 0 ? 0 : -EINVAL;
}

static int op_get_pid(const struct arguments *a)
{
	return run_common(MOCK_GET_PID, &(struct mock_command){ .result_id = a->words[0] });
}

static int op_get_flags(const struct arguments *a)
{
	return mock_store(a->words[0], 0, (uint32_t)mock_flags()) &&
			       mock_store(a->words[0], 1, (uint32_t)(mock_flags() >> 32))
		       ? 0
		       : -EINVAL;
}

static int op_fences(const struct arguments *a)
{
	mock_fences_set(a->words[0], (int32_t)a->words[1], a->words[2]);
	return 0;
}

static int op_release(const struct arguments *a)
{
	mock_fences_release(a->words[0], (int32_t)a->words[1]);
	return 0;
}

static int op_memory(const struct arguments *a)
{
	return add_memory(a->context, a->words[0], a->words[1], a->words[2], false);
}

static int op_blob_read(const struct arguments *a)
{
	const uint32_t *word = mock_blob_word(a->words[0], a->words[1]);

	return word && mock_store(a->words[2], 0, *word) ? 0 : -EINVAL;
}

static int op_blob_write(const struct arguments *a)
{
	uint32_t *word = mock_blob_word(a->words[0], a->words[1]);

	if (!word) {
		return -EINVAL;
	}
	*word = a->words[2];
	return 0;
}

static int op_measure(const struct arguments *a)
{
	uint32_t n = 0, word = 0;

	while (n < GFXSTREAM_OP_MAX_BYTES / sizeof(word) && word == 0) {
		memcpy(&word, a->bytes + a->size_bytes + n * sizeof(word), sizeof(word));
		n += word == 0;
	}
	return mock_store(a->words[0], 0, n) ? 0 : -EINVAL;
}

static int op_fail_next(const struct arguments *a)
{
	mock_fail_next(a->words[0]);
	return 0;
}

static const struct {
	uint32_t opcode;
	int (*run)(const struct arguments *a);
} ops[] = {
	{ GFXSTREAM_OP_CONTEXT_CREATE, ring_create },
	{ GFXSTREAM_OP_CONTEXT_PING, ring_ping },
	{ GFXSTREAM_OP_CONTEXT_PING_WITH_RESPONSE, ring_ping },
	{ GFXSTREAM_OP_EXPORT_SYNC, sync_gles },
	{ GFXSTREAM_OP_EXPORT_SYNC_VK, sync_vulkan },
	{ GFXSTREAM_OP_IMPORT_SYNC_VK, sync_vulkan },
	{ GFXSTREAM_OP_EXPORT_QSRI_VK, sync_vulkan },
	{ GFXSTREAM_OP_RESOURCE_CREATE_3D, create_3d },
	{ MOCK_GFX_NOP, nop },
	{ MOCK_GFX_COMMON, op_common },
	{ MOCK_GFX_DIE, op_die },
	{ MOCK_GFX_FAIL, op_fail },
	{ MOCK_GFX_LOG, op_log },
	{ MOCK_GFX_FILL, op_fill },
	{ MOCK_GFX_GET_PID, op_get_pid },
	{ MOCK_GFX_FENCES, op_fences },
	{ MOCK_GFX_RELEASE, op_release },
	{ MOCK_GFX_MEMORY, op_memory },
	{ MOCK_GFX_BLOB_READ, op_blob_read },
	{ MOCK_GFX_BLOB_WRITE, op_blob_write },
	{ MOCK_GFX_MEASURE, op_measure },
	{ MOCK_GFX_FAIL_NEXT, op_fail_next },
	{ MOCK_GFX_COUNT_RINGS, count_rings },
	{ MOCK_GFX_GET_FLAGS, op_get_flags },
};

/* A guest's stray words, which the real one would have read as part of a struct. */
static void check_padding(const uint8_t *command, uint32_t size_bytes)
{
	for (uint32_t i = 0; i < GFXSTREAM_OP_MAX_BYTES; i++) {
		contract(command[size_bytes + i] == 0, "no zeros behind a command of %u bytes",
			 size_bytes);
	}
}

int mock_run(struct mock_context *context, const uint8_t *command, uint32_t size_bytes)
{
	struct arguments a = { .context = context, .bytes = command, .size_bytes = size_bytes };
	uint32_t opcode;

	check_padding(command, size_bytes);
	memcpy(&opcode, command, sizeof(opcode));
	memcpy(a.words, command + sizeof(opcode),
	       MIN(sizeof(a.words), size_bytes - sizeof(opcode)));
	for (size_t i = 0; i < G_N_ELEMENTS(ops); i++) {
		bool is_wild = ops[i].run == op_die || ops[i].run == op_common;

		if (ops[i].opcode == opcode && !(is_wild && mock_is_tame())) {
			return ops[i].run(&a);
		}
	}
	return -EINVAL;
}
