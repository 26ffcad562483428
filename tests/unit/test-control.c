/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * The control socket's words, and who comes in by its door. What is answered of
 * a machine is proto-control's.
 */
#include <errno.h>
#include <glib/gstdio.h>
#include <linux/sockios.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "control/answer.h"
#include "control/door.h"
#include "control/protocol.h"
#include "control/question.h"
#include "ctl/ctl.h"
#include "unit.h"

/* ---- questions ---- */

static const char *parse(const char *rest, struct control_question *question_out)
{
	g_autofree char *line = g_strdup_printf(CONTROL_GREETING " %s", rest);

	return control_question_parse(line, strlen(line), question_out);
}

static void test_questions(void)
{
	struct control_question question;

	g_assert_null(parse("vms", &question));
	g_assert_cmpint(question.verb, ==, CONTROL_VMS);
	g_assert_null(parse("status", &question));
	g_assert_cmpint(question.verb, ==, CONTROL_STATUS);
	g_assert_cmpuint(question.vm, ==, 0);
	g_assert_null(parse("screenshot vm=4294967295 scanout=15", &question));
	g_assert_cmpint(question.verb, ==, CONTROL_SCREENSHOT);
	g_assert_cmpuint(question.vm, ==, UINT32_MAX);
	g_assert_cmpuint(question.scanout_id, ==, 15);
	g_assert_null(parse("set-mode mode=16x16384", &question));
	g_assert_cmpuint(question.width, ==, 16);
	g_assert_cmpuint(question.height, ==, 16384);
	g_assert_null(parse("log level=trace", &question));
	g_assert_cmpint(question.level, ==, LOG_LEVEL_TRACE);
}

static void test_nonsense(void)
{
	static const char *const lines[] = {
		"",
		"dance",
		"status vm=0",
		"status vm=-1",
		"status vm=4294967296",
		"status vm=",
		"status  vm=1",
		"status scanout=1",
		"screenshot scanout=16",
		"screenshot mode=64x64",
		"set-mode",
		"set-mode mode=64",
		"set-mode mode=64x",
		"set-mode mode=15x64",
		"set-mode mode=64x16385",
		"set-mode mode=64x64x64",
		"log",
		"log level=loud",
		"log level=",
		"vms vm=1",
		"status vm=1 a b c d e f g h",
	};
	struct control_question question = { .vm = 77 };

	for (size_t i = 0; i < G_N_ELEMENTS(lines); i++) {
		g_assert_nonnull(parse(lines[i], &question));
		g_assert_cmpuint(question.vm, ==, 77);
	}
	g_assert_nonnull(control_question_parse("", 0, &question));
	g_assert_nonnull(control_question_parse("vhost-device-gpu/2 vms", 22, &question));
	g_assert_nonnull(control_question_parse("vhost-device-gpu/1 vms\0", 23, &question));
	char long_line[CONTROL_MAX_QUESTION_BYTES];
	memset(long_line, ' ', sizeof(long_line));
	g_assert_nonnull(control_question_parse(long_line, sizeof(long_line), &question));
}

/* ---- answers ---- */

static char *read_all(int consume_fd)
{
	GString *text = g_string_new(NULL);
	char bytes[65536];
	ssize_t n;

	while ((n = read(consume_fd, bytes, sizeof(bytes))) > 0) {
		g_string_append_len(text, bytes, n);
	}
	close(consume_fd);
	return g_string_free(text, FALSE);
}

static void test_answer(void)
{
	int pair[2];
	struct answer answer;

	unit_socketpair(pair);
	answer_begin(&answer);
	answer_record(&answer, "thing");
	answer_number(&answer, "n", UINT64_MAX);
	answer_decimal(&answer, "d", 59940);
	answer_bool(&answer, "b", true);
	answer_text(&answer, "none", NULL);
	answer_text(&answer, "t", "two words\nand=100%");
	answer_bytes(&answer, "z", "a\0\x7f\xff", 4);
	g_assert_true(answer_end(&answer, pair[0]));
	close(pair[0]);
	g_autofree char *text = read_all(pair[1]);
	g_assert_cmpstr(text, ==,
			CONTROL_GREETING " ok\nthing n=18446744073709551615 d=59.940 b=yes "
					 "t=two%20words%0Aand=100%25 z=a%00%7F%FF\nend\n");

	struct records *records = records_parse(text, strlen(text));
	const struct record *thing = records_find(records, "thing");
	g_assert_true(records->is_whole);
	g_assert_cmpuint(record_number(thing, "n"), ==, UINT64_MAX);
	g_assert_cmpfloat(record_decimal(thing, "d"), ==, 59.94);
	g_assert_true(record_bool(thing, "b"));
	g_assert_cmpstr(record_text(thing, "t"), ==, "two words\nand=100%");
	g_assert_cmpstr(record_text(thing, "none"), ==, "");
	g_assert_null(records_find(records, "end"));
	records_free(records);
}

