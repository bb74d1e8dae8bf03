// SPDX-License-Identifier: GPL-2.0
/*
 * What an administrator sets: the budget of each CPU (sysctls), and the limit of a
 * cgroup (cpu.agent.max) with what happened in it (cpu.agent.stat).
 *
 * Both only limit: they let nobody declare, and what is over a limit is an ordinary
 * task, not a throttled one.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "../../kselftest_harness.h"
#include "load.h"

#define T	(200 * MSEC)
#define GAP	(220 * MSEC)
#define B	BUDGET_USUAL
#define HOGS	6

static struct bursts *new_bursts(void)
{
	struct bursts *b = shared(sizeof(*b));

	b->gap = GAP;
	b->run = RUN;
	b->rounds = 7;
	b->attr = burst_attr(CREDIT, T, 0);
	return b;
}

/* ---- the budget ---- */

FIXTURE(budget) {
	char max[32], period[32];	/* before the case */
	struct bursts *bursts;
	int cpu;
};

static int write_max(const char *us)
{
	return write_file(SYSCTL_BUDGET, us);
}

static int write_period(const char *us)
{
	return write_file(SYSCTL_PERIOD, us);
}

FIXTURE_SETUP(budget)
{
	const char *why;

	/* Before load_init(), which sets them. */
	read_file(SYSCTL_BUDGET, self->max, sizeof(self->max));
	read_file(SYSCTL_PERIOD, self->period, sizeof(self->period));
	why = load_init();
	if (why)
		SKIP(return, "%s", why);
	ASSERT_EQ(0, set_budget(B));
	self->cpu = busy_cpu(0);
	self->bursts = new_bursts();
}

FIXTURE_TEARDOWN(budget)
{
	load_end();
}

TEST_F(budget, defaults)
{
	EXPECT_STREQ("30000", self->max);
	EXPECT_STREQ("100000", self->period);
}

#define EXPECT_SYSCTL(max, period) do {					\
	char _buf[32];							\
									\
	ASSERT_EQ(0, read_file(SYSCTL_BUDGET, _buf, sizeof(_buf)));	\
	EXPECT_STREQ(max, _buf);					\
	ASSERT_EQ(0, read_file(SYSCTL_PERIOD, _buf, sizeof(_buf)));	\
	EXPECT_STREQ(period, _buf);					\
} while (0)

TEST_F(budget, values)
{
	EXPECT_SYSCTL("300000", "1000000");
	EXPECT_EQ(0, write_max("900000"));
	EXPECT_SYSCTL("900000", "1000000");
	EXPECT_EQ(0, write_max("0"));
	EXPECT_SYSCTL("0", "1000000");
	EXPECT_EQ(0, write_period("10000"));
	EXPECT_SYSCTL("0", "10000");
	EXPECT_EQ(0, write_max("9000"));
	EXPECT_SYSCTL("9000", "10000");
}

/* A tenth of each CPU is everybody's, whatever root writes. */
TEST_F(budget, bad_values)
{
	static const char * const max[] = { "900001", "1000000", "4294967295", "4294967296",
					    "-1", "x" };
	static const char * const period[] = { "0", "9999", "1000001", "333332", "-1", "x" };

	for (size_t i = 0; i < ARRAY_SIZE(max); i++) {
		EXPECT_EQ(-EINVAL, write_max(max[i]))
			TH_LOG("%s", max[i]);
	}
	for (size_t i = 0; i < ARRAY_SIZE(period); i++) {
		EXPECT_EQ(-EINVAL, write_period(period[i]))
			TH_LOG("%s", period[i]);
	}
	EXPECT_SYSCTL("300000", "1000000");
}

TEST_F_TIMEOUT(budget, none_closes_the_lane, 120)
{
	u64 open, closed;

	ASSERT_EQ(0, start_hogs(NULL, self->cpu, HOGS, NULL));
	open = run_bursts(NULL, self->cpu, self->bursts);
	ASSERT_EQ(0, write_max("0"));
	closed = run_bursts(NULL, self->cpu, self->bursts);
	TH_LOG("waited %llu us with a budget, %llu us without", open / 1000, closed / 1000);
	EXPECT_GT(RUN / 2, open);
	EXPECT_LT(RUN, closed);
	EXPECT_NE(UINT64_MAX, closed);
}

static void run_for_ever(void *arg)
{
	struct bursts *b = arg;

	b->error = attr_set(0, &b->attr);
	hog(NULL);
}

