/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * Who answers of a VM, with a device that does as it is told; what is answered
 * of a real one is proto-control's.
 */
#include "control/desk.h"

#include <errno.h>
#include <glib/gstdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "control/door.h"
#include "control/protocol.h"
#include "unit.h"

struct office {
	struct engine engine; /* the first member */
	struct loop loop;
	struct options options;
	struct renderer_caps caps;
	struct quota quota;
	struct stats stats;
	struct desk *desk;
	char *folder, *path; /* owned */
	uint32_t last_serial; /* of a mode that was told */
	unsigned int n_told;
	int tell_error; /* what telling it gives */
	unsigned int n_asked; /* what the device was asked for */
};

static void note_grab(struct engine *engine, uint32_t scanout_id G_GNUC_UNUSED,
		      bool is_cursor G_GNUC_UNUSED)
{
	((struct office *)(void *)engine)->n_asked++;
}

static void note_mode(struct engine *engine, uint32_t scanout_id G_GNUC_UNUSED,
		      uint32_t width G_GNUC_UNUSED, uint32_t height G_GNUC_UNUSED)
{
	((struct office *)(void *)engine)->n_asked++;
}

static void describe(struct engine *engine G_GNUC_UNUSED, struct engine_state *state_out)
{
	/* As somebody would lie who has taken the renderer process over. */
	*state_out = (struct engine_state){
		.is_running = true,
		.busy_since_us = INT64_MIN,
		.awaited_since_us = INT64_MAX,
	};
}

static const struct stats *get_stats(struct engine *engine)
{
	return &((struct office *)(void *)engine)->stats;
}

static const struct engine_impl device = {
	.stats = get_stats,
	.describe = describe,
	.grab = note_grab,
	.set_mode = note_mode,
};

static void look(void *data G_GNUC_UNUSED, struct desk_facts *facts_out)
{
	*facts_out = (struct desk_facts){ 0 };
}

static int tell_mode(void *data, uint32_t serial)
{
	struct office *office = data;

	office->last_serial = serial;
	office->n_told++;
	return office->tell_error;
}

static void woken(void *data)
{
	struct office *office = data;

	desk_woken(office->desk);
}

static struct office *office_create(void)
{
	struct office *office = g_new0(struct office, 1);

	office->engine.impl = &device;
	office->options = (struct options){ .gpu_mode = (char *)(uintptr_t) "2d",
					    .is_headless = true,
					    .max_clients = 1 };
	office->folder = g_dir_make_tmp("desk-XXXXXX", NULL);
	office->path = g_build_filename(office->folder, "control", NULL);
	quota_init(&office->quota, 16u << 20);
	g_assert_cmpint(loop_init(&office->loop, woken, office), ==, 0);
	const struct desk_options options = {
		.options = &office->options,
		.caps = &office->caps,
		.quota = &office->quota,
		.loop = &office->loop,
		.engine = &office->engine,
		.vm = 1,
		.look = look,
		.tell_mode = tell_mode,
		.data = office,
	};
	int fd = door_listen(office->path);
	g_assert_cmpint(fd, >=, 0);
	g_assert_cmpint(desk_create(&options, -1, fd, &office->desk), ==, 0);
	return office;
}

static void office_destroy(struct office *office)
{
	desk_destroy(office->desk);
	loop_finish(&office->loop);
	g_assert_cmpuint(quota_used(&office->quota), ==, 0);
	g_unlink(office->path);
	g_rmdir(office->folder);
	g_free(office->path);
	g_free(office->folder);
	g_free(office);
}

/* A connection that asks this, the caller's to close. */
static int ask(struct office *office, const char *question)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	g_autofree char *line = g_strdup_printf(CONTROL_GREETING " %s\n", question);
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	g_strlcpy(address.sun_path, office->path, sizeof(address.sun_path));
	g_assert_cmpint(connect(fd, (const struct sockaddr *)&address, sizeof(address)), ==, 0);
	unit_write(fd, line, strlen(line));
	return fd;
}

static bool was_asked(void *data)
{
	return ((struct office *)data)->n_asked > 0;
}

/* One that the device has to do with, and was asked for. */
static int ask_device(struct office *office, const char *question)
{
	office->n_asked = 0;
	int fd = ask(office, question);
	unit_run_until(&office->loop, was_asked, office);
	return fd;
}

static bool is_readable(void *data)
{
	return unit_is_readable(*(int *)data);
}

static void assert_answered(struct office *office, int consume_fd, const char *words)
{
	char text[4096] = { 0 };

	unit_run_until(&office->loop, is_readable, &consume_fd);
	g_assert_cmpint(read(consume_fd, text, sizeof(text) - 1), >, 0);
	g_assert_nonnull(strstr(text, words));
	close(consume_fd);
}

