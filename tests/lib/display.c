/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * Reads as QEMU's vhost_user_gpu_chr_read() does: exactly a header, then exactly its payload, so
 * that a file descriptor that comes along can be told to belong to the message it came with.
 *
 * The rules, and what QEMU does when one is broken:
 *   UPDATE before SCANOUT or after SCANOUT(0)   NULL dereference, use after free
 *   side of a surface not 16..16384             abort in qemu_create_displaysurface(), or no
 * console below 16 payload != 20 + w*h*4, message cut off      reads beyond the buffer; waits with
 * its big lock held first UPDATE not the whole surface          the rest of the new surface shows
 * as black SCANOUT again before an UPDATE              leaks the surface SCANOUT of the same
 * geometry again          a new surface for every page flip flags on anything but an answer taken
 * for an answer a descriptor with anything but DMABUF_*     becomes the next scanout's buffer an id
 * that was not negotiated               no answer, ever (7.2) a second DMABUF_UPDATE before the
 * answer    one answer for two a question that is out of place             the answer is read by
 * the wrong handler
 */
#include <errno.h>
#include <linux/virtio_gpu.h>
#include <poll.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "display.h"
#include "display_dmabuf.h"
#include "display_wait.h"
#include "suite.h"

#define PROMPT_MS 2000
#define FRAME_MS 16
#define MAX_PAYLOAD                                                                                \
	(128u << 20) /* far more than any frame here has; a wrong size must not eat the memory */

enum read_result { READ_OK, READ_CLOSED, READ_STOPPED };

struct incoming {
	struct gpu_msg_header header;
	uint8_t *payload;
	struct incoming_fds fds;
};

#define breach display_add_breach

void display_add_breach(struct display *display, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	g_mutex_lock(&display->lock);
	g_ptr_array_add(display->breaches, g_strdup_vprintf(format, args));
	g_mutex_unlock(&display->lock);
	va_end(args);
}

struct display_config display_config_default(void)
{
	return (struct display_config){
		.protocol_features = VHOST_USER_GPU_F_EDID | VHOST_USER_GPU_F_DMABUF2,
		.n_outputs = 1,
		.width = 1280,
		.height = 800,
	};
}

void display_make_edid(uint32_t scanout_id, uint8_t *edid_out)
{
	static const uint8_t magic[8] = {0x00, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x00};
	uint8_t sum = 0;

	memset(edid_out, 0, 128);
	memcpy(edid_out, magic, sizeof(magic));
	edid_out[8] = 0x49;
	edid_out[9] = 0x14;
	edid_out[12] = (uint8_t)scanout_id;
	edid_out[18] = 1;
	edid_out[19] = 4;
	for (unsigned int i = 0; i < 127; i++) {
		sum = (uint8_t)(sum + edid_out[i]);
	}
	edid_out[127] = (uint8_t)-sum;
}

struct display *display_create(const struct display_config *config)
{
	struct display *display = g_new0(struct display, 1);

	display->config = *config;
	g_mutex_init(&display->lock);
	g_cond_init(&display->changed);
	display->fd = -1;
	display->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	g_assert_no_errno(display->wake_fd);
	display->messages = g_array_new(FALSE, FALSE, sizeof(struct display_message));
	display->breaches = g_ptr_array_new_with_free_func(g_free);
	return display;
}

/* ---- the thread ---- */

