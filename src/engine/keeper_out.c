/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * What a renderer process is told are states, like the notes of gpu/worker.h:
 * the latest counts, so that nothing piles up while it is busy starting, and a
 * fresh one is told everything by marking everything as due.
 *
 * The order is that of the worker's notes as well: a reset, features, memory,
 * and then the queues, each of which stands still in the renderer process
 * until it was told of its latest change (virtq_set_view()).
 */
#include "engine/process_engine.h"

#include <errno.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "util/log.h"

static int tell(struct process_engine *engine, enum link_type type, const void *body,
		size_t size_bytes)
{
	return link_send(engine->link_fd, type, body, size_bytes, NULL, 0, NULL, 0);
}

static int tell_reset(struct process_engine *engine)
{
	const struct link_reset reset = { .generation = engine->generation };

	if (!engine->is_reset_due) {
		return 0;
	}
	int error = tell(engine, LINK_RESET, &reset, sizeof(reset));
	if (error == 0) {
		engine->is_reset_due = false;
	}
	return error;
}

static int tell_features(struct process_engine *engine)
{
	if (!engine->is_features_due) {
		return 0;
	}
	int error = tell(engine, LINK_FEATURES, &engine->features, sizeof(engine->features));
	if (error == 0) {
		engine->is_features_due = false;
	}
	return error;
}

/* ---- memory ---- */

static void begin_table(struct process_engine *engine)
{
	engine->is_memory_due = false;
	engine->telling = guestmem_ref(engine->mem);
	engine->next_region = 0;
}

static void end_table(struct process_engine *engine)
{
	struct guestmem_region_desc ignored;
	uint64_t id;
	int fd;

	g_hash_table_remove_all(engine->told_regions);
	for (size_t i = 0; i < guestmem_n_regions(engine->telling); i++) {
		guestmem_region(engine->telling, i, &ignored, &id, &fd);
		g_hash_table_add(engine->told_regions, g_memdup2(&id, sizeof(id)));
	}
	g_clear_pointer(&engine->telling, guestmem_unref);
}

static int tell_part(struct process_engine *engine)
{
	size_t n_regions = guestmem_n_regions(engine->telling);
	struct link_memory part = { .is_first = engine->next_region == 0 };
	int fds[LINK_MEMORY_REGIONS];
	size_t n_fds = 0;

	while (part.n_regions < LINK_MEMORY_REGIONS &&
	       engine->next_region + part.n_regions < n_regions) {
		uint32_t i = part.n_regions++;

		guestmem_region(engine->telling, engine->next_region + i, &part.regions[i].desc,
				&part.regions[i].id, &fds[n_fds]);
		part.regions[i].has_fd =
			!g_hash_table_contains(engine->told_regions, &part.regions[i].id);
		n_fds += part.regions[i].has_fd;
	}
	part.is_last = engine->next_region + part.n_regions == n_regions;
	int error = link_send(engine->link_fd, LINK_MEMORY, &part, sizeof(part), NULL, 0, fds,
			      n_fds);
	if (error < 0) {
		return error;
	}
	engine->next_region += part.n_regions;
	if (part.is_last) {
		end_table(engine);
	}
	return 0;
}

static int tell_memory(struct process_engine *engine)
{
	int error = 0;

	while (error == 0 && (engine->telling != NULL || engine->is_memory_due)) {
		if (engine->telling == NULL) {
			begin_table(engine);
		}
		error = tell_part(engine);
	}
	return error;
}

/* ---- queues ---- */

static int tell_queue(struct process_engine *engine, unsigned int index)
{
	struct link_queue queue = { .index = index };
	int fds[3];
	size_t n_fds = 0;

	virtq_get_view(&engine->base.options.queues[index], &queue.view);
	queue.has_kick = queue.view.kick_fd >= 0;
	queue.has_call = queue.view.call_fd >= 0;
	queue.has_err = queue.view.err_fd >= 0;
	if (queue.has_kick) {
		fds[n_fds++] = queue.view.kick_fd;
	}
	if (queue.has_call) {
		fds[n_fds++] = queue.view.call_fd;
	}
	if (queue.has_err) {
		fds[n_fds++] = queue.view.err_fd;
	}
	return link_send(engine->link_fd, LINK_QUEUE, &queue, sizeof(queue), NULL, 0, fds, n_fds);
}

