/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* A libvirglrenderer.so.1 from before nearly everything. */
void virgl_renderer_cleanup(void *cookie);

void virgl_renderer_cleanup(void *cookie)
{
	(void)cookie;
}
