/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * vhost-user, message by message. A request that is well formed and can't be granted gets a
 * non-zero acknowledgement and the session goes on; the memory table and the rings have files of
 * their own.
 */
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "proto.h"

static void test_handshake(const void *data)
{
	struct rig *rig = proto_rig_handshaken();

	(void)data;
	g_assert_cmpuint(frontend_get_u64(rig->frontend, VHOST_USER_GET_QUEUE_NUM), ==, 2);
	g_assert_cmpuint(frontend_get_u64(rig->frontend, VHOST_USER_GET_MAX_MEM_SLOTS), >=, 32);
	/* Asked twice, answered twice the same: QEMU does ask twice. */
	g_assert_cmphex(frontend_get_u64(rig->frontend, VHOST_USER_GET_PROTOCOL_FEATURES), ==,
			rig->frontend->protocol_features);
	rig_destroy(rig);
}

static void test_owner(const void *data)
{
	struct rig *rig = proto_rig_handshaken();

	(void)data;
	g_assert_cmpuint(frontend_request(rig->frontend, VHOST_USER_SET_OWNER, NULL, 0, NULL, 0),
			 ==, 0);
	g_assert_cmpuint(frontend_request(rig->frontend, VHOST_USER_RESET_OWNER, NULL, 0, NULL, 0),
			 ==, 0);
	g_assert_cmpuint(frontend_request(rig->frontend, VHOST_USER_SET_OWNER, NULL, 0, NULL, 0),
			 ==, 0);
	rig_start(rig, 0, 0);
	rig_assert_serves(rig);
	rig_destroy(rig);
}

static void test_unknown_features(const void *data)
{
	struct rig *rig = proto_rig_handshaken();
	uint64_t all = UINT64_MAX;

	(void)data;
	frontend_set_u64(rig->frontend, VHOST_USER_SET_PROTOCOL_FEATURES,
			 rig->frontend->protocol_features);
	frontend_set_features(rig->frontend, all);
	frontend_assert_alive(rig->frontend);
	/* QEMU lets the guest have ring features that the back-end never offered. */
	rig->acked_features |= FEATURE(VIRTIO_F_PACKED) | FEATURE(40) | FEATURE(35);
	frontend_set_features(rig->frontend, rig->acked_features);
	frontend_assert_alive(rig->frontend);
	rig_destroy(rig);
}

static void test_no_reply_unasked(const void *data)
{
	struct daemon *daemon = daemon_start("null", NULL);
	struct frontend *frontend = frontend_create(daemon_connect(daemon));
	struct vhost_user_vring_state state = {0, 256};

	/* Without REPLY_ACK the flag means nothing: the next answer is the one to GET_FEATURES. */
	(void)data;
	frontend_get_u64(frontend, VHOST_USER_GET_PROTOCOL_FEATURES);
	frontend_set_u64(frontend, VHOST_USER_SET_PROTOCOL_FEATURES,
			 FEATURE(VHOST_USER_PROTOCOL_F_CONFIG));
	g_assert_cmpint(frontend_send(frontend, VHOST_USER_SET_VRING_NUM,
				      VHOST_USER_FLAG_NEED_REPLY, &state, sizeof(state), NULL, 0),
			==, 0);
	frontend_assert_alive(frontend);
	/* With REPLY_ACK and without the flag neither. */
	frontend_set_u64(frontend, VHOST_USER_SET_PROTOCOL_FEATURES,
			 FEATURE(VHOST_USER_PROTOCOL_F_REPLY_ACK));
	g_assert_cmpint(frontend_send(frontend, VHOST_USER_SET_VRING_NUM, 0, &state, sizeof(state),
				      NULL, 0),
			==, 0);
	frontend_assert_alive(frontend);
	g_assert_cmpuint(frontend_request(frontend, VHOST_USER_SET_VRING_NUM, &state, sizeof(state),
					  NULL, 0),
			 ==, 0);
	/* A question that has an answer of its own is answered once, flag or not. */
	g_assert_cmpint(frontend_send(frontend, VHOST_USER_GET_QUEUE_NUM,
				      VHOST_USER_FLAG_NEED_REPLY, NULL, 0, NULL, 0),
			==, 0);
	uint64_t n_queues;
	frontend_receive(frontend, VHOST_USER_GET_QUEUE_NUM, &n_queues, sizeof(n_queues));
	g_assert_cmpuint(n_queues, ==, 2);
	frontend_assert_alive(frontend);
	frontend_destroy(frontend);
	daemon_destroy(daemon);
}

