/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * Whoever comes to the control socket, as often as they like, and says
 * anything, in pieces, with descriptors, or nothing; reads as slowly as they
 * like; and goes. Behind the door is the desk of a device that hands out
 * pictures late, others than it was asked for, or none. Each who is answered
 * has one whole answer; nobody is inside for longer than they may; one picture
 * is asked for at a time, and no more than so many in a second.
 */
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "clock.h"
#include "control/desk.h"
#include "control/door.h"
#include "control/protocol.h"
#include "fuzz.h"
#include "input.h"
#include "util/sock.h"

#define N_CLIENTS 24u
#define SIDE 200u
/* The longest beginning of an answer that is looked at, and its end. */
#define HEAD_BYTES 32u
#define TAIL "\nend\n"

struct client {
	int fd; /* -1: nobody */
	bool has_shut;
	size_t n_read;
	char head[HEAD_BYTES + 1];
	char tail[sizeof(TAIL)];
};

struct fuzz {
	struct engine engine; /* the first member */
	struct fuzz_input in;
	struct loop loop;
	struct desk *desk;
	struct quota quota;
	struct stats stats;
	struct sockaddr_un address;
	socklen_t address_bytes;
	struct options options;
	struct client clients[N_CLIENTS];
	uint32_t wanted, wanted_cursors; /* scanouts */
	gint64 asked_us;		 /* when the last picture was */
	bool has_mode;		       /* the device, of what was asked for last */
	uint32_t mode_width, mode_height; /* asked for; 0: nothing is */
	uint32_t old_width, old_height;	  /* asked for before that */
	bool is_mode_due;
	uint32_t mode_serial; /* the last that was told */
};

const char *fuzz_prepare(void)
{
	signal(SIGPIPE, SIG_IGN); /* as the program does */
	return NULL;
}

/* ---- the device ---- */

static struct fuzz *from_engine(struct engine *engine)
{
	return (struct fuzz *)(void *)engine;
}

static const struct stats *device_stats(struct engine *engine)
{
	return &from_engine(engine)->stats;
}

static void device_describe(struct engine *engine G_GNUC_UNUSED, struct engine_state *state_out)
{
	*state_out = (struct engine_state){ .is_running = true };
}

static void device_grab(struct engine *engine, uint32_t scanout_id, bool is_cursor)
{
	struct fuzz *fuzz = from_engine(engine);
	gint64 now_us = g_get_monotonic_time();

	g_assert_cmpuint(scanout_id, <, DISPLAY_MAX_SCANOUTS);
	g_assert_true(fuzz->asked_us == 0 ||
		      now_us - fuzz->asked_us >= G_USEC_PER_SEC / DESK_PICTURES_A_SECOND);
	fuzz->asked_us = now_us;
	*(is_cursor ? &fuzz->wanted_cursors : &fuzz->wanted) |= 1u << scanout_id;
}

static void device_set_mode(struct engine *engine, uint32_t scanout_id, uint32_t width,
			    uint32_t height)
{
	struct fuzz *fuzz = from_engine(engine);

	g_assert_cmpuint(scanout_id, ==, 0);
	g_assert_cmpuint(width, >=, DISPLAY_MIN_SIDE);
	g_assert_cmpuint(width, <=, DISPLAY_MAX_SIDE);
	g_assert_cmpuint(height, >=, DISPLAY_MIN_SIDE);
	g_assert_cmpuint(height, <=, DISPLAY_MAX_SIDE);
	fuzz->old_width = fuzz->mode_width;
	fuzz->old_height = fuzz->mode_height;
	fuzz->mode_width = width;
	fuzz->mode_height = height;
	fuzz->has_mode = false;
}

static const struct engine_impl device = {
	.stats = device_stats,
	.describe = device_describe,
	.grab = device_grab,
	.set_mode = device_set_mode,
};

static void look(void *data G_GNUC_UNUSED, struct desk_facts *facts_out)
{
	*facts_out = (struct desk_facts){ 0 };
}

static int tell_mode(void *data, uint32_t serial)
{
	struct fuzz *fuzz = data;

	/* When there is one to find, and once. */
	g_assert_true(fuzz->has_mode);
	fuzz->has_mode = false;
	fuzz->mode_width = 0;
	fuzz->is_mode_due = true;
	fuzz->mode_serial = serial;
	return fuzz->options.max_clients == 1 ? 0 : -ENOTSUP;
}

