/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "puppet.h"

#include <string.h>
#include <unistd.h>

struct puppet *puppet_from_base(struct renderer *r)
{
	return (struct puppet *)(void *)r;
}

static int puppet_create(const struct renderer_options *options G_GNUC_UNUSED, struct quota *quota,
			 struct renderer **renderer_out)
{
	struct puppet *p = g_new0(struct puppet, 1);

	renderer_init(&p->base, &puppet_impl, quota);
	p->log = g_string_new(NULL);
	p->export_fd = -1;
	p->picture_fd = -1;
	p->answer = p->fence_answer = GPU_RESP_OK_NODATA;
	p->picture_answer = GPU_RESP_ERR_UNSPEC;
	p->base.caps = (struct renderer_caps){
		.features = 1u << VIRTIO_GPU_F_VIRGL,
		.n_capsets = 2,
		.capsets = { { RENDERER_CAPSET_VIRGL, 1, 100 },
			     { RENDERER_CAPSET_VIRGL2, 2, 1000 } },
	};
	*renderer_out = &p->base;
	return 0;
}

static void puppet_destroy(struct renderer *r)
{
	frame_unref(puppet_from_base(r)->picture);
	g_string_free(puppet_from_base(r)->log, TRUE);
	g_free(r);
}

static enum gpu_resp puppet_resource_create(struct renderer *r, uint32_t id,
					    const struct resource_desc *desc G_GNUC_UNUSED)
{
	g_string_append_printf(puppet_from_base(r)->log, "create %u\n", id);
	return puppet_from_base(r)->answer;
}

static void puppet_resource_destroy(struct renderer *r, uint32_t id)
{
	g_string_append_printf(puppet_from_base(r)->log, "destroy %u\n", id);
}

static enum gpu_resp puppet_resource_attach(struct renderer *r, uint32_t id,
					    const struct backing *backing)
{
	g_string_append_printf(puppet_from_base(r)->log, "attach %u: %zu\n", id, backing->n_iov);
	puppet_from_base(r)->backing = backing;
	return puppet_from_base(r)->answer;
}

static void puppet_resource_detach(struct renderer *r, uint32_t id)
{
	g_string_append_printf(puppet_from_base(r)->log, "detach %u\n", id);
	puppet_from_base(r)->backing = NULL;
}

static enum gpu_resp puppet_transfer_2d(struct renderer *r, uint32_t id,
					const struct rect *rect G_GNUC_UNUSED,
					uint64_t offset_bytes G_GNUC_UNUSED)
{
	g_string_append_printf(puppet_from_base(r)->log, "transfer %u\n", id);
	return puppet_from_base(r)->answer;
}

static enum gpu_resp puppet_resource_read(struct renderer *r, uint32_t id G_GNUC_UNUSED,
					  const struct rect *damage G_GNUC_UNUSED,
					  struct frame **frame_out)
{
	struct puppet *p = puppet_from_base(r);

	*frame_out = NULL;
	if (++p->n_reads == p->bad_read) {
		return GPU_RESP_ERR_OUT_OF_MEMORY;
	}
	if (p->answer == GPU_RESP_OK_NODATA && p->picture != NULL) {
		*frame_out = frame_ref(p->picture);
	}
	return p->answer;
}

static enum gpu_resp puppet_context_create(struct renderer *r, uint32_t ctx_id, uint32_t capset_id,
					   const char *name, size_t name_bytes)
{
	g_string_append_printf(puppet_from_base(r)->log, "ctx %u: %u '%.*s'\n", ctx_id, capset_id,
			       (int)name_bytes, name);
	return puppet_from_base(r)->answer;
}

static void puppet_context_destroy(struct renderer *r, uint32_t ctx_id)
{
	g_string_append_printf(puppet_from_base(r)->log, "ctx %u gone\n", ctx_id);
}

static void puppet_context_attach(struct renderer *r, uint32_t ctx_id, uint32_t resource_id)
{
	g_string_append_printf(puppet_from_base(r)->log, "ctx %u + %u\n", ctx_id, resource_id);
}

static void puppet_context_detach(struct renderer *r, uint32_t ctx_id, uint32_t resource_id)
{
	g_string_append_printf(puppet_from_base(r)->log, "ctx %u - %u\n", ctx_id, resource_id);
}

