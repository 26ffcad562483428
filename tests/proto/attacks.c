/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include <poll.h>
#include <string.h>

#include "attacks.h"
#include "proctree.h"
#include "suite.h"
#include "virgl_stream.h"

#define FORMAT VIRTIO_GPU_FORMAT_B8G8R8X8_UNORM
#define ANSWER_MS 5000
#define PROOF_WIDTH 96u
#define PROOF_HEIGHT 80u
/* Ids of the proofs, far from whatever an attack uses. */
#define PROOF_ID 0x40000000u
/* What may stay in a process that frees its memory: caches of allocators, a sanitizer's too. */
#define LEAK_BYTES (UINT64_C(1) << 30)

static const struct attack_list *const lists_2d[] = {
	&attacks_chain,	   &attacks_ring, &attacks_command, &attacks_resource,
	&attacks_geometry, &attacks_race, &attacks_memory, &attacks_life,
	&attacks_blob,	   &attacks_blob_life,
};
static const struct attack_list *const lists_3d[] = {
	&attacks_3d,
	&attacks_stream,
	&attacks_memory_3d,
	&attacks_life_3d,
	&attacks_blob_3d,
};

static void each_of(const struct attack_list *list,
		    void (*fn)(const struct attack *attack, void *data), void *data)
{
	for (size_t i = 0; i < list->n; i++) {
		fn(&list->attacks[i], data);
	}
}

void attacks_each(bool is_3d, void (*fn)(const struct attack *attack, void *data), void *data)
{
	if (is_3d) {
		for (size_t i = 0; i < G_N_ELEMENTS(lists_3d); i++) {
			each_of(lists_3d[i], fn, data);
		}
	} else {
		for (size_t i = 0; i < G_N_ELEMENTS(lists_2d); i++) {
			each_of(lists_2d[i], fn, data);
		}
	}
}

/* ---- words ---- */

static const char *response_name(uint32_t type)
{
	switch (type) {
	case ATTACK_AN_ERROR:
		return "an error";
	case ATTACK_AN_ANSWER:
		return "any answer";
	case VIRTIO_GPU_RESP_OK_NODATA:
		return "OK_NODATA";
	case VIRTIO_GPU_RESP_OK_DISPLAY_INFO:
		return "OK_DISPLAY_INFO";
	case VIRTIO_GPU_RESP_OK_EDID:
		return "OK_EDID";
	case VIRTIO_GPU_RESP_ERR_UNSPEC:
		return "ERR_UNSPEC";
	case VIRTIO_GPU_RESP_ERR_OUT_OF_MEMORY:
		return "ERR_OUT_OF_MEMORY";
	case VIRTIO_GPU_RESP_ERR_INVALID_SCANOUT_ID:
		return "ERR_INVALID_SCANOUT_ID";
	case VIRTIO_GPU_RESP_ERR_INVALID_RESOURCE_ID:
		return "ERR_INVALID_RESOURCE_ID";
	case VIRTIO_GPU_RESP_ERR_INVALID_CONTEXT_ID:
		return "ERR_INVALID_CONTEXT_ID";
	case VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER:
		return "ERR_INVALID_PARAMETER";
	default:
		return "another answer";
	}
}

char *attack_outcome(const struct attack *attack)
{
	if (attack->outcome) {
		return g_strdup(attack->outcome);
	}
	if (attack->end == ATTACK_BREAKS) {
		return g_strdup("queue broken and error eventfd; served after a reset");
	}
	if (attack->responses[1]) {
		return g_strdup_printf("%s or %s", response_name(attack->responses[0]),
				       response_name(attack->responses[1]));
	}
	return g_strdup(response_name(attack->responses[0]));
}

/* ---- surprises ---- */

void attack_surprise(struct attacker *attacker, const char *format, ...)
{
	va_list args;

	if (attacker->surprises->len > 0) {
		g_string_append(attacker->surprises, "; ");
	}
	va_start(args, format);
	g_string_append_vprintf(attacker->surprises, format, args);
	va_end(args);
}

void attack_expect(struct attacker *attacker, bool holds, const char *otherwise)
{
	if (!holds) {
		attack_surprise(attacker, "%s", otherwise);
	}
}

static bool is_error(uint32_t type)
{
	return type >= VIRTIO_GPU_RESP_ERR_UNSPEC && type <= VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER;
}

static bool is_answer(uint32_t type)
{
	return is_error(type) ||
	       (type >= VIRTIO_GPU_RESP_OK_NODATA && type <= VIRTIO_GPU_RESP_OK_MAP_INFO);
}

