/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* Commands and frames, as fast as they go. */
#include <errno.h>
#include <glib.h>
#include <linux/virtio_gpu.h>
#include <signal.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "calls.h"
#include "machine.h"
#include "place.h"
#include "rows.h"

#define NS_PER_S 1e9
#define NS_PER_US 1e3
#define WARM_UP_S 0.2
#define CALLS_FRAMES 300u
#define CALLS_COMMANDS 5000u
/* Long enough for a traced back-end to go back to sleep between two frames. */
#define CALLS_PAUSE_US 3000

static int64_t after_seconds(double seconds)
{
	return now_ns() + (int64_t)(seconds * NS_PER_S);
}

/* ---- commands ---- */

/* Keeps @depth commands in flight until @deadline_ns or for @limit; returns how many were done. */
static uint64_t keep_busy(struct driver *driver, unsigned int depth, int64_t deadline_ns,
			  uint64_t limit)
{
	uint64_t n_done = 0, n_out = depth;

	for (unsigned int i = 0; i < depth; i++) {
		driver_submit(driver, i);
	}
	driver_kick(driver);
	while (n_out > 0) {
		bool is_over = n_done >= limit || now_ns() >= deadline_ns;
		unsigned int n_again = 0;
		struct slot *slot;

		driver_wait(driver);
		while ((slot = driver_take(driver)) != NULL) {
			n_done += 1;
			n_out -= 1;
			if (!is_over) {
				driver_submit(driver, (unsigned int)(slot - driver->slots));
				n_out += 1;
				n_again += 1;
			}
		}
		if (n_again > 0) {
			driver_kick(driver);
		}
	}
	return n_done;
}

static void queue(const struct row_options *options, unsigned int depth)
{
	const struct virtio_gpu_get_capset_info request = {
		.hdr.type = VIRTIO_GPU_CMD_GET_CAPSET_INFO,
	};
	struct machine *machine = machine_create(options->command, 0);

	for (unsigned int i = 0; i < depth; i++) {
		driver_lay_out(machine->control, i, &request, sizeof(request), 0, 0,
			       sizeof(struct virtio_gpu_resp_capset_info));
	}
	keep_busy(machine->control, depth, after_seconds(WARM_UP_S), UINT64_MAX);
	if (options->counts_calls) {
		struct calls calls;

		calls_begin(&calls, machine->process);
		uint64_t n = keep_busy(machine->control, depth, INT64_MAX, CALLS_COMMANDS);
		calls_end(&calls, n);
	} else {
		struct usage before = process_cpu(machine->process);
		int64_t start_ns = now_ns();
		uint64_t n = keep_busy(machine->control, depth, after_seconds(options->seconds),
				       UINT64_MAX);
		double elapsed_ns = (double)(now_ns() - start_ns);
		struct usage after = process_cpu(machine->process);
		result("commands_per_s", (double)n / elapsed_ns * NS_PER_S);
		result("cpu_us_per_command",
		       (double)(after.cpu_ns - before.cpu_ns) / NS_PER_US / (double)n);
	}
	machine_destroy(machine);
}

/*
 * Left alone the kernel puts guest and back-end on one CPU or on two, as it happens, and waking
 * another CPU costs more than all the rest.
 */
static void queue_1(const struct row_options *options, enum place place)
{
	place_guest();
	place_choose_backend(place);
	queue(options, 1);
}

void row_queue_1_together(const struct row_options *options)
{
	queue_1(options, PLACE_TOGETHER);
}

void row_queue_1_apart(const struct row_options *options)
{
	queue_1(options, PLACE_APART);
}

void row_queue_64(const struct row_options *options)
{
	queue(options, MACHINE_QUEUE_DEPTH);
}

/* ---- frames ---- */

/* In the middle of a 1080p screen: how far down matters to who looks the pages up from the top. */
static const struct virtio_gpu_rect small = {928, 508, 64, 64};
static const struct virtio_gpu_rect full_1080p = {0, 0, 1920, 1080};
static const struct virtio_gpu_rect full_4k = {0, 0, 3840, 2160};

static void wait_shown(struct stream *stream)
{
	struct reader *reader = stream->machine->reader;
	eventfd_t value;

	while (reader_last_number(reader, 0) != stream->number) {
		if (eventfd_read(reader->shown_fd, &value) < 0) {
			g_error("the display's eventfd: %s", g_strerror(errno));
		}
	}
}

