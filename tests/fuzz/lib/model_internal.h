/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* What the table of model.c calls: how a command is made, and judged. */
#pragma once

#include "model.h"

/* ---- model.c ---- */

struct model_resource *model_find_resource(const struct model *model, uint32_t id);
bool model_has_context(const struct model *model, uint32_t id);
/* The same, and what was lost. */
struct model_resource *model_find_resource_or_lost(const struct model *model, uint32_t id);
bool model_has_context_or_lost(const struct model *model, uint32_t id);
/* What lies behind the fixed part of call, and how many bytes there are. */
const uint8_t *model_extra(const struct model_call *call, size_t fixed_bytes,
			   uint32_t *size_bytes_out);

/* Does a list of entries stand in for the bytes of a blob of this kind? */
bool model_has_pages(uint32_t blob_mem);
/* Whole pages of the window that resource would have at offset; false if it can't. */
bool model_window_range(const struct model_resource *resource, uint64_t offset,
			uint64_t *size_bytes_out);

/* ---- model_make.c: fill in the body ---- */

void make_header(const struct model *model, struct fuzz_input *in, struct model_call *call);
void make_create_2d(const struct model *model, struct fuzz_input *in, struct model_call *call);
void make_create_3d(const struct model *model, struct fuzz_input *in, struct model_call *call);
void make_resource(const struct model *model, struct fuzz_input *in, struct model_call *call);
void make_set_scanout(const struct model *model, struct fuzz_input *in, struct model_call *call);
void make_flush(const struct model *model, struct fuzz_input *in, struct model_call *call);
void make_transfer_2d(const struct model *model, struct fuzz_input *in, struct model_call *call);
void make_attach_backing(const struct model *model, struct fuzz_input *in, struct model_call *call);
void make_word(const struct model *model, struct fuzz_input *in, struct model_call *call);
void make_get_capset(const struct model *model, struct fuzz_input *in, struct model_call *call);
void make_ctx_create(const struct model *model, struct fuzz_input *in, struct model_call *call);
void make_ctx(const struct model *model, struct fuzz_input *in, struct model_call *call);
void make_ctx_resource(const struct model *model, struct fuzz_input *in, struct model_call *call);
void make_transfer_3d(const struct model *model, struct fuzz_input *in, struct model_call *call);
void make_submit(const struct model *model, struct fuzz_input *in, struct model_call *call);
void make_cursor(const struct model *model, struct fuzz_input *in, struct model_call *call);
void make_create_blob(const struct model *model, struct fuzz_input *in, struct model_call *call);
void make_set_scanout_blob(const struct model *model, struct fuzz_input *in,
			   struct model_call *call);
void make_map_blob(const struct model *model, struct fuzz_input *in, struct model_call *call);

/* ---- model_judge.c: the right answer; *takes_bytes is 0 before ---- */

enum gpu_resp judge_display_info(const struct model *model, const struct model_call *call,
				 uint64_t *takes_bytes);
enum gpu_resp judge_edid(const struct model *model, const struct model_call *call,
			 uint64_t *takes_bytes);
enum gpu_resp judge_create_2d(const struct model *model, const struct model_call *call,
			      uint64_t *takes_bytes);
enum gpu_resp judge_create_3d(const struct model *model, const struct model_call *call,
			      uint64_t *takes_bytes);
enum gpu_resp judge_unref(const struct model *model, const struct model_call *call,
			  uint64_t *takes_bytes);
enum gpu_resp judge_set_scanout(const struct model *model, const struct model_call *call,
				uint64_t *takes_bytes);
enum gpu_resp judge_flush(const struct model *model, const struct model_call *call,
			  uint64_t *takes_bytes);
enum gpu_resp judge_transfer_2d(const struct model *model, const struct model_call *call,
				uint64_t *takes_bytes);
enum gpu_resp judge_attach_backing(const struct model *model, const struct model_call *call,
				   uint64_t *takes_bytes);
enum gpu_resp judge_detach_backing(const struct model *model, const struct model_call *call,
				   uint64_t *takes_bytes);
enum gpu_resp judge_assign_uuid(const struct model *model, const struct model_call *call,
				uint64_t *takes_bytes);
enum gpu_resp judge_create_blob(const struct model *model, const struct model_call *call,
				uint64_t *takes_bytes);
enum gpu_resp judge_set_scanout_blob(const struct model *model, const struct model_call *call,
				     uint64_t *takes_bytes);
enum gpu_resp judge_map_blob(const struct model *model, const struct model_call *call,
			     uint64_t *takes_bytes);
enum gpu_resp judge_unmap_blob(const struct model *model, const struct model_call *call,
			       uint64_t *takes_bytes);
enum gpu_resp judge_get_capset_info(const struct model *model, const struct model_call *call,
				    uint64_t *takes_bytes);
enum gpu_resp judge_get_capset(const struct model *model, const struct model_call *call,
			       uint64_t *takes_bytes);
enum gpu_resp judge_ctx_create(const struct model *model, const struct model_call *call,
			       uint64_t *takes_bytes);
enum gpu_resp judge_ctx_destroy(const struct model *model, const struct model_call *call,
				uint64_t *takes_bytes);
enum gpu_resp judge_ctx_resource(const struct model *model, const struct model_call *call,
				 uint64_t *takes_bytes);
enum gpu_resp judge_transfer_3d(const struct model *model, const struct model_call *call,
				uint64_t *takes_bytes);
enum gpu_resp judge_submit(const struct model *model, const struct model_call *call,
			   uint64_t *takes_bytes);
enum gpu_resp judge_update_cursor(const struct model *model, const struct model_call *call,
				  uint64_t *takes_bytes);
enum gpu_resp judge_move_cursor(const struct model *model, const struct model_call *call,
				uint64_t *takes_bytes);

/* Would these entries (of a backing) be mapped? */
enum model_mapping model_map(const struct model *model, const GArray *entries);
/* n entries behind the fixed part of a command, which are all there. */
GArray *model_read_entries(const struct model_call *call, size_t fixed_bytes, uint32_t n);
uint64_t model_sum_entries(const GArray *entries);
