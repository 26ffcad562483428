/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * What befalls a daemon from outside: a display or a front-end that dies in the middle of a
 * message, a host that has no descriptors, no memory or no disk left. Nothing that was there is
 * lost, and when there is plenty again all works as before.
 */
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <sched.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mount.h>
#include <unistd.h>

#include "proctree.h"
#include "proto.h"
#include "scarcity.h"
#include "virgl_stream.h"

#define FORMAT VIRTIO_GPU_FORMAT_B8G8R8X8_UNORM
#define WIDTH 320u
#define HEIGHT 200u
#define FRAME_BYTES (WIDTH * HEIGHT * 4u)
#define MIB (UINT64_C(1) << 20)

static const char *name_of(const void *mode)
{
	return ((const struct proto_mode *)mode)->name;
}

static void connect_display(struct rig *rig)
{
	int fd = display_connect(rig->display);

	frontend_gpu_set_socket(rig->frontend, fd);
	close(fd);
}

/* A fresh picture is shown, and a fresh command answered. */
static void prove(struct rig *rig, uint32_t id)
{
	g_autofree uint32_t *pixels = rig_make_pattern(64, 48, id);

	rig_show_resource(rig, id, 0, 64, 48, pixels);
	display_wait_pixels(rig->display, 0, pixels, 64, 48);
	g_assert_ok(vgpu_resource_unref(rig->vgpu, id));
	rig_assert_serves(rig);
}

static bool has_said(struct daemon *daemon, const char *words)
{
	g_autofree char *text = daemon_stderr(daemon);

	return strstr(text, words) != NULL;
}

/* ---- a display that dies ---- */

/* After each of the first bytes, where headers and the small messages are; then anywhere. */
static uint64_t pick_length(GRand *random, uint32_t round)
{
	return round < 90 ? 1 + round : (uint64_t)g_rand_int_range(random, 90, (gint32)FRAME_BYTES);
}

static void test_display_dies(const void *mode)
{
	struct rig *rig = rig_create_mode(name_of(mode));
	GRand *random = g_rand_new_with_seed(7);
	g_autofree uint32_t *pixels = rig_make_pattern(WIDTH, HEIGHT, 1);

	rig_show_resource(rig, 1, 0, WIDTH, HEIGHT, pixels);
	display_wait_pixels(rig->display, 0, pixels, WIDTH, HEIGHT);
	for (uint32_t round = 0; round < 130; round++) {
		display_disconnect(rig->display);
		uint64_t end = display_n_bytes(rig->display) + pick_length(random, round);
		display_hang_up_at(rig->display, end);
		connect_display(rig);
		display_wait_bytes(rig->display, end);
		g_assert_ok(vgpu_resource_flush(rig->vgpu, 1, 0, 0, WIDTH, HEIGHT));
		vgpu_move_cursor(rig->vgpu, 0, 0, round, round);
	}
	display_disconnect(rig->display);
	display_hang_up_at(rig->display, 0);
	connect_display(rig);
	display_wait_pixels(rig->display, 0, pixels, WIDTH, HEIGHT);
	prove(rig, 2);
	g_rand_free(random);
	rig_destroy(rig);
}

/* ---- a front-end that dies ---- */

struct message {
	uint8_t bytes[80];
	size_t size;
	int fd; /* -1: none */
};

struct script {
	struct message messages[40];
	unsigned int n;
	size_t size;
};

static void say(struct script *script, uint32_t request, const void *payload, uint32_t size, int fd)
{
	struct message *message = &script->messages[script->n];
	const struct vhost_user_header header = { request, VHOST_USER_VERSION, size };

	g_assert_cmpuint(script->n, <, G_N_ELEMENTS(script->messages));
	memcpy(message->bytes, &header, sizeof(header));
	if (size > 0) {
		memcpy(message->bytes + sizeof(header), payload, size);
	}
	message->size = sizeof(header) + size;
	message->fd = fd;
	script->n += 1;
	script->size += message->size;
}

static void say_u64(struct script *script, uint32_t request, uint64_t value, int fd)
{
	say(script, request, &value, sizeof(value), fd);
}

