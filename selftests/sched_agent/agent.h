/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the tests of the agent class say to the kernel, and what they read of it.
 *
 * Functions return 0 or a negative errno, so that a case can ask for an errno
 * by name.
 */
#ifndef SELFTEST_SCHED_AGENT_H
#define SELFTEST_SCHED_AGENT_H

#include <stdbool.h>
#include <stdint.h>

typedef unsigned long long u64;
typedef long long s64;
typedef unsigned int u32;
typedef int s32;

#ifndef SCHED_FLAG_AGENT_CLASS
#define SCHED_FLAG_AGENT_CLASS		0x100000000ULL
#endif
#define FLAG_RESET_ON_FORK		0x01
#define FLAG_RECLAIM			0x02
#define FLAG_DL_OVERRUN			0x04
#define FLAG_KEEP_POLICY		0x08
#define FLAG_KEEP_PARAMS		0x10
#define FLAG_UTIL_CLAMP_MIN		0x20

#define POLICY_NORMAL			0
#define POLICY_FIFO			1
#define POLICY_RR			2
#define POLICY_BATCH			3
#define POLICY_IDLE			5
#define POLICY_DEADLINE			6
#define POLICY_EXT			7

#define USEC				1000ULL
#define MSEC				1000000ULL
#define SEC				1000000000ULL

/* What the kernel takes for 0. */
#define CREDIT_DEFAULT			(8 * MSEC)
#define PERIOD_DEFAULT			(100 * MSEC)

#define SYSCTL_BUDGET			"/proc/sys/kernel/sched_agent_cpu_max_us"
#define SYSCTL_PERIOD			"/proc/sys/kernel/sched_agent_cpu_period_us"

/* struct sched_attr of the kernel, by a name that no C library takes. */
struct attr {
	u32 size;
	u32 policy;
	u64 flags;
	s32 nice;
	u32 priority;
	u64 runtime;
	u64 deadline;
	u64 period;
	u32 util_min;
	u32 util_max;
};

#define ATTR_SIZE_VER0			48
#define ATTR_SIZE_VER1			56

/* sched_setattr(2) and sched_getattr(2); attr_set() takes attr->size as it is. */
int attr_set(int pid, const void *attr);
int attr_get(int pid, struct attr *attr);

/* A declaration that is not made yet. */
struct attr burst_attr(u64 runtime, u64 period, int nice);

int declare(int pid, u64 runtime, u64 period, int nice);
/* By sched_setscheduler(2), which leaves nice value and slice as they are. */
int withdraw(int pid);
bool is_declared(int pid);

/* NULL where the kernel has the class, else what a fixture says when it skips. */
const char *no_agent_class(void);

/*
 * A line agent.NAME of /proc/PID/sched; -ENOENT where the kernel has none,
 * which is not a value that any of them can have.
 */
s64 agent_counter(int pid, const char *name);

#endif /* SELFTEST_SCHED_AGENT_H */
