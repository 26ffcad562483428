/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * A split virtqueue (virtio 1.3 §2.7), device side.
 *
 * Two sides meet here. The transport sets a queue up and takes it down; the
 * device pops and pushes. Every function takes the queue's lock for the time
 * of one ring operation, never longer, so that the transport can answer
 * VHOST_USER_GET_VRING_BASE at once, whatever a popped command is doing.
 *
 * The sides are two threads with one struct virtq, or two processes with one
 * each, joined by a struct virtq_state in memory that they share. What the
 * transport sets up is then its own, and goes to the device's process as a
 * view. Every change makes the views of before old at once, without asking:
 * with an old one no ring is touched, and a push is kept until the next comes.
 *
 * The device's process may be killed at any time. virtq_recover() makes the
 * queue whole; what was popped and not pushed is popped again by whoever
 * comes next with virtq_pop_lost(), and each chain is completed once. That
 * process may be hostile, too: it can spoil its queue, but neither crash the
 * transport nor hold up a call for longer than VIRTQ_PATIENCE_MS. In two
 * processes the transport is one thread, and calls the device side only while
 * there is no device's process.
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
#include "virtio/virtq_state.h" /* VIRTQ_MAX_SIZE */

/*
 * Longest chain. Linux hands a command over as one indirect table with an
 * entry a page, beyond the ring's size, so the ring's size is no bound; 4,096
 * pages are 16 MiB. Any user in a guest can have its kernel make a longer one,
 * so that it must not cost the queue: of such a table the first and the last
 * entry are kept, the command's head and the room for its answer, and the
 * device finds a command that lacks its body.
 */
#define VIRTQ_MAX_CHAIN 4096
/* How long the transport waits for the device's process to let go of the lock. */
#define VIRTQ_PATIENCE_MS 1000

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

/*
 * What the transport's process tells the device's process of a queue: plain
 * data and descriptors (-1: none), whose numbers only their process knows.
 */
struct virtq_view {
	uint32_t serial;
	uint32_t size;
	struct uva desc, avail, used;
	gint64 shrunk_us;
	bool has_addresses;
	bool is_started;
	bool is_enabled;
	bool has_event_idx;
	bool has_indirect;
	int kick_fd, call_fd, err_fd;
};

struct virtq {
	unsigned int index;
	struct virtq_state *state;  /* its lock guards everything below as well */
	struct virtq_state *shared; /* borrowed, the same one; NULL: state is owned */
	bool is_view;		    /* the setup below came by virtq_set_view() */
	/* The transport's truth, as the state may say anything. */
	uint32_t serial; /* of the setup below */
	uint32_t epoch;
	/* The lock was not to be had: until virtq_recover() state is an owned copy. */
	bool is_stuck;
	uint32_t stuck_epoch;

	struct guestmem *mem; /* owned reference */
	uint32_t size;
	struct uva desc_uva, avail_uva, used_uva;
	bool has_addresses;
	/* Into mem; NULL while the addresses are not mapped. */
	struct vring_desc *desc;
	struct vring_avail *avail;
	struct vring_used *used;

	int kick_fd, call_fd, err_fd; /* owned, or -1 */
	bool call_waits, err_waits;   /* a write to it may */
	uint32_t kick_serial;	      /* changes with kick_fd */
	bool is_started;
	bool is_enabled;
	bool is_waiting;  /* for memory that went a moment ago to come back */
	gint64 shrunk_us; /* when a region last went (g_get_monotonic_time()) */
	bool has_event_idx;
	bool has_indirect;

	GQueue deferred; /* struct virtq_chain.link */
	/* VIRTQ_MAX_CHAIN entries each: an indirect table, and what a walk finds. */
	struct vring_desc *scratch;
	struct virtq_buffer *found;
};

/* state: borrowed, as virtq_state_init() or virtq_recover() left it. NULL: one process. */
void virtq_init(struct virtq *vq, unsigned int index, struct virtq_state *state);
/* A state that was given stays as it is. */
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

/* The setup as it is now, but for the memory table. The descriptors are borrowed. */
void virtq_get_view(const struct virtq *vq, struct virtq_view *view_out);
/*
 * True: the device's process had the lock for longer than VIRTQ_PATIENCE_MS.
 * It must be killed, and virtq_recover() called. Until then the queue does not
 * run, and every change of the transport is heeded, without a wait. But a push
 * that was under way may still be written, so GET_VRING_BASE is to be answered
 * after the recovery, with what virtq_stop() says then.
 */
bool virtq_is_stuck(const struct virtq *vq);
/*
 * The device's process has ended, nothing of it runs any more. What it had
 * popped and not pushed is lost; a pop or push that it was in has been, or has
 * not been. The guest is interrupted, in case that this was not done. As the
 * guest may have been asked for no kicks, whoever comes next looks at the
 * rings first. The caller holds no chain of this queue.
 */
void virtq_recover(struct virtq *vq);

/* ---- device side ---- */

/* From now on this view, with the rings looked up in mem; its descriptors are consumed. */
void virtq_set_view(struct virtq *vq, const struct virtq_view *consume_fds, struct guestmem *mem);

/* A duplicate of the kick descriptor, or -1 if not started, and its serial. */
int virtq_kick_fd_dup(struct virtq *vq, uint32_t *serial_out);

/* chain_out is written on VIRTQ_OK only. Never VIRTQ_E_INVALID. */
enum virtq_status virtq_pop(struct virtq *vq, struct virtq_chain **chain_out)
	G_GNUC_WARN_UNUSED_RESULT;

/*
 * The lost chain that was popped first, as if popped now: to be pushed. If the
 * guest has spoilt its descriptors meanwhile it has no buffers. Returns as
 * virtq_pop(). Before anything else is popped, so that the order is kept.
 */
enum virtq_status virtq_pop_lost(struct virtq *vq, struct virtq_chain **chain_out)
	G_GNUC_WARN_UNUSED_RESULT;
/*
 * Is there one to pop now? Without the lock, which the device's process may
 * hold for as long as it likes: the transport looks while that process runs.
 */
bool virtq_has_lost(struct virtq *vq);

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

/* How full a queue is. */
struct virtq_look {
	uint32_t size;	    /* 0: the front-end has not said */
	uint32_t n_waiting; /* available, and not popped */
	uint32_t n_out;	    /* popped, and not pushed */
	bool is_running, is_broken;
};

/*
 * For who looks inside, on the transport's thread: of another process it waits
 * for no lock, so that what it finds may be a little wrong, but within size.
 */
void virtq_look(struct virtq *vq, struct virtq_look *look_out);

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
