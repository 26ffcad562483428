/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * What the device says of itself: features, configuration, display info, EDID, capsets, UUIDs; and
 * how it takes what no driver sends: unknown types, blob commands without the feature, headers cut
 * short.
 */
#include <string.h>

#include "proto.h"

#define FORMAT VIRTIO_GPU_FORMAT_B8G8R8X8_UNORM
#define HEADER_SIZE ((uint32_t)sizeof(struct virtio_gpu_ctrl_hdr))

static void test_features(const void *data)
{
	const struct proto_mode *mode = data;
	struct rig *rig = proto_rig(mode);
	const uint64_t features = rig->frontend->features;
	const uint64_t always = FEATURE(VIRTIO_F_V1) | FEATURE(VIRTIO_F_INDIRECT) |
				FEATURE(VIRTIO_F_EVENT_INDEX) |
				FEATURE(VIRTIO_F_VHOST_PROTOCOL_FEATURES) |
				FEATURE(VIRTIO_F_GPU_EDID) | FEATURE(VIRTIO_F_GPU_RESOURCE_UUID) |
				FEATURE(VIRTIO_F_GPU_RESOURCE_BLOB);
	const uint64_t only_3d = FEATURE(VIRTIO_F_GPU_VIRGL) | FEATURE(VIRTIO_F_GPU_CONTEXT_INIT);

	g_assert_cmphex(features, ==, always | (mode->has_3d ? only_3d : 0));
	/* A window is for what a renderer has to show in it, which not every one has. */
	const uint64_t maybe =
		mode->has_3d ? FEATURE(VHOST_USER_PROTOCOL_F_SHMEM_MAP) |
				       FEATURE(VHOST_USER_PROTOCOL_F_SHARED_OBJECT)
			     : UINT64_C(0);
	g_assert_cmphex(rig->frontend->protocol_features & ~maybe, ==,
			FEATURE(VHOST_USER_PROTOCOL_F_MQ) |
				FEATURE(VHOST_USER_PROTOCOL_F_REPLY_ACK) |
				FEATURE(VHOST_USER_PROTOCOL_F_BACKEND_REQ) |
				FEATURE(VHOST_USER_PROTOCOL_F_CONFIG) |
				FEATURE(VHOST_USER_PROTOCOL_F_BACKEND_SEND_FD) |
				FEATURE(VHOST_USER_PROTOCOL_F_RESET_DEVICE) |
				FEATURE(VHOST_USER_PROTOCOL_F_CONFIGURE_MEM_SLOTS));
	rig_destroy(rig);
}

static uint32_t n_capsets(struct rig *rig)
{
	struct virtio_gpu_config config;

	g_assert_cmpuint(frontend_get_config(rig->frontend, 0, sizeof(config), (uint8_t *)&config),
			 ==, sizeof(config));
	return config.num_capsets;
}

static void test_config(const void *data)
{
	const struct proto_mode *mode = data;
	struct rig *rig = proto_rig(mode);
	struct virtio_gpu_config config;

	frontend_get_config(rig->frontend, 0, sizeof(config), (uint8_t *)&config);
	g_assert_cmpuint(config.events_read, ==, 0);
	g_assert_cmpuint(config.events_clear, ==, 0);
	g_assert_cmpuint(config.num_scanouts, ==, 16);
	if (mode->has_3d) {
		g_assert_cmpuint(config.num_capsets, >=, 1);
		g_assert_cmpuint(config.num_capsets, <=, 3);
	} else {
		g_assert_cmpuint(config.num_capsets, ==, 0);
	}
	rig_destroy(rig);
}

