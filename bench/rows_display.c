/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* What else goes on while a display is busy, or slow. */
#include <glib.h>
#include <linux/virtio_gpu.h>

#include "machine.h"
#include "place.h"
#include "rows.h"

#define NS_PER_S 1e9
#define MIB (1024.0 * 1024.0)
#define WARM_UP_US 300000
#define MOVE_INTERVAL_US 1000
#define SLOW_UPDATES_PER_S 20
#define GUEST_FRAMES_PER_S 60
#define PROBE_INTERVAL_NS INT64_C(2000000)
#define PROBE_SLOT 2u
#define N_FRAMES 100000u
#define STALL_EVERY 100u
#define CURSOR_ID 100u
#define N_CURSORS 8u
#define CURSOR_PIXELS 64u

/* ---- the cursor under a 4K stream ---- */

struct mover {
	struct machine *machine;
	struct picture *images[N_CURSORS];
	uint32_t type; /* of the command: a move, or an update with an image that is another's */
	int must_stop; /* atomic */
	uint32_t n_sent;
	struct samples answered;
};

static void send_cursor(struct machine *machine, uint32_t type, uint32_t id, uint32_t x)
{
	const struct virtio_gpu_update_cursor request = {
		.hdr.type = type,
		.pos.x = x,
		.resource_id = id,
	};

	driver_lay_out(machine->cursor, 0, &request, sizeof(request), 0, 0, 0);
	driver_submit(machine->cursor, 0);
	driver_kick(machine->cursor);
	while (driver_take(machine->cursor) == NULL) {
		driver_wait(machine->cursor);
	}
}

/* The images are with the host before: what is timed is the update and not a transfer. */
static void add_cursors(struct mover *mover)
{
	const struct virtio_gpu_rect whole = {0, 0, CURSOR_PIXELS, CURSOR_PIXELS};

	for (uint32_t i = 0; i < N_CURSORS; i++) {
		const struct virtio_gpu_transfer_to_host_2d transfer = {
			.hdr.type = VIRTIO_GPU_CMD_TRANSFER_TO_HOST_2D,
			.r = whole,
			.resource_id = CURSOR_ID + i,
		};

		mover->images[i] =
			picture_create(mover->machine->ram, CURSOR_PIXELS, CURSOR_PIXELS, &whole);
		picture_draw(mover->images[i], i);
		machine_add_resource(mover->machine, CURSOR_ID + i, mover->images[i]);
		driver_command(mover->machine->control, &transfer, sizeof(transfer));
	}
	send_cursor(mover->machine, VIRTIO_GPU_CMD_UPDATE_CURSOR, CURSOR_ID, 0);
}

static void send_next(struct mover *mover)
{
	mover->n_sent += 1;
	int64_t kicked_ns = now_ns();
	mover->machine->reader->cursor_kicked_ns[mover->n_sent % READER_HISTORY] = kicked_ns;
	send_cursor(mover->machine, mover->type, CURSOR_ID + mover->n_sent % N_CURSORS,
		    mover->n_sent);
	samples_add(&mover->answered, now_ns() - kicked_ns);
}

/* A mouse of a thousand reports a second. */
static void *move_on(void *data)
{
	struct mover *mover = data;

	place_first();
	while (!g_atomic_int_get(&mover->must_stop)) {
		send_next(mover);
		g_usleep(MOVE_INTERVAL_US);
	}
	return NULL;
}

