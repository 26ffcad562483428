/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * Fences: the library has a timeline for each ring, and one that is no ring's,
 * as the device has, and ids of 64 bits, which are our sequence numbers.
 *
 * Work that a fence waits for is on ring 0 of a context, or of none. On ring 1
 * a guest puts what the host's processor does while it is submitted, so that a
 * fence there is done when it is asked for, and the library is not.
 */
#include "renderer/gfxstream_internal.h"

#include <errno.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "util/log.h"

#define PROCESSOR_RING 1

static void wake(void *data)
{
	struct gfxstream *gfxstream = data;
	uint64_t one = 1;

	if (!atomic_exchange(&gfxstream->is_woken, true)) {
		ssize_t ignored = write(gfxstream->wake_fd, &one, sizeof(one));
		(void)ignored;
	}
}

int gfxstream_fences_init(struct gfxstream *gfxstream)
{
	timelines_init(&gfxstream->timelines, wake, gfxstream);
	gfxstream->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (gfxstream->wake_fd < 0) {
		int error = errno;

		log_failure("no file descriptor for fences: %s", g_strerror(error));
		return -error;
	}
	return 0;
}

void gfxstream_fences_finish(struct gfxstream *gfxstream)
{
	timelines_finish(&gfxstream->timelines);
	if (gfxstream->wake_fd >= 0) {
		close(gfxstream->wake_fd);
	}
}

void gfxstream_fences_signal(struct gfxstream *gfxstream, const struct gfxstream_fence *fence)
{
	bool has_ring = (fence->flags & GFXSTREAM_FENCE_RING_IDX) != 0;
	const struct renderer_fence done = {
		.ctx_id = has_ring ? fence->ctx_id : 0,
		.has_ring = has_ring,
		.ring_idx = has_ring ? fence->ring_idx : 0,
		.seq = fence->fence_id,
	};

	timelines_signal(&gfxstream->timelines, &done);
}

/* Fences became due or were dropped; is_progress: some were signalled. */
static void note(struct gfxstream *gfxstream, bool is_progress)
{
	gint64 *since_us = &gfxstream->base.awaited_since_us;

	if (gfxstream->timelines.n_waiting == 0) {
		*since_us = 0;
	} else if (is_progress || *since_us == 0) {
		*since_us = g_get_monotonic_time();
	}
}

void gfxstream_fences_drop_context(struct gfxstream *gfxstream, uint32_t ctx_id)
{
	timelines_drop(&gfxstream->timelines, ctx_id);
	note(gfxstream, false);
}

static enum gpu_resp create_in_library(struct gfxstream *gfxstream,
				       const struct renderer_fence *fence)
{
	const struct gfxstream_fence args = {
		.flags = GFXSTREAM_FENCE | (fence->has_ring ? GFXSTREAM_FENCE_RING_IDX : 0),
		.fence_id = fence->seq,
		.ctx_id = fence->ctx_id,
		.ring_idx = fence->ring_idx,
	};

	if (!timelines_add(&gfxstream->timelines, fence)) {
		return GPU_RESP_ERR_OUT_OF_MEMORY;
	}
	int error = gfxstream_library.create_fence(&args);
	if (error != 0) {
		log_debug("ctx %u: no fence (%d)", fence->ctx_id, error);
		timelines_forgo(&gfxstream->timelines, fence);
		return GPU_RESP_ERR_UNSPEC;
	}
	return GPU_RESP_OK_NODATA;
}

enum gpu_resp gfxstream_fence_create(struct renderer *r, const struct renderer_fence *fence)
{
	struct gfxstream *gfxstream = gfxstream_from_base(r);
	enum gpu_resp resp = GPU_RESP_OK_NODATA;

	/* Whatever the context's type, as rust-vmm's program has it: no capset tells otherwise. */
	if (fence->has_ring && fence->ring_idx == PROCESSOR_RING) {
		timelines_add_done(&gfxstream->timelines, fence);
	} else {
		resp = create_in_library(gfxstream, fence);
	}
	note(gfxstream, false);
	return resp;
}

/*
 * is_woken falls after the eventfd was read and before the list is looked at,
 * so a callback in between is neither lost nor leaves the eventfd readable.
 */
void gfxstream_dispatch(struct renderer *r)
{
	struct gfxstream *gfxstream = gfxstream_from_base(r);
	uint64_t count;

	if (!atomic_load(&gfxstream->is_woken)) {
		return;
	}
	ssize_t ignored = read(gfxstream->wake_fd, &count, sizeof(count));
	(void)ignored;
	atomic_store(&gfxstream->is_woken, false);
	note(gfxstream, timelines_report(&gfxstream->timelines, r));
}
