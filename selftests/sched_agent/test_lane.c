// SPDX-License-Identifier: GPL-2.0
/*
 * The lane: where a declared burst runs ahead of ordinary tasks, and where not.
 *
 * Ahead of hogs in the same group, across cgroups however deep, beside a group
 * that is throttled, wherever its affinity lets it.  Not where its own group may
 * not run (cpu.max), is to run last (cpu.idle), or where it has yielded.
 *
 * A burst that is ahead waits for next to nothing, one among HOGS hogs waits about
 * HOGS times what it runs: the same task without a declaration is measured in the
 * same case, and medians over rounds are compared (load.h).
 */
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../../kselftest_harness.h"
#include "load.h"

#define HOGS	8
#define Q	CREDIT
#define T	(200 * MSEC)
#define GAP	(220 * MSEC)		/* over T */
#define MANY	7			/* rounds */

static struct bursts *new_bursts(void)
{
	struct bursts *b = shared(sizeof(*b));

	b->gap = GAP;
	b->run = RUN;
	b->rounds = MANY;
	return b;
}

/* The median waits of a task in a group, without and with a declaration. */
static void compare(const char *group, int cpu, struct bursts *b, u64 *plain,
		    u64 *agent)
{
	b->attr = (struct attr){};
	*plain = run_bursts(group, cpu, b);
	b->attr = burst_attr(Q, T, 0);
	*agent = run_bursts(group, cpu, b);
}

/*
 * The expected figures are HOGS times what it runs, and about nothing.  The bounds lie
 * far from both, for a host that halts the CPU in most of the rounds.
 */
#define EXPECT_AHEAD(what, without, with) do {				\
	u64 _plain = (without), _agent = (with);			\
									\
	TH_LOG("%s: waited %llu us undeclared, %llu us declared", what,	\
	       _plain / 1000, _agent / 1000);				\
	EXPECT_NE(UINT64_MAX, _plain);					\
	EXPECT_LT(RUN, _plain);						\
	EXPECT_GT(RUN / 2, _agent);					\
} while (0)

/* ---- ahead ---- */

FIXTURE(lane) {
	struct bursts *bursts;
	int cpu;
};

FIXTURE_SETUP(lane)
{
	const char *why = load_init();

	if (why)
		SKIP(return, "%s", why);
	self->cpu = busy_cpu(0);
	self->bursts = new_bursts();
}

FIXTURE_TEARDOWN(lane)
{
	load_end();
}

#define CASE(name)	TEST_F_TIMEOUT(lane, name, 180)

/*
 * Hogs with the longest slice that there is, a tenth of a second: who does not take a
 * CPU from them waits for the end of one.  Each wake-up is a chance to meet one at the
 * beginning or at its end, hence more rounds, and a fourth.
 */
static void slow_hog(void *unused)
{
	struct attr slow = { .size = sizeof(slow), .runtime = 100 * MSEC };

	attr_set(0, &slow);
	hog(NULL);
}

CASE(preempts)
{
	struct bursts *b = self->bursts;
	u64 wait;

	for (int i = 0; i < HOGS; i++)
		ASSERT_LT(0, start(NULL, self->cpu, slow_hog, NULL));
	b->attr = burst_attr(Q, T, 0);
	b->run = RUN / 4;
	b->rounds = 13;
	wait = run_bursts(NULL, self->cpu, b);
	TH_LOG("waited %llu us", wait / 1000);
	EXPECT_GT(10 * MSEC, wait);
}

CASE(flat)
{
	u64 plain, agent;

	ASSERT_EQ(0, start_hogs(NULL, self->cpu, HOGS, NULL));
	compare(NULL, self->cpu, self->bursts, &plain, &agent);
	EXPECT_AHEAD("flat", plain, agent);
}

/* A branch of groups, and a leaf at its end. */
static char *branch(const char *top, const char *name, int depth)
{
	char *group = make_group(top, name);

	while (group && depth-- > 1)
		group = make_group(group, "below");
	return group;
}

