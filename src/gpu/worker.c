/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * Order between a note and a command: the transport leaves its note before it
 * lets a ring run, and this thread looks at the notes after each pop and
 * before it executes. So the first command of a new driver never meets the
 * tables of the old one. A chain that was popped before a reset is dropped by
 * its queue when it is pushed.
 */
#include "gpu/worker.h"

#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "gpu/device.h"
#include "gpu/polling.h"
#include "util/log.h"
#include "util/loop.h"

#define QUIESCE_US (8 * 1000)
/* Interrupt the guest at least so often while its queue never runs dry. */
#define NOTIFY_INTERVAL 32
#define MAX_CURSORS_A_BREATH 16

enum answer_kind { ANSWER_INFO, ANSWER_EDID, ANSWER_MAPPED };

/* To what the device asked; small and bounded by the questions that were asked. */
struct answer {
	enum answer_kind kind;
	bool is_none; /* none, or a refusal */
	uint64_t token;
	union {
		struct virtio_gpu_resp_display_info info;
		struct virtio_gpu_resp_edid edid;
	};
};

struct kick {
	struct loop_source source;
	int fd; /* owned, -1: none */
	uint32_t serial;
	struct worker *worker;
};

struct mode {
	uint32_t width, height;
};

struct worker {
	struct worker_options options;
	GThread *thread;
	struct loop loop;
	struct display *display;

	/* The thread's own. */
	struct renderer *renderer;
	struct device device;
	struct loop_source renderer_source;
	struct kick kicks[COMMAND_N_QUEUES];
	struct loop_timer hold_timer;
	struct polling polling;
	struct virtq_chain *parked_cursor; /* owned: popped, to be executed after the orders */

	/* Notes, under the lock. */
	GMutex lock;
	GCond idle;
	bool is_busy; /* a command executes, or what may take as long */
	uint64_t n_begun;   /* commands, with the one that executes */
	uint64_t outwaited; /* the command of that number was waited for as long as one is */
	unsigned int n_waiting; /* in worker_quiesce() */
	bool is_quitting;
	bool is_reset_due;
	bool is_replay_due;
	bool is_features_due;
	uint64_t features;
	struct guestmem *new_mem; /* owned reference, NULL: unchanged */
	bool is_queue_changed[COMMAND_N_QUEUES];
	GQueue answers; /* struct answer, owned */
	uint32_t taken; /* by the display, a bit for each scanout */
	uint32_t wanted, wanted_cursors; /* by who looks inside, the same */
	uint32_t new_modes;		 /* the same: of these, modes counts */
	struct mode modes[DISPLAY_MAX_SCANOUTS];

	int has_notes;	/* atomic: look under the lock */
	int has_orders; /* atomic: among them one that comes before all further commands */
};

/* ---- other threads ---- */

/* With the lock held. */
static void leave_note(struct worker *worker)
{
	if (g_atomic_int_compare_and_exchange(&worker->has_notes, 0, 1)) {
		loop_wake(&worker->loop);
	}
}

/* With the lock held: no command of the guest may come before it. */
static void leave_order(struct worker *worker)
{
	g_atomic_int_set(&worker->has_orders, 1);
	leave_note(worker);
}

void worker_set_features(struct worker *worker, uint64_t features)
{
	g_mutex_lock(&worker->lock);
	worker->features = features;
	worker->is_features_due = true;
	leave_order(worker);
	g_mutex_unlock(&worker->lock);
}

void worker_set_memory(struct worker *worker, struct guestmem *mem)
{
	g_mutex_lock(&worker->lock);
	struct guestmem *old = worker->new_mem;
	worker->new_mem = guestmem_ref(mem);
	leave_order(worker);
	g_mutex_unlock(&worker->lock);
	guestmem_unref(old);
}

void worker_queue_changed(struct worker *worker, unsigned int index)
{
	g_mutex_lock(&worker->lock);
	worker->is_queue_changed[index] = true;
	leave_order(worker);
	g_mutex_unlock(&worker->lock);
}

void worker_reset(struct worker *worker)
{
	g_mutex_lock(&worker->lock);
	worker->is_reset_due = true;
	leave_order(worker);
	g_mutex_unlock(&worker->lock);
}

