/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * The display channel against a front-end that replies with anything, late,
 * in pieces or not at all, reads as slowly as it likes, and hangs up. What the
 * device asked has to be answered once, whatever happens; what the front-end
 * is sent has to be what it can bear, to the last byte.
 */
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "clock.h"
#include "display/display.h"
#include "fuzz.h"
#include "input.h"
#include "screen.h"

#define QUOTA_BYTES (UINT64_C(32) << 20)
#define MAX_TOKENS 512u
#define N_FRAMES 4u
#define N_DMABUFS 3u
#define TIMEOUT_MS 10000

struct fuzz {
	struct fuzz_input in;
	struct display *display;
	struct screen screen;
	struct quota quota;
	struct frame *frames[N_FRAMES]; /* owned references */
	struct dmabuf *dmabufs[N_DMABUFS]; /* the same */
	unsigned int n_tokens;		/* given out, from 1 on */

	GMutex lock;		  /* what the upcalls write */
	bool is_open[MAX_TOKENS]; /* asked, and not answered */
	unsigned int n_open;
	uint32_t awaited; /* a bit for each scanout: taken() is to come, or came in between */
	uint32_t taken;	  /* it came at least once since it was last awaited */
};

const char *fuzz_prepare(void)
{
	signal(SIGPIPE, SIG_IGN); /* as the program does */
	return NULL;
}

/* ---- upcalls, from any thread ---- */

static void ready(void *data G_GNUC_UNUSED)
{
}

static void taken(void *data, uint32_t scanout_id, uint32_t serial G_GNUC_UNUSED)
{
	struct fuzz *fuzz = data;

	g_assert_cmpuint(scanout_id, <, DISPLAY_MAX_SCANOUTS);
	g_mutex_lock(&fuzz->lock);
	fuzz->taken |= 1u << scanout_id;
	g_mutex_unlock(&fuzz->lock);
}

static void answered(struct fuzz *fuzz, uint64_t token)
{
	g_mutex_lock(&fuzz->lock);
	g_assert_cmpuint(token, <, MAX_TOKENS);
	g_assert_true(fuzz->is_open[token]);
	fuzz->is_open[token] = false;
	fuzz->n_open--;
	g_mutex_unlock(&fuzz->lock);
}

static void info(void *data, uint64_t token, const struct virtio_gpu_resp_display_info *response)
{
	if (token == DISPLAY_NO_TOKEN) {
		g_assert_nonnull(response);
	} else {
		answered(data, token);
	}
}

static void edid(void *data, uint64_t token,
		 const struct virtio_gpu_resp_edid *response G_GNUC_UNUSED)
{
	answered(data, token);
}

static const struct display_listener listener = {
	.ready = ready,
	.taken = taken,
	.info = info,
	.edid = edid,
};

/* ---- the device ---- */

static void ask(struct fuzz *fuzz, bool is_edid, uint32_t scanout_id)
{
	uint64_t token = fuzz->n_tokens + 1;
	bool is_asked;

	if (token == MAX_TOKENS) {
		return;
	}
	fuzz->n_tokens++;
	/* Before it is asked, for the answer may be faster. */
	g_mutex_lock(&fuzz->lock);
	fuzz->is_open[token] = true;
	fuzz->n_open++;
	g_mutex_unlock(&fuzz->lock);
	is_asked = is_edid ? display_request_edid(fuzz->display, token, scanout_id)
			   : display_request_info(fuzz->display, token);
	if (!is_asked) {
		answered(fuzz, token); /* asserts that nobody else did */
	}
}

static void do_ask_info(struct fuzz *fuzz)
{
	ask(fuzz, false, 0);
}

static void do_ask_edid(struct fuzz *fuzz)
{
	ask(fuzz, true, fuzz_input_below(&fuzz->in, DISPLAY_MAX_SCANOUTS));
}

/* Many at once; more than are taken. */
static void do_ask_much(struct fuzz *fuzz)
{
	for (unsigned int n = fuzz_input_u8(&fuzz->in); n > 0; n--) {
		ask(fuzz, n & 1, 0);
	}
}

static struct frame *pick_frame(struct fuzz *fuzz)
{
	static const struct {
		uint32_t width, height;
	} sizes[N_FRAMES] = { { 16, 16 }, { 64, 40 }, { 320, 256 }, { 2560, 64 } };
	unsigned int i = fuzz_input_below(&fuzz->in, N_FRAMES);

	if (fuzz->frames[i] == NULL) {
		fuzz->frames[i] = frame_create(&fuzz->quota, sizes[i].width, sizes[i].height);
		g_assert_nonnull(fuzz->frames[i]);
	}
	return fuzz->frames[i];
}

