/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* Whole vhost-user messages out of a stream that comes in pieces, and what is no message. */
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "vhost/conn.h"
#include "unit.h"

struct fixture {
	struct conn conn;
	int peer;
	unsigned int n_fds; /* open before the test */
};

static void setup(struct fixture *f, gconstpointer data G_GNUC_UNUSED)
{
	int pair[2];

	f->n_fds = unit_count_fds();
	unit_socketpair(pair);
	conn_init(&f->conn, pair[0]);
	f->peer = pair[1];
}

static void teardown(struct fixture *f, gconstpointer data G_GNUC_UNUSED)
{
	conn_finish(&f->conn);
	if (f->peer >= 0) {
		close(f->peer);
	}
	/* No test leaves a descriptor behind, whatever was sent. */
	g_assert_cmpuint(unit_count_fds(), ==, f->n_fds);
}

static void hang_up(struct fixture *f)
{
	close(f->peer);
	f->peer = -1;
}

static struct vhost_user_header make_header(uint32_t request, uint32_t size)
{
	return (struct vhost_user_header){ request, VHOST_USER_VERSION, size };
}

static void send_with_fds(int to, const void *bytes, size_t size_bytes, const int *fds, size_t n)
{
	union {
		struct cmsghdr header;
		char bytes[CMSG_SPACE(32 * sizeof(int))];
	} control = { .bytes = { 0 } };
	struct iovec iov = { (void *)(uintptr_t)bytes, size_bytes };
	struct msghdr message = { .msg_iov = &iov, .msg_iovlen = 1 };

	if (n > 0) {
		message.msg_control = control.bytes;
		message.msg_controllen = CMSG_SPACE(n * sizeof(int));
		control.header.cmsg_level = SOL_SOCKET;
		control.header.cmsg_type = SCM_RIGHTS;
		control.header.cmsg_len = CMSG_LEN(n * sizeof(int));
		memcpy(CMSG_DATA(&control.header), fds, n * sizeof(int));
	}
	g_assert_cmpint(sendmsg(to, &message, 0), ==, (ssize_t)size_bytes);
}

static void assert_next(struct fixture *f, uint32_t request, uint64_t value)
{
	struct conn_message message;

	g_assert_cmpint(conn_receive(&f->conn, &message), ==, CONN_OK);
	g_assert_cmpuint(message.header.request, ==, request);
	if (message.header.size > 0) {
		g_assert_cmpuint(message.payload.u64, ==, value);
	}
	g_assert_cmpuint(message.n_fds, ==, 0);
	conn_message_finish(&message);
}

static enum conn_status receive_status(struct fixture *f)
{
	struct conn_message message;

	return conn_receive(&f->conn, &message);
}

/* ---- receiving ---- */

static void test_nothing_yet(struct fixture *f, gconstpointer data G_GNUC_UNUSED)
{
	g_assert_cmpint(receive_status(f), ==, CONN_E_AGAIN);
	g_assert_cmpint(receive_status(f), ==, CONN_E_AGAIN);
}

static void test_several_at_once(struct fixture *f, gconstpointer data G_GNUC_UNUSED)
{
	const struct vhost_user_header both[] = { make_header(1, 0), make_header(2, 8) };
	const uint64_t value = 77;

	unit_write(f->peer, both, sizeof(both));
	unit_write(f->peer, &value, sizeof(value));
	assert_next(f, 1, 0);
	assert_next(f, 2, 77);
	g_assert_cmpint(receive_status(f), ==, CONN_E_AGAIN);
}

static void test_byte_by_byte(struct fixture *f, gconstpointer data G_GNUC_UNUSED)
{
	char bytes[sizeof(struct vhost_user_header) + sizeof(uint64_t)];
	const struct vhost_user_header header = make_header(7, 8);
	const uint64_t value = UINT64_C(0x1122334455667788);

	memcpy(bytes, &header, sizeof(header));
	memcpy(bytes + sizeof(header), &value, sizeof(value));
	for (int round = 0; round < 3; round++) {
		for (size_t i = 0; i + 1 < sizeof(bytes); i++) {
			unit_write(f->peer, bytes + i, 1);
			g_assert_cmpint(receive_status(f), ==, CONN_E_AGAIN);
		}
		unit_write(f->peer, bytes + sizeof(bytes) - 1, 1);
		assert_next(f, 7, value);
	}
}

