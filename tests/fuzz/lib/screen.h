/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * A front-end's end of a display channel: reads what it is sent, checks that
 * QEMU could bear it (src/display/vhost_user_gpu.c), and replies when told to.
 */
#pragma once

#include <glib.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "display/display.h"
#include "display/vug_wire.h"
#include "input.h"

struct screen {
	int fd;			  /* owned; -1: none */
	struct vug_header header; /* of the message that is being read */
	uint64_t got_bytes;	  /* of it, header included */
	uint8_t body[48];	  /* its first bytes */
	bool has_fd;		  /* a descriptor came with it */
	struct {
		uint32_t width, height; /* of the surface, or buffer; 0: none */
		bool is_full_due;
		bool is_dmabuf; /* kept beyond its channel, as QEMU does */
	} surfaces[DISPLAY_MAX_SCANOUTS];
	unsigned int n_draws, n_drawn; /* updates of buffers, and answers to them */
	bool is_later;		       /* there was a channel before this one */
	bool has_lied;		       /* it has sent bytes that may be any answer */
	GQueue questions; /* requests that want a reply, oldest first */
};

void screen_init(struct screen *screen);
/* Hangs up, too. */
void screen_finish(struct screen *screen);
/* A new channel, in place of the one before; the other end is the caller's. */
int screen_connect(struct screen *screen);
void screen_hang_up(struct screen *screen);

/* Read up to so many bytes, without waiting. */
void screen_read(struct screen *screen, size_t max_bytes);
/* To be received by the other end, bytes as they are. */
void screen_send(struct screen *screen, const void *bytes, size_t size_bytes);
/*
 * A reply to the oldest question, as it should be; now and then to what nobody
 * asked, or of another size. Waits a moment for a question.
 */
void screen_reply(struct screen *screen, struct fuzz_input *in);
/* Wait a moment for the other end to receive all that was sent. */
void screen_let_hear(struct screen *screen);
/* The same for a question to come. */
void screen_await_question(struct screen *screen);
