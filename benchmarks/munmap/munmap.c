// SPDX-License-Identifier: GPL-2.0
/*
 * munmap - what a munmap costs while other CPUs run the same address space
 *
 * The process's first thread maps one page, touches it, and unmaps it, again
 * and again, pinned to CPU 0.  On CPUs 1 to sharing-1 threads of the same
 * process spin: each of them has the page table loaded, so each munmap must
 * interrupt them all (a TLB shootdown).  CPUs sharing to busy-1 spin as well,
 * but in processes of their own, which a munmap leaves alone.
 *
 * Why the others: under icount all CPUs share one stream of instructions, so
 * a CPU runs at 1/busy of its speed alone.  With --busy equal in every row
 * only the number of sharers differs between rows, and times compare.
 *
 *   --count ipis   per cycle: interrupts in the TLB row of /proc/interrupts,
 *                  and remote flushes in /proc/vmstat (CONFIG_DEBUG_TLBFLUSH)
 *   --count time   munmap: microseconds of one munmap(), as its caller sees it;
 *                  cost: microseconds of CPU time that one map, touch, unmap
 *                  cycle takes from the whole machine, the CPUs that are
 *                  interrupted included
 *
 * How cost is measured: every spinner counts its turns.  First CPU 0 spins as
 * well, which gives the turns that this machine makes in a microsecond when
 * nothing but its tick disturbs it; then it runs cycles, and the turns that
 * are missing are what the cycles took.  Under icount, where all CPUs share
 * one stream of instructions, that is exact; elsewhere it is a ratio.
 *
 * What it does not measure: the cost of refilling the TLBs (emulated CPUs have
 * none that behaves like a real one), and page-table freeing, because the
 * neighbours of the page keep its page table in use.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "kseries.h"

#define MAX_CPUS 64
/* Samples of cost, the cycles in each (several ticks long), the pace's window. */
#define BLOCKS 15
#define BLOCK_CYCLES 20
#define PACE_US 100000

/* Turns of each CPU's spinner, a cache line each; shared with the processes. */
struct turns {
	volatile uint64_t count;
	char pad[120];
};

static struct turns *turns;
static char *place;
static atomic_int ready;

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

/* No pause instruction: it would hand the CPU's turn on (QEMU, real SMT). */
static void __attribute__((noreturn, noinline)) spin(int cpu)
{
	for (;;)
		turns[cpu].count++;
}

static void *sharer(void *arg)
{
	int cpu = (int)(intptr_t)arg;

	pin(cpu);
	atomic_fetch_add(&ready, 1);
	spin(cpu);
}

/* The sum of a row of /proc/interrupts, which starts with its name. */
static uint64_t interrupts(int fd, const char *row)
{
	static char text[256 * 1024];
	size_t length = 0;
	uint64_t sum = 0;
	ssize_t got;
	char *at;

	if (lseek(fd, 0, SEEK_SET))
		die("lseek /proc/interrupts");
	while ((got = read(fd, text + length, sizeof(text) - 1 - length)) > 0)
		length += (size_t)got;
	text[length] = 0;
	at = strstr(text, row);
	if (!at)
		kseries_skip("no row %s in /proc/interrupts", row);
	at += strlen(row);
	for (;;) {
		char *end;
		uint64_t value = strtoull(at, &end, 10);

		if (end == at)
			return sum;
		sum += value;
		at = end;
	}
}

static uint64_t vmstat(int fd, const char *name)
{
	static char text[64 * 1024];
	size_t length = 0;
	ssize_t got;
	char *at;

	if (lseek(fd, 0, SEEK_SET))
		die("lseek /proc/vmstat");
	while ((got = read(fd, text + length, sizeof(text) - 1 - length)) > 0)
		length += (size_t)got;
	text[length] = 0;
	at = strstr(text, name);
	if (!at)
		kseries_skip("no %s in /proc/vmstat: it needs CONFIG_DEBUG_TLBFLUSH", name);
	return strtoull(at + strlen(name), NULL, 10);
}

