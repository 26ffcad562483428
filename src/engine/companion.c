/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * A group is ended while its first process is not reaped, so that the number
 * can't be anybody else's yet. Who is in it has no call to leave it, once it
 * is locked down.
 */
#include "engine/companion.h"

#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "util/fds.h"

lockdown_names companion_calls = { "socketpair",  "clone",  "fork",  "vfork",	"wait4",
				   "waitid",	  "kill",   "prctl", "setpgid", "dup2",
				   "close_range", "execve", NULL };

G_GNUC_NORETURN static void become(const struct companion_options *options, int fd, pid_t parent)
{
	setpgid(0, 0);
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (options->stderr_fd >= 0 && dup2(options->stderr_fd, STDERR_FILENO) < 0) {
		_exit(1);
	}
	if (fd > STDERR_FILENO + 1) {
		fds_close_range(STDERR_FILENO + 1, (unsigned int)fd - 1);
	}
	fds_close_range((unsigned int)fd + 1, UINT_MAX);
	_exit(getppid() == parent ? options->run(options->data, fd) : 1);
}

int companion_start(struct companion *companion, const struct companion_options *options,
		    int *fd_out)
{
	pid_t self = getpid();
	int pair[2];

	*companion = (struct companion){ 0 };
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0) {
		return -errno;
	}
	pid_t pid = fork();
	if (pid == 0) {
		become(options, pair[1], self);
	}
	int error = pid < 0 ? -errno : 0;
	close(pair[1]);
	if (error < 0) {
		close(pair[0]);
		return error;
	}
	/* Both do it: whoever is first. */
	setpgid(pid, pid);
	*companion = (struct companion){ .pid = pid };
	*fd_out = pair[0];
	return 0;
}

/* Of the first of the group; the others are ours, too, if we are who is given orphans. */
static int reap(struct companion *companion)
{
	int status = 0;

	while (waitpid(companion->pid, &status, 0) < 0 && errno == EINTR) {
	}
	while (waitpid(-companion->pid, NULL, 0) > 0 || errno == EINTR) {
	}
	companion->pid = 0;
	return status;
}

bool companion_has_ended(struct companion *companion, int *status_out)
{
	siginfo_t info = { .si_pid = 0 };

	if (companion->pid == 0 ||
	    waitid(P_PID, (id_t)companion->pid, &info, WEXITED | WNOHANG | WNOWAIT) < 0 ||
	    info.si_pid == 0) {
		return false;
	}
	kill(-companion->pid, SIGKILL);
	*status_out = reap(companion);
	return true;
}

void companion_end(struct companion *companion)
{
	if (companion->pid > 0) {
		kill(-companion->pid, SIGKILL);
		reap(companion);
	}
}
