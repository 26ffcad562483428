/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* A question on the control socket (protocol.h), taken apart. */
#pragma once

#include <glib.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "util/log.h"

enum control_verb {
	CONTROL_VMS, /* which VMs there are; of the program, not of one of them */
	CONTROL_LOG, /* set the level, here and in all of its processes; of the program */
	CONTROL_STATUS,
	CONTROL_SCREENSHOT,
	CONTROL_CURSOR, /* the picture of it */
	CONTROL_SET_MODE,
	CONTROL_N_VERBS,
};

struct control_question {
	enum control_verb verb;
	uint32_t vm;		/* 0: the one there is */
	uint32_t scanout_id;	/* below DISPLAY_MAX_SCANOUTS */
	uint32_t width, height; /* of set-mode: within what a display may have */
	enum log_level level;	/* of log */
};

/*
 * line: without its newline, any bytes. NULL: *question_out is filled; else
 * what is wrong with it, static, in words for who asked.
 */
const char *control_question_parse(const char *line, size_t length,
				   struct control_question *question_out);
