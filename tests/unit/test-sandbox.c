/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * What each role gives up, in a process of its own that enters the role and then tries. What a
 * renderer can do about it from inside a running machine is proto-sandbox's.
 */
#include <errno.h>
#include <fcntl.h>
#include <glib/gstdio.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "renderer/renderer.h"
#include "sandbox.h"
#include "util/lockdown.h"
#include "unit.h"

/* Of a child that could not enter its role. */
#define NOT_ENTERED 250

struct attempt {
	const char *name;
	int (*make)(void); /* 0 or an errno */
};

static int made(long result)
{
	return result < 0 ? errno : 0;
}

static int make_nothing(void)
{
	return 0;
}

static int make_open(void)
{
	return made(open("/etc/hostname", O_RDONLY | O_CLOEXEC));
}

static int make_library(void)
{
	return made(open("/usr/lib", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
}

static int make_file(void)
{
	return made(open("/tmp", O_WRONLY | O_TMPFILE | O_CLOEXEC, 0600));
}

static int make_socket(void)
{
	return made(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
}

static int make_process(void)
{
	pid_t pid = fork();

	if (pid == 0) {
		_exit(0);
	}
	return made(pid);
}

static void *run_thread(void *data)
{
	return data;
}

static int make_thread(void)
{
	GThread *thread = g_thread_try_new("test", run_thread, make_nothing, NULL);

	return thread != NULL && g_thread_join(thread) == make_nothing ? 0 : EAGAIN;
}

static int make_code(void)
{
	void *memory = mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	return memory == MAP_FAILED ? errno : 0;
}

static int make_memory_code(void)
{
	void *memory = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	return memory == MAP_FAILED ? ENOMEM : made(mprotect(memory, 4096, PROT_READ | PROT_EXEC));
}

static int make_signal(void)
{
	return made(kill(getppid(), 0));
}

/* As abort() does. */
static int make_own_signal(void)
{
	return raise(0) == 0 ? 0 : errno;
}

static int make_core_limit(void)
{
	struct rlimit limit;

	return made(getrlimit(RLIMIT_CORE, &limit)) != 0 || limit.rlim_max != 0 ? EINVAL : 0;
}

static int make_exec(void)
{
	return made(execl("/bin/true", "true", (char *)NULL));
}

static int make_other_exec(void)
{
	return made(execl("/bin/false", "false", (char *)NULL));
}

/* Out of its group, where its end would not be theirs. */
static int make_group(void)
{
	return made(setpgid(0, 0));
}

static int make_ptrace(void)
{
	return made(syscall(SYS_ptrace, 0, 0, 0, 0));
}

static int make_unshare(void)
{
	return made(unshare(CLONE_NEWUSER));
}

/* 0, an errno, or minus the signal that ended it. */
static int try(enum sandbox_role role, const struct options *options, int (*make)(void))
{
	int status = 0;
	pid_t pid = fork();

	g_assert_cmpint(pid, >=, 0);
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		_exit(sandbox_enter(role, options) == 0 ? make() : NOT_ENTERED);
	}
	g_assert_cmpint(waitpid(pid, &status, 0), ==, pid);
	return WIFSIGNALED(status) ? -WTERMSIG(status) : WEXITSTATUS(status);
}

static bool is_ready(void)
{
	if (lockdown_files_abi() == 0 || !lockdown_calls_available()) {
		g_test_skip("sandbox: this kernel has no Landlock or no seccomp");
		return false;
	}
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
	g_test_skip("sandbox: a sanitizer reads and traces its own process");
	return false;
#else
	return true;
#endif
}

static const struct options strict_2d = {
	.gpu_mode = "2d", .max_hostmem_bytes = 1 << 30, .sandbox = SANDBOX_STRICT
};
static const struct options strict_virgl = {
	.gpu_mode = "virglrenderer", .max_hostmem_bytes = 1 << 30, .sandbox = SANDBOX_STRICT
};

static const struct options strict_gfxstream = {
	.gpu_mode = "gfxstream", .max_hostmem_bytes = 1 << 30, .sandbox = SANDBOX_STRICT
};

/* With a render server, which /bin/true plays. */
static char server_path[] = "/bin/true";
static const struct options strict_server = { .gpu_mode = "virglrenderer",
					      .server_path = server_path,
					      .max_hostmem_bytes = 1 << 30,
					      .sandbox = SANDBOX_STRICT };

#define SYS (-SIGSYS)
#define N_EXPECTED 5

static const struct {
	struct attempt attempt;
	/* By role: listener, backend, keeper, spawner, renderer. */
	int expected[N_EXPECTED];
} rows[] = {
	{ { "nothing", make_nothing }, { 0, 0, 0, 0, 0 } },
	{ { "thread", make_thread }, { 0, 0, 0, 0, 0 } },
	{ { "core-limit", make_core_limit }, { 0, 0, 0, 0, 0 } },
	{ { "open", make_open }, { EACCES, EPERM, EPERM, EACCES, EACCES } },
	{ { "library", make_library }, { 0, EPERM, EPERM, 0, 0 } },
	{ { "file", make_file }, { EACCES, EPERM, EPERM, EACCES, EACCES } },
	{ { "socket", make_socket }, { EPERM, EPERM, EPERM, EPERM, EPERM } },
	{ { "process", make_process }, { 0, EPERM, EPERM, 0, EPERM } },
	{ { "code", make_code }, { 0, EPERM, EPERM, 0, 0 } },
	{ { "memory-code", make_memory_code }, { 0, EPERM, EPERM, 0, 0 } },
	{ { "exec", make_exec }, { SYS, SYS, SYS, SYS, SYS } },
	{ { "ptrace", make_ptrace }, { SYS, SYS, SYS, SYS, SYS } },
	{ { "unshare", make_unshare }, { SYS, SYS, SYS, SYS, SYS } },
	{ { "own-signal", make_own_signal }, { 0, 0, 0, 0, 0 } },
	/* kill() is for who has children; its parent is none of them (Linux 6.12). */
	{ { "signal", make_signal }, { EPERM, EPERM, EPERM, EPERM, EPERM } },
};

static void check_role(enum sandbox_role role, const struct options *options)
{
	for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
		int expected = rows[i].expected[role];
		int result = try(role, options, rows[i].attempt.make);

		if (rows[i].attempt.make == make_signal && lockdown_files_abi() < 6) {
			continue;
		}
		if (result != expected) {
			g_error("%s in %s, %s: %d instead of %d", sandbox_role_name(role),
				options->gpu_mode, rows[i].attempt.name, result, expected);
		}
	}
}

static void test_role(gconstpointer data)
{
	enum sandbox_role role = (enum sandbox_role)GPOINTER_TO_INT(data);

	if (is_ready()) {
		check_role(role, &strict_virgl);
		check_role(role, &strict_gfxstream);
	}
}

/* Who forks may run its program, and no other; who renders runs nothing. */
static void test_server(void)
{
	static const struct {
		struct attempt attempt;
		int expected;
	} of_server[] = {
		{ { "thread", make_thread }, 0 },     { { "core-limit", make_core_limit }, 0 },
		{ { "open", make_open }, EACCES },    { { "library", make_library }, 0 },
		{ { "file", make_file }, EACCES },    { { "socket", make_socket }, EPERM },
		{ { "process", make_process }, 0 },   { { "code", make_code }, 0 },
		{ { "exec", make_exec }, 0 },	      { { "other-exec", make_other_exec }, EACCES },
		{ { "group", make_group }, EPERM },   { { "ptrace", make_ptrace }, SYS },
		{ { "unshare", make_unshare }, SYS }, { { "own-signal", make_own_signal }, 0 },
		{ { "signal", make_signal }, EPERM },
	};

	if (!is_ready()) {
		return;
	}
	for (size_t i = 0; i < G_N_ELEMENTS(of_server); i++) {
		int result = try(SANDBOX_SERVER, &strict_server, of_server[i].attempt.make);

		if (result != of_server[i].expected) {
			g_error("render server, %s: %d instead of %d", of_server[i].attempt.name,
				result, of_server[i].expected);
		}
	}
	g_assert_cmpint(try(SANDBOX_SPAWNER, &strict_server, make_exec), ==, 0);
	g_assert_cmpint(try(SANDBOX_SPAWNER, &strict_server, make_other_exec), ==, EACCES);
	g_assert_cmpint(try(SANDBOX_LISTENER, &strict_server, make_exec), ==, 0);
	g_assert_cmpint(try(SANDBOX_LISTENER, &strict_server, make_other_exec), ==, EACCES);
	g_assert_cmpint(try(SANDBOX_KEEPER, &strict_server, make_exec), ==, SYS);
	g_assert_cmpint(try(SANDBOX_RENDERER, &strict_server, make_exec), ==, SYS);
}

/* In modes of our own code not even the listener has foreign code's needs. */
static void test_own_code(void)
{
	if (!is_ready()) {
		return;
	}
	g_assert_cmpint(try(SANDBOX_LISTENER, &strict_2d, make_library), ==, EACCES);
	g_assert_cmpint(try(SANDBOX_LISTENER, &strict_2d, make_code), ==, EPERM);
	g_assert_cmpint(try(SANDBOX_LISTENER, &strict_2d, make_process), ==, 0);
	g_assert_cmpint(try(SANDBOX_BACKEND, &strict_2d, make_thread), ==, 0);
}

static bool reaches(enum sandbox_role role, const struct options *options, const char *path)
{
	g_autoptr(GArray) paths = sandbox_paths(role, options);

	for (unsigned int i = 0; i < paths->len; i++) {
		if (strcmp(g_array_index(paths, struct lockdown_path, i).path, path) == 0) {
			return true;
		}
	}
	return false;
}

/* Of who lets people in at the control socket: the listener, or a backend without one. */
static void test_door(void)
{
	static const enum sandbox_role roles[] = { SANDBOX_LISTENER, SANDBOX_BACKEND,
						   SANDBOX_KEEPER, SANDBOX_SPAWNER,
						   SANDBOX_RENDERER };
	struct options options = strict_2d;

	for (size_t i = 0; i < G_N_ELEMENTS(roles); i++) {
		bool is_listener = roles[i] == SANDBOX_LISTENER;
		bool serves = roles[i] == SANDBOX_BACKEND || roles[i] == SANDBOX_KEEPER;

		options.control_socket = NULL;
		options.has_no_listener = true;
		g_assert_false(reaches(roles[i], &options, "/run/control"));
		options.control_socket = (char *)(uintptr_t) "/run/control/gpu.ctl";
		g_assert_true(reaches(roles[i], &options, "/run/control") == is_listener);
		g_assert_true(sandbox_allows(roles[i], &options, "unlink") == is_listener);
		g_assert_true(sandbox_allows(roles[i], &options, "accept4") ==
			      (is_listener || serves));
		options.has_no_listener = false;
		g_assert_true(reaches(roles[i], &options, "/run/control") == is_listener);
		g_assert_true(sandbox_allows(roles[i], &options, "accept4") == is_listener);
	}
}

static int make_other_ioctl(void)
{
	return made(ioctl(STDIN_FILENO, TIOCSTI, "x"));
}

/* One node and one call, and of nobody but who makes buffers of a guest's pages. */
static void test_udmabuf(void)
{
	static const enum sandbox_role roles[] = { SANDBOX_LISTENER, SANDBOX_BACKEND,
						   SANDBOX_KEEPER, SANDBOX_SPAWNER };
	struct options options = strict_2d;

	for (size_t i = 0; i < G_N_ELEMENTS(roles); i++) {
		bool is_ours = roles[i] == SANDBOX_LISTENER || roles[i] == SANDBOX_BACKEND;

		options.dmabuf = DMABUF_AUTO;
		g_assert_false(sandbox_allows(roles[i], &options, "ioctl(udmabuf)"));
		g_assert_false(reaches(roles[i], &options, "/dev/udmabuf"));
		options.dmabuf = DMABUF_ON;
		g_assert_true(sandbox_allows(roles[i], &options, "ioctl(udmabuf)") == is_ours);
		/* A backend opens it before it enters its role. */
		g_assert_true(reaches(roles[i], &options, "/dev/udmabuf") ==
			      (roles[i] == SANDBOX_LISTENER));
	}
	if (is_ready()) {
		g_assert_cmpint(try(SANDBOX_BACKEND, &options, make_open), ==, EPERM);
		g_assert_cmpint(try(SANDBOX_BACKEND, &options, make_other_ioctl), ==, EPERM);
	}
}

/* One role, and the other in a child, as the processes do it. */
static int enter_both(enum sandbox_role outer, enum sandbox_role inner, int (*make)(void))
{
	int status = 0;
	pid_t pid = fork();

	g_assert_cmpint(pid, >=, 0);
	if (pid == 0) {
		if (sandbox_enter(outer, &strict_virgl) != 0) {
			_exit(NOT_ENTERED);
		}
		_exit(try(inner, &strict_virgl, make));
	}
	g_assert_cmpint(waitpid(pid, &status, 0), ==, pid);
	return WIFSIGNALED(status) ? -WTERMSIG(status) : WEXITSTATUS(status);
}

static void test_nested(void)
{
	if (!is_ready()) {
		return;
	}
	g_assert_cmpint(enter_both(SANDBOX_LISTENER, SANDBOX_SPAWNER, make_library), ==, 0);
	g_assert_cmpint(enter_both(SANDBOX_LISTENER, SANDBOX_KEEPER, make_library), ==, EPERM);
	g_assert_cmpint(enter_both(SANDBOX_SPAWNER, SANDBOX_RENDERER, make_library), ==, 0);
	g_assert_cmpint(enter_both(SANDBOX_SPAWNER, SANDBOX_RENDERER, make_code), ==, 0);
	g_assert_cmpint(enter_both(SANDBOX_SPAWNER, SANDBOX_RENDERER, make_process), ==, EPERM);
	g_assert_cmpint(enter_both(SANDBOX_SPAWNER, SANDBOX_RENDERER, make_own_signal), ==, 0);
	g_assert_cmpint(enter_both(SANDBOX_LISTENER, SANDBOX_BACKEND, make_own_signal), ==, 0);
}

static void test_off(void)
{
	const struct options off = { .gpu_mode = "2d", .sandbox = SANDBOX_OFF };

	g_assert_cmpint(try(SANDBOX_BACKEND, &off, make_file), ==, 0);
	g_assert_cmpint(try(SANDBOX_BACKEND, &off, make_process), ==, 0);
}

static int eat_memory(void)
{
	const struct options options = { .gpu_mode = "2d", .sandbox = SANDBOX_STRICT,
					 .max_hostmem_bytes = 16 << 20 };

	if (sandbox_limit_memory(&options) < 0) {
		return EPERM;
	}
	/* Within the limit, and beyond it: address space counts, touched or not. */
	void *some = mmap(NULL, 64 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1,
			  0);
	void *more = mmap(NULL, 1u << 30, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1,
			  0);
	/* What is shared with others does not. */
	void *shared = mmap(NULL, 1u << 30, PROT_READ | PROT_WRITE,
			    MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	return some == MAP_FAILED || more != MAP_FAILED || shared == MAP_FAILED ? EINVAL : 0;
}

static void test_memory(void)
{
	const struct options off = { .gpu_mode = "2d", .sandbox = SANDBOX_OFF };

	g_assert_cmpint(try(SANDBOX_RENDERER, &off, eat_memory), ==, 0);
}

/* ---- Landlock alone: what the filter of system calls would have refused before ---- */

static const char *abstract_name;

static int lock_files(const struct lockdown_path *paths, size_t n)
{
	const struct lockdown_files files = { .paths = paths, .n_paths = n };

	return -lockdown_files(&files);
}

static int connect_abstract(void)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	g_strlcpy(address.sun_path + 1, abstract_name, sizeof(address.sun_path) - 1);
	return made(connect(fd, (struct sockaddr *)&address,
			    (socklen_t)(G_STRUCT_OFFSET(struct sockaddr_un, sun_path) + 1 +
					strlen(abstract_name))));
}

static int check_scopes(void)
{
	if (connect_abstract() != 0 || make_signal() != 0 || lock_files(NULL, 0) != 0) {
		return EINVAL;
	}
	return connect_abstract() == EPERM && make_signal() == EPERM && make_own_signal() == 0 ?
		       0 :
		       EPROTO;
}

static int in_child(int (*make)(void))
{
	const struct options off = { .gpu_mode = "2d", .sandbox = SANDBOX_OFF };

	return try(SANDBOX_BACKEND, &off, make);
}

static void test_scopes(void)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	g_autofree char *name = g_strdup_printf("test-sandbox-%d", (int)getpid());
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (lockdown_files_abi() < 6) {
		g_test_skip("sandbox: Landlock has scopes since Linux 6.12");
		return;
	}
	abstract_name = name;
	g_strlcpy(address.sun_path + 1, name, sizeof(address.sun_path) - 1);
	g_assert_no_errno(bind(fd, (struct sockaddr *)&address,
			       (socklen_t)(G_STRUCT_OFFSET(struct sockaddr_un, sun_path) + 1 +
					   strlen(name))));
	g_assert_no_errno(listen(fd, 4));
	g_assert_cmpint(in_child(check_scopes), ==, 0);
	close(fd);
}

