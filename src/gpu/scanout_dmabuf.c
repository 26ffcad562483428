/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * A picture in the guest's own pages can be seen without a copy, by a display
 * that takes a buffer made of them. Such a buffer is made once, and kept for as
 * long as the pages are the resource's; a guest that flips between some of them
 * costs a message for each flip.
 *
 * Of a blob that is what the guest asked for. Of a 2D resource it is an
 * exchange: what the display reads is not what was transferred, but what the
 * guest has drawn, at the latest when it was flushed. As guests draw in order
 * to transfer, and flush what they have transferred, that shows the same
 * picture; in return nothing need be copied any more. The copy is made up for
 * as soon as somebody wants it: a display that takes no buffers any more, or a
 * guest that takes its pages back. A guest whose transfers put pixels elsewhere
 * than they lie is found out by the first of them, and copied for.
 *
 * What is in memory of the renderer's it may give as it lies, all of it: nobody
 * else knows in which order.
 *
 * A display can't refuse a buffer, it just stays dark; so whatever is known not
 * to be taken by some GPU is not tried.
 */
#include "gpu/scanout_dmabuf.h"

#include <unistd.h>

#include "util/checked.h"
#include "util/log.h"

#define PIXEL_BYTES ((uint32_t)sizeof(uint32_t))
/* Rows that are no multiple of this apart some GPUs can't read (AMD's). */
#define STRIDE_ALIGNMENT_BYTES 256u

static uint64_t page_mask(void)
{
	return (uint64_t)sysconf(_SC_PAGESIZE) - 1;
}

/* ---- in the guest's pages ---- */

/* Where the view's first pixel is in the resource's pages, and what lies there. */
struct place {
	uint64_t offset_bytes;
	struct dmabuf_layout layout;
};

static bool is_in_guest_pages(const struct device *dev, const struct resource *resource)
{
	if (resource->mem == NULL) {
		return false;
	}
	if (resource->is_blob) {
		return resource->blob.mem == VIRTIO_GPU_BLOB_MEM_GUEST;
	}
	/* Of a renderer with contexts others than us may read and write the copy. */
	return resource->desc.is_2d && !resource->is_rearranged &&
	       dev->renderer->impl->context == NULL;
}

/* False: not in a form that a display may be asked to read. */
static bool locate(const struct scanout *scanout, const struct resource *resource,
		   struct place *place_out)
{
	const struct blob_layout *blob = &scanout->layout;
	const struct rect *view = &scanout->view;
	uint32_t format = resource->is_blob ? blob->format : resource->desc.format;
	uint32_t stride =
		resource->is_blob ? blob->stride_bytes : resource->desc.width * PIXEL_BYTES;
	uint64_t size = resource->is_blob ? resource->blob.size_bytes
					  : (uint64_t)stride * resource->desc.height;
	uint64_t offset =
		blob->offset_bytes + (uint64_t)view->y * stride + (uint64_t)view->x * PIXEL_BYTES;

	/* The fourth byte is of no account on a screen. */
	if ((format != VIRTIO_GPU_FORMAT_B8G8R8X8_UNORM &&
	     format != VIRTIO_GPU_FORMAT_B8G8R8A8_UNORM) ||
	    stride % STRIDE_ALIGNMENT_BYTES != 0 || (offset & page_mask()) != 0) {
		return false;
	}
	/* Drivers want whole rows; the last page is there as a whole. */
	size = (size + page_mask()) & ~page_mask();
	*place_out = (struct place){
		.offset_bytes = offset,
		.layout = {
			.width = view->width,
			.height = view->height,
			.stride_bytes = stride,
			.modifier = DMABUF_MODIFIER_LINEAR,
			.fourcc = PIXEL_XRGB8888,
		},
	};
	return checked_range(offset, (uint64_t)stride * view->height, size);
}

struct runs {
	struct exporter_run *list; /* borrowed */
	size_t n, max;
	uint64_t left_bytes; /* that are to follow */
};

