/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * A look inside: what the control socket answers while a machine runs, with the program that people
 * ask it by; and whoever else comes there, who must disturb nothing.
 */
#include <errno.h>
#include <poll.h>
#include <png.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "control.h"
#include "mock_gfxstream.h"
#include "mock_mode.h"
#include "proto.h"
#include "virgl_stream.h"

#define WIDTH 96u
#define HEIGHT 64u
#define SIZE_BYTES (WIDTH * HEIGHT * 4)
#define N_CLIENTS 1000
#define DOOR_PLACES 16

static const char *const control_args[] = {CONTROL_ARGS, NULL};

/* ---- the other end ---- */

static void assert_answer(const struct daemon *daemon, const char *question, const char *words)
{
	g_autofree char *answer = control_ask(daemon, question);

	if (!strstr(answer, words)) {
		g_error("'%s' is answered without '%s':\n%s", question, words, answer);
	}
}

/* The value of @key in the first line that begins with @record. */
static char *find_word(const char *answer, const char *record, const char *key)
{
	g_auto(GStrv) lines = g_strsplit(answer, "\n", -1);
	g_autofree char *start = g_strdup_printf("%s ", record);
	g_autofree char *word_start = g_strdup_printf("%s=", key);

	for (char **line = lines; *line; line++) {
		g_auto(GStrv) words = g_strsplit(*line, " ", -1);

		for (char **word = words; g_str_has_prefix(*line, start) && *word; word++) {
			if (g_str_has_prefix(*word, word_start)) {
				return g_strdup(*word + strlen(word_start));
			}
		}
	}
	g_error("there is no %s of a %s in:\n%s", key, record, answer);
}

static double find_number(const char *answer, const char *record, const char *key)
{
	g_autofree char *word = find_word(answer, record, key);

	return g_ascii_strtod(word, NULL);
}

static double ask_number(const struct daemon *daemon, const char *record, const char *key)
{
	g_autofree char *answer = control_ask(daemon, "status");

	return find_number(answer, record, key);
}

/* ---- the program that people have ---- */

struct outcome {
	int status;
	char *out, *err; /* owned */
};

static void outcome_clear(struct outcome *outcome)
{
	g_free(outcome->out);
	g_free(outcome->err);
}

/* vhost-device-gpuctl with these words, in one string. */
static struct outcome run_ctl(const struct daemon *daemon, const char *words)
{
	const char *program = g_getenv("VHOST_DEVICE_GPUCTL");
	g_autofree char *path = control_path(daemon);
	g_autofree char *line = g_strdup_printf("%s --socket %s %s", program, path, words);
	g_auto(GStrv) argv = NULL;
	struct outcome outcome = {0};
	int wait_status;

	g_assert_nonnull(program);
	g_assert_true(g_shell_parse_argv(line, NULL, &argv, NULL));
	g_assert_true(g_spawn_sync(NULL, argv, NULL, 0, NULL, NULL, &outcome.out, &outcome.err,
				   &wait_status, NULL));
	g_assert_true(WIFEXITED(wait_status));
	outcome.status = WEXITSTATUS(wait_status);
	return outcome;
}

/* It does it; its output, owned. */
static char *must_run(const struct daemon *daemon, const char *words)
{
	struct outcome outcome = run_ctl(daemon, words);

	if (outcome.status != 0) {
		g_error("'%s' ends with %d: %s", words, outcome.status, outcome.err);
	}
	g_assert_cmpstr(outcome.err, ==, "");
	g_free(outcome.err);
	return outcome.out;
}

static void assert_has(const char *text, const char *words)
{
	if (!strstr(text, words)) {
		g_error("there is no '%s' in:\n%s", words, text);
	}
}

static void assert_fails(const struct daemon *daemon, const char *words, int status,
			 const char *reason)
{
	struct outcome outcome = run_ctl(daemon, words);

	g_assert_cmpint(outcome.status, ==, status);
	assert_has(outcome.err, reason);
	outcome_clear(&outcome);
}

/* ---- machines ---- */

static struct rig *make_rig(const void *mode)
{
	return rig_create(&(struct rig_options){
		.mode = ((const struct proto_mode *)mode)->name, .args = control_args});
}

static struct rig *make_headless_rig(const void *mode)
{
	static const char *const args[] = {CONTROL_ARGS, "--headless", NULL};

	return rig_create(&(struct rig_options){.mode = ((const struct proto_mode *)mode)->name,
						.args = args,
						.has_no_display = true});
}

static void flush(struct rig *rig, uint32_t id)
{
	g_assert_ok(vgpu_resource_flush(rig->vgpu, id, 0, 0, WIDTH, HEIGHT));
}

/* ---- what it says ---- */

static void test_status(const void *mode)
{
	struct rig *rig = make_rig(mode);
	const char *name = ((const struct proto_mode *)mode)->name;
	g_autofree uint32_t *pixels = rig_make_pattern(WIDTH, HEIGHT, 1);

	rig_show_resource(rig, 7, 0, WIDTH, HEIGHT, pixels);
	flush(rig, 7);
	g_autofree char *answer = control_ask(rig->daemon, "status");
	g_autofree char *said_mode = find_word(answer, "vm", "mode");
	g_assert_cmpstr(said_mode, ==, name);
	g_assert_cmpfloat(find_number(answer, "vm", "id"), ==, 1);
	g_assert_cmpfloat(find_number(answer, "vm", "front-end-pid"), ==, (double)getpid());
	g_assert_cmpfloat(find_number(answer, "vm", "features"), ==, (double)rig->acked_features);
	g_assert_cmpfloat(find_number(answer, "device", "resources"), ==, 1);
	g_assert_cmpfloat(find_number(answer, "device", "contexts"), ==, 0);
	g_assert_cmpfloat(find_number(answer, "scanout", "width"), ==, WIDTH);
	g_assert_cmpfloat(find_number(answer, "scanout", "height"), ==, HEIGHT);
	g_assert_cmpfloat(find_number(answer, "scanout", "resource"), ==, 7);
	g_assert_cmpfloat(find_number(answer, "scanout", "frames"), ==, 2);
	g_assert_cmpfloat(find_number(answer, "queue", "size"), ==, 256);
	g_assert_cmpfloat(find_number(answer, "queue", "waiting"), ==, 0);
	g_assert_cmpfloat(find_number(answer, "queue", "commands"), >=, 6);
	g_assert_cmpfloat(find_number(answer, "renderer", "restarts"), ==, 0);
	g_autofree char *state = find_word(answer, "renderer", "state");
	g_assert_cmpstr(state, ==, "running");
	assert_answer(rig->daemon, "status vm=1", "\nvm id=1 ");
	assert_answer(rig->daemon, "status vm=2", "error there is no VM 2");
	rig_destroy(rig);
}

