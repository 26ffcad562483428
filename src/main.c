/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "backend.h"
#include "capabilities.h"
#include "control/door.h"
#include "engine/render_server.h"
#include "gpu/udmabuf.h"
#include "listener.h"
#include "options.h"
#include "probe.h"
#include "sandbox.h"
#include "util/log.h"
#include "util/service.h"
#include "util/sock.h"

enum exit_status {
	EXIT_HOST_LACKS = 1,
	EXIT_WRONG_USE = 2,
};

/* Descriptors 0 to 2 exist, whoever started us; else a socket could become stderr. */
static void sanitize_stdio(void)
{
	int fd;

	do {
		fd = open("/dev/null", O_RDWR);
	} while (fd >= 0 && fd <= STDERR_FILENO);
	if (fd >= 0) {
		close(fd);
	}
}

/*
 * One heap for all threads. virglrenderer takes a buffer for each upload; in a
 * thread's own heap that is fresh memory from the kernel each time, in the
 * main one it is soon memory that was used before.
 */
static void choose_heap(void)
{
#if defined(M_ARENA_MAX)
	mallopt(M_ARENA_MAX, 1);
#endif
}

static void block_signals(void)
{
	sigset_t signals;

	sigemptyset(&signals);
	sigaddset(&signals, SIGTERM);
	sigaddset(&signals, SIGINT);
	sigprocmask(SIG_BLOCK, &signals, NULL);
	signal(SIGPIPE, SIG_IGN);
}

static const char *explain_listen(int error)
{
	switch (error) {
	case -EADDRINUSE:
		return "another program listens there; end it or choose another path";
	case -EEXIST:
		return "a file that is no socket is there; it is left alone";
	case -ENOENT:
		return "its directory does not exist";
	case -EACCES:
	case -EPERM:
		return "this user may not make a socket there; choose another directory, such as "
		       "XDG_RUNTIME_DIR, or give this one away (or do SELinux or AppArmor refuse "
		       "it?)";
	default:
		return g_strerror(-error);
	}
}

/* A socket of ours in the file system. */
struct own_socket {
	const char *path; /* borrowed; NULL: there is none */
	int fd;
	struct stat stat;
};

/* -1 after saying why not. path NULL: none is wanted. */
static int make_own_socket(struct own_socket *own, const char *option, const char *path,
			   int (*make)(const char *path))
{
	*own = (struct own_socket){ .fd = -1 };
	if (path == NULL) {
		return 0;
	}
	own->fd = make(path);
	if (own->fd < 0) {
		log_failure("%s '%s': %s", option, path, explain_listen(own->fd));
		return -1;
	}
	own->path = path;
	if (lstat(path, &own->stat) < 0) {
		memset(&own->stat, 0, sizeof(own->stat));
	}
	return 0;
}

/* It may have been replaced by somebody else's meanwhile; its descriptor is another's to close. */
static void remove_it(const struct own_socket *own)
{
	struct stat now;

	if (own->path != NULL && lstat(own->path, &now) == 0 && now.st_dev == own->stat.st_dev &&
	    now.st_ino == own->stat.st_ino) {
		unlink(own->path);
	}
}

static int serve_path(const struct options *options, const struct renderer_caps *caps,
		      const struct own_socket *door)
{
	pid_t self = getpid();
	struct own_socket own;

	if (make_own_socket(&own, "--socket-path", options->socket_path, sock_listen) < 0) {
		return EXIT_HOST_LACKS;
	}
	if (sandbox_enter(SANDBOX_LISTENER, options) < 0) {
		remove_it(&own);
		return EXIT_HOST_LACKS;
	}
	service_say_ready();
	int status = listener_run(own.fd, door->fd, options, caps);
	/* A child that served a front-end comes back here as well. */
	if (getpid() == self) {
		remove_it(&own);
	}
	return status;
}

static int serve_fd(const struct options *options, const struct renderer_caps *caps,
		    bool is_listening, const struct own_socket *door)
{
	fcntl(options->fd, F_SETFD, FD_CLOEXEC);
	if (!is_listening) {
		const struct backend_control control = {
			.channel_fd = -1,
			.door_fd = door->fd,
			.vm = 1,
		};

		service_say_ready();
		return backend_run(options->fd, options, caps, &control);
	}
	int error = sock_set_nonblocking(options->fd);
	if (error < 0) {
		log_failure("--fd %d: %s", options->fd, g_strerror(-error));
		return EXIT_HOST_LACKS;
	}
	if (sandbox_enter(SANDBOX_LISTENER, options) < 0) {
		return EXIT_HOST_LACKS;
	}
	service_say_ready();
	return listener_run(options->fd, door->fd, options, caps);
}

