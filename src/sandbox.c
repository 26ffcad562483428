/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * A guest may take over who renders for it, by a fault of a shader compiler
 * say; then that process is the guest's, and what it can reach is what this
 * file leaves it: the rings and memory of that guest, the GPU, libraries to
 * read, and a channel to its keeper, which believes nothing it says.
 *
 * Landlock rather than a mount namespace: an ordinary user has it without a
 * user namespace, which many hosts forbid, and it works inside whatever libvirt
 * or systemd have put around us. Both are asked for one after the other and
 * each stands by itself: where a kernel has no Landlock, the filter of system
 * calls still takes all files away from who has no renderer in it.
 *
 * The lists of system calls stand beside the code that makes the calls; here
 * is only which process runs which code. Who forks has the lists of what it
 * forks besides, as a filter can only be made narrower.
 */
#include "sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <link.h>
#include <malloc.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "backend.h"
#include "control/door.h"
#include "display/display.h"
#include "engine/companion.h"
#include "engine/mappings.h"
#include "engine/spawner.h"
#include "gpu/udmabuf.h"
#include "listener.h"
#include "renderer/renderer.h"
#include "sandbox_report.h"
#include "util/arena.h"
#include "util/lockdown.h"
#include "util/log.h"
#include "util/loop.h"
#include "util/sock.h"
#include "virtio/guestmem.h"

/* A front-end's memory regions twice over, and what a driver takes for contexts and buffers. */
#define MAX_FDS 16384
/*
 * What a renderer takes that no resource is charged for: the objects of a
 * stream, compiled shaders, threads' stacks. See docs/limits.md.
 */
#define MEMORY_SLACK_BYTES (UINT64_C(1) << 30)

/* To give up more later on. */
static lockdown_names enter_calls = { "prctl",
				      "seccomp",
				      "landlock_create_ruleset",
				      "landlock_add_rule",
				      "landlock_restrict_self",
				      "capset",
				      "openat",
				      "open",
				      "gettid",
				      NULL };

/*
 * Of a render server, whose processes a guest may have taken over: to end one
 * of them. Without Landlock's scope it could end any of the user's; then one
 * that does not end by itself ends with its server.
 */
static lockdown_names scoped_calls = { "kill", NULL };

enum { MAX_LISTS = 32, ABI_SCOPES_SIGNALS = 6 };

static const char *const role_names[] = {
	[SANDBOX_LISTENER] = "listener", [SANDBOX_BACKEND] = "backend",
	[SANDBOX_KEEPER] = "keeper",	 [SANDBOX_SPAWNER] = "spawner",
	[SANDBOX_RENDERER] = "renderer", [SANDBOX_SERVER] = "render server",
};

/* What this kernel lacks, and was said once. */
static bool lacks_files, lacks_calls;

/*
 * What each role may open, as it was found by the first process that gave up
 * files and has children (in sandbox_paths()'s form; NULL: none has). They
 * could not find it: a name with a pattern in it takes a look into its folder.
 */
static GArray *found_paths[SANDBOX_N_ROLES];

const char *sandbox_role_name(enum sandbox_role role)
{
	return role_names[role];
}

/* ---- which code a role runs ---- */

static const struct renderer_profile *profile_of(const struct options *options)
{
	return renderer_find(options->gpu_mode)->profile;
}

/* NULL: none is run. */
static const struct renderer_server *server_of(const struct options *options)
{
	return options->server_path != NULL ? profile_of(options)->server : NULL;
}

static bool forks(enum sandbox_role role)
{
	return role == SANDBOX_LISTENER || role == SANDBOX_SPAWNER;
}

/* The listener, or who has none. */
static bool has_door(enum sandbox_role role, const struct options *options)
{
	return options->control_socket != NULL &&
	       (role == SANDBOX_LISTENER ||
		((role == SANDBOX_BACKEND || role == SANDBOX_KEEPER) && options->has_no_listener));
}

static void add_lists(const char *const **lists, size_t *n, const char *const *const *more,
		      size_t n_more)
{
	g_assert(*n + n_more < MAX_LISTS);
	memcpy(&lists[*n], more, n_more * sizeof(*more));
	*n += n_more;
	lists[*n] = NULL;
}

#define ADD(...)                                                                                   \
	do {                                                                                       \
		const char *const *const more[] = { __VA_ARGS__ };                                 \
		add_lists(lists, &n, more, G_N_ELEMENTS(more));                                    \
	} while (0)

