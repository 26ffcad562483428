/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * A process per front-end: whatever a guest or a GPU driver leaves behind ends
 * with it, and nothing of one VM can reach another. This process holds the
 * socket and little else, and stays single-threaded so that forking is safe.
 *
 * A front-end does not come back when it is hung up on (QEMU's display is lost
 * then until the VM is restarted). So nobody who was accepted is sent away for
 * want of a process: they are kept, and forking is tried again.
 */
#include "listener.h"

#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "backend.h"
#include "control/desk.h"
#include "control/door.h"
#include "control/protocol.h"
#include "util/fds.h"
#include "util/log.h"
#include "util/loop.h"
#include "util/sock.h"

/* A backend ends by itself within 700 ms; then it is made to. */
#define CHILD_LIMIT_US (800 * 1000)
/* After a failed accept or fork: do not spin. */
#define RETRY_US (200 * 1000)
/* A front-end that follows another one may be there before that one's process has ended. */
#define PATIENCE_US (1000 * 1000)

lockdown_names listener_calls = { "accept4",	"clone",     "fork",  "wait4",	     "waitid",
				  "kill",	"signalfd4", "prctl", "close_range", "getdents64",
				  "newfstatat", "fstatat64", "lstat", "lstat64",     "unlink",
				  "unlinkat",	NULL };

/* A process that serves a front-end. */
struct child {
	pid_t pid;
	uint32_t vm;	   /* its number, which comes once */
	int front_end_pid; /* 0: not known */
	int control_fd;	   /* owned: questions for it; or -1 */
};

struct listener {
	const struct options *options;
	const struct renderer_caps *caps;
	struct loop loop;
	int fd, signal_fd;
	int waiting_fd; /* owned, -1: none; accepted, and there was no process to be had for it */
	struct loop_source source, signal_source;
	struct loop_timer retry_timer, kill_timer;
	struct loop_timer busy_timer; /* armed while somebody waits and all have their process */
	struct child *children; /* owned; room for options->max_clients */
	uint32_t last_vm;
	int door_fd;	   /* owned until door has it, or -1 */
	struct door *door; /* owned; NULL: nobody can look inside */
	unsigned int n_children;
	bool is_short; /* of descriptors or processes, and that was said */
	bool is_ending;
	/* In a child: the front-end that it is there for, and its questions. */
	bool is_child, is_orphan;
	int own_fd, control_fd; /* owned; control_fd may be -1 */
	int exit_status;
};

static bool is_full(const struct listener *listener)
{
	return listener->n_children >= listener->options->max_clients;
}

/* As long as there is room for one more, and nobody waits who was here before. */
static void listen_on(struct listener *listener)
{
	if (is_full(listener) || listener->waiting_fd >= 0 || listener->source.is_added ||
	    listener->is_ending) {
		return;
	}
	int error = loop_add(&listener->loop, &listener->source, listener->fd, EPOLLIN);
	if (error < 0) {
		log_failure("waiting for front-ends: %s", g_strerror(-error));
		listener->exit_status = 1;
		loop_quit(&listener->loop);
	}
}

/* errno says what there is not enough of. */
static void wait_for_room(struct listener *listener, const char *action)
{
	if (!listener->is_short) {
		log_error("%s: %s; it is tried again until it works", action, g_strerror(errno));
		listener->is_short = true;
	}
	loop_remove(&listener->loop, &listener->source);
	loop_timer_arm(&listener->loop, &listener->retry_timer, RETRY_US);
}

static void close_fd(int fd)
{
	if (fd >= 0) {
		close(fd);
	}
}

/*
 * Child: of all that is open here only its front-end and the standard streams
 * are its own.
 */
