// SPDX-License-Identifier: GPL-2.0
/*
 * freeze - how long a cgroup takes to freeze
 *
 * One sample is the time from write("1") to cgroup.freeze until a read of
 * cgroup.events says "frozen 1".  --target names what the only task of the
 * cgroup does at that moment:
 *
 *   penalty  it sleeps in the memory.high penalty.  Each sample has a penalty
 *            of its own, and the moment is a random phase of it
 *   idle     it sleeps in pause(): the best that the freezer can do
 *   spin     it runs in user mode
 *   kill     as penalty, but cgroup.kill is written, and the sample ends with
 *            "populated 0": what a supervisor would do instead of freezing
 *
 * The waiter looks every 20 us, from 1 ms on every 2 % of the time waited, and
 * sleeps in between, so that it is not the waiter who keeps the task from
 * freezing on a machine with one CPU.  (poll() on cgroup.events would add up to
 * 10 ms, the rate limit of its notifications.)
 *
 * Before a penalty sample the task must be in state D, in a function of the
 * penalty where wchan tells, and over memory.high.  A moment at which it is
 * not is counted as missed and tried again with the next penalty.
 *
 * Memory is anonymous and may not be swapped, so nothing can be reclaimed, and
 * usage is three times memory.high: each penalty is the longest there is, 2 s.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "kseries.h"

#define CGROUP		"/sys/fs/cgroup/kseries-freeze"
#define RESIDENT	(12UL << 20)	/* bytes charged before memory.high is set */
#define HIGH		"4M"
#define ROOM		(600UL << 20)	/* address space to touch after that */
#define PAGE		4096UL
#define MS		((uint64_t)1000000)
#define PATIENCE	(30000 * MS)	/* longer than anything that works */

enum target { PENALTY, IDLE, SPIN, KILL };

static const char *const targets[] = { "penalty", "idle", "spin", "kill" };

/* Shared with the task that is frozen. */
struct shared {
	atomic_int ready, go;
	atomic_ullong start;	/* when the touch that runs began */
	atomic_ullong touches;	/* that are done */
};

static struct shared *sh;
static pid_t task;

static void __attribute__((noreturn)) die(const char *what)
{
	fprintf(stderr, "freeze: %s: %s\n", what, strerror(errno));
	if (task > 0)
		kill(task, SIGKILL);
	exit(1);
}

static void nap(uint64_t ns)
{
	struct timespec ts = { (time_t)(ns / 1000000000), (long)(ns % 1000000000) };

	nanosleep(&ts, NULL);
}

static bool write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	bool ok = fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text);

	if (fd >= 0)
		close(fd);
	return ok;
}

static void must_write(const char *path, const char *text)
{
	if (!write_file(path, text))
		die(path);
}

static bool read_file(const char *path, char *text, size_t size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t len = fd < 0 ? -1 : read(fd, text, size - 1);

	if (fd >= 0)
		close(fd);
	text[len > 0 ? len : 0] = 0;
	return len >= 0;
}

