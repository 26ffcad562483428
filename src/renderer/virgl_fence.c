/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * Fences: from the device's timelines to the one the library really has.
 *
 * virglrenderer waits for GL fences one after the other on a thread of its
 * own, whatever context they belong to. So all timelines are given to it as
 * one, its "context 0", and come apart again here: each fence gets a serial,
 * and a list remembers which fence of which timeline a serial stands for.
 * That a fence is signalled after an older one of another timeline costs
 * nothing, for the library would have waited in the same order.
 *
 * The library's own per-context fences (virgl_renderer_context_create_fence)
 * are left alone on purpose. Up to 1.3 its thread keeps a pointer to the
 * context of the fence it waits for, and uses it after the context was
 * destroyed: a guest that submits, fences and destroys ends the process. They
 * also know ring 0 only. Contexts with timelines of their own (Venus, native
 * contexts) have theirs, and not this flaw: virgl_timeline.c.
 *
 * Destroying a context makes the library forget, if the moment is bad, the
 * fence its thread is about to wait for, of context 0 as well. Nobody would
 * miss it if another came later, since each stands for all before it; so
 * after each destroyed context one more, a guard, is created.
 *
 * The library's ids have 32 bits. They are the low half of the serial, which
 * is made whole again by its distance from the last one. The first serial is
 * close to the wrap, so that every process goes through it.
 *
 * The callback runs on the library's thread, which may hold a lock: it stores
 * the newest serial and writes an eventfd. There is a second way in which that
 * thread wants us: while a guest waits for a query result, it asks through the
 * library's poll fd for virgl_renderer_poll() on our thread, and signals no
 * fence before it got that. Hence event_fd is an epoll fd around both. Where
 * the library has no thread (VIRGL_DISABLE_MT), there is no poll fd and a timer
 * takes its place while a fence is outstanding.
 */
#include "renderer/virgl_internal.h"

#include <errno.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "util/log.h"

#define FIRST_SERIAL (UINT32_MAX - 63)
#define SELF_TEST_TIMEOUT_MS 5000
#define TIMER_NS (2 * 1000 * 1000)
/* Of those of commands that a reset has dropped, too, while the GPU goes on with its work. */
#define MAX_PENDING 16384

struct pending_fence {
	uint64_t serial;
	struct renderer_fence fence;
};

static bool is_idle(const struct virgl_fences *fences)
{
	return fences->reported == fences->issued;
}

static int watch(struct virgl_fences *fences, int fd)
{
	struct epoll_event event = { .events = EPOLLIN, .data.fd = fd };

	return epoll_ctl(fences->epoll_fd, EPOLL_CTL_ADD, fd, &event) < 0 ? -errno : 0;
}

int virgl_fences_init(struct virgl_fences *fences)
{
	*fences = (struct virgl_fences){
		.pending = G_QUEUE_INIT,
		.issued = FIRST_SERIAL,
		.reported = FIRST_SERIAL,
		.retired = FIRST_SERIAL,
		.epoll_fd = epoll_create1(EPOLL_CLOEXEC),
		.wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK),
		.timer_fd = -1,
		.poll_fd = -1,
		.device_thread = pthread_self(),
	};
	int r = fences->epoll_fd < 0 || fences->wake_fd < 0 ? -errno : 0;

	if (r == 0) {
		r = watch(fences, fences->wake_fd);
	}
	if (r < 0) {
		log_failure("no file descriptors for fences: %s", g_strerror(-r));
		virgl_fences_finish(fences);
	}
	return r;
}

static void close_fd(int *fd)
{
	if (*fd >= 0) {
		close(*fd);
	}
	*fd = -1;
}

void virgl_fences_finish(struct virgl_fences *fences)
{
	g_queue_clear_full(&fences->pending, g_free);
	close_fd(&fences->timer_fd);
	close_fd(&fences->wake_fd);
	close_fd(&fences->epoll_fd);
}

