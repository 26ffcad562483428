/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * Records (gpu/record.h) that a process left which was taken over: any bytes.
 * A device takes what makes sense and refuses the rest, of which nothing stays
 * behind, neither in it nor with the keeper, nor in the quota.
 *
 * What it has taken is a device like any other: its own records are taken by
 * the next one, whole, and say the same of that.
 *
 * The layout is said here a second time, by the words that it is made of.
 */
#include <string.h>

#include "archive.h"
#include "clock.h"
#include "fenced.h"
#include "fuzz.h"
#include "guest.h"
#include "input.h"
#include "recorder.h"

#define QUOTA_BYTES (UINT64_C(8) << 20)
#define MAX_ENTRIES 16384u
#define RESOURCE_WORDS 14u
#define CURSOR_WORDS (5 + DISPLAY_CURSOR_SIDE * DISPLAY_CURSOR_SIDE)

struct fuzz {
	struct fuzz_input in;
	struct fuzz_guest *guest;
	struct guestmem *mem; /* owned reference */
	struct quota quota;
	struct renderer *renderer;
	struct witness *display;
	struct device dev;
	struct archive *archive; /* what the keeper has */
};

/* A record that is made here. */
struct bytes {
	uint32_t kind, id;
	size_t n_words;
	uint32_t words[RESOURCE_WORDS + 4 * (MAX_ENTRIES + 1)];
};

const char *fuzz_prepare(void)
{
	return NULL;
}

/* ---- life of a device ---- */

static void start(struct fuzz *fuzz, const struct renderer_impl *impl)
{
	const struct renderer_options options = { .use_egl = true };

	quota_init(&fuzz->quota, QUOTA_BYTES);
	g_assert_cmpint(renderer_create(impl, &options, &fuzz->quota, &fuzz->renderer), ==, 0);
	fuzz->display = recorder_create();
	device_init(&fuzz->dev, fuzz->renderer, &fuzz->display->base, &fuzz->quota);
	device_set_memory(&fuzz->dev, fuzz->mem);
	device_set_recorder(&fuzz->dev, &archive_recorder, fuzz->archive);
}

static void finish(struct fuzz *fuzz)
{
	device_finish(&fuzz->dev);
	display_destroy(&fuzz->display->base);
	renderer_destroy(fuzz->renderer);
	g_assert_cmpuint(quota_used(&fuzz->quota), ==, 0);
}

/* ---- records ---- */

static uint32_t pick_id(struct fuzz *fuzz)
{
	return fuzz_input_one_in(&fuzz->in, 16) ? fuzz_input_number(&fuzz->in) :
						  fuzz_input_u8(&fuzz->in) % 16u;
}

static uint32_t pick_side(struct fuzz *fuzz)
{
	return fuzz_input_one_in(&fuzz->in, 16) ? fuzz_input_number(&fuzz->in) :
						  1u + fuzz_input_u8(&fuzz->in);
}

static void add_word(struct bytes *bytes, uint32_t word)
{
	bytes->words[bytes->n_words++] = word;
}

/* A page here and there, or the same one again; some of no region. */
static void add_entries(struct fuzz *fuzz, struct bytes *bytes, uint32_t n_entries)
{
	uint64_t gpa = 0x200000 + (fuzz_input_u16(&fuzz->in) & ~3u);
	uint32_t stride = fuzz_input_u16(&fuzz->in), length = 4u * fuzz_input_u8(&fuzz->in);

	if (fuzz_input_one_in(&fuzz->in, 8)) {
		gpa = fuzz_input_number64(&fuzz->in);
	}
	for (uint32_t i = 0; i < MIN(n_entries, MAX_ENTRIES + 1); i++) {
		add_word(bytes, (uint32_t)gpa);
		add_word(bytes, (uint32_t)(gpa >> 32));
		add_word(bytes, length);
		add_word(bytes, 0);
		gpa += stride;
	}
}

/* Bytes of a blob that its pages hold, or about so many. */
static void add_blob(struct fuzz *fuzz, struct bytes *bytes)
{
	uint64_t size = 4u * fuzz_input_u16(&fuzz->in);

	if (fuzz_input_one_in(&fuzz->in, 16)) {
		size = fuzz_input_number64(&fuzz->in);
	}
	add_word(bytes, (uint32_t)size);
	add_word(bytes, (uint32_t)(size >> 32));
	add_word(bytes, fuzz_input_u8(&fuzz->in) % 9);
	add_word(bytes, 0);
}

static void add_nothing(struct bytes *bytes, unsigned int n)
{
	for (unsigned int i = 0; i < n; i++) {
		add_word(bytes, 0);
	}
}