/* lists: room for MAX_LISTS; NULL behind the last one. */
static void fill_lists(enum sandbox_role role, const struct options *options,
		       const char *const **lists)
{
	const struct renderer_profile *profile = profile_of(options);
	const struct renderer_server *server = server_of(options);
	size_t n = 0;

	ADD(lockdown_base_calls, loop_calls, sock_calls);
	if (role == SANDBOX_LISTENER) {
		ADD(listener_calls, spawner_calls, enter_calls);
	}
	if (role == SANDBOX_SPAWNER) {
		ADD(spawner_calls, enter_calls);
	}
	if (role == SANDBOX_LISTENER || role == SANDBOX_BACKEND || role == SANDBOX_KEEPER) {
		ADD(backend_calls, display_calls, guestmem_calls);
	}
	if (has_door(role, options)) {
		ADD(door_calls);
	}
	if ((role == SANDBOX_LISTENER || role == SANDBOX_BACKEND) && options_use_udmabuf(options)) {
		ADD(udmabuf_calls);
	}
	if (role == SANDBOX_RENDERER || forks(role)) {
		ADD(arena_calls, guestmem_calls);
	}
	if (role == SANDBOX_KEEPER) {
		ADD(spawner_owner_calls, mappings_calls, dmabuf_calls);
	}
	if (server != NULL && forks(role)) {
		ADD(companion_calls);
	}
	if (server != NULL && (role == SANDBOX_SERVER || forks(role))) {
		ADD(server->calls);
	}
	if (role == SANDBOX_SERVER && lockdown_files_abi() >= ABI_SCOPES_SIGNALS) {
		ADD(scoped_calls);
	}
	if (profile != NULL &&
	    (role == SANDBOX_RENDERER || role == SANDBOX_SERVER || forks(role))) {
		ADD(profile->calls);
		if (options->renderer.use_glx) {
			ADD(profile->window_calls);
		}
		if (options->renderer.shader_cache != NULL) {
			ADD(profile->cache_calls);
		}
	}
}

#undef ADD

bool sandbox_allows(enum sandbox_role role, const struct options *options, const char *call)
{
	const char *const *lists[MAX_LISTS];

	fill_lists(role, options, lists);
	for (size_t i = 0; lists[i] != NULL; i++) {
		for (const char *const *name = lists[i]; *name != NULL; name++) {
			if (strcmp(*name, call) == 0) {
				return true;
			}
		}
	}
	return false;
}

/* ---- which files it may open ---- */

static void add_path(GArray *paths, const char *path, unsigned int access)
{
	const struct lockdown_path entry = { g_strdup(path), access };

	g_array_append_val(paths, entry);
}

static void add_all(GArray *paths, const char *const *patterns, unsigned int access)
{
	for (; *patterns != NULL; patterns++) {
		glob_t found;

		if (glob(*patterns, GLOB_BRACE, NULL, &found) != 0) {
			continue;
		}
		for (size_t i = 0; i < found.gl_pathc; i++) {
			add_path(paths, found.gl_pathv[i], access);
		}
		globfree(&found);
	}
}

/* A variable of the environment with a path in it, or several. */
static void add_variable(GArray *paths, const char *variable)
{
	g_auto(GStrv) entries = g_strsplit_set(g_getenv(variable) ?: "", ":;", -1);

	for (char **entry = entries; *entry != NULL; entry++) {
		if (**entry != '\0') {
			g_autofree char *path = g_canonicalize_filename(*entry, NULL);

			add_path(paths, path, LOCKDOWN_READ);
		}
	}
}

static bool is_driven_by(const char *node, const char *driver)
{
	struct stat info;

	if (stat(node, &info) < 0) {
		return false;
	}
	g_autofree char *link = g_strdup_printf("/sys/dev/char/%u:%u/device/driver",
						major(info.st_rdev), minor(info.st_rdev));
	g_autofree char *target = g_file_read_link(link, NULL);
	g_autofree char *name = g_path_get_basename(target != NULL ? target : "");

	return strcmp(name, driver) == 0;
}

static void add_variables(GArray *paths, const char *const *variables)
{
	for (; variables != NULL && *variables != NULL; variables++) {
		add_variable(paths, *variables);
	}
}

/* By the name that it was given, and where that leads. */
static void add_library(GArray *paths, const char *path)
{
	char *target = realpath(path, NULL);

	add_path(paths, path, LOCKDOWN_READ);
	if (target != NULL) {
		add_path(paths, target, LOCKDOWN_READ);
	}
	free(target);
}

