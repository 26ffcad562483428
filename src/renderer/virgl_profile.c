/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* The library asks for nothing that the drivers behind it do not. */
#include "renderer/driver_profile.h"
#include "renderer/virgl_internal.h"

const struct renderer_profile virgl_profile = {
	.calls = driver_calls,
	.window_calls = driver_window_calls,
	.cache_calls = driver_cache_calls,
	.files = driver_files,
	.variables = driver_variables,
	.folders = driver_folders,
	.devices = driver_devices,
	.gpu_devices = driver_gpu_devices,
	.driver = "nvidia",
	.driver_devices = driver_nvidia_devices,
	.server = &virgl_server,
	.start_help = "the GPU driver is broken; LIBGL_ALWAYS_SOFTWARE=1 avoids it",
	.advise = virgl_host_advise,
};
