/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * The program as its starters see it: options, messages, exit statuses, the socket in the file
 * system, signals.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "proto.h"

#define MAX_ARGS 10

/* It takes less than a second; a loaded machine more. */
#define END_MS 15000

struct wrong_use {
	const char *args[MAX_ARGS];
	const char *words[4]; /* each must be in the one line on standard error */
};

#define LONG_PATH                                                                                  \
	"/tmp/"                                                                                    \
	"0123456789012345678901234567890123456789012345678901234567890123456789012345678901234567" \
	"890123456789"                                                                             \
	"0123456789"

static const struct wrong_use wrong_uses[] = {
	{{NULL}, {"--socket-path", "--fd"}},
	{{"--headless"}, {"--socket-path", "--fd"}},
	{{"-s", "x", "--control-socket", ""}, {"--control-socket", "allowed: 1 to 107"}},
	{{"-s", "x", "--control-socket", "x"}, {"--control-socket 'x'", "--socket-path"}},
	{{"--socket-path", "@SOCKET@", "--fd", "3"}, {"--socket-path", "--fd", "3"}},
	{{"--socket-path", LONG_PATH}, {"--socket-path", LONG_PATH}},
	{{"--socket-path", ""}, {"--socket-path"}},
	{{"--socket-path"}, {"--socket-path"}},
	{{"--fd", "x"}, {"--fd", "x"}},
	{{"--fd", "-1"}, {"--fd", "-1"}},
	{{"--fd", "4294967299"}, {"--fd", "4294967299"}},
	{{"--fd", "200"}, {"--fd", "200"}},
	{{"--socket-fd", "x"}, {"x"}},
	{{"-s", "@SOCKET@", "-g", "opengl"}, {"--gpu-mode", "opengl", "virglrenderer"}},
	{{"-s", "@SOCKET@", "--gpu-mode="}, {"--gpu-mode", "virglrenderer"}},
	{{"-s", "@SOCKET@", "--gpu-mode"}, {"--gpu-mode"}},
	{{"-s", "@SOCKET@", "-g", "2d", "-c", "virgl"}, {"--capset", "virgl", "2d"}},
	{{"-s", "@SOCKET@", "-g", "null", "-c", "virgl2"}, {"--capset", "virgl2", "null"}},
	{{"-s", "@SOCKET@", "-g", "virglrenderer", "-c", "gfxstream-vulkan"},
	 {"--capset", "gfxstream-vulkan", "virglrenderer"}},
	{{"-s", "@SOCKET@", "-g", "virglrenderer", "-c", "vulkan"},
	 {"--capset", "vulkan", "virgl"}},
	{{"-s", "@SOCKET@", "-g", "virglrenderer", "-c", "virgl,,virgl2"}, {"--capset"}},
	{{"-s", "@SOCKET@", "-g", "virglrenderer", "-c", ""}, {"--capset"}},
	{{"-s", "@SOCKET@", "-g", "gfxstream", "-c", "gfxstream-gles", "--use-gles", "false"},
	 {"gles"}},
	{{"-s", "@SOCKET@", "-g", "gfxstream", "--use-egl", "false"}, {"--use-egl", "EGL"}},
	{{"-s", "@SOCKET@", "-g", "gfxstream", "-c", "virgl"}, {"virgl", "gfxstream-vulkan"}},
	{{"-s", "@SOCKET@", "-g", "gfxstream", "--gfxstream-library="}, {"--gfxstream-library"}},
	{{"-s", "@SOCKET@", "-g", "2d", "--gfxstream-library", "/lib/g.so"},
	 {"--gfxstream-library", "/lib/g.so", "gfxstream"}},
	{{"-s", "@SOCKET@", "--use-egl", "maybe"}, {"--use-egl", "maybe", "true", "false"}},
	{{"-s", "@SOCKET@", "--use-egl=1"}, {"--use-egl", "1", "true"}},
	{{"-s", "@SOCKET@", "--use-glx", "yes"}, {"--use-glx", "yes", "true"}},
	{{"-s", "@SOCKET@", "--use-gles", "TRUE!"}, {"--use-gles", "TRUE!", "true"}},
	{{"-s", "@SOCKET@", "--use-surfaceless", ""}, {"--use-surfaceless", "true"}},
	{{"-s", "@SOCKET@", "--use-surfaceless"}, {"--use-surfaceless"}},
	{{"-s", "@SOCKET@", "-g", "2d", "--gpu-device", "/dev/dri/renderD128"},
	 {"--gpu-device", "2d", "virglrenderer"}},
	{{"-s", "@SOCKET@", "-g", "null", "--render-node", "/dev/null"}, {"null", "virglrenderer"}},
	{{"-s", "@SOCKET@", "-g", "2d", "--virgl"}, {"--virgl", "2d"}},
	{{"-s", "@SOCKET@", "--max-hostmem", "0"}, {"--max-hostmem", "0", "1M"}},
	{{"-s", "@SOCKET@", "--max-hostmem", "9999999999G"}, {"--max-hostmem", "9999999999G"}},
	{{"-s", "@SOCKET@", "--hostmem", "1"}, {"--hostmem", "1", "pages of"}},
	{{"-s", "@SOCKET@", "--hostmem", "65T"}, {"--hostmem", "65T", "64T"}},
	{{"-s", "@SOCKET@", "--shmem-feature-bit", "20"}, {"--shmem-feature-bit", "20", "21, 22"}},
	{{"-s", "@SOCKET@", "--max-clients", "0"}, {"--max-clients", "0", "1 to"}},
	{{"-s", "@SOCKET@", "--max-clients", "-1"}, {"--max-clients", "-1", "1 to"}},
	{{"-s", "@SOCKET@", "--max-crashes", "many"}, {"--max-crashes", "many", "1 to"}},
	{{"-s", "@SOCKET@", "--sandbox", "maybe"}, {"--sandbox", "maybe", "strict"}},
	{{"-s", "@SOCKET@", "--dmabuf", "maybe"}, {"--dmabuf", "maybe", "auto"}},
	{{"-s", "@SOCKET@", "-g", "2d", "--shader-cache", "/cache"},
	 {"--shader-cache", "/cache", "virglrenderer"}},
	{{"-s", "@SOCKET@", "--bogus"}, {"--bogus"}},
	{{"-s", "@SOCKET@", "-x"}, {"-x"}},
	{{"-s", "@SOCKET@", "more"}, {"more"}},
};

