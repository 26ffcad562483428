/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* A quota never holds more than its limit, whoever charges it and from how many threads. */
#include "util/quota.h"
#include "unit.h"

static void test_up_to_the_limit(void)
{
	struct quota quota;

	quota_init(&quota, 100);
	g_assert_cmpuint(quota_used(&quota), ==, 0);
	g_assert_cmpint(quota_charge(&quota, 60), ==, QUOTA_OK);
	g_assert_cmpint(quota_charge(&quota, 40), ==, QUOTA_OK);
	g_assert_cmpuint(quota_used(&quota), ==, 100);
	g_assert_cmpint(quota_charge(&quota, 1), ==, QUOTA_E_LIMIT);
	g_assert_cmpuint(quota_used(&quota), ==, 100);
}

static void test_refusal_charges_nothing(void)
{
	struct quota quota;

	quota_init(&quota, 100);
	g_assert_cmpint(quota_charge(&quota, 101), ==, QUOTA_E_LIMIT);
	g_assert_cmpuint(quota_used(&quota), ==, 0);
	g_assert_cmpint(quota_charge(&quota, 100), ==, QUOTA_OK);
}

static void test_released_bytes_can_be_charged_again(void)
{
	struct quota quota;

	quota_init(&quota, 10);
	for (int i = 0; i < 1000; i++) {
		g_assert_cmpint(quota_charge(&quota, 10), ==, QUOTA_OK);
		quota_release(&quota, 10);
	}
	g_assert_cmpuint(quota_used(&quota), ==, 0);
}

static void test_sum_does_not_wrap(void)
{
	struct quota quota;

	quota_init(&quota, UINT64_MAX);
	g_assert_cmpint(quota_charge(&quota, UINT64_MAX - 1), ==, QUOTA_OK);
	g_assert_cmpint(quota_charge(&quota, 2), ==, QUOTA_E_LIMIT);
	g_assert_cmpint(quota_charge(&quota, UINT64_MAX), ==, QUOTA_E_LIMIT);
	g_assert_cmpint(quota_charge(&quota, 1), ==, QUOTA_OK);
	g_assert_cmpuint(quota_used(&quota), ==, UINT64_MAX);
}

static void test_nothing_costs_nothing(void)
{
	struct quota quota;

	quota_init(&quota, 0);
	g_assert_cmpint(quota_charge(&quota, 0), ==, QUOTA_OK);
	g_assert_cmpint(quota_charge(&quota, 1), ==, QUOTA_E_LIMIT);
}

static void *charge_and_release(void *data)
{
	struct quota *quota = data;

	for (int i = 0; i < 20000; i++) {
		if (quota_charge(quota, 3) == QUOTA_OK) {
			g_assert_cmpuint(quota_used(quota), <=, 7);
			quota_release(quota, 3);
		}
	}
	return NULL;
}

static void test_threads(void)
{
	struct quota quota;
	GThread *threads[4];

	quota_init(&quota, 7);
	for (size_t i = 0; i < G_N_ELEMENTS(threads); i++) {
		threads[i] = g_thread_new("charge", charge_and_release, &quota);
	}
	for (size_t i = 0; i < G_N_ELEMENTS(threads); i++) {
		g_thread_join(threads[i]);
	}
	g_assert_cmpuint(quota_used(&quota), ==, 0);
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/quota/up-to-the-limit", test_up_to_the_limit);
	g_test_add_func("/quota/refusal-charges-nothing", test_refusal_charges_nothing);
	g_test_add_func("/quota/released-bytes-can-be-charged-again",
			test_released_bytes_can_be_charged_again);
	g_test_add_func("/quota/sum-does-not-wrap", test_sum_does_not_wrap);
	g_test_add_func("/quota/nothing-costs-nothing", test_nothing_costs_nothing);
	g_test_add_func("/quota/threads", test_threads);
	return g_test_run();
}
