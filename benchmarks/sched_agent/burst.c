// SPDX-License-Identifier: GPL-2.0
/*
 * burst - how long short bursts take beside batch work
 *
 * Bursts sleep, wake up, compute for 4 ms of CPU time, and sleep again for
 * 40 ms, give or take half of it.  Hogs compute all the time.  With --groups N
 * there are N groups of hogs, and each burst has a group of its own, in a tree
 * like that of a node agent; with --groups 0 all share one.  --mode says what is
 * done for the bursts (see modes.h), --scheduler which BPF scheduler rules.
 *
 * A burst is a number of iterations that was found to take its time on the CPU
 * on which its process starts, with all CPUs busy (see work.h).  What is printed:
 *
 *	wake	ms from the moment the timer was set to, to the burst's first
 *		instruction
 *	done	ms from that moment to its last one: what a caller waits for
 *	share	of the CPU time of the machine that hogs had, in percent
 *	rate	hog iterations in a microsecond of hog CPU time
 *	switches  context switches of the machine in a second
 *	local	bursts that began on the node on which their process was started
 *		and has its memory, in percent (machines with several nodes)
 *	denied	wake-ups of declared bursts that the CPU's budget did not allow
 *		to go first (mode agent)
 *	demoted	bursts that ran out of their own credit (mode agent)
 */
#define _GNU_SOURCE
#include <errno.h>
#include <getopt.h>
#include <stdatomic.h>
#include <string.h>
#include <unistd.h>

#include "groups.h"
#include "kseries.h"
#include "modes.h"
#include "scheduler.h"
#include "team.h"
#include "work.h"

struct sample {
	double wake, done;
	bool local;
};

static struct {
	atomic_bool counts;		/* bursts that begin from now on */
	atomic_int taken;
	struct sample samples[];
} *sh;

static struct {
	uint64_t seed;
	double work, gap;		/* ms */
	int samples, hogs, groups, bursts, depth, settle;
	struct mode *mode;
	const char *scheduler, *print;
	bool may_fall;
} option = {
	.seed = 1, .work = 4, .gap = 40, .samples = 100, .hogs = -1, .groups = 0,
	.bursts = 2, .depth = 3, .settle = 1000,
};

/* Which burst this process is. */
static int number, home;

/* Start on a CPU of one's own, and have one's memory there. */
static void take_place(const struct mode *mode)
{
	pin(number % cpus());
	work_as_on(number % cpus());
	home = node_here();
	unpin();
	mode_burst(mode);
}

static void burst(void *argument)
{
	uint64_t iterations = work_in((uint64_t)(option.work * MS)), due, start;
	uint64_t gap = (uint64_t)(option.gap * MS);
	struct kseries_rng rng;
	struct sample sample;
	bool counts;
	int taken;

	(void)argument;
	kseries_rng_seed(&rng, option.seed * 1000 + (uint64_t)number);
	for (;;) {
		counts = atomic_load(&sh->counts);
		due = kseries_ns() + gap / 2 + kseries_rng_below(&rng, (uint32_t)gap);
		sleep_until(due);
		start = kseries_ns();
		sample.local = node_here() == home;
		work(iterations);
		sample.done = (double)(kseries_ns() - due) / MS;
		sample.wake = (double)(start - due) / MS;
		/* Who was under way when counting began would be a long one. */
		if (!counts)
			continue;
		taken = atomic_fetch_add(&sh->taken, 1);
		if (taken < option.samples)
			sh->samples[taken] = sample;
		if (taken == option.samples - 1)
			team_done();
	}
}

static void add(struct kseries *ks, const char *metric, double value)
{
	const char *at = option.print ? strstr(option.print, metric) : metric;
	size_t length = strlen(metric);

	if (at && (!at[length] || at[length] == ','))
		kseries_add(ks, metric, value);
}

static void report(struct kseries *ks, const struct harvest *before,
		   const struct harvest *after)
{
	double wall = (double)(after->when - before->when);
	double cpu = (double)(after->cpu - before->cpu);
	int local = 0;

	for (int i = 0; i < option.samples; i++) {
		add(ks, "wake", sh->samples[i].wake);
		add(ks, "done", sh->samples[i].done);
		local += sh->samples[i].local;
	}
	add(ks, "share", 100 * cpu / wall / cpus());
	add(ks, "rate", (double)(after->iterations - before->iterations) / cpu * 1e3);
	add(ks, "switches", (double)(after->switches - before->switches) / wall * 1e9);
	if (cpus() > 1)
		add(ks, "local", 100.0 * local / option.samples);
}

static int usage(void)
{
	fprintf(stderr,
		"usage: burst [--mode %s]\n"
		"  [--samples N] [--seed N]\n"
		"  [--groups N] [--depth 1|3] [--hogs N (one a group)] [--bursts N]\n"
		"  [--work MS] [--gap MS] [--settle MS]\n"
		"  [--credit MS] [--period MS]          of mode agent\n"
		"  [--scheduler 'PROGRAM ARGUMENTS'] [--may-fall]\n"
		"        a BPF scheduler; may-fall: skip, not fail, if the kernel ends it\n"
		"  [--print METRIC,METRIC...]           these alone\n",
		mode_names());
	return 2;
}