static unsigned int count_lines(const char *text)
{
	unsigned int n = 0;

	for (; *text; text++) {
		n += *text == '\n';
	}
	return n;
}

static bool has_ended(void *data)
{
	return !daemon_is_running(data);
}

static void test_wrong_use(const void *data)
{
	unsigned int n_bad = 0;

	(void)data;
	for (size_t i = 0; i < G_N_ELEMENTS(wrong_uses); i++) {
		const struct wrong_use *use = &wrong_uses[i];
		struct daemon *daemon = daemon_spawn(use->args, NULL, -1);
		int status = suite_wait(has_ended, daemon, END_MS) ? daemon_wait_exit(daemon, 0) : -1;
		g_autofree char *text = daemon_stderr(daemon);
		bool is_good = status == 2 && count_lines(text) == 1 &&
			       !g_file_test(daemon->socket_path, G_FILE_TEST_EXISTS);
		for (size_t j = 0; j < G_N_ELEMENTS(use->words) && use->words[j]; j++) {
			is_good = is_good && strstr(text, use->words[j]);
		}
		if (!is_good) {
			g_printerr("wrong use %zu: status %d, \"%s\"\n", i, status, text);
			n_bad += 1;
		}
		daemon_destroy(daemon);
	}
	g_assert_cmpuint(n_bad, ==, 0);
}

/* Whatever it says, it says it before there is a socket, and with 1. */
static void check_host_failure(const char *const *args, const char *const *env, const char *word)
{
	struct daemon *daemon = daemon_spawn(args, env, -1);

	g_assert_cmpint(daemon_wait_exit(daemon, 15000), ==, 1);
	g_autofree char *text = daemon_stderr(daemon);
	if (!strstr(text, word)) {
		g_error("\"%s\" is not in: %s", word, text);
	}
	g_assert_false(g_file_test(daemon->socket_path, G_FILE_TEST_EXISTS));
	daemon_destroy(daemon);
}

