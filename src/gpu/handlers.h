/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* What the command table calls. Each answers with a VIRTIO_GPU_RESP_* or is pending. */
#pragma once

#include "gpu/command.h"

/* resource_commands.c */
enum gpu_resp handle_resource_create_2d(struct device *dev, struct command *command);
enum gpu_resp handle_resource_create_3d(struct device *dev, struct command *command);
enum gpu_resp handle_resource_unref(struct device *dev, struct command *command);
enum gpu_resp handle_resource_attach_backing(struct device *dev, struct command *command);
enum gpu_resp handle_resource_detach_backing(struct device *dev, struct command *command);
enum gpu_resp handle_transfer_to_host_2d(struct device *dev, struct command *command);
enum gpu_resp handle_resource_assign_uuid(struct device *dev, struct command *command);

/* blob.c */
enum gpu_resp handle_resource_create_blob(struct device *dev, struct command *command);
enum gpu_resp handle_resource_map_blob(struct device *dev, struct command *command);
enum gpu_resp handle_resource_unmap_blob(struct device *dev, struct command *command);

/* scanout.c */
enum gpu_resp handle_set_scanout_blob(struct device *dev, struct command *command);
enum gpu_resp handle_set_scanout(struct device *dev, struct command *command);
enum gpu_resp handle_resource_flush(struct device *dev, struct command *command);

/* cursor.c */
enum gpu_resp handle_update_cursor(struct device *dev, struct command *command);
enum gpu_resp handle_move_cursor(struct device *dev, struct command *command);

/* info.c */
enum gpu_resp handle_get_display_info(struct device *dev, struct command *command);
enum gpu_resp handle_get_edid(struct device *dev, struct command *command);
enum gpu_resp handle_get_capset_info(struct device *dev, struct command *command);
enum gpu_resp handle_get_capset(struct device *dev, struct command *command);

/* context.c */
enum gpu_resp handle_ctx_create(struct device *dev, struct command *command);
enum gpu_resp handle_ctx_destroy(struct device *dev, struct command *command);
enum gpu_resp handle_ctx_attach_resource(struct device *dev, struct command *command);
enum gpu_resp handle_ctx_detach_resource(struct device *dev, struct command *command);
enum gpu_resp handle_transfer_to_host_3d(struct device *dev, struct command *command);
enum gpu_resp handle_transfer_from_host_3d(struct device *dev, struct command *command);
enum gpu_resp handle_submit_3d(struct device *dev, struct command *command);
