/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * The device between hand-made rings, a renderer and a display that writes
 * down what it is told. The renderers: soft, null, and one that does as each
 * test says.
 */
#include <string.h>
#include <unistd.h>

#include "gpu/edid.h"
#include "gpu_rig.h"
#include "renderer/impls.h"
#include "unit.h"

/* ---- 2D: what is refused, and as what ---- */

static void test_create_2d(struct fixture *f, gconstpointer data G_GNUC_UNUSED)
{
	static const uint32_t formats[] = { 1, 2, 3, 4, 67, 68, 121, 134 };

	for (uint32_t i = 0; i < G_N_ELEMENTS(formats); i++) {
		assert_ok(create_2d(f, i + 1, formats[i], 64, 32));
	}
	assert_is(create_2d(f, 0, FORMAT, 64, 32), INVALID_RESOURCE_ID);
	assert_is(create_2d(f, 1, FORMAT, 64, 32), INVALID_RESOURCE_ID);
	assert_is(create_2d(f, 100, 0, 64, 32), INVALID_PARAMETER);
	assert_is(create_2d(f, 100, 5, 64, 32), INVALID_PARAMETER);
	assert_is(create_2d(f, 100, UINT32_MAX, 64, 32), INVALID_PARAMETER);
	assert_is(create_2d(f, 100, FORMAT, 0, 32), INVALID_PARAMETER);
	assert_is(create_2d(f, 100, FORMAT, 64, 0), INVALID_PARAMETER);
	assert_is(create_2d(f, 100, FORMAT, 16385, 1), OUT_OF_MEMORY);
	assert_is(create_2d(f, 100, FORMAT, 1, 16385), OUT_OF_MEMORY);
	assert_is(create_2d(f, 100, FORMAT, UINT32_MAX, UINT32_MAX), OUT_OF_MEMORY);
	assert_ok(create_2d(f, UINT32_MAX, FORMAT, 16384, 1));
	/* A refused id is still free. */
	assert_ok(create_2d(f, 100, FORMAT, 1, 1));
}

static void test_unref(struct fixture *f, gconstpointer data G_GNUC_UNUSED)
{
	assert_is(unref(f, 0), INVALID_RESOURCE_ID);
	assert_is(unref(f, 1), INVALID_RESOURCE_ID);
	make_resource(f, 1, FORMAT, 16, 16);
	assert_ok(unref(f, 1));
	assert_is(unref(f, 1), INVALID_RESOURCE_ID);
	g_assert_cmpuint(quota_used(&f->quota), ==, 0);
	make_resource(f, 1, FORMAT, 16, 16);
}

static void test_attach(struct fixture *f, gconstpointer data G_GNUC_UNUSED)
{
	g_autofree struct virtio_gpu_mem_entry *many =
		g_new0(struct virtio_gpu_mem_entry, RESOURCE_MAX_ENTRIES + 1);
	uint64_t gpa = guestram_alloc(f->vm.ram, 0, 1 << 20, 4096);

	for (uint32_t i = 0; i <= RESOURCE_MAX_ENTRIES; i++) {
		many[i] = (struct virtio_gpu_mem_entry){ gpa + 8ull * i, 4, 0 };
	}
	assert_is(attach_one(f, 1, gpa, 4096), INVALID_RESOURCE_ID);
	assert_ok(create_2d(f, 1, FORMAT, 16, 16));
	assert_is(attach(f, 1, 0, NULL, 0), UNSPEC);
	assert_is(attach(f, 1, RESOURCE_MAX_ENTRIES + 1, many, RESOURCE_MAX_ENTRIES + 1), UNSPEC);
	assert_is(attach(f, 1, UINT32_MAX, many, 1), UNSPEC);
	/* The list is shorter than it says. */
	assert_is(attach(f, 1, 1, NULL, 0), INVALID_PARAMETER);
	assert_is(attach(f, 1, 3, many, 2), INVALID_PARAMETER);
	/* Pages that are no guest memory, at any place of the list. */
	assert_is(attach_one(f, 1, VM_NOWHERE, 4096), UNSPEC);
	assert_is(attach_one(f, 1, VM_RAM_BYTES - 8, 16), UNSPEC);
	assert_is(attach_one(f, 1, UINT64_MAX, 16), UNSPEC);
	assert_is(attach_one(f, 1, gpa, 0), UNSPEC);
	many[5].addr = VM_NOWHERE;
	assert_is(attach(f, 1, 6, many, 6), UNSPEC);
	many[5].addr = gpa;
	/* None of these left anything behind. */
	assert_is(detach(f, 1), INVALID_RESOURCE_ID);
	uint64_t before = quota_used(&f->quota);
	assert_ok(attach(f, 1, RESOURCE_MAX_ENTRIES, many, RESOURCE_MAX_ENTRIES));
	g_assert_cmpuint(quota_used(&f->quota), >, before);
	assert_is(attach_one(f, 1, gpa, 4096), UNSPEC);
	assert_ok(detach(f, 1));
	g_assert_cmpuint(quota_used(&f->quota), ==, before);
	assert_is(detach(f, 1), INVALID_RESOURCE_ID);
	assert_is(detach(f, 2), INVALID_RESOURCE_ID);
	assert_ok(attach_one(f, 1, gpa, 4096));
}

static void test_transfer(struct fixture *f, gconstpointer data G_GNUC_UNUSED)
{
	static const struct {
		struct virtio_gpu_rect r;
		uint64_t offset;
		bool is_fine;
	} cases[] = {
		{ { 0, 0, 32, 16 }, 0, true },
		{ { 31, 15, 1, 1 }, 32 * 16 * 4 - 4, true },
		{ { 0, 15, 32, 1 }, 15 * 128, true },
		{ { 0, 0, 0, 0 }, 0, true },
		{ { 32, 16, 0, 0 }, 0, true },
		{ { 0, 0, 0, 0 }, UINT64_MAX, true }, /* nothing is read */
		{ { 0, 0, 33, 16 }, 0, false },
		{ { 1, 0, 32, 16 }, 0, false },
		{ { 0, 1, 32, 16 }, 0, false },
		{ { UINT32_MAX, 0, 2, 1 }, 0, false },
		{ { 0, UINT32_MAX, 1, 2 }, 0, false },
		{ { 0, 0, 32, 16 }, 1, false },
		{ { 0, 0, 32, 16 }, 4, false },
		{ { 0, 15, 32, 1 }, 15 * 128 + 4, false },
		{ { 31, 15, 1, 1 }, 32 * 16 * 4 - 3, false },
		{ { 0, 0, 1, 1 }, 32 * 16 * 4, false },
		{ { 0, 0, 1, 1 }, UINT64_MAX, false },
		{ { 0, 0, 32, 16 }, UINT64_MAX - 100, false },
	};

	assert_is(transfer(f, 1, RECT(0, 0, 1, 1), 0), INVALID_RESOURCE_ID);
	assert_ok(create_2d(f, 1, FORMAT, 32, 16));
	assert_is(transfer(f, 1, RECT(0, 0, 1, 1), 0), INVALID_RESOURCE_ID); /* no backing */
	assert_ok(unref(f, 1));
	make_resource(f, 1, FORMAT, 32, 16);
	for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
		g_assert_cmphex(transfer(f, 1, cases[i].r, cases[i].offset), ==,
				cases[i].is_fine ? GPU_RESP_OK_NODATA :
						   GPU_RESP_ERR_INVALID_PARAMETER);
	}
	assert_ok(detach(f, 1));
	assert_is(transfer(f, 1, RECT(0, 0, 1, 1), 0), INVALID_RESOURCE_ID);
}

static void test_flush(struct fixture *f, gconstpointer data G_GNUC_UNUSED)
{
	assert_is(flush(f, 1, RECT(0, 0, 1, 1)), INVALID_RESOURCE_ID);
	make_resource(f, 1, FORMAT, 32, 16);
	assert_ok(flush(f, 1, RECT(0, 0, 32, 16)));
	assert_ok(flush(f, 1, RECT(0, 0, 0, 0)));
	assert_is(flush(f, 1, RECT(0, 0, 33, 16)), INVALID_PARAMETER);
	assert_is(flush(f, 1, RECT(0, 1, 32, 16)), INVALID_PARAMETER);
	assert_is(flush(f, 1, RECT(UINT32_MAX, 0, 2, 1)), INVALID_PARAMETER);
	assert_shown(f, ""); /* it is on no scanout */
}

static void test_set_scanout(struct fixture *f, gconstpointer data G_GNUC_UNUSED)
{
	make_resource(f, 1, FORMAT, 64, 32);
	assert_is(set_scanout(f, 16, 1, RECT(0, 0, 64, 32)), INVALID_SCANOUT_ID);
	assert_is(set_scanout(f, UINT32_MAX, 0, RECT(0)), INVALID_SCANOUT_ID);
	assert_is(set_scanout(f, 0, 2, RECT(0, 0, 64, 32)), INVALID_RESOURCE_ID);
	assert_is(set_scanout(f, 0, 1, RECT(0, 0, 65, 32)), INVALID_PARAMETER);
	assert_is(set_scanout(f, 0, 1, RECT(1, 0, 64, 32)), INVALID_PARAMETER);
	assert_is(set_scanout(f, 0, 1, RECT(0, 0, 64, 15)), INVALID_PARAMETER);
	assert_is(set_scanout(f, 0, 1, RECT(0, 0, 15, 32)), INVALID_PARAMETER);
	assert_is(set_scanout(f, 0, 1, RECT(0, 0, 0, 0)), INVALID_PARAMETER);
	assert_is(set_scanout(f, 0, 1, RECT(UINT32_MAX, 0, 17, 16)), INVALID_PARAMETER);
	assert_is(set_scanout(f, 0, 1, RECT(0, UINT32_MAX - 8, 16, 24)), INVALID_PARAMETER);
	for (uint32_t i = 0; i < 16; i++) {
		assert_ok(set_scanout(f, i, 1, RECT(i, 0, 16, 16)));
		assert_ok(set_scanout(f, i, 0, RECT(0)));
	}
}

/* What was refused changed nothing of what is shown. */
static void test_refused_scanout_stays(struct fixture *f, gconstpointer data G_GNUC_UNUSED)
{
	make_resource(f, 1, FORMAT, 64, 32);
	assert_ok(set_scanout(f, 0, 1, RECT(0, 0, 64, 32)));
	assert_ok(flush(f, 1, RECT(0, 0, 64, 32)));
	assert_shown(f, "update 0: 0,0 64x32 of 64x32 at 0,0\n");
	assert_is(set_scanout(f, 0, 2, RECT(0, 0, 64, 32)), INVALID_RESOURCE_ID);
	assert_is(set_scanout(f, 0, 1, RECT(0, 0, 1000, 32)), INVALID_PARAMETER);
	assert_ok(flush(f, 1, RECT(1, 2, 3, 4)));
	assert_shown(f, "update 0: 1,2 3x4 of 64x32 at 0,0\n");
}

