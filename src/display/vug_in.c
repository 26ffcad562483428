/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "display/vug_in.h"

#include <errno.h>
#include <unistd.h>

#include "util/sock.h"

void vug_in_clear(struct vug_in *in)
{
	in->received_bytes = 0;
	in->is_whole = false;
}

/* Up to wanted_bytes of the message in all; to is where its next byte goes. */
static enum vug_in_status receive_some(struct vug_in *in, int fd, char *to, size_t wanted_bytes)
{
	int fds[SOCK_MAX_FDS];
	size_t n_fds = 0;
	ssize_t n = sock_receive(fd, to, wanted_bytes - in->received_bytes, fds, &n_fds);

	/* No reply carries one. */
	for (size_t i = 0; i < n_fds; i++) {
		close(fds[i]);
	}
	if (n == -EAGAIN) {
		return VUG_IN_E_AGAIN;
	}
	if (n <= 0) {
		return VUG_IN_E_CLOSED;
	}
	in->received_bytes += (size_t)n;
	return VUG_IN_OK;
}

enum vug_in_status vug_in_receive(struct vug_in *in, int fd)
{
	const size_t header_bytes = sizeof(in->header);

	if (in->is_whole) {
		vug_in_clear(in);
	}
	for (;;) {
		size_t wanted = header_bytes;
		char *to = (char *)&in->header + in->received_bytes;

		if (in->received_bytes >= header_bytes) {
			if (in->header.size > sizeof(in->reply) ||
			    !(in->header.flags & VUG_FLAG_REPLY)) {
				return VUG_IN_E_GARBAGE;
			}
			wanted += in->header.size;
			to = (char *)&in->reply + (in->received_bytes - header_bytes);
		}
		if (in->received_bytes == wanted) {
			in->is_whole = true;
			return VUG_IN_OK;
		}
		enum vug_in_status status = receive_some(in, fd, to, wanted);
		if (status != VUG_IN_OK) {
			return status;
		}
	}
}