static void __attribute__((noreturn)) run_task(enum target target)
{
	char *room;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (!write_file(CGROUP "/cgroup.procs", "0"))
		_exit(1);
	room = mmap(NULL, RESIDENT + ROOM, PROT_READ | PROT_WRITE,
		    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (room == MAP_FAILED)
		_exit(1);
	madvise(room, RESIDENT + ROOM, MADV_NOHUGEPAGE);
	memset(room, 1, RESIDENT);
	sh->ready = 1;
	if (target == IDLE)
		for (;;)
			pause();
	if (target == SPIN)
		for (;;)
			sh->touches++;
	while (!sh->go)
		nap(MS);
	for (size_t at = RESIDENT; at < RESIDENT + ROOM; at += PAGE) {
		sh->start = kseries_ns();
		room[at] = 1;
		sh->touches++;
	}
	_exit(1);
}

static void start_task(enum target target)
{
	if (!write_file(CGROUP "/memory.high", "max"))
		die("memory.high");
	sh->ready = 0;
	sh->go = 0;
	sh->touches = 0;
	task = fork();
	if (task < 0)
		die("fork");
	if (!task)
		run_task(target);
	while (!sh->ready) {
		if (waitpid(task, NULL, WNOHANG))
			die("the task ended");
		nap(MS);
	}
	if (target == PENALTY || target == KILL)
		must_write(CGROUP "/memory.high", HIGH);
	sh->go = 1;
}

static bool in_penalty(void)
{
	char path[64], text[512];
	char *state;

	snprintf(path, sizeof(path), "/proc/%d/stat", task);
	if (!read_file(path, text, sizeof(text)))
		return false;
	state = strrchr(text, ')');
	if (!state || state[2] != 'D')
		return false;
	snprintf(path, sizeof(path), "/proc/%d/wchan", task);
	if (!read_file(path, text, sizeof(text)) || !*text || !strcmp(text, "0"))
		return true;	/* not told; state D is all there is */
	return strstr(text, "over_high") || strstr(text, "freezer_sleep");
}

/* Times memory.high was exceeded, from memory.events. */
static long high_events(void)
{
	char text[512], *high;

	if (!read_file(CGROUP "/memory.events", text, sizeof(text)))
		die("memory.events");
	high = strstr(text, "\nhigh ");
	return high ? atol(high + 6) : -1;
}

/*
 * Wait for a penalty that began after touch number seen; false: none came.
 * rest: ns to sleep through first, in which none can come.
 */
static bool wait_penalty(uint64_t seen, uint64_t rest)
{
	uint64_t end = kseries_ns() + PATIENCE;

	nap(rest);
	while (kseries_ns() < end) {
		if (sh->touches > seen && in_penalty())
			return true;
		nap(MS / 2);
	}
	return false;
}

static uint64_t measure_penalty(void)
{
	uint64_t touches, start;

	if (!wait_penalty(0, 0))
		return 0;
	touches = sh->touches;
	start = sh->start;
	while (sh->touches == touches) {
		if (kseries_ns() > start + PATIENCE)
			return 0;
		nap(MS / 2);
	}
	return kseries_ns() - start;
}

/* Write text to control; the time until cgroup.events says wanted, in ns. */
static uint64_t time_event(int control, const char *text, int events, const char *wanted)
{
	uint64_t start = kseries_ns(), end = start;
	char state[256];
	ssize_t len;

	if (write(control, text, 1) != 1)
		die("writing the control file");
	for (;;) {
		len = pread(events, state, sizeof(state) - 1, 0);
		end = kseries_ns();
		if (len < 0)
			die("cgroup.events");
		state[len] = 0;
		if (strstr(state, wanted))
			return end - start;
		if (end - start > PATIENCE) {
			errno = ETIMEDOUT;
			die(wanted);
		}
		nap(end - start < MS ? 20000 : (end - start) / 50);
	}
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "seed", required_argument, NULL, 's' },
		{ "samples", required_argument, NULL, 'n' },
		{ "target", required_argument, NULL, 't' },
		{ NULL, 0, NULL, 0 },
	};
	enum target target = PENALTY;
	struct kseries_rng rng;
	struct kseries ks;
	uint64_t seed = 1, penalty = 0, seen = 0;
	long samples = 200, missed = 0, high;
	int opt, events, control;
	char text[256];

	while ((opt = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (opt) {
		case 's':
			seed = strtoull(optarg, NULL, 0);
			break;
		case 'n':
			samples = atol(optarg);
			break;
		case 't':
			for (target = PENALTY; target <= KILL; target++)
				if (!strcmp(optarg, targets[target]))
					break;
			if (target <= KILL)
				break;
			__attribute__((fallthrough));
		default:
			fprintf(stderr, "usage: freeze [--seed N] [--samples N] "
				"[--target penalty|idle|spin|kill]\n");
			return 2;
		}
	}

	if (!read_file("/sys/fs/cgroup/cgroup.controllers", text, sizeof(text)) ||
	    !strstr(text, "memory"))
		kseries_skip("there is no memory controller in /sys/fs/cgroup");
	must_write("/sys/fs/cgroup/cgroup.subtree_control", "+memory");
	if (mkdir(CGROUP, 0755) && errno != EEXIST)
		die(CGROUP);
	write_file(CGROUP "/memory.swap.max", "0");	/* absent without swap */
	control = open(target == KILL ? CGROUP "/cgroup.kill" : CGROUP "/cgroup.freeze",
		       O_WRONLY | O_CLOEXEC);
	events = open(CGROUP "/cgroup.events", O_RDONLY | O_CLOEXEC);
	sh = mmap(NULL, sizeof(*sh), PROT_READ | PROT_WRITE,
		  MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (control < 0 || events < 0 || sh == MAP_FAILED)
		die("setting up");
	prctl(PR_SET_TIMERSLACK, 1UL);
	kseries_rng_seed(&rng, seed);
	kseries_open(&ks, (size_t)samples + 2);

	start_task(target);
	if (target == PENALTY || target == KILL) {
		penalty = measure_penalty();
		if (penalty < 1000 * MS)
			kseries_skip("a penalty is only %" PRIu64 " ms", penalty / MS);
	}
	high = target == PENALTY ? high_events() : 0;

	for (long i = 0; i < samples; ) {
		uint64_t phase = penalty * (2 + kseries_rng_below(&rng, 96)) / 100;
		uint64_t now, took;

		if (penalty) {
			now = kseries_ns();
			if (!wait_penalty(seen, sh->touches == seen &&
					  now < sh->start + penalty * 9 / 10 ?
					  sh->start + penalty * 9 / 10 - now : 0))
				die("no penalty");
			seen = sh->touches;
			now = kseries_ns();
			if (sh->start + phase > now)
				nap(sh->start + phase - now);
			if (sh->touches != seen || !in_penalty()) {
				if (++missed > samples)
					die("missed too many penalties");
				continue;
			}
		} else {
			nap(10 * MS + phase + kseries_rng_below(&rng, 10 * MS));
		}
		took = time_event(control, "1", events,
				  target == KILL ? "populated 0" : "frozen 1");
		kseries_add(&ks, "latency", (double)took / MS);
		i++;
		if (target == KILL) {
			waitpid(task, NULL, 0);
			seen = 0;
			if (i < samples)
				start_task(target);
		} else {
			time_event(control, "0", events, "frozen 0");
		}
	}
	/* Every penalty must have been for memory.high. */
	if (target == PENALTY && high_events() - high < samples) {
		errno = EINVAL;
		die("memory.events high did not count the penalties");
	}
	kseries_add(&ks, "missed", (double)missed);

	if (target != KILL) {
		kill(task, SIGKILL);
		waitpid(task, NULL, 0);
	}
	close(control);
	close(events);
	for (int i = 0; i < 100 && rmdir(CGROUP); i++)
		nap(10 * MS);
	return kseries_close(&ks);
}
