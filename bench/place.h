/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * Which CPU does what: the guest's processors on the last, the display on the first, as a
 * management layer pins a VM's processors and its emulator; what is measured goes where the
 * kernel puts it. Without it the guest waits for the display's reads, which are long and in
 * kernel mode, and its wait is taken for the back-end's. Only in rows that ask for it, and not
 * with one CPU.
 */
#pragma once

/* Remembers the CPUs that there are; the calling thread, and what it starts, is the guest's. */
void place_guest(void);

/* The calling thread is the display's: pinned if place_guest() was called before. */
void place_display(void);

/*
 * Where place_backend() puts those that are started from now on: on any CPU, on the guest's, or
 * on any but the guest's.
 */
enum place {
	PLACE_ANYWHERE,
	PLACE_TOGETHER,
	PLACE_APART,
};
void place_choose_backend(enum place place);

/* The calling process is a back-end. Safe after fork(). */
void place_backend(void);

/* The calling thread runs as soon as it may, where the system allows that. */
void place_first(void);
