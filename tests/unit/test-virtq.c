/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * A split ring, laid out by hand in guest memory: what a driver may do, what
 * it may not, and what it finds when its queue stops and starts again.
 */
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "guestram.h"
#include "ring.h"
#include "unit.h"
#include "virtio/virtq.h"
#include "vm.h"

#define RING_SIZE 8u
#define RAM_BYTES (1u << 20)
#define NOWHERE UINT64_C(0x80000000) /* between the two regions */

struct fixture {
	struct guestram *ram;
	struct guestmem *mem;
	struct ring *ring;
	struct virtq vq;
	uint64_t in, out, table; /* guest memory to point at */
};

static struct uva to_uva(const struct fixture *f, uint64_t gpa)
{
	return (struct uva){ guestram_to_uva(f->ram, gpa) };
}

static enum virtq_status set_addresses(struct fixture *f)
{
	return virtq_set_addresses(&f->vq, to_uva(f, f->ring->desc_gpa),
				   to_uva(f, f->ring->avail_gpa), to_uva(f, f->ring->used_gpa));
}

static void start(struct fixture *f, uint16_t base)
{
	g_assert_cmpint(virtq_set_size(&f->vq, f->ring->size), ==, VIRTQ_OK);
	g_assert_cmpint(virtq_set_base(&f->vq, base), ==, VIRTQ_OK);
	g_assert_cmpint(set_addresses(f), ==, VIRTQ_OK);
	virtq_set_call(&f->vq, dup(f->ring->call_fd));
	virtq_set_err(&f->vq, dup(f->ring->err_fd));
	virtq_set_kick(&f->vq, dup(f->ring->kick_fd));
	virtq_set_enabled(&f->vq, true);
	ring_take_calls(f->ring);
}

static void setup_with(struct fixture *f, bool has_event_idx)
{
	f->ram = guestram_create(RAM_BYTES);
	f->mem = vm_build_table(f->ram, 0, f->ram->n_regions);
	f->ring = ring_create(f->ram, 1, 0, RING_SIZE, has_event_idx);
	f->in = guestram_alloc(f->ram, 0, 65536, 16);
	f->out = guestram_alloc(f->ram, 0, 65536, 16);
	f->table = guestram_alloc(f->ram, 1, 65536 * 2, 16);
	virtq_init(&f->vq, 0, NULL);
	virtq_set_memory(&f->vq, f->mem);
	virtq_set_features(&f->vq, has_event_idx, true);
	start(f, 0);
}

static void setup(struct fixture *f, gconstpointer data)
{
	setup_with(f, GPOINTER_TO_INT(data));
}

static void teardown(struct fixture *f, gconstpointer data G_GNUC_UNUSED)
{
	virtq_finish(&f->vq);
	guestmem_unref(f->mem);
	ring_destroy(f->ring);
	guestram_destroy(f->ram);
}

static struct virtq_chain *pop(struct fixture *f)
{
	struct virtq_chain *chain = NULL;

	g_assert_cmpint(virtq_pop(&f->vq, &chain), ==, VIRTQ_OK);
	g_assert_nonnull(chain);
	return chain;
}

static enum virtq_status pop_status(struct fixture *f)
{
	struct virtq_chain *chain = NULL;
	enum virtq_status status = virtq_pop(&f->vq, &chain);

	if (status == VIRTQ_OK) {
		virtq_chain_discard(chain);
	} else {
		g_assert_null(chain);
	}
	return status;
}

static uint16_t add_in_out(struct fixture *f)
{
	const struct ring_segment segments[] = { { f->in, 24, false }, { f->out, 24, true } };

	return ring_add(f->ring, segments, G_N_ELEMENTS(segments));
}

/* The next used entry must be there and be this. */
static void assert_used(struct fixture *f, uint16_t head, uint32_t length)
{
	struct vring_used_elem element;

	g_assert_true(ring_pop_used(f->ring, &element));
	g_assert_cmpuint(element.id, ==, head);
	g_assert_cmpuint(element.len, ==, length);
}

static void assert_none_used(struct fixture *f)
{
	g_assert_cmpuint(ring_used_idx(f->ring), ==, f->ring->last_used);
}

/* ---- popping ---- */

static void test_empty(struct fixture *f, gconstpointer data G_GNUC_UNUSED)
{
	g_assert_cmpint(pop_status(f), ==, VIRTQ_E_EMPTY);
	g_assert_cmpint(pop_status(f), ==, VIRTQ_E_EMPTY);
}

static void test_direct_chain(struct fixture *f, gconstpointer data G_GNUC_UNUSED)
{
	const struct ring_segment segments[] = {
		{ f->in, 24, false },
		{ f->in + 100, 8, false },
		{ f->out, 16, true },
		{ f->out + 100, 32, true },
	};
	uint16_t head = ring_add(f->ring, segments, G_N_ELEMENTS(segments));
	struct virtq_chain *chain = pop(f);

	g_assert_cmpuint(chain->head, ==, head);
	g_assert_cmpuint(chain->n_readable, ==, 2);
	g_assert_cmpuint(chain->n_writable, ==, 2);
	g_assert_cmpuint(chain->readable_bytes, ==, 32);
	g_assert_cmpuint(chain->writable_bytes, ==, 48);
	for (size_t i = 0; i < G_N_ELEMENTS(segments); i++) {
		g_assert_cmphex(chain->buffers[i].gpa.v, ==, segments[i].gpa);
		g_assert_cmpuint(chain->buffers[i].length_bytes, ==, segments[i].size);
	}
	virtq_push(&f->vq, chain, "", 0);
	assert_used(f, head, 0);
	g_assert_cmpint(pop_status(f), ==, VIRTQ_E_EMPTY);
}

static void test_one_sided_chains(struct fixture *f, gconstpointer data G_GNUC_UNUSED)
{
	const struct ring_segment readable = { f->in, 7, false }, writable = { f->out, 9, true };
	uint16_t first = ring_add(f->ring, &readable, 1);
	uint16_t second = ring_add(f->ring, &writable, 1);
	struct virtq_chain *chain = pop(f);

	g_assert_cmpuint(chain->n_writable, ==, 0);
	virtq_push(&f->vq, chain, "nobody has room for this", 24);
	assert_used(f, first, 0);
	chain = pop(f);
	g_assert_cmpuint(chain->n_readable, ==, 0);
	virtq_push(&f->vq, chain, "too long for it", 15);
	assert_used(f, second, 9);
	unit_assert_bytes(guestram_at(f->ram, f->out, 9), "too long ", 9);
	g_assert_cmpint(*(char *)guestram_at(f->ram, f->out + 9, 1), ==, 0);
}

static void test_as_long_as_the_ring(struct fixture *f, gconstpointer data G_GNUC_UNUSED)
{
	struct ring_segment segments[RING_SIZE];

	for (unsigned int i = 0; i < RING_SIZE; i++) {
		segments[i] = (struct ring_segment){ f->in + i, 1, i == RING_SIZE - 1 };
	}
	ring_add(f->ring, segments, RING_SIZE);
	struct virtq_chain *chain = pop(f);
	g_assert_cmpuint(chain->n_readable + chain->n_writable, ==, RING_SIZE);
	virtq_push(&f->vq, chain, "", 0);
}

