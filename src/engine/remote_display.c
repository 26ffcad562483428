/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * The keeper never waits for a display, so that messages to it are taken soon;
 * what a slow display makes of them is its wishes' business. Whether a picture
 * has to wait only the keeper knows; but when those before it are sent, it need
 * not be asked.
 */
#include "engine/remote_display.h"

#include "util/log.h"

#define SLOT_WAIT_US 1000
#define SLOT_WAITS 1000

struct remote_display {
	struct display base;
	int link_fd;
	struct link_shared *shared;
	struct frame *frames[LINK_N_SLOTS]; /* owned references, while the keeper reads them */
	struct dmabuf *dmabufs[LINK_N_DMABUFS]; /* owned references, by the number they have there */
	unsigned int next_dmabuf;
	unsigned int next_slot;
	uint32_t last_serial;
};

static const struct display_impl remote_display_impl;

static struct remote_display *from_base(struct display *d)
{
	g_assert(d->impl == &remote_display_impl);
	return (struct remote_display *)(void *)d;
}

/*
 * The keeper is gone if this fails, and who receives from it notices: then
 * this process ends.
 */
static void tell_all(struct remote_display *remote, enum link_type type, const void *head,
		     size_t head_bytes, const void *body, size_t body_bytes, int fd_borrow)
{
	int error = link_send_wait(remote->link_fd, type, head, head_bytes, body, body_bytes,
				   &fd_borrow, fd_borrow >= 0 ? 1 : 0);

	if (error < 0) {
		log_debug("telling the keeper: %s", g_strerror(-error));
	}
}

static void tell_with(struct remote_display *remote, enum link_type type, const void *head,
		      size_t head_bytes, const void *body, size_t body_bytes)
{
	tell_all(remote, type, head, head_bytes, body, body_bytes, -1);
}

static void tell(struct remote_display *remote, enum link_type type, const void *body,
		 size_t size_bytes)
{
	tell_with(remote, type, body, size_bytes, NULL, 0);
}

static bool is_slot(const struct remote_display *remote, unsigned int slot, enum link_slot state)
{
	return g_atomic_int_get(&remote->shared->slots[slot]) == (int)state;
}

static bool is_free(const struct remote_display *remote, unsigned int slot)
{
	return is_slot(remote, slot, LINK_SLOT_FREE);
}

/* Returns how many were not sent yet. */
static unsigned int reclaim(struct remote_display *remote)
{
	unsigned int n_waiting = 0;

	for (unsigned int i = 0; i < LINK_N_SLOTS; i++) {
		if (remote->frames[i] != NULL && is_free(remote, i)) {
			g_clear_pointer(&remote->frames[i], frame_unref);
		}
		n_waiting += is_slot(remote, i, LINK_SLOT_WAITING);
	}
	return n_waiting;
}

static void forget_dmabuf(struct remote_display *remote, unsigned int number)
{
	const struct link_dmabuf message = { .number = number, .is_gone = true };

	g_clear_pointer(&remote->dmabufs[number], dmabuf_unref);
	tell(remote, LINK_DMABUF, &message, sizeof(message));
}

static void remote_reclaim(struct display *d)
{
	struct remote_display *remote = from_base(d);

	reclaim(remote);
	for (unsigned int i = 0; i < LINK_N_DMABUFS; i++) {
		struct dmabuf *dmabuf = remote->dmabufs[i];

		if (dmabuf != NULL && g_atomic_ref_count_compare(&dmabuf->refs, 1)) {
			forget_dmabuf(remote, i);
		}
	}
}

static bool find_slot(struct remote_display *remote, unsigned int *slot_out)
{
	for (unsigned int i = 0; i < LINK_N_SLOTS; i++) {
		unsigned int slot = (remote->next_slot + i) % LINK_N_SLOTS;

		if (is_free(remote, slot)) {
			remote->next_slot = slot + 1;
			*slot_out = slot;
			return true;
		}
	}
	return false;
}

