/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * A command's way from a chain to a request in host byte order, and back to a
 * response. The bytes are the guest's. However they are cut into descriptors,
 * the outcome has to be the same, and to be what the table of commands says.
 */
#include <endian.h>
#include <stdalign.h>
#include <string.h>

#include "fuzz.h"
#include "gpu/command.h"
#include "guest.h"
#include "input.h"

#define MAX_REQUEST_BYTES 1024u

struct fuzz {
	struct fuzz_guest *guest;
	struct virtq queues[FUZZ_N_QUEUES];
};

const char *fuzz_prepare(void)
{
	return NULL;
}

static const struct command_type *find_type(uint32_t number)
{
	const struct command_type *type = NULL;

	for (size_t i = 0; (type = command_type_at(i)) != NULL; i++) {
		if (type->type == number) {
			break;
		}
	}
	return type;
}

/* Through the ring and decoded; to be destroyed or completed by the caller. */
static struct command *pop_command(struct fuzz *fuzz, unsigned int queue,
				   const struct fuzz_chain *shape, enum gpu_resp *resp_out)
{
	struct virtq_chain *chain = NULL;
	uint16_t head;

	g_assert_true(fuzz_guest_submit(fuzz->guest, queue, shape, &head));
	g_assert_cmpint(virtq_pop(&fuzz->queues[queue], &chain), ==, VIRTQ_OK);
	g_assert_cmpuint(chain->head, ==, head);
	struct command *command = command_create(&fuzz->queues[queue], chain);
	*resp_out = command_decode(command);
	return command;
}

static void assert_decoded(const struct command *command, enum gpu_resp resp,
			   const struct fuzz_chain *shape, unsigned int queue)
{
	const struct virtio_gpu_ctrl_hdr *header = shape->request;
	const struct command_type *type = NULL;

	if (shape->request_bytes < sizeof(*header)) {
		g_assert_cmphex(resp, ==, GPU_RESP_ERR_INVALID_PARAMETER);
		g_assert_cmphex(command->request.header.type, ==, 0);
		return;
	}
	type = find_type(le32toh(header->type));
	if (type == NULL || type->queue != queue) {
		g_assert_cmphex(resp, ==, GPU_RESP_ERR_UNSPEC);
	} else if (shape->request_bytes < type->size_bytes) {
		g_assert_cmphex(resp, ==, GPU_RESP_ERR_INVALID_PARAMETER);
	} else {
		g_assert_cmphex(resp, ==, GPU_RESP_OK_NODATA);
		g_assert_true(command->type == type);
	}
	g_assert_cmphex(command->request.header.type, ==, le32toh(header->type));
	g_assert_cmphex(command->request.header.fence_id, ==, le64toh(header->fence_id));
}

/* What lies behind the fixed part, read at any offset. */
static void assert_extra(const struct command *command, const struct fuzz_chain *shape,
			 struct fuzz_input *in)
{
	const char *extra = (const char *)shape->request + command->type->size_bytes;
	uint64_t size = shape->request_bytes - command->type->size_bytes;
	uint64_t offset = fuzz_input_u8(in), length = fuzz_input_u8(in);
	char found[UINT8_MAX];
	bool is_inside = length == 0 || offset + length <= size;

	g_assert_cmpuint(command_extra_bytes(command), ==, size);
	g_assert_cmpint(command_read_extra(command, offset, found, length), ==, is_inside);
	if (is_inside) {
		fuzz_assert_bytes(found, extra + offset, length);
	}
}

static void assert_completed(struct fuzz *fuzz, unsigned int queue, const struct fuzz_chain *shape,
			     enum gpu_resp resp, const struct virtio_gpu_ctrl_hdr *request)
{
	struct virtio_gpu_ctrl_hdr expected = { .type = htole32(resp) };
	struct fuzz_used used;

	if (request->flags & VIRTIO_GPU_FLAG_FENCE) {
		expected.flags = htole32(VIRTIO_GPU_FLAG_FENCE |
					 (request->flags & VIRTIO_GPU_FLAG_INFO_RING_IDX));
		expected.fence_id = htole64(request->fence_id);
		expected.ctx_id = htole32(request->ctx_id);
		if (request->flags & VIRTIO_GPU_FLAG_INFO_RING_IDX) {
			expected.ring_idx = request->ring_idx;
		}
	}
	g_assert_true(fuzz_guest_take(fuzz->guest, queue, &used));
	g_assert_cmpuint(used.length_bytes, ==, MIN(shape->response_bytes, sizeof(expected)));
	fuzz_assert_bytes(used.response, &expected, used.length_bytes);
	g_assert_false(fuzz_guest_take(fuzz->guest, queue, &used));
}

static void run(struct fuzz *fuzz, struct fuzz_input *in)
{
	unsigned int queue = fuzz_input_below(in, FUZZ_N_QUEUES);
	alignas(8) char request[MAX_REQUEST_BYTES];
	struct fuzz_chain whole = {
		.request = request,
		.request_bytes = fuzz_input_u16(in) % (MAX_REQUEST_BYTES + 1),
		.response_bytes = 1 + fuzz_input_u8(in),
	};
	struct fuzz_chain cut = whole;
	enum gpu_resp resp, other_resp;

	cut.piece_bytes = 1 + fuzz_input_u8(in);
	cut.is_indirect = fuzz_input_flag(in);
	fuzz_input_copy(in, request, whole.request_bytes);
	struct command *command = pop_command(fuzz, queue, &whole, &resp);
	struct command *other = pop_command(fuzz, queue, &cut, &other_resp);

	assert_decoded(command, resp, &whole, queue);
	g_assert_cmphex(other_resp, ==, resp);
	g_assert_true(other->type == command->type);
	if (command->type != NULL) {
		fuzz_assert_bytes(&other->request, &command->request, command->type->size_bytes);
		assert_extra(command, &whole, in);
		assert_extra(other, &cut, in);
	}
	const struct virtio_gpu_ctrl_hdr header = command->request.header;
	command_complete(command, resp, true);
	assert_completed(fuzz, queue, &whole, resp, &header);
	command_complete(other, resp, true);
	assert_completed(fuzz, queue, &cut, resp, &header);
}

void fuzz_one(const uint8_t *bytes, size_t size_bytes)
{
	struct fuzz fuzz = { .guest = fuzz_guest_create() };
	struct guestmem *mem = fuzz_guest_build_table(fuzz.guest, FUZZ_ALL_REGIONS);
	struct fuzz_input in;

	fuzz_input_init(&in, bytes, size_bytes);
	for (unsigned int i = 0; i < FUZZ_N_QUEUES; i++) {
		fuzz_queue_init(&fuzz.queues[i], i);
		fuzz_guest_start_queue(fuzz.guest, &fuzz.queues[i], mem, 0);
	}
	do {
		run(&fuzz, &in);
	} while (!fuzz_input_is_over(&in));
	for (unsigned int i = 0; i < FUZZ_N_QUEUES; i++) {
		fuzz_queue_finish(&fuzz.queues[i]);
	}
	guestmem_unref(mem);
	fuzz_guest_destroy(fuzz.guest);
}
