/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * QEMU never connects again to a back-end that has died, so that what must not
 * die is kept apart from what may. This process has the front-end's
 * connection, the display, the configuration of the rings, the running state
 * of the rings in shared memory, and records of what the guest made that can
 * be made again. A renderer process has the rest: it pops, executes and pushes
 * by itself, so that a command costs no more than it does with a thread.
 *
 * When one dies, nothing of it runs any more by the time that the spawner says
 * so. Then what it had popped and not pushed is answered with an error, each
 * chain once (virtq_recover()), and a fresh one is started and told
 * everything. The guest keeps its 2D resources, scanouts and cursors; its
 * contexts and 3D resources are gone, and their ids say so.
 */
#include "engine/process_engine.h"

#include <errno.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "engine/render_server.h"
#include "engine/renderer_process.h"
#include "gpu/command.h"
#include "sandbox.h"
#include "util/log.h"

#define MESSAGES_PER_WAKEUP 32
#define QUIESCE_US (8 * 1000)
#define QUIESCE_STEP_US 100
/* A crash so long after the last one does not belong to it. */
#define CRASH_MEMORY_US (60 * G_USEC_PER_SEC)
/* A command, or a start, that takes longer never ends. */
#define WATCHDOG_LIMIT_US (30 * G_USEC_PER_SEC)
#define WATCHDOG_STEP_US G_USEC_PER_SEC
/* More than the kernel's drivers give a GPU, and than a command whose end lets us hear of it. */
#define FENCE_LIMIT_US (60 * G_USEC_PER_SEC)
#define RESTART_DELAY_US (100 * 1000)

enum variant {
	VARIANT_3D, /* what --gpu-mode says */
	VARIANT_2D, /* our own code, after too many crashes */
};

static const struct engine_impl process_engine_impl;

static struct process_engine *from_base(struct engine *engine)
{
	g_assert(engine->impl == &process_engine_impl);
	return (struct process_engine *)(void *)engine;
}

static bool is_looked_at(const struct process_engine *engine)
{
	return engine->base.options.options->control_socket != NULL;
}

/* ---- renderer processes ---- */

static int run_renderer(void *data, int link_fd, int variant, int server_fd)
{
	const struct process_engine *engine = data;
	const struct renderer_process_options options = {
		.server_fd = server_fd,
		.options = engine->base.options.options,
		.shared = engine->shared,
		.quota_bytes = engine->base.options.quota->limit_bytes,
		.busy_fd = engine->busy_fds[1],
		.gpu_mode = variant == VARIANT_2D ? "2d" : engine->base.options.options->gpu_mode,
		/* Our own code has no memory to show in it. */
		.window_bytes = variant == VARIANT_2D ? 0 : engine->base.options.window_bytes,
	};

	if (relay_become_stderr(&engine->relay) < 0 ||
	    sandbox_enter(SANDBOX_RENDERER, options.options) < 0) {
		return 1;
	}
	return renderer_process_run(&options, link_fd);
}

static bool needs_server(void *data, int variant)
{
	const struct process_engine *engine = data;

	return variant == VARIANT_3D && engine->base.options.options->server_path != NULL;
}

static int run_server(void *data, int fd)
{
	const struct process_engine *engine = data;

	return render_server_run(engine->base.options.options, fd);
}

static int prepare_spawner(void *data)
{
	const struct process_engine *engine = data;

	return sandbox_enter(SANDBOX_SPAWNER, engine->base.options.options);
}

static void give_up(struct process_engine *engine)
{
	engine->base.options.failed(engine->base.options.data);
}

static void start_one(struct process_engine *engine)
{
	int error = spawner_start(&engine->spawner, engine->is_3d_off ? VARIANT_2D : VARIANT_3D);

	if (error < 0) {
		log_error("asking for a process that renders: %s", g_strerror(-error));
		give_up(engine);
	}
}

static void kill_one(struct process_engine *engine)
{
	if (!engine->is_killed && engine->pid != 0) {
		engine->is_killed = true;
		spawner_kill(&engine->spawner);
	}
}

static void misbehaved(struct process_engine *engine)
{
	log_error("process %d, which renders, says what it never should; it is ended",
		  (int)engine->pid);
	loop_remove(engine->base.options.loop, &engine->link_source);
	kill_one(engine);
}

