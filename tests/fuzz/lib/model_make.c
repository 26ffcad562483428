/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include <string.h>

#include "model_internal.h"
#include "virgl_grammar.h"

#define MAX_ENTRIES 8u
#define MAX_STREAM_WORDS 1500u
#define PIXEL_BYTES 4u

/* ---- choices ---- */

/* One that exists, if there is any; now and then 0, or another. */
static uint32_t pick_resource(const struct model *model, struct fuzz_input *in)
{
	uint8_t byte = fuzz_input_u8(in);

	if (byte >= 0xf0) {
		return byte == 0xff ? fuzz_input_number(in) : byte & 7u;
	}
	return model->ids->len > 0 ? g_array_index(model->ids, uint32_t, byte % model->ids->len)
				   : 0;
}

static uint32_t pick_context(const struct model *model, struct fuzz_input *in)
{
	uint8_t byte = fuzz_input_u8(in);

	if (byte >= 0xf0 || model->contexts->len == 0) {
		return byte == 0xff ? fuzz_input_number(in) : byte & 3u;
	}
	return g_array_index(model->contexts, uint32_t, byte % model->contexts->len);
}

static uint32_t pick_new_id(struct fuzz_input *in)
{
	uint8_t byte = fuzz_input_u8(in);

	return byte == 0xff ? fuzz_input_number(in) : byte % 16;
}

static uint32_t pick_scanout(struct fuzz_input *in)
{
	uint8_t byte = fuzz_input_u8(in);

	return byte == 0xff ? fuzz_input_number(in) : byte % (VIRTIO_GPU_MAX_SCANOUTS + 1);
}

static uint32_t pick_side(struct fuzz_input *in)
{
	switch (fuzz_input_below(in, 4)) {
	case 0:
		return 1 + fuzz_input_below(in, 64);
	case 1:
		return 16 + fuzz_input_u8(in);
	case 2:
		return 1 + fuzz_input_u16(in) % 1024;
	default:
		return fuzz_input_number(in);
	}
}

/* All, a part, one too many, or anything. */
static struct virtio_gpu_rect pick_rect(struct fuzz_input *in,
					const struct model_resource *resource)
{
	uint32_t width = resource != NULL ? resource->width : 64;
	uint32_t height = resource != NULL ? resource->height : 64;
	struct virtio_gpu_rect rect = { .width = width, .height = height };

	switch (fuzz_input_below(in, 8)) {
	case 1:
	case 2:
	case 3:
	case 4:
		rect.x = fuzz_input_u16(in) % (width | 1);
		rect.y = fuzz_input_u16(in) % (height | 1);
		rect.width = fuzz_input_u16(in) % ((width - rect.x) | 1);
		rect.height = fuzz_input_u16(in) % ((height - rect.y) | 1);
		break;
	case 5:
		rect.width++;
		break;
	case 6:
		rect.y = fuzz_input_number(in);
		break;
	case 7:
		rect.x = fuzz_input_number(in);
		rect.y = fuzz_input_number(in);
		rect.width = fuzz_input_number(in);
		rect.height = fuzz_input_number(in);
		break;
	default:
		break;
	}
	return rect;
}

/* ---- 2D ---- */

void make_header(const struct model *model G_GNUC_UNUSED, struct fuzz_input *in G_GNUC_UNUSED,
		 struct model_call *call G_GNUC_UNUSED)
{
}

void make_create_2d(const struct model *model G_GNUC_UNUSED, struct fuzz_input *in,
		    struct model_call *call)
{
	static const uint32_t formats[] = { 1, 2, 3, 4, 67, 68, 121, 134 };
	struct virtio_gpu_resource_create_2d *request = &call->request.resource_create_2d;
	uint8_t byte = fuzz_input_u8(in);

	request->resource_id = pick_new_id(in);
	request->format = byte == 0xff ? fuzz_input_number(in) : formats[byte % 8];
	request->width = pick_side(in);
	request->height = pick_side(in);
}

void make_resource(const struct model *model, struct fuzz_input *in, struct model_call *call)
{
	/* The id stands behind the header, in every command that has but one. */
	call->request.resource_unref.resource_id = pick_resource(model, in);
}

void make_set_scanout(const struct model *model, struct fuzz_input *in, struct model_call *call)
{
	struct virtio_gpu_set_scanout *request = &call->request.set_scanout;

	request->resource_id = pick_resource(model, in);
	request->scanout_id = pick_scanout(in);
	request->r = pick_rect(in, model_find_resource(model, request->resource_id));
}

