/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * Started by others than people: by libvirt, which asks first what there is, and by a service
 * manager, which has the socket and wants to be told.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "mock_gfxstream.h"
#include "proto.h"

/* A GL driver is tried. */
#define ANSWER_MS 40000
#define START_MS 40000

#define WITH_GL "{\n  \"type\": \"gpu\",\n  \"features\": [\"virgl\"]\n}\n"
#define WITH_NODE "{\n  \"type\": \"gpu\",\n  \"features\": [\"render-node\", \"virgl\"]\n}\n"
#define WITHOUT "{\n  \"type\": \"gpu\",\n  \"features\": []\n}\n"

/* ---- --print-capabilities ---- */

struct question {
	const char *args[8];
	const char *env[2];
};

/* All that is said on stdout; with status 0, and no socket. */
static char *ask(const struct question *question, char **stderr_out)
{
	struct daemon *daemon = daemon_spawn(question->args, question->env, -1);

	g_assert_cmpint(daemon_wait_exit(daemon, ANSWER_MS), ==, 0);
	g_assert_false(g_file_test(daemon->socket_path, G_FILE_TEST_EXISTS));
	char *answer = daemon_stdout(daemon);
	*stderr_out = daemon_stderr(daemon);
	daemon_destroy(daemon);
	return answer;
}

static bool has_render_node(void)
{
	for (unsigned int i = 128; i < 192; i++) {
		g_autofree char *path = g_strdup_printf("/dev/dri/renderD%u", i);
		if (access(path, R_OK | W_OK) == 0) {
			return true;
		}
	}
	return false;
}

/* Whatever else is said, wrong or right. */
static void test_capabilities(const void *data)
{
	static const struct question questions[] = {
		{{"--print-capabilities", NULL}, {NULL}},
		{{"--fd", "3", "--virgl", "--print-capabilities", NULL}, {NULL}},
		{{"-s", "@SOCKET@", "-g", "2d", "--print-capabilities", "--unknown", "stray", NULL},
		 {NULL}},
	};
	bool has_node = has_render_node();

	(void)data;
	for (size_t i = 0; i < G_N_ELEMENTS(questions); i++) {
		g_autofree char *text = NULL, *answer = ask(&questions[i], &text);
		if (strcmp(answer, WITHOUT) == 0 && strstr(text, "EGL")) {
			suite_skip("the host lacks EGL for virglrenderer: %s", g_strstrip(text));
		}
		/* A node that is there may be one that the library can't use. */
		if (!has_node || strcmp(answer, WITH_NODE) != 0) {
			g_assert_cmpstr(answer, ==, WITH_GL);
		}
	}
}

/* Without what it takes there is no such feature, and it is said why. */
static void test_capabilities_lacking(const void *data)
{
	static const struct question no_egl = {
		{"--print-capabilities", NULL},
		{"__EGL_VENDOR_LIBRARY_FILENAMES=/nonexistent.json", NULL}};
	g_autofree char *old_path = g_strconcat("LD_LIBRARY_PATH=", g_getenv("OLD_VIRGLRENDERER"), NULL);
	const struct question old_library = {{"--print-capabilities", NULL}, {old_path, NULL}};
	const struct question *const questions[] = {&no_egl, &old_library};
	static const char *const words[] = {"EGL", "install virglrenderer"};

	(void)data;
	for (size_t i = 0; i < G_N_ELEMENTS(questions); i++) {
		g_autofree char *text = NULL, *answer = ask(questions[i], &text);
		g_assert_cmpstr(answer, ==, WITHOUT);
		g_assert_nonnull(strstr(text, words[i]));
	}
}

/* As libvirt starts it on a host with a GPU, without accel3d: 2D needs no node. */
static void test_render_node_in_2d(const void *data)
{
	static const char *const args[] = {"--fd=3", "--render-node=/nonexistent/renderD128", NULL};
	int fds[2];

	(void)data;
	g_assert_no_errno(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds));
	struct daemon *daemon = daemon_spawn(args, NULL, fds[1]);
	close(fds[1]);
	struct frontend *frontend = frontend_create(fds[0]);
	frontend_handshake(frontend);
	g_assert_cmphex(frontend->features & FEATURE(VIRTIO_F_GPU_VIRGL), ==, 0);
	frontend_destroy(frontend);
	g_assert_cmpint(daemon_wait_exit(daemon, ANSWER_MS), ==, 0);
	daemon_destroy(daemon);
}