static void test_indirect_chain(struct fixture *f, gconstpointer data G_GNUC_UNUSED)
{
	/* Longer than the ring, as Linux makes them. */
	struct ring_segment segments[3 * RING_SIZE];
	const unsigned int n = G_N_ELEMENTS(segments);

	for (unsigned int i = 0; i < n; i++) {
		segments[i] = (struct ring_segment){ f->in + 10 * i, 10, i == n - 1 };
	}
	uint16_t head = ring_add_indirect(f->ring, segments, n, f->table);
	struct virtq_chain *chain = pop(f);
	g_assert_cmpuint(chain->n_readable, ==, n - 1);
	g_assert_cmpuint(chain->n_writable, ==, 1);
	g_assert_cmpuint(chain->readable_bytes, ==, 10 * (n - 1));
	virtq_push(&f->vq, chain, "x", 1);
	assert_used(f, head, 1);
}

static void test_longest_indirect_chain(struct fixture *f, gconstpointer data G_GNUC_UNUSED)
{
	g_autofree struct ring_segment *segments = g_new0(struct ring_segment, VIRTQ_MAX_CHAIN);

	for (unsigned int i = 0; i < VIRTQ_MAX_CHAIN; i++) {
		segments[i] = (struct ring_segment){ f->in + i, 1, false };
	}
	ring_add_indirect(f->ring, segments, VIRTQ_MAX_CHAIN, f->table);
	struct virtq_chain *chain = pop(f);
	g_assert_cmpuint(chain->n_readable, ==, VIRTQ_MAX_CHAIN);
	virtq_push(&f->vq, chain, "", 0);
}

/* Longer still: its ends are kept, so that the command can be refused in good order. */
static void test_indirect_table_too_long(struct fixture *f, gconstpointer data G_GNUC_UNUSED)
{
	const uint32_t n = VIRTQ_MAX_CHAIN + 100;
	struct vring_desc *table = guestram_at(f->ram, f->table, n * sizeof(*table));
	uint16_t head = ring_take_desc(f->ring);

	for (uint32_t i = 0; i < n; i++) {
		table[i] = (struct vring_desc){ f->in, 24, VRING_DESC_F_NEXT, (uint16_t)(i + 1) };
	}
	table[n - 1] = (struct vring_desc){ f->out, 24, VRING_DESC_F_WRITE, 0 };
	ring_set_desc(f->ring, head, f->table, n * (uint32_t)sizeof(*table), VRING_DESC_F_INDIRECT,
		      0);
	ring_publish(f->ring, head);
	struct virtq_chain *chain = pop(f);
	g_assert_cmpuint(chain->readable_bytes, ==, 24);
	g_assert_cmpuint(chain->writable_bytes, ==, 24);
	virtq_push(&f->vq, chain, "no", 2);
	assert_used(f, head, 2);
	unit_assert_bytes(guestram_at(f->ram, f->out, 2), "no", 2);
}

static void test_indirect_table_in_any_order(struct fixture *f, gconstpointer data G_GNUC_UNUSED)
{
	struct vring_desc *table = guestram_at(f->ram, f->table, 4 * sizeof(*table));
	uint16_t head = ring_take_desc(f->ring);

	/* 0 -> 3 -> 1; entry 2 is not part of it. */
	table[0] = (struct vring_desc){ f->in, 1, VRING_DESC_F_NEXT, 3 };
	table[3] = (struct vring_desc){ f->in + 3, 3, VRING_DESC_F_NEXT, 1 };
	table[1] = (struct vring_desc){ f->out, 1, VRING_DESC_F_WRITE, 99 };
	table[2] = (struct vring_desc){ NOWHERE, 0, 0xffff, 0xffff };
	ring_set_desc(f->ring, head, f->table, 4 * sizeof(*table), VRING_DESC_F_INDIRECT, 0);
	ring_publish(f->ring, head);
	struct virtq_chain *chain = pop(f);
	g_assert_cmpuint(chain->readable_bytes, ==, 4);
	g_assert_cmpuint(chain->writable_bytes, ==, 1);
	virtq_push(&f->vq, chain, "", 0);
}

/* virtio 1.3 §2.7.5.3.2: some descriptors, the last of which is a table. */
static void test_chain_that_ends_in_a_table(struct fixture *f, gconstpointer data G_GNUC_UNUSED)
{
	struct vring_desc *table = guestram_at(f->ram, f->table, 2 * sizeof(*table));
	uint16_t head = ring_take_desc(f->ring), last = ring_take_desc(f->ring);

	table[0] = (struct vring_desc){ f->in + 100, 5, VRING_DESC_F_NEXT, 1 };
	table[1] = (struct vring_desc){ f->out, 7, VRING_DESC_F_WRITE, 0 };
	ring_set_desc(f->ring, head, f->in, 3, VRING_DESC_F_NEXT, last);
	ring_set_desc(f->ring, last, f->table, 2 * sizeof(*table), VRING_DESC_F_INDIRECT, 0);
	ring_publish(f->ring, head);
	struct virtq_chain *chain = pop(f);
	g_assert_cmpuint(chain->head, ==, head);
	g_assert_cmpuint(chain->n_readable, ==, 2);
	g_assert_cmpuint(chain->readable_bytes, ==, 8);
	g_assert_cmpuint(chain->writable_bytes, ==, 7);
	virtq_push(&f->vq, chain, "", 0);
}

static void test_chain_read(struct fixture *f, gconstpointer data G_GNUC_UNUSED)
{
	const struct ring_segment segments[] = {
		{ f->in, 4, false }, { f->in + 1000, 6, false }, { f->out, 10, true }
	};
	char bytes[16];

	memcpy(guestram_at(f->ram, f->in, 4), "abcd", 4);
	memcpy(guestram_at(f->ram, f->in + 1000, 6), "efghij", 6);
	ring_add(f->ring, segments, G_N_ELEMENTS(segments));
	struct virtq_chain *chain = pop(f);
	for (uint64_t offset = 0; offset <= 10; offset++) {
		for (size_t length = 0; offset + length <= 10; length++) {
			g_assert_true(virtq_chain_read(chain, offset, bytes, length));
			unit_assert_bytes(bytes, &"abcdefghij"[offset], length);
		}
		/* The writable ones are no continuation. */
		g_assert_false(virtq_chain_read(chain, offset, bytes, 11 - offset));
	}
	g_assert_false(virtq_chain_read(chain, 11, bytes, 1));
	g_assert_false(virtq_chain_read(chain, UINT64_MAX, bytes, 1));
	/* The memory is the one of the pop: a table that loses it meanwhile spoils no command. */
	struct guestmem *empty = guestmem_create_empty();
	virtq_set_memory(&f->vq, empty);
	guestmem_unref(empty);
	g_assert_true(virtq_chain_read(chain, 0, bytes, 10));
	unit_assert_bytes(bytes, "abcdefghij", 10);
	virtq_set_memory(&f->vq, f->mem);
	virtq_push(&f->vq, chain, "", 0);
}

