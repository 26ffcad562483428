/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * Mode gfxstream on a library that ends its process when it is called as the real one must not be,
 * and does what a test says where the real one may do what it likes. What other modes do as well is
 * in the other suites, on the same library; test-gfxstream-library.c has a real one.
 */
#include <errno.h>
#include <glob.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "mock_gfxstream.h"
#include "proto.h"

#define PAGE GUESTRAM_PAGE
#define HOST3D VIRTIO_GPU_BLOB_MEM_HOST3D
#define MAPPABLE VIRTIO_GPU_BLOB_FLAG_USE_MAPPABLE
#define FORMAT VIRTIO_GPU_FORMAT_B8G8R8X8_UNORM
#define BIND_RENDER_TARGET (1u << 1)
#define BIND_CUSTOM (1u << 17)
#define BIND_LINEAR (1u << 22)
#define R8 64u
#define CTX 1u
#define OTHER_CTX 2u
#define RESULTS 100u /* a picture of 16 pixels in a row */
#define N_RESULTS 16u
#define CAPSET_VULKAN 3u
#define CAPSET_GLES 8u
#define WINDOW_BYTES (UINT64_C(64) << 20)
#define NO_RING UINT32_MAX
#define OP_RING_CREATE 0x1001u
#define OP_RING_PING 0x1002u
#define OP_EXPORT_SYNC 0x9000u
#define OP_EXPORT_SYNC_VK 0xa000u /* and two more of Vulkan's */
#define OP_CREATE_3D 0xa003u
#define RING_BYTES (12288u + (1u << 20))

struct machine {
	struct rig *rig;
	struct vgpu *vgpu;     /* rig's */
	struct window *window; /* rig's front-end's */
	const uint32_t *results;
};

/* What a driver does first. */
static void begin(struct machine *machine)
{
	uint64_t gpa = rig_backing(machine->rig, NULL, N_RESULTS * 4);

	g_assert_ok(vgpu_ctx_create(machine->vgpu, CTX, 0, "test"));
	g_assert_ok(vgpu_resource_create_3d(machine->vgpu, RESULTS, FORMAT, BIND_RENDER_TARGET,
					    N_RESULTS, 1, 0));
	g_assert_ok(vgpu_resource_attach_one(machine->vgpu, RESULTS, gpa, N_RESULTS * 4));
	machine->results = guestram_at(machine->rig->ram, gpa, N_RESULTS * 4);
}

static struct machine make_machine_with(const char *const *args)
{
	struct machine machine = { 0 };

	/* Any Vulkan driver will do for a library that has none. */
	g_setenv("VK_DRIVER_FILES", "/dev/null", TRUE);
	machine.rig = rig_create(
		&(struct rig_options){ .mode = "gfxstream", .args = args, .has_window = true });
	machine.vgpu = machine.rig->vgpu;
	machine.window = machine.rig->frontend->window;
	return machine;
}

static struct machine make_machine(void)
{
	static const char *const args[] = { "--hostmem", "64M", "--max-crashes", "1000", NULL };

	struct machine machine = make_machine_with(args);
	g_assert_cmpuint(machine.rig->frontend->window_bytes, ==, WINDOW_BYTES);
	begin(&machine);
	return machine;
}

/* Nothing was asked for that breaks a rule. */
static void end(struct machine *machine)
{
	struct window_counts counts = window_get_counts(machine->window);

	g_assert_cmpuint(counts.n_overlaps, ==, 0);
	g_assert_cmpuint(counts.n_vain_unmaps, ==, 0);
	g_assert_cmpuint(counts.n_bad_files, ==, 0);
	rig_destroy(machine->rig);
}

#define RUN(machine, opcode, ...)                                                                  \
	mock_gfxstream_run((machine)->vgpu, CTX, opcode, (const uint32_t[]){ __VA_ARGS__ },        \
			   sizeof((const uint32_t[]){ __VA_ARGS__ }) / sizeof(uint32_t))

static uint32_t result(struct machine *machine, uint32_t word)
{
	const struct virtio_gpu_box box = { 0, 0, 0, N_RESULTS, 1, 1 };

	g_assert_ok(vgpu_transfer_from_host_3d(machine->vgpu, CTX, RESULTS, &box, 0, 0));
	return machine->results[word];
}

/* ---- starting ---- */

static unsigned int count_lines(const char *text)
{
	unsigned int n = 0;

	for (; *text; text++) {
		n += *text == '\n';
	}
	return n;
}

/* Says all @words in one line, before there is a socket, and ends with 1. */
static void check_failure(const char *const *args, const char *const *env, const char *const *words)
{
	struct daemon *daemon = daemon_spawn(args, env, -1);

	g_assert_cmpint(daemon_wait_exit(daemon, 60000), ==, 1);
	g_autofree char *text = daemon_stderr(daemon);
	g_test_message("%s", text);
	g_assert_cmpuint(count_lines(text), ==, 1);
	g_assert_nonnull(strstr(text, "gfxstream cannot start: "));
	for (; *words; words++) {
		if (!strstr(text, *words)) {
			g_error("\"%s\" is not in: %s", *words, text);
		}
	}
	g_assert_false(g_file_test(daemon->socket_path, G_FILE_TEST_EXISTS));
	daemon_destroy(daemon);
}

/* Files of these names that are no libraries stand for none: the linker looks no further. */
static void test_no_library(const void *mode)
{
	static const char *const args[] = { "-s", "@SOCKET@", "-g", "gfxstream", NULL };
	static const char *const names[] = { "libgfxstream_backend.so.0",
					     "libgfxstream_backend.so" };
	static const char *const words[] = { "libgfxstream_backend.so.0",
					     "libgfxstream_backend.so:",
					     "Fedora",
					     "Arch",
					     "--gfxstream-library",
					     NULL };
	g_autofree char *dir = g_dir_make_tmp("proto-XXXXXX", NULL);
	g_autofree char *path = g_strconcat("LD_LIBRARY_PATH=", dir, NULL);
	const char *const env[] = { path, NULL };

	(void)mode;
	for (size_t i = 0; i < G_N_ELEMENTS(names); i++) {
		g_autofree char *file = g_build_filename(dir, names[i], NULL);
		g_assert_true(g_file_set_contents(file, "not a library", -1, NULL));
	}
	check_failure(args, env, words);
	for (size_t i = 0; i < G_N_ELEMENTS(names); i++) {
		g_autofree char *file = g_build_filename(dir, names[i], NULL);
		unlink(file);
	}
	rmdir(dir);
}

static void check_path_failure(const char *path, const char *word)
{
	const char *const args[] = { "-s", "@SOCKET@", "-g", "gfxstream", "--gfxstream-library",
				     path, NULL };
	/* Also who named one may have none that works. */
	const char *const words[] = { word, "Fedora", "--gpu-mode virglrenderer", NULL };

	check_failure(args, NULL, words);
}

static void test_wrong_library(const void *mode)
{
	g_autofree char *other =
		g_build_filename(g_getenv("OLD_VIRGLRENDERER"), "libvirglrenderer.so.1", NULL);

	(void)mode;
	check_path_failure("/nonexistent/gfxstream.so",
			   "--gfxstream-library '/nonexistent/gfxstream.so': ");
	check_path_failure("/dev/null", "--gfxstream-library '/dev/null': ");
	check_path_failure(other, " has no stream_renderer_init()");
}

/* By its name, where the linker finds it. */
static void test_by_name(const void *mode)
{
	static const char *const args[] = { "-s", "@SOCKET@", "-g", "gfxstream", NULL };
	g_autofree char *path = g_strconcat("LD_LIBRARY_PATH=", g_getenv("MOCK_GFXSTREAM"), NULL);
	const char *const env[] = { path, NULL };

	(void)mode;
	struct daemon *daemon = daemon_spawn(args, env, -1);
	struct frontend *frontend = frontend_create(daemon_connect(daemon));
	frontend_handshake(frontend);
	g_assert_true(frontend->features & FEATURE(VIRTIO_F_GPU_VIRGL));
	frontend_destroy(frontend);
	daemon_destroy(daemon);
}

static void check_start(const char *how, const char *word)
{
	g_autofree char *library = mock_gfxstream_path();
	g_autofree char *variable = g_strconcat("MOCK_GFXSTREAM_INIT=", how, NULL);
	const char *const args[] = { "-s",    "@SOCKET@", "-g", "gfxstream", "--gfxstream-library",
				     library, NULL };
	const char *const env[] = { variable, NULL };
	const char *const words[] = { word, "a driver is missing or broken",
				      "LIBGL_ALWAYS_SOFTWARE=1", NULL };

	proto_let_signals_kill();
	check_failure(args, env, words);
}

static void test_start_abort(const void *mode)
{
	(void)mode;
	check_start("abort", "it crashes (Aborted)");
	/* With what the library had to say of it. */
	check_start("abort", "no memory type");
}

static void test_start_crash(const void *mode)
{
	(void)mode;
	check_start("crash", "it crashes (Segmentation fault)");
}

static void test_start_fail(const void *mode)
{
	(void)mode;
	check_start("fail", "its init() returns -22 (");
	check_start("fail", "no EGL config");
}

static void test_start_no_fence(const void *mode)
{
	(void)mode;
	check_start("no-fence", "it signals no fence");
}

