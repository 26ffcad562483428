/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* The window as a keeper knows it: who asked for what, what is free, what is taken back and when.
 */
#include "engine/mappings.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <linux/udmabuf.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "unit.h"

#define PAGE ((uint64_t)sysconf(_SC_PAGESIZE))
#define WINDOW_PAGES UINT64_C(64)
#define FILE_PAGES UINT64_C(8)

struct fixture {
	struct engine_options options;
	struct mappings mappings;
	int memory;
	GString *log; /* what the front-end is asked */
	int refusal;  /* of the next questions: -errno, or 0 */
	uint64_t token;
	unsigned int n_fds;
};

static int map(void *data, uint64_t number, const struct engine_mapping *mapping)
{
	struct fixture *f = data;

	if (f->refusal == 0) {
		g_string_append_printf(f->log, "%u:map(%u+%u@%u) ", (unsigned int)number,
				       (unsigned int)(mapping->offset_bytes / PAGE),
				       (unsigned int)(mapping->size_bytes / PAGE),
				       (unsigned int)(mapping->fd_offset_bytes / PAGE));
	}
	return f->refusal;
}

static int unmap(void *data, uint64_t number, uint64_t offset_bytes, uint64_t size_bytes)
{
	struct fixture *f = data;

	if (f->refusal == 0) {
		g_string_append_printf(f->log, "%u:unmap(%u+%u) ", (unsigned int)number,
				       (unsigned int)(offset_bytes / PAGE),
				       (unsigned int)(size_bytes / PAGE));
	}
	return f->refusal;
}

static void setup(struct fixture *f, gconstpointer data G_GNUC_UNUSED)
{
	*f = (struct fixture){ .n_fds = unit_count_fds() };
	f->options = (struct engine_options){
		.map = map,
		.unmap = unmap,
		.window_bytes = WINDOW_PAGES * PAGE,
		.data = f,
	};
	f->memory = unit_memfd(FILE_PAGES * PAGE);
	f->log = g_string_new(NULL);
	mappings_init(&f->mappings, &f->options);
}

static void teardown(struct fixture *f, gconstpointer data G_GNUC_UNUSED)
{
	mappings_finish(&f->mappings);
	mappings_finish(&f->mappings);
	g_string_free(f->log, TRUE);
	close(f->memory);
	g_assert_cmpuint(unit_count_fds(), ==, f->n_fds);
}

static struct link_mapping make_ask(struct fixture *f, uint64_t page, uint64_t n_pages,
				uint64_t fd_page)
{
	return (struct link_mapping){
		.token = ++f->token,
		.offset_bytes = page * PAGE,
		.size_bytes = n_pages * PAGE,
		.fd_offset_bytes = fd_page * PAGE,
	};
}

/* Tokens are 1, 2, 3, ... */
static void ask_map(struct fixture *f, uint64_t page, uint64_t n_pages)
{
	const struct link_mapping ask = make_ask(f, page, n_pages, 0);

	g_assert_true(mappings_map(&f->mappings, &ask, f->memory));
}

static void ask_unmap(struct fixture *f, uint64_t page, uint64_t n_pages)
{
	const struct link_mapping ask = make_ask(f, page, n_pages, 0);

	g_assert_true(mappings_unmap(&f->mappings, &ask));
}

static void assert_asked(struct fixture *f, const char *expected)
{
	g_assert_cmpstr(f->log->str, ==, expected);
	g_string_truncate(f->log, 0);
}

/* What the renderer process is told, by token: + or -. */
static void assert_told(struct fixture *f, const char *expected)
{
	GString *text = g_string_new(NULL);
	struct link_mapped answer;

	while (mappings_peek_answer(&f->mappings, &answer)) {
		g_string_append_printf(text, "%u%c ", (unsigned int)answer.token,
				       answer.is_refused ? '-' : '+');
		mappings_drop_answer(&f->mappings);
	}
	g_assert_cmpstr(text->str, ==, expected);
	g_string_free(text, TRUE);
}