/* Results are named after @what, "move" or "update". */
static void measure_cursor(struct mover *mover, struct stream *stream, uint32_t type,
			   const char *what, double seconds)
{
	struct reader *reader = mover->machine->reader;
	g_autofree char *rate = g_strdup_printf("%ss_per_s", what);
	g_autofree char *frame_rate = g_strdup_printf("%s_frames_per_s", what);
	g_autofree char *answered = g_strdup_printf("%s_answered", what);
	g_autofree char *to_display = g_strdup_printf("%s_to_display", what);

	mover->type = type;
	mover->must_stop = 0;
	uint32_t n_before = mover->n_sent;
	samples_clear(&mover->answered);
	reader_forget(reader);
	struct reader_counts before = reader_get_counts(reader);
	int64_t start_ns = now_ns();
	int64_t deadline_ns = start_ns + (int64_t)(seconds * NS_PER_S);
	GThread *thread = g_thread_new("mover", move_on, mover);
	while (now_ns() < deadline_ns) {
		stream_frame(stream);
	}
	g_atomic_int_set(&mover->must_stop, 1);
	g_thread_join(thread);
	double elapsed_s = (double)(now_ns() - start_ns) / NS_PER_S;
	struct reader_counts after = reader_get_counts(reader);
	result(rate, (double)(mover->n_sent - n_before) / elapsed_s);
	result(frame_rate, (double)(after.n_shown - before.n_shown) / elapsed_s);
	result_samples(answered, &mover->answered);
	g_mutex_lock(&reader->lock);
	result_samples(to_display, &reader->cursor_latency);
	g_mutex_unlock(&reader->lock);
}

void row_cursor(const struct row_options *options)
{
	const struct virtio_gpu_rect whole = {0, 0, 3840, 2160};
	struct machine *machine = machine_create_placed(options->command);
	struct picture *picture =
		machine_show_picture(machine, 0, whole.width, whole.height, &whole);
	struct mover mover = {.machine = machine};
	struct stream stream;

	add_cursors(&mover);
	stream_init(&stream, machine, picture);
	for (int64_t start_ns = now_ns(); now_ns() - start_ns < WARM_UP_US * INT64_C(1000);) {
		stream_frame(&stream);
	}
	measure_cursor(&mover, &stream, VIRTIO_GPU_CMD_MOVE_CURSOR, "move", options->seconds);
	measure_cursor(&mover, &stream, VIRTIO_GPU_CMD_UPDATE_CURSOR, "update", options->seconds);
	machine_destroy(machine);
	picture_destroy(picture);
	for (uint32_t i = 0; i < N_CURSORS; i++) {
		picture_destroy(mover.images[i]);
	}
	samples_finish(&mover.answered);
}

/* ---- a display that reads 20 frames a second ---- */

struct prober {
	struct machine *machine;
	struct stream *stream;
	int64_t next_frame_ns, next_probe_ns, probed_ns;
	bool is_probe_out;
	uint64_t n_frames;
	struct samples answered;
};

static void take_answers(struct prober *prober)
{
	struct driver *driver = prober->machine->control;
	struct slot *slot;

	while ((slot = driver_take(driver)) != NULL) {
		if (slot == &driver->slots[PROBE_SLOT]) {
			samples_add(&prober->answered, now_ns() - prober->probed_ns);
			prober->is_probe_out = false;
		} else {
			stream_take(prober->stream, slot);
		}
	}
}

static void submit_what_is_due(struct prober *prober)
{
	int64_t now = now_ns();

	if (prober->stream->n_in_flight == 0 && now >= prober->next_frame_ns) {
		stream_submit(prober->stream);
		prober->n_frames += 1;
		prober->next_frame_ns = now + (int64_t)(NS_PER_S / GUEST_FRAMES_PER_S);
	}
	if (!prober->is_probe_out && now >= prober->next_probe_ns) {
		prober->is_probe_out = true;
		prober->probed_ns = now_ns();
		prober->next_probe_ns = now + PROBE_INTERVAL_NS;
		driver_submit(prober->machine->control, PROBE_SLOT);
		driver_kick(prober->machine->control);
	}
}

/* A guest of 60 frames a second, and a harmless command every 2 ms. */
static void probe(struct prober *prober, double seconds)
{
	int64_t deadline_ns = now_ns() + (int64_t)(seconds * NS_PER_S);

	while (now_ns() < deadline_ns) {
		submit_what_is_due(prober);
		take_answers(prober);
		/* Coarse, but it sleeps and answers are timed to a few microseconds. */
		g_usleep(20);
	}
	while (prober->is_probe_out || prober->stream->n_in_flight > 0) {
		driver_wait(prober->machine->control);
		take_answers(prober);
	}
}

