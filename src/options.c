/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * A drop-in for rust-vmm's program: its long and short options, its spellings
 * ("--use-egl false" and "--use-egl=false" alike), its exit status 2 for wrong
 * use. --fd, --virgl, --render-node and --print-capabilities are those of
 * QEMU's vhost-user back-end conventions, which libvirt uses.
 */
#include "options.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "config.h"
#include "util/service.h"
#include "util/sock.h"

/* As GOption fills them; all owned. */
struct raw {
	char *socket_path;
	char *fd;
	char *gpu_mode;
	char **capsets;
	char *use_egl, *use_glx, *use_gles, *use_surfaceless;
	char *gpu_device, *render_node;
	char *max_hostmem, *max_clients, *max_crashes;
	char *hostmem, *shmem_feature_bit;
	char *sandbox, *shader_cache, *dmabuf, *gfxstream_library;
	char *control_socket;
	gboolean is_headless, is_virgl, is_version, is_asked;
	char **rest;
};

/* Several 4K screens and a game's textures. */
#define DEFAULT_HOSTMEM_BYTES (UINT64_C(2) << 30)
/* Less shows no screen; more has no machine, and leaves sums of sizes far from 64 bits. */
#define MIN_HOSTMEM_BYTES (UINT64_C(1) << 20)
#define MAX_HOSTMEM_BYTES (UINT64_C(1) << 50)
/* Address space, and no memory; more than a front-end can have of that is no use. */
#define DEFAULT_WINDOW_BYTES (UINT64_C(8) << 30)
#define MAX_WINDOW_BYTES (UINT64_C(64) << 40)
/* VHOST_USER_PROTOCOL_F_SHMEM_MAP, and what it was before it had a number. */
#define SHMEM_FEATURE_BIT 22
#define OLD_SHMEM_FEATURE_BIT 21
#define MAX_CLIENTS 1024
#define DEFAULT_CRASHES 5
#define MAX_CRASHES 1000000

struct mode {
	const char *name; /* as renderer_find() has it */
	const char *spelling;
};

static const struct mode modes[] = {
	{ "virglrenderer", "virglrenderer" },
	{ "virglrenderer", "virgl-renderer" },
	{ "gfxstream", "gfxstream" },
	{ "2d", "2d" },
	{ "null", "null" },
};

static const struct {
	const char *name;
	const char *mode; /* spelling of the mode that has it */
	uint32_t id;
} capsets[] = {
	{ "virgl", "virglrenderer", RENDERER_CAPSET_VIRGL },
	{ "virgl2", "virglrenderer", RENDERER_CAPSET_VIRGL2 },
	{ "venus", "virglrenderer", RENDERER_CAPSET_VENUS },
	{ "drm", "virglrenderer", RENDERER_CAPSET_DRM },
	{ "gfxstream-vulkan", "gfxstream", RENDERER_CAPSET_GFXSTREAM_VULKAN },
	{ "gfxstream-gles", "gfxstream", RENDERER_CAPSET_GFXSTREAM_GLES },
};

const char *options_capset_name(uint32_t id)
{
	for (size_t i = 0; i < G_N_ELEMENTS(capsets); i++) {
		if (capsets[i].id == id) {
			return capsets[i].name;
		}
	}
	return NULL;
}

static void G_GNUC_PRINTF(1, 2) complain(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	g_autofree char *text = g_strdup_vprintf(format, args);
	va_end(args);
	fprintf(stderr, "vhost-device-gpu: %s\n", text);
}

static void raw_finish(struct raw *raw)
{
	g_free(raw->socket_path);
	g_free(raw->fd);
	g_free(raw->gpu_mode);
	g_strfreev(raw->capsets);
	g_free(raw->use_egl);
	g_free(raw->use_glx);
	g_free(raw->use_gles);
	g_free(raw->use_surfaceless);
	g_free(raw->gpu_device);
	g_free(raw->render_node);
	g_free(raw->max_hostmem);
	g_free(raw->max_clients);
	g_free(raw->max_crashes);
	g_free(raw->hostmem);
	g_free(raw->shmem_feature_bit);
	g_free(raw->sandbox);
	g_free(raw->shader_cache);
	g_free(raw->dmabuf);
	g_free(raw->control_socket);
	g_free(raw->gfxstream_library);
	g_strfreev(raw->rest);
}

