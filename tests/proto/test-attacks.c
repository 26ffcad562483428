/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* A hostile guest without 3D; see attacks.h. */
#include "attacks_suite.h"

int main(int argc, char **argv)
{
	return attacks_main(argc, argv, false);
}
