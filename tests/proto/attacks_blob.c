/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* Blob commands with every field at its limits. */
#include "attacks.h"

#define FORMAT VIRTIO_GPU_FORMAT_B8G8R8X8_UNORM
#define PAGE 4096u
#define BLOB 50u
#define GUEST VIRTIO_GPU_BLOB_MEM_GUEST

/* Not every back-end has them. */
static bool has_blobs(struct attacker *attacker)
{
	bool has = attacker->rig->acked_features & FEATURE(VIRTIO_F_GPU_RESOURCE_BLOB);

	if (!has) {
		attacker->lacks = "blob resources";
	}
	return has;
}

bool attack_make_blob(struct attacker *attacker, uint32_t id)
{
	if (!has_blobs(attacker)) {
		return false;
	}
	attack_expect_ok(attacker,
			 vgpu_resource_create_guest_blob(attacker->rig->vgpu, id,
							 attacker->shown_gpa, STAGE_BYTES));
	return true;
}

/* The row's command, where there are such commands; and where there is BLOB. */
static void run_send(struct attacker *attacker)
{
	if (has_blobs(attacker)) {
		attack_send(attacker);
	}
}

static void run_on_blob(struct attacker *attacker)
{
	if (attack_make_blob(attacker, BLOB)) {
		attack_send(attacker);
	}
}

/* The same with BLOB on scanout 0 already: what is refused leaves it there. */
static void run_on_shown(struct attacker *attacker)
{
	const struct vgpu_layout layout = { FORMAT, STAGE_SIDE, STAGE_SIDE, STAGE_SIDE * 4, 0 };
	struct vgpu *vgpu = attacker->rig->vgpu;
	const uint32_t *pixels =
		guestram_at(attacker->rig->ram, attacker->shown_gpa, STAGE_BYTES);

	if (!attack_make_blob(attacker, BLOB)) {
		return;
	}
	attack_expect_ok(attacker, vgpu_set_scanout_blob(vgpu, 0, BLOB, &layout));
	attack_send(attacker);
	attack_expect_ok(attacker,
			 vgpu_resource_flush(vgpu, BLOB, 0, 0, STAGE_SIDE, STAGE_SIDE));
	attack_expect(attacker,
		      !attacker->has_pictures ||
			      display_shows_pixel(attacker->rig->display, 0, STAGE_SIDE - 1,
						  STAGE_SIDE - 1,
						  pixels[STAGE_BYTES / 4 - 1] & 0xffffff),
		      "it is not shown any more");
}

/* One blob as the target of all that there is for other resources. */
static void run_as_2d(struct attacker *attacker)
{
	struct vgpu *vgpu = attacker->rig->vgpu;
	uint8_t uuid[16];

	if (!attack_make_blob(attacker, BLOB)) {
		return;
	}
	attack_expect_type(attacker, vgpu_resource_create_2d(vgpu, BLOB, FORMAT, 64, 64),
			   VIRTIO_GPU_RESP_ERR_INVALID_RESOURCE_ID);
	attack_expect_type(attacker,
			   vgpu_set_scanout(vgpu, 0, BLOB, 0, 0, STAGE_SIDE, STAGE_SIDE),
			   VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER);
	attack_expect_type(attacker,
			   vgpu_resource_attach_one(vgpu, BLOB, attacker->large_gpa, STAGE_BYTES),
			   VIRTIO_GPU_RESP_ERR_UNSPEC);
	attack_expect_type(attacker, vgpu_resource_detach_backing(vgpu, BLOB),
			   VIRTIO_GPU_RESP_ERR_UNSPEC);
	attack_expect_ok(attacker, vgpu_transfer_to_host_2d(vgpu, BLOB, UINT64_MAX, UINT32_MAX,
							    UINT32_MAX, UINT32_MAX, UINT32_MAX));
	attack_expect_ok(attacker, vgpu_resource_flush(vgpu, BLOB, UINT32_MAX, UINT32_MAX,
						       UINT32_MAX, UINT32_MAX));
	attack_expect_type(attacker, vgpu_resource_map_blob(vgpu, BLOB, 0),
			   VIRTIO_GPU_RESP_ERR_UNSPEC);
	attack_expect_type(attacker, vgpu_resource_assign_uuid(vgpu, BLOB, uuid),
			   VIRTIO_GPU_RESP_OK_RESOURCE_UUID);
	vgpu_update_cursor(vgpu, 0, BLOB, UINT32_MAX, UINT32_MAX, UINT32_MAX, UINT32_MAX);
	vgpu_update_cursor(vgpu, 15, BLOB, UINT32_MAX, UINT32_MAX, 63, 63);
	attack_expect_ok(attacker, vgpu_resource_unref(vgpu, BLOB));
}

