/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * A device dies, and another is made of the records that were kept of it.
 *
 * Each crash in here looks for itself whether the second device is what the
 * first one was, as far as it can be (describe()).
 */
#include <dlfcn.h>
#include <inttypes.h>
#include <string.h>

#include "gpu_rig.h"
#include "renderer/impls.h"
#include "unit.h"

#define N_KINDS (RECORD_CURSOR + 1)
#define FEATURES                                                                                   \
	(1u << VIRTIO_GPU_F_CONTEXT_INIT | 1u << VIRTIO_GPU_F_RESOURCE_UUID |                      \
	 1u << VIRTIO_GPU_F_RESOURCE_BLOB)
#define ARGB VIRTIO_GPU_FORMAT_B8G8R8A8_UNORM

/* ---- who keeps the records ---- */

struct keeper {
	GHashTable *records; /* kind << 32 | id -> GBytes */
	unsigned int n_puts[N_KINDS], n_drops, n_all_drops;
	GString *log; /* borrowed; NULL: none */
};

struct test {
	struct fixture f;
	struct keeper keeper;
};

static gint64 *make_key(enum record_kind kind, uint32_t id)
{
	gint64 *key = g_new(gint64, 1);

	*key = (gint64)kind << 32 | id;
	return key;
}

static GBytes *find_record(const struct test *t, enum record_kind kind, uint32_t id)
{
	g_autofree gint64 *key = make_key(kind, id);

	return g_hash_table_lookup(t->keeper.records, key);
}

/* The guest has not seen the command done that is the reason. */
static void assert_not_completed(const struct test *t)
{
	for (unsigned int i = 0; i < VM_N_QUEUES; i++) {
		const struct ring *ring = t->f.vm.rings[i];

		g_assert_cmpuint(ring_used_idx(ring), ==, ring->last_used);
	}
}

static void keeper_put(void *data, enum record_kind kind, uint32_t id, const void *bytes,
		       size_t n_bytes)
{
	struct test *t = data;

	assert_not_completed(t);
	g_assert_cmpuint(kind, >=, RECORD_RESOURCE);
	g_assert_cmpuint(kind, <=, RECORD_CURSOR);
	g_assert_cmpuint(n_bytes, <=, RECORD_MAX_BYTES);
	t->keeper.n_puts[kind]++;
	if (t->keeper.log != NULL) {
		g_string_append_printf(t->keeper.log, "put %u\n", id);
	}
	g_hash_table_replace(t->keeper.records, make_key(kind, id), g_bytes_new(bytes, n_bytes));
}

static void keeper_drop(void *data, enum record_kind kind, uint32_t id)
{
	g_autofree gint64 *key = make_key(kind, id);
	struct test *t = data;

	assert_not_completed(t);
	t->keeper.n_drops++;
	if (t->keeper.log != NULL) {
		g_string_append_printf(t->keeper.log, "drop %u\n", id);
	}
	g_hash_table_remove(t->keeper.records, key);
}

static void keeper_drop_all(void *data)
{
	struct test *t = data;

	t->keeper.n_all_drops++;
	g_hash_table_remove_all(t->keeper.records);
}

static const struct recorder recorder = {
	.put = keeper_put,
	.drop = keeper_drop,
	.drop_all = keeper_drop_all,
};

static void forget_counts(struct test *t)
{
	memset(t->keeper.n_puts, 0, sizeof(t->keeper.n_puts));
	t->keeper.n_drops = t->keeper.n_all_drops = 0;
}

/* Changes since the last time, of each kind. */
static void assert_recorded(struct test *t, unsigned int resources, unsigned int contexts,
			    unsigned int scanouts, unsigned int cursors, unsigned int drops)
{
	g_assert_cmpuint(t->keeper.n_puts[RECORD_RESOURCE], ==, resources);
	g_assert_cmpuint(t->keeper.n_puts[RECORD_CONTEXT], ==, contexts);
	g_assert_cmpuint(t->keeper.n_puts[RECORD_SCANOUT], ==, scanouts);
	g_assert_cmpuint(t->keeper.n_puts[RECORD_CURSOR], ==, cursors);
	g_assert_cmpuint(t->keeper.n_drops, ==, drops);
	forget_counts(t);
}

/* All that there are, in the order that is asked for. Returns how many were refused. */
static unsigned int hand_over(struct test *t)
{
	unsigned int n_refused = 0;

	for (unsigned int kind = RECORD_RESOURCE; kind <= RECORD_CURSOR; kind++) {
		g_autoptr(GList) keys = g_hash_table_get_keys(t->keeper.records);

		for (GList *link = keys; link != NULL; link = link->next) {
			uint64_t key = (uint64_t) * (gint64 *)link->data;

			if (key >> 32 != kind) {
				continue;
			}
			g_autoptr(GBytes) bytes = g_bytes_ref(find_record(t, kind, (uint32_t)key));
			gsize size;
			const void *data = g_bytes_get_data(bytes, &size);
			n_refused += !device_restore(&t->f.dev, kind, (uint32_t)key, data, size);
		}
	}
	return n_refused;
}

/* ---- what a device is, in words ---- */

static int compare_ids(const void *a, const void *b)
{
	uint32_t left = GPOINTER_TO_UINT(*(void *const *)a);
	uint32_t right = GPOINTER_TO_UINT(*(void *const *)b);

	return (left > right) - (left < right);
}

static void **sorted_ids(GHashTable *table, guint *n_out)
{
	void **ids = g_hash_table_get_keys_as_array(table, n_out);

	if (*n_out > 0) {
		qsort(ids, *n_out, sizeof(ids[0]), compare_ids);
	}
	return ids;
}

static bool is_kept(const struct resource *resource)
{
	bool is_guest_blob =
		resource->is_blob && resource->blob.mem == VIRTIO_GPU_BLOB_MEM_GUEST;

	return !resource->is_lost && (resource->desc.is_2d || is_guest_blob);
}

static void describe_resource(GString *text, const struct resource *resource)
{
	if (!is_kept(resource)) {
		g_string_append_printf(text, "res %u: lost\n", resource->id);
		return;
	}
	g_string_append_printf(text, "res %u: %u %ux%u, blob %x %" PRIx64 ", %s, uuid",
			       resource->id, resource->desc.format, resource->desc.width,
			       resource->desc.height, resource->blob.flags,
			       resource->blob.size_bytes,
			       !resource->has_backing  ? "no backing"
			       : resource->mem != NULL ? "mapped"
						       : "not mapped");
	for (size_t i = 0; i < sizeof(resource->uuid); i++) {
		g_string_append_printf(text, " %02x", resource->has_uuid ? resource->uuid[i] : 0);
	}
	for (uint32_t i = 0; i < resource->n_entries; i++) {
		g_string_append_printf(text, ", %" PRIx64 "+%x", resource->entries[i].gpa.v,
				       resource->entries[i].length_bytes);
	}
	g_string_append(text, "\n");
}

/* Where a visible cursor is is not recorded for each of its steps. */
static void describe_outputs(GString *text, const struct device *dev)
{
	for (uint32_t i = 0; i < DISPLAY_MAX_SCANOUTS; i++) {
		const struct scanout *scanout = &dev->scanouts[i];
		const struct cursor *cursor = &dev->cursors[i];

		if (scanout->resource_id != 0) {
			const struct blob_layout *layout = &scanout->layout;

			g_string_append_printf(text,
					       "scanout %u: res %u, %ux%u at %u,%u, %d, "
					       "%u %ux%u %u %u\n",
					       i, scanout->resource_id, scanout->view.width,
					       scanout->view.height, scanout->view.x,
					       scanout->view.y, scanout->is_flushed, layout->format,
					       layout->width, layout->height, layout->stride_bytes,
					       layout->offset_bytes);
		}
		if (cursor->pixels != NULL) {
			g_autofree char *sum = g_compute_checksum_for_data(
				G_CHECKSUM_SHA1, (const guchar *)cursor->pixels,
				DISPLAY_CURSOR_SIDE * DISPLAY_CURSOR_SIDE * 4);

			g_string_append_printf(text, "cursor %u: hot %u,%u, %d, %s\n", i,
					       cursor->hot_x, cursor->hot_y, cursor->is_visible,
					       sum);
		}
	}
}

/* Also true of the one that comes after it. */
static char *describe(struct device *dev)
{
	GString *text = g_string_new(NULL);
	guint n;
	g_autofree void **resources = sorted_ids(dev->resources, &n);

	for (guint i = 0; i < n; i++) {
		describe_resource(text, g_hash_table_lookup(dev->resources, resources[i]));
	}
	g_autofree void **contexts = sorted_ids(dev->contexts, &n);
	for (guint i = 0; i < n; i++) {
		g_string_append_printf(text, "ctx %u\n", GPOINTER_TO_UINT(contexts[i]));
	}
	describe_outputs(text, dev);
	return g_string_free(text, FALSE);
}

/* ---- a crash ---- */

/* The device is gone, and one with nothing in it is there. */
static void lose_device(struct test *t, const struct renderer_impl *impl)
{
	stop_device(&t->f);
	g_clear_pointer(&t->f.display->frame, frame_unref);
	g_assert_cmpuint(quota_used(&t->f.quota), ==, 0);
	start_device(&t->f, impl);
	device_set_features(&t->f.dev, FEATURES);
	device_set_recorder(&t->f.dev, &recorder, t);
	g_string_truncate(t->f.display->log, 0);
	forget_counts(t);
}

static void crash_to(struct test *t, const struct renderer_impl *impl)
{
	g_autofree char *before = describe(&t->f.dev);

	lose_device(t, impl);
	g_assert_cmpuint(hand_over(t), ==, 0);
	/* They are as they were, and nobody was told. */
	assert_recorded(t, 0, 0, 0, 0, 0);
	assert_shown(&t->f, "");
	g_autofree char *after = describe(&t->f.dev);
	g_assert_cmpstr(after, ==, before);
}

static void crash(struct test *t)
{
	crash_to(t, t->f.renderer->impl);
}

static void setup_test(struct test *t, gconstpointer impl)
{
	setup(&t->f, impl);
	t->keeper = (struct keeper){
		.records = g_hash_table_new_full(g_int64_hash, g_int64_equal, g_free,
						 (GDestroyNotify)g_bytes_unref),
	};
	device_set_features(&t->f.dev, FEATURES);
	device_set_recorder(&t->f.dev, &recorder, t);
}

static void teardown_test(struct test *t, gconstpointer impl)
{
	teardown(&t->f, impl);
	g_hash_table_destroy(t->keeper.records);
}

static enum gpu_resp assign_uuid(struct fixture *f, uint32_t id)
{
	const struct virtio_gpu_resource_assign_uuid request = { HDR(RESOURCE_ASSIGN_UUID), id, 0 };