static void test_start_hang(const void *mode)
{
	(void)mode;
	check_start("hang", "it hangs, for ");
}

struct offer {
	const char *args[8];
	uint32_t capsets[3]; /* until 0 */
};

/* The library says that it has each of them whatever it was started with. */
static void test_capsets(const void *mode)
{
	static const struct offer offers[] = {
		{ { NULL }, { CAPSET_VULKAN, CAPSET_GLES } },
		{ { "--capset", "gfxstream-gles,gfxstream-vulkan" },
		  { CAPSET_VULKAN, CAPSET_GLES } },
		{ { "--capset", "gfxstream-gles" }, { CAPSET_GLES } },
		{ { "--capset", "gfxstream-vulkan" }, { CAPSET_VULKAN } },
		{ { "--use-gles", "false" }, { CAPSET_VULKAN } },
		{ { "--use-gles", "false", "--use-egl", "false" }, { CAPSET_VULKAN } },
		{ { "--capset", "gfxstream-vulkan", "--use-egl", "false" }, { CAPSET_VULKAN } },
		{ { "--use-surfaceless", "false" }, { CAPSET_VULKAN, CAPSET_GLES } },
	};

	(void)mode;
	for (size_t i = 0; i < G_N_ELEMENTS(offers); i++) {
		struct machine machine = make_machine_with(offers[i].args);
		struct virtio_gpu_resp_capset_info info;
		uint32_t n = 0;

		for (; n < 3 && offers[i].capsets[n]; n++) {
			uint32_t size_bytes = offers[i].capsets[n] == CAPSET_VULKAN ? 104 : 16;

			g_assert_resp(vgpu_get_capset_info(machine.vgpu, n, &info),
				      VIRTIO_GPU_RESP_OK_CAPSET_INFO);
			g_assert_cmpuint(info.capset_id, ==, offers[i].capsets[n]);
			g_assert_cmpuint(info.capset_max_version, ==, 0);
			g_assert_cmpuint(info.capset_max_size, ==, size_bytes);
			g_assert_resp(vgpu_get_capset(machine.vgpu, info.capset_id, 0, size_bytes),
				      VIRTIO_GPU_RESP_OK_CAPSET);
			/* The mock's fourth word is the capset's number. */
			g_assert_cmpuint(machine.vgpu->last_response[24 + 12], ==, info.capset_id);
			g_assert_ok(vgpu_ctx_create(machine.vgpu, 10 + n, info.capset_id, "of it"));
		}
		proto_assert_error(vgpu_get_capset_info(machine.vgpu, n, &info));
		proto_assert_error(vgpu_get_capset(machine.vgpu, 9, 0, 16));
		proto_assert_error(vgpu_ctx_create(machine.vgpu, 20, 9, "composer"));
		end(&machine);
	}
}

struct start {
	const char *args[8];
	uint32_t flags[2]; /* their lower half, their upper half */
};

/* EGL is 1, GLX 4, surfaceless 8, OpenGL ES 0x10, Vulkan 0x20, blobs that are files 0x40. */
static void test_flags(const void *mode)
{
	static const struct start starts[] = {
		{ { NULL }, { 0x79 } },
		{ { "--use-egl", "true", "--use-gles", "true", "--use-surfaceless", "true" },
		  { 0x79 } },
		{ { "--use-glx", "true" }, { 0x7d } },
		{ { "--use-glx", "false" }, { 0x79 } },
		{ { "--use-surfaceless", "false" }, { 0x71 } },
		{ { "--use-surfaceless", "false", "--use-glx", "true" }, { 0x75 } },
		{ { "--use-gles", "false" }, { 0x69 } },
		{ { "--use-gles", "false", "--use-egl", "false" }, { 0x68 } },
		{ { "--use-gles", "false", "--use-egl", "false", "--use-surfaceless", "false" },
		  { 0x60 } },
		{ { "--capset", "gfxstream-gles,gfxstream-vulkan" }, { 0x79 } },
		{ { "--capset", "gfxstream-gles" }, { 0x59 } },
		{ { "--capset", "gfxstream-gles", "--use-surfaceless", "false" }, { 0x51 } },
		{ { "--capset", "gfxstream-vulkan" }, { 0x69 } },
		{ { "--capset", "gfxstream-vulkan", "--use-egl", "false" }, { 0x68 } },
		{ { "--capset", "gfxstream-vulkan", "--use-glx", "true" }, { 0x6d } },
	};

	(void)mode;
	for (size_t i = 0; i < G_N_ELEMENTS(starts); i++) {
		struct machine machine = make_machine_with(starts[i].args);

		g_test_message("start %zu", i);
		begin(&machine);
		g_assert_ok(RUN(&machine, MOCK_GFX_GET_FLAGS, RESULTS));
		g_assert_cmphex(result(&machine, 0), ==, starts[i].flags[0]);
		g_assert_cmphex(result(&machine, 1), ==, starts[i].flags[1]);
		end(&machine);
	}
}

/* Of one front-end: the process that renders for it, and for nobody else. */
static uint32_t ask_pid(struct daemon *daemon)
{
	struct machine machine = {
		.rig = rig_create(&(struct rig_options){ .mode = "gfxstream", .foreign = daemon }),
	};

	machine.vgpu = machine.rig->vgpu;
	begin(&machine);
	g_assert_ok(RUN(&machine, MOCK_GFX_GET_PID, RESULTS));
	uint32_t pid = result(&machine, 0);
	g_assert_cmpuint(pid, ==, (uint32_t)daemon_find_process(daemon, "renderer"));
	rig_destroy(machine.rig);
	return pid;
}

static bool has_no_renderer(void *daemon)
{
	return daemon_find_process(daemon, "renderer") == 0;
}

/* A process can start the library once: so each front-end has its own, and it ends with it. */
static void test_processes(const void *mode)
{
	struct daemon *daemon = daemon_start("gfxstream", NULL);
	uint32_t last = 0;

	(void)mode;
	for (unsigned int i = 0; i < 3; i++) {
		uint32_t pid = ask_pid(daemon);

		g_assert_cmpuint(pid, !=, 0);
		g_assert_cmpuint(pid, !=, last);
		g_assert_true(suite_wait(has_no_renderer, daemon, 10000));
		last = pid;
	}
	daemon_destroy(daemon);
}

static bool host_has_vulkan_driver(void)
{
	static const char *const patterns[] = { "/usr/share/vulkan/icd.d/*.json",
						"/etc/vulkan/icd.d/*.json",
						"/usr/local/share/vulkan/icd.d/*.json",
						"/usr/local/etc/vulkan/icd.d/*.json",
						"/run/opengl-driver/share/vulkan/icd.d/*.json",
						"/run/host/usr/share/vulkan/icd.d/*.json" };
	bool has = false;

	for (size_t i = 0; i < G_N_ELEMENTS(patterns); i++) {
		glob_t found;

		if (glob(patterns[i], GLOB_NOSORT, NULL, &found) == 0) {
			has = true;
			globfree(&found);
		}
	}
	return has;
}

/* The library would crash: so it is not asked for what is wanted, or told to do without. */
static void test_no_vulkan_driver(const void *mode)
{
	static const char *const variables[] = { "VK_DRIVER_FILES", "VK_ICD_FILENAMES",
						 "VK_ADD_DRIVER_FILES", "XDG_DATA_DIRS" };
	g_autofree char *library = mock_gfxstream_path();
	const char *const args[] = { "-s",
				     "@SOCKET@",
				     "-g",
				     "gfxstream",
				     "--capset",
				     "gfxstream-vulkan,gfxstream-gles",
				     "--gfxstream-library",
				     library,
				     NULL };
	static const char *const words[] = { "there is no driver for Vulkan", "mesa-vulkan-drivers",
					     "--capset gfxstream-gles", NULL };
	struct virtio_gpu_resp_capset_info info;

	(void)mode;
	if (host_has_vulkan_driver()) {
		suite_skip("this host has a driver for Vulkan");
	}
	for (size_t i = 0; i < G_N_ELEMENTS(variables); i++) {
		g_unsetenv(variables[i]);
	}
	check_failure(args, NULL, words);
	struct rig *rig = proto_rig(mode);
	g_assert_resp(vgpu_get_capset_info(rig->vgpu, 0, &info), VIRTIO_GPU_RESP_OK_CAPSET_INFO);
	g_assert_cmpuint(info.capset_id, ==, CAPSET_GLES);
	proto_assert_error(vgpu_get_capset_info(rig->vgpu, 1, &info));
	rig_destroy(rig);
}

/* ---- pictures ---- */

