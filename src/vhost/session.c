/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * Pause and reset look alike on this socket: both stop the rings and close the
 * display channel. RESET_DEVICE tells them apart where the front-end sends it.
 * QEMU before 8.2 does not, though it negotiates the feature as every one that
 * it has a name for; so a queue 0 that starts at index 0 again, though it
 * stopped elsewhere, is taken for a driver that begins anew in any case.
 */
#include "vhost/session.h"

#include <endian.h>
#include <errno.h>
#include <linux/virtio_config.h>
#include <linux/virtio_ring.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "util/checked.h"
#include "util/log.h"

/* How many messages to take before the loop's other sources get their turn. */
#define MESSAGES_PER_WAKEUP 16

#define RING_FEATURES                                                                              \
	(1ull << VIRTIO_F_VERSION_1 | 1ull << VIRTIO_RING_F_INDIRECT_DESC |                        \
	 1ull << VIRTIO_RING_F_EVENT_IDX | 1ull << VHOST_USER_F_PROTOCOL_FEATURES)

#define PROTOCOL_FEATURES                                                                          \
	(1ull << VHOST_USER_PROTOCOL_F_MQ | 1ull << VHOST_USER_PROTOCOL_F_REPLY_ACK |              \
	 1ull << VHOST_USER_PROTOCOL_F_BACKEND_REQ | 1ull << VHOST_USER_PROTOCOL_F_CONFIG |        \
	 1ull << VHOST_USER_PROTOCOL_F_BACKEND_SEND_FD |                                           \
	 1ull << VHOST_USER_PROTOCOL_F_RESET_DEVICE |                                              \
	 1ull << VHOST_USER_PROTOCOL_F_CONFIGURE_MEM_SLOTS)

/* Of no use without a window: see backend_channel_map(). */
#define WINDOW_FEATURES (1ull << VHOST_USER_PROTOCOL_F_SHARED_OBJECT)

/* Without a word of its own a front-end could not say that it did not map. */
#define MAPPING_FEATURES                                                                           \
	(1ull << VHOST_USER_PROTOCOL_F_REPLY_ACK | 1ull << VHOST_USER_PROTOCOL_F_BACKEND_REQ |     \
	 1ull << VHOST_USER_PROTOCOL_F_BACKEND_SEND_FD)

/* The same of a word that the configuration has changed. */
#define CONFIG_FEATURES                                                                            \
	(1ull << VHOST_USER_PROTOCOL_F_REPLY_ACK | 1ull << VHOST_USER_PROTOCOL_F_BACKEND_REQ |     \
	 1ull << VHOST_USER_PROTOCOL_F_CONFIG)

/* struct virtio_gpu_config.events_clear */
#define EVENTS_CLEAR_OFFSET 4
/* Among the numbers of what is asked: from here on, those of session_map() are never. */
#define FIRST_CONFIG_NUMBER (UINT64_C(1) << 63)

/* VIRTIO_GPU_SHM_ID_HOST_VISIBLE */
#define WINDOW_SHMID 1

/*
 * More than a socket holds of the smallest messages: whatever a front-end said
 * before it answered is among these.
 */
#define MAX_MESSAGES_BEFORE_REPLIES 1024

/* What a handler wants to be said; a negative errno says "refused". */
#define REPLIED 1

static bool has_protocol_feature(const struct session *session, unsigned int bit)
{
	return (session->protocol_features & 1ull << bit) != 0;
}

static uint64_t offered_protocol_features(const struct session *session)
{
	uint64_t features = PROTOCOL_FEATURES;

	if (session->options.window_bytes > 0) {
		features |= 1ull << session->options.window_feature_bit | WINDOW_FEATURES;
	}
	return features;
}

static uint64_t offered_features(const struct session *session)
{
	return session->options.device_features | RING_FEATURES;
}

/* 0 if the reply went out whole, so that a failure ends the session as a conn_status. */
static int reply(struct session *session, const struct conn_message *request, const void *payload,
		 size_t size_bytes)
{
	if (conn_reply(&session->conn, request, payload, size_bytes) != CONN_OK) {
		session->is_closed = true;
	}
	return REPLIED;
}