/* A GPU's node can be found only where the names in its folder can be read. */
static int check_list(void)
{
	static const struct lockdown_path paths[] = { { (char *)(uintptr_t) "/etc", LOCKDOWN_LIST } };

	if (lock_files(paths, G_N_ELEMENTS(paths)) != 0) {
		return EINVAL;
	}
	return open("/etc", O_RDONLY | O_DIRECTORY | O_CLOEXEC) >= 0 && make_open() == EACCES ?
		       0 :
		       EPROTO;
}

/* One that is odd is passed over, and the others hold. */
static int check_odd_path(void)
{
	g_autofree char *long_name = g_strnfill(5000, 'x');
	const struct lockdown_path paths[] = { { long_name, LOCKDOWN_READ },
					       { (char *)(uintptr_t) "/usr", LOCKDOWN_READ } };

	if (lock_files(paths, G_N_ELEMENTS(paths)) != 0) {
		return EINVAL;
	}
	return make_library() == 0 && make_open() == EACCES ? 0 : EPROTO;
}

static void test_files(void)
{
	if (lockdown_files_abi() == 0) {
		g_test_skip("sandbox: this kernel has no Landlock");
		return;
	}
	g_assert_cmpint(in_child(check_list), ==, 0);
	g_assert_cmpint(in_child(check_odd_path), ==, 0);
}

