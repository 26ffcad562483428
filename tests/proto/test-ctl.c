/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * vhost-device-gpuctl, and a program that the test plays: what it makes of answers that a running
 * vhost-device-gpu gives seldom or never.
 */
#include <errno.h>
#include <glib/gstdio.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "control.h"
#include "ctl/ctl.h"
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

static void outcome_clear(struct outcome *outcome)
{
	g_free(outcome->out);
	g_free(outcome->err);
}

static void assert_fails(const struct actor *actor, const char *words, int status,
			 const char *reason)
{
	struct outcome outcome = run(actor, words);

	assert_has(outcome.err, reason);
	g_assert_cmpint(outcome.status, ==, status);
	outcome_clear(&outcome);
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

/* Whichever word it is: none of its bytes reaches the terminal as it is. */
#define BAD "%1B[2J%C2%9B2J%E2%80%AE%FF%F3%A0%80%81"
static void test_terminal(const void *data)
{
	static const char *const commands[] = {"CTL status", "CTL --json status", "CTL cursor",
					       "CTL metrics"};
	static const struct script scripts[] = {
		{.question = "vms", .answer = ONE_VM},
		{.question = "status vm=1",
		 .answer = OK
		 "vm id=1 pid=" BAD " mode=" BAD " version=" BAD "\n"
		 "renderer state=" BAD " restarts=" BAD " pid=7" BAD " busy-ms=1000" BAD
		 " fence-wait-ms=1000" BAD " gl-renderer=" BAD " capsets=" BAD "\n"
		 "device resources=" BAD " contexts=" BAD " waiting=" BAD " errors=" BAD "\n"
		 "fence count=" BAD " p50-us=" BAD "\n"
		 "queue name=" BAD " state=" BAD " waiting=" BAD " size=" BAD " out=" BAD
		 " commands=" BAD "\n"
		 "scanout id=" BAD " width=" BAD " height=" BAD " frames=" BAD "\n"
		 "context id=" BAD " name=" BAD " capset=" BAD " resources=" BAD " submits=" BAD
		 "\n"
		 "cursor scanout=" BAD " x=" BAD " y=" BAD " hot-x=" BAD " hot-y=" BAD "\n"
		 "o\033[2J\xff a\033\xff=1 b\xc2\x9b=2\n"
		 "end\n"},
		{.question = NULL}};
	struct actor *actor = actor_create(scripts);

	(void)data;
	for (size_t i = 0; i < G_N_ELEMENTS(commands); i++) {
		g_autofree char *out = must_run(actor, commands[i]);

		g_assert_true(g_utf8_validate(out, -1, NULL));
		for (const char *at = out; *at; at = g_utf8_next_char(at)) {
			gunichar character = g_utf8_get_char(at);

			if (character != '\n' && !g_unichar_isprint(character)) {
				g_error("'%s' shows U+%04X", commands[i], character);
			}
		}
	}
	g_autofree char *json = must_run(actor, "CTL --json status");
	assert_has(json, "\"mode\" : \"\\u001b[2J\\u009b2J\\u202e\ufffd\\udb40\\udc01\"");
	actor_destroy(actor);
}

/* ---- pictures ---- */

static void refuse_picture(const char *size, size_t n_bytes)
{
	static const char end[] = "\nend\n";
	g_autofree char *begin = g_strdup_printf(OK "picture scanout=0 %s%s", size, end);
	g_autofree char *bytes = g_malloc0(strlen(begin) + n_bytes);
	const struct script scripts[] = {{.question = "screenshot scanout=0",
					  .answer = bytes,
					  .length = strlen(begin) + n_bytes},
					 {.question = NULL}};
	struct actor *actor = actor_create(scripts);

	memcpy(bytes, begin, strlen(begin));
	g_autofree char *file = g_build_filename(actor->folder, "shot.png", NULL);
	g_autofree char *words = g_strdup_printf("CTL screenshot %s", file);
	assert_fails(actor, words, 1, "the picture did not come whole");
	g_assert_false(g_file_test(file, G_FILE_TEST_EXISTS));
	actor_destroy(actor);
}

static void test_picture(const void *data)
{
	(void)data;
	refuse_picture("width=1 height=1 bytes=4", 3);
	refuse_picture("width=1 height=1 bytes=4", 5);
	refuse_picture("width=0 height=1 bytes=0", 0);
	refuse_picture("width=16385 height=1 bytes=65540", 65540);
	refuse_picture("width=1 height=16385 bytes=65540", 65540);
	/* In 64 bits that is 262144 bytes, in which no row of 65537 pixels is. */
	refuse_picture("width=65537 height=281470681808896 bytes=262144", 262144);
}

static const struct script one_pixel[] = {
	{.question = "screenshot scanout=0",
	 .answer = OK "picture scanout=0 width=1 height=1 bytes=4\nend\nabcd"},
	{.question = NULL}};

static char *read_whole(const char *path)
{
	char *bytes;
	gsize length;

	g_assert_true(g_file_get_contents(path, &bytes, &length, NULL));
	return bytes;
}

/* Links that are there before lead it nowhere, and what is left is one file for one user. */
static void test_png_file(const void *data)
{
	struct actor *actor = actor_create(one_pixel);
	g_autofree char *victim = g_build_filename(actor->folder, "victim", NULL);
	g_autofree char *shot = g_build_filename(actor->folder, "shot", NULL);
	g_autofree char *part = g_strdup_printf("%s.part", shot);
	g_autofree char *words = g_strdup_printf("umask 022; CTL screenshot '%s'", shot);
	struct stat info;

	(void)data;
	g_assert_true(g_file_set_contents(victim, "mine", -1, NULL));
	g_assert_no_errno(symlink(victim, part));
	g_assert_no_errno(symlink(victim, shot));
	g_free(must_run(actor, words));
	g_autofree char *kept = read_whole(victim);
	g_assert_cmpstr(kept, ==, "mine");
	g_autofree char *png = read_whole(shot);
	g_assert_true(g_str_has_prefix(png, "\x89PNG"));
	g_assert_no_errno(lstat(shot, &info));
	g_assert_true(S_ISREG(info.st_mode));
	g_assert_cmphex(info.st_mode & 0777, ==, 0600);
	g_unlink(shot);
	g_unlink(part);
	g_unlink(victim);
	/* Nothing else is left, or the folder can't be removed. */
	actor_destroy(actor);
}

/* What is no file stays what it is. */
static void test_png_stream(const void *data)
{
	struct actor *actor = actor_create(one_pixel);
	g_autofree char *pipe = g_build_filename(actor->folder, "pipe", NULL);
	g_autofree char *words = g_strdup_printf("CTL screenshot '%s' & cat '%s'", pipe, pipe);
	struct stat info;

	(void)data;
	g_assert_no_errno(mkfifo(pipe, 0600));
	g_autofree char *png = must_run(actor, words);
	g_assert_true(g_str_has_prefix(png, "\x89PNG"));
	g_assert_no_errno(lstat(pipe, &info));
	g_assert_true(S_ISFIFO(info.st_mode));
	g_unlink(pipe);
	actor_destroy(actor);
}

/* ---- who answers ---- */

/* True: what listener says is heard by asker. */
static bool is_heard(uid_t listener, uid_t asker)
{
	static const struct script scripts[] = {{.question = "vms", .answer = ONE_VM},
						{.question = NULL}};
	struct actor *actor = actor_create(scripts);
	const struct client client = {.path = actor->path, .limit_s = 10};

	g_assert_no_errno(chmod(actor->folder, 0755));
	g_assert_no_errno(chmod(actor->path, 0777));
	g_assert_no_errno(seteuid(listener));
	g_assert_no_errno(listen(actor->fd, 16));
	g_assert_no_errno(seteuid(0));
	g_assert_no_errno(seteuid(asker));
	struct records *records = client_ask(&client, "vms", NULL);
	bool is_heard = records != NULL;
	records_free(records);
	g_assert_no_errno(seteuid(0));
	actor_destroy(actor);
	return is_heard;
}

static void test_trust(const void *data)
{
	(void)data;
	if (geteuid() != 0 || seteuid(4001) < 0 || seteuid(0) < 0) {
		suite_skip("only root can become another user, where there are others");
	}
	g_assert_true(is_heard(4001, 4001));
	g_assert_true(is_heard(0, 4001));
	g_assert_true(is_heard(4001, 0));
	g_assert_false(is_heard(4002, 4001));
}

/* ---- who does not answer ---- */

#define THREE_VMS OK "program pid=1 mode=null max-clients=3\nvm id=1\nvm id=2\nvm id=3\nend\n"

/* One ends while it is asked, and one has ended: the third one is shown. */
static void test_left_out(const void *data)
{
	static const struct script scripts[] = {
		{.question = "vms", .answer = THREE_VMS},
		{.question = "status vm=2", .answer = GREETING "error there is no VM 2\nend\n"},
		{.question = "status vm=3", .answer = OK "vm id=3 mode=null\nend\n"},
		{.question = NULL}};
	struct actor *actor = actor_create(scripts);

	(void)data;
	struct outcome outcome = run(actor, "CTL status");
	g_assert_cmpint(outcome.status, ==, 0);
	assert_has(outcome.out, "VM 3: ");
	assert_has(outcome.err, "VM 1 is left out");
	assert_has(outcome.err, "there is no VM 2\n");
	assert_has(outcome.err, "VM 2 is left out");
	outcome_clear(&outcome);
	outcome = run(actor, "CTL metrics");
	g_assert_cmpint(outcome.status, ==, 0);
	assert_has(outcome.out, "_vms 3\n");
	assert_has(outcome.out, "_info{vm=\"3\",");
	g_assert_null(strstr(outcome.out, "{vm=\"1\""));
	outcome_clear(&outcome);
	assert_fails(actor, "CTL --vm 1 status", 1, "VM 1 is left out");
	assert_fails(actor, "CTL --vm 4 status", 1, "there is no VM 4");
	actor_destroy(actor);
}

/* What top looks at may be there again; where nobody listens, it ends. */
static void test_top_goes_on(const void *data)
{
	static const struct script scripts[] = {{.question = "vms", .answer = ONE_VM},
						{.question = NULL}};
	struct actor *actor = actor_create(scripts);

	(void)data;
	struct outcome outcome = run(actor, "CTL --interval 0.1 --count 3 top");
	g_auto(GStrv) parts = g_strsplit(outcome.err, "VM 1 is left out", -1);
	g_assert_cmpuint(g_strv_length(parts), ==, 4);
	g_assert_cmpstr(outcome.out, ==, "");
	g_assert_cmpint(outcome.status, ==, 1);
	outcome_clear(&outcome);
	assert_fails(actor, "CTL status", 1, "VM 1 is left out");
	assert_fails(actor, "CTL --vm 2 top", 1, "there is no VM 2");
	assert_fails(actor, "CTL --socket /nonexistent top", 1, "no such socket");
	actor_destroy(actor);
}

/* ---- how it ends ---- */

static const struct script one_vm[] = {
	{.question = "vms", .answer = ONE_VM},
	{.question = "status vm=1", .answer = OK "vm id=1 mode=null\nend\n"},
	{.question = NULL}};

static void test_output(const void *data)
{
	struct actor *actor = actor_create(one_vm);

	(void)data;
	assert_fails(actor, "CTL status >/dev/full", 1, "could not be written");
	assert_fails(actor, "CTL --json status >/dev/full", 1, "could not be written");
	assert_fails(actor, "CTL --version >/dev/full", 1, "could not be written");
	assert_fails(actor, "CTL --interval 0.1 top >/dev/full", 1, "could not be written");
	/* A service's may ignore the signal. */
	g_free(must_run(actor, "CTL --interval 0.1 top | head -n 1"));
	assert_fails(actor, "trap '' PIPE; { CTL --interval 0.1 top; echo $? >&2; } | head -n 1", 0,
		     "could not be written\n1\n");
	actor_destroy(actor);
}

/* In the middle of its sleep. */
static void test_interrupt(const void *data)
{
	struct actor *actor = actor_create(one_vm);
	const char *const argv[] = {g_getenv("VHOST_DEVICE_GPUCTL"),
				    "--socket",
				    actor->path,
				    "--interval",
				    "3600",
				    "top",
				    NULL};
	GPid pid;
	int out, wait_status;
	char byte;

	(void)data;
	g_assert_true(g_spawn_async_with_pipes(NULL, (char **)(uintptr_t)argv, NULL,
					       G_SPAWN_DO_NOT_REAP_CHILD, NULL, NULL, &pid, NULL,
					       &out, NULL, NULL));
	g_assert_cmpint(read(out, &byte, 1), ==, 1);
	g_usleep(100 * 1000);
	g_assert_no_errno(kill(pid, SIGINT));
	g_assert_cmpint(waitpid(pid, &wait_status, 0), ==, pid);
	g_assert_cmpint(wait_status, ==, 0);
	close(out);
	actor_destroy(actor);
}

int main(int argc, char **argv)
{
	suite_init(&argc, &argv);
	suite_add(test_labels, NULL, "/proto/ctl/labels");
	suite_add(test_terminal, NULL, "/proto/ctl/terminal");
	suite_add(test_picture, NULL, "/proto/ctl/picture");
	suite_add(test_png_file, NULL, "/proto/ctl/png-file");
	suite_add(test_png_stream, NULL, "/proto/ctl/png-stream");
	suite_add(test_trust, NULL, "/proto/ctl/trust");
	suite_add(test_left_out, NULL, "/proto/ctl/left-out");
	suite_add(test_top_goes_on, NULL, "/proto/ctl/top-goes-on");
	suite_add(test_output, NULL, "/proto/ctl/output");
	suite_add(test_interrupt, NULL, "/proto/ctl/interrupt");
	return suite_run();
}
