// SPDX-License-Identifier: GPL-2.0
/*
 * Tasks to which something is done while they are in the lane, or ought not to be:
 * declared by others, moved, throttled, stopped, killed.  Each goes on afterwards,
 * the lanes add up, and the kernel has nothing to say.
 */
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "../../kselftest_harness.h"
#include "load.h"

#define Q	CREDIT
#define T	(200 * MSEC)

FIXTURE(moves) {
	int klog, cpu;
};

FIXTURE_SETUP(moves)
{
	const char *why = load_init();

	if (why)
		SKIP(return, "%s", why);
	ASSERT_EQ(0, set_budget(BUDGET_USUAL));
	self->cpu = busy_cpu(0);
	self->klog = klog_open();
	ASSERT_LE(0, self->klog);
}

FIXTURE_TEARDOWN(moves)
{
	load_end();
}

#define EXPECT_QUIET() do {						\
	const char *_bad = complaint(self->klog);			\
									\
	EXPECT_EQ(NULL, _bad) {						\
		TH_LOG("the kernel says: %s", _bad);			\
	}								\
} while (0)

struct count {
	atomic_ulong n;
	struct attr attr;
};

static void counting(void *arg)
{
	struct count *count = arg;

	if (count->attr.flags)
		attr_set(0, &count->attr);
	for (;;)
		count->n++;
}

/* Wakes up at any moment between two ticks. */
static void dozing(void *arg)
{
	struct count *count = arg;

	attr_set(0, &count->attr);
	for (;;) {
		spin(100 * 1000);
		nap((100 + count->n++ * 37 % 500) * 1000);
	}
}

static bool moves_on(struct count *count)
{
	unsigned long n = count->n;

	for (int i = 0; i < 1000; i++) {
		nap(10 * MSEC);
		if (count->n != n)
			return true;
	}
	return false;
}

/*
 * A task whose group is throttled is off the queue, but not asleep.  Declared then,
 * and moved to another CPU or group, it must be let into no lane that it is not
 * taken out of.
 */
TEST_F_TIMEOUT(moves, declared_while_throttled, 180)
{
	struct count *counts = shared(4 * sizeof(*counts));
	char *group = make_group(NULL, "limbo"), *other = make_group(NULL, "limbo2");
	pid_t pids[4];

	ASSERT_NE(NULL, group);
	ASSERT_NE(NULL, other);
	ASSERT_EQ(0, write_group(group, "cpu.max", "1000 200000"));
	ASSERT_EQ(0, write_group(other, "cpu.max", "1000 200000"));
	/* On its CPU a burst that never sleeps is first in the lane. */
	ASSERT_EQ(0, start_hogs(NULL, self->cpu, 1, NULL));
	for (int i = 0; i < 4; i++) {
		pids[i] = start(group, self->cpu, counting, &counts[i]);
		ASSERT_LT(0, pids[i]);
	}
	nap(300 * MSEC);
	for (int round = 0; round < 40; round++) {
		for (int i = 0; i < 4; i++) {
			EXPECT_EQ(0, declare(pids[i], Q, T, 5));
			switch ((round + i) % 4) {
			case 0:
				EXPECT_EQ(0, pin(pids[i], busy_cpu(round % 3)));
				break;
			case 1:
				EXPECT_EQ(0, move_to(round % 2 ? group : other, pids[i]));
				break;
			case 2:
				EXPECT_EQ(0, withdraw(pids[i]));
				break;
			case 3:
				EXPECT_EQ(0, setpriority(PRIO_PROCESS, pids[i], round % 10));
				break;
			}
		}
		nap(7 * MSEC);
	}
	EXPECT_LT(0, read_group(group, "cpu.stat", "nr_throttled "));
	ASSERT_EQ(0, write_group(group, "cpu.max", "max"));
	ASSERT_EQ(0, write_group(other, "cpu.max", "max"));
	for (int i = 0; i < 4; i++)
		EXPECT_TRUE(moves_on(&counts[i]));
	EXPECT_QUIET();
}

/*
 * A burst that is throttled leaves the queue on its way to user space and still runs
 * for a moment.  The tick that comes just then must not let it into the lane: others
 * are first there, and meanwhile it is moved to another CPU.  A quota of 1 ms in 2
 * makes such moments as many as can be.
 */