static void test_split_anywhere(struct fixture *f, gconstpointer data G_GNUC_UNUSED)
{
	/* The second half also brings the next message. */
	char bytes[2 * (sizeof(struct vhost_user_header) + sizeof(uint64_t))];
	const struct vhost_user_header header = make_header(3, 8);
	const uint64_t first = 1, second = 2;

	memcpy(bytes, &header, 12);
	memcpy(bytes + 12, &first, 8);
	memcpy(bytes + 20, &header, 12);
	memcpy(bytes + 32, &second, 8);
	for (size_t cut = 1; cut < 20; cut++) {
		unit_write(f->peer, bytes, cut);
		g_assert_cmpint(receive_status(f), ==, CONN_E_AGAIN);
		unit_write(f->peer, bytes + cut, sizeof(bytes) - cut);
		assert_next(f, 3, first);
		assert_next(f, 3, second);
	}
}

static void test_largest_payload(struct fixture *f, gconstpointer data G_GNUC_UNUSED)
{
	const struct vhost_user_header header = make_header(5, sizeof(union vhost_user_payload));
	char payload[sizeof(union vhost_user_payload)];
	struct conn_message message;

	memset(payload, 0x5a, sizeof(payload));
	unit_write(f->peer, &header, sizeof(header));
	unit_write(f->peer, payload, sizeof(payload));
	g_assert_cmpint(conn_receive(&f->conn, &message), ==, CONN_OK);
	unit_assert_bytes(&message.payload, payload, sizeof(payload));
	conn_message_finish(&message);
}

/* ---- descriptors ---- */

static void test_fds_come_with_their_message(struct fixture *f, gconstpointer data G_GNUC_UNUSED)
{
	const struct vhost_user_header header = make_header(5, 0);
	int fds[SOCK_MAX_FDS];
	struct conn_message message;

	for (size_t i = 0; i < SOCK_MAX_FDS; i++) {
		fds[i] = unit_memfd(0);
	}
	send_with_fds(f->peer, &header, sizeof(header), fds, SOCK_MAX_FDS);
	g_assert_cmpint(conn_receive(&f->conn, &message), ==, CONN_OK);
	g_assert_cmpuint(message.n_fds, ==, SOCK_MAX_FDS);
	for (size_t i = 0; i < SOCK_MAX_FDS; i += 2) {
		int taken = conn_message_take_fd(&message, i);

		g_assert_true(unit_is_same_file(taken, fds[i]));
		g_assert_cmpint(conn_message_take_fd(&message, i), ==, -1);
		close(taken);
	}
	g_assert_cmpint(conn_message_take_fd(&message, SOCK_MAX_FDS), ==, -1);
	conn_message_finish(&message); /* closes the others */
	for (size_t i = 0; i < SOCK_MAX_FDS; i++) {
		close(fds[i]);
	}
}

static void test_fds_with_the_payload_only(struct fixture *f, gconstpointer data G_GNUC_UNUSED)
{
	const struct vhost_user_header header = make_header(5, 8);
	const uint64_t value = 9;
	int fd = unit_memfd(0);
	struct conn_message message;

	unit_write(f->peer, &header, sizeof(header));
	g_assert_cmpint(receive_status(f), ==, CONN_E_AGAIN);
	send_with_fds(f->peer, &value, sizeof(value), &fd, 1);
	g_assert_cmpint(conn_receive(&f->conn, &message), ==, CONN_OK);
	g_assert_cmpuint(message.n_fds, ==, 1);
	conn_message_finish(&message);
	close(fd);
	/* The next message has none of them. */
	const struct vhost_user_header next = make_header(6, 0);
	unit_write(f->peer, &next, sizeof(next));
	assert_next(f, 6, 0);
}

