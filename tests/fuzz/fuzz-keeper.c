/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * What a renderer process that was taken over can do to its keeper: say
 * anything with any descriptors, not listen, write into the memory that both
 * share, hold a ring's lock, die at any time; amid a front-end that starts and
 * stops its rings, a display that is slow to answer, and a next process.
 *
 * It ends that process, if anything. What is held is counted and bounded, no
 * descriptor stays, the display is shown what it can bear, and a process is
 * told nothing that it did not ask for. A front-end that maps has what it was
 * asked for by the process there is, and nothing of one that is no more.
 *
 * The spawner is in here: its processes are the fuzzer.
 */
#include "engine/process_engine.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "clock.h"
#include "fuzz.h"
#include "guest.h"
#include "input.h"
#include "screen.h"

#define QUOTA_BYTES (UINT64_C(1) << 20)
#define ARENA_BYTES (UINT32_C(256) << 10)
#define HUGE_BYTES (UINT32_C(2) << 20)
/* More than a message may have. */
#define MAX_SENT_FDS (SOCK_MAX_FDS + 2)
#define TIMEOUT_MS 10000
/* Of an input: some more than are to be refused. */
#define MAX_SAID (5 * KEEPER_MAX_QUESTIONS)
/* Of messages[], those that an input names by one byte; the others have an operation. */
#define N_NAMED_MESSAGES 11u
#define LOCK_STEP_US (VIRTQ_PATIENCE_MS * 1000u / 4)
#define PAGE_BYTES ((uint64_t)sysconf(_SC_PAGESIZE))
#define WINDOW_PAGES 32u

/* ---- a spawner ---- */

/* Its owner's one. */
static struct {
	bool is_wanted; /* it was asked for a process */
	bool is_alive;
	GQueue news; /* struct spawner_news, owned */
} spawning;

static void leave_news(const struct spawner *spawner, const struct spawner_news *news)
{
	g_queue_push_tail(&spawning.news, g_memdup2(news, sizeof(*news)));
	g_assert_no_errno(eventfd_write(spawner->fd, 1));
}

/* Nothing is locked down here, nor forked. */
lockdown_names spawner_calls = { NULL };
lockdown_names spawner_owner_calls = { NULL };

int spawner_init(struct spawner *spawner, const struct spawner_options *options G_GNUC_UNUSED)
{
	*spawner = (struct spawner){ .pid = 1, .fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK) };
	spawning.is_wanted = spawning.is_alive = false;
	g_queue_init(&spawning.news);
	return 0;
}

void spawner_finish(struct spawner *spawner)
{
	g_queue_clear_full(&spawning.news, g_free);
	if (spawner->fd >= 0) {
		close(spawner->fd);
	}
	*spawner = (struct spawner){ .fd = -1 };
}

int spawner_start(struct spawner *spawner G_GNUC_UNUSED, int variant G_GNUC_UNUSED)
{
	g_assert_false(spawning.is_wanted || spawning.is_alive);
	spawning.is_wanted = true;
	return 0;
}

/* It ends when the input says so: others may be faster than a signal. */
void spawner_kill(struct spawner *spawner G_GNUC_UNUSED)
{
}

int spawner_receive(struct spawner *spawner, struct spawner_news *news_out)
{
	g_autofree struct spawner_news *news = g_queue_pop_head(&spawning.news);
	eventfd_t ignored;

	if (news == NULL) {
		eventfd_read(spawner->fd, &ignored);
		return -EAGAIN;
	}
	*news_out = *news;
	return 0;
}

/* ---- what a message may carry ---- */

static int odd_fds[10];
static unsigned int n_odd_fds;

static void add_fd(int fd)
{
	/* Not every host has all of them. */
	if (fd >= 0) {
		odd_fds[n_odd_fds++] = fd;
	}
}

static int make_file(unsigned int flags, uint32_t size_bytes, int seals)
{
	int fd = memfd_create("odd", flags | MFD_CLOEXEC | MFD_ALLOW_SEALING);

	if (fd >= 0 && (ftruncate(fd, size_bytes) < 0 || fcntl(fd, F_ADD_SEALS, seals) < 0)) {
		close(fd);
		return -1;
	}
	return fd;
}

const char *fuzz_prepare(void)
{
	const int seals = F_SEAL_SHRINK | F_SEAL_GROW;
	int pair[2];

	signal(SIGPIPE, SIG_IGN); /* as the program does */
	add_fd(make_file(0, ARENA_BYTES, seals)); /* the first one is good */
	add_fd(make_file(0, ARENA_BYTES, 0));
	add_fd(make_file(0, ARENA_BYTES / 2, seals));
	/* There need not be any memory behind it, which a read then says by SIGBUS. */
	add_fd(make_file(MFD_HUGETLB, HUGE_BYTES, seals));
	add_fd(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
	add_fd(open("/", O_PATH | O_CLOEXEC));
	add_fd(open("/dev/zero", O_RDWR | O_CLOEXEC));
	g_assert_no_errno(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair));
	add_fd(pair[0]);
	add_fd(pair[1]);
	return NULL;
}

/* ---- the fuzzer ---- */

struct question {
	uint64_t token;
	enum link_type answer_type;
};

/* What the front-end was asked, or has mapped. */
struct mapping {
	uint64_t number;
	uint64_t offset_bytes, size_bytes;
	bool is_map;
	bool is_forgotten; /* there was a reset before it answered */
};

