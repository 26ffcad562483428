/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * Standard output and error go to memfds, not pipes: nobody has to read them for the daemon to make
 * progress, and they can be read at any time, from a signal handler too. The child dies with the
 * test process (PR_SET_PDEATHSIG), so that a test that is killed leaves nothing behind; what the
 * daemon itself has started sees its socket close.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "daemon.h"
#include "mock_gfxstream.h"
#include "proctree.h"
#include "suite.h"

#define START_LIMIT_MS 10000
/* It takes less than a second; how much less is not for every test to say, on a loaded machine. */
#define END_LIMIT_MS 15000
#define PASSED_FD 3
#define LAST_WORDS_MS 100
#define FDS_WAIT_MS 5000

static int shown_fd = -1;

/* A failed assertion ends in SIGABRT, g_error() in SIGTRAP: show what the daemon said before the
 * core goes down. */
static void handle_abort(int signal_number)
{
	char buffer[4096];
	off_t offset = 0;
	ssize_t length;

	while ((length = pread(shown_fd, buffer, sizeof(buffer), offset)) > 0) {
		if (write(STDERR_FILENO, buffer, (size_t)length) < 0) {
			break;
		}
		offset += length;
	}
	signal(signal_number, SIG_DFL);
	raise(signal_number);
}

static const char *binary_path(void)
{
	const char *path = g_getenv("VHOST_DEVICE_GPU");

	if (!path) {
		g_error("VHOST_DEVICE_GPU must name the binary under test");
	}
	return path;
}

static char *read_all(int fd)
{
	GString *text = g_string_new(NULL);
	char buffer[4096];
	ssize_t length;

	while ((length = pread(fd, buffer, sizeof(buffer), (off_t)text->len)) > 0) {
		g_string_append_len(text, buffer, length);
	}
	return g_string_free(text, FALSE);
}

static char **expand_args(const struct daemon *daemon, const char *const *args)
{
	const char *wrapper = g_getenv("TEST_DAEMON_WRAPPER");
	g_auto(GStrv) words = g_strsplit(wrapper ? wrapper : "", " ", -1);
	const char *arguments = g_getenv("TEST_DAEMON_ARGUMENTS");
	g_auto(GStrv) more = g_strsplit(arguments ? arguments : "", " ", -1);
	GPtrArray *argv = g_ptr_array_new();

	for (char **word = words; *word; word++) {
		g_ptr_array_add(argv, g_strdup(*word));
	}
	g_ptr_array_add(argv, g_strdup(binary_path()));
	for (; args && *args; args++) {
		GString *arg = g_string_new(*args);
		g_string_replace(arg, "@SOCKET@", daemon->socket_path, 0);
		g_ptr_array_add(argv, g_string_free(arg, FALSE));
	}
	for (char **word = more; *word && **word; word++) {
		g_ptr_array_add(argv, g_strdup(*word));
	}
	g_ptr_array_add(argv, NULL);
	return (char **)g_ptr_array_free(argv, FALSE);
}

static void exec_child(const struct daemon *daemon, char **argv, const char *const *env, int fd)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	signal(SIGABRT, SIG_DFL);
	signal(SIGTRAP, SIG_DFL);
	signal(SIGPIPE, SIG_DFL);
	for (; env && *env; env++) {
		char **pair = g_strsplit(*env, "=", 2);
		setenv(pair[0], pair[1], 1);
		g_strfreev(pair);
	}
	dup2(daemon->stdout_fd, STDOUT_FILENO);
	dup2(daemon->stderr_fd, STDERR_FILENO);
	if (fd == PASSED_FD) {
		fcntl(fd, F_SETFD, 0);
	} else if (fd >= 0) {
		dup2(fd, PASSED_FD);
	}
	execvp(argv[0], argv);
	dprintf(STDERR_FILENO, "%s: %s\n", argv[0], g_strerror(errno));
	_exit(127);
}

/* Its folder and its files, and no process yet. */
static struct daemon *create(void)
{
	struct daemon *daemon = g_new0(struct daemon, 1);

	daemon->dir = g_dir_make_tmp("proto-XXXXXX", NULL);
	g_assert_nonnull(daemon->dir);
	daemon->socket_path = g_build_filename(daemon->dir, "gpu.sock", NULL);
	daemon->stdout_fd = memfd_create("daemon-stdout", MFD_CLOEXEC);
	daemon->stderr_fd = memfd_create("daemon-stderr", MFD_CLOEXEC);
	g_assert_no_errno(daemon->stderr_fd);
	return daemon;
}

static void start(struct daemon *daemon, char **argv, const char *const *env, int passed_fd_dup)
{
	daemon->pid = fork();
	g_assert_no_errno(daemon->pid);
	if (daemon->pid == 0) {
		exec_child(daemon, argv, env, passed_fd_dup);
	}
	shown_fd = daemon->stderr_fd;
	signal(SIGABRT, handle_abort);
	signal(SIGTRAP, handle_abort);
}

