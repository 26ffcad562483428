/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "display/vug_questions.h"

#include "util/log.h"

/* Linux waits 5 s for its display info; a QEMU that boots by emulation is busy for seconds. */
#define ANSWER_TIMEOUT_US (3 * G_USEC_PER_SEC)
#define MAX_OPEN 256

struct question {
	enum vug_question_kind kind;
	uint32_t scanout_id;
	uint64_t token;
	gint64 deadline_us;
	bool is_answered; /* the device was told something; a reply may still come */
};

static bool is_of_device(const struct question *question)
{
	return question->kind == VUG_ASK_INFO || question->kind == VUG_ASK_EDID;
}

static void question_free(struct vug_questions *q, struct question *question)
{
	if (is_of_device(question)) {
		g_atomic_int_add(&q->n_open, -1);
	}
	g_free(question);
}

void vug_questions_init(struct vug_questions *q, const struct display *display)
{
	*q = (struct vug_questions){ .display = display };
	g_mutex_init(&q->lock);
	g_queue_init(&q->asked);
	g_queue_init(&q->awaited);
}

void vug_questions_finish(struct vug_questions *q)
{
	g_queue_clear_full(&q->asked, g_free);
	g_queue_clear_full(&q->awaited, g_free);
	g_mutex_clear(&q->lock);
}

bool vug_questions_ask(struct vug_questions *q, enum vug_question_kind kind, uint64_t token,
		       uint32_t scanout_id)
{
	if (g_atomic_int_add(&q->n_open, 1) >= MAX_OPEN) {
		g_atomic_int_add(&q->n_open, -1);
		return false;
	}
	struct question *question = g_new(struct question, 1);
	*question = (struct question){
		.kind = kind,
		.scanout_id = scanout_id,
		.token = token,
		.deadline_us = g_get_monotonic_time() + ANSWER_TIMEOUT_US,
	};
	g_mutex_lock(&q->lock);
	g_queue_push_tail(&q->asked, question);
	g_mutex_unlock(&q->lock);
	return true;
}

static void answer_none(struct vug_questions *q, struct question *question)
{
	const struct display *display = q->display;

	if (question->is_answered || !is_of_device(question)) {
		return;
	}
	question->is_answered = true;
	if (question->kind == VUG_ASK_INFO) {
		display->listener->info(display->listener_data, question->token, NULL);
	} else {
		display->listener->edid(display->listener_data, question->token, NULL);
	}
}

/* ---- sending ---- */

static void await(struct vug_questions *q, enum vug_question_kind kind)
{
	struct question *question = g_new0(struct question, 1);

	question->kind = kind;
	g_queue_push_tail(&q->awaited, question);
}

void vug_questions_negotiate(struct vug_questions *q, struct vug_out *out)
{
	vug_out_add(out, VUG_GET_PROTOCOL_FEATURES, NULL, 0);
	await(q, VUG_ASK_PROTOCOL_FEATURES);
}

/* The next one that may be sent now, taken off; or NULL. */
static struct question *take_asked(struct vug_questions *q, bool is_negotiated)
{
	g_mutex_lock(&q->lock);
	struct question *question = g_queue_peek_head(&q->asked);
	if (question != NULL && question->kind == VUG_ASK_EDID && !is_negotiated) {
		question = NULL;
	}
	if (question != NULL) {
		g_queue_pop_head(&q->asked);
	}
	g_mutex_unlock(&q->lock);
	return question;
}

static void send_edid_question(struct vug_questions *q, struct question *question,
			       struct vug_out *out)
{
	struct vug_edid_request body = { question->scanout_id };

	vug_out_add(out, VUG_GET_EDID, &body, sizeof(body));
	g_queue_push_tail(&q->awaited, question);
	vug_out_add(out, VUG_GET_DISPLAY_INFO, NULL, 0);
	await(q, VUG_ASK_BARRIER);
}

bool vug_questions_pick(struct vug_questions *q, bool is_negotiated, bool has_edid,
			struct vug_out *out)
{
	struct question *question;

	while ((question = take_asked(q, is_negotiated)) != NULL) {
		if (question->kind == VUG_ASK_INFO && !question->is_answered) {
			vug_out_add(out, VUG_GET_DISPLAY_INFO, NULL, 0);
			g_queue_push_tail(&q->awaited, question);
			return true;
		}
		if (question->kind == VUG_ASK_EDID && !question->is_answered && has_edid) {
			send_edid_question(q, question, out);
			return true;
		}
		answer_none(q, question);
		question_free(q, question);
	}
	return false;
}

