/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * Contexts and their command streams.
 *
 * Those of virgl are GL contexts of this process. A stream the library refuses
 * leaves its context in an error state that only CTX_DESTROY ends: every later
 * submission and transfer of that context fails, other contexts and all
 * resources go on. That is the library's design, and a guest's driver sees its
 * context lost. What can be told without decoding, whether the stream is cut
 * into commands properly, is checked before: the library runs the good part of
 * a cut-off stream, reports success (0.10.4) and condemns the context.
 *
 * Those of Venus are processes of the render server's, and here are sockets to
 * them. A process that is told what makes no sense ends, and so does one whose
 * driver crashes. The library sees it when it has something to say to it, and
 * has a thread that spins from then on. So a context whose process does not
 * listen is destroyed in the library at once, and is an empty shell until the
 * guest destroys it as well.
 *
 * A stream goes to such a process in one packet. What is too long for a packet
 * the library would cut off after its first part, so that it is refused before.
 */
#include "renderer/virgl_internal.h"

#include <errno.h>
#include <limits.h>
#include <string.h>

#include "util/log.h"

/* Each is a GL context: 2.4 MB of host memory with llvmpipe, before it draws. */
#define MAX_CONTEXTS 256
#define CONTEXT_BYTES (2560u << 10)
/* Each is a process with a Vulkan driver in it: with lavapipe and a device, 9.4 MB of its own. */
#define PROCESS_CONTEXT_BYTES (16u << 20)
#define NAME_MAX_BYTES 64
/* That a Unix socket takes at once, as Linux makes them (net.core.wmem_default: 208 KiB). */
#define MAX_PACKET_BYTES (128u << 10)

/* Of the library's protocol. */
enum {
	CMD_PIPE_RESOURCE_CREATE = 48,
	PIPE_RESOURCE_CREATE_WORDS = 11,
};

struct virgl_context *virgl_context_find(struct virgl *virgl, uint32_t id)
{
	return g_hash_table_lookup(virgl->contexts, GUINT_TO_POINTER(id));
}

bool virgl_context_has_timelines(const struct virgl_context *context)
{
	return context->capset_id == RENDERER_CAPSET_VENUS ||
	       context->capset_id == RENDERER_CAPSET_DRM;
}

static bool is_process(const struct virgl_context *context)
{
	return context->capset_id == RENDERER_CAPSET_VENUS;
}

static int create_in_library(uint32_t ctx_id, uint32_t capset_id, const char *name)
{
	uint32_t length = (uint32_t)strlen(name);

	if (capset_id == 0) {
		return virgl_library.context_create(ctx_id, length, name);
	}
	return virgl_library.context_create_with_flags(ctx_id, capset_id, length, name);
}

static void add(struct virgl *virgl, uint32_t ctx_id, uint32_t capset_id, uint64_t charged_bytes)
{
	struct virgl_context *context = g_new(struct virgl_context, 1);

	*context = (struct virgl_context){
		.id = ctx_id,
		.capset_id = capset_id != 0 ? capset_id : RENDERER_CAPSET_VIRGL2,
		.number = ++virgl->last_context_number,
		.charged_bytes = charged_bytes,
	};
	g_hash_table_insert(virgl->contexts, GUINT_TO_POINTER(ctx_id), context);
}

static enum gpu_resp context_create(struct renderer *r, uint32_t ctx_id, uint32_t capset_id,
				    const char *name, size_t name_bytes)
{
	struct virgl *virgl = virgl_from_base(r);
	char name_z[NAME_MAX_BYTES] = { 0 };
	uint64_t charge =
		capset_id == RENDERER_CAPSET_VENUS ? PROCESS_CONTEXT_BYTES : CONTEXT_BYTES;

	/* The default is one of GL's. */
	if (capset_id != 0 ? renderer_find_capset(&r->caps, capset_id) == NULL : !virgl_has_gl(virgl)) {
		return GPU_RESP_ERR_INVALID_PARAMETER;
	}
	if (virgl_context_find(virgl, ctx_id) != NULL) {
		return GPU_RESP_ERR_INVALID_CONTEXT_ID;
	}
	if (g_hash_table_size(virgl->contexts) >= MAX_CONTEXTS ||
	    quota_charge(r->quota, charge) != QUOTA_OK) {
		return GPU_RESP_ERR_OUT_OF_MEMORY;
	}
	memcpy(name_z, name, MIN(name_bytes, sizeof(name_z) - 1));
	int error = create_in_library(ctx_id, capset_id, name_z);
	if (error == 0) {
		add(virgl, ctx_id, capset_id, charge);
	} else {
		quota_release(r->quota, charge);
	}
	return renderer_resp_from_error(error);
}

/* In the library; and what this leaves to be done. */
static void destroy_in_library(struct virgl *virgl, const struct virgl_context *context)
{
	virgl_library.context_destroy(context->id);
	quota_release(virgl->base.quota, context->charged_bytes);
	virgl_fences_guard(&virgl->fences);
}

static void context_destroy(struct renderer *r, uint32_t ctx_id)
{
	struct virgl *virgl = virgl_from_base(r);
	const struct virgl_context *context = virgl_context_find(virgl, ctx_id);

	if (context == NULL) {
		return;
	}
	if (!context->is_lost) {
		destroy_in_library(virgl, context);
	}
	virgl_timelines_drop(virgl, ctx_id);
	g_hash_table_remove(virgl->contexts, GUINT_TO_POINTER(ctx_id));
}