/* ---- the loop ---- */

static void woken(void *data)
{
	struct fuzz *fuzz = data;

	desk_woken(fuzz->desk);
	loop_quit(&fuzz->loop);
}

/* What is there is dispatched. */
static void run_loop(struct fuzz *fuzz)
{
	fuzz->loop.quit = false;
	loop_wake(&fuzz->loop);
	g_assert_cmpint(loop_run(&fuzz->loop), ==, 0);
}

/* ---- who comes ---- */

static struct client *choose(struct fuzz *fuzz)
{
	return &fuzz->clients[fuzz_input_below(&fuzz->in, N_CLIENTS)];
}

/* What came as the answer is one. */
static void check_answer(const struct client *client)
{
	g_assert_true(g_str_has_prefix(client->head, CONTROL_GREETING " "));
	if (!g_str_has_prefix(client->head, CONTROL_GREETING " ok\npicture ")) {
		fuzz_assert_bytes(client->tail, TAIL, strlen(TAIL));
	}
}

static void leave(struct client *client)
{
	close(client->fd);
	*client = (struct client){ .fd = -1 };
}

static void remember(struct client *client, const char *bytes, size_t n)
{
	size_t n_tail = MIN(n, strlen(TAIL));

	if (client->n_read < HEAD_BYTES) {
		memcpy(client->head + client->n_read, bytes, MIN(n, HEAD_BYTES - client->n_read));
	}
	memmove(client->tail, client->tail + n_tail, strlen(TAIL) - n_tail);
	memcpy(client->tail + strlen(TAIL) - n_tail, bytes + n - n_tail, n_tail);
	client->n_read += n;
}

/* False: there is no more for now, or for ever. */
static bool read_some(struct client *client, size_t max)
{
	char bytes[4096];
	ssize_t n = client->fd >= 0 ? recv(client->fd, bytes, MIN(max, sizeof(bytes)), MSG_DONTWAIT)
				    : -1;

	if (n > 0) {
		remember(client, bytes, (size_t)n);
		return true;
	}
	if (n == 0) {
		if (client->n_read > 0) {
			check_answer(client);
		}
		leave(client);
	}
	return false;
}

static void send_bytes(struct client *client, const char *bytes, size_t n, int fd_borrow)
{
	struct iovec iov = { (char *)(uintptr_t)bytes, n };

	if (client->fd >= 0 && !client->has_shut && n > 0) {
		ssize_t ignored = sock_send(client->fd, &iov, 1, fd_borrow);

		(void)ignored;
	}
}

static void do_connect(struct fuzz *fuzz)
{
	struct client *client = choose(fuzz);

	if (client->fd >= 0) {
		return;
	}
	client->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	g_assert_no_errno(client->fd);
	if (connect(client->fd, (const struct sockaddr *)&fuzz->address, fuzz->address_bytes) < 0) {
		leave(client);
	}
}

static void do_say(struct fuzz *fuzz)
{
	struct client *client = choose(fuzz);
	char bytes[128];
	size_t n = fuzz_input_below(&fuzz->in, sizeof(bytes) + 1);

	fuzz_input_copy(&fuzz->in, bytes, n);
	send_bytes(client, bytes, n, -1);
}

/* A question that makes sense, or nearly; all of it, or a part. */
static void do_ask(struct fuzz *fuzz)
{
	static const char *const questions[] = {
		"status",
		"vms",
		"screenshot",
		"cursor",
		"set-mode mode=640x480",
		"log level=off",
		"status vm=1",
		"status vm=2",
		"screenshot scanout=3",
		"cursor scanout=15",
		"set-mode scanout=1 mode=640x480",
		"dance",
		"set-mode mode=100x100",
	};
	struct client *client = choose(fuzz);
	unsigned int which = fuzz_input_below(&fuzz->in, G_N_ELEMENTS(questions));
	size_t left_out = fuzz_input_below(&fuzz->in, 8);
	g_autofree char *line = g_strdup_printf(CONTROL_GREETING " %s\n", questions[which]);

	send_bytes(client, line, strlen(line) - (left_out < 4 ? 0 : left_out), -1);
}

static void do_end_line(struct fuzz *fuzz)
{
	send_bytes(choose(fuzz), "\n", 1, -1);
}

static void do_send_descriptor(struct fuzz *fuzz)
{
	send_bytes(choose(fuzz), "v", 1, STDERR_FILENO);
}

