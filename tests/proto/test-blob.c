/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * Blobs of guest memory: made, shown from where they lie, whatever becomes of the memory, the
 * display and the machine meanwhile. What hosts have in blobs is another suite's.
 */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "proctree.h"
#include "proto.h"

#define FORMAT VIRTIO_GPU_FORMAT_B8G8R8X8_UNORM
#define PAGE GUESTRAM_PAGE
#define GUEST VIRTIO_GPU_BLOB_MEM_GUEST
#define HEADER_SIZE ((uint32_t)sizeof(struct virtio_gpu_ctrl_hdr))
#define HOLE_GPA UINT64_C(0x7000000000)
#define SPARE_GPA UINT64_C(0x200000000)
#define WIDTH 96u
#define HEIGHT 64u
#define SIZE_BYTES (WIDTH * HEIGHT * 4u)

static const struct vgpu_layout plain = {FORMAT, WIDTH, HEIGHT, WIDTH * 4, 0};

static bool draws(const void *mode)
{
	return ((const struct proto_mode *)mode)->draws;
}

static uint32_t create_blob(struct rig *rig, uint32_t id, uint32_t mem, uint64_t size_bytes,
			    const struct virtio_gpu_mem_entry *entries, uint32_t n_entries)
{
	const struct vgpu_blob blob = {.mem = mem,
				       .flags = VIRTIO_GPU_BLOB_FLAG_USE_MAPPABLE,
				       .size_bytes = size_bytes,
				       .entries = entries,
				       .n_entries = n_entries};

	return vgpu_resource_create_blob(rig->vgpu, id, &blob);
}

/* In one piece; returns where it is. */
static uint64_t make_blob(struct rig *rig, uint32_t id, const uint32_t *pixels, uint32_t size_bytes)
{
	uint64_t gpa = rig_backing(rig, pixels, size_bytes);

	g_assert_ok(vgpu_resource_create_guest_blob(rig->vgpu, id, gpa, size_bytes));
	return gpa;
}

/* Page by page, the last one first, each beside one that is not its own; returns the entries. */
static struct virtio_gpu_mem_entry *make_scattered_blob(struct rig *rig, uint32_t id,
							const uint32_t *pixels, uint32_t size_bytes)
{
	uint32_t n = (size_bytes + (uint32_t)PAGE - 1) / (uint32_t)PAGE;
	struct virtio_gpu_mem_entry *entries = g_new0(struct virtio_gpu_mem_entry, n);
	uint64_t gpa = rig_backing(rig, NULL, 2 * n * (uint32_t)PAGE);

	for (uint32_t i = 0; i < n; i++) {
		uint32_t length = MIN((uint32_t)PAGE, size_bytes - i * (uint32_t)PAGE);

		entries[i] = (struct virtio_gpu_mem_entry){gpa + 2 * (n - 1 - i) * PAGE, PAGE, 0};
		memcpy(guestram_at(rig->ram, entries[i].addr, PAGE),
		       (const uint8_t *)pixels + i * PAGE, length);
	}
	g_assert_ok(create_blob(rig, id, GUEST, size_bytes, entries, n));
	return entries;
}

static void flush_all(struct rig *rig, uint32_t id, const struct vgpu_layout *layout)
{
	g_assert_ok(vgpu_resource_flush(rig->vgpu, id, 0, 0, layout->width, layout->height));
}

static void show(struct rig *rig, uint32_t scanout, uint32_t id, const struct vgpu_layout *layout)
{
	g_assert_ok(vgpu_set_scanout_blob(rig->vgpu, scanout, id, layout));
	flush_all(rig, id, layout);
}

/* ---- making them ---- */

static void test_create(const void *mode)
{
	struct rig *rig = proto_rig(mode);
	struct vgpu *vgpu = rig->vgpu;
	uint64_t gpa = rig_backing(rig, NULL, 4 * PAGE);

	g_assert_ok(vgpu_resource_create_guest_blob(vgpu, 1, gpa, 4 * PAGE));
	/* An id is taken by whatever has it. */
	g_assert_resp(vgpu_resource_create_guest_blob(vgpu, 1, gpa, 4 * PAGE),
		      VIRTIO_GPU_RESP_ERR_INVALID_RESOURCE_ID);
	g_assert_resp(vgpu_resource_create_2d(vgpu, 1, FORMAT, 16, 16),
		      VIRTIO_GPU_RESP_ERR_INVALID_RESOURCE_ID);
	g_assert_ok(vgpu_resource_create_2d(vgpu, 2, FORMAT, 16, 16));
	g_assert_resp(vgpu_resource_create_guest_blob(vgpu, 2, gpa, 4 * PAGE),
		      VIRTIO_GPU_RESP_ERR_INVALID_RESOURCE_ID);
	g_assert_resp(vgpu_resource_create_guest_blob(vgpu, 0, gpa, 4 * PAGE),
		      VIRTIO_GPU_RESP_ERR_INVALID_RESOURCE_ID);
	/* Not whole pages, more pages than bytes, and again what there was. */
	g_assert_ok(vgpu_resource_create_guest_blob(vgpu, 3, gpa + 5, 100));
	const struct virtio_gpu_mem_entry more = {gpa, 4 * PAGE, 0};
	g_assert_ok(create_blob(rig, 4, GUEST, 1, &more, 1));
	g_assert_ok(vgpu_resource_unref(vgpu, 1));
	g_assert_resp(vgpu_resource_unref(vgpu, 1), VIRTIO_GPU_RESP_ERR_INVALID_RESOURCE_ID);
	g_assert_ok(vgpu_resource_create_guest_blob(vgpu, 1, gpa, 4 * PAGE));
	/* Every flag that there is; and the context and the memory's id mean nothing. */
	struct vgpu_blob blob = {.mem = GUEST, .blob_id = 77, .size_bytes = PAGE, .entries = &more,
				 .n_entries = 1};
	for (uint32_t flags = 0; flags < 8; flags++) {
		blob.flags = flags;
		vgpu->next_hdr.ctx_id = 99;
		g_assert_ok(vgpu_resource_create_blob(vgpu, 10 + flags, &blob));
	}
	rig_assert_serves(rig);
	rig_destroy(rig);
}