static void test_get_display_info(const void *mode)
{
	struct display_config display_config = display_config_default();
	display_config.n_outputs = 3;
	display_config.width = 1024;
	display_config.height = 768;
	struct rig *rig = rig_create(&(struct rig_options){
		.mode = ((const struct proto_mode *)mode)->name, .display = &display_config});
	struct virtio_gpu_resp_display_info info;

	for (unsigned int i = 0; i < 3; i++) {
		g_assert_resp(vgpu_get_display_info(rig->vgpu, &info),
			      VIRTIO_GPU_RESP_OK_DISPLAY_INFO);
		g_assert_cmpuint(rig->vgpu->last_used_size, ==, sizeof(info));
	}
	for (unsigned int i = 0; i < VIRTIO_GPU_MAX_SCANOUTS; i++) {
		g_assert_cmpuint(info.pmodes[i].enabled, ==, i < 3);
		g_assert_cmpuint(info.pmodes[i].r.width, ==, i < 3 ? 1024 : 0);
		g_assert_cmpuint(info.pmodes[i].r.height, ==, i < 3 ? 768 : 0);
	}
	g_assert_cmpuint(display_count(rig->display, VHOST_USER_GPU_GET_DISPLAY_INFO, 0, NULL), >=,
			 1);

	struct virtio_gpu_ctrl_hdr cmd = {.type = VIRTIO_GPU_CMD_GET_DISPLAY_INFO};
	proto_check_shapes(rig, &cmd, sizeof(cmd), VIRTIO_GPU_RESP_OK_DISPLAY_INFO);
	rig_destroy(rig);
}

static void test_get_edid(const void *mode)
{
	struct rig *rig = proto_rig(mode);
	struct virtio_gpu_resp_edid edid;
	uint8_t expected[128];

	/* The display's own for what it answers for. */
	display_wait_features_acked(rig->display);
	g_assert_resp(vgpu_get_edid(rig->vgpu, 0, &edid), VIRTIO_GPU_RESP_OK_EDID);
	g_assert_cmpuint(rig->vgpu->last_used_size, ==, sizeof(edid));
	display_make_edid(0, expected);
	proto_assert_mem(edid.edid, expected, 128);
	/* QEMU says nothing to a question about an output that it hasn't; the guest must have an
	 * answer all the same. */
	for (uint32_t scanout = 1; scanout < VIRTIO_GPU_MAX_SCANOUTS; scanout++) {
		g_assert_resp(vgpu_get_edid(rig->vgpu, scanout, &edid), VIRTIO_GPU_RESP_OK_EDID);
		proto_assert_edid(&edid);
	}
	proto_assert_one_of(vgpu_get_edid(rig->vgpu, 16, &edid),
			    VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER,
			    VIRTIO_GPU_RESP_ERR_INVALID_SCANOUT_ID);
	proto_assert_one_of(vgpu_get_edid(rig->vgpu, UINT32_MAX, &edid),
			    VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER,
			    VIRTIO_GPU_RESP_ERR_INVALID_SCANOUT_ID);

	struct virtio_gpu_cmd_get_edid cmd = {{.type = VIRTIO_GPU_CMD_GET_EDID}, 0, 0};
	proto_check_shapes(rig, &cmd, sizeof(cmd), VIRTIO_GPU_RESP_OK_EDID);
	rig_destroy(rig);
}

static void check_capset(struct rig *rig, uint32_t index)
{
	struct virtio_gpu_resp_capset_info info;

	g_assert_resp(vgpu_get_capset_info(rig->vgpu, index, &info),
		      VIRTIO_GPU_RESP_OK_CAPSET_INFO);
	g_assert_cmpuint(rig->vgpu->last_used_size, ==, sizeof(info));
	/* Venus' is 4, gfxstream's are 3 and 8. */
	g_assert_true(info.capset_id == VIRTIO_GPU_CAPSET_VIRGL ||
		      info.capset_id == VIRTIO_GPU_CAPSET_VIRGL2 || info.capset_id == 3 ||
		      info.capset_id == 4 || info.capset_id == 8);
	g_assert_cmpuint(info.capset_max_size, >=, 4 * sizeof(uint32_t));
	g_assert_resp(vgpu_get_capset(rig->vgpu, info.capset_id, info.capset_max_version,
				      info.capset_max_size),
		      VIRTIO_GPU_RESP_OK_CAPSET);
	g_assert_cmpuint(rig->vgpu->last_used_size, ==, HEADER_SIZE + info.capset_max_size);
	/* The first word is the version; the format masks after it cannot all be zero. */
	uint32_t words[16] = {0};
	memcpy(words, rig->vgpu->last_response + HEADER_SIZE,
	       MIN(sizeof(words), info.capset_max_size));
	g_assert_cmpuint(words[0], >=, 1);
	uint32_t any = 0;
	for (unsigned int i = 1; i < G_N_ELEMENTS(words); i++) {
		any |= words[i];
	}
	g_assert_cmphex(any, !=, 0);
	proto_assert_error(vgpu_get_capset(rig->vgpu, info.capset_id,
					   info.capset_max_version + 1000, info.capset_max_size));
}