void worker_grab(struct worker *worker, uint32_t scanout_id, bool is_cursor)
{
	g_mutex_lock(&worker->lock);
	*(is_cursor ? &worker->wanted_cursors : &worker->wanted) |= 1u << scanout_id;
	leave_note(worker);
	g_mutex_unlock(&worker->lock);
}

void worker_set_mode(struct worker *worker, uint32_t scanout_id, uint32_t width, uint32_t height)
{
	g_mutex_lock(&worker->lock);
	worker->modes[scanout_id] = (struct mode){ width, height };
	worker->new_modes |= 1u << scanout_id;
	leave_order(worker);
	g_mutex_unlock(&worker->lock);
}

void worker_set_display_socket(struct worker *worker, int consume_fd)
{
	display_set_socket(worker->display, consume_fd);
}

void worker_quiesce(struct worker *worker)
{
	gint64 deadline_us = g_get_monotonic_time() + QUIESCE_US;

	g_mutex_lock(&worker->lock);
	worker->n_waiting++;
	while (worker->is_busy && worker->outwaited != worker->n_begun) {
		if (!g_cond_wait_until(&worker->idle, &worker->lock, deadline_us)) {
			worker->outwaited = worker->n_begun;
		}
	}
	worker->n_waiting--;
	g_mutex_unlock(&worker->lock);
}

static void display_ready(void *data)
{
	struct worker *worker = data;

	g_mutex_lock(&worker->lock);
	worker->is_replay_due = true;
	leave_note(worker);
	g_mutex_unlock(&worker->lock);
}

static void display_taken(void *data, uint32_t scanout_id, uint32_t serial G_GNUC_UNUSED)
{
	struct worker *worker = data;

	g_mutex_lock(&worker->lock);
	worker->taken |= 1u << scanout_id;
	leave_note(worker);
	g_mutex_unlock(&worker->lock);
}

static void post_answer(struct worker *worker, struct answer *consume_answer)
{
	g_mutex_lock(&worker->lock);
	g_queue_push_tail(&worker->answers, consume_answer);
	leave_note(worker);
	g_mutex_unlock(&worker->lock);
}

static struct answer *answer_create(enum answer_kind kind, uint64_t token, bool is_none)
{
	struct answer *answer = g_new0(struct answer, 1);

	answer->kind = kind;
	answer->token = token;
	answer->is_none = is_none;
	return answer;
}

void worker_mapped(struct worker *worker, uint64_t token, bool is_done)
{
	post_answer(worker, answer_create(ANSWER_MAPPED, token, !is_done));
}

static void display_info(void *data, uint64_t token,
			 const struct virtio_gpu_resp_display_info *info)
{
	struct answer *answer = answer_create(ANSWER_INFO, token, info == NULL);

	if (info != NULL) {
		answer->info = *info;
	}
	post_answer(data, answer);
}

static void display_edid(void *data, uint64_t token, const struct virtio_gpu_resp_edid *edid)
{
	struct answer *answer = answer_create(ANSWER_EDID, token, edid == NULL);

	if (edid != NULL) {
		answer->edid = *edid;
	}
	post_answer(data, answer);
}

static const struct display_listener display_listener = {
	.ready = display_ready,
	.taken = display_taken,
	.info = display_info,
	.edid = display_edid,
};

/* ---- the thread ---- */

static void drop_kick(struct worker *worker, struct kick *kick)
{
	loop_remove(&worker->loop, &kick->source);
	if (kick->fd >= 0) {
		close(kick->fd);
		kick->fd = -1;
	}
}

/* Poll the descriptor that the queue has now. */
static void follow_kick(struct worker *worker, unsigned int index)
{
	struct kick *kick = &worker->kicks[index];
	uint32_t serial;
	int fd = virtq_kick_fd_dup(&worker->options.queues[index], &serial);

	if (kick->fd >= 0 && fd >= 0 && serial == kick->serial) {
		close(fd);
		return;
	}
	drop_kick(worker, kick);
	kick->fd = fd;
	kick->serial = serial;
	/* Edge-triggered: a kick only says "look", so it need not be read. */
	if (fd >= 0 && loop_add(&worker->loop, &kick->source, fd, EPOLLIN | EPOLLET) < 0) {
		log_error("queue %u: its kick descriptor can't be polled", index);
	}
}