static void assert_unanswered(struct office *office, int fd)
{
	char byte;

	unit_run_for(&office->loop, 30000);
	g_assert_cmpint(read(fd, &byte, 1), ==, -1);
	g_assert_cmpint(errno, ==, EAGAIN);
}

/* A picture of this scanout, as the device hands it out. */
static void give(struct office *office, uint32_t scanout_id)
{
	const struct rect view = { 0, 0, 16, 16 };
	struct frame *frame = frame_create(&office->quota, 16, 16);

	g_assert_nonnull(frame);
	desk_grabbed(office->desk, scanout_id, frame, &view);
}

static bool is_nothing_held(void *data)
{
	return quota_used(&((struct office *)data)->quota) == 0;
}

/* Memory of a guest's is not held for somebody who is not there. */
static void test_late_picture(void)
{
	struct office *office = office_create();

	give(office, 3);
	desk_grabbed_cursor(office->desk, 2,
			    g_new0(uint32_t, DISPLAY_CURSOR_SIDE * DISPLAY_CURSOR_SIDE));
	g_assert_true(is_nothing_held(office));

	/* What somebody waits for is handed to him, and no other picture. */
	int fd = ask_device(office, "screenshot scanout=3");
	give(office, 4);
	g_assert_true(is_nothing_held(office));
	assert_unanswered(office, fd);
	give(office, 3);
	assert_answered(office, fd, "picture scanout=3 width=16 height=16");
	unit_run_until(&office->loop, is_nothing_held, office);
	give(office, 3);
	g_assert_true(is_nothing_held(office));
	office_destroy(office);
}

static void have_mode(struct office *office, uint32_t width, uint32_t height)
{
	desk_mode_set(office->desk, 0, width, height);
}

static bool was_told(void *data)
{
	return ((struct office *)data)->n_told > 0;
}

/* One that was asked for last: the guest is told. */
static void have_wanted_mode(struct office *office, uint32_t width, uint32_t height)
{
	office->n_told = 0;
	have_mode(office, width, height);
	unit_run_until(&office->loop, was_told, office);
}

/* A front-end that is slow has its answers told to who they are for. */
static void test_late_mode(void)
{
	struct office *office = office_create();
	int fd = ask_device(office, "set-mode mode=640x480");

	/* The front-end has its time, whatever the device has taken of it. */
	unit_run_for(&office->loop, G_USEC_PER_SEC);
	gint64 start_us = g_get_monotonic_time();
	have_wanted_mode(office, 640, 480);
	uint32_t first = office->last_serial;
	assert_answered(office, fd, "mode guest=unanswered");
	g_assert_cmpint(g_get_monotonic_time() - start_us, >=, DESK_PICTURE_US);
	fd = ask_device(office, "set-mode mode=800x600");
	desk_mode_told(office->desk, first, 0);
	assert_unanswered(office, fd);
	have_wanted_mode(office, 800, 600);
	g_assert_cmpuint(office->last_serial, !=, first);
	desk_mode_told(office->desk, first, 0);
	assert_unanswered(office, fd);
	desk_mode_told(office->desk, office->last_serial, -EREMOTEIO);
	assert_answered(office, fd, "mode guest=refused");
	desk_mode_told(office->desk, office->last_serial, 0);
	office_destroy(office);
}

/* A device that is slow: the guest is told of the mode that it has, when it has it, and once. */
static void test_slow_mode(void)
{
	struct office *office = office_create();
	int fd = ask_device(office, "set-mode mode=640x480");

	assert_answered(office, fd, "mode guest=pending");
	fd = ask_device(office, "set-mode mode=800x600");
	have_mode(office, 640, 480);
	assert_answered(office, fd, "mode guest=pending");
	g_assert_cmpuint(office->n_told, ==, 0);
	have_wanted_mode(office, 800, 600);
	desk_mode_told(office->desk, office->last_serial, 0);
	office->n_told = 0;
	have_mode(office, 800, 600);
	unit_run_for(&office->loop, 30000);
	g_assert_cmpuint(office->n_told, ==, 0);
	office_destroy(office);
}

static void test_unreachable(void)
{
	struct office *office = office_create();
	int fd = ask_device(office, "set-mode mode=640x480");

	office->tell_error = -ENOTSUP;
	have_mode(office, 640, 480);
	assert_answered(office, fd, "mode guest=unreachable");
	office_destroy(office);
}

static void test_lies(void)
{
	struct office *office = office_create();

	assert_answered(office, ask(office, "status"), " busy-ms=0 fence-wait-ms=0");
	office_destroy(office);
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/desk/late-picture", test_late_picture);
	g_test_add_func("/desk/late-mode", test_late_mode);
	g_test_add_func("/desk/slow-mode", test_slow_mode);
	g_test_add_func("/desk/unreachable", test_unreachable);
	g_test_add_func("/desk/lies", test_lies);
	return g_test_run();
}