/* Rows that lie elsewhere than the library looks for them, in pages that end early. */
static void test_offsets(const void *mode)
{
	struct rig *rig = proto_rig(mode);
	g_autofree uint32_t *pixels = rig_make_pattern(64, 64, 1);
	g_autofree uint32_t *shown = g_new0(uint32_t, 64 * 64);
	uint64_t gpa = rig_backing(rig, pixels, 16 * 64 * 4);

	g_assert_ok(vgpu_resource_create_2d(rig->vgpu, 1, FORMAT, 64, 64));
	/* A quarter of it. */
	g_assert_ok(vgpu_resource_attach_one(rig->vgpu, 1, gpa, 16 * 64 * 4));
	g_assert_ok(vgpu_set_scanout(rig->vgpu, 0, 1, 0, 0, 64, 64));
	g_assert_resp(vgpu_transfer_to_host_2d(rig->vgpu, 1, 0, 0, 0, 64, 64),
		      VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER);
	/* Its rows at the bottom, then a piece of it in the middle. */
	g_assert_ok(vgpu_transfer_to_host_2d(rig->vgpu, 1, 0, 0, 48, 64, 16));
	memcpy(shown + 48 * 64, pixels, 16 * 64 * 4);
	g_assert_ok(vgpu_transfer_to_host_2d(rig->vgpu, 1, (64 + 3) * 4, 20, 30, 5, 4));
	for (uint32_t y = 0; y < 4; y++) {
		memcpy(shown + (30 + y) * 64 + 20, pixels + (1 + y) * 64 + 3, 5 * 4);
	}
	/* And one that is where it is. */
	g_assert_ok(vgpu_transfer_to_host_2d(rig->vgpu, 1, (2 * 64 + 7) * 4, 7, 2, 9, 3));
	for (uint32_t y = 2; y < 5; y++) {
		memcpy(shown + y * 64 + 7, pixels + y * 64 + 7, 9 * 4);
	}
	g_assert_ok(vgpu_resource_flush(rig->vgpu, 1, 0, 0, 64, 64));
	display_wait_pixels(rig->display, 0, shown, 64, 64);
	rig_destroy(rig);
}

/* Without pages, or with the guest's taken back, there is a picture all the same. */
static void test_without_pages(const void *mode)
{
	struct rig *rig = proto_rig(mode);
	g_autofree uint32_t *pixels = rig_make_pattern(64, 64, 1);
	g_autofree uint32_t *black = g_new0(uint32_t, 64 * 64);

	g_assert_ok(vgpu_resource_create_2d(rig->vgpu, 2, FORMAT, 64, 64));
	g_assert_ok(vgpu_set_scanout(rig->vgpu, 0, 2, 0, 0, 64, 64));
	g_assert_ok(vgpu_resource_flush(rig->vgpu, 2, 0, 0, 64, 64));
	display_wait_pixels(rig->display, 0, black, 64, 64);
	rig_show_resource(rig, 1, 0, 64, 64, pixels);
	g_assert_ok(vgpu_resource_detach_backing(rig->vgpu, 1));
	g_assert_ok(vgpu_resource_flush(rig->vgpu, 1, 0, 0, 64, 64));
	display_wait_pixels(rig->display, 0, pixels, 64, 64);
	rig_destroy(rig);
}

/* What a context draws is shown, and what lies beside a part that is read back stays. */
static void test_drawn(const void *mode)
{
	struct machine machine = make_machine();
	const struct virtio_gpu_box part = { 3, 2, 0, 5, 4, 1 };
	g_autofree uint32_t *pixels = g_new(uint32_t, 64 * 64);
	uint64_t gpa = rig_backing(machine.rig, NULL, 64 * 64 * 4);
	uint32_t *there = guestram_at(machine.rig->ram, gpa, 64 * 64 * 4);

	(void)mode;
	g_assert_ok(
		vgpu_resource_create_3d(machine.vgpu, 1, FORMAT, BIND_RENDER_TARGET, 64, 64, 0));
	g_assert_ok(vgpu_resource_attach_one(machine.vgpu, 1, gpa, 64 * 64 * 4));
	g_assert_ok(vgpu_set_scanout(machine.vgpu, 0, 1, 0, 0, 64, 64));
	g_assert_ok(RUN(&machine, MOCK_GFX_FILL, 1, 0x336699));
	g_assert_ok(vgpu_resource_flush(machine.vgpu, 1, 0, 0, 64, 64));
	for (uint32_t i = 0; i < 64 * 64; i++) {
		pixels[i] = 0x336699;
		there[i] = i;
	}
	display_wait_pixels(machine.rig->display, 0, pixels, 64, 64);
	g_assert_ok(vgpu_transfer_from_host_3d(machine.vgpu, CTX, 1, &part, 0, 0));
	for (uint32_t i = 0; i < 64 * 64; i++) {
		bool is_inside = i % 64 >= 3 && i % 64 < 8 && i / 64 >= 2 && i / 64 < 6;
		g_assert_cmphex(there[i], ==, is_inside ? 0x336699 : i);
	} /* A part that the guest writes is that part, and not what lies between its rows. */
	there[2 * 64 + 3] = 0x111111;
	there[3 * 64 + 3] = 0x222222;
	there[3 * 64 + 2] = 0x333333;
	const struct virtio_gpu_box column = { 3, 2, 0, 1, 2, 1 };
	g_assert_ok(RUN(&machine, MOCK_GFX_FILL, 1, 0x77));
	g_assert_ok(vgpu_transfer_to_host_3d(machine.vgpu, CTX, 1, &column, 0, 0));
	g_assert_ok(vgpu_resource_flush(machine.vgpu, 1, 0, 0, 64, 64));
	for (uint32_t i = 0; i < 64 * 64; i++) {
		pixels[i] = 0x77;
	}
	pixels[2 * 64 + 3] = 0x111111;
	pixels[3 * 64 + 3] = 0x222222;
	display_wait_pixels(machine.rig->display, 0, pixels, 64, 64);
	/* Neither is it what was there before a context drew. */
	g_assert_ok(vgpu_ctx_attach_resource(machine.vgpu, CTX, 1));
	g_assert_ok(RUN(&machine, MOCK_GFX_FILL, 1, 0x88));
	const struct virtio_gpu_box row = { 0, 2, 0, 64, 1, 1 };
	g_assert_ok(vgpu_transfer_to_host_3d(machine.vgpu, CTX, 1, &row, 0, 0));
	g_assert_ok(vgpu_resource_flush(machine.vgpu, 1, 0, 0, 64, 64));
	for (uint32_t i = 0; i < 64 * 64; i++) {
		pixels[i] = i / 64 == 2 ? there[i] & 0xffffff : 0x88;
	}
	display_wait_pixels(machine.rig->display, 0, pixels, 64, 64);
	/* The damage and its rows. */
	g_assert_ok(RUN(&machine, MOCK_GFX_FILL, 1, 0xaa));
	g_assert_ok(vgpu_resource_flush(machine.vgpu, 1, 10, 10, 4, 4));
	display_wait_pixel(machine.rig->display, 0, 10, 10, 0xaa);
	end(&machine);
}

/* In each direction: less memory than the resource takes, and what the library can't copy. */
static void test_refused_copies(const void *mode)
{
	struct machine machine = make_machine();
	const struct virtio_gpu_box all = { 0, 0, 0, 64, 64, 1 }, top = { 0, 0, 0, 64, 2, 1 };
	uint64_t gpa = rig_backing(machine.rig, NULL, PAGE);

	(void)mode;
	g_assert_ok(
		vgpu_resource_create_3d(machine.vgpu, 1, FORMAT, BIND_RENDER_TARGET, 64, 64, 0));
	g_assert_ok(vgpu_resource_attach_one(machine.vgpu, 1, gpa, PAGE));
	/* A planar format, and one that is none. */
	for (uint32_t id = 2; id <= 3; id++) {
		g_assert_ok(vgpu_resource_create_3d(machine.vgpu, id, id == 2 ? 163 : 500,
						    BIND_RENDER_TARGET, 64, 64, 0));
		g_assert_ok(vgpu_resource_attach_one(machine.vgpu, id, gpa, PAGE));
		g_assert_resp(vgpu_transfer_to_host_3d(machine.vgpu, CTX, id, &top, 0, 0),
			      VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER);
		g_assert_ok(vgpu_set_scanout(machine.vgpu, 0, id, 0, 0, 64, 64));
		proto_assert_error(vgpu_resource_flush(machine.vgpu, id, 0, 0, 64, 64));
	}
	g_assert_resp(vgpu_transfer_to_host_3d(machine.vgpu, CTX, 1, &all, 0, 0),
		      VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER);
	g_assert_resp(vgpu_transfer_from_host_3d(machine.vgpu, CTX, 1, &all, 0, 0),
		      VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER);
	g_assert_ok(vgpu_transfer_to_host_3d(machine.vgpu, CTX, 1, &top, 0, 0));
	g_assert_ok(vgpu_transfer_from_host_3d(machine.vgpu, CTX, 1, &top, 0, 0));
	/* When the library refuses it is an error, and no more. */
	g_assert_ok(RUN(&machine, MOCK_GFX_FAIL_NEXT, MOCK_GFX_FAIL_TRANSFER));
	g_assert_resp(vgpu_transfer_to_host_3d(machine.vgpu, CTX, 1, &top, 0, 0),
		      VIRTIO_GPU_RESP_ERR_UNSPEC);
	g_assert_ok(vgpu_transfer_to_host_3d(machine.vgpu, CTX, 1, &top, 0, 0));
	end(&machine);
}

