// SPDX-License-Identifier: GPL-2.0
/*
 * The 32-bit side of test_abi: declares, reads back, and is refused, as a
 * 32-bit program does.  Freestanding: no C library, int 0x80 for system calls.
 */
#include "report.h"

#define NR_EXIT			1
#define NR_WRITE		4
#define NR_SETSCHEDULER		156
#define NR_SETATTR		351
#define NR_GETATTR		352

static long syscall4(long nr, long a, long b, long c, long d)
{
	long ret;

	asm volatile("int $0x80" : "=a" (ret)
		     : "a" (nr), "b" (a), "c" (b), "d" (c), "S" (d) : "memory");
	return ret;
}

static long set(struct attr *attr)
{
	return syscall4(NR_SETATTR, 0, (long)attr, 0, 0);
}

static long get(struct attr *attr)
{
	return syscall4(NR_GETATTR, 0, (long)attr, sizeof(*attr), 0);
}

static struct report32 report;
static struct attr attr, left;
static struct { struct attr attr; u32 more[2]; } big;
static int priority;

static void good(struct attr *a)
{
	a->size = sizeof(*a);
	a->policy = POLICY_NORMAL;
	a->flags = SCHED_FLAG_AGENT_CLASS;
	a->nice = -3;
	a->runtime = 3 * MSEC;
	a->period = 60 * MSEC;
	a->deadline = 0;
}

void _start(void)
{
	get(&report.inherited);

	good(&attr);
	report.set = set(&attr);
	report.get = get(&report.declared);

	good(&attr);
	attr.size = ATTR_SIZE_VER0 - 8;
	report.too_short = set(&attr);

	good(&big.attr);
	big.attr.size = sizeof(big);
	big.more[1] = 1;
	report.too_big = set(&big.attr);
	report.size_told = big.attr.size;

	/* Its upper half is what makes it bad: it must arrive. */
	good(&attr);
	attr.runtime = 0x100000000ULL + 3 * MSEC;
	report.bad_runtime = set(&attr);

	good(&attr);
	attr.flags |= SCHED_FLAG_AGENT_CLASS << 1;
	report.bad_flag = set(&attr);
	get(&report.refused);

	report.withdrawn = syscall4(NR_SETSCHEDULER, 0, POLICY_NORMAL, (long)&priority, 0);
	get(&left);
	report.flags_left = left.flags >> 32;

	syscall4(NR_WRITE, 1, (long)&report, sizeof(report), 0);
	syscall4(NR_EXIT, 0, 0, 0, 0);
	__builtin_unreachable();
}
