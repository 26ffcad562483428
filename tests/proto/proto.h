/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * What the suites share: the renderer modes, and assertions that speak of responses.
 */
#ifndef TESTS_PROTO_PROTO_H
#define TESTS_PROTO_PROTO_H

#include <glib.h>

#include "rig.h"
#include "suite.h"
#include "vgpu.h"

struct proto_mode {
	const char *name;
	bool draws;    /* what the guest flushes reaches the display */
	bool has_3d;   /* 3D commands are carried out */
	bool takes_3d; /* 3D commands are accepted */
	bool speaks_virgl; /* what virglrenderer makes of them is right */
};

extern const struct proto_mode proto_modes[4];
#define PROTO_NULL (&proto_modes[0])
#define PROTO_2D (&proto_modes[1])
#define PROTO_VIRGL (&proto_modes[2])
#define PROTO_GFXSTREAM (&proto_modes[3])

/* /proto/@group/<mode>/@name, for all modes; @fn gets the struct proto_mode. */
void proto_add(const char *group, const char *name, suite_fn fn);
/* Only for those that draw; for those that render in a process of its own, with a library; only for
 * virglrenderer, only for gfxstream. */
void proto_add_drawing(const char *group, const char *name, suite_fn fn);
void proto_add_3d(const char *group, const char *name, suite_fn fn);
void proto_add_virgl(const char *group, const char *name, suite_fn fn);
void proto_add_gfxstream(const char *group, const char *name, suite_fn fn);

/* A signal from outside is no finding of a sanitizer's. Before the daemon is started. */
void proto_let_signals_kill(void);

/* What the sandbox is made of is the kernel's, and a test machine may lack it: then the test is
 * skipped; or a sanitizer forbids it. */
void proto_need_sandbox_kernel(void);
void proto_need_sandbox(void);
/* Daemons that are started from now on are so by confine.c with these words. */
void proto_confine(const char *words);
/* As an ordinary user, or the test is skipped. */
void proto_confine_user(void);

struct rig *proto_rig(const void *mode);
/* In null mode, up to the handshake: no memory, no rings. */
struct rig *proto_rig_handshaken(void);

/* Short by one byte, header only, less than a header: ERR_INVALID_PARAMETER each time (for 3D
 * commands where the mode has no 3D also ERR_UNSPEC), and served afterwards. Then: no response
 * buffer, one of 8 bytes, odd splits, indirect. @cmd must be one that is answered with @expected
 * however often it is sent. */
void proto_check_shapes(struct rig *rig, const void *cmd, uint32_t size, uint32_t expected);

/* Magic, checksum, size. */
void proto_assert_edid(const struct virtio_gpu_resp_edid *edid);
/* 0x1200 and above. */
void proto_assert_error(uint32_t type);
/* Any that there is. */
void proto_assert_answer(uint32_t type);
/* g_assert_cmpmem() without its sign conversion. */
void proto_assert_mem(const void *actual, const void *expected, size_t size);
void proto_assert_one_of(uint32_t type, uint32_t one, uint32_t other);

#endif
