/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * The walk of a ring that a hostile guest writes, while a front-end sets the
 * queue up, takes it down and changes the memory table, in any order. What is
 * popped has to be what a simple walk finds, inside the memory, and each chain
 * has to be completed once, where and when the specification says.
 */
#include <endian.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "clock.h"
#include "fuzz.h"
#include "guest.h"
#include "input.h"

#define MAX_HELD 64u
#define MAX_RESPONSE_BYTES 256u

/* What the queue has to be like after the calls so far. */
struct model {
	unsigned int mask; /* of the regions in the table */
	uint32_t size;
	bool has_addresses;
	struct uva desc, avail, used;
	bool is_started, is_enabled, is_broken;
	bool has_indirect, has_err;
	uint16_t last_avail;
	uint16_t used_index;
	uint32_t n_out;	     /* in this epoch, deferred ones among them */
	uint32_t n_deferred; /* pushed on the stopped queue */
	uint32_t epoch;
};

struct held {
	struct virtq_chain *chain; /* owned */
	uint32_t epoch;		   /* of the model, when it was popped */
};

struct fuzz {
	struct fuzz_input in;
	struct fuzz_guest *guest;
	struct virtq vq;
	struct model model;
	uint16_t avail_index; /* of the driver */
	struct held held[MAX_HELD];
	unsigned int n_held;
};

const char *fuzz_prepare(void)
{
	return NULL;
}

/* ---- the guest's memory, as the guest sees it ---- */

/* The bytes at uva if they are aligned and lie in one region of the table, or NULL. */
static void *at_uva(const struct fuzz *fuzz, struct uva uva, uint64_t length_bytes,
		    unsigned int align)
{
	if (uva.v % align != 0) {
		return NULL;
	}
	for (unsigned int i = 0; i < FUZZ_N_REGIONS; i++) {
		int memfd;
		const struct guestmem_region_desc desc = fuzz_guest_region(fuzz->guest, i, &memfd);
		uint64_t offset = uva.v - desc.uva.v;

		if (fuzz->model.mask & 1u << i && uva.v >= desc.uva.v && offset < desc.size_bytes &&
		    length_bytes <= desc.size_bytes - offset) {
			return fuzz_guest_byte(fuzz->guest, i, offset);
		}
	}
	return NULL;
}

/* Likewise by guest address, from any region. Not NULL: outside, it is a byte inside. */
static void *at_gpa(const struct fuzz *fuzz, uint64_t gpa, uint64_t length_bytes)
{
	for (unsigned int i = 0; i < FUZZ_N_REGIONS; i++) {
		int memfd;
		const struct guestmem_region_desc desc = fuzz_guest_region(fuzz->guest, i, &memfd);
		uint64_t offset = gpa - desc.gpa.v;

		if (gpa >= desc.gpa.v && length_bytes <= desc.size_bytes &&
		    offset <= desc.size_bytes - length_bytes) {
			return fuzz_guest_byte(fuzz->guest, i, offset);
		}
	}
	return fuzz_guest_byte(fuzz->guest, 1, 0);
}

static struct vring_desc *desc_table(const struct fuzz *fuzz)
{
	return at_uva(fuzz, fuzz->model.desc, fuzz->model.size * sizeof(struct vring_desc), 16);
}

static struct vring_avail *avail_ring(const struct fuzz *fuzz)
{
	return at_uva(fuzz, fuzz->model.avail, 6 + 2ull * fuzz->model.size, 2);
}

static struct vring_used *used_ring(const struct fuzz *fuzz)
{
	return at_uva(fuzz, fuzz->model.used, 6 + 8ull * fuzz->model.size, 4);
}

/* ---- the model ---- */

static bool is_mapped(const struct fuzz *fuzz)
{
	const struct model *model = &fuzz->model;

	return model->has_addresses && model->size > 0 && desc_table(fuzz) != NULL &&
	       avail_ring(fuzz) != NULL && used_ring(fuzz) != NULL;
}

