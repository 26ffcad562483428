/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* Our own EDID: well-formed by the standard's text, and by edid-decode where that is installed. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "gpu/edid.h"
#include "unit.h"

static const struct {
	uint32_t width, height;
} sizes[] = {
	{ 16, 16 },	  { 320, 200 },	  { 640, 480 },	   { 800, 600 },   { 1024, 768 },
	{ 1280, 800 },	  { 1366, 768 },  { 1920, 1080 },  { 2560, 1440 }, { 3840, 2160 },
	{ 4095, 4095 },	  { 4096, 2304 }, { 5120, 2880 },  { 7680, 4320 }, { 16384, 16384 },
	{ 20000, 20000 }, { 16, 20000 },  { 20000, 16 },   { 255, 4096 },  { 1080, 1920 },
};

static void test_header_and_checksum(void)
{
	static const uint8_t magic[] = { 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0 };
	uint8_t edid[EDID_BYTES + 1];

	for (size_t i = 0; i < G_N_ELEMENTS(sizes); i++) {
		uint8_t sum = 0;

		edid[EDID_BYTES] = 0xaa;
		edid_generate(sizes[i].width, sizes[i].height, 0, edid);
		g_assert_cmphex(edid[EDID_BYTES], ==, 0xaa);
		unit_assert_bytes(edid, magic, sizeof(magic));
		for (size_t k = 0; k < EDID_BYTES; k++) {
			sum = (uint8_t)(sum + edid[k]);
		}
		g_assert_cmpuint(sum, ==, 0);
		g_assert_cmpuint(edid[18], ==, 1); /* version 1.4 */
		g_assert_cmpuint(edid[19], ==, 4);
		g_assert_cmpuint(edid[126], ==, 0); /* no extension follows */
	}
}

/* The native mode, as a driver reads it from the first descriptor. */
static void test_native_mode(void)
{
	uint8_t edid[EDID_BYTES];

	for (size_t i = 0; i < G_N_ELEMENTS(sizes); i++) {
		const uint8_t *timing = edid + 54;
		uint32_t width = MIN(sizes[i].width, 4095), height = MIN(sizes[i].height, 4095);

		edid_generate(sizes[i].width, sizes[i].height, 0, edid);
		uint32_t clock = timing[0] | (uint32_t)timing[1] << 8;
		uint32_t h_active = timing[2] | (uint32_t)(timing[4] >> 4) << 8;
		uint32_t h_blank = timing[3] | (uint32_t)(timing[4] & 0xf) << 8;
		uint32_t v_active = timing[5] | (uint32_t)(timing[7] >> 4) << 8;
		uint32_t v_blank = timing[6] | (uint32_t)(timing[7] & 0xf) << 8;
		uint32_t h_front = timing[8] | (uint32_t)(timing[11] >> 6) << 8;
		uint32_t h_sync = timing[9] | (uint32_t)(timing[11] >> 4 & 3) << 8;
		uint32_t v_front = timing[10] >> 4 | (uint32_t)(timing[11] >> 2 & 3) << 4;
		uint32_t v_sync = (timing[10] & 0xfu) | (uint32_t)(timing[11] & 3) << 4;

		g_assert_cmpuint(h_active, ==, width);
		g_assert_cmpuint(v_active, ==, height);
		g_assert_cmpuint(clock, >, 0);
		/* The sync pulse lies inside the blanking. */
		g_assert_cmpuint(h_front + h_sync, <, h_blank);
		g_assert_cmpuint(v_front + v_sync, <, v_blank);
		/* 60 Hz, as far as a clock in steps of 10 kHz can say it. */
		double step = 10000.0 / ((h_active + h_blank) * (double)(v_active + v_blank));
		double hz = clock * step;
		if (clock < 0xffff) {
			g_assert_cmpfloat_with_epsilon(hz, 60, step);
		} else {
			g_assert_cmpfloat(hz, <=, 60);
		}
	}
}

static void test_size_in_centimetres(void)
{
	uint8_t edid[EDID_BYTES];

	/* 1920x1080 at 96 dpi: 508 x 285.75 mm. */
	edid_generate(1920, 1080, 0, edid);
	g_assert_cmpuint(edid[21], ==, 51);
	g_assert_cmpuint(edid[22], ==, 29);
	g_assert_cmpint(edid[54 + 12] | (edid[54 + 14] >> 4) << 8, ==, 508);
	g_assert_cmpint(edid[54 + 13] | (edid[54 + 14] & 0xf) << 8, ==, 285);
}

