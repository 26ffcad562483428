/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * Guest memory is read once: each index is loaded into a local with one
 * access, checked there and used from there. The guest may write to the ring
 * at any time; all it can do by that is to break its own queue.
 *
 * The running state may lie in memory that the device's process writes. The
 * transport keeps to itself what it must be able to rely on: the setup, its
 * serial and the epoch, which it only ever publishes there.
 */
#include "virtio/virtq.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

#include "util/log.h"
#include "virtio/virtq_walk.h"

#define ALIGN_DESC 16
#define ALIGN_AVAIL 2
#define ALIGN_USED 4
#define MEMORY_GRACE_US (100 * 1000)

static uint16_t load_u16(const __virtio16 *at)
{
	return le16toh(__atomic_load_n(at, __ATOMIC_RELAXED));
}

static uint16_t load_acquire_u16(const __virtio16 *at)
{
	return le16toh(__atomic_load_n(at, __ATOMIC_ACQUIRE));
}

static void store_release_u16(__virtio16 *at, uint16_t value)
{
	__atomic_store_n(at, htole16(value), __ATOMIC_RELEASE);
}

static void full_barrier(void)
{
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
}

static void close_fd(int *fd)
{
	if (*fd >= 0) {
		close(*fd);
		*fd = -1;
	}
}

/* Of a transport whose device is another process. */
static bool is_apart(const struct virtq *vq)
{
	return vq->shared != NULL && !vq->is_view;
}

/* An eventfd that nobody reads would hold up the queue for good. Most don't wait; the flag is the peer's. */
static bool may_wait(int fd)
{
	return fd >= 0 && (fcntl(fd, F_GETFL) & O_NONBLOCK) == 0;
}

static bool is_writable(int fd)
{
	struct pollfd pollfd = { .fd = fd, .events = POLLOUT };

	return poll(&pollfd, 1, 0) == 1 && pollfd.revents & POLLOUT;
}

static void signal_fd(const struct virtq *vq, int fd)
{
	uint64_t one = 1;

	bool waits = fd == vq->call_fd ? vq->call_waits : vq->err_waits;

	/* Where the device's process has it as well, that may change the flag. */
	if (fd >= 0 && ((!is_apart(vq) && !waits) || is_writable(fd))) {
		ssize_t ignored = write(fd, &one, sizeof(one));
		(void)ignored;
	}
}

static struct virtq_state *create_state(void)
{
	struct virtq_state *state = g_new(struct virtq_state, 1);

	virtq_state_init(state);
	return state;
}

void virtq_init(struct virtq *vq, unsigned int index, struct virtq_state *state)
{
	*vq = (struct virtq){
		.index = index,
		.state = state != NULL ? state : create_state(),
		.shared = state,
		.kick_fd = -1,
		.call_fd = -1,
		.err_fd = -1,
	};
	g_queue_init(&vq->deferred);
	vq->mem = guestmem_create_empty();
	vq->scratch = g_new(struct vring_desc, VIRTQ_MAX_CHAIN);
	vq->found = g_new(struct virtq_buffer, VIRTQ_MAX_CHAIN);
}

void virtq_chain_release(struct virtq_chain *chain)
{
	g_clear_pointer(&chain->mem, guestmem_unref);
}

void virtq_chain_discard(struct virtq_chain *chain)
{
	virtq_chain_release(chain);
	g_free(chain->deferred_response);
	g_free(chain);
}

static void drop_deferred(struct virtq *vq)
{
	GList *link;

	while ((link = g_queue_pop_head_link(&vq->deferred)) != NULL) {
		virtq_chain_discard(link->data);
	}
}

static void close_fds(struct virtq *vq)
{
	close_fd(&vq->kick_fd);
	close_fd(&vq->call_fd);
	close_fd(&vq->err_fd);
}

void virtq_finish(struct virtq *vq)
{
	drop_deferred(vq);
	close_fds(vq);
	guestmem_unref(vq->mem);
	vq->mem = NULL;
	g_clear_pointer(&vq->scratch, g_free);
	g_clear_pointer(&vq->found, g_free);
	if (vq->state != vq->shared) {
		g_free(vq->state);
	}
	vq->state = NULL;
}

