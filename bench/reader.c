/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include <errno.h>
#include <fcntl.h>
#include <linux/virtio_gpu.h>
#include <poll.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "place.h"
#include "process.h"
#include "reader.h"
#include "wire.h"

#define WIDTH 1920u
#define HEIGHT 1080u
#define NS_PER_S INT64_C(1000000000)
#define WAIT_LIMIT_NS (5 * NS_PER_S)
#define STALL_US 50000
#define HALF_NUMBERS 0x800000u
/* The first pixel has the frame's number. */
#define SKIMMED_BYTES sizeof(uint32_t)

struct message {
	struct gpu_msg_header header;
	int fd; /* that came with it, owned; -1: none */
	uint8_t payload[];
};

/* As QEMU does, the last descriptor that comes is kept; the one before it is closed. */
static void take_fd(struct msghdr *msg, int *fd_inout)
{
	struct cmsghdr *cmsg = CMSG_FIRSTHDR(msg);

	if (cmsg != NULL && cmsg->cmsg_level == SOL_SOCKET && cmsg->cmsg_type == SCM_RIGHTS) {
		if (*fd_inout >= 0) {
			close(*fd_inout);
		}
		memcpy(fd_inout, CMSG_DATA(cmsg), sizeof(*fd_inout));
	}
}

static bool read_all(int fd, void *buffer, size_t size, int *fd_inout)
{
	uint8_t *bytes = buffer;

	while (size > 0) {
		union {
			char bytes[CMSG_SPACE(sizeof(int))];
			struct cmsghdr align;
		} control;
		struct iovec iov = {bytes, size};
		struct msghdr msg = {.msg_iov = &iov,
				     .msg_iovlen = 1,
				     .msg_control = control.bytes,
				     .msg_controllen = sizeof(control.bytes)};
		ssize_t n = recvmsg(fd, &msg, MSG_CMSG_CLOEXEC);
		if (n < 0 && errno == EINTR) {
			continue;
		}
		if (n <= 0) {
			return false;
		}
		take_fd(&msg, fd_inout);
		bytes += n;
		size -= (size_t)n;
	}
	return true;
}

static void free_message(struct message *message)
{
	if (message->fd >= 0) {
		close(message->fd);
	}
	g_free(message);
}

/* Without a copy. */
static bool drop(struct reader *reader, size_t size)
{
	while (size > 0) {
		ssize_t n = splice(reader->fd, NULL, reader->null_pipe[1], NULL, size, 0);

		if (n <= 0) {
			return false;
		}
		size -= (size_t)n;
		while (n > 0) {
			ssize_t gone =
				splice(reader->null_pipe[0], NULL, reader->null_fd, NULL, (size_t)n, 0);
			g_assert_cmpint(gone, >, 0);
			n -= gone;
		}
	}
	return true;
}

/* How much of an update's payload is read; of others all. */
static size_t count_wanted(const struct reader *reader, const struct gpu_msg_header *header)
{
	return reader->skims && header->request == VHOST_USER_GPU_UPDATE
		       ? MIN(header->size, sizeof(struct gpu_msg_update) + SKIMMED_BYTES)
		       : header->size;
}

/* Three reads and an allocation, as QEMU does. */
static struct message *receive(struct reader *reader)
{
	int fd = reader->fd;
	struct pollfd pollfd = {.fd = fd, .events = POLLIN};
	struct gpu_msg_header header;
	int passed_fd = -1;

	poll(&pollfd, 1, -1);
	if (!read_all(fd, &header.request, sizeof(header.request), &passed_fd) ||
	    !read_all(fd, &header.flags, sizeof(header.flags), &passed_fd) ||
	    !read_all(fd, &header.size, sizeof(header.size), &passed_fd)) {
		return NULL;
	}
	size_t wanted = count_wanted(reader, &header);
	struct message *message = g_malloc(sizeof(*message) + wanted);
	message->header = header;
	bool is_whole = read_all(fd, message->payload, wanted, &passed_fd) &&
			drop(reader, header.size - wanted);
	message->fd = passed_fd;
	if (!is_whole) {
		free_message(message);
		return NULL;
	}
	return message;
}