/* A resource that was shown is ended, and errors are counted. */
static void test_counts(const void *mode)
{
	struct rig *rig = make_rig(mode);

	rig_show_resource(rig, 1, 0, WIDTH, HEIGHT, NULL);
	g_assert_ok(vgpu_set_scanout(rig->vgpu, 0, 0, 0, 0, 0, 0));
	g_autofree char *off = control_ask(rig->daemon, "status");
	g_assert_null(strstr(off, "\nscanout "));
	g_assert_ok(vgpu_resource_unref(rig->vgpu, 1));
	double n_errors = ask_number(rig->daemon, "device", "errors");
	for (unsigned int i = 0; i < 5; i++) {
		proto_assert_error(vgpu_resource_unref(rig->vgpu, 99));
	}
	g_assert_cmpfloat(ask_number(rig->daemon, "device", "errors"), ==, n_errors + 5);
	g_assert_cmpfloat(ask_number(rig->daemon, "device", "resources"), ==, 0);
	rig_destroy(rig);
}

static void assert_frames(const struct rig *rig, unsigned int scanout_id, unsigned int n)
{
	g_autofree char *answer = control_ask(rig->daemon, "status");
	g_autofree char *start = g_strdup_printf("\nscanout id=%u ", scanout_id);
	const char *line = strstr(answer, start);

	g_assert_nonnull(line);
	g_assert_cmpfloat(find_number(line + 1, "scanout", "frames"), ==, n);
}

/* A frame is one of those scanouts that show a part of what changed. */
static void test_halves(const void *mode)
{
	struct rig *rig = make_rig(mode);

	rig_make_resource(rig, 1, VIRTIO_GPU_FORMAT_B8G8R8X8_UNORM, WIDTH, HEIGHT, NULL);
	g_assert_ok(vgpu_set_scanout(rig->vgpu, 0, 1, 0, 0, WIDTH / 2, HEIGHT));
	g_assert_ok(vgpu_set_scanout(rig->vgpu, 1, 1, WIDTH / 2, 0, WIDTH / 2, HEIGHT));
	for (unsigned int i = 0; i < 3; i++) {
		g_assert_ok(vgpu_resource_flush(rig->vgpu, 1, WIDTH / 2 + 5, 0, 10, HEIGHT));
	}
	assert_frames(rig, 0, 0);
	assert_frames(rig, 1, 3);
	flush(rig, 1);
	assert_frames(rig, 0, 1);
	assert_frames(rig, 1, 4);
	rig_destroy(rig);
}

/* What is said is of the last two seconds. */
#define RATE_MS 2200
/* Frames come each 10 ms, or the machine has held somebody up. */
#define GAP_US (100 * 1000)

struct gaps {
	gint64 last_us, longest_us;
};

static void note_gap(struct gaps *gaps)
{
	gint64 now_us = g_get_monotonic_time();

	gaps->longest_us = MAX(gaps->longest_us, now_us - gaps->last_us);
	gaps->last_us = now_us;
}

/* Is what is said of a second's frames right, and was anybody held up until it was said? */
static void look_at_frame_rate(struct rig *rig, bool *is_right_out, bool *was_held_up_out)
{
	gint64 start_us = g_get_monotonic_time();
	struct gaps gaps = {.last_us = start_us};
	unsigned int n = 0;

	while (gaps.last_us - start_us < G_USEC_PER_SEC) {
		flush(rig, 1);
		n++;
		g_usleep(10000);
		note_gap(&gaps);
	}
	double rate = n / ((double)(gaps.last_us - start_us) / G_USEC_PER_SEC);
	double said = ask_number(rig->daemon, "scanout", "fps");
	note_gap(&gaps);
	g_test_message("%.1f frames/s, %.1f are said; longest gap %.1f ms", rate, said,
		       (double)gaps.longest_us / 1000);
	*is_right_out = said > 0.8 * rate && said < 1.2 * rate;
	*was_held_up_out = gaps.longest_us > GAP_US;
}

/* As fast as the test flushes, and no more when it has stopped. */
static void test_frame_rate(const void *mode)
{
	struct rig *rig = make_rig(mode);
	bool is_right = false, was_held_up = true;

	rig_show_resource(rig, 1, 0, WIDTH, HEIGHT, NULL);
	for (unsigned int i = 0; i < 5 && !is_right && was_held_up; i++) {
		look_at_frame_rate(rig, &is_right, &was_held_up);
		if (!is_right) {
			g_usleep(RATE_MS * 1000);
		}
	}
	g_assert_true(is_right);
	g_usleep(2500 * 1000);
	g_assert_cmpfloat(ask_number(rig->daemon, "scanout", "fps"), ==, 0);
	rig_destroy(rig);
}

static void test_contexts(const void *mode)
{
	struct rig *rig = make_rig(mode);

	g_assert_ok(vgpu_ctx_create(rig->vgpu, 3, 0, "a game\033[2J%"));
	g_assert_ok(vgpu_resource_create_3d(rig->vgpu, 5, VIRGL_FORMAT_B8G8R8A8,
					    VIRGL_BIND_RENDER_TARGET, WIDTH, HEIGHT, 0));
	g_assert_ok(vgpu_ctx_attach_resource(rig->vgpu, 3, 5));
	g_assert_ok(vgpu_ctx_attach_resource(rig->vgpu, 3, 5));
	g_autofree char *answer = control_ask(rig->daemon, "status");
	g_autofree char *name = find_word(answer, "context", "name");
	g_assert_cmpstr(name, ==, "a%20game%1B[2J%25");
	g_assert_cmpfloat(find_number(answer, "context", "id"), ==, 3);
	g_assert_cmpfloat(find_number(answer, "context", "resources"), ==, 1);
	g_assert_cmpfloat(find_number(answer, "context", "bytes"), ==, SIZE_BYTES);
	g_autofree char *gl = find_word(answer, "renderer", "gl-renderer");
	g_assert_cmpstr(gl, !=, "");

	/* People see no byte that their terminal obeys. */
	g_autofree char *shown = must_run(rig->daemon, "status");
	assert_has(shown, "a game\\x1b[2J%");
	g_assert_null(strchr(shown, '\033'));

	g_assert_ok(vgpu_resource_unref(rig->vgpu, 5));
	g_assert_cmpfloat(ask_number(rig->daemon, "context", "resources"), ==, 0);
	g_assert_cmpfloat(ask_number(rig->daemon, "context", "bytes"), ==, 0);
	g_assert_ok(vgpu_ctx_destroy(rig->vgpu, 3));
	g_autofree char *after = control_ask(rig->daemon, "status");
	g_assert_null(strstr(after, "\ncontext "));
	rig_destroy(rig);
}

static void test_fences(const void *mode)
{
	struct rig *rig = make_rig(mode);

	g_assert_ok(vgpu_ctx_create(rig->vgpu, 1, 0, "test"));
	for (unsigned int i = 1; i <= 20; i++) {
		rig->vgpu->next_hdr = (struct virtio_gpu_ctrl_hdr){
			.flags = VIRTIO_GPU_FLAG_FENCE, .fence_id = i, .ctx_id = 1};
		/* One that fails waits for its fence as any. */
		proto_assert_error(vgpu_ctx_attach_resource(rig->vgpu, 1, 1));
	}
	g_autofree char *answer = control_ask(rig->daemon, "status");
	g_assert_cmpfloat(find_number(answer, "fence", "count"), ==, 20);
	g_assert_cmpfloat(find_number(answer, "fence", "p50-us"), >, 0);
	g_assert_cmpfloat(find_number(answer, "fence", "p99-us"), >=,
			  find_number(answer, "fence", "p50-us"));
	rig_destroy(rig);
}

