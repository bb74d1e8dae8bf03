/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Sites: single instructions in a file of their own, executed with a chosen
 * register file, with and without a uprobe on them.
 *
 * Each site is the instruction under test, a few nops, and `jmp *%rdx`, whose
 * bytes mean `jmp *%edx` in a 32-bit task: one file serves both modes.  The file is a
 * memfd, so that nothing depends on the file system the test lies on.
 */
#ifndef SITE_H
#define SITE_H

/* Registers by their hardware number; DX carries the way back. */
enum { AX, CX, DX, BX, SP, BP, SI, DI };

#define SITE_FILE_SIZE	8192

/* What the 32-bit helper is asked, and what it answers. */
struct regs32 {
	unsigned int r[8];
	unsigned int flags;
};

struct request32 {
	unsigned int offset;	/* of the site in the file */
	struct regs32 in;
};

struct hello32 {
	unsigned int map;	/* where the helper has the file */
	unsigned int stack;	/* a usable stack pointer */
};

#define HELPER_CODE_FD	3
/* As many requests, and their answers, fit into a pipe: no lockstep needed. */
#define HELPER_BATCH	1024

#ifndef __i386__
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct regs64 {
	uint64_t r[16];
	uint64_t flags;
};

struct code {
	int fd;
	uint8_t *map;	/* NULL until code_map() */
};

struct helper {
	pid_t pid;
	int to, from;
	struct hello32 hello;
};

int code_create(struct code *code);
int code_put(struct code *code, size_t offset, const void *bytes, size_t len);
int code_put_site(struct code *code, size_t offset, const void *insn, size_t len);
int code_map(struct code *code);

/* Execute the code at target with the registers in; not re-entrant. */
void site_run(void *target, const struct regs64 *in, struct regs64 *out);
/* The sane value of the stack pointer during site_run(). */
uint64_t site_stack(void);

int helper_start(struct helper *helper, const struct code *code);
/* Run one site with many register files, 0 or -EPIPE if the helper died. */
int helper_run(struct helper *helper, size_t offset, const struct regs32 *in,
	       struct regs32 *out, size_t count);
void helper_stop(struct helper *helper);

#define PROBE_RETURN	1	/* at the return of the function */
#define PROBE_THIS_CPU	2	/* in all tasks, counted on the current CPU */

/*
 * No event is inherited: inherited events change places with those of other
 * tasks at a context switch, and a uprobe's then miss or repeat hits.
 */

/* Probe the file for the task pid (0: this one): an event, or -errno. */
int probe_open(const struct code *code, size_t offset, pid_t pid, int flags);
long long probe_hits(int event);

/*
 * Whether the task has been single-stepped by uprobes: the area with copied
 * instructions is mapped at the first one, and never for an emulated one.
 * (A uretprobe maps it too.)  pid 0: this task; -1: it cannot be told.
 */
int stepped(pid_t pid);

/*
 * Run check(arg) in a child, which starts without that area.  Returns NULL if
 * check() did and the child exited by itself, or else what went wrong.
 */
const char *isolated(const char *(*check)(const void *arg), const void *arg);
/* printf into a static buffer and return it. */
const char *failure(const char *format, ...) __attribute__((format(printf, 1, 2)));
#endif /* !__i386__ */

#endif /* SITE_H */