/*
 * GOption knows neither "-sPATH" nor "-s=PATH", which clap and getopt take.
 * Returns argv with these in two words; owned.
 */
static char **part_short_options(int argc, char **argv)
{
	GPtrArray *words = g_ptr_array_new();

	for (int i = 0; i < argc; i++) {
		const char *arg = argv[i];
		bool is_joined = arg[0] == '-' && arg[1] != '\0' &&
				 strchr("sgc", arg[1]) != NULL && arg[2] != '\0';

		if (is_joined) {
			g_ptr_array_add(words, g_strndup(arg, 2));
			g_ptr_array_add(words, g_strdup(arg + (arg[2] == '=' ? 3 : 2)));
		} else {
			g_ptr_array_add(words, g_strdup(arg));
		}
	}
	g_ptr_array_add(words, NULL);
	return (char **)g_ptr_array_free(words, FALSE);
}

static bool parse_raw(int argc, char **argv, struct raw *raw)
{
	const GOptionEntry entries[] = {
		{ "socket-path", 's', 0, G_OPTION_ARG_FILENAME, &raw->socket_path,
		  "vhost-user socket to listen on", "PATH" },
		{ "fd", 0, 0, G_OPTION_ARG_FILENAME, &raw->fd,
		  "Connected or listening vhost-user socket that is already open", "N" },
		{ "socket-fd", 0, G_OPTION_FLAG_HIDDEN, G_OPTION_ARG_FILENAME, &raw->fd, NULL,
		  NULL },
		{ "gpu-mode", 'g', 0, G_OPTION_ARG_FILENAME, &raw->gpu_mode,
		  "virglrenderer, gfxstream, 2d or null [2d; virglrenderer with --virgl]", "MODE" },
		{ "capset", 'c', 0, G_OPTION_ARG_FILENAME_ARRAY, &raw->capsets,
		  "Comma separated: virgl, virgl2, venus, drm (virglrenderer); gfxstream-vulkan, "
		  "gfxstream-gles (gfxstream) [all that work but drm]",
		  "LIST" },
		{ "use-egl", 0, 0, G_OPTION_ARG_FILENAME, &raw->use_egl,
		  "Render through EGL [true]", "BOOL" },
		{ "use-glx", 0, 0, G_OPTION_ARG_FILENAME, &raw->use_glx,
		  "Render through GLX [false]", "BOOL" },
		{ "use-gles", 0, 0, G_OPTION_ARG_FILENAME, &raw->use_gles,
		  "Render with OpenGL ES [true]", "BOOL" },
		{ "use-surfaceless", 0, 0, G_OPTION_ARG_FILENAME, &raw->use_surfaceless,
		  "Render without a window system [true]", "BOOL" },
		{ "gfxstream-library", 0, 0, G_OPTION_ARG_FILENAME, &raw->gfxstream_library,
		  "libgfxstream_backend.so to load [where the linker finds it]", "PATH" },
		{ "gpu-device", 0, 0, G_OPTION_ARG_FILENAME, &raw->gpu_device,
		  "DRM render node to use, such as /dev/dri/renderD128 (virglrenderer)", "PATH" },
		{ "render-node", 0, 0, G_OPTION_ARG_FILENAME, &raw->render_node,
		  "The same as --gpu-device; without --virgl and --gpu-mode it is not used",
		  "PATH" },
		{ "headless", 0, 0, G_OPTION_ARG_NONE, &raw->is_headless,
		  "No display output; display info and EDID of our own", NULL },
		{ "virgl", 0, 0, G_OPTION_ARG_NONE, &raw->is_virgl,
		  "OpenGL for the guest: the same as --gpu-mode virglrenderer", NULL },
		{ "max-hostmem", 0, 0, G_OPTION_ARG_FILENAME, &raw->max_hostmem,
		  "Host memory that a guest may hold; bytes, or with K, M, G or T behind [2G]",
		  "SIZE" },
		{ "hostmem", 0, 0, G_OPTION_ARG_FILENAME, &raw->hostmem,
		  "Size of the window in which a guest sees memory of the host's, if the renderer "
		  "has such and the front-end maps it; address space, not memory; 0: none [8G]",
		  "SIZE" },
		{ "shmem-feature-bit", 0, 0, G_OPTION_ARG_FILENAME, &raw->shmem_feature_bit,
		  "Protocol feature by which the front-end says that it maps: 22, or 21 for some "
		  "that are not QEMU [22]",
		  "N" },
		{ "max-clients", 0, 0, G_OPTION_ARG_FILENAME, &raw->max_clients,
		  "Front-ends that are served at once, each in a process of its own; "
		  "further ones wait [1]",
		  "N" },
		{ "max-crashes", 0, 0, G_OPTION_ARG_FILENAME, &raw->max_crashes,
		  "Crashes in a row of the process that renders, before a guest is left with 2D "
		  "[5]",
		  "N" },
		{ "sandbox", 0, 0, G_OPTION_ARG_FILENAME, &raw->sandbox,
		  "What the program's processes may reach is limited: on, off, strict (or it does "
		  "not start), report (what would be refused is said) [" DEFAULT_SANDBOX "]",
		  "MODE" },
		{ "shader-cache", 0, 0, G_OPTION_ARG_FILENAME, &raw->shader_cache,
		  "Folder for compiled shaders, which outlive the VM there; for one VM alone [they "
		  "are kept in memory]",
		  "DIR" },
		{ "dmabuf", 0, 0, G_OPTION_ARG_FILENAME, &raw->dmabuf,
		  "Pictures as buffers that the front-end's display reads by itself: on, for a "
		  "display with OpenGL alone, as others would show nothing; off; auto, which is "
		  "off as long as no front-end says what its display can [auto]",
		  "MODE" },
		{ "control-socket", 0, 0, G_OPTION_ARG_FILENAME, &raw->control_socket,
		  "Socket for vhost-device-gpuctl, which looks inside; for the same user alone",
		  "PATH" },
		{ "print-capabilities", 0, 0, G_OPTION_ARG_NONE, &raw->is_asked,
		  "Print as JSON which of --virgl and --render-node work on this host, whatever "
		  "other options say",
		  NULL },
		{ "version", 'V', 0, G_OPTION_ARG_NONE, &raw->is_version, "Print the version",
		  NULL },
		{ G_OPTION_REMAINING, 0, G_OPTION_FLAG_HIDDEN, G_OPTION_ARG_FILENAME_ARRAY,
		  &raw->rest, NULL, NULL },
		G_OPTION_ENTRY_NULL,
	};
	g_autoptr(GOptionContext) context = g_option_context_new(NULL);
	g_autoptr(GError) error = NULL;

	g_auto(GStrv) words = part_short_options(argc, argv);

	for (int i = 1; words[0] != NULL && words[i] != NULL; i++) {
		/* GOption would take "--headless=false" for "--headless". */
		if (g_str_has_prefix(words[i], "--headless=") ||
		    g_str_has_prefix(words[i], "--virgl=")) {
			complain("%s: this option takes no value", words[i]);
			return false;
		}
	}

	g_option_context_set_summary(
		context, "A GPU for virtual machines: vhost-user back-end of a virtio-gpu device.");
	g_option_context_set_description(
		context, "Exit status: 0 ended as asked, 1 the host lacks something, 2 wrong use.\n"
			 "VHOST_DEVICE_GPU_LOG (or RUST_LOG) = error, warn, info, debug, trace.\n"
			 "Of each level a process logs 10 lines at once, then one a second (info and "
			 "debug: 10 a\n"
			 "second), and says how many it left out; with trace it logs all.");
	g_option_context_add_main_entries(context, entries, NULL);
	if (!g_option_context_parse_strv(context, &words, &error)) {
		complain("%s (see --help)", error->message);
		return false;
	}
	if (raw->rest != NULL) {
		complain("unexpected argument '%s' (only options are allowed, see --help)",
			 raw->rest[0]);
		return false;
	}
	return true;
}

