/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * Landlock by its system calls, as the C library has no names for them; the
 * filter of system calls by libseccomp, which knows the numbers of each
 * architecture; capabilities by the three calls that it takes to have none.
 *
 * A call that is refused fails, and does not end the process: a GPU driver of
 * next year may ask for one that nobody has measured, and is to find another
 * way, not to crash. Calls for which there is no honest reason end it.
 */
#include "util/lockdown.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/seccomp.h>
#include <linux/sockios.h>
#include <linux/udmabuf.h>
#include <sched.h>
#include <seccomp.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "util/log.h"

#ifndef PR_SET_VMA
#define PR_SET_VMA 0x53564d41
#endif

lockdown_names lockdown_base_calls = {
	"read", "readv", "write", "writev", "close", "fcntl(own)", "fcntl64", "dup", "poll",
	"ppoll", "ppoll_time64", "fstat", "fstat64", "newfstatat(fd)", "statx(fd)", "lseek",
	"_llseek",
	/* memory: none of it to be executed */
	"brk", "mmap(data)", "mmap2(data)", "mprotect(data)", "munmap", "mremap", "madvise",
	/* threads and time */
	"clone(thread)", "futex", "futex_time64", "set_robust_list", "set_tid_address", "rseq",
	"sched_yield", "sched_getaffinity", "prctl(name)", "prctl(vma)", "gettid", "exit",
	"clock_gettime", "clock_gettime64", "clock_getres", "clock_nanosleep",
	"clock_nanosleep_time64", "nanosleep", "gettimeofday", "time", "restart_syscall",
	/* signals to itself, and the end */
	"rt_sigaction", "rt_sigprocmask", "rt_sigreturn", "sigreturn", "sigaltstack",
	"tgkill(self)", "exit_group", "getpid", "getppid", "getrandom", "uname", "sysinfo",
	"prlimit64(self)", NULL
};

/* Fails in a way that a C library or a driver takes for an old kernel, and has another way. */
static lockdown_names absent_calls = { "clone3",      "openat2",	 "close_range",
				       "faccessat2",  "io_uring_setup",	 "epoll_pwait2",
				       "pidfd_open",  "process_madvise", "set_mempolicy_home_node",
				       "futex_waitv", "membarrier",	 NULL };

/* Nothing that renders, or serves who does, has a reason for any of these. */
static lockdown_names deadly_calls = { "execve",
				       "execveat",
				       "ptrace",
				       "process_vm_readv",
				       "process_vm_writev",
				       "mount",
				       "umount2",
				       "pivot_root",
				       "chroot",
				       "move_mount",
				       "open_tree",
				       "fsopen",
				       "fsmount",
				       "setns",
				       "unshare",
				       "init_module",
				       "finit_module",
				       "delete_module",
				       "kexec_load",
				       "kexec_file_load",
				       "bpf",
				       "perf_event_open",
				       "userfaultfd",
				       "add_key",
				       "request_key",
				       "keyctl",
				       "open_by_handle_at",
				       "pidfd_getfd",
				       "reboot",
				       "swapon",
				       "swapoff",
				       "acct",
				       "iopl",
				       "ioperm",
				       "settimeofday",
				       "clock_settime",
				       "sethostname",
				       NULL };

struct conditional {
	const char *token, *name;
	struct scmp_arg_cmp condition;
};

