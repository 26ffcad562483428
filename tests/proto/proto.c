/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include <linux/seccomp.h>
#include <stdint.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "proto.h"

const struct proto_mode proto_modes[4] = {
	{"null", .takes_3d = true, .speaks_virgl = true},
	{"2d", .draws = true},
	{"virglrenderer", .draws = true, .has_3d = true, .takes_3d = true, .speaks_virgl = true},
	{"gfxstream", .draws = true, .has_3d = true, .takes_3d = true},
};

void proto_add(const char *group, const char *name, suite_fn fn)
{
	for (size_t i = 0; i < G_N_ELEMENTS(proto_modes); i++) {
		suite_add(fn, &proto_modes[i], "/proto/%s/%s/%s", group, proto_modes[i].name, name);
	}
}

void proto_add_drawing(const char *group, const char *name, suite_fn fn)
{
	suite_add(fn, PROTO_2D, "/proto/%s/%s/%s", group, PROTO_2D->name, name);
	suite_add(fn, PROTO_VIRGL, "/proto/%s/%s/%s", group, PROTO_VIRGL->name, name);
	suite_add(fn, PROTO_GFXSTREAM, "/proto/%s/%s/%s", group, PROTO_GFXSTREAM->name, name);
}

void proto_add_3d(const char *group, const char *name, suite_fn fn)
{
	proto_add_virgl(group, name, fn);
	proto_add_gfxstream(group, name, fn);
}

void proto_add_gfxstream(const char *group, const char *name, suite_fn fn)
{
	suite_add(fn, PROTO_GFXSTREAM, "/proto/%s/%s/%s", group, PROTO_GFXSTREAM->name, name);
}

void proto_add_virgl(const char *group, const char *name, suite_fn fn)
{
	suite_add(fn, PROTO_VIRGL, "/proto/%s/%s/%s", group, PROTO_VIRGL->name, name);
}

static void let_signals_kill(const char *variable)
{
	const char *options = g_getenv(variable);
	g_autofree char *changed = g_strdup_printf(
		"%s%shandle_segv=0:handle_abort=0:handle_sigbus=0", options ? options : "",
		options && *options ? ":" : "");

	g_setenv(variable, changed, TRUE);
}

void proto_let_signals_kill(void)
{
	let_signals_kill("ASAN_OPTIONS");
	let_signals_kill("TSAN_OPTIONS");
}

void proto_need_sandbox_kernel(void)
{
	uint32_t action = SECCOMP_RET_USER_NOTIF;

	if (syscall(SYS_landlock_create_ruleset, NULL, 0, 1 /* its version */) < 1) {
		suite_skip("sandbox: this kernel has no Landlock");
	}
	if (syscall(SYS_seccomp, SECCOMP_GET_ACTION_AVAIL, 0, &action) < 0) {
		suite_skip("sandbox: this kernel has no seccomp, or an old one");
	}
}

void proto_need_sandbox(void)
{
	if (g_strcmp0(g_getenv("TEST_SANITIZED"), "1") == 0) {
		suite_skip("sandbox: a sanitizer reads and traces its own process");
	}
	proto_need_sandbox_kernel();
}

void proto_confine(const char *words)
{
	const char *program = g_getenv("CONFINE");

	g_assert_nonnull(program);
	g_autofree char *wrapper = g_strdup_printf("%s %s --", program, words);
	g_setenv("TEST_DAEMON_WRAPPER", wrapper, TRUE);
}

/* What the tests load lies beside them, maybe in somebody's home. */
static bool may_user_read(const char *path)
{
	const char *const argv[] = {g_getenv("CONFINE"), "user", "--", "test", "-r", path, NULL};
	int wait_status;

	g_assert_true(g_spawn_sync(NULL, (char **)(uintptr_t)argv, NULL, G_SPAWN_SEARCH_PATH, NULL,
				   NULL, NULL, NULL, &wait_status, NULL));
	return wait_status == 0;
}

void proto_confine_user(void)
{
	const char *const args[] = {"--socket-path", "@SOCKET@", "--version", NULL};

	if (geteuid() != 0) {
		suite_skip("sandbox: only root can become another user");
	}
	if (!may_user_read(g_getenv("MOCK_VIRGLRENDERER")) ||
	    !may_user_read(g_getenv("MOCK_GFXSTREAM"))) {
		suite_skip("sandbox: nobody may not read what the tests load");
	}
	proto_confine("user");
	struct daemon *daemon = daemon_spawn(args, NULL, -1);
	int status = daemon_wait_exit(daemon, 5000);
	daemon_destroy(daemon);
	if (status == 125) {
		suite_skip("sandbox: nobody may not execute the binary where it lies");
	}
}

