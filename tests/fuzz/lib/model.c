/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "model.h"

#include <string.h>

#include "model_internal.h"

/* ---- effects ---- */

static void resource_free(void *data)
{
	struct model_resource *resource = data;

	g_clear_pointer(&resource->entries, g_array_unref);
	g_free(resource);
}

static void add_resource(struct model *model, const struct model_resource *resource)
{
	g_array_append_val(model->ids, resource->id);
	g_hash_table_insert(model->resources, GUINT_TO_POINTER(resource->id),
			    g_memdup2(resource, sizeof(*resource)));
}

static void apply_create_2d(struct model *model, const struct model_call *call)
{
	const struct virtio_gpu_resource_create_2d *request = &call->request.resource_create_2d;
	const struct model_resource resource = {
		.id = request->resource_id,
		.is_2d = true,
		.width = request->width,
		.height = request->height,
		.depth = 1,
		.layers = 1,
	};

	add_resource(model, &resource);
}

static void apply_create_3d(struct model *model, const struct model_call *call)
{
	const struct virtio_gpu_resource_create_3d *request = &call->request.resource_create_3d;
	const struct model_resource resource = {
		.id = request->resource_id,
		.width = request->width,
		.height = request->height,
		.depth = request->depth,
		.layers = request->array_size,
		.last_level = request->last_level,
	};

	add_resource(model, &resource);
}

static void remove_id(GArray *ids, uint32_t id)
{
	for (guint i = 0; i < ids->len; i++) {
		if (g_array_index(ids, uint32_t, i) == id) {
			g_array_remove_index(ids, i);
			return;
		}
	}
}

static void apply_unref(struct model *model, const struct model_call *call)
{
	uint32_t id = call->request.resource_unref.resource_id;

	for (size_t i = 0; i < G_N_ELEMENTS(model->scanouts); i++) {
		if (model->scanouts[i].resource_id == id) {
			model->scanouts[i] = (struct model_scanout){ 0 };
		}
	}
	remove_id(model->ids, id);
	g_hash_table_remove(model->resources, GUINT_TO_POINTER(id));
}

/* Consumes entries. */
static void take_backing(struct model_resource *resource, GArray *entries)
{
	resource->has_backing = true;
	resource->entries = entries;
	resource->mapping = MODEL_MAPPED;
	resource->backing_bytes = model_sum_entries(entries);
}

static void apply_attach_backing(struct model *model, const struct model_call *call)
{
	const struct virtio_gpu_resource_attach_backing *request =
		&call->request.resource_attach_backing;

	take_backing(model_find_resource(model, request->resource_id),
		     model_read_entries(call, sizeof(*request), request->nr_entries));
}

static void apply_detach_backing(struct model *model, const struct model_call *call)
{
	struct model_resource *resource = model_find_resource_or_lost(
		model, call->request.resource_detach_backing.resource_id);

	resource->has_backing = false;
	g_clear_pointer(&resource->entries, g_array_unref);
}

static void apply_set_scanout(struct model *model, const struct model_call *call)
{
	const struct virtio_gpu_set_scanout *request = &call->request.set_scanout;

	model->scanouts[request->scanout_id] =
		(struct model_scanout){ .resource_id = request->resource_id };
}

static void apply_create_blob(struct model *model, const struct model_call *call)
{
	const struct virtio_gpu_resource_create_blob *request =
		&call->request.resource_create_blob;
	struct model_resource resource = {
		.id = request->resource_id,
		.is_blob = true,
		.blob = {
			.mem = request->blob_mem,
			.flags = request->blob_flags,
			.blob_id = request->blob_id,
			.size_bytes = request->size,
		},
	};

	if (model_has_pages(request->blob_mem)) {
		take_backing(&resource,
			     model_read_entries(call, sizeof(*request), request->nr_entries));
	}
	add_resource(model, &resource);
}

static void apply_set_scanout_blob(struct model *model, const struct model_call *call)
{
	const struct virtio_gpu_set_scanout_blob *request = &call->request.set_scanout_blob;

	model->scanouts[request->scanout_id] = (struct model_scanout){
		.resource_id = request->resource_id,
		.is_blob = request->resource_id != 0,
		.width = request->width,
		.height = request->height,
	};
}

static void apply_map_blob(struct model *model, const struct model_call *call)
{
	const struct virtio_gpu_resource_map_blob *request = &call->request.resource_map_blob;
	struct model_resource *resource = model_find_resource(model, request->resource_id);

	resource->is_in_window = true;
	resource->window_offset = request->offset;
	model_window_range(resource, request->offset, &resource->window_bytes);
	resource->window_serial = ++model->last_serial;
}

