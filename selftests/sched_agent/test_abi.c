// SPDX-License-Identifier: GPL-2.0
/*
 * The interface of the agent class: what sched_setattr(2) takes with
 * SCHED_FLAG_AGENT_CLASS, what it refuses with which errno, what
 * sched_getattr(2) then says, and which calls end a declaration.
 *
 * Runs as root, so nothing here is refused for want of privileges (test_perm),
 * and nothing is timed.
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
#include "agent.h"
#include "report.h"

#define Q	(5 * MSEC)
#define T	(70 * MSEC)
#define NICE	(-4)
#define OWN_NICE	3
#define SLICE	(2 * MSEC)	/* of the task itself */

FIXTURE(abi) {
	struct attr attr;	/* good; each case spoils it in one way */
};

FIXTURE_SETUP(abi)
{
	struct attr own = { .size = sizeof(own), .nice = OWN_NICE, .runtime = SLICE };
	const char *why = no_agent_class();

	if (why)
		SKIP(return, "%s", why);
	self->attr = burst_attr(Q, T, NICE);
	/* A nice value and a slice that no default can be taken for. */
	ASSERT_EQ(0, attr_set(0, &own));
}

FIXTURE_TEARDOWN(abi)
{
}

/* Declared with these values, or not at all where runtime is 0. */
#define EXPECT_DECLARED(pid, q, t, n) do {				\
	struct attr _got;						\
	u64 _q = (q);						\
									\
	ASSERT_EQ(0, attr_get(pid, &_got));				\
	EXPECT_EQ(!!_q, !!(_got.flags & SCHED_FLAG_AGENT_CLASS));	\
	if (_q) {							\
		EXPECT_EQ(_q, _got.runtime);				\
		EXPECT_EQ((t), _got.period);				\
		EXPECT_EQ((n), _got.nice);				\
		EXPECT_EQ(0, _got.deadline);				\
	}								\
} while (0)

#define EXPECT_UNDECLARED(pid)	EXPECT_DECLARED(pid, 0, 0, 0)

/* The nice value and the slice of the task itself, which is undeclared. */
#define EXPECT_OWN(own, slice) do {					\
	struct attr _got;						\
	int _nice = (own);						\
									\
	ASSERT_EQ(0, attr_get(0, &_got));				\
	EXPECT_EQ(_nice, _got.nice);					\
	EXPECT_EQ(_nice, getpriority(PRIO_PROCESS, 0));			\
	EXPECT_EQ((slice), _got.runtime);				\
} while (0)

/* ---- what is taken ---- */

TEST_F(abi, round_trip)
{
	ASSERT_EQ(0, attr_set(0, &self->attr));
	EXPECT_DECLARED(0, Q, T, NICE);
}

TEST_F(abi, defaults)
{
	ASSERT_EQ(0, declare(0, 0, 0, 0));
	EXPECT_DECLARED(0, CREDIT_DEFAULT, PERIOD_DEFAULT, 0);
	ASSERT_EQ(0, declare(0, Q, 0, 0));
	EXPECT_DECLARED(0, Q, PERIOD_DEFAULT, 0);
	ASSERT_EQ(0, declare(0, 0, T, 0));
	EXPECT_DECLARED(0, CREDIT_DEFAULT, T, 0);
}

/* Nor does it by accident to another value of the task. */
TEST_F(abi, set_what_was_got)
{
	struct attr got;

	ASSERT_EQ(0, attr_set(0, &self->attr));
	for (int i = 0; i < 3; i++) {
		ASSERT_EQ(0, attr_get(0, &got));
		ASSERT_EQ(0, attr_set(0, &got));
		EXPECT_DECLARED(0, Q, T, NICE);
	}
	ASSERT_EQ(0, withdraw(0));
	EXPECT_OWN(OWN_NICE, SLICE);
}

/* Without a slice of its own a task must not get one by declaring. */
TEST_F(abi, default_slice_stays)
{
	struct attr got, own = { .size = sizeof(own) };
	u64 slice;

	ASSERT_EQ(0, attr_set(0, &own));
	ASSERT_EQ(0, attr_get(0, &got));
	slice = got.runtime;
	ASSERT_EQ(0, attr_set(0, &self->attr));
	ASSERT_EQ(0, attr_get(0, &got));
	ASSERT_EQ(0, attr_set(0, &got));
	ASSERT_EQ(0, withdraw(0));
	EXPECT_OWN(0, slice);
}

