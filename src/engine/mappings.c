/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * The front-end does what it is asked in the order in which it is asked. So a
 * range is free as soon as its unmapping was asked for, and is taken as soon as
 * its mapping was: nobody waits for an answer before he goes on, neither a new
 * renderer process, which must not find the old one's memory in the window,
 * nor a reset.
 *
 * A mapping that failed is free again. If the front-end itself said no, there
 * is nothing there; else it was not heard of what it did (it gave us another
 * channel), and to be sure it is asked to unmap what may not be mapped.
 */
#include "engine/mappings.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "util/checked.h"
#include "util/dmabuf.h"
#include "util/log.h"

lockdown_names mappings_calls = { "fstatfs", "fstatfs64", NULL };

struct mapping {
	uint64_t offset_bytes, size_bytes;
	uint64_t number; /* of the question that asked for it */
	bool is_there;	 /* the front-end has said so */
};

struct mappings_question {
	uint64_t number; /* the front-end knows it by that */
	uint64_t token;
	uint64_t offset_bytes, size_bytes;
	bool is_map;
	bool is_awaited; /* by the renderer process */
	bool is_answered, is_refused;
	bool may_fail; /* to unmap: there may be nothing */
};

static int compare_offsets(const void *a, const void *b, void *data G_GNUC_UNUSED)
{
	uint64_t offset_a = *(const uint64_t *)a, offset_b = *(const uint64_t *)b;

	return offset_a < offset_b ? -1 : offset_a > offset_b;
}

void mappings_init(struct mappings *mappings, const struct engine_options *options)
{
	*mappings = (struct mappings){
		.options = options,
		.ranges = g_tree_new_full(compare_offsets, NULL, NULL, g_free),
	};
	g_queue_init(&mappings->questions);
}

void mappings_finish(struct mappings *mappings)
{
	g_clear_pointer(&mappings->ranges, g_tree_unref);
	g_queue_clear_full(&mappings->questions, g_free);
	mappings->unanswered = NULL;
}

/* ---- questions ---- */

static void add_question(struct mappings *mappings, const struct mappings_question *question)
{
	g_queue_push_tail(&mappings->questions, g_memdup2(question, sizeof(*question)));
	if (mappings->unanswered == NULL && !question->is_answered) {
		mappings->unanswered = mappings->questions.tail;
	}
}

/* In its turn, behind what the front-end is asked. */
static void refuse(struct mappings *mappings, const struct link_mapping *ask, const char *why)
{
	const struct mappings_question question = {
		.token = ask->token,
		.is_awaited = true,
		.is_answered = true,
		.is_refused = true,
	};

	log_debug("window 0x%" G_GINT64_MODIFIER "x, 0x%" G_GINT64_MODIFIER "x bytes: %s",
		  ask->offset_bytes, ask->size_bytes, why);
	add_question(mappings, &question);
}

/* Returns 0, and there is a question, or -errno. */
static int ask_to_unmap(struct mappings *mappings, const struct mapping *mapping,
			const uint64_t *token)
{
	const struct mappings_question question = {
		.number = mappings->last_number + 1,
		.token = token != NULL ? *token : 0,
		.is_awaited = token != NULL,
		.offset_bytes = mapping->offset_bytes,
		.size_bytes = mapping->size_bytes,
		.may_fail = !mapping->is_there,
	};
	const struct engine_options *options = mappings->options;
	int error = options->unmap(options->data, question.number, mapping->offset_bytes,
				   mapping->size_bytes);

	if (error == 0) {
		mappings->last_number++;
		add_question(mappings, &question);
	}
	return error;
}

/* For nobody. If it can't be asked the channel is gone, which was said. */
static void take_back(struct mappings *mappings, const struct mapping *mapping)
{
	int error = ask_to_unmap(mappings, mapping, NULL);

	if (error < 0) {
		log_debug("window 0x%" G_GINT64_MODIFIER "x: not unmapped: %s",
			  mapping->offset_bytes, g_strerror(-error));
	}
}

/* ---- what is asked for ---- */

static bool is_range(const struct mappings *mappings, const struct link_mapping *ask)
{
	uint64_t page_bytes = (uint64_t)sysconf(_SC_PAGESIZE);

	return ask->size_bytes > 0 && ask->offset_bytes % page_bytes == 0 &&
	       ask->size_bytes % page_bytes == 0 &&
	       checked_range(ask->offset_bytes, ask->size_bytes, mappings->options->window_bytes);
}

static bool has_room(const struct mappings *mappings)
{
	return mappings->questions.length < MAPPINGS_MAX_QUESTIONS;
}

