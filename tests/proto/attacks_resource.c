/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* Ids, sizes, life and pages of resources. */
#include <string.h>

#include "attacks.h"
#include "proctree.h"
#include "suite.h"

#define FORMAT VIRTIO_GPU_FORMAT_B8G8R8X8_UNORM
#define CREATE(id, the_format, the_width, the_height)                                              \
	COMMAND(virtio_gpu_resource_create_2d, RESOURCE_CREATE_2D, .resource_id = (id),            \
		.format = (the_format), .width = (the_width), .height = (the_height))
#define WITH_ID(struct_type, command, id) COMMAND(struct_type, command, .resource_id = (id))
#define TRANSFER(id, the_width, the_height)                                                        \
	COMMAND(virtio_gpu_transfer_to_host_2d, TRANSFER_TO_HOST_2D,                               \
		.r = { 0, 0, the_width, the_height }, .resource_id = (id))
#define FLUSH(id, the_width, the_height)                                                           \
	COMMAND(virtio_gpu_resource_flush, RESOURCE_FLUSH, .r = { 0, 0, the_width, the_height },   \
		.resource_id = (id))
#define SCANOUT(id)                                                                                \
	COMMAND(virtio_gpu_set_scanout, SET_SCANOUT, .r = { 0, 0, STAGE_SIDE, STAGE_SIDE },        \
		.resource_id = (id))
#define CURSOR(command, id) COMMAND(virtio_gpu_update_cursor, command, .resource_id = (id))
/* A list that claims @count entries and has those of @...: pairs of address and length. */
#define ATTACH(id, count, ...)                                                                     \
	COMMAND(virtio_gpu_resource_attach_backing, RESOURCE_ATTACH_BACKING, .resource_id = (id),  \
		.nr_entries = (count)),                                                            \
		.payload = (const struct virtio_gpu_mem_entry[]){ __VA_ARGS__ },                   \
		.payload_size = sizeof((const struct virtio_gpu_mem_entry[]){ __VA_ARGS__ })
#define ENTRY(gpa, bytes)                                                                          \
	{                                                                                          \
		.addr = (gpa), .length = (bytes)                                                   \
	}

/* ---- after something that makes the row's command wrong ---- */

static void run_after_unref(struct attacker *attacker)
{
	struct vgpu *vgpu = attacker->rig->vgpu;

	attack_expect_ok(attacker, vgpu_resource_unref(vgpu, STAGE_SHOWN));
	attack_expect_ok(attacker, vgpu_resource_unref(vgpu, STAGE_CURSOR));
	attack_send(attacker);
}

static void run_after_detach(struct attacker *attacker)
{
	struct vgpu *vgpu = attacker->rig->vgpu;

	attack_expect_ok(attacker, vgpu_resource_detach_backing(vgpu, STAGE_SHOWN));
	attack_send(attacker);
}

/* The same id, a smaller picture: what was right for the old one is not. */
static void run_after_shrink(struct attacker *attacker)
{
	struct vgpu *vgpu = attacker->rig->vgpu;

	attack_expect_ok(attacker, vgpu_resource_unref(vgpu, STAGE_SHOWN));
	attack_expect_ok(attacker, vgpu_resource_create_2d(vgpu, STAGE_SHOWN, FORMAT, 16, 16));
	attack_expect_ok(attacker, vgpu_resource_attach_one(vgpu, STAGE_SHOWN, FREE_GPA, 1024));
	attack_send(attacker);
}

/* Shown, unref'd while it is shown, made anew and shown, again and again. */
static void run_unref_shown(struct attacker *attacker)
{
	struct vgpu *vgpu = attacker->rig->vgpu;

	for (uint32_t i = 0; i < 100; i++) {
		uint32_t side = 16 + i;
		attack_expect_ok(attacker, vgpu_resource_unref(vgpu, STAGE_SHOWN));
		attack_expect_ok(attacker,
				 vgpu_resource_create_2d(vgpu, STAGE_SHOWN, FORMAT, side, side));
		attack_expect_ok(attacker, vgpu_resource_attach_one(vgpu, STAGE_SHOWN, FREE_GPA,
								    side * side * 4));
		attack_expect_ok(attacker,
				 vgpu_transfer_to_host_2d(vgpu, STAGE_SHOWN, 0, 0, 0, side, side));
		attack_expect_ok(attacker,
				 vgpu_set_scanout(vgpu, 0, STAGE_SHOWN, 0, 0, side, side));
		attack_expect_ok(attacker,
				 vgpu_resource_flush(vgpu, STAGE_SHOWN, 0, 0, side, side));
	}
}

