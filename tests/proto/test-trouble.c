/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * What people meet who start it wrongly, on hosts of all kinds: each message says what to do.
 * docs/troubleshooting.md has them all, and names these tests.
 */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "mock_virgl.h"
#include "proto.h"

#define WAIT_MS 15000
#define N_WORDS 3

static const char *const virgl_args[] = {"--socket-path", "@SOCKET@", "--gpu-mode",
					 "virglrenderer", NULL};

struct expectation {
	const struct daemon *daemon;
	const char *words;
};

static bool has_said(void *data)
{
	const struct expectation *expected = data;
	g_autofree char *text = daemon_stderr(expected->daemon);

	return strstr(text, expected->words) != NULL;
}

static void wait_words(const struct daemon *daemon, const char *words)
{
	struct expectation expected = {daemon, words};

	if (!suite_wait(has_said, &expected, WAIT_MS)) {
		g_error("the daemon does not say \"%s\"", words);
	}
}

/* It ends with 1 and one line that has all the words, before there is a socket. */
static void check_refusal(const char *const *args, const char *const *env,
			  const char *const words[N_WORDS])
{
	struct daemon *daemon = daemon_spawn(args, env, -1);

	g_assert_cmpint(daemon_wait_exit(daemon, WAIT_MS), ==, 1);
	g_autofree char *text = daemon_stderr(daemon);
	for (unsigned int i = 0; i < N_WORDS && words[i] != NULL; i++) {
		if (strstr(text, words[i]) == NULL) {
			g_error("\"%s\" is not in: %s", words[i], text);
		}
	}
	g_assert_true(strchr(text, '\n') == text + strlen(text) - 1);
	g_assert_false(g_file_test(daemon->socket_path, G_FILE_TEST_EXISTS));
	daemon_destroy(daemon);
}

/* Nobody as a user, on a host with a render node; needs the binary to be where nobody may reach. */
static void need_other_users(void)
{
	static const char *const args[] = {"--version", NULL};

	if (geteuid() != 0) {
		suite_skip("trouble: only root can become another user");
	}
	proto_confine("locked-gpu poor-user");
	struct daemon *daemon = daemon_spawn(args, NULL, -1);
	int status = daemon_wait_exit(daemon, WAIT_MS);
	daemon_destroy(daemon);
	if (status == 125) {
		suite_skip("trouble: nobody may not execute the binary where it lies");
	}
}

static void test_locked_gpu_named(const void *data G_GNUC_UNUSED)
{
	static const char *const args[] = {
		"--socket-path", "@SOCKET@", "--virgl", "--gpu-device", "/dev/dri/renderD128", NULL};
	static const char *const words[N_WORDS] = {"Failed to open GPU device '/dev/dri/renderD128': Permission denied",
						   "group"};

	need_other_users();
	proto_confine("locked-gpu user");
	check_refusal(args, NULL, words);
}

/* Nobody named it: that all is drawn in software is a warning. */
static void test_locked_gpu(const void *data G_GNUC_UNUSED)
{
	need_other_users();
	proto_confine("locked-gpu user");
	struct daemon *daemon = daemon_spawn(virgl_args, NULL, -1);
	close(daemon_connect_or_skip(daemon));
	wait_words(daemon, "no render node can be opened, and it may be drawn in software: "
			   "'/dev/dri/renderD128': Permission denied (add this user to the group");
	daemon_destroy(daemon);
}

static void test_locked_folder(const void *data G_GNUC_UNUSED)
{
	static const char *const args[] = {"--socket-path", "@SOCKET@", NULL};
	static const char *const words[N_WORDS] = {
		"--socket-path", "this user may not make a socket there; choose another directory",
		"SELinux or AppArmor"};

	need_other_users();
	proto_confine("poor-user");
	check_refusal(args, NULL, words);
}

static void test_locked_udmabuf(const void *data G_GNUC_UNUSED)
{
	static const char *const args[] = {"--socket-path", "@SOCKET@", "--dmabuf", "on", NULL};
	static const char *const words[N_WORDS] = {"--dmabuf on: '/dev/udmabuf'", "modprobe udmabuf",
						   "--dmabuf off"};

	need_other_users();
	proto_confine("locked-gpu user");
	check_refusal(args, NULL, words);
}

