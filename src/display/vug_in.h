/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* What comes on a display channel: whole replies, however they are cut on the way. */
#pragma once

#include <glib.h>
#include <stdbool.h>
#include <stddef.h>

#include "display/vug_wire.h"

enum vug_in_status {
	VUG_IN_OK = 0,	  /* a whole reply is in header and reply; valid until the next receive */
	VUG_IN_E_AGAIN,	  /* nothing whole yet */
	VUG_IN_E_CLOSED,  /* the front-end hung up */
	VUG_IN_E_GARBAGE, /* not a reply, or longer than any */
};

struct vug_in {
	struct vug_header header;
	union vug_reply reply; /* header.size bytes of it are filled */
	size_t received_bytes; /* of both together */
	bool is_whole;
};

void vug_in_clear(struct vug_in *in);
enum vug_in_status vug_in_receive(struct vug_in *in, int fd) G_GNUC_WARN_UNUSED_RESULT;
