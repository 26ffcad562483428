/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * A ring with its transport in one process and its device in another, which
 * is killed between any two stores of what it does with the lock, or outside of
 * that, amid changes of the setup; and then another one comes.
 *
 * Each chain is completed once, and those that were lost come back in the
 * order of their pops. Where a process was hostile and has left garbage in the
 * state that both share, what comes of it is bounded, stays in the ring, and is
 * over with the next reset.
 */
#include <fcntl.h>
#include <stddef.h>
#include <string.h>
#include <unistd.h>

#include "clock.h"
#include "fuzz.h"
#include "guest.h"
#include "input.h"

#define LOCK_STEP_US (VIRTQ_PATIENCE_MS * 1000u / 4)
/* Of a pop and of a push: see virtq_state.c. */
#define POP_STORES 3u
#define PUSH_STORES 6u

enum fate {
	AVAILABLE, /* made available, not popped */
	OUT,	   /* the device has it */
	PUSHED,	   /* the device has done with it; it is written when the ring runs */
	LOST,	   /* its device died */
};

struct fuzz {
	struct fuzz_input in;
	struct fuzz_guest *guest;
	struct virtq_state state;
	struct virtq transport, device;
	unsigned int mask; /* of the regions in the transport's table */
	bool is_spoilt;	   /* a hostile process has written to the state */
	bool is_dead;	   /* the device's process, and the transport has not heard of it */

	/* The chains that the guest waits for, in the order that it made them available. */
	struct {
		uint16_t head;
		enum fate fate;
		struct virtq_chain *chain; /* OUT: owned */
	} calls[FUZZ_RING_SIZE];
	unsigned int n_calls;
};

const char *fuzz_prepare(void)
{
	return NULL;
}

/* ---- the guest ---- */

static void do_submit(struct fuzz *fuzz)
{
	static const char request[16];
	const struct fuzz_chain chain = {
		.request = request,
		.request_bytes = sizeof(request),
		.response_bytes = sizeof(request),
	};
	uint16_t head;

	if (fuzz_guest_submit(fuzz->guest, 0, &chain, &head)) {
		fuzz->calls[fuzz->n_calls].head = head;
		fuzz->calls[fuzz->n_calls].chain = NULL;
		fuzz->calls[fuzz->n_calls++].fate = AVAILABLE;
	}
}

/* The oldest one that this has become of; or n_calls. */
static unsigned int find_fate(const struct fuzz *fuzz, enum fate fate)
{
	unsigned int i = 0;

	while (i < fuzz->n_calls && fuzz->calls[i].fate != fate) {
		i++;
	}
	return i;
}

static unsigned int find_head(const struct fuzz *fuzz, uint32_t head)
{
	unsigned int i = 0;

	while (i < fuzz->n_calls && fuzz->calls[i].head != head) {
		i++;
	}
	return i;
}

static void remove_call(struct fuzz *fuzz, unsigned int i)
{
	fuzz->n_calls--;
	memmove(&fuzz->calls[i], &fuzz->calls[i + 1],
		(fuzz->n_calls - i) * sizeof(fuzz->calls[0]));
}

/* What the device has done with, and nothing else, once (fuzz_guest_take() looks for that). */
static void take(struct fuzz *fuzz)
{
	struct fuzz_used used;

	while (!fuzz->is_spoilt && fuzz_guest_take(fuzz->guest, 0, &used)) {
		unsigned int i = find_head(fuzz, used.head);

		g_assert_cmpuint(i, <, fuzz->n_calls);
		g_assert_cmpint(fuzz->calls[i].fate, ==, PUSHED);
		remove_call(fuzz, i);
	}
}

static void do_take(struct fuzz *fuzz)
{
	take(fuzz);
}

/* ---- the transport ---- */

static void set_memory(struct fuzz *fuzz, unsigned int mask)
{
	struct guestmem *mem = fuzz_guest_build_table(fuzz->guest, mask);

	virtq_set_memory(&fuzz->transport, mem);
	guestmem_unref(mem);
	fuzz->mask = mask;
}

static void start(struct fuzz *fuzz)
{
	struct guestmem *mem = fuzz_guest_build_table(fuzz->guest, FUZZ_ALL_REGIONS);
	uint16_t base = virtq_stop(&fuzz->transport);

	/* The base counts when the process that may be in the middle of something is gone. */
	if (!virtq_is_stuck(&fuzz->transport)) {
		fuzz_guest_start_queue(fuzz->guest, &fuzz->transport, mem, base);
		fuzz->mask = FUZZ_ALL_REGIONS;
	}
	guestmem_unref(mem);
}

