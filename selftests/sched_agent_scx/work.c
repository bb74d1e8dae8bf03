// SPDX-License-Identifier: GPL-2.0
/* A load that must survive whatever happens to the scheduler.  See scx.h. */
#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "scx.h"

#define MOST	256	/* processes, and groups, of a case */

struct worker {
	enum kind kind;
	atomic_ulong rounds;
	atomic_int error;
};

static struct worker *workers;		/* shared with them */
static pid_t children[MOST];
static int nr_workers, nr_children;	/* workers are the first children */
static char *groups[MOST];
static int nr_groups;

static const char * const names[] = {
	"hog", "bound hog", "sender", "forking task", "sleeper", "burst", "bound burst",
};

/* --- what they do ---------------------------------------------------------- */

void hog(void *unused)
{
	for (;;)
		spin(10 * MSEC);
}

static void messages(struct worker *w)
{
	char text[100] = "";
	int fds[2];
	pid_t pid;

	if (socketpair(AF_UNIX, SOCK_STREAM, 0, fds)) {
		w->error = errno;
		return;
	}
	pid = fork();
	if (!pid)
		prctl(PR_SET_PDEATHSIG, SIGKILL);
	for (;;) {
		if (pid && write(fds[0], text, sizeof(text)) != sizeof(text))
			break;
		if (read(fds[!pid], text, sizeof(text)) <= 0)
			break;
		if (!pid && write(fds[1], text, sizeof(text)) != sizeof(text))
			break;
		w->rounds++;
	}
	w->error = errno ?: EIO;
}

static void forks(struct worker *w)
{
	for (;;) {
		pid_t pid = fork();

		if (!pid) {
			spin(MSEC / 5);
			_exit(0);
		}
		if (pid < 0 || waitpid(pid, NULL, 0) != pid)
			break;
		w->rounds++;
	}
	w->error = errno ?: EIO;
}

static void sleeper(struct worker *w)
{
	for (;;) {
		nap((1 + w->rounds % 7) * MSEC);
		spin(MSEC / 2);
		w->rounds++;
	}
}

static void burst(struct worker *w)
{
	w->error = -declare(0, BURST_RUNTIME, BURST_PERIOD);
	for (;;) {
		nap(10 * MSEC);
		/* Sometimes more than the credit, so that some are demoted. */
		spin((w->rounds % 5 ? 2 : 10) * MSEC);
		w->rounds++;
	}
}

static void work(void *arg)
{
	struct worker *w = arg;

	switch (w->kind) {
	case MESSAGES:
		messages(w);
		break;
	case FORKS:
		forks(w);
		break;
	case SLEEPER:
		sleeper(w);
		break;
	case BURST:
	case BURST_BOUND:
		burst(w);
		break;
	default:
		for (;;) {
			spin(MSEC);
			w->rounds++;
		}
	}
}

/* --- processes --------------------------------------------------------------- */

pid_t start(const char *group, int cpu, void (*what)(void *), void *arg)
{
	char path[PATH_MAX];
	pid_t pid;

	if (nr_children == MOST)
		return -1;
	fflush(stdout);
	pid = fork();
	if (!pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (group) {
			snprintf(path, sizeof(path), "%s/cgroup.procs", group);
			if (write_file(path, "0"))
				_exit(1);
		}
		if (pin(0, cpu))
			_exit(1);
		what(arg);
		_exit(0);
	}
	if (pid > 0)
		children[nr_children++] = pid;
	return pid;
}

void stop(pid_t pid)
{
	for (int i = 0; i < nr_children; i++) {
		if (children[i] != pid)
			continue;
		children[i] = children[--nr_children];
		kill(pid, SIGKILL);
		waitpid(pid, NULL, 0);
		return;
	}
}

