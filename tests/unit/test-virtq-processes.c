/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * A queue with its transport in one process and its device in another: what a
 * view is good for, and what becomes of the ring when the device's process is
 * killed, stopped or hostile. The test is the driver and the transport; where
 * it does not matter, it is the device as well, by a struct virtq of its own.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

#include "guestram.h"
#include "ring.h"
#include "unit.h"
#include "virtio/virtq.h"
#include "vm.h"

#define RING_SIZE 32u
#define RAM_BYTES (1u << 20)
#define SLOT_BYTES 64u

enum verdict {
	DONE = 1,
	LOST,
};

/* What the guest finds in its buffer; a request is the serial alone. */
struct answer {
	uint64_t serial;
	uint32_t verdict;
};

/* In memory that the processes share. */
struct shared {
	struct virtq_state state;
	/* For a device's process: no descriptors in it. */
	struct shared_lock view_lock;
	struct virtq_view view;
	unsigned int n_pushed; /* atomic; by a device's process */
};

struct fixture {
	struct guestram *ram;
	struct guestmem *mem;
	struct ring *ring;
	struct shared *shared;
	struct virtq transport, device;
	uint64_t slots; /* guest memory: for each head a request and an answer */

	uint64_t last_serial;
	uint64_t out[RING_SIZE]; /* by head: serial of what the device has to complete, or 0 */
	unsigned int n_out;
};

/* ---- the front-end ---- */

static struct uva to_uva(const struct fixture *f, uint64_t gpa)
{
	return (struct uva){ guestram_to_uva(f->ram, gpa) };
}

static enum virtq_status set_addresses(struct fixture *f)
{
	return virtq_set_addresses(&f->transport, to_uva(f, f->ring->desc_gpa),
				   to_uva(f, f->ring->avail_gpa), to_uva(f, f->ring->used_gpa));
}

static void start_at(struct fixture *f, uint16_t base)
{
	g_assert_cmpint(virtq_set_size(&f->transport, RING_SIZE), ==, VIRTQ_OK);
	g_assert_cmpint(virtq_set_base(&f->transport, base), ==, VIRTQ_OK);
	g_assert_cmpint(set_addresses(f), ==, VIRTQ_OK);
	virtq_set_call(&f->transport, dup(f->ring->call_fd));
	virtq_set_err(&f->transport, dup(f->ring->err_fd));
	virtq_set_kick(&f->transport, dup(f->ring->kick_fd));
	virtq_set_enabled(&f->transport, true);
}

static struct virtq_view dup_view(const struct fixture *f)
{
	struct virtq_view view;

	virtq_get_view(&f->transport, &view);
	int *fds[] = { &view.kick_fd, &view.call_fd, &view.err_fd };
	for (size_t i = 0; i < G_N_ELEMENTS(fds); i++) {
		*fds[i] = *fds[i] >= 0 ? fcntl(*fds[i], F_DUPFD_CLOEXEC, 0) : -1;
	}
	return view;
}

/* The device hears of the setup, with the memory table that the transport has. */
static void give_view(struct fixture *f)
{
	struct virtq_view view = dup_view(f);

	virtq_set_view(&f->device, &view, f->transport.mem);
}

/* The device's process has ended; another one comes. */
static void replace_device(struct fixture *f)
{
	virtq_finish(&f->device);
	virtq_recover(&f->transport);
	virtq_init(&f->device, 0, &f->shared->state);
	give_view(f);
}