/* Is the setup the one that the transport means? */
static bool is_current(const struct virtq *vq)
{
	if (vq->is_view) {
		return __atomic_load_n(&vq->state->setup_serial, __ATOMIC_ACQUIRE) == vq->serial;
	}
	return !vq->is_stuck;
}

static bool is_running(const struct virtq *vq)
{
	return vq->is_started && vq->is_enabled && !vq->state->is_broken && vq->desc != NULL &&
	       is_current(vq);
}

static void mark_broken(struct virtq *vq, const char *why)
{
	log_warn("queue %u: %s; the queue is stopped until the driver resets it", vq->index, why);
	vq->state->is_broken = 1;
	signal_fd(vq, vq->err_fd);
}

/* ---- transport side ---- */

/*
 * Who has the lock may be stopped in the middle of a ring operation, and go
 * on later. So nothing of the shared state may be changed now. The transport
 * goes on with a copy, which virtq_recover() puts in the place of the shared
 * one if it says more about the queue than that does.
 */
static void go_alone(struct virtq *vq)
{
	struct virtq_state *copy = create_state();

	log_error("queue %u: the device's process does not let go of its lock", vq->index);
	*copy = *vq->shared;
	shared_lock_init(&copy->lock);
	vq->state = copy;
	vq->stuck_epoch = vq->epoch;
	vq->is_stuck = true;
}

static void come_back(struct virtq *vq)
{
	struct virtq_state *copy = vq->state;

	if (vq->epoch != vq->stuck_epoch) {
		*vq->shared = *copy;
	} else {
		vq->shared->is_broken = copy->is_broken;
	}
	vq->state = vq->shared;
	vq->is_stuck = false;
	g_free(copy);
}

/* Around every change of the setup. Views of before are old from here on. */
static void begin_change(struct virtq *vq)
{
	if (vq->shared == NULL) {
		shared_lock_take(&vq->state->lock);
		return;
	}
	if (!vq->is_stuck &&
	    !shared_lock_take_within(&vq->state->lock,
				     VIRTQ_PATIENCE_MS * G_TIME_SPAN_MILLISECOND)) {
		go_alone(vq);
	}
	vq->serial++;
	__atomic_store_n(&vq->shared->setup_serial, vq->serial, __ATOMIC_RELEASE);
}

static void end_change(struct virtq *vq)
{
	if (!vq->is_stuck) {
		shared_lock_release(&vq->state->lock);
	}
}

/* Whatever is out belongs to a former life of the ring. */
static void begin_epoch(struct virtq *vq, uint16_t base)
{
	vq->epoch++;
	virtq_state_begin(vq->state, vq->epoch, base);
	drop_deferred(vq);
}

/* The index in the ring is the one that counts; the state notes what it tells. */
static void see_used(struct virtq *vq)
{
	virtq_state_see_used(vq->state, load_u16(&vq->used->idx));
}

void virtq_set_features(struct virtq *vq, bool has_event_idx, bool has_indirect)
{
	begin_change(vq);
	vq->has_event_idx = has_event_idx;
	vq->has_indirect = has_indirect;
	end_change(vq);
}

/* Look the three rings up. Without all of them the queue does not run. */
static bool map_rings(struct virtq *vq)
{
	uint64_t n = vq->size;
	/* Both rings carry an event index behind their entries (§2.7.6, §2.7.8). */
	uint64_t avail_bytes = sizeof(struct vring_avail) + (n + 1) * sizeof(__virtio16);
	uint64_t used_bytes =
		sizeof(struct vring_used) + n * sizeof(struct vring_used_elem) + sizeof(__virtio16);

	vq->desc = NULL;
	vq->avail = NULL;
	vq->used = NULL;
	if (!vq->has_addresses || n == 0) {
		return false;
	}
	void *desc = guestmem_at_uva(vq->mem, vq->desc_uva, n * sizeof(struct vring_desc));
	void *avail = guestmem_at_uva(vq->mem, vq->avail_uva, avail_bytes);
	void *used = guestmem_at_uva(vq->mem, vq->used_uva, used_bytes);
	if (desc == NULL || avail == NULL || used == NULL) {
		return false;
	}
	if ((uintptr_t)desc % ALIGN_DESC != 0 || (uintptr_t)avail % ALIGN_AVAIL != 0 ||
	    (uintptr_t)used % ALIGN_USED != 0) {
		return false;
	}
	vq->desc = desc;
	vq->avail = avail;
	vq->used = used;
	return true;
}