static void test_what_this_mode_has_not(struct fixture *f, gconstpointer data G_GNUC_UNUSED)
{
	static const uint32_t types[] = {
		VIRTIO_GPU_CMD_RESOURCE_CREATE_BLOB, VIRTIO_GPU_CMD_SET_SCANOUT_BLOB,
		VIRTIO_GPU_CMD_RESOURCE_MAP_BLOB,    VIRTIO_GPU_CMD_RESOURCE_UNMAP_BLOB,
		VIRTIO_GPU_CMD_GET_CAPSET_INFO,	     VIRTIO_GPU_CMD_GET_CAPSET,
		VIRTIO_GPU_CMD_CTX_CREATE,	     VIRTIO_GPU_CMD_CTX_DESTROY,
		VIRTIO_GPU_CMD_CTX_ATTACH_RESOURCE,  VIRTIO_GPU_CMD_CTX_DETACH_RESOURCE,
		VIRTIO_GPU_CMD_RESOURCE_CREATE_3D,   VIRTIO_GPU_CMD_TRANSFER_TO_HOST_3D,
		VIRTIO_GPU_CMD_TRANSFER_FROM_HOST_3D, VIRTIO_GPU_CMD_SUBMIT_3D,
	};

	for (size_t i = 0; i < G_N_ELEMENTS(types); i++) {
		uint8_t bytes[128] = { 0 };

		memcpy(bytes, &types[i], sizeof(types[i]));
		assert_is(call(f, CONTROL, bytes, sizeof(bytes)), UNSPEC);
	}
}

static void test_bad_ones_do_not_disturb(struct fixture *f, gconstpointer data G_GNUC_UNUSED)
{
	const uint32_t unknown[6] = { 0xdead };
	const struct virtio_gpu_ctrl_hdr cursor = HDR(MOVE_CURSOR);

	for (int i = 0; i < 100; i++) {
		assert_is(call(f, CONTROL, unknown, sizeof(unknown)), UNSPEC);
		assert_is(call(f, CONTROL, unknown, 5), INVALID_PARAMETER);
		assert_is(call(f, CONTROL, &cursor, sizeof(cursor)), UNSPEC);
		assert_is(call(f, CURSOR, &cursor, sizeof(cursor)), INVALID_PARAMETER);
		assert_ok(create_2d(f, 1, FORMAT, 16, 16));
		assert_ok(unref(f, 1));
	}
}

/* ---- scanouts and flushes: what the display gets ---- */

static void test_first_flush_shows_all(struct fixture *f, gconstpointer data G_GNUC_UNUSED)
{
	make_resource(f, 1, FORMAT, 64, 32);
	assert_ok(set_scanout(f, 3, 1, RECT(0, 0, 64, 32)));
	assert_shown(f, "");
	assert_ok(flush(f, 1, RECT(5, 6, 1, 1)));
	assert_shown(f, "update 3: 0,0 64x32 of 64x32 at 0,0\n");
	assert_ok(flush(f, 1, RECT(5, 6, 1, 1)));
	assert_shown(f, "update 3: 5,6 1x1 of 64x32 at 0,0\n");
	/* Set anew, the same: all again. */
	assert_ok(set_scanout(f, 3, 1, RECT(0, 0, 64, 32)));
	assert_ok(flush(f, 1, RECT(5, 6, 1, 1)));
	assert_shown(f, "update 3: 0,0 64x32 of 64x32 at 0,0\n");
}

static void test_damage_is_in_scanout_coordinates(struct fixture *f,
						  gconstpointer data G_GNUC_UNUSED)
{
	make_resource(f, 1, FORMAT, 100, 50);
	assert_ok(set_scanout(f, 0, 1, RECT(20, 10, 40, 30)));
	assert_ok(flush(f, 1, RECT(0, 0, 100, 50)));
	assert_shown(f, "update 0: 0,0 40x30 of 40x30 at 20,10\n");
	assert_ok(flush(f, 1, RECT(25, 12, 3, 4)));
	assert_shown(f, "update 0: 5,2 3x4 of 40x30 at 20,10\n");
	assert_ok(flush(f, 1, RECT(0, 0, 25, 12))); /* clipped */
	assert_shown(f, "update 0: 0,0 5x2 of 40x30 at 20,10\n");
	assert_ok(flush(f, 1, RECT(55, 35, 45, 15)));
	assert_shown(f, "update 0: 35,25 5x5 of 40x30 at 20,10\n");
	assert_ok(flush(f, 1, RECT(0, 0, 20, 50))); /* beside it */
	assert_ok(flush(f, 1, RECT(30, 20, 0, 0)));
	assert_shown(f, "");
}

static void test_one_resource_on_two_scanouts(struct fixture *f, gconstpointer data G_GNUC_UNUSED)
{
	make_resource(f, 1, FORMAT, 64, 32);
	make_resource(f, 2, FORMAT, 64, 32);
	assert_ok(set_scanout(f, 0, 1, RECT(0, 0, 32, 32)));
	assert_ok(set_scanout(f, 1, 1, RECT(32, 0, 32, 32)));
	assert_ok(set_scanout(f, 2, 2, RECT(0, 0, 64, 32)));
	assert_ok(flush(f, 1, RECT(0, 0, 64, 32)));
	assert_shown(f, "update 0: 0,0 32x32 of 32x32 at 0,0\n"
			"update 1: 0,0 32x32 of 32x32 at 32,0\n");
	assert_ok(flush(f, 1, RECT(30, 0, 4, 1)));
	assert_shown(f, "update 0: 30,0 2x1 of 32x32 at 0,0\n"
			"update 1: 0,0 2x1 of 32x32 at 32,0\n");
}

static void test_off(struct fixture *f, gconstpointer data G_GNUC_UNUSED)
{
	make_resource(f, 1, FORMAT, 64, 32);
	assert_ok(set_scanout(f, 0, 0, RECT(0))); /* it was off */
	assert_shown(f, "");
	assert_ok(set_scanout(f, 0, 1, RECT(0, 0, 64, 32)));
	assert_ok(set_scanout(f, 0, 0, RECT(0)));
	assert_shown(f, "off 0\n");
	assert_ok(flush(f, 1, RECT(0, 0, 64, 32)));
	assert_shown(f, "");
	/* Its resource goes: everywhere. */
	assert_ok(set_scanout(f, 1, 1, RECT(0, 0, 64, 32)));
	assert_ok(set_scanout(f, 5, 1, RECT(0, 0, 64, 32)));
	assert_ok(unref(f, 1));
	assert_shown(f, "off 1\noff 5\n");
}

static void test_nobody_watches(struct fixture *f, gconstpointer data G_GNUC_UNUSED)
{
	make_resource(f, 1, FORMAT, 64, 32);
	assert_ok(set_scanout(f, 0, 1, RECT(0, 0, 64, 32)));
	assert_ok(flush(f, 1, RECT(0, 0, 64, 32)));
	assert_shown(f, "update 0: 0,0 64x32 of 64x32 at 0,0\n");
	f->display->is_watched = false;
	assert_ok(flush(f, 1, RECT(1, 1, 1, 1)));
	assert_shown(f, "");
	/* What was missed comes with the next. */
	f->display->is_watched = true;
	assert_ok(flush(f, 1, RECT(2, 2, 2, 2)));
	assert_shown(f, "update 0: 0,0 64x32 of 64x32 at 0,0\n");
}

static void test_replay(struct fixture *f, gconstpointer data G_GNUC_UNUSED)
{
	device_replay(&f->dev);
	assert_shown(f, "");
	make_resource(f, 1, FORMAT, 64, 32);
	make_resource(f, 2, FORMAT, 16, 16);
	assert_ok(set_scanout(f, 0, 1, RECT(0, 0, 64, 32)));
	assert_ok(set_scanout(f, 2, 1, RECT(8, 8, 20, 20)));
	assert_ok(flush(f, 1, RECT(0, 0, 64, 32)));
	assert_ok(set_scanout(f, 1, 2, RECT(0, 0, 16, 16))); /* never flushed */
	assert_ok(update_cursor(f, 1, 2, 7, 8, 1, 2));
	assert_ok(update_cursor(f, 2, 2, 0, 0, 0, 0));
	assert_ok(update_cursor(f, 2, 0, 0, 0, 0, 0)); /* hidden */
	g_string_truncate(f->display->log, 0);
	for (int i = 0; i < 2; i++) {
		device_replay(&f->dev);
		assert_shown(f, "update 0: 0,0 64x32 of 64x32 at 0,0\n"
				"cursor 1: 7,8 hot 1,2\n"
				"update 2: 0,0 20x20 of 20x20 at 8,8\n"
				/* Its image is needed once it is moved to where it shows. */
				"cursor 2: 0,0 hot 0,0\n"
				"hide 2: 0,0\n");
	}
}

static void test_reset(struct fixture *f, gconstpointer data G_GNUC_UNUSED)
{
	make_resource(f, 1, FORMAT, 64, 32);
	make_resource(f, 2, FORMAT, 16, 16);
	assert_ok(set_scanout(f, 0, 1, RECT(0, 0, 64, 32)));
	assert_ok(flush(f, 1, RECT(0, 0, 64, 32)));
	assert_ok(update_cursor(f, 0, 2, 7, 8, 1, 2));
	g_string_truncate(f->display->log, 0);
	device_reset(&f->dev);
	g_assert_nonnull(strstr(f->display->log->str, "off 0\n"));
	g_string_truncate(f->display->log, 0);
	assert_is(flush(f, 1, RECT(0, 0, 1, 1)), INVALID_RESOURCE_ID);
	device_replay(&f->dev);
	assert_shown(f, "");
	g_clear_pointer(&f->display->frame, frame_unref);
	g_assert_cmpuint(quota_used(&f->quota), ==, 0);
	make_resource(f, 1, FORMAT, 64, 32);
}

/* ---- flushes that are held: the display is behind ---- */

/* Resource 1 on scanouts 0 and 1, resource 2 on scanout 2; pictures have to wait from now on. */
static void make_busy(struct fixture *f)
{
	make_resource(f, 1, FORMAT, 64, 32);
	make_resource(f, 2, FORMAT, 64, 32);
	assert_ok(set_scanout(f, 0, 1, RECT(0, 0, 32, 32)));
	assert_ok(set_scanout(f, 1, 1, RECT(32, 0, 32, 32)));
	assert_ok(set_scanout(f, 2, 2, RECT(0, 0, 64, 32)));
	f->display->is_busy = true;
}

#define assert_held(expression) g_assert_cmphex((expression), ==, GPU_RESP_PENDING)