/* ---- amounts ---- */

/* 64 MiB each, never touched: what counts is what the guest is promised. */
static void run_hoard(struct attacker *attacker)
{
	struct vgpu *vgpu = attacker->rig->vgpu;
	uint64_t before_bytes = proctree_memory(attacker->rig->daemon->pid).size_bytes;

	for (uint32_t i = 0; i < 128; i++) {
		uint32_t type = vgpu_resource_create_2d(vgpu, 1000 + i, FORMAT, 4096, 4096);
		if (type != VIRTIO_GPU_RESP_OK_NODATA) {
			attack_expect_type(attacker, type, VIRTIO_GPU_RESP_ERR_OUT_OF_MEMORY);
			vgpu_resource_unref(vgpu, 1000);
			return;
		}
	}
	uint64_t now_bytes = proctree_memory(attacker->rig->daemon->pid).size_bytes;
	attacker->has_leaked = now_bytes > before_bytes + (UINT64_C(7) << 30);
	attack_surprise(attacker, "8 GiB were given out");
}

/* 32768x32769 is 128 KiB in 32 bits. Whoever believes that writes far behind it. */
static void run_wrap_then_fill(struct attacker *attacker)
{
	struct vgpu *vgpu = attacker->rig->vgpu;
	const uint32_t id = 50, side = 32768;

	attack_expect_type(attacker, vgpu_resource_create_2d(vgpu, id, FORMAT, side, side + 1),
			   VIRTIO_GPU_RESP_ERR_OUT_OF_MEMORY);
	attack_expect_type(attacker, vgpu_resource_attach_one(vgpu, id, FREE_GPA, 1 << 22),
			   VIRTIO_GPU_RESP_ERR_INVALID_RESOURCE_ID);
	attack_expect_type(attacker, vgpu_transfer_to_host_2d(vgpu, id, 0, 0, side / 2, 1024, 16),
			   VIRTIO_GPU_RESP_ERR_INVALID_RESOURCE_ID);
}

static void run_hoard_small(struct attacker *attacker)
{
	struct vgpu *vgpu = attacker->rig->vgpu;
	uint32_t n = 0, type = VIRTIO_GPU_RESP_OK_NODATA;

	while (n < 5000 && type == VIRTIO_GPU_RESP_OK_NODATA) {
		type = vgpu_resource_create_2d(vgpu, 1000 + n, FORMAT, 1, 1);
		n += type == VIRTIO_GPU_RESP_OK_NODATA;
	}
	attack_expect(attacker, type == VIRTIO_GPU_RESP_OK_NODATA || n > 1000,
		      "not even a thousand small resources");
	for (uint32_t i = 0; i < n; i++) {
		attack_expect_ok(attacker, vgpu_resource_unref(vgpu, 1000 + i));
	}
}

/* Made, filled and dropped: at the end nothing is left. */
static void run_churn(struct attacker *attacker)
{
	struct vgpu *vgpu = attacker->rig->vgpu;
	uint64_t before_bytes = proctree_memory(attacker->rig->daemon->pid).rss_bytes;

	for (uint32_t i = 0; i < 200; i++) {
		attack_expect_ok(attacker, vgpu_resource_create_2d(vgpu, 1000, FORMAT, 1024, 1024));
		attack_expect_ok(attacker,
				 vgpu_resource_attach_one(vgpu, 1000, FREE_GPA, 1024 * 1024 * 4));
		attack_expect_ok(attacker,
				 vgpu_transfer_to_host_2d(vgpu, 1000, 0, 0, 0, 1024, 1024));
		attack_expect_ok(attacker, vgpu_resource_unref(vgpu, 1000));
	}
	uint64_t now_bytes = proctree_memory(attacker->rig->daemon->pid).rss_bytes;
	if (now_bytes > before_bytes + (UINT64_C(400) << 20)) {
		attacker->has_leaked = true;
		attack_surprise(attacker, "half of 800 MiB are still held");
	}
}

