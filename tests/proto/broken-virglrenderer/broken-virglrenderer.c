/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* A libvirglrenderer.so.1 that crashes as soon as it is loaded, as a broken GPU driver may. */
#include <signal.h>

__attribute__((constructor)) static void crash(void)
{
	signal(SIGSEGV, SIG_DFL);
	raise(SIGSEGV);
}