static void test_create_errors(const void *mode)
{
	static const uint32_t mems[] = {0, 4, 5, 0x80000001, UINT32_MAX};
	struct rig *rig = proto_rig(mode);
	uint64_t gpa = rig_backing(rig, NULL, 2 * PAGE);
	const struct virtio_gpu_mem_entry entries[] = {{gpa, PAGE, 0}, {HOLE_GPA, PAGE, 0}};

	for (size_t i = 0; i < G_N_ELEMENTS(mems); i++) {
		g_assert_resp(create_blob(rig, 1, mems[i], PAGE, entries, 1),
			      VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER);
	}
	for (uint32_t bit = 3; bit < 32; bit++) {
		const struct vgpu_blob blob = {.mem = GUEST, .flags = 1u << bit, .size_bytes = PAGE,
					       .entries = entries, .n_entries = 1};
		g_assert_resp(vgpu_resource_create_blob(rig->vgpu, 1, &blob),
			      VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER);
	}
	g_assert_resp(create_blob(rig, 1, GUEST, 0, entries, 1),
		      VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER);
	g_assert_resp(create_blob(rig, 1, GUEST, PAGE, NULL, 0),
		      VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER);
	/* Fewer pages than bytes. */
	g_assert_resp(create_blob(rig, 1, GUEST, PAGE + 1, entries, 1),
		      VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER);
	g_assert_resp(create_blob(rig, 1, GUEST, UINT64_MAX, entries, 1),
		      VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER);
	/* A page that is no memory, even behind what the blob needs. */
	g_assert_resp(create_blob(rig, 1, GUEST, PAGE, entries, 2), VIRTIO_GPU_RESP_ERR_UNSPEC);
	/* It needs a list, or may have none, and a context. */
	g_assert_resp(create_blob(rig, 1, VIRTIO_GPU_BLOB_MEM_HOST3D, PAGE, entries, 1),
		      VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER);
	g_assert_resp(create_blob(rig, 1, VIRTIO_GPU_BLOB_MEM_HOST3D_GUEST, PAGE, NULL, 0),
		      VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER);
	proto_assert_one_of(create_blob(rig, 1, VIRTIO_GPU_BLOB_MEM_HOST3D, PAGE, NULL, 0),
			    VIRTIO_GPU_RESP_ERR_UNSPEC, VIRTIO_GPU_RESP_ERR_INVALID_CONTEXT_ID);
	proto_assert_one_of(create_blob(rig, 1, VIRTIO_GPU_BLOB_MEM_HOST3D_GUEST, PAGE, entries, 1),
			    VIRTIO_GPU_RESP_ERR_UNSPEC, VIRTIO_GPU_RESP_ERR_INVALID_CONTEXT_ID);
	/* None of these took the id. */
	g_assert_resp(vgpu_resource_unref(rig->vgpu, 1), VIRTIO_GPU_RESP_ERR_INVALID_RESOURCE_ID);

	/* The list is not there. */
	struct virtio_gpu_resource_create_blob cmd = {
		.hdr = {.type = VIRTIO_GPU_CMD_RESOURCE_CREATE_BLOB},
		.resource_id = 1,
		.blob_mem = GUEST,
		.nr_entries = 1,
		.size = PAGE};
	proto_check_shapes(rig, &cmd, sizeof(cmd), VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER);
	cmd.nr_entries = 16385;
	g_assert_resp(vgpu_call(rig->vgpu, &cmd, sizeof(cmd), HEADER_SIZE),
		      VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER);
	g_assert_ok(create_blob(rig, 1, GUEST, PAGE, entries, 1));
	rig_destroy(rig);
}

/* What is for resources of a format and a size is not for blobs, or does nothing to them. */
static void test_other_commands(const void *mode)
{
	struct rig *rig = proto_rig(mode);
	struct vgpu *vgpu = rig->vgpu;
	uint64_t gpa = make_blob(rig, 1, NULL, SIZE_BYTES);

	g_assert_resp(vgpu_set_scanout(vgpu, 0, 1, 0, 0, 16, 16),
		      VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER);
	g_assert_resp(vgpu_resource_attach_one(vgpu, 1, gpa, SIZE_BYTES),
		      VIRTIO_GPU_RESP_ERR_UNSPEC);
	g_assert_resp(vgpu_resource_detach_backing(vgpu, 1), VIRTIO_GPU_RESP_ERR_UNSPEC);
	/* Linux transfers a dumb buffer whatever it is. */
	g_assert_ok(vgpu_transfer_to_host_2d(vgpu, 1, 0, 0, 0, WIDTH, HEIGHT));
	g_assert_ok(vgpu_transfer_to_host_2d(vgpu, 1, UINT64_MAX, 5, 5, UINT32_MAX, UINT32_MAX));
	g_assert_ok(vgpu_resource_flush(vgpu, 1, 0, 0, UINT32_MAX, UINT32_MAX));
	rig_assert_serves(rig);
	rig_destroy(rig);
}

static void test_uuid(const void *mode)
{
	struct rig *rig = proto_rig(mode);
	uint8_t uuids[3][16];

	make_blob(rig, 1, NULL, PAGE);
	make_blob(rig, 2, NULL, PAGE);
	for (uint32_t i = 0; i < 3; i++) {
		g_assert_resp(vgpu_resource_assign_uuid(rig->vgpu, 1 + i % 2, uuids[i]),
			      VIRTIO_GPU_RESP_OK_RESOURCE_UUID);
	}
	g_assert_cmpint(memcmp(uuids[0], uuids[1], 16), !=, 0);
	proto_assert_mem(uuids[0], uuids[2], 16);
	rig_destroy(rig);
}

/* Memory of the guest's is the guest's to map. */
static void test_map(const void *mode)
{
	struct rig *rig = proto_rig(mode);
	struct vgpu *vgpu = rig->vgpu;

	make_blob(rig, 1, NULL, PAGE);
	g_assert_ok(vgpu_resource_create_2d(vgpu, 2, FORMAT, 64, 64));
	for (uint32_t id = 1; id <= 2; id++) {
		g_assert_resp(vgpu_resource_map_blob(vgpu, id, 0), VIRTIO_GPU_RESP_ERR_UNSPEC);
		g_assert_resp(vgpu_resource_unmap_blob(vgpu, id),
			      VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER);
	}
	g_assert_resp(vgpu_resource_map_blob(vgpu, 3, 0), VIRTIO_GPU_RESP_ERR_INVALID_RESOURCE_ID);
	g_assert_resp(vgpu_resource_unmap_blob(vgpu, 3), VIRTIO_GPU_RESP_ERR_INVALID_RESOURCE_ID);
	struct virtio_gpu_resource_map_blob map = {
		.hdr = {.type = VIRTIO_GPU_CMD_RESOURCE_MAP_BLOB},
		.resource_id = 1,
		.offset = UINT64_MAX};
	proto_check_shapes(rig, &map, sizeof(map), VIRTIO_GPU_RESP_ERR_UNSPEC);
	struct virtio_gpu_resource_unmap_blob unmap = {
		.hdr = {.type = VIRTIO_GPU_CMD_RESOURCE_UNMAP_BLOB}, .resource_id = 1};
	proto_check_shapes(rig, &unmap, sizeof(unmap), VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER);
	rig_destroy(rig);
}

