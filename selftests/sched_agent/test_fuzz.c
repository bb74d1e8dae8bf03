// SPDX-License-Identifier: GPL-2.0
/*
 * Random calls on tasks that run, sleep, yield, fork and end at random: every
 * task goes on, and the kernel has nothing to say.
 *
 * SCHED_AGENT_SEED chooses the numbers, SCHED_AGENT_SECONDS how long it lasts; the
 * seed is printed, and the variants differ in their length alone.  What the tasks do meanwhile is not the same in two runs.
 */
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "../../kselftest_harness.h"
#include "load.h"

#define TASKS	60
#define GROUPS	6
#define CALLS	200

struct task {
	u64 seed;
	atomic_ulong rounds;
};

static u64 next(u64 *state)
{
	u64 z = *state += 0x9e3779b97f4a7c15ull;

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
	return z ^ (z >> 31);
}

static unsigned int below(u64 *state, unsigned int limit)
{
	return next(state) % limit;
}

/* Good and bad values alike. */
static struct attr random_attr(u64 *state)
{
	static const u64 runtimes[] = { 0, 50 * USEC, 100 * USEC, MSEC, 5 * MSEC, 50 * MSEC };
	static const u64 periods[] = { 0, MSEC, 10 * MSEC, 20 * MSEC, 100 * MSEC, 2 * SEC };
	static const u64 flags[] = { 0, 0, 0, FLAG_RESET_ON_FORK, FLAG_KEEP_POLICY,
					  FLAG_KEEP_PARAMS };
	static const u32 policies[] = { POLICY_NORMAL, POLICY_NORMAL, POLICY_NORMAL,
					     POLICY_EXT, POLICY_BATCH, POLICY_IDLE };
	struct attr attr = burst_attr(runtimes[below(state, ARRAY_SIZE(runtimes))],
				      periods[below(state, ARRAY_SIZE(periods))],
				      (int)below(state, 40) - 20);

	attr.policy = policies[below(state, ARRAY_SIZE(policies))];
	attr.flags |= flags[below(state, ARRAY_SIZE(flags))];
	if (!below(state, 4))
		attr.flags &= ~SCHED_FLAG_AGENT_CLASS;
	return attr;
}

static void live(void *arg)
{
	struct task *task = arg;
	struct attr attr;
	pid_t pid;

	for (;; task->rounds++) {
		switch (below(&task->seed, 12)) {
		case 0 ... 4:
			spin((1 + below(&task->seed, 40)) * 50 * USEC);
			break;
		case 5 ... 7:
			nap((1 + below(&task->seed, 40)) * 100 * USEC);
			break;
		case 8:
			sched_yield();
			break;
		case 9:
			pid = fork();
			if (!pid) {
				prctl(PR_SET_PDEATHSIG, SIGKILL);
				spin(below(&task->seed, 10) * 100 * USEC);
				_exit(0);
			}
			if (pid > 0)
				waitpid(pid, NULL, 0);
			break;
		case 10:
			attr = random_attr(&task->seed);
			attr_set(0, &attr);
			break;
		case 11:
			setpriority(PRIO_PROCESS, 0, below(&task->seed, 20));
			break;
		}
	}
}

FIXTURE(fuzz) {
	struct task *tasks;
	pid_t pids[TASKS];
	char *groups[GROUPS];
	int klog;
};

FIXTURE_VARIANT(fuzz) {
	u64 seconds;
};

FIXTURE_VARIANT_ADD(fuzz, short) { 10 };
FIXTURE_VARIANT_ADD(fuzz, long) { 60 };

FIXTURE_SETUP(fuzz)
{
	char name[16];
	const char *why = load_init();

	if (why)
		SKIP(return, "%s", why);
	ASSERT_EQ(0, set_budget(BUDGET_USUAL));
	self->klog = klog_open();
	ASSERT_LE(0, self->klog);
	self->tasks = shared(TASKS * sizeof(*self->tasks));
	/* Two at the top, each with two leaves below. */
	for (int i = 0; i < GROUPS; i++) {
		snprintf(name, sizeof(name), "g%d", i);
		self->groups[i] = make_group(i < 2 ? NULL : self->groups[i % 2], name);
		ASSERT_NE(NULL, self->groups[i]);
	}
}