static void reply(struct reader *reader, uint32_t request, const void *payload, uint32_t size)
{
	uint8_t bytes[sizeof(struct gpu_msg_header) + sizeof(struct virtio_gpu_resp_edid)];
	struct gpu_msg_header header = {request, VHOST_USER_GPU_FLAG_REPLY, size};

	memcpy(bytes, &header, sizeof(header));
	if (size > 0) {
		memcpy(bytes + sizeof(header), payload, size);
	}
	if (send(reader->fd, bytes, sizeof(header) + size, MSG_NOSIGNAL) < 0) {
		g_warning("an answer to the display's question %u was not sent", request);
	}
}

static void answer(struct reader *reader, uint32_t request)
{
	uint64_t features = VHOST_USER_GPU_F_EDID | VHOST_USER_GPU_F_DMABUF2;
	struct virtio_gpu_resp_display_info info = {.hdr.type = VIRTIO_GPU_RESP_OK_DISPLAY_INFO};
	struct virtio_gpu_resp_edid edid = {.hdr.type = VIRTIO_GPU_RESP_OK_EDID, .size = 128};

	switch (request) {
	case VHOST_USER_GPU_GET_PROTOCOL_FEATURES:
		reply(reader, request, &features, sizeof(features));
		break;
	case VHOST_USER_GPU_GET_DISPLAY_INFO:
		info.pmodes[0] = (struct virtio_gpu_display_one){
			.r = {0, 0, WIDTH, HEIGHT},
			.enabled = 1,
		};
		reply(reader, request, &info, sizeof(info));
		break;
	case VHOST_USER_GPU_GET_EDID:
		reply(reader, request, &edid, sizeof(edid));
		break;
	default:
		break;
	}
}

static void set_surface(struct reader *reader, const struct gpu_msg_scanout *scanout)
{
	g_assert_cmpuint(scanout->scanout_id, <, READER_SCANOUTS);
	pixman_image_t **surface = &reader->scanouts[scanout->scanout_id].surface;

	g_clear_pointer(surface, pixman_image_unref);
	if (scanout->width > 0) {
		*surface = pixman_image_create_bits(PIXMAN_x8r8g8b8, (int)scanout->width,
						    (int)scanout->height, NULL, 0);
	}
}

static void unmap(pixman_image_t *image, void *size)
{
	munmap(pixman_image_get_data(image), GPOINTER_TO_SIZE(size));
}

/* The buffer is the surface, as a GPU would have it. */
static void set_dmabuf(struct reader *reader, const struct gpu_msg_dmabuf_scanout *scanout, int fd)
{
	g_assert_cmpuint(scanout->scanout_id, <, READER_SCANOUTS);
	pixman_image_t **surface = &reader->scanouts[scanout->scanout_id].surface;
	size_t size = (size_t)scanout->fd_stride * scanout->fd_height;

	g_clear_pointer(surface, pixman_image_unref);
	if (fd < 0) {
		return;
	}
	void *pixels = mmap(NULL, size, PROT_READ, MAP_SHARED, fd, 0);
	if (pixels == MAP_FAILED) {
		g_error("a buffer of %zu bytes can't be mapped: %s", size, g_strerror(errno));
	}
	*surface = pixman_image_create_bits_no_clear(PIXMAN_x8r8g8b8, (int)scanout->width,
						     (int)scanout->height, pixels,
						     (int)scanout->fd_stride);
	pixman_image_set_destroy_function(*surface, unmap, GSIZE_TO_POINTER(size));
}

static void take_latency(_Atomic int64_t *kicked_ns, uint32_t number, struct samples *samples)
{
	int64_t kicked = kicked_ns[number % READER_HISTORY];

	if (kicked > 0) {
		samples_add(samples, now_ns() - kicked);
	}
}

/* With the lock held: -1 is a mixture of frames. */
static void note_frame(struct reader *reader, struct reader_scanout *scanout, int64_t number)
{
	if (number < 0) {
		reader->counts.n_torn += 1;
		return;
	}
	uint32_t distance = ((uint32_t)number - scanout->last_number) & FRAME_NUMBER_MASK;
	if (distance >= HALF_NUMBERS) {
		reader->counts.n_stale += 1;
	} else if (distance > 0) {
		scanout->last_number = (uint32_t)number;
		reader->counts.n_shown += 1;
		take_latency(reader->frame_kicked_ns, (uint32_t)number, &reader->frame_latency);
		if (reader->shown_fd >= 0) {
			eventfd_write(reader->shown_fd, 1);
		}
	}
}

