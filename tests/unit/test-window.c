/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* The two ends of a window against each other: what a session asks, and a front-end that maps. */
#include "window.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "unit.h"
#include "vhost/backend_channel.h"

#define PAGE UINT64_C(65536) /* of any machine */
#define WINDOW_BYTES (64 * PAGE)

struct fixture {
	struct loop loop;
	struct loop_timer pause;
	struct backend_channel *channel;
	struct window *window;
	int memory;
	unsigned int n_answers;
	int last_error;
	uint64_t last_number;
	unsigned int n_fds;
};

static bool replies_came(void *data G_GNUC_UNUSED)
{
	return true;
}

static void answered(void *data, uint64_t number, int error)
{
	struct fixture *f = data;

	f->n_answers++;
	f->last_number = number;
	f->last_error = error;
	loop_quit(&f->loop);
}

static const struct backend_channel_listener listener = { replies_came, answered };

static void pause_loop(void *data)
{
	loop_quit(data);
}

static void connect_channel(struct fixture *f)
{
	g_assert_cmpint(backend_channel_create(&f->loop, window_connect(f->window), &listener, f,
					       &f->channel),
			==, 0);
}

static void setup(struct fixture *f, gconstpointer data G_GNUC_UNUSED)
{
	*f = (struct fixture){ .n_fds = unit_count_fds() };
	f->pause = (struct loop_timer){ .expired = pause_loop, .data = &f->loop };
	f->memory = unit_memfd(8 * PAGE);
	f->window = window_create();
	window_set_size(f->window, WINDOW_BYTES);
	g_assert_cmpint(loop_init(&f->loop, NULL, NULL), ==, 0);
	connect_channel(f);
}

static void teardown(struct fixture *f, gconstpointer data G_GNUC_UNUSED)
{
	backend_channel_destroy(f->channel);
	loop_timer_disarm(&f->loop, &f->pause);
	loop_finish(&f->loop);
	window_destroy(f->window);
	close(f->memory);
	g_assert_cmpuint(unit_count_fds(), ==, f->n_fds);
}

/* The answer to one question, or its absence: 1. */
static int serve(struct fixture *f, int milliseconds)
{
	unsigned int n = f->n_answers;

	f->loop.quit = false;
	loop_timer_arm(&f->loop, &f->pause, milliseconds * 1000);
	g_assert_cmpint(loop_run(&f->loop), ==, 0);
	loop_timer_disarm(&f->loop, &f->pause);
	return f->n_answers > n ? f->last_error : 1;
}

static struct vhost_user_mmap range_of(uint64_t page, uint64_t n_pages, uint64_t fd_page)
{
	return (struct vhost_user_mmap){
		.shmid = 1,
		.shm_offset = page * PAGE,
		.len = n_pages * PAGE,
		.fd_offset = fd_page * PAGE,
	};
}

static int map(struct fixture *f, uint64_t page, uint64_t n_pages, uint64_t fd_page)
{
	struct vhost_user_mmap range = range_of(page, n_pages, fd_page);

	range.flags = VHOST_USER_MMAP_RW;
	g_assert_cmpint(backend_channel_map(f->channel, page, &range, f->memory, true), ==, 0);
	return serve(f, UNIT_TIMEOUT_MS);
}

static int unmap(struct fixture *f, uint64_t page, uint64_t n_pages)
{
	const struct vhost_user_mmap range = range_of(page, n_pages, 0);

	g_assert_cmpint(backend_channel_unmap(f->channel, page, &range), ==, 0);
	return serve(f, UNIT_TIMEOUT_MS);
}

static void test_shows_the_file(struct fixture *f, gconstpointer data G_GNUC_UNUSED)
{
	char text[16];

	g_assert_cmpint(map(f, 3, 2, 4), ==, 0);
	g_assert_cmpint(pwrite(f->memory, "of the host", 12, (off_t)(5 * PAGE + 7)), ==, 12);
	window_read(f->window, 4 * PAGE + 7, text, 12);
	g_assert_cmpstr(text, ==, "of the host");
	window_write(f->window, 3 * PAGE, "of the guest", 13);
	g_assert_cmpint(pread(f->memory, text, 13, (off_t)(4 * PAGE)), ==, 13);
	g_assert_cmpstr(text, ==, "of the guest");
	g_assert_true(window_is_mapped(f->window, 3 * PAGE, 2 * PAGE));
	g_assert_false(window_is_mapped(f->window, 3 * PAGE, 3 * PAGE));
	g_assert_false(window_is_mapped(f->window, 2 * PAGE, 2 * PAGE));
	g_assert_cmpint(map(f, 5, 1, 0), ==, 0);
	g_assert_true(window_is_mapped(f->window, 3 * PAGE, 3 * PAGE));
	g_assert_cmpint(unmap(f, 3, 2), ==, 0);
	g_assert_false(window_is_mapped(f->window, 3 * PAGE, 1));
	const struct window_counts counts = window_get_counts(f->window);
	g_assert_cmpuint(counts.n_maps, ==, 2);
	g_assert_cmpuint(counts.n_unmaps, ==, 1);
	g_assert_cmpuint(counts.n_live, ==, 1);
	g_assert_cmpuint(counts.live_bytes, ==, PAGE);
}

