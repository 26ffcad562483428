/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * The 3D commands: carried out in virglrenderer and gfxstream mode, accepted and checked in null
 * mode, ERR_UNSPEC in 2d mode.
 */
#include <string.h>

#include "proto.h"
#include "virgl_stream.h"

#define FORMAT VIRGL_FORMAT_B8G8R8A8
#define BIND VIRGL_BIND_RENDER_TARGET
#define BAD_ID 77u

static bool takes_3d(const void *mode)
{
	return ((const struct proto_mode *)mode)->takes_3d;
}

/* What a mode without 3D says to any of them, whatever is in it. */
static void check_unspec(struct rig *rig, const void *cmd, uint32_t size)
{
	g_assert_resp(vgpu_call(rig->vgpu, cmd, size, 24), VIRTIO_GPU_RESP_ERR_UNSPEC);
	proto_check_shapes(rig, cmd, size, VIRTIO_GPU_RESP_ERR_UNSPEC);
}

/* The shapes of @cmd, which names something that isn't there. */
static void check_shapes(struct rig *rig, const void *mode, const void *cmd, uint32_t size,
			 uint32_t expected)
{
	if (takes_3d(mode)) {
		proto_check_shapes(rig, cmd, size, expected);
	} else {
		check_unspec(rig, cmd, size);
	}
}

static void test_ctx_create(const void *mode)
{
	struct rig *rig = proto_rig(mode);
	struct vgpu *vgpu = rig->vgpu;

	if (takes_3d(mode)) {
		g_assert_ok(vgpu_ctx_create(vgpu, 1, 0, "one"));
		g_assert_ok(vgpu_ctx_create(vgpu, UINT32_MAX, 0, ""));
		g_assert_resp(vgpu_ctx_create(vgpu, 0, 0, "zero"),
			      VIRTIO_GPU_RESP_ERR_INVALID_CONTEXT_ID);
		g_assert_resp(vgpu_ctx_create(vgpu, 1, 0, "again"),
			      VIRTIO_GPU_RESP_ERR_INVALID_CONTEXT_ID);
		g_assert_ok(vgpu_ctx_create(
			vgpu, 3, 0,
			"0123456789012345678901234567890123456789012345678901234567890123"));
		/* More contexts than any guest has: served, or refused for want of memory. */
		for (uint32_t id = 100; id < 160; id++) {
			g_assert_ok(vgpu_ctx_create(vgpu, id, 0, "many"));
			g_assert_ok(vgpu_ctx_destroy(vgpu, id));
		}
	}
	struct virtio_gpu_ctx_create cmd = {
		.hdr = {.type = VIRTIO_GPU_CMD_CTX_CREATE, .ctx_id = 0}};
	check_shapes(rig, mode, &cmd, sizeof(cmd), VIRTIO_GPU_RESP_ERR_INVALID_CONTEXT_ID);
	cmd.nlen = UINT32_MAX;
	proto_assert_error(vgpu_call(vgpu, &cmd, sizeof(cmd), 24));
	rig_destroy(rig);
}

static void test_ctx_destroy(const void *mode)
{
	struct rig *rig = proto_rig(mode);
	struct vgpu *vgpu = rig->vgpu;

	if (takes_3d(mode)) {
		for (unsigned int i = 0; i < 5; i++) {
			g_assert_ok(vgpu_ctx_create(vgpu, 1, 0, "one"));
			g_assert_ok(vgpu_ctx_destroy(vgpu, 1));
			g_assert_resp(vgpu_ctx_destroy(vgpu, 1),
				      VIRTIO_GPU_RESP_ERR_INVALID_CONTEXT_ID);
		}
		g_assert_resp(vgpu_ctx_destroy(vgpu, 0), VIRTIO_GPU_RESP_ERR_INVALID_CONTEXT_ID);
		/* With a resource attached, which lives on. */
		g_assert_ok(vgpu_ctx_create(vgpu, 1, 0, "one"));
		g_assert_ok(vgpu_resource_create_3d(vgpu, 1, FORMAT, BIND, 64, 64, 0));
		g_assert_ok(vgpu_ctx_attach_resource(vgpu, 1, 1));
		g_assert_ok(vgpu_ctx_destroy(vgpu, 1));
		g_assert_ok(vgpu_resource_unref(vgpu, 1));
	}
	struct virtio_gpu_ctx_destroy cmd = {
		.hdr = {.type = VIRTIO_GPU_CMD_CTX_DESTROY, .ctx_id = BAD_ID}};
	check_shapes(rig, mode, &cmd, sizeof(cmd), VIRTIO_GPU_RESP_ERR_INVALID_CONTEXT_ID);
	rig_destroy(rig);
}

