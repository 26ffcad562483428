/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * A guest that has drawn into a blob says so by a flush, and by nothing else.
 * So a display that reads the blob's own pages shows what the guest wanted
 * seen, or what it has drawn since; and nothing was copied.
 *
 * That takes pages in one piece (blob_memory.h) with pixels as a frame has
 * them, and a display in this process. Otherwise the damage is copied.
 */
#include "gpu/scanout_blob.h"

#include "util/checked.h"

#define PIXEL_BYTES sizeof(uint32_t)

bool blob_layout_is_sane(const struct blob_layout *layout, uint64_t size_bytes)
{
	uint64_t row_bytes = (uint64_t)layout->width * PIXEL_BYTES;
	enum pixel_format ignored;

	return renderer_format_info(layout->format, &ignored, NULL) && layout->width > 0 &&
	       layout->height > 0 && layout->stride_bytes >= row_bytes &&
	       checked_range(layout->offset_bytes,
			     (uint64_t)layout->stride_bytes * (layout->height - 1) + row_bytes,
			     size_bytes);
}

/* ---- its own pixels ---- */

static void loan_done(void *memory)
{
	blob_memory_unref(memory);
}

static const struct frame_lender lender = { .done = loan_done };

/* NULL: they can't be shown as they lie. */
static struct frame *borrow(const struct blob_layout *layout, enum pixel_format format,
			    struct blob_memory *memory)
{
	if (format != PIXEL_ARGB8888 || frame_is_shared() ||
	    layout->stride_bytes % PIXEL_BYTES != 0) {
		return NULL;
	}
	const char *whole = blob_memory_whole(memory);
	/* A backing of one piece begins at any address. */
	if (whole == NULL || (uintptr_t)(whole + layout->offset_bytes) % PIXEL_BYTES != 0) {
		return NULL;
	}
	return frame_borrow(whole + layout->offset_bytes, layout->width, layout->height,
			    layout->stride_bytes, &lender, blob_memory_ref(memory));
}

/* ---- a copy ---- */

/* What is copied in about 100 us: then others have their turn. */
#define BAND_BYTES (1u << 20)

static bool copy_row(const struct blob_layout *layout, enum pixel_format format,
		     struct blob_memory *memory, const struct rect *row, uint32_t *to,
		     uint32_t *scratch)
{
	uint64_t from = layout->offset_bytes + (uint64_t)row->y * layout->stride_bytes +
			row->x * PIXEL_BYTES;
	bool is_plain = format == PIXEL_ARGB8888;

	if (!blob_memory_read(memory, from, is_plain ? to : scratch, row->width * PIXEL_BYTES)) {
		return false;
	}
	if (!is_plain) {
		pixels_convert_row(to, scratch, format, row->width);
	}
	return true;
}

/* A new copy has nothing in it yet, and a display that is late wants more than the last damage. */
static enum gpu_resp copy(struct device *dev, struct scanout *scanout, enum pixel_format format,
			  struct blob_memory *memory, const struct rect *damage)
{
	const struct blob_layout *layout = &scanout->layout;
	g_autofree uint32_t *scratch = g_try_new(uint32_t, layout->width);
	size_t band_bytes = 0;

	if (scanout->frame == NULL) {
		scanout->frame = frame_create(dev->quota, layout->width, layout->height);
		damage = &scanout->view;
	}
	if (scratch == NULL || scanout->frame == NULL ||
	    !frame_make_writable(&scanout->frame, damage)) {
		return GPU_RESP_ERR_OUT_OF_MEMORY;
	}
	for (uint32_t y = damage->y; y < damage->y + damage->height; y++) {
		const struct rect row = { damage->x, y, damage->width, 1 };

		if (!copy_row(layout, format, memory, &row, frame_pixel(scanout->frame, row.x, y),
			      scratch)) {
			return GPU_RESP_ERR_UNSPEC;
		}
		band_bytes += damage->width * PIXEL_BYTES;
		if (band_bytes >= BAND_BYTES) {
			band_bytes = 0;
			renderer_breathe(dev->renderer);
		}
	}
	return GPU_RESP_OK_NODATA;
}

/* A texture may lie in its memory in any order; its renderer knows. */
static bool read_from_renderer(struct device *dev, const struct scanout *scanout,
			       const struct resource *resource, const struct rect *damage,
			       struct frame **frame_out)
{
	if (resource->blob.mem == VIRTIO_GPU_BLOB_MEM_GUEST ||
	    dev->renderer->impl->resource_read(dev->renderer, resource->id, damage, frame_out) !=
		    GPU_RESP_OK_NODATA) {
		return false;
	}
	if (*frame_out != NULL && ((*frame_out)->width < scanout->layout.width ||
				   (*frame_out)->height < scanout->layout.height)) {
		g_clear_pointer(frame_out, frame_unref);
		return false;
	}
	return true;
}

enum gpu_resp scanout_read_blob(struct device *dev, struct scanout *scanout,
				struct resource *resource, const struct rect *damage,
				struct frame **frame_out)
{
	enum pixel_format format = PIXEL_NONE;

	*frame_out = NULL;
	if (dev->renderer->impl->is_blind ||
	    read_from_renderer(dev, scanout, resource, damage, frame_out)) {
		return GPU_RESP_OK_NODATA;
	}
	struct blob_memory *memory = resource_blob_memory(resource, dev->renderer, dev->quota);
	if (memory == NULL) {
		return GPU_RESP_ERR_UNSPEC;
	}
	renderer_format_info(scanout->layout.format, &format, NULL);
	*frame_out = borrow(&scanout->layout, format, memory);
	if (*frame_out != NULL) {
		g_clear_pointer(&scanout->frame, frame_unref);
		return GPU_RESP_OK_NODATA;
	}
	enum gpu_resp resp = copy(dev, scanout, format, memory, damage);
	if (resp == GPU_RESP_OK_NODATA) {
		*frame_out = frame_ref(scanout->frame);
	}
	return resp;
}
