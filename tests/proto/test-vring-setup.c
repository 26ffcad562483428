/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * The memory table and the rings' set-up: what is granted, what is refused, and that a stopped ring
 * stays as it is.
 */
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#include "proto.h"

static uint64_t request_region(struct rig *rig, uint32_t request,
			       struct vhost_user_mem_region region, int fd)
{
	struct vhost_user_mem_reg_msg msg = {.region = region};

	return frontend_request(rig->frontend, request, &msg, sizeof(msg), &fd,
				request == VHOST_USER_ADD_MEM_REG ? 1 : 0);
}

static uint64_t add_region(struct rig *rig, uint64_t gpa, uint64_t size, uint64_t uva, int fd)
{
	struct vhost_user_mem_region region = {gpa, size, uva, 0};

	return request_region(rig, VHOST_USER_ADD_MEM_REG, region, fd);
}

static void test_add_mem_reg(const void *data G_GNUC_UNUSED)
{
	struct rig *rig = proto_rig_handshaken();
	const uint64_t mib = 1 << 20, uva = UINT64_C(0x600000000000);
	int fd = memfd_create("region", MFD_CLOEXEC), event_fd = eventfd(0, EFD_CLOEXEC);
	int pipe_fds[2];

	g_assert_no_errno(ftruncate(fd, (off_t)mib));
	g_assert_no_errno(pipe(pipe_fds));
	unsigned int n_fds = daemon_count_fds(rig->daemon);

	g_assert_cmpuint(add_region(rig, 16 * mib, mib, uva, fd), ==, 0);
	/* The same again, overlaps at either end and around, at guest or user addresses. */
	g_assert_cmpuint(add_region(rig, 16 * mib, mib, uva, fd), !=, 0);
	g_assert_cmpuint(add_region(rig, 16 * mib + mib / 2, mib, uva + 4 * mib, fd), !=, 0);
	g_assert_cmpuint(add_region(rig, 16 * mib - mib / 2, mib, uva + 4 * mib, fd), !=, 0);
	g_assert_cmpuint(add_region(rig, 16 * mib + 4096, 4096, uva + 4 * mib, fd), !=, 0);
	/* Nothing, more than there is, around the end of the address space. */
	g_assert_cmpuint(add_region(rig, 32 * mib, 0, uva + 8 * mib, fd), !=, 0);
	g_assert_cmpuint(add_region(rig, 32 * mib, 2 * mib, uva + 8 * mib, fd), !=, 0);
	g_assert_cmpuint(add_region(rig, UINT64_MAX - 4095, mib, uva + 8 * mib, fd), !=, 0);
	g_assert_cmpuint(add_region(rig, 32 * mib, mib, UINT64_MAX - 4095, fd), !=, 0);
	g_assert_cmpuint(add_region(rig, 32 * mib, UINT64_MAX & ~UINT64_C(4095), uva + 8 * mib, fd),
			 !=, 0);
	struct vhost_user_mem_region wrapped = {32 * mib, mib, uva + 8 * mib, UINT64_MAX - 4095};
	g_assert_cmpuint(request_region(rig, VHOST_USER_ADD_MEM_REG, wrapped, fd), !=, 0);
	/* What can't be mapped. */
	g_assert_cmpuint(add_region(rig, 32 * mib, mib, uva + 8 * mib, pipe_fds[0]), !=, 0);
	g_assert_cmpuint(add_region(rig, 32 * mib, mib, uva + 8 * mib, event_fd), !=, 0);
	/* After all of it there is one region, and a good one is taken. */
	g_assert_cmpuint(add_region(rig, 32 * mib, mib, uva + 8 * mib, fd), ==, 0);
	g_assert_cmpuint(daemon_count_fds(rig->daemon), <=, n_fds + 2);
	close(fd);
	close(event_fd);
	close(pipe_fds[0]);
	close(pipe_fds[1]);
	rig_destroy(rig);
}

