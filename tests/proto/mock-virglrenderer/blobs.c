/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * Blobs: memory of the guest's, or files. What is wrong with the files, the
 * stream says before they are made.
 */
#define VIRGL_RENDERER_UNSTABLE_APIS
#include <virglrenderer.h>

#include <errno.h>
#include <glib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <unistd.h>

#include "mock.h"
#include "share.h"

/* More the test means not to be had. */
#define MAX_BYTES (UINT64_C(1) << 32)

static uint32_t kind, value;

static bool has_host_memory(uint32_t mem)
{
	return mem != VIRGL_RENDERER_BLOB_MEM_GUEST;
}

/* A pipe stands in for what is no file; its memory is nobody's then. */
static int make_pipe(void)
{
	int fds[2];

	if (pipe(fds) < 0) {
		return -1;
	}
	close(fds[1]);
	return fds[0];
}

static bool make_memory(struct mock_resource *blob)
{
	uint64_t short_bytes = kind == MOCK_BLOBS_SHORT ? value : 0;

	if (kind == MOCK_BLOBS_PIPE) {
		blob->fd = make_pipe();
		return blob->fd >= 0;
	}
	if (kind == MOCK_BLOBS_DMABUF) {
		blob->pixels = share_create(NULL, blob->size_bytes, &blob->fd);
		return blob->pixels != NULL;
	}
	blob->fd = memfd_create("mock-blob", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (blob->fd < 0 || ftruncate(blob->fd, (off_t)(blob->size_bytes - short_bytes)) < 0) {
		return false;
	}
	blob->pixels =
		mmap(NULL, blob->size_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, blob->fd, 0);
	if (blob->pixels == MAP_FAILED) {
		blob->pixels = NULL;
	}
	return blob->pixels != NULL;
}

void mock_blob_finish(struct mock_resource *blob)
{
	if (blob->pixels != NULL) {
		munmap(blob->pixels, blob->size_bytes);
	}
	if (blob->fd >= 0) {
		close(blob->fd);
	}
}

/* What is wrong with it now is wrong with it for ever. */
static void apply_kind(struct mock_resource *blob)
{
	blob->map_info = VIRGL_RENDERER_MAP_CACHE_CACHED;
	blob->fd_type = VIRGL_RENDERER_BLOB_FD_TYPE_SHM;
	switch (kind) {
	case MOCK_BLOBS_UNMAPPABLE:
		blob->map_info = 0;
		break;
	case MOCK_BLOBS_UNEXPORTABLE:
		blob->fd_type = -1;
		break;
	case MOCK_BLOBS_MAP_INFO:
		blob->map_info = value;
		break;
	case MOCK_BLOBS_FD_TYPE:
		blob->fd_type = (int)value;
		break;
	case MOCK_BLOBS_DMABUF:
		blob->fd_type = VIRGL_RENDERER_BLOB_FD_TYPE_DMABUF;
		break;
	case MOCK_BLOBS_PICTURE:
		blob->width = value & 0xffff;
		blob->height = value >> 16;
		blob->n_layers = 1;
		blob->pixel_bytes = 4;
		break;
	default:
		break;
	}
}

int virgl_renderer_resource_create_blob(const struct virgl_renderer_resource_create_blob_args *args)
{
	bool is_host = has_host_memory(args->blob_mem);

	if (mock_find_resource(args->res_handle) != NULL ||
	    (is_host && mock_find_context(args->ctx_id) == 0)) {
		return -EINVAL;
	}
	if (is_host && kind == MOCK_BLOBS_FAIL) {
		return -(int)value;
	}
	if (args->size > MAX_BYTES) {
		return -ENOMEM;
	}
	struct mock_resource *blob = g_new0(struct mock_resource, 1);
	blob->fd = -1;
	blob->size_bytes = args->size;
	blob->iov = (struct iovec *)(uintptr_t)args->iovecs;
	blob->n_iov = (int)args->num_iovs;
	if (is_host) {
		apply_kind(blob);
		if (!make_memory(blob)) {
			mock_blob_finish(blob);
			g_free(blob);
			return -ENOMEM;
		}
	}
	mock_add_resource(args->res_handle, blob);
	return 0;
}

int virgl_renderer_resource_get_map_info(uint32_t res_handle, uint32_t *map_info)
{
	const struct mock_resource *blob = mock_find_resource(res_handle);

	if (blob == NULL || blob->map_info == 0) {
		return -EINVAL;
	}
	*map_info = blob->map_info;
	return 0;
}

int virgl_renderer_resource_export_blob(uint32_t res_id, uint32_t *fd_type, int *fd)
{
	const struct mock_resource *blob = mock_find_resource(res_id);

	if (blob == NULL || blob->fd < 0 || blob->fd_type < 0) {
		return -EINVAL;
	}
	*fd_type = (uint32_t)blob->fd_type;
	*fd = dup(blob->fd);
	return *fd < 0 ? -errno : 0;
}

static int op_blobs(const struct mock_command *command)
{
	kind = mock_arg(command, 0);
	value = mock_arg(command, 1);
	return 0;
}

/* A word of a blob's memory; NULL: it has none. */
static uint32_t *find_word(const struct mock_command *command)
{
	const struct mock_resource *blob = mock_find_resource(mock_arg(command, 0));
	uint64_t offset = (uint64_t)mock_arg(command, 1) * sizeof(uint32_t);

	if (blob == NULL || blob->fd < 0 || blob->pixels == NULL ||
	    offset + sizeof(uint32_t) > blob->size_bytes) {
		return NULL;
	}
	return (uint32_t *)(void *)(blob->pixels + offset);
}

static int op_read(const struct mock_command *command)
{
	const uint32_t *word = find_word(command);

	if (word == NULL) {
		return EINVAL;
	}
	mock_put_result(command, 0, *word);
	return 0;
}

static int op_write(const struct mock_command *command)
{
	uint32_t *word = find_word(command);

	if (word == NULL) {
		return EINVAL;
	}
	*word = mock_arg(command, 2);
	return 0;
}

const struct mock_op mock_blob_ops[] = {
	{ MOCK_BLOBS, op_blobs },
	{ MOCK_BLOB_READ, op_read },
	{ MOCK_BLOB_WRITE, op_write },
	{ 0, NULL },
};