/* NULL text leaves *value_out as it is. */
static bool parse_bool(const char *option, const char *text, bool *value_out)
{
	if (text == NULL) {
		return true;
	}
	if (strcmp(text, "true") != 0 && strcmp(text, "false") != 0) {
		complain("%s: invalid value '%s' (allowed: true, false)", option, text);
		return false;
	}
	*value_out = text[0] == 't';
	return true;
}

/* How far a unit's letter shifts; -1: it is none. */
static int unit_shift(const char *unit)
{
	static const char letters[] = "KMGT";
	const char *found;

	if (*unit == '\0') {
		return 0;
	}
	found = strchr(letters, g_ascii_toupper(*unit));
	return found != NULL && unit[1] == '\0' ? 10 * (int)(found - letters + 1) : -1;
}

/* "64M". False: it is no number of bytes up to max. */
static bool read_size(const char *text, uint64_t max, uint64_t *bytes_out)
{
	size_t n_digits = strspn(text, "0123456789");
	g_autofree char *digits = g_strndup(text, n_digits);
	int shift = unit_shift(text + n_digits);
	guint64 value;

	if (shift < 0 ||
	    !g_ascii_string_to_unsigned(digits, 10, 0, max >> shift, &value, NULL)) {
		return false;
	}
	*bytes_out = value << shift;
	return true;
}