static void add_renderer(GArray *paths, const struct options *options)
{
	const struct renderer_profile *profile = profile_of(options);

	add_all(paths, profile->files, LOCKDOWN_READ);
	add_variables(paths, profile->variables);
	add_variables(paths, profile->more_variables);
	if (options->renderer.library != NULL) {
		add_library(paths, options->renderer.library);
	}
	add_all(paths, profile->folders, LOCKDOWN_LIST);
	add_all(paths, profile->devices, LOCKDOWN_DEVICE);
	if (options->renderer.gpu_device != NULL) {
		add_path(paths, options->renderer.gpu_device, LOCKDOWN_DEVICE);
	} else {
		add_all(paths, profile->gpu_devices, LOCKDOWN_DEVICE);
	}
	if (options->renderer.gpu_device == NULL ||
	    is_driven_by(options->renderer.gpu_device, profile->driver)) {
		add_all(paths, profile->driver_devices, LOCKDOWN_DEVICE);
	}
	if (options->renderer.use_glx) {
		add_variable(paths, "XAUTHORITY");
	}
	if (options->renderer.shader_cache != NULL) {
		add_path(paths, options->renderer.shader_cache, LOCKDOWN_WRITE);
	}
}

/* Of this program, which is the server's as well: the kernel opens it to run a program. */
static int find_interpreter(struct dl_phdr_info *program, size_t size G_GNUC_UNUSED, void *data)
{
	const char **interpreter = data;

	for (int i = 0; i < program->dlpi_phnum; i++) {
		const ElfW(Phdr) *header = &program->dlpi_phdr[i];

		if (header->p_type == PT_INTERP) {
			*interpreter = (const char *)(program->dlpi_addr + header->p_vaddr);
		}
	}
	return 1; /* the first one is the program itself */
}

static void add_server(GArray *paths, const struct options *options)
{
	const struct renderer_server *server = server_of(options);
	g_autofree char *library = server->find_library();
	const char *interpreter = NULL;

	if (library != NULL) {
		add_path(paths, library, LOCKDOWN_READ);
	}
	add_all(paths, server->files, LOCKDOWN_READ);
	add_variables(paths, server->variables);
	dl_iterate_phdr(find_interpreter, &interpreter);
	add_path(paths, options->server_path, LOCKDOWN_EXECUTE);
	if (interpreter != NULL) {
		add_path(paths, interpreter, LOCKDOWN_EXECUTE);
	}
}

static void clear_path(void *entry)
{
	g_free(((struct lockdown_path *)entry)->path);
}

GArray *sandbox_paths(enum sandbox_role role, const struct options *options)
{
	GArray *paths = g_array_new(FALSE, FALSE, sizeof(struct lockdown_path));
	bool renders =
		profile_of(options) != NULL && role != SANDBOX_BACKEND && role != SANDBOX_KEEPER;

	g_array_set_clear_func(paths, clear_path);
	if (renders) {
		add_renderer(paths, options);
		/* "/proc/self" is somebody else for each of its children. */
		add_path(paths, forks(role) ? "/proc" : "/proc/self", LOCKDOWN_READ);
	}
	if (server_of(options) != NULL && (role == SANDBOX_SERVER || forks(role))) {
		add_server(paths, options);
	}
	/* It is opened by who serves a front-end, before that gives it up. */
	if (role == SANDBOX_LISTENER && options_use_udmabuf(options)) {
		add_path(paths, UDMABUF_PATH, LOCKDOWN_DEVICE);
	}
	if (role == SANDBOX_LISTENER && options->socket_path != NULL) {
		g_autofree char *folder = g_path_get_dirname(options->socket_path);

		add_path(paths, folder, LOCKDOWN_REMOVE);
	}
	/* Who has the door without being the listener meets a guest, and gets no file back for it. */
	if (role == SANDBOX_LISTENER && options->control_socket != NULL) {
		g_autofree char *folder = g_path_get_dirname(options->control_socket);

		add_path(paths, folder, LOCKDOWN_REMOVE);
	}
	return paths;
}

/* ---- the phases ---- */

static int give_up_privileges(enum sandbox_role role G_GNUC_UNUSED,
			      const struct options *options G_GNUC_UNUSED)
{
	return lockdown_privileges();
}

/* Who renders has no business at a terminal that we may have been started from. */
static int close_terminal(void)
{
	int fd = open("/dev/null", O_RDWR | O_CLOEXEC);

	if (fd < 0 || dup2(fd, STDIN_FILENO) < 0 || dup2(fd, STDOUT_FILENO) < 0) {
		return -errno;
	}
	return close(fd) < 0 ? -errno : 0;
}

static int give_up_limits(enum sandbox_role role, const struct options *options G_GNUC_UNUSED)
{
	bool is_foreign = role == SANDBOX_RENDERER || role == SANDBOX_SERVER;
	int error = is_foreign ? close_terminal() : 0;

	return error == 0 ? lockdown_limits(MAX_FDS) : error;
}

static void find_paths(const struct options *options)
{
	for (enum sandbox_role role = 0; role < SANDBOX_N_ROLES; role++) {
		if (found_paths[role] == NULL) {
			found_paths[role] = sandbox_paths(role, options);
		}
	}
}

