/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* The command line: what it means, and the one line that says what is wrong with it. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "options.h"
#include "unit.h"
#include "util/sock.h"

#define VIRGL (1u << RENDERER_CAPSET_VIRGL)
#define VIRGL2 (1u << RENDERER_CAPSET_VIRGL2)
#define GFXSTREAM                                                                                  \
	(1u << RENDERER_CAPSET_GFXSTREAM_VULKAN | 1u << RENDERER_CAPSET_GFXSTREAM_GLES)

static enum options_result parse(const char *command_line, struct options *options_out,
				 char **complaint_out)
{
	g_autofree char *full = g_strconcat("vhost-device-gpu ", command_line, NULL);
	g_auto(GStrv) argv = g_strsplit(g_strchomp(full), " ", -1);
	/* The parser moves the words about. */
	g_autofree char **words = g_memdup2(argv, (g_strv_length(argv) + 1) * sizeof(*argv));

	unit_capture_begin();
	enum options_result result =
		options_parse((int)g_strv_length(argv), words, options_out);
	*complaint_out = unit_capture_end();
	return result;
}

/* ---- right use ---- */

static const struct good {
	const char *command_line;
	const char *socket_path;
	int fd;
	const char *gpu_mode;
	uint32_t capset_mask;
	const char *gpu_device;
	bool is_headless;
	/* Other than by default. */
	bool no_egl, glx, no_gles, no_surfaceless;
} goods[] = {
	{ "-s /tmp/a", "/tmp/a", -1, "2d", 0, NULL, false, false, false, false, false },
	{ "--socket-path /tmp/a", "/tmp/a", -1, "2d", 0, NULL, false, false, false, false, false },
	{ "--socket-path=/tmp/a", "/tmp/a", -1, "2d", 0, NULL, false, false, false, false, false },
	{ "--fd 3", NULL, 3, "2d", 0, NULL, false, false, false, false, false },
	{ "--fd=0", NULL, 0, "2d", 0, NULL, false, false, false, false, false },
	{ "--socket-fd 17", NULL, 17, "2d", 0, NULL, false, false, false, false, false },
	{ "-s a -g 2d", "a", -1, "2d", 0, NULL, false, false, false, false, false },
	{ "-s a -g null", "a", -1, "null", 0, NULL, false, false, false, false, false },
	{ "-s a --gpu-mode virglrenderer", "a", -1, "virglrenderer", 0, NULL, false, false, false,
	  false, false },
	{ "-s a --gpu-mode=virgl-renderer", "a", -1, "virglrenderer", 0, NULL, false, false, false,
	  false, false },
	{ "-s a --virgl", "a", -1, "virglrenderer", 0, NULL, false, false, false, false, false },
	{ "-s a --virgl -g virglrenderer", "a", -1, "virglrenderer", 0, NULL, false, false, false,
	  false, false },
	{ "-s a --virgl -c virgl", "a", -1, "virglrenderer", VIRGL, NULL, false, false, false,
	  false, false },
	{ "-s a --virgl -c virgl,virgl2", "a", -1, "virglrenderer", VIRGL | VIRGL2, NULL, false,
	  false, false, false, false },
	{ "-s a --virgl -c virgl --capset virgl2", "a", -1, "virglrenderer", VIRGL | VIRGL2, NULL,
	  false, false, false, false, false },
	{ "-s a --virgl --gpu-device /dev/dri/renderD128", "a", -1, "virglrenderer", 0,
	  "/dev/dri/renderD128", false, false, false, false, false },
	{ "-s a --virgl --render-node=/dev/dri/renderD129", "a", -1, "virglrenderer", 0,
	  "/dev/dri/renderD129", false, false, false, false, false },
	{ "-s a --virgl --gpu-device /dev/a --render-node /dev/b", "a", -1, "virglrenderer", 0,
	  "/dev/b", false, false, false, false, false },
	/* As libvirt starts it for a machine without accel3d, on a host with a GPU. */
	{ "--fd=23 --render-node=/dev/dri/renderD128", NULL, 23, "2d", 0, NULL, false, false, false,
	  false, false },
	{ "-s a -g gfxstream", "a", -1, "gfxstream", 0, NULL, false, false, false, false, false },
	{ "-s a -g gfxstream -c gfxstream-gles,gfxstream-vulkan", "a", -1, "gfxstream", GFXSTREAM,
	  NULL, false, false, false, false, false },
	{ "-s a -g gfxstream --use-gles false --use-egl false", "a", -1, "gfxstream", 0, NULL,
	  false, true, false, true, false },
	{ "-s a -g gfxstream -c gfxstream-vulkan --use-egl false", "a", -1, "gfxstream",
	  1u << RENDERER_CAPSET_GFXSTREAM_VULKAN, NULL, false, true, false, false, false },
	{ "-s a --headless", "a", -1, "2d", 0, NULL, true, false, false, false, false },
	{ "-s a --use-egl false", "a", -1, "2d", 0, NULL, false, true, false, false, false },
	{ "-s a --use-egl=false --use-glx=true", "a", -1, "2d", 0, NULL, false, true, true, false,
	  false },
	{ "-s a --use-gles false --use-surfaceless=false", "a", -1, "2d", 0, NULL, false, false,
	  false, true, true },
	{ "-s a --use-egl true --use-glx false --use-gles true --use-surfaceless true", "a", -1,
	  "2d", 0, NULL, false, false, false, false, false },
};

