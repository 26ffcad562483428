/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * The device between hand-made rings, a renderer and a display that writes
 * down what it is told; and its commands, one function each. Each command is
 * executed at once and returns its answer, GPU_RESP_PENDING if there is none
 * yet.
 */
#pragma once

#include <glib.h>

#include "gpu/device.h"
#include "logbook.h"
#include "puppet.h"
#include "vm.h"

#define RIG_QUOTA_BYTES (UINT64_C(64) << 20)
#define CONTROL COMMAND_QUEUE_CONTROL
#define CURSOR COMMAND_QUEUE_CURSOR
#define HDR(name)                                                                                  \
	{                                                                                          \
		.type = VIRTIO_GPU_CMD_##name                                                      \
	}
#define FORMAT VIRTIO_GPU_FORMAT_B8G8R8X8_UNORM
#define GUEST VIRTIO_GPU_BLOB_MEM_GUEST
#define HOST3D VIRTIO_GPU_BLOB_MEM_HOST3D
#define HOST3D_GUEST VIRTIO_GPU_BLOB_MEM_HOST3D_GUEST
#define RECT(...) ((struct virtio_gpu_rect){ __VA_ARGS__ })
#define assert_ok(expression) g_assert_cmphex((expression), ==, GPU_RESP_OK_NODATA)
#define assert_is(expression, name) g_assert_cmphex((expression), ==, GPU_RESP_ERR_##name)

struct fixture {
	struct vm vm;
	struct quota quota;
	struct renderer *renderer;
	struct logbook *display;
	struct device dev;
	union {
		struct virtio_gpu_ctrl_hdr header;
		struct virtio_gpu_resp_display_info info;
		struct virtio_gpu_resp_edid edid;
		struct virtio_gpu_resp_capset_info capset_info;
		struct virtio_gpu_resp_resource_uuid uuid;
		uint8_t bytes[4096];
	} response; /* to the last command */
	uint32_t response_bytes;
};

/* impl: a const struct renderer_impl. teardown asserts that all of the quota was given back. */
void setup(struct fixture *f, gconstpointer impl);
void teardown(struct fixture *f, gconstpointer impl);
/* Parts of these: the device and its renderer go, and others come. */
void start_device(struct fixture *f, const struct renderer_impl *impl);
void stop_device(struct fixture *f);

/* Take what was answered; GPU_RESP_PENDING if nothing was. */
enum gpu_resp take(struct fixture *f, enum command_queue queue);
void execute(struct fixture *f, enum command_queue queue, const void *request, size_t size);
enum gpu_resp call(struct fixture *f, enum command_queue queue, const void *request, size_t size);

/* What the display, or the puppet, was told since the last time. */
void assert_shown(struct fixture *f, const char *expected);
void assert_rendered(struct fixture *f, const char *expected);

enum gpu_resp create_2d(struct fixture *f, uint32_t id, uint32_t format, uint32_t width,
			uint32_t height);
enum gpu_resp create_3d(struct fixture *f, uint32_t id, uint32_t width, uint32_t height,
			uint32_t depth, uint32_t layers, uint32_t last_level);
enum gpu_resp unref(struct fixture *f, uint32_t id);
/* n_claimed: what the command says; n_sent: what is behind it. */
enum gpu_resp attach(struct fixture *f, uint32_t id, uint32_t n_claimed,
		     const struct virtio_gpu_mem_entry *entries, uint32_t n_sent);
enum gpu_resp attach_one(struct fixture *f, uint32_t id, uint64_t gpa, uint32_t length);
enum gpu_resp detach(struct fixture *f, uint32_t id);
enum gpu_resp transfer(struct fixture *f, uint32_t id, struct virtio_gpu_rect r, uint64_t offset);
enum gpu_resp set_scanout(struct fixture *f, uint32_t scanout_id, uint32_t id,
			  struct virtio_gpu_rect r);
enum gpu_resp flush(struct fixture *f, uint32_t id, struct virtio_gpu_rect r);
enum gpu_resp get_edid(struct fixture *f, uint32_t scanout_id);
enum gpu_resp get_info(struct fixture *f);
enum gpu_resp update_cursor(struct fixture *f, uint32_t scanout_id, uint32_t id, uint32_t x,
			    uint32_t y, uint32_t hot_x, uint32_t hot_y);
enum gpu_resp move_cursor(struct fixture *f, uint32_t scanout_id, uint32_t id, uint32_t x,
			  uint32_t y);
enum gpu_resp create_context(struct fixture *f, uint32_t ctx_id, uint32_t init, const char *name,
			     uint32_t name_bytes);
/* A command that has nothing but a header and, maybe, a resource. */
enum gpu_resp context_call(struct fixture *f, uint32_t type, uint32_t ctx_id, uint32_t resource_id);

/* Of context 1, memory 7 of it, mappable. */
enum gpu_resp create_blob(struct fixture *f, uint32_t id, uint32_t mem, uint64_t size,
			  const struct virtio_gpu_mem_entry *entries, uint32_t n_entries);
enum gpu_resp create_guest_blob(struct fixture *f, uint32_t id, uint64_t gpa, uint32_t size);
enum gpu_resp set_scanout_blob(struct fixture *f, uint32_t scanout_id, uint32_t id,
			       struct virtio_gpu_rect r, const struct blob_layout *layout);

/* A resource with backing in one piece; returns where that is. */
uint64_t make_resource(struct fixture *f, uint32_t id, uint32_t format, uint32_t width,
		       uint32_t height);