void virgl_fences_wake(void *data)
{
	struct virgl_fences *fences = data;
	uint64_t one = 1;

	if (!atomic_exchange(&fences->is_woken, true)) {
		ssize_t ignored = write(fences->wake_fd, &one, sizeof(one));
		(void)ignored;
	}
}

void virgl_fences_callback(struct virgl_fences *fences, uint32_t library_id)
{
	uint64_t last = atomic_load(&fences->retired);
	int32_t distance = (int32_t)(library_id - (uint32_t)last);

	if (distance <= 0) {
		return;
	}
	atomic_store(&fences->is_async, !pthread_equal(pthread_self(), fences->device_thread));
	atomic_store(&fences->retired, last + (uint32_t)distance);
	virgl_fences_wake(fences);
}

static void set_timer(struct virgl_fences *fences, bool is_on)
{
	long period_ns = is_on ? TIMER_NS : 0;
	struct itimerspec spec = {
		.it_value.tv_nsec = period_ns,
		.it_interval.tv_nsec = period_ns,
	};

	if (fences->timer_fd >= 0) {
		timerfd_settime(fences->timer_fd, 0, &spec, NULL);
	}
}

static void drain_fd(int fd)
{
	uint64_t count;
	ssize_t ignored = read(fd, &count, sizeof(count));
	(void)ignored;
}

/*
 * See what the library wants from us; timeout_ms as for epoll_wait(). is_woken
 * falls after the eventfd was read and before anyone looks at retired, so a
 * callback in between is neither lost nor leaves the eventfd readable.
 */
static void pump(struct virgl_fences *fences, int timeout_ms)
{
	struct epoll_event events[3];
	int n = epoll_wait(fences->epoll_fd, events, G_N_ELEMENTS(events), timeout_ms);

	for (int i = 0; i < n; i++) {
		int fd = events[i].data.fd;

		if (fd == fences->poll_fd) {
			virgl_library.poll();
		} else {
			drain_fd(fd);
		}
		if (fd == fences->wake_fd) {
			atomic_store(&fences->is_woken, false);
		} else if (fd == fences->timer_fd) {
			virgl_library.poll();
		}
	}
}

static int issue(struct virgl_fences *fences, uint32_t ctx_id)
{
	uint64_t serial = fences->issued + 1;

	bool was_idle = is_idle(fences);
	int r = virgl_library.create_fence((int)(uint32_t)serial, ctx_id);

	if (r == 0) {
		fences->issued = serial;
		if (was_idle) {
			set_timer(fences, true);
		}
	}
	return r;
}

/* False: nothing was signalled since. */
static bool report(struct renderer *r, struct virgl_fences *fences)
{
	uint64_t retired = atomic_load(&fences->retired);
	struct pending_fence *first = g_queue_peek_head(&fences->pending);

	if (fences->reported == retired) {
		return false;
	}
	fences->reported = retired;
	while (first != NULL && first->serial <= retired) {
		g_queue_pop_head(&fences->pending);
		if (r->listener != NULL) {
			r->listener->fence_signaled(r->listener_data, &first->fence);
		}
		g_free(first);
		first = g_queue_peek_head(&fences->pending);
	}
	if (is_idle(fences)) {
		set_timer(fences, false);
	}
	return true;
}

void virgl_fences_note(struct virgl *virgl, bool is_progress)
{
	gint64 *since_us = &virgl->base.awaited_since_us;

	if (is_idle(&virgl->fences) && virgl->timelines.n_waiting == 0) {
		*since_us = 0;
	} else if (is_progress || *since_us == 0) {
		*since_us = g_get_monotonic_time();
	}
}

void virgl_dispatch(struct renderer *r)
{
	struct virgl *virgl = virgl_from_base(r);
	struct virgl_fences *fences = &virgl->fences;

	if (is_idle(fences) && !atomic_load(&fences->is_woken)) {
		return;
	}
	pump(fences, 0);
	bool is_progress = report(r, fences);
	is_progress |= timelines_report(&virgl->timelines, r);
	virgl_fences_note(virgl, is_progress);
}

