/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "screen.h"

#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "fuzz.h"
#include "util/sock.h"

/* For the other end's thread to do what it is about to. */
#define MOMENT_MS 2

void screen_init(struct screen *screen)
{
	*screen = (struct screen){ .fd = -1 };
	g_queue_init(&screen->questions);
}

void screen_finish(struct screen *screen)
{
	screen_hang_up(screen);
}

void screen_hang_up(struct screen *screen)
{
	struct screen before = *screen;

	g_queue_clear(&screen->questions);
	if (screen->fd >= 0) {
		close(screen->fd);
	}
	screen_init(screen);
	screen->is_later = true;
	for (unsigned int i = 0; i < DISPLAY_MAX_SCANOUTS; i++) {
		screen->surfaces[i].is_dmabuf = before.surfaces[i].is_dmabuf;
	}
}

int screen_connect(struct screen *screen)
{
	int pair[2];

	screen_hang_up(screen);
	g_assert_no_errno(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair));
	screen->fd = pair[0];
	return pair[1];
}

/* ---- what comes ---- */

/* How long a message of this kind is; UPDATE is longer by its pixels. */
static uint32_t payload_bytes(uint32_t request)
{
	switch (request) {
	case VUG_GET_PROTOCOL_FEATURES:
	case VUG_GET_DISPLAY_INFO:
		return 0;
	case VUG_SET_PROTOCOL_FEATURES:
		return sizeof(uint64_t);
	case VUG_CURSOR_POS:
	case VUG_CURSOR_POS_HIDE:
		return sizeof(struct vug_cursor_pos);
	case VUG_CURSOR_UPDATE:
		return sizeof(struct vug_cursor_update);
	case VUG_SCANOUT:
		return sizeof(struct vug_scanout);
	case VUG_UPDATE:
		return sizeof(struct vug_update);
	case VUG_GET_EDID:
		return sizeof(struct vug_edid_request);
	case VUG_DMABUF_SCANOUT:
		return sizeof(struct vug_dmabuf_scanout);
	case VUG_DMABUF_SCANOUT2:
		return sizeof(struct vug_dmabuf_scanout2);
	case VUG_DMABUF_UPDATE:
		return sizeof(struct vug_update);
	default:
		g_error("a message %u on the display channel", request);
	}
}

static void check_scanout(struct screen *screen, const struct vug_scanout *body)
{
	g_assert_cmpuint(body->scanout_id, <, DISPLAY_MAX_SCANOUTS);
	g_assert_cmpint(body->width == 0, ==, body->height == 0);
	g_assert_true(body->width == 0 ||
		      (body->width >= DISPLAY_MIN_SIDE && body->height >= DISPLAY_MIN_SIDE));
	g_assert_cmpuint(body->width, <=, DISPLAY_MAX_SIDE);
	g_assert_cmpuint(body->height, <=, DISPLAY_MAX_SIDE);
	g_assert_false(screen->surfaces[body->scanout_id].is_dmabuf);
	screen->surfaces[body->scanout_id].width = body->width;
	screen->surfaces[body->scanout_id].height = body->height;
	screen->surfaces[body->scanout_id].is_full_due = body->width > 0;
}

static void check_update(struct screen *screen, const struct vug_update *body)
{
	const struct rect rect = { body->x, body->y, body->width, body->height };

	g_assert_cmpuint(body->scanout_id, <, DISPLAY_MAX_SCANOUTS);
	uint32_t width = screen->surfaces[body->scanout_id].width;
	uint32_t height = screen->surfaces[body->scanout_id].height;
	g_assert_cmpuint(width, >, 0);
	g_assert_false(rect_is_empty(&rect));
	g_assert_true(rect_is_inside(&rect, width, height));
	if (screen->header.request == VUG_DMABUF_UPDATE) {
		g_assert_true(screen->surfaces[body->scanout_id].is_dmabuf);
	} else {
		g_assert_false(screen->surfaces[body->scanout_id].is_dmabuf);
		g_assert_cmpuint(screen->header.size, ==,
				 sizeof(*body) + 4ull * body->width * body->height);
	}
	if (screen->surfaces[body->scanout_id].is_full_due) {
		g_assert_true(rect.width == width && rect.height == height);
		screen->surfaces[body->scanout_id].is_full_due = false;
	}
}

