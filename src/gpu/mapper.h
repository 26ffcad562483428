/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * The host-visible window of the guest: an address range of the device that
 * the front-end fills with memory of the host's, piece by piece (virtio 1.3
 * §5.7.6.8, RESOURCE_MAP_BLOB; VIRTIO_GPU_SHM_ID_HOST_VISIBLE).
 *
 * Called on the device thread, and never waits. Both are asked in the order of
 * the calls, so a range may be mapped anew as soon as its unmapping was asked
 * for.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

/* Pages of the window; offset_bytes and size_bytes are multiples of the page size. */
struct mapper_range {
	uint64_t offset_bytes; /* in the window */
	uint64_t size_bytes;   /* not 0 */
};

struct mapper {
	/*
	 * Have range show fd_borrow from fd_offset_bytes on. False: it can't be
	 * asked for. Else device_take_mapped() says with the token what became of it.
	 */
	bool (*map)(void *data, uint64_t token, const struct mapper_range *range, int fd_borrow,
		    uint64_t fd_offset_bytes);
	/*
	 * The whole of a range that was asked to be mapped. False: it stays as it
	 * is. Answered the same way, unless token is 0.
	 */
	bool (*unmap)(void *data, uint64_t token, const struct mapper_range *range);
};

/*
 * Ranges at once. QEMU 11.1 tells its back-ends of each as of a piece of the
 * guest's memory, and starts none again (after a pause, say) that takes fewer
 * pieces than there are; GUESTMEM_MAX_REGIONS are ours, its memory among them.
 */
#define MAPPER_MAX_RANGES 448
