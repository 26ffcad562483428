/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * Memory that another process can read: blocks of whole pages in one file
 * (memfd), so that one descriptor and one mapping do for all of them.
 *
 * The owner allocates, for any thread. The reader maps the file once, and is
 * told where blocks are. It need not trust the owner: the file can't shrink,
 * and what it is told is checked against the file's size. That the bytes
 * change while it reads them it can't prevent.
 */
#pragma once

#include <glib.h>
#include <stddef.h>
#include <stdint.h>

#include "util/lockdown.h"

struct arena;

/* size_bytes is address space; memory is taken when it is written. Returns 0 or -errno. */
int arena_create(uint64_t size_bytes, struct arena **arena_out) G_GNUC_WARN_UNUSED_RESULT;
void arena_destroy(struct arena *arena); /* NULL is fine; no block is in use any more */

/* All zero, at a page's boundary; NULL: no room. */
void *arena_allocate(struct arena *arena, size_t size_bytes);
/* block: NULL is fine. size_bytes as allocated. */
void arena_free(struct arena *arena, void *block, size_t size_bytes);

int arena_fd(const struct arena *arena); /* borrowed */
uint64_t arena_size_bytes(const struct arena *arena);
/* Of a block. */
uint64_t arena_offset(const struct arena *arena, const void *block);

/* The reader's mapping, reference-counted, for any thread. */
struct arena_view;

/* -EPERM: it may shrink, or is of huge pages; -EFBIG: it is smaller than size_bytes; else mmap's error. */
int arena_view_create(int fd_borrow, uint64_t size_bytes, struct arena_view **view_out)
	G_GNUC_WARN_UNUSED_RESULT;
struct arena_view *arena_view_ref(struct arena_view *view);
void arena_view_unref(struct arena_view *view); /* NULL is fine */
/* NULL if they are not all inside. */
const void *arena_view_at(const struct arena_view *view, uint64_t offset, uint64_t length_bytes);

/* Of the owner. */
extern lockdown_names arena_calls;
