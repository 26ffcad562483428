/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * Memory of the host's in the window of a guest: what a driver waits for when a
 * program maps some and gives it up. The front-end maps as QEMU does, each file
 * into its place, so that its part of the time is in the figures.
 */
#include <glib.h>
#include <linux/virtio_gpu.h>
#include <string.h>

#include "machine.h"
#include "rows.h"

#define NS_PER_S 1e9
#define HEADER_SIZE ((uint32_t)sizeof(struct virtio_gpu_ctrl_hdr))
#define MAP_INFO_SIZE ((uint32_t)sizeof(struct virtio_gpu_resp_map_info))
#define CTX 1u
#define CAPSET_VENUS 4u
#define BLOB 10u
#define BLOB_BYTES (UINT64_C(16) << 20)
#define WARM_UP 20u
#define MAX_RUNS 20000u

static void create_context(struct machine *machine)
{
	const struct virtio_gpu_ctx_create request = {
		.hdr = {.type = VIRTIO_GPU_CMD_CTX_CREATE, .ctx_id = CTX},
		.context_init = CAPSET_VENUS,
	};

	driver_command(machine->control, &request, sizeof(request));
}

/* Venus' blob 0: plain memory, for which no command of Vulkan's is needed. */
static void create(struct machine *machine)
{
	const struct virtio_gpu_resource_create_blob request = {
		.hdr = {.type = VIRTIO_GPU_CMD_RESOURCE_CREATE_BLOB, .ctx_id = CTX},
		.resource_id = BLOB,
		.blob_mem = VIRTIO_GPU_BLOB_MEM_HOST3D,
		.blob_flags = VIRTIO_GPU_BLOB_FLAG_USE_MAPPABLE,
		.size = BLOB_BYTES,
	};

	driver_command(machine->control, &request, sizeof(request));
}

static void destroy(struct machine *machine)
{
	const struct virtio_gpu_resource_unref request = {
		.hdr.type = VIRTIO_GPU_CMD_RESOURCE_UNREF,
		.resource_id = BLOB,
	};

	driver_command(machine->control, &request, sizeof(request));
}

static void map(struct machine *machine)
{
	const struct virtio_gpu_resource_map_blob request = {
		.hdr.type = VIRTIO_GPU_CMD_RESOURCE_MAP_BLOB,
		.resource_id = BLOB,
	};
	uint32_t type =
		driver_call(machine->control, &request, sizeof(request), MAP_INFO_SIZE);

	if (type != VIRTIO_GPU_RESP_OK_MAP_INFO) {
		g_error("RESOURCE_MAP_BLOB is answered 0x%x", type);
	}
}

static void unmap(struct machine *machine)
{
	const struct virtio_gpu_resource_unmap_blob request = {
		.hdr.type = VIRTIO_GPU_CMD_RESOURCE_UNMAP_BLOB,
		.resource_id = BLOB,
	};

	driver_command(machine->control, &request, sizeof(request));
}

static void measure(struct machine *machine, void (*step)(struct machine *machine),
		    struct samples *samples)
{
	int64_t start_ns = now_ns();

	step(machine);
	samples_add(samples, now_ns() - start_ns);
}

/* The same blob again and again; or, as most of the time, a new one each time. */
static void live(struct machine *machine, double seconds, bool is_new)
{
	struct samples created = {0}, mapped = {0}, unmapped = {0}, destroyed = {0};
	struct samples *const all[] = {&created, &mapped, &unmapped, &destroyed};
	int64_t deadline_ns = INT64_MAX;

	for (unsigned int i = 0; i < WARM_UP + MAX_RUNS && now_ns() < deadline_ns; i++) {
		if (i == WARM_UP) {
			for (size_t k = 0; k < G_N_ELEMENTS(all); k++) {
				samples_clear(all[k]);
			}
			deadline_ns = now_ns() + (int64_t)(seconds * NS_PER_S);
		}
		if (is_new) {
			measure(machine, create, &created);
		}
		measure(machine, map, &mapped);
		measure(machine, unmap, &unmapped);
		if (is_new) {
			measure(machine, destroy, &destroyed);
		}
	}
	result_samples(is_new ? "map_new" : "map", &mapped);
	result_samples(is_new ? "unmap_new" : "unmap", &unmapped);
	if (is_new) {
		result_samples("create", &created);
		result_samples("destroy", &destroyed);
	}
	for (size_t k = 0; k < G_N_ELEMENTS(all); k++) {
		samples_finish(all[k]);
	}
}

void row_map_blob(const struct row_options *options)
{
	struct machine *machine = machine_create_mapping(options->command);

	if (machine->frontend->window_bytes < BLOB_BYTES) {
		g_error("this back-end has no memory to map");
	}
	create_context(machine);
	live(machine, options->seconds, true);
	create(machine);
	live(machine, options->seconds, false);
	destroy(machine);
	machine_destroy(machine);
}