/* ---- pictures ---- */

static void assert_screenshot(const struct daemon *daemon, const uint32_t *pixels)
{
	control_assert_screenshot(daemon, pixels, WIDTH, HEIGHT);
}

static void assert_png(const char *path, uint32_t width, uint32_t height, const uint32_t *pixels)
{
	png_image image = {.version = PNG_IMAGE_VERSION};

	g_assert_true(png_image_begin_read_from_file(&image, path));
	g_assert_cmpuint(image.width, ==, width);
	g_assert_cmpuint(image.height, ==, height);
	image.format = PNG_FORMAT_BGRA;
	g_autofree uint32_t *seen = g_new(uint32_t, width * height);
	g_assert_true(png_image_finish_read(&image, NULL, seen, 0, NULL));
	for (uint32_t i = 0; i < width * height; i++) {
		g_assert_cmphex(seen[i] & 0xffffff, ==, pixels[i] & 0xffffff);
	}
}

static void test_screenshot(const void *mode)
{
	struct rig *rig = make_rig(mode);
	g_autofree uint32_t *pixels = rig_make_pattern(WIDTH, HEIGHT, 1);
	g_autofree char *file = g_build_filename(rig->daemon->dir, "shot.png", NULL);
	g_autofree char *words = g_strdup_printf("screenshot 0 %s", file);

	assert_fails(rig->daemon, words, 1, "picture");
	g_usleep(100 * 1000);
	rig_show_resource(rig, 1, 0, WIDTH, HEIGHT, pixels);
	gint64 start_us = g_get_monotonic_time();
	assert_screenshot(rig->daemon, pixels);
	/* Two in a tenth of a second are too many; a busy machine may be later than that. */
	g_autofree char *second = control_ask(rig->daemon, "screenshot");
	if (g_get_monotonic_time() - start_us < 100 * 1000) {
		assert_has(second, "error busy: there is one picture at a time, and ");
	}
	g_usleep(100 * 1000);
	g_free(must_run(rig->daemon, words));
	assert_png(file, WIDTH, HEIGHT, pixels);
	unlink(file);
	display_wait_pixels(rig->display, 0, pixels, WIDTH, HEIGHT);
	rig_destroy(rig);
}

/* Whoever looks is no display: there is none. */
static void test_screenshot_headless(const void *mode)
{
	struct rig *rig = make_headless_rig(mode);
	g_autofree uint32_t *pixels = rig_make_pattern(WIDTH, HEIGHT, 1);

	rig_show_resource(rig, 1, 0, WIDTH, HEIGHT, pixels);
	assert_screenshot(rig->daemon, pixels);
	g_assert_cmpfloat(ask_number(rig->daemon, "scanout", "frames"), ==, 1);
	rig_destroy(rig);
}

static struct virgl_stream make_clear(const void *mode, uint32_t id)
{
	struct virgl_stream stream = {0};

	if (mode == PROTO_GFXSTREAM) {
		return (struct virgl_stream){{MOCK_GFX_FILL, id, 0xffff3300}, 3};
	}
	virgl_stream_create_surface(&stream, 1000, id, VIRGL_FORMAT_B8G8R8A8);
	virgl_stream_set_framebuffer(&stream, 1000);
	virgl_stream_clear(&stream, 1.0f, 0.2f, 0.0f, 1.0f);
	return stream;
}

/* What a 3D guest draws, and not what it has drawn before. */
static void test_screenshot_3d(const void *mode)
{
	struct rig *rig = make_rig(mode);
	const struct virgl_stream stream = make_clear(mode, 2);
	g_autofree uint32_t *expected = g_new(uint32_t, WIDTH * HEIGHT);

	g_assert_ok(vgpu_ctx_create(rig->vgpu, 1, 0, "test"));
	g_assert_ok(vgpu_resource_create_3d(
		rig->vgpu, 2, VIRGL_FORMAT_B8G8R8A8,
		VIRGL_BIND_RENDER_TARGET | VIRGL_BIND_SAMPLER_VIEW | VIRGL_BIND_SCANOUT, WIDTH,
		HEIGHT, 0));
	g_assert_ok(vgpu_ctx_attach_resource(rig->vgpu, 1, 2));
	g_assert_ok(vgpu_submit_3d(rig->vgpu, 1, stream.words, virgl_stream_size_bytes(&stream)));
	g_assert_ok(vgpu_set_scanout(rig->vgpu, 0, 2, 0, 0, WIDTH, HEIGHT));
	flush(rig, 2);
	for (uint32_t i = 0; i < WIDTH * HEIGHT; i++) {
		expected[i] = 0xffff3300;
	}
	assert_screenshot(rig->daemon, expected);
	g_assert_cmpfloat(ask_number(rig->daemon, "context", "submits"), ==, 1);
	rig_destroy(rig);
}

static void test_cursor(const void *mode)
{
	struct rig *rig = make_rig(mode);
	g_autofree uint32_t *pixels = rig_make_pattern(64, 64, 1);
	g_autofree char *file = g_build_filename(rig->daemon->dir, "cursor.png", NULL);
	g_autofree char *words = g_strdup_printf("cursor %s", file);

	for (unsigned int i = 0; i < 64 * 64; i++) {
		pixels[i] |= 0xff000000;
	}
	rig_make_resource(rig, 9, VIRTIO_GPU_FORMAT_B8G8R8A8_UNORM, 64, 64, pixels);
	g_assert_ok(vgpu_transfer_to_host_2d(rig->vgpu, 9, 0, 0, 0, 64, 64));
	vgpu_update_cursor(rig->vgpu, 0, 9, 100, (uint32_t)-5, 3, 4);
	rig_assert_serves(rig);
	assert_answer(rig->daemon, "status",
		      "\ncursor scanout=0 visible=yes x=100 y=-5 hot-x=3 hot-y=4\n");
	g_free(must_run(rig->daemon, words));
	assert_png(file, 64, 64, pixels);
	unlink(file);
	g_autofree char *shown = must_run(rig->daemon, "cursor");
	assert_has(shown, "visible at 100,-5, hot spot 3,4");
	rig_destroy(rig);
}

/* ---- modes of a headless screen ---- */

static void take_config_change(struct frontend *frontend, uint64_t result)
{
	struct vhost_user_header header = {0};
	struct {
		struct vhost_user_header header;
		uint64_t u64;
	} __attribute__((packed)) answer = {.u64 = result};

	g_assert_cmpint(recv(frontend->backend_req_fd, &header, sizeof(header), MSG_WAITALL), ==,
			(ssize_t)sizeof(header));
	g_assert_cmpuint(header.request, ==, 2);
	g_assert_cmpuint(header.size, ==, 0);
	g_assert_cmphex(header.flags, ==, 0x9);
	answer.header = (struct vhost_user_header){2, 0x5, sizeof(uint64_t)};
	g_assert_cmpint(send(frontend->backend_req_fd, &answer, sizeof(answer), 0), ==,
			(ssize_t)sizeof(answer));
}

