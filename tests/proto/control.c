/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "control.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "suite.h"

char *control_path(const struct daemon *daemon)
{
	return g_strdup_printf("%s.ctl", daemon->socket_path);
}

int control_try_connect(const struct daemon *daemon)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	g_autofree char *path = control_path(daemon);
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	g_strlcpy(address.sun_path, path, sizeof(address.sun_path));
	g_assert_no_errno(fd);
	if (connect(fd, (const struct sockaddr *)&address, sizeof(address)) < 0) {
		int error = -errno;
		close(fd);
		return error;
	}
	return fd;
}

int control_connect(const struct daemon *daemon)
{
	int fd = control_try_connect(daemon);

	g_assert_cmpint(fd, >=, 0);
	return fd;
}

GString *control_read_all(int consume_fd)
{
	GString *text = g_string_new(NULL);
	char bytes[65536];
	ssize_t n;

	while ((n = recv(consume_fd, bytes, sizeof(bytes), 0)) > 0) {
		g_string_append_len(text, bytes, n);
	}
	close(consume_fd);
	return text;
}

GString *control_say(const struct daemon *daemon, const char *bytes, size_t length)
{
	int fd = control_connect(daemon);

	g_assert_cmpint(send(fd, bytes, length, MSG_NOSIGNAL), ==, (ssize_t)length);
	return control_read_all(fd);
}

char *control_ask(const struct daemon *daemon, const char *question)
{
	g_autofree char *line = g_strdup_printf(GREETING "%s\n", question);
	GString *text = control_say(daemon, line, strlen(line));

	g_assert_true(g_str_has_prefix(text->str, GREETING));
	g_assert_nonnull(strstr(text->str, "\nend\n"));
	return g_string_free(text, FALSE);
}

void control_assert_screenshot(const struct daemon *daemon, const uint32_t *pixels, uint32_t width,
			       uint32_t height)
{
	static const char question[] = GREETING "screenshot\n";
	GString *text = control_say(daemon, question, strlen(question));
	g_autofree char *begin =
		g_strdup_printf(OK "picture scanout=0 width=%u height=%u ", width, height);
	const char *end = g_strstr_len(text->str, (gssize)text->len, "\nend\n");

	if (!end || !g_str_has_prefix(text->str, begin)) {
		g_error("not '%s' but:\n%s", begin, text->str);
	}
	const char *seen = end + strlen("\nend\n");
	size_t n = (size_t)width * height;
	g_assert_cmpuint(text->len - (size_t)(seen - text->str), ==, n * 4);
	for (size_t i = 0; i < n; i++) {
		uint32_t pixel;

		memcpy(&pixel, seen + 4 * i, sizeof(pixel));
		g_assert_cmphex(pixel & 0xffffff, ==, pixels[i] & 0xffffff);
	}
	g_string_free(text, TRUE);
}
