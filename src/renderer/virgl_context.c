/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * Contexts and their command streams.
 *
 * A stream the library refuses leaves its context in an error state that only
 * CTX_DESTROY ends: every later submission and transfer of that context fails,
 * other contexts and all resources go on. That is the library's design, and a
 * guest's driver sees its context lost. What can be told without decoding,
 * whether the stream is cut into commands properly, is checked before: the
 * library runs the good part of a cut-off stream, reports success (0.10.4) and
 * condemns the context.
 */
#include "renderer/virgl_internal.h"

#include <errno.h>
#include <limits.h>
#include <string.h>

#include "util/log.h"

/* Each is a GL context: 2.4 MB of host memory with llvmpipe, before it draws. */
#define MAX_CONTEXTS 256
#define CONTEXT_BYTES (2560u << 10)
#define NAME_MAX_BYTES 64

static bool has_context(struct virgl *virgl, uint32_t ctx_id)
{
	return g_hash_table_contains(virgl->contexts, GUINT_TO_POINTER(ctx_id));
}

static enum gpu_resp resp_from_error(int error)
{
	switch (abs(error)) {
	case 0:
		return GPU_RESP_OK_NODATA;
	case ENOMEM:
		return GPU_RESP_ERR_OUT_OF_MEMORY;
	default:
		return GPU_RESP_ERR_UNSPEC;
	}
}

static bool is_offered(const struct renderer_caps *caps, uint32_t capset_id)
{
	for (uint32_t i = 0; i < caps->n_capsets; i++) {
		if (caps->capsets[i].id == capset_id) {
			return true;
		}
	}
	return false;
}

static int create_in_library(uint32_t ctx_id, uint32_t capset_id, const char *name)
{
	uint32_t length = (uint32_t)strlen(name);

	if (capset_id == 0) {
		return virgl_library.context_create(ctx_id, length, name);
	}
	return virgl_library.context_create_with_flags(ctx_id, capset_id, length, name);
}

static enum gpu_resp context_create(struct renderer *r, uint32_t ctx_id, uint32_t capset_id,
				    const char *name, size_t name_bytes)
{
	struct virgl *virgl = virgl_from_base(r);
	char name_z[NAME_MAX_BYTES] = { 0 };

	if (capset_id != 0 && !is_offered(&r->caps, capset_id)) {
		return GPU_RESP_ERR_INVALID_PARAMETER;
	}
	if (has_context(virgl, ctx_id)) {
		return GPU_RESP_ERR_INVALID_CONTEXT_ID;
	}
	if (g_hash_table_size(virgl->contexts) >= MAX_CONTEXTS ||
	    quota_charge(r->quota, CONTEXT_BYTES) != QUOTA_OK) {
		return GPU_RESP_ERR_OUT_OF_MEMORY;
	}
	memcpy(name_z, name, MIN(name_bytes, sizeof(name_z) - 1));
	int error = create_in_library(ctx_id, capset_id, name_z);
	if (error == 0) {
		g_hash_table_add(virgl->contexts, GUINT_TO_POINTER(ctx_id));
	} else {
		quota_release(r->quota, CONTEXT_BYTES);
	}
	return resp_from_error(error);
}

static void context_destroy(struct renderer *r, uint32_t ctx_id)
{
	struct virgl *virgl = virgl_from_base(r);

	if (g_hash_table_remove(virgl->contexts, GUINT_TO_POINTER(ctx_id))) {
		virgl_library.context_destroy(ctx_id);
		quota_release(r->quota, CONTEXT_BYTES);
		virgl_fences_guard(&virgl->fences);
	}
}

void virgl_contexts_destroy_all(struct virgl *virgl)
{
	GHashTableIter iter;
	gpointer key;

	g_hash_table_iter_init(&iter, virgl->contexts);
	while (g_hash_table_iter_next(&iter, &key, NULL)) {
		virgl_library.context_destroy(GPOINTER_TO_UINT(key));
		quota_release(virgl->base.quota, CONTEXT_BYTES);
		g_hash_table_iter_remove(&iter);
	}
}

static void attach_resource(struct renderer *r G_GNUC_UNUSED, uint32_t ctx_id, uint32_t resource_id)
{
	virgl_library.ctx_attach_resource((int)ctx_id, (int)resource_id);
}

static void detach_resource(struct renderer *r G_GNUC_UNUSED, uint32_t ctx_id, uint32_t resource_id)
{
	virgl_library.ctx_detach_resource((int)ctx_id, (int)resource_id);
}

/* Do the commands, each a header word and as many words as it says, fill the stream? */
static bool is_well_cut(const uint32_t *words, size_t n_words)
{
	size_t at = 0;

	while (at < n_words) {
		at += 1 + (size_t)(words[at] >> 16);
	}
	return at == n_words;
}

static enum gpu_resp submit(struct renderer *r, uint32_t ctx_id, void *commands, size_t size_bytes)
{
	size_t n_words = size_bytes / sizeof(uint32_t);

	if (!has_context(virgl_from_base(r), ctx_id)) {
		return GPU_RESP_ERR_INVALID_CONTEXT_ID;
	}
	if (size_bytes % sizeof(uint32_t) != 0 || n_words > INT_MAX ||
	    !is_well_cut(commands, n_words)) {
		log_debug("ctx %u: a stream of %zu bytes that are no whole commands", ctx_id,
			  size_bytes);
		return GPU_RESP_ERR_INVALID_PARAMETER;
	}
	if (n_words == 0) {
		return GPU_RESP_OK_NODATA;
	}
	int error = virgl_library.submit_cmd(commands, (int)ctx_id, (int)n_words);
	if (error != 0) {
		/* The context's error is looked at when it becomes current, so it may not stay. */
		virgl_library.force_ctx_0();
	}
	return resp_from_error(error);
}

static enum gpu_resp get_capset(struct renderer *r G_GNUC_UNUSED,
				const struct renderer_capset *capset, uint32_t version,
				void *capset_out)
{
	memset(capset_out, 0, capset->max_size_bytes);
	virgl_library.fill_caps(capset->id, version, capset_out);
	return GPU_RESP_OK_CAPSET;
}

const struct renderer_context_impl virgl_context_impl = {
	.create = context_create,
	.destroy = context_destroy,
	.attach_resource = attach_resource,
	.detach_resource = detach_resource,
	.submit = submit,
	.transfer = virgl_transfer_3d,
	.get_capset = get_capset,
};
