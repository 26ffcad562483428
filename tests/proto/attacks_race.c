/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * A guest with two CPUs: one makes a chain available, the other rewrites it while it is read. What
 * was checked must be what is used. The chain lies at the ring's upper end, where the helpers of
 * vgpu.h, which take descriptors from the lower end and give them back, never come; its memory is
 * in the region that a reset leaves alone.
 */
#include <stdatomic.h>
#include <stddef.h>
#include <string.h>

#include "attacks.h"
#include "suite.h"

#define ANSWER_MS 5000
#define RACE_MS 150
#define MIN_ROUNDS 60u
#define MAX_ROUNDS 4000u
#define MAX_BREAKS 8u

/* Memory that a thread of its own rewrites: @n items, @stride bytes apart. */
struct rewriter {
	uint8_t *at;
	uint32_t n;
	uint32_t stride;
	uint32_t bytes;
	uint64_t values[2];
	atomic_bool must_stop;
	GThread *thread;
};

static void store(uint8_t *at, uint32_t bytes, uint64_t value)
{
	if (bytes == 2) {
		__atomic_store_n((uint16_t *)(void *)at, (uint16_t)value, __ATOMIC_RELAXED);
	} else if (bytes == 4) {
		__atomic_store_n((uint32_t *)(void *)at, (uint32_t)value, __ATOMIC_RELAXED);
	} else {
		__atomic_store_n((uint64_t *)(void *)at, value, __ATOMIC_RELAXED);
	}
}

static void *rewrite(void *data)
{
	struct rewriter *rewriter = data;

	for (uint32_t i = 0; !atomic_load_explicit(&rewriter->must_stop, memory_order_relaxed);
	     i++) {
		store(rewriter->at + (size_t)(i / 2 % rewriter->n) * rewriter->stride,
		      rewriter->bytes, rewriter->values[i % 2]);
	}
	return NULL;
}

static void start_rewriter(struct rewriter *rewriter)
{
	atomic_store(&rewriter->must_stop, false);
	rewriter->thread = g_thread_new("rewriter", rewrite, rewriter);
}

/* Leaves the good value. */
static void stop_rewriter(struct rewriter *rewriter)
{
	atomic_store(&rewriter->must_stop, true);
	g_thread_join(rewriter->thread);
	for (uint32_t i = 0; i < rewriter->n; i++) {
		store(rewriter->at + (size_t)i * rewriter->stride, rewriter->bytes,
		      rewriter->values[0]);
	}
}

/* ---- the chain ---- */

struct race {
	struct attacker *attacker;
	const struct attack_race *spec;
	struct ring *ring;
	uint64_t request, payload, response, table;
	uint16_t first; /* descriptor */
	struct rewriter rewriter;
	unsigned int n_rounds, n_breaks;
};

static uint64_t put(struct attacker *attacker, const void *bytes, uint32_t size)
{
	uint64_t gpa = guestram_alloc(attacker->rig->ram, 0, MAX(size, 64u), 64);

	if (size > 0) {
		memcpy(guestram_at(attacker->rig->ram, gpa, size), bytes, size);
	}
	return gpa;
}

static void race_init(struct race *race, struct attacker *attacker)
{
	const struct vgpu_chain *chain = &attacker->attack->chain;

	*race = (struct race){
		.attacker = attacker,
		.spec = attacker->attack->data,
		.ring = attacker->rig->vgpu->rings[attacker->attack->queue],
		.request = put(attacker, chain->request, chain->request_size),
		.payload = put(attacker, chain->payload, chain->payload_size),
		.response = put(attacker, NULL, 0),
		.table = put(attacker, NULL, 0),
	};
	race->first = (uint16_t)(race->ring->size - 3);
}

