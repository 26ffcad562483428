/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * Random commands in batches on both queues, with pauses, resets and reconnections in the middle of
 * them: each chain comes back once, with the answer to its own command and no other's; those that
 * do not wait for the display come back in the order in which they were made available; and once
 * GET_VRING_BASE is answered nothing more is written. With a process that renders, on the mock
 * library, also what waits for fences, and for a front-end that maps.
 *
 * TEST_RANDOM_SEED sets the seed, TEST_EXACTLY_ONCE the number of commands; of those that a process
 * renders there is a tenth.
 */
#include <stdlib.h>
#include <string.h>

#include "guesser.h"
#include "mock_virgl.h"
#include "proto.h"

#define DEFAULT_SEED 20260923u
#define DEFAULT_COMMANDS 50000u
#define LIMIT_S 400
#define RING_SIZE 256u
#define MAX_BATCH 96u
#define NATIVE 6u /* --capset drm, whose contexts need no server */
/* More descriptors than any of the guesser's chains has. */
#define MAX_DESCRIPTORS 16u

struct flight {
	struct vgpu_call *call;
	struct guess guess;
};

struct once {
	struct rig *rig;
	struct guesser guesser;
	struct flight flights[MAX_BATCH];
	unsigned int n_flights;
	uint64_t n_commands;
	bool is_stalled;
	unsigned int n_bad; /* heads that there are not, and that nobody waits for */
	unsigned int n_pauses, n_stops, n_resets, n_reconnects, n_breaks;
};

/* ---- what may not change while a ring is stopped ---- */

struct snapshot {
	const struct ring *ring;
	GByteArray *bytes;
};

static size_t used_bytes(const struct ring *ring)
{
	return sizeof(uint16_t) * 3 + sizeof(struct vring_used_elem) * ring->size;
}

/* The used ring, and the room for the answers of what is in flight on it. */
static GByteArray *look(const struct once *once, const struct ring *ring)
{
	GByteArray *bytes = g_byte_array_new();

	g_byte_array_append(bytes, (const guint8 *)ring->used, (guint)used_bytes(ring));
	for (unsigned int i = 0; i < once->n_flights; i++) {
		const struct vgpu_call *call = once->flights[i].call;
		if (call->queue == ring->index && !call->is_done && call->response_size > 0) {
			g_byte_array_append(
				bytes,
				guestram_at(ring->ram, call->response_gpa, call->response_size),
				call->response_size);
		}
	}
	return bytes;
}

static struct snapshot snapshot_take(const struct once *once, const struct ring *ring)
{
	return (struct snapshot){ ring, look(once, ring) };
}

static void snapshot_compare(struct snapshot *snapshot, const struct once *once)
{
	GByteArray *now = look(once, snapshot->ring);

	g_assert_cmpuint(now->len, ==, snapshot->bytes->len);
	if (memcmp(now->data, snapshot->bytes->data, now->len) != 0) {
		g_error("queue %u was written to after GET_VRING_BASE", snapshot->ring->index);
	}
	g_byte_array_unref(now);
	g_byte_array_unref(snapshot->bytes);
}

static unsigned int count_open(const struct once *once, uint32_t queue)
{
	unsigned int n = once->n_bad;

	for (unsigned int i = 0; i < once->n_flights; i++) {
		n += once->flights[i].call->queue == queue && !once->flights[i].call->is_done;
	}
	return n;
}

/* Returns the base, which lies between what came back and what was made available. */
static uint16_t stop(struct once *once, struct ring *ring)
{
	uint16_t base = frontend_stop_ring(once->rig->frontend, ring->index);

	g_assert_cmpuint((uint16_t)(ring->avail_idx - base), <=, count_open(once, ring->index));
	g_assert_cmpuint((uint16_t)(base - ring_used_idx(ring)), <=, ring->size);
	return base;
}

/* ---- what happens to a machine ---- */

static void ping(struct once *once)
{
	for (unsigned int i = 0; i < 3; i++) {
		frontend_assert_alive(once->rig->frontend);
	}
}

static void pause_machine(struct once *once, uint16_t *control_out, uint16_t *cursor_out)
{
	struct rig *rig = once->rig;

	display_disconnect(rig->display);
	*control_out = stop(once, rig->control);
	struct snapshot control = snapshot_take(once, rig->control);
	*cursor_out = stop(once, rig->cursor);
	struct snapshot cursor = snapshot_take(once, rig->cursor);
	ping(once);
	frontend_remove_memory(rig->frontend, rig->ram);
	snapshot_compare(&control, once);
	snapshot_compare(&cursor, once);
}

static void pause_resume(struct once *once)
{
	uint16_t control_base, cursor_base;

	pause_machine(once, &control_base, &cursor_base);
	rig_start(once->rig, control_base, cursor_base);
	once->n_pauses += 1;
}

