/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* The library has Vulkan's drivers in its own process, and else asks for what any driver does. */
#include "renderer/driver_profile.h"
#include "renderer/gfxstream_internal.h"
#include "renderer/host_check.h"

const struct renderer_profile gfxstream_profile = {
	.calls = driver_calls,
	.window_calls = driver_window_calls,
	.cache_calls = driver_cache_calls,
	.files = driver_files,
	.variables = driver_variables,
	.more_variables = host_vulkan_variables,
	.folders = driver_folders,
	.devices = driver_devices,
	.gpu_devices = driver_gpu_devices,
	.driver = "nvidia",
	.driver_devices = driver_nvidia_devices,
	.start_help = "a driver is missing or broken; --capset gfxstream-gles does without Vulkan, "
		      "LIBGL_ALWAYS_SOFTWARE=1 without a GPU's OpenGL",
};
