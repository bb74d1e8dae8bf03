// SPDX-License-Identifier: GPL-2.0
/*
 * What becomes of a declaration when tasks are made and programs executed: it is
 * inherited, with the credit that is left, unless SCHED_FLAG_RESET_ON_FORK is set;
 * and no way to declare again, or to fork, gives a task more credit than it has.
 *
 * That a task has credit shows on a CPU full of hogs: with credit it hardly waits,
 * without it waits for its turn (see load.h for what a wait is).
 */
#include <errno.h>
#include <linux/sched.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../../kselftest_harness.h"
#include "cgroup_util.h"
#include "load.h"
#include "report.h"

#define Q	(5 * MSEC)
#define T	(70 * MSEC)
#define NICE	(-4)

static void get(struct attr *attr)
{
	if (attr_get(0, attr))
		memset(attr, 0, sizeof(*attr));
}

FIXTURE(inherit) {
	struct attr *seen;		/* by the child */
};

FIXTURE_SETUP(inherit)
{
	const char *why = no_agent_class();

	if (why)
		SKIP(return, "%s", why);
	self->seen = shared(sizeof(*self->seen));
	ASSERT_EQ(0, declare(0, Q, T, NICE));
}

FIXTURE_TEARDOWN(inherit)
{
	load_end();
}

#define EXPECT_INHERITED(seen_attr) do {				\
	const struct attr *_attr = (seen_attr);				\
									\
	EXPECT_TRUE(_attr->flags & SCHED_FLAG_AGENT_CLASS);		\
	EXPECT_EQ(Q, _attr->runtime);					\
	EXPECT_EQ(T, _attr->period);					\
	EXPECT_EQ(NICE, _attr->nice);					\
} while (0)

TEST_F(inherit, fork)
{
	pid_t pid = fork();

	ASSERT_LE(0, pid);
	if (!pid) {
		get(self->seen);
		_exit(0);
	}
	ASSERT_EQ(pid, waitpid(pid, NULL, 0));
	EXPECT_INHERITED(self->seen);
	EXPECT_TRUE(is_declared(0));
}

TEST_F(inherit, vfork)
{
	pid_t pid = vfork();

	ASSERT_LE(0, pid);
	if (!pid) {
		get(self->seen);
		_exit(0);
	}
	ASSERT_EQ(pid, waitpid(pid, NULL, 0));
	EXPECT_INHERITED(self->seen);
}

TEST_F(inherit, grandchild)
{
	pid_t pid = fork();

	ASSERT_LE(0, pid);
	if (!pid) {
		pid = fork();
		if (!pid)
			get(self->seen);
		else
			waitpid(pid, NULL, 0);
		_exit(0);
	}
	ASSERT_EQ(pid, waitpid(pid, NULL, 0));
	EXPECT_INHERITED(self->seen);
}

TEST_F(inherit, clone_into_cgroup)
{
	struct clone_args args = { .flags = CLONE_INTO_CGROUP, .exit_signal = SIGCHLD };
	char *group;
	pid_t pid;
	const char *why = load_init();

	if (why)
		SKIP(return, "%s", why);
	group = make_group(NULL, "clone");
	ASSERT_NE(NULL, group);
	args.cgroup = dirfd_open_opath(group);
	pid = syscall(SYS_clone3, &args, sizeof(args));
	ASSERT_LE(0, pid);
	if (!pid) {
		get(self->seen);
		_exit(0);
	}
	ASSERT_EQ(pid, waitpid(pid, NULL, 0));
	EXPECT_INHERITED(self->seen);
}

static void *see_in_thread(void *seen)
{
	get(seen);
	/* What a thread does with its own declaration is its own affair. */
	return (void *)(long)withdraw(0);
}

TEST_F(inherit, thread)
{
	pthread_t thread;
	void *ret;

	ASSERT_EQ(0, pthread_create(&thread, NULL, see_in_thread, self->seen));
	ASSERT_EQ(0, pthread_join(thread, &ret));
	EXPECT_EQ(NULL, ret);
	EXPECT_INHERITED(self->seen);
	EXPECT_TRUE(is_declared(0));
}

