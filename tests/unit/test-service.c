/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* What a service manager passes, and what it is told. */
#include <glib/gstdio.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "util/log.h"
#include "util/service.h"
#include "unit.h"

/* ---- sockets ---- */

static const struct passed {
	const char *pid; /* "self": our own */
	const char *fds;
	unsigned int expected;
} passed[] = {
	{ "self", "1", 1 },
	{ "self", "3", 3 },
	{ "self", "0", 0 },
	{ "self", "-1", 0 },
	{ "self", "", 0 },
	{ "self", "1 ", 0 },
	{ "self", "1025", 0 },
	{ "self", "x", 0 },
	{ "self", "4294967297", 0 },
	{ "self", NULL, 0 },
	{ NULL, "1", 0 },
	{ "1", "1", 0 },
	{ "0", "1", 0 },
	{ "", "1", 0 },
	{ "selfish", "1", 0 },
	{ "4294967297", "1", 0 },
	{ "self", "99999999999999999999", 0 },
};

static void set(const char *variable, const char *value)
{
	if (value == NULL) {
		g_unsetenv(variable);
	} else {
		g_setenv(variable, value, TRUE);
	}
}

static void test_sockets(void)
{
	g_autofree char *self = g_strdup_printf("%d", getpid());

	for (size_t i = 0; i < G_N_ELEMENTS(passed); i++) {
		set("LISTEN_PID", g_strcmp0(passed[i].pid, "self") == 0 ? self : passed[i].pid);
		set("LISTEN_FDS", passed[i].fds);
		set("LISTEN_FDNAMES", "gpu");
		g_assert_cmpuint(service_take_sockets(), ==, passed[i].expected);
		/* Nobody takes them twice, no child for its own. */
		g_assert_null(g_getenv("LISTEN_PID"));
		g_assert_null(g_getenv("LISTEN_FDS"));
		g_assert_null(g_getenv("LISTEN_FDNAMES"));
		g_assert_cmpuint(service_take_sockets(), ==, 0);
	}
}

/* ---- the word ---- */

/* Listens where name says, "@" for the abstract namespace. */
static int listen_for_words(const char *name)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	size_t length = strlen(name);
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	g_assert_no_errno(fd);
	g_assert_cmpuint(length, <, sizeof(address.sun_path));
	memcpy(address.sun_path, name, length);
	if (*name == '@') {
		address.sun_path[0] = '\0';
	}
	g_assert_no_errno(bind(fd, (const struct sockaddr *)&address,
			       (socklen_t)(offsetof(struct sockaddr_un, sun_path) + length)));
	return fd;
}

static void check_ready(const char *name)
{
	unsigned int n_fds = unit_count_fds();
	int fd = listen_for_words(name);
	char words[64] = "";

	g_setenv("NOTIFY_SOCKET", name, TRUE);
	service_open();
	g_assert_null(g_getenv("NOTIFY_SOCKET"));
	g_assert_false(unit_is_readable(fd));
	service_say_ready();
	g_assert_cmpint(recv(fd, words, sizeof(words), MSG_DONTWAIT), ==, 7);
	g_assert_cmpstr(words, ==, "READY=1");
	/* Once. */
	service_say_ready();
	g_assert_false(unit_is_readable(fd));
	close(fd);
	g_assert_cmpuint(unit_count_fds(), ==, n_fds);
}

static void test_ready(void)
{
	g_autofree char *folder = g_dir_make_tmp("test-service-XXXXXX", NULL);
	g_autofree char *path = g_build_filename(folder, "notify", NULL);
	g_autofree char *abstract = g_strconcat("@", path, NULL);

	check_ready(path);
	g_unlink(path);
	check_ready(abstract);
	g_rmdir(folder);
}

/* That nobody hears it is said, and no reason not to serve. */
static void test_nobody_hears(void)
{
	static const char *const names[] = { "/nonexistent/notify", "@nonexistent-notify", "",
					     "notify", "vsock:2:1234" };
	g_autofree char *long_name = g_strnfill(200, '/');
	unsigned int n_fds = unit_count_fds();

	for (size_t i = 0; i <= G_N_ELEMENTS(names); i++) {
		const char *name = i < G_N_ELEMENTS(names) ? names[i] : long_name;

		g_setenv("NOTIFY_SOCKET", name, TRUE);
		unit_capture_begin();
		service_open();
		service_say_ready();
		g_autofree char *text = unit_capture_end();
		g_assert_nonnull(strstr(text, name));
		g_assert_cmpuint(unit_count_lines(text), ==, 1);
	}
	g_assert_cmpuint(unit_count_fds(), ==, n_fds);
}

static void test_nobody_waits(void)
{
	g_unsetenv("NOTIFY_SOCKET");
	unit_capture_begin();
	service_open();
	service_say_ready();
	g_autofree char *text = unit_capture_end();
	g_assert_cmpstr(text, ==, "");
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	log_threshold = LOG_LEVEL_WARN;
	g_test_add_func("/service/sockets", test_sockets);
	g_test_add_func("/service/ready", test_ready);
	g_test_add_func("/service/nobody-hears", test_nobody_hears);
	g_test_add_func("/service/nobody-waits", test_nobody_waits);
	return g_test_run();
}