static void test_host_failure(const void *data)
{
	static const char *const no_device[] = {
		"-s", "@SOCKET@", "-g", "virglrenderer", "--gpu-device", "/nonexistent/renderD128",
		NULL};
	static const char *const no_drm[] = {"-s",	     "@SOCKET@",  "-g", "virglrenderer",
					     "--gpu-device", "/dev/null", NULL};
	static const char *const no_dir[] = {"-s", "/nonexistent/gpu.sock", "-g", "null", NULL};
	static const char *const dmabuf[] = {"-s", "@SOCKET@", "--dmabuf", "on", NULL};

	(void)data;
	check_host_failure(no_device, NULL, "Failed to open GPU device '/nonexistent/renderD128': ");
	check_host_failure(no_drm, NULL, "GPU device '/dev/null' is no DRM render node");
	check_host_failure(no_dir, NULL,
			   "--socket-path '/nonexistent/gpu.sock': its directory does not exist");
	if (access("/dev/udmabuf", R_OK | W_OK) < 0) {
		check_host_failure(dmabuf, NULL, "--dmabuf on: '/dev/udmabuf': ");
	}
}

static void test_no_egl(const void *data)
{
	static const char *const args[] = {"-s", "@SOCKET@", "-g", "virglrenderer", NULL};
	static const char *const env[] = {"__EGL_VENDOR_LIBRARY_FILENAMES=/nonexistent.json", NULL};

	(void)data;
	check_host_failure(args, env,
			   "virglrenderer needs EGL, and libEGL.so.1 finds no driver: install ");
}

static void check_library_failure(const char *dir, const char *word)
{
	static const char *const args[] = {"-s", "@SOCKET@", "-g", "virglrenderer", NULL};
	g_autofree char *path = g_strconcat("LD_LIBRARY_PATH=", dir, NULL);
	const char *const env[] = {path, NULL};

	check_host_failure(args, env, word);
	check_host_failure(args, env, "install virglrenderer");
}

/* A file of that name that is no library stands for none: the linker looks no further. */
static void test_no_library(const void *data)
{
	g_autofree char *dir = g_dir_make_tmp("proto-XXXXXX", NULL);
	g_autofree char *file = g_build_filename(dir, "libvirglrenderer.so.1", NULL);

	(void)data;
	g_assert_true(g_file_set_contents(file, "not a library", -1, NULL));
	check_library_failure(dir, "virglrenderer can't be loaded: ");
	check_library_failure(dir, "libvirglrenderer.so.1: ");
	unlink(file);
	rmdir(dir);
}

static void test_old_library(const void *data)
{
	const char *dir = g_getenv("OLD_VIRGLRENDERER");

	(void)data;
	g_assert_nonnull(dir);
	check_library_failure(dir, "virglrenderer can't be used: ");
	check_library_failure(dir, "virgl_renderer_context_create()");
}

static char *read_proc(int pid, const char *name)
{
	g_autofree char *path = g_strdup_printf("/proc/%d/%s", pid, name);
	char *text = NULL;

	g_assert_true(g_file_get_contents(path, &text, NULL, NULL));
	return text;
}

static void check_no_gl(int pid)
{
	static const char *const words[] = {"libvirglrenderer", "libEGL", "libGL", "libX11",
					    "libgbm", "libgfxstream"};
	g_autofree char *maps = read_proc(pid, "maps");

	for (size_t i = 0; i < G_N_ELEMENTS(words); i++) {
		g_assert_null(strstr(maps, words[i]));
	}
}

/* Only a process that draws with GL has it loaded: no other mode, and never the listener. */
static void test_no_gl(const void *mode)
{
	struct rig *rig = proto_rig(mode);
	int pid = rig->daemon->pid;
	g_autofree char *task = g_strdup_printf("task/%d/children", pid);
	g_autofree char *children = read_proc(pid, task);

	check_no_gl(pid);
	g_assert_cmpint(atoi(children), >, 0);
	if (mode != PROTO_VIRGL) {
		check_no_gl(atoi(children));
	}
	rig_destroy(rig);
}