static void answer(struct fixture *f, uint64_t number, int error)
{
	mappings_answered(&f->mappings, number, error);
}

/* ---- a renderer process and a front-end that do as they should ---- */

static void test_asked_and_told(struct fixture *f, gconstpointer data G_GNUC_UNUSED)
{
	const struct link_mapping ask = make_ask(f, 3, 2, 5);

	g_assert_true(mappings_map(&f->mappings, &ask, f->memory));
	assert_asked(f, "1:map(3+2@5) ");
	assert_told(f, "");
	answer(f, 1, 0);
	assert_told(f, "1+ ");
	ask_unmap(f, 3, 2);
	assert_asked(f, "2:unmap(3+2) ");
	assert_told(f, "");
	answer(f, 2, 0);
	assert_told(f, "2+ ");
	/* A number comes once, whatever process asks. */
	ask_map(f, 3, 2);
	assert_asked(f, "3:map(3+2@0) ");
}

/* The channel keeps the order: nobody waits for an answer to go on. */
static void test_nobody_waits(struct fixture *f, gconstpointer data G_GNUC_UNUSED)
{
	ask_map(f, 0, 4);
	ask_unmap(f, 0, 4);
	ask_map(f, 2, 4);
	ask_unmap(f, 2, 4);
	ask_map(f, 0, 4);
	assert_asked(f, "1:map(0+4@0) 2:unmap(0+4) 3:map(2+4@0) 4:unmap(2+4) 5:map(0+4@0) ");
	for (uint64_t number = 1; number <= 5; number++) {
		answer(f, number, 0);
	}
	assert_told(f, "1+ 2+ 3+ 4+ 5+ ");
}

static void test_told_in_order(struct fixture *f, gconstpointer data G_GNUC_UNUSED)
{
	ask_map(f, 0, 4);
	ask_map(f, 0, 4); /* overlaps: refused here */
	ask_map(f, 8, 4);
	ask_unmap(f, 60, 4); /* there is none */
	assert_told(f, "");
	answer(f, 1, 0);
	assert_told(f, "1+ 2- ");
	answer(f, 2, -EREMOTEIO);
	assert_told(f, "3- 4- ");
	ask_map(f, 0, 1);
	assert_told(f, "5- ");
	assert_asked(f, "1:map(0+4@0) 2:map(8+4@0) ");
}

static void test_front_end_says_no(struct fixture *f, gconstpointer data G_GNUC_UNUSED)
{
	ask_map(f, 0, 4);
	answer(f, 1, -EREMOTEIO);
	assert_told(f, "1- ");
	/* Nothing is there: free, and nothing to take away. */
	ask_unmap(f, 0, 4);
	assert_told(f, "2- ");
	ask_map(f, 1, 4);
	assert_asked(f, "1:map(0+4@0) 2:map(1+4@0) ");
}

/* What it did is not known: so it is asked to undo it, once, and nobody hears of that. */
static void test_front_end_says_nothing(struct fixture *f, gconstpointer data G_GNUC_UNUSED)
{
	ask_map(f, 0, 4);
	ask_map(f, 8, 1);
	answer(f, 1, -ECANCELED);
	assert_asked(f, "1:map(0+4@0) 2:map(8+1@0) 3:unmap(0+4) ");
	answer(f, 2, 0);
	answer(f, 3, -EREMOTEIO);
	assert_told(f, "1- 2+ ");
	ask_map(f, 0, 4);
	assert_asked(f, "4:map(0+4@0) ");
	ask_unmap(f, 8, 1);
	ask_map(f, 8, 2);
	answer(f, 4, 0);
	answer(f, 5, -ECANCELED);
	answer(f, 6, -ECANCELED);
	assert_asked(f, "5:unmap(8+1) 6:map(8+2@0) 7:unmap(8+1) 8:unmap(8+2) ");
	assert_told(f, "3+ 4- 5- ");
}

