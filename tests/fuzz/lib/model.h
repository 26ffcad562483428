/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * What a virtio-gpu device has to answer: a second opinion on every command,
 * from the specification and from what it knows to exist (resources and their
 * backings, contexts), with no code of src/gpu in it.
 *
 * A command joins by a line in the table of model.c. One that has none there
 * is made of random bytes, and may be answered as it likes.
 */
#pragma once

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

#include "gpu/command.h"
#include "guest.h"
#include "input.h"

/* Any answer is right. */
#define MODEL_ANY GPU_RESP_PENDING

/* Are the pages of a backing in the memory table of the moment? */
enum model_mapping {
	MODEL_UNMAPPED,
	MODEL_MAPPED,
	MODEL_UNSURE,
};

struct model_resource {
	uint32_t id;
	bool is_2d;
	uint32_t width, height, depth, layers, last_level;
	bool has_backing;
	uint64_t backing_bytes;
	GArray *entries; /* of struct virtio_gpu_mem_entry, or NULL */
	enum model_mapping mapping;
	bool is_lost; /* went with its device: its id is taken, and it can be ended */
	bool is_blob; /* then width, height and the like are 0 */
	struct blob_desc blob;
	bool is_in_window; /* mapped, or that was asked for */
	uint64_t window_offset, window_bytes;
	uint64_t window_serial; /* of that question */
};

struct model_scanout {
	uint32_t resource_id; /* 0: off */
	bool is_blob;
	uint32_t width, height; /* of a blob's picture */
};

struct model {
	const struct fuzz_guest *guest;
	const struct renderer *renderer;
	/* What the renderer may say to a command that nothing is wrong with: anything, or yes. */
	bool is_exact;
	unsigned int mask;     /* of the regions in the memory table */
	uint64_t features;     /* acknowledged */
	GArray *ids;	       /* of the resources, in the order of their making */
	GHashTable *resources; /* id -> struct model_resource, owned */
	struct model_scanout scanouts[VIRTIO_GPU_MAX_SCANOUTS];
	uint64_t window_bytes; /* host-visible; 0: there is none */
	bool is_window_deaf;   /* the front-end can't be asked just now */
	uint64_t last_serial;
	GArray *contexts;      /* ids */
	GArray *lost_contexts; /* likewise */
};

/* A command as it goes into a chain. */
struct model_call {
	unsigned int queue;
	uint32_t size_bytes;
	union {
		union gpu_request
			request; /* little-endian as on the wire, like all hosts of tests */
		uint8_t bytes[FUZZ_SLOT_BYTES];
	};
};

struct model_verdict {
	enum gpu_resp resp;	 /* or MODEL_ANY */
	uint32_t response_bytes; /* header included, if resp is a success */
	uint64_t takes_bytes;	 /* of host memory: where there is not so much, it may be refused */
	bool has_effect;	 /* model_apply() has something to do */
};

void model_init(struct model *model, const struct fuzz_guest *guest,
		const struct renderer *renderer, bool is_exact);
void model_finish(struct model *model);

/* Make a command, good as a rule; its header's type and queue are set. */
void model_make(const struct model *model, struct fuzz_input *in, struct model_call *call_out);

/* What call, which may be anything, has to be answered. */
struct model_verdict model_judge(const struct model *model, const struct model_call *call);
/* It was answered so. */
void model_apply(struct model *model, const struct model_call *call, enum gpu_resp resp);

bool model_has_feature(const struct model *model, unsigned int bit);
void model_set_memory(struct model *model, unsigned int mask);
/* Everything that the guest made is gone. */
void model_reset(struct model *model);
/* The device died, and one on this renderer was made of its records: 3D is lost. */
void model_lose(struct model *model, const struct renderer *renderer);
void model_lose_resource(struct model_resource *resource);
/* What resource id is mapped by; 0: it is not. */
uint64_t model_window_serial(const struct model *model, uint32_t id);
/* The front-end refused the mapping of that serial, which the resource may no longer have. */
void model_window_refuse(struct model *model, uint32_t id, uint64_t serial);
