/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * The whole connection: session, queues, device thread and display thread in
 * one process, joined as src/backend.c joins them, and a front-end that says
 * anything, with any descriptors. Good messages and a whole bring-up are among
 * the choices, so that bad ones come in every state.
 *
 * The device thread has its own time. The fuzzer waits where it can tell that
 * there is something to wait for, so that most inputs repeat.
 */
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "fuzz.h"
#include "gpu/worker.h"
#include "guest.h"
#include "input.h"
#include "model.h"
#include "peer.h"
#include "screen.h"
#include "vhost/session.h"

#define QUOTA_BYTES (UINT64_C(16) << 20)
#define DEVICE_FEATURES (1ull << VIRTIO_GPU_F_EDID | 1ull << VIRTIO_GPU_F_RESOURCE_UUID)
#define SETTLE_MS 5
/* Waits in vain cost time; after so many of them nothing is waited for. */
#define MAX_VAIN_WAITS 4u
#define WINDOW_BYTES (UINT64_C(64) << 12)

struct fuzz {
	struct fuzz_input in;
	struct fuzz_guest *guest;
	struct loop loop;
	struct loop_timer pause; /* ends a run of the loop */
	struct virtq queues[FUZZ_N_QUEUES];
	struct quota quota;
	struct session session;
	struct worker *worker;
	bool is_closed;
	struct peer peer;
	struct screen screen;
	struct renderer paper; /* what the worker's is like, for the model */
	struct model model;    /* of a device that does as it should; only to make commands */
	unsigned int n_vain_waits;
	bool is_headless;
	uint64_t n_asked, last_answered; /* of the window: numbers go up */
};

/* ---- descriptors that a message may carry ---- */

static int odd_fds[10];