static void test_can_not_be_asked(struct fixture *f, gconstpointer data G_GNUC_UNUSED)
{
	ask_map(f, 0, 4);
	answer(f, 1, 0);
	f->refusal = -EPIPE;
	ask_map(f, 8, 4);
	ask_unmap(f, 0, 4);
	mappings_take_back(&f->mappings);
	assert_told(f, "");
	f->refusal = 0;
	ask_map(f, 8, 4);
	assert_asked(f, "1:map(0+4@0) 2:map(8+4@0) ");
	f->refusal = -EAGAIN;
	ask_map(f, 12, 4);
	f->refusal = 0;
	answer(f, 2, 0);
	assert_told(f, "4+ 5- ");
}

/* A refused one is a warning only if the range had been there. */
static void test_unmap_refused(struct fixture *f, gconstpointer data G_GNUC_UNUSED)
{
	ask_map(f, 0, 4);
	answer(f, 1, 0);
	ask_unmap(f, 0, 4);
	unit_capture_begin();
	answer(f, 2, -EREMOTEIO);
	g_autofree char *text = unit_capture_end();
	g_assert_cmpuint(unit_count_lines(text), ==, 1);
	g_assert_nonnull(strstr(text, "does not unmap 0x0"));
	assert_told(f, "1+ 2- ");

	ask_map(f, 0, 4);
	ask_unmap(f, 0, 4);
	unit_capture_begin();
	answer(f, 3, -EREMOTEIO);
	answer(f, 4, -EREMOTEIO);
	g_autofree char *none = unit_capture_end();
	g_assert_cmpstr(none, ==, "");
	assert_told(f, "3- 4- ");
}

/* ---- what is free ---- */

static const struct overlap {
	uint64_t page, n_pages;
	bool is_free;
} overlaps[] = {
	/* Taken: 10 to 13, 14 to 15, and 20. */
	{ 0, 1, true },	  { 0, 10, true },   { 0, 11, false }, { 0, 64, false }, { 9, 1, true },
	{ 9, 2, false },  { 10, 1, false },  { 10, 4, false }, { 11, 1, false }, { 11, 8, false },
	{ 13, 1, false }, { 13, 2, false },  { 14, 2, false }, { 15, 1, false }, { 15, 2, false },
	{ 16, 1, true },  { 16, 4, true },   { 16, 5, false }, { 19, 1, true },	 { 19, 3, false },
	{ 20, 1, false }, { 20, 44, false }, { 21, 43, true }, { 21, 1, true },	 { 63, 1, true },
};

static void test_overlaps(struct fixture *f, gconstpointer data G_GNUC_UNUSED)
{
	g_assert_no_errno(ftruncate(f->memory, (off_t)(WINDOW_PAGES * PAGE)));
	ask_map(f, 14, 2);
	ask_map(f, 10, 4);
	ask_map(f, 20, 1);
	for (unsigned int i = 0; i < G_N_ELEMENTS(overlaps); i++) {
		const struct overlap *o = &overlaps[i];

		g_string_truncate(f->log, 0);
		ask_map(f, o->page, o->n_pages);
		g_assert_cmpint(f->log->len > 0, ==, o->is_free);
		if (o->is_free) {
			ask_unmap(f, o->page, o->n_pages);
		}
	}
}

static void test_unmap_other(struct fixture *f, gconstpointer data G_GNUC_UNUSED)
{
	ask_map(f, 10, 4);
	answer(f, 1, 0);
	assert_told(f, "1+ ");
	g_string_truncate(f->log, 0);
	ask_unmap(f, 10, 3);
	ask_unmap(f, 11, 3);
	ask_unmap(f, 10, 5);
	ask_unmap(f, 0, 64);
	ask_unmap(f, 14, 4);
	assert_told(f, "2- 3- 4- 5- 6- ");
	assert_asked(f, "");
	ask_unmap(f, 10, 4);
	ask_unmap(f, 10, 4); /* not twice */
	assert_asked(f, "2:unmap(10+4) ");
}