/* ---- on a scanout ---- */

static void test_set_scanout(const void *mode)
{
	static const struct vgpu_layout bad[] = {
		{0, 16, 16, 64, 0},
		{5, 16, 16, 64, 0},
		{UINT32_MAX, 16, 16, 64, 0},
		{FORMAT, 0, 16, 64, 0},
		{FORMAT, 16, 0, 64, 0},
		{FORMAT, 16, 16, 63, 0},
		{FORMAT, 16, 16, 0, 0},
		{FORMAT, 16, 64, 64, 1},
		{FORMAT, 16, 65, 64, 0},
		{FORMAT, 16, 16, 64, PAGE},
		{FORMAT, 16, 16, UINT32_MAX, 0},
		{FORMAT, 16, 16, 64, UINT32_MAX},
		{FORMAT, UINT32_MAX, 16, UINT32_MAX, 0},
		{FORMAT, UINT32_MAX, UINT32_MAX, UINT32_MAX, UINT32_MAX},
		{FORMAT, 0x40000001, 16, 64, 0},
	};
	const struct vgpu_layout good = {FORMAT, 16, 64, 64, 0};
	struct rig *rig = proto_rig(mode);
	struct vgpu *vgpu = rig->vgpu;

	make_blob(rig, 1, NULL, PAGE);
	for (size_t i = 0; i < G_N_ELEMENTS(bad); i++) {
		const struct virtio_gpu_rect view = {0, 0, 16, 16};
		g_assert_resp(vgpu_set_scanout_blob_rect(vgpu, 0, 1, &bad[i], &view),
			      VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER);
	}
	const struct virtio_gpu_rect views[] = {
		{0, 0, 17, 16}, {0, 0, 15, 16}, {0, 0, 16, 65},		{0, 49, 16, 16},
		{1, 0, 16, 16}, {0, 0, 0, 0},	{UINT32_MAX, 0, 17, 16}, {0, UINT32_MAX, 16, 17},
	};
	for (size_t i = 0; i < G_N_ELEMENTS(views); i++) {
		g_assert_resp(vgpu_set_scanout_blob_rect(vgpu, 0, 1, &good, &views[i]),
			      VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER);
	}
	g_assert_resp(vgpu_set_scanout_blob(vgpu, 16, 1, &good),
		      VIRTIO_GPU_RESP_ERR_INVALID_SCANOUT_ID);
	g_assert_resp(vgpu_set_scanout_blob(vgpu, UINT32_MAX, 0, &good),
		      VIRTIO_GPU_RESP_ERR_INVALID_SCANOUT_ID);
	g_assert_resp(vgpu_set_scanout_blob(vgpu, 0, 99, &good),
		      VIRTIO_GPU_RESP_ERR_INVALID_RESOURCE_ID);
	/* It is no blob. */
	rig_make_resource(rig, 2, FORMAT, 16, 64, NULL);
	g_assert_resp(vgpu_set_scanout_blob(vgpu, 0, 2, &good),
		      VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER);
	g_assert_ok(vgpu_set_scanout_blob(vgpu, 15, 1, &good));
	/* Inside the picture that there is of it. */
	g_assert_resp(vgpu_resource_flush(vgpu, 1, 0, 0, 17, 64),
		      VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER);
	g_assert_resp(vgpu_resource_flush(vgpu, 1, UINT32_MAX, 0, 2, 1),
		      VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER);
	g_assert_ok(vgpu_resource_flush(vgpu, 1, 0, 0, 16, 64));
	/* What is over before the display was told of it, it need not be told. */
	if (draws(mode)) {
		display_wait_scanout(rig->display, 15, 16, 64);
	}
	/* Off, whatever else it says. */
	g_assert_ok(vgpu_set_scanout_blob(vgpu, 15, 0, &bad[0]));
	if (draws(mode)) {
		display_wait_off(rig->display, 15);
	}
	struct virtio_gpu_set_scanout_blob cmd = {.hdr = {.type = VIRTIO_GPU_CMD_SET_SCANOUT_BLOB},
						  .resource_id = 99,
						  .format = FORMAT};
	proto_check_shapes(rig, &cmd, sizeof(cmd), VIRTIO_GPU_RESP_ERR_INVALID_RESOURCE_ID);
	rig_destroy(rig);
}

struct format {
	uint32_t format;
	unsigned int red, green, blue; /* which byte of the pixel holds it */
};

static const struct format formats[] = {
	{VIRTIO_GPU_FORMAT_B8G8R8X8_UNORM, 2, 1, 0}, {VIRTIO_GPU_FORMAT_B8G8R8A8_UNORM, 2, 1, 0},
	{VIRTIO_GPU_FORMAT_A8R8G8B8_UNORM, 1, 2, 3}, {VIRTIO_GPU_FORMAT_X8R8G8B8_UNORM, 1, 2, 3},
	{VIRTIO_GPU_FORMAT_R8G8B8A8_UNORM, 0, 1, 2}, {VIRTIO_GPU_FORMAT_X8B8G8R8_UNORM, 3, 2, 1},
	{VIRTIO_GPU_FORMAT_A8B8G8R8_UNORM, 3, 2, 1}, {VIRTIO_GPU_FORMAT_R8G8B8X8_UNORM, 0, 1, 2},
};

static const struct format *find_format(uint32_t format)
{
	size_t i = 0;

	while (formats[i].format != format) {
		i++;
	}
	return &formats[i];
}

static uint32_t bytes_of(const struct vgpu_layout *layout)
{
	return layout->offset_bytes + layout->stride_bytes * (layout->height - 1) +
	       layout->width * 4;
}

