/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * What a frame costs when there is more of something: pixels, scanouts, virtual machines. A round
 * is one frame of each, drawn when all of the round before are on their displays, so that what
 * grows is the cost and not the share of frames that are dropped.
 */
#include <errno.h>
#include <glib.h>
#include <linux/virtio_gpu.h>
#include <sys/eventfd.h>

#include "machine.h"
#include "rows.h"

#define NS_PER_S 1e9
#define NS_PER_US 1e3
#define MIB (1024.0 * 1024.0)
#define WARM_UP_ROUNDS 3u

static const struct virtio_gpu_rect full_1080p = {0, 0, 1920, 1080};

/* One frame on each of the streams, until all are shown. */
static void play_round(struct stream *streams, unsigned int n, uint32_t *number)
{
	for (unsigned int i = 0; i < n; i++) {
		struct driver *driver = streams[i].machine->control;

		*number += 1;
		stream_queue(&streams[i], *number);
		/* What waits for the same driver goes with one kick. */
		if (i + 1 == n || streams[i + 1].machine->control != driver) {
			driver_kick(driver);
		}
	}
	for (unsigned int i = 0; i < n; i++) {
		struct machine *machine = streams[i].machine;
		struct slot *slot;
		eventfd_t value;

		while (streams[i].n_in_flight > 0) {
			while ((slot = driver_take(machine->control)) == NULL) {
				driver_wait(machine->control);
			}
			unsigned int index = (unsigned int)(slot - machine->control->slots);
			/* Slots 2 * scanout and the next; streams of a machine are neighbours. */
			stream_take(&streams[i] + index / 2 - streams[i].scanout, slot);
		}
		while (reader_last_number(machine->reader, streams[i].scanout) !=
		       streams[i].number) {
			if (eventfd_read(machine->reader->shown_fd, &value) < 0) {
				g_error("the display's eventfd: %s", g_strerror(errno));
			}
		}
	}
}

static int64_t cpu_of(struct stream *streams, unsigned int n)
{
	int64_t cpu_ns = 0;

	for (unsigned int i = 0; i < n; i++) {
		if (streams[i].scanout == 0) {
			cpu_ns += process_cpu(streams[i].machine->process).cpu_ns;
		}
	}
	return cpu_ns;
}

static void report(const char *name, const char *suffix, double value)
{
	g_autofree char *full = g_strdup_printf("%s_%s", name, suffix);

	result(full, value);
}

static void collect_latencies(struct stream *streams, unsigned int n, const char *suffix)
{
	g_autofree char *name = g_strdup_printf("kick_to_pixels_%s", suffix);
	struct samples all = {0};

	for (unsigned int i = 0; i < n; i++) {
		struct reader *reader = streams[i].machine->reader;

		if (streams[i].scanout != 0) {
			continue;
		}
		g_mutex_lock(&reader->lock);
		for (size_t j = 0; j < reader->frame_latency.n; j++) {
			samples_add(&all, reader->frame_latency.ns[j]);
		}
		g_mutex_unlock(&reader->lock);
	}
	result_samples(name, &all);
	samples_finish(&all);
}

/* @number is above that of any frame shown so far. */
static void measure(struct stream *streams, unsigned int n, uint32_t number, double seconds,
		    const char *suffix)
{
	uint64_t n_rounds = 0;

	for (unsigned int i = 0; i < n; i++) {
		if (streams[i].scanout == 0) {
			streams[i].machine->reader->shown_fd = eventfd(0, EFD_CLOEXEC);
		}
	}
	for (unsigned int i = 0; i < WARM_UP_ROUNDS; i++) {
		play_round(streams, n, &number);
	}
	for (unsigned int i = 0; i < n; i++) {
		reader_forget(streams[i].machine->reader);
	}
	int64_t cpu_ns = cpu_of(streams, n);
	int64_t start_ns = now_ns();
	int64_t deadline_ns = start_ns + (int64_t)(seconds * NS_PER_S);
	while (now_ns() < deadline_ns) {
		play_round(streams, n, &number);
		n_rounds += 1;
	}
	double elapsed_s = (double)(now_ns() - start_ns) / NS_PER_S;
	double n_frames = (double)(n_rounds * n);
	report("cpu_us_per_frame", suffix,
	       (double)(cpu_of(streams, n) - cpu_ns) / NS_PER_US / n_frames);
	report("frames_per_s", suffix, n_frames / elapsed_s);
	collect_latencies(streams, n, suffix);
}

/* ---- pixels ---- */

static void measure_size(const struct row_options *options, uint32_t width, uint32_t height,
			 const char *suffix)
{
	const struct virtio_gpu_rect whole = {0, 0, width, height};
	struct machine *machine = machine_create_placed(options->command);
	struct picture *picture = machine_show_picture(machine, 0, width, height, &whole);
	struct stream stream;

	stream_init(&stream, machine, picture);
	measure(&stream, 1, stream.number, options->seconds, suffix);
	machine_destroy(machine);
	picture_destroy(picture);
}

void row_growth_size(const struct row_options *options)
{
	measure_size(options, 64, 64, "64x64");
	measure_size(options, 256, 256, "256x256");
	measure_size(options, 640, 480, "640x480");
	measure_size(options, 1280, 800, "1280x800");
	measure_size(options, 1920, 1080, "1920x1080");
	measure_size(options, 2560, 1440, "2560x1440");
	measure_size(options, 3840, 2160, "3840x2160");
}

/* ---- scanouts ---- */

#define N_SCANOUTS_MAX 4u

void row_growth_scanouts(const struct row_options *options)
{
	for (uint32_t n = 1; n <= N_SCANOUTS_MAX; n *= 2) {
		struct machine *machine = machine_create_placed(options->command);
		struct picture *pictures[N_SCANOUTS_MAX];
		struct stream streams[N_SCANOUTS_MAX];
		g_autofree char *suffix = g_strdup_printf("%u_scanouts", n);

		for (uint32_t i = 0; i < n; i++) {
			pictures[i] = machine_show_picture(machine, i, full_1080p.width,
							   full_1080p.height, &full_1080p);
		}
		for (uint32_t i = 0; i < n; i++) {
			stream_init_on(&streams[i], machine, i, pictures[i]);
		}
		measure(streams, n, n, options->seconds, suffix);
		machine_destroy(machine);
		for (uint32_t i = 0; i < n; i++) {
			picture_destroy(pictures[i]);
		}
	}
}

/* ---- virtual machines ---- */

#define N_MACHINES_MAX 32u

static void measure_machines(const struct row_options *options, unsigned int n)
{
	struct stream streams[N_MACHINES_MAX];
	g_autofree char *suffix = g_strdup_printf("%u_machines", n);
	uint64_t pss_bytes = 0;

	for (unsigned int i = 0; i < n; i++) {
		struct machine *machine = machine_create(options->command, 0);

		stream_init(&streams[i], machine,
			    machine_show_picture(machine, 0, full_1080p.width, full_1080p.height,
						 &full_1080p));
	}
	measure(streams, n, 1, options->seconds, suffix);
	for (unsigned int i = 0; i < n; i++) {
		pss_bytes += process_usage(streams[i].machine->process).pss_bytes;
	}
	report("pss_mib_each", suffix, (double)pss_bytes / MIB / n);
	for (unsigned int i = 0; i < n; i++) {
		machine_destroy(streams[i].machine);
		picture_destroy(streams[i].picture);
	}
}

void row_growth_machines(const struct row_options *options)
{
	measure_machines(options, 1);
	measure_machines(options, 8);
	measure_machines(options, N_MACHINES_MAX);
}