static void apply_unmap_blob(struct model *model, const struct model_call *call)
{
	model_find_resource(model, call->request.resource_unmap_blob.resource_id)->is_in_window =
		false;
}

static void apply_ctx_create(struct model *model, const struct model_call *call)
{
	uint32_t id = call->request.header.ctx_id;

	g_array_append_val(model->contexts, id);
}

static void apply_ctx_destroy(struct model *model, const struct model_call *call)
{
	remove_id(model->contexts, call->request.header.ctx_id);
	remove_id(model->lost_contexts, call->request.header.ctx_id);
}

/* ---- the table ---- */

struct model_command {
	uint32_t type;
	void (*make)(const struct model *model, struct fuzz_input *in, struct model_call *call);
	enum gpu_resp (*judge)(const struct model *model, const struct model_call *call,
			       uint64_t *takes_bytes);
	void (*apply)(struct model *model, const struct model_call *call); /* NULL: no effect */
};

/* Inputs name commands by their place here: append, and never insert. */
static const struct model_command commands[] = {
	{ VIRTIO_GPU_CMD_RESOURCE_CREATE_2D, make_create_2d, judge_create_2d, apply_create_2d },
	{ VIRTIO_GPU_CMD_RESOURCE_UNREF, make_resource, judge_unref, apply_unref },
	{ VIRTIO_GPU_CMD_RESOURCE_ATTACH_BACKING, make_attach_backing, judge_attach_backing,
	  apply_attach_backing },
	{ VIRTIO_GPU_CMD_RESOURCE_DETACH_BACKING, make_resource, judge_detach_backing,
	  apply_detach_backing },
	{ VIRTIO_GPU_CMD_TRANSFER_TO_HOST_2D, make_transfer_2d, judge_transfer_2d, NULL },
	{ VIRTIO_GPU_CMD_SET_SCANOUT, make_set_scanout, judge_set_scanout, apply_set_scanout },
	{ VIRTIO_GPU_CMD_RESOURCE_FLUSH, make_flush, judge_flush, NULL },
	{ VIRTIO_GPU_CMD_UPDATE_CURSOR, make_cursor, judge_update_cursor, NULL },
	{ VIRTIO_GPU_CMD_MOVE_CURSOR, make_cursor, judge_move_cursor, NULL },
	{ VIRTIO_GPU_CMD_GET_DISPLAY_INFO, make_header, judge_display_info, NULL },
	{ VIRTIO_GPU_CMD_GET_EDID, make_word, judge_edid, NULL },
	{ VIRTIO_GPU_CMD_RESOURCE_ASSIGN_UUID, make_resource, judge_assign_uuid, NULL },
	{ VIRTIO_GPU_CMD_GET_CAPSET_INFO, make_word, judge_get_capset_info, NULL },
	{ VIRTIO_GPU_CMD_GET_CAPSET, make_get_capset, judge_get_capset, NULL },
	{ VIRTIO_GPU_CMD_CTX_CREATE, make_ctx_create, judge_ctx_create, apply_ctx_create },
	{ VIRTIO_GPU_CMD_CTX_DESTROY, make_ctx, judge_ctx_destroy, apply_ctx_destroy },
	{ VIRTIO_GPU_CMD_CTX_ATTACH_RESOURCE, make_ctx_resource, judge_ctx_resource, NULL },
	{ VIRTIO_GPU_CMD_CTX_DETACH_RESOURCE, make_ctx_resource, judge_ctx_resource, NULL },
	{ VIRTIO_GPU_CMD_RESOURCE_CREATE_3D, make_create_3d, judge_create_3d, apply_create_3d },
	{ VIRTIO_GPU_CMD_TRANSFER_TO_HOST_3D, make_transfer_3d, judge_transfer_3d, NULL },
	{ VIRTIO_GPU_CMD_TRANSFER_FROM_HOST_3D, make_transfer_3d, judge_transfer_3d, NULL },
	{ VIRTIO_GPU_CMD_SUBMIT_3D, make_submit, judge_submit, NULL },
	{ VIRTIO_GPU_CMD_RESOURCE_CREATE_BLOB, make_create_blob, judge_create_blob,
	  apply_create_blob },
	{ VIRTIO_GPU_CMD_SET_SCANOUT_BLOB, make_set_scanout_blob, judge_set_scanout_blob,
	  apply_set_scanout_blob },
	{ VIRTIO_GPU_CMD_RESOURCE_MAP_BLOB, make_map_blob, judge_map_blob, apply_map_blob },
	{ VIRTIO_GPU_CMD_RESOURCE_UNMAP_BLOB, make_resource, judge_unmap_blob, apply_unmap_blob },
};

