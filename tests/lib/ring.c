/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include <glib.h>
#include <poll.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "ring.h"
#include "suite.h"

static uint16_t load16(const uint16_t *address)
{
	return __atomic_load_n(address, __ATOMIC_ACQUIRE);
}

static void store16(uint16_t *address, uint16_t value)
{
	__atomic_store_n(address, value, __ATOMIC_RELEASE);
}

static uint16_t *used_event(struct ring *ring)
{
	return &ring->avail->ring[ring->size];
}

static const uint16_t *avail_event(struct ring *ring)
{
	return (const uint16_t *)(const void *)&ring->used->ring[ring->size];
}

struct ring *ring_create(struct guestram *ram, unsigned int region, uint32_t index, uint16_t size,
			 bool has_event_idx)
{
	struct ring *ring = g_new0(struct ring, 1);
	size_t desc_size = sizeof(struct vring_desc) * size;
	size_t avail_size = sizeof(uint16_t) * (size + 3u);
	size_t used_size = sizeof(struct vring_used_elem) * size + sizeof(uint16_t) * 3;

	ring->ram = ram;
	ring->index = index;
	ring->size = size;
	ring->has_event_idx = has_event_idx;
	ring->desc_gpa = guestram_alloc(ram, region, desc_size, 16);
	ring->avail_gpa = guestram_alloc(ram, region, avail_size, 2);
	ring->used_gpa = guestram_alloc(ram, region, used_size, 4);
	ring->desc = guestram_at(ram, ring->desc_gpa, desc_size);
	ring->avail = guestram_at(ram, ring->avail_gpa, avail_size);
	ring->used = guestram_at(ram, ring->used_gpa, used_size);
	ring->kick_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	ring->call_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	ring->err_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	g_assert_no_errno(ring->err_fd);
	ring->free_heads = g_new0(uint16_t, size);
	ring_reset(ring);
	return ring;
}

void ring_destroy(struct ring *ring)
{
	if (!ring) {
		return;
	}
	close(ring->kick_fd);
	close(ring->call_fd);
	close(ring->err_fd);
	g_free(ring->free_heads);
	g_free(ring);
}

void ring_reset(struct ring *ring)
{
	memset(ring->desc, 0, sizeof(struct vring_desc) * ring->size);
	memset(ring->avail, 0, sizeof(uint16_t) * (ring->size + 3u));
	memset(ring->used, 0, sizeof(struct vring_used_elem) * ring->size + sizeof(uint16_t) * 3);
	ring->avail_idx = 0;
	ring->last_used = 0;
	ring->n_free = ring->size;
	for (unsigned int i = 0; i < ring->size; i++) {
		ring->free_heads[i] = (uint16_t)(ring->size - 1u - i);
	}
	ring_take_calls(ring);
	ring_wait_error(ring, 0);
}

uint16_t ring_take_desc(struct ring *ring)
{
	g_assert_cmpuint(ring->n_free, >, 0);
	ring->n_free -= 1;
	return ring->free_heads[ring->n_free];
}

void ring_set_desc(struct ring *ring, uint16_t index, uint64_t gpa, uint32_t size, uint16_t flags,
		   uint16_t next)
{
	ring->desc[index] =
		(struct vring_desc){.addr = gpa, .len = size, .flags = flags, .next = next};
}

void ring_publish(struct ring *ring, uint16_t head)
{
	ring->avail->ring[ring->avail_idx % ring->size] = head;
	ring->avail_idx = (uint16_t)(ring->avail_idx + 1);
	store16(&ring->avail->idx, ring->avail_idx);
}

uint16_t ring_add(struct ring *ring, const struct ring_segment *segments, unsigned int n_segments)
{
	uint16_t head = 0, previous = 0;

	g_assert_cmpuint(n_segments, >, 0);
	for (unsigned int i = 0; i < n_segments; i++) {
		uint16_t index = ring_take_desc(ring);
		uint16_t flags = segments[i].is_writable ? VRING_DESC_F_WRITE : 0;
		ring_set_desc(ring, index, segments[i].gpa, segments[i].size, flags, 0);
		if (i == 0) {
			head = index;
		} else {
			ring->desc[previous].flags |= VRING_DESC_F_NEXT;
			ring->desc[previous].next = index;
		}
		previous = index;
	}
	ring_publish(ring, head);
	return head;
}

