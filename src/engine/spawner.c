/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "engine/spawner.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "engine/companion.h"
#include "engine/link.h"
#include "util/fds.h"
#include "util/log.h"
#include "util/sock.h"

lockdown_names spawner_owner_calls = { "wait4", "waitid", NULL };
lockdown_names spawner_calls = { "socketpair", "clone",	      "fork",	    "vfork",
				 "wait4",      "waitid",      "kill",	    "signalfd4",
				 "prctl",      "close_range", "getdents64", NULL };

#define END_TOGETHER_US (200 * 1000)
#define END_STEP_US (5 * 1000)

struct request {
	int is_kill; /* else: start */
	int variant;
};

/* In the spawner's process. */
struct spawning {
	const struct spawner_options *options;
	int fd, signal_fd;
	pid_t child; /* 0: none */
	struct companion server;
	int server_fd; /* of our end, until the child has it; 0: none */
};

/* With a descriptor that is closed here. */
static void tell(const struct spawning *s, const struct spawner_news *news, int consume_fd)
{
	struct iovec iov = { (void *)(uintptr_t)news, sizeof(*news) };
	struct pollfd pollfd = { .fd = s->fd, .events = POLLOUT };

	while (sock_send(s->fd, &iov, 1, consume_fd) == -EAGAIN) {
		poll(&pollfd, 1, -1);
	}
	if (consume_fd >= 0) {
		close(consume_fd);
	}
}

static void tell_end(struct spawning *s, int status, bool is_of_server)
{
	const struct spawner_news news = {
		.is_end = true,
		.pid = s->child,
		.status = status,
		.is_of_server = is_of_server,
	};

	s->child = 0;
	tell(s, &news, -1);
}

G_GNUC_NORETURN static void become_renderer(const struct spawning *s, int link_fd, int variant,
					    pid_t parent)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	close(s->fd);
	close(s->signal_fd);
	_exit(getppid() == parent
		      ? s->options->run(s->options->data, link_fd, variant, s->server_fd)
		      : 1);
}

/* Without one the renderer does without what takes it. */
static void start_server(struct spawning *s, int variant)
{
	const struct companion_options options = {
		.run = s->options->run_server,
		.data = s->options->data,
		.stderr_fd = s->options->server_stderr_fd,
	};

	s->server_fd = 0;
	if (options.run == NULL || !s->options->needs_server(s->options->data, variant)) {
		return;
	}
	int error = companion_start(&s->server, &options, &s->server_fd);
	if (error < 0) {
		log_error("starting a render server: %s", g_strerror(-error));
	}
}

static void close_server_fd(struct spawning *s)
{
	if (s->server_fd > 0) {
		close(s->server_fd);
	}
	s->server_fd = 0;
}

static void start_child(struct spawning *s, int variant)
{
	pid_t self = getpid();
	int pair[2];

	if (link_create(pair) < 0) {
		tell_end(s, 0, false);
		return;
	}
	log_charge_child();
	start_server(s, variant);
	s->child = fork();
	if (s->child == 0) {
		close(pair[0]);
		become_renderer(s, pair[1], variant, self);
	}
	close(pair[1]);
	close_server_fd(s);
	if (s->child < 0) {
		log_error("starting a process that renders: %s", g_strerror(errno));
		close(pair[0]);
		companion_end(&s->server);
		s->child = 0;
		tell_end(s, 0, false);
		return;
	}
	const struct spawner_news news = { .pid = s->child };
	tell(s, &news, pair[0]);
}

/* False: the owner is gone. */
static bool take_request(struct spawning *s)
{
	struct request request;
	ssize_t n;

	do {
		n = recv(s->fd, &request, sizeof(request), 0);
	} while (n < 0 && errno == EINTR);
	if (n != (ssize_t)sizeof(request)) {
		return false;
	}
	if (request.is_kill && s->child > 0) {
		kill(s->child, SIGKILL);
	} else if (!request.is_kill && s->child == 0) {
		start_child(s, request.variant);
	}
	return true;
}

static int await_child(const struct spawning *s)
{
	int status = 0;

	while (waitpid(s->child, &status, 0) < 0 && errno == EINTR) {
	}
	return status;
}

/*
 * A server ends when its connection does, which may be a moment before who
 * renders can be seen to have ended: then it was not the server's fault.
 */
static bool has_child_ended_as_well(const struct spawning *s, int server_status, int *status_out)
{
	gint64 deadline_us = g_get_monotonic_time() + END_TOGETHER_US;

	while (!WIFSIGNALED(server_status) && g_get_monotonic_time() < deadline_us) {
		if (waitpid(s->child, status_out, WNOHANG) == s->child) {
			return true;
		}
		g_usleep(END_STEP_US);
	}
	return false;
}

static void end_of_server(struct spawning *s, int server_status)
{
	int status;

	if (has_child_ended_as_well(s, server_status, &status)) {
		tell_end(s, status, false);
		return;
	}
	kill(s->child, SIGKILL);
	await_child(s);
	tell_end(s, server_status, true);
}

