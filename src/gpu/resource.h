/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * A resource of the guest: what it asked for and which of its pages back it.
 *
 * The pages are kept as guest addresses. Pointers to them exist only while the
 * memory table that they came from is the current one: resource_remap() takes
 * them from the renderer and gives it new ones when the table changes.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "gpu/blob_memory.h"
#include "gpu/mapper.h"
#include "renderer/renderer.h"
#include "virtio/guestmem.h"

/* As QEMU's device; Linux sends one entry per run of pages. */
#define RESOURCE_MAX_ENTRIES 16384
/* How often entries may cross from one memory region into the next. */
#define RESOURCE_MAX_CROSSINGS 16
/*
 * What one takes beside its pixels and its list: struct resource, the
 * renderer's, a frame's, a place in their tables, its record in another process.
 */
#define RESOURCE_OVERHEAD_BYTES 1024
/* Beyond any GL driver's textures and any display. */
#define RESOURCE_MAX_SIDE 16384

struct resource_entry {
	struct gpa gpa;
	uint32_t length_bytes;
};

/* Owned by device.resources. */
struct resource {
	uint32_t id;
	bool is_lost; /* only the id is left, the renderer knows it not: see record.h */
	bool is_made; /* the renderer has it; of a GUEST blob it may know nothing */
	bool is_blob; /* of desc all is 0 then */
	struct resource_desc desc;
	struct blob_desc blob;
	uint64_t charged_bytes; /* of the device's quota, for all but the pixels */

	bool has_backing; /* the guest attached one */
	struct resource_entry *entries; /* owned */
	uint32_t n_entries;
	/* What the renderer holds; mem NULL: nothing, the pages are not mapped now. */
	struct guestmem *mem; /* owned reference, keeps backing's pages mapped */
	struct backing backing;
	/* Of a 2D resource: what its pages hold and the renderer was spared (scanout_dmabuf.c). */
	struct rect spared;
	bool is_rearranged; /* a transfer has put pixels elsewhere than they lie in its pages */
	struct blob_memory *memory; /* owned; NULL: nobody has looked at the blob's bytes */

	bool is_mapped; /* into the host-visible window, or that was asked for */
	uint64_t map_token; /* of that question */
	struct mapper_range mapping;

	bool has_uuid;
	uint8_t uuid[16];
};

/* All that they name, whether it is memory or not. */
uint64_t resource_entries_bytes(const struct resource_entry *entries, uint32_t n_entries);

/* Charges RESOURCE_OVERHEAD_BYTES. NULL without memory. */
struct resource *resource_create(struct quota *quota, uint32_t id,
				 const struct resource_desc *desc);
/* The renderer's part was destroyed and the backing detached before. */
void resource_destroy(struct resource *resource, struct quota *quota);

/*
 * Take entries (consumed on success) as the backing and hand it to the
 * renderer. ERR_UNSPEC if a page is not guest memory.
 */
enum gpu_resp resource_attach(struct resource *resource, struct renderer *renderer,
			      struct quota *quota, struct guestmem *mem,
			      struct resource_entry *entries, uint32_t n_entries);
/*
 * Make the renderer's part of a blob, if it is to have one: of guest memory,
 * then entries are consumed on success and may not be NULL, or HOST3D, without
 * any. ERR_INVALID_PARAMETER: the pages are fewer than the blob's bytes.
 */
enum gpu_resp resource_make_blob(struct resource *resource, struct renderer *renderer,
				 struct quota *quota, struct guestmem *mem,
				 struct resource_entry *entries, uint32_t n_entries);
/*
 * The bytes of a blob as they are now, whoever has them; borrowed until the
 * backing or the table changes. NULL: they can't be had.
 */
struct blob_memory *resource_blob_memory(struct resource *resource, struct renderer *renderer,
					 struct quota *quota);
/*
 * The same for a backing that was attached in another process: its pages need
 * not be mapped at present. False without memory.
 */
bool resource_adopt(struct resource *resource, struct renderer *renderer, struct quota *quota,
		    struct guestmem *mem, struct resource_entry *entries, uint32_t n_entries);
/* Of a 2D resource: have the renderer take all that the backing, as far as it goes, holds of it. */
void resource_refill(const struct resource *resource, struct renderer *renderer);
/* Have the renderer take what it was spared. As renderer_impl.transfer_2d(). */
enum gpu_resp resource_settle(struct resource *resource, struct renderer *renderer);
void resource_detach(struct resource *resource, struct renderer *renderer, struct quota *quota);

/* The table changed: have the renderer use the pages where they are now, or not at all. */
void resource_remap(struct resource *resource, struct renderer *renderer, struct guestmem *mem);
