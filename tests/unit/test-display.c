/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * The vhost-user-gpu channel against a front-end played by hand. What QEMU's
 * end can't bear is checked on every message that comes: peer_next() fails on
 * an UPDATE without a surface, a SCANOUT without its first, full UPDATE, a
 * descriptor, a size that is not the message's.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <wchar.h>

#include "display/display.h"
#include "display/vug_loans.h"
#include "display/vug_wire.h"
#include "unit.h"

#define QUOTA_BYTES (UINT64_C(256) << 20)

/* ---- the device's side ---- */

enum { MAX_ANSWERS = 512 };

struct answer {
	uint64_t token;
	bool is_edid, is_none;
	uint32_t value; /* the width of pmodes[0], or the size of the EDID */
};

struct fixture {
	struct display *display;
	struct quota quota;
	int peer; /* -1: none */
	struct {
		uint32_t width, height;
		bool is_full_due;
	} surfaces[DISPLAY_MAX_SCANOUTS];
	uint32_t *pixels; /* of the last UPDATE, owned */
	struct vug_update update;
	struct frame *frame; /* for is_alone(), borrowed */

	GMutex lock; /* the rest */
	unsigned int n_ready;
	unsigned int n_taken[DISPLAY_MAX_SCANOUTS];
	unsigned int n_answers;
	struct answer answers[MAX_ANSWERS];
	unsigned int wanted; /* for the conditions below */
};

static void ready(void *data)
{
	struct fixture *f = data;

	g_mutex_lock(&f->lock);
	f->n_ready++;
	g_mutex_unlock(&f->lock);
}

static void taken(void *data, uint32_t scanout_id, uint32_t serial G_GNUC_UNUSED)
{
	struct fixture *f = data;

	g_mutex_lock(&f->lock);
	g_assert_cmpuint(scanout_id, <, DISPLAY_MAX_SCANOUTS);
	f->n_taken[scanout_id]++;
	g_mutex_unlock(&f->lock);
}

static void take_answer(struct fixture *f, uint64_t token, bool is_edid, bool is_none,
			uint32_t value)
{
	g_mutex_lock(&f->lock);
	g_assert_cmpuint(f->n_answers, <, MAX_ANSWERS);
	f->answers[f->n_answers++] = (struct answer){ token, is_edid, is_none, value };
	g_mutex_unlock(&f->lock);
}

static void info(void *data, uint64_t token, const struct virtio_gpu_resp_display_info *answer)
{
	take_answer(data, token, false, answer == NULL,
		    answer != NULL ? answer->pmodes[0].r.width : 0);
}

static void edid(void *data, uint64_t token, const struct virtio_gpu_resp_edid *answer)
{
	take_answer(data, token, true, answer == NULL, answer != NULL ? answer->size : 0);
}

static const struct display_listener listener = {
	.ready = ready, .taken = taken, .info = info, .edid = edid
};

static bool has_readies(void *data)
{
	struct fixture *f = data;

	g_mutex_lock(&f->lock);
	bool has = f->n_ready >= f->wanted;
	g_mutex_unlock(&f->lock);
	return has;
}

static bool has_answers(void *data)
{
	struct fixture *f = data;

	g_mutex_lock(&f->lock);
	bool has = f->n_answers >= f->wanted;
	g_mutex_unlock(&f->lock);
	return has;
}

static unsigned int count_taken(struct fixture *f)
{
	g_mutex_lock(&f->lock);
	unsigned int n = f->n_taken[0];
	g_mutex_unlock(&f->lock);
	return n;
}

static bool has_taken(void *data)
{
	struct fixture *f = data;

	return count_taken(f) >= f->wanted;
}

static bool is_unwatched(void *data)
{
	struct fixture *f = data;

	return !display_is_watched(f->display);
}

static void wait_ready(struct fixture *f, unsigned int n)
{
	f->wanted = n;
	g_assert_true(unit_wait(has_readies, f));
}

static unsigned int count_answers(struct fixture *f)
{
	g_mutex_lock(&f->lock);
	unsigned int n = f->n_answers;
	g_mutex_unlock(&f->lock);
	return n;
}

/* The i-th answer, which must come. */
static struct answer wait_answer(struct fixture *f, unsigned int i)
{
	f->wanted = i + 1;
	g_assert_true(unit_wait(has_answers, f));
	g_mutex_lock(&f->lock);
	struct answer answer = f->answers[i];
	g_mutex_unlock(&f->lock);
	return answer;
}

static void assert_answer(struct fixture *f, unsigned int i, uint64_t token, bool is_none,
			  uint32_t value)
{
	struct answer answer = wait_answer(f, i);

	g_assert_cmpuint(answer.token, ==, token);
	g_assert_cmpint(answer.is_none, ==, is_none);
	g_assert_cmpuint(answer.value, ==, value);
}

/* ---- the front-end's side ---- */

static void connect_peer(struct fixture *f)
{
	int pair[2];

	if (f->peer >= 0) {
		close(f->peer);
	}
	memset(f->surfaces, 0, sizeof(f->surfaces));
	unit_socketpair(pair);
	f->peer = pair[1];
	display_set_socket(f->display, pair[0]);
}

static void setup(struct fixture *f, gconstpointer data G_GNUC_UNUSED)
{
	*f = (struct fixture){ .peer = -1 };
	g_mutex_init(&f->lock);
	quota_init(&f->quota, QUOTA_BYTES);
	g_assert_cmpint(display_create_vhost_user_gpu(&listener, f, false, &f->display), ==, 0);
}

static bool is_unused(void *data)
{
	struct fixture *f = data;

	display_reclaim(f->display);
	return quota_used(&f->quota) == 0;
}

/* The peer may have read a picture before the thread that sent it is back from the kernel. */
static void expect_unused(struct fixture *f)
{
	g_assert_true(unit_wait(is_unused, f));
}

static void teardown(struct fixture *f, gconstpointer data G_GNUC_UNUSED)
{
	display_destroy(f->display);
	if (f->peer >= 0) {
		close(f->peer);
	}
	g_free(f->pixels);
	g_assert_cmpuint(quota_used(&f->quota), ==, 0);
	g_mutex_clear(&f->lock);
}

/* The next header; descriptors never come with it. */
static struct vug_header read_header(struct fixture *f)
{
	struct vug_header header;
	char *at = (char *)&header;
	size_t left = sizeof(header);

	while (left > 0) {
		char control[CMSG_SPACE(4 * sizeof(int))];
		struct iovec iov = { at, left };
		struct msghdr message = { .msg_iov = &iov,
					  .msg_iovlen = 1,
					  .msg_control = control,
					  .msg_controllen = sizeof(control) };

		g_assert_true(unit_wait_readable(f->peer));
		ssize_t n = recvmsg(f->peer, &message, 0);
		g_assert_cmpint(n, >, 0);
		g_assert_cmpuint(message.msg_controllen, ==, 0);
		at += n;
		left -= (size_t)n;
	}
	g_assert_cmphex(header.flags, ==, 0);
	return header;
}

