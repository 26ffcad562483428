/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "util/iov.h"

#include <string.h>

#include "util/checked.h"

uint64_t iov_size(const struct iovec *iov, size_t n_iov)
{
	uint64_t size = 0;

	for (size_t i = 0; i < n_iov; i++) {
		size += iov[i].iov_len;
	}
	return size;
}

void iov_cursor_init(struct iov_cursor *cursor, const struct iovec *iov, size_t n_iov)
{
	*cursor = (struct iov_cursor){ .iov = iov, .n_iov = n_iov };
}

/* Make cursor->index the entry that holds offset. False if there is none. */
static bool seek(struct iov_cursor *cursor, uint64_t offset)
{
	while (offset < cursor->base_offset) {
		cursor->index--;
		cursor->base_offset -= cursor->iov[cursor->index].iov_len;
	}
	while (cursor->index < cursor->n_iov) {
		uint64_t length = cursor->iov[cursor->index].iov_len;

		if (offset - cursor->base_offset < length) {
			return true;
		}
		cursor->base_offset += length;
		cursor->index++;
	}
	return false;
}

static bool is_inside(struct iov_cursor *cursor, uint64_t offset, size_t length_bytes)
{
	uint64_t end;
	struct iov_cursor probe;

	if (!checked_add_u64(offset, length_bytes, &end) || !seek(cursor, offset)) {
		return false;
	}
	probe = *cursor;
	return seek(&probe, end - 1);
}

/* to_list: bytes go from flat into the list. The range was checked. */
static void copy(struct iov_cursor *cursor, uint64_t offset, char *flat, size_t length_bytes,
		 bool to_list)
{
	while (length_bytes > 0 && seek(cursor, offset)) {
		const struct iovec *entry = &cursor->iov[cursor->index];
		size_t skip = (size_t)(offset - cursor->base_offset);
		size_t chunk = entry->iov_len - skip;

		if (chunk > length_bytes) {
			chunk = length_bytes;
		}
		if (to_list) {
			memcpy((char *)entry->iov_base + skip, flat, chunk);
		} else {
			memcpy(flat, (const char *)entry->iov_base + skip, chunk);
		}
		flat += chunk;
		offset += chunk;
		length_bytes -= chunk;
	}
}

bool iov_cursor_read(struct iov_cursor *cursor, uint64_t offset, void *to, size_t length_bytes)
{
	if (length_bytes == 0) {
		return true;
	}
	if (!is_inside(cursor, offset, length_bytes)) {
		return false;
	}
	copy(cursor, offset, to, length_bytes, false);
	return true;
}

bool iov_cursor_write(struct iov_cursor *cursor, uint64_t offset, const void *from,
		      size_t length_bytes)
{
	if (length_bytes == 0) {
		return true;
	}
	if (!is_inside(cursor, offset, length_bytes)) {
		return false;
	}
	copy(cursor, offset, (char *)(uintptr_t)from, length_bytes, true);
	return true;
}
