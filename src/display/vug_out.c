/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "display/vug_out.h"

#include <errno.h>
#include <string.h>

#include "util/sock.h"

/* Rows of one system call; below the kernel's IOV_MAX of 1024. */
#define MAX_IOV 512

void vug_out_init(struct vug_out *out)
{
	*out = (struct vug_out){ 0 };
	vug_loans_init(&out->loans);
}

bool vug_out_is_empty(const struct vug_out *out)
{
	return out->total_bytes == 0;
}

static void add(struct vug_out *out, enum vug_request request, const void *payload,
		size_t payload_bytes, uint64_t pixel_bytes)
{
	struct vug_header header = {
		.request = request,
		.size = (uint32_t)(payload_bytes + pixel_bytes),
	};

	g_assert(out->head_bytes + sizeof(header) + payload_bytes <= sizeof(out->head));
	memcpy(out->head + out->head_bytes, &header, sizeof(header));
	out->head_bytes += sizeof(header);
	if (payload_bytes > 0) {
		memcpy(out->head + out->head_bytes, payload, payload_bytes);
	}
	out->head_bytes += payload_bytes;
	out->total_bytes += sizeof(header) + payload_bytes + pixel_bytes;
}

void vug_out_add(struct vug_out *out, enum vug_request request, const void *payload,
		 size_t payload_bytes)
{
	add(out, request, payload, payload_bytes, 0);
}

void vug_out_add_update(struct vug_out *out, const struct vug_update *update,
			struct frame *consume_frame, const struct rect *pixels)
{
	add(out, VUG_UPDATE, update, sizeof(*update),
	    (uint64_t)pixels->width * pixels->height * sizeof(uint32_t));
	out->frame = consume_frame;
	out->pixels = *pixels;
	size_t row_bytes = (size_t)pixels->width * sizeof(uint32_t);
	out->is_lending = vug_loans_accept(&out->loans, consume_frame, row_bytes,
					   row_bytes * pixels->height);
}

void vug_out_add_dmabuf(struct vug_out *out, enum vug_request request, const void *payload,
			size_t payload_bytes, struct dmabuf *dmabuf)
{
	g_assert(out->total_bytes == 0);
	add(out, request, payload, payload_bytes, 0);
	out->dmabuf = dmabuf_ref(dmabuf);
}

/* The frame's reference was passed on. */
static void empty(struct vug_out *out)
{
	g_clear_pointer(&out->dmabuf, dmabuf_unref);
	out->frame = NULL;
	out->is_lending = false;
	out->has_lent = false;
	out->head_bytes = 0;
	out->total_bytes = 0;
	out->sent_bytes = 0;
}

void vug_out_clear(struct vug_out *out)
{
	frame_unref(out->frame);
	empty(out);
	out->channel_bytes = 0;
	vug_loans_clear(&out->loans);
}

void vug_out_settle(struct vug_out *out, int fd)
{
	vug_loans_settle(&out->loans, fd, out->channel_bytes);
}

/* The pixels from skip bytes on. Returns pieces. */
static size_t pixels_to_iov(const struct vug_out *out, uint64_t skip, struct iovec *iov,
			    size_t max_iov)
{
	size_t row_bytes = (size_t)out->pixels.width * sizeof(uint32_t);
	size_t n = 0;

	/* Whole rows have no gap between them. */
	if (row_bytes == out->frame->stride_bytes) {
		char *start = (char *)frame_pixel(out->frame, 0, out->pixels.y);

		iov[0] = (struct iovec){ start + skip, row_bytes * out->pixels.height - skip };
		return 1;
	}
	uint32_t row = (uint32_t)(skip / row_bytes);
	skip %= row_bytes;
	for (; row < out->pixels.height && n < max_iov; row++) {
		char *start = (char *)frame_pixel(out->frame, out->pixels.x, out->pixels.y + row);

		iov[n++] = (struct iovec){ start + skip, row_bytes - skip };
		skip = 0;
	}
	return n;
}

/* What is left of the head, and of the pixels unless they are lent. Returns pieces. */
static size_t to_iov(const struct vug_out *out, struct iovec *iov, size_t max_iov)
{
	uint64_t sent = out->sent_bytes;
	uint64_t skip = 0;
	size_t n = 0;

	if (sent < out->head_bytes) {
		iov[n++] = (struct iovec){ (char *)(uintptr_t)out->head + sent,
					   out->head_bytes - (size_t)sent };
	} else {
		skip = sent - out->head_bytes;
	}
	if (out->frame != NULL && (!out->is_lending || n == 0)) {
		n += pixels_to_iov(out, skip, iov + n, max_iov - n);
	}
	return n;
}

/* Some bytes, or -errno. */
static ssize_t send_some(struct vug_out *out, int fd)
{
	struct iovec iov[MAX_IOV];
	size_t n_iov = to_iov(out, iov, MAX_IOV);

	if (!out->is_lending || out->sent_bytes < out->head_bytes) {
		bool is_first = out->sent_bytes == 0 && out->dmabuf != NULL;

		return sock_send(fd, iov, n_iov, is_first ? out->dmabuf->fd : -1);
	}
	ssize_t n = vug_loans_send(&out->loans, fd, iov, n_iov);
	if (n == -ENOTSUP) {
		out->is_lending = false;
		return sock_send(fd, iov, n_iov, -1);
	}
	out->has_lent |= n > 0;
	return n;
}

int vug_out_send(struct vug_out *out, int fd, uint64_t max_bytes)
{
	uint64_t stop_bytes = out->sent_bytes + MIN(max_bytes, out->total_bytes);

	while (out->sent_bytes < out->total_bytes) {
		ssize_t n = out->sent_bytes < stop_bytes ? send_some(out, fd) : -EAGAIN;

		if (n < 0) {
			return (int)n;
		}
		out->sent_bytes += (uint64_t)n;
		out->channel_bytes += (uint64_t)n;
		/* It took less than it could have: rather sleep than hand it page after page. */
		if (out->loans.piped_bytes > 0) {
			return -EAGAIN;
		}
	}
	if (out->frame != NULL) {
		frame_was_sent(out->frame);
	}
	if (out->has_lent) {
		vug_loans_add(&out->loans, out->frame, out->channel_bytes);
	} else {
		frame_unref(out->frame);
	}
	empty(out);
	return 0;
}