static uint32_t events_read(struct rig *rig)
{
	struct virtio_gpu_config config;

	frontend_get_config(rig->frontend, 0, sizeof(config), (uint8_t *)&config);
	return config.events_read;
}

static void clear_events(struct rig *rig, uint32_t events)
{
	struct {
		uint32_t offset, size, flags, events;
	} config = {4, 4, 0, events};

	g_assert_cmpuint(frontend_request(rig->frontend, VHOST_USER_SET_CONFIG, &config,
					  sizeof(config), NULL, 0),
			 ==, 0);
}

/* A write of so many bytes from 0 on, with that in events_clear. */
static void clear_events_in(struct rig *rig, uint32_t size, uint32_t events)
{
	struct {
		uint32_t offset, size, flags;
		uint32_t words[5];
	} config = {0, size, 0, {0, events}};

	g_assert_cmpuint(frontend_request(rig->frontend, VHOST_USER_SET_CONFIG, &config, 12 + size,
					  NULL, 0),
			 ==, 0);
}

static int begin_mode(struct rig *rig, const char *mode)
{
	g_autofree char *line = g_strdup_printf(GREETING "set-mode mode=%s\n", mode);
	int fd = control_connect(rig->daemon);

	g_assert_cmpint(send(fd, line, strlen(line), 0), ==, (ssize_t)strlen(line));
	return fd;
}

static void set_mode(struct rig *rig, const char *mode, uint64_t result, const char *outcome)
{
	int fd = begin_mode(rig, mode);

	take_config_change(rig->frontend, result);
	GString *answer = control_read_all(fd);
	assert_has(answer->str, outcome);
	g_string_free(answer, TRUE);
}

/* Of the question that a guest asks when it is told. */
static void assert_mode(struct rig *rig, uint32_t width, uint32_t height)
{
	struct virtio_gpu_resp_display_info info;

	g_assert_resp(vgpu_get_display_info(rig->vgpu, &info), VIRTIO_GPU_RESP_OK_DISPLAY_INFO);
	g_assert_cmpuint(info.pmodes[0].r.width, ==, width);
	g_assert_cmpuint(info.pmodes[0].r.height, ==, height);
}

static void test_set_mode(const void *mode)
{
	struct rig *rig = make_headless_rig(mode);
	struct virtio_gpu_resp_edid edid;

	rig_assert_serves(rig);
	g_assert_cmpuint(events_read(rig), ==, 0);
	set_mode(rig, "1920x1080", 0, "mode guest=told\nend\n");
	g_assert_cmpuint(events_read(rig), ==, VIRTIO_GPU_EVENT_DISPLAY);
	assert_mode(rig, 1920, 1080);
	g_assert_resp(vgpu_get_edid(rig->vgpu, 0, &edid), VIRTIO_GPU_RESP_OK_EDID);
	proto_assert_edid(&edid);
	g_assert_cmpuint(edid.edid[56] | (edid.edid[58] & 0xf0u) << 4, ==, 1920);
	clear_events(rig, VIRTIO_GPU_EVENT_DISPLAY);
	g_assert_cmpuint(events_read(rig), ==, 0);

	/* QEMU 10 and 11.1 write the whole space. */
	set_mode(rig, "1600x900", 0, "mode guest=told\nend\n");
	clear_events_in(rig, 16, 2);
	g_assert_cmpuint(events_read(rig), ==, VIRTIO_GPU_EVENT_DISPLAY);
	clear_events_in(rig, 16, VIRTIO_GPU_EVENT_DISPLAY);
	g_assert_cmpuint(events_read(rig), ==, 0);
	set_mode(rig, "1280x720", 0, "mode guest=told\nend\n");
	clear_events_in(rig, 20, VIRTIO_GPU_EVENT_DISPLAY);
	g_assert_cmpuint(events_read(rig), ==, 0);

	/* As QEMU's vhost-user-gpu devices answer: the mode is there all the same. */
	set_mode(rig, "800x600", 1, "mode guest=refused\nend\n");
	assert_mode(rig, 800, 600);
	assert_answer(rig->daemon, "set-mode scanout=1 mode=800x600", "error there is no scanout 1");
	assert_fails(rig->daemon, "set-mode 0 800*600", 2, "is no mode");
	rig_destroy(rig);
}

static void assert_untold(struct rig *rig)
{
	struct pollfd channel = {.fd = rig->frontend->backend_req_fd, .events = POLLIN};

	g_assert_cmpint(poll(&channel, 1, 200), ==, 0);
}

/* It outlives the process that renders. */
static void test_set_mode_stays(const void *mode)
{
	struct rig *rig = make_headless_rig(mode);

	rig_assert_serves(rig);
	set_mode(rig, "1024x768", 0, "mode guest=told\nend\n");
	rig->daemon->may_lose_processes = true;
	g_assert_no_errno(kill(daemon_find_process(rig->daemon, "renderer"), SIGKILL));
	assert_mode(rig, 1024, 768);
	g_assert_cmpfloat(ask_number(rig->daemon, "renderer", "restarts"), ==, 1);
	/* The guest knows it. */
	assert_untold(rig);
	rig_destroy(rig);
}

/* The guest is told when there is something to find. */
static void test_set_mode_in_order(const void *mode)
{
	struct rig *rig = make_headless_rig(mode);

	rig_assert_serves(rig);
	pid_t pid = daemon_find_process(rig->daemon, "renderer");
	g_assert_no_errno(kill(pid, SIGSTOP));
	int fd = begin_mode(rig, "1024x768");
	assert_untold(rig);
	g_assert_no_errno(kill(pid, SIGCONT));
	take_config_change(rig->frontend, 0);
	assert_mode(rig, 1024, 768);
	GString *answer = control_read_all(fd);
	assert_has(answer->str, "mode guest=told\nend\n");
	g_string_free(answer, TRUE);
	rig_destroy(rig);
}

static void test_set_mode_of_a_display(const void *mode)
{
	struct rig *rig = make_rig(mode);

	assert_fails(rig->daemon, "set-mode 0 800x600", 1, "only with --headless");
	rig_destroy(rig);
}

/* ---- a device that stands still is looked at, too ---- */

static bool is_busy(void *data)
{
	return ask_number(data, "renderer", "busy-ms") > 0;
}

static bool is_idle(void *data)
{
	return !is_busy(data);
}