static void test_good(gconstpointer data)
{
	const struct good *good = data;
	struct options options;
	g_autofree char *complaint = NULL;

	g_assert_cmpint(parse(good->command_line, &options, &complaint), ==, OPTIONS_RUN);
	g_assert_cmpstr(complaint, ==, "");
	g_assert_cmpstr(options.socket_path, ==, good->socket_path);
	g_assert_cmpint(options.fd, ==, good->fd);
	g_assert_cmpstr(options.gpu_mode, ==, good->gpu_mode);
	g_assert_nonnull(renderer_find(options.gpu_mode));
	g_assert_cmphex(options.renderer.capset_mask, ==, good->capset_mask);
	g_assert_cmpstr(options.renderer.gpu_device, ==, good->gpu_device);
	g_assert_cmpint(options.is_headless, ==, good->is_headless);
	g_assert_cmpint(options.renderer.use_egl, ==, !good->no_egl);
	g_assert_cmpint(options.renderer.use_glx, ==, good->glx);
	g_assert_cmpint(options.renderer.use_gles, ==, !good->no_gles);
	g_assert_cmpint(options.renderer.use_surfaceless, ==, !good->no_surfaceless);
	options_finish(&options);
}

static const struct {
	const char *command_line;
	enum sandbox_mode mode;
	const char *shader_cache;
} sandboxes[] = {
	{ "-s a --sandbox on", SANDBOX_ON, NULL },
	{ "-s a --sandbox=off", SANDBOX_OFF, NULL },
	{ "--fd 3 --sandbox strict", SANDBOX_STRICT, NULL },
	{ "-s a --sandbox off --sandbox report", SANDBOX_REPORT, NULL },
	{ "-s a --virgl --sandbox on --shader-cache /cache", SANDBOX_ON, "/cache" },
	{ "-s a -g gfxstream --sandbox on --shader-cache /cache", SANDBOX_ON, "/cache" },
};

static void test_sandbox(void)
{
	for (size_t i = 0; i < G_N_ELEMENTS(sandboxes); i++) {
		struct options options;
		g_autofree char *complaint = NULL;

		g_assert_cmpint(parse(sandboxes[i].command_line, &options, &complaint), ==,
				OPTIONS_RUN);
		g_assert_cmpint(options.sandbox, ==, sandboxes[i].mode);
		g_assert_cmpstr(options.renderer.shader_cache, ==, sandboxes[i].shader_cache);
		options_finish(&options);
	}
}

/* A library's path is as good in another folder. */
static void test_library(void)
{
	static const char *const lines[][2] = {
		{ "-s a -g gfxstream", NULL },
		{ "-s a -g gfxstream --gfxstream-library /lib/g.so", "/lib/g.so" },
		{ "-s a -g gfxstream --gfxstream-library=/lib/../x/g.so", "/x/g.so" },
	};

	for (size_t i = 0; i < G_N_ELEMENTS(lines); i++) {
		struct options options;
		g_autofree char *complaint = NULL;

		g_assert_cmpint(parse(lines[i][0], &options, &complaint), ==, OPTIONS_RUN);
		g_assert_cmpstr(options.renderer.library, ==, lines[i][1]);
		options_finish(&options);
	}
	struct options options;
	g_autofree char *complaint = NULL;
	g_assert_cmpint(parse("-s a -g gfxstream --gfxstream-library g.so", &options, &complaint),
			==, OPTIONS_RUN);
	g_assert_true(g_path_is_absolute(options.renderer.library));
	g_assert_true(g_str_has_suffix(options.renderer.library, "/g.so"));
	options_finish(&options);
}