static void read_update(struct fixture *f, uint32_t size)
{
	struct vug_update *update = &f->update;

	unit_read(f->peer, update, sizeof(*update));
	size_t pixel_bytes = (size_t)update->width * update->height * 4;
	g_assert_cmpuint(size, ==, sizeof(*update) + pixel_bytes);
	g_free(f->pixels);
	f->pixels = g_malloc(pixel_bytes);
	unit_read(f->peer, f->pixels, pixel_bytes);

	/* The rules. */
	g_assert_cmpuint(update->scanout_id, <, DISPLAY_MAX_SCANOUTS);
	uint32_t width = f->surfaces[update->scanout_id].width;
	uint32_t height = f->surfaces[update->scanout_id].height;
	g_assert_cmpuint(width, >, 0); /* else QEMU dies */
	g_assert_cmpuint(update->width, >, 0);
	g_assert_cmpuint(update->height, >, 0);
	g_assert_cmpuint(update->x + update->width, <=, width);
	g_assert_cmpuint(update->y + update->height, <=, height);
	if (f->surfaces[update->scanout_id].is_full_due) {
		g_assert_cmpuint(update->width, ==, width);
		g_assert_cmpuint(update->height, ==, height);
		f->surfaces[update->scanout_id].is_full_due = false;
	}
}

static void check_scanout(struct fixture *f, const struct vug_scanout *scanout)
{
	g_assert_cmpuint(scanout->scanout_id, <, DISPLAY_MAX_SCANOUTS);
	/* Never a second one before the first had its picture, never one that changes nothing. */
	g_assert_false(f->surfaces[scanout->scanout_id].is_full_due);
	g_assert_true(f->surfaces[scanout->scanout_id].width != scanout->width ||
		      f->surfaces[scanout->scanout_id].height != scanout->height);
	f->surfaces[scanout->scanout_id].width = scanout->width;
	f->surfaces[scanout->scanout_id].height = scanout->height;
	f->surfaces[scanout->scanout_id].is_full_due = scanout->width != 0;
}

union payload {
	uint64_t u64;
	struct vug_cursor_update cursor;
	struct vug_scanout scanout;
	struct vug_edid_request edid;
};

/* The next message, checked; the payload of an UPDATE goes to f->update and f->pixels. */
static uint32_t peer_next(struct fixture *f, union payload *payload)
{
	static const struct {
		enum vug_request request;
		uint32_t size;
	} sizes[] = {
		{ VUG_GET_PROTOCOL_FEATURES, 0 },
		{ VUG_SET_PROTOCOL_FEATURES, 8 },
		{ VUG_GET_DISPLAY_INFO, 0 },
		{ VUG_CURSOR_POS, 12 },
		{ VUG_CURSOR_POS_HIDE, 12 },
		{ VUG_CURSOR_UPDATE, 16404 },
		{ VUG_SCANOUT, 12 },
		{ VUG_GET_EDID, 4 },
	};
	struct vug_header header = read_header(f);

	if (header.request == VUG_UPDATE) {
		read_update(f, header.size);
		return header.request;
	}
	for (size_t i = 0; i < G_N_ELEMENTS(sizes); i++) {
		if (header.request == sizes[i].request) {
			g_assert_cmpuint(header.size, ==, sizes[i].size);
			unit_read(f->peer, payload, header.size);
			if (header.request == VUG_SCANOUT) {
				check_scanout(f, &payload->scanout);
			}
			return header.request;
		}
	}
	g_error("message %u is none that is sent", header.request);
}

static union payload expect(struct fixture *f, enum vug_request request)
{
	union payload payload = { 0 };

	g_assert_cmpuint(peer_next(f, &payload), ==, request);
	return payload;
}

static void expect_scanout(struct fixture *f, uint32_t scanout_id, uint32_t width, uint32_t height)
{
	union payload payload = expect(f, VUG_SCANOUT);

	g_assert_cmpuint(payload.scanout.scanout_id, ==, scanout_id);
	g_assert_cmpuint(payload.scanout.width, ==, width);
	g_assert_cmpuint(payload.scanout.height, ==, height);
}

static void expect_update(struct fixture *f, uint32_t scanout_id, uint32_t x, uint32_t y,
			  uint32_t width, uint32_t height)
{
	expect(f, VUG_UPDATE);
	g_assert_cmpuint(f->update.scanout_id, ==, scanout_id);
	g_assert_cmpuint(f->update.x, ==, x);
	g_assert_cmpuint(f->update.y, ==, y);
	g_assert_cmpuint(f->update.width, ==, width);
	g_assert_cmpuint(f->update.height, ==, height);
}

static void reply(struct fixture *f, uint32_t request, const void *payload, uint32_t size)
{
	const struct vug_header header = { request, VUG_FLAG_REPLY, size };

	unit_write(f->peer, &header, sizeof(header));
	unit_write(f->peer, payload, size);
}

static void reply_features(struct fixture *f, uint64_t features)
{
	reply(f, VUG_GET_PROTOCOL_FEATURES, &features, sizeof(features));
}

static void reply_info(struct fixture *f, uint32_t width)
{
	struct virtio_gpu_resp_display_info answer = {
		.pmodes = { { { 0, 0, width, 480 }, 1, 0 } }
	};

	reply(f, VUG_GET_DISPLAY_INFO, &answer, sizeof(answer));
}

static void reply_edid(struct fixture *f, uint32_t size)
{
	struct virtio_gpu_resp_edid answer = { .size = size };

	reply(f, VUG_GET_EDID, &answer, sizeof(answer));
}

/* A front-end that has answered the first question. */
static void negotiate(struct fixture *f, uint64_t features)
{
	connect_peer(f);
	expect(f, VUG_GET_PROTOCOL_FEATURES);
	reply_features(f, features);
	g_assert_cmphex(expect(f, VUG_SET_PROTOCOL_FEATURES).u64, ==, features & 1);
	wait_ready(f, 1);
}

/* All that was wished before now has been sent when this returns. */
static void assert_quiet(struct fixture *f)
{
	unsigned int n = count_answers(f);

	g_assert_true(display_request_info(f->display, 4242));
	expect(f, VUG_GET_DISPLAY_INFO);
	reply_info(f, 1);
	assert_answer(f, n, 4242, false, 1);
	/* Questions overtake pictures: one more round, and pictures have had their turn. */
	display_cursor_hide(f->display, 15, 0, 0);
	expect(f, VUG_CURSOR_POS_HIDE);
}

static struct frame *make_frame(struct fixture *f, uint32_t width, uint32_t height, uint32_t colour)
{
	struct frame *frame = frame_create(&f->quota, width, height);

	g_assert_nonnull(frame);
	for (uint32_t y = 0; y < height; y++) {
		for (uint32_t x = 0; x < width; x++) {
			*frame_pixel(frame, x, y) = colour + (y << 12) + x;
		}
	}
	return frame;
}

/* As display_update(): does it wait? */
static bool show_view(struct fixture *f, uint32_t scanout_id, struct frame *frame,
		      const struct rect *view, const struct rect *damage)
{
	const struct display_picture picture = { .frame = frame, .view = *view };

	return display_update(f->display, scanout_id, &picture, damage);
}

static bool show(struct fixture *f, uint32_t scanout_id, struct frame *frame,
		 const struct rect *damage)
{
	return show_view(f, scanout_id, frame, &(struct rect){ 0, 0, frame->width, frame->height },
			 damage);
}