static void test_response_over_several_buffers(struct fixture *f, gconstpointer data G_GNUC_UNUSED)
{
	const struct ring_segment segments[] = {
		{ f->in, 4, false }, { f->out, 3, true }, { f->out + 100, 4, true }
	};
	uint16_t head = ring_add(f->ring, segments, G_N_ELEMENTS(segments));

	virtq_push(&f->vq, pop(f), "123456", 6);
	assert_used(f, head, 6);
	unit_assert_bytes(guestram_at(f->ram, f->out, 4), "123\0", 4);
	unit_assert_bytes(guestram_at(f->ram, f->out + 100, 4), "456\0", 4);
}

static void test_buffer_across_regions(struct fixture *f, gconstpointer data G_GNUC_UNUSED)
{
	/* A third region right behind the first one. */
	guestram_add(f->ram, RAM_BYTES, RAM_BYTES, 0);
	struct guestmem *mem = vm_build_table(f->ram, 0, f->ram->n_regions);
	virtq_set_memory(&f->vq, mem);
	const struct ring_segment segments[] = { { RAM_BYTES - 3, 6, false },
						 { RAM_BYTES - 20, 40, true } };
	char bytes[6];

	memcpy(guestram_at(f->ram, RAM_BYTES - 3, 3), "abc", 3);
	memcpy(guestram_at(f->ram, RAM_BYTES, 3), "def", 3);
	uint16_t head = ring_add(f->ring, segments, 2);
	struct virtq_chain *chain = pop(f);
	g_assert_true(virtq_chain_read(chain, 0, bytes, 6));
	unit_assert_bytes(bytes, "abcdef", 6);
	virtq_push(&f->vq, chain, "0123456789012345678901234", 25);
	assert_used(f, head, 25);
	unit_assert_bytes(guestram_at(f->ram, RAM_BYTES - 20, 20), "01234567890123456789", 20);
	unit_assert_bytes(guestram_at(f->ram, RAM_BYTES, 5), "01234", 5);
	guestmem_unref(mem);
}

/* Whatever the guest writes after the pop, what was popped stays as it was. */
static void test_popped_chains_are_private(struct fixture *f, gconstpointer data G_GNUC_UNUSED)
{
	const struct ring_segment segments[] = { { f->in, 24, false }, { f->out, 24, true } };
	uint16_t direct = ring_add(f->ring, segments, 2);
	uint16_t indirect = ring_add_indirect(f->ring, segments, 2, f->table);
	struct virtq_chain *first = pop(f), *second = pop(f);

	for (unsigned int i = 0; i < RING_SIZE; i++) {
		ring_set_desc(f->ring, (uint16_t)i, NOWHERE, UINT32_MAX, 0xffff, 0xffff);
		f->ring->avail->ring[i] = 0xffff;
	}
	memset(guestram_at(f->ram, f->table, 64), 0xff, 64);
	virtq_push(&f->vq, second, "second", 6);
	unit_assert_bytes(guestram_at(f->ram, f->out, 6), "second", 6);
	virtq_push(&f->vq, first, "first", 5);
	unit_assert_bytes(guestram_at(f->ram, f->out, 5), "first", 5);
	struct vring_used_elem *used = f->ring->used->ring;
	g_assert_cmpuint(used[0].id, ==, indirect);
	g_assert_cmpuint(used[1].id, ==, direct);
}

static void test_out_of_order(struct fixture *f, gconstpointer data G_GNUC_UNUSED)
{
	uint16_t heads[4];
	struct virtq_chain *chains[4];

	for (size_t i = 0; i < 4; i++) {
		heads[i] = add_in_out(f);
	}
	for (size_t i = 0; i < 4; i++) {
		chains[i] = pop(f);
		g_assert_cmpuint(chains[i]->head, ==, heads[i]);
	}
	for (size_t i = 4; i-- > 0;) {
		virtq_push(&f->vq, chains[i], "", 0);
		assert_used(f, heads[i], 0);
	}
}

/* Index arithmetic is modulo 65536, slots are modulo the ring's size. */
static void test_index_wraps(struct fixture *f, gconstpointer data G_GNUC_UNUSED)
{
	for (unsigned int i = 0; i < 65536 + 100; i++) {
		uint16_t head = add_in_out(f);

		virtq_push(&f->vq, pop(f), &i, sizeof(i));
		virtq_notify(&f->vq);
		assert_used(f, head, sizeof(i));
		unit_assert_bytes(guestram_at(f->ram, f->out, sizeof(i)), &i, sizeof(i));
		g_assert_cmpint(pop_status(f), ==, VIRTQ_E_EMPTY);
	}
	g_assert_cmpuint(virtq_stop(&f->vq), ==, 100);
}

/* ---- broken rings ---- */

struct breakage {
	const char *name;
	void (*make)(struct fixture *f);
	bool without_indirect;
};

static void make_single(struct fixture *f, uint64_t gpa, uint32_t size, uint16_t flags,
			uint16_t next)
{
	uint16_t head = ring_take_desc(f->ring);

	ring_set_desc(f->ring, head, gpa, size, flags, next);
	ring_publish(f->ring, head);
}

static void make_table(struct fixture *f, const struct vring_desc *entries, unsigned int n)
{
	uint32_t size = n * (uint32_t)sizeof(entries[0]);

	memcpy(guestram_at(f->ram, f->table, size), entries, size);
	make_single(f, f->table, size, VRING_DESC_F_INDIRECT, 0);
}

static void break_head(struct fixture *f)
{
	ring_publish(f->ring, RING_SIZE);
}

static void break_head_far(struct fixture *f)
{
	ring_publish(f->ring, 0xffff);
}

static void break_next(struct fixture *f)
{
	make_single(f, f->in, 1, VRING_DESC_F_NEXT, RING_SIZE);
}

static void break_self_loop(struct fixture *f)
{
	uint16_t head = ring_take_desc(f->ring);

	ring_set_desc(f->ring, head, f->in, 1, VRING_DESC_F_NEXT, head);
	ring_publish(f->ring, head);
}

static void break_full_loop(struct fixture *f)
{
	for (unsigned int i = 0; i < RING_SIZE; i++) {
		ring_set_desc(f->ring, (uint16_t)i, f->in, 1, VRING_DESC_F_NEXT,
			      (uint16_t)((i + 1) % RING_SIZE));
	}
	ring_publish(f->ring, 0);
}

static void break_unmapped(struct fixture *f)
{
	make_single(f, NOWHERE, 1, 0, 0);
}

static void break_half_unmapped(struct fixture *f)
{
	make_single(f, RAM_BYTES - 8, 16, VRING_DESC_F_WRITE, 0);
}

static void break_wrapping_address(struct fixture *f)
{
	make_single(f, UINT64_MAX - 7, 16, 0, 0);
}

static void break_huge(struct fixture *f)
{
	make_single(f, f->in, UINT32_MAX, 0, 0);
}

static void break_no_bytes(struct fixture *f)
{
	make_single(f, f->in, 0, 0, 0);
}