static void take_messages(struct process_engine *engine, unsigned int max)
{
	int error = keeper_in_take(engine, max);

	if (error == -EPIPE) {
		/* How it ended the spawner says. */
		loop_remove(engine->base.options.loop, &engine->link_source);
	} else if (error < 0 && error != -EAGAIN) {
		misbehaved(engine);
	}
}

static void dispatch_link(void *data, uint32_t events)
{
	struct process_engine *engine = data;

	if (events & ~(uint32_t)EPOLLOUT) {
		take_messages(engine, MESSAGES_PER_WAKEUP);
	}
	keeper_out_pump(engine);
}

/*
 * Commands that a dead process had popped: done, with an error. It counts no
 * more, so this is the only one who does; unless the next one is there already,
 * and then they are not worth an order between two that write.
 */
static void fail_lost(struct process_engine *engine)
{
	bool has_ring_idx = engine->features & 1ull << VIRTIO_GPU_F_CONTEXT_INIT;
	struct virtq_chain *chain;

	for (unsigned int i = 0; i < COMMAND_N_QUEUES; i++) {
		struct virtq *vq = &engine->base.options.queues[i];

		while (virtq_pop_lost(vq, &chain) == VIRTQ_OK) {
			struct command *command = command_create(vq, chain);

			/* For its header: who waits for a fence waits for this one. */
			enum gpu_resp ignored = command_decode(command);
			(void)ignored;
			if (is_looked_at(engine) && engine->pid == 0) {
				stats_add(&engine->shared->stats.n_errors, 1);
			}
			command_complete(command, GPU_RESP_ERR_UNSPEC, has_ring_idx);
		}
		virtq_notify(vq);
	}
}

void keeper_watch(struct process_engine *engine)
{
	loop_timer_arm(engine->base.options.loop, &engine->watchdog, WATCHDOG_STEP_US);
}

static void begin_one(struct process_engine *engine, const struct spawner_news *news)
{
	engine->pid = news->pid;
	engine->relay.pid = (int)news->pid;
	engine->link_fd = news->link_fd;
	engine->is_running = false;
	engine->is_killed = false;
	engine->started_us = g_get_monotonic_time();
	int error =
		loop_add(engine->base.options.loop, &engine->link_source, engine->link_fd, EPOLLIN);
	if (error < 0) {
		log_error("listening to a renderer process: %s", g_strerror(-error));
		kill_one(engine);
		return;
	}
	keeper_out_begin(engine);
	keeper_out_pump(engine);
}

/* What it left in memory that the next one shares. */
static void clean_shared(struct process_engine *engine)
{
	struct link_shared *shared = engine->shared;

	g_atomic_int_set(&shared->is_busy, 0);
	__atomic_store_n(&shared->busy_since_us, 0, __ATOMIC_RELAXED);
	__atomic_store_n(&shared->awaited_since_us, 0, __ATOMIC_RELAXED);
	for (unsigned int i = 0; i < DISPLAY_MAX_SCANOUTS; i++) {
		__atomic_store_n(&shared->awaited[i], 0, __ATOMIC_SEQ_CST);
	}
	g_mutex_lock(&engine->lock);
	keeper_note_display(engine);
	g_mutex_unlock(&engine->lock);
	/* Our display may still read some of its pictures; all other slots are free. */
	for (unsigned int i = 0; i < LINK_N_SLOTS; i++) {
		g_atomic_int_set(&shared->slots[i], g_atomic_int_get(&engine->held[i])
							    ? LINK_SLOT_SENT
							    : LINK_SLOT_FREE);
	}
}

static void forget_dmabufs(struct process_engine *engine)
{
	for (unsigned int i = 0; i < LINK_N_DMABUFS; i++) {
		g_clear_pointer(&engine->dmabufs[i], dmabuf_unref);
	}
}

static void finish_one(struct process_engine *engine)
{
	if (engine->link_fd >= 0) {
		loop_remove(engine->base.options.loop, &engine->link_source);
		close(engine->link_fd);
		engine->link_fd = -1;
	}
	engine->pid = 0;
	keeper_out_end(engine);
	g_clear_pointer(&engine->view, arena_view_unref);
	mappings_take_back(&engine->mappings);
	forget_dmabufs(engine);
	for (unsigned int i = 0; i < COMMAND_N_QUEUES; i++) {
		virtq_recover(&engine->base.options.queues[i]);
	}
	clean_shared(engine);
	stats_forget(is_looked_at(engine) ? &engine->shared->stats : NULL);
	fail_lost(engine);
}