static void write_deferred(struct virtq *vq);

/* After any change: if the queue runs (again), complete what had to wait. */
static void settle(struct virtq *vq)
{
	if (is_running(vq)) {
		write_deferred(vq);
	}
}

void virtq_set_memory(struct virtq *vq, struct guestmem *mem)
{
	begin_change(vq);
	struct guestmem *old = vq->mem;
	vq->mem = guestmem_ref(mem);
	vq->is_waiting = false;
	if (guestmem_n_regions(mem) < guestmem_n_regions(old)) {
		vq->shrunk_us = g_get_monotonic_time();
	}
	if (map_rings(vq)) {
		see_used(vq);
	}
	settle(vq);
	end_change(vq);
	guestmem_unref(old);
}

enum virtq_status virtq_set_size(struct virtq *vq, uint32_t size)
{
	enum virtq_status status = VIRTQ_E_INVALID;

	begin_change(vq);
	if (size > 0 && size <= VIRTQ_MAX_SIZE && (size & (size - 1)) == 0 && !vq->is_started) {
		vq->size = size;
		map_rings(vq);
		status = VIRTQ_OK;
	}
	end_change(vq);
	return status;
}

enum virtq_status virtq_set_addresses(struct virtq *vq, struct uva desc, struct uva avail,
				      struct uva used)
{
	enum virtq_status status = VIRTQ_E_INVALID;

	begin_change(vq);
	vq->desc_uva = desc;
	vq->avail_uva = avail;
	vq->used_uva = used;
	vq->has_addresses = true;
	if (map_rings(vq)) {
		see_used(vq);
		vq->state->is_signalled_valid = 0;
		vq->state->is_broken = 0;
		settle(vq);
		status = VIRTQ_OK;
	}
	end_change(vq);
	return status;
}

enum virtq_status virtq_set_base(struct virtq *vq, uint16_t last_avail)
{
	enum virtq_status status = VIRTQ_E_INVALID;

	begin_change(vq);
	if (!vq->is_started) {
		if (virtq_state_base(vq->state) != last_avail) {
			begin_epoch(vq, last_avail);
		}
		vq->state->is_broken = 0;
		status = VIRTQ_OK;
	}
	end_change(vq);
	return status;
}

void virtq_set_kick(struct virtq *vq, int consume_fd)
{
	begin_change(vq);
	close_fd(&vq->kick_fd);
	vq->kick_fd = consume_fd;
	vq->kick_serial++;
	if (!vq->is_started && vq->used != NULL) {
		/* Also when the memory came after the addresses. */
		see_used(vq);
	}
	vq->is_started = true;
	settle(vq);
	end_change(vq);
}

void virtq_set_call(struct virtq *vq, int consume_fd)
{
	begin_change(vq);
	close_fd(&vq->call_fd);
	vq->call_fd = consume_fd;
	vq->call_waits = may_wait(consume_fd);
	/* What was completed before there was anyone to tell. */
	vq->state->is_signalled_valid = 0;
	if (is_running(vq)) {
		signal_fd(vq, vq->call_fd);
	}
	end_change(vq);
}

void virtq_set_err(struct virtq *vq, int consume_fd)
{
	begin_change(vq);
	close_fd(&vq->err_fd);
	vq->err_fd = consume_fd;
	vq->err_waits = may_wait(consume_fd);
	if (vq->state->is_broken) {
		signal_fd(vq, vq->err_fd);
	}
	end_change(vq);
}

void virtq_set_enabled(struct virtq *vq, bool is_enabled)
{
	begin_change(vq);
	vq->is_enabled = is_enabled;
	settle(vq);
	end_change(vq);
}

static uint16_t stop_locked(struct virtq *vq)
{
	vq->is_started = false;
	vq->state->is_broken = 0;
	close_fd(&vq->kick_fd);
	vq->kick_serial++;
	return virtq_state_base(vq->state);
}

