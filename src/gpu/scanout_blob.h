/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* Pictures whose pixels lie in a blob. */
#pragma once

#include "gpu/device.h"

/* Does it lie in so many bytes, with a format that can be shown? */
bool blob_layout_is_sane(const struct blob_layout *layout, uint64_t size_bytes);

/*
 * What a blob on a scanout shows, with damage (inside the layout) up to date:
 * its own pixels where they have a frame's form, else a copy, which the
 * scanout keeps. As renderer_impl.resource_read().
 */
enum gpu_resp scanout_read_blob(struct device *dev, struct scanout *scanout,
				struct resource *resource, const struct rect *damage,
				struct frame **frame_out);
