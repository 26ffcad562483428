/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * Accepts everything, draws nothing: what the rings and the device cost
 * without any rendering, and the first to try when a guest misbehaves. It
 * offers no capset, so no driver turns 3D on, but a 3D command that comes all
 * the same is completed like the others.
 */
#include <string.h>

#include "renderer/impls.h"

static int null_create(const struct renderer_options *options G_GNUC_UNUSED, struct quota *quota,
		       struct renderer **renderer_out)
{
	struct renderer *r = g_new0(struct renderer, 1);

	renderer_init(r, &null_impl, quota);
	*renderer_out = r;
	return 0;
}

static void null_destroy(struct renderer *r)
{
	g_free(r);
}

static enum gpu_resp null_resource_create(struct renderer *r G_GNUC_UNUSED,
					  uint32_t id G_GNUC_UNUSED,
					  const struct resource_desc *desc G_GNUC_UNUSED)
{
	return GPU_RESP_OK_NODATA;
}

static void null_resource_destroy(struct renderer *r G_GNUC_UNUSED, uint32_t id G_GNUC_UNUSED)
{
}

static enum gpu_resp null_resource_attach(struct renderer *r G_GNUC_UNUSED,
					  uint32_t id G_GNUC_UNUSED,
					  const struct backing *backing G_GNUC_UNUSED)
{
	return GPU_RESP_OK_NODATA;
}

static void null_resource_detach(struct renderer *r G_GNUC_UNUSED, uint32_t id G_GNUC_UNUSED)
{
}

static enum gpu_resp null_transfer_2d(struct renderer *r G_GNUC_UNUSED, uint32_t id G_GNUC_UNUSED,
				      const struct rect *rect G_GNUC_UNUSED,
				      uint64_t offset_bytes G_GNUC_UNUSED)
{
	return GPU_RESP_OK_NODATA;
}

static enum gpu_resp null_resource_read(struct renderer *r G_GNUC_UNUSED,
					uint32_t id G_GNUC_UNUSED,
					const struct rect *damage G_GNUC_UNUSED,
					struct frame **frame_out)
{
	*frame_out = NULL;
	return GPU_RESP_OK_NODATA;
}

static enum gpu_resp null_context_create(struct renderer *r G_GNUC_UNUSED,
					 uint32_t ctx_id G_GNUC_UNUSED,
					 uint32_t capset_id G_GNUC_UNUSED,
					 const char *name G_GNUC_UNUSED,
					 size_t name_bytes G_GNUC_UNUSED)
{
	return GPU_RESP_OK_NODATA;
}

static void null_context_destroy(struct renderer *r G_GNUC_UNUSED, uint32_t ctx_id G_GNUC_UNUSED)
{
}

static void null_context_resource(struct renderer *r G_GNUC_UNUSED, uint32_t ctx_id G_GNUC_UNUSED,
				  uint32_t resource_id G_GNUC_UNUSED)
{
}

static enum gpu_resp null_submit(struct renderer *r G_GNUC_UNUSED, uint32_t ctx_id G_GNUC_UNUSED,
				 void *commands G_GNUC_UNUSED, size_t size_bytes G_GNUC_UNUSED)
{
	return GPU_RESP_OK_NODATA;
}

static enum gpu_resp null_transfer(struct renderer *r G_GNUC_UNUSED,
				   uint32_t resource_id G_GNUC_UNUSED,
				   const struct transfer_3d *transfer G_GNUC_UNUSED)
{
	return GPU_RESP_OK_NODATA;
}

static enum gpu_resp null_get_capset(struct renderer *r G_GNUC_UNUSED,
				     const struct renderer_capset *capset,
				     uint32_t version G_GNUC_UNUSED, void *capset_out)
{
	memset(capset_out, 0, capset->max_size_bytes);
	return GPU_RESP_OK_CAPSET;
}

static const struct renderer_context_impl null_context_impl = {
	.create = null_context_create,
	.destroy = null_context_destroy,
	.attach_resource = null_context_resource,
	.detach_resource = null_context_resource,
	.submit = null_submit,
	.transfer = null_transfer,
	.get_capset = null_get_capset,
};

const struct renderer_impl null_impl = {
	.name = "null",
	.is_blind = true,
	.create = null_create,
	.destroy = null_destroy,
	.resource_create = null_resource_create,
	.resource_destroy = null_resource_destroy,
	.resource_attach = null_resource_attach,
	.resource_detach = null_resource_detach,
	.transfer_2d = null_transfer_2d,
	.resource_read = null_resource_read,
	.context = &null_context_impl,
};