	return call(f, CONTROL, &request, sizeof(request));
}

/* ---- 2D resources ---- */

#define WIDTH 33u
#define HEIGHT 21u
#define N_BYTES (WIDTH * HEIGHT * 4)

/* Pieces of 13 pixels, last first, with gaps between them. */
static void make_scattered(struct fixture *f, uint32_t id, uint32_t format, uint32_t n_bytes)
{
	const uint32_t piece = 52, n = (n_bytes + piece - 1) / piece;
	g_autofree struct virtio_gpu_mem_entry *entries = g_new0(struct virtio_gpu_mem_entry, n);
	uint64_t gpa = guestram_alloc(f->vm.ram, 0, n * 100, 4096);

	for (uint32_t i = 0; i < n; i++) {
		entries[i].addr = gpa + (n - 1 - i) * 100;
		entries[i].length = MIN(piece, n_bytes - i * piece);
		uint8_t *bytes = guestram_at(f->vm.ram, entries[i].addr, piece);
		for (uint32_t k = 0; k < entries[i].length; k++) {
			bytes[k] = (uint8_t)(i * 53 + k * 7 + 1);
		}
	}
	assert_ok(create_2d(f, id, format, WIDTH, HEIGHT));
	assert_ok(attach(f, id, n, entries, n));
}

/* The picture of resource id, by way of scanout 5. Owned by the caller. */
static uint32_t *take_picture(struct fixture *f, uint32_t id)
{
	uint32_t *pixels = g_new(uint32_t, WIDTH * HEIGHT);

	assert_ok(set_scanout(f, 5, id, RECT(0, 0, WIDTH, HEIGHT)));
	assert_ok(flush(f, id, RECT(0, 0, WIDTH, HEIGHT)));
	for (uint32_t y = 0; y < HEIGHT; y++) {
		memcpy(pixels + y * WIDTH, frame_pixel(f->display->frame, 0, y), WIDTH * 4);
	}
	assert_ok(set_scanout(f, 5, 0, RECT(0)));
	g_string_truncate(f->display->log, 0);
	return pixels;
}

static void test_pixels(struct test *t, gconstpointer data G_GNUC_UNUSED)
{
	static const uint32_t formats[] = { 1, 2, 3, 4, 67, 68, 121, 134 };
	uint32_t *before[G_N_ELEMENTS(formats)];
	struct fixture *f = &t->f;

	for (uint32_t i = 0; i < G_N_ELEMENTS(formats); i++) {
		make_scattered(f, i + 1, formats[i], N_BYTES);
		assert_ok(transfer(f, i + 1, RECT(0, 0, WIDTH, HEIGHT), 0));
		before[i] = take_picture(f, i + 1);
	}
	crash(t);
	for (uint32_t i = 0; i < G_N_ELEMENTS(formats); i++) {
		g_autofree uint32_t *after = take_picture(f, i + 1);

		unit_assert_bytes(after, before[i], N_BYTES);
		g_free(before[i]);
	}
}

/* What the guest has drawn, and not yet transferred, is seen a little early. */
static void test_pixels_of_now(struct test *t, gconstpointer data G_GNUC_UNUSED)
{
	struct fixture *f = &t->f;
	uint64_t gpa = make_resource(f, 1, ARGB, WIDTH, HEIGHT);
	uint32_t *words = guestram_at(f->vm.ram, gpa, N_BYTES);

	words[0] = 1;
	assert_ok(transfer(f, 1, RECT(0, 0, WIDTH, HEIGHT), 0));
	words[0] = 2;
	words[WIDTH * HEIGHT - 1] = 3;
	crash(t);
	g_autofree uint32_t *after = take_picture(f, 1);
	g_assert_cmphex(after[0], ==, 2);
	g_assert_cmphex(after[WIDTH * HEIGHT - 1], ==, 3);
	/* And it is a resource like any other. */
	words[0] = 4;
	assert_ok(transfer(f, 1, RECT(0, 0, 1, 1), 0));
	g_autofree uint32_t *later = take_picture(f, 1);
	g_assert_cmphex(later[0], ==, 4);
	assert_ok(detach(f, 1));
	assert_is(detach(f, 1), INVALID_RESOURCE_ID);
	assert_ok(unref(f, 1));
}

/* A backing that ends in the middle of a row: the rows before it. */
static void test_short_backing(struct test *t, gconstpointer data G_GNUC_UNUSED)
{
	static const uint32_t sizes[] = { 1, WIDTH * 4 - 1, WIDTH * 4, WIDTH * 40 + 50,
					  N_BYTES - 1 };
	struct fixture *f = &t->f;

	for (uint32_t i = 0; i < G_N_ELEMENTS(sizes); i++) {
		make_scattered(f, i + 1, ARGB, sizes[i]);
	}
	make_scattered(f, 100, ARGB, N_BYTES);
	crash(t);
	for (uint32_t i = 0; i < G_N_ELEMENTS(sizes); i++) {
		uint32_t n_rows = sizes[i] / (WIDTH * 4);
		g_autofree uint32_t *short_one = take_picture(f, i + 1);
		g_autofree uint32_t *whole = take_picture(f, 100);

		memset(whole + n_rows * WIDTH, 0, (HEIGHT - n_rows) * WIDTH * 4);
		unit_assert_bytes(short_one, whole, N_BYTES);
	}
}

/* The device dies while the front-end has its memory away, and gets it later. */
static void test_backing_not_mapped(struct test *t, gconstpointer data G_GNUC_UNUSED)
{
	struct guestmem *without = vm_build_table(t->f.vm.ram, 1, 2);
	struct guestmem *all = t->f.vm.mem;
	struct fixture *f = &t->f;

	make_scattered(f, 1, ARGB, N_BYTES);
	assert_ok(transfer(f, 1, RECT(0, 0, WIDTH, HEIGHT), 0));
	g_autofree uint32_t *before = take_picture(f, 1);
	device_set_memory(&f->dev, without);
	f->vm.mem = without;
	crash(t);
	f->vm.mem = all;
	g_autofree uint32_t *blank = take_picture(f, 1);
	g_assert_cmphex(blank[0], ==, 0);
	assert_is(transfer(f, 1, RECT(0, 0, WIDTH, HEIGHT), 0), UNSPEC);
	device_set_memory(&f->dev, all);
	assert_ok(transfer(f, 1, RECT(0, 0, WIDTH, HEIGHT), 0));
	g_autofree uint32_t *after = take_picture(f, 1);
	unit_assert_bytes(after, before, N_BYTES);
	guestmem_unref(without);
}

static void test_without_backing(struct test *t, gconstpointer data G_GNUC_UNUSED)
{
	struct fixture *f = &t->f;
	uint64_t gpa = make_resource(f, 1, FORMAT, 32, 16);

	assert_ok(create_2d(f, 2, FORMAT, 16384, 1));
	assert_ok(detach(f, 1));
	crash(t);
	assert_is(create_2d(f, 1, FORMAT, 32, 16), INVALID_RESOURCE_ID);
	assert_is(transfer(f, 1, RECT(0, 0, 1, 1), 0), INVALID_RESOURCE_ID);
	assert_ok(attach_one(f, 1, gpa, 32 * 16 * 4));
	assert_ok(transfer(f, 1, RECT(0, 0, 32, 16), 0));
	assert_is(transfer(f, 1, RECT(0, 0, 33, 16), 0), INVALID_PARAMETER);
	crash(t);
	assert_ok(transfer(f, 1, RECT(0, 0, 32, 16), 0));
	assert_ok(unref(f, 2));
	crash(t);
	assert_is(unref(f, 2), INVALID_RESOURCE_ID);
}

static void test_uuid(struct test *t, gconstpointer data G_GNUC_UNUSED)
{
	struct fixture *f = &t->f;
	uint8_t uuid[16];

	make_resource(f, 1, FORMAT, 16, 16);
	make_resource(f, 2, FORMAT, 16, 16);
	g_assert_cmphex(assign_uuid(f, 1), ==, GPU_RESP_OK_RESOURCE_UUID);
	memcpy(uuid, f->response.uuid.uuid, sizeof(uuid));
	for (int i = 0; i < 2; i++) {
		crash(t);
		g_assert_cmphex(assign_uuid(f, 1), ==, GPU_RESP_OK_RESOURCE_UUID);
		unit_assert_bytes(f->response.uuid.uuid, uuid, sizeof(uuid));
	}
	g_assert_cmphex(assign_uuid(f, 2), ==, GPU_RESP_OK_RESOURCE_UUID);
	g_assert_cmpint(memcmp(f->response.uuid.uuid, uuid, sizeof(uuid)), !=, 0);
}

/* The longest list, and the longest record. */
static void test_longest(struct test *t, gconstpointer data G_GNUC_UNUSED)
{
	g_autofree struct virtio_gpu_mem_entry *many =
		g_new0(struct virtio_gpu_mem_entry, RESOURCE_MAX_ENTRIES);
	struct fixture *f = &t->f;
	uint64_t gpa = guestram_alloc(f->vm.ram, 0, 1 << 20, 4096);

	for (uint32_t i = 0; i < RESOURCE_MAX_ENTRIES; i++) {
		many[i] = (struct virtio_gpu_mem_entry){ gpa + 8ull * i, 4, 0 };
	}
	assert_ok(create_2d(f, 1, FORMAT, 128, 128));
	g_assert_cmphex(assign_uuid(f, 1), ==, GPU_RESP_OK_RESOURCE_UUID);
	assert_ok(attach(f, 1, RESOURCE_MAX_ENTRIES, many, RESOURCE_MAX_ENTRIES));
	crash(t);
	assert_ok(transfer(f, 1, RECT(0, 0, 128, 128), 0));
}

static void count_breath(void *data)
{
	++*(unsigned int *)data;
}

/* No command of the guest comes in between, not even one for the cursor. */
static void test_restoring_holds_its_breath(struct test *t, gconstpointer data G_GNUC_UNUSED)
{
	unsigned int n_breaths = 0;

	make_resource(&t->f, 1, ARGB, 1024, 1024);
	lose_device(t, t->f.renderer->impl);
	device_set_breather(&t->f.dev, count_breath, &n_breaths);
	g_assert_cmpuint(hand_over(t), ==, 0);
	g_assert_cmpuint(n_breaths, ==, 0);
	assert_ok(transfer(&t->f, 1, RECT(0, 0, 1024, 1024), 0));
	g_assert_cmpuint(n_breaths, >, 0);
}

/* ---- blobs ---- */