static int tell_queues(struct process_engine *engine)
{
	int error = 0;

	for (unsigned int i = 0; i < COMMAND_N_QUEUES && error == 0; i++) {
		if (engine->due_queues & 1u << i) {
			error = tell_queue(engine, i);
		}
		if (error == 0) {
			engine->due_queues &= ~(1u << i);
		}
	}
	return error;
}

/* ---- the start ---- */

static int tell_record(struct process_engine *engine, const struct keepsake *keepsake)
{
	const struct link_record head = {
		.kind = keepsake_kind(keepsake),
		.id = keepsake_id(keepsake),
	};
	gsize size;
	const void *bytes = g_bytes_get_data(keepsake->bytes, &size);

	return link_send(engine->link_fd, LINK_RESTORE, &head, sizeof(head), bytes, size, NULL, 0);
}

/* What is restored is filled from the guest's memory, which a paused machine takes away. */
static bool can_restore(struct process_engine *engine)
{
	bool is_running = false;

	for (unsigned int i = 0; i < COMMAND_N_QUEUES; i++) {
		struct virtq_view view;

		virtq_get_view(&engine->base.options.queues[i], &view);
		is_running |= view.is_started;
	}
	return is_running || g_queue_is_empty(&engine->to_restore);
}

static int tell_start(struct process_engine *engine)
{
	struct keepsake *keepsake;

	if (engine->is_started || !can_restore(engine)) {
		return 0;
	}
	while ((keepsake = g_queue_peek_head(&engine->to_restore)) != NULL) {
		int error = tell_record(engine, keepsake);

		if (error < 0) {
			return error;
		}
		keepsake_free(g_queue_pop_head(&engine->to_restore));
	}
	int error = tell(engine, LINK_START, NULL, 0);
	if (error == 0) {
		engine->is_started = true;
		engine->started_us = g_get_monotonic_time();
		keeper_watch(engine);
	}
	return error;
}

/* ---- news of the display ---- */

static void leave_news(struct process_engine *engine)
{
	uint64_t one = 1;
	ssize_t ignored = write(engine->news_fd, &one, sizeof(one));
	(void)ignored;
}

void keeper_picture_went(struct process_engine *engine, uint32_t scanout_id, uint32_t serial)
{
	uint32_t *awaited = &engine->shared->awaited[scanout_id];
	uint32_t wanted = __atomic_load_n(awaited, __ATOMIC_SEQ_CST);

	/* Not what an older one made of the newer's. */
	if (wanted == 0 || (int32_t)(serial - wanted) < 0 ||
	    !__atomic_compare_exchange_n(awaited, &wanted, 0, false, __ATOMIC_SEQ_CST,
					 __ATOMIC_SEQ_CST)) {
		return;
	}
	g_mutex_lock(&engine->lock);
	engine->taken.scanouts |= 1u << scanout_id;
	engine->taken.serials[scanout_id] = wanted;
	g_mutex_unlock(&engine->lock);
	leave_news(engine);
}

void keeper_note_display(struct process_engine *engine)
{
	g_atomic_int_set(&engine->shared->is_watched, display_is_watched(engine->display));
	g_atomic_int_set(&engine->shared->dmabufs, (int)display_dmabufs(engine->display));
}

static void display_ready(void *data)
{
	struct process_engine *engine = data;

	g_mutex_lock(&engine->lock);
	keeper_note_display(engine);
	engine->is_ready_due = true;
	g_mutex_unlock(&engine->lock);
	leave_news(engine);
}

static void display_taken(void *data, uint32_t scanout_id, uint32_t serial)
{
	keeper_picture_went(data, scanout_id, serial);
}

/*
 * A display may answer when nobody waits for it any more: another renderer
 * process gives its own questions the same tokens, and must not be told. So
 * the display knows a question by a number that comes once.
 */
static uint64_t add_question(struct process_engine *engine, uint64_t token)
{
	struct keeper_question *question = g_new(struct keeper_question, 1);

	*question = (struct keeper_question){ ++engine->last_number, token };
	g_hash_table_insert(engine->questions, &question->number, question);
	return question->number;
}

/* False: nobody waits for this answer. What it is news of is told all the same. */
static bool take_question(struct process_engine *engine, uint64_t number, uint64_t *token_out)
{
	const struct keeper_question *question = g_hash_table_lookup(engine->questions, &number);

	if (question == NULL) {
		return false;
	}
	*token_out = question->token;
	g_hash_table_remove(engine->questions, &number);
	return true;
}