static void test_get_config(const void *data)
{
	static const uint32_t sizes[] = {1, 2, 4, 8, 16, 20, 24, 64, 255, 256};
	static const uint32_t offsets[] = {0, 1, 4, 8, 12, 15, 16, 20, 100, 240, 255};
	struct rig *rig = proto_rig_handshaken();
	uint8_t whole[VHOST_USER_CONFIG_MAX], part[VHOST_USER_CONFIG_MAX];

	(void)data;
	g_assert_cmpuint(frontend_get_config(rig->frontend, 0, sizeof(whole), whole), ==,
			 sizeof(whole));
	g_assert_cmpuint(whole[8], ==, 16);
	for (size_t i = 16; i < sizeof(whole); i++) {
		g_assert_cmpuint(whole[i], ==, 0);
	}
	for (size_t i = 0; i < G_N_ELEMENTS(sizes); i++) {
		for (size_t j = 0; j < G_N_ELEMENTS(offsets); j++) {
			if (offsets[j] + sizes[i] > VHOST_USER_CONFIG_MAX) {
				continue;
			}
			memset(part, 0xa5, sizeof(part));
			g_assert_cmpuint(
				frontend_get_config(rig->frontend, offsets[j], sizes[i], part), ==,
				sizes[i]);
			proto_assert_mem(part, whole + offsets[j], sizes[i]);
		}
	}
	/* Beyond the protocol's limit: the empty answer that means no. */
	g_assert_cmpuint(frontend_get_config(rig->frontend, 256, 4, part), ==, 0);
	g_assert_cmpuint(frontend_get_config(rig->frontend, 250, 16, part), ==, 0);
	g_assert_cmpuint(frontend_get_config(rig->frontend, UINT32_MAX, 4, part), ==, 0);
	rig_destroy(rig);
}

static uint64_t set_config(struct rig *rig, uint32_t offset, uint32_t size)
{
	struct vhost_user_config config = {.offset = offset, .size = size};

	return frontend_request(rig->frontend, VHOST_USER_SET_CONFIG, &config,
				VHOST_USER_CONFIG_HEADER_SIZE + size, NULL, 0);
}

static void test_set_config(const void *data)
{
	struct rig *rig = proto_rig_handshaken();
	uint8_t before[16], after[16];

	(void)data;
	frontend_get_config(rig->frontend, 0, sizeof(before), before);
	g_assert_cmpuint(set_config(rig, 4, 4), ==, 0); /* events_clear */
	g_assert_cmpuint(set_config(rig, 250, 16), !=, 0);
	g_assert_cmpuint(set_config(rig, UINT32_MAX, 16), !=, 0);
	frontend_get_config(rig->frontend, 0, sizeof(after), after);
	proto_assert_mem(after, before, sizeof(after));
	rig_destroy(rig);
}

static void test_unknown_request(const void *data)
{
	static const uint32_t requests[] = {0, 22, 31, 32, 35, 39, 43, 45, 200, 0x80000000, UINT32_MAX};
	struct rig *rig = proto_rig_handshaken();
	uint8_t payload[256] = {1};

	(void)data;
	unsigned int n_fds = daemon_count_fds(rig->daemon);
	for (size_t i = 0; i < G_N_ELEMENTS(requests); i++) {
		int fds[3] = {rig->control->kick_fd, rig->control->call_fd, rig->control->err_fd};
		g_assert_cmpuint(frontend_request(rig->frontend, requests[i], NULL, 0, NULL, 0), !=,
				 0);
		g_assert_cmpuint(frontend_request(rig->frontend, requests[i], payload, 24, fds, 3),
				 !=, 0);
		g_assert_cmpint(frontend_send(rig->frontend, requests[i], 0, payload,
					      sizeof(payload), fds, 1),
				==, 0);
		frontend_assert_alive(rig->frontend);
	}
	/* The descriptors that came along are closed. */
	g_assert_true(daemon_wait_fds(rig->daemon, n_fds));
	rig_start(rig, 0, 0);
	rig_assert_serves(rig);
	rig_destroy(rig);
}