static void say_ring(struct script *script, const struct rig *rig, const struct ring *ring)
{
	const struct vhost_user_vring_state size = { ring->index, ring->size };
	const struct vhost_user_vring_state base = { ring->index, 0 };
	const struct vhost_user_vring_state on = { ring->index, 1 };
	const struct vhost_user_vring_addr addr = {
		.index = ring->index,
		.desc = guestram_to_uva(rig->ram, ring->desc_gpa),
		.avail = guestram_to_uva(rig->ram, ring->avail_gpa),
		.used = guestram_to_uva(rig->ram, ring->used_gpa),
	};

	say_u64(script, VHOST_USER_SET_VRING_CALL, ring->index, ring->call_fd);
	say_u64(script, VHOST_USER_SET_VRING_ERR, ring->index, ring->err_fd);
	say(script, VHOST_USER_SET_VRING_NUM, &size, sizeof(size), -1);
	say(script, VHOST_USER_SET_VRING_BASE, &base, sizeof(base), -1);
	say(script, VHOST_USER_SET_VRING_ADDR, &addr, sizeof(addr), -1);
	say_u64(script, VHOST_USER_SET_VRING_KICK, ring->index, ring->kick_fd);
	say(script, VHOST_USER_SET_VRING_ENABLE, &on, sizeof(on), -1);
}

/* All that a front-end says until its machine runs, in the order of QEMU. */
static void write_script(struct script *script, const struct rig *rig, int display_fd)
{
	say(script, VHOST_USER_GET_FEATURES, NULL, 0, -1);
	say(script, VHOST_USER_GET_PROTOCOL_FEATURES, NULL, 0, -1);
	say_u64(script, VHOST_USER_SET_PROTOCOL_FEATURES, rig->frontend->acked_protocol_features,
		-1);
	say(script, VHOST_USER_GET_QUEUE_NUM, NULL, 0, -1);
	say(script, VHOST_USER_SET_OWNER, NULL, 0, -1);
	say(script, VHOST_USER_GPU_SET_SOCKET, NULL, 0, display_fd);
	say_u64(script, VHOST_USER_SET_FEATURES, rig->acked_features, -1);
	for (unsigned int i = 0; i < rig->ram->n_regions; i++) {
		const struct vhost_user_mem_reg_msg msg = { .region = rig->ram->regions[i].wire };
		say(script, VHOST_USER_ADD_MEM_REG, &msg, sizeof(msg), rig->ram->regions[i].memfd);
	}
	say_ring(script, rig, rig->control);
	say_ring(script, rig, rig->cursor);
	say(script, VHOST_USER_GET_FEATURES, NULL, 0, -1);
}

/* The first @left bytes of it; then the connection is cut, with unread answers in it. */
static void speak(const struct script *script, struct daemon *daemon, size_t left)
{
	struct frontend *frontend = frontend_create(daemon_connect(daemon));

	for (unsigned int i = 0; i < script->n && left > 0; i++) {
		const struct message *message = &script->messages[i];
		size_t size = MIN(message->size, left);

		/* One that has ended already has nothing to be said to. */
		if (frontend_send_bytes(frontend, message->bytes, size, &message->fd,
					message->fd >= 0 ? 1 : 0) < 0) {
			break;
		}
		left -= size;
	}
	frontend_destroy(frontend);
}

/* Work that waits in the rings for whoever gets so far. */
static void fill_rings(struct rig *rig)
{
	const struct virtio_gpu_resource_create_2d create = {
		.hdr.type = VIRTIO_GPU_CMD_RESOURCE_CREATE_2D,
		.resource_id = 1,
		.format = FORMAT,
		.width = 640,
		.height = 480,
	};
	const struct virtio_gpu_set_scanout scanout = { .hdr.type = VIRTIO_GPU_CMD_SET_SCANOUT,
							.r = { 0, 0, 640, 480 },
							.resource_id = 1 };
	const struct virtio_gpu_resource_flush flush = { .hdr.type = VIRTIO_GPU_CMD_RESOURCE_FLUSH,
							 .r = { 0, 0, 640, 480 },
							 .resource_id = 1 };
	struct vgpu_chain chains[] = {
		{ .request = &create, .request_size = sizeof(create), .response_size = 24 },
		{ .request = &scanout, .request_size = sizeof(scanout), .response_size = 24 },
		{ .request = &flush, .request_size = sizeof(flush), .response_size = 24 },
	};

	vgpu_forget(rig->vgpu);
	rig->ram->regions[1].used = 0;
	ring_reset(rig->control);
	ring_reset(rig->cursor);
	for (size_t i = 0; i < G_N_ELEMENTS(chains); i++) {
		vgpu_submit(rig->vgpu, VGPU_CONTROL, &chains[i]);
	}
}

