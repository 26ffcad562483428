/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include <errno.h>
#include <glib.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "frontend.h"
#include "suite.h"

#define MAX_FDS 16u

struct frontend *frontend_create(int consume_fd)
{
	struct frontend *frontend = g_new0(struct frontend, 1);

	frontend->fd = consume_fd;
	frontend->backend_req_fd = -1;
	frontend->shmem_feature = VHOST_USER_PROTOCOL_F_SHMEM_MAP;
	return frontend;
}

void frontend_destroy(struct frontend *frontend)
{
	if (!frontend) {
		return;
	}
	close(frontend->fd);
	if (frontend->backend_req_fd >= 0) {
		close(frontend->backend_req_fd);
	}
	window_destroy(frontend->window);
	g_free(frontend);
}

int frontend_send_bytes(struct frontend *frontend, const void *bytes, size_t size,
			const int *fds_dup, unsigned int n_fds)
{
	union {
		char bytes[CMSG_SPACE(sizeof(int) * MAX_FDS)];
		struct cmsghdr align;
	} control = {0};
	struct iovec iov = {(void *)(uintptr_t)bytes, size};
	struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1};

	g_assert_cmpuint(n_fds, <=, MAX_FDS);
	if (n_fds > 0) {
		msg.msg_control = control.bytes;
		msg.msg_controllen = CMSG_SPACE(sizeof(int) * n_fds);
		struct cmsghdr *cmsg = CMSG_FIRSTHDR(&msg);
		cmsg->cmsg_level = SOL_SOCKET;
		cmsg->cmsg_type = SCM_RIGHTS;
		cmsg->cmsg_len = CMSG_LEN(sizeof(int) * n_fds);
		memcpy(CMSG_DATA(cmsg), fds_dup, sizeof(int) * n_fds);
	}
	ssize_t sent = sendmsg(frontend->fd, &msg, MSG_NOSIGNAL);
	if (sent < 0) {
		return -errno;
	}
	g_assert_cmpuint((size_t)sent, ==, size);
	return 0;
}

int frontend_send(struct frontend *frontend, uint32_t request, uint32_t flags_or,
		  const void *payload, uint32_t size, const int *fds_dup, unsigned int n_fds)
{
	struct vhost_user_header header = {request, VHOST_USER_VERSION | flags_or, size};
	g_autofree uint8_t *bytes = g_malloc(sizeof(header) + size);

	memcpy(bytes, &header, sizeof(header));
	if (size > 0) {
		memcpy(bytes + sizeof(header), payload, size);
	}
	return frontend_send_bytes(frontend, bytes, sizeof(header) + size, fds_dup, n_fds);
}

bool frontend_wait_readable(struct frontend *frontend, int milliseconds)
{
	struct pollfd pollfd = {.fd = frontend->fd, .events = POLLIN};

	return poll(&pollfd, 1, suite_timeout_ms(milliseconds)) > 0;
}

static void receive_exactly(struct frontend *frontend, void *buffer, size_t size, int64_t deadline,
			    uint32_t request)
{
	uint8_t *bytes = buffer;

	while (size > 0) {
		struct pollfd pollfd = {.fd = frontend->fd, .events = POLLIN};
		if (poll(&pollfd, 1, suite_left_ms(deadline)) <= 0) {
			g_error("request %u: no answer in time", request);
		}
		ssize_t length = recv(frontend->fd, bytes, size, 0);
		if (length <= 0) {
			g_error("request %u: the daemon closed the connection instead of answering "
				"(%s)",
				request, length < 0 ? g_strerror(errno) : "end of file");
		}
		bytes += length;
		size -= (size_t)length;
	}
}

uint32_t frontend_receive(struct frontend *frontend, uint32_t request, void *payload_out,
			  uint32_t size)
{
	int64_t deadline = suite_deadline_us(FRONTEND_ANSWER_MS);
	struct vhost_user_header header;

	receive_exactly(frontend, &header, sizeof(header), deadline, request);
	g_assert_cmpuint(header.request, ==, request);
	g_assert_cmphex(header.flags, ==, VHOST_USER_VERSION | VHOST_USER_FLAG_REPLY);
	g_assert_cmpuint(header.size, <=, size);
	receive_exactly(frontend, payload_out, header.size, deadline, request);
	return header.size;
}

