/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * Libraries that are loaded when a renderer is created and not before, and
 * never unloaded: they and the drivers behind them leave threads, thread-local
 * storage and exit handlers that point into their code.
 */
#pragma once

#include <glib.h>
#include <stdbool.h>
#include <stddef.h>

/* A function of a library, and where its address goes. */
struct library_entry {
	const char *symbol;
	size_t offset; /* of a pointer to a function, in the table */
};

/* NULL, and *reason_out, owned by the caller, says why. A name with a '/' in it is a path. */
void *library_open(const char *name, char **reason_out);

/*
 * Fill what entries say of table; where the library hasn't got it, with NULL.
 * The first symbol that is missing, or NULL: all are there.
 */
const char *library_fill(void *library, void *table, const struct library_entry *entries,
			 size_t n_entries);