static bool has_no_session(void *data)
{
	return daemon_count_children(data) == 0;
}

/* Until all who came before have been served, and nothing is left of them. */
static void wait_idle(struct daemon *daemon)
{
	struct frontend *last = frontend_create(daemon_connect_or_skip(daemon));

	frontend_assert_alive(last);
	frontend_destroy(last);
	if (!suite_wait(has_no_session, daemon, 5000)) {
		g_error("%u processes are left of ended sessions", daemon_count_children(daemon));
	}
}

static void assert_unchanged(struct daemon *daemon, unsigned int n_fds, uint64_t rss_bytes)
{
	wait_idle(daemon);
	g_assert_cmpuint(daemon_count_fds(daemon), ==, n_fds);
	double ratio = (double)daemon_rss_bytes(daemon) / (double)rss_bytes;
	g_assert_cmpfloat(fabs(ratio - 1.0), <=, 0.05);
}

/* A thousand times, in the middle of any message. */
static void test_front_end_dies(const void *mode)
{
	struct rig *rig = rig_create_mode(name_of(mode));
	GRand *random = g_rand_new_with_seed(8);
	struct script script = { 0 };
	struct display_config config = display_config_default();
	struct display *display = display_create(&config);
	int display_fd = display_connect(display);

	write_script(&script, rig, display_fd);
	frontend_destroy(rig->frontend);
	rig->frontend = NULL;
	unsigned int n_fds = 0;
	uint64_t rss_bytes = 0;
	for (unsigned int i = 0; i < 1000; i++) {
		fill_rings(rig);
		speak(&script, rig->daemon,
		      (size_t)g_rand_int_range(random, 0, (gint32)script.size + 1));
		if (i == 20) {
			wait_idle(rig->daemon);
			n_fds = daemon_count_fds(rig->daemon);
			rss_bytes = daemon_rss_bytes(rig->daemon);
		}
	}
	assert_unchanged(rig->daemon, n_fds, rss_bytes);
	close(display_fd);
	display_destroy(display);
	g_rand_free(random);
	/* The thousand-and-first is served as if nothing had been. */
	vgpu_forget(rig->vgpu);
	rig->ram->regions[1].used = 0;
	ring_reset(rig->control);
	ring_reset(rig->cursor);
	display_disconnect(rig->display);
	rig->frontend = frontend_create(daemon_connect(rig->daemon));
	frontend_handshake(rig->frontend);
	rig_start(rig, 0, 0);
	prove(rig, 1);
	rig_destroy(rig);
}

/* ---- no descriptors ---- */

static bool has_complained(void *data)
{
	return has_said(data, g_strerror(EMFILE));
}

/* A front-end that comes when none can be taken waits, and is served when one can. */
static void test_no_fd_to_accept(const void *mode)
{
	struct daemon *daemon = daemon_start(name_of(mode), NULL);

	wait_idle(daemon);
	scarcity_of_listener_fds(daemon, 0);
	struct frontend *frontend = frontend_create(daemon_connect(daemon));
	g_assert_true(suite_wait(has_complained, daemon, 5000));
	g_assert_true(daemon_is_running(daemon));
	scarcity_lift(daemon);
	frontend_handshake(frontend);
	frontend_destroy(frontend);
	daemon_destroy(daemon);
}