static void test_set_log(const void *data)
{
	struct rig *rig = proto_rig_handshaken();
	uint64_t log[2] = {4096, 0};
	int fd = memfd_create("log", MFD_CLOEXEC);

	(void)data;
	g_assert_cmpuint(
		frontend_request(rig->frontend, VHOST_USER_SET_LOG_BASE, log, sizeof(log), &fd, 1),
		!=, 0);
	g_assert_cmpuint(frontend_request(rig->frontend, VHOST_USER_SET_LOG_BASE, log, 8, NULL, 0),
			 !=, 0);
	g_assert_cmpuint(frontend_request(rig->frontend, VHOST_USER_SET_LOG_FD, NULL, 0, &fd, 1),
			 !=, 0);
	frontend_assert_alive(rig->frontend);
	close(fd);
	rig_destroy(rig);
}

/* A stream has no message boundaries: in pieces, and several at once. */
static void test_stream(const void *data)
{
	struct rig *rig = proto_rig_handshaken();
	struct {
		struct vhost_user_header header;
		uint64_t value;
		struct vhost_user_header question;
	} messages = {
		{VHOST_USER_SET_FEATURES, VHOST_USER_VERSION, 8},
		rig->acked_features,
		{VHOST_USER_GET_QUEUE_NUM, VHOST_USER_VERSION, 0},
	};
	uint8_t bytes[12 + 8 + 12];
	uint64_t n_queues = 0;

	(void)data;
	memcpy(bytes, &messages.header, 12);
	memcpy(bytes + 12, &messages.value, 8);
	memcpy(bytes + 20, &messages.question, 12);
	g_assert_cmpint(frontend_send_bytes(rig->frontend, bytes, sizeof(bytes), NULL, 0), ==, 0);
	frontend_receive(rig->frontend, VHOST_USER_GET_QUEUE_NUM, &n_queues, sizeof(n_queues));
	g_assert_cmpuint(n_queues, ==, 2);
	for (unsigned int i = 0; i < sizeof(bytes); i++) {
		g_assert_cmpint(frontend_send_bytes(rig->frontend, &bytes[i], 1, NULL, 0), ==, 0);
	}
	n_queues = 0;
	frontend_receive(rig->frontend, VHOST_USER_GET_QUEUE_NUM, &n_queues, sizeof(n_queues));
	g_assert_cmpuint(n_queues, ==, 2);
	rig_destroy(rig);
}

static void test_backend_req_fd(const void *data)
{
	struct rig *rig = proto_rig_handshaken();
	int fds[2];

	/* Any number of times; the latest replaces the one before, which is closed. */
	(void)data;
	for (unsigned int i = 0; i < 20; i++) {
		g_assert_no_errno(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds));
		g_assert_cmpuint(frontend_request(rig->frontend, VHOST_USER_SET_BACKEND_REQ_FD,
						  NULL, 0, &fds[1], 1),
				 ==, 0);
		close(fds[1]);
		struct frontend previous = {.fd = fds[0]};
		if (i < 19) {
			int next[2];
			g_assert_no_errno(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, next));
			g_assert_cmpuint(frontend_request(rig->frontend,
							  VHOST_USER_SET_BACKEND_REQ_FD, NULL, 0,
							  &next[1], 1),
					 ==, 0);
			g_assert_true(frontend_wait_closed(&previous, 2000));
			close(next[0]);
			close(next[1]);
		}
		close(fds[0]);
	}
	rig_destroy(rig);
}

