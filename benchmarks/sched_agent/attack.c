// SPDX-License-Identifier: GPL-2.0
/*
 * attack - what is left to others when somebody abuses the class for bursts
 *
 * Hogs compute, one a group.  A victim sleeps for 300 ms and computes for 1 ms:
 * it is no burst, and long waits of its own kind are what a scheduler owes to
 * nobody.  Honest bursts (--honest) compute for 4 ms every 40 ms.  Attackers
 * are all that --mode makes of bursts, and want as much CPU as they can get:
 *
 *	greedy		compute for 8 ms, sleep for 4, again and again
 *	dodge		sleep shortly before their credit is used up
 *	spin		never sleep
 *	bomb		keep 500 children in all that compute for 20 ms each
 *	rearm		withdraw and declare again every few ms, never sleep
 *	hop		move to another of 8 cgroups every 4 ms, never sleep
 *	threads		as greedy, in 64 threads in all
 *	yield		call sched_yield() every 0.2 ms
 *	affinity	move to the next CPU every 2 ms, never sleep
 *
 * What is printed, with _KIND behind it if several kinds are named, which
 * then run one after the other:
 *
 *	share	of the CPU time of the machine that hogs had, in percent
 *	wait	longest wait of the victim, in ms: from the moment it wanted to
 *		run until it had run for its 1 ms, without that
 *	early	the same in the first 10 s (runs of 20 s or longer)
 *	late	the same in the last 10 s: does the wait grow?
 *	honest	ms from wake-up to end of each honest burst
 */
#define _GNU_SOURCE
#include <errno.h>
#include <getopt.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "groups.h"
#include "kseries.h"
#include "modes.h"
#include "scheduler.h"
#include "team.h"
#include "work.h"

#define CREDIT		(8 * MS)
#define CHILDREN	500
#define THREADS		64
#define HOPS		8
#define VICTIM_SLEEP	(300 * MS)
#define VICTIM_WORK	(1 * MS)
#define WINDOW		(10000 * MS)

struct wait {
	uint64_t when;	/* since the start */
	double ms;
};

static struct shared_state {
	atomic_bool counts;
	_Atomic uint64_t start;
	_Atomic uint64_t due;		/* when the victim wanted or wants to run */
	atomic_int taken, waits;
	struct wait wait[4096];
	double honest[];
} *sh;

static struct {
	uint64_t seed;
	int samples, hogs, honest, greedy, tenants, seconds;
	bool pin;
	struct mode *mode;
	char *attacks;
	const char *scheduler;
} option = {
	.seed = 1, .samples = 100, .hogs = 16, .honest = 0, .greedy = 1, .tenants = 1,
	.seconds = 10,
};

static int number;
static uint64_t ended;	/* when the run did */

static void work_ns(uint64_t ns)
{
	work(work_in(ns));
}

/* --- attackers --------------------------------------------------------------- */

static void greedy(void *argument)
{
	(void)argument;
	for (;;) {
		work_ns(CREDIT);
		nap(4 * MS);
	}
}

static void dodge(void *argument)
{
	(void)argument;
	for (;;) {
		work_ns(CREDIT * 9 / 10);
		nap(MS / 2);
	}
}

static void spin(void *argument)
{
	(void)argument;
	for (;;)
		work_ns(MS);
}

static void bomb(void *argument)
{
	int children = 0, most = CHILDREN / option.greedy;

	(void)argument;
	for (;;) {
		pid_t pid = fork();

		if (!pid) {
			prctl(PR_SET_PDEATHSIG, SIGKILL);
			work_ns(20 * MS);
			_exit(0);
		}
		if (pid > 0)
			children++;
		while (children && waitpid(-1, NULL, pid < 0 || children >= most ?
					   0 : WNOHANG) > 0)
			children--;
	}
}

static void rearm(void *argument)
{
	(void)argument;
	for (;;) {
		work_ns(3 * MS);
		if (mode_is_agent(option.mode))
			mode_withdraw();
		mode_burst(option.mode);
	}
}

static void hop(void *argument)
{
	(void)argument;
	for (int i = number; ; i++) {
		work_ns(4 * MS);
		group_join((struct tenant){ "hop", i % HOPS });
	}
}

static void *one_thread(void *argument)
{
	greedy(argument);
	return NULL;
}

static void threads(void *argument)
{
	pthread_t thread;

	for (int i = 1; i < THREADS / option.greedy; i++)
		if (pthread_create(&thread, NULL, one_thread, NULL))
			die("pthread_create");
	greedy(argument);
}

static void yield(void *argument)
{
	(void)argument;
	for (;;) {
		work_ns(MS / 5);
		sched_yield();
	}
}

