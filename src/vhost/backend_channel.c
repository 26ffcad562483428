/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * A reply names a request's type and no more, so that it can only be told by
 * its place which question it answers. One that was not sent, or that nobody
 * waits for any more, keeps its place in the queue for that reason; and once
 * a reply is wrong, none that follows means anything.
 */
#include "vhost/backend_channel.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "util/log.h"
#include "util/sock.h"

/* Since the oldest was asked, or was made the oldest by the answer to the one before it. */
#define ANSWER_TIMEOUT_US (10 * G_USEC_PER_SEC)
/* Replies that are taken before the loop's other sources get their turn. */
#define REPLIES_PER_WAKEUP 64

#define MAX_QUESTION_BYTES (sizeof(struct vhost_user_header) + sizeof(struct vhost_user_mmap))
#define REPLY_BYTES (sizeof(struct vhost_user_header) + sizeof(uint64_t))

struct question {
	uint64_t number;
	uint32_t request; /* enum vhost_user_backend_request */
	bool has_echo;	  /* the next question's answer is told for this one, too */
	bool is_forgotten;
	bool is_done; /* answered, but for its turn */
	int error;    /* the answer; not 0 before: that of which it is the echo */
	int fd;	      /* to be sent along with it; owned, or -1 */
	size_t n_bytes, n_sent;
	char bytes[MAX_QUESTION_BYTES];
};

struct backend_channel {
	struct loop *loop; /* borrowed */
	const struct backend_channel_listener *listener;
	void *data;
	struct loop_source source;
	struct loop_timer timer;
	int fd;		  /* owned; -1: given up */
	int error;	  /* not 0: it is given up, or will be by the timer */
	GQueue questions; /* struct question, the oldest first; that one is not done */
	GList *unsent;	  /* of these, the first that is not sent, or not all of it */
	unsigned int n_maps;
	size_t n_received; /* of the replies */
	char replies[REPLIES_PER_WAKEUP * REPLY_BYTES];
};

static void close_fd(int *fd)
{
	if (*fd >= 0) {
		close(*fd);
		*fd = -1;
	}
}

static void question_free(void *data)
{
	struct question *question = data;

	close_fd(&question->fd);
	g_free(question);
}

/* payload NULL: it has none. */
static struct question *question_create(uint64_t number, uint32_t request, const void *payload,
					uint32_t size_bytes)
{
	const struct vhost_user_header header = {
		.request = request,
		.flags = VHOST_USER_VERSION | VHOST_USER_FLAG_NEED_REPLY,
		.size = size_bytes,
	};
	struct question *question = g_new0(struct question, 1);

	question->number = number;
	question->request = request;
	question->fd = -1;
	question->n_bytes = sizeof(header) + size_bytes;
	memcpy(question->bytes, &header, sizeof(header));
	if (payload != NULL) {
		memcpy(question->bytes + sizeof(header), payload, size_bytes);
	}
	return question;
}

/* Is its answer the one by which something is mapped? */
static bool ends_map(const struct question *question)
{
	return question->request == VHOST_USER_BACKEND_SHARED_OBJECT_REMOVE ||
	       (question->request == VHOST_USER_BACKEND_SHMEM_MAP && !question->has_echo);
}

/* ---- answers ---- */

static void tell(struct backend_channel *channel, struct question *consume_question)
{
	struct question question = *consume_question;

	question_free(consume_question);
	if (question.has_echo) {
		struct question *echo = g_queue_peek_head(&channel->questions);

		echo->error = question.error;
		return;
	}
	channel->n_maps -= ends_map(&question);
	if (!question.is_forgotten) {
		channel->listener->answered(channel->data, question.number, question.error);
	}
}

static void settle(struct question *question, int error)
{
	question->is_done = true;
	if (question->error == 0) {
		question->error = error;
	}
}

/* Those at the head whose answers are known. */
static void tell_done(struct backend_channel *channel)
{
	struct question *question;

	while ((question = g_queue_peek_head(&channel->questions)) != NULL && question->is_done) {
		g_queue_pop_head(&channel->questions);
		tell(channel, question);
	}
}

