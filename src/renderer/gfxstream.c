/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * 2D, OpenGL ES and Vulkan by gfxstream, whose guests send the calls of either
 * API to the host as they are made.
 *
 * The library checks little. Of what a guest says it takes sizes, ids and
 * formats as they come, and what is wrong with them is read or written beyond a
 * buffer, or ends the process. So they are checked here, and what it is given
 * to copy from or to is always as large as it thinks it is:
 *
 * gfxstream_library.c   its ABI, and how it gets into the process
 * gfxstream_start.c     how it is started, once, and what it offers then
 * gfxstream_resource.c  what it makes of arguments, and which of them it bears
 * gfxstream_transfer.c  copies of pictures, buffers and pipes
 * gfxstream_pipe.c      what a guest may say to a pipe
 * gfxstream_read.c      pictures for displays
 * gfxstream_blob.c      memory that a guest can map
 * gfxstream_context.c, gfxstream_submit.c   contexts, and what they are sent
 * gfxstream_fence.c     fences, and how its threads reach ours
 * gfxstream_log.c       its messages
 * gfxstream_profile.c   what a sandbox has to leave it
 *
 * What guests send through rings and pipes only it understands, and by that
 * they can still end the process: hence is_foreign.
 */
#include "renderer/gfxstream_internal.h"

static void free_gfxstream(struct gfxstream *gfxstream)
{
	g_hash_table_destroy(gfxstream->contexts);
	g_hash_table_destroy(gfxstream->resources);
	gfxstream_fences_finish(gfxstream);
	g_hash_table_destroy(gfxstream->spoiled_ids);
	g_free(gfxstream->command);
	g_free(gfxstream);
}

static int gfxstream_create(const struct renderer_options *options, struct quota *quota,
			    struct renderer **renderer_out)
{
	struct gfxstream *gfxstream = g_new0(struct gfxstream, 1);

	renderer_init(&gfxstream->base, &gfxstream_impl, quota);
	gfxstream->resources = g_hash_table_new_full(NULL, NULL, NULL, gfxstream_resource_free);
	gfxstream->contexts = g_hash_table_new_full(NULL, NULL, NULL, gfxstream_context_free);
	gfxstream->spoiled_ids = g_hash_table_new(NULL, NULL);
	gfxstream->command = g_malloc0(GFXSTREAM_MAX_COMMAND_BYTES + GFXSTREAM_OP_MAX_BYTES);
	int r = gfxstream_fences_init(gfxstream);
	if (r == 0) {
		r = gfxstream_start(gfxstream, options);
	}
	if (r < 0) {
		free_gfxstream(gfxstream);
		return r;
	}
	gfxstream->base.event_fd = gfxstream->wake_fd;
	*renderer_out = &gfxstream->base;
	return 0;
}

static void destroy_resources(struct gfxstream *gfxstream)
{
	g_autoptr(GList) resources = g_hash_table_get_values(gfxstream->resources);

	for (GList *link = resources; link != NULL; link = link->next) {
		const struct gfxstream_resource *resource = link->data;

		gfxstream_resource_destroy(&gfxstream->base, resource->id);
	}
}

/*
 * The library is not torn down. It would wait for threads of its own that a
 * guest can have brought to a state in which they never end, and it can't be
 * started again.
 */
static void gfxstream_destroy(struct renderer *r)
{
	struct gfxstream *gfxstream = gfxstream_from_base(r);

	gfxstream_contexts_destroy_all(gfxstream);
	destroy_resources(gfxstream);
	gfxstream_leave(gfxstream);
	free_gfxstream(gfxstream);
}

const struct renderer_impl gfxstream_impl = {
	.name = "gfxstream",
	.is_foreign = true,
	.profile = &gfxstream_profile,
	.create = gfxstream_create,
	.destroy = gfxstream_destroy,
	.resource_create = gfxstream_resource_create,
	.resource_destroy = gfxstream_resource_destroy,
	.resource_attach = gfxstream_resource_attach,
	.resource_detach = gfxstream_resource_detach,
	.transfer_2d = gfxstream_transfer_2d,
	.resource_read = gfxstream_resource_read,
	.context = &gfxstream_context_impl,
	.blob = &gfxstream_blob_impl,
	.fence_create = gfxstream_fence_create,
	.dispatch = gfxstream_dispatch,
};