static void affinity(void *argument)
{
	(void)argument;
	for (int cpu = number; ; cpu++) {
		work_ns(2 * MS);
		pin(cpu % cpus());
	}
}

static const struct {
	const char *name;
	void (*body)(void *argument);
} attacks[] = {
	{ "greedy", greedy }, { "dodge", dodge }, { "spin", spin }, { "bomb", bomb },
	{ "rearm", rearm }, { "hop", hop }, { "threads", threads }, { "yield", yield },
	{ "affinity", affinity },
};

#define ATTACKS ((int)(sizeof(attacks) / sizeof(attacks[0])))

static int find_attack(const char *name)
{
	for (int i = 0; i < ATTACKS; i++)
		if (!strcmp(attacks[i].name, name))
			return i;
	return -1;
}

/* --- who is attacked ----------------------------------------------------------- */

static void place_victim(const struct mode *mode)
{
	(void)mode;
	if (option.pin)
		pin(0);
}

static void victim(void *argument)
{
	uint64_t due, took;
	struct wait wait;
	int at;

	(void)argument;
	for (;;) {
		due = kseries_ns() + VICTIM_SLEEP;
		atomic_store(&sh->due, due);
		sleep_until(due);
		work_ns(VICTIM_WORK);
		took = kseries_ns() - due;
		if (!atomic_load(&sh->counts) || due < atomic_load(&sh->start))
			continue;
		wait.when = due - atomic_load(&sh->start);
		wait.ms = took > VICTIM_WORK ? (double)(took - VICTIM_WORK) / MS : 0;
		at = atomic_load(&sh->waits);
		if (at < (int)(sizeof(sh->wait) / sizeof(sh->wait[0]))) {
			sh->wait[at] = wait;
			atomic_store(&sh->waits, at + 1);
		}
	}
}

static void honest(void *argument)
{
	uint64_t due, gap = 40 * MS;
	struct kseries_rng rng;
	bool counts;
	int taken;

	(void)argument;
	kseries_rng_seed(&rng, option.seed * 1000 + (uint64_t)number);
	for (;;) {
		counts = atomic_load(&sh->counts);
		due = kseries_ns() + gap / 2 + kseries_rng_below(&rng, (uint32_t)gap);
		sleep_until(due);
		work_ns(4 * MS);
		if (!counts)
			continue;
		taken = atomic_fetch_add(&sh->taken, 1);
		if (taken < option.samples)
			sh->honest[taken] = (double)(kseries_ns() - due) / MS;
	}
}

/* --- a run --------------------------------------------------------------------- */

/* The longest wait that began in [from, to); what still waits has waited, too. */
static double longest(uint64_t from, uint64_t to)
{
	uint64_t start = atomic_load(&sh->start), due = atomic_load(&sh->due);
	double most = 0;

	due = due > start ? due : start;
	if (due >= start + from && due - start < to && ended > due)
		most = (double)(ended - due) / MS;
	for (int i = 0; i < atomic_load(&sh->waits); i++)
		if (sh->wait[i].when >= from && sh->wait[i].when < to && sh->wait[i].ms > most)
			most = sh->wait[i].ms;
	return most;
}

static const char *metric(const char *name, int attack, bool several)
{
	char *text;

	if (!several)
		return name;
	if (asprintf(&text, "%s_%s", name, attacks[attack].name) < 0)
		die("asprintf");
	return text;	/* lives until the end */
}

static void start_others(int attack)
{
	static const struct tenant victim_tenant = { "victim", 0 };

	group_make(victim_tenant);
	team_add("victim", victim_tenant, place_victim, option.mode, victim, NULL);
	for (number = 0; number < option.honest; number++) {
		struct tenant who = { "honest", number };

		group_make(who);
		mode_group(option.mode, who, true);
		team_add("honest", who, mode_burst, option.mode, honest, NULL);
	}
	if (attacks[attack].body == hop)
		for (int i = 0; i < HOPS; i++)
			group_make((struct tenant){ "hop", i });
	for (number = 0; number < option.greedy; number++) {
		struct tenant who = { "greedy", number % option.tenants };

		group_make(who);
		mode_group(option.mode, who, true);
		team_add("greedy", who, mode_burst, option.mode, attacks[attack].body, NULL);
	}
}

static void check_scheduler(void)
{
	char reason[512];

	errno = 0;
	if (!scheduler_rules(reason, sizeof(reason)))
		die("the kernel ended the BPF scheduler: %s", reason);
}

