/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * Long random sequences against a model: every answer is the one the model foretells, whatever came
 * before, and every so often the display shows what the model holds. The display's rules are
 * checked throughout, which is the point: it is in the odd orders (unref while shown, resize while
 * stalled, reset while off) that they are easy to break.
 *
 * The seed is fixed, so that a failure comes again; TEST_RANDOM_SEED sets another.
 */
#include <stdlib.h>
#include <string.h>

#include "proto.h"

#define FORMAT VIRTIO_GPU_FORMAT_B8G8R8X8_UNORM
#define N_RESOURCES 6u /* ids 1 to 6; 0 and 7 never exist */
#define N_SCANOUTS 3u
#define MAX_SIDE 160u
#define N_STEPS 2000u
#define STEPS_PER_CHECK 50u

struct model_resource {
	bool exists;
	bool has_backing;
	uint32_t width, height;
	uint32_t *pixels; /* what the host has; of a blob nothing */
	uint64_t gpa;
	uint64_t blob_bytes; /* 0: it is none */
};

struct model_scanout {
	uint32_t id; /* 0: off */
	struct virtio_gpu_rect rect;
	struct vgpu_layout layout; /* of a blob; format 0: it is none */
};

struct model {
	struct rig *rig;
	GRand *random;
	bool draws;
	struct model_resource resources[N_RESOURCES + 2];
	struct model_scanout scanouts[N_SCANOUTS];
};

static uint32_t pick(struct model *model, uint32_t n)
{
	return (uint32_t)g_rand_int_range(model->random, 0, (gint32)n);
}

/* Mostly within @width x @height, now and then beyond. */
static struct virtio_gpu_rect pick_rect(struct model *model, uint32_t width, uint32_t height)
{
	struct virtio_gpu_rect rect = {.x = pick(model, width), .y = pick(model, height)};

	rect.width = 1 + pick(model, width - rect.x);
	rect.height = 1 + pick(model, height - rect.y);
	if (pick(model, 8) == 0) {
		rect.width += width;
	} else if (pick(model, 12) == 0) {
		rect.y = UINT32_MAX - pick(model, 4);
	} else if (pick(model, 3) == 0) {
		rect = (struct virtio_gpu_rect){0, 0, width, height};
	}
	return rect;
}

static bool is_within(const struct virtio_gpu_rect *rect, const struct model_resource *resource)
{
	return (uint64_t)rect->x + rect->width <= resource->width &&
	       (uint64_t)rect->y + rect->height <= resource->height;
}

static struct model_resource *pick_resource(struct model *model, uint32_t *id_out)
{
	*id_out = pick(model, N_RESOURCES + 2);
	return &model->resources[*id_out];
}

/* For the rectangle of a command on a resource that may not exist. */
static struct virtio_gpu_rect pick_rect_of(struct model *model,
					   const struct model_resource *resource)
{
	return resource->exists && resource->blob_bytes == 0
		       ? pick_rect(model, resource->width, resource->height)
		       : pick_rect(model, 64, 64);
}

static void step_create(struct model *model)
{
	uint32_t id;
	struct model_resource *resource = pick_resource(model, &id);
	uint32_t width = 1 + pick(model, MAX_SIDE), height = 1 + pick(model, MAX_SIDE);
	bool is_good = !resource->exists && id >= 1 && id <= N_RESOURCES;

	if (id > N_RESOURCES) {
		return;
	}
	g_assert_resp(vgpu_resource_create_2d(model->rig->vgpu, id, FORMAT, width, height),
		      is_good ? VIRTIO_GPU_RESP_OK_NODATA
			      : VIRTIO_GPU_RESP_ERR_INVALID_RESOURCE_ID);
	if (is_good) {
		resource->exists = true;
		resource->has_backing = false;
		resource->blob_bytes = 0;
		resource->width = width;
		resource->height = height;
		memset(resource->pixels, 0, MAX_SIDE * MAX_SIDE * 4);
	}
}

static void step_create_blob(struct model *model)
{
	uint32_t id;
	struct model_resource *resource = pick_resource(model, &id);
	uint32_t size_bytes = 1 + pick(model, MAX_SIDE * MAX_SIDE * 4);
	bool is_good = !resource->exists && id >= 1 && id <= N_RESOURCES;

	if (id > N_RESOURCES) {
		return;
	}
	uint64_t gpa = id > 0 ? resource->gpa : 0;
	g_assert_resp(vgpu_resource_create_guest_blob(model->rig->vgpu, id, gpa, size_bytes),
		      is_good ? VIRTIO_GPU_RESP_OK_NODATA
			      : VIRTIO_GPU_RESP_ERR_INVALID_RESOURCE_ID);
	if (is_good) {
		resource->exists = true;
		resource->has_backing = true;
		resource->blob_bytes = size_bytes;
		resource->width = resource->height = 0;
	}
}