static void break_order(struct fixture *f)
{
	const struct ring_segment segments[] = { { f->out, 8, true }, { f->in, 8, false } };

	ring_add(f->ring, segments, 2);
}

static void break_index_ahead(struct fixture *f)
{
	f->ring->avail->idx = (uint16_t)(f->ring->avail_idx + RING_SIZE + 1);
}

static void break_index_back(struct fixture *f)
{
	f->ring->avail->idx = (uint16_t)(f->ring->avail_idx - 1);
}

static void break_table_not_negotiated(struct fixture *f)
{
	const struct vring_desc entry = { f->in, 1, 0, 0 };

	make_table(f, &entry, 1);
}

static void break_table_empty(struct fixture *f)
{
	make_single(f, f->table, 0, VRING_DESC_F_INDIRECT, 0);
}

static void break_table_odd_size(struct fixture *f)
{
	make_single(f, f->table, 17, VRING_DESC_F_INDIRECT, 0);
}

static void break_table_too_long(struct fixture *f)
{
	make_single(f, f->table, (VIRTQ_MAX_CHAIN + 1) * 16, VRING_DESC_F_INDIRECT, 0);
}

static void break_table_unmapped(struct fixture *f)
{
	make_single(f, NOWHERE, 16, VRING_DESC_F_INDIRECT, 0);
}

static void break_table_with_next(struct fixture *f)
{
	make_single(f, f->table, 16, VRING_DESC_F_INDIRECT | VRING_DESC_F_NEXT, 0);
}

static void break_table_makes_chain_too_long(struct fixture *f)
{
	struct vring_desc *table = guestram_at(f->ram, f->table, VIRTQ_MAX_CHAIN * 16);
	uint16_t second = ring_take_desc(f->ring);

	for (unsigned int i = 0; i < VIRTQ_MAX_CHAIN; i++) {
		table[i] = (struct vring_desc){ f->in, 1, VRING_DESC_F_NEXT, (uint16_t)(i + 1) };
	}
	table[VIRTQ_MAX_CHAIN - 1].flags = 0;
	ring_set_desc(f->ring, second, f->table, VIRTQ_MAX_CHAIN * 16, VRING_DESC_F_INDIRECT, 0);
	make_single(f, f->in, 1, VRING_DESC_F_NEXT, second);
}

static void break_table_readable_behind_writable(struct fixture *f)
{
	const struct vring_desc entry = { f->in, 1, 0, 0 };
	uint16_t second = ring_take_desc(f->ring);

	memcpy(guestram_at(f->ram, f->table, 16), &entry, 16);
	ring_set_desc(f->ring, second, f->table, 16, VRING_DESC_F_INDIRECT, 0);
	make_single(f, f->out, 1, VRING_DESC_F_NEXT | VRING_DESC_F_WRITE, second);
}

static void break_table_nested(struct fixture *f)
{
	const struct vring_desc entry = { f->table, 16, VRING_DESC_F_INDIRECT, 0 };

	make_table(f, &entry, 1);
}

static void break_table_next(struct fixture *f)
{
	const struct vring_desc entries[] = { { f->in, 1, VRING_DESC_F_NEXT, 2 },
					      { f->in, 1, 0, 0 } };

	make_table(f, entries, 2);
}

static void break_table_loop(struct fixture *f)
{
	const struct vring_desc entries[] = { { f->in, 1, VRING_DESC_F_NEXT, 1 },
					      { f->in, 1, VRING_DESC_F_NEXT, 0 } };

	make_table(f, entries, 2);
}

static void break_table_order(struct fixture *f)
{
	const struct vring_desc entries[] = {
		{ f->out, 1, VRING_DESC_F_NEXT | VRING_DESC_F_WRITE, 1 }, { f->in, 1, 0, 0 }
	};

	make_table(f, entries, 2);
}

static void break_table_entry_unmapped(struct fixture *f)
{
	const struct vring_desc entries[] = { { f->in, 1, VRING_DESC_F_NEXT, 1 },
					      { NOWHERE, 1, 0, 0 } };

	make_table(f, entries, 2);
}

static void break_table_entry_no_bytes(struct fixture *f)
{
	const struct vring_desc entry = { f->in, 0, 0, 0 };

	make_table(f, &entry, 1);
}

static const struct breakage breakages[] = {
	{ "head-outside", break_head, false },
	{ "head-far-outside", break_head_far, false },
	{ "next-outside", break_next, false },
	{ "loop-of-one", break_self_loop, false },
	{ "loop-of-all", break_full_loop, false },
	{ "unmapped", break_unmapped, false },
	{ "half-unmapped", break_half_unmapped, false },
	{ "address-wraps", break_wrapping_address, false },
	{ "longer-than-memory", break_huge, false },
	{ "no-bytes", break_no_bytes, false },
	{ "readable-behind-writable", break_order, false },
	{ "index-too-far-ahead", break_index_ahead, false },
	{ "index-goes-back", break_index_back, false },
	{ "table-not-negotiated", break_table_not_negotiated, true },
	{ "table-empty", break_table_empty, false },
	{ "table-of-odd-size", break_table_odd_size, false },
	{ "table-too-long-and-empty", break_table_too_long, false },
	{ "table-unmapped", break_table_unmapped, false },
	{ "table-with-next", break_table_with_next, false },
	{ "table-makes-chain-too-long", break_table_makes_chain_too_long, false },
	{ "table-readable-behind-chain-writable", break_table_readable_behind_writable, false },
	{ "table-nested", break_table_nested, false },
	{ "table-next-outside", break_table_next, false },
	{ "table-loops", break_table_loop, false },
	{ "table-readable-behind-writable", break_table_order, false },
	{ "table-entry-unmapped", break_table_entry_unmapped, false },
	{ "table-entry-of-no-bytes", break_table_entry_no_bytes, false },
};

static void test_broken(gconstpointer data)
{
	const struct breakage *breakage = data;
	struct fixture fixture, *f = &fixture;

	setup_with(f, true);
	if (breakage->without_indirect) {
		virtq_set_features(&f->vq, true, false);
	}
	/* One good chain is out while the ring breaks. */
	add_in_out(f);
	struct virtq_chain *good = pop(f);
	breakage->make(f);
	g_assert_cmpint(pop_status(f), ==, VIRTQ_E_BROKEN);
	g_assert_cmpuint(unit_take_event(f->ring->err_fd), ==, 1);

	/* It stays broken, says so once, and nothing is written to it. */
	add_in_out(f);
	g_assert_cmpint(pop_status(f), ==, VIRTQ_E_BROKEN);
	g_assert_cmpuint(unit_take_event(f->ring->err_fd), ==, 0);
	virtq_push(&f->vq, good, "late", 4);
	virtq_notify(&f->vq);
	assert_none_used(f);
	g_assert_false(virtq_rearm(&f->vq));

	/* The driver starts anew: all is well. */
	virtq_reset(&f->vq);
	ring_reset(f->ring);
	virtq_set_features(&f->vq, true, true);
	start(f, 0);
	uint16_t head = add_in_out(f);
	virtq_push(&f->vq, pop(f), "", 0);
	assert_used(f, head, 0);
	teardown(f, NULL);
}