/* Command, payload if there is one, answer; returns how many. */
static unsigned int lay_chain(const struct race *race, struct vring_desc *desc, uint16_t first)
{
	const struct vgpu_chain *chain = &race->attacker->attack->chain;
	unsigned int n = 0;

	desc[n++] = (struct vring_desc){ race->request, chain->request_size, VRING_DESC_F_NEXT,
					 (uint16_t)(first + 1) };
	if (chain->payload_size > 0) {
		desc[n++] = (struct vring_desc){ race->payload, chain->payload_size,
						 VRING_DESC_F_NEXT, (uint16_t)(first + 2) };
	}
	desc[n++] = (struct vring_desc){ race->response, HEADER_BYTES, VRING_DESC_F_WRITE, 0 };
	return n;
}

static void lay_race(struct race *race)
{
	struct vring_desc *desc = &race->ring->desc[race->first];

	if (race->spec->place == RACE_TABLE) {
		struct vring_desc *table = guestram_at(race->attacker->rig->ram, race->table, 64);
		uint32_t n = lay_chain(race, table, 0);
		*desc = (struct vring_desc){ race->table, n * (uint32_t)sizeof(*table),
					     VRING_DESC_F_INDIRECT, 0 };
	} else {
		lay_chain(race, desc, race->first);
	}
	for (unsigned int i = 0; i < race->ring->size; i++) {
		race->ring->avail->ring[i] = race->first;
	}
}

/* ---- what is rewritten ---- */

static uint8_t *place_of(const struct race *race)
{
	const struct guestram *ram = race->attacker->rig->ram;

	switch (race->spec->place) {
	case RACE_DESCRIPTOR:
		return (uint8_t *)&race->ring->desc[race->first];
	case RACE_TABLE:
		return guestram_at(ram, race->table, 64);
	case RACE_COMMAND:
		return guestram_at(ram, race->request, 64);
	case RACE_PAYLOAD:
		return guestram_at(ram, race->payload, 64);
	case RACE_AVAILABLE:
		return (uint8_t *)race->ring->avail->ring;
	case RACE_PIXELS:
	default:
		return guestram_at(ram, race->attacker->shown_gpa, STAGE_BYTES);
	}
}

static void start_race(struct race *race)
{
	const struct attack_race *spec = race->spec;

	lay_race(race);
	race->rewriter = (struct rewriter){ .at = place_of(race) + spec->offset,
					    .n = 1,
					    .bytes = spec->bytes };
	if (spec->place == RACE_AVAILABLE) {
		race->rewriter.n = race->ring->size;
		race->rewriter.stride = sizeof(uint16_t);
	} else if (spec->place == RACE_PIXELS) {
		race->rewriter.n = STAGE_BYTES / sizeof(uint32_t);
		race->rewriter.stride = sizeof(uint32_t);
	}
	memcpy(&race->rewriter.values[0], race->rewriter.at, spec->bytes);
	race->rewriter.values[1] = spec->bad;
	start_rewriter(&race->rewriter);
}

/* ---- rounds ---- */

static void publish_next(struct ring *ring)
{
	ring->avail_idx = (uint16_t)(ring->avail_idx + 1);
	__atomic_store_n(&ring->avail->idx, ring->avail_idx, __ATOMIC_RELEASE);
	ring_kick_always(ring);
}

/* The queue alone, so that the next round finds all else as this one did. */
static void revive(struct race *race)
{
	stop_rewriter(&race->rewriter);
	vgpu_forget(race->attacker->rig->vgpu);
	rig_revive_queue(race->attacker->rig, race->attacker->attack->queue);
	race->n_breaks += 1;
}

static void check_answer(struct race *race)
{
	uint32_t type = 0;

	memcpy(&type, guestram_at(race->attacker->rig->ram, race->response, 4), sizeof(type));
	/* Where the answer's descriptor is rewritten there may be none. */
	if (type != 0) {
		attack_expect_type(race->attacker, type, ATTACK_AN_ANSWER);
	}
}

