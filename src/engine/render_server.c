/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "engine/render_server.h"

#include <errno.h>
#include <sys/prctl.h>

#include "sandbox.h"
#include "util/log.h"

static const struct renderer_server *server_of(const struct options *options)
{
	const struct renderer_profile *profile = renderer_find(options->gpu_mode)->profile;

	return profile != NULL ? profile->server : NULL;
}

void render_server_find(struct options *options)
{
	const struct renderer_server *server = server_of(options);

	options->server_path = server != NULL ? server->find(&options->renderer) : NULL;
}

void render_server_settle(struct options *options, const struct renderer_caps *caps)
{
	if (options->server_path != NULL && !caps->needs_server) {
		g_clear_pointer(&options->server_path, g_free);
	}
}

int render_server_run(const struct options *options, int fd)
{
	if (sandbox_enter(SANDBOX_SERVER, options) < 0 || sandbox_limit_memory(options) < 0) {
		return 1;
	}
	int error = server_of(options)->become(&options->renderer, options->server_path, fd);
	log_warn("the render server %s can't be run: %s", options->server_path, g_strerror(-error));
	return 1;
}
