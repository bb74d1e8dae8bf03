// SPDX-License-Identifier: GPL-2.0
/*
 * The credit of one task: a burst runs ahead of hogs for as long as its credit
 * lasts, then it is an ordinary task until its period is over.
 *
 * Waits are the kernel's own account (load.h).  A task that runs RUN ahead of hogs
 * waits for next to nothing, one that takes its turn waits about HOGS * RUN: cases
 * ask for less than RUN/2 and for more than RUN, of medians over rounds.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../../kselftest_harness.h"
#include "load.h"

#define Q	CREDIT
#define T	(400 * MSEC)
#define GAP	(450 * MSEC)		/* between bursts: a period */
#define HOGS	4
#define CASE(name)	TEST_F_TIMEOUT(credit, name, 240)

FIXTURE(credit) {
	struct bursts *bursts;
	int cpu;
};

FIXTURE_SETUP(credit)
{
	const char *why = load_init();

	if (why)
		SKIP(return, "%s", why);
	self->cpu = busy_cpu(0);
	self->bursts = shared(sizeof(*self->bursts));
	self->bursts->gap = GAP;
	self->bursts->run = RUN;
	self->bursts->rounds = 7;
	self->bursts->attr = burst_attr(Q, T, 0);
	ASSERT_EQ(0, start_hogs(NULL, self->cpu, HOGS, NULL));
}

FIXTURE_TEARDOWN(credit)
{
	load_end();
}

/* The positive control of all that follows: without a declaration it waits. */
CASE(undeclared_waits)
{
	self->bursts->attr.flags = 0;
	EXPECT_LT(RUN, run_bursts(NULL, self->cpu, self->bursts));
}

CASE(runs_at_once)
{
	EXPECT_GT(RUN / 2, run_bursts(NULL, self->cpu, self->bursts));
}

/*
 * More than the credit in one go, in a period that does not end meanwhile.  What
 * lies between the parts is more than the rest of the credit, and a late tick.
 */
static void beyond_the_credit(void *arg)
{
	struct bursts *b = arg;
	int round = b->done;

	b->error |= attr_set(0, &b->attr);
	nap(20 * MSEC);
	b->span[round] = spin(RUN);
	spin(Q);
	b[1].span[round] = work(RUN);
	b->done++;
}

CASE(demoted_after)
{
	struct bursts *b = shared(2 * sizeof(*b));

	b->attr = burst_attr(Q, 10 * SEC, 0);
	b[0].rounds = 5;
	b[1].rounds = 5;
	for (int i = 0; i < b->rounds; i++) {
		ASSERT_LT(0, start(NULL, self->cpu, beyond_the_credit, b));
		ASSERT_TRUE(reaches(&b->done, i + 1, 60 * SEC));
	}
	ASSERT_EQ(0, b->error);
	TH_LOG("waited %llu us, after the credit %llu us", median_wait(&b[0]) / 1000,
	       median_wait(&b[1]) / 1000);
	EXPECT_GT(RUN / 2, median_wait(&b[0]));
	EXPECT_LT(RUN, median_wait(&b[1]));
}

/* Every round has a new credit: not one of them waits like an ordinary task. */
CASE(new_credit_each_period)
{
	int late = 0;

	self->bursts->rounds = 12;
	ASSERT_NE(UINT64_MAX, run_bursts(NULL, self->cpu, self->bursts));
	for (int i = 0; i < 12; i++)
		late += self->bursts->span[i].wait > RUN;
	/* Some may have met with a host that was busy elsewhere. */
	EXPECT_GE(3, late);
}

/* In pieces: what is left after a burst is there for the next. */
static void in_pieces(void *arg)
{
	struct bursts *b = arg;

	for (int i = 0; i < 3; i++) {
		spin(b->run);
		nap(5 * MSEC);
	}
}

CASE(rest_is_kept)
{
	self->bursts->each = in_pieces;
	EXPECT_GT(RUN / 2, run_bursts(NULL, self->cpu, self->bursts));
}

/*
 * Where nobody waits nobody loses: no credit is used, however long it runs.  A thread
 * of the kernel that wakes there waits until the credit is used up, hence a small one,
 * and some rounds, of which the best counts: where credit is used alone, and work()
 * lasts for twice as long without the host, none is left in any.
 */
#define SMALL	(20 * MSEC)

static void alone(void *arg)
{
	struct bursts *b = arg;

	b->error = attr_set(0, &b->attr);
	work(2 * SMALL);
	b->done = 1;
	pause();
}

