/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "control/desk.h"

#include <errno.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "control/door.h"
#include "control/protocol.h"
#include "control/report.h"
#include "display/display.h"
#include "util/log.h"
#include "util/sock.h"

/* Messages of the listener's before the loop's other sources get their turn. */
#define QUESTIONS_PER_WAKEUP 4
/* Pixels of a picture, the same. */
#define BYTES_PER_WAKEUP (4u << 20)
#define SEND_BUFFER_BYTES (1 << 20)
#define PICTURE_STEP_US (G_USEC_PER_SEC / DESK_PICTURES_A_SECOND)

/* What came of the engine, until this thread looks. */
struct find {
	bool is_there;
	struct frame *frame; /* owned; or NULL */
	struct rect view;
	uint32_t *pixels; /* owned: of a cursor; or NULL */
};

/* What the viewer waits for. */
struct wanted {
	bool is_any; /* else nobody waits */
	bool is_cursor;
	uint32_t scanout_id;
};

enum mode_state {
	MODE_TOLD,  /* or there was none */
	MODE_ASKED, /* of the engine */
	MODE_SET,   /* the guest is to be told */
};

/* Of a headless screen. A guest that is told before the device has it would find the old one. */
struct mode {
	uint32_t scanout_id, width, height;
	enum mode_state state;
};

/* Who waits for a picture, or is being sent one; fd -1: nobody. */
struct viewer {
	int fd; /* owned */
	uint32_t scanout_id;
	bool is_cursor, is_sending;
	struct find find; /* what is sent */
	size_t n_sent;	  /* bytes of its rows */
	gint64 began_us;  /* the last one, too */
	struct loop_source source;
	struct loop_timer timer;
};

struct desk {
	struct desk_options options;
	gint64 since_us;
	int channel_fd; /* owned, or -1 */
	struct loop_source channel_source;
	struct door *door;  /* owned, or NULL */
	struct stats *copy; /* owned, of stats_read() */
	struct viewer viewer;
	int mode_fd;	      /* owned, who waits to hear what became of a mode; or -1 */
	uint32_t mode_serial; /* of that one, or the last; an answer may come after its time */
	struct loop_timer mode_timer;

	GMutex lock;
	struct mode mode; /* the last */
	struct wanted wanted;
	struct find found; /* of what is wanted */
};

/* ---- finds ---- */

static void find_clear(struct find *find)
{
	frame_unref(find->frame);
	g_free(find->pixels);
	*find = (struct find){ 0 };
}

/* What was found already goes: it is older than the question, or nobody asks any more. */
static void want(struct desk *desk, const struct wanted *wanted)
{
	g_mutex_lock(&desk->lock);
	struct find old = desk->found;
	desk->found = (struct find){ 0 };
	desk->wanted = *wanted;
	g_mutex_unlock(&desk->lock);
	find_clear(&old);
}

/*
 * What comes late, or more than once, is of no use to anybody: it would hold
 * memory of the guest's quota, or all that a dead renderer process left.
 */
static void leave_find(struct desk *desk, bool is_cursor, uint32_t scanout_id,
		       const struct find *consume_find)
{
	struct find unused = *consume_find;

	g_mutex_lock(&desk->lock);
	bool is_wanted = desk->wanted.is_any && desk->wanted.is_cursor == is_cursor &&
			 desk->wanted.scanout_id == scanout_id;
	if (is_wanted) {
		unused = desk->found;
		desk->found = *consume_find;
	}
	g_mutex_unlock(&desk->lock);
	find_clear(&unused);
	if (is_wanted) {
		loop_wake(desk->options.loop);
	}
}

void desk_grabbed(struct desk *desk, uint32_t scanout_id, struct frame *consume_frame,
		  const struct rect *view)
{
	const struct find find = { .is_there = true, .frame = consume_frame, .view = *view };

	leave_find(desk, false, scanout_id, &find);
}