/* Answers count until they are told, as they may never be read. */
static bool has_room(const struct process_engine *engine)
{
	return g_hash_table_size(engine->questions) + engine->answers.length < KEEPER_MAX_QUESTIONS;
}

static void post_answer(struct process_engine *engine, uint64_t number,
			struct keeper_answer *consume_answer)
{
	consume_answer->body.token = DISPLAY_NO_TOKEN;
	g_mutex_lock(&engine->lock);
	bool is_awaited = take_question(engine, number, &consume_answer->body.token);
	bool is_news = consume_answer->type == LINK_INFO && !consume_answer->body.is_none &&
		       has_room(engine);
	if (is_awaited || is_news) {
		g_queue_push_tail(&engine->answers, g_steal_pointer(&consume_answer));
	}
	g_mutex_unlock(&engine->lock);
	g_free(consume_answer);
	leave_news(engine);
}

static struct keeper_answer *answer_create(enum link_type type, bool is_none)
{
	struct keeper_answer *answer = g_new0(struct keeper_answer, 1);

	answer->type = type;
	answer->body.is_none = is_none;
	return answer;
}

static void display_info(void *data, uint64_t token,
			 const struct virtio_gpu_resp_display_info *info)
{
	struct keeper_answer *answer = answer_create(LINK_INFO, info == NULL);

	if (info != NULL) {
		answer->body.info = *info;
	}
	post_answer(data, token, answer);
}

static void display_edid(void *data, uint64_t token, const struct virtio_gpu_resp_edid *edid)
{
	struct keeper_answer *answer = answer_create(LINK_EDID, edid == NULL);

	if (edid != NULL) {
		answer->body.edid = *edid;
	}
	post_answer(data, token, answer);
}

const struct display_listener keeper_display_listener = {
	.ready = display_ready,
	.taken = display_taken,
	.info = display_info,
	.edid = display_edid,
};

bool keeper_out_ask(struct process_engine *engine, enum link_type answer_type, uint64_t token,
		    uint32_t scanout_id)
{
	uint64_t number = DISPLAY_NO_TOKEN;

	g_mutex_lock(&engine->lock);
	if (has_room(engine)) {
		number = add_question(engine, token);
	}
	g_mutex_unlock(&engine->lock);
	if (number == DISPLAY_NO_TOKEN) {
		return false;
	}
	bool is_asked = answer_type == LINK_INFO ?
				display_request_info(engine->display, number) :
				display_request_edid(engine->display, number, scanout_id);
	if (!is_asked) {
		post_answer(engine, number, answer_create(answer_type, true));
	}
	return true;
}

static int tell_answers(struct process_engine *engine)
{
	struct keeper_answer *answer;
	int error = 0;

	g_mutex_lock(&engine->lock);
	while (error == 0 && (answer = g_queue_peek_head(&engine->answers)) != NULL) {
		error = tell(engine, answer->type, &answer->body, sizeof(answer->body));
		if (error == 0) {
			g_free(g_queue_pop_head(&engine->answers));
		}
	}
	g_mutex_unlock(&engine->lock);
	return error;
}

static int tell_mapped(struct process_engine *engine)
{
	struct link_mapped mapped;
	int error = 0;

	while (error == 0 && mappings_peek_answer(&engine->mappings, &mapped)) {
		error = tell(engine, LINK_MAPPED, &mapped, sizeof(mapped));
		if (error == 0) {
			mappings_drop_answer(&engine->mappings);
		}
	}
	return error;
}

static int tell_news(struct process_engine *engine)
{
	if (!engine->is_started) {
		return 0;
	}
	int error = tell_answers(engine);

	if (error == 0) {
		error = tell_mapped(engine);
	}

	g_mutex_lock(&engine->lock);
	if (error == 0 && engine->taken.scanouts != 0) {
		error = tell(engine, LINK_TAKEN, &engine->taken, sizeof(engine->taken));
		engine->taken.scanouts = error == 0 ? 0 : engine->taken.scanouts;
	}
	if (error == 0 && engine->is_ready_due) {
		error = tell(engine, LINK_READY, NULL, 0);
		engine->is_ready_due = error != 0;
	}
	g_mutex_unlock(&engine->lock);
	return error;
}

/* ---- for who looks inside ---- */