static void test_help(const void *data)
{
	static const char *const help[] = {"--help", NULL}, *const h[] = {"-h", NULL};
	static const char *const options[] = {
		"--socket-path", "--fd",       "--gpu-mode", "--capset",
		"--use-egl",	 "--use-glx",  "--use-gles", "--use-surfaceless",
		"--gpu-device",	 "--headless", "--virgl",    "--max-hostmem",
		"--max-clients", "--max-crashes", "--sandbox",
		"--shader-cache", "--hostmem",	  "--shmem-feature-bit",
		"--dmabuf",	 "--control-socket", "--gfxstream-library", "--version"};

	(void)data;
	struct daemon *daemon = daemon_spawn(help, NULL, -1);
	g_assert_cmpint(daemon_wait_exit(daemon, 5000), ==, 0);
	g_autofree char *text = daemon_stdout(daemon);
	for (size_t i = 0; i < G_N_ELEMENTS(options); i++) {
		g_assert_nonnull(strstr(text, options[i]));
	}
	daemon_destroy(daemon);
	daemon = daemon_spawn(h, NULL, -1);
	g_assert_cmpint(daemon_wait_exit(daemon, 5000), ==, 0);
	g_autofree char *same = daemon_stdout(daemon);
	g_assert_cmpstr(same, ==, text);
	daemon_destroy(daemon);
}

static void test_version(const void *data)
{
	static const char *const calls[][2] = {{"--version", NULL}, {"-V", NULL}};

	(void)data;
	for (size_t i = 0; i < G_N_ELEMENTS(calls); i++) {
		struct daemon *daemon = daemon_spawn(calls[i], NULL, -1);
		g_assert_cmpint(daemon_wait_exit(daemon, 5000), ==, 0);
		g_autofree char *text = daemon_stdout(daemon);
		g_assert_true(g_str_has_prefix(text, "vhost-device-gpu "));
		g_assert_cmpuint(count_lines(text), ==, 1);
		daemon_destroy(daemon);
	}
}

/* Handshakes, and returns the features offered. */
static uint64_t probe_features(struct daemon *daemon)
{
	struct frontend *frontend = frontend_create(daemon_connect_or_skip(daemon));

	frontend_handshake(frontend);
	uint64_t features = frontend->features;
	frontend_destroy(frontend);
	return features;
}

struct right_use {
	const char *args[MAX_ARGS];
	bool has_virgl;
};

static const struct right_use right_uses[] = {
	{{"-s", "@SOCKET@"}, false},
	{{"--socket-path=@SOCKET@", "--gpu-mode=2d"}, false},
	{{"-s@SOCKET@", "-gnull"}, false},
	{{"-s", "@SOCKET@", "-g", "null", "--headless"}, false},
	{{"-s", "@SOCKET@", "-g", "2d", "--use-egl", "false", "--use-glx=true", "--use-gles=false"},
	 false},
	{{"-s", "@SOCKET@", "--use-surfaceless=true"}, false},
	{{"-s", "@SOCKET@", "--dmabuf=auto"}, false},
	{{"-s", "@SOCKET@", "-g", "null", "--dmabuf", "on"}, false},
	{{"-s", "@SOCKET@", "--max-hostmem", "64M", "--max-clients=3", "--max-crashes", "2"},
	 false},
	{{"-s", "@SOCKET@", "--hostmem", "0"}, false},
	{{"-s", "@SOCKET@", "--hostmem=256M", "--shmem-feature-bit", "21"}, false},
};

static const struct right_use right_virgl_uses[] = {
	{{"-s", "@SOCKET@", "--virgl"}, true},
	{{"-s", "@SOCKET@", "-g", "virglrenderer"}, true},
	{{"-s", "@SOCKET@", "-g", "virgl-renderer"}, true},
	{{"-s", "@SOCKET@", "--gpu-mode=virglrenderer", "--virgl"}, true},
	{{"-s", "@SOCKET@", "-g", "virglrenderer", "--capset=virgl,virgl2"}, true},
	{{"-s", "@SOCKET@", "-g", "virglrenderer", "--use-egl=true", "--use-surfaceless", "true"},
	 true},
};