static void test_get_capset_info(const void *data)
{
	const struct proto_mode *mode = data;
	struct rig *rig = proto_rig(mode);
	struct virtio_gpu_resp_capset_info info;
	uint32_t n = n_capsets(rig);

	for (uint32_t i = 0; i < n; i++) {
		g_assert_resp(vgpu_get_capset_info(rig->vgpu, i, &info),
			      VIRTIO_GPU_RESP_OK_CAPSET_INFO);
		g_assert_cmpuint(info.capset_id, !=, 0);
	}
	proto_assert_error(vgpu_get_capset_info(rig->vgpu, n, &info));
	proto_assert_error(vgpu_get_capset_info(rig->vgpu, UINT32_MAX, &info));

	struct virtio_gpu_get_capset_info cmd = {
		{.type = VIRTIO_GPU_CMD_GET_CAPSET_INFO}, UINT32_MAX, 0};
	proto_check_shapes(rig, &cmd, sizeof(cmd),
			   vgpu_get_capset_info(rig->vgpu, UINT32_MAX, &info));
	rig_destroy(rig);
}

static void test_get_capset(const void *data)
{
	const struct proto_mode *mode = data;
	struct rig *rig = proto_rig(mode);
	uint32_t n = n_capsets(rig);

	for (uint32_t i = 0; i < n; i++) {
		check_capset(rig, i);
	}
	proto_assert_error(vgpu_get_capset(rig->vgpu, 0, 1, 1024));
	proto_assert_error(vgpu_get_capset(rig->vgpu, 63, 1, 1024));
	proto_assert_error(vgpu_get_capset(rig->vgpu, UINT32_MAX, 1, 1024));

	struct virtio_gpu_get_capset cmd = {{.type = VIRTIO_GPU_CMD_GET_CAPSET}, 63, 1};
	proto_check_shapes(rig, &cmd, sizeof(cmd), vgpu_get_capset(rig->vgpu, 63, 1, 1024));
	rig_destroy(rig);
}

/* --capset decides what is there, not what virglrenderer happens to have. */
static void test_capset_option(const void *data)
{
	static const char *const args[] = {"--capset", "virgl2", NULL};
	const struct proto_mode *mode = data;
	struct rig *rig = rig_create(&(struct rig_options){.mode = mode->name, .args = args});
	struct virtio_gpu_resp_capset_info info;

	g_assert_cmpuint(n_capsets(rig), ==, 1);
	g_assert_resp(vgpu_get_capset_info(rig->vgpu, 0, &info), VIRTIO_GPU_RESP_OK_CAPSET_INFO);
	g_assert_cmpuint(info.capset_id, ==, VIRTIO_GPU_CAPSET_VIRGL2);
	proto_assert_error(vgpu_get_capset_info(rig->vgpu, 1, &info));
	proto_assert_error(vgpu_get_capset(rig->vgpu, VIRTIO_GPU_CAPSET_VIRGL, 1, 1024));
	check_capset(rig, 0);
	rig_destroy(rig);
}

static void test_resource_assign_uuid(const void *mode)
{
	struct rig *rig = proto_rig(mode);
	uint8_t uuids[3][16];

	for (uint32_t i = 0; i < 2; i++) {
		g_assert_ok(vgpu_resource_create_2d(rig->vgpu, 1 + i, FORMAT, 64, 64));
		g_assert_resp(vgpu_resource_assign_uuid(rig->vgpu, 1 + i, uuids[i]),
			      VIRTIO_GPU_RESP_OK_RESOURCE_UUID);
		/* RFC 4122, random. */
		g_assert_cmphex(uuids[i][6] & 0xf0, ==, 0x40);
		g_assert_cmphex(uuids[i][8] & 0xc0, ==, 0x80);
	}
	g_assert_cmpint(memcmp(uuids[0], uuids[1], 16), !=, 0);
	/* It names the resource, so asking again must not change it. */
	g_assert_resp(vgpu_resource_assign_uuid(rig->vgpu, 1, uuids[2]),
		      VIRTIO_GPU_RESP_OK_RESOURCE_UUID);
	proto_assert_mem(uuids[0], uuids[2], 16);
	g_assert_resp(vgpu_resource_assign_uuid(rig->vgpu, 0, uuids[2]),
		      VIRTIO_GPU_RESP_ERR_INVALID_RESOURCE_ID);
	g_assert_resp(vgpu_resource_assign_uuid(rig->vgpu, 99, uuids[2]),
		      VIRTIO_GPU_RESP_ERR_INVALID_RESOURCE_ID);

	struct virtio_gpu_resource_assign_uuid cmd = {
		{.type = VIRTIO_GPU_CMD_RESOURCE_ASSIGN_UUID}, 99, 0};
	proto_check_shapes(rig, &cmd, sizeof(cmd), VIRTIO_GPU_RESP_ERR_INVALID_RESOURCE_ID);
	rig_destroy(rig);
}

