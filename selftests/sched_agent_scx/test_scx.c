// SPDX-License-Identifier: GPL-2.0
/*
 * scx_agent: what it does for bursts, what it leaves to others, when it refuses.
 *
 * The guests of these tests have more virtual CPUs than the host has CPUs, and the
 * host halts each of them when it likes.  So what a task waits for is read from
 * schedstat, bounds are ratios of medians in one run, and credit and budget are ten
 * times as long as by default where a halt would otherwise use them up.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../../kselftest_harness.h"
#include "scx.h"

#define BUDGET_US	"/proc/sys/kernel/sched_agent_cpu_max_us"
#define PERIOD_US	"/proc/sys/kernel/sched_agent_cpu_period_us"
#define LOADS		"/sys/kernel/sched_ext/enable_seq"

/* --- its program ------------------------------------------------------------- */

FIXTURE(program) {
	int unused;
};

FIXTURE_SETUP(program)
{
}

FIXTURE_TEARDOWN(program)
{
}

TEST_F_TIMEOUT(program, usage, 120)
{
	struct said said;

	run(&said, "scx_agent", "--help", NULL);
	EXPECT_EQ(ENDED, said.status);
	EXPECT_NE(NULL, strstr(said.text, "Example"));
	run(&said, "scx_agent", "--nonsense", NULL);
	EXPECT_EQ(REFUSED, said.status);
	run(&said, "scx_agent", "-i", "soon", NULL);
	EXPECT_EQ(REFUSED, said.status);
	run(&said, "scx_agent", "more", NULL);
	EXPECT_EQ(REFUSED, said.status);
	run(&said, "scx_agent", "--once", NULL);
	EXPECT_EQ(FAILED, said.status);
	EXPECT_NE(NULL, strstr(said.text, "not loaded"));
}

/* Tasks of EEVDF would be ahead of bursts of sched_ext. */
TEST_F_TIMEOUT(program, refuses_partial_mode, 120)
{
	struct said said;

	run(&said, "scx_agent", "-p", NULL);
	EXPECT_EQ(REFUSED, said.status);
	EXPECT_NE(NULL, strstr(said.text, "partial"));
	EXPECT_TRUE(sched_gone(0));
}

/* The same object runs where the class is, and elsewhere says what is missing. */
TEST_F_TIMEOUT(program, needs_the_class, 120)
{
	const char *why = no_agent_class();
	struct sched s;

	if (!why) {
		ASSERT_TRUE(sched_load(&s, "scx_agent", "-j"))
			TH_LOG("%s", s.said.text);
		EXPECT_TRUE(sched_is("agent_class"));
		EXPECT_EQ(ENDED, sched_end(&s, SIGINT));
	} else {
		EXPECT_FALSE(sched_load(&s, "scx_agent", "-j"));
		EXPECT_EQ(REFUSED, sched_end(&s, 0));
		EXPECT_NE(NULL, strstr(s.said.text, "CONFIG_SCHED_AGENT"))
			TH_LOG("%s", s.said.text);
	}
	EXPECT_TRUE(sched_gone(10 * SEC));
}

TEST_F_TIMEOUT(program, refuses_to_be_second, 120)
{
	struct said said;
	struct sched s;

	if (no_agent_class())
		SKIP(return, "%s", no_agent_class());
	ASSERT_TRUE(sched_load(&s, "scx_agent", NULL));
	run(&said, "scx_agent", NULL);
	EXPECT_EQ(REFUSED, said.status);
	EXPECT_NE(NULL, strstr(said.text, "loaded already"));
	EXPECT_TRUE(sched_is("agent_class"));
	EXPECT_EQ(ENDED, sched_end(&s, SIGTERM));
	EXPECT_TRUE(sched_gone(10 * SEC));
}

/* --- while it is loaded ---------------------------------------------------------- */

#define ROUNDS	24

/* A task that sleeps and runs, over and over. */
struct bursts {
	u64 gap, run;
	u64 runtime, period;		/* to declare; 0: nothing */
	int rounds;
	atomic_int done, error;
	u64 wait[ROUNDS];		/* it could have run, and did not */
};

static u64 own_wait(void)
{
	char buf[96];
	u64 wait = 0;

	if (!read_file("/proc/thread-self/schedstat", buf, sizeof(buf)))
		sscanf(buf, "%*u %llu", &wait);
	return wait;
}