static void test_flush_is_held(struct fixture *f, gconstpointer data G_GNUC_UNUSED)
{
	g_autofree struct stats *stats = g_new0(struct stats, 1);

	device_set_stats(&f->dev, stats);
	make_busy(f);
	assert_held(flush(f, 2, RECT(0, 0, 64, 32)));
	g_assert_cmpuint(stats->n_waiting, ==, 1);
	/* Others are answered meanwhile. */
	assert_ok(create_2d(f, 3, FORMAT, 16, 16));
	assert_ok(flush(f, 3, RECT(0, 0, 16, 16)));
	device_take_taken(&f->dev, ~(1u << 2));
	assert_held(take(f, CONTROL));
	device_take_taken(&f->dev, 1u << 2);
	assert_ok(take(f, CONTROL));
	device_take_taken(&f->dev, 1u << 2);
	assert_held(take(f, CONTROL));
	/* Two of one scanout: its picture is the latest, and answers both. */
	assert_held(flush(f, 2, RECT(0, 0, 1, 1)));
	assert_held(flush(f, 2, RECT(1, 1, 1, 1)));
	device_take_taken(&f->dev, 1u << 2);
	assert_ok(take(f, CONTROL));
	assert_ok(take(f, CONTROL));
	g_assert_cmpint(device_expire(&f->dev), ==, -1);
	g_assert_cmpuint(stats->n_waiting, ==, 0);
	device_set_stats(&f->dev, NULL);
}

static void test_held_for_two_scanouts(struct fixture *f, gconstpointer data G_GNUC_UNUSED)
{
	make_busy(f);
	assert_held(flush(f, 1, RECT(0, 0, 64, 32)));
	assert_held(flush(f, 2, RECT(0, 0, 64, 32)));
	device_take_taken(&f->dev, 1u << 1);
	assert_held(take(f, CONTROL));
	device_take_taken(&f->dev, 1u << 0);
	assert_ok(take(f, CONTROL));
	assert_held(take(f, CONTROL));
	/* Of one scanout only the other need not be told. */
	assert_held(flush(f, 1, RECT(0, 0, 1, 1)));
	device_take_taken(&f->dev, 1u << 0 | 1u << 2);
	assert_ok(take(f, CONTROL));
	assert_ok(take(f, CONTROL));
}

static void test_held_for_so_long(struct fixture *f, gconstpointer data G_GNUC_UNUSED)
{
	make_busy(f);
	g_assert_cmpint(device_expire(&f->dev), ==, -1);
	gint64 start_us = g_get_monotonic_time();
	assert_held(flush(f, 2, RECT(0, 0, 64, 32)));
	g_usleep(5 * 1000);
	assert_held(flush(f, 1, RECT(0, 0, 64, 32)));
	for (gint64 left_us; (left_us = device_expire(&f->dev)) >= 0;) {
		g_assert_cmpint(left_us, >, 0);
		g_assert_cmpint(left_us, <, 100 * 1000); /* a frame or few */
		g_usleep((gulong)left_us);
		g_assert_cmpint(g_get_monotonic_time() - start_us, <, UNIT_TIMEOUT_MS * 1000);
	}
	g_assert_cmpint(g_get_monotonic_time() - start_us, >=, 5 * 1000 + 10 * 1000);
	assert_ok(take(f, CONTROL));
	assert_ok(take(f, CONTROL));
	/* The display's word comes too late, and is nobody's. */
	device_take_taken(&f->dev, UINT32_MAX);
	assert_held(take(f, CONTROL));
}

/* Who let one wait for too long is not waited for until it reads on; the others are. */
static void test_slow_display(struct fixture *f, gconstpointer data G_GNUC_UNUSED)
{
	make_busy(f);
	for (int i = 0; i < 2; i++) {
		assert_held(flush(f, 2, RECT(0, 0, 64, 32)));
		for (gint64 left_us; (left_us = device_expire(&f->dev)) >= 0;) {
			g_usleep((gulong)left_us);
		}
		assert_ok(take(f, CONTROL));
		assert_ok(flush(f, 2, RECT(0, 0, 1, 1)));
		assert_held(flush(f, 1, RECT(0, 0, 1, 1)));
		device_take_taken(&f->dev, 1u << 0 | 1u << 1);
		assert_ok(take(f, CONTROL));
		assert_ok(flush(f, 2, RECT(0, 0, 1, 1)));
		device_take_taken(&f->dev, 1u << 2);
	}
}

static void test_reset_drops_held(struct fixture *f, gconstpointer data G_GNUC_UNUSED)
{
	make_busy(f);
	assert_held(flush(f, 1, RECT(0, 0, 64, 32)));
	assert_held(flush(f, 2, RECT(0, 0, 64, 32)));
	device_reset(&f->dev);
	g_assert_cmpint(device_expire(&f->dev), ==, -1);
	device_take_taken(&f->dev, UINT32_MAX);
	assert_held(take(f, CONTROL));
	/* The same scanout in the next life. */
	make_busy(f);
	assert_held(flush(f, 2, RECT(0, 0, 64, 32)));
	device_take_taken(&f->dev, 1u << 2);
	assert_ok(take(f, CONTROL));
	assert_held(take(f, CONTROL));
}

/* What was refused is answered at once, whoever is busy. */
static void test_refused_is_not_held(struct fixture *f, gconstpointer data G_GNUC_UNUSED)
{
	struct puppet *p = puppet_from_base(f->renderer);

	p->picture = frame_create(&f->quota, 64, 32);
	make_busy(f);
	assert_is(flush(f, 1, RECT(0, 0, 65, 32)), INVALID_PARAMETER);
	assert_is(flush(f, 9, RECT(0, 0, 1, 1)), INVALID_RESOURCE_ID);
	/* Of two scanouts one waits, the other fails. */
	p->bad_read = p->n_reads + 2;
	assert_is(flush(f, 1, RECT(0, 0, 64, 32)), OUT_OF_MEMORY);
	assert_shown(f, "update 0: 0,0 32x32 of 32x32 at 0,0\n");
	p->bad_read = p->n_reads + 1;
	assert_is(flush(f, 1, RECT(0, 0, 64, 32)), OUT_OF_MEMORY);
	g_assert_cmpint(device_expire(&f->dev), ==, -1);
}

/* Who draws or makes finds the memory free that the display is done with. */
static void test_reclaimed_before_drawing(struct fixture *f, gconstpointer data G_GNUC_UNUSED)
{
	unsigned int n;

	make_resource(f, 1, FORMAT, 64, 32);
	g_assert_cmpuint(f->display->n_reclaims, ==, 1); /* there may be no other memory */
	assert_ok(set_scanout(f, 0, 1, RECT(0, 0, 64, 32)));
	assert_ok(transfer(f, 1, RECT(0, 0, 64, 32), 0));
	assert_ok(flush(f, 1, RECT(0, 0, 64, 32)));
	f->display->has_read = true;
	const void *pixels = f->display->frame->pixels;
	for (int i = 0; i < 3; i++) {
		n = f->display->n_reclaims;
		assert_ok(transfer(f, 1, RECT(0, 0, 64, 32), 0));
		g_assert_cmpuint(f->display->n_reclaims, ==, n + 1);
		assert_ok(flush(f, 1, RECT(0, 0, 64, 32)));
		g_assert_cmpuint(f->display->n_reclaims, ==, n + 2);
		g_assert_true(f->display->frame->pixels == pixels);
	}
}

/* ---- pixels ---- */

static uint32_t pattern(uint32_t x, uint32_t y)
{
	return y << 16 | x << 4 | 1;
}

static void test_pixels_out_of_scattered_pages(struct fixture *f, gconstpointer data G_GNUC_UNUSED)
{
	enum { WIDTH = 33, HEIGHT = 21, SIZE = WIDTH * HEIGHT * 4, PIECE = 52 };
	/* Pieces of 13 pixels, last first, with gaps between them. */
	const uint32_t n = (SIZE + PIECE - 1) / PIECE;
	g_autofree struct virtio_gpu_mem_entry *entries = g_new0(struct virtio_gpu_mem_entry, n);
	uint64_t gpa = guestram_alloc(f->vm.ram, 0, n * 100, 4096);

	for (uint32_t i = 0; i < n; i++) {
		entries[i] = (struct virtio_gpu_mem_entry){
			gpa + (n - 1 - i) * 100ull, i + 1 < n ? PIECE : SIZE - (n - 1) * PIECE, 0
		};
		uint32_t *words = guestram_at(f->vm.ram, entries[i].addr, PIECE);
		for (uint32_t k = 0; k < entries[i].length / 4; k++) {
			uint32_t pixel = i * (PIECE / 4) + k;

			words[k] = pattern(pixel % WIDTH, pixel / WIDTH);
		}
	}
	assert_ok(create_2d(f, 1, VIRTIO_GPU_FORMAT_B8G8R8A8_UNORM, WIDTH, HEIGHT));
	assert_ok(attach(f, 1, n, entries, n));
	assert_ok(set_scanout(f, 0, 1, RECT(0, 0, WIDTH, HEIGHT)));
	/* A part first: its row begins at offset, its rows are a resource's width apart. */
	assert_ok(transfer(f, 1, RECT(5, 4, 20, 10), (4 * WIDTH + 5) * 4));
	assert_ok(flush(f, 1, RECT(0, 0, WIDTH, HEIGHT)));
	for (uint32_t y = 0; y < HEIGHT; y++) {
		for (uint32_t x = 0; x < WIDTH; x++) {
			bool is_inside = x >= 5 && x < 25 && y >= 4 && y < 14;

			g_assert_cmphex(*frame_pixel(f->display->frame, x, y), ==,
					is_inside ? pattern(x, y) : 0);
		}
	}
	assert_ok(transfer(f, 1, RECT(0, 0, WIDTH, HEIGHT), 0));
	assert_ok(flush(f, 1, RECT(0, 0, WIDTH, HEIGHT)));
	for (uint32_t y = 0; y < HEIGHT; y++) {
		for (uint32_t x = 0; x < WIDTH; x++) {
			g_assert_cmphex(*frame_pixel(f->display->frame, x, y), ==, pattern(x, y));
		}
	}
	/* A picture from elsewhere in the backing: row 2 to row 0. */
	assert_ok(transfer(f, 1, RECT(0, 0, WIDTH, 1), 2 * WIDTH * 4));
	assert_ok(flush(f, 1, RECT(0, 0, WIDTH, HEIGHT)));
	g_assert_cmphex(*frame_pixel(f->display->frame, 7, 0), ==, pattern(7, 2));
}