/* Out of the device's hands, sent or not. */
static void show_and_leave(struct fixture *f, struct frame *frame, const struct rect *view)
{
	f->wanted = count_taken(f) + 1;
	if (show_view(f, 0, frame, view, &(struct rect){ 0, 0, view->width, view->height })) {
		g_assert_true(unit_wait(has_taken, f));
	}
}

static void assert_pixels(struct fixture *f, const struct frame *frame, uint32_t left, uint32_t top)
{
	for (uint32_t y = 0; y < f->update.height; y++) {
		for (uint32_t x = 0; x < f->update.width; x++) {
			g_assert_cmphex(f->pixels[y * f->update.width + x], ==,
					*frame_pixel(frame, left + x, top + y));
		}
	}
}

/* ---- negotiation ---- */

static void test_without_a_socket(struct fixture *f, gconstpointer data G_GNUC_UNUSED)
{
	struct frame *frame = make_frame(f, 16, 16, 0);
	uint64_t one = quota_used(&f->quota);

	g_assert_false(display_is_watched(f->display));
	g_assert_false(display_request_info(f->display, 1));
	g_assert_false(display_request_edid(f->display, 2, 0));
	show_and_leave(f, frame, &(struct rect){ 0, 0, 16, 16 });
	/* It is not kept for who may come. */
	g_assert_true(frame_make_writable(&frame, &(struct rect){ 0, 0, 16, 16 }));
	g_assert_cmpuint(quota_used(&f->quota), ==, one);
	display_disable(f->display, 0);
	display_cursor_hide(f->display, 0, 0, 0);
	frame_unref(frame);
	g_assert_cmpuint(count_answers(f), ==, 0);
}

static void test_negotiation(struct fixture *f, gconstpointer data)
{
	negotiate(f, GPOINTER_TO_SIZE(data));
	g_assert_true(display_is_watched(f->display));
}

/* Nobody waits for the answer: pictures go out at once. */
static void test_pictures_before_the_answer(struct fixture *f, gconstpointer data G_GNUC_UNUSED)
{
	struct frame *frame = make_frame(f, 32, 16, 0);

	connect_peer(f);
	wait_ready(f, 1);
	show(f, 0, frame, &(struct rect){ 1, 1, 1, 1 });
	expect(f, VUG_GET_PROTOCOL_FEATURES);
	expect_scanout(f, 0, 32, 16);
	expect_update(f, 0, 0, 0, 32, 16);
	frame_unref(frame);
}

/* ---- pictures ---- */

static void test_first_picture_is_whole(struct fixture *f, gconstpointer data G_GNUC_UNUSED)
{
	struct frame *frame = make_frame(f, 100, 50, 0x1000000);

	negotiate(f, 3);
	show(f, 2, frame, &(struct rect){ 10, 10, 5, 5 });
	expect_scanout(f, 2, 100, 50);
	expect_update(f, 2, 0, 0, 100, 50);
	assert_pixels(f, frame, 0, 0);
	/* Then damage only, and no SCANOUT. */
	show(f, 2, frame, &(struct rect){ 10, 20, 30, 4 });
	expect_update(f, 2, 10, 20, 30, 4);
	assert_pixels(f, frame, 10, 20);
	assert_quiet(f);
	frame_unref(frame);
}

static void test_part_of_a_frame(struct fixture *f, gconstpointer data G_GNUC_UNUSED)
{
	struct frame *frame = make_frame(f, 100, 50, 0x2000000);

	negotiate(f, 3);
	show_view(f, 0, frame, &(struct rect){ 30, 20, 40, 20 }, &(struct rect){ 0, 0, 40, 20 });
	expect_scanout(f, 0, 40, 20);
	expect_update(f, 0, 0, 0, 40, 20);
	assert_pixels(f, frame, 30, 20);
	show_view(f, 0, frame, &(struct rect){ 30, 20, 40, 20 }, &(struct rect){ 5, 6, 7, 8 });
	expect_update(f, 0, 5, 6, 7, 8);
	assert_pixels(f, frame, 35, 26);
	/* Another part of the same size needs no SCANOUT. */
	show_view(f, 0, frame, &(struct rect){ 0, 0, 40, 20 }, &(struct rect){ 0, 0, 40, 20 });
	expect_update(f, 0, 0, 0, 40, 20);
	assert_pixels(f, frame, 0, 0);
	assert_quiet(f);
	frame_unref(frame);
}

static void test_resize(struct fixture *f, gconstpointer data G_GNUC_UNUSED)
{
	static const uint32_t widths[] = { 64, 128, 16, 64 };

	negotiate(f, 3);
	for (size_t i = 0; i < G_N_ELEMENTS(widths); i++) {
		struct frame *frame = make_frame(f, widths[i], 32, (uint32_t)i << 24);

		/* Though little is damaged, all of the new surface is filled. */
		show(f, 0, frame, &(struct rect){ 3, 3, 1, 1 });
		expect_scanout(f, 0, widths[i], 32);
		expect_update(f, 0, 0, 0, widths[i], 32);
		assert_pixels(f, frame, 0, 0);
		frame_unref(frame);
	}
}

static void test_off(struct fixture *f, gconstpointer data G_GNUC_UNUSED)
{
	struct frame *frame = make_frame(f, 32, 16, 0);

	negotiate(f, 3);
	display_disable(f->display, 0); /* there was nothing */
	assert_quiet(f);
	show(f, 0, frame, &(struct rect){ 0, 0, 32, 16 });
	expect_scanout(f, 0, 32, 16);
	expect_update(f, 0, 0, 0, 32, 16);
	display_disable(f->display, 0);
	expect_scanout(f, 0, 0, 0);
	display_disable(f->display, 0); /* it is off */
	assert_quiet(f);
	/* On again: a surface, and all of it. */
	show(f, 0, frame, &(struct rect){ 1, 1, 1, 1 });
	expect_scanout(f, 0, 32, 16);
	expect_update(f, 0, 0, 0, 32, 16);
	frame_unref(frame);
}

static void test_every_scanout(struct fixture *f, gconstpointer data G_GNUC_UNUSED)
{
	struct frame *frame = make_frame(f, 32, 16, 0);

	negotiate(f, 3);
	for (uint32_t i = 0; i < DISPLAY_MAX_SCANOUTS; i++) {
		show(f, i, frame, &(struct rect){ 0, 0, 32, 16 });
		expect_scanout(f, i, 32, 16);
		expect_update(f, i, 0, 0, 32, 16);
	}
	frame_unref(frame);
}

/* More rows than one sendmsg(2) takes, each of them apart from the next. */
static void test_tall_and_narrow(struct fixture *f, gconstpointer data G_GNUC_UNUSED)
{
	struct frame *frame = make_frame(f, 20, 3000, 0);

	negotiate(f, 3);
	show_view(f, 0, frame, &(struct rect){ 2, 0, 16, 3000 }, &(struct rect){ 0, 0, 16, 3000 });
	expect_scanout(f, 0, 16, 3000);
	expect_update(f, 0, 0, 0, 16, 3000);
	assert_pixels(f, frame, 2, 0);
	show_view(f, 0, frame, &(struct rect){ 2, 0, 16, 3000 }, &(struct rect){ 15, 1, 1, 2999 });
	expect_update(f, 0, 15, 1, 1, 2999);
	assert_pixels(f, frame, 17, 1);
	frame_unref(frame);
}

