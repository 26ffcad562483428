/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * Copies between a scattered buffer and a flat one. The only code that walks
 * guest buffers: every bound is checked here, once.
 *
 * A struct iov_cursor remembers where in the list the last copy ended, and goes
 * from there, up or down: to the next row of a framebuffer of 2,000 pages, or
 * to where the guest drew last.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

struct iov_cursor {
	const struct iovec *iov; /* borrowed */
	size_t n_iov;
	size_t index;	       /* entry that holds base_offset */
	uint64_t base_offset;  /* bytes before that entry */
};

uint64_t iov_size(const struct iovec *iov, size_t n_iov);

void iov_cursor_init(struct iov_cursor *cursor, const struct iovec *iov, size_t n_iov);

/*
 * Copy exactly length_bytes at offset; offsets may go up or down. False, with
 * nothing copied, if the range is not wholly inside the list.
 */
bool iov_cursor_read(struct iov_cursor *cursor, uint64_t offset, void *to, size_t length_bytes);
bool iov_cursor_write(struct iov_cursor *cursor, uint64_t offset, const void *from,
		      size_t length_bytes);
