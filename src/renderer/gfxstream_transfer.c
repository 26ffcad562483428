/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * Copies. Each goes through room that the library has for the resource, in the
 * layout of the whole resource: a texel is at (y * width + x) * texel_bytes,
 * whatever the guest says of strides and offsets. So it is in the list that a
 * copy is given. Of that it takes what lies between the rows as well, if they
 * are not copied from edge to edge; and all of its room goes to the driver, and
 * comes from there, whichever part is copied.
 *
 * So a part of some rows is written by writing these rows, with what is there
 * beside it; and where a context may have drawn, the room is filled from the
 * driver before, or what was drawn would be written over by what was there when
 * the room was last filled.
 *
 * The library's room is as large as the list that is attached to the resource,
 * and not as the resource. So a list of the right length is attached, of memory
 * that means nothing: it is never copied, as each copy is given a list of its
 * own.
 */
#include "renderer/gfxstream_internal.h"

#include "util/checked.h"
#include "util/iov.h"
#include "util/log.h"

/* Pieces of the list that is attached. */
#define ROOM_PIECE_BYTES (1u << 20)

enum { PIXEL_BYTES = sizeof(uint32_t) };

static uint8_t room_piece[ROOM_PIECE_BYTES];

/* Formats as the library numbers them. Those of more than one plane are left out. */
static const struct {
	uint32_t format;
	uint32_t texel_bytes;
} formats[] = {
	{ VIRTIO_GPU_FORMAT_B8G8R8A8_UNORM, 4 },
	{ VIRTIO_GPU_FORMAT_B8G8R8X8_UNORM, 4 },
	{ VIRTIO_GPU_FORMAT_R8G8B8A8_UNORM, 4 },
	{ VIRTIO_GPU_FORMAT_R8G8B8X8_UNORM, 4 },
	{ 7, 2 },   /* B5G6R5_UNORM */
	{ 8, 4 },   /* R10G10B10A2_UNORM */
	{ 16, 2 },  /* Z16_UNORM */
	{ 48, 2 },  /* R16_UNORM */
	{ 64, 1 },  /* R8_UNORM */
	{ 65, 2 },  /* R8G8_UNORM */
	{ 66, 3 },  /* R8G8B8_UNORM */
	{ 94, 8 },  /* R16G16B16A16_FLOAT */
	{ 126, 8 }, /* Z32_FLOAT_S8X24_UINT */
};

uint32_t gfxstream_texel_bytes(uint32_t format)
{
	for (size_t i = 0; i < G_N_ELEMENTS(formats); i++) {
		if (formats[i].format == format) {
			return formats[i].texel_bytes;
		}
	}
	return 0;
}

static struct gfxstream_resource *find(struct renderer *r, uint32_t id)
{
	return gfxstream_resource_find(gfxstream_from_base(r), id);
}

/* ---- where things are ---- */

static uint64_t row_bytes(const struct gfxstream_resource *resource)
{
	return (uint64_t)resource->desc.width * resource->texel_bytes;
}

/* Of the texel (x, y). All of these are sums of at most 2^30 bytes. */
static uint64_t place(const struct gfxstream_resource *resource, uint32_t x, uint32_t y)
{
	return y * row_bytes(resource) + (uint64_t)x * resource->texel_bytes;
}

/* Of the last texel of rect, which is not empty. */
static uint64_t end_place(const struct gfxstream_resource *resource, const struct rect *rect)
{
	return place(resource, rect->x + rect->width, rect->y + rect->height - 1);
}

/* n pieces, of size_bytes together. */
static void fill_with_room(struct iovec *iov, size_t n, uint64_t size_bytes)
{
	for (size_t i = 0; i < n; i++) {
		iov[i] = (struct iovec){ room_piece, MIN(size_bytes, ROOM_PIECE_BYTES) };
		size_bytes -= iov[i].iov_len;
	}
}

static size_t count_pieces(uint64_t size_bytes)
{
	return (size_t)((size_bytes + ROOM_PIECE_BYTES - 1) / ROOM_PIECE_BYTES);
}

