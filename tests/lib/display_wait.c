/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * Waiting is on the display's condition variable, which its thread signals after every message, so
 * a test goes on the moment that what it waits for has been seen; when the time is up, broken rules
 * are shown first, as the likely cause.
 */
#include <stdio.h>

#include "display_wait.h"
#include "suite.h"

#define WAIT_MS 5000

void display_assert_rules(struct display *display)
{
	g_mutex_lock(&display->lock);
	for (unsigned int i = 0; i < display->breaches->len; i++) {
		g_printerr("display rule broken: %s\n",
			   (const char *)g_ptr_array_index(display->breaches, i));
	}
	unsigned int n_breaches = display->config.is_lenient ? 0 : display->breaches->len;
	g_mutex_unlock(&display->lock);
	g_assert_cmpuint(n_breaches, ==, 0);
}

unsigned int display_count_breaches(struct display *display)
{
	g_mutex_lock(&display->lock);
	unsigned int n_breaches = display->breaches->len;
	g_mutex_unlock(&display->lock);
	return n_breaches;
}

/* What a wait is for; called with the lock held. */
struct goal {
	bool (*is_reached)(const struct display *display, const struct goal *goal);
	uint32_t scanout_id;
	uint32_t width, height;
	uint64_t number, other_number;
	const uint32_t *pixels;
	uint32_t x, y;
};

static bool wait_goal(struct display *display, const struct goal *goal)
{
	int64_t deadline = suite_deadline_us(WAIT_MS);
	bool is_reached;

	g_mutex_lock(&display->lock);
	while (!(is_reached = goal->is_reached(display, goal))) {
		if (!g_cond_wait_until(&display->changed, &display->lock, deadline)) {
			is_reached = goal->is_reached(display, goal);
			break;
		}
	}
	g_mutex_unlock(&display->lock);
	if (!is_reached) {
		display_assert_rules(display);
	}
	return is_reached;
}

static bool is_scanout(const struct display *display, const struct goal *goal)
{
	const struct display_surface *surface = &display->surfaces[goal->scanout_id];

	return surface->is_set && surface->is_shown && surface->width == goal->width &&
	       surface->height == goal->height;
}

void display_wait_scanout(struct display *display, uint32_t scanout_id, uint32_t width,
			  uint32_t height)
{
	struct goal goal = {is_scanout, .scanout_id = scanout_id, .width = width, .height = height};

	if (!wait_goal(display, &goal)) {
		g_error("scanout %u is %ux%u with %u updates, wanted %ux%u", scanout_id,
			display->surfaces[scanout_id].width, display->surfaces[scanout_id].height,
			display->surfaces[scanout_id].n_updates, width, height);
	}
}

static bool is_off(const struct display *display, const struct goal *goal)
{
	const struct display_surface *surface = &display->surfaces[goal->scanout_id];

	return !surface->is_set && !surface->is_off_due && !surface->dmabuf.bytes &&
	       surface->n_scanouts + surface->n_dmabufs > 0;
}

void display_wait_off(struct display *display, uint32_t scanout_id)
{
	struct goal goal = {is_off, .scanout_id = scanout_id};

	if (!wait_goal(display, &goal)) {
		g_error("scanout %u was not switched off", scanout_id);
	}
}

static bool has_updates(const struct display *display, const struct goal *goal)
{
	return display->surfaces[goal->scanout_id].n_updates >= goal->number;
}

void display_wait_updates(struct display *display, uint32_t scanout_id, unsigned int n_updates)
{
	struct goal goal = {has_updates, .scanout_id = scanout_id, .number = n_updates};

	if (!wait_goal(display, &goal)) {
		g_error("scanout %u has had %u updates, wanted %u", scanout_id,
			display->surfaces[scanout_id].n_updates, n_updates);
	}
}

static bool has_pixels(const struct display *display, const struct goal *goal)
{
	const struct display_surface *surface = &display->surfaces[goal->scanout_id];

	if (!surface->is_shown || surface->width != goal->width ||
	    surface->height != goal->height) {
		return false;
	}
	for (size_t i = 0; i < (size_t)goal->width * goal->height; i++) {
		if ((surface->pixels[i] ^ goal->pixels[i]) & 0xffffff) {
			return false;
		}
	}
	return true;
}

