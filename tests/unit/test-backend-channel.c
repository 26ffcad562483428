/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* What we ask of a front-end: sent whole and in order, answered once each, whatever it does. */
#include "vhost/backend_channel.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "unit.h"
#include "util/sock.h"

#define PAGE UINT64_C(4096)
#define TIMEOUT_US (10 * G_USEC_PER_SEC)
#define MAP VHOST_USER_BACKEND_SHMEM_MAP
#define UNMAP VHOST_USER_BACKEND_SHMEM_UNMAP
#define ECHO VHOST_USER_BACKEND_SHARED_OBJECT_REMOVE
#define REPLY_FLAGS (VHOST_USER_VERSION | VHOST_USER_FLAG_REPLY)

static gint64 now_us = 1000 * G_USEC_PER_SEC;

/* The program's own definition goes before the library's: ten seconds are to pass at once. */
gint64 g_get_monotonic_time(void)
{
	return now_us;
}

struct fixture {
	struct loop loop;
	struct loop_timer pause; /* ends a run of the loop */
	struct backend_channel *channel;
	int peer;
	int memory;
	GString *log; /* answers */
	unsigned int n_came;
	bool has_objects;
	uint64_t ask_again; /* a number to ask with from inside an answer; 0: none */
	bool destroys;	    /* when replies come */
	unsigned int n_fds;
};

static struct vhost_user_mmap range_at(uint64_t page)
{
	return (struct vhost_user_mmap){
		.shmid = 1,
		.fd_offset = 2 * PAGE,
		.shm_offset = page * PAGE,
		.len = PAGE,
		.flags = VHOST_USER_MMAP_RW,
	};
}

static int map(struct fixture *f, uint64_t number)
{
	const struct vhost_user_mmap range = range_at(number);

	return backend_channel_map(f->channel, number, &range, f->memory, f->has_objects);
}

static int unmap(struct fixture *f, uint64_t number)
{
	const struct vhost_user_mmap range = range_at(number);

	return backend_channel_unmap(f->channel, number, &range);
}

static bool replies_came(void *data)
{
	struct fixture *f = data;

	f->n_came++;
	if (f->destroys) {
		g_clear_pointer(&f->channel, backend_channel_destroy);
	}
	return f->channel != NULL;
}

static void answered(void *data, uint64_t number, int error)
{
	struct fixture *f = data;

	g_string_append_printf(f->log, "%" G_GUINT64_FORMAT "=%s ", number,
			       error == 0 ? "0" : g_strerror(-error));
	if (f->ask_again != 0) {
		int asked = map(f, f->ask_again);

		f->ask_again = 0;
		g_string_append_printf(f->log, "(%d) ", asked);
	}
}

static const struct backend_channel_listener listener = { replies_came, answered };

static void pause_loop(void *data)
{
	loop_quit(data);
}

/* What is ready, and whatever is due. */
static void serve(struct fixture *f)
{
	f->loop.quit = false;
	loop_timer_arm(&f->loop, &f->pause, 0);
	g_assert_cmpint(loop_run(&f->loop), ==, 0);
}

static void setup(struct fixture *f, gconstpointer data G_GNUC_UNUSED)
{
	int pair[2];

	*f = (struct fixture){ .n_fds = unit_count_fds(), .log = g_string_new(NULL) };
	f->pause = (struct loop_timer){ .expired = pause_loop, .data = &f->loop };
	f->memory = unit_memfd(PAGE);
	now_us += 60 * G_USEC_PER_SEC; /* each test may log */
	g_assert_cmpint(loop_init(&f->loop, NULL, NULL), ==, 0);
	unit_socketpair(pair);
	f->peer = pair[1];
	g_assert_cmpint(backend_channel_create(&f->loop, pair[0], &listener, f, &f->channel), ==,
			0);
}

static void teardown(struct fixture *f, gconstpointer data G_GNUC_UNUSED)
{
	backend_channel_destroy(f->channel);
	loop_timer_disarm(&f->loop, &f->pause);
	g_assert_null(f->loop.timers);
	loop_finish(&f->loop);
	if (f->peer >= 0) {
		close(f->peer);
	}
	close(f->memory);
	g_string_free(f->log, TRUE);
	g_assert_cmpuint(unit_count_fds(), ==, f->n_fds);
}