/* The kick's descriptor arrives, and there is none left to watch it by. */
static void test_one_fd_for_kick(const void *mode)
{
	struct rig *rig = rig_create_mode(name_of(mode));

	prove(rig, 1);
	frontend_stop_ring(rig->frontend, VGPU_CURSOR);
	scarcity_of_fds(rig->daemon, 1);
	frontend_set_vring_fd(rig->frontend, VHOST_USER_SET_VRING_KICK, VGPU_CURSOR,
			      rig->cursor->kick_fd);
	frontend_assert_alive(rig->frontend);
	rig_assert_serves(rig);
	scarcity_lift(rig->daemon);
	ring_reset(rig->cursor);
	frontend_stop_ring(rig->frontend, VGPU_CURSOR);
	frontend_start_ring(rig->frontend, rig->cursor, 0, false);
	vgpu_move_cursor(rig->vgpu, 0, 0, 1, 1);
	prove(rig, 2);
	rig_destroy(rig);
}

/* Large pictures are lent through a pipe where there can be one, and sent where not. */
static void test_no_fd_for_pictures(const void *mode)
{
	struct rig *rig = rig_create_mode(name_of(mode));
	g_autofree uint32_t *pixels = rig_make_pattern(WIDTH, HEIGHT, 1);

	scarcity_of_fds(rig->daemon, 0);
	rig_show_resource(rig, 1, 0, WIDTH, HEIGHT, pixels);
	display_wait_pixels(rig->display, 0, pixels, WIDTH, HEIGHT);
	scarcity_lift(rig->daemon);
	prove(rig, 2);
	rig_destroy(rig);
}

/* ---- no memory ---- */

static uint32_t create_until_refused(struct rig *rig, uint32_t side, uint32_t max)
{
	for (uint32_t i = 0; i < max; i++) {
		uint32_t type = vgpu_resource_create_2d(rig->vgpu, 100 + i, FORMAT, side, side);
		if (type != VIRTIO_GPU_RESP_OK_NODATA) {
			g_assert_resp(type, VIRTIO_GPU_RESP_ERR_OUT_OF_MEMORY);
			return i;
		}
	}
	return max;
}

static void check_no_memory(const void *mode, uint64_t more_bytes, uint32_t side, uint32_t max)
{
	struct rig *rig = rig_create_mode(name_of(mode));

	prove(rig, 1);
	scarcity_of_memory(rig->daemon, more_bytes);
	uint32_t n = create_until_refused(rig, side, max);
	g_assert_cmpuint(n, <, max);
	g_test_message("%u resources of %ux%u", n, side, side);
	rig_assert_serves(rig);
	for (uint32_t i = 0; i < n; i++) {
		g_assert_ok(vgpu_resource_unref(rig->vgpu, 100 + i));
	}
	/* What was given back can be had again. */
	g_assert_ok(vgpu_resource_create_2d(rig->vgpu, 99, FORMAT, side, side));
	scarcity_lift(rig->daemon);
	prove(rig, 2);
	rig_destroy(rig);
}

static void test_no_memory_for_large(const void *mode)
{
	check_no_memory(mode, 200 * MIB, 4096, 100);
}

static void test_no_memory_for_middling(const void *mode)
{
	check_no_memory(mode, 32 * MIB, 512, 1000);
}

/* A picture that is still held for the display would have to be copied before it is drawn on. */
static void test_no_memory_for_copy(const void *mode)
{
	const uint32_t width = 1280, height = 800;
	struct rig *rig = rig_create_mode(name_of(mode));
	g_autofree uint32_t *pixels = rig_make_pattern(width, height, 1);

	rig_make_resource(rig, 1, FORMAT, width, height, pixels);
	g_assert_ok(vgpu_transfer_to_host_2d(rig->vgpu, 1, 0, 0, 0, width, height));
	g_assert_ok(vgpu_set_scanout(rig->vgpu, 0, 1, 0, 0, width, height));
	display_wait_features_acked(rig->display);
	display_set_stalled(rig->display, true);
	g_assert_ok(vgpu_resource_flush(rig->vgpu, 1, 0, 0, width, height));
	scarcity_of_memory(rig->daemon, 2 * MIB);
	g_assert_resp(vgpu_transfer_to_host_2d(rig->vgpu, 1, 0, 0, 0, 100, 100),
		      VIRTIO_GPU_RESP_ERR_OUT_OF_MEMORY);
	display_set_stalled(rig->display, false);
	/* Whole, as it was flushed. */
	display_wait_pixels(rig->display, 0, pixels, width, height);
	scarcity_lift(rig->daemon);
	g_assert_ok(vgpu_transfer_to_host_2d(rig->vgpu, 1, 0, 0, 0, width, height));
	prove(rig, 2);
	rig_destroy(rig);
}

