/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * The guest's memory as the front-end shares it (vhost-user memory regions).
 *
 * A struct guestmem is an immutable table; changing the table makes a new one.
 * Tables and the mappings in them are reference-counted, across threads: who
 * holds a table may use the pointers it gives, and a mapping goes away with
 * its last table. Guest addresses are what is kept for longer; pointers are
 * looked up again from the table of the moment.
 */
#pragma once

#include <glib.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include "util/lockdown.h"

/* More would make every look-up slow; QEMU's own limit is 509 as well. */
#define GUESTMEM_MAX_REGIONS 509

/* A guest physical address, and a front-end's virtual one: never mixed up. */
struct gpa {
	uint64_t v;
};
struct uva {
	uint64_t v;
};

struct guestmem_region_desc {
	struct gpa gpa;
	struct uva uva;
	uint64_t size_bytes;
	uint64_t mmap_offset_bytes; /* of gpa in the file */
};

struct guestmem; /* immutable, reference-counted */

/* A table of no region. Never NULL. */
struct guestmem *guestmem_create_empty(void);
struct guestmem *guestmem_ref(struct guestmem *mem);
void guestmem_unref(struct guestmem *mem); /* NULL is fine */

/*
 * mem plus a mapping of fd_borrow. -EINVAL: empty, wrapping or overlapping;
 * -ENOSPC: GUESTMEM_MAX_REGIONS; -EFBIG: the file is shorter than the region
 * (touching it would be a SIGBUS); else mmap's error.
 */
int guestmem_add(struct guestmem *mem, const struct guestmem_region_desc *desc, int fd_borrow,
		 struct guestmem **mem_out) G_GNUC_WARN_UNUSED_RESULT;

/* mem less the region of these addresses and this size. -ENOENT: there is none. */
int guestmem_remove(struct guestmem *mem, const struct guestmem_region_desc *desc,
		    struct guestmem **mem_out) G_GNUC_WARN_UNUSED_RESULT;

size_t guestmem_n_regions(const struct guestmem *mem);

/*
 * To share tables with another process: from now on this one keeps the
 * descriptor of each region that it maps. Call it before the first region.
 */
void guestmem_keep_files(void);
/*
 * Region i. id names its mapping: it is the same in each table that shares it,
 * and never used again. fd_borrow_out: -1 unless descriptors are kept.
 */
void guestmem_region(const struct guestmem *mem, size_t i, struct guestmem_region_desc *desc_out,
		     uint64_t *id_out, int *fd_borrow_out);

/* The bytes of a front-end range that lies in one region, or NULL. Alive as long as mem. */
void *guestmem_at_uva(const struct guestmem *mem, struct uva uva, uint64_t length_bytes);

/*
 * The range as pieces, one for each region it crosses. Returns how many pieces
 * it needs, written up to max_iov; 0 if any byte of it is not guest memory or
 * length_bytes is 0. The pieces are alive as long as mem.
 */
size_t guestmem_to_iov(const struct guestmem *mem, struct gpa gpa, uint64_t length_bytes,
		       struct iovec *iov_out, size_t max_iov);

/* Do both addresses lie in one region? Only there are neighbours pages of one file. */
bool guestmem_is_one_region(const struct guestmem *mem, struct gpa a, struct gpa b);

/*
 * The beginning of a range in the file of its region: returns how many of its
 * bytes lie there one behind the other, 0 if it is not guest memory or
 * descriptors are not kept.
 */
uint64_t guestmem_to_file(const struct guestmem *mem, struct gpa gpa, uint64_t length_bytes,
			  int *fd_borrow_out, uint64_t *offset_bytes_out);

/* Copy out, or in. False, with nothing copied, if any byte is not guest memory. */
bool guestmem_read(const struct guestmem *mem, struct gpa gpa, void *to, size_t length_bytes);
bool guestmem_write(const struct guestmem *mem, struct gpa gpa, const void *from,
		    size_t length_bytes);

/* To map what a front-end sends. */
extern lockdown_names guestmem_calls;