TEST_F(abi, own_values_untouched)
{
	ASSERT_EQ(0, attr_set(0, &self->attr));
	EXPECT_EQ(OWN_NICE, getpriority(PRIO_PROCESS, 0));
	EXPECT_EQ(SCHED_OTHER, sched_getscheduler(0));
	ASSERT_EQ(0, withdraw(0));
	EXPECT_OWN(OWN_NICE, SLICE);
}

TEST_F(abi, replace)
{
	ASSERT_EQ(0, attr_set(0, &self->attr));
	ASSERT_EQ(0, declare(0, 2 * Q, 2 * T, NICE + 9));
	EXPECT_DECLARED(0, 2 * Q, 2 * T, NICE + 9);
}

TEST_F(abi, range_ends)
{
	ASSERT_EQ(0, declare(0, 100 * USEC, 10 * MSEC, -20));
	EXPECT_DECLARED(0, 100 * USEC, 10 * MSEC, -20);
	ASSERT_EQ(0, declare(0, 100 * MSEC, 10 * SEC, 19));
	EXPECT_DECLARED(0, 100 * MSEC, 10 * SEC, 19);
	ASSERT_EQ(0, declare(0, 5 * MSEC, 10 * MSEC, 0));
	EXPECT_DECLARED(0, 5 * MSEC, 10 * MSEC, 0);
}

/* As for every other use of sched_nice. */
TEST_F(abi, nice_is_clamped)
{
	ASSERT_EQ(0, declare(0, Q, T, 100));
	EXPECT_DECLARED(0, Q, T, 19);
	ASSERT_EQ(0, declare(0, Q, T, -100));
	EXPECT_DECLARED(0, Q, T, -20);
}

TEST_F(abi, policy_ext)
{
	self->attr.policy = POLICY_EXT;
	if (attr_set(0, &self->attr) == -EINVAL) {
		self->attr.flags = 0;
		if (attr_set(0, &self->attr) == -EINVAL)
			SKIP(return, "no sched_ext in this kernel");
	}
	EXPECT_DECLARED(0, Q, T, NICE);
	EXPECT_EQ(POLICY_EXT, sched_getscheduler(0));
}

TEST_F(abi, other_process)
{
	pid_t pid = fork();

	ASSERT_GE(pid, 0);
	if (!pid) {
		pause();
		_exit(0);
	}
	EXPECT_EQ(0, attr_set(pid, &self->attr));
	EXPECT_DECLARED(pid, Q, T, NICE);
	EXPECT_UNDECLARED(0);
	EXPECT_EQ(0, withdraw(pid));
	EXPECT_UNDECLARED(pid);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

static void *declare_thread(void *arg)
{
	return (void *)(long)attr_set(0, arg);
}

TEST_F(abi, one_thread_alone)
{
	pthread_t thread;
	void *ret;

	ASSERT_EQ(0, pthread_create(&thread, NULL, declare_thread, &self->attr));
	ASSERT_EQ(0, pthread_join(thread, &ret));
	EXPECT_EQ(NULL, ret);
	EXPECT_UNDECLARED(0);
}

/* ---- what is refused ---- */

/* And a refusal changes nothing, neither with a declaration nor without. */
#define EXPECT_REFUSED(error, bad) do {					\
	const struct attr *_bad = (bad);				\
	int _error = (error);						\
									\
	EXPECT_EQ(0, withdraw(0));					\
	EXPECT_EQ(_error, attr_set(0, _bad));				\
	EXPECT_OWN(OWN_NICE, SLICE);					\
	EXPECT_UNDECLARED(0);						\
	EXPECT_EQ(0, declare(0, 2 * Q, 2 * T, 7));			\
	EXPECT_EQ(_error, attr_set(0, _bad));				\
	EXPECT_DECLARED(0, 2 * Q, 2 * T, 7);				\
} while (0)

TEST_F(abi, bad_runtime)
{
	static const u64 bad[] = {
		1, 100 * USEC - 1, 100 * MSEC + 1, 1ULL << 32, 1ULL << 63, UINT64_MAX,
	};

	self->attr.period = 10 * SEC;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		self->attr.runtime = bad[i];
		EXPECT_REFUSED(-EINVAL, &self->attr);
	}
}

