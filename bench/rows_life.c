/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* What a back-end costs before and while it does nothing. */
#include <glib.h>
#include <linux/virtio_gpu.h>

#include "machine.h"
#include "rows.h"

#define N_MANY 32u
#define SETTLE_US 300000
#define MIB (1024.0 * 1024.0)
#define NS_PER_MS 1e6

/* A question that every mode of every back-end answers by itself, if only by refusing. */
static void ask(struct machine *machine)
{
	const struct virtio_gpu_get_capset_info request = {
		.hdr.type = VIRTIO_GPU_CMD_GET_CAPSET_INFO,
	};

	driver_call(machine->control, &request, sizeof(request),
		    sizeof(struct virtio_gpu_resp_capset_info));
}

void row_start(const struct row_options *options)
{
	struct machine *machine = machine_create(options->command, 0);

	ask(machine);
	result("start_ms", (double)(now_ns() - machine->process->started_ns) / NS_PER_MS);
	struct usage usage = process_usage(machine->process);
	result("rss_mib", (double)usage.rss_bytes / MIB);
	result("pss_mib", (double)usage.pss_bytes / MIB);
	result("threads", (double)usage.n_threads);
	result("processes", (double)usage.n_processes);
	result("start_cpu_ms", (double)usage.cpu_ns / NS_PER_MS);
	machine_destroy(machine);
}

static void sleep_seconds(double seconds)
{
	g_usleep((gulong)(seconds * G_USEC_PER_SEC));
}

void row_idle(const struct row_options *options)
{
	struct machine *machine = machine_create(options->command, 0);

	ask(machine);
	g_usleep(SETTLE_US);
	struct usage before = process_cpu(machine->process);
	sleep_seconds(options->seconds);
	struct usage after = process_cpu(machine->process);
	result("idle_cpu_ms_per_s",
	       (double)(after.cpu_ns - before.cpu_ns) / NS_PER_MS / options->seconds);
	result("idle_wakeups_per_s",
	       (double)(after.n_wakeups - before.n_wakeups) / options->seconds);
	machine_destroy(machine);
}

static int64_t cpu_of_all(struct machine *const *machines, uint64_t *wakeups_out)
{
	int64_t cpu_ns = 0;

	*wakeups_out = 0;
	for (unsigned int i = 0; i < N_MANY; i++) {
		struct usage usage = process_cpu(machines[i]->process);
		cpu_ns += usage.cpu_ns;
		*wakeups_out += usage.n_wakeups;
	}
	return cpu_ns;
}

/* Each with a 1080p picture on its display. */
void row_many(const struct row_options *options)
{
	const struct virtio_gpu_rect whole = {0, 0, 1920, 1080};
	struct machine *machines[N_MANY];
	struct picture *pictures[N_MANY];
	uint64_t pss_bytes = 0, rss_bytes = 0, wakeups_before, wakeups_after;

	for (unsigned int i = 0; i < N_MANY; i++) {
		machines[i] = machine_create(options->command, 0);
		pictures[i] =
			machine_show_picture(machines[i], 0, whole.width, whole.height, &whole);
	}
	g_usleep(SETTLE_US);
	for (unsigned int i = 0; i < N_MANY; i++) {
		struct usage usage = process_usage(machines[i]->process);
		pss_bytes += usage.pss_bytes;
		rss_bytes += usage.rss_bytes;
	}
	int64_t before_ns = cpu_of_all(machines, &wakeups_before);
	sleep_seconds(options->seconds);
	int64_t after_ns = cpu_of_all(machines, &wakeups_after);
	result("pss_mib_each", (double)pss_bytes / MIB / N_MANY);
	result("rss_mib_each", (double)rss_bytes / MIB / N_MANY);
	result("idle_cpu_ms_per_s", (double)(after_ns - before_ns) / NS_PER_MS / options->seconds);
	result("idle_wakeups_per_s", (double)(wakeups_after - wakeups_before) / options->seconds);
	for (unsigned int i = 0; i < N_MANY; i++) {
		machine_destroy(machines[i]);
		picture_destroy(pictures[i]);
	}
}
