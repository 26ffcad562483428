/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * A libgfxstream_backend.so of our own (tests/proto/mock-gfxstream). It ends its process, with
 * "contract: " and a word on standard error, when it is called as the real one must not be: with
 * ids that it has or has not, sizes that it would read or write beyond, from two threads at once.
 * What the real one bears it bears in the same way, and it does what a test says where a driver
 * may: it sleeps, dies, holds fences back, has memory that nobody can map.
 *
 * MOCK_GFXSTREAM_INIT is what becomes of stream_renderer_init(): "hang", "abort", "crash",
 * "fail", "no-fence" (it starts, and signals nothing), "tame" (it starts, and no guest can end it,
 * or have it wait).
 *
 * A command for a context is the opcode, then arguments, one word each. Those that have a result
 * put it into the pixels of a resource, which a guest can read back.
 */
#ifndef TESTS_LIB_MOCK_GFXSTREAM_H
#define TESTS_LIB_MOCK_GFXSTREAM_H

#include <stdbool.h>
#include <stdint.h>

#include "mock_opcodes.h"

/* The real one's are below. */
enum mock_gfxstream_opcode {
	MOCK_GFX_NOP = 0,
	/*
	 * resource, opcode of mock_opcodes.h, arguments: results go into the resource's first
	 * pixels
	 */
	MOCK_GFX_COMMON = 0x4d470001,
	/* signal: the process dies of it */
	MOCK_GFX_DIE,
	/* value: submit_cmd() returns it */
	MOCK_GFX_FAIL,
	/* n, debug type: so many lines for the debug callback */
	MOCK_GFX_LOG,
	/* resource, colour: all its pixels */
	MOCK_GFX_FILL,
	/* resource: the process's id, in its first pixel */
	MOCK_GFX_GET_PID,
	/* ctx, ring (-1: the one that is no ring's), how; see enum mock_gfxstream_fences */
	MOCK_GFX_FENCES,
	/* the same: what was held back is signalled, and from now on each fence inside of the call
	 */
	MOCK_GFX_RELEASE,
	/* blob_id, kind, value: memory that a blob can be made of, once; see enum
	   mock_gfxstream_memory */
	MOCK_GFX_MEMORY,
	/* blob's resource, word, resource: what is there, in its first pixel */
	MOCK_GFX_BLOB_READ,
	/* blob's resource, word, value */
	MOCK_GFX_BLOB_WRITE,
	/* n: how many words of zero lay behind the command, in resource's first pixel */
	MOCK_GFX_MEASURE,
	/* The next call fails as the name says, once; see enum mock_gfxstream_failure */
	MOCK_GFX_FAIL_NEXT,
	/* resource: how often a ring was made with, and pinged, in its first two pixels */
	MOCK_GFX_COUNT_RINGS,
	/* resource: the flags that init() was given, in its first two pixels */
	MOCK_GFX_GET_FLAGS,
};

enum mock_gfxstream_fences {
	MOCK_GFX_FENCES_INSIDE, /* of the call that makes it */
	MOCK_GFX_FENCES_THREAD, /* from a thread, as it comes */
	MOCK_GFX_FENCES_HOLD,	/* not until it is released */
	MOCK_GFX_FENCES_TWICE,
	MOCK_GFX_FENCES_LIES, /* with each come some that never were */
};

enum mock_gfxstream_memory {
	MOCK_GFX_MEMORY_SHM,
	MOCK_GFX_MEMORY_OPAQUE, /* as Mesa's software Vulkan makes it: value is where data begin */
	MOCK_GFX_MEMORY_TYPE,	/* value: the descriptor's type */
	MOCK_GFX_MEMORY_MAP_INFO,     /* value: what is said of its caching */
	MOCK_GFX_MEMORY_SHORT,	      /* value: bytes that the file is too short by */
	MOCK_GFX_MEMORY_PIPE,	      /* the descriptor is a pipe's */
	MOCK_GFX_MEMORY_UNEXPORTABLE, /* there is no descriptor */
	MOCK_GFX_MEMORY_DMABUF,	      /* of /dev/udmabuf */
};

enum mock_gfxstream_failure {
	MOCK_GFX_FAIL_CREATE = 1, /* resource_create() */
	MOCK_GFX_FAIL_ATTACH,	  /* resource_attach_iov() */
	MOCK_GFX_FAIL_CONTEXT,
	MOCK_GFX_FAIL_FENCE,
	MOCK_GFX_FAIL_TRANSFER,
	MOCK_GFX_FAIL_PICTURE, /* a blob of one: there is none, and the picture stays */
};

struct vgpu;
struct vgpu_call;

/*
 * What daemon_start() has a daemon in mode gfxstream load, unless another is named after it.
 * MOCK_GFXSTREAM names its folder.
 */
char *mock_gfxstream_path(void);
/* The same for a daemon in this mode, owned; NULL: the mode has no library of the tests'. */
char *mock_gfxstream_path_of(const char *mode);

/* One command by SUBMIT_3D; the type of the response. */
uint32_t mock_gfxstream_run(struct vgpu *vgpu, uint32_t ctx, uint32_t opcode, const uint32_t *args,
			    uint32_t n_args);
/* MOCK_GFX_COMMON, which is sent and not waited for. Flags and fence are next_hdr's. */
struct vgpu_call *mock_gfxstream_send_common(struct vgpu *vgpu, uint32_t ctx,
					     enum mock_opcode opcode, uint32_t result_id,
					     const uint32_t *args, uint32_t n_args);

#endif
