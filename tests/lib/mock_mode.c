/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include <glib.h>
#include <string.h>

#include "mock_gfxstream.h"
#include "mock_mode.h"
#include "mock_virgl.h"
#include "rig.h"

static bool is_gfxstream(const char *mode)
{
	return strcmp(mode, "gfxstream") == 0;
}

void mock_mode_use(const char *mode)
{
	/* The other one is what daemon_start() names. */
	if (!is_gfxstream(mode)) {
		mock_virgl_use();
	}
}

static struct vgpu_call *send(const char *mode, struct vgpu *vgpu, uint32_t ctx,
			      enum mock_opcode opcode, uint32_t result_id, const uint32_t *args,
			      uint32_t n_args)
{
	return is_gfxstream(mode)
		       ? mock_gfxstream_send_common(vgpu, ctx, opcode, result_id, args, n_args)
		       : mock_virgl_send(vgpu, ctx, opcode, result_id, args, n_args);
}

/* One of them has them in the backing as they come, the other in its own memory. */
static void fetch_results(const char *mode, struct vgpu *vgpu, uint32_t ctx, uint32_t result_id)
{
	const struct virtio_gpu_box all = {0, 0, 0, MOCK_N_RESULTS, 1, 1};

	if (is_gfxstream(mode)) {
		g_assert_ok(vgpu_transfer_from_host_3d(vgpu, ctx, result_id, &all, 0, 0));
	}
}

uint32_t mock_mode_run(const char *mode, struct vgpu *vgpu, uint32_t ctx, enum mock_opcode opcode,
		       uint32_t result_id, const uint32_t *args, uint32_t n_args)
{
	struct vgpu_call *call = send(mode, vgpu, ctx, opcode, result_id, args, n_args);

	g_assert_true(vgpu_wait(vgpu, call, VGPU_ANSWER_MS));
	uint32_t type = vgpu_finish(vgpu, call);
	if (result_id != 0 && type == VIRTIO_GPU_RESP_OK_NODATA) {
		fetch_results(mode, vgpu, ctx, result_id);
	}
	return type;
}

uint32_t mock_mode_run1(const char *mode, struct vgpu *vgpu, uint32_t ctx, enum mock_opcode opcode,
			uint32_t result_id, uint32_t arg)
{
	return mock_mode_run(mode, vgpu, ctx, opcode, result_id, &arg, 1);
}

struct vgpu_call *mock_mode_send(const char *mode, struct vgpu *vgpu, uint32_t ctx,
				 enum mock_opcode opcode, const uint32_t *args, uint32_t n_args)
{
	return send(mode, vgpu, ctx, opcode, 0, args, n_args);
}
