/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * The whole device between a guest, a renderer (FUZZ_RENDERER) and a display,
 * with a model that knows what has to be answered (lib/model.h). The guest's
 * commands come in any order and shape, between changes of the memory table,
 * pauses, resets, a display that is slow or answers late, and fences. And the
 * device dies, and the next one is made of its records.
 *
 * After each step: each chain was answered at most once, as the model says. At
 * the end: each was answered, and nothing is held of the memory that a guest
 * can ask for.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "archive.h"
#include "clock.h"
#include "fenced.h"
#include "fuzz.h"
#include "gpu/device.h"
#include "guest.h"
#include "input.h"
#include "model.h"
#include "recorder.h"
#include "util/checked.h"
#include "window.h"

#define QUOTA_BYTES (UINT64_C(16) << 20)
/* Of structs and pages, which the model does not know. */
#define QUOTA_SLACK_BYTES (UINT64_C(64) << 10)
#define CONTROL COMMAND_QUEUE_CONTROL
#define CURSOR COMMAND_QUEUE_CURSOR
/* Room that any answer fits in. */
#define FULL_RESPONSE_BYTES FUZZ_SLOT_BYTES
#define FENCE_TIMEOUT_MS 5000

/* A chain that the guest made available. */
struct call {
	struct model_call command;
	struct model_verdict verdict; /* once it was executed */
	uint64_t used_bytes;	      /* of the quota, before that */
	uint32_t room_bytes;	      /* for the answer */
	bool is_available, is_executed;
	bool is_applied; /* to the model */
};

struct fuzz {
	struct fuzz_input in;
	struct fuzz_guest *guest;
	struct guestmem *mem; /* owned reference: the table of the moment */
	struct virtq_state states[FUZZ_N_QUEUES]; /* what outlives a device's process */
	struct virtq queues[FUZZ_N_QUEUES];
	struct archive *archive; /* likewise */
	struct renderer *renderer;
	struct witness *display;
	struct window window; /* the front-end's, if the renderer is exact and has blobs */
	struct device dev;
	struct model model;
	struct call (*calls)[FUZZ_RING_SIZE]; /* of each queue, by head */
	bool is_paused;
	uint16_t bases[FUZZ_N_QUEUES];	      /* while paused */
	uint16_t used_indexes[FUZZ_N_QUEUES]; /* likewise */
};

/* ---- renderers ---- */

/* A later one joins by a line here, and by its name in meson.build. */
static const struct fuzz_renderer {
	const char *name;
	/* Answers yes to all that is right; others may say what they like. */
	bool is_exact;
	/* Lives as long as the process: it takes long to start. */
	bool is_kept;
	/* Reads back into the guest's memory. */
	bool writes_backings;
} renderers[] = {
	{ "null", true, false, false },
	{ "2d", true, false, false },
	{ "fenced", true, false, false },
	{ "virglrenderer", false, true, true },
	/* On a library of the tests' own, which ends the process when it is used wrongly. */
	{ "gfxstream", false, true, true },
};

static const struct fuzz_renderer *which;
static struct quota quota;
static struct renderer *kept;
/* Its fences are numbered on from one device to the next. */
static uint64_t kept_seq;

static const struct renderer_impl *find_impl(const char *name)
{
	return strcmp(name, fenced_impl.name) == 0 ? &fenced_impl : renderer_find(name);
}

static int start_renderer(const char *name, struct renderer **renderer_out)
{
	const struct renderer_options options = {
		.use_egl = true,
		.use_gles = true,
		.use_surfaceless = true,
		/* With a library that draws nothing, what takes no EGL. */
		.capset_mask = *FUZZ_LIBRARY != '\0' ? 1u << RENDERER_CAPSET_GFXSTREAM_VULKAN : 0,
		.library = *FUZZ_LIBRARY != '\0' ? FUZZ_LIBRARY : NULL,
	};

	/* A driver of Vulkan is said to be there; it is not looked at. */
	if (options.library != NULL) {
		g_setenv("VK_DRIVER_FILES", "/dev/null", TRUE);
		g_setenv("MOCK_GFXSTREAM_INIT", "tame", TRUE);
	}
	quota_init(&quota, QUOTA_BYTES);
	return renderer_create(find_impl(name), &options, &quota, renderer_out);
}