/* The helpers' entries take the place of some of the chain's own. */
static void undo(struct race *race)
{
	struct ring *ring = race->ring;
	uint16_t before = ring->avail_idx;

	race->spec->undo(race->attacker->rig->vgpu);
	for (uint16_t i = before; i != ring->avail_idx; i++) {
		ring->avail->ring[i % ring->size] = race->first;
	}
}

/* False if the race is over. */
static bool run_round(struct race *race)
{
	struct vring_used_elem elem;

	publish_next(race->ring);
	switch (attack_wait(race->ring, ANSWER_MS, &elem)) {
	case ATTACK_USED:
		check_answer(race);
		if (race->spec->undo) {
			undo(race);
		}
		return true;
	case ATTACK_BROKEN:
		attack_expect(race->attacker, race->spec->may_break, "the queue breaks");
		if (!race->spec->may_break) {
			return false;
		}
		revive(race);
		start_race(race);
		return race->n_breaks < MAX_BREAKS;
	case ATTACK_SILENT:
	default:
		attack_surprise(race->attacker, "round %u: no answer and no error", race->n_rounds);
		return false;
	}
}

void attack_race(struct attacker *attacker)
{
	/* How long it is run, not how long it may take. */
	int64_t end_us = g_get_monotonic_time() + RACE_MS * 1000;
	struct race race;

	race_init(&race, attacker);
	start_race(&race);
	while (run_round(&race) && race.n_rounds < MAX_ROUNDS &&
	       (race.n_rounds < MIN_ROUNDS || g_get_monotonic_time() < end_us)) {
		race.n_rounds += 1;
	}
	stop_rewriter(&race.rewriter);
	if (!attacker->is_foreign) {
		g_test_message("%u rounds, %u of them broke the queue", race.n_rounds,
			       race.n_breaks);
	}
}

/* ---- the rings' indexes, which only one side may write ---- */

/* The guest moves the available index to and fro; the device sees one or the other. */
static void run_available_index(struct attacker *attacker)
{
	const struct attack_race spec = { .place = RACE_DESCRIPTOR };
	struct vring_used_elem elem;
	struct race race;

	race_init(&race, attacker);
	race.spec = &spec;
	for (unsigned int i = 0; i < MAX_BREAKS; i++) {
		lay_race(&race);
		uint16_t idx = (uint16_t)(race.ring->avail_idx + 1);
		race.ring->avail_idx = idx;
		race.rewriter = (struct rewriter){
			.at = (uint8_t *)&race.ring->avail->idx,
			.n = 1,
			.bytes = 2,
			.values = { idx, (uint16_t)(idx + race.ring->size + 7u) },
		};
		race.ring->avail->idx = idx;
		start_rewriter(&race.rewriter);
		ring_kick_always(race.ring);
		attack_expect(attacker, attack_wait(race.ring, ANSWER_MS, &elem) != ATTACK_SILENT,
			      "no answer and no error");
		revive(&race);
	}
}

static bool has_answer(void *data)
{
	return __atomic_load_n((uint32_t *)data, __ATOMIC_ACQUIRE) != 0;
}

/* The guest writes to the used ring, so that only the answer's memory tells what was done. */
static void run_used_index(struct attacker *attacker)
{
	const struct attack_race spec = { .place = RACE_DESCRIPTOR };
	struct race race;

	race_init(&race, attacker);
	race.spec = &spec;
	lay_race(&race);
	race.rewriter = (struct rewriter){ .at = (uint8_t *)&race.ring->used->idx,
					   .n = 16,
					   .stride = 2,
					   .bytes = 2,
					   .values = { 0xffff, 0x7fff } };
	start_rewriter(&race.rewriter);
	uint32_t *type = guestram_at(attacker->rig->ram, race.response, sizeof(*type));
	for (unsigned int i = 0; i < MIN_ROUNDS; i++) {
		__atomic_store_n(type, 0, __ATOMIC_RELEASE);
		publish_next(race.ring);
		if (!suite_wait(has_answer, type, ANSWER_MS)) {
			attack_surprise(attacker, "round %u is not answered", i);
			break;
		}
	}
	stop_rewriter(&race.rewriter);
}