static void test_uuid_needs_feature(const void *mode)
{
	struct rig *rig = rig_create(
		&(struct rig_options){.mode = ((const struct proto_mode *)mode)->name,
				      .withheld_features = FEATURE(VIRTIO_F_GPU_RESOURCE_UUID)});
	uint8_t uuid[16];

	g_assert_ok(vgpu_resource_create_2d(rig->vgpu, 1, FORMAT, 64, 64));
	g_assert_resp(vgpu_resource_assign_uuid(rig->vgpu, 1, uuid),
		      VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER);
	rig_assert_serves(rig);
	rig_destroy(rig);
}

/* A driver that has not acknowledged the feature sends none of these. */
static struct rig *rig_without_blobs(const void *mode)
{
	return rig_create(
		&(struct rig_options){.mode = ((const struct proto_mode *)mode)->name,
				      .withheld_features = FEATURE(VIRTIO_F_GPU_RESOURCE_BLOB)});
}

static void test_create_blob_needs_feature(const void *mode)
{
	struct rig *rig = rig_without_blobs(mode);
	uint64_t gpa = rig_backing(rig, NULL, 4096);

	g_assert_resp(vgpu_resource_create_guest_blob(rig->vgpu, 1, gpa, 4096),
		      VIRTIO_GPU_RESP_ERR_UNSPEC);
	/* It took no id. */
	g_assert_ok(vgpu_resource_create_2d(rig->vgpu, 1, FORMAT, 64, 64));
	struct virtio_gpu_resource_create_blob cmd = {
		.hdr = {.type = VIRTIO_GPU_CMD_RESOURCE_CREATE_BLOB},
		.resource_id = 2,
		.blob_mem = VIRTIO_GPU_BLOB_MEM_HOST3D,
		.nr_entries = UINT32_MAX,
		.size = UINT64_MAX};
	proto_check_shapes(rig, &cmd, sizeof(cmd), VIRTIO_GPU_RESP_ERR_UNSPEC);
	rig_destroy(rig);
}

static void test_set_scanout_blob_needs_feature(const void *mode)
{
	const struct vgpu_layout layout = {FORMAT, 64, 64, 256, 0};
	struct rig *rig = rig_without_blobs(mode);

	g_assert_ok(vgpu_resource_create_2d(rig->vgpu, 1, FORMAT, 64, 64));
	g_assert_resp(vgpu_set_scanout_blob(rig->vgpu, 0, 1, &layout), VIRTIO_GPU_RESP_ERR_UNSPEC);
	struct virtio_gpu_set_scanout_blob cmd = {.hdr = {.type = VIRTIO_GPU_CMD_SET_SCANOUT_BLOB},
						  .scanout_id = UINT32_MAX,
						  .resource_id = 1};
	proto_check_shapes(rig, &cmd, sizeof(cmd), VIRTIO_GPU_RESP_ERR_UNSPEC);
	rig_destroy(rig);
}

