/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * Records: how they are made, and what becomes of them.
 *
 * Who holds them may have been taken over, so they are taken for a guest's
 * commands: the same functions check them, and nothing in them is an address
 * of ours. What is wrong in itself is refused. What only fails here and now,
 * for want of memory, is kept as lost, so that the guest can end it.
 */
#include "gpu/record.h"

#include <assert.h>
#include <string.h>

#include "gpu/device.h"
#include "util/log.h"

/* What is left of a resource. */
enum resource_kind {
	RESOURCE_LOST, /* its id is all there is, the rest is 0 */
	RESOURCE_2D,
	RESOURCE_GUEST_BLOB,
};

struct resource_record {
	uint32_t kind; /* enum resource_kind */
	uint32_t format, width, height; /* of a 2D one */
	uint32_t has_uuid;
	uint32_t n_entries; /* struct entry_record, behind this one; 0: no backing */
	uint8_t uuid[16];
	uint64_t blob_bytes; /* of a blob */
	uint32_t blob_flags;
	uint32_t zero;
};

struct entry_record {
	uint64_t gpa;
	uint32_t length_bytes;
	uint32_t zero;
};

struct context_record {
	uint32_t capset_id;
};

struct scanout_record {
	uint32_t resource_id;
	uint32_t is_flushed;
	struct rect view;
	struct blob_layout layout;
};

struct cursor_record {
	uint32_t is_visible;
	uint32_t x, y, hot_x, hot_y;
	uint32_t pixels[DISPLAY_CURSOR_SIDE * DISPLAY_CURSOR_SIDE];
};

static_assert(sizeof(struct entry_record) == RECORD_ENTRY_BYTES, "as others count it");
static_assert(sizeof(struct resource_record) + RESOURCE_MAX_ENTRIES * RECORD_ENTRY_BYTES <=
		      RECORD_MAX_BYTES,
	      "the longest one has room");

/* ---- making them ---- */

void device_set_recorder(struct device *dev, const struct recorder *recorder, void *data)
{
	dev->recorder = recorder;
	dev->recorder_data = data;
	/* Once and for all, so that no command can fail for it; most of it is never touched. */
	if (recorder != NULL && dev->record == NULL) {
		dev->record = g_malloc(RECORD_MAX_BYTES);
	}
}

static void put(struct device *dev, enum record_kind kind, uint32_t id, size_t n_bytes)
{
	dev->recorder->put(dev->recorder_data, kind, id, dev->record, n_bytes);
}

static void fill_entries(struct entry_record *records, const struct resource *resource)
{
	for (uint32_t i = 0; i < resource->n_entries; i++) {
		records[i] = (struct entry_record){
			.gpa = resource->entries[i].gpa.v,
			.length_bytes = resource->entries[i].length_bytes,
		};
	}
}

static enum resource_kind kind_of(const struct resource *resource)
{
	if (resource->is_lost) {
		return RESOURCE_LOST;
	}
	if (resource->is_blob && resource->blob.mem == VIRTIO_GPU_BLOB_MEM_GUEST) {
		return RESOURCE_GUEST_BLOB;
	}
	return resource->desc.is_2d ? RESOURCE_2D : RESOURCE_LOST;
}

void record_resource(struct device *dev, const struct resource *resource)
{
	if (dev->recorder == NULL) {
		return;
	}
	struct resource_record *record = dev->record;
	*record = (struct resource_record){ 0 };
	record->kind = kind_of(resource);
	if (record->kind != RESOURCE_LOST) {
		record->format = resource->desc.format;
		record->width = resource->desc.width;
		record->height = resource->desc.height;
		record->blob_bytes = resource->blob.size_bytes;
		record->blob_flags = resource->blob.flags;
		record->has_uuid = resource->has_uuid;
		memcpy(record->uuid, resource->uuid, sizeof(record->uuid));
		record->n_entries = resource->n_entries;
		fill_entries((struct entry_record *)(record + 1), resource);
	}
	put(dev, RECORD_RESOURCE, resource->id,
	    sizeof(*record) + record->n_entries * sizeof(struct entry_record));
}

void record_context(struct device *dev, const struct context *context)
{
	if (dev->recorder == NULL) {
		return;
	}
	struct context_record *record = dev->record;
	*record = (struct context_record){ context->capset_id };
	put(dev, RECORD_CONTEXT, context->id, sizeof(*record));
}