/* There are more of them than a display holds pictures, but the keeper may be behind. */
static bool await_slot(struct remote_display *remote, unsigned int *slot_out)
{
	for (unsigned int i = 0; i < SLOT_WAITS; i++) {
		if (find_slot(remote, slot_out)) {
			return true;
		}
		g_usleep(SLOT_WAIT_US);
	}
	return false;
}

static bool remote_is_watched(struct display *d)
{
	return g_atomic_int_get(&from_base(d)->shared->is_watched) != 0;
}

static uint32_t new_serial(struct remote_display *remote)
{
	remote->last_serial = remote->last_serial == UINT32_MAX ? 1 : remote->last_serial + 1;
	return remote->last_serial;
}

/* Before the keeper is told of the picture. */
static void await(struct link_shared *shared, uint32_t scanout_id, uint32_t serial)
{
	__atomic_store_n(&shared->last_awaited[scanout_id], serial, __ATOMIC_SEQ_CST);
	__atomic_store_n(&shared->awaited[scanout_id], serial, __ATOMIC_SEQ_CST);
}

static bool remote_update(struct display *d, uint32_t scanout_id,
			  const struct display_picture *picture, const struct rect *damage)
{
	struct remote_display *remote = from_base(d);
	struct link_shared *shared = remote->shared;
	struct link_picture message = {
		.scanout_id = scanout_id,
		.offset = frame_offset(picture->frame),
		.width = picture->frame->width,
		.height = picture->frame->height,
		.view = picture->view,
		.damage = *damage,
	};

	bool has_to_wait = reclaim(remote) > 0;
	if (!await_slot(remote, &message.slot)) {
		log_error("the keeper takes no pictures");
		return false;
	}
	frame_unref(remote->frames[message.slot]);
	remote->frames[message.slot] = frame_ref(picture->frame);
	message.serial = new_serial(remote);
	g_atomic_int_set(&shared->slots[message.slot], LINK_SLOT_WAITING);
	if (has_to_wait) {
		await(shared, scanout_id, message.serial);
	}
	tell(remote, LINK_PICTURE, &message, sizeof(message));
	return has_to_wait;
}

void remote_display_give(struct display *d, uint32_t scanout_id, struct frame *frame,
			 const struct rect *view)
{
	struct remote_display *remote = from_base(d);
	struct link_grabbed message = { .is_none = true, .picture.scanout_id = scanout_id };
	struct link_picture *picture = &message.picture;

	reclaim(remote);
	if (frame != NULL && await_slot(remote, &picture->slot)) {
		message.is_none = false;
		picture->offset = frame_offset(frame);
		picture->width = frame->width;
		picture->height = frame->height;
		picture->view = *view;
		picture->damage = (struct rect){ 0, 0, view->width, view->height };
		frame_unref(remote->frames[picture->slot]);
		remote->frames[picture->slot] = frame_ref(frame);
		g_atomic_int_set(&remote->shared->slots[picture->slot], LINK_SLOT_WAITING);
	}
	tell(remote, LINK_GRABBED, &message, sizeof(message));
}

void remote_display_give_cursor(struct display *d, uint32_t scanout_id, const uint32_t *pixels)
{
	const struct link_cursor message = { .scanout_id = scanout_id };

	tell_with(from_base(d), LINK_GRABBED_CURSOR, &message, sizeof(message), pixels,
		  pixels != NULL ? LINK_CURSOR_PIXELS_BYTES : 0);
}

static enum dmabuf_kinds remote_dmabufs(struct display *d)
{
	return (enum dmabuf_kinds)g_atomic_int_get(&from_base(d)->shared->dmabufs);
}

/* A number that is free, or the one that was given out longest ago. */
static unsigned int add_dmabuf(struct remote_display *remote, struct dmabuf *dmabuf)
{
	struct link_dmabuf message = { .layout = dmabuf->layout };
	unsigned int number = remote->next_dmabuf;

	for (unsigned int i = 0; i < LINK_N_DMABUFS && remote->dmabufs[number] != NULL; i++) {
		number = (number + 1) % LINK_N_DMABUFS;
	}
	remote->next_dmabuf = (number + 1) % LINK_N_DMABUFS;
	dmabuf_unref(remote->dmabufs[number]);
	remote->dmabufs[number] = dmabuf_ref(dmabuf);
	message.number = number;
	tell_all(remote, LINK_DMABUF, &message, sizeof(message), NULL, 0, dmabuf->fd);
	return number;
}