static uint64_t draw(struct stream *stream, bool is_paced, gulong pause_us, int64_t deadline_ns,
		     uint64_t limit)
{
	uint64_t n = 0;

	while (n < limit && now_ns() < deadline_ns) {
		stream_frame(stream);
		if (is_paced) {
			wait_shown(stream);
		}
		if (pause_us > 0) {
			g_usleep(pause_us);
		}
		n += 1;
	}
	return n;
}

static void report_frames(const struct reader_counts *before, const struct reader_counts *after,
			  uint64_t n_drawn, double elapsed_s, int64_t cpu_ns)
{
	double n_shown = (double)(after->n_shown - before->n_shown);

	result("frames_per_s", n_shown / elapsed_s);
	result("guest_frames_per_s", (double)n_drawn / elapsed_s);
	result("cpu_us_per_frame", (double)cpu_ns / NS_PER_US / n_shown);
	result("buffers", (double)(after->n_dmabufs - before->n_dmabufs));
	result("torn", (double)(after->n_torn - before->n_torn));
	result("stale", (double)(after->n_stale - before->n_stale));
}

static void measure_frames(struct stream *stream, bool is_paced, double seconds)
{
	struct reader *reader = stream->machine->reader;

	reader_forget(reader);
	struct reader_counts before = reader_get_counts(reader);
	struct usage usage_before = process_cpu(stream->machine->process);
	int64_t start_ns = now_ns();
	uint64_t n_drawn = draw(stream, is_paced, 0, after_seconds(seconds), UINT64_MAX);
	double elapsed_s = (double)(now_ns() - start_ns) / NS_PER_S;
	struct reader_counts after = reader_get_counts(reader);
	struct usage usage_after = process_cpu(stream->machine->process);

	report_frames(&before, &after, n_drawn, elapsed_s,
		      usage_after.cpu_ns - usage_before.cpu_ns);
	g_mutex_lock(&reader->lock);
	result_samples("kick_to_pixels", &reader->frame_latency);
	g_mutex_unlock(&reader->lock);
}

static void check_last_frame(struct stream *stream)
{
	struct reader *reader = stream->machine->reader;

	if (!reader_wait_number(reader, 0, stream->number) ||
	    (!reader->skims && !reader_shows(reader, 0, stream->picture))) {
		g_error("the last frame is not on the display as it was drawn");
	}
}

enum pace {
	FULL_SPEED, /* as fast as flushes are answered */
	PACED,	    /* one frame at a time */
	SKIMMED,    /* one frame at a time, to a display that copies nothing */
};

static void frames(const struct row_options *options, const struct virtio_gpu_rect *screen,
		   const struct virtio_gpu_rect *damage, enum pace pace)
{
	bool is_paced = pace != FULL_SPEED;
	struct machine *machine = machine_create_placed(options->command);
	struct picture *picture =
		machine_show_picture(machine, 0, screen->width, screen->height, damage);
	struct stream stream;

	machine->reader->shown_fd = is_paced ? eventfd(0, EFD_CLOEXEC) : -1;
	machine->reader->skims = pace == SKIMMED;
	stream_init(&stream, machine, picture);
	draw(&stream, is_paced, 0, after_seconds(WARM_UP_S), UINT64_MAX);
	if (options->counts_calls) {
		struct calls calls;

		calls_begin(&calls, machine->process);
		draw(&stream, is_paced, is_paced ? CALLS_PAUSE_US : 0, INT64_MAX, CALLS_FRAMES);
		calls_end(&calls, CALLS_FRAMES);
	} else {
		measure_frames(&stream, is_paced, options->seconds);
	}
	check_last_frame(&stream);
	machine_destroy(machine);
	picture_destroy(picture);
}

void row_small(const struct row_options *options)
{
	frames(options, &full_1080p, &small, FULL_SPEED);
}

void row_1080p(const struct row_options *options)
{
	frames(options, &full_1080p, &full_1080p, FULL_SPEED);
}

void row_4k(const struct row_options *options)
{
	frames(options, &full_4k, &full_4k, FULL_SPEED);
}

void row_small_paced(const struct row_options *options)
{
	frames(options, &full_1080p, &small, PACED);
}

void row_1080p_paced(const struct row_options *options)
{
	frames(options, &full_1080p, &full_1080p, PACED);
}

