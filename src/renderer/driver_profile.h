/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * What EGL, Vulkan's loader, Mesa and other drivers of GPUs need of a sandbox,
 * whichever library they draw for; in the form of struct renderer_profile.
 */
#pragma once

#include "util/lockdown.h"

extern lockdown_names driver_calls, driver_cache_calls, driver_window_calls;
extern const char *const driver_files[],
	*const driver_variables[], *const driver_folders[], *const driver_devices[],
								    *const driver_gpu_devices[];
/* Of NVIDIA's own driver ("nvidia"), which has nodes beside the render node. */
extern const char *const driver_nvidia_devices[];