#define PAGE 4096u
/* All of two pages, and of one that is cut off. */
#define BLOB_BYTES (3 * PAGE - 100)
static const struct blob_layout blob_layout = { FORMAT, 32, 64, 160, 64 };

/* Three pages in the wrong order, each full of a number. */
static void make_blob(struct fixture *f, uint32_t id)
{
	uint64_t gpa = guestram_alloc(f->vm.ram, 0, 5 * PAGE, PAGE);
	const struct virtio_gpu_mem_entry entries[] = { { gpa + 4 * PAGE, PAGE, 0 },
							{ gpa, PAGE, 0 },
							{ gpa + 2 * PAGE, PAGE, 0 } };

	for (uint32_t i = 0; i < G_N_ELEMENTS(entries); i++) {
		memset(guestram_at(f->vm.ram, entries[i].addr, PAGE), 0x11 + (int)i, PAGE);
	}
	assert_ok(create_blob(f, id, GUEST, BLOB_BYTES, entries, G_N_ELEMENTS(entries)));
}

static void assert_blob_shown(struct fixture *f, uint32_t scanout_id, bool has_picture)
{
	g_autofree char *expected =
		g_strdup_printf("update %u: 0,0 32x64 of 32x64 at 0,0\n", scanout_id);

	assert_shown(f, has_picture ? expected : "");
	if (has_picture) {
		g_assert_cmphex(*frame_pixel(f->display->frame, 0, 0), ==, 0x11111111);
		g_assert_cmphex(*frame_pixel(f->display->frame, 31, 63), ==, 0x13131313);
	}
}

static void test_blob(struct test *t, gconstpointer data G_GNUC_UNUSED)
{
	bool has_picture = !t->f.renderer->impl->is_blind;
	struct fixture *f = &t->f;

	make_blob(f, 1);
	g_assert_cmphex(assign_uuid(f, 1), ==, GPU_RESP_OK_RESOURCE_UUID);
	crash(t);
	assert_is(create_2d(f, 1, FORMAT, 16, 16), INVALID_RESOURCE_ID);
	assert_is(attach_one(f, 1, 0, PAGE), UNSPEC);
	assert_ok(set_scanout_blob(f, 7, 1, RECT(0, 0, 32, 64), &blob_layout));
	crash(t);
	/* It was never flushed. */
	device_replay(&f->dev);
	assert_shown(f, "");
	assert_ok(flush(f, 1, RECT(0, 0, 1, 1)));
	assert_blob_shown(f, 7, has_picture);
	crash(t);
	device_replay(&f->dev);
	assert_blob_shown(f, 7, has_picture);
	assert_ok(unref(f, 1));
	assert_shown(f, "off 7\n");
	crash(t);
	assert_is(unref(f, 1), INVALID_RESOURCE_ID);
}

/* The device dies while the front-end has its memory away, and gets it later. */
static void test_blob_not_mapped(struct test *t, gconstpointer data G_GNUC_UNUSED)
{
	struct guestmem *without = vm_build_table(t->f.vm.ram, 1, 2);
	struct guestmem *all = t->f.vm.mem;
	struct fixture *f = &t->f;

	make_blob(f, 1);
	assert_ok(set_scanout_blob(f, 7, 1, RECT(0, 0, 32, 64), &blob_layout));
	assert_ok(flush(f, 1, RECT(0, 0, 1, 1)));
	device_set_memory(&f->dev, without);
	f->vm.mem = without;
	crash(t);
	f->vm.mem = all;
	assert_is(flush(f, 1, RECT(0, 0, 1, 1)), UNSPEC);
	device_set_memory(&f->dev, all);
	assert_blob_shown(f, 7, true);
	guestmem_unref(without);
}

/* What the host had of it went with the device. */
static void test_blob_of_the_host(struct test *t, gconstpointer data G_GNUC_UNUSED)
{
	struct fixture *f = &t->f;
	const struct virtio_gpu_mem_entry entry = { guestram_alloc(f->vm.ram, 0, PAGE, PAGE), PAGE,
						    0 };

	assert_ok(create_context(f, 1, 0, "", 0));
	assert_ok(create_blob(f, 1, HOST3D, 3 * PAGE, NULL, 0));
	assert_ok(create_blob(f, 2, HOST3D_GUEST, PAGE, &entry, 1));
	make_blob(f, 3);
	assert_ok(set_scanout_blob(f, 0, 1, RECT(0, 0, 32, 64), &blob_layout));
	crash(t);
	for (uint32_t id = 1; id <= 2; id++) {
		assert_is(flush(f, id, RECT(0, 0, 1, 1)), INVALID_RESOURCE_ID);
		assert_is(set_scanout_blob(f, 1, id, RECT(0, 0, 32, 64), &blob_layout),
			  INVALID_RESOURCE_ID);
		assert_is(create_blob(f, id, HOST3D, PAGE, NULL, 0), INVALID_RESOURCE_ID);
	}
	device_replay(&f->dev);
	assert_shown(f, "");
	assert_ok(unref(f, 1));
	assert_shown(f, "off 0\n");
	assert_ok(unref(f, 2));
	assert_ok(flush(f, 3, RECT(0, 0, 1, 1)));
}

static void test_recorded_blob(struct test *t, gconstpointer data G_GNUC_UNUSED)
{
	struct fixture *f = &t->f;

	make_blob(f, 1);
	assert_recorded(t, 1, 0, 0, 0, 0);
	assert_is(create_guest_blob(f, 1, 0, PAGE), INVALID_RESOURCE_ID);
	assert_is(create_guest_blob(f, 2, VM_NOWHERE, PAGE), UNSPEC);
	assert_is(detach(f, 1), UNSPEC);
	assert_recorded(t, 0, 0, 0, 0, 0);
	assert_ok(set_scanout_blob(f, 0, 1, RECT(0, 0, 32, 64), &blob_layout));
	assert_recorded(t, 0, 0, 1, 0, 0);
	assert_is(set_scanout_blob(f, 0, 1, RECT(0, 0, 33, 64), &blob_layout), INVALID_PARAMETER);
	assert_recorded(t, 0, 0, 0, 0, 0);
	assert_ok(flush(f, 1, RECT(0, 0, 1, 1)));
	assert_recorded(t, 0, 0, 1, 0, 0);
	for (int i = 0; i < 10; i++) {
		assert_ok(transfer(f, 1, RECT(0, 0, 32, 64), 0));
		assert_ok(flush(f, 1, RECT(0, 0, 32, 64)));
	}
	assert_recorded(t, 0, 0, 0, 0, 0);
	assert_ok(unref(f, 1));
	assert_recorded(t, 0, 0, 0, 0, 2); /* and the scanout */
}

/* ---- scanouts and cursors ---- */

static void test_scanouts(struct test *t, gconstpointer data G_GNUC_UNUSED)
{
	struct fixture *f = &t->f;

	make_resource(f, 1, FORMAT, 100, 50);
	make_resource(f, 2, FORMAT, 64, 32);
	assert_ok(set_scanout(f, 0, 1, RECT(20, 10, 40, 30)));
	assert_ok(set_scanout(f, 15, 1, RECT(0, 0, 100, 50)));
	assert_ok(flush(f, 1, RECT(0, 0, 1, 1)));
	assert_ok(set_scanout(f, 3, 2, RECT(0, 0, 64, 32))); /* never flushed */
	assert_ok(set_scanout(f, 4, 2, RECT(0, 0, 64, 32)));
	assert_ok(set_scanout(f, 4, 0, RECT(0)));
	crash(t);
	/* The display may have missed anything: all of it, once. */
	assert_ok(flush(f, 1, RECT(25, 12, 3, 4)));
	assert_shown(f, "update 0: 0,0 40x30 of 40x30 at 20,10\n"
			"update 15: 0,0 100x50 of 100x50 at 0,0\n");
	assert_ok(flush(f, 1, RECT(25, 12, 3, 4)));
	assert_shown(f, "update 0: 5,2 3x4 of 40x30 at 20,10\n"
			"update 15: 25,12 3x4 of 100x50 at 0,0\n");
	crash(t);
	device_replay(&f->dev);
	assert_shown(f, "update 0: 0,0 40x30 of 40x30 at 20,10\n"
			"update 15: 0,0 100x50 of 100x50 at 0,0\n");
	assert_ok(flush(f, 2, RECT(0, 0, 1, 1)));
	assert_shown(f, "update 3: 0,0 64x32 of 64x32 at 0,0\n");
	assert_ok(unref(f, 1));
	assert_shown(f, "off 0\noff 15\n");
	crash(t);
	device_replay(&f->dev);
	assert_shown(f, "update 3: 0,0 64x32 of 64x32 at 0,0\n");
}

static void test_cursors(struct test *t, gconstpointer data G_GNUC_UNUSED)
{
	struct fixture *f = &t->f;
	uint64_t gpa = make_resource(f, 1, ARGB, 64, 64);
	uint32_t *pixels = guestram_at(f->vm.ram, gpa, 64 * 64 * 4);

	for (uint32_t i = 0; i < 64 * 64; i++) {
		pixels[i] = i * 0x01010101;
	}
	assert_ok(transfer(f, 1, RECT(0, 0, 64, 64), 0));
	assert_ok(update_cursor(f, 0, 1, 10, (uint32_t)-20, 3, 63));
	assert_ok(update_cursor(f, 15, 1, 30, 40, 0, 0));
	assert_ok(update_cursor(f, 15, 0, 5, 6, 0, 0));
	assert_ok(move_cursor(f, 2, 1, 7, 8)); /* never had an image */
	assert_ok(unref(f, 1));
	memset(f->display->cursor, 0, sizeof(f->display->cursor));
	crash(t);
	device_replay(&f->dev);
	assert_shown(f, "cursor 0: 10,-20 hot 3,63\n"
			"cursor 15: 5,6 hot 0,0\n"
			"hide 15: 5,6\n");
	for (uint32_t i = 0; i < 64 * 64; i++) {
		g_assert_cmphex(f->display->cursor[i], ==, i * 0x01010101);
	}
	/* A move shows it again, with no word of its image. */
	assert_ok(move_cursor(f, 15, 1, 9, 9));
	assert_shown(f, "move 15: 9,9\n");
	crash(t);
	device_replay(&f->dev);
	assert_shown(f, "cursor 0: 10,-20 hot 3,63\n"
			"cursor 15: 9,9 hot 0,0\n");
}

/* ---- what is lost ---- */

