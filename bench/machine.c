/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include <glib.h>
#include <linux/virtio_gpu.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "machine.h"
#include "place.h"
#include "vgpu.h"

#define REGION_BYTES (UINT64_C(256) << 20)
#define CONTROL_RING_SIZE 256
#define CURSOR_RING_SIZE 16
#define HEADER_SIZE ((uint32_t)sizeof(struct virtio_gpu_ctrl_hdr))

#define WANTED_FEATURES                                                                            \
	(FEATURE(VIRTIO_F_GPU_VIRGL) | FEATURE(VIRTIO_F_GPU_EDID) |                                \
	 FEATURE(VIRTIO_F_GPU_RESOURCE_BLOB) | FEATURE(VIRTIO_F_GPU_CONTEXT_INIT) |                \
	 FEATURE(VIRTIO_F_INDIRECT) |                                                              \
	 FEATURE(VIRTIO_F_EVENT_INDEX) | FEATURE(VIRTIO_F_VHOST_PROTOCOL_FEATURES) |               \
	 FEATURE(VIRTIO_F_V1))

static void connect_reader(struct machine *machine, unsigned int max_updates_per_s)
{
	int fds[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) < 0) {
		g_error("no socket pair for the display");
	}
	machine->reader = reader_create(fds[0], max_updates_per_s);
	frontend_gpu_set_socket(machine->frontend, fds[1]);
	close(fds[1]);
}

/* Region by region where the back-end can; rust-vmm's can't. */
static void share_memory(struct machine *machine)
{
	if (machine->frontend->acked_protocol_features &
	    FEATURE(VHOST_USER_PROTOCOL_F_CONFIGURE_MEM_SLOTS)) {
		frontend_add_memory(machine->frontend, machine->ram);
	} else {
		frontend_set_mem_table(machine->frontend, machine->ram);
	}
}

static struct machine *create(const char *command, unsigned int max_updates_per_s,
			      struct window *consume_window)
{
	struct machine *machine = g_new0(struct machine, 1);

	/* Memory first: what it costs is not the back-end's. */
	machine->ram = guestram_create(REGION_BYTES);
	machine->process = process_start(command);
	machine->frontend = frontend_create(process_connect(machine->process));
	machine->frontend->window = consume_window;
	frontend_handshake(machine->frontend);
	machine->features = machine->frontend->features & WANTED_FEATURES;
	bool has_event_idx = machine->features & FEATURE(VIRTIO_F_EVENT_INDEX);
	machine->control_ring =
		ring_create(machine->ram, 0, VGPU_CONTROL, CONTROL_RING_SIZE, has_event_idx);
	machine->cursor_ring =
		ring_create(machine->ram, 0, VGPU_CURSOR, CURSOR_RING_SIZE, has_event_idx);
	machine->control = driver_create(machine->control_ring, MACHINE_QUEUE_DEPTH);
	machine->cursor = driver_create(machine->cursor_ring, 1);
	connect_reader(machine, max_updates_per_s);
	frontend_set_features(machine->frontend, machine->features);
	share_memory(machine);
	frontend_start_ring(machine->frontend, machine->control_ring, 0, false);
	frontend_start_ring(machine->frontend, machine->cursor_ring, 0, false);
	return machine;
}

struct machine *machine_create(const char *command, unsigned int max_updates_per_s)
{
	return create(command, max_updates_per_s, NULL);
}

struct machine *machine_create_placed(const char *command)
{
	place_guest();
	return machine_create(command, 0);
}

struct machine *machine_create_mapping(const char *command)
{
	place_guest();
	return create(command, 0, window_create());
}

void machine_destroy(struct machine *machine)
{
	if (machine == NULL) {
		return;
	}
	frontend_destroy(machine->frontend);
	process_destroy(machine->process);
	reader_destroy(machine->reader);
	driver_destroy(machine->control);
	driver_destroy(machine->cursor);
	ring_destroy(machine->control_ring);
	ring_destroy(machine->cursor_ring);
	guestram_destroy(machine->ram);
	g_free(machine);
}