/* False: they are too many. */
static bool append(struct runs *runs, const struct exporter_run *run)
{
	struct exporter_run *last = runs->n > 0 ? &runs->list[runs->n - 1] : NULL;

	if (last != NULL && last->fd == run->fd &&
	    last->offset_bytes + last->size_bytes == run->offset_bytes) {
		last->size_bytes += run->size_bytes;
		return true;
	}
	if (runs->n == runs->max) {
		return false;
	}
	runs->list[runs->n++] = *run;
	return true;
}

/* From gpa on: a piece of one file. Returns its bytes, 0: they can't be had. */
static uint64_t add_run(struct runs *runs, const struct guestmem *mem, struct gpa gpa,
			uint64_t length_bytes)
{
	struct exporter_run run;
	uint64_t wanted = MIN(length_bytes, runs->left_bytes);
	uint64_t whole = (wanted + page_mask()) & ~page_mask();

	/* Only the last page may be another's in part. */
	if (wanted != whole && wanted != runs->left_bytes) {
		return 0;
	}
	run.size_bytes = guestmem_to_file(mem, gpa, whole, &run.fd, &run.offset_bytes);
	if (run.size_bytes == 0 || ((run.offset_bytes | run.size_bytes) & page_mask()) != 0 ||
	    !append(runs, &run)) {
		return 0;
	}
	runs->left_bytes -= MIN(run.size_bytes, runs->left_bytes);
	return run.size_bytes;
}

/* size_bytes from offset_bytes of the resource on. False: they are not whole pages of files. */
static bool fill_runs(struct runs *runs, const struct resource *resource, uint64_t offset_bytes)
{
	for (uint32_t i = 0; i < resource->n_entries && runs->left_bytes > 0; i++) {
		const struct resource_entry *entry = &resource->entries[i];
		uint64_t done = MIN(offset_bytes, entry->length_bytes);

		offset_bytes -= done;
		while (done < entry->length_bytes && runs->left_bytes > 0) {
			uint64_t n =
				add_run(runs, resource->mem, (struct gpa){ entry->gpa.v + done },
					entry->length_bytes - done);

			if (n == 0) {
				return false;
			}
			done += n;
		}
	}
	return runs->left_bytes == 0;
}

static struct dmabuf *make_of_pages(struct device *dev, const struct scanout *scanout,
				    const struct resource *resource)
{
	size_t max = (size_t)resource->n_entries + RESOURCE_MAX_CROSSINGS;
	g_autofree struct exporter_run *list = NULL;
	struct place place;

	if (!locate(scanout, resource, &place)) {
		return NULL;
	}
	list = g_try_new(struct exporter_run, max);
	struct runs runs = {
		.list = list,
		.max = max,
		.left_bytes = (uint64_t)place.layout.stride_bytes * place.layout.height,
	};
	if (list == NULL || !fill_runs(&runs, resource, place.offset_bytes)) {
		return NULL;
	}
	int fd = dev->exporter->export(dev->exporter_data, runs.list, runs.n);
	if (fd < 0) {
		log_debug("res %u: its pages can't be a buffer: %s", resource->id, g_strerror(-fd));
		return NULL;
	}
	return dmabuf_create(&place.layout, fd);
}

/* ---- in the renderer's memory ---- */

static bool is_whole(const struct rect *view, uint32_t width, uint32_t height)
{
	const struct rect all = { 0, 0, width, height };

	return rect_is_equal(view, &all);
}

static bool shows_all(const struct scanout *scanout, const struct resource *resource)
{
	return resource->is_blob ?
		       is_whole(&scanout->view, scanout->layout.width, scanout->layout.height) :
		       is_whole(&scanout->view, resource->desc.width, resource->desc.height);
}

