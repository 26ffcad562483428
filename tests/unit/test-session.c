/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* A front-end's requests one by one: what is answered, what is refused, what ends the session. */
#include <errno.h>
#include <fcntl.h>
#include <linux/virtio_config.h>
#include <linux/virtio_ring.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "unit.h"
#include "util/sock.h"
#include "vhost/session.h"

#define N_QUEUES 2
#define RAM_BYTES 65536u
#define RAM_GPA UINT64_C(0x100000)
#define RAM_UVA UINT64_C(0x7f0000000000)
#define DEVICE_FEATURES UINT64_C(0x6)
#define PAGE UINT64_C(65536) /* of any machine */
#define WINDOW_BYTES (16 * PAGE)
#define BIT(n) (UINT64_C(1) << (n))

struct fixture {
	struct loop loop;
	struct loop_timer pause; /* ends a run of the loop */
	struct virtq queues[N_QUEUES];
	struct session session;
	uint8_t config[16];
	int peer;
	int ram;
	GString *log; /* upcalls */
	int display_fd; /* of the last display_socket(), owned */
	uint64_t ask_again; /* a number to map with when the next answer comes; 0: none */
	bool is_closed, has_failed;
	unsigned int n_fds;
};

/* ---- upcalls ---- */

static void features_changed(void *data, uint64_t features)
{
	struct fixture *f = data;

	g_string_append_printf(f->log, "features %" G_GINT64_MODIFIER "x\n", features);
}

static void memory_changed(void *data, struct guestmem *mem)
{
	struct fixture *f = data;

	g_string_append_printf(f->log, "memory %zu\n", guestmem_n_regions(mem));
}

static void queue_changed(void *data, unsigned int index)
{
	struct fixture *f = data;

	g_assert_cmpuint(index, <, N_QUEUES);
	g_string_append_printf(f->log, "queue %u\n", index);
}

static void quiesce(void *data)
{
	struct fixture *f = data;

	g_string_append(f->log, "quiesce\n");
}

static void reset(void *data)
{
	struct fixture *f = data;

	g_string_append(f->log, "reset\n");
}

static void display_socket(void *data, int consume_fd)
{
	struct fixture *f = data;

	g_string_append(f->log, "display\n");
	if (f->display_fd >= 0) {
		close(f->display_fd);
	}
	f->display_fd = consume_fd;
}

static void mapped(void *data, uint64_t number, int error)
{
	struct fixture *f = data;

	g_string_append_printf(f->log, "mapped %" G_GUINT64_FORMAT " %s\n", number,
			       error == 0 ? "0" : g_strerror(-error));
	if (f->ask_again != 0) {
		g_assert_cmpint(session_map(&f->session, f->ask_again, 0, PAGE, f->ram, 0), ==, 0);
		f->ask_again = 0;
	}
}

static void closed(void *data, bool has_failed)
{
	struct fixture *f = data;

	g_assert_false(f->is_closed);
	f->is_closed = true;
	f->has_failed = has_failed;
	loop_quit(&f->loop);
}

static const struct session_listener listener = {
	.features_changed = features_changed,
	.memory_changed = memory_changed,
	.queue_changed = queue_changed,
	.quiesce = quiesce,
	.reset = reset,
	.display_socket = display_socket,
	.mapped = mapped,
	.closed = closed,
};

/* ---- the fixture ---- */

static void pause_loop(void *data)
{
	loop_quit(data);
}

/* Other than by default. */
static const struct window {
	uint64_t size_bytes;
	unsigned int feature_bit;
} no_window = { 0, 22 }, window_by_21 = { WINDOW_BYTES, 21 };

/* data: struct window, or NULL. */
static void setup(struct fixture *f, gconstpointer data)
{
	const struct window *window = data;
	struct session_options options;
	int pair[2];

	*f = (struct fixture){ .display_fd = -1, .n_fds = unit_count_fds() };
	for (size_t i = 0; i < sizeof(f->config); i++) {
		f->config[i] = (uint8_t)(0x10 + i);
	}
	f->log = g_string_new(NULL);
	f->pause = (struct loop_timer){ .expired = pause_loop, .data = &f->loop };
	g_assert_cmpint(loop_init(&f->loop, NULL, NULL), ==, 0);
	f->ram = unit_memfd(RAM_BYTES);
	for (unsigned int i = 0; i < N_QUEUES; i++) {
		virtq_init(&f->queues[i], i, NULL);
	}
	options = (struct session_options){
		.device_features = DEVICE_FEATURES,
		.config = f->config,
		.config_size_bytes = sizeof(f->config),
		.queues = f->queues,
		.n_queues = N_QUEUES,
		.window_bytes = window != NULL ? window->size_bytes : WINDOW_BYTES,
		.window_feature_bit = window != NULL ? window->feature_bit : 22,
	};
	unit_socketpair(pair);
	f->peer = pair[1];
	g_assert_cmpint(session_init(&f->session, &f->loop, pair[0], &options, &listener, f), ==,
			0);
}

static void teardown(struct fixture *f, gconstpointer data G_GNUC_UNUSED)
{
	session_finish(&f->session);
	for (unsigned int i = 0; i < N_QUEUES; i++) {
		virtq_finish(&f->queues[i]);
	}
	loop_timer_disarm(&f->loop, &f->pause);
	loop_finish(&f->loop);
	close(f->peer);
	close(f->ram);
	if (f->display_fd >= 0) {
		close(f->display_fd);
	}
	g_string_free(f->log, TRUE);
	/* Whatever was sent, nothing stays open. */
	g_assert_cmpuint(unit_count_fds(), ==, f->n_fds);
}

/* What is ready now. */
static void serve_once(struct fixture *f)
{
	f->loop.quit = false;
	/* Due at once: it runs after what is ready. */
	loop_timer_arm(&f->loop, &f->pause, 0);
	g_assert_cmpint(loop_run(&f->loop), ==, 0);
}

/* Let the session read all that has been sent. */
static void serve(struct fixture *f)
{
	f->loop.quit = f->is_closed;
	while (!f->is_closed && unit_is_readable(f->session.conn.fd)) {
		serve_once(f);
	}
}

static void send_with(struct fixture *f, uint32_t request, uint32_t flags, const void *payload,
		      size_t size, const int *fds, size_t n_fds)
{
	union {
		struct cmsghdr header;
		char bytes[CMSG_SPACE(8 * sizeof(int))];
	} control = { .bytes = { 0 } };
	struct vhost_user_header header = { request, VHOST_USER_VERSION | flags, (uint32_t)size };
	struct iovec iov[] = { { &header, sizeof(header) }, { (void *)(uintptr_t)payload, size } };
	struct msghdr message = { .msg_iov = iov, .msg_iovlen = size > 0 ? 2 : 1 };

	if (n_fds > 0) {
		message.msg_control = control.bytes;
		message.msg_controllen = CMSG_SPACE(n_fds * sizeof(int));
		control.header.cmsg_level = SOL_SOCKET;
		control.header.cmsg_type = SCM_RIGHTS;
		control.header.cmsg_len = CMSG_LEN(n_fds * sizeof(int));
		memcpy(CMSG_DATA(&control.header), fds, n_fds * sizeof(int));
	}
	g_assert_cmpint(sendmsg(f->peer, &message, 0), ==, (ssize_t)(sizeof(header) + size));
	serve(f);
}

static void send_plain(struct fixture *f, uint32_t request, const void *payload, size_t size)
{
	send_with(f, request, 0, payload, size, NULL, 0);
}

static void send_u64(struct fixture *f, uint32_t request, uint64_t value)
{
	send_plain(f, request, &value, sizeof(value));
}

