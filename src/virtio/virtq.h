/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * A split virtqueue (virtio 1.3 §2.7), device side.
 *
 * Two threads meet here. The transport sets a queue up and takes it down; the
 * device pops and pushes. Every function takes the queue's lock for the time
 * of one ring operation, never longer, so that the transport can answer
 * VHOST_USER_GET_VRING_BASE at once, whatever a popped command is doing.
 *
 * What was popped but not pushed when a queue stops stays with the device. A
 * push onto a stopped queue is kept, and written when the queue starts again
 * where it stopped (the VM was paused); after a reset it is dropped. So a
 * paused guest finds each chain completed once, and nothing is written to a
 * ring after its base was answered.
 *
 * Front-ends take regions away and give them back in other pieces while the
 * guest runs. For a moment after one went, a chain outside the memory stays in
 * its ring; then it is the guest's fault.
 *
 * A guest that breaks the rules breaks its queue: virtq_pop() says so from
 * then on and the error eventfd is signalled, until the queue is set up anew.
 */
#pragma once

#include <glib.h>
#include <linux/virtio_ring.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "virtio/guestmem.h"

/* Largest ring that we offer (vhost-user has no message to say so; QEMU's limit is 1024 too). */
#define VIRTQ_MAX_SIZE 1024
/*
 * Longest chain. Linux hands a command over as one indirect table with an
 * entry a page, beyond the ring's size, so the ring's size is no bound; 4,096
 * pages are 16 MiB. Any user in a guest can have its kernel make a longer one,
 * so that it must not cost the queue: of such a table the first and the last
 * entry are kept, the command's head and the room for its answer, and the
 * device finds a command that lacks its body.
 */
#define VIRTQ_MAX_CHAIN 4096

enum virtq_status {
	VIRTQ_OK = 0,
	VIRTQ_E_EMPTY,	 /* nothing available, or the queue is not running */
	VIRTQ_E_BROKEN,	 /* the guest broke the ring's rules */
	VIRTQ_E_INVALID, /* the front-end's request makes no sense in this state */
};

struct virtq_buffer {
	struct gpa gpa;
	uint32_t length_bytes;
};

/* A popped chain: a private copy of its descriptors. Owned by the popper until pushed. */
struct virtq_chain {
	uint16_t head;
	uint32_t epoch; /* of the queue when popped; see virtq_reset() */
	uint32_t n_readable;
	uint32_t n_writable;
	uint64_t readable_bytes;
	uint64_t writable_bytes;
	struct guestmem *mem; /* owned reference: the table that its buffers were checked in */
	GList link; /* struct virtq.deferred, once completed on a stopped queue */
	void *deferred_response;
	size_t deferred_bytes;
	struct virtq_buffer buffers[]; /* readable ones first */
};

struct virtq {
	unsigned int index;
	GMutex lock; /* everything below */

	struct guestmem *mem; /* owned reference */
	uint32_t size;
	struct uva desc_uva, avail_uva, used_uva;
	bool has_addresses;
	/* Into mem; NULL while the addresses are not mapped. */
	struct vring_desc *desc;
	struct vring_avail *avail;
	struct vring_used *used;

	int kick_fd, call_fd, err_fd; /* owned, or -1 */
	uint32_t kick_serial;	      /* changes with kick_fd */
	bool is_started;
	bool is_enabled;
	bool is_broken;
	bool is_waiting;   /* for memory that went a moment ago to come back */
	gint64 shrunk_us;  /* when a region last went (g_get_monotonic_time()) */
	bool has_event_idx;
	bool has_indirect;

	uint32_t epoch;
	uint32_t n_out; /* popped in this epoch, not yet pushed: at most size */
	uint16_t last_avail; /* next entry of the avail ring to pop */
	uint16_t used_index; /* next entry of the used ring to write */
	uint16_t signalled;  /* used_index at the last interrupt */
	bool is_signalled_valid;
	bool is_notify_due; /* pushed since the last virtq_notify() */
	GQueue deferred;    /* struct virtq_chain.link */
	/* VIRTQ_MAX_CHAIN entries each: an indirect table, and what a walk finds. */
	struct vring_desc *scratch;
	struct virtq_buffer *found;
};

void virtq_init(struct virtq *vq, unsigned int index);
void virtq_finish(struct virtq *vq);

/* ---- transport side ---- */

/* Features of the ring, from the acknowledged device features. */
void virtq_set_features(struct virtq *vq, bool has_event_idx, bool has_indirect);
/* A new table; the ring's own addresses are looked up again in it. */
void virtq_set_memory(struct virtq *vq, struct guestmem *mem);
/* A power of two up to VIRTQ_MAX_SIZE; not while running. */
enum virtq_status virtq_set_size(struct virtq *vq, uint32_t size) G_GNUC_WARN_UNUSED_RESULT;
/* Misaligned or unmapped: VIRTQ_E_INVALID, and the queue does not run. */
enum virtq_status virtq_set_addresses(struct virtq *vq, struct uva desc, struct uva avail,
				      struct uva used) G_GNUC_WARN_UNUSED_RESULT;
/* Another base than where the queue stopped: chains still out are dropped. */
enum virtq_status virtq_set_base(struct virtq *vq, uint16_t last_avail) G_GNUC_WARN_UNUSED_RESULT;
/* consume_fd may be -1. Setting a kick starts the queue. */
void virtq_set_kick(struct virtq *vq, int consume_fd);
void virtq_set_call(struct virtq *vq, int consume_fd);
void virtq_set_err(struct virtq *vq, int consume_fd);
void virtq_set_enabled(struct virtq *vq, bool is_enabled);
/* Nothing is popped or written after this returns. The result is the base. */
uint16_t virtq_stop(struct virtq *vq);
/* The device was reset: stop, and forget every chain that is out. */
void virtq_reset(struct virtq *vq);

/* ---- device side ---- */

/* A duplicate of the kick descriptor, or -1 if not started, and its serial. */
int virtq_kick_fd_dup(struct virtq *vq, uint32_t *serial_out);

/* chain_out is written on VIRTQ_OK only. Never VIRTQ_E_INVALID. */
enum virtq_status virtq_pop(struct virtq *vq, struct virtq_chain **chain_out)
	G_GNUC_WARN_UNUSED_RESULT;

/*
 * Copy of the readable bytes at offset; false if they are not all there. From
 * the memory as it was at the pop, so that a change of the table meanwhile
 * spoils no command. virtq_chain_release(): no more will be read.
 */
bool virtq_chain_read(const struct virtq_chain *chain, uint64_t offset, void *to,
		      size_t length_bytes);
void virtq_chain_release(struct virtq_chain *chain);

/* Complete with these bytes, cut to what the guest left room for. */
void virtq_push(struct virtq *vq, struct virtq_chain *consume_chain, const void *response,
		size_t length_bytes);

/* Interrupt the guest if it wants that for what was pushed since the last time. */
void virtq_notify(struct virtq *vq);

/* Is there an entry to pop? A look, for who is awake. */
bool virtq_has_avail(struct virtq *vq);

/*
 * Ask for a kick at the next entry. True if an entry came meanwhile: pop on.
 * virtq_suppress(): no kicks wanted, we are awake.
 */
bool virtq_rearm(struct virtq *vq);
void virtq_suppress(struct virtq *vq);

/* Drop without completing: the queue was reset since it was popped. */
void virtq_chain_discard(struct virtq_chain *chain);

/* Was the queue reset since this chain was popped? */
bool virtq_chain_is_stale(struct virtq *vq, const struct virtq_chain *chain);
