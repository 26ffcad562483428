/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* From a chain's bytes to a command, and from an answer to the bytes that the guest finds. */
#include <string.h>

#include "gpu/command.h"
#include "unit.h"
#include "vm.h"

/* Of linux/virtio_gpu.h, written down once more: number, queue and size of the fixed part. */
static const struct {
	uint32_t type;
	enum command_queue queue;
	size_t size_bytes;
	bool is_3d;
} known[] = {
	{ 0x100, COMMAND_QUEUE_CONTROL, 24, false }, /* GET_DISPLAY_INFO */
	{ 0x101, COMMAND_QUEUE_CONTROL, 40, false }, /* RESOURCE_CREATE_2D */
	{ 0x102, COMMAND_QUEUE_CONTROL, 32, false }, /* RESOURCE_UNREF */
	{ 0x103, COMMAND_QUEUE_CONTROL, 48, false }, /* SET_SCANOUT */
	{ 0x104, COMMAND_QUEUE_CONTROL, 48, false }, /* RESOURCE_FLUSH */
	{ 0x105, COMMAND_QUEUE_CONTROL, 56, false }, /* TRANSFER_TO_HOST_2D */
	{ 0x106, COMMAND_QUEUE_CONTROL, 32, false }, /* RESOURCE_ATTACH_BACKING */
	{ 0x107, COMMAND_QUEUE_CONTROL, 32, false }, /* RESOURCE_DETACH_BACKING */
	{ 0x108, COMMAND_QUEUE_CONTROL, 32, true },  /* GET_CAPSET_INFO */
	{ 0x109, COMMAND_QUEUE_CONTROL, 32, true },  /* GET_CAPSET */
	{ 0x10a, COMMAND_QUEUE_CONTROL, 32, false }, /* GET_EDID */
	{ 0x10b, COMMAND_QUEUE_CONTROL, 32, false }, /* RESOURCE_ASSIGN_UUID */
	{ 0x10c, COMMAND_QUEUE_CONTROL, 56, false }, /* RESOURCE_CREATE_BLOB */
	{ 0x10d, COMMAND_QUEUE_CONTROL, 96, false }, /* SET_SCANOUT_BLOB */
	{ 0x200, COMMAND_QUEUE_CONTROL, 96, true },  /* CTX_CREATE */
	{ 0x201, COMMAND_QUEUE_CONTROL, 24, true },  /* CTX_DESTROY */
	{ 0x202, COMMAND_QUEUE_CONTROL, 32, true },  /* CTX_ATTACH_RESOURCE */
	{ 0x203, COMMAND_QUEUE_CONTROL, 32, true },  /* CTX_DETACH_RESOURCE */
	{ 0x204, COMMAND_QUEUE_CONTROL, 72, true },  /* RESOURCE_CREATE_3D */
	{ 0x205, COMMAND_QUEUE_CONTROL, 72, true },  /* TRANSFER_TO_HOST_3D */
	{ 0x206, COMMAND_QUEUE_CONTROL, 72, true },  /* TRANSFER_FROM_HOST_3D */
	{ 0x207, COMMAND_QUEUE_CONTROL, 32, true },  /* SUBMIT_3D */
	{ 0x208, COMMAND_QUEUE_CONTROL, 40, false }, /* RESOURCE_MAP_BLOB */
	{ 0x209, COMMAND_QUEUE_CONTROL, 32, false }, /* RESOURCE_UNMAP_BLOB */
	{ 0x300, COMMAND_QUEUE_CURSOR, 56, false },  /* UPDATE_CURSOR */
	{ 0x301, COMMAND_QUEUE_CURSOR, 56, false },  /* MOVE_CURSOR */
};

static void setup(struct vm *vm, gconstpointer data G_GNUC_UNUSED)
{
	vm_init(vm);
}

static void teardown(struct vm *vm, gconstpointer data G_GNUC_UNUSED)
{
	vm_finish(vm);
}