static void test_ctx_attach_resource(const void *mode)
{
	struct rig *rig = proto_rig(mode);
	struct vgpu *vgpu = rig->vgpu;

	if (takes_3d(mode)) {
		g_assert_ok(vgpu_ctx_create(vgpu, 1, 0, "one"));
		g_assert_ok(vgpu_resource_create_3d(vgpu, 1, FORMAT, BIND, 64, 64, 0));
		g_assert_ok(
			vgpu_resource_create_2d(vgpu, 2, VIRTIO_GPU_FORMAT_B8G8R8X8_UNORM, 64, 64));
		g_assert_ok(vgpu_ctx_attach_resource(vgpu, 1, 1));
		g_assert_ok(vgpu_ctx_attach_resource(vgpu, 1, 2));
		g_assert_resp(vgpu_ctx_attach_resource(vgpu, BAD_ID, 1),
			      VIRTIO_GPU_RESP_ERR_INVALID_CONTEXT_ID);
		g_assert_resp(vgpu_ctx_attach_resource(vgpu, 1, BAD_ID),
			      VIRTIO_GPU_RESP_ERR_INVALID_RESOURCE_ID);
		g_assert_resp(vgpu_ctx_attach_resource(vgpu, 1, 0),
			      VIRTIO_GPU_RESP_ERR_INVALID_RESOURCE_ID);
		/* The resource goes while it is attached; the context lives on. */
		g_assert_ok(vgpu_resource_unref(vgpu, 1));
		g_assert_resp(vgpu_ctx_attach_resource(vgpu, 1, 1),
			      VIRTIO_GPU_RESP_ERR_INVALID_RESOURCE_ID);
		g_assert_ok(vgpu_ctx_destroy(vgpu, 1));
	}
	struct virtio_gpu_ctx_resource cmd = {
		{.type = VIRTIO_GPU_CMD_CTX_ATTACH_RESOURCE, .ctx_id = BAD_ID}, 2, 0};
	check_shapes(rig, mode, &cmd, sizeof(cmd), VIRTIO_GPU_RESP_ERR_INVALID_CONTEXT_ID);
	rig_destroy(rig);
}

static void test_ctx_detach_resource(const void *mode)
{
	struct rig *rig = proto_rig(mode);
	struct vgpu *vgpu = rig->vgpu;

	if (takes_3d(mode)) {
		g_assert_ok(vgpu_ctx_create(vgpu, 1, 0, "one"));
		g_assert_ok(vgpu_resource_create_3d(vgpu, 1, FORMAT, BIND, 64, 64, 0));
		for (unsigned int i = 0; i < 5; i++) {
			g_assert_ok(vgpu_ctx_attach_resource(vgpu, 1, 1));
			g_assert_ok(vgpu_ctx_detach_resource(vgpu, 1, 1));
		}
		g_assert_resp(vgpu_ctx_detach_resource(vgpu, BAD_ID, 1),
			      VIRTIO_GPU_RESP_ERR_INVALID_CONTEXT_ID);
		g_assert_resp(vgpu_ctx_detach_resource(vgpu, 1, BAD_ID),
			      VIRTIO_GPU_RESP_ERR_INVALID_RESOURCE_ID);
	}
	struct virtio_gpu_ctx_resource cmd = {
		{.type = VIRTIO_GPU_CMD_CTX_DETACH_RESOURCE, .ctx_id = BAD_ID}, 1, 0};
	check_shapes(rig, mode, &cmd, sizeof(cmd), VIRTIO_GPU_RESP_ERR_INVALID_CONTEXT_ID);
	rig_destroy(rig);
}

