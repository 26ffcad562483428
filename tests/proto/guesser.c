/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include <errno.h>
#include <string.h>

#include "guesser.h"
#include "mock_virgl.h"

#define FORMAT VIRTIO_GPU_FORMAT_B8G8R8X8_UNORM
#define BAD_GPA UINT64_C(0x7000000000)
#define MIN_SCANOUT_SIDE 16u

void guesser_init(struct guesser *guesser, uint32_t seed, uint64_t backing_gpa, bool has_3d)
{
	*guesser = (struct guesser){
		.random = g_rand_new_with_seed(seed),
		.backing_gpa = backing_gpa,
		.has_3d = has_3d,
	};
}

void guesser_finish(struct guesser *guesser)
{
	g_clear_pointer(&guesser->random, g_rand_free);
}

void guesser_forget(struct guesser *guesser)
{
	memset(guesser->resources, 0, sizeof(guesser->resources));
	memset(guesser->scanouts, 0, sizeof(guesser->scanouts));
}

uint32_t guesser_pick(struct guesser *guesser, uint32_t n)
{
	return (uint32_t)g_rand_int_range(guesser->random, 0, (gint32)n);
}

unsigned int guesser_count_mapped(const struct guesser *guesser)
{
	unsigned int n = 0;

	for (uint32_t id = 1; id <= GUESSER_RESOURCES; id++) {
		n += guesser->resources[id].is_mapped;
	}
	return n;
}

static struct guesser_resource *pick_resource(struct guesser *guesser, uint32_t *id_out)
{
	*id_out = guesser_pick(guesser, GUESSER_RESOURCES + 2);
	return &guesser->resources[*id_out];
}

static void put(struct guess *guess, const void *request, size_t size)
{
	g_assert_cmpuint(size, <=, sizeof(guess->request));
	memcpy(guess->request, request, size);
	guess->request_size = (uint32_t)size;
}

