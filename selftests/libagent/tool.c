// SPDX-License-Identifier: GPL-2.0
/*
 * The tool that the tests start: says what it is, or does a piece of work.
 *
 *	tool [--no-class | --nobody | --nice-limit N | --policy P]... [COMMAND...]
 *	tool --declare
 *	tool --work CPU MS
 *
 * The first form changes what it says and runs COMMAND, or itself tells in one
 * line what the kernel knows of it.  The second declares a burst and fails
 * where it cannot.  The third does MS ms of work on CPU and says how many us
 * that took.
 */
#include <fcntl.h>
#include <grp.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

#include "tool.h"

static void die(const char *what)
{
	perror(what);
	exit(1);
}

static unsigned long long status_mask(const char *name)
{
	unsigned long long mask = 0;
	char line[256];
	FILE *file = fopen("/proc/self/status", "re");

	if (!file)
		die("/proc/self/status");
	while (fgets(line, sizeof(line), file))
		if (!strncmp(line, name, strlen(name)))
			mask = strtoull(line + strlen(name), NULL, 16);
	fclose(file);
	return mask;
}

static int count_fds(void)
{
	int fd, count = 0;

	for (fd = 0; fd < 256; fd++)
		count += fcntl(fd, F_GETFD) >= 0;
	return count;
}

static void tell(void)
{
	int fds = count_fds();
	struct burst_attr attr;
	char line[512], *cgroup = "?";
	FILE *file;

	if (get_attr(&attr))
		die("sched_getattr");
	file = fopen("/proc/self/cgroup", "re");
	while (file && fgets(line, sizeof(line), file)) {
		if (strncmp(line, "0::", 3))
			continue;
		line[strcspn(line, "\n")] = 0;
		cgroup = line + 3;
		break;
	}
	printf("burst=%d policy=%u credit=%llu period=%llu nice=%d own=%d blocked=%llx ignored=%llx fds=%d pid=%d cgroup=%s\n",
	       !!(attr.flags & SCHED_FLAG_AGENT_CLASS), attr.policy,
	       (unsigned long long)attr.runtime, (unsigned long long)attr.period,
	       attr.nice, getpriority(PRIO_PROCESS, 0), status_mask("SigBlk:"),
	       status_mask("SigIgn:"), fds, getpid(), cgroup);
	if (file)
		fclose(file);
}

static long long clock_us(clockid_t id)
{
	struct timespec ts;

	clock_gettime(id, &ts);
	return ts.tv_sec * 1000000LL + ts.tv_nsec / 1000;
}

static void work(int cpu, int ms)
{
	long long start, end;
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	if (sched_setaffinity(0, sizeof(set), &set))
		die("sched_setaffinity");
	start = clock_us(CLOCK_MONOTONIC);
	end = clock_us(CLOCK_PROCESS_CPUTIME_ID) + ms * 1000LL;
	while (clock_us(CLOCK_PROCESS_CPUTIME_ID) < end)
		;
	printf("%lld\n", clock_us(CLOCK_MONOTONIC) - start);
}

static void set_nice_limit(int nice)
{
	struct rlimit limit = { nice, nice };

	if (setrlimit(RLIMIT_NICE, &limit))
		die("setrlimit");
}

static void become_nobody(void)
{
	if (setgroups(0, NULL) || setresgid(NOBODY, NOBODY, NOBODY) ||
	    setresuid(NOBODY, NOBODY, NOBODY))
		die("nobody");
}

static void set_policy(int policy)
{
	struct sched_param param = { .sched_priority = policy == SCHED_FIFO };

	if (sched_setscheduler(0, policy, &param))
		die("sched_setscheduler");
}

int main(int argc, char *argv[])
{
	struct burst_attr attr = { .flags = SCHED_FLAG_AGENT_CLASS };
	int i;

	if (argc == 2 && !strcmp(argv[1], "--declare"))
		return !!set_attr(&attr);
	if (argc == 4 && !strcmp(argv[1], "--work")) {
		work(atoi(argv[2]), atoi(argv[3]));
		return 0;
	}

	for (i = 1; i < argc && !strncmp(argv[i], "--", 2); i++) {
		if (!strcmp(argv[i], "--no-class")) {
			if (hide_class(EINVAL))
				die("seccomp");
		} else if (!strcmp(argv[i], "--nobody")) {
			become_nobody();
		} else if (!strcmp(argv[i], "--nice-limit") && argv[i + 1]) {
			set_nice_limit(atoi(argv[++i]));
		} else if (!strcmp(argv[i], "--policy") && argv[i + 1]) {
			set_policy(atoi(argv[++i]));
		} else {
			fprintf(stderr, "tool: what is %s?\n", argv[i]);
			return 1;
		}
	}
	if (i < argc) {
		execvp(argv[i], argv + i);
		die(argv[i]);
	}
	tell();
	return 0;
}
