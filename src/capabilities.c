/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * libvirt asks before each start of a machine, takes the first back-end that
 * has what the machine wants, and, where "render-node" is there, names a node
 * of its own choice: so the answer is tried, not guessed, and "render-node" is
 * there only where there are nodes.
 */
#include "capabilities.h"

#include <glob.h>
#include <stdio.h>
#include <unistd.h>

#include "probe.h"

/* The first node that we may use, owned; NULL: there is none. */
static char *find_node(const struct options *options)
{
	const struct renderer_profile *profile = renderer_find(options->gpu_mode)->profile;
	char *node = NULL;

	for (const char *const *pattern = profile->gpu_devices; *pattern != NULL; pattern++) {
		glob_t found;

		if (glob(*pattern, GLOB_BRACE, NULL, &found) != 0) {
			continue;
		}
		for (size_t i = 0; i < found.gl_pathc && node == NULL; i++) {
			if (access(found.gl_pathv[i], R_OK | W_OK) == 0) {
				node = g_strdup(found.gl_pathv[i]);
			}
		}
		globfree(&found);
	}
	return node;
}

static bool has_gl(const struct renderer_caps *caps)
{
	return renderer_find_capset(caps, RENDERER_CAPSET_VIRGL) != NULL ||
	       renderer_find_capset(caps, RENDERER_CAPSET_VIRGL2) != NULL;
}

/* node_borrow NULL: the library's choice. */
static enum probe_result try_node(const struct options *options, const char *node_borrow,
				  bool *works_out)
{
	struct options with_node = *options;
	struct renderer_caps caps;

	with_node.renderer.gpu_device = node_borrow;
	enum probe_result result = probe_run(&with_node, &caps);
	*works_out = result == PROBE_OK && has_gl(&caps);
	return result;
}

/* stdout_fd: a driver that prints must not print among it. */
static bool print(int stdout_fd, bool has_virgl, bool has_render_node)
{
	const char *features = has_render_node ? "\"render-node\", \"virgl\""
			       : has_virgl     ? "\"virgl\""
					       : "";

	return dprintf(stdout_fd,
		       "{\n"
		       "  \"type\": \"gpu\",\n"
		       "  \"features\": [%s]\n"
		       "}\n",
		       features) > 0;
}

bool capabilities_print(const struct options *options)
{
	g_autofree char *node = find_node(options);
	int stdout_fd = dup(STDOUT_FILENO);
	bool has_virgl = false, has_render_node = false;
	enum probe_result result = PROBE_UNAVAILABLE;

	if (stdout_fd < 0 || dup2(STDERR_FILENO, STDOUT_FILENO) < 0) {
		return false;
	}
	if (node != NULL) {
		result = try_node(options, node, &has_render_node);
		has_virgl = has_render_node;
	}
	if (!has_virgl && result != PROBE_INTERRUPTED) {
		result = try_node(options, NULL, &has_virgl);
	}
	bool is_printed =
		result != PROBE_INTERRUPTED && print(stdout_fd, has_virgl, has_render_node);
	close(stdout_fd);
	return is_printed;
}