static const struct conditional conditionals[] = {
	{ "clone(thread)", "clone", { 0, SCMP_CMP_MASKED_EQ, CLONE_THREAD, CLONE_THREAD } },
	{ "mmap(data)", "mmap", { 2, SCMP_CMP_MASKED_EQ, PROT_EXEC, 0 } },
	{ "mmap2(data)", "mmap2", { 2, SCMP_CMP_MASKED_EQ, PROT_EXEC, 0 } },
	{ "mprotect(data)", "mprotect", { 2, SCMP_CMP_MASKED_EQ, PROT_EXEC, 0 } },
	/* Not those that have a file's owner signalled, who may be anybody. */
	{ "fcntl(own)", "fcntl", { 1, SCMP_CMP_EQ, F_DUPFD, 0 } },
	{ "fcntl(own)", "fcntl", { 1, SCMP_CMP_EQ, F_DUPFD_CLOEXEC, 0 } },
	{ "fcntl(own)", "fcntl", { 1, SCMP_CMP_EQ, F_GETFD, 0 } },
	{ "fcntl(own)", "fcntl", { 1, SCMP_CMP_EQ, F_SETFD, 0 } },
	{ "fcntl(own)", "fcntl", { 1, SCMP_CMP_EQ, F_GETFL, 0 } },
	{ "fcntl(own)", "fcntl", { 1, SCMP_CMP_EQ, F_SETPIPE_SZ, 0 } },
	{ "fcntl(own)", "fcntl", { 1, SCMP_CMP_EQ, F_GETPIPE_SZ, 0 } },
	{ "fcntl(own)", "fcntl", { 1, SCMP_CMP_EQ, F_ADD_SEALS, 0 } },
	{ "fcntl(own)", "fcntl", { 1, SCMP_CMP_EQ, F_GET_SEALS, 0 } },
	/* Whether a descriptor waits, for whoever shares it. */
	{ "fcntl(flags)", "fcntl", { 1, SCMP_CMP_EQ, F_SETFL, 0 } },
	{ "fcntl(lock)", "fcntl", { 1, SCMP_CMP_EQ, F_GETLK, 0 } },
	{ "fcntl(lock)", "fcntl", { 1, SCMP_CMP_EQ, F_SETLK, 0 } },
	{ "fcntl(lock)", "fcntl", { 1, SCMP_CMP_EQ, F_SETLKW, 0 } },
	{ "prctl(name)", "prctl", { 0, SCMP_CMP_EQ, PR_SET_NAME, 0 } },
	{ "prctl(get-name)", "prctl", { 0, SCMP_CMP_EQ, PR_GET_NAME, 0 } },
	{ "prctl(vma)", "prctl", { 0, SCMP_CMP_EQ, PR_SET_VMA, 0 } },
	{ "prlimit64(self)", "prlimit64", { 0, SCMP_CMP_EQ, 0, 0 } },
	{ "ioctl(unread)", "ioctl", { 1, SCMP_CMP_MASKED_EQ, UINT32_MAX, SIOCOUTQ } },
	{ "newfstatat(fd)", "newfstatat", { 3, SCMP_CMP_MASKED_EQ, AT_EMPTY_PATH, AT_EMPTY_PATH } },
	{ "statx(fd)", "statx", { 2, SCMP_CMP_MASKED_EQ, AT_EMPTY_PATH, AT_EMPTY_PATH } },
	/*
	 * By their kind: DRM, dma-buf, sync_file, udmabuf, and NVIDIA's: 'F', 'm', and numbers
	 * without one. Not a terminal's, which stderr may be: one of them types into it.
	 */
	{ "ioctl(gpu)", "ioctl", { 1, SCMP_CMP_MASKED_EQ, 0xff00, 'd' << 8 } },
	{ "ioctl(gpu)", "ioctl", { 1, SCMP_CMP_MASKED_EQ, 0xff00, 'b' << 8 } },
	{ "ioctl(gpu)", "ioctl", { 1, SCMP_CMP_MASKED_EQ, 0xff00, '>' << 8 } },
	{ "ioctl(gpu)", "ioctl", { 1, SCMP_CMP_MASKED_EQ, 0xff00, 'u' << 8 } },
	{ "ioctl(gpu)", "ioctl", { 1, SCMP_CMP_MASKED_EQ, 0xff00, 'F' << 8 } },
	{ "ioctl(gpu)", "ioctl", { 1, SCMP_CMP_MASKED_EQ, 0xff00, 'm' << 8 } },
	{ "ioctl(gpu)", "ioctl", { 1, SCMP_CMP_MASKED_EQ, 0xff00, 0 } },
	{ "ioctl(udmabuf)",
	  "ioctl",
	  { 1, SCMP_CMP_MASKED_EQ, UINT32_MAX, UDMABUF_CREATE_LIST } },
	{ "socket(unix)", "socket", { 0, SCMP_CMP_EQ, AF_UNIX, 0 } },
};

/* ---- privileges and limits ---- */

static int drop_capabilities(void)
{
	struct __user_cap_header_struct header = { _LINUX_CAPABILITY_VERSION_3, 0 };
	const struct __user_cap_data_struct none[_LINUX_CAPABILITY_U32S_3] = { { 0, 0, 0 } };

	/* Who may not drop one has none, either: nothing is to be gained any more. */
	for (unsigned long i = 0; prctl(PR_CAPBSET_DROP, i, 0, 0, 0) == 0; i++) {
	}
	prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
	return syscall(SYS_capset, &header, none) < 0 ? -errno : 0;
}

