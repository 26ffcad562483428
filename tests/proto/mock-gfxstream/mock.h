/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* The inside of the mock: what its files share. */
#pragma once

#include <glib.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common.h"
#include "mock_gfxstream.h"
#include "renderer/gfxstream_library.h"

#define X(type, name, arguments) type stream_renderer_##name arguments;
GFXSTREAM_LIBRARY_FUNCTIONS(X)
#undef X
void stream_renderer_teardown(void);

/* A context's, which resources that it has are ends of. */
struct mock_pipe {
	unsigned int refs;
	bool is_process, is_stream; /* neither: it was not named yet */
	bool is_confirmed, is_read;
	GByteArray *bytes; /* of a stream: written, and not read yet */
};

enum mock_kind { MOCK_PICTURE, MOCK_BUFFER, MOCK_PIPE, MOCK_BLOB };

struct mock_resource { /* owned by resources.c */
	uint32_t id;
	enum mock_kind kind;
	uint32_t width, height;
	uint32_t texel_bytes; /* 0: of a format that nothing is copied of */
	uint8_t *texels;
	uint8_t *room; /* to copy through, as long as what was attached */
	uint64_t room_bytes;
	unsigned int n_contexts; /* that it is attached to */
	struct mock_pipe *pipe;	 /* owned reference, or NULL */
				 /* Of a blob. */
	int fd;			 /* -1: it was given away, or there is none */
	uint8_t *memory; /* a mapping of size_bytes, from the blob's beginning on; or NULL */
	uint64_t size_bytes, mapping_bytes, offset_bytes;
	uint32_t handle_type, map_info;
	unsigned int n_rings, n_pings;
};

struct mock_context { /* owned by mock.c */
	uint32_t id;
	GHashTable *attached;	/* set of resource ids */
	GHashTable *memory;	/* blob_id -> struct mock_memory, owned */
	struct mock_pipe *pipe; /* owned reference */
};

struct mock_memory {
	uint32_t kind, value;
	bool is_picture;
};

#define MOCK_RING_BYTES 12288u
#define MOCK_BUFFER_BYTES (1u << 20)
/* mock.c */
#define contract(condition, ...)                                                                   \
	do {                                                                                       \
		if (!(condition)) {                                                                \
			mock_breach(__VA_ARGS__);                                                  \
		}                                                                                  \
	} while (0)
G_NORETURN void mock_breach(const char *format, ...) G_GNUC_PRINTF(1, 2);
/* Around each call: one at a time, none before init(), none out of a callback. */
void mock_enter(const char *name);
void mock_leave(void);
struct mock_context *mock_find_context(uint32_t id);
void mock_log(uint32_t debug_type, const char *text);
/* Is the next call of this kind to fail? Then it is not any more. */
bool mock_take_failure(enum mock_gfxstream_failure failure);
void mock_fail_next(uint32_t failure);
bool mock_is_tame(void);
uint64_t mock_flags(void); /* enum gfxstream_flag, that it was started with */

/* resources.c, which has mock_store(), too: a word of its texels. */
struct mock_resource *mock_find_resource(uint32_t id);
void mock_add_resource(struct mock_resource *consume_resource);
/* A picture that is nobody's: another of that id is more than the library bears. */
void mock_burn_id(uint32_t id);

/* pipes.c: what the real one ends the process for is a breach. */
struct mock_pipe *mock_pipe_create(void);
struct mock_pipe *mock_pipe_ref(struct mock_pipe *pipe);
void mock_pipe_unref(struct mock_pipe *pipe);
void mock_pipe_write(struct mock_pipe *pipe, const uint8_t *bytes, uint64_t length);
void mock_pipe_read(struct mock_pipe *pipe, uint8_t *bytes_out, uint64_t length);

/* blobs.c */
void mock_blob_finish(struct mock_resource *resource);
uint32_t *mock_blob_word(uint32_t id, uint32_t word);

/* fences.c; signal is called as the test says. */
void mock_fences_start(void (*signal)(const struct gfxstream_fence *fence), bool is_mute);
void mock_fences_set(uint32_t ctx_id, int32_t ring, uint32_t how);
void mock_fences_release(uint32_t ctx_id, int32_t ring);
/* Is this thread in a callback? */
bool mock_fences_is_calling(void);

/* ops.c: what the library answers; behind size_bytes there is room that it reads, too. */
int mock_run(struct mock_context *context, const uint8_t *command, uint32_t size_bytes);
