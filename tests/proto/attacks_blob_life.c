/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * Blobs whose pages are looked at where they lie: rewritten, given up, unplugged while a display
 * reads them, cut into as many pieces as there may be.
 */
#include <string.h>

#include "attacks.h"
#include "suite.h"

#define FORMAT VIRTIO_GPU_FORMAT_B8G8R8X8_UNORM
#define OTHER_FORMAT VIRTIO_GPU_FORMAT_R8G8B8X8_UNORM
#define PAGE 4096u
#define GUEST VIRTIO_GPU_BLOB_MEM_GUEST
#define BLOB 50u
#define SPARE 60u
/* Pages from FREE_GPA on, every other one. */
#define N_FREE_PAGES 2048u
#define MAX_ENTRIES 16384u
/* A page is a row. */
#define ROW_PIXELS (PAGE / 4u)

static const struct vgpu_layout stage_layout = { FORMAT, STAGE_SIDE, STAGE_SIDE, STAGE_SIDE * 4,
						 0 };
static const struct vgpu_layout spare_layout = { FORMAT, SPARE_SIDE, SPARE_SIDE, SPARE_SIDE * 4,
						 0 };

static void flush_all(struct attacker *attacker, uint32_t id, const struct vgpu_layout *layout)
{
	attack_expect_ok(attacker, vgpu_resource_flush(attacker->rig->vgpu, id, 0, 0, layout->width,
						       layout->height));
}

static void show(struct attacker *attacker, uint32_t scanout, uint32_t id,
		 const struct vgpu_layout *layout)
{
	attack_expect_ok(attacker,
			 vgpu_set_scanout_blob(attacker->rig->vgpu, scanout, id, layout));
	flush_all(attacker, id, layout);
}

static void expect_pixel(struct attacker *attacker, uint32_t scanout, uint32_t x, uint32_t y,
			 uint32_t pixel)
{
	attack_expect(attacker,
		      !attacker->has_pictures || display_shows_pixel(attacker->rig->display, scanout,
								     x, y, pixel & 0xffffff),
		      "another picture is shown");
}

/* ---- unref and reuse ---- */

/* Shown and given up, again and again, on all scanouts. */
static void run_unref_shown(struct attacker *attacker)
{
	struct vgpu *vgpu = attacker->rig->vgpu;

	for (uint32_t i = 0; i < 200; i++) {
		if (!attack_make_blob(attacker, BLOB)) {
			return;
		}
		show(attacker, i % 16, BLOB, &stage_layout);
		show(attacker, (i + 5) % 16, BLOB, &stage_layout);
		attack_expect_ok(attacker, vgpu_resource_unref(vgpu, BLOB));
		attack_expect_type(attacker,
				   vgpu_resource_flush(vgpu, BLOB, 0, 0, STAGE_SIDE, STAGE_SIDE),
				   VIRTIO_GPU_RESP_ERR_INVALID_RESOURCE_ID);
	}
}

/* A display that does not read has been lent the pages of blobs that are gone; the guest has other
 * use for them. */
static void run_unref_lent(struct attacker *attacker)
{
	struct rig *rig = attacker->rig;
	uint64_t gpa = rig_backing(rig, NULL, SPARE_BYTES);

	if (!attack_make_blob(attacker, BLOB)) {
		return;
	}
	display_set_stalled(rig->display, true);
	for (uint32_t i = 0; i < 50; i++) {
		attack_expect_ok(attacker, vgpu_resource_create_guest_blob(rig->vgpu, SPARE, gpa,
									   SPARE_BYTES));
		show(attacker, 0, SPARE, &spare_layout);
		attack_expect_ok(attacker, vgpu_resource_unref(rig->vgpu, SPARE));
		memset(guestram_at(rig->ram, gpa, SPARE_BYTES), (int)i, SPARE_BYTES);
	}
	display_set_stalled(rig->display, false);
	show(attacker, 0, BLOB, &stage_layout);
}

