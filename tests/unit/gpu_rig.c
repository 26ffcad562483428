/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "gpu_rig.h"

#include <string.h>

void start_device(struct fixture *f, const struct renderer_impl *impl)
{
	const struct renderer_options options = {
		.use_egl = true,
		.use_gles = true,
		.use_surfaceless = true,
	};

	g_assert_cmpint(renderer_create(impl, &options, &f->quota, &f->renderer), ==, 0);
	device_init(&f->dev, f->renderer, &f->display->base, &f->quota);
	device_set_memory(&f->dev, f->vm.mem);
}

void stop_device(struct fixture *f)
{
	device_finish(&f->dev);
	renderer_destroy(f->renderer);
}

void setup(struct fixture *f, gconstpointer impl)
{
	vm_init(&f->vm);
	quota_init(&f->quota, RIG_QUOTA_BYTES);
	f->display = logbook_create();
	start_device(f, impl);
}

void teardown(struct fixture *f, gconstpointer impl G_GNUC_UNUSED)
{
	stop_device(f);
	display_destroy(&f->display->base);
	/* Whatever the guest left behind was given back. */
	g_assert_cmpuint(quota_used(&f->quota), ==, 0);
	vm_finish(&f->vm);
}

enum gpu_resp take(struct fixture *f, enum command_queue queue)
{
	if (!vm_take(&f->vm, queue, NULL, &f->response, sizeof(f->response), &f->response_bytes)) {
		return GPU_RESP_PENDING;
	}
	return (enum gpu_resp)f->response.header.type;
}

void execute(struct fixture *f, enum command_queue queue, const void *request, size_t size)
{
	vm_submit(&f->vm, queue, request, size, sizeof(f->response));
	device_execute(&f->dev, &f->vm.queues[queue], vm_pop(&f->vm, queue));
}

enum gpu_resp call(struct fixture *f, enum command_queue queue, const void *request, size_t size)
{
	execute(f, queue, request, size);
	return take(f, queue);
}

void assert_shown(struct fixture *f, const char *expected)
{
	g_assert_cmpstr(f->display->log->str, ==, expected);
	g_string_truncate(f->display->log, 0);
}

void assert_rendered(struct fixture *f, const char *expected)
{
	struct puppet *p = puppet_from_base(f->renderer);

	g_assert_cmpstr(p->log->str, ==, expected);
	g_string_truncate(p->log, 0);
}

/* ---- commands ---- */

enum gpu_resp create_2d(struct fixture *f, uint32_t id, uint32_t format, uint32_t width,
			uint32_t height)
{
	const struct virtio_gpu_resource_create_2d request = { HDR(RESOURCE_CREATE_2D), id, format,
							       width, height };

	return call(f, CONTROL, &request, sizeof(request));
}

enum gpu_resp create_3d(struct fixture *f, uint32_t id, uint32_t width, uint32_t height,
			uint32_t depth, uint32_t layers, uint32_t last_level)
{
	const struct virtio_gpu_resource_create_3d request = {
		.hdr = HDR(RESOURCE_CREATE_3D),
		.resource_id = id,
		.target = 2,
		.format = 1,
		.width = width,
		.height = height,
		.depth = depth,
		.array_size = layers,
		.last_level = last_level,
	};

	return call(f, CONTROL, &request, sizeof(request));
}

enum gpu_resp unref(struct fixture *f, uint32_t id)
{
	const struct virtio_gpu_resource_unref request = { HDR(RESOURCE_UNREF), id, 0 };

	return call(f, CONTROL, &request, sizeof(request));
}

enum gpu_resp attach(struct fixture *f, uint32_t id, uint32_t n_claimed,
		     const struct virtio_gpu_mem_entry *entries, uint32_t n_sent)
{
	const struct virtio_gpu_resource_attach_backing request = { HDR(RESOURCE_ATTACH_BACKING),
								    id, n_claimed };
	size_t size = sizeof(request) + n_sent * sizeof(entries[0]);
	g_autofree char *bytes = g_malloc(size);

	memcpy(bytes, &request, sizeof(request));
	if (n_sent > 0) {
		memcpy(bytes + sizeof(request), entries, n_sent * sizeof(entries[0]));
	}
	return call(f, CONTROL, bytes, size);
}

enum gpu_resp attach_one(struct fixture *f, uint32_t id, uint64_t gpa, uint32_t length)
{
	const struct virtio_gpu_mem_entry entry = { gpa, length, 0 };

	return attach(f, id, 1, &entry, 1);
}

enum gpu_resp detach(struct fixture *f, uint32_t id)
{
	const struct virtio_gpu_resource_detach_backing request = { HDR(RESOURCE_DETACH_BACKING),
								    id, 0 };

	return call(f, CONTROL, &request, sizeof(request));
}

enum gpu_resp transfer(struct fixture *f, uint32_t id, struct virtio_gpu_rect r, uint64_t offset)
{
	const struct virtio_gpu_transfer_to_host_2d request = { HDR(TRANSFER_TO_HOST_2D), r, offset,
								id, 0 };

	return call(f, CONTROL, &request, sizeof(request));
}