/* ---- a slow reader ---- */

/*
 * The peer reads nothing: the first large picture fills the socket, what comes
 * after it is summed up. It then gets the rest of the first one as it was, and
 * one more with the latest content and the sum of the damage.
 */
static void test_slow_reader(struct fixture *f, gconstpointer data G_GNUC_UNUSED)
{
	const uint32_t width = 2048, height = 1024; /* 8 MiB, beyond our socket buffer */
	struct frame *frames[3];

	negotiate(f, 3);
	for (uint32_t i = 0; i < 3; i++) {
		frames[i] = make_frame(f, width, height, (i + 1) << 28);
	}
	show(f, 0, frames[0], &(struct rect){ 0, 0, width, height });
	expect_scanout(f, 0, width, height); /* its first bytes are under way */
	for (uint32_t i = 0; i < 100; i++) {
		show(f, 0, frames[1], &(struct rect){ 100 + i, 200, 1, 1 });
	}
	show(f, 0, frames[2], &(struct rect){ 10, 300, 2, 3 });
	expect_update(f, 0, 0, 0, width, height);
	assert_pixels(f, frames[0], 0, 0);
	expect_update(f, 0, 10, 200, 190, 103);
	assert_pixels(f, frames[2], 10, 200);
	assert_quiet(f);
	for (uint32_t i = 0; i < 3; i++) {
		frame_unref(frames[i]);
	}
}

/* Pictures of other sizes, and off, all while the peer is slow: only the last counts. */
static void test_slow_reader_and_changes(struct fixture *f, gconstpointer data G_GNUC_UNUSED)
{
	struct frame *large = make_frame(f, 2048, 1024, 0), *small = make_frame(f, 64, 32, 7);

	negotiate(f, 3);
	show(f, 0, large, &(struct rect){ 0, 0, 2048, 1024 });
	expect_scanout(f, 0, 2048, 1024);
	show(f, 0, small, &(struct rect){ 0, 0, 64, 32 });
	display_disable(f->display, 0);
	show(f, 1, small, &(struct rect){ 0, 0, 64, 32 });
	display_disable(f->display, 1);
	expect_update(f, 0, 0, 0, 2048, 1024);
	expect_scanout(f, 0, 0, 0);
	assert_quiet(f);
	frame_unref(large);
	frame_unref(small);
}

/* The one who draws never waits, whatever the peer does. */
static void test_updates_do_not_wait(struct fixture *f, gconstpointer data G_GNUC_UNUSED)
{
	struct frame *frame = make_frame(f, 2048, 1024, 0);

	connect_peer(f);
	wait_ready(f, 1);
	for (uint32_t i = 0; i < 10000; i++) {
		show(f, i % DISPLAY_MAX_SCANOUTS, frame, &(struct rect){ 0, 0, 2048, 1024 });
	}
	frame_unref(frame);
}

/* ---- pictures that are lent ---- */

/* Some sandboxes don't let us splice; then nothing is lent. */
static bool can_splice(void)
{
	static char page[4096];
	const struct iovec iov = { page, sizeof(page) };
	int fds[2], pair[2];

	g_assert_no_errno(pipe2(fds, O_CLOEXEC));
	unit_socketpair(pair);
	bool can = vmsplice(fds[1], &iov, 1, 0) > 0 &&
		   splice(fds[0], NULL, pair[0], NULL, sizeof(page), 0) > 0;
	for (size_t i = 0; i < 2; i++) {
		close(fds[i]);
		close(pair[i]);
	}
	return can;
}

/* All of it in one colour. */
static void draw(struct frame **frame, uint32_t colour)
{
	const struct rect all = { 0, 0, (*frame)->width, (*frame)->height };

	g_assert_true(frame_make_writable(frame, &all));
	wmemset((wchar_t *)(void *)(*frame)->pixels, (wchar_t)colour,
		(size_t)all.width * all.height);
}

/* Into whatever memory is free for a copy. */
static void draw_on_copies(struct frame **frame)
{
	for (uint32_t i = 0; i < 4; i++) {
		struct frame *held = frame_ref(*frame);

		draw(frame, 0xbad0000 + i);
		frame_unref(held);
	}
}

static const struct lent {
	const char *name;
	uint32_t width, height;
	struct rect view;
} lents[] = {
	{ "whole", 640, 480, { 0, 0, 640, 480 } },
	{ "whole-rows", 640, 480, { 0, 3, 640, 401 } },
	{ "with-gaps", 3001, 140, { 501, 7, 2049, 121 } },
};

/* Nobody but the test holds f->frame. */
static bool is_alone(void *data)
{
	struct fixture *f = data;

	display_reclaim(f->display);
	return g_atomic_ref_count_compare(&f->frame->refs, 1);
}

/* What the peer has not read stays as it was shown, whoever draws; what it has read is free. */
static void test_lent(gconstpointer data)
{
	const struct rect *view = &((const struct lent *)data)->view;
	struct fixture fixture, *f = &fixture;

	if (!vug_loans_suit_kernel()) {
		g_test_skip("lending pictures needs Linux 6.5; here they are copied");
		return;
	}
	if (!can_splice()) {
		g_test_skip("lending pictures needs vmsplice and splice, which are refused here");
		return;
	}
	setup(f, NULL);
	negotiate(f, 3);
	struct frame *frame = make_frame(f, ((const struct lent *)data)->width,
					 ((const struct lent *)data)->height, 0x3000000);
	struct frame *as_shown = make_frame(f, frame->width, frame->height, 0x3000000);
	const void *pixels = frame->pixels;

	show_and_leave(f, frame, view);
	draw(&frame, 1);
	g_assert_true(frame->pixels != pixels);
	display_reclaim(f->display);
	draw_on_copies(&frame);
	expect_scanout(f, 0, view->width, view->height);
	g_assert_cmpuint(read_header(f).request, ==, VUG_UPDATE);
	unit_read(f->peer, &f->update, sizeof(f->update));
	size_t half_bytes = (size_t)view->width * view->height * 4 / 2;
	f->pixels = g_malloc(2 * half_bytes);
	unit_read(f->peer, f->pixels, half_bytes);
	display_reclaim(f->display);
	draw_on_copies(&frame);
	unit_read(f->peer, (char *)f->pixels + half_bytes, half_bytes);
	assert_pixels(f, as_shown, view->x, view->y);

	pixels = frame->pixels;
	show_and_leave(f, frame, view);
	expect_update(f, 0, 0, 0, view->width, view->height);
	f->frame = frame;
	g_assert_true(unit_wait(is_alone, f));
	draw(&frame, 2);
	g_assert_true(frame->pixels == pixels);

	/* Off is the end of it, too. */
	show_and_leave(f, frame, view);
	expect_update(f, 0, 0, 0, view->width, view->height);
	display_disable(f->display, 0);
	expect_scanout(f, 0, 0, 0);
	frame_unref(frame);
	frame_unref(as_shown);
	expect_unused(f);
	teardown(f, NULL);
}

