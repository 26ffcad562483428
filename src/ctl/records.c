/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "ctl/ctl.h"

#include <string.h>

#include "control/protocol.h"

static void record_free(void *data)
{
	struct record *record = data;

	g_hash_table_destroy(record->words);
	g_hash_table_destroy(record->shown);
	g_free(record->name);
	g_free(record);
}

/* "key=value"; what has no "=" is passed over. */
static void add_word(struct record *record, const char *word)
{
	const char *equals = strchr(word, '=');

	if (equals == NULL) {
		return;
	}
	g_autofree char *bytes = g_uri_unescape_string(equals + 1, NULL);
	if (bytes != NULL) {
		char *key = g_strndup(word, (gsize)(equals - word));
		char *value = g_utf8_make_valid(bytes, -1);

		g_hash_table_insert(record->shown, g_strdup(key), names_escape(value));
		g_hash_table_insert(record->words, key, value);
	}
}

static void add_record(struct records *records, const char *line)
{
	g_auto(GStrv) words = g_strsplit(line, " ", -1);
	struct record *record = g_new0(struct record, 1);

	record->name = g_strdup(words[0] != NULL ? words[0] : "");
	record->words = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
	record->shown = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
	for (size_t i = 1; words[0] != NULL && words[i] != NULL; i++) {
		add_word(record, words[i]);
	}
	g_ptr_array_add(records->list, record);
}

/* Returns false: it is no answer of this version. */
static bool take_greeting(struct records *records, const char *line)
{
	const char *rest = line + strlen(CONTROL_GREETING);

	if (!g_str_has_prefix(line, CONTROL_GREETING) || *rest != ' ') {
		return false;
	}
	if (g_str_has_prefix(rest, " error ")) {
		records->error = names_escape(rest + strlen(" error "));
		return true;
	}
	return strcmp(rest, " ok") == 0;
}

struct records *records_parse(const char *text, size_t length)
{
	struct records *records = g_new0(struct records, 1);
	/* Names and keys are shown as well. */
	g_autofree char *copy = g_utf8_make_valid(text, (gssize)length);
	g_auto(GStrv) lines = g_strsplit(copy, "\n", -1);

	records->list = g_ptr_array_new_with_free_func(record_free);
	if (lines[0] == NULL || !take_greeting(records, lines[0])) {
		return records;
	}
	for (size_t i = 1; lines[i] != NULL && !records->is_whole; i++) {
		if (strcmp(lines[i], "end") == 0) {
			records->is_whole = true;
		} else if (*lines[i] != '\0') {
			add_record(records, lines[i]);
		}
	}
	return records;
}

void records_free(struct records *records)
{
	if (records != NULL) {
		g_ptr_array_unref(records->list);
		g_free(records->error);
		g_free(records);
	}
}

const struct record *records_find(const struct records *records, const char *name)
{
	for (guint i = 0; i < records->list->len; i++) {
		const struct record *record = g_ptr_array_index(records->list, i);

		if (strcmp(record->name, name) == 0) {
			return record;
		}
	}
	return NULL;
}

const char *record_text(const struct record *record, const char *key)
{
	const char *text = record != NULL ? g_hash_table_lookup(record->words, key) : NULL;

	return text != NULL ? text : "";
}

const char *record_shown(const struct record *record, const char *key)
{
	const char *text = record != NULL ? g_hash_table_lookup(record->shown, key) : NULL;

	return text != NULL ? text : "";
}

uint64_t record_number(const struct record *record, const char *key)
{
	return g_ascii_strtoull(record_text(record, key), NULL, 10);
}

double record_decimal(const struct record *record, const char *key)
{
	return g_ascii_strtod(record_text(record, key), NULL);
}

bool record_bool(const struct record *record, const char *key)
{
	return strcmp(record_text(record, key), "yes") == 0;
}