/* What a display has to show of a blob that lies at @bytes; free with g_free(). */
static uint32_t *expect(const uint8_t *bytes, const struct vgpu_layout *layout)
{
	const struct format *format = find_format(layout->format);
	uint32_t *pixels = g_new(uint32_t, layout->width * layout->height);

	for (uint32_t i = 0; i < layout->width * layout->height; i++) {
		const uint8_t *pixel = bytes + layout->offset_bytes +
				       i / layout->width * layout->stride_bytes +
				       i % layout->width * 4;
		pixels[i] = (uint32_t)pixel[format->red] << 16 |
			    (uint32_t)pixel[format->green] << 8 | pixel[format->blue];
	}
	return pixels;
}

static void expect_shown(struct rig *rig, uint32_t scanout, const void *bytes,
			 const struct vgpu_layout *layout)
{
	g_autofree uint32_t *expected = expect(bytes, layout);

	display_wait_pixels(rig->display, scanout, expected, layout->width, layout->height);
}

/* Each of the sixteen is another picture of its blob: format, size, gaps between rows, beginning.
 */
static void test_sixteen_scanouts(const void *mode)
{
	static const uint32_t gaps[] = {0, 4, 64, 1, 256, 3};
	static const uint32_t offsets[] = {0, 4, 4096, 7, 100, 2};
	struct rig *rig = proto_rig(mode);
	struct vgpu_layout layouts[VIRTIO_GPU_MAX_SCANOUTS];
	uint64_t gpas[VIRTIO_GPU_MAX_SCANOUTS];

	for (uint32_t i = 0; i < VIRTIO_GPU_MAX_SCANOUTS; i++) {
		uint32_t width = 40 + i;

		layouts[i] = (struct vgpu_layout){
			.format = formats[i % G_N_ELEMENTS(formats)].format,
			.width = width,
			.height = 70 - i,
			.stride_bytes = width * 4 + gaps[i % G_N_ELEMENTS(gaps)],
			.offset_bytes = offsets[i / 2 % G_N_ELEMENTS(offsets)],
		};
		/* To the byte. */
		uint32_t size_bytes = bytes_of(&layouts[i]);
		g_autofree uint32_t *pixels = rig_make_pattern((size_bytes + 3) / 4, 1, i);
		gpas[i] = make_blob(rig, i + 1, pixels, size_bytes);
		show(rig, i, i + 1, &layouts[i]);
		layouts[i].height++;
		g_assert_resp(vgpu_set_scanout_blob(rig->vgpu, i, i + 1, &layouts[i]),
			      VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER);
		layouts[i].height--;
	}
	for (uint32_t i = 0; i < VIRTIO_GPU_MAX_SCANOUTS; i++) {
		expect_shown(rig, i, guestram_at(rig->ram, gpas[i], bytes_of(&layouts[i])),
			     &layouts[i]);
	}
	for (uint32_t i = 0; i < VIRTIO_GPU_MAX_SCANOUTS; i++) {
		g_assert_ok(vgpu_resource_unref(rig->vgpu, i + 1));
		display_wait_off(rig->display, i);
	}
	rig_destroy(rig);
}

/* A flush alone: what the guest has written by then is seen, and no more is sent than it names. */
static void test_no_transfer(const void *mode)
{
	struct rig *rig = proto_rig(mode);
	g_autofree uint32_t *expected = rig_make_pattern(WIDTH, HEIGHT, 1);
	uint64_t gpa = make_blob(rig, 1, expected, SIZE_BYTES);
	uint32_t *pixels = guestram_at(rig->ram, gpa, SIZE_BYTES);
	struct display_message damage;

	g_assert_ok(vgpu_set_scanout_blob(rig->vgpu, 0, 1, &plain));
	g_assert_ok(vgpu_resource_flush(rig->vgpu, 1, 3, 3, 1, 1));
	display_wait_pixels(rig->display, 0, expected, WIDTH, HEIGHT);
	unsigned int first = display_n_messages(rig->display);
	for (uint32_t y = 10; y < 17; y++) {
		for (uint32_t x = 20; x < 50; x++) {
			pixels[y * WIDTH + x] = expected[y * WIDTH + x] = 0x123456;
		}
	}
	g_assert_ok(vgpu_resource_flush(rig->vgpu, 1, 20, 10, 30, 7));
	display_wait_pixels(rig->display, 0, expected, WIDTH, HEIGHT);
	g_assert_true(display_get_damage(rig->display, 0, first, &damage));
	g_assert_cmpuint(damage.x, ==, 20);
	g_assert_cmpuint(damage.y, ==, 10);
	g_assert_cmpuint(damage.width, ==, 30);
	g_assert_cmpuint(damage.height, ==, 7);
	g_assert_ok(vgpu_resource_flush(rig->vgpu, 1, 0, 0, 0, 0));
	pixels[SIZE_BYTES / 4 - 1] = expected[SIZE_BYTES / 4 - 1] = 0xabcdef;
	g_assert_ok(vgpu_resource_flush(rig->vgpu, 1, WIDTH - 1, HEIGHT - 1, 1, 1));
	display_wait_pixels(rig->display, 0, expected, WIDTH, HEIGHT);
	g_assert_cmpuint(display_get_surface(rig->display, 0).n_scanouts, ==, 1);
	rig_destroy(rig);
}

static void test_scattered(const void *mode)
{
	static const struct vgpu_layout layouts[] = {
		{FORMAT, 500, 300, 2000, 0},
		{FORMAT, 333, 222, 1337 * 4, 4 * 4099},
		{VIRTIO_GPU_FORMAT_R8G8B8X8_UNORM, 500, 300, 2000, 0},
		{FORMAT, 500, 300, 2001, 3},
	};
	struct rig *rig = proto_rig(mode);

	for (uint32_t i = 0; i < G_N_ELEMENTS(layouts); i++) {
		uint32_t size_bytes = bytes_of(&layouts[i]);
		g_autofree uint32_t *pixels = rig_make_pattern((size_bytes + 3) / 4, 1, i);
		g_autofree struct virtio_gpu_mem_entry *entries =
			make_scattered_blob(rig, i + 1, pixels, size_bytes);

		show(rig, 0, i + 1, &layouts[i]);
		expect_shown(rig, 0, pixels, &layouts[i]);
		/* The guest draws on, on its fourth page. */
		memset((uint8_t *)pixels + 3 * PAGE, 0x5a, PAGE);
		memset(guestram_at(rig->ram, entries[3].addr, PAGE), 0x5a, PAGE);
		flush_all(rig, i + 1, &layouts[i]);
		expect_shown(rig, 0, pixels, &layouts[i]);
	}
	rig_destroy(rig);
}