int load_start(const int count[NR_KINDS])
{
	if (!workers)
		workers = shared(MOST * sizeof(*workers));
	for (enum kind kind = 0; kind < NR_KINDS; kind++) {
		bool bound = kind == HOG_BOUND || kind == BURST_BOUND;

		for (int i = 0; i < count[kind]; i++) {
			struct worker *w = &workers[nr_workers];

			w->kind = kind;
			/* Not the first: it cannot be taken offline. */
			if (start(NULL, bound ? 1 + i % (nr_cpus() - 1) : -1, work, w) < 0)
				return -1;
			nr_workers++;
		}
	}
	return 0;
}

static bool all_moved(const unsigned long *before)
{
	for (int i = 0; i < nr_workers; i++)
		if (workers[i].rounds == before[i])
			return false;
	return true;
}

static const char *worker_bad(int i)
{
	static char why[128];
	struct worker *w = &workers[i];
	s64 tokens;

	if (waitpid(children[i], NULL, WNOHANG))
		snprintf(why, sizeof(why), "%s %d is gone", names[w->kind], i);
	else if (w->error)
		snprintf(why, sizeof(why), "%s %d: %s", names[w->kind], i, strerror(w->error));
	else if (w->kind != BURST && w->kind != BURST_BOUND)
		return NULL;
	else if (!is_declared(children[i], BURST_RUNTIME, BURST_PERIOD))
		snprintf(why, sizeof(why), "%s %d has lost its declaration", names[w->kind], i);
	else if ((tokens = agent_counter(children[i], "tokens")) > (s64)BURST_RUNTIME)
		snprintf(why, sizeof(why), "%s %d has %lld ns of credit", names[w->kind], i, tokens);
	else
		return NULL;
	return why;
}

const char *load_check(u64 limit)
{
	unsigned long before[MOST];
	static char why[128];
	const char *bad;
	u64 end;

	for (int i = 0; i < nr_workers; i++)
		before[i] = workers[i].rounds;
	for (end = now() + limit; !all_moved(before) && now() < end; )
		nap(10 * MSEC);
	for (int i = 0; i < nr_workers; i++) {
		bad = worker_bad(i);
		if (bad)
			return bad;
		if (workers[i].rounds == before[i]) {
			snprintf(why, sizeof(why), "%s %d stands still", names[workers[i].kind], i);
			return why;
		}
	}
	return NULL;
}

void load_end(void)
{
	char path[PATH_MAX];

	while (nr_children)
		stop(children[nr_children - 1]);
	nr_workers = 0;
	while (nr_groups) {
		char *group = groups[--nr_groups];

		snprintf(path, sizeof(path), "%s/cgroup.kill", group);
		write_file(path, "1");
		for (int i = 0; i < 500 && rmdir(group) && errno == EBUSY; i++)
			nap(10 * MSEC);
		free(group);
	}
}

/* --- groups ---------------------------------------------------------------------- */

char *make_group(const char *parent, const char *name)
{
	char path[PATH_MAX], *group;

	parent = parent ?: CGROUPS;
	snprintf(path, sizeof(path), "%s/cgroup.subtree_control", parent);
	if (nr_groups == MOST || write_file(path, "+cpu"))
		return NULL;
	if (asprintf(&group, "%s/scx_agent_%s_%d", parent, name, getpid()) < 0)
		return NULL;
	if (mkdir(group, 0755)) {
		free(group);
		return NULL;
	}
	groups[nr_groups++] = group;
	return group;
}

int write_group(const char *group, const char *file, const char *text)
{
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "%s/%s", group, file);
	return write_file(path, text);
}

int read_group(const char *group, const char *file, const char *key, s64 *value)
{
	char path[PATH_MAX], line[128];
	size_t len = strlen(key);
	int ret = -ENOENT;
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", group, file);
	f = fopen(path, "re");
	if (!f)
		return -errno;
	while (fgets(line, sizeof(line), f)) {
		if (strncmp(line, key, len) || line[len] != ' ')
			continue;
		*value = strtoll(line + len, NULL, 10);
		ret = 0;
	}
	fclose(f);
	return ret;
}
