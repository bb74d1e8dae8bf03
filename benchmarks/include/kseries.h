/* SPDX-License-Identifier: GPL-2.0 */
/*
 * kseries.h - what a benchmark program needs to talk to the harness
 *
 * A program measures, keeps every sample in memory, and prints them when it
 * is done: no write() happens inside a measured window.  (Under icount the
 * I/O of a guest moves its clock.)
 *
 *	int main(int argc, char **argv)
 *	{
 *		struct kseries ks;
 *		struct kseries_rng rng;
 *
 *		kseries_open(&ks, 300);
 *		kseries_rng_seed(&rng, strtoull(argv[1], NULL, 0));
 *		for (int i = 0; i < 300; i++) {
 *			uint64_t start = kseries_ns();
 *
 *			work(kseries_rng_below(&rng, 100));
 *			kseries_add(&ks, "latency", (kseries_ns() - start) / 1e6);
 *		}
 *		return kseries_close(&ks);
 *	}
 *
 * What is printed, a line each, on stdout (lines of any other form are for
 * people and are ignored):
 *
 *	kseries METRIC VALUE [arm=NAME] [x=NUMBER]
 *	kseries skip REASON		then exit with KSERIES_SKIP
 *	kseries end COUNT		the last line: how many samples there were
 *
 * A run whose last line is missing, or whose COUNT is wrong, is a failed run.
 */
#ifndef KSERIES_H
#define KSERIES_H

#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* The exit status of a skipped run, as in kselftest. */
#define KSERIES_SKIP 4

struct kseries_sample {
	const char *metric;	/* must live until kseries_close() */
	const char *arm;	/* NULL: the arm that the harness started */
	double value;
	double x;		/* NAN: none */
};

struct kseries {
	struct kseries_sample *samples;
	size_t count;
	size_t capacity;
};

/* Make room for capacity samples and touch it, so that adding never faults. */
static inline void kseries_open(struct kseries *ks, size_t capacity)
{
	ks->count = 0;
	ks->capacity = capacity;
	ks->samples = malloc(capacity * sizeof(*ks->samples));
	if (!ks->samples) {
		perror("kseries_open");
		exit(1);
	}
	memset(ks->samples, 0xff, capacity * sizeof(*ks->samples));
}

/* Keep one sample of a named arm at a position of the sweep (NAN: no x). */
static inline void kseries_add_at(struct kseries *ks, const char *metric,
				  double value, const char *arm, double x)
{
	struct kseries_sample *sample;

	if (ks->count == ks->capacity) {
		fprintf(stderr, "kseries_add: over the %zu samples of kseries_open\n",
			ks->capacity);
		exit(1);
	}
	sample = &ks->samples[ks->count++];
	sample->metric = metric;
	sample->arm = arm;
	sample->value = value;
	sample->x = x;
}

/* Keep one sample of the arm that the harness started. */
static inline void kseries_add(struct kseries *ks, const char *metric, double value)
{
	kseries_add_at(ks, metric, value, NULL, NAN);
}

/* Print everything; the return value is the program's exit status. */
static inline int kseries_close(struct kseries *ks)
{
	for (size_t i = 0; i < ks->count; i++) {
		const struct kseries_sample *sample = &ks->samples[i];

		printf("kseries %s %.17g", sample->metric, sample->value);
		if (sample->arm)
			printf(" arm=%s", sample->arm);
		if (!isnan(sample->x))
			printf(" x=%g", sample->x);
		putchar('\n');
	}
	printf("kseries end %zu\n", ks->count);
	free(ks->samples);
	return fflush(stdout) || ferror(stdout) ? 1 : 0;
}

/* Say why this run cannot be done here, and end it. */
static inline void __attribute__((noreturn, format(printf, 1, 2)))
kseries_skip(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	fputs("kseries skip ", stdout);
	vprintf(format, args);
	putchar('\n');
	va_end(args);
	fflush(stdout);
	exit(KSERIES_SKIP);
}

/* Nanoseconds of the guest's clock; virtual time in L1 and L3. */
static inline uint64_t kseries_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000ull + (uint64_t)now.tv_nsec;
}

/*
 * A seeded generator (xorshift64* started through splitmix64): equal seeds
 * give equal sequences on every machine and in every arm.
 */
struct kseries_rng {
	uint64_t state;
};

static inline void kseries_rng_seed(struct kseries_rng *rng, uint64_t seed)
{
	seed += 0x9e3779b97f4a7c15ull;
	seed = (seed ^ (seed >> 30)) * 0xbf58476d1ce4e5b9ull;
	seed = (seed ^ (seed >> 27)) * 0x94d049bb133111ebull;
	seed ^= seed >> 31;
	rng->state = seed ? seed : 1;
}

static inline uint64_t kseries_rng_next(struct kseries_rng *rng)
{
	rng->state ^= rng->state >> 12;
	rng->state ^= rng->state << 25;
	rng->state ^= rng->state >> 27;
	return rng->state * 0x2545f4914f6cdd1dull;
}

/* A number from 0 to limit - 1 (by multiplication: the bias is under 2^-32). */
static inline uint32_t kseries_rng_below(struct kseries_rng *rng, uint32_t limit)
{
	return (uint32_t)(((kseries_rng_next(rng) >> 32) * limit) >> 32);
}

#endif /* KSERIES_H */