static void test_surplus_over_several_parts_is_closed(struct fixture *f,
						      gconstpointer data G_GNUC_UNUSED)
{
	const struct vhost_user_header header = make_header(5, 8);
	const char *bytes = (const char *)&header;
	const uint64_t value = 0;
	int fds[SOCK_MAX_FDS];
	struct conn_message message;

	for (size_t i = 0; i < SOCK_MAX_FDS; i++) {
		fds[i] = unit_memfd(0);
	}
	send_with_fds(f->peer, bytes, 6, fds, SOCK_MAX_FDS);
	g_assert_cmpint(receive_status(f), ==, CONN_E_AGAIN);
	send_with_fds(f->peer, bytes + 6, 6, fds, SOCK_MAX_FDS);
	g_assert_cmpint(receive_status(f), ==, CONN_E_AGAIN);
	unit_write(f->peer, &value, sizeof(value));
	g_assert_cmpint(conn_receive(&f->conn, &message), ==, CONN_OK);
	g_assert_cmpuint(message.n_fds, ==, SOCK_MAX_FDS);
	conn_message_finish(&message);
	for (size_t i = 0; i < SOCK_MAX_FDS; i++) {
		close(fds[i]);
	}
}

static void test_too_many_fds_at_once(struct fixture *f, gconstpointer data G_GNUC_UNUSED)
{
	const struct vhost_user_header header = make_header(5, 0);
	int fds[32], fd = unit_memfd(0);

	for (size_t i = 0; i < G_N_ELEMENTS(fds); i++) {
		fds[i] = fd;
	}
	send_with_fds(f->peer, &header, sizeof(header), fds, G_N_ELEMENTS(fds));
	close(fd);
	g_assert_cmpint(receive_status(f), ==, CONN_E_VIOLATION);
}

static void test_fds_of_an_unfinished_message_are_closed(struct fixture *f,
							 gconstpointer data G_GNUC_UNUSED)
{
	const struct vhost_user_header header = make_header(5, 8);
	int fd = unit_memfd(0);

	send_with_fds(f->peer, &header, sizeof(header), &fd, 1);
	close(fd);
	g_assert_cmpint(receive_status(f), ==, CONN_E_AGAIN);
	/* teardown counts */
}

/* ---- the end ---- */

static void test_closed_between_messages(struct fixture *f, gconstpointer data G_GNUC_UNUSED)
{
	const struct vhost_user_header header = make_header(1, 0);

	unit_write(f->peer, &header, sizeof(header));
	hang_up(f);
	assert_next(f, 1, 0);
	g_assert_cmpint(receive_status(f), ==, CONN_E_CLOSED);
	g_assert_cmpint(receive_status(f), ==, CONN_E_CLOSED);
}

static void test_closed_inside_a_message(struct fixture *f, gconstpointer data G_GNUC_UNUSED)
{
	const struct vhost_user_header header = make_header(1, 8);

	unit_write(f->peer, &header, sizeof(header));
	unit_write(f->peer, "abc", 3);
	hang_up(f);
	g_assert_cmpint(receive_status(f), ==, CONN_E_CLOSED);
}

/* ---- violations ---- */

static void test_violations(struct fixture *f, gconstpointer data G_GNUC_UNUSED)
{
	static const struct vhost_user_header bad[] = {
		{ 1, 0, 0 },			/* version 0 */
		{ 1, 2, 0 },			/* version 2 */
		{ 1, 3, 0 },			/* version 3 */
		{ 1, VHOST_USER_VERSION | VHOST_USER_FLAG_REPLY, 0 },
		{ 1, VHOST_USER_VERSION, sizeof(union vhost_user_payload) + 1 },
		{ 1, VHOST_USER_VERSION, UINT32_MAX },
		{ UINT32_MAX, UINT32_MAX, UINT32_MAX },
		{ 0x20544547, 0x5448202f, 0x312e3150 }, /* "GET / HTTP1.1" */
	};

	for (size_t i = 0; i < G_N_ELEMENTS(bad); i++) {
		unit_write(f->peer, &bad[i], sizeof(bad[i]));
		g_assert_cmpint(receive_status(f), ==, CONN_E_VIOLATION);
		teardown(f, NULL);
		setup(f, NULL);
	}
}