int lockdown_privileges(void)
{
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0) {
		return -errno;
	}
	return drop_capabilities();
}

static int limit(int resource, rlim_t value)
{
	struct rlimit limits;

	if (getrlimit((__rlimit_resource_t)resource, &limits) < 0) {
		return -errno;
	}
	limits.rlim_max = MIN(limits.rlim_max, value);
	limits.rlim_cur = MIN(limits.rlim_cur, value);
	return setrlimit((__rlimit_resource_t)resource, &limits) < 0 ? -errno : 0;
}

int lockdown_limits(unsigned int max_fds)
{
	int error = limit(RLIMIT_CORE, 0);

	return error == 0 ? limit(RLIMIT_NOFILE, max_fds) : error;
}

/* Bytes that RLIMIT_DATA counts (proc(5): statm, "data + stack", in pages). */
static int read_data_bytes(uint64_t *bytes_out)
{
	char text[256];
	unsigned long long pages;
	int fd = open("/proc/self/statm", O_RDONLY | O_CLOEXEC);

	if (fd < 0) {
		return -errno;
	}
	ssize_t n = read(fd, text, sizeof(text) - 1);
	close(fd);
	if (n <= 0) {
		return -EIO;
	}
	text[n] = '\0';
	if (sscanf(text, "%*u %*u %*u %*u %*u %llu", &pages) != 1) {
		return -EIO;
	}
	*bytes_out = pages * (uint64_t)sysconf(_SC_PAGESIZE);
	return 0;
}

int lockdown_memory(uint64_t more_bytes)
{
	uint64_t bytes;
	int error = read_data_bytes(&bytes);

	return error == 0 ? limit(RLIMIT_DATA, bytes + more_bytes) : error;
}

/* ---- files: Landlock ---- */

/* As linux/landlock.h of Linux 6.12 has them; Debian 12's is older. */
enum {
	FS_EXECUTE = 1 << 0,
	FS_WRITE_FILE = 1 << 1,
	FS_READ_FILE = 1 << 2,
	FS_READ_DIR = 1 << 3,
	FS_REMOVE_DIR = 1 << 4,
	FS_REMOVE_FILE = 1 << 5,
	FS_MAKE_DIR = 1 << 7,
	FS_MAKE_REG = 1 << 8,
	FS_REFER = 1 << 13,
	FS_TRUNCATE = 1 << 14,
	FS_IOCTL_DEV = 1 << 15,
	FS_OF_FILES = FS_EXECUTE | FS_WRITE_FILE | FS_READ_FILE | FS_TRUNCATE | FS_IOCTL_DEV,
	NET_ALL = 3,
	SCOPE_ABSTRACT_UNIX_SOCKET = 1 << 0,
	SCOPE_SIGNAL = 1 << 1,
	RULE_PATH_BENEATH = 1,
	CREATE_RULESET_VERSION = 1,
};

struct ruleset_attr {
	uint64_t handled_access_fs, handled_access_net, scoped;
};

struct path_beneath_attr {
	uint64_t allowed_access;
	int32_t parent_fd;
} __attribute__((packed));

int lockdown_files_abi(void)
{
	long abi = syscall(SYS_landlock_create_ruleset, NULL, 0, CREATE_RULESET_VERSION);

	return abi > 0 ? (int)abi : 0;
}

static uint64_t handled_fs(int abi)
{
	unsigned int n_rights = abi >= 5 ? 16 : abi >= 3 ? 15 : abi >= 2 ? 14 : 13;

	return (UINT64_C(1) << n_rights) - 1;
}

static uint64_t rights_of(unsigned int access)
{
	uint64_t rights = 0;

	if (access & (LOCKDOWN_READ | LOCKDOWN_WRITE)) {
		rights |= FS_READ_FILE | FS_READ_DIR;
	}
	if (access & LOCKDOWN_WRITE) {
		rights |= FS_WRITE_FILE | FS_TRUNCATE | FS_MAKE_REG | FS_MAKE_DIR | FS_REMOVE_FILE |
			  FS_REMOVE_DIR | FS_REFER;
	}
	if (access & LOCKDOWN_DEVICE) {
		rights |= FS_READ_FILE | FS_WRITE_FILE | FS_IOCTL_DEV;
	}
	if (access & LOCKDOWN_EXECUTE) {
		rights |= FS_READ_FILE | FS_EXECUTE;
	}
	if (access & LOCKDOWN_LIST) {
		rights |= FS_READ_DIR;
	}
	if (access & LOCKDOWN_REMOVE) {
		rights |= FS_REMOVE_FILE;
	}
	return rights;
}