static const struct {
	const char *command_line;
	bool with_dmabufs, with_udmabuf;
} dmabufs[] = {
	/* A display that shows none does not say so: nobody is given one who did not ask. */
	{ "-s a", false, false },
	{ "-s a --dmabuf auto", false, false },
	{ "-s a --dmabuf=off", false, false },
	{ "-s a --dmabuf on --dmabuf off", false, false },
	{ "-s a --dmabuf on", true, true },
	{ "-s a --virgl --dmabuf=on", true, false },
	/* There are no pictures. */
	{ "-s a --headless --dmabuf on", false, false },
	{ "-s a -g null --dmabuf on", false, false },
};

static void test_dmabuf(void)
{
	for (size_t i = 0; i < G_N_ELEMENTS(dmabufs); i++) {
		struct options options;
		g_autofree char *complaint = NULL;

		g_assert_cmpint(parse(dmabufs[i].command_line, &options, &complaint), ==,
				OPTIONS_RUN);
		g_assert_true(options_use_dmabufs(&options) == dmabufs[i].with_dmabufs);
		g_assert_true(options_use_udmabuf(&options) == dmabufs[i].with_udmabuf);
		options_finish(&options);
	}
}

static const struct limits {
	const char *command_line;
	uint64_t hostmem_bytes;
	unsigned int clients, crashes;
} limits[] = {
	{ "-s a", UINT64_C(2) << 30, 1, 5 },
	{ "-s a --max-hostmem 1048576", 1 << 20, 1, 5 },
	{ "-s a --max-hostmem 1048577", (1 << 20) + 1, 1, 5 },
	{ "-s a --max-hostmem=1024K", 1 << 20, 1, 5 },
	{ "-s a --max-hostmem 64M", 64 << 20, 1, 5 },
	{ "-s a --max-hostmem 64m", 64 << 20, 1, 5 },
	{ "-s a --max-hostmem 3G", UINT64_C(3) << 30, 1, 5 },
	{ "-s a --max-hostmem 1T", UINT64_C(1) << 40, 1, 5 },
	{ "-s a --max-hostmem 1024T", UINT64_C(1) << 50, 1, 5 },
	{ "-s a --max-hostmem 1125899906842624", UINT64_C(1) << 50, 1, 5 },
	{ "-s a --max-hostmem 064M", 64 << 20, 1, 5 },
	{ "-s a --max-hostmem 64M --max-hostmem 32M", 32 << 20, 1, 5 },
	{ "-s a --max-clients 7", UINT64_C(2) << 30, 7, 5 },
	{ "-s a --max-clients=1024 --max-crashes=1", UINT64_C(2) << 30, 1024, 1 },
	{ "--fd 3 --max-crashes 1000000", UINT64_C(2) << 30, 1, 1000000 },
};

static void test_limits(gconstpointer data)
{
	const struct limits *expected = data;
	struct options options;
	g_autofree char *complaint = NULL;

	g_assert_cmpint(parse(expected->command_line, &options, &complaint), ==, OPTIONS_RUN);
	g_assert_cmpstr(complaint, ==, "");
	g_assert_cmpuint(options.max_hostmem_bytes, ==, expected->hostmem_bytes);
	g_assert_cmpuint(options.max_clients, ==, expected->clients);
	g_assert_cmpuint(options.max_crashes, ==, expected->crashes);
	options_finish(&options);
}