static void take_answer(struct worker *worker, const struct answer *answer)
{
	switch (answer->kind) {
	case ANSWER_INFO:
		device_take_info(&worker->device, answer->token,
				 answer->is_none ? NULL : &answer->info);
		break;
	case ANSWER_EDID:
		device_take_edid(&worker->device, answer->token,
				 answer->is_none ? NULL : &answer->edid);
		break;
	case ANSWER_MAPPED:
		device_take_mapped(&worker->device, answer->token, !answer->is_none);
		break;
	}
}

/* The notes as they were at one moment. */
struct notes {
	bool is_quitting, is_reset_due, is_replay_due, is_features_due;
	bool is_queue_changed[COMMAND_N_QUEUES];
	uint64_t features;
	struct guestmem *mem;
	GQueue answers;
	uint32_t taken;
	uint32_t wanted, wanted_cursors, new_modes;
	struct mode modes[DISPLAY_MAX_SCANOUTS];
};

static struct notes take_notes(struct worker *worker)
{
	g_mutex_lock(&worker->lock);
	g_atomic_int_set(&worker->has_notes, 0);
	g_atomic_int_set(&worker->has_orders, 0);
	struct notes notes = {
		.is_quitting = worker->is_quitting,
		.is_reset_due = worker->is_reset_due,
		.is_replay_due = worker->is_replay_due,
		.is_features_due = worker->is_features_due,
		.features = worker->features,
		.mem = worker->new_mem,
		.answers = worker->answers,
		.taken = worker->taken,
		.wanted = worker->wanted,
		.wanted_cursors = worker->wanted_cursors,
		.new_modes = worker->new_modes,
	};
	if (notes.new_modes != 0) {
		memcpy(notes.modes, worker->modes, sizeof(notes.modes));
	}
	for (unsigned int i = 0; i < COMMAND_N_QUEUES; i++) {
		notes.is_queue_changed[i] = worker->is_queue_changed[i];
		worker->is_queue_changed[i] = false;
	}
	worker->is_reset_due = false;
	worker->is_replay_due = false;
	worker->is_features_due = false;
	worker->new_mem = NULL;
	worker->taken = 0;
	worker->wanted = 0;
	worker->wanted_cursors = 0;
	worker->new_modes = 0;
	g_queue_init(&worker->answers);
	g_mutex_unlock(&worker->lock);
	return notes;
}

static void grab(struct worker *worker, uint32_t scanout_id)
{
	struct frame *frame = NULL;
	struct rect view = { 0 };
	enum gpu_resp resp = device_grab(&worker->device, scanout_id, &frame, &view);

	if (resp != GPU_RESP_OK_NODATA) {
		log_debug("scanout %u: no picture to look at, 0x%x", scanout_id,
			  (unsigned int)resp);
	}
	worker->options.grabbed(worker->options.data, scanout_id, frame, &view);
}

static void heed_lookers(struct worker *worker, const struct notes *notes)
{
	for (uint32_t i = 0; i < DISPLAY_MAX_SCANOUTS; i++) {
		if (notes->new_modes & 1u << i) {
			const struct mode *mode = &notes->modes[i];

			device_set_mode(&worker->device, i, mode->width, mode->height);
			worker->options.mode_set(worker->options.data, i, mode->width,
						 mode->height);
		}
		if (notes->wanted & 1u << i) {
			grab(worker, i);
		}
		if (notes->wanted_cursors & 1u << i) {
			worker->options.grabbed_cursor(worker->options.data, i,
						       device_grab_cursor(&worker->device, i));
		}
	}
}

static void tell_busy(struct worker *worker, bool is_busy)
{
	if (worker->options.busy != NULL) {
		worker->options.busy(worker->options.data, is_busy,
				     worker->renderer->awaited_since_us);
	}
}

