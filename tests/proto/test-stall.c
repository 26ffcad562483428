/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * Whoever does not answer, read or end has a bound and an outcome, and disturbs nobody else: a
 * renderer that takes its time, a fence that is never signalled, a front-end that does not read, a
 * display that talks nonsense. QEMU holds its big lock while it waits for an answer, so that each
 * answer to the front-end is timed meanwhile.
 *
 * What a number is compared with tells "waits for it" from "doesn't", not good from better: the
 * median and the worst of each kind of message are printed.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "mock_gfxstream.h"
#include "mock_mode.h"
#include "mock_virgl.h"
#include "proctree.h"
#include "proto.h"

#define CTX 1u
#define OTHER_CTX 2u
#define FORMAT VIRTIO_GPU_FORMAT_B8G8R8X8_UNORM
#define MEDIAN_LIMIT_MS 10
/* A host without a free processor has let a process wait for 223 ms with a ring's lock in its hand. */
#define WORST_LIMIT_MS 1000

/* ---- how long answers take ---- */

enum kind { GET_CONFIG, GET_FEATURES, GET_VRING_BASE, SET_VRING, SET_MEMORY, N_KINDS };

static const char *const kind_names[] = {
	[GET_CONFIG] = "GET_CONFIG",	     [GET_FEATURES] = "GET_FEATURES",
	[GET_VRING_BASE] = "GET_VRING_BASE", [SET_VRING] = "SET_VRING_*",
	[SET_MEMORY] = "the memory table",
};

struct timings {
	GArray *us[N_KINDS]; /* of int64_t */
};

static struct timings timings_create(void)
{
	struct timings timings;

	for (int i = 0; i < N_KINDS; i++) {
		timings.us[i] = g_array_new(FALSE, FALSE, sizeof(int64_t));
	}
	return timings;
}

static int compare_us(const void *a, const void *b)
{
	int64_t left = *(const int64_t *)a, right = *(const int64_t *)b;

	return (left > right) - (left < right);
}

static void timings_check(struct timings *timings)
{
	for (int i = 0; i < N_KINDS; i++) {
		GArray *us = timings->us[i];

		g_assert_cmpuint(us->len, >, 0);
		g_array_sort(us, compare_us);
		int64_t median = g_array_index(us, int64_t, us->len / 2);
		int64_t worst = g_array_index(us, int64_t, us->len - 1);
		g_test_message("%s: %u answers, median %" G_GINT64_FORMAT
			       " us, worst %" G_GINT64_FORMAT " us",
			       kind_names[i], us->len, median, worst);
		g_assert_cmpint(median, <, suite_timeout_ms(MEDIAN_LIMIT_MS) * 1000);
		g_assert_cmpint(worst, <, suite_timeout_ms(WORST_LIMIT_MS) * 1000);
		g_array_unref(us);
	}
}

static void note(struct timings *timings, enum kind kind, int64_t since_us)
{
	int64_t us = g_get_monotonic_time() - since_us;

	g_array_append_val(timings->us[kind], us);
}

static void time_questions(struct rig *rig, struct timings *timings)
{
	uint8_t config[20];
	int64_t start = g_get_monotonic_time();

	frontend_get_config(rig->frontend, 0, sizeof(config), config);
	note(timings, GET_CONFIG, start);
	start = g_get_monotonic_time();
	frontend_assert_alive(rig->frontend);
	note(timings, GET_FEATURES, start);
}

static void time_set(struct rig *rig, struct timings *timings, uint32_t request, uint32_t index,
		     uint32_t value)
{
	int64_t start = g_get_monotonic_time();

	frontend_set_vring(rig->frontend, request, index, value);
	note(timings, SET_VRING, start);
}

