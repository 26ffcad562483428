/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "util/loop.h"

#include <errno.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

lockdown_names loop_calls = { "epoll_create1", "epoll_ctl", "epoll_wait",
			      "epoll_pwait",   "eventfd2",  NULL };

static void dispatch_wake(void *data, uint32_t events G_GNUC_UNUSED)
{
	struct loop *loop = data;
	uint64_t count;
	ssize_t ignored = read(loop->wake_fd, &count, sizeof(count));

	(void)ignored;
	if (loop->woken != NULL) {
		loop->woken(loop->woken_data);
	}
}

int loop_init(struct loop *loop, void (*woken)(void *data), void *data)
{
	*loop = (struct loop){ .epoll_fd = -1, .wake_fd = -1, .woken = woken, .woken_data = data };

	loop->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (loop->epoll_fd < 0) {
		return -errno;
	}
	loop->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (loop->wake_fd < 0) {
		int error = -errno;

		loop_finish(loop);
		return error;
	}
	loop->wake_source = (struct loop_source){ .dispatch = dispatch_wake, .data = loop };
	int error = loop_add(loop, &loop->wake_source, loop->wake_fd, EPOLLIN);
	if (error < 0) {
		loop_finish(loop);
	}
	return error;
}

void loop_finish(struct loop *loop)
{
	if (loop->wake_fd >= 0) {
		close(loop->wake_fd);
		loop->wake_fd = -1;
	}
	if (loop->epoll_fd >= 0) {
		close(loop->epoll_fd);
		loop->epoll_fd = -1;
	}
}

/* The epoll instance is the other process's too: no source may be removed from it. */
void loop_abandon(struct loop *loop)
{
	loop_finish(loop);
	loop->n_ready = 0;
	loop->timers = NULL;
	loop->quit = true;
}

static int control(struct loop *loop, int operation, struct loop_source *source, uint32_t events)
{
	struct epoll_event event = { .events = events, .data.ptr = source };

	return epoll_ctl(loop->epoll_fd, operation, source->fd, &event) < 0 ? -errno : 0;
}

int loop_add(struct loop *loop, struct loop_source *source, int fd_borrow, uint32_t epoll_events)
{
	source->fd = fd_borrow;

	int error = control(loop, EPOLL_CTL_ADD, source, epoll_events);
	source->is_added = error == 0;
	return error;
}

int loop_modify(struct loop *loop, struct loop_source *source, uint32_t epoll_events)
{
	return control(loop, EPOLL_CTL_MOD, source, epoll_events);
}

void loop_remove(struct loop *loop, struct loop_source *source)
{
	if (!source->is_added) {
		return;
	}
	control(loop, EPOLL_CTL_DEL, source, 0);
	source->is_added = false;
	source->fd = -1;
	for (int i = 0; i < loop->n_ready; i++) {
		if (loop->ready[i] == source) {
			loop->ready[i] = NULL;
		}
	}
}

void loop_timer_disarm(struct loop *loop, struct loop_timer *timer)
{
	for (struct loop_timer **at = &loop->timers; *at != NULL; at = &(*at)->next) {
		if (*at == timer) {
			*at = timer->next;
			break;
		}
	}
	timer->next = NULL;
	timer->deadline_us = 0;
}

void loop_timer_arm(struct loop *loop, struct loop_timer *timer, gint64 delay_us)
{
	struct loop_timer **at = &loop->timers;

	loop_timer_disarm(loop, timer);
	timer->deadline_us = g_get_monotonic_time() + delay_us;
	while (*at != NULL && (*at)->deadline_us <= timer->deadline_us) {
		at = &(*at)->next;
	}
	timer->next = *at;
	*at = timer;
}

/* For epoll_wait: -1 for ever, else milliseconds, rounded up. */
static int next_timeout_ms(const struct loop *loop)
{
	if (loop->timers == NULL) {
		return -1;
	}
	gint64 left_us = loop->timers->deadline_us - g_get_monotonic_time();
	if (left_us <= 0) {
		return 0;
	}
	return (int)MIN((left_us + 999) / 1000, 60 * 1000);
}

static void run_timers(struct loop *loop)
{
	while (loop->timers != NULL && loop->timers->deadline_us <= g_get_monotonic_time()) {
		struct loop_timer *timer = loop->timers;

		loop_timer_disarm(loop, timer);
		timer->expired(timer->data);
	}
}

int loop_run(struct loop *loop)
{
	struct epoll_event events[LOOP_MAX_EVENTS];

	while (!loop->quit) {
		int n = epoll_wait(loop->epoll_fd, events, LOOP_MAX_EVENTS, next_timeout_ms(loop));

		if (n < 0 && errno != EINTR) {
			return -errno;
		}
		loop->n_ready = MAX(n, 0);
		for (int i = 0; i < loop->n_ready; i++) {
			loop->ready[i] = events[i].data.ptr;
		}
		for (int i = 0; i < loop->n_ready; i++) {
			struct loop_source *source = loop->ready[i];

			if (source != NULL) {
				source->dispatch(source->data, events[i].events);
			}
		}
		loop->n_ready = 0;
		if (loop->timers != NULL) {
			run_timers(loop);
		}
	}
	return 0;
}

void loop_quit(struct loop *loop)
{
	loop->quit = true;
}

void loop_wake(struct loop *loop)
{
	uint64_t one = 1;
	ssize_t ignored = write(loop->wake_fd, &one, sizeof(one));

	(void)ignored;
}