/* As containers are: each hog and the burst in a leaf of its own, three deep. */
CASE(nested)
{
	char *top = make_group(NULL, "nested"), *group, name[16];
	u64 plain, agent;

	ASSERT_NE(NULL, top);
	for (int i = 0; i < HOGS; i++) {
		snprintf(name, sizeof(name), "hog%d", i);
		group = branch(top, name, 3);
		ASSERT_NE(NULL, group);
		ASSERT_EQ(0, start_hogs(group, self->cpu, 1, NULL));
	}
	group = branch(top, "burst", 3);
	ASSERT_NE(NULL, group);
	compare(group, self->cpu, self->bursts, &plain, &agent);
	EXPECT_AHEAD("nested", plain, agent);
}

/* The hogs in one heavy group, the burst in one that counts for nothing. */
CASE(light_group)
{
	char *hogs = make_group(NULL, "heavy"), *group = make_group(NULL, "light");
	u64 plain, agent;

	ASSERT_NE(NULL, hogs);
	ASSERT_NE(NULL, group);
	ASSERT_EQ(0, write_group(hogs, "cpu.weight", "1000"));
	ASSERT_EQ(0, write_group(group, "cpu.weight", "10"));
	ASSERT_EQ(0, start_hogs(hogs, self->cpu, HOGS, NULL));
	compare(group, self->cpu, self->bursts, &plain, &agent);
	EXPECT_AHEAD("light group", plain, agent);
}

/* Its own nice value does not matter, nor do those of the hogs. */
static void low_burst(void *arg)
{
	setpriority(PRIO_PROCESS, 0, 19);
	burster(arg);
}

CASE(own_nice_does_not_matter)
{
	struct bursts *b = self->bursts;

	ASSERT_EQ(0, start_hogs(NULL, self->cpu, HOGS, NULL));
	b->attr = burst_attr(Q, T, 0);
	ASSERT_LT(0, start(NULL, self->cpu, low_burst, b));
	ASSERT_TRUE(wait_rounds(b, 120 * SEC));
	ASSERT_EQ(0, b->error);
	EXPECT_GT(RUN / 2, median_wait(b));
}

/* A neighbour that is throttled, and is let run again, over and over. */
CASE(beside_throttled_group)
{
	char *hogs = make_group(NULL, "throttled"), *group = make_group(NULL, "burst");
	u64 plain, agent;

	ASSERT_NE(NULL, hogs);
	ASSERT_NE(NULL, group);
	ASSERT_EQ(0, write_group(hogs, "cpu.max", "2000 50000"));
	ASSERT_EQ(0, start_hogs(hogs, self->cpu, 4, NULL));
	ASSERT_EQ(0, start_hogs(NULL, self->cpu, HOGS, NULL));
	compare(group, self->cpu, self->bursts, &plain, &agent);
	EXPECT_AHEAD("beside a throttled group", plain, agent);
	EXPECT_LT(5, read_group(hogs, "cpu.stat", "nr_throttled "));
}

/*
 * Not pinned, all CPUs full of hogs: it runs at once, wherever that is.  So many busy
 * virtual CPUs on fewer of the host delay an interrupt from one to another, so only
 * half of what it waits undeclared is asked for.
 */
CASE(anywhere)
{
	u64 plain, agent;

	for (int i = 0; i < nr_cpus(); i++)
		ASSERT_EQ(0, start_hogs(NULL, busy_cpu(i), 4, NULL));
	compare(NULL, -1, self->bursts, &plain, &agent);
	TH_LOG("waited %llu us undeclared, %llu us declared", plain / 1000, agent / 1000);
	EXPECT_NE(UINT64_MAX, plain);
	EXPECT_LT(RUN, plain);
	EXPECT_GT(plain / 2, agent);
}

/* ---- held back with its group ---- */

/* When a task in a group with a quota has run what, in ns since it began. */
struct quota_run {
	struct attr attr;
	u64 half, all;
	atomic_int error, done;
};

static void run_under_quota(void *arg)
{
	struct quota_run *run = arg;
	u64 begin;

	run->error = attr_set(0, &run->attr);
	nap(20 * MSEC);
	begin = now();
	spin(30 * MSEC);
	run->half = now() - begin;
	spin(30 * MSEC);
	run->all = now() - begin;
	run->done = 1;
}

/*
 * 10 ms of quota in 200 ms, and a credit of 80 ms.  With the quota the task needs
 * three periods for the first 30 ms, and six for all.  Half of that is asked for: a
 * tick that is late lets it run into debt, which it pays with later periods.
 */
