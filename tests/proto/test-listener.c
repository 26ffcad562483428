/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * Several front-ends at once, each with a process of its own: none of them sees anything of another,
 * neither when all is well nor when a process dies, descriptors or processes run out, or the whole
 * program has to end.
 */
#include <dirent.h>
#include <errno.h>
#include <grp.h>
#include <linux/kcmp.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#include "proto.h"

/* Nothing takes as long on a machine that does nothing else; with 25 at work twenty ends take 3 s. */
#define WAIT_MS 20000

/* No account has it. */
#define USER 65500

static struct daemon *start(const char *max_clients)
{
	const char *args[] = {"--max-clients", max_clients, NULL};

	return daemon_start("null", args);
}

static struct frontend *join(struct daemon *daemon)
{
	struct frontend *frontend = frontend_create(daemon_connect(daemon));

	frontend_handshake(frontend);
	return frontend;
}

/* Connects and asks; whoever is served gets an answer. */
static struct frontend *ask(struct daemon *daemon)
{
	struct frontend *frontend = frontend_create(daemon_connect(daemon));

	g_assert_cmpint(frontend_send(frontend, VHOST_USER_GET_FEATURES, 0, NULL, 0, NULL, 0), ==,
			0);
	return frontend;
}

static void take_answer(struct frontend *frontend)
{
	uint64_t features;

	frontend_receive(frontend, VHOST_USER_GET_FEATURES, &features, sizeof(features));
}

struct expectation {
	const struct daemon *daemon;
	unsigned int n; /* processes, or descriptors */
	const char *words;
};

static bool has_children(void *data)
{
	const struct expectation *expected = data;

	return daemon_count_children(expected->daemon) == expected->n;
}

static void wait_children(const struct daemon *daemon, unsigned int n)
{
	struct expectation expected = {daemon, n, NULL};

	if (!suite_wait(has_children, &expected, WAIT_MS)) {
		g_error("%u processes instead of %u", daemon_count_children(daemon), n);
	}
}

/* It has served somebody and serves nobody. */
static void wait_until_idle(struct daemon *daemon)
{
	frontend_destroy(join(daemon));
	wait_children(daemon, 0);
}

static bool has_said(void *data)
{
	const struct expectation *expected = data;
	g_autofree char *text = daemon_stderr(expected->daemon);

	return strstr(text, expected->words) != NULL;
}

static void wait_words(const struct daemon *daemon, const char *words)
{
	struct expectation expected = {daemon, 0, words};

	if (!suite_wait(has_said, &expected, WAIT_MS)) {
		g_error("the daemon does not say \"%s\"", words);
	}
}

static void test_at_once(const void *data)
{
	struct daemon *daemon = start("3");
	struct frontend *served[3];

	(void)data;
	for (size_t i = 0; i < G_N_ELEMENTS(served); i++) {
		served[i] = join(daemon);
		wait_children(daemon, (unsigned int)i + 1);
	}
	struct frontend *fourth = ask(daemon), *fifth = ask(daemon);
	for (unsigned int i = 0; i < 20; i++) {
		for (size_t j = 0; j < G_N_ELEMENTS(served); j++) {
			frontend_assert_alive(served[j]);
		}
	}
	g_assert_false(frontend_wait_readable(fourth, 0));
	/* In the order in which they came, one for each that goes. */
	frontend_destroy(served[1]);
	take_answer(fourth);
	g_assert_false(frontend_wait_readable(fifth, 0));
	wait_children(daemon, 3);
	frontend_destroy(served[0]);
	take_answer(fifth);
	frontend_assert_alive(served[2]);
	frontend_assert_alive(fourth);
	frontend_destroy(served[2]);
	frontend_destroy(fourth);
	frontend_destroy(fifth);
	wait_children(daemon, 0);
	daemon_destroy(daemon);
}

/* Ends that come together are one signal. */
static void test_all_end_together(const void *data)
{
	struct daemon *daemon = start("20");
	struct frontend *frontends[20];

	(void)data;
	for (unsigned int round = 0; round < 5; round++) {
		for (size_t i = 0; i < G_N_ELEMENTS(frontends); i++) {
			frontends[i] = join(daemon);
		}
		wait_children(daemon, G_N_ELEMENTS(frontends));
		for (size_t i = 0; i < G_N_ELEMENTS(frontends); i++) {
			frontend_destroy(frontends[i]);
		}
		wait_children(daemon, 0);
	}
	daemon_destroy(daemon);
}