static void test_rem_mem_reg(const void *data G_GNUC_UNUSED)
{
	struct rig *rig = proto_rig_handshaken();
	struct vhost_user_mem_region region = rig->ram->regions[0].wire;

	g_assert_cmpuint(request_region(rig, VHOST_USER_REM_MEM_REG, region, -1), !=, 0);
	frontend_add_memory(rig->frontend, rig->ram);
	struct vhost_user_mem_region other = region;
	other.guest_addr += 4096;
	g_assert_cmpuint(request_region(rig, VHOST_USER_REM_MEM_REG, other, -1), !=, 0);
	other = region;
	other.size -= 4096;
	g_assert_cmpuint(request_region(rig, VHOST_USER_REM_MEM_REG, other, -1), !=, 0);
	g_assert_cmpuint(request_region(rig, VHOST_USER_REM_MEM_REG, region, -1), ==, 0);
	g_assert_cmpuint(request_region(rig, VHOST_USER_REM_MEM_REG, region, -1), !=, 0);
	g_assert_cmpuint(frontend_add_region(rig->frontend, &rig->ram->regions[0]), ==, 0);
	rig_destroy(rig);
}

static void test_max_mem_slots(const void *data G_GNUC_UNUSED)
{
	struct rig *rig = proto_rig_handshaken();
	uint64_t n_slots = frontend_get_u64(rig->frontend, VHOST_USER_GET_MAX_MEM_SLOTS);
	const uint64_t uva = UINT64_C(0x600000000000), step = 1 << 20;
	int fd = memfd_create("region", MFD_CLOEXEC);

	g_assert_no_errno(ftruncate(fd, 4096));
	g_assert_cmpuint(n_slots, <=, 4096);
	for (uint64_t i = 0; i < n_slots; i++) {
		g_assert_cmpuint(add_region(rig, i * step, 4096, uva + i * step, fd), ==, 0);
	}
	g_assert_cmpuint(add_region(rig, n_slots * step, 4096, uva + n_slots * step, fd), !=, 0);
	struct vhost_user_mem_region middle = {n_slots / 2 * step, 4096, uva + n_slots / 2 * step,
					       0};
	g_assert_cmpuint(request_region(rig, VHOST_USER_REM_MEM_REG, middle, -1), ==, 0);
	g_assert_cmpuint(add_region(rig, n_slots * step, 4096, uva + n_slots * step, fd), ==, 0);
	close(fd);
	rig_destroy(rig);
}

static uint64_t set_mem_table(struct rig *rig, uint32_t claimed,
			      const struct vhost_user_mem_region *regions, uint32_t n_regions)
{
	uint8_t payload[8 + 9 * sizeof(*regions)];
	int fds[9];

	memset(payload, 0, sizeof(payload));
	memcpy(payload, &claimed, sizeof(claimed));
	memcpy(payload + 8, regions, n_regions * sizeof(*regions));
	for (uint32_t i = 0; i < n_regions; i++) {
		fds[i] = rig->ram->regions[0].memfd;
	}
	return frontend_request(rig->frontend, VHOST_USER_SET_MEM_TABLE, payload,
				8 + n_regions * (uint32_t)sizeof(*regions), fds, n_regions);
}

static void test_set_mem_table(const void *data G_GNUC_UNUSED)
{
	struct rig *rig = proto_rig_handshaken();
	const uint64_t uva = UINT64_C(0x600000000000);
	const struct vhost_user_mem_region good[2] = {{0, 4096, uva, 0},
						      {8192, 4096, uva + 8192, 4096}};
	const struct vhost_user_mem_region overlap[2] = {{0, 8192, uva, 0},
							 {4096, 8192, uva + 65536, 4096}};
	const struct vhost_user_mem_region empty[1] = {{0, 0, uva, 0}};

	g_assert_cmpuint(set_mem_table(rig, 2, good, 2), ==, 0);
	g_assert_cmpuint(set_mem_table(rig, 2, overlap, 2), !=, 0);
	g_assert_cmpuint(set_mem_table(rig, 1, empty, 1), !=, 0);
	frontend_set_mem_table(rig->frontend, rig->ram);
	/* The table replaces the one before; commands are served from it. */
	frontend_set_features(rig->frontend, rig->acked_features);
	frontend_start_ring(rig->frontend, rig->control, 0, false);
	rig_assert_serves(rig);
	rig_destroy(rig);
}