/*
 * The place of the page: a hole in a read-only mapping.  Its neighbours have
 * other rights, so that the kernel never merges the page with one of them and
 * splits it off again (which happens, or not, depending on where thread stacks
 * lie, and costs a third of a cycle), and they keep the page table in use.
 */
static char *make_place(void)
{
	size_t size = 4ul << 20;
	char *area = mmap(NULL, size, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	char *table, *spot;

	if (area == MAP_FAILED)
		die("mmap");
	/* One page table covers 2 MiB: take the middle of the first whole one. */
	table = (char *)(((uintptr_t)area + (2ul << 20) - 1) & ~((2ul << 20) - 1));
	if (madvise(area, size, MADV_NOHUGEPAGE))
		die("madvise");
	spot = table + (1ul << 20);
	(void)*(volatile char *)(spot - 4096);
	(void)*(volatile char *)(spot + 4096);
	if (munmap(spot, 4096))
		die("munmap");
	return spot;
}

/* Map, touch, unmap; the nanoseconds of munmap() go to *unmap. */
static void cycle(uint64_t *unmap)
{
	uint64_t start;
	char *page = mmap(place, 4096, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);

	if (page == MAP_FAILED)
		die("mmap");
	*(volatile char *)page = 1;
	start = kseries_ns();
	if (munmap(page, 4096))
		die("munmap");
	*unmap = kseries_ns() - start;
}

static void start_sharers(int sharing)
{
	for (int cpu = 1; cpu < sharing; cpu++) {
		pthread_t thread;

		if (pthread_create(&thread, NULL, sharer, (void *)(intptr_t)cpu))
			die("pthread_create");
	}
	/* Sleep, not spin: the threads that start need the turns. */
	while (atomic_load(&ready) < sharing - 1)
		usleep(1000);
}

static void start_others(int first, int busy, pid_t *pids)
{
	for (int cpu = first; cpu < busy; cpu++) {
		pids[cpu] = fork();
		if (pids[cpu] < 0)
			die("fork");
		if (!pids[cpu]) {
			prctl(PR_SET_PDEATHSIG, SIGKILL);
			pin(cpu);
			spin(cpu);
		}
	}
}

static uint64_t all_turns(int busy)
{
	uint64_t sum = 0;

	for (int cpu = 0; cpu < busy; cpu++)
		sum += turns[cpu].count;
	return sum;
}

/* Turns per nanosecond of the whole machine while it only spins. */
static double learn_pace(int busy)
{
	uint64_t start, before;
	double pace;
	pid_t pid;

	/* CPU 0 must run the very loop that the others run. */
	start_others(0, 1, &pid);
	usleep(PACE_US / 10);
	start = kseries_ns();
	before = all_turns(busy);
	usleep(PACE_US);
	pace = (double)(all_turns(busy) - before);
	pace /= (double)(kseries_ns() - start);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	return pace;
}

/*
 * The clock and the turns of one moment: under icount the turns stand still
 * unless another CPU had its turn while the clock was read, and then it is
 * read again.  Where CPUs really run at once they never stand still, hence
 * the end to trying.
 */
static void snapshot(int busy, uint64_t *ns, uint64_t *made)
{
	uint64_t after;

	for (int tries = 0; tries < 100; tries++) {
		*made = all_turns(busy);
		*ns = kseries_ns();
		after = all_turns(busy);
		if (after == *made)
			return;
	}
}

/* Machine microseconds of one cycle, from the turns missing in a block. */
static double block_cost(int busy, double pace)
{
	uint64_t start, end, before, after, unused;

	snapshot(busy, &start, &before);
	for (int i = 0; i < BLOCK_CYCLES; i++)
		cycle(&unused);
	snapshot(busy, &end, &after);
	return ((double)(end - start) - (double)(after - before) / pace) / BLOCK_CYCLES / 1e3;
}

/* Let the next measurement meet the timer tick at any phase. */
static void random_pause(struct kseries_rng *rng)
{
	for (volatile uint32_t n = kseries_rng_below(rng, 2000); n; n--)
		;
}

static int usage(const char *name)
{
	fprintf(stderr,
		"usage: %s --count ipis|time --sharing N --busy N --samples N [--warmup N] [--seed N]\n",
		name);
	return 2;
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "count", required_argument, NULL, 'c' },
		{ "sharing", required_argument, NULL, 'k' },
		{ "busy", required_argument, NULL, 'b' },
		{ "samples", required_argument, NULL, 'n' },
		{ "warmup", required_argument, NULL, 'w' },
		{ "seed", required_argument, NULL, 's' },
		{ NULL, 0, NULL, 0 },
	};
	int sharing = 0, busy = 0, samples = 0, warmup = 0, option;
	int irq_fd = -1, vm_fd = -1;
	const char *count = "";
	pid_t pids[MAX_CPUS] = { 0 };
	struct kseries_rng rng;
	struct kseries ks;
	uint64_t seed = 1;
	bool ipis;

	while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (option) {
		case 'c': count = optarg; break;
		case 'k': sharing = atoi(optarg); break;
		case 'b': busy = atoi(optarg); break;
		case 'n': samples = atoi(optarg); break;
		case 'w': warmup = atoi(optarg); break;
		case 's': seed = strtoull(optarg, NULL, 0); break;
		default: return usage(argv[0]);
		}
	}
	ipis = !strcmp(count, "ipis");
	if ((!ipis && strcmp(count, "time")) || sharing < 1 || busy < sharing ||
	    busy > MAX_CPUS || samples < 1 || warmup < 0)
		return usage(argv[0]);
	if (busy > sysconf(_SC_NPROCESSORS_ONLN))
		kseries_skip("%d busy CPUs wanted, %ld online", busy,
			     sysconf(_SC_NPROCESSORS_ONLN));
	if (ipis) {
		irq_fd = open("/proc/interrupts", O_RDONLY);
		vm_fd = open("/proc/vmstat", O_RDONLY);
		if (irq_fd < 0 || vm_fd < 0)
			die("open /proc/interrupts, /proc/vmstat");
	}

	place = make_place();
	kseries_rng_seed(&rng, seed);
	kseries_open(&ks, (size_t)samples * 2 + BLOCKS);
	turns = mmap(NULL, MAX_CPUS * sizeof(*turns), PROT_READ | PROT_WRITE,
		     MAP_SHARED | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
	if (turns == MAP_FAILED)
		die("mmap");
	start_others(sharing, busy, pids);
	pin(0);
	start_sharers(sharing);

	for (int i = -warmup; i < samples; i++) {
		uint64_t irqs = 0, flushes = 0, unmap;

		random_pause(&rng);
		if (ipis) {
			flushes = vmstat(vm_fd, "\nnr_tlb_remote_flush ");
			irqs = interrupts(irq_fd, "TLB:");
		}
		cycle(&unmap);
		if (ipis) {
			irqs = interrupts(irq_fd, "TLB:") - irqs;
			flushes = vmstat(vm_fd, "\nnr_tlb_remote_flush ") - flushes;
		}
		if (i < 0)
			continue;
		if (ipis) {
			kseries_add(&ks, "ipis", (double)irqs);
			kseries_add(&ks, "flushes", (double)flushes);
		} else {
			kseries_add(&ks, "munmap", (double)unmap / 1e3);
		}
	}
	if (!ipis) {
		double pace = learn_pace(busy);

		for (int i = 0; i < BLOCKS; i++) {
			random_pause(&rng);
			kseries_add(&ks, "cost", block_cost(busy, pace));
		}
	}

	for (int cpu = sharing; cpu < busy; cpu++) {
		kill(pids[cpu], SIGKILL);
		waitpid(pids[cpu], NULL, 0);
	}
	/* Sharers end with the process. */
	return kseries_close(&ks);
}
