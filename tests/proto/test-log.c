/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * Whoever makes 100,000 mistakes makes a few lines: ten of each level, then one a second of errors
 * and warnings, ten a second of the rest, each with a line that says how many were left out.
 */
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "mock_gfxstream.h"
#include "mock_virgl.h"
#include "proto.h"
#include "virgl_stream.h"

#define CTX 1u
#define N_MISTAKES 100000u
#define LINES_AT_ONCE 10

static unsigned int count_lines(const struct rig *rig)
{
	g_autofree char *text = daemon_stderr(rig->daemon);
	unsigned int n = 0;

	for (const char *at = text; (at = strchr(at, '\n')) != NULL; at++) {
		n++;
	}
	return n;
}

static bool has_lines(void *rig)
{
	return count_lines(rig) > 0;
}

/* @n_levels: of all processes together. What one that renders says comes by way of its keeper. */
static void assert_few(struct rig *rig, int64_t since_us, unsigned int a_second,
		       unsigned int n_levels)
{
	g_assert_true(suite_wait(has_lines, rig, 5000));
	unsigned int n_lines = count_lines(rig);
	int64_t seconds = (g_get_monotonic_time() - since_us) / G_USEC_PER_SEC + 1;
	int64_t limit = n_levels * 2 * (LINES_AT_ONCE + a_second * seconds);

	g_test_message("%u lines in %" G_GINT64_FORMAT " s", n_lines, seconds);
	g_assert_cmpint(n_lines, <=, limit);
}

static struct rig *make_rig(const void *mode)
{
	if (((const struct proto_mode *)mode)->has_3d) {
		mock_virgl_use();
	}
	return proto_rig(mode);
}

/* A command of @cmd's, as often, with no answer looked at. */
static void send_often(struct rig *rig, const struct vgpu_chain *chain)
{
	struct vgpu_call *calls[64];

	for (unsigned int i = 0; i < N_MISTAKES; i += G_N_ELEMENTS(calls)) {
		for (size_t j = 0; j < G_N_ELEMENTS(calls); j++) {
			calls[j] = vgpu_submit(rig->vgpu, VGPU_CONTROL, chain);
		}
		vgpu_kick(rig->vgpu, VGPU_CONTROL);
		for (size_t j = 0; j < G_N_ELEMENTS(calls); j++) {
			g_assert_true(vgpu_wait(rig->vgpu, calls[j], VGPU_ANSWER_MS));
			vgpu_finish(rig->vgpu, calls[j]);
		}
	}
}

/* At "debug", where a guest's mistakes are told. */
static void test_guest_commands(const void *mode)
{
	const struct virtio_gpu_ctrl_hdr bad = {.type = 0x1ff};
	const struct vgpu_chain chain = {
		.request = &bad, .request_size = sizeof(bad), .response_size = sizeof(bad)};

	g_setenv("VHOST_DEVICE_GPU_LOG", "debug", TRUE);
	int64_t start = g_get_monotonic_time();
	struct rig *rig = make_rig(mode);
	send_often(rig, &chain);
	rig_assert_serves(rig);
	/* Two processes, and what they say of their own life. */
	assert_few(rig, start, 10, 2 * 2);
	rig_destroy(rig);
}

/* An indirect table that is too long: a warning, and the queue goes on. */
static void test_guest_chains(const void *mode)
{
	const uint32_t n = 5000;
	const struct virtio_gpu_ctrl_hdr request = {.type = VIRTIO_GPU_CMD_GET_DISPLAY_INFO};
	struct rig *rig = make_rig(mode);
	uint64_t table_gpa = rig_backing(rig, NULL, n * sizeof(struct vring_desc));
	uint64_t gpa = rig_backing(rig, NULL, GUESTRAM_PAGE);
	struct vring_desc *table = guestram_at(rig->ram, table_gpa, n * sizeof(*table));
	struct vring_used_elem used;
	int64_t start = g_get_monotonic_time();

	memcpy(guestram_at(rig->ram, gpa, sizeof(request)), &request, sizeof(request));
	for (uint16_t i = 0; i < n; i++) {
		table[i] = (struct vring_desc){gpa, sizeof(request), VRING_DESC_F_NEXT,
					       (uint16_t)(i + 1)};
	}
	table[n - 1] = (struct vring_desc){gpa + 2048, 24, VRING_DESC_F_WRITE, 0};
	for (unsigned int i = 0; i < N_MISTAKES / 10; i++) {
		uint16_t head = ring_take_desc(rig->control);

		ring_set_desc(rig->control, head, table_gpa, n * sizeof(*table),
			      VRING_DESC_F_INDIRECT, 0);
		ring_publish(rig->control, head);
		ring_kick(rig->control);
		g_assert_true(ring_wait_used(rig->control, VGPU_ANSWER_MS, &used));
	}
	assert_few(rig, start, 1, 1);
	rig_destroy(rig);
}