/* Entries that are no pages: smaller, off their boundary, the same one again. */
static void test_odd_entries(const void *mode)
{
	struct rig *rig = proto_rig(mode);
	uint64_t gpa = rig_backing(rig, NULL, 4 * PAGE);
	const struct virtio_gpu_mem_entry entries[] = {
		{gpa + 100, 1000, 0}, {gpa, 0x2000, 0},	 {gpa + 100, 1000, 0},
		{gpa + 1, 7, 0},      {gpa, 0x3fff, 0},
	};
	const struct vgpu_layout layout = {FORMAT, 64, 60, 260, 12};
	g_autofree uint32_t *pattern = rig_make_pattern(4 * PAGE / 4, 1, 3);
	GByteArray *bytes = g_byte_array_new();

	memcpy(guestram_at(rig->ram, gpa, 4 * PAGE), pattern, 4 * PAGE);
	for (size_t i = 0; i < G_N_ELEMENTS(entries); i++) {
		g_byte_array_append(bytes, guestram_at(rig->ram, entries[i].addr, entries[i].length),
				    entries[i].length);
	}
	g_assert_ok(create_blob(rig, 1, GUEST, bytes->len, entries, G_N_ELEMENTS(entries)));
	show(rig, 2, 1, &layout);
	expect_shown(rig, 2, bytes->data, &layout);
	g_byte_array_unref(bytes);
	rig_destroy(rig);
}

/* Pages of two regions, and an entry that goes from one into the next. */
static void test_two_regions(const void *mode)
{
	struct rig *rig = rig_create(&(struct rig_options){
		.mode = ((const struct proto_mode *)mode)->name, .is_not_started = true});
	const struct vgpu_layout layout = {FORMAT, 64, 112, 256, 0};
	g_autofree uint32_t *pixels = rig_make_pattern(64, 112, 9);
	const uint64_t gpas[] = {SPARE_GPA, SPARE_GPA + 4 * PAGE};

	for (size_t i = 0; i < G_N_ELEMENTS(gpas); i++) {
		guestram_add(rig->ram, gpas[i], 4 * PAGE, 0);
	}
	rig_start(rig, 0, 0);
	uint64_t lone = rig_backing(rig, NULL, 3 * PAGE);
	/* Three pages here, two across the border, and where the daemon may have mapped neighbours:
	 * the last page of the one and the first of the other. */
	const struct virtio_gpu_mem_entry entries[] = {{lone, 3 * PAGE, 0},
						       {gpas[0] + 3 * PAGE, 2 * PAGE, 0},
						       {gpas[1] + 3 * PAGE, PAGE, 0},
						       {gpas[0], PAGE, 0}};
	memcpy(guestram_at(rig->ram, lone, 3 * PAGE), pixels, 3 * PAGE);
	for (uint32_t i = 0; i < 4; i++) {
		static const uint32_t pages[] = {3, 4, 7, 0};
		memcpy(guestram_at(rig->ram, SPARE_GPA + pages[i] * PAGE, PAGE),
		       (uint8_t *)pixels + (3 + i) * PAGE, PAGE);
	}
	g_assert_ok(create_blob(rig, 1, GUEST, 7 * PAGE, entries, G_N_ELEMENTS(entries)));
	show(rig, 0, 1, &layout);
	display_wait_pixels(rig->display, 0, pixels, 64, 112);
	rig_destroy(rig);
}

/* Two buffers in turn: no new surface for it, and all of the other one is shown. */
static void test_page_flip(const void *mode)
{
	struct rig *rig = proto_rig(mode);
	g_autofree uint32_t *expected = g_new(uint32_t, WIDTH * HEIGHT);
	uint64_t gpas[2];

	for (uint32_t i = 0; i < 2; i++) {
		gpas[i] = make_blob(rig, i + 1, NULL, SIZE_BYTES);
	}
	for (uint32_t i = 0; i < 30; i++) {
		uint32_t *pixels = guestram_at(rig->ram, gpas[i % 2], SIZE_BYTES);

		for (uint32_t j = 0; j < WIDTH * HEIGHT; j++) {
			pixels[j] = expected[j] = (j + i) * 2654435761u;
		}
		g_assert_ok(vgpu_set_scanout_blob(rig->vgpu, 0, i % 2 + 1, &plain));
		/* However small the flush that follows it. */
		g_assert_ok(vgpu_resource_flush(rig->vgpu, i % 2 + 1, 4, 4, 8, 8));
		display_wait_pixels(rig->display, 0, expected, WIDTH, HEIGHT);
	}
	g_assert_cmpuint(display_get_surface(rig->display, 0).n_scanouts, ==, 1);
	rig_destroy(rig);
}

/* Two pictures of one blob, one inside the other; and one of them is a part of the layout. */
static void test_two_scanouts(const void *mode)
{
	const struct vgpu_layout corner = {FORMAT, 32, 24, WIDTH * 4, (8 * WIDTH + 16) * 4};
	const struct virtio_gpu_rect part = {40, 20, 48, 40};
	struct rig *rig = proto_rig(mode);
	g_autofree uint32_t *pixels = rig_make_pattern(WIDTH, HEIGHT, 5);
	g_autofree uint32_t *expected = g_new(uint32_t, part.width * part.height);

	make_blob(rig, 1, pixels, SIZE_BYTES);
	g_assert_ok(vgpu_set_scanout_blob_rect(rig->vgpu, 3, 1, &plain, &part));
	g_assert_ok(vgpu_set_scanout_blob(rig->vgpu, 7, 1, &corner));
	/* It has to be inside both. */
	g_assert_resp(vgpu_resource_flush(rig->vgpu, 1, 0, 0, WIDTH, HEIGHT),
		      VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER);
	g_assert_ok(vgpu_resource_flush(rig->vgpu, 1, 0, 0, 32, 24));
	for (uint32_t row = 0; row < part.height; row++) {
		memcpy(expected + row * part.width, pixels + (part.y + row) * WIDTH + part.x,
		       part.width * 4);
	}
	display_wait_pixels(rig->display, 3, expected, part.width, part.height);
	expect_shown(rig, 7, pixels, &corner);
	/* One goes, the other stays. */
	g_assert_ok(vgpu_set_scanout_blob(rig->vgpu, 7, 0, &corner));
	display_wait_off(rig->display, 7);
	flush_all(rig, 1, &plain);
	rig_destroy(rig);
}

