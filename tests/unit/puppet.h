/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* A renderer that does as the test says, and writes down what it is told. */
#pragma once

#include "renderer/renderer.h"

extern const struct renderer_impl puppet_impl;

struct puppet {
	struct renderer base;
	GString *log;
	enum gpu_resp answer; /* to what can fail */
	enum gpu_resp fence_answer;
	struct renderer_fence last_fence;
	const struct backing *backing;	/* borrowed */
	char stream[64];		/* the start of the last one */
	struct frame *picture;		/* owned reference: of every resource; NULL: none */
	int export_fd; /* borrowed: the memory of every blob; -1: none can be had */
	uint64_t export_offset;
	int picture_fd; /* borrowed: the memory of every texture; -1: none can be had */
	struct dmabuf_layout picture_layout;
	enum gpu_resp picture_answer; /* where there is none */
	unsigned int n_reads, bad_read; /* that one fails; 0: none */
};

struct puppet *puppet_from_base(struct renderer *r);
