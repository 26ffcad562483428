/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * Prometheus' text format, version 0.0.4: a family has its HELP and TYPE once,
 * before all its samples, whichever VM they are of.
 */
#include "ctl/ctl.h"

#include <stdio.h>
#include <string.h>

#define PREFIX "vhost_device_gpu_"

enum unit {
	UNIT_ONE,
	UNIT_MILLI, /* of what is counted in thousandths: given in ones */
	UNIT_MICRO,
};

static const struct {
	const char *name, *type, *help;
	const char *record, *key;
	const char *label; /* a word of the record that tells samples apart; NULL: there is one */
	enum unit unit;
} families[] = {
	{ "uptime_seconds", "gauge", "Since the front-end connected.", "vm", "uptime-ms", NULL,
	  UNIT_MILLI },
	{ "renderer_restarts_total", "counter", "Times that the process that renders has died.",
	  "renderer", "restarts", NULL, UNIT_ONE },
	{ "renderer_busy_seconds", "gauge", "For how long the device is at one command.",
	  "renderer", "busy-ms", NULL, UNIT_MILLI },
	{ "renderer_fence_wait_seconds", "gauge",
	  "For how long fences are due and none was signalled.", "renderer", "fence-wait-ms", NULL,
	  UNIT_MILLI },
	{ "resources", "gauge", "Resources of the guest.", "device", "resources", NULL, UNIT_ONE },
	{ "contexts", "gauge", "Rendering contexts of the guest.", "device", "contexts", NULL,
	  UNIT_ONE },
	{ "commands_waiting", "gauge", "Commands whose answer waits for a fence or the display.",
	  "device", "waiting", NULL, UNIT_ONE },
	{ "command_errors_total", "counter", "Commands that were answered with an error.", "device",
	  "errors", NULL, UNIT_ONE },
	{ "memory_bytes", "gauge", "Host memory that the guest holds.", "device", "memory", NULL,
	  UNIT_ONE },
	{ "memory_limit_bytes", "gauge", "What it may hold (--max-hostmem).", "device",
	  "memory-limit", NULL, UNIT_ONE },
	{ "commands_total", "counter", "Commands taken from a queue.", "queue", "commands", "name",
	  UNIT_ONE },
	{ "queue_waiting", "gauge", "Commands in a queue that were not taken yet.", "queue",
	  "waiting", "name", UNIT_ONE },
	{ "queue_out", "gauge", "Commands that were taken and not answered yet.", "queue", "out",
	  "name", UNIT_ONE },
	{ "frames_total", "counter", "Frames that the guest has shown.", "scanout", "frames", "id",
	  UNIT_ONE },
	{ "frames_per_second", "gauge", "The same, of the last two seconds.", "scanout", "fps",
	  "id", UNIT_ONE },
	{ "scanout_width_pixels", "gauge", "Width of what is shown.", "scanout", "width", "id",
	  UNIT_ONE },
	{ "scanout_height_pixels", "gauge", "Height of what is shown.", "scanout", "height", "id",
	  UNIT_ONE },
	{ "context_bytes", "gauge", "What the resources of a context hold.", "context", "bytes",
	  "id", UNIT_ONE },
	{ "context_resources", "gauge", "Resources that are attached to a context.", "context",
	  "resources", "id", UNIT_ONE },
	{ "context_submits_total", "counter", "Command streams of a context.", "context", "submits",
	  "id", UNIT_ONE },
};

/*
 * A label's value may hold any UTF-8, and knows three escapes: one more, such as
 * those of C, and the whole page is refused, that of all other VMs with it.
 */
static void print_label(const char *label, const char *value)
{
	g_autofree char *shown = names_escape(value);

	printf("%s=\"", label);
	for (const char *at = shown; *at != '\0'; at++) {
		if (*at == '\\' || *at == '"') {
			printf("\\%c", *at);
		} else if (*at == '\n') {
			fputs("\\n", stdout);
		} else {
			putchar(*at);
		}
	}
	putchar('"');
}

static void print_labels(const struct view_vm *vm, const char *label, const char *value)
{
	printf("{vm=\"%" G_GUINT64_FORMAT "\"", vm->id);
	if (label != NULL) {
		putchar(',');
		print_label(label, value);
	}
	putchar('}');
}

static void print_value(double value, enum unit unit)
{
	static const double ones[] = {
		[UNIT_ONE] = 1,
		[UNIT_MILLI] = 1000,
		[UNIT_MICRO] = 1000000,
	};
	char text[G_ASCII_DTOSTR_BUF_SIZE];

	printf(" %s\n", g_ascii_formatd(text, sizeof(text), "%.15g", value / ones[unit]));
}

