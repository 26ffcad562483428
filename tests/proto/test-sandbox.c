/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * A guest that has taken over who renders for it (the mock library does what it is told) tries to
 * get out: each attempt is refused, and the machine goes on; or ends its process, which is replaced.
 * That each of them works without the sandbox is shown too: else a refusal would prove nothing.
 */
#include <errno.h>
#include <fcntl.h>
#include <glib/gstdio.h>
#include <linux/fs.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/un.h>
#include <unistd.h>

#include "mock_mode.h"
#include "proto.h"

#define CTX 1u
#define RESULTS 100u
#define LET_OUT 0u
#define BIND_RENDER_TARGET (1u << 1)

/* A machine whose renderer is the guest's. */
struct captive {
	const char *mode;
	struct rig *rig;
	const uint32_t *results;
	char *folder; /* of ours, none of the daemon's business */
};

static void make_context(struct captive *captive)
{
	struct rig *rig = captive->rig;
	uint64_t gpa = rig_backing(rig, NULL, MOCK_N_RESULTS * 4);

	g_assert_ok(vgpu_ctx_create(rig->vgpu, CTX, 0, "test"));
	g_assert_ok(vgpu_resource_create_3d(rig->vgpu, RESULTS, 1, BIND_RENDER_TARGET,
					    MOCK_N_RESULTS, 1, 0));
	g_assert_ok(vgpu_resource_attach_one(rig->vgpu, RESULTS, gpa, MOCK_N_RESULTS * 4));
	captive->results = guestram_at(rig->ram, gpa, MOCK_N_RESULTS * 4);
}

static struct captive *captive_create_args(const struct proto_mode *mode, const char *const *args)
{
	struct captive *captive = g_new0(struct captive, 1);

	proto_need_sandbox();
	mock_mode_use(mode->name);
	captive->mode = mode->name;
	captive->rig = rig_create(&(struct rig_options){.mode = mode->name, .args = args});
	captive->folder = g_dir_make_tmp("outside-XXXXXX", NULL);
	make_context(captive);
	return captive;
}

static struct captive *captive_create(const struct proto_mode *mode, const char *sandbox)
{
	const char *const args[] = {"--sandbox", sandbox, NULL};

	return captive_create_args(mode, args);
}

static void captive_destroy(struct captive *captive)
{
	rig_assert_serves(captive->rig);
	rig_destroy(captive->rig);
	g_rmdir(captive->folder);
	g_free(captive->folder);
	g_free(captive);
}

static uint32_t run(struct captive *captive, enum mock_opcode opcode, const uint32_t *args,
		    uint32_t n)
{
	return mock_mode_run(captive->mode, captive->rig->vgpu, CTX, opcode, RESULTS, args, n);
}

/* What the library got: 0 or an errno. */
static uint32_t try(struct captive *captive, enum mock_opcode opcode, const uint32_t *args,
		    uint32_t n)
{
	g_assert_ok(run(captive, opcode, args, n));
	return captive->results[0];
}

static uint32_t try_text(struct captive *captive, enum mock_opcode opcode, uint32_t first,
			 bool has_first, const char *text)
{
	uint32_t words[256] = {first};
	size_t n = strlen(text) / 4 + 1;

	g_assert_cmpuint(n, <, G_N_ELEMENTS(words));
	memcpy(&words[has_first], text, strlen(text) + 1);
	return try(captive, opcode, words, (uint32_t)n + has_first);
}

static uint32_t try_open(struct captive *captive, int flags, const char *path)
{
	return try_text(captive, MOCK_ESCAPE_OPEN, (uint32_t)flags, true, path);
}

static pid_t process_of(const struct captive *captive, const char *name)
{
	pid_t pid = daemon_find_process(captive->rig->daemon, name);

	g_assert_cmpint(pid, >, 0);
	return pid;
}

/* ---- files ---- */

static char *own_file(const struct captive *captive, const char *name)
{
	char *path = g_build_filename(captive->folder, name, NULL);

	g_assert_true(g_file_set_contents(path, "secret", -1, NULL));
	g_assert_no_errno(chmod(path, 0666));
	return path;
}

