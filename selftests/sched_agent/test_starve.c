// SPDX-License-Identifier: GPL-2.0
/*
 * What others lose to bursts is bounded, whatever the bursts do.
 *
 * To EEVDF a stint in the lane is stolen time.  So where a task waits at most L
 * without the class, it waits at most (L + 2B)/(1 - B/P) with it, and a tick.  And
 * all that declared tasks run is taken from the budget, so that hogs keep what they
 * had, or 1 - B/P if they had more.  B and P are the budget of each CPU.
 * The victim sleeps 300 ms and runs 1 ms, which is what suffers most from debts that
 * are kept.  L, and what the hogs had, are measured in the same run, with the same
 * tasks doing the same without a declaration.
 *
 * Each attack pins its tasks to the victim's CPU, wants far more of the lane than
 * there is, and tries one way to get it.
 */
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../../kselftest_harness.h"
#include "load.h"

#define B		BUDGET_USUAL
#define P		BUDGET_PERIOD
#define HOGS		8
#define GREEDY		4
#define VICTIM_ROUNDS	12
#define TICK		(10 * MSEC)	/* of the slowest HZ */

/* Half of a CPU each: four want twice what there is, six times the budget. */
static const struct attr greedy_attr = {
	.size = sizeof(greedy_attr),
	.flags = SCHED_FLAG_AGENT_CLASS,
	.runtime = 100 * MSEC,
	.period = 200 * MSEC,
};

/* What an attack shares with its tasks. */
struct attack {
	bool declared;
	char *others;		/* the group of hogs and victim */
	char *home, *away;	/* the attackers', away for those that move */
	char *own[GREEDY];	/* those of attackers that are tenants of their own */
	int baton[GREEDY][2];	/* pipes: who may read runs next */
	atomic_int next;
	atomic_int error;
};

static void declare_greedily(struct attack *attack)
{
	struct attr attr = { .size = sizeof(attr) };

	/* Undeclared it makes the same call, which is not without effect on EEVDF. */
	if (attack->declared)
		attr = greedy_attr;
	if (attr_set(0, &attr))
		attack->error++;
}

/* Long bursts with short gaps: each wake-up asks for the lane. */
static void sleepy(void *arg)
{
	declare_greedily(arg);
	for (;;) {
		spin(60 * MSEC);
		nap(MSEC);
	}
}

/* Never sleeps: the tick lets it into the lane. */
static void restless(void *arg)
{
	declare_greedily(arg);
	hog(NULL);
}

/* Declares again and again, for new credit and a place in the lane. */
static void rearming(void *arg)
{
	for (;;) {
		withdraw(0);
		declare_greedily(arg);
		spin(10 * MSEC);
	}
}

/* Hops between two groups, for a share that nothing was taken from. */
static void hopping(void *arg)
{
	struct attack *attack = arg;

	declare_greedily(arg);
	for (int i = 0;; i++) {
		if (move_to(i % 2 ? attack->home : attack->away, 0))
			attack->error++;
		spin(20 * MSEC);
		nap(MSEC);
	}
}

/* Tenants that take turns: none has the share of one that competes with others. */
static void turning(void *arg)
{
	struct attack *attack = arg;
	int me = attack->next++;
	char baton = 0;

	declare_greedily(arg);
	for (;;) {
		if (me || baton) {
			if (read(attack->baton[me][0], &baton, 1) != 1)
				attack->error++;
		}
		baton = 1;
		spin(20 * MSEC);
		if (write(attack->baton[(me + 1) % GREEDY][1], &baton, 1) != 1)
			attack->error++;
	}
}

/* Each child inherits the declaration; each lives for a burst. */
static void forking(void *arg)
{
	declare_greedily(arg);
	for (;;) {
		pid_t pid = fork();

		if (!pid) {
			prctl(PR_SET_PDEATHSIG, SIGKILL);
			spin(20 * MSEC);
			_exit(0);
		}
		waitpid(pid, NULL, 0);
	}
}

static void *spin_on(void *unused)
{
	for (;;) {
		spin(20 * MSEC);
		nap(MSEC);
	}
	return NULL;
}

static void threads(void *arg)
{
	pthread_t thread;

	declare_greedily(arg);
	for (int i = 0; i < 8; i++)
		pthread_create(&thread, NULL, spin_on, NULL);
	spin_on(NULL);
}

/* Out of the lane and into it at every moment. */
static void yielding(void *arg)
{
	declare_greedily(arg);
	for (;;) {
		spin(5 * MSEC);
		sched_yield();
	}
}

FIXTURE(starve) {
	struct attack *attack;
	struct bursts *victim;
	int cpu;
};