struct fuzz {
	struct fuzz_input in;
	struct fuzz_guest *guest;
	struct options options;
	struct quota quota;
	struct loop loop;
	struct virtq queues[COMMAND_N_QUEUES];
	struct engine *engine;
	struct process_engine *keeper; /* the same */
	struct screen screen;
	unsigned int mask; /* of the regions in the memory table */
	bool has_screen;   /* which has made no mistake so far */
	bool has_failed;   /* the engine gave up */
	int link_fd;	   /* the renderer process's end; owned, -1: it closed it */
	GArray *asked;	   /* of struct question, by this process */
	unsigned int n_said;
	GArray *to_map; /* of struct mapping, in the order of the front-end's being asked */
	GArray *mapped; /* of struct mapping, there */
	uint64_t last_number;
	bool refuses; /* the front-end can't be asked */
	/* What somebody has looked for, by scanout: so often; and what it was given a mode of. */
	unsigned int n_grabs[DISPLAY_MAX_SCANOUTS], n_cursor_grabs[DISPLAY_MAX_SCANOUTS];
	bool has_mode[DISPLAY_MAX_SCANOUTS];
};

static void failed(void *data)
{
	struct fuzz *fuzz = data;

	g_assert_false(fuzz->has_failed);
	fuzz->has_failed = true;
}

/* ---- somebody who looks inside ---- */

static void take_grab(unsigned int counts[DISPLAY_MAX_SCANOUTS], uint32_t scanout_id)
{
	g_assert_cmpuint(scanout_id, <, DISPLAY_MAX_SCANOUTS);
	g_assert_cmpuint(counts[scanout_id]--, >, 0);
}

static void grabbed(void *data, uint32_t scanout_id, struct frame *consume_frame,
		    const struct rect *view)
{
	struct fuzz *fuzz = data;

	take_grab(fuzz->n_grabs, scanout_id);
	if (consume_frame != NULL) {
		g_assert_cmpuint((uint64_t)view->x + view->width, <=, consume_frame->width);
		g_assert_cmpuint((uint64_t)view->y + view->height, <=, consume_frame->height);
	}
	frame_unref(consume_frame);
}

static void grabbed_cursor(void *data, uint32_t scanout_id, uint32_t *consume_pixels)
{
	struct fuzz *fuzz = data;

	take_grab(fuzz->n_cursor_grabs, scanout_id);
	g_free(consume_pixels);
}

static void mode_set(void *data, uint32_t scanout_id, uint32_t width G_GNUC_UNUSED,
		     uint32_t height G_GNUC_UNUSED)
{
	struct fuzz *fuzz = data;

	g_assert_cmpuint(scanout_id, <, DISPLAY_MAX_SCANOUTS);
	g_assert_true(fuzz->has_mode[scanout_id]);
}

/* ---- a front-end that maps ---- */

static struct mapping *mapping_at(const GArray *mappings, guint i)
{
	return &g_array_index(mappings, struct mapping, i);
}

static bool is_same(const struct mapping *a, const struct mapping *b)
{
	return a->offset_bytes == b->offset_bytes && a->size_bytes == b->size_bytes;
}

static bool overlaps(const GArray *mappings, const struct mapping *mapping)
{
	for (guint i = 0; i < mappings->len; i++) {
		const struct mapping *other = mapping_at(mappings, i);

		if (mapping->offset_bytes < other->offset_bytes + other->size_bytes &&
		    other->offset_bytes < mapping->offset_bytes + mapping->size_bytes) {
			return true;
		}
	}
	return false;
}

static bool remove_same(GArray *mappings, const struct mapping *mapping)
{
	for (guint i = 0; i < mappings->len; i++) {
		if (is_same(mapping_at(mappings, i), mapping)) {
			g_array_remove_index_fast(mappings, i);
			return true;
		}
	}
	return false;
}

static int note_asked(struct fuzz *fuzz, const struct mapping *mapping)
{
	if (fuzz->refuses) {
		return -EPIPE;
	}
	g_assert_cmpuint(mapping->number, >, fuzz->last_number);
	g_assert_cmpuint(mapping->size_bytes, >, 0);
	g_assert_cmpuint((mapping->offset_bytes | mapping->size_bytes) % PAGE_BYTES, ==, 0);
	g_assert_cmpuint(mapping->offset_bytes, <, WINDOW_PAGES * PAGE_BYTES);
	g_assert_cmpuint(mapping->size_bytes, <=,
			 WINDOW_PAGES * PAGE_BYTES - mapping->offset_bytes);
	fuzz->last_number = mapping->number;
	g_array_append_vals(fuzz->to_map, mapping, 1);
	return 0;
}

static int map(void *data, uint64_t number, const struct engine_mapping *wanted)
{
	const struct mapping mapping = { .number = number,
					 .offset_bytes = wanted->offset_bytes,
					 .size_bytes = wanted->size_bytes,
					 .is_map = true };
	off_t end = lseek(wanted->fd, 0, SEEK_END);

	/* The front-end would not survive a page that is not there. */
	g_assert_cmpuint(wanted->fd_offset_bytes + wanted->size_bytes, <=, (uint64_t)end);
	return note_asked(data, &mapping);
}

static int unmap(void *data, uint64_t number, uint64_t offset_bytes, uint64_t size_bytes)
{
	const struct mapping mapping = { .number = number,
					 .offset_bytes = offset_bytes,
					 .size_bytes = size_bytes };

	return note_asked(data, &mapping);
}

/*
 * In order. What it is asked to map is free, and what it is asked to unmap is there, unless it
 * failed before, or was reset in between.
 */
static bool do_as_asked(struct fuzz *fuzz, const struct mapping *mapping)
{
	if (mapping->is_map) {
		g_assert_false(overlaps(fuzz->mapped, mapping));
		g_array_append_vals(fuzz->mapped, mapping, 1);
		return true;
	}
	return remove_same(fuzz->mapped, mapping);
}

