/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include <unistd.h>

#include "engine/engine.h"
#include "gpu/udmabuf.h"
#include "gpu/worker.h"
#include "util/log.h"

struct thread_engine {
	struct engine base;
	struct worker *worker; /* owned; NULL until started */
	int udmabuf_fd;	       /* owned, or -1 */
	struct stats *stats;   /* owned; NULL: nobody wants to look inside */
};

static const struct engine_impl thread_engine_impl;

static struct thread_engine *from_base(struct engine *engine)
{
	g_assert(engine->impl == &thread_engine_impl);
	return (struct thread_engine *)(void *)engine;
}

static int create_display(void *data, const struct display_listener *listener, void *listener_data,
			  struct display **display_out)
{
	const struct thread_engine *engine = data;

	if (engine->base.options.options->is_headless) {
		*display_out = display_create_headless();
		return 0;
	}
	return display_create_vhost_user_gpu(listener, listener_data, engine->udmabuf_fd >= 0,
					     display_out);
}

static void failed(void *data)
{
	const struct thread_engine *engine = data;

	engine->base.options.failed(engine->base.options.data);
}

static void grabbed(void *data, uint32_t scanout_id, struct frame *consume_frame,
		    const struct rect *view)
{
	const struct thread_engine *engine = data;

	engine->base.options.grabbed(engine->base.options.data, scanout_id, consume_frame, view);
}

static void grabbed_cursor(void *data, uint32_t scanout_id, uint32_t *consume_pixels)
{
	const struct thread_engine *engine = data;

	engine->base.options.grabbed_cursor(engine->base.options.data, scanout_id, consume_pixels);
}

static void mode_set(void *data, uint32_t scanout_id, uint32_t width, uint32_t height)
{
	const struct thread_engine *engine = data;

	engine->base.options.mode_set(engine->base.options.data, scanout_id, width, height);
}

static int thread_engine_start(struct engine *base)
{
	struct thread_engine *engine = from_base(base);
	const struct options *options = base->options.options;
	const struct worker_options worker_options = {
		.renderer_impl = renderer_find(options->gpu_mode),
		.renderer_options = options->renderer,
		.quota = base->options.quota,
		.queues = base->options.queues,
		.create_display = create_display,
		.failed = failed,
		.exporter = engine->udmabuf_fd >= 0 ? &udmabuf_exporter : NULL,
		.exporter_data = &engine->udmabuf_fd,
		.stats = engine->stats,
		.grabbed = grabbed,
		.grabbed_cursor = grabbed_cursor,
		.mode_set = mode_set,
		.data = engine,
	};

	return worker_create(&worker_options, &engine->worker);
}

static void thread_engine_stop(struct engine *base)
{
	g_clear_pointer(&from_base(base)->worker, worker_destroy);
}

static void thread_engine_destroy(struct engine *base)
{
	struct thread_engine *engine = from_base(base);

	if (engine->udmabuf_fd >= 0) {
		close(engine->udmabuf_fd);
	}
	g_free(engine->stats);
	g_free(engine);
}

static void thread_engine_set_features(struct engine *base, uint64_t features)
{
	worker_set_features(from_base(base)->worker, features);
}

static void thread_engine_set_memory(struct engine *base, struct guestmem *mem)
{
	worker_set_memory(from_base(base)->worker, mem);
}

static void thread_engine_queue_changed(struct engine *base, unsigned int index)
{
	worker_queue_changed(from_base(base)->worker, index);
}

static void thread_engine_reset(struct engine *base)
{
	worker_reset(from_base(base)->worker);
}

static void thread_engine_set_display_socket(struct engine *base, int consume_fd)
{
	worker_set_display_socket(from_base(base)->worker, consume_fd);
}

static void thread_engine_quiesce(struct engine *base)
{
	worker_quiesce(from_base(base)->worker);
}

static const struct stats *thread_engine_stats(struct engine *base)
{
	return from_base(base)->stats;
}

static void thread_engine_describe(struct engine *base G_GNUC_UNUSED,
				   struct engine_state *state_out)
{
	*state_out = (struct engine_state){ .is_running = true };
}

static void thread_engine_grab(struct engine *base, uint32_t scanout_id, bool is_cursor)
{
	worker_grab(from_base(base)->worker, scanout_id, is_cursor);
}

static void thread_engine_set_mode(struct engine *base, uint32_t scanout_id, uint32_t width,
				   uint32_t height)
{
	worker_set_mode(from_base(base)->worker, scanout_id, width, height);
}

static const struct engine_impl thread_engine_impl = {
	.destroy = thread_engine_destroy,
	.stop = thread_engine_stop,
	.start = thread_engine_start,
	.set_features = thread_engine_set_features,
	.set_memory = thread_engine_set_memory,
	.queue_changed = thread_engine_queue_changed,
	.reset = thread_engine_reset,
	.set_display_socket = thread_engine_set_display_socket,
	.quiesce = thread_engine_quiesce,
	.stats = thread_engine_stats,
	.describe = thread_engine_describe,
	.grab = thread_engine_grab,
	.set_mode = thread_engine_set_mode,
};

/* Before the sandbox is entered: then nobody may. */
static void open_udmabuf(struct thread_engine *engine)
{
	int fd = udmabuf_open();

	if (fd < 0) {
		log_error("%s: %s; pictures are sent", UDMABUF_PATH, g_strerror(-fd));
		return;
	}
	engine->udmabuf_fd = fd;
	guestmem_keep_files();
}

int thread_engine_create(const struct engine_options *options, struct engine **engine_out)
{
	struct thread_engine *engine = g_new0(struct thread_engine, 1);

	engine->base = (struct engine){ &thread_engine_impl, *options };
	engine->udmabuf_fd = -1;
	engine->stats = options->options->control_socket != NULL ? g_new0(struct stats, 1) : NULL;
	if (options_use_udmabuf(options->options)) {
		open_udmabuf(engine);
	}
	*engine_out = &engine->base;
	return 0;
}
