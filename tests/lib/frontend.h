/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * The front-end's end of a vhost-user connection. frontend_send() sends anything, right or wrong;
 * the rest is built on it and asserts that the daemon answers as the protocol says.
 */
#ifndef TESTS_LIB_FRONTEND_H
#define TESTS_LIB_FRONTEND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "guestram.h"
#include "ring.h"
#include "window.h"
#include "wire.h"

#define FRONTEND_ANSWER_MS 5000

struct frontend {
	int fd;
	uint64_t features;	    /* offered */
	uint64_t protocol_features; /* offered */
	uint64_t acked_protocol_features;
	uint64_t
		withheld_protocol_features; /* offered ones that frontend_handshake() doesn't ack */
	int backend_req_fd;		    /* our end of SET_BACKEND_REQ_FD, or -1 */
	/* Of a front-end that maps; before frontend_handshake(). Owned, serves that channel. */
	struct window *window;
	unsigned int shmem_feature; /* the bit that stands for that */
	uint64_t window_bytes;	    /* as the daemon says */
};

struct frontend *frontend_create(int consume_fd);
/* Closes the connection. frontend_destroy(NULL) is fine. */
void frontend_destroy(struct frontend *frontend);

/* One message with @fds_dup attached; 0 or -errno. @flags_or is added to the version. */
int frontend_send(struct frontend *frontend, uint32_t request, uint32_t flags_or,
		  const void *payload, uint32_t size, const int *fds_dup, unsigned int n_fds);
/* As it stands, header and all. */
int frontend_send_bytes(struct frontend *frontend, const void *bytes, size_t size,
			const int *fds_dup, unsigned int n_fds);
/* Waits for the answer to @request, asserts its header, returns the payload's size (at most @size).
 */
uint32_t frontend_receive(struct frontend *frontend, uint32_t request, void *payload_out,
			  uint32_t size);
/* True when the daemon has closed the connection (what it sent before is discarded). */
bool frontend_wait_closed(struct frontend *frontend, int milliseconds);
/* True when something to read has arrived. */
bool frontend_wait_readable(struct frontend *frontend, int milliseconds);

/* Sends with NEED_REPLY and returns the u64 of the answer: 0 is success. */
uint64_t frontend_request(struct frontend *frontend, uint32_t request, const void *payload,
			  uint32_t size, const int *fds_dup, unsigned int n_fds);
uint64_t frontend_get_u64(struct frontend *frontend, uint32_t request);
void frontend_set_u64(struct frontend *frontend, uint32_t request, uint64_t value);
/* A question that any living session answers: shows that the connection still stands and is in
 * step. */
void frontend_assert_alive(struct frontend *frontend);

/* GET_CONFIG of @size bytes at @offset; returns the size of the region that came back (0: refused).
 */
uint32_t frontend_get_config(struct frontend *frontend, uint32_t offset, uint32_t size,
			     uint8_t *region_out);

/* GET_SHMEM_CONFIG: the size of the host-visible window, and there is no other region. */
uint64_t frontend_get_window_bytes(struct frontend *frontend);
/* SET_BACKEND_REQ_FD: a new channel, of the window if there is one. */
void frontend_set_backend_req_fd(struct frontend *frontend);

/* All that QEMU does when the device is realized. */
void frontend_handshake(struct frontend *frontend);
void frontend_set_features(struct frontend *frontend, uint64_t features);
/* By ADD_MEM_REG or SET_MEM_TABLE; asserts success. */
void frontend_add_memory(struct frontend *frontend, const struct guestram *ram);
void frontend_remove_memory(struct frontend *frontend, const struct guestram *ram);
void frontend_set_mem_table(struct frontend *frontend, const struct guestram *ram);
uint64_t frontend_add_region(struct frontend *frontend, const struct guestram_region *region);

void frontend_set_vring(struct frontend *frontend, uint32_t request, uint32_t index, uint32_t num);
void frontend_set_vring_addr(struct frontend *frontend, const struct ring *ring);
void frontend_set_vring_fd(struct frontend *frontend, uint32_t request, uint32_t index, int fd_dup);
/* NUM, BASE, ADDR, ERR, CALL, KICK and, unless @is_disabled, ENABLE. */
void frontend_start_ring(struct frontend *frontend, const struct ring *ring, uint16_t base,
			 bool is_disabled);
/* ENABLE 0 and GET_VRING_BASE; returns the base. */
uint16_t frontend_stop_ring(struct frontend *frontend, uint32_t index);
void frontend_gpu_set_socket(struct frontend *frontend, int fd_dup);

#endif