static int reply_u64(struct session *session, const struct conn_message *request, uint64_t value)
{
	return reply(session, request, &value, sizeof(value));
}

static struct virtq *find_queue(struct session *session, uint64_t index)
{
	if (index >= session->options.n_queues) {
		log_warn("front-end names queue %" G_GUINT64_FORMAT ", there are %u", index,
			 session->options.n_queues);
		return NULL;
	}
	return &session->options.queues[index];
}

static void each_queue_changed(struct session *session)
{
	for (unsigned int i = 0; i < session->options.n_queues; i++) {
		session->listener->queue_changed(session->data, i);
	}
}

/* The front-end has dropped all mappings by itself; an answer to what was asked before is late. */
static void tell_reset(struct session *session)
{
	session->has_run = false;
	if (session->backend_channel != NULL) {
		backend_channel_forget(session->backend_channel);
	}
	session->listener->reset(session->data);
}

static void reset_device(struct session *session)
{
	for (unsigned int i = 0; i < session->options.n_queues; i++) {
		virtq_reset(&session->options.queues[i]);
	}
	session->listener->quiesce(session->data);
	tell_reset(session);
	each_queue_changed(session);
}

/* ---- features ---- */

static int handle_get_features(struct session *session, struct conn_message *message)
{
	return reply_u64(session, message, offered_features(session));
}

static int handle_set_features(struct session *session, struct conn_message *message)
{
	uint64_t features = message->payload.u64;
	uint64_t unknown = features & ~offered_features(session);

	if (unknown != 0) {
		log_info("front-end acknowledges features 0x%" G_GINT64_MODIFIER
			 "x that were not offered; they are ignored",
			 unknown);
	}
	session->features = features & offered_features(session);
	for (unsigned int i = 0; i < session->options.n_queues; i++) {
		struct virtq *vq = &session->options.queues[i];

		virtq_set_features(vq, features & 1ull << VIRTIO_RING_F_EVENT_IDX,
				   features & 1ull << VIRTIO_RING_F_INDIRECT_DESC);
		/* Without protocol features there is no message that enables a ring. */
		if (!(features & 1ull << VHOST_USER_F_PROTOCOL_FEATURES)) {
			virtq_set_enabled(vq, true);
		}
	}
	session->listener->features_changed(session->data, session->features);
	each_queue_changed(session);
	return 0;
}

static int handle_get_protocol_features(struct session *session, struct conn_message *message)
{
	return reply_u64(session, message, offered_protocol_features(session));
}

static int handle_set_protocol_features(struct session *session, struct conn_message *message)
{
	session->protocol_features = message->payload.u64 & offered_protocol_features(session);
	return 0;
}

static int handle_get_queue_num(struct session *session, struct conn_message *message)
{
	return reply_u64(session, message, session->options.n_queues);
}

static int handle_get_max_mem_slots(struct session *session, struct conn_message *message)
{
	return reply_u64(session, message, GUESTMEM_MAX_REGIONS);
}

static int handle_set_owner(struct session *session G_GNUC_UNUSED,
			    struct conn_message *message G_GNUC_UNUSED)
{
	return 0;
}

/* Deprecated, and of unclear effect: "no longer used", so the rings stop and that is all. */
static int handle_reset_owner(struct session *session, struct conn_message *message G_GNUC_UNUSED)
{
	for (unsigned int i = 0; i < session->options.n_queues; i++) {
		virtq_stop(&session->options.queues[i]);
	}
	session->listener->quiesce(session->data);
	each_queue_changed(session);
	return 0;
}

static int handle_reset_device(struct session *session, struct conn_message *message G_GNUC_UNUSED)
{
	reset_device(session);
	return 0;
}

/* Neither is offered; refusing tells the front-end that it can't migrate this device. */
static int handle_set_log(struct session *session G_GNUC_UNUSED,
			  struct conn_message *message G_GNUC_UNUSED)
{
	return -ENOTSUP;
}

/* ---- memory ---- */