void row_slow(const struct row_options *options)
{
	const struct virtio_gpu_rect whole = {0, 0, 1920, 1080};
	const struct virtio_gpu_get_capset_info request = {
		.hdr.type = VIRTIO_GPU_CMD_GET_CAPSET_INFO,
	};
	struct machine *machine = machine_create(options->command, SLOW_UPDATES_PER_S);
	struct picture *picture =
		machine_show_picture(machine, 0, whole.width, whole.height, &whole);
	struct stream stream;
	struct prober prober = {.machine = machine, .stream = &stream};

	stream_init(&stream, machine, picture);
	driver_lay_out(machine->control, PROBE_SLOT, &request, sizeof(request), 0, 0,
		       sizeof(struct virtio_gpu_resp_capset_info));
	g_usleep(WARM_UP_US);
	struct usage idle = process_usage(machine->process);
	int64_t start_ns = now_ns();
	struct reader_counts before = reader_get_counts(machine->reader);
	probe(&prober, options->seconds);
	double elapsed_s = (double)(now_ns() - start_ns) / NS_PER_S;
	struct reader_counts after = reader_get_counts(machine->reader);
	struct usage busy = process_usage(machine->process);
	result("guest_frames_per_s", (double)prober.n_frames / elapsed_s);
	result("frames_per_s", (double)(after.n_shown - before.n_shown) / elapsed_s);
	result("probes_per_s", (double)prober.answered.n / elapsed_s);
	result_samples("probe_answered", &prober.answered);
	result("pss_idle_mib", (double)idle.pss_bytes / MIB);
	result("pss_busy_mib", (double)busy.pss_bytes / MIB);
	machine_destroy(machine);
	picture_destroy(picture);
	samples_finish(&prober.answered);
}

/* ---- frames that must be whole ---- */

/* Larger than a socket's buffer, so that messages go out in parts. */
static void draw_solid(const struct row_options *options, const char *name,
		       unsigned int max_updates_per_s, unsigned int stall_every)
{
	const struct virtio_gpu_rect whole = {0, 0, 320, 240};
	struct machine *machine = machine_create(options->command, max_updates_per_s);
	struct picture *picture =
		machine_show_picture(machine, 0, whole.width, whole.height, &whole);
	struct stream stream;

	picture->is_solid = true;
	stream_init(&stream, machine, picture);
	stream_frame(&stream);
	if (!reader_wait_number(machine->reader, 0, stream.number)) {
		g_error("the first solid frame is not on the display");
	}
	machine->reader->stall_every = stall_every;
	reader_watch(machine->reader, 0, &whole);
	g_mutex_lock(&machine->reader->lock);
	machine->reader->is_solid = true;
	g_mutex_unlock(&machine->reader->lock);
	for (unsigned int i = 0; i < N_FRAMES; i++) {
		stream_frame(&stream);
	}
	if (!reader_wait_number(machine->reader, 0, stream.number)) {
		g_error("the last solid frame is not on the display");
	}
	struct reader_counts counts = reader_get_counts(machine->reader);
	g_autofree char *shown = g_strdup_printf("shown_%s", name);
	result(shown, (double)counts.n_shown);
	if (counts.n_torn + counts.n_stale > 0) {
		g_error("%s display: %" G_GUINT64_FORMAT " frames torn, %" G_GUINT64_FORMAT
			" out of order",
			name, counts.n_torn, counts.n_stale);
	}
	machine_destroy(machine);
	picture_destroy(picture);
}

void row_torn(const struct row_options *options)
{
	draw_solid(options, "fast", 0, 0);
	draw_solid(options, "slow", SLOW_UPDATES_PER_S, 0);
	draw_solid(options, "stalling", 0, STALL_EVERY);
}