void virgl_context_lose(struct virgl *virgl, struct virgl_context *context)
{
	if (!is_process(context) || context->is_lost) {
		return;
	}
	log_debug("ctx %u: its process is gone", context->id);
	destroy_in_library(virgl, context);
	context->is_lost = true;
	timelines_lose(&virgl->timelines, context->id);
}

void virgl_contexts_destroy_all(struct virgl *virgl)
{
	g_autoptr(GList) contexts = g_hash_table_get_values(virgl->contexts);

	for (GList *link = contexts; link != NULL; link = link->next) {
		const struct virgl_context *context = link->data;

		context_destroy(&virgl->base, context->id);
	}
}

/*
 * A process gets a resource as a descriptor of a buffer that a GPU can take;
 * the library, built with assertions, ends the process for another one. What
 * came from it, it has, until it is detached.
 */
static bool may_attach(const struct virgl_context *context, const struct virgl_resource *resource)
{
	return !is_process(context) || resource->context_number == context->number ||
	       virgl_blob_is_shareable(resource);
}

static void attach_resource(struct renderer *r, uint32_t ctx_id, uint32_t resource_id)
{
	struct virgl *virgl = virgl_from_base(r);
	const struct virgl_context *context = virgl_context_find(virgl, ctx_id);
	const struct virgl_resource *resource = virgl_resource_find(virgl, resource_id);

	if (context == NULL || context->is_lost || resource == NULL) {
		return;
	}
	if (!may_attach(context, resource)) {
		log_debug("ctx %u: res %u can't be shared with it", ctx_id, resource_id);
		return;
	}
	virgl_library.ctx_attach_resource((int)ctx_id, (int)resource_id);
}

static void detach_resource(struct renderer *r, uint32_t ctx_id, uint32_t resource_id)
{
	struct virgl *virgl = virgl_from_base(r);
	const struct virgl_context *context = virgl_context_find(virgl, ctx_id);
	struct virgl_resource *resource = virgl_resource_find(virgl, resource_id);

	if (context == NULL || context->is_lost || resource == NULL) {
		return;
	}
	virgl_library.ctx_detach_resource((int)ctx_id, (int)resource_id);
	if (resource->context_number == context->number) {
		resource->context_number = 0;
	}
}

/*
 * A command that makes a picture or a buffer, which a blob is made of then. It
 * is as any other that the guest asks for (virgl_resource.c).
 */
static bool is_sound_resource(const uint32_t *arguments)
{
	const struct resource_desc desc = {
		.target = arguments[0],
		.format = arguments[1],
		.bind = arguments[2],
		.width = arguments[3],
		.height = arguments[4],
		.depth = arguments[5],
		.array_size = arguments[6],
		.last_level = arguments[7],
		.nr_samples = arguments[8],
	};

	return virgl_resource_check(&desc) == GPU_RESP_OK_NODATA;
}

/* Do the commands, each a header word and as many words as it says, fill the stream? */
static bool is_well_cut(const uint32_t *words, size_t n_words)
{
	size_t at = 0;

	while (at < n_words) {
		const uint32_t *command = &words[at];
		size_t n_arguments = command[0] >> 16;

		at += 1 + n_arguments;
		if ((command[0] & 0xff) == CMD_PIPE_RESOURCE_CREATE && at <= n_words &&
		    n_arguments == PIPE_RESOURCE_CREATE_WORDS && !is_sound_resource(command + 1)) {
			return false;
		}
	}
	return at == n_words;
}

static enum gpu_resp submit_words(struct virgl *virgl, struct virgl_context *context, void *words,
				  size_t n_words)
{
	int error = virgl_library.submit_cmd(words, (int)context->id, (int)n_words);

	if (error != 0 && is_process(context)) {
		virgl_context_lose(virgl, context);
	} else if (error != 0) {
		/* The context's error is looked at when it becomes current, so it may not stay. */
		virgl_library.force_ctx_0();
	}
	return renderer_resp_from_error(error);
}

static bool is_acceptable(const struct virgl_context *context, const void *commands,
			  size_t size_bytes)
{
	size_t n_words = size_bytes / sizeof(uint32_t);

	if (size_bytes % sizeof(uint32_t) != 0 || n_words > INT_MAX) {
		return false;
	}
	return is_process(context)
		       ? size_bytes <= MAX_PACKET_BYTES
		       : virgl_context_has_timelines(context) || is_well_cut(commands, n_words);
}

static enum gpu_resp submit(struct renderer *r, uint32_t ctx_id, void *commands, size_t size_bytes)
{
	struct virgl *virgl = virgl_from_base(r);
	struct virgl_context *context = virgl_context_find(virgl, ctx_id);

	if (context == NULL) {
		return GPU_RESP_ERR_INVALID_CONTEXT_ID;
	}
	if (context->is_lost) {
		return GPU_RESP_ERR_UNSPEC;
	}
	if (!is_acceptable(context, commands, size_bytes)) {
		log_debug("ctx %u: a stream of %zu bytes that are no whole commands", ctx_id,
			  size_bytes);
		return GPU_RESP_ERR_INVALID_PARAMETER;
	}
	if (size_bytes == 0) {
		return GPU_RESP_OK_NODATA;
	}
	return submit_words(virgl, context, commands, size_bytes / sizeof(uint32_t));
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