/* A scanout changes between what is a blob and what is not, and between pictures of one blob. */
static void test_changes(const void *mode)
{
	static const struct vgpu_layout layouts[] = {
		{FORMAT, WIDTH, HEIGHT, WIDTH * 4, 0},
		{VIRTIO_GPU_FORMAT_R8G8B8X8_UNORM, WIDTH, HEIGHT, WIDTH * 4, 0},
		{FORMAT, 32, 32, 700, 5},
		{FORMAT, WIDTH / 2, HEIGHT, WIDTH * 4, WIDTH * 2},
		{VIRTIO_GPU_FORMAT_X8R8G8B8_UNORM, WIDTH, HEIGHT, WIDTH * 4, 0},
	};
	struct rig *rig = proto_rig(mode);
	g_autofree uint32_t *pixels = rig_make_pattern(WIDTH, HEIGHT, 6);
	g_autofree uint32_t *others = rig_make_pattern(WIDTH, HEIGHT, 7);

	make_blob(rig, 1, pixels, SIZE_BYTES);
	rig_show_resource(rig, 2, 0, WIDTH, HEIGHT, others);
	for (uint32_t i = 0; i < 3 * G_N_ELEMENTS(layouts); i++) {
		const struct vgpu_layout *layout = &layouts[i % G_N_ELEMENTS(layouts)];

		show(rig, 0, 1, layout);
		expect_shown(rig, 0, pixels, layout);
		if (i % 3 == 2) {
			g_assert_ok(vgpu_set_scanout(rig->vgpu, 0, 2, 0, 0, WIDTH, HEIGHT));
			g_assert_ok(vgpu_resource_flush(rig->vgpu, 2, 0, 0, WIDTH, HEIGHT));
			display_wait_pixels(rig->display, 0, others, WIDTH, HEIGHT);
		}
	}
	rig_destroy(rig);
}

#define HD_WIDTH 1920u
#define HD_HEIGHT 1080u
#define HD_BYTES (HD_WIDTH * HD_HEIGHT * 4u)

static uint64_t growth_of(struct rig *rig, uint64_t before_bytes)
{
	uint64_t now_bytes = daemon_held_bytes(rig->daemon);

	return now_bytes > before_bytes ? now_bytes - before_bytes : 0;
}

/* No frame of ours: of three screens in scattered pages the daemon holds none, of a resource it
 * holds one. */
static void test_no_copy(const void *mode)
{
	const struct vgpu_layout layout = {FORMAT, HD_WIDTH, HD_HEIGHT, HD_WIDTH * 4, 0};
	struct rig *rig =
		rig_create(&(struct rig_options){.mode = ((const struct proto_mode *)mode)->name,
						 .region_bytes = UINT64_C(128) << 20});
	g_autofree uint32_t *small = rig_make_pattern(64, 64, 1);

	/* What the first picture of all takes. */
	rig_show_resource(rig, 100, 0, 64, 64, small);
	display_wait_pixels(rig->display, 0, small, 64, 64);
	uint64_t before_bytes = daemon_held_bytes(rig->daemon);
	for (uint32_t id = 1; id <= 3; id++) {
		g_autofree uint32_t *pixels = rig_make_pattern(HD_WIDTH, HD_HEIGHT, id);
		g_free(make_scattered_blob(rig, id, pixels, HD_BYTES));

		show(rig, 0, id, &layout);
		display_wait_pixels(rig->display, 0, pixels, HD_WIDTH, HD_HEIGHT);
	}
	g_test_message("three blobs: %" G_GUINT64_FORMAT " bytes", growth_of(rig, before_bytes));
	g_assert_cmpuint(growth_of(rig, before_bytes), <, HD_BYTES / 4);
	rig_show_resource(rig, 4, 0, HD_WIDTH, HD_HEIGHT, NULL);
	g_assert_cmpuint(growth_of(rig, before_bytes), >, HD_BYTES / 4 * 3);
	rig_destroy(rig);
}

/* ---- cursors ---- */

static void test_cursor(const void *mode)
{
	struct rig *rig = proto_rig(mode);
	g_autofree uint32_t *pixels = rig_make_pattern(64, 64, 8);
	struct display_cursor cursor;
	uint64_t gpa = make_blob(rig, 1, pixels, 64 * 64 * 4);

	vgpu_update_cursor(rig->vgpu, 0, 1, 10, 20, 3, 4);
	display_wait_cursor(rig->display, 0, 1, 0, &cursor);
	g_assert_cmpuint(cursor.hot_x, ==, 3);
	g_assert_cmpuint(cursor.hot_y, ==, 4);
	if (draws(mode)) {
		proto_assert_mem(cursor.data, pixels, sizeof(cursor.data));
	}
	/* It is the image of that moment. */
	memset(guestram_at(rig->ram, gpa, 4), 0x77, 4);
	vgpu_move_cursor(rig->vgpu, 0, 1, 11, 21);
	display_wait_cursor(rig->display, 0, 1, 1, &cursor);
	if (draws(mode)) {
		proto_assert_mem(cursor.data, pixels, sizeof(cursor.data));
	}
	/* From pages as they come; and the blob may go. */
	g_free(make_scattered_blob(rig, 2, pixels, 64 * 64 * 4));
	vgpu_update_cursor(rig->vgpu, 0, 2, 10, 20, 0, 0);
	display_wait_cursor(rig->display, 0, 2, 1, &cursor);
	if (draws(mode)) {
		proto_assert_mem(cursor.data, pixels, sizeof(cursor.data));
	}
	g_assert_ok(vgpu_resource_unref(rig->vgpu, 2));
	/* Too small for one. */
	make_blob(rig, 3, NULL, 64 * 64 * 4 - 1);
	vgpu_update_cursor(rig->vgpu, 0, 3, 10, 20, 0, 0);
	rig_assert_serves(rig);
	display_wait_cursor(rig->display, 0, 2, 1, &cursor);
	g_assert_cmpuint(cursor.n_updates, ==, 2);
	rig_destroy(rig);
}

/* ---- the life of a machine ---- */