void desk_grabbed_cursor(struct desk *desk, uint32_t scanout_id, uint32_t *consume_pixels)
{
	const struct find find = {
		.is_there = true,
		.pixels = consume_pixels,
		.view = { 0, 0, DISPLAY_CURSOR_SIDE, DISPLAY_CURSOR_SIDE },
	};

	leave_find(desk, true, scanout_id, &find);
}

/* ---- pictures ---- */

static void viewer_end(struct desk *desk)
{
	struct viewer *viewer = &desk->viewer;

	loop_timer_disarm(desk->options.loop, &viewer->timer);
	loop_remove(desk->options.loop, &viewer->source);
	if (viewer->fd >= 0) {
		close(viewer->fd);
	}
	viewer->fd = -1;
	viewer->is_sending = false;
	find_clear(&viewer->find);
	want(desk, &(struct wanted){ .is_any = false });
}

static const char *row_of(const struct find *find, size_t y)
{
	return find->frame != NULL ? (const char *)frame_pixel(find->frame, find->view.x,
							       find->view.y + (uint32_t)y)
				   : (const char *)(find->pixels + y * find->view.width);
}

/* As many rows as one system call takes, from the byte n_sent on. */
static ssize_t send_rows(const struct viewer *viewer)
{
	size_t row_bytes = viewer->find.view.width * sizeof(uint32_t);
	size_t y = viewer->n_sent / row_bytes, skipped = viewer->n_sent % row_bytes;
	struct iovec iov[64];
	size_t n = 0;

	for (; n < G_N_ELEMENTS(iov) && y + n < viewer->find.view.height; n++) {
		iov[n].iov_base = (char *)(uintptr_t)row_of(&viewer->find, y + n) + skipped;
		iov[n].iov_len = row_bytes - skipped;
		skipped = 0;
	}
	return sock_send(viewer->fd, iov, n, -1);
}

static void dispatch_viewer(void *data, uint32_t events)
{
	struct desk *desk = data;
	struct viewer *viewer = &desk->viewer;
	size_t total =
		(size_t)viewer->find.view.width * viewer->find.view.height * sizeof(uint32_t);
	size_t until = MIN(viewer->n_sent + BYTES_PER_WAKEUP, total);

	if (events & (EPOLLHUP | EPOLLERR)) {
		viewer_end(desk);
		return;
	}
	while (viewer->n_sent < until) {
		ssize_t n = send_rows(viewer);

		if (n == -EAGAIN) {
			return;
		}
		if (n < 0) {
			viewer_end(desk);
			return;
		}
		viewer->n_sent += (size_t)n;
	}
	if (viewer->n_sent == total) {
		viewer_end(desk);
	}
}

static void send_picture(struct desk *desk)
{
	struct viewer *viewer = &desk->viewer;
	const struct rect *view = &viewer->find.view;
	struct answer answer;

	answer_begin(&answer);
	answer_record(&answer, "picture");
	answer_number(&answer, "scanout", viewer->scanout_id);
	answer_number(&answer, "width", view->width);
	answer_number(&answer, "height", view->height);
	answer_bool(&answer, "alpha", viewer->is_cursor);
	answer_number(&answer, "bytes", (uint64_t)view->width * view->height * sizeof(uint32_t));
	viewer->is_sending = true;
	viewer->n_sent = 0;
	sock_set_send_buffer(viewer->fd, SEND_BUFFER_BYTES);
	if (!answer_end(&answer, viewer->fd) ||
	    loop_add(desk->options.loop, &viewer->source, viewer->fd, EPOLLOUT) < 0) {
		viewer_end(desk);
		return;
	}
	loop_timer_arm(desk->options.loop, &viewer->timer, DESK_PICTURE_US);
}

/* Who waits is told and goes. */
static void viewer_fail(struct desk *desk, const char *why)
{
	int fd = desk->viewer.fd;

	desk->viewer.fd = -1;
	answer_error(fd, "%s", why);
	viewer_end(desk);
}

