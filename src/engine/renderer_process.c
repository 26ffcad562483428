/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "engine/renderer_process.h"

#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "engine/remote_display.h"
#include "gpu/udmabuf.h"
#include "gpu/worker.h"
#include "sandbox.h"
#include "util/arena.h"
#include "util/log.h"
#include "util/loop.h"

/* How many messages to take before the loop's other sources get their turn. */
#define MESSAGES_PER_WAKEUP 16
/* Address space for frames, for each byte that they may take, as free room comes in pieces. */
#define ARENA_SLACK 2

/* A region of guest memory, by the name that the keeper has for it. */
struct known_region {
	uint64_t id;
	struct guestmem_region_desc desc;
	int fd; /* of one that is wanted and not mapped yet; else -1 */
};

struct renderer_process {
	struct renderer_process_options options;
	int link_fd;
	struct loop loop;
	struct loop_source link_source;
	void *buffer; /* of link_receive() */
	struct quota quota;
	struct arena *arena;
	int udmabuf_fd; /* or -1 */
	struct virtq queues[COMMAND_N_QUEUES];

	struct guestmem *mem;
	GArray *known;	/* struct known_region: what mem is made of */
	GArray *wanted; /* struct known_region: of the table that comes in parts */

	uint64_t features;
	uint32_t generation; /* atomic; see struct link_record */
	GQueue restored; /* struct link_record and bytes in a GBytes, until the device is there */
	struct link_mode modes[DISPLAY_MAX_SCANOUTS]; /* it begins with; width 0: none */
	struct worker *worker;			 /* NULL until started */
	const struct display_listener *listener; /* the worker's, of our display */
	void *listener_data;
	struct display *display; /* the worker's */
	int has_failed; /* atomic, set by the device thread */
	int exit_status;
};

/* ---- the device thread calls ---- */

static int create_display(void *data, const struct display_listener *listener, void *listener_data,
			  struct display **display_out)
{
	struct renderer_process *process = data;

	process->listener = listener;
	process->listener_data = listener_data;
	process->display = display_create_remote(process->link_fd, process->options.shared,
						 listener, listener_data);
	*display_out = process->display;
	return 0;
}

static void tell_record(struct renderer_process *process, enum link_type type, uint32_t kind,
			uint32_t id, const void *bytes, size_t n_bytes)
{
	const struct link_record head = {
		.kind = kind,
		.id = id,
		.generation = __atomic_load_n(&process->generation, __ATOMIC_RELAXED),
	};
	int error = link_send_wait(process->link_fd, type, &head, sizeof(head), bytes, n_bytes,
				   NULL, 0);

	if (error < 0) {
		log_debug("telling the keeper: %s", g_strerror(-error));
	}
}

static void put_record(void *data, enum record_kind kind, uint32_t id, const void *bytes,
		       size_t n_bytes)
{
	tell_record(data, LINK_PUT, kind, id, bytes, n_bytes);
}

static void drop_record(void *data, enum record_kind kind, uint32_t id)
{
	tell_record(data, LINK_DROP, kind, id, NULL, 0);
}

/* The keeper has dropped all by itself, but for those that came meanwhile. */
static void drop_all_records(void *data)
{
	tell_record(data, LINK_DROP_ALL, 0, 0, NULL, 0);
}

static const struct recorder recorder = {
	.put = put_record,
	.drop = drop_record,
	.drop_all = drop_all_records,
};

static bool ask(struct renderer_process *process, enum link_type type, uint64_t token,
		const struct mapper_range *range, int fd_borrow, uint64_t fd_offset_bytes)
{
	const struct link_mapping body = {
		.token = token,
		.offset_bytes = range->offset_bytes,
		.size_bytes = range->size_bytes,
		.fd_offset_bytes = fd_offset_bytes,
		.generation = __atomic_load_n(&process->generation, __ATOMIC_RELAXED),
	};
	int error = link_send_wait(process->link_fd, type, &body, sizeof(body), NULL, 0,
				   &fd_borrow, fd_borrow >= 0 ? 1 : 0);

	if (error < 0) {
		log_debug("asking the keeper: %s", g_strerror(-error));
	}
	return error == 0;
}

static bool map(void *data, uint64_t token, const struct mapper_range *range, int fd_borrow,
		uint64_t fd_offset_bytes)
{
	return ask(data, LINK_MAP, token, range, fd_borrow, fd_offset_bytes);
}