/* ---- nothing of one in another ---- */

static GArray *list_fds(pid_t pid)
{
	GArray *fds = g_array_new(FALSE, FALSE, sizeof(int));
	g_autofree char *path = g_strdup_printf("/proc/%d/fd", pid);
	DIR *dir = opendir(path);
	struct dirent *entry;

	g_assert_nonnull(dir);
	while ((entry = readdir(dir))) {
		int fd = atoi(entry->d_name);
		if (g_ascii_isdigit(entry->d_name[0]) && fd > STDERR_FILENO) {
			g_array_append_val(fds, fd);
		}
	}
	closedir(dir);
	return fds;
}

/* Do the two descriptors name one open file? */
static bool is_same_file(pid_t one, int one_fd, pid_t other, int other_fd)
{
	long order = syscall(SYS_kcmp, one, other, KCMP_FILE, one_fd, other_fd);

	if (order < 0 && (errno == ENOSYS || errno == EPERM)) {
		suite_skip("kcmp(2), which compares descriptors of two processes: %s",
			   g_strerror(errno));
	}
	g_assert_no_errno((int)order);
	return order == 0;
}

static bool has_let_go(void *data)
{
	const struct expectation *expected = data;
	g_autoptr(GArray) fds = list_fds(expected->daemon->pid);

	return fds->len == expected->n;
}

static void assert_nothing_shared(pid_t one, pid_t other)
{
	g_autoptr(GArray) one_fds = list_fds(one), other_fds = list_fds(other);

	for (unsigned int i = 0; i < one_fds->len; i++) {
		for (unsigned int j = 0; j < other_fds->len; j++) {
			int one_fd = g_array_index(one_fds, int, i);
			int other_fd = g_array_index(other_fds, int, j);
			if (is_same_file(one, one_fd, other, other_fd)) {
				g_error("fd %d of process %d is fd %d of process %d", one_fd, one,
					other_fd, other);
			}
		}
	}
}

/* It has a connection open for a moment after who serves it has answered. */
static void wait_let_go(const struct daemon *daemon, unsigned int n_fds)
{
	struct expectation expected = {daemon, n_fds, NULL};

	g_assert_true(suite_wait(has_let_go, &expected, WAIT_MS));
}

static void check_nothing_shared(struct daemon *daemon, unsigned int n)
{
	g_autoptr(GPtrArray) frontends =
		g_ptr_array_new_with_free_func((GDestroyNotify)(void (*)(void))frontend_destroy);

	wait_until_idle(daemon);
	g_autoptr(GArray) idle = list_fds(daemon->pid);
	for (unsigned int i = 0; i < n; i++) {
		g_ptr_array_add(frontends, join(daemon));
	}
	wait_children(daemon, n);
	wait_let_go(daemon, idle->len);
	g_autoptr(GArray) pids = daemon_children(daemon->pid);
	g_array_append_val(pids, daemon->pid);
	g_assert_cmpuint(pids->len, ==, n + 1);
	for (unsigned int i = 0; i < pids->len; i++) {
		for (unsigned int j = 0; j < i; j++) {
			assert_nothing_shared(g_array_index(pids, pid_t, i),
					      g_array_index(pids, pid_t, j));
		}
	}
}

static void test_no_shared_files(const void *data)
{
	struct daemon *daemon = start("4");

	(void)data;
	check_nothing_shared(daemon, 4);
	daemon_destroy(daemon);
}

/* What its starter left open is no way from one to another either. */
static void test_no_inherited_files(const void *data)
{
	static const char *const args[] = {"-s",	    "@SOCKET@", "-g", "null",
					   "--max-clients", "3",	NULL};
	int fds[2];

	(void)data;
	g_assert_no_errno(socketpair(AF_UNIX, SOCK_STREAM, 0, fds));
	struct daemon *daemon = daemon_spawn(args, NULL, -1);
	close(fds[0]);
	close(fds[1]);
	check_nothing_shared(daemon, 3);
	daemon_destroy(daemon);
}

/* ---- the end of one ---- */

/* Joins, and says which process it got. */
static struct frontend *join_process(struct daemon *daemon, pid_t *pid_out)
{
	g_autoptr(GArray) before = daemon_children(daemon->pid);
	struct frontend *frontend = join(daemon);
	g_autoptr(GArray) after = daemon_children(daemon->pid);