static void viewer_expired(void *data)
{
	struct desk *desk = data;

	if (desk->viewer.is_sending) {
		viewer_end(desk);
	} else {
		viewer_fail(desk, "the device does not hand out a picture: it hangs, or starts");
	}
}

static void take_find(struct desk *desk)
{
	struct viewer *viewer = &desk->viewer;
	bool is_there = false;

	g_mutex_lock(&desk->lock);
	if (desk->found.is_there) {
		is_there = true;
		viewer->find = desk->found;
		desk->found = (struct find){ 0 };
		desk->wanted.is_any = false;
	}
	g_mutex_unlock(&desk->lock);
	if (!is_there) {
		return;
	}
	if (viewer->find.frame == NULL && viewer->find.pixels == NULL) {
		viewer_fail(desk, viewer->is_cursor ? "there is no picture of a cursor"
						    : "there is no picture: the scanout is off, or "
						      "what it shows is lost");
		return;
	}
	send_picture(desk);
}

static void begin_picture(struct desk *desk, const struct control_question *question,
			  int consume_fd)
{
	struct viewer *viewer = &desk->viewer;
	bool is_cursor = question->verb == CONTROL_CURSOR;
	gint64 now_us = g_get_monotonic_time();

	if (viewer->fd >= 0 || now_us - viewer->began_us < PICTURE_STEP_US) {
		answer_error(consume_fd, "busy: there is one picture at a time, and %u a second",
			     DESK_PICTURES_A_SECOND);
		return;
	}
	want(desk, &(struct wanted){ true, is_cursor, question->scanout_id });
	viewer->fd = consume_fd;
	viewer->scanout_id = question->scanout_id;
	viewer->is_cursor = is_cursor;
	viewer->began_us = now_us;
	loop_timer_arm(desk->options.loop, &viewer->timer, DESK_PICTURE_US);
	engine_grab(desk->options.engine, question->scanout_id, is_cursor);
}

/* ---- modes ---- */

static void end_mode(struct desk *desk, const char *outcome)
{
	struct answer answer;

	loop_timer_disarm(desk->options.loop, &desk->mode_timer);
	if (desk->mode_fd < 0) {
		return;
	}
	answer_begin(&answer);
	answer_record(&answer, "mode");
	answer_text(&answer, "guest", outcome);
	answer_close(&answer, desk->mode_fd);
	desk->mode_fd = -1;
}

static void mode_expired(void *data)
{
	struct desk *desk = data;

	g_mutex_lock(&desk->lock);
	bool is_told = desk->mode.state == MODE_TOLD;
	g_mutex_unlock(&desk->lock);
	end_mode(desk, is_told ? "unanswered" : "pending");
}

void desk_mode_told(struct desk *desk, uint32_t serial, int error)
{
	if (serial != desk->mode_serial) {
		return;
	}
	end_mode(desk, error == 0 ? "told" : error == -EREMOTEIO ? "refused" : "unanswered");
}

static void set_mode(struct desk *desk, const struct control_question *question, int consume_fd)
{
	if (!desk->options.options->is_headless) {
		answer_error(consume_fd, "the front-end's display has the modes: only with "
					 "--headless can one be set here");
		return;
	}
	if (question->scanout_id != 0) {
		answer_error(consume_fd, "there is no scanout %u (allowed: 0)",
			     question->scanout_id);
		return;
	}
	if (desk->mode_fd >= 0) {
		answer_error(consume_fd, "busy: another mode is being set");
		return;
	}
	g_mutex_lock(&desk->lock);
	desk->mode = (struct mode){ question->scanout_id, question->width, question->height,
				    MODE_ASKED };
	g_mutex_unlock(&desk->lock);
	desk->mode_fd = consume_fd;
	desk->mode_serial++;
	loop_timer_arm(desk->options.loop, &desk->mode_timer, DESK_PICTURE_US);
	engine_set_mode(desk->options.engine, question->scanout_id, question->width,
			question->height);
}

