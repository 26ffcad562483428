/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * Processes are started, reported when they end however they end, ended with their owner, and hold
 * no descriptor that they were not given; and messages to them are whole.
 */
#include "engine/spawner.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "engine/link.h"
#include "unit.h"

enum { EXITS, ABORTS, WAITS, ECHOES, /* from here on with a server: */ SERVED };

/* Of a server, for the test to see. */
struct server_state {
	pid_t pid, child;
	int is_answered; /* the renderer process had an answer from it */
	int ends;	 /* it is to end by itself */
};
static struct server_state *server; /* shared memory */

static char kept_word[] = "kept";

static int echo(int link_fd)
{
	char *buffer = g_malloc(LINK_MAX_BYTES);
	struct link_message message;
	int error;

	while ((error = link_receive(link_fd, buffer, &message)) == 0 || error == -EAGAIN) {
		if (error == -EAGAIN) {
			unit_wait_readable(link_fd);
			continue;
		}
		error = link_send_wait(link_fd, (enum link_type)message.type, message.body,
				       message.size_bytes, NULL, 0, message.fds, message.n_fds);
		link_message_finish(&message);
		if (error < 0) {
			return 1;
		}
	}
	return error == -EPIPE ? 0 : 1;
}

/* It answers, and has a child that ends by no wish. */
static int run_server(void *data, int fd)
{
	char byte;

	g_assert_cmpstr(data, ==, kept_word);
	pid_t pid = fork();
	if (pid == 0) {
		for (;;) {
			pause();
		}
	}
	server->child = pid;
	server->pid = getpid();
	while (recv(fd, &byte, 1, 0) == 1) {
		if (send(fd, &byte, 1, MSG_NOSIGNAL) != 1 || server->ends) {
			return 9;
		}
	}
	return 0;
}

static bool needs_server(void *data G_GNUC_UNUSED, int variant)
{
	return variant >= SERVED;
}

static void ask_server(int fd)
{
	char byte = 'x';

	server->is_answered = send(fd, &byte, 1, 0) == 1 && recv(fd, &byte, 1, 0) == 1;
}

static int run(void *data, int link_fd, int variant, int server_fd)
{
	g_assert_cmpstr(data, ==, kept_word);
	g_assert_cmpint(server_fd > 0, ==, variant >= SERVED);
	if (server_fd > 0) {
		ask_server(server_fd);
	}
	switch (variant) {
	case EXITS:
		return 7;
	case ABORTS:
		signal(SIGABRT, SIG_DFL);
		raise(SIGABRT);
		return 1;
	case ECHOES:
		return echo(link_fd);
	case WAITS:
	default:
		for (;;) {
			pause();
		}
	}
}

struct fixture {
	struct spawner spawner;
	int secret[2], kept;
	struct spawner_news news;
};

static void setup(struct fixture *f, gconstpointer data)
{
	unit_socketpair(f->secret);
	f->kept = unit_eventfd();
	const struct spawner_options options = {
		.run = run,
		.data = kept_word,
		.kept_fds = { f->kept },
		.n_kept = 1,
		.run_server = data != NULL ? run_server : NULL,
		.needs_server = needs_server,
		.server_stderr_fd = -1,
	};
	g_assert_cmpint(spawner_init(&f->spawner, &options), ==, 0);
}

static void teardown(struct fixture *f, gconstpointer data G_GNUC_UNUSED)
{
	spawner_finish(&f->spawner);
	spawner_finish(&f->spawner);
	close(f->secret[0]);
	close(f->secret[1]);
	close(f->kept);
}

static bool has_news(void *data)
{
	struct fixture *f = data;

	return spawner_receive(&f->spawner, &f->news) == 0;
}

static void expect_start(struct fixture *f)
{
	g_assert_true(unit_wait(has_news, f));
	g_assert_false(f->news.is_end);
	g_assert_cmpint(f->news.pid, >, 0);
	g_assert_cmpint(f->news.link_fd, >=, 0);
}

static void expect_end(struct fixture *f, pid_t pid)
{
	g_assert_true(unit_wait(has_news, f));
	g_assert_true(f->news.is_end);
	g_assert_cmpint(f->news.pid, ==, pid);
	g_assert_cmpint(f->news.link_fd, ==, -1);
}