static bool is_running(const struct fuzz *fuzz)
{
	const struct model *model = &fuzz->model;

	return model->is_started && model->is_enabled && !model->is_broken && is_mapped(fuzz);
}

static void begin_epoch(struct model *model)
{
	model->epoch++;
	model->n_out = 0;
	model->n_deferred = 0;
}

/* After anything that may let the queue run: what was deferred has been written. */
static void settle(struct fuzz *fuzz)
{
	struct model *model = &fuzz->model;

	if (!is_running(fuzz)) {
		return;
	}
	model->used_index = (uint16_t)(model->used_index + model->n_deferred);
	model->n_out -= model->n_deferred;
	if (model->n_deferred > 0) {
		g_assert_cmpuint(le16toh(used_ring(fuzz)->idx), ==, model->used_index);
	}
	model->n_deferred = 0;
}

/* ---- what the guest writes ---- */

static uint64_t pick_gpa(struct fuzz *fuzz)
{
	unsigned int i = fuzz_input_below(&fuzz->in, FUZZ_N_REGIONS + 1);
	uint64_t distance = fuzz_input_u16(&fuzz->in);
	int memfd;

	if (i == FUZZ_N_REGIONS) {
		return fuzz_input_number64(&fuzz->in);
	}
	const struct guestmem_region_desc desc = fuzz_guest_region(fuzz->guest, i, &memfd);
	return fuzz_input_flag(&fuzz->in) ? desc.gpa.v + distance
					  : desc.gpa.v + desc.size_bytes - distance;
}

static struct vring_desc pick_desc(struct fuzz *fuzz)
{
	struct vring_desc desc = { .addr = htole64(pick_gpa(fuzz)) };
	uint8_t byte = fuzz_input_u8(&fuzz->in);

	/* Half of them are well made, by one byte. */
	desc.flags =
		htole16((byte & 1 ? VRING_DESC_F_NEXT : 0) | (byte & 2 ? VRING_DESC_F_WRITE : 0));
	desc.next = htole16(byte >> 3 & 7);
	desc.len = htole32(1 + (byte >> 2));
	if (byte & 4) {
		desc.flags = htole16(fuzz_input_u8(&fuzz->in) & 0xf);
		desc.next = htole16((uint16_t)fuzz_input_number(&fuzz->in));
		desc.len = htole32(fuzz_input_number(&fuzz->in));
	}
	return desc;
}

static void do_write_desc(struct fuzz *fuzz)
{
	struct vring_desc *table = desc_table(fuzz);
	uint8_t i = fuzz_input_u8(&fuzz->in);
	const struct vring_desc desc = pick_desc(fuzz);

	if (table != NULL && i < fuzz->model.size) {
		memcpy(&table[i], &desc, sizeof(desc));
	}
}

/* An indirect table, and a descriptor that points to it. */
static void do_write_indirect(struct fuzz *fuzz)
{
	struct vring_desc *table = desc_table(fuzz);
	uint64_t gpa = pick_gpa(fuzz);
	uint32_t n = fuzz_input_below(&fuzz->in, 8);
	uint8_t i = fuzz_input_u8(&fuzz->in);
	char *indirect = at_gpa(fuzz, gpa, n * sizeof(struct vring_desc));
	struct vring_desc desc = {
		.addr = htole64(gpa),
		.len = htole32(n * (uint32_t)sizeof(desc)),
		.flags = htole16(VRING_DESC_F_INDIRECT),
	};

	for (uint32_t j = 0; j < n; j++) {
		const struct vring_desc entry = pick_desc(fuzz);

		memcpy(indirect + j * sizeof(entry), &entry, sizeof(entry));
	}
	if (fuzz_input_one_in(&fuzz->in, 8)) {
		desc.len = htole32(fuzz_input_number(&fuzz->in) * 16);
	}
	if (table != NULL && i < fuzz->model.size) {
		memcpy(&table[i], &desc, sizeof(desc));
	}
}