/* Stopped, and started again where it was. */
static void time_ring(struct rig *rig, struct timings *timings, const struct ring *ring)
{
	struct vhost_user_vring_state state = {ring->index, 0};
	struct frontend *frontend = rig->frontend;

	time_set(rig, timings, VHOST_USER_SET_VRING_ENABLE, ring->index, 0);
	int64_t start = g_get_monotonic_time();
	g_assert_cmpint(frontend_send(frontend, VHOST_USER_GET_VRING_BASE, 0, &state, sizeof(state),
				      NULL, 0),
			==, 0);
	frontend_receive(frontend, VHOST_USER_GET_VRING_BASE, &state, sizeof(state));
	note(timings, GET_VRING_BASE, start);
	frontend_set_vring_fd(frontend, VHOST_USER_SET_VRING_CALL, ring->index, ring->call_fd);
	frontend_set_vring_fd(frontend, VHOST_USER_SET_VRING_ERR, ring->index, ring->err_fd);
	time_set(rig, timings, VHOST_USER_SET_VRING_NUM, ring->index, ring->size);
	time_set(rig, timings, VHOST_USER_SET_VRING_BASE, ring->index, state.num);
	start = g_get_monotonic_time();
	frontend_set_vring_addr(frontend, ring);
	note(timings, SET_VRING, start);
	frontend_set_vring_fd(frontend, VHOST_USER_SET_VRING_KICK, ring->index, ring->kick_fd);
	time_set(rig, timings, VHOST_USER_SET_VRING_ENABLE, ring->index, 1);
}

/* One region more, the same table again, the region taken away. */
static void time_memory(struct rig *rig, struct timings *timings)
{
	const uint64_t gpa = UINT64_C(1) << 40;
	unsigned int index = guestram_add(rig->ram, gpa, GUESTRAM_PAGE, 0);
	struct vhost_user_mem_reg_msg msg = {.region = rig->ram->regions[index].wire};

	int64_t start = g_get_monotonic_time();
	g_assert_cmpuint(frontend_add_region(rig->frontend, &rig->ram->regions[index]), ==, 0);
	note(timings, SET_MEMORY, start);
	start = g_get_monotonic_time();
	g_assert_cmpuint(frontend_request(rig->frontend, VHOST_USER_REM_MEM_REG, &msg, sizeof(msg),
					  NULL, 0),
			 ==, 0);
	note(timings, SET_MEMORY, start);
	guestram_drop_last(rig->ram);
	start = g_get_monotonic_time();
	frontend_set_mem_table(rig->frontend, rig->ram);
	note(timings, SET_MEMORY, start);
}

static void time_all(struct rig *rig, struct timings *timings)
{
	time_questions(rig, timings);
	time_ring(rig, timings, rig->cursor);
	time_questions(rig, timings);
	time_ring(rig, timings, rig->control);
	time_questions(rig, timings);
	time_memory(rig, timings);
}

/* ---- a renderer that takes its time ---- */

static const char *name_of(const void *mode)
{
	return ((const struct proto_mode *)mode)->name;
}

static struct rig *make_mock_rig(const void *mode)
{
	mock_mode_use(name_of(mode));
	struct rig *rig = proto_rig(mode);

	g_assert_ok(vgpu_ctx_create(rig->vgpu, CTX, 0, "test"));
	g_assert_ok(vgpu_ctx_create(rig->vgpu, OTHER_CTX, 0, "other"));
	return rig;
}

static uint32_t echo(struct rig *rig, const void *mode, uint32_t ctx)
{
	return mock_mode_run1(name_of(mode), rig->vgpu, ctx, MOCK_ECHO, 0, 1);
}

static void finish(struct rig *rig, struct vgpu_call *call)
{
	g_assert_true(vgpu_wait(rig->vgpu, call, VGPU_ANSWER_MS));
	g_assert_ok(vgpu_finish(rig->vgpu, call));
}

