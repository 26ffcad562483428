/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * The inside of the mock: what its files share. A file with more opcodes has a
 * table of struct mock_op, ended by an entry without a function, that is named
 * here and in ops.c.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common.h"
#include "mock_virgl.h"

struct iovec;

struct mock_resource { /* owned by mock.c */
	uint32_t width, height, n_layers;
	uint32_t pixel_bytes;
	bool is_y_0_top; /* rows lie bottom up, as the library has them then */
	bool is_shared;	 /* pixels are a mapping of a file that share.c made */
	uint8_t *pixels;
	struct iovec *iov; /* the caller's */
	int n_iov;
	/* Of a blob of the host's memory, whose pixels are a mapping of fd. */
	int fd; /* or -1 */
	uint64_t size_bytes;
	uint32_t map_info; /* 0: it can't be mapped */
	int fd_type;	   /* -1: it can't be exported */
};

/* Tables of opcodes. fences.c */
extern const struct mock_op mock_fence_ops[];
/* blobs.c */
extern const struct mock_op mock_blob_ops[];
/* rings.c */
extern const struct mock_op mock_ring_ops[];
/* server.c */
extern const struct mock_op mock_server_ops[];

/* The whole stream; at the first command that can't be, EINVAL. */
int mock_run(uint32_t ctx_id, const uint32_t *words, size_t n_words);

/* mock.c, which has mock_store(), too: into the resource's backing. */
bool mock_fill(uint32_t resource_id, uint32_t colour);
/* NULL: there is none. */
struct mock_resource *mock_find_resource(uint32_t id);
void mock_add_resource(uint32_t id, struct mock_resource *consume_resource);
/* Capset of a context; 0: there is none. */
uint32_t mock_find_context(uint32_t ctx_id);

/* fences.c: what signals them is called on a thread of ours, or from mock_fences_poll(). */
void mock_fences_start(void (*signal_fence)(uint32_t id));
void mock_fences_stop(void);
int mock_fences_fd(void);
void mock_fences_poll(void);
void mock_fences_add(uint32_t id);

/* blobs.c: what a blob has beside pixels. */
void mock_blob_finish(struct mock_resource *resource);

/* rings.c: fences of contexts; signal_fence is called on a thread of ours, or as it was told. */
void mock_rings_start(void (*signal_fence)(uint32_t ctx_id, uint32_t ring, uint64_t id));
void mock_rings_stop(void);
void mock_rings_forget(uint32_t ctx_id);

/* server.c: the connection, which it takes. */
void mock_server_start(int fd);
void mock_server_stop(void);
bool mock_server_is_there(void);

/* log.c: in a file of its own, for the library's header has it with types of a newer version. */
void mock_log(uint32_t level, const char *text);