static void do_shut(struct fuzz *fuzz)
{
	struct client *client = choose(fuzz);

	if (client->fd >= 0 && !client->has_shut) {
		client->has_shut = true;
		shutdown(client->fd, SHUT_WR);
	}
}

static void do_read(struct fuzz *fuzz)
{
	struct client *client = choose(fuzz);

	read_some(client, 1u + fuzz_input_u8(&fuzz->in));
}

static void do_read_all(struct fuzz *fuzz)
{
	struct client *client = choose(fuzz);

	while (read_some(client, SIZE_MAX)) {
		run_loop(fuzz);
	}
}

static void do_leave(struct fuzz *fuzz)
{
	struct client *client = choose(fuzz);

	if (client->fd >= 0) {
		leave(client);
	}
}

static void do_run(struct fuzz *fuzz)
{
	run_loop(fuzz);
}

static void do_wait(struct fuzz *fuzz)
{
	fuzz_clock_advance(fuzz_input_u8(&fuzz->in) * 20000u);
	run_loop(fuzz);
}

/* ---- what the device does ---- */

static struct frame *make_picture(struct fuzz *fuzz, struct rect *view_out)
{
	uint32_t width = DISPLAY_MIN_SIDE + fuzz_input_u8(&fuzz->in) % (SIDE - DISPLAY_MIN_SIDE);
	uint32_t height = DISPLAY_MIN_SIDE + fuzz_input_u8(&fuzz->in) % (SIDE - DISPLAY_MIN_SIDE);
	uint32_t x = fuzz_input_below(&fuzz->in, SIDE - width + 1);
	uint32_t y = fuzz_input_below(&fuzz->in, SIDE - height + 1);

	*view_out = (struct rect){ x, y, width, height };
	return fuzz_input_one_in(&fuzz->in, 4) ? NULL : frame_create(&fuzz->quota, SIDE, SIDE);
}

/* The device says that it has a mode; it says so, too, of older ones and of none that was asked for. */
static void give_mode(struct fuzz *fuzz, uint32_t scanout_id, uint32_t width, uint32_t height)
{
	fuzz->has_mode |= scanout_id == 0 && width != 0 && width == fuzz->mode_width &&
			  height == fuzz->mode_height;
	desk_mode_set(fuzz->desk, scanout_id, width, height);
	run_loop(fuzz);
	g_assert_false(fuzz->has_mode);
}

/* Of a scanout, whether it was asked for or not: an answer may come late. */
static void do_give(struct fuzz *fuzz)
{
	uint32_t scanout_id = fuzz_input_below(&fuzz->in, DISPLAY_MAX_SCANOUTS);
	struct rect view;
	struct frame *frame = make_picture(fuzz, &view);

	desk_grabbed(fuzz->desk, scanout_id, frame, &view);
	run_loop(fuzz);
	give_mode(fuzz, scanout_id, fuzz->old_width, fuzz->old_height);
}

static void do_give_wanted(struct fuzz *fuzz)
{
	struct rect view;

	for (uint32_t i = 0; i < DISPLAY_MAX_SCANOUTS; i++) {
		if (fuzz->wanted & 1u << i) {
			struct frame *frame = make_picture(fuzz, &view);

			desk_grabbed(fuzz->desk, i, frame, &view);
		}
		if (fuzz->wanted_cursors & 1u << i) {
			desk_grabbed_cursor(fuzz->desk, i,
					    fuzz_input_flag(&fuzz->in)
						    ? g_new0(uint32_t, DISPLAY_CURSOR_SIDE *
									       DISPLAY_CURSOR_SIDE)
						    : NULL);
		}
	}
	fuzz->wanted = 0;
	fuzz->wanted_cursors = 0;
	run_loop(fuzz);
	give_mode(fuzz, 0, fuzz->mode_width, fuzz->mode_height);
}

static void do_tell_mode(struct fuzz *fuzz)
{
	if (fuzz->is_mode_due) {
		fuzz->is_mode_due = false;
		desk_mode_told(fuzz->desk, fuzz->mode_serial,
			       fuzz_input_flag(&fuzz->in) ? -EREMOTEIO : 0);
	}
}

static void (*const operations[])(struct fuzz *fuzz) = {
	do_connect, do_say,  do_ask,	     do_end_line,  do_send_descriptor,
	do_shut,    do_read, do_read_all,    do_leave,	   do_run,
	do_wait,    do_give, do_give_wanted, do_tell_mode,
};