static void answer_front_end(struct fuzz *fuzz, bool is_willing)
{
	if (fuzz->to_map->len == 0) {
		return;
	}
	const struct mapping mapping = *mapping_at(fuzz->to_map, 0);

	g_array_remove_index(fuzz->to_map, 0);
	/* It may have no room for one more, but can always do with less. */
	bool is_done = (is_willing || !mapping.is_map) && do_as_asked(fuzz, &mapping);
	if (!mapping.is_forgotten) {
		engine_mapped(fuzz->engine, mapping.number, is_done ? 0 : -EREMOTEIO);
	}
}

static void settle_front_end(struct fuzz *fuzz)
{
	while (fuzz->to_map->len > 0) {
		answer_front_end(fuzz, true);
	}
}

static void reset_front_end(struct fuzz *fuzz)
{
	g_array_set_size(fuzz->mapped, 0);
	for (guint i = 0; i < fuzz->to_map->len; i++) {
		mapping_at(fuzz->to_map, i)->is_forgotten = true;
	}
}

static void quit(void *data)
{
	loop_quit(data);
}

/* What is there is dispatched. */
static void run_loop(struct fuzz *fuzz)
{
	fuzz->loop.quit = false;
	loop_wake(&fuzz->loop);
	g_assert_cmpint(loop_run(&fuzz->loop), ==, 0);
}

static void assert_bounded(struct fuzz *fuzz)
{
	struct process_engine *keeper = fuzz->keeper;

	g_assert_cmpuint(quota_used(&fuzz->quota), <=, QUOTA_BYTES);
	g_mutex_lock(&keeper->lock);
	g_assert_cmpuint(g_hash_table_size(keeper->questions) + keeper->answers.length, <=,
			 KEEPER_MAX_QUESTIONS);
	g_mutex_unlock(&keeper->lock);
	g_assert_cmpuint(keeper->mappings.questions.length, <=,
			 MAPPINGS_MAX_QUESTIONS + fuzz->to_map->len);
	/* Whatever a picture is made of, nobody but the front-end ends its channel. */
	g_assert_true(!fuzz->has_screen || display_is_watched(keeper->display));
}

/* ---- the life of a process ---- */

static void close_link(struct fuzz *fuzz)
{
	if (fuzz->link_fd >= 0) {
		close(fuzz->link_fd);
		fuzz->link_fd = -1;
	}
	g_array_set_size(fuzz->asked, 0);
}

static void do_begin(struct fuzz *fuzz)
{
	struct spawner_news news = { .pid = 4711 };
	int pair[2];

	if (!spawning.is_wanted) {
		return;
	}
	close_link(fuzz);
	g_assert_cmpint(link_create(pair), ==, 0);
	fuzz->link_fd = pair[1];
	news.link_fd = pair[0];
	spawning.is_wanted = false;
	spawning.is_alive = true;
	leave_news(&fuzz->keeper->spawner, &news);
	run_loop(fuzz);
}

/* Nothing of it runs any more; what it said is there still. */
static void end_process(struct fuzz *fuzz, bool is_alive)
{
	const struct spawner_news news = {
		.is_end = true,
		.pid = is_alive ? 4711 : 0,
		.status = fuzz_input_flag(&fuzz->in) ? SIGSEGV : 3 << 8,
		.link_fd = -1,
	};

	spawning.is_alive = spawning.is_wanted = false;
	leave_news(&fuzz->keeper->spawner, &news);
	run_loop(fuzz);
	close_link(fuzz);
	fuzz_clock_set_step(0);
	g_assert_cmpint(g_tree_nnodes(fuzz->keeper->mappings.ranges), ==, 0);
}

static void do_die(struct fuzz *fuzz)
{
	if (spawning.is_alive) {
		end_process(fuzz, true);
	}
}

static void do_fail_to_begin(struct fuzz *fuzz)
{
	if (spawning.is_wanted) {
		end_process(fuzz, false);
	}
}

static void do_close_link(struct fuzz *fuzz)
{
	close_link(fuzz);
	run_loop(fuzz);
}

/* ---- what it says ---- */

struct message {
	uint64_t type;
	union {
		struct link_hello hello;
		struct link_record record;
		struct link_picture picture;
		struct link_dmabuf dmabuf;
		struct link_draw draw;
		uint32_t scanout_id;
		struct link_cursor cursor;
		struct link_question question;
		struct link_mapping map;
		struct link_grabbed grabbed;
		struct link_mode mode;
		uint8_t bytes[LINK_MAX_BYTES + 64];
	};
};

static size_t make_hello(struct fuzz *fuzz, struct message *message)
{
	message->hello.arena_bytes = fuzz_input_one_in(&fuzz->in, 4) ?
					     fuzz_input_number64(&fuzz->in) :
					     ARENA_BYTES;
	return sizeof(message->hello);
}

static size_t make_nothing(struct fuzz *fuzz G_GNUC_UNUSED, struct message *message G_GNUC_UNUSED)
{
	return 0;
}

static size_t make_record(struct fuzz *fuzz, struct message *message)
{
	message->record = (struct link_record){
		.kind = RECORD_RESOURCE + fuzz_input_below(&fuzz->in, 4),
		.id = fuzz_input_u8(&fuzz->in) % 32,
		.generation = fuzz->keeper->generation,
	};
	return sizeof(message->record);
}

static size_t make_put(struct fuzz *fuzz, struct message *message)
{
	size_t n_bytes = make_record(fuzz, message);

	if (fuzz_input_one_in(&fuzz->in, 4)) {
		return n_bytes + fuzz_input_number(&fuzz->in) % (RECORD_MAX_BYTES + 1);
	}
	return n_bytes + fuzz_input_u8(&fuzz->in);
}

