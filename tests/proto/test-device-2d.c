/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * The 2D commands: for each the good case, each error code, odd shapes, and that what follows is
 * served. In all modes.
 */
#include <string.h>

#include "proto.h"

#define FORMAT VIRTIO_GPU_FORMAT_B8G8R8X8_UNORM
#define BAD_ID 77u

static void test_resource_create_2d(const void *mode)
{
	static const uint32_t formats[] = {1, 2, 3, 4, 67, 68, 121, 134};
	struct rig *rig = proto_rig(mode);
	struct vgpu *vgpu = rig->vgpu;

	for (uint32_t i = 0; i < G_N_ELEMENTS(formats); i++) {
		g_assert_ok(vgpu_resource_create_2d(vgpu, 100 + i, formats[i], 64, 32));
	}
	g_assert_resp(vgpu_resource_create_2d(vgpu, 0, FORMAT, 64, 64),
		      VIRTIO_GPU_RESP_ERR_INVALID_RESOURCE_ID);
	g_assert_resp(vgpu_resource_create_2d(vgpu, 100, FORMAT, 64, 64),
		      VIRTIO_GPU_RESP_ERR_INVALID_RESOURCE_ID);
	g_assert_resp(vgpu_resource_create_2d(vgpu, 1, 0, 64, 64),
		      VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER);
	g_assert_resp(vgpu_resource_create_2d(vgpu, 1, 5, 64, 64),
		      VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER);
	g_assert_resp(vgpu_resource_create_2d(vgpu, 1, UINT32_MAX, 64, 64),
		      VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER);
	proto_assert_error(vgpu_resource_create_2d(vgpu, 1, FORMAT, 0, 64));
	proto_assert_error(vgpu_resource_create_2d(vgpu, 1, FORMAT, 64, 0));
	/* The sizes whose product wraps in 32 bits are the ones that matter. */
	g_assert_resp(vgpu_resource_create_2d(vgpu, 1, FORMAT, 65536, 65536),
		      VIRTIO_GPU_RESP_ERR_OUT_OF_MEMORY);
	g_assert_resp(vgpu_resource_create_2d(vgpu, 1, FORMAT, 0x40000001, 1),
		      VIRTIO_GPU_RESP_ERR_OUT_OF_MEMORY);
	g_assert_resp(vgpu_resource_create_2d(vgpu, 1, FORMAT, UINT32_MAX, UINT32_MAX),
		      VIRTIO_GPU_RESP_ERR_OUT_OF_MEMORY);
	/* Not one of the refused ones has taken its id. */
	g_assert_ok(vgpu_resource_create_2d(vgpu, 1, FORMAT, 64, 64));
	g_assert_ok(vgpu_resource_create_2d(vgpu, UINT32_MAX, FORMAT, 64, 64));

	struct virtio_gpu_resource_create_2d cmd = {
		{.type = VIRTIO_GPU_CMD_RESOURCE_CREATE_2D}, 1, FORMAT, 64, 64};
	proto_check_shapes(rig, &cmd, sizeof(cmd), VIRTIO_GPU_RESP_ERR_INVALID_RESOURCE_ID);
	rig_destroy(rig);
}

/* Host memory is bounded: resources beyond the bound are refused, and an unref makes room again. */
static void test_memory_bound(const void *mode)
{
	struct rig *rig = proto_rig(mode);
	uint32_t n = 1, type;

	while ((type = vgpu_resource_create_2d(rig->vgpu, n, FORMAT, 4096, 4096)) ==
	       VIRTIO_GPU_RESP_OK_NODATA) {
		g_assert_cmpuint(n, <, 1024);
		n += 1;
	}
	g_assert_resp(type, VIRTIO_GPU_RESP_ERR_OUT_OF_MEMORY);
	g_assert_cmpuint(n, >, 1);
	g_assert_ok(vgpu_resource_unref(rig->vgpu, 1));
	g_assert_ok(vgpu_resource_create_2d(rig->vgpu, n, FORMAT, 4096, 4096));
	rig_destroy(rig);
}