/* Each with its own number for an error. */
static uint32_t have_it_complain(struct rig *rig, const void *mode)
{
	const uint32_t virgl_args[] = {N_MISTAKES, 3}, gfxstream_args[] = {N_MISTAKES, 1};

	return mode == PROTO_GFXSTREAM
		       ? mock_gfxstream_run(rig->vgpu, CTX, MOCK_GFX_LOG, gfxstream_args, 2)
		       : mock_virgl_run(rig->vgpu, CTX, MOCK_LOG, 0, virgl_args, 2);
}

/* The library calls a stream's fault an error, and says so as often as it is told to. */
static void test_library(const void *mode)
{
	struct rig *rig = make_rig(mode);
	int64_t start = g_get_monotonic_time();

	g_assert_ok(vgpu_ctx_create(rig->vgpu, CTX, 0, "test"));
	g_assert_ok(have_it_complain(rig, mode));
	assert_few(rig, start, 1, 1);
	rig_destroy(rig);
}

/* The real one, which has a word about each texture that can't be. */
static void test_real_library(const void *mode)
{
	const struct virtio_gpu_resource_create_3d bad = {
		.hdr = {.type = VIRTIO_GPU_CMD_RESOURCE_CREATE_3D},
		.resource_id = 1,
		.target = 2,
		.format = VIRGL_FORMAT_B8G8R8A8,
		.bind = VIRGL_BIND_RENDER_TARGET,
		.width = 16,
		.height = 16,
		.depth = 16, /* of a flat one */
		.array_size = 1,
	};
	const struct vgpu_chain chain = {.request = &bad,
					 .request_size = sizeof(bad),
					 .response_size = sizeof(struct virtio_gpu_ctrl_hdr)};

	g_setenv("VHOST_DEVICE_GPU_LOG", "debug", TRUE);
	int64_t start = g_get_monotonic_time();
	struct rig *rig = proto_rig(mode);
	send_often(rig, &chain);
	assert_few(rig, start, 10, 2 * 2);
	rig_destroy(rig);
}

/* Requests that there are not. */
static void test_front_end(const void *mode)
{
	struct rig *rig = make_rig(mode);
	int64_t start = g_get_monotonic_time();

	for (unsigned int i = 0; i < N_MISTAKES; i++) {
		g_assert_cmpint(frontend_send(rig->frontend, 200, 0, NULL, 0, NULL, 0), ==, 0);
		if (i % 100 == 0) {
			frontend_assert_alive(rig->frontend);
		}
	}
	frontend_assert_alive(rig->frontend);
	assert_few(rig, start, 1, 1);
	rig_destroy(rig);
}

/* Each has a process of its own, which has said nothing yet. */
static void test_many_front_ends(const void *mode)
{
	const struct vhost_user_header bad = {VHOST_USER_GET_FEATURES, 7, 0};
	const char *args[] = {"--max-clients", "8", NULL};
	struct rig *rig = rig_create(&(struct rig_options){
		.mode = ((const struct proto_mode *)mode)->name, .args = args});
	int64_t start = g_get_monotonic_time();

	for (unsigned int i = 0; i < 300; i++) {
		struct frontend *other = frontend_create(daemon_connect(rig->daemon));

		g_assert_cmpint(frontend_send_bytes(other, &bad, sizeof(bad), NULL, 0), ==, 0);
		g_assert_true(frontend_wait_closed(other, 5000));
		frontend_destroy(other);
	}
	/* The first one takes ten, the next nine. */
	assert_few(rig, start, 1, 5);
	rig_destroy(rig);
}

/* Answers to questions that were not asked. */
static void test_display(const void *mode)
{
	const uint32_t message[] = {VHOST_USER_GPU_GET_DISPLAY_INFO, VHOST_USER_GPU_FLAG_REPLY, 0};
	struct rig *rig = make_rig(mode);
	int64_t start = g_get_monotonic_time();
	int fds[2];

	g_assert_no_errno(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds));
	display_disconnect(rig->display);
	frontend_gpu_set_socket(rig->frontend, fds[1]);
	close(fds[1]);
	for (unsigned int i = 0; i < N_MISTAKES; i++) {
		g_assert_cmpint(send(fds[0], message, sizeof(message), MSG_NOSIGNAL), ==,
				sizeof(message));
	}
	close(fds[0]);
	rig_assert_serves(rig);
	assert_few(rig, start, 1, 1);
	rig_destroy(rig);
}

int main(int argc, char *argv[])
{
	suite_init(&argc, &argv);
	proto_add_drawing("log", "guest_commands", test_guest_commands);
	proto_add_drawing("log", "guest_chains", test_guest_chains);
	proto_add_3d("log", "library_complains", test_library);
	proto_add_virgl("log", "real_library", test_real_library);
	suite_add(test_front_end, PROTO_2D, "/proto/log/2d/front_end");
	suite_add(test_many_front_ends, PROTO_2D, "/proto/log/2d/many_front_ends");
	proto_add_drawing("log", "display", test_display);
	return suite_run();
}
