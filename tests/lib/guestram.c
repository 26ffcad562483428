/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include <fcntl.h>
#include <glib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "guestram.h"

#define HIGH_GPA UINT64_C(0x100000000)
#define HIGH_MMAP_OFFSET UINT64_C(0x200000)
#define UVA_BASE UINT64_C(0x500000000000)
#define UVA_STEP UINT64_C(0x10000000000)

struct guestram *guestram_create_empty(void)
{
	return g_new0(struct guestram, 1);
}

struct guestram *guestram_create(uint64_t size_bytes)
{
	struct guestram *ram = guestram_create_empty();

	guestram_add(ram, 0, size_bytes, 0);
	guestram_add(ram, HIGH_GPA, size_bytes, HIGH_MMAP_OFFSET);
	return ram;
}

unsigned int guestram_add(struct guestram *ram, uint64_t gpa, uint64_t size_bytes,
			  uint64_t mmap_offset)
{
	unsigned int index = ram->n_regions;

	g_assert_cmpuint(index, <, GUESTRAM_MAX_REGIONS);
	int memfd = memfd_create("guest-ram", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	g_assert_no_errno(memfd);
	g_assert_no_errno(ftruncate(memfd, (off_t)(mmap_offset + size_bytes)));
	/* As QEMU's memory-backend-memfd does. */
	g_assert_no_errno(
		fcntl(memfd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL));
	void *hva = mmap(NULL, size_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, memfd,
			 (off_t)mmap_offset);
	g_assert_true(hva != MAP_FAILED);

	ram->regions[index] = (struct guestram_region){
		.wire = {gpa, size_bytes, UVA_BASE + UVA_STEP * index, mmap_offset},
		.memfd = memfd,
		.hva = hva,
	};
	ram->n_regions += 1;
	return index;
}

void guestram_drop_last(struct guestram *ram)
{
	g_assert_cmpuint(ram->n_regions, >, 0);
	ram->n_regions -= 1;
	munmap(ram->regions[ram->n_regions].hva, ram->regions[ram->n_regions].wire.size);
	close(ram->regions[ram->n_regions].memfd);
}

void guestram_destroy(struct guestram *ram)
{
	if (!ram) {
		return;
	}
	while (ram->n_regions > 0) {
		guestram_drop_last(ram);
	}
	g_free(ram);
}

uint64_t guestram_alloc(struct guestram *ram, unsigned int index, uint64_t size_bytes,
			uint64_t align)
{
	g_assert_cmpuint(index, <, ram->n_regions);
	struct guestram_region *region = &ram->regions[index];
	uint64_t start = (region->used + align - 1) & ~(align - 1);

	g_assert_cmpuint(start + size_bytes, <=, region->wire.size);
	region->used = start + size_bytes;
	return region->wire.guest_addr + start;
}

static const struct guestram_region *find(const struct guestram *ram, uint64_t gpa,
					  uint64_t size_bytes)
{
	for (unsigned int i = 0; i < ram->n_regions; i++) {
		const struct vhost_user_mem_region *wire = &ram->regions[i].wire;
		if (gpa >= wire->guest_addr && size_bytes <= wire->size &&
		    gpa - wire->guest_addr <= wire->size - size_bytes) {
			return &ram->regions[i];
		}
	}
	g_error("no guest memory at 0x%" G_GINT64_MODIFIER "x", gpa);
}

void *guestram_at(const struct guestram *ram, uint64_t gpa, uint64_t size_bytes)
{
	const struct guestram_region *region = find(ram, gpa, size_bytes);

	return region->hva + (gpa - region->wire.guest_addr);
}

uint64_t guestram_to_uva(const struct guestram *ram, uint64_t gpa)
{
	const struct guestram_region *region = find(ram, gpa, 1);

	return region->wire.user_addr + (gpa - region->wire.guest_addr);
}