/* With the lock held: what the update has left on the surface. */
static void look(struct reader *reader, struct reader_scanout *scanout)
{
	pixman_image_t *surface = scanout->surface;

	note_frame(reader, scanout,
		   picture_find_number(&scanout->damage, reader->is_solid,
				       pixman_image_get_data(surface),
				       (uint32_t)pixman_image_get_stride(surface) /
					       (uint32_t)sizeof(uint32_t)));
}

static void skim(struct reader *reader, const struct message *message)
{
	const struct gpu_msg_update *update = (const void *)message->payload;
	uint32_t pixel;

	g_assert_cmpuint(update->scanout_id, <, READER_SCANOUTS);
	memcpy(&pixel, message->payload + sizeof(*update), sizeof(pixel));
	reader->counts.n_updates += 1;
	note_frame(reader, &reader->scanouts[update->scanout_id], pixel & FRAME_NUMBER_MASK);
}

static void compose(struct reader *reader, const struct message *message)
{
	struct gpu_msg_update update;

	memcpy(&update, message->payload, sizeof(update));
	g_assert_cmpuint(update.scanout_id, <, READER_SCANOUTS);
	struct reader_scanout *scanout = &reader->scanouts[update.scanout_id];
	int stride = (int)(update.width * sizeof(uint32_t));
	pixman_image_t *image = pixman_image_create_bits_no_clear(
		PIXMAN_x8r8g8b8, (int)update.width, (int)update.height,
		(uint32_t *)(uintptr_t)(message->payload + sizeof(update)), stride);

	g_assert_nonnull(scanout->surface);
	pixman_image_composite(PIXMAN_OP_SRC, image, NULL, scanout->surface, 0, 0, 0, 0,
			       (int16_t)update.x, (int16_t)update.y, (uint16_t)update.width,
			       (uint16_t)update.height);
	pixman_image_unref(image);
	reader->counts.n_updates += 1;
	if (scanout->has_picture) {
		look(reader, scanout);
	}
}

/* Drawn and answered at once, as by a GPU that has nothing else to do. */
static void draw_dmabuf(struct reader *reader, const struct message *message)
{
	struct gpu_msg_update update;

	memcpy(&update, message->payload, sizeof(update));
	g_assert_cmpuint(update.scanout_id, <, READER_SCANOUTS);
	struct reader_scanout *scanout = &reader->scanouts[update.scanout_id];
	g_assert_nonnull(scanout->surface);
	reader->counts.n_updates += 1;
	reader->counts.n_dmabufs += 1;
	if (scanout->has_picture) {
		look(reader, scanout);
	}
	reply(reader, message->header.request, NULL, 0);
}

static void handle(struct reader *reader, const struct message *message)
{
	struct gpu_msg_cursor_pos pos;

	switch (message->header.request) {
	case VHOST_USER_GPU_SCANOUT:
		set_surface(reader, (const void *)message->payload);
		break;
	case VHOST_USER_GPU_UPDATE:
		if (reader->skims) {
			skim(reader, message);
		} else {
			compose(reader, message);
		}
		break;
	case VHOST_USER_GPU_DMABUF_SCANOUT:
	case VHOST_USER_GPU_DMABUF_SCANOUT2:
		set_dmabuf(reader, (const void *)message->payload, message->fd);
		break;
	case VHOST_USER_GPU_DMABUF_UPDATE:
		draw_dmabuf(reader, message);
		break;
	case VHOST_USER_GPU_CURSOR_POS:
	case VHOST_USER_GPU_CURSOR_UPDATE:
		memcpy(&pos, message->payload, sizeof(pos));
		reader->counts.n_cursors += 1;
		take_latency(reader->cursor_kicked_ns, pos.x, &reader->cursor_latency);
		break;
	default:
		answer(reader, message->header.request);
		break;
	}
}

static void stall(const struct reader *reader)
{
	if (reader->stall_every > 0 && reader->counts.n_updates % reader->stall_every == 0) {
		g_usleep(STALL_US);
	}
}

static void hold_back(struct reader *reader, int64_t *next_ns)
{
	int64_t now = now_ns();

	if (*next_ns > now) {
		g_usleep((gulong)(*next_ns - now) / 1000);
	}
	*next_ns = MAX(*next_ns, now) + NS_PER_S / reader->max_updates_per_s;
}