const char *fuzz_prepare(void)
{
	for (size_t i = 0; i < G_N_ELEMENTS(renderers); i++) {
		if (strcmp(renderers[i].name, FUZZ_RENDERER) == 0) {
			which = &renderers[i];
		}
	}
	g_assert_nonnull(which);
	guestmem_keep_files();
	if (which->is_kept && start_renderer(which->name, &kept) < 0) {
		return FUZZ_RENDERER " does not start on this host";
	}
	return NULL;
}

/* ---- answers ---- */

/* Was there so little memory that the command may have been refused for that? */
static bool is_short(const struct call *call)
{
	uint64_t takes_bytes = call->verdict.takes_bytes;

	/* Frames are rounded up by a sixteenth at most. */
	return takes_bytes > 0 &&
	       call->used_bytes + takes_bytes + takes_bytes / 16 + QUOTA_SLACK_BYTES > QUOTA_BYTES;
}

static bool is_right(const struct fuzz *fuzz, const struct call *call, enum gpu_resp resp)
{
	const struct model_verdict *verdict = &call->verdict;
	bool is_success = verdict->resp < GPU_RESP_ERR_UNSPEC;

	if (verdict->resp == MODEL_ANY || resp == verdict->resp) {
		return true;
	}
	if (is_success && !fuzz->model.is_exact) {
		return resp >= GPU_RESP_ERR_UNSPEC;
	}
	/* That may be found out before what else is wrong. */
	return resp == GPU_RESP_ERR_OUT_OF_MEMORY && is_short(call);
}

static void assert_header(const struct call *call, const struct virtio_gpu_ctrl_hdr *header)
{
	const struct virtio_gpu_ctrl_hdr *request = &call->command.request.header;
	bool is_whole = call->command.size_bytes >= sizeof(*request);

	if (is_whole && request->flags & VIRTIO_GPU_FLAG_FENCE) {
		g_assert_cmphex(header->flags & VIRTIO_GPU_FLAG_FENCE, ==, VIRTIO_GPU_FLAG_FENCE);
		g_assert_cmphex(header->fence_id, ==, request->fence_id);
		g_assert_cmpuint(header->ctx_id, ==, request->ctx_id);
		/* As the features were when it was completed. */
		g_assert_true(header->ring_idx == 0 || header->ring_idx == request->ring_idx);
	} else {
		g_assert_cmphex(header->flags, ==, 0);
		g_assert_cmphex(header->fence_id, ==, 0);
	}
}

/* One entry of a used ring. */
static void take_answer(struct fuzz *fuzz, unsigned int queue, const struct fuzz_used *used)
{
	struct call *call = &fuzz->calls[queue][used->head];
	struct virtio_gpu_ctrl_hdr header;

	g_assert_true(call->is_available && call->is_executed);
	call->is_available = false;
	g_assert_cmpuint(used->length_bytes, <=, call->room_bytes);
	if (used->length_bytes < sizeof(header)) {
		g_assert_cmpuint(used->length_bytes, ==, call->room_bytes);
		return;
	}
	memcpy(&header, used->response, sizeof(header));
	enum gpu_resp resp = (enum gpu_resp)header.type;
	if (!is_right(fuzz, call, resp)) {
		g_error("command 0x%x is answered 0x%x, and the model says 0x%x",
			call->command.request.header.type, resp, call->verdict.resp);
	}
	assert_header(call, &header);
	if (resp == call->verdict.resp && resp < GPU_RESP_ERR_UNSPEC) {
		g_assert_cmpuint(used->length_bytes, ==,
				 MIN(call->verdict.response_bytes, call->room_bytes));
	}
	if (!call->is_applied) {
		model_apply(&fuzz->model, &call->command, resp);
	}
}

static void take_answers(struct fuzz *fuzz)
{
	struct fuzz_used used;

	for (unsigned int i = 0; i < FUZZ_N_QUEUES; i++) {
		if (fuzz->is_paused) {
			g_assert_cmpuint(fuzz_guest_used_index(fuzz->guest, i), ==,
					 fuzz->used_indexes[i]);
		}
		while (fuzz_guest_take(fuzz->guest, i, &used)) {
			take_answer(fuzz, i, &used);
		}
	}
}

static bool has_fences(const struct fuzz *fuzz)
{
	return fuzz->renderer->impl->fence_create != NULL;
}