static void change_call(struct fuzz *fuzz)
{
	virtq_set_call(&fuzz->transport, dup(fuzz_guest_vring(fuzz->guest, 0).call_fd));
}

static void change_err(struct fuzz *fuzz)
{
	virtq_set_err(&fuzz->transport, dup(fuzz_guest_vring(fuzz->guest, 0).err_fd));
}

/* Any of them makes the device's view an old one. */
static void do_change(struct fuzz *fuzz)
{
	switch (fuzz_input_below(&fuzz->in, 8)) {
	case 0:
		start(fuzz);
		break;
	case 1:
		virtq_stop(&fuzz->transport);
		break;
	case 2:
		/* The ring's own region may go, too. */
		set_memory(fuzz, fuzz_input_below(&fuzz->in, FUZZ_ALL_REGIONS + 1));
		break;
	case 3:
		virtq_set_enabled(&fuzz->transport, fuzz_input_flag(&fuzz->in));
		break;
	case 4:
		change_call(fuzz);
		break;
	case 5:
		change_err(fuzz);
		break;
	case 6:
		virtq_set_features(&fuzz->transport, true, true);
		break;
	default:
		set_memory(fuzz, FUZZ_ALL_REGIONS);
		break;
	}
}

/* The device hears of the setup, with what memory there is. */
static void give_view(struct fuzz *fuzz)
{
	struct guestmem *mem = fuzz_guest_build_table(fuzz->guest, fuzz->mask);
	struct virtq_view view;

	virtq_get_view(&fuzz->transport, &view);
	int *fds[] = { &view.kick_fd, &view.call_fd, &view.err_fd };
	for (size_t i = 0; i < G_N_ELEMENTS(fds); i++) {
		*fds[i] = *fds[i] >= 0 ? dup(*fds[i]) : -1;
	}
	virtq_set_view(&fuzz->device, &view, mem);
	guestmem_unref(mem);
	take(fuzz);
}

static void do_give_view(struct fuzz *fuzz)
{
	if (!fuzz->is_dead && !fuzz->is_spoilt) {
		give_view(fuzz);
	}
}

/* ---- the device ---- */

static bool is_at_work(const struct fuzz *fuzz)
{
	return !fuzz->is_dead && !fuzz->is_spoilt;
}

/* As a guest that has nothing wrong with it expects. False: the ring does not run. */
static bool pop(struct fuzz *fuzz)
{
	struct virtq_chain *chain = NULL;
	unsigned int i = find_fate(fuzz, AVAILABLE);
	enum virtq_status status = virtq_pop(&fuzz->device, &chain);

	if (status != VIRTQ_OK) {
		g_assert_cmpint(status, ==, VIRTQ_E_EMPTY);
		return false;
	}
	g_assert_cmpuint(i, <, fuzz->n_calls);
	g_assert_cmpuint(chain->head, ==, fuzz->calls[i].head);
	fuzz->calls[i].fate = OUT;
	fuzz->calls[i].chain = chain;
	return true;
}

static void do_pop(struct fuzz *fuzz)
{
	if (is_at_work(fuzz)) {
		pop(fuzz);
	}
}

/* Any that is out; or n_calls. */
static unsigned int pick_out(struct fuzz *fuzz)
{
	unsigned int first = fuzz_input_u8(&fuzz->in);

	for (unsigned int j = 0; j < fuzz->n_calls; j++) {
		unsigned int i = (first + j) % fuzz->n_calls;

		if (fuzz->calls[i].fate == OUT) {
			return i;
		}
	}
	return fuzz->n_calls;
}

static void push(struct fuzz *fuzz, struct virtq *vq, unsigned int i)
{
	virtq_push(vq, g_steal_pointer(&fuzz->calls[i].chain), "done", 4);
	fuzz->calls[i].fate = PUSHED;
}

static void do_push(struct fuzz *fuzz)
{
	unsigned int i = pick_out(fuzz);

	if (is_at_work(fuzz) && i < fuzz->n_calls) {
		push(fuzz, &fuzz->device, i);
		take(fuzz);
	}
}

/* Nothing of what a look finds may lie. */
static void do_look(struct fuzz *fuzz)
{
	if (!is_at_work(fuzz)) {
		return;
	}
	virtq_notify(&fuzz->device);
	bool has_more = virtq_rearm(&fuzz->device);
	g_assert_cmpint(virtq_has_avail(&fuzz->device), ==, has_more);
	g_assert_true(!has_more || find_fate(fuzz, AVAILABLE) < fuzz->n_calls);
	virtq_suppress(&fuzz->device);
}