static void test_ends(struct fixture *f, gconstpointer data G_GNUC_UNUSED)
{
	for (unsigned int i = 0; i < 20; i++) {
		g_assert_cmpint(spawner_start(&f->spawner, i % 2 ? ABORTS : EXITS), ==, 0);
		expect_start(f);
		int link_fd = f->news.link_fd;
		expect_end(f, f->news.pid);
		if (i % 2) {
			g_assert_true(WIFSIGNALED(f->news.status));
			g_assert_cmpint(WTERMSIG(f->news.status), ==, SIGABRT);
		} else {
			g_assert_cmpint(WEXITSTATUS(f->news.status), ==, 7);
		}
		unit_assert_hung_up(link_fd);
		close(link_fd);
	}
}

static void test_killed(struct fixture *f, gconstpointer data G_GNUC_UNUSED)
{
	g_assert_cmpint(spawner_start(&f->spawner, WAITS), ==, 0);
	expect_start(f);
	close(f->news.link_fd);
	spawner_kill(&f->spawner);
	expect_end(f, f->news.pid);
	g_assert_cmpint(WTERMSIG(f->news.status), ==, SIGKILL);
	/* With none there, nothing happens. */
	spawner_kill(&f->spawner);
	g_assert_cmpint(spawner_start(&f->spawner, EXITS), ==, 0);
	expect_start(f);
	close(f->news.link_fd);
	expect_end(f, f->news.pid);
}

static bool is_gone(void *data)
{
	return kill(*(pid_t *)data, 0) < 0 && errno == ESRCH;
}

static void test_ends_with_its_owner(struct fixture *f, gconstpointer data G_GNUC_UNUSED)
{
	g_assert_cmpint(spawner_start(&f->spawner, WAITS), ==, 0);
	expect_start(f);
	pid_t pid = f->news.pid;
	close(f->news.link_fd);
	spawner_finish(&f->spawner);
	g_assert_true(unit_wait(is_gone, &pid));
}

static bool is_answered(void *data G_GNUC_UNUSED)
{
	return *(volatile int *)&server->is_answered != 0;
}

static pid_t start_served(struct fixture *f, bool ends)
{
	*server = (struct server_state){ .ends = ends };
	g_assert_cmpint(spawner_start(&f->spawner, SERVED), ==, 0);
	expect_start(f);
	close(f->news.link_fd);
	g_assert_true(unit_wait(is_answered, NULL));
	return f->news.pid;
}

static void assert_served_is_gone(pid_t pid)
{
	g_assert_true(unit_wait(is_gone, &pid));
	g_assert_true(unit_wait(is_gone, &server->pid));
	g_assert_true(unit_wait(is_gone, &server->child));
}

/* Whichever of the two ends, all of both is gone by the time that it is said. */
static void test_server(struct fixture *f, gconstpointer data G_GNUC_UNUSED)
{
	for (unsigned int i = 0; i < 5; i++) {
		pid_t pid = start_served(f, true);

		expect_end(f, pid);
		g_assert_true(f->news.is_of_server);
		g_assert_cmpint(WEXITSTATUS(f->news.status), ==, 9);
		assert_served_is_gone(pid);

		pid = start_served(f, false);
		g_assert_cmpint(kill(server->pid, SIGKILL), ==, 0);
		expect_end(f, pid);
		g_assert_true(f->news.is_of_server);
		g_assert_cmpint(WTERMSIG(f->news.status), ==, SIGKILL);
		assert_served_is_gone(pid);

		pid = start_served(f, false);
		spawner_kill(&f->spawner);
		expect_end(f, pid);
		g_assert_false(f->news.is_of_server);
		g_assert_cmpint(WTERMSIG(f->news.status), ==, SIGKILL);
		assert_served_is_gone(pid);
	}
	/* Who needs none has none. */
	g_assert_cmpint(spawner_start(&f->spawner, EXITS), ==, 0);
	expect_start(f);
	close(f->news.link_fd);
	expect_end(f, f->news.pid);
	g_assert_cmpint(WEXITSTATUS(f->news.status), ==, 7);
}

static void test_server_ends_with_its_owner(struct fixture *f, gconstpointer data G_GNUC_UNUSED)
{
	pid_t pid = start_served(f, false);

	spawner_finish(&f->spawner);
	assert_served_is_gone(pid);
}

