// SPDX-License-Identifier: GPL-2.0
/*
 * calibrate - how far this guest's clock and CPUs can be trusted
 *
 * calibrate loop
 *	A fixed loop of instructions, timed ten times on one CPU.  Under icount
 *	its nanoseconds are its instructions and repeat; what does not repeat
 *	(the tick inside the window) is what every L1 figure carries as well.
 *
 * calibrate shares N MS
 *	N threads count on N CPUs for MS milliseconds.  On a machine that shares
 *	one instruction stream fairly each has the same count: a share of 1.
 *	Then the barrier: 300 times membarrier(), which interrupts the N-1 others
 *	and waits for them, times a cross-CPU path that patches rarely touch.
 *
 * The harness runs this first in every L1 and L3 boot, and compares boots.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <linux/membarrier.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "kseries.h"

#define MAX_CPUS 64
#define LOOPS 10
#define STEPS 200000
#define BARRIERS 300
#define PAUSE 10000

struct counter {
	unsigned long count;
	char pad[120];		/* a cache line each, prefetch pair included */
};

static struct counter counters[MAX_CPUS];
static atomic_int ready, go, stop_first;

static void die(const char *what)
{
	perror(what);
	exit(1);
}

static void pin(int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	if (sched_setaffinity(0, sizeof(set), &set))
		kseries_skip("CPU %d cannot be used: %s", cpu, strerror(errno));
}

static int loop(void)
{
	struct kseries ks;

	kseries_open(&ks, LOOPS);
	pin(0);
	for (int i = 0; i < LOOPS; i++) {
		uint64_t start = kseries_ns();

		for (volatile int n = 0; n < STEPS; n++)
			;
		kseries_add(&ks, "loop", (double)(kseries_ns() - start));
	}
	return kseries_close(&ks);
}

static void *count(void *arg)
{
	int cpu = (int)(intptr_t)arg;
	volatile unsigned long *counter = &counters[cpu].count;

	pin(cpu);
	atomic_fetch_add(&ready, 1);
	while (!atomic_load_explicit(&go, memory_order_relaxed))
		;
	while (cpu || !atomic_load_explicit(&stop_first, memory_order_relaxed))
		++*counter;
	return NULL;
}

static int shares(int cpus, int milliseconds)
{
	unsigned long before[MAX_CPUS], total = 0;
	struct timespec window = { milliseconds / 1000, milliseconds % 1000 * 1000000L };
	pthread_t threads[MAX_CPUS];
	struct kseries_rng rng;
	struct kseries ks;

	if (cpus < 2 || cpus > MAX_CPUS || cpus > sysconf(_SC_NPROCESSORS_ONLN))
		kseries_skip("%d CPUs wanted, %ld online", cpus, sysconf(_SC_NPROCESSORS_ONLN));
	if (syscall(SYS_membarrier, MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED, 0, 0))
		die("membarrier");
	kseries_open(&ks, (size_t)cpus + 1 + BARRIERS);
	pin(0);
	for (int cpu = 0; cpu < cpus; cpu++) {
		if (pthread_create(&threads[cpu], NULL, count, (void *)(intptr_t)cpu))
			die("pthread_create");
	}
	while (atomic_load(&ready) < cpus)
		usleep(1000);
	atomic_store(&go, 1);
	/* Let the first turns pass, then watch a window that ends in a sleep. */
	usleep(50000);
	for (int cpu = 0; cpu < cpus; cpu++)
		before[cpu] = *(volatile unsigned long *)&counters[cpu].count;
	if (nanosleep(&window, NULL))
		die("nanosleep");
	for (int cpu = 0; cpu < cpus; cpu++) {
		before[cpu] = *(volatile unsigned long *)&counters[cpu].count - before[cpu];
		total += before[cpu];
	}
	for (int cpu = 0; cpu < cpus; cpu++)
		kseries_add(&ks, "share", (double)before[cpu] * cpus / (double)total);
	kseries_add(&ks, "work", (double)total / milliseconds);
	/* The barrier's caller needs CPU 0 for itself. */
	atomic_store(&stop_first, 1);
	if (pthread_join(threads[0], NULL))
		die("pthread_join");
	kseries_rng_seed(&rng, 1);
	for (int i = 0; i < BARRIERS; i++) {
		uint64_t start;

		/* Barriers must meet the round of turns at any phase. */
		for (volatile uint32_t n = kseries_rng_below(&rng, PAUSE); n; n--)
			;
		start = kseries_ns();
		if (syscall(SYS_membarrier, MEMBARRIER_CMD_PRIVATE_EXPEDITED, 0, 0))
			die("membarrier");
		kseries_add(&ks, "barrier", (double)(kseries_ns() - start) / 1e3);
	}
	return kseries_close(&ks);
}

int main(int argc, char **argv)
{
	if (argc == 2 && !strcmp(argv[1], "loop"))
		return loop();
	if (argc == 4 && !strcmp(argv[1], "shares") && atoi(argv[3]) > 0)
		return shares(atoi(argv[2]), atoi(argv[3]));
	fprintf(stderr, "usage: %s loop | shares CPUS MILLISECONDS\n", argv[0]);
	return 2;
}