static uint32_t attach_many(struct attacker *attacker, uint32_t id,
			    const struct virtio_gpu_mem_entry *entries, uint32_t n)
{
	return vgpu_resource_attach_backing(attacker->rig->vgpu, id, entries, n);
}

/* As many entries as there may be, all of them the same page. */
static void run_one_page(struct attacker *attacker)
{
	g_autofree struct virtio_gpu_mem_entry *entries = g_new(struct virtio_gpu_mem_entry, 16384);

	for (uint32_t i = 0; i < 16384; i++) {
		entries[i] = (struct virtio_gpu_mem_entry)ENTRY(FREE_GPA, 4096);
	}
	attack_expect_ok(attacker, attach_many(attacker, STAGE_BARE, entries, 16384));
	attack_expect_ok(attacker, vgpu_transfer_to_host_2d(attacker->rig->vgpu, STAGE_BARE, 0, 0,
							    0, STAGE_SIDE, STAGE_SIDE));
}

/* Lists of the greatest length for many resources: the lists are host memory too. */
static void run_list_hoard(struct attacker *attacker)
{
	struct vgpu *vgpu = attacker->rig->vgpu;
	g_autofree struct virtio_gpu_mem_entry *entries = g_new(struct virtio_gpu_mem_entry, 16384);

	/* Every other page, so that none can be joined to its neighbour. */
	for (uint32_t i = 0; i < 16384; i++) {
		entries[i] = (struct virtio_gpu_mem_entry)ENTRY(FREE_GPA + i % 2048 * 8192, 4096);
	}
	for (uint32_t id = 1000; id < 1100; id++) {
		attack_expect_ok(attacker, vgpu_resource_create_2d(vgpu, id, FORMAT, 64, 64));
		uint32_t type = attach_many(attacker, id, entries, 16384);
		if (type != VIRTIO_GPU_RESP_OK_NODATA) {
			attack_expect_type(attacker, type, VIRTIO_GPU_RESP_ERR_OUT_OF_MEMORY);
			break;
		}
	}
}

/* 4 GiB of one picture and then another's: an offset of 4 GiB means the other's. */
static void run_backing_beyond_4_gib(struct attacker *attacker)
{
	struct rig *rig = attacker->rig;
	const uint32_t bytes = 1u << 20, n = 4096;
	g_autofree struct virtio_gpu_mem_entry *entries = g_new(struct virtio_gpu_mem_entry, n + 1);
	uint64_t other_gpa = rig_backing(rig, NULL, bytes);
	uint32_t *other = guestram_at(rig->ram, other_gpa, bytes);

	for (uint32_t i = 0; i < n; i++) {
		entries[i] = (struct virtio_gpu_mem_entry)ENTRY(FREE_GPA, bytes);
	}
	entries[n] = (struct virtio_gpu_mem_entry)ENTRY(other_gpa, bytes);
	for (uint32_t i = 0; i < STAGE_SIDE * STAGE_SIDE; i++) {
		other[i] = 0x00c0ffee;
	}
	attack_expect_ok(attacker, attach_many(attacker, STAGE_BARE, entries, n + 1));
	attack_expect_ok(attacker,
			 vgpu_transfer_to_host_2d(rig->vgpu, STAGE_BARE, UINT64_C(1) << 32, 0, 0,
						  STAGE_SIDE, STAGE_SIDE));
	attack_expect_ok(attacker,
			 vgpu_set_scanout(rig->vgpu, 0, STAGE_BARE, 0, 0, STAGE_SIDE, STAGE_SIDE));
	attack_expect_ok(attacker,
			 vgpu_resource_flush(rig->vgpu, STAGE_BARE, 0, 0, STAGE_SIDE, STAGE_SIDE));
	attack_expect(attacker,
		      !attacker->has_pictures ||
			      display_shows_pixel(rig->display, 0, 5, 5, 0xc0ffee),
		      "another part of the backing is shown");
}