/* The reply's payload; its size is returned. */
static uint32_t receive(struct fixture *f, uint32_t request, void *payload, size_t max)
{
	struct vhost_user_header header;

	unit_read(f->peer, &header, sizeof(header));
	g_assert_cmpuint(header.request, ==, request);
	g_assert_cmphex(header.flags, ==, VHOST_USER_VERSION | VHOST_USER_FLAG_REPLY);
	g_assert_cmpuint(header.size, <=, max);
	unit_read(f->peer, payload, header.size);
	return header.size;
}

static uint64_t receive_u64(struct fixture *f, uint32_t request)
{
	uint64_t value = 0;

	g_assert_cmpuint(receive(f, request, &value, sizeof(value)), ==, sizeof(value));
	return value;
}

static uint64_t get_u64(struct fixture *f, uint32_t request)
{
	send_plain(f, request, NULL, 0);
	return receive_u64(f, request);
}

/* As a request that wants to know: 0 or what went wrong, as an errno. */
static uint64_t acknowledge(struct fixture *f, uint32_t request, const void *payload, size_t size,
			    const int *fds, size_t n_fds)
{
	send_with(f, request, VHOST_USER_FLAG_NEED_REPLY, payload, size, fds, n_fds);
	g_assert_false(f->is_closed);
	uint64_t result = receive_u64(f, request);
	g_assert_false(unit_is_readable(f->peer));
	return result;
}

static void negotiate(struct fixture *f, uint64_t protocol_features)
{
	send_u64(f, VHOST_USER_SET_PROTOCOL_FEATURES, protocol_features);
	send_u64(f, VHOST_USER_SET_FEATURES,
		 BIT(VIRTIO_F_VERSION_1) | BIT(VHOST_USER_F_PROTOCOL_FEATURES) |
			 BIT(VIRTIO_RING_F_EVENT_IDX));
	g_string_truncate(f->log, 0);
}

#define ACKS BIT(VHOST_USER_PROTOCOL_F_REPLY_ACK)

static void assert_upcalls(struct fixture *f, const char *expected)
{
	g_assert_cmpstr(f->log->str, ==, expected);
	g_string_truncate(f->log, 0);
}

static struct vhost_user_region ram_region(void)
{
	return (struct vhost_user_region){ RAM_GPA, RAM_BYTES, RAM_UVA, 0 };
}

static void set_mem_table(struct fixture *f)
{
	const struct vhost_user_mem_table table = { .n_regions = 1, .regions = { ram_region() } };

	send_with(f, VHOST_USER_SET_MEM_TABLE, 0, &table, 8 + 32, &f->ram, 1);
}

static void set_state(struct fixture *f, uint32_t request, uint32_t index, uint32_t num)
{
	const struct vhost_user_vring_state state = { index, num };

	send_plain(f, request, &state, sizeof(state));
}

static struct vhost_user_vring_addr ring_address(uint32_t index)
{
	uint64_t at = RAM_UVA + index * 0x4000ull;

	return (struct vhost_user_vring_addr){
		.index = index,
		.desc_user_addr = at,
		.avail_user_addr = at + 0x1000,
		.used_user_addr = at + 0x2000,
	};
}

/* As QEMU starts a queue. */
static void start_queue(struct fixture *f, uint32_t index, uint32_t base)
{
	const struct vhost_user_vring_addr address = ring_address(index);
	const uint64_t value = index;
	int kick = unit_eventfd(), call = unit_eventfd();

	set_state(f, VHOST_USER_SET_VRING_NUM, index, 16);
	set_state(f, VHOST_USER_SET_VRING_BASE, index, base);
	send_plain(f, VHOST_USER_SET_VRING_ADDR, &address, sizeof(address));
	send_with(f, VHOST_USER_SET_VRING_KICK, 0, &value, sizeof(value), &kick, 1);
	send_with(f, VHOST_USER_SET_VRING_CALL, 0, &value, sizeof(value), &call, 1);
	set_state(f, VHOST_USER_SET_VRING_ENABLE, index, 1);
	close(kick);
	close(call);
	g_assert_false(f->is_closed);
}

static uint32_t stop_queue(struct fixture *f, uint32_t index)
{
	struct vhost_user_vring_state state = { index, 0 };

	send_plain(f, VHOST_USER_GET_VRING_BASE, &state, sizeof(state));
	g_assert_cmpuint(receive(f, VHOST_USER_GET_VRING_BASE, &state, sizeof(state)), ==,
			 sizeof(state));
	g_assert_cmpuint(state.index, ==, index);
	return state.num;
}

/* Still there: it answers. */
static void assert_serves(struct fixture *f)
{
	g_assert_false(f->is_closed);
	g_assert_cmpuint(get_u64(f, VHOST_USER_GET_QUEUE_NUM), ==, N_QUEUES);
}

/* ---- every request, well-formed or not ---- */

enum outcome {
	DONE,	 /* acknowledged with 0 */
	REFUSED, /* acknowledged with an errno */
	REPLY,	 /* answered by a reply of its own */
	ENDED,	 /* the connection is closed as after a violation */
};

struct probe {
	uint32_t request;
	uint32_t size;
	uint32_t n_fds;
	enum outcome outcome;
};