/* Back and forth between two blobs, while the display reads, and while it does not. */
static void run_flip_storm(struct attacker *attacker)
{
	struct rig *rig = attacker->rig;
	struct virtio_gpu_set_scanout_blob set = {
		.hdr.type = VIRTIO_GPU_CMD_SET_SCANOUT_BLOB,
		.r = { 0, 0, STAGE_SIDE, STAGE_SIDE },
		.width = STAGE_SIDE,
		.height = STAGE_SIDE,
		.format = FORMAT,
		.strides = { STAGE_SIDE * 4 },
	};
	struct virtio_gpu_resource_flush flush = { .hdr.type = VIRTIO_GPU_CMD_RESOURCE_FLUSH,
						   .r = { 0, 0, STAGE_SIDE, STAGE_SIDE } };
	const struct vgpu_chain chains[] = {
		{ .request = &set, .request_size = sizeof(set), .response_size = HEADER_BYTES },
		{ .request = &flush, .request_size = sizeof(flush), .response_size = HEADER_BYTES },
	};
	struct vgpu_call *calls[100];

	if (!attack_make_blob(attacker, BLOB) || !attack_make_blob(attacker, BLOB + 1)) {
		return;
	}
	for (unsigned int round = 0; round < 40; round++) {
		display_set_stalled(rig->display, round % 2);
		for (unsigned int i = 0; i < G_N_ELEMENTS(calls); i++) {
			set.resource_id = flush.resource_id = BLOB + i / 2 % 2;
			set.format = i / 4 % 2 ? FORMAT : OTHER_FORMAT;
			calls[i] = vgpu_submit(rig->vgpu, VGPU_CONTROL, &chains[i % 2]);
		}
		vgpu_kick(rig->vgpu, VGPU_CONTROL);
		for (unsigned int i = 0; i < G_N_ELEMENTS(calls); i++) {
			if (!vgpu_wait(rig->vgpu, calls[i], VGPU_ANSWER_MS)) {
				g_error("command %u is not answered", i);
			}
			attack_expect_ok(attacker, vgpu_finish(rig->vgpu, calls[i]));
		}
	}
	display_set_stalled(rig->display, false);
	show(attacker, 0, BLOB, &stage_layout);
}

static void run_reset_lent(struct attacker *attacker)
{
	struct rig *rig = attacker->rig;

	for (unsigned int i = 0; i < 5; i++) {
		uint64_t gpa = rig_backing(rig, NULL, SPARE_BYTES);

		if (!attack_make_blob(attacker, BLOB)) {
			return;
		}
		display_set_stalled(rig->display, true);
		attack_expect_ok(attacker, vgpu_resource_create_guest_blob(rig->vgpu, SPARE, gpa,
									   SPARE_BYTES));
		show(attacker, 0, SPARE, &spare_layout);
		show(attacker, 1, BLOB, &stage_layout);
		display_set_stalled(rig->display, false);
		attack_repair(attacker);
		attacker->shown_gpa = rig_backing(rig, NULL, STAGE_BYTES);
		attack_expect_type(attacker, vgpu_resource_unref(rig->vgpu, BLOB),
				   VIRTIO_GPU_RESP_ERR_INVALID_RESOURCE_ID);
	}
}

/* ---- memory that goes ---- */

static bool make_spare(struct attacker *attacker, unsigned int *index_out)
{
	struct vgpu *vgpu = attacker->rig->vgpu;

	if (!attack_can_unplug(attacker) || !attack_make_blob(attacker, BLOB)) {
		return false;
	}
	*index_out = attack_plug(attacker);
	attack_expect_ok(attacker, vgpu_resource_create_guest_blob(vgpu, SPARE, SPARE_GPA,
								   SPARE_BYTES));
	attack_expect_ok(attacker, vgpu_set_scanout_blob(vgpu, 0, SPARE, &spare_layout));
	return true;
}

static uint32_t flush_spare(struct attacker *attacker)
{
	return vgpu_resource_flush(attacker->rig->vgpu, SPARE, 0, 0, SPARE_SIDE, SPARE_SIDE);
}