/* Does the socket that was passed listen? 1, 0, or -1 after saying why it won't do. */
static int check_fd(const struct options *options)
{
	int is_listening = sock_is_listening(options->fd);

	if (is_listening < 0) {
		log_failure("--fd: %d is not an open socket (allowed: a connected or listening "
			    "Unix socket)",
			    options->fd);
		return -1;
	}
	if (!is_listening && options->max_clients != 1) {
		log_failure("--max-clients %u: a connected --fd is one front-end (allowed with it: "
			    "1)",
			    options->max_clients);
		return -1;
	}
	return is_listening;
}

/* Now, as later on nobody may make one. */
static bool make_shader_cache(const char *folder)
{
	if (folder != NULL && g_mkdir_with_parents(folder, 0700) < 0) {
		log_failure("--shader-cache '%s': %s (allowed: a folder of this user's, or a name "
			    "where this user may make one)",
			    folder, g_strerror(errno));
		return false;
	}
	return true;
}

/* What was named is wanted, and not to be missed without a word. */
static void check_capsets(const struct options *options, const struct renderer_caps *caps)
{
	for (uint32_t id = 0; id < 32; id++) {
		if ((options->renderer.capset_mask & (UINT32_C(1) << id)) != 0 &&
		    renderer_find_capset(caps, id) == NULL) {
			log_warn("--capset: this host has no '%s' (VHOST_DEVICE_GPU_LOG=info says "
				 "why)",
				 options_capset_name(id));
		}
	}
}

/* What was asked for and can't be had is said at once. */
static bool check_udmabuf(const struct options *options)
{
	int fd = options_use_udmabuf(options) ? udmabuf_open() : -ENOENT;

	if (fd < 0 && options_use_udmabuf(options)) {
		log_failure("--dmabuf on: '%s': %s (it takes the kernel's udmabuf: modprobe udmabuf; "
			    "and the right to use it: mostly group kvm; or --dmabuf off)",
			    UDMABUF_PATH, g_strerror(-fd));
		return false;
	}
	if (fd >= 0) {
		close(fd);
	}
	return true;
}

static int serve(const struct options *options, const struct renderer_caps *caps, bool is_listening)
{
	pid_t self = getpid();
	struct own_socket door;

	if (make_own_socket(&door, "--control-socket", options->control_socket, door_listen) < 0) {
		return EXIT_HOST_LACKS;
	}
	int status = options->fd >= 0 ? serve_fd(options, caps, is_listening, &door)
				      : serve_path(options, caps, &door);
	/* Without a listener it is a backend that ends here, and that may remove no file. */
	if (getpid() == self && !options->has_no_listener) {
		remove_it(&door);
	}
	return status;
}

static int run(struct options *options)
{
	struct renderer_caps caps;
	int is_listening = 0;

	if (options->fd >= 0) {
		is_listening = check_fd(options);
	}
	if (is_listening < 0) {
		return EXIT_WRONG_USE;
	}
	options->has_no_listener = options->fd >= 0 && !is_listening;
	if (!make_shader_cache(options->renderer.shader_cache) || !check_udmabuf(options) ||
	    sandbox_init(options) < 0) {
		return EXIT_HOST_LACKS;
	}
	render_server_find(options);
	switch (probe_run(options, &caps)) {
	case PROBE_OK:
		render_server_settle(options, &caps);
		check_capsets(options, &caps);
		break;
	case PROBE_INTERRUPTED:
		return EXIT_SUCCESS;
	case PROBE_UNAVAILABLE:
	default:
		return EXIT_HOST_LACKS;
	}
	return serve(options, &caps, is_listening);
}

static int answer(struct options *options)
{
	return sandbox_init(options) == 0 && capabilities_print(options) ? EXIT_SUCCESS
									 : EXIT_HOST_LACKS;
}

int main(int argc, char **argv)
{
	struct options options;
	int (*action)(struct options *) = run;

	choose_heap();
	sanitize_stdio();
	log_init();
	service_open();
	switch (options_parse(argc, argv, &options)) {
	case OPTIONS_RUN:
		break;
	case OPTIONS_ASKED:
		action = answer;
		break;
	case OPTIONS_DONE:
		return EXIT_SUCCESS;
	case OPTIONS_WRONG:
	default:
		return EXIT_WRONG_USE;
	}
	block_signals();
	int status = action(&options);
	options_finish(&options);
	return status;
}