/* A file of that name that is no library stands for none: the linker looks no further. */
static void check_no_library(const char *name, const char *const words[N_WORDS])
{
	g_autofree char *folder = g_dir_make_tmp("proto-XXXXXX", NULL);
	g_autofree char *file = g_build_filename(folder, name, NULL);
	g_autofree char *variable = g_strconcat("LD_LIBRARY_PATH=", folder, NULL);
	const char *const env[] = {variable, NULL};

	g_assert_true(g_file_set_contents(file, "not a library", -1, NULL));
	check_refusal(virgl_args, env, words);
	unlink(file);
	rmdir(folder);
}

static void test_no_egl_library(const void *data G_GNUC_UNUSED)
{
	static const char *const words[N_WORDS] = {"needs EGL", "install libegl1", "--gpu-mode 2d"};

	check_no_library("libEGL.so.1", words);
}

static void test_no_gles_library(const void *data G_GNUC_UNUSED)
{
	static const char *const words[N_WORDS] = {"virglrenderer needs OpenGL ES",
						   "install libgles2"};

	check_no_library("libGLESv2.so.2", words);
}

/* EGL of Mesa's is there, and none of its drivers. Newer ones are in the library itself. */
static void test_no_mesa_driver(const void *data G_GNUC_UNUSED)
{
	static const char *const env[] = {"LIBGL_DRIVERS_PATH=/nonexistent", NULL};
	struct daemon *daemon = daemon_spawn(virgl_args, env, -1);

	while (daemon_is_running(daemon)) {
		if (g_file_test(daemon->socket_path, G_FILE_TEST_EXISTS)) {
			daemon_destroy(daemon);
			suite_skip("trouble: this Mesa has no drivers in files of their own");
		}
		g_usleep(1000);
	}
	g_autofree char *text = daemon_stderr(daemon);
	g_assert_cmpint(daemon_wait_exit(daemon, 0), ==, 1);
	g_assert_nonnull(strstr(text, "virglrenderer can't start"));
	g_assert_nonnull(strstr(text, "libgl1-mesa-dri"));
	daemon_destroy(daemon);
}

static void test_neither_egl_nor_glx(const void *data G_GNUC_UNUSED)
{
	static const char *const args[] = {"--socket-path", "@SOCKET@", "--virgl", "--use-egl",
					   "false", NULL};
	static const char *const words[N_WORDS] = {"virglrenderer needs EGL or GLX",
						   "--use-egl true"};

	check_refusal(args, NULL, words);
}

static void test_no_x_server(const void *data G_GNUC_UNUSED)
{
	static const char *const args[] = {"--socket-path", "@SOCKET@",	 "--virgl", "--use-egl",
					   "false",	    "--use-glx", "true",    NULL};
	static const char *const words[N_WORDS] = {
		"GLX needs an X server, and DISPLAY is not set", "--use-egl true"};

	g_unsetenv("DISPLAY");
	check_refusal(args, NULL, words);
}

static void test_no_fence(const void *data G_GNUC_UNUSED)
{
	static const char *const env[] = {"MOCK_VIRGL_FENCES=never", NULL};
	static const char *const words[N_WORDS] = {"virglrenderer signals no fence",
						   "LIBGL_ALWAYS_SOFTWARE=1"};

	mock_virgl_use();
	check_refusal(virgl_args, env, words);
}

/* There is a file in its place. */
static void test_no_shader_cache(const void *data G_GNUC_UNUSED)
{
	static const char *const args[] = {"--socket-path",  "@SOCKET@",	"--virgl",
					   "--shader-cache", "/dev/null/cache", NULL};
	static const char *const words[N_WORDS] = {
		"--shader-cache '/dev/null/cache': Not a directory", "allowed: a folder"};

	check_refusal(args, NULL, words);
}