TEST_F(inherit, exec)
{
	struct report report = {};
	int fd[2], status;
	pid_t pid;

	ASSERT_EQ(0, pipe(fd));
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid) {
		dup2(fd[1], STDOUT_FILENO);
		execl("./report", "report", NULL);
		_exit(1);
	}
	close(fd[1]);
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	ASSERT_EQ(0, status);
	ASSERT_EQ(sizeof(report), read(fd[0], &report, sizeof(report)));
	EXPECT_INHERITED(&report.attr);
}

/* The child's end is not the parent's, nor the other way round. */
TEST_F(inherit, apart)
{
	pid_t pid = fork();

	ASSERT_LE(0, pid);
	if (!pid) {
		withdraw(0);
		get(self->seen);
		_exit(0);
	}
	ASSERT_EQ(pid, waitpid(pid, NULL, 0));
	EXPECT_FALSE(self->seen->flags & SCHED_FLAG_AGENT_CLASS);
	EXPECT_TRUE(is_declared(0));

	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid) {
		pause();
		_exit(0);
	}
	EXPECT_EQ(0, withdraw(0));
	EXPECT_TRUE(is_declared(pid));
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

TEST_F(inherit, not_from_before)
{
	pid_t pid;

	ASSERT_EQ(0, withdraw(0));
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid) {
		pause();
		_exit(0);
	}
	EXPECT_EQ(0, declare(0, Q, T, NICE));
	EXPECT_FALSE(is_declared(pid));
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

static void *see(void *seen)
{
	get(seen);
	return NULL;
}

TEST_F(inherit, reset_on_fork)
{
	struct attr attr = burst_attr(Q, T, NICE);
	pthread_t thread;
	pid_t pid;

	attr.flags |= FLAG_RESET_ON_FORK;
	ASSERT_EQ(0, attr_set(0, &attr));
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid) {
		get(self->seen);
		_exit(0);
	}
	ASSERT_EQ(pid, waitpid(pid, NULL, 0));
	EXPECT_EQ(0, self->seen->flags);
	EXPECT_EQ(0, self->seen->nice);
	EXPECT_EQ(0, self->seen->period);

	ASSERT_EQ(0, pthread_create(&thread, NULL, see, self->seen));
	ASSERT_EQ(0, pthread_join(thread, NULL));
	EXPECT_EQ(0, self->seen->flags);

	ASSERT_EQ(0, attr_get(0, self->seen));
	EXPECT_INHERITED(self->seen);
	EXPECT_TRUE(self->seen->flags & FLAG_RESET_ON_FORK);
}

/* ---- credit ---- */

/* A period that no case lives to see the end of. */
#define EVER	(10 * SEC)
#define HOGS	4
#define TIMES	3

/* What the tested processes found, the one before and the one after what is tested. */
struct parts {
	struct bursts first, second;
	atomic_int error, done;
};

FIXTURE(credit_is_one) {
	struct parts *parts;
};

/*
 * To use up a credit and then try for another; or to use a part of it, and what is
 * left after something was done.
 */
FIXTURE_VARIANT(credit_is_one) {
	void (*work)(void *parts);
	bool rest;
};

FIXTURE_SETUP(credit_is_one)
{
	const char *why = load_init();

	if (why)
		SKIP(return, "%s", why);
	self->parts = shared(sizeof(*self->parts));
	self->parts->first.rounds = TIMES;
	self->parts->second.rounds = TIMES;
	ASSERT_EQ(0, start_hogs(NULL, busy_cpu(0), HOGS, NULL));
}

FIXTURE_TEARDOWN(credit_is_one)
{
	load_end();
}

static void begin_burst(struct parts *parts)
{
	parts->error |= declare(0, CREDIT, EVER, 0);
	nap(20 * MSEC);
	parts->first.span[parts->done] = spin(RUN);
}

/* All of the credit, and a little as an ordinary task. */
static void use_up(struct parts *parts)
{
	begin_burst(parts);
	spin(CREDIT);
}

/* The wake-up from its sleep is a chance to be taken for a burst again. */
static void try_again(struct parts *parts)
{
	nap(300 * MSEC);
	parts->second.span[parts->done] = work(RUN);
	parts->done++;
}

/* With credit, it is to last. */
static void use_the_rest(struct parts *parts)
{
	nap(100 * MSEC);
	parts->second.span[parts->done] = spin(RUN);
	parts->done++;
}

static void never_again(void *arg)
{
	use_up(arg);
	try_again(arg);
}

