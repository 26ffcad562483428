/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "ctl/ctl.h"

struct name {
	unsigned int bit;
	const char *text;
};

static const struct name features[] = {
	{ 0, "VIRGL" },
	{ 1, "EDID" },
	{ 2, "RESOURCE_UUID" },
	{ 3, "RESOURCE_BLOB" },
	{ 4, "CONTEXT_INIT" },
	{ 24, "NOTIFY_ON_EMPTY" },
	{ 26, "LOG_ALL" },
	{ 27, "ANY_LAYOUT" },
	{ 28, "INDIRECT_DESC" },
	{ 29, "EVENT_IDX" },
	{ 30, "PROTOCOL_FEATURES" },
	{ 32, "VERSION_1" },
	{ 33, "ACCESS_PLATFORM" },
	{ 34, "RING_PACKED" },
};

static const struct name protocol_features[] = {
	{ 0, "MQ" },
	{ 3, "REPLY_ACK" },
	{ 5, "BACKEND_REQ" },
	{ 9, "CONFIG" },
	{ 10, "BACKEND_SEND_FD" },
	{ 13, "RESET_DEVICE" },
	{ 15, "CONFIGURE_MEM_SLOTS" },
	{ 18, "SHARED_OBJECT" },
	{ 21, "SHMEM_MAP" }, /* of front-ends from before it had its number */
	{ 22, "SHMEM_MAP" },
};

static const char *find(const struct name *names, size_t n_names, unsigned int bit)
{
	for (size_t i = 0; i < n_names; i++) {
		if (names[i].bit == bit) {
			return names[i].text;
		}
	}
	return NULL;
}

static char *list(const struct name *names, size_t n_names, uint64_t set)
{
	GString *text = g_string_new(NULL);

	for (unsigned int bit = 0; bit < 64; bit++) {
		const char *name = find(names, n_names, bit);

		if ((set & UINT64_C(1) << bit) == 0) {
			continue;
		}
		g_string_append(text, text->len > 0 ? "," : "");
		if (name != NULL) {
			g_string_append(text, name);
		} else {
			g_string_append_printf(text, "bit%u", bit);
		}
	}
	return g_string_free(text, FALSE);
}

char *names_of_features(uint64_t set)
{
	return list(features, G_N_ELEMENTS(features), set);
}

char *names_of_protocol_features(uint64_t set)
{
	return list(protocol_features, G_N_ELEMENTS(protocol_features), set);
}

char *names_escape(const char *text)
{
	GString *shown = g_string_new(NULL);

	for (const char *at = text; *at != '\0'; at = g_utf8_next_char(at)) {
		gunichar character = g_utf8_get_char(at);

		if (g_unichar_isprint(character)) {
			g_string_append_unichar(shown, character);
		} else {
			g_string_append_printf(shown, "\\x%02x", character);
		}
	}
	return g_string_free(shown, FALSE);
}
