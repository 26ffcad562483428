/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * The process' one instance, contexts and capsets. What the real one was seen to do is done here
 * in the same way: a second start fails, capsets are said to be there whatever was started, outputs
 * that it does not fill stay as they were.
 */
#include "mock.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define CAPSET_VULKAN_BYTES 104
#define CAPSET_GLES_BYTES 16

static struct {
	bool is_started;
	int n_calls; /* atomic: threads that are in one */
	uint64_t flags;
	void *user_data;
	gfxstream_fence_fn on_fence;
	gfxstream_debug_fn on_debug;
	GHashTable *contexts; /* id -> struct mock_context, owned */
	uint32_t next_failure;
	bool is_tame;
} mock;

bool mock_is_tame(void)
{
	return mock.is_tame;
}

uint64_t mock_flags(void)
{
	return mock.flags;
}

void mock_breach(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	g_autofree char *text = g_strdup_vprintf(format, args);
	va_end(args);
	g_printerr("mock-gfxstream: contract: %s\n", text);
	abort();
}

void mock_enter(const char *name)
{
	contract(mock.is_started, "%s() before init()", name);
	contract(!mock_fences_is_calling(), "%s() out of a callback", name);
	contract(g_atomic_int_add(&mock.n_calls, 1) == 0, "%s() while another call runs", name);
}

void mock_leave(void)
{
	g_atomic_int_add(&mock.n_calls, -1);
}

void mock_log(uint32_t debug_type, const char *text)
{
	struct gfxstream_debug debug = { debug_type, text };

	if (mock.on_debug) {
		mock.on_debug(mock.user_data, &debug);
	}
}

void mock_fail_next(uint32_t failure)
{
	mock.next_failure = failure;
}

bool mock_take_failure(enum mock_gfxstream_failure failure)
{
	if (mock.next_failure != failure) {
		return false;
	}
	mock.next_failure = 0;
	return true;
}

static void context_free(void *data)
{
	struct mock_context *context = data;

	g_hash_table_destroy(context->attached);
	g_hash_table_destroy(context->memory);
	mock_pipe_unref(context->pipe);
	g_free(context);
}

struct mock_context *mock_find_context(uint32_t id)
{
	return g_hash_table_lookup(mock.contexts, GUINT_TO_POINTER(id));
}

static void signal_fence(const struct gfxstream_fence *fence)
{
	/* On the stack, and not to be kept. */
	struct gfxstream_fence copy = *fence;

	mock.on_fence(mock.user_data, &copy);
	memset(&copy, 0xa5, sizeof(copy));
}

static void take_param(const struct gfxstream_param *param)
{
	switch (param->key) {
	case GFXSTREAM_PARAM_USER_DATA:
		mock.user_data = (void *)(uintptr_t)param->value;
		break;
	case GFXSTREAM_PARAM_RENDERER_FLAGS:
		mock.flags = param->value;
		break;
	case GFXSTREAM_PARAM_FENCE_CALLBACK:
		mock.on_fence = (gfxstream_fence_fn)(uintptr_t)param->value;
		break;
	case GFXSTREAM_PARAM_DEBUG_CALLBACK:
		mock.on_debug = (gfxstream_debug_fn)(uintptr_t)param->value;
		break;
	case GFXSTREAM_PARAM_WIN0_WIDTH:
	case GFXSTREAM_PARAM_WIN0_HEIGHT:
		contract(param->value > 0, "a window of no size");
		break;
	default:
		mock_breach("parameter %" G_GUINT64_FORMAT, param->key);
	}
}

/* The ways in which a real one does not start. */
static int misbehave(const char *how)
{
	if (strcmp(how, "hang") == 0) {
		for (;;) {
			pause();
		}
	}
	if (strcmp(how, "abort") == 0) {
		mock_log(GFXSTREAM_DEBUG_ERROR, "[Mock.cpp(1)] FATAL: no memory type");
		abort();
	}
	if (strcmp(how, "crash") == 0) {
		raise(SIGSEGV);
	}
	if (strcmp(how, "fail") == 0) {
		mock_log(GFXSTREAM_DEBUG_ERROR, "[Mock.cpp(2)] no EGL config");
		return -EINVAL;
	}
	return 0;
}

int stream_renderer_init(struct gfxstream_param *params, uint64_t n_params)
{
	const char *how = g_getenv("MOCK_GFXSTREAM_INIT");

	if (mock.is_started) {
		return -EINVAL;
	}
	for (uint64_t i = 0; i < n_params; i++) {
		take_param(&params[i]);
	}
	if (!mock.user_data || !mock.flags || !mock.on_fence) {
		return -EINVAL;
	}
	contract(mock.on_debug != NULL, "no callback for what it has to say");
	contract(mock.flags & GFXSTREAM_USE_EXTERNAL_BLOB, "blobs that are no files");
	contract(mock.flags & (GFXSTREAM_USE_GLES | GFXSTREAM_USE_VK), "nothing to render with");
	if (mock.flags & GFXSTREAM_USE_GLES) {
		contract(mock.flags & GFXSTREAM_USE_EGL, "OpenGL ES without EGL: it would hang");
		contract(g_getenv("DISPLAY") || g_getenv("WAYLAND_DISPLAY") ||
				 g_strcmp0(g_getenv("EGL_PLATFORM"), "surfaceless") == 0,
			 "no display, and EGL not told so: it would hang");
	}
	int error = how ? misbehave(how) : 0;
	if (error != 0) {
		return error;
	}
	mock.contexts = g_hash_table_new_full(NULL, NULL, NULL, context_free);
	mock_fences_start(signal_fence, g_strcmp0(how, "no-fence") == 0);
	mock.is_tame = g_strcmp0(how, "tame") == 0;
	mock.is_started = true;
	return 0;
}