/* While the display holds a picture, the guest's next transfer does not change it. */
static void test_picture_is_not_torn(struct fixture *f, gconstpointer data G_GNUC_UNUSED)
{
	uint64_t gpa = make_resource(f, 1, VIRTIO_GPU_FORMAT_B8G8R8A8_UNORM, 16, 16);
	uint32_t *words = guestram_at(f->vm.ram, gpa, 1024);

	words[0] = 0x11111111;
	assert_ok(set_scanout(f, 0, 1, RECT(0, 0, 16, 16)));
	assert_ok(transfer(f, 1, RECT(0, 0, 16, 16), 0));
	assert_ok(flush(f, 1, RECT(0, 0, 16, 16)));
	struct frame *held = frame_ref(f->display->frame);
	words[0] = 0x22222222;
	assert_ok(transfer(f, 1, RECT(0, 0, 16, 16), 0));
	assert_ok(flush(f, 1, RECT(0, 0, 16, 16)));
	g_assert_cmphex(*frame_pixel(held, 0, 0), ==, 0x11111111);
	g_assert_cmphex(*frame_pixel(f->display->frame, 0, 0), ==, 0x22222222);
	/* And the resource may go before the display is done with it. */
	assert_ok(unref(f, 1));
	g_assert_cmphex(*frame_pixel(f->display->frame, 0, 0), ==, 0x22222222);
	frame_unref(held);
	g_clear_pointer(&f->display->frame, frame_unref);
}

/* ---- cursor ---- */

static void test_cursor_errors(struct fixture *f, gconstpointer data G_GNUC_UNUSED)
{
	make_resource(f, 1, VIRTIO_GPU_FORMAT_B8G8R8A8_UNORM, 64, 64);
	make_resource(f, 2, VIRTIO_GPU_FORMAT_B8G8R8A8_UNORM, 65, 64);
	make_resource(f, 3, VIRTIO_GPU_FORMAT_B8G8R8A8_UNORM, 64, 65);
	assert_is(update_cursor(f, 16, 1, 0, 0, 0, 0), INVALID_SCANOUT_ID);
	assert_is(move_cursor(f, 16, 1, 0, 0), INVALID_SCANOUT_ID);
	assert_is(move_cursor(f, UINT32_MAX, 0, 0, 0), INVALID_SCANOUT_ID);
	assert_is(update_cursor(f, 0, 99, 0, 0, 0, 0), INVALID_RESOURCE_ID);
	assert_is(update_cursor(f, 0, 2, 0, 0, 0, 0), INVALID_PARAMETER);
	assert_is(update_cursor(f, 0, 3, 0, 0, 0, 0), INVALID_PARAMETER);
	assert_is(update_cursor(f, 0, 1, 0, 0, 64, 0), INVALID_PARAMETER);
	assert_is(update_cursor(f, 0, 1, 0, 0, 0, UINT32_MAX), INVALID_PARAMETER);
	assert_shown(f, "");
	assert_ok(update_cursor(f, 15, 1, 0, 0, 63, 63));
	assert_shown(f, "cursor 15: 0,0 hot 63,63\n");
}

static void test_cursor_moves_and_hides(struct fixture *f, gconstpointer data G_GNUC_UNUSED)
{
	make_resource(f, 1, VIRTIO_GPU_FORMAT_B8G8R8A8_UNORM, 64, 64);
	assert_ok(update_cursor(f, 0, 1, 10, 20, 3, 4));
	assert_ok(move_cursor(f, 0, 1, 11, 21));
	assert_ok(move_cursor(f, 0, 1, (uint32_t)-5, (uint32_t)-6)); /* off the left edge */
	assert_ok(update_cursor(f, 0, 0, 1, 2, 0, 0));
	assert_ok(move_cursor(f, 0, 0, 3, 4));
	assert_shown(f, "cursor 0: 10,20 hot 3,4\n"
			"move 0: 11,21\n"
			"move 0: -5,-6\n"
			"hide 0: 1,2\n"
			"hide 0: 3,4\n");
}

/* Pixels all alike, 20x10; has_none: their fourth byte, 0x40, becomes 0. */
static void check_cursor(struct fixture *f, uint32_t id, uint32_t format, const uint8_t bytes[4],
			 bool has_none, uint32_t colour)
{
	/* Smaller than a cursor: the rest is transparent. */
	uint64_t gpa = make_resource(f, id, format, 20, 10);
	uint8_t *pixels = guestram_at(f->vm.ram, gpa, 20 * 10 * 4);

	for (uint32_t k = 0; k < 800; k++) {
		pixels[k] = has_none && bytes[k % 4] == 0x40 ? 0 : bytes[k % 4];
	}
	assert_ok(transfer(f, id, RECT(0, 0, 20, 10), 0));
	assert_ok(update_cursor(f, 0, id, 0, 0, 0, 0));
	for (uint32_t y = 0; y < 64; y++) {
		for (uint32_t x = 0; x < 64; x++) {
			g_assert_cmphex(f->display->cursor[y * 64 + x], ==,
					x < 20 && y < 10 ? colour : 0);
		}
	}
}

static void test_cursor_formats(struct fixture *f, gconstpointer data G_GNUC_UNUSED)
{
	/* Bytes in memory of one pixel R=0x10 G=0x20 B=0x30 A=0x40. */
	static const struct {
		uint32_t format;
		uint8_t bytes[4];
		bool has_alpha;
	} cases[] = {
		{ VIRTIO_GPU_FORMAT_B8G8R8A8_UNORM, { 0x30, 0x20, 0x10, 0x40 }, true },
		{ VIRTIO_GPU_FORMAT_B8G8R8X8_UNORM, { 0x30, 0x20, 0x10, 0x40 }, false },
		{ VIRTIO_GPU_FORMAT_A8R8G8B8_UNORM, { 0x40, 0x10, 0x20, 0x30 }, true },
		{ VIRTIO_GPU_FORMAT_X8R8G8B8_UNORM, { 0x40, 0x10, 0x20, 0x30 }, false },
		{ VIRTIO_GPU_FORMAT_R8G8B8A8_UNORM, { 0x10, 0x20, 0x30, 0x40 }, true },
		{ VIRTIO_GPU_FORMAT_X8B8G8R8_UNORM, { 0x40, 0x30, 0x20, 0x10 }, false },
		{ VIRTIO_GPU_FORMAT_A8B8G8R8_UNORM, { 0x40, 0x30, 0x20, 0x10 }, true },
		{ VIRTIO_GPU_FORMAT_R8G8B8X8_UNORM, { 0x10, 0x20, 0x30, 0x40 }, false },
	};

	for (uint32_t i = 0; i < G_N_ELEMENTS(cases); i++) {
		/* Linux puts alpha into formats without it; one that has none at all is opaque. */
		for (uint32_t has_none = 0; has_none < 2; has_none++) {
			uint32_t colour = !has_none		? 0x40102030
					  : cases[i].has_alpha ? 0x00102030
							       : 0xff102030;
			check_cursor(f, 2 * i + has_none + 1, cases[i].format, cases[i].bytes, has_none != 0,
				     colour);
		}
	}
}

/* The guest may free the resource right after: the picture was taken. */
static void test_cursor_outlives_its_resource(struct fixture *f, gconstpointer data G_GNUC_UNUSED)
{
	uint64_t gpa = make_resource(f, 1, VIRTIO_GPU_FORMAT_B8G8R8A8_UNORM, 64, 64);

	*(uint32_t *)guestram_at(f->vm.ram, gpa, 4) = 0xabcdef01;
	assert_ok(transfer(f, 1, RECT(0, 0, 64, 64), 0));
	assert_ok(update_cursor(f, 0, 1, 5, 6, 0, 0));
	assert_ok(unref(f, 1));
	g_string_truncate(f->display->log, 0);
	memset(f->display->cursor, 0, sizeof(f->display->cursor));
	device_replay(&f->dev);
	assert_shown(f, "cursor 0: 5,6 hot 0,0\n");
	g_assert_cmphex(f->display->cursor[0], ==, 0xabcdef01);
}

/* ---- the memory table changes ---- */

static void test_backing_follows_the_table(struct fixture *f, gconstpointer data G_GNUC_UNUSED)
{
	struct guestmem *without = vm_build_table(f->vm.ram, 1, 2);
	struct guestmem *anew = vm_build_table(f->vm.ram, 0, 3);
	uint64_t gpa = make_resource(f, 1, VIRTIO_GPU_FORMAT_B8G8R8A8_UNORM, 16, 16);

	assert_ok(set_scanout(f, 0, 1, RECT(0, 0, 16, 16)));
	/* Its region is unplugged: the pages can't be read, the resource stays. */
	device_set_memory(&f->dev, without);
	assert_is(transfer(f, 1, RECT(0, 0, 16, 16), 0), UNSPEC);
	assert_ok(flush(f, 1, RECT(0, 0, 16, 16)));
	assert_is(attach_one(f, 1, gpa, 1024), UNSPEC); /* it still has one */
	/* And comes back, at another place of ours. */
	device_set_memory(&f->dev, anew);
	*(uint32_t *)guestram_at(f->vm.ram, gpa, 4) = 0x12345678;
	assert_ok(transfer(f, 1, RECT(0, 0, 16, 16), 0));
	assert_ok(flush(f, 1, RECT(0, 0, 16, 16)));
	g_assert_cmphex(*frame_pixel(f->display->frame, 0, 0), ==, 0x12345678);
	device_set_memory(&f->dev, without);
	assert_ok(detach(f, 1));
	assert_is(transfer(f, 1, RECT(0, 0, 16, 16), 0), INVALID_RESOURCE_ID);
	guestmem_unref(without);
	guestmem_unref(anew);
}

static void test_unmoved_backing_is_left_alone(struct fixture *f, gconstpointer data G_GNUC_UNUSED)
{
	const struct guestmem_region_desc more = { .gpa = { UINT64_C(1) << 40 },
						   .uva = { UINT64_C(1) << 40 },
						   .size_bytes = 4096 };
	struct guestmem *grown, *empty = guestmem_create_empty();
	int fd = unit_memfd(4096);

	make_resource(f, 1, FORMAT, 16, 16);
	assert_rendered(f, "create 1\nattach 1: 1\n");
	const void *page = puppet_from_base(f->renderer)->backing->iov[0].iov_base;
	g_assert_cmpint(guestmem_add(f->vm.mem, &more, fd, &grown), ==, 0);
	device_set_memory(&f->dev, grown);
	assert_rendered(f, "");
	device_set_memory(&f->dev, f->vm.mem);
	assert_rendered(f, "");
	g_assert_true(puppet_from_base(f->renderer)->backing->iov[0].iov_base == page);
	device_set_memory(&f->dev, empty);
	assert_rendered(f, "detach 1\n");
	device_set_memory(&f->dev, empty);
	assert_rendered(f, "");
	device_set_memory(&f->dev, f->vm.mem);
	assert_rendered(f, "attach 1: 1\n");
	guestmem_unref(grown);
	guestmem_unref(empty);
	close(fd);
}