/* Of a blob the picture that there is of it. */
static struct model_resource picture_of(const struct model *model,
					const struct model_resource *resource)
{
	struct model_resource picture = { .width = 64, .height = 64 };

	for (size_t i = 0; i < G_N_ELEMENTS(model->scanouts); i++) {
		if (model->scanouts[i].resource_id == resource->id) {
			picture.width = model->scanouts[i].width;
			picture.height = model->scanouts[i].height;
		}
	}
	return picture;
}

void make_flush(const struct model *model, struct fuzz_input *in, struct model_call *call)
{
	struct virtio_gpu_resource_flush *request = &call->request.resource_flush;

	request->resource_id = pick_resource(model, in);
	const struct model_resource *resource = model_find_resource(model, request->resource_id);
	if (resource != NULL && resource->is_blob) {
		const struct model_resource picture = picture_of(model, resource);

		request->r = pick_rect(in, &picture);
	} else {
		request->r = pick_rect(in, resource);
	}
}

void make_transfer_2d(const struct model *model, struct fuzz_input *in, struct model_call *call)
{
	struct virtio_gpu_transfer_to_host_2d *request = &call->request.transfer_to_host_2d;

	request->resource_id = pick_resource(model, in);
	const struct model_resource *resource = model_find_resource(model, request->resource_id);
	request->r = pick_rect(in, resource);
	if (fuzz_input_one_in(in, 8)) {
		request->offset = fuzz_input_number64(in);
	} else if (resource != NULL) {
		request->offset =
			((uint64_t)request->r.y * resource->width + request->r.x) * PIXEL_BYTES;
	}
}

static struct virtio_gpu_mem_entry pick_entry(const struct model *model, struct fuzz_input *in)
{
	struct virtio_gpu_mem_entry entry = { 0 };
	uint8_t byte = fuzz_input_u8(in);
	int memfd;

	if (byte == 0xff) {
		entry.addr = fuzz_input_number64(in);
		entry.length = fuzz_input_number(in);
		return entry;
	}
	const struct guestmem_region_desc desc =
		fuzz_guest_region(model->guest, byte % FUZZ_N_REGIONS, &memfd);
	entry.addr = desc.gpa.v;
	entry.length = (uint32_t)desc.size_bytes;
	if (byte & 0x80) {
		entry.addr += fuzz_input_u16(in);
		entry.length = fuzz_input_u16(in);
	} else if (byte & 0x40) {
		/* Over its end: good where another begins there. */
		entry.addr += entry.length - 4096;
		entry.length = 8192;
	}
	return entry;
}

/* Behind what there is of call. Returns the sum of their lengths. */
static uint64_t add_entries(const struct model *model, struct fuzz_input *in,
			    struct model_call *call, unsigned int n)
{
	uint64_t sum = 0;

	for (unsigned int i = 0; i < n; i++) {
		const struct virtio_gpu_mem_entry entry = pick_entry(model, in);

		memcpy(call->bytes + call->size_bytes, &entry, sizeof(entry));
		call->size_bytes += (uint32_t)sizeof(entry);
		sum += entry.length;
	}
	return sum;
}

void make_attach_backing(const struct model *model, struct fuzz_input *in, struct model_call *call)
{
	struct virtio_gpu_resource_attach_backing *request = &call->request.resource_attach_backing;
	unsigned int n = 1 + fuzz_input_below(in, MAX_ENTRIES);

	request->resource_id = pick_resource(model, in);
	request->nr_entries = n;
	add_entries(model, in, call, n);
	if (fuzz_input_one_in(in, 16)) {
		request->nr_entries = fuzz_input_number(in);
	}
}

/* GET_EDID and GET_CAPSET_INFO: a small number. */
void make_word(const struct model *model G_GNUC_UNUSED, struct fuzz_input *in,
	       struct model_call *call)
{
	call->request.get_edid.scanout = pick_scanout(in);
}

void make_cursor(const struct model *model, struct fuzz_input *in, struct model_call *call)
{
	struct virtio_gpu_update_cursor *request = &call->request.update_cursor;

	request->resource_id = pick_resource(model, in);
	request->pos.scanout_id = pick_scanout(in);
	request->pos.x = fuzz_input_number(in);
	request->pos.y = fuzz_input_number(in);
	request->hot_x = fuzz_input_u8(in) % 72;
	request->hot_y = fuzz_input_u8(in) % 72;
}

/* ---- blobs ---- */

