/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * Buffers on the vhost-user-gpu channel, against a front-end played by hand.
 * Each message is read into a line of text, and those that QEMU's end can't
 * bear fail the test where they are read: a descriptor on a message that takes
 * none, a second update of a buffer before the first was answered, an UPDATE
 * or an update of a buffer of what there is not.
 *
 * The descriptors are of memory files, as the channel does not look at them.
 */
#include <endian.h>
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "display/display.h"
#include "display/vug_wire.h"
#include "unit.h"

#define QUOTA_BYTES (UINT64_C(64) << 20)
#define WIDTH 64u
#define HEIGHT 32u
#define N_DMABUFS 3

struct fixture {
	struct display *display;
	struct quota quota;
	int peer; /* -1: none */
	struct dmabuf *dmabufs[N_DMABUFS];
	struct frame *frame;
	struct {
		uint32_t width, height;
		bool has_dmabuf;
	} surfaces[DISPLAY_MAX_SCANOUTS]; /* as QEMU has them */
	bool is_unanswered;		  /* an update of a buffer */
	char *line;			  /* the last message, owned */

	GMutex lock; /* the rest */
	unsigned int n_ready, n_taken, n_infos;
	uint32_t last_taken, last_serial;
	unsigned int wanted; /* for the conditions below */
};

/* ---- the device's side ---- */

static void ready(void *data)
{
	struct fixture *f = data;

	g_mutex_lock(&f->lock);
	f->n_ready++;
	g_mutex_unlock(&f->lock);
}

static void taken(void *data, uint32_t scanout_id, uint32_t serial)
{
	struct fixture *f = data;

	g_mutex_lock(&f->lock);
	f->n_taken++;
	f->last_taken = scanout_id;
	f->last_serial = serial;
	g_mutex_unlock(&f->lock);
}

static void info(void *data, uint64_t token G_GNUC_UNUSED,
		 const struct virtio_gpu_resp_display_info *answer G_GNUC_UNUSED)
{
	struct fixture *f = data;

	g_mutex_lock(&f->lock);
	f->n_infos++;
	g_mutex_unlock(&f->lock);
}

static void edid(void *data G_GNUC_UNUSED, uint64_t token G_GNUC_UNUSED,
		 const struct virtio_gpu_resp_edid *answer G_GNUC_UNUSED)
{
}

static const struct display_listener listener = {
	.ready = ready, .taken = taken, .info = info, .edid = edid
};

static unsigned int count(struct fixture *f, const unsigned int *counter)
{
	g_mutex_lock(&f->lock);
	unsigned int n = *counter;
	g_mutex_unlock(&f->lock);
	return n;
}

static bool has_readies(void *data)
{
	struct fixture *f = data;

	return count(f, &f->n_ready) >= f->wanted;
}

static bool has_taken(void *data)
{
	struct fixture *f = data;

	return count(f, &f->n_taken) >= f->wanted;
}

static bool has_infos(void *data)
{
	struct fixture *f = data;

	return count(f, &f->n_infos) >= f->wanted;
}

static void wait_ready(struct fixture *f, unsigned int n)
{
	f->wanted = n;
	g_assert_true(unit_wait(has_readies, f));
	g_assert_cmpuint(count(f, &f->n_ready), ==, n);
}

static void wait_taken(struct fixture *f, unsigned int n, uint32_t scanout_id, uint32_t serial)
{
	f->wanted = n;
	g_assert_true(unit_wait(has_taken, f));
	g_assert_cmpuint(count(f, &f->n_taken), ==, n);
	g_assert_cmpuint(f->last_taken, ==, scanout_id);
	g_assert_cmpuint(f->last_serial, ==, serial);
}

static bool show(struct fixture *f, uint32_t scanout_id, unsigned int dmabuf, uint32_t serial)
{
	const struct rect damage = { serial % 8, 2, 3, 4 };

	return display_update_dmabuf(f->display, scanout_id, f->dmabufs[dmabuf], serial, &damage);
}