/* A peer in a thread of its own, until it has seen the last picture. */
struct watcher {
	struct fixture *f;
	const struct pace {
		const char *name;
		unsigned int every; /* so many messages it waits */
		gulong pause_us;
	} *pace;
	uint32_t last; /* colour */
	uint32_t *seen; /* the screen; NULL: pictures are of one colour */
	unsigned int n_updates;
};

static const struct pace paces[] = {
	{ "fast", UINT_MAX, 0 }, { "slow", 1, 1000 }, { "stalls", 100, 5000 }
};

static uint32_t next_update(struct watcher *w)
{
	struct fixture *f = w->f;
	union payload ignored;

	do {
		if (++w->n_updates % w->pace->every == 0) {
			g_usleep(w->pace->pause_us);
		}
	} while (peer_next(f, &ignored) != VUG_UPDATE);
	return f->update.width * f->update.height;
}

static void *watch_colours(void *data)
{
	struct watcher *w = data;
	const struct fixture *f = w->f;

	for (uint32_t colour = 0; colour != w->last; colour = f->pixels[0]) {
		uint32_t n = next_update(w);

		/* Each pixel as the one before it. */
		g_assert_cmpint(memcmp(f->pixels, f->pixels + 1, (n - 1) * 4), ==, 0);
		g_assert_cmpuint(f->pixels[0], >, colour);
	}
	return NULL;
}

/* Drawn without a pause and read at any pace: no picture of two colours, none older than the last. */
static void test_stream(gconstpointer data)
{
	const struct rect all = { 0, 0, 640, 480 };
	struct fixture fixture, *f = &fixture;
	struct watcher w = { .f = f, .pace = data, .last = 2000 };

	setup(f, NULL);
	negotiate(f, 3);
	struct frame *frame = frame_create(&f->quota, all.width, all.height);
	GThread *thread = g_thread_new("peer", watch_colours, &w);
	for (uint32_t colour = 1; colour <= w.last; colour++) {
		display_reclaim(f->display);
		draw(&frame, colour);
		show(f, 0, frame, &all);
	}
	g_thread_join(thread);
	frame_unref(frame);
	expect_unused(f);
	teardown(f, NULL);
}

enum { SCREEN_WIDTH = 512, SCREEN_HEIGHT = 256, TILE = 64 };

static struct rect tile_of(uint32_t i)
{
	const uint32_t n = SCREEN_WIDTH / TILE;

	return (struct rect){ i % n * TILE, i / n % (SCREEN_HEIGHT / TILE) * TILE, TILE, TILE };
}

static void *watch_tiles(void *data)
{
	struct watcher *w = data;
	const struct vug_update *update = &w->f->update;
	const struct rect last = tile_of(w->last);

	while (w->seen[last.y * SCREEN_WIDTH + last.x] != w->last) {
		next_update(w);
		for (uint32_t y = 0; y < update->height; y++) {
			uint32_t *row = w->seen + (update->y + y) * SCREEN_WIDTH + update->x;

			for (uint32_t x = 0; x < update->width; x++) {
				uint32_t colour = w->f->pixels[y * update->width + x];

				g_assert_cmpuint(colour, >=, row[x]);
				row[x] = colour;
			}
		}
	}
	return NULL;
}

/* The socket is full and empty by turns, so that both threads send: nothing is lost or old. */
static void test_two_senders(struct fixture *f, gconstpointer data G_GNUC_UNUSED)
{
	static const struct pace pace = { .every = 1, .pause_us = 50 };
	g_autofree uint32_t *seen = g_new0(uint32_t, SCREEN_WIDTH * SCREEN_HEIGHT);
	struct watcher w = { .f = f, .pace = &pace, .last = 3000, .seen = seen };

	negotiate(f, 3);
	struct frame *frame = frame_create(&f->quota, SCREEN_WIDTH, SCREEN_HEIGHT);
	GThread *thread = g_thread_new("peer", watch_tiles, &w);
	for (uint32_t i = 1; i <= w.last; i++) {
		const struct rect tile = tile_of(i);

		display_reclaim(f->display);
		g_assert_true(frame_make_writable(&frame, &tile));
		for (uint32_t y = 0; y < TILE; y++) {
			wmemset((wchar_t *)(void *)frame_pixel(frame, tile.x, tile.y + y),
				(wchar_t)i, TILE);
		}
		show(f, 0, frame, &tile);
		if (i % 500 == 0) {
			g_usleep(20 * 1000);
		}
	}
	g_thread_join(thread);
	unit_assert_bytes(seen, frame->pixels, SCREEN_WIDTH * SCREEN_HEIGHT * 4);
	frame_unref(frame);
}

/* ---- where nothing can be lent ---- */

static const struct refusal {
	const char *name;
	uint32_t call;
	int error;
} refusals[] = {
	{ "pipe", __NR_pipe2, EMFILE },
	{ "vmsplice", __NR_vmsplice, EPERM },
	{ "splice", __NR_splice, EINVAL },
};

/* For this thread and those that it starts. */
static bool refuse(const struct refusal *refusal)
{
	struct sock_filter steps[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, refusal->call, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | (uint32_t)refusal->error),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	const struct sock_fprog program = { G_N_ELEMENTS(steps), steps };

	return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
	       prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0;
}

static void *copied(void *data)
{
	/* One fits into the socket, one does not; the first says that there will be no lending. */
	static const uint32_t sizes[][2] = { { 640, 480 }, { 2048, 1024 }, { 640, 480 } };
	struct fixture fixture, *f = &fixture;

	if (!refuse(data)) {
		g_test_skip("refusing a system call needs a seccomp filter, which can't be set here");
		return NULL;
	}
	setup(f, NULL);
	negotiate(f, 3);
	for (uint32_t i = 0; i < G_N_ELEMENTS(sizes); i++) {
		const struct rect all = { 0, 0, sizes[i][0], sizes[i][1] };
		struct frame *frame = make_frame(f, all.width, all.height, i << 28);
		struct frame *as_shown = make_frame(f, all.width, all.height, i << 28);

		show_and_leave(f, frame, &all);
		draw(&frame, 1);
		expect_scanout(f, 0, all.width, all.height);
		expect_update(f, 0, 0, 0, all.width, all.height);
		assert_pixels(f, as_shown, 0, 0);
		assert_quiet(f);
		frame_unref(frame);
		frame_unref(as_shown);
		/* Nothing is held that was sent. */
		expect_unused(f);
	}
	teardown(f, NULL);
	return NULL;
}

static void test_copied(gconstpointer data)
{
	g_thread_join(g_thread_new("copied", copied, (void *)(uintptr_t)data));
}

/* ---- who waits is told once ---- */

/* The peer reads nothing: one picture is half out, the other waits. */
static struct frame *make_wait(struct fixture *f)
{
	const struct rect all = { 0, 0, 2048, 1024 };
	struct frame *frame = make_frame(f, all.width, all.height, 0);

	negotiate(f, 3);
	show_and_leave(f, frame, &all);
	expect_scanout(f, 0, all.width, all.height);
	f->wanted = count_taken(f) + 1;
	g_assert_true(show(f, 0, frame, &all));
	g_assert_cmpuint(count_taken(f), <, f->wanted);
	return frame;
}

