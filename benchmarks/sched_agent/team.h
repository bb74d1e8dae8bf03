/* SPDX-License-Identifier: GPL-2.0 */
/*
 * team.h - the processes of a run: they start together and are ended together
 *
 * Hogs are the batch work: they compute for 500 ms and sleep for 1 ms, again
 * and again.  What they get of the CPUs is what is left to others.
 */
#ifndef TEAM_H
#define TEAM_H

#include <stdint.h>
#include <sys/types.h>

#include "groups.h"
#include "modes.h"

/* One more than the largest team: hogs, bursts, attackers, a victim. */
#define TEAM_MAX 2048

void team_open(void);

/*
 * Start a process: named for people and for BPF schedulers, in its tenant's
 * group, it waits for team_go() and then runs body(argument).  prepare is
 * called before the wait, to take a scheduling class; both may be NULL.
 */
pid_t team_add(const char *name, struct tenant who, void (*prepare)(const struct mode *),
	       const struct mode *mode, void (*body)(void *), void *argument);
void team_hogs(int count, int groups, const struct mode *mode);

/* Let all of them go; the caller runs ahead of everything from here on. */
void team_go(void);

/*
 * Sleep for so long, or until a process says team_done(), or one of them (or
 * the BPF scheduler's program) has ended.
 */
enum team_news { TEAM_TIME, TEAM_DONE, TEAM_LOST };

enum team_news team_wait(uint64_t ns);
void team_done(void);

/* What hogs have had so far: CPU time in ns, and iterations of work. */
struct harvest {
	uint64_t when;
	uint64_t cpu;
	uint64_t iterations;
	uint64_t switches;	/* context switches of the whole machine */
};

struct harvest team_harvest(void);

/* The sum of a counter of /proc/PID/sched over the processes of a name. */
long long team_counter(const char *process, const char *line);

/* The first process with that name, 0: none. */
pid_t team_find(const char *name);

/* Kill and reap all; team_abandon() for those who cannot go on. */
void team_end(void);
void team_abandon(void);

#endif /* TEAM_H */
