// SPDX-License-Identifier: GPL-2.0
#define _GNU_SOURCE
#include <errno.h>
#include <sched.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "kseries.h"
#include "modes.h"
#include "work.h"

#ifndef SCHED_DEADLINE
#define SCHED_DEADLINE 6
#endif
#ifndef SCHED_FLAG_AGENT_CLASS
#define SCHED_FLAG_AGENT_CLASS 0x100000000ull
#endif

#define AUTOGROUP "/proc/sys/kernel/sched_autogroup_enabled"

/* struct sched_attr of linux/sched/types.h, which clashes with older sched.h. */
struct attr {
	uint32_t size;
	uint32_t sched_policy;
	uint64_t sched_flags;
	int32_t sched_nice;
	uint32_t sched_priority;
	uint64_t sched_runtime;
	uint64_t sched_deadline;
	uint64_t sched_period;
};

static uint64_t credit = 8 * MS, period = 40 * MS;

static void set(struct attr attr)
{
	attr.size = sizeof(attr);
	if (syscall(SYS_sched_setattr, 0, &attr, 0))
		die("sched_setattr, policy %u flags %#llx", attr.sched_policy,
		    (unsigned long long)attr.sched_flags);
}

static void set_nice(int nice)
{
	if (setpriority(PRIO_PROCESS, 0, nice))
		die("setpriority %d", nice);
}

static void nice_10(void)
{
	set_nice(-10);
}

static void nice_20(void)
{
	set_nice(-20);
}

static void slice(void)
{
	set((struct attr){ .sched_policy = SCHED_OTHER, .sched_runtime = MS / 10 });
}

static void fifo(void)
{
	set((struct attr){ .sched_policy = SCHED_FIFO, .sched_priority = 1 });
}

static void rr(void)
{
	set((struct attr){ .sched_policy = SCHED_RR, .sched_priority = 1 });
}

/* A fifth more than a burst takes, as often as the shortest gap lets it come. */
static void deadline(void)
{
	set((struct attr){ .sched_policy = SCHED_DEADLINE, .sched_runtime = 48 * MS / 10,
			   .sched_deadline = 24 * MS, .sched_period = 24 * MS });
}

static void idle(void)
{
	set((struct attr){ .sched_policy = SCHED_IDLE });
}

static void session(void)
{
	if (setsid() < 0)
		die("setsid");
}

static void agent(void)
{
	set((struct attr){ .sched_policy = SCHED_OTHER, .sched_flags = SCHED_FLAG_AGENT_CLASS,
			   .sched_runtime = credit, .sched_period = period });
}

struct mode {
	const char *name;
	void (*burst)(void);
	void (*hog)(void);
	const char *burst_file, *burst_text;	/* of the pod of a burst */
	const char *hog_file, *hog_text;
	bool autogroup;
};

static struct mode modes[] = {
	{ .name = "eevdf" },
	{ .name = "nice-10", .burst = nice_10 },
	{ .name = "nice-20", .burst = nice_20 },
	{ .name = "slice-100us", .burst = slice },
	{ .name = "fifo", .burst = fifo },
	{ .name = "rr", .burst = rr },
	{ .name = "deadline", .burst = deadline },
	{ .name = "hogs-idle", .hog = idle },
	{ .name = "cpu-idle", .hog_file = "cpu.idle", .hog_text = "1" },
	{ .name = "weight-10000", .burst_file = "cpu.weight", .burst_text = "10000" },
	{ .name = "autogroup", .burst = session, .hog = session, .autogroup = true },
	{ .name = "agent", .burst = agent },
};

#define MODES (sizeof(modes) / sizeof(modes[0]))

struct mode *mode_find(const char *name)
{
	for (size_t i = 0; i < MODES; i++)
		if (!strcmp(modes[i].name, name))
			return &modes[i];
	return NULL;
}

const char *mode_names(void)
{
	static char names[256];

	if (!*names)
		for (size_t i = 0; i < MODES; i++) {
			strcat(names, i ? "|" : "");
			strcat(names, modes[i].name);
		}
	return names;
}

const char *mode_name(const struct mode *mode)
{
	return mode->name;
}

void mode_agent(uint64_t new_credit, uint64_t new_period)
{
	credit = new_credit;
	period = new_period;
}

bool mode_is_agent(const struct mode *mode)
{
	return mode->burst == agent;
}

void mode_prepare(const struct mode *mode)
{
	if ((mode->burst_file || mode->hog_file) && !groups_wanted())
		kseries_skip("%s is a property of groups, and there are none", mode->name);
	if (mode->autogroup) {
		if (groups_wanted())
			kseries_skip("autogroup has no effect on tasks in groups");
		if (!write_file(AUTOGROUP, "1"))
			kseries_skip("the kernel has no CONFIG_SCHED_AUTOGROUP");
	} else {
		write_file(AUTOGROUP, "0");	/* off, or not there */
	}
}

void mode_group(const struct mode *mode, struct tenant who, bool burst)
{
	if (burst && mode->burst_file)
		group_set(who, mode->burst_file, mode->burst_text);
	if (!burst && mode->hog_file)
		group_set(who, mode->hog_file, mode->hog_text);
}

void mode_hog(const struct mode *mode)
{
	if (mode->hog)
		mode->hog();
}

void mode_burst(const struct mode *mode)
{
	if (mode->burst)
		mode->burst();
}

void mode_withdraw(void)
{
	set((struct attr){ .sched_policy = SCHED_OTHER });
}