static const struct model_command *find_command(uint32_t type)
{
	for (size_t i = 0; i < G_N_ELEMENTS(commands); i++) {
		if (commands[i].type == type) {
			return &commands[i];
		}
	}
	return NULL;
}

static const struct command_type *find_type(uint32_t number)
{
	const struct command_type *type;

	for (size_t i = 0; (type = command_type_at(i)) != NULL; i++) {
		if (type->type == number) {
			return type;
		}
	}
	return NULL;
}

/* ---- making ---- */

/* A body of words as they come, with something behind it. */
static void make_any(struct fuzz_input *in, struct model_call *call)
{
	for (uint32_t at = sizeof(call->request.header); at + 4 <= call->size_bytes; at += 4) {
		uint32_t word = fuzz_input_number(in);

		memcpy(call->bytes + at, &word, sizeof(word));
	}
	fuzz_input_copy(in, call->bytes + call->size_bytes, 16);
	call->size_bytes += fuzz_input_below(in, 17);
}

/* The i-th type that the device has, going round; types come and go, inputs stay. */
static const struct command_type *pick_type(struct fuzz_input *in)
{
	size_t n = 0;

	while (command_type_at(n) != NULL) {
		n++;
	}
	return command_type_at(fuzz_input_u8(in) % n);
}

void model_make(const struct model *model, struct fuzz_input *in, struct model_call *call_out)
{
	unsigned int i = fuzz_input_operation(in);
	const struct model_command *command = i < G_N_ELEMENTS(commands) ? &commands[i] : NULL;
	const struct command_type *type =
		command != NULL ? find_type(command->type) : pick_type(in);

	g_assert_nonnull(type);
	memset(call_out, 0, sizeof(*call_out));
	call_out->queue = type->queue;
	call_out->size_bytes = type->size_bytes;
	call_out->request.header.type = type->type;
	if (command != NULL) {
		command->make(model, in, call_out);
	} else {
		make_any(in, call_out);
	}
}

/* ---- judging ---- */

static uint32_t response_bytes(const struct model *model, const struct model_call *call,
			       enum gpu_resp resp)
{
	const struct renderer_caps *caps = &model->renderer->caps;

	switch ((int)resp) {
	case VIRTIO_GPU_RESP_OK_DISPLAY_INFO:
		return sizeof(struct virtio_gpu_resp_display_info);
	case VIRTIO_GPU_RESP_OK_EDID:
		return sizeof(struct virtio_gpu_resp_edid);
	case VIRTIO_GPU_RESP_OK_CAPSET_INFO:
		return sizeof(struct virtio_gpu_resp_capset_info);
	case VIRTIO_GPU_RESP_OK_RESOURCE_UUID:
		return sizeof(struct virtio_gpu_resp_resource_uuid);
	case VIRTIO_GPU_RESP_OK_MAP_INFO:
		return sizeof(struct virtio_gpu_resp_map_info);
	case VIRTIO_GPU_RESP_OK_CAPSET:
		for (uint32_t i = 0; i < caps->n_capsets; i++) {
			if (caps->capsets[i].id == call->request.get_capset.capset_id) {
				return (uint32_t)sizeof(struct virtio_gpu_resp_capset) +
				       caps->capsets[i].max_size_bytes;
			}
		}
		g_assert_not_reached();
	default:
		return sizeof(struct virtio_gpu_ctrl_hdr);
	}
}

struct model_verdict model_judge(const struct model *model, const struct model_call *call)
{
	struct model_verdict verdict = { .resp = GPU_RESP_ERR_INVALID_PARAMETER };
	const struct command_type *type = NULL;

	if (call->size_bytes < sizeof(call->request.header)) {
		return verdict;
	}
	type = find_type(call->request.header.type);
	if (type == NULL || type->queue != call->queue) {
		verdict.resp = GPU_RESP_ERR_UNSPEC;
		return verdict;
	}
	if (call->size_bytes < type->size_bytes) {
		return verdict;
	}
	/* Without 3D what is left of it can be ended. */
	if (type->is_3d && model->renderer->impl->context == NULL &&
	    (type->type != VIRTIO_GPU_CMD_CTX_DESTROY ||
	     !model_has_context_or_lost(model, call->request.header.ctx_id))) {
		verdict.resp = GPU_RESP_ERR_UNSPEC;
		return verdict;
	}
	const struct model_command *command = find_command(type->type);
	if (command == NULL) {
		verdict.resp = MODEL_ANY;
		return verdict;
	}
	verdict.resp = command->judge(model, call, &verdict.takes_bytes);
	verdict.response_bytes = response_bytes(model, call, verdict.resp);
	verdict.has_effect = command->apply != NULL;
	return verdict;
}