static int check_privileges(void)
{
	if (lockdown_privileges() < 0) {
		return EINVAL;
	}
	g_autofree char *status = NULL;
	static const char *const sets[] = { "CapInh:", "CapPrm:", "CapEff:", "CapAmb:" };

	g_file_get_contents("/proc/self/status", &status, NULL, NULL);
	for (size_t i = 0; i < G_N_ELEMENTS(sets); i++) {
		const char *line = strstr(status, sets[i]);

		if (line == NULL || g_ascii_strtoull(line + strlen(sets[i]), NULL, 16) != 0) {
			return EPERM;
		}
	}
	return strstr(status, "NoNewPrivs:\t1") != NULL ? 0 : EPROTO;
}

static void test_privileges(void)
{
	g_assert_cmpint(in_child(check_privileges), ==, 0);
}

/* One GPU that was chosen means no other. */
static void test_paths(void)
{
	struct options options = strict_virgl;

	options.renderer.gpu_device = "/dev/dri/renderD200";
	options.renderer.shader_cache = "/cache";
	options.socket_path = (char *)(uintptr_t) "/run/user/1/gpu.sock";
	g_autoptr(GArray) renderer = sandbox_paths(SANDBOX_RENDERER, &options);
	g_autoptr(GArray) keeper = sandbox_paths(SANDBOX_KEEPER, &options);
	g_autoptr(GArray) listener = sandbox_paths(SANDBOX_LISTENER, &options);
	unsigned int n_gpus = 0, n_caches = 0, n_sockets = 0;

	g_assert_cmpuint(keeper->len, ==, 0);
	for (unsigned int i = 0; i < renderer->len; i++) {
		const struct lockdown_path *path =
			&g_array_index(renderer, struct lockdown_path, i);

		n_gpus += g_str_has_prefix(path->path, "/dev/dri/") ? 1 : 0;
		n_caches += strcmp(path->path, "/cache") == 0;
		g_assert_true(strcmp(path->path, "/cache") == 0 || !(path->access & LOCKDOWN_WRITE));
		g_assert_cmpstr(path->path, !=, "/");
	}
	for (unsigned int i = 0; i < listener->len; i++) {
		const struct lockdown_path *path =
			&g_array_index(listener, struct lockdown_path, i);

		n_sockets += strcmp(path->path, "/run/user/1") == 0 &&
			     path->access == LOCKDOWN_REMOVE;
	}
	g_assert_cmpuint(n_gpus, ==, 1);
	g_assert_cmpuint(n_caches, ==, 1);
	g_assert_cmpuint(n_sockets, ==, 1);
}