/* Byte i of a request is i, but for its type. */
static void fill(uint8_t *bytes, size_t size, uint32_t type)
{
	for (size_t i = 0; i < size; i++) {
		bytes[i] = (uint8_t)i;
	}
	memcpy(bytes, &type, MIN(size, sizeof(type)));
}

static struct command *make(struct vm *vm, unsigned int queue, const void *request, size_t size,
			    size_t response)
{
	vm_submit(vm, queue, request, size, response);
	return command_create(&vm->queues[queue], vm_pop(vm, queue));
}

/* Returns the answer of decoding; the command is completed, so that the ring never fills up. */
static enum gpu_resp decode(struct vm *vm, unsigned int queue, uint32_t type, size_t size)
{
	struct virtio_gpu_ctrl_hdr response;
	uint8_t bytes[256];

	fill(bytes, sizeof(bytes), type);
	struct command *command = make(vm, queue, bytes, size, 64);
	enum gpu_resp resp = command_decode(command);
	if (resp == GPU_RESP_OK_NODATA) {
		g_assert_nonnull(command->type);
		g_assert_cmphex(command->type->type, ==, type);
		g_assert_cmpuint(command_extra_bytes(command), ==,
				 size - command->type->size_bytes);
	} else {
		g_assert_null(command->type);
	}
	command_complete(command, resp, false);
	g_assert_true(vm_take(vm, queue, NULL, &response, sizeof(response), NULL));
	g_assert_cmphex(response.type, ==, (uint32_t)resp);
	return resp;
}

/* ---- decoding ---- */

static void test_each_type_is_known_once(struct vm *vm, gconstpointer data G_GNUC_UNUSED)
{
	for (size_t i = 0; i < G_N_ELEMENTS(known); i++) {
		uint8_t bytes[256];

		fill(bytes, sizeof(bytes), known[i].type);
		struct command *command = make(vm, known[i].queue, bytes, sizeof(bytes), 64);
		g_assert_cmphex(command_decode(command), ==, GPU_RESP_OK_NODATA);
		g_assert_cmphex(command->type->type, ==, known[i].type);
		g_assert_cmpuint(command->type->size_bytes, ==, known[i].size_bytes);
		g_assert_cmpint(command->type->queue, ==, known[i].queue);
		g_assert_cmpint(command->type->is_3d, ==, known[i].is_3d);
		g_assert_nonnull(command->type->handle);
		g_assert_nonnull(command->type->name);
		for (size_t k = 0; k < i; k++) {
			g_assert_cmphex(known[i].type, !=, known[k].type);
		}
		/* The names of the header are the numbers of this table. */
		command_destroy(command);
		vm_finish(vm);
		vm_init(vm);
	}
	g_assert_cmphex(VIRTIO_GPU_CMD_GET_DISPLAY_INFO, ==, 0x100);
	g_assert_cmphex(VIRTIO_GPU_CMD_SET_SCANOUT_BLOB, ==, 0x10d);
	g_assert_cmphex(VIRTIO_GPU_CMD_CTX_CREATE, ==, 0x200);
	g_assert_cmphex(VIRTIO_GPU_CMD_RESOURCE_UNMAP_BLOB, ==, 0x209);
	g_assert_cmphex(VIRTIO_GPU_CMD_MOVE_CURSOR, ==, 0x301);
}

static bool is_known(uint32_t type)
{
	for (size_t i = 0; i < G_N_ELEMENTS(known); i++) {
		if (known[i].type == type) {
			return true;
		}
	}
	return false;
}

