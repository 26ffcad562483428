/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * A thousand front-ends, one after the other: not a descriptor, not a process and hardly a page
 * more than before.
 */
#include <math.h>
#include <unistd.h>

#include "proto.h"

#define N_CYCLES 1000u
#define CYCLES_LIMIT_S 1800
#define N_WARM_UP 20u

static void run_cycle(struct daemon *daemon)
{
	struct frontend *frontend = frontend_create(daemon_connect(daemon));

	frontend_handshake(frontend);
	frontend_destroy(frontend);
}

static bool has_no_session(void *data)
{
	return daemon_count_children(data) == 0;
}

struct state {
	unsigned int n_fds;
	uint64_t rss_bytes;
};

/* Between two front-ends: nothing of the last one is left. */
static struct state take_state(struct daemon *daemon)
{
	if (!suite_wait(has_no_session, daemon, 10000)) {
		g_error("%u processes are left of ended sessions", daemon_count_children(daemon));
	}
	return (struct state){daemon_count_fds(daemon), daemon_rss_bytes(daemon)};
}

static void assert_same(const struct state *before, const struct state *after)
{
	double ratio = (double)after->rss_bytes / (double)before->rss_bytes;

	g_test_message("fds %u and %u, RSS %u KiB and %u KiB", before->n_fds, after->n_fds,
		       (unsigned int)(before->rss_bytes >> 10),
		       (unsigned int)(after->rss_bytes >> 10));
	g_assert_cmpuint(after->n_fds, ==, before->n_fds);
	g_assert_cmpfloat(fabs(ratio - 1.0), <=, 0.05);
}

static void test_handshakes(const void *mode)
{
	struct daemon *daemon = daemon_start(((const struct proto_mode *)mode)->name, NULL);

	close(daemon_connect_or_skip(daemon));
	for (unsigned int i = 0; i < N_WARM_UP; i++) {
		run_cycle(daemon);
	}
	struct state before = take_state(daemon);
	for (unsigned int i = 0; i < N_CYCLES; i++) {
		run_cycle(daemon);
	}
	struct state after = take_state(daemon);
	assert_same(&before, &after);
	daemon_destroy(daemon);
}

static void hang_up(struct rig *rig)
{
	display_disconnect(rig->display);
	frontend_destroy(rig->frontend);
}

static void connect_again(struct rig *rig)
{
	rig->frontend = frontend_create(daemon_connect(rig->daemon));
	frontend_handshake(rig->frontend);
	vgpu_forget(rig->vgpu);
	rig->ram->regions[1].used = 0;
	ring_reset(rig->control);
	ring_reset(rig->cursor);
	rig_start(rig, 0, 0);
}

/* Whole machines: memory, rings, a picture, a display; fewer of them. */
static void test_machines(const void *mode)
{
	struct rig *rig = proto_rig(mode);
	struct state before = {0};

	for (unsigned int i = 0; i < 40; i++) {
		rig_show_resource(rig, 1, 0, 640, 480, NULL);
		hang_up(rig);
		struct state state = take_state(rig->daemon);
		if (i == 5) {
			before = state;
		} else if (i > 5) {
			assert_same(&before, &state);
		}
		connect_again(rig);
	}
	rig_destroy(rig);
}

/* A thousand of them, each with a picture, a cursor and a question; some hang up before they see
 * the picture. */
static void test_work(const void *mode)
{
	struct rig *rig = proto_rig(mode);
	g_autofree uint32_t *pixels = rig_make_pattern(64, 64, 1);
	struct state before = {0};

	for (unsigned int i = 1; i <= N_CYCLES; i++) {
		rig_show_resource(rig, 1, 0, 64, 64, pixels);
		vgpu_move_cursor(rig->vgpu, 0, 1, i, i);
		if (i % 4 != 0) {
			display_wait_pixels(rig->display, 0, pixels, 64, 64);
			rig_assert_serves(rig);
		}
		hang_up(rig);
		if (i == N_WARM_UP) {
			before = take_state(rig->daemon);
		} else if (i == N_CYCLES) {
			struct state after = take_state(rig->daemon);
			assert_same(&before, &after);
		}
		connect_again(rig);
	}
	rig_destroy(rig);
}

/* Within one session: what is made and dropped leaves nothing, once it is with its process. */
static void test_session(const void *mode)
{
	struct rig *rig = proto_rig(mode);
	unsigned int n_fds = 0;

	for (unsigned int i = 0; i < 60; i++) {
		uint16_t control_base, cursor_base;
		rig_pause(rig, &control_base, &cursor_base);
		rig_start(rig, control_base, cursor_base);
		rig_assert_serves(rig);
		if (i == 5) {
			n_fds = daemon_count_fds(rig->daemon);
		} else if (i > 5) {
			g_assert_true(daemon_wait_fds(rig->daemon, n_fds));
		}
	}
	rig_destroy(rig);
}

int main(int argc, char **argv)
{
	suite_init(&argc, &argv);
	/* A renderer process and a render server for each machine: a minute where much else runs. */
	suite_set_limit_s(300);
	proto_add("cycles", "handshakes", test_handshakes);
	proto_add("cycles", "machines", test_machines);
	proto_add("cycles", "session", test_session);
	suite_add(test_work, PROTO_2D, "/proto/cycles/2d/work");
	/* Each of them starts a GL driver, which takes its time. */
	if (g_getenv("TEST_ALL_CYCLES")) {
		suite_set_limit_s(CYCLES_LIMIT_S);
		suite_add(test_work, PROTO_VIRGL, "/proto/cycles/virglrenderer/work");
	}
	return suite_run();
}
