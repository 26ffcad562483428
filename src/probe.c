/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "probe.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "engine/companion.h"
#include "engine/render_server.h"
#include "renderer/library_log.h"
#include "sandbox.h"
#include "util/fds.h"
#include "util/log.h"
#include "util/quota.h"

#define TIMEOUT_MS (30 * 1000)

/* -ENODEV or the like: it has said why. */
static int start_renderer(const struct options *options, int server_fd, struct quota *quota,
			  struct renderer **renderer_out)
{
	struct renderer_options renderer_options = options->renderer;

	renderer_options.server_fd = server_fd;
	quota_init(quota, UINT64_MAX);
	return renderer_create(renderer_find(options->gpu_mode), &renderer_options, quota,
			       renderer_out);
}

/* In the child. Returns its exit status. */
static int start_and_report(const struct options *options, int server_fd, int pipe_fd)
{
	struct renderer *renderer;
	struct quota quota;

	/* As it will run; what a report has to say, it says then. */
	if (options->sandbox != SANDBOX_REPORT && sandbox_enter(SANDBOX_RENDERER, options) < 0) {
		return 1;
	}
	if (start_renderer(options, server_fd, &quota, &renderer) < 0) {
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

	if (start_renderer(options, 0, &quota, &renderer) < 0) {
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

/*
 * What the child's library has said last, in memory that both have: a child
 * that crashes says no more. NULL: there is none.
 */
static char *make_last_words(void)
{
	char *words = mmap(NULL, LIBRARY_LOG_LINE_BYTES, PROT_READ | PROT_WRITE,
			   MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	return words != MAP_FAILED ? words : NULL;
}

/* Behind what is known already; into buffer. */
static const char *format_last_words(const char *words, char *buffer, size_t size)
{
	size_t length = words != NULL ? strnlen(words, LIBRARY_LOG_LINE_BYTES) : 0;
	char shown[LIBRARY_LOG_LINE_BYTES];

	g_snprintf(buffer, size, "%s%s", length > 0 ? ": " : "",
		   log_escape(words, length, shown, sizeof(shown)));
	return buffer;
}

/* The one line that says why, where the child could not. */
static void explain(const struct options *options, int error, int status, const char *last_words)
{
	const char *mode = options->gpu_mode;
	const char *help = renderer_find(mode)->profile->start_help;
	char words[LIBRARY_LOG_LINE_BYTES + 2];

	format_last_words(last_words, words, sizeof(words));
	if (error == -ETIMEDOUT) {
		log_failure("%s cannot start: it hangs, for %d s by now%s: %s", mode,
			    TIMEOUT_MS / 1000, words, help);
	} else if (WIFSIGNALED(status)) {
		log_failure("%s cannot start: it crashes (%s)%s: %s", mode,
			    g_strsignal(WTERMSIG(status)), words, help);
	}
}

static enum probe_result judge(const struct options *options, int error, int status,
			       const char *last_words)
{
	if (error == -EINTR) {
		return PROBE_INTERRUPTED;
	}
	if (error == 0) {
		return PROBE_OK;
	}
	explain(options, error, status, last_words);
	return PROBE_UNAVAILABLE;
}

static enum probe_result watch(const struct options *options, pid_t child, int pipe_fd,
			       int signal_fd, const char *last_words,
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
	return judge(options, error, status, last_words);
}

/* What serves a front-end, --fd for one, is no business of a GPU driver's. */
static void close_others(int a, int b)
{
	unsigned int first = (unsigned int)MIN(a, b), second = (unsigned int)MAX(a, b);

	if (first > STDERR_FILENO + 1) {
		fds_close_range(STDERR_FILENO + 1, first - 1);
	}
	if (second > first + 1) {
		fds_close_range(first + 1, second - 1);
	}
	fds_close_range(second + 1, UINT_MAX);
}

static int run_server(void *data, int fd)
{
	struct options options = *(const struct options *)data;

	/* As above. */
	if (options.sandbox == SANDBOX_REPORT) {
		options.sandbox = SANDBOX_OFF;
	}
	return render_server_run(&options, fd);
}

/* 0: without. */
static int start_server(const struct options *options, struct companion *server)
{
	const struct companion_options server_options = {
		.run = run_server,
		.data = (void *)(uintptr_t)options,
		.stderr_fd = -1,
	};
	int fd = 0;

	*server = (struct companion){ 0 };
	if (options->server_path != NULL) {
		int error = companion_start(server, &server_options, &fd);

		if (error < 0) {
			log_info("starting a render server: %s", g_strerror(-error));
		}
	}
	return fd;
}

/* The whole life of the child. */
G_GNUC_NORETURN static void become_child(const struct options *options, int server_fd, int pipe_fd,
					 pid_t parent)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	close_others(pipe_fd, server_fd > 0 ? server_fd : pipe_fd);
	_exit(getppid() == parent ? start_and_report(options, server_fd, pipe_fd) : 1);
}

/* With a server beside the child, as it will run. */
static pid_t fork_child(const struct options *options, struct companion *server, int pipe_fd,
			char *last_words)
{
	pid_t parent = getpid();
	int server_fd = start_server(options, server);
	pid_t child = fork();

	if (child == 0) {
		if (last_words != NULL) {
			library_log_keep_in(last_words);
		}
		become_child(options, server_fd, pipe_fd, parent);
	}
	if (child < 0) {
		log_failure("starting a process to try the renderer in: %s", g_strerror(errno));
	}
	if (server_fd > 0) {
		close(server_fd);
	}
	return child;
}

static void close_fd(int fd)
{
	if (fd >= 0) {
		close(fd);
	}
}

static enum probe_result run_in_child(const struct options *options, struct renderer_caps *caps_out)
{
	enum probe_result result = PROBE_UNAVAILABLE;
	struct companion server = { 0 };
	pid_t child = -1;
	int pipe_fds[2] = { -1, -1 }, signal_fd = -1;
	char *last_words = make_last_words();
	sigset_t signals;

	sigemptyset(&signals);
	sigaddset(&signals, SIGTERM);
	sigaddset(&signals, SIGINT);
	signal_fd = signalfd(-1, &signals, SFD_CLOEXEC);
	if (signal_fd >= 0 && pipe2(pipe_fds, O_CLOEXEC) == 0) {
		child = fork_child(options, &server, pipe_fds[1], last_words);
	} else {
		log_failure("starting a process to try the renderer in: %s", g_strerror(errno));
	}
	close_fd(pipe_fds[1]);
	if (child > 0) {
		result = watch(options, child, pipe_fds[0], signal_fd, last_words, caps_out);
	}
	companion_end(&server);
	if (last_words != NULL) {
		munmap(last_words, LIBRARY_LOG_LINE_BYTES);
	}
	close_fd(pipe_fds[0]);
	close_fd(signal_fd);
	return result;
}

enum probe_result probe_run(const struct options *options, struct renderer_caps *caps_out)
{
	const struct renderer_impl *impl = renderer_find(options->gpu_mode);

	if (impl->profile != NULL && impl->profile->advise != NULL) {
		impl->profile->advise(&options->renderer);
	}
	if (impl->is_foreign) {
		return run_in_child(options, caps_out);
	}
	return run_here(options, caps_out);
}
