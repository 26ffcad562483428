/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * Textures as dma-bufs, where EGL and the driver behind it can export them
 * (EGL_MESA_image_dma_buf_export). The library says the modifier since 1.0;
 * before that nobody knows in which order a GPU keeps the pixels but its
 * driver, which a display's driver on the same GPU can ask for.
 *
 * Only what every display can be told is given away: one plane, from the
 * beginning of the buffer, in colours that are known.
 */
#include "renderer/virgl_internal.h"

#include <errno.h>
#include <unistd.h>

#include "util/log.h"

#define PIXEL_MAX_BYTES 16

/* What the library knows of a texture. False: it is none, or not of one plane. */
static bool describe(uint32_t id, struct virgl_library_info *info_out, uint64_t *modifier_out)
{
	*modifier_out = DMABUF_MODIFIER_INVALID;
	if (virgl_library.resource_get_info_ext != NULL) {
		union virgl_library_info_ext_room ext = { .room = { 0 } };

		if (virgl_library.resource_get_info_ext((int)id, &ext.info) != 0 ||
		    !ext.info.has_dmabuf_export || ext.info.planes != 1) {
			return false;
		}
		*info_out = ext.info.base;
		*modifier_out = ext.info.modifiers;
		return true;
	}
	union virgl_library_info_room of = { .room = { 0 } };
	if (virgl_library.resource_get_info == NULL ||
	    virgl_library.resource_get_info((int)id, &of.argument) != 0) {
		return false;
	}
	*info_out = of.info;
	return true;
}

static enum gpu_resp virgl_export(struct renderer *r, uint32_t id,
				  struct dmabuf_layout *layout_out, int *fd_out)
{
	const struct virgl_resource *resource = virgl_resource_find(virgl_from_base(r), id);
	struct virgl_library_info info = { 0 };
	int fd = -1, stride = 0, offset = 0;
	uint64_t modifier;

	if (resource == NULL || (resource->is_blob && resource->desc.width == 0)) {
		return GPU_RESP_ERR_INVALID_PARAMETER;
	}
	if (virgl_library.get_fd_for_texture2 == NULL || !describe(id, &info, &modifier) ||
	    virgl_library.get_fd_for_texture2(info.tex_id, &fd, &stride, &offset) != 0 || fd < 0) {
		return GPU_RESP_ERR_UNSPEC;
	}
	const struct dmabuf_layout layout = {
		.width = info.width,
		.height = info.height,
		.stride_bytes = (uint32_t)stride,
		.offset_bytes = (uint32_t)offset,
		.modifier = modifier,
		.fourcc = (uint32_t)info.drm_fourcc,
		.is_y_0_top = (info.flags & VIRTIO_GPU_RESOURCE_FLAG_Y_0_TOP) != 0,
	};
	int error = dmabuf_check(fd, &layout);
	if (error < 0) {
		log_debug("res %u: no buffer for a display: fourcc 0x%x, stride %d, offset %d: %s",
			  id, layout.fourcc, stride, offset, g_strerror(-error));
		close(fd);
		return GPU_RESP_ERR_UNSPEC;
	}
	*layout_out = layout;
	*fd_out = fd;
	return GPU_RESP_OK_NODATA;
}

/*
 * A pixel that is read has been drawn, and so has all that was to be drawn
 * before it. Where a GPU's kernel driver orders readers behind writers that is
 * more than it takes; but not every one does, and a software renderer has none.
 */
static void virgl_complete(struct renderer *r G_GNUC_UNUSED, uint32_t id)
{
	struct virgl_box box = { 0, 0, 0, 1, 1, 1 };
	uint32_t pixel[PIXEL_MAX_BYTES / sizeof(uint32_t)];
	struct iovec iov = { pixel, sizeof(pixel) };

	if (virgl_library.transfer_read_iov(id, 0, 0, 0, 0, &box, 0, &iov, 1) != 0) {
		log_debug("res %u: nobody knows whether it has been drawn", id);
	}
}

const struct renderer_dmabuf_impl virgl_dmabuf_impl = {
	.export = virgl_export,
	.complete = virgl_complete,
};