static bool unmap(void *data, uint64_t token, const struct mapper_range *range)
{
	return ask(data, LINK_UNMAP, token, range, -1, 0);
}

static const struct mapper mapper = { .map = map, .unmap = unmap };

static void grabbed(void *data, uint32_t scanout_id, struct frame *consume_frame,
		    const struct rect *view)
{
	const struct renderer_process *process = data;

	remote_display_give(process->display, scanout_id, consume_frame, view);
	frame_unref(consume_frame);
}

static void grabbed_cursor(void *data, uint32_t scanout_id, uint32_t *consume_pixels)
{
	const struct renderer_process *process = data;

	remote_display_give_cursor(process->display, scanout_id, consume_pixels);
	g_free(consume_pixels);
}

static void mode_set(void *data, uint32_t scanout_id, uint32_t width, uint32_t height)
{
	const struct renderer_process *process = data;
	const struct link_mode mode = { scanout_id, width, height };

	if (link_send_wait(process->link_fd, LINK_MODE_SET, &mode, sizeof(mode), NULL, 0, NULL,
			   0) < 0) {
		log_debug("the keeper is gone");
	}
}

static void restore(struct device *device, GBytes *record)
{
	gsize size;
	const char *bytes = g_bytes_get_data(record, &size);
	struct link_record head;

	memcpy(&head, bytes, sizeof(head));
	if (!device_restore(device, head.kind, head.id, bytes + sizeof(head),
			    size - sizeof(head))) {
		log_warn("a record of kind %u, id %u can't be restored", head.kind, head.id);
	}
}

/* There is no renderer, which has said why. The keeper sees us end. */
static void failed(void *data)
{
	struct renderer_process *process = data;

	g_atomic_int_set(&process->has_failed, 1);
	loop_wake(&process->loop);
}

static void started(void *data, struct device *device)
{
	struct renderer_process *process = data;
	GBytes *record;

	if (sandbox_limit_memory(process->options.options) < 0) {
		failed(process);
	}
	/* First, because what can't be restored is dropped. */
	device_set_recorder(device, &recorder, process);
	while ((record = g_queue_pop_head(&process->restored)) != NULL) {
		restore(device, record);
		g_bytes_unref(record);
	}
	device_count(device);
	for (uint32_t i = 0; i < DISPLAY_MAX_SCANOUTS; i++) {
		const struct link_mode *mode = &process->modes[i];

		if (mode->width != 0) {
			device_set_mode(device, i, mode->width, mode->height);
			mode_set(process, i, mode->width, mode->height);
		}
	}
	device_ask_info(device);
	if (link_send_wait(process->link_fd, LINK_RUNNING, NULL, 0, NULL, 0, NULL, 0) < 0) {
		log_debug("the keeper is gone");
	}
}

/* The keeper looks at us now and then, from the first command after a pause on. */
static void busy(void *data, bool is_busy, gint64 awaited_since_us)
{
	const struct renderer_process *process = data;
	struct link_shared *shared = process->options.shared;
	__atomic_store_n(&shared->busy_since_us, is_busy ? g_get_monotonic_time() : 0,
			 __ATOMIC_RELAXED);
	__atomic_store_n(&shared->awaited_since_us, awaited_since_us, __ATOMIC_RELAXED);
	g_atomic_int_set(&shared->is_busy, is_busy);
	if (is_busy && g_atomic_int_get(&shared->is_timed) == 0 &&
	    g_atomic_int_compare_and_exchange(&shared->is_timed, 0, 1)) {
		ssize_t ignored =
			send(process->options.busy_fd, "", 1, MSG_DONTWAIT | MSG_NOSIGNAL);
		(void)ignored;
	}
}

static void woken(void *data)
{
	struct renderer_process *process = data;

	if (g_atomic_int_get(&process->has_failed)) {
		process->exit_status = 1;
		loop_quit(&process->loop);
	}
}

/* ---- the keeper's messages; each handler returns false for one that makes no sense ---- */

static bool handle_reset(struct renderer_process *process, struct link_message *message)
{
	const struct link_reset *reset = link_body(message, sizeof(*reset));

	if (reset == NULL) {
		return false;
	}
	__atomic_store_n(&process->generation, reset->generation, __ATOMIC_RELAXED);
	if (process->worker != NULL) {
		worker_reset(process->worker);
	} else {
		g_queue_clear_full(&process->restored, (GDestroyNotify)g_bytes_unref);
	}
	return true;
}