static void show_first_difference(const struct display *display, const struct goal *goal)
{
	const struct display_surface *surface = &display->surfaces[goal->scanout_id];

	for (size_t i = 0; i < (size_t)goal->width * goal->height; i++) {
		if ((surface->pixels[i] ^ goal->pixels[i]) & 0xffffff) {
			g_error("scanout %u at %zu,%zu: %06x, wanted %06x", goal->scanout_id,
				i % goal->width, i / goal->width, surface->pixels[i] & 0xffffff,
				goal->pixels[i] & 0xffffff);
		}
	}
}

void display_wait_pixels(struct display *display, uint32_t scanout_id, const uint32_t *pixels,
			 uint32_t width, uint32_t height)
{
	struct goal goal = {has_pixels, .scanout_id = scanout_id, .width = width, .height = height,
			    .pixels = pixels};

	display_wait_scanout(display, scanout_id, width, height);
	if (!wait_goal(display, &goal)) {
		show_first_difference(display, &goal);
		g_error("scanout %u does not settle", scanout_id);
	}
}

static bool has_pixel(const struct display *display, const struct goal *goal)
{
	const struct display_surface *surface = &display->surfaces[goal->scanout_id];

	return surface->is_shown && goal->x < surface->width && goal->y < surface->height &&
	       (surface->pixels[(size_t)goal->y * surface->width + goal->x] & 0xffffff) ==
		       goal->number;
}

bool display_shows_pixel(struct display *display, uint32_t scanout_id, uint32_t x, uint32_t y,
			 uint32_t rgb)
{
	struct goal goal = {has_pixel, .scanout_id = scanout_id, .x = x, .y = y, .number = rgb};

	return wait_goal(display, &goal);
}

void display_wait_pixel(struct display *display, uint32_t scanout_id, uint32_t x, uint32_t y,
			uint32_t rgb)
{
	if (!display_shows_pixel(display, scanout_id, x, y, rgb)) {
		const struct display_surface *surface = &display->surfaces[scanout_id];
		if (!surface->is_shown || x >= surface->width || y >= surface->height) {
			g_error("scanout %u shows nothing at %u,%u", scanout_id, x, y);
		}
		g_error("scanout %u at %u,%u: %06x, wanted %06x", scanout_id, x, y,
			surface->pixels[(size_t)y * surface->width + x] & 0xffffff, rgb);
	}
}

static bool has_cursor(const struct display *display, const struct goal *goal)
{
	const struct display_cursor *cursor = &display->cursors[goal->scanout_id];

	return cursor->n_updates >= goal->number && cursor->n_moves >= goal->other_number;
}

void display_wait_cursor(struct display *display, uint32_t scanout_id, unsigned int n_updates,
			 unsigned int n_moves, struct display_cursor *cursor_out)
{
	struct goal goal = {has_cursor, .scanout_id = scanout_id, .number = n_updates,
			    .other_number = n_moves};

	if (!wait_goal(display, &goal)) {
		g_error("cursor of scanout %u: %u updates and %u moves, wanted %u and %u",
			scanout_id, display->cursors[scanout_id].n_updates,
			display->cursors[scanout_id].n_moves, n_updates, n_moves);
	}
	g_mutex_lock(&display->lock);
	*cursor_out = display->cursors[scanout_id];
	g_mutex_unlock(&display->lock);
}

static bool has_cursor_messages(const struct display *display, const struct goal *goal)
{
	const struct display_cursor *cursor = &display->cursors[goal->scanout_id];

	return cursor->n_updates + cursor->n_moves >= goal->number;
}

void display_wait_cursor_messages(struct display *display, uint32_t scanout_id, unsigned int n,
				  struct display_cursor *cursor_out)
{
	struct goal goal = {has_cursor_messages, .scanout_id = scanout_id, .number = n};

