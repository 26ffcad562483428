/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * The keeper's side of a process engine, in three files:
 *
 * process_engine.c  the life of renderer processes, and what a death means
 * keeper_out.c      what a renderer process is told
 * keeper_in.c       what it says
 */
#pragma once

#include "display/display.h"
#include "engine/engine.h"
#include "engine/keepsakes.h"
#include "engine/link.h"
#include "engine/mappings.h"
#include "engine/relay.h"
#include "engine/spawner.h"
#include "util/arena.h"

/* What a display answered, for a renderer process. */
struct keeper_answer {
	enum link_type type;
	struct link_answer body;
};

/* What the display is asked; it knows it by number. */
struct keeper_question {
	uint64_t number;
	uint64_t token; /* of the renderer process that asked */
};

struct process_engine {
	struct engine base;
	struct link_shared *shared; /* owned mapping, of the renderer processes as well */
	struct spawner spawner;
	struct loop_source spawner_source, link_source, news_source, busy_source;
	struct relay relay; /* of renderer processes' stderr */
	struct loop_timer watchdog, restart;
	int news_fd;	 /* eventfd: of the display's threads */
	int busy_fds[2]; /* sockets: at the second one who renders says that it got busy */
	struct display *display;

	/* The renderer process of the moment. */
	int link_fd; /* -1: none */
	pid_t pid;   /* 0: none */
	bool is_running;       /* it has a device */
	bool is_killed;	       /* we asked for its end */
	bool is_3d_off;	       /* it is one of our own code */
	unsigned int n_crashes; /* in a row */
	gint64 started_us;
	gint64 outwaited_us; /* the command of that time was waited for as long as one is */
	void *buffer; /* of link_receive() */
	struct arena_view *view; /* its pictures; NULL: not known yet */
	int held[LINK_N_SLOTS];	 /* atomic: pictures that our display reads, whoever made them */
	struct dmabuf *dmabufs[LINK_N_DMABUFS]; /* owned references: its buffers, checked; or NULL */

	/* What it is to know. */
	uint64_t features;
	struct guestmem *mem;
	uint32_t generation;
	struct keepsakes keepsakes;
	struct mappings mappings; /* what it has in the guest's window */

	/* And was not told yet. */
	bool is_reset_due, is_features_due, is_memory_due;
	uint32_t due_queues; /* a bit for each */
	GQueue to_restore;   /* struct keepsake */
	bool is_started;     /* START was sent */
	GHashTable *told_regions; /* ids, of the last whole table */
	struct guestmem *telling; /* this table is being told, from region next_region on; or NULL */
	size_t next_region;
	bool wants_output;

	/* News of the display, from any thread. */
	GMutex lock;
	bool is_ready_due;
	struct link_taken taken;
	GQueue answers; /* struct keeper_answer */
	/* Of this renderer process, as asked of the display; see keeper_out_ask(). */
	GHashTable *questions; /* number -> struct keeper_question, not answered */
	uint64_t last_number;  /* of them */

	/* For who looks inside. */
	unsigned int n_restarts;
	bool has_level, is_level_due;		/* one was set since the spawner was forked */
	uint32_t due_grabs, due_cursor_grabs;	/* a bit for each scanout */
	uint32_t open_grabs, open_cursor_grabs; /* told, and owed an answer */
	uint32_t due_modes, known_modes;
	struct link_mode modes[DISPLAY_MAX_SCANOUTS]; /* of known_modes */
};

/*
 * What a renderer process may ask of the display at a time, until it is told
 * the answers: a ring's commands, with room to spare.
 */
#define KEEPER_MAX_QUESTIONS 4096

/* Look now and then whether the renderer process hangs. */
void keeper_watch(struct process_engine *engine);

/* Nothing is told yet to this renderer process. */
void keeper_out_begin(struct process_engine *engine);
void keeper_out_end(struct process_engine *engine);
/* Tell what can be told without waiting. */
void keeper_out_pump(struct process_engine *engine);
/* That picture of that scanout, and those before it, wait no more: from any thread. */
void keeper_picture_went(struct process_engine *engine, uint32_t scanout_id, uint32_t serial);
/* With the lock held: the renderer process is to know what the display is like now. */
void keeper_note_display(struct process_engine *engine);
/* Ask the display, or answer "none". False: too many are waiting. */
bool keeper_out_ask(struct process_engine *engine, enum link_type answer_type, uint64_t token,
		    uint32_t scanout_id);

/* For display_create_*(), data: the engine. */
extern const struct display_listener keeper_display_listener;

/* Messages that are there, up to max. 0, -EAGAIN: there are no more; -EPIPE: it ended; -EBADMSG: it is out of its mind. */
int keeper_in_take(struct process_engine *engine, unsigned int max) G_GNUC_WARN_UNUSED_RESULT;