	g_assert_cmpuint(after->len, ==, before->len + 1);
	for (unsigned int i = 0; i < after->len; i++) {
		pid_t pid = g_array_index(after, pid_t, i);
		bool is_new = true;
		for (unsigned int j = 0; j < before->len; j++) {
			is_new = is_new && g_array_index(before, pid_t, j) != pid;
		}
		if (is_new) {
			*pid_out = pid;
		}
	}
	return frontend;
}

static void assert_draws(struct rig *rig, uint32_t id)
{
	g_autofree uint32_t *pixels = rig_make_pattern(64, 64, id);

	rig_show_resource(rig, id, 0, 64, 64, pixels);
	display_wait_pixels(rig->display, 0, pixels, 64, 64);
}

/* A machine draws while processes of others die beside it. */
static void test_death(const void *mode)
{
	static const char *const args[] = {"--max-clients", "3", NULL};
	static const int signals[] = {SIGKILL, SIGSEGV, SIGABRT, SIGBUS, SIGTERM};
	struct rig *rig = rig_create(&(struct rig_options){
		.mode = ((const struct proto_mode *)mode)->name, .args = args});
	struct frontend *other = join(rig->daemon);

	rig->daemon->may_lose_processes = true;
	for (size_t i = 0; i < G_N_ELEMENTS(signals); i++) {
		pid_t pid = 0;
		struct frontend *victim = join_process(rig->daemon, &pid);
		g_assert_no_errno(kill(pid, signals[i]));
		g_assert_true(frontend_wait_closed(victim, 3000));
		frontend_destroy(victim);
		assert_draws(rig, (uint32_t)i + 1);
		frontend_assert_alive(other);
		if (signals[i] != SIGTERM) {
			g_autofree char *words =
				g_strdup_printf("process %d, which served a front-end, died of "
						"signal %d",
						pid, signals[i]);
			wait_words(rig->daemon, words);
		}
	}
	frontend_destroy(other);
	rig_destroy(rig);
}

/* Of one that breaks the protocol, the others hear nothing. */
static void test_violation(const void *data)
{
	struct daemon *daemon = start("2");
	struct frontend *good = join(daemon);
	const struct vhost_user_header header = {VHOST_USER_GET_FEATURES, 0, 0};

	(void)data;
	for (unsigned int i = 0; i < 10; i++) {
		struct frontend *bad = join(daemon);
		frontend_send_bytes(bad, &header, sizeof(header), NULL, 0);
		g_assert_true(frontend_wait_closed(bad, 3000));
		frontend_destroy(bad);
		frontend_assert_alive(good);
	}
	frontend_destroy(good);
	daemon_destroy(daemon);
}

/* ---- the end of all ---- */

static void check_signal(int signal_number, bool has_stuck)
{
	struct daemon *daemon = start("5");
	struct frontend *frontends[5];
	pid_t pids[5] = {0};

	for (size_t i = 0; i < G_N_ELEMENTS(frontends); i++) {
		frontends[i] = join_process(daemon, &pids[i]);
	}
	/* Two that hear no SIGTERM. */
	if (has_stuck) {
		g_assert_no_errno(kill(pids[1], SIGSTOP));
		g_assert_no_errno(kill(pids[3], SIGSTOP));
	}
	g_assert_no_errno(kill(daemon->pid, signal_number));
	g_assert_cmpint(daemon_wait_exit(daemon, WAIT_MS), ==, 0);
	for (size_t i = 0; i < G_N_ELEMENTS(frontends); i++) {
		g_assert_cmpint(kill(pids[i], 0), ==, -1);
		g_assert_true(frontend_wait_closed(frontends[i], 0));
		frontend_destroy(frontends[i]);
	}
	g_assert_false(g_file_test(daemon->socket_path, G_FILE_TEST_EXISTS));
	daemon_destroy(daemon);
}

static void test_signals(const void *data)
{
	(void)data;
	check_signal(SIGTERM, false);
	check_signal(SIGINT, false);
}

static void test_signal_and_stuck(const void *data)
{
	(void)data;
	check_signal(SIGTERM, true);
}