/* Of formats that few ask for nobody has looked how much a driver writes. */
uint64_t gfxstream_room_bytes(const struct gfxstream_resource *resource)
{
	bool is_usual = resource->kind != GFXSTREAM_PICTURE || resource->texel_bytes == PIXEL_BYTES;
	uint64_t texel_bytes = is_usual ? resource->texel_bytes : GFXSTREAM_MAX_TEXEL_BYTES;

	if (resource->texel_bytes == 0) {
		return 0;
	}
	return (uint64_t)resource->desc.width * resource->desc.height * texel_bytes;
}

bool gfxstream_make_room(const struct gfxstream_resource *resource)
{
	uint64_t size = gfxstream_room_bytes(resource);
	size_t n = count_pieces(size);
	g_autofree struct iovec *iov = g_new(struct iovec, n);

	fill_with_room(iov, n, size);
	return gfxstream_library.resource_attach_iov((int)resource->id, iov, (int)n) == 0;
}

/* ---- one copy by the library ---- */

enum gpu_resp gfxstream_copy(const struct gfxstream_resource *resource, uint32_t ctx_id,
			     const struct rect *rect, struct iovec *iov, size_t n_iov, bool to_host)
{
	struct gfxstream_box box = { rect->x, rect->y, 0, rect->width, rect->height, 1 };
	uint32_t stride = (uint32_t)row_bytes(resource);
	uint64_t offset = place(resource, rect->x, rect->y);
	int error;

	if (to_host) {
		error = gfxstream_library.transfer_write_iov(
			resource->id, ctx_id, 0, stride, 0, &box, offset, iov, (unsigned int)n_iov);
	} else {
		error = gfxstream_library.transfer_read_iov(resource->id, ctx_id, 0, stride, 0,
							    &box, offset, iov, (int)n_iov);
	}
	if (error != 0) {
		log_debug("res %u: not copied (%d)", resource->id, error);
		return GPU_RESP_ERR_UNSPEC;
	}
	return GPU_RESP_OK_NODATA;
}

/* Whole rows of a resource, in memory of ours, for a moment. */
struct scratch {
	const struct gfxstream_resource *resource;
	struct rect rows;
	uint8_t *bytes;	   /* owned */
	struct iovec *iov; /* owned: as gfxstream_copy() takes it, with nothing in front of them */
	size_t n_iov;
};

/* False: the guest may have no more memory. */
static bool scratch_init(struct scratch *scratch, const struct gfxstream_resource *resource,
			 const struct rect *rect)
{
	uint64_t front = place(resource, 0, rect->y), size = rect->height * row_bytes(resource);
	size_t n_front = count_pieces(front);

	*scratch = (struct scratch){
		.resource = resource,
		.rows = { 0, rect->y, resource->desc.width, rect->height },
	};
	if (quota_charge(resource->quota, size) != QUOTA_OK) {
		return false;
	}
	scratch->bytes = g_try_malloc(size);
	if (scratch->bytes == NULL) {
		quota_release(resource->quota, size);
		return false;
	}
	scratch->iov = g_new(struct iovec, n_front + 1);
	fill_with_room(scratch->iov, n_front, front);
	scratch->iov[n_front] = (struct iovec){ scratch->bytes, size };
	scratch->n_iov = n_front + 1;
	return true;
}

static void scratch_finish(struct scratch *scratch)
{
	quota_release(scratch->resource->quota,
		      scratch->rows.height * row_bytes(scratch->resource));
	g_free(scratch->bytes);
	g_free(scratch->iov);
}

/* rect of these rows between them and the backing, where they begin at offset_bytes. */
static bool scratch_move(struct scratch *scratch, const struct rect *rect, uint64_t offset_bytes,
			 bool to_host)
{
	const struct gfxstream_resource *resource = scratch->resource;
	size_t length = (size_t)rect->width * resource->texel_bytes;
	struct iov_cursor cursor;

	iov_cursor_init(&cursor, resource->backing->iov, resource->backing->n_iov);
	for (uint32_t y = 0; y < rect->height; y++) {
		uint8_t *row = scratch->bytes + place(resource, rect->x, y);
		uint64_t offset = offset_bytes + y * row_bytes(resource);
		bool is_moved = to_host ? iov_cursor_read(&cursor, offset, row, length)
					: iov_cursor_write(&cursor, offset, row, length);

		if (!is_moved) {
			return false;
		}
	}
	return true;
}