/* Resources 7 (3D, on scanouts 0 and 2) and 8 (3D), contexts 3 and 4; 1 (2D) is there still. */
static void lose_some(struct test *t)
{
	struct fixture *f = &t->f;
	uint64_t gpa = guestram_alloc(f->vm.ram, 0, 4096, 4096);
	struct puppet *p = puppet_from_base(f->renderer);

	make_resource(f, 1, FORMAT, 32, 16);
	assert_ok(create_3d(f, 7, 32, 32, 1, 1, 0));
	assert_ok(create_3d(f, 8, 32, 32, 1, 1, 0));
	assert_ok(attach_one(f, 7, gpa, 4096));
	assert_ok(create_context(f, 3, 0, "", 0));
	assert_ok(create_context(f, 4, RENDERER_CAPSET_VIRGL2, "", 0));
	assert_ok(context_call(f, VIRTIO_GPU_CMD_CTX_ATTACH_RESOURCE, 3, 7));
	p->picture = frame_create(&f->quota, 32, 32);
	assert_ok(set_scanout(f, 0, 7, RECT(0, 0, 32, 32)));
	assert_ok(set_scanout(f, 2, 7, RECT(0, 0, 16, 16)));
	assert_ok(flush(f, 7, RECT(0, 0, 32, 32)));
	crash(t);
	/* What lives on comes first; of the lost the renderer hears nothing. */
	assert_rendered(f, "create 1\nattach 1: 1\ntransfer 1\n");
}

static enum gpu_resp end_resource(struct fixture *f)
{
	return unref(f, 7);
}

static enum gpu_resp end_backing(struct fixture *f)
{
	return detach(f, 7);
}

static enum gpu_resp end_context(struct fixture *f)
{
	return context_call(f, VIRTIO_GPU_CMD_CTX_DESTROY, 3, 0);
}

static enum gpu_resp create_2d_anew(struct fixture *f)
{
	return create_2d(f, 7, FORMAT, 32, 32);
}

static enum gpu_resp create_3d_anew(struct fixture *f)
{
	return create_3d(f, 7, 32, 32, 1, 1, 0);
}

static enum gpu_resp create_context_anew(struct fixture *f)
{
	return create_context(f, 3, 0, "", 0);
}

static enum gpu_resp attach_backing(struct fixture *f)
{
	return attach_one(f, 7, 0, 4096);
}

static enum gpu_resp attach_to_lost_context(struct fixture *f)
{
	return context_call(f, VIRTIO_GPU_CMD_CTX_ATTACH_RESOURCE, 3, 1);
}

static enum gpu_resp detach_from_lost_context(struct fixture *f)
{
	return context_call(f, VIRTIO_GPU_CMD_CTX_DETACH_RESOURCE, 3, 1);
}

static enum gpu_resp with_new_context(struct fixture *f, uint32_t type)
{
	assert_ok(create_context(f, 5, 0, "", 0));
	assert_rendered(f, "ctx 5: 0 ''\n");
	enum gpu_resp resp = context_call(f, type, 5, 7);
	assert_ok(context_call(f, VIRTIO_GPU_CMD_CTX_DESTROY, 5, 0));
	assert_rendered(f, "ctx 5 gone\n");
	return resp;
}

static enum gpu_resp attach_lost_resource(struct fixture *f)
{
	return with_new_context(f, VIRTIO_GPU_CMD_CTX_ATTACH_RESOURCE);
}

static enum gpu_resp detach_lost_resource(struct fixture *f)
{
	return with_new_context(f, VIRTIO_GPU_CMD_CTX_DETACH_RESOURCE);
}

static enum gpu_resp transfer_2d(struct fixture *f)
{
	return transfer(f, 7, RECT(0, 0, 1, 1), 0);
}

static enum gpu_resp transfer_3d(struct fixture *f, uint32_t type, uint32_t ctx_id, uint32_t id)
{
	const struct virtio_gpu_transfer_host_3d request = {
		.hdr = { .type = type, .ctx_id = ctx_id },
		.box = { .w = 1, .h = 1, .d = 1 },
		.resource_id = id,
	};

	return call(f, CONTROL, &request, sizeof(request));
}

static enum gpu_resp transfer_to(struct fixture *f)
{
	return transfer_3d(f, VIRTIO_GPU_CMD_TRANSFER_TO_HOST_3D, 0, 7);
}

static enum gpu_resp transfer_from(struct fixture *f)
{
	return transfer_3d(f, VIRTIO_GPU_CMD_TRANSFER_FROM_HOST_3D, 0, 7);
}

static enum gpu_resp transfer_to_in_lost_context(struct fixture *f)
{
	return transfer_3d(f, VIRTIO_GPU_CMD_TRANSFER_TO_HOST_3D, 3, 1);
}

static enum gpu_resp transfer_from_in_lost_context(struct fixture *f)
{
	return transfer_3d(f, VIRTIO_GPU_CMD_TRANSFER_FROM_HOST_3D, 3, 1);
}

static enum gpu_resp submit(struct fixture *f)
{
	const struct {
		struct virtio_gpu_cmd_submit head;
		char stream[16];
	} request = { .head = { .hdr = { .type = VIRTIO_GPU_CMD_SUBMIT_3D, .ctx_id = 3 },
				.size = 16 } };

	return call(f, CONTROL, &request, sizeof(request));
}

static enum gpu_resp show_it(struct fixture *f)
{
	return set_scanout(f, 1, 7, RECT(0, 0, 32, 32));
}

static enum gpu_resp flush_it(struct fixture *f)
{
	return flush(f, 7, RECT(0, 0, 1, 1));
}

static enum gpu_resp as_a_cursor(struct fixture *f)
{
	return update_cursor(f, 0, 7, 0, 0, 0, 0);
}

static enum gpu_resp name_it(struct fixture *f)
{
	return assign_uuid(f, 7);
}

static const struct lost_case {
	const char *path;
	enum gpu_resp (*command)(struct fixture *f);
	enum gpu_resp expected;
} lost_cases[] = {
	{ "unref", end_resource, GPU_RESP_OK_NODATA },
	{ "detach-backing", end_backing, GPU_RESP_OK_NODATA },
	{ "ctx-destroy", end_context, GPU_RESP_OK_NODATA },
	{ "create-2d", create_2d_anew, GPU_RESP_ERR_INVALID_RESOURCE_ID },
	{ "create-3d", create_3d_anew, GPU_RESP_ERR_INVALID_RESOURCE_ID },
	{ "ctx-create", create_context_anew, GPU_RESP_ERR_INVALID_CONTEXT_ID },
	{ "attach-backing", attach_backing, GPU_RESP_ERR_INVALID_RESOURCE_ID },
	{ "ctx-attach/context", attach_to_lost_context, GPU_RESP_ERR_INVALID_CONTEXT_ID },
	{ "ctx-detach/context", detach_from_lost_context, GPU_RESP_ERR_INVALID_CONTEXT_ID },
	{ "ctx-attach/resource", attach_lost_resource, GPU_RESP_ERR_INVALID_RESOURCE_ID },
	{ "ctx-detach/resource", detach_lost_resource, GPU_RESP_ERR_INVALID_RESOURCE_ID },
	{ "transfer-to-host-2d", transfer_2d, GPU_RESP_ERR_INVALID_RESOURCE_ID },
	{ "transfer-to-host-3d/resource", transfer_to, GPU_RESP_ERR_INVALID_RESOURCE_ID },
	{ "transfer-from-host-3d/resource", transfer_from, GPU_RESP_ERR_INVALID_RESOURCE_ID },
	{ "transfer-to-host-3d/context", transfer_to_in_lost_context,
	  GPU_RESP_ERR_INVALID_CONTEXT_ID },
	{ "transfer-from-host-3d/context", transfer_from_in_lost_context,
	  GPU_RESP_ERR_INVALID_CONTEXT_ID },
	{ "submit-3d", submit, GPU_RESP_ERR_INVALID_CONTEXT_ID },
	{ "set-scanout", show_it, GPU_RESP_ERR_INVALID_RESOURCE_ID },
	{ "resource-flush", flush_it, GPU_RESP_ERR_INVALID_RESOURCE_ID },
	{ "update-cursor", as_a_cursor, GPU_RESP_ERR_INVALID_RESOURCE_ID },
	{ "resource-assign-uuid", name_it, GPU_RESP_ERR_INVALID_RESOURCE_ID },
};

static void setup_lost(struct test *t, gconstpointer data G_GNUC_UNUSED)
{
	setup_test(t, &puppet_impl);
	lose_some(t);
}

/* The answer, nothing of it anywhere else, and whatever it was, all can be cleaned up. */
static void test_lost(struct test *t, gconstpointer data)
{
	const struct lost_case *lost = data;
	struct fixture *f = &t->f;
	bool is_end = lost->expected == GPU_RESP_OK_NODATA;

	g_assert_cmphex(lost->command(f), ==, lost->expected);
	assert_rendered(f, "");
	if (!is_end) {
		assert_shown(f, "");
		g_assert_cmphex(lost->command(f), ==, lost->expected);
	}
	crash(t);
	assert_ok(lost->command == end_resource ? create_2d_anew(f) : end_backing(f));
	assert_ok(end_resource(f));
	assert_is(end_resource(f), INVALID_RESOURCE_ID);
	assert_is(end_backing(f), INVALID_RESOURCE_ID);
	assert_ok(lost->command == end_context ? create_context_anew(f) : end_context(f));
	g_string_truncate(puppet_from_base(f->renderer)->log, 0);
	/* Free again. */
	if (lost->command == end_context) {
		assert_ok(end_context(f));
	}
	assert_is(end_context(f), INVALID_CONTEXT_ID);
	assert_ok(create_context_anew(f));
	assert_ok(create_3d_anew(f));
	assert_ok(submit(f));
	assert_ok(context_call(f, VIRTIO_GPU_CMD_CTX_ATTACH_RESOURCE, 3, 7));
	assert_ok(unref(f, 8));
	assert_ok(context_call(f, VIRTIO_GPU_CMD_CTX_DESTROY, 4, 0));
}

/* Its last picture stays until the guest has another word for the display. */
static void test_lost_scanout(struct test *t, gconstpointer data G_GNUC_UNUSED)
{
	struct fixture *f = &t->f;

	puppet_from_base(f->renderer)->picture = frame_create(&f->quota, 32, 32);
	assert_is(flush(f, 7, RECT(0, 0, 32, 32)), INVALID_RESOURCE_ID);
	device_replay(&f->dev);
	assert_shown(f, "");
	assert_ok(set_scanout(f, 0, 1, RECT(0, 0, 32, 16)));
	assert_ok(flush(f, 1, RECT(0, 0, 1, 1)));
	assert_shown(f, "update 0: 0,0 32x16 of 32x16 at 0,0\n");
	assert_ok(set_scanout(f, 2, 0, RECT(0)));
	assert_shown(f, "off 2\n");
	crash(t);
	device_replay(&f->dev);
	assert_ok(set_scanout(f, 2, 0, RECT(0)));
	assert_shown(f, ""); /* the puppet has no picture now, and 2 is off */
}

