/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* * Pictures, buffers and pipes, in plain memory. Each copy goes through room of the size of what
 * was attached; a read fills all of it first, and a write takes all of it, whatever part is copied.
 * As the real one does: where that room is too small it would read or write beyond it.
 */
#include "mock.h"

#include <errno.h>
#include <string.h>

#define MAX_BYTES (UINT64_C(1) << 30)

static GHashTable *resources; /* id -> struct mock_resource, owned */
static GHashTable *burnt;     /* set of ids; or NULL */
static const uint32_t texel_bytes[][2] = {
	{ 1, 4 },  { 2, 4 },  { 67, 4 }, { 134, 4 }, { 7, 2 },	{ 16, 2 },
	{ 48, 2 }, { 64, 1 }, { 65, 2 }, { 66, 3 },  { 94, 8 }, { 126, 8 },
};

static void resource_free(void *data)
{
	struct mock_resource *resource = data;

	if (resource->kind == MOCK_BLOB) {
		mock_blob_finish(resource);
	}
	mock_pipe_unref(resource->pipe);
	g_free(resource->texels);
	g_free(resource->room);
	g_free(resource);
}

struct mock_resource *mock_find_resource(uint32_t id)
{
	return resources ? g_hash_table_lookup(resources, GUINT_TO_POINTER(id)) : NULL;
}

void mock_add_resource(struct mock_resource *consume_resource)
{
	if (!resources) {
		resources = g_hash_table_new_full(NULL, NULL, NULL, resource_free);
	}
	g_hash_table_insert(resources, GUINT_TO_POINTER(consume_resource->id), consume_resource);
}

void mock_burn_id(uint32_t id)
{
	if (!burnt) {
		burnt = g_hash_table_new(NULL, NULL);
	}
	g_hash_table_add(burnt, GUINT_TO_POINTER(id));
}

static uint64_t count_bytes(const struct mock_resource *resource)
{
	return (uint64_t)resource->width * resource->height * resource->texel_bytes;
}

bool mock_store(uint32_t id, uint32_t word, uint32_t value)
{
	struct mock_resource *resource = mock_find_resource(id);
	uint64_t offset = (uint64_t)word * sizeof(value);

	if (!resource || !resource->texels || offset + sizeof(value) > count_bytes(resource)) {
		return false;
	}
	memcpy(resource->texels + offset, &value, sizeof(value));
	return true;
}

static enum mock_kind kind_of(const struct gfxstream_resource_args *args)
{
	const uint32_t picture_binds = 1u << 1 | 1u << 3 | 1u << 16 | 1u << 18;

	if (args->target == 0 && args->bind == 1u << 17) {
		return MOCK_PIPE;
	}
	return args->format == 64 && (args->bind & 1u << 22) && !(args->bind & picture_binds)
		       ? MOCK_BUFFER
		       : MOCK_PICTURE;
}

static uint32_t texel_bytes_of(const struct gfxstream_resource_args *args)
{
	for (size_t i = 0; i < G_N_ELEMENTS(texel_bytes); i++) {
		if (texel_bytes[i][0] == args->format) {
			return texel_bytes[i][1];
		}
	}
	return 0;
}

int stream_renderer_resource_create(struct gfxstream_resource_args *args, struct iovec *iov,
				    uint32_t n_iov)
{
	mock_enter("resource_create");
	contract(iov == NULL && n_iov == 0, "a list that comes with a resource");
	contract(args->handle != 0, "resource 0");
	contract(mock_find_resource(args->handle) == NULL, "resource %u already exists",
		 args->handle);
	contract(!burnt || !g_hash_table_contains(burnt, GUINT_TO_POINTER(args->handle)),
		 "picture %u already exists", args->handle);
	contract(args->width > 0 && args->height > 0, "a resource of no size");
	if (mock_take_failure(MOCK_GFX_FAIL_CREATE)) {
		mock_leave();
		return EINVAL;
	}
	struct mock_resource *resource = g_new0(struct mock_resource, 1);
	resource->id = args->handle;
	resource->kind = kind_of(args);
	resource->width = args->width;
	resource->height = args->height;
	resource->texel_bytes = texel_bytes_of(args);
	resource->fd = -1;
	contract(count_bytes(resource) <= MAX_BYTES, "a resource of %" G_GUINT64_FORMAT " bytes",
		 count_bytes(resource));
	if (resource->kind != MOCK_PIPE) {
		resource->texels = g_malloc0(count_bytes(resource));
	}
	mock_add_resource(resource);
	mock_leave();
	return 0;
}

void stream_renderer_resource_unref(uint32_t id)
{
	mock_enter("resource_unref");
	struct mock_resource *resource = mock_find_resource(id);
	contract(resource != NULL, "there is no resource %u to unref", id);
	contract(resource->n_contexts == 0, "resource %u is attached to a context", id);
	g_hash_table_remove(resources, GUINT_TO_POINTER(id));
	mock_leave();
}

