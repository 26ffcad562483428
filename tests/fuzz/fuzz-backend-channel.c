/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * What we ask of a front-end that answers with anything, late, in pieces or not
 * at all, reads as slowly as it likes, and hangs up. Each question is answered
 * once, in order, with what the front-end said to it as long as it made sense;
 * none that was forgotten is; and what is sent is whole questions in their
 * order, each with its own file.
 */
#include "vhost/backend_channel.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "clock.h"
#include "fuzz.h"
#include "input.h"
#include "util/sock.h"

#define N_FILES 4u
/* Of an input; some more than are taken at a time. */
#define MAX_ASKED (2 * BACKEND_CHANNEL_MAX_MAPS)
#define MAX_QUESTION_BYTES (sizeof(struct vhost_user_header) + sizeof(struct vhost_user_mmap))

static int files[N_FILES];

/* As they are sent: a mapping that has to be seen is two, of which the second is told. */
struct question {
	uint32_t request;
	bool is_first; /* of two */
	bool is_forgotten, is_answered;
};

struct fuzz {
	struct fuzz_input in;
	struct loop loop;
	struct backend_channel *channel;
	int peer;     /* -1: hung up */
	bool is_sane; /* of all that it replied each was a reply to what it had got, or may have */
	bool is_broken;	 /* the channel has said that it is given up */
	bool asks_again; /* from inside the next answer */
	bool has_objects;
	struct question questions[MAX_ASKED + 1]; /* by number; one more is not asked */
	unsigned int n_asked, n_read, n_replied;
	unsigned int next; /* to be answered, or was forgotten */
	uint8_t results[MAX_ASKED];
	size_t n_buffered;
	char buffer[MAX_QUESTION_BYTES];
	int fds[2]; /* that came with what is buffered; owned */
	size_t n_fds;
};

const char *fuzz_prepare(void)
{
	signal(SIGPIPE, SIG_IGN); /* as the program does */
	for (unsigned int i = 0; i < N_FILES; i++) {
		files[i] = memfd_create("question", MFD_CLOEXEC);
		g_assert_no_errno(files[i]);
	}
	return NULL;
}

/* ---- who asks ---- */

/* at: where it is among all that are sent. */
static int send_question(struct fuzz *fuzz, uint32_t request, unsigned int number, unsigned int at)
{
	const struct vhost_user_mmap range = { .shmid = 1, .shm_offset = at };

	switch (request) {
	case VHOST_USER_BACKEND_SHMEM_MAP:
		return backend_channel_map(fuzz->channel, number, &range, files[at % N_FILES],
					   fuzz->has_objects);
	case VHOST_USER_BACKEND_SHMEM_UNMAP:
		return backend_channel_unmap(fuzz->channel, number, &range);
	default:
		return backend_channel_tell_config(fuzz->channel, number);
	}
}

static void ask(struct fuzz *fuzz, uint32_t request)
{
	unsigned int at = fuzz->n_asked;
	bool has_echo = request == VHOST_USER_BACKEND_SHMEM_MAP && fuzz->has_objects;
	/* That of the last one. */
	unsigned int number = at + has_echo;

	if (number >= MAX_ASKED) {
		return;
	}
	int error = send_question(fuzz, request, number, at);
	g_assert_cmpint(error, <=, 0);
	if (fuzz->is_broken) {
		g_assert_cmpint(error, <, 0);
	}
	if (error < 0) {
		return;
	}
	if (has_echo) {
		fuzz->questions[at + 1] =
			(struct question){ .request = VHOST_USER_BACKEND_SHARED_OBJECT_REMOVE };
	}
	fuzz->questions[at] = (struct question){ .request = request, .is_first = has_echo };
	fuzz->n_asked = number + 1;
}

static bool is_echo(const struct fuzz *fuzz, unsigned int i)
{
	return fuzz->questions[i].request == VHOST_USER_BACKEND_SHARED_OBJECT_REMOVE;
}

static bool replies_came(void *data G_GNUC_UNUSED)
{
	return true;
}

