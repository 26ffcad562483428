/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * A libvirglrenderer.so.1 for tests: the entry points that the daemon loads,
 * over pictures in plain memory. Formats count as four bytes a pixel, buffers
 * as one; there is one level. A stream is no GL but what ops.c makes of it.
 */
#define VIRGL_RENDERER_UNSTABLE_APIS
#include <virglrenderer.h>

#include <errno.h>
#include <glib.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

#include "mock.h"
#include "share.h"

#define CAPSET_BYTES 64
#define FORMAT_B8G8R8A8 1
#define Y_0_TOP 1u /* VIRTIO_GPU_RESOURCE_FLAG_Y_0_TOP */

struct virgl_box { /* the library's own, which its public header only declares */
	uint32_t x, y, z;
	uint32_t w, h, d;
};

static struct {
	GHashTable *resources;
	GHashTable *contexts; /* id -> capset */
	int flags;
	struct virgl_renderer_callbacks *callbacks;
	void *cookie;
} mock;

struct mock_resource *mock_find_resource(uint32_t id)
{
	return g_hash_table_lookup(mock.resources, GUINT_TO_POINTER(id));
}

void mock_add_resource(uint32_t id, struct mock_resource *consume_resource)
{
	g_hash_table_insert(mock.resources, GUINT_TO_POINTER(id), consume_resource);
}

uint32_t mock_find_context(uint32_t ctx_id)
{
	return GPOINTER_TO_UINT(g_hash_table_lookup(mock.contexts, GUINT_TO_POINTER(ctx_id)));
}

static size_t count_bytes(const struct mock_resource *resource)
{
	return (size_t)resource->width * resource->height * resource->n_layers *
	       resource->pixel_bytes;
}

static void free_resource(void *data)
{
	struct mock_resource *resource = data;

	if (resource->fd >= 0) {
		mock_blob_finish(resource);
	} else if (resource->is_shared) {
		share_destroy(resource->pixels, count_bytes(resource));
	} else {
		g_free(resource->pixels);
	}
	g_free(resource);
}

static void signal_fence(uint32_t id)
{
	mock.callbacks->write_fence(mock.cookie, id);
}

static void signal_context_fence(uint32_t ctx_id, uint32_t ring, uint64_t id)
{
	mock.callbacks->write_context_fence(mock.cookie, ctx_id, ring, id);
}

static bool has(int flag)
{
	return (mock.flags & flag) != 0;
}

/* As the real one it takes a connection, and would start a server if it were given none. */
static int start_server(void)
{
	int fd = mock.callbacks->version >= 3 && mock.callbacks->get_server_fd != NULL
			 ? mock.callbacks->get_server_fd(mock.cookie, 0)
			 : -1;

	if (fd < 0) {
		return EINVAL;
	}
	mock_server_start(fd);
	return mock_server_is_there() ? 0 : EPIPE;
}

int virgl_renderer_init(void *cookie, int flags, struct virgl_renderer_callbacks *callbacks)
{
	mock.flags = flags;
	mock.callbacks = callbacks;
	mock.cookie = cookie;
	if (has(VIRGL_RENDERER_RENDER_SERVER) && start_server() != 0) {
		mock_server_stop();
		return EINVAL;
	}
	mock.resources = g_hash_table_new_full(NULL, NULL, NULL, free_resource);
	mock.contexts = g_hash_table_new(NULL, NULL);
	mock_fences_start(signal_fence);
	mock_rings_start(signal_context_fence);
	return 0;
}

void virgl_renderer_cleanup(void *cookie)
{
	(void)cookie;
	mock_fences_stop();
	mock_rings_stop();
	mock_server_stop();
	g_hash_table_destroy(mock.contexts);
	g_hash_table_destroy(mock.resources);
}

void virgl_renderer_poll(void)
{
	mock_fences_poll();
}

int virgl_renderer_get_poll_fd(void)
{
	return mock_fences_fd();
}

int virgl_renderer_create_fence(int client_fence_id, uint32_t ctx_id)
{
	(void)ctx_id;
	if (has(VIRGL_RENDERER_NO_VIRGL)) {
		return EINVAL;
	}
	mock_fences_add((uint32_t)client_fence_id);
	return 0;
}

void virgl_renderer_force_ctx_0(void)
{
}

void virgl_renderer_get_cap_set(uint32_t set, uint32_t *max_ver, uint32_t *max_size)
{
	bool is_known = set == 1 || set == 2 || set == 4 || set == 6;

	*max_ver = set == 1 || set == 2 ? set : 0;
	*max_size = is_known ? CAPSET_BYTES : 0;
}

void virgl_renderer_fill_caps(uint32_t set, uint32_t version, void *caps)
{
	(void)version;
	memset(caps, (int)set, CAPSET_BYTES);
}