TEST_F_TIMEOUT(moves, throttled_at_the_tick, 300)
{
	enum { LIMITED = 4, FREE = 2 };
	struct count *counts = shared((LIMITED + FREE) * sizeof(*counts));
	char *group = make_group(NULL, "limited"), *free = make_group(NULL, "free");
	const char *bad = NULL;
	pid_t pids[LIMITED + FREE];
	u64 end;

	ASSERT_NE(NULL, group);
	ASSERT_NE(NULL, free);
	ASSERT_EQ(0, set_budget(BUDGET_MOST));
	ASSERT_EQ(0, write_group(group, "cpu.max", "1000 2000"));
	ASSERT_EQ(0, start_hogs(NULL, self->cpu, 1, NULL));
	for (int i = 0; i < LIMITED + FREE; i++) {
		counts[i].attr = burst_attr(CREDIT, T, 0);
		if (i < LIMITED)
			pids[i] = start(group, self->cpu, counting, &counts[i]);
		else
			pids[i] = start(free, self->cpu, dozing, &counts[i]);
		ASSERT_LT(0, pids[i]);
	}
	end = now() + 20 * SEC;
	for (int round = 0; !bad && now() < end; round++) {
		EXPECT_EQ(0, pin(pids[round % LIMITED], busy_cpu(round / LIMITED % 2)));
		if (round % 32 == 0)
			bad = lanes_bad();
	}
	EXPECT_EQ(NULL, bad) {
		TH_LOG("the lanes do not add up: %s", bad);
	}
	EXPECT_LT(100, read_group(group, "cpu.stat", "nr_throttled "));
	ASSERT_EQ(0, write_group(group, "cpu.max", "max"));
	for (int i = 0; i < LIMITED; i++)
		EXPECT_TRUE(moves_on(&counts[i]));
	EXPECT_QUIET();
}

/* From group to group, while they wait in the lane, and while they run in it. */
TEST_F_TIMEOUT(moves, between_groups, 180)
{
	struct bursts *b = shared(3 * sizeof(*b));
	char *groups[3], name[16];
	pid_t pids[3];

	for (int i = 0; i < 3; i++) {
		snprintf(name, sizeof(name), "group%d", i);
		groups[i] = make_group(NULL, name);
		ASSERT_NE(NULL, groups[i]);
	}
	ASSERT_EQ(0, start_hogs(NULL, self->cpu, 2, NULL));
	for (int i = 0; i < 3; i++) {
		b[i].attr = burst_attr(8 * MSEC, 20 * MSEC, 0);
		b[i].gap = MSEC;
		b[i].run = 4 * MSEC;
		b[i].rounds = ROUNDS;
		pids[i] = start(groups[i], self->cpu, burster, &b[i]);
		ASSERT_LT(0, pids[i]);
	}
	for (int round = 0; round < 60; round++) {
		for (int i = 0; i < 3; i++)
			if (b[i].done < b[i].rounds)
				move_to(groups[(round + i) % 3], pids[i]);
		nap(5 * MSEC);
	}
	for (int i = 0; i < 3; i++) {
		EXPECT_TRUE(wait_rounds(&b[i], 60 * SEC));
		EXPECT_EQ(0, b[i].error);
	}
	EXPECT_QUIET();
}

/* Declared and withdrawn by somebody else, at any moment. */
TEST_F_TIMEOUT(moves, declared_by_others, 180)
{
	struct count *counts = shared(3 * sizeof(*counts));
	pid_t pids[3];

	for (int i = 0; i < 3; i++) {
		pids[i] = start(NULL, self->cpu, counting, &counts[i]);
		ASSERT_LT(0, pids[i]);
	}
	for (int round = 0; round < 300; round++) {
		for (int i = 0; i < 3; i++) {
			int ret;

			if ((round + i) % 3)
				ret = declare(pids[i], 8 * MSEC, 20 * MSEC, i - 1);
			else
				ret = withdraw(pids[i]);
			EXPECT_EQ(0, ret);
		}
		if (round % 10 == 0)
			nap(3 * MSEC);
	}
	for (int i = 0; i < 3; i++)
		EXPECT_TRUE(moves_on(&counts[i]));
	EXPECT_QUIET();
}

/* Killed, stopped and continued in the lane and out of it. */
TEST_F_TIMEOUT(moves, stopped_and_killed, 180)
{
	struct count *counts = shared(4 * sizeof(*counts));

	ASSERT_EQ(0, start_hogs(NULL, self->cpu, 2, NULL));
	for (int round = 0; round < 25; round++) {
		pid_t pids[4];

		for (int i = 0; i < 4; i++) {
			counts[i].attr = burst_attr(8 * MSEC, 20 * MSEC, 0);
			pids[i] = start(NULL, self->cpu, counting, &counts[i]);
			ASSERT_LT(0, pids[i]);
		}
		nap(10 * MSEC);
		EXPECT_EQ(0, kill(pids[round % 4], SIGSTOP));
		nap(5 * MSEC);
		EXPECT_EQ(0, kill(pids[round % 4], SIGCONT));
		for (int i = 0; i < 4; i++)
			stop(pids[i]);
	}
	EXPECT_QUIET();
}

TEST_HARNESS_MAIN