CASE(quota_holds)
{
	char *group = make_group(NULL, "quota");
	struct quota_run *run = shared(sizeof(*run));

	ASSERT_NE(NULL, group);
	ASSERT_EQ(0, write_group(group, "cpu.max", "10000 200000"));
	ASSERT_EQ(0, start_hogs(NULL, self->cpu, 2, NULL));
	run->attr = burst_attr(Q, 10 * SEC, 0);
	ASSERT_LT(0, start(group, self->cpu, run_under_quota, run));
	ASSERT_TRUE(reaches(&run->done, 1, 30 * SEC));
	ASSERT_EQ(0, run->error);
	TH_LOG("30 ms after %llu ms, 60 ms after %llu ms", run->half / MSEC, run->all / MSEC);
	EXPECT_LT(200 * MSEC, run->half);
	EXPECT_LT(500 * MSEC, run->all);
	EXPECT_LT(2, read_group(group, "cpu.stat", "nr_throttled "));
}

/*
 * A group whose quota a hog uses up: its bursts wait with it.  The bursts alone
 * want more than the group may have, so that a lane which lets them through shows
 * in what the group has used.
 */
CASE(quota_of_an_ancestor_holds)
{
	char *top = make_group(NULL, "top"), *mid, *leaf;
	struct bursts *b = self->bursts;
	u64 begin, passed;
	long usage;

	ASSERT_NE(NULL, top);
	mid = make_group(top, "mid");
	ASSERT_NE(NULL, mid);
	leaf = make_group(mid, "leaf");
	ASSERT_NE(NULL, leaf);
	ASSERT_EQ(0, write_group(top, "cpu.max", "10000 200000"));
	ASSERT_EQ(0, start_hogs(NULL, self->cpu, 2, NULL));
	ASSERT_EQ(0, start_hogs(leaf, self->cpu, 1, NULL));
	b->attr = burst_attr(Q, T, 0);
	b->gap = 10 * MSEC;
	b->rounds = ROUNDS;
	begin = now();
	usage = read_group(top, "cpu.stat", "usage_usec ");
	ASSERT_LT(0, start(leaf, self->cpu, burster, b));
	nap(4 * SEC);
	usage = read_group(top, "cpu.stat", "usage_usec ") - usage;
	passed = now() - begin;
	TH_LOG("the group ran %ld ms of %llu ms, %d bursts", usage / 1000, passed / MSEC, b->done);
	/* 0.05 is what it may have; one period more, and late ticks */
	EXPECT_GT(0.12, usage * 1e3 / passed);
	EXPECT_LT(5, read_group(top, "cpu.stat", "nr_throttled "));
}

/* cpu.idle: last among all, whatever its tasks declare. */
CASE(idle_group_stays_below)
{
	char *group = make_group(NULL, "idle");
	struct bursts *b = self->bursts;
	u64 begin, share;
	pid_t pid;

	ASSERT_NE(NULL, group);
	ASSERT_EQ(0, write_group(group, "cpu.idle", "1"));
	ASSERT_EQ(0, start_hogs(NULL, self->cpu, 2, NULL));
	/* In the lane it has its credit, half of the CPU, as the first rounds show. */
	b->attr = burst_attr(Q, T, 0);
	b->gap = 5 * MSEC;
	b->rounds = ROUNDS;
	pid = start(NULL, self->cpu, burster, b);
	ASSERT_LT(0, pid);
	ASSERT_TRUE(reaches(&b->done, 4, 30 * SEC));
	ASSERT_EQ(0, b->error);
	ASSERT_EQ(0, move_to(group, pid));
	begin = now();
	share = process_cpu(pid);
	nap(3 * SEC);
	share = (process_cpu(pid) - share) * 100 / (now() - begin);
	TH_LOG("%llu %% of the CPU", share);
	EXPECT_GT(10, share);
}

/* ---- sched_yield ---- */

static void run_and_yield(void *arg)
{
	for (int i = 0; i < 20; i++) {
		spin(RUN / 20);
		sched_yield();
	}
}

