/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * What a renderer process has had the front-end map into the guest's
 * host-visible window, and what the front-end has not said to it yet.
 *
 * The process may have been taken over: its numbers are checked here, and so
 * is the file, of which the front-end maps what the guest will touch. Of the
 * transport thread, as engine_options.map() and unmap() are, which it calls.
 */
#pragma once

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

#include "engine/engine.h"
#include "engine/link.h"
#include "gpu/mapper.h"
#include "util/lockdown.h"

/*
 * Of a process, until it is told the answers: one that unmaps all of its
 * ranges in one go, with a ring's commands besides, stays below.
 */
#define MAPPINGS_MAX_QUESTIONS (2 * MAPPER_MAX_RANGES)

struct mappings {
	const struct engine_options *options; /* borrowed */
	/* Offset -> struct mapping: asked to be mapped, and not to be unmapped again. */
	GTree *ranges;
	GQueue questions;     /* struct mappings_question, in their order, until told */
	GList *unanswered;    /* of these, the first one that the front-end owes an answer */
	uint64_t last_number; /* a question's, each of which comes once */
};

void mappings_init(struct mappings *mappings, const struct engine_options *options);
void mappings_finish(struct mappings *mappings);

/*
 * The renderer process asks. What an honest one may ask for is answered, be it
 * with a refusal; false: this one is not.
 */
bool mappings_map(struct mappings *mappings, const struct link_mapping *ask,
		  int fd_borrow) G_GNUC_WARN_UNUSED_RESULT;
bool mappings_unmap(struct mappings *mappings,
		    const struct link_mapping *ask) G_GNUC_WARN_UNUSED_RESULT;

/* As engine_mapped(). */
void mappings_answered(struct mappings *mappings, uint64_t number, int error);

/* The next answer for the renderer process, in the order of its questions. False: none yet. */
bool mappings_peek_answer(struct mappings *mappings, struct link_mapped *answer_out);
/* That one was told. */
void mappings_drop_answer(struct mappings *mappings);

/*
 * The renderer process is no more, or has forgotten all that it had mapped:
 * each range is asked to be unmapped, and nobody waits for answers.
 */
void mappings_take_back(struct mappings *mappings);
/*
 * The front-end has reset the device, and has unmapped all of it by itself;
 * but for what it had not answered yet, and may have mapped afterwards.
 */
void mappings_reset(struct mappings *mappings);

/* Of who looks at files. */
extern lockdown_names mappings_calls;
