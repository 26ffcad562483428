/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * Pictures sent without a copy. The frame's pages go into the socket as they
 * are (vmsplice(2) into a pipe, splice(2) from there), and the front-end's
 * read is the only time that their bytes are touched.
 *
 * Until the front-end has read them they must not change: a loan holds a
 * reference of the frame, so that who wants to write makes a copy. The kernel
 * tells how much is unread (SIOCOUTQ), which ends loans in order. A front-end
 * that never reads so holds some frames, and sees none of them torn.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/uio.h>

#include "util/frame.h"

/* More than fit a socket's buffer at once, by FRAME_MIN_MAPPED_BYTES. */
#define VUG_MAX_LOANS 16

struct vug_loan {
	struct frame *frame;   /* owned reference */
	uint64_t end_bytes;    /* the last one lies before this, of all that was sent */
};

struct vug_loans {
	bool is_unavailable; /* this kernel, limit or sandbox does not let us; for good */
	int pipe[2];	     /* owned, -1: not yet needed */
	size_t piped_bytes;  /* in the pipe, the next to go into the socket */
	int n;		     /* atomic, so that anyone may ask if there are any */
	struct vug_loan loans[VUG_MAX_LOANS];
};

/* Is this kernel one that lending is for: Linux since 6.5? */
bool vug_loans_suit_kernel(void);

void vug_loans_init(struct vug_loans *loans);

/*
 * The channel is given up. Who still reads from it may find later pixels in
 * what was lent; QEMU closes its end first.
 */
void vug_loans_clear(struct vug_loans *loans);

/* Is it possible, and does it pay, to lend rows of that many bytes? */
bool vug_loans_accept(struct vug_loans *loans, const struct frame *frame, size_t row_bytes,
		      size_t total_bytes);

/*
 * Send some of iov's bytes without waiting: the same bytes again, from where
 * the last call ended, until all are out. Bytes, -EAGAIN, -ENOTSUP: not
 * possible after all, copy them; else -errno.
 */
ssize_t vug_loans_send(struct vug_loans *loans, int fd, const struct iovec *iov, size_t n_iov);

/* All of frame's bytes were sent, sent_bytes is where they end. */
void vug_loans_add(struct vug_loans *loans, struct frame *consume_frame, uint64_t sent_bytes);

/* End the loans of what the front-end has read. */
void vug_loans_settle(struct vug_loans *loans, int fd, uint64_t sent_bytes);