/* ---- sockets that are passed ---- */

static const char *activator(void)
{
	const char *path = g_getenv("SOCKET_ACTIVATE");

	if (!path || !*path) {
		suite_skip("systemd-socket-activate is not there (Debian: systemd)");
	}
	return path;
}

/* Under systemd's own program; it starts the daemon for the first who connects. It is foreign. */
static struct daemon *activate(const char *options, const char *mode)
{
	g_autofree char *library = mock_gfxstream_path_of(mode);
	g_autofree char *command = g_strdup_printf(
		"%s %s --listen=@SOCK@ -E LIBGL_ALWAYS_SOFTWARE=1 -E ASAN_OPTIONS -E UBSAN_OPTIONS "
		"-E TSAN_OPTIONS %s --gpu-mode %s%s%s",
		activator(), options, g_getenv("VHOST_DEVICE_GPU"), mode,
		library ? " --gfxstream-library " : "", library ? library : "");

	return daemon_start_foreign(command);
}

static struct frontend *join(struct daemon *daemon)
{
	struct frontend *frontend = frontend_create(daemon_connect(daemon));

	frontend_handshake(frontend);
	return frontend;
}

/* One process, which became the daemon: one front-end after the other. */
static void test_listening(const void *mode)
{
	const char *name = ((const struct proto_mode *)mode)->name;
	struct daemon *daemon = activate("", name);

	for (unsigned int i = 0; i < 3; i++) {
		struct frontend *frontend = join(daemon);
		frontend_assert_alive(frontend);
		frontend_destroy(frontend);
	}
	/* It is the daemon by now, which ends well and leaves the socket to who made it. */
	g_assert_no_errno(kill(daemon->pid, SIGTERM));
	g_assert_cmpint(daemon_wait_exit(daemon, 5000), ==, 0);
	g_assert_true(g_file_test(daemon->socket_path, G_FILE_TEST_EXISTS));
	daemon_assert_healthy(daemon);
	daemon_destroy(daemon);
}

/* A process for each that connects, with the accepted socket. */
static void test_accepted(const void *mode)
{
	struct daemon *daemon = activate("--accept", ((const struct proto_mode *)mode)->name);
	struct frontend *one = join(daemon), *two = join(daemon);

	frontend_assert_alive(one);
	frontend_destroy(one);
	frontend_assert_alive(two);
	frontend_destroy(two);
	daemon_assert_healthy(daemon);
	daemon_destroy(daemon);
}

static void check_wrong_use(struct daemon *consume_daemon, const char *words)
{
	close(daemon_connect(consume_daemon));
	g_assert_cmpint(daemon_wait_exit(consume_daemon, 5000), ==, 2);
	g_autofree char *text = daemon_stderr(consume_daemon);
	g_assert_nonnull(strstr(text, words));
	daemon_destroy(consume_daemon);
}

static void test_two_sockets(const void *data)
{
	(void)data;
	check_wrong_use(activate("--listen=@SOCK@.2", "null"),
			"2 sockets were passed by LISTEN_FDS (allowed: 1)");
}

/* One was passed, and another one is asked for. */
static void test_socket_and_path(const void *data)
{
	(void)data;
	check_wrong_use(activate("", "null --socket-path /nonexistent/gpu.sock"),
			"and a socket was passed by LISTEN_FDS: only one of the two");
}

/* ---- the word ---- */

struct notified {
	struct daemon *daemon;
	char *dir, *path;
	int fd;
};

/* @name: where in the folder, or "@" for the abstract namespace. */
static struct notified *notified_create(bool is_abstract, const char *const *args, int passed_fd)
{
	struct notified *notified = g_new0(struct notified, 1);
	struct sockaddr_un address = {.sun_family = AF_UNIX};