static const struct probe probes[] = {
	/* Those that carry nothing: QEMU sends some with a stale size of 8. */
	{ VHOST_USER_GET_FEATURES, 0, 0, REPLY },
	{ VHOST_USER_GET_FEATURES, 8, 0, REPLY },
	{ VHOST_USER_GET_FEATURES, 9, 0, ENDED },
	{ VHOST_USER_GET_FEATURES, 0, 1, ENDED },
	{ VHOST_USER_SET_FEATURES, 8, 0, DONE },
	{ VHOST_USER_SET_FEATURES, 0, 0, ENDED },
	{ VHOST_USER_SET_FEATURES, 7, 0, ENDED },
	{ VHOST_USER_SET_FEATURES, 9, 0, ENDED },
	{ VHOST_USER_SET_FEATURES, 8, 1, ENDED },
	{ VHOST_USER_SET_OWNER, 0, 0, DONE },
	{ VHOST_USER_SET_OWNER, 8, 0, DONE },
	{ VHOST_USER_SET_OWNER, 16, 0, ENDED },
	{ VHOST_USER_RESET_OWNER, 0, 0, DONE },
	{ VHOST_USER_SET_MEM_TABLE, 8, 0, DONE }, /* of no region */
	{ VHOST_USER_SET_MEM_TABLE, 0, 0, ENDED },
	{ VHOST_USER_SET_MEM_TABLE, 7, 0, ENDED },
	{ VHOST_USER_SET_MEM_TABLE, 8, 1, ENDED }, /* more descriptors than regions */
	{ VHOST_USER_SET_LOG_BASE, 16, 1, REFUSED },
	{ VHOST_USER_SET_LOG_BASE, 8, 0, REFUSED },
	{ VHOST_USER_SET_LOG_FD, 0, 1, REFUSED },
	{ VHOST_USER_SET_LOG_BASE, 24, 0, ENDED },
	{ VHOST_USER_SET_VRING_NUM, 8, 0, REFUSED }, /* size 0 */
	{ VHOST_USER_SET_VRING_NUM, 4, 0, ENDED },
	{ VHOST_USER_SET_VRING_NUM, 8, 1, ENDED },
	{ VHOST_USER_SET_VRING_ADDR, 40, 0, REFUSED }, /* no memory there */
	{ VHOST_USER_SET_VRING_ADDR, 32, 0, ENDED },
	{ VHOST_USER_SET_VRING_BASE, 8, 0, DONE },
	{ VHOST_USER_SET_VRING_BASE, 16, 0, ENDED },
	{ VHOST_USER_GET_VRING_BASE, 8, 0, REPLY },
	{ VHOST_USER_GET_VRING_BASE, 0, 0, ENDED },
	{ VHOST_USER_SET_VRING_KICK, 8, 1, DONE },
	{ VHOST_USER_SET_VRING_KICK, 8, 2, ENDED },
	{ VHOST_USER_SET_VRING_KICK, 8, 0, ENDED }, /* neither a descriptor nor NOFD */
	{ VHOST_USER_SET_VRING_KICK, 4, 1, ENDED },
	{ VHOST_USER_SET_VRING_CALL, 8, 1, DONE },
	{ VHOST_USER_SET_VRING_CALL, 8, 0, ENDED },
	{ VHOST_USER_SET_VRING_ERR, 8, 1, DONE },
	{ VHOST_USER_SET_VRING_ERR, 8, 0, ENDED },
	{ VHOST_USER_GET_PROTOCOL_FEATURES, 0, 0, REPLY },
	{ VHOST_USER_SET_PROTOCOL_FEATURES, 4, 0, ENDED },
	{ VHOST_USER_GET_QUEUE_NUM, 0, 0, REPLY },
	{ VHOST_USER_SET_VRING_ENABLE, 8, 0, DONE },
	{ VHOST_USER_SET_VRING_ENABLE, 0, 0, ENDED },
	{ VHOST_USER_SET_BACKEND_REQ_FD, 0, 1, DONE },
	{ VHOST_USER_SET_BACKEND_REQ_FD, 8, 1, DONE },
	{ VHOST_USER_SET_BACKEND_REQ_FD, 0, 0, ENDED },
	{ VHOST_USER_SET_BACKEND_REQ_FD, 0, 2, ENDED },
	{ VHOST_USER_GET_CONFIG, 12, 0, REPLY },
	{ VHOST_USER_GET_CONFIG, 11, 0, ENDED },
	{ VHOST_USER_GET_CONFIG, 12, 1, ENDED },
	{ VHOST_USER_SET_CONFIG, 12, 0, DONE },
	{ VHOST_USER_SET_CONFIG, 16, 0, REFUSED }, /* says 0 bytes, has 4 */
	{ VHOST_USER_GPU_SET_SOCKET, 0, 1, DONE },
	{ VHOST_USER_GPU_SET_SOCKET, 8, 1, DONE },
	{ VHOST_USER_GPU_SET_SOCKET, 0, 0, ENDED },
	{ VHOST_USER_GPU_SET_SOCKET, 0, 2, ENDED },
	{ VHOST_USER_RESET_DEVICE, 0, 0, DONE },
	{ VHOST_USER_RESET_DEVICE, 8, 0, DONE },
	{ VHOST_USER_RESET_DEVICE, 0, 1, ENDED },
	{ VHOST_USER_GET_MAX_MEM_SLOTS, 0, 0, REPLY },
	{ VHOST_USER_ADD_MEM_REG, 40, 1, REFUSED }, /* empty */
	{ VHOST_USER_ADD_MEM_REG, 40, 0, ENDED },
	{ VHOST_USER_ADD_MEM_REG, 32, 1, ENDED },
	{ VHOST_USER_REM_MEM_REG, 40, 0, REFUSED }, /* there is none like it */
	{ VHOST_USER_REM_MEM_REG, 40, 1, REFUSED },
	{ VHOST_USER_REM_MEM_REG, 8, 0, ENDED },
	{ VHOST_USER_GET_SHMEM_CONFIG, 0, 0, REPLY },
	{ VHOST_USER_GET_SHMEM_CONFIG, 8, 0, REPLY },
	{ VHOST_USER_GET_SHMEM_CONFIG, 9, 0, ENDED },
	{ VHOST_USER_GET_SHMEM_CONFIG, 0, 1, ENDED },
	/* Unknown ones are no reason to leave. */
	{ 0, 0, 0, REFUSED },
	{ 19, 0, 0, REFUSED },
	{ 22, 8, 1, REFUSED },
	{ 35, 0, 0, REFUSED },
	{ 39, 8, 0, REFUSED },
	{ 43, 0, 0, REFUSED },
	{ 45, 0, 0, REFUSED },
	{ 1000, 200, 8, REFUSED },
	{ UINT32_MAX, 0, 0, REFUSED },
};

static void test_probe(gconstpointer data)
{
	static const uint8_t zero[VHOST_USER_CONFIG_HEADER_SIZE + VHOST_USER_MAX_CONFIG_SIZE];
	const struct probe *probe = data;
	struct fixture fixture, *f = &fixture;
	int fds[8];

	setup(f, NULL);
	negotiate(f, ACKS);
	for (uint32_t i = 0; i < probe->n_fds; i++) {
		fds[i] = unit_eventfd();
	}
	send_with(f, probe->request, VHOST_USER_FLAG_NEED_REPLY, zero, probe->size, fds,
		  probe->n_fds);
	for (uint32_t i = 0; i < probe->n_fds; i++) {
		close(fds[i]);
	}
	if (probe->outcome == ENDED) {
		g_assert_true(f->is_closed);
		g_assert_true(f->has_failed);
		g_assert_false(unit_is_readable(f->peer));
	} else if (probe->outcome == REPLY) {
		struct vhost_user_header header;
		uint8_t payload[4096];

		unit_read(f->peer, &header, sizeof(header));
		g_assert_cmpuint(header.request, ==, probe->request);
		g_assert_cmpuint(header.size, >=, 8);
		unit_read(f->peer, payload, header.size);
		/* NEED_REPLY makes no second answer of it. */
		g_assert_false(unit_is_readable(f->peer));
		assert_serves(f);
	} else {
		uint64_t result = receive_u64(f, probe->request);

		g_assert_cmpint(result == 0, ==, probe->outcome == DONE);
		g_assert_cmpuint(result, <, 4096);
		assert_serves(f);
	}
	teardown(f, NULL);
}

/* ---- features ---- */

static void test_features_offered(struct fixture *f, gconstpointer data G_GNUC_UNUSED)
{
	g_assert_cmphex(get_u64(f, VHOST_USER_GET_FEATURES), ==,
			DEVICE_FEATURES | BIT(VIRTIO_F_VERSION_1) |
				BIT(VIRTIO_RING_F_INDIRECT_DESC) | BIT(VIRTIO_RING_F_EVENT_IDX) |
				BIT(VHOST_USER_F_PROTOCOL_FEATURES));
	/* MQ, REPLY_ACK, BACKEND_REQ, CONFIG, BACKEND_SEND_FD, RESET_DEVICE, MEM_SLOTS; and
	 * with a window SHARED_OBJECT and SHMEM_MAP. */
	g_assert_cmphex(get_u64(f, VHOST_USER_GET_PROTOCOL_FEATURES), ==,
			BIT(0) | BIT(3) | BIT(5) | BIT(9) | BIT(10) | BIT(13) | BIT(15) | BIT(18) |
				BIT(22));
	g_assert_cmpuint(get_u64(f, VHOST_USER_GET_QUEUE_NUM), ==, N_QUEUES);
	g_assert_cmpuint(get_u64(f, VHOST_USER_GET_MAX_MEM_SLOTS), ==, GUESTMEM_MAX_REGIONS);
	assert_upcalls(f, "");
}

static void test_features_acknowledged(struct fixture *f, gconstpointer data G_GNUC_UNUSED)
{
	send_u64(f, VHOST_USER_SET_FEATURES, DEVICE_FEATURES | BIT(VHOST_USER_F_PROTOCOL_FEATURES));
	assert_upcalls(f, "features 40000006\nqueue 0\nqueue 1\n");
	g_assert_false(f->queues[0].is_enabled);
	/* Bits that were not offered are no violation, and nobody is told of them. */
	send_u64(f, VHOST_USER_SET_FEATURES, UINT64_MAX);
	assert_upcalls(f, "features 170000006\nqueue 0\nqueue 1\n");
	assert_serves(f);
	g_assert_true(f->queues[1].has_event_idx);
	g_assert_true(f->queues[1].has_indirect);
	/* Without protocol features no message will enable the rings. */
	send_u64(f, VHOST_USER_SET_FEATURES, BIT(VIRTIO_F_VERSION_1));
	g_assert_true(f->queues[0].is_enabled);
	g_assert_false(f->queues[0].has_event_idx);
	g_assert_false(f->queues[0].has_indirect);
}