static void test_hung(const void *mode)
{
	struct rig *rig = make_rig(mode);
	g_autofree uint32_t *pixels = rig_make_pattern(WIDTH, HEIGHT, 1);

	rig_show_resource(rig, 1, 0, WIDTH, HEIGHT, pixels);
	pid_t pid = daemon_find_process(rig->daemon, "renderer");
	rig->daemon->may_lose_processes = true;
	g_assert_no_errno(kill(pid, SIGSTOP));
	g_usleep(50 * 1000);
	struct virtio_gpu_ctrl_hdr cmd = {.type = VIRTIO_GPU_CMD_GET_DISPLAY_INFO};
	const struct vgpu_chain chain = {
		.request = &cmd, .request_size = sizeof(cmd), .response_size = 1024};
	struct vgpu_call *calls[3];
	for (unsigned int i = 0; i < 3; i++) {
		calls[i] = vgpu_submit(rig->vgpu, VGPU_CONTROL, &chain);
	}
	vgpu_kick(rig->vgpu, VGPU_CONTROL);
	g_autofree char *answer = control_ask(rig->daemon, "status");
	g_assert_cmpfloat(find_number(answer, "queue", "waiting") +
				  find_number(answer, "queue", "out"),
			  ==, 3);
	g_assert_cmpfloat(find_number(answer, "scanout", "width"), ==, WIDTH);
	assert_answer(rig->daemon, "screenshot", "error the device does not hand out a picture");
	g_assert_no_errno(kill(pid, SIGCONT));
	for (unsigned int i = 0; i < 3; i++) {
		g_assert_true(vgpu_wait(rig->vgpu, calls[i], 10000));
		vgpu_finish(rig->vgpu, calls[i]);
	}
	g_usleep(100 * 1000);
	assert_screenshot(rig->daemon, pixels);
	rig_destroy(rig);
}

/* Who hangs while pixels are read for a viewer is seen to, as who hangs at a command. */
static void test_busy_for_a_viewer(const void *mode)
{
	const char *name = ((const struct proto_mode *)mode)->name;

	mock_mode_use(name);
	struct rig *rig = make_headless_rig(mode);
	g_assert_ok(vgpu_ctx_create(rig->vgpu, 1, 0, "test"));
	rig_show_resource(rig, 1, 0, WIDTH, HEIGHT, NULL);
	g_assert_ok(mock_mode_run1(name, rig->vgpu, 1, MOCK_READ_SLOWLY, 0, 1000));
	int fd = control_connect(rig->daemon);
	g_assert_cmpint(send(fd, GREETING "screenshot\n", 30, 0), ==, 30);
	g_assert_true(suite_wait(is_busy, rig->daemon, 900));
	GString *text = control_read_all(fd);
	assert_has(text->str, "picture scanout=0");
	g_string_free(text, TRUE);
	/* It is through with it a moment after the picture is there. */
	g_assert_true(suite_wait(is_idle, rig->daemon, 1400));
	rig_destroy(rig);
}

/* A command that took its process with it has failed as any that is refused. */
static void test_lost_command(const void *mode)
{
	const char *name = ((const struct proto_mode *)mode)->name;

	mock_mode_use(name);
	struct rig *rig = make_rig(mode);

	g_assert_ok(vgpu_ctx_create(rig->vgpu, 1, 0, "test"));
	g_assert_cmpfloat(ask_number(rig->daemon, "device", "errors"), ==, 0);
	rig->daemon->may_lose_processes = true;
	proto_assert_error(mock_mode_run1(name, rig->vgpu, 1, MOCK_DIE, 0, SIGKILL));
	g_assert_cmpfloat(ask_number(rig->daemon, "device", "errors"), ==, 1);
	rig_destroy(rig);
}

static bool runs_again(void *data)
{
	g_autofree char *answer = control_ask(data, "status");
	g_autofree char *state = find_word(answer, "renderer", "state");
	double pid = find_number(answer, "renderer", "pid");

	/* Nobody who is not there runs. */
	g_assert_true(pid != 0 || strcmp(state, "none") == 0);
	return find_number(answer, "renderer", "restarts") == 1 && strcmp(state, "running") == 0;
}

static void test_restarts(const void *mode)
{
	struct rig *rig = make_rig(mode);
	g_autofree uint32_t *pixels = rig_make_pattern(WIDTH, HEIGHT, 1);

	g_assert_ok(vgpu_ctx_create(rig->vgpu, 1, 0, "test"));
	rig_show_resource(rig, 1, 0, WIDTH, HEIGHT, pixels);
	rig->daemon->may_lose_processes = true;
	g_assert_no_errno(kill(daemon_find_process(rig->daemon, "renderer"), SIGKILL));
	/* What was restored is counted before the guest does anything. */
	g_assert_true(suite_wait(runs_again, rig->daemon, 10000));
	g_assert_cmpfloat(ask_number(rig->daemon, "device", "resources"), ==, 1);
	g_assert_cmpfloat(ask_number(rig->daemon, "device", "memory"), >, 0);
	flush(rig, 1);
	g_autofree char *answer = control_ask(rig->daemon, "status");
	g_assert_cmpfloat(find_number(answer, "renderer", "restarts"), ==, 1);
	g_assert_cmpfloat(find_number(answer, "scanout", "width"), ==, WIDTH);
	g_assert_cmpfloat(find_number(answer, "device", "resources"), ==, 1);
	g_autofree char *lost = find_word(answer, "context", "lost");
	g_assert_cmpstr(lost, ==, "yes");
	assert_screenshot(rig->daemon, pixels);
	rig_destroy(rig);
}

/* ---- several VMs ---- */

static struct frontend *join(struct daemon *daemon)
{
	struct frontend *frontend = frontend_create(daemon_connect(daemon));

	frontend_handshake(frontend);
	return frontend;
}

static bool has_no_vm(void *data)
{
	g_autofree char *answer = control_ask(data, "vms");

	return strstr(answer, "\nvm ") == NULL;
}

static void test_vms(const void *data)
{
	static const char *const args[] = {CONTROL_ARGS, "--max-clients", "3", NULL};
	struct daemon *daemon = daemon_start("null", args);

	(void)data;
	struct frontend *first = join(daemon);
	frontend_destroy(first);
	g_assert_true(suite_wait(has_no_vm, daemon, 10000));
	first = join(daemon);
	struct frontend *second = join(daemon);
	assert_answer(daemon, "vms", "\nvm id=2 ");
	assert_answer(daemon, "vms", "\nvm id=3 ");
	assert_answer(daemon, "status", "error there are 2 VMs: say which");
	assert_answer(daemon, "status vm=3", "\nvm id=3 ");
	assert_answer(daemon, "status vm=1", "error there is no VM 1");
	g_autofree char *all = must_run(daemon, "status");
	assert_has(all, "VM 2: mode null");
	assert_has(all, "VM 3: mode null");
	g_autofree char *one = must_run(daemon, "--vm 3 status");
	g_assert_null(strstr(one, "VM 2"));
	assert_fails(daemon, "screenshot /dev/null", 1, "there are 2 VMs");
	assert_fails(daemon, "--vm 9 status", 1, "there is no VM 9");
	g_autofree char *metrics = must_run(daemon, "metrics");
	assert_has(metrics, "vhost_device_gpu_vms 2\n");
	assert_has(metrics, "vhost_device_gpu_commands_total{vm=\"3\",queue=\"control\"} 0\n");
	frontend_destroy(first);
	frontend_destroy(second);
	daemon_destroy(daemon);
}