static void assert_answers(struct fixture *f, const char *expected)
{
	g_assert_cmpstr(f->log->str, ==, expected);
	g_string_truncate(f->log, 0);
}

/* ---- the front-end ---- */

struct asked {
	struct vhost_user_header header;
	struct vhost_user_mmap range;
};

/* The next question, which has to be whole, with its descriptor. */
static void take_question(struct fixture *f, uint32_t request, uint64_t number)
{
	const struct vhost_user_mmap wanted = range_at(number);
	char bytes[sizeof(struct vhost_user_header) + sizeof(struct vhost_user_mmap)];
	int fds[SOCK_MAX_FDS];
	struct asked asked;
	size_t n_fds = 0;

	g_assert_cmpint(sock_receive(f->peer, bytes, sizeof(bytes), fds, &n_fds), ==,
			sizeof(bytes));
	memcpy(&asked.header, bytes, sizeof(asked.header));
	memcpy(&asked.range, bytes + sizeof(asked.header), sizeof(asked.range));
	g_assert_cmpuint(asked.header.request, ==, request);
	g_assert_cmphex(asked.header.flags, ==, VHOST_USER_VERSION | VHOST_USER_FLAG_NEED_REPLY);
	g_assert_cmpuint(asked.header.size, ==, 40);
	unit_assert_bytes(&asked.range, &wanted, sizeof(wanted));
	g_assert_cmpuint(n_fds, ==, request == MAP);
	if (n_fds > 0) {
		g_assert_true(unit_is_same_file(fds[0], f->memory));
		close(fds[0]);
	}
}

static void send_reply(struct fixture *f, uint32_t request, uint32_t flags, const void *payload,
		       uint32_t size_bytes, int fd_borrow)
{
	struct vhost_user_header header = { request, flags, size_bytes };
	const struct iovec iov[] = {
		{ &header, sizeof(header) },
		{ (void *)(uintptr_t)payload, size_bytes },
	};

	g_assert_cmpint(sock_send(f->peer, iov, size_bytes > 0 ? 2 : 1, fd_borrow), ==,
			(ssize_t)(sizeof(header) + size_bytes));
}

static void answer(struct fixture *f, uint32_t request, uint64_t result)
{
	send_reply(f, request, REPLY_FLAGS, &result, sizeof(result), -1);
}

/* ---- all goes well ---- */

static void test_asked_and_answered(struct fixture *f, gconstpointer data G_GNUC_UNUSED)
{
	g_assert_cmpint(map(f, 7), ==, 0);
	g_assert_cmpint(unmap(f, 3), ==, 0);
	g_assert_cmpint(map(f, 4), ==, 0);
	take_question(f, MAP, 7);
	take_question(f, UNMAP, 3);
	take_question(f, MAP, 4);
	serve(f);
	assert_answers(f, "");
	answer(f, MAP, 0);
	serve(f);
	assert_answers(f, "7=0 ");
	answer(f, UNMAP, 0);
	answer(f, MAP, 0);
	serve(f);
	assert_answers(f, "3=0 4=0 ");
	/* The main socket was looked at before each batch. */
	g_assert_cmpuint(f->n_came, ==, 2);
}

/* Whatever number it says no with: QEMU's is 1, others send an errno. */
static void test_refused(struct fixture *f, gconstpointer data G_GNUC_UNUSED)
{
	static const uint64_t results[] = { 1, EINVAL, UINT64_MAX, (uint64_t)-EINVAL };

	for (size_t i = 0; i < G_N_ELEMENTS(results); i++) {
		g_assert_cmpint(map(f, i), ==, 0);
		answer(f, MAP, results[i]);
	}
	serve(f);
	assert_answers(f, "0=Remote I/O error 1=Remote I/O error 2=Remote I/O error "
			  "3=Remote I/O error ");
	g_assert_cmpint(map(f, 9), ==, 0);
}