static void test_all_others_are_unknown(struct vm *vm, gconstpointer data G_GNUC_UNUSED)
{
	static const uint32_t far[] = { 0x1000, 0x1100, 0x1200, 0xffff, 0x10100, 0x1000100,
					0x80000000, UINT32_MAX };

	for (uint32_t type = 0; type < 0x400; type++) {
		if (!is_known(type)) {
			g_assert_cmphex(decode(vm, 0, type, 256), ==, GPU_RESP_ERR_UNSPEC);
			g_assert_cmphex(decode(vm, 1, type, 256), ==, GPU_RESP_ERR_UNSPEC);
		}
	}
	for (size_t i = 0; i < G_N_ELEMENTS(far); i++) {
		g_assert_cmphex(decode(vm, 0, far[i], 256), ==, GPU_RESP_ERR_UNSPEC);
	}
}

static void test_every_length(struct vm *vm, gconstpointer data G_GNUC_UNUSED)
{
	for (size_t i = 0; i < G_N_ELEMENTS(known); i++) {
		for (size_t size = 1; size <= 128; size++) {
			bool is_whole = size >= known[i].size_bytes;

			g_assert_cmphex(decode(vm, known[i].queue, known[i].type, size), ==,
					is_whole ? GPU_RESP_OK_NODATA :
						   GPU_RESP_ERR_INVALID_PARAMETER);
		}
	}
}

static void test_wrong_queue(struct vm *vm, gconstpointer data G_GNUC_UNUSED)
{
	for (size_t i = 0; i < G_N_ELEMENTS(known); i++) {
		g_assert_cmphex(decode(vm, !known[i].queue, known[i].type, 256), ==,
				GPU_RESP_ERR_UNSPEC);
	}
}

static void test_fields_arrive(struct vm *vm, gconstpointer data G_GNUC_UNUSED)
{
	const struct virtio_gpu_transfer_to_host_2d request = {
		.hdr = { .type = VIRTIO_GPU_CMD_TRANSFER_TO_HOST_2D,
			 .flags = VIRTIO_GPU_FLAG_FENCE,
			 .fence_id = UINT64_C(0x1122334455667788),
			 .ctx_id = 7,
			 .ring_idx = 3 },
		.r = { 1, 2, 3, 4 },
		.offset = UINT64_C(0x8877665544332211),
		.resource_id = 5,
	};
	struct command *command = make(vm, 0, &request, sizeof(request), 64);

	g_assert_cmphex(command_decode(command), ==, GPU_RESP_OK_NODATA);
	unit_assert_bytes(&command->request, &request, sizeof(request));
	command_destroy(command);
}

/* The guest changes its request after it was read: nobody sees that. */
static void test_request_is_read_once(struct vm *vm, gconstpointer data G_GNUC_UNUSED)
{
	const struct virtio_gpu_resource_unref request = {
		.hdr = { .type = VIRTIO_GPU_CMD_RESOURCE_UNREF }, .resource_id = 5
	};
	struct command *command = make(vm, 0, &request, sizeof(request), 64);

	g_assert_cmphex(command_decode(command), ==, GPU_RESP_OK_NODATA);
	memset(guestram_at(vm->ram, command->chain->buffers[0].gpa.v, sizeof(request)), 0xff,
	       sizeof(request));
	unit_assert_bytes(&command->request, &request, sizeof(request));
	command_destroy(command);
}

static void test_extra_bytes(struct vm *vm, gconstpointer data G_GNUC_UNUSED)
{
	uint8_t bytes[100], extra[68];

	fill(bytes, sizeof(bytes), VIRTIO_GPU_CMD_SUBMIT_3D);
	struct command *command = make(vm, 0, bytes, sizeof(bytes), 64);
	g_assert_cmphex(command_decode(command), ==, GPU_RESP_OK_NODATA);
	g_assert_cmpuint(command_extra_bytes(command), ==, 68);
	g_assert_true(command_read_extra(command, 0, extra, 68));
	unit_assert_bytes(extra, bytes + 32, 68);
	g_assert_true(command_read_extra(command, 60, extra, 8));
	unit_assert_bytes(extra, bytes + 92, 8);
	g_assert_true(command_read_extra(command, 68, extra, 0));
	g_assert_false(command_read_extra(command, 61, extra, 8));
	g_assert_false(command_read_extra(command, 68, extra, 1));
	command_destroy(command);
}