/* NULL text leaves *bytes_out as it is. */
static bool parse_max_hostmem(const char *text, uint64_t *bytes_out)
{
	uint64_t bytes;

	if (text == NULL) {
		return true;
	}
	if (!read_size(text, MAX_HOSTMEM_BYTES, &bytes) || bytes < MIN_HOSTMEM_BYTES) {
		complain("--max-hostmem: invalid value '%s' (allowed: 1M to 1024T; bytes, or with "
			 "K, M, G or T behind)",
			 text);
		return false;
	}
	*bytes_out = bytes;
	return true;
}

/* NULL text leaves *bytes_out as it is. */
static bool parse_hostmem(const char *text, uint64_t *bytes_out)
{
	uint64_t page_bytes = (uint64_t)sysconf(_SC_PAGESIZE);
	uint64_t bytes;

	if (text == NULL) {
		return true;
	}
	if (!read_size(text, MAX_WINDOW_BYTES, &bytes) || bytes % page_bytes != 0) {
		complain("--hostmem: invalid value '%s' (allowed: 0 to 64T, in pages of "
			 "%" G_GUINT64_FORMAT " bytes; bytes, or with K, M, G or T behind)",
			 text, page_bytes);
		return false;
	}
	*bytes_out = bytes;
	return true;
}

/* NULL text leaves *bit_out as it is. */
static bool parse_feature_bit(const char *text, unsigned int *bit_out)
{
	guint64 bit;

	if (text == NULL) {
		return true;
	}
	if (!g_ascii_string_to_unsigned(text, 10, OLD_SHMEM_FEATURE_BIT, SHMEM_FEATURE_BIT, &bit,
					NULL)) {
		complain("--shmem-feature-bit: invalid value '%s' (allowed: 21, 22)", text);
		return false;
	}
	*bit_out = (unsigned int)bit;
	return true;
}

/* 1 to max. NULL text leaves *count_out as it is. */
static bool parse_count(const char *option, const char *text, unsigned int max,
			unsigned int *count_out)
{
	guint64 value;

	if (text == NULL) {
		return true;
	}
	if (!g_ascii_string_to_unsigned(text, 10, 1, max, &value, NULL)) {
		complain("%s: invalid value '%s' (allowed: 1 to %u)", option, text, max);
		return false;
	}
	*count_out = (unsigned int)value;
	return true;
}

static bool parse_sandbox(const char *text, enum sandbox_mode *mode_out)
{
	static const char *const names[] = {
		[SANDBOX_ON] = "on",
		[SANDBOX_STRICT] = "strict",
		[SANDBOX_REPORT] = "report",
		[SANDBOX_OFF] = "off",
	};

	for (size_t i = 0; i < G_N_ELEMENTS(names); i++) {
		if (strcmp(names[i], text) == 0) {
			*mode_out = (enum sandbox_mode)i;
			return true;
		}
	}
	complain("--sandbox: invalid value '%s' (allowed: on, off, strict, report)", text);
	return false;
}

/* NULL text: AUTO. */
static bool parse_dmabuf(const char *text, enum dmabuf_mode *mode_out)
{
	static const char *const names[] = {
		[DMABUF_AUTO] = "auto",
		[DMABUF_ON] = "on",
		[DMABUF_OFF] = "off",
	};

	for (size_t i = 0; i < G_N_ELEMENTS(names); i++) {
		if (text == NULL || strcmp(names[i], text) == 0) {
			*mode_out = (enum dmabuf_mode)i;
			return true;
		}
	}
	complain("--dmabuf: invalid value '%s' (allowed: auto, on, off)", text);
	return false;
}