static struct rect pick_part(struct fuzz *fuzz, uint32_t width, uint32_t height, uint32_t min_side)
{
	struct rect part = { .width = width, .height = height };

	if (fuzz_input_flag(&fuzz->in)) {
		part.width = min_side + fuzz_input_u8(&fuzz->in) % (width - min_side + 1);
		part.height = min_side + fuzz_input_u8(&fuzz->in) % (height - min_side + 1);
		part.x = fuzz_input_u8(&fuzz->in) % (width - part.width + 1);
		part.y = fuzz_input_u8(&fuzz->in) % (height - part.height + 1);
	}
	return part;
}

/* A picture is about to be shown: what was taken of this scanout till then. */
static uint32_t begin_update(struct fuzz *fuzz, uint32_t scanout_id)
{
	g_mutex_lock(&fuzz->lock);
	uint32_t taken_before = fuzz->taken;
	fuzz->taken &= ~(1u << scanout_id);
	g_mutex_unlock(&fuzz->lock);
	return taken_before;
}

static void end_update(struct fuzz *fuzz, uint32_t scanout_id, uint32_t taken_before,
		       bool is_waiting)
{
	g_mutex_lock(&fuzz->lock);
	if (is_waiting) {
		fuzz->awaited |= 1u << scanout_id;
	} else {
		fuzz->taken |= taken_before;
	}
	g_mutex_unlock(&fuzz->lock);
}

static void do_update(struct fuzz *fuzz)
{
	uint32_t scanout_id = fuzz_input_below(&fuzz->in, DISPLAY_MAX_SCANOUTS);
	struct display_picture picture = { .frame = pick_frame(fuzz) };
	struct rect damage;

	picture.view =
		pick_part(fuzz, picture.frame->width, picture.frame->height, DISPLAY_MIN_SIDE);
	damage = pick_part(fuzz, picture.view.width, picture.view.height, 1);
	uint32_t taken_before = begin_update(fuzz, scanout_id);
	end_update(fuzz, scanout_id, taken_before,
		   display_update(fuzz->display, scanout_id, &picture, &damage));
}

static struct dmabuf *pick_dmabuf(struct fuzz *fuzz)
{
	static const struct dmabuf_layout layouts[N_DMABUFS] = {
		{ 16, 16, 256, 0, DMABUF_MODIFIER_LINEAR, PIXEL_XRGB8888, 0 },
		{ 64, 40, 256, 0, DMABUF_MODIFIER_INVALID, PIXEL_ABGR8888, 1 },
		{ 64, 40, 512, 0, 7, PIXEL_ARGB8888, 0 },
	};
	unsigned int i = fuzz_input_below(&fuzz->in, N_DMABUFS);

	if (fuzz->dmabufs[i] == NULL) {
		int fd = memfd_create("buffer", MFD_CLOEXEC);

		g_assert_no_errno(fd);
		fuzz->dmabufs[i] = dmabuf_create(&layouts[i], fd);
	}
	return fuzz->dmabufs[i];
}

/* Taken or not: the front-end may have changed its mind since it was asked. */
static void do_update_dmabuf(struct fuzz *fuzz)
{
	uint32_t scanout_id = fuzz_input_below(&fuzz->in, DISPLAY_MAX_SCANOUTS);
	struct dmabuf *dmabuf = pick_dmabuf(fuzz);
	const struct rect damage =
		pick_part(fuzz, dmabuf->layout.width, dmabuf->layout.height, 1);

	if (!display_takes_dmabuf(fuzz->display, &dmabuf->layout) &&
	    !fuzz_input_one_in(&fuzz->in, 4)) {
		return;
	}
	uint32_t taken_before = begin_update(fuzz, scanout_id);
	end_update(fuzz, scanout_id, taken_before,
		   display_update_dmabuf(fuzz->display, scanout_id, dmabuf, 1, &damage));
}

/* The guest has no more use for them. */
static void do_drop_dmabufs(struct fuzz *fuzz)
{
	for (size_t i = 0; i < N_DMABUFS; i++) {
		g_clear_pointer(&fuzz->dmabufs[i], dmabuf_unref);
	}
}

static void do_draw(struct fuzz *fuzz)
{
	const struct rect corner = { 0, 0, 8, 8 };
	struct frame *frame = pick_frame(fuzz);

	display_reclaim(fuzz->display);
	for (size_t i = 0; i < N_FRAMES; i++) {
		if (fuzz->frames[i] == frame && frame_make_writable(&fuzz->frames[i], &corner)) {
			frame_clear(fuzz->frames[i], &corner);
		}
	}
}