/* *is_known_out: it is a texture, whatever the guest says of its memory. */
static struct dmabuf *make_of_texture(struct device *dev, const struct scanout *scanout,
				      const struct resource *resource, bool *is_known_out)
{
	const struct renderer_dmabuf_impl *impl = dev->renderer->impl->dmabuf;
	struct dmabuf_layout layout;
	int fd;

	*is_known_out = impl != NULL;
	if (impl == NULL || !shows_all(scanout, resource)) {
		return NULL;
	}
	enum gpu_resp resp = impl->export(dev->renderer, resource->id, &layout, &fd);
	*is_known_out = resp != GPU_RESP_ERR_INVALID_PARAMETER;
	if (resp != GPU_RESP_OK_NODATA) {
		return NULL;
	}
	if (layout.width != scanout->view.width || layout.height != scanout->view.height) {
		close(fd);
		return NULL;
	}
	return dmabuf_create(&layout, fd);
}

/* Of no texture, so the guest says how its pixels lie, and that they lie in rows. */
static struct dmabuf *make_of_blob(struct device *dev, const struct scanout *scanout,
				   const struct resource *resource)
{
	struct renderer_export exported;
	struct place place;

	if (!locate(scanout, resource, &place) || place.offset_bytes != 0 ||
	    dev->renderer->impl->blob->export(dev->renderer, resource->id, &exported) !=
		    GPU_RESP_OK_NODATA) {
		return NULL;
	}
	if (exported.offset_bytes != 0 || dmabuf_check(exported.fd, &place.layout) < 0) {
		close(exported.fd);
		return NULL;
	}
	return dmabuf_create(&place.layout, exported.fd);
}

/* ---- those that there are ---- */

static void scanout_dmabuf_free(struct scanout_dmabuf *kept)
{
	dmabuf_unref(kept->dmabuf);
	g_free(kept);
}

static bool is_same_layout(const struct blob_layout *a, const struct blob_layout *b)
{
	return a->format == b->format && a->width == b->width && a->height == b->height &&
	       a->stride_bytes == b->stride_bytes && a->offset_bytes == b->offset_bytes;
}

/* The most recent first. */
static struct scanout_dmabuf *find(struct device *dev, const struct scanout *scanout)
{
	for (GList *link = dev->dmabufs.head; link != NULL; link = link->next) {
		struct scanout_dmabuf *kept = link->data;

		if (kept->resource_id == scanout->resource_id &&
		    rect_is_equal(&kept->view, &scanout->view) &&
		    is_same_layout(&kept->layout, &scanout->layout)) {
			g_queue_unlink(&dev->dmabufs, link);
			g_queue_push_head_link(&dev->dmabufs, link);
			return kept;
		}
	}
	return NULL;
}

static struct dmabuf *make(struct device *dev, const struct scanout *scanout,
			   const struct resource *resource, enum scanout_dmabuf_kind *kind_out)
{
	bool is_known;

	*kind_out = SCANOUT_DMABUF_PAGES;
	if (dev->exporter != NULL && is_in_guest_pages(dev, resource)) {
		return make_of_pages(dev, scanout, resource);
	}
	/* The renderer does not know it; or it is the guest's memory and no buffer. */
	if (!resource->is_made ||
	    (resource->is_blob && resource->blob.mem == VIRTIO_GPU_BLOB_MEM_GUEST)) {
		return NULL;
	}
	*kind_out = SCANOUT_DMABUF_TEXTURE;
	struct dmabuf *dmabuf = make_of_texture(dev, scanout, resource, &is_known);
	if (is_known || !resource->is_blob) {
		return dmabuf;
	}
	*kind_out = SCANOUT_DMABUF_MEMORY;
	return make_of_blob(dev, scanout, resource);
}