/* consume_mem becomes the table of the session and of everyone below. */
static void publish_memory(struct session *session, struct guestmem *consume_mem)
{
	guestmem_unref(session->mem);
	session->mem = consume_mem;
	/* The device first: a ring may run again with the next line. */
	session->listener->memory_changed(session->data, consume_mem);
	for (unsigned int i = 0; i < session->options.n_queues; i++) {
		virtq_set_memory(&session->options.queues[i], consume_mem);
	}
	each_queue_changed(session);
}

static struct guestmem_region_desc region_from_wire(const struct vhost_user_region *region)
{
	return (struct guestmem_region_desc){
		.gpa = { region->guest_phys_addr },
		.uva = { region->userspace_addr },
		.size_bytes = region->memory_size,
		.mmap_offset_bytes = region->mmap_offset,
	};
}

static int refuse_region(const struct guestmem_region_desc *desc, int error)
{
	const char *why = error == -EFBIG   ? "its file is shorter"
			  : error == -EINVAL ? "empty, wrapping or overlapping another"
			  : error == -ENOENT ? "there is none like it"
			  : error == -ENOSPC ? "too many regions"
					     : g_strerror(-error);

	log_warn("memory region at 0x%" G_GINT64_MODIFIER "x of 0x%" G_GINT64_MODIFIER
		 "x bytes refused: %s",
		 desc->gpa.v, desc->size_bytes, why);
	return error;
}

static int handle_set_mem_table(struct session *session, struct conn_message *message)
{
	const struct vhost_user_mem_table *table = &message->payload.mem_table;
	size_t header_bytes = offsetof(struct vhost_user_mem_table, regions);

	if (message->header.size < header_bytes ||
	    table->n_regions > VHOST_USER_MAX_TABLE_REGIONS ||
	    message->header.size != header_bytes + table->n_regions * sizeof(table->regions[0]) ||
	    table->n_regions != message->n_fds) {
		return -EPROTO;
	}
	struct guestmem *mem = guestmem_create_empty();
	for (uint32_t i = 0; i < table->n_regions; i++) {
		struct guestmem_region_desc desc = region_from_wire(&table->regions[i]);
		struct guestmem *grown;
		int error = guestmem_add(mem, &desc, message->fds[i], &grown);

		guestmem_unref(mem);
		if (error < 0) {
			return refuse_region(&desc, error);
		}
		mem = grown;
	}
	publish_memory(session, mem);
	session->listener->quiesce(session->data);
	return 0;
}

static int handle_add_mem_reg(struct session *session, struct conn_message *message)
{
	struct guestmem_region_desc desc = region_from_wire(&message->payload.mem_reg.region);
	struct guestmem *grown;
	int error = guestmem_add(session->mem, &desc, message->fds[0], &grown);

	if (error < 0) {
		return refuse_region(&desc, error);
	}
	publish_memory(session, grown);
	return 0;
}

static int handle_rem_mem_reg(struct session *session, struct conn_message *message)
{
	struct guestmem_region_desc desc = region_from_wire(&message->payload.mem_reg.region);
	struct guestmem *shrunk;
	int error = guestmem_remove(session->mem, &desc, &shrunk);

	if (error < 0) {
		return refuse_region(&desc, error);
	}
	publish_memory(session, shrunk);
	session->listener->quiesce(session->data);
	return 0;
}

/* ---- rings ---- */

static int handle_set_vring_num(struct session *session, struct conn_message *message)
{
	struct virtq *vq = find_queue(session, message->payload.vring_state.index);

	if (vq == NULL || virtq_set_size(vq, message->payload.vring_state.num) != VIRTQ_OK) {
		return -EINVAL;
	}
	session->listener->queue_changed(session->data, vq->index);
	return 0;
}