static void make_resource(struct fuzz *fuzz, struct bytes *bytes)
{
	static const uint32_t formats[] = { 1, 2, 3, 4, 67, 68, 121, 134 };
	uint8_t byte = fuzz_input_u8(&fuzz->in);
	/* A bit each: is it of 2D, has it a uuid, a backing, a long one? And no format of a blob. */
	uint32_t n_entries = byte & 4 ? 1u + fuzz_input_u8(&fuzz->in) % 8 : 0;
	bool is_blob = byte & 1 && byte & 0x80;

	if (byte & 8) {
		n_entries = fuzz_input_number(&fuzz->in);
	}
	bytes->id = pick_id(fuzz);
	if (!(byte & 1)) {
		add_nothing(bytes, RESOURCE_WORDS);
		return;
	}
	add_word(bytes, is_blob ? 2 : 1);
	add_word(bytes, is_blob ? 0 : formats[byte >> 4 & 7]);
	add_word(bytes, is_blob ? 0 : pick_side(fuzz));
	add_word(bytes, is_blob ? 0 : pick_side(fuzz));
	add_word(bytes, byte >> 1 & 1);
	add_word(bytes, n_entries);
	for (unsigned int i = 0; i < 4; i++) {
		add_word(bytes, byte & 2 ? fuzz_input_u8(&fuzz->in) : 0);
	}
	if (is_blob) {
		add_blob(fuzz, bytes);
	} else {
		add_nothing(bytes, 4);
	}
	add_entries(fuzz, bytes, n_entries);
}

static void make_context(struct fuzz *fuzz, struct bytes *bytes)
{
	bytes->id = pick_id(fuzz);
	add_word(bytes, fuzz_input_u8(&fuzz->in));
}

static void make_scanout(struct fuzz *fuzz, struct bytes *bytes)
{
	bytes->id = pick_id(fuzz);
	add_word(bytes, fuzz_input_u8(&fuzz->in) % 16);
	add_word(bytes, fuzz_input_flag(&fuzz->in));
	for (unsigned int i = 0; i < 4; i++) {
		add_word(bytes, i < 2 ? fuzz_input_u8(&fuzz->in) % 4 : pick_side(fuzz));
	}
	/* Where in a blob it is; not, if it is none. */
	bool is_blob = fuzz_input_flag(&fuzz->in);
	uint32_t width = is_blob ? pick_side(fuzz) : 0;
	add_word(bytes, is_blob ? 1u + fuzz_input_u8(&fuzz->in) % 4 : 0);
	add_word(bytes, width);
	add_word(bytes, is_blob ? pick_side(fuzz) : 0);
	add_word(bytes, is_blob ? 4 * width + fuzz_input_u8(&fuzz->in) % 8 : 0);
	add_word(bytes, is_blob ? fuzz_input_u8(&fuzz->in) : 0);
}

static void make_cursor(struct fuzz *fuzz, struct bytes *bytes)
{
	bytes->id = pick_id(fuzz);
	add_word(bytes, fuzz_input_flag(&fuzz->in));
	add_word(bytes, fuzz_input_u8(&fuzz->in));
	add_word(bytes, fuzz_input_number(&fuzz->in));
	add_word(bytes, fuzz_input_u8(&fuzz->in) % (DISPLAY_CURSOR_SIDE + 1));
	add_word(bytes, fuzz_input_u8(&fuzz->in) % DISPLAY_CURSOR_SIDE);
	memset(&bytes->words[bytes->n_words], fuzz_input_u8(&fuzz->in),
	       (CURSOR_WORDS - bytes->n_words) * sizeof(bytes->words[0]));
	bytes->n_words = CURSOR_WORDS;
}

static void make(struct fuzz *fuzz, struct bytes *bytes)
{
	static void (*const makers[])(struct fuzz *fuzz, struct bytes *bytes) = {
		make_resource,
		make_context,
		make_scanout,
		make_cursor,
	};
	unsigned int i = fuzz_input_below(&fuzz->in, G_N_ELEMENTS(makers));

	bytes->kind = RECORD_RESOURCE + i;
	bytes->n_words = 0;
	makers[i](fuzz, bytes);
}

/* Returns its size. */
static size_t spoil(struct fuzz *fuzz, struct bytes *bytes)
{
	size_t n_bytes = bytes->n_words * sizeof(bytes->words[0]);
	uint8_t how = fuzz_input_u8(&fuzz->in);

	/* Half of them are good. */
	if (how < 0x80) {
		return n_bytes;
	}
	if (how & 1) {
		bytes->words[fuzz_input_u8(&fuzz->in) % bytes->n_words] =
			fuzz_input_number(&fuzz->in);
	}
	if (how & 2) {
		n_bytes = fuzz_input_u16(&fuzz->in) % (n_bytes + 1);
	}
	if (how & 4) {
		n_bytes += fuzz_input_number(&fuzz->in);
		n_bytes = MIN(n_bytes, sizeof(bytes->words));
	}
	if (how & 8) {
		bytes->kind = fuzz_input_number(&fuzz->in);
	}
	return n_bytes;
}

/* ---- taking them ---- */