static void test_detached_before_destroyed(struct fixture *f, gconstpointer data G_GNUC_UNUSED)
{
	make_resource(f, 1, FORMAT, 16, 16);
	assert_ok(create_context(f, 1, 0, "", 0));
	assert_rendered(f, "create 1\nattach 1: 1\nctx 1: 0 ''\n");
	assert_ok(unref(f, 1));
	assert_rendered(f, "detach 1\ndestroy 1\n");
	make_resource(f, 1, FORMAT, 16, 16);
	device_reset(&f->dev);
	assert_rendered(f, "create 1\nattach 1: 1\nctx 1 gone\ndetach 1\ndestroy 1\n");
}

/* Neighbours in memory become one piece, whoever listed them apart. */
static void test_neighbours_are_joined(struct fixture *f, gconstpointer data G_GNUC_UNUSED)
{
	uint64_t gpa = guestram_alloc(f->vm.ram, 0, 16 * 4096, 4096);
	struct virtio_gpu_mem_entry entries[8];

	for (uint32_t i = 0; i < 8; i++) {
		/* 0 to 3 and 5 to 8: a gap of a page. */
		entries[i] = (struct virtio_gpu_mem_entry){
			gpa + (i + (i >= 4 ? 1 : 0)) * 4096ull, 4096, 0
		};
	}
	assert_ok(create_2d(f, 1, FORMAT, 64, 64));
	assert_ok(attach(f, 1, 8, entries, 8));
	assert_rendered(f, "create 1\nattach 1: 2\n");
	g_assert_cmpuint(puppet_from_base(f->renderer)->backing->size_bytes, ==, 8 * 4096);
	g_assert_cmpuint(puppet_from_base(f->renderer)->backing->iov[0].iov_len, ==, 4 * 4096);
}

/* ---- display info and EDID ---- */

static void test_info_of_our_own(struct fixture *f, gconstpointer data G_GNUC_UNUSED)
{
	g_assert_cmphex(get_info(f), ==, GPU_RESP_OK_DISPLAY_INFO);
	g_assert_cmpuint(f->response_bytes, ==, sizeof(f->response.info));
	g_assert_cmpuint(f->response.info.pmodes[0].enabled, ==, 1);
	g_assert_cmpuint(f->response.info.pmodes[0].r.width, ==, DEVICE_DEFAULT_WIDTH);
	g_assert_cmpuint(f->response.info.pmodes[0].r.height, ==, DEVICE_DEFAULT_HEIGHT);
	for (size_t i = 1; i < VIRTIO_GPU_MAX_SCANOUTS; i++) {
		g_assert_cmpuint(f->response.info.pmodes[i].enabled, ==, 0);
	}
}

static void assert_own_edid(struct fixture *f, uint32_t width, uint32_t height, uint32_t scanout_id)
{
	uint8_t expected[EDID_BYTES];

	edid_generate(width, height, scanout_id, expected);
	g_assert_cmpuint(f->response_bytes, ==, sizeof(f->response.edid));
	g_assert_cmpuint(f->response.edid.size, ==, EDID_BYTES);
	unit_assert_bytes(f->response.edid.edid, expected, EDID_BYTES);
}

static void test_edid_of_our_own(struct fixture *f, gconstpointer data G_GNUC_UNUSED)
{
	for (uint32_t i = 0; i < 16; i++) {
		g_assert_cmphex(get_edid(f, i), ==, GPU_RESP_OK_EDID);
		assert_own_edid(f, DEVICE_DEFAULT_WIDTH, DEVICE_DEFAULT_HEIGHT, i);
	}
	assert_is(get_edid(f, 16), INVALID_SCANOUT_ID);
	assert_is(get_edid(f, UINT32_MAX), INVALID_SCANOUT_ID);
}

static void test_info_of_the_front_end(struct fixture *f, gconstpointer data G_GNUC_UNUSED)
{
	struct virtio_gpu_resp_display_info info = { 0 };

	info.pmodes[0] = (struct virtio_gpu_display_one){ { 0, 0, 800, 600 }, 1, 0 };
	info.pmodes[1] = (struct virtio_gpu_display_one){ { 800, 0, 640, 480 }, 1, 5 };
	f->display->has_somebody_to_ask = true;
	g_assert_cmphex(get_info(f), ==, GPU_RESP_PENDING);
	/* Others are served meanwhile. */
	assert_ok(create_2d(f, 1, FORMAT, 16, 16));
	device_take_info(&f->dev, f->display->token + 1, NULL); /* of nobody */
	g_assert_cmphex(take(f, CONTROL), ==, GPU_RESP_PENDING);
	device_take_info(&f->dev, f->display->token, &info);
	g_assert_cmphex(take(f, CONTROL), ==, GPU_RESP_OK_DISPLAY_INFO);
	unit_assert_bytes(f->response.info.pmodes, info.pmodes, sizeof(info.pmodes));
	/* Once only. */
	device_take_info(&f->dev, f->display->token, &info);
	g_assert_cmphex(take(f, CONTROL), ==, GPU_RESP_PENDING);

	/* No answer: the last one known. And our EDID is of that size. */
	g_assert_cmphex(get_info(f), ==, GPU_RESP_PENDING);
	device_take_info(&f->dev, f->display->token, NULL);
	g_assert_cmphex(take(f, CONTROL), ==, GPU_RESP_OK_DISPLAY_INFO);
	unit_assert_bytes(f->response.info.pmodes, info.pmodes, sizeof(info.pmodes));
	f->display->has_somebody_to_ask = false;
	g_assert_cmphex(get_edid(f, 1), ==, GPU_RESP_OK_EDID);
	assert_own_edid(f, 640, 480, 1);
}

static void test_edid_of_the_front_end(struct fixture *f, gconstpointer data G_GNUC_UNUSED)
{
	static const struct {
		uint32_t size;
		bool is_taken;
	} cases[] = { { 128, true }, { 256, true },  { 1024, true },	   { 0, false },
		      { 127, false }, { 1025, false }, { UINT32_MAX, false } };

	f->display->has_somebody_to_ask = true;
	for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
		struct virtio_gpu_resp_edid edid = { .size = cases[i].size };

		memset(edid.edid, 0x42, sizeof(edid.edid));
		g_assert_cmphex(get_edid(f, 3), ==, GPU_RESP_PENDING);
		device_take_edid(&f->dev, f->display->token, &edid);
		g_assert_cmphex(take(f, CONTROL), ==, GPU_RESP_OK_EDID);
		if (cases[i].is_taken) {
			g_assert_cmpuint(f->response.edid.size, ==, cases[i].size);
			unit_assert_bytes(f->response.edid.edid, edid.edid, sizeof(edid.edid));
		} else {
			assert_own_edid(f, DEVICE_DEFAULT_WIDTH, DEVICE_DEFAULT_HEIGHT, 3);
		}
	}
	g_assert_cmphex(get_edid(f, 3), ==, GPU_RESP_PENDING);
	device_take_edid(&f->dev, f->display->token, NULL);
	g_assert_cmphex(take(f, CONTROL), ==, GPU_RESP_OK_EDID);
	assert_own_edid(f, DEVICE_DEFAULT_WIDTH, DEVICE_DEFAULT_HEIGHT, 3);
}

static void test_answers_by_token(struct fixture *f, gconstpointer data G_GNUC_UNUSED)
{
	struct virtio_gpu_resp_edid first = { .size = 128, .edid = { 1 } };
	struct virtio_gpu_resp_edid second = { .size = 128, .edid = { 2 } };

	f->display->has_somebody_to_ask = true;
	g_assert_cmphex(get_edid(f, 0), ==, GPU_RESP_PENDING);
	uint64_t token = f->display->token;
	g_assert_cmphex(get_edid(f, 0), ==, GPU_RESP_PENDING);
	device_take_edid(&f->dev, f->display->token, &second);
	g_assert_cmphex(take(f, CONTROL), ==, GPU_RESP_OK_EDID);
	g_assert_cmpuint(f->response.edid.edid[0], ==, 2);
	device_take_edid(&f->dev, token, &first);
	g_assert_cmphex(take(f, CONTROL), ==, GPU_RESP_OK_EDID);
	g_assert_cmpuint(f->response.edid.edid[0], ==, 1);
}

static void test_reset_drops_questions(struct fixture *f, gconstpointer data G_GNUC_UNUSED)
{
	const struct virtio_gpu_resp_display_info info = { 0 };

	f->display->has_somebody_to_ask = true;
	g_assert_cmphex(get_info(f), ==, GPU_RESP_PENDING);
	device_reset(&f->dev);
	device_take_info(&f->dev, f->display->token, &info);
	g_assert_cmphex(take(f, CONTROL), ==, GPU_RESP_PENDING);
	/* What is asked and never answered goes with the device: teardown. */
	g_assert_cmphex(get_edid(f, 0), ==, GPU_RESP_PENDING);
}

/* ---- memory for the guest's wishes ---- */

static void test_quota(struct fixture *f, gconstpointer data G_GNUC_UNUSED)
{
	g_autofree struct virtio_gpu_mem_entry *many =
		g_new0(struct virtio_gpu_mem_entry, RESOURCE_MAX_ENTRIES);
	uint64_t gpa = guestram_alloc(f->vm.ram, 0, 4096, 4096);
	uint32_t id = 1;

	for (uint32_t i = 0; i < RESOURCE_MAX_ENTRIES; i++) {
		many[i] = (struct virtio_gpu_mem_entry){ gpa, 16, 0 };
	}
	/* 4 MiB each, of 64. */
	while (create_2d(f, id, FORMAT, 1024, 1024) == GPU_RESP_OK_NODATA) {
		g_assert_cmpuint(id, <=, 16);
		id++;
	}
	g_assert_cmphex(f->response.header.type, ==, VIRTIO_GPU_RESP_ERR_OUT_OF_MEMORY);
	g_assert_cmpuint(id, ==, 16);
	/* What is refused costs nothing, and what goes makes room. */
	uint64_t before = quota_used(&f->quota);
	assert_is(create_2d(f, id, FORMAT, 1024, 1024), OUT_OF_MEMORY);
	g_assert_cmpuint(quota_used(&f->quota), ==, before);
	assert_ok(unref(f, 1));
	assert_ok(create_2d(f, 1, FORMAT, 1024, 1024));
	/* Lists of pages are charged too. */
	f->quota.limit_bytes = quota_used(&f->quota) + 1000;
	assert_is(attach(f, 1, RESOURCE_MAX_ENTRIES, many, RESOURCE_MAX_ENTRIES), OUT_OF_MEMORY);
	assert_is(detach(f, 1), INVALID_RESOURCE_ID);
	assert_ok(attach_one(f, 1, gpa, 16));
}