/* It goes when the resource does, and does not come back with another of that id. */
static void test_lost_scanout_and_its_resource(struct test *t, gconstpointer data G_GNUC_UNUSED)
{
	struct fixture *f = &t->f;

	crash(t);
	assert_ok(unref(f, 7));
	assert_shown(f, "off 0\noff 2\n");
	make_resource(f, 7, FORMAT, 32, 32);
	puppet_from_base(f->renderer)->picture = frame_create(&f->quota, 32, 32);
	assert_ok(flush(f, 7, RECT(0, 0, 32, 32)));
	crash(t);
	device_replay(&f->dev);
	assert_ok(flush(f, 7, RECT(0, 0, 32, 32)));
	assert_shown(f, "");
}

static void test_lost_and_reset(struct test *t, gconstpointer data G_GNUC_UNUSED)
{
	struct fixture *f = &t->f;

	device_reset(&f->dev);
	assert_shown(f, "off 0\noff 2\n");
	assert_rendered(f, "detach 1\ndestroy 1\n");
	assert_ok(create_3d_anew(f));
	assert_ok(create_context_anew(f));
}

/* Nobody would ever signal a fence on a ring of it. */
static void test_lost_ring(struct test *t, gconstpointer data G_GNUC_UNUSED)
{
	const struct virtio_gpu_ctx_resource request = {
		.hdr = { .type = VIRTIO_GPU_CMD_CTX_ATTACH_RESOURCE,
			 .flags = VIRTIO_GPU_FLAG_FENCE | VIRTIO_GPU_FLAG_INFO_RING_IDX,
			 .fence_id = 9,
			 .ctx_id = 3 },
		.resource_id = 1,
	};

	assert_is(call(&t->f, CONTROL, &request, sizeof(request)), INVALID_CONTEXT_ID);
	g_assert_cmphex(t->f.response.header.fence_id, ==, 9);
}

/* 3D was given up: a renderer without contexts, and what can be ended ends all the same. */
static void test_lost_to_2d(struct test *t, gconstpointer data G_GNUC_UNUSED)
{
	struct fixture *f = &t->f;

	crash_to(t, &soft_impl);
	assert_is(submit(f), UNSPEC);
	assert_is(create_context(f, 9, 0, "", 0), UNSPEC);
	assert_is(create_context_anew(f), UNSPEC);
	assert_is(flush_it(f), INVALID_RESOURCE_ID);
	assert_is(create_2d_anew(f), INVALID_RESOURCE_ID);
	assert_ok(end_context(f));
	assert_is(end_context(f), UNSPEC);
	assert_ok(end_backing(f));
	assert_ok(end_resource(f));
	assert_ok(create_2d_anew(f));
	assert_ok(set_scanout(f, 0, 1, RECT(0, 0, 32, 16)));
	assert_ok(flush(f, 1, RECT(0, 0, 1, 1)));
	g_string_truncate(f->display->log, 0);
	crash_to(t, &soft_impl);
	device_reset(&f->dev);
}

/* ---- limits ---- */

static void test_contexts_count(struct test *t, gconstpointer data G_GNUC_UNUSED)
{
	struct fixture *f = &t->f;

	for (uint32_t i = 1; i <= DEVICE_MAX_CONTEXTS; i++) {
		assert_ok(create_context(f, i, 0, "", 0));
	}
	assert_is(create_context(f, 5000, 0, "", 0), OUT_OF_MEMORY);
	crash(t);
	assert_is(create_context(f, 5000, 0, "", 0), OUT_OF_MEMORY);
	gsize size;
	const void *bytes = g_bytes_get_data(find_record(t, RECORD_CONTEXT, 1), &size);
	g_assert_false(device_restore(&f->dev, RECORD_CONTEXT, 5000, bytes, size));
	assert_ok(context_call(f, VIRTIO_GPU_CMD_CTX_DESTROY, 77, 0));
	assert_ok(create_context(f, 5000, 0, "", 0));
}

static void test_resources_count(struct test *t, gconstpointer data G_GNUC_UNUSED)
{
	struct fixture *f = &t->f;

	f->quota.limit_bytes = UINT64_MAX;
	assert_ok(create_3d(f, 1, 16, 16, 1, 1, 0));
	gsize size;
	g_autoptr(GBytes) record = g_bytes_ref(find_record(t, RECORD_RESOURCE, 1));
	const void *bytes = g_bytes_get_data(record, &size);
	for (uint32_t i = 2; i <= DEVICE_MAX_RESOURCES; i++) {
		g_assert_true(device_restore(&f->dev, RECORD_RESOURCE, i, bytes, size));
	}
	g_assert_false(device_restore(&f->dev, RECORD_RESOURCE, UINT32_MAX, bytes, size));
	assert_is(create_2d(f, UINT32_MAX, FORMAT, 1, 1), OUT_OF_MEMORY);
	assert_ok(unref(f, 2));
	assert_ok(create_2d(f, UINT32_MAX, FORMAT, 1, 1));
	/* Each is paid for, though there is little of it. */
	g_assert_cmpuint(quota_used(&f->quota), >=,
			 (uint64_t)DEVICE_MAX_RESOURCES * RESOURCE_OVERHEAD_BYTES);
}

/* The one there is no memory for, and no other; for good. */
static void test_no_memory_for_one(struct test *t, gconstpointer data G_GNUC_UNUSED)
{
	struct fixture *f = &t->f;

	make_resource(f, 1, FORMAT, 16, 16);
	make_resource(f, 2, FORMAT, 1024, 1024);
	make_resource(f, 3, FORMAT, 16, 16);
	assert_ok(set_scanout(f, 0, 2, RECT(0, 0, 1024, 1024)));
	assert_ok(flush(f, 2, RECT(0, 0, 1, 1)));
	assert_ok(set_scanout(f, 1, 3, RECT(0, 0, 16, 16)));
	lose_device(t, f->renderer->impl);
	f->quota.limit_bytes = 1 << 20;
	g_assert_cmpuint(hand_over(t), ==, 0);
	assert_recorded(t, 1, 0, 0, 0, 0);
	for (int i = 0; i < 2; i++) {
		assert_ok(transfer(f, 1, RECT(0, 0, 16, 16), 0));
		assert_is(transfer(f, 2, RECT(0, 0, 16, 16), 0), INVALID_RESOURCE_ID);
		assert_ok(flush(f, 3, RECT(0, 0, 1, 1)));
		assert_shown(f, "update 1: 0,0 16x16 of 16x16 at 0,0\n");
		f->quota.limit_bytes = RIG_QUOTA_BYTES;
		crash(t);
	}
	assert_ok(unref(f, 2));
	assert_shown(f, "off 0\n");
}

static void test_no_memory_for_a_list(struct test *t, gconstpointer data G_GNUC_UNUSED)
{
	struct fixture *f = &t->f;

	make_scattered(f, 1, FORMAT, N_BYTES);
	lose_device(t, f->renderer->impl);
	f->quota.limit_bytes = RESOURCE_OVERHEAD_BYTES + N_BYTES + 500;
	g_assert_cmpuint(hand_over(t), ==, 0);
	g_assert_cmpuint(quota_used(&f->quota), ==, RESOURCE_OVERHEAD_BYTES);
	assert_is(transfer(f, 1, RECT(0, 0, 1, 1), 0), INVALID_RESOURCE_ID);
	assert_ok(detach(f, 1));
	assert_ok(unref(f, 1));
}

/* Not even to remember it by. */
static void test_no_memory_at_all(struct test *t, gconstpointer data G_GNUC_UNUSED)
{
	struct fixture *f = &t->f;

	make_resource(f, 1, FORMAT, 16, 16);
	assert_ok(create_3d(f, 2, 16, 16, 1, 1, 0));
	assert_ok(set_scanout(f, 0, 1, RECT(0, 0, 16, 16)));
	lose_device(t, f->renderer->impl);
	f->quota.limit_bytes = RESOURCE_OVERHEAD_BYTES - 1;
	g_assert_cmpuint(hand_over(t), ==, 3);
	assert_recorded(t, 0, 0, 0, 0, 3);
	g_assert_cmpuint(g_hash_table_size(t->keeper.records), ==, 0);
	f->quota.limit_bytes = RIG_QUOTA_BYTES;
	make_resource(f, 1, FORMAT, 16, 16);
	crash(t);
}

/* ---- when there is something to record ---- */

static void test_recorded_in_2d(struct test *t, gconstpointer data G_GNUC_UNUSED)
{
	struct fixture *f = &t->f;
	uint64_t gpa = guestram_alloc(f->vm.ram, 0, 16384, 4096);

	assert_ok(create_2d(f, 1, ARGB, 64, 64));
	assert_recorded(t, 1, 0, 0, 0, 0);
	assert_is(create_2d(f, 1, ARGB, 64, 64), INVALID_RESOURCE_ID);
	assert_is(create_2d(f, 2, ARGB, 0, 64), INVALID_PARAMETER);
	assert_is(attach_one(f, 1, VM_NOWHERE, 16384), UNSPEC);
	assert_recorded(t, 0, 0, 0, 0, 0);
	assert_ok(attach_one(f, 1, gpa, 16384));
	assert_recorded(t, 1, 0, 0, 0, 0);
	g_assert_cmphex(assign_uuid(f, 1), ==, GPU_RESP_OK_RESOURCE_UUID);
	assert_recorded(t, 1, 0, 0, 0, 0);
	g_assert_cmphex(assign_uuid(f, 1), ==, GPU_RESP_OK_RESOURCE_UUID);
	assert_recorded(t, 0, 0, 0, 0, 0);

	assert_is(set_scanout(f, 0, 1, RECT(0, 0, 64, 65)), INVALID_PARAMETER);
	assert_ok(set_scanout(f, 3, 0, RECT(0))); /* it was off */
	assert_recorded(t, 0, 0, 0, 0, 0);
	assert_ok(set_scanout(f, 0, 1, RECT(0, 0, 64, 64)));
	assert_recorded(t, 0, 0, 1, 0, 0);
	assert_ok(flush(f, 1, RECT(0, 0, 64, 64)));
	assert_recorded(t, 0, 0, 1, 0, 0);
	for (int i = 0; i < 10; i++) {
		assert_ok(transfer(f, 1, RECT(0, 0, 64, 64), 0));
		assert_ok(flush(f, 1, RECT(0, 0, 64, 64)));
	}
	assert_recorded(t, 0, 0, 0, 0, 0);

	assert_ok(update_cursor(f, 0, 1, 0, 0, 0, 0));
	assert_recorded(t, 0, 0, 0, 1, 0);
	for (uint32_t i = 0; i < 10; i++) {
		assert_ok(move_cursor(f, 0, 1, i, i));
	}
	assert_recorded(t, 0, 0, 0, 0, 0);
	assert_ok(update_cursor(f, 0, 0, 0, 0, 0, 0));
	assert_recorded(t, 0, 0, 0, 1, 0);
	assert_ok(move_cursor(f, 0, 0, 1, 1));
	assert_recorded(t, 0, 0, 0, 0, 0);
	assert_ok(move_cursor(f, 0, 1, 1, 1)); /* to be seen again */
	assert_recorded(t, 0, 0, 0, 1, 0);

	assert_ok(detach(f, 1));
	assert_recorded(t, 1, 0, 0, 0, 0);
	assert_ok(unref(f, 1));
	assert_recorded(t, 0, 0, 0, 0, 2); /* and the scanout */
}