const char *fuzz_prepare(void)
{
	int pipe_fds[2], sealed = memfd_create("sealed", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	signal(SIGPIPE, SIG_IGN); /* as the program does */
	g_assert_no_errno(ftruncate(sealed, 65536));
	g_assert_no_errno(fcntl(sealed, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_SHRINK));
	g_assert_no_errno(pipe2(pipe_fds, O_CLOEXEC | O_NONBLOCK));
	close(pipe_fds[0]);
	odd_fds[0] = memfd_create("empty", MFD_CLOEXEC);
	odd_fds[1] = sealed;
	odd_fds[2] = pipe_fds[1]; /* nobody reads */
	odd_fds[3] = open("/dev/null", O_RDWR | O_CLOEXEC);
	odd_fds[4] = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	odd_fds[5] = open("/proc/self/status", O_RDONLY | O_CLOEXEC);
	odd_fds[6] = eventfd(1, EFD_CLOEXEC | EFD_NONBLOCK);
	odd_fds[7] = epoll_create1(EPOLL_CLOEXEC);
	odd_fds[8] = open("/dev/zero", O_RDWR | O_CLOEXEC);
	odd_fds[9] = eventfd(0, EFD_CLOEXEC); /* full: the next write waits */
	g_assert_no_errno(eventfd_write(odd_fds[9], UINT64_MAX - 1));
	for (size_t i = 0; i < G_N_ELEMENTS(odd_fds); i++) {
		g_assert_no_errno(odd_fds[i]);
	}
	return NULL;
}

/* Sixteen for inputs to name; those that there are not yet are the first. */
static int pick_odd_fd(struct fuzz *fuzz)
{
	unsigned int i = fuzz_input_below(&fuzz->in, 16);

	return odd_fds[i < G_N_ELEMENTS(odd_fds) ? i : 0];
}

/* ---- the two halves, joined ---- */

static void features_changed(void *data, uint64_t features)
{
	worker_set_features(((struct fuzz *)data)->worker, features);
}

static void memory_changed(void *data, struct guestmem *mem)
{
	worker_set_memory(((struct fuzz *)data)->worker, mem);
}

static void queue_changed(void *data, unsigned int index)
{
	worker_queue_changed(((struct fuzz *)data)->worker, index);
}

static void quiesce(void *data)
{
	worker_quiesce(((struct fuzz *)data)->worker);
}

static void reset(void *data)
{
	struct fuzz *fuzz = data;

	fuzz->last_answered = fuzz->n_asked;
	worker_reset(fuzz->worker);
}

static void display_socket(void *data, int consume_fd)
{
	worker_set_display_socket(((struct fuzz *)data)->worker, consume_fd);
}

/* Each of them once, in order, and never one that was forgotten for a later one. */
static void mapped(void *data, uint64_t number, int error)
{
	struct fuzz *fuzz = data;

	g_assert_cmpint(error, <=, 0);
	g_assert_cmpuint(number, >, fuzz->last_answered);
	g_assert_cmpuint(number, <=, fuzz->n_asked);
	fuzz->last_answered = number;
}

static void closed(void *data, bool has_failed G_GNUC_UNUSED)
{
	struct fuzz *fuzz = data;

	g_assert_false(fuzz->is_closed);
	fuzz->is_closed = true;
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

static void worker_failed(void *data G_GNUC_UNUSED)
{
	g_assert_not_reached();
}

static void pause_loop(void *data)
{
	loop_quit(data);
}

/* The transport thread's turn, until it has read what was sent. */
static void run_session(struct fuzz *fuzz)
{
	do {
		fuzz->loop.quit = false;
		loop_timer_arm(&fuzz->loop, &fuzz->pause, 0);
		g_assert_cmpint(loop_run(&fuzz->loop), ==, 0);
	} while (!fuzz->is_closed && !peer_is_read(&fuzz->peer));
}

static bool has_no_work(void *data)
{
	struct fuzz *fuzz = data;

	return !virtq_has_avail(&fuzz->queues[0]) && !virtq_has_avail(&fuzz->queues[1]);
}

/* The device's turn: as long as it has commands that it knows of. */
static void settle(struct fuzz *fuzz)
{
	if (fuzz->n_vain_waits == MAX_VAIN_WAITS) {
		return;
	}
	fuzz->n_vain_waits += !fuzz_wait(has_no_work, fuzz, SETTLE_MS);
	worker_quiesce(fuzz->worker);
}

/* ---- messages ---- */

struct message {
	uint32_t request;
	union vhost_user_payload payload;
	uint32_t size_bytes;
	int fds[PEER_MAX_FDS];
	unsigned int n_fds;
	int to_close; /* of fds, after sending, or -1 */
};

static void send_message(struct fuzz *fuzz, const struct message *message, bool with_reply)
{
	peer_send_message(&fuzz->peer, message->request, with_reply, &message->payload,
			  message->size_bytes, message->fds, message->n_fds);
	if (message->to_close >= 0) {
		close(message->to_close);
	}
	run_session(fuzz);
	peer_take_replies(&fuzz->peer);
}

static struct vhost_user_region good_region(const struct fuzz *fuzz, unsigned int i, int *memfd_out)
{
	const struct guestmem_region_desc desc = fuzz_guest_region(fuzz->guest, i, memfd_out);

	return (struct vhost_user_region){
		.guest_phys_addr = desc.gpa.v,
		.memory_size = desc.size_bytes,
		.userspace_addr = desc.uva.v,
		.mmap_offset = desc.mmap_offset_bytes,
	};
}

static struct vhost_user_region pick_region(struct fuzz *fuzz, int *memfd_out)
{
	struct vhost_user_region region =
		good_region(fuzz, fuzz_input_below(&fuzz->in, FUZZ_N_REGIONS), memfd_out);

	switch (fuzz_input_below(&fuzz->in, 16)) {
	case 1:
		region.guest_phys_addr = fuzz_input_number64(&fuzz->in);
		break;
	case 2:
		region.memory_size = fuzz_input_number64(&fuzz->in);
		break;
	case 3:
		region.userspace_addr = fuzz_input_number64(&fuzz->in);
		break;
	case 4:
		region.mmap_offset = fuzz_input_number64(&fuzz->in);
		break;
	default:
		break;
	}
	return region;
}

static uint32_t pick_queue(struct fuzz *fuzz)
{
	uint8_t byte = fuzz_input_u8(&fuzz->in);

	return byte == 0xff ? fuzz_input_number(&fuzz->in) : byte & 1u;
}

static uint64_t pick_uva(struct fuzz *fuzz, struct uva good)
{
	uint8_t byte = fuzz_input_u8(&fuzz->in);

	if (byte < 0xc0) {
		return good.v;
	}
	return byte < 0xf0 ? good.v + fuzz_input_number(&fuzz->in) : fuzz_input_number64(&fuzz->in);
}

static void fill_vring_addr(struct fuzz *fuzz, struct message *message)
{
	struct vhost_user_vring_addr *addr = &message->payload.vring_addr;

	addr->index = pick_queue(fuzz);
	const struct fuzz_vring vring = fuzz_guest_vring(fuzz->guest, addr->index % FUZZ_N_QUEUES);
	addr->desc_user_addr = pick_uva(fuzz, vring.desc);
	addr->avail_user_addr = pick_uva(fuzz, vring.avail);
	addr->used_user_addr = pick_uva(fuzz, vring.used);
	message->size_bytes = sizeof(*addr);
}

static void fill_vring_fd(struct fuzz *fuzz, struct message *message)
{
	uint32_t index = pick_queue(fuzz);
	const struct fuzz_vring vring = fuzz_guest_vring(fuzz->guest, index % FUZZ_N_QUEUES);

	message->payload.u64 = index;
	message->size_bytes = sizeof(uint64_t);
	if (fuzz_input_one_in(&fuzz->in, 8)) {
		message->payload.u64 |= VHOST_USER_VRING_NOFD;
		return;
	}
	message->n_fds = 1;
	message->fds[0] = message->request == VHOST_USER_SET_VRING_KICK	  ? vring.kick_fd
			  : message->request == VHOST_USER_SET_VRING_CALL ? vring.call_fd
									  : vring.err_fd;
}

static void fill_vring_state(struct fuzz *fuzz, struct message *message)
{
	message->payload.vring_state.index = pick_queue(fuzz);
	message->payload.vring_state.num = fuzz_input_number(&fuzz->in);
	message->size_bytes = sizeof(message->payload.vring_state);
}

static void fill_mem_table(struct fuzz *fuzz, struct message *message)
{
	struct vhost_user_mem_table *table = &message->payload.mem_table;
	unsigned int n = fuzz_input_below(&fuzz->in, VHOST_USER_MAX_TABLE_REGIONS + 1);

	table->n_regions = n;
	for (unsigned int i = 0; i < n; i++) {
		table->regions[i] = pick_region(fuzz, &message->fds[i]);
	}
	message->n_fds = n;
	message->size_bytes = (uint32_t)(offsetof(struct vhost_user_mem_table, regions) +
					 n * sizeof(table->regions[0]));
}

static void fill_mem_reg(struct fuzz *fuzz, struct message *message)
{
	message->payload.mem_reg.region = pick_region(fuzz, &message->fds[0]);
	message->n_fds = message->request == VHOST_USER_ADD_MEM_REG;
	message->size_bytes = sizeof(message->payload.mem_reg);
}

static void fill_config(struct fuzz *fuzz, struct message *message)
{
	struct vhost_user_config *config = &message->payload.config;

	config->offset = fuzz_input_number(&fuzz->in);
	config->size = fuzz_input_u8(&fuzz->in);
	message->size_bytes = VHOST_USER_CONFIG_HEADER_SIZE + config->size;
	if (fuzz_input_one_in(&fuzz->in, 8)) {
		config->size = fuzz_input_number(&fuzz->in);
	}
}

static void fill_u64(struct fuzz *fuzz, struct message *message)
{
	static const uint64_t all_but_none[] = { UINT64_MAX, 0, DEVICE_FEATURES };
	uint8_t byte = fuzz_input_u8(&fuzz->in);

	message->payload.u64 =
		byte < G_N_ELEMENTS(all_but_none) ? all_but_none[byte] : fuzz_input_u64(&fuzz->in);
	message->size_bytes = sizeof(uint64_t);
}

static void fill_socket(struct fuzz *fuzz, struct message *message)
{
	message->fds[0] = screen_connect(&fuzz->screen);
	message->n_fds = 1;
	message->to_close = message->fds[0];
}

static void fill_nothing(struct fuzz *fuzz G_GNUC_UNUSED, struct message *message G_GNUC_UNUSED)
{
}

/* Inputs name messages by their place here: append, and never insert. */
static const struct {
	uint32_t request;
	void (*fill)(struct fuzz *fuzz, struct message *message);
	bool is_question; /* one that has an answer whatever it says */
} messages[] = {
	{ VHOST_USER_GET_FEATURES, fill_nothing, true },
	{ VHOST_USER_SET_FEATURES, fill_u64, false },
	{ VHOST_USER_SET_OWNER, fill_nothing, false },
	{ VHOST_USER_RESET_OWNER, fill_nothing, false },
	{ VHOST_USER_SET_MEM_TABLE, fill_mem_table, false },
	{ VHOST_USER_SET_LOG_BASE, fill_u64, false },
	{ VHOST_USER_SET_LOG_FD, fill_vring_fd, false },
	{ VHOST_USER_SET_VRING_NUM, fill_vring_state, false },
	{ VHOST_USER_SET_VRING_ADDR, fill_vring_addr, false },
	{ VHOST_USER_SET_VRING_BASE, fill_vring_state, false },
	{ VHOST_USER_GET_VRING_BASE, fill_vring_state, false },
	{ VHOST_USER_SET_VRING_KICK, fill_vring_fd, false },
	{ VHOST_USER_SET_VRING_CALL, fill_vring_fd, false },
	{ VHOST_USER_SET_VRING_ERR, fill_vring_fd, false },
	{ VHOST_USER_GET_PROTOCOL_FEATURES, fill_nothing, true },
	{ VHOST_USER_SET_PROTOCOL_FEATURES, fill_u64, false },
	{ VHOST_USER_GET_QUEUE_NUM, fill_nothing, true },
	{ VHOST_USER_SET_VRING_ENABLE, fill_vring_state, false },
	{ VHOST_USER_SET_BACKEND_REQ_FD, fill_socket, false },
	{ VHOST_USER_GET_CONFIG, fill_config, true },
	{ VHOST_USER_SET_CONFIG, fill_config, false },
	{ VHOST_USER_GPU_SET_SOCKET, fill_socket, false },
	{ VHOST_USER_RESET_DEVICE, fill_nothing, false },
	{ VHOST_USER_GET_MAX_MEM_SLOTS, fill_nothing, true },
	{ VHOST_USER_ADD_MEM_REG, fill_mem_reg, false },
	{ VHOST_USER_REM_MEM_REG, fill_mem_reg, false },
	{ VHOST_USER_GET_SHMEM_CONFIG, fill_nothing, true },
};

/* Another size, other descriptors, or another number. */
static void spoil(struct fuzz *fuzz, struct message *message)
{
	switch (fuzz_input_below(&fuzz->in, 4)) {
	case 0:
		message->size_bytes = fuzz_input_u8(&fuzz->in);
		break;
	case 1:
		message->request = fuzz_input_number(&fuzz->in);
		break;
	case 2:
		message->n_fds = fuzz_input_below(&fuzz->in, PEER_MAX_FDS + 1);
		for (unsigned int i = 0; i < message->n_fds; i++) {
			message->fds[i] = pick_odd_fd(fuzz);
		}
		break;
	default:
		if (message->n_fds > 0) {
			message->fds[0] = pick_odd_fd(fuzz);
		}
		break;
	}
}

static void do_message(struct fuzz *fuzz)
{
	unsigned int i = fuzz_input_operation(&fuzz->in);
	uint8_t how = fuzz_input_u8(&fuzz->in);
	struct message message = { .to_close = -1 };

	if (i >= G_N_ELEMENTS(messages)) {
		return;
	}
	message.request = messages[i].request;
	messages[i].fill(fuzz, &message);
	bool is_spoilt = how >= 0xc0;
	if (is_spoilt) {
		spoil(fuzz, &message);
	}
	fuzz->peer.last_reply = 0;
	send_message(fuzz, &message, how & 1);
	if (messages[i].is_question && !is_spoilt && fuzz->peer.is_framed && !fuzz->is_closed) {
		g_assert_cmpuint(fuzz->peer.last_reply, ==, message.request);
	}
}

/* What lies in the input, and with it the rest of the stream, if it is no whole message. */
static void do_raw(struct fuzz *fuzz)
{
	uint8_t bytes[64];
	size_t n = fuzz_input_below(&fuzz->in, sizeof(bytes) + 1);
	int fd = pick_odd_fd(fuzz);
	bool has_fd = fuzz_input_one_in(&fuzz->in, 4);

	fuzz_input_copy(&fuzz->in, bytes, n);
	fuzz->peer.is_framed = false;
	peer_send(&fuzz->peer, bytes, n, &fd, has_fd);
	run_session(fuzz);
	peer_take_replies(&fuzz->peer);
}

/* ---- a front-end that knows what it does ---- */

static void say(struct fuzz *fuzz, uint32_t request, const void *payload, size_t size_bytes,
		int fd_borrow)
{
	peer_send_message(&fuzz->peer, request, true, payload, (uint32_t)size_bytes, &fd_borrow,
			  fd_borrow >= 0);
	run_session(fuzz);
	peer_take_replies(&fuzz->peer);
}

static void say_u64(struct fuzz *fuzz, uint32_t request, uint64_t value, int fd_borrow)
{
	say(fuzz, request, &value, sizeof(value), fd_borrow);
}

static void say_state(struct fuzz *fuzz, uint32_t request, uint32_t queue, uint32_t num)
{
	const struct vhost_user_vring_state state = { queue, num };

	say(fuzz, request, &state, sizeof(state), -1);
}

static void start_queue(struct fuzz *fuzz, unsigned int i)
{
	const struct fuzz_vring vring = fuzz_guest_vring(fuzz->guest, i);
	const struct vhost_user_vring_addr addr = {
		.index = i,
		.desc_user_addr = vring.desc.v,
		.avail_user_addr = vring.avail.v,
		.used_user_addr = vring.used.v,
	};

	say_state(fuzz, VHOST_USER_SET_VRING_NUM, i, FUZZ_RING_SIZE);
	say_state(fuzz, VHOST_USER_SET_VRING_BASE, i, 0);
	say(fuzz, VHOST_USER_SET_VRING_ADDR, &addr, sizeof(addr), -1);
	say_u64(fuzz, VHOST_USER_SET_VRING_ERR, i, vring.err_fd);
	say_u64(fuzz, VHOST_USER_SET_VRING_CALL, i, vring.call_fd);
	say_u64(fuzz, VHOST_USER_SET_VRING_KICK, i, vring.kick_fd);
	say_state(fuzz, VHOST_USER_SET_VRING_ENABLE, i, 1);
}

static void do_bring_up(struct fuzz *fuzz)
{
	say_u64(fuzz, VHOST_USER_SET_PROTOCOL_FEATURES, UINT64_MAX, -1);
	say_u64(fuzz, VHOST_USER_SET_FEATURES, UINT64_MAX, -1);
	for (unsigned int i = 0; i < FUZZ_N_REGIONS; i++) {
		int memfd;
		const struct vhost_user_mem_reg body = { .region = good_region(fuzz, i, &memfd) };

		say(fuzz, VHOST_USER_ADD_MEM_REG, &body, sizeof(body), memfd);
	}
	for (unsigned int i = 0; i < FUZZ_N_QUEUES; i++) {
		start_queue(fuzz, i);
	}
}

/* `stop` in QEMU, and what comes before a reset. */
static void do_stop(struct fuzz *fuzz)
{
	for (unsigned int i = 0; i < FUZZ_N_QUEUES; i++) {
		say_state(fuzz, VHOST_USER_SET_VRING_ENABLE, i, 0);
		say_state(fuzz, VHOST_USER_GET_VRING_BASE, i, 0);
	}
}

static void do_open_display(struct fuzz *fuzz)
{
	int fd = screen_connect(&fuzz->screen);

	say(fuzz, VHOST_USER_GPU_SET_SOCKET, NULL, 0, fd);
	close(fd);
	screen_await_question(&fuzz->screen);
}

/* Questions, and nobody who reads the answers. */
static void do_flood(struct fuzz *fuzz)
{
	for (unsigned int n = fuzz_input_u8(&fuzz->in) * 4u; n > 0 && !fuzz->is_closed; n--) {
		peer_send_message(&fuzz->peer, VHOST_USER_GET_FEATURES, false, NULL, 0, NULL, 0);
		run_session(fuzz);
	}
	peer_take_replies(&fuzz->peer);
}

static void do_hang_up(struct fuzz *fuzz)
{
	peer_hang_up(&fuzz->peer);
	run_session(fuzz);
	g_assert_true(fuzz->is_closed);
}

/* ---- the guest ---- */

static void do_command(struct fuzz *fuzz)
{
	struct model_call call;
	uint16_t head;

	model_make(&fuzz->model, &fuzz->in, &call);
	const struct fuzz_chain chain = {
		.request = call.bytes,
		.request_bytes = call.size_bytes,
		.response_bytes = FUZZ_SLOT_BYTES,
		.is_indirect = fuzz_input_flag(&fuzz->in),
	};
	if (!fuzz_guest_submit(fuzz->guest, call.queue, &chain, &head)) {
		/* A driver that begins anew, whatever the device thinks of it. */
		fuzz_guest_reset_rings(fuzz->guest);
		return;
	}
	if (model_judge(&fuzz->model, &call).resp == GPU_RESP_OK_NODATA) {
		model_apply(&fuzz->model, &call, GPU_RESP_OK_NODATA);
	}
	fuzz_guest_kick(fuzz->guest, call.queue);
	settle(fuzz);
}

static void do_scribble(struct fuzz *fuzz)
{
	uint16_t offset = fuzz_input_u16(&fuzz->in);

	/* The rings are at the start of the first region. */
	for (unsigned int n = fuzz_input_below(&fuzz->in, 16); n > 0; n--) {
		*fuzz_guest_byte(fuzz->guest, 0, offset++ % 2048u) = fuzz_input_u8(&fuzz->in);
	}
	fuzz_guest_kick(fuzz->guest, 0);
	settle(fuzz);
}

static void do_settle(struct fuzz *fuzz)
{
	settle(fuzz);
}

/* ---- the window ---- */

/* What an engine asks for, good or not; the front-end's end of the channel is the display's. */
static void do_map(struct fuzz *fuzz)
{
	uint64_t offset_bytes = (uint64_t)fuzz_input_u8(&fuzz->in) << 10;
	uint64_t size_bytes = (uint64_t)fuzz_input_u8(&fuzz->in) << 10;
	int error;

	if (fuzz_input_flag(&fuzz->in)) {
		error = session_map(&fuzz->session, fuzz->n_asked + 1, offset_bytes, size_bytes,
				    odd_fds[0], 0);
	} else {
		error = session_unmap(&fuzz->session, fuzz->n_asked + 1, offset_bytes, size_bytes);
	}
	fuzz->n_asked += error == 0;
	run_session(fuzz);
}

/* ---- the display ---- */

static void do_reply(struct fuzz *fuzz)
{
	screen_reply(&fuzz->screen, &fuzz->in);
}

static void do_read_display(struct fuzz *fuzz)
{
	uint8_t byte = fuzz_input_u8(&fuzz->in);

	screen_read(&fuzz->screen, byte < 0x80 ? SIZE_MAX : byte * 64u);
}

static void do_close_display(struct fuzz *fuzz)
{
	screen_hang_up(&fuzz->screen);
}

static void (*const operations[])(struct fuzz *fuzz) = {
	do_message,	  do_bring_up, do_command, do_raw,   do_stop,
	do_open_display,  do_scribble, do_settle,  do_reply, do_read_display,
	do_close_display, do_hang_up,  do_flood,    do_map,
};

/* ---- life ---- */

static int create_display(void *data, const struct display_listener *upcalls, void *upcall_data,
			  struct display **display_out)
{
	const struct fuzz *fuzz = data;

	if (fuzz->is_headless) {
		*display_out = display_create_headless();
		return 0;
	}
	return display_create_vhost_user_gpu(upcalls, upcall_data, false, display_out);
}

static int create_worker(struct fuzz *fuzz)
{
	const struct worker_options options = {
		.renderer_impl = renderer_find("2d"),
		.quota = &fuzz->quota,
		.queues = fuzz->queues,
		.create_display = create_display,
		.failed = worker_failed,
		.data = fuzz,
	};

	return worker_create(&options, &fuzz->worker);
}

static void setup(struct fuzz *fuzz)
{
	static const uint8_t config[16];
	const struct session_options options = {
		.device_features = DEVICE_FEATURES,
		.config = config,
		.config_size_bytes = sizeof(config),
		.queues = fuzz->queues,
		.n_queues = FUZZ_N_QUEUES,
		.window_bytes = WINDOW_BYTES,
		.window_feature_bit = VHOST_USER_PROTOCOL_F_SHMEM_MAP,
	};
	int pair[2];

	g_assert_no_errno(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair));
	screen_init(&fuzz->screen);
	/* As a front-end gives it, whatever was made of it in the last input. */
	g_assert_no_errno(fcntl(odd_fds[9], F_SETFL, O_RDWR));
	fuzz->guest = fuzz_guest_create();
	fuzz->paper = (struct renderer){ .impl = renderer_find("2d") };
	model_init(&fuzz->model, fuzz->guest, &fuzz->paper, true);
	model_set_memory(&fuzz->model, FUZZ_ALL_REGIONS);
	quota_init(&fuzz->quota, QUOTA_BYTES);
	for (unsigned int i = 0; i < FUZZ_N_QUEUES; i++) {
		fuzz_queue_init(&fuzz->queues[i], i);
	}
	g_assert_cmpint(loop_init(&fuzz->loop, NULL, NULL), ==, 0);
	fuzz->pause = (struct loop_timer){ .expired = pause_loop, .data = &fuzz->loop };
	fuzz->is_headless = fuzz_input_one_in(&fuzz->in, 8);
	g_assert_cmpint(create_worker(fuzz), ==, 0);
	g_assert_cmpint(
		session_init(&fuzz->session, &fuzz->loop, pair[0], &options, &listener, fuzz), ==,
		0);
	peer_init(&fuzz->peer, pair[1]);
}

static void teardown(struct fuzz *fuzz)
{
	session_finish(&fuzz->session);
	worker_destroy(fuzz->worker);
	g_assert_cmpuint(quota_used(&fuzz->quota), ==, 0);
	for (unsigned int i = 0; i < FUZZ_N_QUEUES; i++) {
		fuzz_queue_finish(&fuzz->queues[i]);
	}
	loop_finish(&fuzz->loop);
	model_finish(&fuzz->model);
	peer_finish(&fuzz->peer);
	screen_finish(&fuzz->screen);
	fuzz_guest_destroy(fuzz->guest);
}

void fuzz_one(const uint8_t *bytes, size_t size_bytes)
{
	unsigned int n_fds = fuzz_count_fds();
	struct fuzz *fuzz = g_new0(struct fuzz, 1);

	fuzz_input_init(&fuzz->in, bytes, size_bytes);
	setup(fuzz);
	while (!fuzz_input_is_over(&fuzz->in) && !fuzz->is_closed) {
		unsigned int i = fuzz_input_operation(&fuzz->in);

		if (i < G_N_ELEMENTS(operations)) {
			operations[i](fuzz);
		}
	}
	teardown(fuzz);
	g_free(fuzz);
	g_assert_cmpuint(fuzz_count_fds(), ==, n_fds);
}