/* The listener itself is killed: nobody is left to hold a machine's memory. */
static void test_listener_killed(const void *data)
{
	struct daemon *daemon = start("3");
	struct frontend *frontends[3];

	(void)data;
	for (size_t i = 0; i < G_N_ELEMENTS(frontends); i++) {
		frontends[i] = join(daemon);
	}
	g_assert_no_errno(kill(daemon->pid, SIGKILL));
	for (size_t i = 0; i < G_N_ELEMENTS(frontends); i++) {
		g_assert_true(frontend_wait_closed(frontends[i], WAIT_MS));
		frontend_destroy(frontends[i]);
	}
	while (daemon_is_running(daemon)) {
		g_usleep(1000);
	}
	unlink(daemon->socket_path);
	daemon_destroy(daemon);
}

/* ---- what a host may lack ---- */

static int lowest_free_fd(pid_t pid)
{
	for (int fd = 0;; fd++) {
		g_autofree char *path = g_strdup_printf("/proc/%d/fd/%d", pid, fd);
		struct stat info;
		if (lstat(path, &info) < 0) {
			return fd;
		}
	}
}

static struct rlimit lower_limit(pid_t pid, __rlimit_resource_t resource, rlim_t value)
{
	struct rlimit old;

	g_assert_no_errno(prlimit(pid, resource, NULL, &old));
	const struct rlimit lower = {value, old.rlim_max};
	g_assert_no_errno(prlimit(pid, resource, &lower, NULL));
	return old;
}

/* While @limit is in force the others go on; a front-end that comes then waits, and is served. */
static void check_short(struct daemon *daemon, __rlimit_resource_t resource, rlim_t value,
			const char *words)
{
	struct frontend *first = join(daemon);

	for (unsigned int i = 0; i < 3; i++) {
		struct rlimit old = lower_limit(daemon->pid, resource, value);
		struct frontend *late = ask(daemon);
		wait_words(daemon, words);
		g_assert_false(frontend_wait_readable(late, 500));
		frontend_assert_alive(first);
		g_assert_no_errno(prlimit(daemon->pid, resource, &old, NULL));
		take_answer(late);
		frontend_assert_alive(late);
		frontend_assert_alive(first);
		frontend_destroy(late);
		wait_children(daemon, 1);
	}
	frontend_destroy(first);
}

static void test_no_descriptors(const void *data)
{
	struct daemon *daemon = start("3");

	(void)data;
	wait_until_idle(daemon);
	rlim_t n_fds = (rlim_t)lowest_free_fd(daemon->pid);
	check_short(daemon, RLIMIT_NOFILE, n_fds, "accepting a front-end");
	daemon_destroy(daemon);
}

static int listen_at(const char *path)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	g_strlcpy(address.sun_path, path, sizeof(address.sun_path));
	g_assert_no_errno(bind(fd, (struct sockaddr *)&address, sizeof(address)));
	g_assert_no_errno(listen(fd, 16));
	return fd;
}

/* Root has no limit of processes: this test goes on as somebody else. */
static void become_user(void)
{
	const char *binary = g_getenv("VHOST_DEVICE_GPU");

	if (geteuid() != 0) {
		return;
	}
	if (setgroups(0, NULL) < 0 || setresgid(USER, USER, USER) < 0 ||
	    setresuid(USER, USER, USER) < 0) {
		suite_skip("another user, who has a limit of processes: %s", g_strerror(errno));
	}
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (access(binary, X_OK) < 0) {
		suite_skip("a path to the program that other users may take: %s",
			   g_strerror(errno));
	}
}

static void test_no_processes(const void *data)
{
	(void)data;
	become_user();
	struct daemon *daemon = start("3");
	wait_until_idle(daemon);
	check_short(daemon, RLIMIT_NPROC, 0, "starting a process for a front-end");
	daemon_destroy(daemon);
}

/* Told to end while somebody waits for a process. */
static void test_signal_while_short(const void *data)
{
	struct daemon *daemon = start("3");

	(void)data;
	/* Before, as it may still have the first one's open for a moment when that is answered. */
	wait_until_idle(daemon);
	rlim_t n_fds = (rlim_t)lowest_free_fd(daemon->pid);
	struct frontend *first = join(daemon);
	lower_limit(daemon->pid, RLIMIT_NOFILE, n_fds);
	struct frontend *late = ask(daemon);
	wait_words(daemon, "accepting a front-end");
	g_assert_no_errno(kill(daemon->pid, SIGTERM));
	g_assert_cmpint(daemon_wait_exit(daemon, WAIT_MS), ==, 0);
	g_assert_true(frontend_wait_closed(late, WAIT_MS));
	frontend_destroy(late);
	frontend_destroy(first);
	daemon_destroy(daemon);
}