int virgl_renderer_context_create_with_flags(uint32_t ctx_id, uint32_t context_flags, uint32_t nlen,
					     const char *name)
{
	int needed = context_flags == 4	  ? VIRGL_RENDERER_VENUS
		     : context_flags == 6 ? VIRGL_RENDERER_DRM
					  : 0;

	(void)nlen;
	(void)name;
	if (needed != 0 ? !has(needed) : has(VIRGL_RENDERER_NO_VIRGL)) {
		return EINVAL;
	}
	g_hash_table_insert(mock.contexts, GUINT_TO_POINTER(ctx_id),
			    GUINT_TO_POINTER(context_flags));
	return 0;
}

int virgl_renderer_context_create(uint32_t handle, uint32_t nlen, const char *name)
{
	return virgl_renderer_context_create_with_flags(handle, 2, nlen, name);
}

void virgl_renderer_context_destroy(uint32_t handle)
{
	mock_rings_forget(handle);
	g_hash_table_remove(mock.contexts, GUINT_TO_POINTER(handle));
}

void virgl_renderer_ctx_attach_resource(int ctx_id, int res_handle)
{
	(void)ctx_id;
	(void)res_handle;
}

void virgl_renderer_ctx_detach_resource(int ctx_id, int res_handle)
{
	(void)ctx_id;
	(void)res_handle;
}

int virgl_renderer_submit_cmd(void *buffer, int ctx_id, int ndw)
{
	if (!g_hash_table_contains(mock.contexts, GINT_TO_POINTER(ctx_id))) {
		return EINVAL;
	}
	return mock_run((uint32_t)ctx_id, buffer, (size_t)ndw);
}

int virgl_renderer_resource_create(struct virgl_renderer_resource_create_args *args,
				   struct iovec *iov, uint32_t num_iovs)
{
	if (has(VIRGL_RENDERER_NO_VIRGL)) {
		return EINVAL;
	}
	struct mock_resource *resource = g_new0(struct mock_resource, 1);

	resource->fd = -1;
	resource->width = args->width;
	resource->height = args->target == 0 ? 1 : args->height;
	resource->n_layers = MAX(args->depth, 1) * MAX(args->array_size, 1);
	resource->pixel_bytes = args->target == 0 ? 1 : 4;
	resource->is_y_0_top = args->flags & Y_0_TOP;
	resource->iov = iov;
	resource->n_iov = (int)num_iovs;
	resource->pixels = g_try_malloc0(count_bytes(resource));
	if (resource->pixels == NULL) {
		g_free(resource);
		return ENOMEM;
	}
	mock_add_resource(args->handle, resource);
	return 0;
}

void virgl_renderer_resource_unref(uint32_t res_handle)
{
	g_hash_table_remove(mock.resources, GUINT_TO_POINTER(res_handle));
}

int virgl_renderer_resource_attach_iov(int res_handle, struct iovec *iov, int num_iovs)
{
	struct mock_resource *resource = mock_find_resource((uint32_t)res_handle);

	if (resource == NULL || resource->iov != NULL) {
		return EINVAL;
	}
	resource->iov = iov;
	resource->n_iov = num_iovs;
	return 0;
}

void virgl_renderer_resource_detach_iov(int res_handle, struct iovec **iov, int *num_iovs)
{
	struct mock_resource *resource = mock_find_resource((uint32_t)res_handle);

	if (resource != NULL) {
		*iov = resource->iov;
		*num_iovs = resource->n_iov;
		resource->iov = NULL;
		resource->n_iov = 0;
	}
}

/* bytes at an offset of the list, in or out of it; false if it hasn't got them. */
static bool copy(const struct iovec *iov, int n_iov, uint64_t offset, uint8_t *bytes, size_t size,
		 bool is_in)
{
	for (int i = 0; i < n_iov && size > 0; i++) {
		if (offset >= iov[i].iov_len) {
			offset -= iov[i].iov_len;
			continue;
		}
		size_t n = MIN(size, iov[i].iov_len - offset);
		uint8_t *there = (uint8_t *)iov[i].iov_base + offset;

		memcpy(is_in ? there : bytes, is_in ? bytes : there, n);
		offset = 0;
		bytes += n;
		size -= n;
	}
	return size == 0;
}

static bool is_inside(const struct mock_resource *resource, const struct virgl_box *box)
{
	return (uint64_t)box->x + box->w <= resource->width &&
	       (uint64_t)box->y + box->h <= resource->height &&
	       (uint64_t)box->z + box->d <= resource->n_layers;
}