static void test_too_many(struct fixture *f, gconstpointer data G_GNUC_UNUSED)
{
	f->options.window_bytes = 2 * MAPPER_MAX_RANGES * PAGE;
	for (unsigned int i = 0; i < MAPPER_MAX_RANGES; i++) {
		ask_map(f, i, 1);
		answer(f, i + 1, 0);
	}
	g_string_truncate(f->log, 0);
	struct link_mapped told;
	while (mappings_peek_answer(&f->mappings, &told)) {
		g_assert_cmpuint(told.is_refused, ==, 0);
		mappings_drop_answer(&f->mappings);
	}
	f->token = 0;
	ask_map(f, MAPPER_MAX_RANGES, 1);
	assert_told(f, "1- ");
	assert_asked(f, "");
	ask_unmap(f, 7, 1);
	ask_map(f, MAPPER_MAX_RANGES, 1);
	answer(f, MAPPER_MAX_RANGES + 1, 0);
	answer(f, MAPPER_MAX_RANGES + 2, 0);
	assert_told(f, "2+ 3+ ");
}

/* ---- a renderer process that was taken over ---- */

static void test_bad_numbers(struct fixture *f, gconstpointer data G_GNUC_UNUSED)
{
	const struct {
		uint64_t offset_bytes, size_bytes;
	} bad[] = {
		{ 0, 0 },
		{ PAGE, 0 },
		{ WINDOW_PAGES * PAGE, 0 },
		{ 1, PAGE },
		{ PAGE / 2, PAGE },
		{ 0, 1 },
		{ 0, PAGE + 1 },
		{ 0, (WINDOW_PAGES + 1) * PAGE },
		{ PAGE, WINDOW_PAGES * PAGE },
		{ WINDOW_PAGES * PAGE, PAGE },
		{ UINT64_MAX - PAGE + 1, PAGE },
		{ UINT64_MAX - PAGE + 1, 2 * PAGE },
		{ PAGE, UINT64_MAX - PAGE + 1 },
		{ UINT64_MAX, UINT64_MAX },
	};

	for (size_t i = 0; i < G_N_ELEMENTS(bad); i++) {
		const struct link_mapping ask = { .offset_bytes = bad[i].offset_bytes,
					      .size_bytes = bad[i].size_bytes };

		g_assert_false(mappings_map(&f->mappings, &ask, f->memory));
		g_assert_false(mappings_unmap(&f->mappings, &ask));
	}
	assert_asked(f, "");
	assert_told(f, "");
}

static void test_no_window(struct fixture *f, gconstpointer data G_GNUC_UNUSED)
{
	const struct link_mapping ask = make_ask(f, 0, 1, 0);

	f->options.window_bytes = 0;
	g_assert_false(mappings_map(&f->mappings, &ask, f->memory));
	g_assert_false(mappings_unmap(&f->mappings, &ask));
}

/* It asks, and does not listen. */
static void test_too_many_questions(struct fixture *f, gconstpointer data G_GNUC_UNUSED)
{
	const struct link_mapping ask = make_ask(f, 0, 1, 0);

	for (unsigned int i = 0; i < MAPPINGS_MAX_QUESTIONS; i++) {
		g_assert_true(mappings_unmap(&f->mappings, &ask));
	}
	g_assert_false(mappings_unmap(&f->mappings, &ask));
	g_assert_false(mappings_map(&f->mappings, &ask, f->memory));
	mappings_drop_answer(&f->mappings);
	g_assert_true(mappings_unmap(&f->mappings, &ask));
}

static bool is_mapped(struct fixture *f, int fd, uint64_t fd_offset_bytes, uint64_t n_pages)
{
	struct link_mapping ask = make_ask(f, 0, n_pages, 0);

	ask.fd_offset_bytes = fd_offset_bytes;
	g_string_truncate(f->log, 0);
	g_assert_true(mappings_map(&f->mappings, &ask, fd));
	bool is_asked = f->log->len > 0;
	mappings_reset(&f->mappings);
	return is_asked;
}