static void run_unplug_shown(struct attacker *attacker)
{
	struct vgpu *vgpu = attacker->rig->vgpu;
	unsigned int index;

	if (!make_spare(attacker, &index)) {
		return;
	}
	attack_expect_ok(attacker, flush_spare(attacker));
	attack_unplug(attacker, index);
	for (unsigned int i = 0; i < 10; i++) {
		attack_expect_type(attacker, flush_spare(attacker), ATTACK_AN_ERROR);
		attack_expect_ok(attacker, vgpu_set_scanout_blob(vgpu, i, SPARE, &spare_layout));
		vgpu_update_cursor(vgpu, 0, SPARE, 1, 1, 0, 0);
	}
	attack_expect_ok(attacker, vgpu_resource_unref(vgpu, SPARE));
	attack_expect_type(attacker, vgpu_resource_create_guest_blob(vgpu, SPARE, SPARE_GPA, PAGE),
			   ATTACK_AN_ERROR);
	attack_forget_region(attacker, index);
}

/* The display has been lent the pages when they are unplugged, and reads them later. */
static void run_unplug_lent(struct attacker *attacker)
{
	struct rig *rig = attacker->rig;
	unsigned int index;

	if (!make_spare(attacker, &index)) {
		return;
	}
	for (unsigned int i = 0; i < 10; i++) {
		memset(rig->ram->regions[index].hva, 0x11 * (int)i, SPARE_BYTES);
		display_set_stalled(rig->display, true);
		attack_expect_ok(attacker, flush_spare(attacker));
		attack_unplug(attacker, index);
		display_set_stalled(rig->display, false);
		expect_pixel(attacker, 0, SPARE_SIDE - 1, SPARE_SIDE - 1, 0x111111 * i);
		g_assert_cmpuint(
			frontend_add_region(rig->frontend, &rig->ram->regions[index]), ==, 0);
	}
	attack_expect_ok(attacker, vgpu_resource_unref(rig->vgpu, SPARE));
	attack_unplug(attacker, index);
	attack_forget_region(attacker, index);
}

/* Other memory in the same place: it is shown, and the old is not. */
static void run_unplug_and_replace(struct attacker *attacker)
{
	struct rig *rig = attacker->rig;
	unsigned int index;

	if (!make_spare(attacker, &index)) {
		return;
	}
	for (unsigned int i = 1; i <= 8; i++) {
		memset(rig->ram->regions[index].hva, 0x11 * (int)i, SPARE_BYTES);
		attack_expect_ok(attacker, flush_spare(attacker));
		expect_pixel(attacker, 0, 9, 9, 0x111111 * i);
		attack_unplug(attacker, index);
		attack_forget_region(attacker, index);
		index = attack_plug(attacker);
	}
	attack_expect_ok(attacker, vgpu_resource_unref(rig->vgpu, SPARE));
	attack_unplug(attacker, index);
	attack_forget_region(attacker, index);
}

/* Unplugged while it is looked at: of the old memory, or an error. */
static void run_unplug_under_flush(struct attacker *attacker)
{
	struct rig *rig = attacker->rig;
	struct virtio_gpu_resource_flush flush = { .hdr.type = VIRTIO_GPU_CMD_RESOURCE_FLUSH,
						   .r = { 0, 0, SPARE_SIDE, SPARE_SIDE },
						   .resource_id = SPARE };
	const struct vgpu_chain chain = { .request = &flush,
					  .request_size = sizeof(flush),
					  .response_size = HEADER_BYTES };
	struct vgpu_layout layout = spare_layout;
	struct vgpu_call *calls[8];
	unsigned int index;

	if (!make_spare(attacker, &index)) {
		return;
	}
	for (unsigned int round = 0; round < 30; round++) {
		/* By turns as it lies, and copied. */
		layout.format = round % 2 ? FORMAT : OTHER_FORMAT;
		attack_expect_ok(attacker, vgpu_set_scanout_blob(rig->vgpu, 0, SPARE, &layout));
		for (unsigned int i = 0; i < G_N_ELEMENTS(calls); i++) {
			calls[i] = vgpu_submit(rig->vgpu, VGPU_CONTROL, &chain);
		}
		vgpu_kick(rig->vgpu, VGPU_CONTROL);
		if (round % 3 == 0) {
			vgpu_wait(rig->vgpu, calls[0], VGPU_ANSWER_MS);
		}
		attack_unplug(attacker, index);
		for (unsigned int i = 0; i < G_N_ELEMENTS(calls); i++) {
			if (!vgpu_wait(rig->vgpu, calls[i], VGPU_ANSWER_MS)) {
				g_error("flush %u is not answered", i);
			}
			attack_expect_type(attacker, vgpu_finish(rig->vgpu, calls[i]),
					   ATTACK_AN_ANSWER);
		}
		g_assert_cmpuint(
			frontend_add_region(rig->frontend, &rig->ram->regions[index]), ==, 0);
	}
	attack_expect_ok(attacker, vgpu_resource_unref(rig->vgpu, SPARE));
	attack_unplug(attacker, index);
	attack_forget_region(attacker, index);
}