static void test_refused_resources(const void *mode)
{
	static const struct {
		uint32_t target, format, bind, width, height;
		bool is_good;
	} cases[] = {
		{ 2, 1, BIND_RENDER_TARGET, 16384, 1, true },
		{ 2, 1, BIND_RENDER_TARGET, 16385, 1, false },
		{ 2, 1, BIND_RENDER_TARGET, 100000, 100000, false },
		{ 2, 1, BIND_RENDER_TARGET, 0, 0, false },
		{ 2, 1, BIND_RENDER_TARGET, 0, 8, false },
		{ 2, 94, BIND_RENDER_TARGET, 16384, 16384, false },
		{ 2, 512, BIND_RENDER_TARGET, 8, 8, false },
		{ 9, 1, BIND_RENDER_TARGET, 8, 8, false },
		{ 0, R8, BIND_LINEAR, 1 << 20, 1, true },
		{ 0, R8, BIND_LINEAR, (1u << 30) + 1, 1, false },
		{ 0, R8, BIND_LINEAR, UINT32_MAX, 2, false },
		{ 0, R8, BIND_CUSTOM, 1 << 20, 1, true },
		{ 0, R8, BIND_CUSTOM, 1 << 20, 2, false },
		{ 0, 1, BIND_CUSTOM, 1 << 20, 1, false },
		{ 0, R8, BIND_CUSTOM, UINT32_MAX, 1, false },
	};
	struct machine machine = make_machine();

	(void)mode;
	for (uint32_t i = 0; i < G_N_ELEMENTS(cases); i++) {
		const struct virtio_gpu_resource_create_3d cmd = {
			.hdr = { .type = VIRTIO_GPU_CMD_RESOURCE_CREATE_3D },
			.resource_id = 1 + i,
			.target = cases[i].target,
			.format = cases[i].format,
			.bind = cases[i].bind,
			.width = cases[i].width,
			.height = cases[i].height,
			.depth = 1,
			.array_size = 1,
		};
		uint32_t type = vgpu_call(machine.vgpu, &cmd, sizeof(cmd), 24);

		g_test_message("case %u: 0x%x", i, type);
		if (cases[i].is_good) {
			g_assert_ok(type);
		} else {
			proto_assert_error(type);
		}
	}
	/* Refused by the library, in either of two calls: the id is free again. */
	for (uint32_t failure = MOCK_GFX_FAIL_CREATE; failure <= MOCK_GFX_FAIL_ATTACH; failure++) {
		g_assert_ok(RUN(&machine, MOCK_GFX_FAIL_NEXT, failure));
		proto_assert_error(vgpu_resource_create_2d(machine.vgpu, 50, FORMAT, 8, 8));
		g_assert_ok(vgpu_resource_create_2d(machine.vgpu, 50, FORMAT, 8, 8));
		g_assert_ok(vgpu_resource_unref(machine.vgpu, 50));
	}
	end(&machine);
}

/* What a guest's resources take is charged, and given back. */
static void test_memory_bound(const void *mode)
{
	struct machine machine = make_machine();
	uint32_t n = 0, type;

	(void)mode;
	while ((type = vgpu_resource_create_2d(machine.vgpu, 1 + n, FORMAT, 4096, 4096)) ==
	       VIRTIO_GPU_RESP_OK_NODATA) {
		g_assert_cmpuint(++n, <, 60);
	}
	g_assert_resp(type, VIRTIO_GPU_RESP_ERR_OUT_OF_MEMORY);
	g_assert_cmpuint(n, >=, 10);
	for (uint32_t i = 0; i < n; i++) {
		g_assert_ok(vgpu_resource_unref(machine.vgpu, 1 + i));
	}
	g_assert_ok(vgpu_resource_create_2d(machine.vgpu, 1, FORMAT, 4096, 4096));
	end(&machine);
}

/* ---- pipes ---- */

struct pipe {
	uint32_t id;
	void *bytes; /* its backing's, a page */
};

static struct pipe make_pipe(struct machine *machine, uint32_t id)
{
	const struct virtio_gpu_resource_create_3d cmd = {
		.hdr = { .type = VIRTIO_GPU_CMD_RESOURCE_CREATE_3D },
		.resource_id = id,
		.target = 0,
		.format = R8,
		.bind = BIND_CUSTOM,
		.width = PAGE,
		.height = 1,
		.depth = 1,
		.array_size = 1,
	};
	uint64_t gpa = rig_backing(machine->rig, NULL, PAGE);

	g_assert_ok(vgpu_call(machine->vgpu, &cmd, sizeof(cmd), 24));
	g_assert_ok(vgpu_resource_attach_one(machine->vgpu, id, gpa, PAGE));
	g_assert_ok(vgpu_ctx_attach_resource(machine->vgpu, CTX, id));
	return (struct pipe){ id, guestram_at(machine->rig->ram, gpa, PAGE) };
}

static uint32_t write_pipe(struct machine *machine, const struct pipe *pipe, const void *bytes,
			   uint32_t size_bytes)
{
	/* Not at the beginning, as a driver may have its words anywhere. */
	const struct virtio_gpu_box box = { 8, 0, 0, size_bytes, 1, 1 };

	memcpy((char *)pipe->bytes + 8, bytes, size_bytes);
	return vgpu_transfer_to_host_3d(machine->vgpu, CTX, pipe->id, &box, 8, 0);
}

static uint32_t read_pipe(struct machine *machine, const struct pipe *pipe, uint32_t size_bytes)
{
	const struct virtio_gpu_box box = { 100, 0, 0, size_bytes, 1, 1 };

	return vgpu_transfer_from_host_3d(machine->vgpu, CTX, pipe->id, &box, 100, 0);
}

static uint32_t name_pipe(struct machine *machine, const struct pipe *pipe, const char *name)
{
	return write_pipe(machine, pipe, name, (uint32_t)strlen(name) + 1);
}

static void test_pipe(const void *mode)
{
	struct machine machine = make_machine();
	const struct virtio_gpu_box beyond = { PAGE - 1, 0, 0, 2, 1, 1 };
	struct pipe pipe = make_pipe(&machine, 1);

	(void)mode;
	g_assert_ok(name_pipe(&machine, &pipe, "pipe:opengles"));
	g_assert_ok(write_pipe(&machine, &pipe, "0123456789", 10));
	g_assert_ok(read_pipe(&machine, &pipe, 6));
	proto_assert_mem((char *)pipe.bytes + 100, "012345", 6);
	g_assert_ok(write_pipe(&machine, &pipe, "abc", 3));
	g_assert_ok(read_pipe(&machine, &pipe, 7));
	proto_assert_mem((char *)pipe.bytes + 100, "6789abc", 7);
	proto_assert_error(vgpu_transfer_from_host_3d(machine.vgpu, CTX, 1, &beyond, 0, 0));
	/* Another end of the same. */
	struct pipe other = make_pipe(&machine, 2);
	g_assert_ok(write_pipe(&machine, &other, "xyz", 3));
	g_assert_ok(read_pipe(&machine, &pipe, 3));
	/* Gone with its context, and before it. */
	g_assert_ok(vgpu_resource_unref(machine.vgpu, 1));
	g_assert_ok(vgpu_ctx_destroy(machine.vgpu, CTX));
	g_assert_ok(vgpu_resource_unref(machine.vgpu, 2));
	end(&machine);
}

/* What the library would end the process for. */
static void test_pipe_rules(const void *mode)
{
	static const char *const names[] = {
		"",	    "pipe",   "pipe:", "pipe:refcount", "pipe:opengle", "pipe:openglesx",
		"opengles", "no such"
	};
	const int32_t hundred = 100, other = 99;
	struct machine machine = make_machine();
	struct pipe pipe = make_pipe(&machine, 1);
	g_autofree char *longer = g_strnfill(2000, 'p');

	(void)mode;
	for (size_t i = 0; i < G_N_ELEMENTS(names); i++) {
		g_assert_resp(name_pipe(&machine, &pipe, names[i]),
			      VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER);
		g_assert_resp(read_pipe(&machine, &pipe, 8), VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER);
	}
	g_assert_resp(name_pipe(&machine, &pipe, longer), VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER);
	g_assert_ok(write_pipe(&machine, &pipe, "pipe:GLProcessPipe", 18));
	g_assert_resp(write_pipe(&machine, &pipe, &other, 4),
		      VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER);
	g_assert_resp(write_pipe(&machine, &pipe, &hundred, 3),
		      VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER);
	g_assert_ok(write_pipe(&machine, &pipe, &hundred, 4));
	g_assert_resp(write_pipe(&machine, &pipe, &hundred, 4),
		      VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER);
	g_assert_resp(read_pipe(&machine, &pipe, 7), VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER);
	g_assert_ok(read_pipe(&machine, &pipe, 8));
	g_assert_resp(read_pipe(&machine, &pipe, 8), VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER);
	/* One that is no context's. */
	g_assert_ok(vgpu_ctx_create(machine.vgpu, OTHER_CTX, 0, "other"));
	struct pipe lonely = make_pipe(&machine, 2);
	g_assert_ok(vgpu_ctx_detach_resource(machine.vgpu, CTX, 2));
	g_assert_resp(read_pipe(&machine, &lonely, 8), VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER);
	/* And a new context's is a new one. */
	g_assert_ok(vgpu_ctx_attach_resource(machine.vgpu, OTHER_CTX, 2));
	g_assert_resp(read_pipe(&machine, &lonely, 8), VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER);
	g_assert_ok(name_pipe(&machine, &lonely, "pipe:opengles"));
	end(&machine);
}

