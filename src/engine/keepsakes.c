/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "engine/keepsakes.h"

/* What a record costs beside its bytes: the entry, the GBytes, the table's share. */
#define OVERHEAD_BYTES 160

static uint64_t to_key(uint32_t kind, uint32_t id)
{
	return (uint64_t)kind << 32 | id;
}

static uint64_t cost(size_t n_bytes)
{
	return OVERHEAD_BYTES + n_bytes;
}

void keepsake_free(void *data)
{
	struct keepsake *keepsake = data;

	g_bytes_unref(keepsake->bytes);
	g_free(keepsake);
}

void keepsakes_init(struct keepsakes *keepsakes, struct quota *quota)
{
	*keepsakes = (struct keepsakes){
		.quota = quota,
		.table = g_hash_table_new_full(g_int64_hash, g_int64_equal, NULL, keepsake_free),
	};
}

void keepsakes_finish(struct keepsakes *keepsakes)
{
	if (keepsakes->table != NULL) {
		keepsakes_clear(keepsakes);
		g_clear_pointer(&keepsakes->table, g_hash_table_destroy);
	}
}

bool keepsakes_put(struct keepsakes *keepsakes, uint32_t kind, uint32_t id, const void *bytes,
		   size_t n_bytes)
{
	if (quota_charge(keepsakes->quota, cost(n_bytes)) != QUOTA_OK) {
		return false;
	}
	void *copy = g_try_malloc(MAX(n_bytes, 1));
	if (copy == NULL) {
		quota_release(keepsakes->quota, cost(n_bytes));
		return false;
	}
	memcpy(copy, bytes, n_bytes);
	keepsakes_drop(keepsakes, kind, id);
	struct keepsake *keepsake = g_new(struct keepsake, 1);
	*keepsake = (struct keepsake){ to_key(kind, id), g_bytes_new_take(copy, n_bytes) };
	g_hash_table_insert(keepsakes->table, &keepsake->key, keepsake);
	return true;
}

void keepsakes_drop(struct keepsakes *keepsakes, uint32_t kind, uint32_t id)
{
	uint64_t key = to_key(kind, id);
	const struct keepsake *keepsake = g_hash_table_lookup(keepsakes->table, &key);

	if (keepsake != NULL) {
		quota_release(keepsakes->quota, cost(g_bytes_get_size(keepsake->bytes)));
		g_hash_table_remove(keepsakes->table, &key);
	}
}

void keepsakes_clear(struct keepsakes *keepsakes)
{
	GHashTableIter iter;
	void *value;

	g_hash_table_iter_init(&iter, keepsakes->table);
	while (g_hash_table_iter_next(&iter, NULL, &value)) {
		const struct keepsake *keepsake = value;

		quota_release(keepsakes->quota, cost(g_bytes_get_size(keepsake->bytes)));
		g_hash_table_iter_remove(&iter);
	}
}

static int compare(const void *a, const void *b, void *data G_GNUC_UNUSED)
{
	uint64_t key_a = ((const struct keepsake *)a)->key;
	uint64_t key_b = ((const struct keepsake *)b)->key;

	return key_a < key_b ? -1 : key_a > key_b;
}

GQueue keepsakes_list(const struct keepsakes *keepsakes)
{
	GQueue list = G_QUEUE_INIT;
	GHashTableIter iter;
	void *value;

	g_hash_table_iter_init(&iter, keepsakes->table);
	while (g_hash_table_iter_next(&iter, NULL, &value)) {
		const struct keepsake *keepsake = value;
		struct keepsake *copy = g_new(struct keepsake, 1);

		*copy = (struct keepsake){ keepsake->key, g_bytes_ref(keepsake->bytes) };
		g_queue_push_tail(&list, copy);
	}
	g_queue_sort(&list, compare, NULL);
	return list;
}