static void answered(void *data, uint64_t number, int error)
{
	struct fuzz *fuzz = data;

	while (fuzz->questions[fuzz->next].is_forgotten || fuzz->questions[fuzz->next].is_first) {
		fuzz->next++;
	}
	g_assert_cmpuint(number, ==, fuzz->next);
	g_assert_cmpuint(number, <, fuzz->n_asked);
	g_assert_false(fuzz->questions[number].is_answered);
	fuzz->questions[number].is_answered = true;
	fuzz->next++;
	g_assert_cmpint(error, <=, 0);
	if (error != 0 && error != -EREMOTEIO) {
		fuzz->is_broken = true;
	} else if (fuzz->is_sane) {
		unsigned int first = (unsigned int)number - is_echo(fuzz, (unsigned int)number);

		/* A no stays one, also if the channel ends before it is answered again. */
		g_assert_cmpuint(error == 0 ? number : first, <, fuzz->n_replied);
		g_assert_cmpint(error, ==, fuzz->results[first] == 0 ? 0 : -EREMOTEIO);
	}
	if (fuzz->asks_again) {
		fuzz->asks_again = false;
		ask(fuzz, VHOST_USER_BACKEND_SHMEM_MAP);
	}
}

static const struct backend_channel_listener listener = { replies_came, answered };

static void quit(void *data)
{
	loop_quit(data);
}

/* What is there is dispatched. */
static void run_loop(struct fuzz *fuzz)
{
	fuzz->loop.quit = false;
	loop_wake(&fuzz->loop);
	g_assert_cmpint(loop_run(&fuzz->loop), ==, 0);
}

static void do_map(struct fuzz *fuzz)
{
	ask(fuzz, VHOST_USER_BACKEND_SHMEM_MAP);
}

static void do_unmap(struct fuzz *fuzz)
{
	ask(fuzz, VHOST_USER_BACKEND_SHMEM_UNMAP);
}

static void do_tell_config(struct fuzz *fuzz)
{
	ask(fuzz, VHOST_USER_BACKEND_CONFIG_CHANGE_MSG);
}

static void do_ask_much(struct fuzz *fuzz)
{
	for (unsigned int n = 16u * fuzz_input_u8(&fuzz->in); n > 0; n--) {
		ask(fuzz,
		    n % 8 != 0 ? VHOST_USER_BACKEND_SHMEM_MAP : VHOST_USER_BACKEND_SHMEM_UNMAP);
	}
}

static void do_ask_from_answer(struct fuzz *fuzz)
{
	fuzz->asks_again = true;
}

static void do_forget(struct fuzz *fuzz)
{
	backend_channel_forget(fuzz->channel);
	for (unsigned int i = fuzz->next; i < fuzz->n_asked; i++) {
		fuzz->questions[i].is_forgotten = true;
	}
}

static void do_change_objects(struct fuzz *fuzz)
{
	fuzz->has_objects = !fuzz->has_objects;
}

static void do_give_up(struct fuzz *fuzz)
{
	backend_channel_give_up(fuzz->channel, -ECANCELED);
	fuzz->is_broken = true;
}

/* ---- the front-end ---- */

/* Of the question that is read. */
static size_t question_bytes(const struct fuzz *fuzz)
{
	size_t header_bytes = sizeof(struct vhost_user_header);

	switch (fuzz->questions[fuzz->n_read].request) {
	case VHOST_USER_BACKEND_CONFIG_CHANGE_MSG:
		return header_bytes;
	case VHOST_USER_BACKEND_SHARED_OBJECT_REMOVE:
		return header_bytes + sizeof(struct vhost_user_shared);
	default:
		return MAX_QUESTION_BYTES;
	}
}

static void check_question(struct fuzz *fuzz)
{
	struct vhost_user_header header;
	struct vhost_user_mmap range;

	memcpy(&header, fuzz->buffer, sizeof(header));
	memcpy(&range, fuzz->buffer + sizeof(header), sizeof(range));
	g_assert_cmpuint(fuzz->n_read, <, fuzz->n_asked);
	uint32_t request = fuzz->questions[fuzz->n_read].request;
	bool is_map = request == VHOST_USER_BACKEND_SHMEM_MAP;
	g_assert_cmpuint(header.request, ==, request);
	g_assert_cmpuint(header.size, ==, question_bytes(fuzz) - sizeof(header));
	if (is_map || request == VHOST_USER_BACKEND_SHMEM_UNMAP) {
		g_assert_cmpuint(range.shm_offset, ==, fuzz->n_read);
	}
	g_assert_cmpuint(fuzz->n_fds, ==, is_map);
	if (is_map) {
		int file = files[fuzz->n_read % N_FILES];
		struct stat a, b;

		g_assert_no_errno(fstat(fuzz->fds[0], &a));
		g_assert_no_errno(fstat(file, &b));
		g_assert_cmpuint(a.st_ino, ==, b.st_ino);
		close(fuzz->fds[0]);
	}
	fuzz->n_fds = 0;
	fuzz->n_buffered = 0;
	fuzz->n_read++;
}

