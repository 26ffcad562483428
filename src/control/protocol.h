/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * What vhost-device-gpuctl and the program say to each other on the control
 * socket. One question and one answer for each connection:
 *
 *   vhost-device-gpu/1 screenshot vm=2 scanout=0
 *
 * is a question: one line. An answer is lines as well,
 *
 *   vhost-device-gpu/1 ok
 *   scanout id=0 width=1280 height=800 frames=4711
 *   end
 *
 * records of a name and of words KEY=VALUE, whose values are escaped as in a
 * URI: no byte of a guest's is in them that a terminal obeys. Without "end" it
 * is not whole. An error is one line and the end:
 *
 *   vhost-device-gpu/1 error there is no VM 3
 *
 * Of a picture the record "picture" has "bytes" more behind the line "end": of
 * each pixel blue, green, red and one that says nothing, rows top down.
 *
 * The number counts versions. Within one, records and keys are only added, and
 * who does not know one passes over it.
 *
 * Lines of text and not JSON: the program writes it with nothing but GLib, and
 * what it has to parse is one short line. Who wants JSON asks
 * vhost-device-gpuctl, which has the library for it and no guest's memory.
 */
#pragma once

#define CONTROL_GREETING "vhost-device-gpu/1"

/* Of a question with its newline, and of what an answer may come to without pixels. */
#define CONTROL_MAX_QUESTION_BYTES 256
#define CONTROL_MAX_ANSWER_BYTES (96u << 10)