static bool is_kind(uint32_t kind)
{
	return kind >= RECORD_RESOURCE && kind <= RECORD_CURSOR;
}

/* Does what the keeper has name just what there is? */
static void assert_kept(struct fuzz *fuzz, uint32_t kind, uint32_t id)
{
	struct archive *is = archive_describe(&fuzz->dev);

	g_assert_cmpint(archive_has(fuzz->archive, kind, id), ==, archive_has(is, kind, id));
	archive_destroy(is);
}

static void do_restore(struct fuzz *fuzz)
{
	static struct bytes bytes; /* large */
	struct device *dev = &fuzz->dev;
	const guint n_resources = g_hash_table_size(dev->resources);
	const guint n_contexts = g_hash_table_size(dev->contexts);
	const uint64_t used_bytes = quota_used(&fuzz->quota);

	make(fuzz, &bytes);
	size_t n_bytes = spoil(fuzz, &bytes);
	/* Of just that size, so that a sanitizer sees who reads beyond it. */
	g_autofree void *block = g_memdup2(bytes.words, n_bytes);
	bool is_known = archive_has(fuzz->archive, bytes.kind, bytes.id);
	/* The keeper has one of each; of a kind that there is not, it has none. */
	if (is_kind(bytes.kind) && !is_known) {
		archive_put(fuzz->archive, bytes.kind, bytes.id, block, n_bytes);
	}
	bool is_taken = device_restore(dev, (enum record_kind)bytes.kind, bytes.id, block, n_bytes);
	g_assert_false(is_taken && is_known);
	if (!is_taken) {
		g_assert_cmpuint(g_hash_table_size(dev->resources), ==, n_resources);
		g_assert_cmpuint(g_hash_table_size(dev->contexts), ==, n_contexts);
		g_assert_cmpuint(quota_used(&fuzz->quota), ==, used_bytes);
	}
	g_assert_cmpuint(quota_used(&fuzz->quota), <=, QUOTA_BYTES);
	assert_kept(fuzz, bytes.kind, bytes.id);
}

/* The display comes, and sees what there is. */
static void do_replay(struct fuzz *fuzz)
{
	device_replay(&fuzz->dev);
	recorder_drop_frames(fuzz->display);
}

/* The pages go, and come back. */
static void do_set_memory(struct fuzz *fuzz)
{
	guestmem_unref(fuzz->mem);
	fuzz->mem = fuzz_guest_build_table(fuzz->guest,
					   fuzz_input_below(&fuzz->in, FUZZ_ALL_REGIONS + 1));
	device_set_memory(&fuzz->dev, fuzz->mem);
}

static void do_reset(struct fuzz *fuzz)
{
	device_reset(&fuzz->dev);
	recorder_drop_frames(fuzz->display);
	g_assert_cmpuint(quota_used(&fuzz->quota), ==, 0);
}

static void (*const operations[])(struct fuzz *fuzz) = {
	do_restore, do_restore, do_restore, do_restore, do_replay, do_set_memory, do_reset,
};

/* The next device takes over what this one is. */
static void do_succeed(struct fuzz *fuzz, const struct renderer_impl *impl)
{
	struct archive *before = archive_describe(&fuzz->dev);
	struct archive *keeper = fuzz->archive;

	finish(fuzz);
	fuzz->archive = before;
	start(fuzz, impl);
	unsigned int n_changes = archive_n_changes(before);
	g_assert_cmpuint(archive_hand_over(before, &fuzz->dev), ==, 0);
	g_assert_cmpuint(archive_n_changes(before), ==, n_changes);
	struct archive *after = archive_describe(&fuzz->dev);
	archive_assert_same(before, after, true);
	archive_destroy(after);
	archive_destroy(keeper);
}

void fuzz_one(const uint8_t *bytes, size_t size_bytes)
{
	struct fuzz fuzz = { .guest = fuzz_guest_create() };
	const struct renderer_impl *const impls[] = {
		renderer_find("2d"),
		&fenced_impl,
		renderer_find("null"),
	};

	fuzz_clock_reset();
	fuzz_input_init(&fuzz.in, bytes, size_bytes);
	const struct renderer_impl *impl = impls[fuzz_input_below(&fuzz.in, 3)];
	fuzz.archive = archive_create();
	fuzz.mem = fuzz_guest_build_table(fuzz.guest, FUZZ_ALL_REGIONS);
	start(&fuzz, impl);
	while (!fuzz_input_is_over(&fuzz.in)) {
		unsigned int i = fuzz_input_operation(&fuzz.in);

		if (i < G_N_ELEMENTS(operations)) {
			operations[i](&fuzz);
		}
	}
	do_succeed(&fuzz, impl);
	finish(&fuzz);
	archive_destroy(fuzz.archive);
	guestmem_unref(fuzz.mem);
	fuzz_guest_destroy(fuzz.guest);
}
