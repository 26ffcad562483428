/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "control/question.h"

#include <string.h>

#include "control/protocol.h"
#include "display/display.h"

enum argument {
	ARGUMENT_VM = 1 << 0,
	ARGUMENT_SCANOUT = 1 << 1,
	ARGUMENT_MODE = 1 << 2,
	ARGUMENT_LEVEL = 1 << 3,
};

static const struct {
	const char *name;
	unsigned int may, must; /* enum argument */
} verbs[] = {
	[CONTROL_VMS] = { "vms", 0, 0 },
	[CONTROL_LOG] = { "log", ARGUMENT_LEVEL, ARGUMENT_LEVEL },
	[CONTROL_STATUS] = { "status", ARGUMENT_VM, 0 },
	[CONTROL_SCREENSHOT] = { "screenshot", ARGUMENT_VM | ARGUMENT_SCANOUT, 0 },
	[CONTROL_CURSOR] = { "cursor", ARGUMENT_VM | ARGUMENT_SCANOUT, 0 },
	[CONTROL_SET_MODE] = { "set-mode", ARGUMENT_VM | ARGUMENT_SCANOUT | ARGUMENT_MODE,
			       ARGUMENT_MODE },
};

G_STATIC_ASSERT(G_N_ELEMENTS(verbs) == CONTROL_N_VERBS);

static bool read_number(const char *text, uint32_t min, uint32_t max, uint32_t *number_out)
{
	guint64 number;

	if (!g_ascii_string_to_unsigned(text, 10, min, max, &number, NULL)) {
		return false;
	}
	*number_out = (uint32_t)number;
	return true;
}

/* "1280x800" */
static bool read_mode(const char *text, struct control_question *question)
{
	g_auto(GStrv) sides = g_strsplit(text, "x", 2);

	return sides[0] != NULL && sides[1] != NULL &&
	       read_number(sides[0], DISPLAY_MIN_SIDE, DISPLAY_MAX_SIDE, &question->width) &&
	       read_number(sides[1], DISPLAY_MIN_SIDE, DISPLAY_MAX_SIDE, &question->height);
}

static const char *read_argument(const char *word, struct control_question *question,
				 unsigned int *given)
{
	if (g_str_has_prefix(word, "vm=")) {
		*given |= ARGUMENT_VM;
		return read_number(word + 3, 1, UINT32_MAX, &question->vm) ? NULL
									   : "no number of a VM";
	}
	if (g_str_has_prefix(word, "scanout=")) {
		*given |= ARGUMENT_SCANOUT;
		return read_number(word + 8, 0, DISPLAY_MAX_SCANOUTS - 1, &question->scanout_id)
			       ? NULL
			       : "no number of a scanout (allowed: 0 to 15)";
	}
	if (g_str_has_prefix(word, "mode=")) {
		*given |= ARGUMENT_MODE;
		return read_mode(word + 5, question)
			       ? NULL
			       : "no mode (allowed: WIDTHxHEIGHT, each from 16 to 16384)";
	}
	if (g_str_has_prefix(word, "level=")) {
		*given |= ARGUMENT_LEVEL;
		return log_level_parse(word + 6, &question->level)
			       ? NULL
			       : "no level (allowed: off, error, warn, info, debug, trace)";
	}
	return "a word that is not known here";
}

static const char *read_verb(const char *word, struct control_question *question)
{
	for (size_t i = 0; i < G_N_ELEMENTS(verbs); i++) {
		if (strcmp(verbs[i].name, word) == 0) {
			question->verb = (enum control_verb)i;
			return NULL;
		}
	}
	return "a question that is not known here";
}

const char *control_question_parse(const char *line, size_t length,
				   struct control_question *question_out)
{
	struct control_question question = { 0 };
	unsigned int given = 0;

	if (length >= CONTROL_MAX_QUESTION_BYTES || memchr(line, '\0', length) != NULL) {
		return "no question";
	}
	g_autofree char *text = g_strndup(line, length);
	g_auto(GStrv) words = g_strsplit(text, " ", 8);

	if (words[0] == NULL || strcmp(words[0], CONTROL_GREETING) != 0 || words[1] == NULL) {
		return "no question of this version (" CONTROL_GREETING ")";
	}
	const char *fault = read_verb(words[1], &question);
	for (char **word = &words[2]; fault == NULL && *word != NULL; word++) {
		fault = read_argument(*word, &question, &given);
	}
	if (fault != NULL) {
		return fault;
	}
	if (given & ~verbs[question.verb].may) {
		return "a word that does not belong to this question";
	}
	if (verbs[question.verb].must & ~given) {
		return "a word is missing in this question";
	}
	*question_out = question;
	return NULL;
}
