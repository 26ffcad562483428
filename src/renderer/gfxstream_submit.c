/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * What a context is sent: one command, whose struct the library reads whole,
 * however short a guest's was. So it is given a copy with zeros behind it.
 *
 * These commands are few and small; what is drawn goes by rings and pipes, and
 * is nothing that we see. Of those that we know what they name is looked at.
 */
#include "renderer/gfxstream_internal.h"

#include <string.h>

#include "util/log.h"

/* Pictures of a context that no blob was made of yet. */
#define MAX_PENDING 1024
/* Pictures that nobody can be rid of. */
#define MAX_SPOILED 1024

static uint32_t word(const uint8_t *command, size_t index)
{
	uint32_t value;

	memcpy(&value, command + index * sizeof(value), sizeof(value));
	return value;
}

static struct gfxstream_resource *find_ring(struct gfxstream *gfxstream, const uint8_t *command)
{
	struct gfxstream_resource *resource = gfxstream_resource_find(gfxstream, word(command, 1));

	return resource != NULL && resource->is_ring ? resource : NULL;
}

/*
 * A ring gets a thread, which reads it until it is detached: so it has to be
 * attached, or the thread would read on when the memory is gone. One more for
 * the same ring would be one that nobody can be rid of.
 */
static bool is_new_ring(struct gfxstream *gfxstream, const struct gfxstream_context *context,
			const uint8_t *command)
{
	const struct gfxstream_resource *ring = find_ring(gfxstream, command);

	return ring != NULL && !ring->has_thread &&
	       g_hash_table_contains(context->attached, GUINT_TO_POINTER(ring->id));
}

static struct resource_desc describe(const struct gfxstream_create_3d *create)
{
	return (struct resource_desc){
		.target = create->target,
		.format = create->format,
		.bind = create->bind,
		.width = create->width,
		.height = create->height,
		.depth = create->depth,
		.array_size = create->array_size,
		.last_level = create->last_level,
		.nr_samples = create->nr_samples,
		.flags = create->flags,
	};
}

static struct gfxstream_create_3d read_create(const uint8_t *command)
{
	struct gfxstream_create_3d create;

	memcpy(&create, command, sizeof(create));
	return create;
}

/*
 * A picture as any other that a guest asks for, of a name that is free. Only
 * Vulkan has memory for one that others can have; without, the library would
 * make it, and forget it.
 */
static bool is_sound_picture(const struct gfxstream *gfxstream,
			     const struct gfxstream_context *context, const uint8_t *command)
{
	const struct gfxstream_create_3d create = read_create(command);
	const struct resource_desc desc = describe(&create);
	enum gfxstream_kind kind;

	return (gfxstream->flags & GFXSTREAM_USE_VK) != 0 &&
	       g_hash_table_size(gfxstream->spoiled_ids) < MAX_SPOILED && create.blob_id != 0 &&
	       create.blob_id <= UINT32_MAX &&
	       gfxstream_resource_check(&desc, &kind) == GPU_RESP_OK_NODATA &&
	       kind != GFXSTREAM_PIPE && g_hash_table_size(context->pending) < MAX_PENDING &&
	       !g_hash_table_contains(context->pending, &create.blob_id);
}

static void remember_picture(const struct gfxstream_context *context, const uint8_t *command)
{
	const struct gfxstream_create_3d create = read_create(command);
	const struct resource_desc desc = describe(&create);

	g_hash_table_insert(context->pending, g_memdup2(&create.blob_id, sizeof(create.blob_id)),
			    g_memdup2(&desc, sizeof(desc)));
}

static bool is_sound(struct gfxstream *gfxstream, const struct gfxstream_context *context,
		     const uint8_t *command)
{
	switch (word(command, 0)) {
	case GFXSTREAM_OP_CONTEXT_CREATE:
		return is_new_ring(gfxstream, context, command);
	case GFXSTREAM_OP_CONTEXT_PING:
	case GFXSTREAM_OP_CONTEXT_PING_WITH_RESPONSE:
		return find_ring(gfxstream, command) != NULL;
	case GFXSTREAM_OP_RESOURCE_CREATE_3D:
		return is_sound_picture(gfxstream, context, command);
	/* Of an API that was not started: it ends the process, or never signals. */
	case GFXSTREAM_OP_EXPORT_SYNC:
		return (gfxstream->flags & GFXSTREAM_USE_GLES) != 0;
	case GFXSTREAM_OP_EXPORT_SYNC_VK:
	case GFXSTREAM_OP_IMPORT_SYNC_VK:
	case GFXSTREAM_OP_EXPORT_QSRI_VK:
		return (gfxstream->flags & GFXSTREAM_USE_VK) != 0;
	default:
		return true;
	}
}

static void note_effect(struct gfxstream *gfxstream, const struct gfxstream_context *context,
			const uint8_t *command)
{
	switch (word(command, 0)) {
	case GFXSTREAM_OP_CONTEXT_CREATE:
		find_ring(gfxstream, command)->has_thread = true;
		break;
	case GFXSTREAM_OP_RESOURCE_CREATE_3D:
		remember_picture(context, command);
		break;
	default:
		break;
	}
}

static enum gpu_resp run(struct gfxstream *gfxstream, const struct gfxstream_context *context,
			 size_t size_bytes)
{
	struct gfxstream_command command = {
		.ctx_id = context->id,
		.cmd_size = (uint32_t)size_bytes,
		.cmd = gfxstream->command,
	};
	int error = gfxstream_library.submit_cmd(&command);

	if (error != 0) {
		log_debug("ctx %u: command 0x%x is refused (%d)", context->id,
			  word(gfxstream->command, 0), error);
		return GPU_RESP_ERR_UNSPEC;
	}
	note_effect(gfxstream, context, gfxstream->command);
	return GPU_RESP_OK_NODATA;
}

enum gpu_resp gfxstream_submit(struct renderer *r, uint32_t ctx_id, void *commands,
			       size_t size_bytes)
{
	struct gfxstream *gfxstream = gfxstream_from_base(r);
	const struct gfxstream_context *context = gfxstream_context_find(gfxstream, ctx_id);

	if (context == NULL) {
		return GPU_RESP_ERR_INVALID_CONTEXT_ID;
	}
	if (size_bytes < sizeof(uint32_t) || size_bytes % sizeof(uint32_t) != 0 ||
	    size_bytes > GFXSTREAM_MAX_COMMAND_BYTES) {
		log_debug("ctx %u: a command of %zu bytes", ctx_id, size_bytes);
		return GPU_RESP_ERR_INVALID_PARAMETER;
	}
	memcpy(gfxstream->command, commands, size_bytes);
	memset(gfxstream->command + size_bytes, 0, GFXSTREAM_OP_MAX_BYTES);
	if (!is_sound(gfxstream, context, gfxstream->command)) {
		log_debug("ctx %u: command 0x%x is for what there is not", ctx_id,
			  word(gfxstream->command, 0));
		return GPU_RESP_ERR_INVALID_PARAMETER;
	}
	return run(gfxstream, context, size_bytes);
}