static void close_others(struct listener *listener, int own_fd, int control_fd)
{
	unsigned int first = (unsigned int)own_fd, second = first;

	loop_abandon(&listener->loop);
	close(listener->fd);
	close(listener->signal_fd);
	listener->fd = -1;
	listener->signal_fd = -1;
	if (listener->door != NULL) {
		g_clear_pointer(&listener->door, door_abandon);
	}
	listener->n_children = 0;
	if (control_fd >= 0) {
		first = (unsigned int)MIN(own_fd, control_fd);
		second = (unsigned int)MAX(own_fd, control_fd);
	}
	/* What whoever started us left open, and the channels of the others. */
	fds_close_range(STDERR_FILENO + 1, first - 1);
	if (second > first + 1) {
		fds_close_range(first + 1, second - 1);
	}
	fds_close_range(second + 1, UINT_MAX);
}

/*
 * Child: the parent's loop is still on the stack, so there is nothing to be
 * done yet but to leave it.
 */
static void become_child(struct listener *listener, int consume_fd, int consume_control_fd,
			 pid_t parent)
{
	listener->is_child = true;
	close_others(listener, consume_fd, consume_control_fd);
	prctl(PR_SET_PDEATHSIG, SIGTERM);
	listener->own_fd = consume_fd;
	listener->control_fd = consume_control_fd;
	listener->is_orphan = getppid() != parent;
}

/* Child: outside of that loop. */
static void run_backend(struct listener *listener)
{
	const struct backend_control control = {
		.channel_fd = listener->control_fd,
		.door_fd = -1,
		.vm = listener->last_vm,
	};

	if (listener->is_orphan) {
		close(listener->own_fd);
		return;
	}
	listener->exit_status =
		backend_run(listener->own_fd, listener->options, listener->caps, &control);
}

static void add_child(struct listener *listener, pid_t child, int front_end_pid,
		      int consume_control_fd)
{
	listener->children[listener->n_children++] = (struct child){
		.pid = child,
		.vm = listener->last_vm,
		.front_end_pid = front_end_pid,
		.control_fd = consume_control_fd,
	};
	loop_timer_disarm(&listener->loop, &listener->busy_timer);
	log_info("process %d serves a front-end (%u of %u)", (int)child, listener->n_children,
		 listener->options->max_clients);
	if (listener->is_short) {
		log_info("front-ends are served again");
		listener->is_short = false;
	}
}

/*
 * Whoever waits does so in its own connect(), or in the first question it asks, and without a
 * word: a machine whose start seems to hang.
 */
static void say_busy(void *data)
{
	struct listener *listener = data;

	if (is_full(listener)) {
		log_warn("a front-end waits until one of %u that are served ends (--max-clients "
			 "serves more at once; or give each machine a socket of its own)",
			 listener->n_children);
	}
}

/* For questions; both ends -1 if there is no door, or no socket to be had. */
static void make_channel(const struct listener *listener, int pair_out[2])
{
	pair_out[0] = pair_out[1] = -1;
	if (listener->door != NULL &&
	    socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair_out) < 0) {
		log_warn("a VM that can't be looked at: %s", g_strerror(errno));
		pair_out[0] = pair_out[1] = -1;
	}
}

static void serve(struct listener *listener, int consume_fd)
{
	int front_end_pid = backend_front_end_pid(consume_fd);
	pid_t parent = getpid();
	int pair[2];

	make_channel(listener, pair);
	log_charge_child();
	listener->last_vm++;
	pid_t child = fork();

	if (child == 0) {
		become_child(listener, consume_fd, pair[1], parent);
		return;
	}
	close_fd(pair[1]);
	if (child > 0) {
		close(consume_fd);
		add_child(listener, child, front_end_pid, pair[0]);
	} else {
		listener->last_vm--;
		close_fd(pair[0]);
		listener->waiting_fd = consume_fd;
		wait_for_room(listener, "starting a process for a front-end");
	}
}

