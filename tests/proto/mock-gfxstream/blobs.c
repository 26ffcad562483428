/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * Blobs: rings (blob_id 0), and memory that a context was told of. Of memory that there is not the
 * real one says that it has made a blob, and has none.
 */
#include "mock.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "share.h"

#define MAP_CACHED 1
#define LAVAPIPE_HEAD_WORDS 4

static int make_pipe(void)
{
	int fds[2];

	if (pipe(fds) < 0) {
		return -1;
	}
	close(fds[1]);
	return fds[0];
}

/* Size, where the data begin, an id; and once more where they begin, in front of them. */
static void write_head(int fd, uint64_t file_bytes, uint64_t offset)
{
	const uint64_t head[LAVAPIPE_HEAD_WORDS] = { file_bytes, offset, 1, 2 };
	uint8_t *file = mmap(NULL, offset, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	if (file == MAP_FAILED ||
	    fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) < 0) {
		abort();
	}
	memcpy(file, head, sizeof(head));
	memcpy(file + offset - sizeof(offset), &offset, sizeof(offset));
	munmap(file, offset);
}

static void make_file(struct mock_resource *blob, const struct mock_memory *memory)
{
	uint64_t file_bytes = blob->size_bytes;

	if (memory->kind == MOCK_GFX_MEMORY_OPAQUE) {
		blob->offset_bytes = memory->value;
		file_bytes += memory->value;
	} else if (memory->kind == MOCK_GFX_MEMORY_SHORT) {
		file_bytes -= memory->value;
	}
	blob->fd = memfd_create("mock-gfxstream", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (blob->fd < 0 || ftruncate(blob->fd, (off_t)file_bytes) < 0) {
		abort();
	}
	if (memory->kind == MOCK_GFX_MEMORY_OPAQUE) {
		write_head(blob->fd, file_bytes, memory->value);
	}
	blob->memory = mmap(NULL, blob->size_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, blob->fd,
			    (off_t)blob->offset_bytes);
	if (blob->memory == MAP_FAILED) {
		abort();
	}
}

void mock_blob_finish(struct mock_resource *blob)
{
	if (blob->memory) {
		share_destroy(blob->memory, blob->size_bytes);
	}
	if (blob->fd >= 0) {
		close(blob->fd);
	}
}

static uint32_t handle_type_of(const struct mock_memory *memory)
{
	switch (memory->kind) {
	case MOCK_GFX_MEMORY_TYPE:
		return memory->value;
	case MOCK_GFX_MEMORY_OPAQUE:
		return GFXSTREAM_HANDLE_OPAQUE_FD;
	case MOCK_GFX_MEMORY_DMABUF:
		return GFXSTREAM_HANDLE_DMABUF;
	default:
		return GFXSTREAM_HANDLE_SHM;
	}
}

static struct mock_resource *make_blob(uint32_t id, uint64_t size_bytes,
				       const struct mock_memory *memory)
{
	struct mock_resource *blob = g_new0(struct mock_resource, 1);

	blob->id = id;
	blob->kind = MOCK_BLOB;
	blob->size_bytes = size_bytes;
	blob->handle_type = handle_type_of(memory);
	blob->map_info = memory->kind == MOCK_GFX_MEMORY_MAP_INFO ? memory->value : MAP_CACHED;
	blob->fd = -1;
	if (memory->kind == MOCK_GFX_MEMORY_PIPE) {
		blob->fd = make_pipe();
	} else if (memory->kind == MOCK_GFX_MEMORY_DMABUF) {
		blob->memory = share_create(NULL, size_bytes, &blob->fd);
	} else {
		make_file(blob, memory);
	}
	if (memory->kind == MOCK_GFX_MEMORY_UNEXPORTABLE) {
		close(blob->fd);
		blob->fd = -1;
	}
	return blob;
}

int stream_renderer_create_blob(uint32_t ctx_id, uint32_t id,
				const struct gfxstream_blob_args *args, const struct iovec *iov,
				uint32_t n_iov, const struct gfxstream_handle *handle)
{
	static const struct mock_memory ring = { MOCK_GFX_MEMORY_SHM, 0, false };

	mock_enter("create_blob");
	struct mock_context *context = mock_find_context(ctx_id);
	contract(context != NULL, "a blob of context %u, which there is not", ctx_id);
	contract(mock_find_resource(id) == NULL, "resource %u already exists", id);
	contract(args->blob_mem == 2, "a blob of memory %u", args->blob_mem);
	contract(args->size > 0, "a blob of no size");
	contract(iov == NULL && n_iov == 0 && handle == NULL, "a blob out of something");
	uint64_t blob_id = args->blob_id;
	const struct mock_memory *memory =
		blob_id == 0 ? &ring : g_hash_table_lookup(context->memory, &blob_id);
	if (memory && memory->is_picture && mock_take_failure(MOCK_GFX_FAIL_PICTURE)) {
		mock_burn_id(id);
		g_hash_table_remove(context->memory, &blob_id);
	} else if (memory) {
		mock_add_resource(make_blob(id, args->size, memory));
		g_hash_table_remove(context->memory, &blob_id);
	}
	mock_leave();
	return 0;
}

static struct mock_resource *find_blob(uint32_t id)
{
	struct mock_resource *blob = mock_find_resource(id);

	return blob && blob->kind == MOCK_BLOB ? blob : NULL;
}

/* Once: after that it says yes, and gives nothing. */
int stream_renderer_export_blob(uint32_t id, struct gfxstream_handle *handle)
{
	mock_enter("export_blob");
	struct mock_resource *blob = find_blob(id);
	int error = blob ? 0 : -EINVAL;
	if (blob) {
		handle->os_handle = blob->fd;
		handle->handle_type = blob->handle_type;
		blob->fd = -1;
	}
	mock_leave();
	return error;
}

int stream_renderer_resource_map_info(uint32_t id, uint32_t *map_info)
{
	mock_enter("resource_map_info");
	struct mock_resource *blob = find_blob(id);
	if (blob) {
		*map_info = blob->map_info;
	}
	mock_leave();
	return blob ? 0 : -EINVAL;
}

uint32_t *mock_blob_word(uint32_t id, uint32_t word)
{
	struct mock_resource *blob = find_blob(id);
	uint64_t offset = (uint64_t)word * sizeof(uint32_t);

	return blob && blob->memory && offset + sizeof(uint32_t) <= blob->size_bytes
		       ? (uint32_t *)(void *)(blob->memory + offset)
		       : NULL;
}