/* ---- no disk ---- */

#define CACHE_SIDE 64u
#define CACHE_PIXELS (CACHE_SIDE * CACHE_SIDE)
enum { CACHE_CTX = 1, CACHE_TARGET = 1, CACHE_BUFFER = 2 };

/* What is mounted from now on is seen by this process and what it starts. */
static bool hide_mounts(void)
{
	if (unshare(CLONE_NEWNS) < 0) {
		return false;
	}
	/* In a chroot the root is no mount, and whoever made it has seen to this. */
	return mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0 || errno == EINVAL;
}

static char *mount_cache(void)
{
	char *dir = g_dir_make_tmp("proto-cache-XXXXXX", NULL);

	g_assert_nonnull(dir);
	if (!hide_mounts() || mount("cache", dir, "tmpfs", 0, "size=16m") < 0) {
		int error = errno;
		rmdir(dir);
		suite_skip("no disk of its own can be mounted: %s", g_strerror(error));
	}
	g_setenv("MESA_SHADER_CACHE_DIR", dir, TRUE);
	return dir;
}

static void unmount_cache(char *consume_dir)
{
	g_assert_no_errno(umount2(consume_dir, MNT_DETACH));
	g_assert_no_errno(rmdir(consume_dir));
	g_free(consume_dir);
}

static void fill_disk(const char *dir)
{
	static const char zeros[4096];
	g_autofree char *path = g_build_filename(dir, "full", NULL);
	int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

	g_assert_no_errno(fd);
	while (write(fd, zeros, sizeof(zeros)) > 0) {
	}
	g_assert_cmpint(errno, ==, ENOSPC);
	close(fd);
}

/* cache: a folder for it; NULL: as it is without one. */
static struct rig *rig_for_shaders(const void *mode, const char *cache)
{
	const char *const args[] = {"--shader-cache", cache, NULL};
	const struct virtio_gpu_resource_create_3d buffer = {
		.hdr.type = VIRTIO_GPU_CMD_RESOURCE_CREATE_3D,
		.resource_id = CACHE_BUFFER,
		.target = VIRGL_TARGET_BUFFER,
		.format = VIRGL_FORMAT_R8,
		.bind = VIRGL_BIND_VERTEX_BUFFER,
		.width = VIRGL_STREAM_VERTEX_BYTES,
		.height = 1,
		.depth = 1,
		.array_size = 1,
	};
	struct rig *rig = rig_create(
		&(struct rig_options){.mode = name_of(mode), .args = cache != NULL ? args : NULL});

	g_assert_ok(vgpu_ctx_create(rig->vgpu, CACHE_CTX, 0, "shaders"));
	g_assert_ok(vgpu_resource_create_3d(rig->vgpu, CACHE_TARGET, VIRGL_FORMAT_B8G8R8A8,
					    VIRGL_BIND_RENDER_TARGET | VIRGL_BIND_SCANOUT,
					    CACHE_SIDE, CACHE_SIDE, 0));
	g_assert_ok(vgpu_call(rig->vgpu, &buffer, sizeof(buffer),
			      sizeof(struct virtio_gpu_ctrl_hdr)));
	g_assert_ok(vgpu_ctx_attach_resource(rig->vgpu, CACHE_CTX, CACHE_TARGET));
	g_assert_ok(vgpu_ctx_attach_resource(rig->vgpu, CACHE_CTX, CACHE_BUFFER));
	g_assert_ok(vgpu_set_scanout(rig->vgpu, 0, CACHE_TARGET, 0, 0, CACHE_SIDE, CACHE_SIDE));
	return rig;
}