static void do_publish(struct fuzz *fuzz)
{
	struct vring_avail *avail = avail_ring(fuzz);
	uint16_t head = fuzz_input_u8(&fuzz->in);

	if (avail == NULL || fuzz->model.size == 0) {
		return;
	}
	memcpy(&avail->ring[fuzz->avail_index % fuzz->model.size], &head, sizeof(head));
	fuzz->avail_index++;
	memcpy(&avail->idx, &fuzz->avail_index, sizeof(fuzz->avail_index));
}

static void do_write_avail_index(struct fuzz *fuzz)
{
	struct vring_avail *avail = avail_ring(fuzz);

	fuzz->avail_index = (uint16_t)(fuzz->model.last_avail + fuzz_input_number(&fuzz->in));
	if (avail != NULL) {
		memcpy(&avail->idx, &fuzz->avail_index, sizeof(fuzz->avail_index));
	}
}

/* Flags and the used event: what interrupts the driver wants. */
static void do_write_wishes(struct fuzz *fuzz)
{
	struct vring_avail *avail = avail_ring(fuzz);
	uint16_t flags = fuzz_input_flag(&fuzz->in);
	uint16_t event = (uint16_t)(fuzz->model.used_index + fuzz_input_number(&fuzz->in));

	if (avail != NULL) {
		memcpy(&avail->flags, &flags, sizeof(flags));
		memcpy(&avail->ring[fuzz->model.size], &event, sizeof(event));
	}
}

static void do_scribble(struct fuzz *fuzz)
{
	unsigned int region = fuzz_input_below(&fuzz->in, FUZZ_N_REGIONS);
	uint32_t offset = fuzz_input_number(&fuzz->in);

	for (unsigned int n = fuzz_input_below(&fuzz->in, 32); n > 0; n--) {
		*fuzz_guest_byte(fuzz->guest, region, offset++) = fuzz_input_u8(&fuzz->in);
	}
}

/* ---- what the device does ---- */

/* Buffer i of chain is what this descriptor says. */
static void assert_buffer(const struct virtq_chain *chain, uint32_t i, const char *entry)
{
	struct vring_desc desc;

	memcpy(&desc, entry, sizeof(desc));
	g_assert_cmpuint(i, <, chain->n_readable + chain->n_writable);
	g_assert_cmphex(chain->buffers[i].gpa.v, ==, le64toh(desc.addr));
	g_assert_cmpuint(chain->buffers[i].length_bytes, ==, le32toh(desc.len));
	g_assert_cmpint(i >= chain->n_readable, ==,
			(le16toh(desc.flags) & VRING_DESC_F_WRITE) != 0);
}

/* From buffer first on the chain is what a table holds; it stops where the table does. */
static uint32_t assert_table(const struct virtq_chain *chain, uint32_t first, const char *table,
			     uint32_t at, struct vring_desc *last_out)
{
	uint32_t n = chain->n_readable + chain->n_writable;

	for (uint32_t i = first;; i++) {
		memcpy(last_out, table + at * sizeof(*last_out), sizeof(*last_out));
		if (le16toh(last_out->flags) & VRING_DESC_F_INDIRECT) {
			return i;
		}
		g_assert_cmpuint(i, <, n);
		assert_buffer(chain, i, table + at * sizeof(*last_out));
		if (!(le16toh(last_out->flags) & VRING_DESC_F_NEXT)) {
			return i + 1;
		}
		at = le16toh(last_out->next);
	}
}