static int handle_set_vring_addr(struct session *session, struct conn_message *message)
{
	const struct vhost_user_vring_addr *addr = &message->payload.vring_addr;
	struct virtq *vq = find_queue(session, addr->index);

	if (vq == NULL ||
	    virtq_set_addresses(vq, (struct uva){ addr->desc_user_addr },
				(struct uva){ addr->avail_user_addr },
				(struct uva){ addr->used_user_addr }) != VIRTQ_OK) {
		log_warn("queue %u: its rings are not in the guest's memory%s", addr->index,
			 guestmem_n_regions(session->mem) > 0
				 ? ""
				 : ", of which the front-end shares none (QEMU: -object "
				   "memory-backend-memfd,id=mem0,share=on,size=... -machine "
				   "memory-backend=mem0)");
		return -EINVAL;
	}
	session->listener->queue_changed(session->data, addr->index);
	return 0;
}

static int handle_set_vring_base(struct session *session, struct conn_message *message)
{
	uint32_t index = message->payload.vring_state.index;
	uint32_t base = message->payload.vring_state.num;
	struct virtq *vq = find_queue(session, index);

	if (vq == NULL || base > UINT16_MAX) {
		return -EINVAL;
	}
	if (index == 0 && base == 0 && session->has_run && session->old_base != 0) {
		log_debug("queue 0 starts anew: the device was reset");
		tell_reset(session);
	}
	if (virtq_set_base(vq, (uint16_t)base) != VIRTQ_OK) {
		return -EINVAL;
	}
	session->listener->queue_changed(session->data, index);
	return 0;
}

static int handle_get_vring_base(struct session *session, struct conn_message *message)
{
	struct vhost_user_vring_state state = message->payload.vring_state;
	struct virtq *vq = find_queue(session, state.index);

	if (vq == NULL) {
		return -EPROTO;
	}
	state.num = virtq_stop(vq);
	if (state.index == 0) {
		session->old_base = (uint16_t)state.num;
	}
	session->listener->queue_changed(session->data, state.index);
	session->listener->quiesce(session->data);
	return reply(session, message, &state, sizeof(state));
}

/* Shared by KICK, CALL and ERR: the queue and the descriptor, or NULL. */
static struct virtq *take_vring_fd(struct session *session, struct conn_message *message,
				   int *fd_out, int *error_out)
{
	uint64_t value = message->payload.u64;
	bool has_fd = !(value & VHOST_USER_VRING_NOFD);
	struct virtq *vq = find_queue(session, value & VHOST_USER_VRING_INDEX_MASK);

	if (has_fd != (message->n_fds == 1)) {
		*error_out = -EPROTO;
		return NULL;
	}
	if (vq == NULL) {
		*error_out = -EINVAL;
		return NULL;
	}
	*fd_out = conn_message_take_fd(message, 0);
	return vq;
}

static int handle_set_vring_kick(struct session *session, struct conn_message *message)
{
	int fd = -1, error = 0;

	if (message->payload.u64 & VHOST_USER_VRING_NOFD && message->n_fds == 0) {
		log_warn("front-end wants a queue polled without a kick descriptor: refused");
		return -ENOTSUP;
	}
	struct virtq *vq = take_vring_fd(session, message, &fd, &error);
	if (vq == NULL) {
		return error;
	}
	virtq_set_kick(vq, fd);
	session->has_run = true;
	session->listener->queue_changed(session->data, vq->index);
	return 0;
}

static int handle_set_vring_call(struct session *session, struct conn_message *message)
{
	int fd = -1, error = 0;
	struct virtq *vq = take_vring_fd(session, message, &fd, &error);

	if (vq == NULL) {
		return error;
	}
	virtq_set_call(vq, fd);
	session->listener->queue_changed(session->data, vq->index);
	return 0;
}

static int handle_set_vring_err(struct session *session, struct conn_message *message)
{
	int fd = -1, error = 0;
	struct virtq *vq = take_vring_fd(session, message, &fd, &error);

	if (vq == NULL) {
		return error;
	}
	virtq_set_err(vq, fd);
	session->listener->queue_changed(session->data, vq->index);
	return 0;
}

static int handle_set_vring_enable(struct session *session, struct conn_message *message)
{
	struct virtq *vq = find_queue(session, message->payload.vring_state.index);

	if (vq == NULL) {
		return -EINVAL;
	}
	virtq_set_enabled(vq, message->payload.vring_state.num != 0);
	session->listener->queue_changed(session->data, vq->index);
	if (message->payload.vring_state.num == 0) {
		session->listener->quiesce(session->data);
	}
	return 0;
}