TEST_F(abi, bad_period)
{
	static const u64 bad[] = {
		1, 10 * MSEC - 1, 10 * SEC + 1, 1ULL << 32, 1ULL << 63, UINT64_MAX,
	};

	self->attr.runtime = 100 * USEC;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		if (bad[i] == 1ULL << 32)
			continue;	/* 4.3 s: good */
		self->attr.period = bad[i];
		EXPECT_REFUSED(-EINVAL, &self->attr);
	}
}

TEST_F(abi, runtime_over_half_the_period)
{
	self->attr.runtime = T / 2 + 1;
	EXPECT_REFUSED(-EINVAL, &self->attr);
	/* also where one of the two is the default */
	self->attr.period = 0;
	self->attr.runtime = PERIOD_DEFAULT / 2 + 1;
	EXPECT_REFUSED(-EINVAL, &self->attr);
	self->attr.runtime = 0;
	self->attr.period = 2 * CREDIT_DEFAULT - 1;
	EXPECT_REFUSED(-EINVAL, &self->attr);
}

TEST_F(abi, bad_deadline)
{
	self->attr.deadline = T;
	EXPECT_REFUSED(-EINVAL, &self->attr);
}

TEST_F(abi, bad_priority)
{
	self->attr.priority = 1;
	EXPECT_REFUSED(-EINVAL, &self->attr);
}

TEST_F(abi, bad_flags)
{
	static const u64 bad[] = {
		FLAG_RECLAIM, FLAG_DL_OVERRUN, 0x80, 0x10000000, 1ULL << 31,
		1ULL << 33, 1ULL << 63,
	};

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		self->attr.flags = SCHED_FLAG_AGENT_CLASS | bad[i];
		EXPECT_REFUSED(-EINVAL, &self->attr);
	}
}

TEST_F(abi, keep_params_without_declaration)
{
	self->attr.flags |= FLAG_KEEP_PARAMS;
	EXPECT_EQ(-EINVAL, attr_set(0, &self->attr));
	EXPECT_OWN(OWN_NICE, SLICE);
	EXPECT_UNDECLARED(0);
}

TEST_F(abi, keep_policy_of_another_class)
{
	struct attr own = { .size = sizeof(own), .policy = POLICY_BATCH };

	ASSERT_EQ(0, attr_set(0, &own));
	self->attr.flags |= FLAG_KEEP_POLICY;
	EXPECT_EQ(-EINVAL, attr_set(0, &self->attr));
	EXPECT_EQ(SCHED_BATCH, sched_getscheduler(0));
	EXPECT_UNDECLARED(0);
}

TEST_F(abi, bad_arguments)
{
	EXPECT_EQ(-EINVAL, attr_set(0, NULL));
	EXPECT_EQ(-EINVAL, attr_set(-1, &self->attr));
	EXPECT_EQ(-EFAULT, attr_set(0, (void *)8));
	EXPECT_EQ(-1, syscall(SYS_sched_setattr, 0, &self->attr, 1));
	EXPECT_EQ(EINVAL, errno);
	/* beyond what pid_max can be */
	EXPECT_EQ(-ESRCH, attr_set(0x7ffffff0, &self->attr));
	EXPECT_UNDECLARED(0);
}

FIXTURE(abi_policy) {
};

FIXTURE_VARIANT(abi_policy) {
	u32 policy, priority;
	bool unknown;
};

FIXTURE_VARIANT_ADD(abi_policy, fifo) { POLICY_FIFO, 1, false };
FIXTURE_VARIANT_ADD(abi_policy, rr) { POLICY_RR, 1, false };
FIXTURE_VARIANT_ADD(abi_policy, batch) { POLICY_BATCH, 0, false };
FIXTURE_VARIANT_ADD(abi_policy, idle) { POLICY_IDLE, 0, false };
FIXTURE_VARIANT_ADD(abi_policy, deadline) { POLICY_DEADLINE, 0, false };
FIXTURE_VARIANT_ADD(abi_policy, iso) { 4, 0, true };
FIXTURE_VARIANT_ADD(abi_policy, unassigned) { 8, 0, true };
FIXTURE_VARIANT_ADD(abi_policy, negative) { 0x80000000, 0, true };

FIXTURE_SETUP(abi_policy)
{
	const char *why = no_agent_class();

	if (why)
		SKIP(return, "%s", why);
}

FIXTURE_TEARDOWN(abi_policy)
{
}

