/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * vhost-device-gpuctl, and a program that the test plays: what it makes of answers that a running
 * vhost-device-gpu gives seldom or never.
 */
#include <errno.h>
#include <glib/gstdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "control.h"
#include "suite.h"

/* ---- the other end ---- */

/* What is answered to a question that ends so; of length bytes, or up to its NUL. */
struct script {
	const char *question, *answer;
	size_t length;
};

struct actor {
	const struct script *scripts; /* until one without a question; borrowed */
	char *folder, *path;	      /* owned */
	int fd;
	GThread *thread;
};

static void answer(const struct actor *actor, int consume_fd)
{
	char question[256] = {0};
	ssize_t n = recv(consume_fd, question, sizeof(question) - 1, 0);

	g_strchomp(question);
	for (const struct script *script = actor->scripts; n > 0 && script->question; script++) {
		size_t length = script->length ? script->length : strlen(script->answer);

		if (g_str_has_suffix(question, script->question)) {
			g_assert_cmpint(send(consume_fd, script->answer, length, MSG_NOSIGNAL), ==,
					(ssize_t)length);
			break;
		}
	}
	close(consume_fd);
}

static void *act(void *data)
{
	const struct actor *actor = data;
	int fd;

	while ((fd = accept4(actor->fd, NULL, NULL, SOCK_CLOEXEC)) >= 0) {
		answer(actor, fd);
	}
	return NULL;
}

/* Who is asked what is in none of the scripts hangs up. */
static struct actor *actor_create(const struct script *scripts)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	struct actor *actor = g_new0(struct actor, 1);

	actor->scripts = scripts;
	actor->folder = g_dir_make_tmp("ctl-XXXXXX", NULL);
	actor->path = g_build_filename(actor->folder, "control", NULL);
	g_strlcpy(address.sun_path, actor->path, sizeof(address.sun_path));
	actor->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	g_assert_no_errno(bind(actor->fd, (const struct sockaddr *)&address, sizeof(address)));
	g_assert_no_errno(listen(actor->fd, 16));
	actor->thread = g_thread_new("actor", act, actor);
	return actor;
}

static void actor_destroy(struct actor *actor)
{
	shutdown(actor->fd, SHUT_RDWR);
	g_thread_join(actor->thread);
	close(actor->fd);
	g_unlink(actor->path);
	g_assert_no_errno(g_rmdir(actor->folder));
	g_free(actor->path);
	g_free(actor->folder);
	g_free(actor);
}

/* ---- the program ---- */

struct outcome {
	int status;
	char *out, *err; /* owned */
};

/* What a shell makes of the words, in which CTL stands for the program and its socket. */
static struct outcome run(const struct actor *actor, const char *words)
{
	g_autofree char *ctl =
		g_strdup_printf("'%s' --socket '%s'", g_getenv("VHOST_DEVICE_GPUCTL"), actor->path);
	g_auto(GStrv) parts = g_strsplit(words, "CTL", -1);
	g_autofree char *line = g_strjoinv(ctl, parts);
	const char *const argv[] = {"sh", "-c", line, NULL};
	struct outcome outcome = {0};
	int wait_status;

	g_assert_true(g_spawn_sync(NULL, (char **)(uintptr_t)argv, NULL, G_SPAWN_SEARCH_PATH, NULL,
				   NULL, &outcome.out, &outcome.err, &wait_status, NULL));
	g_assert_true(WIFEXITED(wait_status));
	outcome.status = WEXITSTATUS(wait_status);
	return outcome;
}

static void assert_has(const char *text, const char *words)
{
	if (!strstr(text, words)) {
		g_error("there is no '%s' in:\n%s", words, text);
	}
}

/* Its output, owned. */
static char *must_run(const struct actor *actor, const char *words)
{
	struct outcome outcome = run(actor, words);

	g_assert_cmpstr(outcome.err, ==, "");
	g_assert_cmpint(outcome.status, ==, 0);
	g_free(outcome.err);
	return outcome.out;
}

/* ---- what it shows ---- */

#define ONE_VM OK "program pid=1 mode=null max-clients=1\nvm id=1\nend\n"

/* Prometheus refuses a page for one escape that it doesn't know. */
static void test_labels(const void *data)
{
	static const struct script scripts[] = {
		{.question = "vms", .answer = ONE_VM},
		{.question = "status vm=1",
		 .answer = OK "vm id=1 mode=a%22b version=1%5C2\n"
			      "renderer gl-renderer=Ren%C3%A9%20%22%5C%22 gl-version=%0A%07\n"
			      "queue name=control%22%0A commands=3\nend\n"},
		{.question = NULL}};
	struct actor *actor = actor_create(scripts);

	(void)data;
	g_autofree char *out = must_run(actor, "CTL metrics");
	assert_has(out, ",version=\"1\\\\2\",mode=\"a\\\"b\","
			"gl_renderer=\"Ren\u00e9 \\\"\\\\\\\"\",gl_version=\"\\\\x0a\\\\x07\",");
	assert_has(out, "commands_total{vm=\"1\",queue=\"control\\\"\\\\x0a\"} 3\n");
	actor_destroy(actor);
}

int main(int argc, char **argv)
{
	suite_init(&argc, &argv);
	suite_add(test_labels, NULL, "/proto/ctl/labels");
	return suite_run();
}
