/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "engine/engine.h"

int engine_start(struct engine *engine)
{
	return engine->impl->start(engine);
}

void engine_stop(struct engine *engine)
{
	engine->impl->stop(engine);
}

void engine_destroy(struct engine *engine)
{
	if (engine != NULL) {
		engine->impl->destroy(engine);
	}
}

struct virtq_state *engine_queue_state(struct engine *engine, unsigned int index)
{
	return engine->impl->queue_state != NULL ? engine->impl->queue_state(engine, index) : NULL;
}

void engine_set_features(struct engine *engine, uint64_t features)
{
	engine->impl->set_features(engine, features);
}

void engine_set_memory(struct engine *engine, struct guestmem *mem)
{
	engine->impl->set_memory(engine, mem);
}

void engine_queue_changed(struct engine *engine, unsigned int index)
{
	engine->impl->queue_changed(engine, index);
}

void engine_reset(struct engine *engine)
{
	engine->impl->reset(engine);
}

void engine_set_display_socket(struct engine *engine, int consume_fd)
{
	engine->impl->set_display_socket(engine, consume_fd);
}

void engine_quiesce(struct engine *engine)
{
	engine->impl->quiesce(engine);
}

void engine_mapped(struct engine *engine, uint64_t number, int error)
{
	if (engine->impl->mapped != NULL) {
		engine->impl->mapped(engine, number, error);
	}
}

const struct stats *engine_stats(struct engine *engine)
{
	return engine->impl->stats(engine);
}

void engine_describe(struct engine *engine, struct engine_state *state_out)
{
	engine->impl->describe(engine, state_out);
}

void engine_grab(struct engine *engine, uint32_t scanout_id, bool is_cursor)
{
	engine->impl->grab(engine, scanout_id, is_cursor);
}

void engine_set_mode(struct engine *engine, uint32_t scanout_id, uint32_t width, uint32_t height)
{
	engine->impl->set_mode(engine, scanout_id, width, height);
}

void engine_set_log_level(struct engine *engine, enum log_level level)
{
	if (engine->impl->set_log_level != NULL) {
		engine->impl->set_log_level(engine, level);
	}
}
