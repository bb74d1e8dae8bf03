// SPDX-License-Identifier: GPL-2.0
/* See load.h. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "cgroup_util.h"
#include "load.h"

#define DEBUGFS	"/sys/kernel/debug"
#define MOST	512		/* processes, and groups, of a case */

static cpu_set_t all_cpus;
static int cpus[CPU_SETSIZE], cpu_count;
static pid_t children[MOST];
static int child_count;
static char *groups[MOST];
static int group_count;
static char root[PATH_MAX];
static char budget_before[32], period_before[32];

/* ---- time ---- */

static u64 read_clock(clockid_t clock)
{
	struct timespec ts = {};

	clock_gettime(clock, &ts);
	return ts.tv_sec * SEC + ts.tv_nsec;
}

u64 now(void)
{
	return read_clock(CLOCK_MONOTONIC);
}

u64 thread_cpu(void)
{
	return read_clock(CLOCK_THREAD_CPUTIME_ID);
}

u64 process_cpu(pid_t pid)
{
	clockid_t clock;

	return clock_getcpuclockid(pid, &clock) ? 0 : read_clock(clock);
}

void nap_until(u64 when)
{
	struct timespec ts = { when / SEC, when % SEC };

	while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &ts, NULL) == EINTR)
		;
}

void nap(u64 ns)
{
	nap_until(now() + ns);
}

bool reaches(const atomic_int *counter, int value, u64 limit)
{
	u64 end = now() + limit;

	while (*counter < value) {
		if (now() > end)
			return false;
		nap(2 * MSEC);
	}
	return true;
}

/* ---- spans ---- */

static u64 thread_wait(void)
{
	char buf[96];
	u64 wait = 0;

	if (!read_file("/proc/thread-self/schedstat", buf, sizeof(buf)))
		sscanf(buf, "%*u %llu", &wait);
	return wait;
}

void span_begin(struct span *span)
{
	span->wall = now();
	span->stolen = 0;
	span->wait = thread_wait();
	span->cpu = thread_cpu();
}

void span_end(struct span *span)
{
	span->cpu = thread_cpu() - span->cpu;
	span->wait = thread_wait() - span->wait;
	span->wall = now() - span->wall;
}

/* Some microseconds. */
static void compute(void)
{
	for (int i = 0; i < 5000; i++)
		asm volatile("" : : : "memory");
}

/*
 * A turn of the loop takes well under a millisecond.  One that takes longer, of CPU
 * time, was not spent in it, but while the host ran something else.
 */
static struct span run_for(u64 ns, bool stolen_too)
{
	struct span span;
	u64 last, cpu, done = 0;

	span_begin(&span);
	for (last = span.cpu; done < ns; last = cpu) {
		bool stolen;

		compute();
		cpu = thread_cpu();
		stolen = cpu - last > MSEC;
		if (stolen)
			span.stolen += cpu - last;
		if (stolen_too || !stolen)
			done += cpu - last;
	}
	span_end(&span);
	return span;
}

struct span spin(u64 ns)
{
	return run_for(ns, true);
}

struct span work(u64 ns)
{
	return run_for(ns, false);
}

/* ---- setting up ---- */

int write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC), ret = 0;

	if (fd < 0)
		return -errno;
	if (write(fd, text, strlen(text)) < 0)
		ret = -errno;
	close(fd);
	return ret;
}

int read_file(const char *path, char *buf, size_t size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t len;

	if (fd < 0)
		return -errno;
	len = read(fd, buf, size - 1);
	close(fd);
	if (len < 0)
		return -EIO;
	buf[len] = 0;
	buf[strcspn(buf, "\n")] = 0;
	return 0;
}

/* In this order each pair of values is a good one. */
static int write_budget(const char *max_us, const char *period_us)
{
	return write_file(SYSCTL_BUDGET, "0") ?: write_file(SYSCTL_PERIOD, period_us) ?:
	       write_file(SYSCTL_BUDGET, max_us);
}