uint16_t virtq_stop(struct virtq *vq)
{
	begin_change(vq);
	uint16_t base = stop_locked(vq);
	end_change(vq);
	return base;
}

void virtq_reset(struct virtq *vq)
{
	begin_change(vq);
	stop_locked(vq);
	vq->is_enabled = false; /* "disable all rings", says the specification of RESET_DEVICE */
	vq->has_addresses = false;
	map_rings(vq);
	vq->state->used_index = 0;
	vq->state->is_notify_due = 0;
	begin_epoch(vq, 0);
	end_change(vq);
}

void virtq_get_view(const struct virtq *vq, struct virtq_view *view_out)
{
	*view_out = (struct virtq_view){
		.serial = vq->serial,
		.size = vq->size,
		.desc = vq->desc_uva,
		.avail = vq->avail_uva,
		.used = vq->used_uva,
		.shrunk_us = vq->shrunk_us,
		.has_addresses = vq->has_addresses,
		.is_started = vq->is_started,
		.is_enabled = vq->is_enabled,
		.has_event_idx = vq->has_event_idx,
		.has_indirect = vq->has_indirect,
		.kick_fd = vq->kick_fd,
		.call_fd = vq->call_fd,
		.err_fd = vq->err_fd,
	};
}

bool virtq_is_stuck(const struct virtq *vq)
{
	return vq->is_stuck;
}

void virtq_recover(struct virtq *vq)
{
	if (vq->is_stuck) {
		come_back(vq);
	}
	struct virtq_state *state = vq->state;
	/* Nobody else runs, so this is the lock. */
	shared_lock_break(&state->lock);
	__atomic_store_n(&state->setup_serial, vq->serial, __ATOMIC_RELEASE);
	state->epoch = vq->epoch;
	drop_deferred(vq);
	virtq_state_recover(state, vq->size);
	if (vq->used != NULL) {
		see_used(vq);
	}
	/* It may have died just before it told of something. */
	if (state->is_broken) {
		signal_fd(vq, vq->err_fd);
	}
	state->is_signalled_valid = 0;
	state->is_notify_due = 1;
	settle(vq);
}

/* ---- device side ---- */

static void lock(struct virtq *vq)
{
	shared_lock_take(&vq->state->lock);
}

static void unlock(struct virtq *vq)
{
	shared_lock_release(&vq->state->lock);
}

void virtq_set_view(struct virtq *vq, const struct virtq_view *consume_fds, struct guestmem *mem)
{
	lock(vq);
	struct guestmem *old = vq->mem;
	vq->mem = guestmem_ref(mem);
	close_fds(vq);
	vq->is_view = true;
	vq->serial = consume_fds->serial;
	vq->size = consume_fds->size;
	vq->desc_uva = consume_fds->desc;
	vq->avail_uva = consume_fds->avail;
	vq->used_uva = consume_fds->used;
	vq->has_addresses = consume_fds->has_addresses;
	vq->kick_fd = consume_fds->kick_fd;
	vq->call_fd = consume_fds->call_fd;
	vq->call_waits = may_wait(vq->call_fd);
	vq->err_waits = may_wait(consume_fds->err_fd);
	vq->err_fd = consume_fds->err_fd;
	vq->kick_serial++;
	vq->is_started = consume_fds->is_started;
	vq->is_enabled = consume_fds->is_enabled;
	vq->is_waiting = false;
	vq->shrunk_us = consume_fds->shrunk_us;
	vq->has_event_idx = consume_fds->has_event_idx;
	vq->has_indirect = consume_fds->has_indirect;
	map_rings(vq);
	settle(vq);
	unlock(vq);
	guestmem_unref(old);
}

int virtq_kick_fd_dup(struct virtq *vq, uint32_t *serial_out)
{
	int fd = -1;

	lock(vq);
	*serial_out = vq->kick_serial;
	if (vq->is_started && vq->kick_fd >= 0) {
		fd = fcntl(vq->kick_fd, F_DUPFD_CLOEXEC, 0);
	}
	unlock(vq);
	return fd;
}

/* The head of the next available chain, which is not popped by this. */
static enum virtq_status find_next(struct virtq *vq, uint16_t *head_out)
{
	const uint16_t base = virtq_state_base(vq->state);