/* The text of the descriptor with this tag, or NULL. */
static char *find_text(const uint8_t *edid, uint8_t tag)
{
	for (size_t at = 54; at < 126; at += 18) {
		if (edid[at] == 0 && edid[at + 1] == 0 && edid[at + 3] == tag) {
			g_autofree char *text = g_strndup((const char *)edid + at + 5, 13);
			char *newline = strchr(text, '\n');

			g_assert_nonnull(newline);
			/* Behind the newline only blanks. */
			g_assert_cmpuint(strspn(newline + 1, " "), ==, strlen(newline + 1));
			*newline = '\0';
			return g_steal_pointer(&text);
		}
	}
	return NULL;
}

static void test_names(void)
{
	uint8_t edid[EDID_BYTES], other[EDID_BYTES];

	for (uint32_t scanout = 0; scanout < 16; scanout++) {
		edid_generate(1280, 800, scanout, edid);
		g_autofree char *name = find_text(edid, 0xfc);
		g_autofree char *serial = find_text(edid, 0xff);
		g_autofree char *expected = g_strdup_printf("%u", scanout + 1);
		g_assert_cmpstr(name, ==, "vhost-gpu");
		g_assert_cmpstr(serial, ==, expected);
		g_assert_cmpuint(edid[12], ==, scanout + 1);
	}
	/* The manufacturer's three letters, five bits each. */
	uint32_t id = (uint32_t)edid[8] << 8 | edid[9];
	g_assert_cmpint('@' + (int)(id >> 10), ==, 'V');
	g_assert_cmpint('@' + (int)(id >> 5 & 31), ==, 'D');
	g_assert_cmpint('@' + (int)(id & 31), ==, 'G');
	/* The same display always says the same. */
	edid_generate(1280, 800, 15, other);
	unit_assert_bytes(edid, other, EDID_BYTES);
}

/* Modes of the front-end's choice lie inside the range that we state. */
static void test_range_holds_the_native_mode(void)
{
	uint8_t edid[EDID_BYTES];

	for (size_t i = 0; i < G_N_ELEMENTS(sizes); i++) {
		bool is_found = false;

		edid_generate(sizes[i].width, sizes[i].height, 0, edid);
		for (size_t at = 72; at < 126; at += 18) {
			if (edid[at] != 0 || edid[at + 1] != 0 || edid[at + 3] != 0xfd) {
				continue;
			}
			uint32_t clock = edid[54] | (uint32_t)edid[55] << 8;
			uint32_t h_total = (edid[56] | (uint32_t)(edid[58] >> 4) << 8) +
					   (edid[57] | (uint32_t)(edid[58] & 0xf) << 8);
			uint32_t khz = clock * 10 / h_total;
			/* The flags add 255 to limits that don't fit. */
			uint32_t max_khz = edid[at + 8] + (edid[at + 4] & 0x08 ? 255u : 0u);
			is_found = true;
			g_assert_cmpuint(edid[at + 5], <=, edid[at + 6]);
			g_assert_cmpuint(edid[at + 7], <=, khz);
			g_assert_cmpuint(max_khz, >=, khz);
			g_assert_cmpuint(edid[at + 9] * 10u * 100u, >=, MIN(clock, 255u * 1000u));
		}
		g_assert_true(is_found);
	}
}

static void test_edid_decode(void)
{
	g_autofree char *program = g_find_program_in_path("edid-decode");

	if (program == NULL) {
		g_test_skip("edid-decode is not installed");
		return;
	}
	unsigned int n_failed = 0;

	for (size_t i = 0; i < G_N_ELEMENTS(sizes); i++) {
		g_autofree char *path = NULL;
		g_autofree char *text = NULL;
		g_autoptr(GError) error = NULL;
		uint8_t edid[EDID_BYTES];
		int fd = g_file_open_tmp("test-edid-XXXXXX", &path, NULL), status = 0;

		close(fd);
		edid_generate(sizes[i].width, sizes[i].height, 1, edid);
		g_assert_true(g_file_set_contents(path, (const char *)edid, EDID_BYTES, NULL));
		char *argv[] = { program, (char *)(uintptr_t) "--check", path, NULL };
		g_spawn_sync(NULL, argv, NULL, G_SPAWN_STDERR_TO_DEV_NULL, NULL, NULL, &text, NULL,
			     &status, &error);
		remove(path);
		g_assert_no_error(error);
		if (strstr(text, "FAIL") != NULL || status != 0) {
			const char *failures = strstr(text, "Failures:");

			g_test_message("%ux%u: %s", sizes[i].width, sizes[i].height,
				       failures != NULL ? failures : text);
			n_failed++;
		}
	}
	g_assert_cmpuint(n_failed, ==, 0);
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/edid/header-and-checksum", test_header_and_checksum);
	g_test_add_func("/edid/native-mode", test_native_mode);
	g_test_add_func("/edid/size-in-centimetres", test_size_in_centimetres);
	g_test_add_func("/edid/names", test_names);
	g_test_add_func("/edid/range-holds-the-native-mode", test_range_holds_the_native_mode);
	g_test_add_func("/edid/edid-decode", test_edid_decode);
	return g_test_run();
}