/* ---- completing ---- */

/* Complete a command with these header flags; the response header is what the guest sees. */
static struct virtio_gpu_ctrl_hdr complete(struct vm *vm, uint32_t flags, enum gpu_resp resp,
					   bool has_ring_idx)
{
	const struct virtio_gpu_ctrl_hdr request = {
		.type = VIRTIO_GPU_CMD_GET_DISPLAY_INFO,
		.flags = flags,
		.fence_id = UINT64_C(0xfedcba9876543210),
		.ctx_id = 42,
		.ring_idx = 9,
	};
	struct virtio_gpu_ctrl_hdr response;
	uint32_t length;
	struct command *command = make(vm, 0, &request, sizeof(request), 64);

	g_assert_cmphex(command_decode(command), ==, GPU_RESP_OK_NODATA);
	command_complete(command, resp, has_ring_idx);
	g_assert_true(vm_take(vm, 0, NULL, &response, sizeof(response), &length));
	g_assert_cmpuint(length, ==, sizeof(response));
	g_assert_cmphex(response.type, ==, (uint32_t)resp);
	return response;
}

static void test_fence_is_echoed(struct vm *vm, gconstpointer data G_GNUC_UNUSED)
{
	const uint32_t both = VIRTIO_GPU_FLAG_FENCE | VIRTIO_GPU_FLAG_INFO_RING_IDX;
	static const enum gpu_resp answers[] = { GPU_RESP_OK_NODATA, GPU_RESP_ERR_UNSPEC };

	for (size_t i = 0; i < G_N_ELEMENTS(answers); i++) {
		struct virtio_gpu_ctrl_hdr header = complete(vm, 0, answers[i], true);

		g_assert_cmphex(header.flags, ==, 0);
		g_assert_cmphex(header.fence_id, ==, 0);
		g_assert_cmpuint(header.ctx_id, ==, 0);

		header = complete(vm, VIRTIO_GPU_FLAG_FENCE, answers[i], true);
		g_assert_cmphex(header.flags, ==, VIRTIO_GPU_FLAG_FENCE);
		g_assert_cmphex(header.fence_id, ==, UINT64_C(0xfedcba9876543210));
		g_assert_cmpuint(header.ctx_id, ==, 42);
		g_assert_cmpuint(header.ring_idx, ==, 0);

		header = complete(vm, both, answers[i], true);
		g_assert_cmphex(header.flags, ==, both);
		g_assert_cmpuint(header.ring_idx, ==, 9);

		/* Not negotiated: the flag is none of ours. */
		header = complete(vm, both, answers[i], false);
		g_assert_cmphex(header.flags, ==, VIRTIO_GPU_FLAG_FENCE);
		g_assert_cmpuint(header.ring_idx, ==, 0);

		/* Flags that nobody knows are not echoed. */
		header = complete(vm, 0xfffffffc, answers[i], true);
		g_assert_cmphex(header.flags, ==, 0);
	}
}

static void test_response_is_cut_to_its_room(struct vm *vm, gconstpointer data G_GNUC_UNUSED)
{
	const struct virtio_gpu_ctrl_hdr request = { .type = VIRTIO_GPU_CMD_GET_DISPLAY_INFO };
	static const size_t rooms[] = { 0, 1, 4, 23, 24, 25, 407, 408, 409 };

	for (size_t i = 0; i < G_N_ELEMENTS(rooms); i++) {
		uint8_t response[512];
		uint32_t length;
		struct command *command = make(vm, 0, &request, sizeof(request), rooms[i]);

		g_assert_cmphex(command_decode(command), ==, GPU_RESP_OK_NODATA);
		memset(&command->response, 0x77, sizeof(command->response));
		command->response_bytes = sizeof(struct virtio_gpu_resp_display_info);
		command_complete(command, GPU_RESP_OK_DISPLAY_INFO, false);
		g_assert_true(vm_take(vm, 0, NULL, response, sizeof(response), &length));
		g_assert_cmpuint(length, ==, MIN(rooms[i], 408));
		if (length > sizeof(struct virtio_gpu_ctrl_hdr)) {
			g_assert_cmphex(response[length - 1], ==, 0x77);
		}
	}
}

