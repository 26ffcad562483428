/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * vhost-device-gpuctl: asks a running vhost-device-gpu how it is, and shows
 * the answer. Who answers is this user or root; but what is in it may be a
 * guest's or a renderer process's that lies: words are shown escaped, whichever
 * they are, and sizes are checked before anything is done by them.
 */
#pragma once

#include <glib.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* ---- records.c: an answer, taken apart ---- */

struct record {
	char *name;	   /* owned */
	GHashTable *words; /* key -> value, unescaped, valid UTF-8; both owned */
	GHashTable *shown; /* the same, each value escaped for a terminal; both owned */
};

struct records {
	GPtrArray *list; /* struct record */
	char *error;	 /* owned: what the program says is wrong; or NULL */
	bool is_whole;
};

/* Never NULL. What makes no sense is an answer that is not whole. */
struct records *records_parse(const char *text, size_t length);
void records_free(struct records *records); /* NULL is fine */
/* The first of that name; or NULL. */
const struct record *records_find(const struct records *records, const char *name);
/* "" and 0, where there is no such word. */
const char *record_text(const struct record *record, const char *key);
/* The same, for a terminal. */
const char *record_shown(const struct record *record, const char *key);
uint64_t record_number(const struct record *record, const char *key);
double record_decimal(const struct record *record, const char *key);
bool record_bool(const struct record *record, const char *key);

/* ---- client.c: one question ---- */

struct client {
	const char *path;     /* of the control socket; borrowed */
	unsigned int limit_s; /* for an answer */
};

/*
 * words: of the question, after the greeting. The answer, or NULL after a line
 * that says why there is none. pixels_out: NULL, or where a picture's go, owned.
 */
struct records *client_ask(const struct client *client, const char *words, char **pixels_out);

/* ---- how it is shown, each to stdout ---- */

struct view_vm {
	uint64_t id;
	struct records *records; /* owned */
};

/* vms: of struct view_vm, those that have answered; program: the answer of "vms". */
void view_text(const struct records *program, const GPtrArray *vms);
void view_cursors(const GPtrArray *vms);
void json_print(const struct records *program, const GPtrArray *vms);
void metrics_print(const struct records *program, const GPtrArray *vms);

/* png.c: rows of blue, green, red and alpha, or something else. 0 or -errno. */
int png_write(const char *path, uint32_t width, uint32_t height, bool has_alpha,
	      const char *pixels) G_GNUC_WARN_UNUSED_RESULT;

/* names.c: the bits of a set of features, by name, comma separated; owned. */
char *names_of_features(uint64_t features);
char *names_of_protocol_features(uint64_t features);
/* A printable copy for a terminal; owned. */
char *names_escape(const char *text);