/* By a shader that was never there before, so that there is one more to be kept. */
static void draw_by_shader(struct rig *rig, uint8_t colour)
{
	const uint8_t rgb[3] = {colour, 0x80, 0x20};
	const uint32_t word = (uint32_t)colour << 16 | 0x8020;
	g_autofree uint32_t *expected = g_new(uint32_t, CACHE_PIXELS);
	struct virgl_stream stream = {0};
	uint32_t handle = 100 + colour * 10u;

	virgl_stream_create_surface(&stream, handle + 9, CACHE_TARGET, VIRGL_FORMAT_B8G8R8A8);
	virgl_stream_set_framebuffer(&stream, handle + 9);
	virgl_stream_fill(&stream, handle, CACHE_BUFFER, CACHE_SIDE, CACHE_SIDE, rgb);
	g_assert_ok(vgpu_submit_3d(rig->vgpu, CACHE_CTX, stream.words,
				   virgl_stream_size_bytes(&stream)));
	g_assert_ok(vgpu_resource_flush(rig->vgpu, CACHE_TARGET, 0, 0, CACHE_SIDE, CACHE_SIDE));
	for (uint32_t i = 0; i < CACHE_PIXELS; i++) {
		expected[i] = word;
	}
	display_wait_pixels(rig->display, 0, expected, CACHE_SIDE, CACHE_SIDE);
}

/* In a folder that nobody named nothing is kept. */
static bool is_kept_in(const char *dir)
{
	g_autoptr(GDir) entries = g_dir_open(dir, 0, NULL);

	return g_dir_read_name(entries) != NULL;
}

/*
 * A GL driver may keep compiled shaders on a disk. That disk gets full while it draws, and is full
 * when the next one starts; and all goes on.
 */
static void check_full_disk(const void *mode, const char *dir, const char *cache)
{
	struct rig *rig = rig_for_shaders(mode, cache);

	for (uint8_t i = 0; i < 3; i++) {
		draw_by_shader(rig, i);
	}
	g_assert_cmpint(is_kept_in(dir), ==, cache != NULL);
	fill_disk(dir);
	for (uint8_t i = 3; i < 20; i++) {
		draw_by_shader(rig, i);
	}
	prove(rig, 50);
	rig_destroy(rig);
	rig = rig_for_shaders(mode, cache);
	for (uint8_t i = 10; i < 30; i++) {
		draw_by_shader(rig, i);
	}
	prove(rig, 50);
	rig_destroy(rig);
}

/* Mesa's own choice of a folder does not count. */
static void test_no_shader_cache(const void *mode)
{
	char *dir = mount_cache();

	check_full_disk(mode, dir, NULL);
	unmount_cache(dir);
}

static void test_shader_cache_full(const void *mode)
{
	char *dir = mount_cache();

	check_full_disk(mode, dir, dir);
	unmount_cache(dir);
}

int main(int argc, char **argv)
{
	suite_init(&argc, &argv);
	proto_add_drawing("faults", "display_dies", test_display_dies);
	suite_add(test_front_end_dies, PROTO_2D, "/proto/faults/2d/front_end_dies");
	suite_add(test_no_fd_to_accept, PROTO_2D, "/proto/faults/2d/no_fd_to_accept");
	suite_add(test_one_fd_for_kick, PROTO_2D, "/proto/faults/2d/one_fd_for_kick");
	suite_add(test_no_fd_for_pictures, PROTO_2D, "/proto/faults/2d/no_fd_for_pictures");
	suite_add(test_no_memory_for_large, PROTO_2D, "/proto/faults/2d/no_memory_for_large");
	suite_add(test_no_memory_for_middling, PROTO_2D, "/proto/faults/2d/no_memory_for_middling");
	suite_add(test_no_memory_for_copy, PROTO_2D, "/proto/faults/2d/no_memory_for_copy");
	proto_add_virgl("faults", "no_shader_cache", test_no_shader_cache);
	proto_add_virgl("faults", "shader_cache_full", test_shader_cache_full);
	return suite_run();
}