/* Up to so many bytes. False: there are no more. */
static bool read_some(struct fuzz *fuzz, size_t n_bytes)
{
	int fds[SOCK_MAX_FDS];
	size_t n_fds = 0;

	if (fuzz->peer < 0) {
		return false;
	}
	ssize_t n =
		sock_receive(fuzz->peer, fuzz->buffer + fuzz->n_buffered,
			     MIN(n_bytes, question_bytes(fuzz) - fuzz->n_buffered), fds, &n_fds);
	for (size_t i = 0; i < n_fds; i++) {
		g_assert_cmpuint(fuzz->n_fds, <, G_N_ELEMENTS(fuzz->fds));
		fuzz->fds[fuzz->n_fds++] = fds[i];
	}
	if (n <= 0) {
		return false;
	}
	fuzz->n_buffered += (size_t)n;
	if (fuzz->n_buffered == question_bytes(fuzz)) {
		check_question(fuzz);
	}
	return true;
}

static void do_read(struct fuzz *fuzz)
{
	read_some(fuzz, 1 + fuzz_input_u8(&fuzz->in) % MAX_QUESTION_BYTES);
	run_loop(fuzz);
}

static void do_read_all(struct fuzz *fuzz)
{
	while (read_some(fuzz, MAX_QUESTION_BYTES)) {
		run_loop(fuzz);
	}
	run_loop(fuzz);
}

static void send_bytes(struct fuzz *fuzz, const void *bytes, size_t n_bytes, int fd_borrow)
{
	struct iovec iov = { (void *)(uintptr_t)bytes, n_bytes };

	if (fuzz->peer >= 0 && n_bytes > 0 &&
	    sock_send(fuzz->peer, &iov, 1, fd_borrow) != (ssize_t)n_bytes) {
		fuzz->is_sane = false;
	}
}

static size_t make_reply(const struct fuzz *fuzz, uint64_t result, char *bytes_out)
{
	const struct vhost_user_header header = {
		.request = fuzz->n_replied < fuzz->n_asked
				   ? fuzz->questions[fuzz->n_replied].request
				   : VHOST_USER_BACKEND_SHMEM_MAP,
		.flags = VHOST_USER_VERSION | VHOST_USER_FLAG_REPLY,
		.size = sizeof(result),
	};

	memcpy(bytes_out, &header, sizeof(header));
	memcpy(bytes_out + sizeof(header), &result, sizeof(result));
	return sizeof(header) + sizeof(result);
}

static void reply(struct fuzz *fuzz)
{
	uint8_t how = fuzz_input_u8(&fuzz->in);
	uint64_t result = how < 0x80 ? 0 : how;
	char bytes[64];

	/* A front-end that answers what it has not read, or nothing, is out of its mind. */
	if (fuzz->n_replied >= fuzz->n_read) {
		fuzz->is_sane = false;
	}
	size_t n_bytes = make_reply(fuzz, result, bytes);
	if (fuzz->n_replied < MAX_ASKED) {
		fuzz->results[fuzz->n_replied++] = (uint8_t)result;
	}
	if (how == 0xff) {
		/* In pieces. */
		send_bytes(fuzz, bytes, 5, -1);
		run_loop(fuzz);
		send_bytes(fuzz, bytes + 5, n_bytes - 5, -1);
	} else {
		send_bytes(fuzz, bytes, n_bytes, -1);
	}
}

static void do_reply(struct fuzz *fuzz)
{
	reply(fuzz);
	run_loop(fuzz);
}

static void do_reply_much(struct fuzz *fuzz)
{
	unsigned int n = fuzz_input_u8(&fuzz->in);

	for (; n > 0 && fuzz->n_replied < fuzz->n_read; n--) {
		reply(fuzz);
	}
	run_loop(fuzz);
}