static void test_recorded_in_3d(struct test *t, gconstpointer data G_GNUC_UNUSED)
{
	struct fixture *f = &t->f;
	uint64_t gpa = guestram_alloc(f->vm.ram, 0, 4096, 4096);

	assert_ok(create_3d(f, 7, 32, 32, 1, 1, 0));
	assert_recorded(t, 1, 0, 0, 0, 0);
	assert_ok(create_context(f, 3, 0, "", 0));
	assert_recorded(t, 0, 1, 0, 0, 0);
	assert_ok(attach_one(f, 7, gpa, 4096));
	assert_ok(context_call(f, VIRTIO_GPU_CMD_CTX_ATTACH_RESOURCE, 3, 7));
	assert_ok(submit(f));
	assert_ok(transfer_to(f));
	assert_ok(transfer_from(f));
	assert_ok(transfer_2d(f));
	g_assert_cmphex(assign_uuid(f, 7), ==, GPU_RESP_OK_RESOURCE_UUID);
	assert_ok(context_call(f, VIRTIO_GPU_CMD_CTX_DETACH_RESOURCE, 3, 7));
	assert_ok(detach(f, 7));
	assert_recorded(t, 0, 0, 0, 0, 0);
	assert_ok(context_call(f, VIRTIO_GPU_CMD_CTX_DESTROY, 3, 0));
	assert_ok(unref(f, 7));
	assert_recorded(t, 0, 0, 0, 0, 2);
	g_assert_cmpuint(g_hash_table_size(t->keeper.records), ==, 0);
}

/* A renderer that dies of a command has left what the guest then has to count on. */
static void test_recorded_in_order(struct test *t, gconstpointer data G_GNUC_UNUSED)
{
	struct fixture *f = &t->f;

	t->keeper.log = puppet_from_base(f->renderer)->log;
	make_resource(f, 1, FORMAT, 16, 16);
	assert_rendered(f, "create 1\nput 1\nattach 1: 1\nput 1\n");
	assert_ok(detach(f, 1));
	assert_rendered(f, "put 1\ndetach 1\n");
	assert_ok(unref(f, 1));
	assert_rendered(f, "drop 1\ndestroy 1\n");
	assert_ok(create_3d(f, 7, 16, 16, 1, 1, 0));
	assert_ok(create_context(f, 3, 0, "", 0));
	assert_rendered(f, "create 7\nput 7\nctx 3: 0 ''\nput 3\n");
	assert_ok(context_call(f, VIRTIO_GPU_CMD_CTX_DESTROY, 3, 0));
	assert_rendered(f, "drop 3\nctx 3 gone\n");
	t->keeper.log = NULL;
}

static void test_reset_drops_all(struct test *t, gconstpointer data G_GNUC_UNUSED)
{
	struct fixture *f = &t->f;

	for (uint32_t i = 1; i <= 100; i++) {
		make_resource(f, i, FORMAT, 16, 16);
	}
	assert_ok(set_scanout(f, 0, 1, RECT(0, 0, 16, 16)));
	assert_ok(update_cursor(f, 0, 1, 0, 0, 0, 0));
	forget_counts(t);
	device_reset(&f->dev);
	g_assert_cmpuint(t->keeper.n_all_drops, ==, 1);
	g_assert_cmpuint(t->keeper.n_drops, <=, DISPLAY_MAX_SCANOUTS);
	g_assert_cmpuint(g_hash_table_size(t->keeper.records), ==, 0);
	crash(t);
	/* But the end of a device is not the end of its records. */
	make_resource(f, 1, FORMAT, 16, 16);
	forget_counts(t);
	stop_device(f);
	assert_recorded(t, 0, 0, 0, 0, 0);
	g_assert_cmpuint(t->keeper.n_all_drops, ==, 0);
	g_assert_cmpuint(g_hash_table_size(t->keeper.records), ==, 1);
	start_device(f, &soft_impl);
}

static void test_without_a_recorder(struct test *t, gconstpointer data G_GNUC_UNUSED)
{
	struct fixture *f = &t->f;

	make_resource(f, 1, FORMAT, 16, 16);
	device_set_recorder(&f->dev, NULL, NULL);
	forget_counts(t);
	make_resource(f, 2, FORMAT, 16, 16);
	assert_ok(set_scanout(f, 0, 1, RECT(0, 0, 16, 16)));
	assert_ok(update_cursor(f, 0, 1, 0, 0, 0, 0));
	assert_ok(unref(f, 1));
	device_reset(&f->dev);
	assert_recorded(t, 0, 0, 0, 0, 0);
	g_assert_cmpuint(g_hash_table_size(t->keeper.records), ==, 1);
	/* Records are taken up all the same. */
	g_assert_cmpuint(hand_over(t), ==, 0);
	g_assert_cmpuint(hand_over(t), ==, 1);
}

/* ---- records that nobody made ---- */

/* Owned by the caller. */
static GByteArray *copy_record(const struct test *t, enum record_kind kind, uint32_t id)
{
	GByteArray *copy = g_byte_array_new();
	gsize size;
	const void *bytes = g_bytes_get_data(find_record(t, kind, id), &size);

	return g_byte_array_append(copy, bytes, (guint)size);
}

/*
 * See kinds[]: resources 1 (2D, two entries), 2 (3D), 20 (a blob), context 3,
 * scanouts 4 (of 1) and 5 (of the blob), cursor 5.
 */
static void make_one_of_each(struct test *t)
{
	struct fixture *f = &t->f;
	uint64_t gpa = guestram_alloc(f->vm.ram, 0, 2 * 8192, 8192);
	const struct virtio_gpu_mem_entry entries[] = { { gpa, 4096, 0 }, { gpa + 8192, 4096, 0 } };

	assert_ok(create_2d(f, 1, FORMAT, 32, 64));
	assert_ok(attach(f, 1, 2, entries, 2));
	assert_ok(create_3d(f, 2, 32, 64, 1, 1, 0));
	assert_ok(create_context(f, 3, 0, "", 0));
	assert_ok(set_scanout(f, 4, 1, RECT(0, 0, 32, 64)));
	assert_ok(flush(f, 1, RECT(0, 0, 1, 1)));
	assert_ok(update_cursor(f, 5, 1, 1, 2, 3, 4));
	make_blob(f, 20);
	assert_ok(set_scanout_blob(f, 5, 20, RECT(0, 0, 32, 64), &blob_layout));
	assert_ok(flush(f, 20, RECT(0, 0, 1, 1)));
}

static const struct {
	enum record_kind kind;
	uint32_t id, free_id;
} kinds[] = {
	{ RECORD_RESOURCE, 1, 11 }, { RECORD_RESOURCE, 2, 12 }, { RECORD_CONTEXT, 3, 13 },
	{ RECORD_SCANOUT, 4, 14 },  { RECORD_CURSOR, 5, 15 },	{ RECORD_RESOURCE, 20, 21 },
	{ RECORD_SCANOUT, 5, 9 },
};

/* A copy on the heap to the byte, so that reading beyond it is noticed. */
static bool restore(struct test *t, enum record_kind kind, uint32_t id, const void *bytes,
		    size_t n_bytes)
{
	g_autofree void *copy = g_memdup2(bytes, n_bytes);

	return device_restore(&t->f.dev, kind, id, copy, n_bytes);
}

static void assert_refused_as(struct test *t, enum record_kind kind, uint32_t id, const void *bytes,
			      size_t n_bytes, bool is_dropped)
{
	g_autofree char *before = describe(&t->f.dev);
	uint64_t used = quota_used(&t->f.quota);

	forget_counts(t);
	g_assert_false(restore(t, kind, id, bytes, n_bytes));
	assert_recorded(t, 0, 0, 0, 0, is_dropped);
	g_autofree char *after = describe(&t->f.dev);
	g_assert_cmpstr(after, ==, before);
	g_assert_cmpuint(quota_used(&t->f.quota), ==, used);
}

static void assert_refused(struct test *t, enum record_kind kind, uint32_t id, const void *bytes,
			   size_t n_bytes)
{
	assert_refused_as(t, kind, id, bytes, n_bytes, true);
}

static void test_bad_lengths(struct test *t, gconstpointer data G_GNUC_UNUSED)
{
	g_autofree uint8_t *huge = g_malloc0(4 * RECORD_MAX_BYTES);

	make_one_of_each(t);
	for (size_t i = 0; i < G_N_ELEMENTS(kinds); i++) {
		g_autoptr(GByteArray) good = copy_record(t, kinds[i].kind, kinds[i].id);

		/* Shorter by a byte and so on; of a cursor not every length. */
		for (guint n = 0; n<good->len; n += good->len> 1000 ? 97 : 1) {
			assert_refused(t, kinds[i].kind, kinds[i].free_id, good->data, n);
		}
		memcpy(huge, good->data, good->len);
		for (guint n = good->len + 1; n < good->len + 64; n++) {
			assert_refused(t, kinds[i].kind, kinds[i].free_id, huge, n);
		}
		assert_refused(t, kinds[i].kind, kinds[i].free_id, huge, RECORD_MAX_BYTES);
		assert_refused(t, kinds[i].kind, kinds[i].free_id, huge, 4 * RECORD_MAX_BYTES);
		g_assert_true(restore(t, kinds[i].kind, kinds[i].free_id, good->data, good->len));
	}
}

/* Put word wherever the record has old among its first n_bytes. Returns at how many places. */
static unsigned int replace_word(GByteArray *record, guint n_bytes, uint32_t old, uint32_t word)
{
	unsigned int n = 0;

	for (guint at = 0; at < n_bytes; at += sizeof(word)) {
		if (memcmp(record->data + at, &old, sizeof(old)) == 0) {
			memcpy(record->data + at, &word, sizeof(word));
			n++;
		}
	}
	return n;
}