/* ---- pieces ---- */

static uint64_t page_of(uint32_t i)
{
	return FREE_GPA + i % N_FREE_PAGES * 2u * PAGE;
}

/* Blob @id of @n pages, none beside the one before it, each full of its number. */
static void make_pieces(struct attacker *attacker, uint32_t id, uint32_t n)
{
	g_autofree struct virtio_gpu_mem_entry *entries = g_new0(struct virtio_gpu_mem_entry, n);
	const struct vgpu_blob blob = { .mem = GUEST,
					.size_bytes = (uint64_t)n * PAGE,
					.entries = entries,
					.n_entries = n };

	for (uint32_t i = 0; i < n; i++) {
		uint32_t *words = guestram_at(attacker->rig->ram, page_of(i), PAGE);

		entries[i] = (struct virtio_gpu_mem_entry){ page_of(i), PAGE, 0 };
		for (uint32_t k = 0; k < ROW_PIXELS; k++) {
			words[k] = i % N_FREE_PAGES * 3;
		}
	}
	attack_expect_ok(attacker, vgpu_resource_create_blob(attacker->rig->vgpu, id, &blob));
}

/* As many pieces as the row says, all of them seen. */
static void run_pieces(struct attacker *attacker)
{
	uint32_t n = (uint32_t)attacker->attack->numbers[0];
	const struct vgpu_layout layout = { FORMAT, ROW_PIXELS, n, PAGE, 0 };

	if (!attack_make_blob(attacker, BLOB)) {
		return;
	}
	make_pieces(attacker, SPARE, n);
	show(attacker, 0, SPARE, &layout);
	expect_pixel(attacker, 0, 0, 1, 3);
	expect_pixel(attacker, 0, ROW_PIXELS - 1, n - 1, (n - 1) % N_FREE_PAGES * 3);
	attack_expect_ok(attacker, vgpu_resource_unref(attacker->rig->vgpu, SPARE));
}

/* More pieces than a process may join, in many blobs that are all on a scanout; three times over. */
static void run_pieces_of_many(struct attacker *attacker)
{
	const uint32_t n = 8192;
	const struct vgpu_layout layout = { FORMAT, ROW_PIXELS, n, PAGE, 0 };
	const struct virtio_gpu_rect end = { 0, n - 32, 64, 32 };
	struct vgpu *vgpu = attacker->rig->vgpu;

	if (!attack_make_blob(attacker, BLOB)) {
		return;
	}
	for (unsigned int round = 0; round < 3; round++) {
		for (uint32_t i = 0; i < 16; i++) {
			make_pieces(attacker, 100 + i, n);
			attack_expect_ok(attacker,
					 vgpu_set_scanout_blob_rect(vgpu, i, 100 + i, &layout,
								    &end));
			attack_expect_type(attacker,
					   vgpu_resource_flush(vgpu, 100 + i, 0, n - 1, 1, 1),
					   ATTACK_AN_ANSWER);
		}
		expect_pixel(attacker, 0, 63, 31, (n - 1) % N_FREE_PAGES * 3);
		for (uint32_t i = 0; i < 16; i++) {
			attack_expect_ok(attacker, vgpu_resource_unref(vgpu, 100 + i));
		}
	}
}