static void test_acks_only_if_negotiated(struct fixture *f, gconstpointer data G_GNUC_UNUSED)
{
	send_with(f, VHOST_USER_SET_OWNER, VHOST_USER_FLAG_NEED_REPLY, NULL, 0, NULL, 0);
	g_assert_false(unit_is_readable(f->peer));
	negotiate(f, ACKS);
	send_with(f, VHOST_USER_SET_OWNER, 0, NULL, 0, NULL, 0);
	g_assert_false(unit_is_readable(f->peer));
	g_assert_cmpuint(acknowledge(f, VHOST_USER_SET_OWNER, NULL, 0, NULL, 0), ==, 0);
}

/* ---- config space ---- */

static void test_config(struct fixture *f, gconstpointer data G_GNUC_UNUSED)
{
	static const struct {
		uint32_t offset, size;
		bool is_fine;
	} cases[] = {
		{ 0, 16, true },  { 0, 20, true },    { 0, 4, true },	 { 8, 4, true },
		{ 12, 8, true },  { 16, 4, true },    { 200, 56, true }, { 0, 256, true },
		{ 256, 0, true }, { 0, 0, true },     { 1, 256, false }, { 257, 0, false },
		{ 256, 1, false }, { UINT32_MAX, 1, false },
	};
	struct vhost_user_config config = { 0 };

	for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
		size_t total = VHOST_USER_CONFIG_HEADER_SIZE + cases[i].size;

		config = (struct vhost_user_config){ cases[i].offset, cases[i].size, 7, { 0 } };
		memset(config.bytes, 0xee, sizeof(config.bytes));
		send_plain(f, VHOST_USER_GET_CONFIG, &config, total);
		uint32_t size = receive(f, VHOST_USER_GET_CONFIG, &config, sizeof(config));
		if (!cases[i].is_fine) {
			g_assert_cmpuint(size, ==, 0); /* "error", to a front-end */
			continue;
		}
		g_assert_cmpuint(size, ==, total);
		g_assert_cmpuint(config.offset, ==, cases[i].offset);
		g_assert_cmpuint(config.size, ==, cases[i].size);
		g_assert_cmpuint(config.flags, ==, 7);
		for (uint32_t k = 0; k < cases[i].size; k++) {
			uint32_t at = cases[i].offset + k;

			g_assert_cmphex(config.bytes[k], ==,
					at < sizeof(f->config) ? f->config[at] : 0);
		}
	}
	/* A size that is not the message's. */
	config = (struct vhost_user_config){ 0, 16, 0, { 0 } };
	send_plain(f, VHOST_USER_GET_CONFIG, &config, VHOST_USER_CONFIG_HEADER_SIZE + 8);
	g_assert_cmpuint(receive(f, VHOST_USER_GET_CONFIG, &config, sizeof(config)), ==, 0);
	assert_serves(f);
}

/* ---- memory ---- */

static void test_mem_table(struct fixture *f, gconstpointer data G_GNUC_UNUSED)
{
	struct vhost_user_mem_table table = {
		.n_regions = 2,
		.regions = { ram_region(), { RAM_GPA * 2, RAM_BYTES, RAM_UVA * 2, 0 } },
	};
	const int fds[] = { f->ram, f->ram };

	negotiate(f, ACKS);
	g_assert_cmpuint(acknowledge(f, VHOST_USER_SET_MEM_TABLE, &table, 8 + 64, fds, 2), ==, 0);
	g_assert_nonnull(strstr(f->log->str, "memory 2\n"));
	g_assert_nonnull(strstr(f->log->str, "quiesce\n"));
	g_string_truncate(f->log, 0);
	/* One bad region: the old table stays. */
	table.regions[1].guest_phys_addr = RAM_GPA + 1;
	g_assert_cmpuint(acknowledge(f, VHOST_USER_SET_MEM_TABLE, &table, 8 + 64, fds, 2), ==,
			 EINVAL);
	table.regions[1] = (struct vhost_user_region){ RAM_GPA * 2, RAM_BYTES + 1, RAM_UVA * 2, 0 };
	g_assert_cmpuint(acknowledge(f, VHOST_USER_SET_MEM_TABLE, &table, 8 + 64, fds, 2), ==,
			 EFBIG);
	assert_upcalls(f, "");
	g_assert_cmpuint(guestmem_n_regions(f->session.mem), ==, 2);
}

static void test_mem_table_that_lies(gconstpointer data)
{
	/* Regions that it says, bytes that it has, descriptors that come along. */
	static const struct {
		uint32_t n_regions, size;
		size_t n_fds;
	} lies[] = { { 2, 8 + 32, 2 }, { 1, 8 + 32, 0 }, { 1, 8 + 32, 2 }, { 9, 8 + 256, 8 },
		     { UINT32_MAX, 8 + 256, 8 }, { 1, 8 + 31, 1 } };
	const size_t i = GPOINTER_TO_SIZE(data);
	struct vhost_user_mem_table table = { .n_regions = lies[i].n_regions };
	struct fixture fixture, *f = &fixture;
	int fds[8];

	setup(f, NULL);
	for (size_t k = 0; k < 8; k++) {
		fds[k] = f->ram;
		table.regions[k] = ram_region();
		table.regions[k].guest_phys_addr <<= k;
		table.regions[k].userspace_addr <<= k;
	}
	send_with(f, VHOST_USER_SET_MEM_TABLE, 0, &table, lies[i].size, fds, lies[i].n_fds);
	g_assert_true(f->is_closed && f->has_failed);
	assert_upcalls(f, "");
	teardown(f, NULL);
}

static void test_mem_regions_one_by_one(struct fixture *f, gconstpointer data G_GNUC_UNUSED)
{
	struct vhost_user_mem_reg region = { 0, ram_region() };

	negotiate(f, ACKS);
	g_assert_cmpuint(
		acknowledge(f, VHOST_USER_ADD_MEM_REG, &region, sizeof(region), &f->ram, 1), ==, 0);
	g_assert_nonnull(strstr(f->log->str, "memory 1\n"));
	g_assert_cmpuint(
		acknowledge(f, VHOST_USER_ADD_MEM_REG, &region, sizeof(region), &f->ram, 1), ==,
		EINVAL);
	g_string_truncate(f->log, 0);
	region.region.memory_size--;
	g_assert_cmpuint(
		acknowledge(f, VHOST_USER_REM_MEM_REG, &region, sizeof(region), NULL, 0), ==,
		ENOENT);
	assert_upcalls(f, "");
	region.region.memory_size++;
	/* Some front-ends send the descriptor along: it is closed (teardown counts). */
	g_assert_cmpuint(
		acknowledge(f, VHOST_USER_REM_MEM_REG, &region, sizeof(region), &f->ram, 1), ==, 0);
	/* Memory that went may still be in use for a moment. */
	g_assert_nonnull(strstr(f->log->str, "memory 0\n"));
	g_assert_true(g_str_has_suffix(f->log->str, "quiesce\n"));
}

/* ---- rings ---- */

static void test_queue_life(struct fixture *f, gconstpointer data G_GNUC_UNUSED)
{
	negotiate(f, ACKS);
	set_mem_table(f);
	g_string_truncate(f->log, 0);
	start_queue(f, 1, 5);
	/* size, address, base, call, kick, enable: each is the device's to know */
	assert_upcalls(f, "queue 1\nqueue 1\nqueue 1\nqueue 1\nqueue 1\nqueue 1\n");
	uint32_t serial;
	int kick = virtq_kick_fd_dup(&f->queues[1], &serial);
	g_assert_cmpint(kick, >=, 0);
	close(kick);
	g_assert_cmpuint(stop_queue(f, 1), ==, 5);
	assert_upcalls(f, "queue 1\nquiesce\n");
	g_assert_cmpint(virtq_kick_fd_dup(&f->queues[1], &serial), ==, -1);
	set_state(f, VHOST_USER_SET_VRING_ENABLE, 1, 0);
	assert_upcalls(f, "queue 1\nquiesce\n");
}