static void test_rules(struct fixture *f, gconstpointer data G_GNUC_UNUSED)
{
	g_assert_cmpint(map(f, 4, 4, 0), ==, 0);
	g_assert_cmpint(map(f, 4, 4, 0), ==, -EREMOTEIO);
	g_assert_cmpint(map(f, 7, 1, 0), ==, -EREMOTEIO);
	g_assert_cmpint(map(f, 0, 5, 0), ==, -EREMOTEIO);
	g_assert_cmpint(map(f, 8, 4, 0), ==, 0);
	g_assert_cmpint(map(f, 0, 8, 1), ==, -EREMOTEIO);
	g_assert_cmpint(map(f, 16, 8, 1), ==, -EREMOTEIO); /* beyond the file's end */
	g_assert_cmpint(unmap(f, 4, 8), ==, -EREMOTEIO);
	g_assert_cmpint(unmap(f, 4, 1), ==, -EREMOTEIO);
	g_assert_cmpint(unmap(f, 5, 1), ==, -EREMOTEIO);
	g_assert_cmpint(unmap(f, 4, 4), ==, 0);
	g_assert_cmpint(unmap(f, 4, 4), ==, -EREMOTEIO);
	const struct window_counts counts = window_get_counts(f->window);
	g_assert_cmpuint(counts.n_overlaps, ==, 4);
	g_assert_cmpuint(counts.n_bad_files, ==, 1);
	g_assert_cmpuint(counts.n_vain_unmaps, ==, 4);
	g_assert_cmpuint(counts.n_live, ==, 1);
}

static void test_reset(struct fixture *f, gconstpointer data G_GNUC_UNUSED)
{
	g_assert_cmpint(map(f, 0, 4, 0), ==, 0);
	window_begin_reset(f->window);
	const struct vhost_user_mmap range = range_of(0, 4, 0);
	g_assert_cmpint(backend_channel_unmap(f->channel, 1, &range), ==, 0);
	g_assert_cmpint(serve(f, 50), ==, 1); /* not before that is over */
	window_end_reset(f->window);
	g_assert_cmpint(serve(f, UNIT_TIMEOUT_MS), ==, -EREMOTEIO);
	g_assert_cmpuint(window_get_counts(f->window).n_live, ==, 0);
	g_assert_cmpint(map(f, 1, 4, 0), ==, 0);
}

/* As QEMU, which is not believed before it answers once more. */
static void test_maps_late(struct fixture *f, gconstpointer data G_GNUC_UNUSED)
{
	window_set_manner(f->window, WINDOW_MAPS_LATE);
	for (unsigned int i = 0; i < 20; i++) {
		g_assert_cmpint(map(f, i, 1, 0), ==, 0);
		g_assert_true(window_is_mapped(f->window, i * PAGE, PAGE));
	}
}

static void test_manners(struct fixture *f, gconstpointer data G_GNUC_UNUSED)
{
	const struct vhost_user_mmap range = range_of(0, 1, 0);

	window_set_manner(f->window, WINDOW_REFUSES);
	g_assert_cmpint(map(f, 0, 1, 0), ==, -EREMOTEIO);
	g_assert_cmpuint(window_get_counts(f->window).n_refused, ==, 1);

	window_set_manner(f->window, WINDOW_STALLS);
	g_assert_cmpint(backend_channel_unmap(f->channel, 5, &range), ==, 0);
	g_assert_cmpint(serve(f, 50), ==, 1);
	g_assert_false(window_wait_asked(f->window, 2, 10));
	window_set_manner(f->window, WINDOW_SERVES);
	g_assert_cmpint(serve(f, UNIT_TIMEOUT_MS), ==, -EREMOTEIO);
	g_assert_cmpuint(f->last_number, ==, 5);

	window_set_delay_ms(f->window, 20);
	g_assert_cmpint(map(f, 0, 1, 0), ==, 0);
	window_set_delay_ms(f->window, 0);

	window_set_manner(f->window, WINDOW_READS);
	g_assert_cmpint(backend_channel_unmap(f->channel, 6, &range), ==, 0);
	g_assert_true(window_wait_live(f->window, 0, UNIT_TIMEOUT_MS));
	g_assert_cmpint(serve(f, 50), ==, 1);
	backend_channel_destroy(f->channel);

	connect_channel(f);
	window_set_manner(f->window, WINDOW_TALKS_NONSENSE);
	g_assert_cmpint(map(f, 0, 1, 0), ==, -EPROTO);
	backend_channel_destroy(f->channel);

	connect_channel(f);
	window_set_manner(f->window, WINDOW_HANGS_UP);
	g_assert_cmpint(map(f, 1, 1, 0), ==, -EPIPE);
	backend_channel_destroy(f->channel);

	connect_channel(f);
	g_assert_cmpint(map(f, 1, 1, 0), ==, 0);
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add("/window/shows-the-file", struct fixture, NULL, setup, test_shows_the_file,
		   teardown);
	g_test_add("/window/rules", struct fixture, NULL, setup, test_rules, teardown);
	g_test_add("/window/reset", struct fixture, NULL, setup, test_reset, teardown);
	g_test_add("/window/maps-late", struct fixture, NULL, setup, test_maps_late, teardown);
	g_test_add("/window/manners", struct fixture, NULL, setup, test_manners, teardown);
	return g_test_run();
}