static int transfer(const struct mock_resource *resource, const struct virgl_box *box,
		    const struct iovec *iov, int n_iov, uint64_t offset, uint64_t stride,
		    uint64_t layer_stride, bool is_read)
{
	size_t row_bytes = (size_t)box->w * resource->pixel_bytes;

	if (!is_inside(resource, box)) {
		return EINVAL;
	}
	stride = stride != 0 ? stride : row_bytes;
	layer_stride = layer_stride != 0 ? layer_stride : stride * box->h;
	for (uint32_t z = 0; z < box->d; z++) {
		for (uint32_t y = 0; y < box->h; y++) {
			uint32_t in_layer = resource->is_y_0_top
						    ? resource->height - 1 - (box->y + y)
						    : box->y + y;
			size_t row = (size_t)(box->z + z) * resource->height + in_layer;
			uint8_t *pixels = resource->pixels +
					  (row * resource->width + box->x) * resource->pixel_bytes;

			if (!copy(iov, n_iov, offset + z * layer_stride + y * stride, pixels,
				  row_bytes, is_read)) {
				return EINVAL;
			}
		}
	}
	return 0;
}

int virgl_renderer_transfer_read_iov(uint32_t handle, uint32_t ctx_id, uint32_t level,
				     uint32_t stride, uint32_t layer_stride, struct virgl_box *box,
				     uint64_t offset, struct iovec *iov, int iovec_cnt)
{
	const struct mock_resource *resource = mock_find_resource(handle);

	(void)ctx_id;
	if (resource == NULL || level != 0) {
		return EINVAL;
	}
	mock_wait_to_read();
	return transfer(resource, box, iov != NULL ? iov : resource->iov,
			iov != NULL ? iovec_cnt : resource->n_iov, offset, stride, layer_stride,
			true);
}

int virgl_renderer_transfer_write_iov(uint32_t handle, uint32_t ctx_id, int level, uint32_t stride,
				      uint32_t layer_stride, struct virgl_box *box, uint64_t offset,
				      struct iovec *iovec, unsigned int iovec_cnt)
{
	const struct mock_resource *resource = mock_find_resource(handle);

	(void)ctx_id;
	if (resource == NULL || level != 0) {
		return EINVAL;
	}
	return transfer(resource, box, iovec != NULL ? iovec : resource->iov,
			iovec != NULL ? (int)iovec_cnt : resource->n_iov, offset, stride,
			layer_stride, false);
}

bool mock_store(uint32_t resource_id, uint32_t word, uint32_t value)
{
	const struct mock_resource *resource = mock_find_resource(resource_id);

	return resource != NULL && copy(resource->iov, resource->n_iov, (uint64_t)word * 4,
					(uint8_t *)&value, sizeof(value), true);
}

bool mock_fill(uint32_t resource_id, uint32_t colour)
{
	struct mock_resource *resource = mock_find_resource(resource_id);

	if (resource == NULL || resource->pixel_bytes != sizeof(colour)) {
		return false;
	}
	size_t n = (size_t)resource->width * resource->height * resource->n_layers;

	for (size_t i = 0; i < n; i++) {
		memcpy(resource->pixels + i * sizeof(colour), &colour, sizeof(colour));
	}
	return true;
}

static bool is_texture(const struct mock_resource *resource)
{
	return resource->pixel_bytes == sizeof(uint32_t) && resource->n_layers == 1 &&
	       resource->fd < 0;
}

/* As version 0.10 has it; a later one has more behind it. The name of a texture is its resource's. */
int virgl_renderer_resource_get_info(int res_handle, struct virgl_renderer_resource_info *info)
{
	const struct mock_resource *resource = mock_find_resource((uint32_t)res_handle);

	if (resource == NULL) {
		return EINVAL;
	}
	info->handle = (uint32_t)res_handle;
	info->width = resource->width;
	info->height = resource->height;
	info->depth = resource->n_layers;
	info->virgl_format = FORMAT_B8G8R8A8;
	if (is_texture(resource)) {
		info->tex_id = (uint32_t)res_handle;
		info->flags = resource->is_y_0_top ? Y_0_TOP : 0;
		info->stride = resource->width * sizeof(uint32_t);
		info->drm_fourcc = 'X' | 'R' << 8 | '2' << 16 | '4' << 24;
	}
	return 0;
}

int virgl_renderer_get_fd_for_texture2(uint32_t tex_id, int *fd, int *stride, int *offset)
{
	struct mock_resource *resource = mock_find_resource(tex_id);

	if (resource == NULL || !is_texture(resource)) {
		return EINVAL;
	}
	uint8_t *pixels = share_create(resource->pixels, count_bytes(resource), fd);
	if (pixels == NULL) {
		return ENODEV;
	}
	if (resource->is_shared) {
		share_destroy(resource->pixels, count_bytes(resource));
	} else {
		g_free(resource->pixels);
	}
	resource->pixels = pixels;
	resource->is_shared = true;
	*stride = (int)resource->width * 4;
	*offset = 0;
	return 0;
}
