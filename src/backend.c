/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * Joins the two halves that know nothing of each other: the session, which
 * speaks vhost-user, and the engine, which runs the device. This thread is the
 * transport thread.
 */
#include "backend.h"

#include <endian.h>
#include <errno.h>
#include <linux/virtio_gpu.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "control/desk.h"
#include "display/display.h"
#include "engine/engine.h"
#include "gpu/command.h"
#include "sandbox.h"
#include "util/log.h"
#include "util/loop.h"
#include "vhost/session.h"

/* A renderer may be stuck in a driver; the process ends all the same. */
#define TEARDOWN_LIMIT_US (700 * 1000)

lockdown_names backend_calls = { "signalfd4", "setitimer", NULL };

struct backend {
	struct loop loop;
	struct virtq queues[COMMAND_N_QUEUES];
	unsigned int n_queues; /* that were initialised */
	struct quota quota;
	struct virtio_gpu_config config;
	struct session session;
	struct engine *engine;
	struct desk *desk; /* NULL: nobody can look inside */
	struct loop_source signal_source;
	int signal_fd;
	int has_failed; /* atomic, set by the engine */
	int exit_status;
};

static void features_changed(void *data, uint64_t features)
{
	struct backend *backend = data;

	engine_set_features(backend->engine, features);
}

static void memory_changed(void *data, struct guestmem *mem)
{
	struct backend *backend = data;

	engine_set_memory(backend->engine, mem);
}

static void queue_changed(void *data, unsigned int index)
{
	struct backend *backend = data;

	engine_queue_changed(backend->engine, index);
}

static void quiesce(void *data)
{
	struct backend *backend = data;

	engine_quiesce(backend->engine);
}

static void reset(void *data)
{
	struct backend *backend = data;

	backend->config.events_read = 0;
	engine_reset(backend->engine);
}

static void display_socket(void *data, int consume_fd)
{
	struct backend *backend = data;

	engine_set_display_socket(backend->engine, consume_fd);
}

static void mapped(void *data, uint64_t number, int error)
{
	struct backend *backend = data;

	engine_mapped(backend->engine, number, error);
}

static void events_cleared(void *data, uint32_t events)
{
	struct backend *backend = data;

	backend->config.events_read &= ~htole32(events);
}

static void config_told(void *data, uint32_t serial, int error)
{
	struct backend *backend = data;

	if (backend->desk != NULL) {
		desk_mode_told(backend->desk, serial, error);
	}
}

static void closed(void *data, bool has_failed)
{
	struct backend *backend = data;

	log_info("the front-end is gone%s",
		 has_failed ? ", after a violation of the protocol" : "");
	loop_quit(&backend->loop);
}

static const struct session_listener session_listener = {
	.features_changed = features_changed,
	.memory_changed = memory_changed,
	.queue_changed = queue_changed,
	.quiesce = quiesce,
	.reset = reset,
	.display_socket = display_socket,
	.mapped = mapped,
	.events_cleared = events_cleared,
	.config_told = config_told,
	.closed = closed,
};

static int map(void *data, uint64_t number, const struct engine_mapping *mapping)
{
	struct backend *backend = data;

	return session_map(&backend->session, number, mapping->offset_bytes, mapping->size_bytes,
			   mapping->fd, mapping->fd_offset_bytes);
}

static int unmap(void *data, uint64_t number, uint64_t offset_bytes, uint64_t size_bytes)
{
	struct backend *backend = data;

	return session_unmap(&backend->session, number, offset_bytes, size_bytes);
}

/* ---- who looks inside ---- */

static void grabbed(void *data, uint32_t scanout_id, struct frame *consume_frame,
		    const struct rect *view)
{
	struct backend *backend = data;

	desk_grabbed(backend->desk, scanout_id, consume_frame, view);
}

static void grabbed_cursor(void *data, uint32_t scanout_id, uint32_t *consume_pixels)
{
	struct backend *backend = data;

	desk_grabbed_cursor(backend->desk, scanout_id, consume_pixels);
}

static void mode_set(void *data, uint32_t scanout_id, uint32_t width, uint32_t height)
{
	struct backend *backend = data;

	desk_mode_set(backend->desk, scanout_id, width, height);
}

static void look(void *data, struct desk_facts *facts_out)
{
	struct backend *backend = data;

	facts_out->features = backend->session.features;
	facts_out->protocol_features = backend->session.protocol_features;
	for (unsigned int i = 0; i < COMMAND_N_QUEUES; i++) {
		virtq_look(&backend->queues[i], &facts_out->queues[i]);
	}
}

/* The guest finds the event when it is told to look, or looks by itself. */
static int tell_mode(void *data, uint32_t serial)
{
	struct backend *backend = data;

	backend->config.events_read |= htole32(VIRTIO_GPU_EVENT_DISPLAY);
	return session_tell_config(&backend->session, serial);
}

int backend_front_end_pid(int fd)
{
	struct ucred peer = { 0 };
	socklen_t size = sizeof(peer);

	return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) == 0 ? (int)peer.pid : 0;
}