TEST_F(abi_policy, refused)
{
	struct attr attr = burst_attr(Q, T, 0);

	attr.policy = variant->policy;
	EXPECT_EQ(-EINVAL, attr_set(0, &attr));
	/* nor with the priority or the deadline that the policy asks for */
	attr.priority = variant->priority;
	EXPECT_EQ(-EINVAL, attr_set(0, &attr));
	attr.deadline = T;
	EXPECT_EQ(-EINVAL, attr_set(0, &attr));
	EXPECT_UNDECLARED(0);
	EXPECT_EQ(SCHED_OTHER, sched_getscheduler(0));
}

/* What is declared ends with the policy, and does not come back with it. */
TEST_F(abi_policy, ends_declaration)
{
	struct attr attr = { .size = sizeof(attr), .policy = variant->policy,
			     .priority = variant->priority };

	if (variant->policy == POLICY_DEADLINE) {
		attr.runtime = 10 * MSEC;
		attr.deadline = SEC;
		attr.period = SEC;
	}
	ASSERT_EQ(0, declare(0, Q, T, 0));
	if (variant->unknown) {
		EXPECT_EQ(-EINVAL, attr_set(0, &attr));
		EXPECT_DECLARED(0, Q, T, 0);
		return;
	}
	ASSERT_EQ(0, attr_set(0, &attr));
	EXPECT_UNDECLARED(0);
	attr = (struct attr){ .size = sizeof(attr) };
	ASSERT_EQ(0, attr_set(0, &attr));
	EXPECT_UNDECLARED(0);
}

/* ---- sizes ---- */

/* A program that knows nothing of the utilisation fields. */
TEST_F(abi, size_ver0)
{
	self->attr.size = ATTR_SIZE_VER0;
	ASSERT_EQ(0, attr_set(0, &self->attr));
	EXPECT_DECLARED(0, Q, T, NICE);
}

TEST_F(abi, size_0)
{
	self->attr.size = 0;
	ASSERT_EQ(0, attr_set(0, &self->attr));
	EXPECT_DECLARED(0, Q, T, NICE);
}

/* Refused with the kernel's own size in place of the one that was too much for it. */
#define EXPECT_E2BIG(sized, bad) do {					\
	struct attr *_attr = (sized);					\
									\
	_attr->size = (bad);						\
	EXPECT_EQ(-E2BIG, attr_set(0, _attr));				\
	EXPECT_LE(ATTR_SIZE_VER1, _attr->size);				\
	EXPECT_GT(128, _attr->size);					\
	EXPECT_UNDECLARED(0);						\
	EXPECT_OWN(OWN_NICE, SLICE);					\
} while (0)

TEST_F(abi, size_too_small)
{
	EXPECT_E2BIG(&self->attr, ATTR_SIZE_VER0 - 1);
	EXPECT_E2BIG(&self->attr, 1);
}

/* A program that is newer than the kernel, as long as it asks for nothing new. */
TEST_F(abi, size_too_large)
{
	char *buf = calloc(1, 8192);
	struct attr *attr = (void *)buf;

	ASSERT_NE(NULL, buf);
	*attr = self->attr;
	attr->size = 128;
	ASSERT_EQ(0, attr_set(0, buf));
	EXPECT_DECLARED(0, Q, T, NICE);

	ASSERT_EQ(0, withdraw(0));
	buf[127] = 1;
	EXPECT_E2BIG(attr, 128);
	buf[127] = 0;
	EXPECT_E2BIG(attr, 4097);
	EXPECT_E2BIG(attr, UINT32_MAX);
	free(buf);
}

TEST_F(abi, get_ver0)
{
	struct attr got;

	ASSERT_EQ(0, attr_set(0, &self->attr));
	memset(&got, 0xff, sizeof(got));
	ASSERT_EQ(0, syscall(SYS_sched_getattr, 0, &got, ATTR_SIZE_VER0, 0));
	EXPECT_EQ(ATTR_SIZE_VER0, got.size);
	EXPECT_TRUE(got.flags & SCHED_FLAG_AGENT_CLASS);
	EXPECT_EQ(Q, got.runtime);
	EXPECT_EQ(T, got.period);
	EXPECT_EQ(NICE, got.nice);
	EXPECT_EQ(UINT32_MAX, got.util_max);
}

/* ---- what keeps a declaration, and what ends it ---- */