static size_t make_picture(struct fuzz *fuzz, struct message *message)
{
	message->picture = (struct link_picture){
		.slot = fuzz_input_u8(&fuzz->in) % LINK_N_SLOTS,
		.serial = 1 + fuzz_input_u8(&fuzz->in),
		.scanout_id = fuzz_input_below(&fuzz->in, DISPLAY_MAX_SCANOUTS),
		.offset = fuzz_input_u8(&fuzz->in) * 512u,
		.width = 64,
		.height = 40,
		.view = { 0, 0, 64, 40 },
		.damage = { 0, 0, 64, 40 },
	};
	if (fuzz_input_flag(&fuzz->in)) {
		struct rect *view = &message->picture.view, *damage = &message->picture.damage;

		view->x = fuzz_input_u8(&fuzz->in) % 64;
		view->width = 64 - view->x;
		damage->y = fuzz_input_u8(&fuzz->in) % 48;
		damage->width = view->width;
		damage->height = 40 - damage->y;
	}
	return sizeof(message->picture);
}

/* There are no dma-bufs here; files are what it gets at best, and is to see that. */
static size_t make_dmabuf(struct fuzz *fuzz, struct message *message)
{
	message->dmabuf = (struct link_dmabuf){
		.number = fuzz_input_below(&fuzz->in, LINK_N_DMABUFS + 1),
		.is_gone = fuzz_input_flag(&fuzz->in),
		.layout = { 64, 40, 256, 0, 0, PIXEL_XRGB8888, 0 },
	};
	return sizeof(message->dmabuf);
}

static size_t make_draw(struct fuzz *fuzz, struct message *message)
{
	message->draw = (struct link_draw){
		.number = fuzz_input_below(&fuzz->in, LINK_N_DMABUFS + 1),
		.serial = 1 + fuzz_input_u8(&fuzz->in),
		.scanout_id = fuzz_input_below(&fuzz->in, DISPLAY_MAX_SCANOUTS + 1),
		.damage = { 0, fuzz_input_u8(&fuzz->in) % 40, 64, fuzz_input_u8(&fuzz->in) % 48 },
	};
	return sizeof(message->draw);
}

static size_t make_scanout(struct fuzz *fuzz, struct message *message)
{
	message->scanout_id = fuzz_input_below(&fuzz->in, DISPLAY_MAX_SCANOUTS + 1);
	return sizeof(message->scanout_id);
}

static size_t make_cursor(struct fuzz *fuzz, struct message *message)
{
	message->cursor = (struct link_cursor){
		.scanout_id = fuzz_input_below(&fuzz->in, DISPLAY_MAX_SCANOUTS + 1),
		.x = fuzz_input_number(&fuzz->in),
		.hot_x = fuzz_input_u8(&fuzz->in) % (DISPLAY_CURSOR_SIDE + 1),
	};
	return sizeof(message->cursor) +
	       (fuzz_input_flag(&fuzz->in) ? LINK_CURSOR_PIXELS_BYTES : 0);
}

static size_t make_cursor_hide(struct fuzz *fuzz, struct message *message)
{
	message->cursor.scanout_id = fuzz_input_below(&fuzz->in, DISPLAY_MAX_SCANOUTS + 1);
	return sizeof(message->cursor);
}

static size_t make_question(struct fuzz *fuzz, struct message *message)
{
	message->question = (struct link_question){
		.token = fuzz_input_u8(&fuzz->in),
		.scanout_id = fuzz_input_below(&fuzz->in, DISPLAY_MAX_SCANOUTS + 1),
	};
	return sizeof(message->question);
}

static size_t make_map(struct fuzz *fuzz, struct message *message)
{
	message->map = (struct link_mapping){
		.token = fuzz_input_u8(&fuzz->in),
		.offset_bytes = fuzz_input_below(&fuzz->in, WINDOW_PAGES) * PAGE_BYTES,
		.size_bytes = (1 + fuzz_input_below(&fuzz->in, 8)) * PAGE_BYTES,
		.generation = fuzz->keeper->generation,
	};
	if (fuzz_input_one_in(&fuzz->in, 8)) {
		message->map.offset_bytes = fuzz_input_number64(&fuzz->in);
		message->map.size_bytes = fuzz_input_number64(&fuzz->in);
	}
	if (message->type == LINK_MAP && fuzz_input_one_in(&fuzz->in, 4)) {
		message->map.fd_offset_bytes = fuzz_input_number64(&fuzz->in);
	}
	return sizeof(message->map);
}

static size_t make_grabbed(struct fuzz *fuzz, struct message *message)
{
	make_picture(fuzz, message);
	const struct link_picture picture = message->picture;
	message->grabbed = (struct link_grabbed){ .is_none = fuzz_input_one_in(&fuzz->in, 4),
						  .picture = picture };
	return sizeof(message->grabbed);
}

static size_t make_mode(struct fuzz *fuzz, struct message *message)
{
	message->mode = (struct link_mode){
		.scanout_id = fuzz_input_below(&fuzz->in, DISPLAY_MAX_SCANOUTS + 1),
		.width = fuzz_input_number(&fuzz->in),
		.height = 480,
	};
	return sizeof(message->mode);
}

/* Inputs name them by their place: append, and never insert. */
static const struct {
	enum link_type type;
	size_t (*make)(struct fuzz *fuzz, struct message *message);
} messages[] = {
	{ LINK_HELLO, make_hello },
	{ LINK_PUT, make_put },
	{ LINK_DROP, make_record },
	{ LINK_DROP_ALL, make_record },
	{ LINK_PICTURE, make_picture },
	{ LINK_OFF, make_scanout },
	{ LINK_CURSOR, make_cursor },
	{ LINK_CURSOR_HIDE, make_cursor_hide },
	{ LINK_ASK_INFO, make_question },
	{ LINK_ASK_EDID, make_question },
	{ LINK_RUNNING, make_nothing },
	{ LINK_MAP, make_map },
	{ LINK_UNMAP, make_map },
	{ LINK_DMABUF, make_dmabuf },
	{ LINK_DRAW, make_draw },
	{ LINK_GRABBED, make_grabbed },
	{ LINK_GRABBED_CURSOR, make_cursor },
	{ LINK_MODE_SET, make_mode },
};