/* ---- config space and channels ---- */

static const struct backend_channel_listener channel_listener;

static bool is_config_sane(const struct conn_message *message)
{
	const struct vhost_user_config *config = &message->payload.config;

	return config->size == message->header.size - VHOST_USER_CONFIG_HEADER_SIZE &&
	       checked_range(config->offset, config->size, VHOST_USER_MAX_CONFIG_SIZE);
}

/*
 * The size is the front-end's choice: QEMU 10 reads 16 bytes, QEMU 11.1 20,
 * the generic device what it was told. Zero beyond what there is.
 */
static int handle_get_config(struct session *session, struct conn_message *message)
{
	struct vhost_user_config config = message->payload.config;
	size_t have = session->options.config_size_bytes;

	if (!is_config_sane(message)) {
		/* A reply of no bytes says "error" to the front-end. */
		return reply(session, message, NULL, 0);
	}
	memset(config.bytes, 0, sizeof(config.bytes));
	if (config.offset < have) {
		size_t n = MIN(config.size, have - config.offset);
		memcpy(config.bytes, (const char *)session->options.config + config.offset, n);
	}
	return reply(session, message, &config, VHOST_USER_CONFIG_HEADER_SIZE + config.size);
}

/*
 * The only writable field is events_clear. QEMU writes the whole space for it:
 * each write of its guest's, however small, becomes one from 0 on.
 */
static int handle_set_config(struct session *session, struct conn_message *message)
{
	const struct vhost_user_config *config = &message->payload.config;
	uint32_t events;

	if (!is_config_sane(message)) {
		return -EINVAL;
	}
	if (config->offset <= EVENTS_CLEAR_OFFSET &&
	    config->size >= EVENTS_CLEAR_OFFSET - config->offset + sizeof(events) &&
	    session->listener->events_cleared != NULL) {
		memcpy(&events, config->bytes + EVENTS_CLEAR_OFFSET - config->offset,
		       sizeof(events));
		session->listener->events_cleared(session->data, le32toh(events));
	}
	return 0;
}

static int handle_set_backend_req_fd(struct session *session, struct conn_message *message)
{
	struct backend_channel *old = session->backend_channel;
	int error = backend_channel_create(session->loop, conn_message_take_fd(message, 0),
					   &channel_listener, session, &session->backend_channel);

	if (error < 0) {
		log_warn("a channel of the front-end's that can't be listened to: %s",
			 g_strerror(-error));
		return error;
	}
	session->n_backend_channels++;
	if (old != NULL) {
		/* Whoever hears of it may ask at once, on the new one. */
		backend_channel_give_up(old, -ECANCELED);
		backend_channel_destroy(old);
	}
	return 0;
}

static bool is_window_acked(const struct session *session)
{
	return session->options.window_bytes > 0 &&
	       has_protocol_feature(session, session->options.window_feature_bit);
}

static int handle_get_shmem_config(struct session *session, struct conn_message *message)
{
	struct vhost_user_shmem_config config = { 0 };

	if (is_window_acked(session)) {
		config.n_regions = 1;
		config.memory_sizes[WINDOW_SHMID] = session->options.window_bytes;
	}
	return reply(session, message, &config, sizeof(config));
}

/* We share none: a reply without a descriptor. */
static int handle_get_shared_object(struct session *session, struct conn_message *message)
{
	return reply(session, message, &message->payload.shared, sizeof(struct vhost_user_shared));
}

static int handle_gpu_set_socket(struct session *session, struct conn_message *message)
{
	session->listener->display_socket(session->data, conn_message_take_fd(message, 0));
	return 0;
}

/* ---- dispatch ---- */

#define ANY_FDS 255

struct request {
	const char *name;
	/*
	 * Returns REPLIED, 0 (done), or -errno (refused). -EPROTO: the message
	 * makes no sense and the session ends.
	 */
	int (*handle)(struct session *session, struct conn_message *message);
	uint16_t min_size;
	uint16_t max_size;
	uint8_t min_fds;
	uint8_t max_fds;
	bool has_reply; /* a message with an answer of its own; none else can be acknowledged */
};