/* Twice the worst that is allowed: who waits for the end of the call is found out. */
static void test_control_in_a_call(const void *mode)
{
	struct rig *rig = make_mock_rig(mode);
	struct timings timings = timings_create();
	const uint32_t call_ms = (uint32_t)suite_timeout_ms(2 * WORST_LIMIT_MS);

	for (unsigned int i = 0; i < 2; i++) {
		int64_t sent = g_get_monotonic_time();
		struct vgpu_call *call =
			mock_mode_send(name_of(mode), rig->vgpu, CTX, MOCK_SLEEP, &call_ms, 1);

		g_usleep(20 * 1000);
		while (g_get_monotonic_time() - sent < call_ms * 1000 * 4 / 10) {
			time_all(rig, &timings);
		}
		finish(rig, call);
		g_assert_cmpint(g_get_monotonic_time() - sent, >=, call_ms * 1000);
	}
	timings_check(&timings);
	rig_assert_serves(rig);
	vgpu_move_cursor(rig->vgpu, 0, 0, 1, 1);
	rig_destroy(rig);
}

#define LARGE_SIDE 4096u
#define LARGE_ID 50u

static struct vgpu_call *submit_transfer(struct rig *rig)
{
	struct virtio_gpu_transfer_to_host_2d cmd = {{.type = VIRTIO_GPU_CMD_TRANSFER_TO_HOST_2D},
						     {0, 0, LARGE_SIDE, LARGE_SIDE},
						     0,
						     LARGE_ID,
						     0};
	struct vgpu_chain chain = {
		.request = &cmd, .request_size = sizeof(cmd), .response_size = 24};

	return vgpu_submit(rig->vgpu, VGPU_CONTROL, &chain);
}

static void test_control_in_a_transfer(const void *mode)
{
	struct rig *rig = proto_rig(mode);
	struct timings timings = timings_create();
	struct vgpu_call *calls[16];

	rig_make_large(rig, LARGE_ID, LARGE_SIDE);
	for (size_t i = 0; i < G_N_ELEMENTS(calls); i++) {
		calls[i] = submit_transfer(rig);
	}
	vgpu_kick(rig->vgpu, VGPU_CONTROL);
	for (unsigned int i = 0; i < 30; i++) {
		time_all(rig, &timings);
		vgpu_move_cursor(rig->vgpu, 0, 0, i, i);
	}
	for (size_t i = 0; i < G_N_ELEMENTS(calls); i++) {
		finish(rig, calls[i]);
	}
	timings_check(&timings);
	rig_destroy(rig);
}

/* Renders for ever: the front-end hangs up, the next one is served; the program is told to end. */
static void test_ends_in_a_call(const void *mode)
{
	struct rig *rig = make_mock_rig(mode);
	uint8_t byte;

	mock_mode_send(name_of(mode), rig->vgpu, CTX, MOCK_SPIN, NULL, 0);
	g_usleep(20 * 1000);
	frontend_assert_alive(rig->frontend);
	int64_t start = g_get_monotonic_time();
	shutdown(rig->frontend->fd, SHUT_WR);
	g_assert_cmpint(recv(rig->frontend->fd, &byte, 1, 0), <=, 0);
	struct frontend *next = frontend_create(daemon_connect(rig->daemon));
	frontend_handshake(next);
	g_assert_cmpint(g_get_monotonic_time() - start, <, suite_timeout_ms(5000) * 1000);
	frontend_destroy(next);
	g_assert_no_errno(kill(rig->daemon->pid, SIGTERM));
	g_assert_cmpint(daemon_wait_exit(rig->daemon, 3000), ==, 0);
	rig_destroy_ended(rig);
}

/* Its command is answered, the next process draws. Takes as long as a command may. */
static void test_spins(const void *mode)
{
	proto_let_signals_kill();
	struct rig *rig = make_mock_rig(mode);
	struct timings timings = timings_create();

	rig->daemon->may_lose_processes = true;
	struct vgpu_call *call =
		mock_mode_send(name_of(mode), rig->vgpu, CTX, MOCK_SPIN, NULL, 0);
	while (!vgpu_wait(rig->vgpu, call, 100)) {
		time_all(rig, &timings);
	}
	g_assert_resp(vgpu_finish(rig->vgpu, call), VIRTIO_GPU_RESP_ERR_UNSPEC);
	timings_check(&timings);
	g_assert_ok(vgpu_ctx_destroy(rig->vgpu, CTX));
	g_assert_ok(vgpu_ctx_create(rig->vgpu, CTX, 0, "again"));
	g_assert_ok(echo(rig, mode, CTX));
	rig_destroy(rig);
}