/* A bit for each thing that is wrong with it. Returns its size. */
static size_t spoil(struct fuzz *fuzz, struct message *message, size_t n_bytes, uint8_t how)
{
	if (how & 1) {
		uint32_t word = fuzz_input_number(&fuzz->in);

		memcpy(message->bytes + fuzz_input_below(&fuzz->in, 16) * sizeof(word), &word,
		       sizeof(word));
	}
	if (how & 2) {
		n_bytes = fuzz_input_u8(&fuzz->in) % (n_bytes + 1);
	}
	if (how & 4) {
		n_bytes += fuzz_input_number(&fuzz->in);
		n_bytes = MIN(n_bytes, sizeof(message->bytes));
	}
	if (how & 8) {
		message->type = fuzz_input_number64(&fuzz->in);
	}
	return n_bytes;
}

static size_t pick_fds(struct fuzz *fuzz, const struct message *message, uint8_t how,
		       int fds_out[MAX_SENT_FDS])
{
	size_t n_fds = 0;

	if (how & 16) {
		n_fds = fuzz_input_below(&fuzz->in, MAX_SENT_FDS + 1);
		for (size_t i = 0; i < n_fds; i++) {
			fds_out[i] = odd_fds[fuzz_input_u8(&fuzz->in) % n_odd_fds];
		}
	} else if (message->type == LINK_HELLO || message->type == LINK_MAP ||
		   (message->type == LINK_DMABUF && !message->dmabuf.is_gone)) {
		fds_out[n_fds++] = odd_fds[0];
	}
	return n_fds;
}

/* False: there is no room, or nobody who reads. */
static bool send_bytes(int fd, const void *bytes, size_t n_bytes, const int *fds, size_t n_fds)
{
	union {
		struct cmsghdr header;
		char bytes[CMSG_SPACE(MAX_SENT_FDS * sizeof(int))];
	} control = { .bytes = { 0 } };
	struct iovec iov = { (void *)(uintptr_t)bytes, n_bytes };
	struct msghdr message = { .msg_iov = &iov, .msg_iovlen = 1 };

	if (n_fds > 0) {
		message.msg_control = control.bytes;
		message.msg_controllen = CMSG_SPACE(n_fds * sizeof(int));
		control.header.cmsg_level = SOL_SOCKET;
		control.header.cmsg_type = SCM_RIGHTS;
		control.header.cmsg_len = CMSG_LEN(n_fds * sizeof(int));
		memcpy(CMSG_DATA(&control.header), fds, n_fds * sizeof(int));
	}
	return sendmsg(fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL) == (ssize_t)n_bytes;
}

/* By its first member, the token. */
static void note_question(struct fuzz *fuzz, const struct message *message, size_t n_bytes)
{
	static const struct {
		enum link_type type, answer_type;
		size_t n_bytes;
	} kinds[] = {
		{ LINK_ASK_INFO, LINK_INFO, sizeof(struct link_question) },
		{ LINK_ASK_EDID, LINK_EDID, sizeof(struct link_question) },
		{ LINK_MAP, LINK_MAPPED, sizeof(struct link_mapping) },
		{ LINK_UNMAP, LINK_MAPPED, sizeof(struct link_mapping) },
	};

	for (size_t i = 0; i < G_N_ELEMENTS(kinds); i++) {
		const struct question question = { message->question.token, kinds[i].answer_type };

		if (message->type == kinds[i].type && n_bytes == kinds[i].n_bytes) {
			g_array_append_val(fuzz->asked, question);
		}
	}
}

static void say(struct fuzz *fuzz, size_t i, unsigned int n_times)
{
	static struct message message; /* large; its head is made anew */
	int fds[MAX_SENT_FDS];

	memset(&message, 0, 256);
	message.type = messages[i].type;
	size_t n_bytes = messages[i].make(fuzz, &message);
	uint8_t how = fuzz_input_u8(&fuzz->in);
	/* Half of them are good. */
	how = how < 0x80 ? 0 : how & 0x7f;
	n_bytes = spoil(fuzz, &message, n_bytes, how);
	size_t n_fds = pick_fds(fuzz, &message, how, fds);
	for (; n_times > 0 && fuzz->link_fd >= 0 && fuzz->n_said < MAX_SAID; n_times--) {
		size_t all_bytes = sizeof(message.type) + n_bytes;

		if (how & 32) {
			all_bytes = n_bytes % 8;
		}
		if (send_bytes(fuzz->link_fd, &message, all_bytes, fds, n_fds) && !(how & 32)) {
			note_question(fuzz, &message, n_bytes);
		}
		fuzz->n_said++;
		if (n_times % 64 == 1 && !(how & 64)) {
			run_loop(fuzz);
		}
	}
}

static void do_say(struct fuzz *fuzz)
{
	say(fuzz, fuzz_input_u8(&fuzz->in) % N_NAMED_MESSAGES, 1);
}

static void do_say_later_named(struct fuzz *fuzz)
{
	say(fuzz,
	    N_NAMED_MESSAGES +
		    fuzz_input_below(&fuzz->in, G_N_ELEMENTS(messages) - N_NAMED_MESSAGES),
	    1);
	run_loop(fuzz);
}

static void do_look(struct fuzz *fuzz)
{
	uint8_t how = fuzz_input_u8(&fuzz->in);
	uint32_t scanout_id = how % DISPLAY_MAX_SCANOUTS;

	switch (how / 0x40) {
	case 0:
		fuzz->has_mode[scanout_id] = true;
		engine_set_mode(fuzz->engine, scanout_id, 640, 480);
		break;
	case 1:
		fuzz->n_cursor_grabs[scanout_id]++;
		engine_grab(fuzz->engine, scanout_id, true);
		break;
	default:
		fuzz->n_grabs[scanout_id]++;
		engine_grab(fuzz->engine, scanout_id, false);
	}
	run_loop(fuzz);
}