static bool parse_limits(const struct raw *raw, struct options *options)
{
	return parse_max_hostmem(raw->max_hostmem, &options->max_hostmem_bytes) &&
	       parse_hostmem(raw->hostmem, &options->hostmem_bytes) &&
	       parse_feature_bit(raw->shmem_feature_bit, &options->shmem_feature_bit) &&
	       parse_count("--max-clients", raw->max_clients, MAX_CLIENTS,
			   &options->max_clients) &&
	       parse_count("--max-crashes", raw->max_crashes, MAX_CRASHES, &options->max_crashes);
}

/* The index in modes[], or -1 after a complaint. */
static int parse_mode(const struct raw *raw)
{
	const char *wanted = raw->gpu_mode;

	if (wanted == NULL) {
		wanted = raw->is_virgl ? "virglrenderer" : "2d";
	}
	for (size_t i = 0; i < G_N_ELEMENTS(modes); i++) {
		if (strcmp(modes[i].spelling, wanted) != 0) {
			continue;
		}
		if (raw->is_virgl && g_strcmp0(modes[i].name, "virglrenderer") != 0) {
			complain("--virgl: not with --gpu-mode %s (allowed: virglrenderer)", wanted);
			return -1;
		}
		return (int)i;
	}
	complain("--gpu-mode: invalid value '%s' (allowed: virglrenderer, virgl-renderer, "
		 "gfxstream, 2d, null)",
		 wanted);
	return -1;
}

static bool take_capset(const char *name, const char *mode, bool use_gles, uint32_t *mask)
{
	for (size_t i = 0; i < G_N_ELEMENTS(capsets); i++) {
		if (strcmp(capsets[i].name, name) != 0) {
			continue;
		}
		if (strcmp(capsets[i].mode, mode) != 0) {
			complain(
				"--capset: '%s' is not a capset of gpu mode %s (allowed there: %s)",
				name, mode,
				strcmp(mode, "virglrenderer") == 0 ? "virgl, virgl2, venus, drm"
				: strcmp(mode, "gfxstream") == 0
					? "gfxstream-vulkan, gfxstream-gles"
					: "none");
			return false;
		}
		if (capsets[i].id == RENDERER_CAPSET_GFXSTREAM_GLES && !use_gles) {
			complain("--capset: 'gfxstream-gles' needs --use-gles true");
			return false;
		}
		*mask |= 1u << capsets[i].id;
		return true;
	}
	complain("--capset: invalid value '%s' (allowed: virgl, virgl2, venus, drm, "
		 "gfxstream-vulkan, "
		 "gfxstream-gles)",
		 name);
	return false;
}

static bool parse_capsets(char **lists, const char *mode, bool use_gles, uint32_t *mask_out)
{
	/* An empty list has one name, the empty one, which is wrong like any other. */
	for (char **list = lists; list != NULL && *list != NULL; list++) {
		g_auto(GStrv) names = g_strsplit(**list != '\0' ? *list : ",", ",", -1);

		for (char **name = names; *name != NULL; name++) {
			if (!take_capset(*name, mode, use_gles, mask_out)) {
				return false;
			}
		}
	}
	return true;
}

static bool parse_fd(const char *text, int *fd_out)
{
	char *end;

	errno = 0;
	long value = strtol(text, &end, 10);
	if (errno != 0 || end == text || *end != '\0' || value < 0 || value > INT_MAX) {
		complain("--fd: invalid value '%s' (allowed: the number of an open socket)", text);
		return false;
	}
	*fd_out = (int)value;
	return true;
}

/* Of a service manager's; *fd_out is -1 if there is none. */
static bool take_passed_socket(const struct raw *raw, int *fd_out)
{
	unsigned int n = service_take_sockets();
	const char *option = raw->socket_path != NULL ? "--socket-path"
			     : raw->fd != NULL	      ? "--fd"
						      : NULL;

	if (n > 0 && option != NULL) {
		complain("%s '%s', and a socket was passed by LISTEN_FDS: only one of the two is "
			 "allowed",
			 option, raw->fd != NULL ? raw->fd : raw->socket_path);
		return false;
	}
	if (n > 1) {
		complain("%u sockets were passed by LISTEN_FDS (allowed: 1)", n);
		return false;
	}
	*fd_out = n > 0 ? SERVICE_FIRST_FD : -1;
	return true;
}