static void test_taken_when_read(struct fixture *f, gconstpointer data G_GNUC_UNUSED)
{
	struct frame *frame = make_wait(f);
	unsigned int wanted = f->wanted;

	/* A newer one takes its place. */
	g_assert_true(show(f, 0, frame, &(struct rect){ 5, 6, 7, 8 }));
	g_assert_cmpuint(count_taken(f), <, wanted);
	expect_update(f, 0, 0, 0, 2048, 1024);
	g_assert_true(unit_wait(has_taken, f));
	expect_update(f, 0, 0, 0, 2048, 1024);
	assert_quiet(f);
	/* What goes at once is not told. */
	show_and_leave(f, frame, &(struct rect){ 0, 0, 2048, 1024 });
	expect_update(f, 0, 0, 0, 2048, 1024);
	assert_quiet(f);
	g_assert_cmpuint(count_taken(f), ==, wanted);
	frame_unref(frame);
}

static void test_taken_when_off(struct fixture *f, gconstpointer data G_GNUC_UNUSED)
{
	struct frame *frame = make_wait(f);
	unsigned int wanted = f->wanted;

	display_disable(f->display, 0);
	g_assert_cmpuint(count_taken(f), ==, wanted);
	expect_update(f, 0, 0, 0, 2048, 1024);
	expect_scanout(f, 0, 0, 0);
	assert_quiet(f);
	g_assert_cmpuint(count_taken(f), ==, wanted);
	frame_unref(frame);
}

static void test_taken_when_hung_up(struct fixture *f, gconstpointer data G_GNUC_UNUSED)
{
	struct frame *frame = make_wait(f);
	unsigned int wanted = f->wanted;

	close(f->peer);
	f->peer = -1;
	g_assert_true(unit_wait(has_taken, f));
	g_assert_true(unit_wait(is_unwatched, f));
	g_assert_cmpuint(count_taken(f), ==, wanted);
	/* Who has not heard of it yet must not wait for nobody. */
	show_and_leave(f, frame, &(struct rect){ 0, 0, 2048, 1024 });
	connect_peer(f);
	wait_ready(f, 2);
	g_assert_cmpuint(count_taken(f), <=, wanted + 1);
	frame_unref(frame);
}

static void test_taken_when_replaced(struct fixture *f, gconstpointer data G_GNUC_UNUSED)
{
	struct frame *frame = make_wait(f);
	unsigned int wanted = f->wanted;
	int old = f->peer;

	f->peer = -1;
	connect_peer(f);
	wait_ready(f, 2);
	g_assert_cmpuint(count_taken(f), ==, wanted);
	close(old);
	frame_unref(frame);
}

/* ---- cursor ---- */

static void test_cursor(struct fixture *f, gconstpointer data G_GNUC_UNUSED)
{
	static uint32_t pixels[DISPLAY_CURSOR_SIDE * DISPLAY_CURSOR_SIDE];
	struct display_cursor cursor = { 3, 10, 20, 1, 2, pixels };
	union payload payload;

	for (uint32_t i = 0; i < G_N_ELEMENTS(pixels); i++) {
		pixels[i] = i * 77;
	}
	negotiate(f, 3);
	display_cursor_set(f->display, &cursor);
	payload = expect(f, VUG_CURSOR_UPDATE);
	g_assert_cmpuint(payload.cursor.pos.scanout_id, ==, 3);
	g_assert_cmpuint(payload.cursor.pos.x, ==, 10);
	g_assert_cmpuint(payload.cursor.pos.y, ==, 20);
	g_assert_cmpuint(payload.cursor.hot_x, ==, 1);
	g_assert_cmpuint(payload.cursor.hot_y, ==, 2);
	unit_assert_bytes(payload.cursor.pixels, pixels, sizeof(pixels));

	cursor = (struct display_cursor){ 3, (uint32_t)-4, 21, 0, 0, NULL };
	display_cursor_set(f->display, &cursor);
	payload = expect(f, VUG_CURSOR_POS);
	g_assert_cmpint((int32_t)payload.cursor.pos.x, ==, -4);
	g_assert_cmpuint(payload.cursor.pos.y, ==, 21);
	display_cursor_hide(f->display, 3, 5, 6);
	payload = expect(f, VUG_CURSOR_POS_HIDE);
	g_assert_cmpuint(payload.cursor.pos.x, ==, 5);
	assert_quiet(f);
}

/* A thousand moves of a slow reader's cursor are one. */
static void test_cursor_moves_are_coalesced(struct fixture *f, gconstpointer data G_GNUC_UNUSED)
{
	struct frame *large = make_frame(f, 2048, 1024, 0);

	negotiate(f, 3);
	show(f, 0, large, &(struct rect){ 0, 0, 2048, 1024 });
	expect_scanout(f, 0, 2048, 1024);
	for (uint32_t i = 0; i <= 1000; i++) {
		display_cursor_set(f->display, &(struct display_cursor){ 0, i, i, 0, 0, NULL });
	}
	expect_update(f, 0, 0, 0, 2048, 1024);
	g_assert_cmpuint(expect(f, VUG_CURSOR_POS).cursor.pos.x, ==, 1000);
	assert_quiet(f);
	frame_unref(large);
}

/* ---- questions ---- */

static void test_info(struct fixture *f, gconstpointer data G_GNUC_UNUSED)
{
	negotiate(f, 3);
	g_assert_true(display_request_info(f->display, 7));
	expect(f, VUG_GET_DISPLAY_INFO);
	reply_info(f, 1234);
	assert_answer(f, 0, 7, false, 1234);
	/* Several at once, answered in order. */
	g_assert_true(display_request_info(f->display, 8));
	g_assert_true(display_request_info(f->display, 9));
	expect(f, VUG_GET_DISPLAY_INFO);
	expect(f, VUG_GET_DISPLAY_INFO);
	reply_info(f, 1);
	reply_info(f, 2);
	assert_answer(f, 1, 8, false, 1);
	assert_answer(f, 2, 9, false, 2);
}

static void test_edid(struct fixture *f, gconstpointer data G_GNUC_UNUSED)
{
	negotiate(f, 3);
	g_assert_true(display_request_edid(f->display, 7, 5));
	g_assert_cmpuint(expect(f, VUG_GET_EDID).edid.scanout_id, ==, 5);
	expect(f, VUG_GET_DISPLAY_INFO); /* the barrier */
	reply_edid(f, 256);
	assert_answer(f, 0, 7, false, 256);
	reply_info(f, 1); /* the barrier's answer is nobody's */
	g_assert_true(display_request_info(f->display, 8));
	expect(f, VUG_GET_DISPLAY_INFO);
	reply_info(f, 2);
	assert_answer(f, 1, 8, false, 2);
}