static void test_flags_that_are_fine(struct fixture *f, gconstpointer data G_GNUC_UNUSED)
{
	const uint32_t flags = VHOST_USER_VERSION | VHOST_USER_FLAG_NEED_REPLY;
	const struct vhost_user_header header = { 1, flags, 0 };

	unit_write(f->peer, &header, sizeof(header));
	assert_next(f, 1, 0);
}

/* ---- replying ---- */

static void test_reply(struct fixture *f, gconstpointer data G_GNUC_UNUSED)
{
	const struct conn_message request = {
		.header = { 15, VHOST_USER_VERSION | VHOST_USER_FLAG_NEED_REPLY, 0 }
	};
	const uint64_t value = UINT64_C(0xfedcba9876543210);
	struct vhost_user_header header;
	uint64_t received;

	g_assert_cmpint(conn_reply(&f->conn, &request, &value, sizeof(value)), ==, CONN_OK);
	unit_read(f->peer, &header, sizeof(header));
	unit_read(f->peer, &received, sizeof(received));
	g_assert_cmpuint(header.request, ==, 15);
	g_assert_cmphex(header.flags, ==, VHOST_USER_VERSION | VHOST_USER_FLAG_REPLY);
	g_assert_cmpuint(header.size, ==, sizeof(value));
	g_assert_cmphex(received, ==, value);

	g_assert_cmpint(conn_reply(&f->conn, &request, NULL, 0), ==, CONN_OK);
	unit_read(f->peer, &header, sizeof(header));
	g_assert_cmpuint(header.size, ==, 0);
	g_assert_false(unit_is_readable(f->peer));
}

static void test_reply_to_nobody(struct fixture *f, gconstpointer data G_GNUC_UNUSED)
{
	const struct conn_message request = { .header = { 1, VHOST_USER_VERSION, 0 } };

	hang_up(f);
	g_assert_cmpint(conn_reply(&f->conn, &request, "x", 1), ==, CONN_E_CLOSED);
}

static void test_reply_that_nobody_reads(struct fixture *f, gconstpointer data G_GNUC_UNUSED)
{
	const struct conn_message request = { .header = { 1, VHOST_USER_VERSION, 0 } };
	enum conn_status status = CONN_OK;
	char payload[256] = "";

	for (int i = 0; i < 100000 && status == CONN_OK; i++) {
		status = conn_reply(&f->conn, &request, payload, sizeof(payload));
	}
	g_assert_cmpint(status, ==, CONN_E_VIOLATION);
}

int main(int argc, char **argv)
{
	static const struct {
		const char *path;
		void (*test)(struct fixture *f, gconstpointer data);
	} tests[] = {
		{ "/conn/receive/nothing-yet", test_nothing_yet },
		{ "/conn/receive/several-at-once", test_several_at_once },
		{ "/conn/receive/byte-by-byte", test_byte_by_byte },
		{ "/conn/receive/split-anywhere", test_split_anywhere },
		{ "/conn/receive/largest-payload", test_largest_payload },
		{ "/conn/fds/come-with-their-message", test_fds_come_with_their_message },
		{ "/conn/fds/with-the-payload-only", test_fds_with_the_payload_only },
		{ "/conn/fds/surplus-over-several-parts-is-closed",
		  test_surplus_over_several_parts_is_closed },
		{ "/conn/fds/too-many-at-once", test_too_many_fds_at_once },
		{ "/conn/fds/of-an-unfinished-message-are-closed",
		  test_fds_of_an_unfinished_message_are_closed },
		{ "/conn/closed/between-messages", test_closed_between_messages },
		{ "/conn/closed/inside-a-message", test_closed_inside_a_message },
		{ "/conn/violations", test_violations },
		{ "/conn/flags-that-are-fine", test_flags_that_are_fine },
		{ "/conn/reply", test_reply },
		{ "/conn/reply/to-nobody", test_reply_to_nobody },
		{ "/conn/reply/that-nobody-reads", test_reply_that_nobody_reads },
	};

	g_test_init(&argc, &argv, NULL);
	for (size_t i = 0; i < G_N_ELEMENTS(tests); i++) {
		g_test_add(tests[i].path, struct fixture, NULL, setup, tests[i].test, teardown);
	}
	return g_test_run();
}