/* ---- life ---- */

/* At an address that the kernel finds, which is no file. */
static int make_door(struct fuzz *fuzz)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	g_assert_no_errno(fd);
	fuzz->address.sun_family = AF_UNIX;
	g_assert_no_errno(bind(fd, (const struct sockaddr *)&fuzz->address,
			       sizeof(fuzz->address.sun_family)));
	fuzz->address_bytes = sizeof(fuzz->address);
	g_assert_no_errno(getsockname(fd, (struct sockaddr *)&fuzz->address, &fuzz->address_bytes));
	g_assert_no_errno(listen(fd, (int)N_CLIENTS));
	return fd;
}

static void setup(struct fuzz *fuzz, const uint8_t *bytes, size_t size_bytes)
{
	static const struct renderer_caps caps;

	fuzz_clock_reset();
	fuzz_input_init(&fuzz->in, bytes, size_bytes);
	uint8_t how = fuzz_input_u8(&fuzz->in);
	fuzz->engine.impl = &device;
	fuzz->options = (struct options){
		.gpu_mode = "2d",
		.is_headless = (how & 1) != 0,
		.max_clients = (how & 2) != 0 ? 1 : 2,
	};
	quota_init(&fuzz->quota, 16u << 20);
	for (size_t i = 0; i < N_CLIENTS; i++) {
		fuzz->clients[i].fd = -1;
	}
	g_assert_cmpint(loop_init(&fuzz->loop, woken, fuzz), ==, 0);
	const struct desk_options desk_options = {
		.options = &fuzz->options,
		.caps = &caps,
		.quota = &fuzz->quota,
		.loop = &fuzz->loop,
		.engine = &fuzz->engine,
		.vm = 1,
		.look = look,
		.tell_mode = tell_mode,
		.data = fuzz,
	};
	g_assert_cmpint(desk_create(&desk_options, -1, make_door(fuzz), &fuzz->desk), ==, 0);
}

/* Who has said nothing, and who waits for a picture, is not inside for ever. */
static void check_end(struct fuzz *fuzz)
{
	for (unsigned int i = 0; i < 40; i++) {
		fuzz_clock_advance(DOOR_QUESTION_US);
		run_loop(fuzz);
		for (size_t k = 0; k < N_CLIENTS; k++) {
			while (read_some(&fuzz->clients[k], SIZE_MAX)) {
				run_loop(fuzz);
			}
		}
	}
	for (size_t k = 0; k < N_CLIENTS; k++) {
		char byte;

		/* What it had not read when it hung up may cost its sender the answer. */
		if (fuzz->clients[k].fd >= 0) {
			g_assert_cmpint(recv(fuzz->clients[k].fd, &byte, 1, MSG_DONTWAIT), <, 0);
			g_assert_cmpint(errno, !=, EAGAIN);
			leave(&fuzz->clients[k]);
		}
	}
	/* And no picture is kept for who has gone. */
	g_assert_cmpuint(quota_used(&fuzz->quota), ==, 0);
}

static void teardown(struct fuzz *fuzz)
{
	desk_destroy(fuzz->desk);
	g_assert_null(fuzz->loop.timers);
	loop_finish(&fuzz->loop);
	for (size_t i = 0; i < N_CLIENTS; i++) {
		if (fuzz->clients[i].fd >= 0) {
			leave(&fuzz->clients[i]);
		}
	}
	g_assert_cmpuint(quota_used(&fuzz->quota), ==, 0);
}

void fuzz_one(const uint8_t *bytes, size_t size_bytes)
{
	unsigned int n_fds = fuzz_count_fds();
	struct fuzz *fuzz = g_new0(struct fuzz, 1);

	setup(fuzz, bytes, size_bytes);
	while (!fuzz_input_is_over(&fuzz->in)) {
		unsigned int i = fuzz_input_operation(&fuzz->in);

		if (i < G_N_ELEMENTS(operations)) {
			operations[i](fuzz);
		}
	}
	/* In half of the inputs; else all of it is ended as it is. */
	if (size_bytes % 2 == 0) {
		check_end(fuzz);
	}
	teardown(fuzz);
	g_free(fuzz);
	g_assert_cmpuint(fuzz_count_fds(), ==, n_fds);
}
