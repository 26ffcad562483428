/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * One thread's event loop: epoll, timers, and a wake-up from other threads.
 *
 * Not GLib's main loop, because a ring's kick is polled edge-triggered and so
 * needs no read(2) per kick, which poll(2) cannot do; a frame costs few enough
 * system calls that the difference shows. Everything but loop_wake() belongs
 * to the thread that runs the loop.
 */
#pragma once

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

#include "util/lockdown.h"

#define LOOP_MAX_EVENTS 16

/* Memory of the user; a zeroed source is not in any loop. */
struct loop_source {
	int fd; /* borrowed, must outlive its stay in the loop */
	bool is_added;
	void (*dispatch)(void *data, uint32_t epoll_events);
	void *data;
};

struct loop_timer {
	gint64 deadline_us; /* g_get_monotonic_time(); 0: not armed */
	void (*expired)(void *data);
	void *data;
	struct loop_timer *next; /* struct loop.timers */
};

struct loop {
	int epoll_fd;
	int wake_fd;
	bool quit;
	struct loop_source wake_source;
	void (*woken)(void *data);
	void *woken_data;
	struct loop_timer *timers;
	void *ready[LOOP_MAX_EVENTS]; /* sources of the batch in dispatch, NULL once removed */
	int n_ready;
};

/* Returns 0 or -errno. woken (may be NULL) runs on the loop's thread after loop_wake(). */
int loop_init(struct loop *loop, void (*woken)(void *data), void *data) G_GNUC_WARN_UNUSED_RESULT;
void loop_finish(struct loop *loop);
/*
 * In a process that was forked from the one whose loop it is, inside a dispatch
 * or not: what was polled or armed may be freed then, and is not looked at any
 * more. loop_run() returns as soon as the dispatch does; loop_finish() is fine.
 */
void loop_abandon(struct loop *loop);

/* epoll_events: EPOLLIN, EPOLLOUT, EPOLLET. Returns 0 or -errno. */
int loop_add(struct loop *loop, struct loop_source *source, int fd_borrow, uint32_t epoll_events)
	G_GNUC_WARN_UNUSED_RESULT;
int loop_modify(struct loop *loop, struct loop_source *source, uint32_t epoll_events)
	G_GNUC_WARN_UNUSED_RESULT;
/* Safe inside any dispatch, also for a source whose event is still to come in this batch. */
void loop_remove(struct loop *loop, struct loop_source *source);

/* Re-arming moves the deadline. */
void loop_timer_arm(struct loop *loop, struct loop_timer *timer, gint64 delay_us);
void loop_timer_disarm(struct loop *loop, struct loop_timer *timer);

/* Until loop_quit(). Returns 0 or -errno of epoll_wait. */
int loop_run(struct loop *loop) G_GNUC_WARN_UNUSED_RESULT;
void loop_quit(struct loop *loop);

/* From any thread: run woken() soon. Several calls may become one. */
void loop_wake(struct loop *loop);

/* Of a loop, its timers and wake-ups. */
extern lockdown_names loop_calls;