static uint64_t set_vring(struct rig *rig, uint32_t request, uint32_t index, uint32_t num)
{
	struct vhost_user_vring_state state = {index, num};

	return frontend_request(rig->frontend, request, &state, sizeof(state), NULL, 0);
}

static void test_vring_index(const void *data G_GNUC_UNUSED)
{
	static const uint32_t requests[] = {VHOST_USER_SET_VRING_NUM, VHOST_USER_SET_VRING_BASE,
					    VHOST_USER_SET_VRING_ENABLE};
	static const uint32_t indexes[] = {2, 3, 255, 256, 0x80000000, UINT32_MAX};
	struct rig *rig = proto_rig_handshaken();

	for (size_t i = 0; i < G_N_ELEMENTS(indexes); i++) {
		for (size_t j = 0; j < G_N_ELEMENTS(requests); j++) {
			g_assert_cmpuint(set_vring(rig, requests[j], indexes[i], 0), !=, 0);
		}
		struct vhost_user_vring_addr addr = {.index = indexes[i]};
		g_assert_cmpuint(frontend_request(rig->frontend, VHOST_USER_SET_VRING_ADDR, &addr,
						  sizeof(addr), NULL, 0),
				 !=, 0);
	}
	for (uint64_t index = 2; index < 256; index += 50) {
		int fd = rig->control->kick_fd;
		g_assert_cmpuint(frontend_request(rig->frontend, VHOST_USER_SET_VRING_KICK, &index,
						  sizeof(index), &fd, 1),
				 !=, 0);
		g_assert_cmpuint(frontend_request(rig->frontend, VHOST_USER_SET_VRING_CALL, &index,
						  sizeof(index), &fd, 1),
				 !=, 0);
	}
	rig_start(rig, 0, 0);
	rig_assert_serves(rig);
	rig_destroy(rig);
}

static void test_vring_num(const void *data G_GNUC_UNUSED)
{
	static const uint32_t bad[] = {0, 3, 255, 2048, 32768, 65536, 0x10000 + 256, UINT32_MAX};
	struct rig *rig = proto_rig_handshaken();

	for (size_t i = 0; i < G_N_ELEMENTS(bad); i++) {
		g_assert_cmpuint(set_vring(rig, VHOST_USER_SET_VRING_NUM, 0, bad[i]), !=, 0);
	}
	for (uint32_t num = 2; num <= 1024; num *= 2) {
		g_assert_cmpuint(set_vring(rig, VHOST_USER_SET_VRING_NUM, 0, num), ==, 0);
	}
	rig_start(rig, 0, 0);
	rig_assert_serves(rig);
	rig_destroy(rig);
}

static void test_vring_sizes(const void *data G_GNUC_UNUSED)
{
	static const uint16_t sizes[] = {2, 4, 64, 1024};

	for (size_t i = 0; i < G_N_ELEMENTS(sizes); i++) {
		struct rig *rig = rig_create(&(struct rig_options){.ring_size = sizes[i]});
		for (unsigned int j = 0; j < 3u * sizes[i]; j++) {
			g_assert_resp(vgpu_resource_unref(rig->vgpu, 1),
				      VIRTIO_GPU_RESP_ERR_INVALID_RESOURCE_ID);
		}
		rig_destroy(rig);
	}
}

/* Refused at once, or taken and then the queue broken when it is kicked; either way nothing else
 * suffers. */
static void check_bad_addr(uint64_t desc_delta, uint64_t avail_delta, uint64_t used_delta)
{
	struct rig *rig = proto_rig_handshaken();
	struct ring *ring = rig->control;
	struct vhost_user_vring_addr addr = {
		.index = 0,
		.desc = guestram_to_uva(rig->ram, ring->desc_gpa) + desc_delta,
		.avail = guestram_to_uva(rig->ram, ring->avail_gpa) + avail_delta,
		.used = guestram_to_uva(rig->ram, ring->used_gpa) + used_delta,
	};

	rig_start(rig, 0, 0);
	frontend_stop_ring(rig->frontend, 0);
	uint64_t ack = frontend_request(rig->frontend, VHOST_USER_SET_VRING_ADDR, &addr,
					sizeof(addr), NULL, 0);
	if (ack == 0) {
		frontend_set_vring_fd(rig->frontend, VHOST_USER_SET_VRING_KICK, 0, ring->kick_fd);
		set_vring(rig, VHOST_USER_SET_VRING_ENABLE, 0, 1);
		ring_kick_always(ring);
		g_assert_true(ring_wait_error(ring, 2000));
	}
	rig_revive_queue(rig, VGPU_CONTROL);
	rig_assert_serves(rig);
	rig_destroy(rig);
}