static void test_resource_unref(const void *mode)
{
	struct rig *rig = proto_rig(mode);
	struct vgpu *vgpu = rig->vgpu;

	g_assert_resp(vgpu_resource_unref(vgpu, 0), VIRTIO_GPU_RESP_ERR_INVALID_RESOURCE_ID);
	g_assert_resp(vgpu_resource_unref(vgpu, BAD_ID), VIRTIO_GPU_RESP_ERR_INVALID_RESOURCE_ID);
	for (unsigned int i = 0; i < 3; i++) {
		g_assert_ok(vgpu_resource_create_2d(vgpu, 1, FORMAT, 64, 64));
		g_assert_ok(vgpu_resource_unref(vgpu, 1));
		g_assert_resp(vgpu_resource_unref(vgpu, 1),
			      VIRTIO_GPU_RESP_ERR_INVALID_RESOURCE_ID);
	}
	/* A resource that is shown goes, the id with it, and no flush reaches the display any more.
	 */
	uint64_t gpa = rig_show_resource(rig, 1, 0, 64, 64, NULL);
	bool draws = ((const struct proto_mode *)mode)->draws;
	if (draws) {
		display_wait_scanout(rig->display, 0, 64, 64);
	}
	g_assert_ok(vgpu_resource_unref(vgpu, 1));
	if (draws) {
		display_wait_off(rig->display, 0);
	}
	g_assert_resp(vgpu_resource_flush(vgpu, 1, 0, 0, 64, 64),
		      VIRTIO_GPU_RESP_ERR_INVALID_RESOURCE_ID);
	g_assert_resp(vgpu_transfer_to_host_2d(vgpu, 1, 0, 0, 0, 64, 64),
		      VIRTIO_GPU_RESP_ERR_INVALID_RESOURCE_ID);
	g_assert_ok(vgpu_resource_create_2d(vgpu, 1, FORMAT, 32, 32));
	g_assert_ok(vgpu_resource_attach_one(vgpu, 1, gpa, 4096));
	g_assert_ok(vgpu_resource_flush(vgpu, 1, 0, 0, 32, 32));

	struct virtio_gpu_resource_unref cmd = {{.type = VIRTIO_GPU_CMD_RESOURCE_UNREF}, BAD_ID, 0};
	proto_check_shapes(rig, &cmd, sizeof(cmd), VIRTIO_GPU_RESP_ERR_INVALID_RESOURCE_ID);
	rig_destroy(rig);
}

static void test_set_scanout(const void *mode)
{
	struct rig *rig = proto_rig(mode);
	struct vgpu *vgpu = rig->vgpu;
	const uint32_t wrap = UINT32_MAX - 7;

	rig_make_resource(rig, 1, FORMAT, 128, 64, NULL);
	for (uint32_t scanout = 0; scanout < VIRTIO_GPU_MAX_SCANOUTS; scanout++) {
		g_assert_ok(vgpu_set_scanout(vgpu, scanout, 1, 0, 0, 128, 64));
		g_assert_ok(vgpu_resource_flush(vgpu, 1, 0, 0, 128, 64));
	}
	g_assert_resp(vgpu_set_scanout(vgpu, 16, 1, 0, 0, 128, 64),
		      VIRTIO_GPU_RESP_ERR_INVALID_SCANOUT_ID);
	g_assert_resp(vgpu_set_scanout(vgpu, UINT32_MAX, 0, 0, 0, 0, 0),
		      VIRTIO_GPU_RESP_ERR_INVALID_SCANOUT_ID);
	g_assert_resp(vgpu_set_scanout(vgpu, 0, BAD_ID, 0, 0, 64, 64),
		      VIRTIO_GPU_RESP_ERR_INVALID_RESOURCE_ID);
	g_assert_resp(vgpu_set_scanout(vgpu, 0, 1, 0, 0, 129, 64),
		      VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER);
	g_assert_resp(vgpu_set_scanout(vgpu, 0, 1, 1, 0, 128, 64),
		      VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER);
	g_assert_resp(vgpu_set_scanout(vgpu, 0, 1, 0, 1, 128, 64),
		      VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER);
	g_assert_resp(vgpu_set_scanout(vgpu, 0, 1, wrap, 0, 32, 32),
		      VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER);
	g_assert_resp(vgpu_set_scanout(vgpu, 0, 1, 32, 0, UINT32_MAX - 15, 32),
		      VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER);
	g_assert_resp(vgpu_set_scanout(vgpu, 0, 1, 0, wrap, 32, 32),
		      VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER);
	g_assert_resp(vgpu_set_scanout(vgpu, 0, 1, 0, 0, 15, 64),
		      VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER);
	g_assert_resp(vgpu_set_scanout(vgpu, 0, 1, 0, 0, 64, 15),
		      VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER);
	g_assert_ok(vgpu_set_scanout(vgpu, 0, 1, 0, 0, 16, 16));
	g_assert_ok(vgpu_resource_flush(vgpu, 1, 0, 0, 128, 64));
	g_assert_ok(vgpu_set_scanout(vgpu, 0, 0, 0, 0, 0, 0));
	g_assert_ok(vgpu_set_scanout(vgpu, 0, 0, 0, 0, 0, 0));

	struct virtio_gpu_set_scanout cmd = {
		{.type = VIRTIO_GPU_CMD_SET_SCANOUT}, {0, 0, 64, 64}, 0, BAD_ID};
	proto_check_shapes(rig, &cmd, sizeof(cmd), VIRTIO_GPU_RESP_ERR_INVALID_RESOURCE_ID);
	rig_destroy(rig);
}