static void do_ask_to_map(struct fuzz *fuzz)
{
	uint8_t how = fuzz_input_u8(&fuzz->in);

	say(fuzz, N_NAMED_MESSAGES + how % 2, how < 0xf8 ? 1 : 64u * fuzz_input_u8(&fuzz->in));
	run_loop(fuzz);
}

/* All that a process needs to say before it renders. */
static void do_introduce(struct fuzz *fuzz)
{
	static const struct {
		uint64_t type;
		struct link_hello body;
	} hello = { LINK_HELLO, { ARENA_BYTES } };
	const uint64_t running = LINK_RUNNING;

	if (fuzz->link_fd >= 0) {
		send_bytes(fuzz->link_fd, &hello, sizeof(hello), &odd_fds[0], 1);
		send_bytes(fuzz->link_fd, &running, sizeof(running), NULL, 0);
		run_loop(fuzz);
	}
}

static void do_say_often(struct fuzz *fuzz)
{
	unsigned int n_times = 16u * fuzz_input_u8(&fuzz->in);

	say(fuzz, fuzz_input_u8(&fuzz->in) % N_NAMED_MESSAGES, n_times);
}

/* ---- what it is told ---- */

static void take_token(struct fuzz *fuzz, uint64_t type, uint64_t token)
{
	for (guint i = 0; i < fuzz->asked->len; i++) {
		const struct question *question = &g_array_index(fuzz->asked, struct question, i);

		if (question->token == token && question->answer_type == type) {
			g_array_remove_index(fuzz->asked, i);
			return;
		}
	}
	g_error("an answer of type %u to a question that it did not ask", (unsigned int)type);
}

static void take_answer(struct fuzz *fuzz, uint64_t type, const struct link_answer *answer)
{
	g_assert_nonnull(answer);
	/* News that nobody has to have asked for. */
	if (type != LINK_INFO || answer->token != DISPLAY_NO_TOKEN || answer->is_none) {
		take_token(fuzz, type, answer->token);
	}
}

static void take_mapped(struct fuzz *fuzz, const struct link_mapped *mapped)
{
	g_assert_nonnull(mapped);
	take_token(fuzz, LINK_MAPPED, mapped->token);
}

static void read_link(struct fuzz *fuzz)
{
	static uint8_t buffer[LINK_MAX_BYTES];
	struct link_message message;

	while (fuzz->link_fd >= 0 && link_receive(fuzz->link_fd, buffer, &message) == 0) {
		g_assert_cmpuint(message.type, >=, LINK_RESET);
		g_assert_true(message.type <= LINK_MAPPED || message.type >= LINK_LOG);
		g_assert_cmpuint(message.type, <=, LINK_MODE);
		if (message.type == LINK_INFO || message.type == LINK_EDID) {
			take_answer(fuzz, message.type,
				    link_body(&message, sizeof(struct link_answer)));
		} else if (message.type == LINK_MAPPED) {
			take_mapped(fuzz, link_body(&message, sizeof(struct link_mapped)));
		}
		link_message_finish(&message);
	}
}

static void do_read(struct fuzz *fuzz)
{
	read_link(fuzz);
	run_loop(fuzz);
}

/* ---- the memory that it shares ---- */

/* Before START it has heard nothing of its guest, and is ours still. */
static bool is_hostile(const struct fuzz *fuzz)
{
	return spawning.is_alive && fuzz->keeper->is_started;
}

/* Which may stand between two calls of the front-end's. */
static void scribble_shared(struct fuzz *fuzz)
{
	struct link_shared *shared = fuzz->keeper->shared;
	unsigned int queue = fuzz_input_below(&fuzz->in, COMMAND_N_QUEUES);

	if (!is_hostile(fuzz)) {
		return;
	}
	switch (fuzz_input_below(&fuzz->in, 8)) {
	case 0:
		shared->slots[fuzz_input_u8(&fuzz->in) % LINK_N_SLOTS] =
			(int)fuzz_input_number(&fuzz->in);
		break;
	case 1:
		shared->awaited[fuzz_input_below(&fuzz->in, DISPLAY_MAX_SCANOUTS)] =
			fuzz_input_number(&fuzz->in);
		break;
	case 2:
		shared->busy_since_us = (gint64)fuzz_input_number64(&fuzz->in);
		break;
	case 3:
		shared->is_timed = (int)fuzz_input_number(&fuzz->in);
		g_assert_no_errno(eventfd_write(fuzz->keeper->news_fd, 1));
		break;
	case 4:
		shared->is_watched = (int)fuzz_input_number(&fuzz->in);
		break;
	case 5:
		/* Of somebody who does not let go; two seconds of the kernel's clock are over. */
		if (fuzz_clock_is_behind(2 * VIRTQ_PATIENCE_MS * 1000)) {
			fuzz_clock_set_step(LOCK_STEP_US);
			shared->queues[queue].lock.word = 1 + fuzz_input_u8(&fuzz->in);
		}
		break;
	case 6:
		virtq_state_pop(&shared->queues[queue],
				(uint16_t)(fuzz_input_u8(&fuzz->in) % FUZZ_RING_SIZE));
		break;
	default:
		shared->queues[queue].n_lost = fuzz_input_number(&fuzz->in);
		shared->queues[queue].last_avail = fuzz_input_number64(&fuzz->in);
		shared->queues[queue].n_out = fuzz_input_number(&fuzz->in);
		shared->queues[queue].is_broken = fuzz_input_u8(&fuzz->in);
		shared->queues[queue].pushing = fuzz_input_number(&fuzz->in);
		shared->queues[queue].in_flight[fuzz_input_u16(&fuzz->in) % VIRTQ_MAX_SIZE] =
			fuzz_input_number64(&fuzz->in);
		break;
	}
}