void row_4k_paced(const struct row_options *options)
{
	frames(options, &full_4k, &full_4k, PACED);
}

/* ---- blobs ---- */

#define FIRST_BLOB 100u

/* Frames that the guest has drawn into memory that they are shown from. */
static void blob_frames(const struct row_options *options, const struct virtio_gpu_rect *screen,
			enum pace pace)
{
	bool is_paced = pace != FULL_SPEED;
	struct machine *machine = machine_create_placed(options->command);
	struct picture *first =
		machine_show_picture(machine, 0, screen->width, screen->height, screen);
	struct picture *blobs[STREAM_BLOBS];
	/* One at a time is drawn where the last one was, as a transfer's is. */
	uint32_t n_pictures = is_paced ? 1 : STREAM_BLOBS;
	struct stream stream;

	for (uint32_t i = 0; i < STREAM_BLOBS; i++) {
		blobs[i] = i < n_pictures ? picture_create(machine->ram, screen->width,
							   screen->height, screen)
					  : blobs[0];
		if (!machine_add_blob(machine, FIRST_BLOB + i, blobs[i])) {
			g_error("this back-end has no blobs");
		}
	}
	machine->reader->shown_fd = is_paced ? eventfd(0, EFD_CLOEXEC) : -1;
	machine->reader->skims = pace == SKIMMED;
	stream_init_blobs(&stream, machine, FIRST_BLOB, blobs);
	draw(&stream, is_paced, 0, after_seconds(WARM_UP_S), UINT64_MAX);
	measure_frames(&stream, is_paced, options->seconds);
	check_last_frame(&stream);
	machine_destroy(machine);
	picture_destroy(first);
	for (uint32_t i = 0; i < n_pictures; i++) {
		picture_destroy(blobs[i]);
	}
}

void row_1080p_blob(const struct row_options *options)
{
	blob_frames(options, &full_1080p, FULL_SPEED);
}

void row_4k_blob(const struct row_options *options)
{
	blob_frames(options, &full_4k, FULL_SPEED);
}

void row_1080p_skimmed(const struct row_options *options)
{
	frames(options, &full_1080p, &full_1080p, SKIMMED);
}

void row_4k_skimmed(const struct row_options *options)
{
	frames(options, &full_4k, &full_4k, SKIMMED);
}

void row_1080p_blob_skimmed(const struct row_options *options)
{
	blob_frames(options, &full_1080p, SKIMMED);
}

void row_4k_blob_skimmed(const struct row_options *options)
{
	blob_frames(options, &full_4k, SKIMMED);
}

void row_1080p_blob_paced(const struct row_options *options)
{
	blob_frames(options, &full_1080p, PACED);
}

void row_4k_blob_paced(const struct row_options *options)
{
	blob_frames(options, &full_4k, PACED);
}

/* ---- the first flush of a picture ---- */

/* A new resource each time; as many as the guest's memory holds the lists of. */
#define FIRST_FLUSHES 100u
#define FIRST_ID 1000u

static void make_unseen(struct machine *machine, uint32_t id, const struct picture *picture)
{
	const struct virtio_gpu_transfer_to_host_2d transfer = {
		.hdr.type = VIRTIO_GPU_CMD_TRANSFER_TO_HOST_2D,
		.r = full_1080p,
		.resource_id = id,
	};

	machine_add_resource(machine, id, picture);
	driver_command(machine->control, &transfer, sizeof(transfer));
	machine_set_scanout(machine, 0, id, picture);
}

static void destroy(struct machine *machine, uint32_t id)
{
	const struct virtio_gpu_resource_unref unref = {
		.hdr.type = VIRTIO_GPU_CMD_RESOURCE_UNREF,
		.resource_id = id,
	};

	driver_command(machine->control, &unref, sizeof(unref));
}

