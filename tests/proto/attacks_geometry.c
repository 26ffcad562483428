/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * Rectangles, offsets and numbers of scanouts that do not fit, or fit only in 32 bits; and what is
 * legal, and odd, and has brought others down.
 */
#include "attacks.h"

#define SET(number, id, ...)                                                                       \
	COMMAND(virtio_gpu_set_scanout, SET_SCANOUT, .r = { __VA_ARGS__ }, .scanout_id = (number), \
		.resource_id = (id))
#define FLUSH(id, ...)                                                                             \
	COMMAND(virtio_gpu_resource_flush, RESOURCE_FLUSH, .r = { __VA_ARGS__ },                   \
		.resource_id = (id))
#define TRANSFER(id, at, ...)                                                                      \
	COMMAND(virtio_gpu_transfer_to_host_2d, TRANSFER_TO_HOST_2D, .r = { __VA_ARGS__ },         \
		.offset = (at), .resource_id = (id))
#define CURSOR(command, number, id, hot)                                                           \
	COMMAND(virtio_gpu_update_cursor, command, .pos = { .scanout_id = (number) },              \
		.resource_id = (id), .hot_x = (hot), .hot_y = (hot))

static void flush_shown(struct attacker *attacker)
{
	attack_expect_ok(attacker, vgpu_resource_flush(attacker->rig->vgpu, STAGE_SHOWN, 0, 0,
						       STAGE_SIDE, STAGE_SIDE));
}

/* One resource on every scanout there is; each flush is for all of them. */
static void run_on_all_scanouts(struct attacker *attacker)
{
	struct vgpu *vgpu = attacker->rig->vgpu;

	for (uint32_t scanout = 0; scanout < VIRTIO_GPU_MAX_SCANOUTS; scanout++) {
		attack_expect_ok(attacker, vgpu_set_scanout(vgpu, scanout, STAGE_SHOWN, 0, 0,
							    STAGE_SIDE, STAGE_SIDE));
	}
	for (unsigned int i = 0; i < 20; i++) {
		flush_shown(attacker);
	}
	for (uint32_t scanout = 1; scanout < VIRTIO_GPU_MAX_SCANOUTS; scanout++) {
		attack_expect_ok(attacker, vgpu_set_scanout(vgpu, scanout, 0, 0, 0, 0, 0));
	}
}

/* After it is off, a flush is nobody's: it must not reach the display. */
static void run_off_then_flush(struct attacker *attacker)
{
	struct rig *rig = attacker->rig;

	for (unsigned int i = 0; i < 50; i++) {
		attack_expect_ok(attacker, vgpu_set_scanout(rig->vgpu, 0, 0, 0, 0, 0, 0));
		flush_shown(attacker);
		attack_expect_ok(attacker, vgpu_set_scanout(rig->vgpu, 0, STAGE_SHOWN, 0, 0,
							    STAGE_SIDE, STAGE_SIDE));
		flush_shown(attacker);
	}
	attack_expect(attacker, display_count_breaches(rig->display) == 0,
		      "the display gets what would crash its owner");
}

static void run_off_again(struct attacker *attacker)
{
	for (unsigned int i = 0; i < 200; i++) {
		attack_expect_ok(attacker, vgpu_set_scanout(attacker->rig->vgpu, i % 16, 0, 0, 0,
							    UINT32_MAX, UINT32_MAX));
	}
}

/* Another size each time, and never a flush between. */
static void run_resize_storm(struct attacker *attacker)
{
	struct rig *rig = attacker->rig;

	for (uint32_t i = 0; i < 300; i++) {
		attack_expect_ok(attacker, vgpu_set_scanout(rig->vgpu, 0, STAGE_LARGE, i % 64,
							    i % 64, 16 + i % 48, 16 + i % 48));
		if (i % 10 == 0) {
			attack_expect_ok(attacker,
					 vgpu_resource_flush(rig->vgpu, STAGE_LARGE, 0, 0,
							     2 * STAGE_SIDE, 2 * STAGE_SIDE));
		}
	}
	attack_expect(attacker, display_count_breaches(rig->display) == 0,
		      "the display gets what would crash its owner");
}

/* A scanout that is a part of the resource; flushes on all sides of it. */
static void run_flush_around(struct attacker *attacker)
{
	struct rig *rig = attacker->rig;
	static const uint32_t at[] = { 0, 31, 32, 33, 63, 64, 95, 96, 97, 127 };

	attack_expect_ok(attacker, vgpu_set_scanout(rig->vgpu, 0, STAGE_LARGE, 32, 32, 64, 64));
	for (size_t y = 0; y < G_N_ELEMENTS(at); y++) {
		for (size_t x = 0; x < G_N_ELEMENTS(at); x++) {
			attack_expect_ok(attacker, vgpu_resource_flush(rig->vgpu, STAGE_LARGE,
								       at[x], at[y], 1, 1));
		}
	}
	attack_expect(attacker, display_count_breaches(rig->display) == 0,
		      "the display gets what would crash its owner");
}