void stream_renderer_teardown(void)
{
	mock_breach("teardown(), which may hang");
}

/* max_version stays as it was, and of an unknown one both. */
void stream_renderer_get_cap_set(uint32_t set, uint32_t *max_version, uint32_t *max_size)
{
	mock_enter("get_cap_set");
	(void)max_version;
	if (set == 3) {
		*max_size = CAPSET_VULKAN_BYTES;
	} else if (set == 8 || set == 9) {
		*max_size = CAPSET_GLES_BYTES;
	}
	mock_leave();
}

void stream_renderer_fill_caps(uint32_t set, uint32_t version, void *caps)
{
	mock_enter("fill_caps");
	contract(set == 3 || set == 8, "capset %u is not offered", set);
	contract(version == 0, "version %u of a capset", version);
	const uint32_t words[] = { 1, MOCK_RING_BYTES, MOCK_BUFFER_BYTES, set };
	memset(caps, (int)set, set == 3 ? CAPSET_VULKAN_BYTES : CAPSET_GLES_BYTES);
	memcpy(caps, words, sizeof(words));
	mock_leave();
}

int stream_renderer_context_create(uint32_t ctx_id, uint32_t name_bytes, const char *name,
				   uint32_t context_init)
{
	mock_enter("context_create");
	contract(ctx_id != 0, "context 0");
	contract(mock_find_context(ctx_id) == NULL, "context %u is there", ctx_id);
	contract(name_bytes > 0 && strlen(name) == name_bytes, "a name of %u bytes", name_bytes);
	contract(context_init == 0 || context_init == 3 || context_init == 8,
		 "a context of capset %u", context_init);
	int error = mock_take_failure(MOCK_GFX_FAIL_CONTEXT) ? EINVAL : 0;
	if (error == 0) {
		struct mock_context *context = g_new0(struct mock_context, 1);

		context->id = ctx_id;
		context->attached = g_hash_table_new(NULL, NULL);
		context->pipe = mock_pipe_create();
		context->memory =
			g_hash_table_new_full(g_int64_hash, g_int64_equal, g_free, g_free);
		g_hash_table_insert(mock.contexts, GUINT_TO_POINTER(ctx_id), context);
	}
	mock_leave();
	return error;
}

/* What is attached to it would be complained of when it goes. */
void stream_renderer_context_destroy(uint32_t ctx_id)
{
	mock_enter("context_destroy");
	struct mock_context *context = mock_find_context(ctx_id);
	contract(context != NULL, "there is no context %u", ctx_id);
	contract(g_hash_table_size(context->attached) == 0, "context %u goes, and has %u resources",
		 ctx_id, g_hash_table_size(context->attached));
	g_hash_table_remove(mock.contexts, GUINT_TO_POINTER(ctx_id));
	mock_leave();
}

void stream_renderer_ctx_attach_resource(int ctx_id, int id)
{
	mock_enter("ctx_attach_resource");
	struct mock_context *context = mock_find_context((uint32_t)ctx_id);
	struct mock_resource *resource = mock_find_resource((uint32_t)id);
	contract(context != NULL, "there is no context %u", (uint32_t)ctx_id);
	contract(resource != NULL, "there is no resource %u to attach", (uint32_t)id);
	contract(g_hash_table_add(context->attached, GUINT_TO_POINTER((uint32_t)id)),
		 "resource %u is attached", (uint32_t)id);
	resource->n_contexts++;
	mock_pipe_unref(resource->pipe);
	resource->pipe = mock_pipe_ref(context->pipe);
	mock_leave();
}

void stream_renderer_ctx_detach_resource(int ctx_id, int id)
{
	mock_enter("ctx_detach_resource");
	struct mock_context *context = mock_find_context((uint32_t)ctx_id);
	contract(context != NULL, "there is no context %u", (uint32_t)ctx_id);
	contract(g_hash_table_remove(context->attached, GUINT_TO_POINTER((uint32_t)id)),
		 "resource %u is not attached", (uint32_t)id);
	mock_find_resource((uint32_t)id)->n_contexts--;
	mock_leave();
}

int stream_renderer_submit_cmd(struct gfxstream_command *command)
{
	mock_enter("submit_cmd");
	struct mock_context *context = mock_find_context(command->ctx_id);
	contract(context != NULL, "a command for context %u, which there is not", command->ctx_id);
	contract(command->cmd != NULL && command->cmd_size >= 4 && command->cmd_size % 4 == 0,
		 "a command of %u bytes", command->cmd_size);
	contract(command->num_in_fences == 0 && command->fences == NULL, "fences to wait for");
	int error = mock_run(context, command->cmd, command->cmd_size);
	mock_leave();
	return error;
}