/* ---- a fence that is never signalled ---- */

static struct vgpu_call *send_fenced(struct rig *rig, const void *mode, uint64_t fence)
{
	rig->vgpu->next_hdr.flags = VIRTIO_GPU_FLAG_FENCE;
	rig->vgpu->next_hdr.fence_id = fence;
	return mock_mode_send(name_of(mode), rig->vgpu, CTX, MOCK_ECHO, NULL, 0);
}

/* From now on none that is no ring's is signalled. */
static uint32_t hold_fences(struct rig *rig, const void *mode)
{
	const uint32_t args[] = {0, UINT32_MAX, MOCK_GFX_FENCES_HOLD};

	return mode == PROTO_GFXSTREAM
		       ? mock_gfxstream_run(rig->vgpu, CTX, MOCK_GFX_FENCES, args, 3)
		       : mock_virgl_run(rig->vgpu, CTX, MOCK_FENCES_NEVER, 0, NULL, 0);
}

/* In the end it is taken for a crash, also by a driver that is not the one that had it made. */
static void check_fence_never_ends(const void *mode, bool is_reset)
{
	proto_let_signals_kill();
	struct rig *rig = make_mock_rig(mode);
	struct vgpu_call *call;

	rig->daemon->may_lose_processes = true;
	g_assert_ok(hold_fences(rig, mode));
	call = send_fenced(rig, mode, 1);
	if (is_reset) {
		rig_reset(rig, true);
		g_assert_ok(vgpu_ctx_create(rig->vgpu, CTX, 0, "after a reset"));
		call = send_fenced(rig, mode, 2);
	}
	for (unsigned int i = 0; i < 100 && !vgpu_wait(rig->vgpu, call, 1000); i++) {
		g_assert_ok(vgpu_ctx_create(rig->vgpu, OTHER_CTX + 1, 0, "meanwhile"));
		g_assert_ok(vgpu_ctx_destroy(rig->vgpu, OTHER_CTX + 1));
	}
	g_assert_resp(vgpu_finish(rig->vgpu, call), VIRTIO_GPU_RESP_ERR_UNSPEC);
	g_assert_ok(vgpu_ctx_destroy(rig->vgpu, CTX));
	g_assert_ok(vgpu_ctx_create(rig->vgpu, CTX, 0, "again"));
	finish(rig, send_fenced(rig, mode, 3));
	rig_destroy(rig);
}

static void test_fence_never_ends(const void *mode)
{
	check_fence_never_ends(mode, false);
}

static void test_fence_never_ends_reset(const void *mode)
{
	check_fence_never_ends(mode, true);
}

/* Who waits for it waits; what needs no fence goes on, and so does the front-end. */
static void test_fence_never(const void *mode)
{
	struct rig *rig = make_mock_rig(mode);
	struct timings timings = timings_create();
	struct vgpu_call *calls[8];
	g_autofree uint32_t *pixels = rig_make_pattern(64, 64, 1);

	g_assert_ok(hold_fences(rig, mode));
	for (size_t i = 0; i < G_N_ELEMENTS(calls); i++) {
		calls[i] = send_fenced(rig, mode, i + 1);
	}
	g_assert_ok(echo(rig, mode, OTHER_CTX));
	rig_show_resource(rig, 1, 0, 64, 64, pixels);
	display_wait_pixels(rig->display, 0, pixels, 64, 64);
	for (unsigned int i = 0; i < 20; i++) {
		time_all(rig, &timings);
		vgpu_move_cursor(rig->vgpu, 0, 0, i, i);
		g_assert_ok(echo(rig, mode, OTHER_CTX));
	}
	timings_check(&timings);
	for (size_t i = 0; i < G_N_ELEMENTS(calls); i++) {
		g_assert_false(vgpu_wait(rig->vgpu, calls[i], 0));
	}
	int64_t start = g_get_monotonic_time();
	rig_reset(rig, true);
	g_assert_cmpint(g_get_monotonic_time() - start, <, suite_timeout_ms(2000) * 1000);
	g_assert_ok(vgpu_ctx_create(rig->vgpu, CTX, 0, "after a reset"));
	g_assert_ok(echo(rig, mode, CTX));
	rig_destroy(rig);
}