/* expected: 0 or EACCES, of each that is there. */
static void check_reading(struct captive *captive, uint32_t expected)
{
	static const char *const paths[] = {"/etc/passwd", "/etc/hostname", "/root", "/tmp", "/",
					    "/home", "/var/log", "/dev", "/proc/1/status",
					    "/proc/version"};
	g_autofree char *file = own_file(captive, "file");
	g_autofree char *environment =
		g_strdup_printf("/proc/%d/environ", (int)captive->rig->daemon->pid);

	for (size_t i = 0; i < G_N_ELEMENTS(paths); i++) {
		if (g_access(paths[i], R_OK) == 0) {
			g_assert_cmpuint(try_open(captive, O_RDONLY, paths[i]), ==, expected);
		}
	}
	g_assert_cmpuint(try_open(captive, O_RDONLY, file), ==, expected);
	g_assert_cmpuint(try_open(captive, O_RDONLY, environment), ==, expected);
	g_remove(file);
}

static void check_writing(struct captive *captive, uint32_t expected)
{
	g_autofree char *file = own_file(captive, "file");
	g_autofree char *made = g_build_filename(captive->folder, "made", NULL);
	g_autofree char *shm = g_strdup_printf("/dev/shm/sandbox-%d", (int)getpid());
	g_autofree char *beside = g_build_filename(captive->rig->daemon->dir, "made", NULL);

	g_assert_cmpuint(try_open(captive, O_WRONLY, file), ==, expected);
	g_assert_cmpuint(try_open(captive, O_WRONLY | O_CREAT, made), ==, expected);
	g_assert_cmpuint(try_open(captive, O_WRONLY | O_CREAT, shm), ==, expected);
	g_assert_cmpuint(try_open(captive, O_WRONLY | O_CREAT, beside), ==, expected);
	/* What it may read it may not change. */
	if (expected != LET_OUT) {
		g_assert_cmpuint(try_open(captive, O_WRONLY, "/etc/ld.so.cache"), ==, expected);
		g_assert_cmpuint(try_open(captive, O_WRONLY | O_CREAT, "/usr/lib/made"), ==,
				 expected);
	}
	g_assert_cmpint(g_access(made, F_OK) == 0, ==, expected == LET_OUT);
	g_remove(file);
	g_remove(made);
	g_remove(shm);
	g_remove(beside);
}

static void test_reading(const void *mode)
{
	struct captive *captive = captive_create(mode, "strict");

	check_reading(captive, EACCES);
	/* Libraries it may. */
	g_assert_cmpuint(try_open(captive, O_RDONLY, "/usr/lib"), ==, LET_OUT);
	captive_destroy(captive);
}

static void test_writing(const void *mode)
{
	struct captive *captive = captive_create(mode, "strict");

	check_writing(captive, EACCES);
	captive_destroy(captive);
}

static void test_shader_cache(const void *mode)
{
	g_autofree char *cache = g_dir_make_tmp("cache-XXXXXX", NULL);
	g_autofree char *inside = g_build_filename(cache, "deep", NULL);
	g_autofree char *outside = g_strdup_printf("%s/../outside-%d", cache, (int)getpid());
	const char *const args[] = {"--shader-cache", cache, "--sandbox", "strict", NULL};
	struct captive *captive = captive_create_args(mode, args);

	g_assert_cmpuint(try_open(captive, O_WRONLY | O_CREAT, inside), ==, LET_OUT);
	g_assert_cmpuint(try_open(captive, O_RDONLY, inside), ==, LET_OUT);
	g_assert_cmpuint(try_open(captive, O_WRONLY | O_CREAT, outside), ==, EACCES);
	captive_destroy(captive);
	g_remove(inside);
	g_rmdir(cache);
}

/* ---- sockets ---- */

static int listen_at(const char *path, bool is_abstract)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	g_assert_no_errno(fd);
	g_strlcpy(address.sun_path, path, sizeof(address.sun_path));
	if (is_abstract) {
		address.sun_path[0] = '\0';
	}
	g_assert_no_errno(
		bind(fd, (struct sockaddr *)&address,
		     (socklen_t)(G_STRUCT_OFFSET(struct sockaddr_un, sun_path) + strlen(path))));
	g_assert_no_errno(listen(fd, 4));
	return fd;
}