static const struct window {
	const char *command_line;
	uint64_t hostmem_bytes;
	unsigned int feature_bit;
} windows[] = {
	{ "-s a", UINT64_C(8) << 30, 22 },
	{ "-s a --max-hostmem 64M", UINT64_C(8) << 30, 22 },
	{ "-s a --hostmem 0", 0, 22 },
	{ "-s a --hostmem 0G", 0, 22 },
	{ "-s a --hostmem 65536", 65536, 22 },
	{ "-s a --hostmem=64K --shmem-feature-bit=21", 65536, 21 },
	{ "-s a --hostmem 128k", 128 << 10, 22 },
	{ "-s a --hostmem 1G --shmem-feature-bit 22", 1 << 30, 22 },
	{ "-s a --hostmem 64T", UINT64_C(64) << 40, 22 },
	{ "-s a -g null --hostmem 1T --hostmem 2M", 2 << 20, 22 },
};

static void test_window(gconstpointer data)
{
	const struct window *expected = data;
	struct options options;
	g_autofree char *complaint = NULL;

	g_assert_cmpint(parse(expected->command_line, &options, &complaint), ==, OPTIONS_RUN);
	g_assert_cmpstr(complaint, ==, "");
	g_assert_cmpuint(options.hostmem_bytes, ==, expected->hostmem_bytes);
	g_assert_cmpuint(options.shmem_feature_bit, ==, expected->feature_bit);
	options_finish(&options);
}

/* ---- a question ---- */

static const char *const questions[] = {
	"--print-capabilities",
	"--print-capabilities --fd 3",
	"--fd x --print-capabilities --gpu-mode nonsense",
	"--unknown stray --print-capabilities -x",
	"-s /tmp/a -g 2d --capset venus --max-clients 0 --print-capabilities",
	"--help --print-capabilities",
};

static void test_question(gconstpointer data)
{
	struct options options;
	g_autofree char *complaint = NULL;

	g_assert_cmpint(parse(data, &options, &complaint), ==, OPTIONS_ASKED);
	g_assert_cmpstr(complaint, ==, "");
	g_assert_cmpstr(options.gpu_mode, ==, "virglrenderer");
	g_assert_cmphex(options.renderer.capset_mask, ==, VIRGL | VIRGL2);
	g_assert_null(options.renderer.gpu_device);
	options_finish(&options);
}

/* ---- a socket that was passed ---- */

static enum options_result parse_with_sockets(const char *command_line, const char *n,
					      struct options *options_out, char **complaint_out)
{
	g_autofree char *pid = g_strdup_printf("%d", getpid());

	g_setenv("LISTEN_PID", pid, TRUE);
	g_setenv("LISTEN_FDS", n, TRUE);
	enum options_result result = parse(command_line, options_out, complaint_out);
	g_assert_null(g_getenv("LISTEN_FDS"));
	return result;
}

static void test_passed_socket(void)
{
	struct options options;
	g_autofree char *complaint = NULL;

	g_assert_cmpint(parse_with_sockets("-g null", "1", &options, &complaint), ==, OPTIONS_RUN);
	g_assert_cmpint(options.fd, ==, 3);
	g_assert_null(options.socket_path);
	options_finish(&options);
}

static void test_passed_socket_wrong(void)
{
	static const struct {
		const char *command_line, *n, *words[2];
	} wrong_ones[] = {
		{ "-s /tmp/a", "1", { "--socket-path '/tmp/a'", "LISTEN_FDS" } },
		{ "--fd 4", "1", { "--fd '4'", "LISTEN_FDS" } },
		{ "-g null", "2", { "2 sockets", "LISTEN_FDS" } },
		{ "-g null", "0", { "required", "LISTEN_FDS" } },
	};

	for (size_t i = 0; i < G_N_ELEMENTS(wrong_ones); i++) {
		struct options options;
		g_autofree char *complaint = NULL;

		g_assert_cmpint(parse_with_sockets(wrong_ones[i].command_line, wrong_ones[i].n,
						   &options, &complaint),
				==, OPTIONS_WRONG);
		g_assert_cmpuint(unit_count_lines(complaint), ==, 1);
		g_assert_nonnull(strstr(complaint, wrong_ones[i].words[0]));
		g_assert_nonnull(strstr(complaint, wrong_ones[i].words[1]));
	}
}

/* ---- wrong use ---- */