void row_first_flush(const struct row_options *options)
{
	struct machine *machine = machine_create_placed(options->command);
	struct picture *picture =
		machine_show_picture(machine, 0, full_1080p.width, full_1080p.height, &full_1080p);
	struct samples flushed = {0};

	for (uint32_t i = 0; i < FIRST_FLUSHES; i++) {
		const struct virtio_gpu_resource_flush flush = {
			.hdr.type = VIRTIO_GPU_CMD_RESOURCE_FLUSH,
			.r = full_1080p,
			.resource_id = FIRST_ID + i,
		};

		picture_draw(picture, 2 + i);
		make_unseen(machine, FIRST_ID + i, picture);
		int64_t start_ns = now_ns();
		driver_command(machine->control, &flush, sizeof(flush));
		samples_add(&flushed, now_ns() - start_ns);
		if (!reader_wait_number(machine->reader, 0, 2 + i)) {
			g_error("picture %u is not on the display", 2 + i);
		}
		destroy(machine, FIRST_ID + i);
	}
	struct reader_counts counts = reader_get_counts(machine->reader);
	result("buffers", (double)counts.n_dmabufs);
	result_samples("first_flush", &flushed);
	samples_finish(&flushed);
	machine_destroy(machine);
	picture_destroy(picture);
}

/* ---- the floor ---- */

struct floor_message {
	struct gpu_msg_header header;
	struct gpu_msg_update update;
	uint32_t pixels[];
};

static void write_all(int fd, const void *bytes, size_t size)
{
	if (write(fd, bytes, size) != (ssize_t)size) {
		_exit(0);
	}
}

/* One copy out of memory that "the guest" has drawn into, one blocking write, again and again. */
static void floor_process(int fd, const struct virtio_gpu_rect *rect)
{
	size_t n_pixels = (size_t)rect->width * rect->height;
	size_t pixel_bytes = n_pixels * sizeof(uint32_t);
	struct {
		struct gpu_msg_header header;
		struct gpu_msg_scanout scanout;
	} first = {
		.header = {VHOST_USER_GPU_SCANOUT, 0, sizeof(struct gpu_msg_scanout)},
		.scanout = {0, rect->width, rect->height},
	};
	struct floor_message *message = g_malloc(sizeof(*message) + pixel_bytes);
	uint32_t *guest = g_malloc0(pixel_bytes);

	message->header = (struct gpu_msg_header){
		VHOST_USER_GPU_UPDATE, 0, (uint32_t)(sizeof(message->update) + pixel_bytes)};
	message->update = (struct gpu_msg_update){0, 0, 0, rect->width, rect->height};
	write_all(fd, &first, sizeof(first));
	for (uint32_t number = 1;; number = (number + 1) & FRAME_NUMBER_MASK) {
		for (uint32_t y = 0; y < rect->height; y++) {
			guest[(size_t)y * rect->width] = number;
			guest[(size_t)(y + 1) * rect->width - 1] = number;
		}
		memcpy(message->pixels, guest, pixel_bytes);
		write_all(fd, message, sizeof(*message) + pixel_bytes);
	}
}

static void measure_floor(const struct row_options *options, const struct virtio_gpu_rect *rect)
{
	const struct virtio_gpu_rect damage = {0, 0, rect->width, rect->height};
	pid_t parent = getpid();
	int fds[2];

	place_guest();
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) < 0) {
		g_error("no socket pair for the display");
	}
	pid_t pid = fork();
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		signal(SIGPIPE, SIG_DFL);
		close(fds[0]);
		place_backend();
		if (getppid() == parent) {
			floor_process(fds[1], rect);
		}
		_exit(0);
	}
	close(fds[1]);
	struct process *process = process_adopt(pid);
	struct reader *reader = reader_create(fds[0], 0);
	reader_watch(reader, 0, &damage);
	g_usleep((gulong)(WARM_UP_S * G_USEC_PER_SEC));
	struct reader_counts before = reader_get_counts(reader);
	struct usage usage_before = process_cpu(process);
	int64_t start_ns = now_ns();
	g_usleep((gulong)(options->seconds * G_USEC_PER_SEC));
	struct reader_counts after = reader_get_counts(reader);
	double elapsed_s = (double)(now_ns() - start_ns) / NS_PER_S;
	struct usage usage_after = process_cpu(process);

	report_frames(&before, &after, after.n_updates - before.n_updates, elapsed_s,
		      usage_after.cpu_ns - usage_before.cpu_ns);
	process_destroy(process);
	reader_destroy(reader);
}

void row_floor_small(const struct row_options *options)
{
	measure_floor(options, &small);
}

void row_floor_1080p(const struct row_options *options)
{
	measure_floor(options, &full_1080p);
}

void row_floor_4k(const struct row_options *options)
{
	measure_floor(options, &full_4k);
}