static void test_map_blob_needs_feature(const void *mode)
{
	struct rig *rig = rig_without_blobs(mode);

	g_assert_ok(vgpu_resource_create_2d(rig->vgpu, 1, FORMAT, 64, 64));
	g_assert_resp(vgpu_resource_map_blob(rig->vgpu, 1, 0), VIRTIO_GPU_RESP_ERR_UNSPEC);
	struct virtio_gpu_resource_map_blob cmd = {
		.hdr = {.type = VIRTIO_GPU_CMD_RESOURCE_MAP_BLOB},
		.resource_id = 1,
		.offset = UINT64_MAX};
	proto_check_shapes(rig, &cmd, sizeof(cmd), VIRTIO_GPU_RESP_ERR_UNSPEC);
	rig_destroy(rig);
}

static void test_unmap_blob_needs_feature(const void *mode)
{
	struct rig *rig = rig_without_blobs(mode);

	g_assert_ok(vgpu_resource_create_2d(rig->vgpu, 1, FORMAT, 64, 64));
	g_assert_resp(vgpu_resource_unmap_blob(rig->vgpu, 1), VIRTIO_GPU_RESP_ERR_UNSPEC);
	struct virtio_gpu_resource_unmap_blob cmd = {
		.hdr = {.type = VIRTIO_GPU_CMD_RESOURCE_UNMAP_BLOB}, .resource_id = 1};
	proto_check_shapes(rig, &cmd, sizeof(cmd), VIRTIO_GPU_RESP_ERR_UNSPEC);
	rig_destroy(rig);
}

static void test_unknown_type(const void *mode)
{
	static const uint32_t types[] = {0,
					 1,
					 0xff,
					 0x10e,
					 0x1ff,
					 0x20a,
					 0x2ff,
					 0x302,
					 0x1100,
					 0x1200,
					 UINT32_MAX,
					 VIRTIO_GPU_CMD_UPDATE_CURSOR,
					 VIRTIO_GPU_CMD_MOVE_CURSOR};
	struct rig *rig = proto_rig(mode);
	uint8_t cmd[256];

	for (size_t i = 0; i < G_N_ELEMENTS(types); i++) {
		memset(cmd, 0xff, sizeof(cmd));
		memset(cmd, 0, sizeof(struct virtio_gpu_ctrl_hdr));
		memcpy(cmd, &types[i], sizeof(types[i]));
		g_assert_resp(vgpu_call(rig->vgpu, cmd, HEADER_SIZE, HEADER_SIZE),
			      VIRTIO_GPU_RESP_ERR_UNSPEC);
		g_assert_resp(vgpu_call(rig->vgpu, cmd, sizeof(cmd), HEADER_SIZE),
			      VIRTIO_GPU_RESP_ERR_UNSPEC);
		rig_assert_serves(rig);
	}
	rig_destroy(rig);
}

/* A chain without a readable part has no command in it; it goes back, and the queue lives. */
static void test_no_request(const void *mode)
{
	struct rig *rig = proto_rig(mode);
	struct vgpu_chain chain = {.response_size = 64};

	vgpu_call_chain(rig->vgpu, VGPU_CONTROL, &chain);
	vgpu_call_chain(rig->vgpu, VGPU_CURSOR, &chain);
	rig_assert_serves(rig);
	rig_destroy(rig);
}

static void assert_echo(const struct rig *rig, const struct virtio_gpu_ctrl_hdr *sent,
			bool has_ring_idx)
{
	const struct virtio_gpu_ctrl_hdr *hdr = &rig->vgpu->last_hdr;
	const uint32_t echoed =
		VIRTIO_GPU_FLAG_FENCE | (has_ring_idx ? VIRTIO_GPU_FLAG_INFO_RING_IDX : 0u);

	g_assert_cmphex(hdr->flags, ==, sent->flags & echoed);
	g_assert_cmphex(hdr->fence_id, ==, sent->fence_id);
	g_assert_cmphex(hdr->ctx_id, ==, sent->ctx_id);
	g_assert_cmpuint(hdr->ring_idx, ==, has_ring_idx ? sent->ring_idx : 0);
}