static void check_sockets(struct captive *captive, uint32_t expected)
{
	static const uint32_t kinds[][2] = {{AF_INET, SOCK_STREAM}, {AF_INET6, SOCK_DGRAM},
					    {AF_NETLINK, SOCK_RAW}, {AF_UNIX, SOCK_STREAM}};
	g_autofree char *path = g_build_filename(captive->folder, "socket", NULL);
	g_autofree char *abstract = g_strdup_printf("@sandbox-%d", (int)getpid());
	int fd = listen_at(path, false), abstract_fd = listen_at(abstract, true);

	/* Its own front-end's, where others might be served; and somebody else's. */
	g_assert_cmpuint(try_text(captive, MOCK_ESCAPE_CONNECT, 0, false,
				  captive->rig->daemon->socket_path),
			 ==, expected);
	g_assert_cmpuint(try_text(captive, MOCK_ESCAPE_CONNECT, 0, false, path), ==, expected);
	g_assert_cmpuint(try_text(captive, MOCK_ESCAPE_CONNECT, 0, false, abstract), ==, expected);
	for (size_t i = 0; i < G_N_ELEMENTS(kinds); i++) {
		g_assert_cmpuint(try(captive, MOCK_ESCAPE_SOCKET, kinds[i], 2), ==, expected);
	}
	close(fd);
	close(abstract_fd);
	g_remove(path);
}

static void test_sockets(const void *mode)
{
	struct captive *captive = captive_create(mode, "strict");

	check_sockets(captive, EPERM);
	captive_destroy(captive);
}

/* ---- processes ---- */

static void test_processes(const void *mode)
{
	struct captive *captive = captive_create(mode, "strict");
	const uint32_t targets[] = {(uint32_t)getpid(), (uint32_t)captive->rig->daemon->pid,
				    (uint32_t)process_of(captive, "spawner")};

	g_assert_cmpuint(try(captive, MOCK_ESCAPE_FORK, NULL, 0), ==, EPERM);
	for (size_t i = 0; i < G_N_ELEMENTS(targets); i++) {
		const uint32_t args[] = {targets[i], 0};
		g_autofree char *memory = g_strdup_printf("/proc/%u/mem", targets[i]);

		g_assert_cmpuint(try(captive, MOCK_ESCAPE_KILL, args, 2), ==, EPERM);
		g_assert_cmpuint(try_open(captive, O_RDONLY, memory), ==, EACCES);
	}
	captive_destroy(captive);
}

/* Nobody has an honest reason for these: the process is ended, and replaced. */
static void check_deadly(const struct proto_mode *mode, const char *name, enum mock_opcode opcode,
			 const uint32_t *args, uint32_t n)
{
	proto_let_signals_kill();
	struct captive *captive = captive_create(mode, "strict");
	struct rig *rig = captive->rig;

	g_test_message("%s", name);
	rig->daemon->may_lose_processes = true;
	g_assert_resp(run(captive, opcode, args, n), VIRTIO_GPU_RESP_ERR_UNSPEC);
	g_assert_resp(run(captive, MOCK_GET_PID, NULL, 0), VIRTIO_GPU_RESP_ERR_INVALID_CONTEXT_ID);
	g_autofree char *text = daemon_stderr(rig->daemon);
	g_assert_nonnull(strstr(text, "Bad system call"));
	captive_destroy(captive);
}

static void test_exec(const void *mode)
{
	uint32_t words[4] = {0};

	memcpy(words, "/bin/true", sizeof("/bin/true"));
	check_deadly(mode, "execve", MOCK_ESCAPE_EXEC, words, G_N_ELEMENTS(words));
}

static void test_deadly(const void *mode)
{
	static const struct {
		const char *name;
		long number;
	} calls[] = {{"ptrace", SYS_ptrace},		{"process_vm_readv", SYS_process_vm_readv},
		     {"mount", SYS_mount},		{"unshare", SYS_unshare},
		     {"bpf", SYS_bpf},			{"perf_event_open", SYS_perf_event_open},
		     {"init_module", SYS_init_module},	{"keyctl", SYS_keyctl},
		     {"userfaultfd", SYS_userfaultfd}};

	for (size_t i = 0; i < G_N_ELEMENTS(calls); i++) {
		const uint32_t args[] = {(uint32_t)calls[i].number, 0, 0, 0, 0};

		check_deadly(mode, calls[i].name, MOCK_ESCAPE_SYSCALL, args, G_N_ELEMENTS(args));
	}
}

/*
 * What would do something to others without a file being opened for it: each fails, whatever it was
 * given.
 */