static void test_no_vm(const void *data)
{
	struct daemon *daemon = daemon_start("null", control_args);

	(void)data;
	frontend_destroy(join(daemon));
	g_assert_true(suite_wait(has_no_vm, daemon, 10000));
	assert_answer(daemon, "status", "error there is no VM: no front-end is connected");
	g_autofree char *shown = must_run(daemon, "status");
	assert_has(shown, "no VM: mode null");
	g_autofree char *json = must_run(daemon, "--json status");
	assert_has(json, "\"vms\" : []");
	daemon_destroy(daemon);
}

/* A connection that was passed has no listener. */
static void test_fd(const void *mode)
{
	const char *name = ((const struct proto_mode *)mode)->name;
	g_autofree char *library = mock_gfxstream_path_of(name);
	const char *const args[] = {
		"--fd", "3", "-g", name, CONTROL_ARGS, library ? "--gfxstream-library" : NULL, library,
		NULL};
	int pair[2];

	g_assert_no_errno(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair));
	struct daemon *daemon = daemon_spawn(args, NULL, pair[1]);
	close(pair[1]);
	struct frontend *frontend = frontend_create(pair[0]);
	frontend_handshake(frontend);
	assert_answer(daemon, "vms", "\nvm id=1 ");
	assert_answer(daemon, "status", "\nvm id=1 ");
	assert_answer(daemon, "log level=debug", OK);
	frontend_destroy(frontend);
	g_assert_cmpint(daemon_wait_exit(daemon, 10000), ==, 0);
	/* Who has served a guest removes no files: whoever comes next replaces it. */
	g_autofree char *path = control_path(daemon);
	g_assert_true(g_file_test(path, G_FILE_TEST_EXISTS));
	const char *next_args[] = {"-s", "@SOCKET@", "-g", "null", "--control-socket", path, NULL};
	struct daemon *next = daemon_spawn(next_args, NULL, -1);
	close(daemon_connect(next));
	daemon_destroy(next);
	g_assert_false(g_file_test(path, G_FILE_TEST_EXISTS));
	daemon_destroy(daemon);
}

/* ---- in the sandbox ---- */

/* Each kind of question, to the listener and to who serves the VM, and the end of the socket. */
static void look_at_strict(const struct proto_mode *mode)
{
	static const char *const args[] = {CONTROL_ARGS, "--headless", "--sandbox", "strict", NULL};
	struct rig *rig = rig_create(
		&(struct rig_options){.mode = mode->name, .args = args, .has_no_display = true});
	g_autofree uint32_t *pixels = rig_make_pattern(WIDTH, HEIGHT, 1);
	g_autofree char *path = control_path(rig->daemon);

	rig_show_resource(rig, 1, 0, WIDTH, HEIGHT, pixels);
	assert_answer(rig->daemon, "vms", "\nvm id=1 ");
	g_assert_cmpfloat(ask_number(rig->daemon, "scanout", "width"), ==, WIDTH);
	if (mode->draws) {
		assert_screenshot(rig->daemon, pixels);
	}
	set_mode(rig, "1024x768", 0, "mode guest=told\nend\n");
	assert_answer(rig->daemon, "log level=info", OK);
	g_free(must_run(rig->daemon, "metrics"));
	rig_assert_serves(rig);
	g_autofree char *words = daemon_stderr(rig->daemon);
	g_assert_null(strstr(words, "sandbox"));
	g_assert_no_errno(kill(rig->daemon->pid, SIGTERM));
	g_assert_cmpint(daemon_wait_exit(rig->daemon, 10000), ==, 0);
	g_assert_false(g_file_test(path, G_FILE_TEST_EXISTS));
	rig_destroy_ended(rig);
}

static void test_strict(const void *mode)
{
	proto_need_sandbox();
	look_at_strict(mode);
}

static void test_user(const void *mode)
{
	proto_need_sandbox();
	proto_confine_user();
	look_at_strict(mode);
}

/* ---- what people see ---- */

static void test_json(const void *mode)
{
	struct rig *rig = make_rig(mode);

	rig_show_resource(rig, 1, 0, WIDTH, HEIGHT, NULL);
	g_autofree char *json = must_run(rig->daemon, "--json status");
	assert_has(json, "\"width\" : 96");
	assert_has(json, "\"name\" : \"control\"");
	assert_has(json, "\"VERSION_1\"");
	assert_has(json, "\"headless\" : false");
	g_autofree char *top = must_run(rig->daemon, "--count 2 --interval 0.2 top");
	assert_has(top, "96x64");
	assert_has(strstr(top, "96x64") + 1, "96x64");
	g_autofree char *metrics = must_run(rig->daemon, "metrics");
	assert_has(metrics, "\nvhost_device_gpu_frames_total{vm=\"1\",scanout=\"0\"} 1\n");
	assert_has(metrics, "\n# TYPE vhost_device_gpu_fence_seconds summary\n");
	rig_destroy(rig);
}

/* The guest does something odd, and it is said; the level takes another way than the command. */
static bool says_more(void *data)
{
	struct rig *rig = data;

	proto_assert_error(vgpu_resource_unref(rig->vgpu, 99));
	g_autofree char *text = daemon_stderr(rig->daemon);
	return strstr(text, "debug: ") != NULL;
}

static void test_log(const void *mode)
{
	struct rig *rig = make_rig(mode);

	g_autofree char *before = daemon_stderr(rig->daemon);
	g_assert_null(strstr(before, "debug:"));
	g_free(must_run(rig->daemon, "log debug"));
	g_assert_true(suite_wait(says_more, rig, 10000));
	g_autofree char *level = control_ask(rig->daemon, "status");
	assert_has(level, " log=debug ");
	assert_fails(rig->daemon, "log loud", 2, "is no level");
	rig_destroy(rig);
}

static void test_wrong_use(const void *data)
{
	struct daemon *daemon = daemon_start("null", control_args);
	int fd = daemon_connect(daemon);

	(void)data;
	assert_fails(daemon, "", 2, "a command is required");
	assert_fails(daemon, "dance", 2, "is no command");
	assert_fails(daemon, "screenshot", 2, "usage:");
	assert_fails(daemon, "screenshot 16 x.png", 2, "is no scanout");
	assert_fails(daemon, "--socket /nonexistent status", 1, "there is no such socket (is ");
	assert_fails(daemon, "--interval 0 top", 2, "--interval");
	close(fd);
	daemon_destroy(daemon);
}

/* What is killed leaves its socket behind. */
static void test_killed(const void *data)
{
	struct daemon *daemon = daemon_start("null", control_args);
	g_autofree char *path = control_path(daemon);

	(void)data;
	close(daemon_connect(daemon));
	g_assert_true(suite_wait(has_no_vm, daemon, 10000));
	g_assert_no_errno(kill(daemon->pid, SIGKILL));
	while (daemon_is_running(daemon)) {
		g_usleep(1000);
	}
	assert_fails(daemon, "status", 1, "nobody listens there any more");
	unlink(path);
	daemon_destroy(daemon);
}

/* ---- whose it is ---- */