/* Good and refused commands alike: a guest waits for the fence of both. */
static void test_fence_echo(const void *mode)
{
	struct rig *rig = proto_rig(mode);
	struct vgpu *vgpu = rig->vgpu;
	static const uint64_t fences[] = {1, 0x7fffffff, 0x100000001, UINT64_C(0x8000000000000000),
					  UINT64_MAX};

	for (size_t i = 0; i < G_N_ELEMENTS(fences); i++) {
		struct virtio_gpu_ctrl_hdr hdr = {.flags = VIRTIO_GPU_FLAG_FENCE,
						  .fence_id = fences[i]};
		vgpu->next_hdr = hdr;
		g_assert_ok(vgpu_resource_create_2d(vgpu, (uint32_t)i + 1, FORMAT, 64, 64));
		assert_echo(rig, &hdr, false);
		vgpu->next_hdr = hdr;
		g_assert_resp(vgpu_resource_unref(vgpu, 99),
			      VIRTIO_GPU_RESP_ERR_INVALID_RESOURCE_ID);
		assert_echo(rig, &hdr, false);
	}
	/* Without the flag nothing is echoed. */
	vgpu->next_hdr = (struct virtio_gpu_ctrl_hdr){.fence_id = 5, .flags = 0xfffffff0};
	g_assert_ok(vgpu_resource_unref(vgpu, 1));
	g_assert_cmphex(vgpu->last_hdr.flags, ==, 0);
	g_assert_cmphex(vgpu->last_hdr.fence_id, ==, 0);
	rig_destroy(rig);
}

static void test_short_command_fence(const void *mode)
{
	struct rig *rig = proto_rig(mode);
	struct virtio_gpu_resource_unref cmd = {{.type = VIRTIO_GPU_CMD_RESOURCE_UNREF,
						 .flags = VIRTIO_GPU_FLAG_FENCE,
						 .fence_id = 77},
						1,
						0};

	g_assert_resp(vgpu_call(rig->vgpu, &cmd, HEADER_SIZE + 4, HEADER_SIZE),
		      VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER);
	assert_echo(rig, &cmd.hdr, false);
	rig_destroy(rig);
}

static void test_ring_idx_echo(const void *mode)
{
	struct rig *rig = proto_rig(mode);
	struct virtio_gpu_ctrl_hdr hdr = {.flags = VIRTIO_GPU_FLAG_FENCE |
						   VIRTIO_GPU_FLAG_INFO_RING_IDX,
					  .fence_id = 9,
					  .ctx_id = 1,
					  .ring_idx = 0};

	g_assert_ok(vgpu_ctx_create(rig->vgpu, 1, VIRTIO_GPU_CAPSET_VIRGL2, "ring"));
	g_assert_ok(vgpu_resource_create_2d(rig->vgpu, 1, FORMAT, 64, 64));
	rig->vgpu->next_hdr = hdr;
	g_assert_ok(vgpu_ctx_attach_resource(rig->vgpu, 1, 1));
	assert_echo(rig, &hdr, true);
	/* A ring that the context hasn't: an answer all the same, and its header speaks of that
	 * ring. */
	hdr.ring_idx = 5;
	rig->vgpu->next_hdr = hdr;
	vgpu_ctx_detach_resource(rig->vgpu, 1, 1);
	assert_echo(rig, &hdr, true);
	rig_destroy(rig);
}

int main(int argc, char **argv)
{
	suite_init(&argc, &argv);
	proto_add("device", "features", test_features);
	proto_add("device", "config", test_config);
	proto_add("device", "get_display_info", test_get_display_info);
	proto_add("device", "get_edid", test_get_edid);
	proto_add("device", "get_capset_info", test_get_capset_info);
	proto_add("device", "get_capset", test_get_capset);
	proto_add_virgl("device", "capset_option", test_capset_option);
	proto_add("device", "resource_assign_uuid", test_resource_assign_uuid);
	proto_add("device", "uuid_needs_feature", test_uuid_needs_feature);
	proto_add("device", "create_blob_needs_feature", test_create_blob_needs_feature);
	proto_add("device", "set_scanout_blob_needs_feature", test_set_scanout_blob_needs_feature);
	proto_add("device", "map_blob_needs_feature", test_map_blob_needs_feature);
	proto_add("device", "unmap_blob_needs_feature", test_unmap_blob_needs_feature);
	proto_add("device", "unknown_type", test_unknown_type);
	proto_add("device", "no_request", test_no_request);
	proto_add("device", "fence_echo", test_fence_echo);
	proto_add("device", "short_command_fence", test_short_command_fence);
	proto_add_virgl("device", "ring_idx_echo", test_ring_idx_echo);
	return suite_run();
}