	if (!wait_goal(display, &goal)) {
		const struct display_cursor *cursor = &display->cursors[scanout_id];
		g_error("cursor of scanout %u: still at %d,%d after %u updates and %u moves",
			scanout_id, (int)cursor->x, (int)cursor->y, cursor->n_updates,
			cursor->n_moves);
	}
	g_mutex_lock(&display->lock);
	*cursor_out = display->cursors[scanout_id];
	g_mutex_unlock(&display->lock);
}

static bool has_acked(const struct display *display, const struct goal *goal)
{
	(void)goal;
	return display->has_acked_features;
}

void display_wait_features_acked(struct display *display)
{
	struct goal goal = {has_acked, .number = 0};

	if (!wait_goal(display, &goal)) {
		g_error("no SET_PROTOCOL_FEATURES");
	}
}

static bool is_peer_closed(const struct display *display, const struct goal *goal)
{
	(void)goal;
	return display->is_peer_closed;
}

void display_wait_peer_closed(struct display *display)
{
	struct goal goal = {is_peer_closed, .number = 0};

	if (!wait_goal(display, &goal)) {
		g_error("the daemon keeps the display socket open");
	}
}

static bool has_bytes(const struct display *display, const struct goal *goal)
{
	return display->n_bytes >= goal->number;
}

void display_wait_bytes(struct display *display, uint64_t n_bytes)
{
	struct goal goal = {has_bytes, .number = n_bytes};

	if (!wait_goal(display, &goal)) {
		g_error("only %" G_GUINT64_FORMAT " bytes have come", display->n_bytes);
	}
}

struct display_surface display_get_surface(struct display *display, uint32_t scanout_id)
{
	g_mutex_lock(&display->lock);
	struct display_surface surface = display->surfaces[scanout_id];
	g_mutex_unlock(&display->lock);
	surface.pixels = NULL;
	surface.dmabuf.bytes = NULL;
	return surface;
}

unsigned int display_count(struct display *display, uint32_t request, uint32_t scanout_id,
			   struct display_message *last_out)
{
	unsigned int count = 0;

	g_mutex_lock(&display->lock);
	for (unsigned int i = 0; i < display->messages->len; i++) {
		const struct display_message *message =
			&g_array_index(display->messages, struct display_message, i);
		if (message->request == request && message->scanout_id == scanout_id) {
			count += 1;
			if (last_out) {
				*last_out = *message;
			}
		}
	}
	g_mutex_unlock(&display->lock);
	return count;
}

unsigned int display_n_messages(struct display *display)
{
	g_mutex_lock(&display->lock);
	unsigned int n = display->messages->len;
	g_mutex_unlock(&display->lock);
	return n;
}

uint64_t display_n_bytes(struct display *display)
{
	g_mutex_lock(&display->lock);
	uint64_t n = display->n_bytes;
	g_mutex_unlock(&display->lock);
	return n;
}

void display_resize(struct display *display, uint32_t width, uint32_t height)
{
	g_mutex_lock(&display->lock);
	display->config.width = width;
	display->config.height = height;
	g_mutex_unlock(&display->lock);
}

bool display_get_damage(struct display *display, uint32_t scanout_id, unsigned int first,
			struct display_message *damage_out)
{
	uint32_t left = UINT32_MAX, top = UINT32_MAX, right = 0, bottom = 0;

	g_mutex_lock(&display->lock);
	for (unsigned int i = first; i < display->messages->len; i++) {
		const struct display_message *message =
			&g_array_index(display->messages, struct display_message, i);
		if (message->request == VHOST_USER_GPU_UPDATE &&
		    message->scanout_id == scanout_id) {
			left = MIN(left, message->x);
			top = MIN(top, message->y);
			right = MAX(right, message->x + message->width);
			bottom = MAX(bottom, message->y + message->height);
		}
	}
	g_mutex_unlock(&display->lock);
	if (right == 0) {
		return false;
	}
	*damage_out = (struct display_message){.request = VHOST_USER_GPU_UPDATE,
					       .scanout_id = scanout_id,
					       .x = left,
					       .y = top,
					       .width = right - left,
					       .height = bottom - top};
	return true;
}