static bool parse(int argc, char **argv)
{
	static const struct option options[] = {
		{ "seed", required_argument, NULL, 's' },
		{ "samples", required_argument, NULL, 'n' },
		{ "mode", required_argument, NULL, 'm' },
		{ "groups", required_argument, NULL, 'g' },
		{ "depth", required_argument, NULL, 'd' },
		{ "hogs", required_argument, NULL, 'h' },
		{ "bursts", required_argument, NULL, 'b' },
		{ "work", required_argument, NULL, 'w' },
		{ "gap", required_argument, NULL, 'p' },
		{ "settle", required_argument, NULL, 't' },
		{ "credit", required_argument, NULL, 'Q' },
		{ "period", required_argument, NULL, 'T' },
		{ "scheduler", required_argument, NULL, 'x' },
		{ "print", required_argument, NULL, 'r' },
		{ "may-fall", no_argument, NULL, 'f' },
		{ NULL, 0, NULL, 0 },
	};
	double credit = 8, period = 40;
	int opt;

	option.mode = mode_find("eevdf");
	while ((opt = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (opt) {
		case 's': option.seed = strtoull(optarg, NULL, 0); break;
		case 'n': option.samples = atoi(optarg); break;
		case 'm': option.mode = mode_find(optarg); break;
		case 'g': option.groups = atoi(optarg); break;
		case 'd': option.depth = atoi(optarg); break;
		case 'h': option.hogs = atoi(optarg); break;
		case 'b': option.bursts = atoi(optarg); break;
		case 'w': option.work = atof(optarg); break;
		case 'p': option.gap = atof(optarg); break;
		case 't': option.settle = atoi(optarg); break;
		case 'Q': credit = atof(optarg); break;
		case 'T': period = atof(optarg); break;
		case 'x': option.scheduler = optarg; break;
		case 'r': option.print = optarg; break;
		case 'f': option.may_fall = true; break;
		default: return false;
		}
	}
	if (option.hogs < 0)
		option.hogs = option.groups;
	mode_agent((uint64_t)(credit * MS), (uint64_t)(period * MS));
	return optind == argc && option.mode && option.samples > 0 && option.bursts > 0 &&
	       option.groups >= 0 && option.hogs >= option.groups &&
	       (option.depth == 1 || option.depth == 3) && option.work > 0 && option.gap > 0;
}

static void start_bursts(void)
{
	for (number = 0; number < option.bursts; number++) {
		group_make((struct tenant){ "burst", number });
		mode_group(option.mode, (struct tenant){ "burst", number }, true);
		team_add("burst", (struct tenant){ "burst", number }, take_place, option.mode,
			 burst, NULL);
	}
}

/* Until all samples are taken, or the scheduler has fallen. */
static void wait_samples(void)
{
	char reason[512];

	while (atomic_load(&sh->taken) < option.samples) {
		if (team_wait(1000 * MS) != TEAM_LOST)
			continue;
		if (scheduler_rules(reason, sizeof(reason))) {
			errno = 0;
			die("a process of the run ended");
		}
		break;
	}
	if (scheduler_rules(reason, sizeof(reason)))
		return;
	if (!option.may_fall) {
		errno = 0;
		die("the kernel ended the BPF scheduler: %s", reason);
	}
	team_end();
	scheduler_stop();
	groups_close();
	kseries_skip("the kernel ended the BPF scheduler: %s", reason);
}

int main(int argc, char **argv)
{
	struct harvest before, after;
	long long denied = 0, demoted = 0;
	bool agent;
	struct kseries ks;

	if (!parse(argc, argv))
		return usage();
	sh = shared(sizeof(*sh) + (size_t)option.samples * sizeof(*sh->samples));
	kseries_open(&ks, 2 * (size_t)option.samples + 6);
	work_calibrate();	/* its children end before anybody listens for that */
	team_open();
	groups_open(option.groups ? option.depth : 0);
	mode_prepare(option.mode);
	if (option.scheduler)
		scheduler_start(option.scheduler);

	team_hogs(option.hogs, option.groups, option.mode);
	start_bursts();
	team_go();
	nap((uint64_t)option.settle * MS);

	agent = mode_is_agent(option.mode);
	if (agent) {
		denied = team_counter("burst", "agent.denied");
		demoted = team_counter("burst", "agent.demoted");
	}
	before = team_harvest();
	atomic_store(&sh->counts, true);
	wait_samples();
	after = team_harvest();
	if (agent) {
		denied = team_counter("burst", "agent.denied") - denied;
		demoted = team_counter("burst", "agent.demoted") - demoted;
	}

	team_end();
	scheduler_stop();
	groups_close();
	report(&ks, &before, &after);
	if (agent) {
		add(&ks, "denied", (double)denied);
		add(&ks, "demoted", (double)demoted);
	}
	return kseries_close(&ks);
}
