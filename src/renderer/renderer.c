/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "renderer/renderer.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "renderer/impls.h"

static const struct renderer_impl *const impls[] = {
	&null_impl,
	&soft_impl,
	&virgl_impl,
	&gfxstream_impl,
};

const struct renderer_impl *renderer_find(const char *mode)
{
	for (size_t i = 0; i < G_N_ELEMENTS(impls); i++) {
		if (strcmp(impls[i]->name, mode) == 0) {
			return impls[i];
		}
	}
	return NULL;
}

const struct renderer_capset *renderer_find_capset(const struct renderer_caps *caps, uint32_t id)
{
	for (uint32_t i = 0; i < caps->n_capsets; i++) {
		if (caps->capsets[i].id == id) {
			return &caps->capsets[i];
		}
	}
	return NULL;
}

enum gpu_resp renderer_resp_from_error(int error)
{
	switch (abs(error)) {
	case 0:
		return GPU_RESP_OK_NODATA;
	case ENOMEM:
		return GPU_RESP_ERR_OUT_OF_MEMORY;
	default:
		return GPU_RESP_ERR_UNSPEC;
	}
}

void renderer_init(struct renderer *r, const struct renderer_impl *impl, struct quota *quota)
{
	assert(impl->create != NULL && impl->destroy != NULL);
	assert(impl->resource_create != NULL && impl->resource_destroy != NULL);
	assert(impl->resource_attach != NULL && impl->resource_detach != NULL);
	assert(impl->transfer_2d != NULL && impl->resource_read != NULL);
	assert(impl->blob == NULL || (impl->blob->create != NULL && impl->blob->export != NULL));
	assert((impl->fence_create == NULL) == (impl->dispatch == NULL));
	assert(impl->is_foreign == (impl->profile != NULL));
	*r = (struct renderer){ .impl = impl, .event_fd = -1, .quota = quota };
}

int renderer_create(const struct renderer_impl *impl, const struct renderer_options *options,
		    struct quota *quota, struct renderer **renderer_out)
{
	return impl->create(options, quota, renderer_out);
}

void renderer_destroy(struct renderer *r)
{
	if (r != NULL) {
		r->impl->destroy(r);
	}
}

void renderer_set_listener(struct renderer *r, const struct renderer_listener *listener, void *data)
{
	r->listener = listener;
	r->listener_data = data;
}

void renderer_breathe(struct renderer *r)
{
	if (r->listener != NULL) {
		r->listener->breathe(r->listener_data);
	}
}

void renderer_dispatch(struct renderer *r)
{
	if (r->impl->dispatch != NULL) {
		r->impl->dispatch(r);
	}
}

bool renderer_format_info(uint32_t virtio_format, enum pixel_format *format_out,
			  bool *has_alpha_out)
{
	/*
	 * virtio names bytes in memory order, DRM bits from the highest down: one
	 * is the other reversed. Formats without alpha are read as their siblings
	 * with it, so that the fourth byte is kept (see resource_read).
	 */
	static const struct {
		uint32_t virtio;
		enum pixel_format format;
		bool has_alpha;
	} formats[] = {
		{ VIRTIO_GPU_FORMAT_B8G8R8A8_UNORM, PIXEL_ARGB8888, true },
		{ VIRTIO_GPU_FORMAT_B8G8R8X8_UNORM, PIXEL_ARGB8888, false },
		{ VIRTIO_GPU_FORMAT_A8R8G8B8_UNORM, PIXEL_BGRA8888, true },
		{ VIRTIO_GPU_FORMAT_X8R8G8B8_UNORM, PIXEL_BGRA8888, false },
		{ VIRTIO_GPU_FORMAT_R8G8B8A8_UNORM, PIXEL_ABGR8888, true },
		{ VIRTIO_GPU_FORMAT_X8B8G8R8_UNORM, PIXEL_RGBA8888, false },
		{ VIRTIO_GPU_FORMAT_A8B8G8R8_UNORM, PIXEL_RGBA8888, true },
		{ VIRTIO_GPU_FORMAT_R8G8B8X8_UNORM, PIXEL_ABGR8888, false },
	};

	for (size_t i = 0; i < G_N_ELEMENTS(formats); i++) {
		if (formats[i].virtio == virtio_format) {
			*format_out = formats[i].format;
			if (has_alpha_out != NULL) {
				*has_alpha_out = formats[i].has_alpha;
			}
			return true;
		}
	}
	return false;
}
