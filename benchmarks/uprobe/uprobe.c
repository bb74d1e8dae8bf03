// SPDX-License-Identifier: GPL-2.0
/*
 * What one hit of a uprobe costs, by the instruction that it replaces
 *
 * What it does: calls small functions in a loop, with and without a counting
 * uprobe (perf_event_open, no BPF program, no ring buffer: the cheapest handler
 * that user space can attach) on their first instruction, and prints the
 * difference a call.  The plain loop is measured beside each probed one, in the
 * same sample, so that the calls themselves and the loop cancel out.  In lane
 * L1, where a virtual nanosecond is an instruction, that is the number of
 * instructions a hit.
 *
 * What it does not: tell what a trap costs on a CPU.  A single-step takes two
 * exceptions and two returns instead of one; an instruction count has them for
 * the price of the code in between.
 *
 * usage: uprobe SAMPLES [CALLS]
 */
#define _GNU_SOURCE
#include <errno.h>
#include <linux/perf_event.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "kseries.h"

struct function {
	const char *metric;
	uint8_t code[16];
};

/* Each undoes its first instruction where it must, and returns. */
static const struct function functions[] = {
	/* nopl 0x0(%rax,%rax,1): becomes a call, without a trap */
	{ "nop5", { 0x0f, 0x1f, 0x44, 0x00, 0x00, 0xc3 } },
	/* push %rbp: emulated by every kernel */
	{ "push", { 0x55, 0x5d, 0xc3 } },
	/* sub $0x18,%rsp, as SSL_write() of Debian 12 begins */
	{ "sub_imm8", { 0x48, 0x83, 0xec, 0x18, 0x48, 0x83, 0xc4, 0x18, 0xc3 } },
	/* sub $0x118,%rsp */
	{ "sub_imm32", { 0x48, 0x81, 0xec, 0x18, 0x01, 0, 0,
			 0x48, 0x81, 0xc4, 0x18, 0x01, 0, 0, 0xc3 } },
	/* mov %rsp,%rax: single-stepped by every kernel */
	{ "mov", { 0x48, 0x89, 0xe0, 0xc3 } },
};

#define FUNCTIONS	(sizeof(functions) / sizeof(functions[0]))
#define SPACING		64	/* a cache line each */
#define WARMUP		100	/* calls after each change of the code */

static void fail(const char *what)
{
	perror(what);
	exit(1);
}

static int uprobe_type(void)
{
	FILE *file = fopen("/sys/bus/event_source/devices/uprobe/type", "re");
	int type;

	if (!file || fscanf(file, "%d", &type) != 1)
		kseries_skip("this kernel has no uprobe PMU");
	fclose(file);
	return type;
}

static int probe(int type, int fd, size_t offset)
{
	struct perf_event_attr attr = { .size = sizeof(attr), .type = type };
	char path[64];
	int event;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	attr.uprobe_path = (unsigned long)path;
	attr.probe_offset = offset;
	event = syscall(SYS_perf_event_open, &attr, 0, -1, -1, PERF_FLAG_FD_CLOEXEC);
	if (event < 0 && (errno == EACCES || errno == EPERM))
		kseries_skip("not allowed to attach a uprobe");
	if (event < 0)
		fail("perf_event_open");
	return event;
}

static uint64_t loop(void (*target)(void), long calls)
{
	uint64_t start;

	for (long i = 0; i < WARMUP; i++)
		target();
	start = kseries_ns();
	for (long i = 0; i < calls; i++)
		target();
	return kseries_ns() - start;
}

int main(int argc, char **argv)
{
	long samples = argc > 1 ? strtol(argv[1], NULL, 0) : 0;
	long calls = argc > 2 ? strtol(argv[2], NULL, 0) : 1000;
	int type, fd;
	struct kseries ks;
	uint8_t *map;

	if (samples <= 0 || calls <= 0) {
		fprintf(stderr, "usage: %s SAMPLES [CALLS]\n", argv[0]);
		return 2;
	}
	type = uprobe_type();
	fd = memfd_create("uprobe-bench", MFD_CLOEXEC);
	if (fd < 0 || ftruncate(fd, 4096))
		fail("memfd_create");
	for (size_t i = 0; i < FUNCTIONS; i++)
		if (pwrite(fd, functions[i].code, sizeof(functions[i].code), i * SPACING) < 0)
			fail("pwrite");
	map = mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE, fd, 0);
	if (map == MAP_FAILED)
		fail("mmap");

	kseries_open(&ks, samples * FUNCTIONS);
	for (long s = 0; s < samples; s++) {
		for (size_t i = 0; i < FUNCTIONS; i++) {
			void (*target)(void) = (void (*)(void))(map + i * SPACING);
			uint64_t plain = loop(target, calls), probed;
			int event = probe(type, fd, i * SPACING);
			long long hits;

			probed = loop(target, calls);
			if (read(event, &hits, sizeof(hits)) != sizeof(hits))
				fail("read");
			close(event);
			if (hits != calls + WARMUP) {
				fprintf(stderr, "%s: %lld hits of %ld\n",
					functions[i].metric, hits, calls + WARMUP);
				return 1;
			}
			kseries_add(&ks, functions[i].metric,
				    ((double)probed - (double)plain) / calls);
		}
	}
	return kseries_close(&ks);
}
