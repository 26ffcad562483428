/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * Guest memory is read once: each index is loaded into a local with one
 * access, checked there and used from there. The guest may write to the ring
 * at any time; all it can do by that is to break its own queue.
 */
#include "virtio/virtq.h"

#include <errno.h>
#include <fcntl.h>
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

static void signal_fd(int fd)
{
	uint64_t one = 1;

	if (fd >= 0) {
		ssize_t ignored = write(fd, &one, sizeof(one));
		(void)ignored;
	}
}

void virtq_init(struct virtq *vq, unsigned int index)
{
	*vq = (struct virtq){ .index = index, .kick_fd = -1, .call_fd = -1, .err_fd = -1 };
	g_mutex_init(&vq->lock);
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

/* Whatever is out belongs to a former life of the ring. */
static void begin_epoch(struct virtq *vq)
{
	GList *link;

	vq->epoch++;
	vq->n_out = 0;
	while ((link = g_queue_pop_head_link(&vq->deferred)) != NULL) {
		virtq_chain_discard(link->data);
	}
}

void virtq_finish(struct virtq *vq)
{
	begin_epoch(vq);
	close_fd(&vq->kick_fd);
	close_fd(&vq->call_fd);
	close_fd(&vq->err_fd);
	guestmem_unref(vq->mem);
	vq->mem = NULL;
	g_clear_pointer(&vq->scratch, g_free);
	g_clear_pointer(&vq->found, g_free);
	g_mutex_clear(&vq->lock);
}

static bool is_running(const struct virtq *vq)
{
	return vq->is_started && vq->is_enabled && !vq->is_broken && vq->desc != NULL;
}

static void mark_broken(struct virtq *vq, const char *why)
{
	log_warn("queue %u: %s; the queue is stopped until the driver resets it", vq->index, why);
	vq->is_broken = true;
	signal_fd(vq->err_fd);
}

/* ---- transport side ---- */

void virtq_set_features(struct virtq *vq, bool has_event_idx, bool has_indirect)
{
	g_mutex_lock(&vq->lock);
	vq->has_event_idx = has_event_idx;
	vq->has_indirect = has_indirect;
	g_mutex_unlock(&vq->lock);
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
	g_mutex_lock(&vq->lock);
	struct guestmem *old = vq->mem;
	vq->mem = guestmem_ref(mem);
	vq->is_waiting = false;
	if (guestmem_n_regions(mem) < guestmem_n_regions(old)) {
		vq->shrunk_us = g_get_monotonic_time();
	}
	map_rings(vq);
	settle(vq);
	g_mutex_unlock(&vq->lock);
	guestmem_unref(old);
}

enum virtq_status virtq_set_size(struct virtq *vq, uint32_t size)
{
	enum virtq_status status = VIRTQ_E_INVALID;

	g_mutex_lock(&vq->lock);
	if (size > 0 && size <= VIRTQ_MAX_SIZE && (size & (size - 1)) == 0 && !vq->is_started) {
		vq->size = size;
		map_rings(vq);
		status = VIRTQ_OK;
	}
	g_mutex_unlock(&vq->lock);
	return status;
}

enum virtq_status virtq_set_addresses(struct virtq *vq, struct uva desc, struct uva avail,
				      struct uva used)
{
	enum virtq_status status = VIRTQ_E_INVALID;

	g_mutex_lock(&vq->lock);
	vq->desc_uva = desc;
	vq->avail_uva = avail;
	vq->used_uva = used;
	vq->has_addresses = true;
	if (map_rings(vq)) {
		vq->used_index = load_u16(&vq->used->idx);
		vq->is_signalled_valid = false;
		vq->is_broken = false;
		settle(vq);
		status = VIRTQ_OK;
	}
	g_mutex_unlock(&vq->lock);
	return status;
}

enum virtq_status virtq_set_base(struct virtq *vq, uint16_t last_avail)
{
	enum virtq_status status = VIRTQ_E_INVALID;

	g_mutex_lock(&vq->lock);
	if (!vq->is_started) {
		if (vq->last_avail != last_avail) {
			begin_epoch(vq);
		}
		vq->last_avail = last_avail;
		vq->is_broken = false;
		status = VIRTQ_OK;
	}
	g_mutex_unlock(&vq->lock);
	return status;
}

void virtq_set_kick(struct virtq *vq, int consume_fd)
{
	g_mutex_lock(&vq->lock);
	close_fd(&vq->kick_fd);
	vq->kick_fd = consume_fd;
	vq->kick_serial++;
	if (!vq->is_started && vq->used != NULL) {
		/* Also when the memory came after the addresses. */
		vq->used_index = load_u16(&vq->used->idx);
	}
	vq->is_started = true;
	settle(vq);
	g_mutex_unlock(&vq->lock);
}

void virtq_set_call(struct virtq *vq, int consume_fd)
{
	g_mutex_lock(&vq->lock);
	close_fd(&vq->call_fd);
	vq->call_fd = consume_fd;
	/* What was completed before there was anyone to tell. */
	vq->is_signalled_valid = false;
	if (is_running(vq)) {
		signal_fd(vq->call_fd);
	}
	g_mutex_unlock(&vq->lock);
}

void virtq_set_err(struct virtq *vq, int consume_fd)
{
	g_mutex_lock(&vq->lock);
	close_fd(&vq->err_fd);
	vq->err_fd = consume_fd;
	if (vq->is_broken) {
		signal_fd(vq->err_fd);
	}
	g_mutex_unlock(&vq->lock);
}

void virtq_set_enabled(struct virtq *vq, bool is_enabled)
{
	g_mutex_lock(&vq->lock);
	vq->is_enabled = is_enabled;
	settle(vq);
	g_mutex_unlock(&vq->lock);
}

static uint16_t stop_locked(struct virtq *vq)
{
	vq->is_started = false;
	vq->is_broken = false;
	close_fd(&vq->kick_fd);
	vq->kick_serial++;
	return vq->last_avail;
}

uint16_t virtq_stop(struct virtq *vq)
{
	g_mutex_lock(&vq->lock);
	uint16_t base = stop_locked(vq);
	g_mutex_unlock(&vq->lock);
	return base;
}

void virtq_reset(struct virtq *vq)
{
	g_mutex_lock(&vq->lock);
	stop_locked(vq);
	vq->is_enabled = false; /* "disable all rings", says the specification of RESET_DEVICE */
	vq->has_addresses = false;
	map_rings(vq);
	vq->last_avail = 0;
	vq->used_index = 0;
	vq->is_notify_due = false;
	begin_epoch(vq);
	g_mutex_unlock(&vq->lock);
}

/* ---- device side ---- */

int virtq_kick_fd_dup(struct virtq *vq, uint32_t *serial_out)
{
	int fd = -1;

	g_mutex_lock(&vq->lock);
	*serial_out = vq->kick_serial;
	if (vq->is_started && vq->kick_fd >= 0) {
		fd = fcntl(vq->kick_fd, F_DUPFD_CLOEXEC, 0);
	}
	g_mutex_unlock(&vq->lock);
	return fd;
}

static enum virtq_status pop_locked(struct virtq *vq, struct virtq_chain **chain_out)
{
	struct virtq_walk walk = { .mem = vq->mem, .buffers = vq->found };

	vq->is_waiting = false;
	if (vq->is_broken) {
		return VIRTQ_E_BROKEN;
	}
	if (!is_running(vq)) {
		return VIRTQ_E_EMPTY;
	}
	uint16_t n_available = (uint16_t)(load_acquire_u16(&vq->avail->idx) - vq->last_avail);
	if (n_available == 0) {
		return VIRTQ_E_EMPTY;
	}
	if (vq->n_out >= vq->size) {
		mark_broken(vq, "an entry is made available again before it was used");
		return VIRTQ_E_BROKEN;
	}
	if (n_available > vq->size) {
		mark_broken(vq, "the available index is further ahead than the ring is long");
		return VIRTQ_E_BROKEN;
	}
	uint16_t head = load_u16(&vq->avail->ring[vq->last_avail & (vq->size - 1)]);
	if (head >= vq->size) {
		mark_broken(vq, "an available entry is outside the ring");
		return VIRTQ_E_BROKEN;
	}
	const char *why = virtq_walk(vq, &walk, head);
	if (why == virtq_outside_memory && vq->shrunk_us != 0 &&
	    g_get_monotonic_time() - vq->shrunk_us < MEMORY_GRACE_US) {
		vq->is_waiting = true;
		return VIRTQ_E_EMPTY;
	}
	if (why != NULL) {
		mark_broken(vq, why);
		return VIRTQ_E_BROKEN;
	}

	uint32_t n = walk.n_readable + walk.n_writable;
	struct virtq_chain *chain = g_try_malloc(sizeof(*chain) + n * sizeof(chain->buffers[0]));
	if (chain == NULL) {
		mark_broken(vq, "no memory for a chain");
		return VIRTQ_E_BROKEN;
	}
	*chain = (struct virtq_chain){
		.head = head,
		.epoch = vq->epoch,
		.mem = guestmem_ref(vq->mem),
		.n_readable = walk.n_readable,
		.n_writable = walk.n_writable,
		.readable_bytes = walk.readable_bytes,
		.writable_bytes = walk.writable_bytes,
	};
	chain->link.data = chain;
	memcpy(chain->buffers, vq->found, n * sizeof(chain->buffers[0]));
	vq->last_avail++;
	vq->n_out++;
	*chain_out = chain;
	return VIRTQ_OK;
}

enum virtq_status virtq_pop(struct virtq *vq, struct virtq_chain **chain_out)
{
	g_mutex_lock(&vq->lock);
	enum virtq_status status = pop_locked(vq, chain_out);
	g_mutex_unlock(&vq->lock);
	return status;
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
	struct vring_used_elem *element = &vq->used->ring[vq->used_index & (vq->size - 1)];
	uint32_t written = write_response(vq, chain, response, length_bytes);

	__atomic_store_n(&element->id, htole32(chain->head), __ATOMIC_RELAXED);
	__atomic_store_n(&element->len, htole32(written), __ATOMIC_RELAXED);
	vq->used_index++;
	vq->n_out--;
	store_release_u16(&vq->used->idx, vq->used_index);
	vq->is_notify_due = true;
}

static void notify_locked(struct virtq *vq)
{
	if (!vq->is_notify_due || !is_running(vq)) {
		return;
	}
	vq->is_notify_due = false;
	/* The used index must be seen before the guest's wish is read (§2.7.10). */
	full_barrier();
	bool is_wanted;
	if (vq->has_event_idx) {
		uint16_t event = load_u16(&vq->avail->ring[vq->size]);
		is_wanted = !vq->is_signalled_valid ||
			    vring_need_event(event, vq->used_index, vq->signalled);
		vq->signalled = vq->used_index;
		vq->is_signalled_valid = true;
	} else {
		is_wanted = !(load_u16(&vq->avail->flags) & VRING_AVAIL_F_NO_INTERRUPT);
	}
	if (is_wanted) {
		signal_fd(vq->call_fd);
	}
}

static void write_deferred(struct virtq *vq)
{
	GList *link;

	while ((link = g_queue_pop_head_link(&vq->deferred)) != NULL) {
		struct virtq_chain *chain = link->data;

		push_locked(vq, chain, chain->deferred_response, chain->deferred_bytes);
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

	g_mutex_lock(&vq->lock);
	if (consume_chain->epoch != vq->epoch) {
		log_debug("queue %u: a chain of before the reset is dropped", vq->index);
	} else if (is_running(vq)) {
		push_locked(vq, consume_chain, response, length_bytes);
	} else {
		is_kept = defer(vq, consume_chain, response, length_bytes);
	}
	g_mutex_unlock(&vq->lock);
	if (!is_kept) {
		virtq_chain_discard(consume_chain);
	}
}

void virtq_notify(struct virtq *vq)
{
	g_mutex_lock(&vq->lock);
	notify_locked(vq);
	g_mutex_unlock(&vq->lock);
}

/* With the lock held. What waits for memory to come back is not there yet. */
static bool has_avail(struct virtq *vq)
{
	return !vq->is_waiting && load_acquire_u16(&vq->avail->idx) != vq->last_avail;
}

bool virtq_has_avail(struct virtq *vq)
{
	g_mutex_lock(&vq->lock);
	bool has = is_running(vq) && has_avail(vq);
	g_mutex_unlock(&vq->lock);
	return has;
}

bool virtq_rearm(struct virtq *vq)
{
	bool has_more = false;

	g_mutex_lock(&vq->lock);
	if (is_running(vq)) {
		if (vq->has_event_idx) {
			/* avail_event lies behind the used ring's entries. */
			__virtio16 *avail_event = (__virtio16 *)&vq->used->ring[vq->size];
			__atomic_store_n(avail_event, htole16(vq->last_avail), __ATOMIC_RELAXED);
		} else {
			__atomic_store_n(&vq->used->flags, 0, __ATOMIC_RELAXED);
		}
		full_barrier();
		has_more = has_avail(vq);
	}
	g_mutex_unlock(&vq->lock);
	return has_more;
}

void virtq_suppress(struct virtq *vq)
{
	g_mutex_lock(&vq->lock);
	/* With event indexes the stale avail_event already says so. */
	if (is_running(vq) && !vq->has_event_idx) {
		__atomic_store_n(&vq->used->flags, htole16(VRING_USED_F_NO_NOTIFY),
				 __ATOMIC_RELAXED);
	}
	g_mutex_unlock(&vq->lock);
}

bool virtq_chain_is_stale(struct virtq *vq, const struct virtq_chain *chain)
{
	g_mutex_lock(&vq->lock);
	bool is_stale = chain->epoch != vq->epoch;
	g_mutex_unlock(&vq->lock);
	return is_stale;
}
