/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * A back-end as a child process, whatever program it is: a command line with @SOCK@ in it. What it
 * costs is summed over the process and all that it has started.
 */
#ifndef BENCH_PROCESS_H
#define BENCH_PROCESS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct process {
	pid_t pid;
	char *dir; /* a folder of its own, removed by process_destroy() */
	char *socket_path;
	int64_t started_ns; /* just before it was forked */
};

struct usage {
	int64_t cpu_ns;
	uint64_t n_wakeups; /* voluntary context switches of all threads */
	uint64_t n_processes, n_threads;
	uint64_t rss_bytes, pss_bytes;
};

int64_t now_ns(void);

/* Ends this program if the command can't be run. */
struct process *process_start(const char *command);
/* For a process of ours that is already there, the floor's; nothing to connect to. */
struct process *process_adopt(pid_t pid);
/* Connects to the socket as soon as it listens. Ends this program if the back-end ends first. */
int process_connect(struct process *process);
/* SIGTERM, then SIGKILL after two seconds. process_destroy(NULL) is fine. */
void process_destroy(struct process *process);

struct usage process_usage(const struct process *process);
/* The same without memory, which takes the kernel long to count. */
struct usage process_cpu(const struct process *process);
/* The process and all below it; the array ends with 0 and is to be freed. */
pid_t *process_all(const struct process *process);

#endif