/* The guest loses its contexts, its screen stays, and a new context works. */
static void check_lives_on(struct machine *machine, const uint32_t *pixels)
{
	struct rig *rig = machine->rig;

	rig_assert_serves(rig);
	g_assert_resp(RUN(machine, MOCK_GFX_NOP, 0), VIRTIO_GPU_RESP_ERR_INVALID_CONTEXT_ID);
	g_assert_ok(vgpu_resource_flush(rig->vgpu, 900, 0, 0, 64, 64));
	display_wait_pixels(rig->display, 0, pixels, 64, 64);
	g_assert_ok(vgpu_ctx_destroy(rig->vgpu, CTX));
	g_assert_ok(vgpu_resource_unref(rig->vgpu, RESULTS));
	begin(machine);
	g_assert_ok(RUN(machine, MOCK_GFX_NOP, 0));
}

static void test_dies(const void *mode)
{
	proto_let_signals_kill();
	struct machine machine = make_machine();
	g_autofree uint32_t *pixels = rig_make_pattern(64, 64, 1);

	(void)mode;
	machine.rig->daemon->may_lose_processes = true;
	rig_show_resource(machine.rig, 900, 0, 64, 64, pixels);
	for (unsigned int i = 0; i < 3; i++) {
		g_assert_resp(RUN(&machine, MOCK_GFX_DIE, SIGABRT), VIRTIO_GPU_RESP_ERR_UNSPEC);
		check_lives_on(&machine, pixels);
	}
	end(&machine);
}

/* Whose other end never has anything to say: the process is ended after half a minute. */
static void test_silent_pipe(const void *mode)
{
	struct machine machine = make_machine();
	const struct virtio_gpu_box box = { 0, 0, 0, 64, 1, 1 };
	const struct virtio_gpu_transfer_host_3d cmd = {
		.hdr = { .type = VIRTIO_GPU_CMD_TRANSFER_FROM_HOST_3D, .ctx_id = CTX },
		.box = box,
		.resource_id = 1
	};
	const struct vgpu_chain chain = { .request = &cmd,
					  .request_size = sizeof(cmd),
					  .response_size = 24 };
	g_autofree uint32_t *pixels = rig_make_pattern(64, 64, 1);

	(void)mode;
	machine.rig->daemon->may_lose_processes = true;
	rig_show_resource(machine.rig, 900, 0, 64, 64, pixels);
	struct pipe pipe = make_pipe(&machine, 1);
	g_assert_ok(name_pipe(&machine, &pipe, "pipe:opengles"));
	struct vgpu_call *call = vgpu_submit(machine.vgpu, VGPU_CONTROL, &chain);
	vgpu_kick(machine.vgpu, VGPU_CONTROL);
	/* Meanwhile the front-end is served. */
	for (unsigned int i = 0; i < 10; i++) {
		frontend_assert_alive(machine.rig->frontend);
		g_usleep(10000);
	}
	g_assert_true(vgpu_wait(machine.vgpu, call, 60000));
	g_assert_resp(vgpu_finish(machine.vgpu, call), VIRTIO_GPU_RESP_ERR_UNSPEC);
	check_lives_on(&machine, pixels);
	end(&machine);
}

/* ---- commands of contexts ---- */

static void test_commands(const void *mode)
{
	struct machine machine = make_machine();
	g_autofree uint32_t *words = g_new0(uint32_t, 64 << 10);

	(void)mode;
	/* Of any size behind it there are zeros, whatever was there before. */
	for (uint32_t n = 16; n >= 1; n--) {
		memset(words, 0xff, 64);
		words[0] = MOCK_GFX_MEASURE;
		words[1] = RESULTS;
		if (n >= 2) {
			g_assert_ok(vgpu_submit_3d(machine.vgpu, CTX, words, n * 4));
			g_assert_cmpuint(result(&machine, 0), ==, 16);
		} else {
			/* The resource's id is one of the zeros. */
			g_assert_resp(vgpu_submit_3d(machine.vgpu, CTX, words, n * 4),
				      VIRTIO_GPU_RESP_ERR_UNSPEC);
		}
	}
	for (uint32_t size = 1; size < 12; size++) {
		if (size % 4) {
			g_assert_resp(vgpu_submit_3d(machine.vgpu, CTX, words, size),
				      VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER);
		}
	}
	memset(words, 0, 4);
	g_assert_ok(vgpu_submit_3d(machine.vgpu, CTX, words, 64 << 10));
	g_assert_resp(vgpu_submit_3d(machine.vgpu, CTX, words, (64 << 10) + 4),
		      VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER);
	/* One that the library does not know, or does not like. */
	g_assert_resp(RUN(&machine, 0x9001, 1, 2), VIRTIO_GPU_RESP_ERR_UNSPEC);
	g_assert_resp(RUN(&machine, MOCK_GFX_FAIL, ENOENT), VIRTIO_GPU_RESP_ERR_UNSPEC);
	g_assert_resp(RUN(&machine, MOCK_GFX_FAIL, (uint32_t)-EINVAL), VIRTIO_GPU_RESP_ERR_UNSPEC);
	end(&machine);
}

static uint32_t create_blob(struct machine *machine, uint32_t id, uint32_t blob_id,
			    uint64_t size_bytes)
{
	const struct vgpu_blob blob = {
		.mem = HOST3D, .flags = MAPPABLE, .blob_id = blob_id, .size_bytes = size_bytes
	};

	machine->vgpu->next_hdr.ctx_id = CTX;
	return vgpu_resource_create_blob(machine->vgpu, id, &blob);
}

/* Rings are blobs of their own kind, and nothing else is a ring. */
/* Those of an API that was not started would end the process. */
static void test_syncs(const void *mode)
{
	static const char *const capsets[] = { "gfxstream-gles", "gfxstream-vulkan",
					       "gfxstream-gles,gfxstream-vulkan" };

	(void)mode;
	for (size_t i = 0; i < G_N_ELEMENTS(capsets); i++) {
		const char *const args[] = { "--capset", capsets[i], NULL };
		struct machine machine = make_machine_with(args);
		bool has_gles = strstr(capsets[i], "gles") != NULL;
		bool has_vulkan = strstr(capsets[i], "vulkan") != NULL;

		begin(&machine);
		g_assert_resp(RUN(&machine, OP_EXPORT_SYNC, 1, 2),
			      has_gles ? VIRTIO_GPU_RESP_OK_NODATA
				       : VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER);
		for (uint32_t op = OP_EXPORT_SYNC_VK; op < OP_CREATE_3D; op++) {
			g_assert_resp(RUN(&machine, op, 1, 2, 3, 4),
				      has_vulkan ? VIRTIO_GPU_RESP_OK_NODATA
						 : VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER);
		}
		end(&machine);
	}
}

static void test_rings(const void *mode)
{
	struct machine machine = make_machine();

	(void)mode;
	g_assert_ok(create_blob(&machine, 1, 0, RING_BYTES));
	g_assert_ok(RUN(&machine, MOCK_GFX_MEMORY, 7, MOCK_GFX_MEMORY_SHM, 0));
	g_assert_ok(create_blob(&machine, 2, 7, PAGE));
	for (uint32_t op = OP_RING_CREATE; op <= OP_RING_PING + 1; op++) {
		g_assert_resp(RUN(&machine, op, 0), VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER);
		g_assert_resp(RUN(&machine, op, 2), VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER);
		g_assert_resp(RUN(&machine, op, 77), VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER);
		g_assert_resp(RUN(&machine, op, RESULTS), VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER);
		g_assert_resp(mock_gfxstream_run(machine.vgpu, CTX, op, NULL, 0),
			      VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER);
	}
	g_assert_resp(RUN(&machine, OP_RING_PING, 1), VIRTIO_GPU_RESP_ERR_UNSPEC);
	/* Not of a context that does not have it. */
	g_assert_resp(RUN(&machine, OP_RING_CREATE, 1), VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER);
	g_assert_ok(vgpu_ctx_attach_resource(machine.vgpu, CTX, 1));
	g_assert_ok(RUN(&machine, OP_RING_CREATE, 1));
	/* A thread for each would be one too many. */
	g_assert_resp(RUN(&machine, OP_RING_CREATE, 1), VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER);
	g_assert_ok(RUN(&machine, OP_RING_PING, 1));
	/* One that is shorter than what is taken for granted of it is none. */
	g_assert_ok(create_blob(&machine, 3, 0, RING_BYTES - 1));
	g_assert_ok(create_blob(&machine, 4, 0, (16 << 20) + 1));
	for (uint32_t id = 3; id <= 4; id++) {
		g_assert_ok(vgpu_ctx_attach_resource(machine.vgpu, CTX, id));
		g_assert_resp(RUN(&machine, OP_RING_CREATE, id),
			      VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER);
	}
	g_assert_ok(RUN(&machine, MOCK_GFX_COUNT_RINGS, RESULTS, 1));
	g_assert_cmpuint(result(&machine, 0), ==, 1);
	g_assert_cmpuint(result(&machine, 1), ==, 2);
	/* A context goes with a ring that lives. */
	g_assert_ok(vgpu_ctx_destroy(machine.vgpu, CTX));
	g_assert_ok(vgpu_resource_unref(machine.vgpu, 1));
	end(&machine);
}