static void test_gpu_set_socket(const void *data)
{
	struct rig *rig = rig_create_mode("null");
	int pipe_fds[2];

	/* Something that is no socket: refused or dropped, the session and the queues go on. */
	(void)data;
	g_assert_no_errno(pipe(pipe_fds));
	frontend_gpu_set_socket(rig->frontend, pipe_fds[1]);
	frontend_gpu_set_socket(rig->frontend, rig->control->kick_fd);
	frontend_gpu_set_socket(rig->frontend, rig->ram->regions[0].memfd);
	rig_assert_serves(rig);
	close(pipe_fds[0]);
	close(pipe_fds[1]);
	rig_destroy(rig);
}

static void test_reset_device(const void *data)
{
	struct rig *rig = proto_rig_handshaken();

	/* At every virtio reset, also before the first start; with and without an acknowledgement.
	 */
	(void)data;
	g_assert_cmpint(frontend_send(rig->frontend, VHOST_USER_RESET_DEVICE, 0, NULL, 0, NULL, 0),
			==, 0);
	g_assert_cmpuint(frontend_request(rig->frontend, VHOST_USER_RESET_DEVICE, NULL, 0, NULL, 0),
			 ==, 0);
	rig_start(rig, 0, 0);
	rig_assert_serves(rig);
	rig_reset(rig, true);
	rig_assert_serves(rig);
	rig_destroy(rig);
}

/* ---- violations: the connection is dropped, the next front-end served ---- */

struct violation {
	uint32_t request;
	uint32_t flags;
	uint32_t size;
	unsigned int n_fds;
	const char *what;
};

#define V1 VHOST_USER_VERSION

/* QEMU before 10.1 leaves a stale size of 8 on some requests without a payload: that much is let
 * pass. */