static void log_end(const struct process_engine *engine, const struct spawner_news *news)
{
	const char *who = news->is_of_server ? "the render server of process" : "process";
	int status = news->status;

	if (engine->pid == 0) {
		log_error("no process to render in could be started");
	} else if (WIFSIGNALED(status)) {
		log_error("%s %d, which renders, died of: %s; the guest's 3D contexts are lost",
			  who, (int)engine->pid, g_strsignal(WTERMSIG(status)));
	} else {
		log_error("%s %d, which renders, ended with status %d; the guest's 3D contexts are "
			  "lost",
			  who, (int)engine->pid, WEXITSTATUS(status));
	}
}

/* False: no use in starting another one. */
static bool count_crash(struct process_engine *engine)
{
	unsigned int limit = engine->base.options.options->max_crashes;

	if (g_get_monotonic_time() - engine->started_us > CRASH_MEMORY_US) {
		engine->n_crashes = 0;
	}
	engine->n_crashes++;
	if (engine->n_crashes <= limit) {
		return true;
	}
	if (engine->is_3d_off) {
		return false;
	}
	log_error("%u crashes in a row: 3D is turned off for this guest", engine->n_crashes);
	engine->is_3d_off = true;
	engine->n_crashes = 0;
	return true;
}

static void restart(void *data)
{
	start_one(data);
}

static void handle_end(struct process_engine *engine, const struct spawner_news *news)
{
	if (engine->link_fd >= 0) {
		/* Its last words count: records of what was done. */
		int error;

		do {
			error = keeper_in_take(engine, MESSAGES_PER_WAKEUP);
		} while (error == 0);
	}
	relay_end_process(&engine->relay);
	log_end(engine, news);
	finish_one(engine);
	engine->n_restarts++;
	if (!count_crash(engine)) {
		give_up(engine);
	} else if (engine->n_crashes <= 1) {
		start_one(engine);
	} else {
		/* What fails each time need not keep a processor busy. */
		loop_timer_arm(engine->base.options.loop, &engine->restart, RESTART_DELAY_US);
	}
}

static void dispatch_spawner(void *data, uint32_t events G_GNUC_UNUSED)
{
	struct process_engine *engine = data;
	struct spawner_news news;
	int error;

	while ((error = spawner_receive(&engine->spawner, &news)) == 0) {
		if (news.is_end) {
			handle_end(engine, &news);
		} else {
			begin_one(engine, &news);
		}
	}
	if (error != -EAGAIN) {
		log_error("the process that starts renderer processes is gone");
		loop_remove(engine->base.options.loop, &engine->spawner_source);
		give_up(engine);
	}
}

/* ---- news and time ---- */

static void dispatch_news(void *data, uint32_t events G_GNUC_UNUSED)
{
	struct process_engine *engine = data;
	uint64_t count;
	ssize_t ignored = read(engine->news_fd, &count, sizeof(count));
	(void)ignored;

	keeper_out_pump(engine);
}

/*
 * Not an eventfd, whose flags both sides share: one that was taken over could
 * have us wait in read(2).
 */
static void dispatch_busy(void *data, uint32_t events G_GNUC_UNUSED)
{
	struct process_engine *engine = data;
	char bytes[MESSAGES_PER_WAKEUP];
	ssize_t ignored = recv(engine->busy_fds[0], bytes, sizeof(bytes), MSG_DONTWAIT);
	(void)ignored;

	if (g_atomic_int_get(&engine->shared->is_timed) != 0 && engine->watchdog.deadline_us == 0) {
		keeper_watch(engine);
	}
}

/* Since when the renderer process is at something; 0: it is not. */
static gint64 busy_since(const struct process_engine *engine)
{
	if (!engine->is_started) {
		return 0;
	}
	return engine->is_running
		       ? __atomic_load_n(&engine->shared->busy_since_us, __ATOMIC_RELAXED)
		       : engine->started_us;
}

/* Since when it owes fences and has signalled none; 0: it owes none. */
static gint64 awaited_since(const struct process_engine *engine)
{
	return engine->is_running
		       ? __atomic_load_n(&engine->shared->awaited_since_us, __ATOMIC_RELAXED)
		       : 0;
}