uint16_t ring_add_indirect(struct ring *ring, const struct ring_segment *segments,
			   unsigned int n_segments, uint64_t table_gpa)
{
	uint32_t table_size = n_segments * (uint32_t)sizeof(struct vring_desc);
	struct vring_desc *table = guestram_at(ring->ram, table_gpa, table_size);

	for (unsigned int i = 0; i < n_segments; i++) {
		unsigned int flags = (segments[i].is_writable ? VRING_DESC_F_WRITE : 0u) |
				     (i + 1 < n_segments ? VRING_DESC_F_NEXT : 0u);
		table[i] = (struct vring_desc){segments[i].gpa, segments[i].size, (uint16_t)flags,
					       (uint16_t)(i + 1)};
	}
	uint16_t head = ring_take_desc(ring);
	ring_set_desc(ring, head, table_gpa, table_size, VRING_DESC_F_INDIRECT, 0);
	ring_publish(ring, head);
	return head;
}

static void give_back_chain(struct ring *ring, uint16_t head)
{
	for (unsigned int i = 0; i < ring->size && head < ring->size && ring->n_free < ring->size;
	     i++) {
		const struct vring_desc *desc = &ring->desc[head];
		ring->free_heads[ring->n_free] = head;
		ring->n_free += 1;
		if (!(desc->flags & VRING_DESC_F_NEXT)) {
			return;
		}
		head = desc->next;
	}
}

void ring_kick_always(struct ring *ring)
{
	g_assert_no_errno(eventfd_write(ring->kick_fd, 1));
}

void ring_kick(struct ring *ring)
{
	atomic_thread_fence(memory_order_seq_cst);
	if (ring->has_event_idx) {
		/* The device asks for a kick when avail_idx passes its avail_event; one ring of
		 * slack is enough. */
		uint16_t distance = (uint16_t)(ring->avail_idx - load16(avail_event(ring)) - 1);
		if (distance >= ring->size) {
			return;
		}
	} else if (load16(&ring->used->flags) & VRING_USED_F_NO_NOTIFY) {
		return;
	}
	ring_kick_always(ring);
}

uint16_t ring_used_idx(const struct ring *ring)
{
	return load16(&ring->used->idx);
}

bool ring_pop_used(struct ring *ring, struct vring_used_elem *elem_out)
{
	uint16_t idx = ring_used_idx(ring);

	g_assert_cmpuint((uint16_t)(idx - ring->last_used), <=, ring->size);
	if (idx == ring->last_used) {
		return false;
	}
	*elem_out = ring->used->ring[ring->last_used % ring->size];
	ring->last_used = (uint16_t)(ring->last_used + 1);
	g_assert_cmpuint(elem_out->id, <, ring->size);
	give_back_chain(ring, (uint16_t)elem_out->id);
	return true;
}

static bool wait_eventfd(int fd, int64_t deadline_us)
{
	struct pollfd pollfd = {.fd = fd, .events = POLLIN};
	eventfd_t value;

	if (poll(&pollfd, 1, suite_left_ms(deadline_us)) <= 0) {
		return false;
	}
	return eventfd_read(fd, &value) == 0;
}

void ring_suppress_calls(struct ring *ring, uint16_t n)
{
	if (ring->has_event_idx) {
		store16(used_event(ring), (uint16_t)(ring->last_used + n - 1));
	} else {
		store16(&ring->avail->flags, VRING_AVAIL_F_NO_INTERRUPT);
	}
	atomic_thread_fence(memory_order_seq_cst);
}

void ring_enable_calls(struct ring *ring)
{
	store16(used_event(ring), ring->last_used);
	store16(&ring->avail->flags, 0);
	atomic_thread_fence(memory_order_seq_cst);
}

bool ring_wait_used(struct ring *ring, int milliseconds, struct vring_used_elem *elem_out)
{
	int64_t deadline = suite_deadline_us(milliseconds);

	while (!ring_pop_used(ring, elem_out)) {
		ring_enable_calls(ring);
		if (ring_pop_used(ring, elem_out)) {
			break;
		}
		if (!wait_eventfd(ring->call_fd, deadline)) {
			if (ring_used_idx(ring) != ring->last_used) {
				g_error("queue %u: used index %u came without an interrupt",
					ring->index, ring_used_idx(ring));
			}
			return false;
		}
	}
	return true;
}

uint64_t ring_take_calls(struct ring *ring)
{
	eventfd_t value = 0;

	return eventfd_read(ring->call_fd, &value) == 0 ? value : 0;
}

bool ring_wait_error(struct ring *ring, int milliseconds)
{
	return wait_eventfd(ring->err_fd, suite_deadline_us(milliseconds));
}
