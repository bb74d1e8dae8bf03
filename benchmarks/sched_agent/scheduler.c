// SPDX-License-Identifier: GPL-2.0
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "kseries.h"
#include "scheduler.h"
#include "work.h"

#define STATE	"/sys/kernel/sched_ext/state"
#define OPS	"/sys/kernel/sched_ext/root/ops"
#define LOG	"scheduler.log"	/* in the run's own folder */
#define PATIENCE 3000		/* looks, 10 ms apart */

static pid_t pid;
static char ops[64];

static bool state_is(const char *wanted)
{
	char text[64];

	return read_file(STATE, text, sizeof(text)) &&
	       !strncmp(text, wanted, strlen(wanted));
}

/* The last line that the scheduler wrote and that says something. */
static void last_words(char *reason, unsigned int size)
{
	static char text[64 * 1024];
	char *line, *found = NULL;

	read_file(LOG, text, sizeof(text));
	for (line = strtok(text, "\n"); line; line = strtok(NULL, "\n"))
		if (!found || strstr(line, "EXIT") || strstr(line, "rror"))
			found = line;
	snprintf(reason, size, "%s", found ?: "it said nothing");
}

void scheduler_start(const char *command)
{
	char line[4096], reason[512];
	int fd;

	if (access(STATE, F_OK))
		kseries_skip("the kernel has no sched_ext");
	if (!state_is("disabled"))
		die("another BPF scheduler is loaded");
	snprintf(line, sizeof(line), "exec %s", command);
	pid = fork();
	if (pid < 0)
		die("fork");
	if (!pid) {
		prctl(PR_SET_PDEATHSIG, SIGINT);
		fd = open(LOG, O_WRONLY | O_CREAT | O_TRUNC, 0644);
		if (fd < 0)
			_exit(126);
		dup2(fd, 1);
		dup2(fd, 2);
		execl("/bin/sh", "sh", "-c", line, NULL);
		_exit(127);
	}
	for (int i = 0; i < PATIENCE; i++) {
		if (waitpid(pid, NULL, WNOHANG)) {
			pid = 0;
			last_words(reason, sizeof(reason));
			errno = 0;
			die("%s ended at once: %s", command, reason);
		}
		if (state_is("enabled") && read_file(OPS, ops, sizeof(ops)) && *ops)
			return;
		nap(10 * MS);
	}
	errno = ETIMEDOUT;
	die("%s did not get to rule", command);
}

int scheduler_rules(char *reason, unsigned int size)
{
	char now[64];

	if (!pid || (state_is("enabled") && read_file(OPS, now, sizeof(now)) &&
		     !strcmp(now, ops)))
		return 1;
	/* Its program hears of it a moment later. */
	for (int i = 0; i < 500 && !waitpid(pid, NULL, WNOHANG); i++)
		nap(10 * MS);
	last_words(reason, size);
	return 0;
}

void scheduler_stop(void)
{
	if (!pid)
		return;
	kill(pid, SIGINT);
	waitpid(pid, NULL, 0);
	pid = 0;
	for (int i = 0; i < PATIENCE && !state_is("disabled"); i++)
		nap(10 * MS);
}
