// SPDX-License-Identifier: GPL-2.0
/*
 * CPUs go and come back while bursts run on them: no burst is lost, none loses its
 * declaration, and the lanes add up.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../../kselftest_harness.h"
#include "load.h"

#define BURSTS	24
#define CYCLES	16

struct worker {
	struct attr attr;
	atomic_ulong rounds;
	atomic_int error;
};

static void burst_for_ever(void *arg)
{
	struct worker *worker = arg;

	if (attr_set(0, &worker->attr))
		worker->error = 1;
	for (;;) {
		spin(2 * MSEC);
		nap(3 * MSEC);
		worker->rounds++;
	}
}

static int set_online(int cpu, bool online)
{
	char path[64];
	int fd, ret = 0;

	snprintf(path, sizeof(path), "/sys/devices/system/cpu/cpu%d/online", cpu);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	/* Somebody else may hold the CPUs for a moment. */
	for (int i = 0; i < 50; i++) {
		ret = write(fd, online ? "1" : "0", 1) == 1 ? 0 : -errno;
		if (ret != -EBUSY)
			break;
		nap(20 * MSEC);
	}
	close(fd);
	return ret;
}

FIXTURE(hotplug) {
	struct worker *workers;
	pid_t pids[BURSTS];
	int klog;
};

FIXTURE_SETUP(hotplug)
{
	const char *why = load_init();

	if (why)
		SKIP(return, "%s", why);
	ASSERT_EQ(0, set_budget(BUDGET_USUAL));
	if (set_online(busy_cpu(0), true))
		SKIP(return, "CPUs cannot be taken offline");
	self->klog = klog_open();
	ASSERT_LE(0, self->klog);
	self->workers = shared(BURSTS * sizeof(*self->workers));
}

FIXTURE_TEARDOWN(hotplug)
{
	for (int i = 0; i < nr_cpus() - 1; i++)
		set_online(busy_cpu(i), true);
	load_end();
}

/* Half of them are pinned: those lose their CPU, and their affinity with it. */
static int start_workers(struct worker *workers, pid_t *pids)
{
	for (int i = 0; i < BURSTS; i++) {
		struct worker *worker = &workers[i];

		worker->attr = burst_attr(8 * MSEC, 20 * MSEC, i % 5);
		pids[i] = start(NULL, i % 2 ? busy_cpu(i % (nr_cpus() - 1)) : -1,
				burst_for_ever, worker);
		if (pids[i] < 0)
			return -1;
	}
	return 0;
}

TEST_F_TIMEOUT(hotplug, bursts_go_on, 300)
{
	unsigned long before[BURSTS];
	const char *bad;
	bool moved;

	ASSERT_EQ(0, start_workers(self->workers, self->pids));
	for (int i = 0; i < nr_cpus(); i++)
		ASSERT_EQ(0, start_hogs(NULL, busy_cpu(i), 1, NULL));
	nap(200 * MSEC);
	for (int cycle = 0; cycle < CYCLES; cycle++) {
		int cpu = busy_cpu(cycle % (nr_cpus() - 1));
		int other = busy_cpu((cycle + 2) % (nr_cpus() - 1));

		ASSERT_EQ(0, set_online(cpu, false));
		ASSERT_EQ(0, set_online(other, false));
		nap(30 * MSEC);
		ASSERT_EQ(0, set_online(cpu, true));
		ASSERT_EQ(0, set_online(other, true));
	}
	for (int i = 0; i < BURSTS; i++)
		before[i] = self->workers[i].rounds;
	/* Long: emulated CPUs that have all come back at once have much to do. */
	for (int round = 0; round < 3000; round++) {
		moved = true;
		for (int i = 0; i < BURSTS; i++)
			moved = moved && self->workers[i].rounds > before[i];
		if (moved)
			break;
		nap(10 * MSEC);
	}
	for (int i = 0; i < BURSTS; i++) {
		EXPECT_LT(before[i], self->workers[i].rounds) {
			TH_LOG("worker %d stands still", i);
		}
		EXPECT_EQ(0, self->workers[i].error);
		EXPECT_TRUE(is_declared(self->pids[i]));
	}
	bad = complaint(self->klog);
	EXPECT_EQ(NULL, bad)
		TH_LOG("the kernel says: %s", bad);
}

/* A CPU that has come back has a lane like any other. */
TEST_F_TIMEOUT(hotplug, lane_comes_back, 180)
{
	struct bursts *b = shared(sizeof(*b));
	int cpu = busy_cpu(0);
	u64 plain, agent;

	ASSERT_EQ(0, set_online(cpu, false));
	ASSERT_EQ(0, set_online(cpu, true));
	ASSERT_EQ(0, start_hogs(NULL, cpu, 6, NULL));
	b->gap = 220 * MSEC;
	b->run = RUN;
	b->rounds = 7;
	plain = run_bursts(NULL, cpu, b);
	b->attr = burst_attr(CREDIT, 200 * MSEC, 0);
	agent = run_bursts(NULL, cpu, b);
	TH_LOG("waited %llu us undeclared, %llu us declared", plain / 1000, agent / 1000);
	EXPECT_LT(RUN, plain);
	EXPECT_GT(RUN / 2, agent);
}

TEST_HARNESS_MAIN