static bool handle_features(struct renderer_process *process, struct link_message *message)
{
	const uint64_t *features = link_body(message, sizeof(*features));

	if (features == NULL) {
		return false;
	}
	process->features = *features;
	if (process->worker != NULL) {
		worker_set_features(process->worker, *features);
	}
	return true;
}

static struct known_region *region_at(const GArray *regions, unsigned int i)
{
	return &g_array_index(regions, struct known_region, i);
}

static bool has_region(const GArray *regions, uint64_t id)
{
	for (unsigned int i = 0; i < regions->len; i++) {
		if (region_at(regions, i)->id == id) {
			return true;
		}
	}
	return false;
}

static void forget_wanted(struct renderer_process *process)
{
	for (unsigned int i = 0; i < process->wanted->len; i++) {
		int fd = region_at(process->wanted, i)->fd;

		if (fd >= 0) {
			close(fd);
		}
	}
	g_array_set_size(process->wanted, 0);
}

/* False, after a word, if error says so; else changed is the table of the moment. */
static bool change_table(struct renderer_process *process, int error, struct guestmem *changed)
{
	if (error < 0) {
		log_error("mapping the guest's memory: %s", g_strerror(-error));
		return false;
	}
	guestmem_unref(process->mem);
	process->mem = changed;
	return true;
}

/* Mappings that stay are the same ones, so that pointers into them stay good. */
static bool make_table(struct renderer_process *process)
{
	struct guestmem *changed = NULL;
	bool is_ok = true;

	for (unsigned int i = 0; i < process->known->len && is_ok; i++) {
		const struct known_region *region = region_at(process->known, i);

		if (!has_region(process->wanted, region->id)) {
			int error = guestmem_remove(process->mem, &region->desc, &changed);
			is_ok = change_table(process, error, changed);
		}
	}
	for (unsigned int i = 0; i < process->wanted->len && is_ok; i++) {
		const struct known_region *region = region_at(process->wanted, i);

		if (region->fd >= 0) {
			int error = guestmem_add(process->mem, &region->desc, region->fd, &changed);
			is_ok = change_table(process, error, changed);
		}
	}
	g_array_set_size(process->known, 0);
	g_array_append_vals(process->known, process->wanted->data, process->wanted->len);
	forget_wanted(process);
	return is_ok;
}

static bool handle_memory(struct renderer_process *process, struct link_message *message)
{
	const struct link_memory *part = link_body(message, sizeof(*part));
	size_t n_fds = 0;

	if (part == NULL || part->n_regions > LINK_MEMORY_REGIONS) {
		return false;
	}
	if (part->is_first) {
		forget_wanted(process);
	}
	for (uint32_t i = 0; i < part->n_regions; i++) {
		struct known_region region = { part->regions[i].id, part->regions[i].desc, -1 };

		if (part->regions[i].has_fd) {
			if (n_fds >= message->n_fds) {
				return false;
			}
			region.fd = link_take_fd(message, n_fds++);
		}
		g_array_append_val(process->wanted, region);
	}
	if (!part->is_last) {
		return true;
	}
	if (!make_table(process)) {
		return false;
	}
	if (process->worker != NULL) {
		worker_set_memory(process->worker, process->mem);
	}
	return true;
}

static int take_next_fd(struct link_message *message, uint32_t has_fd, size_t *n_taken)
{
	return has_fd && *n_taken < message->n_fds ? link_take_fd(message, (*n_taken)++) : -1;
}

static bool handle_queue(struct renderer_process *process, struct link_message *message)
{
	const struct link_queue *queue = link_body(message, sizeof(*queue));
	size_t n_taken = 0;

	if (queue == NULL || queue->index >= COMMAND_N_QUEUES) {
		return false;
	}
	struct virtq_view view = queue->view;
	view.kick_fd = take_next_fd(message, queue->has_kick, &n_taken);
	view.call_fd = take_next_fd(message, queue->has_call, &n_taken);
	view.err_fd = take_next_fd(message, queue->has_err, &n_taken);
	virtq_set_view(&process->queues[queue->index], &view, process->mem);
	if (process->worker != NULL) {
		worker_queue_changed(process->worker, queue->index);
	}
	return true;
}