FIXTURE_TEARDOWN(fuzz)
{
	load_end();
}

static void disturb(const pid_t *pids, char **groups, u64 *state)
{
	static const char * const limits[] = { "max", "max", "2000 20000", "10000 100000" };
	static const char * const agent_limits[] = { "max", "0", "5000", "20000 200000" };
	pid_t pid = pids[below(state, TASKS)];
	/* A group with children has no tasks. */
	const char *leaf = groups[2 + below(state, GROUPS - 2)];
	const char *any = groups[below(state, GROUPS)];
	struct attr attr;

	switch (below(state, 10)) {
	case 0 ... 3:
		attr = random_attr(state);
		attr_set(pid, &attr);
		break;
	case 4:
		withdraw(pid);
		break;
	case 5:
		pin(pid, below(state, 3) ? busy_cpu(below(state, nr_cpus())) : -1);
		break;
	case 6:
		move_to(below(state, 6) ? leaf : NULL, pid);
		break;
	case 7:
		setpriority(PRIO_PROCESS, pid, below(state, 20));
		break;
	case 8:
		if (below(state, 2)) {
			write_group(any, "cpu.max", limits[below(state, ARRAY_SIZE(limits))]);
		} else {
			write_group(any, "cpu.agent.max",
				    agent_limits[below(state, ARRAY_SIZE(agent_limits))]);
		}
		break;
	case 9:
		if (below(state, 4)) {
			kill(pid, SIGSTOP);
			nap(below(state, 1000) * USEC);
			kill(pid, SIGCONT);
		} else {
			write_group(leaf, "cpu.idle", below(state, 2) ? "1" : "0");
		}
		break;
	}
}

TEST_F_TIMEOUT(fuzz, all_go_on, 400)
{
	const char *seed = getenv("SCHED_AGENT_SEED"), *seconds = getenv("SCHED_AGENT_SECONDS");
	u64 state = seed ? strtoull(seed, NULL, 0) : (u64)getpid() << 20 | time(NULL);
	u64 length = (seconds ? strtoull(seconds, NULL, 0) : variant->seconds) * SEC, end;
	unsigned long before[TASKS], calls = 0;
	const char *bad = NULL;
	int still = TASKS;

	TH_LOG("seed %llu", state);
	for (int i = 0; i < TASKS; i++) {
		self->tasks[i].seed = next(&state);
		self->pids[i] = start(i % 3 ? self->groups[2 + i % 4] : NULL, -1, live,
				      &self->tasks[i]);
		ASSERT_LT(0, self->pids[i]);
	}
	/* Emulated CPUs may be slow, hence a number of calls as well; but not for ever. */
	end = now() + length;
	while ((now() < end || (calls < CALLS && now() < end + 90 * SEC)) && !bad) {
		disturb(self->pids, self->groups, &state);
		if (!(++calls % 50))
			bad = lanes_bad();
	}
	EXPECT_EQ(NULL, bad)
		TH_LOG("sched/agent: %s", bad);
	TH_LOG("%lu calls", calls);
	EXPECT_LE(CALLS, calls);

	/* Nothing holds them back now, and nothing is ahead of them for good. */
	for (int i = 0; i < GROUPS; i++) {
		write_group(self->groups[i], "cpu.max", "max");
		write_group(self->groups[i], "cpu.idle", "0");
	}
	for (int i = 0; i < TASKS; i++) {
		EXPECT_EQ(0, kill(self->pids[i], SIGCONT));
		EXPECT_EQ(0, pin(self->pids[i], -1));
		before[i] = self->tasks[i].rounds;
	}
	for (int round = 0; round < 600 && still; round++) {
		nap(100 * MSEC);
		still = 0;
		for (int i = 0; i < TASKS; i++)
			still += self->tasks[i].rounds == before[i];
	}
	EXPECT_EQ(0, still)
		TH_LOG("%d tasks stand still", still);
	for (int i = 0; i < TASKS; i++)
		EXPECT_EQ(0, waitpid(self->pids[i], NULL, WNOHANG));

	bad = complaint(self->klog);
	EXPECT_EQ(NULL, bad)
		TH_LOG("the kernel says: %s", bad);
}

TEST_HARNESS_MAIN