static bool show_frame(struct fixture *f, uint32_t scanout_id)
{
	const struct display_picture picture = { .frame = f->frame,
						 .view = { 0, 0, WIDTH, HEIGHT } };

	return display_update(f->display, scanout_id, &picture, &(struct rect){ 1, 1, 2, 2 });
}

/* ---- the front-end's side ---- */

static void read_exactly(struct fixture *f, void *to, size_t size, int *fd_out)
{
	char *at = to;

	while (size > 0) {
		union {
			struct cmsghdr header;
			char bytes[CMSG_SPACE(4 * sizeof(int))];
		} control;
		struct iovec iov = { at, size };
		struct msghdr message = { .msg_iov = &iov,
					  .msg_iovlen = 1,
					  .msg_control = control.bytes,
					  .msg_controllen = sizeof(control) };

		g_assert_true(unit_wait_readable(f->peer));
		ssize_t n = recvmsg(f->peer, &message, MSG_CMSG_CLOEXEC);
		g_assert_cmpint(n, >, 0);
		if (message.msg_controllen > 0) {
			/* QEMU takes the last one that came; so it comes with the first byte,
			 * alone. */
			g_assert_true(fd_out != NULL && at == to);
			g_assert_cmpuint(control.header.cmsg_len, ==, CMSG_LEN(sizeof(int)));
			memcpy(fd_out, CMSG_DATA(&control.header), sizeof(int));
		}
		at += n;
		size -= (size_t)n;
	}
}

static char letter_of(const struct fixture *f, int fd)
{
	for (unsigned int i = 0; i < N_DMABUFS; i++) {
		if (unit_is_same_file(fd, f->dmabufs[i]->fd)) {
			return (char)('A' + i);
		}
	}
	g_error("a descriptor that nobody gave it");
}

static char *read_dmabuf_scanout(struct fixture *f, const struct vug_dmabuf_scanout2 *body,
				 bool is_second, int fd)
{
	const struct vug_dmabuf_scanout *scanout = &body->scanout;

	g_assert_cmpuint(scanout->scanout_id, <, DISPLAY_MAX_SCANOUTS);
	g_assert_true(scanout->x == 0 && scanout->y == 0);
	f->surfaces[scanout->scanout_id].has_dmabuf = fd >= 0;
	if (fd < 0) {
		return g_strdup_printf("no-dmabuf %u", scanout->scanout_id);
	}
	g_assert_true(scanout->width == scanout->fd_width && scanout->height == scanout->fd_height);
	char letter = letter_of(f, fd);
	close(fd);
	return is_second
		       ? g_strdup_printf(
				 "dmabuf2 %u %c %ux%u/%u %.4s flags %u modifier %" G_GINT64_MODIFIER
				 "u",
				 scanout->scanout_id, letter, scanout->width, scanout->height,
				 scanout->fd_stride, (const char *)&scanout->fd_drm_fourcc,
				 scanout->fd_flags, body->modifier)
		       : g_strdup_printf("dmabuf %u %c %ux%u/%u %.4s flags %u", scanout->scanout_id,
					 letter, scanout->width, scanout->height,
					 scanout->fd_stride, (const char *)&scanout->fd_drm_fourcc,
					 scanout->fd_flags);
}

static char *read_scanout(struct fixture *f, const struct vug_scanout *scanout)
{
	g_assert_cmpuint(scanout->scanout_id, <, DISPLAY_MAX_SCANOUTS);
	/* Else it is drawn on and not seen. */
	g_assert_false(f->surfaces[scanout->scanout_id].has_dmabuf);
	f->surfaces[scanout->scanout_id].width = scanout->width;
	f->surfaces[scanout->scanout_id].height = scanout->height;
	return g_strdup_printf("scanout %u %ux%u", scanout->scanout_id, scanout->width,
			       scanout->height);
}