static bool is_blob(const struct model_resource *resource)
{
	return resource->exists && resource->blob_bytes > 0;
}

static void forget_resource(struct model *model, uint32_t id)
{
	model->resources[id].exists = false;
	for (uint32_t i = 0; i < N_SCANOUTS; i++) {
		if (model->scanouts[i].id == id) {
			model->scanouts[i].id = 0;
		}
	}
}

static void step_unref(struct model *model)
{
	uint32_t id;
	struct model_resource *resource = pick_resource(model, &id);

	g_assert_resp(vgpu_resource_unref(model->rig->vgpu, id),
		      resource->exists ? VIRTIO_GPU_RESP_OK_NODATA
				       : VIRTIO_GPU_RESP_ERR_INVALID_RESOURCE_ID);
	if (resource->exists) {
		forget_resource(model, id);
	}
}

static void step_attach(struct model *model)
{
	uint32_t id;
	struct model_resource *resource = pick_resource(model, &id);
	uint32_t expected = !resource->exists	    ? VIRTIO_GPU_RESP_ERR_INVALID_RESOURCE_ID
			    : resource->has_backing ? VIRTIO_GPU_RESP_ERR_UNSPEC
						    : VIRTIO_GPU_RESP_OK_NODATA;
	uint64_t gpa = resource->exists ? resource->gpa : 0;
	uint32_t size_bytes = resource->exists && !is_blob(resource)
				      ? resource->width * resource->height * 4
				      : 4096;

	g_assert_resp(vgpu_resource_attach_one(model->rig->vgpu, id, gpa, size_bytes), expected);
	resource->has_backing = resource->exists;
}

static void step_detach(struct model *model)
{
	uint32_t id;
	struct model_resource *resource = pick_resource(model, &id);
	bool is_good = resource->exists && resource->has_backing;

	g_assert_resp(vgpu_resource_detach_backing(model->rig->vgpu, id),
		      is_blob(resource) ? VIRTIO_GPU_RESP_ERR_UNSPEC
		      : is_good		? VIRTIO_GPU_RESP_OK_NODATA
					: VIRTIO_GPU_RESP_ERR_INVALID_RESOURCE_ID);
	resource->has_backing &= is_blob(resource);
}

/* Anywhere; a transfer is nothing to it. */
static void draw_on_blob(struct model *model, const struct model_resource *resource)
{
	uint8_t *guest = guestram_at(model->rig->ram, resource->gpa, MAX_SIDE * MAX_SIDE * 4);

	for (uint32_t n = pick(model, 2000); n > 0; n--) {
		guest[pick(model, (uint32_t)resource->blob_bytes)] = (uint8_t)pick(model, 256);
	}
}

static void step_transfer(struct model *model)
{
	uint32_t id;
	struct model_resource *resource = pick_resource(model, &id);
	struct virtio_gpu_rect rect = pick_rect_of(model, resource);
	uint32_t expected = VIRTIO_GPU_RESP_OK_NODATA;

	if (!resource->exists || !resource->has_backing) {
		expected = VIRTIO_GPU_RESP_ERR_INVALID_RESOURCE_ID;
	} else if (is_blob(resource)) {
		draw_on_blob(model, resource);
		rect = (struct virtio_gpu_rect){0};
	} else if (!is_within(&rect, resource)) {
		expected = VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER;
	}
	uint64_t offset = ((uint64_t)rect.y * resource->width + rect.x) * 4;
	if (expected == VIRTIO_GPU_RESP_OK_NODATA) {
		uint32_t *guest =
			guestram_at(model->rig->ram, resource->gpa, MAX_SIDE * MAX_SIDE * 4);
		for (uint32_t row = rect.y; row < rect.y + rect.height; row++) {
			for (uint32_t column = rect.x; column < rect.x + rect.width; column++) {
				uint32_t pixel = g_rand_int(model->random);
				guest[row * resource->width + column] = pixel;
				resource->pixels[row * resource->width + column] = pixel;
			}
		}
	}
	g_assert_resp(vgpu_transfer_to_host_2d(model->rig->vgpu, id, offset, rect.x, rect.y,
					       rect.width, rect.height),
		      expected);
}

static void step_set_scanout(struct model *model)
{
	uint32_t id, scanout = pick(model, N_SCANOUTS), expected = VIRTIO_GPU_RESP_OK_NODATA;
	struct model_resource *resource = pick_resource(model, &id);
	struct virtio_gpu_rect rect = pick_rect_of(model, resource);

	if (id != 0 && !resource->exists) {
		expected = VIRTIO_GPU_RESP_ERR_INVALID_RESOURCE_ID;
	} else if (id != 0 &&
		   (!is_within(&rect, resource) || rect.width < 16 || rect.height < 16)) {
		expected = VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER;
	}
	g_assert_resp(vgpu_set_scanout(model->rig->vgpu, scanout, id, rect.x, rect.y, rect.width,
				       rect.height),
		      expected);
	if (expected == VIRTIO_GPU_RESP_OK_NODATA) {
		model->scanouts[scanout] = (struct model_scanout){.id = id, .rect = rect};
	}
}