static bool handle_restore(struct renderer_process *process, struct link_message *message)
{
	if (message->size_bytes < sizeof(struct link_record) || process->worker != NULL) {
		return false;
	}
	g_queue_push_tail(&process->restored, g_bytes_new(message->body, message->size_bytes));
	return true;
}

static bool handle_start(struct renderer_process *process,
			 struct link_message *message G_GNUC_UNUSED)
{
	struct renderer_options renderer_options = process->options.options->renderer;
	renderer_options.server_fd = process->options.server_fd;
	const struct worker_options options = {
		.renderer_impl = renderer_find(process->options.gpu_mode),
		.renderer_options = renderer_options,
		.quota = &process->quota,
		.queues = process->queues,
		.features = process->features,
		.mem = process->mem,
		.create_display = create_display,
		.failed = failed,
		.started = started,
		.busy = busy,
		.mapper = process->options.window_bytes > 0 ? &mapper : NULL,
		.window_bytes = process->options.window_bytes,
		.exporter = process->udmabuf_fd >= 0 ? &udmabuf_exporter : NULL,
		.exporter_data = &process->udmabuf_fd,
		.stats = process->options.options->control_socket != NULL
				 ? &process->options.shared->stats
				 : NULL,
		.grabbed = grabbed,
		.grabbed_cursor = grabbed_cursor,
		.mode_set = mode_set,
		.data = process,
	};

	return process->worker == NULL && worker_create(&options, &process->worker) == 0;
}

static bool handle_ready(struct renderer_process *process,
			 struct link_message *message G_GNUC_UNUSED)
{
	process->listener->ready(process->listener_data);
	return true;
}

static bool handle_taken(struct renderer_process *process, struct link_message *message)
{
	const struct link_taken *taken = link_body(message, sizeof(*taken));

	if (taken == NULL) {
		return false;
	}
	for (uint32_t i = 0; i < DISPLAY_MAX_SCANOUTS; i++) {
		uint32_t last = __atomic_load_n(&process->options.shared->last_awaited[i],
						__ATOMIC_SEQ_CST);

		if (taken->scanouts & 1u << i && taken->serials[i] == last) {
			process->listener->taken(process->listener_data, i, last);
		}
	}
	return true;
}

static bool handle_info(struct renderer_process *process, struct link_message *message)
{
	const struct link_answer *answer = link_body(message, sizeof(*answer));

	if (answer == NULL) {
		return false;
	}
	process->listener->info(process->listener_data, answer->token,
				answer->is_none ? NULL : &answer->info);
	return true;
}

static bool handle_edid(struct renderer_process *process, struct link_message *message)
{
	const struct link_answer *answer = link_body(message, sizeof(*answer));

	if (answer == NULL) {
		return false;
	}
	process->listener->edid(process->listener_data, answer->token,
				answer->is_none ? NULL : &answer->edid);
	return true;
}

static bool handle_mapped(struct renderer_process *process, struct link_message *message)
{
	const struct link_mapped *mapped = link_body(message, sizeof(*mapped));

	if (mapped == NULL) {
		return false;
	}
	worker_mapped(process->worker, mapped->token, !mapped->is_refused);
	return true;
}

static bool handle_log(struct renderer_process *process G_GNUC_UNUSED, struct link_message *message)
{
	const uint32_t *level = link_body(message, sizeof(*level));

	if (level == NULL || *level > LOG_LEVEL_TRACE) {
		return false;
	}
	log_set_level((enum log_level)(*level));
	return true;
}

static bool handle_grab(struct renderer_process *process, struct link_message *message)
{
	const struct link_grab *grab = link_body(message, sizeof(*grab));

	if (grab == NULL || grab->scanout_id >= DISPLAY_MAX_SCANOUTS) {
		return false;
	}
	worker_grab(process->worker, grab->scanout_id, grab->is_cursor);
	return true;
}

static bool handle_mode(struct renderer_process *process, struct link_message *message)
{
	const struct link_mode *mode = link_body(message, sizeof(*mode));

	if (mode == NULL || mode->scanout_id >= DISPLAY_MAX_SCANOUTS) {
		return false;
	}
	if (process->worker != NULL) {
		worker_set_mode(process->worker, mode->scanout_id, mode->width, mode->height);
	} else {
		process->modes[mode->scanout_id] = *mode;
	}
	return true;
}