/* The chain is what a simple walk finds in the ring. */
static void assert_walked(struct fuzz *fuzz, const struct virtq_chain *chain)
{
	uint32_t n = chain->n_readable + chain->n_writable;
	g_autofree char *table = NULL;
	struct vring_desc last;
	uint32_t i = assert_table(chain, 0, (const char *)desc_table(fuzz), chain->head, &last);

	if (le16toh(last.flags) & VRING_DESC_F_INDIRECT) {
		uint32_t length = le32toh(last.len);
		uint32_t n_entries = length / (uint32_t)sizeof(last);
		bool is_too_long = n_entries > VIRTQ_MAX_CHAIN;

		g_assert_true(fuzz->model.has_indirect);
		table = g_malloc(length);
		g_assert_true(guestmem_read(chain->mem, (struct gpa){ le64toh(last.addr) }, table,
					    length));
		if (is_too_long) {
			assert_buffer(chain, i, table);
			assert_buffer(chain, i + 1, table + (n_entries - 1) * sizeof(last));
			i += 2;
		} else {
			i = assert_table(chain, i, table, 0, &last);
		}
	}
	g_assert_cmpuint(i, ==, n);
}

static void assert_sane(const struct virtq_chain *chain)
{
	uint64_t readable = 0, writable = 0;

	g_assert_cmpuint(chain->n_readable + chain->n_writable, <=, VIRTQ_MAX_CHAIN);
	for (uint32_t i = 0; i < chain->n_readable + chain->n_writable; i++) {
		const struct virtq_buffer *buffer = &chain->buffers[i];

		g_assert_cmpuint(
			guestmem_to_iov(chain->mem, buffer->gpa, buffer->length_bytes, NULL, 0), >,
			0);
		*(i < chain->n_readable ? &readable : &writable) += buffer->length_bytes;
	}
	g_assert_cmpuint(chain->readable_bytes, ==, readable);
	g_assert_cmpuint(chain->writable_bytes, ==, writable);
}

static void assert_popped(struct fuzz *fuzz, const struct virtq_chain *chain)
{
	struct model *model = &fuzz->model;
	const struct vring_avail *avail = avail_ring(fuzz);

	g_assert_true(is_running(fuzz));
	g_assert_cmpuint(model->n_out, <, model->size);
	g_assert_cmpuint(chain->head, ==, le16toh(avail->ring[model->last_avail % model->size]));
	assert_sane(chain);
	assert_walked(fuzz, chain);
	model->last_avail++;
	model->n_out++;
}

/* The front-end hears of it, and nothing more is popped. */
static void assert_broken(struct fuzz *fuzz)
{
	const struct fuzz_vring vring = fuzz_guest_vring(fuzz->guest, 0);
	struct model *model = &fuzz->model;
	eventfd_t errors = 0;

	if (!model->is_broken) {
		g_assert_true(is_running(fuzz));
		g_assert_cmpint(eventfd_read(vring.err_fd, &errors) == 0, ==, model->has_err);
	}
	model->is_broken = true;
}

static void do_pop(struct fuzz *fuzz)
{
	struct model *model = &fuzz->model;
	const struct fuzz_vring vring = fuzz_guest_vring(fuzz->guest, 0);
	struct virtq_chain *chain = NULL;
	eventfd_t ignored;

	if (fuzz->n_held == MAX_HELD) {
		return;
	}
	eventfd_read(vring.err_fd, &ignored);
	switch (virtq_pop(&fuzz->vq, &chain)) {
	case VIRTQ_OK:
		assert_popped(fuzz, chain);
		fuzz->held[fuzz->n_held++] = (struct held){ chain, model->epoch };
		break;
	case VIRTQ_E_BROKEN:
		assert_broken(fuzz);
		break;
	case VIRTQ_E_EMPTY:
		g_assert_false(model->is_broken);
		break;
	case VIRTQ_E_INVALID:
	default:
		g_assert_not_reached();
	}
}

static struct held *pick_held(struct fuzz *fuzz)
{
	return fuzz->n_held > 0 ? &fuzz->held[fuzz_input_u8(&fuzz->in) % fuzz->n_held] : NULL;
}

static struct virtq_chain *take_held(struct fuzz *fuzz, struct held *held)
{
	struct virtq_chain *chain = held->chain;

	*held = fuzz->held[--fuzz->n_held];
	return chain;
}