CASE(free_while_nobody_waits)
{
	struct bursts *b = self->bursts;
	s64 left = 0;

	b->attr = burst_attr(SMALL, 10 * SEC, 0);
	for (int i = 0; i < 20 && left <= (s64)SMALL / 2; i++) {
		/* A thread of the kernel may be busy on one of them. */
		int cpu = busy_cpu(i % (nr_cpus() - 1));
		s64 tokens;
		pid_t pid;

		b->done = 0;
		pid = start(NULL, cpu, alone, b);
		ASSERT_LT(0, pid);
		ASSERT_TRUE(reaches(&b->done, 1, 20 * SEC));
		ASSERT_EQ(0, b->error);
		tokens = agent_counter(pid, "tokens");
		if (tokens > left)
			left = tokens;
		stop(pid);
	}
	TH_LOG("%lld us of its credit are left", left / 1000);
	EXPECT_LT((s64)SMALL / 2, left);
}

/* ---- its own counters ---- */

CASE(counters_of_the_declaration)
{
	EXPECT_EQ(0, agent_counter(0, "runtime"));
	ASSERT_EQ(0, declare(0, Q, T, -7));
	EXPECT_EQ(Q, agent_counter(0, "runtime"));
	EXPECT_EQ(T, agent_counter(0, "period"));
	EXPECT_EQ(-7, agent_counter(0, "nice"));
	ASSERT_EQ(0, withdraw(0));
	EXPECT_EQ(0, agent_counter(0, "runtime"));
}

static void wait_at_the_end(void *arg)
{
	burster(arg);
	pause();
}

/*
 * Bursts within the credit: a stint each or more, and time in the lane as long as
 * they ran.  The host may make one of them longer than its credit.
 */
CASE(counters_of_bursts)
{
	struct bursts *b = self->bursts;
	s64 lane;
	pid_t pid;

	b->rounds = 5;
	pid = start(NULL, self->cpu, wait_at_the_end, b);
	ASSERT_LT(0, pid);
	ASSERT_TRUE(wait_rounds(b, 60 * SEC));
	nap(50 * MSEC);
	lane = agent_counter(pid, "lane_time");
	TH_LOG("%lld us in the lane in %lld stints", lane / 1000, agent_counter(pid, "stints"));
	EXPECT_LE(5, agent_counter(pid, "stints"));
	EXPECT_LE(5 * RUN * 3 / 4, (u64)lane);
	EXPECT_GE(1, agent_counter(pid, "demoted"));
	EXPECT_GT(Q, (u64)agent_counter(pid, "tokens"));
}

static void spin_for_ever(void *arg)
{
	struct bursts *b = arg;

	b->error = attr_set(0, &b->attr);
	hog(NULL);
}

/*
 * Who runs all the time is demoted once a period, and has had a credit of the lane
 * in each.  A tick may come late, by as much as the host likes to halt the CPU, so
 * the bound is twice the credit.
 */
CASE(counters_of_who_never_sleeps)
{
	struct bursts *b = self->bursts;
	s64 lane, demoted;
	u64 begin;
	int periods;
	pid_t pid;

	begin = now();
	pid = start(NULL, self->cpu, spin_for_ever, b);
	ASSERT_LT(0, pid);
	nap(10 * T);
	lane = agent_counter(pid, "lane_time");
	demoted = agent_counter(pid, "demoted");
	periods = (now() - begin) / T + 1;
	ASSERT_EQ(0, b->error);
	TH_LOG("%lld us in the lane and %lld demotions in %d periods", lane / 1000,
	       demoted, periods);
	EXPECT_LE(2, demoted);
	EXPECT_GE(periods, demoted);
	EXPECT_GE(2 * Q * periods, (u64)lane);
}

/*
 * A credit below a tick: a stint lasts for a tick, and what that is too much is paid
 * back by later periods.  So who never sleeps has a stint in every second period at
 * most.  What is counted are stints: the host can only make them fewer.
 */
CASE(small_credit_is_paid_back)
{
	const u64 small = 100 * USEC, period = 100 * MSEC;
	struct bursts *b = self->bursts;
	s64 stints, periods;
	u64 begin;
	pid_t pid;

	b->attr = burst_attr(small, period, 0);
	begin = now();
	pid = start(NULL, self->cpu, spin_for_ever, b);
	ASSERT_LT(0, pid);
	nap(50 * period);
	stints = agent_counter(pid, "stints");
	periods = (now() - begin) / period;
	ASSERT_EQ(0, b->error);
	TH_LOG("%lld stints in %lld periods", stints, periods);
	EXPECT_LT(0, stints);
	EXPECT_GE(periods * 2 / 3, stints);
}

TEST_HARNESS_MAIN