struct daemon *daemon_spawn(const char *const *args, const char *const *env, int passed_fd_dup)
{
	struct daemon *daemon = create();
	g_auto(GStrv) argv = expand_args(daemon, args);

	start(daemon, argv, env, passed_fd_dup);
	return daemon;
}

struct daemon *daemon_start_foreign(const char *command)
{
	struct daemon *daemon = create();
	g_autoptr(GString) line = g_string_new(command);
	g_auto(GStrv) argv = NULL;

	if (g_string_replace(line, "@SOCK@", daemon->socket_path, 0) == 0 ||
	    !g_shell_parse_argv(line->str, NULL, &argv, NULL)) {
		g_error("'%s' is no command with @SOCK@ in it", command);
	}
	daemon->is_foreign = true;
	start(daemon, argv, NULL, -1);
	return daemon;
}

struct daemon *daemon_start(const char *mode, const char *const *more_args)
{
	g_autoptr(GPtrArray) args = g_ptr_array_new();

	g_ptr_array_add(args, (char *)"--socket-path");
	g_ptr_array_add(args, (char *)"@SOCKET@");
	if (mode) {
		g_ptr_array_add(args, (char *)"--gpu-mode");
		g_ptr_array_add(args, (char *)mode);
	}
	g_autofree char *library =
		g_strcmp0(mode, "gfxstream") == 0 ? mock_gfxstream_path() : NULL;
	if (library) {
		g_ptr_array_add(args, (char *)"--gfxstream-library");
		g_ptr_array_add(args, library);
	}
	for (; more_args && *more_args; more_args++) {
		g_ptr_array_add(args, (char *)*more_args);
	}
	g_ptr_array_add(args, NULL);
	return daemon_spawn((const char *const *)args->pdata, NULL, -1);
}

static bool has_exited(void *data)
{
	struct daemon *daemon = data;

	if (!daemon->is_reaped) {
		daemon->is_reaped =
			waitpid(daemon->pid, &daemon->wait_status, WNOHANG) == daemon->pid;
	}
	return daemon->is_reaped;
}

bool daemon_is_running(struct daemon *daemon)
{
	return !has_exited(daemon);
}

int daemon_wait_exit(struct daemon *daemon, int milliseconds)
{
	if (!suite_wait(has_exited, daemon, milliseconds)) {
		g_error("the daemon still runs after %d ms", suite_timeout_ms(milliseconds));
	}
	if (WIFSIGNALED(daemon->wait_status)) {
		g_error("the daemon died of signal %d", WTERMSIG(daemon->wait_status));
	}
	return WEXITSTATUS(daemon->wait_status);
}

char *daemon_stderr(const struct daemon *daemon)
{
	return read_all(daemon->stderr_fd);
}

char *daemon_stdout(const struct daemon *daemon)
{
	return read_all(daemon->stdout_fd);
}

void daemon_assert_healthy(struct daemon *daemon)
{
	/* "==    at 0x" are the first words of a stack of valgrind's. */
	static const char *const signs[] = {"AddressSanitizer", "LeakSanitizer",
					    "ThreadSanitizer",	"==    at 0x",
					    "runtime error:",	"Assertion",
					    "assertion",	"died of signal"};
	g_autofree char *text = daemon_stderr(daemon);

	/* The last one is what the daemon says of processes that it has lost. */
	for (size_t i = 0; i < G_N_ELEMENTS(signs) - daemon->may_lose_processes; i++) {
		if (strstr(text, signs[i])) {
			g_error("the daemon reports \"%s\"", signs[i]);
		}
	}
}

static void remove_dir(const char *path)
{
	GDir *dir = g_dir_open(path, 0, NULL);
	const char *name;

	while (dir && (name = g_dir_read_name(dir))) {
		g_autofree char *file = g_build_filename(path, name, NULL);
		unlink(file);
	}
	g_clear_pointer(&dir, g_dir_close);
	rmdir(path);
}

static bool has_no_children(void *data)
{
	return daemon_count_children(data) == 0;
}

static void end_well(struct daemon *daemon)
{
	if (!has_exited(daemon)) {
		/* What served a front-end that has hung up may be at its leak check, which the
		 * daemon's end would cut short. */
		suite_wait(has_no_children, daemon, LAST_WORDS_MS);
		g_assert_no_errno(kill(daemon->pid, SIGTERM));
		g_assert_cmpint(daemon_wait_exit(daemon, END_LIMIT_MS), ==, 0);
	}
	daemon_assert_healthy(daemon);
}

static void kill_foreign(struct daemon *daemon)
{
	if (!has_exited(daemon)) {
		proctree_kill(daemon->pid);
		suite_wait(has_exited, daemon, 2000);
	}
}

void daemon_destroy(struct daemon *daemon)
{
	if (!daemon) {
		return;
	}
	if (daemon->is_foreign) {
		kill_foreign(daemon);
	} else {
		end_well(daemon);
	}
	remove_dir(daemon->dir);
	close(daemon->stderr_fd);
	close(daemon->stdout_fd);
	shown_fd = -1;
	g_free(daemon->dir);
	g_free(daemon->socket_path);
	g_free(daemon);
}