static const struct wrong {
	const char *command_line;
	enum options_result result;
	/* What the one line must name: the option, the value, what is allowed. */
	const char *words[3];
} wrongs[] = {
	{ "", OPTIONS_WRONG, { "--socket-path", "--fd", "required" } },
	{ "--headless", OPTIONS_WRONG, { "--socket-path", "--fd", "required" } },
	{ "-s /tmp/a --fd 3", OPTIONS_WRONG, { "--socket-path", "--fd", "only one" } },
	{ "-s a --fd -1", OPTIONS_WRONG, { "--fd", "-1", NULL } },
	{ "--fd -1", OPTIONS_WRONG, { "--fd", "'-1'", "allowed" } },
	{ "--fd x", OPTIONS_WRONG, { "--fd", "'x'", "allowed" } },
	{ "--fd 3x", OPTIONS_WRONG, { "--fd", "'3x'", "allowed" } },
	{ "--fd=", OPTIONS_WRONG, { "--fd", "''", "allowed" } },
	{ "--fd 99999999999", OPTIONS_WRONG, { "--fd", "99999999999", "allowed" } },
	{ "--fd 99999999999999999999999", OPTIONS_WRONG, { "--fd", "9999", "allowed" } },
	{ "--socket-path=", OPTIONS_WRONG, { "--socket-path", "0 bytes", "allowed" } },
	{ "-s a -g opengl", OPTIONS_WRONG, { "--gpu-mode", "'opengl'", "virglrenderer" } },
	{ "-s a -g 2D", OPTIONS_WRONG, { "--gpu-mode", "'2D'", "2d" } },
	{ "-s a --virgl -g 2d", OPTIONS_WRONG, { "--virgl", "2d", "virglrenderer" } },
	{ "-s a --virgl -g gfxstream", OPTIONS_WRONG, { "--virgl", "gfxstream", "virglrenderer" } },
	{ "-s a --use-egl yes", OPTIONS_WRONG, { "--use-egl", "'yes'", "true, false" } },
	{ "-s a --use-glx 1", OPTIONS_WRONG, { "--use-glx", "'1'", "true, false" } },
	{ "-s a --use-gles=TRUE", OPTIONS_WRONG, { "--use-gles", "'TRUE'", "true, false" } },
	{ "-s a --use-surfaceless=", OPTIONS_WRONG, { "--use-surfaceless", "''", "true, false" } },
	{ "-s a --virgl -c vulkan", OPTIONS_WRONG, { "--capset", "'vulkan'", "virgl2" } },
	{ "-s a --virgl -c virgl,", OPTIONS_WRONG, { "--capset", "''", "virgl2" } },
	{ "-s a --virgl -c gfxstream-vulkan", OPTIONS_WRONG,
	  { "--capset", "'gfxstream-vulkan'", "virglrenderer" } },
	{ "-s a -g 2d -c virgl", OPTIONS_WRONG, { "--capset", "'virgl'", "2d" } },
	{ "-s a -g null -c virgl2", OPTIONS_WRONG, { "--capset", "'virgl2'", "null" } },
	{ "-s a -g gfxstream -c virgl", OPTIONS_WRONG, { "--capset", "'virgl'", "gfxstream" } },
	{ "-s a -g gfxstream -c gfxstream-gles --use-gles false", OPTIONS_WRONG,
	  { "--capset", "'gfxstream-gles'", "--use-gles" } },
	{ "-s a --gpu-device /dev/dri/renderD128", OPTIONS_WRONG,
	  { "--gpu-device", "/dev/dri/renderD128", "virglrenderer" } },
	{ "-s a -g null --render-node /dev/x", OPTIONS_WRONG,
	  { "--gpu-device", "/dev/x", "virglrenderer" } },
	{ "-s a -g 2d --render-node /dev/x", OPTIONS_WRONG,
	  { "--gpu-device", "/dev/x", "virglrenderer" } },
	{ "-s a stray", OPTIONS_WRONG, { "stray", "--help", NULL } },
	{ "-s a --unknown", OPTIONS_WRONG, { "--unknown", "--help", NULL } },
	{ "-s a -x", OPTIONS_WRONG, { "-x", "--help", NULL } },
	{ "-s", OPTIONS_WRONG, { "-s", NULL, NULL } },
	{ "-s a --headless=no", OPTIONS_WRONG, { "--headless=no", "no value", NULL } },
	{ "-s a --max-hostmem 0", OPTIONS_WRONG, { "--max-hostmem", "'0'", "1M to 1024T" } },
	{ "-s a --max-hostmem=", OPTIONS_WRONG, { "--max-hostmem", "''", "allowed" } },
	{ "-s a --max-hostmem -1G", OPTIONS_WRONG, { "--max-hostmem", "'-1G'", "allowed" } },
	{ "-s a --max-hostmem +1G", OPTIONS_WRONG, { "--max-hostmem", "'+1G'", "allowed" } },
	{ "-s a --max-hostmem 1023K", OPTIONS_WRONG, { "--max-hostmem", "'1023K'", "1M" } },
	{ "-s a --max-hostmem 1025T", OPTIONS_WRONG, { "--max-hostmem", "'1025T'", "1024T" } },
	{ "-s a --max-hostmem 18446744073709551617M", OPTIONS_WRONG,
	  { "--max-hostmem", "'18446744073709551617M'", "1024T" } },
	{ "-s a --max-hostmem 17592186044417M", OPTIONS_WRONG,
	  { "--max-hostmem", "'17592186044417M'", "1024T" } },
	{ "-s a --max-hostmem 2GB", OPTIONS_WRONG, { "--max-hostmem", "'2GB'", "K, M, G or T" } },
	{ "-s a --max-hostmem 2P", OPTIONS_WRONG, { "--max-hostmem", "'2P'", "K, M, G or T" } },
	{ "-s a --max-hostmem 1.5G", OPTIONS_WRONG, { "--max-hostmem", "'1.5G'", "allowed" } },
	{ "-s a --max-hostmem G", OPTIONS_WRONG, { "--max-hostmem", "'G'", "allowed" } },
	{ "-s a --max-hostmem 0x10000000", OPTIONS_WRONG,
	  { "--max-hostmem", "'0x10000000'", "allowed" } },
	{ "-s a --hostmem=", OPTIONS_WRONG, { "--hostmem", "''", "0 to 64T" } },
	{ "-s a --hostmem 1", OPTIONS_WRONG, { "--hostmem", "'1'", "pages of" } },
	{ "-s a --hostmem 1000000", OPTIONS_WRONG, { "--hostmem", "'1000000'", "pages of" } },
	{ "-s a --hostmem 6K", OPTIONS_WRONG, { "--hostmem", "'6K'", "pages of" } },
	{ "-s a --hostmem 65T", OPTIONS_WRONG, { "--hostmem", "'65T'", "64T" } },
	{ "-s a --hostmem -4096", OPTIONS_WRONG, { "--hostmem", "'-4096'", "0 to 64T" } },
	{ "-s a --hostmem 18446744073709551616", OPTIONS_WRONG,
	  { "--hostmem", "'18446744073709551616'", "64T" } },
	{ "-s a --hostmem 8GB", OPTIONS_WRONG, { "--hostmem", "'8GB'", "K, M, G or T" } },
	{ "-s a --shmem-feature-bit=", OPTIONS_WRONG, { "--shmem-feature-bit", "''", "21, 22" } },
	{ "-s a --shmem-feature-bit 20", OPTIONS_WRONG,
	  { "--shmem-feature-bit", "'20'", "21, 22" } },
	{ "-s a --shmem-feature-bit 23", OPTIONS_WRONG,
	  { "--shmem-feature-bit", "'23'", "21, 22" } },
	{ "-s a --shmem-feature-bit 0x16", OPTIONS_WRONG,
	  { "--shmem-feature-bit", "'0x16'", "21, 22" } },
	{ "-s a --max-clients 0", OPTIONS_WRONG, { "--max-clients", "'0'", "1 to 1024" } },
	{ "-s a --max-clients 1025", OPTIONS_WRONG, { "--max-clients", "'1025'", "1 to 1024" } },
	{ "-s a --max-clients -2", OPTIONS_WRONG, { "--max-clients", "'-2'", "1 to 1024" } },
	{ "-s a --max-clients 2x", OPTIONS_WRONG, { "--max-clients", "'2x'", "1 to 1024" } },
	{ "-s a --max-clients=", OPTIONS_WRONG, { "--max-clients", "''", "1 to 1024" } },
	{ "-s a --max-clients 4294967297", OPTIONS_WRONG,
	  { "--max-clients", "'4294967297'", "1 to 1024" } },
	{ "-s a --sandbox maybe", OPTIONS_WRONG,
	  { "--sandbox", "'maybe'", "on, off, strict, report" } },
	{ "-s a --sandbox=", OPTIONS_WRONG, { "--sandbox", "''", "on, off, strict, report" } },
	{ "-s a --dmabuf yes", OPTIONS_WRONG, { "--dmabuf", "'yes'", "auto, on, off" } },
	{ "-s a --dmabuf=", OPTIONS_WRONG, { "--dmabuf", "''", "auto, on, off" } },
	{ "-s a --shader-cache /cache", OPTIONS_WRONG,
	  { "--shader-cache", "'/cache'", "virglrenderer" } },
	{ "-s a --virgl --shader-cache=", OPTIONS_WRONG, { "--shader-cache", "''", "a folder" } },
	{ "-s a --virgl --shader-cache /cache --max-clients 2", OPTIONS_WRONG,
	  { "--shader-cache", "'/cache'", "--max-clients 2" } },
	{ "-s a --max-crashes 0", OPTIONS_WRONG, { "--max-crashes", "'0'", "1 to 1000000" } },
	{ "-s a --max-crashes no", OPTIONS_WRONG, { "--max-crashes", "'no'", "1 to 1000000" } },
	{ "-s a --max-crashes 18446744073709551617", OPTIONS_WRONG,
	  { "--max-crashes", "'18446744073709551617'", "1 to 1000000" } },
	{ "-s a -g gfxstream -c gfxstream-vulkan,nonsense", OPTIONS_WRONG,
	  { "'nonsense'", NULL, NULL } },
	{ "-s a -g gfxstream --use-egl false", OPTIONS_WRONG,
	  { "--use-egl false", "--capset gfxstream-vulkan", "--use-gles false" } },
	{ "-s a -g gfxstream -c gfxstream-gles --use-egl=false", OPTIONS_WRONG,
	  { "--use-egl false", NULL, NULL } },
	{ "-s a -g gfxstream -c gfxstream-gles,gfxstream-vulkan --use-egl=false", OPTIONS_WRONG,
	  { "--use-egl false", NULL, NULL } },
	{ "-s a -g gfxstream --gpu-device /dev/x", OPTIONS_WRONG,
	  { "--gpu-device", "/dev/x", "virglrenderer" } },
	{ "-s a -g gfxstream --gfxstream-library=", OPTIONS_WRONG,
	  { "--gfxstream-library", "''", "a file" } },
	{ "-s a --virgl --gfxstream-library /a.so", OPTIONS_WRONG,
	  { "--gfxstream-library", "'/a.so'", "gfxstream" } },
	{ "-s a --gfxstream-library /a.so", OPTIONS_WRONG,
	  { "--gfxstream-library", "'/a.so'", "2d" } },
};

