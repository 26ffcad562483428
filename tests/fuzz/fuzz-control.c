/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * What comes by the control socket, in both directions: a question, of whoever
 * may open it; the figures of a renderer process that its guest has taken
 * over, on their way into an answer; and an answer, as vhost-device-gpuctl
 * reads it. The first byte says which.
 */
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "control/protocol.h"
#include "control/question.h"
#include "control/report.h"
#include "ctl/ctl.h"
#include "fuzz.h"

const char *fuzz_prepare(void)
{
	return NULL;
}

static void try_question(const char *line, size_t length)
{
	struct control_question question = { .verb = CONTROL_N_VERBS };

	if (control_question_parse(line, length, &question) != NULL) {
		g_assert_cmpint(question.verb, ==, CONTROL_N_VERBS);
		return;
	}
	g_assert_cmpint(question.verb, <, CONTROL_N_VERBS);
	g_assert_cmpuint(question.scanout_id, <, DISPLAY_MAX_SCANOUTS);
	g_assert_cmpint(question.level, <=, LOG_LEVEL_TRACE);
	if (question.verb == CONTROL_SET_MODE) {
		g_assert_cmpuint(question.width, >=, DISPLAY_MIN_SIDE);
		g_assert_cmpuint(question.width, <=, DISPLAY_MAX_SIDE);
		g_assert_cmpuint(question.height, >=, DISPLAY_MIN_SIDE);
		g_assert_cmpuint(question.height, <=, DISPLAY_MAX_SIDE);
	}
}

static void try_words(const uint8_t *bytes, size_t size_bytes)
{
	char line[CONTROL_MAX_QUESTION_BYTES];
	size_t begin = strlen(CONTROL_GREETING " ");
	size_t n = MIN(size_bytes, sizeof(line) - begin);

	memcpy(line, CONTROL_GREETING " ", begin);
	if (n > 0) {
		memcpy(line + begin, bytes, n);
	}
	try_question(line, begin + n);
}

static void try_answer(const uint8_t *bytes, size_t size_bytes)
{
	struct records *records = records_parse((const char *)bytes, size_bytes);

	for (guint i = 0; i < records->list->len; i++) {
		const struct record *record = g_ptr_array_index(records->list, i);
		g_autofree char *shown = names_escape(record_text(record, "name"));

		g_assert_true(g_utf8_validate(shown, -1, NULL));
		g_assert_null(strchr(shown, '\033'));
		record_number(record, "id");
		record_decimal(record, "fps");
	}
	records_free(records);
}

/* The bytes again and again, all over it. */
static void fill(struct stats *stats, const uint8_t *bytes, size_t size_bytes)
{
	for (size_t i = 0; size_bytes > 0 && i < sizeof(*stats); i++) {
		((uint8_t *)stats)[i] = bytes[i % size_bytes];
	}
}

static char *write_report(const struct stats *stats)
{
	static const struct options options = { .gpu_mode = "virglrenderer" };
	static const struct renderer_caps caps;
	static const struct desk_facts facts;
	static const struct engine_state engine = { .is_running = true };
	const struct quota quota = { .limit_bytes = 1 << 20 };
	const struct desk_options desk = { .options = &options, .caps = &caps, .quota = &quota };
	const struct report report = {
		.options = &desk,
		.facts = &facts,
		.engine = &engine,
		.stats = stats,
		.now_us = g_get_monotonic_time(),
	};
	char *text = g_malloc(CONTROL_MAX_ANSWER_BYTES + 1);
	struct answer answer;
	int pair[2];

	g_assert_cmpint(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), ==, 0);
	answer_begin(&answer);
	report_write(&report, &answer);
	g_assert_true(answer_end(&answer, pair[0]));
	close(pair[0]);
	ssize_t n = recv(pair[1], text, CONTROL_MAX_ANSWER_BYTES, MSG_WAITALL);
	g_assert_cmpint(n, >, 0);
	text[n] = '\0';
	close(pair[1]);
	return text;
}

static void try_figures(const uint8_t *bytes, size_t size_bytes)
{
	struct stats *stats = g_new0(struct stats, 1), *copy = g_new(struct stats, 1);

	fill(stats, bytes, size_bytes);
	stats_read(stats, copy);
	g_autofree char *text = write_report(copy);
	for (const char *at = text; *at != '\0'; at++) {
		g_assert_true(g_ascii_isprint(*at) || *at == '\n');
	}
	struct records *records = records_parse(text, strlen(text));
	g_assert_true(records->is_whole);
	g_assert_nonnull(records_find(records, "vm"));
	g_assert_nonnull(records_find(records, "fence"));
	records_free(records);
	g_free(stats);
	g_free(copy);
}

void fuzz_one(const uint8_t *bytes, size_t size_bytes)
{
	if (size_bytes == 0) {
		return;
	}
	switch (bytes[0] % 4) {
	case 0:
		try_question((const char *)bytes + 1, size_bytes - 1);
		break;
	case 1:
		try_words(bytes + 1, size_bytes - 1);
		break;
	case 2:
		try_answer(bytes + 1, size_bytes - 1);
		break;
	default:
		try_figures(bytes + 1, size_bytes - 1);
		break;
	}
}