/* As much as there may be goes out in one piece, whether somebody reads or not. */
static void test_long_answer(void)
{
	int pair[2];
	struct answer answer;

	unit_socketpair(pair);
	answer_begin(&answer);
	for (unsigned int i = 0; i < 10000; i++) {
		answer_record(&answer, "context");
		answer_text(&answer, "name",
			    "something that is as long as a name may be, or longer");
	}
	g_assert_true(answer.is_full);
	g_assert_true(answer_end(&answer, pair[0]));
	close(pair[0]);
	g_autofree char *text = read_all(pair[1]);
	g_assert_cmpuint(strlen(text), <=, CONTROL_MAX_ANSWER_BYTES);
	g_assert_true(g_str_has_suffix(text, "\ncut\nend\n"));
	struct records *records = records_parse(text, strlen(text));
	g_assert_true(records->is_whole);
	g_assert_nonnull(records_find(records, "cut"));
	records_free(records);
}

static void test_error(void)
{
	int pair[2];

	unit_socketpair(pair);
	answer_error(pair[0], "there is no VM %d", 3);
	g_autofree char *text = read_all(pair[1]);
	struct records *records = records_parse(text, strlen(text));
	g_assert_cmpstr(records->error, ==, "there is no VM 3");
	records_free(records);
}

static void test_records_of_nonsense(void)
{
	static const char *const texts[] = {
		"",
		"\n",
		"end\n",
		"vhost-device-gpu/1",
		"vhost-device-gpu/1 ok",
		"vhost-device-gpu/1 ok\nvm id=1",
		"vhost-device-gpu/12 ok\nend\n",
	};

	for (size_t i = 0; i < G_N_ELEMENTS(texts); i++) {
		struct records *records = records_parse(texts[i], strlen(texts[i]));

		g_assert_false(records->is_whole);
		g_assert_null(records->error);
		records_free(records);
	}
}

static void test_names(void)
{
	g_autofree char *features = names_of_features(UINT64_C(1) << 32 | 3 | UINT64_C(1) << 63);
	g_autofree char *none = names_of_features(0);
	g_autofree char *shown = names_escape("a\033[2J\u202e\u00e4");

	g_assert_cmpstr(features, ==, "VIRGL,EDID,VERSION_1,bit63");
	g_assert_cmpstr(none, ==, "");
	g_assert_cmpstr(shown, ==, "a\\x1b[2J\\x202e\u00e4");
}

/* ---- the door ---- */

struct house {
	struct loop loop;
	struct door *door;
	char *folder, *path; /* owned */
	unsigned int n_asked;
	gint64 last_us; /* when that was */
	char *line; /* owned: of the last question */
};

static void asked(void *data, const struct control_question *question G_GNUC_UNUSED,
		  const char *line, size_t length, int consume_fd)
{
	struct house *house = data;

	house->last_us = g_get_monotonic_time();
	house->n_asked++;
	g_free(house->line);
	house->line = g_strndup(line, length);
	answer_error(consume_fd, "heard");
}

static const struct door_listener door_listener = { .asked = asked };

static struct house *house_create(void)
{
	struct house *house = g_new0(struct house, 1);

	house->folder = g_dir_make_tmp("door-XXXXXX", NULL);
	house->path = g_build_filename(house->folder, "control", NULL);
	g_assert_cmpint(loop_init(&house->loop, NULL, NULL), ==, 0);
	int fd = door_listen(house->path);
	g_assert_cmpint(fd, >=, 0);
	g_assert_cmpint(door_create(&house->loop, fd, &door_listener, house, &house->door), ==, 0);
	return house;
}

static void house_destroy(struct house *house)
{
	door_destroy(house->door);
	loop_finish(&house->loop);
	g_unlink(house->path);
	g_rmdir(house->folder);
	g_free(house->line);
	g_free(house->path);
	g_free(house->folder);
	g_free(house);
}

static int knock(const struct house *house)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	g_strlcpy(address.sun_path, house->path, sizeof(address.sun_path));
	if (connect(fd, (const struct sockaddr *)&address, sizeof(address)) < 0) {
		close(fd);
		return -1;
	}
	return fd;
}