static void test_wrong(gconstpointer data)
{
	const struct wrong *wrong = data;
	struct options options = { .fd = 12345 };
	g_autofree char *complaint = NULL;

	g_assert_cmpint(parse(wrong->command_line, &options, &complaint), ==, wrong->result);
	g_assert_true(g_str_has_prefix(complaint, "vhost-device-gpu: "));
	for (size_t i = 0; i < G_N_ELEMENTS(wrong->words) && wrong->words[i] != NULL; i++) {
		if (strstr(complaint, wrong->words[i]) == NULL) {
			g_error("'%s' does not name '%s'", complaint, wrong->words[i]);
		}
	}
	/* Written on OPTIONS_RUN only. */
	g_assert_cmpint(options.fd, ==, 12345);
	if (wrong->words[0][0] != '\'') {
		g_assert_cmpuint(unit_count_lines(complaint), ==, 1);
	}
}

static void test_path_length(void)
{
	struct options options;
	g_autofree char *longest = g_strnfill(sock_path_max(), 'x');
	g_autofree char *fits = g_strconcat("-s ", longest, NULL);
	g_autofree char *too_long = g_strconcat("-s ", longest, "x", NULL);
	g_autofree char *complaint = NULL;
	g_autofree char *none = NULL;

	g_assert_cmpint(parse(fits, &options, &none), ==, OPTIONS_RUN);
	options_finish(&options);
	g_assert_cmpint(parse(too_long, &options, &complaint), ==, OPTIONS_WRONG);
	g_assert_nonnull(strstr(complaint, "--socket-path"));
	g_assert_nonnull(strstr(complaint, "108 bytes (allowed: 1 to 107)"));
}

