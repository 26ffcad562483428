/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * {"program": {...}, "vms": [{"vm": {...}, "scanouts": [...], ...}]}: a record
 * is an object, of records of which there may be several there is a list.
 * Numbers are numbers, yes and no are true and false, all else is text.
 */
#include "ctl/ctl.h"

#include <json-glib/json-glib.h>
#include <stdio.h>
#include <string.h>

static const struct {
	const char *record, *list;
} lists[] = {
	{ "queue", "queues" },
	{ "scanout", "scanouts" },
	{ "cursor", "cursors" },
	{ "context", "contexts" },
};

/* Of these what looks like a number is none. */
static const char *const texts[] = { "name",	  "version",	 "capset",     "capsets",
				     "gl-vendor", "gl-renderer", "gl-version", "vulkan-server" };

static bool is_text(const char *key)
{
	for (size_t i = 0; i < G_N_ELEMENTS(texts); i++) {
		if (strcmp(texts[i], key) == 0) {
			return true;
		}
	}
	return false;
}

static void add_names(JsonBuilder *builder, char *consume_names)
{
	g_auto(GStrv) names = g_strsplit(consume_names, ",", -1);

	json_builder_begin_array(builder);
	for (char **name = names; *name != NULL; name++) {
		json_builder_add_string_value(builder, *name);
	}
	json_builder_end_array(builder);
	g_free(consume_names);
}

static void add_value(JsonBuilder *builder, const char *key, const char *value)
{
	gint64 whole;
	char *end;

	if (strcmp(key, "features") == 0) {
		add_names(builder, names_of_features(g_ascii_strtoull(value, NULL, 10)));
	} else if (strcmp(key, "protocol-features") == 0) {
		add_names(builder, names_of_protocol_features(g_ascii_strtoull(value, NULL, 10)));
	} else if (is_text(key)) {
		json_builder_add_string_value(builder, value);
	} else if (strcmp(value, "yes") == 0 || strcmp(value, "no") == 0) {
		json_builder_add_boolean_value(builder, value[0] == 'y');
	} else if (g_ascii_string_to_signed(value, 10, G_MININT64, G_MAXINT64, &whole, NULL)) {
		json_builder_add_int_value(builder, whole);
	} else {
		double number = g_ascii_strtod(value, &end);

		if (end != value && *end == '\0') {
			json_builder_add_double_value(builder, number);
		} else {
			json_builder_add_string_value(builder, value);
		}
	}
}

static gint compare_keys(gconstpointer a, gconstpointer b)
{
	return strcmp(a, b);
}

static void add_record(JsonBuilder *builder, const struct record *record)
{
	g_autoptr(GList) keys = g_hash_table_get_keys(record->words);

	keys = g_list_sort(keys, compare_keys);
	json_builder_begin_object(builder);
	for (const GList *link = keys; link != NULL; link = link->next) {
		json_builder_set_member_name(builder, link->data);
		add_value(builder, link->data, g_hash_table_lookup(record->words, link->data));
	}
	json_builder_end_object(builder);
}

static bool is_listed(const char *name)
{
	for (size_t i = 0; i < G_N_ELEMENTS(lists); i++) {
		if (strcmp(lists[i].record, name) == 0) {
			return true;
		}
	}
	return false;
}

static void add_list(JsonBuilder *builder, const struct records *records, const char *name)
{
	json_builder_begin_array(builder);
	for (guint i = 0; i < records->list->len; i++) {
		const struct record *record = g_ptr_array_index(records->list, i);

		if (strcmp(record->name, name) == 0) {
			add_record(builder, record);
		}
	}
	json_builder_end_array(builder);
}

static void add_vm(JsonBuilder *builder, const struct records *records)
{
	json_builder_begin_object(builder);
	for (guint i = 0; i < records->list->len; i++) {
		const struct record *record = g_ptr_array_index(records->list, i);

		if (!is_listed(record->name)) {
			json_builder_set_member_name(builder, record->name);
			add_record(builder, record);
		}
	}
	for (size_t i = 0; i < G_N_ELEMENTS(lists); i++) {
		json_builder_set_member_name(builder, lists[i].list);
		add_list(builder, records, lists[i].record);
	}
	json_builder_end_object(builder);
}

/* The library escapes what JSON demands, but not all that a terminal obeys. */
static void print_escaped(const char *json)
{
	for (const char *at = json; *at != '\0'; at = g_utf8_next_char(at)) {
		gunichar character = g_utf8_get_char(at);

		if (character == '\n' || g_unichar_isprint(character)) {
			fwrite(at, 1, (size_t)(g_utf8_next_char(at) - at), stdout);
		} else if (character < 0x10000) {
			printf("\\u%04x", character);
		} else {
			printf("\\u%04x\\u%04x", 0xd800 + (character - 0x10000) / 0x400,
			       0xdc00 + (character - 0x10000) % 0x400);
		}
	}
	putchar('\n');
}

void json_print(const struct records *program, const GPtrArray *vms)
{
	g_autoptr(JsonBuilder) builder = json_builder_new();
	g_autoptr(JsonGenerator) generator = json_generator_new();
	const struct record *record = records_find(program, "program");

	json_builder_begin_object(builder);
	if (record != NULL) {
		json_builder_set_member_name(builder, "program");
		add_record(builder, record);
	}
	json_builder_set_member_name(builder, "vms");
	json_builder_begin_array(builder);
	for (guint i = 0; i < vms->len; i++) {
		add_vm(builder, ((const struct view_vm *)g_ptr_array_index(vms, i))->records);
	}
	json_builder_end_array(builder);
	json_builder_end_object(builder);

	JsonNode *root = json_builder_get_root(builder);
	json_generator_set_root(generator, root);
	json_generator_set_pretty(generator, TRUE);
	g_autofree char *text = json_generator_to_data(generator, NULL);
	print_escaped(text);
	json_node_unref(root);
}
