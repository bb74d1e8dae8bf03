// SPDX-License-Identifier: GPL-2.0
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "kseries.h"
#include "scheduler.h"
#include "team.h"
#include "work.h"

#define HOG_WORK	(500 * MS)
#define HOG_SLEEP	(1 * MS)
#define HOG_STEP	(MS / 10)	/* how often a hog counts */

/* A hog's iterations, in a cache line of their own. */
struct count {
	volatile uint64_t iterations;
	char pad[120];
};

static struct {
	pid_t pid;
	const char *name;
} team[TEAM_MAX];
static int members;
static int gate[2];
static pid_t owner;
static sigset_t news;

static struct count *counts;
static int hogs;
static atomic_int *ready;

void team_open(void)
{
	owner = getpid();
	sigemptyset(&news);
	sigaddset(&news, SIGCHLD);
	sigaddset(&news, SIGUSR1);
	if (sigprocmask(SIG_BLOCK, &news, NULL) || pipe2(gate, O_CLOEXEC))
		die("setting up");
	counts = shared(TEAM_MAX * sizeof(*counts));
	ready = shared(sizeof(*ready));
	prctl(PR_SET_TIMERSLACK, 1ul);	/* inherited */
}

pid_t team_add(const char *name, struct tenant who, void (*prepare)(const struct mode *),
	       const struct mode *mode, void (*body)(void *), void *argument)
{
	pid_t pid;
	char byte;

	if (members == TEAM_MAX)
		die("more than %d processes", TEAM_MAX);
	fflush(stdout);
	pid = fork();
	if (pid < 0)
		die("fork");
	if (pid) {
		team[members].pid = pid;
		team[members++].name = name;
		return pid;
	}

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	prctl(PR_SET_NAME, name);
	close(gate[1]);
	if (!group_join(who))
		die("%s %d: joining its group", name, who.number);
	if (prepare)
		prepare(mode);
	sigprocmask(SIG_UNBLOCK, &news, NULL);
	atomic_fetch_add(ready, 1);
	/* Ends when all copies of the other end are closed. */
	while (read(gate[0], &byte, 1) > 0 || errno == EINTR)
		;
	body(argument);
	_exit(0);
}

static void hog(void *argument)
{
	struct count *count = argument;
	uint64_t step = work_in(HOG_STEP), all = work_in(HOG_WORK);

	for (;;) {
		for (uint64_t done = 0; done < all; done += step) {
			work(step);
			count->iterations += step;
		}
		nap(HOG_SLEEP);
	}
}

void team_hogs(int count, int groups, const struct mode *mode)
{
	for (int i = 0; i < groups; i++) {
		group_make((struct tenant){ "hog", i });
		mode_group(mode, (struct tenant){ "hog", i }, false);
	}
	for (int i = 0; i < count; i++)
		team_add("hog", (struct tenant){ "hog", groups ? i % groups : 0 },
			 mode_hog, mode, hog, &counts[hogs++]);
}

static void set_policy(int policy, int priority)
{
	struct sched_param param = { .sched_priority = priority };

	if (sched_setscheduler(0, policy, &param))
		die("sched_setscheduler");
}

void team_go(void)
{
	while (atomic_load(ready) < members) {
		if (team_wait(2 * MS) == TEAM_LOST)
			die("a process ended before the start");
	}
	set_policy(SCHED_FIFO, 2);
	close(gate[0]);
	close(gate[1]);
}

enum team_news team_wait(uint64_t ns)
{
	struct timespec time = { (time_t)(ns / 1000000000), (long)(ns % 1000000000) };

	switch (sigtimedwait(&news, NULL, &time)) {
	case SIGUSR1:
		return TEAM_DONE;
	case SIGCHLD:
		return TEAM_LOST;
	default:
		return TEAM_TIME;
	}
}

void team_done(void)
{
	kill(owner, SIGUSR1);
}

struct harvest team_harvest(void)
{
	static char text[256 * 1024];
	struct harvest harvest = { 0 };
	struct timespec time;
	clockid_t clock;
	char *line;
	int hog = 0;

	for (int i = 0; i < members; i++) {
		if (strcmp(team[i].name, "hog"))
			continue;
		if (clock_getcpuclockid(team[i].pid, &clock) || clock_gettime(clock, &time))
			die("the CPU time of hog %d", hog);
		harvest.cpu += (uint64_t)time.tv_sec * 1000000000 + (uint64_t)time.tv_nsec;
		harvest.iterations += counts[hog++].iterations;
	}
	if (!read_file("/proc/stat", text, sizeof(text)) || !(line = strstr(text, "\nctxt ")))
		die("/proc/stat");
	harvest.switches = strtoull(line + 6, NULL, 10);
	harvest.when = kseries_ns();
	return harvest;
}

long long team_counter(const char *process, const char *line)
{
	static char text[64 * 1024];
	char path[64], *at;
	long long sum = 0;

	for (int i = 0; i < members; i++) {
		if (strcmp(team[i].name, process))
			continue;
		snprintf(path, sizeof(path), "/proc/%d/sched", team[i].pid);
		if (!read_file(path, text, sizeof(text)))
			die("%s", path);
		at = strstr(text, line);
		at = at ? strchr(at, ':') : NULL;
		if (!at) {
			errno = 0;
			die("no line %s in %s", line, path);
		}
		sum += strtoll(at + 1, NULL, 10);
	}
	return sum;
}

pid_t team_find(const char *name)
{
	for (int i = 0; i < members; i++)
		if (!strcmp(team[i].name, name))
			return team[i].pid;
	return 0;
}

static void kill_all(void)
{
	for (int i = 0; i < members; i++)
		kill(team[i].pid, SIGKILL);
}

void team_end(void)
{
	kill_all();
	for (int i = 0; i < members; i++)
		waitpid(team[i].pid, NULL, 0);
	while (team_wait(0) != TEAM_TIME)
		;	/* news of a run that is over */
	set_policy(SCHED_OTHER, 0);	/* what follows may be forked from */
	members = 0;
	hogs = 0;
}

void team_abandon(void)
{
	if (getpid() != owner)
		return;
	kill_all();
	scheduler_stop();
}