static void do_spoilt_reply(struct fuzz *fuzz)
{
	char bytes[64] = { 0 };
	size_t n_bytes = make_reply(fuzz, 0, bytes);
	uint8_t how = fuzz_input_u8(&fuzz->in);
	uint32_t word = fuzz_input_number(&fuzz->in);

	fuzz->is_sane = false;
	if (how & 1) {
		memcpy(bytes + how / 4 % 3 * sizeof(word), &word, sizeof(word));
	}
	if (how & 2) {
		n_bytes = word % (sizeof(bytes) + 1);
	}
	send_bytes(fuzz, bytes, n_bytes, how & 0x80 ? files[0] : -1);
	run_loop(fuzz);
}

static void do_raw(struct fuzz *fuzz)
{
	char bytes[64];
	size_t n_bytes = fuzz_input_below(&fuzz->in, sizeof(bytes) + 1);

	fuzz_input_copy(&fuzz->in, bytes, n_bytes);
	fuzz->is_sane = false;
	send_bytes(fuzz, bytes, n_bytes, -1);
	run_loop(fuzz);
}

static void do_wait(struct fuzz *fuzz)
{
	fuzz_clock_advance(fuzz_input_below(&fuzz->in, 16) * 1000000u);
	run_loop(fuzz);
}

static void do_hang_up(struct fuzz *fuzz)
{
	if (fuzz->peer >= 0) {
		close(fuzz->peer);
		fuzz->peer = -1;
	}
	run_loop(fuzz);
}

static void (*const operations[])(struct fuzz *fuzz) = {
	do_map,	   do_unmap,	  do_reply,	      do_read,	       do_read_all,
	do_forget, do_reply_much, do_ask_much,	      do_spoilt_reply, do_raw,
	do_wait,   do_hang_up,	  do_ask_from_answer, do_give_up,      do_change_objects,
	do_tell_config,
};

/* ---- life ---- */

static void setup(struct fuzz *fuzz, const uint8_t *bytes, size_t size_bytes)
{
	int pair[2];

	fuzz_clock_reset();
	fuzz_input_init(&fuzz->in, bytes, size_bytes);
	g_assert_no_errno(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair));
	fuzz->peer = pair[1];
	fuzz->is_sane = true;
	g_assert_cmpint(loop_init(&fuzz->loop, quit, &fuzz->loop), ==, 0);
	g_assert_cmpint(
		backend_channel_create(&fuzz->loop, pair[0], &listener, fuzz, &fuzz->channel), ==,
		0);
}

static bool is_owed_answers(const struct fuzz *fuzz)
{
	for (unsigned int i = fuzz->next; i < fuzz->n_asked; i++) {
		if (!fuzz->questions[i].is_forgotten && !fuzz->questions[i].is_first) {
			return true;
		}
	}
	return false;
}

/* One that hangs up at last: nobody waits for an answer any more. */
static void teardown(struct fuzz *fuzz)
{
	do_read_all(fuzz);
	do_hang_up(fuzz);
	/* All that it has replied is taken, some at a time, and then it is gone. */
	for (unsigned int n = MAX_ASKED; n > 0 && is_owed_answers(fuzz); n--) {
		run_loop(fuzz);
	}
	g_assert_false(is_owed_answers(fuzz));
	backend_channel_destroy(fuzz->channel);
	g_assert_null(fuzz->loop.timers);
	loop_finish(&fuzz->loop);
	for (size_t i = 0; i < fuzz->n_fds; i++) {
		close(fuzz->fds[i]);
	}
}

void fuzz_one(const uint8_t *bytes, size_t size_bytes)
{
	unsigned int n_fds = fuzz_count_fds();
	struct fuzz *fuzz = g_new0(struct fuzz, 1);

	setup(fuzz, bytes, size_bytes);
	while (!fuzz_input_is_over(&fuzz->in)) {
		unsigned int i = fuzz_input_operation(&fuzz->in);

		if (i < G_N_ELEMENTS(operations)) {
			operations[i](fuzz);
		}
	}
	teardown(fuzz);
	g_free(fuzz);
	g_assert_cmpuint(fuzz_count_fds(), ==, n_fds);
}