	if (vq->state->is_broken) {
		return VIRTQ_E_BROKEN;
	}
	if (!is_running(vq)) {
		return VIRTQ_E_EMPTY;
	}
	uint16_t n_available = (uint16_t)(load_acquire_u16(&vq->avail->idx) - base);
	if (n_available == 0) {
		return VIRTQ_E_EMPTY;
	}
	if (vq->state->n_out >= vq->size) {
		mark_broken(vq, "an entry is made available again before it was used");
		return VIRTQ_E_BROKEN;
	}
	if (n_available > vq->size) {
		mark_broken(vq, "the available index is further ahead than the ring is long");
		return VIRTQ_E_BROKEN;
	}
	uint16_t head = load_u16(&vq->avail->ring[base & (vq->size - 1)]);
	if (head >= vq->size) {
		mark_broken(vq, "an available entry is outside the ring");
		return VIRTQ_E_BROKEN;
	}
	*head_out = head;
	return VIRTQ_OK;
}

/* Is this what is to be expected shortly after a region went? Then the chain has to wait. */
static bool has_to_wait(struct virtq *vq, const char *why)
{
	vq->is_waiting = why == virtq_outside_memory && vq->shrunk_us != 0 &&
			 g_get_monotonic_time() - vq->shrunk_us < MEMORY_GRACE_US;
	return vq->is_waiting;
}

/* A private copy of what the walk has found. NULL: no memory, and the queue is broken. */
static struct virtq_chain *create_chain(struct virtq *vq, uint16_t head,
					const struct virtq_walk *walk)
{
	uint32_t n = walk->n_readable + walk->n_writable;
	struct virtq_chain *chain = g_try_malloc(sizeof(*chain) + n * sizeof(chain->buffers[0]));

	if (chain == NULL) {
		mark_broken(vq, "no memory for a chain");
		return NULL;
	}
	*chain = (struct virtq_chain){
		.head = head,
		.epoch = vq->state->epoch,
		.mem = guestmem_ref(vq->mem),
		.n_readable = walk->n_readable,
		.n_writable = walk->n_writable,
		.readable_bytes = walk->readable_bytes,
		.writable_bytes = walk->writable_bytes,
	};
	chain->link.data = chain;
	memcpy(chain->buffers, walk->buffers, n * sizeof(chain->buffers[0]));
	return chain;
}

static enum virtq_status pop_locked(struct virtq *vq, struct virtq_chain **chain_out)
{
	struct virtq_walk walk = { .mem = vq->mem, .buffers = vq->found };
	uint16_t head;

	vq->is_waiting = false;
	enum virtq_status status = find_next(vq, &head);
	if (status != VIRTQ_OK) {
		return status;
	}
	const char *why = virtq_walk(vq, &walk, head);
	if (has_to_wait(vq, why)) {
		return VIRTQ_E_EMPTY;
	}
	if (why != NULL) {
		mark_broken(vq, why);
		return VIRTQ_E_BROKEN;
	}
	struct virtq_chain *chain = create_chain(vq, head, &walk);
	if (chain == NULL) {
		return VIRTQ_E_BROKEN;
	}
	virtq_state_pop(vq->state, head);
	*chain_out = chain;
	return VIRTQ_OK;
}

enum virtq_status virtq_pop(struct virtq *vq, struct virtq_chain **chain_out)
{
	lock(vq);
	enum virtq_status status = pop_locked(vq, chain_out);
	unlock(vq);
	return status;
}

static enum virtq_status pop_lost_locked(struct virtq *vq, struct virtq_chain **chain_out)
{
	struct virtq_walk walk = { .mem = vq->mem, .buffers = vq->found };
	uint16_t head;