TEST_F(abi, keep_policy)
{
	self->attr.policy = POLICY_BATCH;	/* is not looked at */
	self->attr.flags |= FLAG_KEEP_POLICY;
	ASSERT_EQ(0, attr_set(0, &self->attr));
	EXPECT_DECLARED(0, Q, T, NICE);
	EXPECT_EQ(SCHED_OTHER, sched_getscheduler(0));
}

/* The values of the call are not looked at. */
TEST_F(abi, keep_params_with_flag)
{
	ASSERT_EQ(0, attr_set(0, &self->attr));
	self->attr = burst_attr(1, 1, 11);
	self->attr.flags |= FLAG_KEEP_PARAMS;
	ASSERT_EQ(0, attr_set(0, &self->attr));
	EXPECT_DECLARED(0, Q, T, NICE);
	self->attr.flags |= FLAG_KEEP_POLICY;
	ASSERT_EQ(0, attr_set(0, &self->attr));
	EXPECT_DECLARED(0, Q, T, NICE);
}

TEST_F(abi, keep_params_without_flag)
{
	struct attr attr = { .size = sizeof(attr), .flags = FLAG_KEEP_PARAMS };

	ASSERT_EQ(0, attr_set(0, &self->attr));
	ASSERT_EQ(0, attr_set(0, &attr));
	EXPECT_DECLARED(0, Q, T, NICE);
	attr.flags |= FLAG_KEEP_POLICY;
	ASSERT_EQ(0, attr_set(0, &attr));
	EXPECT_DECLARED(0, Q, T, NICE);
}

TEST_F(abi, setattr_without_flag_withdraws)
{
	struct attr attr = { .size = sizeof(attr), .nice = 6, .runtime = SLICE + MSEC };

	ASSERT_EQ(0, attr_set(0, &self->attr));
	ASSERT_EQ(0, attr_set(0, &attr));
	EXPECT_UNDECLARED(0);
	EXPECT_OWN(6, SLICE + MSEC);
}

/* KEEP_POLICY keeps the policy alone. */
TEST_F(abi, keep_policy_without_flag_withdraws)
{
	struct attr attr = { .size = sizeof(attr), .flags = FLAG_KEEP_POLICY, .nice = OWN_NICE,
			     .runtime = SLICE };

	ASSERT_EQ(0, attr_set(0, &self->attr));
	ASSERT_EQ(0, attr_set(0, &attr));
	EXPECT_UNDECLARED(0);
	EXPECT_OWN(OWN_NICE, SLICE);
}

TEST_F(abi, setscheduler_withdraws)
{
	struct sched_param param = {};

	ASSERT_EQ(0, attr_set(0, &self->attr));
	ASSERT_EQ(0, sched_setscheduler(0, SCHED_OTHER, &param));
	EXPECT_UNDECLARED(0);

	ASSERT_EQ(0, attr_set(0, &self->attr));
	param.sched_priority = 1;
	ASSERT_EQ(0, sched_setscheduler(0, SCHED_FIFO, &param));
	EXPECT_UNDECLARED(0);
	param.sched_priority = 0;
	ASSERT_EQ(0, sched_setscheduler(0, SCHED_OTHER, &param));
	EXPECT_UNDECLARED(0);
}

TEST_F(abi, refused_setscheduler_keeps)
{
	struct sched_param param = { .sched_priority = 1 };

	ASSERT_EQ(0, attr_set(0, &self->attr));
	EXPECT_EQ(-1, sched_setscheduler(0, SCHED_OTHER, &param));
	EXPECT_DECLARED(0, Q, T, NICE);
}

TEST_F(abi, setparam_keeps)
{
	struct sched_param param = {};

	ASSERT_EQ(0, attr_set(0, &self->attr));
	ASSERT_EQ(0, sched_setparam(0, &param));
	EXPECT_DECLARED(0, Q, T, NICE);
	ASSERT_EQ(0, withdraw(0));
	EXPECT_OWN(OWN_NICE, SLICE);
}

TEST_F(abi, nice_keeps)
{
	ASSERT_EQ(0, attr_set(0, &self->attr));
	ASSERT_EQ(OWN_NICE + 2, nice(2));
	EXPECT_DECLARED(0, Q, T, NICE);
	ASSERT_EQ(0, setpriority(PRIO_PROCESS, 0, -9));
	EXPECT_DECLARED(0, Q, T, NICE);
	EXPECT_EQ(-9, getpriority(PRIO_PROCESS, 0));
	ASSERT_EQ(0, withdraw(0));
	EXPECT_OWN(-9, SLICE);
}

