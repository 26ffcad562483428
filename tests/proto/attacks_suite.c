/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include <stdio.h>
#include <string.h>

#include "attacks.h"
#include "attacks_compare.h"
#include "attacks_suite.h"
#include "suite.h"

static struct attack_target own_2d = { .mode = "2d", .has_pictures = true };
static struct attack_target own_3d = { .mode = "virglrenderer", .has_pictures = true };

static void test_attack(const struct attack *attack, const struct attack_target *target)
{
	struct attacker *attacker = attack_run(attack, target);

	if (attacker->surprises->len > 0) {
		g_error("%s: %s", attack->name, attacker->surprises->str);
	}
	attacker_destroy(attacker);
}

static void test_attack_2d(const void *data)
{
	test_attack(data, &own_2d);
}

static void test_attack_3d(const void *data)
{
	test_attack(data, &own_3d);
}

static void add_2d(const struct attack *attack, void *data)
{
	(void)data;
	suite_add(test_attack_2d, attack, "/proto/attacks/2d/%s", attack->name);
}

static void add_3d(const struct attack *attack, void *data)
{
	(void)data;
	suite_add(test_attack_3d, attack, "/proto/attacks/virglrenderer/%s", attack->name);
}

static void list(const struct attack *attack, void *data)
{
	g_autofree char *outcome = attack_outcome(attack);

	(void)data;
	printf("%s\t%s\t%s\n", attack->name, attack->does, outcome);
}

int attacks_main(int argc, char **argv, bool is_3d)
{
	if (argc == 2 && strcmp(argv[1], "--list") == 0) {
		attacks_each(is_3d, list, NULL);
		return 0;
	}
	if (argc >= 3 && g_str_has_prefix(argv[1], "--compare")) {
		const struct compare_options options = {
			.command = argv[2],
			.is_3d = is_3d,
			.has_pictures = strcmp(argv[1], "--compare-unseen") != 0,
			.names = argv + 3,
		};
		return compare_run(&options);
	}
	suite_init(&argc, &argv);
	attacks_each(is_3d, is_3d ? add_3d : add_2d, NULL);
	return suite_run();
}