/* May this one wait for the display or a fence? */
static bool may_wait(const struct fuzz *fuzz, const struct call *call)
{
	const struct virtio_gpu_ctrl_hdr *header = &call->command.request.header;
	enum gpu_resp resp = call->verdict.resp;

	if (header->flags & VIRTIO_GPU_FLAG_FENCE && has_fences(fuzz)) {
		return true;
	}
	return fuzz->is_paused || fuzz->window.questions->len > 0 ||
	       (fuzz->display->answers &&
		(resp == GPU_RESP_OK_DISPLAY_INFO || resp == GPU_RESP_OK_EDID)) ||
	       (fuzz->display->is_busy && header->type == VIRTIO_GPU_CMD_RESOURCE_FLUSH);
}

/* ---- commands ---- */

/* Pop the next and execute it. NULL: there is none. */
static struct call *run_one(struct fuzz *fuzz, unsigned int queue)
{
	struct virtq_chain *chain;
	enum virtq_status status = virtq_pop(&fuzz->queues[queue], &chain);

	g_assert_cmpint(status, !=, VIRTQ_E_BROKEN);
	if (status != VIRTQ_OK) {
		return NULL;
	}
	struct call *call = &fuzz->calls[queue][chain->head];
	g_assert_true(call->is_available && !call->is_executed);
	call->verdict = model_judge(&fuzz->model, &call->command);
	call->is_executed = true;
	call->used_bytes = quota_used(&quota);
	device_execute(&fuzz->dev, &fuzz->queues[queue], chain);
	g_assert_cmpuint(quota_used(&quota), <=, QUOTA_BYTES);
	return call;
}

/* The cursor has its turn inside a long transfer. */
static void breathe(void *data)
{
	run_one(data, CURSOR);
}

static bool is_fenced(const struct fuzz *fuzz)
{
	return fuzz->renderer->impl == &fenced_impl;
}

/* Until its fence is done; a foreign renderer's comes when it comes. */
static void wait_for_answer(struct fuzz *fuzz, const struct call *call)
{
	int left_ms = FENCE_TIMEOUT_MS;

	while (call->is_available) {
		while (is_fenced(fuzz) && fenced_count(fuzz->renderer) > 0) {
			fenced_signal(fuzz->renderer, 0);
		}
		renderer_dispatch(fuzz->renderer);
		take_answers(fuzz);
		g_assert_cmpint(left_ms--, >, 0);
		g_usleep(1000);
	}
}

/* What was asked of the front-end by call, as the model has it. */
static void name_question(struct fuzz *fuzz, struct call *call)
{
	GArray *questions = fuzz->window.questions;
	uint32_t id = call->command.request.resource_map_blob.resource_id;

	if (questions->len > 0) {
		struct window_question *last =
			&g_array_index(questions, struct window_question, questions->len - 1);

		if (last->resource_id == 0) {
			last->resource_id = id;
			last->serial = model_window_serial(&fuzz->model, id);
			last->call = call;
		}
	}
}

/* The model has to know what a command did before it judges the next one. */
static void tell_model(struct fuzz *fuzz, struct call *call)
{
	if (!call->is_available || !call->verdict.has_effect) {
		return;
	}
	if (fuzz->model.is_exact && call->verdict.resp != MODEL_ANY && !is_short(call)) {
		model_apply(&fuzz->model, &call->command, call->verdict.resp);
		call->is_applied = true;
		name_question(fuzz, call);
	} else {
		wait_for_answer(fuzz, call);
	}
}

static void drain(struct fuzz *fuzz)
{
	struct call *call;

	for (unsigned int i = 0; i < FUZZ_N_QUEUES && !fuzz->is_paused; i++) {
		while ((call = run_one(fuzz, i)) != NULL) {
			take_answers(fuzz);
			tell_model(fuzz, call);
		}
		virtq_notify(&fuzz->queues[i]);
	}
}

/* How it is laid out, and what is wrong with it besides. */
static void shape(struct fuzz *fuzz, struct call *call, struct fuzz_chain *chain)
{
	struct model_call *command = &call->command;
	struct virtio_gpu_ctrl_hdr *header = &command->request.header;
	/* A bit for each thing that is not as usual. */
	uint8_t byte = fuzz_input_u8(&fuzz->in);

	if (byte & 1) {
		header->flags |= VIRTIO_GPU_FLAG_FENCE;
		header->fence_id = fuzz_input_u8(&fuzz->in);
	}
	if (byte & 2) {
		header->flags |= VIRTIO_GPU_FLAG_INFO_RING_IDX;
		header->ring_idx = fuzz_input_u8(&fuzz->in);
		if (header->ctx_id == 0) {
			header->ctx_id = fuzz_input_u8(&fuzz->in) % 8;
		}
	}
	if (byte & 4) {
		chain->piece_bytes = 1 + fuzz_input_u8(&fuzz->in);
	}
	chain->is_indirect = byte & 8;
	if (byte & 16) {
		command->size_bytes = fuzz_input_u8(&fuzz->in) % (command->size_bytes + 1);
	}
	if (byte & 32) {
		command->queue ^= 1;
	}
	if (byte & 64) {
		uint8_t at = fuzz_input_u8(&fuzz->in);

		command->bytes[at] ^= fuzz_input_u8(&fuzz->in);
	}
	chain->response_bytes = FULL_RESPONSE_BYTES;
	if (byte & 128) {
		chain->response_bytes = fuzz_input_u8(&fuzz->in);
	}
}

