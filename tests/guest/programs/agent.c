// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
/*
 * The guest's process 1: runs shell commands for the host.
 *
 * The host writes "ID TIMEOUT_S LENGTH\n" and LENGTH bytes of shell script to
 * the virtio-serial port named vdg.agent; the answer is "ID STATUS LENGTH\n"
 * and LENGTH bytes of what the script wrote to stdout and stderr. STATUS is
 * that of the shell, 128 + signal, or 124 when its time was up.
 *
 * Scripts run side by side, so that a heartbeat is answered while something
 * long is going on. A script ends with its shell: what it left running in the
 * background keeps running and its later output is lost.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define MAX_JOBS 16
#define MAX_SCRIPT (1u << 20)
#define MAX_OUTPUT (4u << 20)
#define PORT_NAME "vdg.agent"

struct job {
	long id;
	pid_t pid;		/* 0: free */
	int fd;
	char *out;
	size_t out_len;
	long long deadline_ms;
	bool timed_out;
};

static struct job jobs[MAX_JOBS];
static int port = -1;

static void say(const char *text)
{
	int fd = open("/dev/console", O_WRONLY | O_NOCTTY | O_CLOEXEC);

	if (fd >= 0) {
		dprintf(fd, "agent: %s\n", text);
		close(fd);
	}
}

static long long now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000LL + ts.tv_nsec / 1000000;
}

static int open_port(void)
{
	for (int attempt = 0; attempt < 600; attempt++, usleep(50000)) {
		DIR *dir = opendir("/sys/class/virtio-ports");
		struct dirent *e;

		while (dir && (e = readdir(dir))) {
			char path[300], name[64] = "";
			FILE *f;

			snprintf(path, sizeof(path),
				 "/sys/class/virtio-ports/%s/name", e->d_name);
			f = e->d_name[0] == '.' ? NULL : fopen(path, "re");
			if (!f) {
				continue;
			}
			if (fgets(name, sizeof(name), f) &&
			    !strncmp(name, PORT_NAME, strlen(PORT_NAME))) {
				fclose(f);
				snprintf(path, sizeof(path), "/dev/%s",
					 e->d_name);
				closedir(dir);
				return open(path, O_RDWR | O_CLOEXEC);
			}
			fclose(f);
		}
		if (dir) {
			closedir(dir);
		}
	}
	return -1;
}

static void write_all(const char *data, size_t len)
{
	while (len > 0) {
		ssize_t n = write(port, data, len);

		if (n < 0 && (errno == EINTR || errno == EAGAIN)) {
			usleep(1000);
			continue;
		}
		if (n <= 0) {
			say("cannot write to the port");
			return;
		}
		data += n;
		len -= (size_t)n;
	}
}

static void read_all(char *data, size_t len)
{
	while (len > 0) {
		ssize_t n = read(port, data, len);

		if (n <= 0) {
			/* 0: the host has gone away; it may come back. */
			usleep(20000);
			continue;
		}
		data += n;
		len -= (size_t)n;
	}
}

static void answer(long id, int status, const char *out, size_t len)
{
	char head[64];
	int n = snprintf(head, sizeof(head), "%ld %d %zu\n", id, status, len);

	write_all(head, (size_t)n);
	write_all(out, len);
}

static void run_script(const char *script, int out)
{
	int null = open("/dev/null", O_RDONLY);
	sigset_t none;

	setsid();
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	signal(SIGPIPE, SIG_DFL);
	dup2(null, 0);
	dup2(out, 1);
	dup2(out, 2);
	execl("/bin/sh", "sh", "-c", script, NULL);
	perror("/bin/sh");
	_exit(127);
}

static void start_job(long id, long timeout_s, const char *script)
{
	struct job *job = NULL;
	int fds[2];

	for (int i = 0; i < MAX_JOBS && !job; i++) {
		job = jobs[i].pid ? NULL : &jobs[i];
	}
	if (!job || pipe2(fds, O_CLOEXEC) < 0) {
		answer(id, 125, "agent: too many jobs\n", 21);
		return;
	}

	pid_t pid = fork();
	if (pid == 0) {
		run_script(script, fds[1]);
	}
	close(fds[1]);
	if (pid < 0) {
		close(fds[0]);
		answer(id, 125, "agent: cannot fork\n", 19);
		return;
	}
	fcntl(fds[0], F_SETFL, O_NONBLOCK);
	*job = (struct job){
		.id = id,
		.pid = pid,
		.fd = fds[0],
		.deadline_ms = now_ms() + timeout_s * 1000,
	};
}

