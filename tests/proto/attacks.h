/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * A hostile guest: attacks by name, each with the outcome that is expected of a back-end, and after
 * each the proof that the machine's service goes on: a fresh command is answered right, and a fresh
 * frame is shown right, to the pixel.
 *
 * An attack is a row of a table. Most rows are a command or a broken chain and its outcome; the
 * rest have a function. Before it runs there is a stage: resources that are shown, bare, large and
 * a cursor's, and in 3D a context. What happens otherwise than expected is a surprise, which is
 * noted and fails the attack at its end; so other back-ends can be measured by the same rows (see
 * attacks_compare.h).
 */
#ifndef TESTS_PROTO_ATTACKS_H
#define TESTS_PROTO_ATTACKS_H

#include <glib.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "rig.h"

/* The stage: 64x64 pixels each, but for the large one's 128x128. */
#define STAGE_SIDE 64u
#define STAGE_BYTES (STAGE_SIDE * STAGE_SIDE * 4u)
enum stage_id {
	STAGE_SHOWN = 1,    /* backed, on scanout 0, flushed */
	STAGE_BARE = 2,	    /* no backing */
	STAGE_CURSOR = 3,   /* backed, the cursor of scanout 0 */
	STAGE_LARGE = 4,    /* 128x128, backed */
	STAGE_NOBODY = 77,  /* no such resource, no such context */
	STAGE_TEXTURE = 10, /* 3D: a render target, backed, attached to the context */
	STAGE_CONTEXT = 1,  /* 3D */
	STAGE_STRANGER = 2, /* 3D: a context that has no resource */
	STAGE_VICTIM = 3,   /* 3D: a context that STAGE_TEXTURE is attached to, for bad streams */
};

/* Guest memory that nothing uses, and an address where there is none. */
#define FREE_GPA UINT64_C(0x100000)
#define HOLE_GPA UINT64_C(0x7000000000)

#define HEADER_BYTES ((uint32_t)sizeof(struct virtio_gpu_ctrl_hdr))

/* As a response: any error; any at all that the specification knows. */
#define ATTACK_AN_ERROR 1u
#define ATTACK_AN_ANSWER 2u

enum attack_end {
	ATTACK_SERVED, /* the queues go on as if nothing had been */
	ATTACK_BREAKS, /* the queue stops and its error eventfd says so; a reset revives it */
	ATTACK_REPAIR, /* the guest has hurt itself in some way; a reset revives it */
};

struct attack;

struct attacker {
	struct rig *rig;
	const struct attack *attack;
	uint64_t shown_gpa, large_gpa, texture_gpa;
	uint32_t n_proofs;
	GString *surprises;
	bool has_leaked;
	const char *lacks; /* what the back-end would have to have for this attack to be one */
	bool is_foreign;   /* another back-end: which error an error is doesn't count */
	bool has_pictures; /* false: it shows none on this machine; answers alone count */
};

/* Memory for a command that is laid out by hand: UNREF of STAGE_NOBODY. */
struct attack_parts {
	uint64_t request;
	uint64_t response;
	uint64_t table; /* room for an indirect table */
};
#define PARTS_TABLE_BYTES (5000u * 16u)
#define PARTS_COMMAND_BYTES ((uint32_t)sizeof(struct virtio_gpu_resource_unref))

struct attack {
	const char *name;    /* group/name */
	const char *does;    /* half a sentence, for the table */
	const char *outcome; /* what is expected, where the fields below don't say it */
	void (*run)(struct attacker *attacker);
	enum attack_end end;
	enum vgpu_queue queue;
	/* For attack_send(); response_size 0 means a header's. */
	struct vgpu_chain chain;
	uint32_t responses[2];
	/* For attack_break(): publishes the broken chain. */
	void (*lay)(struct attacker *attacker, struct ring *ring, const struct attack_parts *parts);
	/* For the functions of one file. */
	const void *data;
	uint64_t numbers[2];
	uint64_t withheld_features;
	/* Large blocks are freed and taken piece by piece. MALLOC_PERTURB_, which meson sets, has
	 * glibc fill all that is left of one for each piece: minutes for a second's work. */
	bool has_plain_heap;
};

struct attack_list {
	const struct attack *attacks;
	size_t n;
};

extern const struct attack_list attacks_chain, attacks_ring, attacks_command, attacks_resource,
	attacks_geometry, attacks_race, attacks_memory, attacks_life, attacks_blob,
	attacks_blob_life, attacks_blob_3d, attacks_3d, attacks_stream, attacks_memory_3d, attacks_life_3d;

/* Calls @fn for each attack that concerns a 2D device, or a 3D device alone. */
void attacks_each(bool is_3d, void (*fn)(const struct attack *attack, void *data), void *data);
/* What is expected, in words; to be freed. */
char *attack_outcome(const struct attack *attack);