/* A quarter of a terabyte each, of the same 32 MiB again and again; rows 4 GiB apart. */
static void run_address_space(struct attacker *attacker)
{
	const uint32_t n = 8192, region_bytes = 32u << 20;
	g_autofree struct virtio_gpu_mem_entry *entries = g_new0(struct virtio_gpu_mem_entry, n);
	const struct vgpu_blob blob = { .mem = GUEST,
					.size_bytes = (uint64_t)n * region_bytes,
					.entries = entries,
					.n_entries = n };
	const struct vgpu_layout layout = { FORMAT, 64, 60, 127 * region_bytes,
					    (uint32_t)FREE_GPA };
	struct vgpu *vgpu = attacker->rig->vgpu;

	if (!attack_make_blob(attacker, BLOB)) {
		return;
	}
	memset(guestram_at(attacker->rig->ram, FREE_GPA, 256), 0x5a, 256);
	for (uint32_t i = 0; i < n; i++) {
		entries[i] = (struct virtio_gpu_mem_entry){ 0, region_bytes, 0 };
	}
	for (uint32_t i = 0; i < 16; i++) {
		attack_expect_ok(attacker, vgpu_resource_create_blob(vgpu, 100 + i, &blob));
		attack_expect_ok(attacker, vgpu_set_scanout_blob(vgpu, i, 100 + i, &layout));
		attack_expect_type(attacker, vgpu_resource_flush(vgpu, 100 + i, 0, 0, 64, 60),
				   ATTACK_AN_ANSWER);
	}
	expect_pixel(attacker, 0, 63, 59, 0x5a5a5a);
	for (uint32_t i = 0; i < 16; i++) {
		attack_expect_ok(attacker, vgpu_resource_unref(vgpu, 100 + i));
	}
}

/* Lists as long as they may be, until there is no more; and all of them back. */
static void run_list_hoard(struct attacker *attacker)
{
	g_autofree struct virtio_gpu_mem_entry *entries =
		g_new0(struct virtio_gpu_mem_entry, MAX_ENTRIES);
	const struct vgpu_blob blob = { .mem = GUEST,
					.size_bytes = PAGE,
					.entries = entries,
					.n_entries = MAX_ENTRIES };
	struct vgpu *vgpu = attacker->rig->vgpu;
	uint32_t n = 0, type = VIRTIO_GPU_RESP_OK_NODATA;

	if (!attack_make_blob(attacker, BLOB)) {
		return;
	}
	for (uint32_t i = 0; i < MAX_ENTRIES; i++) {
		entries[i] = (struct virtio_gpu_mem_entry){ page_of(i), PAGE, 0 };
	}
	while (n < 4000 && type == VIRTIO_GPU_RESP_OK_NODATA) {
		type = vgpu_resource_create_blob(vgpu, 1000 + n, &blob);
		n += type == VIRTIO_GPU_RESP_OK_NODATA;
	}
	attack_expect_type(attacker, type, VIRTIO_GPU_RESP_ERR_OUT_OF_MEMORY);
	for (uint32_t i = 0; i < n; i++) {
		attack_expect_ok(attacker, vgpu_resource_unref(vgpu, 1000 + i));
	}
}

/* ---- races ---- */

/* The row's race with BLOB over the shown resource's pixels, on scanout 0. */
static void run_race(struct attacker *attacker)
{
	if (!attack_make_blob(attacker, BLOB)) {
		return;
	}
	attack_expect_ok(attacker,
			 vgpu_set_scanout_blob(attacker->rig->vgpu, 0, BLOB, &stage_layout));
	attack_race(attacker);
}

/* Where there are none, or not yet. */
static void run_race_create(struct attacker *attacker)
{
	if (attack_make_blob(attacker, SPARE)) {
		attack_race(attacker);
	}
}

