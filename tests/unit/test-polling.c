/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* Waiting awake is tried at once, seldom where it never pays, and often where it does. */
#include "gpu/polling.h"
#include "unit.h"

static unsigned int count_tries(struct polling *polling, unsigned int n_times, bool has_paid)
{
	unsigned int n = 0;

	for (unsigned int i = 0; i < n_times; i++) {
		if (polling_is_worth_it(polling)) {
			polling_has_paid(polling, has_paid);
			n++;
		}
	}
	return n;
}

static void test_where_it_pays(void)
{
	struct polling polling;

	polling_init(&polling);
	g_assert_cmpuint(count_tries(&polling, 100000, true), ==, 100000);
}

static void test_where_it_never_pays(void)
{
	struct polling polling;

	polling_init(&polling);
	g_assert_true(polling_is_worth_it(&polling));
	polling_has_paid(&polling, false);
	g_assert_false(polling_is_worth_it(&polling));
	g_assert_cmpuint(count_tries(&polling, 1000000, false), <, 200);
}

/* Both ways: a guest that stops sharing our CPU, and one that goes quiet. */
static void test_what_changes_is_noticed(void)
{
	struct polling polling;

	polling_init(&polling);
	count_tries(&polling, 1000000, false);
	g_assert_cmpuint(count_tries(&polling, 100000, true), >, 80000);
	g_assert_cmpuint(count_tries(&polling, 1000000, false), <, 200);
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/polling/where-it-pays", test_where_it_pays);
	g_test_add_func("/polling/where-it-never-pays", test_where_it_never_pays);
	g_test_add_func("/polling/what-changes-is-noticed", test_what_changes_is_noticed);
	return g_test_run();
}