static bool has_only_its_own(void *data)
{
	struct fixture *f = data;
	g_autofree char *path = g_strdup_printf("/proc/%d/fd", (int)f->news.pid);
	GDir *dir = g_dir_open(path, 0, NULL);
	const char *name;
	unsigned int n = 0;

	while ((name = g_dir_read_name(dir)) != NULL) {
		int fd = atoi(name);

		n += fd != f->secret[0] && fd != f->secret[1] ? 1 : 100;
	}
	g_dir_close(dir);
	/* 0 to 2, what it was given, and the link. */
	return n == 5;
}

static void test_descriptors(struct fixture *f, gconstpointer data G_GNUC_UNUSED)
{
	g_assert_cmpint(spawner_start(&f->spawner, WAITS), ==, 0);
	expect_start(f);
	/* It is heard of before it has closed the last of its parent's. */
	g_assert_true(unit_wait(has_only_its_own, f));
	close(f->news.link_fd);
}

static void receive(int fd, void *buffer, struct link_message *message)
{
	int error;

	while ((error = link_receive(fd, buffer, message)) == -EAGAIN) {
		g_assert_true(unit_wait_readable(fd));
	}
	g_assert_cmpint(error, ==, 0);
}

/* The longest one too, with descriptors, and no byte of it elsewhere. */
static void test_link(struct fixture *f, gconstpointer data G_GNUC_UNUSED)
{
	g_autofree char *body = g_malloc(RECORD_MAX_BYTES);
	g_autofree char *buffer = g_malloc(LINK_MAX_BYTES);
	const struct link_record head = { .kind = 1, .id = 2, .generation = 3 };
	struct link_message message;

	g_assert_cmpint(spawner_start(&f->spawner, ECHOES), ==, 0);
	expect_start(f);
	int fd = f->news.link_fd;
	for (size_t i = 0; i < RECORD_MAX_BYTES; i++) {
		body[i] = (char)(i * 7 + i / 256);
	}
	int fds[SOCK_MAX_FDS];
	for (size_t i = 0; i < SOCK_MAX_FDS; i++) {
		fds[i] = f->kept;
	}
	g_assert_cmpint(link_send_wait(fd, LINK_PUT, &head, sizeof(head), body, RECORD_MAX_BYTES,
				       fds, SOCK_MAX_FDS), ==, 0);
	g_assert_cmpint(link_send_wait(fd, LINK_START, NULL, 0, NULL, 0, NULL, 0), ==, 0);
	receive(fd, buffer, &message);
	g_assert_cmpuint(message.type, ==, LINK_PUT);
	g_assert_cmpuint(message.n_fds, ==, SOCK_MAX_FDS);
	g_assert_cmpuint(message.size_bytes, ==, sizeof(head) + RECORD_MAX_BYTES);
	unit_assert_bytes(message.body, &head, sizeof(head));
	unit_assert_bytes((const char *)message.body + sizeof(head), body, RECORD_MAX_BYTES);
	g_assert_true(unit_is_same_file(message.fds[0], f->kept));
	int taken = link_take_fd(&message, 0);
	unsigned int n_fds = unit_count_fds();
	link_message_finish(&message);
	close(taken);
	g_assert_cmpuint(unit_count_fds(), ==, n_fds - SOCK_MAX_FDS);
	receive(fd, buffer, &message);
	g_assert_cmpuint(message.type, ==, LINK_START);
	g_assert_nonnull(link_body(&message, 0));
	g_assert_null(link_body(&message, 1));
	close(fd);
	expect_end(f, f->news.pid);
	g_assert_cmpint(WEXITSTATUS(f->news.status), ==, 0);
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	server = mmap(NULL, sizeof(*server), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1,
		      0);
	g_assert_true(server != MAP_FAILED);
	g_test_add("/spawner/ends", struct fixture, NULL, setup, test_ends, teardown);
	g_test_add("/spawner/killed", struct fixture, NULL, setup, test_killed, teardown);
	g_test_add("/spawner/ends-with-its-owner", struct fixture, NULL, setup,
		   test_ends_with_its_owner, teardown);
	g_test_add("/spawner/descriptors", struct fixture, NULL, setup, test_descriptors, teardown);
	g_test_add("/spawner/server", struct fixture, kept_word, setup, test_server, teardown);
	g_test_add("/spawner/server-ends-with-its-owner", struct fixture, kept_word, setup,
		   test_server_ends_with_its_owner, teardown);
	g_test_add("/spawner/link", struct fixture, NULL, setup, test_link, teardown);
	return g_test_run();
}