static void test_broken_before_err_was_set(struct fixture *f, gconstpointer data G_GNUC_UNUSED)
{
	int late = unit_eventfd();

	virtq_set_err(&f->vq, -1);
	break_head(f);
	g_assert_cmpint(pop_status(f), ==, VIRTQ_E_BROKEN);
	virtq_set_err(&f->vq, dup(late));
	g_assert_cmpuint(unit_take_event(late), ==, 1);
	close(late);
}

/* Heads made available again while they are out would make work without end. */
static void test_heads_made_available_again(struct fixture *f, gconstpointer data G_GNUC_UNUSED)
{
	uint16_t head = add_in_out(f);
	struct virtq_chain *chains[RING_SIZE];

	for (unsigned int i = 1; i < RING_SIZE; i++) {
		ring_publish(f->ring, head);
	}
	for (unsigned int i = 0; i < RING_SIZE; i++) {
		chains[i] = pop(f);
	}
	ring_publish(f->ring, head);
	g_assert_cmpint(pop_status(f), ==, VIRTQ_E_BROKEN);
	g_assert_cmpuint(unit_take_event(f->ring->err_fd), ==, 1);
	for (unsigned int i = 0; i < RING_SIZE; i++) {
		virtq_push(&f->vq, chains[i], "", 0);
	}
}

static void test_as_many_out_as_the_ring_holds(struct fixture *f, gconstpointer data G_GNUC_UNUSED)
{
	const struct ring_segment one = { f->in, 1, false };
	struct virtq_chain *chains[RING_SIZE];

	for (unsigned int round = 0; round < 3; round++) {
		for (unsigned int i = 0; i < RING_SIZE; i++) {
			ring_add(f->ring, &one, 1);
		}
		for (unsigned int i = 0; i < RING_SIZE; i++) {
			chains[i] = pop(f);
		}
		g_assert_cmpint(pop_status(f), ==, VIRTQ_E_EMPTY);
		for (unsigned int i = 0; i < RING_SIZE; i++) {
			uint16_t head = chains[i]->head;

			virtq_push(&f->vq, chains[i], "", 0);
			assert_used(f, head, 0);
		}
	}
}

/* ---- interrupts ---- */

static void complete_one(struct fixture *f)
{
	struct vring_used_elem element;

	add_in_out(f);
	virtq_push(&f->vq, pop(f), "", 0);
	g_assert_true(ring_pop_used(f->ring, &element));
}

static void test_notify_is_coalesced(struct fixture *f, gconstpointer data G_GNUC_UNUSED)
{
	complete_one(f);
	complete_one(f);
	complete_one(f);
	g_assert_cmpuint(ring_take_calls(f->ring), ==, 0);
	virtq_notify(&f->vq);
	g_assert_cmpuint(ring_take_calls(f->ring), ==, 1);
	virtq_notify(&f->vq); /* nothing new */
	g_assert_cmpuint(ring_take_calls(f->ring), ==, 0);
}

static void test_notify_honours_flags(struct fixture *f, gconstpointer data G_GNUC_UNUSED)
{
	ring_suppress_calls(f->ring, 1);
	complete_one(f);
	virtq_notify(&f->vq);
	g_assert_cmpuint(ring_take_calls(f->ring), ==, 0);
	f->ring->avail->flags = 0;
	virtq_notify(&f->vq); /* the guest looks itself after it turns them on */
	g_assert_cmpuint(ring_take_calls(f->ring), ==, 0);
	complete_one(f);
	virtq_notify(&f->vq);
	g_assert_cmpuint(ring_take_calls(f->ring), ==, 1);
}

static void test_notify_honours_event_idx(struct fixture *f, gconstpointer data G_GNUC_UNUSED)
{
	/* The first after a start always, it is not known what the guest saw. */
	ring_suppress_calls(f->ring, 100);
	complete_one(f);
	virtq_notify(&f->vq);
	g_assert_cmpuint(ring_take_calls(f->ring), ==, 1);

	/* Then not before the third one from here. */
	ring_suppress_calls(f->ring, 3);
	complete_one(f);
	virtq_notify(&f->vq);
	complete_one(f);
	virtq_notify(&f->vq);
	g_assert_cmpuint(ring_take_calls(f->ring), ==, 0);
	complete_one(f);
	virtq_notify(&f->vq);
	g_assert_cmpuint(ring_take_calls(f->ring), ==, 1);
	/* Passed over within one batch counts too. */
	ring_suppress_calls(f->ring, 2);
	complete_one(f);
	complete_one(f);
	complete_one(f);
	virtq_notify(&f->vq);
	g_assert_cmpuint(ring_take_calls(f->ring), ==, 1);
	/* The flags mean nothing with event indexes. */
	f->ring->avail->flags = VRING_AVAIL_F_NO_INTERRUPT;
	ring_suppress_calls(f->ring, 1);
	complete_one(f);
	virtq_notify(&f->vq);
	g_assert_cmpuint(ring_take_calls(f->ring), ==, 1);
}

static void test_event_idx_across_the_wrap(struct fixture *f, gconstpointer data G_GNUC_UNUSED)
{
	for (unsigned int i = 0; i < 65534; i++) {
		complete_one(f);
	}
	virtq_notify(&f->vq);
	ring_take_calls(f->ring);
	ring_suppress_calls(f->ring, 4); /* at index 65537, which is 1 */
	for (unsigned int i = 0; i < 3; i++) {
		complete_one(f);
		virtq_notify(&f->vq);
	}
	g_assert_cmpuint(ring_take_calls(f->ring), ==, 0);
	complete_one(f);
	virtq_notify(&f->vq);
	g_assert_cmpuint(ring_take_calls(f->ring), ==, 1);
}

static void test_call_set_late(struct fixture *f, gconstpointer data G_GNUC_UNUSED)
{
	int late = unit_eventfd();

	virtq_set_call(&f->vq, -1);
	complete_one(f);
	virtq_notify(&f->vq);
	/* The one who comes now may have missed something. */
	virtq_set_call(&f->vq, dup(late));
	g_assert_cmpuint(unit_take_event(late), ==, 1);
	complete_one(f);
	virtq_notify(&f->vq);
	g_assert_cmpuint(unit_take_event(late), ==, 1);
	g_assert_cmpuint(ring_take_calls(f->ring), ==, 0);
	close(late);
}

/* ---- kicks ---- */

static void test_rearm_by_flags(struct fixture *f, gconstpointer data G_GNUC_UNUSED)
{
	g_assert_false(virtq_rearm(&f->vq));
	g_assert_cmphex(f->ring->used->flags, ==, 0);
	virtq_suppress(&f->vq);
	g_assert_cmphex(f->ring->used->flags, ==, VRING_USED_F_NO_NOTIFY);
	g_assert_false(virtq_has_avail(&f->vq));
	add_in_out(f);
	g_assert_true(virtq_has_avail(&f->vq)); /* and asks for no kick */
	g_assert_cmphex(f->ring->used->flags, ==, VRING_USED_F_NO_NOTIFY);
	/* What came while kicks were off is told. */
	g_assert_true(virtq_rearm(&f->vq));
	g_assert_cmphex(f->ring->used->flags, ==, 0);
	virtq_push(&f->vq, pop(f), "", 0);
	g_assert_false(virtq_rearm(&f->vq));
	add_in_out(f);
	virtq_stop(&f->vq);
	g_assert_false(virtq_has_avail(&f->vq));
}