#define NO_PAYLOAD 0, 0
/* QEMU before 10.1 sends some payload-less requests with a stale size of 8. */
#define MAYBE_U64 0, sizeof(uint64_t)
#define EXACTLY(type) sizeof(type), sizeof(type)

static const struct request requests[] = {
	[VHOST_USER_GET_FEATURES] = { "GET_FEATURES", handle_get_features, MAYBE_U64, 0, 0, true },
	[VHOST_USER_SET_FEATURES] = { "SET_FEATURES", handle_set_features, EXACTLY(uint64_t), 0, 0,
				      false },
	[VHOST_USER_SET_OWNER] = { "SET_OWNER", handle_set_owner, MAYBE_U64, 0, 0, false },
	[VHOST_USER_RESET_OWNER] = { "RESET_OWNER", handle_reset_owner, MAYBE_U64, 0, 0, false },
	[VHOST_USER_SET_MEM_TABLE] = { "SET_MEM_TABLE", handle_set_mem_table, 8,
				       sizeof(struct vhost_user_mem_table), 0, ANY_FDS, false },
	[VHOST_USER_SET_LOG_BASE] = { "SET_LOG_BASE", handle_set_log, 0, 16, 0, 1, false },
	[VHOST_USER_SET_LOG_FD] = { "SET_LOG_FD", handle_set_log, MAYBE_U64, 0, 1, false },
	[VHOST_USER_SET_VRING_NUM] = { "SET_VRING_NUM", handle_set_vring_num,
				       EXACTLY(struct vhost_user_vring_state), 0, 0, false },
	[VHOST_USER_SET_VRING_ADDR] = { "SET_VRING_ADDR", handle_set_vring_addr,
					EXACTLY(struct vhost_user_vring_addr), 0, 0, false },
	[VHOST_USER_SET_VRING_BASE] = { "SET_VRING_BASE", handle_set_vring_base,
					EXACTLY(struct vhost_user_vring_state), 0, 0, false },
	[VHOST_USER_GET_VRING_BASE] = { "GET_VRING_BASE", handle_get_vring_base,
					EXACTLY(struct vhost_user_vring_state), 0, 0, true },
	[VHOST_USER_SET_VRING_KICK] = { "SET_VRING_KICK", handle_set_vring_kick, EXACTLY(uint64_t),
					0, 1, false },
	[VHOST_USER_SET_VRING_CALL] = { "SET_VRING_CALL", handle_set_vring_call, EXACTLY(uint64_t),
					0, 1, false },
	[VHOST_USER_SET_VRING_ERR] = { "SET_VRING_ERR", handle_set_vring_err, EXACTLY(uint64_t), 0,
				       1, false },
	[VHOST_USER_GET_PROTOCOL_FEATURES] = { "GET_PROTOCOL_FEATURES",
					       handle_get_protocol_features, MAYBE_U64, 0, 0, true },
	[VHOST_USER_SET_PROTOCOL_FEATURES] = { "SET_PROTOCOL_FEATURES",
					       handle_set_protocol_features, EXACTLY(uint64_t), 0, 0,
					       false },
	[VHOST_USER_GET_QUEUE_NUM] = { "GET_QUEUE_NUM", handle_get_queue_num, MAYBE_U64, 0, 0,
				       true },
	[VHOST_USER_SET_VRING_ENABLE] = { "SET_VRING_ENABLE", handle_set_vring_enable,
					  EXACTLY(struct vhost_user_vring_state), 0, 0, false },
	[VHOST_USER_SET_BACKEND_REQ_FD] = { "SET_BACKEND_REQ_FD", handle_set_backend_req_fd,
					    MAYBE_U64, 1, 1, false },
	[VHOST_USER_GET_CONFIG] = { "GET_CONFIG", handle_get_config, VHOST_USER_CONFIG_HEADER_SIZE,
				    sizeof(struct vhost_user_config), 0, 0, true },
	[VHOST_USER_SET_CONFIG] = { "SET_CONFIG", handle_set_config, VHOST_USER_CONFIG_HEADER_SIZE,
				    sizeof(struct vhost_user_config), 0, 0, false },
	[VHOST_USER_GPU_SET_SOCKET] = { "GPU_SET_SOCKET", handle_gpu_set_socket, MAYBE_U64, 1, 1,
					false },
	[VHOST_USER_RESET_DEVICE] = { "RESET_DEVICE", handle_reset_device, MAYBE_U64, 0, 0, false },
	[VHOST_USER_GET_MAX_MEM_SLOTS] = { "GET_MAX_MEM_SLOTS", handle_get_max_mem_slots, MAYBE_U64,
					   0, 0, true },
	[VHOST_USER_ADD_MEM_REG] = { "ADD_MEM_REG", handle_add_mem_reg,
				     EXACTLY(struct vhost_user_mem_reg), 1, 1, false },
	[VHOST_USER_REM_MEM_REG] = { "REM_MEM_REG", handle_rem_mem_reg,
				     EXACTLY(struct vhost_user_mem_reg), 0, 1, false },
	[VHOST_USER_GET_SHARED_OBJECT] = { "GET_SHARED_OBJECT", handle_get_shared_object,
					   EXACTLY(struct vhost_user_shared), 0, 0, true },
	[VHOST_USER_GET_SHMEM_CONFIG] = { "GET_SHMEM_CONFIG", handle_get_shmem_config, MAYBE_U64, 0,
					  0, true },
};