bool frontend_wait_closed(struct frontend *frontend, int milliseconds)
{
	int64_t deadline = suite_deadline_us(milliseconds);
	uint8_t scratch[256];

	for (;;) {
		struct pollfd pollfd = {.fd = frontend->fd, .events = POLLIN};
		if (poll(&pollfd, 1, suite_left_ms(deadline)) <= 0) {
			return false;
		}
		if (recv(frontend->fd, scratch, sizeof(scratch), 0) <= 0) {
			return true;
		}
	}
}

uint64_t frontend_request(struct frontend *frontend, uint32_t request, const void *payload,
			  uint32_t size, const int *fds_dup, unsigned int n_fds)
{
	uint64_t ack = UINT64_MAX;

	g_assert_cmpint(frontend_send(frontend, request, VHOST_USER_FLAG_NEED_REPLY, payload, size,
				      fds_dup, n_fds),
			==, 0);
	g_assert_cmpuint(frontend_receive(frontend, request, &ack, sizeof(ack)), ==, sizeof(ack));
	return ack;
}

uint64_t frontend_get_u64(struct frontend *frontend, uint32_t request)
{
	uint64_t value = 0;

	g_assert_cmpint(frontend_send(frontend, request, 0, NULL, 0, NULL, 0), ==, 0);
	g_assert_cmpuint(frontend_receive(frontend, request, &value, sizeof(value)), ==,
			 sizeof(value));
	return value;
}

void frontend_set_u64(struct frontend *frontend, uint32_t request, uint64_t value)
{
	g_assert_cmpint(frontend_send(frontend, request, 0, &value, sizeof(value), NULL, 0), ==, 0);
}

void frontend_assert_alive(struct frontend *frontend)
{
	g_assert_cmphex(frontend_get_u64(frontend, VHOST_USER_GET_FEATURES) & FEATURE(VIRTIO_F_V1),
			!=, 0);
}

uint32_t frontend_get_config(struct frontend *frontend, uint32_t offset, uint32_t size,
			     uint8_t *region_out)
{
	struct vhost_user_config config = {.offset = offset, .size = size};
	struct vhost_user_config answer = {0};

	g_assert_cmpint(
		frontend_send(frontend, VHOST_USER_GET_CONFIG, 0, &config,
			      VHOST_USER_CONFIG_HEADER_SIZE + MIN(size, VHOST_USER_CONFIG_MAX),
			      NULL, 0),
		==, 0);
	uint32_t received =
		frontend_receive(frontend, VHOST_USER_GET_CONFIG, &answer, sizeof(answer));
	if (received < VHOST_USER_CONFIG_HEADER_SIZE) {
		g_assert_cmpuint(received, ==, 0);
		return 0;
	}
	g_assert_cmpuint(answer.size, ==, received - VHOST_USER_CONFIG_HEADER_SIZE);
	g_assert_cmpuint(answer.offset, ==, offset);
	memcpy(region_out, answer.region, answer.size);
	return answer.size;
}

void frontend_set_features(struct frontend *frontend, uint64_t features)
{
	frontend_set_u64(frontend, VHOST_USER_SET_FEATURES, features);
}

/* Our end; the daemon's is *theirs_out. */
static int make_channel(int *theirs_out)
{
	int fds[2];

	g_assert_no_errno(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds));
	*theirs_out = fds[1];
	return fds[0];
}

void frontend_set_backend_req_fd(struct frontend *frontend)
{
	int ours = -1, theirs;

	if (frontend->window) {
		theirs = window_connect(frontend->window);
	} else {
		ours = make_channel(&theirs);
	}
	g_assert_cmpuint(
		frontend_request(frontend, VHOST_USER_SET_BACKEND_REQ_FD, NULL, 0, &theirs, 1), ==,
		0);
	close(theirs);
	if (frontend->backend_req_fd >= 0) {
		close(frontend->backend_req_fd);
	}
	frontend->backend_req_fd = ours;
}