static bool is_at_rest(const struct process_engine *engine)
{
	return busy_since(engine) == 0 && awaited_since(engine) == 0;
}

/* since_us may be a lie: there are no times before 0. */
static bool is_longer_than(gint64 since_us, gint64 limit_us)
{
	return since_us > 0 && g_get_monotonic_time() - since_us > limit_us;
}

/* As long as it is at something; then it wakes us when it gets busy again. */
static void watch(void *data)
{
	struct process_engine *engine = data;

	if (is_at_rest(engine)) {
		g_atomic_int_set(&engine->shared->is_timed, 0);
	}
	if (is_at_rest(engine)) {
		return;
	}
	g_atomic_int_set(&engine->shared->is_timed, 1);
	if (is_longer_than(busy_since(engine), WATCHDOG_LIMIT_US)) {
		log_error("process %d, which renders, hangs; it is ended", (int)engine->pid);
		kill_one(engine);
	} else if (is_longer_than(awaited_since(engine), FENCE_LIMIT_US)) {
		log_error("process %d, which renders, signals no fence: the GPU hangs; it is ended",
			  (int)engine->pid);
		kill_one(engine);
	}
	keeper_watch(engine);
}

/* ---- the session's calls ---- */

/* It was stopped inside a ring's lock: nothing of the ring is answered before it is gone. */
static void heed_stuck(struct process_engine *engine)
{
	for (unsigned int i = 0; i < COMMAND_N_QUEUES; i++) {
		if (virtq_is_stuck(&engine->base.options.queues[i]) && !engine->is_killed) {
			log_error("process %d, which renders, stands still; it is ended",
				  (int)engine->pid);
			kill_one(engine);
		}
	}
}

static struct virtq_state *process_engine_queue_state(struct engine *base, unsigned int index)
{
	return &from_base(base)->shared->queues[index];
}

static void process_engine_set_features(struct engine *base, uint64_t features)
{
	struct process_engine *engine = from_base(base);

	engine->features = features;
	engine->is_features_due = true;
	keeper_out_pump(engine);
}

static void process_engine_set_memory(struct engine *base, struct guestmem *mem)
{
	struct process_engine *engine = from_base(base);

	guestmem_unref(engine->mem);
	engine->mem = guestmem_ref(mem);
	engine->is_memory_due = true;
	keeper_out_pump(engine);
}

/*
 * A ring that stood still when its process died runs again now, maybe. While
 * another one is at it, its lock may be held for as long as that pleases.
 */
static void fail_lost_of_stopped(struct process_engine *engine, unsigned int index)
{
	if (!virtq_has_lost(&engine->base.options.queues[index])) {
		return;
	}
	if (engine->is_started) {
		kill_one(engine);
	} else {
		fail_lost(engine);
	}
}

static void process_engine_queue_changed(struct engine *base, unsigned int index)
{
	struct process_engine *engine = from_base(base);

	engine->due_queues |= 1u << index;
	fail_lost_of_stopped(engine, index);
	heed_stuck(engine);
	keeper_out_pump(engine);
}

static void process_engine_reset(struct engine *base)
{
	struct process_engine *engine = from_base(base);

	engine->generation++;
	keepsakes_clear(&engine->keepsakes);
	mappings_reset(&engine->mappings);
	g_queue_clear_full(&engine->to_restore, keepsake_free);
	engine->is_reset_due = true;
	keeper_out_pump(engine);
}

static void process_engine_mapped(struct engine *base, uint64_t number, int error)
{
	struct process_engine *engine = from_base(base);

	mappings_answered(&engine->mappings, number, error);
	keeper_out_pump(engine);
}

static void process_engine_set_display_socket(struct engine *base, int consume_fd)
{
	display_set_socket(from_base(base)->display, consume_fd);
}

/* A front-end that pauses asks for many changes in a row: no command is waited for twice. */
static void process_engine_quiesce(struct engine *base)
{
	struct process_engine *engine = from_base(base);
	const struct link_shared *shared = engine->shared;
	gint64 deadline_us = g_get_monotonic_time() + QUIESCE_US;

	while (g_atomic_int_get(&shared->is_busy) != 0) {
		gint64 since_us = __atomic_load_n(&shared->busy_since_us, __ATOMIC_RELAXED);

		if (since_us != 0 && since_us == engine->outwaited_us) {
			return;
		}
		if (g_get_monotonic_time() >= deadline_us) {
			engine->outwaited_us = since_us;
			return;
		}
		g_usleep(QUIESCE_STEP_US);
	}
}