static void test_rearm_by_event_idx(struct fixture *f, gconstpointer data G_GNUC_UNUSED)
{
	const __virtio16 *avail_event = (const __virtio16 *)&f->ring->used->ring[RING_SIZE];

	for (uint16_t i = 0; i < 20; i++) {
		g_assert_false(virtq_rearm(&f->vq));
		g_assert_cmpuint(*avail_event, ==, i);
		virtq_suppress(&f->vq);
		g_assert_cmphex(f->ring->used->flags, ==, 0);
		g_assert_cmpuint(*avail_event, ==, i);
		add_in_out(f);
		g_assert_true(virtq_rearm(&f->vq));
		virtq_push(&f->vq, pop(f), "", 0);
		struct vring_used_elem element;
		g_assert_true(ring_pop_used(f->ring, &element));
	}
}

static void test_kick_fd(struct fixture *f, gconstpointer data G_GNUC_UNUSED)
{
	uint32_t first_serial, second_serial;
	int other = unit_eventfd();
	int first = virtq_kick_fd_dup(&f->vq, &first_serial);

	g_assert_cmpint(first, >=, 0);
	g_assert_true((fcntl(first, F_GETFD) & FD_CLOEXEC) != 0);
	ring_kick_always(f->ring);
	g_assert_cmpuint(unit_take_event(first), ==, 1);
	close(first);
	virtq_set_kick(&f->vq, dup(other));
	int second = virtq_kick_fd_dup(&f->vq, &second_serial);
	g_assert_cmpuint(first_serial, !=, second_serial);
	uint64_t one = 1;
	g_assert_cmpint(write(other, &one, sizeof(one)), ==, sizeof(one));
	g_assert_cmpuint(unit_take_event(second), ==, 1);
	close(second);
	close(other);
	virtq_stop(&f->vq);
	g_assert_cmpint(virtq_kick_fd_dup(&f->vq, &first_serial), ==, -1);
	g_assert_cmpuint(first_serial, !=, second_serial);
}

/* ---- setting up ---- */

static void test_sizes(void)
{
	struct virtq vq;

	virtq_init(&vq, 0, NULL);
	for (uint32_t size = 0; size < 2050; size++) {
		bool is_good = size > 0 && size <= VIRTQ_MAX_SIZE && (size & (size - 1)) == 0;

		g_assert_cmpint(virtq_set_size(&vq, size), ==,
				is_good ? VIRTQ_OK : VIRTQ_E_INVALID);
	}
	g_assert_cmpint(virtq_set_size(&vq, 0x80000000u), ==, VIRTQ_E_INVALID);
	g_assert_cmpint(virtq_set_size(&vq, UINT32_MAX), ==, VIRTQ_E_INVALID);
	virtq_finish(&vq);
}

static void test_not_while_running(struct fixture *f, gconstpointer data G_GNUC_UNUSED)
{
	g_assert_cmpint(virtq_set_size(&f->vq, 16), ==, VIRTQ_E_INVALID);
	g_assert_cmpint(virtq_set_base(&f->vq, 5), ==, VIRTQ_E_INVALID);
	/* And it runs on. */
	complete_one(f);
}

static void test_addresses(struct fixture *f, gconstpointer data G_GNUC_UNUSED)
{
	const struct uva desc = to_uva(f, f->ring->desc_gpa), avail = to_uva(f, f->ring->avail_gpa),
			 used = to_uva(f, f->ring->used_gpa);
	const struct uva last = { guestram_to_uva(f->ram, RAM_BYTES - 4) };
	const struct {
		struct uva desc, avail, used;
	} bad[] = {
		{ { desc.v + 8 }, avail, used }, /* misaligned */
		{ desc, { avail.v + 1 }, used },
		{ desc, avail, { used.v + 2 } },
		{ { 0 }, avail, used }, /* not mapped */
		{ desc, { 0 }, used },
		{ desc, avail, { 0 } },
		{ { UINT64_MAX - 15 }, avail, used },
		{ { last.v - 12 }, avail, used }, /* begins inside, ends outside */
		{ desc, last, used },
		{ desc, avail, last },
		/* Guest addresses are not the front-end's. */
		{ { f->ring->desc_gpa }, { f->ring->avail_gpa }, { f->ring->used_gpa } },
	};

	for (size_t i = 0; i < G_N_ELEMENTS(bad); i++) {
		g_assert_cmpint(
			virtq_set_addresses(&f->vq, bad[i].desc, bad[i].avail, bad[i].used), ==,
			VIRTQ_E_INVALID);
		add_in_out(f);
		g_assert_cmpint(pop_status(f), ==, VIRTQ_E_EMPTY); /* it does not run */
		g_assert_cmpint(set_addresses(f), ==, VIRTQ_OK);
		ring_reset(f->ring);
		virtq_reset(&f->vq);
		start(f, 0);
	}
	complete_one(f);
}

static void test_runs_only_when_all_is_there(void)
{
	struct fixture fixture, *f = &fixture;

	for (unsigned int missing = 0; missing < 4; missing++) {
		setup_with(f, true);
		virtq_reset(&f->vq);
		virtq_set_enabled(&f->vq, false);
		add_in_out(f);
		g_assert_cmpint(virtq_set_size(&f->vq, RING_SIZE), ==, VIRTQ_OK);
		if (missing != 0) {
			g_assert_cmpint(set_addresses(f), ==, VIRTQ_OK);
		}
		if (missing != 1) {
			virtq_set_kick(&f->vq, -1);
		}
		if (missing != 2) {
			virtq_set_enabled(&f->vq, true);
		}
		g_assert_cmpint(pop_status(f), ==, missing == 3 ? VIRTQ_OK : VIRTQ_E_EMPTY);
		teardown(f, NULL);
	}
}

static void test_starts_at_its_base(struct fixture *f, gconstpointer data G_GNUC_UNUSED)
{
	virtq_reset(&f->vq);
	f->ring->avail_idx = f->ring->last_used = 65533;
	f->ring->avail->idx = f->ring->used->idx = 65533;
	start(f, 65533);
	for (unsigned int i = 0; i < 10; i++) {
		uint16_t head = add_in_out(f);

		virtq_push(&f->vq, pop(f), "", 0);
		assert_used(f, head, 0);
	}
	g_assert_cmpuint(virtq_stop(&f->vq), ==, (65533 + 10) % 65536);
}