#define N_ROUNDS 60u
#define ROUND_FENCES 300u
#define MAX_FENCES 16384u
/* In the round that the limit is in, there is one to wait for. */
#define LAST_FENCES ((MAX_FENCES / ROUND_FENCES + 1) * ROUND_FENCES)

/* More fences and contexts than there may be, by resets: what a ring bounds, they don't. */
static void test_fence_never_is_bounded(const void *mode)
{
	const char *asan = g_getenv("ASAN_OPTIONS");
	g_autofree char *changed =
		g_strdup_printf("%s:quarantine_size_mb=1", asan ? asan : "");

	g_setenv("ASAN_OPTIONS", changed, TRUE);
	mock_virgl_use();
	struct rig *rig =
		rig_create(&(struct rig_options){.mode = name_of(mode),
						 .ring_size = 1024});
	struct vgpu_call *calls[ROUND_FENCES];
	unsigned int n_done = 0;
	uint64_t before = 0;

	for (unsigned int round = 0; round < N_ROUNDS; round++) {
		g_assert_ok(vgpu_ctx_create(rig->vgpu, CTX, 0, "test"));
		g_assert_ok(hold_fences(rig, mode));
		for (unsigned int i = 0; i < G_N_ELEMENTS(calls); i++) {
			calls[i] = send_fenced(rig, mode, i + 1);
		}
		for (unsigned int i = 0; i < G_N_ELEMENTS(calls); i++) {
			g_assert_ok(vgpu_ctx_create(rig->vgpu, OTHER_CTX, 0, "short"));
			g_assert_ok(vgpu_ctx_destroy(rig->vgpu, OTHER_CTX));
		}
		/* Beyond the limit there is none to wait for. */
		for (unsigned int i = 0; i < G_N_ELEMENTS(calls); i++) {
			if (calls[i]->is_done) {
				n_done++;
				g_assert_ok(vgpu_finish(rig->vgpu, calls[i]));
			}
		}
		if (round == 0) {
			before = daemon_held_bytes(rig->daemon);
		}
		rig_reset(rig, true);
	}
	rig_assert_serves(rig);
	g_assert_cmpuint(n_done, ==, N_ROUNDS * ROUND_FENCES - LAST_FENCES);
	uint64_t after = daemon_held_bytes(rig->daemon);
	g_test_message("holds %" G_GUINT64_FORMAT " bytes, then %" G_GUINT64_FORMAT, before, after);
	/* 160 bytes a fence, and more with a sanitizer. */
	g_assert_cmpuint(after, <, before + (uint64_t)suite_timeout_ms(8) * (1 << 20));
	rig_destroy(rig);
}

/* ---- a front-end ---- */

/* It asks and does not read: the end of its own session, and no other's. */
static void test_front_end_never_reads(const void *data)
{
	const struct proto_mode *mode = data;
	const char *args[] = {"--max-clients", "2", NULL};

	if (mode->has_3d) {
		mock_virgl_use();
	}
	struct rig *rig = rig_create(&(struct rig_options){.mode = mode->name, .args = args});
	struct timings timings = timings_create();
	struct frontend *other = frontend_create(daemon_connect(rig->daemon));
	const struct vhost_user_header header = {VHOST_USER_GET_FEATURES, VHOST_USER_VERSION, 0};
	int64_t deadline = suite_deadline_us(5000);
	size_t n_asked = 0;
	int error;

	frontend_handshake(other);
	do {
		ssize_t n = send(other->fd, &header, sizeof(header), MSG_NOSIGNAL | MSG_DONTWAIT);

		error = n < 0 ? errno : 0;
		n_asked += n > 0;
		if (error == EAGAIN) {
			time_all(rig, &timings);
		}
	} while ((error == 0 || error == EAGAIN) && suite_left_ms(deadline) > 0);
	g_assert_cmpint(error, ==, EPIPE);
	g_test_message("dropped after %zu questions without a reader", n_asked);
	time_all(rig, &timings);
	rig_assert_serves(rig);
	timings_check(&timings);
	frontend_destroy(other);
	rig_destroy(rig);
}