/* ---- rows ---- */

static void undo_create(struct vgpu *vgpu)
{
	vgpu_resource_unref(vgpu, 50);
}

static void undo_attach(struct vgpu *vgpu)
{
	vgpu_resource_detach_backing(vgpu, STAGE_BARE);
}

#define FLUSH                                                                                      \
	.chain = { COMMAND(virtio_gpu_resource_flush, RESOURCE_FLUSH,                              \
			   .r = { 0, 0, STAGE_SIDE, STAGE_SIDE }, .resource_id = STAGE_SHOWN) }
#define TRANSFER                                                                                   \
	.chain = { COMMAND(virtio_gpu_transfer_to_host_2d, TRANSFER_TO_HOST_2D,                    \
			   .r = { 0, 0, STAGE_SIDE, STAGE_SIDE }, .resource_id = STAGE_SHOWN) }
#define SET_SCANOUT                                                                                \
	.chain = { COMMAND(virtio_gpu_set_scanout, SET_SCANOUT,                                    \
			   .r = { 0, 0, STAGE_SIDE, STAGE_SIDE }, .resource_id = STAGE_SHOWN) }
#define CREATE                                                                                     \
	.chain = { COMMAND(virtio_gpu_resource_create_2d, RESOURCE_CREATE_2D, .resource_id = 50,   \
			   .format = 2, .width = 64, .height = 64) }
#define ATTACH                                                                                     \
	.chain = { COMMAND(virtio_gpu_resource_attach_backing, RESOURCE_ATTACH_BACKING,            \
			   .resource_id = STAGE_BARE, .nr_entries = 1),                            \
		   .payload = &(const struct virtio_gpu_mem_entry){ .addr = FREE_GPA,              \
								    .length = STAGE_BYTES },       \
		   .payload_size = sizeof(struct virtio_gpu_mem_entry) }
#define CURSOR                                                                                     \
	.chain = { COMMAND(virtio_gpu_update_cursor, UPDATE_CURSOR, .resource_id = STAGE_CURSOR) }
#define RACES(at_place, where, to, ...)                                                            \
	.run = attack_race, .data = &(const struct attack_race)                                    \
	{                                                                                          \
		.place = (at_place), where, .bad = (to), ##__VA_ARGS__                             \
	}
#define DESC(field) FIELD(vring_desc, field)
/* Of the second descriptor. */
#define DESC_2(field)                                                                              \
	AT(sizeof(struct vring_desc) + offsetof(struct vring_desc, field),                         \
	   sizeof(((struct vring_desc *)NULL)->field))
#define MAY_BREAK .may_break = true
#define OR_BROKEN .end = ATTACK_REPAIR, .outcome = "each round answered, or the queue broken"
#define EACH_ANSWERED .outcome = "each round answered"

