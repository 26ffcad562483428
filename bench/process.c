/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include <errno.h>
#include <fcntl.h>
#include <glib.h>
#include <glib/gstdio.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "place.h"
#include "process.h"

#define NS_PER_S INT64_C(1000000000)
#define CONNECT_LIMIT_NS (20 * NS_PER_S)
#define END_LIMIT_NS (2 * NS_PER_S)
#define RETRY_US 50

int64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * NS_PER_S + now.tv_nsec;
}

static void exec_child(char **argv, pid_t parent)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent) {
		_exit(127);
	}
	place_backend();
	/* What a back-end says goes to the log of the bench, unless somebody looks. */
	if (g_getenv("BENCH_VERBOSE") == NULL) {
		int null = open("/dev/null", O_WRONLY | O_CLOEXEC);
		dup2(null, STDOUT_FILENO);
		dup2(null, STDERR_FILENO);
	} else {
		dup2(STDERR_FILENO, STDOUT_FILENO);
	}
	execvp(argv[0], argv);
	_exit(127);
}

struct process *process_adopt(pid_t pid)
{
	struct process *process = g_new0(struct process, 1);

	process->pid = pid;
	process->started_ns = now_ns();
	return process;
}

struct process *process_start(const char *command)
{
	g_autofree char *dir = g_dir_make_tmp("bench-XXXXXX", NULL);
	g_autoptr(GString) line = g_string_new(command);
	g_auto(GStrv) argv = NULL;
	pid_t parent = getpid();

	if (dir == NULL) {
		g_error("no folder for a socket: %s", g_strerror(errno));
	}
	g_autofree char *socket_path = g_build_filename(dir, "gpu.sock", NULL);
	if (g_string_replace(line, "@SOCK@", socket_path, 0) == 0) {
		g_error("'%s' has no @SOCK@ where the path of the socket belongs", command);
	}
	if (!g_shell_parse_argv(line->str, NULL, &argv, NULL)) {
		g_error("'%s' is no command", command);
	}
	int64_t started_ns = now_ns();
	pid_t pid = fork();
	if (pid == 0) {
		exec_child(argv, parent);
	}
	struct process *process = process_adopt(pid);
	process->started_ns = started_ns;
	process->dir = g_steal_pointer(&dir);
	process->socket_path = g_steal_pointer(&socket_path);
	return process;
}

int process_connect(struct process *process)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int64_t deadline_ns = now_ns() + CONNECT_LIMIT_NS;
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	g_strlcpy(address.sun_path, process->socket_path, sizeof(address.sun_path));
	while (connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0) {
		if (waitpid(process->pid, NULL, WNOHANG) == process->pid) {
			g_error("the back-end ended before it listened (BENCH_VERBOSE=1 shows what "
				"it says)");
		}
		if (now_ns() > deadline_ns) {
			g_error("the back-end does not listen on %s", process->socket_path);
		}
		g_usleep(RETRY_US);
	}
	return fd;
}

void process_destroy(struct process *process)
{
	if (process == NULL) {
		return;
	}
	int64_t deadline_ns = now_ns() + END_LIMIT_NS;
	kill(process->pid, SIGTERM);
	while (waitpid(process->pid, NULL, WNOHANG) == 0) {
		if (now_ns() > deadline_ns) {
			kill(process->pid, SIGKILL);
			waitpid(process->pid, NULL, 0);
			break;
		}
		g_usleep(1000);
	}
	if (process->socket_path != NULL) {
		unlink(process->socket_path);
		rmdir(process->dir);
	}
	g_free(process->socket_path);
	g_free(process->dir);
	g_free(process);
}

typedef void (*visit_fn)(pid_t pid, void *data);

static void visit_all(pid_t pid, visit_fn visit, void *data)
{
	g_autofree char *path = g_strdup_printf("/proc/%d/task", (int)pid);
	GDir *tasks = g_dir_open(path, 0, NULL);
	const char *task;

	visit(pid, data);
	while (tasks != NULL && (task = g_dir_read_name(tasks)) != NULL) {
		g_autofree char *file = g_build_filename(path, task, "children", NULL);
		g_autofree char *text = NULL;

		if (!g_file_get_contents(file, &text, NULL, NULL)) {
			continue;
		}
		g_auto(GStrv) children = g_strsplit(g_strstrip(text), " ", -1);
		for (char **child = children; *child != NULL; child++) {
			if (**child != '\0') {
				visit_all(atoi(*child), visit, data);
			}
		}
	}
	g_clear_pointer(&tasks, g_dir_close);
}

/* The number behind "name:" in a file of /proc; 0 if there is none. */
static uint64_t find_number(const char *text, const char *name)
{
	const char *at = strstr(text, name);

	return at != NULL ? g_ascii_strtoull(at + strlen(name), NULL, 10) : 0;
}

static void add_tasks(struct usage *usage, pid_t pid)
{
	g_autofree char *path = g_strdup_printf("/proc/%d/task", (int)pid);
	GDir *tasks = g_dir_open(path, 0, NULL);
	const char *task;

	while (tasks != NULL && (task = g_dir_read_name(tasks)) != NULL) {
		g_autofree char *file = g_build_filename(path, task, "status", NULL);
		g_autofree char *text = NULL;

		if (g_file_get_contents(file, &text, NULL, NULL)) {
			usage->n_threads += 1;
			usage->n_wakeups += find_number(text, "\nvoluntary_ctxt_switches:");
		}
	}
	g_clear_pointer(&tasks, g_dir_close);
}

static void add_cpu(pid_t pid, void *data)
{
	struct usage *usage = data;
	struct timespec cpu;
	clockid_t clock;

	usage->n_processes += 1;
	if (clock_getcpuclockid(pid, &clock) == 0 && clock_gettime(clock, &cpu) == 0) {
		usage->cpu_ns += (int64_t)cpu.tv_sec * NS_PER_S + cpu.tv_nsec;
	}
	add_tasks(usage, pid);
}

static void add_memory(pid_t pid, void *data)
{
	struct usage *usage = data;
	g_autofree char *path = g_strdup_printf("/proc/%d/smaps_rollup", (int)pid);
	g_autofree char *text = NULL;

	if (g_file_get_contents(path, &text, NULL, NULL)) {
		usage->rss_bytes += find_number(text, "\nRss:") * 1024;
		usage->pss_bytes += find_number(text, "\nPss:") * 1024;
	}
}

struct usage process_cpu(const struct process *process)
{
	struct usage usage = {0};

	visit_all(process->pid, add_cpu, &usage);
	return usage;
}

struct usage process_usage(const struct process *process)
{
	struct usage usage = process_cpu(process);

	visit_all(process->pid, add_memory, &usage);
	return usage;
}

static void add_pid(pid_t pid, void *data)
{
	GArray *pids = data;

	g_array_append_val(pids, pid);
}

pid_t *process_all(const struct process *process)
{
	GArray *pids = g_array_new(TRUE, FALSE, sizeof(pid_t));

	visit_all(process->pid, add_pid, pids);
	return (pid_t *)(void *)g_array_free(pids, FALSE);
}