static const struct request *find_request(uint32_t number)
{
	if (number >= G_N_ELEMENTS(requests) || requests[number].handle == NULL) {
		return NULL;
	}
	return &requests[number];
}

static bool is_well_formed(const struct request *request, const struct conn_message *message)
{
	uint32_t size = message->header.size;

	return size >= request->min_size && size <= request->max_size &&
	       message->n_fds >= request->min_fds && message->n_fds <= request->max_fds;
}

/* Returns false if the session must end. */
static bool dispatch_message(struct session *session, struct conn_message *message)
{
	const struct request *request = find_request(message->header.request);
	int result = -ENOSYS;

	if (request == NULL) {
		log_warn("request %u of the front-end is unknown and ignored",
			 message->header.request);
	} else if (!is_well_formed(request, message)) {
		log_warn("%s: %u bytes and %zu descriptors are not what it takes", request->name,
			 message->header.size, message->n_fds);
		return false;
	} else {
		log_trace("%s", request->name);
		result = request->handle(session, message);
	}
	if (result == -EPROTO) {
		log_warn("%s: a message that makes no sense; the connection is closed",
			 request->name);
		return false;
	}
	if (session->is_closed) {
		return false;
	}
	if (result == REPLIED) {
		return true;
	}
	if (message->header.flags & VHOST_USER_FLAG_NEED_REPLY &&
	    has_protocol_feature(session, VHOST_USER_PROTOCOL_F_REPLY_ACK)) {
		reply_u64(session, message, result == 0 ? 0 : (uint64_t)-result);
	}
	return !session->is_closed;
}

static void end(struct session *session, bool has_failed)
{
	session->is_closed = true;
	loop_remove(session->loop, &session->source);
	g_clear_pointer(&session->backend_channel, backend_channel_destroy);
	session->listener->closed(session->data, has_failed);
}

static void take_messages(struct session *session, unsigned int max)
{
	for (unsigned int i = 0; i < max && !session->is_closed; i++) {
		struct conn_message message;
		enum conn_status status = conn_receive(&session->conn, &message);

		if (status == CONN_E_AGAIN) {
			return;
		}
		if (status != CONN_OK) {
			end(session, status == CONN_E_VIOLATION);
			return;
		}
		bool goes_on = dispatch_message(session, &message);
		conn_message_finish(&message);
		if (!goes_on) {
			end(session, true);
		}
	}
}

static void dispatch_socket(void *data, uint32_t events G_GNUC_UNUSED)
{
	take_messages(data, MESSAGES_PER_WAKEUP);
}