void record_scanout(struct device *dev, uint32_t scanout_id)
{
	const struct scanout *scanout = &dev->scanouts[scanout_id];

	if (dev->recorder == NULL) {
		return;
	}
	struct scanout_record *record = dev->record;
	*record = (struct scanout_record){
		.resource_id = scanout->resource_id,
		.is_flushed = scanout->is_flushed,
		.view = scanout->view,
		.layout = scanout->layout,
	};
	put(dev, RECORD_SCANOUT, scanout_id, sizeof(*record));
}

void record_cursor(struct device *dev, uint32_t scanout_id)
{
	const struct cursor *cursor = &dev->cursors[scanout_id];

	if (dev->recorder == NULL || cursor->pixels == NULL) {
		return;
	}
	struct cursor_record *record = dev->record;
	record->is_visible = cursor->is_visible;
	record->x = cursor->x;
	record->y = cursor->y;
	record->hot_x = cursor->hot_x;
	record->hot_y = cursor->hot_y;
	memcpy(record->pixels, cursor->pixels, sizeof(record->pixels));
	put(dev, RECORD_CURSOR, scanout_id, sizeof(*record));
}

void record_drop(struct device *dev, enum record_kind kind, uint32_t id)
{
	if (dev->recorder != NULL) {
		dev->recorder->drop(dev->recorder_data, kind, id);
	}
}

void record_drop_all(struct device *dev)
{
	if (dev->recorder != NULL) {
		dev->recorder->drop_all(dev->recorder_data);
	}
}

/* ---- taking them up ---- */

/* At most RESOURCE_MAX_ENTRIES. NULL without memory. */
static struct resource_entry *read_entries(const char *bytes, uint32_t n_entries)
{
	struct resource_entry *entries = g_try_new(struct resource_entry, n_entries);

	for (uint32_t i = 0; entries != NULL && i < n_entries; i++) {
		struct entry_record record;

		memcpy(&record, bytes + i * sizeof(record), sizeof(record));
		entries[i] = (struct resource_entry){ { record.gpa }, record.length_bytes };
	}
	return entries;
}

static bool restore_backing(struct device *dev, struct resource *resource, const char *bytes,
			    uint32_t n_entries)
{
	struct resource_entry *entries = read_entries(bytes, n_entries);

	if (entries == NULL ||
	    !resource_adopt(resource, dev->renderer, dev->quota, dev->mem, entries, n_entries)) {
		g_free(entries);
		return false;
	}
	resource_refill(resource, dev->renderer);
	return true;
}

static bool restore_lost(struct device *dev, uint32_t id)
{
	struct resource *resource = device_add_lost_resource(dev, id);

	if (resource != NULL) {
		record_resource(dev, resource);
	}
	return resource != NULL;
}

static void restore_uuid(struct resource *resource, const struct resource_record *record)
{
	resource->has_uuid = record->has_uuid != 0;
	memcpy(resource->uuid, record->uuid, sizeof(resource->uuid));
}

static bool restore_2d(struct device *dev, uint32_t id, const struct resource_record *record,
		       const char *entries)
{
	struct resource *resource;
	enum gpu_resp resp =
		device_create_2d(dev, id, record->format, record->width, record->height, &resource);

	if (resp == GPU_RESP_ERR_INVALID_RESOURCE_ID || resp == GPU_RESP_ERR_INVALID_PARAMETER) {
		return false;
	}
	if (resp != GPU_RESP_OK_NODATA) {
		return restore_lost(dev, id);
	}
	if (record->n_entries > 0 && !restore_backing(dev, resource, entries, record->n_entries)) {
		device_remove_resource(dev, resource);
		return restore_lost(dev, id);
	}
	restore_uuid(resource, record);
	return true;
}

/* Its bytes are where they were; where that is memory, nobody knows better than the table. */
static bool restore_blob(struct device *dev, uint32_t id, const struct resource_record *record,
			 const char *bytes)
{
	const struct blob_desc desc = {
		.mem = VIRTIO_GPU_BLOB_MEM_GUEST,
		.flags = record->blob_flags,
		.size_bytes = record->blob_bytes,
	};

	if (id == 0 || device_find_resource_or_lost(dev, id) != NULL ||
	    device_check_blob(dev, &desc, record->n_entries) != GPU_RESP_OK_NODATA) {
		return false;
	}
	struct resource_entry *entries = read_entries(bytes, record->n_entries);
	if (entries == NULL) {
		return restore_lost(dev, id);
	}
	if (resource_entries_bytes(entries, record->n_entries) < desc.size_bytes) {
		g_free(entries);
		return false;
	}
	struct resource *resource =
		device_adopt_blob(dev, id, &desc, entries, record->n_entries);
	if (resource == NULL) {
		g_free(entries);
		return restore_lost(dev, id);
	}
	restore_uuid(resource, record);
	return true;
}