/* A library that is named is read, by its name and where that leads, and nothing beside it. */
static void test_library(void)
{
	g_autofree char *folder = g_dir_make_tmp("sandbox-XXXXXX", NULL);
	g_autofree char *library = g_build_filename(folder, "lib.so.0", NULL);
	g_autofree char *link = g_build_filename(folder, "lib.so", NULL);
	struct options options = strict_gfxstream;

	g_assert_true(g_file_set_contents(library, "", 0, NULL));
	g_assert_no_errno(symlink("lib.so.0", link));
	options.renderer.library = link;
	g_assert_true(reaches(SANDBOX_RENDERER, &options, link));
	g_assert_true(reaches(SANDBOX_RENDERER, &options, library));
	g_assert_true(reaches(SANDBOX_SPAWNER, &options, link));
	g_assert_false(reaches(SANDBOX_RENDERER, &options, folder));
	g_assert_false(reaches(SANDBOX_KEEPER, &options, link));
	g_setenv("VK_DRIVER_FILES", "/vulkan/driver.json", TRUE);
	g_assert_true(reaches(SANDBOX_RENDERER, &options, "/vulkan/driver.json"));
	g_unsetenv("VK_DRIVER_FILES");
	g_unlink(link);
	g_unlink(library);
	g_rmdir(folder);
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	for (enum sandbox_role role = 0; role < N_EXPECTED; role++) {
		g_autofree char *path = g_strdup_printf("/sandbox/%s", sandbox_role_name(role));

		g_test_add_data_func(path, GINT_TO_POINTER((int)role), test_role);
	}
	g_test_add_func("/sandbox/server", test_server);
	g_test_add_func("/sandbox/own-code", test_own_code);
	g_test_add_func("/sandbox/udmabuf", test_udmabuf);
	g_test_add_func("/sandbox/door", test_door);
	g_test_add_func("/sandbox/nested", test_nested);
	g_test_add_func("/sandbox/off", test_off);
	g_test_add_func("/sandbox/memory", test_memory);
	g_test_add_func("/sandbox/paths", test_paths);
	g_test_add_func("/sandbox/library", test_library);
	g_test_add_func("/sandbox/privileges", test_privileges);
	g_test_add_func("/sandbox/landlock/scopes", test_scopes);
	g_test_add_func("/sandbox/landlock/files", test_files);
	return g_test_run();
}