static void set_busy(struct worker *worker, bool is_busy)
{
	tell_busy(worker, is_busy);
	g_mutex_lock(&worker->lock);
	worker->is_busy = is_busy;
	worker->n_begun += is_busy;
	/* GLib enters the kernel for a signal that nobody waits for as well. */
	if (!is_busy && worker->n_waiting > 0) {
		g_cond_signal(&worker->idle);
	}
	g_mutex_unlock(&worker->lock);
}

/* It asks the driver for pixels, which may hang as well as a command of the guest's. */
static void show_again(struct worker *worker, const struct notes *notes)
{
	bool was_busy = worker->is_busy; /* nobody else writes it */

	if (!was_busy) {
		set_busy(worker, true);
	}
	if (notes->is_replay_due) {
		device_replay(&worker->device);
	}
	heed_lookers(worker, notes);
	if (!was_busy) {
		set_busy(worker, false);
	}
}

static void heed_notes(struct worker *worker)
{
	struct answer *answer;

	if (g_atomic_int_get(&worker->has_notes) == 0) {
		return;
	}
	struct notes notes = take_notes(worker);
	if (notes.is_quitting) {
		loop_quit(&worker->loop);
	}
	if (notes.is_reset_due) {
		device_reset(&worker->device);
	}
	if (notes.is_features_due) {
		device_set_features(&worker->device, notes.features);
	}
	if (notes.mem != NULL) {
		device_set_memory(&worker->device, notes.mem);
		guestmem_unref(notes.mem);
	}
	for (unsigned int i = 0; i < COMMAND_N_QUEUES; i++) {
		if (notes.is_queue_changed[i]) {
			follow_kick(worker, i);
		}
	}
	while ((answer = g_queue_pop_head(&notes.answers)) != NULL) {
		take_answer(worker, answer);
		g_free(answer);
	}
	if (notes.taken != 0) {
		device_take_taken(&worker->device, notes.taken);
	}
	if (notes.is_replay_due || (notes.wanted | notes.wanted_cursors | notes.new_modes) != 0) {
		show_again(worker, &notes);
	}
}

static enum virtq_status pop(struct worker *worker, enum command_queue index,
			     struct virtq_chain **chain_out)
{
	if (index == COMMAND_QUEUE_CURSOR && worker->parked_cursor != NULL) {
		*chain_out = g_steal_pointer(&worker->parked_cursor);
		return VIRTQ_OK;
	}
	return virtq_pop(&worker->options.queues[index], chain_out);
}

/* From inside a command: the cursor's turn, unless an order has to be heeded before it. */
static void breathe(void *data)
{
	struct worker *worker = data;
	struct virtq *vq = &worker->options.queues[COMMAND_QUEUE_CURSOR];
	struct virtq_chain *chain;

	for (unsigned int n = 0; n < MAX_CURSORS_A_BREATH && worker->parked_cursor == NULL &&
				 g_atomic_int_get(&worker->has_orders) == 0 &&
				 virtq_pop(vq, &chain) == VIRTQ_OK;
	     n++) {
		if (g_atomic_int_get(&worker->has_orders) != 0) {
			worker->parked_cursor = chain;
		} else {
			device_execute(&worker->device, vq, chain);
		}
	}
	virtq_notify(vq);
}

/* Returns false if there was nothing to do. */
static bool run_one(struct worker *worker, enum command_queue index)
{
	struct virtq *vq = &worker->options.queues[index];
	struct virtq_chain *chain;

	/* Before the pop, so that whoever stops the queue and then waits misses none. */
	set_busy(worker, true);
	enum virtq_status status = pop(worker, index, &chain);
	if (status == VIRTQ_OK) {
		heed_notes(worker);
		if (virtq_chain_is_stale(vq, chain)) {
			virtq_chain_discard(chain);
		} else {
			device_execute(&worker->device, vq, chain);
		}
	}
	set_busy(worker, false);
	return status == VIRTQ_OK;
}

static void pause_cpu(void)
{
#if defined(__x86_64__) || defined(__i386__)
	__builtin_ia32_pause();
#endif
}