static void test_in_pieces(struct fixture *f, gconstpointer data G_GNUC_UNUSED)
{
	const struct vhost_user_header header = { MAP, REPLY_FLAGS, 8 };
	char bytes[2 * 20] = { 0 };

	memcpy(bytes, &header, sizeof(header));
	memcpy(bytes + 20, &header, sizeof(header));
	bytes[32] = 1;
	g_assert_cmpint(map(f, 1), ==, 0);
	g_assert_cmpint(map(f, 2), ==, 0);
	for (size_t i = 0; i < sizeof(bytes); i++) {
		g_assert_cmpint(f->log->len > 0, ==, i >= 20);
		unit_write(f->peer, bytes + i, 1);
		serve(f);
	}
	assert_answers(f, "1=0 2=Remote I/O error ");
}

static void test_ask_from_an_answer(struct fixture *f, gconstpointer data G_GNUC_UNUSED)
{
	g_assert_cmpint(map(f, 1), ==, 0);
	f->ask_again = 2;
	answer(f, MAP, 0);
	serve(f);
	assert_answers(f, "1=0 (0) ");
	take_question(f, MAP, 1);
	take_question(f, MAP, 2);
	answer(f, MAP, 0);
	serve(f);
	assert_answers(f, "2=0 ");
}

/* More than the socket holds: they wait, with descriptors of their own, and nobody with them. */
static void test_queued(struct fixture *f, gconstpointer data G_GNUC_UNUSED)
{
	unsigned int n = 0;

	while (map(f, n) == 0) {
		n++;
	}
	g_assert_cmpuint(n, ==, BACKEND_CHANNEL_MAX_MAPS);
	g_assert_cmpint(map(f, n), ==, -EAGAIN);
	/* What was mapped can be unmapped all the same. */
	g_assert_cmpint(unmap(f, n), ==, 0);
	for (unsigned int i = 0; i < n; i++) {
		while (!unit_is_readable(f->peer)) {
			serve(f);
		}
		take_question(f, MAP, i);
	}
	serve(f);
	take_question(f, UNMAP, n);
	for (unsigned int i = 0; i < n; i++) {
		g_string_truncate(f->log, 0);
		answer(f, MAP, 0);
		serve(f);
	}
	answer(f, UNMAP, 0);
	serve(f);
	g_autofree char *last = g_strdup_printf("%u=0 %u=0 ", n - 1, n);
	assert_answers(f, last);
	g_assert_cmpint(map(f, 1), ==, 0);
}

static void test_bounded(struct fixture *f, gconstpointer data G_GNUC_UNUSED)
{
	for (unsigned int i = 0; i < BACKEND_CHANNEL_MAX_QUESTIONS; i++) {
		g_assert_cmpint(unmap(f, i), ==, 0);
	}
	g_assert_cmpint(unmap(f, 0), ==, -EAGAIN);
	serve(f);
	assert_answers(f, "");
}

/* ---- a front-end that has said yes, and is asked once more ---- */

static void take_echo(struct fixture *f)
{
	char bytes[sizeof(struct vhost_user_header) + sizeof(struct vhost_user_shared)];
	const struct vhost_user_shared nobodys = { 0 };
	int fds[SOCK_MAX_FDS];
	struct vhost_user_header header;
	size_t n_fds = 0;

	g_assert_cmpint(sock_receive(f->peer, bytes, sizeof(bytes), fds, &n_fds), ==,
			sizeof(bytes));
	g_assert_cmpuint(n_fds, ==, 0);
	memcpy(&header, bytes, sizeof(header));
	g_assert_cmpuint(header.request, ==, ECHO);
	g_assert_cmphex(header.flags, ==, VHOST_USER_VERSION | VHOST_USER_FLAG_NEED_REPLY);
	g_assert_cmpuint(header.size, ==, 16);
	unit_assert_bytes(bytes + sizeof(header), &nobodys, sizeof(nobodys));
}

static void test_echo(struct fixture *f, gconstpointer data G_GNUC_UNUSED)
{
	f->has_objects = true;
	g_assert_cmpint(map(f, 7), ==, 0);
	g_assert_cmpint(unmap(f, 3), ==, 0);
	take_question(f, MAP, 7);
	take_echo(f);
	take_question(f, UNMAP, 3);
	answer(f, MAP, 0);
	serve(f);
	assert_answers(f, "");
	answer(f, ECHO, 0);
	serve(f);
	assert_answers(f, "7=0 ");
	answer(f, UNMAP, 0);
	serve(f);
	assert_answers(f, "3=0 ");
}