void backend_channel_give_up(struct backend_channel *channel, int error)
{
	struct question *question;

	channel->error = error;
	channel->unsent = NULL;
	loop_remove(channel->loop, &channel->source);
	loop_timer_disarm(channel->loop, &channel->timer);
	close_fd(&channel->fd);
	while ((question = g_queue_pop_head(&channel->questions)) != NULL) {
		if (!question->is_done) {
			settle(question, error);
		}
		tell(channel, question);
	}
}

static void fail(struct backend_channel *channel, int error, const char *why)
{
	unsigned int n = g_queue_get_length(&channel->questions);

	/* Hanging up is how a front-end ends, too. */
	if (n == 0 && error == -EPIPE) {
		log_debug("the front-end %s", why);
	} else {
		log_warn("the front-end %s: it is asked no more for the guest's window, and %u "
			 "questions stay without an answer",
			 why, n);
	}
	backend_channel_give_up(channel, error);
}

static const char *explain(int error)
{
	switch (error) {
	case -EPIPE:
		return "closed the channel for what we ask";
	case -ETIMEDOUT:
		return "does not answer what we ask";
	case -EPROTO:
		return "answers what we ask with nonsense";
	default:
		return "can't be asked";
	}
}

static void watch_oldest(struct backend_channel *channel)
{
	if (channel->error != 0) {
		return;
	}
	if (g_queue_is_empty(&channel->questions)) {
		loop_timer_disarm(channel->loop, &channel->timer);
	} else {
		loop_timer_arm(channel->loop, &channel->timer, ANSWER_TIMEOUT_US);
	}
}

static void expired(void *data)
{
	struct backend_channel *channel = data;
	int error = channel->error != 0 ? channel->error : -ETIMEDOUT;

	fail(channel, error, explain(error));
}

/* Soon, and not from inside whoever asks. */
static void fail_later(struct backend_channel *channel, int error)
{
	channel->error = error;
	loop_timer_arm(channel->loop, &channel->timer, 0);
}

/* ---- sending ---- */

/* Of one question alone: the next one may have more luck. */
static bool is_passing(int error)
{
	return error == -ETOOMANYREFS || error == -ENOMEM || error == -ENOBUFS;
}

/* Returns 0: all of it; -EAGAIN: the rest later; or another -errno. */
static int send_question(struct backend_channel *channel, struct question *question, int fd_borrow)
{
	struct iovec iov = { question->bytes + question->n_sent,
			     question->n_bytes - question->n_sent };
	/* Descriptors go with the first byte. */
	ssize_t n = sock_send(channel->fd, &iov, 1, question->n_sent == 0 ? fd_borrow : -1);

	if (n < 0) {
		return n == -ECONNRESET ? -EPIPE : (int)n;
	}
	question->n_sent += (size_t)n;
	return question->n_sent == question->n_bytes ? 0 : -EAGAIN;
}

static void want_output(struct backend_channel *channel, bool is_wanted)
{
	int error = loop_modify(channel->loop, &channel->source,
				is_wanted ? EPOLLIN | EPOLLOUT : EPOLLIN);

	if (error < 0) {
		fail_later(channel, error);
	}
}

static void send_more(struct backend_channel *channel)
{
	while (channel->unsent != NULL && channel->error == 0) {
		struct question *question = channel->unsent->data;
		int error = send_question(channel, question, question->fd);

		if (error == -EAGAIN) {
			return;
		}
		if (error < 0 && !is_passing(error)) {
			fail_later(channel, error);
			return;
		}
		/* What can't be sent is answered in its turn, and not by the front-end. */
		if (error < 0) {
			settle(question, error);
		}
		close_fd(&question->fd);
		channel->unsent = channel->unsent->next;
	}
	if (channel->error == 0) {
		want_output(channel, false);
	}
}

/* As far as it goes at once. Returns 0, also if the rest is to be sent later; or -errno. */
static int begin_question(struct backend_channel *channel, struct question *question, int fd_borrow)
{
	int error = channel->unsent == NULL ? send_question(channel, question, fd_borrow) : -EAGAIN;

	if (error != -EAGAIN) {
		return error;
	}
	if (question->n_sent == 0 && fd_borrow >= 0) {
		question->fd = fcntl(fd_borrow, F_DUPFD_CLOEXEC, 0);
		if (question->fd < 0) {
			return -errno;
		}
	}
	return 0;
}