static bool has_work(struct worker *worker)
{
	return g_atomic_int_get(&worker->has_notes) != 0 ||
	       virtq_has_avail(&worker->options.queues[COMMAND_QUEUE_CONTROL]) ||
	       virtq_has_avail(&worker->options.queues[COMMAND_QUEUE_CURSOR]);
}

static void notify_all(struct worker *worker)
{
	for (unsigned int i = 0; i < COMMAND_N_QUEUES; i++) {
		virtq_notify(&worker->options.queues[i]);
	}
}

/* Wait awake for the next command, if that pays. Not where fences may come: no ring shows them. */
static bool poll_for_work(struct worker *worker)
{
	bool has_come = false;

	if (worker->renderer->event_fd >= 0 || !polling_is_worth_it(&worker->polling)) {
		return false;
	}
	notify_all(worker); /* or the guest waits for us */
	gint64 until_us = g_get_monotonic_time() + POLLING_US;
	do {
		for (int i = 0; i < 8; i++) {
			pause_cpu();
		}
		has_come = has_work(worker);
	} while (!has_come && g_get_monotonic_time() < until_us);
	polling_has_paid(&worker->polling, has_come);
	return has_come;
}

/* Answer what was held for too long, and be back for the rest. */
static void arm_hold_timer(struct worker *worker)
{
	gint64 delay_us = device_expire(&worker->device);

	if (delay_us >= 0) {
		loop_timer_arm(&worker->loop, &worker->hold_timer, delay_us);
	} else {
		loop_timer_disarm(&worker->loop, &worker->hold_timer);
	}
}

/* Between commands: answer what was held for too long. True: something was. */
static bool release_held(struct worker *worker)
{
	unsigned int n = worker->device.held.length;

	if (n > 0) {
		device_expire(&worker->device);
	}
	return worker->device.held.length < n;
}

/* Until both queues are empty and will kick us again. */
static void drain(struct worker *worker)
{
	struct virtq *queues = worker->options.queues;
	unsigned int n_since_notify = 0;

	for (unsigned int i = 0; i < COMMAND_N_QUEUES; i++) {
		virtq_suppress(&queues[i]);
	}
	while (!worker->loop.quit) {
		heed_notes(worker);
		renderer_dispatch(worker->renderer);
		/* The cursor goes first, and after each command again. */
		bool has_run = run_one(worker, COMMAND_QUEUE_CURSOR);
		has_run |= run_one(worker, COMMAND_QUEUE_CONTROL);
		if (has_run) {
			n_since_notify++;
			if (release_held(worker) || n_since_notify % NOTIFY_INTERVAL == 0) {
				notify_all(worker);
			}
			continue;
		}
		if (n_since_notify > 0 && poll_for_work(worker)) {
			continue;
		}
		bool has_more = virtq_rearm(&queues[COMMAND_QUEUE_CURSOR]);
		has_more |= virtq_rearm(&queues[COMMAND_QUEUE_CONTROL]);
		if (!has_more) {
			break;
		}
	}
	arm_hold_timer(worker);
	notify_all(worker);
}

static void hold_timer_expired(void *data)
{
	struct worker *worker = data;

	arm_hold_timer(worker);
	notify_all(worker);
}

static void dispatch_kick(void *data, uint32_t events G_GNUC_UNUSED)
{
	struct kick *kick = data;

	drain(kick->worker);
}

static void dispatch_renderer(void *data, uint32_t events G_GNUC_UNUSED)
{
	struct worker *worker = data;

	renderer_dispatch(worker->renderer);
	tell_busy(worker, false);
	notify_all(worker);
}

static void woken(void *data)
{
	drain(data);
}

static int start_renderer(struct worker *worker)
{
	int error = renderer_create(worker->options.renderer_impl,
				    &worker->options.renderer_options, worker->options.quota,
				    &worker->renderer);
	if (error < 0) {
		return error;
	}
	/* Edge-triggered: a descriptor of the library's that stays readable must not spin us. */
	if (worker->renderer->event_fd >= 0) {
		error = loop_add(&worker->loop, &worker->renderer_source,
				 worker->renderer->event_fd, EPOLLIN | EPOLLET);
	}
	if (error < 0) {
		log_error("the renderer's event descriptor can't be polled: %s",
			  g_strerror(-error));
		renderer_destroy(worker->renderer);
	}
	return error;
}

