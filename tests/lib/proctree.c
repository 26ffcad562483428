/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include <glib.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "proctree.h"

void proctree_each(pid_t pid, proctree_fn fn, void *data)
{
	g_autofree char *path = g_strdup_printf("/proc/%d/task", (int)pid);
	GDir *tasks = g_dir_open(path, 0, NULL);
	const char *task;

	fn(pid, data);
	while (tasks && (task = g_dir_read_name(tasks))) {
		g_autofree char *file = g_build_filename(path, task, "children", NULL);
		g_autofree char *text = NULL;
		if (!g_file_get_contents(file, &text, NULL, NULL)) {
			continue;
		}
		g_auto(GStrv) pids = g_strsplit(g_strstrip(text), " ", -1);
		for (char **child = pids; *child; child++) {
			if (**child) {
				proctree_each(atoi(*child), fn, data);
			}
		}
	}
	g_clear_pointer(&tasks, g_dir_close);
}

static void count_one(pid_t pid, void *data)
{
	unsigned int *count = data;

	(void)pid;
	*count += 1;
}

unsigned int proctree_count(pid_t pid)
{
	unsigned int count = 0;

	proctree_each(pid, count_one, &count);
	return count;
}

void proctree_add_fds(pid_t pid, void *n_inout)
{
	unsigned int *count = n_inout;
	g_autofree char *path = g_strdup_printf("/proc/%d/fd", (int)pid);
	GDir *dir = g_dir_open(path, 0, NULL);

	while (dir && g_dir_read_name(dir)) {
		*count += 1;
	}
	g_clear_pointer(&dir, g_dir_close);
}

unsigned int proctree_count_fds(pid_t pid)
{
	unsigned int count = 0;

	proctree_each(pid, proctree_add_fds, &count);
	return count;
}

void proctree_add_memory(pid_t pid, void *memory_inout)
{
	struct proctree_memory *memory = memory_inout;
	g_autofree char *path = g_strdup_printf("/proc/%d/statm", (int)pid);
	g_autofree char *text = NULL;
	unsigned long size_pages, resident_pages;
	uint64_t page_bytes = (uint64_t)sysconf(_SC_PAGESIZE);

	if (g_file_get_contents(path, &text, NULL, NULL) &&
	    sscanf(text, "%lu %lu", &size_pages, &resident_pages) == 2) {
		memory->size_bytes += size_pages * page_bytes;
		memory->rss_bytes += resident_pages * page_bytes;
	}
}

struct proctree_memory proctree_memory(pid_t pid)
{
	struct proctree_memory memory = {0};

	proctree_each(pid, proctree_add_memory, &memory);
	return memory;
}

void proctree_add_mappings(pid_t pid, void *n_inout)
{
	g_autofree char *path = g_strdup_printf("/proc/%d/maps", (int)pid);
	FILE *file = fopen(path, "re");
	unsigned int *n = n_inout;
	int byte;

	while (file && (byte = fgetc(file)) != EOF) {
		*n += byte == '\n';
	}
	if (file) {
		fclose(file);
	}
}

/* The number of "Name: 12 kB", in bytes. */
static bool has_value(const char *line, const char *name, uint64_t *bytes_out)
{
	if (!g_str_has_prefix(line, name)) {
		return false;
	}
	*bytes_out = g_ascii_strtoull(line + strlen(name), NULL, 10) * 1024;
	return true;
}

/* Of one mapping: its private pages, or what it shares with nobody but us. */
void proctree_add_held(pid_t pid, void *bytes_inout)
{
	uint64_t *sum = bytes_inout, bytes;
	bool is_guest = false, is_memfd = false;
	g_autofree char *path = g_strdup_printf("/proc/%d/smaps", pid);
	FILE *file = fopen(path, "re");
	char line[512];

	/* Line by line: of thousands of mappings it is megabytes, and a sanitizer's strstr() looks
	 * at all of them each time. */
	while (file && fgets(line, sizeof(line), file)) {
		if (g_ascii_isxdigit(*line) && !g_ascii_isupper(*line)) {
			is_guest = strstr(line, "guest-ram") != NULL;
			is_memfd = strstr(line, "/memfd:") != NULL;
		} else if (!is_guest && has_value(line, "Anonymous:", &bytes)) {
			*sum += bytes;
		} else if (!is_guest && is_memfd && has_value(line, "Pss:", &bytes)) {
			*sum += bytes;
		}
	}
	if (file) {
		fclose(file);
	}
}

static void collect(pid_t pid, void *data)
{
	GArray *pids = data;

	g_array_append_val(pids, pid);
}

/* First found, then killed: the children of a dead process are somebody else's. */
void proctree_kill(pid_t pid)
{
	g_autoptr(GArray) pids = g_array_new(FALSE, FALSE, sizeof(pid_t));

	proctree_each(pid, collect, pids);
	for (unsigned int i = 0; i < pids->len; i++) {
		kill(g_array_index(pids, pid_t, i), SIGKILL);
	}
}