static void test_vring_addr(const void *data G_GNUC_UNUSED)
{
	const uint64_t away = UINT64_C(0x100000000000);

	check_bad_addr(away, 0, 0);
	check_bad_addr(0, away, 0);
	check_bad_addr(0, 0, away);
	check_bad_addr(1, 0, 0);
	check_bad_addr(0, 1, 0);
	check_bad_addr(0, 0, 2);
	/* The last descriptor would lie beyond the region. */
	check_bad_addr((UINT64_C(32) << 20) - 4096 + 16, 0, 0);
}

static void test_kick_before_enable(const void *data G_GNUC_UNUSED)
{
	struct rig *rig = proto_rig_handshaken();
	struct virtio_gpu_ctrl_hdr cmd = {.type = VIRTIO_GPU_CMD_GET_DISPLAY_INFO};
	struct vgpu_chain chain = {
		.request = &cmd, .request_size = sizeof(cmd), .response_size = 408};

	frontend_set_features(rig->frontend, rig->acked_features);
	frontend_add_memory(rig->frontend, rig->ram);
	frontend_start_ring(rig->frontend, rig->control, 0, true);
	struct vgpu_call *call = vgpu_submit(rig->vgpu, VGPU_CONTROL, &chain);
	ring_kick_always(rig->control);
	for (unsigned int i = 0; i < 50; i++) {
		frontend_assert_alive(rig->frontend);
		g_assert_cmpuint(ring_used_idx(rig->control), ==, 0);
	}
	/* The kick is not lost. */
	frontend_set_vring(rig->frontend, VHOST_USER_SET_VRING_ENABLE, 0, 1);
	g_assert_true(vgpu_wait(rig->vgpu, call, VGPU_ANSWER_MS));
	g_assert_resp(vgpu_finish(rig->vgpu, call), VIRTIO_GPU_RESP_OK_DISPLAY_INFO);
	rig_destroy(rig);
}

/* As above, and what was put in the ring before it was set up at all is served with no kick
 * whatever. */
static void test_avail_before_start(const void *data G_GNUC_UNUSED)
{
	struct rig *rig = proto_rig_handshaken();
	struct virtio_gpu_ctrl_hdr cmd = {.type = VIRTIO_GPU_CMD_GET_DISPLAY_INFO};
	struct vgpu_chain chain = {
		.request = &cmd, .request_size = sizeof(cmd), .response_size = 408};
	struct vgpu_call *call = vgpu_submit(rig->vgpu, VGPU_CONTROL, &chain);

	ring_kick_always(rig->control);
	rig_start(rig, 0, 0);
	g_assert_true(vgpu_wait(rig->vgpu, call, VGPU_ANSWER_MS));
	g_assert_resp(vgpu_finish(rig->vgpu, call), VIRTIO_GPU_RESP_OK_DISPLAY_INFO);
	rig_destroy(rig);
}

static void test_enable_off(const void *data)
{
	struct rig *rig = rig_create_mode(data);
	struct virtio_gpu_ctrl_hdr cmd = {.type = VIRTIO_GPU_CMD_GET_DISPLAY_INFO};
	struct vgpu_chain chain = {
		.request = &cmd, .request_size = sizeof(cmd), .response_size = 408};

	rig_assert_serves(rig);
	frontend_set_vring(rig->frontend, VHOST_USER_SET_VRING_ENABLE, 0, 0);
	uint16_t used = ring_used_idx(rig->control);
	struct vgpu_call *call = vgpu_submit(rig->vgpu, VGPU_CONTROL, &chain);
	ring_kick_always(rig->control);
	for (unsigned int i = 0; i < 50; i++) {
		frontend_assert_alive(rig->frontend);
		g_assert_cmpuint(ring_used_idx(rig->control), ==, used);
	}
	frontend_set_vring(rig->frontend, VHOST_USER_SET_VRING_ENABLE, 0, 1);
	g_assert_true(vgpu_wait(rig->vgpu, call, VGPU_ANSWER_MS));
	vgpu_finish(rig->vgpu, call);
	rig_destroy(rig);
}