TEST_F(abi, affinity_keeps)
{
	cpu_set_t set;

	ASSERT_EQ(0, attr_set(0, &self->attr));
	ASSERT_EQ(0, sched_getaffinity(0, sizeof(set), &set));
	ASSERT_EQ(0, sched_setaffinity(0, sizeof(set), &set));
	EXPECT_DECLARED(0, Q, T, NICE);
}

TEST_F(abi, withdraw_twice)
{
	ASSERT_EQ(0, attr_set(0, &self->attr));
	ASSERT_EQ(0, withdraw(0));
	ASSERT_EQ(0, withdraw(0));
	EXPECT_UNDECLARED(0);
	EXPECT_OWN(OWN_NICE, SLICE);
}

/* Both flags go together, and one does not bring the other. */
TEST_F(abi, reset_on_fork_is_reported)
{
	struct attr got;

	self->attr.flags |= FLAG_RESET_ON_FORK;
	ASSERT_EQ(0, attr_set(0, &self->attr));
	ASSERT_EQ(0, attr_get(0, &got));
	EXPECT_EQ(SCHED_FLAG_AGENT_CLASS | FLAG_RESET_ON_FORK, got.flags);
	self->attr.flags = SCHED_FLAG_AGENT_CLASS;
	ASSERT_EQ(0, attr_set(0, &self->attr));
	ASSERT_EQ(0, attr_get(0, &got));
	EXPECT_EQ(SCHED_FLAG_AGENT_CLASS, got.flags);
}

/* ---- 32-bit programs ---- */

TEST_F(abi, compat)
{
	struct report32 report = {};
	int fd[2], status;
	ssize_t len;
	pid_t pid;

	ASSERT_EQ(0, attr_set(0, &self->attr));
	ASSERT_EQ(0, pipe(fd));
	pid = fork();
	ASSERT_GE(pid, 0);
	if (!pid) {
		dup2(fd[1], STDOUT_FILENO);
		execl("./abi32", "abi32", NULL);
		_exit(errno == ENOEXEC ? KSFT_SKIP : KSFT_FAIL);
	}
	close(fd[1]);
	len = read(fd[0], &report, sizeof(report));
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	ASSERT_TRUE(WIFEXITED(status));
	if (WEXITSTATUS(status) == KSFT_SKIP)
		SKIP(return, "this kernel runs no 32-bit programs");
	ASSERT_EQ(0, WEXITSTATUS(status));
	ASSERT_EQ(sizeof(report), len);

	EXPECT_EQ(SCHED_FLAG_AGENT_CLASS, report.inherited.flags);
	EXPECT_EQ(Q, report.inherited.runtime);
	EXPECT_EQ(T, report.inherited.period);
	EXPECT_EQ(NICE, report.inherited.nice);
	EXPECT_EQ(0, report.set);
	EXPECT_EQ(0, report.get);
	EXPECT_EQ(SCHED_FLAG_AGENT_CLASS, report.declared.flags);
	EXPECT_EQ(3 * MSEC, report.declared.runtime);
	EXPECT_EQ(60 * MSEC, report.declared.period);
	EXPECT_EQ(-3, report.declared.nice);
	EXPECT_EQ(-E2BIG, report.too_short);
	EXPECT_EQ(-E2BIG, report.too_big);
	EXPECT_LE(ATTR_SIZE_VER1, report.size_told);
	EXPECT_EQ(-EINVAL, report.bad_runtime);
	EXPECT_EQ(-EINVAL, report.bad_flag);
	EXPECT_EQ(0, memcmp(&report.declared, &report.refused, sizeof(report.declared)));
	EXPECT_EQ(0, report.withdrawn);
	EXPECT_EQ(0, report.flags_left);
	/* and the parent's is the parent's */
	EXPECT_DECLARED(0, Q, T, NICE);
}

/* ---- a kernel without the class ---- */

/*
 * Must not take the flag and ignore it: the one case that says something of a
 * kernel without the class.
 */
TEST(refused_without_class)
{
	if (!no_agent_class())
		SKIP(return, "this kernel has the class");
	EXPECT_EQ(-EINVAL, declare(0, 0, 0, 0));
	EXPECT_EQ(-EINVAL, declare(0, Q, T, 0));
	EXPECT_FALSE(is_declared(0));
}

TEST_HARNESS_MAIN