static void test_queue_refusals(struct fixture *f, gconstpointer data G_GNUC_UNUSED)
{
	static const uint32_t with_state[] = { VHOST_USER_SET_VRING_NUM, VHOST_USER_SET_VRING_BASE,
					       VHOST_USER_SET_VRING_ENABLE };
	static const uint32_t with_fd[] = { VHOST_USER_SET_VRING_KICK, VHOST_USER_SET_VRING_CALL,
					    VHOST_USER_SET_VRING_ERR };
	struct vhost_user_vring_state state = { N_QUEUES, 16 };
	struct vhost_user_vring_addr address = ring_address(0);
	uint64_t value;

	negotiate(f, ACKS);
	set_mem_table(f);
	for (size_t i = 0; i < G_N_ELEMENTS(with_state); i++) {
		g_assert_cmpuint(
			acknowledge(f, with_state[i], &state, sizeof(state), NULL, 0), ==, EINVAL);
	}
	address.index = UINT32_MAX;
	g_assert_cmpuint(acknowledge(f, VHOST_USER_SET_VRING_ADDR, &address, sizeof(address), NULL,
				     0),
			 ==, EINVAL);
	for (size_t i = 0; i < G_N_ELEMENTS(with_fd); i++) {
		int fd = unit_eventfd();

		value = 200;
		g_assert_cmpuint(acknowledge(f, with_fd[i], &value, sizeof(value), &fd, 1), ==,
				 EINVAL);
		close(fd);
	}
	state = (struct vhost_user_vring_state){ 0, 17 };
	g_assert_cmpuint(
		acknowledge(f, VHOST_USER_SET_VRING_NUM, &state, sizeof(state), NULL, 0), ==,
		EINVAL);
	state.num = 65536;
	g_assert_cmpuint(
		acknowledge(f, VHOST_USER_SET_VRING_BASE, &state, sizeof(state), NULL, 0), ==,
		EINVAL);
	/* Polling instead of a kick is not for us; no call and no error are fine. */
	value = VHOST_USER_VRING_NOFD;
	g_assert_cmpuint(
		acknowledge(f, VHOST_USER_SET_VRING_KICK, &value, sizeof(value), NULL, 0), ==,
		ENOTSUP);
	g_assert_cmpuint(
		acknowledge(f, VHOST_USER_SET_VRING_CALL, &value, sizeof(value), NULL, 0), ==, 0);
	g_assert_cmpuint(
		acknowledge(f, VHOST_USER_SET_VRING_ERR, &value, sizeof(value), NULL, 0), ==, 0);
	start_queue(f, 0, 0);
	g_assert_cmpuint(stop_queue(f, 0), ==, 0);
}

/* An interrupt that can't be delivered is lost, and holds up nobody. */
static void test_signals_do_not_wait(struct fixture *f, gconstpointer data G_GNUC_UNUSED)
{
	static const uint32_t requests[] = { VHOST_USER_SET_VRING_CALL, VHOST_USER_SET_VRING_ERR };
	const uint64_t value = 0;

	negotiate(f, ACKS);
	set_mem_table(f);
	start_queue(f, 0, 0);
	for (size_t i = 0; i < G_N_ELEMENTS(requests); i++) {
		int full = eventfd(0, EFD_CLOEXEC);

		g_assert_no_errno(full);
		g_assert_no_errno(eventfd_write(full, UINT64_MAX - 1));
		g_assert_cmpuint(acknowledge(f, requests[i], &value, sizeof(value), &full, 1), ==,
				 0);
		/* How it is read is the front-end's affair. */
		g_assert_cmpint(fcntl(full, F_GETFL) & O_NONBLOCK, ==, 0);
		close(full);
	}
}

static void test_base_of_no_queue(struct fixture *f, gconstpointer data G_GNUC_UNUSED)
{
	/* It must be answered and there is no answer. */
	set_state(f, VHOST_USER_GET_VRING_BASE, N_QUEUES, 0);
	g_assert_true(f->is_closed && f->has_failed);
}

static void test_nofd_with_a_descriptor(struct fixture *f, gconstpointer data G_GNUC_UNUSED)
{
	const uint64_t value = VHOST_USER_VRING_NOFD;
	int fd = unit_eventfd();

	send_with(f, VHOST_USER_SET_VRING_CALL, 0, &value, sizeof(value), &fd, 1);
	close(fd);
	g_assert_true(f->is_closed && f->has_failed);
}

/* ---- reset and pause ---- */

static unsigned int count(const struct fixture *f, const char *upcall)
{
	unsigned int n = 0;

	const char *at = f->log->str;

	while ((at = strstr(at, upcall)) != NULL) {
		n++;
		at++;
	}
	return n;
}

static void test_reset_device(struct fixture *f, gconstpointer data G_GNUC_UNUSED)
{
	negotiate(f, ACKS | BIT(VHOST_USER_PROTOCOL_F_RESET_DEVICE));
	set_mem_table(f);
	start_queue(f, 0, 7);
	g_string_truncate(f->log, 0);
	send_plain(f, VHOST_USER_RESET_DEVICE, NULL, 0);
	assert_upcalls(f, "quiesce\nreset\nqueue 0\nqueue 1\n");
	/* The rings are as new. */
	g_assert_cmpuint(stop_queue(f, 0), ==, 0);
	g_string_truncate(f->log, 0);
	start_queue(f, 0, 0);
	g_assert_cmpuint(count(f, "reset"), ==, 0);
	/* Also before anything ran, as QEMU 11 does. */
	send_plain(f, VHOST_USER_RESET_DEVICE, NULL, 0);
	send_plain(f, VHOST_USER_RESET_DEVICE, NULL, 0);
	assert_serves(f);
}

/* A front-end that never says RESET_DEVICE. */
static void test_reset_without_a_word(struct fixture *f, gconstpointer data G_GNUC_UNUSED)
{
	negotiate(f, ACKS);
	set_mem_table(f);
	start_queue(f, 0, 0);
	g_assert_cmpuint(count(f, "reset"), ==, 0); /* the first start is none */
	g_assert_cmpuint(stop_queue(f, 0), ==, 0);
	start_queue(f, 0, 0);
	g_assert_cmpuint(count(f, "reset"), ==, 0); /* stopped where it began */

	stop_queue(f, 0);
	start_queue(f, 0, 9);
	g_assert_cmpuint(stop_queue(f, 0), ==, 9);
	start_queue(f, 0, 9);
	g_assert_cmpuint(count(f, "reset"), ==, 0); /* a pause */
	g_assert_cmpuint(stop_queue(f, 0), ==, 9);
	start_queue(f, 0, 0);
	g_assert_cmpuint(count(f, "reset"), ==, 1); /* a driver that begins anew */
	g_assert_cmpuint(stop_queue(f, 0), ==, 0);
	start_queue(f, 0, 0);
	g_assert_cmpuint(count(f, "reset"), ==, 1);
}

static void test_pause_and_resume(struct fixture *f, gconstpointer data G_GNUC_UNUSED)
{
	negotiate(f, ACKS | BIT(VHOST_USER_PROTOCOL_F_RESET_DEVICE));
	set_mem_table(f);
	start_queue(f, 0, 100);
	start_queue(f, 1, 3);
	for (int i = 0; i < 3; i++) {
		g_assert_cmpuint(stop_queue(f, 0), ==, 100);
		g_assert_cmpuint(stop_queue(f, 1), ==, 3);
		start_queue(f, 0, 100);
		start_queue(f, 1, 3);
	}
	g_assert_cmpuint(count(f, "reset"), ==, 0);
}