/* ---- rows ---- */

#define ENTRY(gpa, bytes)                                                                          \
	{                                                                                          \
		.addr = (gpa), .length = (bytes)                                                   \
	}
#define LIST(...)                                                                                  \
	.payload = (const struct virtio_gpu_mem_entry[]){ __VA_ARGS__ },                           \
	.payload_size = sizeof((const struct virtio_gpu_mem_entry[]){ __VA_ARGS__ })
#define ONE_PAGE LIST(ENTRY(FREE_GPA, PAGE))
/* As a good one of a page but for what is said behind it. */
#define CREATE_MORE(the_mem, the_size, ...)                                                        \
	COMMAND(virtio_gpu_resource_create_blob, RESOURCE_CREATE_BLOB, .blob_mem = (the_mem),      \
		.size = (the_size), __VA_ARGS__)
#define CREATE(...) CREATE_MORE(GUEST, PAGE, __VA_ARGS__)
#define SENDS_BLOB(...) .run = run_send, .chain = { __VA_ARGS__ }
#define SENDS_ON(...) .run = run_on_blob, .chain = { __VA_ARGS__ }
#define SENDS_ON_SHOWN(...) .run = run_on_shown, .chain = { __VA_ARGS__ }
#define SCANOUT(the_format, the_width, the_height, the_stride, the_offset, ...)                    \
	COMMAND(virtio_gpu_set_scanout_blob, SET_SCANOUT_BLOB, .resource_id = BLOB,                \
		.format = (the_format), .width = (the_width), .height = (the_height),              \
		.strides = { the_stride }, .offsets = { the_offset }, __VA_ARGS__)
#define VIEW(...) .r = { __VA_ARGS__ }
#define VIEW_ALL VIEW(0, 0, STAGE_SIDE, STAGE_SIDE)
#define GOOD_SCANOUT(...)                                                                          \
	SCANOUT(FORMAT, STAGE_SIDE, STAGE_SIDE, STAGE_SIDE * 4, 0, __VA_ARGS__)
#define MAP(id, the_offset)                                                                        \
	COMMAND(virtio_gpu_resource_map_blob, RESOURCE_MAP_BLOB, .resource_id = (id),              \
		.offset = (the_offset))
#define UNMAP(id)                                                                                  \
	COMMAND(virtio_gpu_resource_unmap_blob, RESOURCE_UNMAP_BLOB, .resource_id = (id))