/*
 * Who yields does not come first again: it waits as it would undeclared.  A fourth
 * of that is asked for, as a tick in one of its turns lets it into the lane.
 */
CASE(yield_leaves)
{
	struct bursts *b = self->bursts;
	u64 plain, agent;

	ASSERT_EQ(0, start_hogs(NULL, self->cpu, HOGS, NULL));
	b->each = run_and_yield;
	compare(NULL, self->cpu, b, &plain, &agent);
	TH_LOG("waited %llu us undeclared, %llu us declared", plain / 1000, agent / 1000);
	EXPECT_NE(UINT64_MAX, agent);
	EXPECT_LT(RUN, plain);
	EXPECT_LT(plain / 4, agent);
}

/* Until it sleeps: the next burst is one. */
static void yield_once_before(void *arg)
{
	sched_yield();
	nap(20 * MSEC);
	spin(RUN);
}

CASE(yield_ends_with_sleep)
{
	struct bursts *b = self->bursts;

	ASSERT_EQ(0, start_hogs(NULL, self->cpu, HOGS, NULL));
	b->each = yield_once_before;
	b->attr = burst_attr(Q, T, 0);
	/* The yield costs a turn of each hog, a run among them HOGS times as long as it is. */
	EXPECT_GT(RUN * 2, run_bursts(NULL, self->cpu, b));
}

/* ---- affinity ---- */

struct seen {
	cpu_set_t allowed;
	atomic_int rounds, elsewhere;
};

static struct seen *seen;

static void look_where(void *arg)
{
	struct bursts *b = arg;

	for (int i = 0; i < 8; i++) {
		if (!CPU_ISSET(sched_getcpu(), &seen->allowed))
			seen->elsewhere++;
		spin(b->run / 8);
	}
	if (!CPU_ISSET(sched_getcpu(), &seen->allowed))
		seen->elsewhere++;
	seen->rounds++;
}

/*
 * A cpuset, with other bursts in the lane of one of its CPUs and empty lanes
 * outside: the burst goes where it may, never where the lane is empty.
 */
CASE(cpuset_holds)
{
	char *group = make_group(NULL, "cpuset"), cpus[32];
	struct bursts *b = self->bursts, *rival = new_bursts();

	ASSERT_NE(NULL, group);
	seen = shared(sizeof(*seen));
	CPU_SET(busy_cpu(0), &seen->allowed);
	CPU_SET(busy_cpu(2), &seen->allowed);
	snprintf(cpus, sizeof(cpus), "%d,%d", busy_cpu(0), busy_cpu(2));
	if (enable_cpuset(group) || write_group(group, "cpuset.cpus", cpus))
		SKIP(return, "no cpuset controller");
	for (int i = 0; i < 3; i++)
		ASSERT_EQ(0, start_hogs(NULL, busy_cpu(i), 2, NULL));
	*rival = *b;
	rival->attr = burst_attr(8 * MSEC, 20 * MSEC, 0);
	rival->gap = 7 * MSEC;
	rival->rounds = ROUNDS;
	ASSERT_LT(0, start(NULL, busy_cpu(0), burster, rival));
	b->attr = burst_attr(8 * MSEC, 20 * MSEC, 0);
	b->gap = 20 * MSEC;
	b->rounds = 40;
	b->each = look_where;
	ASSERT_NE(UINT64_MAX, run_bursts(group, -1, b));
	EXPECT_EQ(40, seen->rounds);
	EXPECT_EQ(0, seen->elsewhere);
}

/* Sent from CPU to CPU in the middle of its bursts: none is lost. */
CASE(affinity_of_a_burst_changes)
{
	struct bursts *b = self->bursts;
	pid_t pid;
	int i;

	for (i = 0; i < 3; i++)
		ASSERT_EQ(0, start_hogs(NULL, busy_cpu(i), 2, NULL));
	b->attr = burst_attr(8 * MSEC, 20 * MSEC, 0);
	b->gap = MSEC;
	b->rounds = ROUNDS;
	pid = start(NULL, busy_cpu(0), burster, b);
	ASSERT_LT(0, pid);
	for (i = 0; b->done < b->rounds && i < 30000; i++) {
		ASSERT_EQ(0, pin(pid, busy_cpu(i % 3)));
		nap(3 * MSEC);
	}
	EXPECT_EQ(b->rounds, b->done);
	EXPECT_LT(20, i);
}