/* ---- for who looks inside ---- */

static const struct stats *process_engine_stats(struct engine *base)
{
	const struct process_engine *engine = from_base(base);

	return is_looked_at(engine) ? &engine->shared->stats : NULL;
}

static void process_engine_describe(struct engine *base, struct engine_state *state_out)
{
	const struct process_engine *engine = from_base(base);

	*state_out = (struct engine_state){
		.pid = (int)engine->pid,
		/* Between two of them there is none. */
		.is_running = engine->is_running && engine->pid != 0,
		.is_3d_off = engine->is_3d_off,
		.n_restarts = engine->n_restarts,
		.busy_since_us = busy_since(engine),
		.awaited_since_us = awaited_since(engine),
	};
}

static void process_engine_grab(struct engine *base, uint32_t scanout_id, bool is_cursor)
{
	struct process_engine *engine = from_base(base);

	*(is_cursor ? &engine->due_cursor_grabs : &engine->due_grabs) |= 1u << scanout_id;
	keeper_out_pump(engine);
}

static void process_engine_set_mode(struct engine *base, uint32_t scanout_id, uint32_t width,
				    uint32_t height)
{
	struct process_engine *engine = from_base(base);

	engine->modes[scanout_id] = (struct link_mode){ scanout_id, width, height };
	engine->known_modes |= 1u << scanout_id;
	engine->due_modes |= 1u << scanout_id;
	keeper_out_pump(engine);
}

static void process_engine_set_log_level(struct engine *base, enum log_level level G_GNUC_UNUSED)
{
	struct process_engine *engine = from_base(base);

	engine->has_level = true;
	engine->is_level_due = true;
	keeper_out_pump(engine);
}

/* ---- life ---- */

static int create_display(struct process_engine *engine)
{
	if (engine->base.options.options->is_headless) {
		engine->display = display_create_headless();
		return 0;
	}
	return display_create_vhost_user_gpu(&keeper_display_listener, engine,
					     options_use_dmabufs(engine->base.options.options),
					     &engine->display);
}

static int process_engine_start(struct engine *base)
{
	struct process_engine *engine = from_base(base);
	struct loop *loop = base->options.loop;
	int error = create_display(engine);

	if (error == 0) {
		error = loop_add(loop, &engine->spawner_source, engine->spawner.fd, EPOLLIN);
	}
	if (error == 0) {
		error = loop_add(loop, &engine->news_source, engine->news_fd, EPOLLIN);
	}
	if (error == 0) {
		error = loop_add(loop, &engine->busy_source, engine->busy_fds[0], EPOLLIN);
	}
	if (error == 0) {
		error = relay_start(&engine->relay, loop);
	}
	if (error == 0) {
		start_one(engine);
	}
	return error;
}

static void process_engine_stop(struct engine *base)
{
	struct process_engine *engine = from_base(base);
	struct loop *loop = base->options.loop;

	loop_timer_disarm(loop, &engine->watchdog);
	loop_timer_disarm(loop, &engine->restart);
	loop_remove(loop, &engine->link_source);
	loop_remove(loop, &engine->spawner_source);
	loop_remove(loop, &engine->news_source);
	loop_remove(loop, &engine->busy_source);
	spawner_finish(&engine->spawner);
	relay_end_process(&engine->relay);
	relay_finish(&engine->relay, loop);
	/* Until its thread has ended it may say that it is ready, and is looked at then. */
	display_destroy(engine->display);
	engine->display = NULL;
}

static void close_fd(int fd)
{
	if (fd >= 0) {
		close(fd);
	}
}

static void process_engine_destroy(struct engine *base)
{
	struct process_engine *engine = from_base(base);

	keeper_out_end(engine);
	if (engine->link_fd >= 0) {
		close(engine->link_fd);
	}
	relay_finish(&engine->relay, engine->base.options.loop);
	close_fd(engine->news_fd);
	close_fd(engine->busy_fds[0]);
	close_fd(engine->busy_fds[1]);
	forget_dmabufs(engine);
	arena_view_unref(engine->view);
	guestmem_unref(engine->mem);
	keepsakes_finish(&engine->keepsakes);
	mappings_finish(&engine->mappings);
	g_hash_table_destroy(engine->told_regions);
	g_hash_table_destroy(engine->questions);
	g_mutex_clear(&engine->lock);
	if (engine->shared != NULL) {
		munmap(engine->shared, sizeof(*engine->shared));
	}
	g_free(engine->buffer);
	g_free(engine);
}

