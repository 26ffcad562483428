/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * One timeline, as the library has for its context 0. A thread takes fences in
 * turn and signals each by itself, or leaves it to poll(), for which it makes
 * the poll descriptor readable. MOCK_VIRGL_FENCES=never: none from the start.
 */
#include <errno.h>
#include <glib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "mock.h"

static struct {
	GMutex lock;
	GCond changed;
	GQueue waiting; /* ids, oldest first */
	GQueue due;	/* those that poll() signals */
	uint32_t late_ms;
	bool is_never;
	bool is_by_poll;
	bool is_ending;
	int poll_fd;
	GThread *thread;
	void (*signal_fence)(uint32_t id);
} fences = { .poll_fd = -1 };

/* With the lock held, which is let go meanwhile: a callback may take locks of its own. */
static void signal_one(uint32_t id)
{
	uint64_t one = 1;

	if (fences.is_by_poll) {
		g_queue_push_tail(&fences.due, GUINT_TO_POINTER(id));
		ssize_t ignored = write(fences.poll_fd, &one, sizeof(one));
		(void)ignored;
		return;
	}
	g_mutex_unlock(&fences.lock);
	fences.signal_fence(id);
	g_mutex_lock(&fences.lock);
}

static void wait_late(void)
{
	gint64 end = g_get_monotonic_time() + (gint64)fences.late_ms * 1000;

	while (fences.late_ms > 0 && !fences.is_ending && !fences.is_never &&
	       g_cond_wait_until(&fences.changed, &fences.lock, end)) {
	}
}

static void *work(void *data)
{
	(void)data;
	g_mutex_lock(&fences.lock);
	while (!fences.is_ending) {
		if (fences.is_never || g_queue_is_empty(&fences.waiting)) {
			g_cond_wait(&fences.changed, &fences.lock);
			continue;
		}
		wait_late();
		if (!fences.is_never && !fences.is_ending) {
			signal_one(GPOINTER_TO_UINT(g_queue_pop_head(&fences.waiting)));
		}
	}
	g_mutex_unlock(&fences.lock);
	return NULL;
}

void mock_fences_start(void (*signal_fence)(uint32_t id))
{
	fences.signal_fence = signal_fence;
	fences.is_ending = false;
	fences.is_never |= g_strcmp0(g_getenv("MOCK_VIRGL_FENCES"), "never") == 0;
	fences.poll_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	fences.thread = g_thread_new("mock-fences", work, NULL);
}

void mock_fences_stop(void)
{
	g_mutex_lock(&fences.lock);
	fences.is_ending = true;
	g_cond_signal(&fences.changed);
	g_mutex_unlock(&fences.lock);
	g_thread_join(fences.thread);
	g_queue_clear(&fences.waiting);
	g_queue_clear(&fences.due);
	close(fences.poll_fd);
	fences.poll_fd = -1;
}

int mock_fences_fd(void)
{
	return fences.poll_fd;
}

void mock_fences_poll(void)
{
	uint64_t count;
	ssize_t ignored = read(fences.poll_fd, &count, sizeof(count));

	(void)ignored;
	g_mutex_lock(&fences.lock);
	while (!g_queue_is_empty(&fences.due)) {
		uint32_t id = GPOINTER_TO_UINT(g_queue_pop_head(&fences.due));

		g_mutex_unlock(&fences.lock);
		fences.signal_fence(id);
		g_mutex_lock(&fences.lock);
	}
	g_mutex_unlock(&fences.lock);
}

void mock_fences_add(uint32_t id)
{
	g_mutex_lock(&fences.lock);
	g_queue_push_tail(&fences.waiting, GUINT_TO_POINTER(id));
	g_cond_signal(&fences.changed);
	g_mutex_unlock(&fences.lock);
}

static int op_never(const struct mock_command *command)
{
	(void)command;
	g_mutex_lock(&fences.lock);
	fences.is_never = true;
	g_cond_signal(&fences.changed);
	g_mutex_unlock(&fences.lock);
	return 0;
}

static int op_late(const struct mock_command *command)
{
	g_mutex_lock(&fences.lock);
	fences.late_ms = mock_arg(command, 0);
	g_mutex_unlock(&fences.lock);
	return 0;
}

static int op_by_poll(const struct mock_command *command)
{
	g_mutex_lock(&fences.lock);
	fences.is_by_poll = mock_arg(command, 0) != 0;
	g_mutex_unlock(&fences.lock);
	return 0;
}

const struct mock_op mock_fence_ops[] = {
	{ MOCK_FENCES_NEVER, op_never },
	{ MOCK_FENCES_LATE, op_late },
	{ MOCK_FENCES_BY_POLL, op_by_poll },
	{ 0, NULL },
};
