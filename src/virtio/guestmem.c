/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "virtio/guestmem.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "util/checked.h"

#define HUGETLBFS_MAGIC_NUMBER 0x958458f6

lockdown_names guestmem_calls = { "fstatfs", "fstatfs64", NULL };

/* One mmap, shared by every table that lists its region. */
struct mapping {
	gatomicrefcount refs;
	void *base;
	size_t size_bytes;
	uint64_t id;
	int fd; /* owned, or -1: not kept */
};

struct region {
	struct guestmem_region_desc desc;
	char *hva; /* of desc.gpa, inside mapping */
	struct mapping *mapping;
};

struct guestmem {
	gatomicrefcount refs;
	size_t n_regions;
	struct region regions[]; /* sorted by gpa */
};

static bool are_files_kept;

void guestmem_keep_files(void)
{
	are_files_kept = true;
}

static void mapping_unref(struct mapping *mapping)
{
	if (g_atomic_ref_count_dec(&mapping->refs)) {
		munmap(mapping->base, mapping->size_bytes);
		if (mapping->fd >= 0) {
			close(mapping->fd);
		}
		g_free(mapping);
	}
}

static struct guestmem *table_create(size_t n_regions)
{
	struct guestmem *mem = g_malloc0(sizeof(*mem) + n_regions * sizeof(mem->regions[0]));

	g_atomic_ref_count_init(&mem->refs);
	mem->n_regions = n_regions;
	return mem;
}

struct guestmem *guestmem_create_empty(void)
{
	return table_create(0);
}

struct guestmem *guestmem_ref(struct guestmem *mem)
{
	g_atomic_ref_count_inc(&mem->refs);
	return mem;
}

void guestmem_unref(struct guestmem *mem)
{
	if (mem == NULL || !g_atomic_ref_count_dec(&mem->refs)) {
		return;
	}
	for (size_t i = 0; i < mem->n_regions; i++) {
		mapping_unref(mem->regions[i].mapping);
	}
	g_free(mem);
}

size_t guestmem_n_regions(const struct guestmem *mem)
{
	return mem->n_regions;
}

void guestmem_region(const struct guestmem *mem, size_t i, struct guestmem_region_desc *desc_out,
		     uint64_t *id_out, int *fd_borrow_out)
{
	const struct region *region = &mem->regions[i];

	*desc_out = region->desc;
	*id_out = region->mapping->id;
	*fd_borrow_out = region->mapping->fd;
}

/* The alignment that mmap wants of an offset into this file. */
static uint64_t page_size_of(int fd)
{
	struct statfs fs;

	if (fstatfs(fd, &fs) == 0 && (uint64_t)fs.f_type == HUGETLBFS_MAGIC_NUMBER) {
		return (uint64_t)fs.f_bsize;
	}
	return (uint64_t)sysconf(_SC_PAGESIZE);
}

static struct mapping *mapping_create(void *base, size_t size_bytes, int consume_fd)
{
	static uint64_t last_id; /* tables are made by one thread */
	struct mapping *mapping = g_new0(struct mapping, 1);

	g_atomic_ref_count_init(&mapping->refs);
	mapping->base = base;
	mapping->size_bytes = size_bytes;
	mapping->id = ++last_id;
	mapping->fd = consume_fd;
	return mapping;
}

/* Sets region->mapping and hva. */
static int region_map(struct region *region, int fd)
{
	int kept_fd = -1;
	uint64_t page = page_size_of(fd);
	uint64_t slack = region->desc.mmap_offset_bytes % page;
	uint64_t start = region->desc.mmap_offset_bytes - slack;
	uint64_t end, size;
	struct stat info;

	if (!checked_add_u64(region->desc.mmap_offset_bytes, region->desc.size_bytes, &end) ||
	    !checked_add_u64(region->desc.size_bytes, slack, &size) || size > SIZE_MAX) {
		return -EINVAL;
	}
	if (fstat(fd, &info) < 0) {
		return -errno;
	}
	if (S_ISREG(info.st_mode) && (uint64_t)info.st_size < end) {
		return -EFBIG;
	}
	if (are_files_kept) {
		kept_fd = fcntl(fd, F_DUPFD_CLOEXEC, 0);
		if (kept_fd < 0) {
			return -errno;
		}
	}
	void *base = mmap(NULL, (size_t)size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE,
			  fd, (off_t)start);
	if (base == MAP_FAILED) {
		int error = -errno;

		if (kept_fd >= 0) {
			close(kept_fd);
		}
		return error;
	}
	/* A core dump of ours is no place for the guest's secrets. */
	madvise(base, (size_t)size, MADV_DONTDUMP);

	region->mapping = mapping_create(base, (size_t)size, kept_fd);
	region->hva = (char *)base + slack;
	return 0;
}

static bool is_disjoint(uint64_t a, uint64_t a_size, uint64_t b, uint64_t b_size)
{
	return a + a_size <= b || b + b_size <= a;
}

int guestmem_add(struct guestmem *mem, const struct guestmem_region_desc *desc, int fd_borrow,
		 struct guestmem **mem_out)
{
	struct region added = { .desc = *desc };
	uint64_t end;
	size_t at = 0;

	if (desc->size_bytes == 0 || !checked_add_u64(desc->gpa.v, desc->size_bytes, &end) ||
	    !checked_add_u64(desc->uva.v, desc->size_bytes, &end)) {
		return -EINVAL;
	}
	if (mem->n_regions >= GUESTMEM_MAX_REGIONS) {
		return -ENOSPC;
	}
	for (size_t i = 0; i < mem->n_regions; i++) {
		const struct guestmem_region_desc *other = &mem->regions[i].desc;

		if (!is_disjoint(desc->gpa.v, desc->size_bytes, other->gpa.v, other->size_bytes) ||
		    !is_disjoint(desc->uva.v, desc->size_bytes, other->uva.v, other->size_bytes)) {
			return -EINVAL;
		}
		if (other->gpa.v < desc->gpa.v) {
			at = i + 1;
		}
	}
	int error = region_map(&added, fd_borrow);
	if (error < 0) {
		return error;
	}