/* ---- --fd ---- */

static void test_fd_listening(const void *data)
{
	static const char *const args[] = {"--fd", "3", "-g", "null", "--max-clients", "2", NULL};
	g_autofree char *dir = g_dir_make_tmp("proto-XXXXXX", NULL);
	g_autofree char *path = g_build_filename(dir, "gpu.sock", NULL);
	int fd = listen_at(path);
	struct daemon *daemon = daemon_spawn(args, NULL, fd);

	(void)data;
	close(fd);
	g_free(daemon->socket_path);
	daemon->socket_path = g_strdup(path);
	check_nothing_shared(daemon, 2);
	wait_children(daemon, 0);
	struct frontend *one = join(daemon), *two = join(daemon), *three = ask(daemon);
	frontend_assert_alive(one);
	frontend_assert_alive(two);
	g_assert_false(frontend_wait_readable(three, 0));
	frontend_destroy(one);
	take_answer(three);
	frontend_destroy(two);
	frontend_destroy(three);
	daemon_destroy(daemon);
	/* Whoever made the socket removes it. */
	g_assert_no_errno(unlink(path));
	rmdir(dir);
}

static void test_fd_connected(const void *data)
{
	static const char *const args[] = {"--fd", "3", "-g", "null", "--max-clients", "2", NULL};
	int fds[2];

	(void)data;
	g_assert_no_errno(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds));
	struct daemon *daemon = daemon_spawn(args, NULL, fds[1]);
	close(fds[1]);
	g_assert_cmpint(daemon_wait_exit(daemon, 5000), ==, 2);
	g_autofree char *text = daemon_stderr(daemon);
	g_assert_nonnull(strstr(text, "--max-clients 2: a connected --fd is one front-end"));
	g_assert_true(strchr(text, '\n') == text + strlen(text) - 1);
	close(fds[0]);
	daemon_destroy(daemon);
}

static void test_log(const void *data)
{
	static const char *const args[] = {"-s",	    "@SOCKET@", "-g", "null",
					   "--max-clients", "2",	NULL};
	static const char *const env[] = {"VHOST_DEVICE_GPU_LOG=info", NULL};
	struct daemon *daemon = daemon_spawn(args, env, -1);
	pid_t pids[2] = {0};

	(void)data;
	wait_until_idle(daemon);
	struct frontend *one = join_process(daemon, &pids[0]);
	struct frontend *two = join_process(daemon, &pids[1]);
	frontend_destroy(one);
	frontend_destroy(two);
	wait_children(daemon, 0);
	for (size_t i = 0; i < G_N_ELEMENTS(pids); i++) {
		g_autofree char *begins = g_strdup_printf("process %d serves a front-end", pids[i]);
		g_autofree char *says =
			g_strdup_printf("vhost-device-gpu[%d]: info: the front-end is gone", pids[i]);
		g_autofree char *ends =
			g_strdup_printf("process %d has served its front-end", pids[i]);
		wait_words(daemon, begins);
		wait_words(daemon, says);
		wait_words(daemon, ends);
	}
	daemon_destroy(daemon);
}

int main(int argc, char **argv)
{
	suite_init(&argc, &argv);
	proto_let_signals_kill();
	suite_add(test_at_once, NULL, "/proto/listener/at_once");
	suite_add(test_all_end_together, NULL, "/proto/listener/all_end_together");
	suite_add(test_no_shared_files, NULL, "/proto/listener/no_shared_files");
	suite_add(test_no_inherited_files, NULL, "/proto/listener/no_inherited_files");
	proto_add_drawing("listener", "death", test_death);
	suite_add(test_violation, NULL, "/proto/listener/violation");
	suite_add(test_signals, NULL, "/proto/listener/signals");
	suite_add(test_signal_and_stuck, NULL, "/proto/listener/signal_and_stuck");
	suite_add(test_listener_killed, NULL, "/proto/listener/listener_killed");
	suite_add(test_no_descriptors, NULL, "/proto/listener/no_descriptors");
	suite_add(test_no_processes, NULL, "/proto/listener/no_processes");
	suite_add(test_signal_while_short, NULL, "/proto/listener/signal_while_short");
	suite_add(test_fd_listening, NULL, "/proto/listener/fd_listening");
	suite_add(test_fd_connected, NULL, "/proto/listener/fd_connected");
	suite_add(test_log, NULL, "/proto/listener/log");
	return suite_run();
}
