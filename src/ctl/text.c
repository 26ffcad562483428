/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* For people. All words are shown escaped, those that we expect to be numbers too. */
#include "ctl/ctl.h"

#include <stdio.h>
#include <string.h>

/* "12.3 MiB" in a buffer of the caller's. */
static const char *in_bytes(uint64_t bytes, char *buffer, size_t size)
{
	static const char *const units[] = { "B", "KiB", "MiB", "GiB", "TiB" };
	double value = (double)bytes;
	size_t unit = 0;

	while (value >= 1024 && unit + 1 < G_N_ELEMENTS(units)) {
		value /= 1024;
		unit++;
	}
	g_snprintf(buffer, size, unit == 0 ? "%.0f %s" : "%.1f %s", value, units[unit]);
	return buffer;
}

static const char *in_time(uint64_t ms, char *buffer, size_t size)
{
	uint64_t s = ms / 1000;

	g_snprintf(buffer, size, "%u:%02u:%02u", (unsigned int)(s / 3600),
		   (unsigned int)(s / 60 % 60), (unsigned int)(s % 60));
	return buffer;
}

/* Whose process that is, if the kernel lets us see; owned. */
static char *name_process(uint64_t pid)
{
	g_autofree char *path = g_strdup_printf("/proc/%" G_GUINT64_FORMAT "/comm", pid);
	char *name = NULL;

	if (pid == 0 || !g_file_get_contents(path, &name, NULL, NULL)) {
		return g_strdup("not known");
	}
	g_strchomp(name);
	g_autofree char *valid = g_utf8_make_valid(name, -1);
	g_free(name);
	g_autofree char *shown = names_escape(valid);
	return g_strdup_printf("%s (process %" G_GUINT64_FORMAT ")", shown, pid);
}

static void print_text(const char *title, const struct record *record, const char *key)
{
	const char *shown = record_shown(record, key);

	if (*shown != '\0') {
		printf("  %-12s %s\n", title, shown);
	}
}

static void print_vm(const struct view_vm *vm)
{
	const struct record *record = records_find(vm->records, "vm");
	g_autofree char *features = names_of_features(record_number(record, "features"));
	g_autofree char *protocol =
		names_of_protocol_features(record_number(record, "protocol-features"));
	g_autofree char *front_end = name_process(record_number(record, "front-end-pid"));
	char up[32];

	printf("VM %" G_GUINT64_FORMAT ": mode %s%s, served by process %s, up %s\n", vm->id,
	       record_shown(record, "mode"), record_bool(record, "headless") ? " (headless)" : "",
	       record_shown(record, "pid"),
	       in_time(record_number(record, "uptime-ms"), up, sizeof(up)));
	printf("  %-12s %s\n", "front-end", front_end);
	printf("  %-12s %s\n", "features", features);
	printf("  %-12s %s\n", "protocol", protocol);
}

static void print_renderer(const struct records *records)
{
	const struct record *record = records_find(records, "renderer");

	printf("  %-12s %s, %s restarts", "renderer", record_shown(record, "state"),
	       record_shown(record, "restarts"));
	if (record_number(record, "pid") != 0) {
		printf(", process %s", record_shown(record, "pid"));
	}
	if (record_number(record, "busy-ms") >= 1000) {
		printf(", at one command for %s ms", record_shown(record, "busy-ms"));
	}
	if (record_number(record, "fence-wait-ms") >= 1000) {
		printf(", no fence for %s ms", record_shown(record, "fence-wait-ms"));
	}
	putchar('\n');
	print_text("OpenGL", record, "gl-renderer");
	print_text("", record, "gl-version");
	print_text("", record, "gl-vendor");
	print_text("Vulkan", record, "vulkan-server");
	print_text("capsets", record, "capsets");
}

static void print_device(const struct records *records)
{
	const struct record *device = records_find(records, "device");
	const struct record *fence = records_find(records, "fence");
	char memory[32], limit[32];

	printf("  %-12s %s resources, %s contexts, %s of %s\n", "holds",
	       record_shown(device, "resources"), record_shown(device, "contexts"),
	       in_bytes(record_number(device, "memory"), memory, sizeof(memory)),
	       in_bytes(record_number(device, "memory-limit"), limit, sizeof(limit)));
	printf("  %-12s p50 %.2f ms, p99 %.2f ms, %s so far, %s commands wait\n", "fences",
	       record_decimal(fence, "p50-us") / 1000, record_decimal(fence, "p99-us") / 1000,
	       record_shown(fence, "count"), record_shown(device, "waiting"));
	printf("  %-12s %s commands answered with one\n", "errors", record_shown(device, "errors"));
}

static void print_queue(const struct record *record)
{
	printf("  queue        %-8s %-8s %s of %s waiting, %s out, %s commands\n",
	       record_shown(record, "name"), record_shown(record, "state"),
	       record_shown(record, "waiting"), record_shown(record, "size"),
	       record_shown(record, "out"), record_shown(record, "commands"));
}

static void print_scanout(const struct record *record)
{
	printf("  scanout %-4s %sx%s, %.1f frames/s, %s frames%s%s\n", record_shown(record, "id"),
	       record_shown(record, "width"), record_shown(record, "height"),
	       record_decimal(record, "fps"), record_shown(record, "frames"),
	       record_bool(record, "blob") ? ", a blob" : "",
	       record_bool(record, "dmabuf") ? ", shown as a buffer" : "");
}

static void print_context(const struct record *record)
{
	char bytes[32];

	printf("  context %-4s %-20s %-7s %6s resources, %10s, %s streams%s\n",
	       record_shown(record, "id"), record_shown(record, "name"),
	       record_shown(record, "capset"), record_shown(record, "resources"),
	       in_bytes(record_number(record, "bytes"), bytes, sizeof(bytes)),
	       record_shown(record, "submits"), record_bool(record, "lost") ? ", lost" : "");
}

static void print_cursor(const struct record *record)
{
	printf("  cursor %-5s %s at %s,%s, hot spot %s,%s\n", record_shown(record, "scanout"),
	       record_bool(record, "visible") ? "visible" : "hidden", record_shown(record, "x"),
	       record_shown(record, "y"), record_shown(record, "hot-x"),
	       record_shown(record, "hot-y"));
}

static void each(const struct records *records, const char *name,
		 void (*print)(const struct record *record))
{
	for (guint i = 0; i < records->list->len; i++) {
		const struct record *record = g_ptr_array_index(records->list, i);

		if (strcmp(record->name, name) == 0) {
			print(record);
		}
	}
}

void view_text(const struct records *program, const GPtrArray *vms)
{
	const struct record *record = records_find(program, "program");

	if (vms->len == 0) {
		printf("no VM: mode %s, process %s, waits for a front-end\n",
		       record_shown(record, "mode"), record_shown(record, "pid"));
	}
	for (guint i = 0; i < vms->len; i++) {
		const struct view_vm *vm = g_ptr_array_index(vms, i);

		print_vm(vm);
		print_renderer(vm->records);
		print_device(vm->records);
		each(vm->records, "queue", print_queue);
		each(vm->records, "scanout", print_scanout);
		each(vm->records, "context", print_context);
		if (records_find(vm->records, "cut") != NULL) {
			puts("  (there is more)");
		}
	}
}

void view_cursors(const GPtrArray *vms)
{
	for (guint i = 0; i < vms->len; i++) {
		const struct view_vm *vm = g_ptr_array_index(vms, i);

		printf("VM %" G_GUINT64_FORMAT "\n", vm->id);
		each(vm->records, "cursor", print_cursor);
	}
}