static bool is_in_blob(const struct vgpu_layout *layout, const struct model_resource *resource)
{
	return layout->stride_bytes >= layout->width * 4 &&
	       (uint64_t)layout->offset_bytes + (layout->height - 1) * layout->stride_bytes +
			       layout->width * 4 <=
		       resource->blob_bytes;
}

static void step_set_scanout_blob(struct model *model)
{
	static const uint32_t formats[] = {FORMAT, FORMAT, FORMAT, VIRTIO_GPU_FORMAT_R8G8B8X8_UNORM};
	uint32_t id, scanout = pick(model, N_SCANOUTS), expected = VIRTIO_GPU_RESP_OK_NODATA;
	struct model_resource *resource = pick_resource(model, &id);
	struct vgpu_layout layout = {
		.format = formats[pick(model, G_N_ELEMENTS(formats))],
		.width = 16 + pick(model, MAX_SIDE - 16),
		.height = 16 + pick(model, MAX_SIDE - 16),
		.offset_bytes = pick(model, 3) * 4 + pick(model, 8) / 7,
	};
	layout.stride_bytes = layout.width * 4 + pick(model, 4) * 4 + pick(model, 8) / 7;
	struct virtio_gpu_rect rect = pick_rect(model, layout.width, layout.height);
	const struct model_resource picture = {.width = layout.width, .height = layout.height};

	if (id != 0 && !resource->exists) {
		expected = VIRTIO_GPU_RESP_ERR_INVALID_RESOURCE_ID;
	} else if (id != 0 &&
		   (!is_blob(resource) || !is_in_blob(&layout, resource) ||
		    !is_within(&rect, &picture) || rect.width < 16 || rect.height < 16)) {
		expected = VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER;
	}
	g_assert_resp(vgpu_set_scanout_blob_rect(model->rig->vgpu, scanout, id, &layout, &rect),
		      expected);
	if (expected == VIRTIO_GPU_RESP_OK_NODATA) {
		model->scanouts[scanout] = (struct model_scanout){id, rect, layout};
	}
}

/* Inside each picture that there is of blob @id. */
static bool is_within_all(const struct model *model, uint32_t id, const struct virtio_gpu_rect *rect)
{
	for (uint32_t i = 0; i < N_SCANOUTS; i++) {
		const struct model_resource picture = {.width = model->scanouts[i].layout.width,
						       .height = model->scanouts[i].layout.height};

		if (model->scanouts[i].id == id && !is_within(rect, &picture)) {
			return false;
		}
	}
	return true;
}

static void step_flush(struct model *model)
{
	uint32_t id, expected = VIRTIO_GPU_RESP_OK_NODATA;
	struct model_resource *resource = pick_resource(model, &id);
	struct virtio_gpu_rect rect = pick_rect_of(model, resource);

	if (!resource->exists) {
		expected = VIRTIO_GPU_RESP_ERR_INVALID_RESOURCE_ID;
	} else if (is_blob(resource) ? !is_within_all(model, id, &rect)
				     : !is_within(&rect, resource)) {
		expected = VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER;
	}
	g_assert_resp(
		vgpu_resource_flush(model->rig->vgpu, id, rect.x, rect.y, rect.width, rect.height),
		expected);
}

static void step_cursor(struct model *model)
{
	uint32_t id = pick(model, N_RESOURCES + 2), scanout = pick(model, 18);

	if (pick(model, 2) == 0) {
		vgpu_update_cursor(model->rig->vgpu, scanout, id, pick(model, 100),
				   pick(model, 100), 0, 0);
	} else {
		vgpu_move_cursor(model->rig->vgpu, scanout, id, pick(model, 100), pick(model, 100));
	}
}

static void step_life(struct model *model)
{
	switch (pick(model, 12)) {
	case 0:
		rig_pause_resume(model->rig);
		break;
	case 1:
		rig_reset(model->rig, true);
		for (uint32_t id = 1; id <= N_RESOURCES; id++) {
			forget_resource(model, id);
			model->resources[id].gpa =
				rig_backing(model->rig, NULL, MAX_SIDE * MAX_SIDE * 4);
		}
		break;
	case 2:
	case 3:
		display_set_stalled(model->rig->display, true);
		break;
	default:
		display_set_stalled(model->rig->display, false);
		break;
	}
}