static void check_right_uses(const struct right_use *uses, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		struct daemon *daemon = daemon_spawn(uses[i].args, NULL, -1);
		uint64_t features = probe_features(daemon);
		g_assert_cmpint((features & FEATURE(VIRTIO_F_GPU_VIRGL)) != 0, ==,
				uses[i].has_virgl);
		g_autofree char *text = daemon_stderr(daemon);
		g_assert_cmpstr(text, ==, "");
		daemon_destroy(daemon);
	}
}

static void test_right_use(const void *data)
{
	(void)data;
	check_right_uses(right_uses, G_N_ELEMENTS(right_uses));
}

static void test_right_use_virgl(const void *data)
{
	(void)data;
	check_right_uses(right_virgl_uses, G_N_ELEMENTS(right_virgl_uses));
}

static bool is_socket(const char *path)
{
	struct stat info;

	return lstat(path, &info) == 0 && S_ISSOCK(info.st_mode);
}

static void check_signal(int signal_number, bool has_session)
{
	struct daemon *daemon = daemon_start("null", NULL);
	struct frontend *frontend = frontend_create(daemon_connect(daemon));

	frontend_handshake(frontend);
	if (!has_session) {
		frontend_destroy(g_steal_pointer(&frontend));
	}
	g_assert_true(is_socket(daemon->socket_path));
	g_assert_no_errno(kill(daemon->pid, signal_number));
	g_assert_cmpint(daemon_wait_exit(daemon, END_MS), ==, 0);
	g_assert_false(g_file_test(daemon->socket_path, G_FILE_TEST_EXISTS));
	if (frontend) {
		g_assert_true(frontend_wait_closed(frontend, END_MS));
	}
	frontend_destroy(frontend);
	daemon_destroy(daemon);
}

static void test_signals(const void *data)
{
	(void)data;
	check_signal(SIGTERM, false);
	check_signal(SIGTERM, true);
	check_signal(SIGINT, false);
	check_signal(SIGINT, true);
}

/* Busy, and with a display that doesn't read. */
static void test_signal_busy(const void *mode)
{
	struct rig *rig = proto_rig(mode);

	rig_make_resource(rig, 1, VIRTIO_GPU_FORMAT_B8G8R8X8_UNORM, 1280, 800, NULL);
	g_assert_ok(vgpu_set_scanout(rig->vgpu, 0, 1, 0, 0, 1280, 800));
	display_wait_features_acked(rig->display);
	display_set_stalled(rig->display, true);
	for (unsigned int i = 0; i < 5; i++) {
		g_assert_ok(vgpu_resource_flush(rig->vgpu, 1, 0, 0, 1280, 800));
	}
	g_assert_no_errno(kill(rig->daemon->pid, SIGTERM));
	g_assert_cmpint(daemon_wait_exit(rig->daemon, END_MS), ==, 0);
	rig_destroy_ended(rig);
}

static void test_serves_again(const void *mode)
{
	struct rig *rig = proto_rig(mode);

	/* One machine after the other: each finds a fresh device. */
	for (unsigned int i = 0; i < 5; i++) {
		g_assert_ok(vgpu_resource_create_2d(rig->vgpu, 1, VIRTIO_GPU_FORMAT_B8G8R8X8_UNORM,
						    64, 64));
		display_disconnect(rig->display);
		frontend_destroy(rig->frontend);
		rig->frontend = frontend_create(daemon_connect(rig->daemon));
		frontend_handshake(rig->frontend);
		vgpu_forget(rig->vgpu);
		ring_reset(rig->control);
		ring_reset(rig->cursor);
		rig_start(rig, 0, 0);
		rig_assert_serves(rig);
	}
	rig_destroy(rig);
}