static uint32_t pick_blob_mem(struct fuzz_input *in)
{
	switch (fuzz_input_below(in, 8)) {
	case 5:
		return VIRTIO_GPU_BLOB_MEM_HOST3D;
	case 6:
		return VIRTIO_GPU_BLOB_MEM_HOST3D_GUEST;
	case 7:
		return fuzz_input_number(in);
	default:
		return VIRTIO_GPU_BLOB_MEM_GUEST;
	}
}

void make_create_blob(const struct model *model, struct fuzz_input *in, struct model_call *call)
{
	struct virtio_gpu_resource_create_blob *request = &call->request.resource_create_blob;
	uint64_t n_bytes = 4096u * (1 + fuzz_input_below(in, 16));

	request->resource_id = pick_new_id(in);
	request->hdr.ctx_id = pick_context(model, in);
	request->blob_mem = pick_blob_mem(in);
	request->blob_id = fuzz_input_u8(in);
	/* A bit of this byte for each thing that is not as usual. */
	uint8_t byte = fuzz_input_u8(in);
	request->blob_flags = byte & 1 ? fuzz_input_number(in) : VIRTIO_GPU_BLOB_FLAG_USE_MAPPABLE;
	if (model_has_pages(request->blob_mem) != !!(byte & 2)) {
		request->nr_entries = 1 + fuzz_input_below(in, MAX_ENTRIES);
		n_bytes = add_entries(model, in, call, request->nr_entries);
	}
	request->size = byte & 4 ? fuzz_input_number64(in) : n_bytes;
	if (byte & 8) {
		request->size -= fuzz_input_u16(in);
	}
	if (byte & 16) {
		request->nr_entries = fuzz_input_number(in);
	}
}

void make_set_scanout_blob(const struct model *model, struct fuzz_input *in,
			   struct model_call *call)
{
	static const uint32_t formats[] = { 1, 2, 3, 4, 67, 68, 121, 134 };
	struct virtio_gpu_set_scanout_blob *request = &call->request.set_scanout_blob;

	request->resource_id = pick_resource(model, in);
	const struct model_resource *resource = model_find_resource(model, request->resource_id);
	request->scanout_id = pick_scanout(in);
	/* A bit of this byte for each thing that is not as usual. */
	uint8_t byte = fuzz_input_u8(in);
	request->format = byte & 1 ? fuzz_input_number(in) : formats[byte >> 5];
	request->width = byte & 2 ? pick_side(in) : 16u + fuzz_input_u8(in) % 32;
	request->strides[0] = request->width * PIXEL_BYTES;
	if (byte & 4) {
		request->strides[0] = byte & 1 ? fuzz_input_number(in) :
						 request->strides[0] + fuzz_input_u8(in);
	}
	request->offsets[0] = byte & 8 ? fuzz_input_number(in) : 0;
	request->height = 16;
	if (byte & 16) {
		request->height = pick_side(in);
	} else if (resource != NULL && resource->is_blob && request->strides[0] > 0) {
		/* As high as there is room for. */
		uint64_t rows = resource->blob.size_bytes / request->strides[0];

		request->height = (uint32_t)MIN(rows, 1024);
	}
	const struct model_resource picture = { .width = request->width,
						.height = request->height };
	request->r = pick_rect(in, &picture);
}

void make_map_blob(const struct model *model, struct fuzz_input *in, struct model_call *call)
{
	struct virtio_gpu_resource_map_blob *request = &call->request.resource_map_blob;
	uint8_t byte;

	request->resource_id = pick_resource(model, in);
	byte = fuzz_input_u8(in);
	request->offset = byte == 0xff ? fuzz_input_number64(in) : byte % 36 * 4096u;
}

/* ---- 3D ---- */

void make_get_capset(const struct model *model G_GNUC_UNUSED, struct fuzz_input *in,
		     struct model_call *call)
{
	struct virtio_gpu_get_capset *request = &call->request.get_capset;

	request->capset_id = fuzz_input_below(in, 8);
	request->capset_version = fuzz_input_number(in);
}

void make_ctx_create(const struct model *model G_GNUC_UNUSED, struct fuzz_input *in,
		     struct model_call *call)
{
	struct virtio_gpu_ctx_create *request = &call->request.ctx_create;

	request->hdr.ctx_id = pick_new_id(in);
	request->context_init = fuzz_input_number(in);
	request->nlen = fuzz_input_number(in);
	fuzz_input_copy(in, request->debug_name, fuzz_input_below(in, 16));
}