/* What it says to the second is of no interest; what it said to the first is. */
static void test_echo_refused(struct fixture *f, gconstpointer data G_GNUC_UNUSED)
{
	f->has_objects = true;
	g_assert_cmpint(map(f, 1), ==, 0);
	g_assert_cmpint(map(f, 2), ==, 0);
	answer(f, MAP, 0);
	answer(f, ECHO, 1);
	answer(f, MAP, 1);
	answer(f, ECHO, 0);
	serve(f);
	assert_answers(f, "1=0 2=Remote I/O error ");
}

static void test_echo_from_an_answer(struct fixture *f, gconstpointer data G_GNUC_UNUSED)
{
	f->has_objects = true;
	g_assert_cmpint(map(f, 1), ==, 0);
	f->ask_again = 2;
	answer(f, MAP, 0);
	answer(f, ECHO, 0);
	serve(f);
	assert_answers(f, "1=0 (0) ");
	answer(f, MAP, 0);
	answer(f, ECHO, 0);
	serve(f);
	assert_answers(f, "2=0 ");
}

static void test_echo_queued(struct fixture *f, gconstpointer data G_GNUC_UNUSED)
{
	unsigned int n = 0;

	f->has_objects = true;
	while (map(f, n) == 0) {
		n++;
	}
	g_assert_cmpuint(n, ==, BACKEND_CHANNEL_MAX_MAPS);
	for (unsigned int i = 0; i < n; i++) {
		while (!unit_is_readable(f->peer)) {
			serve(f);
		}
		take_question(f, MAP, i);
		while (!unit_is_readable(f->peer)) {
			serve(f);
		}
		take_echo(f);
		g_string_truncate(f->log, 0);
		answer(f, MAP, 0);
		answer(f, ECHO, 0);
		serve(f);
		g_autofree char *expected = g_strdup_printf("%u=0 ", i);
		assert_answers(f, expected);
	}
	g_assert_cmpint(map(f, 1), ==, 0);
}

/* It hung up between its two answers: whether it is mapped is not known. */
static void test_echo_missing(struct fixture *f, gconstpointer data G_GNUC_UNUSED)
{
	f->has_objects = true;
	g_assert_cmpint(map(f, 1), ==, 0);
	g_assert_cmpint(map(f, 2), ==, 0);
	answer(f, MAP, 0);
	serve(f);
	close(f->peer);
	f->peer = -1;
	unit_capture_begin();
	serve(f);
	g_free(unit_capture_end());
	assert_answers(f, "1=Broken pipe 2=Broken pipe ");
}

static void test_echo_forgotten(struct fixture *f, gconstpointer data G_GNUC_UNUSED)
{
	f->has_objects = true;
	g_assert_cmpint(map(f, 1), ==, 0);
	answer(f, MAP, 0);
	serve(f);
	backend_channel_forget(f->channel);
	g_assert_cmpint(map(f, 2), ==, 0);
	answer(f, ECHO, 0);
	answer(f, MAP, 0);
	answer(f, ECHO, 0);
	serve(f);
	assert_answers(f, "2=0 ");
}

/* ---- a reset ---- */

static void test_forgotten(struct fixture *f, gconstpointer data G_GNUC_UNUSED)
{
	g_assert_cmpint(map(f, 1), ==, 0);
	g_assert_cmpint(map(f, 2), ==, 0);
	backend_channel_forget(f->channel);
	g_assert_cmpint(unmap(f, 1), ==, 0);
	g_assert_cmpint(map(f, 3), ==, 0);
	/* Late ones, which look like the answer to number 3. */
	answer(f, MAP, 0);
	answer(f, MAP, 1);
	serve(f);
	assert_answers(f, "");
	answer(f, UNMAP, 1);
	answer(f, MAP, 0);
	serve(f);
	assert_answers(f, "1=Remote I/O error 3=0 ");
}