static void test_resource_flush(const void *mode)
{
	struct rig *rig = proto_rig(mode);
	struct vgpu *vgpu = rig->vgpu;

	rig_make_resource(rig, 1, FORMAT, 64, 64, NULL);
	g_assert_ok(vgpu_resource_flush(vgpu, 1, 0, 0, 64, 64));
	g_assert_ok(vgpu_set_scanout(vgpu, 0, 1, 0, 0, 64, 64));
	g_assert_ok(vgpu_resource_flush(vgpu, 1, 0, 0, 64, 64));
	g_assert_ok(vgpu_resource_flush(vgpu, 1, 63, 63, 1, 1));
	g_assert_resp(vgpu_resource_flush(vgpu, 0, 0, 0, 64, 64),
		      VIRTIO_GPU_RESP_ERR_INVALID_RESOURCE_ID);
	g_assert_resp(vgpu_resource_flush(vgpu, BAD_ID, 0, 0, 64, 64),
		      VIRTIO_GPU_RESP_ERR_INVALID_RESOURCE_ID);
	g_assert_resp(vgpu_resource_flush(vgpu, 1, 0, 0, 65, 64),
		      VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER);
	g_assert_resp(vgpu_resource_flush(vgpu, 1, 0, 1, 64, 64),
		      VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER);
	g_assert_resp(vgpu_resource_flush(vgpu, 1, UINT32_MAX, 0, 2, 2),
		      VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER);
	g_assert_resp(vgpu_resource_flush(vgpu, 1, 2, 2, UINT32_MAX, 2),
		      VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER);

	struct virtio_gpu_resource_flush cmd = {
		{.type = VIRTIO_GPU_CMD_RESOURCE_FLUSH}, {0, 0, 64, 64}, 1, 0};
	proto_check_shapes(rig, &cmd, sizeof(cmd), VIRTIO_GPU_RESP_OK_NODATA);
	rig_destroy(rig);
}