struct connecting {
	struct daemon *daemon;
	int fd;
};

static bool is_connected_or_dead(void *data)
{
	struct connecting *connecting = data;
	struct sockaddr_un address = {.sun_family = AF_UNIX};

	g_assert_cmpuint(g_strlcpy(address.sun_path, connecting->daemon->socket_path,
				   sizeof(address.sun_path)),
			 <, sizeof(address.sun_path));
	return connect(connecting->fd, (struct sockaddr *)&address, sizeof(address)) == 0 ||
	       has_exited(connecting->daemon);
}

static int try_connect(struct daemon *daemon)
{
	struct connecting connecting = {daemon, socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)};

	g_assert_no_errno(connecting.fd);
	if (!suite_wait(is_connected_or_dead, &connecting, START_LIMIT_MS)) {
		g_error("no socket to connect to after %d ms", suite_timeout_ms(START_LIMIT_MS));
	}
	if (has_exited(daemon)) {
		close(connecting.fd);
		return -1;
	}
	return connecting.fd;
}

int daemon_connect(struct daemon *daemon)
{
	int fd = try_connect(daemon);

	if (fd < 0) {
		g_error("the daemon ended with wait status 0x%x before it could be connected to",
			(unsigned int)daemon->wait_status);
	}
	return fd;
}

int daemon_connect_or_skip(struct daemon *daemon)
{
	int fd = try_connect(daemon);

	if (fd < 0) {
		g_autofree char *text = daemon_stderr(daemon);
		g_assert_cmpint(daemon_wait_exit(daemon, 0), ==, 1);
		if (strstr(text, "EGL")) {
			daemon_destroy(daemon);
			suite_skip("the host lacks EGL for virglrenderer: %s", g_strstrip(text));
		}
		g_error("the daemon ended with 1 and did not say that EGL is missing, but: %s",
			g_strstrip(text));
	}
	return fd;
}

GArray *daemon_children(pid_t pid)
{
	GArray *children = g_array_new(FALSE, FALSE, sizeof(pid_t));
	g_autofree char *path = g_strdup_printf("/proc/%d/task", pid);
	GDir *tasks = g_dir_open(path, 0, NULL);
	const char *task;

	while (tasks && (task = g_dir_read_name(tasks))) {
		g_autofree char *file = g_build_filename(path, task, "children", NULL);
		g_autofree char *text = NULL;
		if (!g_file_get_contents(file, &text, NULL, NULL)) {
			continue;
		}
		g_auto(GStrv) pids = g_strsplit(g_strstrip(text), " ", -1);
		for (char **word = pids; *word; word++) {
			pid_t child = atoi(*word);
			if (child > 0) {
				g_array_append_val(children, child);
			}
		}
	}
	g_clear_pointer(&tasks, g_dir_close);
	return children;
}

struct wanted_process {
	const char *name;
	pid_t pid;
};

static void find_name(pid_t pid, void *data)
{
	struct wanted_process *wanted = data;
	g_autofree char *path = g_strdup_printf("/proc/%d/comm", pid);
	g_autofree char *name = NULL;

	if (g_file_get_contents(path, &name, NULL, NULL) &&
	    strcmp(g_strchomp(name), wanted->name) == 0) {
		wanted->pid = pid;
	}
}

pid_t daemon_find_process(const struct daemon *daemon, const char *name)
{
	struct wanted_process wanted = {.name = name};

	proctree_each(daemon->pid, find_name, &wanted);
	return wanted.pid;
}

unsigned int daemon_count_fds(const struct daemon *daemon)
{
	return proctree_count_fds(daemon->pid);
}

struct expected_fds {
	const struct daemon *daemon;
	unsigned int n;
};

static bool has_no_more_fds(void *data)
{
	const struct expected_fds *expected = data;

	return daemon_count_fds(expected->daemon) <= expected->n;
}

bool daemon_wait_fds(const struct daemon *daemon, unsigned int n_at_most)
{
	struct expected_fds expected = {daemon, n_at_most};

	return suite_wait(has_no_more_fds, &expected, FDS_WAIT_MS);
}

unsigned int daemon_count_mappings(const struct daemon *daemon)
{
	unsigned int n = 0;

	proctree_each(daemon->pid, proctree_add_mappings, &n);
	return n;
}

unsigned int daemon_count_children(const struct daemon *daemon)
{
	return proctree_count(daemon->pid) - 1;
}

uint64_t daemon_rss_bytes(const struct daemon *daemon)
{
	struct proctree_memory memory = {0};

	proctree_add_memory(daemon->pid, &memory);
	g_assert_cmpuint(memory.rss_bytes, >, 0);
	return memory.rss_bytes;
}

uint64_t daemon_held_bytes(const struct daemon *daemon)
{
	uint64_t sum = 0;

	proctree_each(daemon->pid, proctree_add_held, &sum);
	return sum;
}
