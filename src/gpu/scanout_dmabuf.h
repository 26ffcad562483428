/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* What a scanout shows, as a buffer that the display reads by itself. */
#pragma once

#include "gpu/device.h"

/* That are kept at a time: for each scanout what a guest goes through in turn. */
#define SCANOUT_MAX_DMABUFS 64

enum scanout_dmabuf_kind {
	SCANOUT_DMABUF_PAGES,	/* the guest's */
	SCANOUT_DMABUF_TEXTURE, /* the renderer's, who says how it lies and when it is complete */
	SCANOUT_DMABUF_MEMORY,	/* the renderer's, laid out as the guest says */
};

/* Owned by device.dmabufs. */
struct scanout_dmabuf {
	uint32_t resource_id;
	struct blob_layout layout;
	struct rect view;
	enum scanout_dmabuf_kind kind;
	struct dmabuf *dmabuf; /* owned reference; NULL: it can't be had */
};

/*
 * The buffer that is all of the scanout's view and no more, made when it is
 * first asked for, with what was drawn there; borrowed until the next call.
 * NULL: it is to be shown by frames, because nothing else can be or the
 * display wants it so.
 */
struct dmabuf *scanout_find_dmabuf(struct device *dev, uint32_t scanout_id,
				   const struct resource *resource);

/*
 * TRANSFER_TO_HOST_2D: is what it would copy seen without? Then
 * resource->spared has it, for when it is not any more (resource_settle()).
 */
bool scanout_spares_transfer(struct device *dev, struct resource *resource, const struct rect *rect,
			     uint64_t offset_bytes);

/* The resource's pages are others from now on, or none; 0: of all resources. */
void scanout_forget_dmabufs(struct device *dev, uint32_t resource_id);