static void burster(void *arg)
{
	struct bursts *b = arg;

	if (b->runtime)
		b->error = -declare(0, b->runtime, b->period);
	while (b->done < b->rounds) {
		u64 before = own_wait();

		nap(b->gap);
		spin(b->run);
		b->wait[b->done] = own_wait() - before;
		b->done++;
	}
	pause();
}

static int compare(const void *a, const void *b)
{
	const u64 *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

/* Run such a task to its end; its median wait, or UINT64_MAX. */
static u64 median_wait(const char *group, int cpu, struct bursts *b)
{
	u64 end = now() + 120 * SEC;
	pid_t pid;

	b->done = 0;
	pid = start(group, cpu, burster, b);
	while (pid > 0 && b->done < b->rounds && now() < end)
		nap(10 * MSEC);
	stop(pid);
	if (b->done < b->rounds || b->error)
		return UINT64_MAX;
	qsort(b->wait, b->rounds, sizeof(b->wait[0]), compare);
	return b->wait[b->rounds / 2];
}

FIXTURE(scx) {
	struct sched sched;
	struct bursts *bursts;
	char budget[32], period[32];
	int cpu, klog;
};

FIXTURE_SETUP(scx)
{
	if (no_agent_class())
		SKIP(return, "%s", no_agent_class());
	ASSERT_EQ(0, read_file(BUDGET_US, self->budget, sizeof(self->budget)));
	ASSERT_EQ(0, read_file(PERIOD_US, self->period, sizeof(self->period)));
	self->klog = klog_open();
	ASSERT_LE(0, self->klog);
	self->cpu = nr_cpus() - 1;
	self->bursts = shared(sizeof(*self->bursts));
	*self->bursts = (struct bursts){ .gap = 60 * MSEC, .run = 30 * MSEC, .rounds = 12 };
	ASSERT_EQ(0, pin(0, 0));
	ASSERT_TRUE(sched_load(&self->sched, "scx_agent", "-j"))
		TH_LOG("%s", self->sched.said.text);
}

FIXTURE_TEARDOWN(scx)
{
	const char *bad;

	load_end();
	for (int i = 1; i <= self->cpu; i++)
		set_online(i, true);
	write_file(BUDGET_US, "0");
	write_file(PERIOD_US, self->period);
	write_file(BUDGET_US, self->budget);
	if (self->sched.pid > 0)
		EXPECT_EQ(ENDED, sched_end(&self->sched, SIGINT))
			TH_LOG("%s", self->sched.said.text);
	EXPECT_TRUE(sched_gone(20 * SEC));
	bad = klog_bad(self->klog);
	EXPECT_EQ(NULL, bad)
		TH_LOG("the kernel says: %s", bad);
	bad = lanes_bad();
	EXPECT_EQ(NULL, bad)
		TH_LOG("sched/agent: %s", bad);
}

/* 300 of 1000 ms: as much as by default, but no halt of a CPU uses it up. */
static int long_budget(void)
{
	return write_file(BUDGET_US, "0") ?: write_file(PERIOD_US, "1000000") ?:
	       write_file(BUDGET_US, "300000");
}

static int start_hogs(const char *parent, int cpu, int count, pid_t *pids)
{
	char name[16], *group = NULL;

	for (int i = 0; i < count; i++) {
		snprintf(name, sizeof(name), "hog%d", i);
		group = parent ? NULL : make_group(NULL, name);
		if (!parent && !group)
			return -1;
		pids[i] = start(parent ?: group, cpu, hog, NULL);
		if (pids[i] < 0)
			return -1;
	}
	return 0;
}

/* On one CPU, where it has to preempt, with each hog in a cgroup of its own. */
TEST_F_TIMEOUT(scx, burst_is_first_on_a_cpu, 300)
{
	struct bursts *b = self->bursts;
	u64 plain, first;
	pid_t hogs[6];

	ASSERT_EQ(0, long_budget());
	ASSERT_EQ(0, start_hogs(NULL, self->cpu, 6, hogs));
	plain = median_wait(NULL, self->cpu, b);
	b->runtime = 80 * MSEC;
	b->period = SEC / 5;
	first = median_wait(NULL, self->cpu, b);
	TH_LOG("waits %llu us, as a burst %llu us", plain / 1000, first / 1000);
	ASSERT_NE(UINT64_MAX, plain);
	EXPECT_LT(first * 5, plain);
	EXPECT_LT(0, sched_count("preemptions"));
	EXPECT_LT(0, sched_count("bursts"));
}

/* It may run anywhere, and all CPUs are busy. */
TEST_F_TIMEOUT(scx, burst_is_first_on_a_busy_machine, 300)
{
	struct bursts *b = self->bursts;
	u64 plain, first;
	pid_t hogs[48];

	ASSERT_EQ(0, long_budget());
	ASSERT_EQ(0, start_hogs(NULL, -1, 4 * nr_cpus() < 48 ? 4 * nr_cpus() : 48, hogs));
	plain = median_wait(NULL, -1, b);
	b->runtime = 80 * MSEC;
	b->period = SEC / 5;
	first = median_wait(NULL, -1, b);
	TH_LOG("waits %llu us, as a burst %llu us", plain / 1000, first / 1000);
	ASSERT_NE(UINT64_MAX, plain);
	EXPECT_LT(first * 5, plain);
}

/* Greedy bursts have their budget, and then no more than anybody. */
TEST_F_TIMEOUT(scx, hogs_keep_their_share, 300)
{
	u64 theirs = 0, all = 0;
	pid_t pids[6];
	char *greedy;

	ASSERT_EQ(0, start_hogs(NULL, self->cpu, 4, pids));
	greedy = make_group(NULL, "greedy");
	ASSERT_NE(NULL, greedy);
	for (int i = 4; i < 6; i++) {
		pids[i] = start(greedy, self->cpu, hog, NULL);
		ASSERT_LT(0, pids[i]);
		ASSERT_EQ(0, declare(pids[i], 20 * MSEC, 40 * MSEC));
	}
	nap(2 * SEC);
	for (int i = 0; i < 6; i++) {
		all -= process_cpu(pids[i]);
		theirs -= i < 4 ? process_cpu(pids[i]) : 0;
	}
	nap(8 * SEC);
	for (int i = 0; i < 6; i++) {
		all += process_cpu(pids[i]);
		theirs += i < 4 ? process_cpu(pids[i]) : 0;
	}
	TH_LOG("hogs have %llu of 1000", theirs * 1000 / all);
	EXPECT_LE(600, theirs * 1000 / all);
	EXPECT_LT(0, sched_count("demotions") + sched_count("denied"));
}

/* Weights of cgroups hold for what is no burst. */
TEST_F_TIMEOUT(scx, weights_hold, 300)
{
	char *heavy = make_group(NULL, "heavy"), *light = make_group(NULL, "light");
	u64 had[2];
	pid_t pid[3];

	ASSERT_NE(NULL, heavy);
	ASSERT_NE(NULL, light);
	ASSERT_EQ(0, write_group(heavy, "cpu.weight", "400"));
	/* More tasks do not help the light one. */
	pid[0] = start(heavy, self->cpu, hog, NULL);
	pid[1] = start(light, self->cpu, hog, NULL);
	pid[2] = start(light, self->cpu, hog, NULL);
	nap(2 * SEC);
	had[0] = process_cpu(pid[0]);
	had[1] = process_cpu(pid[1]) + process_cpu(pid[2]);
	nap(10 * SEC);
	had[0] = process_cpu(pid[0]) - had[0];
	had[1] = process_cpu(pid[1]) + process_cpu(pid[2]) - had[1];
	TH_LOG("heavy %llu ms, light %llu ms", had[0] / MSEC, had[1] / MSEC);
	EXPECT_LT(3 * had[1], had[0]);
	EXPECT_LT(had[0], 5 * had[1]);
}

/* It does not honour quotas, so it leaves them to who does. */
TEST_F_TIMEOUT(scx, quota_ends_it, 120)
{
	char *group = make_group(NULL, "quota"), *inner;
	struct said said;

	ASSERT_NE(NULL, group);
	inner = make_group(group, "inner");
	ASSERT_NE(NULL, inner);
	EXPECT_TRUE(sched_is("agent_class"));
	ASSERT_EQ(0, write_group(inner, "cpu.max", "50000 100000"));
	EXPECT_EQ(REFUSED, sched_end(&self->sched, 0));
	EXPECT_NE(NULL, strstr(self->sched.said.text, "_inner_"))
		TH_LOG("it does not say where: %s", self->sched.said.text);
	EXPECT_TRUE(sched_gone(20 * SEC));

	/* Nor does it start. */
	run(&said, "scx_agent", NULL);
	EXPECT_EQ(REFUSED, said.status);
	EXPECT_NE(NULL, strstr(said.text, "cpu.max"));
	EXPECT_TRUE(sched_gone(20 * SEC));

	ASSERT_EQ(0, write_group(inner, "cpu.max", "max"));
	ASSERT_TRUE(sched_load(&self->sched, "scx_agent", NULL));
	EXPECT_TRUE(sched_is("agent_class"));
}

/* cpu.idle is below everybody, a burst in it, too. */
TEST_F_TIMEOUT(scx, idle_group_is_last, 300)
{
	char *idle = make_group(NULL, "idle");
	struct bursts *b = self->bursts;
	u64 first, last;
	pid_t hogs[3];

	ASSERT_NE(NULL, idle);
	ASSERT_EQ(0, long_budget());
	ASSERT_EQ(0, start_hogs(NULL, self->cpu, 3, hogs));
	b->rounds = 6;
	b->runtime = 80 * MSEC;
	b->period = SEC / 5;
	first = median_wait(idle, self->cpu, b);
	ASSERT_EQ(0, write_group(idle, "cpu.idle", "1"));
	last = median_wait(idle, self->cpu, b);
	TH_LOG("waits %llu us, in an idle group %llu us", first / 1000, last / 1000);
	EXPECT_LT(first * 3, last);
}

static const int some_of_each[NR_KINDS] = {
	[HOG] = 8, [HOG_BOUND] = 6, [MESSAGES] = 3, [FORKS] = 2, [SLEEPER] = 4,
	[BURST] = 6, [BURST_BOUND] = 4,
};

/* Those that are bound lose their CPU, and their affinity with it: never their turn. */
TEST_F_TIMEOUT(scx, cpus_come_and_go, 600)
{
	const char *bad;

	ASSERT_EQ(0, load_start(some_of_each));
	nap(SEC / 2);
	for (int cycle = 0; cycle < 12; cycle++) {
		int cpu = 1 + cycle % self->cpu, other = 1 + (cycle + 2) % self->cpu;

		ASSERT_EQ(0, set_online(cpu, false));
		ASSERT_EQ(0, set_online(other, false));
		nap(100 * MSEC);
		ASSERT_EQ(0, set_online(cpu, true));
		ASSERT_EQ(0, set_online(other, true));
		ASSERT_TRUE(sched_is("agent_class"));
	}
	/* All but one, caches without any CPU. */
	for (int cpu = 1; cpu <= self->cpu; cpu++)
		ASSERT_EQ(0, set_online(cpu, false));
	bad = load_check(30 * SEC);
	EXPECT_EQ(NULL, bad)
		TH_LOG("on one CPU: %s", bad);
	for (int cpu = 1; cpu <= self->cpu; cpu++)
		ASSERT_EQ(0, set_online(cpu, true));
	bad = load_check(30 * SEC);
	EXPECT_EQ(NULL, bad)
		TH_LOG("%s", bad);
	EXPECT_TRUE(sched_is("agent_class"));
}

/* How often a scheduler has been loaded. */
static u64 loads(void)
{
	char count[32] = "";

	read_file(LOADS, count, sizeof(count));
	return strtoull(count, NULL, 10);
}

/*
 * A CPU that was offline when it was loaded is one of those that it serves later. It
 * loads itself anew for that, and the verifier takes its time.
 */
TEST_F_TIMEOUT(scx, new_cpu_is_served, 300)
{
	struct bursts *b = self->bursts;
	u64 before;

	ASSERT_EQ(ENDED, sched_end(&self->sched, SIGINT));
	ASSERT_EQ(0, set_online(self->cpu, false));
	ASSERT_TRUE(sched_load(&self->sched, "scx_agent", NULL));
	before = loads();
	ASSERT_EQ(0, set_online(self->cpu, true));
	for (int i = 0; i < 1200 && loads() == before; i++)
		nap(100 * MSEC);
	EXPECT_EQ(before + 1, loads());
	EXPECT_NE(UINT64_MAX, median_wait(NULL, self->cpu, b));
	EXPECT_TRUE(sched_is("agent_class"));
}

TEST_HARNESS_MAIN
