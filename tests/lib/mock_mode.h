/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * What both libraries of our own do, in either mode: a test of that does not know which of them it
 * tells.
 */
#ifndef TESTS_LIB_MOCK_MODE_H
#define TESTS_LIB_MOCK_MODE_H

#include <stdint.h>

#include "mock_opcodes.h"

/* A resource for results is a picture of so many pixels in a row, with a backing as long. */
#define MOCK_N_RESULTS 16u

struct vgpu;
struct vgpu_call;

/* Daemons of this mode that the test starts from now on load the mode's. */
void mock_mode_use(const char *mode);

/*
 * One command by SUBMIT_3D; the type of the response. @result_id: a resource for results, whose
 * backing has them then; or 0.
 */
uint32_t mock_mode_run(const char *mode, struct vgpu *vgpu, uint32_t ctx, enum mock_opcode opcode,
		       uint32_t result_id, const uint32_t *args, uint32_t n_args);
uint32_t mock_mode_run1(const char *mode, struct vgpu *vgpu, uint32_t ctx, enum mock_opcode opcode,
			uint32_t result_id, uint32_t arg);
/* Sends and doesn't wait, without results. Flags and fence are next_hdr's. */
struct vgpu_call *mock_mode_send(const char *mode, struct vgpu *vgpu, uint32_t ctx,
				 enum mock_opcode opcode, const uint32_t *args, uint32_t n_args);

#endif