struct attack_target {
	const char *mode;	/* of our own daemon */
	struct daemon *foreign; /* borrowed; NULL: our own is started */
	bool has_pictures;
};

/* Stage, attack, repair, proof. What failed otherwise than by a surprise (no answer, a wrong
 * picture) ends the process. */
struct attacker *attack_run(const struct attack *attack, const struct attack_target *target);
void attacker_destroy(struct attacker *attacker);

/* ---- for the rows ---- */

/* Sends the row's chain and expects one of its responses. */
void attack_send(struct attacker *attacker);
/* Lays out the row's chain on its queue and kicks. */
void attack_break(struct attacker *attacker);

void attack_surprise(struct attacker *attacker, const char *format, ...) G_GNUC_PRINTF(2, 3);
void attack_expect(struct attacker *attacker, bool holds, const char *otherwise);
void attack_expect_response(struct attacker *attacker, uint32_t type);
void attack_expect_type(struct attacker *attacker, uint32_t type, uint32_t expected);
/* As above, OK_NODATA. */
void attack_expect_ok(struct attacker *attacker, uint32_t type);

struct attack_parts attack_make_parts(struct attacker *attacker);
uint32_t attack_response_type(struct attacker *attacker, const struct attack_parts *parts);

/* A chain of descriptors 0 and 1, made available. */
void attack_publish(struct ring *ring, uint64_t request, uint32_t request_size, uint64_t response,
		    uint32_t response_size);

enum attack_answer { ATTACK_USED, ATTACK_BROKEN, ATTACK_SILENT };
/* Waits for a used entry or for the queue to break. */
enum attack_answer attack_wait(struct ring *ring, int milliseconds,
			       struct vring_used_elem *elem_out);
/* The parts' command comes back on the control queue, with this answer. */
void attack_expect_answer(struct attacker *attacker, const struct attack_parts *parts,
			  uint32_t expected);
/* What a driver does whose device needs a reset. A back-end without RESET_DEVICE gets the gentlest
 * way there is: its rings are set up anew, and all else stays. The stage is gone. */
void attack_repair(struct attacker *attacker);
/* A fresh command and a fresh frame. */
void attack_prove(struct attacker *attacker);
/* The same by a fresh context: what it clears comes back by transfer. */
void attack_prove_3d(struct attacker *attacker);

/* What a second thread of the guest rewrites, good and bad by turns, while the row's chain is made
 * available again and again. */
enum race_place {
	RACE_DESCRIPTOR, /* the command's; the payload's and the answer's lie behind it */
	RACE_TABLE,	 /* the same in an indirect table */
	RACE_COMMAND,
	RACE_PAYLOAD,
	RACE_AVAILABLE, /* the heads in the available ring */
	RACE_PIXELS,	/* all of the shown resource's backing */
};

struct attack_race {
	enum race_place place;
	uint32_t offset;
	uint32_t bytes; /* 2, 4 or 8 */
	uint64_t bad;	/* good is what is there before */
	bool may_break;
	/* What makes the command good again. */
	void (*undo)(struct vgpu *vgpu);
};

/* For a row whose data is a struct attack_race. Each round is answered, or where it may, breaks the
 * queue, which is revived. */
void attack_race(struct attacker *attacker);

/* What a race rewrites. */
#define AT(at, size) .offset = (at), .bytes = (size)
#define FIELD(struct_type, field)                                                                  \
	AT(offsetof(struct struct_type, field), sizeof(((struct struct_type *)NULL)->field))

/* Memory that is plugged into the running machine, and unplugged. */
#define SPARE_GPA UINT64_C(0x200000000)
#define SPARE_SIDE 1024u
#define SPARE_BYTES (SPARE_SIDE * SPARE_SIDE * 4u)
/* Not every back-end takes memory away; then it says that this is no attack on it. */
bool attack_can_unplug(struct attacker *attacker);
/* Returns the region's index. */
unsigned int attack_plug(struct attacker *attacker);
void attack_unplug(struct attacker *attacker, unsigned int index);
/* The regions that a pause takes away are those that are there. */
void attack_forget_region(struct attacker *attacker, unsigned int index);

/* Blob @id over the shown resource's memory; false, and said so, where there are no blobs. */
bool attack_make_blob(struct attacker *attacker, uint32_t id);

/* A row's chain of one struct, with the type of the command. */
#define COMMAND(struct_type, command, ...)                                                         \
	.request = &(const struct struct_type){ .hdr.type = VIRTIO_GPU_CMD_##command,              \
						##__VA_ARGS__ },                                   \
	.request_size = sizeof(struct struct_type)
#define SENDS(...) .run = attack_send, .chain = { __VA_ARGS__ }
#define ANSWERED(name) .responses = { VIRTIO_GPU_RESP_##name }
#define BREAKS(function) .run = attack_break, .end = ATTACK_BREAKS, .lay = function

#endif