static int give_up_files(enum sandbox_role role, const struct options *options)
{
	if (lacks_files) {
		return 0;
	}
	if (forks(role)) {
		find_paths(options);
	}
	g_autoptr(GArray) paths = found_paths[role] != NULL ? g_array_ref(found_paths[role]) :
							      sandbox_paths(role, options);
	const struct lockdown_files files = {
		.paths = (const struct lockdown_path *)(void *)paths->data,
		.n_paths = paths->len,
		/* Its end ends the spawner, by a signal of the kernel's in its name. */
		.may_signal = role == SANDBOX_KEEPER,
		/* Where X servers listen. */
		.may_use_sockets = options->renderer.use_glx && profile_of(options) != NULL,
	};

	return lockdown_files(&files);
}

static int give_up_calls(enum sandbox_role role, const struct options *options)
{
	const char *const *lists[MAX_LISTS];
	const struct lockdown_calls calls = {
		.lists = lists,
		.has_children = forks(role) || role == SANDBOX_SERVER,
	};

	if (lacks_calls) {
		return 0;
	}
	fill_lists(role, options, lists);
	return lockdown_calls(&calls);
}

static const struct {
	const char *name;
	int (*enter)(enum sandbox_role role, const struct options *options);
} phases[] = {
	{ "privileges", give_up_privileges },
	{ "limits", give_up_limits },
	{ "files (Landlock)", give_up_files },
	{ "system calls (seccomp)", give_up_calls },
};

/* A report refuses nothing, and there is one listener for all filters that a process has. */
static int begin_report(enum sandbox_role role, const struct options *options)
{
	const char *const *lists[MAX_LISTS];

	if (forks(role)) {
		return 0;
	}
	fill_lists(role, options, lists);
	int error = sandbox_report_begin(role, options, lists);
	if (error < 0) {
		log_error("sandbox: reporting of the %s: %s", role_names[role], g_strerror(-error));
	}
	return 0;
}

/* What it took to make a filter is not needed again. */
static void give_back_memory(void)
{
#if defined(__GLIBC__)
	malloc_trim(0);
#endif
}

int sandbox_enter(enum sandbox_role role, const struct options *options)
{
	if (options->sandbox == SANDBOX_OFF) {
		return 0;
	}
	if (options->sandbox == SANDBOX_REPORT) {
		return begin_report(role, options);
	}
	for (size_t i = 0; i < G_N_ELEMENTS(phases); i++) {
		int error = phases[i].enter(role, options);

		if (error == 0) {
			continue;
		}
		log_error("sandbox: %s of the %s: %s%s", phases[i].name, role_names[role],
			  g_strerror(-error),
			  options->sandbox == SANDBOX_STRICT ? "" : "; going on without");
		if (options->sandbox == SANDBOX_STRICT) {
			return error;
		}
	}
	give_back_memory();
	log_debug("sandbox: %s is locked down", role_names[role]);
	return 0;
}

int sandbox_limit_memory(const struct options *options)
{
	int error = 0;

	if (options->sandbox == SANDBOX_ON || options->sandbox == SANDBOX_STRICT) {
		error = lockdown_memory(options->max_hostmem_bytes + MEMORY_SLACK_BYTES);
	}
	if (error < 0) {
		log_error("sandbox: limit of memory: %s", g_strerror(-error));
	}
	return options->sandbox == SANDBOX_STRICT ? error : 0;
}

/* ---- the beginning ---- */

/* False: it won't do. */
static bool check_part(const struct options *options, bool is_there, const char *what,
		       const char *help)
{
	if (is_there) {
		return true;
	}
	if (options->sandbox == SANDBOX_STRICT) {
		log_failure("--sandbox strict: %s (%s; or use --sandbox on)", what, help);
		return false;
	}
	log_warn("sandbox: %s, and this goes on without (%s)", what, help);
	return true;
}

int sandbox_init(const struct options *options)
{
	if (options->sandbox == SANDBOX_OFF) {
		return 0;
	}
	lacks_calls = !lockdown_calls_available();
	if (options->sandbox == SANDBOX_REPORT) {
		if (lacks_calls) {
			log_failure(
				"--sandbox report: this kernel, or what confines this program, has "
				"no seccomp (it takes Linux 5.5)");
		}
		return lacks_calls ? -ENOSYS : 0;
	}
	lacks_files = lockdown_files_abi() == 0;
	return check_part(options, !lacks_files,
			  "there is no Landlock, so that files stay within reach of who renders",
			  "it takes Linux 5.13 with landlock in its lsm= list") &&
			       check_part(
				       options, !lacks_calls,
				       "there is no seccomp, so that all system calls are allowed",
				       "it takes Linux 4.14 with CONFIG_SECCOMP_FILTER")
		       ? 0
		       : -ENOSYS;
}
