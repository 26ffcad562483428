/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * GLib as distributed is not built for ThreadSanitizer, which so does not see
 * that its locks and reference counts put one thread's accesses before
 * another's. These stand in front of GLib's own and tell it.
 */
#include <dlfcn.h>
#include <glib.h>

#include <sanitizer/tsan_interface.h>

#define REAL(name)                                                                                 \
	static __typeof__(&(name)) found;                                                          \
	__typeof__(&(name)) real = __atomic_load_n(&found, __ATOMIC_RELAXED);                      \
	if (real == NULL) {                                                                        \
		real = (__typeof__(&(name)))dlsym(RTLD_NEXT, #name);                               \
		__atomic_store_n(&found, real, __ATOMIC_RELAXED);                                  \
	}

void g_mutex_lock(GMutex *mutex)
{
	REAL(g_mutex_lock)
	real(mutex);
	__tsan_acquire(mutex);
}

void g_mutex_unlock(GMutex *mutex)
{
	REAL(g_mutex_unlock)
	__tsan_release(mutex);
	real(mutex);
}

gboolean g_mutex_trylock(GMutex *mutex)
{
	REAL(g_mutex_trylock)
	gboolean is_locked = real(mutex);
	if (is_locked) {
		__tsan_acquire(mutex);
	}
	return is_locked;
}

void g_cond_wait(GCond *cond, GMutex *mutex)
{
	REAL(g_cond_wait)
	__tsan_release(mutex);
	real(cond, mutex);
	__tsan_acquire(mutex);
}

gboolean g_cond_wait_until(GCond *cond, GMutex *mutex, gint64 end_time)
{
	REAL(g_cond_wait_until)
	__tsan_release(mutex);
	gboolean is_signalled = real(cond, mutex, end_time);
	__tsan_acquire(mutex);
	return is_signalled;
}

#undef g_atomic_ref_count_dec
gboolean g_atomic_ref_count_dec(gatomicrefcount *count)
{
	REAL(g_atomic_ref_count_dec)
	__tsan_release(count);
	gboolean is_last = real(count);
	__tsan_acquire(count);
	return is_last;
}

#undef g_atomic_ref_count_compare
gboolean g_atomic_ref_count_compare(gatomicrefcount *count, gint value)
{
	REAL(g_atomic_ref_count_compare)
	gboolean is_equal = real(count, value);
	__tsan_acquire(count);
	return is_equal;
}
