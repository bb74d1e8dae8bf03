// SPDX-License-Identifier: GPL-2.0
/*
 * Freezing a cgroup whose tasks sleep in the memory.high penalty.
 *
 * A task that charges memory while its cgroup is over memory.high is delayed,
 * by up to 2 s for every 64 pages: on its way back to user mode, or in the
 * middle of a system call or fault that charges more than that.  Two things
 * must hold:
 *
 *  - a freeze does not wait for the delay (the prompt_* cases), and
 *  - the delay stays: neither freezing, thawing nor a signal shortens it, and
 *    freezing and thawing over and over does not start it anew either.
 *
 * Every bound is a share of one delay, which is measured first, because times
 * of an emulated machine mean nothing by themselves.  A delay is taken to be
 * long: where it is not, everything is skipped.  What reclaim can free would
 * not be delayed, so the tests charge anonymous and shmem pages and forbid
 * swap.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/limits.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "../../kselftest.h"
#include "cgroup_util.h"

#define MSEC		1000000LL
#define SEC		1000000000LL
#define RESIDENT	MB(24UL)	/* charged before memory.high is set */
#define HIGH		"8M"		/* so far below that delays are the longest */
#define ROOM		MB(256UL)	/* address space to touch afterwards */
#define THREADS		4
#define PATIENCE	(30 * SEC)	/* nothing takes that long */
#define LONGEST_PENALTY	(2 * SEC)	/* MEMCG_MAX_HIGH_DELAY_JIFFIES of mm/memcontrol.c */
#define AT_ONCE		5		/* cases that run side by side */
#define CYCLE_PAGES	160		/* in the middle of a batch: three delays */

enum job { TOUCH, POPULATE, WRITE };

/* One thread that charges memory.  Times are CLOCK_MONOTONIC, in ns. */
struct slot {
	atomic_int tid;
	atomic_llong start;	/* of the step that runs */
	atomic_llong steps;	/* that are done */
};

/* Shared between the test and the process that is tested. */
struct shared {
	enum job job;
	size_t step;		/* bytes that a step charges */
	int threads;
	int alarm_ms;		/* period of a SIGALRM storm, 0: none */
	atomic_int ready, go;
	atomic_int signals;	/* handled */
	struct slot slot[THREADS];
};

static struct shared *sh;
static char *root_cg, *top, *leaf;	/* top has no processes, leaf is below it */
static long long penalty;		/* the length of one delay */

static long long now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * SEC + ts.tv_nsec;
}

static void nap(long long ns)
{
	struct timespec ts = { ns / SEC, ns % SEC };

	while (ns > 0 && nanosleep(&ts, &ts) && errno == EINTR)
		;
}

/* ---- the process that is tested ---- */

static void count_signal(int sig)
{
	sh->signals++;
}

/*
 * Charges are made in batches of 64 pages for each CPU: on one CPU there is
 * exactly one delay for 64 pages.
 */
static void stay_here(void)
{
	cpu_set_t cpus;

	CPU_ZERO(&cpus);
	CPU_SET(sched_getcpu(), &cpus);
	sched_setaffinity(0, sizeof(cpus), &cpus);
}

