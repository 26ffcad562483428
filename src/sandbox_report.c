/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "sandbox_report.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <seccomp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "util/fds.h"
#include "util/lockdown.h"
#include "util/log.h"
#include "util/sock.h"

/* Calls that name a file, and where: refused by path, not by name. */
static const struct file_call {
	const char *name;
	int path_argument, flags_argument; /* -1: it changes something, whatever its flags */
} file_calls[] = {
	{ "open", 0, 1 },     { "openat", 1, 2 },    { "mkdir", 0, -1 },
	{ "mkdirat", 1, -1 }, { "unlink", 0, -1 },   { "unlinkat", 1, -1 },
	{ "rename", 0, -1 },  { "renameat", 1, -1 }, { "renameat2", 1, -1 },
};

/* The same, for lockdown_calls(). */
static lockdown_names file_call_names = { "open",     "openat", "mkdir",    "mkdirat",	 "unlink",
					  "unlinkat", "rename", "renameat", "renameat2", NULL };

struct reporter {
	enum sandbox_role role;
	const struct options *options;
	int notify_fd;
	GArray *paths;	  /* struct lockdown_path, their links followed */
	GHashTable *said; /* lines */
};

static const struct file_call *find_file_call(const char *name)
{
	for (size_t i = 0; i < G_N_ELEMENTS(file_calls); i++) {
		if (strcmp(file_calls[i].name, name) == 0) {
			return &file_calls[i];
		}
	}
	return NULL;
}

/* Of the watched process. False: it can't be read. */
static bool read_string(pid_t pid, uint64_t address, char *buffer, size_t size)
{
	char name[64];

	g_snprintf(name, sizeof(name), "/proc/%d/mem", (int)pid);
	int fd = open(name, O_RDONLY | O_CLOEXEC);
	ssize_t n = -1;

	/* A string may end just before memory that can't be read. */
	for (size_t want = size - 1; fd >= 0 && want > 0 && n <= 0; want /= 2) {
		n = pread(fd, buffer, want, (off_t)address);
	}
	buffer[MAX(n, 0)] = '\0';
	if (fd >= 0) {
		close(fd);
	}
	return n > 0;
}

static bool lies_beneath(const char *path, const char *folder)
{
	size_t length = strlen(folder);

	return strncmp(path, folder, length) == 0 &&
	       (path[length] == '\0' || path[length] == '/' || strcmp(folder, "/") == 0);
}

static bool may_open(const struct reporter *reporter, const char *path, bool changes)
{
	unsigned int wanted =
		changes ? LOCKDOWN_WRITE | LOCKDOWN_DEVICE
			: LOCKDOWN_READ | LOCKDOWN_WRITE | LOCKDOWN_DEVICE | LOCKDOWN_LIST;

	for (guint i = 0; i < reporter->paths->len; i++) {
		const struct lockdown_path *entry =
			&g_array_index(reporter->paths, struct lockdown_path, i);

		/* A name may be seen where no file may be opened. */
		if (entry->access == LOCKDOWN_LIST && !g_file_test(path, G_FILE_TEST_IS_DIR)) {
			continue;
		}
		if (entry->access & wanted && lies_beneath(path, entry->path)) {
			return true;
		}
	}
	return false;
}

static void say(struct reporter *reporter, pid_t pid, char *consume_what)
{
	if (g_hash_table_add(reporter->said, consume_what)) {
		log_write(LOG_LEVEL_WARN, "sandbox report: %s %d would be refused %s",
			  sandbox_role_name(reporter->role), (int)pid, consume_what);
	}
}

/* Names that are links are followed here, as the kernel would. */
static char *resolve(const char *path)
{
	char *real = realpath(path, NULL);
	char *result = g_strdup(real != NULL ? real : path);

	free(real);
	return result;
}

/* allows: the call as such. */
static void judge_file(struct reporter *reporter, const struct seccomp_notif *call,
		       const struct file_call *file, bool allows)
{
	char path[PATH_MAX], shown[PATH_MAX];
	uint64_t flags =
		file->flags_argument < 0 ? O_WRONLY : call->data.args[file->flags_argument];
	bool makes = file->flags_argument < 0 || flags & O_CREAT;
	bool changes = makes || (flags & O_ACCMODE) != O_RDONLY || flags & O_TRUNC;

	if (!read_string((pid_t)call->pid, call->data.args[file->path_argument], path,
			 sizeof(path))) {
		say(reporter, (pid_t)call->pid,
		    g_strdup_printf("%s() perhaps: the name of the file can't be read", file->name));
		return;
	}
	if (g_str_has_prefix(path, "/proc/self")) {
		g_autofree char *rest = g_strdup(path + strlen("/proc/self"));

		g_snprintf(path, sizeof(path), "/proc/%u%s", call->pid, rest);
	}
	g_autofree char *real = resolve(path);
	/* What is not there can't be had, with or without. */
	if ((allows && may_open(reporter, real, changes)) || (access(real, F_OK) < 0 && !makes)) {
		return;
	}
	say(reporter, (pid_t)call->pid,
	    g_strdup_printf("%s(\"%s\")%s", file->name,
			    log_escape(path, strlen(path), shown, sizeof(shown)),
			    changes ? " for writing" : ""));
}