/* A second front-end waits its turn, and gets it. */
static void test_backlog(const void *data)
{
	struct daemon *daemon = daemon_start("null", NULL);
	struct frontend *first = frontend_create(daemon_connect(daemon));

	(void)data;
	frontend_handshake(first);
	struct frontend *second = frontend_create(daemon_connect(daemon));
	g_assert_cmpint(frontend_send(second, VHOST_USER_GET_FEATURES, 0, NULL, 0, NULL, 0), ==, 0);
	for (unsigned int i = 0; i < 20; i++) {
		frontend_assert_alive(first);
	}
	g_assert_false(frontend_wait_readable(second, 0));
	frontend_destroy(first);
	uint64_t features;
	frontend_receive(second, VHOST_USER_GET_FEATURES, &features, sizeof(features));
	frontend_destroy(second);
	daemon_destroy(daemon);
}

static int bind_unix(const char *path)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	g_strlcpy(address.sun_path, path, sizeof(address.sun_path));
	g_assert_no_errno(bind(fd, (struct sockaddr *)&address, sizeof(address)));
	return fd;
}

static char *make_path(const struct daemon *dir_owner)
{
	return g_build_filename(dir_owner->dir, "other.sock", NULL);
}

static void test_stale_socket(const void *data)
{
	struct daemon *owner = daemon_start("null", NULL);
	g_autofree char *path = make_path(owner);
	const char *args[] = {"-s", path, "-g", "null", NULL};

	/* A socket that nobody listens on any more is replaced. */
	(void)data;
	close(daemon_connect(owner));
	close(bind_unix(path));
	struct daemon *daemon = daemon_spawn(args, NULL, -1);
	g_free(daemon->socket_path);
	daemon->socket_path = g_strdup(path);
	struct frontend *frontend = frontend_create(daemon_connect(daemon));
	frontend_handshake(frontend);
	frontend_destroy(frontend);
	daemon_destroy(daemon);
	g_assert_false(g_file_test(path, G_FILE_TEST_EXISTS));
	daemon_destroy(owner);
}

static void test_live_socket(const void *data)
{
	struct daemon *owner = daemon_start("null", NULL);
	const char *args[] = {"-s", owner->socket_path, "-g", "null", NULL};

	(void)data;
	close(daemon_connect(owner));
	struct daemon *daemon = daemon_spawn(args, NULL, -1);
	g_assert_cmpint(daemon_wait_exit(daemon, 5000), ==, 1);
	g_autofree char *text = daemon_stderr(daemon);
	g_assert_nonnull(strstr(text, owner->socket_path));
	g_assert_nonnull(strstr(text, "another program listens there"));
	daemon_destroy(daemon);
	/* The one that was there first still serves. */
	g_assert_true(is_socket(owner->socket_path));
	probe_features(owner);
	daemon_destroy(owner);
}

static void test_no_socket_file(const void *data)
{
	struct daemon *owner = daemon_start("null", NULL);
	g_autofree char *path = make_path(owner);
	g_autofree char *link = g_build_filename(owner->dir, "link.sock", NULL);
	g_autofree char *content = NULL;
	const char *const paths[] = {path, link, owner->dir};

	/* A file, a link to it, a folder: left alone. */
	(void)data;
	close(daemon_connect(owner));
	g_assert_true(g_file_set_contents(path, "precious", -1, NULL));
	g_assert_no_errno(symlink(path, link));
	for (size_t i = 0; i < G_N_ELEMENTS(paths); i++) {
		const char *args[] = {"-s", paths[i], "-g", "null", NULL};
		struct daemon *daemon = daemon_spawn(args, NULL, -1);
		g_assert_cmpint(daemon_wait_exit(daemon, 5000), ==, 1);
		g_autofree char *text = daemon_stderr(daemon);
		g_assert_nonnull(strstr(text, paths[i]));
		g_assert_nonnull(strstr(text, "a file that is no socket is there"));
		daemon_destroy(daemon);
	}
	g_assert_true(g_file_get_contents(path, &content, NULL, NULL));
	g_assert_cmpstr(content, ==, "precious");
	g_assert_true(g_file_test(link, G_FILE_TEST_IS_SYMLINK));
	daemon_destroy(owner);
}