/* A second one before the first is answered may get one answer with it. */
static void check_draw(struct screen *screen)
{
	screen->n_draws++;
	g_assert_true(screen->has_lied || screen->n_draws <= screen->n_drawn + 1);
}

/* Without a descriptor what there was goes. */
static void check_dmabuf(struct screen *screen, const struct vug_dmabuf_scanout *body)
{
	g_assert_cmpuint(body->scanout_id, <, DISPLAY_MAX_SCANOUTS);
	g_assert_true(body->x == 0 && body->y == 0);
	if (screen->has_fd) {
		g_assert_true(body->width == body->fd_width && body->height == body->fd_height);
		g_assert_cmpuint(body->width, >=, DISPLAY_MIN_SIDE);
		g_assert_cmpuint(body->height, >=, DISPLAY_MIN_SIDE);
	} else {
		/* One that was sent on a channel before this one may not have arrived. */
		g_assert_true(screen->surfaces[body->scanout_id].is_dmabuf || screen->is_later);
	}
	screen->surfaces[body->scanout_id].is_dmabuf = screen->has_fd;
	screen->surfaces[body->scanout_id].width = screen->has_fd ? body->width : 0;
	screen->surfaces[body->scanout_id].height = screen->has_fd ? body->height : 0;
	screen->surfaces[body->scanout_id].is_full_due = screen->has_fd;
}

/* GTK, for one, has no cursor whose hot spot is outside of it. */
static void check_cursor(const struct vug_cursor_update *body)
{
	g_assert_cmpuint(body->pos.scanout_id, <, DISPLAY_MAX_SCANOUTS);
	g_assert_cmpuint(body->hot_x, <, DISPLAY_CURSOR_SIDE);
	g_assert_cmpuint(body->hot_y, <, DISPLAY_CURSOR_SIDE);
}

/* A whole message; of a long one, its first bytes. */
static void check_message(struct screen *screen)
{
	struct vug_cursor_update cursor;
	struct vug_dmabuf_scanout dmabuf;
	struct vug_scanout scanout;
	struct vug_update update;

	switch (screen->header.request) {
	case VUG_DMABUF_SCANOUT:
	case VUG_DMABUF_SCANOUT2:
		memcpy(&dmabuf, screen->body, sizeof(dmabuf));
		check_dmabuf(screen, &dmabuf);
		break;
	case VUG_DMABUF_UPDATE:
		memcpy(&update, screen->body, sizeof(update));
		check_update(screen, &update);
		check_draw(screen);
		g_queue_push_tail(&screen->questions, GUINT_TO_POINTER(screen->header.request));
		break;
	case VUG_SCANOUT:
		memcpy(&scanout, screen->body, sizeof(scanout));
		check_scanout(screen, &scanout);
		break;
	case VUG_UPDATE:
		memcpy(&update, screen->body, sizeof(update));
		check_update(screen, &update);
		break;
	case VUG_CURSOR_UPDATE:
		/* Without its pixels. */
		memset(&cursor, 0, sizeof(cursor));
		memcpy(&cursor, screen->body, sizeof(screen->body));
		check_cursor(&cursor);
		break;
	case VUG_GET_PROTOCOL_FEATURES:
	case VUG_GET_DISPLAY_INFO:
	case VUG_GET_EDID:
		g_queue_push_tail(&screen->questions, GUINT_TO_POINTER(screen->header.request));
		break;
	default:
		break;
	}
}

static void check_header(const struct screen *screen)
{
	const struct vug_header *header = &screen->header;
	uint32_t size = payload_bytes(header->request);

	g_assert_true(!screen->has_fd || header->request == VUG_DMABUF_SCANOUT ||
		      header->request == VUG_DMABUF_SCANOUT2);
	g_assert_cmphex(header->flags, ==, 0);
	if (header->request == VUG_UPDATE) {
		g_assert_cmpuint(header->size, >, size);
	} else {
		g_assert_cmpuint(header->size, ==, size);
	}
}

/* The bytes that the message still needs and where the next ones go; NULL: nowhere. */
static uint64_t next_part(struct screen *screen, char **to_out)
{
	uint64_t header_bytes = sizeof(screen->header);
	uint64_t kept_bytes = header_bytes + sizeof(screen->body);

	if (screen->got_bytes < header_bytes) {
		*to_out = (char *)&screen->header + screen->got_bytes;
		return header_bytes - screen->got_bytes;
	}
	uint64_t left = header_bytes + screen->header.size - screen->got_bytes;
	if (screen->got_bytes < kept_bytes) {
		*to_out = (char *)screen->body + (screen->got_bytes - header_bytes);
		return MIN(left, kept_bytes - screen->got_bytes);
	}
	*to_out = NULL;
	return left;
}