/* Pixel @x, @y of a blob's picture. */
static uint32_t blob_pixel(const uint8_t *bytes, const struct vgpu_layout *layout, uint32_t x,
			   uint32_t y)
{
	const uint8_t *pixel = bytes + layout->offset_bytes + y * layout->stride_bytes + x * 4;
	bool is_bgr = layout->format == FORMAT;

	return (uint32_t)pixel[is_bgr ? 2 : 0] << 16 | (uint32_t)pixel[1] << 8 |
	       pixel[is_bgr ? 0 : 2];
}

static void check_blob(struct model *model, uint32_t index)
{
	const struct model_scanout *scanout = &model->scanouts[index];
	const struct virtio_gpu_rect *rect = &scanout->rect;
	const uint8_t *bytes = guestram_at(model->rig->ram, model->resources[scanout->id].gpa,
					   MAX_SIDE * MAX_SIDE * 4);
	g_autofree uint32_t *expected = g_new(uint32_t, rect->width * rect->height);

	/* A new picture is shown whole by the smallest flush, and there may be others of the blob. */
	g_assert_ok(vgpu_set_scanout_blob_rect(model->rig->vgpu, index, scanout->id,
					       &scanout->layout, rect));
	g_assert_ok(vgpu_resource_flush(model->rig->vgpu, scanout->id, 0, 0, 1, 1));
	for (uint32_t i = 0; i < rect->width * rect->height; i++) {
		expected[i] = blob_pixel(bytes, &scanout->layout, rect->x + i % rect->width,
					 rect->y + i / rect->width);
	}
	display_wait_pixels(model->rig->display, index, expected, rect->width, rect->height);
}

static void check_scanout(struct model *model, uint32_t index)
{
	const struct model_scanout *scanout = &model->scanouts[index];
	const struct model_resource *resource = &model->resources[scanout->id];
	const struct virtio_gpu_rect *rect = &scanout->rect;
	struct display *display = model->rig->display;

	if (scanout->id == 0) {
		if (display_get_surface(display, index).n_scanouts > 0) {
			display_wait_off(display, index);
		}
		return;
	}
	if (scanout->layout.format != 0) {
		check_blob(model, index);
		return;
	}
	g_assert_ok(vgpu_resource_flush(model->rig->vgpu, scanout->id, 0, 0, resource->width,
					resource->height));
	g_autofree uint32_t *expected = g_new(uint32_t, rect->width * rect->height);
	for (uint32_t row = 0; row < rect->height; row++) {
		memcpy(expected + row * rect->width,
		       resource->pixels + (rect->y + row) * resource->width + rect->x,
		       rect->width * 4);
	}
	display_wait_pixels(display, index, expected, rect->width, rect->height);
}

static void run_step(struct model *model)
{
	static void (*const steps[])(struct model * model) = {
		step_create,	  step_create,	 step_unref,	step_attach,   step_attach,
		step_detach,	  step_transfer, step_transfer, step_transfer, step_set_scanout,
		step_set_scanout, step_flush,	 step_flush,	step_flush,    step_cursor,
		step_create_blob, step_set_scanout_blob, step_set_scanout_blob,
	};

	if (pick(model, 25) == 0) {
		step_life(model);
	} else {
		steps[pick(model, G_N_ELEMENTS(steps))](model);
	}
}

static void test_commands(const void *mode)
{
	const char *text = g_getenv("TEST_RANDOM_SEED");
	guint32 seed = text ? (guint32)strtoul(text, NULL, 10) : 20260923;
	struct model model = {.rig = proto_rig(mode),
			      .draws = ((const struct proto_mode *)mode)->draws};

	model.random = g_rand_new_with_seed(seed);
	for (uint32_t id = 0; id < G_N_ELEMENTS(model.resources); id++) {
		model.resources[id].pixels = g_new0(uint32_t, MAX_SIDE * MAX_SIDE);
		model.resources[id].gpa = rig_backing(model.rig, NULL, MAX_SIDE * MAX_SIDE * 4);
	}
	for (uint32_t i = 1; i <= N_STEPS; i++) {
		run_step(&model);
		if (i % STEPS_PER_CHECK == 0) {
			display_set_stalled(model.rig->display, false);
			for (uint32_t j = 0; model.draws && j < N_SCANOUTS; j++) {
				check_scanout(&model, j);
			}
			display_assert_rules(model.rig->display);
		}
	}
	for (uint32_t id = 0; id < G_N_ELEMENTS(model.resources); id++) {
		g_free(model.resources[id].pixels);
	}
	g_rand_free(model.random);
	rig_destroy(model.rig);
}

int main(int argc, char **argv)
{
	suite_init(&argc, &argv);
	proto_add("random", "commands", test_commands);
	return suite_run();
}