static const struct engine_impl process_engine_impl = {
	.destroy = process_engine_destroy,
	.stop = process_engine_stop,
	.queue_state = process_engine_queue_state,
	.start = process_engine_start,
	.set_features = process_engine_set_features,
	.set_memory = process_engine_set_memory,
	.queue_changed = process_engine_queue_changed,
	.reset = process_engine_reset,
	.set_display_socket = process_engine_set_display_socket,
	.quiesce = process_engine_quiesce,
	.mapped = process_engine_mapped,
	.stats = process_engine_stats,
	.describe = process_engine_describe,
	.grab = process_engine_grab,
	.set_mode = process_engine_set_mode,
	.set_log_level = process_engine_set_log_level,
};

static int make_shared(struct process_engine *engine)
{
	void *shared = mmap(NULL, sizeof(*engine->shared), PROT_READ | PROT_WRITE,
			    MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	if (shared == MAP_FAILED) {
		return -errno;
	}
	engine->shared = shared;
	for (unsigned int i = 0; i < COMMAND_N_QUEUES; i++) {
		virtq_state_init(&engine->shared->queues[i]);
	}
	engine->news_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (engine->news_fd < 0 ||
	    socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, engine->busy_fds) < 0) {
		return -errno;
	}
	return 0;
}

/* Without a sandbox a debugger, or a sanitizer, is to be read as it is. */
static int open_relay(struct process_engine *engine)
{
	enum sandbox_mode sandbox = engine->base.options.options->sandbox;

	return sandbox == SANDBOX_ON || sandbox == SANDBOX_STRICT ? relay_open(&engine->relay) : 0;
}

int process_engine_create(const struct engine_options *options, struct engine **engine_out)
{
	struct process_engine *engine = g_new0(struct process_engine, 1);

	engine->base = (struct engine){ &process_engine_impl, *options };
	engine->link_fd = -1;
	engine->news_fd = -1;
	engine->busy_fds[0] = engine->busy_fds[1] = -1;
	relay_init(&engine->relay);
	engine->spawner.fd = -1;
	engine->spawner_source =
		(struct loop_source){ .dispatch = dispatch_spawner, .data = engine };
	engine->link_source = (struct loop_source){ .dispatch = dispatch_link, .data = engine };
	engine->news_source = (struct loop_source){ .dispatch = dispatch_news, .data = engine };
	engine->busy_source = (struct loop_source){ .dispatch = dispatch_busy, .data = engine };
	engine->watchdog = (struct loop_timer){ .expired = watch, .data = engine };
	engine->restart = (struct loop_timer){ .expired = restart, .data = engine };
	engine->mem = guestmem_create_empty();
	engine->buffer = g_malloc(LINK_MAX_BYTES);
	engine->told_regions = g_hash_table_new_full(g_int64_hash, g_int64_equal, g_free, NULL);
	engine->questions = g_hash_table_new_full(g_int64_hash, g_int64_equal, NULL, g_free);
	keepsakes_init(&engine->keepsakes, options->quota);
	mappings_init(&engine->mappings, &engine->base.options);
	g_mutex_init(&engine->lock);
	g_queue_init(&engine->answers);
	g_queue_init(&engine->to_restore);
	int error = make_shared(engine);
	if (error == 0) {
		error = open_relay(engine);
	}
	if (error == 0) {
		const struct spawner_options spawner_options = {
			.prepare = prepare_spawner,
			.run = run_renderer,
			.run_server = options->options->server_path != NULL ? run_server : NULL,
			.server_stderr_fd = engine->relay.write_fd,
			.needs_server = needs_server,
			.data = engine,
			.kept_fds = { engine->busy_fds[1], engine->relay.write_fd },
			.n_kept = engine->relay.write_fd >= 0 ? 2 : 1,
		};

		error = spawner_init(&engine->spawner, &spawner_options);
	}
	if (error < 0) {
		process_engine_destroy(&engine->base);
		return error;
	}
	guestmem_keep_files();
	*engine_out = &engine->base;
	return 0;
}