static uint32_t create_3d(struct machine *machine, uint32_t width, uint32_t height,
			  uint32_t blob_id)
{
	/* Opcode, target, format, bind; padding and the name's upper half are 0. */
	return RUN(machine, OP_CREATE_3D, 2, FORMAT, BIND_RENDER_TARGET, width, height, 1, 1, 0, 0,
		   0, 0, blob_id, 0);
}

/* A picture that is a blob: asked for in a command, as sound as any other. */
static void test_picture_blobs(const void *mode)
{
	const struct vgpu_layout layout = { FORMAT, 64, 64, 256, 0 };
	struct machine machine = make_machine();

	(void)mode;
	g_assert_resp(create_3d(&machine, 0, 64, 5), VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER);
	g_assert_resp(create_3d(&machine, 100000, 100000, 5),
		      VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER);
	g_assert_resp(create_3d(&machine, 64, 64, 0), VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER);
	g_assert_resp(mock_gfxstream_run(machine.vgpu, CTX, OP_CREATE_3D, NULL, 0),
		      VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER);
	g_assert_ok(create_3d(&machine, 64, 64, 5));
	g_assert_resp(create_3d(&machine, 64, 64, 5), VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER);
	g_assert_ok(create_blob(&machine, 1, 5, 64 * 64 * 4));
	/* The name is free again. */
	g_assert_ok(create_3d(&machine, 64, 64, 5));
	g_assert_ok(RUN(&machine, MOCK_GFX_BLOB_WRITE, 1, 64 + 3, 0x123456));
	g_assert_ok(vgpu_set_scanout_blob(machine.vgpu, 0, 1, &layout));
	g_assert_ok(vgpu_resource_flush(machine.vgpu, 1, 0, 0, 64, 64));
	display_wait_pixel(machine.rig->display, 0, 3, 1, 0x123456);
	/* More of them than a driver asks for before it uses one. */
	uint32_t n = 0;
	while (create_3d(&machine, 64, 64, 100 + n) == VIRTIO_GPU_RESP_OK_NODATA) {
		g_assert_cmpuint(++n, <, 2000);
	}
	g_assert_cmpuint(n, >, 500);
	g_assert_ok(create_blob(&machine, 2, 100, 64 * 64 * 4));
	g_assert_ok(create_3d(&machine, 64, 64, 5000));
	/* The library looks at one half of a name. */
	const struct vgpu_blob far = { .mem = HOST3D,
				       .blob_id = 5000 | UINT64_C(1) << 40,
				       .size_bytes = 64 * 64 * 4 };
	machine.vgpu->next_hdr.ctx_id = CTX;
	g_assert_resp(vgpu_resource_create_blob(machine.vgpu, 3, &far),
		      VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER);
	/* A picture of which it makes no blob it can't be rid of: its id is given to nobody. */
	g_assert_ok(RUN(&machine, MOCK_GFX_FAIL_NEXT, MOCK_GFX_FAIL_PICTURE));
	g_assert_resp(create_blob(&machine, 9, 101, 64 * 64 * 4),
		      VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER);
	g_assert_resp(vgpu_resource_create_2d(machine.vgpu, 9, FORMAT, 8, 8),
		      VIRTIO_GPU_RESP_ERR_OUT_OF_MEMORY);
	g_assert_resp(create_blob(&machine, 9, 0, PAGE), VIRTIO_GPU_RESP_ERR_OUT_OF_MEMORY);
	g_assert_ok(create_blob(&machine, 10, 102, 64 * 64 * 4));
	end(&machine);
}

/* Ids of contexts and resources, in the order of a guest that means no good. */
static void test_contexts(const void *mode)
{
	struct machine machine = make_machine();
	struct vgpu *vgpu = machine.vgpu;

	(void)mode;
	g_assert_ok(vgpu_ctx_create(vgpu, OTHER_CTX, CAPSET_GLES, ""));
	for (unsigned int i = 0; i < 3; i++) {
		g_assert_ok(vgpu_resource_create_2d(vgpu, 1, FORMAT, 8, 8));
		/* Twice to one, to two of them, and then it goes. */
		g_assert_ok(vgpu_ctx_attach_resource(vgpu, CTX, 1));
		g_assert_ok(vgpu_ctx_attach_resource(vgpu, CTX, 1));
		g_assert_ok(vgpu_ctx_attach_resource(vgpu, OTHER_CTX, 1));
		g_assert_ok(vgpu_ctx_detach_resource(vgpu, OTHER_CTX, 1));
		g_assert_ok(vgpu_ctx_detach_resource(vgpu, OTHER_CTX, 1));
		g_assert_ok(vgpu_ctx_attach_resource(vgpu, OTHER_CTX, 1));
		g_assert_ok(vgpu_resource_unref(vgpu, 1));
	}
	/* The context goes first. */
	g_assert_ok(vgpu_resource_create_2d(vgpu, 1, FORMAT, 8, 8));
	g_assert_ok(vgpu_ctx_attach_resource(vgpu, OTHER_CTX, 1));
	g_assert_ok(vgpu_ctx_destroy(vgpu, OTHER_CTX));
	g_assert_ok(vgpu_ctx_create(vgpu, OTHER_CTX, CAPSET_VULKAN, "another"));
	g_assert_ok(vgpu_ctx_attach_resource(vgpu, OTHER_CTX, 1));
	g_assert_ok(vgpu_resource_unref(vgpu, 1));
	g_assert_ok(RUN(&machine, MOCK_GFX_FAIL_NEXT, MOCK_GFX_FAIL_CONTEXT));
	g_assert_resp(vgpu_ctx_create(vgpu, 3, 0, "three"), VIRTIO_GPU_RESP_ERR_UNSPEC);
	g_assert_ok(vgpu_ctx_create(vgpu, 3, 0, "three"));
	/* A guest's blob is nothing to the library. */
	g_assert_ok(vgpu_resource_create_guest_blob(vgpu, 5, rig_backing(machine.rig, NULL, PAGE),
						    PAGE));
	g_assert_ok(vgpu_ctx_attach_resource(vgpu, CTX, 5));
	g_assert_ok(vgpu_ctx_detach_resource(vgpu, CTX, 5));
	g_assert_ok(vgpu_ctx_attach_resource(vgpu, CTX, 5));
	g_assert_ok(vgpu_resource_unref(vgpu, 5));
	end(&machine);
}

/* ---- blobs ---- */

static void map(struct machine *machine, uint32_t id, uint64_t offset)
{
	g_assert_resp(vgpu_resource_map_blob(machine->vgpu, id, offset),
		      VIRTIO_GPU_RESP_OK_MAP_INFO);
}

/* Word @word of blob @id, at @offset of the window, is the same from both sides. */
static void check_word(struct machine *machine, uint32_t id, uint64_t offset, uint32_t word)
{
	uint32_t value = id * 1000003 + word, seen;

	window_write(machine->window, offset + word * 4, &value, sizeof(value));
	g_assert_ok(RUN(machine, MOCK_GFX_BLOB_READ, id, word, RESULTS));
	g_assert_cmphex(result(machine, 0), ==, value);
	g_assert_ok(RUN(machine, MOCK_GFX_BLOB_WRITE, id, word, ~value));
	window_read(machine->window, offset + word * 4, &seen, sizeof(seen));
	g_assert_cmphex(seen, ==, ~value);
}

static void test_map(const void *mode)
{
	struct machine machine = make_machine();

	(void)mode;
	g_assert_ok(create_blob(&machine, 1, 0, 3 * PAGE));
	map(&machine, 1, 0);
	check_word(&machine, 1, 0, 0);
	check_word(&machine, 1, 0, 3 * PAGE / 4 - 1);
	/* As often as it likes, though the library gives its descriptor once. */
	for (uint64_t i = 1; i < 5; i++) {
		g_assert_ok(vgpu_resource_unmap_blob(machine.vgpu, 1));
		map(&machine, 1, i * 8 * PAGE);
		check_word(&machine, 1, i * 8 * PAGE, 5);
	}
	/* Behind the head of a file of software Vulkan's. */
	g_assert_ok(RUN(&machine, MOCK_GFX_MEMORY, 7, MOCK_GFX_MEMORY_OPAQUE, PAGE));
	g_assert_ok(create_blob(&machine, 2, 7, 2 * PAGE));
	map(&machine, 2, 0);
	check_word(&machine, 2, 0, 0);
	check_word(&machine, 2, 0, 2 * PAGE / 4 - 1);
	/* Whose context goes keeps its memory. */
	g_assert_ok(vgpu_ctx_destroy(machine.vgpu, CTX));
	uint32_t seen;
	window_read(machine.window, 0, &seen, sizeof(seen));
	g_assert_ok(vgpu_resource_unmap_blob(machine.vgpu, 2));
	g_assert_ok(vgpu_resource_unref(machine.vgpu, 1));
	end(&machine);
}