/* A guest that has its rings written over breaks them, and no model knows how. */
static void spare_rings(const struct fuzz *fuzz, struct model_call *command)
{
	struct virtio_gpu_mem_entry entry;

	size_t at;

	switch (command->request.header.type) {
	case VIRTIO_GPU_CMD_RESOURCE_ATTACH_BACKING:
		at = sizeof(struct virtio_gpu_resource_attach_backing);
		break;
	case VIRTIO_GPU_CMD_RESOURCE_CREATE_BLOB:
		at = sizeof(struct virtio_gpu_resource_create_blob);
		break;
	default:
		return;
	}
	for (; at + sizeof(entry) <= command->size_bytes; at += sizeof(entry)) {
		memcpy(&entry, command->bytes + at, sizeof(entry));
		struct gpa gpa = { entry.addr };
		fuzz_guest_spare_rings(fuzz->guest, &gpa, &entry.length);
		entry.addr = gpa.v;
		memcpy(command->bytes + at, &entry, sizeof(entry));
	}
}

static void do_command(struct fuzz *fuzz)
{
	struct call call = { 0 };
	struct fuzz_chain chain = { 0 };
	uint16_t head;

	model_make(&fuzz->model, &fuzz->in, &call.command);
	shape(fuzz, &call, &chain);
	if (which->writes_backings) {
		spare_rings(fuzz, &call.command);
	}
	/* Without an answer the model would not know. */
	if (chain.response_bytes < sizeof(struct virtio_gpu_ctrl_hdr) &&
	    (!fuzz->model.is_exact || model_judge(&fuzz->model, &call.command).has_effect ||
	     call.command.size_bytes == 0)) {
		chain.response_bytes = FULL_RESPONSE_BYTES;
	}
	chain.request = call.command.bytes;
	chain.request_bytes = call.command.size_bytes;
	if (!fuzz_guest_submit(fuzz->guest, call.command.queue, &chain, &head)) {
		return;
	}
	call.room_bytes = chain.response_bytes;
	call.is_available = true;
	struct call *kept_call = &fuzz->calls[call.command.queue][head];
	*kept_call = call;
	if (fuzz_input_one_in(&fuzz->in, 16)) {
		return; /* it stays in the ring for now */
	}
	drain(fuzz);
	g_assert_true(!kept_call->is_available || may_wait(fuzz, kept_call));
}

static void do_drain(struct fuzz *fuzz)
{
	drain(fuzz);
}

/* ---- the front-end ---- */

/* The ring's own region stays, or there is no guest to be heard. */
static void set_memory(struct fuzz *fuzz, unsigned int mask)
{
	fuzz->mem = fuzz_guest_change_table(fuzz->guest, fuzz->mem, fuzz->model.mask, mask | 1);
	device_set_memory(&fuzz->dev, fuzz->mem);
	for (unsigned int i = 0; i < FUZZ_N_QUEUES; i++) {
		virtq_set_memory(&fuzz->queues[i], fuzz->mem);
	}
	model_set_memory(&fuzz->model, mask | 1);
}

static void do_set_memory(struct fuzz *fuzz)
{
	set_memory(fuzz, fuzz_input_below(&fuzz->in, FUZZ_ALL_REGIONS + 1));
}

static void do_set_features(struct fuzz *fuzz)
{
	uint64_t features = fuzz_input_u8(&fuzz->in);

	device_set_features(&fuzz->dev, features);
	fuzz->model.features = features;
}

static void start_queues(struct fuzz *fuzz)
{
	for (unsigned int i = 0; i < FUZZ_N_QUEUES; i++) {
		fuzz_guest_start_queue(fuzz->guest, &fuzz->queues[i], fuzz->mem, fuzz->bases[i]);
	}
}

