/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* One run of one kind of work on one back-end; scripts/bench puts many of them together. */
#include <glib.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "awake.h"
#include "rows.h"

/* A back-end that hangs must not hang the bench. */
#define LIMIT_S 600u

static const struct {
	const char *name;
	void (*run)(const struct row_options *options);
	bool has_no_backend;
} rows[] = {
	{"start", row_start, false},
	{"idle", row_idle, false},
	{"many", row_many, false},
	{"queue-1-together", row_queue_1_together, false},
	{"queue-1-apart", row_queue_1_apart, false},
	{"queue-64", row_queue_64, false},
	{"small", row_small, false},
	{"1080p", row_1080p, false},
	{"4k", row_4k, false},
	{"1080p-blob", row_1080p_blob, false},
	{"4k-blob", row_4k_blob, false},
	{"1080p-blob-paced", row_1080p_blob_paced, false},
	{"4k-blob-paced", row_4k_blob_paced, false},
	{"1080p-skimmed", row_1080p_skimmed, false},
	{"4k-skimmed", row_4k_skimmed, false},
	{"1080p-blob-skimmed", row_1080p_blob_skimmed, false},
	{"4k-blob-skimmed", row_4k_blob_skimmed, false},
	{"map-blob", row_map_blob, false},
	{"small-paced", row_small_paced, false},
	{"1080p-paced", row_1080p_paced, false},
	{"4k-paced", row_4k_paced, false},
	{"floor-small", row_floor_small, true},
	{"floor-1080p", row_floor_1080p, true},
	{"floor-4k", row_floor_4k, true},
	{"cursor", row_cursor, false},
	{"slow", row_slow, false},
	{"torn", row_torn, false},
	{"first-flush", row_first_flush, false},
	{"3d", row_3d, false},
	{"growth-size", row_growth_size, false},
	{"growth-scanouts", row_growth_scanouts, false},
	{"growth-vms", row_growth_machines, false},
};

static int usage(void)
{
	fprintf(stderr, "usage: vgpu-bench [--seconds S] [--calls] [--let-sleep] ROW [COMMAND]\n"
			"COMMAND starts a vhost-user-gpu back-end; @SOCK@ in it is the socket\n"
			"ROW is one of:");
	for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
		fprintf(stderr, " %s", rows[i].name);
	}
	fprintf(stderr, "\n");
	return 2;
}

int main(int argc, char **argv)
{
	struct row_options options = {.seconds = 1};
	gboolean counts_calls = FALSE, may_sleep = FALSE;
	const GOptionEntry entries[] = {
		{"seconds", 0, 0, G_OPTION_ARG_DOUBLE, &options.seconds, NULL, NULL},
		{"let-sleep", 0, 0, G_OPTION_ARG_NONE, &may_sleep, NULL, NULL},
		{"calls", 0, 0, G_OPTION_ARG_NONE, &counts_calls, NULL, NULL},
		{0},
	};
	g_autoptr(GOptionContext) context = g_option_context_new(NULL);

	g_option_context_add_main_entries(context, entries, NULL);
	if (!g_option_context_parse(context, &argc, &argv, NULL) || argc < 2) {
		return usage();
	}
	options.counts_calls = counts_calls;
	options.command = argc > 2 ? argv[2] : NULL;
	signal(SIGPIPE, SIG_IGN);
	alarm(LIMIT_S);
	if (!may_sleep) {
		keep_awake();
	}
	for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
		if (strcmp(rows[i].name, argv[1]) == 0 &&
		    (options.command != NULL || rows[i].has_no_backend)) {
			rows[i].run(&options);
			return 0;
		}
	}
	return usage();
}
