/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * Joins the two halves that know nothing of each other: the session, which
 * speaks vhost-user, and the worker, which is the device. This thread is the
 * transport thread.
 */
#include "backend.h"

#include <endian.h>
#include <errno.h>
#include <linux/virtio_gpu.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <sys/time.h>
#include <unistd.h>

#include "gpu/command.h"
#include "gpu/worker.h"
#include "util/log.h"
#include "util/loop.h"
#include "vhost/session.h"

/* A renderer may be stuck in a driver; the process ends all the same. */
#define TEARDOWN_LIMIT_US (700 * 1000)

struct backend {
	struct loop loop;
	struct virtq queues[COMMAND_N_QUEUES];
	struct quota quota;
	struct virtio_gpu_config config;
	struct session session;
	struct worker *worker;
	struct loop_source signal_source;
	int signal_fd;
	int has_failed; /* atomic, set by the device thread */
	int exit_status;
};

static void features_changed(void *data, uint64_t features)
{
	struct backend *backend = data;

	worker_set_features(backend->worker, features);
}

static void memory_changed(void *data, struct guestmem *mem)
{
	struct backend *backend = data;

	worker_set_memory(backend->worker, mem);
}

static void queue_changed(void *data, unsigned int index)
{
	struct backend *backend = data;

	worker_queue_changed(backend->worker, index);
}

static void quiesce(void *data)
{
	struct backend *backend = data;

	worker_quiesce(backend->worker);
}

static void reset(void *data)
{
	struct backend *backend = data;

	worker_reset(backend->worker);
}

static void display_socket(void *data, int consume_fd)
{
	struct backend *backend = data;

	worker_set_display_socket(backend->worker, consume_fd);
}

static void closed(void *data, bool has_failed)
{
	struct backend *backend = data;

	log_info("the front-end is gone%s", has_failed ? ", after a violation of the protocol" : "");
	loop_quit(&backend->loop);
}

static const struct session_listener session_listener = {
	.features_changed = features_changed,
	.memory_changed = memory_changed,
	.queue_changed = queue_changed,
	.quiesce = quiesce,
	.reset = reset,
	.display_socket = display_socket,
	.closed = closed,
};

/* On the device thread. */
static void worker_failed(void *data)
{
	struct backend *backend = data;

	g_atomic_int_set(&backend->has_failed, 1);
	loop_wake(&backend->loop);
}

static void woken(void *data)
{
	struct backend *backend = data;

	if (g_atomic_int_get(&backend->has_failed)) {
		log_failure("the device can't go on; the front-end is given up");
		backend->exit_status = 1;
		loop_quit(&backend->loop);
	}
}

static void dispatch_signal(void *data, uint32_t events G_GNUC_UNUSED)
{
	struct backend *backend = data;
	struct signalfd_siginfo info;

	if (read(backend->signal_fd, &info, sizeof(info)) == (ssize_t)sizeof(info)) {
		log_info("signal %u: the front-end is given up", info.ssi_signo);
		loop_quit(&backend->loop);
	}
}

static int watch_signals(struct backend *backend)
{
	sigset_t signals;

	sigemptyset(&signals);
	sigaddset(&signals, SIGTERM);
	sigaddset(&signals, SIGINT);
	backend->signal_fd = signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK);
	if (backend->signal_fd < 0) {
		return -errno;
	}
	backend->signal_source = (struct loop_source){ .dispatch = dispatch_signal, .data = backend };
	return loop_add(&backend->loop, &backend->signal_source, backend->signal_fd, EPOLLIN);
}

static int start(struct backend *backend, int consume_fd, const struct options *options,
		 const struct renderer_caps *caps)
{
	const struct worker_options worker_options = {
		.renderer_impl = renderer_find(options->gpu_mode),
		.renderer_options = options->renderer,
		.quota = &backend->quota,
		.queues = backend->queues,
		.is_headless = options->is_headless,
		.failed = worker_failed,
		.data = backend,
	};
	const struct session_options session_options = {
		.device_features = caps->features | 1ull << VIRTIO_GPU_F_EDID |
				   1ull << VIRTIO_GPU_F_RESOURCE_UUID,
		.config = &backend->config,
		.config_size_bytes = sizeof(backend->config),
		.queues = backend->queues,
		.n_queues = COMMAND_N_QUEUES,
	};
	int error = watch_signals(backend);

	if (error == 0) {
		error = worker_create(&worker_options, &backend->worker);
	}
	if (error < 0) {
		close(consume_fd);
		return error;
	}
	return session_init(&backend->session, &backend->loop, consume_fd, &session_options,
			    &session_listener, backend);
}

static int teardown_exit_status;

static void give_up_teardown(int signal_number G_GNUC_UNUSED)
{
	_exit(teardown_exit_status);
}

/* Nobody is served any more; whatever hangs from here on costs no one. */
static void limit_teardown(int exit_status)
{
	const struct itimerval limit = { .it_value = { .tv_usec = TEARDOWN_LIMIT_US } };
	const struct sigaction action = { .sa_handler = give_up_teardown };
	sigset_t alarm_only;

	teardown_exit_status = exit_status;
	sigemptyset(&alarm_only);
	sigaddset(&alarm_only, SIGALRM);
	sigaction(SIGALRM, &action, NULL);
	sigprocmask(SIG_UNBLOCK, &alarm_only, NULL);
	setitimer(ITIMER_REAL, &limit, NULL);
}

int backend_run(int consume_fd, const struct options *options, const struct renderer_caps *caps)
{
	struct backend *backend = g_new0(struct backend, 1);
	uint32_t n_scanouts = options->is_headless ? 1 : DISPLAY_MAX_SCANOUTS;

	backend->signal_fd = -1;
	backend->config = (struct virtio_gpu_config){
		.num_scanouts = htole32(n_scanouts),
		.num_capsets = htole32(caps->n_capsets),
	};
	quota_init(&backend->quota, options->max_hostmem_bytes);
	for (unsigned int i = 0; i < COMMAND_N_QUEUES; i++) {
		virtq_init(&backend->queues[i], i, NULL);
	}
	int error = loop_init(&backend->loop, woken, backend);
	if (error < 0) {
		close(consume_fd);
	} else {
		error = start(backend, consume_fd, options, caps);
	}
	if (error == 0) {
		error = loop_run(&backend->loop);
		session_finish(&backend->session);
	}
	if (error < 0) {
		log_failure("serving the front-end: %s", g_strerror(-error));
		backend->exit_status = 1;
	}
	int exit_status = backend->exit_status;
	limit_teardown(exit_status);
	worker_destroy(backend->worker);
	for (unsigned int i = 0; i < COMMAND_N_QUEUES; i++) {
		virtq_finish(&backend->queues[i]);
	}
	loop_finish(&backend->loop);
	if (backend->signal_fd >= 0) {
		close(backend->signal_fd);
	}
	g_free(backend);
	return exit_status;
}