static struct virtio_gpu_resource_create_3d create_3d(uint32_t id)
{
	return (struct virtio_gpu_resource_create_3d){
		.hdr = {.type = VIRTIO_GPU_CMD_RESOURCE_CREATE_3D},
		.resource_id = id,
		.target = 2,
		.format = FORMAT,
		.bind = BIND,
		.width = 64,
		.height = 64,
		.depth = 1,
		.array_size = 1,
	};
}

static void check_bad_3d(struct rig *rig)
{
	struct virtio_gpu_resource_create_3d cmds[10];

	for (size_t i = 0; i < G_N_ELEMENTS(cmds); i++) {
		cmds[i] = create_3d(50 + (uint32_t)i);
	}
	cmds[0].target = 99;
	cmds[1].format = 0xffff;
	cmds[2].width = UINT32_MAX;
	cmds[3].width = 0;
	cmds[4].height = 0x40000000;
	cmds[5].depth = UINT32_MAX;
	cmds[6].array_size = UINT32_MAX;
	cmds[7].last_level = UINT32_MAX;
	cmds[8].nr_samples = UINT32_MAX;
	cmds[9].bind = 0;
	cmds[9].width = 0x8000;
	cmds[9].height = 0x8000;
	for (size_t i = 0; i < G_N_ELEMENTS(cmds); i++) {
		uint32_t type = vgpu_call(rig->vgpu, &cmds[i], sizeof(cmds[i]), 24);
		g_test_message("bad resource %zu: 0x%x", i, type);
		proto_assert_error(type);
		g_assert_resp(vgpu_resource_unref(rig->vgpu, cmds[i].resource_id),
			      VIRTIO_GPU_RESP_ERR_INVALID_RESOURCE_ID);
	}
}

static void test_resource_create_3d(const void *mode)
{
	struct rig *rig = proto_rig(mode);
	struct vgpu *vgpu = rig->vgpu;

	if (takes_3d(mode)) {
		g_assert_ok(vgpu_resource_create_3d(vgpu, 1, FORMAT, BIND, 64, 64, 0));
		g_assert_ok(vgpu_resource_create_3d(vgpu, 2, FORMAT, BIND, 64, 64,
						    VIRTIO_GPU_RESOURCE_FLAG_Y_0_TOP));
		g_assert_resp(vgpu_resource_create_3d(vgpu, 0, FORMAT, BIND, 64, 64, 0),
			      VIRTIO_GPU_RESP_ERR_INVALID_RESOURCE_ID);
		g_assert_resp(vgpu_resource_create_3d(vgpu, 1, FORMAT, BIND, 64, 64, 0),
			      VIRTIO_GPU_RESP_ERR_INVALID_RESOURCE_ID);
		/* A buffer, as vertices are kept in. */
		struct virtio_gpu_resource_create_3d buffer = create_3d(3);
		buffer.target = 0;
		buffer.format = 64; /* R8_UNORM */
		buffer.bind = 1u << 4;
		buffer.width = 65536;
		buffer.height = 1;
		if (((const struct proto_mode *)mode)->speaks_virgl) {
			g_assert_ok(vgpu_call(vgpu, &buffer, sizeof(buffer), 24));
		}
		if (((const struct proto_mode *)mode)->has_3d) {
			check_bad_3d(rig);
		}
		/* One table of ids for all kinds. */
		g_assert_resp(
			vgpu_resource_create_2d(vgpu, 1, VIRTIO_GPU_FORMAT_B8G8R8X8_UNORM, 64, 64),
			VIRTIO_GPU_RESP_ERR_INVALID_RESOURCE_ID);
	}
	struct virtio_gpu_resource_create_3d cmd = create_3d(0);
	check_shapes(rig, mode, &cmd, sizeof(cmd), VIRTIO_GPU_RESP_ERR_INVALID_RESOURCE_ID);
	rig_destroy(rig);
}