static void test_transfer_to_host_2d(const void *mode)
{
	struct rig *rig = proto_rig(mode);
	struct vgpu *vgpu = rig->vgpu;

	g_assert_ok(vgpu_resource_create_2d(vgpu, 2, FORMAT, 64, 64));
	g_assert_resp(vgpu_transfer_to_host_2d(vgpu, 2, 0, 0, 0, 64, 64),
		      VIRTIO_GPU_RESP_ERR_INVALID_RESOURCE_ID);
	rig_make_resource(rig, 1, FORMAT, 64, 64, NULL);
	g_assert_ok(vgpu_transfer_to_host_2d(vgpu, 1, 0, 0, 0, 64, 64));
	g_assert_ok(vgpu_transfer_to_host_2d(vgpu, 1, 64 * 4 * 63, 0, 63, 64, 1));
	g_assert_resp(vgpu_transfer_to_host_2d(vgpu, 0, 0, 0, 0, 1, 1),
		      VIRTIO_GPU_RESP_ERR_INVALID_RESOURCE_ID);
	g_assert_resp(vgpu_transfer_to_host_2d(vgpu, BAD_ID, 0, 0, 0, 1, 1),
		      VIRTIO_GPU_RESP_ERR_INVALID_RESOURCE_ID);
	g_assert_resp(vgpu_transfer_to_host_2d(vgpu, 1, 0, 0, 0, 65, 1),
		      VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER);
	g_assert_resp(vgpu_transfer_to_host_2d(vgpu, 1, 0, 0, 64, 1, 1),
		      VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER);
	g_assert_resp(vgpu_transfer_to_host_2d(vgpu, 1, 0, UINT32_MAX, 0, 2, 1),
		      VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER);
	g_assert_resp(vgpu_transfer_to_host_2d(vgpu, 1, 0, 1, 1, UINT32_MAX, 1),
		      VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER);
	/* Beyond the backing: QEMU copies what there is and says OK; a refusal is as good. Nobody
	 * reads what isn't there. */
	proto_assert_one_of(vgpu_transfer_to_host_2d(vgpu, 1, 64 * 64 * 4, 0, 0, 64, 64),
			    VIRTIO_GPU_RESP_OK_NODATA, VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER);
	proto_assert_one_of(vgpu_transfer_to_host_2d(vgpu, 1, UINT64_MAX - 3, 0, 0, 64, 64),
			    VIRTIO_GPU_RESP_OK_NODATA, VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER);

	struct virtio_gpu_transfer_to_host_2d cmd = {
		{.type = VIRTIO_GPU_CMD_TRANSFER_TO_HOST_2D}, {0, 0, 64, 64}, 0, 1, 0};
	proto_check_shapes(rig, &cmd, sizeof(cmd), VIRTIO_GPU_RESP_OK_NODATA);
	rig_destroy(rig);
}

static uint32_t attach_claiming(struct rig *rig, uint32_t claimed, uint32_t supplied)
{
	g_autofree struct virtio_gpu_mem_entry *entries =
		g_new0(struct virtio_gpu_mem_entry, supplied + 1);
	struct virtio_gpu_resource_attach_backing cmd = {
		{.type = VIRTIO_GPU_CMD_RESOURCE_ATTACH_BACKING}, 1, claimed};
	struct vgpu_chain chain = {.request = &cmd,
				   .request_size = sizeof(cmd),
				   .payload = entries,
				   .payload_size = supplied * (uint32_t)sizeof(*entries),
				   .response_size = sizeof(struct virtio_gpu_ctrl_hdr)};

	for (uint32_t i = 0; i < supplied; i++) {
		entries[i] = (struct virtio_gpu_mem_entry){.addr = 0x100000 + i % 64 * 4096,
							   .length = 4096};
	}
	return vgpu_call_chain(rig->vgpu, VGPU_CONTROL, &chain);
}

