/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * 2D without GL: each resource is one frame in the display's own format.
 * Conversion happens in the copy from guest memory, so a flush costs nothing
 * here. While a display still sends from the frame, the next transfer goes to
 * a copy of it (frame_make_writable()); a transfer of the whole picture, as a
 * page flip makes, then copies no old pixel at all.
 */
#include <string.h>

#include "renderer/impls.h"
#include "util/iov.h"

struct soft_resource {
	struct frame *frame; /* owned reference */
	enum pixel_format format;
	uint32_t width, height;
	struct iov_cursor backing; /* its list is borrowed while one is attached */
};

struct soft {
	struct renderer base;
	GHashTable *resources; /* id -> struct soft_resource, owned */
};

static struct soft *soft_from_base(struct renderer *r)
{
	g_assert(r->impl == &soft_impl);
	return (struct soft *)(void *)r;
}

static struct soft_resource *find(struct renderer *r, uint32_t id)
{
	return g_hash_table_lookup(soft_from_base(r)->resources, GUINT_TO_POINTER(id));
}

static void resource_free(void *data)
{
	struct soft_resource *resource = data;

	frame_unref(resource->frame);
	g_free(resource);
}

static int soft_create(const struct renderer_options *options G_GNUC_UNUSED, struct quota *quota,
		       struct renderer **renderer_out)
{
	struct soft *soft = g_new0(struct soft, 1);

	renderer_init(&soft->base, &soft_impl, quota);
	soft->resources = g_hash_table_new_full(NULL, NULL, NULL, resource_free);
	*renderer_out = &soft->base;
	return 0;
}

static void soft_destroy(struct renderer *r)
{
	struct soft *soft = soft_from_base(r);

	g_hash_table_destroy(soft->resources);
	g_free(soft);
}

static enum gpu_resp soft_resource_create(struct renderer *r, uint32_t id,
					  const struct resource_desc *desc)
{
	enum pixel_format format;

	if (!renderer_format_info(desc->format, &format, NULL)) {
		return GPU_RESP_ERR_INVALID_PARAMETER;
	}
	struct frame *frame = frame_create(r->quota, desc->width, desc->height);
	if (frame == NULL) {
		return GPU_RESP_ERR_OUT_OF_MEMORY;
	}
	struct soft_resource *resource = g_new(struct soft_resource, 1);
	*resource = (struct soft_resource){
		.frame = frame,
		.format = format,
		.width = desc->width,
		.height = desc->height,
	};
	g_hash_table_insert(soft_from_base(r)->resources, GUINT_TO_POINTER(id), resource);
	return GPU_RESP_OK_NODATA;
}

static void soft_resource_destroy(struct renderer *r, uint32_t id)
{
	g_hash_table_remove(soft_from_base(r)->resources, GUINT_TO_POINTER(id));
}

static enum gpu_resp soft_resource_attach(struct renderer *r, uint32_t id,
					  const struct backing *backing)
{
	iov_cursor_init(&find(r, id)->backing, backing->iov, backing->n_iov);
	return GPU_RESP_OK_NODATA;
}

static void soft_resource_detach(struct renderer *r, uint32_t id)
{
	iov_cursor_init(&find(r, id)->backing, NULL, 0);
}

/* What is copied in about 100 us: then others have their turn. */
#define BAND_BYTES (1u << 20)

/* Rows straight to their place: the guest's pixels are ours already. */
static bool copy_rows(struct soft_resource *resource, const struct rect *rect,
		      uint64_t offset_bytes)
{
	size_t row_bytes = (size_t)rect->width * sizeof(uint32_t);
	uint64_t pitch = (uint64_t)resource->width * sizeof(uint32_t);

	/* Whole rows lie one behind the other on both sides. */
	if (rect->width == resource->width) {
		return iov_cursor_read(&resource->backing, offset_bytes,
				       frame_pixel(resource->frame, 0, rect->y),
				       row_bytes * rect->height);
	}
	for (uint32_t row = 0; row < rect->height; row++) {
		if (!iov_cursor_read(&resource->backing, offset_bytes + row * pitch,
				     frame_pixel(resource->frame, rect->x, rect->y + row),
				     row_bytes)) {
			return false;
		}
	}
	return true;
}

/* Each row through a private copy: the guest may write while it is converted. */
static bool convert_rows(struct soft_resource *resource, const struct rect *rect,
			 uint64_t offset_bytes, uint32_t *row_copy)
{
	size_t row_bytes = (size_t)rect->width * sizeof(uint32_t);
	uint64_t pitch = (uint64_t)resource->width * sizeof(uint32_t);

	for (uint32_t row = 0; row < rect->height; row++) {
		if (!iov_cursor_read(&resource->backing, offset_bytes + row * pitch, row_copy,
				     row_bytes)) {
			return false;
		}
		pixels_convert_row(frame_pixel(resource->frame, rect->x, rect->y + row), row_copy,
				   resource->format, rect->width);
	}
	return true;
}

/* Band by band, so that a cursor need not wait for a large picture. */
static bool take_rows(struct soft *soft, struct soft_resource *resource, const struct rect *rect,
		      uint64_t offset_bytes, uint32_t *row_copy)
{
	uint64_t pitch = (uint64_t)resource->width * sizeof(uint32_t);
	uint32_t max_rows = MAX(BAND_BYTES / (rect->width * (uint32_t)sizeof(uint32_t)), 1);

	for (uint32_t row = 0; row < rect->height; row += max_rows) {
		const struct rect band = { rect->x, rect->y + row, rect->width,
					   MIN(max_rows, rect->height - row) };
		uint64_t offset = offset_bytes + row * pitch;
		bool is_done = row_copy == NULL ?
				       copy_rows(resource, &band, offset) :
				       convert_rows(resource, &band, offset, row_copy);

		if (!is_done) {
			return false;
		}
		if (row + band.height < rect->height) {
			renderer_breathe(&soft->base);
		}
	}
	return true;
}

static enum gpu_resp soft_transfer_2d(struct renderer *r, uint32_t id, const struct rect *rect,
				      uint64_t offset_bytes)
{
	struct soft_resource *resource = find(r, id);
	g_autofree uint32_t *row_copy = NULL;

	if (resource->format != PIXEL_ARGB8888) {
		row_copy = g_try_new(uint32_t, rect->width);
		if (row_copy == NULL) {
			return GPU_RESP_ERR_OUT_OF_MEMORY;
		}
	}
	if (!frame_make_writable(&resource->frame, rect)) {
		return GPU_RESP_ERR_OUT_OF_MEMORY;
	}
	if (!take_rows(soft_from_base(r), resource, rect, offset_bytes, row_copy)) {
		frame_clear(resource->frame, rect);
		return GPU_RESP_ERR_INVALID_PARAMETER;
	}
	return GPU_RESP_OK_NODATA;
}

static enum gpu_resp soft_resource_read(struct renderer *r, uint32_t id,
					const struct rect *damage G_GNUC_UNUSED,
					struct frame **frame_out)
{
	*frame_out = frame_ref(find(r, id)->frame);
	return GPU_RESP_OK_NODATA;
}

const struct renderer_impl soft_impl = {
	.name = "2d",
	.create = soft_create,
	.destroy = soft_destroy,
	.resource_create = soft_resource_create,
	.resource_destroy = soft_resource_destroy,
	.resource_attach = soft_resource_attach,
	.resource_detach = soft_resource_detach,
	.transfer_2d = soft_transfer_2d,
	.resource_read = soft_resource_read,
};