/* The first @bytes of a command. */
#define CUT(struct_type, command, bytes)                                                           \
	.request = &(const struct struct_type){ .hdr.type = VIRTIO_GPU_CMD_##command },            \
	.request_size = (bytes)

#define BAD_PARAMETER ANSWERED(ERR_INVALID_PARAMETER)
#define BAD_ID ANSWERED(ERR_INVALID_RESOURCE_ID)

static const struct attack attacks[] = {
	{ "blob/create_short", "RESOURCE_CREATE_BLOB short by a byte",
	  SENDS_BLOB(CUT(virtio_gpu_resource_create_blob, RESOURCE_CREATE_BLOB, 55)),
	  BAD_PARAMETER },
	{ "blob/id_0", "a blob of id 0",
	  SENDS_BLOB(CREATE(.resource_id = 0, .nr_entries = 1), ONE_PAGE), BAD_ID },
	{ "blob/id_used", "a blob of an id that a 2D resource has",
	  SENDS_BLOB(CREATE(.resource_id = STAGE_SHOWN, .nr_entries = 1), ONE_PAGE), BAD_ID },
	{ "blob/id_max", "a blob of id 0xffffffff",
	  SENDS_BLOB(CREATE(.resource_id = UINT32_MAX, .nr_entries = 1), ONE_PAGE),
	  ANSWERED(OK_NODATA) },
	{ "blob/id_twice", "a blob of an id that a blob has",
	  SENDS_ON(CREATE(.resource_id = BLOB, .nr_entries = 1), ONE_PAGE), BAD_ID },
	{ "blob/mem_0", "memory of kind 0",
	  SENDS_BLOB(CREATE_MORE(0, PAGE, .resource_id = BLOB, .nr_entries = 1), ONE_PAGE),
	  BAD_PARAMETER },
	{ "blob/mem_4", "memory of kind 4",
	  SENDS_BLOB(CREATE_MORE(4, PAGE, .resource_id = BLOB, .nr_entries = 1), ONE_PAGE),
	  BAD_PARAMETER },
	{ "blob/mem_max", "memory of kind 0xffffffff",
	  SENDS_BLOB(CREATE_MORE(UINT32_MAX, PAGE, .resource_id = BLOB, .nr_entries = 1), ONE_PAGE),
	  BAD_PARAMETER },
	{ "blob/flags_max", "all flags",
	  SENDS_BLOB(CREATE(.resource_id = BLOB, .blob_flags = UINT32_MAX, .nr_entries = 1),
		     ONE_PAGE),
	  BAD_PARAMETER },
	{ "blob/flags_8", "the flag behind the last one",
	  SENDS_BLOB(CREATE(.resource_id = BLOB, .blob_flags = 8, .nr_entries = 1), ONE_PAGE),
	  BAD_PARAMETER },
	{ "blob/size_0", "no bytes",
	  SENDS_BLOB(CREATE_MORE(GUEST, 0, .resource_id = BLOB, .nr_entries = 1), ONE_PAGE),
	  BAD_PARAMETER },
	{ "blob/size_max", "2^64 - 1 bytes in one page",
	  SENDS_BLOB(CREATE_MORE(GUEST, UINT64_MAX, .resource_id = BLOB, .nr_entries = 1),
		     ONE_PAGE),
	  BAD_PARAMETER },
	{ "blob/size_half", "2^63 bytes in one page",
	  SENDS_BLOB(CREATE_MORE(GUEST, UINT64_C(1) << 63, .resource_id = BLOB, .nr_entries = 1),
		     ONE_PAGE),
	  BAD_PARAMETER },
	{ "blob/size_4_gib", "2^32 + 1 bytes in one page",
	  SENDS_BLOB(CREATE_MORE(GUEST, UINT64_C(0x100000001), .resource_id = BLOB,
				 .nr_entries = 1),
		     ONE_PAGE),
	  BAD_PARAMETER },
	{ "blob/size_one_more", "a byte more than the pages have",
	  SENDS_BLOB(CREATE_MORE(GUEST, PAGE + 1, .resource_id = BLOB, .nr_entries = 1), ONE_PAGE),
	  BAD_PARAMETER },
	{ "blob/no_entries", "a guest's blob without pages",
	  SENDS_BLOB(CREATE(.resource_id = BLOB, .nr_entries = 0)), BAD_PARAMETER },
	{ "blob/entries_max", "0xffffffff entries, of which one is sent",
	  SENDS_BLOB(CREATE(.resource_id = BLOB, .nr_entries = UINT32_MAX), ONE_PAGE),
	  BAD_PARAMETER },
	{ "blob/entries_wrap", "2^28 entries, whose list has a length of 0 in 32 bits",
	  SENDS_BLOB(CREATE(.resource_id = BLOB, .nr_entries = 0x10000000), ONE_PAGE),
	  BAD_PARAMETER },
	{ "blob/entries_16385", "an entry more than there may be",
	  SENDS_BLOB(CREATE(.resource_id = BLOB, .nr_entries = 16385), ONE_PAGE), BAD_PARAMETER },
	{ "blob/entries_missing", "two entries, of which one is sent",
	  SENDS_BLOB(CREATE(.resource_id = BLOB, .nr_entries = 2), ONE_PAGE), BAD_PARAMETER },
	{ "blob/entry_nowhere", "a page where there is no memory",
	  SENDS_BLOB(CREATE(.resource_id = BLOB, .nr_entries = 1), LIST(ENTRY(HOLE_GPA, PAGE))),
	  ANSWERED(ERR_UNSPEC) },
	{ "blob/entry_wraps", "a page that ends behind the end of all addresses",
	  SENDS_BLOB(CREATE(.resource_id = BLOB, .nr_entries = 1),
		     LIST(ENTRY(UINT64_MAX - 100, PAGE))),
	  ANSWERED(ERR_UNSPEC) },
	{ "blob/entry_over_the_end", "a page that ends behind its region",
	  SENDS_BLOB(CREATE(.resource_id = BLOB, .nr_entries = 1),
		     LIST(ENTRY((32u << 20) - 8, PAGE))),
	  ANSWERED(ERR_UNSPEC) },
	{ "blob/entry_4_gib", "an entry of 0xffffffff bytes",
	  SENDS_BLOB(CREATE(.resource_id = BLOB, .nr_entries = 1), LIST(ENTRY(0, UINT32_MAX))),
	  ANSWERED(ERR_UNSPEC) },
	{ "blob/entry_empty", "an entry of no bytes among good ones",
	  SENDS_BLOB(CREATE(.resource_id = BLOB, .nr_entries = 2),
		     LIST(ENTRY(FREE_GPA, 0), ENTRY(FREE_GPA, PAGE))),
	  ANSWERED(ERR_UNSPEC) },
	{ "blob/entry_last_nowhere", "a page of no memory behind what the blob needs",
	  SENDS_BLOB(CREATE(.resource_id = BLOB, .nr_entries = 2),
		     LIST(ENTRY(FREE_GPA, PAGE), ENTRY(HOLE_GPA, PAGE))),
	  ANSWERED(ERR_UNSPEC) },
	{ "blob/entries_overlap", "the same bytes again and again, off by a few",
	  SENDS_BLOB(CREATE_MORE(GUEST, 3 * PAGE, .resource_id = BLOB, .nr_entries = 4),
		     LIST(ENTRY(FREE_GPA, PAGE), ENTRY(FREE_GPA + 1, PAGE),
			  ENTRY(FREE_GPA - 1, PAGE), ENTRY(FREE_GPA, 7))),
	  ANSWERED(OK_NODATA) },
	{ "blob/of_the_rings", "the pages that commands and answers lie in",
	  SENDS_BLOB(CREATE_MORE(GUEST, 0x8000, .resource_id = BLOB, .nr_entries = 1),
		     LIST(ENTRY(0, 0x8000))),
	  ANSWERED(OK_NODATA) },
	{ "blob/host_without_context", "memory of the host's, of a context that there is not",
	  SENDS_BLOB(CREATE_MORE(VIRTIO_GPU_BLOB_MEM_HOST3D, PAGE, .hdr.ctx_id = STAGE_NOBODY,
				 .resource_id = BLOB, .blob_id = UINT64_MAX)),
	  .responses = { VIRTIO_GPU_RESP_ERR_UNSPEC, VIRTIO_GPU_RESP_ERR_INVALID_CONTEXT_ID } },
	{ "blob/host_with_pages", "memory of the host's with a list of pages",
	  SENDS_BLOB(CREATE_MORE(VIRTIO_GPU_BLOB_MEM_HOST3D, PAGE, .resource_id = BLOB,
				 .nr_entries = 1),
		     ONE_PAGE),
	  BAD_PARAMETER },
	{ "blob/host_of_all_bytes", "2^64 - 1 bytes of the host's",
	  SENDS_BLOB(CREATE_MORE(VIRTIO_GPU_BLOB_MEM_HOST3D, UINT64_MAX, .resource_id = BLOB,
				 .blob_id = UINT64_MAX)),
	  .responses = { VIRTIO_GPU_RESP_ERR_UNSPEC, VIRTIO_GPU_RESP_ERR_INVALID_CONTEXT_ID } },
	{ "blob/as_2d", "a blob as the target of every other command", .run = run_as_2d,
	  .outcome = "refused, or without effect" },

	{ "blob_scanout/short", "SET_SCANOUT_BLOB short by a byte",
	  SENDS_BLOB(CUT(virtio_gpu_set_scanout_blob, SET_SCANOUT_BLOB, 95)), BAD_PARAMETER },
	{ "blob_scanout/id_16", "scanout 16", SENDS_ON(GOOD_SCANOUT(VIEW_ALL, .scanout_id = 16)),
	  ANSWERED(ERR_INVALID_SCANOUT_ID) },
	{ "blob_scanout/id_max", "scanout 0xffffffff",
	  SENDS_ON(GOOD_SCANOUT(VIEW_ALL, .scanout_id = UINT32_MAX)),
	  ANSWERED(ERR_INVALID_SCANOUT_ID) },
	{ "blob_scanout/of_none", "no such resource",
	  SENDS_BLOB(GOOD_SCANOUT(VIEW_ALL)), BAD_ID },
	{ "blob_scanout/of_2d", "a resource that is no blob",
	  SENDS_BLOB(COMMAND(virtio_gpu_set_scanout_blob, SET_SCANOUT_BLOB,
			     .resource_id = STAGE_SHOWN, .r = { 0, 0, 64, 64 }, .width = 64,
			     .height = 64, .format = FORMAT, .strides = { 256 })),
	  BAD_PARAMETER },
	{ "blob_scanout/format_0", "format 0",
	  SENDS_ON_SHOWN(SCANOUT(0, 64, 64, 256, 0, VIEW_ALL)), BAD_PARAMETER },
	{ "blob_scanout/format_max", "format 0xffffffff",
	  SENDS_ON_SHOWN(SCANOUT(UINT32_MAX, 64, 64, 256, 0, VIEW_ALL)), BAD_PARAMETER },
	{ "blob_scanout/format_16_bits", "a format of two bytes a pixel",
	  SENDS_ON_SHOWN(SCANOUT(7, 64, 64, 256, 0, VIEW_ALL)), BAD_PARAMETER },
	{ "blob_scanout/width_0", "a picture of no width",
	  SENDS_ON_SHOWN(SCANOUT(FORMAT, 0, 64, 256, 0, VIEW_ALL)), BAD_PARAMETER },
	{ "blob_scanout/height_0", "a picture of no height",
	  SENDS_ON_SHOWN(SCANOUT(FORMAT, 64, 0, 256, 0, VIEW_ALL)), BAD_PARAMETER },
	{ "blob_scanout/width_max", "a width of 0xffffffff",
	  SENDS_ON_SHOWN(SCANOUT(FORMAT, UINT32_MAX, 64, 256, 0, VIEW_ALL)), BAD_PARAMETER },
	{ "blob_scanout/width_wraps", "a width whose row has 256 bytes in 32 bits",
	  SENDS_ON_SHOWN(SCANOUT(FORMAT, 0x40000040, 64, 256, 0, VIEW_ALL)), BAD_PARAMETER },
	{ "blob_scanout/height_max", "a height of 0xffffffff",
	  SENDS_ON_SHOWN(SCANOUT(FORMAT, 64, UINT32_MAX, 256, 0, VIEW_ALL)), BAD_PARAMETER },
	{ "blob_scanout/height_wraps", "a height whose rows have 16 KiB in 32 bits",
	  SENDS_ON_SHOWN(SCANOUT(FORMAT, 64, 0x01000040, 256, 0, VIEW_ALL)), BAD_PARAMETER },
	{ "blob_scanout/stride_0", "rows that lie over each other",
	  SENDS_ON_SHOWN(SCANOUT(FORMAT, 64, 64, 0, 0, VIEW_ALL)), BAD_PARAMETER },
	{ "blob_scanout/stride_short", "a stride of a byte less than a row",
	  SENDS_ON_SHOWN(SCANOUT(FORMAT, 64, 64, 255, 0, VIEW_ALL)), BAD_PARAMETER },
	{ "blob_scanout/stride_long", "a stride whose last row ends a byte behind the blob",
	  SENDS_ON_SHOWN(SCANOUT(FORMAT, 64, 63, 260, 16, VIEW(0, 0, 64, 63))), BAD_PARAMETER },
	{ "blob_scanout/stride_max", "a stride of 0xffffffff",
	  SENDS_ON_SHOWN(SCANOUT(FORMAT, 64, 64, UINT32_MAX, 0, VIEW_ALL)), BAD_PARAMETER },
	{ "blob_scanout/offset_1", "a picture that begins a byte too late",
	  SENDS_ON_SHOWN(SCANOUT(FORMAT, 64, 64, 256, 1, VIEW_ALL)), BAD_PARAMETER },
	{ "blob_scanout/offset_max", "an offset of 0xffffffff",
	  SENDS_ON_SHOWN(SCANOUT(FORMAT, 64, 64, 256, UINT32_MAX, VIEW_ALL)), BAD_PARAMETER },
	{ "blob_scanout/all_max", "all numbers 0xffffffff",
	  SENDS_ON_SHOWN(SCANOUT(FORMAT, UINT32_MAX, UINT32_MAX, UINT32_MAX, UINT32_MAX,
				 VIEW(UINT32_MAX, UINT32_MAX, UINT32_MAX, UINT32_MAX))),
	  BAD_PARAMETER },
	{ "blob_scanout/view_wraps", "a view that ends behind 2^32",
	  SENDS_ON_SHOWN(GOOD_SCANOUT(VIEW(UINT32_MAX - 15, 0, 17, 64))), BAD_PARAMETER },
	{ "blob_scanout/view_outside", "a view of a column more than the picture has",
	  SENDS_ON_SHOWN(GOOD_SCANOUT(VIEW(1, 0, 64, 64))), BAD_PARAMETER },
	{ "blob_scanout/view_small", "a view of 15 rows",
	  SENDS_ON_SHOWN(GOOD_SCANOUT(VIEW(0, 0, 64, 15))), BAD_PARAMETER },
	{ "blob_scanout/planes", "nonsense for the planes that no format here has",
	  SENDS_ON(COMMAND(virtio_gpu_set_scanout_blob, SET_SCANOUT_BLOB, VIEW_ALL,
			   .resource_id = BLOB, .width = 64, .height = 64, .format = FORMAT,
			   .strides = { 256, UINT32_MAX, UINT32_MAX, UINT32_MAX },
			   .offsets = { 0, UINT32_MAX, UINT32_MAX, UINT32_MAX })),
	  ANSWERED(OK_NODATA) },
	{ "blob_scanout/flush_outside", "a flush of a row more than the picture has",
	  SENDS_ON_SHOWN(COMMAND(virtio_gpu_resource_flush, RESOURCE_FLUSH,
				 .r = { 0, 0, 64, 65 }, .resource_id = BLOB)),
	  BAD_PARAMETER },
	{ "blob_scanout/flush_wraps", "a flush of a rectangle that ends behind 2^32",
	  SENDS_ON_SHOWN(COMMAND(virtio_gpu_resource_flush, RESOURCE_FLUSH,
				 .r = { UINT32_MAX, 0, 2, 64 }, .resource_id = BLOB)),
	  BAD_PARAMETER },

	{ "blob_map/short", "RESOURCE_MAP_BLOB short by a byte",
	  SENDS_BLOB(CUT(virtio_gpu_resource_map_blob, RESOURCE_MAP_BLOB, 39)), BAD_PARAMETER },
	{ "blob_map/of_none", "no such resource, at the end of all addresses",
	  SENDS_BLOB(MAP(STAGE_NOBODY, UINT64_MAX)), BAD_ID },
	{ "blob_map/of_2d", "a resource that is no blob", SENDS_BLOB(MAP(STAGE_SHOWN, 0)),
	  ANSWERED(ERR_UNSPEC) },
	{ "blob_map/of_the_guest", "memory of the guest's", SENDS_ON(MAP(BLOB, 0)),
	  ANSWERED(ERR_UNSPEC) },
	{ "blob_map/offset_max", "an offset of 2^64 - 1", SENDS_ON(MAP(BLOB, UINT64_MAX)),
	  ANSWERED(ERR_UNSPEC) },
	{ "blob_map/offset_wraps", "an offset from which a page ends behind 2^64",
	  SENDS_ON(MAP(BLOB, UINT64_MAX - 4095)), ANSWERED(ERR_UNSPEC) },
	{ "blob_map/unmap_none", "an unmapping of no resource", SENDS_BLOB(UNMAP(STAGE_NOBODY)),
	  BAD_ID },
	{ "blob_map/unmap_unmapped", "an unmapping of what is not mapped", SENDS_ON(UNMAP(BLOB)),
	  BAD_PARAMETER },
	{ "blob_map/unmap_2d", "an unmapping of what is no blob", SENDS_BLOB(UNMAP(STAGE_SHOWN)),
	  BAD_PARAMETER },
};

const struct attack_list attacks_blob = { attacks, G_N_ELEMENTS(attacks) };