uint64_t frontend_get_window_bytes(struct frontend *frontend)
{
	struct vhost_user_shmem_config config;

	g_assert_cmpint(frontend_send(frontend, VHOST_USER_GET_SHMEM_CONFIG, 0, NULL, 0, NULL, 0),
			==, 0);
	g_assert_cmpuint(
		frontend_receive(frontend, VHOST_USER_GET_SHMEM_CONFIG, &config, sizeof(config)),
		==, sizeof(config));
	g_assert_cmpuint(config.n_regions, ==,
			 config.sizes[VHOST_USER_SHMID_HOST_VISIBLE] > 0 ? 1 : 0);
	for (unsigned int i = 0; i < VHOST_USER_SHMEM_REGIONS; i++) {
		g_assert_true(i == VHOST_USER_SHMID_HOST_VISIBLE || config.sizes[i] == 0);
	}
	return config.sizes[VHOST_USER_SHMID_HOST_VISIBLE];
}

/* Asked of a back-end that said it has some. */
static void find_window(struct frontend *frontend)
{
	if (!frontend->window ||
	    !(frontend->acked_protocol_features & FEATURE(frontend->shmem_feature))) {
		return;
	}
	frontend->window_bytes = frontend_get_window_bytes(frontend);
	if (frontend->window_bytes > 0) {
		window_set_size(frontend->window, frontend->window_bytes);
	}
}

void frontend_handshake(struct frontend *frontend)
{
	uint64_t wanted =
		FEATURE(VHOST_USER_PROTOCOL_F_MQ) | FEATURE(VHOST_USER_PROTOCOL_F_REPLY_ACK) |
		FEATURE(VHOST_USER_PROTOCOL_F_BACKEND_REQ) | FEATURE(VHOST_USER_PROTOCOL_F_CONFIG) |
		FEATURE(VHOST_USER_PROTOCOL_F_BACKEND_SEND_FD) |
		FEATURE(VHOST_USER_PROTOCOL_F_RESET_DEVICE) |
		FEATURE(VHOST_USER_PROTOCOL_F_CONFIGURE_MEM_SLOTS);

	if (frontend->window) {
		wanted |= FEATURE(frontend->shmem_feature) |
			  FEATURE(VHOST_USER_PROTOCOL_F_SHARED_OBJECT);
	}
	frontend->features = frontend_get_u64(frontend, VHOST_USER_GET_FEATURES);
	frontend->protocol_features = frontend_get_u64(frontend, VHOST_USER_GET_PROTOCOL_FEATURES);
	frontend->acked_protocol_features =
		frontend->protocol_features & wanted & ~frontend->withheld_protocol_features;
	frontend_set_u64(frontend, VHOST_USER_SET_PROTOCOL_FEATURES,
			 frontend->acked_protocol_features);
	g_assert_cmpuint(frontend_get_u64(frontend, VHOST_USER_GET_QUEUE_NUM), >=, 2);
	if (frontend->acked_protocol_features &
	    FEATURE(VHOST_USER_PROTOCOL_F_CONFIGURE_MEM_SLOTS)) {
		g_assert_cmpuint(frontend_get_u64(frontend, VHOST_USER_GET_MAX_MEM_SLOTS), >=, 8);
	}
	if (frontend->acked_protocol_features & FEATURE(VHOST_USER_PROTOCOL_F_BACKEND_REQ)) {
		frontend_set_backend_req_fd(frontend);
	}
	g_assert_cmpint(frontend_send(frontend, VHOST_USER_SET_OWNER, 0, NULL, 0, NULL, 0), ==, 0);
	g_assert_cmphex(frontend_get_u64(frontend, VHOST_USER_GET_FEATURES), ==,
			frontend->features);
	find_window(frontend);
}

uint64_t frontend_add_region(struct frontend *frontend, const struct guestram_region *region)
{
	struct vhost_user_mem_reg_msg msg = {.region = region->wire};

	return frontend_request(frontend, VHOST_USER_ADD_MEM_REG, &msg, sizeof(msg), &region->memfd,
				1);
}

void frontend_add_memory(struct frontend *frontend, const struct guestram *ram)
{
	for (unsigned int i = 0; i < ram->n_regions; i++) {
		g_assert_cmpuint(frontend_add_region(frontend, &ram->regions[i]), ==, 0);
	}
}

