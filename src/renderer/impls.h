/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* The implementations there are, one file each. Only renderer.c includes this. */
#pragma once

#include "renderer/renderer.h"

extern const struct renderer_impl null_impl;
extern const struct renderer_impl soft_impl;
extern const struct renderer_impl virgl_impl;
extern const struct renderer_impl gfxstream_impl;
