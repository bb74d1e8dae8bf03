/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Loads for the tests of the agent class, and what they measure.
 *
 * Virtual machines have more CPUs than their host has to give, and each is halted
 * when the host likes, often for tens of milliseconds.  To the kernel in it, and so
 * to credits and budgets, that is time in which the task has run.  A time that
 * passes therefore says little.  So:
 *
 *  - What a task waits for a CPU is read from /proc/PID/schedstat, the kernel's own
 *    account of the time between becoming runnable and running.
 *
 *  - Cases compare such waits on one CPU, in one run, with and without what they are
 *    about, as medians over rounds.
 *
 *  - Bursts run for a fifth of their credit, which is the largest that there is, and
 *    no budget is in the way unless a case is about it.  So a halt of 80 ms in the
 *    middle of a burst does not end it.  What holds for milliseconds is for
 *    benchmarks in virtual time to show.
 */
#ifndef SELFTEST_SCHED_LOAD_H
#define SELFTEST_SCHED_LOAD_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "agent.h"

/* The budget of each CPU while a case runs: the most that there is, or the usual share. */
#define BUDGET_MOST	(900 * MSEC)
#define BUDGET_USUAL	(300 * MSEC)
#define BUDGET_PERIOD	(1000 * MSEC)
/* The credit of a burst, and what it runs. */
#define CREDIT		(100 * MSEC)
#define RUN		(20 * MSEC)

u64 now(void);			/* CLOCK_MONOTONIC */
void nap(u64 ns);
void nap_until(u64 when);
/* Whether a counter got that far within @limit. */
bool reaches(const atomic_int *counter, int value, u64 limit);
u64 thread_cpu(void);		/* what this thread has run */
u64 process_cpu(pid_t pid);	/* what a process has run, 0 if it is gone */

/* What happened to this thread between span_begin() and span_end(), in ns. */
struct span {
	u64 cpu;			/* it ran */
	u64 wait;			/* it could have run, and did not */
	u64 wall;
	u64 stolen;			/* of cpu, in spin(): the host ran something else */
};

void span_begin(struct span *span);
void span_end(struct span *span);
/* Run for @ns of CPU time; returns what happened meanwhile. */
struct span spin(u64 ns);
/* The same without what the host stole: so many turns among hogs, whatever it does. */
struct span work(u64 ns);

/*
 * Look for the class, find the CPUs, set the budget.  NULL, or what a fixture says
 * when it skips.
 */
const char *load_init(void);
/* B of each CPU, of BUDGET_PERIOD; 0 or a negative errno. */
int set_budget(u64 budget);
/* Kill what was started, remove the groups that were made, restore the budget. */
void load_end(void);

/*
 * The CPU on which things compete: the last, which has the least to do with
 * devices; and the @n-th before it.  The test itself stays on the first.
 */
int busy_cpu(int n);
int nr_cpus(void);

/* Memory that children share, zeroed. */
void *shared(size_t size);

/*
 * Start a process that does @work in a cgroup (NULL: where the test is) on one
 * CPU (-1: any), without a declaration.  It dies with the test.
 */
pid_t start(const char *group, int cpu, void (*work)(void *), void *arg);
void stop(pid_t pid);

int pin(pid_t pid, int cpu);

/* Runs for ever. */
void hog(void *unused);
/* Start @count of them; 0, or -1. */
int start_hogs(const char *group, int cpu, int count, pid_t *pids);

#define ROUNDS	64

/* A task that sleeps and runs, over and over. */
struct bursts {
	u64 gap;			/* sleeps */
	u64 run;			/* then runs: spin() if declared, else work() */
	int rounds;			/* at most ROUNDS */
	struct attr attr;		/* to declare; no flags: nothing */
	void (*each)(void *arg);	/* instead of running */
	atomic_int error;		/* of the declaration */
	atomic_int done;		/* rounds */
	struct span span[ROUNDS];	/* wall is from the end of the sleep */
};

/* The work of such a task; @arg is a shared struct bursts. */
void burster(void *arg);
/* Whether all rounds were done within @limit. */
bool wait_rounds(struct bursts *bursts, u64 limit);
u64 median_wait(const struct bursts *bursts);
u64 longest_wait(const struct bursts *bursts);

/* Run such a task to its end, and return its median wait, or UINT64_MAX. */
u64 run_bursts(const char *group, int cpu, struct bursts *bursts);

/*
 * Make a cgroup below another (NULL: the root) with the cpu controller for its
 * children.  NULL if that fails.
 */
char *make_group(const char *parent, const char *name);
int write_file(const char *path, const char *text);
int read_file(const char *path, char *buf, size_t size);	/* up to the end of a line */
int write_group(const char *group, const char *file, const char *text);
long read_group(const char *group, const char *file, const char *key);
int move_to(const char *group, pid_t pid);
/* Give it the cpuset controller, too. */
int enable_cpuset(const char *group);

/* What the kernel says from now on. */
int klog_open(void);

/*
 * What debugfs shows that does not add up in the lanes (or that it shows nothing),
 * and what the kernel has complained of since klog_open(); NULL if all is well.
 */
const char *lanes_bad(void);
const char *complaint(int klog);

#endif /* SELFTEST_SCHED_LOAD_H */