static bool check_socket(const struct raw *raw, struct options *options)
{
	if (raw->socket_path != NULL && raw->fd != NULL) {
		complain("--socket-path '%s' and --fd '%s': only one of the two is allowed",
			 raw->socket_path, raw->fd);
		return false;
	}
	if (!take_passed_socket(raw, &options->fd)) {
		return false;
	}
	if (options->fd >= 0) {
		return true;
	}
	if (raw->fd != NULL) {
		return parse_fd(raw->fd, &options->fd);
	}
	if (raw->socket_path == NULL) {
		complain("one of --socket-path PATH and --fd N is required, or a socket that a "
			 "service manager passes by LISTEN_FDS");
		return false;
	}
	if (*raw->socket_path == '\0' || strlen(raw->socket_path) > sock_path_max()) {
		complain("--socket-path: '%s' has %zu bytes (allowed: 1 to %zu)", raw->socket_path,
			 strlen(raw->socket_path), sock_path_max());
		return false;
	}
	return true;
}

/*
 * libvirt names a render node without --virgl, too. 2D needs none; so one that
 * was not asked for with a mode is passed over.
 */
static void settle_render_node(struct raw *raw)
{
	g_autofree char *node = g_steal_pointer(&raw->render_node);

	if (node != NULL && (raw->gpu_mode != NULL || raw->is_virgl)) {
		g_free(raw->gpu_device);
		raw->gpu_device = g_steal_pointer(&node);
	}
}

static bool check_control_socket(const struct raw *raw)
{
	const char *path = raw->control_socket;

	if (path == NULL) {
		return true;
	}
	if (*path == '\0' || strlen(path) > sock_path_max()) {
		complain("--control-socket: '%s' has %zu bytes (allowed: 1 to %zu)", path,
			 strlen(path), sock_path_max());
		return false;
	}
	if (g_strcmp0(path, raw->socket_path) == 0) {
		complain("--control-socket '%s': that is --socket-path (allowed: another path)",
			 path);
		return false;
	}
	return true;
}

static bool check_shader_cache(const struct raw *raw, const char *mode,
			       const struct options *options)
{
	if (raw->shader_cache == NULL) {
		return true;
	}
	if (!renderer_find(mode)->is_foreign || *raw->shader_cache == '\0') {
		complain("--shader-cache '%s': not in gpu mode %s (allowed: a folder, in "
			 "virglrenderer and gfxstream)",
			 raw->shader_cache, mode);
		return false;
	}
	/* What one guest makes its driver write there, another guest's would execute. */
	if (options->max_clients != 1) {
		complain("--shader-cache '%s': not with --max-clients %u (allowed with it: 1)",
			 raw->shader_cache, options->max_clients);
		return false;
	}
	return true;
}

/* gfxstream has no other way to OpenGL ES, and hangs where it is to look for one. */
static bool check_gfxstream(const struct raw *raw, const char *mode,
			    const struct renderer_options *renderer)
{
	bool is_gfxstream = strcmp(mode, "gfxstream") == 0;
	const char *library = raw->gfxstream_library;
	uint32_t gles = 1u << RENDERER_CAPSET_GFXSTREAM_GLES;
	uint32_t mask = renderer->capset_mask;

	if (library != NULL && (!is_gfxstream || *library == '\0')) {
		complain("--gfxstream-library '%s': not in gpu mode %s (allowed: a file, in "
			 "gfxstream)",
			 library, mode);
		return false;
	}
	if (is_gfxstream && !renderer->use_egl &&
	    (mask != 0 ? (mask & gles) != 0 : renderer->use_gles)) {
		complain("--use-egl false: gfxstream draws OpenGL ES by EGL alone (allowed with "
			 "--capset gfxstream-vulkan, or --use-gles false)");
		return false;
	}
	return true;
}

static enum options_result check(struct raw *raw, struct options *options)
{
	struct renderer_options *renderer = &options->renderer;