static void test_finish_twice(void)
{
	struct options options;
	g_autofree char *complaint = NULL;

	g_assert_cmpint(parse("-s a --virgl --gpu-device b", &options, &complaint), ==,
			OPTIONS_RUN);
	options_finish(&options);
	options_finish(&options);
	g_assert_null(options.socket_path);
	g_assert_cmpint(options.fd, ==, -1);
}

/* In a process of its own: they print on stdout, and help ends the program. */
static void print(const char *option)
{
	char *argv[] = { (char *)(uintptr_t) "vhost-device-gpu", (char *)(uintptr_t)option, NULL };
	struct options options;

	exit(options_parse(2, argv, &options) == OPTIONS_DONE ? 0 : 99);
}

static void test_printed(const char *option, const char *const *words)
{
	g_autofree char *self = g_file_read_link("/proc/self/exe", NULL);
	char *argv[] = { self, (char *)(uintptr_t) "--print", (char *)(uintptr_t)option, NULL };
	g_autofree char *text = NULL;
	g_autoptr(GError) error = NULL;
	int status = -1;

	g_spawn_sync(NULL, argv, NULL, G_SPAWN_DEFAULT, NULL, NULL, &text, NULL, &status, &error);
	g_assert_no_error(error);
	g_assert_cmpint(status, ==, 0);
	for (; *words != NULL; words++) {
		if (strstr(text, *words) == NULL) {
			g_error("%s does not say '%s'", option, *words);
		}
	}
}

