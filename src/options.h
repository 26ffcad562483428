/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * The command line, checked as far as it can be without touching the host; and
 * instead of --socket-path and --fd, a socket that a service manager has passed.
 */
#pragma once

#include <stdbool.h>

#include "renderer/renderer.h"

enum options_result {
	OPTIONS_RUN,	    /* go on with *options_out */
	OPTIONS_DONE,	    /* --help or --version was printed: exit 0 */
	OPTIONS_ASKED,	    /* --print-capabilities: *options_out is as for --virgl alone */
	OPTIONS_WRONG,	    /* wrong use, one line printed: exit 2 */
};

enum sandbox_mode {
	SANDBOX_ON,	/* what this kernel can */
	SANDBOX_STRICT, /* all of it, or the program does not start */
	SANDBOX_REPORT, /* nothing is refused, and what would be is said */
	SANDBOX_OFF,
};

/*
 * Whether the front-end is given buffers to read by itself. It does not say
 * whether its display can show them, so AUTO is OFF until one does.
 */
enum dmabuf_mode {
	DMABUF_AUTO,
	DMABUF_ON,
	DMABUF_OFF,
};

struct options {
	char *socket_path; /* owned; NULL if fd is given */
	int fd;		   /* -1 if socket_path is given; open or not, connected or listening */
	const char *gpu_mode; /* static; a name that renderer_find() knows */
	struct renderer_options renderer; /* strings owned */
	/*
	 * owned; the program of renderer_server that is to run beside each process
	 * that renders, NULL: none. Not an option: who has asked the host fills it.
	 */
	char *server_path;
	char *control_socket; /* owned; NULL: nobody can look inside */
	/*
	 * Not an option: --fd is a connection, so that there is no listener. Who
	 * has looked at it fills it.
	 */
	bool has_no_listener;
	bool is_headless;
	enum sandbox_mode sandbox;
	enum dmabuf_mode dmabuf;
	uint64_t max_hostmem_bytes; /* of each front-end's guest */
	uint64_t hostmem_bytes;	    /* of the host-visible window, whole pages; 0: none */
	unsigned int shmem_feature_bit; /* see session_options.window_feature_bit */
	unsigned int max_clients;   /* front-ends at once */
	unsigned int max_crashes;   /* of the process that renders, in a row */
};

/*
 * options_out is written on OPTIONS_RUN and OPTIONS_ASKED only; then
 * options_finish() frees it. A socket of a service manager's is taken by the
 * first call (service_take_sockets()).
 */
enum options_result options_parse(int argc, char **argv, struct options *options_out);
void options_finish(struct options *options);

/* As --capset has it, static; NULL: no such capset is known. */
const char *options_capset_name(uint32_t id);

/* Are there pictures, and are they to be shown as buffers where that can be? */
bool options_use_dmabufs(const struct options *options);
/* The same of the guest's pages, by who serves the front-end, which then needs /dev/udmabuf. */
bool options_use_udmabuf(const struct options *options);