static enum gpu_resp scratch_copy(struct scratch *scratch, uint32_t ctx_id, bool to_host)
{
	return gfxstream_copy(scratch->resource, ctx_id, &scratch->rows, scratch->iov,
			      scratch->n_iov, to_host);
}

/* ---- copies in either direction ---- */

static bool is_of_rows(const struct gfxstream_resource *resource, const struct rect *rect)
{
	return rect->width == resource->desc.width;
}

static bool is_all(const struct gfxstream_resource *resource, const struct rect *rect)
{
	return is_of_rows(resource, rect) && rect->height == resource->desc.height;
}

/* Has the library's room to be filled before this part of it is written? */
static bool is_stale(const struct gfxstream_resource *resource, const struct rect *rect)
{
	return resource->is_shared && !is_all(resource, rect);
}

static enum gpu_resp fill_room(const struct gfxstream_resource *resource, uint32_t ctx_id)
{
	const struct rect one = { 0, 0, 1, 1 };
	uint8_t texel[GFXSTREAM_MAX_TEXEL_BYTES];
	struct iovec iov = { texel, sizeof(texel) };

	return gfxstream_copy(resource, ctx_id, &one, &iov, 1, false);
}

static enum gpu_resp write_by_scratch(struct scratch *scratch, uint32_t ctx_id,
				      const struct rect *rect, uint64_t offset_bytes)
{
	enum gpu_resp resp = GPU_RESP_OK_NODATA;

	if (!is_of_rows(scratch->resource, rect) || is_stale(scratch->resource, rect)) {
		resp = scratch_copy(scratch, ctx_id, false);
	}
	if (resp != GPU_RESP_OK_NODATA) {
		return resp;
	}
	return scratch_move(scratch, rect, offset_bytes, true) ? scratch_copy(scratch, ctx_id, true)
							       : GPU_RESP_ERR_INVALID_PARAMETER;
}

static enum gpu_resp read_by_scratch(struct scratch *scratch, uint32_t ctx_id,
				     const struct rect *rect, uint64_t offset_bytes)
{
	enum gpu_resp resp = scratch_copy(scratch, ctx_id, false);

	if (resp != GPU_RESP_OK_NODATA) {
		return resp;
	}
	return scratch_move(scratch, rect, offset_bytes, false) ? GPU_RESP_OK_NODATA
								: GPU_RESP_ERR_INVALID_PARAMETER;
}

static enum gpu_resp copy_by_scratch(const struct gfxstream_resource *resource, uint32_t ctx_id,
				     const struct rect *rect, uint64_t offset_bytes, bool to_host)
{
	struct scratch scratch;

	if (!scratch_init(&scratch, resource, rect)) {
		return GPU_RESP_ERR_OUT_OF_MEMORY;
	}
	enum gpu_resp resp = to_host ? write_by_scratch(&scratch, ctx_id, rect, offset_bytes)
				     : read_by_scratch(&scratch, ctx_id, rect, offset_bytes);
	scratch_finish(&scratch);
	return resp;
}

/* Where the library looks for it. */
static enum gpu_resp copy_by_pages(const struct gfxstream_resource *resource, uint32_t ctx_id,
				   const struct rect *rect, bool to_host)
{
	return gfxstream_copy(resource, ctx_id, rect, resource->backing->iov,
			      resource->backing->n_iov, to_host);
}

static enum gpu_resp copy_rect(const struct gfxstream_resource *resource, uint32_t ctx_id,
			       const struct rect *rect, uint64_t offset_bytes, bool to_host)
{
	bool is_in_place = offset_bytes == place(resource, rect->x, rect->y);
	enum gpu_resp resp = GPU_RESP_OK_NODATA;

	if (!is_in_place || !is_of_rows(resource, rect)) {
		return copy_by_scratch(resource, ctx_id, rect, offset_bytes, to_host);
	}
	if (to_host && is_stale(resource, rect)) {
		resp = fill_room(resource, ctx_id);
	}
	return resp == GPU_RESP_OK_NODATA ? copy_by_pages(resource, ctx_id, rect, to_host) : resp;
}

/* ---- pipes ---- */