/* Half a message: the guest's queues are served, the other half is waited for. */
static void test_half_a_message(const void *mode)
{
	if (((const struct proto_mode *)mode)->has_3d) {
		mock_virgl_use();
	}
	struct rig *rig = proto_rig(mode);
	const struct vhost_user_header header = {VHOST_USER_GET_FEATURES, VHOST_USER_VERSION, 0};
	struct virtio_gpu_resp_edid edid;
	uint64_t features;

	g_assert_cmpint(frontend_send_bytes(rig->frontend, &header, 5, NULL, 0), ==, 0);
	for (unsigned int i = 0; i < 100; i++) {
		g_assert_resp(vgpu_get_edid(rig->vgpu, 0, &edid), VIRTIO_GPU_RESP_OK_EDID);
		vgpu_move_cursor(rig->vgpu, 0, 0, i, i);
	}
	g_assert_false(frontend_wait_readable(rig->frontend, 0));
	g_assert_cmpint(frontend_send_bytes(rig->frontend, (const char *)&header + 5,
					    sizeof(header) - 5, NULL, 0),
			==, 0);
	frontend_receive(rig->frontend, VHOST_USER_GET_FEATURES, &features, sizeof(features));
	rig_destroy(rig);
}

/* ---- a display ---- */

#define SIDE 64u

/* Instead of the test's display, one that the test plays by hand: its end. */
static int replace_display(struct rig *rig)
{
	int fds[2];

	g_assert_no_errno(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds));
	display_disconnect(rig->display);
	frontend_gpu_set_socket(rig->frontend, fds[1]);
	close(fds[1]);
	return fds[0];
}

/* The guest draws and points, the front-end asks: none of them waits for that display. */
static void live_on(struct rig *rig, struct timings *timings, uint32_t i)
{
	g_assert_ok(vgpu_transfer_to_host_2d(rig->vgpu, 1, 0, 0, 0, SIDE, SIDE));
	g_assert_ok(vgpu_resource_flush(rig->vgpu, 1, 0, 0, SIDE, SIDE));
	vgpu_move_cursor(rig->vgpu, 0, 0, i, i);
	time_all(rig, timings);
}

/* Of the processor, in ticks of 10 ms; a proctree_fn. */
static void add_ticks(pid_t pid, void *ticks_inout)
{
	g_autofree char *path = g_strdup_printf("/proc/%d/stat", (int)pid);
	g_autofree char *text = NULL;
	unsigned long user, kernel;

	if (!g_file_get_contents(path, &text, NULL, NULL)) {
		return;
	}
	const char *after_name = strrchr(text, ')');
	g_assert_nonnull(after_name);
	g_assert_cmpint(sscanf(after_name,
			       ") %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu", &user,
			       &kernel),
			==, 2);
	*(unsigned long *)ticks_inout += user + kernel;
}

static bool is_idle(void *data)
{
	struct rig *rig = data;
	unsigned long before = 0, after = 0;

	proctree_each(rig->daemon->pid, add_ticks, &before);
	g_usleep(300 * 1000);
	proctree_each(rig->daemon->pid, add_ticks, &after);
	return after <= before + 5;
}

static void check_hostile_display(const void *mode, void (*act)(int fd, uint32_t round))
{
	if (((const struct proto_mode *)mode)->has_3d) {
		mock_virgl_use();
	}
	struct rig *rig = proto_rig(mode);
	struct timings timings = timings_create();
	g_autofree uint32_t *pixels = rig_make_pattern(SIDE, SIDE, 1);

	rig_show_resource(rig, 1, 0, SIDE, SIDE, pixels);
	display_wait_pixels(rig->display, 0, pixels, SIDE, SIDE);
	int fd = replace_display(rig);
	for (uint32_t i = 0; i < 40; i++) {
		act(fd, i);
		live_on(rig, &timings, i);
	}
	timings_check(&timings);
	/* Nobody asks for anything: then nothing is done, once what had come is. */
	g_assert_true(suite_wait(is_idle, rig, 5000));
	close(fd);
	/* The next one is sane, and sees what there is to see. */
	fd = display_connect(rig->display);
	frontend_gpu_set_socket(rig->frontend, fd);
	close(fd);
	display_wait_pixels(rig->display, 0, pixels, SIDE, SIDE);
	rig_destroy(rig);
}