/* What share of the CPU, in percent, a task gets whose credit is half of it. */
static int share_of_greedy(int cpu)
{
	struct bursts *b = shared(sizeof(*b));
	u64 begin, ran;
	int share;
	pid_t pid;

	b->attr = burst_attr(100 * MSEC, 200 * MSEC, 0);
	pid = start(NULL, cpu, run_for_ever, b);
	/* what was saved of the budget is gone by then */
	nap(2 * SEC);
	begin = now();
	ran = process_cpu(pid);
	nap(4 * SEC);
	share = (process_cpu(pid) - ran) * 100 / (now() - begin);
	stop(pid);
	return b->error ? -1 : share;
}

/*
 * Nineteen hogs leave an ordinary task a twentieth.  All that this one runs is taken
 * from the budget, so that it gets that and no more.  A late tick is paid back, but
 * the end of the last may lie beyond what is looked at, hence the distances.
 */
TEST_F_TIMEOUT(budget, is_what_bursts_get, 120)
{
	int low, high;

	ASSERT_EQ(0, start_hogs(NULL, self->cpu, 19, NULL));
	high = share_of_greedy(self->cpu);
	ASSERT_EQ(0, set_budget(B / 2));
	low = share_of_greedy(self->cpu);
	TH_LOG("%d %% of the CPU with 30 %%, %d %% with 15 %%", high, low);
	EXPECT_LE(20, high);
	EXPECT_GE(36, high);
	EXPECT_LE(9, low);
	EXPECT_GE(21, low);
}

/* ---- the limit of a cgroup ---- */

FIXTURE(limit) {
	struct bursts *bursts;
	char *top, *leaf;
	int cpu;
};

FIXTURE_SETUP(limit)
{
	const char *why = load_init();

	if (why)
		SKIP(return, "%s", why);
	self->cpu = busy_cpu(0);
	self->top = make_group(NULL, "limit");
	ASSERT_NE(NULL, self->top);
	self->leaf = make_group(self->top, "leaf");
	ASSERT_NE(NULL, self->leaf);
	self->bursts = new_bursts();
}

FIXTURE_TEARDOWN(limit)
{
	load_end();
}

#define EXPECT_FILE(group, want) do {					\
	char _path[512], _buf[64];					\
									\
	snprintf(_path, sizeof(_path), "%s/cpu.agent.max", group);	\
	ASSERT_EQ(0, read_file(_path, _buf, sizeof(_buf)));	\
	EXPECT_STREQ(want, _buf);					\
} while (0)

TEST_F(limit, values)
{
	EXPECT_FILE(self->top, "max 100000");
	EXPECT_LE(0, write_group(self->top, "cpu.agent.max", "5000"));
	EXPECT_FILE(self->top, "5000 100000");
	EXPECT_LE(0, write_group(self->top, "cpu.agent.max", "10000 20000"));
	EXPECT_FILE(self->top, "10000 20000");
	EXPECT_LE(0, write_group(self->top, "cpu.agent.max", "0"));
	EXPECT_FILE(self->top, "0 20000");
	EXPECT_LE(0, write_group(self->top, "cpu.agent.max", "max 1000000"));
	EXPECT_FILE(self->top, "max 1000000");
	EXPECT_FILE(self->leaf, "max 100000");
}

TEST_F(limit, bad_values)
{
	static const char * const bad[] = {
		"x", "-1", "5000 x", "5000 9999", "5000 1000001", "100001", "max 0",
		"5000 100000 1", "30000 20000", "18446744073709551616", "99999999999999999999999",
	};

	ASSERT_LE(0, write_group(self->top, "cpu.agent.max", "5000 50000"));
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		EXPECT_GT(0, write_group(self->top, "cpu.agent.max", bad[i]))
			TH_LOG("%s", bad[i]);
	}
	EXPECT_FILE(self->top, "5000 50000");
}

TEST_F(limit, not_of_the_root)
{
	EXPECT_EQ(-1, access("/sys/fs/cgroup/cpu.agent.max", F_OK));
	EXPECT_EQ(-1, access("/sys/fs/cgroup/cpu.agent.stat", F_OK));
}