/* Both directions take the same command and refuse the same things. */
static void check_transfer_3d(const void *mode, uint32_t type,
			      uint32_t (*transfer)(struct vgpu *vgpu, uint32_t ctx, uint32_t id,
						   const struct virtio_gpu_box *box,
						   uint64_t offset, uint32_t stride))
{
	struct rig *rig = proto_rig(mode);
	struct vgpu *vgpu = rig->vgpu;
	const struct virtio_gpu_box all = {0, 0, 0, 64, 64, 1};

	if (takes_3d(mode)) {
		static const struct virtio_gpu_box boxes[] = {
			{0, 0, 0, 65, 64, 1},
			{0, 0, 0, 64, 65, 1},
			{1, 0, 0, 64, 64, 1},
			{0, 64, 0, 64, 1, 1},
			{0, 0, 1, 64, 64, 1},
			{0, 0, 0, 64, 64, 2},
			{UINT32_MAX, 0, 0, 2, 2, 1},
			{2, 2, 0, UINT32_MAX, 2, 1},
			{2, 2, 0, 2, UINT32_MAX - 1, 1},
		};
		uint64_t gpa = rig_backing(rig, NULL, 64 * 64 * 4);
		g_assert_ok(vgpu_ctx_create(vgpu, 1, 0, "one"));
		g_assert_ok(vgpu_resource_create_3d(vgpu, 1, FORMAT, BIND, 64, 64, 0));
		g_assert_ok(vgpu_resource_create_3d(vgpu, 2, FORMAT, BIND, 64, 64, 0));
		g_assert_ok(vgpu_resource_attach_one(vgpu, 1, gpa, 64 * 64 * 4));
		g_assert_ok(vgpu_ctx_attach_resource(vgpu, 1, 1));
		g_assert_ok(vgpu_ctx_attach_resource(vgpu, 1, 2));
		g_assert_ok(transfer(vgpu, 1, 1, &all, 0, 0));
		g_assert_resp(transfer(vgpu, 1, BAD_ID, &all, 0, 0),
			      VIRTIO_GPU_RESP_ERR_INVALID_RESOURCE_ID);
		g_assert_resp(transfer(vgpu, 1, 0, &all, 0, 0),
			      VIRTIO_GPU_RESP_ERR_INVALID_RESOURCE_ID);
		g_assert_resp(transfer(vgpu, BAD_ID, 1, &all, 0, 0),
			      VIRTIO_GPU_RESP_ERR_INVALID_CONTEXT_ID);
		/* No backing. */
		proto_assert_error(transfer(vgpu, 1, 2, &all, 0, 0));
		for (size_t i = 0; i < G_N_ELEMENTS(boxes); i++) {
			g_test_message("box %zu", i);
			proto_assert_error(transfer(vgpu, 1, 1, &boxes[i], 0, 0));
		}
		if (((const struct proto_mode *)mode)->has_3d) {
			/* Good boxes whose pixels would lie beyond the backing. */
			proto_assert_error(transfer(vgpu, 1, 1, &all, 64 * 64 * 4, 0));
			proto_assert_error(transfer(vgpu, 1, 1, &all, UINT64_MAX - 3, 0));
			proto_assert_error(transfer(vgpu, 1, 1, &all, 0, UINT32_MAX));
		}
		g_assert_ok(transfer(vgpu, 1, 1, &all, 0, 0));
	}
	struct virtio_gpu_transfer_host_3d cmd = {
		.hdr = {.type = type, .ctx_id = 0}, .box = all, .resource_id = BAD_ID};
	check_shapes(rig, mode, &cmd, sizeof(cmd), VIRTIO_GPU_RESP_ERR_INVALID_RESOURCE_ID);
	rig_destroy(rig);
}