static struct scanout_dmabuf *add(struct device *dev, const struct scanout *scanout,
				  const struct resource *resource)
{
	struct scanout_dmabuf *kept = g_new(struct scanout_dmabuf, 1);

	*kept = (struct scanout_dmabuf){
		.resource_id = scanout->resource_id,
		.layout = scanout->layout,
		.view = scanout->view,
	};
	kept->dmabuf = make(dev, scanout, resource, &kept->kind);
	if (dev->dmabufs.length >= SCANOUT_MAX_DMABUFS) {
		scanout_dmabuf_free(g_queue_pop_tail(&dev->dmabufs));
	}
	g_queue_push_head(&dev->dmabufs, kept);
	return kept;
}

struct dmabuf *scanout_find_dmabuf(struct device *dev, uint32_t scanout_id,
				   const struct resource *resource)
{
	const struct scanout *scanout = &dev->scanouts[scanout_id];

	if (dev->renderer->impl->is_blind || display_dmabufs(dev->display) == DMABUFS_NONE ||
	    dev->info.pmodes[scanout_id].enabled == 0) {
		return NULL;
	}
	struct scanout_dmabuf *kept = find(dev, scanout);
	if (kept == NULL) {
		kept = add(dev, scanout, resource);
	}
	if (kept->dmabuf == NULL || !display_takes_dmabuf(dev->display, &kept->dmabuf->layout)) {
		return NULL;
	}
	if (kept->kind == SCANOUT_DMABUF_TEXTURE) {
		dev->renderer->impl->dmabuf->complete(dev->renderer, resource->id);
	}
	return kept->dmabuf;
}

void scanout_forget_dmabufs(struct device *dev, uint32_t resource_id)
{
	unsigned int n = dev->dmabufs.length;

	for (GList *link = dev->dmabufs.head, *next; link != NULL; link = next) {
		struct scanout_dmabuf *kept = link->data;

		next = link->next;
		if (resource_id == 0 || kept->resource_id == resource_id) {
			scanout_dmabuf_free(kept);
			g_queue_delete_link(&dev->dmabufs, link);
		}
	}
	/* Who shows them for us lets go of them, too. */
	if (dev->dmabufs.length < n) {
		display_reclaim(dev->display);
	}
}

/* ---- copies that nobody needs ---- */

static bool is_seen(struct device *dev, const struct resource *resource)
{
	for (GList *link = dev->dmabufs.head; link != NULL; link = link->next) {
		const struct scanout_dmabuf *kept = link->data;

		if (kept->resource_id == resource->id && kept->kind == SCANOUT_DMABUF_PAGES &&
		    kept->dmabuf != NULL) {
			return display_takes_dmabuf(dev->display, &kept->dmabuf->layout);
		}
	}
	return false;
}

/* Cursors are made of copies, and from inside of other commands. */
static bool may_be_cursor(const struct resource *resource)
{
	return resource->desc.width <= DISPLAY_CURSOR_SIDE &&
	       resource->desc.height <= DISPLAY_CURSOR_SIDE;
}

/* Two rectangles that are may have a union that is not. */
static bool is_backed(const struct resource *resource, const struct rect *rect)
{
	uint64_t last_row = (uint64_t)rect->y + rect->height - 1;
	uint64_t end = last_row * resource->desc.width + rect->x + rect->width;

	return end * PIXEL_BYTES <= resource->backing.size_bytes;
}

bool scanout_spares_transfer(struct device *dev, struct resource *resource, const struct rect *rect,
			     uint64_t offset_bytes)
{
	uint64_t place = ((uint64_t)rect->y * resource->desc.width + rect->x) * PIXEL_BYTES;

	if (dev->exporter == NULL) {
		return false;
	}
	if (offset_bytes != place && !resource->is_rearranged) {
		resource->is_rearranged = true;
		scanout_forget_dmabufs(dev, resource->id);
		if (resource_settle(resource, dev->renderer) != GPU_RESP_OK_NODATA) {
			resource->spared = (struct rect){ 0 };
		}
	}
	struct rect all = rect_union(&resource->spared, rect);
	if (may_be_cursor(resource) || !is_backed(resource, &all) || !is_seen(dev, resource)) {
		return false;
	}
	resource->spared = all;
	return true;
}