/* The keeper has it by that number then. */
static unsigned int find_dmabuf(struct remote_display *remote, struct dmabuf *dmabuf)
{
	for (unsigned int i = 0; i < LINK_N_DMABUFS; i++) {
		if (remote->dmabufs[i] == dmabuf) {
			return i;
		}
	}
	return add_dmabuf(remote, dmabuf);
}

/* Whether it is drawn only the keeper hears. */
static bool remote_update_dmabuf(struct display *d, uint32_t scanout_id, struct dmabuf *dmabuf,
				 uint32_t serial G_GNUC_UNUSED, const struct rect *damage)
{
	struct remote_display *remote = from_base(d);
	const struct link_draw message = {
		.number = find_dmabuf(remote, dmabuf),
		.serial = new_serial(remote),
		.scanout_id = scanout_id,
		.damage = *damage,
	};

	await(remote->shared, scanout_id, message.serial);
	tell(remote, LINK_DRAW, &message, sizeof(message));
	return true;
}

static void remote_disable(struct display *d, uint32_t scanout_id)
{
	tell(from_base(d), LINK_OFF, &scanout_id, sizeof(scanout_id));
}

static void remote_cursor_set(struct display *d, const struct display_cursor *cursor)
{
	const struct link_cursor message = {
		.scanout_id = cursor->scanout_id,
		.x = cursor->x,
		.y = cursor->y,
		.hot_x = cursor->hot_x,
		.hot_y = cursor->hot_y,
	};

	tell_with(from_base(d), LINK_CURSOR, &message, sizeof(message), cursor->pixels,
		  cursor->pixels != NULL ? LINK_CURSOR_PIXELS_BYTES : 0);
}

static void remote_cursor_hide(struct display *d, uint32_t scanout_id, uint32_t x, uint32_t y)
{
	const struct link_cursor message = { .scanout_id = scanout_id, .x = x, .y = y };

	tell(from_base(d), LINK_CURSOR_HIDE, &message, sizeof(message));
}

/* The keeper answers each, also where there is nobody to ask. */
static bool remote_request_info(struct display *d, uint64_t token)
{
	const struct link_question message = { .token = token };

	tell(from_base(d), LINK_ASK_INFO, &message, sizeof(message));
	return true;
}

static bool remote_request_edid(struct display *d, uint64_t token, uint32_t scanout_id)
{
	const struct link_question message = { .token = token, .scanout_id = scanout_id };

	tell(from_base(d), LINK_ASK_EDID, &message, sizeof(message));
	return true;
}

static void remote_destroy(struct display *d)
{
	struct remote_display *remote = from_base(d);

	for (unsigned int i = 0; i < LINK_N_SLOTS; i++) {
		frame_unref(remote->frames[i]);
	}
	for (unsigned int i = 0; i < LINK_N_DMABUFS; i++) {
		dmabuf_unref(remote->dmabufs[i]);
	}
	g_free(remote);
}

static const struct display_impl remote_display_impl = {
	.name = "remote",
	.destroy = remote_destroy,
	.is_watched = remote_is_watched,
	.update = remote_update,
	.dmabufs = remote_dmabufs,
	.update_dmabuf = remote_update_dmabuf,
	.reclaim = remote_reclaim,
	.disable = remote_disable,
	.cursor_set = remote_cursor_set,
	.cursor_hide = remote_cursor_hide,
	.request_info = remote_request_info,
	.request_edid = remote_request_edid,
};

struct display *display_create_remote(int link_fd, struct link_shared *shared,
				      const struct display_listener *listener, void *data)
{
	struct remote_display *remote = g_new0(struct remote_display, 1);

	display_init(&remote->base, &remote_display_impl, listener, data);
	remote->link_fd = link_fd;
	remote->shared = shared;
	return &remote->base;
}