static void do_scribble(struct fuzz *fuzz)
{
	scribble_shared(fuzz);
	run_loop(fuzz);
}

/* ---- the front-end ---- */

static struct guestmem *build_table(const struct fuzz *fuzz)
{
	return fuzz_guest_build_table(fuzz->guest, fuzz->mask);
}

static void queue_changed(struct fuzz *fuzz, unsigned int i)
{
	if (fuzz_input_one_in(&fuzz->in, 4)) {
		scribble_shared(fuzz);
	}
	engine_queue_changed(fuzz->engine, i);
}

static void set_memory(struct fuzz *fuzz, unsigned int mask)
{
	fuzz->mask = mask | 1;
	struct guestmem *mem = build_table(fuzz);

	for (unsigned int i = 0; i < COMMAND_N_QUEUES; i++) {
		virtq_set_memory(&fuzz->queues[i], mem);
	}
	engine_set_memory(fuzz->engine, mem);
	guestmem_unref(mem);
	for (unsigned int i = 0; i < COMMAND_N_QUEUES; i++) {
		queue_changed(fuzz, i);
	}
}

static void do_set_memory(struct fuzz *fuzz)
{
	set_memory(fuzz, fuzz_input_below(&fuzz->in, FUZZ_ALL_REGIONS + 1));
	run_loop(fuzz);
}

static void start_queue(struct fuzz *fuzz, unsigned int i)
{
	struct guestmem *mem = build_table(fuzz);
	uint16_t base = virtq_stop(&fuzz->queues[i]);

	fuzz_guest_start_queue(fuzz->guest, &fuzz->queues[i], mem, base);
	guestmem_unref(mem);
	queue_changed(fuzz, i);
}

static void do_start_queue(struct fuzz *fuzz)
{
	start_queue(fuzz, fuzz_input_below(&fuzz->in, COMMAND_N_QUEUES));
	run_loop(fuzz);
}

static void do_stop_queue(struct fuzz *fuzz)
{
	unsigned int i = fuzz_input_below(&fuzz->in, COMMAND_N_QUEUES);

	virtq_stop(&fuzz->queues[i]);
	queue_changed(fuzz, i);
	run_loop(fuzz);
}

static void do_set_features(struct fuzz *fuzz)
{
	engine_set_features(fuzz->engine, fuzz_input_u8(&fuzz->in));
	run_loop(fuzz);
}

static void do_reset(struct fuzz *fuzz)
{
	for (unsigned int i = 0; i < COMMAND_N_QUEUES; i++) {
		virtq_reset(&fuzz->queues[i]);
		queue_changed(fuzz, i);
	}
	reset_front_end(fuzz);
	engine_reset(fuzz->engine);
	g_assert_cmpuint(quota_used(&fuzz->quota), ==, 0);
	fuzz_guest_reset_rings(fuzz->guest);
	run_loop(fuzz);
}

static void do_submit(struct fuzz *fuzz)
{
	const struct virtio_gpu_ctrl_hdr header = { .type = fuzz_input_u8(&fuzz->in) };
	const struct fuzz_chain chain = {
		.request = &header,
		.request_bytes = sizeof(header),
		.response_bytes = sizeof(header),
	};
	uint16_t ignored;

	fuzz_guest_submit(fuzz->guest, fuzz_input_below(&fuzz->in, COMMAND_N_QUEUES), &chain,
			  &ignored);
}

/* ---- the display ---- */

static void do_connect(struct fuzz *fuzz)
{
	engine_set_display_socket(fuzz->engine, screen_connect(&fuzz->screen));
	screen_await_question(&fuzz->screen);
	fuzz->has_screen = !fuzz->options.is_headless;
	run_loop(fuzz);
}

static void do_hang_up(struct fuzz *fuzz)
{
	screen_hang_up(&fuzz->screen);
	fuzz->has_screen = false;
	run_loop(fuzz);
}

static void do_read_screen(struct fuzz *fuzz)
{
	screen_read(&fuzz->screen, SIZE_MAX);
	run_loop(fuzz);
}

static void do_reply(struct fuzz *fuzz)
{
	struct fuzz_input ahead = fuzz->in;

	screen_await_question(&fuzz->screen);
	/* A reply to what was not asked, or of the wrong size (screen_reply()). */
	if (fuzz_input_u8(&ahead) >= 0xc0 || g_queue_is_empty(&fuzz->screen.questions)) {
		fuzz->has_screen = false;
	}
	screen_reply(&fuzz->screen, &fuzz->in);
	run_loop(fuzz);
}

static void do_wait(struct fuzz *fuzz)
{
	fuzz_clock_advance(fuzz_input_below(&fuzz->in, 64) * 1000000u);
	run_loop(fuzz);
}

/* ---- the window ---- */

static void do_answer_map(struct fuzz *fuzz)
{
	uint8_t how = fuzz_input_u8(&fuzz->in);

	for (unsigned int n = 1 + how % 16; n > 0; n--) {
		answer_front_end(fuzz, how < 0xc0);
	}
	run_loop(fuzz);
}

/* So many of its questions it has done, and not said so. */
static void end_channel(struct fuzz *fuzz, unsigned int n_done, int error)
{
	for (guint n = fuzz->to_map->len; n > 0; n--) {
		const struct mapping mapping = *mapping_at(fuzz->to_map, 0);

		g_array_remove_index(fuzz->to_map, 0);
		if (n_done > 0) {
			do_as_asked(fuzz, &mapping);
			n_done--;
		}
		if (!mapping.is_forgotten) {
			engine_mapped(fuzz->engine, mapping.number, error);
		}
	}
	run_loop(fuzz);
}

