/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* Durations, and how results are printed: one "name value" a line, for scripts/bench to read. */
#ifndef BENCH_SAMPLES_H
#define BENCH_SAMPLES_H

#include <stddef.h>
#include <stdint.h>

struct samples {
	int64_t *ns;
	size_t n, n_allocated;
};

void samples_add(struct samples *samples, int64_t ns);
void samples_clear(struct samples *samples);
void samples_finish(struct samples *samples);
/* @quantile from 0 to 1, in microseconds; 0 without samples. Sorts. */
double samples_us(struct samples *samples, double quantile);

void result(const char *name, double value);
/* name_p50_us and name_p99_us */
void result_samples(const char *name, struct samples *samples);

#endif