static void do_pause(struct fuzz *fuzz)
{
	if (fuzz->is_paused) {
		return;
	}
	fuzz->is_paused = true;
	for (unsigned int i = 0; i < FUZZ_N_QUEUES; i++) {
		fuzz->bases[i] = virtq_stop(&fuzz->queues[i]);
		fuzz->used_indexes[i] = fuzz_guest_used_index(fuzz->guest, i);
	}
}

/* What died with its device is answered, once, as soon as its ring runs. */
static void fail_lost(struct fuzz *fuzz)
{
	struct virtq_chain *chain;

	for (unsigned int i = 0; i < FUZZ_N_QUEUES; i++) {
		while (virtq_pop_lost(&fuzz->queues[i], &chain) == VIRTQ_OK) {
			g_assert_true(fuzz->calls[i][chain->head].is_executed);
			struct command *command = command_create(&fuzz->queues[i], chain);
			enum gpu_resp ignored = command_decode(command);

			(void)ignored;
			command_complete(command, GPU_RESP_ERR_UNSPEC,
					 model_has_feature(&fuzz->model,
							   VIRTIO_GPU_F_CONTEXT_INIT));
		}
	}
}

static void do_resume(struct fuzz *fuzz)
{
	if (fuzz->is_paused) {
		fuzz->is_paused = false;
		start_queues(fuzz);
		fail_lost(fuzz);
	}
}

static void forget_calls(struct fuzz *fuzz)
{
	for (unsigned int i = 0; i < FUZZ_N_QUEUES; i++) {
		for (unsigned int j = 0; j < FUZZ_RING_SIZE; j++) {
			fuzz->calls[i][j].is_available = false;
		}
	}
}

static void do_reset(struct fuzz *fuzz)
{
	for (unsigned int i = 0; i < FUZZ_N_QUEUES; i++) {
		virtq_reset(&fuzz->queues[i]);
		fuzz->bases[i] = 0;
	}
	device_reset(&fuzz->dev);
	model_reset(&fuzz->model);
	recorder_drop_frames(fuzz->display);
	window_clear(&fuzz->window);
	g_assert_cmpuint(quota_used(&quota), ==, 0);
	/* What was out is forgotten; the driver begins anew. */
	fuzz_guest_reset_rings(fuzz->guest);
	forget_calls(fuzz);
	fuzz->is_paused = false;
	start_queues(fuzz);
}

/* ---- the display ---- */

static void do_set_display(struct fuzz *fuzz)
{
	uint8_t byte = fuzz_input_u8(&fuzz->in);

	fuzz->display->is_watched = !(byte & 1);
	fuzz->display->is_busy = byte & 2;
	fuzz->display->has_read = byte & 4;
	fuzz->display->answers = byte & 8;
	fuzz->display->dmabufs = byte & 16 ? (byte & 32 ? DMABUFS_ALL : DMABUFS_LINEAR) : DMABUFS_NONE;
}

static void answer(struct fuzz *fuzz, const struct recorder_question *question, bool is_none)
{
	struct virtio_gpu_resp_display_info info = { 0 };
	struct virtio_gpu_resp_edid edid = { 0 };

	if (question->is_edid) {
		edid.size = fuzz_input_u16(&fuzz->in);
		fuzz_input_copy(&fuzz->in, edid.edid, 8);
		device_take_edid(&fuzz->dev, question->token, is_none ? NULL : &edid);
	} else {
		struct virtio_gpu_display_one *mode =
			&info.pmodes[fuzz_input_below(&fuzz->in, VIRTIO_GPU_MAX_SCANOUTS)];

		mode->r.width = fuzz_input_number(&fuzz->in);
		mode->r.height = fuzz_input_number(&fuzz->in);
		mode->enabled = 1;
		device_take_info(&fuzz->dev, question->token, is_none ? NULL : &info);
	}
}

static void do_answer(struct fuzz *fuzz)
{
	GArray *questions = fuzz->display->questions;
	struct recorder_question question = { DISPLAY_NO_TOKEN, false };
	bool is_none = false;

	if (questions->len > 0) {
		guint i = fuzz_input_u8(&fuzz->in) % questions->len;

		question = g_array_index(questions, struct recorder_question, i);
		g_array_remove_index(questions, i);
		is_none = fuzz_input_one_in(&fuzz->in, 4);
	}
	answer(fuzz, &question, is_none);
}