void model_apply(struct model *model, const struct model_call *call, enum gpu_resp resp)
{
	const struct model_command *command = find_command(call->request.header.type);

	if (command != NULL && command->apply != NULL && resp < GPU_RESP_ERR_UNSPEC) {
		command->apply(model, call);
	}
}

/* ---- for the table's functions ---- */

struct model_resource *model_find_resource_or_lost(const struct model *model, uint32_t id)
{
	return g_hash_table_lookup(model->resources, GUINT_TO_POINTER(id));
}

struct model_resource *model_find_resource(const struct model *model, uint32_t id)
{
	struct model_resource *resource = model_find_resource_or_lost(model, id);

	return resource != NULL && !resource->is_lost ? resource : NULL;
}

static bool has_id(const GArray *ids, uint32_t id)
{
	for (guint i = 0; i < ids->len; i++) {
		if (g_array_index(ids, uint32_t, i) == id) {
			return true;
		}
	}
	return false;
}

bool model_has_context(const struct model *model, uint32_t id)
{
	return has_id(model->contexts, id);
}

bool model_has_context_or_lost(const struct model *model, uint32_t id)
{
	return has_id(model->contexts, id) || has_id(model->lost_contexts, id);
}

bool model_has_feature(const struct model *model, unsigned int bit)
{
	return (model->features & 1ull << bit) != 0;
}

const uint8_t *model_extra(const struct model_call *call, size_t fixed_bytes,
			   uint32_t *size_bytes_out)
{
	*size_bytes_out = call->size_bytes - (uint32_t)fixed_bytes;
	return call->bytes + fixed_bytes;
}

/* ---- life ---- */

void model_init(struct model *model, const struct fuzz_guest *guest,
		const struct renderer *renderer, bool is_exact)
{
	*model = (struct model){
		.guest = guest,
		.renderer = renderer,
		.is_exact = is_exact,
		.ids = g_array_new(FALSE, FALSE, sizeof(uint32_t)),
		.resources = g_hash_table_new_full(NULL, NULL, NULL, resource_free),
		.contexts = g_array_new(FALSE, FALSE, sizeof(uint32_t)),
		.lost_contexts = g_array_new(FALSE, FALSE, sizeof(uint32_t)),
	};
}

void model_finish(struct model *model)
{
	g_array_free(model->ids, TRUE);
	g_array_free(model->contexts, TRUE);
	g_array_free(model->lost_contexts, TRUE);
	g_hash_table_destroy(model->resources);
}

void model_set_memory(struct model *model, unsigned int mask)
{
	GHashTableIter iter;
	void *value;

	model->mask = mask;
	g_hash_table_iter_init(&iter, model->resources);
	while (g_hash_table_iter_next(&iter, NULL, &value)) {
		struct model_resource *resource = value;

		if (resource->has_backing) {
			resource->mapping = model_map(model, resource->entries);
		}
	}
}

void model_reset(struct model *model)
{
	g_array_set_size(model->ids, 0);
	g_array_set_size(model->contexts, 0);
	g_array_set_size(model->lost_contexts, 0);
	g_hash_table_remove_all(model->resources);
	memset(model->scanouts, 0, sizeof(model->scanouts));
}

void model_lose_resource(struct model_resource *resource)
{
	resource->is_lost = true;
	resource->has_backing = false;
	resource->is_in_window = false;
	g_clear_pointer(&resource->entries, g_array_unref);
}

static bool outlives_device(const struct model_resource *resource)
{
	return resource->is_2d ||
	       (resource->is_blob && resource->blob.mem == VIRTIO_GPU_BLOB_MEM_GUEST);
}

uint64_t model_window_serial(const struct model *model, uint32_t id)
{
	const struct model_resource *resource = model_find_resource(model, id);

	return resource != NULL && resource->is_in_window ? resource->window_serial : 0;
}

void model_window_refuse(struct model *model, uint32_t id, uint64_t serial)
{
	if (model_window_serial(model, id) == serial) {
		model_find_resource(model, id)->is_in_window = false;
	}
}

void model_lose(struct model *model, const struct renderer *renderer)
{
	GHashTableIter iter;
	void *value;

	model->renderer = renderer;
	g_hash_table_iter_init(&iter, model->resources);
	while (g_hash_table_iter_next(&iter, NULL, &value)) {
		if (!outlives_device(value)) {
			model_lose_resource(value);
		}
	}
	if (model->contexts->len > 0) {
		g_array_append_vals(model->lost_contexts, model->contexts->data,
				    model->contexts->len);
	}
	g_array_set_size(model->contexts, 0);
	model_set_memory(model, model->mask);
}
