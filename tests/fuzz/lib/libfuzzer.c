/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* libFuzzer's entry points; it brings main(). */
#include <glib.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

#include "fuzz.h"
#include "util/log.h"

/* g_error()'s way to end a program, which libFuzzer does not look for. */
static void on_trap(int signal_number G_GNUC_UNUSED)
{
	abort();
}

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size_bytes);

int LLVMFuzzerInitialize(int *argc G_GNUC_UNUSED, char ***argv G_GNUC_UNUSED)
{
	log_threshold = LOG_LEVEL_OFF;
	signal(SIGTRAP, on_trap);
	const char *why = fuzz_prepare();
	if (why != NULL) {
		fprintf(stderr, "skipped: %s\n", why);
		exit(77);
	}
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size_bytes)
{
	fuzz_one(bytes, size_bytes);
	return 0;
}
