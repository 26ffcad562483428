/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * confine WORD... -- COMMAND...: COMMAND as it may be started on other hosts.
 *
 *   user         as nobody, who is given the folder of --socket-path
 *   poor-user    as nobody, who is given nothing
 *   locked-gpu   with a render node in /dev/dri that root alone may open, and with little else
 *                in /dev
 *   no-landlock  a kernel without Landlock
 *   no-seccomp   a manager of services that allows no further filters
 */
#include <errno.h>
#include <grp.h>
#include <libgen.h>
#include <sched.h>
#include <seccomp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#define NOBODY 65534

static void fail(const char *what, int error)
{
	fprintf(stderr, "confine: %s: %s\n", what, strerror(error));
	exit(126);
}

static void give_folder(char **command)
{
	for (char **word = command; *word != NULL && word[1] != NULL; word++) {
		if (strcmp(*word, "--socket-path") == 0) {
			char *path = strdup(word[1]);

			if (path == NULL || chown(dirname(path), NOBODY, NOBODY) < 0) {
				fail("chown", errno);
			}
			free(path);
		}
	}
}

static void make_node(const char *path, mode_t mode, unsigned int major, unsigned int minor)
{
	if (mknod(path, S_IFCHR | mode, makedev(major, minor)) < 0 || chmod(path, mode) < 0) {
		fail(path, errno);
	}
}

/* What is mounted from now on is mounted here alone. A root of chroot's is no mount point. */
static int leave_mounts(void)
{
	if (unshare(CLONE_NEWNS) < 0) {
		return -1;
	}
	int result = mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL);
	if (result < 0 && errno == EINVAL) {
		result = mount(NULL, "/dev", NULL, MS_REC | MS_PRIVATE, NULL);
	}
	return result;
}

static void lock_gpu(void)
{
	if (leave_mounts() < 0 ||
	    mount("dev", "/dev", "tmpfs", MS_NOSUID, "mode=755") < 0 ||
	    mkdir("/dev/dri", 0755) < 0) {
		fail("/dev", errno);
	}
	make_node("/dev/null", 0666, 1, 3);
	make_node("/dev/zero", 0666, 1, 5);
	make_node("/dev/urandom", 0666, 1, 9);
	make_node("/dev/dri/renderD128", 0600, 226, 128);
}

static void become_nobody(void)
{
	if (setgroups(0, NULL) < 0 || setgid(NOBODY) < 0 || setuid(NOBODY) < 0) {
		fail("setuid", errno);
	}
	setenv("HOME", "/nonexistent", 1);
}

static void refuse(const char *const *names, int error)
{
	scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ALLOW);

	for (; *names != NULL; names++) {
		int number = seccomp_syscall_resolve_name(*names);
		int result = seccomp_rule_add(filter, SCMP_ACT_ERRNO((uint32_t)error), number, 0);

		if (result < 0) {
			fail(*names, -result);
		}
	}
	if (seccomp_load(filter) < 0) {
		fail("seccomp", EPERM);
	}
	seccomp_release(filter);
}

int main(int argc, char **argv)
{
	static const char *const landlock[] = {"landlock_create_ruleset", "landlock_add_rule",
					       "landlock_restrict_self", NULL};
	static const char *const seccomp[] = {"seccomp", NULL};
	char **command = argv + 1;

	while (command < argv + argc && strcmp(*command, "--") != 0) {
		command++;
	}
	if (command >= argv + argc - 1) {
		fprintf(stderr, "usage: confine WORD... -- COMMAND...\n");
		return 126;
	}
	command++;
	for (char **word = argv + 1; word < command - 1; word++) {
		if (strcmp(*word, "user") == 0) {
			give_folder(command);
			become_nobody();
		} else if (strcmp(*word, "poor-user") == 0) {
			become_nobody();
		} else if (strcmp(*word, "locked-gpu") == 0) {
			lock_gpu();
		} else if (strcmp(*word, "no-landlock") == 0) {
			refuse(landlock, ENOSYS);
		} else if (strcmp(*word, "no-seccomp") == 0) {
			refuse(seccomp, EPERM);
		} else {
			fail(*word, EINVAL);
		}
	}
	execvp(*command, command);
	/* Its reader tells the one from the other. */
	fprintf(stderr, "confine: %s: %s\n", *command, strerror(errno));
	return errno == EACCES ? 125 : 126;
}