/* It is sent in its place, so that the one behind it finds what it takes away. */
static void test_forgotten_is_sent(struct fixture *f, gconstpointer data G_GNUC_UNUSED)
{
	unsigned int n = 0;

	while (map(f, n) == 0) {
		n++;
	}
	backend_channel_forget(f->channel);
	g_assert_cmpint(unmap(f, n - 1), ==, 0);
	for (unsigned int i = 0; i < n; i++) {
		while (!unit_is_readable(f->peer)) {
			serve(f);
		}
		take_question(f, MAP, i);
		answer(f, MAP, 0);
		serve(f);
	}
	assert_answers(f, "");
	take_question(f, UNMAP, n - 1);
	answer(f, UNMAP, 0);
	serve(f);
	g_autofree char *expected = g_strdup_printf("%u=0 ", n - 1);
	assert_answers(f, expected);
}

/* ---- a front-end that is not right ---- */

static const struct nonsense {
	const char *what;
	uint32_t request, flags, size_bytes;
	bool has_fd;
} nonsense[] = {
	{ "request", UNMAP, REPLY_FLAGS, 8, false },
	{ "no-request", 0, REPLY_FLAGS, 8, false },
	{ "no-reply", MAP, VHOST_USER_VERSION, 8, false },
	{ "version", MAP, 2 | VHOST_USER_FLAG_REPLY, 8, false },
	{ "short", MAP, REPLY_FLAGS, 4, false },
	{ "empty", MAP, REPLY_FLAGS, 0, false },
	{ "long", MAP, REPLY_FLAGS, 16, false },
	{ "very-long", MAP, REPLY_FLAGS, 4000, false },
	{ "descriptor", MAP, REPLY_FLAGS, 8, true },
};

static void assert_given_up(struct fixture *f, int error)
{
	g_assert_cmpint(map(f, 100), ==, error);
	g_assert_cmpint(unmap(f, 100), ==, error);
	if (f->peer >= 0) {
		char bytes[64];

		/* What was asked, and then the end. */
		while (read(f->peer, bytes, sizeof(bytes)) > 0) {
		}
		unit_assert_hung_up(f->peer);
	}
	serve(f);
	assert_answers(f, "");
}

static void test_nonsense(gconstpointer data)
{
	static const char payload[4000];
	const struct nonsense *reply = data;
	struct fixture fixture, *f = &fixture;

	setup(f, NULL);
	g_assert_cmpint(map(f, 1), ==, 0);
	g_assert_cmpint(unmap(f, 2), ==, 0);
	f->ask_again = 3;
	send_reply(f, reply->request, reply->flags, payload, reply->size_bytes,
		   reply->has_fd ? f->memory : -1);
	unit_capture_begin();
	serve(f);
	g_autofree char *text = unit_capture_end();
	g_assert_cmpuint(unit_count_lines(text), ==, 1);
	assert_answers(f, "1=Protocol error (-71) 2=Protocol error ");
	assert_given_up(f, -EPROTO);
	teardown(f, NULL);
}

static void test_unasked(struct fixture *f, gconstpointer data G_GNUC_UNUSED)
{
	g_assert_cmpint(map(f, 1), ==, 0);
	answer(f, MAP, 0);
	answer(f, MAP, 0);
	serve(f);
	assert_answers(f, "1=0 ");
	assert_given_up(f, -EPROTO);
}

/* An answer to what was not sent yet, as it reads nothing. */
static void test_ahead(struct fixture *f, gconstpointer data G_GNUC_UNUSED)
{
	unsigned int n = 0, n_answered = 0;

	while (map(f, n) == 0) {
		n++;
	}
	do {
		g_string_truncate(f->log, 0);
		answer(f, MAP, 0);
		serve(f);
		n_answered++;
	} while (strstr(f->log->str, "Protocol error") == NULL);
	g_assert_cmpuint(n_answered, >, 1);
	g_assert_cmpuint(n_answered, <, n);
	g_string_truncate(f->log, 0);
	assert_given_up(f, -EPROTO);
}