enum gpu_resp set_scanout(struct fixture *f, uint32_t scanout_id, uint32_t id,
			  struct virtio_gpu_rect r)
{
	const struct virtio_gpu_set_scanout request = { HDR(SET_SCANOUT), r, scanout_id, id };

	return call(f, CONTROL, &request, sizeof(request));
}

enum gpu_resp flush(struct fixture *f, uint32_t id, struct virtio_gpu_rect r)
{
	const struct virtio_gpu_resource_flush request = { HDR(RESOURCE_FLUSH), r, id, 0 };

	return call(f, CONTROL, &request, sizeof(request));
}

enum gpu_resp get_edid(struct fixture *f, uint32_t scanout_id)
{
	const struct virtio_gpu_cmd_get_edid request = { HDR(GET_EDID), scanout_id, 0 };

	return call(f, CONTROL, &request, sizeof(request));
}

enum gpu_resp get_info(struct fixture *f)
{
	const struct virtio_gpu_ctrl_hdr request = HDR(GET_DISPLAY_INFO);

	return call(f, CONTROL, &request, sizeof(request));
}

enum gpu_resp update_cursor(struct fixture *f, uint32_t scanout_id, uint32_t id, uint32_t x,
			    uint32_t y, uint32_t hot_x, uint32_t hot_y)
{
	const struct virtio_gpu_update_cursor request = {
		.hdr = HDR(UPDATE_CURSOR),
		.pos = { .scanout_id = scanout_id, .x = x, .y = y },
		.resource_id = id,
		.hot_x = hot_x,
		.hot_y = hot_y,
	};

	return call(f, CURSOR, &request, sizeof(request));
}

enum gpu_resp move_cursor(struct fixture *f, uint32_t scanout_id, uint32_t id, uint32_t x,
			  uint32_t y)
{
	const struct virtio_gpu_update_cursor request = {
		.hdr = HDR(MOVE_CURSOR),
		.pos = { .scanout_id = scanout_id, .x = x, .y = y },
		.resource_id = id,
	};

	return call(f, CURSOR, &request, sizeof(request));
}

enum gpu_resp create_context(struct fixture *f, uint32_t ctx_id, uint32_t init, const char *name,
			     uint32_t name_bytes)
{
	struct virtio_gpu_ctx_create request = {
		.hdr = { .type = VIRTIO_GPU_CMD_CTX_CREATE, .ctx_id = ctx_id },
		.nlen = name_bytes,
		.context_init = init,
	};

	memcpy(request.debug_name, name, MIN(strlen(name) + 1, sizeof(request.debug_name)));
	return call(f, CONTROL, &request, sizeof(request));
}

enum gpu_resp context_call(struct fixture *f, uint32_t type, uint32_t ctx_id, uint32_t resource_id)
{
	const struct virtio_gpu_ctx_resource request = {
		.hdr = { .type = type, .ctx_id = ctx_id },
		.resource_id = resource_id,
	};

	return call(f, CONTROL, &request, sizeof(request));
}

enum gpu_resp create_blob(struct fixture *f, uint32_t id, uint32_t mem, uint64_t size,
			  const struct virtio_gpu_mem_entry *entries, uint32_t n_entries)
{
	const struct virtio_gpu_resource_create_blob request = {
		.hdr = { .type = VIRTIO_GPU_CMD_RESOURCE_CREATE_BLOB, .ctx_id = 1 },
		.resource_id = id,
		.blob_mem = mem,
		.blob_flags = VIRTIO_GPU_BLOB_FLAG_USE_MAPPABLE,
		.nr_entries = n_entries,
		.blob_id = 7,
		.size = size,
	};
	size_t n_bytes = sizeof(request) + n_entries * sizeof(entries[0]);
	g_autofree char *bytes = g_malloc(n_bytes);

	memcpy(bytes, &request, sizeof(request));
	if (n_entries > 0) {
		memcpy(bytes + sizeof(request), entries, n_entries * sizeof(entries[0]));
	}
	return call(f, CONTROL, bytes, n_bytes);
}

enum gpu_resp create_guest_blob(struct fixture *f, uint32_t id, uint64_t gpa, uint32_t size)
{
	const struct virtio_gpu_mem_entry entry = { gpa, size, 0 };

	return create_blob(f, id, GUEST, size, &entry, 1);
}

enum gpu_resp set_scanout_blob(struct fixture *f, uint32_t scanout_id, uint32_t id,
			       struct virtio_gpu_rect r, const struct blob_layout *layout)
{
	const struct virtio_gpu_set_scanout_blob request = {
		.hdr = HDR(SET_SCANOUT_BLOB),
		.r = r,
		.scanout_id = scanout_id,
		.resource_id = id,
		.width = layout->width,
		.height = layout->height,
		.format = layout->format,
		.strides = { layout->stride_bytes },
		.offsets = { layout->offset_bytes },
	};

	return call(f, CONTROL, &request, sizeof(request));
}

uint64_t make_resource(struct fixture *f, uint32_t id, uint32_t format, uint32_t width,
		       uint32_t height)
{
	uint32_t size = width * height * 4;
	uint64_t gpa = guestram_alloc(f->vm.ram, 0, size, 4096);

	assert_ok(create_2d(f, id, format, width, height));
	assert_ok(attach_one(f, id, gpa, size));
	return gpa;
}