static char *read_update(struct fixture *f, const struct vug_update *update, bool is_of_dmabuf)
{
	g_assert_cmpuint(update->scanout_id, <, DISPLAY_MAX_SCANOUTS);
	g_assert_true(f->surfaces[update->scanout_id].has_dmabuf == is_of_dmabuf);
	if (is_of_dmabuf) {
		g_assert_false(f->is_unanswered);
		f->is_unanswered = true;
	} else {
		g_assert_cmpuint(f->surfaces[update->scanout_id].width, >, 0);
	}
	return g_strdup_printf("%s %u %ux%u+%u+%u", is_of_dmabuf ? "draw" : "update",
			       update->scanout_id, update->width, update->height, update->x,
			       update->y);
}

/* The next message as a line; NULL: one that is told by its name alone. */
static char *read_body(struct fixture *f, const struct vug_header *header, const char *bytes,
		       int fd)
{
	struct vug_dmabuf_scanout2 dmabuf_scanout = { 0 };
	struct vug_update update;
	struct vug_scanout scanout;

	switch (header->request) {
	case VUG_DMABUF_SCANOUT:
	case VUG_DMABUF_SCANOUT2:
		g_assert_cmpuint(header->size, ==, header->request == VUG_DMABUF_SCANOUT ? 40 : 48);
		memcpy(&dmabuf_scanout, bytes, header->size);
		return read_dmabuf_scanout(f, &dmabuf_scanout,
					   header->request == VUG_DMABUF_SCANOUT2, fd);
	case VUG_DMABUF_UPDATE:
	case VUG_UPDATE:
		memcpy(&update, bytes, sizeof(update));
		return read_update(f, &update, header->request == VUG_DMABUF_UPDATE);
	case VUG_SCANOUT:
		memcpy(&scanout, bytes, sizeof(scanout));
		return read_scanout(f, &scanout);
	default:
		return g_strdup_printf("message %u", header->request);
	}
}

static const char *peer_next(struct fixture *f)
{
	struct vug_header header;
	int fd = -1;

	read_exactly(f, &header, sizeof(header), &fd);
	g_assert_cmphex(header.flags, ==, 0);
	g_assert_true(fd < 0 || header.request == VUG_DMABUF_SCANOUT ||
		      header.request == VUG_DMABUF_SCANOUT2);
	g_autofree char *bytes = g_malloc(header.size + 1);
	read_exactly(f, bytes, header.size, NULL);
	g_free(f->line);
	f->line = read_body(f, &header, bytes, fd);
	return f->line;
}

#define expect(f, text) g_assert_cmpstr(peer_next(f), ==, text)

/* A buffer that was not there before, and all of it. */
static void expect_buffer(struct fixture *f, uint32_t scanout_id, char letter)
{
	g_autofree char *buffer = g_strdup_printf(
		"dmabuf2 %u %c 64x32/256 XR24 flags 0 modifier 0", scanout_id, letter);
	g_autofree char *drawn = g_strdup_printf("draw %u 64x32+0+0", scanout_id);

	expect(f, buffer);
	expect(f, drawn);
}

static void reply(struct fixture *f, uint32_t request, const void *payload, uint32_t size)
{
	const struct vug_header header = { request, VUG_FLAG_REPLY, size };

	unit_write(f->peer, &header, sizeof(header));
	unit_write(f->peer, payload, size);
}

/* It has drawn what it was told to. */
static void draw(struct fixture *f)
{
	g_assert_true(f->is_unanswered);
	f->is_unanswered = false;
	reply(f, VUG_DMABUF_UPDATE, NULL, 0);
}

/* Nothing has come, though a cursor that was set since then has. */
static void assert_quiet(struct fixture *f)
{
	display_cursor_hide(f->display, 15, 0, 0);
	expect(f, "message 5");
}