static const struct attack attacks[] = {
	{ "race/descriptor_address", "a descriptor's address, to where there is no memory", FLUSH,
	  RACES(RACE_DESCRIPTOR, DESC(addr), HOLE_GPA, MAY_BREAK), OR_BROKEN },
	{ "race/descriptor_wraps", "a descriptor's address, to the end of the address space", FLUSH,
	  RACES(RACE_DESCRIPTOR, DESC(addr), UINT64_MAX - 7, MAY_BREAK), OR_BROKEN },
	{ "race/descriptor_length", "a descriptor's length, to 4 GiB", FLUSH,
	  RACES(RACE_DESCRIPTOR, DESC(len), UINT32_MAX, MAY_BREAK), OR_BROKEN },
	{ "race/descriptor_short", "a descriptor's length, to 1", FLUSH,
	  RACES(RACE_DESCRIPTOR, DESC(len), 1), EACH_ANSWERED },
	{ "race/descriptor_writable", "a command's descriptor, to writable", FLUSH,
	  RACES(RACE_DESCRIPTOR, DESC(flags), VRING_DESC_F_NEXT | VRING_DESC_F_WRITE),
	  EACH_ANSWERED },
	{ "race/descriptor_indirect", "a command's descriptor, to an indirect table", FLUSH,
	  RACES(RACE_DESCRIPTOR, DESC(flags), VRING_DESC_F_INDIRECT, MAY_BREAK), OR_BROKEN },
	{ "race/descriptor_next", "a next index, to 65535", FLUSH,
	  RACES(RACE_DESCRIPTOR, DESC(next), UINT16_MAX, MAY_BREAK), OR_BROKEN },
	{ "race/descriptor_loop", "a next index, to the descriptor itself", FLUSH,
	  RACES(RACE_DESCRIPTOR, DESC(next), 253, MAY_BREAK), OR_BROKEN },
	{ "race/answer_address", "the answer's address, to where there is no memory", FLUSH,
	  RACES(RACE_DESCRIPTOR, DESC_2(addr), HOLE_GPA, MAY_BREAK), OR_BROKEN },
	{ "race/answer_readable", "the answer's descriptor, to readable", FLUSH,
	  RACES(RACE_DESCRIPTOR, DESC_2(flags), 0), EACH_ANSWERED },
	{ "race/answer_length", "the answer's length, to 0", FLUSH,
	  RACES(RACE_DESCRIPTOR, DESC_2(len), 0, MAY_BREAK), OR_BROKEN },
	{ "race/table_address", "an address in an indirect table, to where there is no memory",
	  FLUSH, RACES(RACE_TABLE, DESC(addr), HOLE_GPA, MAY_BREAK), OR_BROKEN },
	{ "race/table_length", "a length in an indirect table, to 4 GiB", FLUSH,
	  RACES(RACE_TABLE, DESC(len), UINT32_MAX, MAY_BREAK), OR_BROKEN },
	{ "race/table_next", "a next index in an indirect table, to 65535", FLUSH,
	  RACES(RACE_TABLE, DESC(next), UINT16_MAX, MAY_BREAK), OR_BROKEN },
	{ "race/table_nested", "an entry of an indirect table, to another table", FLUSH,
	  RACES(RACE_TABLE, DESC(flags), VRING_DESC_F_INDIRECT, MAY_BREAK), OR_BROKEN },
	{ "race/available_entry", "the available ring's heads, to 65535", FLUSH,
	  RACES(RACE_AVAILABLE, AT(0, 2), UINT16_MAX, MAY_BREAK), OR_BROKEN },
	{ "race/available_index", "the available index, far ahead and back", FLUSH,
	  .run = run_available_index, OR_BROKEN },
	{ "race/used_index", "the used ring, while the device writes it", FLUSH,
	  .run = run_used_index, .end = ATTACK_REPAIR, EACH_ANSWERED },
	{ "race/command_type", "a command's type, to one that there isn't", FLUSH,
	  RACES(RACE_COMMAND, FIELD(virtio_gpu_ctrl_hdr, type), 0xdead), EACH_ANSWERED },
	{ "race/command_flags", "a command's flags, to all of them", FLUSH,
	  RACES(RACE_COMMAND, FIELD(virtio_gpu_ctrl_hdr, flags), UINT32_MAX), EACH_ANSWERED },
	{ "race/flush_id", "a flush's resource, to one that there isn't", FLUSH,
	  RACES(RACE_COMMAND, FIELD(virtio_gpu_resource_flush, resource_id), STAGE_NOBODY),
	  EACH_ANSWERED },
	{ "race/flush_width", "a flush's width, to 0xffffffff", FLUSH,
	  RACES(RACE_COMMAND, FIELD(virtio_gpu_resource_flush, r.width), UINT32_MAX),
	  EACH_ANSWERED },
	{ "race/transfer_id", "a transfer's resource, to one without a backing", TRANSFER,
	  RACES(RACE_COMMAND, FIELD(virtio_gpu_transfer_to_host_2d, resource_id), STAGE_BARE),
	  EACH_ANSWERED },
	{ "race/transfer_height", "a transfer's height, to 0xffffffff", TRANSFER,
	  RACES(RACE_COMMAND, FIELD(virtio_gpu_transfer_to_host_2d, r.height), UINT32_MAX),
	  EACH_ANSWERED },
	{ "race/transfer_offset", "a transfer's offset, to the end of the address space", TRANSFER,
	  RACES(RACE_COMMAND, FIELD(virtio_gpu_transfer_to_host_2d, offset), UINT64_MAX - 4095),
	  EACH_ANSWERED },
	{ "race/scanout_number", "SET_SCANOUT's number, to 99", SET_SCANOUT,
	  RACES(RACE_COMMAND, FIELD(virtio_gpu_set_scanout, scanout_id), 99), EACH_ANSWERED },
	{ "race/scanout_x", "SET_SCANOUT's x, to 0xffffffc0", SET_SCANOUT,
	  RACES(RACE_COMMAND, FIELD(virtio_gpu_set_scanout, r.x), 0xffffffc0), EACH_ANSWERED },
	{ "race/create_width", "a new resource's width, to 2^30", CREATE,
	  RACES(RACE_COMMAND, FIELD(virtio_gpu_resource_create_2d, width), 0x40000000,
		.undo = undo_create),
	  EACH_ANSWERED },
	{ "race/create_id", "a new resource's id, to one in use", CREATE,
	  RACES(RACE_COMMAND, FIELD(virtio_gpu_resource_create_2d, resource_id), STAGE_SHOWN,
		.undo = undo_create),
	  EACH_ANSWERED },
	{ "race/entry_count", "the number of a backing's entries, to 2^28", ATTACH,
	  RACES(RACE_COMMAND, FIELD(virtio_gpu_resource_attach_backing, nr_entries), 0x10000000,
		.undo = undo_attach),
	  EACH_ANSWERED },
	{ "race/entry_count_small", "the number of a backing's entries, to 16384", ATTACH,
	  RACES(RACE_COMMAND, FIELD(virtio_gpu_resource_attach_backing, nr_entries), 16384,
		.undo = undo_attach),
	  EACH_ANSWERED },
	{ "race/entry_address", "a backing's page, to where there is no memory", ATTACH,
	  RACES(RACE_PAYLOAD, FIELD(virtio_gpu_mem_entry, addr), HOLE_GPA, .undo = undo_attach),
	  EACH_ANSWERED },
	{ "race/entry_length", "a backing entry's length, to 4 GiB", ATTACH,
	  RACES(RACE_PAYLOAD, FIELD(virtio_gpu_mem_entry, length), UINT32_MAX, .undo = undo_attach),
	  EACH_ANSWERED },
	{ "race/pixels", "pixels while they are copied", TRANSFER,
	  RACES(RACE_PIXELS, AT(0, 4), 0x00fedcba), EACH_ANSWERED },
	{ "race/cursor_hot", "a cursor's hot spot, to 0xffffffff", CURSOR,
	  RACES(RACE_COMMAND, FIELD(virtio_gpu_update_cursor, hot_x), UINT32_MAX),
	  .queue = VGPU_CURSOR, EACH_ANSWERED },
	{ "race/cursor_id", "a cursor's resource, to one that is too large", CURSOR,
	  RACES(RACE_COMMAND, FIELD(virtio_gpu_update_cursor, resource_id), STAGE_LARGE),
	  .queue = VGPU_CURSOR, EACH_ANSWERED },
};

const struct attack_list attacks_race = { attacks, G_N_ELEMENTS(attacks) };
