/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Schedulers that a test loads and ends, and a load that must survive that.
 */
#ifndef SELFTEST_SCHED_AGENT_SCX_H
#define SELFTEST_SCHED_AGENT_SCX_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

typedef unsigned long long u64;
typedef long long s64;

#define MSEC	1000000ULL
#define SEC	1000000000ULL

#define SCX_STATE	"/sys/kernel/sched_ext/state"
#define CGROUPS		"/sys/fs/cgroup"

/* The status with which scx_agent ends. */
enum { ENDED, FAILED, REFUSED, THROWN_OUT };

/* --- small things ---------------------------------------------------------- */

u64 now(void);			/* CLOCK_MONOTONIC */
void nap(u64 ns);
void spin(u64 ns);		/* of CPU time */
u64 process_cpu(pid_t pid);	/* what it has run, 0 if it is gone */
void *shared(size_t size);	/* memory that children share, zeroed */
int nr_cpus(void);		/* that are online, numbered from 0 */
int pin(pid_t pid, int cpu);	/* -1: anywhere */
int set_online(int cpu, bool online);
int write_file(const char *path, const char *text);
int read_file(const char *path, char *buf, size_t size);	/* up to the end of a line */

/* --- declarations ---------------------------------------------------------- */

int declare(pid_t pid, u64 runtime, u64 period);
/* Whether exactly this is declared. */
bool is_declared(pid_t pid, u64 runtime, u64 period);
/* A line agent.NAME of /proc/PID/sched, or -1. */
s64 agent_counter(pid_t pid, const char *name);
/* NULL where the kernel has the class, else what a test says when it skips. */
const char *no_agent_class(void);

/* --- schedulers -------------------------------------------------------------- */

/* What a program that a test runs has said, and how it ended. */
struct said {
	int status;		/* of its exit; 128 and more: killed by a signal */
	char text[16384];	/* of stdout and stderr, the first of it */
};

/* The path of a program that lies beside the test. */
const char *beside(const char *name);
/* Run a program of this folder to its end; its last argument is NULL. */
void run(struct said *said, const char *name, ...);

/* A scheduler that is loaded, or whose program tries to. */
struct sched {
	pid_t pid;
	int out;
	struct said said;
};

/* Start a program of this folder and wait until it has loaded its scheduler, or ended. */
bool sched_load(struct sched *s, const char *name, const char *arg);
/* End it by a signal (0: wait for its own end); its status, -1: it does not end. */
int sched_end(struct sched *s, int sig);
/* Whether no BPF scheduler is loaded, or not any more within @limit ns. */
bool sched_gone(u64 limit);
bool sched_is(const char *ops);
/* A number of `scx_agent --once`, or -1. */
s64 sched_count(const char *name);

/* --- load ---------------------------------------------------------------------- */

#define BURST_RUNTIME	(8 * MSEC)
#define BURST_PERIOD	(40 * MSEC)

enum kind {
	HOG,		/* computes */
	HOG_BOUND,	/* on one CPU */
	MESSAGES,	/* hackbench: a sender and a receiver with a socket between them */
	FORKS,		/* children that compute for a moment */
	SLEEPER,
	BURST,		/* declared */
	BURST_BOUND,
	NR_KINDS
};

/* Start @count[kind] workers of each kind.  They die with the test. */
int load_start(const int count[NR_KINDS]);
/*
 * NULL if all workers are alive, get on within @limit ns, and the bursts among
 * them have declared what they have; else what is wrong.
 */
const char *load_check(u64 limit);
void load_end(void);

/* Start one more process, in a cgroup (NULL: where the test is), on one CPU (-1: any). */
pid_t start(const char *group, int cpu, void (*work)(void *), void *arg);
void stop(pid_t pid);
void hog(void *unused);

/*
 * Make a cgroup below another (NULL: the root) with the cpu controller.  It goes with
 * load_end().  NULL if that fails.
 */
char *make_group(const char *parent, const char *name);
int write_group(const char *group, const char *file, const char *text);
int read_group(const char *group, const char *file, const char *key, s64 *value);

/* --- the kernel ------------------------------------------------------------------ */

/* What the kernel says from now on; klog_bad() returns a complaint, or NULL. */
int klog_open(void);
const char *klog_bad(int fd);
/* Of debugfs: NULL, or what does not add up in the lanes. */
const char *lanes_bad(void);

#endif /* SELFTEST_SCHED_AGENT_SCX_H */