/* Waits in a leaf: without a limit, with a limit of 0 above it, with it gone. */
TEST_F_TIMEOUT(limit, zero_keeps_out, 180)
{
	u64 before, closed, after;
	long stints, denied;

	ASSERT_EQ(0, start_hogs(NULL, self->cpu, HOGS, NULL));
	before = run_bursts(self->leaf, self->cpu, self->bursts);
	ASSERT_LE(0, write_group(self->top, "cpu.agent.max", "0"));
	stints = read_group(self->leaf, "cpu.agent.stat", "stints ");
	denied = read_group(self->leaf, "cpu.agent.stat", "denied ");
	closed = run_bursts(self->leaf, self->cpu, self->bursts);
	EXPECT_EQ(stints, read_group(self->leaf, "cpu.agent.stat", "stints "));
	/* It wakes once a round, in some perhaps while something else is on its CPU. */
	EXPECT_LE(denied + self->bursts->rounds - 2,
		  read_group(self->leaf, "cpu.agent.stat", "denied "));
	ASSERT_LE(0, write_group(self->top, "cpu.agent.max", "max"));
	after = run_bursts(self->leaf, self->cpu, self->bursts);
	TH_LOG("waited %llu, %llu, %llu us", before / 1000, closed / 1000, after / 1000);
	EXPECT_GT(RUN / 2, before);
	EXPECT_LT(RUN / 2, closed);
	EXPECT_NE(UINT64_MAX, closed);
	EXPECT_GT(RUN / 2, after);
}

/* It is no cpu.max: over the limit a task still has its turn. */
TEST_F_TIMEOUT(limit, throttles_nobody, 120)
{
	struct bursts *b = self->bursts;
	pid_t pid;

	ASSERT_LE(0, write_group(self->top, "cpu.agent.max", "0"));
	ASSERT_EQ(0, start_hogs(NULL, self->cpu, 1, NULL));
	b->gap = MSEC;
	b->run = RUN;
	b->rounds = ROUNDS;
	pid = start(self->leaf, self->cpu, burster, b);
	ASSERT_LT(0, pid);
	nap(SEC);
	/* A group beside one hog: half of the CPU. */
	EXPECT_LT(300 * MSEC, process_cpu(pid));
}

/*
 * 50 ms in a second on each CPU, for bursts that want 500.  A late tick lets them have
 * more at once, which is taken from what comes; a quota is there from the start.
 */
TEST_F_TIMEOUT(limit, holds_for_all_below, 120)
{
	struct bursts *b = self->bursts;
	u64 begin, limit;
	long lane;

	ASSERT_LE(0, write_group(self->top, "cpu.agent.max", "50000 1000000"));
	ASSERT_EQ(0, start_hogs(NULL, self->cpu, HOGS, NULL));
	b->attr = burst_attr(100 * MSEC, 200 * MSEC, 0);
	b->gap = 2 * MSEC;
	b->run = 20 * MSEC;
	b->rounds = ROUNDS;
	begin = now();
	ASSERT_LT(0, start(self->leaf, self->cpu, burster, b));
	nap(5 * SEC);
	lane = read_group(self->top, "cpu.agent.stat", "lane_usec ");
	limit = ((now() - begin) / 20 + 50 * MSEC) / USEC;
	TH_LOG("%ld us in the lane, the limit is %llu us", lane, limit);
	EXPECT_LT(0, lane);
	EXPECT_GE((long)limit * 5 / 4, lane);
	EXPECT_LT(0, read_group(self->top, "cpu.agent.stat", "demoted "));
}

TEST_F_TIMEOUT(limit, stat, 120)
{
	struct bursts *b = self->bursts;
	long lane;

	ASSERT_EQ(0, start_hogs(NULL, self->cpu, 2, NULL));
	EXPECT_EQ(0, read_group(self->top, "cpu.agent.stat", "stints "));
	EXPECT_EQ(0, read_group(self->top, "cpu.agent.stat", "lane_usec "));
	ASSERT_NE(UINT64_MAX, run_bursts(self->leaf, self->cpu, b));
	lane = read_group(self->leaf, "cpu.agent.stat", "lane_usec ");
	/* One or two may have met with a host that was busy elsewhere. */
	EXPECT_LE(b->rounds - 2, read_group(self->leaf, "cpu.agent.stat", "stints "));
	EXPECT_LE((b->rounds - 2) * RUN / USEC, (u64)lane);
	/* what is below is above, too */
	EXPECT_EQ(lane, read_group(self->top, "cpu.agent.stat", "lane_usec "));
}

/* No number there lets anybody declare. */
TEST_F(limit, grants_nothing)
{
	struct rlimit none = {};

	ASSERT_LE(0, write_group(self->top, "cpu.agent.max", "50000"));
	ASSERT_EQ(0, move_to(self->leaf, 0));
	ASSERT_EQ(0, setrlimit(RLIMIT_NICE, &none));
	ASSERT_EQ(0, seteuid(65534));
	EXPECT_EQ(-EPERM, declare(0, CREDIT, T, 19));
	ASSERT_EQ(0, seteuid(0));
	ASSERT_EQ(0, move_to(NULL, 0));
}

TEST_HARNESS_MAIN