/* A push on a running queue: one more entry, for this chain. */
static void assert_used(struct fuzz *fuzz, uint16_t head, uint64_t most_bytes)
{
	struct model *model = &fuzz->model;
	const struct vring_used *used = used_ring(fuzz);
	const struct vring_used_elem *element = &used->ring[model->used_index % model->size];

	g_assert_cmpuint(le32toh(element->id), ==, head);
	g_assert_cmpuint(le32toh(element->len), <=, most_bytes);
	model->used_index++;
	model->n_out--;
	g_assert_cmpuint(le16toh(used->idx), ==, model->used_index);
}

static void do_push(struct fuzz *fuzz)
{
	struct model *model = &fuzz->model;
	struct held *held = pick_held(fuzz);
	char response[MAX_RESPONSE_BYTES] = { 0 };
	size_t length = fuzz_input_u8(&fuzz->in);

	if (held == NULL) {
		return;
	}
	bool is_stale = held->epoch != model->epoch;
	struct virtq_chain *chain = take_held(fuzz, held);
	uint16_t head = chain->head;
	uint64_t most_bytes = MIN(length, chain->writable_bytes);
	const struct vring_used *used = used_ring(fuzz);
	uint16_t before = used != NULL ? used->idx : 0;
	virtq_push(&fuzz->vq, chain, response, length);
	if (is_stale) {
		g_assert_cmpuint(used != NULL ? used->idx : 0, ==, before);
	} else if (is_running(fuzz)) {
		assert_used(fuzz, head, most_bytes);
	} else {
		g_assert_cmpuint(used != NULL ? used->idx : 0, ==, before);
		model->n_deferred++;
	}
}

static void do_read_chain(struct fuzz *fuzz)
{
	struct held *held = pick_held(fuzz);
	char bytes[MAX_RESPONSE_BYTES];

	if (held == NULL || held->chain->mem == NULL) {
		return;
	}
	uint64_t offset = fuzz_input_number(&fuzz->in);
	size_t length = fuzz_input_u8(&fuzz->in);
	bool is_there = virtq_chain_read(held->chain, offset, bytes, length);
	/* Behind the end there is room for nothing; to ask for nothing is fine anywhere. */
	g_assert_cmpint(is_there, ==,
			length == 0 || offset + length <= held->chain->readable_bytes);
	g_assert_cmpint(virtq_chain_is_stale(&fuzz->vq, held->chain), ==,
			held->epoch != fuzz->model.epoch);
}

static void do_release_chain(struct fuzz *fuzz)
{
	struct held *held = pick_held(fuzz);

	if (held != NULL) {
		virtq_chain_release(held->chain);
	}
}

/* Stale ones only; others would be missing in the ring. */
static void do_discard_chain(struct fuzz *fuzz)
{
	struct held *held = pick_held(fuzz);

	if (held != NULL && held->epoch != fuzz->model.epoch) {
		virtq_chain_discard(take_held(fuzz, held));
	}
}

static void do_notify(struct fuzz *fuzz)
{
	virtq_notify(&fuzz->vq);
}

static void do_rearm(struct fuzz *fuzz)
{
	bool has_more = virtq_rearm(&fuzz->vq);

	g_assert_true(!has_more || is_running(fuzz));
	g_assert_cmpint(virtq_has_avail(&fuzz->vq), ==, has_more);
}

static void do_suppress(struct fuzz *fuzz)
{
	virtq_suppress(&fuzz->vq);
}

/* ---- what the front-end does ---- */

static void do_set_features(struct fuzz *fuzz)
{
	bool has_event_idx = fuzz_input_flag(&fuzz->in);

	fuzz->model.has_indirect = fuzz_input_flag(&fuzz->in);
	virtq_set_features(&fuzz->vq, has_event_idx, fuzz->model.has_indirect);
}

/* The index in the ring counts; as it was before what was deferred is written, which moves it on. */
static void see_used(struct fuzz *fuzz)
{
	struct model *model = &fuzz->model;

	model->used_index = le16toh(used_ring(fuzz)->idx);
	if (is_running(fuzz)) {
		model->used_index = (uint16_t)(model->used_index - model->n_deferred);
	}
}

