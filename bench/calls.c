/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include <errno.h>
#include <fcntl.h>
#include <glib.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "calls.h"
#include "samples.h"

#define ATTACH_LIMIT_NS INT64_C(5000000000)
#define SETTLE_US 200000

static bool is_traced(const pid_t *pids)
{
	for (; *pids != 0; pids++) {
		g_autofree char *path = g_strdup_printf("/proc/%d/task", (int)*pids);
		GDir *tasks = g_dir_open(path, 0, NULL);
		const char *task;
		bool is_untraced = false;

		while (tasks != NULL && (task = g_dir_read_name(tasks)) != NULL) {
			g_autofree char *file = g_build_filename(path, task, "status", NULL);
			g_autofree char *text = NULL;

			is_untraced |= g_file_get_contents(file, &text, NULL, NULL) &&
				       strstr(text, "TracerPid:\t0\n") != NULL;
		}
		g_clear_pointer(&tasks, g_dir_close);
		if (is_untraced) {
			return false;
		}
	}
	return true;
}

void calls_begin(struct calls *calls, const struct process *process)
{
	g_autofree pid_t *pids = process_all(process);
	g_autoptr(GPtrArray) argv = g_ptr_array_new_with_free_func(g_free);
	int fd = g_file_open_tmp("bench-strace-XXXXXX", &calls->path, NULL);

	close(fd);
	for (const char *const *arg = (const char *const[]){"strace", "-f", "-c", "-U",
							    "calls,name", "-o", calls->path, NULL};
	     *arg != NULL; arg++) {
		g_ptr_array_add(argv, g_strdup(*arg));
	}
	for (const pid_t *pid = pids; *pid != 0; pid++) {
		g_ptr_array_add(argv, g_strdup_printf("-p%d", (int)*pid));
	}
	g_ptr_array_add(argv, NULL);
	calls->strace_pid = fork();
	if (calls->strace_pid == 0) {
		int null = open("/dev/null", O_WRONLY | O_CLOEXEC);
		prctl(PR_SET_PDEATHSIG, SIGINT);
		dup2(null, STDOUT_FILENO);
		dup2(null, STDERR_FILENO);
		execvp("strace", (char **)argv->pdata);
		_exit(127);
	}
	int64_t deadline_ns = now_ns() + ATTACH_LIMIT_NS;
	while (!is_traced(pids)) {
		if (waitpid(calls->strace_pid, NULL, WNOHANG) != 0 || now_ns() > deadline_ns) {
			g_error("strace can't attach to the back-end");
		}
		g_usleep(1000);
	}
	/* The calls that attaching has interrupted are begun anew, and counted: not ours. */
	g_usleep(SETTLE_US);
}

static bool parse(const char *line, uint64_t *count_out, char **name_out)
{
	char *end;

	*count_out = g_ascii_strtoull(line, &end, 10);
	*name_out = g_strstrip(end);
	return end != line && **name_out != '\0';
}

void calls_end(struct calls *calls, uint64_t n)
{
	g_autofree char *text = NULL;

	kill(calls->strace_pid, SIGINT);
	waitpid(calls->strace_pid, NULL, 0);
	if (!g_file_get_contents(calls->path, &text, NULL, NULL)) {
		g_error("strace left no numbers");
	}
	unlink(calls->path);
	g_free(calls->path);
	g_auto(GStrv) lines = g_strsplit(text, "\n", -1);
	for (char **line = lines; *line != NULL; line++) {
		uint64_t count;
		char *name;

		if (parse(*line, &count, &name)) {
			g_autofree char *label = g_strdup_printf("calls_%s", name);
			result(label, (double)count / (double)n);
		}
	}
}