static const struct violation violations[] = {
	{VHOST_USER_GET_FEATURES, 0, 0, 0, "version 0"},
	{VHOST_USER_GET_FEATURES, 2, 0, 0, "version 2"},
	{VHOST_USER_GET_FEATURES, 3, 0, 0, "version 3"},
	{VHOST_USER_GET_FEATURES, V1 | VHOST_USER_FLAG_REPLY, 0, 0, "a reply nobody asked for"},
	{VHOST_USER_GET_FEATURES, V1, 16, 0, "GET_FEATURES with a payload"},
	{VHOST_USER_GET_FEATURES, V1, 0, 1, "GET_FEATURES with a descriptor"},
	{VHOST_USER_GET_PROTOCOL_FEATURES, V1, 9, 0, "GET_PROTOCOL_FEATURES with a payload"},
	{VHOST_USER_SET_FEATURES, V1, 0, 0, "SET_FEATURES without a value"},
	{VHOST_USER_SET_FEATURES, V1, 4, 0, "SET_FEATURES of 4 bytes"},
	{VHOST_USER_SET_FEATURES, V1, 16, 0, "SET_FEATURES of 16 bytes"},
	{VHOST_USER_SET_FEATURES, V1, 8, 1, "SET_FEATURES with a descriptor"},
	{VHOST_USER_SET_PROTOCOL_FEATURES, V1, 7, 0, "SET_PROTOCOL_FEATURES of 7 bytes"},
	{VHOST_USER_SET_OWNER, V1, 16, 0, "SET_OWNER with a payload"},
	{VHOST_USER_SET_MEM_TABLE, V1, 0, 0, "SET_MEM_TABLE without one"},
	{VHOST_USER_SET_MEM_TABLE, V1, 8 + 32, 0, "SET_MEM_TABLE without a descriptor"},
	{VHOST_USER_SET_MEM_TABLE, V1, 8 + 32, 2,
	 "SET_MEM_TABLE with two descriptors for one region"},
	{VHOST_USER_SET_MEM_TABLE, V1, 8 + 31, 1, "SET_MEM_TABLE cut short"},
	{VHOST_USER_SET_MEM_TABLE, V1, 8 + 64, 1, "SET_MEM_TABLE longer than its count says"},
	{VHOST_USER_SET_VRING_NUM, V1, 4, 0, "SET_VRING_NUM of 4 bytes"},
	{VHOST_USER_SET_VRING_NUM, V1, 12, 0, "SET_VRING_NUM of 12 bytes"},
	{VHOST_USER_SET_VRING_NUM, V1, 8, 1, "SET_VRING_NUM with a descriptor"},
	{VHOST_USER_SET_VRING_ADDR, V1, 39, 0, "SET_VRING_ADDR of 39 bytes"},
	{VHOST_USER_SET_VRING_ADDR, V1, 48, 0, "SET_VRING_ADDR of 48 bytes"},
	{VHOST_USER_SET_VRING_BASE, V1, 0, 0, "SET_VRING_BASE without one"},
	{VHOST_USER_GET_VRING_BASE, V1, 4, 0, "GET_VRING_BASE of 4 bytes"},
	{VHOST_USER_SET_VRING_ENABLE, V1, 16, 0, "SET_VRING_ENABLE of 16 bytes"},
	{VHOST_USER_SET_VRING_KICK, V1, 8, 0, "SET_VRING_KICK without its descriptor"},
	{VHOST_USER_SET_VRING_KICK, V1, 8, 2, "SET_VRING_KICK with two descriptors"},
	{VHOST_USER_SET_VRING_KICK, V1, 4, 1, "SET_VRING_KICK of 4 bytes"},
	{VHOST_USER_SET_VRING_CALL, V1, 8, 0, "SET_VRING_CALL without its descriptor"},
	{VHOST_USER_SET_VRING_CALL, V1, 8, 3, "SET_VRING_CALL with three descriptors"},
	{VHOST_USER_SET_VRING_ERR, V1, 0, 1, "SET_VRING_ERR without an index"},
	{VHOST_USER_GET_CONFIG, V1, 4, 0, "GET_CONFIG of 4 bytes"},
	{VHOST_USER_GET_CONFIG, V1, 12 + 257, 0, "GET_CONFIG of 269 bytes"},
	{VHOST_USER_SET_CONFIG, V1, 11, 0, "SET_CONFIG of 11 bytes"},
	{VHOST_USER_SET_BACKEND_REQ_FD, V1, 0, 0, "SET_BACKEND_REQ_FD without one"},
	{VHOST_USER_SET_BACKEND_REQ_FD, V1, 0, 2, "SET_BACKEND_REQ_FD with two"},
	{VHOST_USER_GPU_SET_SOCKET, V1, 0, 0, "GPU_SET_SOCKET without one"},
	{VHOST_USER_GPU_SET_SOCKET, V1, 0, 2, "GPU_SET_SOCKET with two"},
	{VHOST_USER_ADD_MEM_REG, V1, 40, 0, "ADD_MEM_REG without a descriptor"},
	{VHOST_USER_ADD_MEM_REG, V1, 40, 2, "ADD_MEM_REG with two descriptors"},
	{VHOST_USER_ADD_MEM_REG, V1, 32, 1, "ADD_MEM_REG of 32 bytes"},
	{VHOST_USER_REM_MEM_REG, V1, 39, 0, "REM_MEM_REG of 39 bytes"},
	{VHOST_USER_RESET_DEVICE, V1, 16, 0, "RESET_DEVICE with a payload"},
	{VHOST_USER_GET_SHMEM_CONFIG, V1, 16, 0, "GET_SHMEM_CONFIG with a payload"},
	{VHOST_USER_GET_SHMEM_CONFIG, V1, 0, 1, "GET_SHMEM_CONFIG with a descriptor"},
};

static struct frontend *connect_again(struct daemon *daemon)
{
	struct frontend *frontend = frontend_create(daemon_connect(daemon));

	frontend_handshake(frontend);
	return frontend;
}