/* ---- its death ---- */

/* Nobody of it is there any more, whatever it was doing. */
static void die(struct fuzz *fuzz)
{
	for (unsigned int i = 0; i < fuzz->n_calls; i++) {
		g_clear_pointer(&fuzz->calls[i].chain, virtq_chain_discard);
		/* Of what it kept for a ring that stood still nobody knows. */
		if (fuzz->calls[i].fate != AVAILABLE) {
			fuzz->calls[i].fate = LOST;
		}
	}
	virtq_finish(&fuzz->device);
	fuzz->is_dead = true;
}

static bool can_hold_lock(void)
{
	return fuzz_clock_is_behind(2 * VIRTQ_PATIENCE_MS * 1000);
}

static void hold_lock(struct fuzz *fuzz)
{
	if (can_hold_lock()) {
		fuzz_clock_set_step(LOCK_STEP_US);
		fuzz->state.lock.word = SHARED_LOCK_HELD;
	}
}

/* The whole pop, of which the stores from n_stores on are taken back. */
static void die_in_pop(struct fuzz *fuzz, unsigned int n_stores)
{
	struct virtq_state *state = &fuzz->state;
	const uint64_t last_avail = state->last_avail;
	const uint32_t n_out = state->n_out;
	unsigned int i = find_fate(fuzz, AVAILABLE);

	/* The guest's heads are free, thus nothing was there. */
	if (!pop(fuzz)) {
		die(fuzz);
		return;
	}
	if (n_stores < 1) {
		state->in_flight[fuzz->calls[i].head] = 0;
	}
	if (n_stores < 2) {
		state->last_avail = last_avail;
		g_clear_pointer(&fuzz->calls[i].chain, virtq_chain_discard);
		fuzz->calls[i].fate = AVAILABLE;
	}
	if (n_stores < 3) {
		state->n_out = n_out;
	}
	die(fuzz);
}

/* Likewise. The chain is the guest's with the third of them. */
static void die_in_push(struct fuzz *fuzz, unsigned int n_stores)
{
	const struct fuzz_vring vring = fuzz_guest_vring(fuzz->guest, 0);
	struct virtq_state *state = &fuzz->state;
	const struct virtq_state before = *state;
	unsigned int i = pick_out(fuzz);

	if (i == fuzz->n_calls) {
		die(fuzz);
		return;
	}
	uint16_t head = fuzz->calls[i].head;
	uint16_t used_index = fuzz_guest_used_index(fuzz->guest, 0);
	push(fuzz, &fuzz->device, i);
	if (fuzz_guest_used_index(fuzz->guest, 0) == used_index) {
		die(fuzz); /* its view is old: the push is kept, and goes with it */
		return;
	}
	if (n_stores < 1) {
		state->pushing = before.pushing;
	}
	if (n_stores < 3) {
		struct vring_used *used = guestmem_at_uva(fuzz->device.mem, vring.used,
							  sizeof(struct vring_used));

		used->idx = used_index;
		fuzz->calls[i].fate = OUT;
	}
	if (n_stores < 4) {
		state->in_flight[head] = before.in_flight[head];
	}
	if (n_stores < 5) {
		state->used_index = before.used_index;
	}
	if (n_stores < 6) {
		state->n_out = before.n_out;
		state->is_notify_due = before.is_notify_due;
	}
	take(fuzz);
	die(fuzz);
}

static void do_die(struct fuzz *fuzz)
{
	uint8_t byte = fuzz_input_u8(&fuzz->in);
	bool is_in_pop = byte & 1, is_in_push = !is_in_pop && byte & 2;
	unsigned int max = is_in_pop ? POP_STORES : PUSH_STORES;
	unsigned int n_stores = byte / 4 % (max + 1);
	/* Amid the stores it always has the lock; before and after them it may. */
	bool is_amid = (is_in_pop || is_in_push) && n_stores > 0 && n_stores < max;
	bool has_lock = is_amid || byte & 128;

	if (!is_at_work(fuzz)) {
		return;
	}
	if (has_lock && !can_hold_lock()) {
		die(fuzz);
		return;
	}
	if (is_in_pop) {
		die_in_pop(fuzz, n_stores);
	} else if (is_in_push) {
		die_in_push(fuzz, n_stores);
	} else {
		die(fuzz);
	}
	if (has_lock) {
		hold_lock(fuzz);
	}
}