static void answer_window(struct fuzz *fuzz, bool is_refused)
{
	const struct window_question question =
		window_take_question(&fuzz->window, is_refused);
	struct call *call = question.call;

	if (is_refused && question.is_map) {
		model_window_refuse(&fuzz->model, question.resource_id, question.serial);
	}
	if (is_refused) {
		call->verdict.resp = GPU_RESP_ERR_UNSPEC;
	}
	device_take_mapped(&fuzz->dev, question.token, !is_refused);
}

/* The front-end answers what it was asked first. */
static void do_answer_window(struct fuzz *fuzz)
{
	bool is_refused = fuzz_input_one_in(&fuzz->in, 4);

	if (fuzz->window.questions->len > 0) {
		answer_window(fuzz, is_refused);
	} else {
		/* Nobody asked. */
		device_take_mapped(&fuzz->dev, DISPLAY_NO_TOKEN, !is_refused);
	}
}

static void do_set_window(struct fuzz *fuzz)
{
	fuzz->window.is_deaf = fuzz_input_flag(&fuzz->in);
	fuzz->model.is_window_deaf = fuzz->window.is_deaf;
}

static void do_taken(struct fuzz *fuzz)
{
	device_take_taken(&fuzz->dev, fuzz_input_u16(&fuzz->in));
}

static void do_wait(struct fuzz *fuzz)
{
	fuzz_clock_advance(fuzz_input_u8(&fuzz->in) * 200u);
	device_expire(&fuzz->dev);
}

static void do_replay(struct fuzz *fuzz)
{
	if (fuzz->display->is_watched) {
		device_replay(&fuzz->dev);
	}
}

/* ---- fences, and what the guest writes ---- */

static void do_signal(struct fuzz *fuzz)
{
	uint8_t i = fuzz_input_u8(&fuzz->in);

	if (is_fenced(fuzz) && fenced_count(fuzz->renderer) > 0) {
		fenced_signal(fuzz->renderer, i % fenced_count(fuzz->renderer));
	}
	renderer_dispatch(fuzz->renderer);
}

static void do_set_fences(struct fuzz *fuzz)
{
	bool is_failing = fuzz_input_flag(&fuzz->in);

	if (is_fenced(fuzz)) {
		fenced_set_failing(fuzz->renderer, is_failing);
	}
}

/* In the regions that hold no rings. */
static void do_scribble(struct fuzz *fuzz)
{
	unsigned int region = 1 + fuzz_input_below(&fuzz->in, FUZZ_N_REGIONS - 1);
	uint32_t offset = fuzz_input_u32(&fuzz->in);

	for (unsigned int n = fuzz_input_below(&fuzz->in, 32); n > 0; n--) {
		*fuzz_guest_byte(fuzz->guest, region, offset++) = fuzz_input_u8(&fuzz->in);
	}
}

/* ---- buffers of the guest's pages ---- */

#define MAX_RUNS 1024
#define MAX_BUFFER_BYTES (UINT64_C(64) << 20)

/* As the kernel does it, but that the buffer is none. */
static int export(void *data G_GNUC_UNUSED, const struct exporter_run *runs, size_t n_runs)
{
	uint64_t mask = (uint64_t)sysconf(_SC_PAGESIZE) - 1, sum = 0;

	for (size_t i = 0; i < n_runs; i++) {
		off_t end = lseek(runs[i].fd, 0, SEEK_END);

		g_assert_cmpint(end, >=, 0);
		g_assert_cmpuint((runs[i].offset_bytes | runs[i].size_bytes) & mask, ==, 0);
		g_assert_cmpuint(runs[i].size_bytes, >, 0);
		g_assert_true(checked_range(runs[i].offset_bytes, runs[i].size_bytes,
					    (uint64_t)end));
		sum += runs[i].size_bytes;
	}
	g_assert_cmpuint(n_runs, >, 0);
	if (n_runs > MAX_RUNS || sum > MAX_BUFFER_BYTES) {
		return -EINVAL;
	}
	return fcntl(runs[0].fd, F_DUPFD_CLOEXEC, 0);
}

static const struct exporter exporter = { .export = export };

/* What is read is a resource's that there is. */
static void assert_shown(struct fuzz *fuzz)
{
	for (uint32_t i = 0; i < DISPLAY_MAX_SCANOUTS; i++) {
		uint32_t id = fuzz->dev.scanouts[i].dmabuf_of;

		g_assert_true((id != 0) == (fuzz->display->shown[i] != NULL));
		g_assert_true(id == 0 || device_find_resource(&fuzz->dev, id) != NULL);
	}
}

/* ---- another device ---- */