static int allow_path(int ruleset, const struct lockdown_path *path, uint64_t handled)
{
	int fd = open(path->path, O_PATH | O_CLOEXEC);
	struct path_beneath_attr rule = { rights_of(path->access) & handled, fd };
	struct stat info;
	int error = 0;

	if (fd < 0) {
		if (errno != ENOENT && errno != ENOTDIR) {
			log_warn("sandbox: '%s' will be out of reach: %s", path->path,
				 g_strerror(errno));
		}
		return 0;
	}
	if (fstat(fd, &info) < 0) {
		error = -errno;
	} else if (!S_ISDIR(info.st_mode)) {
		rule.allowed_access &= FS_OF_FILES;
	}
	if (error == 0 && rule.allowed_access != 0 &&
	    syscall(SYS_landlock_add_rule, ruleset, RULE_PATH_BENEATH, &rule, 0) < 0) {
		error = -errno;
	}
	close(fd);
	return error;
}

static int create_ruleset(const struct lockdown_files *files, int abi)
{
	const struct ruleset_attr attr = {
		.handled_access_fs = handled_fs(abi),
		.handled_access_net = abi >= 4 ? NET_ALL : 0,
		.scoped = abi < 6 ? 0
				  : (files->may_signal ? 0u : SCOPE_SIGNAL) |
					    (files->may_use_sockets ? 0u
								    : SCOPE_ABSTRACT_UNIX_SOCKET),
	};
	long ruleset = syscall(SYS_landlock_create_ruleset, &attr, sizeof(attr), 0);

	return ruleset < 0 ? -errno : (int)ruleset;
}

int lockdown_files(const struct lockdown_files *files)
{
	int abi = lockdown_files_abi();
	int ruleset = abi > 0 ? create_ruleset(files, abi) : -EOPNOTSUPP;
	int error = 0;

	if (ruleset < 0) {
		return ruleset;
	}
	for (size_t i = 0; i < files->n_paths && error == 0; i++) {
		error = allow_path(ruleset, &files->paths[i], handled_fs(abi));
	}
	if (error == 0 && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0) {
		error = -errno;
	}
	if (error == 0 && syscall(SYS_landlock_restrict_self, ruleset, 0) < 0) {
		error = -errno;
	}
	close(ruleset);
	return error;
}

/* ---- system calls: seccomp ---- */

bool lockdown_calls_available(void)
{
	uint32_t action = SECCOMP_RET_KILL_PROCESS;

	return syscall(SYS_seccomp, SECCOMP_GET_ACTION_AVAIL, 0, &action) == 0;
}

static bool has_name(const char *const *names, const char *name)
{
	for (; names != NULL && *names != NULL; names++) {
		if (strcmp(*names, name) == 0) {
			return true;
		}
	}
	return false;
}

/* -EFAULT, -EDOM: not on this architecture. -EEXIST, -EACCES: there is such a rule, or it is the
 * default. */
static int heed(int result)
{
	return result == -EFAULT || result == -EDOM || result == -EEXIST || result == -EACCES
		       ? 0
		       : result;
}

/* libseccomp looks through all names there are; and children need the same ones again. */
static int resolve(const char *name)
{
	static GHashTable *numbers;
	gpointer number;

	if (numbers == NULL) {
		numbers = g_hash_table_new(g_str_hash, g_str_equal);
	}
	if (!g_hash_table_lookup_extended(numbers, name, NULL, &number)) {
		number = GINT_TO_POINTER(seccomp_syscall_resolve_name(name));
		g_hash_table_insert(numbers, (char *)(uintptr_t)name, number);
	}
	return GPOINTER_TO_INT(number);
}

static int add(scmp_filter_ctx filter, uint32_t action, const char *name,
	       const struct scmp_arg_cmp *condition)
{
	int number = resolve(name);

	if (number == __NR_SCMP_ERROR) {
		return 0;
	}
	return heed(seccomp_rule_add_array(filter, action, number, condition != NULL, condition));
}