/* What a guest could change while it is looked at is copied before. */
static enum gpu_resp write_words(const struct gfxstream_resource *resource, uint32_t ctx_id,
				 const struct rect *rect)
{
	struct scratch scratch;
	enum gpu_resp resp = GPU_RESP_ERR_INVALID_PARAMETER;

	if (!scratch_init(&scratch, resource, rect)) {
		return GPU_RESP_ERR_OUT_OF_MEMORY;
	}
	if (scratch_move(&scratch, rect, rect->x, true) &&
	    gfxstream_pipe_take(resource->pipe, scratch.bytes + rect->x, rect->width)) {
		resp = gfxstream_copy(resource, ctx_id, rect, scratch.iov, scratch.n_iov, true);
	}
	scratch_finish(&scratch);
	return resp;
}

static enum gpu_resp copy_pipe(const struct gfxstream_resource *resource, uint32_t ctx_id,
			       const struct rect *rect, bool to_host)
{
	if (resource->pipe == NULL ||
	    (!to_host && !gfxstream_pipe_give(resource->pipe, rect->width))) {
		return GPU_RESP_ERR_INVALID_PARAMETER;
	}
	if (to_host && !gfxstream_pipe_is_stream(resource->pipe)) {
		return write_words(resource, ctx_id, rect);
	}
	return copy_by_pages(resource, ctx_id, rect, to_host);
}

/* ---- transfers ---- */

enum gpu_resp gfxstream_transfer_2d(struct renderer *r, uint32_t id, const struct rect *rect,
				    uint64_t offset_bytes)
{
	const struct gfxstream_resource *resource = find(r, id);

	if (resource == NULL || resource->backing == NULL) {
		return GPU_RESP_ERR_INVALID_RESOURCE_ID;
	}
	return copy_rect(resource, 0, rect, offset_bytes, true);
}

static bool is_box_inside(const struct gfxstream_resource *resource,
			  const struct transfer_3d *transfer)
{
	const struct virtio_gpu_box *box = &transfer->box;

	return transfer->level == 0 && box->z == 0 && box->d <= 1 &&
	       (uint64_t)box->x + box->w <= resource->desc.width &&
	       (uint64_t)box->y + box->h <= resource->desc.height;
}

/* Where a guest says that its rows are, they have to be; looked for they are elsewhere. */
static bool is_backed(const struct gfxstream_resource *resource, const struct transfer_3d *transfer)
{
	uint64_t row = (uint64_t)transfer->box.w * resource->texel_bytes, length;

	return checked_mul_u64(transfer->stride, transfer->box.h - 1, &length) &&
	       checked_add_u64(length, row, &length) &&
	       checked_range(transfer->offset, length, resource->backing->size_bytes);
}

static bool is_copied(const struct gfxstream_resource *resource)
{
	return resource->texel_bytes != 0 && resource->kind != GFXSTREAM_BLOB &&
	       resource->kind != GFXSTREAM_GUEST_BLOB;
}

enum gpu_resp gfxstream_transfer_3d(struct renderer *r, uint32_t id,
				    const struct transfer_3d *transfer)
{
	const struct gfxstream_resource *resource = find(r, id);
	const struct rect rect = { transfer->box.x, transfer->box.y, transfer->box.w,
				   transfer->box.h };

	if (resource == NULL) {
		return GPU_RESP_ERR_INVALID_RESOURCE_ID;
	}
	if (!is_copied(resource) || resource->backing == NULL ||
	    !is_box_inside(resource, transfer)) {
		return GPU_RESP_ERR_INVALID_PARAMETER;
	}
	if (rect_is_empty(&rect) || transfer->box.d == 0) {
		return GPU_RESP_OK_NODATA;
	}
	/* A guest of the library's has its pixels where the library looks for them. */
	if (end_place(resource, &rect) > resource->backing->size_bytes ||
	    !is_backed(resource, transfer)) {
		return GPU_RESP_ERR_INVALID_PARAMETER;
	}
	if (resource->kind == GFXSTREAM_PIPE) {
		return copy_pipe(resource, transfer->ctx_id, &rect, transfer->to_host);
	}
	return copy_rect(resource, transfer->ctx_id, &rect, place(resource, rect.x, rect.y),
			 transfer->to_host);
}