static void test_get_vring_base(const void *data)
{
	struct rig *rig = rig_create_mode(data);
	struct virtio_gpu_ctrl_hdr cmd = {.type = VIRTIO_GPU_CMD_GET_DISPLAY_INFO};
	struct vgpu_chain chain = {
		.request = &cmd, .request_size = sizeof(cmd), .response_size = 408};

	for (unsigned int i = 0; i < 7; i++) {
		vgpu_resource_unref(rig->vgpu, 1);
	}
	vgpu_move_cursor(rig->vgpu, 0, 0, 1, 1);
	g_assert_cmpuint(frontend_stop_ring(rig->frontend, 0), ==, 7);
	g_assert_cmpuint(frontend_stop_ring(rig->frontend, 1), ==, 1);
	/* Nothing is taken from and nothing written to a stopped ring. */
	struct vgpu_call *call = vgpu_submit(rig->vgpu, VGPU_CONTROL, &chain);
	ring_kick_always(rig->control);
	for (unsigned int i = 0; i < 50; i++) {
		frontend_assert_alive(rig->frontend);
		g_assert_cmpuint(ring_used_idx(rig->control), ==, 7);
	}
	g_assert_cmpuint(frontend_stop_ring(rig->frontend, 0), ==, 7);
	frontend_start_ring(rig->frontend, rig->control, 7, false);
	g_assert_true(vgpu_wait(rig->vgpu, call, VGPU_ANSWER_MS));
	vgpu_finish(rig->vgpu, call);
	g_assert_cmpuint(frontend_stop_ring(rig->frontend, 0), ==, 8);
	rig_destroy(rig);
}

/* 65,536 commands later the indexes start again at 0. */
static void test_index_wraps(const void *data)
{
	struct rig *rig = rig_create_mode(data);

	/* By hand at the end of the range: rings that have run for long look like this. */
	frontend_stop_ring(rig->frontend, 0);
	rig->control->avail_idx = 65530;
	rig->control->last_used = 65530;
	rig->control->avail->idx = 65530;
	rig->control->used->idx = 65530;
	frontend_start_ring(rig->frontend, rig->control, 65530, false);
	for (unsigned int i = 0; i < 20; i++) {
		rig_assert_serves(rig);
	}
	g_assert_cmpuint(frontend_stop_ring(rig->frontend, 0), ==, 14);
	frontend_start_ring(rig->frontend, rig->control, 14, false);
	rig_assert_serves(rig);
	rig_destroy(rig);
}

static void test_vring_call(const void *data)
{
	struct rig *rig = rig_create_mode(data);
	int old_fd = rig->control->call_fd;
	eventfd_t value;

	/* QEMU replaces it while the ring runs; interrupts go to the new one from then on. */
	rig_assert_serves(rig);
	rig->control->call_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	frontend_set_vring_fd(rig->frontend, VHOST_USER_SET_VRING_CALL, 0, rig->control->call_fd);
	frontend_assert_alive(rig->frontend);
	(void)eventfd_read(old_fd, &value);
	for (unsigned int i = 0; i < 10; i++) {
		rig_assert_serves(rig);
	}
	g_assert_cmpint(eventfd_read(old_fd, &value), <, 0);
	close(old_fd);
	rig_destroy(rig);
}

static bool has_used_one(void *data)
{
	return ring_used_idx(data) == 1;
}