void frontend_remove_memory(struct frontend *frontend, const struct guestram *ram)
{
	for (unsigned int i = 0; i < ram->n_regions; i++) {
		struct vhost_user_mem_reg_msg msg = {.region = ram->regions[i].wire};
		g_assert_cmpuint(frontend_request(frontend, VHOST_USER_REM_MEM_REG, &msg,
						  sizeof(msg), NULL, 0),
				 ==, 0);
	}
}

void frontend_set_mem_table(struct frontend *frontend, const struct guestram *ram)
{
	struct {
		uint32_t n_regions;
		uint32_t padding;
		struct vhost_user_mem_region regions[8];
	} table = {.n_regions = ram->n_regions};
	int fds[8];

	g_assert_cmpuint(ram->n_regions, <=, 8);
	for (unsigned int i = 0; i < ram->n_regions; i++) {
		table.regions[i] = ram->regions[i].wire;
		fds[i] = ram->regions[i].memfd;
	}
	uint32_t size = 8 + ram->n_regions * (uint32_t)sizeof(struct vhost_user_mem_region);
	g_assert_cmpuint(frontend_request(frontend, VHOST_USER_SET_MEM_TABLE, &table, size, fds,
					  ram->n_regions),
			 ==, 0);
}

void frontend_set_vring(struct frontend *frontend, uint32_t request, uint32_t index, uint32_t num)
{
	struct vhost_user_vring_state state = {index, num};

	g_assert_cmpuint(frontend_request(frontend, request, &state, sizeof(state), NULL, 0), ==,
			 0);
}

void frontend_set_vring_addr(struct frontend *frontend, const struct ring *ring)
{
	struct vhost_user_vring_addr addr = {
		.index = ring->index,
		.desc = guestram_to_uva(ring->ram, ring->desc_gpa),
		.avail = guestram_to_uva(ring->ram, ring->avail_gpa),
		.used = guestram_to_uva(ring->ram, ring->used_gpa),
	};

	g_assert_cmpuint(
		frontend_request(frontend, VHOST_USER_SET_VRING_ADDR, &addr, sizeof(addr), NULL, 0),
		==, 0);
}

void frontend_set_vring_fd(struct frontend *frontend, uint32_t request, uint32_t index, int fd_dup)
{
	uint64_t value = index;

	g_assert_cmpint(frontend_send(frontend, request, 0, &value, sizeof(value), &fd_dup, 1), ==,
			0);
}

void frontend_start_ring(struct frontend *frontend, const struct ring *ring, uint16_t base,
			 bool is_disabled)
{
	frontend_set_vring_fd(frontend, VHOST_USER_SET_VRING_CALL, ring->index, ring->call_fd);
	frontend_set_vring_fd(frontend, VHOST_USER_SET_VRING_ERR, ring->index, ring->err_fd);
	frontend_set_vring(frontend, VHOST_USER_SET_VRING_NUM, ring->index, ring->size);
	frontend_set_vring(frontend, VHOST_USER_SET_VRING_BASE, ring->index, base);
	frontend_set_vring_addr(frontend, ring);
	frontend_set_vring_fd(frontend, VHOST_USER_SET_VRING_KICK, ring->index, ring->kick_fd);
	if (!is_disabled) {
		frontend_set_vring(frontend, VHOST_USER_SET_VRING_ENABLE, ring->index, 1);
	}
}

uint16_t frontend_stop_ring(struct frontend *frontend, uint32_t index)
{
	struct vhost_user_vring_state state = {index, 0};

	frontend_set_vring(frontend, VHOST_USER_SET_VRING_ENABLE, index, 0);
	g_assert_cmpint(frontend_send(frontend, VHOST_USER_GET_VRING_BASE, 0, &state, sizeof(state),
				      NULL, 0),
			==, 0);
	g_assert_cmpuint(
		frontend_receive(frontend, VHOST_USER_GET_VRING_BASE, &state, sizeof(state)), ==,
		sizeof(state));
	g_assert_cmpuint(state.index, ==, index);
	return (uint16_t)state.num;
}

void frontend_gpu_set_socket(struct frontend *frontend, int fd_dup)
{
	g_assert_cmpint(frontend_send(frontend, VHOST_USER_GPU_SET_SOCKET, 0, NULL, 0, &fd_dup, 1),
			==, 0);
}