static void do_disable(struct fuzz *fuzz)
{
	display_disable(fuzz->display, fuzz_input_below(&fuzz->in, DISPLAY_MAX_SCANOUTS));
}

static void do_cursor(struct fuzz *fuzz)
{
	static const uint32_t pixels[DISPLAY_CURSOR_SIDE * DISPLAY_CURSOR_SIDE];
	struct display_cursor cursor = {
		.scanout_id = fuzz_input_below(&fuzz->in, DISPLAY_MAX_SCANOUTS),
	};

	cursor.x = fuzz_input_number(&fuzz->in);
	cursor.pixels = fuzz_input_flag(&fuzz->in) ? pixels : NULL;
	display_cursor_set(fuzz->display, &cursor);
}

static void do_hide_cursor(struct fuzz *fuzz)
{
	uint32_t scanout_id = fuzz_input_below(&fuzz->in, DISPLAY_MAX_SCANOUTS);

	display_cursor_hide(fuzz->display, scanout_id, 1, 2);
}

/* Beyond the time that an answer may take, with something that wakes the thread. */
static void do_wait(struct fuzz *fuzz)
{
	fuzz_clock_advance(fuzz_input_below(&fuzz->in, 8) * 1000000u);
	ask(fuzz, false, 0);
}

/* ---- the front-end ---- */

static void do_connect(struct fuzz *fuzz)
{
	display_set_socket(fuzz->display, screen_connect(&fuzz->screen));
	screen_await_question(&fuzz->screen);
}

static void do_hang_up(struct fuzz *fuzz)
{
	screen_hang_up(&fuzz->screen);
}

static void do_read(struct fuzz *fuzz)
{
	uint8_t byte = fuzz_input_u8(&fuzz->in);

	screen_read(&fuzz->screen, byte < 0x80 ? SIZE_MAX : byte * 64u);
}

static void do_reply(struct fuzz *fuzz)
{
	screen_reply(&fuzz->screen, &fuzz->in);
}

static void do_send(struct fuzz *fuzz)
{
	uint8_t bytes[64];
	size_t n = 1 + fuzz_input_below(&fuzz->in, sizeof(bytes));

	fuzz_input_copy(&fuzz->in, bytes, n);
	fuzz->screen.has_lied = true;
	screen_send(&fuzz->screen, bytes, n);
	screen_let_hear(&fuzz->screen);
}

static void (*const operations[])(struct fuzz *fuzz) = {
	do_connect, do_ask_info,    do_ask_edid, do_update, do_reply,	do_read, do_disable,
	do_cursor,  do_hide_cursor, do_draw,	 do_send,   do_hang_up, do_wait, do_ask_much,
	do_update_dmabuf, do_drop_dmabufs,
};

/* ---- life ---- */

static bool is_over(void *data)
{
	struct fuzz *fuzz = data;

	g_mutex_lock(&fuzz->lock);
	bool is_done = fuzz->n_open == 0 && (fuzz->awaited & ~fuzz->taken) == 0;
	g_mutex_unlock(&fuzz->lock);
	return is_done && !display_is_watched(fuzz->display);
}

/* The front-end hangs up: then all is answered, and nothing waits. */
static void finish(struct fuzz *fuzz)
{
	screen_read(&fuzz->screen, SIZE_MAX);
	screen_finish(&fuzz->screen);
	g_assert_true(fuzz_wait(is_over, fuzz, TIMEOUT_MS));
	display_destroy(fuzz->display);
	for (size_t i = 0; i < N_FRAMES; i++) {
		frame_unref(fuzz->frames[i]);
	}
	do_drop_dmabufs(fuzz);
	g_assert_cmpuint(quota_used(&fuzz->quota), ==, 0);
	g_mutex_clear(&fuzz->lock);
}

void fuzz_one(const uint8_t *bytes, size_t size_bytes)
{
	unsigned int n_fds = fuzz_count_fds();
	struct fuzz fuzz = { 0 };

	fuzz_clock_reset();
	fuzz_input_init(&fuzz.in, bytes, size_bytes);
	g_mutex_init(&fuzz.lock);
	quota_init(&fuzz.quota, QUOTA_BYTES);
	screen_init(&fuzz.screen);
	g_assert_cmpint(display_create_vhost_user_gpu(&listener, &fuzz, true, &fuzz.display), ==, 0);
	while (!fuzz_input_is_over(&fuzz.in)) {
		unsigned int i = fuzz_input_operation(&fuzz.in);

		if (i < G_N_ELEMENTS(operations)) {
			operations[i](&fuzz);
		}
	}
	finish(&fuzz);
	g_assert_cmpuint(fuzz_count_fds(), ==, n_fds);
}