/* Two scanouts, one of them copied. */
static void show_two(struct rig *rig, const uint32_t *pixels)
{
	const struct vgpu_layout copied = {VIRTIO_GPU_FORMAT_R8G8B8X8_UNORM, WIDTH, HEIGHT,
					   WIDTH * 4, 0};

	g_free(make_scattered_blob(rig, 1, pixels, SIZE_BYTES));
	show(rig, 0, 1, &plain);
	make_blob(rig, 2, pixels, SIZE_BYTES);
	show(rig, 1, 2, &copied);
	make_blob(rig, 3, pixels, SIZE_BYTES);
	g_assert_ok(vgpu_set_scanout_blob(rig->vgpu, 2, 3, &plain)); /* never flushed */
}

static void expect_two(struct rig *rig, const uint32_t *pixels)
{
	const struct vgpu_layout copied = {VIRTIO_GPU_FORMAT_R8G8B8X8_UNORM, WIDTH, HEIGHT,
					   WIDTH * 4, 0};

	display_wait_pixels(rig->display, 0, pixels, WIDTH, HEIGHT);
	expect_shown(rig, 1, pixels, &copied);
	g_assert_false(display_get_surface(rig->display, 2).is_set);
}

static void test_pause_resume(const void *mode)
{
	struct rig *rig = proto_rig(mode);
	g_autofree uint32_t *pixels = rig_make_pattern(WIDTH, HEIGHT, 11);

	show_two(rig, pixels);
	expect_two(rig, pixels);
	for (unsigned int i = 0; i < 20; i++) {
		rig_pause_resume(rig);
		/* Nobody has drawn, and it is there again. */
		expect_two(rig, pixels);
	}
	g_assert_ok(vgpu_resource_flush(rig->vgpu, 3, 0, 0, WIDTH, HEIGHT));
	display_wait_pixels(rig->display, 2, pixels, WIDTH, HEIGHT);
	rig_destroy(rig);
}

/* The display is there before the memory is. */
static void test_memory_comes_late(const void *mode)
{
	struct rig *rig = proto_rig(mode);
	g_autofree uint32_t *pixels = rig_make_pattern(WIDTH, HEIGHT, 12);
	uint16_t control_base, cursor_base;

	show_two(rig, pixels);
	expect_two(rig, pixels);
	rig_pause(rig, &control_base, &cursor_base);
	int fd = display_connect(rig->display);
	frontend_gpu_set_socket(rig->frontend, fd);
	close(fd);
	display_wait_features_acked(rig->display);
	frontend_set_features(rig->frontend, rig->acked_features);
	/* A moment, in which it can show nothing. */
	g_usleep(20 * 1000);
	frontend_add_memory(rig->frontend, rig->ram);
	frontend_start_ring(rig->frontend, rig->control, control_base, false);
	frontend_start_ring(rig->frontend, rig->cursor, cursor_base, false);
	expect_two(rig, pixels);
	rig_destroy(rig);
}

static void check_reset(const void *mode, bool has_message)
{
	struct rig *rig = proto_rig(mode);
	g_autofree uint32_t *pixels = rig_make_pattern(WIDTH, HEIGHT, 13);

	for (unsigned int i = 0; i < 5; i++) {
		show_two(rig, pixels);
		if (draws(mode)) {
			expect_two(rig, pixels);
		}
		rig_reset(rig, has_message);
		/* Their ids are free. */
		g_assert_resp(vgpu_resource_unref(rig->vgpu, 1),
			      VIRTIO_GPU_RESP_ERR_INVALID_RESOURCE_ID);
	}
	rig_destroy(rig);
}

static void test_reset_by_message(const void *mode)
{
	check_reset(mode, true);
}

static void test_reset_by_base(const void *mode)
{
	check_reset(mode, false);
}

static void remove_region(struct rig *rig, unsigned int index)
{
	struct vhost_user_mem_reg_msg msg = {.region = rig->ram->regions[index].wire};

	g_assert_cmpuint(
		frontend_request(rig->frontend, VHOST_USER_REM_MEM_REG, &msg, sizeof(msg), NULL, 0),
		==, 0);
}

/* The memory of a blob on a scanout goes and comes: the display keeps what it has, and then shows
 * what is there. */
static void test_region_goes(const void *mode)
{
	struct rig *rig = rig_create(&(struct rig_options){
		.mode = ((const struct proto_mode *)mode)->name, .is_not_started = true});
	unsigned int spare = guestram_add(rig->ram, SPARE_GPA, SIZE_BYTES, 0);
	g_autofree uint32_t *pixels = rig_make_pattern(WIDTH, HEIGHT, 14);
	uint32_t *guest = guestram_at(rig->ram, SPARE_GPA, SIZE_BYTES);
	uint32_t expected = draws(mode) ? VIRTIO_GPU_RESP_ERR_UNSPEC : VIRTIO_GPU_RESP_OK_NODATA;

	rig_start(rig, 0, 0);
	memcpy(guest, pixels, SIZE_BYTES);
	g_assert_ok(vgpu_resource_create_guest_blob(rig->vgpu, 1, SPARE_GPA, SIZE_BYTES));
	show(rig, 0, 1, &plain);
	for (uint32_t i = 0; i < 5; i++) {
		if (draws(mode)) {
			display_wait_pixels(rig->display, 0, pixels, WIDTH, HEIGHT);
		}
		remove_region(rig, spare);
		g_assert_resp(vgpu_resource_flush(rig->vgpu, 1, 0, 0, WIDTH, HEIGHT), expected);
		vgpu_update_cursor(rig->vgpu, 0, 1, 1, 1, 0, 0);
		rig_assert_serves(rig);
		pixels[i] = guest[i] = 0x1234 + i;
		g_assert_cmpuint(frontend_add_region(rig->frontend, &rig->ram->regions[spare]), ==,
				 0);
		if (i % 2 == 0) {
			flush_all(rig, 1, &plain);
		}
	}
	if (draws(mode)) {
		display_wait_pixels(rig->display, 0, pixels, WIDTH, HEIGHT);
	}
	/* It goes without it, too. */
	remove_region(rig, spare);
	g_assert_ok(vgpu_resource_unref(rig->vgpu, 1));
	g_assert_resp(vgpu_resource_create_guest_blob(rig->vgpu, 1, SPARE_GPA, SIZE_BYTES),
		      VIRTIO_GPU_RESP_ERR_UNSPEC);
	guestram_drop_last(rig->ram);
	rig_destroy(rig);
}

/* ---- bounds ---- */