static void test_transfer_to_host_3d(const void *mode)
{
	check_transfer_3d(mode, VIRTIO_GPU_CMD_TRANSFER_TO_HOST_3D, vgpu_transfer_to_host_3d);
}

static void test_transfer_from_host_3d(const void *mode)
{
	check_transfer_3d(mode, VIRTIO_GPU_CMD_TRANSFER_FROM_HOST_3D, vgpu_transfer_from_host_3d);
}

static uint32_t submit_claiming(struct rig *rig, uint32_t claimed, uint32_t supplied)
{
	g_autofree uint8_t *words = g_malloc0(supplied + 1);
	struct virtio_gpu_cmd_submit cmd = {
		{.type = VIRTIO_GPU_CMD_SUBMIT_3D, .ctx_id = 1}, claimed, 0};
	struct vgpu_chain chain = {.request = &cmd,
				   .request_size = sizeof(cmd),
				   .payload = words,
				   .payload_size = supplied,
				   .response_size = 24};

	return vgpu_call_chain(rig->vgpu, VGPU_CONTROL, &chain);
}

static void test_submit_3d(const void *mode)
{
	struct rig *rig = proto_rig(mode);
	struct vgpu *vgpu = rig->vgpu;
	struct virgl_stream stream = {0};

	virgl_stream_add(&stream, 0, 0, NULL, 0); /* NOP */
	if (takes_3d(mode)) {
		g_assert_ok(vgpu_ctx_create(vgpu, 1, 0, "one"));
		g_assert_ok(
			vgpu_submit_3d(vgpu, 1, stream.words, virgl_stream_size_bytes(&stream)));
		g_assert_resp(vgpu_submit_3d(vgpu, BAD_ID, stream.words, 4),
			      VIRTIO_GPU_RESP_ERR_INVALID_CONTEXT_ID);
		g_assert_resp(vgpu_submit_3d(vgpu, 0, stream.words, 4),
			      VIRTIO_GPU_RESP_ERR_INVALID_CONTEXT_ID);
		/* More than there is: by a word, by so much that adding it up wraps, not whole
		 * words. */
		g_assert_resp(submit_claiming(rig, 8, 4), VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER);
		g_assert_resp(submit_claiming(rig, UINT32_MAX - 3, 64),
			      VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER);
		g_assert_resp(submit_claiming(rig, 4, 0), VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER);
		if (((const struct proto_mode *)mode)->has_3d) {
			g_assert_resp(submit_claiming(rig, 6, 8),
				      VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER);
		}
		/* Less than there is: the rest is not looked at. */
		g_assert_ok(submit_claiming(rig, 8, 4096));
		if (((const struct proto_mode *)mode)->speaks_virgl) {
			g_assert_ok(submit_claiming(rig, 1 << 20, 1 << 20));
		}
	}
	struct virtio_gpu_cmd_submit cmd = {
		{.type = VIRTIO_GPU_CMD_SUBMIT_3D, .ctx_id = BAD_ID}, 0, 0};
	check_shapes(rig, mode, &cmd, sizeof(cmd), VIRTIO_GPU_RESP_ERR_INVALID_CONTEXT_ID);
	rig_destroy(rig);
}

int main(int argc, char **argv)
{
	suite_init(&argc, &argv);
	proto_add("device", "ctx_create", test_ctx_create);
	proto_add("device", "ctx_destroy", test_ctx_destroy);
	proto_add("device", "ctx_attach_resource", test_ctx_attach_resource);
	proto_add("device", "ctx_detach_resource", test_ctx_detach_resource);
	proto_add("device", "resource_create_3d", test_resource_create_3d);
	proto_add("device", "transfer_to_host_3d", test_transfer_to_host_3d);
	proto_add("device", "transfer_from_host_3d", test_transfer_from_host_3d);
	proto_add("device", "submit_3d", test_submit_3d);
	return suite_run();
}
