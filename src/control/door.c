/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "control/door.h"

#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "control/answer.h"
#include "control/protocol.h"
#include "util/log.h"
#include "util/sock.h"

/* After a failed accept: do not spin. */
#define RETRY_US (200 * 1000)
#define STEP_US (G_USEC_PER_SEC / DOOR_PACE)

lockdown_names door_calls = { "accept4", NULL };

/* A local client that is inside and has not said all of it; fd -1: the place is free. */
struct caller {
	struct door *door;
	struct loop_source source;
	int fd;
	gint64 deadline_us;
	size_t n_bytes;
	char line[CONTROL_MAX_QUESTION_BYTES]; /* the client's, unchecked */
};

struct door {
	struct loop *loop; /* borrowed */
	const struct door_listener *listener;
	void *data;
	int fd; /* owned */
	struct loop_source source;
	struct loop_timer open_timer, hurry_timer;
	gint64 due_us; /* when the next would come, if all had come at the highest pace */
	unsigned int n_callers;
	struct caller callers[DOOR_MAX_CLIENTS];
};

int door_listen(const char *path)
{
	mode_t mask = umask(0177);
	int fd = sock_listen(path);

	umask(mask);
	return fd;
}

/* ---- who comes in ---- */

/* Microseconds until one more may come; 0: now. */
static gint64 until_due(struct door *door)
{
	gint64 now_us = g_get_monotonic_time();

	door->due_us = MAX(door->due_us, now_us - (DOOR_AT_ONCE - 1) * STEP_US);
	return MAX(door->due_us - now_us, 0);
}

static void close_for(struct door *door, gint64 delay_us)
{
	loop_remove(door->loop, &door->source);
	loop_timer_arm(door->loop, &door->open_timer, delay_us);
}

/* As long as there is a place, and it is not too soon. */
static void open_door(struct door *door)
{
	if (door->source.is_added || door->open_timer.deadline_us != 0 ||
	    door->n_callers == DOOR_MAX_CLIENTS) {
		return;
	}
	int error = loop_add(door->loop, &door->source, door->fd, EPOLLIN);
	if (error < 0) {
		log_error("waiting at the control socket: %s", g_strerror(-error));
	}
}

static void hurry(struct door *door)
{
	gint64 first_us = 0;

	for (size_t i = 0; i < DOOR_MAX_CLIENTS; i++) {
		const struct caller *caller = &door->callers[i];

		if (caller->fd >= 0 && (first_us == 0 || caller->deadline_us < first_us)) {
			first_us = caller->deadline_us;
		}
	}
	if (first_us != 0) {
		loop_timer_arm(door->loop, &door->hurry_timer,
			       MAX(first_us - g_get_monotonic_time(), 0));
	} else {
		loop_timer_disarm(door->loop, &door->hurry_timer);
	}
}

/* The place is free again. Returns the connection, the caller's. */
static int leave(struct caller *caller)
{
	struct door *door = caller->door;
	int fd = caller->fd;

	loop_remove(door->loop, &caller->source);
	caller->fd = -1;
	door->n_callers--;
	hurry(door);
	open_door(door);
	return fd;
}

static void too_late(void *data)
{
	struct door *door = data;

	for (size_t i = 0; i < DOOR_MAX_CLIENTS; i++) {
		struct caller *caller = &door->callers[i];

		if (caller->fd >= 0 && caller->deadline_us <= g_get_monotonic_time()) {
			answer_error(leave(caller), "no question came in time");
		}
	}
}

static void take_question(struct caller *caller, size_t length)
{
	struct door *door = caller->door;
	char line[CONTROL_MAX_QUESTION_BYTES];
	struct control_question question;

	memcpy(line, caller->line, length);
	int fd = leave(caller);
	const char *fault = control_question_parse(line, length, &question);
	if (fault != NULL) {
		answer_error(fd, "%s", fault);
	} else {
		door->listener->asked(door->data, &question, line, length, fd);
	}
}