/* Of so many the list is charged, and what is refused leaves nothing behind. */
static void test_memory_bound(const void *mode)
{
	static const char *const args[] = {"--max-hostmem", "16M", NULL};
	struct rig *rig =
		rig_create(&(struct rig_options){.mode = ((const struct proto_mode *)mode)->name,
						 .args = args});
	const uint32_t n_entries = 16384;
	g_autofree struct virtio_gpu_mem_entry *entries =
		g_new0(struct virtio_gpu_mem_entry, n_entries);
	uint32_t n = 1, type;

	for (uint32_t i = 0; i < n_entries; i++) {
		entries[i] = (struct virtio_gpu_mem_entry){i % 64 * 2 * PAGE, PAGE, 0};
	}
	while ((type = create_blob(rig, n, GUEST, n_entries * PAGE, entries, n_entries)) ==
	       VIRTIO_GPU_RESP_OK_NODATA) {
		g_assert_cmpuint(n, <, 100);
		n++;
	}
	g_assert_resp(type, VIRTIO_GPU_RESP_ERR_OUT_OF_MEMORY);
	g_assert_cmpuint(n, >, 3);
	g_assert_ok(vgpu_resource_unref(rig->vgpu, 1));
	g_assert_ok(create_blob(rig, n, GUEST, n_entries * PAGE, entries, n_entries));
	rig_destroy(rig);
}

/* A picture that has to be copied needs a frame, which is charged; one that has not needs none. */
static void test_frame_bound(const void *mode)
{
	static const char *const args[] = {"--max-hostmem", "4M", NULL};
	struct rig *rig =
		rig_create(&(struct rig_options){.mode = ((const struct proto_mode *)mode)->name,
						 .args = args,
						 .region_bytes = UINT64_C(64) << 20});
	const struct vgpu_layout layout = {FORMAT, HD_WIDTH, HD_HEIGHT, HD_WIDTH * 4, 0};
	struct vgpu_layout copied = layout;
	g_autofree uint32_t *pixels = rig_make_pattern(HD_WIDTH, HD_HEIGHT, 15);

	copied.format = VIRTIO_GPU_FORMAT_A8B8G8R8_UNORM;
	make_blob(rig, 1, pixels, HD_BYTES);
	g_assert_ok(vgpu_set_scanout_blob(rig->vgpu, 0, 1, &copied));
	g_assert_resp(vgpu_resource_flush(rig->vgpu, 1, 0, 0, HD_WIDTH, HD_HEIGHT),
		      VIRTIO_GPU_RESP_ERR_OUT_OF_MEMORY);
	rig_assert_serves(rig);
	show(rig, 0, 1, &layout);
	display_wait_pixels(rig->display, 0, pixels, HD_WIDTH, HD_HEIGHT);
	rig_destroy(rig);
}

/* Made, joined, shown and given up 2000 times, each tenth by a reset: no descriptor is left, and no
 * mapping but for what an allocator likes. */
static void test_cycles(const void *mode)
{
	struct rig *rig = proto_rig(mode);
	g_autofree uint32_t *pixels = rig_make_pattern(WIDTH, HEIGHT, 16);
	unsigned int n_fds = 0, n_mappings = 0;
	uint64_t held_bytes = 0;

	for (unsigned int i = 0; i < 2000; i++) {
		if (i == 200) {
			n_fds = daemon_count_fds(rig->daemon);
			n_mappings = daemon_count_mappings(rig->daemon);
			held_bytes = daemon_held_bytes(rig->daemon);
		}
		g_free(make_scattered_blob(rig, 1, pixels, SIZE_BYTES));
		show(rig, i % 16, 1, &plain);
		if (i % 10 == 9) {
			rig_reset(rig, true);
			continue;
		}
		g_assert_ok(vgpu_resource_unref(rig->vgpu, 1));
		/* What the guest has forgotten, it may use again. */
		rig->ram->regions[1].used -= 2 * SIZE_BYTES;
	}
	rig_reset(rig, true);
	rig_assert_serves(rig);
	g_test_message("%u mappings, then %u; %" G_GUINT64_FORMAT " bytes, then %" G_GUINT64_FORMAT,
		       n_mappings, daemon_count_mappings(rig->daemon), held_bytes,
		       daemon_held_bytes(rig->daemon));
	/* One more for each reset would be 180; a few are on their way between two processes. */
	g_assert_cmpuint(daemon_count_fds(rig->daemon), <, n_fds + 20);
	g_assert_cmpuint(daemon_count_mappings(rig->daemon), <, n_mappings + SIZE_BYTES / PAGE);
	/* A sanitizer keeps what was given back. */
	if (g_strcmp0(g_getenv("TEST_SANITIZED"), "1") != 0) {
		g_assert_cmpuint(daemon_held_bytes(rig->daemon), <, held_bytes + held_bytes / 20);
	}
	rig_destroy(rig);
}

int main(int argc, char **argv)
{
	suite_init(&argc, &argv);
	proto_add("blob", "create", test_create);
	proto_add("blob", "create_errors", test_create_errors);
	proto_add("blob", "other_commands", test_other_commands);
	proto_add("blob", "uuid", test_uuid);
	proto_add("blob", "map", test_map);
	proto_add("blob", "set_scanout", test_set_scanout);
	proto_add_drawing("blob", "sixteen_scanouts", test_sixteen_scanouts);
	proto_add_drawing("blob", "no_transfer", test_no_transfer);
	proto_add_drawing("blob", "scattered", test_scattered);
	proto_add_drawing("blob", "odd_entries", test_odd_entries);
	proto_add_drawing("blob", "two_regions", test_two_regions);
	proto_add_drawing("blob", "page_flip", test_page_flip);
	proto_add_drawing("blob", "two_scanouts", test_two_scanouts);
	proto_add_drawing("blob", "changes", test_changes);
	suite_add(test_no_copy, PROTO_2D, "/proto/blob/2d/no_copy");
	proto_add("blob", "cursor", test_cursor);
	proto_add_drawing("blob", "pause_resume", test_pause_resume);
	proto_add_drawing("blob", "memory_comes_late", test_memory_comes_late);
	proto_add("blob", "reset_by_message", test_reset_by_message);
	proto_add("blob", "reset_by_base", test_reset_by_base);
	proto_add("blob", "region_goes", test_region_goes);
	proto_add("blob", "memory_bound", test_memory_bound);
	proto_add_drawing("blob", "cycles", test_cycles);
	suite_add(test_frame_bound, PROTO_2D, "/proto/blob/2d/frame_bound");
	return suite_run();
}
