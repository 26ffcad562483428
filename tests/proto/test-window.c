/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * The host-visible window, as a front-end is told of it: where there is one, how large, and by
 * which bit a front-end says that it can fill it.
 */
#include "mock_virgl.h"
#include "proto.h"

#define BIT_22 FEATURE(VHOST_USER_PROTOCOL_F_SHMEM_MAP)
#define BIT_21 FEATURE(VHOST_USER_PROTOCOL_F_GPA_ADDRESSES)
#define GIB (UINT64_C(1) << 30)

static struct rig *make_rig(const char *mode, const char *const *args)
{
	return rig_create(&(struct rig_options){
		.mode = mode, .args = args, .is_not_started = true, .has_window = true});
}

static uint64_t offered_bits(struct rig *rig)
{
	return rig->frontend->protocol_features & (BIT_21 | BIT_22);
}

/* Whatever a front-end acks. */
static void check_none(struct rig *rig)
{
	static const uint64_t acks[] = {0, UINT64_MAX, BIT_21, BIT_22};

	g_assert_cmphex(offered_bits(rig), ==, 0);
	for (size_t i = 0; i < G_N_ELEMENTS(acks); i++) {
		frontend_set_u64(rig->frontend, VHOST_USER_SET_PROTOCOL_FEATURES, acks[i]);
		g_assert_cmpuint(frontend_get_window_bytes(rig->frontend), ==, 0);
	}
	frontend_set_u64(rig->frontend, VHOST_USER_SET_PROTOCOL_FEATURES,
			 rig->frontend->acked_protocol_features);
	rig_start(rig, 0, 0);
	rig_assert_serves(rig);
	g_assert_cmpuint(window_get_counts(rig->frontend->window).n_live, ==, 0);
}

/* Our own renderers have no memory to show in one, whatever its size would be. */
static void test_none(const void *data)
{
	static const char *const args[] = {"--hostmem", "1G", "--shmem-feature-bit", "21", NULL};
	const struct proto_mode *mode = data;
	struct rig *rig = make_rig(mode->name, NULL);

	check_none(rig);
	rig_destroy(rig);
	rig = make_rig(mode->name, args);
	check_none(rig);
	rig_destroy(rig);
}

/* With a renderer that has such memory; or the test is skipped. */
static struct rig *make_3d_rig(const void *data, const char *const *args)
{
	const struct proto_mode *mode = data;

	/* gfxstream's is what daemon_start() names. */
	mock_virgl_use_server();
	struct rig *rig = make_rig(mode->name, NULL);
	bool is_offered = offered_bits(rig) != 0;

	if (!is_offered) {
		rig_destroy(rig);
		suite_skip("the renderer has no memory to show");
	}
	if (args) {
		rig_destroy(rig);
		rig = make_rig(mode->name, args);
	}
	return rig;
}

static void test_offered(const void *data)
{
	struct rig *rig = make_3d_rig(data, NULL);

	g_assert_cmphex(offered_bits(rig), ==, BIT_22);
	g_assert_cmpuint(rig->frontend->window_bytes, ==, 8 * GIB);
	/* Only to a front-end that can map. */
	frontend_set_u64(rig->frontend, VHOST_USER_SET_PROTOCOL_FEATURES, ~BIT_22);
	g_assert_cmpuint(frontend_get_window_bytes(rig->frontend), ==, 0);
	frontend_set_u64(rig->frontend, VHOST_USER_SET_PROTOCOL_FEATURES,
			 rig->frontend->acked_protocol_features);
	g_assert_cmpuint(frontend_get_window_bytes(rig->frontend), ==, 8 * GIB);
	rig_destroy(rig);
}

static void test_size(const void *data)
{
	static const char *const args[] = {"--hostmem", "64M", NULL};
	struct rig *rig = make_3d_rig(data, args);

	g_assert_cmphex(offered_bits(rig), ==, BIT_22);
	g_assert_cmpuint(rig->frontend->window_bytes, ==, 64 << 20);
	rig_destroy(rig);
}

static void test_off(const void *data)
{
	static const char *const args[] = {"--hostmem", "0", NULL};
	struct rig *rig = make_3d_rig(data, args);

	check_none(rig);
	rig_destroy(rig);
}

static void test_by_21(const void *data)
{
	static const char *const args[] = {"--shmem-feature-bit", "21", NULL};
	struct rig *rig = make_3d_rig(data, args);

	g_assert_cmphex(offered_bits(rig), ==, BIT_21);
	frontend_set_u64(rig->frontend, VHOST_USER_SET_PROTOCOL_FEATURES, BIT_22);
	g_assert_cmpuint(frontend_get_window_bytes(rig->frontend), ==, 0);
	frontend_set_u64(rig->frontend, VHOST_USER_SET_PROTOCOL_FEATURES,
			 rig->frontend->acked_protocol_features | BIT_21);
	g_assert_cmpuint(frontend_get_window_bytes(rig->frontend), ==, 8 * GIB);
	rig_destroy(rig);
}

int main(int argc, char *argv[])
{
	suite_init(&argc, &argv);
	suite_add(test_none, PROTO_NULL, "/proto/window/null/none");
	suite_add(test_none, PROTO_2D, "/proto/window/2d/none");
	proto_add_3d("window", "offered", test_offered);
	proto_add_3d("window", "size", test_size);
	proto_add_3d("window", "off", test_off);
	proto_add_3d("window", "by_21", test_by_21);
	return suite_run();
}
