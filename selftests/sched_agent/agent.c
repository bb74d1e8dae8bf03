// SPDX-License-Identifier: GPL-2.0
/* See agent.h. */
#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "agent.h"

int attr_set(int pid, const void *attr)
{
	return syscall(SYS_sched_setattr, pid, attr, 0) ? -errno : 0;
}

int attr_get(int pid, struct attr *attr)
{
	memset(attr, 0, sizeof(*attr));
	return syscall(SYS_sched_getattr, pid, attr, sizeof(*attr), 0) ? -errno : 0;
}

struct attr burst_attr(u64 runtime, u64 period, int nice)
{
	return (struct attr){
		.size = sizeof(struct attr),
		.policy = POLICY_NORMAL,
		.flags = SCHED_FLAG_AGENT_CLASS,
		.nice = nice,
		.runtime = runtime,
		.period = period,
	};
}

int declare(int pid, u64 runtime, u64 period, int nice)
{
	struct attr attr = burst_attr(runtime, period, nice);

	return attr_set(pid, &attr);
}

int withdraw(int pid)
{
	struct sched_param param = {};

	return sched_setscheduler(pid, SCHED_OTHER, &param) ? -errno : 0;
}

bool is_declared(int pid)
{
	struct attr attr;

	return !attr_get(pid, &attr) && attr.flags & SCHED_FLAG_AGENT_CLASS;
}

/*
 * The class announces itself by its sysctls, not only by its flag: a kernel
 * that has it and refuses a good declaration is to fail, not to be skipped.
 */
const char *no_agent_class(void)
{
	if (!access(SYSCTL_BUDGET, F_OK))
		return NULL;
	if (declare(0, 0, 0, 0) == -EINVAL)
		return "no agent class in this kernel: its flag is EINVAL";
	withdraw(0);
	return NULL;
}

s64 agent_counter(int pid, const char *name)
{
	s64 value = -ENOENT;
	char path[64], *line = NULL, *colon;
	size_t size = 0, len = strlen(name);
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/sched", pid ?: getpid());
	file = fopen(path, "re");
	if (!file)
		return -errno;
	while (getline(&line, &size, file) > 0) {
		if (strncmp(line, "agent.", 6) || strncmp(line + 6, name, len))
			continue;
		if (!strchr(" :", line[6 + len]))
			continue;
		colon = strchr(line, ':');
		if (colon)
			value = strtoll(colon + 1, NULL, 10);
		break;
	}
	free(line);
	fclose(file);
	return value;
}