/* ---- the next one ---- */

/* In the order of their pops, which is the guest's. */
static void pop_lost(struct fuzz *fuzz, struct virtq *vq, unsigned int max)
{
	struct virtq_chain *chain;

	while (max-- > 0 && virtq_pop_lost(vq, &chain) == VIRTQ_OK) {
		unsigned int i = find_fate(fuzz, LOST);

		g_assert_cmpuint(i, <, fuzz->n_calls);
		g_assert_cmpuint(chain->head, ==, fuzz->calls[i].head);
		/* Where its memory went for longer than a moment there are no buffers. */
		g_assert_true(chain->readable_bytes == 16 || fuzz->mask != FUZZ_ALL_REGIONS);
		fuzz->calls[i].fate = OUT;
		fuzz->calls[i].chain = chain;
		push(fuzz, vq, i);
	}
	take(fuzz);
}

/* The transport hears of the death, and another process comes. */
static void recover(struct fuzz *fuzz)
{
	virtq_recover(&fuzz->transport);
	fuzz_clock_set_step(0);
	g_assert_false(virtq_is_stuck(&fuzz->transport));
	take(fuzz);
	virtq_init(&fuzz->device, 0, &fuzz->state);
	fuzz->is_dead = false;
}

static void do_recover(struct fuzz *fuzz)
{
	uint8_t byte = fuzz_input_u8(&fuzz->in);

	if (!fuzz->is_dead || fuzz->is_spoilt) {
		return;
	}
	recover(fuzz);
	/* As many by the transport as it likes, before there is a device. */
	pop_lost(fuzz, &fuzz->transport, byte % 4 == 0 ? FUZZ_RING_SIZE : byte % 4);
	virtq_notify(&fuzz->transport);
}

static void do_pop_lost(struct fuzz *fuzz)
{
	if (is_at_work(fuzz)) {
		pop_lost(fuzz, &fuzz->device, 1 + fuzz_input_below(&fuzz->in, 4));
	}
}

/* ---- a hostile one ---- */

static void spoil(struct fuzz *fuzz)
{
	struct virtq_state *state = &fuzz->state;

	switch (fuzz_input_below(&fuzz->in, 8)) {
	case 0:
		state->last_avail = fuzz_input_number64(&fuzz->in);
		break;
	case 1:
		state->n_out = fuzz_input_number(&fuzz->in);
		state->n_lost = fuzz_input_number(&fuzz->in);
		break;
	case 2:
		state->used_index = fuzz_input_u16(&fuzz->in);
		state->pushing = fuzz_input_number(&fuzz->in);
		break;
	case 3:
		state->epoch = fuzz_input_number(&fuzz->in);
		state->setup_serial = fuzz_input_number(&fuzz->in);
		break;
	case 4:
		state->is_broken = fuzz_input_u8(&fuzz->in);
		state->is_notify_due = fuzz_input_u8(&fuzz->in);
		state->is_signalled_valid = fuzz_input_u8(&fuzz->in);
		state->signalled = fuzz_input_u16(&fuzz->in);
		break;
	case 5:
		hold_lock(fuzz);
		break;
	default:
		for (unsigned int n = fuzz_input_below(&fuzz->in, 32); n > 0; n--) {
			uint16_t head = fuzz_input_u8(&fuzz->in);

			state->in_flight[head < 0x80 ? head : head * 8u % VIRTQ_MAX_SIZE] =
				fuzz_input_number64(&fuzz->in);
		}
		break;
	}
}

static void do_spoil(struct fuzz *fuzz)
{
	if (!fuzz->is_dead) {
		die(fuzz);
	}
	fuzz->is_spoilt = true;
	spoil(fuzz);
}

/* As the transport does, which is the only one that has to bear it. */
static void exhaust(struct fuzz *fuzz)
{
	struct virtq_chain *chain;
	unsigned int n = 0;

	virtq_has_lost(&fuzz->transport);
	while (virtq_pop_lost(&fuzz->transport, &chain) == VIRTQ_OK) {
		g_assert_cmpuint(chain->head, <, FUZZ_RING_SIZE);
		virtq_push(&fuzz->transport, chain, "lost", 4);
		g_assert_cmpuint(++n, <=, FUZZ_RING_SIZE);
	}
	virtq_notify(&fuzz->transport);
}