static void connect_peer(struct fixture *f)
{
	int pair[2];

	if (f->peer >= 0) {
		close(f->peer);
	}
	for (unsigned int i = 0; i < DISPLAY_MAX_SCANOUTS; i++) {
		/* QEMU keeps buffers beyond their channel. */
		f->surfaces[i].width = f->surfaces[i].height = 0;
	}
	f->is_unanswered = false;
	unit_socketpair(pair);
	f->peer = pair[1];
	display_set_socket(f->display, pair[0]);
	expect(f, "message 1");
}

/* Says which outputs there are, a bit each. */
static void say_outputs(struct fixture *f, uint32_t outputs)
{
	struct virtio_gpu_resp_display_info answer = { 0 };
	unsigned int n = count(f, &f->n_infos);

	for (unsigned int i = 0; i < DISPLAY_MAX_SCANOUTS; i++) {
		answer.pmodes[i].enabled = htole32(outputs >> i & 1);
	}
	g_assert_true(display_request_info(f->display, 1));
	expect(f, "message 3");
	reply(f, VUG_GET_DISPLAY_INFO, &answer, sizeof(answer));
	f->wanted = n + 1;
	g_assert_true(unit_wait(has_infos, f));
}

/* Twice is said that it is there: to get frames, and to get buffers. */
static void negotiate(struct fixture *f, uint64_t features)
{
	unsigned int n = count(f, &f->n_ready);

	connect_peer(f);
	reply(f, VUG_GET_PROTOCOL_FEATURES, &features, sizeof(features));
	expect(f, "message 2");
	wait_ready(f, n + 2);
	say_outputs(f, 0xffff);
}

static void create(struct fixture *f, bool with_dmabufs)
{
	*f = (struct fixture){ .peer = -1 };
	g_mutex_init(&f->lock);
	quota_init(&f->quota, QUOTA_BYTES);
	g_assert_cmpint(display_create_vhost_user_gpu(&listener, f, with_dmabufs, &f->display), ==,
			0);
	for (unsigned int i = 0; i < N_DMABUFS; i++) {
		const struct dmabuf_layout layout = {
			.width = WIDTH,
			.height = HEIGHT,
			.stride_bytes = WIDTH * 4,
			.fourcc = PIXEL_XRGB8888,
			.modifier = i == 2 ? 5 : DMABUF_MODIFIER_LINEAR,
			.is_y_0_top = i == 2,
		};

		f->dmabufs[i] = dmabuf_create(&layout, unit_memfd(WIDTH * HEIGHT * 4));
	}
	f->frame = frame_create(&f->quota, WIDTH, HEIGHT);
	g_assert_nonnull(f->frame);
}

static void setup(struct fixture *f, gconstpointer data G_GNUC_UNUSED)
{
	create(f, true);
}

static void teardown(struct fixture *f, gconstpointer data G_GNUC_UNUSED)
{
	display_destroy(f->display);
	for (unsigned int i = 0; i < N_DMABUFS; i++) {
		/* Nobody else holds one any more. */
		g_assert_true(g_atomic_ref_count_compare(&f->dmabufs[i]->refs, 1));
		dmabuf_unref(f->dmabufs[i]);
	}
	frame_unref(f->frame);
	g_assert_cmpuint(quota_used(&f->quota), ==, 0);
	if (f->peer >= 0) {
		close(f->peer);
	}
	g_free(f->line);
	g_mutex_clear(&f->lock);
}

static bool takes(struct fixture *f, unsigned int dmabuf)
{
	return display_takes_dmabuf(f->display, &f->dmabufs[dmabuf]->layout);
}

/* ---- who takes them ---- */