/* Started again and again on one path, also after having been killed. */
static void test_restart_after_kill(const void *data)
{
	struct daemon *owner = daemon_start("null", NULL);
	g_autofree char *path = make_path(owner);
	const char *args[] = {"-s", path, "-g", "null", NULL};

	(void)data;
	close(daemon_connect(owner));
	for (unsigned int i = 0; i < 3; i++) {
		struct daemon *daemon = daemon_spawn(args, NULL, -1);
		g_free(daemon->socket_path);
		daemon->socket_path = g_strdup(path);
		probe_features(daemon);
		g_assert_no_errno(kill(daemon->pid, SIGKILL));
		while (daemon_is_running(daemon)) {
			g_usleep(1000);
		}
		g_assert_true(is_socket(path));
		daemon_destroy(daemon);
	}
	daemon_destroy(owner);
}

static void test_fd_connected(const void *data)
{
	static const char *const calls[][5] = {{"--fd", "3", "-g", "null", NULL},
					       {"--fd=3", "-g", "2d", NULL},
					       {"--socket-fd", "3", "-g", "null", NULL}};

	/* libvirt's way: one connected socket, and with its end the program ends. */
	(void)data;
	for (size_t i = 0; i < G_N_ELEMENTS(calls); i++) {
		int fds[2];
		g_assert_no_errno(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds));
		struct daemon *daemon = daemon_spawn(calls[i], NULL, fds[1]);
		close(fds[1]);
		struct frontend *frontend = frontend_create(fds[0]);
		frontend_handshake(frontend);
		frontend_assert_alive(frontend);
		frontend_destroy(frontend);
		g_assert_cmpint(daemon_wait_exit(daemon, END_MS), ==, 0);
		daemon_destroy(daemon);
	}
}

static void test_fd_connected_signal(const void *data)
{
	static const char *const args[] = {"--fd", "3", "-g", "null", NULL};
	int fds[2];

	(void)data;
	g_assert_no_errno(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds));
	struct daemon *daemon = daemon_spawn(args, NULL, fds[1]);
	close(fds[1]);
	struct frontend *frontend = frontend_create(fds[0]);
	frontend_handshake(frontend);
	g_assert_no_errno(kill(daemon->pid, SIGTERM));
	g_assert_cmpint(daemon_wait_exit(daemon, END_MS), ==, 0);
	frontend_destroy(frontend);
	daemon_destroy(daemon);
}

static void test_fd_listening(const void *data)
{
	static const char *const args[] = {"--fd", "3", "-g", "null", NULL};
	struct daemon *owner = daemon_start("null", NULL);
	g_autofree char *path = make_path(owner);

	(void)data;
	close(daemon_connect(owner));
	int fd = bind_unix(path);
	g_assert_no_errno(listen(fd, 5));
	struct daemon *daemon = daemon_spawn(args, NULL, fd);
	close(fd);
	g_free(daemon->socket_path);
	daemon->socket_path = g_strdup(path);
	/* One after the other, as with a socket of its own. */
	probe_features(daemon);
	probe_features(daemon);
	daemon_destroy(daemon);
	/* Whoever made the socket removes it. */
	g_assert_true(is_socket(path));
	daemon_destroy(owner);
}

static void test_fd_bad(const void *data)
{
	static const char *const args[] = {"--fd", "3", "-g", "null", NULL};
	int pipe_fds[2];

	(void)data;
	g_assert_no_errno(pipe2(pipe_fds, O_CLOEXEC));
	struct daemon *daemon = daemon_spawn(args, NULL, pipe_fds[0]);
	g_assert_cmpint(daemon_wait_exit(daemon, 5000), ==, 2);
	g_autofree char *text = daemon_stderr(daemon);
	g_assert_nonnull(strstr(text, "--fd: 3 is not an open socket (allowed: "));
	g_assert_cmpuint(count_lines(text), ==, 1);
	daemon_destroy(daemon);
	close(pipe_fds[0]);
	close(pipe_fds[1]);
}