/* QEMU leaves GET_EDID for an output that it has not without any answer. */
static void test_edid_without_an_answer(struct fixture *f, gconstpointer data G_GNUC_UNUSED)
{
	negotiate(f, 3);
	g_assert_true(display_request_edid(f->display, 7, 5));
	g_assert_true(display_request_edid(f->display, 8, 0));
	expect(f, VUG_GET_EDID);
	expect(f, VUG_GET_DISPLAY_INFO);
	expect(f, VUG_GET_EDID);
	expect(f, VUG_GET_DISPLAY_INFO);
	gint64 start_us = g_get_monotonic_time();
	reply_info(f, 1); /* to the first barrier: the EDID before it won't come */
	assert_answer(f, 0, 7, true, 0);
	reply_edid(f, 128);
	reply_info(f, 1);
	assert_answer(f, 1, 8, false, 128);
	/* By the barrier, not by the clock, whose limit is 3 s. */
	g_assert_cmpint(g_get_monotonic_time() - start_us, <, 2500 * 1000);
}

/* QEMU 7.2: never asked, as it would not answer. */
static void test_edid_not_negotiated(struct fixture *f, gconstpointer data G_GNUC_UNUSED)
{
	negotiate(f, 0);
	g_assert_true(display_request_edid(f->display, 7, 0));
	assert_answer(f, 0, 7, true, 0);
	assert_quiet(f);
}

/* Asked before it is known whether it may be: it waits. */
static void test_edid_before_negotiation(struct fixture *f, gconstpointer data G_GNUC_UNUSED)
{
	connect_peer(f);
	wait_ready(f, 1);
	expect(f, VUG_GET_PROTOCOL_FEATURES);
	g_assert_true(display_request_edid(f->display, 7, 0));
	reply_features(f, 1);
	expect(f, VUG_SET_PROTOCOL_FEATURES);
	expect(f, VUG_GET_EDID);
	expect(f, VUG_GET_DISPLAY_INFO);
	reply_edid(f, 128);
	assert_answer(f, 0, 7, false, 128);
}

static void test_no_answer_in_time(struct fixture *f, gconstpointer data G_GNUC_UNUSED)
{
	negotiate(f, 3);
	g_assert_true(display_request_info(f->display, 7));
	g_assert_true(display_request_edid(f->display, 8, 0));
	expect(f, VUG_GET_DISPLAY_INFO);
	expect(f, VUG_GET_EDID);
	expect(f, VUG_GET_DISPLAY_INFO);
	assert_answer(f, 0, 7, true, 0);
	assert_answer(f, 1, 8, true, 0);
	/* Late answers are matched all the same; those of later questions are not shifted. */
	g_assert_true(display_request_edid(f->display, 9, 0));
	expect(f, VUG_GET_EDID);
	expect(f, VUG_GET_DISPLAY_INFO);
	reply_info(f, 11);
	reply_edid(f, 128);
	reply_info(f, 12);
	reply_edid(f, 256);
	reply_info(f, 13);
	for (unsigned int i = 2;; i++) {
		struct answer answer = wait_answer(f, i);

		if (answer.token == 9) {
			g_assert_false(answer.is_none);
			g_assert_cmpuint(answer.value, ==, 256);
			break;
		}
		g_assert_cmpuint(answer.token, ==, 0); /* news that nobody waits for */
	}
}

/* Whoever never answers is not asked without end, and each question still has one answer. */
static void test_questions_are_bounded(struct fixture *f, gconstpointer data G_GNUC_UNUSED)
{
	unsigned int n = 0;

	connect_peer(f);
	wait_ready(f, 1);
	while (n < MAX_ANSWERS && display_request_info(f->display, n + 1)) {
		n++;
	}
	g_assert_cmpuint(n, >, 0);
	g_assert_cmpuint(n, <, MAX_ANSWERS);
	close(f->peer);
	f->peer = -1;
	for (unsigned int i = 0; i < n; i++) {
		assert_answer(f, i, i + 1, true, 0);
	}
	g_assert_true(unit_wait(is_unwatched, f));
	g_assert_false(display_request_info(f->display, 9999));
	g_assert_cmpuint(count_answers(f), ==, n);
}

/* ---- the channel changes ---- */

static void test_socket_replaced(struct fixture *f, gconstpointer data G_GNUC_UNUSED)
{
	struct frame *frame = make_frame(f, 32, 16, 0);
	int old;

	negotiate(f, 3);
	show(f, 0, frame, &(struct rect){ 0, 0, 32, 16 });
	expect_scanout(f, 0, 32, 16);
	expect_update(f, 0, 0, 0, 32, 16);
	g_assert_true(display_request_info(f->display, 7));
	expect(f, VUG_GET_DISPLAY_INFO);

	old = f->peer;
	f->peer = -1;
	connect_peer(f);
	wait_ready(f, 2);
	unit_assert_hung_up(old);
	assert_answer(f, 0, 7, true, 0);
	/* The new one knows nothing: it is asked, and gets its own SCANOUT. */
	expect(f, VUG_GET_PROTOCOL_FEATURES);
	reply_features(f, 0);
	expect(f, VUG_SET_PROTOCOL_FEATURES);
	show(f, 0, frame, &(struct rect){ 1, 1, 1, 1 });
	expect_scanout(f, 0, 32, 16);
	expect_update(f, 0, 0, 0, 32, 16);
	close(old);
	frame_unref(frame);
}

static void test_replaced_often(struct fixture *f, gconstpointer data G_GNUC_UNUSED)
{
	unsigned int n_fds;

	negotiate(f, 3);
	n_fds = unit_count_fds();
	for (int i = 0; i < 200; i++) {
		connect_peer(f);
	}
	expect(f, VUG_GET_PROTOCOL_FEATURES);
	reply_features(f, 3);
	expect(f, VUG_SET_PROTOCOL_FEATURES);
	assert_quiet(f);
	g_assert_cmpuint(unit_count_fds(), ==, n_fds);
}

static void test_hang_up(struct fixture *f, gconstpointer data G_GNUC_UNUSED)
{
	negotiate(f, 3);
	g_assert_true(display_request_info(f->display, 7));
	g_assert_true(display_request_edid(f->display, 8, 0));
	close(f->peer);
	f->peer = -1;
	assert_answer(f, 0, 7, true, 0);
	assert_answer(f, 1, 8, true, 0);
	g_assert_true(unit_wait(is_unwatched, f));
	g_assert_false(display_request_info(f->display, 9));
	/* And the next one is served. */
	connect_peer(f);
	wait_ready(f, 2);
	expect(f, VUG_GET_PROTOCOL_FEATURES);
}

static void test_hang_up_inside_a_message(struct fixture *f, gconstpointer data G_GNUC_UNUSED)
{
	struct frame *large = make_frame(f, 2048, 1024, 0);

	negotiate(f, 3);
	show(f, 0, large, &(struct rect){ 0, 0, 2048, 1024 });
	expect_scanout(f, 0, 2048, 1024);
	close(f->peer); /* in the middle of the UPDATE */
	f->peer = -1;
	g_assert_true(unit_wait(is_unwatched, f));
	frame_unref(large);
	/* Nothing holds the frame any more. */
	expect_unused(f);
	connect_peer(f);
	expect(f, VUG_GET_PROTOCOL_FEATURES);
}