static void test_not_wanted(void)
{
	struct fixture fixture, *f = &fixture;
	const uint64_t features = 3;
	uint64_t accepted;

	create(f, false);
	connect_peer(f);
	reply(f, VUG_GET_PROTOCOL_FEATURES, &features, sizeof(features));
	struct vug_header header;
	read_exactly(f, &header, sizeof(header), NULL);
	read_exactly(f, &accepted, sizeof(accepted), NULL);
	g_assert_cmpuint(accepted, ==, 1); /* EDID alone */
	wait_ready(f, 1);
	g_assert_false(takes(f, 0));
	teardown(f, NULL);
}

static void test_headless(void)
{
	const struct dmabuf_layout layout = { 0 };
	struct display *d = display_create_headless();

	g_assert_false(display_takes_dmabuf(d, &layout));
	display_destroy(d);
}

/* Not before the front-end has said what it can; till then it gets frames. */
static void test_negotiation(struct fixture *f, gconstpointer data G_GNUC_UNUSED)
{
	const uint64_t features = 3;

	g_assert_false(takes(f, 0));
	connect_peer(f);
	wait_ready(f, 1);
	g_assert_false(takes(f, 0));
	show_frame(f, 0);
	expect(f, "scanout 0 64x32");
	expect(f, "update 0 64x32+0+0");
	reply(f, VUG_GET_PROTOCOL_FEATURES, &features, sizeof(features));
	expect(f, "message 2");
	wait_ready(f, 2); /* all is shown again, as a buffer */
	g_assert_true(takes(f, 0));
	g_assert_true(takes(f, 2));
	g_assert_true(show(f, 0, 0, 1));
	expect_buffer(f, 0, 'A');
}

/* QEMU before 8.1 is not told of an order of pixels, and takes them to be in rows. */
static void test_without_the_feature(struct fixture *f, gconstpointer data G_GNUC_UNUSED)
{
	negotiate(f, 0);
	g_assert_true(takes(f, 0));
	g_assert_false(takes(f, 2));
	g_assert_true(show(f, 3, 1, 1));
	expect(f, "dmabuf 3 B 64x32/256 XR24 flags 0");
	expect(f, "draw 3 64x32+0+0");
}

static void test_modifier_and_orientation(struct fixture *f, gconstpointer data G_GNUC_UNUSED)
{
	struct dmabuf_layout layout = f->dmabufs[2]->layout;

	negotiate(f, 3);
	g_assert_true(show(f, 0, 2, 1));
	expect(f, "dmabuf2 0 C 64x32/256 XR24 flags 1 modifier 5");
	expect(f, "draw 0 64x32+0+0");
	layout.offset_bytes = 4096; /* there is no message that says so */
	g_assert_false(display_takes_dmabuf(f->display, &layout));
}

/* ---- pictures ---- */

static void test_flips_and_damage(struct fixture *f, gconstpointer data G_GNUC_UNUSED)
{
	negotiate(f, 3);
	g_assert_true(show(f, 0, 0, 1));
	expect_buffer(f, 0, 'A');
	draw(f);
	wait_taken(f, 1, 0, 1);
	/* The same buffer: what has changed of it. */
	g_assert_true(show(f, 0, 0, 2));
	expect(f, "draw 0 3x4+2+2");
	draw(f);
	wait_taken(f, 2, 0, 2);
	/* Another: its descriptor, each time anew, as the front-end closes it. */
	g_assert_true(show(f, 0, 1, 3));
	expect_buffer(f, 0, 'B');
	draw(f);
	g_assert_true(show(f, 0, 0, 4));
	expect_buffer(f, 0, 'A');
	draw(f);
	wait_taken(f, 4, 0, 4);
	assert_quiet(f);
}

/* What comes while one is drawn is summed up, of all scanouts one after the other. */
static void test_one_at_a_time(struct fixture *f, gconstpointer data G_GNUC_UNUSED)
{
	negotiate(f, 3);
	g_assert_true(show(f, 0, 0, 1));
	expect_buffer(f, 0, 'A');
	g_assert_true(show(f, 0, 0, 2));
	g_assert_true(show(f, 0, 0, 5));
	g_assert_true(show(f, 1, 1, 3));
	assert_quiet(f);
	draw(f);
	expect_buffer(f, 1, 'B');
	assert_quiet(f);
	draw(f);
	expect(f, "draw 0 6x4+2+2");
	assert_quiet(f);
	draw(f);
	wait_taken(f, 3, 0, 5);
	assert_quiet(f);
}