	notified->dir = g_dir_make_tmp("proto-XXXXXX", NULL);
	notified->path = g_build_filename(notified->dir, "notify", NULL);
	notified->fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	g_assert_no_errno(notified->fd);
	size_t length = strlen(notified->path);
	memcpy(address.sun_path + is_abstract, notified->path, length);
	g_assert_no_errno(bind(notified->fd, (struct sockaddr *)&address,
			       (socklen_t)(offsetof(struct sockaddr_un, sun_path) + length +
					   is_abstract)));
	g_autofree char *variable = g_strdup_printf("NOTIFY_SOCKET=%s%s", is_abstract ? "@" : "",
						    notified->path);
	const char *const env[] = {variable, NULL};
	notified->daemon = daemon_spawn(args, env, passed_fd);
	return notified;
}

static void notified_destroy(struct notified *notified)
{
	daemon_destroy(notified->daemon);
	close(notified->fd);
	unlink(notified->path);
	rmdir(notified->dir);
	g_free(notified->path);
	g_free(notified->dir);
	g_free(notified);
}

static bool has_word(void *data)
{
	struct notified *notified = data;
	char word;

	return recv(notified->fd, &word, 1, MSG_PEEK | MSG_DONTWAIT) >= 0 ||
	       !daemon_is_running(notified->daemon);
}

static void expect_ready(struct notified *notified)
{
	char text[64] = "";

	g_assert_true(suite_wait(has_word, notified, START_MS));
	g_assert_cmpint(recv(notified->fd, text, sizeof(text) - 1, MSG_DONTWAIT), ==, 7);
	g_assert_cmpstr(text, ==, "READY=1");
}

static void check_ready(const struct proto_mode *mode, bool is_abstract)
{
	g_autofree char *library = mock_gfxstream_path_of(mode->name);
	const char *const args[] = {
		"-s", "@SOCKET@", "-g", mode->name, library ? "--gfxstream-library" : NULL, library,
		NULL};
	struct notified *notified = notified_create(is_abstract, args, -1);

	expect_ready(notified);
	/* Whoever waited for the word is served at once. */
	g_assert_true(g_file_test(notified->daemon->socket_path, G_FILE_TEST_EXISTS));
	struct frontend *frontend = join(notified->daemon);
	frontend_assert_alive(frontend);
	frontend_destroy(frontend);
	notified_destroy(notified);
}

static void test_ready(const void *mode)
{
	check_ready(mode, false);
	/* Which the sandbox closes to whoever connects later. */
	check_ready(mode, true);
}

static void test_ready_fd(const void *data)
{
	static const char *const args[] = {"--fd", "3", "-g", "null", NULL};
	int fds[2];

	(void)data;
	g_assert_no_errno(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds));
	struct notified *notified = notified_create(false, args, fds[1]);
	close(fds[1]);
	expect_ready(notified);
	struct frontend *frontend = frontend_create(fds[0]);
	frontend_handshake(frontend);
	frontend_destroy(frontend);
	g_assert_cmpint(daemon_wait_exit(notified->daemon, ANSWER_MS), ==, 0);
	notified_destroy(notified);
}

/* What does not start is not ready. */
static void test_not_ready(const void *data)
{
	static const char *const args[] = {"-s", "/dev/null/gpu.sock", "-g", "null", NULL};
	struct notified *notified = notified_create(false, args, -1);
	char word;

	(void)data;
	g_assert_cmpint(daemon_wait_exit(notified->daemon, START_MS), ==, 1);
	g_assert_cmpint(recv(notified->fd, &word, 1, MSG_DONTWAIT), ==, -1);
	notified_destroy(notified);
}

int main(int argc, char **argv)
{
	suite_init(&argc, &argv);
	suite_set_limit_s(180);
	suite_add(test_capabilities, NULL, "/proto/activation/capabilities");
	suite_add(test_capabilities_lacking, NULL, "/proto/activation/capabilities_lacking");
	suite_add(test_render_node_in_2d, NULL, "/proto/activation/render_node_in_2d");
	proto_add("activation", "listening", test_listening);
	proto_add("activation", "accepted", test_accepted);
	suite_add(test_two_sockets, NULL, "/proto/activation/two_sockets");
	suite_add(test_socket_and_path, NULL, "/proto/activation/socket_and_path");
	proto_add("activation", "ready", test_ready);
	suite_add(test_ready_fd, NULL, "/proto/activation/ready_fd");
	suite_add(test_not_ready, NULL, "/proto/activation/not_ready");
	return suite_run();
}