static enum gpu_resp create_in_the_one(struct virgl *virgl, const struct renderer_fence *fence)
{
	struct virgl_fences *fences = &virgl->fences;

	if (fences->pending.length >= MAX_PENDING) {
		return GPU_RESP_ERR_OUT_OF_MEMORY;
	}
	int error = issue(fences, fence->ctx_id);
	if (error != 0) {
		log_debug("ctx %u: no fence (%d)", fence->ctx_id, error);
		return GPU_RESP_ERR_UNSPEC;
	}
	struct pending_fence *pending = g_new(struct pending_fence, 1);
	*pending = (struct pending_fence){ .serial = fences->issued, .fence = *fence };
	g_queue_push_tail(&fences->pending, pending);
	return GPU_RESP_OK_NODATA;
}

/* Of a ring that is a timeline of its own the context; else NULL. */
static struct virgl_context *find_timelines(struct virgl *virgl, const struct renderer_fence *fence)
{
	struct virgl_context *context =
		fence->has_ring ? virgl_context_find(virgl, fence->ctx_id) : NULL;

	return context != NULL && virgl_context_has_timelines(context) ? context : NULL;
}

enum gpu_resp virgl_fence_create(struct renderer *r, const struct renderer_fence *fence)
{
	struct virgl *virgl = virgl_from_base(r);
	struct virgl_context *context = find_timelines(virgl, fence);
	enum gpu_resp resp = GPU_RESP_OK_NODATA;

	if (context != NULL) {
		resp = virgl_timelines_add(virgl, context, fence);
	} else if (virgl_has_gl(virgl)) {
		resp = create_in_the_one(virgl, fence);
	} else {
		/* No work is on the timelines that only GL has. */
		timelines_add_done(&virgl->timelines, fence);
	}
	virgl_fences_note(virgl, false);
	return resp;
}

/*
 * What is forgotten is the oldest of them. With that many behind it, none is
 * needed; and a guest whose GPU hangs could have any number of contexts
 * destroyed.
 */
void virgl_fences_guard(struct virgl_fences *fences)
{
	if (!is_idle(fences) && fences->issued - fences->reported < 2 * MAX_PENDING) {
		issue(fences, 0);
	}
}

bool virgl_fences_drain(struct virgl_fences *fences, int timeout_ms)
{
	gint64 deadline_us = g_get_monotonic_time() + (gint64)timeout_ms * 1000;

	while (atomic_load(&fences->retired) != fences->issued) {
		gint64 left_us = deadline_us - g_get_monotonic_time();

		if (left_us <= 0) {
			return false;
		}
		pump(fences, (int)(left_us / 1000) + 1);
	}
	return true;
}

/* One fence proves that the library signals them here, and tells how. */
int virgl_fences_start(struct virgl_fences *fences, bool has_gl)
{
	int r;

	fences->poll_fd = virgl_library.get_poll_fd();
	if (fences->poll_fd < 0) {
		fences->timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	}
	r = watch(fences, fences->poll_fd >= 0 ? fences->poll_fd : fences->timer_fd);
	if (r < 0) {
		log_failure("can't watch virglrenderer's fences: %s", g_strerror(-r));
		return r;
	}
	if (!has_gl) {
		return 0;
	}
	if (issue(fences, 0) != 0 || !virgl_fences_drain(fences, SELF_TEST_TIMEOUT_MS)) {
		log_failure("virglrenderer signals no fence: is the host's GPU driver stuck? "
			    "LIBGL_ALWAYS_SOFTWARE=1 avoids it");
		return -ETIMEDOUT;
	}
	fences->reported = fences->issued;
	set_timer(fences, false);
	log_info("virglrenderer: fences come by %s", atomic_load(&fences->is_async) ? "callback" :
			fences->poll_fd >= 0 ? "poll fd" : "timer");
	return 0;
}