static void set_memory(struct fuzz *fuzz, unsigned int mask)
{
	struct guestmem *mem = fuzz_guest_build_table(fuzz->guest, mask);

	virtq_set_memory(&fuzz->vq, mem);
	guestmem_unref(mem);
	fuzz->model.mask = mask;
	if (is_mapped(fuzz)) {
		see_used(fuzz);
	}
	settle(fuzz);
}

static void do_set_memory(struct fuzz *fuzz)
{
	set_memory(fuzz, fuzz_input_below(&fuzz->in, FUZZ_ALL_REGIONS + 1));
}

static void set_size(struct fuzz *fuzz, uint32_t size)
{
	struct model *model = &fuzz->model;
	bool is_good = size > 0 && size <= VIRTQ_MAX_SIZE && (size & (size - 1)) == 0 &&
		       !model->is_started;

	g_assert_cmpint(virtq_set_size(&fuzz->vq, size) == VIRTQ_OK, ==, is_good);
	if (is_good) {
		model->size = size;
	}
}

static void do_set_size(struct fuzz *fuzz)
{
	set_size(fuzz, fuzz_input_number(&fuzz->in));
}

static struct uva pick_uva(struct fuzz *fuzz, struct uva good)
{
	unsigned int region = fuzz_input_below(&fuzz->in, FUZZ_N_REGIONS + 4);
	int memfd;

	if (region >= FUZZ_N_REGIONS) {
		return good;
	}
	const struct guestmem_region_desc desc = fuzz_guest_region(fuzz->guest, region, &memfd);
	return (struct uva){ desc.uva.v + fuzz_input_number(&fuzz->in) };
}

static void set_addresses(struct fuzz *fuzz, struct uva desc, struct uva avail, struct uva used)
{
	struct model *model = &fuzz->model;
	enum virtq_status status = virtq_set_addresses(&fuzz->vq, desc, avail, used);

	model->has_addresses = true;
	model->desc = desc;
	model->avail = avail;
	model->used = used;
	g_assert_cmpint(status == VIRTQ_OK, ==, is_mapped(fuzz));
	if (status == VIRTQ_OK) {
		model->is_broken = false;
		see_used(fuzz);
		settle(fuzz);
	}
}

static void do_set_addresses(struct fuzz *fuzz)
{
	const struct fuzz_vring good = fuzz_guest_vring(fuzz->guest, 0);
	struct uva desc = pick_uva(fuzz, good.desc);
	struct uva avail = pick_uva(fuzz, good.avail);
	struct uva used = pick_uva(fuzz, good.used);

	set_addresses(fuzz, desc, avail, used);
}

static void set_base(struct fuzz *fuzz, uint16_t base)
{
	struct model *model = &fuzz->model;

	g_assert_cmpint(virtq_set_base(&fuzz->vq, base) == VIRTQ_OK, ==, !model->is_started);
	if (!model->is_started) {
		if (base != model->last_avail) {
			begin_epoch(model);
		}
		model->last_avail = base;
		model->is_broken = false;
	}
}

static void do_set_base(struct fuzz *fuzz)
{
	uint16_t base = fuzz->model.last_avail;

	if (fuzz_input_flag(&fuzz->in)) {
		base = (uint16_t)fuzz_input_number(&fuzz->in);
	}
	set_base(fuzz, base);
}

static void do_set_kick(struct fuzz *fuzz)
{
	const struct fuzz_vring vring = fuzz_guest_vring(fuzz->guest, 0);
	struct model *model = &fuzz->model;

	if (!model->is_started && is_mapped(fuzz)) {
		model->used_index = le16toh(used_ring(fuzz)->idx);
	}
	virtq_set_kick(&fuzz->vq, fuzz_input_one_in(&fuzz->in, 8) ? -1 : dup(vring.kick_fd));
	model->is_started = true;
	settle(fuzz);
}