static const struct garbage {
	const char *name;
	struct vug_header header;
} garbages[] = {
	{ "no-reply", { VUG_GET_DISPLAY_INFO, 0, 408 } },
	{ "too-long", { VUG_GET_DISPLAY_INFO, VUG_FLAG_REPLY, 1057 } },
	{ "much-too-long", { VUG_GET_EDID, VUG_FLAG_REPLY, UINT32_MAX } },
	{ "text", { 0x20544547, 0x5448202f, 0x312e3150 } },
};

static void test_garbage(gconstpointer data)
{
	const struct garbage *garbage = data;
	struct fixture fixture, *f = &fixture;

	setup(f, NULL);
	negotiate(f, 3);
	g_assert_true(display_request_info(f->display, 7));
	expect(f, VUG_GET_DISPLAY_INFO);
	unit_write(f->peer, &garbage->header, sizeof(garbage->header));
	assert_answer(f, 0, 7, true, 0);
	unit_assert_hung_up(f->peer);
	g_assert_true(unit_wait(is_unwatched, f));
	teardown(f, NULL);
}

/* Replies of a wrong size, or to no question: no reason to leave. */
static void test_odd_replies(struct fixture *f, gconstpointer data G_GNUC_UNUSED)
{
	const uint8_t zero[100] = { 0 };

	negotiate(f, 3);
	reply(f, VUG_UPDATE, zero, 0);
	reply(f, VUG_GET_EDID, zero, 100);
	reply(f, 77, zero, 4);
	g_assert_true(display_request_info(f->display, 7));
	expect(f, VUG_GET_DISPLAY_INFO);
	reply(f, VUG_GET_DISPLAY_INFO, zero, 100);
	assert_answer(f, 0, 7, true, 0);
	assert_quiet(f);
}

static void test_reply_byte_by_byte(struct fixture *f, gconstpointer data G_GNUC_UNUSED)
{
	const struct vug_header header = { VUG_GET_DISPLAY_INFO, VUG_FLAG_REPLY,
					   sizeof(struct virtio_gpu_resp_display_info) };
	struct virtio_gpu_resp_display_info answer = { .pmodes = { { { 0, 0, 99, 9 }, 1, 0 } } };

	negotiate(f, 3);
	g_assert_true(display_request_info(f->display, 7));
	expect(f, VUG_GET_DISPLAY_INFO);
	for (size_t i = 0; i < sizeof(header); i++) {
		unit_write(f->peer, (const char *)&header + i, 1);
	}
	for (size_t i = 0; i < sizeof(answer); i++) {
		unit_write(f->peer, (const char *)&answer + i, 1);
	}
	assert_answer(f, 0, 7, false, 99);
}

static void test_headless(void)
{
	struct quota quota;
	int pair[2];

	quota_init(&quota, QUOTA_BYTES);
	struct display *d = display_create_headless();
	struct frame *frame = frame_create(&quota, 16, 16);
	const struct display_picture picture = { .frame = frame, .view = { 0, 0, 16, 16 } };
	g_assert_false(display_is_watched(d));
	g_assert_false(display_request_info(d, 1));
	g_assert_false(display_request_edid(d, 1, 0));
	display_update(d, 0, &picture, &picture.view);
	display_disable(d, 0);
	display_cursor_hide(d, 0, 1, 1);
	unit_socketpair(pair);
	display_set_socket(d, pair[0]);
	unit_assert_hung_up(pair[1]);
	close(pair[1]);
	display_destroy(d);
	display_destroy(NULL);
	frame_unref(frame);
	g_assert_cmpuint(quota_used(&quota), ==, 0);
}

int main(int argc, char **argv)
{
	static const struct {
		const char *path;
		void (*test)(struct fixture *f, gconstpointer data);
	} tests[] = {
		{ "/display/without-a-socket", test_without_a_socket },
		{ "/display/pictures-before-the-answer", test_pictures_before_the_answer },
		{ "/display/first-picture-is-whole", test_first_picture_is_whole },
		{ "/display/part-of-a-frame", test_part_of_a_frame },
		{ "/display/resize", test_resize },
		{ "/display/off", test_off },
		{ "/display/every-scanout", test_every_scanout },
		{ "/display/tall-and-narrow", test_tall_and_narrow },
		{ "/display/slow-reader", test_slow_reader },
		{ "/display/slow-reader-and-changes", test_slow_reader_and_changes },
		{ "/display/updates-do-not-wait", test_updates_do_not_wait },
		{ "/display/two-senders", test_two_senders },
		{ "/display/taken/when-read", test_taken_when_read },
		{ "/display/taken/when-off", test_taken_when_off },
		{ "/display/taken/when-hung-up", test_taken_when_hung_up },
		{ "/display/taken/when-replaced", test_taken_when_replaced },
		{ "/display/cursor", test_cursor },
		{ "/display/cursor-moves-are-coalesced", test_cursor_moves_are_coalesced },
		{ "/display/info", test_info },
		{ "/display/edid", test_edid },
		{ "/display/edid/without-an-answer", test_edid_without_an_answer },
		{ "/display/edid/not-negotiated", test_edid_not_negotiated },
		{ "/display/edid/before-negotiation", test_edid_before_negotiation },
		{ "/display/no-answer-in-time", test_no_answer_in_time },
		{ "/display/questions-are-bounded", test_questions_are_bounded },
		{ "/display/socket-replaced", test_socket_replaced },
		{ "/display/replaced-often", test_replaced_often },
		{ "/display/hang-up", test_hang_up },
		{ "/display/hang-up-inside-a-message", test_hang_up_inside_a_message },
		{ "/display/odd-replies", test_odd_replies },
		{ "/display/reply-byte-by-byte", test_reply_byte_by_byte },
	};

	/* As main() does: splice(2) can't be told not to send it. */
	signal(SIGPIPE, SIG_IGN);
	g_test_init(&argc, &argv, NULL);
	for (size_t i = 0; i < 4; i++) {
		g_autofree char *path = g_strdup_printf("/display/negotiation/%zu", i);

		g_test_add(path, struct fixture, GSIZE_TO_POINTER(i), setup, test_negotiation,
			   teardown);
	}
	for (size_t i = 0; i < G_N_ELEMENTS(tests); i++) {
		g_test_add(tests[i].path, struct fixture, NULL, setup, tests[i].test, teardown);
	}
	for (size_t i = 0; i < G_N_ELEMENTS(garbages); i++) {
		g_autofree char *path = g_strconcat("/display/garbage/", garbages[i].name, NULL);

		g_test_add_data_func(path, &garbages[i], test_garbage);
	}
	for (size_t i = 0; i < G_N_ELEMENTS(lents); i++) {
		g_autofree char *path = g_strconcat("/display/lent/", lents[i].name, NULL);

		g_test_add_data_func(path, &lents[i], test_lent);
	}
	for (size_t i = 0; i < G_N_ELEMENTS(paces); i++) {
		g_autofree char *path = g_strconcat("/display/stream/", paces[i].name, NULL);

		g_test_add_data_func(path, &paces[i], test_stream);
	}
	for (size_t i = 0; i < G_N_ELEMENTS(refusals); i++) {
		g_autofree char *path = g_strconcat("/display/copied/", refusals[i].name, NULL);

		g_test_add_data_func(path, &refusals[i], test_copied);
	}
	g_test_add_func("/display/headless", test_headless);
	return g_test_run();
}