/* A copy that a held picture makes necessary may be what there is no room for. */
static void test_quota_and_a_held_picture(struct fixture *f, gconstpointer data G_GNUC_UNUSED)
{
	make_resource(f, 1, FORMAT, 64, 64);
	assert_ok(set_scanout(f, 0, 1, RECT(0, 0, 64, 64)));
	assert_ok(transfer(f, 1, RECT(0, 0, 64, 64), 0));
	assert_ok(flush(f, 1, RECT(0, 0, 64, 64)));
	f->quota.limit_bytes = quota_used(&f->quota);
	assert_is(transfer(f, 1, RECT(0, 0, 64, 64), 0), OUT_OF_MEMORY);
	assert_ok(flush(f, 1, RECT(0, 0, 64, 64)));
	g_clear_pointer(&f->display->frame, frame_unref);
	assert_ok(transfer(f, 1, RECT(0, 0, 64, 64), 0));
}

/* ---- uuid ---- */

static void test_uuid(struct fixture *f, gconstpointer data G_GNUC_UNUSED)
{
	struct virtio_gpu_resource_assign_uuid request = { HDR(RESOURCE_ASSIGN_UUID), 1, 0 };
	uint8_t first[16];

	make_resource(f, 1, FORMAT, 16, 16);
	make_resource(f, 2, FORMAT, 16, 16);
	assert_is(call(f, CONTROL, &request, sizeof(request)), INVALID_PARAMETER);
	device_set_features(&f->dev, 1u << VIRTIO_GPU_F_RESOURCE_UUID);
	g_assert_cmphex(call(f, CONTROL, &request, sizeof(request)), ==, GPU_RESP_OK_RESOURCE_UUID);
	g_assert_cmpuint(f->response_bytes, ==, sizeof(f->response.uuid));
	memcpy(first, f->response.uuid.uuid, sizeof(first));
	g_assert_cmphex(first[6] >> 4, ==, 4);
	g_assert_cmphex(first[8] >> 6, ==, 2);
	/* The same each time, another for another. */
	g_assert_cmphex(call(f, CONTROL, &request, sizeof(request)), ==, GPU_RESP_OK_RESOURCE_UUID);
	unit_assert_bytes(f->response.uuid.uuid, first, sizeof(first));
	request.resource_id = 2;
	g_assert_cmphex(call(f, CONTROL, &request, sizeof(request)), ==, GPU_RESP_OK_RESOURCE_UUID);
	g_assert_cmpint(memcmp(f->response.uuid.uuid, first, sizeof(first)), !=, 0);
	request.resource_id = 3;
	assert_is(call(f, CONTROL, &request, sizeof(request)), INVALID_RESOURCE_ID);
}

/* ---- 3D, before it reaches a renderer ---- */

static void test_contexts(struct fixture *f, gconstpointer data G_GNUC_UNUSED)
{
	assert_is(create_context(f, 0, 0, "", 0), INVALID_CONTEXT_ID);
	assert_ok(create_context(f, 1, 0, "name", 4));
	assert_is(create_context(f, 1, 0, "", 0), INVALID_CONTEXT_ID);
	assert_ok(create_context(f, 2, 0, "cut\0here", 8));
	assert_ok(create_context(f, UINT32_MAX, 0, "", 64));
	assert_is(create_context(f, 3, 0, "", 65), INVALID_PARAMETER);
	assert_is(create_context(f, 3, 0, "", UINT32_MAX), INVALID_PARAMETER);
	assert_rendered(f, "ctx 1: 0 'name'\nctx 2: 0 'cut'\nctx 4294967295: 0 ''\n");

	/* Without CONTEXT_INIT the field is padding; with it, it must name what is offered. */
	assert_ok(create_context(f, 3, 99, "", 0));
	device_set_features(&f->dev, 1u << VIRTIO_GPU_F_CONTEXT_INIT);
	assert_ok(create_context(f, 4, RENDERER_CAPSET_VIRGL2, "", 0));
	assert_ok(create_context(f, 5, RENDERER_CAPSET_VIRGL2 | 0xff00, "", 0));
	assert_is(create_context(f, 6, RENDERER_CAPSET_VENUS, "", 0), INVALID_PARAMETER);
	assert_rendered(f, "ctx 3: 0 ''\nctx 4: 2 ''\nctx 5: 2 ''\n");

	assert_is(context_call(f, VIRTIO_GPU_CMD_CTX_DESTROY, 6, 0), INVALID_CONTEXT_ID);
	assert_is(context_call(f, VIRTIO_GPU_CMD_CTX_DESTROY, 0, 0), INVALID_CONTEXT_ID);
	assert_ok(context_call(f, VIRTIO_GPU_CMD_CTX_DESTROY, 4, 0));
	assert_is(context_call(f, VIRTIO_GPU_CMD_CTX_DESTROY, 4, 0), INVALID_CONTEXT_ID);
	assert_rendered(f, "ctx 4 gone\n");
}

static void test_context_resources(struct fixture *f, gconstpointer data G_GNUC_UNUSED)
{
	assert_ok(create_context(f, 1, 0, "", 0));
	assert_ok(create_3d(f, 7, 16, 16, 1, 1, 0));
	assert_rendered(f, "ctx 1: 0 ''\ncreate 7\n");
	assert_is(context_call(f, VIRTIO_GPU_CMD_CTX_ATTACH_RESOURCE, 2, 7), INVALID_CONTEXT_ID);
	assert_is(context_call(f, VIRTIO_GPU_CMD_CTX_ATTACH_RESOURCE, 1, 8), INVALID_RESOURCE_ID);
	assert_is(context_call(f, VIRTIO_GPU_CMD_CTX_DETACH_RESOURCE, 2, 7), INVALID_CONTEXT_ID);
	assert_is(context_call(f, VIRTIO_GPU_CMD_CTX_DETACH_RESOURCE, 1, 8), INVALID_RESOURCE_ID);
	assert_rendered(f, "");
	assert_ok(context_call(f, VIRTIO_GPU_CMD_CTX_ATTACH_RESOURCE, 1, 7));
	assert_ok(context_call(f, VIRTIO_GPU_CMD_CTX_DETACH_RESOURCE, 1, 7));
	assert_rendered(f, "ctx 1 + 7\nctx 1 - 7\n");
}

static void test_submit(struct fixture *f, gconstpointer data G_GNUC_UNUSED)
{
	struct {
		struct virtio_gpu_cmd_submit head;
		char stream[104];
	} request = { .head = { .hdr = { .type = VIRTIO_GPU_CMD_SUBMIT_3D, .ctx_id = 1 },
				.size = 104 } };
	const size_t head_bytes = sizeof(request.head);

	strcpy(request.stream, "command stream");
	assert_is(call(f, CONTROL, &request, sizeof(request)), INVALID_CONTEXT_ID);
	assert_ok(create_context(f, 1, 0, "", 0));
	assert_rendered(f, "ctx 1: 0 ''\n");
	assert_ok(call(f, CONTROL, &request, sizeof(request)));
	assert_rendered(f, "submit 1: 104\n");
	g_assert_cmpstr(puppet_from_base(f->renderer)->stream, ==, "command stream");
	request.head.size = 105; /* more than there is */
	assert_is(call(f, CONTROL, &request, sizeof(request)), INVALID_PARAMETER);
	request.head.size = UINT32_MAX;
	assert_is(call(f, CONTROL, &request, sizeof(request)), INVALID_PARAMETER);
	request.head.size = 1;
	assert_is(call(f, CONTROL, &request, head_bytes), INVALID_PARAMETER);
	request.head.size = 0;
	assert_ok(call(f, CONTROL, &request, head_bytes));
	request.head.size = 10; /* less than there is */
	assert_ok(call(f, CONTROL, &request, sizeof(request)));
	assert_rendered(f, "submit 1: 10\n");
}

static enum gpu_resp transfer_3d(struct fixture *f, uint32_t ctx_id, uint32_t id, uint32_t level,
				 struct virtio_gpu_box box, uint64_t offset)
{
	const struct virtio_gpu_transfer_host_3d request = {
		.hdr = { .type = VIRTIO_GPU_CMD_TRANSFER_TO_HOST_3D, .ctx_id = ctx_id },
		.box = box,
		.offset = offset,
		.resource_id = id,
		.level = level,
	};

	return call(f, CONTROL, &request, sizeof(request));
}

static void test_transfer_3d(struct fixture *f, gconstpointer data G_GNUC_UNUSED)
{
	static const struct {
		uint32_t level;
		struct virtio_gpu_box box;
		uint64_t offset;
		bool is_fine;
	} cases[] = {
		{ 0, { 0, 0, 0, 64, 32, 1 }, 0, true },
		{ 0, { 63, 31, 0, 1, 1, 1 }, 0, true },
		{ 1, { 0, 0, 0, 32, 16, 1 }, 0, true },
		{ 2, { 0, 0, 0, 16, 8, 1 }, 0, true },
		{ 0, { 0, 0, 0, 64, 32, 1 }, 8192, true }, /* the renderer knows its strides */
		{ 0, { 0, 0, 0, 65, 32, 1 }, 0, false },
		{ 0, { 0, 0, 0, 64, 33, 1 }, 0, false },
		{ 0, { 0, 0, 0, 64, 32, 2 }, 0, false },
		{ 0, { 0, 0, 1, 64, 32, 1 }, 0, false },
		{ 0, { UINT32_MAX, 0, 0, 2, 1, 1 }, 0, false },
		{ 0, { 0, 0, UINT32_MAX, 1, 1, 2 }, 0, false },
		{ 1, { 0, 0, 0, 33, 16, 1 }, 0, false },
		{ 3, { 0, 0, 0, 1, 1, 1 }, 0, false },
		{ UINT32_MAX, { 0, 0, 0, 1, 1, 1 }, 0, false },
		{ 0, { 0, 0, 0, 1, 1, 1 }, 8193, false },
		{ 0, { 0, 0, 0, 1, 1, 1 }, UINT64_MAX, false },
	};
	const struct virtio_gpu_box one = { 0, 0, 0, 1, 1, 1 };
	uint64_t gpa = guestram_alloc(f->vm.ram, 0, 8192, 4096);

	assert_is(transfer_3d(f, 0, 1, 0, one, 0), INVALID_RESOURCE_ID);
	assert_ok(create_3d(f, 1, 64, 32, 1, 1, 2));
	assert_is(transfer_3d(f, 0, 1, 0, one, 0), INVALID_RESOURCE_ID); /* no backing */
	assert_ok(attach_one(f, 1, gpa, 8192));
	assert_is(transfer_3d(f, 9, 1, 0, one, 0), INVALID_CONTEXT_ID);
	for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
		g_assert_cmphex(transfer_3d(f, 0, 1, cases[i].level, cases[i].box, cases[i].offset),
				==,
				cases[i].is_fine ? GPU_RESP_OK_NODATA :
						   GPU_RESP_ERR_INVALID_PARAMETER);
	}
	/* The layers of an array count as depth. */
	assert_ok(create_3d(f, 2, 64, 32, 1, 6, 0));
	assert_ok(attach_one(f, 2, gpa, 8192));
	assert_ok(transfer_3d(f, 0, 2, 0, (struct virtio_gpu_box){ 0, 0, 5, 64, 32, 1 }, 0));
	assert_is(transfer_3d(f, 0, 2, 0, (struct virtio_gpu_box){ 0, 0, 6, 64, 32, 1 }, 0),
		  INVALID_PARAMETER);
	/* Drivers use the 2D command on 3D resources as well. */
	g_string_truncate(puppet_from_base(f->renderer)->log, 0);
	assert_ok(transfer(f, 1, RECT(0, 0, 64, 32), 0));
	assert_rendered(f, "transfer 1 up\n");
}