static const char *label_name(size_t i)
{
	if (families[i].label == NULL) {
		return NULL;
	}
	return strcmp(families[i].label, "name") == 0 ? "queue" : families[i].record;
}

static void print_samples(size_t i, const struct view_vm *vm)
{
	for (guint at = 0; at < vm->records->list->len; at++) {
		const struct record *record = g_ptr_array_index(vm->records->list, at);

		if (strcmp(record->name, families[i].record) != 0) {
			continue;
		}
		printf(PREFIX "%s", families[i].name);
		print_labels(vm, label_name(i), record_text(record, families[i].label ?: ""));
		print_value(record_decimal(record, families[i].key), families[i].unit);
	}
}

static void print_quantile(const struct view_vm *vm, const struct record *fence,
			   const char *quantile, const char *key)
{
	printf(PREFIX "fence_seconds");
	print_labels(vm, "quantile", quantile);
	print_value(record_decimal(fence, key), UNIT_MICRO);
}

/* A summary has its sum and its count beside it. */
static void print_fences(const GPtrArray *vms)
{
	puts("# HELP " PREFIX "fence_seconds From a fenced command to its answer; quantiles of the "
	     "last 1024.");
	puts("# TYPE " PREFIX "fence_seconds summary");
	for (guint i = 0; i < vms->len; i++) {
		const struct view_vm *vm = g_ptr_array_index(vms, i);
		const struct record *fence = records_find(vm->records, "fence");

		print_quantile(vm, fence, "0.5", "p50-us");
		print_quantile(vm, fence, "0.99", "p99-us");
		printf(PREFIX "fence_seconds_sum");
		print_labels(vm, NULL, "");
		print_value(record_decimal(fence, "total-us"), UNIT_MICRO);
		printf(PREFIX "fence_seconds_count");
		print_labels(vm, NULL, "");
		print_value(record_decimal(fence, "count"), UNIT_ONE);
	}
}

/* What is a text is a label of a sample that is always 1. */
static void print_info(const GPtrArray *vms)
{
	static const struct {
		const char *record, *key, *label;
	} texts[] = {
		{ "vm", "version", "version" },
		{ "vm", "mode", "mode" },
		{ "renderer", "gl-renderer", "gl_renderer" },
		{ "renderer", "gl-version", "gl_version" },
		{ "renderer", "capsets", "capsets" },
	};

	puts("# HELP " PREFIX "info What serves the VM.");
	puts("# TYPE " PREFIX "info gauge");
	for (guint i = 0; i < vms->len; i++) {
		const struct view_vm *view = g_ptr_array_index(vms, i);

		printf(PREFIX "info{vm=\"%" G_GUINT64_FORMAT "\"", view->id);
		for (size_t j = 0; j < G_N_ELEMENTS(texts); j++) {
			putchar(',');
			print_label(texts[j].label,
				    record_text(records_find(view->records, texts[j].record),
						texts[j].key));
		}
		puts("} 1");
	}
}

/* Those that have not answered are connected as well. */
static unsigned int count_vms(const struct records *program)
{
	unsigned int n = 0;

	for (guint i = 0; i < program->list->len; i++) {
		const struct record *record = g_ptr_array_index(program->list, i);

		n += strcmp(record->name, "vm") == 0;
	}
	return n;
}

void metrics_print(const struct records *program, const GPtrArray *vms)
{
	puts("# HELP " PREFIX "vms Front-ends that are connected.");
	puts("# TYPE " PREFIX "vms gauge");
	printf(PREFIX "vms %u\n", count_vms(program));
	puts("# HELP " PREFIX "max_clients Front-ends that may be (--max-clients).");
	puts("# TYPE " PREFIX "max_clients gauge");
	printf(PREFIX "max_clients %" G_GUINT64_FORMAT "\n",
	       record_number(records_find(program, "program"), "max-clients"));
	print_info(vms);
	for (size_t i = 0; i < G_N_ELEMENTS(families); i++) {
		printf("# HELP " PREFIX "%s %s\n", families[i].name, families[i].help);
		printf("# TYPE " PREFIX "%s %s\n", families[i].name, families[i].type);
		for (guint at = 0; at < vms->len; at++) {
			print_samples(i, g_ptr_array_index(vms, at));
		}
	}
	print_fences(vms);
}