static int tell_level(struct process_engine *engine)
{
	uint32_t level = log_level();

	if (!engine->is_level_due) {
		return 0;
	}
	int error = tell(engine, LINK_LOG, &level, sizeof(level));
	engine->is_level_due = error != 0;
	return error;
}

/* Before START: a device that begins without them would have a guest find the old ones. */
static int tell_modes(struct process_engine *engine)
{
	int error = 0;

	for (uint32_t i = 0; i < DISPLAY_MAX_SCANOUTS && error == 0; i++) {
		if ((engine->due_modes & 1u << i) == 0) {
			continue;
		}
		error = tell(engine, LINK_MODE, &engine->modes[i], sizeof(engine->modes[i]));
		if (error == 0) {
			engine->due_modes &= ~(1u << i);
		}
	}
	return error;
}

static int tell_grabs_of(struct process_engine *engine, uint32_t *due, uint32_t *open,
			 bool is_cursor)
{
	int error = 0;

	for (uint32_t i = 0; i < DISPLAY_MAX_SCANOUTS && error == 0; i++) {
		const struct link_grab grab = { .scanout_id = i, .is_cursor = is_cursor };

		/* One that is owed an answer is not asked for twice, so that answers can be
		 * counted. */
		if ((*due & ~*open & 1u << i) == 0) {
			continue;
		}
		error = tell(engine, LINK_GRAB, &grab, sizeof(grab));
		if (error == 0) {
			*due &= ~(1u << i);
			*open |= 1u << i;
		}
	}
	return error;
}

/* It has a device to ask. */
static int tell_grabs(struct process_engine *engine)
{
	int error = 0;

	if (!engine->is_started) {
		return 0;
	}
	error = tell_grabs_of(engine, &engine->due_grabs, &engine->open_grabs, false);
	if (error == 0) {
		error = tell_grabs_of(engine, &engine->due_cursor_grabs, &engine->open_cursor_grabs,
				      true);
	}
	return error;
}

/* ---- all of it ---- */

void keeper_out_begin(struct process_engine *engine)
{
	engine->is_reset_due = true; /* it is to know the generation */
	engine->is_features_due = true;
	engine->is_memory_due = true;
	engine->due_queues = (1u << COMMAND_N_QUEUES) - 1;
	engine->to_restore = keepsakes_list(&engine->keepsakes);
	engine->is_started = false;
	engine->wants_output = false;
	engine->is_level_due = engine->has_level;
	engine->due_modes = engine->known_modes;
	engine->due_grabs = 0;
	engine->due_cursor_grabs = 0;
	engine->open_grabs = 0;
	engine->open_cursor_grabs = 0;
}

void keeper_out_end(struct process_engine *engine)
{
	engine->is_started = false;
	g_clear_pointer(&engine->telling, guestmem_unref);
	g_hash_table_remove_all(engine->told_regions);
	g_queue_clear_full(&engine->to_restore, keepsake_free);
	/* Nobody waits for these any more. A ready is for whoever comes. */
	g_mutex_lock(&engine->lock);
	g_queue_clear_full(&engine->answers, g_free);
	g_hash_table_remove_all(engine->questions);
	engine->taken.scanouts = 0;
	g_mutex_unlock(&engine->lock);
}

static void want_output(struct process_engine *engine, bool is_wanted)
{
	if (engine->wants_output == is_wanted) {
		return;
	}
	int error = loop_modify(engine->base.options.loop, &engine->link_source,
				is_wanted ? EPOLLIN | EPOLLOUT : EPOLLIN);
	if (error < 0) {
		log_error("waiting for room to a renderer process: %s", g_strerror(-error));
	} else {
		engine->wants_output = is_wanted;
	}
}

static int tell_all(struct process_engine *engine)
{
	static int (*const steps[])(struct process_engine *engine) = {
		tell_level, tell_reset, tell_features, tell_memory, tell_queues,
		tell_modes, tell_start, tell_grabs,    tell_news,
	};
	int error = 0;

	for (size_t i = 0; i < G_N_ELEMENTS(steps) && error == 0; i++) {
		error = steps[i](engine);
	}
	return error;
}

void keeper_out_pump(struct process_engine *engine)
{
	if (engine->link_fd < 0) {
		return;
	}
	int error = tell_all(engine);
	/* Any other error is its end, which the spawner tells. */
	want_output(engine, error == -EAGAIN);
}