static void drain_job(struct job *job)
{
	char buf[65536];
	ssize_t n;

	while ((n = read(job->fd, buf, sizeof(buf))) > 0) {
		size_t take = (size_t)n;

		if (take > MAX_OUTPUT - job->out_len) {
			take = MAX_OUTPUT - job->out_len;
		}
		char *grown = realloc(job->out, job->out_len + take + 1);
		if (!grown) {
			continue;
		}
		job->out = grown;
		memcpy(job->out + job->out_len, buf, take);
		job->out_len += take;
	}
}

static void finish_job(struct job *job, int status)
{
	int code = WIFEXITED(status) ? WEXITSTATUS(status)
				     : 128 + WTERMSIG(status);

	drain_job(job);
	close(job->fd);
	answer(job->id, job->timed_out ? 124 : code, job->out, job->out_len);
	free(job->out);
	*job = (struct job){ .fd = -1 };
}

/* Process 1 inherits every orphan: all of them are collected here. */
static void reap(void)
{
	int status;
	pid_t pid;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
		for (int i = 0; i < MAX_JOBS; i++) {
			if (jobs[i].pid == pid) {
				finish_job(&jobs[i], status);
			}
		}
	}
}

static void read_request(void)
{
	char head[64], *script;
	long id, timeout_s, len;
	size_t n = 0;

	do {
		read_all(&head[n], 1);
	} while (head[n] != '\n' && ++n < sizeof(head) - 1);
	head[n] = '\0';
	if (sscanf(head, "%ld %ld %ld", &id, &timeout_s, &len) != 3 ||
	    len < 0 || len > MAX_SCRIPT) {
		say("malformed request");
		return;
	}
	script = malloc((size_t)len + 1);
	if (!script) {
		say("no memory for a request");
		return;
	}
	read_all(script, (size_t)len);
	script[len] = '\0';
	start_job(id, timeout_s, script);
	free(script);
}

static void end_overdue_jobs(void)
{
	long long now = now_ms();

	for (int i = 0; i < MAX_JOBS; i++) {
		if (jobs[i].pid && now >= jobs[i].deadline_ms) {
			jobs[i].timed_out = true;
			kill(-jobs[i].pid, SIGKILL);
			kill(jobs[i].pid, SIGKILL);
		}
	}
}

int main(void)
{
	sigset_t mask;
	int sfd;

	signal(SIGPIPE, SIG_IGN);
	sigemptyset(&mask);
	sigaddset(&mask, SIGCHLD);
	sigprocmask(SIG_BLOCK, &mask, NULL);
	sfd = signalfd(-1, &mask, SFD_CLOEXEC | SFD_NONBLOCK);
	setenv("PATH", "/run/programs:/usr/local/sbin:/usr/local/bin:"
		       "/usr/sbin:/usr/bin:/sbin:/bin", 1);
	setenv("HOME", "/root", 1);
	setenv("LC_ALL", "C.UTF-8", 1);
	setenv("TERM", "linux", 1);
	setenv("XDG_RUNTIME_DIR", "/run", 1);

	port = open_port();
	if (port < 0) {
		say("no virtio-serial port named " PORT_NAME);
		for (;;) {
			pause();
		}
	}
	say("ready");

	for (;;) {
		struct pollfd fds[MAX_JOBS + 2] = {
			{ .fd = port, .events = POLLIN },
			{ .fd = sfd, .events = POLLIN },
		};
		struct signalfd_siginfo info;

		for (int i = 0; i < MAX_JOBS; i++) {
			fds[i + 2].fd = jobs[i].pid ? jobs[i].fd : -1;
			fds[i + 2].events = POLLIN;
		}
		poll(fds, MAX_JOBS + 2, 200);
		for (int i = 0; i < MAX_JOBS; i++) {
			if (jobs[i].pid && fds[i + 2].revents) {
				drain_job(&jobs[i]);
			}
		}
		while (read(sfd, &info, sizeof(info)) > 0) {
			;
		}
		reap();
		end_overdue_jobs();
		if (fds[0].revents & POLLIN) {
			read_request();
		} else if (fds[0].revents) {
			usleep(20000);	/* POLLHUP: no host yet */
		}
	}
}