/* The last one is kept, as QEMU does. */
static void take_fds(struct msghdr *msg, struct incoming_fds *fds)
{

	for (struct cmsghdr *cmsg = CMSG_FIRSTHDR(msg); cmsg; cmsg = CMSG_NXTHDR(msg, cmsg)) {
		if (cmsg->cmsg_level != SOL_SOCKET || cmsg->cmsg_type != SCM_RIGHTS) {
			continue;
		}
		size_t n = (cmsg->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		for (size_t i = 0; i < n; i++) {
			int fd;
			memcpy(&fd, CMSG_DATA(cmsg) + i * sizeof(int), sizeof(fd));
			if (fds->last >= 0) {
				close(fds->last);
			}
			fds->last = fd;
			fds->n += 1;
		}
	}
}

/* Waits until reading is allowed and possible. */
static enum read_result wait_readable(struct display *display, int64_t *deadline_us)
{
	for (;;) {
		g_mutex_lock(&display->lock);
		bool must_stop = display->must_stop;
		bool is_stalled = display->is_stalled;
		g_mutex_unlock(&display->lock);
		if (must_stop) {
			return READ_STOPPED;
		}
		struct pollfd fds[2] = {
			{.fd = display->wake_fd, .events = POLLIN},
			{.fd = is_stalled ? -1 : display->fd, .events = POLLIN},
		};
		int timeout_ms = *deadline_us && !is_stalled ? suite_left_ms(*deadline_us) : -1;
		int n = poll(fds, 2, timeout_ms);
		if (n == 0) {
			breach(display, "a message was begun and not completed within %d ms",
			       PROMPT_MS);
			*deadline_us = 0;
		}
		if (n > 0 && fds[0].revents) {
			eventfd_t value;
			(void)eventfd_read(display->wake_fd, &value);
			if (*deadline_us) {
				*deadline_us = suite_deadline_us(PROMPT_MS);
			}
			continue;
		}
		if (n > 0 && fds[1].revents) {
			return READ_OK;
		}
	}
}

/* How much may be read at once; 0: it is time to hang up. */
static size_t pace(struct display *display, size_t size)
{
	g_mutex_lock(&display->lock);
	uint32_t bytes_per_read = display->bytes_per_read;
	uint64_t left = display->hang_up_at > 0 ? display->hang_up_at - display->n_bytes : size;
	g_mutex_unlock(&display->lock);
	if (bytes_per_read > 0) {
		g_usleep(1000);
		size = MIN(size, bytes_per_read);
	}
	return MIN(size, left);
}

static enum read_result read_exactly(struct display *display, void *buffer, size_t size,
				     bool is_begun, struct incoming_fds *fds)
{
	uint8_t *bytes = buffer;
	int64_t deadline = is_begun ? suite_deadline_us(PROMPT_MS) : 0;

	while (size > 0) {
		union {
			char bytes[CMSG_SPACE(sizeof(int) * 8)];
			struct cmsghdr align;
		} control;
		enum read_result result = wait_readable(display, &deadline);
		if (result != READ_OK) {
			return result;
		}
		struct iovec iov = {bytes, pace(display, size)};
		if (iov.iov_len == 0) {
			shutdown(display->fd, SHUT_RDWR);
			return READ_STOPPED;
		}
		struct msghdr msg = {.msg_iov = &iov,
				     .msg_iovlen = 1,
				     .msg_control = control.bytes,
				     .msg_controllen = sizeof(control.bytes)};
		ssize_t length = recvmsg(display->fd, &msg, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
		if (length < 0 && errno == EAGAIN) {
			continue;
		}
		if (length <= 0) {
			return READ_CLOSED;
		}
		take_fds(&msg, fds);
		bytes += length;
		size -= (size_t)length;
		g_mutex_lock(&display->lock);
		display->n_bytes += (uint64_t)length;
		g_cond_broadcast(&display->changed);
		g_mutex_unlock(&display->lock);
		deadline = suite_deadline_us(PROMPT_MS);
	}
	return READ_OK;
}

static void reply(struct display *display, uint32_t request, const void *payload, uint32_t size)
{
	struct gpu_msg_header header = {request, VHOST_USER_GPU_FLAG_REPLY, size};
	g_autofree uint8_t *bytes = g_malloc(sizeof(header) + size);

	if (display->config.has_garbage_replies) {
		header.request ^= 0x55;
		header.size = MIN(size, 3u);
		size = header.size;
	}
	memcpy(bytes, &header, sizeof(header));
	if (size > 0) {
		memcpy(bytes + sizeof(header), payload, size);
	}
	/* A daemon that has gone meanwhile is no fault of the display. */
	(void)!send(display->fd, bytes, sizeof(header) + size, MSG_NOSIGNAL);
}

static void handle_get_protocol_features(struct display *display)
{
	uint64_t features = display->config.protocol_features;

	if (display->config.is_silent_about_features) {
		return;
	}
	g_mutex_lock(&display->lock);
	display->has_offered_features = true;
	g_mutex_unlock(&display->lock);
	reply(display, VHOST_USER_GPU_GET_PROTOCOL_FEATURES, &features, sizeof(features));
}

static void handle_set_protocol_features(struct display *display, const struct incoming *incoming)
{
	uint64_t features;

	memcpy(&features, incoming->payload, sizeof(features));
	if (features & ~display->config.protocol_features) {
		breach(display,
		       "SET_PROTOCOL_FEATURES 0x%" G_GINT64_MODIFIER
		       "x, offered 0x%" G_GINT64_MODIFIER "x",
		       features, display->config.protocol_features);
	}
	g_mutex_lock(&display->lock);
	if (!display->has_offered_features) {
		g_ptr_array_add(display->breaches,
				g_strdup("SET_PROTOCOL_FEATURES before the offer was answered"));
	}
	display->acked_features = features;
	display->has_acked_features = true;
	g_mutex_unlock(&display->lock);
}

static void handle_get_display_info(struct display *display)
{
	struct virtio_gpu_resp_display_info info = {.hdr.type = VIRTIO_GPU_RESP_OK_DISPLAY_INFO};

	/* A test may resize the console meanwhile. */
	g_mutex_lock(&display->lock);
	for (uint32_t i = 0; i < display->config.n_outputs; i++) {
		info.pmodes[i].r = (struct virtio_gpu_rect){0, 0, display->config.width,
							    display->config.height};
		info.pmodes[i].enabled = 1;
	}
	display->n_display_infos += 1;
	g_mutex_unlock(&display->lock);
	reply(display, VHOST_USER_GPU_GET_DISPLAY_INFO, &info, sizeof(info));
}

static void handle_get_edid(struct display *display, const struct incoming *incoming)
{
	struct virtio_gpu_resp_edid edid = {.hdr.type = VIRTIO_GPU_RESP_OK_EDID, .size = 1024};
	uint32_t scanout_id;

	memcpy(&scanout_id, incoming->payload, sizeof(scanout_id));
	if (scanout_id >= display->config.n_outputs) {
		return;
	}
	g_mutex_lock(&display->lock);
	display->n_edids[scanout_id] += 1;
	g_mutex_unlock(&display->lock);
	display_make_edid(scanout_id, edid.edid);
	reply(display, VHOST_USER_GPU_GET_EDID, &edid, sizeof(edid));
}

static void handle_cursor_pos(struct display *display, const struct incoming *incoming)
{
	struct gpu_msg_cursor_pos pos;

	memcpy(&pos, incoming->payload, sizeof(pos));
	if (pos.scanout_id >= DISPLAY_SCANOUTS) {
		breach(display, "CURSOR_POS for scanout %u", pos.scanout_id);
		return;
	}
	g_mutex_lock(&display->lock);
	struct display_cursor *cursor = &display->cursors[pos.scanout_id];
	cursor->is_visible = incoming->header.request == VHOST_USER_GPU_CURSOR_POS;
	cursor->n_moves += 1;
	cursor->x = pos.x;
	cursor->y = pos.y;
	g_mutex_unlock(&display->lock);
}

static void handle_cursor_update(struct display *display, const struct incoming *incoming)
{
	const struct gpu_msg_cursor_update *update = (const void *)incoming->payload;

	if (update->pos.scanout_id >= DISPLAY_SCANOUTS) {
		breach(display, "CURSOR_UPDATE for scanout %u", update->pos.scanout_id);
		return;
	}
	g_mutex_lock(&display->lock);
	struct display_cursor *cursor = &display->cursors[update->pos.scanout_id];
	cursor->is_visible = true;
	cursor->n_updates += 1;
	cursor->x = update->pos.x;
	cursor->y = update->pos.y;
	cursor->hot_x = update->hot_x;
	cursor->hot_y = update->hot_y;
	memcpy(cursor->data, update->data, sizeof(cursor->data));
	g_mutex_unlock(&display->lock);
}

static void check_scanout(struct display *display, const struct display_surface *surface,
			  const struct gpu_msg_scanout *scanout)
{
	if (surface->dmabuf.bytes) {
		breach(display, "SCANOUT(%u) under a buffer that is still shown",
		       scanout->scanout_id);
	}
	if (scanout->width == 0) {
		if (!surface->is_set && !surface->is_off_due && surface->n_scanouts > 0) {
			breach(display, "SCANOUT(%u) off, and it was off already",
			       scanout->scanout_id);
		}
	} else if (scanout->width < DISPLAY_MIN_SIDE || scanout->width > DISPLAY_MAX_SIDE ||
		   scanout->height < DISPLAY_MIN_SIDE || scanout->height > DISPLAY_MAX_SIDE) {
		breach(display, "SCANOUT(%u) of %ux%u", scanout->scanout_id, scanout->width,
		       scanout->height);
	} else if (surface->is_set && surface->width == scanout->width &&
		   surface->height == scanout->height) {
		breach(display, "SCANOUT(%u) of the same %ux%u again", scanout->scanout_id,
		       scanout->width, scanout->height);
	}
	if (surface->is_set && !surface->is_shown) {
		breach(display, "SCANOUT(%u) of %ux%u before the last one had an UPDATE",
		       scanout->scanout_id, scanout->width, scanout->height);
	}
}

static void handle_scanout(struct display *display, const struct incoming *incoming)
{
	struct gpu_msg_scanout scanout;

	memcpy(&scanout, incoming->payload, sizeof(scanout));
	if (scanout.scanout_id >= DISPLAY_SCANOUTS) {
		breach(display, "SCANOUT(%u)", scanout.scanout_id);
		return;
	}
	struct display_surface *surface = &display->surfaces[scanout.scanout_id];
	check_scanout(display, surface, &scanout);
	g_mutex_lock(&display->lock);
	g_clear_pointer(&surface->pixels, g_free);
	surface->is_set = scanout.width > 0;
	surface->is_shown = false;
	surface->is_off_due = false;
	surface->width = scanout.width;
	surface->height = scanout.width > 0 ? scanout.height : 0;
	surface->n_updates = 0;
	surface->n_scanouts += 1;
	if (surface->is_set && surface->width <= DISPLAY_MAX_SIDE &&
	    surface->height <= DISPLAY_MAX_SIDE) {
		surface->pixels = g_new0(uint32_t, (size_t)surface->width * surface->height);
	}
	g_mutex_unlock(&display->lock);
}

static bool check_update(struct display *display, const struct display_surface *surface,
			 const struct gpu_msg_update *update, uint32_t size)
{
	if (!surface->is_set || surface->dmabuf.bytes) {
		breach(display, "UPDATE(%u) of %ux%u with no SCANOUT in force", update->scanout_id,
		       update->width, update->height);
		return false;
	}
	if (update->width == 0 || update->height == 0 || update->x > surface->width ||
	    update->width > surface->width - update->x || update->y > surface->height ||
	    update->height > surface->height - update->y) {
		breach(display, "UPDATE(%u) of %ux%u+%u+%u on a surface of %ux%u",
		       update->scanout_id, update->width, update->height, update->x, update->y,
		       surface->width, surface->height);
		return false;
	}
	if (size != sizeof(*update) + (uint64_t)update->width * update->height * 4) {
		breach(display, "UPDATE(%u) of %ux%u in %u bytes", update->scanout_id,
		       update->width, update->height, size);
		return false;
	}
	if (!surface->is_shown &&
	    (update->width != surface->width || update->height != surface->height)) {
		breach(display, "the first UPDATE(%u) is %ux%u+%u+%u of %ux%u", update->scanout_id,
		       update->width, update->height, update->x, update->y, surface->width,
		       surface->height);
	}
	return true;
}

static void handle_update(struct display *display, const struct incoming *incoming)
{
	struct gpu_msg_update update;

	if (incoming->header.size < sizeof(update)) {
		breach(display, "UPDATE of %u bytes", incoming->header.size);
		return;
	}
	memcpy(&update, incoming->payload, sizeof(update));
	if (update.scanout_id >= DISPLAY_SCANOUTS) {
		breach(display, "UPDATE(%u)", update.scanout_id);
		return;
	}
	struct display_surface *surface = &display->surfaces[update.scanout_id];
	if (!check_update(display, surface, &update, incoming->header.size)) {
		return;
	}
	g_mutex_lock(&display->lock);
	for (uint32_t row = 0; row < update.height; row++) {
		memcpy(surface->pixels + (size_t)(update.y + row) * surface->width + update.x,
		       incoming->payload + sizeof(update) + (size_t)row * update.width * 4,
		       (size_t)update.width * 4);
	}
	surface->is_shown = true;
	surface->n_updates += 1;
	g_mutex_unlock(&display->lock);
}

/* The answer takes a frame's time, as a UI's does: a second update sent meanwhile shows in the
 * socket. What is drawn is what is there then. */
static void handle_dmabuf_update(struct display *display, const struct incoming *incoming)
{
	struct pollfd pollfd = {.fd = display->fd, .events = POLLIN};
	struct gpu_msg_header next;

	if (poll(&pollfd, 1, FRAME_MS) > 0 &&
	    recv(display->fd, &next, sizeof(next), MSG_PEEK | MSG_DONTWAIT) == sizeof(next) &&
	    next.request == VHOST_USER_GPU_DMABUF_UPDATE) {
		breach(display, "a second DMABUF_UPDATE before the first one's answer");
	}
	display_draw_dmabuf(display, (const void *)incoming->payload);
	if (!display->config.is_silent_about_dmabufs) {
		reply(display, VHOST_USER_GPU_DMABUF_UPDATE, NULL, 0);
	}
}

static const struct {
	uint32_t size; /* UINT32_MAX: any */
	uint64_t needs;
	unsigned int max_fds;
} known[] = {
	[VHOST_USER_GPU_GET_PROTOCOL_FEATURES] = {0, 0, 0},
	[VHOST_USER_GPU_SET_PROTOCOL_FEATURES] = {8, 0, 0},
	[VHOST_USER_GPU_GET_DISPLAY_INFO] = {0, 0, 0},
	[VHOST_USER_GPU_CURSOR_POS] = {sizeof(struct gpu_msg_cursor_pos), 0, 0},
	[VHOST_USER_GPU_CURSOR_POS_HIDE] = {sizeof(struct gpu_msg_cursor_pos), 0, 0},
	[VHOST_USER_GPU_CURSOR_UPDATE] = {sizeof(struct gpu_msg_cursor_update), 0, 0},
	[VHOST_USER_GPU_SCANOUT] = {sizeof(struct gpu_msg_scanout), 0, 0},
	[VHOST_USER_GPU_UPDATE] = {UINT32_MAX, 0, 0},
	[VHOST_USER_GPU_DMABUF_SCANOUT] = {sizeof(struct gpu_msg_dmabuf_scanout), 0, 1},
	[VHOST_USER_GPU_DMABUF_UPDATE] = {sizeof(struct gpu_msg_update), 0, 0},
	[VHOST_USER_GPU_GET_EDID] = {4, VHOST_USER_GPU_F_EDID, 0},
	[VHOST_USER_GPU_DMABUF_SCANOUT2] = {sizeof(struct gpu_msg_dmabuf_scanout2),
					    VHOST_USER_GPU_F_DMABUF2, 1},
};

static bool check_header(struct display *display, const struct incoming *incoming)
{
	const struct gpu_msg_header *header = &incoming->header;

	if (header->request == 0 || header->request >= G_N_ELEMENTS(known)) {
		breach(display, "unknown request %u of %u bytes", header->request, header->size);
		return false;
	}
	if (header->flags != 0) {
		breach(display, "request %u with flags 0x%x", header->request, header->flags);
	}
	if (incoming->fds.n > known[header->request].max_fds) {
		breach(display, "request %u with %u descriptors", header->request, incoming->fds.n);
	}
	uint64_t missing = known[header->request].needs & ~display->config.protocol_features;
	if (missing || (known[header->request].needs && !display->has_offered_features)) {
		breach(display, "request %u was not negotiated", header->request);
		return display->config.is_lenient && !missing;
	}
	if (known[header->request].size != UINT32_MAX &&
	    header->size != known[header->request].size) {
		breach(display, "request %u of %u bytes", header->request, header->size);
		return false;
	}
	return true;
}

static void dispatch(struct display *display, const struct incoming *incoming)
{
	struct gpu_msg_dmabuf_scanout2 dmabuf = {0};

	switch (incoming->header.request) {
	case VHOST_USER_GPU_GET_PROTOCOL_FEATURES:
		handle_get_protocol_features(display);
		break;
	case VHOST_USER_GPU_SET_PROTOCOL_FEATURES:
		handle_set_protocol_features(display, incoming);
		break;
	case VHOST_USER_GPU_GET_DISPLAY_INFO:
		handle_get_display_info(display);
		break;
	case VHOST_USER_GPU_CURSOR_POS:
	case VHOST_USER_GPU_CURSOR_POS_HIDE:
		handle_cursor_pos(display, incoming);
		break;
	case VHOST_USER_GPU_CURSOR_UPDATE:
		handle_cursor_update(display, incoming);
		break;
	case VHOST_USER_GPU_SCANOUT:
		handle_scanout(display, incoming);
		break;
	case VHOST_USER_GPU_UPDATE:
		handle_update(display, incoming);
		break;
	case VHOST_USER_GPU_DMABUF_SCANOUT:
	case VHOST_USER_GPU_DMABUF_SCANOUT2:
		memcpy(&dmabuf, incoming->payload, incoming->header.size);
		display_take_dmabuf(display, &dmabuf, &incoming->fds);
		break;
	case VHOST_USER_GPU_DMABUF_UPDATE:
		handle_dmabuf_update(display, incoming);
		break;
	case VHOST_USER_GPU_GET_EDID:
		handle_get_edid(display, incoming);
		break;
	default:
		break;
	}
}

/* Before it is handled, so that whoever waits for the effect finds the message in the list. */
static void log_message(struct display *display, const struct incoming *incoming)
{
	struct display_message message = {.request = incoming->header.request,
					  .size = incoming->header.size};
	uint32_t words[5] = {0};

	memcpy(words, incoming->payload, MIN(incoming->header.size, sizeof(words)));
	message.scanout_id = words[0];
	if (message.request == VHOST_USER_GPU_SCANOUT) {
		message.width = words[1];
		message.height = words[2];
	} else {
		message.x = words[1];
		message.y = words[2];
		message.width = words[3];
		message.height = words[4];
	}
	g_mutex_lock(&display->lock);
	g_array_append_val(display->messages, message);
	g_mutex_unlock(&display->lock);
}

static enum read_result serve_one(struct display *display)
{
	struct incoming incoming = {.fds.last = -1};
	enum read_result result = read_exactly(display, &incoming.header, sizeof(incoming.header),
					       false, &incoming.fds);

	if (result != READ_OK) {
		return result;
	}
	if (incoming.header.size > MAX_PAYLOAD) {
		breach(display, "request %u claims %u bytes", incoming.header.request,
		       incoming.header.size);
		return READ_CLOSED;
	}
	incoming.payload = g_malloc0(MAX(incoming.header.size, 1u));
	result = read_exactly(display, incoming.payload, incoming.header.size, true,
			      &incoming.fds);
	if (result == READ_OK) {
		log_message(display, &incoming);
		if (check_header(display, &incoming)) {
			dispatch(display, &incoming);
		}
		g_mutex_lock(&display->lock);
		g_cond_broadcast(&display->changed);
		g_mutex_unlock(&display->lock);
	} else if (result == READ_CLOSED) {
		breach(display, "the daemon closed the socket within message %u",
		       incoming.header.request);
	}
	g_free(incoming.payload);
	if (incoming.fds.last >= 0) {
		close(incoming.fds.last);
	}
	return result;
}

static void *serve(void *data)
{
	struct display *display = data;
	enum read_result result;

	do {
		result = serve_one(display);
	} while (result == READ_OK);
	g_mutex_lock(&display->lock);
	display->is_peer_closed = result == READ_CLOSED;
	g_cond_broadcast(&display->changed);
	g_mutex_unlock(&display->lock);
	return NULL;
}

/* ---- the test's side ---- */

static void wake(struct display *display)
{
	g_assert_no_errno(eventfd_write(display->wake_fd, 1));
}

int display_connect(struct display *display)
{
	int fds[2];

	g_assert_null(display->thread);
	g_assert_no_errno(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds));
	display->fd = fds[0];
	display->must_stop = false;
	display->is_peer_closed = false;
	display->has_acked_features = false;
	display->has_offered_features = false;
	for (unsigned int i = 0; i < DISPLAY_SCANOUTS; i++) {
		/* QEMU has its buffers beyond the channel. */
		struct display_dmabuf kept = display->surfaces[i].dmabuf;
		g_clear_pointer(&display->surfaces[i].pixels, g_free);
		display->surfaces[i] = (struct display_surface){.dmabuf = kept};
		display->cursors[i] = (struct display_cursor){0};
	}
	g_array_set_size(display->messages, 0);
	display->thread = g_thread_new("display", serve, display);
	return fds[1];
}

void display_disconnect(struct display *display)
{
	if (!display->thread) {
		return;
	}
	g_mutex_lock(&display->lock);
	display->must_stop = true;
	g_mutex_unlock(&display->lock);
	wake(display);
	g_thread_join(g_steal_pointer(&display->thread));
	close(display->fd);
	display->fd = -1;
}

void display_destroy(struct display *display)
{
	if (!display) {
		return;
	}
	display_disconnect(display);
	display_assert_rules(display);
	for (unsigned int i = 0; i < DISPLAY_SCANOUTS; i++) {
		display_drop_dmabuf(&display->surfaces[i]);
		g_free(display->surfaces[i].pixels);
	}
	g_array_unref(display->messages);
	g_ptr_array_unref(display->breaches);
	close(display->wake_fd);
	g_mutex_clear(&display->lock);
	g_cond_clear(&display->changed);
	g_free(display);
}

void display_set_stalled(struct display *display, bool is_stalled)
{
	g_mutex_lock(&display->lock);
	display->is_stalled = is_stalled;
	g_mutex_unlock(&display->lock);
	wake(display);
}

void display_hang_up_at(struct display *display, uint64_t n_bytes)
{
	g_mutex_lock(&display->lock);
	g_assert_true(n_bytes == 0 || n_bytes > display->n_bytes);
	display->hang_up_at = n_bytes;
	g_mutex_unlock(&display->lock);
	wake(display);
}

void display_set_slow(struct display *display, uint32_t bytes_per_read)
{
	g_mutex_lock(&display->lock);
	display->bytes_per_read = bytes_per_read;
	g_mutex_unlock(&display->lock);
	wake(display);
}
