/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * Who gives up what (docs/threat-model.md, "What each process can reach").
 * Each process enters its role once, while it has one thread, in numbered
 * phases:
 *
 *   1  privileges: no new ones by execve, no capability, root's neither
 *   2  limits: no core files, so many descriptors; who renders has no terminal
 *   3  files: Landlock leaves what the role's renderer needs, or nothing; with
 *      it go signals to others and abstract sockets
 *   4  system calls: an allow-list by seccomp
 *   5  memory, once the renderer is there: --max-hostmem and a slack more
 *
 * Children start with what their parent has given up, and give up more.
 */
#pragma once

#include <glib.h>

#include "options.h"

enum sandbox_role {
	SANDBOX_LISTENER, /* accepts, and forks all others */
	SANDBOX_BACKEND,  /* one front-end and its device, in code of ours */
	SANDBOX_KEEPER,	  /* one front-end, and no device */
	SANDBOX_SPAWNER,  /* forks who renders */
	SANDBOX_RENDERER, /* foreign code, and a guest that may have taken it over */
	SANDBOX_SERVER,	  /* the same in a program of its own, with processes that it forks */
	SANDBOX_N_ROLES,
};

/*
 * Once, before anything else: look what this kernel can, and say what it
 * can't; with --sandbox report, start who reports. Returns 0, or -ENOSYS after
 * a line that says why, with --sandbox strict.
 */
int sandbox_init(const struct options *options) G_GNUC_WARN_UNUSED_RESULT;

/*
 * Phases 1 to 4. Returns 0; or, with --sandbox strict, -errno if one of them
 * failed, which has been said.
 */
int sandbox_enter(enum sandbox_role role, const struct options *options) G_GNUC_WARN_UNUSED_RESULT;

/* Phase 5, of who renders. On any thread. Returns as sandbox_enter(). */
int sandbox_limit_memory(const struct options *options) G_GNUC_WARN_UNUSED_RESULT;

/* What role may open, to be freed with g_array_unref(); of struct lockdown_path. */
GArray *sandbox_paths(enum sandbox_role role, const struct options *options);
/* Is a call of that name in the role's list? */
bool sandbox_allows(enum sandbox_role role, const struct options *options, const char *call);
const char *sandbox_role_name(enum sandbox_role role);