static void setup_at(struct fixture *f, bool has_event_idx, uint16_t base)
{
	*f = (struct fixture){ 0 };
	f->ram = guestram_create(RAM_BYTES);
	f->mem = vm_build_table(f->ram, 0, f->ram->n_regions);
	f->ring = ring_create(f->ram, 1, 0, RING_SIZE, has_event_idx);
	f->ring->avail_idx = f->ring->last_used = base;
	f->ring->avail->idx = f->ring->used->idx = base;
	f->slots = guestram_alloc(f->ram, 0, RING_SIZE * 2 * SLOT_BYTES, 8);
	f->shared = mmap(NULL, sizeof(*f->shared), PROT_READ | PROT_WRITE,
			 MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	g_assert_true(f->shared != MAP_FAILED);
	virtq_state_init(&f->shared->state);
	virtq_init(&f->transport, 0, &f->shared->state);
	virtq_init(&f->device, 0, &f->shared->state);
	virtq_set_memory(&f->transport, f->mem);
	virtq_set_features(&f->transport, has_event_idx, true);
	start_at(f, base);
	give_view(f);
	ring_take_calls(f->ring);
}

static void setup(struct fixture *f, gconstpointer data)
{
	setup_at(f, GPOINTER_TO_INT(data), 0);
}

static void teardown(struct fixture *f, gconstpointer data G_GNUC_UNUSED)
{
	virtq_finish(&f->device);
	virtq_finish(&f->transport);
	guestmem_unref(f->mem);
	ring_destroy(f->ring);
	guestram_destroy(f->ram);
	munmap(f->shared, sizeof(*f->shared));
}

static void stop_and_reset_ring(struct fixture *f)
{
	virtq_reset(&f->transport);
	ring_reset(f->ring);
	memset(f->out, 0, sizeof(f->out));
	f->n_out = 0;
}

/* ---- the driver ---- */

static void *slot(const struct fixture *f, unsigned int head, unsigned int half)
{
	return guestram_at(f->ram, f->slots + (head * 2 + half) * SLOT_BYTES, SLOT_BYTES);
}

static uint16_t submit(struct fixture *f)
{
	/* The head is the next free descriptor. */
	uint16_t head = f->ring->free_heads[f->ring->n_free - 1];
	uint64_t request = f->slots + head * 2 * SLOT_BYTES;
	const struct ring_segment segments[] = {
		{ request, sizeof(uint64_t), false },
		{ request + SLOT_BYTES, sizeof(struct answer), true },
	};

	f->last_serial++;
	g_assert_cmpuint(f->out[head], ==, 0);
	f->out[head] = f->last_serial;
	f->n_out++;
	memcpy(slot(f, head, 0), &f->last_serial, sizeof(f->last_serial));
	memset(slot(f, head, 1), 0, sizeof(struct answer));
	g_assert_cmpuint(ring_add(f->ring, segments, 2), ==, head);
	return head;
}

static void submit_n(struct fixture *f, unsigned int n)
{
	for (unsigned int i = 0; i < n; i++) {
		submit(f);
	}
}

/* The next used one. It must have been out, and its answer be its own. False: none. */
static bool take(struct fixture *f, struct answer *answer_out)
{
	struct vring_used_elem element;

	if (!ring_pop_used(f->ring, &element)) {
		return false;
	}
	g_assert_cmpuint(f->out[element.id], !=, 0);
	g_assert_cmpuint(element.len, ==, sizeof(*answer_out));
	memcpy(answer_out, slot(f, element.id, 1), sizeof(*answer_out));
	g_assert_cmpuint(answer_out->serial, ==, f->out[element.id]);
	f->out[element.id] = 0;
	f->n_out--;
	return true;
}

static void assert_taken(struct fixture *f, uint64_t serial, enum verdict verdict)
{
	struct answer answer = { 0 };

	g_assert_true(take(f, &answer));
	g_assert_cmpuint(answer.serial, ==, serial);
	g_assert_cmpuint(answer.verdict, ==, verdict);
}

static void assert_none_used(struct fixture *f)
{
	g_assert_cmpuint(ring_used_idx(f->ring), ==, f->ring->last_used);
}

/* ---- the device ---- */

static struct virtq_chain *pop(struct virtq *vq)
{
	struct virtq_chain *chain = NULL;

	g_assert_cmpint(virtq_pop(vq, &chain), ==, VIRTQ_OK);
	return chain;
}

static enum virtq_status pop_status(struct virtq *vq)
{
	struct virtq_chain *chain = NULL;
	enum virtq_status status = virtq_pop(vq, &chain);

	if (status == VIRTQ_OK) {
		virtq_chain_discard(chain);
	}
	return status;
}

static uint64_t serial_of(const struct virtq_chain *chain)
{
	uint64_t serial = 0;

	g_assert_true(virtq_chain_read(chain, 0, &serial, sizeof(serial)));
	return serial;
}

static void push(struct virtq *vq, struct virtq_chain *consume_chain, enum verdict verdict)
{
	const struct answer answer = { serial_of(consume_chain), verdict };

	virtq_push(vq, consume_chain, &answer, sizeof(answer));
}

/* The next lost one must be this one; it is answered. */
static void assert_lost(struct virtq *vq, uint64_t serial)
{
	struct virtq_chain *chain = NULL;

	g_assert_true(virtq_has_lost(vq));
	g_assert_cmpint(virtq_pop_lost(vq, &chain), ==, VIRTQ_OK);
	g_assert_cmpuint(serial_of(chain), ==, serial);
	push(vq, chain, LOST);
}

static void assert_none_lost(struct virtq *vq)
{
	struct virtq_chain *chain = NULL;

	g_assert_false(virtq_has_lost(vq));
	g_assert_cmpint(virtq_pop_lost(vq, &chain), ==, VIRTQ_E_EMPTY);
	g_assert_null(chain);
}

static void complete_one(struct fixture *f, struct virtq *vq)
{
	submit(f);
	push(vq, pop(vq), DONE);
	assert_taken(f, f->last_serial, DONE);
}

/* ---- views ---- */

static void test_two_sides(struct fixture *f, gconstpointer data G_GNUC_UNUSED)
{
	for (unsigned int i = 0; i < 3 * RING_SIZE; i++) {
		complete_one(f, &f->device);
	}
	virtq_notify(&f->device);
	g_assert_cmpuint(ring_take_calls(f->ring), ==, 1);
	g_assert_cmpuint(virtq_stop(&f->transport), ==, 3 * RING_SIZE);
}

static void change_features(struct fixture *f)
{
	virtq_set_features(&f->transport, f->ring->has_event_idx, true);
}

static void change_memory(struct fixture *f)
{
	virtq_set_memory(&f->transport, f->mem);
}

static void change_addresses(struct fixture *f)
{
	g_assert_cmpint(set_addresses(f), ==, VIRTQ_OK);
}

static void change_kick(struct fixture *f)
{
	virtq_set_kick(&f->transport, dup(f->ring->kick_fd));
}

static void change_call(struct fixture *f)
{
	virtq_set_call(&f->transport, dup(f->ring->call_fd));
}

static void change_err(struct fixture *f)
{
	virtq_set_err(&f->transport, dup(f->ring->err_fd));
}

static void change_enabled(struct fixture *f)
{
	virtq_set_enabled(&f->transport, false);
	virtq_set_enabled(&f->transport, true);
}

static void change_by_pause(struct fixture *f)
{
	start_at(f, virtq_stop(&f->transport));
}

static const struct {
	const char *name;
	void (*change)(struct fixture *f);
} changes[] = {
	{ "features", change_features },   { "memory", change_memory },
	{ "addresses", change_addresses }, { "kick", change_kick },
	{ "call", change_call },	   { "err", change_err },
	{ "enabled", change_enabled },	   { "pause", change_by_pause },
};

/* Whatever the transport changes, an old view is good for nothing until the next one comes. */
static void test_view_goes_old(gconstpointer data)
{
	void (*change)(struct fixture * f) = changes[GPOINTER_TO_SIZE(data)].change;
	struct fixture fixture, *f = &fixture;

	setup_at(f, true, 0);
	submit_n(f, 3);
	struct virtq_chain *first = pop(&f->device), *second = pop(&f->device);
	change(f);

	g_assert_cmpint(pop_status(&f->device), ==, VIRTQ_E_EMPTY);
	g_assert_false(virtq_has_avail(&f->device));
	g_assert_false(virtq_rearm(&f->device));
	push(&f->device, second, DONE);
	virtq_notify(&f->device);
	assert_none_used(f);
	ring_take_calls(f->ring);

	give_view(f);
	assert_taken(f, 2, DONE);
	g_assert_cmpuint(ring_take_calls(f->ring), ==, 1);
	g_assert_false(virtq_chain_is_stale(&f->device, first));
	push(&f->device, first, DONE);
	assert_taken(f, 1, DONE);
	push(&f->device, pop(&f->device), DONE);
	assert_taken(f, 3, DONE);
	teardown(f, NULL);
}

static void test_view_of_a_stopped_queue(struct fixture *f, gconstpointer data G_GNUC_UNUSED)
{
	submit_n(f, 2);
	struct virtq_chain *chain = pop(&f->device);
	uint16_t base = virtq_stop(&f->transport);

	g_assert_cmpuint(base, ==, 1);
	give_view(f);
	push(&f->device, chain, DONE);
	g_assert_cmpint(pop_status(&f->device), ==, VIRTQ_E_EMPTY);
	assert_none_used(f);
	start_at(f, base);
	assert_none_used(f); /* it is the device's to write it */
	give_view(f);
	assert_taken(f, 1, DONE);
	g_assert_cmpint(pop_status(&f->device), ==, VIRTQ_OK);
}

/* What was kept on a stopped queue does not survive a reset, however late the view comes. */
static void test_view_of_a_new_epoch(struct fixture *f, gconstpointer data G_GNUC_UNUSED)
{
	submit_n(f, 2);
	struct virtq_chain *kept = pop(&f->device), *out = pop(&f->device);

	virtq_stop(&f->transport);
	push(&f->device, kept, DONE);
	stop_and_reset_ring(f);
	g_assert_true(virtq_chain_is_stale(&f->device, out));
	start_at(f, 0);
	give_view(f);
	push(&f->device, out, DONE);
	virtq_notify(&f->device);
	assert_none_used(f);
	complete_one(f, &f->device);
}

static void test_view_owns_its_descriptors(struct fixture *f, gconstpointer data G_GNUC_UNUSED)
{
	unsigned int n_fds = unit_count_fds();
	uint32_t first, second;
	int fd = virtq_kick_fd_dup(&f->device, &first);

	g_assert_cmpint(fd, >=, 0);
	ring_kick_always(f->ring);
	g_assert_cmpuint(unit_take_event(fd), ==, 1);
	close(fd);
	for (unsigned int i = 0; i < 5; i++) {
		give_view(f);
	}
	g_assert_cmpuint(unit_count_fds(), ==, n_fds);
	close(virtq_kick_fd_dup(&f->device, &second));
	g_assert_cmpuint(second, !=, first);
	virtq_stop(&f->transport);
	give_view(f);
	g_assert_cmpuint(unit_count_fds(), ==, n_fds - 2);
	g_assert_cmpint(virtq_kick_fd_dup(&f->device, &second), ==, -1);
}

static void test_view_without_memory(struct fixture *f, gconstpointer data G_GNUC_UNUSED)
{
	struct guestmem *empty = guestmem_create_empty();
	struct virtq_view view = dup_view(f);

	submit(f);
	virtq_set_view(&f->device, &view, empty);
	g_assert_cmpint(pop_status(&f->device), ==, VIRTQ_E_EMPTY);
	give_view(f);
	g_assert_cmpint(pop_status(&f->device), ==, VIRTQ_OK);
	guestmem_unref(empty);
}

/* A region goes for a moment: the device's process is as patient as one process is. */
static void test_view_of_shrunk_memory(struct fixture *f, gconstpointer data G_GNUC_UNUSED)
{
	struct guestmem *without = vm_build_table(f->ram, 1, 1); /* the ring's, not the buffers' */

	submit(f);
	virtq_set_memory(&f->transport, without);
	f->transport.shrunk_us += G_TIME_SPAN_HOUR; /* however slow this machine is */
	give_view(f);
	g_assert_cmpint(pop_status(&f->device), ==, VIRTQ_E_EMPTY);
	g_assert_false(virtq_has_avail(&f->device));
	virtq_set_memory(&f->transport, f->mem);
	give_view(f);
	push(&f->device, pop(&f->device), DONE);
	assert_taken(f, 1, DONE);
	guestmem_unref(without);
}

static void test_broken_is_shared(struct fixture *f, gconstpointer data G_GNUC_UNUSED)
{
	ring_publish(f->ring, RING_SIZE);
	g_assert_cmpint(pop_status(&f->device), ==, VIRTQ_E_BROKEN);
	g_assert_cmpuint(unit_take_event(f->ring->err_fd), ==, 1);
	/* The next process finds it so, and who may not have heard of it hears it again. */
	replace_device(f);
	g_assert_cmpint(pop_status(&f->device), ==, VIRTQ_E_BROKEN);
	g_assert_cmpuint(unit_take_event(f->ring->err_fd), ==, 1);
	change_err(f);
	g_assert_cmpuint(unit_take_event(f->ring->err_fd), ==, 1);
	stop_and_reset_ring(f);
	start_at(f, 0);
	give_view(f);
	complete_one(f, &f->device);
}

/* A process that ends in good order leaves what it did not complete, like one that is killed. */
static void test_finish_leaves_the_state(struct fixture *f, gconstpointer data G_GNUC_UNUSED)
{
	submit_n(f, 2);
	virtq_chain_discard(pop(&f->device));
	replace_device(f);
	assert_lost(&f->device, 1);
	assert_none_lost(&f->device);
	push(&f->device, pop(&f->device), DONE);
	assert_taken(f, 1, LOST);
	assert_taken(f, 2, DONE);
}

/* ---- what is lost ---- */

static void test_nothing_lost(struct fixture *f, gconstpointer data G_GNUC_UNUSED)
{
	assert_none_lost(&f->device);
	complete_one(f, &f->device);
	submit(f);
	struct virtq_chain *chain = pop(&f->device);
	assert_none_lost(&f->device); /* out is not lost */
	push(&f->device, chain, DONE);
	assert_taken(f, 2, DONE);
	replace_device(f);
	assert_none_lost(&f->device);
	assert_none_lost(&f->transport);
	complete_one(f, &f->device);
}

static void test_lost_in_order(struct fixture *f, gconstpointer data G_GNUC_UNUSED)
{
	struct virtq_chain *chains[8];

	/* Heads that don't rise with the order. */
	complete_one(f, &f->device);
	submit_n(f, 10);
	for (size_t i = 0; i < G_N_ELEMENTS(chains); i++) {
		chains[i] = pop(&f->device);
	}
	for (size_t i = 0; i < G_N_ELEMENTS(chains); i++) {
		uint64_t serial = serial_of(chains[i]);

		if (serial == 3 || serial == 6 || serial == 9) {
			push(&f->device, chains[i], DONE);
			assert_taken(f, serial, DONE);
		} else {
			virtq_chain_discard(chains[i]);
		}
	}
	replace_device(f);
	assert_lost(&f->device, 2);
	assert_lost(&f->device, 4);
	/* The second one dies, too, with one of them popped again and one that was new. */
	struct virtq_chain *chain = NULL;
	g_assert_cmpint(virtq_pop_lost(&f->device, &chain), ==, VIRTQ_OK);
	g_assert_cmpuint(serial_of(chain), ==, 5);
	virtq_chain_discard(chain);
	chain = pop(&f->device);
	g_assert_cmpuint(serial_of(chain), ==, 10);
	virtq_chain_discard(chain);
	replace_device(f);
	assert_lost(&f->device, 5);
	assert_lost(&f->device, 7);
	assert_lost(&f->device, 8);
	assert_lost(&f->device, 10);
	assert_none_lost(&f->device);
	push(&f->device, pop(&f->device), DONE);
	for (unsigned int i = 0; i < 6; i++) {
		assert_taken(f, (const uint64_t[]){ 2, 4, 5, 7, 8, 10 }[i], LOST);
	}
	assert_taken(f, 11, DONE);
	g_assert_cmpuint(f->n_out, ==, 0);
}

/* Without a device's process the transport can answer for it. */
static void test_transport_answers_lost(struct fixture *f, gconstpointer data G_GNUC_UNUSED)
{
	submit_n(f, 2);
	virtq_chain_discard(pop(&f->device));
	virtq_recover(&f->transport);
	ring_take_calls(f->ring);
	assert_lost(&f->transport, 1);
	assert_none_lost(&f->transport);
	push(&f->transport, pop(&f->transport), DONE);
	virtq_notify(&f->transport);
	g_assert_cmpuint(ring_take_calls(f->ring), ==, 1);
	assert_taken(f, 1, LOST);
	assert_taken(f, 2, DONE);
}

static void test_all_lost(struct fixture *f, gconstpointer data G_GNUC_UNUSED)
{
	const struct ring_segment one = { f->slots, sizeof(uint64_t), false };

	for (unsigned int round = 0; round < 3; round++) {
		for (unsigned int i = 0; i < RING_SIZE; i++) {
			ring_add(f->ring, &one, 1);
			virtq_chain_discard(pop(&f->device));
		}
		replace_device(f);
		/* They count as out, as before. */
		g_assert_cmpint(pop_status(&f->device), ==, VIRTQ_E_EMPTY);
		for (unsigned int i = 0; i < RING_SIZE; i++) {
			struct vring_used_elem element;
			struct virtq_chain *chain = NULL;

			g_assert_cmpint(virtq_pop_lost(&f->device, &chain), ==, VIRTQ_OK);
			virtq_push(&f->device, chain, "", 0);
			g_assert_true(ring_pop_used(f->ring, &element));
		}
		assert_none_lost(&f->device);
	}
}

static void test_paused(struct fixture *f, gconstpointer data G_GNUC_UNUSED)
{
	submit_n(f, 2);
	struct virtq_chain *kept = pop(&f->device);
	virtq_chain_discard(pop(&f->device));
	uint16_t base = virtq_stop(&f->transport);

	push(&f->device, kept, DONE); /* its answer dies with the process */
	replace_device(f);
	assert_none_lost(&f->device);
	assert_none_lost(&f->transport);
	assert_none_used(f);
	start_at(f, base);
	ring_take_calls(f->ring);
	give_view(f);
	assert_lost(&f->device, 1);
	assert_lost(&f->device, 2);
	assert_none_lost(&f->device);
	assert_taken(f, 1, LOST);
	assert_taken(f, 2, LOST);
	complete_one(f, &f->device);
}

static void test_reset_drops_lost(struct fixture *f, gconstpointer data G_GNUC_UNUSED)
{
	submit_n(f, 2);
	virtq_chain_discard(pop(&f->device));
	replace_device(f);
	g_assert_true(virtq_has_lost(&f->device));
	stop_and_reset_ring(f);
	start_at(f, 0);
	give_view(f);
	assert_none_lost(&f->device);
	complete_one(f, &f->device);
}

static void test_another_base_drops_lost(struct fixture *f, gconstpointer data G_GNUC_UNUSED)
{
	submit_n(f, 2);
	virtq_chain_discard(pop(&f->device));
	g_assert_cmpuint(virtq_stop(&f->transport), ==, 1);
	replace_device(f);
	start_at(f, 0);
	give_view(f);
	assert_none_lost(&f->device);
	/* Both are available again. */
	push(&f->device, pop(&f->device), DONE);
	push(&f->device, pop(&f->device), DONE);
	assert_taken(f, 1, DONE);
	assert_taken(f, 2, DONE);
}

/* The guest had its time to spoil what is read a second time. */
static void test_lost_and_spoilt(struct fixture *f, gconstpointer data G_GNUC_UNUSED)
{
	struct vring_used_elem element;
	struct virtq_chain *chain = NULL;
	uint16_t loop = submit(f), outside = submit(f), good = submit(f);

	for (unsigned int i = 0; i < 3; i++) {
		virtq_chain_discard(pop(&f->device));
	}
	f->ring->desc[loop].next = loop;
	f->ring->desc[outside].addr = UINT64_C(0x80000000);
	replace_device(f);
	for (unsigned int i = 0; i < 2; i++) {
		g_assert_cmpint(virtq_pop_lost(&f->device, &chain), ==, VIRTQ_OK);
		g_assert_cmpuint(chain->head, ==, i == 0 ? loop : outside);
		g_assert_cmpuint(chain->n_readable + chain->n_writable, ==, 0);
		g_assert_cmpuint(chain->readable_bytes + chain->writable_bytes, ==, 0);
		virtq_push(&f->device, chain, "nowhere", 7);
		g_assert_true(f->ring->used->idx == i + 1);
		element = f->ring->used->ring[i];
		g_assert_cmpuint(element.id, ==, i == 0 ? loop : outside);
		g_assert_cmpuint(element.len, ==, 0);
	}
	f->ring->last_used = 2;
	assert_lost(&f->device, 3);
	assert_taken(f, f->out[good], LOST);
	assert_none_lost(&f->device);
}

/* The process died while a region was away for a moment. */
static void test_lost_waits_for_its_memory(struct fixture *f, gconstpointer data G_GNUC_UNUSED)
{
	struct guestmem *without = vm_build_table(f->ram, 1, 1);
	struct virtq_chain *chain = NULL;

	submit(f);
	virtq_chain_discard(pop(&f->device));
	virtq_set_memory(&f->transport, without);
	f->transport.shrunk_us += G_TIME_SPAN_HOUR;
	replace_device(f);
	g_assert_cmpint(virtq_pop_lost(&f->device, &chain), ==, VIRTQ_E_EMPTY);
	g_assert_false(virtq_has_lost(&f->device)); /* there is nothing to be awake for */
	virtq_set_memory(&f->transport, f->mem);
	give_view(f);
	assert_lost(&f->device, 1);
	assert_taken(f, 1, LOST);
	guestmem_unref(without);
}

/* Against the rules; all that matters is that it ends. */
static void test_lost_made_available_again(struct fixture *f, gconstpointer data G_GNUC_UNUSED)
{
	struct virtq_chain *chain = NULL;
	uint16_t head = submit(f);

	virtq_chain_discard(pop(&f->device));
	replace_device(f);
	ring_publish(f->ring, head);
	chain = pop(&f->device);
	g_assert_cmpint(virtq_pop_lost(&f->device, &chain), ==, VIRTQ_E_EMPTY);
	assert_none_lost(&f->device);
	push(&f->device, chain, DONE);
	assert_taken(f, 1, DONE);
	complete_one(f, &f->device);
}

/* A chain may be out for longer than the ring's index takes to come round. */
static void test_lost_after_65536_others(struct fixture *f, gconstpointer data G_GNUC_UNUSED)
{
	submit(f);
	virtq_chain_discard(pop(&f->device));
	for (unsigned int i = 0; i < 65535; i++) {
		complete_one(f, &f->device);
	}
	/* The index is that of the first pop again, and the next chain is available. */
	submit(f);
	replace_device(f);
	assert_lost(&f->device, 1);
	assert_none_lost(&f->device);
	push(&f->device, pop(&f->device), DONE);
	assert_taken(f, 1, LOST);
	assert_taken(f, f->last_serial, DONE);
	g_assert_cmpuint(f->n_out, ==, 0);
}

/* The guest is told of what it may not have been told of. */
static void test_interrupt_after_recovery(struct fixture *f, gconstpointer data G_GNUC_UNUSED)
{
	complete_one(f, &f->device);
	virtq_recover(&f->transport);
	g_assert_cmpuint(ring_take_calls(f->ring), ==, 1);
	/* A paused one when it goes on. */
	give_view(f);
	uint16_t base = virtq_stop(&f->transport);
	virtq_recover(&f->transport);
	g_assert_cmpuint(ring_take_calls(f->ring), ==, 0);
	start_at(f, base);
	g_assert_cmpuint(ring_take_calls(f->ring), >=, 1);
}

/* ---- half done ---- */

/*
 * What the state and the ring hold when the process dies in the middle of a
 * pop or push of this head, by the number of stores that it came to.
 */
static void half_pop(struct fixture *f, uint16_t head, unsigned int n_stores)
{
	struct virtq_state *state = &f->shared->state;

	shared_lock_take(&state->lock);
	if (n_stores >= 1) {
		state->in_flight[head] = state->last_avail;
	}
	if (n_stores >= 2) {
		state->last_avail++;
	}
	if (n_stores >= 3) {
		state->n_out++;
	}
}

static void half_push(struct fixture *f, uint16_t head, unsigned int n_stores)
{
	struct virtq_state *state = &f->shared->state;
	const struct answer answer = { f->out[head], DONE };

	shared_lock_take(&state->lock);
	memcpy(slot(f, head, 1), &answer, sizeof(answer));
	if (n_stores >= 1) {
		state->pushing = head;
	}
	if (n_stores >= 2) {
		f->ring->used->ring[state->used_index % RING_SIZE] =
			(struct vring_used_elem){ head, sizeof(answer) };
	}
	if (n_stores >= 3) {
		f->ring->used->idx = (uint16_t)(state->used_index + 1);
	}
	if (n_stores >= 4) {
		state->in_flight[head] = 0;
	}
	if (n_stores >= 5) {
		state->used_index++;
	}
	if (n_stores >= 6) {
		state->n_out--;
	}
}

/* Whatever is left: the lost ones, then the available ones. */
static void complete_rest(struct fixture *f)
{
	struct virtq_chain *chain;
	uint64_t last = 0;

	while (virtq_has_lost(&f->device)) {
		g_assert_cmpint(virtq_pop_lost(&f->device, &chain), ==, VIRTQ_OK);
		g_assert_cmpuint(serial_of(chain), >, last);
		last = serial_of(chain);
		push(&f->device, chain, LOST);
	}
	while (virtq_pop(&f->device, &chain) == VIRTQ_OK) {
		g_assert_cmpuint(serial_of(chain), >, last);
		last = serial_of(chain);
		push(&f->device, chain, DONE);
	}
}

static void test_half_pop(gconstpointer data)
{
	const uint16_t base = (uint16_t)GPOINTER_TO_UINT(data);

	for (unsigned int n_stores = 0; n_stores <= 3; n_stores++) {
		struct fixture fixture, *f = &fixture;

		setup_at(f, true, base);
		submit(f);
		uint16_t second = submit(f);
		submit(f);
		virtq_chain_discard(pop(&f->device));
		half_pop(f, second, n_stores);
		replace_device(f);
		complete_rest(f);
		assert_taken(f, 1, LOST);
		/* Before the second store it has not been popped. */
		assert_taken(f, 2, n_stores < 2 ? DONE : LOST);
		assert_taken(f, 3, DONE);
		assert_none_used(f);
		g_assert_cmpuint(f->shared->state.n_out, ==, 0);
		complete_one(f, &f->device);
		teardown(f, NULL);
	}
}

static void test_half_push(gconstpointer data)
{
	const uint16_t base = (uint16_t)GPOINTER_TO_UINT(data);

	for (unsigned int n_stores = 0; n_stores <= 6; n_stores++) {
		struct fixture fixture, *f = &fixture;

		setup_at(f, true, base);
		/* A push before, so that "pushing" says something. */
		complete_one(f, &f->device);
		submit(f);
		uint16_t second = submit(f);
		submit(f);
		virtq_chain_discard(pop(&f->device));
		virtq_chain_discard(pop(&f->device));
		half_push(f, second, n_stores);
		replace_device(f);
		complete_rest(f);
		/* From the third store on the guest has it. */
		if (n_stores >= 3) {
			assert_taken(f, 3, DONE);
		}
		assert_taken(f, 2, LOST);
		if (n_stores < 3) {
			assert_taken(f, 3, LOST);
		}
		assert_taken(f, 4, DONE);
		assert_none_used(f);
		g_assert_cmpuint(f->shared->state.n_out, ==, 0);
		complete_one(f, &f->device);
		teardown(f, NULL);
	}
}

/* What is left of a push is decided when the ring can be looked at. */
static void assert_completed_after_half_push(struct fixture *f, bool is_pushed)
{
	complete_rest(f);
	if (is_pushed) {
		assert_taken(f, f->last_serial, DONE);
	}
	assert_taken(f, f->last_serial - 1, LOST);
	if (!is_pushed) {
		assert_taken(f, f->last_serial, LOST);
	}
	assert_none_used(f);
	g_assert_cmpuint(f->shared->state.n_out, ==, 0);
}

/* The guest's memory may be away when the process is found dead: of a paused one, or for a moment.
 */
static void without_memory(struct fixture *f, unsigned int n_stores, bool is_paused)
{
	struct guestmem *empty = guestmem_create_empty();
	uint16_t base = 0;

	submit(f);
	uint16_t second = submit(f);
	virtq_chain_discard(pop(&f->device));
	virtq_chain_discard(pop(&f->device));
	half_push(f, second, n_stores);
	shared_lock_break(&f->shared->state.lock); /* so that this test waits for nothing */
	if (is_paused) {
		base = virtq_stop(&f->transport);
	}
	virtq_set_memory(&f->transport, empty);
	replace_device(f);
	assert_none_lost(&f->device);
	virtq_set_memory(&f->transport, f->mem);
	if (is_paused) {
		start_at(f, base);
	}
	give_view(f);
	assert_completed_after_half_push(f, n_stores >= 3);
	guestmem_unref(empty);
}

static void test_half_push_without_memory(struct fixture *f, gconstpointer data G_GNUC_UNUSED)
{
	for (unsigned int n_stores = 0; n_stores <= 6; n_stores++) {
		without_memory(f, n_stores, false);
		without_memory(f, n_stores, true);
	}
}

/* ---- killed for real ---- */

static pid_t start_child(struct fixture *f, void (*run)(struct fixture *f))
{
	pid_t pid = fork();

	g_assert_no_errno(pid);
	if (pid == 0) {
		run(f);
		_exit(0);
	}
	return pid;
}

static void kill_child(pid_t pid)
{
	int status;

	g_assert_no_errno(kill(pid, SIGKILL));
	do {
		g_assert_cmpint(waitpid(pid, &status, 0), ==, pid);
	} while (WIFSTOPPED(status));
	/* Not before: by an assertion of its own, for example. */
	g_assert_true(WIFSIGNALED(status));
	g_assert_cmpint(WTERMSIG(status), ==, SIGKILL);
}

/* Pops a lost one and a new one, and pushes the first, under the eyes of its parent. */
static void traced_device(struct fixture *f)
{
	struct virtq_chain *lost = NULL, *chain = NULL;

	if (ptrace(PTRACE_TRACEME, 0, NULL, NULL) < 0) {
		_exit(errno);
	}
	raise(SIGSTOP);
	/* Assertions would be many steps. */
	if (virtq_pop_lost(&f->device, &lost) != VIRTQ_OK ||
	    virtq_pop(&f->device, &chain) != VIRTQ_OK) {
		_exit(EPROTO);
	}
	push(&f->device, lost, LOST);
	virtq_notify(&f->device);
}

struct snapshot {
	struct virtq_state state;
	uint16_t used_index;
	struct vring_used_elem used[RING_SIZE];
};

static bool has_changed(const struct fixture *f, struct snapshot *snapshot)
{
	const struct vring_used *used = f->ring->used;

	if (memcmp(&snapshot->state, &f->shared->state, sizeof(snapshot->state)) == 0 &&
	    snapshot->used_index == used->idx &&
	    memcmp(snapshot->used, used->ring, sizeof(snapshot->used)) == 0) {
		return false;
	}
	snapshot->state = f->shared->state;
	snapshot->used_index = used->idx;
	memcpy(snapshot->used, used->ring, sizeof(snapshot->used));
	return true;
}

enum stepped {
	KILLED,
	ENDED,
	UNTRACEABLE,
};

/* Let it run until what it shares has changed so often, then kill it, or to its end. */
static enum stepped run_until_change(struct fixture *f, unsigned int n_changes)
{
	struct snapshot snapshot = { 0 };
	pid_t pid = start_child(f, traced_device);
	int status;

	g_assert_cmpint(waitpid(pid, &status, 0), ==, pid);
	if (WIFEXITED(status)) {
		g_test_skip(g_strerror(WEXITSTATUS(status)));
		return UNTRACEABLE;
	}
	has_changed(f, &snapshot);
	while (n_changes > 0) {
		if (ptrace(PTRACE_SINGLESTEP, pid, NULL, NULL) < 0) {
			g_test_skip("this machine has no single steps");
			kill_child(pid);
			return UNTRACEABLE;
		}
		g_assert_cmpint(waitpid(pid, &status, 0), ==, pid);
		if (WIFEXITED(status)) {
			g_assert_cmpint(WEXITSTATUS(status), ==, 0);
			return ENDED;
		}
		n_changes -= has_changed(f, &snapshot);
	}
	kill_child(pid);
	return KILLED;
}

/* And in order. */
static void assert_all_taken_once(struct fixture *f)
{
	struct answer answer = { 0 };
	uint64_t last = 0;

	while (take(f, &answer)) {
		g_assert_cmpuint(answer.serial, >, last);
		last = answer.serial;
	}
	g_assert_cmpuint(last, ==, f->last_serial);
	g_assert_cmpuint(f->n_out, ==, 0);
}

/*
 * The states between any two stores of two pops, a push and a notification,
 * whatever the compiler has made of them.
 */
static void test_killed_at_each_change(void)
{
	enum stepped stepped = KILLED;
	unsigned int n;

	for (n = 0; stepped == KILLED; n++) {
		struct fixture fixture, *f = &fixture;

		setup_at(f, n % 2 == 0, 65534);
		/* So that what is left of the last push is not by chance what is right. */
		complete_one(f, &f->device);
		submit_n(f, 3);
		virtq_chain_discard(pop(&f->device));
		replace_device(f);
		stepped = run_until_change(f, n);
		replace_device(f);
		complete_rest(f);
		if (stepped != UNTRACEABLE) {
			assert_all_taken_once(f);
		}
		g_assert_cmpuint(f->shared->state.n_out, ==, 0);
		teardown(f, NULL);
	}
	g_test_message("%u states", n);
	/* Both locks, and what the tables above list. */
	g_assert_true(stepped == UNTRACEABLE || n > 12);
}

/* Where a device's process finds its view: its own descriptors are those of before the fork. */
static void publish_view(struct fixture *f)
{
	struct virtq_view view;

	virtq_get_view(&f->transport, &view);
	view.kick_fd = view.call_fd = view.err_fd = -1;
	shared_lock_take(&f->shared->view_lock);
	f->shared->view = view;
	shared_lock_release(&f->shared->view_lock);
}

static void follow_view(struct fixture *f, struct virtq *vq)
{
	shared_lock_take(&f->shared->view_lock);
	struct virtq_view view = f->shared->view;
	shared_lock_release(&f->shared->view_lock);
	if (view.serial != vq->serial || !vq->is_view) {
		view.call_fd = dup(f->ring->call_fd);
		virtq_set_view(vq, &view, f->mem);
	}
}

#define MAX_HELD 6u

/* At full speed: some are held for a while, and some of those overtake others. */
static void busy_device(struct fixture *f, bool is_in_order)
{
	g_autoptr(GRand) rand = g_rand_new_with_seed((guint32)getpid());
	struct virtq_chain *held[MAX_HELD];
	unsigned int n = 0;
	struct virtq vq;

	virtq_init(&vq, 0, &f->shared->state);
	while (true) {
		follow_view(f, &vq);
		unsigned int n_wanted = (unsigned int)g_rand_int_range(rand, 0, MAX_HELD + 1);
		unsigned int n_before = n;
		while (n < n_wanted && virtq_pop(&vq, &held[n]) == VIRTQ_OK) {
			n++;
		}
		if (n == n_before) {
			g_thread_yield();
			continue;
		}
		unsigned int n_kept = (unsigned int)g_rand_int_range(rand, 0, MAX_HELD);
		while (n > n_kept) {
			unsigned int i =
				is_in_order ? 0 : (unsigned int)g_rand_int_range(rand, 0, (int)n);

			push(&vq, held[i], DONE);
			memmove(&held[i], &held[i + 1], (n - i - 1) * sizeof(held[0]));
			n--;
			g_atomic_int_inc(&f->shared->n_pushed);
		}
		virtq_notify(&vq);
	}
}

static void orderly_device(struct fixture *f)
{
	busy_device(f, true);
}

static void disorderly_device(struct fixture *f)
{
	busy_device(f, false);
}

struct driver {
	struct fixture *f;
	bool is_in_order;
	uint64_t last; /* serial taken last */
	uint64_t n_lost, n_taken;
};

/* Take what is there; fill the ring up again. */
static void drive(struct driver *driver)
{
	struct fixture *f = driver->f;
	struct answer answer = { 0 };

	while (take(f, &answer)) {
		if (driver->is_in_order) {
			g_assert_cmpuint(answer.serial, ==, driver->last + 1);
		}
		driver->last = answer.serial;
		driver->n_lost += answer.verdict == LOST;
		driver->n_taken++;
	}
	while (f->ring->n_free >= 2) {
		submit(f);
	}
}

/* What it has done when it dies is chance: so many pushes, and a bit. */
static void drive_for_a_while(struct driver *driver, GRand *rand)
{
	unsigned int n = (unsigned int)g_rand_int_range(rand, 0, 300);
	unsigned int from = (unsigned int)g_atomic_int_get(&driver->f->shared->n_pushed);
	gint64 deadline_us = g_get_monotonic_time() + UNIT_TIMEOUT_MS * G_TIME_SPAN_MILLISECOND;

	while ((unsigned int)g_atomic_int_get(&driver->f->shared->n_pushed) - from < n) {
		g_assert_cmpint(g_get_monotonic_time(), <, deadline_us);
		drive(driver);
		g_thread_yield();
	}
	for (int i = g_rand_int_range(rand, 0, 2000); i > 0; i--) {
		drive(driver);
	}
}

/* Pause the guest: from the answer on nothing moves. */
static uint16_t stop_and_look(struct driver *driver)
{
	struct fixture *f = driver->f;
	uint16_t base = virtq_stop(&f->transport);
	uint16_t used = ring_used_idx(f->ring);

	publish_view(f);
	for (unsigned int i = 0; i < 20; i++) {
		drive(driver);
		g_thread_yield();
		g_assert_true(ring_used_idx(f->ring) == used || virtq_is_stuck(&f->transport));
	}
	return base;
}

static void answer_lost(struct fixture *f)
{
	struct virtq_chain *chain;
	uint64_t last = 0;

	while (virtq_pop_lost(&f->transport, &chain) == VIRTQ_OK) {
		g_assert_cmpuint(serial_of(chain), >, last);
		last = serial_of(chain);
		push(&f->transport, chain, LOST);
	}
	g_assert_false(virtq_has_lost(&f->transport));
}

/* One life of a device's process. */
static void live_and_die(struct driver *driver, GRand *rand)
{
	struct fixture *f = driver->f;
	bool is_paused = g_rand_int_range(rand, 0, 4) == 0;

	publish_view(f);
	pid_t pid = start_child(f, driver->is_in_order ? orderly_device : disorderly_device);
	drive_for_a_while(driver, rand);
	if (g_rand_int_range(rand, 0, 4) == 0) {
		start_at(f, stop_and_look(driver));
		publish_view(f);
	}
	/* On a machine that is so slow that it looks stuck it is killed a bit earlier. */
	if (!virtq_is_stuck(&f->transport)) {
		drive_for_a_while(driver, rand);
	}
	if (is_paused) {
		stop_and_look(driver);
	}
	kill_child(pid);
	shared_lock_break(&f->shared->view_lock);
	virtq_recover(&f->transport);
	if (is_paused) {
		assert_none_lost(&f->transport);
		start_at(f, virtq_stop(&f->transport));
	}
	answer_lost(f);
	drive(driver);
}

static void test_killed_at_random(gconstpointer data)
{
	struct fixture fixture, *f = &fixture;
	struct driver driver = { .f = f, .is_in_order = GPOINTER_TO_INT(data) };
	g_autoptr(GRand) rand = g_rand_new_with_seed((guint32)g_test_rand_int());
	struct virtq_chain *chain;

	setup_at(f, true, 65000);
	for (unsigned int round = 0; round < 400; round++) {
		live_and_die(&driver, rand);
	}
	while (virtq_pop(&f->transport, &chain) == VIRTQ_OK) {
		push(&f->transport, chain, DONE);
	}
	struct answer answer = { 0 };
	while (take(f, &answer)) {
		driver.n_taken++;
	}
	g_assert_cmpuint(f->n_out, ==, 0);
	g_assert_cmpuint(driver.n_taken, ==, f->last_serial);
	g_assert_cmpuint(unit_take_event(f->ring->err_fd), ==, 0);
	g_test_message("%" G_GUINT64_FORMAT " chains, %" G_GUINT64_FORMAT " of them lost",
		       driver.n_taken, driver.n_lost);
	g_assert_cmpuint(driver.n_lost, >, 0);
	teardown(f, NULL);
}

/* ---- a process that does not let go ---- */

static gint64 since_us(gint64 before_us)
{
	return g_get_monotonic_time() - before_us;
}

/* The device's process has the lock, and keeps it. The transport stops the queue nevertheless. */
static uint16_t stop_stuck(struct fixture *f)
{
	gint64 before_us = g_get_monotonic_time();

	g_assert_false(virtq_is_stuck(&f->transport));
	uint16_t base = virtq_stop(&f->transport);
	g_assert_cmpint(since_us(before_us), >=, VIRTQ_PATIENCE_MS * G_TIME_SPAN_MILLISECOND);
	g_assert_cmpint(since_us(before_us), <, UNIT_TIMEOUT_MS * G_TIME_SPAN_MILLISECOND);
	g_assert_true(virtq_is_stuck(&f->transport));
	/* No second wait; and what the transport runs now is nothing. */
	before_us = g_get_monotonic_time();
	g_assert_cmpuint(virtq_stop(&f->transport), ==, base);
	start_at(f, base);
	g_assert_cmpint(pop_status(&f->transport), ==, VIRTQ_E_EMPTY);
	assert_none_lost(&f->transport);
	g_assert_cmpuint(virtq_stop(&f->transport), ==, base);
	g_assert_cmpint(since_us(before_us), <, VIRTQ_PATIENCE_MS * G_TIME_SPAN_MILLISECOND);
	return base;
}

/* Killed where it was: the queue goes on as if it had not been stuck. */
static void test_stuck_and_killed(struct fixture *f, gconstpointer data G_GNUC_UNUSED)
{
	submit_n(f, 2);
	uint16_t head = f->ring->avail->ring[0];
	virtq_chain_discard(pop(&f->device));
	half_push(f, head, 4);
	uint16_t base = stop_stuck(f);
	replace_device(f);
	g_assert_false(virtq_is_stuck(&f->transport));
	g_assert_cmpuint(virtq_stop(&f->transport), ==, base);
	start_at(f, base);
	give_view(f);
	complete_rest(f);
	assert_taken(f, 1, DONE);
	assert_taken(f, 2, DONE);
}

/* It came to itself before it was killed, and finished what it was doing; no more than that. */
static void test_stuck_and_late(struct fixture *f, gconstpointer data G_GNUC_UNUSED)
{
	submit_n(f, 3);
	virtq_chain_discard(pop(&f->device));
	shared_lock_take(&f->shared->state.lock);
	stop_stuck(f);
	shared_lock_release(&f->shared->state.lock);
	half_pop(f, f->ring->avail->ring[1], 3);
	shared_lock_release(&f->shared->state.lock);
	/* The view is old, whatever the transport could not write. */
	g_assert_cmpint(pop_status(&f->device), ==, VIRTQ_E_EMPTY);
	replace_device(f);
	uint16_t base = virtq_stop(&f->transport);
	g_assert_cmpuint(base, ==, 2);
	start_at(f, base);
	give_view(f);
	assert_lost(&f->device, 1);
	assert_lost(&f->device, 2);
	assert_none_lost(&f->device);
	push(&f->device, pop(&f->device), DONE);
	assert_taken(f, 1, LOST);
	assert_taken(f, 2, LOST);
	assert_taken(f, 3, DONE);
}

/* What the transport did meanwhile counts, not what was before. */
static void test_stuck_and_reset(struct fixture *f, gconstpointer data G_GNUC_UNUSED)
{
	submit_n(f, 3);
	virtq_chain_discard(pop(&f->device));
	half_pop(f, f->ring->avail->ring[1], 3);
	stop_stuck(f);
	stop_and_reset_ring(f);
	start_at(f, 0);
	submit(f);
	replace_device(f);
	assert_none_lost(&f->device);
	push(&f->device, pop(&f->device), DONE);
	assert_taken(f, f->last_serial, DONE);
	g_assert_cmpuint(virtq_stop(&f->transport), ==, 1);
}

static void test_stuck_and_another_base(struct fixture *f, gconstpointer data G_GNUC_UNUSED)
{
	submit_n(f, 3);
	virtq_chain_discard(pop(&f->device));
	virtq_chain_discard(pop(&f->device));
	shared_lock_take(&f->shared->state.lock);
	g_assert_cmpuint(stop_stuck(f), ==, 2);
	start_at(f, 1);
	replace_device(f);
	assert_none_lost(&f->device);
	for (uint64_t serial = 2; serial <= 3; serial++) {
		push(&f->device, pop(&f->device), DONE);
		assert_taken(f, serial, DONE);
	}
}

static void test_stuck_and_broken(struct fixture *f, gconstpointer data G_GNUC_UNUSED)
{
	ring_publish(f->ring, RING_SIZE);
	g_assert_cmpint(pop_status(&f->device), ==, VIRTQ_E_BROKEN);
	shared_lock_take(&f->shared->state.lock);
	uint16_t base = stop_stuck(f); /* which mends it */
	f->ring->avail_idx--;
	f->ring->avail->idx--;
	replace_device(f);
	g_assert_cmpint(pop_status(&f->device), ==, VIRTQ_E_EMPTY);
	start_at(f, base);
	give_view(f);
	complete_one(f, &f->device);
}

static void test_finish_while_stuck(struct fixture *f, gconstpointer data G_GNUC_UNUSED)
{
	shared_lock_take(&f->shared->state.lock);
	stop_stuck(f);
}

/* ---- a hostile process ---- */

static void random_bytes(GRand *rand, void *to, size_t size_bytes)
{
	for (size_t i = 0; i < size_bytes; i++) {
		((uint8_t *)to)[i] = (uint8_t)g_rand_int(rand);
	}
}

static uint64_t odd_number(GRand *rand)
{
	const uint64_t numbers[] = { 0,
				     1,
				     RING_SIZE,
				     VIRTQ_MAX_SIZE,
				     UINT16_MAX,
				     UINT16_MAX + 1,
				     UINT32_MAX,
				     INT64_MAX,
				     UINT64_C(1) << 62,
				     UINT64_C(1) << 63,
				     UINT64_MAX };

	return numbers[g_rand_int_range(rand, 0, G_N_ELEMENTS(numbers))] +
	       (uint64_t)(int64_t)g_rand_int_range(rand, -1, 2);
}

/* All but the lock, which costs a second each time. */
static void spoil(struct virtq_state *state, GRand *rand)
{
	const size_t at = offsetof(struct virtq_state, setup_serial);

	if (g_rand_boolean(rand)) {
		random_bytes(rand, (char *)state + at, sizeof(*state) - at);
	}
	if (g_rand_boolean(rand)) {
		state->last_avail = odd_number(rand);
		state->pushing = (uint32_t)odd_number(rand);
		state->n_out = (uint32_t)odd_number(rand);
		state->n_lost = (uint32_t)odd_number(rand);
		state->used_index = (uint16_t)odd_number(rand);
		state->is_broken = (uint8_t)g_rand_int(rand);
	}
	for (int n = g_rand_int_range(rand, 0, 40); n > 0; n--) {
		state->in_flight[g_rand_int_range(rand, 0, VIRTQ_MAX_SIZE)] = odd_number(rand);
	}
}

static void any_change(struct fixture *f, GRand *rand)
{
	struct virtq_view view;

	switch (g_rand_int_range(rand, 0, 6)) {
	case 0:
		start_at(f, virtq_stop(&f->transport));
		break;
	case 1:
		virtq_stop(&f->transport);
		start_at(f, (uint16_t)g_rand_int(rand));
		break;
	case 2:
		virtq_reset(&f->transport);
		start_at(f, 0);
		break;
	case 3:
		virtq_get_view(&f->transport, &view);
		g_assert_cmpuint(view.serial, ==, f->transport.serial);
		break;
	default:
		changes[g_rand_int_range(rand, 0, G_N_ELEMENTS(changes))].change(f);
		break;
	}
}

/* As the device: whatever there is ends, within what a ring can hold. */
static void exhaust(struct virtq *vq)
{
	struct virtq_chain *chain;
	unsigned int n_lost = 0, n = 0;

	while (virtq_pop_lost(vq, &chain) == VIRTQ_OK) {
		g_assert_cmpuint(chain->head, <, RING_SIZE);
		virtq_push(vq, chain, "", 0);
		g_assert_cmpuint(++n_lost, <=, RING_SIZE);
	}
	while (virtq_pop(vq, &chain) == VIRTQ_OK) {
		g_assert_cmpuint(chain->head, <, RING_SIZE);
		virtq_push(vq, chain, "", 0);
		g_assert_cmpuint(++n, <=, RING_SIZE);
	}
	virtq_notify(vq);
	virtq_rearm(vq);
	virtq_suppress(vq);
}

static void assert_as_new(struct fixture *f)
{
	stop_and_reset_ring(f);
	start_at(f, 0);
	replace_device(f);
	assert_none_lost(&f->device);
	for (unsigned int i = 0; i < 2 * RING_SIZE; i++) {
		complete_one(f, &f->device);
	}
}

static void test_hostile_state(struct fixture *f, gconstpointer data G_GNUC_UNUSED)
{
	g_autoptr(GRand) rand = g_rand_new_with_seed((guint32)g_test_rand_int());

	for (unsigned int round = 0; round < 300; round++) {
		for (unsigned int i = 0; i < 5; i++) {
			spoil(&f->shared->state, rand);
			any_change(f, rand);
		}
		if (g_rand_boolean(rand)) {
			submit_n(f, 1);
		}
		spoil(&f->shared->state, rand);
		virtq_recover(&f->transport);
		exhaust(&f->transport);
		spoil(&f->shared->state, rand);
		exhaust(&f->transport);
		assert_as_new(f);
	}
}

static void scribble(struct fixture *f)
{
	g_autoptr(GRand) rand = g_rand_new_with_seed(1);

	while (true) {
		spoil(&f->shared->state, rand);
		g_atomic_int_set(&f->shared->n_pushed, 1);
	}
}

static bool is_up(void *data)
{
	const struct fixture *f = data;

	return g_atomic_int_get(&f->shared->n_pushed) != 0;
}

/* While the transport looks. */
static void test_hostile_state_that_changes(struct fixture *f, gconstpointer data G_GNUC_UNUSED)
{
	g_autoptr(GRand) rand = g_rand_new_with_seed((guint32)g_test_rand_int());
	pid_t pid = start_child(f, scribble);

	g_assert_true(unit_wait(is_up, f));
	for (unsigned int i = 0; i < 2000; i++) {
		any_change(f, rand);
	}
	kill_child(pid);
	virtq_recover(&f->transport);
	exhaust(&f->transport);
	assert_as_new(f);
}

/* A count of pops that can't go on. The next process is as honest as any. */
static void test_hostile_count(struct fixture *f, gconstpointer data G_GNUC_UNUSED)
{
	const uint64_t counts[] = { 0, UINT64_C(1) << 62, INT64_MAX, UINT64_MAX };

	for (size_t i = 0; i < G_N_ELEMENTS(counts); i++) {
		f->shared->state.last_avail =
			(counts[i] & ~(uint64_t)UINT16_MAX) | f->ring->avail_idx;
		replace_device(f);
		submit_n(f, 2);
		virtq_chain_discard(pop(&f->device));
		virtq_chain_discard(pop(&f->device));
		replace_device(f);
		complete_rest(f);
		assert_taken(f, f->last_serial - 1, LOST);
		assert_taken(f, f->last_serial, LOST);
	}
}

/* More in flight than this ring has heads, all of it outside. */
static void test_hostile_heads(struct fixture *f, gconstpointer data G_GNUC_UNUSED)
{
	struct virtq_state *state = &f->shared->state;

	complete_one(f, &f->device);
	for (unsigned int head = RING_SIZE; head < VIRTQ_MAX_SIZE; head++) {
		state->in_flight[head] = state->last_avail - 1;
	}
	state->pushing = UINT32_MAX;
	state->used_index--;
	replace_device(f);
	assert_none_lost(&f->device);
	complete_one(f, &f->device);
}

/* One that is to come: the next process would take a chain of before the reset for one of after. */
static void test_hostile_epoch(struct fixture *f, gconstpointer data G_GNUC_UNUSED)
{
	f->shared->state.epoch = f->transport.epoch + 1;
	replace_device(f);
	submit(f);
	struct virtq_chain *chain = pop(&f->device);
	stop_and_reset_ring(f);
	g_assert_true(virtq_chain_is_stale(&f->device, chain));
	virtq_chain_discard(chain);
}

static void test_hostile_lock(struct fixture *f, gconstpointer data G_GNUC_UNUSED)
{
	const uint32_t words[] = { 3, UINT32_MAX };

	for (size_t i = 0; i < G_N_ELEMENTS(words); i++) {
		f->shared->state.lock.word = words[i];
		stop_stuck(f);
		virtq_recover(&f->transport);
		assert_as_new(f);
	}
}

/* It waits if there is none. */
static void assert_event(int fd, uint64_t n)
{
	g_assert_true(unit_is_readable(fd));
	g_assert_cmpuint(unit_take_event(fd), ==, n);
}

/* An interrupt descriptor that is full and waits: nobody who reads it is there. */
static void test_hostile_call(struct fixture *f, gconstpointer data G_GNUC_UNUSED)
{
	int full = eventfd(0, EFD_CLOEXEC);

	virtq_set_call(&f->transport, dup(full));
	give_view(f);
	assert_event(full, 1);
	complete_one(f, &f->device);
	g_assert_no_errno(eventfd_write(full, UINT64_MAX - 1));
	replace_device(f);
	assert_event(full, UINT64_MAX - 1);
	/* It is used as long as there is room. */
	virtq_recover(&f->transport);
	assert_event(full, 1);
	close(full);
}

static const struct {
	const char *path;
	void (*test)(struct fixture *f, gconstpointer data);
} tests[] = {
	{ "/virtq-processes/two-sides", test_two_sides },
	{ "/virtq-processes/view/of-a-stopped-queue", test_view_of_a_stopped_queue },
	{ "/virtq-processes/view/of-a-new-epoch", test_view_of_a_new_epoch },
	{ "/virtq-processes/view/owns-its-descriptors", test_view_owns_its_descriptors },
	{ "/virtq-processes/view/without-memory", test_view_without_memory },
	{ "/virtq-processes/view/of-shrunk-memory", test_view_of_shrunk_memory },
	{ "/virtq-processes/broken-is-shared", test_broken_is_shared },
	{ "/virtq-processes/finish-leaves-the-state", test_finish_leaves_the_state },
	{ "/virtq-processes/lost/nothing", test_nothing_lost },
	{ "/virtq-processes/lost/in-order", test_lost_in_order },
	{ "/virtq-processes/lost/answered-by-the-transport", test_transport_answers_lost },
	{ "/virtq-processes/lost/all", test_all_lost },
	{ "/virtq-processes/lost/paused", test_paused },
	{ "/virtq-processes/lost/reset-drops", test_reset_drops_lost },
	{ "/virtq-processes/lost/another-base-drops", test_another_base_drops_lost },
	{ "/virtq-processes/lost/and-spoilt", test_lost_and_spoilt },
	{ "/virtq-processes/lost/waits-for-its-memory", test_lost_waits_for_its_memory },
	{ "/virtq-processes/lost/made-available-again", test_lost_made_available_again },
	{ "/virtq-processes/lost/after-65536-others", test_lost_after_65536_others },
	{ "/virtq-processes/lost/interrupt", test_interrupt_after_recovery },
	{ "/virtq-processes/half/push-without-memory", test_half_push_without_memory },
	{ "/virtq-processes/stuck/and-killed", test_stuck_and_killed },
	{ "/virtq-processes/stuck/and-late", test_stuck_and_late },
	{ "/virtq-processes/stuck/and-reset", test_stuck_and_reset },
	{ "/virtq-processes/stuck/and-another-base", test_stuck_and_another_base },
	{ "/virtq-processes/stuck/and-broken", test_stuck_and_broken },
	{ "/virtq-processes/stuck/and-finished", test_finish_while_stuck },
	{ "/virtq-processes/hostile/state", test_hostile_state },
	{ "/virtq-processes/hostile/state-that-changes", test_hostile_state_that_changes },
	{ "/virtq-processes/hostile/count", test_hostile_count },
	{ "/virtq-processes/hostile/heads", test_hostile_heads },
	{ "/virtq-processes/hostile/epoch", test_hostile_epoch },
	{ "/virtq-processes/hostile/lock", test_hostile_lock },
	{ "/virtq-processes/hostile/call", test_hostile_call },
};

static void add_views(void)
{
	for (size_t i = 0; i < G_N_ELEMENTS(changes); i++) {
		g_autofree char *path =
			g_strconcat("/virtq-processes/view/goes-old/", changes[i].name, NULL);

		g_test_add_data_func(path, GSIZE_TO_POINTER(i), test_view_goes_old);
	}
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	for (size_t i = 0; i < G_N_ELEMENTS(tests); i++) {
		g_test_add(tests[i].path, struct fixture, GINT_TO_POINTER(true), setup,
			   tests[i].test, teardown);
	}
	add_views();
	g_test_add_data_func("/virtq-processes/half/pop", GUINT_TO_POINTER(0), test_half_pop);
	g_test_add_data_func("/virtq-processes/half/pop-at-the-wrap", GUINT_TO_POINTER(65534),
			     test_half_pop);
	g_test_add_data_func("/virtq-processes/half/push", GUINT_TO_POINTER(0), test_half_push);
	g_test_add_data_func("/virtq-processes/half/push-at-the-wrap", GUINT_TO_POINTER(65534),
			     test_half_push);
	g_test_add_func("/virtq-processes/killed/at-each-change", test_killed_at_each_change);
	g_test_add_data_func("/virtq-processes/killed/at-random", GINT_TO_POINTER(false),
			     test_killed_at_random);
	g_test_add_data_func("/virtq-processes/killed/at-random-in-order", GINT_TO_POINTER(true),
			     test_killed_at_random);
	return g_test_run();
}
