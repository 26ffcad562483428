/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * A front-end that maps: serves SHMEM_MAP and SHMEM_UNMAP in a thread of its own and puts the files
 * into a reserved range of addresses, as QEMU puts them into a PCI BAR. QEMU's rules: mappings
 * don't overlap, an unmap is of exactly one of them, a reset takes away all. What breaks a rule is
 * refused, and so is what a file is too short for.
 *
 * A message that no front-end could make sense of fails the test.
 */
#ifndef TESTS_LIB_WINDOW_H
#define TESTS_LIB_WINDOW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct window;

enum window_manner {
	WINDOW_SERVES,
	WINDOW_REFUSES, /* answers no, and does nothing */
	WINDOW_READS,	/* does it, and never answers */
	WINDOW_STALLS,	/* doesn't even read */
	WINDOW_TALKS_NONSENSE,
	WINDOW_HANGS_UP, /* at the next question; the next channel is served */
	WINDOW_MAPS_LATE, /* says yes at once, and does it before it reads on, as QEMU 11.1 */
};

/* What has been asked since window_create(). */
struct window_counts {
	unsigned int n_maps, n_unmaps; /* done */
	unsigned int n_refused;	       /* on the test's word */
	unsigned int n_overlaps;
	unsigned int n_vain_unmaps; /* of what is not mapped, or not just so */
	unsigned int n_bad_files;   /* that could not be mapped */
	unsigned int n_live;	    /* mappings right now */
	uint64_t live_bytes;
};

struct window *window_create(void);
void window_destroy(struct window *window);

/* Addresses; before the first mapping. */
void window_set_size(struct window *window, uint64_t size_bytes);
/* Serves one end of a new channel and returns the other, for SET_BACKEND_REQ_FD; the caller closes
 * it. Any number of times: the channel before is not served any more. */
int window_connect(struct window *window);

/* From the next question on. */
void window_set_manner(struct window *window, enum window_manner manner);
/* Each answer comes so much later. */
void window_set_delay_ms(struct window *window, unsigned int delay_ms);

/*
 * As the front-end does when the device is reset: all mappings go, and no question is served until
 * the daemon was told of it, as QEMU does both with its lock held.
 */
void window_begin_reset(struct window *window);
void window_end_reset(struct window *window);

struct window_counts window_get_counts(struct window *window);
/* Waits until so many mappings are there; false when the time is up. */
bool window_wait_live(struct window *window, unsigned int n_live, int milliseconds);
/* Waits until so many questions have been read in all. */
bool window_wait_asked(struct window *window, unsigned int n_asked, int milliseconds);
bool window_is_mapped(struct window *window, uint64_t offset, uint64_t size);

/* As the guest's processor does; all of it has to be mapped. */
void window_write(struct window *window, uint64_t offset, const void *bytes, size_t size);
void window_read(struct window *window, uint64_t offset, void *bytes_out, size_t size);

#endif
