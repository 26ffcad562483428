/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "ctl/ctl.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include "control/protocol.h"
#include "display/display.h"

#define MAX_PICTURE_BYTES ((size_t)DISPLAY_MAX_SIDE * DISPLAY_MAX_SIDE * 4)
#define END "\nend\n"

static struct records *G_GNUC_PRINTF(1, 2) fail(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	g_autofree char *text = g_strdup_vprintf(format, args);
	va_end(args);
	fprintf(stderr, "vhost-device-gpuctl: %s\n", text);
	return NULL;
}

static const char *explain(int error)
{
	switch (error) {
	case ENOENT:
		return "there is no such socket (is vhost-device-gpu started with "
		       "--control-socket?)";
	case ECONNREFUSED:
		return "nobody listens there any more";
	case EACCES:
		return "it is another user's";
	default:
		return g_strerror(error);
	}
}

static int open_socket(const struct client *client)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	struct timeval limit = { .tv_sec = client->limit_s };

	if (strlen(client->path) >= sizeof(address.sun_path)) {
		errno = ENAMETOOLONG;
		return -1;
	}
	memcpy(address.sun_path, client->path, strlen(client->path));
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0) {
		return -1;
	}
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
	if (connect(fd, (const struct sockaddr *)&address, sizeof(address)) < 0) {
		int error = errno;

		close(fd);
		errno = error;
		return -1;
	}
	return fd;
}

/*
 * Where others may write, such as in /tmp, anybody may listen. Who does is the
 * user that asks, or root; root itself asks whom it names, as instances of the
 * service run as users of their own.
 */
static bool is_trusted(int fd)
{
	struct ucred peer;
	socklen_t size = sizeof(peer);

	return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) == 0 &&
	       (peer.uid == geteuid() || peer.uid == 0 || geteuid() == 0);
}

/* Until the other end closes. False, with errno: it did not in time, or says too much. */
static bool read_all(int fd, size_t max_bytes, GString *answer)
{
	char bytes[65536];
	ssize_t n;

	while ((n = recv(fd, bytes, sizeof(bytes), 0)) > 0) {
		if (answer->len + (size_t)n > max_bytes) {
			errno = EMSGSIZE;
			return false;
		}
		g_string_append_len(answer, bytes, n);
	}
	/* One that hangs up on us may have said something before. */
	return n == 0 || errno == ECONNRESET;
}

static struct records *judge(const struct client *client, struct records *consume_records)
{
	struct records *records = consume_records;

	if (records->error != NULL) {
		fail("%s", records->error);
	} else if (!records->is_whole) {
		fail("'%s': no answer that makes sense; is it the control socket, and of this "
		     "version?",
		     client->path);
	} else {
		return records;
	}
	records_free(records);
	return NULL;
}

/* What stands behind the text. NULL, after a line, if it is not all there. */
static char *take_pixels(const struct records *records, const char *bytes, size_t n_bytes)
{
	const struct record *picture = records_find(records, "picture");
	uint64_t width = record_number(picture, "width");
	uint64_t height = record_number(picture, "height");

	/* Within these sides the product is no larger than it looks. */
	if (width == 0 || width > DISPLAY_MAX_SIDE || height == 0 || height > DISPLAY_MAX_SIDE ||
	    width * height * 4 != record_number(picture, "bytes") ||
	    width * height * 4 != n_bytes) {
		fail("the picture did not come whole");
		return NULL;
	}
	return g_memdup2(bytes, n_bytes);
}

static struct records *understand(const struct client *client, const GString *answer,
				  char **pixels_out)
{
	const char *end = g_strstr_len(answer->str, (gssize)answer->len, END);
	size_t length = end != NULL ? (size_t)(end - answer->str) + strlen(END) : answer->len;
	struct records *records = judge(client, records_parse(answer->str, length));

	if (records == NULL || pixels_out == NULL) {
		return records;
	}
	*pixels_out = take_pixels(records, answer->str + length, answer->len - length);
	if (*pixels_out == NULL) {
		records_free(records);
		return NULL;
	}
	return records;
}

struct records *client_ask(const struct client *client, const char *words, char **pixels_out)
{
	g_autofree char *question = g_strdup_printf(CONTROL_GREETING " %s\n", words);
	size_t max_bytes = CONTROL_MAX_ANSWER_BYTES + (pixels_out != NULL ? MAX_PICTURE_BYTES : 0);
	GString *answer = g_string_new(NULL);
	struct records *records = NULL;
	int fd = open_socket(client);

	if (fd < 0) {
		fail("'%s': %s", client->path, explain(errno));
	} else if (!is_trusted(fd)) {
		fail("'%s': who listens there is neither this user nor root", client->path);
	} else if (send(fd, question, strlen(question), MSG_NOSIGNAL) !=
			   (ssize_t)strlen(question) ||
		   !read_all(fd, max_bytes, answer)) {
		fail("'%s': %s", client->path,
		     errno == EAGAIN ? "no answer in time" : g_strerror(errno));
	} else {
		records = understand(client, answer, pixels_out);
	}
	if (fd >= 0) {
		close(fd);
	}
	g_string_free(answer, TRUE);
	return records;
}
