/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * A process per front-end: whatever a guest or a GPU driver leaves behind ends
 * with it, and nothing of one VM can reach the next. This process holds the
 * socket and little else, and stays single-threaded so that forking is safe.
 */
#include "listener.h"

#include <errno.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "backend.h"
#include "util/log.h"
#include "util/loop.h"

/* A backend ends by itself within 700 ms; then it is made to. */
#define CHILD_LIMIT_US (800 * 1000)
/* After a failed accept or fork: do not spin. */
#define RETRY_US (200 * 1000)

struct listener {
	const struct options *options;
	const struct renderer_caps *caps;
	struct loop loop;
	int fd, signal_fd;
	struct loop_source source, signal_source;
	struct loop_timer retry_timer, kill_timer;
	pid_t child; /* 0: none */
	bool is_ending;
	bool is_child; /* in the child, after it has served */
	int exit_status;
};

static void listen_on(struct listener *listener)
{
	int error = loop_add(&listener->loop, &listener->source, listener->fd, EPOLLIN);

	if (error < 0) {
		log_failure("waiting for front-ends: %s", g_strerror(-error));
		listener->exit_status = 1;
		loop_quit(&listener->loop);
	}
}

/*
 * Child: nothing of the listener stays open. The epoll instance is the
 * parent's too, so that no source may be removed from it here.
 */
static void become_backend(struct listener *listener, int consume_fd, pid_t parent)
{
	listener->is_child = true;
	loop_finish(&listener->loop);
	loop_quit(&listener->loop);
	close(listener->fd);
	close(listener->signal_fd);
	listener->fd = -1;
	listener->signal_fd = -1;
	prctl(PR_SET_PDEATHSIG, SIGTERM);
	if (getppid() != parent) {
		close(consume_fd);
		return;
	}
	listener->exit_status = backend_run(consume_fd, listener->options, listener->caps);
}

static void dispatch_accept(void *data, uint32_t events G_GNUC_UNUSED)
{
	struct listener *listener = data;
	pid_t parent = getpid();
	int fd = accept4(listener->fd, NULL, NULL, SOCK_CLOEXEC);

	if (fd < 0) {
		if (errno != EAGAIN && errno != EINTR && errno != ECONNABORTED) {
			log_error("accepting a front-end: %s", g_strerror(errno));
			loop_remove(&listener->loop, &listener->source);
			loop_timer_arm(&listener->loop, &listener->retry_timer, RETRY_US);
		}
		return;
	}
	pid_t child = fork();
	if (child == 0) {
		become_backend(listener, fd, parent);
		return;
	}
	close(fd);
	loop_remove(&listener->loop, &listener->source);
	if (child < 0) {
		log_error("starting a process for a front-end: %s", g_strerror(errno));
		loop_timer_arm(&listener->loop, &listener->retry_timer, RETRY_US);
		return;
	}
	log_info("a front-end is served by process %d", (int)child);
	listener->child = child;
}

static void retry(void *data)
{
	listen_on(data);
}

static void kill_child(void *data)
{
	struct listener *listener = data;

	kill(listener->child, SIGKILL);
}

static void handle_child_end(struct listener *listener)
{
	int status;

	if (listener->child == 0 || waitpid(listener->child, &status, WNOHANG) <= 0) {
		return;
	}
	if (WIFSIGNALED(status) && !listener->is_ending) {
		log_error("process %d, which served a front-end, died of: %s",
			  (int)listener->child, g_strsignal(WTERMSIG(status)));
	}
	listener->child = 0;
	loop_timer_disarm(&listener->loop, &listener->kill_timer);
	if (listener->is_ending) {
		loop_quit(&listener->loop);
	} else {
		listen_on(listener);
	}
}

static void begin_end(struct listener *listener)
{
	listener->is_ending = true;
	loop_remove(&listener->loop, &listener->source);
	loop_timer_disarm(&listener->loop, &listener->retry_timer);
	if (listener->child == 0) {
		loop_quit(&listener->loop);
		return;
	}
	kill(listener->child, SIGTERM);
	loop_timer_arm(&listener->loop, &listener->kill_timer, CHILD_LIMIT_US);
}

static void dispatch_signal(void *data, uint32_t events G_GNUC_UNUSED)
{
	struct listener *listener = data;
	struct signalfd_siginfo info;

	while (read(listener->signal_fd, &info, sizeof(info)) == (ssize_t)sizeof(info)) {
		if (info.ssi_signo == SIGCHLD) {
			handle_child_end(listener);
		} else if (!listener->is_ending) {
			begin_end(listener);
		}
	}
}

static int watch_signals(struct listener *listener)
{
	sigset_t signals;

	sigemptyset(&signals);
	sigaddset(&signals, SIGTERM);
	sigaddset(&signals, SIGINT);
	sigaddset(&signals, SIGCHLD);
	if (sigprocmask(SIG_BLOCK, &signals, NULL) < 0) {
		return -errno;
	}
	listener->signal_fd = signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK);
	if (listener->signal_fd < 0) {
		return -errno;
	}
	return loop_add(&listener->loop, &listener->signal_source, listener->signal_fd, EPOLLIN);
}

int listener_run(int consume_fd, const struct options *options, const struct renderer_caps *caps)
{
	struct listener listener = {
		.options = options,
		.caps = caps,
		.fd = consume_fd,
		.signal_fd = -1,
	};

	listener.source = (struct loop_source){ .dispatch = dispatch_accept, .data = &listener };
	listener.signal_source =
		(struct loop_source){ .dispatch = dispatch_signal, .data = &listener };
	listener.retry_timer = (struct loop_timer){ .expired = retry, .data = &listener };
	listener.kill_timer = (struct loop_timer){ .expired = kill_child, .data = &listener };

	int error = loop_init(&listener.loop, NULL, NULL);
	if (error == 0) {
		error = watch_signals(&listener);
	}
	if (error == 0) {
		listen_on(&listener);
		error = loop_run(&listener.loop);
	}
	if (error < 0) {
		log_failure("waiting for front-ends: %s", g_strerror(-error));
		listener.exit_status = 1;
	}
	if (listener.signal_fd >= 0) {
		close(listener.signal_fd);
	}
	if (listener.fd >= 0) {
		close(listener.fd);
	}
	loop_finish(&listener.loop);
	return listener.exit_status;
}