/*
 * Attackers in a group beside that of hogs and victim: how many tasks an attack makes
 * changes nothing for the others under EEVDF.  Or all in one group, where a debt that
 * attackers are left with would hold the victim back.
 */
FIXTURE_VARIANT(starve) {
	void (*work)(void *attack);
	bool one_group;
	bool many_groups;
};

FIXTURE_VARIANT_ADD(starve, sleepy) { sleepy, false };
FIXTURE_VARIANT_ADD(starve, sleepy_in_group) { sleepy, true };
FIXTURE_VARIANT_ADD(starve, restless) { restless, false };
FIXTURE_VARIANT_ADD(starve, restless_in_group) { restless, true };
FIXTURE_VARIANT_ADD(starve, rearming) { rearming, false };
FIXTURE_VARIANT_ADD(starve, hopping) { hopping, false };
FIXTURE_VARIANT_ADD(starve, turning) { turning, false, true };
FIXTURE_VARIANT_ADD(starve, forking) { forking, false };
FIXTURE_VARIANT_ADD(starve, threads) { threads, false };
FIXTURE_VARIANT_ADD(starve, yielding) { yielding, false };

FIXTURE_SETUP(starve)
{
	const char *why = load_init();
	char *attackers;

	if (why)
		SKIP(return, "%s", why);
	ASSERT_EQ(0, set_budget(B));
	self->cpu = busy_cpu(0);
	self->attack = shared(sizeof(*self->attack));
	self->victim = shared(sizeof(*self->victim));
	self->attack->others = make_group(NULL, "others");
	ASSERT_NE(NULL, self->attack->others);
	if (variant->one_group) {
		self->attack->home = self->attack->others;
		return;
	}
	attackers = make_group(NULL, "attackers");
	ASSERT_NE(NULL, attackers);
	self->attack->home = make_group(attackers, "home");
	self->attack->away = make_group(attackers, "away");
	ASSERT_NE(NULL, self->attack->home);
	ASSERT_NE(NULL, self->attack->away);
	for (int i = 0; variant->many_groups && i < GREEDY; i++) {
		char name[] = "tenant0";

		name[6] += i;
		self->attack->own[i] = make_group(NULL, name);
		ASSERT_NE(NULL, self->attack->own[i]);
	}
}

FIXTURE_TEARDOWN(starve)
{
	load_end();
}

/* What the victim and the hogs got beside the attack. */
struct outcome {
	u64 wait;		/* all rounds but the worst */
	u64 longest;
	u64 hogs;		/* what they ran, percent of the CPU */
	bool whole;		/* the victim did all its rounds */
};

/* One round may have met with a host that was busy elsewhere. */
static u64 second_longest(const struct bursts *b)
{
	u64 longest = 0, second = 0;

	for (int i = 0; i < b->rounds; i++) {
		u64 wait = b->span[i].wait;

		if (wait > longest) {
			second = longest;
			longest = wait;
		} else if (wait > second) {
			second = wait;
		}
	}
	return second;
}

/* Who was killed may have left a baton behind: two would run at once. */
static int renew_batons(struct attack *attack)
{
	int error = 0;

	for (int i = 0; i < GREEDY; i++) {
		if (attack->baton[i][0]) {
			close(attack->baton[i][0]);
			close(attack->baton[i][1]);
		}
		error |= pipe(attack->baton[i]);
	}
	attack->next = 0;
	return error;
}

static struct outcome suffer(struct attack *attack, struct bursts *victim, int cpu,
			     void (*work)(void *attack), bool declared)
{
	struct outcome outcome = {};
	pid_t hogs[HOGS], greedy[GREEDY], pid;
	u64 begin, before = 0, after = 0;

	attack->declared = declared;
	if (renew_batons(attack) || start_hogs(attack->others, cpu, HOGS, hogs))
		return outcome;
	for (int i = 0; i < GREEDY; i++) {
		greedy[i] = start(attack->own[i] ?: attack->home, cpu, work, attack);
		if (greedy[i] < 0)
			return outcome;
	}
	nap(SEC);	/* all credit and budget that was saved is gone */

	victim->gap = 300 * MSEC;
	victim->run = MSEC;
	victim->rounds = VICTIM_ROUNDS;
	victim->done = 0;
	for (int i = 0; i < HOGS; i++)
		before += process_cpu(hogs[i]);
	begin = now();
	pid = start(attack->others, cpu, burster, victim);
	/* Ten times what it needs where each wait is a whole period. */
	outcome.whole = wait_rounds(victim, 10 * VICTIM_ROUNDS * SEC);
	for (int i = 0; i < HOGS; i++)
		after += process_cpu(hogs[i]);
	outcome.hogs = (after - before) * 100 / (now() - begin);
	stop(pid);
	for (int i = 0; i < GREEDY; i++)
		stop(greedy[i]);
	for (int i = 0; i < HOGS; i++)
		stop(hogs[i]);
	outcome.wait = second_longest(victim);
	outcome.longest = longest_wait(victim);
	return outcome;
}

