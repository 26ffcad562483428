/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * Back-end and attacker are two children of this process, which so sees which of them ends first.
 * An attacker whose assertion fails stops itself instead of ending: its sockets stay open, so that
 * a back-end that only stalls is not taken for one that died when its display hung up.
 */
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "attacks.h"
#include "attacks_compare.h"
#include "proctree.h"
#include "suite.h"

/* No answer within so long, with all that an attack waits for before it. */
#define ATTACK_LIMIT_MS 40000
/* From the moment that a connection breaks until the process is gone, with a core dump perhaps. */
#define DEATH_MS 1000

/* Written by the attacker, read by its parent. */
struct report {
	bool is_done;
	bool has_surprises;
	bool has_leaked;
	bool is_inapplicable;
	char text[400];
};

static struct report *report;

static void stop_here(int signal_number)
{
	(void)signal_number;
	raise(SIGSTOP);
}

/* g_error() and GLib's other last words. */
static void keep_words(const char *domain, GLogLevelFlags level, const char *message, void *data)
{
	(void)domain;
	(void)data;
	if (level & G_LOG_LEVEL_ERROR) {
		g_strlcpy(report->text, message, sizeof(report->text));
	}
}

static void run_attacker(const struct attack *attack, const struct attack_target *target)
{
	signal(SIGABRT, stop_here);
	signal(SIGTRAP, stop_here);
	signal(SIGPIPE, SIG_IGN);
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	/* GLib's "Bail out!" is no line of the table. */
	dup2(STDERR_FILENO, STDOUT_FILENO);
	g_log_set_default_handler(keep_words, NULL);
	struct attacker *attacker = attack_run(attack, target);
	report->has_surprises = attacker->surprises->len > 0;
	report->has_leaked = attacker->has_leaked;
	report->is_inapplicable = attacker->lacks != NULL;
	g_strlcpy(report->text, attacker->lacks ? attacker->lacks : attacker->surprises->str,
		  sizeof(report->text));
	report->is_done = true;
	_exit(0);
}

struct fight {
	struct daemon *daemon;
	pid_t attacker;
	bool is_attacker_done; /* or stopped */
};

static bool is_decided(void *data)
{
	struct fight *fight = data;
	int status;

	if (!fight->is_attacker_done) {
		fight->is_attacker_done =
			waitpid(fight->attacker, &status, WNOHANG | WUNTRACED) == fight->attacker;
	}
	return fight->is_attacker_done || !daemon_is_running(fight->daemon);
}

static bool is_dead(void *data)
{
	return !daemon_is_running(data);
}

static const char *judge(struct fight *fight, char *details, size_t size)
{
	/* Of one that has served to the end it is no matter how it takes the end. */
	if (report->is_done) {
		g_strlcpy(details, report->text, size);
		return report->is_inapplicable ? "n/a"
		       : report->has_leaked    ? "leaked"
		       : report->has_surprises ? "otherwise"
					       : "expected";
	}
	if (suite_wait(is_dead, fight->daemon, DEATH_MS)) {
		int status = fight->daemon->wait_status;
		if (WIFSIGNALED(status)) {
			g_snprintf(details, size, "signal %d (%s)", WTERMSIG(status),
				   g_strsignal(WTERMSIG(status)));
		} else {
			g_snprintf(details, size, "exit %d", WEXITSTATUS(status));
		}
		return "died";
	}
	g_strlcpy(details, report->text, size);
	return "stalled";
}

static void run_one(const struct attack *attack, const struct compare_options *options)
{
	struct fight fight = { .daemon = daemon_start_foreign(options->command) };
	const struct attack_target target = {
		.mode = options->is_3d ? "virglrenderer" : "2d",
		.foreign = fight.daemon,
		.has_pictures = options->has_pictures,
	};
	char details[sizeof(report->text)];

	signal(SIGABRT, SIG_DFL);
	signal(SIGTRAP, SIG_DFL);
	memset(report, 0, sizeof(*report));
	fight.attacker = fork();
	g_assert_no_errno(fight.attacker);
	if (fight.attacker == 0) {
		run_attacker(attack, &target);
	}
	suite_wait(is_decided, &fight, ATTACK_LIMIT_MS);
	const char *verdict = judge(&fight, details, sizeof(details));
	kill(fight.attacker, SIGKILL);
	waitpid(fight.attacker, NULL, 0);
	printf("%s\t%s\t%s\n", attack->name, verdict, g_strdelimit(details, "\t\n", ' '));
	fflush(stdout);
	daemon_destroy(fight.daemon);
}

static bool is_wanted(const struct attack *attack, const struct compare_options *options)
{
	for (char *const *name = options->names; *name; name++) {
		if (g_str_has_prefix(attack->name, *name)) {
			return true;
		}
	}
	return *options->names == NULL;
}

static void consider(const struct attack *attack, void *data)
{
	if (is_wanted(attack, data)) {
		run_one(attack, data);
	}
}

int compare_run(const struct compare_options *options)
{
	report = mmap(NULL, sizeof(*report), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1,
		      0);
	g_assert_true(report != MAP_FAILED);
	/* A helper that a back-end has left behind is ours to end. */
	g_assert_no_errno(prctl(PR_SET_CHILD_SUBREAPER, 1));
	attacks_each(options->is_3d, consider, (void *)(uintptr_t)options);
	munmap(report, sizeof(*report));
	return 0;
}
