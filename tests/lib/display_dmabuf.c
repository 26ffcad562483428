/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * The rules of buffers, and what QEMU does when one is broken:
 *   x or y not 0, size not the buffer's    shows another part of it (10), or all of it (7.2)
 *   shorter than its rows, not a dma-buf   an import that fails: nothing is shown
 *   update of what there is not            answered at once, and nothing is shown
 *   an output that there is not            a line in its log, each time
 *   off, and a surface from before it      the old picture is back
 */
#include <string.h>
#include <sys/mman.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "display_dmabuf.h"

#define FOURCC(a, b, c, d)                                                                         \
	((uint32_t)(a) | (uint32_t)(b) << 8 | (uint32_t)(c) << 16 | (uint32_t)(d) << 24)
#define XR24 FOURCC('X', 'R', '2', '4')
#define AR24 FOURCC('A', 'R', '2', '4')
#define XB24 FOURCC('X', 'B', '2', '4')
#define AB24 FOURCC('A', 'B', '2', '4')
#define MOD_LINEAR UINT64_C(0)
#define MOD_INVALID                                                                                \
	UINT64_C(0x00ffffffffffffff) /* the driver knows; those of the tests are linear */
#define Y_0_TOP 1u
#define DMA_BUF_MAGIC 0x444d4142

void display_drop_dmabuf(struct display_surface *surface)
{
	if (surface->dmabuf.bytes) {
		munmap((void *)(uintptr_t)surface->dmabuf.bytes, surface->dmabuf.size);
	}
	surface->dmabuf = (struct display_dmabuf){ 0 };
}

/* Red is where blue is. */
static bool is_swapped(uint32_t fourcc)
{
	return fourcc == XB24 || fourcc == AB24;
}

static bool is_known_fourcc(uint32_t fourcc)
{
	return fourcc == XR24 || fourcc == AR24 || is_swapped(fourcc);
}

static void check_layout(struct display *display, const struct gpu_msg_dmabuf_scanout2 *message)
{
	const struct gpu_msg_dmabuf_scanout *scanout = &message->scanout;

	if (scanout->x || scanout->y || scanout->width != scanout->fd_width ||
	    scanout->height != scanout->fd_height) {
		display_add_breach(display, "DMABUF_SCANOUT(%u) of %ux%u+%u+%u out of %ux%u",
				   scanout->scanout_id, scanout->width, scanout->height, scanout->x,
				   scanout->y, scanout->fd_width, scanout->fd_height);
	}
	if (scanout->width < DISPLAY_MIN_SIDE || scanout->width > DISPLAY_MAX_SIDE ||
	    scanout->height < DISPLAY_MIN_SIDE || scanout->height > DISPLAY_MAX_SIDE) {
		display_add_breach(display, "DMABUF_SCANOUT(%u) of %ux%u", scanout->scanout_id,
				   scanout->width, scanout->height);
	}
	if (!is_known_fourcc(scanout->fd_drm_fourcc) ||
	    (message->modifier != MOD_LINEAR && message->modifier != MOD_INVALID) ||
	    (scanout->fd_flags & ~Y_0_TOP)) {
		display_add_breach(display,
				   "DMABUF_SCANOUT(%u) of fourcc %.4s, modifier %" G_GINT64_MODIFIER
				   "x, flags %x, which can't be checked",
				   scanout->scanout_id, (const char *)&scanout->fd_drm_fourcc,
				   message->modifier, scanout->fd_flags);
	}
}

/* NULL: it can't be read, and that is a breach. */
static const uint8_t *map(struct display *display, const struct gpu_msg_dmabuf_scanout *scanout,
			  int fd, size_t *size_out)
{
	off_t size = lseek(fd, 0, SEEK_END);
	uint64_t needed = (uint64_t)scanout->fd_stride * scanout->fd_height;
	struct statfs fs;

	if (fstatfs(fd, &fs) != 0 || (uint64_t)fs.f_type != DMA_BUF_MAGIC) {
		display_add_breach(display, "DMABUF_SCANOUT(%u) with no dma-buf",
				   scanout->scanout_id);
	}
	if (size < 0 || (uint64_t)size < needed || scanout->fd_stride / 4 < scanout->fd_width ||
	    needed == 0) {
		display_add_breach(display,
				   "DMABUF_SCANOUT(%u) of %ux%u, stride %u, in %" G_GINT64_MODIFIER
				   "d bytes",
				   scanout->scanout_id, scanout->fd_width, scanout->fd_height,
				   scanout->fd_stride, (int64_t)size);
		return NULL;
	}
	void *bytes = mmap(NULL, (size_t)size, PROT_READ, MAP_SHARED, fd, 0);
	if (bytes == MAP_FAILED) {
		display_add_breach(display, "DMABUF_SCANOUT(%u): the buffer can't be mapped",
				   scanout->scanout_id);
		return NULL;
	}
	*size_out = (size_t)size;
	return bytes;
}

