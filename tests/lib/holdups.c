/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * To be preloaded (scripts/shake): holds each thread of a process up, at random,
 * where it takes or gives up a lock or makes a system call that others wait for.
 * What only holds as long as one thread is quicker than another breaks then.
 *
 * Most times a thread is held up for less than HOLD_UP_US microseconds (3000),
 * at times for fifteen times as long; all of a process's threads together for
 * no more than some two thirds of the time that it has lived. A thread that is
 * slow stays so for a while.
 *
 * Locks of GLib's alone: those that processes share and what waits for a
 * condition are not among them. It waits by ppoll(2), which every process of the
 * daemon's may call.
 */
#include <dlfcn.h>
#include <errno.h>
#include <glib.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

/* One in so many chances is taken. */
#define ODDS 40u
#define ODDS_OF_A_SLOW_ONE 10u
#define ODDS_OF_A_CHANGE 500u
#define SLOW_ONES 4u /* one in so many */
#define LONG_FACTOR 15u
#define MAX_PERCENT 66

/* Of a process, from its first thread's first step on. */
static gint64 start_us;
static guint64 max_us = 3000;

static gint64 held_us; /* atomic */

static __thread guint64 random_state;
static __thread gboolean is_slow;

/* GLib's may be a test's own. */
static gint64 get_time_us(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (gint64)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

/* A child has neither its parent's time nor its luck. */
static void begin_anew(void)
{
	start_us = get_time_us();
	held_us = 0;
	random_state = 0;
}

__attribute__((constructor)) static void begin(void)
{
	const char *text = getenv("HOLD_UP_US");

	if (text != NULL) {
		max_us = MAX(g_ascii_strtoull(text, NULL, 10), 1);
	}
	begin_anew();
	pthread_atfork(NULL, NULL, begin_anew);
}

/* xorshift; each thread has its own, as a lock in here would put them in an order. */
static guint64 draw(void)
{
	if (random_state == 0) {
		random_state = ((guint64)get_time_us() << 20) ^
			       (guint64)syscall(SYS_gettid) * G_GUINT64_CONSTANT(0x9e3779b97f4a7c15);
		random_state |= 1;
		draw();
		is_slow = draw() % SLOW_ONES == 0;
	}
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return random_state;
}

static void hold_up(void)
{
	int saved_errno = errno;
	gint64 now_us = get_time_us();
	guint64 us = draw() % max_us;

	us *= draw() % 30 == 0 ? LONG_FACTOR : 1;
	if (__atomic_load_n(&held_us, __ATOMIC_RELAXED) * 100 <
	    (now_us - start_us) * MAX_PERCENT) {
		struct timespec limit = { (time_t)(us / 1000000), (long)(us % 1000000) * 1000 };

		/* Not by the C library's, which is one of those below. */
		syscall(SYS_ppoll, NULL, 0, &limit, NULL, 8);
		__atomic_add_fetch(&held_us, get_time_us() - now_us, __ATOMIC_RELAXED);
	}
	errno = saved_errno;
}

/* A chance; so many, where who is held up there keeps others waiting. */
static void chance(guint64 n)
{
	if (draw() % ODDS_OF_A_CHANGE == 0) {
		is_slow = draw() % SLOW_ONES == 0;
	}
	if (draw() % (is_slow ? ODDS_OF_A_SLOW_ONE : ODDS) < n) {
		hold_up();
	}
}

/* The function that is hidden by ours. Pointers to functions and to data are alike (POSIX). */
#define HIDDEN(function)                                             \
	({                                                           \
		static __typeof__(&(function)) hidden;               \
		void *symbol;                                        \
		if (hidden == NULL) {                                \
			symbol = dlsym(RTLD_NEXT, #function);        \
			memcpy(&hidden, &symbol, sizeof(hidden));    \
		}                                                    \
		hidden;                                              \
	})

/* ---- locks ---- */

void(g_mutex_lock)(GMutex *mutex)
{
	chance(1);
	HIDDEN(g_mutex_lock)(mutex);
	chance(1);
}

void(g_mutex_unlock)(GMutex *mutex)
{
	HIDDEN(g_mutex_unlock)(mutex);
	chance(1);
}

gboolean(g_mutex_trylock)(GMutex *mutex)
{
	gboolean is_taken = HIDDEN(g_mutex_trylock)(mutex);

	chance(1);
	return is_taken;
}

/* ---- system calls ---- */

int epoll_wait(int fd, struct epoll_event *events, int n, int timeout_ms)
{
	int result = HIDDEN(epoll_wait)(fd, events, n, timeout_ms);

	chance(3);
	return result;
}

int poll(struct pollfd *fds, nfds_t n, int timeout_ms)
{
	int result = HIDDEN(poll)(fds, n, timeout_ms);

	chance(2);
	return result;
}

ssize_t read(int fd, void *to, size_t size)
{
	chance(1);
	ssize_t result = HIDDEN(read)(fd, to, size);
	chance(1);
	return result;
}

ssize_t write(int fd, const void *from, size_t size)
{
	chance(1);
	ssize_t result = HIDDEN(write)(fd, from, size);
	chance(2);
	return result;
}

ssize_t recv(int fd, void *to, size_t size, int flags)
{
	chance(1);
	ssize_t result = HIDDEN(recv)(fd, to, size, flags);
	chance(1);
	return result;
}

ssize_t send(int fd, const void *from, size_t size, int flags)
{
	chance(1);
	ssize_t result = HIDDEN(send)(fd, from, size, flags);
	chance(2);
	return result;
}

ssize_t recvmsg(int fd, struct msghdr *message, int flags)
{
	chance(1);
	ssize_t result = HIDDEN(recvmsg)(fd, message, flags);
	chance(1);
	return result;
}

ssize_t sendmsg(int fd, const struct msghdr *message, int flags)
{
	chance(1);
	ssize_t result = HIDDEN(sendmsg)(fd, message, flags);
	chance(2);
	return result;
}