/* What another one has overtaken is of no use to a guest. */
void desk_mode_set(struct desk *desk, uint32_t scanout_id, uint32_t width, uint32_t height)
{
	struct mode *mode = &desk->mode;

	g_mutex_lock(&desk->lock);
	bool is_it = mode->state == MODE_ASKED && mode->scanout_id == scanout_id &&
		     mode->width == width && mode->height == height;
	if (is_it) {
		mode->state = MODE_SET;
	}
	g_mutex_unlock(&desk->lock);
	if (is_it) {
		loop_wake(desk->options.loop);
	}
}

/* Also when nobody waits any more. */
static void tell_mode(struct desk *desk)
{
	g_mutex_lock(&desk->lock);
	bool is_due = desk->mode.state == MODE_SET;
	if (is_due) {
		desk->mode.state = MODE_TOLD;
	}
	g_mutex_unlock(&desk->lock);
	if (!is_due) {
		return;
	}
	if (desk->options.tell_mode(desk->options.data, desk->mode_serial) < 0) {
		end_mode(desk, "unreachable");
	} else if (desk->mode_fd >= 0) {
		/* The front-end's time, whatever the device has taken. */
		loop_timer_arm(desk->options.loop, &desk->mode_timer, DESK_PICTURE_US);
	}
}

void desk_woken(struct desk *desk)
{
	take_find(desk);
	tell_mode(desk);
}

/* ---- questions ---- */

static void answer_status(struct desk *desk, int consume_fd)
{
	const struct stats *stats = engine_stats(desk->options.engine);
	struct engine_state engine;
	struct desk_facts facts;
	struct answer answer;

	stats_read(stats, desk->copy);
	engine_describe(desk->options.engine, &engine);
	desk->options.look(desk->options.data, &facts);
	const struct report report = {
		.options = &desk->options,
		.facts = &facts,
		.engine = &engine,
		.stats = desk->copy,
		.since_us = desk->since_us,
		.now_us = g_get_monotonic_time(),
	};
	answer_begin(&answer);
	report_write(&report, &answer);
	answer_close(&answer, consume_fd);
}

void desk_begin_vms(struct answer *answer, const struct options *options)
{
	answer_begin(answer);
	answer_record(answer, "program");
	answer_number(answer, "pid", (uint64_t)getpid());
	answer_text(answer, "mode", options->gpu_mode);
	answer_number(answer, "max-clients", options->max_clients);
	answer_text(answer, "log", log_level_name(log_level()));
}

void desk_add_vm(struct answer *answer, uint32_t vm, int pid, int front_end_pid)
{
	answer_record(answer, "vm");
	answer_number(answer, "id", vm);
	answer_number(answer, "pid", (uint64_t)pid);
	answer_number(answer, "front-end-pid", (uint64_t)front_end_pid);
}

static void answer_vms(struct desk *desk, int consume_fd)
{
	struct answer answer;

	desk_begin_vms(&answer, desk->options.options);
	desk_add_vm(&answer, desk->options.vm, (int)getpid(), desk->options.front_end_pid);
	answer_close(&answer, consume_fd);
}

static void set_level(struct desk *desk, enum log_level level, int consume_fd)
{
	struct answer answer;

	log_set_level(level);
	engine_set_log_level(desk->options.engine, level);
	if (consume_fd < 0) {
		return;
	}
	answer_begin(&answer);
	answer_close(&answer, consume_fd);
}

