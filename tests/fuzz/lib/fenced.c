/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "fenced.h"

#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

struct fenced {
	struct renderer base;
	struct renderer *soft; /* owned: has the 2D resources */
	GHashTable *ids_3d;    /* a set: the others */
	GHashTable *blobs;     /* id -> uint64_t *, its blob_id; owned; they are of 3D, too */
	int blob_fd;	       /* owned: what is in all of them */
	bool is_failing;
	GArray *fences; /* of struct renderer_fence, not yet signalled */
};

static struct fenced *from_base(struct renderer *r)
{
	g_assert(r->impl == &fenced_impl);
	return (struct fenced *)(void *)r;
}

/* ---- resources ---- */

/* Who has resource id; NULL: nobody, it is one of 3D. */
static struct renderer *find_soft(struct renderer *r, uint32_t id)
{
	struct fenced *fenced = from_base(r);

	return g_hash_table_contains(fenced->ids_3d, GUINT_TO_POINTER(id)) ? NULL : fenced->soft;
}

static enum gpu_resp fenced_resource_create(struct renderer *r, uint32_t id,
					    const struct resource_desc *desc)
{
	struct fenced *fenced = from_base(r);

	g_assert_nonnull(find_soft(r, id));
	if (!desc->is_2d) {
		g_hash_table_add(fenced->ids_3d, GUINT_TO_POINTER(id));
		return GPU_RESP_OK_NODATA;
	}
	return fenced->soft->impl->resource_create(fenced->soft, id, desc);
}

static void fenced_resource_destroy(struct renderer *r, uint32_t id)
{
	struct fenced *fenced = from_base(r);

	g_hash_table_remove(fenced->blobs, GUINT_TO_POINTER(id));
	if (!g_hash_table_remove(fenced->ids_3d, GUINT_TO_POINTER(id))) {
		fenced->soft->impl->resource_destroy(fenced->soft, id);
	}
}

static enum gpu_resp fenced_resource_attach(struct renderer *r, uint32_t id,
					    const struct backing *backing)
{
	struct renderer *soft = find_soft(r, id);

	return soft != NULL ? soft->impl->resource_attach(soft, id, backing) : GPU_RESP_OK_NODATA;
}

static void fenced_resource_detach(struct renderer *r, uint32_t id)
{
	struct renderer *soft = find_soft(r, id);

	if (soft != NULL) {
		soft->impl->resource_detach(soft, id);
	}
}

static enum gpu_resp fenced_transfer_2d(struct renderer *r, uint32_t id, const struct rect *rect,
					uint64_t offset_bytes)
{
	struct renderer *soft = find_soft(r, id);

	g_assert_nonnull(soft);
	return soft->impl->transfer_2d(soft, id, rect, offset_bytes);
}

static enum gpu_resp fenced_resource_read(struct renderer *r, uint32_t id,
					  const struct rect *damage, struct frame **frame_out)
{
	struct renderer *soft = find_soft(r, id);

	*frame_out = NULL;
	if (g_hash_table_contains(from_base(r)->blobs, GUINT_TO_POINTER(id))) {
		return GPU_RESP_ERR_INVALID_PARAMETER;
	}
	return soft != NULL ? soft->impl->resource_read(soft, id, damage, frame_out)
			    : GPU_RESP_OK_NODATA;
}

/* ---- blobs ---- */

static enum gpu_resp blob_create(struct renderer *r, uint32_t id, const struct blob_desc *desc,
				 const struct backing *backing)
{
	struct fenced *fenced = from_base(r);

	g_assert_nonnull(find_soft(r, id));
	g_assert_cmpuint(desc->size_bytes, >, 0);
	g_assert_true((backing == NULL) == (desc->mem == VIRTIO_GPU_BLOB_MEM_HOST3D));
	g_assert_true((desc->ctx_id == 0) == (desc->mem == VIRTIO_GPU_BLOB_MEM_GUEST));
	if (backing != NULL) {
		g_assert_cmpuint(backing->n_iov, >, 0);
		g_assert_cmpuint(backing->size_bytes, >=, desc->size_bytes);
	}
	g_hash_table_add(fenced->ids_3d, GUINT_TO_POINTER(id));
	g_hash_table_insert(fenced->blobs, GUINT_TO_POINTER(id),
			    g_memdup2(&desc->blob_id, sizeof(desc->blob_id)));
	return GPU_RESP_OK_NODATA;
}

static enum gpu_resp blob_export(struct renderer *r, uint32_t id,
				 struct renderer_export *export_out)
{
	struct fenced *fenced = from_base(r);
	const uint64_t *blob_id = g_hash_table_lookup(fenced->blobs, GUINT_TO_POINTER(id));

	g_assert_nonnull(blob_id);
	if (!fenced_exports(*blob_id)) {
		return GPU_RESP_ERR_UNSPEC;
	}
	*export_out = (struct renderer_export){
		.fd = fcntl(fenced->blob_fd, F_DUPFD_CLOEXEC, 0),
		.offset_bytes = *blob_id % 4 * 4096,
		.map_info = VIRTIO_GPU_MAP_CACHE_CACHED,
	};
	g_assert_cmpint(export_out->fd, >=, 0);
	return GPU_RESP_OK_NODATA;
}

static const struct renderer_blob_impl blob_impl = {
	.create = blob_create,
	.export = blob_export,
};

/* ---- contexts ---- */

