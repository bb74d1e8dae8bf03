// SPDX-License-Identifier: GPL-2.0
/*
 * Schedulers come and go, in all ways in which they can, while bursts, messages and
 * forks go on: no task is lost, each declaration and its credit stay, the kernel has
 * nothing to complain about.
 *
 * The argument is how often scx_agent is loaded, 10 if there is none.  Cases: the load
 * "before" all that; "lives" of scx_agent that end by signals, by kill -9 and by SysRq-S;
 * a "stall" that the watchdog ends; the "credit" of a task over such an end.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../../kselftest.h"
#include "scx.h"

#define PATIENCE	(60 * SEC)

static const int load[NR_KINDS] = {
	[HOG] = 6, [HOG_BOUND] = 4, [MESSAGES] = 4, [FORKS] = 3, [SLEEPER] = 4,
	[BURST] = 6, [BURST_BOUND] = 4,
};

static int klog;

/* Whether everything is as it was; says what is not. */
static bool intact(const char *when)
{
	const char *bad = load_check(PATIENCE);

	if (!bad)
		bad = lanes_bad();
	if (!bad)
		bad = klog_bad(klog);
	if (bad)
		ksft_print_msg("%s: %s\n", when, bad);
	return !bad;
}

/* One life of scx_agent that @end puts an end to, as @status says. */
static bool one_life(const char *what, bool (*end)(struct sched *s), int status)
{
	struct sched s;
	bool ok = true;
	int got;

	if (!sched_load(&s, "scx_agent", "-j")) {
		ksft_print_msg("%s: it is not loaded: %s\n", what, s.said.text);
		sched_end(&s, SIGKILL);
		return false;
	}
	nap(50 * MSEC);
	if (!sched_is("agent_class")) {
		ksft_print_msg("%s: it does not rule\n", what);
		ok = false;
	}
	if (!end(&s)) {
		ksft_print_msg("%s: %s\n", what, s.said.text);
		ok = false;
	}
	got = sched_end(&s, 0);
	if (got != status) {
		ksft_print_msg("%s: it ends with %d, not %d: %s\n", what, got, status, s.said.text);
		ok = false;
	}
	if (!sched_gone(PATIENCE)) {
		ksft_print_msg("%s: the kernel still has it\n", what);
		ok = false;
	}
	return ok;
}

static bool by_interrupt(struct sched *s)
{
	return !kill(s->pid, SIGINT);
}

static bool by_kill(struct sched *s)
{
	return !kill(s->pid, SIGKILL);
}

static bool by_sysrq(struct sched *s)
{
	return !write_file("/proc/sysrq-trigger", "S");
}

/* Every life ends otherwise than the one before. */
static bool lives(int count)
{
	bool ok = true;

	for (int i = 0; i < count && ok; i++) {
		switch (i % 4) {
		case 0:
		case 1:
			ok = one_life("SIGINT", by_interrupt, ENDED);
			break;
		case 2:
			ok = one_life("SIGKILL", by_kill, 128 + SIGKILL);
			break;
		case 3:
			ok = one_life("SysRq-S", by_sysrq, THROWN_OUT);
			break;
		}
		if (ok && (i % 10 == 9 || i == count - 1))
			ok = intact("after some lives");
		if (i % 20 == 19)
			ksft_print_msg("%d of %d lives\n", i + 1, count);
	}
	return ok;
}

/* A scheduler that keeps what it is given: the watchdog ends it. */
static bool stall(void)
{
	struct sched s;
	int status;

	if (!sched_load(&s, "stall", NULL)) {
		ksft_print_msg("stall is not loaded: %s\n", s.said.text);
		return false;
	}
	status = sched_end(&s, 0);
	if (status != THROWN_OUT || !sched_gone(PATIENCE)) {
		ksft_print_msg("stall ends with %d: %s\n", status, s.said.text);
		return false;
	}
	return intact("after a stall");
}

/* Credit is the kernel's: neither a load nor an end mints any. */
static bool credit(void)
{
	static const int one[NR_KINDS] = { [BURST] = 1 };
	pid_t pid = start(NULL, 1, hog, NULL);
	s64 tokens, least = 0;
	struct sched s;
	bool ok;

	/* 100 ms in 10 s: once used up, it stays so for the rest of the test. */
	if (load_start(one) || declare(pid, 100 * MSEC, 10 * SEC))
		return false;
	ok = sched_load(&s, "scx_agent", NULL);
	for (int i = 0; i < 500 && agent_counter(pid, "tokens") > 50 * (s64)MSEC; i++)
		nap(10 * MSEC);
	least = agent_counter(pid, "tokens");
	ok &= sched_end(&s, SIGINT) == ENDED && sched_gone(PATIENCE);
	tokens = agent_counter(pid, "tokens");
	if (tokens > least || least > 50 * (s64)MSEC || !is_declared(pid, 100 * MSEC, 10 * SEC)) {
		ksft_print_msg("credit %lld ns, after the end %lld ns\n", least, tokens);
		ok = false;
	}
	stop(pid);
	return ok;
}

int main(int argc, char **argv)
{
	int count = argc > 1 ? atoi(argv[1]) : 10;

	ksft_print_header();
	if (count <= 0)
		ksft_exit_fail_msg("usage: %s [LIVES]\n", argv[0]);
	if (no_agent_class())
		ksft_exit_skip("%s\n", no_agent_class());
	ksft_set_plan(4);

	klog = klog_open();
	if (klog < 0 || load_start(load))
		ksft_exit_fail_msg("cannot start the load\n");
	nap(SEC / 2);
	ksft_test_result(intact("before"), "before\n");
	ksft_test_result(lives(count), "lives\n");
	ksft_test_result(stall(), "stall\n");
	load_end();
	ksft_test_result(credit(), "credit\n");
	load_end();
	ksft_finished();
}
