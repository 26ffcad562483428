/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "util/service.h"

#include <errno.h>
#include <glib.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "util/log.h"

#define MAX_SOCKETS 1024

/* To NOTIFY_SOCKET, -1: nobody waits. Of the process that was started, not of its children. */
static int notify_fd = -1;

/* 0: it is no such number. */
static guint64 number_in(const char *variable, guint64 max)
{
	const char *text = g_getenv(variable);
	guint64 value;

	if (text == NULL || !g_ascii_string_to_unsigned(text, 10, 1, max, &value, NULL)) {
		return 0;
	}
	return value;
}

unsigned int service_take_sockets(void)
{
	/* Else they were passed to whoever has started us. */
	bool is_ours = number_in("LISTEN_PID", G_MAXINT) == (guint64)getpid();
	guint64 n = is_ours ? number_in("LISTEN_FDS", MAX_SOCKETS) : 0;

	g_unsetenv("LISTEN_PID");
	g_unsetenv("LISTEN_FDS");
	g_unsetenv("LISTEN_FDNAMES");
	return (unsigned int)n;
}

/* "/run/..." or, in the abstract namespace, "@..."; 0: it is neither. */
static socklen_t fill_address(const char *name, struct sockaddr_un *address)
{
	size_t length = strlen(name);

	if ((*name != '/' && *name != '@') || length >= sizeof(address->sun_path)) {
		return 0;
	}
	*address = (struct sockaddr_un){ .sun_family = AF_UNIX };
	memcpy(address->sun_path, name, length);
	if (*name == '@') {
		address->sun_path[0] = '\0';
	}
	return (socklen_t)(offsetof(struct sockaddr_un, sun_path) + length);
}

void service_open(void)
{
	g_autofree char *name = g_strdup(g_getenv("NOTIFY_SOCKET"));
	struct sockaddr_un address;

	g_unsetenv("NOTIFY_SOCKET");
	if (name == NULL) {
		return;
	}
	socklen_t size = fill_address(name, &address);
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (size == 0 || fd < 0 || connect(fd, (const struct sockaddr *)&address, size) < 0) {
		log_warn("NOTIFY_SOCKET '%s': %s; nobody is told that this is ready", name,
			 size == 0 ? "no path of a socket" : g_strerror(errno));
		if (fd >= 0) {
			close(fd);
		}
		return;
	}
	notify_fd = fd;
}

void service_say_ready(void)
{
	static const char ready[] = "READY=1";

	if (notify_fd < 0) {
		return;
	}
	if (send(notify_fd, ready, strlen(ready), MSG_NOSIGNAL) < 0) {
		log_warn("NOTIFY_SOCKET: %s", g_strerror(errno));
	}
	close(notify_fd);
	notify_fd = -1;
}