static void test_violations(const void *data)
{
	struct daemon *daemon = daemon_start("null", NULL);
	uint32_t payload[100] = {1};
	unsigned int n_standing = 0;
	int fds[3];

	(void)data;
	for (size_t i = 0; i < G_N_ELEMENTS(fds); i++) {
		fds[i] = eventfd(0, EFD_CLOEXEC);
	}
	for (size_t i = 0; i < G_N_ELEMENTS(violations); i++) {
		const struct violation *violation = &violations[i];
		struct frontend *frontend = connect_again(daemon);
		struct vhost_user_header header = {violation->request, violation->flags,
						   violation->size};
		uint8_t bytes[sizeof(header) + sizeof(payload)];
		memcpy(bytes, &header, sizeof(header));
		memcpy(bytes + sizeof(header), payload, sizeof(payload));
		g_assert_cmpint(frontend_send_bytes(frontend, bytes,
						    sizeof(header) + violation->size, fds,
						    violation->n_fds),
				==, 0);
		if (!frontend_wait_closed(frontend, 5000)) {
			g_printerr("%s: the connection still stands\n", violation->what);
			n_standing += 1;
		}
		frontend_destroy(frontend);
	}
	g_assert_cmpuint(n_standing, ==, 0);
	struct frontend *frontend = connect_again(daemon);
	frontend_assert_alive(frontend);
	frontend_destroy(frontend);
	daemon_destroy(daemon);
}

/* Sizes that must not be allocated, and messages that never end. */
static void test_cut_off(const void *data)
{
	static const uint32_t sizes[] = {UINT32_MAX, 0x7fffffff, 1 << 20, 8};
	struct daemon *daemon = daemon_start("null", NULL);

	(void)data;
	for (size_t i = 0; i < G_N_ELEMENTS(sizes); i++) {
		struct frontend *frontend = connect_again(daemon);
		struct vhost_user_header header = {VHOST_USER_SET_FEATURES, VHOST_USER_VERSION,
						   sizes[i]};
		for (unsigned int cut = sizeof(header); cut > 0; cut -= 4) {
			frontend_send_bytes(frontend, &header, cut, NULL, 0);
			frontend_destroy(frontend);
			frontend = connect_again(daemon);
		}
		frontend_assert_alive(frontend);
		frontend_destroy(frontend);
	}
	struct frontend *frontend = connect_again(daemon);
	struct vhost_user_header header = {VHOST_USER_SET_FEATURES, VHOST_USER_VERSION, UINT32_MAX};
	frontend_send_bytes(frontend, &header, sizeof(header), NULL, 0);
	g_assert_true(frontend_wait_closed(frontend, 3000));
	frontend_destroy(frontend);
	daemon_destroy(daemon);
}

/* A front-end that sends and never reads: the daemon may drop it, and must serve the next one. */
static void test_never_reads(const void *data)
{
	struct daemon *daemon = daemon_start("null", NULL);
	struct frontend *frontend = connect_again(daemon);
	struct vhost_user_header header = {VHOST_USER_GET_FEATURES, VHOST_USER_VERSION, 0};

	(void)data;
	for (;;) {
		if (send(frontend->fd, &header, sizeof(header), MSG_NOSIGNAL | MSG_DONTWAIT) < 0) {
			break;
		}
	}
	frontend_destroy(frontend);
	frontend = connect_again(daemon);
	frontend_assert_alive(frontend);
	frontend_destroy(frontend);
	daemon_destroy(daemon);
}

int main(int argc, char **argv)
{
	suite_init(&argc, &argv);
	suite_add(test_handshake, NULL, "/proto/vhost/handshake");
	suite_add(test_owner, NULL, "/proto/vhost/owner");
	suite_add(test_unknown_features, NULL, "/proto/vhost/unknown_features");
	suite_add(test_no_reply_unasked, NULL, "/proto/vhost/no_reply_unasked");
	suite_add(test_get_config, NULL, "/proto/vhost/get_config");
	suite_add(test_set_config, NULL, "/proto/vhost/set_config");
	suite_add(test_unknown_request, NULL, "/proto/vhost/unknown_request");
	suite_add(test_set_log, NULL, "/proto/vhost/set_log");
	suite_add(test_stream, NULL, "/proto/vhost/stream");
	suite_add(test_backend_req_fd, NULL, "/proto/vhost/backend_req_fd");
	suite_add(test_gpu_set_socket, NULL, "/proto/vhost/gpu_set_socket");
	suite_add(test_reset_device, NULL, "/proto/vhost/reset_device");
	suite_add(test_violations, NULL, "/proto/vhost/violations");
	suite_add(test_cut_off, NULL, "/proto/vhost/cut_off");
	suite_add(test_never_reads, NULL, "/proto/vhost/never_reads");
	return suite_run();
}
