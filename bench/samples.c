/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include <glib.h>
#include <stdio.h>
#include <stdlib.h>

#include "samples.h"

#define FIRST_SIZE 4096u
#define NS_PER_US 1000.0

void samples_add(struct samples *samples, int64_t ns)
{
	if (samples->n == samples->n_allocated) {
		samples->n_allocated = MAX(FIRST_SIZE, 2 * samples->n_allocated);
		samples->ns = g_renew(int64_t, samples->ns, samples->n_allocated);
	}
	samples->ns[samples->n] = ns;
	samples->n += 1;
}

void samples_clear(struct samples *samples)
{
	samples->n = 0;
}

void samples_finish(struct samples *samples)
{
	g_free(samples->ns);
	*samples = (struct samples){0};
}

static int compare(const void *a, const void *b)
{
	int64_t left = *(const int64_t *)a, right = *(const int64_t *)b;

	return left < right ? -1 : left > right;
}

double samples_us(struct samples *samples, double quantile)
{
	if (samples->n == 0) {
		return 0;
	}
	qsort(samples->ns, samples->n, sizeof(samples->ns[0]), compare);
	size_t index = (size_t)(quantile * (double)(samples->n - 1) + 0.5);
	return (double)samples->ns[index] / NS_PER_US;
}

void result(const char *name, double value)
{
	printf("%s %.9g\n", name, value);
	fflush(stdout);
}

void result_samples(const char *name, struct samples *samples)
{
	g_autofree char *p50 = g_strdup_printf("%s_p50_us", name);
	g_autofree char *p99 = g_strdup_printf("%s_p99_us", name);

	result(p50, samples_us(samples, 0.5));
	result(p99, samples_us(samples, 0.99));
}
