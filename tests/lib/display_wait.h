/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * What a test asks of the display: to wait until something has been shown, and what has been seen
 * so far.
 */
#ifndef TESTS_LIB_DISPLAY_WAIT_H
#define TESTS_LIB_DISPLAY_WAIT_H

#include "display.h"

/* Fails the test if any rule of the channel has been broken. */
void display_assert_rules(struct display *display);

/* All of these wait with a time limit and fail the test when it has passed. */
void display_wait_scanout(struct display *display, uint32_t scanout_id, uint32_t width,
			  uint32_t height);
void display_wait_off(struct display *display, uint32_t scanout_id);
void display_wait_updates(struct display *display, uint32_t scanout_id, unsigned int n_updates);
/* @pixels: width * height of the surface, x8r8g8b8, the x byte is not compared. */
void display_wait_pixels(struct display *display, uint32_t scanout_id, const uint32_t *pixels,
			 uint32_t width, uint32_t height);
void display_wait_pixel(struct display *display, uint32_t scanout_id, uint32_t x, uint32_t y,
			uint32_t rgb);
/* The same, and false instead of a failed test. */
bool display_shows_pixel(struct display *display, uint32_t scanout_id, uint32_t x, uint32_t y,
			 uint32_t rgb);
void display_wait_cursor(struct display *display, uint32_t scanout_id, unsigned int n_updates,
			 unsigned int n_moves, struct display_cursor *cursor_out);
/* @n messages of either kind. */
void display_wait_cursor_messages(struct display *display, uint32_t scanout_id, unsigned int n,
				  struct display_cursor *cursor_out);
void display_wait_features_acked(struct display *display);
void display_wait_peer_closed(struct display *display);
void display_wait_bytes(struct display *display, uint64_t n_bytes);

/* A copy of the surface's bookkeeping (pixels excluded). */
struct display_surface display_get_surface(struct display *display, uint32_t scanout_id);
/* Messages so far with this request and scanout; the last one in *last_out unless NULL. */
unsigned int display_count(struct display *display, uint32_t request, uint32_t scanout_id,
			   struct display_message *last_out);
/* Smallest rectangle around all UPDATEs of the scanout from message number @first on; false if
 * there was none. */
bool display_get_damage(struct display *display, uint32_t scanout_id, unsigned int first,
			struct display_message *damage_out);
unsigned int display_n_messages(struct display *display);
/* Read since the display was created. */
uint64_t display_n_bytes(struct display *display);
/* What GET_DISPLAY_INFO is answered with from now on. */
void display_resize(struct display *display, uint32_t width, uint32_t height);
unsigned int display_count_breaches(struct display *display);

#endif