	if (vq->state->is_broken) {
		return VIRTQ_E_BROKEN;
	}
	if (!is_running(vq) || !virtq_state_find_lost(vq->state, vq->size, &head)) {
		return VIRTQ_E_EMPTY;
	}
	const char *why = virtq_walk(vq, &walk, head);
	if (has_to_wait(vq, why)) {
		return VIRTQ_E_EMPTY;
	}
	if (why != NULL) {
		/* Its descriptors were good once; the head is enough to give it back. */
		log_debug("queue %u: %s, in a chain that was lost", vq->index, why);
		walk = (struct virtq_walk){ .buffers = vq->found };
	}
	struct virtq_chain *chain = create_chain(vq, head, &walk);
	if (chain == NULL) {
		return VIRTQ_E_BROKEN;
	}
	virtq_state_take_lost(vq->state, head);
	*chain_out = chain;
	return VIRTQ_OK;
}

enum virtq_status virtq_pop_lost(struct virtq *vq, struct virtq_chain **chain_out)
{
	lock(vq);
	enum virtq_status status = pop_lost_locked(vq, chain_out);
	unlock(vq);
	return status;
}

bool virtq_has_lost(struct virtq *vq)
{
	return is_running(vq) && !vq->is_waiting &&
	       __atomic_load_n(&vq->state->n_lost, __ATOMIC_RELAXED) > 0;
}

bool virtq_chain_read(const struct virtq_chain *chain, uint64_t offset, void *to,
		      size_t length_bytes)
{
	const struct guestmem *mem = chain->mem;
	char *out = to;

	for (uint32_t i = 0; i < chain->n_readable && length_bytes > 0; i++) {
		const struct virtq_buffer *buffer = &chain->buffers[i];

		if (offset >= buffer->length_bytes) {
			offset -= buffer->length_bytes;
			continue;
		}
		size_t chunk = buffer->length_bytes - (size_t)offset;
		if (chunk > length_bytes) {
			chunk = length_bytes;
		}
		if (!guestmem_read(mem, (struct gpa){ buffer->gpa.v + offset }, out, chunk)) {
			return false;
		}
		out += chunk;
		length_bytes -= chunk;
		offset = 0;
	}
	return length_bytes == 0;
}

/* Returns the bytes written, at most what the chain has room for. */
static uint32_t write_response(struct virtq *vq, const struct virtq_chain *chain,
			       const char *response, size_t length_bytes)
{
	uint32_t written = 0;

	for (uint32_t i = 0; i < chain->n_writable && length_bytes > 0; i++) {
		const struct virtq_buffer *buffer = &chain->buffers[chain->n_readable + i];
		size_t chunk = MIN(buffer->length_bytes, length_bytes);

		if (!guestmem_write(vq->mem, buffer->gpa, response, chunk)) {
			break;
		}
		response += chunk;
		length_bytes -= chunk;
		written += (uint32_t)chunk;
	}
	return written;
}

static void push_locked(struct virtq *vq, const struct virtq_chain *chain, const void *response,
			size_t length_bytes)
{
	const uint16_t index = vq->state->used_index;
	struct vring_used_elem *element = &vq->used->ring[index & (vq->size - 1)];
	uint32_t written = write_response(vq, chain, response, length_bytes);

	virtq_state_begin_push(vq->state, chain->head);
	__atomic_store_n(&element->id, htole32(chain->head), __ATOMIC_RELAXED);
	__atomic_store_n(&element->len, htole32(written), __ATOMIC_RELAXED);
	store_release_u16(&vq->used->idx, (uint16_t)(index + 1));
	virtq_state_end_push(vq->state, chain->head);
	vq->state->is_notify_due = 1;
}

static void notify_locked(struct virtq *vq)
{
	struct virtq_state *state = vq->state;

	if (!state->is_notify_due || !is_running(vq)) {
		return;
	}
	state->is_notify_due = 0;
	/* The used index must be seen before the guest's wish is read (§2.7.10). */
	full_barrier();
	bool is_wanted;
	if (vq->has_event_idx) {
		uint16_t event = load_u16(&vq->avail->ring[vq->size]);
		is_wanted = !state->is_signalled_valid ||
			    vring_need_event(event, state->used_index, state->signalled);
		state->signalled = state->used_index;
		state->is_signalled_valid = 1;
	} else {
		is_wanted = !(load_u16(&vq->avail->flags) & VRING_AVAIL_F_NO_INTERRUPT);
	}
	if (is_wanted) {
		signal_fd(vq, vq->call_fd);
	}
}