/* ---- order among bursts ---- */

/* Two bursts: the first is in the middle of its run when the second wakes. */
struct duel {
	u64 begin;
	u64 wait[2][ROUNDS];
	int nice[2];
	atomic_int error, rounds[2];
};

#define LONG		(70 * MSEC)
#define LATER		(20 * MSEC)
#define DUELS		7
#define ROUND		(600 * MSEC)

static struct duel *duel;

static void duellist(int who)
{
	struct attr attr = burst_attr(100 * MSEC, 300 * MSEC, duel->nice[who]);
	struct span span;

	if (attr_set(0, &attr))
		duel->error++;
	for (int i = 0; i < DUELS; i++) {
		span_begin(&span);
		nap_until(duel->begin + i * ROUND + who * LATER);
		spin(who ? 10 * MSEC : LONG);
		span_end(&span);
		duel->wait[who][i] = span.wait;
		duel->rounds[who]++;
	}
}

static void first_duellist(void *unused)
{
	duellist(0);
}

static void second_duellist(void *unused)
{
	duellist(1);
}

static u64 median_of_duel(int who)
{
	struct bursts b = { .rounds = DUELS };

	for (int i = 0; i < DUELS; i++)
		b.span[i].wait = duel->wait[who][i];
	return median_wait(&b);
}

/* The median wait of the second, or UINT64_MAX. */
static u64 fight(int cpu, const char *group0, const char *group1, int nice0, int nice1)
{
	duel = shared(sizeof(*duel));
	duel->nice[0] = nice0;
	duel->nice[1] = nice1;
	duel->begin = now() + ROUND;
	if (start(group0, cpu, first_duellist, NULL) < 0 ||
	    start(group1, cpu, second_duellist, NULL) < 0)
		return UINT64_MAX;
	if (!reaches(&duel->rounds[0], DUELS, 30 * SEC) ||
	    !reaches(&duel->rounds[1], DUELS, 30 * SEC) || duel->error)
		return UINT64_MAX;
	return median_of_duel(1);
}

/*
 * The long one is 20 ms into its 70 ms when the other wakes: who comes second waits
 * for the remaining 50 ms, who comes first for nothing.
 */
CASE(nice_orders_a_group)
{
	u64 lower, equal, higher;

	ASSERT_EQ(0, start_hogs(NULL, self->cpu, 2, NULL));
	lower = fight(self->cpu, NULL, NULL, 5, -5);
	equal = fight(self->cpu, NULL, NULL, 0, 0);
	higher = fight(self->cpu, NULL, NULL, -5, 5);
	TH_LOG("second waits %llu us with a lower nice, %llu with the same, %llu with a higher",
	       lower / 1000, equal / 1000, higher / 1000);
	EXPECT_GT(5 * MSEC, lower);
	EXPECT_LT(20 * MSEC, equal);
	EXPECT_LT(20 * MSEC, higher);
	EXPECT_NE(UINT64_MAX, equal);
	EXPECT_NE(UINT64_MAX, higher);
}

/* Between groups it says nothing: each chooses its own. */
CASE(nice_does_not_reach_over_groups)
{
	char *one = make_group(NULL, "one"), *two = make_group(NULL, "two");
	u64 wait;

	ASSERT_NE(NULL, one);
	ASSERT_NE(NULL, two);
	ASSERT_EQ(0, start_hogs(NULL, self->cpu, 2, NULL));
	wait = fight(self->cpu, one, two, 5, -5);
	TH_LOG("second waits %llu us", wait / 1000);
	EXPECT_LT(20 * MSEC, wait);
	EXPECT_NE(UINT64_MAX, wait);
}

/* ---- priority inheritance ---- */

struct chain {
	pthread_mutex_t mutex;
	pthread_barrier_t barrier;
	atomic_int rounds, error;
	struct span span;
};

static struct chain *chain;
#define LOCKS	10