static enum gpu_resp puppet_submit(struct renderer *r, uint32_t ctx_id, void *commands,
				   size_t size_bytes)
{
	struct puppet *p = puppet_from_base(r);

	g_assert_cmpuint((uintptr_t)commands % 8, ==, 0);
	memcpy(p->stream, commands, MIN(size_bytes, sizeof(p->stream)));
	g_string_append_printf(p->log, "submit %u: %zu\n", ctx_id, size_bytes);
	return p->answer;
}

static enum gpu_resp puppet_transfer(struct renderer *r, uint32_t resource_id,
				     const struct transfer_3d *transfer)
{
	g_string_append_printf(puppet_from_base(r)->log, "transfer %u %s\n", resource_id,
			       transfer->to_host ? "up" : "down");
	return puppet_from_base(r)->answer;
}

static enum gpu_resp puppet_get_capset(struct renderer *r, const struct renderer_capset *capset,
				       uint32_t version G_GNUC_UNUSED, void *capset_out)
{
	memset(capset_out, 0x3c, capset->max_size_bytes);
	return puppet_from_base(r)->answer == GPU_RESP_OK_NODATA ? GPU_RESP_OK_CAPSET
								 : puppet_from_base(r)->answer;
}

static enum gpu_resp puppet_fence_create(struct renderer *r, const struct renderer_fence *fence)
{
	puppet_from_base(r)->last_fence = *fence;
	return puppet_from_base(r)->fence_answer;
}

static void puppet_dispatch(struct renderer *r G_GNUC_UNUSED)
{
}

static enum gpu_resp puppet_blob_create(struct renderer *r, uint32_t id,
					const struct blob_desc *desc, const struct backing *backing)
{
	g_string_append_printf(puppet_from_base(r)->log,
			       "blob %u: %u, ctx %u, id %" G_GUINT64_FORMAT ", %" G_GUINT64_FORMAT
			       " bytes, %zu pieces\n",
			       id, desc->mem, desc->ctx_id, desc->blob_id, desc->size_bytes,
			       backing != NULL ? backing->n_iov : 0);
	return puppet_from_base(r)->answer;
}

static enum gpu_resp puppet_export(struct renderer *r, uint32_t id,
				   struct renderer_export *export_out)
{
	struct puppet *p = puppet_from_base(r);

	g_string_append_printf(p->log, "export %u\n", id);
	if (p->export_fd < 0) {
		return GPU_RESP_ERR_UNSPEC;
	}
	*export_out = (struct renderer_export){
		.fd = dup(p->export_fd),
		.offset_bytes = p->export_offset,
		.map_info = VIRTIO_GPU_MAP_CACHE_CACHED,
	};
	return GPU_RESP_OK_NODATA;
}

static enum gpu_resp puppet_export_picture(struct renderer *r, uint32_t id,
					   struct dmabuf_layout *layout_out, int *fd_out)
{
	struct puppet *p = puppet_from_base(r);

	g_string_append_printf(p->log, "export picture %u\n", id);
	if (p->picture_fd < 0) {
		return p->picture_answer;
	}
	*layout_out = p->picture_layout;
	*fd_out = dup(p->picture_fd);
	return GPU_RESP_OK_NODATA;
}

static void puppet_complete(struct renderer *r, uint32_t id)
{
	g_string_append_printf(puppet_from_base(r)->log, "complete %u\n", id);
}

static const struct renderer_dmabuf_impl puppet_dmabuf_impl = {
	.export = puppet_export_picture,
	.complete = puppet_complete,
};

static const struct renderer_blob_impl puppet_blob_impl = {
	.create = puppet_blob_create,
	.export = puppet_export,
};

static const struct renderer_context_impl puppet_context_impl = {
	.create = puppet_context_create,
	.destroy = puppet_context_destroy,
	.attach_resource = puppet_context_attach,
	.detach_resource = puppet_context_detach,
	.submit = puppet_submit,
	.transfer = puppet_transfer,
	.get_capset = puppet_get_capset,
};

const struct renderer_impl puppet_impl = {
	.name = "puppet",
	.create = puppet_create,
	.destroy = puppet_destroy,
	.resource_create = puppet_resource_create,
	.resource_destroy = puppet_resource_destroy,
	.resource_attach = puppet_resource_attach,
	.resource_detach = puppet_resource_detach,
	.transfer_2d = puppet_transfer_2d,
	.resource_read = puppet_resource_read,
	.context = &puppet_context_impl,
	.blob = &puppet_blob_impl,
	.dmabuf = &puppet_dmabuf_impl,
	.fence_create = puppet_fence_create,
	.dispatch = puppet_dispatch,
};
