/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include <fcntl.h>
#include <glib.h>
#include <linux/virtio_gpu.h>
#include <string.h>
#include <sys/eventfd.h>

#include "driver.h"

#define REQUEST_BYTES 128u
#define RESPONSE_BYTES 2048u
#define TABLE_ENTRIES 3u
#define MEMORY_REGION 0u

struct driver *driver_create(struct ring *ring, unsigned int n_slots)
{
	struct driver *driver = g_new0(struct driver, 1);
	uint32_t table_bytes = TABLE_ENTRIES * (uint32_t)sizeof(struct vring_desc);

	driver->ring = ring;
	driver->n_slots = n_slots;
	driver->slots = g_new0(struct slot, n_slots);
	/* One blocking read is what an interrupt is to a driver that sleeps. */
	fcntl(ring->call_fd, F_SETFL, 0);
	for (unsigned int i = 0; i < n_slots; i++) {
		struct slot *slot = &driver->slots[i];

		slot->head = ring_take_desc(ring);
		slot->request_gpa = guestram_alloc(ring->ram, MEMORY_REGION, REQUEST_BYTES, 64);
		slot->response_gpa = guestram_alloc(ring->ram, MEMORY_REGION, RESPONSE_BYTES, 64);
		slot->table_gpa = guestram_alloc(ring->ram, MEMORY_REGION, table_bytes, 64);
		slot->request = guestram_at(ring->ram, slot->request_gpa, REQUEST_BYTES);
		slot->response = guestram_at(ring->ram, slot->response_gpa, RESPONSE_BYTES);
		slot->table = guestram_at(ring->ram, slot->table_gpa, table_bytes);
		driver->by_head[slot->head] = slot;
	}
	return driver;
}

void driver_destroy(struct driver *driver)
{
	if (driver == NULL) {
		return;
	}
	g_free(driver->slots);
	g_free(driver);
}

void driver_lay_out(struct driver *driver, unsigned int index, const void *request,
		    uint32_t request_size, uint64_t payload_gpa, uint32_t payload_size,
		    uint32_t response_size)
{
	struct slot *slot = &driver->slots[index];
	unsigned int n = 0;

	g_assert(request_size <= REQUEST_BYTES && response_size <= RESPONSE_BYTES);
	memcpy(slot->request, request, request_size);
	slot->request_size = request_size;
	slot->response_size = response_size;
	/* Linux takes no table for a single buffer. */
	if (payload_size == 0 && response_size == 0) {
		ring_set_desc(driver->ring, slot->head, slot->request_gpa, request_size, 0, 0);
		return;
	}
	slot->table[n++] = (struct vring_desc){slot->request_gpa, request_size, VRING_DESC_F_NEXT,
					       1};
	if (payload_size > 0) {
		slot->table[n++] = (struct vring_desc){payload_gpa, payload_size,
						       VRING_DESC_F_NEXT, 2};
	}
	slot->table[n++] = (struct vring_desc){slot->response_gpa, response_size,
					       VRING_DESC_F_WRITE, 0};
	ring_set_desc(driver->ring, slot->head, slot->table_gpa,
		      n * (uint32_t)sizeof(struct vring_desc), VRING_DESC_F_INDIRECT, 0);
}

void driver_submit(struct driver *driver, unsigned int index)
{
	ring_publish(driver->ring, driver->slots[index].head);
}

void driver_kick(struct driver *driver)
{
	ring_kick(driver->ring);
}

struct slot *driver_take(struct driver *driver)
{
	struct ring *ring = driver->ring;

	if (ring_used_idx(ring) == ring->last_used) {
		return NULL;
	}
	uint32_t id = ring->used->ring[ring->last_used % ring->size].id;
	ring->last_used = (uint16_t)(ring->last_used + 1);
	if (id >= ring->size || driver->by_head[id] == NULL) {
		g_error("queue %u: head %u came back, which was never given", ring->index, id);
	}
	return driver->by_head[id];
}

/* Asks for an interrupt with the next used entry. */
static void enable_interrupts(struct ring *ring)
{
	__atomic_store_n(&ring->avail->ring[ring->size], ring->last_used, __ATOMIC_RELAXED);
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
}

void driver_wait(struct driver *driver)
{
	struct ring *ring = driver->ring;
	eventfd_t value;

	for (;;) {
		enable_interrupts(ring);
		if (ring_used_idx(ring) != ring->last_used) {
			return;
		}
		if (eventfd_read(ring->call_fd, &value) < 0) {
			g_error("queue %u: no interrupt can be read", ring->index);
		}
	}
}

uint32_t driver_response(const struct slot *slot)
{
	struct virtio_gpu_ctrl_hdr header;

	memcpy(&header, slot->response, sizeof(header));
	return header.type;
}

static uint32_t call(struct driver *driver)
{
	struct slot *slot;

	driver_submit(driver, 0);
	driver_kick(driver);
	while ((slot = driver_take(driver)) == NULL) {
		driver_wait(driver);
	}
	return driver_response(slot);
}

uint32_t driver_call(struct driver *driver, const void *request, uint32_t request_size,
		     uint32_t response_size)
{
	driver_lay_out(driver, 0, request, request_size, 0, 0, response_size);
	return call(driver);
}

void driver_command(struct driver *driver, const void *request, uint32_t request_size)
{
	uint32_t type = driver_call(driver, request, request_size,
				    sizeof(struct virtio_gpu_ctrl_hdr));

	if (type != VIRTIO_GPU_RESP_OK_NODATA) {
		uint32_t command;

		memcpy(&command, request, sizeof(command));
		g_error("command 0x%x is answered 0x%x", command, type);
	}
}