static void judge(struct reporter *reporter, const struct seccomp_notif *call)
{
	char *name = seccomp_syscall_resolve_num_arch(call->data.arch, call->data.nr);
	const struct file_call *file = name != NULL ? find_file_call(name) : NULL;

	if (file != NULL) {
		judge_file(reporter, call, file,
			   sandbox_allows(reporter->role, reporter->options, name));
	} else {
		say(reporter, (pid_t)call->pid,
		    g_strdup_printf("%s(0x%llx, 0x%llx, 0x%llx)",
				    name != NULL ? name : "a system call",
				    (unsigned long long)call->data.args[0],
				    (unsigned long long)call->data.args[1],
				    (unsigned long long)call->data.args[2]));
	}
	free(name);
}

/* Until there is nobody left to watch. */
static void serve(struct reporter *reporter)
{
	struct pollfd pollfd = { .fd = reporter->notify_fd, .events = POLLIN };

	for (;;) {
		struct seccomp_notif call = { 0 };
		int n = poll(&pollfd, 1, -1);

		if (n < 0 && errno == EINTR) {
			continue;
		}
		if (n <= 0 || !(pollfd.revents & POLLIN)) {
			return;
		}
		if (ioctl(reporter->notify_fd, SECCOMP_IOCTL_NOTIF_RECV, &call) < 0) {
			continue; /* who asked has ended meanwhile */
		}
		judge(reporter, &call);
		struct seccomp_notif_resp answer = { .id = call.id,
						     .flags = SECCOMP_USER_NOTIF_FLAG_CONTINUE };
		ioctl(reporter->notify_fd, SECCOMP_IOCTL_NOTIF_SEND, &answer);
	}
}

/* The descriptor that the watched process sends; -1: it has none. */
static int await_listener(int fd)
{
	struct pollfd pollfd = { .fd = fd, .events = POLLIN };
	int fds[SOCK_MAX_FDS];
	size_t n_fds = 0;
	char byte;

	while (poll(&pollfd, 1, -1) < 0 && errno == EINTR) {
	}
	return sock_receive(fd, &byte, 1, fds, &n_fds) == 1 && n_fds == 1 ? fds[0] : -1;
}

static void follow_links(GArray *paths)
{
	for (guint i = 0; i < paths->len; i++) {
		struct lockdown_path *entry = &g_array_index(paths, struct lockdown_path, i);
		char *real = resolve(entry->path);

		g_free(entry->path);
		entry->path = real;
	}
}

G_GNUC_NORETURN static void become_reporter(enum sandbox_role role, const struct options *options,
					    GArray *paths, int fd)
{
	/* Nothing of a guest is to be kept alive by who only watches. */
	dup2(fd, STDERR_FILENO + 1);
	fds_close_range(STDERR_FILENO + 2, UINT_MAX);
	prctl(PR_SET_NAME, "reporter");
	struct reporter reporter = {
		.role = role,
		.options = options,
		.notify_fd = await_listener(STDERR_FILENO + 1),
		.paths = paths,
		.said = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL),
	};
	if (reporter.notify_fd >= 0) {
		serve(&reporter);
	}
	_exit(0);
}

static int hand_over(int fd, const char *const *const *lists)
{
	int notify_fd = -1;
	const struct lockdown_calls calls = {
		.lists = lists,
		.reported = file_call_names,
		.report_fd_out = &notify_fd,
	};
	int error = lockdown_calls(&calls);
	char byte = 0;
	struct iovec iov = { &byte, 1 };

	if (error == 0) {
		ssize_t n = sock_send(fd, &iov, 1, notify_fd);

		error = n < 0 ? (int)n : 0;
	}
	if (notify_fd >= 0) {
		close(notify_fd);
	}
	return error;
}

int sandbox_report_begin(enum sandbox_role role, const struct options *options,
			 const char *const *const *lists)
{
	/* Resolved here, where /proc/self is who is watched. */
	g_autoptr(GArray) paths = sandbox_paths(role, options);
	int pair[2];

	follow_links(paths);
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0) {
		return -errno;
	}
	pid_t pid = fork();
	if (pid == 0) {
		become_reporter(role, options, paths, pair[1]);
	}
	/* Where Yama lets a process be looked into by its ancestors only. */
	if (pid > 0) {
		prctl(PR_SET_PTRACER, (unsigned long)pid, 0, 0, 0);
	}
	int error = pid < 0 ? -errno : hand_over(pair[0], lists);
	close(pair[0]);
	close(pair[1]);
	return error;
}