static void test_error_is_a_header_only(struct vm *vm, gconstpointer data G_GNUC_UNUSED)
{
	const struct virtio_gpu_ctrl_hdr request = { .type = VIRTIO_GPU_CMD_GET_DISPLAY_INFO };
	uint8_t response[512];
	uint32_t length;
	struct command *command = make(vm, 0, &request, sizeof(request), 408);

	g_assert_cmphex(command_decode(command), ==, GPU_RESP_OK_NODATA);
	command->response_bytes = sizeof(struct virtio_gpu_resp_display_info);
	command->long_response = g_malloc0(1000);
	command_complete(command, GPU_RESP_ERR_OUT_OF_MEMORY, false);
	g_assert_true(vm_take(vm, 0, NULL, response, sizeof(response), &length));
	g_assert_cmpuint(length, ==, sizeof(struct virtio_gpu_ctrl_hdr));
}

static void test_long_response(struct vm *vm, gconstpointer data G_GNUC_UNUSED)
{
	const struct virtio_gpu_get_capset request = {
		.hdr = { .type = VIRTIO_GPU_CMD_GET_CAPSET, .flags = VIRTIO_GPU_FLAG_FENCE,
			 .fence_id = 3 }
	};
	enum { SIZE = 24 + 5000 };
	g_autofree uint8_t *response = g_malloc(SIZE);
	uint32_t length;
	struct command *command = make(vm, 0, &request, sizeof(request), SIZE);

	g_assert_cmphex(command_decode(command), ==, GPU_RESP_OK_NODATA);
	command->long_response = g_malloc(SIZE);
	memset(command->long_response, 0x66, SIZE);
	command->response_bytes = SIZE;
	command_complete(command, GPU_RESP_OK_CAPSET, false);
	g_assert_true(vm_take(vm, 0, NULL, response, SIZE, &length));
	g_assert_cmpuint(length, ==, SIZE);
	g_assert_cmphex(((struct virtio_gpu_ctrl_hdr *)(void *)response)->type, ==,
			VIRTIO_GPU_RESP_OK_CAPSET);
	g_assert_cmpuint(((struct virtio_gpu_ctrl_hdr *)(void *)response)->fence_id, ==, 3);
	g_assert_cmphex(response[24], ==, 0x66);
	g_assert_cmphex(response[SIZE - 1], ==, 0x66);
}

int main(int argc, char **argv)
{
	static const struct {
		const char *path;
		void (*test)(struct vm *vm, gconstpointer data);
	} tests[] = {
		{ "/command/decode/each-type-is-known-once", test_each_type_is_known_once },
		{ "/command/decode/all-others-are-unknown", test_all_others_are_unknown },
		{ "/command/decode/every-length", test_every_length },
		{ "/command/decode/wrong-queue", test_wrong_queue },
		{ "/command/decode/fields-arrive", test_fields_arrive },
		{ "/command/decode/request-is-read-once", test_request_is_read_once },
		{ "/command/decode/extra-bytes", test_extra_bytes },
		{ "/command/complete/fence-is-echoed", test_fence_is_echoed },
		{ "/command/complete/response-is-cut-to-its-room",
		  test_response_is_cut_to_its_room },
		{ "/command/complete/error-is-a-header-only", test_error_is_a_header_only },
		{ "/command/complete/long-response", test_long_response },
	};

	g_test_init(&argc, &argv, NULL);
	for (size_t i = 0; i < G_N_ELEMENTS(tests); i++) {
		g_test_add(tests[i].path, struct vm, NULL, setup, tests[i].test, teardown);
	}
	return g_test_run();
}
