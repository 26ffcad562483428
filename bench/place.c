/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include <sched.h>

#include "place.h"

static cpu_set_t all;
static int first = -1, last = -1;
static enum place chosen = PLACE_ANYWHERE;

static void pin(int cpu)
{
	cpu_set_t set;

	if (first == last) {
		return; /* not asked for, or nothing to choose from */
	}
	CPU_ZERO(&set);
	CPU_SET((unsigned int)cpu, &set);
	sched_setaffinity(0, sizeof(set), &set);
}

void place_guest(void)
{
	if (first < 0 && sched_getaffinity(0, sizeof(all), &all) == 0) {
		for (int cpu = 0; cpu < CPU_SETSIZE; cpu++) {
			if (CPU_ISSET((unsigned int)cpu, &all)) {
				first = first < 0 ? cpu : first;
				last = cpu;
			}
		}
	}
	pin(last);
}

void place_display(void)
{
	pin(first);
}

void place_choose_backend(enum place place)
{
	chosen = place;
}

void place_backend(void)
{
	cpu_set_t set = all;

	if (first == last) {
		return;
	}
	if (chosen == PLACE_TOGETHER) {
		pin(last);
		return;
	}
	if (chosen == PLACE_APART) {
		CPU_CLR((unsigned int)last, &set);
	}
	sched_setaffinity(0, sizeof(set), &set);
}

void place_first(void)
{
	const struct sched_param param = {.sched_priority = 1};

	sched_setscheduler(0, SCHED_FIFO, &param);
}