/* Cursors and frames of other scanouts pass it. */
static void test_others_go_on(struct fixture *f, gconstpointer data G_GNUC_UNUSED)
{
	negotiate(f, 3);
	g_assert_true(show(f, 0, 0, 1));
	expect_buffer(f, 0, 'A');
	show_frame(f, 1);
	expect(f, "scanout 1 64x32");
	expect(f, "update 1 64x32+0+0");
	assert_quiet(f);
	g_assert_true(display_request_info(f->display, 1));
	expect(f, "message 3");
}

/* The one takes the other's place, and nothing of what was there stays. */
static void test_frames_and_buffers(struct fixture *f, gconstpointer data G_GNUC_UNUSED)
{
	negotiate(f, 3);
	for (unsigned int i = 0; i < 2; i++) {
		show_frame(f, 0);
		if (i > 0) {
			expect(f, "no-dmabuf 0");
		}
		expect(f, "scanout 0 64x32");
		expect(f, "update 0 64x32+0+0");
		g_assert_true(show(f, 0, 0, 1));
		expect_buffer(f, 0, 'A');
		draw(f);
	}
	assert_quiet(f);
}

/* Both go: the surface that was there before it would be seen again. */
static void test_off(struct fixture *f, gconstpointer data G_GNUC_UNUSED)
{
	negotiate(f, 3);
	g_assert_true(show(f, 0, 0, 1));
	expect_buffer(f, 0, 'A');
	/* While it is drawn, and with another that waits. */
	g_assert_true(show(f, 0, 1, 2));
	display_disable(f->display, 0);
	wait_taken(f, 1, 0, 2);
	expect(f, "no-dmabuf 0");
	expect(f, "scanout 0 0x0");
	display_disable(f->display, 0);
	draw(f);
	assert_quiet(f);
	g_assert_true(show(f, 0, 0, 3));
	expect_buffer(f, 0, 'A');
	draw(f);
	display_disable(f->display, 0);
	expect(f, "no-dmabuf 0");
	expect(f, "scanout 0 0x0");
	assert_quiet(f);
}

/* ---- a channel that ends ---- */

static void test_hang_up(struct fixture *f, gconstpointer data G_GNUC_UNUSED)
{
	negotiate(f, 3);
	g_assert_true(show(f, 0, 0, 1));
	g_assert_true(show(f, 1, 1, 2));
	close(f->peer);
	f->peer = -1;
	f->wanted = 2; /* nobody is waited for */
	g_assert_true(unit_wait(has_taken, f));
	g_assert_false(takes(f, 0));
	/* A new one is told all anew. */
	negotiate(f, 3);
	g_assert_true(show(f, 0, 0, 3));
	expect_buffer(f, 0, 'A');
}

static void test_replaced(struct fixture *f, gconstpointer data G_GNUC_UNUSED)
{
	negotiate(f, 3);
	g_assert_true(show(f, 0, 0, 1));
	expect_buffer(f, 0, 'A');
	negotiate(f, 3);
	wait_taken(f, 1, 0, 1);
	g_assert_true(show(f, 0, 0, 2));
	expect_buffer(f, 0, 'A');
	draw(f);
	wait_taken(f, 2, 0, 2);
}