static void enqueue(struct backend_channel *channel, struct question *consume_question)
{
	g_queue_push_tail(&channel->questions, consume_question);
	channel->n_maps += ends_map(consume_question);
	if (!consume_question->is_done && consume_question->n_sent < consume_question->n_bytes &&
	    channel->unsent == NULL) {
		channel->unsent = channel->questions.tail;
		want_output(channel, true);
	}
	if (g_queue_get_length(&channel->questions) == 1) {
		watch_oldest(channel);
	}
}

static int ask(struct backend_channel *channel, struct question *consume_question, int fd_borrow)
{
	int error = begin_question(channel, consume_question, fd_borrow);

	if (error == 0) {
		enqueue(channel, consume_question);
		return 0;
	}
	question_free(consume_question);
	if (!is_passing(error) && error != -EMFILE) {
		fail_later(channel, error);
	}
	return error;
}

/* Behind one that is asked, and answered before it. */
static void ask_echo(struct backend_channel *channel, uint64_t number)
{
	const struct vhost_user_shared nobodys = { 0 };
	struct question *echo = question_create(number, VHOST_USER_BACKEND_SHARED_OBJECT_REMOVE,
						&nobodys, sizeof(nobodys));
	int error = begin_question(channel, echo, -1);

	if (error < 0) {
		settle(echo, error);
	}
	enqueue(channel, echo);
	if (error < 0 && !is_passing(error)) {
		fail_later(channel, error);
	}
}

/* 0 or -errno. */
static int check_room(const struct backend_channel *channel, unsigned int n, unsigned int max)
{
	if (channel->error != 0) {
		return channel->error;
	}
	return n < max ? 0 : -EAGAIN;
}

int backend_channel_map(struct backend_channel *channel, uint64_t number,
			const struct vhost_user_mmap *range, int fd_borrow, bool has_objects)
{
	int error = check_room(channel, channel->n_maps, BACKEND_CHANNEL_MAX_MAPS);

	if (error < 0) {
		return error;
	}
	struct question *question =
		question_create(number, VHOST_USER_BACKEND_SHMEM_MAP, range, sizeof(*range));
	question->has_echo = has_objects;
	error = ask(channel, question, fd_borrow);
	if (error == 0 && has_objects) {
		ask_echo(channel, number);
	}
	return error;
}

int backend_channel_unmap(struct backend_channel *channel, uint64_t number,
			  const struct vhost_user_mmap *range)
{
	int error = check_room(channel, g_queue_get_length(&channel->questions),
			       BACKEND_CHANNEL_MAX_QUESTIONS);

	if (error < 0) {
		return error;
	}
	return ask(channel,
		   question_create(number, VHOST_USER_BACKEND_SHMEM_UNMAP, range, sizeof(*range)),
		   -1);
}

int backend_channel_tell_config(struct backend_channel *channel, uint64_t number)
{
	int error = check_room(channel, g_queue_get_length(&channel->questions),
			       BACKEND_CHANNEL_MAX_QUESTIONS);

	return error < 0 ? error
			 : ask(channel,
			       question_create(number, VHOST_USER_BACKEND_CONFIG_CHANGE_MSG, NULL, 0),
			       -1);
}

void backend_channel_forget(struct backend_channel *channel)
{
	for (GList *link = channel->questions.head; link != NULL; link = link->next) {
		((struct question *)link->data)->is_forgotten = true;
	}
}

/* ---- receiving ---- */

/* 0, -EAGAIN, -EPROTO (descriptors; there are none in replies) or -errno. */
static int receive(struct backend_channel *channel)
{
	int fds[SOCK_MAX_FDS];
	size_t n_fds = 0;
	ssize_t n = sock_receive(channel->fd, channel->replies + channel->n_received,
				 sizeof(channel->replies) - channel->n_received, fds, &n_fds);

	for (size_t i = 0; i < n_fds; i++) {
		close(fds[i]);
	}
	if (n < 0) {
		return n == -EMSGSIZE ? -EPROTO : n == -ECONNRESET ? -EPIPE : (int)n;
	}
	channel->n_received += (size_t)n;
	return n_fds > 0 ? -EPROTO : n == 0 ? -EPIPE : 0;
}