#define PUT(guess, struct_type, command, ...)                                                      \
	put(guess,                                                                                 \
	    &(const struct struct_type){ .hdr.type = VIRTIO_GPU_CMD_##command, ##__VA_ARGS__ },    \
	    sizeof(struct struct_type))

static bool is_blob(const struct guesser_resource *resource)
{
	return resource->exists && resource->blob_bytes > 0;
}

/* ---- resources ---- */

static void make_create(struct guesser *guesser, struct guess *guess)
{
	uint32_t id, format = FORMAT;
	struct guesser_resource *resource = pick_resource(guesser, &id);
	uint32_t width = 1 + guesser_pick(guesser, GUESSER_MAX_SIDE);
	uint32_t height = 1 + guesser_pick(guesser, GUESSER_MAX_SIDE);

	/* Id 9 stays what there never is. */
	id = id > GUESSER_RESOURCES ? 0 : id;
	guess->expected = VIRTIO_GPU_RESP_ERR_INVALID_RESOURCE_ID;
	if (id > 0 && !resource->exists) {
		switch (guesser_pick(guesser, 16)) {
		case 0:
			format = 5;
			guess->expected = VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER;
			break;
		case 1:
			width = height = 65536;
			guess->expected = VIRTIO_GPU_RESP_ERR_OUT_OF_MEMORY;
			break;
		default:
			*resource = (struct guesser_resource){ .exists = true,
							       .width = width,
							       .height = height };
			guess->expected = VIRTIO_GPU_RESP_OK_NODATA;
		}
	}
	PUT(guess, virtio_gpu_resource_create_2d, RESOURCE_CREATE_2D, .resource_id = id,
	    .format = format, .width = width, .height = height);
}

static uint32_t ok_if(bool is_good, uint32_t otherwise)
{
	return is_good ? VIRTIO_GPU_RESP_OK_NODATA : otherwise;
}

static void make_unref(struct guesser *guesser, struct guess *guess)
{
	uint32_t id;
	struct guesser_resource *resource = pick_resource(guesser, &id);

	PUT(guess, virtio_gpu_resource_unref, RESOURCE_UNREF, .resource_id = id);
	guess->expected = ok_if(resource->exists, VIRTIO_GPU_RESP_ERR_INVALID_RESOURCE_ID);
	*resource = (struct guesser_resource){ 0 };
	for (uint32_t i = 0; i < GUESSER_SCANOUTS; i++) {
		if (guesser->scanouts[i].id == id) {
			guesser->scanouts[i].id = 0;
		}
	}
}

static void make_attach(struct guesser *guesser, struct guess *guess)
{
	uint32_t id;
	struct guesser_resource *resource = pick_resource(guesser, &id);
	bool is_bad = guesser_pick(guesser, 10) == 0;

	PUT(guess, virtio_gpu_resource_attach_backing, RESOURCE_ATTACH_BACKING, .resource_id = id,
	    .nr_entries = 1);
	guess->n_entries = 1;
	guess->entries[0] = (struct virtio_gpu_mem_entry){
		.addr = is_bad ? BAD_GPA : guesser->backing_gpa,
		.length = GUESSER_MAX_SIDE * GUESSER_MAX_SIDE * 4,
	};
	if (!resource->exists) {
		guess->expected = VIRTIO_GPU_RESP_ERR_INVALID_RESOURCE_ID;
	} else {
		/* A blob has what it was made with. */
		bool is_good = !resource->has_backing && !is_blob(resource) && !is_bad;
		guess->expected = ok_if(is_good, VIRTIO_GPU_RESP_ERR_UNSPEC);
		resource->has_backing |= is_good;
	}
}

static void make_detach(struct guesser *guesser, struct guess *guess)
{
	uint32_t id;
	struct guesser_resource *resource = pick_resource(guesser, &id);

	PUT(guess, virtio_gpu_resource_detach_backing, RESOURCE_DETACH_BACKING, .resource_id = id);
	guess->expected = ok_if(resource->exists && resource->has_backing,
				VIRTIO_GPU_RESP_ERR_INVALID_RESOURCE_ID);
	if (is_blob(resource) && resource->has_backing) {
		guess->expected = VIRTIO_GPU_RESP_ERR_UNSPEC;
	} else {
		resource->has_backing = false;
	}
}

/* ---- rectangles ---- */

/* Mostly all of it or a part, now and then more. */
static struct virtio_gpu_rect pick_rect(struct guesser *guesser,
					const struct guesser_resource *resource)
{
	bool has_size = resource->exists && !is_blob(resource);
	uint32_t width = has_size ? resource->width : 16;
	uint32_t height = has_size ? resource->height : 16;
	struct virtio_gpu_rect rect = { 0, 0, width, height };

	switch (guesser_pick(guesser, 8)) {
	case 0:
		rect.x = UINT32_MAX - guesser_pick(guesser, 4);
		break;
	case 1:
		rect.height += 1;
		break;
	case 2:
	case 3:
		rect.x = guesser_pick(guesser, width);
		rect.y = guesser_pick(guesser, height);
		rect.width = 1 + guesser_pick(guesser, width - rect.x);
		rect.height = 1 + guesser_pick(guesser, height - rect.y);
		break;
	default:
		break;
	}
	return rect;
}

static bool is_inside(const struct virtio_gpu_rect *rect, const struct guesser_resource *resource)
{
	return (uint64_t)rect->x + rect->width <= resource->width &&
	       (uint64_t)rect->y + rect->height <= resource->height;
}

static void make_transfer(struct guesser *guesser, struct guess *guess)
{
	uint32_t id;
	struct guesser_resource *resource = pick_resource(guesser, &id);
	struct virtio_gpu_rect rect = pick_rect(guesser, resource);

	PUT(guess, virtio_gpu_transfer_to_host_2d, TRANSFER_TO_HOST_2D, .resource_id = id,
	    .r = rect);
	guess->expected =
		resource->exists && resource->has_backing
			? ok_if(is_inside(&rect, resource), VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER)
			: VIRTIO_GPU_RESP_ERR_INVALID_RESOURCE_ID;
	if (is_blob(resource) && resource->has_backing) {
		guess->expected = VIRTIO_GPU_RESP_OK_NODATA;
	}
}

/* Inside each picture that there is of blob id. */
static bool is_inside_all(const struct guesser *guesser, uint32_t id,
			  const struct virtio_gpu_rect *rect)
{
	for (uint32_t i = 0; i < GUESSER_SCANOUTS; i++) {
		const struct guesser_scanout *scanout = &guesser->scanouts[i];

		if (scanout->id == id && ((uint64_t)rect->x + rect->width > scanout->width ||
					  (uint64_t)rect->y + rect->height > scanout->height)) {
			return false;
		}
	}
	return true;
}

static void make_flush(struct guesser *guesser, struct guess *guess)
{
	uint32_t id;
	struct guesser_resource *resource = pick_resource(guesser, &id);
	struct virtio_gpu_rect rect = pick_rect(guesser, resource);

	PUT(guess, virtio_gpu_resource_flush, RESOURCE_FLUSH, .resource_id = id, .r = rect);
	guess->expected = resource->exists ? ok_if(is_inside(&rect, resource),
						   VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER)
					   : VIRTIO_GPU_RESP_ERR_INVALID_RESOURCE_ID;
	if (is_blob(resource)) {
		guess->expected = ok_if(is_inside_all(guesser, id, &rect),
					VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER);
	}
	guess->is_ordered = false;
}

static void make_scanout(struct guesser *guesser, struct guess *guess)
{
	uint32_t id, number = guesser_pick(guesser, GUESSER_SCANOUTS);
	struct guesser_resource *resource = pick_resource(guesser, &id);
	struct virtio_gpu_rect rect = pick_rect(guesser, resource);
	bool is_fit = is_inside(&rect, resource) && rect.width >= MIN_SCANOUT_SIDE &&
		      rect.height >= MIN_SCANOUT_SIDE;

	number = guesser_pick(guesser, 16) == 0 ? 16 : number;
	PUT(guess, virtio_gpu_set_scanout, SET_SCANOUT, .scanout_id = number, .resource_id = id,
	    .r = rect);
	guess->expected = number >= 16	     ? VIRTIO_GPU_RESP_ERR_INVALID_SCANOUT_ID
			  : id == 0	     ? VIRTIO_GPU_RESP_OK_NODATA
			  : resource->exists ? ok_if(is_fit, VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER)
					     : VIRTIO_GPU_RESP_ERR_INVALID_RESOURCE_ID;
	if (guess->expected == VIRTIO_GPU_RESP_OK_NODATA) {
		guesser->scanouts[number].id = 0;
	}
}

/* ---- blobs ---- */

/* A blob of so many bytes, over the memory that all have. */
static void put_create_blob(struct guess *guess, uint32_t id, uint32_t mem, uint64_t size_bytes,
			    uint64_t gpa)
{
	PUT(guess, virtio_gpu_resource_create_blob, RESOURCE_CREATE_BLOB, .resource_id = id,
	    .blob_mem = mem, .nr_entries = 1, .size = size_bytes);
	guess->n_entries = 1;
	guess->entries[0] = (struct virtio_gpu_mem_entry){
		.addr = gpa,
		.length = GUESSER_MAX_SIDE * GUESSER_MAX_SIDE * 4,
	};
}

static void make_create_blob(struct guesser *guesser, struct guess *guess)
{
	uint32_t id, mem = VIRTIO_GPU_BLOB_MEM_GUEST;
	struct guesser_resource *resource = pick_resource(guesser, &id);
	uint64_t size_bytes = 1 + guesser_pick(guesser, GUESSER_MAX_SIDE * GUESSER_MAX_SIDE * 4);
	uint64_t gpa = guesser->backing_gpa;

	id = id > GUESSER_RESOURCES ? 0 : id;
	guess->expected = VIRTIO_GPU_RESP_ERR_INVALID_RESOURCE_ID;
	if (id > 0 && !resource->exists) {
		guess->expected = VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER;
		switch (guesser_pick(guesser, 16)) {
		case 0:
			mem = 4;
			break;
		case 1:
			size_bytes = 0;
			break;
		case 2:
			size_bytes = UINT64_MAX - guesser_pick(guesser, 9);
			break;
		case 3:
			gpa = BAD_GPA;
			guess->expected = VIRTIO_GPU_RESP_ERR_UNSPEC;
			break;
		default:
			*resource = (struct guesser_resource){ .exists = true,
							       .has_backing = true,
							       .blob_bytes = size_bytes };
			guess->expected = VIRTIO_GPU_RESP_OK_NODATA;
		}
	}
	put_create_blob(guess, id, mem, size_bytes, gpa);
}

static void make_scanout_blob(struct guesser *guesser, struct guess *guess)
{
	static const uint32_t formats[] = { 1, 2, FORMAT, 67, 134, 5 };
	uint32_t id, number = guesser_pick(guesser, GUESSER_SCANOUTS);
	uint32_t format = formats[guesser_pick(guesser, G_N_ELEMENTS(formats))];
	struct guesser_resource *resource = pick_resource(guesser, &id);
	const struct guesser_resource picture = {
		.exists = true,
		.width = 1 + guesser_pick(guesser, GUESSER_MAX_SIDE),
		.height = 1 + guesser_pick(guesser, GUESSER_MAX_SIDE),
	};
	struct virtio_gpu_rect rect = pick_rect(guesser, &picture);
	uint32_t stride = picture.width * 4 + guesser_pick(guesser, 6) - 1;
	uint32_t offset = guesser_pick(guesser, 4) * 3;
	bool is_fit = is_blob(resource) && format != 5 && stride >= picture.width * 4 &&
		      (uint64_t)offset + (picture.height - 1) * stride + picture.width * 4 <=
			      resource->blob_bytes &&
		      is_inside(&rect, &picture) && rect.width >= MIN_SCANOUT_SIDE &&
		      rect.height >= MIN_SCANOUT_SIDE;

	number = guesser_pick(guesser, 16) == 0 ? 16 : number;
	PUT(guess, virtio_gpu_set_scanout_blob, SET_SCANOUT_BLOB, .r = rect, .scanout_id = number,
	    .resource_id = id, .width = picture.width, .height = picture.height, .format = format,
	    .strides = { stride }, .offsets = { offset });
	guess->expected = number >= 16	     ? VIRTIO_GPU_RESP_ERR_INVALID_SCANOUT_ID
			  : id == 0	     ? VIRTIO_GPU_RESP_OK_NODATA
			  : resource->exists ? ok_if(is_fit, VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER)
					     : VIRTIO_GPU_RESP_ERR_INVALID_RESOURCE_ID;
	if (guess->expected == VIRTIO_GPU_RESP_OK_NODATA) {
		guesser->scanouts[number] =
			(struct guesser_scanout){ id, picture.width, picture.height };
	}
}

/* ---- memory of the host's, and streams ---- */

/* With pages of the guest's, too, or without. */
static void put_create_host_blob(struct guesser *guesser, struct guess *guess,
				 const struct virtio_gpu_resource_create_blob *blob, bool has_pages)
{
	uint32_t mem = has_pages ? VIRTIO_GPU_BLOB_MEM_HOST3D_GUEST : VIRTIO_GPU_BLOB_MEM_HOST3D;

	put_create_blob(guess, blob->resource_id, mem, blob->size, guesser->backing_gpa);
	struct virtio_gpu_resource_create_blob *request = (void *)guess->request;
	request->hdr.ctx_id = blob->hdr.ctx_id;
	request->blob_flags = blob->blob_flags;
	if (!has_pages) {
		request->nr_entries = 0;
		guess->n_entries = 0;
	}
}

static void make_create_host_blob(struct guesser *guesser, struct guess *guess)
{
	uint32_t id;
	struct guesser_resource *resource = pick_resource(guesser, &id);
	bool has_pages = guesser_pick(guesser, 3) == 0;
	struct virtio_gpu_resource_create_blob blob = {
		.hdr.ctx_id = GUESSER_CTX,
		.resource_id = id > GUESSER_RESOURCES ? 0 : id,
		.blob_flags = guesser_pick(guesser, 8) | guesser_pick(guesser, 2),
		.size = 1 + guesser_pick(guesser, GUESSER_MAX_SIDE * GUESSER_MAX_SIDE * 4),
	};

	guess->expected = VIRTIO_GPU_RESP_ERR_INVALID_RESOURCE_ID;
	if (blob.resource_id > 0 && !resource->exists) {
		switch (guesser_pick(guesser, 16)) {
		case 0:
			blob.hdr.ctx_id = GUESSER_CTX + 1;
			guess->expected = VIRTIO_GPU_RESP_ERR_INVALID_CONTEXT_ID;
			break;
		case 1:
			blob.size = UINT64_C(1) << 40;
			has_pages = false;
			guess->expected = VIRTIO_GPU_RESP_ERR_OUT_OF_MEMORY;
			break;
		case 2:
			blob.blob_flags |= 8;
			guess->expected = VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER;
			break;
		default:
			*resource = (struct guesser_resource){
				.exists = true,
				.has_backing = has_pages,
				.blob_bytes = blob.size,
				.is_mappable = blob.blob_flags & VIRTIO_GPU_BLOB_FLAG_USE_MAPPABLE,
			};
			guess->expected = VIRTIO_GPU_RESP_OK_NODATA;
		}
	}
	put_create_host_blob(guesser, guess, &blob, has_pages);
}

static uint64_t whole_pages(uint64_t bytes)
{
	return (bytes + GUESTRAM_PAGE - 1) / GUESTRAM_PAGE * GUESTRAM_PAGE;
}

/* In places that are few, so that they are taken as often as not. */
static uint64_t pick_offset(struct guesser *guesser)
{
	switch (guesser_pick(guesser, 16)) {
	case 0:
		return 1 + guesser_pick(guesser, GUESTRAM_PAGE - 1);
	case 1:
		return guesser->window_bytes - GUESTRAM_PAGE * guesser_pick(guesser, 3);
	case 2:
		return UINT64_MAX - GUESTRAM_PAGE + 1;
	default:
		return guesser_pick(guesser, 16) * (uint64_t)GUESTRAM_PAGE;
	}
}

static bool is_place(const struct guesser *guesser, uint64_t offset, uint64_t bytes)
{
	bool is_free = offset % GUESTRAM_PAGE == 0 && offset < guesser->window_bytes &&
		       whole_pages(bytes) <= guesser->window_bytes - offset;

	for (uint32_t id = 1; id <= GUESSER_RESOURCES; id++) {
		const struct guesser_resource *other = &guesser->resources[id];

		is_free &= !other->is_mapped || offset + whole_pages(bytes) <= other->offset ||
			   other->offset + whole_pages(other->blob_bytes) <= offset;
	}
	return is_free;
}

static void make_host_map(struct guesser *guesser, struct guess *guess)
{
	uint32_t id;
	struct guesser_resource *resource = pick_resource(guesser, &id);
	uint64_t offset = pick_offset(guesser);

	PUT(guess, virtio_gpu_resource_map_blob, RESOURCE_MAP_BLOB, .resource_id = id,
	    .offset = offset);
	guess->chain.response_size = sizeof(struct virtio_gpu_resp_map_info);
	guess->is_ordered = false;
	if (!resource->exists) {
		guess->expected = VIRTIO_GPU_RESP_ERR_INVALID_RESOURCE_ID;
	} else if (!resource->is_mappable) {
		guess->expected = VIRTIO_GPU_RESP_ERR_UNSPEC;
	} else if (resource->is_mapped || !is_place(guesser, offset, resource->blob_bytes)) {
		guess->expected = VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER;
	} else {
		guess->expected = VIRTIO_GPU_RESP_OK_MAP_INFO;
		resource->is_mapped = true;
		resource->offset = offset;
	}
}

static void make_host_unmap(struct guesser *guesser, struct guess *guess)
{
	uint32_t id;
	struct guesser_resource *resource = pick_resource(guesser, &id);

	PUT(guess, virtio_gpu_resource_unmap_blob, RESOURCE_UNMAP_BLOB, .resource_id = id);
	guess->is_ordered = false;
	guess->expected =
		resource->exists ? ok_if(resource->is_mapped, VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER)
				 : VIRTIO_GPU_RESP_ERR_INVALID_RESOURCE_ID;
	resource->is_mapped = false;
}

/* Without a window, and of the guest's own memory. */
static void make_vain_map(struct guesser *guesser, struct guess *guess)
{
	uint32_t id;
	const struct guesser_resource *resource = pick_resource(guesser, &id);

	if (guesser_pick(guesser, 2) == 0) {
		PUT(guess, virtio_gpu_resource_map_blob, RESOURCE_MAP_BLOB, .resource_id = id,
		    .offset = guesser_pick(guesser, 3) * 4096u);
		guess->chain.response_size = sizeof(struct virtio_gpu_resp_map_info);
		guess->expected = VIRTIO_GPU_RESP_ERR_UNSPEC;
	} else {
		PUT(guess, virtio_gpu_resource_unmap_blob, RESOURCE_UNMAP_BLOB, .resource_id = id);
		guess->expected = VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER;
	}
	if (!resource->exists) {
		guess->expected = VIRTIO_GPU_RESP_ERR_INVALID_RESOURCE_ID;
	}
}

static void make_map(struct guesser *guesser, struct guess *guess)
{
	if (guesser->window_bytes == 0) {
		make_vain_map(guesser, guess);
	} else if (guesser_pick(guesser, 2) == 0) {
		make_host_map(guesser, guess);
	} else {
		make_host_unmap(guesser, guess);
	}
}

/* What takes its time, and what lets the fences behind it take theirs. */
static void make_stream(struct guesser *guesser, struct guess *guess)
{
	const uint32_t rows[][3] = {
		{ MOCK_ECHO, 0, VIRTIO_GPU_RESP_OK_NODATA },
		{ MOCK_SLEEP, guesser_pick(guesser, 3), VIRTIO_GPU_RESP_OK_NODATA },
		{ MOCK_FENCES_LATE, guesser_pick(guesser, 4) == 0, VIRTIO_GPU_RESP_OK_NODATA },
		{ MOCK_FENCES_BY_POLL, guesser_pick(guesser, 2), VIRTIO_GPU_RESP_OK_NODATA },
		{ MOCK_FAIL, ENOMEM, VIRTIO_GPU_RESP_ERR_OUT_OF_MEMORY },
		{ 0xffff, 0, VIRTIO_GPU_RESP_ERR_UNSPEC },
	};
	const uint32_t *row = rows[guesser_pick(guesser, G_N_ELEMENTS(rows))];
	const uint32_t words[] = { MOCK_VIRGL_MAGIC | MOCK_VIRGL_HEAD_WORDS << 16, row[0], 0,
				   row[1] };
	bool has_context = guesser_pick(guesser, 16) != 0;

	PUT(guess, virtio_gpu_cmd_submit, SUBMIT_3D,
	    .hdr.ctx_id = has_context ? GUESSER_CTX : GUESSER_CTX + 1, .size = sizeof(words));
	memcpy(guess->request + guess->request_size, words, sizeof(words));
	guess->request_size += (uint32_t)sizeof(words);
	guess->expected = has_context ? row[2] : VIRTIO_GPU_RESP_ERR_INVALID_CONTEXT_ID;
}

/* ---- questions, nonsense, cursors ---- */

static void make_question(struct guesser *guesser, struct guess *guess)
{
	uint32_t scanout = guesser_pick(guesser, 18);

	guess->is_ordered = false;
	guess->chain.response_size = sizeof(struct virtio_gpu_resp_edid);
	if (guesser_pick(guesser, 2) == 0) {
		const struct virtio_gpu_ctrl_hdr hdr = { .type = VIRTIO_GPU_CMD_GET_DISPLAY_INFO };
		put(guess, &hdr, sizeof(hdr));
		guess->expected = VIRTIO_GPU_RESP_OK_DISPLAY_INFO;
	} else {
		PUT(guess, virtio_gpu_cmd_get_edid, GET_EDID, .scanout = scanout);
		guess->expected = scanout < 16 ? VIRTIO_GPU_RESP_OK_EDID
					       : VIRTIO_GPU_RESP_ERR_INVALID_SCANOUT_ID;
	}
}

static void make_nonsense(struct guesser *guesser, struct guess *guess)
{
	static const uint32_t types[] = { 0,
					  0x10f,
					  0x1100,
					  0xffffffff,
					  VIRTIO_GPU_CMD_MOVE_CURSOR };
	static const uint32_t types_3d[] = { VIRTIO_GPU_CMD_CTX_CREATE, VIRTIO_GPU_CMD_SUBMIT_3D,
					     VIRTIO_GPU_CMD_GET_CAPSET };
	struct virtio_gpu_ctrl_hdr *hdr = (void *)guess->request;

	for (size_t i = 0; i < sizeof(guess->request); i += 4) {
		uint32_t word = g_rand_int(guesser->random);
		memcpy(guess->request + i, &word, 4);
	}
	guess->request_size = (uint32_t)sizeof(guess->request);
	hdr->type = !guesser->has_3d && guesser_pick(guesser, 2)
			    ? types_3d[guesser_pick(guesser, G_N_ELEMENTS(types_3d))]
			    : types[guesser_pick(guesser, G_N_ELEMENTS(types))];
	guess->expected = VIRTIO_GPU_RESP_ERR_UNSPEC;
}

/* A good command, cut short, which changes nothing. */
static void make_short(struct guesser *guesser, struct guess *guess)
{
	PUT(guess, virtio_gpu_set_scanout, SET_SCANOUT, .resource_id = 1);
	guess->request_size = 1 + guesser_pick(guesser, guess->request_size - 1);
	guess->expected = VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER;
}

/* Resources are the other queue's, so that what comes of it can't be foretold. */
static void make_cursor(struct guesser *guesser, struct guess *guess)
{
	guess->queue = VGPU_CURSOR;
	if (guesser_pick(guesser, 3) == 0) {
		PUT(guess, virtio_gpu_update_cursor, UPDATE_CURSOR,
		    .resource_id = guesser_pick(guesser, GUESSER_RESOURCES + 2),
		    .pos.scanout_id = guesser_pick(guesser, 18),
		    .hot_x = guesser_pick(guesser, 70));
	} else {
		PUT(guess, virtio_gpu_update_cursor, MOVE_CURSOR,
		    .resource_id = guesser_pick(guesser, 3),
		    .pos.scanout_id = guesser_pick(guesser, 18),
		    .pos.x = g_rand_int(guesser->random));
	}
	guess->expected = 0;
}

/* ---- shapes ---- */

/* Of its context's, in place of the one for all. */
static void add_ring(struct guesser *guesser, struct guess *guess, struct virtio_gpu_ctrl_hdr *hdr)
{
	uint32_t ring = guesser_pick(guesser, GUESSER_RINGS);

	if (hdr->ctx_id == GUESSER_CTX && hdr->type == VIRTIO_GPU_CMD_SUBMIT_3D &&
	    guesser_pick(guesser, 2) == 0) {
		hdr->flags |= VIRTIO_GPU_FLAG_INFO_RING_IDX;
		hdr->ring_idx = (uint8_t)ring;
		guess->timeline = 2 + ring;
	}
}

/* Nearly all with a fence that there is only once, so that each answer names its command. */
static void add_fence(struct guesser *guesser, struct guess *guess)
{
	struct virtio_gpu_ctrl_hdr *hdr = (void *)guess->request;

	guesser->n_guesses += 1;
	guess->fence_id = 0;
	if (guess->request_size < sizeof(*hdr)) {
		return;
	}
	hdr->flags = 0;
	if (guesser_pick(guesser, 16) != 0) {
		hdr->flags = VIRTIO_GPU_FLAG_FENCE;
		hdr->fence_id = guess->fence_id = guesser->n_guesses;
	}
	if (guesser->window_bytes > 0 && guess->fence_id != 0) {
		guess->timeline = 1;
		add_ring(guesser, guess, hdr);
	}
}

static void add_shape(struct guesser *guesser, struct guess *guess)
{
	struct vgpu_chain *chain = &guess->chain;

	chain->request = guess->request;
	chain->request_size = guess->request_size;
	chain->payload = guess->entries;
	chain->payload_size = guess->n_entries * (uint32_t)sizeof(guess->entries[0]);
	if (chain->response_size == 0) {
		chain->response_size = (uint32_t)sizeof(struct virtio_gpu_ctrl_hdr);
	}
	switch (guesser_pick(guesser, 24)) {
	case 0:
		chain->response_size = 0;
		break;
	case 1:
		chain->response_size = 8;
		break;
	case 2:
	case 3:
		chain->is_indirect = true;
		chain->request_split = 1 + guesser_pick(guesser, 32);
		chain->response_split = 8 + guesser_pick(guesser, 300);
		break;
	case 4:
		chain->request_split = 16;
		break;
	case 5:
	case 6:
	case 7:
		chain->is_indirect = true;
		break;
	default:
		break;
	}
}

static void make_of_host(struct guesser *guesser, struct guess *guess)
{
	static void (*const makers[])(struct guesser * guesser, struct guess * guess) = {
		make_create_host_blob, make_create_host_blob, make_host_map, make_host_map,
		make_host_map,	       make_host_unmap,	      make_stream,
	};

	makers[guesser_pick(guesser, G_N_ELEMENTS(makers))](guesser, guess);
}

void guesser_make(struct guesser *guesser, struct guess *guess_out)
{
	static void (*const makers[])(struct guesser * guesser, struct guess * guess) = {
		make_create, make_create,   make_unref,	   make_attach,	 make_attach,
		make_detach, make_transfer, make_transfer, make_scanout, make_scanout,
		make_flush,  make_flush,    make_nonsense, make_short,	 make_cursor,
		make_cursor, make_cursor,   make_transfer, make_create_blob,
		make_scanout_blob, make_scanout_blob, make_map,
	};

	*guess_out = (struct guess){ .queue = VGPU_CONTROL, .is_ordered = true };
	if (guesser_pick(guesser, 60) == 0) {
		make_question(guesser, guess_out);
	} else if (guesser->window_bytes > 0 && guesser_pick(guesser, 2) == 0) {
		make_of_host(guesser, guess_out);
	} else {
		makers[guesser_pick(guesser, G_N_ELEMENTS(makers))](guesser, guess_out);
	}
	add_fence(guesser, guess_out);
	add_shape(guesser, guess_out);
}