static void test_file(const void *data)
{
	struct daemon *daemon = daemon_start("null", control_args);
	g_autofree char *path = control_path(daemon);
	struct stat info;

	(void)data;
	close(daemon_connect(daemon));
	g_assert_no_errno(stat(path, &info));
	g_assert_cmphex(info.st_mode & 0777, ==, 0600);
	g_assert_true(S_ISSOCK(info.st_mode));

	/* A second program keeps its hands off. */
	g_autofree char *other = g_strdup_printf("%s.ctl", daemon->socket_path);
	const char *args[] = {"-s", "@SOCKET@", "-g", "null", "--control-socket", other, NULL};
	struct daemon *second = daemon_spawn(args, NULL, -1);
	g_assert_cmpint(daemon_wait_exit(second, 10000), ==, 1);
	g_autofree char *words = daemon_stderr(second);
	assert_has(words, "--control-socket");
	assert_has(words, "another program listens there");
	daemon_destroy(second);
	assert_answer(daemon, "vms", OK);

	/* What one that was killed has left is replaced. */
	g_assert_no_errno(kill(daemon->pid, SIGTERM));
	g_assert_cmpint(daemon_wait_exit(daemon, 10000), ==, 0);
	g_assert_false(g_file_test(path, G_FILE_TEST_EXISTS));
	daemon_destroy(daemon);
}

/* ---- whoever else comes ---- */

static void assert_said(const struct daemon *daemon, const char *bytes, size_t length,
			const char *words)
{
	GString *text = control_say(daemon, bytes, length);

	if (!strstr(text->str, words)) {
		g_error("no '%s' but '%s'", words, text->str);
	}
	g_string_free(text, TRUE);
}

static void test_nonsense(const void *mode)
{
	struct rig *rig = make_rig(mode);
	char long_line[400];

	memset(long_line, 'x', sizeof(long_line));
	/* What is left unread when it is hung up on may cost its sender the answer. */
	assert_said(rig->daemon, long_line, 256, "error no question");
	assert_said(rig->daemon, "\n", 1, "error no question of this version");
	assert_said(rig->daemon, "a\0b\n", 4, "error no question");
	assert_said(rig->daemon, "vhost-device-gpu/2 status\n", 26, "error no question of this");
	assert_said(rig->daemon, "vhost-device-gpu/1 dance\n", 25, "error a question that is not");
	assert_answer(rig->daemon, "status vm=x", "error no number of a VM");
	assert_answer(rig->daemon, "status mode=1x1", "error no mode");
	assert_answer(rig->daemon, "status level=info", "error a word that does not belong");
	assert_answer(rig->daemon, "screenshot scanout=16", "error no number of a scanout");
	assert_answer(rig->daemon, "set-mode", "error a word is missing");
	rig_assert_serves(rig);
	rig_destroy(rig);
}

/* Who says nothing is shown out, and who has sent a descriptor. */
static void test_silent(const void *mode)
{
	struct rig *rig = make_rig(mode);
	int fds[DOOR_PLACES];
	gint64 start_us = g_get_monotonic_time();

	for (unsigned int i = 0; i < G_N_ELEMENTS(fds); i++) {
		fds[i] = control_connect(rig->daemon);
		g_assert_cmpint(send(fds[i], "vhost", i % 6, 0), ==, i % 6);
	}
	/* It comes in when they have gone. */
	assert_answer(rig->daemon, "vms", OK);
	g_assert_cmpint(g_get_monotonic_time() - start_us, >, 500 * 1000);
	for (unsigned int i = 0; i < G_N_ELEMENTS(fds); i++) {
		GString *text = control_read_all(fds[i]);
		assert_has(text->str, "error no question came in time");
		g_string_free(text, TRUE);
	}
	rig_assert_serves(rig);
	rig_destroy(rig);
}

/*
 * Who was about to ask when a front-end came is not the child's: that serves
 * it, and ends without another look at who is at the listener's door.
 */
static void test_silent_beside_a_vm(const void *mode)
{
	struct daemon *daemon =
		daemon_start(((const struct proto_mode *)mode)->name, control_args);
	int fds[3];

	close(daemon_connect(daemon));
	g_assert_true(suite_wait(has_no_vm, daemon, 10000));
	for (unsigned int i = 0; i < G_N_ELEMENTS(fds); i++) {
		fds[i] = control_connect(daemon);
		g_assert_cmpint(send(fds[i], "vhost", i, 0), ==, i);
	}
	/* They are inside: in the order in which they have come. */
	assert_answer(daemon, "vms", OK);
	struct frontend *frontend = join(daemon);
	assert_answer(daemon, "vms", "\nvm id=2 ");
	frontend_destroy(frontend);
	g_assert_true(suite_wait(has_no_vm, daemon, 10000));
	daemon_assert_healthy(daemon);
	g_autofree char *words = daemon_stderr(daemon);
	g_assert_null(strstr(words, "died of signal"));
	for (unsigned int i = 0; i < G_N_ELEMENTS(fds); i++) {
		GString *text = control_read_all(fds[i]);
		assert_has(text->str, "error no question came in time");
		g_string_free(text, TRUE);
	}
	daemon_destroy(daemon);
}

/* A picture that nobody reads on is not kept for long, and no other waits for it in vain. */
static void test_slow_viewer(const void *mode)
{
	struct rig *rig = make_rig(mode);
	const uint32_t side = 1024;

	rig_show_resource(rig, 1, 0, side, side, NULL);
	int fd = control_connect(rig->daemon);
	g_assert_cmpint(send(fd, GREETING "screenshot\n", 30, 0), ==, 30);
	g_usleep(200 * 1000);
	assert_answer(rig->daemon, "screenshot", "error busy");
	for (unsigned int i = 0; i < 20; i++) {
		g_assert_ok(vgpu_transfer_to_host_2d(rig->vgpu, 1, 0, 0, 0, side, side));
		g_assert_ok(vgpu_resource_flush(rig->vgpu, 1, 0, 0, side, side));
	}
	/* It is closed at our end, with the rest unread. */
	struct pollfd end = {.fd = fd};
	g_assert_cmpint(poll(&end, 1, suite_timeout_ms(5000)), ==, 1);
	g_assert_cmpint(end.revents & POLLHUP, !=, 0);
	GString *text = control_read_all(fd);
	g_assert_cmpuint(text->len, <, side * side * 4);
	g_string_free(text, TRUE);
	static const char question[] = GREETING "screenshot\n";
	text = control_say(rig->daemon, question, strlen(question));
	g_assert_cmpuint(text->len, >, side * side * 4);
	g_string_free(text, TRUE);
	rig_destroy(rig);
}

/* ---- a thousand ---- */

struct crowd {
	struct daemon *daemon;
	const char *question;
	uint32_t width, height; /* of the stream */
	int must_stop; /* atomic */
	unsigned int n_answers;
	GThread *threads[50];
};