static bool is_as_expected(const struct attacker *attacker, uint32_t type, uint32_t expected)
{
	/* Not every back-end answers on the cursor queue; drivers leave no room for it. */
	if (attacker->is_foreign && attacker->attack->queue == VGPU_CURSOR && type == 0) {
		return true;
	}
	if (expected == ATTACK_AN_ANSWER) {
		return is_answer(type);
	}
	if (expected == ATTACK_AN_ERROR || (attacker->is_foreign && is_error(expected))) {
		return is_error(type);
	}
	return type == expected;
}

void attack_expect_type(struct attacker *attacker, uint32_t type, uint32_t expected)
{
	if (!is_as_expected(attacker, type, expected)) {
		attack_surprise(attacker, "answered %s (0x%x), not %s", response_name(type), type,
				response_name(expected));
	}
}

void attack_expect_ok(struct attacker *attacker, uint32_t type)
{
	attack_expect_type(attacker, type, VIRTIO_GPU_RESP_OK_NODATA);
}

void attack_expect_response(struct attacker *attacker, uint32_t type)
{
	const uint32_t *responses = attacker->attack->responses;

	if (!responses[1] || !is_as_expected(attacker, type, responses[1])) {
		attack_expect_type(attacker, type, responses[0]);
	}
}

/* ---- what rows are made of ---- */

void attack_send(struct attacker *attacker)
{
	struct vgpu_chain chain = attacker->attack->chain;

	if (chain.response_size == 0) {
		chain.response_size = HEADER_BYTES;
	}
	attack_expect_response(
		attacker, vgpu_call_chain(attacker->rig->vgpu, attacker->attack->queue, &chain));
}

struct attack_parts attack_make_parts(struct attacker *attacker)
{
	const struct virtio_gpu_resource_unref cmd = {
		.hdr.type = VIRTIO_GPU_CMD_RESOURCE_UNREF,
		.resource_id = STAGE_NOBODY,
	};
	struct guestram *ram = attacker->rig->ram;
	struct attack_parts parts = {
		.request = guestram_alloc(ram, 1, sizeof(cmd), 16),
		.response = guestram_alloc(ram, 1, 4096, 16),
		.table = guestram_alloc(ram, 1, PARTS_TABLE_BYTES, 16),
	};

	memcpy(guestram_at(ram, parts.request, sizeof(cmd)), &cmd, sizeof(cmd));
	memset(guestram_at(ram, parts.response, 4096), 0, 4096);
	return parts;
}

uint32_t attack_response_type(struct attacker *attacker, const struct attack_parts *parts)
{
	uint32_t type;

	memcpy(&type, guestram_at(attacker->rig->ram, parts->response, sizeof(type)), sizeof(type));
	return type;
}

void attack_publish(struct ring *ring, uint64_t request, uint32_t request_size, uint64_t response,
		    uint32_t response_size)
{
	ring_set_desc(ring, 0, request, request_size, VRING_DESC_F_NEXT, 1);
	ring_set_desc(ring, 1, response, response_size, VRING_DESC_F_WRITE, 0);
	ring_publish(ring, 0);
}

void attack_break(struct attacker *attacker)
{
	struct ring *ring = attacker->rig->vgpu->rings[attacker->attack->queue];
	struct attack_parts parts = attack_make_parts(attacker);

	attacker->attack->lay(attacker, ring, &parts);
	ring_kick_always(ring);
}

enum attack_answer attack_wait(struct ring *ring, int milliseconds,
			       struct vring_used_elem *elem_out)
{
	int64_t deadline = suite_deadline_us(milliseconds);

	ring_enable_calls(ring);
	while (!ring_pop_used(ring, elem_out)) {
		struct pollfd fds[2] = {
			{ .fd = ring->call_fd, .events = POLLIN },
			{ .fd = ring->err_fd, .events = POLLIN },
		};
		if (poll(fds, 2, suite_left_ms(deadline)) <= 0) {
			return ring_pop_used(ring, elem_out) ? ATTACK_USED : ATTACK_SILENT;
		}
		if (fds[1].revents && ring_wait_error(ring, 0)) {
			return ATTACK_BROKEN;
		}
		ring_take_calls(ring);
	}
	return ATTACK_USED;
}

void attack_expect_answer(struct attacker *attacker, const struct attack_parts *parts,
			  uint32_t expected)
{
	struct vring_used_elem elem;

	if (attack_wait(attacker->rig->control, ANSWER_MS, &elem) != ATTACK_USED) {
		attack_surprise(attacker, "the chain does not come back");
		return;
	}
	attack_expect_type(attacker, attack_response_type(attacker, parts), expected);
}

/* ---- stage ---- */

static bool is_3d(const struct attacker *attacker)
{
	return strcmp(attacker->rig->options.mode, "virglrenderer") == 0;
}