static void *thread_main(void *data)
{
	struct reader *reader = data;
	struct message *message;
	int64_t next_ns = 0;

	place_display();
	while ((message = receive(reader)) != NULL) {
		g_mutex_lock(&reader->lock);
		handle(reader, message);
		g_mutex_unlock(&reader->lock);
		if (reader->max_updates_per_s > 0 &&
		    message->header.request == VHOST_USER_GPU_UPDATE) {
			hold_back(reader, &next_ns);
		}
		stall(reader);
		free_message(message);
	}
	return NULL;
}

struct reader *reader_create(int consume_fd, unsigned int max_updates_per_s)
{
	struct reader *reader = g_new0(struct reader, 1);

	reader->fd = consume_fd;
	reader->shown_fd = -1;
	reader->null_fd = open("/dev/null", O_WRONLY | O_CLOEXEC);
	g_assert_no_errno(pipe2(reader->null_pipe, O_CLOEXEC));
	reader->max_updates_per_s = max_updates_per_s;
	reader->frame_kicked_ns = g_malloc0(sizeof(*reader->frame_kicked_ns) * READER_HISTORY);
	reader->cursor_kicked_ns = g_malloc0(sizeof(*reader->cursor_kicked_ns) * READER_HISTORY);
	g_mutex_init(&reader->lock);
	reader->thread = g_thread_new("reader", thread_main, reader);
	return reader;
}

void reader_destroy(struct reader *reader)
{
	if (reader == NULL) {
		return;
	}
	g_thread_join(reader->thread);
	close(reader->fd);
	close(reader->null_fd);
	close(reader->null_pipe[0]);
	close(reader->null_pipe[1]);
	if (reader->shown_fd >= 0) {
		close(reader->shown_fd);
	}
	for (unsigned int i = 0; i < READER_SCANOUTS; i++) {
		g_clear_pointer(&reader->scanouts[i].surface, pixman_image_unref);
	}
	samples_finish(&reader->frame_latency);
	samples_finish(&reader->cursor_latency);
	g_mutex_clear(&reader->lock);
	g_free(reader->frame_kicked_ns);
	g_free(reader->cursor_kicked_ns);
	g_free(reader);
}

void reader_watch(struct reader *reader, uint32_t scanout, const struct virtio_gpu_rect *damage)
{
	struct reader_scanout *watched = &reader->scanouts[scanout];

	g_mutex_lock(&reader->lock);
	watched->damage = *damage;
	watched->has_picture = true;
	watched->last_number = 0;
	reader->counts = (struct reader_counts){0};
	g_mutex_unlock(&reader->lock);
}

void reader_forget(struct reader *reader)
{
	g_mutex_lock(&reader->lock);
	samples_clear(&reader->frame_latency);
	samples_clear(&reader->cursor_latency);
	g_mutex_unlock(&reader->lock);
}

struct reader_counts reader_get_counts(struct reader *reader)
{
	g_mutex_lock(&reader->lock);
	struct reader_counts counts = reader->counts;
	g_mutex_unlock(&reader->lock);
	return counts;
}

uint32_t reader_last_number(struct reader *reader, uint32_t scanout)
{
	g_mutex_lock(&reader->lock);
	uint32_t number = reader->scanouts[scanout].last_number;
	g_mutex_unlock(&reader->lock);
	return number;
}

bool reader_wait_number(struct reader *reader, uint32_t scanout, uint32_t number)
{
	int64_t deadline_ns = now_ns() + WAIT_LIMIT_NS;

	while (reader_last_number(reader, scanout) != (number & FRAME_NUMBER_MASK)) {
		if (now_ns() > deadline_ns) {
			return false;
		}
		g_usleep(200);
	}
	return true;
}

bool reader_shows(struct reader *reader, uint32_t scanout, const struct picture *picture)
{
	bool is_equal = false;

	g_mutex_lock(&reader->lock);
	pixman_image_t *surface = reader->scanouts[scanout].surface;
	if (surface != NULL && pixman_image_get_width(surface) == (int)picture->width &&
	    pixman_image_get_height(surface) == (int)picture->height) {
		is_equal = picture_equals(picture, pixman_image_get_data(surface),
					  (uint32_t)pixman_image_get_stride(surface) /
						  (uint32_t)sizeof(uint32_t));
	}
	g_mutex_unlock(&reader->lock);
	return is_equal;
}
