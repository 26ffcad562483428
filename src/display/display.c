/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "display/display.h"

#include <assert.h>
#include <unistd.h>

lockdown_names display_calls = { "pipe2", "vmsplice", "splice", "fcntl(flags)", NULL };

void display_init(struct display *d, const struct display_impl *impl,
		  const struct display_listener *listener, void *data)
{
	assert(impl->destroy != NULL && impl->update != NULL && impl->disable != NULL);
	assert(impl->cursor_set != NULL && impl->cursor_hide != NULL);
	assert(impl->is_watched != NULL);
	assert((impl->dmabufs == NULL) == (impl->update_dmabuf == NULL));
	*d = (struct display){ .impl = impl, .listener = listener, .listener_data = data };
}

void display_destroy(struct display *d)
{
	if (d != NULL) {
		d->impl->destroy(d);
	}
}

bool display_is_watched(struct display *d)
{
	return d->impl->is_watched(d);
}

bool display_update(struct display *d, uint32_t scanout_id, const struct display_picture *picture,
		    const struct rect *damage)
{
	assert(scanout_id < DISPLAY_MAX_SCANOUTS);
	assert(rect_is_inside(&picture->view, picture->frame->width, picture->frame->height));
	assert(rect_is_inside(damage, picture->view.width, picture->view.height));
	return !rect_is_empty(damage) && d->impl->update(d, scanout_id, picture, damage);
}

enum dmabuf_kinds display_dmabufs(struct display *d)
{
	return d->impl->dmabufs != NULL ? d->impl->dmabufs(d) : DMABUFS_NONE;
}

/* No display is told where in a buffer its pixels begin. */
bool display_takes_dmabuf(struct display *d, const struct dmabuf_layout *layout)
{
	return layout->offset_bytes == 0 && dmabuf_is_among(layout, display_dmabufs(d));
}

bool display_update_dmabuf(struct display *d, uint32_t scanout_id, struct dmabuf *dmabuf,
			   uint32_t serial, const struct rect *damage)
{
	assert(scanout_id < DISPLAY_MAX_SCANOUTS);
	assert(dmabuf->layout.offset_bytes == 0);
	assert(rect_is_inside(damage, dmabuf->layout.width, dmabuf->layout.height));
	return d->impl->update_dmabuf != NULL && !rect_is_empty(damage) &&
	       d->impl->update_dmabuf(d, scanout_id, dmabuf, serial, damage);
}

void display_reclaim(struct display *d)
{
	if (d->impl->reclaim != NULL) {
		d->impl->reclaim(d);
	}
}

void display_disable(struct display *d, uint32_t scanout_id)
{
	assert(scanout_id < DISPLAY_MAX_SCANOUTS);
	d->impl->disable(d, scanout_id);
}

void display_cursor_set(struct display *d, const struct display_cursor *cursor)
{
	assert(cursor->scanout_id < DISPLAY_MAX_SCANOUTS);
	d->impl->cursor_set(d, cursor);
}

void display_cursor_hide(struct display *d, uint32_t scanout_id, uint32_t x, uint32_t y)
{
	assert(scanout_id < DISPLAY_MAX_SCANOUTS);
	d->impl->cursor_hide(d, scanout_id, x, y);
}

bool display_request_info(struct display *d, uint64_t token)
{
	return d->impl->request_info != NULL && d->impl->request_info(d, token);
}

bool display_request_edid(struct display *d, uint64_t token, uint32_t scanout_id)
{
	return d->impl->request_edid != NULL && d->impl->request_edid(d, token, scanout_id);
}

void display_set_socket(struct display *d, int consume_fd)
{
	if (d->impl->set_socket != NULL) {
		d->impl->set_socket(d, consume_fd);
	} else {
		close(consume_fd);
	}
}