/* consume_fd -1: nobody waits for the answer. */
static void take(struct desk *desk, const struct control_question *question, int consume_fd)
{
	if (question->verb == CONTROL_LOG) {
		set_level(desk, question->level, consume_fd);
		return;
	}
	if (consume_fd < 0) {
		return;
	}
	if (question->vm != 0 && question->vm != desk->options.vm) {
		answer_error(consume_fd, "there is no VM %u", question->vm);
		return;
	}
	switch (question->verb) {
	case CONTROL_VMS:
		answer_vms(desk, consume_fd);
		break;
	case CONTROL_STATUS:
		answer_status(desk, consume_fd);
		break;
	case CONTROL_SCREENSHOT:
	case CONTROL_CURSOR:
		begin_picture(desk, question, consume_fd);
		break;
	case CONTROL_SET_MODE:
		set_mode(desk, question, consume_fd);
		break;
	case CONTROL_LOG:
	case CONTROL_N_VERBS:
	default:
		g_assert_not_reached();
	}
}

static void asked(void *data, const struct control_question *question,
		  const char *line G_GNUC_UNUSED, size_t length G_GNUC_UNUSED, int consume_fd)
{
	take(data, question, consume_fd);
}

static const struct door_listener door_listener = { .asked = asked };

/* The listener is our own code; but a message is looked at as any. */
static int take_message(struct desk *desk)
{
	char line[CONTROL_MAX_QUESTION_BYTES];
	struct control_question question;
	int fds[SOCK_MAX_FDS];
	size_t n_fds = 0;
	ssize_t n = sock_receive(desk->channel_fd, line, sizeof(line), fds, &n_fds);

	if (n <= 0) {
		return n == 0 ? -EPIPE : (int)n;
	}
	for (size_t i = 1; i < n_fds; i++) {
		close(fds[i]);
	}
	int fd = n_fds > 0 ? fds[0] : -1;
	const char *fault = control_question_parse(line, (size_t)n, &question);
	if (fault == NULL) {
		take(desk, &question, fd);
	} else if (fd >= 0) {
		answer_error(fd, "%s", fault);
	}
	return 0;
}

static void dispatch_channel(void *data, uint32_t events G_GNUC_UNUSED)
{
	struct desk *desk = data;
	int error = 0;

	for (unsigned int i = 0; i < QUESTIONS_PER_WAKEUP && error == 0; i++) {
		error = take_message(desk);
	}
	if (error != 0 && error != -EAGAIN && error != -EMSGSIZE) {
		loop_remove(desk->options.loop, &desk->channel_source);
	}
}

/* ---- life ---- */

int desk_create(const struct desk_options *options, int consume_channel_fd, int consume_door_fd,
		struct desk **desk_out)
{
	struct desk *desk = g_new0(struct desk, 1);
	int error = 0;

	*desk = (struct desk){
		.options = *options,
		.since_us = g_get_monotonic_time(),
		.channel_fd = consume_channel_fd,
		.channel_source = { .dispatch = dispatch_channel, .data = desk },
		.copy = g_new0(struct stats, 1),
		.viewer = { .fd = -1,
			    .source = { .dispatch = dispatch_viewer, .data = desk },
			    .timer = { .expired = viewer_expired, .data = desk } },
		.mode_fd = -1,
		.mode_timer = { .expired = mode_expired, .data = desk },
	};
	g_mutex_init(&desk->lock);
	if (consume_door_fd >= 0) {
		error = door_create(options->loop, consume_door_fd, &door_listener, desk,
				    &desk->door);
	} else {
		error = loop_add(options->loop, &desk->channel_source, consume_channel_fd, EPOLLIN);
	}
	if (error < 0) {
		desk_destroy(desk);
		return error;
	}
	*desk_out = desk;
	return 0;
}

void desk_destroy(struct desk *desk)
{
	if (desk == NULL) {
		return;
	}
	door_destroy(desk->door);
	loop_remove(desk->options.loop, &desk->channel_source);
	loop_timer_disarm(desk->options.loop, &desk->mode_timer);
	viewer_end(desk);
	if (desk->channel_fd >= 0) {
		close(desk->channel_fd);
	}
	if (desk->mode_fd >= 0) {
		close(desk->mode_fd);
	}
	g_mutex_clear(&desk->lock);
	g_free(desk->copy);
	g_free(desk);
}