/* What a foreign renderer has in its blobs, and when, no model knows. */
static bool has_window(void)
{
	return which->is_exact && find_impl(which->name)->blob != NULL;
}

static void start_device(struct fuzz *fuzz, uint64_t last_seq)
{
	device_init(&fuzz->dev, fuzz->renderer, &fuzz->display->base, &quota);
	fuzz->dev.fences.last_seq = last_seq;
	device_set_breather(&fuzz->dev, breathe, fuzz);
	device_set_exporter(&fuzz->dev, &exporter, NULL);
	device_set_recorder(&fuzz->dev, &archive_recorder, fuzz->archive);
	if (has_window()) {
		device_set_mapper(&fuzz->dev, &window_mapper, &fuzz->window, WINDOW_BYTES);
	}
}

/* Its process is gone: of all that it held there are the records. The next one has this renderer. */
static void lose_device(struct fuzz *fuzz, const char *name)
{
	uint64_t last_seq = fuzz->dev.fences.last_seq;

	device_finish(&fuzz->dev);
	recorder_drop_frames(fuzz->display);
	g_array_set_size(fuzz->display->questions, 0);
	window_clear(&fuzz->window);
	g_assert_cmpuint(quota_used(&quota), ==, 0);
	if (!which->is_kept) {
		renderer_destroy(fuzz->renderer);
		g_assert_cmpint(start_renderer(name, &fuzz->renderer), ==, 0);
		last_seq = 0;
	}
	start_device(fuzz, last_seq);
	device_set_features(&fuzz->dev, fuzz->model.features);
	device_set_memory(&fuzz->dev, fuzz->mem);
}

/* Whatever the device was doing, which is not done any more. */
static void lose_calls(struct fuzz *fuzz)
{
	for (unsigned int i = 0; i < FUZZ_N_QUEUES; i++) {
		for (unsigned int j = 0; j < FUZZ_RING_SIZE; j++) {
			if (fuzz->calls[i][j].is_executed) {
				fuzz->calls[i][j].verdict.resp = MODEL_ANY;
			}
		}
		virtq_recover(&fuzz->queues[i]);
	}
	fail_lost(fuzz);
}

/* The front-end has what the model says, and nothing else. */
static void assert_window(const struct fuzz *fuzz)
{
	GHashTableIter iter;
	void *value;
	guint n = 0;

	g_hash_table_iter_init(&iter, fuzz->model.resources);
	while (g_hash_table_iter_next(&iter, NULL, &value)) {
		n += ((struct model_resource *)value)->is_in_window;
	}
	g_assert_cmpuint(fuzz->window.mapped->len, ==, n);
}

/* There may have been too little memory for one, or the driver says that there was. */
static void find_lost(struct fuzz *fuzz, bool is_tight)
{
	GHashTableIter iter;
	void *id, *value;

	g_hash_table_iter_init(&iter, fuzz->model.resources);
	while (g_hash_table_iter_next(&iter, &id, &value)) {
		struct model_resource *resource = value;
		const struct resource *made =
			device_find_resource_or_lost(&fuzz->dev, GPOINTER_TO_UINT(id));

		g_assert_nonnull(made);
		g_assert_true(!resource->is_lost || made->is_lost);
		if (!resource->is_lost && made->is_lost) {
			g_assert_true(is_tight || !fuzz->model.is_exact);
			model_lose_resource(resource);
		}
	}
}

static void do_crash(struct fuzz *fuzz)
{
	struct archive *before = archive_describe(&fuzz->dev);
	bool is_tight = quota_used(&quota) + QUOTA_SLACK_BYTES > QUOTA_BYTES;
	/* After too many crashes 3D is off. */
	bool is_last = fuzz_input_one_in(&fuzz->in, 4) && is_fenced(fuzz);

	/* The records say what it is, at any time. */
	archive_assert_same(fuzz->archive, before, false);
	archive_destroy(before);
	lose_device(fuzz, is_last ? "2d" : fuzz->renderer->impl->name);
	unsigned int n_changes = archive_n_changes(fuzz->archive);
	g_assert_cmpuint(archive_hand_over(fuzz->archive, &fuzz->dev), ==, 0);
	/* And there is no need for others, unless something was lost. */
	g_assert_true(archive_n_changes(fuzz->archive) == n_changes || is_tight ||
		      !fuzz->model.is_exact);
	struct archive *after = archive_describe(&fuzz->dev);
	archive_assert_same(fuzz->archive, after, true);
	archive_destroy(after);
	model_lose(&fuzz->model, fuzz->renderer);
	find_lost(fuzz, is_tight);
	lose_calls(fuzz);
}

