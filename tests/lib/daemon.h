/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * The program under test as a child process: started, connected to, watched, ended.
 *
 * VHOST_DEVICE_GPU names the binary; TEST_DAEMON_WRAPPER may hold words to put in front of it
 * ("valgrind -q"), and TEST_DAEMON_ARGUMENTS some to put behind. What it says on standard error is kept and shown when a test fails.
 */
#ifndef TESTS_LIB_DAEMON_H
#define TESTS_LIB_DAEMON_H

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct daemon {
	pid_t pid;
	int stderr_fd;	   /* a memfd that holds all of the standard error */
	int stdout_fd;	   /* the same for the standard output */
	char *dir;	   /* a folder of its own, removed by daemon_destroy() */
	char *socket_path; /* in dir; exists only if the arguments asked for it */
	bool is_reaped;
	int wait_status;
	bool may_lose_processes; /* the test kills what the daemon has started */
	bool is_foreign; /* another back-end, for comparison: how it ends is judged by the caller */
};

/*
 * Starts the binary with exactly @args (NULL-terminated; "@SOCKET@" in one stands for socket_path).
 * @env holds NAME=VALUE or NULL. @passed_fd_dup, if not -1, is fd 3 of the child.
 */
struct daemon *daemon_spawn(const char *const *args, const char *const *env, int passed_fd_dup);

/*
 * --socket-path in its own folder, --gpu-mode @mode (NULL: none), the library that mode needs if it
 * is none of the host's, then @more_args (NULL: none).
 */
struct daemon *daemon_start(const char *mode, const char *const *more_args);

/* Any back-end: a command line with @SOCK@ where the path of its socket belongs. */
struct daemon *daemon_start_foreign(const char *command);

/* SIGTERM if it still runs; asserts that it then ends with status 0.
 * A foreign one is killed, and nothing asserted. daemon_destroy(NULL) is fine. */
void daemon_destroy(struct daemon *daemon);

/* Connects as a front-end, retrying until the socket is there. Asserts that the daemon has not
 * ended meanwhile. */
int daemon_connect(struct daemon *daemon);
/* As above, but skips the test if the daemon ended because the host has no EGL for virglrenderer.
 */
int daemon_connect_or_skip(struct daemon *daemon);

/* Waits for the end and returns the exit status; a death by signal fails the test. */
int daemon_wait_exit(struct daemon *daemon, int milliseconds);
bool daemon_is_running(struct daemon *daemon);
/* Asserts that neither the process nor one that it started has died or reported a sanitizer error.
 */
void daemon_assert_healthy(struct daemon *daemon);

char *daemon_stderr(const struct daemon *daemon);
char *daemon_stdout(const struct daemon *daemon);
/* The one below the daemon that is called @name (its comm), or 0. */
pid_t daemon_find_process(const struct daemon *daemon, const char *name);
/* Over the daemon and all its descendants. */
unsigned int daemon_count_fds(const struct daemon *daemon);
/* True as soon as they are no more: one on its way between two processes is with both for a moment. */
bool daemon_wait_fds(const struct daemon *daemon, unsigned int n_at_most);
unsigned int daemon_count_mappings(const struct daemon *daemon);
unsigned int daemon_count_children(const struct daemon *daemon);
/* Of the listening process alone. */
uint64_t daemon_rss_bytes(const struct daemon *daemon);
/* The processes that @pid has started itself; free with g_array_unref(). */
GArray *daemon_children(pid_t pid);
/* Over the daemon and all its descendants: memory of their own making. Neither files nor guest
 * memory. */
uint64_t daemon_held_bytes(const struct daemon *daemon);

#endif