static void *charge(void *arg)
{
	struct slot *slot = arg;
	char *room, *p = NULL;
	int fd = -1;

	room = mmap(NULL, ROOM, PROT_READ | PROT_WRITE,
		    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (room == MAP_FAILED)
		exit(1);
	madvise(room, ROOM, MADV_NOHUGEPAGE);
	if (sh->job == WRITE) {
		fd = memfd_create("freeze_high", 0);
		p = mmap(NULL, sh->step, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
		if (fd < 0 || p == MAP_FAILED)
			exit(1);
	}
	slot->tid = syscall(SYS_gettid);
	sh->ready++;
	while (!sh->go)
		nap(MSEC);

	for (size_t at = 0; at + sh->step <= ROOM; at += sh->step) {
		slot->start = now();
		switch (sh->job) {
		case TOUCH:
			room[at] = 1;
			break;
		case POPULATE:
			madvise(room + at, sh->step, MADV_POPULATE_WRITE);
			break;
		case WRITE:
			if (write(fd, p, sh->step) < 0)
				exit(1);
			break;
		}
		slot->steps++;
	}
	pause();
	return NULL;
}

static int tested_process(const char *cgroup, void *arg)
{
	struct sigaction sa = { .sa_handler = count_signal, .sa_flags = SA_RESTART };
	pthread_t thread;
	char *resident;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (sh->threads == 1)
		stay_here();
	sigaction(SIGUSR1, &sa, NULL);
	sigaction(SIGALRM, &sa, NULL);
	resident = mmap(NULL, RESIDENT, PROT_READ | PROT_WRITE,
			MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (resident == MAP_FAILED)
		return 1;
	madvise(resident, RESIDENT, MADV_NOHUGEPAGE);
	memset(resident, 1, RESIDENT);

	for (int i = 1; i < sh->threads; i++)
		if (pthread_create(&thread, NULL, charge, &sh->slot[i]))
			return 1;
	if (sh->alarm_ms) {
		struct itimerval every = {
			.it_interval.tv_usec = sh->alarm_ms * 1000,
			.it_value.tv_usec = sh->alarm_ms * 1000,
		};

		setitimer(ITIMER_REAL, &every, NULL);
	}
	charge(&sh->slot[0]);
	return 0;
}

/* ---- tools of the tests ---- */

#define CHECK(cond, ...)						\
do {									\
	if (!(cond)) {							\
		ksft_print_msg("%s:%d: %s: ", __func__, __LINE__, #cond); \
		printf(__VA_ARGS__);					\
		printf("\n");						\
		goto out;						\
	}								\
} while (0)

static bool wait_until(bool (*done)(void *arg), void *arg, long long limit)
{
	long long end = now() + limit;

	while (!done(arg)) {
		if (now() > end)
			return false;
		nap(MSEC / 2);
	}
	return true;
}

static char task_state(int tid)
{
	char path[64], buf[512], *state;
	ssize_t len;
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/stat", tid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return 0;
	len = read(fd, buf, sizeof(buf) - 1);
	close(fd);
	if (len <= 0)
		return 0;
	buf[len] = 0;
	state = strrchr(buf, ')');
	return state ? state[2] : 0;
}

/*
 * Nothing else makes a thread sleep in the middle of a step.  That it sleeps
 * uninterruptibly is not asked for: test_signals shows what matters about it.
 */
static bool in_penalty(void *arg)
{
	struct slot *slot = arg;
	long long steps = slot->steps;
	char state;

	if (!slot->start)
		return false;
	state = task_state(slot->tid);
	return (state == 'D' || state == 'S') && slot->steps == steps;
}

static bool all_ready(void *arg)
{
	return sh->ready == sh->threads;
}

static bool frozen(void *cgroup)
{
	return !cg_read_strstr(cgroup, "cgroup.events", "frozen 1");
}

static bool empty(void *cgroup)
{
	return !cg_read_strstr(cgroup, "cgroup.events", "populated 0");
}

/* The time from writing cgroup.freeze to frozen 1, or PATIENCE. */
static long long freeze(char *cgroup)
{
	long long start = now();

	if (cg_write(cgroup, "cgroup.freeze", "1"))
		return PATIENCE;
	return wait_until(frozen, cgroup, PATIENCE) ? now() - start : PATIENCE;
}

static int thaw(char *cgroup)
{
	return cg_write(cgroup, "cgroup.freeze", "0");
}

/* Wait until slot 0 is in a delay with at least @left percent of it to come. */
static bool wait_penalty(int left)
{
	struct slot *slot = &sh->slot[0];
	long long end = now() + PATIENCE;

	while (now() < end) {
		if (!wait_until(in_penalty, slot, PATIENCE))
			return false;
		if (now() - slot->start <= penalty * (100 - left) / 100)
			return true;
		nap(penalty / 50);
	}
	return false;
}

/* Start the tested process in @cgroup, with @over's memory.high exceeded. */
static int launch(char *cgroup, char *over, enum job job, size_t step, int threads)
{
	int pid;

	sh->job = job;
	sh->step = step;
	sh->threads = threads;
	sh->ready = 0;
	sh->go = 0;
	sh->signals = 0;
	memset(sh->slot, 0, sizeof(sh->slot));

	/* absent where there is no swap */
	cg_write(cgroup, "memory.swap.max", "0");
	pid = cg_run_nowait(cgroup, tested_process, NULL);
	if (pid < 0)
		return -1;
	if (!wait_until(all_ready, NULL, PATIENCE) ||
	    (over && cg_write(over, "memory.high", HIGH))) {
		kill(pid, SIGKILL);
		waitpid(pid, NULL, 0);
		return -1;
	}
	sh->go = 1;
	return pid;
}

static void finish(int pid, char *cgroup)
{
	if (pid > 0) {
		kill(pid, SIGKILL);
		waitpid(pid, NULL, 0);
	}
	thaw(cgroup);
	thaw(leaf);
	thaw(top);
	cg_write(leaf, "memory.high", "max");
	cg_write(top, "memory.high", "max");
	wait_until(empty, cgroup, PATIENCE);
}

/* The time that @count more steps of slot 0 take, or PATIENCE. */
static long long time_steps(long long count)
{
	struct slot *slot = &sh->slot[0];
	long long start = now(), goal = slot->steps + count;

	while (slot->steps < goal) {
		if (now() - start > PATIENCE)
			return PATIENCE;
		nap(MSEC / 2);
	}
	return now() - start;
}

/* The length of the delay that slot 0 is in, from its beginning. */
static long long rest_of_penalty(void)
{
	long long start = sh->slot[0].start;

	return time_steps(1) == PATIENCE ? PATIENCE : now() - start;
}

/*
 * Freeze three times at different phases of the delay.  Two of three must not
 * wait for it: one may be late on a busy host.
 */
static int prompt(char *frozen_cg, char *cgroup, char *over, enum job job,
		  size_t step, int threads)
{
	long long took, shortest = PATIENCE, longest = 0;
	int ret = KSFT_FAIL;
	int pid, late = 0;

	pid = launch(cgroup, over, job, step, threads);
	CHECK(pid > 0, "cannot start");
	for (int i = 0; i < 3 && late < 2; i++) {
		CHECK(wait_penalty(60), "no delay");
		nap(penalty * i / 30);
		took = freeze(frozen_cg);
		CHECK(took < PATIENCE, "never frozen");
		CHECK(!thaw(frozen_cg), "cannot thaw");
		if (took >= penalty / 5)
			late++;
		if (took < shortest)
			shortest = took;
		if (took > longest)
			longest = took;
	}
	ksft_print_msg("frozen after %lld to %lld ms; a delay is %lld ms\n",
		       shortest / MSEC, longest / MSEC, penalty / MSEC);
	CHECK(late < 2, "late twice");
	ret = KSFT_PASS;
out:
	finish(pid, cgroup);
	return ret;
}

/* ---- a freeze does not wait for the delay ---- */

static int test_prompt(void)
{
	return prompt(leaf, leaf, leaf, TOUCH, PAGE_SIZE, 1);
}

static int test_prompt_threads(void)
{
	return prompt(leaf, leaf, leaf, TOUCH, PAGE_SIZE, THREADS);
}

static int test_prompt_ancestor(void)
{
	return prompt(top, leaf, leaf, TOUCH, PAGE_SIZE, 1);
}

/* memory.high of an ancestor delays, the leaf is frozen, the ancestor is not. */
static int test_prompt_nested(void)
{
	return prompt(leaf, leaf, top, TOUCH, PAGE_SIZE, 1);
}

/* More than 64 pages in one step: the delay happens inside madvise(). */
static int test_prompt_populate(void)
{
	return prompt(leaf, leaf, leaf, POPULATE, MB(1UL), 1);
}

static int test_prompt_write(void)
{
	return prompt(leaf, leaf, leaf, WRITE, MB(1UL), 1);
}

/* The delay for being over memory.swap.high. */
static int test_prompt_swap(void)
{
	long long took;
	int ret = KSFT_FAIL;
	int pid = -1;

	if (cg_read_long(leaf, "memory.swap.current") < 0)
		return KSFT_SKIP;
	pid = launch(leaf, NULL, TOUCH, PAGE_SIZE, 1);
	CHECK(pid > 0, "cannot start");
	CHECK(!cg_write(leaf, "cgroup.freeze", "1"), "cannot freeze");
	CHECK(!cg_write(leaf, "memory.swap.max", "max"), "cannot set memory.swap.max");
	cg_write(leaf, "memory.reclaim", "12M");
	if (cg_read_long(leaf, "memory.swap.current") < MB(4)) {
		ret = KSFT_SKIP;
		goto out;
	}
	CHECK(!cg_write(leaf, "memory.swap.high", "1M"), "cannot set memory.swap.high");
	CHECK(!cg_write(leaf, "memory.swap.max", "0"), "cannot set memory.swap.max");
	CHECK(!thaw(leaf), "cannot thaw");
	/* Out of the freezer first: that is no delay. */
	nap(penalty / 4);
	CHECK(wait_penalty(60), "no delay");
	took = freeze(leaf);
	/* On the base it waits for all that is left, three fifths at least. */
	ksft_print_msg("frozen after %lld ms\n", took / MSEC);
	CHECK(took < penalty / 2, "%lld ms", took / MSEC);
	ret = KSFT_PASS;
out:
	finish(pid, leaf);
	cg_write(leaf, "memory.swap.high", "max");
	return ret;
}

/* A task is moved into a cgroup that is frozen already. */
static int test_prompt_migrate(void)
{
	char *ice = cg_name(top, "ice");
	int ret = KSFT_FAIL;
	long long start;
	int pid = -1;

	CHECK(!cg_create(ice), "cannot create");
	CHECK(freeze(ice) < PATIENCE, "cannot freeze");
	pid = launch(leaf, top, TOUCH, PAGE_SIZE, 1);
	CHECK(pid > 0, "cannot start");
	CHECK(wait_penalty(60), "no delay");
	start = now();
	CHECK(!cg_enter(ice, pid), "cannot move");
	CHECK(wait_until(frozen, ice, PATIENCE), "never frozen");
	ksft_print_msg("frozen after %lld ms\n", (now() - start) / MSEC);
	CHECK(now() - start < penalty / 2, "%lld ms", (now() - start) / MSEC);
	ret = KSFT_PASS;
out:
	finish(pid, leaf);
	wait_until(empty, ice, PATIENCE);
	cg_destroy(ice);
	free(ice);
	return ret;
}

/* ---- the delay stays ---- */

/*
 * Thawed, the task serves what is left of its delay, and then is delayed again.
 * The time that it is frozen does not count.
 */
static int test_penalty_after_thaw(void)
{
	long long start, away, took;
	int ret = KSFT_FAIL;
	int pid;

	pid = launch(leaf, leaf, TOUCH, PAGE_SIZE, 1);
	CHECK(pid > 0, "cannot start");
	CHECK(wait_penalty(80), "no delay");
	start = sh->slot[0].start;
	CHECK(freeze(leaf) < PATIENCE, "never frozen");
	away = now();
	nap(penalty / 4);
	CHECK(!thaw(leaf), "cannot thaw");
	away = now() - away;
	CHECK(time_steps(1) < PATIENCE, "stuck");
	took = now() - start - away;
	ksft_print_msg("%lld ms of %lld ms without the time away\n",
		       took / MSEC, penalty / MSEC);
	CHECK(took > penalty * 9 / 10, "%lld ms", took / MSEC);
	CHECK(took < penalty * 3 / 2, "started anew: %lld ms", took / MSEC);

	CHECK(wait_penalty(80), "no second delay");
	took = rest_of_penalty();
	CHECK(took > penalty * 9 / 10 && took < PATIENCE, "%lld ms", took / MSEC);
	ret = KSFT_PASS;
out:
	finish(pid, leaf);
	return ret;
}

/* What a supervisor does: freeze, raise memory.high, thaw.  Then nothing is owed. */
static int test_raise_high(void)
{
	int ret = KSFT_FAIL;
	long long took;
	int pid;

	pid = launch(leaf, leaf, TOUCH, PAGE_SIZE, 1);
	CHECK(pid > 0, "cannot start");
	CHECK(wait_penalty(80), "no delay");
	CHECK(freeze(leaf) < PATIENCE, "never frozen");
	CHECK(!cg_write(leaf, "memory.high", "max"), "cannot set memory.high");
	CHECK(!thaw(leaf), "cannot thaw");
	took = time_steps(256);
	CHECK(took < penalty / 2, "%lld ms", took / MSEC);
	ret = KSFT_PASS;
out:
	finish(pid, leaf);
	return ret;
}

/*
 * Freeze and thaw all the time while the task charges three batches: @cold ns
 * frozen, then @warm ns thawed.  What counts is a clock that stands still while
 * the cgroup is frozen; without @wait_frozen it hardly ever is, so all counts.
 */
static int cycle(bool wait_frozen, long long cold, long long warm)
{
	struct slot *slot = &sh->slot[0];
	long long plain, took = 0, start, end, goal;
	int ret = KSFT_FAIL;
	int pid, cycles = 0;

	pid = launch(leaf, leaf, TOUCH, PAGE_SIZE, 1);
	CHECK(pid > 0, "cannot start");
	CHECK(wait_penalty(80), "no delay");
	plain = time_steps(CYCLE_PAGES);
	CHECK(plain < PATIENCE, "stuck");

	CHECK(wait_penalty(80), "no delay");
	goal = slot->steps + CYCLE_PAGES;
	end = now() + 2 * PATIENCE;
	while (slot->steps < goal) {
		start = now();
		CHECK(start < end, "no progress: %lld of %d steps in %d cycles",
		      CYCLE_PAGES - (goal - slot->steps), CYCLE_PAGES, cycles);
		nap(warm);
		CHECK(!cg_write(leaf, "cgroup.freeze", "1"), "cannot freeze");
		CHECK(!wait_frozen || wait_until(frozen, leaf, PATIENCE), "never frozen");
		took += now() - start;
		start = now();
		nap(cold);
		CHECK(!thaw(leaf), "cannot thaw");
		if (!wait_frozen)
			took += now() - start;
		cycles++;
	}
	ksft_print_msg("%d pages took %lld ms, and %lld ms with %d cycles\n",
		       CYCLE_PAGES, plain / MSEC, took / MSEC, cycles);
	/*
	 * Behind the first there are two more whole batches.  How many delays
	 * @plain takes beyond that depends on who else charges on this CPU.
	 */
	CHECK(took > 2 * penalty, "shortened to %lld ms", took / MSEC);
	CHECK(took < plain * 2, "prolonged to %lld ms", took / MSEC);
	ret = KSFT_PASS;
out:
	finish(pid, leaf);
	return ret;
}

static int test_cycle_frozen(void)
{
	return cycle(true, penalty / 40, penalty / 20);
}

/* Thawed again at once, often before the task has got as far as to freeze. */
static int test_cycle_fast(void)
{
	return cycle(false, 0, penalty / 40);
}

static int test_signals(void)
{
	int ret = KSFT_FAIL;
	long long took;
	int pid, seen;

	pid = launch(leaf, leaf, TOUCH, PAGE_SIZE, 1);
	CHECK(pid > 0, "cannot start");
	CHECK(wait_penalty(80), "no delay");
	seen = sh->signals;
	for (int i = 0; i < 5; i++) {
		kill(pid, SIGUSR1);
		nap(penalty / 20);
	}
	CHECK(sh->signals == seen, "handled inside the delay");
	took = rest_of_penalty();
	CHECK(took > penalty * 9 / 10 && took < PATIENCE, "%lld ms", took / MSEC);
	CHECK(sh->signals > seen, "not handled");
	ret = KSFT_PASS;
out:
	finish(pid, leaf);
	return ret;
}

static int test_alarm_storm(void)
{
	int ret = KSFT_FAIL;
	long long took;
	int pid;

	sh->alarm_ms = 10;
	pid = launch(leaf, leaf, TOUCH, PAGE_SIZE, 1);
	sh->alarm_ms = 0;
	CHECK(pid > 0, "cannot start");
	CHECK(wait_penalty(80), "no delay");
	took = rest_of_penalty();
	CHECK(took > penalty * 9 / 10 && took < PATIENCE, "%lld ms", took / MSEC);
	CHECK(sh->signals > 0, "no alarm came");
	ret = KSFT_PASS;
out:
	finish(pid, leaf);
	return ret;
}

/* Signals that come before and while the cgroup is frozen. */
static int test_signals_frozen(void)
{
	long long start, away, took;
	int ret = KSFT_FAIL;
	int pid;

	pid = launch(leaf, leaf, TOUCH, PAGE_SIZE, 1);
	CHECK(pid > 0, "cannot start");
	CHECK(wait_penalty(80), "no delay");
	start = sh->slot[0].start;
	kill(pid, SIGUSR1);
	CHECK(freeze(leaf) < PATIENCE, "never frozen");
	away = now();
	kill(pid, SIGUSR1);
	nap(penalty / 10);
	CHECK(frozen(leaf), "a signal thawed it");
	CHECK(!thaw(leaf), "cannot thaw");
	away = now() - away;
	CHECK(time_steps(1) < PATIENCE, "stuck");
	took = now() - start - away;
	CHECK(took > penalty * 9 / 10, "%lld ms", took / MSEC);
	ret = KSFT_PASS;
out:
	finish(pid, leaf);
	return ret;
}

/* A stop waits for the delay, as ever, and does not end it. */
static int test_stop(void)
{
	int ret = KSFT_FAIL;
	long long took;
	int pid;

	pid = launch(leaf, leaf, TOUCH, PAGE_SIZE, 1);
	CHECK(pid > 0, "cannot start");
	CHECK(wait_penalty(80), "no delay");
	kill(pid, SIGSTOP);
	nap(penalty / 10);
	CHECK(task_state(pid) != 'T', "stopped inside the delay");
	kill(pid, SIGCONT);
	took = rest_of_penalty();
	CHECK(took > penalty * 9 / 10 && took < PATIENCE, "%lld ms", took / MSEC);
	ret = KSFT_PASS;
out:
	finish(pid, leaf);
	return ret;
}

static int test_ptrace(void)
{
	int ret = KSFT_FAIL;
	int pid, status;
	long long start;

	pid = launch(leaf, leaf, TOUCH, PAGE_SIZE, 1);
	CHECK(pid > 0, "cannot start");
	CHECK(wait_penalty(80), "no delay");
	start = sh->slot[0].start;
	CHECK(!ptrace(PTRACE_SEIZE, pid, 0, 0), "errno %d", errno);
	CHECK(!ptrace(PTRACE_INTERRUPT, pid, 0, 0), "errno %d", errno);
	CHECK(waitpid(pid, &status, 0) == pid && WIFSTOPPED(status), "no stop");
	CHECK(now() - start > penalty * 9 / 10, "%lld ms", (now() - start) / MSEC);
	CHECK(!ptrace(PTRACE_DETACH, pid, 0, 0), "errno %d", errno);
	CHECK(time_steps(1) < PATIENCE, "stuck");
	ret = KSFT_PASS;
out:
	finish(pid, leaf);
	return ret;
}

/* SIGKILL ends the delay, in a frozen cgroup as well. */
static int test_kill(void)
{
	int ret = KSFT_FAIL;
	long long start;
	int pid;

	for (int i = 0; i < 2; i++) {
		pid = launch(leaf, leaf, TOUCH, PAGE_SIZE, 1);
		CHECK(pid > 0, "cannot start");
		CHECK(wait_penalty(80), "no delay");
		CHECK(!i || freeze(leaf) < PATIENCE, "never frozen");
		start = now();
		kill(pid, SIGKILL);
		CHECK(waitpid(pid, NULL, 0) == pid, "errno %d", errno);
		pid = -1;
		CHECK(now() - start < penalty / 2, "%lld ms", (now() - start) / MSEC);
		finish(-1, leaf);
	}
	ret = KSFT_PASS;
out:
	finish(pid, leaf);
	return ret;
}

/* A pending freeze is no licence to charge without end inside a system call. */
static int test_bounded(void)
{
	int ret = KSFT_FAIL;
	long before, after;
	int pid;

	pid = launch(leaf, leaf, POPULATE, MB(128UL), 1);
	CHECK(pid > 0, "cannot start");
	CHECK(wait_penalty(80), "no delay");
	before = cg_read_long(leaf, "memory.current");
	CHECK(!cg_write(leaf, "cgroup.freeze", "1"), "cannot freeze");
	nap(penalty / 2);
	after = cg_read_long(leaf, "memory.current");
	ksft_print_msg("grew by %ld KiB in half a delay\n", (after - before) / 1024);
	CHECK(after - before < MB(16), "%ld bytes", after - before);
	ret = KSFT_PASS;
out:
	finish(pid, leaf);
	return ret;
}

/* And neither are freezing and thawing while it runs. */
#define ENOUGH_CYCLES	48	/* the base charges 256 KiB in each */

static int test_bounded_cycling(void)
{
	int ret = KSFT_FAIL, pid, cycles;
	long before, after;
	long long end;

	/* A host that is away for most of a round leaves too few cycles to tell. */
	for (int round = 0; ; round++) {
		pid = launch(leaf, leaf, POPULATE, MB(128UL), 1);
		CHECK(pid > 0, "cannot start");
		CHECK(wait_penalty(80), "no delay");
		before = cg_read_long(leaf, "memory.current");
		end = now() + penalty / 2;
		for (cycles = 0; now() < end; cycles++) {
			CHECK(!cg_write(leaf, "cgroup.freeze", "1"), "cannot freeze");
			nap(MSEC);
			CHECK(!thaw(leaf), "cannot thaw");
			nap(MSEC);
		}
		after = cg_read_long(leaf, "memory.current");
		if (cycles >= ENOUGH_CYCLES || round == 4)
			break;
		finish(pid, leaf);
	}
	ksft_print_msg("grew by %ld KiB in half a delay, %d cycles\n",
		       (after - before) / 1024, cycles);
	CHECK(after - before < MB(6), "%ld bytes", after - before);
	ret = KSFT_PASS;
out:
	finish(pid, leaf);
	return ret;
}

/* Freeze and thaw at random while several threads enter and leave delays. */
static int test_race(void)
{
	int ret = KSFT_FAIL;
	unsigned int seed = 1;
	int pid;

	pid = launch(leaf, leaf, TOUCH, PAGE_SIZE, THREADS);
	CHECK(pid > 0, "cannot start");
	CHECK(wait_penalty(60), "no delay");
	for (int i = 0; i < 1000; i++) {
		CHECK(!cg_write(leaf, "cgroup.freeze", i % 2 ? "0" : "1"), "cannot write");
		if (rand_r(&seed) % 4)
			nap(rand_r(&seed) % (2 * MSEC));
		if (i % 100 == 50)
			kill(pid, SIGUSR1);
	}
	CHECK(freeze(leaf) < PATIENCE, "never frozen");
	nap(penalty / 10);
	CHECK(frozen(leaf), "not frozen any more");
	for (int i = 0; i < THREADS; i++)
		CHECK(task_state(sh->slot[i].tid) == 'S', "thread %d: %c", i,
		      task_state(sh->slot[i].tid));
	CHECK(!thaw(leaf), "cannot thaw");
	CHECK(!wait_until(frozen, leaf, penalty / 20), "still frozen");
	CHECK(!cg_write(leaf, "memory.high", "max"), "cannot set memory.high");
	for (int i = 0; i < THREADS; i++) {
		long long steps = sh->slot[i].steps, end = now() + PATIENCE;

		while (sh->slot[i].steps == steps && steps < (long long)(ROOM / PAGE_SIZE) &&
		       now() < end)
			nap(MSEC);
		CHECK(now() < end, "thread %d is stuck", i);
	}
	ret = KSFT_PASS;
out:
	finish(pid, leaf);
	return ret;
}

/* While it is frozen nothing is charged, and no memory stall is counted. */
static int test_frozen_is_quiet(void)
{
	const long long period = SEC * 22 / 10;	/* psi sums up every 2 s */
	char before[256], after[256];
	int ret = KSFT_FAIL;
	long long steps, stall;
	int pid;

	pid = launch(leaf, leaf, TOUCH, PAGE_SIZE, 1);
	CHECK(pid > 0, "cannot start");
	CHECK(wait_penalty(80), "no delay");
	CHECK(freeze(leaf) < PATIENCE, "never frozen");
	steps = sh->slot[0].steps;
	nap(period);
	if (cg_read(leaf, "memory.pressure", before, sizeof(before))) {
		ret = KSFT_SKIP;
		goto out;
	}
	nap(period);
	CHECK(!cg_read(leaf, "memory.pressure", after, sizeof(after)), "cannot read");
	CHECK(sh->slot[0].steps == steps, "it runs");
	CHECK(strstr(before, "total=") && strstr(after, "total="), "no total: %s", after);
	stall = atoll(strstr(after, "total=") + 6) - atoll(strstr(before, "total=") + 6);
	CHECK(stall * 1000 < period / 20, "stalled for %lld us", stall);
	CHECK(atoll(strstr(after, "total=") + 6) > 0, "the delay was not counted");
	ret = KSFT_PASS;
out:
	finish(pid, leaf);
	return ret;
}

#define T(x) { x, #x }
static const struct {
	int (*fn)(void);
	const char *name;
} tests[] = {
	T(test_prompt),
	T(test_prompt_threads),
	T(test_prompt_ancestor),
	T(test_prompt_nested),
	T(test_prompt_populate),
	T(test_prompt_write),
	T(test_prompt_swap),
	T(test_prompt_migrate),
	T(test_penalty_after_thaw),
	T(test_raise_high),
	T(test_cycle_frozen),
	T(test_cycle_fast),
	T(test_signals),
	T(test_alarm_storm),
	T(test_signals_frozen),
	T(test_stop),
	T(test_ptrace),
	T(test_kill),
	T(test_bounded),
	T(test_bounded_cycling),
	T(test_race),
	T(test_frozen_is_quiet),
};
#undef T

static bool measure_penalty(void)
{
	int pid;

	penalty = PATIENCE;
	pid = launch(leaf, leaf, TOUCH, PAGE_SIZE, 1);
	if (pid > 0 && wait_until(in_penalty, &sh->slot[0], PATIENCE))
		penalty = rest_of_penalty();
	finish(pid, leaf);
	ksft_print_msg("a delay is %lld ms\n", penalty / MSEC);
	if (penalty < SEC / 2 || penalty >= PATIENCE)
		return false;
	/* What is over the kernel's own limit was the host's. */
	if (penalty > LONGEST_PENALTY)
		penalty = LONGEST_PENALTY;
	return true;
}

/* Give this process a cgroup tree and shared memory of its own. */
static bool make_room(const char *name)
{
	sh = mmap(NULL, sizeof(*sh), PROT_READ | PROT_WRITE,
		  MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	top = cg_name(root_cg, name);
	leaf = cg_name(top, "leaf");
	return sh != MAP_FAILED && !cg_create(top) &&
	       !cg_write(top, "cgroup.subtree_control", "+memory") && !cg_create(leaf);
}

static void leave_room(void)
{
	cg_destroy(leaf);
	cg_destroy(top);
}

/* A case in a process of its own; what it says goes to a file. */
struct worker {
	pid_t pid;
	FILE *said;
};

static struct worker start_case(size_t i)
{
	struct worker w = { .said = tmpfile() };
	char name[64];
	int ret;

	if (!w.said)
		ksft_exit_fail_msg("no temporary file\n");
	fflush(stdout);
	w.pid = fork();
	if (w.pid)
		return w;
	dup2(fileno(w.said), STDOUT_FILENO);
	snprintf(name, sizeof(name), "freeze_high_%s", tests[i].name);
	if (make_room(name)) {
		ret = tests[i].fn();
		leave_room();
	} else {
		ksft_print_msg("cannot create cgroups\n");
		ret = KSFT_FAIL;
	}
	fflush(stdout);
	_exit(ret);
}

static int end_case(struct worker *w)
{
	char line[512];
	int status;

	if (w->pid < 0 || waitpid(w->pid, &status, 0) != w->pid)
		return KSFT_FAIL;
	rewind(w->said);
	while (fgets(line, sizeof(line), w->said))
		fputs(line, stdout);
	fclose(w->said);
	return WIFEXITED(status) ? WEXITSTATUS(status) : KSFT_FAIL;
}

int main(int argc, char **argv)
{
	struct worker workers[ARRAY_SIZE(tests)];
	size_t chosen[ARRAY_SIZE(tests)], count = 0, started = 0;
	char root[PATH_MAX];

	ksft_print_header();
	if (cg_find_unified_root(root, sizeof(root), NULL))
		ksft_exit_skip("no cgroup v2\n");
	if (cg_read_strstr(root, "cgroup.controllers", "memory"))
		ksft_exit_skip("no memory controller\n");
	if (cg_read_strstr(root, "cgroup.subtree_control", "memory") &&
	    cg_write(root, "cgroup.subtree_control", "+memory"))
		ksft_exit_skip("cannot enable the memory controller\n");

	root_cg = root;
	if (!make_room("freeze_high_test"))
		ksft_exit_fail_msg("cannot create cgroups\n");
	if (!measure_penalty()) {
		leave_room();
		ksft_exit_skip("no delay of half a second and more\n");
	}
	leave_room();

	for (size_t i = 0; i < ARRAY_SIZE(tests); i++) {
		bool wanted = argc == 1;

		for (int j = 1; j < argc; j++)
			wanted |= !strcmp(argv[j], tests[i].name);
		if (wanted)
			chosen[count++] = i;
	}
	ksft_set_plan(count);
	for (size_t i = 0; i < count; i++) {
		/* The cases mostly sleep, so several run at once. */
		for (; started < count && started < i + AT_ONCE; started++)
			workers[started] = start_case(chosen[started]);
		ksft_test_result_report(end_case(&workers[i]), "%s\n", tests[chosen[i]].name);
	}
	ksft_finished();
}