/* Returns bytes, 0 if there are none now. */
static size_t read_some(struct screen *screen, size_t max_bytes)
{
	static char ignored[65536];
	char *to;
	size_t size = (size_t)MIN(next_part(screen, &to), MIN(max_bytes, sizeof(ignored)));
	int fds[SOCK_MAX_FDS];
	size_t n_fds = 0;
	ssize_t n = sock_receive(screen->fd, to != NULL ? to : ignored, size, fds, &n_fds);

	if (n > 0 && n_fds > 0) {
		g_assert_cmpuint(n_fds, ==, 1);
		g_assert_cmpuint(screen->got_bytes, ==, 0);
		screen->has_fd = true;
		close(fds[0]);
	}
	return n > 0 ? (size_t)n : 0;
}

void screen_read(struct screen *screen, size_t max_bytes)
{
	while (screen->fd >= 0 && max_bytes > 0) {
		size_t n = read_some(screen, max_bytes);

		if (n == 0) {
			return;
		}
		max_bytes -= n;
		screen->got_bytes += n;
		if (screen->got_bytes == sizeof(screen->header)) {
			check_header(screen);
		}
		if (screen->got_bytes >= sizeof(screen->header) &&
		    screen->got_bytes == sizeof(screen->header) + screen->header.size) {
			check_message(screen);
			screen->got_bytes = 0;
			screen->has_fd = false;
		}
	}
}

/* ---- what goes ---- */

void screen_send(struct screen *screen, const void *bytes, size_t size_bytes)
{
	if (screen->fd >= 0) {
		ssize_t ignored = send(screen->fd, bytes, size_bytes, MSG_DONTWAIT | MSG_NOSIGNAL);
		(void)ignored;
	}
}

static bool is_heard(void *data)
{
	const struct screen *screen = data;

	return screen->fd < 0 || sock_unread_bytes(screen->fd) == 0;
}

void screen_let_hear(struct screen *screen)
{
	fuzz_wait(is_heard, screen, MOMENT_MS);
}

static bool has_question(void *data)
{
	struct screen *screen = data;

	screen_read(screen, SIZE_MAX);
	return screen->fd < 0 || !g_queue_is_empty(&screen->questions);
}

void screen_await_question(struct screen *screen)
{
	fuzz_wait(has_question, screen, MOMENT_MS);
}

static uint32_t reply_bytes(uint32_t request)
{
	switch (request) {
	case VUG_GET_PROTOCOL_FEATURES:
		return sizeof(uint64_t);
	case VUG_GET_DISPLAY_INFO:
		return sizeof(struct virtio_gpu_resp_display_info);
	case VUG_DMABUF_UPDATE:
		return 0;
	default:
		return sizeof(struct virtio_gpu_resp_edid);
	}
}

void screen_reply(struct screen *screen, struct fuzz_input *in)
{
	struct {
		struct vug_header header;
		union vug_reply payload;
	} message;
	uint8_t how = fuzz_input_u8(in);
	uint32_t request = fuzz_input_u8(in) % 16;

	memset(&message, 0, sizeof(message));
	screen_await_question(screen);
	if (how < 0xc0 && !g_queue_is_empty(&screen->questions)) {
		request = GPOINTER_TO_UINT(g_queue_pop_head(&screen->questions));
	}
	message.header = (struct vug_header){ request, VUG_FLAG_REPLY, reply_bytes(request) };
	if (request == VUG_GET_PROTOCOL_FEATURES) {
		message.payload.protocol_features = how & 3;
	} else {
		/* Behind the header that every virtio response has: what matters. */
		fuzz_input_copy(in, (char *)&message.payload + sizeof(message.payload.info.hdr),
				16);
	}
	if (how >= 0xf0) {
		message.header.size = fuzz_input_u16(in) % (sizeof(message.payload) + 1);
	}
	/* Before it is sent, for the next one may come at once. */
	screen->n_drawn += request == VUG_DMABUF_UPDATE;
	screen_send(screen, &message.header, sizeof(message.header));
	screen_send(screen, &message.payload, message.header.size);
	screen_let_hear(screen);
}