/* One ring alone; memory and display stay, and the other ring works on. */
static void stop_and_start(struct once *once)
{
	struct rig *rig = once->rig;
	struct ring *ring = guesser_pick(&once->guesser, 2) ? rig->control : rig->cursor;
	uint16_t base = stop(once, ring);
	struct snapshot snapshot = snapshot_take(once, ring);

	ping(once);
	snapshot_compare(&snapshot, once);
	frontend_start_ring(rig->frontend, ring, base, false);
	once->n_stops += 1;
}

/* What the guesser counts on. */
static void begin(struct once *once)
{
	if (once->rig->options.has_window) {
		once->guesser.window_bytes = once->rig->frontend->window_bytes;
		g_assert_cmpuint(once->guesser.window_bytes, >, 0);
		g_assert_ok(vgpu_ctx_create(once->rig->vgpu, GUESSER_CTX, NATIVE, "test"));
	}
}

/* What is in flight is dropped: nobody waits for it any more. */
static void forget(struct once *once)
{
	once->n_flights = 0;
	vgpu_forget(once->rig->vgpu);
	once->rig->ram->regions[1].used = 0;
	ring_reset(once->rig->control);
	ring_reset(once->rig->cursor);
	guesser_forget(&once->guesser);
}

static void reset(struct once *once)
{
	uint16_t ignored;

	pause_machine(once, &ignored, &ignored);
	struct window *window = once->rig->frontend->window;
	if (window) {
		window_begin_reset(window);
	}
	g_assert_cmpint(
		frontend_send(once->rig->frontend, VHOST_USER_RESET_DEVICE, 0, NULL, 0, NULL, 0),
		==, 0);
	if (window) {
		window_end_reset(window);
	}
	forget(once);
	rig_start(once->rig, 0, 0);
	begin(once);
	once->n_resets += 1;
}

/* Nothing was asked for that breaks a rule. */
static void check_window(const struct once *once)
{
	struct window *window = once->rig->frontend->window;

	if (window) {
		g_assert_cmpuint(window_get_counts(window).n_overlaps, ==, 0);
		g_assert_cmpuint(window_get_counts(window).n_bad_files, ==, 0);
	}
}

static void reconnect(struct once *once)
{
	struct rig *rig = once->rig;

	display_disconnect(rig->display);
	check_window(once);
	frontend_destroy(rig->frontend);
	rig->frontend = frontend_create(daemon_connect(rig->daemon));
	if (rig->options.has_window) {
		rig->frontend->window = window_create();
	}
	frontend_handshake(rig->frontend);
	forget(once);
	rig_start(rig, 0, 0);
	begin(once);
	once->n_reconnects += 1;
}

static void live(struct once *once)
{
	uint32_t dice = guesser_pick(&once->guesser, 1000);

	if (dice < 20) {
		pause_resume(once);
	} else if (dice < 45) {
		stop_and_start(once);
	} else if (dice < 55) {
		reset(once);
	} else if (dice < 58) {
		reconnect(once);
	} else if (dice < 100) {
		once->is_stalled = true;
		display_set_stalled(once->rig->display, true);
	}
}

/* ---- batches ---- */

static void submit(struct once *once)
{
	struct flight *flight = &once->flights[once->n_flights];

	guesser_make(&once->guesser, &flight->guess);
	flight->call = vgpu_submit(once->rig->vgpu, flight->guess.queue, &flight->guess.chain);
	once->n_flights += 1;
	once->n_commands += 1;
}

static void submit_batch(struct once *once, uint32_t n)
{
	struct rig *rig = once->rig;

	for (uint32_t i = 0; i < n && rig->control->n_free > MAX_DESCRIPTORS &&
			     rig->cursor->n_free > MAX_DESCRIPTORS;
	     i++) {
		submit(once);
		if (guesser_pick(&once->guesser, 24) == 0) {
			vgpu_kick(rig->vgpu, once->flights[once->n_flights - 1].guess.queue);
		}
	}
	vgpu_kick(rig->vgpu, VGPU_CONTROL);
	vgpu_kick(rig->vgpu, VGPU_CURSOR);
}

static void check_answer(struct once *once, struct flight *flight)
{
	const struct guess *guess = &flight->guess;
	struct vgpu *vgpu = once->rig->vgpu;
	uint32_t type = vgpu_finish(vgpu, flight->call);

	if (guess->chain.response_size >= sizeof(type) && guess->expected != 0) {
		g_assert_resp(type, guess->expected);
	} else if (guess->chain.response_size >= sizeof(type)) {
		proto_assert_answer(type);
	}
	if (guess->chain.response_size >= sizeof(vgpu->last_hdr)) {
		g_assert_cmphex(vgpu->last_hdr.fence_id, ==, guess->fence_id);
	}
}