/* Faster than any display follows. */
static void run_cursor_flood(struct attacker *attacker)
{
	struct vgpu *vgpu = attacker->rig->vgpu;

	for (uint32_t i = 0; i < 3000; i++) {
		if (i % 4 == 0) {
			vgpu_update_cursor(vgpu, i % 18, STAGE_CURSOR, i, UINT32_MAX - i, i % 70,
					   i % 70);
		} else {
			vgpu_move_cursor(vgpu, i % 18, i % 3 ? STAGE_CURSOR : 0, UINT32_MAX - i, i);
		}
	}
}

static void run_flush_flood(struct attacker *attacker)
{
	const struct virtio_gpu_resource_flush flush = {
		.hdr.type = VIRTIO_GPU_CMD_RESOURCE_FLUSH,
		.r = { 0, 0, STAGE_SIDE, STAGE_SIDE },
		.resource_id = STAGE_SHOWN,
	};
	struct vgpu *vgpu = attacker->rig->vgpu;
	struct vgpu_chain chain = { .request = &flush,
				    .request_size = sizeof(flush),
				    .response_size = HEADER_BYTES };
	struct vgpu_call *calls[100];

	for (unsigned int round = 0; round < 20; round++) {
		for (unsigned int i = 0; i < G_N_ELEMENTS(calls); i++) {
			calls[i] = vgpu_submit(vgpu, VGPU_CONTROL, &chain);
		}
		vgpu_kick(vgpu, VGPU_CONTROL);
		for (unsigned int i = 0; i < G_N_ELEMENTS(calls); i++) {
			if (!vgpu_wait(vgpu, calls[i], VGPU_ANSWER_MS)) {
				g_error("flush %u of round %u is not answered", i, round);
			}
			attack_expect_ok(attacker, vgpu_finish(vgpu, calls[i]));
		}
	}
}

#define BAD_SCANOUT ANSWERED(ERR_INVALID_SCANOUT_ID)
#define BAD_ID ANSWERED(ERR_INVALID_RESOURCE_ID)
#define BAD_PARAMETER ANSWERED(ERR_INVALID_PARAMETER)
#define FINE ANSWERED(OK_NODATA)
#define NEGATIVE (UINT32_MAX - 7)