static void *ask_on(void *data)
{
	struct crowd *crowd = data;
	int fds[N_CLIENTS / 50];

	while (!g_atomic_int_get(&crowd->must_stop)) {
		for (unsigned int i = 0; i < G_N_ELEMENTS(fds); i++) {
			fds[i] = control_try_connect(crowd->daemon);
			if (fds[i] >= 0) {
				ssize_t ignored =
					send(fds[i], crowd->question, strlen(crowd->question),
					     MSG_NOSIGNAL | MSG_DONTWAIT);
				(void)ignored;
			}
		}
		for (unsigned int i = 0; i < G_N_ELEMENTS(fds); i++) {
			if (fds[i] >= 0) {
				struct timeval limit = {.tv_usec = 100 * 1000};
				char bytes[4096];

				setsockopt(fds[i], SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
				if (recv(fds[i], bytes, sizeof(bytes), 0) > 0) {
					__atomic_add_fetch(&crowd->n_answers, 1, __ATOMIC_RELAXED);
				}
			}
			if (fds[i] >= 0) {
				close(fds[i]);
			}
		}
	}
	return NULL;
}

/* Frames in so long, of a guest at a display's pace. */
static unsigned int stream_for(struct rig *rig, const struct crowd *crowd, gint64 limit_us)
{
	uint32_t width = crowd->width, height = crowd->height;
	gint64 start_us = g_get_monotonic_time();
	unsigned int n = 0;

	while (g_get_monotonic_time() - start_us < limit_us) {
		gint64 next_us = start_us + (gint64)(n + 1) * G_USEC_PER_SEC / 60;

		g_assert_ok(vgpu_transfer_to_host_2d(rig->vgpu, 1, 0, 0, 0, width, height));
		g_assert_ok(vgpu_resource_flush(rig->vgpu, 1, 0, 0, width, height));
		n++;
		gint64 left_us = next_us - g_get_monotonic_time();
		if (left_us > 0) {
			g_usleep((gulong)left_us);
		}
	}
	return n;
}

#define ALONE_US (G_USEC_PER_SEC * 3 / 2)
#define BESIDE_US (3 * G_USEC_PER_SEC)

/* Does it run at so many hundredths of the pace? */
static bool is_at_pace(unsigned int n, gint64 limit_us, unsigned int percent)
{
	return n * (gint64)100 * G_USEC_PER_SEC >= 60 * limit_us * percent;
}

static unsigned int stream_beside(struct rig *rig, struct crowd crowd)
{
	for (unsigned int i = 0; i < G_N_ELEMENTS(crowd.threads); i++) {
		crowd.threads[i] = g_thread_new("crowd", ask_on, &crowd);
	}
	unsigned int n = stream_for(rig, &crowd, BESIDE_US);
	g_atomic_int_set(&crowd.must_stop, 1);
	for (unsigned int i = 0; i < G_N_ELEMENTS(crowd.threads); i++) {
		g_thread_join(crowd.threads[i]);
	}
	g_test_message("%u frames beside a thousand; %u answers", n, crowd.n_answers);
	g_assert_cmpuint(crowd.n_answers, >, 0);
	return n;
}

/*
 * A stream has its pace, or nearly, beside a thousand too. A machine that has
 * something else to do may keep it from that, and says nothing then: so before
 * that counts it has its pace alone, before and after.
 */
static bool is_pace_kept(struct rig *rig, const struct crowd *crowd, unsigned int *n_failed)
{
	bool was_alone = is_at_pace(stream_for(rig, crowd, ALONE_US), ALONE_US, 98);

	if (is_at_pace(stream_beside(rig, *crowd), BESIDE_US, 95)) {
		return true;
	}
	*n_failed += was_alone && is_at_pace(stream_for(rig, crowd, ALONE_US), ALONE_US, 98);
	return false;
}

static void look_all_at_once(struct rig *rig, struct crowd crowd)
{
	unsigned int n_failed = 0;
	bool is_kept = false;

	crowd.daemon = rig->daemon;
	rig_show_resource(rig, 1, 0, crowd.width, crowd.height, NULL);
	for (unsigned int i = 0; i < 6 && n_failed < 3 && !is_kept; i++) {
		is_kept = is_pace_kept(rig, &crowd, &n_failed);
	}
	assert_answer(rig->daemon, "status", OK);
	rig_destroy(rig);
	if (!is_kept && n_failed < 3) {
		suite_skip("this machine has too much else to do");
	}
	g_assert_true(is_kept);
}

static void test_crowd(const void *mode)
{
	look_all_at_once(make_rig(mode), (struct crowd){.question = GREETING "status\n",
							.width = WIDTH,
							.height = HEIGHT});
}

/* Of whom most are told to come again. */
static void test_crowd_of_viewers(const void *mode)
{
	look_all_at_once(make_rig(mode), (struct crowd){.question = GREETING "screenshot\n",
							.width = 1280,
							.height = 800});
}

int main(int argc, char **argv)
{
	suite_init(&argc, &argv);
	proto_let_signals_kill();
	proto_add("control", "status", test_status);
	proto_add("control", "counts", test_counts);
	proto_add("control", "halves", test_halves);
	proto_add("control", "frame-rate", test_frame_rate);
	proto_add_virgl("control", "contexts", test_contexts);
	proto_add_3d("control", "fences", test_fences);
	proto_add_drawing("control", "screenshot", test_screenshot);
	proto_add_drawing("control", "screenshot-headless", test_screenshot_headless);
	proto_add_3d("control", "screenshot-3d", test_screenshot_3d);
	proto_add_drawing("control", "cursor", test_cursor);
	proto_add("control", "set-mode", test_set_mode);
	proto_add_3d("control", "set-mode-stays", test_set_mode_stays);
	proto_add_3d("control", "set-mode-in-order", test_set_mode_in_order);
	proto_add("control", "set-mode-of-a-display", test_set_mode_of_a_display);
	proto_add_3d("control", "hung", test_hung);
	proto_add_3d("control", "busy-for-a-viewer", test_busy_for_a_viewer);
	proto_add_3d("control", "lost-command", test_lost_command);
	proto_add_3d("control", "restarts", test_restarts);
	suite_add(test_vms, NULL, "/proto/control/vms");
	suite_add(test_no_vm, NULL, "/proto/control/no-vm");
	proto_add("control", "fd", test_fd);
	proto_add("control", "strict", test_strict);
	proto_add("control", "user", test_user);
	proto_add("control", "json", test_json);
	proto_add("control", "log", test_log);
	suite_add(test_wrong_use, NULL, "/proto/control/wrong-use");
	suite_add(test_killed, NULL, "/proto/control/killed");
	suite_add(test_file, NULL, "/proto/control/file");
	proto_add("control", "nonsense", test_nonsense);
	proto_add("control", "silent", test_silent);
	proto_add("control", "silent-beside-a-vm", test_silent_beside_a_vm);
	proto_add_drawing("control", "slow-viewer", test_slow_viewer);
	proto_add_drawing("control", "crowd", test_crowd);
	proto_add_drawing("control", "crowd-of-viewers", test_crowd_of_viewers);
	/* A crowd of a thousand takes ten seconds to be let in, and comes up to six times. */
	suite_set_limit_s(180);
	return suite_run();
}