static int create_desk(struct backend *backend, int front_end_fd, const struct options *options,
		       const struct renderer_caps *caps,
		       const struct backend_control *consume_control)
{
	const struct desk_options desk_options = {
		.options = options,
		.caps = caps,
		.quota = &backend->quota,
		.loop = &backend->loop,
		.engine = backend->engine,
		.vm = consume_control->vm,
		.front_end_pid = backend_front_end_pid(front_end_fd),
		.look = look,
		.tell_mode = tell_mode,
		.data = backend,
	};

	if (consume_control->channel_fd < 0 && consume_control->door_fd < 0) {
		return 0;
	}
	return desk_create(&desk_options, consume_control->channel_fd, consume_control->door_fd,
			   &backend->desk);
}

/* ---- the life of it ---- */

/* On any thread. */
static void engine_failed(void *data)
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
	if (backend->desk != NULL) {
		desk_woken(backend->desk);
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
	backend->signal_source =
		(struct loop_source){ .dispatch = dispatch_signal, .data = backend };
	return loop_add(&backend->loop, &backend->signal_source, backend->signal_fd, EPOLLIN);
}

/* The device is in a process of its own, then. */
static bool is_keeper(const struct options *options)
{
	return renderer_find(options->gpu_mode)->is_foreign;
}

/* A window that nobody could fill would cost a guest its addresses. */
static uint64_t window_bytes(const struct options *options, const struct renderer_caps *caps)
{
	return caps->can_export ? options->hostmem_bytes : 0;
}

static int create_engine(struct backend *backend, const struct options *options,
			 const struct renderer_caps *caps)
{
	const struct engine_options engine_options = {
		.options = options,
		.quota = &backend->quota,
		.queues = backend->queues,
		.loop = &backend->loop,
		.failed = engine_failed,
		.map = map,
		.unmap = unmap,
		.window_bytes = window_bytes(options, caps),
		.grabbed = grabbed,
		.grabbed_cursor = grabbed_cursor,
		.mode_set = mode_set,
		.data = backend,
	};

	return is_keeper(options) ? process_engine_create(&engine_options, &backend->engine)
				  : thread_engine_create(&engine_options, &backend->engine);
}

static int start(struct backend *backend, int consume_fd, const struct options *options,
		 const struct renderer_caps *caps, const struct backend_control *consume_control)
{
	const struct session_options session_options = {
		.device_features = caps->features | 1ull << VIRTIO_GPU_F_EDID |
				   1ull << VIRTIO_GPU_F_RESOURCE_UUID |
				   1ull << VIRTIO_GPU_F_RESOURCE_BLOB,
		.config = &backend->config,
		.config_size_bytes = sizeof(backend->config),
		.queues = backend->queues,
		.n_queues = COMMAND_N_QUEUES,
		.window_bytes = window_bytes(options, caps),
		.window_feature_bit = options->shmem_feature_bit,
	};
	int error = watch_signals(backend);

	if (error == 0) {
		error = create_engine(backend, options, caps);
	}
	if (error == 0) {
		error = sandbox_enter(is_keeper(options) ? SANDBOX_KEEPER : SANDBOX_BACKEND,
				      options);
	}
	for (unsigned int i = 0; i < COMMAND_N_QUEUES && error == 0; i++) {
		virtq_init(&backend->queues[i], i, engine_queue_state(backend->engine, i));
		backend->n_queues++;
	}
	if (error == 0) {
		error = engine_start(backend->engine);
	}
	if (error < 0) {
		close(consume_fd);
		return error;
	}
	error = create_desk(backend, consume_fd, options, caps, consume_control);
	if (error < 0) {
		log_error("looking inside: %s; it goes on without", g_strerror(-error));
	}
	return session_init(&backend->session, &backend->loop, consume_fd, &session_options,
			    &session_listener, backend);
}

static void finish_device(struct backend *backend)
{
	if (backend->engine != NULL) {
		engine_stop(backend->engine);
	}
	/* It may hold pictures of the engine's. */
	g_clear_pointer(&backend->desk, desk_destroy);
	for (unsigned int i = 0; i < backend->n_queues; i++) {
		virtq_finish(&backend->queues[i]);
	}
	engine_destroy(backend->engine);
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

int backend_run(int consume_fd, const struct options *options, const struct renderer_caps *caps,
		const struct backend_control *consume_control)
{
	struct backend *backend = g_new0(struct backend, 1);
	uint32_t n_scanouts = options->is_headless ? 1 : DISPLAY_MAX_SCANOUTS;

	backend->signal_fd = -1;
	backend->config = (struct virtio_gpu_config){
		.num_scanouts = htole32(n_scanouts),
		.num_capsets = htole32(caps->n_capsets),
	};
	quota_init(&backend->quota, options->max_hostmem_bytes);
	int error = loop_init(&backend->loop, woken, backend);
	if (error < 0) {
		close(consume_fd);
	} else {
		error = start(backend, consume_fd, options, caps, consume_control);
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
	finish_device(backend);
	loop_finish(&backend->loop);
	if (backend->signal_fd >= 0) {
		close(backend->signal_fd);
	}
	g_free(backend);
	return exit_status;
}
