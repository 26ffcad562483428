/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * Contexts. To the library one is a name that rings, pipes and memory belong
 * to; what draws is a thread for each of its rings and pipes.
 */
#include "renderer/gfxstream_internal.h"

#include <errno.h>
#include <string.h>

#include "util/log.h"

#define MAX_CONTEXTS 256
/* A thread that draws, with an OpenGL context: for a context's first ring. */
#define CONTEXT_BYTES (4u << 20)
/* What we keep of a resource that is attached to a context. */
#define ATTACHED_BYTES 64
#define NAME_MAX_BYTES 64
/* As other back-ends have it. */
#define DEFAULT_NAME "gpu_renderer"

struct gfxstream_context *gfxstream_context_find(struct gfxstream *gfxstream, uint32_t id)
{
	return g_hash_table_lookup(gfxstream->contexts, GUINT_TO_POINTER(id));
}

void gfxstream_context_free(void *data)
{
	struct gfxstream_context *context = data;

	g_hash_table_destroy(context->attached);
	g_hash_table_destroy(context->pending);
	gfxstream_pipe_unref(context->pipe);
	g_free(context);
}

static void add(struct gfxstream *gfxstream, uint32_t ctx_id)
{
	struct gfxstream_context *context = g_new(struct gfxstream_context, 1);

	*context = (struct gfxstream_context){
		.id = ctx_id,
		.attached = g_hash_table_new(NULL, NULL),
		.pending = g_hash_table_new_full(g_int64_hash, g_int64_equal, g_free, g_free),
		.pipe = gfxstream_pipe_create(),
	};
	g_hash_table_insert(gfxstream->contexts, GUINT_TO_POINTER(ctx_id), context);
}

static int create_in_library(uint32_t ctx_id, uint32_t capset_id, const char *name,
			     size_t name_bytes)
{
	char name_z[NAME_MAX_BYTES] = DEFAULT_NAME;

	if (name_bytes > 0) {
		g_strlcpy(name_z, name, MIN(name_bytes + 1, sizeof(name_z)));
	}
	return gfxstream_library.context_create(ctx_id, (uint32_t)strlen(name_z), name_z,
						capset_id);
}

static enum gpu_resp context_create(struct renderer *r, uint32_t ctx_id, uint32_t capset_id,
				    const char *name, size_t name_bytes)
{
	struct gfxstream *gfxstream = gfxstream_from_base(r);

	if (capset_id != 0 && renderer_find_capset(&r->caps, capset_id) == NULL) {
		return GPU_RESP_ERR_INVALID_PARAMETER;
	}
	if (gfxstream_context_find(gfxstream, ctx_id) != NULL) {
		return GPU_RESP_ERR_INVALID_CONTEXT_ID;
	}
	if (g_hash_table_size(gfxstream->contexts) >= MAX_CONTEXTS ||
	    quota_charge(r->quota, CONTEXT_BYTES) != QUOTA_OK) {
		return GPU_RESP_ERR_OUT_OF_MEMORY;
	}
	int error = create_in_library(ctx_id, capset_id, name, name_bytes);
	if (error == 0) {
		add(gfxstream, ctx_id);
	} else {
		log_debug("ctx %u: refused (%d)", ctx_id, error);
		quota_release(r->quota, CONTEXT_BYTES);
	}
	return renderer_resp_from_error(error);
}

static void detach(struct gfxstream *gfxstream, struct gfxstream_context *context,
		   uint32_t resource_id)
{
	if (!g_hash_table_remove(context->attached, GUINT_TO_POINTER(resource_id))) {
		return;
	}
	quota_release(gfxstream->base.quota, ATTACHED_BYTES);
	gfxstream_library.ctx_detach_resource((int)context->id, (int)resource_id);
}

/* The library complains of each that is not, when it goes in its turn. */
static void detach_all(struct gfxstream *gfxstream, struct gfxstream_context *context)
{
	g_autoptr(GList) ids = g_hash_table_get_keys(context->attached);

	for (GList *link = ids; link != NULL; link = link->next) {
		detach(gfxstream, context, GPOINTER_TO_UINT(link->data));
	}
}

static void context_destroy(struct renderer *r, uint32_t ctx_id)
{
	struct gfxstream *gfxstream = gfxstream_from_base(r);
	struct gfxstream_context *context = gfxstream_context_find(gfxstream, ctx_id);

	if (context == NULL) {
		return;
	}
	detach_all(gfxstream, context);
	gfxstream_library.context_destroy(ctx_id);
	quota_release(r->quota, CONTEXT_BYTES);
	gfxstream_fences_drop_context(gfxstream, ctx_id);
	g_hash_table_remove(gfxstream->contexts, GUINT_TO_POINTER(ctx_id));
}

void gfxstream_contexts_destroy_all(struct gfxstream *gfxstream)
{
	g_autoptr(GList) contexts = g_hash_table_get_values(gfxstream->contexts);

	for (GList *link = contexts; link != NULL; link = link->next) {
		const struct gfxstream_context *context = link->data;

		context_destroy(&gfxstream->base, context->id);
	}
}

/* ---- resources of contexts ---- */

static void attach_resource(struct renderer *r, uint32_t ctx_id, uint32_t resource_id)
{
	struct gfxstream *gfxstream = gfxstream_from_base(r);
	struct gfxstream_context *context = gfxstream_context_find(gfxstream, ctx_id);
	struct gfxstream_resource *resource = gfxstream_resource_find(gfxstream, resource_id);
	void *key = GUINT_TO_POINTER(resource_id);

	if (context == NULL || resource == NULL || resource->kind == GFXSTREAM_GUEST_BLOB ||
	    g_hash_table_contains(context->attached, key)) {
		return;
	}
	if (quota_charge(r->quota, ATTACHED_BYTES) != QUOTA_OK) {
		log_debug("ctx %u: res %u is not attached: too many are", ctx_id, resource_id);
		return;
	}
	g_hash_table_add(context->attached, key);
	resource->is_shared = true;
	gfxstream_pipe_unref(resource->pipe);
	resource->pipe = gfxstream_pipe_ref(context->pipe);
	gfxstream_library.ctx_attach_resource((int)ctx_id, (int)resource_id);
}

static void detach_resource(struct renderer *r, uint32_t ctx_id, uint32_t resource_id)
{
	struct gfxstream *gfxstream = gfxstream_from_base(r);
	struct gfxstream_context *context = gfxstream_context_find(gfxstream, ctx_id);

	if (context != NULL) {
		detach(gfxstream, context, resource_id);
	}
}

void gfxstream_contexts_detach(struct gfxstream *gfxstream, uint32_t resource_id)
{
	GHashTableIter iter;
	void *context;

	g_hash_table_iter_init(&iter, gfxstream->contexts);
	while (g_hash_table_iter_next(&iter, NULL, &context)) {
		detach(gfxstream, context, resource_id);
	}
}

/* ---- capsets ---- */

static enum gpu_resp get_capset(struct renderer *r G_GNUC_UNUSED,
				const struct renderer_capset *capset, uint32_t version,
				void *capset_out)
{
	memset(capset_out, 0, capset->max_size_bytes);
	gfxstream_library.fill_caps(capset->id, version, capset_out);
	return GPU_RESP_OK_CAPSET;
}

const struct renderer_context_impl gfxstream_context_impl = {
	.create = context_create,
	.destroy = context_destroy,
	.attach_resource = attach_resource,
	.detach_resource = detach_resource,
	.submit = gfxstream_submit,
	.transfer = gfxstream_transfer_3d,
	.get_capset = get_capset,
};