static void test_no_such_memory(const void *mode)
{
	struct machine machine = make_machine();
	const struct virtio_gpu_mem_entry entry = { rig_backing(machine.rig, NULL, PAGE), PAGE, 0 };
	const struct vgpu_blob both = { .mem = VIRTIO_GPU_BLOB_MEM_HOST3D_GUEST,
					.size_bytes = PAGE,
					.entries = &entry,
					.n_entries = 1 };

	(void)mode;
	/* The library says yes. */
	g_assert_resp(create_blob(&machine, 1, 77, PAGE), VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER);
	g_assert_resp(vgpu_resource_unref(machine.vgpu, 1),
		      VIRTIO_GPU_RESP_ERR_INVALID_RESOURCE_ID);
	g_assert_ok(create_blob(&machine, 1, 0, PAGE));
	g_assert_resp(create_blob(&machine, 1, 0, PAGE), VIRTIO_GPU_RESP_ERR_INVALID_RESOURCE_ID);
	machine.vgpu->next_hdr.ctx_id = CTX;
	g_assert_resp(vgpu_resource_create_blob(machine.vgpu, 2, &both),
		      VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER);
	/* Each is there once. */
	g_assert_ok(RUN(&machine, MOCK_GFX_MEMORY, 7, MOCK_GFX_MEMORY_SHM, 0));
	g_assert_ok(create_blob(&machine, 2, 7, PAGE));
	g_assert_resp(create_blob(&machine, 3, 7, PAGE), VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER);
	/* More than a guest is given. */
	g_assert_resp(create_blob(&machine, 3, 0, UINT64_C(1) << 40),
		      VIRTIO_GPU_RESP_ERR_OUT_OF_MEMORY);
	g_assert_resp(create_blob(&machine, 3, 0, UINT64_MAX), VIRTIO_GPU_RESP_ERR_OUT_OF_MEMORY);
	end(&machine);
}

/* Whatever it is, no front-end is asked to map what it can't. */
static void test_kinds(const void *mode)
{
	static const struct {
		uint32_t kind, value;
		uint32_t map_info; /* 0: it can't be mapped */
	} kinds[] = {
		{ MOCK_GFX_MEMORY_SHM, 0, VIRTIO_GPU_MAP_CACHE_CACHED },
		{ MOCK_GFX_MEMORY_OPAQUE, PAGE, VIRTIO_GPU_MAP_CACHE_CACHED },
		{ MOCK_GFX_MEMORY_OPAQUE, 2 * PAGE, VIRTIO_GPU_MAP_CACHE_CACHED },
		{ MOCK_GFX_MEMORY_TYPE, 1, 0 }, /* opaque, and no head */
		{ MOCK_GFX_MEMORY_TYPE, 2, VIRTIO_GPU_MAP_CACHE_CACHED },
		{ MOCK_GFX_MEMORY_TYPE, 3, 0 },
		{ MOCK_GFX_MEMORY_TYPE, 5, 0 },
		{ MOCK_GFX_MEMORY_TYPE, 0x50, 0 },
		{ MOCK_GFX_MEMORY_TYPE, 0x01000000, 0 },
		{ MOCK_GFX_MEMORY_MAP_INFO, VIRTIO_GPU_MAP_CACHE_UNCACHED,
		  VIRTIO_GPU_MAP_CACHE_UNCACHED },
		{ MOCK_GFX_MEMORY_MAP_INFO, VIRTIO_GPU_MAP_CACHE_WC | 0x10,
		  VIRTIO_GPU_MAP_CACHE_WC },
		{ MOCK_GFX_MEMORY_MAP_INFO, 0xf0, 0 },
		{ MOCK_GFX_MEMORY_MAP_INFO, 9, 0 },
		{ MOCK_GFX_MEMORY_SHORT, 1, 0 },
		{ MOCK_GFX_MEMORY_SHORT, PAGE, 0 },
		{ MOCK_GFX_MEMORY_PIPE, 0, 0 },
		{ MOCK_GFX_MEMORY_UNEXPORTABLE, 0, 0 },
	};
	struct machine machine = make_machine();

	(void)mode;
	for (uint32_t i = 0; i < G_N_ELEMENTS(kinds); i++) {
		struct virtio_gpu_resp_map_info info = { 0 };
		uint32_t id = 1 + i;

		g_assert_ok(RUN(&machine, MOCK_GFX_MEMORY, 50 + i, kinds[i].kind, kinds[i].value));
		g_assert_ok(create_blob(&machine, id, 50 + i, 2 * PAGE));
		uint32_t type = vgpu_resource_map_blob(machine.vgpu, id, 2 * i * PAGE);
		memcpy(&info, machine.vgpu->last_response, sizeof(info));
		g_test_message("kind %u, value %u: 0x%x", kinds[i].kind, kinds[i].value, type);
		if (kinds[i].map_info == 0) {
			g_assert_resp(type, VIRTIO_GPU_RESP_ERR_UNSPEC);
		} else {
			g_assert_resp(type, VIRTIO_GPU_RESP_OK_MAP_INFO);
			g_assert_cmpuint(info.map_info, ==, kinds[i].map_info);
			check_word(&machine, id, 2 * i * PAGE, 7);
		}
	}
	end(&machine);
}

/* Its memory is taken out of the window when the process that renders dies. */
static void test_crash(const void *mode)
{
	proto_let_signals_kill();
	struct machine machine = make_machine();

	(void)mode;
	machine.rig->daemon->may_lose_processes = true;
	g_assert_ok(create_blob(&machine, 1, 0, 2 * PAGE));
	map(&machine, 1, 4 * PAGE);
	g_assert_resp(RUN(&machine, MOCK_GFX_DIE, SIGKILL), VIRTIO_GPU_RESP_ERR_UNSPEC);
	rig_assert_serves(machine.rig);
	g_assert_true(window_wait_live(machine.window, 0, VGPU_ANSWER_MS));
	for (uint32_t id = 1; id <= RESULTS; id += RESULTS - 1) {
		g_assert_ok(vgpu_resource_unref(machine.vgpu, id));
	}
	g_assert_ok(vgpu_ctx_destroy(machine.vgpu, CTX));
	begin(&machine);
	g_assert_ok(create_blob(&machine, 1, 0, 2 * PAGE));
	map(&machine, 1, 4 * PAGE);
	check_word(&machine, 1, 4 * PAGE, 9);
	end(&machine);
}

/* All of a guest's goes at once, and its ids with it; so often that it would be seen. */
static void test_reset(const void *mode)
{
	struct machine machine = make_machine();
	unsigned int n_fds = 0;

	(void)mode;
	for (unsigned int i = 0; i < 100; i++) {
		g_assert_ok(vgpu_ctx_create(machine.vgpu, OTHER_CTX, CAPSET_GLES, "other"));
		g_assert_ok(create_blob(&machine, 1, 0, RING_BYTES));
		g_assert_ok(vgpu_ctx_attach_resource(machine.vgpu, OTHER_CTX, 1));
		g_assert_ok(vgpu_ctx_attach_resource(machine.vgpu, CTX, 1));
		g_assert_ok(RUN(&machine, OP_RING_CREATE, 1));
		g_assert_ok(RUN(&machine, MOCK_GFX_MEMORY, 7, MOCK_GFX_MEMORY_SHM, 0));
		g_assert_ok(create_blob(&machine, 2, 7, PAGE));
		struct pipe pipe = make_pipe(&machine, 3);
		g_assert_ok(name_pipe(&machine, &pipe, "pipe:opengles"));
		map(&machine, 1, 0);
		map(&machine, 2, 4 << 20);
		rig_reset(machine.rig, true);
		begin(&machine);
		if (i == 10) {
			n_fds = daemon_count_fds(machine.rig->daemon);
		}
	}
	g_assert_cmpuint(daemon_count_fds(machine.rig->daemon), <, n_fds + 20);
	end(&machine);
}

/* ---- fences ---- */

/* Sends a command with a fence on a ring of the context, or (NO_RING) on none. */
static struct vgpu_call *send_fenced(struct machine *machine, uint32_t ctx, uint32_t ring,
				     uint64_t id)
{
	const uint32_t word = MOCK_GFX_NOP;
	struct virtio_gpu_cmd_submit cmd = {
		.hdr = { .type = VIRTIO_GPU_CMD_SUBMIT_3D,
			 .flags = VIRTIO_GPU_FLAG_FENCE |
				  (ring != NO_RING ? VIRTIO_GPU_FLAG_INFO_RING_IDX : 0),
			 .fence_id = id,
			 .ctx_id = ctx,
			 .ring_idx = ring != NO_RING ? (uint8_t)ring : 0 },
		.size = sizeof(word)
	};
	const struct vgpu_chain chain = { .request = &cmd,
					  .request_size = sizeof(cmd),
					  .payload = &word,
					  .payload_size = sizeof(word),
					  .response_size = 24 };
	struct vgpu_call *call = vgpu_submit(machine->vgpu, VGPU_CONTROL, &chain);

	vgpu_kick(machine->vgpu, VGPU_CONTROL);
	return call;
}

static void finish(struct machine *machine, struct vgpu_call *call)
{
	g_assert_true(vgpu_wait(machine->vgpu, call, VGPU_ANSWER_MS));
	g_assert_ok(vgpu_finish(machine->vgpu, call));
}

static void set_fences(struct machine *machine, uint32_t ctx, uint32_t ring, uint32_t how)
{
	g_assert_ok(RUN(machine, MOCK_GFX_FENCES, ctx, ring, how));
}