static void run(struct kseries *ks, int attack, bool several)
{
	uint64_t length = (uint64_t)option.seconds * 1000 * MS, start;
	struct harvest before, after;

	memset(sh, 0, sizeof(*sh));
	team_open();
	groups_open(3);
	mode_prepare(option.mode);
	team_hogs(option.hogs, option.hogs, option.mode);
	start_others(attack);
	team_go();
	nap(500 * MS);

	start = kseries_ns();
	before = team_harvest();
	atomic_store(&sh->start, start);
	atomic_store(&sh->counts, true);
	sleep_until(start + length);
	while (option.honest && atomic_load(&sh->taken) < option.samples) {
		check_scheduler();
		nap(500 * MS);
	}
	after = team_harvest();
	ended = after.when;
	check_scheduler();
	team_end();
	groups_close();

	kseries_add(ks, metric("share", attack, several), 100 * (double)(after.cpu - before.cpu) /
		    (double)(after.when - before.when) / cpus());
	kseries_add(ks, metric("wait", attack, several), longest(0, UINT64_MAX));
	if (length >= 2 * WINDOW) {
		kseries_add(ks, metric("early", attack, several), longest(0, WINDOW));
		kseries_add(ks, metric("late", attack, several),
			    longest(length - WINDOW, UINT64_MAX));
	}
	if (option.honest)
		for (int i = 0; i < option.samples; i++)
			kseries_add(ks, metric("honest", attack, several), sh->honest[i]);
}

static int usage(void)
{
	fprintf(stderr, "usage: attack [--mode %s]\n  [--attack ", mode_names());
	for (int i = 0; i < ATTACKS; i++)
		fprintf(stderr, "%s%s", i ? "|" : "", attacks[i].name);
	fprintf(stderr, "] (several: KIND,KIND,...)\n"
		"  [--greedy N] [--tenants N (cgroups of attackers)] [--seconds N] [--hogs N]\n"
		"  [--honest N] [--samples N (of honest bursts)] [--seed N] [--pin (the victim)]\n"
		"  [--credit MS] [--period MS] [--scheduler 'PROGRAM ARGUMENTS']\n");
	return 2;
}

static bool parse(int argc, char **argv)
{
	static const struct option options[] = {
		{ "seed", required_argument, NULL, 's' },
		{ "samples", required_argument, NULL, 'n' },
		{ "mode", required_argument, NULL, 'm' },
		{ "attack", required_argument, NULL, 'a' },
		{ "greedy", required_argument, NULL, 'g' },
		{ "tenants", required_argument, NULL, 't' },
		{ "seconds", required_argument, NULL, 'l' },
		{ "hogs", required_argument, NULL, 'h' },
		{ "honest", required_argument, NULL, 'o' },
		{ "pin", no_argument, NULL, 'p' },
		{ "credit", required_argument, NULL, 'Q' },
		{ "period", required_argument, NULL, 'T' },
		{ "scheduler", required_argument, NULL, 'x' },
		{ NULL, 0, NULL, 0 },
	};
	double credit = 8, period = 40;
	int opt;

	option.mode = mode_find("eevdf");
	option.attacks = strdup("greedy");
	while ((opt = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (opt) {
		case 's': option.seed = strtoull(optarg, NULL, 0); break;
		case 'n': option.samples = atoi(optarg); break;
		case 'm': option.mode = mode_find(optarg); break;
		case 'a': option.attacks = strdup(optarg); break;
		case 'g': option.greedy = atoi(optarg); break;
		case 't': option.tenants = atoi(optarg); break;
		case 'l': option.seconds = atoi(optarg); break;
		case 'h': option.hogs = atoi(optarg); break;
		case 'o': option.honest = atoi(optarg); break;
		case 'p': option.pin = true; break;
		case 'Q': credit = atof(optarg); break;
		case 'T': period = atof(optarg); break;
		case 'x': option.scheduler = optarg; break;
		default: return false;
		}
	}
	mode_agent((uint64_t)(credit * MS), (uint64_t)(period * MS));
	return optind == argc && option.mode && option.samples > 0 && option.hogs > 0 &&
	       option.greedy >= 0 && option.tenants > 0 && option.honest >= 0 &&
	       option.seconds > 0;
}

int main(int argc, char **argv)
{
	bool several;
	struct kseries ks;

	if (!parse(argc, argv))
		return usage();
	several = strchr(option.attacks, ',');
	sh = shared(sizeof(*sh) + (size_t)option.samples * sizeof(*sh->honest));
	kseries_open(&ks, (size_t)ATTACKS * (4 + (size_t)option.samples));
	work_calibrate();
	if (option.scheduler)
		scheduler_start(option.scheduler);
	for (char *name = strtok(option.attacks, ","); name; name = strtok(NULL, ",")) {
		int attack = find_attack(name);

		if (attack < 0) {
			scheduler_stop();
			return usage();
		}
		run(&ks, attack, several);
	}
	scheduler_stop();
	return kseries_close(&ks);
}