/* Is it one, and can it be the answer to that question? */
static bool is_reply(const struct vhost_user_header *header, const struct question *question)
{
	return question != NULL && question->n_sent == question->n_bytes &&
	       header->request == question->request && header->size == sizeof(uint64_t) &&
	       (header->flags & VHOST_USER_VERSION_MASK) == VHOST_USER_VERSION &&
	       (header->flags & VHOST_USER_FLAG_REPLY);
}

/* Returns 0 or -EPROTO. */
static int take_reply(struct backend_channel *channel, const char *bytes)
{
	struct question *question = g_queue_peek_head(&channel->questions);
	struct vhost_user_header header;
	uint64_t result;

	memcpy(&header, bytes, sizeof(header));
	memcpy(&result, bytes + sizeof(header), sizeof(result));
	if (!is_reply(&header, question)) {
		return -EPROTO;
	}
	/* Whether there was such an object is all the same. */
	bool is_echo = question->request == VHOST_USER_BACKEND_SHARED_OBJECT_REMOVE;
	settle(question, result == 0 || is_echo ? 0 : -EREMOTEIO);
	tell_done(channel);
	return 0;
}

static int take_replies(struct backend_channel *channel)
{
	size_t at = 0;
	int error = 0;

	while (error == 0 && channel->error == 0 && channel->n_received - at >= REPLY_BYTES) {
		error = take_reply(channel, channel->replies + at);
		at += REPLY_BYTES;
	}
	channel->n_received -= at;
	memmove(channel->replies, channel->replies + at, channel->n_received);
	if (at > 0) {
		watch_oldest(channel);
	}
	return error;
}

/* A message that can be no reply is known by its header, however long it takes for the rest. */
static bool begins_well(struct backend_channel *channel)
{
	struct vhost_user_header header;

	if (channel->n_received < sizeof(header)) {
		return true;
	}
	memcpy(&header, channel->replies, sizeof(header));
	return is_reply(&header, g_queue_peek_head(&channel->questions));
}

static void dispatch(void *data, uint32_t events)
{
	struct backend_channel *channel = data;
	int error = 0;

	if (events & EPOLLOUT) {
		send_more(channel);
		tell_done(channel);
	}
	if (events & ~(uint32_t)EPOLLOUT && channel->error == 0) {
		error = receive(channel);
	}
	if (error == 0 && channel->n_received >= REPLY_BYTES) {
		if (!channel->listener->replies_came(channel->data)) {
			return;
		}
		error = take_replies(channel);
	}
	if (error == 0 && channel->error == 0 && !begins_well(channel)) {
		error = -EPROTO;
	}
	if (error < 0 && error != -EAGAIN) {
		fail(channel, error, explain(error));
	}
}

/* ---- life ---- */

int backend_channel_create(struct loop *loop, int consume_fd,
			   const struct backend_channel_listener *listener, void *data,
			   struct backend_channel **channel_out)
{
	struct backend_channel *channel = g_new0(struct backend_channel, 1);

	*channel = (struct backend_channel){
		.loop = loop,
		.listener = listener,
		.data = data,
		.source = { .dispatch = dispatch, .data = channel },
		.timer = { .expired = expired, .data = channel },
		.fd = consume_fd,
	};
	g_queue_init(&channel->questions);
	int error = loop_add(loop, &channel->source, consume_fd, EPOLLIN);
	if (error < 0) {
		backend_channel_destroy(channel);
		return error;
	}
	*channel_out = channel;
	return 0;
}

void backend_channel_destroy(struct backend_channel *channel)
{
	if (channel == NULL) {
		return;
	}
	loop_remove(channel->loop, &channel->source);
	loop_timer_disarm(channel->loop, &channel->timer);
	close_fd(&channel->fd);
	g_queue_clear_full(&channel->questions, question_free);
	g_free(channel);
}