static void test_reset_owner_stops(struct fixture *f, gconstpointer data G_GNUC_UNUSED)
{
	uint32_t serial;

	negotiate(f, 0);
	set_mem_table(f);
	start_queue(f, 0, 0);
	g_string_truncate(f->log, 0);
	send_plain(f, VHOST_USER_RESET_OWNER, NULL, 0);
	assert_upcalls(f, "quiesce\nqueue 0\nqueue 1\n");
	g_assert_cmpint(virtq_kick_fd_dup(&f->queues[0], &serial), ==, -1);
}

/* ---- channels ---- */

static void test_display_sockets(struct fixture *f, gconstpointer data G_GNUC_UNUSED)
{
	for (int i = 0; i < 3; i++) {
		int pair[2];

		unit_socketpair(pair);
		send_with(f, VHOST_USER_GPU_SET_SOCKET, 0, NULL, 0, &pair[0], 1);
		assert_upcalls(f, "display\n");
		g_assert_true(unit_is_same_file(f->display_fd, pair[0]));
		close(pair[0]);
		close(pair[1]);
	}
	assert_serves(f);
}

static void test_backend_channel_is_kept(struct fixture *f, gconstpointer data G_GNUC_UNUSED)
{
	int first[2], second[2];

	unit_socketpair(first);
	unit_socketpair(second);
	send_with(f, VHOST_USER_SET_BACKEND_REQ_FD, 0, NULL, 0, &first[0], 1);
	close(first[0]);
	g_assert_false(unit_is_readable(first[1]));
	send_with(f, VHOST_USER_SET_BACKEND_REQ_FD, 0, NULL, 0, &second[0], 1);
	close(second[0]);
	unit_assert_hung_up(first[1]); /* replaced */
	g_assert_false(unit_is_readable(second[1]));
	close(first[1]);
	close(second[1]);
}

/* ---- the host-visible window ---- */

#define MAPPING                                                                                    \
	(ACKS | BIT(VHOST_USER_PROTOCOL_F_BACKEND_REQ) |                                           \
	 BIT(VHOST_USER_PROTOCOL_F_BACKEND_SEND_FD) | BIT(VHOST_USER_PROTOCOL_F_SHMEM_MAP) |       \
	 BIT(VHOST_USER_PROTOCOL_F_RESET_DEVICE))

/* In all regions there is nothing but the window, or nothing. */
static void assert_shmem_config(struct fixture *f, uint64_t window_bytes)
{
	struct vhost_user_shmem_config config;

	send_plain(f, VHOST_USER_GET_SHMEM_CONFIG, NULL, 0);
	g_assert_cmpuint(receive(f, VHOST_USER_GET_SHMEM_CONFIG, &config, sizeof(config)), ==,
			 2056);
	g_assert_cmpuint(config.n_regions, ==, window_bytes > 0);
	g_assert_cmpuint(config.padding, ==, 0);
	for (unsigned int i = 0; i < G_N_ELEMENTS(config.memory_sizes); i++) {
		g_assert_cmpuint(config.memory_sizes[i], ==, i == 1 ? window_bytes : 0);
	}
}

static void test_window_offered(struct fixture *f, gconstpointer data G_GNUC_UNUSED)
{
	assert_shmem_config(f, 0); /* it has not said that it can map */
	negotiate(f, MAPPING & ~BIT(22));
	assert_shmem_config(f, 0);
	negotiate(f, BIT(22));
	assert_shmem_config(f, WINDOW_BYTES);
	/* That one has another meaning for QEMU. */
	negotiate(f, BIT(21));
	assert_shmem_config(f, 0);
}

static void test_window_by_21(struct fixture *f, gconstpointer data G_GNUC_UNUSED)
{
	uint64_t features = get_u64(f, VHOST_USER_GET_PROTOCOL_FEATURES);

	g_assert_cmphex(features & (BIT(21) | BIT(22)), ==, BIT(21));
	negotiate(f, BIT(21));
	assert_shmem_config(f, WINDOW_BYTES);
	negotiate(f, BIT(22));
	assert_shmem_config(f, 0);
}

static void test_no_window(struct fixture *f, gconstpointer data G_GNUC_UNUSED)
{
	uint64_t features = get_u64(f, VHOST_USER_GET_PROTOCOL_FEATURES);

	g_assert_cmphex(features & (BIT(18) | BIT(21) | BIT(22)), ==, 0);
	negotiate(f, UINT64_MAX);
	assert_shmem_config(f, 0);
	g_assert_cmpint(session_map(&f->session, 1, 0, PAGE, f->ram, 0), ==, -ENOTSUP);
}

/* Returns our end, which is the front-end's. */
static int connect_channel(struct fixture *f)
{
	int pair[2];

	unit_socketpair(pair);
	send_with(f, VHOST_USER_SET_BACKEND_REQ_FD, 0, NULL, 0, &pair[0], 1);
	close(pair[0]);
	return pair[1];
}

static void take_question(int channel, uint32_t request, uint64_t offset_bytes)
{
	struct vhost_user_header header;
	struct vhost_user_mmap range;

	unit_read(channel, &header, sizeof(header));
	g_assert_cmpuint(header.request, ==, request);
	g_assert_cmpuint(header.size, ==, sizeof(range));
	unit_read(channel, &range, sizeof(range));
	g_assert_cmpuint(range.shmid, ==, 1);
	g_assert_cmpuint(range.shm_offset, ==, offset_bytes);
	g_assert_cmpuint(range.len, ==, PAGE);
	g_assert_cmpuint(range.fd_offset, ==, 0);
	g_assert_cmphex(range.flags, ==, request == VHOST_USER_BACKEND_SHMEM_MAP);
}

static void answer(int channel, uint32_t request, uint64_t result)
{
	const struct vhost_user_header header = {
		request, VHOST_USER_VERSION | VHOST_USER_FLAG_REPLY, sizeof(result)
	};

	unit_write(channel, &header, sizeof(header));
	unit_write(channel, &result, sizeof(result));
}

#define MAP VHOST_USER_BACKEND_SHMEM_MAP
#define UNMAP VHOST_USER_BACKEND_SHMEM_UNMAP

static void test_map_and_unmap(struct fixture *f, gconstpointer data G_GNUC_UNUSED)
{
	negotiate(f, MAPPING);
	int channel = connect_channel(f);

	g_assert_cmpint(session_map(&f->session, 1, 0, PAGE, f->ram, 0), ==, 0);
	g_assert_cmpint(session_map(&f->session, 2, WINDOW_BYTES - PAGE, PAGE, f->ram, 0), ==, 0);
	g_assert_cmpint(session_unmap(&f->session, 3, 0, PAGE), ==, 0);
	take_question(channel, MAP, 0);
	take_question(channel, MAP, WINDOW_BYTES - PAGE);
	take_question(channel, UNMAP, 0);
	answer(channel, MAP, 0);
	answer(channel, MAP, 1);
	answer(channel, UNMAP, 0);
	serve_once(f);
	assert_upcalls(f, "mapped 1 0\nmapped 2 Remote I/O error\nmapped 3 0\n");
	close(channel);
}

/* It said yes, and that it is visible is told when it has answered again. */
static void test_map_is_seen(struct fixture *f, gconstpointer data G_GNUC_UNUSED)
{
	static const uint8_t nobodys[16];
	struct vhost_user_header header;
	uint8_t uuid[16];

	negotiate(f, MAPPING | BIT(VHOST_USER_PROTOCOL_F_SHARED_OBJECT));
	int channel = connect_channel(f);
	g_assert_cmpint(session_map(&f->session, 1, 0, PAGE, f->ram, 0), ==, 0);
	take_question(channel, MAP, 0);
	unit_read(channel, &header, sizeof(header));
	g_assert_cmpuint(header.request, ==, VHOST_USER_BACKEND_SHARED_OBJECT_REMOVE);
	g_assert_cmpuint(header.size, ==, sizeof(uuid));
	unit_read(channel, uuid, sizeof(uuid));
	unit_assert_bytes(uuid, nobodys, sizeof(uuid));
	answer(channel, MAP, 0);
	serve_once(f);
	assert_upcalls(f, "");
	answer(channel, VHOST_USER_BACKEND_SHARED_OBJECT_REMOVE, 0);
	serve_once(f);
	assert_upcalls(f, "mapped 1 0\n");
	close(channel);
}

