/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "probe.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "sandbox.h"
#include "util/fds.h"
#include "util/log.h"
#include "util/quota.h"

#define TIMEOUT_MS (30 * 1000)

/* -ENODEV or the like: it has said why. */
static int start_renderer(const struct options *options, struct quota *quota,
			  struct renderer **renderer_out)
{
	quota_init(quota, UINT64_MAX);
	return renderer_create(renderer_find(options->gpu_mode), &options->renderer, quota,
			       renderer_out);
}

/* In the child. Returns its exit status. */
static int start_and_report(const struct options *options, int pipe_fd)
{
	struct renderer *renderer;
	struct quota quota;

	/* As it will run; what a report has to say, it says then. */
	if (options->sandbox != SANDBOX_REPORT && sandbox_enter(SANDBOX_RENDERER, options) < 0) {
		return 1;
	}
	if (start_renderer(options, &quota, &renderer) < 0) {
		return 1;
	}
	if (sandbox_limit_memory(options) < 0) {
		return 1;
	}
	const struct renderer_caps caps = renderer->caps;
	ssize_t n = write(pipe_fd, &caps, sizeof(caps));
	renderer_destroy(renderer);
	return n == (ssize_t)sizeof(caps) ? 0 : 1;
}

static enum probe_result run_here(const struct options *options, struct renderer_caps *caps_out)
{
	struct renderer *renderer;
	struct quota quota;

	if (start_renderer(options, &quota, &renderer) < 0) {
		return PROBE_UNAVAILABLE;
	}
	*caps_out = renderer->caps;
	renderer_destroy(renderer);
	return PROBE_OK;
}

/* Wait for the caps. 0: read; -EINTR: signal; -ETIMEDOUT; -EPIPE: the child ended without. */
static int await_caps(int pipe_fd, int signal_fd, struct renderer_caps *caps)
{
	struct pollfd fds[] = {
		{ .fd = pipe_fd, .events = POLLIN },
		{ .fd = signal_fd, .events = POLLIN },
	};
	int n;

	do {
		n = poll(fds, G_N_ELEMENTS(fds), TIMEOUT_MS);
	} while (n < 0 && errno == EINTR);
	if (n == 0) {
		return -ETIMEDOUT;
	}
	if (fds[1].revents != 0) {
		return -EINTR;
	}
	return read(pipe_fd, caps, sizeof(*caps)) == (ssize_t)sizeof(*caps) ? 0 : -EPIPE;
}

static enum probe_result judge(int error, int status)
{
	if (error == -EINTR) {
		return PROBE_INTERRUPTED;
	}
	if (error == 0) {
		return PROBE_OK;
	}
	if (error == -ETIMEDOUT) {
		log_failure("the renderer did not start within %d s: the GPU driver hangs",
			    TIMEOUT_MS / 1000);
	} else if (WIFSIGNALED(status)) {
		log_failure("the renderer crashed while starting (%s): the GPU driver is broken; "
			    "LIBGL_ALWAYS_SOFTWARE=1 avoids it",
			    g_strsignal(WTERMSIG(status)));
	}
	/* Else the child said why. */
	return PROBE_UNAVAILABLE;
}

static enum probe_result watch(pid_t child, int pipe_fd, int signal_fd,
			       struct renderer_caps *caps_out)
{
	struct renderer_caps caps;
	int error = await_caps(pipe_fd, signal_fd, &caps);
	int status = 0;

	/* What was wanted of it is here, or will not come. */
	if (error != -EPIPE) {
		kill(child, SIGKILL);
	}
	while (waitpid(child, &status, 0) < 0 && errno == EINTR) {
	}
	if (error == 0) {
		*caps_out = caps;
	}
	return judge(error, status);
}

/* What serves a front-end, --fd for one, is no business of a GPU driver's. */
static void close_others(int own_fd)
{
	fds_close_range(STDERR_FILENO + 1, (unsigned int)own_fd - 1);
	fds_close_range((unsigned int)own_fd + 1, UINT_MAX);
}

static enum probe_result run_in_child(const struct options *options, struct renderer_caps *caps_out)
{
	enum probe_result result = PROBE_UNAVAILABLE;
	pid_t parent = getpid(), child = -1;
	int pipe_fds[2] = { -1, -1 }, signal_fd = -1;
	sigset_t signals;

	sigemptyset(&signals);
	sigaddset(&signals, SIGTERM);
	sigaddset(&signals, SIGINT);
	signal_fd = signalfd(-1, &signals, SFD_CLOEXEC);
	if (signal_fd >= 0 && pipe2(pipe_fds, O_CLOEXEC) == 0) {
		child = fork();
	}
	if (child == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		close_others(pipe_fds[1]);
		_exit(getppid() == parent ? start_and_report(options, pipe_fds[1]) : 1);
	}
	if (child < 0) {
		log_failure("starting a process to try the renderer in: %s", g_strerror(errno));
	}
	if (pipe_fds[1] >= 0) {
		close(pipe_fds[1]);
	}
	if (child > 0) {
		result = watch(child, pipe_fds[0], signal_fd, caps_out);
	}
	if (pipe_fds[0] >= 0) {
		close(pipe_fds[0]);
	}
	if (signal_fd >= 0) {
		close(signal_fd);
	}
	return result;
}

enum probe_result probe_run(const struct options *options, struct renderer_caps *caps_out)
{
	if (renderer_find(options->gpu_mode)->is_foreign) {
		return run_in_child(options, caps_out);
	}
	return run_here(options, caps_out);
}
