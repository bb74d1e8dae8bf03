// SPDX-License-Identifier: GPL-2.0
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "kseries.h"
#include "team.h"
#include "work.h"

/* Several ticks long, so that what a tick costs is part of the work. */
#define PROBE	(40 * MS)
#define PROBES	5

static double *rates;	/* iterations in a ns, of each CPU */
static double per_ns;

void __attribute__((noinline)) work(uint64_t iterations)
{
	uint64_t value = iterations;

	for (uint64_t i = 0; i < iterations; i++) {
		value = value * 0x5851f42d4c957f2dull + 1;
		__asm__ volatile("" : "+r"(value));
	}
}

uint64_t work_in(uint64_t ns)
{
	return (uint64_t)((double)ns * per_ns);
}

static int ascending(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

/* What this process has run: while a guest still boots, others run as well. */
static uint64_t own_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts);
	return (uint64_t)ts.tv_sec * 1000000000 + ts.tv_nsec;
}

/* What one CPU does in a ns, asked often enough to pass over what disturbs it. */
static double probe(void)
{
	uint64_t iterations = 100000, start, took;
	double found[PROBES];

	for (;;) {
		start = own_ns();
		work(iterations);
		took = own_ns() - start;
		if (took > PROBE / 4)
			break;
		iterations *= 2;
	}
	iterations = iterations * PROBE / took;
	for (int i = 0; i < PROBES; i++) {
		start = own_ns();
		work(iterations);
		found[i] = (double)iterations / (double)(own_ns() - start);
	}
	qsort(found, PROBES, sizeof(*found), ascending);
	return found[PROBES / 2];
}

/*
 * Emulated CPUs share one stream of instructions, of which each gets the less
 * the more others are busy; in what follows all of them are.  Their shares
 * differ, by up to three, with the place of their tick, but do not change.
 */
void work_calibrate(void)
{
	int count = cpus();
	pid_t *pids = calloc(count, sizeof(*pids));
	int done[2];
	char byte = 0;

	rates = shared(count * sizeof(*rates));
	if (!pids || pipe2(done, O_CLOEXEC))
		die("setting up");
	for (int i = 0; i < count; i++) {
		pids[i] = fork();
		if (pids[i] < 0)
			die("fork");
		if (!pids[i]) {
			prctl(PR_SET_PDEATHSIG, SIGKILL);
			pin(i);
			nap(20 * MS);
			rates[i] = probe();
			if (write(done[1], &byte, 1) != 1)
				_exit(1);
			for (;;)	/* the others are not done yet */
				work(1000);
		}
	}
	for (int i = 0; i < count; i++)
		if (read(done[0], &byte, 1) != 1)
			die("a CPU was not calibrated");
	close(done[0]);
	close(done[1]);
	for (int i = 0; i < count; i++) {
		kill(pids[i], SIGKILL);
		waitpid(pids[i], NULL, 0);
		per_ns += rates[i] / count;
	}
	free(pids);
}

void work_as_on(int cpu)
{
	per_ns = rates[cpu];
}

void sleep_until(uint64_t ns)
{
	struct timespec ts = { (time_t)(ns / 1000000000), (long)(ns % 1000000000) };

	while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &ts, NULL) == EINTR)
		;
}

void nap(uint64_t ns)
{
	sleep_until(kseries_ns() + ns);
}

int cpus(void)
{
	return (int)sysconf(_SC_NPROCESSORS_ONLN);
}

void pin(int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	if (sched_setaffinity(0, sizeof(set), &set))
		die("CPU %d cannot be used", cpu);
}

void unpin(void)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	for (int cpu = 0; cpu < cpus(); cpu++)
		CPU_SET(cpu, &set);
	if (sched_setaffinity(0, sizeof(set), &set))
		die("sched_setaffinity to all CPUs");
}

int node_here(void)
{
	unsigned int cpu, node;

	getcpu(&cpu, &node);
	return (int)node;
}

void die(const char *format, ...)
{
	int error = errno;
	va_list args;

	fflush(stdout);
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fprintf(stderr, ": %s\n", error ? strerror(error) : "giving up");
	team_abandon();
	exit(1);
}

bool write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	bool ok = fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text);
	int error = errno;

	if (fd >= 0)
		close(fd);
	errno = error;
	return ok;
}

bool read_file(const char *path, char *text, unsigned int size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t len = 0, got = -1;

	if (fd >= 0) {
		while (len < (ssize_t)size - 1 &&
		       (got = read(fd, text + len, size - 1 - len)) > 0)
			len += got;
		close(fd);
	}
	text[len] = 0;
	return got >= 0;
}

void *shared(unsigned long size)
{
	void *place = mmap(NULL, size, PROT_READ | PROT_WRITE,
			   MAP_SHARED | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);

	if (place == MAP_FAILED)
		die("mmap");
	return place;
}