static bool was_asked(void *data)
{
	return ((struct house *)data)->n_asked > 0;
}

/* All that was written to it. */
static bool has_been_read(void *data)
{
	int n_bytes = 0;

	g_assert_no_errno(ioctl(*(int *)data, SIOCOUTQ, &n_bytes));
	return n_bytes == 0;
}

static bool has_hung_up(void *data)
{
	return unit_is_readable(*(int *)data);
}

#define QUESTION CONTROL_GREETING " vms\n"

static void test_door(void)
{
	struct house *house = house_create();
	struct stat info;

	g_assert_cmpint(stat(house->path, &info), ==, 0);
	g_assert_cmpint(info.st_mode & 0777, ==, 0600);
	g_assert_cmpint(door_listen(house->path), ==, -EADDRINUSE);

	/* In pieces, and with more behind it. */
	int fd = knock(house);
	unit_write(fd, QUESTION, 5);
	unit_run_until(&house->loop, has_been_read, &fd);
	g_assert_cmpuint(house->n_asked, ==, 0);
	unit_write(fd, &QUESTION[5], strlen(QUESTION) - 5);
	unit_run_until(&house->loop, was_asked, house);
	g_assert_cmpuint(house->n_asked, ==, 1);
	g_assert_cmpstr(house->line, ==, CONTROL_GREETING " vms");
	char answer[128] = { 0 };
	g_assert_cmpint(read(fd, answer, sizeof(answer) - 1), >, 0);
	g_assert_cmpstr(answer, ==, CONTROL_GREETING " error heard\nend\n");
	close(fd);

	/* Who goes without a word. */
	close(knock(house));
	unit_run_for(&house->loop, 20000);
	g_assert_cmpuint(house->n_asked, ==, 1);
	house_destroy(house);
}

/* Beyond what comes at once, one after the other. */
static void test_pace(void)
{
	struct house *house = house_create();
	const unsigned int n = DOOR_AT_ONCE + 20;
	gint64 start_us = g_get_monotonic_time();
	gint64 deadline_us = start_us + UNIT_TIMEOUT_MS * 1000;

	for (unsigned int i = 0; i < n && g_get_monotonic_time() < deadline_us;) {
		int fd = knock(house);

		if (fd >= 0) {
			unit_write(fd, QUESTION, strlen(QUESTION));
			close(fd);
			i++;
		}
		unit_run_for(&house->loop, 1000);
	}
	while (house->n_asked < n && g_get_monotonic_time() < deadline_us) {
		unit_run_for(&house->loop, 10000);
	}
	g_assert_cmpuint(house->n_asked, ==, n);
	g_assert_cmpint(house->last_us - start_us, >=, 19 * G_USEC_PER_SEC / DOOR_PACE);
	house_destroy(house);
}

/* Descriptors are closed, and their sender is shown out. */
static void test_descriptor(void)
{
	struct house *house = house_create();
	unsigned int n_fds = unit_count_fds();
	int fd = knock(house);
	int sent = unit_memfd(1);
	union {
		struct cmsghdr header;
		char bytes[CMSG_SPACE(sizeof(int))];
	} control = { .header = { CMSG_LEN(sizeof(int)), SOL_SOCKET, SCM_RIGHTS } };
	struct iovec iov = { (char *)(uintptr_t)QUESTION, strlen(QUESTION) };
	struct msghdr message = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = &control,
		.msg_controllen = sizeof(control),
	};

	memcpy(CMSG_DATA(&control.header), &sent, sizeof(sent));
	g_assert_cmpint(sendmsg(fd, &message, 0), ==, (ssize_t)strlen(QUESTION));
	close(sent);
	unit_run_until(&house->loop, has_hung_up, &fd);
	unit_assert_hung_up(fd);
	g_assert_cmpuint(house->n_asked, ==, 0);
	close(fd);
	g_assert_cmpuint(unit_count_fds(), ==, n_fds);
	house_destroy(house);
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/control/questions", test_questions);
	g_test_add_func("/control/nonsense", test_nonsense);
	g_test_add_func("/control/answer", test_answer);
	g_test_add_func("/control/long-answer", test_long_answer);
	g_test_add_func("/control/error", test_error);
	g_test_add_func("/control/records-of-nonsense", test_records_of_nonsense);
	g_test_add_func("/control/names", test_names);
	g_test_add_func("/control/door/question", test_door);
	g_test_add_func("/control/door/pace", test_pace);
	g_test_add_func("/control/door/descriptor", test_descriptor);
	return g_test_run();
}