static void make_chain(void)
{
	pthread_mutexattr_t mutex;
	pthread_barrierattr_t barrier;

	chain = shared(sizeof(*chain));
	pthread_mutexattr_init(&mutex);
	pthread_mutexattr_setpshared(&mutex, PTHREAD_PROCESS_SHARED);
	pthread_mutexattr_setprotocol(&mutex, PTHREAD_PRIO_INHERIT);
	pthread_mutex_init(&chain->mutex, &mutex);
	pthread_barrierattr_init(&barrier);
	pthread_barrierattr_setpshared(&barrier, PTHREAD_PROCESS_SHARED);
	pthread_barrier_init(&chain->barrier, &barrier, 2);
}

static void batch_holder(void *unused)
{
	struct attr batch = { .size = sizeof(batch), .policy = POLICY_BATCH, .nice = 10 };

	if (attr_set(0, &batch))
		chain->error++;
	for (int i = 0; i < LOCKS; i++) {
		pthread_mutex_lock(&chain->mutex);
		pthread_barrier_wait(&chain->barrier);
		spin(2 * MSEC);
		pthread_mutex_unlock(&chain->mutex);
		pthread_barrier_wait(&chain->barrier);
	}
}

static void burst_waiter(void *unused)
{
	if (declare(0, 8 * MSEC, 20 * MSEC, 0))
		chain->error++;
	for (int i = 0; i < LOCKS; i++) {
		pthread_barrier_wait(&chain->barrier);
		if (pthread_mutex_lock(&chain->mutex))
			chain->error++;
		spin(MSEC / 2);
		pthread_mutex_unlock(&chain->mutex);
		chain->rounds++;
		pthread_barrier_wait(&chain->barrier);
	}
}

/*
 * A burst that waits for a mutex of a batch task, among hogs and with other bursts
 * in the lane: it may take long, but the holder must get its turn.
 */
CASE(mutex_of_a_batch_task)
{
	struct bursts *rival = new_bursts();

	make_chain();
	ASSERT_EQ(0, start_hogs(NULL, self->cpu, 2, NULL));
	rival->attr = burst_attr(8 * MSEC, 20 * MSEC, -5);
	rival->gap = MSEC;
	rival->rounds = ROUNDS;
	ASSERT_LT(0, start(NULL, self->cpu, burster, rival));
	ASSERT_LT(0, start(NULL, self->cpu, batch_holder, NULL));
	ASSERT_LT(0, start(NULL, self->cpu, burst_waiter, NULL));
	EXPECT_TRUE(reaches(&chain->rounds, LOCKS, 60 * SEC));
	EXPECT_EQ(0, chain->error);
}

/*
 * A burst that holds a mutex of a real-time task runs at that priority: that is
 * not the lane's doing, and uses no credit.
 */
static void burst_holder(void *unused)
{
	if (declare(0, Q, 10 * SEC, 0))
		chain->error++;
	pthread_mutex_lock(&chain->mutex);
	pthread_barrier_wait(&chain->barrier);
	/* The waiter is there now, or will be within this. */
	nap(100 * MSEC);
	spin(2 * Q);
	pthread_mutex_unlock(&chain->mutex);
	nap(400 * MSEC);
	chain->span = spin(RUN);
	chain->rounds = 1;
}

static void fifo_waiter(void *unused)
{
	struct attr fifo = { .size = sizeof(fifo), .policy = POLICY_FIFO, .priority = 5 };

	if (attr_set(0, &fifo))
		chain->error++;
	pthread_barrier_wait(&chain->barrier);
	if (pthread_mutex_lock(&chain->mutex))
		chain->error++;
	pthread_mutex_unlock(&chain->mutex);
}

CASE(boost_uses_no_credit)
{
	make_chain();
	ASSERT_EQ(0, start_hogs(NULL, self->cpu, 4, NULL));
	ASSERT_LT(0, start(NULL, self->cpu, burst_holder, NULL));
	ASSERT_LT(0, start(NULL, self->cpu, fifo_waiter, NULL));
	ASSERT_TRUE(reaches(&chain->rounds, 1, 30 * SEC));
	EXPECT_EQ(0, chain->error);
	TH_LOG("waited %llu of %llu us", chain->span.wait / 1000, chain->span.cpu / 1000);
	/* One chance only, hence all of it; without credit it waits four times as long. */
	EXPECT_GT(RUN, chain->span.wait);
}

TEST_HARNESS_MAIN