static void test_vring_call_nofd(const void *data)
{
	struct rig *rig = rig_create_mode(data);
	uint64_t value = 0 | VHOST_USER_VRING_NOFD;
	struct virtio_gpu_ctrl_hdr cmd = {.type = VIRTIO_GPU_CMD_GET_DISPLAY_INFO};
	struct vgpu_chain chain = {
		.request = &cmd, .request_size = sizeof(cmd), .response_size = 408};
	struct vring_used_elem elem;

	/* The driver polls. */
	g_assert_cmpuint(frontend_request(rig->frontend, VHOST_USER_SET_VRING_CALL, &value,
					  sizeof(value), NULL, 0),
			 ==, 0);
	struct vgpu_call *call = vgpu_submit(rig->vgpu, VGPU_CONTROL, &chain);
	vgpu_kick(rig->vgpu, VGPU_CONTROL);
	g_assert_true(suite_wait(has_used_one, rig->control, VGPU_ANSWER_MS));
	g_assert_true(ring_pop_used(rig->control, &elem));
	g_assert_cmpuint(elem.id, ==, call->head);
	g_assert_cmpuint(ring_take_calls(rig->control), ==, 0);
	rig_destroy(rig);
}

/* A ring that the device is to poll: it may be refused, and must not disturb anything. */
static void test_vring_kick_nofd(const void *data)
{
	struct rig *rig = rig_create_mode(data);
	uint64_t value = 1 | VHOST_USER_VRING_NOFD;

	frontend_request(rig->frontend, VHOST_USER_SET_VRING_KICK, &value, sizeof(value), NULL, 0);
	rig_assert_serves(rig);
	value = 1 | VHOST_USER_VRING_NOFD;
	g_assert_cmpuint(frontend_request(rig->frontend, VHOST_USER_SET_VRING_ERR, &value,
					  sizeof(value), NULL, 0),
			 ==, 0);
	rig_assert_serves(rig);
	rig_destroy(rig);
}

/* A kick or call that is no eventfd: files are always readable, pipes end. */
static void test_vring_fd_kinds(const void *data)
{
	struct rig *rig = rig_create_mode(data);
	uint64_t index = 1;
	int pipe_fds[2];

	g_assert_no_errno(pipe(pipe_fds));
	close(pipe_fds[1]);
	int fds[2] = {rig->ram->regions[0].memfd, pipe_fds[0]};
	for (size_t i = 0; i < G_N_ELEMENTS(fds); i++) {
		frontend_request(rig->frontend, VHOST_USER_SET_VRING_KICK, &index, sizeof(index),
				 &fds[i], 1);
		frontend_request(rig->frontend, VHOST_USER_SET_VRING_CALL, &index, sizeof(index),
				 &fds[i], 1);
		frontend_request(rig->frontend, VHOST_USER_SET_VRING_ERR, &index, sizeof(index),
				 &fds[i], 1);
		rig_assert_serves(rig);
	}
	close(pipe_fds[0]);
	rig_destroy(rig);
}

/* The device is a thread of the process that is asked, or in a process of its own. */
static const char thread_mode[] = "null", process_mode[] = "virglrenderer";

static void add(const char *name, suite_fn fn)
{
	suite_add(fn, thread_mode, "/proto/vhost/%s", name);
	suite_add(fn, process_mode, "/proto/vhost/%s/%s", process_mode, name);
}

int main(int argc, char **argv)
{
	suite_init(&argc, &argv);
	suite_add(test_add_mem_reg, NULL, "/proto/vhost/add_mem_reg");
	suite_add(test_rem_mem_reg, NULL, "/proto/vhost/rem_mem_reg");
	suite_add(test_max_mem_slots, NULL, "/proto/vhost/max_mem_slots");
	suite_add(test_set_mem_table, NULL, "/proto/vhost/set_mem_table");
	suite_add(test_vring_index, NULL, "/proto/vhost/vring_index");
	suite_add(test_vring_num, NULL, "/proto/vhost/vring_num");
	suite_add(test_vring_sizes, NULL, "/proto/vhost/vring_sizes");
	suite_add(test_vring_addr, NULL, "/proto/vhost/vring_addr");
	suite_add(test_kick_before_enable, NULL, "/proto/vhost/kick_before_enable");
	suite_add(test_avail_before_start, NULL, "/proto/vhost/avail_before_start");
	add("enable_off", test_enable_off);
	add("get_vring_base", test_get_vring_base);
	add("index_wraps", test_index_wraps);
	add("vring_call", test_vring_call);
	add("vring_call_nofd", test_vring_call_nofd);
	add("vring_kick_nofd", test_vring_kick_nofd);
	add("vring_fd_kinds", test_vring_fd_kinds);
	return suite_run();
}