/* The guest shows its own rings; that harms nobody. */
static void run_rings_as_pixels(struct attacker *attacker)
{
	struct rig *rig = attacker->rig;

	attack_expect_ok(attacker, vgpu_resource_attach_one(rig->vgpu, STAGE_BARE,
							    rig->control->desc_gpa, STAGE_BYTES));
	for (unsigned int i = 0; i < 50; i++) {
		attack_expect_ok(attacker, vgpu_transfer_to_host_2d(rig->vgpu, STAGE_BARE, 0, 0, 0,
								    STAGE_SIDE, STAGE_SIDE));
	}
}

#define UNREF_FIRST(...) .run = run_after_unref, .chain = { __VA_ARGS__ }
#define DETACH_FIRST(...) .run = run_after_detach, .chain = { __VA_ARGS__ }
#define SHRINK_FIRST(...) .run = run_after_shrink, .chain = { __VA_ARGS__ }
#define BAD_ID ANSWERED(ERR_INVALID_RESOURCE_ID)
#define TOO_LARGE ANSWERED(ERR_OUT_OF_MEMORY)
#define BAD_PARAMETER ANSWERED(ERR_INVALID_PARAMETER)
#define REFUSED ANSWERED(ERR_UNSPEC)

static const struct attack attacks[] = {
	{ "create/id_0", "a resource with id 0", SENDS(CREATE(0, FORMAT, 64, 64)), BAD_ID },
	{ "create/twice", "a resource with an id in use", SENDS(CREATE(STAGE_SHOWN, FORMAT, 8, 8)),
	  BAD_ID },
	{ "create/no_width", "a resource of width 0", SENDS(CREATE(50, FORMAT, 0, 64)),
	  BAD_PARAMETER },
	{ "create/no_height", "a resource of height 0", SENDS(CREATE(50, FORMAT, 64, 0)),
	  BAD_PARAMETER },
	{ "create/product_wraps", "65536x65536, whose size is 0 in 32 bits",
	  SENDS(CREATE(50, FORMAT, 65536, 65536)), TOO_LARGE },
	{ "create/row_wraps", "1073741825x1, whose row is 4 bytes in 32 bits",
	  SENDS(CREATE(50, FORMAT, 0x40000001, 1)), TOO_LARGE },
	{ "create/column_wraps", "1x1073741825", SENDS(CREATE(50, FORMAT, 1, 0x40000001)),
	  TOO_LARGE },
	{ "create/largest", "4294967295x4294967295",
	  SENDS(CREATE(50, FORMAT, UINT32_MAX, UINT32_MAX)), TOO_LARGE },
	{ "create/wrap_then_fill", "32768x32769, 128 KiB in 32 bits, and pixels for its middle",
	  .outcome = "ERR_OUT_OF_MEMORY, then ERR_INVALID_RESOURCE_ID", .run = run_wrap_then_fill },
	{ "create/sign_bit", "2147483648x1", SENDS(CREATE(50, FORMAT, 0x80000000, 1)), TOO_LARGE },
	{ "create/format_0", "format 0", SENDS(CREATE(50, 0, 64, 64)), BAD_PARAMETER },
	{ "create/format_5", "format 5", SENDS(CREATE(50, 5, 64, 64)), BAD_PARAMETER },
	{ "create/format_max", "format 0xffffffff", SENDS(CREATE(50, UINT32_MAX, 64, 64)),
	  BAD_PARAMETER },
	{ "create/hoard", "resources of 64 MiB until 8 GiB", .run = run_hoard,
	  .outcome = "ERR_OUT_OF_MEMORY before 8 GiB" },
	{ "create/hoard_small", "5000 resources of a pixel", .run = run_hoard_small,
	  .outcome = "OK_NODATA" },
	{ "create/churn", "200 times a resource of 4 MiB made, filled and dropped",
	  .run = run_churn, .outcome = "OK_NODATA, and memory comes back" },

	{ "unref/id_0", "RESOURCE_UNREF of id 0",
	  SENDS(WITH_ID(virtio_gpu_resource_unref, RESOURCE_UNREF, 0)), BAD_ID },
	{ "unref/unknown", "RESOURCE_UNREF of no resource",
	  SENDS(WITH_ID(virtio_gpu_resource_unref, RESOURCE_UNREF, STAGE_NOBODY)), BAD_ID },
	{ "unref/id_max", "RESOURCE_UNREF of id 0xffffffff",
	  SENDS(WITH_ID(virtio_gpu_resource_unref, RESOURCE_UNREF, UINT32_MAX)), BAD_ID },
	{ "unref/twice", "RESOURCE_UNREF twice",
	  UNREF_FIRST(WITH_ID(virtio_gpu_resource_unref, RESOURCE_UNREF, STAGE_SHOWN)), BAD_ID },
	{ "unref/then_transfer", "TRANSFER_TO_HOST_2D of a shown resource after its unref",
	  UNREF_FIRST(TRANSFER(STAGE_SHOWN, 64, 64)), BAD_ID },
	{ "unref/then_flush", "RESOURCE_FLUSH of a shown resource after its unref",
	  UNREF_FIRST(FLUSH(STAGE_SHOWN, 64, 64)), BAD_ID },
	{ "unref/then_scanout", "SET_SCANOUT to a resource after its unref",
	  UNREF_FIRST(SCANOUT(STAGE_SHOWN)), BAD_ID },
	{ "unref/then_attach", "a backing for a resource after its unref",
	  UNREF_FIRST(ATTACH(STAGE_SHOWN, 1, ENTRY(FREE_GPA, 4096))), BAD_ID },
	{ "unref/then_detach", "RESOURCE_DETACH_BACKING after the unref",
	  UNREF_FIRST(WITH_ID(virtio_gpu_resource_detach_backing, RESOURCE_DETACH_BACKING,
			      STAGE_SHOWN)),
	  BAD_ID },
	{ "unref/then_uuid", "RESOURCE_ASSIGN_UUID after the unref",
	  UNREF_FIRST(WITH_ID(virtio_gpu_resource_assign_uuid, RESOURCE_ASSIGN_UUID, STAGE_SHOWN)),
	  BAD_ID },
	{ "unref/then_cursor", "UPDATE_CURSOR with a resource after its unref",
	  UNREF_FIRST(CURSOR(UPDATE_CURSOR, STAGE_CURSOR)), BAD_ID, .queue = VGPU_CURSOR },
	{ "unref/then_move", "MOVE_CURSOR with a resource after its unref",
	  UNREF_FIRST(CURSOR(MOVE_CURSOR, STAGE_CURSOR)),
	  .responses = { VIRTIO_GPU_RESP_OK_NODATA, ATTACK_AN_ERROR }, .queue = VGPU_CURSOR },
	{ "unref/smaller_then_flush", "the old size flushed of a smaller one with the same id",
	  SHRINK_FIRST(FLUSH(STAGE_SHOWN, 64, 64)), BAD_PARAMETER },
	{ "unref/smaller_then_transfer", "the old size filled of a smaller one with the same id",
	  SHRINK_FIRST(TRANSFER(STAGE_SHOWN, 64, 64)), BAD_PARAMETER },
	{ "unref/smaller_then_scanout", "the old size shown of a smaller one with the same id",
	  SHRINK_FIRST(SCANOUT(STAGE_SHOWN)), BAD_PARAMETER },
	{ "unref/shown", "100 times unref'd while shown, made anew and shown",
	  .run = run_unref_shown, .outcome = "OK_NODATA" },

	{ "backing/no_entries", "a list of no entries", SENDS(ATTACH(STAGE_BARE, 0, ENTRY(0, 0))),
	  REFUSED },
	{ "backing/count_over", "a list of 16385 entries",
	  SENDS(ATTACH(STAGE_BARE, 16385, ENTRY(FREE_GPA, 4096))), REFUSED },
	{ "backing/count_wraps", "a list of 2^28 entries, 0 bytes in 32 bits",
	  SENDS(ATTACH(STAGE_BARE, 0x10000000, ENTRY(FREE_GPA, 4096))), REFUSED },
	{ "backing/count_max", "a list of 0xffffffff entries",
	  SENDS(ATTACH(STAGE_BARE, UINT32_MAX, ENTRY(FREE_GPA, 4096))), REFUSED },
	{ "backing/one_missing", "one entry less than the list claims",
	  SENDS(ATTACH(STAGE_BARE, 2, ENTRY(FREE_GPA, 4096))), BAD_PARAMETER },
	{ "backing/all_missing", "16384 entries claimed and one there",
	  SENDS(ATTACH(STAGE_BARE, 16384, ENTRY(FREE_GPA, 4096))), BAD_PARAMETER },
	{ "backing/twice", "a second backing",
	  SENDS(ATTACH(STAGE_SHOWN, 1, ENTRY(FREE_GPA, STAGE_BYTES))), REFUSED },
	{ "backing/nowhere", "pages where there is no memory",
	  SENDS(ATTACH(STAGE_BARE, 1, ENTRY(HOLE_GPA, STAGE_BYTES))), REFUSED },
	{ "backing/second_nowhere", "a good page and one where there is no memory",
	  SENDS(ATTACH(STAGE_BARE, 2, ENTRY(FREE_GPA, 4096), ENTRY(HOLE_GPA, 4096))), REFUSED },
	{ "backing/wraps", "a page that ends beyond 2^64",
	  SENDS(ATTACH(STAGE_BARE, 1, ENTRY(UINT64_MAX - 4095, 8192))), REFUSED },
	{ "backing/length_max", "an entry of 4 GiB less a byte",
	  SENDS(ATTACH(STAGE_BARE, 1, ENTRY(FREE_GPA, UINT32_MAX))), REFUSED },
	{ "backing/length_0", "an entry of no bytes",
	  SENDS(ATTACH(STAGE_BARE, 1, ENTRY(FREE_GPA, 0))), REFUSED },
	{ "backing/id_0", "a backing for resource 0", SENDS(ATTACH(0, 1, ENTRY(FREE_GPA, 4096))),
	  BAD_ID },
	{ "backing/unknown", "a backing for no resource",
	  SENDS(ATTACH(STAGE_NOBODY, 1, ENTRY(FREE_GPA, 4096))), BAD_ID },
	{ "backing/one_page", "16384 times the same page", .run = run_one_page,
	  .outcome = "OK_NODATA" },
	{ "backing/list_hoard", "100 lists of 16384 entries", .run = run_list_hoard,
	  .outcome = "OK_NODATA or ERR_OUT_OF_MEMORY" },
	{ "backing/beyond_4_gib", "a backing of more than 4 GiB and an offset of 4 GiB",
	  .run = run_backing_beyond_4_gib, .outcome = "the right part is shown" },
	{ "backing/rings", "the rings as pixels", .run = run_rings_as_pixels,
	  .outcome = "OK_NODATA" },
	{ "backing/detach_none", "RESOURCE_DETACH_BACKING of what has none",
	  SENDS(WITH_ID(virtio_gpu_resource_detach_backing, RESOURCE_DETACH_BACKING, STAGE_BARE)),
	  BAD_ID },
	{ "backing/detach_unknown", "RESOURCE_DETACH_BACKING of no resource",
	  SENDS(WITH_ID(virtio_gpu_resource_detach_backing, RESOURCE_DETACH_BACKING, STAGE_NOBODY)),
	  BAD_ID },
	{ "backing/detach_twice", "RESOURCE_DETACH_BACKING twice",
	  DETACH_FIRST(WITH_ID(virtio_gpu_resource_detach_backing, RESOURCE_DETACH_BACKING,
			       STAGE_SHOWN)),
	  BAD_ID },
	{ "backing/detach_then_transfer", "TRANSFER_TO_HOST_2D after the backing has gone",
	  DETACH_FIRST(TRANSFER(STAGE_SHOWN, 64, 64)), BAD_ID },
	{ "backing/detach_then_flush", "RESOURCE_FLUSH after the backing has gone",
	  DETACH_FIRST(FLUSH(STAGE_SHOWN, 64, 64)), ANSWERED(OK_NODATA) },
};

const struct attack_list attacks_resource = { attacks, G_N_ELEMENTS(attacks) };
