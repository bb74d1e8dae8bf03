/* SPDX-License-Identifier: GPL-2.0 */
/*
 * work.h - work that takes a known time, and the small things around it
 *
 * A burst is a number of iterations, not a time that it watches pass: who polls
 * CLOCK_PROCESS_CPUTIME_ID makes the kernel bring its accounts up to date at
 * each look, and so hides what late accounts would do.
 */
#ifndef WORK_H
#define WORK_H

#include <stdbool.h>
#include <stdint.h>

#define MS	1000000ull	/* in ns */

/* Learn how many iterations each CPU makes in a millisecond while all are busy. */
void work_calibrate(void);

/* From now on work_in() means this CPU, not the mean of all. */
void work_as_on(int cpu);

/* The iterations of so many ns, and the work itself. */
uint64_t work_in(uint64_t ns);
void work(uint64_t iterations);

/* Sleep until a moment of kseries_ns(); late by no slack of the timer. */
void sleep_until(uint64_t ns);
void nap(uint64_t ns);

/* CPUs that are online, as the kernel numbers them (0 to count - 1). */
int cpus(void);
void pin(int cpu);
void unpin(void);
int node_here(void);

/* End all that was started, and say what failed. */
void __attribute__((noreturn, format(printf, 1, 2))) die(const char *format, ...);

bool write_file(const char *path, const char *text);
bool read_file(const char *path, char *text, unsigned int size);

/* Anonymous memory that children share. */
void *shared(unsigned long size);

#endif /* WORK_H */