/* What is said over a session that ends with a violation. */
static char *log_text(const char *setting)
{
	static const char *const args[] = {"-s", "@SOCKET@", "-g", "null", NULL};
	const char *env[] = {setting, NULL};
	struct daemon *daemon = daemon_spawn(args, env, -1);
	struct frontend *frontend = frontend_create(daemon_connect(daemon));
	struct vhost_user_header header = {VHOST_USER_GET_FEATURES, 0, 0};

	frontend_handshake(frontend);
	frontend_send_bytes(frontend, &header, sizeof(header), NULL, 0);
	g_assert_true(frontend_wait_closed(frontend, 3000));
	frontend_destroy(frontend);
	/* Ended, so that all is said. */
	kill(daemon->pid, SIGTERM);
	g_assert_cmpint(daemon_wait_exit(daemon, END_MS), ==, 0);
	char *text = daemon_stderr(daemon);
	daemon_destroy(daemon);
	return text;
}

static void test_log_levels(const void *data)
{
	static const char *const variables[] = {"VHOST_DEVICE_GPU_LOG", "RUST_LOG"};

	(void)data;
	for (size_t i = 0; i < G_N_ELEMENTS(variables); i++) {
		g_autofree char *error_setting = g_strdup_printf("%s=error", variables[i]);
		g_autofree char *warn_setting = g_strdup_printf("%s=warn", variables[i]);
		g_autofree char *trace_setting = g_strdup_printf("%s=trace", variables[i]);
		g_autofree char *error = log_text(error_setting);
		g_autofree char *warn = log_text(warn_setting);
		g_autofree char *trace = log_text(trace_setting);
		g_assert_cmpstr(error, ==, "");
		g_assert_nonnull(strstr(warn, "warn"));
		g_assert_cmpuint(strlen(trace), >, strlen(warn));
	}
	/* An unknown level is no reason not to start. */
	g_autofree char *odd = log_text("VHOST_DEVICE_GPU_LOG=loud");
	g_assert_nonnull(odd);
}

/* Descriptors 0 to 2 may be closed when a supervisor is careless. */
static void test_closed_stdio(const void *data)
{
	(void)data;
	close(STDIN_FILENO);
	struct daemon *daemon = daemon_start("null", NULL);
	probe_features(daemon);
	daemon_destroy(daemon);
}

int main(int argc, char **argv)
{
	suite_init(&argc, &argv);
	suite_add(test_wrong_use, NULL, "/proto/cmdline/wrong_use");
	suite_add(test_host_failure, NULL, "/proto/cmdline/host_failure");
	suite_add(test_no_egl, NULL, "/proto/cmdline/no_egl");
	suite_add(test_no_library, NULL, "/proto/cmdline/no_library");
	suite_add(test_old_library, NULL, "/proto/cmdline/old_library");
	suite_add(test_help, NULL, "/proto/cmdline/help");
	suite_add(test_version, NULL, "/proto/cmdline/version");
	suite_add(test_right_use, NULL, "/proto/cmdline/right_use");
	suite_add(test_right_use_virgl, NULL, "/proto/cmdline/right_use_virgl");
	suite_add(test_signals, NULL, "/proto/cmdline/signals");
	proto_add("cmdline", "no_gl", test_no_gl);
	proto_add("cmdline", "signal_busy", test_signal_busy);
	proto_add("cmdline", "serves_again", test_serves_again);
	suite_add(test_backlog, NULL, "/proto/cmdline/backlog");
	suite_add(test_stale_socket, NULL, "/proto/cmdline/stale_socket");
	suite_add(test_live_socket, NULL, "/proto/cmdline/live_socket");
	suite_add(test_no_socket_file, NULL, "/proto/cmdline/no_socket_file");
	suite_add(test_restart_after_kill, NULL, "/proto/cmdline/restart_after_kill");
	suite_add(test_fd_connected, NULL, "/proto/cmdline/fd_connected");
	suite_add(test_fd_connected_signal, NULL, "/proto/cmdline/fd_connected_signal");
	suite_add(test_fd_listening, NULL, "/proto/cmdline/fd_listening");
	suite_add(test_fd_bad, NULL, "/proto/cmdline/fd_bad");
	suite_add(test_log_levels, NULL, "/proto/cmdline/log_levels");
	suite_add(test_closed_stdio, NULL, "/proto/cmdline/closed_stdio");
	return suite_run();
}