static void dispatch_accept(void *data, uint32_t events G_GNUC_UNUSED)
{
	struct listener *listener = data;

	if (is_full(listener)) {
		loop_remove(&listener->loop, &listener->source);
		loop_timer_arm(&listener->loop, &listener->busy_timer, PATIENCE_US);
		return;
	}
	int fd = accept4(listener->fd, NULL, NULL, SOCK_CLOEXEC);

	if (fd >= 0) {
		serve(listener, fd);
	} else if (errno != EAGAIN && errno != EINTR && errno != ECONNABORTED) {
		wait_for_room(listener, "accepting a front-end");
	}
}

static void retry(void *data)
{
	struct listener *listener = data;
	int fd = listener->waiting_fd;

	listener->waiting_fd = -1;
	if (fd >= 0) {
		serve(listener, fd);
	}
	if (!listener->is_child) {
		listen_on(listener);
	}
}

/* -1: no child of ours. */
static int find_child(const struct listener *listener, pid_t pid)
{
	for (unsigned int i = 0; i < listener->n_children; i++) {
		if (listener->children[i].pid == pid) {
			return (int)i;
		}
	}
	return -1;
}

static void handle_end(struct listener *listener, pid_t pid, int status)
{
	int index = find_child(listener, pid);

	if (index < 0) {
		return;
	}
	close_fd(listener->children[index].control_fd);
	listener->children[index] = listener->children[--listener->n_children];
	if (WIFSIGNALED(status) && !listener->is_ending) {
		log_error("process %d, which served a front-end, died of signal %d (%s)", (int)pid,
			  WTERMSIG(status), g_strsignal(WTERMSIG(status)));
	} else {
		log_info("process %d has served its front-end, %u others go on", (int)pid,
			 listener->n_children);
	}
}

static void reap(struct listener *listener)
{
	int status;
	pid_t pid;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
		handle_end(listener, pid, status);
	}
	if (listener->is_ending && listener->n_children == 0) {
		loop_quit(&listener->loop);
	}
	listen_on(listener);
}

static void signal_children(struct listener *listener, int signal_number)
{
	for (unsigned int i = 0; i < listener->n_children; i++) {
		kill(listener->children[i].pid, signal_number);
	}
}

static void kill_children(void *data)
{
	signal_children(data, SIGKILL);
}

static void begin_end(struct listener *listener)
{
	listener->is_ending = true;
	loop_remove(&listener->loop, &listener->source);
	loop_timer_disarm(&listener->loop, &listener->retry_timer);
	loop_timer_disarm(&listener->loop, &listener->busy_timer);
	if (listener->n_children == 0) {
		loop_quit(&listener->loop);
		return;
	}
	signal_children(listener, SIGTERM);
	loop_timer_arm(&listener->loop, &listener->kill_timer, CHILD_LIMIT_US);
}

static void dispatch_signal(void *data, uint32_t events G_GNUC_UNUSED)
{
	struct listener *listener = data;
	struct signalfd_siginfo info;

	while (read(listener->signal_fd, &info, sizeof(info)) == (ssize_t)sizeof(info)) {
		if (info.ssi_signo == SIGCHLD) {
			reap(listener);
		} else if (!listener->is_ending) {
			begin_end(listener);
		}
	}
}

/* ---- who looks inside ---- */

static void answer_vms(const struct listener *listener, int consume_fd)
{
	struct answer answer;

	desk_begin_vms(&answer, listener->options);
	for (unsigned int i = 0; i < listener->n_children; i++) {
		const struct child *child = &listener->children[i];

		desk_add_vm(&answer, child->vm, (int)child->pid, child->front_end_pid);
	}
	answer_close(&answer, consume_fd);
}

static int pass(const struct child *child, const char *line, size_t length, int fd_borrow)
{
	const struct iovec iov = { (void *)(uintptr_t)line, length };
	ssize_t n = child->control_fd >= 0 ? sock_send(child->control_fd, &iov, 1, fd_borrow)
					   : -ENOTCONN;

	return n < 0 ? (int)n : 0;
}