static void test_version(void)
{
	static const char *const words[] = { "vhost-device-gpu 0.", NULL };

	test_printed("-V", words);
	test_printed("--version", words);
}

static void test_help(void)
{
	static const char *const words[] = {
		"--socket-path", "--fd",	      "--gpu-mode",   "--capset",
		"--use-egl",	 "--use-glx",	      "--use-gles",   "--use-surfaceless",
		"--gpu-device",	 "--render-node",     "--headless",   "--virgl",
		"--max-hostmem", "--max-clients",     "--max-crashes", "10 lines at once",
		"--sandbox",	 "--shader-cache",    "--hostmem",    "--shmem-feature-bit",
		"--dmabuf",
		"--version",	 "Exit status",	      "VHOST_DEVICE_GPU_LOG", NULL,
	};

	test_printed("-h", words);
	test_printed("--help", words);
}

int main(int argc, char **argv)
{
	if (argc == 3 && strcmp(argv[1], "--print") == 0) {
		print(argv[2]);
	}
	g_test_init(&argc, &argv, NULL);
	for (size_t i = 0; i < G_N_ELEMENTS(goods); i++) {
		g_autofree char *path = g_strdup_printf("/options/good/%zu", i);

		g_test_add_data_func(path, &goods[i], test_good);
	}
	for (size_t i = 0; i < G_N_ELEMENTS(limits); i++) {
		g_autofree char *path = g_strdup_printf("/options/limits/%zu", i);

		g_test_add_data_func(path, &limits[i], test_limits);
	}
	for (size_t i = 0; i < G_N_ELEMENTS(windows); i++) {
		g_autofree char *path = g_strdup_printf("/options/window/%zu", i);

		g_test_add_data_func(path, &windows[i], test_window);
	}
	for (size_t i = 0; i < G_N_ELEMENTS(wrongs); i++) {
		g_autofree char *path = g_strdup_printf("/options/wrong/%zu", i);

		g_test_add_data_func(path, &wrongs[i], test_wrong);
	}
	for (size_t i = 0; i < G_N_ELEMENTS(questions); i++) {
		g_autofree char *path = g_strdup_printf("/options/question/%zu", i);

		g_test_add_data_func(path, questions[i], test_question);
	}
	g_test_add_func("/options/passed-socket", test_passed_socket);
	g_test_add_func("/options/passed-socket-wrong", test_passed_socket_wrong);
	g_test_add_func("/options/sandbox", test_sandbox);
	g_test_add_func("/options/library", test_library);
	g_test_add_func("/options/dmabuf", test_dmabuf);
	g_test_add_func("/options/path-length", test_path_length);
	g_test_add_func("/options/finish-twice", test_finish_twice);
	g_test_add_func("/options/version", test_version);
	g_test_add_func("/options/help", test_help);
	return g_test_run();
}