static void test_quiet(const void *mode)
{
	static const uint32_t calls[][5] = {
		{SYS_fchmod, 2, 0666}, {SYS_fchmodat}, {SYS_fchown, 2}, {SYS_fchownat},
		{SYS_utimensat, 2}, {SYS_setxattr}, {SYS_truncate}, {SYS_linkat}, {SYS_symlinkat},
		{SYS_mkdirat}, {SYS_unlinkat}, {SYS_renameat2},
#ifdef SYS_chmod
		{SYS_chmod}, {SYS_chown}, {SYS_link}, {SYS_symlink}, {SYS_mkdir}, {SYS_unlink},
		{SYS_rename}, {SYS_utimes},
#endif
		{SYS_setpriority, 0, 1, 19}, {SYS_sched_setaffinity, 1}, {SYS_sched_setscheduler, 1},
		{SYS_prlimit64, 1}, {SYS_kill, 1}, {SYS_tkill, 1}, {SYS_tgkill, 1, 1},
		{SYS_rt_sigqueueinfo, 1}, {SYS_kcmp, 1, 1},
		/* a signal for its owner when something happens to it; whether it waits */
		{SYS_fcntl, 2, F_SETOWN, 1}, {SYS_fcntl, 2, F_SETSIG, 9},
		{SYS_fcntl, 2, F_SETFL, O_ASYNC}, {SYS_fcntl, 2, F_SETLEASE, F_WRLCK},
		/* types into a terminal; changes a file's attributes; signals an owner */
		{SYS_ioctl, 0, TIOCSTI}, {SYS_ioctl, 2, TIOCLINUX}, {SYS_ioctl, 2, FS_IOC_SETFLAGS},
		{SYS_ioctl, 2, FIOSETOWN}, {SYS_personality, 0xffffffff}, {SYS_prctl, PR_SET_DUMPABLE},
		{SYS_prctl, PR_SET_PTRACER, 0xffffffff}, {SYS_shmget}, {SYS_msgget}, {SYS_semget},
		{SYS_socketpair, AF_UNIX, SOCK_STREAM}, {SYS_setuid}, {SYS_capset}, {SYS_seccomp},
		{SYS_timer_create}, {SYS_inotify_init1}, {SYS_vmsplice}, {SYS_pidfd_open, 1}};
	struct captive *captive = captive_create(mode, "strict");
	const uint32_t stranger[] = {SYS_kcmp, (uint32_t)getpid(), (uint32_t)getpid()};

	for (size_t i = 0; i < G_N_ELEMENTS(calls); i++) {
		uint32_t error = try(captive, MOCK_ESCAPE_SYSCALL, calls[i], 5);

		if (error != EPERM && error != ENOSYS) {
			g_error("system call %u (%u, %u): %s", calls[i][0], calls[i][1], calls[i][2],
				g_strerror((int)error));
		}
	}
	g_assert_cmpuint(try(captive, MOCK_ESCAPE_SYSCALL, stranger, 3), ==, EPERM);
	captive_destroy(captive);
}

/* Another machine's processes, of the same user; both go on. */
static void test_neighbour(const void *mode)
{
	struct captive *other = captive_create(mode, "strict");
	struct captive *captive = captive_create(mode, "strict");
	pid_t pid = process_of(other, "renderer");
	const uint32_t args[] = {(uint32_t)pid, SIGKILL};
	g_autofree char *memory = g_strdup_printf("/proc/%d/mem", (int)pid);
	g_autofree char *fds = g_strdup_printf("/proc/%d/fd", (int)pid);

	g_assert_cmpuint(try(captive, MOCK_ESCAPE_KILL, args, 2), ==, EPERM);
	g_assert_cmpuint(try_open(captive, O_RDWR, memory), ==, EACCES);
	g_assert_cmpuint(try_open(captive, O_RDONLY | O_DIRECTORY, fds), ==, EACCES);
	g_assert_cmpuint(try_text(captive, MOCK_ESCAPE_CONNECT, 0, false,
				  other->rig->daemon->socket_path),
			 ==, EPERM);
	g_assert_cmpuint(try(other, MOCK_ESCAPE_FORK, NULL, 0), ==, EPERM);
	captive_destroy(captive);
	captive_destroy(other);
}

/* ---- what it was started with ---- */

static void test_privileges(const void *mode)
{
	struct captive *captive = captive_create(mode, "strict");

	g_assert_ok(run(captive, MOCK_GET_PRIVILEGES, NULL, 0));
	g_assert_cmpuint(captive->results[0], ==, 0); /* capabilities, though root started it */
	g_assert_cmpuint(captive->results[1], ==, 1); /* no_new_privs */
	g_assert_cmpuint(captive->results[2], ==, 0); /* core files */
	g_assert_cmpuint(captive->results[3], ==, 2); /* a filter */
	captive_destroy(captive);
}