/* Everything that the guest, not the device, may write to: as it was. */
static void do_recover_spoilt(struct fuzz *fuzz)
{
	const struct fuzz_vring vring = fuzz_guest_vring(fuzz->guest, 0);
	struct guestmem *mem = fuzz_guest_build_table(fuzz->guest, FUZZ_ALL_REGIONS);
	const size_t desc_bytes = FUZZ_RING_SIZE * sizeof(struct vring_desc);
	const size_t avail_bytes = sizeof(struct vring_avail) + 2 * (FUZZ_RING_SIZE + 1);
	const void *desc = guestmem_at_uva(mem, vring.desc, desc_bytes);
	const void *avail = guestmem_at_uva(mem, vring.avail, avail_bytes);
	g_autofree void *old_desc = g_memdup2(desc, desc_bytes);
	g_autofree void *old_avail = g_memdup2(avail, avail_bytes);

	if (fuzz->is_spoilt) {
		virtq_recover(&fuzz->transport);
		fuzz_clock_set_step(0);
		exhaust(fuzz);
		fuzz_assert_bytes(desc, old_desc, desc_bytes);
		fuzz_assert_bytes(avail, old_avail, avail_bytes);
	}
	guestmem_unref(mem);
}

/* ---- a reset, and then all is well ---- */

static void do_reset(struct fuzz *fuzz)
{
	virtq_reset(&fuzz->transport);
	fuzz_guest_reset_rings(fuzz->guest);
	for (unsigned int i = 0; i < fuzz->n_calls; i++) {
		/* The device pushes it some time, for nothing. */
		if (fuzz->calls[i].chain != NULL && !fuzz->is_dead) {
			g_assert_true(fuzz->is_spoilt || virtq_chain_is_stale(&fuzz->device,
									      fuzz->calls[i].chain));
			virtq_push(&fuzz->device, fuzz->calls[i].chain, "late", 4);
		}
	}
	fuzz->n_calls = 0;
	if (fuzz->is_dead) {
		recover(fuzz);
		fuzz->is_spoilt = false;
	}
	start(fuzz);
	take(fuzz);
}

static void do_wait(struct fuzz *fuzz)
{
	fuzz_clock_advance(fuzz_input_u8(&fuzz->in) * 1000u);
}

static void (*const operations[])(struct fuzz *fuzz) = {
	do_submit,   do_pop,	  do_push, do_die,    do_recover,	 do_give_view, do_change,
	do_pop_lost, do_take,	  do_look, do_reset,  do_recover_spoilt, do_spoil,     do_wait,
	do_submit,   do_submit,
};

/* Whatever was, what is out ends, once; the ring is as good as new. */
static void settle(struct fuzz *fuzz)
{
	if (fuzz->is_spoilt) {
		do_recover_spoilt(fuzz);
		do_reset(fuzz);
	} else if (fuzz->is_dead) {
		recover(fuzz);
	}
	start(fuzz);
	give_view(fuzz);
	pop_lost(fuzz, &fuzz->device, FUZZ_RING_SIZE);
	for (unsigned int i = 0; i < 2; i++) {
		while (pop(fuzz)) {
		}
		while (find_fate(fuzz, OUT) < fuzz->n_calls) {
			push(fuzz, &fuzz->device, find_fate(fuzz, OUT));
		}
		take(fuzz);
		g_assert_cmpuint(fuzz->n_calls, ==, 0);
		do_submit(fuzz);
		do_submit(fuzz);
		g_assert_cmpuint(fuzz->n_calls, ==, 2);
	}
}

void fuzz_one(const uint8_t *bytes, size_t size_bytes)
{
	unsigned int n_fds = fuzz_count_fds();
	struct fuzz fuzz = { .guest = fuzz_guest_create() };

	fuzz_clock_reset();
	fuzz_input_init(&fuzz.in, bytes, size_bytes);
	virtq_state_init(&fuzz.state);
	virtq_init(&fuzz.transport, 0, &fuzz.state);
	virtq_init(&fuzz.device, 0, &fuzz.state);
	start(&fuzz);
	give_view(&fuzz);
	while (!fuzz_input_is_over(&fuzz.in)) {
		unsigned int i = fuzz_input_operation(&fuzz.in);

		if (i < G_N_ELEMENTS(operations)) {
			operations[i](&fuzz);
		}
	}
	settle(&fuzz);
	virtq_finish(&fuzz.device);
	virtq_finish(&fuzz.transport);
	fuzz_guest_destroy(fuzz.guest);
	g_assert_cmpuint(fuzz_count_fds(), ==, n_fds);
}
