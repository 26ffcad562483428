/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * What the guest may ask. The front-end knows its window and its monitor, so
 * it is asked first, each time anew (a resize shows in no other way); where it
 * has no answer, ours is given.
 */
#include <endian.h>
#include <string.h>

#include "gpu/device.h"
#include "gpu/edid.h"
#include "gpu/handlers.h"
#include "util/log.h"

/* ---- display info ---- */

static void fill_info(struct device *dev, struct command *command)
{
	struct virtio_gpu_resp_display_info *response = &command->response.display_info;

	memset(response, 0, sizeof(*response));
	for (size_t i = 0; i < VIRTIO_GPU_MAX_SCANOUTS; i++) {
		const struct virtio_gpu_display_one *mode = &dev->info.pmodes[i];

		response->pmodes[i] = (struct virtio_gpu_display_one){
			.r = { htole32(mode->r.x), htole32(mode->r.y), htole32(mode->r.width),
			       htole32(mode->r.height) },
			.enabled = htole32(mode->enabled),
			.flags = htole32(mode->flags),
		};
	}
	command->response_bytes = sizeof(*response);
}

enum gpu_resp handle_get_display_info(struct device *dev, struct command *command)
{
	command->token = ++dev->last_token;
	if (device_may_wait(dev, command) && display_request_info(dev->display, command->token)) {
		return device_wait(dev, command);
	}
	fill_info(dev, command);
	return GPU_RESP_OK_DISPLAY_INFO;
}

void device_ask_info(struct device *dev)
{
	/* Buffers go to outputs that there are, and frames to any. */
	if (display_dmabufs(dev->display) != DMABUFS_NONE) {
		bool ignored = display_request_info(dev->display, DISPLAY_NO_TOKEN);
		(void)ignored; /* then there is none */
	}
}

void device_take_info(struct device *dev, uint64_t token,
		      const struct virtio_gpu_resp_display_info *info)
{
	struct command *command = device_take_waiting(dev, token);

	for (size_t i = 0; info != NULL && i < VIRTIO_GPU_MAX_SCANOUTS; i++) {
		const struct virtio_gpu_display_one *mode = &info->pmodes[i];

		dev->info.pmodes[i] = (struct virtio_gpu_display_one){
			.r = { le32toh(mode->r.x), le32toh(mode->r.y), le32toh(mode->r.width),
			       le32toh(mode->r.height) },
			.enabled = le32toh(mode->enabled),
			.flags = le32toh(mode->flags),
		};
	}
	if (command != NULL) {
		fill_info(dev, command);
		device_answer(dev, command, GPU_RESP_OK_DISPLAY_INFO);
	}
}

/* ---- EDID ---- */

static void fill_own_edid(struct device *dev, struct command *command, uint32_t scanout_id)
{
	const struct virtio_gpu_rect *mode = &dev->info.pmodes[scanout_id].r;
	struct virtio_gpu_resp_edid *response = &command->response.edid;
	uint32_t width = mode->width, height = mode->height;

	if (width < DISPLAY_MIN_SIDE || height < DISPLAY_MIN_SIDE) {
		width = DEVICE_DEFAULT_WIDTH;
		height = DEVICE_DEFAULT_HEIGHT;
	}
	memset(response, 0, sizeof(*response));
	edid_generate(width, height, scanout_id, response->edid);
	response->size = htole32(EDID_BYTES);
	command->response_bytes = sizeof(*response);
}

enum gpu_resp handle_get_edid(struct device *dev, struct command *command)
{
	uint32_t scanout_id = command->request.get_edid.scanout;

	if (scanout_id >= DISPLAY_MAX_SCANOUTS) {
		return GPU_RESP_ERR_INVALID_SCANOUT_ID;
	}
	command->token = ++dev->last_token;
	if (device_may_wait(dev, command) &&
	    display_request_edid(dev->display, command->token, scanout_id)) {
		return device_wait(dev, command);
	}
	fill_own_edid(dev, command, scanout_id);
	return GPU_RESP_OK_EDID;
}

void device_take_edid(struct device *dev, uint64_t token, const struct virtio_gpu_resp_edid *edid)
{
	struct command *command = device_take_waiting(dev, token);

	if (command == NULL) {
		return;
	}
	uint32_t size = edid != NULL ? le32toh(edid->size) : 0;
	if (size >= EDID_BYTES && size <= sizeof(edid->edid)) {
		command->response.edid = *edid;
		command->response_bytes = sizeof(*edid);
	} else {
		fill_own_edid(dev, command, command->request.get_edid.scanout);
	}
	device_answer(dev, command, GPU_RESP_OK_EDID);
}

/* ---- capsets ---- */

enum gpu_resp handle_get_capset_info(struct device *dev, struct command *command)
{
	const struct renderer_caps *caps = &dev->renderer->caps;
	uint32_t index = command->request.get_capset_info.capset_index;

	if (index >= caps->n_capsets) {
		return GPU_RESP_ERR_INVALID_PARAMETER;
	}
	command->response.capset_info = (struct virtio_gpu_resp_capset_info){
		.capset_id = htole32(caps->capsets[index].id),
		.capset_max_version = htole32(caps->capsets[index].max_version),
		.capset_max_size = htole32(caps->capsets[index].max_size_bytes),
	};
	command->response_bytes = sizeof(command->response.capset_info);
	return GPU_RESP_OK_CAPSET_INFO;
}

enum gpu_resp handle_get_capset(struct device *dev, struct command *command)
{
	const struct virtio_gpu_get_capset *request = &command->request.get_capset;
	const struct renderer_capset *capset =
		renderer_find_capset(&dev->renderer->caps, request->capset_id);
	size_t header_bytes = sizeof(struct virtio_gpu_resp_capset);

	if (capset == NULL || request->capset_version > capset->max_version) {
		return GPU_RESP_ERR_INVALID_PARAMETER;
	}
	size_t size = header_bytes + capset->max_size_bytes;
	if (device_charge(dev, command, size)) {
		command->long_response = g_try_malloc0(size);
	}
	if (command->long_response == NULL) {
		return GPU_RESP_ERR_OUT_OF_MEMORY;
	}
	command->response_bytes = size;
	return dev->renderer->impl->context->get_capset(
		dev->renderer, capset, request->capset_version,
		(char *)command->long_response + header_bytes);
}