static void test_file_lengths(struct fixture *f, gconstpointer data G_GNUC_UNUSED)
{
	g_assert_true(is_mapped(f, f->memory, 0, FILE_PAGES));
	g_assert_true(is_mapped(f, f->memory, (FILE_PAGES - 1) * PAGE, 1));
	g_assert_false(is_mapped(f, f->memory, 0, FILE_PAGES + 1));
	g_assert_false(is_mapped(f, f->memory, FILE_PAGES * PAGE, 1));
	g_assert_false(is_mapped(f, f->memory, PAGE, FILE_PAGES));
	g_assert_false(is_mapped(f, f->memory, 1, 1));
	g_assert_false(is_mapped(f, f->memory, PAGE / 2, 1));
	g_assert_false(is_mapped(f, f->memory, UINT64_MAX - PAGE + 1, 1));
	g_assert_false(is_mapped(f, f->memory, UINT64_MAX - PAGE + 1, 2));
	/* A page that is begun is there. */
	g_assert_no_errno(ftruncate(f->memory, (off_t)((FILE_PAGES - 1) * PAGE + 1)));
	g_assert_true(is_mapped(f, f->memory, 0, FILE_PAGES));
	g_assert_false(is_mapped(f, f->memory, 0, FILE_PAGES + 1));
	g_assert_no_errno(ftruncate(f->memory, (off_t)((FILE_PAGES - 1) * PAGE)));
	g_assert_false(is_mapped(f, f->memory, 0, FILE_PAGES));
}

static void check_refused(struct fixture *f, int consume_fd)
{
	/* Not each host has all of them. */
	if (consume_fd >= 0) {
		g_assert_false(is_mapped(f, consume_fd, 0, 1));
		close(consume_fd);
	}
}

static int open_file(const char *path, int flags)
{
	return open(path, flags | O_CLOEXEC);
}

static void test_file_kinds(struct fixture *f, gconstpointer data G_GNUC_UNUSED)
{
	int huge = memfd_create("huge", MFD_HUGETLB | MFD_CLOEXEC);
	int pair[2], pipe_fds[2];
	struct statfs system;

	unit_socketpair(pair);
	g_assert_no_errno(pipe2(pipe_fds, O_CLOEXEC));
	check_refused(f, pair[0]);
	check_refused(f, pair[1]);
	check_refused(f, pipe_fds[0]);
	check_refused(f, pipe_fds[1]);
	check_refused(f, unit_eventfd());
	check_refused(f, open_file("/dev/zero", O_RDWR));
	check_refused(f, open_file("/", O_RDONLY));
	check_refused(f, open_file("/dev/shm", O_PATH));
	check_refused(f, open_file("/proc/self/maps", O_RDONLY));
	/* One on a disk may become shorter, or be slow to read. */
	g_assert_no_errno(statfs("/proc/self/exe", &system));
	if (system.f_type != TMPFS_MAGIC) {
		check_refused(f, open_file("/proc/self/exe", O_RDONLY));
	}
	/* There may be no more huge pages when one is touched. */
	if (huge >= 0) {
		g_assert_no_errno(ftruncate(huge, 2 << 20));
	}
	check_refused(f, huge);
}

