/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "vm.h"

#include <glib.h>
#include <string.h>
#include <unistd.h>

struct guestmem *vm_build_table(const struct guestram *ram, unsigned int first, unsigned int n)
{
	struct guestmem *mem = guestmem_create_empty();

	for (unsigned int i = first; i < first + n; i++) {
		const struct vhost_user_mem_region *wire = &ram->regions[i].wire;
		const struct guestmem_region_desc desc = {
			.gpa = { wire->guest_addr },
			.uva = { wire->user_addr },
			.size_bytes = wire->size,
			.mmap_offset_bytes = wire->mmap_offset,
		};
		struct guestmem *grown;

		g_assert_cmpint(guestmem_add(mem, &desc, ram->regions[i].memfd, &grown), ==, 0);
		guestmem_unref(mem);
		mem = grown;
	}
	return mem;
}

static struct uva to_uva(const struct vm *vm, uint64_t gpa)
{
	return (struct uva){ guestram_to_uva(vm->ram, gpa) };
}

static void start_queue(struct vm *vm, unsigned int i)
{
	const struct ring *ring = vm->rings[i];
	struct virtq *vq = &vm->queues[i];

	virtq_set_memory(vq, vm->mem);
	virtq_set_features(vq, true, true);
	g_assert_cmpint(virtq_set_size(vq, VM_RING_SIZE), ==, VIRTQ_OK);
	g_assert_cmpint(virtq_set_addresses(vq, to_uva(vm, ring->desc_gpa),
					    to_uva(vm, ring->avail_gpa),
					    to_uva(vm, ring->used_gpa)),
			==, VIRTQ_OK);
	g_assert_cmpint(virtq_set_base(vq, 0), ==, VIRTQ_OK);
	virtq_set_call(vq, dup(ring->call_fd));
	virtq_set_kick(vq, dup(ring->kick_fd));
	virtq_set_enabled(vq, true);
}

void vm_init(struct vm *vm)
{
	/* Rings and slots in the upper region, the test's own in the lower one. */
	vm->ram = guestram_create(VM_RAM_BYTES);
	guestram_add(vm->ram, UINT64_C(2) << 32, VM_N_QUEUES * VM_RING_SIZE * 2ull * VM_SLOT_BYTES,
		     0);
	vm->mem = vm_build_table(vm->ram, 0, vm->ram->n_regions);
	for (unsigned int i = 0; i < VM_N_QUEUES; i++) {
		vm->rings[i] = ring_create(vm->ram, 1, i, VM_RING_SIZE, true);
		vm->slots[i] = guestram_alloc(vm->ram, 2, VM_RING_SIZE * 2ull * VM_SLOT_BYTES, 8);
		virtq_init(&vm->queues[i], i, NULL);
		start_queue(vm, i);
	}
}

void vm_restart(struct vm *vm)
{
	for (unsigned int i = 0; i < VM_N_QUEUES; i++) {
		virtq_reset(&vm->queues[i]);
		ring_reset(vm->rings[i]);
		start_queue(vm, i);
	}
}

void vm_finish(struct vm *vm)
{
	for (unsigned int i = 0; i < VM_N_QUEUES; i++) {
		virtq_finish(&vm->queues[i]);
		ring_destroy(vm->rings[i]);
	}
	guestmem_unref(vm->mem);
	guestram_destroy(vm->ram);
}

static uint64_t request_slot(const struct vm *vm, unsigned int queue, uint16_t head)
{
	return vm->slots[queue] + head * 2ull * VM_SLOT_BYTES;
}

uint16_t vm_submit(struct vm *vm, unsigned int queue, const void *request, size_t size_bytes,
		   size_t response_bytes)
{
	struct ring *ring = vm->rings[queue];
	/* The head is the next free descriptor. */
	uint16_t head = ring->free_heads[ring->n_free - 1];
	uint64_t slot = request_slot(vm, queue, head);
	const struct ring_segment segments[] = {
		{ slot, (uint32_t)size_bytes, false },
		{ slot + VM_SLOT_BYTES, (uint32_t)response_bytes, true },
	};

	g_assert_cmpuint(size_bytes, <=, VM_SLOT_BYTES);
	g_assert_cmpuint(response_bytes, <=, VM_SLOT_BYTES);
	memcpy(guestram_at(vm->ram, slot, size_bytes), request, size_bytes);
	g_assert_cmpuint(ring_add(ring, segments, response_bytes > 0 ? 2 : 1), ==, head);
	return head;
}

struct virtq_chain *vm_pop(struct vm *vm, unsigned int queue)
{
	struct virtq_chain *chain = NULL;

	g_assert_cmpint(virtq_pop(&vm->queues[queue], &chain), ==, VIRTQ_OK);
	return chain;
}

bool vm_take(struct vm *vm, unsigned int queue, uint16_t *head_out, void *response,
	     size_t size_bytes, uint32_t *length_out)
{
	struct vring_used_elem element;

	if (!ring_pop_used(vm->rings[queue], &element)) {
		return false;
	}
	uint64_t slot = request_slot(vm, queue, (uint16_t)element.id) + VM_SLOT_BYTES;
	memset(response, 0, size_bytes);
	memcpy(response, guestram_at(vm->ram, slot, element.len), MIN(size_bytes, element.len));
	if (head_out != NULL) {
		*head_out = (uint16_t)element.id;
	}
	if (length_out != NULL) {
		*length_out = element.len;
	}
	return true;
}