int set_budget(u64 budget)
{
	char max_us[32], period_us[32];

	snprintf(max_us, sizeof(max_us), "%llu", budget / USEC);
	snprintf(period_us, sizeof(period_us), "%llu", BUDGET_PERIOD / USEC);
	return write_budget(max_us, period_us);
}

static const char *find_machine(void)
{
	char buf[96];

	if (sched_getaffinity(0, sizeof(all_cpus), &all_cpus))
		return "cannot read the affinity";
	for (int cpu = 0; cpu < CPU_SETSIZE; cpu++)
		if (CPU_ISSET(cpu, &all_cpus))
			cpus[cpu_count++] = cpu;
	if (cpu_count < 4)
		return "fewer than four CPUs";
	if (cg_find_unified_root(root, sizeof(root), NULL))
		return "cgroup v2 isn't mounted";
	if (cg_read_strstr(root, "cgroup.controllers", "cpu"))
		return "the cpu controller isn't available in cgroup v2";
	if (read_file("/proc/self/schedstat", buf, sizeof(buf)) || !strcmp(buf, "0 0 0"))
		return "the kernel doesn't account waits in schedstat";
	return NULL;
}

const char *load_init(void)
{
	const char *why = no_agent_class() ?: find_machine();

	if (why)
		return why;
	if (read_file(SYSCTL_BUDGET, budget_before, sizeof(budget_before)) ||
	    read_file(SYSCTL_PERIOD, period_before, sizeof(period_before)))
		return "the kernel has no " SYSCTL_BUDGET;
	if (set_budget(BUDGET_MOST))
		return "cannot set " SYSCTL_BUDGET;
	if (pin(0, cpus[0]))
		return "cannot choose a CPU";
	return NULL;
}

int busy_cpu(int n)
{
	return cpus[cpu_count - 1 - n];
}

int nr_cpus(void)
{
	return cpu_count;
}

void *shared(size_t size)
{
	void *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	if (p == MAP_FAILED)
		abort();
	return p;
}

int pin(pid_t pid, int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	return sched_setaffinity(pid, sizeof(set), cpu < 0 ? &all_cpus : &set);
}

/* ---- processes ---- */

pid_t start(const char *group, int cpu, void (*work)(void *), void *arg)
{
	pid_t pid;

	if (child_count == MOST)
		return -1;
	fflush(stdout);
	pid = fork();
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if ((group && cg_enter_current(group)) || pin(0, cpu))
			_exit(1);
		work(arg);
		_exit(0);
	}
	if (pid > 0)
		children[child_count++] = pid;
	return pid;
}

void stop(pid_t pid)
{
	for (int i = 0; i < child_count; i++) {
		if (children[i] != pid)
			continue;
		children[i] = children[--child_count];
		kill(pid, SIGKILL);
		waitpid(pid, NULL, 0);
		return;
	}
}

void load_end(void)
{
	while (child_count)
		stop(children[child_count - 1]);
	while (group_count) {
		char *group = groups[--group_count];

		/* A child of a child, whoever its parent is now. */
		cg_write(group, "cgroup.kill", "1");
		cg_destroy(group);
		free(group);
	}
	if (*budget_before)
		write_budget(budget_before, period_before);
}

void hog(void *unused)
{
	for (;;)
		compute();
}

int start_hogs(const char *group, int cpu, int count, pid_t *pids)
{
	for (int i = 0; i < count; i++) {
		pid_t pid = start(group, cpu, hog, NULL);

		if (pid < 0)
			return -1;
		if (pids)
			pids[i] = pid;
	}
	return 0;
}

/* ---- bursts ---- */

void burster(void *arg)
{
	struct bursts *b = arg;

	if (b->attr.flags)
		b->error = attr_set(0, &b->attr);
	for (int i = 0; i < b->rounds; i++) {
		struct span *span = &b->span[i];
		u64 wake;

		span_begin(span);
		wake = now() + b->gap;
		nap_until(wake);
		if (b->each)
			b->each(arg);
		else
			span->stolen += (b->attr.flags ? spin : work)(b->run).stolen;
		span_end(span);
		span->wall = now() - wake;
		b->done++;
	}
}