static const struct attack attacks[] = {
	{ "scanout/id_16", "SET_SCANOUT of scanout 16", SENDS(SET(16, STAGE_SHOWN, 0, 0, 64, 64)),
	  BAD_SCANOUT },
	{ "scanout/id_31", "SET_SCANOUT of scanout 31", SENDS(SET(31, STAGE_SHOWN, 0, 0, 64, 64)),
	  BAD_SCANOUT },
	{ "scanout/id_32", "scanout 32, where a mask of 32 bits ends",
	  SENDS(SET(32, STAGE_SHOWN, 0, 0, 64, 64)), BAD_SCANOUT },
	{ "scanout/id_max", "scanout 0xffffffff", SENDS(SET(UINT32_MAX, STAGE_SHOWN, 0, 0, 64, 64)),
	  BAD_SCANOUT },
	{ "scanout/id_max_off", "scanout 0xffffffff switched off",
	  SENDS(SET(UINT32_MAX, 0, 0, 0, 0, 0)), BAD_SCANOUT },
	{ "scanout/unknown", "SET_SCANOUT to no resource",
	  SENDS(SET(0, STAGE_NOBODY, 0, 0, 64, 64)), BAD_ID },
	{ "scanout/too_wide", "a view a pixel wider than its resource",
	  SENDS(SET(0, STAGE_SHOWN, 0, 0, 65, 64)), BAD_PARAMETER },
	{ "scanout/too_high", "a view a pixel higher than its resource",
	  SENDS(SET(0, STAGE_SHOWN, 0, 0, 64, 65)), BAD_PARAMETER },
	{ "scanout/x_wraps", "x + width is 24 in 32 bits",
	  SENDS(SET(0, STAGE_SHOWN, NEGATIVE, 0, 32, 32)), BAD_PARAMETER },
	{ "scanout/y_wraps", "y + height is 24 in 32 bits",
	  SENDS(SET(0, STAGE_SHOWN, 0, NEGATIVE, 32, 32)), BAD_PARAMETER },
	{ "scanout/width_wraps", "x + width is 16 in 32 bits",
	  SENDS(SET(0, STAGE_SHOWN, 32, 0, UINT32_MAX - 15, 32)), BAD_PARAMETER },
	{ "scanout/height_wraps", "y + height is 16 in 32 bits",
	  SENDS(SET(0, STAGE_SHOWN, 0, 32, 32, UINT32_MAX - 15)), BAD_PARAMETER },
	{ "scanout/all_max", "a view of 0xffffffff throughout",
	  SENDS(SET(0, STAGE_SHOWN, UINT32_MAX, UINT32_MAX, UINT32_MAX, UINT32_MAX)),
	  BAD_PARAMETER },
	{ "scanout/empty", "a view of no pixels", SENDS(SET(0, STAGE_SHOWN, 0, 0, 0, 0)),
	  BAD_PARAMETER },
	{ "scanout/one_pixel", "a view of one pixel, too small for a display",
	  SENDS(SET(0, STAGE_SHOWN, 0, 0, 1, 1)), BAD_PARAMETER },
	{ "scanout/all", "one resource on all 16 scanouts, flushed", .run = run_on_all_scanouts,
	  .outcome = "OK_NODATA" },
	{ "scanout/off_then_flush", "flushed after it was switched off, 50 times",
	  .run = run_off_then_flush, .outcome = "OK_NODATA, no rule of the display broken" },
	{ "scanout/off_again", "switched off 200 times", .run = run_off_again,
	  .outcome = "OK_NODATA" },
	{ "scanout/resize_storm", "300 sizes, 30 flushes", .run = run_resize_storm,
	  .outcome = "OK_NODATA, no rule of the display broken" },

	{ "flush/unknown", "RESOURCE_FLUSH of no resource",
	  SENDS(FLUSH(STAGE_NOBODY, 0, 0, 64, 64)), BAD_ID },
	{ "flush/id_0", "RESOURCE_FLUSH of resource 0", SENDS(FLUSH(0, 0, 0, 64, 64)), BAD_ID },
	{ "flush/too_wide", "a flush a pixel too wide", SENDS(FLUSH(STAGE_SHOWN, 0, 0, 65, 64)),
	  BAD_PARAMETER },
	{ "flush/too_high", "a flush a pixel too high", SENDS(FLUSH(STAGE_SHOWN, 0, 1, 64, 64)),
	  BAD_PARAMETER },
	{ "flush/x_wraps", "x + width is 1 in 32 bits",
	  SENDS(FLUSH(STAGE_SHOWN, UINT32_MAX, 0, 2, 2)), BAD_PARAMETER },
	{ "flush/y_wraps", "y + height is 1 in 32 bits",
	  SENDS(FLUSH(STAGE_SHOWN, 0, UINT32_MAX, 2, 2)), BAD_PARAMETER },
	{ "flush/width_wraps", "x + width is 1 in 32 bits, from the other side",
	  SENDS(FLUSH(STAGE_SHOWN, 2, 2, UINT32_MAX, 2)), BAD_PARAMETER },
	{ "flush/all_max", "a flush of 0xffffffff throughout",
	  SENDS(FLUSH(STAGE_SHOWN, UINT32_MAX, UINT32_MAX, UINT32_MAX, UINT32_MAX)),
	  BAD_PARAMETER },
	{ "flush/empty", "a flush of no pixels", SENDS(FLUSH(STAGE_SHOWN, 0, 0, 0, 0)), FINE },
	{ "flush/unshown", "a flush of what is on no scanout",
	  SENDS(FLUSH(STAGE_BARE, 0, 0, 64, 64)), FINE },
	{ "flush/around", "flushes inside, beside and across the view of a scanout",
	  .run = run_flush_around, .outcome = "OK_NODATA, no rule of the display broken" },
	{ "flush/flood", "2000 flushes, 100 at a time", .run = run_flush_flood,
	  .outcome = "OK_NODATA" },

	{ "transfer/unknown", "TRANSFER_TO_HOST_2D to no resource",
	  SENDS(TRANSFER(STAGE_NOBODY, 0, 0, 0, 1, 1)), BAD_ID },
	{ "transfer/bare", "TRANSFER_TO_HOST_2D without a backing",
	  SENDS(TRANSFER(STAGE_BARE, 0, 0, 0, 64, 64)), BAD_ID },
	{ "transfer/too_wide", "a transfer a pixel too wide",
	  SENDS(TRANSFER(STAGE_SHOWN, 0, 0, 0, 65, 1)), BAD_PARAMETER },
	{ "transfer/too_high", "a transfer a row too high",
	  SENDS(TRANSFER(STAGE_SHOWN, 0, 0, 64, 1, 1)), BAD_PARAMETER },
	{ "transfer/x_wraps", "x + width is 1 in 32 bits",
	  SENDS(TRANSFER(STAGE_SHOWN, 0, UINT32_MAX, 0, 2, 1)), BAD_PARAMETER },
	{ "transfer/y_wraps", "y + height is 1 in 32 bits",
	  SENDS(TRANSFER(STAGE_SHOWN, 0, 0, UINT32_MAX, 1, 2)), BAD_PARAMETER },
	{ "transfer/width_wraps", "x + width is 0 in 32 bits",
	  SENDS(TRANSFER(STAGE_SHOWN, 0, 1, 1, UINT32_MAX, 1)), BAD_PARAMETER },
	{ "transfer/all_max", "a transfer of 0xffffffff throughout",
	  SENDS(TRANSFER(STAGE_SHOWN, UINT64_MAX, UINT32_MAX, UINT32_MAX, UINT32_MAX, UINT32_MAX)),
	  BAD_PARAMETER },
	{ "transfer/offset_at_end", "an offset where the backing ends",
	  SENDS(TRANSFER(STAGE_SHOWN, STAGE_BYTES, 0, 0, 64, 64)), BAD_PARAMETER },
	{ "transfer/offset_by_one", "an offset one byte too high",
	  SENDS(TRANSFER(STAGE_SHOWN, 1, 0, 0, 64, 64)), BAD_PARAMETER },
	{ "transfer/offset_4_gib", "an offset of 4 GiB, 0 in 32 bits",
	  SENDS(TRANSFER(STAGE_SHOWN, UINT64_C(1) << 32, 0, 0, 64, 64)), BAD_PARAMETER },
	{ "transfer/offset_sign", "an offset of 2^63",
	  SENDS(TRANSFER(STAGE_SHOWN, UINT64_C(1) << 63, 0, 0, 64, 64)), BAD_PARAMETER },
	{ "transfer/offset_wraps", "an offset of 2^64 - 4",
	  SENDS(TRANSFER(STAGE_SHOWN, UINT64_MAX - 3, 0, 0, 64, 64)), BAD_PARAMETER },
	{ "transfer/odd_offset", "an offset in the middle of a pixel",
	  SENDS(TRANSFER(STAGE_SHOWN, 3, 0, 0, 1, 1)), FINE },
	{ "transfer/empty", "a transfer of no pixels", SENDS(TRANSFER(STAGE_SHOWN, 0, 0, 0, 0, 0)),
	  FINE },

	{ "cursor/scanout_16", "UPDATE_CURSOR on scanout 16",
	  SENDS(CURSOR(UPDATE_CURSOR, 16, STAGE_CURSOR, 0)), BAD_SCANOUT, .queue = VGPU_CURSOR },
	{ "cursor/scanout_max", "UPDATE_CURSOR on scanout 0xffffffff",
	  SENDS(CURSOR(UPDATE_CURSOR, UINT32_MAX, STAGE_CURSOR, 0)), BAD_SCANOUT,
	  .queue = VGPU_CURSOR },
	{ "cursor/move_scanout_max", "MOVE_CURSOR on scanout 0xffffffff",
	  SENDS(CURSOR(MOVE_CURSOR, UINT32_MAX, STAGE_CURSOR, 0)), BAD_SCANOUT,
	  .queue = VGPU_CURSOR },
	{ "cursor/unknown", "UPDATE_CURSOR with no such resource",
	  SENDS(CURSOR(UPDATE_CURSOR, 0, STAGE_NOBODY, 0)), BAD_ID, .queue = VGPU_CURSOR },
	{ "cursor/id_max", "UPDATE_CURSOR with resource 0xffffffff",
	  SENDS(CURSOR(UPDATE_CURSOR, 0, UINT32_MAX, 0)), BAD_ID, .queue = VGPU_CURSOR },
	{ "cursor/too_large", "a cursor of 128x128",
	  SENDS(CURSOR(UPDATE_CURSOR, 0, STAGE_LARGE, 0)), BAD_PARAMETER, .queue = VGPU_CURSOR },
	{ "cursor/bare", "a cursor without a backing",
	  SENDS(CURSOR(UPDATE_CURSOR, 0, STAGE_BARE, 0)), FINE, .queue = VGPU_CURSOR },
	{ "cursor/hot_64", "a hot spot beside the cursor",
	  SENDS(CURSOR(UPDATE_CURSOR, 0, STAGE_CURSOR, 64)), BAD_PARAMETER, .queue = VGPU_CURSOR },
	{ "cursor/hot_max", "a hot spot at 0xffffffff",
	  SENDS(CURSOR(UPDATE_CURSOR, 0, STAGE_CURSOR, UINT32_MAX)), BAD_PARAMETER,
	  .queue = VGPU_CURSOR },
	{ "cursor/flood", "3000 cursors", .run = run_cursor_flood, .outcome = "completed" },
};

const struct attack_list attacks_geometry = { attacks, G_N_ELEMENTS(attacks) };