	struct guestmem *grown = table_create(mem->n_regions + 1);
	for (size_t i = 0; i < grown->n_regions; i++) {
		if (i == at) {
			grown->regions[i] = added;
			continue;
		}
		grown->regions[i] = mem->regions[i < at ? i : i - 1];
		g_atomic_ref_count_inc(&grown->regions[i].mapping->refs);
	}
	*mem_out = grown;
	return 0;
}

int guestmem_remove(struct guestmem *mem, const struct guestmem_region_desc *desc,
		    struct guestmem **mem_out)
{
	size_t at = 0;

	while (at < mem->n_regions) {
		const struct guestmem_region_desc *other = &mem->regions[at].desc;

		if (other->gpa.v == desc->gpa.v && other->uva.v == desc->uva.v &&
		    other->size_bytes == desc->size_bytes) {
			break;
		}
		at++;
	}
	if (at == mem->n_regions) {
		return -ENOENT;
	}

	struct guestmem *shrunk = table_create(mem->n_regions - 1);
	for (size_t i = 0; i < shrunk->n_regions; i++) {
		shrunk->regions[i] = mem->regions[i < at ? i : i + 1];
		g_atomic_ref_count_inc(&shrunk->regions[i].mapping->refs);
	}
	*mem_out = shrunk;
	return 0;
}

void *guestmem_at_uva(const struct guestmem *mem, struct uva uva, uint64_t length_bytes)
{
	for (size_t i = 0; i < mem->n_regions; i++) {
		const struct region *region = &mem->regions[i];
		uint64_t offset = uva.v - region->desc.uva.v;

		if (uva.v >= region->desc.uva.v &&
		    checked_range(offset, length_bytes, region->desc.size_bytes)) {
			return region->hva + offset;
		}
	}
	return NULL;
}

/* The region that holds gpa, or NULL. */
static const struct region *find_region(const struct guestmem *mem, uint64_t gpa)
{
	size_t low = 0, high = mem->n_regions;

	while (low < high) {
		size_t middle = (low + high) / 2;
		const struct region *region = &mem->regions[middle];

		if (gpa < region->desc.gpa.v) {
			high = middle;
		} else if (gpa - region->desc.gpa.v >= region->desc.size_bytes) {
			low = middle + 1;
		} else {
			return region;
		}
	}
	return NULL;
}

size_t guestmem_to_iov(const struct guestmem *mem, struct gpa gpa, uint64_t length_bytes,
		       struct iovec *iov_out, size_t max_iov)
{
	uint64_t at = gpa.v;
	size_t n = 0;

	while (length_bytes > 0) {
		const struct region *region = find_region(mem, at);
		if (region == NULL) {
			return 0;
		}
		uint64_t offset = at - region->desc.gpa.v;
		uint64_t chunk = region->desc.size_bytes - offset;
		if (chunk > length_bytes) {
			chunk = length_bytes;
		}
		if (n < max_iov) {
			iov_out[n] = (struct iovec){ region->hva + offset, (size_t)chunk };
		}
		n++;
		length_bytes -= chunk;
		if (!checked_add_u64(at, chunk, &at) && length_bytes > 0) {
			return 0;
		}
	}
	return n;
}

bool guestmem_is_one_region(const struct guestmem *mem, struct gpa a, struct gpa b)
{
	const struct region *region = find_region(mem, a.v);

	return region != NULL && region == find_region(mem, b.v);
}

uint64_t guestmem_to_file(const struct guestmem *mem, struct gpa gpa, uint64_t length_bytes,
			  int *fd_borrow_out, uint64_t *offset_bytes_out)
{
	const struct region *region = find_region(mem, gpa.v);

	if (region == NULL || region->mapping->fd < 0) {
		return 0;
	}
	uint64_t offset = gpa.v - region->desc.gpa.v;
	*fd_borrow_out = region->mapping->fd;
	/* That was checked when the file was mapped. */
	*offset_bytes_out = region->desc.mmap_offset_bytes + offset;
	return MIN(length_bytes, region->desc.size_bytes - offset);
}

/* Copies region by region; the whole range was found mapped. */
static void copy(const struct guestmem *mem, uint64_t gpa, char *flat, size_t length_bytes,
		 bool to_guest)
{
	while (length_bytes > 0) {
		struct iovec piece;

		guestmem_to_iov(mem, (struct gpa){ gpa }, length_bytes, &piece, 1);
		if (to_guest) {
			memcpy(piece.iov_base, flat, piece.iov_len);
		} else {
			memcpy(flat, piece.iov_base, piece.iov_len);
		}
		gpa += piece.iov_len;
		flat += piece.iov_len;
		length_bytes -= piece.iov_len;
	}
}

bool guestmem_read(const struct guestmem *mem, struct gpa gpa, void *to, size_t length_bytes)
{
	if (length_bytes > 0 && guestmem_to_iov(mem, gpa, length_bytes, NULL, 0) == 0) {
		return false;
	}
	copy(mem, gpa.v, to, length_bytes, false);
	return true;
}

bool guestmem_write(const struct guestmem *mem, struct gpa gpa, const void *from,
		    size_t length_bytes)
{
	if (length_bytes > 0 && guestmem_to_iov(mem, gpa, length_bytes, NULL, 0) == 0) {
		return false;
	}
	copy(mem, gpa.v, (char *)(uintptr_t)from, length_bytes, true);
	return true;
}