static void set_stage_3d(struct attacker *attacker)
{
	struct vgpu *vgpu = attacker->rig->vgpu;

	attacker->texture_gpa = rig_backing(attacker->rig, NULL, STAGE_BYTES);
	g_assert_ok(vgpu_ctx_create(vgpu, STAGE_CONTEXT, 0, "stage"));
	g_assert_ok(vgpu_ctx_create(vgpu, STAGE_STRANGER, 0, "stranger"));
	g_assert_ok(vgpu_ctx_create(vgpu, STAGE_VICTIM, 0, "victim"));
	g_assert_ok(vgpu_resource_create_3d(vgpu, STAGE_TEXTURE, VIRGL_FORMAT_B8G8R8A8,
					    VIRGL_BIND_RENDER_TARGET | VIRGL_BIND_SAMPLER_VIEW |
						    VIRGL_BIND_SCANOUT,
					    STAGE_SIDE, STAGE_SIDE, 0));
	g_assert_ok(
		vgpu_resource_attach_one(vgpu, STAGE_TEXTURE, attacker->texture_gpa, STAGE_BYTES));
	g_assert_ok(vgpu_ctx_attach_resource(vgpu, STAGE_CONTEXT, STAGE_TEXTURE));
	g_assert_ok(vgpu_ctx_attach_resource(vgpu, STAGE_VICTIM, STAGE_TEXTURE));
}

static void set_stage(struct attacker *attacker)
{
	struct rig *rig = attacker->rig;
	g_autofree uint32_t *pixels = rig_make_pattern(STAGE_SIDE, STAGE_SIDE, 1);

	attacker->shown_gpa =
		rig_show_resource(rig, STAGE_SHOWN, 0, STAGE_SIDE, STAGE_SIDE, pixels);
	g_assert_ok(vgpu_resource_create_2d(rig->vgpu, STAGE_BARE, FORMAT, STAGE_SIDE, STAGE_SIDE));
	rig_make_resource(rig, STAGE_CURSOR, VIRTIO_GPU_FORMAT_B8G8R8A8_UNORM, STAGE_SIDE,
			  STAGE_SIDE, pixels);
	g_assert_ok(
		vgpu_transfer_to_host_2d(rig->vgpu, STAGE_CURSOR, 0, 0, 0, STAGE_SIDE, STAGE_SIDE));
	vgpu_update_cursor(rig->vgpu, 0, STAGE_CURSOR, 1, 1, 0, 0);
	attacker->large_gpa =
		rig_make_resource(rig, STAGE_LARGE, FORMAT, 2 * STAGE_SIDE, 2 * STAGE_SIDE, NULL);
	if (is_3d(attacker)) {
		set_stage_3d(attacker);
	}
}

/* ---- after the attack ---- */

static bool has_reset_message(const struct attacker *attacker)
{
	return attacker->rig->frontend->acked_protocol_features &
	       FEATURE(VHOST_USER_PROTOCOL_F_RESET_DEVICE);
}

void attack_repair(struct attacker *attacker)
{
	struct rig *rig = attacker->rig;

	if (has_reset_message(attacker)) {
		rig_reset(rig, true);
	} else {
		vgpu_forget(rig->vgpu);
		rig_revive_queue(rig, VGPU_CONTROL);
		rig_revive_queue(rig, VGPU_CURSOR);
	}
	ring_wait_error(rig->control, 0);
	ring_wait_error(rig->cursor, 0);
}

/* A queue that broke takes nothing more; the other one and the session go on. */
static void check_broken(struct attacker *attacker)
{
	struct rig *rig = attacker->rig;
	struct ring *ring = rig->vgpu->rings[attacker->attack->queue];

	if (!ring_wait_error(ring, ANSWER_MS)) {
		attack_surprise(attacker, "the queue does not say that it is broken");
		return;
	}
	uint16_t used = ring_used_idx(ring);
	ring_kick_always(ring);
	if (attacker->attack->queue == VGPU_CONTROL) {
		vgpu_move_cursor(rig->vgpu, 0, 0, 2, 2);
		frontend_assert_alive(rig->frontend);
	} else {
		rig_assert_serves(rig);
	}
	attack_expect(attacker, ring_used_idx(ring) == used, "the broken queue goes on");
}

/* Some back-ends show by dma-buf, whose pixels nobody here can see. */
static bool is_seen(struct attacker *attacker)
{
	struct display *display = attacker->rig->display;

	return !attacker->is_foreign ||
	       display_count(display, VHOST_USER_GPU_DMABUF_SCANOUT, 0, NULL) +
			       display_count(display, VHOST_USER_GPU_DMABUF_SCANOUT2, 0, NULL) ==
		       0;
}