	if (!check_socket(raw, options) || !check_control_socket(raw) ||
	    !parse_bool("--use-egl", raw->use_egl, &renderer->use_egl) ||
	    !parse_bool("--use-glx", raw->use_glx, &renderer->use_glx) ||
	    !parse_bool("--use-gles", raw->use_gles, &renderer->use_gles) ||
	    !parse_bool("--use-surfaceless", raw->use_surfaceless, &renderer->use_surfaceless) ||
	    !parse_limits(raw, options) || !parse_dmabuf(raw->dmabuf, &options->dmabuf) ||
	    !parse_sandbox(raw->sandbox != NULL ? raw->sandbox : DEFAULT_SANDBOX,
			   &options->sandbox)) {
		return OPTIONS_WRONG;
	}
	int index = parse_mode(raw);
	if (index < 0) {
		return OPTIONS_WRONG;
	}
	const struct mode *mode = &modes[index];
	settle_render_node(raw);
	if (raw->gpu_device != NULL && strcmp(mode->name, "virglrenderer") != 0) {
		complain("--gpu-device '%s': not in gpu mode %s (allowed: virglrenderer)",
			 raw->gpu_device, mode->name);
		return OPTIONS_WRONG;
	}
	if (!check_shader_cache(raw, mode->name, options) ||
	    !parse_capsets(raw->capsets, mode->name, renderer->use_gles, &renderer->capset_mask) ||
	    !check_gfxstream(raw, mode->name, renderer)) {
		return OPTIONS_WRONG;
	}
	options->gpu_mode = mode->name;
	return OPTIONS_RUN;
}

/* It may stand anywhere, and all else is of no account, right or wrong. */
static bool is_asked(int argc, char **argv)
{
	for (int i = 1; i < argc; i++) {
		if (strcmp(argv[i], "--print-capabilities") == 0) {
			return true;
		}
	}
	return false;
}

static enum options_result parse(int argc, char **argv, struct options *options_out)
{
	struct raw raw = { 0 };
	struct options options = {
		.fd = -1,
		.renderer = { .use_egl = true, .use_gles = true, .use_surfaceless = true },
		.max_hostmem_bytes = DEFAULT_HOSTMEM_BYTES,
		.hostmem_bytes = DEFAULT_WINDOW_BYTES,
		.shmem_feature_bit = SHMEM_FEATURE_BIT,
		.max_clients = 1,
		.max_crashes = DEFAULT_CRASHES,
	};
	enum options_result result = OPTIONS_WRONG;

	if (!parse_raw(argc, argv, &raw)) {
		result = OPTIONS_WRONG;
	} else if (raw.is_version) {
		printf("vhost-device-gpu %s\n", PROJECT_VERSION);
		result = OPTIONS_DONE;
	} else {
		result = check(&raw, &options);
	}
	if (result == OPTIONS_RUN) {
		options.socket_path = g_steal_pointer(&raw.socket_path);
		options.control_socket = g_steal_pointer(&raw.control_socket);
		options.renderer.gpu_device = g_steal_pointer(&raw.gpu_device);
		options.renderer.shader_cache = g_steal_pointer(&raw.shader_cache);
		options.renderer.library = raw.gfxstream_library == NULL ?
						   NULL :
						   g_canonicalize_filename(raw.gfxstream_library,
									   NULL);
		options.is_headless = raw.is_headless;
		*options_out = options;
	}
	raw_finish(&raw);
	return result;
}

enum options_result options_parse(int argc, char **argv, struct options *options_out)
{
	/* What it is to be answered for; the socket is never looked at. */
	static const char *const asked[] = { "vhost-device-gpu", "--virgl", "--capset",
					     "virgl,virgl2",	 "--fd",    "0" };

	if (!is_asked(argc, argv)) {
		return parse(argc, argv, options_out);
	}
	/* A socket that was passed is nothing to complain of. */
	service_take_sockets();
	enum options_result result =
		parse((int)G_N_ELEMENTS(asked), (char **)(uintptr_t)asked, options_out);
	return result == OPTIONS_RUN ? OPTIONS_ASKED : result;
}

void options_finish(struct options *options)
{
	g_free(options->socket_path);
	g_free(options->control_socket);
	g_free(options->server_path);
	g_free((char *)(uintptr_t)options->renderer.gpu_device);
	g_free((char *)(uintptr_t)options->renderer.shader_cache);
	g_free((char *)(uintptr_t)options->renderer.library);
	*options = (struct options){ .fd = -1 };
}

bool options_use_dmabufs(const struct options *options)
{
	return options->dmabuf == DMABUF_ON && !options->is_headless &&
	       !renderer_find(options->gpu_mode)->is_blind;
}

bool options_use_udmabuf(const struct options *options)
{
	return options_use_dmabufs(options) && !renderer_find(options->gpu_mode)->is_foreign;
}