static void test_resource_attach_backing(const void *mode)
{
	struct rig *rig = proto_rig(mode);
	struct vgpu *vgpu = rig->vgpu;
	const struct vhost_user_mem_region *region = &rig->ram->regions[0].wire;

	g_assert_resp(vgpu_resource_attach_one(vgpu, BAD_ID, 0, 4096),
		      VIRTIO_GPU_RESP_ERR_INVALID_RESOURCE_ID);
	g_assert_ok(vgpu_resource_create_2d(vgpu, 1, FORMAT, 64, 64));
	/* Where there is no memory, beyond the end of a region, around the end of the address
	 * space. */
	g_assert_resp(vgpu_resource_attach_one(vgpu, 1, UINT64_C(0x70000000), 4096),
		      VIRTIO_GPU_RESP_ERR_UNSPEC);
	g_assert_resp(vgpu_resource_attach_one(vgpu, 1, region->size - 4096, 8192),
		      VIRTIO_GPU_RESP_ERR_UNSPEC);
	g_assert_resp(vgpu_resource_attach_one(vgpu, 1, UINT64_MAX - 4095, 8192),
		      VIRTIO_GPU_RESP_ERR_UNSPEC);
	/* More entries than QEMU allows, and more than were sent: by a little, by so much that the
	 * size wraps. */
	g_assert_resp(attach_claiming(rig, 16385, 4), VIRTIO_GPU_RESP_ERR_UNSPEC);
	g_assert_resp(attach_claiming(rig, UINT32_MAX, 4), VIRTIO_GPU_RESP_ERR_UNSPEC);
	proto_assert_one_of(attach_claiming(rig, 5, 4), VIRTIO_GPU_RESP_ERR_UNSPEC,
			    VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER);
	proto_assert_one_of(attach_claiming(rig, 16384, 0), VIRTIO_GPU_RESP_ERR_UNSPEC,
			    VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER);
	/* After all that the resource still has none, takes one, and not a second one. */
	g_assert_ok(attach_claiming(rig, 16384, 16384));
	g_assert_resp(attach_claiming(rig, 4, 4), VIRTIO_GPU_RESP_ERR_UNSPEC);

	struct virtio_gpu_resource_attach_backing cmd = {
		{.type = VIRTIO_GPU_CMD_RESOURCE_ATTACH_BACKING}, BAD_ID, 0};
	proto_check_shapes(rig, &cmd, sizeof(cmd), VIRTIO_GPU_RESP_ERR_INVALID_RESOURCE_ID);
	rig_destroy(rig);
}

static void test_resource_detach_backing(const void *mode)
{
	struct rig *rig = proto_rig(mode);
	struct vgpu *vgpu = rig->vgpu;

	g_assert_resp(vgpu_resource_detach_backing(vgpu, BAD_ID),
		      VIRTIO_GPU_RESP_ERR_INVALID_RESOURCE_ID);
	g_assert_ok(vgpu_resource_create_2d(vgpu, 1, FORMAT, 32, 32));
	g_assert_resp(vgpu_resource_detach_backing(vgpu, 1),
		      VIRTIO_GPU_RESP_ERR_INVALID_RESOURCE_ID);
	for (unsigned int i = 0; i < 3; i++) {
		g_assert_ok(vgpu_resource_attach_one(vgpu, 1, 0x100000, 4096));
		g_assert_ok(vgpu_transfer_to_host_2d(vgpu, 1, 0, 0, 0, 32, 32));
		g_assert_ok(vgpu_resource_detach_backing(vgpu, 1));
		g_assert_resp(vgpu_transfer_to_host_2d(vgpu, 1, 0, 0, 0, 32, 32),
			      VIRTIO_GPU_RESP_ERR_INVALID_RESOURCE_ID);
	}

	struct virtio_gpu_resource_detach_backing cmd = {
		{.type = VIRTIO_GPU_CMD_RESOURCE_DETACH_BACKING}, BAD_ID, 0};
	proto_check_shapes(rig, &cmd, sizeof(cmd), VIRTIO_GPU_RESP_ERR_INVALID_RESOURCE_ID);
	rig_destroy(rig);
}

int main(int argc, char **argv)
{
	suite_init(&argc, &argv);
	proto_add("device", "resource_create_2d", test_resource_create_2d);
	proto_add_drawing("device", "memory_bound", test_memory_bound);
	proto_add("device", "resource_unref", test_resource_unref);
	proto_add("device", "set_scanout", test_set_scanout);
	proto_add("device", "resource_flush", test_resource_flush);
	proto_add("device", "transfer_to_host_2d", test_transfer_to_host_2d);
	proto_add("device", "resource_attach_backing", test_resource_attach_backing);
	proto_add("device", "resource_detach_backing", test_resource_detach_backing);
	return suite_run();
}