/* Replies to nothing, as many as the socket takes. */
static void flood(int fd, uint32_t round)
{
	const uint32_t message[] = {VHOST_USER_GPU_GET_DISPLAY_INFO, VHOST_USER_GPU_FLAG_REPLY, 0};

	(void)round;
	for (unsigned int i = 0; i < 5000; i++) {
		if (send(fd, message, sizeof(message), MSG_NOSIGNAL) < 0) {
			break;
		}
	}
}

static void test_display_floods(const void *mode)
{
	check_hostile_display(mode, flood);
}

static void talk_nonsense(int fd, uint32_t round)
{
	uint8_t bytes[512];

	memset(bytes, (int)(round * 37 + 11), sizeof(bytes));
	ssize_t ignored = send(fd, bytes, sizeof(bytes), MSG_NOSIGNAL);
	(void)ignored;
}

static void test_display_talks_nonsense(const void *mode)
{
	check_hostile_display(mode, talk_nonsense);
}

static void stop_reading_for_good(int fd, uint32_t round)
{
	if (round == 2) {
		shutdown(fd, SHUT_RD);
	}
}

static void test_display_half_closes_in(const void *mode)
{
	check_hostile_display(mode, stop_reading_for_good);
}

static void stop_writing_for_good(int fd, uint32_t round)
{
	if (round == 2) {
		shutdown(fd, SHUT_WR);
	}
}

static void test_display_half_closes_out(const void *mode)
{
	check_hostile_display(mode, stop_writing_for_good);
}

/* Half a reply to the first question, and no more. */
static void reply_by_half(int fd, uint32_t round)
{
	const uint32_t half[] = {VHOST_USER_GPU_GET_PROTOCOL_FEATURES, VHOST_USER_GPU_FLAG_REPLY};

	if (round == 0) {
		g_assert_cmpint(send(fd, half, sizeof(half), MSG_NOSIGNAL), ==, sizeof(half));
	}
}

static void test_display_replies_by_half(const void *mode)
{
	check_hostile_display(mode, reply_by_half);
}

int main(int argc, char *argv[])
{
	suite_init(&argc, &argv);
	if (g_test_slow()) {
		proto_add_3d("stall", "spins", test_spins);
		proto_add_3d("stall", "fence_never_ends", test_fence_never_ends);
		proto_add_3d("stall", "fence_never_ends_after_a_reset",
			     test_fence_never_ends_reset);
		suite_set_limit_s(180);
		return suite_run();
	}
	proto_add_3d("stall", "control_in_a_call", test_control_in_a_call);
	suite_add(test_control_in_a_transfer, PROTO_2D, "/proto/stall/2d/control_in_a_transfer");
	proto_add_3d("stall", "ends_in_a_call", test_ends_in_a_call);
	proto_add_3d("stall", "fence_never", test_fence_never);
	proto_add_virgl("stall", "fence_never_is_bounded", test_fence_never_is_bounded);
	proto_add_drawing("stall", "front_end_never_reads", test_front_end_never_reads);
	proto_add_drawing("stall", "half_a_message", test_half_a_message);
	proto_add_drawing("stall", "display_floods", test_display_floods);
	proto_add_drawing("stall", "display_talks_nonsense", test_display_talks_nonsense);
	proto_add_drawing("stall", "display_half_closes_in", test_display_half_closes_in);
	proto_add_drawing("stall", "display_half_closes_out", test_display_half_closes_out);
	proto_add_drawing("stall", "display_replies_by_half", test_display_replies_by_half);
	return suite_run();
}