static void do_break_channel(struct fuzz *fuzz)
{
	fuzz->refuses = true;
	end_channel(fuzz, 0, -EPIPE);
}

/* One that can be trusted again, if there was no other. */
static void do_replace_channel(struct fuzz *fuzz)
{
	end_channel(fuzz, fuzz_input_u8(&fuzz->in), -ECANCELED);
}

/* Some of what it was asked it had done before that, and it is gone with the rest. */
static void do_late_reset(struct fuzz *fuzz)
{
	for (unsigned int n = fuzz_input_u8(&fuzz->in); n > 0 && fuzz->to_map->len > 0; n--) {
		const struct mapping mapping = *mapping_at(fuzz->to_map, 0);

		g_array_remove_index(fuzz->to_map, 0);
		do_as_asked(fuzz, &mapping);
	}
	do_reset(fuzz);
}

static void (*const operations[])(struct fuzz *fuzz) = {
	do_begin,      do_introduce,	do_say,	     do_say,	     do_read,
	do_die,	       do_scribble,	do_connect,  do_read_screen, do_reply,
	do_start_queue, do_stop_queue,	do_reset,    do_set_memory,  do_set_features,
	do_submit,     do_hang_up,	do_wait,     do_say_often,   do_close_link,
	do_fail_to_begin, do_ask_to_map, do_answer_map, do_break_channel, do_replace_channel,
	do_late_reset, do_say_later_named, do_look,
};

/* ---- life ---- */

static void setup(struct fuzz *fuzz, const uint8_t *bytes, size_t size_bytes)
{
	const struct engine_options options = {
		.options = &fuzz->options,
		.quota = &fuzz->quota,
		.queues = fuzz->queues,
		.loop = &fuzz->loop,
		.failed = failed,
		.map = map,
		.unmap = unmap,
		.window_bytes = WINDOW_PAGES * PAGE_BYTES,
		.grabbed = grabbed,
		.grabbed_cursor = grabbed_cursor,
		.mode_set = mode_set,
		.data = fuzz,
	};

	fuzz_clock_reset();
	fuzz_input_init(&fuzz->in, bytes, size_bytes);
	fuzz->options.is_headless = fuzz_input_one_in(&fuzz->in, 8);
	fuzz->options.max_crashes = 2;
	fuzz->guest = fuzz_guest_create();
	fuzz->asked = g_array_new(FALSE, FALSE, sizeof(struct question));
	fuzz->to_map = g_array_new(FALSE, FALSE, sizeof(struct mapping));
	fuzz->mapped = g_array_new(FALSE, FALSE, sizeof(struct mapping));
	screen_init(&fuzz->screen);
	quota_init(&fuzz->quota, QUOTA_BYTES);
	g_assert_cmpint(loop_init(&fuzz->loop, quit, &fuzz->loop), ==, 0);
	g_assert_cmpint(process_engine_create(&options, &fuzz->engine), ==, 0);
	fuzz->keeper = (struct process_engine *)(void *)fuzz->engine;
	for (unsigned int i = 0; i < COMMAND_N_QUEUES; i++) {
		virtq_init(&fuzz->queues[i], i, engine_queue_state(fuzz->engine, i));
	}
	g_assert_cmpint(engine_start(fuzz->engine), ==, 0);
	set_memory(fuzz, FUZZ_ALL_REGIONS);
	for (unsigned int i = 0; i < COMMAND_N_QUEUES; i++) {
		start_queue(fuzz, i);
	}
	do_begin(fuzz);
}

static bool is_all_answered(void *data)
{
	struct process_engine *keeper = ((struct fuzz *)data)->keeper;

	g_mutex_lock(&keeper->lock);
	bool is_answered = g_hash_table_size(keeper->questions) == 0;
	g_mutex_unlock(&keeper->lock);
	return is_answered;
}

/* The display goes: its answers come, and it lets go of all pictures. */
static void teardown(struct fuzz *fuzz)
{
	fuzz->has_screen = false;
	screen_finish(&fuzz->screen);
	g_assert_true(fuzz_wait(is_all_answered, fuzz, TIMEOUT_MS));
	run_loop(fuzz);
	read_link(fuzz);
	do_die(fuzz);
	settle_front_end(fuzz);
	/* Nothing is left of a process that is no more. */
	g_assert_true(fuzz->refuses || fuzz->mapped->len == 0);
	engine_stop(fuzz->engine);
	for (unsigned int i = 0; i < LINK_N_SLOTS; i++) {
		g_assert_cmpint(g_atomic_int_get(&fuzz->keeper->held[i]), ==, 0);
	}
	for (unsigned int i = 0; i < COMMAND_N_QUEUES; i++) {
		virtq_finish(&fuzz->queues[i]);
	}
	engine_destroy(fuzz->engine);
	g_assert_cmpuint(quota_used(&fuzz->quota), ==, 0);
	loop_finish(&fuzz->loop);
	close_link(fuzz);
	g_array_unref(fuzz->asked);
	g_array_unref(fuzz->to_map);
	g_array_unref(fuzz->mapped);
	fuzz_guest_destroy(fuzz->guest);
}

void fuzz_one(const uint8_t *bytes, size_t size_bytes)
{
	unsigned int n_fds = fuzz_count_fds();
	struct fuzz fuzz = { .link_fd = -1 };

	setup(&fuzz, bytes, size_bytes);
	while (!fuzz_input_is_over(&fuzz.in) && !fuzz.has_failed) {
		unsigned int i = fuzz_input_operation(&fuzz.in);

		if (i < G_N_ELEMENTS(operations)) {
			operations[i](&fuzz);
			assert_bounded(&fuzz);
		}
	}
	teardown(&fuzz);
	g_assert_cmpuint(fuzz_count_fds(), ==, n_fds);
}