struct rig *proto_rig(const void *mode)
{
	return rig_create_mode(((const struct proto_mode *)mode)->name);
}

struct rig *proto_rig_handshaken(void)
{
	return rig_create(&(struct rig_options){.mode = "null", .is_not_started = true});
}

void proto_assert_edid(const struct virtio_gpu_resp_edid *edid)
{
	static const uint8_t magic[8] = {0x00, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x00};
	uint8_t sum = 0;

	g_assert_cmpuint(edid->size, >=, 128);
	g_assert_cmpuint(edid->size, <=, sizeof(edid->edid));
	proto_assert_mem(edid->edid, magic, sizeof(magic));
	for (unsigned int i = 0; i < 128; i++) {
		sum = (uint8_t)(sum + edid->edid[i]);
	}
	g_assert_cmpuint(sum, ==, 0);
}

void proto_assert_error(uint32_t type)
{
	g_assert_cmphex(type, >=, VIRTIO_GPU_RESP_ERR_UNSPEC);
	g_assert_cmphex(type, <=, VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER);
}

void proto_assert_answer(uint32_t type)
{
	if (type < VIRTIO_GPU_RESP_OK_NODATA || type > VIRTIO_GPU_RESP_OK_MAP_INFO) {
		proto_assert_error(type);
	}
}

void proto_assert_one_of(uint32_t type, uint32_t one, uint32_t other)
{
	if (type != one) {
		g_assert_resp(type, other);
	}
}

void proto_assert_mem(const void *actual, const void *expected, size_t size)
{
	const uint8_t *left = actual, *right = expected;

	for (size_t i = 0; i < size; i++) {
		if (left[i] != right[i]) {
			g_error("byte %zu is 0x%02x, wanted 0x%02x", i, left[i], right[i]);
		}
	}
}

static void check_short(struct rig *rig, const void *cmd, uint32_t size, uint32_t expected)
{
	const uint32_t header = sizeof(struct virtio_gpu_ctrl_hdr);
	const uint32_t sizes[] = {size - 1, header, header - 1, 4, 1};

	for (size_t i = 0; i < G_N_ELEMENTS(sizes); i++) {
		if (sizes[i] >= size) {
			continue;
		}
		uint32_t type = vgpu_call(rig->vgpu, cmd, sizes[i], header);
		if (expected == VIRTIO_GPU_RESP_ERR_UNSPEC) {
			proto_assert_one_of(type, VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER,
					    VIRTIO_GPU_RESP_ERR_UNSPEC);
		} else {
			g_assert_resp(type, VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER);
		}
		g_assert_cmpuint(rig->vgpu->last_used_size, ==, header);
	}
}

void proto_check_shapes(struct rig *rig, const void *cmd, uint32_t size, uint32_t expected)
{
	/* A guest may give more room than an answer needs. */
	struct vgpu_chain chain = {.request = cmd, .request_size = size, .response_size = 2048};
	struct vgpu_chain shape;

	check_short(rig, cmd, size, expected);
	g_assert_resp(vgpu_call_chain(rig->vgpu, VGPU_CONTROL, &chain), expected);

	shape = chain;
	shape.response_size = 0;
	vgpu_call_chain(rig->vgpu, VGPU_CONTROL, &shape);
	g_assert_cmpuint(rig->vgpu->last_used_size, ==, 0);

	shape = chain;
	shape.response_size = 8;
	g_assert_resp(vgpu_call_chain(rig->vgpu, VGPU_CONTROL, &shape), expected);
	g_assert_cmpuint(rig->vgpu->last_used_size, <=, 8);

	shape = chain;
	shape.request_split = 5;
	shape.response_split = 100;
	g_assert_resp(vgpu_call_chain(rig->vgpu, VGPU_CONTROL, &shape), expected);

	shape.is_indirect = true;
	shape.request_split = 1;
	shape.response_split = 7;
	g_assert_resp(vgpu_call_chain(rig->vgpu, VGPU_CONTROL, &shape), expected);
	rig_assert_serves(rig);
}