static void test_capsets(struct fixture *f, gconstpointer data G_GNUC_UNUSED)
{
	struct virtio_gpu_get_capset_info info = { HDR(GET_CAPSET_INFO), 1, 0 };
	struct virtio_gpu_get_capset get = { HDR(GET_CAPSET), RENDERER_CAPSET_VIRGL2, 2 };

	g_assert_cmphex(call(f, CONTROL, &info, sizeof(info)), ==, GPU_RESP_OK_CAPSET_INFO);
	g_assert_cmpuint(f->response_bytes, ==, sizeof(f->response.capset_info));
	g_assert_cmpuint(f->response.capset_info.capset_id, ==, RENDERER_CAPSET_VIRGL2);
	g_assert_cmpuint(f->response.capset_info.capset_max_version, ==, 2);
	g_assert_cmpuint(f->response.capset_info.capset_max_size, ==, 1000);
	info.capset_index = 2;
	assert_is(call(f, CONTROL, &info, sizeof(info)), INVALID_PARAMETER);
	info.capset_index = UINT32_MAX;
	assert_is(call(f, CONTROL, &info, sizeof(info)), INVALID_PARAMETER);

	g_assert_cmphex(call(f, CONTROL, &get, sizeof(get)), ==, GPU_RESP_OK_CAPSET);
	g_assert_cmpuint(f->response_bytes, ==, 24 + 1000);
	g_assert_cmphex(f->response.bytes[24], ==, 0x3c);
	g_assert_cmphex(f->response.bytes[24 + 999], ==, 0x3c);
	get.capset_version = 3;
	assert_is(call(f, CONTROL, &get, sizeof(get)), INVALID_PARAMETER);
	get.capset_version = 0;
	get.capset_id = RENDERER_CAPSET_VENUS;
	assert_is(call(f, CONTROL, &get, sizeof(get)), INVALID_PARAMETER);
	get.capset_id = RENDERER_CAPSET_VIRGL;
	puppet_from_base(f->renderer)->answer = GPU_RESP_ERR_UNSPEC;
	assert_is(call(f, CONTROL, &get, sizeof(get)), UNSPEC);
	g_assert_cmpuint(f->response_bytes, ==, 24);
}

static void test_no_capset(struct fixture *f, gconstpointer data G_GNUC_UNUSED)
{
	const struct virtio_gpu_get_capset_info info = { HDR(GET_CAPSET_INFO), 0, 0 };
	const struct virtio_gpu_get_capset get = { HDR(GET_CAPSET), RENDERER_CAPSET_VIRGL, 0 };

	assert_is(call(f, CONTROL, &info, sizeof(info)), INVALID_PARAMETER);
	assert_is(call(f, CONTROL, &get, sizeof(get)), INVALID_PARAMETER);
}

/* A renderer's failure reaches the guest, and leaves nothing behind. */
static void test_renderer_fails(struct fixture *f, gconstpointer data G_GNUC_UNUSED)
{
	struct puppet *p = puppet_from_base(f->renderer);
	uint64_t gpa = guestram_alloc(f->vm.ram, 0, 4096, 4096);

	p->answer = GPU_RESP_ERR_OUT_OF_MEMORY;
	assert_is(create_2d(f, 1, FORMAT, 16, 16), OUT_OF_MEMORY);
	assert_is(create_3d(f, 1, 16, 16, 1, 1, 0), OUT_OF_MEMORY);
	assert_is(create_context(f, 1, 0, "", 0), OUT_OF_MEMORY);
	g_assert_cmpuint(quota_used(&f->quota), ==, 0);
	p->answer = GPU_RESP_OK_NODATA;
	assert_ok(create_2d(f, 1, FORMAT, 16, 16));
	assert_ok(create_context(f, 1, 0, "", 0));
	p->answer = GPU_RESP_ERR_UNSPEC;
	assert_is(attach_one(f, 1, gpa, 4096), UNSPEC);
	assert_is(detach(f, 1), INVALID_RESOURCE_ID);
	p->answer = GPU_RESP_OK_NODATA;
	assert_ok(attach_one(f, 1, gpa, 4096));
	assert_ok(set_scanout(f, 0, 1, RECT(0, 0, 16, 16)));
	p->answer = GPU_RESP_ERR_UNSPEC;
	assert_is(transfer(f, 1, RECT(0, 0, 16, 16), 0), UNSPEC);
	assert_is(flush(f, 1, RECT(0, 0, 16, 16)), UNSPEC);
	assert_is(update_cursor(f, 0, 1, 0, 0, 0, 0), UNSPEC);
}

/* ---- fences ---- */

static void execute_fenced(struct fixture *f, uint32_t type, uint64_t fence_id, uint32_t flags,
			   uint32_t ctx_id, uint8_t ring_idx)
{
	const struct virtio_gpu_ctx_resource request = {
		.hdr = { .type = type,
			 .flags = VIRTIO_GPU_FLAG_FENCE | flags,
			 .fence_id = fence_id,
			 .ctx_id = ctx_id,
			 .ring_idx = ring_idx },
		.resource_id = 1,
	};

	execute(f, CONTROL, &request, sizeof(request));
}

static void signal_fence(struct fixture *f, const struct renderer_fence *fence)
{
	f->renderer->listener->fence_signaled(f->renderer->listener_data, fence);
}

static void assert_completed(struct fixture *f, uint64_t fence_id, enum gpu_resp resp)
{
	g_assert_cmphex(take(f, CONTROL), ==, resp);
	g_assert_cmphex(f->response.header.fence_id, ==, fence_id);
	g_assert_true((f->response.header.flags & VIRTIO_GPU_FLAG_FENCE) != 0);
}

static void assert_none_completed(struct fixture *f)
{
	g_assert_cmphex(take(f, CONTROL), ==, GPU_RESP_PENDING);
}

static void test_fenced_commands_wait(struct fixture *f, gconstpointer data G_GNUC_UNUSED)
{
	const uint64_t large = UINT64_C(0xfedcba9876543210);
	struct puppet *p = puppet_from_base(f->renderer);

	assert_ok(create_3d(f, 1, 16, 16, 1, 1, 0));
	assert_ok(create_context(f, 1, 0, "", 0));
	execute_fenced(f, VIRTIO_GPU_CMD_CTX_ATTACH_RESOURCE, large, 0, 1, 0);
	struct renderer_fence first = p->last_fence;
	execute_fenced(f, VIRTIO_GPU_CMD_CTX_ATTACH_RESOURCE, 1, 0, 99, 0); /* fails, and waits */
	struct renderer_fence second = p->last_fence;
	g_assert_false(first.has_ring);
	g_assert_cmpuint(first.seq, <, second.seq);
	assert_none_completed(f);
	/* What has no fence does not wait for those that have. */
	assert_ok(create_2d(f, 2, FORMAT, 16, 16));
	signal_fence(f, &first);
	assert_completed(f, large, GPU_RESP_OK_NODATA);
	assert_none_completed(f);
	signal_fence(f, &first);
	assert_none_completed(f);
	signal_fence(f, &second);
	assert_completed(f, 1, GPU_RESP_ERR_INVALID_CONTEXT_ID);
}

static void test_rings_of_a_context(struct fixture *f, gconstpointer data G_GNUC_UNUSED)
{
	const uint32_t flag = VIRTIO_GPU_FLAG_INFO_RING_IDX;
	struct puppet *p = puppet_from_base(f->renderer);

	assert_ok(create_3d(f, 1, 16, 16, 1, 1, 0));
	assert_ok(create_context(f, 1, 0, "", 0));
	/* Not negotiated: the global timeline. */
	execute_fenced(f, VIRTIO_GPU_CMD_CTX_ATTACH_RESOURCE, 1, flag, 1, 5);
	g_assert_false(p->last_fence.has_ring);
	signal_fence(f, &p->last_fence);
	assert_completed(f, 1, GPU_RESP_OK_NODATA);

	device_set_features(&f->dev, 1u << VIRTIO_GPU_F_CONTEXT_INIT);
	execute_fenced(f, VIRTIO_GPU_CMD_CTX_ATTACH_RESOURCE, 2, flag, 1, 5);
	struct renderer_fence ring_5 = p->last_fence;
	g_assert_true(ring_5.has_ring);
	g_assert_cmpuint(ring_5.ctx_id, ==, 1);
	g_assert_cmpuint(ring_5.ring_idx, ==, 5);
	execute_fenced(f, VIRTIO_GPU_CMD_CTX_ATTACH_RESOURCE, 3, flag, 1, 6);
	signal_fence(f, &p->last_fence);
	assert_completed(f, 3, GPU_RESP_OK_NODATA);
	g_assert_cmpuint(f->response.header.ring_idx, ==, 6);
	signal_fence(f, &ring_5);
	assert_completed(f, 2, GPU_RESP_OK_NODATA);

	/* A ring of no context: nobody would ever signal it. */
	execute_fenced(f, VIRTIO_GPU_CMD_CTX_ATTACH_RESOURCE, 4, flag, 77, 0);
	assert_completed(f, 4, GPU_RESP_ERR_INVALID_CONTEXT_ID);
}

static void test_context_goes_with_fences_out(struct fixture *f, gconstpointer data G_GNUC_UNUSED)
{
	const uint32_t flag = VIRTIO_GPU_FLAG_INFO_RING_IDX;

	device_set_features(&f->dev, 1u << VIRTIO_GPU_F_CONTEXT_INIT);
	assert_ok(create_3d(f, 1, 16, 16, 1, 1, 0));
	assert_ok(create_context(f, 1, 0, "", 0));
	execute_fenced(f, VIRTIO_GPU_CMD_CTX_ATTACH_RESOURCE, 10, flag, 1, 0);
	execute_fenced(f, VIRTIO_GPU_CMD_CTX_ATTACH_RESOURCE, 11, flag, 1, 0);
	execute_fenced(f, VIRTIO_GPU_CMD_CTX_ATTACH_RESOURCE, 12, 0, 1, 0);
	struct renderer_fence global = puppet_from_base(f->renderer)->last_fence;
	execute_fenced(f, VIRTIO_GPU_CMD_CTX_DESTROY, 13, flag, 1, 0);
	assert_completed(f, 10, GPU_RESP_OK_NODATA);
	assert_completed(f, 11, GPU_RESP_OK_NODATA);
	assert_completed(f, 13, GPU_RESP_OK_NODATA); /* the ring is gone with it */
	assert_none_completed(f);
	signal_fence(f, &global);
	assert_completed(f, 12, GPU_RESP_OK_NODATA);
}