static const struct {
	bool (*handle)(struct renderer_process *process, struct link_message *message);
	bool is_for_device; /* makes no sense before START */
} handlers[] = {
	[LINK_RESET] = { handle_reset, false },	    [LINK_FEATURES] = { handle_features, false },
	[LINK_MEMORY] = { handle_memory, false },   [LINK_QUEUE] = { handle_queue, false },
	[LINK_RESTORE] = { handle_restore, false }, [LINK_START] = { handle_start, false },
	[LINK_READY] = { handle_ready, true },	    [LINK_TAKEN] = { handle_taken, true },
	[LINK_INFO] = { handle_info, true },	    [LINK_EDID] = { handle_edid, true },
	[LINK_MAPPED] = { handle_mapped, true },    [LINK_LOG] = { handle_log, false },
	[LINK_GRAB] = { handle_grab, true },	    [LINK_MODE] = { handle_mode, false },
};

static bool handle(struct renderer_process *process, struct link_message *message)
{
	return message->type < G_N_ELEMENTS(handlers) && handlers[message->type].handle != NULL &&
	       (!handlers[message->type].is_for_device || process->worker != NULL) &&
	       handlers[message->type].handle(process, message);
}

static void dispatch_link(void *data, uint32_t events G_GNUC_UNUSED)
{
	struct renderer_process *process = data;

	for (unsigned int i = 0; i < MESSAGES_PER_WAKEUP; i++) {
		struct link_message message;
		int error = link_receive(process->link_fd, process->buffer, &message);

		if (error == -EAGAIN) {
			return;
		}
		/* The keeper has ended: nobody is left to render for. */
		if (error < 0) {
			loop_quit(&process->loop);
			return;
		}
		bool is_handled = handle(process, &message);
		link_message_finish(&message);
		if (!is_handled) {
			log_error("the keeper's message %u can't be followed",
				  (unsigned int)message.type);
			process->exit_status = 1;
			loop_quit(&process->loop);
			return;
		}
	}
}

/* ---- life ---- */

/* Buffers of the guest's pages, if there may be any; those of the GPU's memory need nothing. */
static void open_udmabuf(struct renderer_process *process)
{
	process->udmabuf_fd =
		options_use_dmabufs(process->options.options) ? udmabuf_open() : -ENOENT;
	if (process->udmabuf_fd >= 0) {
		guestmem_keep_files();
	} else if (options_use_dmabufs(process->options.options)) {
		log_info("%s: %s; pictures in the guest's memory are sent", UDMABUF_PATH,
			 g_strerror(-process->udmabuf_fd));
	}
}

static int start(struct renderer_process *process)
{
	struct link_hello hello;
	int error = arena_create(process->options.quota_bytes * ARENA_SLACK, &process->arena);

	if (error < 0) {
		return error;
	}
	frame_share(process->arena);
	hello.arena_bytes = arena_size_bytes(process->arena);
	int fd = arena_fd(process->arena);
	error = link_send_wait(process->link_fd, LINK_HELLO, &hello, sizeof(hello), NULL, 0, &fd,
			       1);
	if (error == 0) {
		error = loop_init(&process->loop, woken, process);
	}
	if (error == 0) {
		error = loop_add(&process->loop, &process->link_source, process->link_fd, EPOLLIN);
	}
	return error;
}

/*
 * Nothing is torn down: what a process had goes with it, and a driver that is
 * asked to end in good order may hang.
 */
int renderer_process_run(const struct renderer_process_options *options, int consume_link_fd)
{
	struct renderer_process *process = g_new0(struct renderer_process, 1);

	prctl(PR_SET_NAME, "renderer");
	process->options = *options;
	process->link_fd = consume_link_fd;
	process->link_source = (struct loop_source){ .dispatch = dispatch_link, .data = process };
	process->buffer = g_malloc(LINK_MAX_BYTES);
	process->mem = guestmem_create_empty();
	process->known = g_array_new(FALSE, FALSE, sizeof(struct known_region));
	process->wanted = g_array_new(FALSE, FALSE, sizeof(struct known_region));
	g_queue_init(&process->restored);
	quota_init(&process->quota, options->quota_bytes);
	for (unsigned int i = 0; i < COMMAND_N_QUEUES; i++) {
		virtq_init(&process->queues[i], i, &options->shared->queues[i]);
	}
	open_udmabuf(process);
	int error = start(process);
	if (error == 0) {
		error = loop_run(&process->loop);
	}
	if (error < 0) {
		log_error("the process that renders can't go on: %s", g_strerror(-error));
		return 1;
	}
	return process->exit_status;
}