static enum gpu_resp context_create(struct renderer *r G_GNUC_UNUSED, uint32_t ctx_id,
				    uint32_t capset_id G_GNUC_UNUSED, const char *name,
				    size_t name_bytes)
{
	g_assert_cmpuint(ctx_id, !=, 0);
	g_assert_cmpuint(strnlen(name, name_bytes), ==, name_bytes);
	return GPU_RESP_OK_NODATA;
}

static void context_destroy(struct renderer *r G_GNUC_UNUSED, uint32_t ctx_id G_GNUC_UNUSED)
{
}

static void context_resource(struct renderer *r G_GNUC_UNUSED, uint32_t ctx_id G_GNUC_UNUSED,
			     uint32_t resource_id G_GNUC_UNUSED)
{
}

/* Reads and writes all of it: the stream is the renderer's own. */
static enum gpu_resp submit(struct renderer *r G_GNUC_UNUSED, uint32_t ctx_id G_GNUC_UNUSED,
			    void *commands, size_t size_bytes)
{
	g_assert_cmpuint((uintptr_t)commands % 8, ==, 0);
	memset(commands, 0, size_bytes);
	return GPU_RESP_OK_NODATA;
}

static enum gpu_resp transfer(struct renderer *r G_GNUC_UNUSED, uint32_t resource_id G_GNUC_UNUSED,
			      const struct transfer_3d *transfer_3d G_GNUC_UNUSED)
{
	return GPU_RESP_OK_NODATA;
}

static enum gpu_resp get_capset(struct renderer *r G_GNUC_UNUSED,
				const struct renderer_capset *capset, uint32_t version,
				void *capset_out)
{
	g_assert_cmpuint(version, <=, capset->max_version);
	memset(capset_out, 0x5a, capset->max_size_bytes);
	return GPU_RESP_OK_CAPSET;
}

static const struct renderer_context_impl context_impl = {
	.create = context_create,
	.destroy = context_destroy,
	.attach_resource = context_resource,
	.detach_resource = context_resource,
	.submit = submit,
	.transfer = transfer,
	.get_capset = get_capset,
};

/* ---- fences ---- */

void fenced_set_failing(struct renderer *r, bool is_failing)
{
	from_base(r)->is_failing = is_failing;
}

unsigned int fenced_count(struct renderer *r)
{
	return from_base(r)->fences->len;
}

void fenced_signal(struct renderer *r, unsigned int i)
{
	GArray *fences = from_base(r)->fences;
	const struct renderer_fence fence = g_array_index(fences, struct renderer_fence, i);

	g_array_remove_index(fences, i);
	r->listener->fence_signaled(r->listener_data, &fence);
}

static enum gpu_resp fence_create(struct renderer *r, const struct renderer_fence *fence)
{
	struct fenced *fenced = from_base(r);

	if (fenced->is_failing) {
		return GPU_RESP_ERR_UNSPEC;
	}
	if (fenced->fences->len > 0) {
		g_assert_cmpuint(fence->seq, >,
				 g_array_index(fenced->fences, struct renderer_fence,
					       fenced->fences->len - 1)
					 .seq);
	}
	g_array_append_val(fenced->fences, *fence);
	return GPU_RESP_OK_NODATA;
}

/* They are signalled by fenced_signal() alone. */
static void dispatch(struct renderer *r G_GNUC_UNUSED)
{
}

/* ---- life ---- */

static int fenced_create(const struct renderer_options *options, struct quota *quota,
			 struct renderer **renderer_out)
{
	struct fenced *fenced = g_new0(struct fenced, 1);

	renderer_init(&fenced->base, &fenced_impl, quota);
	fenced->ids_3d = g_hash_table_new(NULL, NULL);
	fenced->blobs = g_hash_table_new_full(NULL, NULL, NULL, g_free);
	fenced->blob_fd = memfd_create("blob", MFD_CLOEXEC);
	g_assert_cmpint(ftruncate(fenced->blob_fd, FENCED_BLOB_BYTES), ==, 0);
	g_assert_cmpint(renderer_create(renderer_find("2d"), options, quota, &fenced->soft), ==, 0);
	fenced->fences = g_array_new(FALSE, FALSE, sizeof(struct renderer_fence));
	fenced->base.caps = (struct renderer_caps){
		.features = 1u << VIRTIO_GPU_F_VIRGL | 1u << VIRTIO_GPU_F_CONTEXT_INIT,
		.n_capsets = 2,
		.capsets = { { RENDERER_CAPSET_VIRGL, 1, 100 },
			     { RENDERER_CAPSET_VIRGL2, 2, 1000 } },
	};
	*renderer_out = &fenced->base;
	return 0;
}

static void fenced_destroy(struct renderer *r)
{
	struct fenced *fenced = from_base(r);

	renderer_destroy(fenced->soft);
	g_hash_table_destroy(fenced->ids_3d);
	g_hash_table_destroy(fenced->blobs);
	close(fenced->blob_fd);
	g_array_free(fenced->fences, TRUE);
	g_free(fenced);
}

const struct renderer_impl fenced_impl = {
	.name = "fenced",
	.create = fenced_create,
	.destroy = fenced_destroy,
	.resource_create = fenced_resource_create,
	.resource_destroy = fenced_resource_destroy,
	.resource_attach = fenced_resource_attach,
	.resource_detach = fenced_resource_detach,
	.transfer_2d = fenced_transfer_2d,
	.resource_read = fenced_resource_read,
	.context = &context_impl,
	.blob = &blob_impl,
	.fence_create = fence_create,
	.dispatch = dispatch,
};
