/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * What both libraries of our own (mock_virgl.h, mock_gfxstream.h) do when they are told to, by one
 * source (tests/proto/mock-common). How a command and its results are sent is each library's;
 * mock_mode.h knows it of each.
 */
#ifndef TESTS_LIB_MOCK_OPCODES_H
#define TESTS_LIB_MOCK_OPCODES_H

/* Those of one file begin at a hundred of their own, here and in mock_virgl.h. */
enum mock_opcode {
	/* value: it is the result */
	MOCK_ECHO = 1,
	/* ms */
	MOCK_SLEEP,
	/* signal: the process dies of it */
	MOCK_DIE,
	/* for ever, on the processor */
	MOCK_SPIN,
	/* MiB: allocated, touched and kept; the result is how many there are */
	MOCK_EAT,
	/* errno: the command is answered with it */
	MOCK_FAIL,
	/* the result is the process's id */
	MOCK_GET_PID,
	/* ms: so long takes each read of pixels from now on */
	MOCK_READ_SLOWLY,

	/*
	 * Ways out of a sandbox. The first result is 0 where it was let out, else an errno (of the
	 * first call that failed).
	 */
	/* flags as of open(2), path: opened and closed; with O_WRONLY something is written, too */
	MOCK_ESCAPE_OPEN = 200,
	/* path of a Unix socket, "@..." for an abstract one */
	MOCK_ESCAPE_CONNECT,
	/* family, type of socket(2) */
	MOCK_ESCAPE_SOCKET,
	MOCK_ESCAPE_FORK,
	/* path */
	MOCK_ESCAPE_EXEC,
	/* pid, signal */
	MOCK_ESCAPE_KILL,
	/* number and up to four arguments of a system call */
	MOCK_ESCAPE_SYSCALL,
	/* n, text: to stderr, so often; then stderr is cut to nothing, which the result is of */
	MOCK_SAY,
	/* results: open descriptors; stream sockets among them */
	MOCK_COUNT_FDS,
	/*
	 * results: are there capabilities, or could be; no_new_privs; RLIMIT_CORE; seccomp mode as
	 * in proc(5)
	 */
	MOCK_GET_PRIVILEGES,
};

#endif