static void (*const operations[])(struct fuzz *fuzz) = {
	/* The first slots are the ones that short inputs name: mostly commands. */
	do_command, do_command, do_command,	 do_command,	 do_drain,	do_set_memory,
	do_pause,   do_resume,	do_reset,	 do_set_display, do_answer,	do_taken,
	do_wait,    do_replay,	do_set_features, do_signal,	 do_set_fences, do_scribble,
	do_crash,   do_answer_window, do_set_window,
};

/* ---- life ---- */

static void setup(struct fuzz *fuzz, const uint8_t *bytes, size_t size_bytes)
{
	fuzz_clock_reset();
	fuzz_input_init(&fuzz->in, bytes, size_bytes);
	fuzz->guest = fuzz_guest_create();
	fuzz->mem = guestmem_create_empty();
	forget_calls(fuzz);
	if (which->is_kept) {
		fuzz->renderer = kept;
	} else {
		g_assert_cmpint(start_renderer(which->name, &fuzz->renderer), ==, 0);
	}
	fuzz->display = recorder_create();
	fuzz->archive = archive_create();
	window_init(&fuzz->window);
	start_device(fuzz, kept_seq);
	model_init(&fuzz->model, fuzz->guest, fuzz->renderer, which->is_exact);
	fuzz->model.window_bytes = has_window() ? WINDOW_BYTES : 0;
	for (unsigned int i = 0; i < FUZZ_N_QUEUES; i++) {
		virtq_state_init(&fuzz->states[i]);
		virtq_init(&fuzz->queues[i], i, &fuzz->states[i]);
	}
	set_memory(fuzz, FUZZ_ALL_REGIONS);
	start_queues(fuzz);
}

/* Everybody does what is due: then nothing of the guest is left without an answer. */
static void settle(struct fuzz *fuzz)
{
	const struct recorder_question *question;

	do_resume(fuzz);
	fuzz->display->answers = false;
	fuzz->display->is_busy = false;
	drain(fuzz);
	while (fuzz->display->questions->len > 0) {
		question = &g_array_index(fuzz->display->questions, struct recorder_question, 0);
		answer(fuzz, question, true);
		g_array_remove_index(fuzz->display->questions, 0);
	}
	while (fuzz->window.questions->len > 0) {
		answer_window(fuzz, false);
	}
	device_take_taken(&fuzz->dev, UINT32_MAX);
	while (is_fenced(fuzz) && fenced_count(fuzz->renderer) > 0) {
		fenced_signal(fuzz->renderer, 0);
	}
	take_answers(fuzz);
	assert_window(fuzz);
	for (unsigned int i = 0; i < FUZZ_N_QUEUES; i++) {
		for (unsigned int j = 0; j < FUZZ_RING_SIZE; j++) {
			if (which->is_kept) {
				wait_for_answer(fuzz, &fuzz->calls[i][j]);
			}
			g_assert_false(fuzz->calls[i][j].is_available);
		}
	}
}

static void teardown(struct fuzz *fuzz)
{
	kept_seq = which->is_kept ? fuzz->dev.fences.last_seq : 0;
	device_finish(&fuzz->dev);
	archive_destroy(fuzz->archive);
	window_finish(&fuzz->window);
	display_destroy(&fuzz->display->base);
	if (!which->is_kept) {
		renderer_destroy(fuzz->renderer);
	}
	g_assert_cmpuint(quota_used(&quota), ==, 0);
	model_finish(&fuzz->model);
	for (unsigned int i = 0; i < FUZZ_N_QUEUES; i++) {
		fuzz_queue_finish(&fuzz->queues[i]);
	}
	guestmem_unref(fuzz->mem);
	fuzz_guest_destroy(fuzz->guest);
}

void fuzz_one(const uint8_t *bytes, size_t size_bytes)
{
	/* Large, and the same from one input to the next but for its flags. */
	static struct call calls[FUZZ_N_QUEUES][FUZZ_RING_SIZE];
	struct fuzz fuzz = { .calls = calls };

	setup(&fuzz, bytes, size_bytes);
	while (!fuzz_input_is_over(&fuzz.in)) {
		unsigned int i = fuzz_input_operation(&fuzz.in);

		if (i < G_N_ELEMENTS(operations)) {
			operations[i](&fuzz);
			take_answers(&fuzz);
			assert_shown(&fuzz);
		}
	}
	settle(&fuzz);
	teardown(&fuzz);
}
