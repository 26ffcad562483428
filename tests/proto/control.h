/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * The other end of the control socket (src/control/protocol.h), of a daemon that was started with
 * CONTROL_ARGS. Each function fails the test where it says nothing else.
 */
#ifndef TESTS_PROTO_CONTROL_H
#define TESTS_PROTO_CONTROL_H

#include <glib.h>
#include <stdint.h>

#include "daemon.h"

#define CONTROL_ARGS "--control-socket", "@SOCKET@.ctl"
#define GREETING "vhost-device-gpu/1 "
#define OK GREETING "ok\n"

/* Owned. */
char *control_path(const struct daemon *daemon);
/* A connection, or -errno. */
int control_try_connect(const struct daemon *daemon);
int control_connect(const struct daemon *daemon);
/* All until the other end closes; owned. */
GString *control_read_all(int consume_fd);
/* What comes of a connection that says these bytes; owned. */
GString *control_say(const struct daemon *daemon, const char *bytes, size_t length);
/* The answer, whole; owned. */
char *control_ask(const struct daemon *daemon, const char *question);
/* Scanout 0 is this large, and shows these pixels; alpha says nothing. */
void control_assert_screenshot(const struct daemon *daemon, const uint32_t *pixels, uint32_t width,
			       uint32_t height);

#endif
