/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * A libvirglrenderer.so.1 of our own (tests/proto/mock-virglrenderer) does what a test says, where
 * the real one does what a driver can: it sleeps, spins, dies, forgets its fences, eats memory.
 *
 * A stream for it is made of commands of its own, cut as virgl's are: a word with MOCK_VIRGL_MAGIC
 * and the number of words that follow, the opcode, the id of the resource whose backing gets the
 * results (0: none), arguments. A result is one u32, at the place that the command says.
 */
#ifndef TESTS_LIB_MOCK_VIRGL_H
#define TESTS_LIB_MOCK_VIRGL_H

#include <stdint.h>

#include "mock_opcodes.h"

#define MOCK_VIRGL_MAGIC 0x564du /* "MV", in bits 0..15; the length in 16..31 */
#define MOCK_VIRGL_HEAD_WORDS 3u
#define MOCK_VIRGL_MAX_ARGS 1024u

/* Besides those of mock_opcodes.h. */
enum mock_virgl_opcode {
	/* From now on no fence is signalled. */
	MOCK_FENCES_NEVER = 100,
	/* ms: each later fence, by so much after its turn */
	MOCK_FENCES_LATE,
	/* 0: from a thread, as it begins; 1: when the library is asked by poll() */
	MOCK_FENCES_BY_POLL,

	/*
	 * From now on blobs of the host's memory are so: kind, value; see enum mock_blob_kind. The
	 * context may name any memory (blob_id): all of it is there, and is zeros.
	 */
	MOCK_BLOBS = 300,
	/* resource, word: the result is what a blob has there */
	MOCK_BLOB_READ,
	/* resource, word, value */
	MOCK_BLOB_WRITE,

	/*
	 * Of contexts whose rings are timelines (capsets 4 and 6): ring, how; see enum
	 * mock_ring_kind. Fences are signalled from a thread, as they come, unless it is told so.
	 */
	MOCK_RING = 400,
	/* ring: all that are held back are signalled, and from now on each as it comes */
	MOCK_RING_RELEASE,

	/* what; see enum mock_server_order. The results are of the order. */
	MOCK_SERVER = 500,

	/* n, level: so many lines for the log callback, level as in enum virgl_log_level_flags */
	MOCK_LOG = 600,
	/* resource, colour: all its pixels */
	MOCK_FILL,
};

enum mock_blob_kind {
	MOCK_BLOBS_FINE,	 /* files that can be mapped and are cached */
	MOCK_BLOBS_FAIL,	 /* value: errno; there are none */
	MOCK_BLOBS_UNMAPPABLE,	 /* there is no way to map them */
	MOCK_BLOBS_UNEXPORTABLE, /* no descriptor is to be had */
	MOCK_BLOBS_MAP_INFO,	 /* value: what the library says of it */
	MOCK_BLOBS_FD_TYPE,	 /* value: 1 DMABUF, 2 OPAQUE, 3 SHM, or whatever */
	MOCK_BLOBS_SHORT,	 /* value: bytes that the file is too short by */
	MOCK_BLOBS_PIPE,	 /* the descriptor is a pipe's */
	MOCK_BLOBS_PICTURE,	 /* value: width, and height << 16, of B8G8R8A8 pixels */
	MOCK_BLOBS_DMABUF,	 /* of /dev/udmabuf, in rows as the guest says */
};

enum mock_ring_kind {
	MOCK_RING_HOLD,	   /* no fence is signalled until it is released */
	MOCK_RING_AT_ONCE, /* each before the library has returned, on its caller's thread */
	MOCK_RING_TWICE,   /* each two times */
	MOCK_RING_LIES,	   /* with each come one of another context and one that never was */
};

enum mock_server_order {
	MOCK_SERVER_GET_PID, /* the result */
	MOCK_SERVER_DIE,     /* of SIGABRT */
	MOCK_SERVER_EXIT,    /* with status 3 */
	/* Start a process that waits for ever and ignores all signals it can; the result is its id.
	 */
	MOCK_SERVER_FORK,
	/*
	 * A process of the server's tries to get out, and ends. The results are 0 where it was let
	 * out, else an errno, or minus the signal that it died of.
	 */
	MOCK_SERVER_OPEN,  /* /etc/passwd */
	MOCK_SERVER_WRITE, /* a file in /tmp */
	MOCK_SERVER_SOCKET,
	MOCK_SERVER_EXEC,    /* /bin/true */
	MOCK_SERVER_GROUP,   /* to leave its group of processes */
	MOCK_SERVER_SIGNAL,  /* process 1 */
	MOCK_SERVER_PTRACE,
};

struct vgpu;
struct vgpu_call;

/* The daemons that this test starts from now on load the mock. MOCK_VIRGLRENDERER names its folder.
 */
void mock_virgl_use(void);
/*
 * And have the render server of the mock, so that there is Venus (capset 4); a stream for it is as
 * any other. MOCK_RENDER_SERVER names the program.
 */
void mock_virgl_use_server(void);

/* One command by SUBMIT_3D; the type of the response. @result_id: a resource with a backing, or 0.
 */
uint32_t mock_virgl_run(struct vgpu *vgpu, uint32_t ctx, uint32_t opcode, uint32_t result_id,
			const uint32_t *args, uint32_t n_args);
uint32_t mock_virgl_run1(struct vgpu *vgpu, uint32_t ctx, uint32_t opcode, uint32_t result_id,
			 uint32_t arg);
/* The argument is a string, with its NUL, in as many words as it needs. */
uint32_t mock_virgl_run_text(struct vgpu *vgpu, uint32_t ctx, uint32_t opcode, uint32_t result_id,
			     const char *text);
/* Sends and doesn't wait: for vgpu_wait() and vgpu_finish(). Flags and fence are next_hdr's. */
struct vgpu_call *mock_virgl_send(struct vgpu *vgpu, uint32_t ctx, uint32_t opcode,
				  uint32_t result_id, const uint32_t *args, uint32_t n_args);

#endif