void attack_prove(struct attacker *attacker)
{
	struct rig *rig = attacker->rig;
	uint32_t id = PROOF_ID + attacker->n_proofs;
	struct virtio_gpu_resp_display_info info;

	attacker->n_proofs += 1;
	uint32_t type = vgpu_get_display_info(rig->vgpu, &info);
	/* Who shows nothing may know of no display. */
	if (attacker->has_pictures) {
		g_assert_resp(type, VIRTIO_GPU_RESP_OK_DISPLAY_INFO);
		g_assert_cmpuint(info.pmodes[0].enabled, ==, 1);
	} else {
		g_assert_true(is_answer(type));
	}
	g_autofree uint32_t *pixels = rig_make_pattern(PROOF_WIDTH, PROOF_HEIGHT, id);
	if (attacker->has_pictures) {
		rig_show_resource(rig, id, 0, PROOF_WIDTH, PROOF_HEIGHT, pixels);
		if (is_seen(attacker)) {
			display_wait_pixels(rig->display, 0, pixels, PROOF_WIDTH, PROOF_HEIGHT);
		}
	} else {
		rig_make_resource(rig, id, FORMAT, PROOF_WIDTH, PROOF_HEIGHT, pixels);
	}
	g_assert_ok(vgpu_resource_unref(rig->vgpu, id));
	vgpu_move_cursor(rig->vgpu, 0, 0, 3, 3);
	frontend_assert_alive(rig->frontend);
}

void attack_prove_3d(struct attacker *attacker)
{
	struct rig *rig = attacker->rig;
	uint32_t id = PROOF_ID + attacker->n_proofs;
	uint64_t gpa = rig_backing(rig, NULL, STAGE_BYTES);
	const uint32_t *pixels = guestram_at(rig->ram, gpa, STAGE_BYTES);
	const struct virtio_gpu_box all = { 0, 0, 0, STAGE_SIDE, STAGE_SIDE, 1 };
	struct virgl_stream stream = { 0 };

	attacker->n_proofs += 1;
	g_assert_ok(vgpu_ctx_create(rig->vgpu, id, 0, "proof"));
	g_assert_ok(vgpu_resource_create_3d(rig->vgpu, id, VIRGL_FORMAT_B8G8R8A8,
					    VIRGL_BIND_RENDER_TARGET, STAGE_SIDE, STAGE_SIDE, 0));
	g_assert_ok(vgpu_resource_attach_one(rig->vgpu, id, gpa, STAGE_BYTES));
	g_assert_ok(vgpu_ctx_attach_resource(rig->vgpu, id, id));
	virgl_stream_create_surface(&stream, 1, id, VIRGL_FORMAT_B8G8R8A8);
	virgl_stream_set_framebuffer(&stream, 1);
	virgl_stream_clear(&stream, 1.0f, 0.2f, 0.0f, 1.0f);
	g_assert_ok(vgpu_submit_3d(rig->vgpu, id, stream.words, virgl_stream_size_bytes(&stream)));
	g_assert_ok(vgpu_transfer_from_host_3d(rig->vgpu, id, id, &all, 0, 0));
	for (uint32_t i = 0; i < STAGE_SIDE * STAGE_SIDE; i++) {
		g_assert_cmphex(pixels[i], ==, 0xffff3300);
	}
	g_assert_ok(vgpu_ctx_destroy(rig->vgpu, id));
	g_assert_ok(vgpu_resource_unref(rig->vgpu, id));
}

static void check_memory(struct attacker *attacker, uint64_t before_bytes)
{
	uint64_t now_bytes = proctree_memory(attacker->rig->daemon->pid).rss_bytes;

	if (now_bytes > before_bytes + LEAK_BYTES) {
		attacker->has_leaked = true;
		attack_surprise(attacker, "%u MiB more than before are held",
				(unsigned int)((now_bytes - before_bytes) >> 20));
	}
}

/* ---- all of it ---- */

struct attacker *attack_run(const struct attack *attack, const struct attack_target *target)
{
	struct attacker *attacker = g_new0(struct attacker, 1);

	attacker->attack = attack;
	attacker->is_foreign = target->foreign != NULL;
	attacker->has_pictures = target->has_pictures;
	attacker->surprises = g_string_new(NULL);
	if (attack->has_plain_heap) {
		g_setenv("MALLOC_PERTURB_", "0", TRUE);
	}
	attacker->rig = rig_create(&(struct rig_options){
		.foreign = target->foreign,
		.mode = target->mode,
		.withheld_features = attack->withheld_features,
	});
	set_stage(attacker);
	uint64_t before_bytes = proctree_memory(attacker->rig->daemon->pid).rss_bytes;
	attack->run(attacker);
	if (attack->end == ATTACK_BREAKS) {
		check_broken(attacker);
	}
	if (attack->end != ATTACK_SERVED) {
		attack_repair(attacker);
	}
	attack_prove(attacker);
	if (is_3d(attacker)) {
		attack_prove_3d(attacker);
	}
	check_memory(attacker, before_bytes);
	return attacker;
}

void attacker_destroy(struct attacker *attacker)
{
	rig_destroy(attacker->rig);
	g_string_free(attacker->surprises, TRUE);
	g_free(attacker);
}