static void write_deferred(struct virtq *vq)
{
	GList *link;

	while ((link = g_queue_pop_head_link(&vq->deferred)) != NULL) {
		struct virtq_chain *chain = link->data;

		/* In the device's process there may be some of before a reset. */
		if (chain->epoch == vq->state->epoch) {
			push_locked(vq, chain, chain->deferred_response, chain->deferred_bytes);
		}
		virtq_chain_discard(chain);
	}
	notify_locked(vq);
}

/* Keep a response until the queue runs again. False: no memory. */
static bool defer(struct virtq *vq, struct virtq_chain *chain, const void *response,
		  size_t length_bytes)
{
	virtq_chain_release(chain);
	length_bytes = MIN(length_bytes, chain->writable_bytes);
	chain->deferred_response = g_try_malloc(MAX(length_bytes, 1));
	if (chain->deferred_response == NULL) {
		return false;
	}
	memcpy(chain->deferred_response, response, length_bytes);
	chain->deferred_bytes = length_bytes;
	g_queue_push_tail_link(&vq->deferred, &chain->link);
	return true;
}

void virtq_push(struct virtq *vq, struct virtq_chain *consume_chain, const void *response,
		size_t length_bytes)
{
	bool is_kept = false;

	lock(vq);
	if (consume_chain->epoch != vq->state->epoch) {
		log_debug("queue %u: a chain of before the reset is dropped", vq->index);
	} else if (is_running(vq)) {
		push_locked(vq, consume_chain, response, length_bytes);
	} else {
		is_kept = defer(vq, consume_chain, response, length_bytes);
	}
	unlock(vq);
	if (!is_kept) {
		virtq_chain_discard(consume_chain);
	}
}

void virtq_notify(struct virtq *vq)
{
	lock(vq);
	notify_locked(vq);
	unlock(vq);
}

/* With the lock held. What waits for memory to come back is not there yet. */
static bool has_avail(struct virtq *vq)
{
	return !vq->is_waiting && load_acquire_u16(&vq->avail->idx) != virtq_state_base(vq->state);
}

bool virtq_has_avail(struct virtq *vq)
{
	lock(vq);
	bool has = is_running(vq) && has_avail(vq);
	unlock(vq);
	return has;
}

void virtq_look(struct virtq *vq, struct virtq_look *look_out)
{
	struct virtq_look look = { .size = vq->size };

	if (vq->shared == NULL) {
		lock(vq);
	}
	look.is_broken = vq->state->is_broken != 0;
	look.is_running = is_running(vq);
	if (look.is_running) {
		uint16_t base = virtq_state_base(vq->state);
		uint16_t n_waiting = (uint16_t)(load_acquire_u16(&vq->avail->idx) - base);

		look.n_waiting = MIN(n_waiting, vq->size);
	}
	look.n_out = MIN(vq->state->n_out, vq->size);
	if (vq->shared == NULL) {
		unlock(vq);
	}
	*look_out = look;
}

bool virtq_rearm(struct virtq *vq)
{
	bool has_more = false;

	lock(vq);
	if (is_running(vq)) {
		if (vq->has_event_idx) {
			/* avail_event lies behind the used ring's entries. */
			__virtio16 *avail_event = (__virtio16 *)&vq->used->ring[vq->size];
			__atomic_store_n(avail_event, htole16(virtq_state_base(vq->state)),
					 __ATOMIC_RELAXED);
		} else {
			__atomic_store_n(&vq->used->flags, 0, __ATOMIC_RELAXED);
		}
		full_barrier();
		has_more = has_avail(vq);
	}
	unlock(vq);
	return has_more;
}

void virtq_suppress(struct virtq *vq)
{
	lock(vq);
	/* With event indexes the stale avail_event already says so. */
	if (is_running(vq) && !vq->has_event_idx) {
		__atomic_store_n(&vq->used->flags, htole16(VRING_USED_F_NO_NOTIFY),
				 __ATOMIC_RELAXED);
	}
	unlock(vq);
}

bool virtq_chain_is_stale(struct virtq *vq, const struct virtq_chain *chain)
{
	lock(vq);
	bool is_stale = chain->epoch != vq->state->epoch;
	unlock(vq);
	return is_stale;
}
