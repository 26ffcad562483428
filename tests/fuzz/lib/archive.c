/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "archive.h"

#include "fuzz.h"

struct archive {
	GTree *records; /* uint64_t (kind, id) -> GBytes */
	unsigned int n_changes;
};

static uint64_t to_key(uint32_t kind, uint32_t id)
{
	return (uint64_t)kind << 32 | id;
}

static int compare(const void *a, const void *b, void *data G_GNUC_UNUSED)
{
	uint64_t left = *(const uint64_t *)a, right = *(const uint64_t *)b;

	return (left > right) - (left < right);
}

static void unref_bytes(void *bytes)
{
	g_bytes_unref(bytes);
}

struct archive *archive_create(void)
{
	struct archive *archive = g_new0(struct archive, 1);

	archive->records = g_tree_new_full(compare, NULL, g_free, unref_bytes);
	return archive;
}

void archive_destroy(struct archive *archive)
{
	g_tree_destroy(archive->records);
	g_free(archive);
}

void archive_put(struct archive *archive, uint32_t kind, uint32_t id, const void *bytes,
		 size_t n_bytes)
{
	uint64_t key = to_key(kind, id);

	archive->n_changes++;
	g_tree_replace(archive->records, g_memdup2(&key, sizeof(key)), g_bytes_new(bytes, n_bytes));
}

bool archive_has(const struct archive *archive, uint32_t kind, uint32_t id)
{
	uint64_t key = to_key(kind, id);

	return g_tree_lookup(archive->records, &key) != NULL;
}

unsigned int archive_n_changes(const struct archive *archive)
{
	return archive->n_changes;
}

/* ---- as a recorder ---- */

static void put(void *data, enum record_kind kind, uint32_t id, const void *bytes, size_t n_bytes)
{
	g_assert_cmpuint(kind, >=, RECORD_RESOURCE);
	g_assert_cmpuint(kind, <=, RECORD_CURSOR);
	g_assert_cmpuint(n_bytes, <=, RECORD_MAX_BYTES);
	archive_put(data, kind, id, bytes, n_bytes);
}

static void drop(void *data, enum record_kind kind, uint32_t id)
{
	struct archive *archive = data;
	uint64_t key = to_key(kind, id);

	archive->n_changes++;
	g_tree_remove(archive->records, &key);
}

static void drop_all(void *data)
{
	struct archive *archive = data;

	archive->n_changes++;
	g_tree_remove_all(archive->records);
}

const struct recorder archive_recorder = {
	.put = put,
	.drop = drop,
	.drop_all = drop_all,
};

/* ---- the next device ---- */

struct copy {
	uint64_t key;
	GBytes *bytes;
};

static gboolean add_copy(void *key, void *bytes, void *data)
{
	const struct copy copy = { *(const uint64_t *)key, g_bytes_ref(bytes) };

	g_array_append_val((GArray *)data, copy);
	return FALSE;
}

/* As they are now; the bytes are to be unreferenced. */
static GArray *copy_all(const struct archive *archive)
{
	GArray *copies = g_array_new(FALSE, FALSE, sizeof(struct copy));

	g_tree_foreach(archive->records, add_copy, copies);
	return copies;
}

unsigned int archive_hand_over(const struct archive *archive, struct device *dev)
{
	/* The device changes its records meanwhile. */
	g_autoptr(GArray) copies = copy_all(archive);
	unsigned int n_refused = 0;

	for (guint i = 0; i < copies->len; i++) {
		const struct copy *copy = &g_array_index(copies, struct copy, i);
		gsize size;
		const void *bytes = g_bytes_get_data(copy->bytes, &size);

		n_refused += !device_restore(dev, (enum record_kind)(copy->key >> 32),
					     (uint32_t)copy->key, bytes, size);
		g_bytes_unref(copy->bytes);
	}
	return n_refused;
}

/* ---- what a device is ---- */

static void record_all(struct device *dev)
{
	GHashTableIter iter;
	void *value;

	g_hash_table_iter_init(&iter, dev->resources);
	while (g_hash_table_iter_next(&iter, NULL, &value)) {
		record_resource(dev, value);
	}
	g_hash_table_iter_init(&iter, dev->contexts);
	while (g_hash_table_iter_next(&iter, NULL, &value)) {
		record_context(dev, value);
	}
	for (uint32_t i = 0; i < DISPLAY_MAX_SCANOUTS; i++) {
		if (dev->scanouts[i].resource_id != 0) {
			record_scanout(dev, i);
		}
		record_cursor(dev, i);
	}
}

struct archive *archive_describe(struct device *dev)
{
	const struct recorder *recorder = dev->recorder;
	void *data = dev->recorder_data;
	struct archive *archive = archive_create();

	device_set_recorder(dev, &archive_recorder, archive);
	record_all(dev);
	device_set_recorder(dev, recorder, data);
	return archive;
}

void archive_assert_same(const struct archive *a, const struct archive *b, bool with_cursors)
{
	g_autoptr(GArray) left = copy_all(a);
	g_autoptr(GArray) right = copy_all(b);

	for (guint i = 0; i < left->len && i < right->len; i++) {
		const struct copy *x = &g_array_index(left, struct copy, i);
		const struct copy *y = &g_array_index(right, struct copy, i);

		g_assert_cmphex(x->key, ==, y->key);
		if (with_cursors || x->key >> 32 != RECORD_CURSOR) {
			g_assert_true(g_bytes_equal(x->bytes, y->bytes));
		}
		g_bytes_unref(x->bytes);
		g_bytes_unref(y->bytes);
	}
	g_assert_cmpuint(left->len, ==, right->len);
}