/* By any of the conditions of that name. */
static int allow_if(scmp_filter_ctx filter, const char *token)
{
	unsigned int n = 0;
	int error = 0;

	for (size_t i = 0; i < G_N_ELEMENTS(conditionals) && error == 0; i++) {
		if (strcmp(conditionals[i].token, token) == 0) {
			error = add(filter, SCMP_ACT_ALLOW, conditionals[i].name,
				    &conditionals[i].condition);
			n++;
		}
	}
	g_assert(n > 0);
	return error;
}

/* The only conditions that are not known before. */
static int allow_self(scmp_filter_ctx filter, const char *name, unsigned int n_pids)
{
	const scmp_datum_t pid = (scmp_datum_t)getpid();
	const struct scmp_arg_cmp self[] = { { 0, SCMP_CMP_EQ, pid, 0 },
					     { 1, SCMP_CMP_EQ, pid, 0 } };
	int number = resolve(name);

	return heed(seccomp_rule_add_array(filter, SCMP_ACT_ALLOW, number, n_pids, self));
}

static int allow(scmp_filter_ctx filter, const char *token, bool has_children)
{
	if (strcmp(token, "tgkill(self)") == 0) {
		return allow_self(filter, "tgkill", has_children ? 0 : 1);
	}
	if (strcmp(token, "kcmp(self)") == 0) {
		return allow_self(filter, "kcmp", has_children ? 0 : 2);
	}
	if (strchr(token, '(') != NULL) {
		return allow_if(filter, token);
	}
	return add(filter, SCMP_ACT_ALLOW, token, NULL);
}

static int allow_lists(scmp_filter_ctx filter, const struct lockdown_calls *calls)
{
	int error = 0;

	for (const char *const *const *list = calls->lists; *list != NULL; list++) {
		for (const char *const *token = *list; *token != NULL && error == 0; token++) {
			if (!has_name(calls->reported, *token)) {
				error = allow(filter, *token, calls->has_children);
			}
		}
	}
	return error;
}

static bool is_allowed(const struct lockdown_calls *calls, const char *name)
{
	for (const char *const *const *list = calls->lists; *list != NULL; list++) {
		if (has_name(*list, name)) {
			return true;
		}
	}
	return false;
}

static int add_others(scmp_filter_ctx filter, uint32_t action, const struct lockdown_calls *calls,
		      const char *const *names)
{
	int error = 0;

	for (; *names != NULL && error == 0; names++) {
		if (!is_allowed(calls, *names)) {
			error = add(filter, action, *names, NULL);
		}
	}
	return error;
}

static int fill(scmp_filter_ctx filter, const struct lockdown_calls *calls)
{
	int error = allow_lists(filter, calls);

	if (calls->report_fd_out != NULL) {
		/* Its arguments are out of a filter's sight, as they are in memory: each thread is
		 * started so. */
		return error == 0 ? add(filter, SCMP_ACT_ALLOW, "clone3", NULL) : error;
	}
	if (error == 0) {
		error = add_others(filter, SCMP_ACT_ERRNO(ENOSYS), calls, absent_calls);
	}
	return error == 0 ? add_others(filter, SCMP_ACT_KILL_PROCESS, calls, deadly_calls) : error;
}

/*
 * The tree instead of a list of comparisons, and no brake on speculation: this
 * program keeps no secret from code that it runs.
 */
static void tune(scmp_filter_ctx filter, bool is_report)
{
	seccomp_attr_set(filter, SCMP_FLTATR_CTL_OPTIMIZE, 2);
	seccomp_attr_set(filter, SCMP_FLTATR_CTL_SSB, 1);
	seccomp_attr_set(filter, SCMP_FLTATR_API_SYSRAWRC, 1);
	seccomp_attr_set(filter, SCMP_FLTATR_CTL_TSYNC, is_report ? 0 : 1);
}

int lockdown_calls(const struct lockdown_calls *calls)
{
	bool is_report = calls->report_fd_out != NULL;
	scmp_filter_ctx filter = seccomp_init(is_report ? SCMP_ACT_NOTIFY : SCMP_ACT_ERRNO(EPERM));

	if (filter == NULL) {
		return -ENOMEM;
	}
	tune(filter, is_report);
	int error = fill(filter, calls);
	if (error == 0) {
		error = seccomp_load(filter);
	}
	if (error == 0 && is_report) {
		int fd = seccomp_notify_fd(filter);

		error = fd < 0 ? fd : 0;
		*calls->report_fd_out = fd;
	}
	seccomp_release(filter);
	return error;
}