static void test_renderer_makes_no_fence(struct fixture *f, gconstpointer data G_GNUC_UNUSED)
{
	assert_ok(create_3d(f, 1, 16, 16, 1, 1, 0));
	assert_ok(create_context(f, 1, 0, "", 0));
	puppet_from_base(f->renderer)->fence_answer = GPU_RESP_ERR_OUT_OF_MEMORY;
	execute_fenced(f, VIRTIO_GPU_CMD_CTX_ATTACH_RESOURCE, 1, 0, 1, 0);
	assert_completed(f, 1, GPU_RESP_OK_NODATA);
}

static void test_reset_drops_what_waits(struct fixture *f, gconstpointer data G_GNUC_UNUSED)
{
	struct puppet *p = puppet_from_base(f->renderer);

	assert_ok(create_3d(f, 1, 16, 16, 1, 1, 0));
	assert_ok(create_context(f, 1, 0, "", 0));
	execute_fenced(f, VIRTIO_GPU_CMD_CTX_ATTACH_RESOURCE, 1, 0, 1, 0);
	struct renderer_fence before = p->last_fence;
	device_reset(&f->dev);
	signal_fence(f, &before);
	assert_none_completed(f);
	assert_ok(create_3d(f, 1, 16, 16, 1, 1, 0));
	execute_fenced(f, VIRTIO_GPU_CMD_CTX_ATTACH_RESOURCE, 1, 0, 1, 0);
	signal_fence(f, &before); /* late, and of another life */
	assert_none_completed(f);
	signal_fence(f, &p->last_fence);
	assert_completed(f, 1, GPU_RESP_ERR_INVALID_CONTEXT_ID);
}

/* A renderer without fences is done when it returns. */
static void test_fence_without_fences(struct fixture *f, gconstpointer data G_GNUC_UNUSED)
{
	execute_fenced(f, VIRTIO_GPU_CMD_RESOURCE_UNREF, 7, 0, 3, 0);
	assert_completed(f, 7, GPU_RESP_ERR_INVALID_RESOURCE_ID);
	g_assert_cmpuint(f->response.header.ctx_id, ==, 3);
}

/* So is the end of a hold. */
static void test_fenced_and_held(struct fixture *f, gconstpointer data G_GNUC_UNUSED)
{
	struct puppet *p = puppet_from_base(f->renderer);
	const struct virtio_gpu_resource_flush request = {
		{ .type = VIRTIO_GPU_CMD_RESOURCE_FLUSH,
		  .flags = VIRTIO_GPU_FLAG_FENCE,
		  .fence_id = 77 },
		{ 0, 0, 64, 32 }, 2, 0
	};

	p->picture = frame_create(&f->quota, 64, 32);
	make_busy(f);
	uint64_t before = p->last_fence.seq;
	execute(f, CONTROL, &request, sizeof(request));
	g_assert_cmpuint(p->last_fence.seq, ==, before);
	device_take_taken(&f->dev, 1u << 2);
	g_assert_cmpuint(p->last_fence.seq, >, before);
	assert_none_completed(f);
	signal_fence(f, &p->last_fence);
	assert_completed(f, 77, GPU_RESP_OK_NODATA);
}

/* A question's answer is a command's end like any other: its fence counts. */
static void test_fenced_question(struct fixture *f, gconstpointer data G_GNUC_UNUSED)
{
	f->display->has_somebody_to_ask = true;
	execute_fenced(f, VIRTIO_GPU_CMD_GET_DISPLAY_INFO, 5, 0, 0, 0);
	assert_none_completed(f);
	device_take_info(&f->dev, f->display->token, NULL);
	assert_none_completed(f);
	signal_fence(f, &puppet_from_base(f->renderer)->last_fence);
	assert_completed(f, 5, GPU_RESP_OK_DISPLAY_INFO);
	g_assert_cmpuint(f->response_bytes, ==, sizeof(f->response.info));
}

/* ---- null: all of it, and nothing to see ---- */

static void test_null_completes_everything(struct fixture *f, gconstpointer data G_GNUC_UNUSED)
{
	make_resource(f, 1, FORMAT, 64, 32);
	assert_ok(set_scanout(f, 0, 1, RECT(0, 0, 64, 32)));
	assert_ok(transfer(f, 1, RECT(0, 0, 64, 32), 0));
	assert_ok(flush(f, 1, RECT(0, 0, 64, 32)));
	assert_ok(create_context(f, 1, 0, "", 0));
	assert_ok(create_3d(f, 2, 64, 32, 1, 1, 0));
	assert_ok(context_call(f, VIRTIO_GPU_CMD_CTX_ATTACH_RESOURCE, 1, 2));
	assert_ok(context_call(f, VIRTIO_GPU_CMD_CTX_DESTROY, 1, 0));
	assert_shown(f, "");
	assert_ok(set_scanout(f, 0, 0, RECT(0)));
	device_replay(&f->dev);
}

static const struct {
	const char *path;
	void (*test)(struct fixture *f, gconstpointer data);
	bool on_soft, on_null, on_puppet;
} tests[] = {
	{ "create-2d", test_create_2d, true, true, true },
	{ "unref", test_unref, true, true, true },
	{ "attach", test_attach, true, true, true },
	{ "transfer", test_transfer, true, true, true },
	{ "flush", test_flush, true, true, true },
	{ "set-scanout", test_set_scanout, true, true, true },
	{ "bad-ones-do-not-disturb", test_bad_ones_do_not_disturb, true, true, true },
	{ "what-this-mode-has-not", test_what_this_mode_has_not, true, false, false },
	{ "refused-scanout-stays", test_refused_scanout_stays, true, false, false },
	{ "first-flush-shows-all", test_first_flush_shows_all, true, false, false },
	{ "damage-is-in-scanout-coordinates", test_damage_is_in_scanout_coordinates, true, false,
	  false },
	{ "one-resource-on-two-scanouts", test_one_resource_on_two_scanouts, true, false, false },
	{ "off", test_off, true, true, true },
	{ "nobody-watches", test_nobody_watches, true, false, false },
	{ "replay", test_replay, true, false, false },
	{ "reset", test_reset, true, false, false },
	{ "pixels-out-of-scattered-pages", test_pixels_out_of_scattered_pages, true, false, false },
	{ "picture-is-not-torn", test_picture_is_not_torn, true, false, false },
	{ "held/flush", test_flush_is_held, true, false, false },
	{ "held/for-two-scanouts", test_held_for_two_scanouts, true, false, false },
	{ "held/for-so-long", test_held_for_so_long, true, false, false },
	{ "held/slow-display", test_slow_display, true, false, false },
	{ "held/reset-drops-them", test_reset_drops_held, true, false, false },
	{ "held/not-what-was-refused", test_refused_is_not_held, false, false, true },
	{ "held/fenced", test_fenced_and_held, false, false, true },
	{ "reclaimed-before-drawing", test_reclaimed_before_drawing, true, false, false },
	{ "cursor/errors", test_cursor_errors, true, true, true },
	{ "cursor/moves-and-hides", test_cursor_moves_and_hides, true, true, true },
	{ "cursor/formats", test_cursor_formats, true, false, false },
	{ "cursor/outlives-its-resource", test_cursor_outlives_its_resource, true, false, false },
	{ "memory/backing-follows-the-table", test_backing_follows_the_table, true, false, false },
	{ "memory/unmoved-backing-is-left-alone", test_unmoved_backing_is_left_alone, false, false,
	  true },
	{ "memory/detached-before-destroyed", test_detached_before_destroyed, false, false, true },
	{ "memory/neighbours-are-joined", test_neighbours_are_joined, false, false, true },
	{ "info/of-our-own", test_info_of_our_own, true, true, true },
	{ "info/of-the-front-end", test_info_of_the_front_end, true, true, false },
	{ "edid/of-our-own", test_edid_of_our_own, true, true, true },
	{ "edid/of-the-front-end", test_edid_of_the_front_end, true, true, false },
	{ "questions/answers-by-token", test_answers_by_token, true, false, false },
	{ "questions/reset-drops-them", test_reset_drops_questions, true, true, true },
	{ "questions/fenced", test_fenced_question, false, false, true },
	{ "quota", test_quota, true, false, false },
	{ "quota/and-a-held-picture", test_quota_and_a_held_picture, true, false, false },
	{ "uuid", test_uuid, true, true, true },
	{ "3d/contexts", test_contexts, false, false, true },
	{ "3d/context-resources", test_context_resources, false, false, true },
	{ "3d/submit", test_submit, false, false, true },
	{ "3d/transfer", test_transfer_3d, false, false, true },
	{ "3d/capsets", test_capsets, false, false, true },
	{ "3d/no-capset", test_no_capset, false, true, false },
	{ "renderer-fails", test_renderer_fails, false, false, true },
	{ "fence/commands-wait", test_fenced_commands_wait, false, false, true },
	{ "fence/rings-of-a-context", test_rings_of_a_context, false, false, true },
	{ "fence/context-goes", test_context_goes_with_fences_out, false, false, true },
	{ "fence/renderer-makes-none", test_renderer_makes_no_fence, false, false, true },
	{ "fence/reset-drops-what-waits", test_reset_drops_what_waits, false, false, true },
	{ "fence/without-fences", test_fence_without_fences, true, true, false },
	{ "completes-everything", test_null_completes_everything, false, true, false },
};

static void add(const char *name, const char *path, const struct renderer_impl *impl,
		void (*test)(struct fixture *f, gconstpointer data))
{
	g_autofree char *full = g_strdup_printf("/device/%s/%s", name, path);

	g_test_add(full, struct fixture, impl, setup, test, teardown);
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	for (size_t i = 0; i < G_N_ELEMENTS(tests); i++) {
		if (tests[i].on_soft) {
			add("soft", tests[i].path, &soft_impl, tests[i].test);
		}
		if (tests[i].on_null) {
			add("null", tests[i].path, &null_impl, tests[i].test);
		}
		if (tests[i].on_puppet) {
			add("puppet", tests[i].path, &puppet_impl, tests[i].test);
		}
	}
	return g_test_run();
}