static void test_closed(struct fixture *f, gconstpointer data G_GNUC_UNUSED)
{
	g_assert_cmpint(map(f, 1), ==, 0);
	g_assert_cmpint(map(f, 2), ==, 0);
	answer(f, MAP, 0);
	close(f->peer);
	f->peer = -1;
	/* Before it is heard of: refused, and the others are not answered from inside. */
	g_assert_cmpint(map(f, 3), ==, -EPIPE);
	assert_answers(f, "");
	unit_capture_begin();
	serve(f);
	serve(f);
	g_autofree char *text = unit_capture_end();
	g_assert_cmpuint(unit_count_lines(text), ==, 1);
	g_assert_true(strcmp(f->log->str, "1=0 2=Broken pipe ") == 0 ||
		      strcmp(f->log->str, "1=Broken pipe 2=Broken pipe ") == 0);
	g_string_truncate(f->log, 0);
	assert_given_up(f, -EPIPE);
}

/* As each front-end does at last. */
static void test_closed_at_rest(struct fixture *f, gconstpointer data G_GNUC_UNUSED)
{
	close(f->peer);
	f->peer = -1;
	unit_capture_begin();
	serve(f);
	g_autofree char *text = unit_capture_end();
	g_assert_cmpstr(text, ==, "");
	assert_given_up(f, -EPIPE);
}

static void test_half_a_reply(struct fixture *f, gconstpointer data G_GNUC_UNUSED)
{
	const struct vhost_user_header header = { MAP, REPLY_FLAGS, 8 };

	g_assert_cmpint(map(f, 1), ==, 0);
	unit_write(f->peer, &header, sizeof(header));
	serve(f);
	assert_answers(f, "");
	close(f->peer);
	f->peer = -1;
	serve(f);
	assert_answers(f, "1=Broken pipe ");
	assert_given_up(f, -EPIPE);
}

static void test_silent(struct fixture *f, gconstpointer data G_GNUC_UNUSED)
{
	g_assert_cmpint(map(f, 1), ==, 0);
	now_us += TIMEOUT_US - 1000;
	g_assert_cmpint(unmap(f, 2), ==, 0);
	serve(f);
	assert_answers(f, "");
	/* An answer is progress: the next one has as long again. */
	answer(f, MAP, 0);
	serve(f);
	assert_answers(f, "1=0 ");
	now_us += TIMEOUT_US - 1000;
	g_assert_cmpint(map(f, 3), ==, 0);
	serve(f);
	assert_answers(f, "");
	now_us += 2000;
	unit_capture_begin();
	serve(f);
	g_autofree char *text = unit_capture_end();
	g_assert_cmpuint(unit_count_lines(text), ==, 1);
	assert_answers(f, "2=Connection timed out 3=Connection timed out ");
	assert_given_up(f, -ETIMEDOUT);
}

/* Nobody waits for them, but those behind them do. */
static void test_silent_about_forgotten(struct fixture *f, gconstpointer data G_GNUC_UNUSED)
{
	g_assert_cmpint(map(f, 1), ==, 0);
	backend_channel_forget(f->channel);
	now_us += TIMEOUT_US;
	serve(f);
	assert_answers(f, "");
	assert_given_up(f, -ETIMEDOUT);
}

static void test_at_rest_for_long(struct fixture *f, gconstpointer data G_GNUC_UNUSED)
{
	g_assert_cmpint(map(f, 1), ==, 0);
	answer(f, MAP, 0);
	serve(f);
	now_us += 10 * TIMEOUT_US;
	serve(f);
	assert_answers(f, "1=0 ");
	g_assert_cmpint(map(f, 2), ==, 0);
	serve(f);
	assert_answers(f, "");
}

/* ---- channels come and go ---- */

static void test_given_up_by_its_owner(struct fixture *f, gconstpointer data G_GNUC_UNUSED)
{
	g_assert_cmpint(map(f, 1), ==, 0);
	g_assert_cmpint(map(f, 2), ==, 0);
	g_assert_cmpint(map(f, 3), ==, 0);
	answer(f, MAP, 0);
	serve(f);
	backend_channel_give_up(f->channel, -ECANCELED);
	assert_answers(f, "1=0 2=Operation canceled 3=Operation canceled ");
	assert_given_up(f, -ECANCELED);
	backend_channel_give_up(f->channel, -ECANCELED);
	assert_answers(f, "");
}