/* Here, and in those that there are; who comes later has it from here. */
static void set_level(const struct listener *listener, const struct control_question *question,
		      const char *line, size_t length, int consume_fd)
{
	struct answer answer;
	unsigned int n_missed = 0;

	log_set_level(question->level);
	for (unsigned int i = 0; i < listener->n_children; i++) {
		n_missed += pass(&listener->children[i], line, length, -1) < 0;
	}
	if (n_missed > 0) {
		answer_error(consume_fd, "busy: %u VMs were not told", n_missed);
		return;
	}
	answer_begin(&answer);
	answer_close(&answer, consume_fd);
}

/* NULL, after an answer. */
static const struct child *choose(const struct listener *listener, uint32_t vm, int consume_fd)
{
	if (listener->n_children == 0) {
		answer_error(consume_fd, "there is no VM: no front-end is connected");
		return NULL;
	}
	if (vm == 0 && listener->n_children > 1) {
		answer_error(consume_fd, "there are %u VMs: say which (vm=N)",
			     listener->n_children);
		return NULL;
	}
	for (unsigned int i = 0; i < listener->n_children; i++) {
		if (vm == 0 || listener->children[i].vm == vm) {
			return &listener->children[i];
		}
	}
	answer_error(consume_fd, "there is no VM %u", vm);
	return NULL;
}

static void asked(void *data, const struct control_question *question, const char *line,
		  size_t length, int consume_fd)
{
	const struct listener *listener = data;

	if (question->verb == CONTROL_VMS) {
		answer_vms(listener, consume_fd);
		return;
	}
	if (question->verb == CONTROL_LOG) {
		set_level(listener, question, line, length, consume_fd);
		return;
	}
	const struct child *child = choose(listener, question->vm, consume_fd);
	if (child == NULL) {
		return;
	}
	int error = pass(child, line, length, consume_fd);
	if (error < 0) {
		answer_error(consume_fd, "busy: VM %u takes no more questions at present (%s)",
			     child->vm, g_strerror(-error));
	} else {
		close(consume_fd);
	}
}

static const struct door_listener door_listener = { .asked = asked };

static int open_door(struct listener *listener)
{
	int fd = listener->door_fd;

	listener->door_fd = -1;
	return fd >= 0 ? door_create(&listener->loop, fd, &door_listener, listener, &listener->door)
		       : 0;
}

/* ---- life ---- */

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

static void finish(struct listener *listener)
{
	close_fd(listener->signal_fd);
	close_fd(listener->fd);
	close_fd(listener->waiting_fd);
	close_fd(listener->door_fd);
	g_clear_pointer(&listener->door, door_destroy);
	loop_finish(&listener->loop);
	g_free(listener->children);
}

int listener_run(int consume_fd, int consume_door_fd, const struct options *options,
		 const struct renderer_caps *caps)
{
	struct listener listener = {
		.options = options,
		.caps = caps,
		.fd = consume_fd,
		.signal_fd = -1,
		.waiting_fd = -1,
		.door_fd = consume_door_fd,
		.children = g_new0(struct child, options->max_clients),
	};

	listener.source = (struct loop_source){ .dispatch = dispatch_accept, .data = &listener };
	listener.signal_source =
		(struct loop_source){ .dispatch = dispatch_signal, .data = &listener };
	listener.retry_timer = (struct loop_timer){ .expired = retry, .data = &listener };
	listener.busy_timer = (struct loop_timer){ .expired = say_busy, .data = &listener };
	listener.kill_timer = (struct loop_timer){ .expired = kill_children, .data = &listener };

	int error = loop_init(&listener.loop, NULL, NULL);
	if (error == 0) {
		error = watch_signals(&listener);
	}
	if (error == 0) {
		error = open_door(&listener);
	}
	if (error == 0) {
		listen_on(&listener);
		error = loop_run(&listener.loop);
	}
	if (error < 0) {
		log_failure("waiting for front-ends: %s", g_strerror(-error));
		listener.exit_status = 1;
	}
	finish(&listener);
	if (listener.is_child) {
		run_backend(&listener);
	}
	return listener.exit_status;
}