static void do_set_call(struct fuzz *fuzz)
{
	const struct fuzz_vring vring = fuzz_guest_vring(fuzz->guest, 0);

	virtq_set_call(&fuzz->vq, fuzz_input_one_in(&fuzz->in, 8) ? -1 : dup(vring.call_fd));
}

static void do_set_err(struct fuzz *fuzz)
{
	const struct fuzz_vring vring = fuzz_guest_vring(fuzz->guest, 0);

	fuzz->model.has_err = !fuzz_input_one_in(&fuzz->in, 8);
	virtq_set_err(&fuzz->vq, fuzz->model.has_err ? dup(vring.err_fd) : -1);
}

static void do_set_enabled(struct fuzz *fuzz)
{
	fuzz->model.is_enabled = !fuzz_input_one_in(&fuzz->in, 4);
	virtq_set_enabled(&fuzz->vq, fuzz->model.is_enabled);
	settle(fuzz);
}

static void do_stop(struct fuzz *fuzz)
{
	g_assert_cmpuint(virtq_stop(&fuzz->vq), ==, fuzz->model.last_avail);
	fuzz->model.is_started = false;
	fuzz->model.is_broken = false;
}

static void do_reset(struct fuzz *fuzz)
{
	struct model *model = &fuzz->model;

	virtq_reset(&fuzz->vq);
	model->is_started = false;
	model->is_broken = false;
	model->is_enabled = false;
	model->has_addresses = false;
	model->last_avail = 0;
	model->used_index = 0;
	begin_epoch(model);
}

static void do_dup_kick(struct fuzz *fuzz)
{
	uint32_t serial;
	int fd = virtq_kick_fd_dup(&fuzz->vq, &serial);

	g_assert_true(fd < 0 || fuzz->model.is_started);
	if (fd >= 0) {
		close(fd);
	}
}

/* All that it takes, so that no input need find it step by step. */
static void do_bring_up(struct fuzz *fuzz)
{
	const struct fuzz_vring vring = fuzz_guest_vring(fuzz->guest, 0);

	do_stop(fuzz);
	set_memory(fuzz, FUZZ_ALL_REGIONS);
	set_size(fuzz, 1u << fuzz_input_below(&fuzz->in, 5));
	set_addresses(fuzz, vring.desc, vring.avail, vring.used);
	set_base(fuzz, fuzz->model.last_avail);
	fuzz->avail_index = fuzz->model.last_avail;
	do_set_kick(fuzz);
	do_set_enabled(fuzz);
}

static void do_wait(struct fuzz *fuzz)
{
	fuzz_clock_advance(fuzz_input_u8(&fuzz->in) * 1000u);
}

static void (*const operations[])(struct fuzz *fuzz) = {
	do_bring_up,	   do_write_desc,	 do_publish,	  do_pop,	    do_push,
	do_write_indirect, do_write_avail_index, do_write_wishes, do_scribble,	    do_read_chain,
	do_release_chain,  do_discard_chain,	 do_notify,	  do_rearm,	    do_suppress,
	do_set_features,   do_set_memory,	 do_set_size,	  do_set_addresses, do_set_base,
	do_set_kick,	   do_set_call,		 do_set_err,	  do_set_enabled,   do_stop,
	do_reset,	   do_dup_kick,		 do_wait,
};

void fuzz_one(const uint8_t *bytes, size_t size_bytes)
{
	struct fuzz fuzz = { .guest = fuzz_guest_create() };

	fuzz_clock_reset();
	fuzz_input_init(&fuzz.in, bytes, size_bytes);
	fuzz_queue_init(&fuzz.vq, 0);
	while (!fuzz_input_is_over(&fuzz.in)) {
		unsigned int i = fuzz_input_operation(&fuzz.in);

		if (i < G_N_ELEMENTS(operations)) {
			operations[i](&fuzz);
		}
	}
	while (fuzz.n_held > 0) {
		do_push(&fuzz);
	}
	fuzz_queue_finish(&fuzz.vq);
	fuzz_guest_destroy(fuzz.guest);
}
