/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * In the order in which a reader wants them, and the long lists last: should
 * they be too long, they are what is cut.
 */
#include "control/report.h"

#include <string.h>
#include <unistd.h>

#include "config.h"

/* since_us may be a lie: there are no times before 0. */
static uint64_t ms_since(gint64 since_us, gint64 now_us)
{
	return since_us > 0 && now_us > since_us ? (uint64_t)(now_us - since_us) / 1000 : 0;
}

static void write_vm(const struct report *report, struct answer *answer)
{
	const struct options *options = report->options->options;

	answer_record(answer, "vm");
	answer_number(answer, "id", report->options->vm);
	answer_number(answer, "pid", (uint64_t)getpid());
	answer_number(answer, "front-end-pid", (uint64_t)report->options->front_end_pid);
	answer_number(answer, "uptime-ms", ms_since(report->since_us, report->now_us));
	answer_text(answer, "version", PROJECT_VERSION);
	answer_text(answer, "mode", options->gpu_mode);
	answer_bool(answer, "headless", options->is_headless);
	answer_text(answer, "log", log_level_name(log_level()));
	answer_number(answer, "features", report->facts->features);
	answer_number(answer, "protocol-features", report->facts->protocol_features);
}

static const char *state_of(const struct report *report)
{
	if (!report->engine->is_running) {
		return report->engine->pid != 0 ? "starting" : "none";
	}
	return report->engine->is_3d_off ? "2d-only" : "running";
}

static void write_capsets(const struct renderer_caps *caps, struct answer *answer)
{
	GString *names = g_string_new(NULL);

	for (uint32_t i = 0; i < caps->n_capsets; i++) {
		const char *name = options_capset_name(caps->capsets[i].id);

		g_string_append_printf(names, "%s%s", i > 0 ? "," : "",
				       name != NULL ? name : "unknown");
	}
	answer_text(answer, "capsets", names->str);
	g_string_free(names, TRUE);
}

static void write_renderer(const struct report *report, struct answer *answer)
{
	static const char *const keys[] = {
		[RENDERER_GL_VENDOR] = "gl-vendor",
		[RENDERER_GL_RENDERER] = "gl-renderer",
		[RENDERER_GL_VERSION] = "gl-version",
	};
	const struct engine_state *engine = report->engine;

	answer_record(answer, "renderer");
	answer_text(answer, "state", state_of(report));
	answer_number(answer, "pid", (uint64_t)engine->pid);
	answer_number(answer, "restarts", engine->n_restarts);
	write_capsets(report->options->caps, answer);
	answer_text(answer, "vulkan-server", report->options->options->server_path);
	answer_number(answer, "busy-ms", ms_since(engine->busy_since_us, report->now_us));
	answer_number(answer, "fence-wait-ms", ms_since(engine->awaited_since_us, report->now_us));
	for (size_t i = 0; i < RENDERER_N_TEXTS; i++) {
		const char *text = (const char *)report->stats->texts[i];

		answer_text(answer, keys[i], text[0] != '\0' ? text : NULL);
	}
}

static void write_device(const struct report *report, struct answer *answer)
{
	const struct stats *stats = report->stats;

	answer_record(answer, "device");
	answer_number(answer, "resources", stats->n_resources);
	answer_number(answer, "contexts", stats->n_contexts);
	answer_number(answer, "waiting", stats->n_waiting);
	answer_number(answer, "errors", stats->n_errors);
	answer_number(answer, "memory", stats->memory_bytes);
	answer_number(answer, "memory-limit", report->options->quota->limit_bytes);
	answer_record(answer, "fence");
	answer_number(answer, "count", stats->n_fences);
	answer_number(answer, "total-us", stats->fences_us);
	answer_number(answer, "p50-us", stats_fence_us(stats, 50));
	answer_number(answer, "p99-us", stats_fence_us(stats, 99));
}

static void write_queues(const struct report *report, struct answer *answer)
{
	static const char *const names[] = {
		[COMMAND_QUEUE_CONTROL] = "control",
		[COMMAND_QUEUE_CURSOR] = "cursor",
	};

	for (unsigned int i = 0; i < COMMAND_N_QUEUES; i++) {
		const struct virtq_look *look = &report->facts->queues[i];

		answer_record(answer, "queue");
		answer_text(answer, "name", names[i]);
		answer_text(answer, "state",
			    look->is_broken    ? "broken"
			    : look->is_running ? "running"
					       : "stopped");
		answer_number(answer, "size", look->size);
		answer_number(answer, "waiting", look->n_waiting);
		answer_number(answer, "out", look->n_out);
		answer_number(answer, "commands", report->stats->n_commands[i]);
	}
}

static void write_cursor(uint32_t scanout_id, const struct stats_cursor *cursor,
			 struct answer *answer)
{
	char position[32];

	answer_record(answer, "cursor");
	answer_number(answer, "scanout", scanout_id);
	answer_bool(answer, "visible", cursor->is_visible != 0);
	g_snprintf(position, sizeof(position), "%d", (int32_t)cursor->x);
	answer_text(answer, "x", position);
	g_snprintf(position, sizeof(position), "%d", (int32_t)cursor->y);
	answer_text(answer, "y", position);
	answer_number(answer, "hot-x", cursor->hot_x);
	answer_number(answer, "hot-y", cursor->hot_y);
}

static void write_scanouts(const struct report *report, struct answer *answer)
{
	for (uint32_t i = 0; i < DISPLAY_MAX_SCANOUTS; i++) {
		const struct stats_scanout *scanout = &report->stats->scanouts[i];

		if (scanout->resource_id == 0) {
			continue;
		}
		answer_record(answer, "scanout");
		answer_number(answer, "id", i);
		answer_number(answer, "width", scanout->width);
		answer_number(answer, "height", scanout->height);
		answer_decimal(answer, "fps", stats_frame_rate(scanout, report->now_us));
		answer_number(answer, "frames", scanout->n_frames);
		answer_number(answer, "resource", scanout->resource_id);
		answer_bool(answer, "blob", scanout->is_blob != 0);
		answer_bool(answer, "dmabuf", scanout->is_dmabuf != 0);
	}
	for (uint32_t i = 0; i < DISPLAY_MAX_SCANOUTS; i++) {
		const struct stats_scanout *scanout = &report->stats->scanouts[i];

		if (scanout->resource_id != 0 || scanout->cursor.is_visible) {
			write_cursor(i, &scanout->cursor, answer);
		}
	}
}

static void write_contexts(const struct report *report, struct answer *answer)
{
	for (uint32_t i = 0; i < STATS_MAX_CONTEXTS; i++) {
		const struct stats_context *context = &report->stats->contexts[i];
		const char *name = (const char *)context->name;
		const char *capset = options_capset_name((uint32_t)context->capset_id);

		if (context->id == 0) {
			continue;
		}
		answer_record(answer, "context");
		answer_number(answer, "id", context->id);
		answer_text(answer, "capset", capset);
		answer_bytes(answer, "name", name, strnlen(name, STATS_NAME_BYTES));
		answer_bool(answer, "lost", context->is_lost != 0);
		answer_number(answer, "resources", context->n_resources);
		answer_number(answer, "bytes", context->bytes);
		answer_number(answer, "submits", context->n_submits);
	}
}

void report_write(const struct report *report, struct answer *answer)
{
	write_vm(report, answer);
	write_renderer(report, answer);
	write_device(report, answer);
	write_queues(report, answer);
	write_scanouts(report, answer);
	write_contexts(report, answer);
}