/* What QEMU has of the channel before it shows until it hears that it is to stop. */
static void test_left_over(struct fixture *f, gconstpointer data G_GNUC_UNUSED)
{
	negotiate(f, 3);
	for (uint32_t i = 0; i < 3; i++) {
		g_assert_true(show(f, i, 0, 1));
		expect_buffer(f, i, 'A');
		draw(f);
	}
	negotiate(f, 3);
	show_frame(f, 0);
	expect(f, "no-dmabuf 0");
	expect(f, "scanout 0 64x32");
	expect(f, "update 0 64x32+0+0");
	display_disable(f->display, 1);
	expect(f, "no-dmabuf 1");
	expect(f, "scanout 1 0x0");
	display_disable(f->display, 1);
	/* It may have been closed there. */
	g_assert_true(show(f, 2, 0, 1));
	expect_buffer(f, 2, 'A');
	assert_quiet(f);
}

/* There QEMU would only write a line into its log. */
static void test_no_output(struct fixture *f, gconstpointer data G_GNUC_UNUSED)
{
	negotiate(f, 3);
	say_outputs(f, 1);
	if (show(f, 1, 0, 1)) { /* the display's thread has it, if that was sending */
		wait_taken(f, 1, 1, 1);
	}
	unsigned int n_taken = count(f, &f->n_taken);
	assert_quiet(f);
	g_assert_true(show(f, 0, 0, 2));
	expect_buffer(f, 0, 'A');
	/* One that goes while another is drawn. */
	say_outputs(f, 3);
	g_assert_true(show(f, 1, 0, 3));
	say_outputs(f, 1);
	draw(f);
	wait_taken(f, n_taken + 2, 1, 3);
	assert_quiet(f);
}

/* ---- no answer ---- */

/* It costs that update: then there are frames, and buffers again if it answers after all. */
static void test_no_answer(struct fixture *f, gconstpointer data G_GNUC_UNUSED)
{
	negotiate(f, 3);
	g_assert_true(show(f, 0, 0, 1));
	expect_buffer(f, 0, 'A');
	g_assert_true(show(f, 1, 1, 2));
	gint64 start_us = g_get_monotonic_time();
	wait_ready(f, 3);
	g_assert_cmpint(g_get_monotonic_time() - start_us, >, G_USEC_PER_SEC);
	g_assert_cmpuint(count(f, &f->n_taken), ==, 2);
	g_assert_false(takes(f, 0));
	/* Which wait for nothing. */
	g_assert_false(show_frame(f, 0));
	expect(f, "no-dmabuf 0");
	expect(f, "scanout 0 64x32");
	expect(f, "update 0 64x32+0+0");
	/* One that was on its way all the same is not sent. */
	show(f, 1, 1, 3);
	assert_quiet(f);
	draw(f);
	wait_ready(f, 4);
	g_assert_true(takes(f, 0));
	g_assert_true(show(f, 0, 0, 4));
	/* The one that waited may come, or have been dropped: the device shows all again. */
	const char *line = peer_next(f);
	if (strstr(line, "dmabuf2 1") != NULL) {
		expect(f, "draw 1 64x32+0+0");
		draw(f);
		line = peer_next(f);
	}
	g_assert_cmpstr(line, ==, "dmabuf2 0 A 64x32/256 XR24 flags 0 modifier 0");
	expect(f, "draw 0 64x32+0+0");
}

/* Late again and again: no more. */
static void test_late_answers(struct fixture *f, gconstpointer data G_GNUC_UNUSED)
{
	unsigned int n_ready = 2;

	negotiate(f, 3);
	for (unsigned int i = 0; i < 3; i++) {
		g_assert_true(takes(f, 0));
		g_assert_true(show(f, 0, 0, 1 + i));
		if (i == 0) {
			expect_buffer(f, 0, 'A');
		} else {
			g_autofree char *line = g_strdup_printf("draw 0 3x4+%u+2", 1 + i);

			expect(f, line);
		}
		wait_ready(f, ++n_ready);
		g_assert_false(takes(f, 0));
		draw(f);
		if (i < 2) {
			wait_ready(f, ++n_ready);
		}
	}
	assert_quiet(f);
	g_assert_false(takes(f, 0));
	g_assert_cmpuint(count(f, &f->n_ready), ==, n_ready);
}