static void redeclare(void *arg)
{
	struct parts *parts = arg;

	use_up(parts);
	for (int i = 0; i < 10; i++)
		parts->error |= declare(0, CREDIT, EVER, -i);
	try_again(parts);
}

static void withdraw_and_declare(void *arg)
{
	struct parts *parts = arg;

	use_up(parts);
	parts->error |= withdraw(0);
	parts->error |= declare(0, CREDIT, EVER, 0);
	try_again(parts);
}

static void declare_more(void *arg)
{
	struct parts *parts = arg;

	parts->error |= declare(0, CREDIT * 3 / 4, EVER, 0);
	nap(20 * MSEC);
	parts->first.span[parts->done] = spin(RUN);
	spin(CREDIT);
	parts->error |= declare(0, CREDIT, EVER, 0);
	try_again(parts);
}

static void other_policy(void *arg)
{
	struct attr batch = { .size = sizeof(batch), .policy = POLICY_BATCH };
	struct parts *parts = arg;

	use_up(parts);
	parts->error |= attr_set(0, &batch);
	parts->error |= declare(0, CREDIT, EVER, 0);
	try_again(parts);
}

static void in_child(struct parts *parts, void (*then)(struct parts *parts))
{
	pid_t pid = fork();

	if (!pid) {
		then(parts);
		_exit(0);
	}
	waitpid(pid, NULL, 0);
}

static void fork_after(void *arg)
{
	use_up(arg);
	in_child(arg, try_again);
}

static void *try_in_thread(void *parts)
{
	try_again(parts);
	return NULL;
}

static void thread_after(void *arg)
{
	pthread_t thread;

	use_up(arg);
	if (!pthread_create(&thread, NULL, try_in_thread, arg))
		pthread_join(thread, NULL);
}

/* As a runtime does before each tool call. */
static void rest_after_redeclaring(void *arg)
{
	struct parts *parts = arg;

	begin_burst(parts);
	parts->error |= declare(0, CREDIT, EVER, 0);
	use_the_rest(parts);
}

static void rest_after_withdrawing(void *arg)
{
	struct parts *parts = arg;

	begin_burst(parts);
	parts->error |= withdraw(0);
	parts->error |= declare(0, CREDIT, EVER, 0);
	use_the_rest(parts);
}

static void rest_in_child(void *arg)
{
	begin_burst(arg);
	in_child(arg, use_the_rest);
}

FIXTURE_VARIANT_ADD(credit_is_one, for_a_period) { never_again, false };
FIXTURE_VARIANT_ADD(credit_is_one, declared_again) { redeclare, false };
FIXTURE_VARIANT_ADD(credit_is_one, withdrawn_and_declared) { withdraw_and_declare, false };
FIXTURE_VARIANT_ADD(credit_is_one, declared_larger) { declare_more, false };
FIXTURE_VARIANT_ADD(credit_is_one, other_policy) { other_policy, false };
FIXTURE_VARIANT_ADD(credit_is_one, child) { fork_after, false };
FIXTURE_VARIANT_ADD(credit_is_one, thread) { thread_after, false };
FIXTURE_VARIANT_ADD(credit_is_one, rest_redeclared) { rest_after_redeclaring, true };
FIXTURE_VARIANT_ADD(credit_is_one, rest_withdrawn) { rest_after_withdrawing, true };
FIXTURE_VARIANT_ADD(credit_is_one, rest_of_child) { rest_in_child, true };

/*
 * With credit a task waits for next to nothing, without it for HOGS times what it
 * runs: half of RUN, and all of it, tell the two from each other.  Each time it is a
 * process of its own, whose period outlives it.
 */
TEST_F_TIMEOUT(credit_is_one, waits, 180)
{
	struct parts *parts = self->parts;
	u64 first, second;

	for (int i = 0; i < TIMES; i++) {
		ASSERT_LT(0, start(NULL, busy_cpu(0), variant->work, parts));
		ASSERT_TRUE(reaches(&parts->done, i + 1, 50 * SEC));
	}
	ASSERT_EQ(0, parts->error);
	first = median_wait(&parts->first);
	second = median_wait(&parts->second);
	TH_LOG("waited %llu us, then %llu us", first / 1000, second / 1000);
	EXPECT_GT(RUN / 2, first);
	EXPECT_TRUE(variant->rest ? second < RUN / 2 : second > RUN);
}

TEST_HARNESS_MAIN