/*
 * The two measurements follow each other, and a host that is busier in the second than
 * in the first makes all waits longer.  So who is over a bound is measured again: where
 * bursts starve others they do so each time.
 */
#define TRIES	3

TEST_F_TIMEOUT(starve, bound, 900)
{
	bool held = false;

	for (int try = 0; try < TRIES && !held; try++) {
		struct outcome plain, attacked;
		u64 bound, left;

		plain = suffer(self->attack, self->victim, self->cpu, variant->work, false);
		ASSERT_TRUE(plain.whole);
		attacked = suffer(self->attack, self->victim, self->cpu, variant->work, true);
		ASSERT_EQ(0, self->attack->error);
		bound = (plain.longest + 2 * B) * P / (P - B) + TICK;
		left = 100 * (P - B) / P;
		if (left > plain.hogs)
			left = plain.hogs;
		TH_LOG("victim waits %llu ms undeclared, %llu (%llu) ms attacked, bound %llu ms",
		       plain.longest / MSEC, attacked.wait / MSEC, attacked.longest / MSEC,
		       bound / MSEC);
		TH_LOG("hogs had %llu %% of the CPU, have %llu %%, must have %llu %%", plain.hogs,
		       attacked.hogs, left);
		/* A seventh less for late ticks, and for what of the budget was saved at first. */
		held = attacked.whole && attacked.wait <= bound && attacked.hogs >= left * 6 / 7;
	}
	EXPECT_TRUE(held);
}

/* ---- tenants ---- */

/*
 * An honest burst now and then, in a group of its own, beside a tenant that takes
 * all it can get: the honest one is to come through.
 */
FIXTURE(tenants) {
	struct attack *attack;
	struct bursts *honest;
	int cpu;
};

FIXTURE_VARIANT(tenants) {
	void (*work)(void *attack);
	int count;
};

FIXTURE_VARIANT_ADD(tenants, sleepy) { sleepy, 8 };
FIXTURE_VARIANT_ADD(tenants, restless) { restless, 8 };
FIXTURE_VARIANT_ADD(tenants, forking) { forking, 8 };
FIXTURE_VARIANT_ADD(tenants, rearming) { rearming, 4 };

FIXTURE_SETUP(tenants)
{
	const char *why = load_init();

	if (why)
		SKIP(return, "%s", why);
	ASSERT_EQ(0, set_budget(B));
	self->cpu = busy_cpu(0);
	self->attack = shared(sizeof(*self->attack));
	self->attack->declared = true;
	self->attack->home = make_group(NULL, "greedy");
	ASSERT_NE(NULL, self->attack->home);
	self->honest = shared(sizeof(*self->honest));
	self->honest->gap = 400 * MSEC;
	self->honest->run = 40 * MSEC;
	self->honest->rounds = 12;
}

FIXTURE_TEARDOWN(tenants)
{
	load_end();
}

/*
 * Twice what it runs: what a burst of the other tenant may still have to run is part
 * of it, as under a real-time policy.  Undeclared it waits for hogs and all.
 */
TEST_F_TIMEOUT(tenants, honest_burst, 300)
{
	char *group = make_group(NULL, "honest"), *hogs = make_group(NULL, "hogs");
	u64 plain, agent;

	ASSERT_NE(NULL, group);
	ASSERT_NE(NULL, hogs);
	ASSERT_EQ(0, start_hogs(hogs, self->cpu, HOGS, NULL));
	for (int i = 0; i < variant->count; i++)
		ASSERT_LT(0, start(self->attack->home, self->cpu, variant->work, self->attack));
	nap(3 * SEC);
	ASSERT_EQ(0, self->attack->error);
	plain = run_bursts(group, self->cpu, self->honest);
	self->honest->attr = burst_attr(CREDIT, 400 * MSEC, 0);
	agent = run_bursts(group, self->cpu, self->honest);
	TH_LOG("honest burst waits %llu us undeclared, %llu us declared",
	       plain / 1000, agent / 1000);
	EXPECT_NE(UINT64_MAX, plain);
	EXPECT_GT(2 * self->honest->run, agent);
}

TEST_HARNESS_MAIN
