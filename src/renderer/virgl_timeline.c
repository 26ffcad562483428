/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * Fences of contexts whose rings are timelines of their own: Venus and native
 * contexts. The library signals each of them, in the order of its ring, on a
 * thread that it has for the context; its ids have 64 bits, so that they are
 * our sequence numbers.
 */
#include "renderer/virgl_internal.h"

#include <errno.h>

#include "util/log.h"

enum gpu_resp virgl_timelines_add(struct virgl *virgl, struct virgl_context *context,
				  const struct renderer_fence *fence)
{
	struct timelines *timelines = &virgl->timelines;

	if (context->is_lost) {
		timelines_add_done(timelines, fence);
		return GPU_RESP_OK_NODATA;
	}
	if (!timelines_add(timelines, fence)) {
		return GPU_RESP_ERR_OUT_OF_MEMORY;
	}
	int error =
		virgl_library.context_create_fence(fence->ctx_id, 0, fence->ring_idx, fence->seq);
	if (error == 0) {
		return GPU_RESP_OK_NODATA;
	}
	log_debug("ctx %u: no fence on ring %u (%d)", fence->ctx_id, fence->ring_idx, error);
	if (abs(error) == EINVAL) {
		/* A ring beyond the last one, on which nothing is submitted. */
		timelines_signal(timelines, fence);
		return GPU_RESP_OK_NODATA;
	}
	timelines_forgo(timelines, fence);
	virgl_context_lose(virgl, context);
	return GPU_RESP_ERR_UNSPEC;
}

void virgl_timelines_callback(struct virgl *virgl, uint32_t ctx_id, uint32_t ring_idx, uint64_t seq)
{
	const struct renderer_fence fence = {
		.ctx_id = ctx_id,
		.has_ring = true,
		.ring_idx = (uint8_t)ring_idx,
		.seq = seq,
	};

	if (ring_idx <= UINT8_MAX) {
		timelines_signal(&virgl->timelines, &fence);
	}
}

void virgl_timelines_drop(struct virgl *virgl, uint32_t ctx_id)
{
	timelines_drop(&virgl->timelines, ctx_id);
	virgl_fences_note(virgl, false);
}