/* ---- the channel for what we ask ---- */

/*
 * A front-end that resets the device, and then maps what we had asked it to
 * before, says the one on its socket and the other here. If we heard them the
 * other way round we would take that mapping for one that is gone.
 */
static bool replies_came(void *data)
{
	struct session *session = data;
	unsigned int n_channels = session->n_backend_channels;

	take_messages(session, MAX_MESSAGES_BEFORE_REPLIES);
	return !session->is_closed && session->n_backend_channels == n_channels;
}

static void answered(void *data, uint64_t number, int error)
{
	struct session *session = data;

	if (number < FIRST_CONFIG_NUMBER) {
		session->listener->mapped(session->data, number, error);
	} else if (session->listener->config_told != NULL) {
		session->listener->config_told(session->data, (uint32_t)(number - FIRST_CONFIG_NUMBER),
					       error);
	}
}

static const struct backend_channel_listener channel_listener = {
	.replies_came = replies_came,
	.answered = answered,
};

/* 0 or -errno. */
static int check_window(const struct session *session, uint64_t offset_bytes, uint64_t size_bytes)
{
	uint64_t page_bytes = (uint64_t)sysconf(_SC_PAGESIZE);

	if (!is_window_acked(session) || session->backend_channel == NULL ||
	    (session->protocol_features & MAPPING_FEATURES) != MAPPING_FEATURES) {
		return -ENOTSUP;
	}
	return size_bytes > 0 && offset_bytes % page_bytes == 0 && size_bytes % page_bytes == 0 &&
			       checked_range(offset_bytes, size_bytes, session->options.window_bytes)
		       ? 0
		       : -EINVAL;
}

int session_map(struct session *session, uint64_t number, uint64_t offset_bytes,
		uint64_t size_bytes, int fd_borrow, uint64_t fd_offset_bytes)
{
	const struct vhost_user_mmap range = {
		.shmid = WINDOW_SHMID,
		.fd_offset = fd_offset_bytes,
		.shm_offset = offset_bytes,
		.len = size_bytes,
		.flags = VHOST_USER_MMAP_RW,
	};
	int error = check_window(session, offset_bytes, size_bytes);

	return error < 0
		       ? error
		       : backend_channel_map(session->backend_channel, number, &range, fd_borrow,
					     has_protocol_feature(
						     session, VHOST_USER_PROTOCOL_F_SHARED_OBJECT));
}

int session_unmap(struct session *session, uint64_t number, uint64_t offset_bytes,
		  uint64_t size_bytes)
{
	const struct vhost_user_mmap range = {
		.shmid = WINDOW_SHMID,
		.shm_offset = offset_bytes,
		.len = size_bytes,
	};
	int error = check_window(session, offset_bytes, size_bytes);

	return error < 0 ? error
			 : backend_channel_unmap(session->backend_channel, number, &range);
}

int session_tell_config(struct session *session, uint32_t serial)
{
	if (session->backend_channel == NULL ||
	    (session->protocol_features & CONFIG_FEATURES) != CONFIG_FEATURES) {
		return -ENOTSUP;
	}
	return backend_channel_tell_config(session->backend_channel,
					   FIRST_CONFIG_NUMBER + serial);
}

/* ---- life ---- */

int session_init(struct session *session, struct loop *loop, int consume_fd,
		 const struct session_options *options, const struct session_listener *listener,
		 void *data)
{
	*session = (struct session){
		.options = *options,
		.listener = listener,
		.data = data,
		.loop = loop,
		.mem = guestmem_create_empty(),
	};
	session->source = (struct loop_source){ .dispatch = dispatch_socket, .data = session };
	conn_init(&session->conn, consume_fd);

	int error = loop_add(loop, &session->source, consume_fd, EPOLLIN);
	if (error < 0) {
		session_finish(session);
	}
	return error;
}

void session_finish(struct session *session)
{
	loop_remove(session->loop, &session->source);
	conn_finish(&session->conn);
	guestmem_unref(session->mem);
	session->mem = NULL;
	g_clear_pointer(&session->backend_channel, backend_channel_destroy);
}
