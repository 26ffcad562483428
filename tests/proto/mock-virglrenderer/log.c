/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "mock.h"

typedef void (*log_fn)(uint32_t level, const char *message, void *user_data);

static log_fn log_callback;
static void *log_data;

void virgl_set_log_callback(log_fn callback, void *user_data, void (*free_user_data)(void *data));

void virgl_set_log_callback(log_fn callback, void *user_data, void (*free_user_data)(void *data))
{
	(void)free_user_data;
	log_callback = callback;
	log_data = user_data;
}

void mock_log(uint32_t level, const char *text)
{
	if (log_callback != NULL) {
		log_callback(level, text, log_data);
	}
}