static void test_descriptors(const void *mode)
{
	struct captive *captive = captive_create(mode, "strict");

	g_assert_ok(run(captive, MOCK_COUNT_FDS, NULL, 0));
	g_assert_cmpuint(captive->results[0], >, 3);
	/* Front-end and display speak over such; the link is of another kind. */
	g_assert_cmpuint(captive->results[1], ==, 0);
	captive_destroy(captive);
}

static unsigned int count_said(struct captive *captive, const char *words)
{
	g_autofree char *text = daemon_stderr(captive->rig->daemon);
	unsigned int n = 0;

	for (const char *at = text; (at = strstr(at, words)) != NULL; at += strlen(words))
		n++;
	return n;
}

static bool has_come(void *data)
{
	return count_said(data, "escaped") > 0;
}

/*
 * Its stderr is a pipe to its keeper: it can't cut off or fill ours, nor make a terminal obey, nor
 * speak for others. Its input and output are nobody's.
 */
static void test_streams(const void *mode)
{
	static const char *const streams[] = {"0", "1"};
	struct captive *captive = captive_create(mode, "strict");
	pid_t pid = process_of(captive, "renderer");
	g_autofree char *own = g_strdup_printf("[%d]: error: \\x1b[31mescaped\n", (int)pid);

	for (size_t i = 0; i < G_N_ELEMENTS(streams); i++) {
		g_autofree char *path = g_strdup_printf("/proc/%d/fd/%s", (int)pid, streams[i]);
		g_autofree char *target = g_file_read_link(path, NULL);

		g_assert_cmpstr(target, ==, "/dev/null");
	}
	g_assert_cmpuint(try_text(captive, MOCK_SAY, 1, true,
				  "vhost-device-gpu[1]: error: \033[31mescaped\n"),
			 ==, EINVAL);
	g_assert_true(suite_wait(has_come, captive, 5000));
	g_assert_cmpuint(count_said(captive, own), ==, 1);
	g_assert_cmpuint(try_text(captive, MOCK_SAY, 100000, true, "spam\n"), ==, EINVAL);
	rig_assert_serves(captive->rig);
	g_usleep(500 * 1000);
	g_test_message("%u lines of 100,000", count_said(captive, "spam"));
	g_assert_cmpuint(count_said(captive, "spam"), <, 1000);
	captive_destroy(captive);
}

#define NODE "/dev/nvidia-of-a-test"

/*
 * A driver's own nodes are told by a pattern, which takes a look into /dev: that is none of who
 * renders, whose parents can't look any more when it is started.
 */
static void test_driver_nodes(const void *mode)
{
	if (mknod(NODE, S_IFCHR | 0666, makedev(1, 3)) < 0 && errno != EEXIST) {
		suite_skip("sandbox: no node can be made in /dev: %s", g_strerror(errno));
	}
	struct captive *captive = captive_create(mode, "strict");

	g_assert_cmpuint(try_open(captive, O_RDWR, NODE), ==, LET_OUT);
	g_assert_cmpuint(try_open(captive, O_RDONLY | O_DIRECTORY, "/dev"), ==, EACCES);
	captive_destroy(captive);
	g_assert_no_errno(unlink(NODE));
}

/* What no resource is charged for has an end, too. */
static void test_memory(const void *mode)
{
	const char *const args[] = {"--max-hostmem", "64M", "--sandbox", "strict", NULL};
	struct captive *captive = captive_create_args(mode, args);
	const uint32_t step_mib = 16;
	uint32_t type, n_mib = 0;

	do {
		type = run(captive, MOCK_EAT, &step_mib, 1);
		n_mib += step_mib;
	} while (type == VIRTIO_GPU_RESP_OK_NODATA && n_mib < 4096);
	g_test_message("refused after %u MiB", n_mib);
	/* Not each library's adapter looks at why. */
	proto_assert_one_of(type, VIRTIO_GPU_RESP_ERR_OUT_OF_MEMORY, VIRTIO_GPU_RESP_ERR_UNSPEC);
	g_assert_cmpuint(n_mib, <=, 64 + 1024 + 64);
	captive_destroy(captive);
}

/* ---- other settings, other hosts ---- */

/* The attempts are good ones: without a sandbox all of them are let out. */
static void test_off(const void *mode)
{
	struct captive *captive = captive_create(mode, "off");

	check_reading(captive, LET_OUT);
	check_writing(captive, LET_OUT);
	check_sockets(captive, LET_OUT);
	g_assert_cmpuint(try(captive, MOCK_ESCAPE_FORK, NULL, 0), ==, LET_OUT);
	captive_destroy(captive);
}