/* However they come, each command is answered once, and in the order of its ring. */
static void test_fences(const void *mode)
{
	static const uint32_t rings[] = { NO_RING, 0, 1, 2, 63, 255 };
	struct machine machine = make_machine();
	struct vgpu_call *calls[40];
	uint64_t id = UINT64_C(1) << 40;

	(void)mode;
	for (uint32_t how = MOCK_GFX_FENCES_INSIDE; how <= MOCK_GFX_FENCES_LIES; how++) {
		if (how == MOCK_GFX_FENCES_HOLD) {
			continue;
		}
		for (size_t i = 0; i < G_N_ELEMENTS(rings); i++) {
			unsigned int last_order = 0;

			set_fences(&machine, CTX, rings[i], how);
			for (size_t k = 0; k < G_N_ELEMENTS(calls); k++) {
				calls[k] = send_fenced(&machine, CTX, rings[i], id++);
			}
			for (size_t k = 0; k < G_N_ELEMENTS(calls); k++) {
				g_assert_true(vgpu_wait(machine.vgpu, calls[k], VGPU_ANSWER_MS));
				g_assert_cmpuint(calls[k]->done_order, >, last_order);
				last_order = calls[k]->done_order;
				g_assert_ok(vgpu_finish(machine.vgpu, calls[k]));
			}
		}
	}
	end(&machine);
}

/* One ring waits, and no other; ring 1 is the host's processor, which never does. */
static void test_fences_held(const void *mode)
{
	struct machine machine = make_machine();
	struct vgpu_call *held[10];

	(void)mode;
	g_assert_ok(vgpu_ctx_create(machine.vgpu, OTHER_CTX, CAPSET_VULKAN, "other"));
	set_fences(&machine, CTX, 0, MOCK_GFX_FENCES_HOLD);
	set_fences(&machine, CTX, 1, MOCK_GFX_FENCES_HOLD);
	for (uint64_t i = 0; i < G_N_ELEMENTS(held); i++) {
		held[i] = send_fenced(&machine, CTX, 0, 1 + i);
	}
	for (unsigned int i = 0; i < 3; i++) {
		finish(&machine, send_fenced(&machine, CTX, 1, 50 + i));
		finish(&machine, send_fenced(&machine, CTX, 2, 60 + i));
		finish(&machine, send_fenced(&machine, OTHER_CTX, 0, 70 + i));
		finish(&machine, send_fenced(&machine, CTX, NO_RING, 80 + i));
	}
	g_assert_false(held[0]->is_done);
	g_assert_ok(RUN(&machine, MOCK_GFX_RELEASE, CTX, 0));
	for (size_t i = 0; i < G_N_ELEMENTS(held); i++) {
		finish(&machine, held[i]);
	}
	end(&machine);
}

/* Held back for ever: a context that goes, and a reset, take them along; late ones are nobody's. */
static void test_fences_dropped(const void *mode)
{
	struct machine machine = make_machine();

	(void)mode;
	g_assert_ok(vgpu_ctx_create(machine.vgpu, OTHER_CTX, CAPSET_GLES, "other"));
	set_fences(&machine, OTHER_CTX, 0, MOCK_GFX_FENCES_HOLD);
	struct vgpu_call *call = send_fenced(&machine, OTHER_CTX, 0, 1);
	g_assert_false(vgpu_wait(machine.vgpu, call, 200));
	g_assert_ok(vgpu_ctx_destroy(machine.vgpu, OTHER_CTX));
	finish(&machine, call);
	g_assert_ok(vgpu_ctx_create(machine.vgpu, OTHER_CTX, CAPSET_GLES, "other"));
	call = send_fenced(&machine, OTHER_CTX, 0, 2);
	g_assert_false(vgpu_wait(machine.vgpu, call, 200));
	/* The old context's comes, too, and is not taken for the new one's. */
	g_assert_ok(RUN(&machine, MOCK_GFX_RELEASE, OTHER_CTX, 0));
	finish(&machine, call);
	set_fences(&machine, CTX, 0, MOCK_GFX_FENCES_HOLD);
	set_fences(&machine, CTX, NO_RING, MOCK_GFX_FENCES_HOLD);
	send_fenced(&machine, CTX, 0, 3);
	send_fenced(&machine, CTX, NO_RING, 4);
	rig_reset(machine.rig, true);
	begin(&machine);
	g_assert_ok(RUN(&machine, MOCK_GFX_RELEASE, CTX, 0));
	g_assert_ok(RUN(&machine, MOCK_GFX_RELEASE, CTX, NO_RING));
	finish(&machine, send_fenced(&machine, CTX, 0, 5));
	finish(&machine, send_fenced(&machine, CTX, NO_RING, 6));
	end(&machine);
}

/* There is no fence to be had: the command is done with those before it. */
static void test_fence_refused(const void *mode)
{
	struct machine machine = make_machine();

	(void)mode;
	g_assert_ok(RUN(&machine, MOCK_GFX_FAIL_NEXT, MOCK_GFX_FAIL_FENCE));
	finish(&machine, send_fenced(&machine, CTX, 0, 1));
	finish(&machine, send_fenced(&machine, CTX, 0, 2));
	end(&machine);
}

/* ---- messages ---- */

static bool has_said_more(void *data)
{
	g_autofree char *text = daemon_stderr(data);

	return strstr(text, "and more") != NULL;
}

static void check_log(const char *level, uint32_t debug_type, bool is_shown)
{
	g_setenv("VHOST_DEVICE_GPU_LOG", level, TRUE);
	struct machine machine = make_machine();

	/* What was said of the beginning has filled the measure of a second. */
	g_usleep(2 * G_USEC_PER_SEC);
	g_assert_ok(RUN(&machine, MOCK_GFX_LOG, 1, debug_type));
	rig_assert_serves(machine.rig);
	if (is_shown) {
		g_assert_true(suite_wait(has_said_more, machine.rig->daemon, 5000));
	} else {
		g_usleep(200 * 1000);
	}
	g_autofree char *text = daemon_stderr(machine.rig->daemon);
	g_assert_cmpint(strstr(text, "the guest did") != NULL, ==, is_shown);
	g_assert_cmpint(strstr(text, "and more") != NULL, ==, is_shown);
	g_assert_null(strchr(text, '\x1b'));
	end(&machine);
}

static void test_log(const void *mode)
{
	(void)mode;
	check_log("warn", 1, true);
	check_log("warn", 2, false);
	check_log("info", 2, true);
	check_log("info", 3, false);
	check_log("debug", 3, true);
	check_log("debug", 4, false);
	check_log("trace", 4, true);
	check_log("error", 1, false);
}

int main(int argc, char **argv)
{
	suite_init(&argc, &argv);
	suite_set_limit_s(200);
	proto_add_gfxstream("start", "no_library", test_no_library);
	proto_add_gfxstream("start", "wrong_library", test_wrong_library);
	proto_add_gfxstream("start", "by_name", test_by_name);
	proto_add_gfxstream("start", "abort", test_start_abort);
	proto_add_gfxstream("start", "crash", test_start_crash);
	proto_add_gfxstream("start", "fail", test_start_fail);
	proto_add_gfxstream("start", "no_fence", test_start_no_fence);
	proto_add_gfxstream("start", "hang", test_start_hang);
	proto_add_gfxstream("start", "no_vulkan_driver", test_no_vulkan_driver);
	proto_add_gfxstream("start", "capsets", test_capsets);
	proto_add_gfxstream("start", "flags", test_flags);
	proto_add_gfxstream("start", "processes", test_processes);
	proto_add_gfxstream("picture", "offsets", test_offsets);
	proto_add_gfxstream("picture", "without_pages", test_without_pages);
	proto_add_gfxstream("picture", "drawn", test_drawn);
	proto_add_gfxstream("picture", "refused_copies", test_refused_copies);
	proto_add_gfxstream("picture", "refused", test_refused_resources);
	proto_add_gfxstream("picture", "memory_bound", test_memory_bound);
	proto_add_gfxstream("pipe", "work", test_pipe);
	proto_add_gfxstream("pipe", "rules", test_pipe_rules);
	proto_add_gfxstream("pipe", "silent", test_silent_pipe);
	proto_add_gfxstream("context", "dies", test_dies);
	proto_add_gfxstream("context", "commands", test_commands);
	proto_add_gfxstream("context", "syncs", test_syncs);
	proto_add_gfxstream("context", "rings", test_rings);
	proto_add_gfxstream("context", "picture_blobs", test_picture_blobs);
	proto_add_gfxstream("context", "ids", test_contexts);
	proto_add_gfxstream("host-blob", "map", test_map);
	proto_add_gfxstream("host-blob", "no_such_memory", test_no_such_memory);
	proto_add_gfxstream("host-blob", "kinds", test_kinds);
	proto_add_gfxstream("host-blob", "crash", test_crash);
	proto_add_gfxstream("host-blob", "reset", test_reset);
	proto_add_gfxstream("fences", "work", test_fences);
	proto_add_gfxstream("fences", "held", test_fences_held);
	proto_add_gfxstream("fences", "dropped", test_fences_dropped);
	proto_add_gfxstream("fences", "refused", test_fence_refused);
	proto_add_gfxstream("log", "library", test_log);
	return suite_run();
}