static void reap(struct spawning *s)
{
	struct signalfd_siginfo info;
	int status;

	if (read(s->signal_fd, &info, sizeof(info)) != (ssize_t)sizeof(info) || s->child <= 0) {
		return;
	}
	if (waitpid(s->child, &status, WNOHANG) == s->child) {
		companion_end(&s->server);
		tell_end(s, status, false);
	} else if (companion_has_ended(&s->server, &status)) {
		end_of_server(s, status);
	}
}

/* The whole life of the spawner's process. */
static void serve(struct spawning *s)
{
	struct pollfd fds[] = {
		{ .fd = s->fd, .events = POLLIN },
		{ .fd = s->signal_fd, .events = POLLIN },
	};

	for (;;) {
		int n = poll(fds, G_N_ELEMENTS(fds), -1);

		if (n < 0 && errno != EINTR) {
			break;
		}
		if (n > 0 && fds[1].revents != 0) {
			reap(s);
		}
		if (n > 0 && fds[0].revents != 0 && !take_request(s)) {
			break;
		}
	}
	if (s->child > 0) {
		kill(s->child, SIGKILL);
		await_child(s);
	}
	companion_end(&s->server);
}

static int compare_fds(const void *a, const void *b)
{
	return *(const int *)a - *(const int *)b;
}

/* The front-end's connection, for one, is no business of who renders. */
static void close_all_but(const int *kept_fds, size_t n_kept)
{
	unsigned int from = STDERR_FILENO + 1;

	for (size_t i = 0; i < n_kept; i++) {
		unsigned int fd = (unsigned int)kept_fds[i];

		if (fd > from) {
			fds_close_range(from, fd - 1);
		}
		from = fd + 1;
	}
	fds_close_range(from, UINT_MAX);
}

static bool is_prepared(const struct spawner_options *options)
{
	return options->prepare == NULL || options->prepare(options->data) == 0;
}

G_GNUC_NORETURN static void become_spawner(struct spawning *s, pid_t parent)
{
	size_t n_kept = s->options->n_kept;
	int fds[SPAWNER_MAX_KEPT_FDS + 1];
	sigset_t child_only;

	memcpy(fds, s->options->kept_fds, n_kept * sizeof(int));
	fds[n_kept] = s->fd;
	qsort(fds, n_kept + 1, sizeof(int), compare_fds);
	close_all_but(fds, n_kept + 1);

	/* With a server it has more to end than would end with it; it sees its owner's end anyhow.
	 */
	if (s->options->run_server == NULL) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
	} else {
		prctl(PR_SET_CHILD_SUBREAPER, 1);
	}
	prctl(PR_SET_NAME, "spawner");
	sigemptyset(&child_only);
	sigaddset(&child_only, SIGCHLD);
	sigprocmask(SIG_BLOCK, &child_only, NULL);
	s->signal_fd = signalfd(-1, &child_only, SFD_CLOEXEC | SFD_NONBLOCK);
	if (s->signal_fd >= 0 && getppid() == parent && is_prepared(s->options)) {
		serve(s);
	}
	_exit(0);
}

int spawner_init(struct spawner *spawner, const struct spawner_options *options)
{
	struct spawning s = { .options = options };
	pid_t self = getpid();
	int pair[2];

	g_assert(options->n_kept <= SPAWNER_MAX_KEPT_FDS);
	*spawner = (struct spawner){ .fd = -1 };
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0) {
		return -errno;
	}
	pid_t pid = fork();
	if (pid == 0) {
		s.fd = pair[1];
		become_spawner(&s, self);
	}
	int error = pid < 0 ? -errno : 0;
	close(pair[1]);
	if (error < 0) {
		close(pair[0]);
		return error;
	}
	*spawner = (struct spawner){ .pid = pid, .fd = pair[0] };
	return 0;
}

void spawner_finish(struct spawner *spawner)
{
	if (spawner->fd >= 0) {
		close(spawner->fd);
	}
	if (spawner->pid > 0) {
		while (waitpid(spawner->pid, NULL, 0) < 0 && errno == EINTR) {
		}
	}
	*spawner = (struct spawner){ .fd = -1 };
}

static int ask(const struct spawner *spawner, const struct request *request)
{
	struct iovec iov = { (void *)(uintptr_t)request, sizeof(*request) };
	ssize_t n = sock_send(spawner->fd, &iov, 1, -1);

	return n < 0 ? (int)n : 0;
}

int spawner_start(struct spawner *spawner, int variant)
{
	const struct request request = { .variant = variant };

	return ask(spawner, &request);
}

void spawner_kill(struct spawner *spawner)
{
	const struct request request = { .is_kill = true };
	int error = ask(spawner, &request);

	if (error < 0) {
		log_error("ending the process that renders: %s", g_strerror(-error));
	}
}

int spawner_receive(struct spawner *spawner, struct spawner_news *news_out)
{
	struct spawner_news news;
	int fds[SOCK_MAX_FDS];
	size_t n_fds = 0;
	ssize_t n = sock_receive(spawner->fd, &news, sizeof(news), fds, &n_fds);

	if (n < 0) {
		return (int)n;
	}
	if (n != (ssize_t)sizeof(news)) {
		return -EPIPE;
	}
	news.link_fd = n_fds > 0 ? fds[0] : -1;
	*news_out = news;
	return 0;
}
