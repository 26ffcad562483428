/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * The bytes of a blob as this process sees them: the guest's own pages, or
 * memory of the host's that its renderer gave a descriptor of. Nothing is
 * copied; whoever else has them may write at any time.
 *
 * Reference-counted across threads, so that a display may read on when the
 * resource is gone. Reading is for the device thread.
 */
#pragma once

#include <glib.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "renderer/renderer.h"
#include "util/iov.h"
#include "util/quota.h"
#include "virtio/guestmem.h"

/*
 * Pages that do not lie one behind the other are joined by a mapping of each
 * run: of one blob so many, and of all of a process so many together, as the
 * kernel has room for 65,530 mappings.
 */
#define BLOB_MEMORY_MAX_RUNS 8192
#define BLOB_MEMORY_MAX_ALL_RUNS 32768
/* What the kernel keeps of one, beside the page tables. */
#define BLOB_MEMORY_RUN_BYTES 256

struct blob_memory {
	gatomicrefcount refs;
	uint64_t size_bytes;
	struct iov_cursor cursor; /* over the guest's list (borrowed), or over whole */
	struct guestmem *mem;	  /* owned reference, keeps the guest's pages mapped; or NULL */
	struct iovec whole;	  /* all of it in one piece; iov_base NULL: not yet */
	size_t n_runs;		  /* mappings that it took to join it; 0: none is ours */
	void *mapping;		  /* owned: what is to be unmapped, or NULL */
	size_t mapping_bytes;
	struct quota *quota; /* borrowed, outlives it */
	uint64_t charged_bytes;
	bool is_scattered; /* it can't be joined */
};

/*
 * size_bytes of backing, whose list is borrowed until the last read. Never
 * NULL. What it takes to join the pages is charged to quota when they are.
 */
struct blob_memory *blob_memory_of_guest(const struct backing *backing, uint64_t size_bytes,
					 struct guestmem *mem, struct quota *quota);
/* NULL: it can't be mapped, or the file is shorter (touching it would be a SIGBUS). */
struct blob_memory *blob_memory_of_export(const struct renderer_export *exported,
					  uint64_t size_bytes, struct quota *quota);
/* Its pages lie where they lay, and are of this table now: the one before may go. */
void blob_memory_follow(struct blob_memory *memory, struct guestmem *mem);
struct blob_memory *blob_memory_ref(struct blob_memory *memory);
void blob_memory_unref(struct blob_memory *memory); /* NULL is fine */

/* False, with some bytes copied, if it is shorter than that. */
bool blob_memory_read(struct blob_memory *memory, uint64_t offset_bytes, void *to,
		      size_t length_bytes);
/* All of it in one piece, alive as long as memory; NULL: it lies too scattered. */
const void *blob_memory_whole(struct blob_memory *memory);