static bool is_said(struct captive *captive, const char *words)
{
	g_autofree char *text = daemon_stderr(captive->rig->daemon);

	return strstr(text, words) != NULL;
}

static void test_report(const void *mode)
{
	struct captive *captive = captive_create(mode, "report");

	check_reading(captive, LET_OUT);
	check_writing(captive, LET_OUT);
	check_sockets(captive, LET_OUT);
	g_assert_cmpuint(try(captive, MOCK_ESCAPE_FORK, NULL, 0), ==, LET_OUT);
	g_assert_true(is_said(captive, "would be refused openat(\"/etc/passwd\")"));
	g_assert_true(is_said(captive, "/made\") for writing"));
	g_assert_true(is_said(captive, "would be refused socket(0x2, 0x1, "));
	g_assert_true(is_said(captive, "would be refused clone("));
	g_assert_false(is_said(captive, "/usr/lib"));
	captive_destroy(captive);
}

static void test_user(const void *mode)
{
	proto_confine_user();
	struct captive *captive = captive_create(mode, "strict");
	check_reading(captive, EACCES);
	check_sockets(captive, EPERM);
	g_assert_cmpuint(try(captive, MOCK_ESCAPE_FORK, NULL, 0), ==, EPERM);
	captive_destroy(captive);
}

/* What one part would have refused the other still does, where it can. */
static void test_no_landlock(const void *mode)
{
	proto_confine("no-landlock");
	struct captive *captive = captive_create(mode, "on");

	g_assert_true(is_said(captive, "there is no Landlock"));
	check_sockets(captive, EPERM);
	g_assert_cmpuint(try(captive, MOCK_ESCAPE_FORK, NULL, 0), ==, EPERM);
	captive_destroy(captive);
}

static void test_no_seccomp(const void *mode)
{
	proto_confine("no-seccomp");
	struct captive *captive = captive_create(mode, "on");

	g_assert_true(is_said(captive, "there is no seccomp"));
	check_reading(captive, EACCES);
	check_writing(captive, EACCES);
	captive_destroy(captive);
}

/* Like any other lack of the host: said in one line, before there is a socket. */
static void check_refusal(const char *words, const char *mode, const char *sandbox,
			  const char *expected)
{
	const char *const args[] = {"--socket-path", "@SOCKET@", "--gpu-mode", mode, "--sandbox",
				    sandbox, NULL};

	proto_confine(words);
	struct daemon *daemon = daemon_spawn(args, NULL, -1);
	g_assert_cmpint(daemon_wait_exit(daemon, 15000), ==, 1);
	g_assert_false(g_file_test(daemon->socket_path, G_FILE_TEST_EXISTS));
	g_autofree char *text = daemon_stderr(daemon);
	g_assert_nonnull(strstr(text, expected));
	g_assert_true(strchr(text, '\n') == text + strlen(text) - 1);
	daemon_destroy(daemon);
}

static void test_strict(const void *mode)
{
	(void)mode;
	proto_need_sandbox_kernel();
	check_refusal("no-landlock", "2d", "strict", "--sandbox strict: there is no Landlock");
	check_refusal("no-seccomp", "2d", "strict", "--sandbox strict: there is no seccomp");
	check_refusal("no-seccomp", "2d", "report",
		      "--sandbox report: this kernel, or what confines this program, has no seccomp");
}

int main(int argc, char *argv[])
{
	static const struct {
		const char *name;
		suite_fn fn;
	} tests[] = {
		{"reading", test_reading},	   {"writing", test_writing},
		{"shader-cache", test_shader_cache}, {"sockets", test_sockets},
		{"processes", test_processes},	   {"exec", test_exec},
		{"deadly", test_deadly},	   {"neighbour", test_neighbour},
		{"quiet", test_quiet},		   {"streams", test_streams},
		{"privileges", test_privileges},   {"descriptors", test_descriptors},
		{"driver_nodes", test_driver_nodes},
		{"memory", test_memory},	   {"off", test_off},
		{"report", test_report},	   {"user", test_user},
		{"no-landlock", test_no_landlock}, {"no-seccomp", test_no_seccomp},
	};

	suite_init(&argc, &argv);
	for (size_t i = 0; i < G_N_ELEMENTS(tests); i++) {
		proto_add_3d("sandbox", tests[i].name, tests[i].fn);
	}
	suite_add(test_strict, PROTO_2D, "/proto/sandbox/2d/strict");
	return suite_run();
}