static void undo_create(struct vgpu *vgpu)
{
	vgpu_resource_unref(vgpu, BLOB);
}

#define FLUSH                                                                                      \
	.chain = { COMMAND(virtio_gpu_resource_flush, RESOURCE_FLUSH,                              \
			   .r = { 0, 0, STAGE_SIDE, STAGE_SIDE }, .resource_id = BLOB) }
#define SET_SCANOUT                                                                                \
	.chain = { COMMAND(virtio_gpu_set_scanout_blob, SET_SCANOUT_BLOB,                          \
			   .r = { 0, 0, STAGE_SIDE, STAGE_SIDE }, .resource_id = BLOB,             \
			   .width = STAGE_SIDE, .height = STAGE_SIDE, .format = FORMAT,            \
			   .strides = { STAGE_SIDE * 4 }) }
#define CREATE                                                                                     \
	.chain = { COMMAND(virtio_gpu_resource_create_blob, RESOURCE_CREATE_BLOB,                  \
			   .resource_id = BLOB, .blob_mem = GUEST, .nr_entries = 1,                \
			   .size = PAGE),                                                          \
		   .payload = &(const struct virtio_gpu_mem_entry){ .addr = FREE_GPA,              \
								    .length = PAGE },              \
		   .payload_size = sizeof(struct virtio_gpu_mem_entry) }
#define RACE(how, ...)                                                                             \
	.run = (how), .data = &(const struct attack_race)                                          \
	{                                                                                          \
		__VA_ARGS__                                                                        \
	}