static void test_driver_crashes(const void *data G_GNUC_UNUSED)
{
	g_autofree char *variable =
		g_strconcat("LD_LIBRARY_PATH=", g_getenv("BROKEN_VIRGLRENDERER"), NULL);
	const char *const env[] = {variable, NULL};
	static const char *const words[N_WORDS] = {
		"virglrenderer cannot start: it crashes", "the GPU driver is broken",
		"LIBGL_ALWAYS_SOFTWARE=1"};

	proto_let_signals_kill();
	check_refusal(virgl_args, env, words);
}

/* A second machine on a socket whose machine is still there. */
static void test_second_machine(const void *data G_GNUC_UNUSED)
{
	struct daemon *daemon = daemon_start("null", NULL);
	struct frontend *first = frontend_create(daemon_connect(daemon));

	frontend_handshake(first);
	struct frontend *second = frontend_create(daemon_connect(daemon));
	wait_words(daemon, "a front-end waits until one of 1 that are served ends (--max-clients");
	frontend_assert_alive(first);
	frontend_destroy(first);
	frontend_handshake(second);
	frontend_destroy(second);
	daemon_destroy(daemon);
}

/* One after the other is no trouble, even where the second one does not wait for the end of the
 * first. */
static void test_next_machine(const void *data G_GNUC_UNUSED)
{
	struct daemon *daemon = daemon_start("null", NULL);
	gint64 longest_us = 0;

	for (unsigned int i = 0; i < 5; i++) {
		gint64 start_us = g_get_monotonic_time();
		struct frontend *frontend = frontend_create(daemon_connect(daemon));

		frontend_handshake(frontend);
		longest_us = MAX(longest_us, g_get_monotonic_time() - start_us);
		frontend_destroy(frontend);
	}
	g_usleep(1500 * 1000);
	g_autofree char *text = daemon_stderr(daemon);
	/* Unless this machine has had it wait so long that it is to be said. */
	if (longest_us < G_USEC_PER_SEC / 2) {
		g_assert_null(strstr(text, "waits"));
	}
	daemon_destroy(daemon);
}

/* QEMU without memory that is shared has no region to tell of, and rings all the same. */
static void test_memory_not_shared(const void *data G_GNUC_UNUSED)
{
	struct rig *rig = proto_rig_handshaken();
	struct vhost_user_vring_addr addr = {.index = 0, .desc = 0x10000};

	g_assert_cmpuint(frontend_request(rig->frontend, VHOST_USER_SET_VRING_ADDR, &addr,
					  sizeof(addr), NULL, 0),
			 !=, 0);
	wait_words(rig->daemon, "of which the front-end shares none");
	wait_words(rig->daemon, "memory-backend-memfd");
	rig_destroy(rig);
}

int main(int argc, char **argv)
{
	suite_init(&argc, &argv);
	suite_add(test_locked_gpu_named, NULL, "/proto/trouble/locked_gpu_named");
	suite_add(test_locked_gpu, NULL, "/proto/trouble/locked_gpu");
	suite_add(test_locked_folder, NULL, "/proto/trouble/locked_folder");
	suite_add(test_locked_udmabuf, NULL, "/proto/trouble/locked_udmabuf");
	suite_add(test_no_egl_library, NULL, "/proto/trouble/no_egl_library");
	suite_add(test_no_gles_library, NULL, "/proto/trouble/no_gles_library");
	suite_add(test_no_mesa_driver, NULL, "/proto/trouble/no_mesa_driver");
	suite_add(test_neither_egl_nor_glx, NULL, "/proto/trouble/neither_egl_nor_glx");
	suite_add(test_no_x_server, NULL, "/proto/trouble/no_x_server");
	suite_add(test_no_fence, NULL, "/proto/trouble/no_fence");
	suite_add(test_no_shader_cache, NULL, "/proto/trouble/no_shader_cache");
	suite_add(test_driver_crashes, NULL, "/proto/trouble/driver_crashes");
	suite_add(test_second_machine, NULL, "/proto/trouble/second_machine");
	suite_add(test_next_machine, NULL, "/proto/trouble/next_machine");
	suite_add(test_memory_not_shared, NULL, "/proto/trouble/memory_not_shared");
	return suite_run();
}