/* A list longer than there may be, as long as it says. */
static void test_too_many_entries(struct test *t, gconstpointer data G_GNUC_UNUSED)
{
	const uint32_t n_good = RESOURCE_MAX_ENTRIES, n_bad = n_good + 1;
	g_autofree struct virtio_gpu_mem_entry *many = g_new0(struct virtio_gpu_mem_entry, n_good);
	struct fixture *f = &t->f;

	for (uint32_t i = 0; i < n_good; i++) {
		many[i] = (struct virtio_gpu_mem_entry){ 8ull * i, 4, 0 };
	}
	assert_ok(create_2d(f, 1, FORMAT, 128, 128));
	assert_ok(attach(f, 1, n_good, many, n_good));
	g_autoptr(GByteArray) bytes = copy_record(t, RECORD_RESOURCE, 1);
	g_assert_true(restore(t, RECORD_RESOURCE, 11, bytes->data, bytes->len));
	guint head_bytes = bytes->len - n_good * RECORD_ENTRY_BYTES;
	g_byte_array_set_size(bytes, head_bytes + n_bad * RECORD_ENTRY_BYTES);
	g_assert_cmpuint(replace_word(bytes, head_bytes, n_good, n_bad), ==, 1);
	assert_refused(t, RECORD_RESOURCE, 12, bytes->data, bytes->len);
}

static void test_hot_spot_outside(struct test *t, gconstpointer data G_GNUC_UNUSED)
{
	const guint head_bytes = 5 * sizeof(uint32_t);

	make_one_of_each(t);
	for (uint32_t hot = 3; hot <= 4; hot++) {
		g_autoptr(GByteArray) bytes = copy_record(t, RECORD_CURSOR, 5);

		g_assert_cmpuint(replace_word(bytes, head_bytes, hot, DISPLAY_CURSOR_SIDE), ==, 1);
		assert_refused(t, RECORD_CURSOR, 15, bytes->data, bytes->len);
		replace_word(bytes, head_bytes, DISPLAY_CURSOR_SIDE, DISPLAY_CURSOR_SIDE - 1);
		g_assert_true(restore(t, RECORD_CURSOR, 10 + hot, bytes->data, bytes->len));
	}
}

static void test_bad_ids(struct test *t, gconstpointer data G_GNUC_UNUSED)
{
	static const uint32_t none[] = { 16, 17, 0x7fffffff, UINT32_MAX };

	make_one_of_each(t);
	for (size_t i = 0; i < G_N_ELEMENTS(kinds); i++) {
		g_autoptr(GByteArray) good = copy_record(t, kinds[i].kind, kinds[i].id);
		bool is_output = kinds[i].kind == RECORD_SCANOUT || kinds[i].kind == RECORD_CURSOR;

		/* There is one, and its record is right. */
		assert_refused_as(t, kinds[i].kind, kinds[i].id, good->data, good->len, false);
		for (size_t k = 0; is_output && k < G_N_ELEMENTS(none); k++) {
			assert_refused(t, kinds[i].kind, none[k], good->data, good->len);
		}
		if (!is_output) {
			assert_refused(t, kinds[i].kind, 0, good->data, good->len);
			g_assert_true(restore(t, kinds[i].kind, UINT32_MAX - (uint32_t)i,
					      good->data, good->len));
		}
	}
	/* A resource's id is taken by a lost one as well, and the other way round. */
	for (uint32_t i = 0; i < 2; i++) {
		g_autoptr(GByteArray) good = copy_record(t, kinds[!i].kind, kinds[!i].id);

		assert_refused_as(t, RECORD_RESOURCE, UINT32_MAX - i, good->data, good->len, false);
	}
}

static void test_bad_kinds(struct test *t, gconstpointer data G_GNUC_UNUSED)
{
	static const uint32_t none[] = { 0, RECORD_CURSOR + 1, 1000, INT32_MAX, UINT32_MAX };

	make_one_of_each(t);
	for (size_t i = 0; i < G_N_ELEMENTS(kinds); i++) {
		g_autoptr(GByteArray) good = copy_record(t, kinds[i].kind, kinds[i].id);

		for (size_t k = 0; k < G_N_ELEMENTS(none); k++) {
			assert_refused(t, (enum record_kind)none[k], kinds[i].free_id, good->data,
				       good->len);
		}
		for (size_t k = 0; k < G_N_ELEMENTS(kinds); k++) {
			if (kinds[k].kind != kinds[i].kind) {
				assert_refused(t, kinds[k].kind, kinds[k].free_id, good->data,
					       good->len);
			}
		}
	}
}

static void test_unknown_resource(struct test *t, gconstpointer data G_GNUC_UNUSED)
{
	make_one_of_each(t);
	g_autoptr(GByteArray) scanout = copy_record(t, RECORD_SCANOUT, 4);
	assert_ok(unref(&t->f, 1));
	assert_refused(t, RECORD_SCANOUT, 14, scanout->data, scanout->len);
	/* There is one again, and the view is not inside it. */
	assert_ok(create_2d(&t->f, 1, FORMAT, 31, 64));
	assert_refused(t, RECORD_SCANOUT, 14, scanout->data, scanout->len);
	assert_ok(unref(&t->f, 1));
	assert_ok(create_2d(&t->f, 1, FORMAT, 32, 64));
	g_assert_true(restore(t, RECORD_SCANOUT, 14, scanout->data, scanout->len));
}

/* Every word but the last ones of an entry or a cursor, at its extremes: refused or harmless. */
static void test_bad_words(struct test *t, gconstpointer data G_GNUC_UNUSED)
{
	static const uint32_t words[] = { 0, 1, 3, 64, 16385, INT32_MAX, 0x80000000, UINT32_MAX };
	struct fixture *f = &t->f;

	make_one_of_each(t);
	for (size_t i = 0; i < G_N_ELEMENTS(kinds); i++) {
		g_autoptr(GByteArray) good = copy_record(t, kinds[i].kind, kinds[i].id);

		for (guint at = 0; at < MIN(good->len, 128); at += sizeof(uint32_t)) {
			for (size_t k = 0; k < G_N_ELEMENTS(words); k++) {
				g_autofree uint8_t *bad = g_memdup2(good->data, good->len);

				memcpy(bad + at, &words[k], sizeof(words[k]));
				restore(t, kinds[i].kind, kinds[i].free_id, bad, good->len);
				transfer(f, 11, RECT(0, 0, 32, 64), 0);
				flush(f, 11, RECT(0, 0, 1, 1));
				device_replay(&f->dev);
				flush(f, 21, RECT(0, 0, 1, 1));
				flush(f, 20, RECT(0, 0, 1, 1));
				unref(f, 11);
				unref(f, 12);
				unref(f, 21);
				set_scanout(f, 9, 0, RECT(0));
				context_call(f, VIRTIO_GPU_CMD_CTX_DESTROY, 13, 0);
				set_scanout(f, 14, 0, RECT(0));
				update_cursor(f, 15, 0, 0, 0, 0, 0);
			}
		}
	}
}

/* Resource id with its last page anywhere. */
static GByteArray *move_last_entry(const struct test *t, uint32_t id, uint64_t to)
{
	GByteArray *bytes = copy_record(t, RECORD_RESOURCE, id);

	memcpy(bytes->data + bytes->len - RECORD_ENTRY_BYTES, &to, sizeof(to));
	return bytes;
}

/* A page of a backing may be anywhere; what is no memory now is never touched. */
static void test_entries_outside_memory(struct test *t, gconstpointer data G_GNUC_UNUSED)
{
	static const uint64_t places[] = { VM_NOWHERE, VM_RAM_BYTES - 8, UINT64_MAX - 8,
					   UINT64_MAX };
	bool is_blind = t->f.renderer->impl->is_blind;
	struct fixture *f = &t->f;

	make_one_of_each(t);
	for (uint32_t i = 0; i < G_N_ELEMENTS(places); i++) {
		g_autoptr(GByteArray) bytes = move_last_entry(t, 1, places[i]);
		g_autoptr(GByteArray) blob = move_last_entry(t, 20, places[i]);

		g_assert_true(restore(t, RECORD_RESOURCE, 40 + i, bytes->data, bytes->len));
		assert_is(transfer(f, 40 + i, RECT(0, 0, 1, 1), 0), UNSPEC);
		device_set_memory(&f->dev, f->vm.mem);
		assert_is(transfer(f, 40 + i, RECT(0, 0, 1, 1), 0), UNSPEC);
		assert_ok(detach(f, 40 + i));

		g_assert_true(restore(t, RECORD_RESOURCE, 50 + i, blob->data, blob->len));
		assert_ok(set_scanout_blob(f, 6, 50 + i, RECT(0, 0, 32, 64), &blob_layout));
		for (int k = 0; k < 2; k++) {
			g_assert_cmphex(flush(f, 50 + i, RECT(0, 0, 1, 1)), ==,
					is_blind ? GPU_RESP_OK_NODATA : GPU_RESP_ERR_UNSPEC);
			device_set_memory(&f->dev, f->vm.mem);
		}
		assert_ok(unref(f, 50 + i));
	}
}

/* A blob says how long it is, and its pages are fewer; or more than a resource may have. */
static void test_short_blob(struct test *t, gconstpointer data G_GNUC_UNUSED)
{
	const uint64_t long_bytes = 3 * PAGE + 1, whole_bytes = 3 * PAGE;

	make_one_of_each(t);
	g_autoptr(GByteArray) bytes = copy_record(t, RECORD_RESOURCE, 20);
	guint head_bytes = bytes->len - 3 * RECORD_ENTRY_BYTES;
	g_assert_cmpuint(replace_word(bytes, head_bytes, BLOB_BYTES, (uint32_t)long_bytes), ==, 1);
	assert_refused(t, RECORD_RESOURCE, 21, bytes->data, bytes->len);
	g_assert_cmpuint(replace_word(bytes, head_bytes, (uint32_t)long_bytes, 0), ==, 1);
	assert_refused(t, RECORD_RESOURCE, 21, bytes->data, bytes->len);

	g_autoptr(GByteArray) whole = copy_record(t, RECORD_RESOURCE, 20);
	replace_word(whole, head_bytes, BLOB_BYTES, (uint32_t)whole_bytes);
	g_assert_true(restore(t, RECORD_RESOURCE, 21, whole->data, whole->len));
}

static uint32_t random_below(uint32_t n)
{
	return (uint32_t)g_test_rand_int_range(0, (gint32)n);
}

