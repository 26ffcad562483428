/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * Who answers, in the process that serves a VM.
 *
 * Belongs to the transport thread, but for the functions that say otherwise,
 * and never waits. A text goes out at once or not at all (answer.h). Of pictures
 * there is one on its way at a time, for so long at most, and so many begin in a
 * second.
 */
#pragma once

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

#include "control/answer.h"
#include "control/question.h"
#include "engine/engine.h"
#include "gpu/command.h"
#include "options.h"
#include "renderer/renderer.h"
#include "util/frame.h"
#include "util/loop.h"
#include "virtio/virtq.h"

#define DESK_PICTURE_US (2 * G_USEC_PER_SEC) /* to be had, and the same again to be read in */
#define DESK_PICTURES_A_SECOND 10

/* What is asked of the rest of this process, when it is to be told. */
struct desk_facts {
	uint64_t features, protocol_features; /* acknowledged */
	struct virtq_look queues[COMMAND_N_QUEUES];
};

struct desk_options {
	const struct options *options;	  /* borrowed */
	const struct renderer_caps *caps; /* borrowed */
	const struct quota *quota;	  /* borrowed */
	struct loop *loop;		  /* borrowed */
	struct engine *engine;		  /* borrowed; started */
	uint32_t vm;			  /* its number */
	int front_end_pid;		  /* 0: not known */
	/* On the loop's thread. */
	void (*look)(void *data, struct desk_facts *facts_out);
	/*
	 * The screens have changed; desk_mode_told() says with the same serial what
	 * came of it. 0 or -errno.
	 */
	int (*tell_mode)(void *data, uint32_t serial);
	void *data;
};

struct desk;

/*
 * Where its questions come from. channel_fd: a SOCK_SEQPACKET of the listener's,
 * each message a question with its connection, or without one, which nobody
 * waits for the answer of; door_fd: the control socket itself. One of the two
 * is -1; both are gone either way. Returns 0 or -errno.
 */
int desk_create(const struct desk_options *options, int consume_channel_fd, int consume_door_fd,
		struct desk **desk_out) G_GNUC_WARN_UNUSED_RESULT;
/* No upcall comes any more; the engine was stopped. NULL is fine. */
void desk_destroy(struct desk *desk);

/* From any thread, as engine_options.grabbed(); it wakes the loop, and that calls desk_woken(). */
void desk_grabbed(struct desk *desk, uint32_t scanout_id, struct frame *consume_frame,
		  const struct rect *view);
void desk_grabbed_cursor(struct desk *desk, uint32_t scanout_id, uint32_t *consume_pixels);
/* The same, as engine_options.mode_set(). */
void desk_mode_set(struct desk *desk, uint32_t scanout_id, uint32_t width, uint32_t height);
void desk_woken(struct desk *desk);
/* error 0: the front-end has told the guest. Of an older serial nobody wants to know. */
void desk_mode_told(struct desk *desk, uint32_t serial, int error);

/* Of questions that are the program's: the level, here; and the list, of this VM alone. */
void desk_begin_vms(struct answer *answer, const struct options *options);
void desk_add_vm(struct answer *answer, uint32_t vm, int pid, int front_end_pid);