bool wait_rounds(struct bursts *b, u64 limit)
{
	return reaches(&b->done, b->rounds, limit);
}

static int compare(const void *a, const void *b)
{
	const u64 *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

u64 median_wait(const struct bursts *b)
{
	u64 wait[ROUNDS];

	for (int i = 0; i < b->rounds; i++)
		wait[i] = b->span[i].wait;
	qsort(wait, b->rounds, sizeof(wait[0]), compare);
	return wait[b->rounds / 2];
}

u64 longest_wait(const struct bursts *b)
{
	u64 longest = 0;

	for (int i = 0; i < b->rounds; i++)
		if (b->span[i].wait > longest)
			longest = b->span[i].wait;
	return longest;
}

u64 run_bursts(const char *group, int cpu, struct bursts *b)
{
	pid_t pid;
	bool done;

	b->done = 0;
	b->error = 0;
	pid = start(group, cpu, burster, b);
	if (pid < 0)
		return UINT64_MAX;
	done = wait_rounds(b, 60 * SEC);
	stop(pid);
	return done && !b->error ? median_wait(b) : UINT64_MAX;
}

/* ---- groups ---- */

char *make_group(const char *parent, const char *name)
{
	char unique[64], *group;

	if (!parent) {
		/* Left behind by a case that was killed, it must not be in the way. */
		snprintf(unique, sizeof(unique), "sched_agent_%s_%d", name, getpid());
		name = unique;
		parent = root;
	}
	if (group_count == MOST || cg_write(parent, "cgroup.subtree_control", "+cpu"))
		return NULL;
	group = cg_name(parent, name);
	if (cg_create(group)) {
		free(group);
		return NULL;
	}
	groups[group_count++] = group;
	return group;
}

int write_group(const char *group, const char *file, const char *text)
{
	return cg_write(group, file, (char *)text);
}

long read_group(const char *group, const char *file, const char *key)
{
	return cg_read_key_long(group, file, key);
}

int enable_cpuset(const char *group)
{
	char parent[PATH_MAX];

	snprintf(parent, sizeof(parent), "%s", group);
	*strrchr(parent, '/') = 0;
	return cg_write(parent, "cgroup.subtree_control", "+cpuset");
}

int move_to(const char *group, pid_t pid)
{
	return cg_enter(group ?: root, pid);
}

/* ---- what the kernel says ---- */

int klog_open(void)
{
	int fd = open("/dev/kmsg", O_RDONLY | O_NONBLOCK | O_CLOEXEC);

	if (fd >= 0)
		lseek(fd, 0, SEEK_END);
	return fd;
}

/* The first record that is a complaint, or NULL. */
static const char *klog_bad(int fd)
{
	static const char * const words[] = {
		"WARNING:", "BUG:", "Oops", "rcu: INFO", "blocked for more than",
		"soft lockup", "scheduling while atomic", "general protection", NULL
	};
	static char record[8192];
	ssize_t len;

	for (;;) {
		len = read(fd, record, sizeof(record) - 1);
		if (len < 0 && errno == EPIPE)
			continue;	/* overtaken by the ring, goes on with the next */
		if (len <= 0)
			return NULL;
		record[len] = 0;
		for (int i = 0; words[i]; i++)
			if (strstr(record, words[i]))
				return record;
	}
}

const char *lanes_bad(void)
{
	static char line[256];
	const char *bad = NULL;
	FILE *file;
	int lanes = 0;

	file = fopen(DEBUGFS "/sched/agent", "re");
	if (!file && !mount("none", DEBUGFS, "debugfs", 0, NULL))
		file = fopen(DEBUGFS "/sched/agent", "re");
	if (!file)
		return "debugfs has no sched/agent";
	while (!bad && fgets(line, sizeof(line), file)) {
		if (strstr(line, "wrong"))
			bad = line;
		lanes += !strncmp(line, "cpu", 3);
	}
	fclose(file);
	return bad ?: lanes ? bad : "sched/agent shows no lane";
}

const char *complaint(int klog)
{
	return lanes_bad() ?: klog_bad(klog);
}