/* Who has that feature may be asked for an object; we have none. */
static void test_no_shared_object(struct fixture *f, gconstpointer data G_GNUC_UNUSED)
{
	uint8_t uuid[16] = { 1, 2, 3 }, found[16];

	send_plain(f, VHOST_USER_GET_SHARED_OBJECT, uuid, sizeof(uuid));
	g_assert_cmpuint(receive(f, VHOST_USER_GET_SHARED_OBJECT, found, sizeof(found)), ==,
			 sizeof(uuid));
	unit_assert_bytes(found, uuid, sizeof(uuid));
}

static void test_map_needs_all_of_it(struct fixture *f, gconstpointer data G_GNUC_UNUSED)
{
	static const unsigned int bits[] = { 3, 5, 10, 22 };

	negotiate(f, MAPPING);
	g_assert_cmpint(session_map(&f->session, 1, 0, PAGE, f->ram, 0), ==, -ENOTSUP);
	g_assert_cmpint(session_unmap(&f->session, 1, 0, PAGE), ==, -ENOTSUP);
	int channel = connect_channel(f);
	for (size_t i = 0; i < G_N_ELEMENTS(bits); i++) {
		negotiate(f, MAPPING & ~BIT(bits[i]));
		g_assert_cmpint(session_map(&f->session, 1, 0, PAGE, f->ram, 0), ==, -ENOTSUP);
		g_assert_cmpint(session_unmap(&f->session, 1, 0, PAGE), ==, -ENOTSUP);
	}
	g_assert_false(unit_is_readable(channel));
	negotiate(f, MAPPING);
	g_assert_cmpint(session_map(&f->session, 1, 0, PAGE, f->ram, 0), ==, 0);
	close(channel);
}

static void test_map_outside(struct fixture *f, gconstpointer data G_GNUC_UNUSED)
{
	static const struct {
		uint64_t offset_bytes, size_bytes;
	} ranges[] = {
		{ 0, 0 },
		{ PAGE, 0 },
		{ 0, 1 },
		{ 1, PAGE },
		{ 2048, PAGE },
		{ 0, PAGE + 1 },
		{ 0, WINDOW_BYTES + PAGE },
		{ PAGE, WINDOW_BYTES },
		{ WINDOW_BYTES, PAGE },
		{ WINDOW_BYTES + PAGE, PAGE },
		{ UINT64_MAX - PAGE + 1, PAGE },
		{ UINT64_MAX - PAGE + 1, 2 * PAGE },
		{ PAGE, UINT64_MAX - PAGE + 1 },
	};

	negotiate(f, MAPPING);
	int channel = connect_channel(f);
	for (size_t i = 0; i < G_N_ELEMENTS(ranges); i++) {
		g_assert_cmpint(session_map(&f->session, i, ranges[i].offset_bytes,
					    ranges[i].size_bytes, f->ram, 0),
				==, -EINVAL);
		g_assert_cmpint(session_unmap(&f->session, i, ranges[i].offset_bytes,
					      ranges[i].size_bytes),
				==, -EINVAL);
	}
	g_assert_false(unit_is_readable(channel));
	close(channel);
}

static void test_reset_forgets(struct fixture *f, gconstpointer data G_GNUC_UNUSED)
{
	negotiate(f, MAPPING);
	int channel = connect_channel(f);

	g_assert_cmpint(session_map(&f->session, 1, 0, PAGE, f->ram, 0), ==, 0);
	send_plain(f, VHOST_USER_RESET_DEVICE, NULL, 0);
	g_string_truncate(f->log, 0);
	g_assert_cmpint(session_map(&f->session, 2, PAGE, PAGE, f->ram, 0), ==, 0);
	answer(channel, MAP, 0);
	serve_once(f);
	assert_upcalls(f, "");
	answer(channel, MAP, 1);
	serve_once(f);
	assert_upcalls(f, "mapped 2 Remote I/O error\n");
	close(channel);
}

static void test_reset_without_a_word_forgets(struct fixture *f, gconstpointer data G_GNUC_UNUSED)
{
	negotiate(f, MAPPING);
	set_mem_table(f);
	int channel = connect_channel(f);

	start_queue(f, 0, 9);
	stop_queue(f, 0);
	g_assert_cmpint(session_map(&f->session, 1, 0, PAGE, f->ram, 0), ==, 0);
	start_queue(f, 0, 0);
	g_assert_cmpuint(count(f, "reset"), ==, 1);
	g_string_truncate(f->log, 0);
	answer(channel, MAP, 0);
	serve_once(f);
	assert_upcalls(f, "");
	close(channel);
}

/*
 * The front-end resets the device, and then finds what we had asked before. It says both before
 * we look, and the channel is the first to be ready.
 */
static void test_reset_before_an_answer(struct fixture *f, gconstpointer data G_GNUC_UNUSED)
{
	const struct vhost_user_header reset_device = { VHOST_USER_RESET_DEVICE, VHOST_USER_VERSION,
							0 };

	negotiate(f, MAPPING);
	int channel = connect_channel(f);
	g_assert_cmpint(session_map(&f->session, 1, 0, PAGE, f->ram, 0), ==, 0);
	g_assert_cmpint(session_map(&f->session, 2, PAGE, PAGE, f->ram, 0), ==, 0);
	/* Seen and not all read, it stays at the head of what epoll(7) has to say. */
	unit_write(channel, "\x09\0\0\0\x05\0\0\0\x08\0\0\0", 12);
	serve_once(f);
	unit_write(channel, "\0\0\0\0", 4);
	unit_write(f->peer, &reset_device, sizeof(reset_device));
	unit_write(channel, "\0\0\0\0", 4);
	answer(channel, MAP, 0);
	while (unit_is_readable(f->session.conn.fd)) {
		serve_once(f);
	}
	serve_once(f);
	assert_upcalls(f, "quiesce\nreset\nqueue 0\nqueue 1\n");
	close(channel);
}

/* What the old one owes is answered, and whoever hears of it has the new one. */
static void test_another_channel(struct fixture *f, gconstpointer data G_GNUC_UNUSED)
{
	negotiate(f, MAPPING);
	int old = connect_channel(f);

	g_assert_cmpint(session_map(&f->session, 1, 0, PAGE, f->ram, 0), ==, 0);
	f->ask_again = 2;
	int new = connect_channel(f);
	assert_upcalls(f, "mapped 1 Operation canceled\n");
	take_question(old, MAP, 0);
	unit_assert_hung_up(old);
	take_question(new, MAP, 0);
	answer(new, MAP, 0);
	serve_once(f);
	assert_upcalls(f, "mapped 2 0\n");
	close(old);
	close(new);
}

