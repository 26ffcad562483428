/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * What a process can give up for good, part by part. Only the means: who gives
 * up what, and in which order, is sandbox.c's.
 *
 * To be called while the process has one thread. Each returns 0 or -errno;
 * -ENOSYS, -EOPNOTSUPP: this kernel can't, -EPERM: whoever started us does
 * not let us. What a process has given up its children never had.
 */
#pragma once

#include <glib.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* No program that is executed gains rights, and no capability is left, root's neither. */
int lockdown_privileges(void) G_GNUC_WARN_UNUSED_RESULT;

/* No core files, which a guest could make one after the other, and no more than so many
 * descriptors. */
int lockdown_limits(unsigned int max_fds) G_GNUC_WARN_UNUSED_RESULT;

/*
 * From now on this process may get so many bytes more of memory of its own
 * (RLIMIT_DATA: heap, stacks, private mappings; neither files nor what is
 * shared). With any number of threads.
 */
int lockdown_memory(uint64_t more_bytes) G_GNUC_WARN_UNUSED_RESULT;

enum lockdown_access {
	LOCKDOWN_READ = 1 << 0,	   /* files and folders beneath */
	LOCKDOWN_WRITE = 1 << 1,   /* and make, change, rename and remove them */
	LOCKDOWN_DEVICE = 1 << 2,  /* read, write and control a device node */
	LOCKDOWN_REMOVE = 1 << 3,  /* remove files beneath, and no more */
	LOCKDOWN_LIST = 1 << 4,	   /* see which names there are beneath, and no more */
	LOCKDOWN_EXECUTE = 1 << 5, /* run a program */
};

/* What is not there is passed over. */
struct lockdown_path {
	char *path;
	unsigned int access; /* enum lockdown_access, or-ed */
};

struct lockdown_files {
	const struct lockdown_path *paths; /* all else is closed, but for what is open already */
	size_t n_paths;
	/* Signals to and abstract sockets of who is not locked down with us (Linux 6.12). */
	bool may_signal, may_use_sockets;
};

/* Landlock's ABI, 0: there is none. */
int lockdown_files_abi(void);
int lockdown_files(const struct lockdown_files *files) G_GNUC_WARN_UNUSED_RESULT;

/*
 * System calls by name, in lists that end with NULL and stand beside the code
 * that makes them. Some names have a condition in brackets: "clone(thread)",
 * "mmap(data)"; lockdown.c has the table. What this kernel's architecture
 * lacks is passed over.
 */
typedef const char *const lockdown_names[];

struct lockdown_calls {
	const char *const *const *lists; /* of what is allowed; ends with NULL */
	bool has_children; /* "(self)" means any process then, as the filter is theirs, too */
	/*
	 * Instead of refusing anything, let a listener decide: *report_fd_out
	 * (owned by the caller) is what seccomp_unotify(2) says. The names in
	 * reported are reported though they are allowed.
	 */
	const char *const *reported;
	int *report_fd_out;
};

bool lockdown_calls_available(void);
/*
 * What is not allowed fails with EPERM, or ENOSYS where a C library has another
 * way; what only an intruder would call ends the process (SIGSYS).
 */
int lockdown_calls(const struct lockdown_calls *calls) G_GNUC_WARN_UNUSED_RESULT;

/* For any thread of ours, with the C library, GLib and the log. */
extern lockdown_names lockdown_base_calls;