/* The descriptor is not needed any more: what can be mapped can be drawn. */
static void replace(struct display *display, const struct gpu_msg_dmabuf_scanout2 *message,
		    const uint8_t *bytes, size_t size)
{
	struct display_surface *surface = &display->surfaces[message->scanout.scanout_id];

	g_mutex_lock(&display->lock);
	bool had_dmabuf = surface->dmabuf.bytes != NULL;
	display_drop_dmabuf(surface);
	g_clear_pointer(&surface->pixels, g_free);
	surface->is_set = bytes != NULL;
	surface->is_shown = false;
	surface->is_off_due = bytes == NULL && had_dmabuf;
	surface->width = bytes ? message->scanout.width : 0;
	surface->height = bytes ? message->scanout.height : 0;
	surface->n_updates = 0;
	if (bytes) {
		surface->dmabuf = (struct display_dmabuf){ bytes, size, *message };
		surface->n_dmabufs += 1;
		surface->pixels = g_new0(uint32_t, (size_t)surface->width * surface->height);
	}
	g_mutex_unlock(&display->lock);
}

/* On this channel: of one before it the daemon can't tell what has arrived. */
static bool was_shown(const struct display *display, uint32_t scanout_id)
{
	const struct display_surface *surface = &display->surfaces[scanout_id];

	return surface->n_scanouts + surface->n_dmabufs > 0;
}

void display_take_dmabuf(struct display *display, const struct gpu_msg_dmabuf_scanout2 *message,
			 const struct incoming_fds *fds)
{
	const struct gpu_msg_dmabuf_scanout *scanout = &message->scanout;
	const uint8_t *bytes = NULL;
	size_t size = 0;

	if (scanout->scanout_id >= DISPLAY_SCANOUTS) {
		display_add_breach(display, "DMABUF_SCANOUT(%u)", scanout->scanout_id);
		return;
	}
	if (scanout->scanout_id >= display->config.n_outputs) {
		display_add_breach(display, "DMABUF_SCANOUT(%u) of %u outputs", scanout->scanout_id,
				   display->config.n_outputs);
	}
	if (fds->n > 0) {
		check_layout(display, message);
		bytes = map(display, scanout, fds->last, &size);
	} else if (!display->surfaces[scanout->scanout_id].dmabuf.bytes &&
		   was_shown(display, scanout->scanout_id)) {
		display_add_breach(display, "DMABUF_SCANOUT(%u) off, and there was no buffer",
				   scanout->scanout_id);
	}
	replace(display, message, bytes, size);
}

static void draw_row(struct display_surface *surface, uint32_t x, uint32_t y, uint32_t width)
{
	const struct gpu_msg_dmabuf_scanout *scanout = &surface->dmabuf.scanout.scanout;
	uint32_t row = scanout->fd_flags & Y_0_TOP ? scanout->fd_height - 1 - y : y;

	uint32_t *to = surface->pixels + (size_t)y * surface->width + x;

	memcpy(to, surface->dmabuf.bytes + (size_t)row * scanout->fd_stride + (size_t)x * 4,
	       (size_t)width * 4);
	for (uint32_t i = 0; i < width && is_swapped(scanout->fd_drm_fourcc); i++) {
		to[i] = (to[i] & 0xff00ff00) | (to[i] & 0xff) << 16 | (to[i] >> 16 & 0xff);
	}
}

void display_draw_dmabuf(struct display *display, const struct gpu_msg_update *update)
{
	struct display_surface *surface = update->scanout_id < DISPLAY_SCANOUTS
						  ? &display->surfaces[update->scanout_id]
						  : NULL;

	if (!surface || !surface->dmabuf.bytes) {
		display_add_breach(display, "DMABUF_UPDATE(%u) of no buffer", update->scanout_id);
		return;
	}
	if (update->width == 0 || update->height == 0 ||
	    (uint64_t)update->x + update->width > surface->width ||
	    (uint64_t)update->y + update->height > surface->height) {
		display_add_breach(display, "DMABUF_UPDATE(%u) of %ux%u+%u+%u of %ux%u",
				   update->scanout_id, update->width, update->height, update->x,
				   update->y, surface->width, surface->height);
		return;
	}
	if (!surface->is_shown &&
	    (update->width != surface->width || update->height != surface->height)) {
		display_add_breach(display, "the first DMABUF_UPDATE(%u) is %ux%u+%u+%u of %ux%u",
				   update->scanout_id, update->width, update->height, update->x,
				   update->y, surface->width, surface->height);
	}
	g_mutex_lock(&display->lock);
	for (uint32_t y = update->y; y < update->y + update->height; y++) {
		draw_row(surface, update->x, y, update->width);
	}
	surface->is_shown = true;
	surface->n_updates += 1;
	g_mutex_unlock(&display->lock);
}