#define RACE_SHOWN(at_place, where, to, ...)                                                       \
	RACE(run_race, .place = (at_place), where, .bad = (to), ##__VA_ARGS__)
#define RACE_CREATE(at_place, where, to)                                                           \
	RACE(run_race_create, .place = (at_place), where, .bad = (to), .undo = undo_create)
#define EACH_ANSWERED .outcome = "each round answered"
#define DESC(field) FIELD(vring_desc, field)

static const struct attack attacks[] = {
	{ "blob_life/unref_shown", "a blob given up while it is shown, 200 times",
	  .run = run_unref_shown, .outcome = "each step right" },
	{ "blob_life/unref_lent", "pages that a display still reads, used for something else",
	  .run = run_unref_lent, .outcome = "each step right" },
	{ "blob_life/flip_storm", "4000 page flips, half of them to a display that does not read",
	  .run = run_flip_storm, .outcome = "each answered OK_NODATA" },
	{ "blob_life/reset_lent", "a reset while a display reads the pages", .run = run_reset_lent,
	  .end = ATTACK_REPAIR, .outcome = "nothing of it is left" },
	{ "blob_life/unplug_shown", "memory unplugged under a blob on a scanout",
	  .run = run_unplug_shown, .outcome = "an error; scanout and unref as ever" },
	{ "blob_life/unplug_lent", "memory unplugged that a display has been lent",
	  .run = run_unplug_lent, .outcome = "the display gets what was flushed" },
	{ "blob_life/unplug_and_replace", "a blob's memory replaced by other memory",
	  .run = run_unplug_and_replace, .outcome = "the new memory is shown" },
	{ "blob_life/unplug_under_flush", "a blob's memory unplugged while it is flushed",
	  .run = run_unplug_under_flush, .outcome = "each flush answered" },
	{ "blob_life/pieces", "a blob of as many pieces as are joined", .run = run_pieces,
	  .numbers = { 8192 }, .outcome = "shown right" },
	{ "blob_life/pieces_one_more", "and one more", .run = run_pieces, .numbers = { 8193 },
	  .outcome = "shown right" },
	{ "blob_life/pieces_max", "a blob of 16384 pieces", .run = run_pieces,
	  .numbers = { MAX_ENTRIES }, .outcome = "shown right" },
	{ "blob_life/pieces_of_many", "16 blobs of 8192 pieces each, three times",
	  .run = run_pieces_of_many, .outcome = "shown right", .has_plain_heap = true },
	{ "blob_life/address_space", "16 blobs of 256 GiB, out of the same 32 MiB",
	  .run = run_address_space, .outcome = "shown right, or an error", .has_plain_heap = true },
	{ "blob_life/list_hoard", "blobs with the longest list, until there is no more",
	  .run = run_list_hoard, .outcome = "ERR_OUT_OF_MEMORY, and all given back",
	  .has_plain_heap = true },

	{ "blob_race/pixels", "pixels while they are shown", FLUSH,
	  RACE_SHOWN(RACE_PIXELS, AT(0, 4), 0x00fedcba), EACH_ANSWERED },
	{ "blob_race/flush_id", "a flush's blob, to one that there isn't", FLUSH,
	  RACE_SHOWN(RACE_COMMAND, FIELD(virtio_gpu_resource_flush, resource_id), STAGE_NOBODY),
	  EACH_ANSWERED },
	{ "blob_race/flush_height", "a flush's height, to 0xffffffff", FLUSH,
	  RACE_SHOWN(RACE_COMMAND, FIELD(virtio_gpu_resource_flush, r.height), UINT32_MAX),
	  EACH_ANSWERED },
	{ "blob_race/flush_descriptor", "a flush's descriptor, to where there is no memory", FLUSH,
	  RACE_SHOWN(RACE_DESCRIPTOR, DESC(addr), HOLE_GPA, .may_break = true),
	  .end = ATTACK_REPAIR, .outcome = "each round answered, or the queue broken" },
	{ "blob_race/scanout_stride", "a picture's stride, to 0xfffffffc", SET_SCANOUT,
	  RACE_SHOWN(RACE_COMMAND, FIELD(virtio_gpu_set_scanout_blob, strides[0]), 0xfffffffc),
	  EACH_ANSWERED },
	{ "blob_race/scanout_offset", "a picture's offset, to 0xfffffffc", SET_SCANOUT,
	  RACE_SHOWN(RACE_COMMAND, FIELD(virtio_gpu_set_scanout_blob, offsets[0]), 0xfffffffc),
	  EACH_ANSWERED },
	{ "blob_race/scanout_height", "a picture's height, to 2^30", SET_SCANOUT,
	  RACE_SHOWN(RACE_COMMAND, FIELD(virtio_gpu_set_scanout_blob, height), 0x40000000),
	  EACH_ANSWERED },
	{ "blob_race/scanout_id", "a scanout's blob, to what is no blob", SET_SCANOUT,
	  RACE_SHOWN(RACE_COMMAND, FIELD(virtio_gpu_set_scanout_blob, resource_id), STAGE_LARGE),
	  EACH_ANSWERED },
	{ "blob_race/create_size", "a blob's size, to 2^64 - 1", CREATE,
	  RACE_CREATE(RACE_COMMAND, FIELD(virtio_gpu_resource_create_blob, size), UINT64_MAX),
	  EACH_ANSWERED },
	{ "blob_race/create_entries", "the number of its entries, to 2^28", CREATE,
	  RACE_CREATE(RACE_COMMAND, FIELD(virtio_gpu_resource_create_blob, nr_entries), 0x10000000),
	  EACH_ANSWERED },
	{ "blob_race/create_mem", "the kind of its memory, to the host's", CREATE,
	  RACE_CREATE(RACE_COMMAND, FIELD(virtio_gpu_resource_create_blob, blob_mem),
		      VIRTIO_GPU_BLOB_MEM_HOST3D),
	  EACH_ANSWERED },
	{ "blob_race/entry_address", "a page's address, to where there is no memory", CREATE,
	  RACE_CREATE(RACE_PAYLOAD, FIELD(virtio_gpu_mem_entry, addr), HOLE_GPA), EACH_ANSWERED },
	{ "blob_race/entry_length", "a page's length, to 1", CREATE,
	  RACE_CREATE(RACE_PAYLOAD, FIELD(virtio_gpu_mem_entry, length), 1), EACH_ANSWERED },
};

const struct attack_list attacks_blob_life = { attacks, G_N_ELEMENTS(attacks) };