void make_ctx(const struct model *model, struct fuzz_input *in, struct model_call *call)
{
	call->request.header.ctx_id = pick_context(model, in);
}

void make_ctx_resource(const struct model *model, struct fuzz_input *in, struct model_call *call)
{
	call->request.header.ctx_id = pick_context(model, in);
	call->request.ctx_resource.resource_id = pick_resource(model, in);
}

void make_create_3d(const struct model *model G_GNUC_UNUSED, struct fuzz_input *in,
		    struct model_call *call)
{
	struct virtio_gpu_resource_create_3d *request = &call->request.resource_create_3d;

	request->resource_id = pick_new_id(in);
	request->width = pick_side(in);
	request->height = pick_side(in);
	/* A bit of this byte for each number that is not that of a plain texture. */
	uint8_t byte = fuzz_input_u8(in);
	request->target = byte & 1 ? fuzz_input_below(in, 10) : 2;
	request->format = byte & 2 ? fuzz_input_u8(in) : 1;
	request->bind = byte & 4 ? 1u << fuzz_input_below(in, 24) : 1u << 1 | 1u << 3;
	request->depth = byte & 8 ? fuzz_input_number(in) : 1;
	request->array_size = byte & 16 ? fuzz_input_number(in) : 1;
	request->last_level = byte & 32 ? fuzz_input_number(in) : 0;
	request->nr_samples = byte & 64 ? fuzz_input_number(in) : 0;
	request->flags = byte & 128 ? fuzz_input_number(in) : 0;
}

void make_transfer_3d(const struct model *model, struct fuzz_input *in, struct model_call *call)
{
	struct virtio_gpu_transfer_host_3d *request = &call->request.transfer_host_3d;

	request->resource_id = pick_resource(model, in);
	const struct virtio_gpu_rect rect =
		pick_rect(in, model_find_resource(model, request->resource_id));
	request->box = (struct virtio_gpu_box){
		.x = rect.x, .y = rect.y, .w = rect.width, .h = rect.height, .d = 1
	};
	uint8_t byte = fuzz_input_u8(in);
	request->hdr.ctx_id = byte & 1 ? pick_context(model, in) : 0;
	request->box.z = byte & 2 ? fuzz_input_number(in) : 0;
	request->box.d = byte & 4 ? fuzz_input_number(in) : 1;
	request->level = byte & 8 ? fuzz_input_number(in) : 0;
	request->stride = byte & 16 ? fuzz_input_number(in) : 0;
	request->layer_stride = byte & 32 ? fuzz_input_number(in) : 0;
	request->offset = byte & 64 ? fuzz_input_number64(in) : 0;
}

/* Commands that its library knows, and not all of what they name. */
static size_t make_gfxstream_command(const struct model *model, struct fuzz_input *in,
				     uint32_t *words)
{
	static const uint32_t opcodes[] = { 0x1001, 0x1002, 0x1003, 0xa003, 0x9000, 0 };
	size_t n = 1 + fuzz_input_below(in, 16);

	words[0] = opcodes[fuzz_input_below(in, G_N_ELEMENTS(opcodes))];
	for (size_t i = 1; i < n; i++) {
		words[i] = fuzz_input_flag(in) ? pick_resource(model, in) : fuzz_input_u8(in);
	}
	return n;
}

static size_t make_stream(const struct model *model, struct fuzz_input *in, uint32_t *words,
			  size_t max_words)
{
	const struct virgl_grammar grammar = {
		.resource_ids = (const uint32_t *)(const void *)model->ids->data,
		.n_resources = model->ids->len,
	};

	return strcmp(model->renderer->impl->name, "gfxstream") == 0
		       ? make_gfxstream_command(model, in, words)
		       : virgl_grammar_make(&grammar, in, words, max_words);
}

void make_submit(const struct model *model, struct fuzz_input *in, struct model_call *call)
{
	struct virtio_gpu_cmd_submit *request = &call->request.submit_3d;
	uint32_t words[MAX_STREAM_WORDS];
	size_t size = sizeof(uint32_t) * make_stream(model, in, words, G_N_ELEMENTS(words));

	request->hdr.ctx_id = pick_context(model, in);
	request->size = (uint32_t)size;
	memcpy(call->bytes + call->size_bytes, words, size);
	call->size_bytes += (uint32_t)size;
	if (fuzz_input_one_in(in, 32)) {
		request->size = fuzz_input_number(in);
	}
}