static bool is_free(const struct mappings *mappings, const struct link_mapping *ask)
{
	GTreeNode *behind = g_tree_lower_bound(mappings->ranges, &ask->offset_bytes);
	GTreeNode *before =
		behind != NULL ? g_tree_node_previous(behind) : g_tree_node_last(mappings->ranges);
	const struct mapping *next = behind != NULL ? g_tree_node_value(behind) : NULL;
	const struct mapping *last = before != NULL ? g_tree_node_value(before) : NULL;

	/* All of these lie inside the window: their ends don't overflow. */
	return (next == NULL || next->offset_bytes >= ask->offset_bytes + ask->size_bytes) &&
	       (last == NULL || last->offset_bytes + last->size_bytes <= ask->offset_bytes);
}

/*
 * Up to where it has pages, if it is of a kind whose pages are always there: shared memory,
 * which is kept from getting shorter where that can be had, and dma-bufs, which
 * can't. Another kind may have the front-end wait for it, or end by SIGBUS.
 */
static bool measure_file(int fd, uint64_t *end_out)
{
	uint64_t mask = (uint64_t)sysconf(_SC_PAGESIZE) - 1;
	struct statfs system;
	struct stat info;
	uint64_t end;

	if (fcntl(fd, F_GET_SEALS) >= 0) {
		/* Refused where it has been sealed, or was not made to be. */
		int ignored = fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK);
		(void)ignored;
		if (fstatfs(fd, &system) < 0 || system.f_type != TMPFS_MAGIC ||
		    fstat(fd, &info) < 0) {
			return false;
		}
		end = (uint64_t)info.st_size;
	} else if (dmabuf_get_size(fd, &end) < 0) {
		return false;
	}
	/* Behind the end of a file there is what is left of its last page. */
	*end_out = (end + mask) & ~mask;
	return true;
}

static const char *find_fault(const struct mappings *mappings, const struct link_mapping *ask, int fd)
{
	uint64_t page_bytes = (uint64_t)sysconf(_SC_PAGESIZE);
	uint64_t end;

	if (!is_free(mappings, ask)) {
		return "taken already";
	}
	if (g_tree_nnodes(mappings->ranges) >= MAPPER_MAX_RANGES) {
		return "there are too many ranges";
	}
	if (!measure_file(fd, &end)) {
		return "neither shared memory nor a dma-buf";
	}
	if (ask->fd_offset_bytes % page_bytes != 0 ||
	    !checked_range(ask->fd_offset_bytes, ask->size_bytes, end)) {
		return "it is not pages of the file";
	}
	return NULL;
}

bool mappings_map(struct mappings *mappings, const struct link_mapping *ask, int fd_borrow)
{
	const struct engine_options *options = mappings->options;

	if (!is_range(mappings, ask) || !has_room(mappings)) {
		return false;
	}
	const char *fault = find_fault(mappings, ask, fd_borrow);
	if (fault != NULL) {
		refuse(mappings, ask, fault);
		return true;
	}
	const struct engine_mapping wanted = {
		.offset_bytes = ask->offset_bytes,
		.size_bytes = ask->size_bytes,
		.fd = fd_borrow,
		.fd_offset_bytes = ask->fd_offset_bytes,
	};
	uint64_t number = mappings->last_number + 1;
	int error = options->map(options->data, number, &wanted);
	if (error < 0) {
		refuse(mappings, ask, g_strerror(-error));
		return true;
	}
	mappings->last_number = number;
	struct mapping *mapping = g_new(struct mapping, 1);
	*mapping = (struct mapping){ ask->offset_bytes, ask->size_bytes, number, false };
	g_tree_insert(mappings->ranges, &mapping->offset_bytes, mapping);
	const struct mappings_question question = {
		.number = number,
		.token = ask->token,
		.offset_bytes = ask->offset_bytes,
		.size_bytes = ask->size_bytes,
		.is_map = true,
		.is_awaited = true,
	};
	add_question(mappings, &question);
	return true;
}

bool mappings_unmap(struct mappings *mappings, const struct link_mapping *ask)
{
	if (!is_range(mappings, ask) || !has_room(mappings)) {
		return false;
	}
	const struct mapping *mapping = g_tree_lookup(mappings->ranges, &ask->offset_bytes);
	/* It may have been refused, which the process has not heard yet. */
	if (mapping == NULL || mapping->size_bytes != ask->size_bytes) {
		refuse(mappings, ask, "not mapped");
		return true;
	}
	int error = ask_to_unmap(mappings, mapping, &ask->token);
	if (error < 0) {
		refuse(mappings, ask, g_strerror(-error));
	}
	g_tree_remove(mappings->ranges, &ask->offset_bytes);
	return true;
}