static void test_memory_comes_and_goes(struct fixture *f, gconstpointer data G_GNUC_UNUSED)
{
	struct guestmem *empty = guestmem_create_empty();
	uint16_t head = add_in_out(f);
	struct virtq_chain *chain = pop(f);

	add_in_out(f);
	virtq_set_memory(&f->vq, empty);
	g_assert_cmpint(pop_status(f), ==, VIRTQ_E_EMPTY);
	virtq_push(&f->vq, chain, "kept", 4); /* there is nowhere to write it */
	assert_none_used(f);
	virtq_set_memory(&f->vq, f->mem);
	assert_used(f, head, 4);
	unit_assert_bytes(guestram_at(f->ram, f->out, 4), "kept", 4);
	g_assert_cmpint(pop_status(f), ==, VIRTQ_OK);
	guestmem_unref(empty);
}

static bool is_broken(void *data)
{
	return pop_status(data) == VIRTQ_E_BROKEN;
}

/* Front-ends take a region away and give it back while the guest runs. */
static void test_chain_waits_for_its_memory(struct fixture *f, gconstpointer data G_GNUC_UNUSED)
{
	struct guestmem *without = vm_build_table(f->ram, 1, 1); /* the ring's, not the buffers' */
	uint16_t head = add_in_out(f);

	virtq_set_memory(&f->vq, without);
	g_assert_cmpint(f->vq.shrunk_us, >, 0);
	f->vq.shrunk_us += G_TIME_SPAN_HOUR; /* however slow this machine is */
	g_assert_cmpint(pop_status(f), ==, VIRTQ_E_EMPTY);
	g_assert_false(virtq_rearm(&f->vq)); /* there is nothing to be awake for */
	virtq_set_memory(&f->vq, f->mem);
	virtq_push(&f->vq, pop(f), "", 0);
	assert_used(f, head, 0);
	/* It does not come back: then it was the guest's fault. */
	add_in_out(f);
	virtq_set_memory(&f->vq, without);
	g_assert_true(unit_wait(is_broken, f));
	g_assert_cmpuint(unit_take_event(f->ring->err_fd), ==, 1);
	guestmem_unref(without);
}

/* ---- stop, resume, reset ---- */

static void resume(struct fixture *f, uint16_t base)
{
	g_assert_cmpint(virtq_set_base(&f->vq, base), ==, VIRTQ_OK);
	g_assert_cmpint(set_addresses(f), ==, VIRTQ_OK);
	virtq_set_kick(&f->vq, dup(f->ring->kick_fd));
}

static void test_stop_tells_the_base(struct fixture *f, gconstpointer data G_GNUC_UNUSED)
{
	complete_one(f);
	complete_one(f);
	add_in_out(f);
	struct virtq_chain *chain = pop(f);
	add_in_out(f);
	g_assert_cmpuint(virtq_stop(&f->vq), ==, 3);
	g_assert_cmpuint(virtq_stop(&f->vq), ==, 3);
	g_assert_cmpint(pop_status(f), ==, VIRTQ_E_EMPTY);
	g_assert_false(virtq_rearm(&f->vq));
	virtq_push(&f->vq, chain, "", 0);
}

static void test_pushed_while_stopped_is_written_on_resume(struct fixture *f,
							   gconstpointer data G_GNUC_UNUSED)
{
	uint16_t first = add_in_out(f), second = add_in_out(f), third = add_in_out(f);
	struct virtq_chain *chains[] = { pop(f), pop(f), pop(f) };
	uint16_t base = virtq_stop(&f->vq);

	virtq_push(&f->vq, chains[1], "second", 6);
	virtq_push(&f->vq, chains[0], "first", 5);
	virtq_notify(&f->vq);
	assert_none_used(f);
	g_assert_cmpuint(ring_take_calls(f->ring), ==, 0);
	g_assert_cmpint(*(char *)guestram_at(f->ram, f->out, 1), ==, 0);

	resume(f, base);
	assert_used(f, second, 6);
	assert_used(f, first, 5);
	unit_assert_bytes(guestram_at(f->ram, f->out, 6), "first", 5);
	g_assert_cmpuint(ring_take_calls(f->ring), >=, 1);
	/* The third was not pushed yet; it is still the same chain. */
	g_assert_false(virtq_chain_is_stale(&f->vq, chains[2]));
	virtq_push(&f->vq, chains[2], "", 0);
	assert_used(f, third, 0);
	assert_none_used(f);
}

static void test_disabled_is_a_pause_too(struct fixture *f, gconstpointer data G_GNUC_UNUSED)
{
	uint16_t head = add_in_out(f);
	struct virtq_chain *chain = pop(f);

	virtq_set_enabled(&f->vq, false);
	virtq_push(&f->vq, chain, "x", 1);
	assert_none_used(f);
	add_in_out(f);
	g_assert_cmpint(pop_status(f), ==, VIRTQ_E_EMPTY);
	virtq_set_enabled(&f->vq, true);
	assert_used(f, head, 1);
	g_assert_cmpint(pop_status(f), ==, VIRTQ_OK);
}

static void test_another_base_drops_what_is_out(struct fixture *f, gconstpointer data G_GNUC_UNUSED)
{
	add_in_out(f);
	struct virtq_chain *before = pop(f);
	add_in_out(f);
	struct virtq_chain *later = pop(f);

	virtq_stop(&f->vq);
	virtq_push(&f->vq, before, "x", 1);
	resume(f, 0);
	g_assert_true(virtq_chain_is_stale(&f->vq, later));
	virtq_push(&f->vq, later, "y", 1);
	assert_none_used(f);
	/* Both are available again. */
	g_assert_cmpint(pop_status(f), ==, VIRTQ_OK);
	g_assert_cmpint(pop_status(f), ==, VIRTQ_OK);
	g_assert_cmpint(pop_status(f), ==, VIRTQ_E_EMPTY);
}

static void test_reset_drops_what_is_out(struct fixture *f, gconstpointer data G_GNUC_UNUSED)
{
	add_in_out(f);
	add_in_out(f);
	struct virtq_chain *deferred = pop(f), *out = pop(f);

	virtq_stop(&f->vq);
	virtq_push(&f->vq, deferred, "x", 1);
	virtq_reset(&f->vq);
	g_assert_true(virtq_chain_is_stale(&f->vq, out));
	g_assert_cmpint(pop_status(f), ==, VIRTQ_E_EMPTY);

	ring_reset(f->ring);
	start(f, 0);
	virtq_push(&f->vq, out, "y", 1);
	virtq_notify(&f->vq);
	assert_none_used(f);
	g_assert_cmpuint(ring_take_calls(f->ring), ==, 0);
	g_assert_cmpint(*(char *)guestram_at(f->ram, f->out, 1), ==, 0);
	complete_one(f);
}

static void test_dropped_chains_make_room(struct fixture *f, gconstpointer data G_GNUC_UNUSED)
{
	const struct ring_segment one = { f->in, 1, false };

	for (unsigned int round = 0; round < 10; round++) {
		struct virtq_chain *chains[RING_SIZE];

		for (unsigned int i = 0; i < RING_SIZE; i++) {
			ring_add(f->ring, &one, 1);
			chains[i] = pop(f);
		}
		virtq_reset(&f->vq);
		ring_reset(f->ring);
		start(f, 0);
		for (unsigned int i = 0; i < RING_SIZE; i++) {
			virtq_push(&f->vq, chains[i], "", 0);
		}
	}
	complete_one(f);
}