/* ---- replies ---- */

static bool is_answer(const struct question *question, uint32_t request)
{
	switch (question->kind) {
	case VUG_ASK_PROTOCOL_FEATURES:
		return request == VUG_GET_PROTOCOL_FEATURES;
	case VUG_ASK_INFO:
	case VUG_ASK_BARRIER:
		return request == VUG_GET_DISPLAY_INFO;
	case VUG_ASK_EDID:
	default:
		return request == VUG_GET_EDID;
	}
}

/* The question that a reply of this kind answers, taken off; NULL: none. */
static struct question *match(struct vug_questions *q, uint32_t request)
{
	GList *next;

	for (GList *link = q->awaited.head; link != NULL; link = next) {
		struct question *question = link->data;

		next = link->next;
		if (is_answer(question, request)) {
			g_queue_delete_link(&q->awaited, link);
			return question;
		}
		/* Answers come in order; these two alone may stay without one. */
		if (question->kind == VUG_ASK_EDID && request == VUG_GET_DISPLAY_INFO) {
			log_debug("the front-end has no EDID for scanout %u", question->scanout_id);
			answer_none(q, question);
			question_free(q, question);
			g_queue_delete_link(&q->awaited, link);
		} else if (question->kind != VUG_ASK_PROTOCOL_FEATURES) {
			return NULL;
		}
	}
	return NULL;
}

static void answer(struct vug_questions *q, struct question *question,
		   const struct vug_header *header, const union vug_reply *reply)
{
	const struct display *display = q->display;

	if (question->is_answered) {
		/* Too late for the guest that asked, but still the truth. */
		if (question->kind == VUG_ASK_INFO && header->size == sizeof(reply->info)) {
			display->listener->info(display->listener_data, DISPLAY_NO_TOKEN,
						&reply->info);
		}
		return;
	}
	if (question->kind == VUG_ASK_INFO && header->size == sizeof(reply->info)) {
		question->is_answered = true;
		display->listener->info(display->listener_data, question->token, &reply->info);
	} else if (question->kind == VUG_ASK_EDID && header->size == sizeof(reply->edid)) {
		question->is_answered = true;
		display->listener->edid(display->listener_data, question->token, &reply->edid);
	} else {
		answer_none(q, question);
	}
}

bool vug_questions_take_reply(struct vug_questions *q, const struct vug_header *header,
			      const union vug_reply *reply, bool *is_negotiation_out)
{
	struct question *question = match(q, header->request);

	if (question == NULL) {
		return false;
	}
	*is_negotiation_out = question->kind == VUG_ASK_PROTOCOL_FEATURES;
	answer(q, question, header, reply);
	question_free(q, question);
	return true;
}

/* ---- no reply ---- */

static void drop_queue(struct vug_questions *q, GQueue *queue)
{
	struct question *question;

	while ((question = g_queue_pop_head(queue)) != NULL) {
		answer_none(q, question);
		question_free(q, question);
	}
}

void vug_questions_drop(struct vug_questions *q, bool has_successor)
{
	drop_queue(q, &q->awaited);
	if (has_successor) {
		return;
	}
	g_mutex_lock(&q->lock);
	GQueue asked = q->asked;
	g_queue_init(&q->asked);
	g_mutex_unlock(&q->lock);

	drop_queue(q, &asked);
}

/* Returns the deadline of the first that is not late, or 0. */
static gint64 expire_queue(struct vug_questions *q, const GQueue *queue, gint64 now_us)
{
	for (GList *link = queue->head; link != NULL; link = link->next) {
		struct question *question = link->data;

		if (question->is_answered || !is_of_device(question)) {
			continue;
		}
		if (question->deadline_us > now_us) {
			return question->deadline_us;
		}
		log_warn("the front-end's display does not answer; the guest is told our own data");
		answer_none(q, question);
	}
	return 0;
}

gint64 vug_questions_expire(struct vug_questions *q)
{
	gint64 now_us = g_get_monotonic_time();
	/* What was sent is older than what was not. */
	gint64 next_us = expire_queue(q, &q->awaited, now_us);

	g_mutex_lock(&q->lock);
	gint64 next_asked_us = expire_queue(q, &q->asked, now_us);
	g_mutex_unlock(&q->lock);
	if (next_us == 0) {
		next_us = next_asked_us;
	}
	return next_us != 0 ? next_us - now_us : -1;
}