int stream_renderer_resource_attach_iov(int id, struct iovec *iov, int n_iov)
{
	mock_enter("resource_attach_iov");
	struct mock_resource *resource = mock_find_resource((uint32_t)id);
	contract(resource != NULL, "there is no resource %d to attach to", id);
	contract(resource->room == NULL, "resource %d has a list", id);
	if (mock_take_failure(MOCK_GFX_FAIL_ATTACH)) {
		mock_leave();
		return -EINVAL;
	}
	for (int i = 0; i < n_iov; i++) {
		resource->room_bytes += iov[i].iov_len;
	}
	contract(resource->room_bytes >= count_bytes(resource),
		 "room of %" G_GUINT64_FORMAT " bytes for resource %d of %" G_GUINT64_FORMAT,
		 resource->room_bytes, id, count_bytes(resource));
	resource->room = g_malloc0(resource->room_bytes);
	mock_leave();
	return 0;
}

/* Bytes first to end, in or out of the list, which has to reach that far. */
static void move(uint8_t *room, const struct iovec *iov, size_t n_iov, uint64_t first, uint64_t end,
		 bool to_room)
{
	uint64_t at = 0;

	for (size_t i = 0; i < n_iov && at < end; i++) {
		uint64_t from = MAX(at, first), to = MIN(at + iov[i].iov_len, end);

		if (from < to) {
			uint8_t *theirs = (uint8_t *)iov[i].iov_base + (from - at);

			memcpy(to_room ? room + from : theirs, to_room ? theirs : room + from,
			       to - from);
		}
		at += iov[i].iov_len;
	}
	contract(at >= end,
		 "a list of %" G_GUINT64_FORMAT " bytes to copy up to %" G_GUINT64_FORMAT, at, end);
}

static struct mock_resource *check_transfer(uint32_t id, uint32_t level,
					    const struct gfxstream_box *box,
					    const struct iovec *iov, uint64_t *first_out,
					    uint64_t *end_out)
{
	struct mock_resource *resource = mock_find_resource(id);

	contract(resource != NULL, "a copy of resource %u, which there is not", id);
	contract(resource->kind != MOCK_BLOB, "a copy of blob %u", id);
	contract(level == 0 && box->z == 0 && box->d == 1, "a copy of a level or a layer");
	contract(box->w > 0 && box->h > 0, "a copy of nothing");
	contract((uint64_t)box->x + box->w <= resource->width &&
			 (uint64_t)box->y + box->h <= resource->height,
		 "a copy from outside of resource %u", id);
	contract(iov != NULL, "a copy from what is attached");
	contract(resource->texel_bytes > 0, "a copy of a format that is not copied");
	contract(resource->room_bytes >= count_bytes(resource), "a copy without room");
	*first_out = ((uint64_t)box->y * resource->width + box->x) * resource->texel_bytes;
	*end_out = ((uint64_t)(box->y + box->h - 1) * resource->width + box->x + box->w) *
		   resource->texel_bytes;
	return resource;
}

int stream_renderer_transfer_read_iov(uint32_t id, uint32_t ctx_id, uint32_t level, uint32_t stride,
				      uint32_t layer_stride, struct gfxstream_box *box,
				      uint64_t offset, struct iovec *iov, int n_iov)
{
	uint64_t first, end;

	(void)ctx_id, (void)stride, (void)layer_stride, (void)offset;
	mock_enter("transfer_read_iov");
	mock_wait_to_read();
	struct mock_resource *resource = check_transfer(id, level, box, iov, &first, &end);
	if (mock_take_failure(MOCK_GFX_FAIL_TRANSFER)) {
		mock_leave();
		return -EINVAL;
	}
	if (resource->kind == MOCK_PIPE && !resource->pipe) {
		mock_leave();
		return -EINVAL;
	}
	if (resource->kind == MOCK_PIPE) {
		mock_pipe_read(resource->pipe, resource->room + first, end - first);
	} else {
		memcpy(resource->room, resource->texels, count_bytes(resource));
	}
	move(resource->room, iov, (size_t)n_iov, first, end, false);
	mock_leave();
	return 0;
}

int stream_renderer_transfer_write_iov(uint32_t id, uint32_t ctx_id, int level, uint32_t stride,
				       uint32_t layer_stride, struct gfxstream_box *box,
				       uint64_t offset, struct iovec *iov, unsigned int n_iov)
{
	uint64_t first, end;

	(void)ctx_id, (void)stride, (void)layer_stride, (void)offset;
	mock_enter("transfer_write_iov");
	struct mock_resource *resource =
		check_transfer(id, (uint32_t)level, box, iov, &first, &end);
	if (mock_take_failure(MOCK_GFX_FAIL_TRANSFER)) {
		mock_leave();
		return -EINVAL;
	}
	if (resource->kind == MOCK_PIPE && !resource->pipe) {
		mock_leave();
		return -EINVAL;
	}
	move(resource->room, iov, n_iov, first, end, true);
	if (resource->kind == MOCK_PIPE) {
		mock_pipe_write(resource->pipe, resource->room + first, end - first);
	} else {
		/* Whatever the part. */
		memcpy(resource->texels, resource->room, count_bytes(resource));
	}
	mock_leave();
	return 0;
}