/* @request with the picture's pages behind it. */
static void send_with_pages(struct machine *machine, const void *request, uint32_t request_size,
			    const struct picture *picture, const char *name)
{
	uint32_t size = picture->n_pages * (uint32_t)sizeof(picture->entries[0]);
	uint64_t gpa = guestram_alloc(machine->ram, 0, size, GUESTRAM_PAGE);
	struct slot *slot;

	memcpy(guestram_at(machine->ram, gpa, size), picture->entries, size);
	driver_lay_out(machine->control, 0, request, request_size, gpa, size, HEADER_SIZE);
	driver_submit(machine->control, 0);
	driver_kick(machine->control);
	while ((slot = driver_take(machine->control)) == NULL) {
		driver_wait(machine->control);
	}
	if (driver_response(slot) != VIRTIO_GPU_RESP_OK_NODATA) {
		g_error("%s is answered 0x%x", name, driver_response(slot));
	}
}

void machine_attach(struct machine *machine, uint32_t id, const struct picture *picture)
{
	const struct virtio_gpu_resource_attach_backing request = {
		.hdr.type = VIRTIO_GPU_CMD_RESOURCE_ATTACH_BACKING,
		.resource_id = id,
		.nr_entries = picture->n_pages,
	};

	send_with_pages(machine, &request, sizeof(request), picture, "RESOURCE_ATTACH_BACKING");
}

bool machine_add_blob(struct machine *machine, uint32_t id, const struct picture *picture)
{
	const struct virtio_gpu_resource_create_blob request = {
		.hdr.type = VIRTIO_GPU_CMD_RESOURCE_CREATE_BLOB,
		.resource_id = id,
		.blob_mem = VIRTIO_GPU_BLOB_MEM_GUEST,
		.nr_entries = picture->n_pages,
		.size = (uint64_t)picture->n_pages * GUESTRAM_PAGE,
	};

	if (!(machine->features & FEATURE(VIRTIO_F_GPU_RESOURCE_BLOB))) {
		return false;
	}
	send_with_pages(machine, &request, sizeof(request), picture, "RESOURCE_CREATE_BLOB");
	return true;
}

void machine_add_resource(struct machine *machine, uint32_t id, const struct picture *picture)
{
	const struct virtio_gpu_resource_create_2d request = {
		.hdr.type = VIRTIO_GPU_CMD_RESOURCE_CREATE_2D,
		.resource_id = id,
		.format = VIRTIO_GPU_FORMAT_B8G8R8X8_UNORM,
		.width = picture->width,
		.height = picture->height,
	};

	driver_command(machine->control, &request, sizeof(request));
	machine_attach(machine, id, picture);
}

void machine_set_scanout(struct machine *machine, uint32_t scanout, uint32_t id,
			 const struct picture *picture)
{
	const struct virtio_gpu_set_scanout request = {
		.hdr.type = VIRTIO_GPU_CMD_SET_SCANOUT,
		.r = {0, 0, picture->width, picture->height},
		.scanout_id = scanout,
		.resource_id = id,
	};

	driver_command(machine->control, &request, sizeof(request));
}

static uint32_t resource_of(uint32_t scanout)
{
	return scanout + 1;
}

struct picture *machine_show_picture(struct machine *machine, uint32_t scanout, uint32_t width,
				     uint32_t height, const struct virtio_gpu_rect *damage)
{
	uint32_t id = resource_of(scanout), number = scanout + 1;
	struct picture *picture = picture_create(machine->ram, width, height, damage);
	const struct virtio_gpu_transfer_to_host_2d transfer = {
		.hdr.type = VIRTIO_GPU_CMD_TRANSFER_TO_HOST_2D,
		.r = {0, 0, width, height},
		.resource_id = id,
	};
	const struct virtio_gpu_resource_flush flush = {
		.hdr.type = VIRTIO_GPU_CMD_RESOURCE_FLUSH,
		.r = {0, 0, width, height},
		.resource_id = id,
	};

	machine_add_resource(machine, id, picture);
	machine_set_scanout(machine, scanout, id, picture);
	picture_draw(picture, number);
	reader_watch(machine->reader, scanout, damage);
	driver_command(machine->control, &transfer, sizeof(transfer));
	driver_command(machine->control, &flush, sizeof(flush));
	if (!reader_wait_number(machine->reader, scanout, number) ||
	    !reader_shows(machine->reader, scanout, picture)) {
		g_error("the first picture is not on the display");
	}
	return picture;
}

