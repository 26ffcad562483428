// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
/*
 * Prints the font of a virtual terminal, so that the host can compute what the
 * console has to look like: "WIDTH HEIGHT COUNT", then a line of hex digits
 * for each glyph, its rows from top to bottom.
 *
 *   vtfont [TTY]
 */
#define _GNU_SOURCE
#include <err.h>
#include <fcntl.h>
#include <linux/kd.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>

#define ROWS_STORED 32

int main(int argc, char **argv)
{
	const char *tty = argc > 1 ? argv[1] : "/dev/tty1";
	static unsigned char data[512 * ROWS_STORED * 4];
	struct console_font_op op = {
		.op = KD_FONT_OP_GET, .width = 32, .height = 32,
		.charcount = 512, .data = data,
	};
	int fd = open(tty, O_RDWR | O_NOCTTY | O_CLOEXEC);

	if (fd < 0) {
		err(1, "%s", tty);
	}
	if (ioctl(fd, KDFONTOP, &op) < 0) {
		err(1, "KD_FONT_OP_GET");
	}
	unsigned int bytes = (op.width + 7) / 8;

	printf("%u %u %u\n", op.width, op.height, op.charcount);
	for (unsigned int c = 0; c < op.charcount; c++) {
		for (unsigned int r = 0; r < op.height * bytes; r++) {
			printf("%02x", data[c * ROWS_STORED * bytes + r]);
		}
		printf("\n");
	}
	return 0;
}