/* It comes while the answers of the old one are being looked at, and another one behind it. */
static void test_another_channel_before_an_answer(struct fixture *f,
						  gconstpointer data G_GNUC_UNUSED)
{
	const struct vhost_user_header header = { VHOST_USER_SET_BACKEND_REQ_FD, VHOST_USER_VERSION,
						  0 };
	struct iovec iov = { (void *)(uintptr_t)&header, sizeof(header) };
	int first[2], second[2];

	negotiate(f, MAPPING);
	int old = connect_channel(f);
	unit_socketpair(first);
	unit_socketpair(second);
	g_assert_cmpint(session_map(&f->session, 1, 0, PAGE, f->ram, 0), ==, 0);
	answer(old, MAP, 0);
	g_assert_cmpint(sock_send(f->peer, &iov, 1, first[0]), ==, sizeof(header));
	g_assert_cmpint(sock_send(f->peer, &iov, 1, second[0]), ==, sizeof(header));
	close(first[0]);
	close(second[0]);
	serve(f);
	serve_once(f);
	/* Either was first. */
	g_assert_true(strcmp(f->log->str, "mapped 1 0\n") == 0 ||
		      strcmp(f->log->str, "mapped 1 Operation canceled\n") == 0);
	unit_assert_hung_up(first[1]);
	g_assert_cmpint(session_map(&f->session, 2, 0, PAGE, f->ram, 0), ==, 0);
	take_question(second[1], MAP, 0);
	close(old);
	close(first[1]);
	close(second[1]);
}

static void test_channel_closes(struct fixture *f, gconstpointer data G_GNUC_UNUSED)
{
	negotiate(f, MAPPING);
	int channel = connect_channel(f);

	g_assert_cmpint(session_map(&f->session, 1, 0, PAGE, f->ram, 0), ==, 0);
	close(channel);
	serve_once(f);
	assert_upcalls(f, "mapped 1 Broken pipe\n");
	g_assert_cmpint(session_map(&f->session, 2, 0, PAGE, f->ram, 0), ==, -EPIPE);
	assert_serves(f);
	/* Another chance. */
	channel = connect_channel(f);
	g_assert_cmpint(session_map(&f->session, 3, 0, PAGE, f->ram, 0), ==, 0);
	take_question(channel, MAP, 0);
	close(channel);
}

/* With the connection goes all that it was asked; nothing is said of it any more. */
static void test_hang_up_with_questions(struct fixture *f, gconstpointer data G_GNUC_UNUSED)
{
	negotiate(f, MAPPING);
	int channel = connect_channel(f);

	g_assert_cmpint(session_map(&f->session, 1, 0, PAGE, f->ram, 0), ==, 0);
	answer(channel, MAP, 0);
	g_assert_no_errno(shutdown(f->peer, SHUT_RDWR));
	serve(f);
	g_assert_true(f->is_closed);
	g_assert_cmpint(session_map(&f->session, 2, 0, PAGE, f->ram, 0), ==, -ENOTSUP);
	close(channel);
}

/* ---- the end ---- */

static void test_hang_up(struct fixture *f, gconstpointer data G_GNUC_UNUSED)
{
	send_plain(f, VHOST_USER_SET_OWNER, NULL, 0);
	g_assert_no_errno(shutdown(f->peer, SHUT_RDWR));
	serve(f);
	g_assert_true(f->is_closed);
	g_assert_false(f->has_failed);
}

static void test_garbage(struct fixture *f, gconstpointer data G_GNUC_UNUSED)
{
	unit_write(f->peer, "GET / HTTP/1.1\r\n\r\n", 18);
	serve(f);
	g_assert_true(f->is_closed);
	g_assert_true(f->has_failed);
}

/* More messages than are taken at one wake-up, in one go. */
static void test_many_messages(struct fixture *f, gconstpointer data G_GNUC_UNUSED)
{
	struct vhost_user_header headers[100];

	for (int i = 0; i < 100; i++) {
		headers[i] = (struct vhost_user_header){ VHOST_USER_GET_QUEUE_NUM,
							 VHOST_USER_VERSION, 0 };
	}
	unit_write(f->peer, headers, sizeof(headers));
	serve(f);
	for (int i = 0; i < 100; i++) {
		g_assert_cmpuint(receive_u64(f, VHOST_USER_GET_QUEUE_NUM), ==, N_QUEUES);
	}
}

/* A violation ends it at once: what comes behind is not read any more. */
static void test_nothing_after_a_violation(struct fixture *f, gconstpointer data G_GNUC_UNUSED)
{
	const struct vhost_user_header bad = { VHOST_USER_SET_FEATURES, VHOST_USER_VERSION, 0 };
	const struct vhost_user_header good = { VHOST_USER_RESET_DEVICE, VHOST_USER_VERSION, 0 };

	unit_write(f->peer, &bad, sizeof(bad));
	unit_write(f->peer, &good, sizeof(good));
	serve(f);
	g_assert_true(f->is_closed);
	assert_upcalls(f, "");
}

int main(int argc, char **argv)
{
	static const struct {
		const char *path;
		void (*test)(struct fixture *f, gconstpointer data);
	} tests[] = {
		{ "/session/features/offered", test_features_offered },
		{ "/session/features/acknowledged", test_features_acknowledged },
		{ "/session/acks-only-if-negotiated", test_acks_only_if_negotiated },
		{ "/session/config", test_config },
		{ "/session/memory/table", test_mem_table },
		{ "/session/memory/regions-one-by-one", test_mem_regions_one_by_one },
		{ "/session/queue/life", test_queue_life },
		{ "/session/queue/refusals", test_queue_refusals },
		{ "/session/queue/signals-do-not-wait", test_signals_do_not_wait },
		{ "/session/queue/base-of-none", test_base_of_no_queue },
		{ "/session/queue/nofd-with-a-descriptor", test_nofd_with_a_descriptor },
		{ "/session/reset/device", test_reset_device },
		{ "/session/reset/without-a-word", test_reset_without_a_word },
		{ "/session/reset/pause-and-resume", test_pause_and_resume },
		{ "/session/reset/owner-stops", test_reset_owner_stops },
		{ "/session/display-sockets", test_display_sockets },
		{ "/session/backend-channel-is-kept-open", test_backend_channel_is_kept },
		{ "/session/window/offered", test_window_offered },
		{ "/session/window/map-and-unmap", test_map_and_unmap },
		{ "/session/window/map-is-seen", test_map_is_seen },
		{ "/session/window/no-shared-object", test_no_shared_object },
		{ "/session/window/needs-all-of-it", test_map_needs_all_of_it },
		{ "/session/window/outside", test_map_outside },
		{ "/session/window/reset-forgets", test_reset_forgets },
		{ "/session/window/reset-without-a-word-forgets",
		  test_reset_without_a_word_forgets },
		{ "/session/window/reset-before-an-answer", test_reset_before_an_answer },
		{ "/session/window/another-channel", test_another_channel },
		{ "/session/window/another-channel-before-an-answer",
		  test_another_channel_before_an_answer },
		{ "/session/window/channel-closes", test_channel_closes },
		{ "/session/window/hang-up-with-questions", test_hang_up_with_questions },
		{ "/session/hang-up", test_hang_up },
		{ "/session/garbage", test_garbage },
		{ "/session/many-messages", test_many_messages },
		{ "/session/nothing-after-a-violation", test_nothing_after_a_violation },
	};

	g_test_init(&argc, &argv, NULL);
	for (size_t i = 0; i < G_N_ELEMENTS(probes); i++) {
		g_autofree char *path =
			g_strdup_printf("/session/request/%u/%u-bytes-%u-fds", probes[i].request,
					probes[i].size, probes[i].n_fds);

		g_test_add_data_func(path, &probes[i], test_probe);
	}
	for (size_t i = 0; i < 6; i++) {
		g_autofree char *path = g_strdup_printf("/session/memory/table-that-lies/%zu", i);

		g_test_add_data_func(path, GSIZE_TO_POINTER(i), test_mem_table_that_lies);
	}
	for (size_t i = 0; i < G_N_ELEMENTS(tests); i++) {
		g_test_add(tests[i].path, struct fixture, NULL, setup, tests[i].test, teardown);
	}
	g_test_add("/session/window/by-21", struct fixture, &window_by_21, setup,
		   test_window_by_21, teardown);
	g_test_add("/session/window/none", struct fixture, &no_window, setup, test_no_window,
		   teardown);
	return g_test_run();
}