static void test_file_is_sealed(struct fixture *f, gconstpointer data G_GNUC_UNUSED)
{
	int fd = memfd_create("sealable", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	g_assert_no_errno(fd);
	g_assert_no_errno(ftruncate(fd, (off_t)PAGE));
	g_assert_true(is_mapped(f, fd, 0, 1));
	g_assert_cmpint(fcntl(fd, F_GET_SEALS), ==, F_SEAL_SHRINK);
	g_assert_cmpint(ftruncate(fd, 0), ==, -1);
	g_assert_true(is_mapped(f, fd, 0, 1));
	close(fd);
	/* One that can't be is mapped all the same. */
	g_assert_cmpint(fcntl(f->memory, F_GET_SEALS), ==, F_SEAL_SEAL);
	g_assert_true(is_mapped(f, f->memory, 0, 1));
}

/* Where there is something to make one of. */
static void test_dma_buf(struct fixture *f, gconstpointer data G_GNUC_UNUSED)
{
	int device = open("/dev/udmabuf", O_RDWR | O_CLOEXEC);
	int memory = memfd_create("pages", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	g_assert_no_errno(memory);
	g_assert_no_errno(ftruncate(memory, (off_t)(4 * PAGE)));
	g_assert_no_errno(fcntl(memory, F_ADD_SEALS, F_SEAL_SHRINK));
	const struct udmabuf_create create = {
		.memfd = (uint32_t)memory,
		.flags = UDMABUF_FLAGS_CLOEXEC,
		.size = 2 * PAGE,
	};
	int buffer = device >= 0 ? ioctl(device, UDMABUF_CREATE, &create) : -1;
	if (buffer < 0) {
		g_test_skip("no /dev/udmabuf");
	} else {
		g_assert_true(is_mapped(f, buffer, 0, 2));
		g_assert_true(is_mapped(f, buffer, PAGE, 1));
		g_assert_false(is_mapped(f, buffer, 0, 3));
		close(buffer);
	}
	close(memory);
	if (device >= 0) {
		close(device);
	}
}

/* ---- the end of a process ---- */

static void test_take_back(struct fixture *f, gconstpointer data G_GNUC_UNUSED)
{
	ask_map(f, 8, 1);
	ask_map(f, 0, 4);
	ask_map(f, 20, 1);
	answer(f, 1, 0);
	answer(f, 2, 0);
	ask_unmap(f, 0, 4);
	assert_asked(f, "1:map(8+1@0) 2:map(0+4@0) 3:map(20+1@0) 4:unmap(0+4) ");
	mappings_take_back(&f->mappings);
	/* What was asked for and not answered as well; what was asked to go goes once. */
	assert_asked(f, "5:unmap(8+1) 6:unmap(20+1) ");
	mappings_take_back(&f->mappings);
	assert_asked(f, "");
	/* The next one finds all of it free, and its answers are its own. */
	f->token = 0;
	ask_map(f, 0, 8);
	assert_asked(f, "7:map(0+8@0) ");
	for (uint64_t number = 3; number <= 6; number++) {
		answer(f, number, 0);
		assert_told(f, "");
	}
	answer(f, 7, 0);
	assert_told(f, "1+ ");
}

/* Its MAP is refused after its end: nothing was there to be unmapped. */
static void test_take_back_refused(struct fixture *f, gconstpointer data G_GNUC_UNUSED)
{
	ask_map(f, 0, 4);
	mappings_take_back(&f->mappings);
	assert_asked(f, "1:map(0+4@0) 2:unmap(0+4) ");
	f->token = 0;
	ask_map(f, 0, 4);
	assert_asked(f, "3:map(0+4@0) ");
	unit_capture_begin();
	answer(f, 1, -EREMOTEIO);
	answer(f, 2, -EREMOTEIO);
	g_autofree char *text = unit_capture_end();
	g_assert_cmpstr(text, ==, "");
	answer(f, 3, 0);
	assert_told(f, "1+ ");
	/* The old one's failure took nothing from the new one. */
	ask_map(f, 0, 1);
	assert_told(f, "2- ");
}

/* Answers that it was not told before its end. */
static void test_take_back_untold(struct fixture *f, gconstpointer data G_GNUC_UNUSED)
{
	ask_map(f, 0, 4);
	ask_map(f, 0, 4);
	answer(f, 1, 0);
	mappings_take_back(&f->mappings);
	assert_told(f, "");
	assert_asked(f, "1:map(0+4@0) 2:unmap(0+4) ");
	g_assert_cmpuint(f->mappings.questions.length, ==, 1);
	answer(f, 2, 0);
	g_assert_cmpuint(f->mappings.questions.length, ==, 0);
}

/* ---- a reset ---- */

static void test_reset(struct fixture *f, gconstpointer data G_GNUC_UNUSED)
{
	ask_map(f, 0, 4);
	ask_map(f, 8, 1);
	answer(f, 1, 0);
	answer(f, 2, 0);
	ask_map(f, 16, 1);
	ask_map(f, 24, 1);
	ask_unmap(f, 24, 1);
	g_string_truncate(f->log, 0);
	mappings_reset(&f->mappings);
	/* What the front-end had said is there it drops by itself; it may find the other later. */
	assert_asked(f, "6:unmap(16+1) ");
	assert_told(f, "");
	/* Answers to what it was asked before do not come; if they did they were none. */
	answer(f, 3, 0);
	answer(f, 4, 0);
	answer(f, 5, 0);
	assert_told(f, "");
	unit_capture_begin();
	answer(f, 6, -EREMOTEIO);
	g_autofree char *text = unit_capture_end();
	g_assert_cmpstr(text, ==, "");
	f->token = 0;
	ask_map(f, 0, 64 / 8);
	assert_asked(f, "7:map(0+8@0) ");
	answer(f, 7, 0);
	assert_told(f, "1+ ");
	mappings_take_back(&f->mappings);
	assert_asked(f, "8:unmap(0+8) ");
}

static void test_reset_after_the_end(struct fixture *f, gconstpointer data G_GNUC_UNUSED)
{
	ask_map(f, 0, 4);
	mappings_take_back(&f->mappings);
	g_string_truncate(f->log, 0);
	mappings_reset(&f->mappings);
	mappings_reset(&f->mappings);
	mappings_take_back(&f->mappings);
	assert_asked(f, "");
	g_assert_cmpuint(f->mappings.questions.length, ==, 0);
}

int main(int argc, char **argv)
{
	static const struct {
		const char *path;
		void (*test)(struct fixture *f, gconstpointer data);
	} tests[] = {
		{ "/mappings/asked-and-told", test_asked_and_told },
		{ "/mappings/nobody-waits", test_nobody_waits },
		{ "/mappings/told-in-order", test_told_in_order },
		{ "/mappings/front-end-says-no", test_front_end_says_no },
		{ "/mappings/front-end-says-nothing", test_front_end_says_nothing },
		{ "/mappings/can-not-be-asked", test_can_not_be_asked },
		{ "/mappings/unmap-refused", test_unmap_refused },
		{ "/mappings/overlaps", test_overlaps },
		{ "/mappings/unmap-other", test_unmap_other },
		{ "/mappings/too-many", test_too_many },
		{ "/mappings/hostile/bad-numbers", test_bad_numbers },
		{ "/mappings/hostile/no-window", test_no_window },
		{ "/mappings/hostile/too-many-questions", test_too_many_questions },
		{ "/mappings/file/lengths", test_file_lengths },
		{ "/mappings/file/kinds", test_file_kinds },
		{ "/mappings/file/is-sealed", test_file_is_sealed },
		{ "/mappings/file/dma-buf", test_dma_buf },
		{ "/mappings/take-back/all", test_take_back },
		{ "/mappings/take-back/refused", test_take_back_refused },
		{ "/mappings/take-back/untold", test_take_back_untold },
		{ "/mappings/reset/unanswered", test_reset },
		{ "/mappings/reset/after-the-end", test_reset_after_the_end },
	};

	g_test_init(&argc, &argv, NULL);
	for (size_t i = 0; i < G_N_ELEMENTS(tests); i++) {
		g_test_add(tests[i].path, struct fixture, NULL, setup, tests[i].test, teardown);
	}
	return g_test_run();
}