static void test_destroyed_when_replies_come(struct fixture *f, gconstpointer data G_GNUC_UNUSED)
{
	g_assert_cmpint(map(f, 1), ==, 0);
	answer(f, MAP, 0);
	f->destroys = true;
	serve(f);
	assert_answers(f, "");
	g_assert_null(f->channel);
	/* What it had asked, and then the end. */
	take_question(f, MAP, 1);
	unit_assert_hung_up(f->peer);
}

static void test_destroyed_with_questions(struct fixture *f, gconstpointer data G_GNUC_UNUSED)
{
	while (map(f, 1) == 0) {
	}
	g_clear_pointer(&f->channel, backend_channel_destroy);
	assert_answers(f, "");
}

static void test_no_socket(struct fixture *f, gconstpointer data G_GNUC_UNUSED)
{
	struct backend_channel *channel = NULL;
	int pipe_fds[2];

	/* It can't even be waited for. */
	g_assert_cmpint(backend_channel_create(&f->loop, dup(f->memory), &listener, f, &channel),
			==, -EPERM);
	g_assert_null(channel);
	g_assert_no_errno(pipe2(pipe_fds, O_CLOEXEC));
	backend_channel_destroy(f->channel);
	g_assert_cmpint(backend_channel_create(&f->loop, pipe_fds[1], &listener, f, &f->channel),
			==, 0);
	g_assert_cmpint(map(f, 1), ==, -ENOTSOCK);
	g_assert_cmpint(unmap(f, 2), ==, -ENOTSOCK);
	serve(f);
	assert_answers(f, "");
	close(pipe_fds[0]);
}

int main(int argc, char **argv)
{
	static const struct {
		const char *path;
		void (*test)(struct fixture *f, gconstpointer data);
	} tests[] = {
		{ "/backend-channel/asked-and-answered", test_asked_and_answered },
		{ "/backend-channel/refused", test_refused },
		{ "/backend-channel/in-pieces", test_in_pieces },
		{ "/backend-channel/ask-from-an-answer", test_ask_from_an_answer },
		{ "/backend-channel/queued", test_queued },
		{ "/backend-channel/bounded", test_bounded },
		{ "/backend-channel/echo/waited-for", test_echo },
		{ "/backend-channel/echo/refused", test_echo_refused },
		{ "/backend-channel/echo/ask-from-an-answer", test_echo_from_an_answer },
		{ "/backend-channel/echo/queued", test_echo_queued },
		{ "/backend-channel/echo/missing", test_echo_missing },
		{ "/backend-channel/echo/forgotten", test_echo_forgotten },
		{ "/backend-channel/forgotten/late-answers", test_forgotten },
		{ "/backend-channel/forgotten/is-sent", test_forgotten_is_sent },
		{ "/backend-channel/unasked", test_unasked },
		{ "/backend-channel/ahead", test_ahead },
		{ "/backend-channel/closed/with-questions", test_closed },
		{ "/backend-channel/closed/at-rest", test_closed_at_rest },
		{ "/backend-channel/closed/half-a-reply", test_half_a_reply },
		{ "/backend-channel/silent/with-questions", test_silent },
		{ "/backend-channel/silent/about-forgotten", test_silent_about_forgotten },
		{ "/backend-channel/silent/at-rest", test_at_rest_for_long },
		{ "/backend-channel/given-up-by-its-owner", test_given_up_by_its_owner },
		{ "/backend-channel/destroyed/when-replies-come",
		  test_destroyed_when_replies_come },
		{ "/backend-channel/destroyed/with-questions", test_destroyed_with_questions },
		{ "/backend-channel/no-socket", test_no_socket },
	};

	g_test_init(&argc, &argv, NULL);
	for (size_t i = 0; i < G_N_ELEMENTS(tests); i++) {
		g_test_add(tests[i].path, struct fixture, NULL, setup, tests[i].test, teardown);
	}
	for (size_t i = 0; i < G_N_ELEMENTS(nonsense); i++) {
		g_autofree char *path =
			g_strdup_printf("/backend-channel/nonsense/%s", nonsense[i].what);

		g_test_add_data_func(path, &nonsense[i], test_nonsense);
	}
	return g_test_run();
}