/* Answers that nobody waits for. */
static void test_odd_answers(struct fixture *f, gconstpointer data G_GNUC_UNUSED)
{
	const uint8_t bytes[100] = { 0 };

	negotiate(f, 3);
	reply(f, VUG_DMABUF_UPDATE, NULL, 0);
	reply(f, VUG_DMABUF_UPDATE, bytes, 100);
	say_outputs(f, 0xffff); /* so they have been read, and are nobody's answer */
	g_assert_true(show(f, 0, 0, 1));
	expect_buffer(f, 0, 'A');
	g_assert_true(show(f, 0, 0, 2));
	draw(f);
	reply(f, VUG_DMABUF_SCANOUT2, NULL, 0);
	expect(f, "draw 0 3x4+2+2");
	g_assert_true(takes(f, 0));
}

/* ---- buffers of others ---- */

static void test_check(void)
{
	const struct dmabuf_layout sane = { 64, 32, 256, 0, 0, PIXEL_XRGB8888, 0 };
	struct dmabuf_layout layout = sane;
	int fd = unit_memfd(64 * 32 * 4);

	g_assert_cmpint(dmabuf_check(fd, &layout), ==, -EBADF);
	g_assert_cmpint(dmabuf_check(-1, &layout), ==, -EBADF);
	layout.stride_bytes = 255;
	g_assert_cmpint(dmabuf_check(fd, &layout), ==, -EINVAL);
	layout = sane;
	layout.width = 0;
	g_assert_cmpint(dmabuf_check(fd, &layout), ==, -EINVAL);
	layout.width = 16385;
	layout.stride_bytes = UINT32_MAX;
	g_assert_cmpint(dmabuf_check(fd, &layout), ==, -EINVAL);
	layout = sane;
	layout.height = UINT32_MAX;
	g_assert_cmpint(dmabuf_check(fd, &layout), ==, -EINVAL);
	layout = sane;
	layout.is_y_0_top = 2;
	g_assert_cmpint(dmabuf_check(fd, &layout), ==, -EINVAL);
	close(fd);
}

int main(int argc, char **argv)
{
	static const struct {
		const char *path;
		void (*test)(struct fixture *f, gconstpointer data);
	} tests[] = {
		{ "/display-dmabuf/negotiation", test_negotiation },
		{ "/display-dmabuf/without-the-feature", test_without_the_feature },
		{ "/display-dmabuf/modifier-and-orientation", test_modifier_and_orientation },
		{ "/display-dmabuf/flips-and-damage", test_flips_and_damage },
		{ "/display-dmabuf/one-at-a-time", test_one_at_a_time },
		{ "/display-dmabuf/others-go-on", test_others_go_on },
		{ "/display-dmabuf/frames-and-buffers", test_frames_and_buffers },
		{ "/display-dmabuf/off", test_off },
		{ "/display-dmabuf/hang-up", test_hang_up },
		{ "/display-dmabuf/replaced", test_replaced },
		{ "/display-dmabuf/left-over", test_left_over },
		{ "/display-dmabuf/no-output", test_no_output },
		{ "/display-dmabuf/no-answer", test_no_answer },
		{ "/display-dmabuf/late-answers", test_late_answers },
		{ "/display-dmabuf/odd-answers", test_odd_answers },
	};

	g_test_init(&argc, &argv, NULL);
	for (size_t i = 0; i < G_N_ELEMENTS(tests); i++) {
		g_test_add(tests[i].path, struct fixture, NULL, setup, tests[i].test, teardown);
	}
	g_test_add_func("/display-dmabuf/not-wanted", test_not_wanted);
	g_test_add_func("/display-dmabuf/headless", test_headless);
	g_test_add_func("/display-dmabuf/check", test_check);
	return g_test_run();
}