/* A good one with a few bytes changed and another length, or nothing but noise. */
static GByteArray *make_noise(const struct test *t, enum record_kind *kind_out)
{
	size_t i = random_below(G_N_ELEMENTS(kinds));
	g_autoptr(GByteArray) good = copy_record(t, kinds[i].kind, kinds[i].id);
	GByteArray *bytes = g_byte_array_new();

	*kind_out = random_below(20) == 0 ? (enum record_kind)random_below(8) : kinds[i].kind;
	if (random_below(2) == 0) {
		g_byte_array_append(bytes, good->data, good->len);
	} else {
		g_byte_array_set_size(bytes, random_below(128));
		for (guint k = 0; k < bytes->len; k++) {
			bytes->data[k] = (uint8_t)random_below(256);
		}
	}
	for (uint32_t n = random_below(8); n > 0 && bytes->len > 0; n--) {
		bytes->data[random_below(MIN(bytes->len, 128))] = (uint8_t)random_below(256);
	}
	if (random_below(4) == 0) {
		guint old = bytes->len;

		g_byte_array_set_size(bytes, old + 1 + random_below(63));
		memset(bytes->data + old, 0, bytes->len - old);
	}
	return bytes;
}

#define N_NOISY_ROUNDS 10000

static void test_noise(struct test *t, gconstpointer data G_GNUC_UNUSED)
{
	struct fixture *f = &t->f;
	unsigned int n_restored = 0;

	make_one_of_each(t);
	for (unsigned int i = 0; i < N_NOISY_ROUNDS; i++) {
		enum record_kind kind;
		g_autoptr(GByteArray) bytes = make_noise(t, &kind);
		uint32_t id = 6 + random_below(14);

		n_restored += restore(t, kind, id, bytes->data, bytes->len);
		transfer(f, id, RECT(0, 0, 32, 64), 0);
		flush(f, id, RECT(0, 0, 1, 1));
		if (random_below(8) == 0) {
			device_replay(&f->dev);
		}
		if (random_below(4) == 0) {
			unref(f, id);
			context_call(f, VIRTIO_GPU_CMD_CTX_DESTROY, id, 0);
			set_scanout(f, id % 16, 0, RECT(0));
		}
		g_string_truncate(f->display->log, 0);
	}
	/* Or there was nothing to be seen. */
	g_assert_cmpuint(n_restored, >, N_NOISY_ROUNDS / 100);
	g_assert_cmpuint(n_restored, <, N_NOISY_ROUNDS);
	assert_ok(transfer(f, 1, RECT(0, 0, 32, 64), 0));
	assert_ok(flush(f, 1, RECT(0, 0, 32, 64)));
}

/* ---- a life ---- */

static void random_resource_command(struct fixture *f, uint32_t id)
{
	switch (random_below(10)) {
	case 0:
		create_2d(f, id, FORMAT, 16 + random_below(50), 16 + random_below(50));
		break;
	case 1:
		create_3d(f, id, 32, 32, 1, 1, 0);
		break;
	case 2:
		attach_one(f, id, 4096 * random_below(100), 1 + random_below(16384));
		break;
	case 3:
		detach(f, id);
		break;
	case 4:
		assign_uuid(f, id);
		break;
	case 5:
		transfer(f, id, RECT(0, 0, 16, 16), 0);
		break;
	case 6:
		flush(f, id, RECT(0, 0, 16, 16));
		break;
	case 7:
		create_guest_blob(f, id, PAGE * random_below(100), PAGE + random_below(4 * PAGE));
		break;
	case 8:
		create_blob(f, id, HOST3D, PAGE, NULL, 0);
		break;
	default:
		if (random_below(3) == 0) {
			unref(f, id);
		}
	}
}

static void random_command(struct fixture *f)
{
	uint32_t id = random_below(10), output = random_below(5);

	const struct blob_layout layout = { FORMAT, 16, 16 + random_below(80), 64 + random_below(3),
					    random_below(4) };

	switch (random_below(9)) {
	case 0:
		set_scanout(f, output, id, RECT(0, 0, 16 + random_below(20), 16));
		break;
	case 7:
		set_scanout_blob(f, output, id, RECT(0, 0, 16, 16), &layout);
		break;
	case 1:
		set_scanout(f, output, 0, RECT(0));
		break;
	case 2:
		update_cursor(f, output, id, random_below(100), 0, random_below(66), 0);
		break;
	case 3:
		move_cursor(f, output, id, random_below(100), 0);
		break;
	case 4:
		create_context(f, id, 0, "", 0);
		break;
	case 5:
		context_call(f, VIRTIO_GPU_CMD_CTX_DESTROY, id, 0);
		break;
	default:
		random_resource_command(f, id);
	}
}

/* Whatever a guest does, at whatever moment its device dies. */
static void test_life(struct test *t, gconstpointer data G_GNUC_UNUSED)
{
	struct fixture *f = &t->f;

	guestram_alloc(f->vm.ram, 0, 200 * 4096, 4096);
	for (int i = 0; i < 20000; i++) {
		random_command(f);
		if (random_below(40) == 0) {
			crash(t);
		} else if (random_below(500) == 0) {
			device_reset(&f->dev);
			g_assert_cmpuint(g_hash_table_size(t->keeper.records), ==, 0);
		}
	}
}

/* By which renderers. */
enum {
	SOFT = 1 << 0,
	NONE = 1 << 1,
	PUPPET = 1 << 2,
	VIRGL = 1 << 3,
};

static const struct {
	const char *path;
	void (*test)(struct test *t, gconstpointer data);
	unsigned int renderers;
} tests[] = {
	{ "2d/pixels", test_pixels, SOFT | VIRGL },
	{ "2d/pixels-of-now", test_pixels_of_now, SOFT | VIRGL },
	{ "2d/short-backing", test_short_backing, SOFT },
	{ "2d/backing-not-mapped", test_backing_not_mapped, SOFT | VIRGL },
	{ "2d/without-backing", test_without_backing, SOFT | NONE | PUPPET | VIRGL },
	{ "2d/uuid", test_uuid, SOFT | NONE | PUPPET },
	{ "2d/longest", test_longest, SOFT | NONE | PUPPET },
	{ "2d/holds-its-breath", test_restoring_holds_its_breath, SOFT },
	{ "blob/guest", test_blob, SOFT | NONE | PUPPET },
	{ "blob/not-mapped", test_blob_not_mapped, SOFT | PUPPET },
	{ "blob/of-the-host", test_blob_of_the_host, PUPPET },
	{ "scanouts", test_scanouts, SOFT | VIRGL },
	{ "cursors", test_cursors, SOFT | VIRGL },
	{ "limits/contexts", test_contexts_count, NONE | PUPPET },
	{ "limits/resources", test_resources_count, PUPPET },
	{ "limits/no-memory-for-one", test_no_memory_for_one, SOFT },
	{ "limits/no-memory-for-a-list", test_no_memory_for_a_list, SOFT },
	{ "limits/no-memory-at-all", test_no_memory_at_all, NONE | PUPPET },
	{ "recorded/2d", test_recorded_in_2d, SOFT | NONE | PUPPET },
	{ "recorded/3d", test_recorded_in_3d, PUPPET },
	{ "recorded/blob", test_recorded_blob, SOFT | NONE | PUPPET },
	{ "recorded/in-order", test_recorded_in_order, PUPPET },
	{ "recorded/reset-drops-all", test_reset_drops_all, SOFT },
	{ "recorded/without-a-recorder", test_without_a_recorder, SOFT | NONE | PUPPET },
	{ "hostile/lengths", test_bad_lengths, NONE | PUPPET },
	{ "hostile/too-many-entries", test_too_many_entries, NONE | PUPPET },
	{ "hostile/hot-spot", test_hot_spot_outside, NONE | PUPPET },
	{ "hostile/ids", test_bad_ids, NONE | PUPPET },
	{ "hostile/kinds", test_bad_kinds, NONE | PUPPET },
	{ "hostile/unknown-resource", test_unknown_resource, NONE | PUPPET },
	{ "hostile/words", test_bad_words, NONE | PUPPET },
	{ "hostile/entries-outside-memory", test_entries_outside_memory, NONE | PUPPET },
	{ "hostile/short-blob", test_short_blob, NONE | PUPPET },
	{ "hostile/noise", test_noise, NONE | PUPPET },
	{ "life", test_life, SOFT | NONE | PUPPET },
};

/* Those that begin with something lost. */
static const struct {
	const char *path;
	void (*test)(struct test *t, gconstpointer data);
} lost_tests[] = {
	{ "scanout", test_lost_scanout },
	{ "scanout-and-its-resource", test_lost_scanout_and_its_resource },
	{ "reset", test_lost_and_reset },
	{ "ring", test_lost_ring },
	{ "to-2d", test_lost_to_2d },
};

static void add(const char *name, const char *path, const struct renderer_impl *impl,
		void (*test)(struct test *t, gconstpointer data))
{
	g_autofree char *full = g_strdup_printf("/restore/%s/%s", name, path);

	g_test_add(full, struct test, impl, setup_test, test, teardown_test);
}

static void skip_virgl(struct test *t G_GNUC_UNUSED, gconstpointer data G_GNUC_UNUSED)
{
	g_test_skip("no EGL on this host");
}

static void add_virgl(const char *path, void (*test)(struct test *t, gconstpointer data))
{
	void *egl = dlopen("libEGL.so.1", RTLD_LAZY | RTLD_NODELETE);

	if (egl != NULL) {
		dlclose(egl);
		add("virgl", path, &virgl_impl, test);
	} else {
		add("virgl", path, &null_impl, skip_virgl);
	}
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	for (size_t i = 0; i < G_N_ELEMENTS(tests); i++) {
		if ((tests[i].renderers & SOFT) != 0) {
			add("soft", tests[i].path, &soft_impl, tests[i].test);
		}
		if ((tests[i].renderers & NONE) != 0) {
			add("null", tests[i].path, &null_impl, tests[i].test);
		}
		if ((tests[i].renderers & PUPPET) != 0) {
			add("puppet", tests[i].path, &puppet_impl, tests[i].test);
		}
		if ((tests[i].renderers & VIRGL) != 0) {
			add_virgl(tests[i].path, tests[i].test);
		}
	}
	for (size_t i = 0; i < G_N_ELEMENTS(lost_cases); i++) {
		g_autofree char *path = g_strdup_printf("/restore/lost/%s", lost_cases[i].path);

		g_test_add(path, struct test, &lost_cases[i], setup_lost, test_lost, teardown_test);
	}
	for (size_t i = 0; i < G_N_ELEMENTS(lost_tests); i++) {
		g_autofree char *path = g_strdup_printf("/restore/lost/%s", lost_tests[i].path);

		g_test_add(path, struct test, NULL, setup_lost, lost_tests[i].test, teardown_test);
	}
	return g_test_run();
}