/* ---- answers ---- */

/* Whatever the front-end did with it. */
static void undo(struct mappings *mappings, const struct mappings_question *question)
{
	const struct mapping mapping = {
		.offset_bytes = question->offset_bytes,
		.size_bytes = question->size_bytes,
	};

	take_back(mappings, &mapping);
}

static void heed_map(struct mappings *mappings, const struct mappings_question *question, int error)
{
	struct mapping *mapping = g_tree_lookup(mappings->ranges, &question->offset_bytes);

	/* Else it was to be unmapped in the meantime, and that comes next. */
	if (mapping == NULL || mapping->number != question->number) {
		return;
	}
	if (error == 0) {
		mapping->is_there = true;
		return;
	}
	if (error != -EREMOTEIO) {
		undo(mappings, question);
	}
	g_tree_remove(mappings->ranges, &question->offset_bytes);
}

static void heed_unmap(struct mappings *mappings, const struct mappings_question *question,
		       int error)
{
	if (error != 0 && error != -EREMOTEIO) {
		undo(mappings, question);
	} else if (error != 0 && !question->may_fail) {
		log_warn("the front-end does not unmap 0x%" G_GINT64_MODIFIER
			 "x of the guest's window, which it had mapped",
			 question->offset_bytes);
	}
}

static void find_unanswered(struct mappings *mappings)
{
	while (mappings->unanswered != NULL &&
	       ((struct mappings_question *)mappings->unanswered->data)->is_answered) {
		mappings->unanswered = mappings->unanswered->next;
	}
}

/* Answers that nobody waits for. */
static void drop_unawaited(struct mappings *mappings)
{
	struct mappings_question *question;

	while ((question = g_queue_peek_head(&mappings->questions)) != NULL &&
	       question->is_answered && !question->is_awaited) {
		g_free(g_queue_pop_head(&mappings->questions));
	}
}

void mappings_answered(struct mappings *mappings, uint64_t number, int error)
{
	struct mappings_question *question =
		mappings->unanswered != NULL ? mappings->unanswered->data : NULL;

	if (question == NULL || question->number != number) {
		return;
	}
	question->is_answered = true;
	question->is_refused = error != 0;
	find_unanswered(mappings);
	if (question->is_map) {
		heed_map(mappings, question, error);
	} else {
		heed_unmap(mappings, question, error);
	}
	drop_unawaited(mappings);
}

bool mappings_peek_answer(struct mappings *mappings, struct link_mapped *answer_out)
{
	const struct mappings_question *question = g_queue_peek_head(&mappings->questions);

	if (question == NULL || !question->is_answered) {
		return false;
	}
	*answer_out = (struct link_mapped){
		.token = question->token,
		.is_refused = question->is_refused,
	};
	return true;
}

void mappings_drop_answer(struct mappings *mappings)
{
	g_free(g_queue_pop_head(&mappings->questions));
	drop_unawaited(mappings);
}

/* ---- the end of a process, and resets ---- */

/* All ranges, which are free then; struct mapping, owned by the caller. */
static GQueue steal_ranges(struct mappings *mappings)
{
	GQueue list = G_QUEUE_INIT;

	for (GTreeNode *node = g_tree_node_first(mappings->ranges); node != NULL;
	     node = g_tree_node_next(node)) {
		g_queue_push_tail(&list,
				  g_memdup2(g_tree_node_value(node), sizeof(struct mapping)));
	}
	g_tree_remove_all(mappings->ranges);
	return list;
}

static void take_back_all(struct mappings *mappings, GQueue *consume_list, bool are_left)
{
	struct mapping *mapping;

	while ((mapping = g_queue_pop_head(consume_list)) != NULL) {
		if (are_left || !mapping->is_there) {
			take_back(mappings, mapping);
		}
		g_free(mapping);
	}
}

void mappings_take_back(struct mappings *mappings)
{
	GQueue list = steal_ranges(mappings);

	for (GList *link = mappings->questions.head; link != NULL; link = link->next) {
		((struct mappings_question *)link->data)->is_awaited = false;
	}
	drop_unawaited(mappings);
	take_back_all(mappings, &list, true);
}

void mappings_reset(struct mappings *mappings)
{
	GQueue list = steal_ranges(mappings);

	/* The front-end's answers to these are not told any more. */
	g_queue_clear_full(&mappings->questions, g_free);
	mappings->unanswered = NULL;
	take_back_all(mappings, &list, false);
}
