/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "renderer/library.h"

#include <dlfcn.h>
#include <string.h>

void *library_open(const char *name, char **reason_out)
{
	void *library = dlopen(name, RTLD_NOW | RTLD_LOCAL);

	if (library == NULL) {
		*reason_out = g_strdup(dlerror());
	}
	return library;
}

/* POSIX, not C, lets a function's address be an object's: hence no assignment. */
static bool find(void *library, void *table, const struct library_entry *entry)
{
	void *address = dlsym(library, entry->symbol);

	memcpy((char *)table + entry->offset, &address, sizeof(address));
	return address != NULL;
}

const char *library_fill(void *library, void *table, const struct library_entry *entries,
			 size_t n_entries)
{
	const char *missing = NULL;

	for (size_t i = 0; i < n_entries; i++) {
		if (!find(library, table, &entries[i]) && missing == NULL) {
			missing = entries[i].symbol;
		}
	}
	return missing;
}
