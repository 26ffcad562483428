/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * A service manager's two protocols, as sd_listen_fds(3) and sd_notify(3) have
 * them: sockets that were passed to us, and the word that we are ready.
 *
 * Both are a few environment variables and one datagram, promised to stay as
 * they are; libsystemd would be mapped by each of our processes for that.
 * What was read is taken out of the environment: it is not for children.
 */
#pragma once

#define SERVICE_FIRST_FD 3

/*
 * How many sockets were passed to this process, of which the first is
 * SERVICE_FIRST_FD. 0: none, or already taken.
 */
unsigned int service_take_sockets(void);

/*
 * Open the way to who waits for us to be ready, if anybody does: before a
 * sandbox closes it.
 */
void service_open(void);
/* We are; nothing more is said, and the way is closed. */
void service_say_ready(void);