static bool restore_resource(struct device *dev, uint32_t id, const void *bytes, size_t n_bytes)
{
	struct resource_record record;

	if (n_bytes < sizeof(record)) {
		return false;
	}
	memcpy(&record, bytes, sizeof(record));
	if (record.n_entries > RESOURCE_MAX_ENTRIES ||
	    n_bytes != sizeof(record) + record.n_entries * sizeof(struct entry_record)) {
		return false;
	}
	const char *entries = (const char *)bytes + sizeof(record);
	if (record.kind == RESOURCE_2D) {
		return restore_2d(dev, id, &record, entries);
	}
	if (record.kind == RESOURCE_GUEST_BLOB) {
		return restore_blob(dev, id, &record, entries);
	}
	return device_add_lost_resource(dev, id) != NULL;
}

static bool restore_context(struct device *dev, uint32_t id, const void *bytes, size_t n_bytes)
{
	struct context_record record;

	if (n_bytes != sizeof(record)) {
		return false;
	}
	memcpy(&record, bytes, sizeof(record));
	return device_add_lost_context(dev, id, record.capset_id);
}

static bool restore_scanout(struct device *dev, uint32_t id, const void *bytes, size_t n_bytes)
{
	struct scanout_record record;

	if (n_bytes != sizeof(record)) {
		return false;
	}
	memcpy(&record, bytes, sizeof(record));
	return scanout_restore(dev, id,
			       &(struct scanout){
				       .resource_id = record.resource_id,
				       .view = record.view,
				       .layout = record.layout,
				       .is_flushed = record.is_flushed != 0,
			       });
}

static bool restore_cursor(struct device *dev, uint32_t id, const void *bytes, size_t n_bytes)
{
	struct cursor_record record;

	if (n_bytes != sizeof(record)) {
		return false;
	}
	memcpy(&record, bytes, sizeof(record));
	return cursor_restore(dev, id,
			      &(struct cursor){
				      .is_visible = record.is_visible != 0,
				      .x = record.x,
				      .y = record.y,
				      .hot_x = record.hot_x,
				      .hot_y = record.hot_y,
				      .pixels = record.pixels,
			      });
}

static bool restore(struct device *dev, enum record_kind kind, uint32_t id, const void *bytes,
		    size_t n_bytes)
{
	switch (kind) {
	case RECORD_RESOURCE:
		return restore_resource(dev, id, bytes, n_bytes);
	case RECORD_CONTEXT:
		return restore_context(dev, id, bytes, n_bytes);
	case RECORD_SCANOUT:
		return restore_scanout(dev, id, bytes, n_bytes);
	case RECORD_CURSOR:
		return restore_cursor(dev, id, bytes, n_bytes);
	}
	return false;
}

static bool exists(struct device *dev, enum record_kind kind, uint32_t id)
{
	switch (kind) {
	case RECORD_RESOURCE:
		return device_find_resource_or_lost(dev, id) != NULL;
	case RECORD_CONTEXT:
		return device_find_context_or_lost(dev, id) != NULL;
	case RECORD_SCANOUT:
		return id < DISPLAY_MAX_SCANOUTS && dev->scanouts[id].resource_id != 0;
	case RECORD_CURSOR:
		return id < DISPLAY_MAX_SCANOUTS && dev->cursors[id].pixels != NULL;
	}
	return false;
}

bool device_restore(struct device *dev, enum record_kind kind, uint32_t id, const void *bytes,
		    size_t n_bytes)
{
	dev->holds_breath = true;
	bool is_restored = restore(dev, kind, id, bytes, n_bytes);
	dev->holds_breath = false;
	if (!is_restored) {
		log_warn("a record of kind %u, id %u, is refused", (unsigned int)kind, id);
	}
	/* One that came twice is refused, too. */
	if (!is_restored && !exists(dev, kind, id)) {
		record_drop(dev, kind, id);
	}
	return is_restored;
}