void stream_init(struct stream *stream, struct machine *machine, struct picture *picture)
{
	stream_init_on(stream, machine, 0, picture);
}

void stream_init_on(struct stream *stream, struct machine *machine, uint32_t scanout,
		    struct picture *picture)
{
	const struct virtio_gpu_rect *r = &picture->damage;
	const struct virtio_gpu_transfer_to_host_2d transfer = {
		.hdr.type = VIRTIO_GPU_CMD_TRANSFER_TO_HOST_2D,
		.r = *r,
		.offset = ((uint64_t)r->y * picture->width + r->x) * sizeof(uint32_t),
		.resource_id = resource_of(scanout),
	};
	const struct virtio_gpu_resource_flush flush = {
		.hdr.type = VIRTIO_GPU_CMD_RESOURCE_FLUSH,
		.r = *r,
		.resource_id = resource_of(scanout),
	};

	*stream = (struct stream){
		.machine = machine,
		.scanout = scanout,
		.picture = picture,
		.number = reader_last_number(machine->reader, scanout),
	};
	driver_lay_out(machine->control, 2 * scanout, &transfer, sizeof(transfer), 0, 0,
		       HEADER_SIZE);
	driver_lay_out(machine->control, 2 * scanout + 1, &flush, sizeof(flush), 0, 0, HEADER_SIZE);
}

void stream_init_blobs(struct stream *stream, struct machine *machine, uint32_t first_id,
		       struct picture *const blobs[STREAM_BLOBS])
{
	*stream = (struct stream){
		.machine = machine,
		.picture = blobs[0],
		.number = reader_last_number(machine->reader, 0),
	};
	for (uint32_t i = 0; i < STREAM_BLOBS; i++) {
		const struct virtio_gpu_set_scanout_blob flip = {
			.hdr.type = VIRTIO_GPU_CMD_SET_SCANOUT_BLOB,
			.r = {0, 0, blobs[i]->width, blobs[i]->height},
			.resource_id = first_id + i,
			.width = blobs[i]->width,
			.height = blobs[i]->height,
			.format = VIRTIO_GPU_FORMAT_B8G8R8X8_UNORM,
			.strides = {blobs[i]->width * (uint32_t)sizeof(uint32_t)},
		};
		const struct virtio_gpu_resource_flush flush = {
			.hdr.type = VIRTIO_GPU_CMD_RESOURCE_FLUSH,
			.r = blobs[i]->damage,
			.resource_id = first_id + i,
		};

		stream->blobs[i] = blobs[i];
		driver_lay_out(machine->control, 2 * i, &flip, sizeof(flip), 0, 0, HEADER_SIZE);
		driver_lay_out(machine->control, 2 * i + 1, &flush, sizeof(flush), 0, 0,
			       HEADER_SIZE);
	}
}

void stream_queue(struct stream *stream, uint32_t number)
{
	struct machine *machine = stream->machine;
	uint32_t slot = 2 * stream->scanout;

	stream->number = number & FRAME_NUMBER_MASK;
	if (stream->blobs[0] != NULL) {
		slot = 2 * (stream->number % STREAM_BLOBS);
		stream->picture = stream->blobs[stream->number % STREAM_BLOBS];
	}
	picture_draw(stream->picture, stream->number);
	driver_submit(machine->control, slot);
	driver_submit(machine->control, slot + 1);
	stream->n_in_flight = 2;
	machine->reader->frame_kicked_ns[stream->number % READER_HISTORY] = now_ns();
}

void stream_submit(struct stream *stream)
{
	stream_queue(stream, stream->number + 1);
	driver_kick(stream->machine->control);
}

void stream_take(struct stream *stream, const struct slot *slot)
{
	if (driver_response(slot) != VIRTIO_GPU_RESP_OK_NODATA) {
		g_error("frame %u: answered 0x%x", stream->number, driver_response(slot));
	}
	stream->n_in_flight -= 1;
}

void stream_frame(struct stream *stream)
{
	struct slot *slot;

	stream_submit(stream);
	while (stream->n_in_flight > 0) {
		while ((slot = driver_take(stream->machine->control)) == NULL) {
			driver_wait(stream->machine->control);
		}
		stream_take(stream, slot);
	}
}