/* Descriptors have no business here. */
static ssize_t receive(struct caller *caller)
{
	int fds[SOCK_MAX_FDS];
	size_t n_fds = 0;
	ssize_t n = sock_receive(caller->fd, caller->line + caller->n_bytes,
				 sizeof(caller->line) - caller->n_bytes, fds, &n_fds);

	for (size_t i = 0; i < n_fds; i++) {
		close(fds[i]);
	}
	return n_fds > 0 ? -EPROTO : n;
}

static void dispatch_caller(void *data, uint32_t events G_GNUC_UNUSED)
{
	struct caller *caller = data;
	ssize_t n = receive(caller);

	if (n == -EAGAIN) {
		return;
	}
	if (n <= 0) {
		close(leave(caller));
		return;
	}
	caller->n_bytes += (size_t)n;
	const char *end = memchr(caller->line, '\n', caller->n_bytes);
	if (end != NULL) {
		take_question(caller, (size_t)(end - caller->line));
	} else if (caller->n_bytes == sizeof(caller->line)) {
		answer_error(leave(caller), "no question");
	}
}

static void seat(struct door *door, int consume_fd)
{
	struct caller *caller = door->callers;

	while (caller->fd >= 0) {
		caller++;
	}
	caller->fd = consume_fd;
	caller->n_bytes = 0;
	caller->deadline_us = g_get_monotonic_time() + DOOR_QUESTION_US;
	int error = loop_add(door->loop, &caller->source, consume_fd, EPOLLIN);
	if (error < 0) {
		caller->fd = -1;
		close(consume_fd);
		return;
	}
	door->n_callers++;
	hurry(door);
	if (door->n_callers == DOOR_MAX_CLIENTS) {
		loop_remove(door->loop, &door->source);
	}
}

static void dispatch_door(void *data, uint32_t events G_GNUC_UNUSED)
{
	struct door *door = data;
	gint64 delay_us = until_due(door);

	if (delay_us > 0) {
		close_for(door, delay_us);
		return;
	}
	int fd = accept4(door->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	if (fd >= 0) {
		door->due_us += STEP_US;
		seat(door, fd);
	} else if (errno != EAGAIN && errno != EINTR && errno != ECONNABORTED) {
		close_for(door, RETRY_US);
	}
}

static void let_in(void *data)
{
	open_door(data);
}

/* ---- life ---- */

int door_create(struct loop *loop, int consume_fd, const struct door_listener *listener, void *data,
		struct door **door_out)
{
	struct door *door = g_new0(struct door, 1);

	*door = (struct door){
		.loop = loop,
		.listener = listener,
		.data = data,
		.fd = consume_fd,
		.source = { .dispatch = dispatch_door, .data = door },
		.open_timer = { .expired = let_in, .data = door },
		.hurry_timer = { .expired = too_late, .data = door },
	};
	for (size_t i = 0; i < DOOR_MAX_CLIENTS; i++) {
		door->callers[i] = (struct caller){
			.door = door,
			.source = { .dispatch = dispatch_caller, .data = &door->callers[i] },
			.fd = -1,
		};
	}
	int error = loop_add(loop, &door->source, consume_fd, EPOLLIN);
	if (error < 0) {
		door_abandon(door);
		return error;
	}
	*door_out = door;
	return 0;
}

void door_abandon(struct door *door)
{
	for (size_t i = 0; i < DOOR_MAX_CLIENTS; i++) {
		if (door->callers[i].fd >= 0) {
			close(door->callers[i].fd);
		}
	}
	close(door->fd);
	g_free(door);
}

void door_destroy(struct door *door)
{
	if (door == NULL) {
		return;
	}
	loop_timer_disarm(door->loop, &door->open_timer);
	loop_timer_disarm(door->loop, &door->hurry_timer);
	loop_remove(door->loop, &door->source);
	for (size_t i = 0; i < DOOR_MAX_CLIENTS; i++) {
		loop_remove(door->loop, &door->callers[i].source);
	}
	door_abandon(door);
}