static void *thread_main(void *data)
{
	struct worker *worker = data;

	/* Here, because GL contexts belong to the thread that made them. */
	if (start_renderer(worker) < 0) {
		worker->options.failed(worker->options.data);
		return NULL;
	}
	device_init(&worker->device, worker->renderer, worker->display, worker->options.quota);
	device_set_breather(&worker->device, breathe, worker);
	device_set_mapper(&worker->device, worker->options.mapper, worker->options.data,
			  worker->options.window_bytes);
	device_set_exporter(&worker->device, worker->options.exporter,
			    worker->options.exporter_data);
	device_set_stats(&worker->device, worker->options.stats);
	device_set_features(&worker->device, worker->options.features);
	if (worker->options.mem != NULL) {
		device_set_memory(&worker->device, worker->options.mem);
		g_clear_pointer(&worker->options.mem, guestmem_unref);
	}
	/* Before any note: a reset that came meanwhile is of what is restored now as well. */
	if (worker->options.started != NULL) {
		worker->options.started(worker->options.data, &worker->device);
	}

	int error = loop_run(&worker->loop);
	if (error < 0) {
		log_error("the device thread ends: %s", g_strerror(-error));
		worker->options.failed(worker->options.data);
	}
	for (unsigned int i = 0; i < COMMAND_N_QUEUES; i++) {
		drop_kick(worker, &worker->kicks[i]);
	}
	if (worker->parked_cursor != NULL) {
		virtq_chain_discard(worker->parked_cursor);
	}
	device_finish(&worker->device);
	loop_remove(&worker->loop, &worker->renderer_source);
	renderer_destroy(worker->renderer);
	return NULL;
}

/* ---- life ---- */

static void worker_free(struct worker *worker)
{
	display_destroy(worker->display);
	guestmem_unref(worker->new_mem);
	guestmem_unref(worker->options.mem);
	g_queue_clear_full(&worker->answers, g_free);
	loop_finish(&worker->loop);
	g_cond_clear(&worker->idle);
	g_mutex_clear(&worker->lock);
	g_free(worker);
}

int worker_create(const struct worker_options *options, struct worker **worker_out)
{
	struct worker *worker = g_new0(struct worker, 1);
	GError *thread_error = NULL;

	worker->options = *options;
	if (options->mem != NULL) {
		guestmem_ref(options->mem);
	}
	g_mutex_init(&worker->lock);
	g_cond_init(&worker->idle);
	g_queue_init(&worker->answers);
	polling_init(&worker->polling);
	worker->renderer_source =
		(struct loop_source){ .dispatch = dispatch_renderer, .data = worker };
	worker->hold_timer = (struct loop_timer){ .expired = hold_timer_expired, .data = worker };
	for (unsigned int i = 0; i < COMMAND_N_QUEUES; i++) {
		worker->kicks[i] = (struct kick){
			.source = { .dispatch = dispatch_kick, .data = &worker->kicks[i] },
			.fd = -1,
			.worker = worker,
		};
	}
	int error = loop_init(&worker->loop, woken, worker);
	if (error == 0) {
		error = options->create_display(options->data, &display_listener, worker,
						&worker->display);
	}
	for (unsigned int i = 0; i < COMMAND_N_QUEUES; i++) {
		worker_queue_changed(worker, i);
	}
	if (error == 0) {
		worker->thread =
			g_thread_try_new("device", thread_main, worker, &thread_error);
		if (worker->thread == NULL) {
			log_error("starting the device thread: %s", thread_error->message);
			g_error_free(thread_error);
			error = -EAGAIN;
		}
	}
	if (error < 0) {
		worker_free(worker);
		return error;
	}
	*worker_out = worker;
	return 0;
}

void worker_destroy(struct worker *worker)
{
	if (worker == NULL) {
		return;
	}
	g_mutex_lock(&worker->lock);
	worker->is_quitting = true;
	leave_order(worker);
	g_mutex_unlock(&worker->lock);
	g_thread_join(worker->thread);
	worker_free(worker);
}