static void test_finish_closes_everything(void)
{
	unsigned int n_fds = unit_count_fds();
	struct fixture fixture, *f = &fixture;

	setup_with(f, false);
	add_in_out(f);
	struct virtq_chain *chain = pop(f);
	virtq_stop(&f->vq);
	virtq_push(&f->vq, chain, "deferred for ever", 17);
	virtq_set_call(&f->vq, unit_eventfd());
	virtq_set_err(&f->vq, unit_eventfd());
	virtq_set_kick(&f->vq, unit_eventfd());
	teardown(f, NULL);
	g_assert_cmpuint(unit_count_fds(), ==, n_fds);
}

/* ---- two threads ---- */

struct stopper {
	struct fixture *f;
	int is_over; /* atomic */
};

/* The transport: stops and starts the queue, and looks that nothing moves in between. */
static void *stop_and_start(void *data)
{
	struct stopper *stopper = data;
	struct fixture *f = stopper->f;

	while (!g_atomic_int_get(&stopper->is_over)) {
		uint16_t base = virtq_stop(&f->vq);
		uint16_t used = ring_used_idx(f->ring);

		g_thread_yield();
		g_assert_cmpuint(ring_used_idx(f->ring), ==, used);
		resume(f, base);
		g_thread_yield();
	}
	return NULL;
}

static void test_stopped_under_way(struct fixture *f, gconstpointer data G_GNUC_UNUSED)
{
	struct stopper stopper = { .f = f };
	GThread *thread = g_thread_new("transport", stop_and_start, &stopper);
	unsigned int n_done = 0;
	gint64 deadline_us = g_get_monotonic_time() + UNIT_TIMEOUT_MS * 1000;

	add_in_out(f);
	while (n_done < 3000) {
		struct virtq_chain *chain;
		struct vring_used_elem element;

		g_assert_cmpint(g_get_monotonic_time(), <, deadline_us);
		if (virtq_pop(&f->vq, &chain) == VIRTQ_OK) {
			virtq_push(&f->vq, chain, "", 0);
		}
		if (ring_pop_used(f->ring, &element)) {
			n_done++;
			add_in_out(f);
		}
	}
	g_atomic_int_set(&stopper.is_over, 1);
	g_thread_join(thread);
	g_assert_cmpuint(unit_take_event(f->ring->err_fd), ==, 0);
}

static const struct {
	const char *path;
	void (*test)(struct fixture *f, gconstpointer data);
} tests[] = {
	{ "/virtq/pop/empty", test_empty },
	{ "/virtq/pop/direct-chain", test_direct_chain },
	{ "/virtq/pop/one-sided-chains", test_one_sided_chains },
	{ "/virtq/pop/as-long-as-the-ring", test_as_long_as_the_ring },
	{ "/virtq/pop/indirect-chain", test_indirect_chain },
	{ "/virtq/pop/longest-indirect-chain", test_longest_indirect_chain },
	{ "/virtq/pop/indirect-table-too-long", test_indirect_table_too_long },
	{ "/virtq/pop/indirect-table-in-any-order", test_indirect_table_in_any_order },
	{ "/virtq/pop/chain-that-ends-in-a-table", test_chain_that_ends_in_a_table },
	{ "/virtq/chain-read", test_chain_read },
	{ "/virtq/push/over-several-buffers", test_response_over_several_buffers },
	{ "/virtq/push/buffer-across-regions", test_buffer_across_regions },
	{ "/virtq/push/out-of-order", test_out_of_order },
	{ "/virtq/popped-chains-are-private", test_popped_chains_are_private },
	{ "/virtq/index-wraps", test_index_wraps },
	{ "/virtq/broken/before-err-was-set", test_broken_before_err_was_set },
	{ "/virtq/broken/heads-made-available-again", test_heads_made_available_again },
	{ "/virtq/as-many-out-as-the-ring-holds", test_as_many_out_as_the_ring_holds },
	{ "/virtq/notify/is-coalesced", test_notify_is_coalesced },
	{ "/virtq/notify/call-set-late", test_call_set_late },
	{ "/virtq/kick/fd", test_kick_fd },
	{ "/virtq/setup/not-while-running", test_not_while_running },
	{ "/virtq/setup/addresses", test_addresses },
	{ "/virtq/setup/starts-at-its-base", test_starts_at_its_base },
	{ "/virtq/setup/memory-comes-and-goes", test_memory_comes_and_goes },
	{ "/virtq/setup/chain-waits-for-its-memory", test_chain_waits_for_its_memory },
	{ "/virtq/stop/tells-the-base", test_stop_tells_the_base },
	{ "/virtq/stop/pushed-while-stopped-is-written-on-resume",
	  test_pushed_while_stopped_is_written_on_resume },
	{ "/virtq/stop/disabled-is-a-pause-too", test_disabled_is_a_pause_too },
	{ "/virtq/stop/another-base-drops-what-is-out", test_another_base_drops_what_is_out },
	{ "/virtq/reset/drops-what-is-out", test_reset_drops_what_is_out },
	{ "/virtq/reset/dropped-chains-make-room", test_dropped_chains_make_room },
	{ "/virtq/threads/stopped-under-way", test_stopped_under_way },
};

/* Each of those with event indexes and without. */
static void add_both(const char *path, void (*test)(struct fixture *f, gconstpointer data))
{
	g_autofree char *with = g_strconcat(path, "/event-idx", NULL);
	g_autofree char *without = g_strconcat(path, "/flags", NULL);

	g_test_add(with, struct fixture, GINT_TO_POINTER(true), setup, test, teardown);
	g_test_add(without, struct fixture, GINT_TO_POINTER(false), setup, test, teardown);
}

static void add_one(const char *path, bool has_event_idx,
		    void (*test)(struct fixture *f, gconstpointer data))
{
	g_test_add(path, struct fixture, GINT_TO_POINTER(has_event_idx), setup, test, teardown);
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	for (size_t i = 0; i < G_N_ELEMENTS(tests); i++) {
		add_both(tests[i].path, tests[i].test);
	}
	for (size_t i = 0; i < G_N_ELEMENTS(breakages); i++) {
		g_autofree char *path = g_strconcat("/virtq/broken/", breakages[i].name, NULL);

		g_test_add_data_func(path, &breakages[i], test_broken);
	}
	add_one("/virtq/notify/honours-flags", false, test_notify_honours_flags);
	add_one("/virtq/notify/honours-event-idx", true, test_notify_honours_event_idx);
	add_one("/virtq/notify/event-idx-across-the-wrap", true, test_event_idx_across_the_wrap);
	add_one("/virtq/kick/rearm-by-flags", false, test_rearm_by_flags);
	add_one("/virtq/kick/rearm-by-event-idx", true, test_rearm_by_event_idx);
	g_test_add_func("/virtq/setup/sizes", test_sizes);
	g_test_add_func("/virtq/setup/runs-only-when-all-is-there",
			test_runs_only_when_all_is_there);
	g_test_add_func("/virtq/finish-closes-everything", test_finish_closes_everything);
	return g_test_run();
}