static void finish_batch(struct once *once)
{
	unsigned int last[VGPU_N_QUEUES][GUESSER_TIMELINES] = { 0 };

	/* Questions wait for a display that doesn't read, for longer than there is time here. */
	if (once->is_stalled) {
		once->is_stalled = false;
		display_set_stalled(once->rig->display, false);
	}
	for (unsigned int i = 0; i < once->n_flights; i++) {
		struct flight *flight = &once->flights[i];
		if (!vgpu_wait(once->rig->vgpu, flight->call, VGPU_ANSWER_MS)) {
			g_error("command %" G_GUINT64_FORMAT " does not come back",
				once->n_commands - once->n_flights + i + 1);
		}
	}
	for (unsigned int i = 0; i < once->n_flights; i++) {
		struct flight *flight = &once->flights[i];
		unsigned int *before = &last[flight->guess.queue][flight->guess.timeline];
		if (flight->guess.is_ordered) {
			g_assert_cmpuint(flight->call->done_order, >, *before);
			*before = flight->call->done_order;
		}
		check_answer(once, flight);
	}
	once->n_flights = 0;
	/* What an end of a resource has unmapped no answer tells. */
	if (once->rig->options.has_window) {
		g_assert_true(window_wait_live(once->rig->frontend->window,
					       guesser_count_mapped(&once->guesser),
					       VGPU_ANSWER_MS));
	}
}

/* A head that there is not; the rest of the batch has come back before. */
static void break_queue(struct once *once)
{
	struct rig *rig = once->rig;
	struct ring *ring = guesser_pick(&once->guesser, 2) ? rig->control : rig->cursor;

	once->n_bad = 1;
	ring_publish(ring, ring->size);
	ring_kick_always(ring);
	g_assert_true(ring_wait_error(ring, VGPU_ANSWER_MS));
	reset(once);
	once->n_bad = 0;
	once->n_breaks += 1;
}

static void run_batch(struct once *once, uint64_t n_left)
{
	uint32_t n = 1 + guesser_pick(&once->guesser, MAX_BATCH);

	/* In two parts, so that what happens finds the first in all states. */
	n = (uint32_t)MIN(n, n_left);
	submit_batch(once, n / 2);
	live(once);
	submit_batch(once, MIN(n - n / 2, MAX_BATCH - once->n_flights));
	finish_batch(once);
	if (guesser_pick(&once->guesser, 300) == 0) {
		break_queue(once);
	}
}

static uint64_t number_from_env(const char *name, uint64_t otherwise)
{
	const char *text = g_getenv(name);

	return text ? g_ascii_strtoull(text, NULL, 10) : otherwise;
}

static void run(const struct proto_mode *mode, uint64_t n_commands)
{
	static const char *const args[] = { "--capset", "virgl2,drm", "--hostmem", "64M", NULL };
	struct display_config display = display_config_default();
	uint32_t seed = (uint32_t)number_from_env("TEST_RANDOM_SEED", DEFAULT_SEED);
	struct once once = { 0 };

	/* As many outputs as there are EDIDs to be asked for. */
	display.n_outputs = DISPLAY_SCANOUTS;
	once.rig = rig_create(&(struct rig_options){ .mode = mode->name,
						     .args = mode->has_3d ? args : NULL,
						     .display = &display,
						     .ring_size = RING_SIZE,
						     .has_window = mode->has_3d });
	guesser_init(&once.guesser, seed,
		     guestram_alloc(once.rig->ram, 0, GUESSER_MAX_SIDE * GUESSER_MAX_SIDE * 4,
				    GUESTRAM_PAGE),
		     mode->takes_3d);
	begin(&once);
	while (once.n_commands < n_commands) {
		run_batch(&once, n_commands - once.n_commands);
	}
	g_test_message("seed %u: %" G_GUINT64_FORMAT " commands, %u pauses, %u stops, %u resets, "
		       "%u reconnections, %u broken queues",
		       seed, once.n_commands, once.n_pauses, once.n_stops, once.n_resets,
		       once.n_reconnects, once.n_breaks);
	check_window(&once);
	guesser_finish(&once.guesser);
	rig_assert_serves(once.rig);
	rig_destroy(once.rig);
}

static void test_exactly_once(const void *mode)
{
	run(mode, number_from_env("TEST_EXACTLY_ONCE", DEFAULT_COMMANDS));
}

static void test_renderer_process(const void *mode)
{
	mock_virgl_use();
	run(mode, number_from_env("TEST_EXACTLY_ONCE", DEFAULT_COMMANDS) / 10);
}

int main(int argc, char **argv)
{
	suite_init(&argc, &argv);
	suite_set_limit_s(LIMIT_S);
	suite_add(test_exactly_once, PROTO_2D, "/proto/exactly-once/2d");
	suite_add(test_exactly_once, PROTO_NULL, "/proto/exactly-once/null");
	suite_add(test_renderer_process, PROTO_VIRGL, "/proto/exactly-once/virglrenderer");
	return suite_run();
}
