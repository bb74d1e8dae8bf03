// SPDX-License-Identifier: GPL-2.0
/*
 * Uprobes on `sub $imm,%rsp`: emulated, and without a trace of it.
 *
 * What it does: executes instructions with and without a uprobe on them, and
 * compares all registers and flags; tells emulation from single-stepping by the
 * area that uprobes map for single-stepping alone.  Cases named emulated_* fail
 * on a kernel that single-steps this instruction.  All others hold on any
 * kernel: they say what emulation must not change.
 *
 * What it does not: measure (that is a benchmark), or test shadow stacks, which
 * the instruction does not touch.
 *
 * UPROBE_SUB_SEED chooses the random values; the seed is printed.
 */
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <linux/seccomp.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/user.h>
#include <sys/wait.h>

#include "../../kselftest_harness.h"
#include "site.h"

/* A case takes a second on a CPU, but emulated CPUs can be slow. */
#define CASE(name)	TEST_F_TIMEOUT(sub_sp, name, 120)

FIXTURE(sub_sp) {
};

FIXTURE_SETUP(sub_sp)
{
}

FIXTURE_TEARDOWN(sub_sp)
{
}

#define ARRAY_LEN(a)	(sizeof(a) / sizeof((a)[0]))

#define FLAG_CF		0x001
#define FLAG_ALWAYS	0x002
#define FLAG_TF		0x100
#define FLAG_IF		0x200
#define FLAG_DF		0x400
#define FLAG_RF		0x10000ULL
#define FLAG_AC		0x40000
#define FLAG_ID		0x200000
/* CF, PF, AF, ZF, SF, OF: what sub writes */
#define FLAGS_STATUS	0x8d5

/* A check returns NULL, or what went wrong. */
#define ASSERT_GOOD(check) do {						\
	const char *_why = (check);					\
	ASSERT_EQ(NULL, _why) TH_LOG("%s", _why);			\
} while (0)

enum expect { EMULATED, STEPPED, EITHER };

struct insn {
	uint8_t len;
	uint8_t bytes[15];
	const char *name;
};

#define INSN(name, ...) \
	{ sizeof((uint8_t[]){ __VA_ARGS__ }), { __VA_ARGS__ }, name }

static const struct insn sub_imm8 = INSN("sub $0x18,%rsp", 0x48, 0x83, 0xec, 0x18);
static const struct insn sub_imm32 =
	INSN("sub $0x1018,%rsp", 0x48, 0x81, 0xec, 0x18, 0x10, 0, 0);

/* ------------------------------------------------------------------------- */
/* One instruction, many register files, probe off and on.                   */

struct check {
	const struct insn *insn;
	enum expect expect;
	bool compat;		/* in the 32-bit helper */
	size_t offset;		/* of the site in its file */
	size_t count;		/* of stack pointers and flags, or 0: one sane pair */
	const uint64_t (*values)[2];
};

static uint64_t splitmix(uint64_t *state)
{
	uint64_t z = *state += 0x9e3779b97f4a7c15ull;

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
	return z ^ (z >> 31);
}

/* Where a check executes: this task, or the 32-bit helper. */
struct place {
	struct code code;
	struct helper helper;
	bool compat;
};

static void registers(struct regs64 *regs, uint64_t sp, uint64_t flags)
{
	/* A distinct pattern in each register shows a write to a wrong one. */
	for (int i = 0; i < 16; i++)
		regs->r[i] = 0x1122334455667780ull + i * 0x0101010101010101ull;
	regs->r[SP] = sp;
	regs->flags = flags | FLAG_ALWAYS | FLAG_IF;
}

static int place_run(struct place *place, size_t offset, const uint64_t (*values)[2],
		     size_t count, struct regs64 *out)
{
	struct regs32 *in32, *out32;
	struct regs64 in;
	int err;

	if (!place->compat) {
		for (size_t i = 0; i < count; i++) {
			registers(&in, values[i][0], values[i][1]);
			if (values[i][0] == site_stack())	/* an operand in memory */
				*(volatile uint64_t *)site_stack() = 0x1234;
			site_run(place->code.map + offset, &in, &out[i]);
		}
		return 0;
	}
	in32 = calloc(count, sizeof(*in32));
	out32 = calloc(count, sizeof(*out32));
	if (!in32 || !out32)
		return -ENOMEM;
	for (size_t i = 0; i < count; i++) {
		registers(&in, values[i][0], values[i][1]);
		for (int r = 0; r < 8; r++)
			in32[i].r[r] = in.r[r];
		in32[i].flags = in.flags;
	}
	err = helper_run(&place->helper, offset, in32, out32, count);
	memset(out, 0, count * sizeof(*out));
	for (size_t i = 0; i < count; i++) {
		for (int r = 0; r < 8; r++)
			out[i].r[r] = out32[i].r[r];
		out[i].flags = out32[i].flags;
	}
	free(in32);
	free(out32);
	return err;
}

static const char *differs(const struct regs64 *native, const struct regs64 *probed)
{
	if (native->flags != probed->flags)
		return failure("flags %#llx native, %#llx probed",
			       (unsigned long long)native->flags,
			       (unsigned long long)probed->flags);
	for (int i = 0; i < 16; i++)
		if (native->r[i] != probed->r[i])
			return failure("register %d: %#llx native, %#llx probed", i,
				       (unsigned long long)native->r[i],
				       (unsigned long long)probed->r[i]);
	return NULL;
}

static const char *check_values(struct place *place, const struct check *check,
				struct regs64 *native, bool probed)
{
	const uint64_t sane[1][2] = {
		{ place->compat ? place->helper.hello.stack : site_stack(), FLAG_CF },
	};
	const uint64_t (*values)[2] = check->count ? check->values : sane;
	size_t count = check->count ?: 1;
	struct regs64 *out = probed ? calloc(count, sizeof(*out)) : native;

	if (!out || place_run(place, check->offset, values, count, out))
		return failure("%s: the helper died", check->insn->name);
	for (size_t i = 0; probed && i < count; i++) {
		const char *why = differs(&native[i], &out[i]);
		char copy[256];

		if (!why)
			continue;
		snprintf(copy, sizeof(copy), "%s", why);
		return failure("%s at sp %#llx flags %#llx: %s", check->insn->name,
			       (unsigned long long)values[i][0],
			       (unsigned long long)values[i][1], copy);
	}
	if (probed)
		free(out);
	return NULL;
}

/*
 * Which status flags native runs have left set and clear, over all children of
 * a case: a table that never reaches a flag would not test it.
 */
struct coverage {
	uint64_t set, clear;
};
static struct coverage *coverage;

static const char *coverage_begin(void)
{
	coverage = mmap(NULL, sizeof(*coverage), PROT_READ | PROT_WRITE,
			MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	return coverage == MAP_FAILED ? failure("mmap: %s", strerror(errno)) : NULL;
}

static void coverage_add(const struct regs64 *native, size_t count)
{
	for (size_t i = 0; coverage && i < count; i++) {
		coverage->set |= native[i].flags;
		coverage->clear |= ~native[i].flags;
	}
}

static const char *coverage_end(void)
{
	uint64_t both = coverage->set & coverage->clear;

	if ((both & FLAGS_STATUS) == FLAGS_STATUS)
		return NULL;
	return failure("the values reach only the flags %#llx",
		       (unsigned long long)(both & FLAGS_STATUS));
}

static const char *check_insn(const void *arg)
{
	const struct check *check = arg;
	struct place place = { .compat = check->compat };
	size_t count = check->count ?: 1;
	struct regs64 *native = calloc(count, sizeof(*native));
	const char *why;
	long long hits;
	int event, step;
	pid_t pid;

	if (!native || code_create(&place.code) ||
	    code_put_site(&place.code, check->offset, check->insn->bytes,
			  check->insn->len) ||
	    code_map(&place.code))
		return failure("no site: %s", strerror(errno));
	if (place.compat && helper_start(&place.helper, &place.code))
		return failure("the 32-bit helper did not start");
	pid = place.compat ? place.helper.pid : 0;

	why = check_values(&place, check, native, false);
	if (why)
		return why;
	coverage_add(native, count);

	event = probe_open(&place.code, check->offset, pid, 0);
	if (event < 0)
		return failure("%s: no probe: %s", check->insn->name, strerror(-event));
	why = check_values(&place, check, native, true);
	if (why)
		return why;
	hits = probe_hits(event);
	if (hits != (long long)count)
		return failure("%s: %lld hits of %zu", check->insn->name, hits, count);
	step = stepped(pid);
	if (step < 0 || (check->expect == EMULATED && step) ||
	    (check->expect == STEPPED && !step))
		return failure("%s: %s", check->insn->name,
			       step < 0 ? "cannot read the maps" :
			       step ? "was single-stepped" : "was not single-stepped");

	/* Without the probe, the file's bytes are back. */
	close(event);
	if (!place.compat && memcmp(place.code.map + check->offset, check->insn->bytes,
				    check->insn->len))
		return failure("%s: its bytes did not come back", check->insn->name);
	why = check_values(&place, check, native, true);
	if (place.compat)
		helper_stop(&place.helper);
	free(native);
	return why;
}

static const char *check_all(const struct insn *insns, size_t count,
			     enum expect expect, bool compat)
{
	for (size_t i = 0; i < count; i++) {
		struct check check = { .insn = &insns[i], .expect = expect,
				       .compat = compat };
		const char *why = isolated(check_insn, &check);

		if (why)
			return why;
	}
	return NULL;
}

/* ------------------------------------------------------------------------- */
/* What is emulated.                                                          */

CASE(emulated_imm8)
{
	static const struct insn insns[] = {
		INSN("sub $0x18,%rsp", 0x48, 0x83, 0xec, 0x18),
		INSN("sub $0x8,%rsp", 0x48, 0x83, 0xec, 0x08),
		INSN("sub $0,%rsp", 0x48, 0x83, 0xec, 0),
		INSN("sub $0x7f,%rsp", 0x48, 0x83, 0xec, 0x7f),
	};

	ASSERT_GOOD(check_all(insns, ARRAY_LEN(insns), EMULATED, false));
}

CASE(emulated_imm32)
{
	static const struct insn insns[] = {
		INSN("sub $0x1018,%rsp", 0x48, 0x81, 0xec, 0x18, 0x10, 0, 0),
		INSN("sub $8,%rsp (imm32)", 0x48, 0x81, 0xec, 8, 0, 0, 0),
		INSN("sub $0x7fffffff,%rsp", 0x48, 0x81, 0xec, 0xff, 0xff, 0xff, 0x7f),
	};

	ASSERT_GOOD(check_all(insns, ARRAY_LEN(insns), EMULATED, false));
}

CASE(emulated_negative)
{
	static const struct insn insns[] = {
		INSN("sub $-0x80,%rsp", 0x48, 0x83, 0xec, 0x80),
		INSN("sub $-1,%rsp", 0x48, 0x83, 0xec, 0xff),
		INSN("sub $-1,%rsp (imm32)", 0x48, 0x81, 0xec, 0xff, 0xff, 0xff, 0xff),
		INSN("sub $-0x80000000,%rsp", 0x48, 0x81, 0xec, 0, 0, 0, 0x80),
	};

	ASSERT_GOOD(check_all(insns, ARRAY_LEN(insns), EMULATED, false));
}

CASE(emulated_32bit)
{
	static const struct insn insns[] = {
		INSN("sub $0x18,%esp", 0x83, 0xec, 0x18),
		INSN("sub $-0x80,%esp", 0x83, 0xec, 0x80),
		INSN("sub $0x1018,%esp", 0x81, 0xec, 0x18, 0x10, 0, 0),
		INSN("sub $-1,%esp (imm32)", 0x81, 0xec, 0xff, 0xff, 0xff, 0xff),
	};

	ASSERT_GOOD(check_all(insns, ARRAY_LEN(insns), EMULATED, true));
}

CASE(emulated_across_pages)
{
	struct check check = { .insn = &sub_imm32, .expect = EMULATED };

	for (check.offset = 4096 - 6; check.offset < 4096; check.offset++)
		ASSERT_GOOD(isolated(check_insn, &check));
}

/* ------------------------------------------------------------------------- */
/* What is left alone: it must behave as natively, and be single-stepped.    */

CASE(left_alone_prefixes)
{
	static const struct insn insns[] = {
		INSN("66 sub $0x1018,%sp", 0x66, 0x81, 0xec, 0x18, 0x10),
		INSN("66 sub $0x18,%sp", 0x66, 0x83, 0xec, 0x18),
		INSN("66 rex.w sub", 0x66, 0x48, 0x83, 0xec, 0x18),
		INSN("67 rex.w sub", 0x67, 0x48, 0x83, 0xec, 0x18),
		INSN("repne rex.w sub", 0xf2, 0x48, 0x83, 0xec, 0x18),
		INSN("rep rex.w sub", 0xf3, 0x48, 0x83, 0xec, 0x18),
		INSN("fs rex.w sub", 0x64, 0x48, 0x83, 0xec, 0x18),
		INSN("gs rex.w sub", 0x65, 0x48, 0x83, 0xec, 0x18),
		INSN("67 sub $0x18,%esp", 0x67, 0x83, 0xec, 0x18),
	};

	ASSERT_GOOD(check_all(insns, ARRAY_LEN(insns), STEPPED, false));
}

CASE(left_alone_esp)
{
	/* In 64-bit mode these clear the upper half of %rsp. */
	static const struct insn insns[] = {
		INSN("sub $0x18,%esp", 0x83, 0xec, 0x18),
		INSN("sub $0x1018,%esp", 0x81, 0xec, 0x18, 0x10, 0, 0),
		INSN("rex sub $0x18,%esp", 0x40, 0x83, 0xec, 0x18),
	};

	ASSERT_GOOD(check_all(insns, ARRAY_LEN(insns), STEPPED, false));
}

CASE(left_alone_rex)
{
	static const struct insn insns[] = {
		INSN("sub $0x18,%r12", 0x49, 0x83, 0xec, 0x18),
		INSN("sub $0x1018,%r12", 0x49, 0x81, 0xec, 0x18, 0x10, 0, 0),
		INSN("sub $0x18,%r12d", 0x41, 0x83, 0xec, 0x18),
		INSN("rex.wx sub $0x18,%rsp", 0x4a, 0x83, 0xec, 0x18),
		INSN("rex.wr sub $0x18,%rsp", 0x4c, 0x83, 0xec, 0x18),
		INSN("rex.wrxb sub $0x18,%r12", 0x4f, 0x83, 0xec, 0x18),
	};

	ASSERT_GOOD(check_all(insns, ARRAY_LEN(insns), STEPPED, false));
}

CASE(left_alone_operands)
{
	static const struct insn insns[] = {
		INSN("sub $0x18,%rax", 0x48, 0x83, 0xe8, 0x18),
		INSN("sub $0x18,%rcx", 0x48, 0x83, 0xe9, 0x18),
		INSN("sub $0x18,%rbx", 0x48, 0x83, 0xeb, 0x18),
		INSN("sub $0x18,%rbp", 0x48, 0x83, 0xed, 0x18),
		INSN("sub $0x18,%rsi", 0x48, 0x83, 0xee, 0x18),
		INSN("sub $0x18,%rdi", 0x48, 0x83, 0xef, 0x18),
		INSN("sub $0x18,(%rsp)", 0x48, 0x83, 0x2c, 0x24, 0x18),
		INSN("sub $0x18,%spl", 0x48, 0x80, 0xec, 0x18),
		INSN("sub $0x18,%ah", 0x80, 0xec, 0x18),
		INSN("sub %rbp,%rsp", 0x48, 0x29, 0xec),
		INSN("sub $0x18,%rax (short)", 0x48, 0x2d, 0x18, 0, 0, 0),
		INSN("lea -0x18(%rsp),%rsp", 0x48, 0x8d, 0x64, 0x24, 0xe8),
	};

	ASSERT_GOOD(check_all(insns, ARRAY_LEN(insns), STEPPED, false));
}

CASE(left_alone_operations)
{
	/* The other seven operations of the same opcode byte. */
	static const struct insn insns[] = {
		INSN("add $0x18,%rsp", 0x48, 0x83, 0xc4, 0x18),
		INSN("or $0x18,%rsp", 0x48, 0x83, 0xcc, 0x18),
		INSN("adc $0x18,%rsp", 0x48, 0x83, 0xd4, 0x18),
		INSN("sbb $0x18,%rsp", 0x48, 0x83, 0xdc, 0x18),
		INSN("and $-0x10,%rsp", 0x48, 0x83, 0xe4, 0xf0),
		INSN("xor $0x18,%rsp", 0x48, 0x83, 0xf4, 0x18),
		INSN("cmp $0x18,%rsp", 0x48, 0x83, 0xfc, 0x18),
		INSN("cmp $0x1018,%rsp", 0x48, 0x81, 0xfc, 0x18, 0x10, 0, 0),
	};

	ASSERT_GOOD(check_all(insns, ARRAY_LEN(insns), STEPPED, false));
}

CASE(left_alone_32bit)
{
	static const struct insn insns[] = {
		INSN("66 sub $0x18,%sp", 0x66, 0x83, 0xec, 0x18),
		INSN("66 sub $0x1018,%sp", 0x66, 0x81, 0xec, 0x18, 0x10),
		INSN("67 sub $0x18,%esp", 0x67, 0x83, 0xec, 0x18),
		INSN("dec %eax; sub $0x18,%esp", 0x48, 0x83, 0xec, 0x18),
		INSN("sub $0x18,%ebp", 0x83, 0xed, 0x18),
		INSN("add $0x18,%esp", 0x83, 0xc4, 0x18),
		INSN("cmp $0x1018,%esp", 0x81, 0xfc, 0x18, 0x10, 0, 0),
	};

	ASSERT_GOOD(check_all(insns, ARRAY_LEN(insns), STEPPED, true));
}

/* Uprobes refuse lock and most segment prefixes, as they always have. */
CASE(refused_prefixes)
{
	static const uint8_t prefixes[] = { 0xf0, 0x26, 0x2e, 0x36, 0x3e };
	uint8_t bytes[] = { 0, 0x48, 0x83, 0xec, 0x18 };

	for (size_t i = 0; i < ARRAY_LEN(prefixes); i++) {
		struct code code;

		bytes[0] = prefixes[i];
		ASSERT_EQ(0, code_create(&code));
		ASSERT_EQ(0, code_put_site(&code, 0, bytes, sizeof(bytes)));
		ASSERT_EQ(0, code_map(&code));
		ASSERT_EQ(-524 /* ENOTSUPP */, probe_open(&code, 0, 0, 0)) {
			TH_LOG("prefix %#x", prefixes[i]);
		}
		close(code.fd);
	}
}

/* The positive control of stepped(), and the neighbour that is emulated. */
CASE(detector_sees_single_steps)
{
	static const struct insn mov = INSN("mov %rsp,%rax", 0x48, 0x89, 0xe0);
	struct check check = { .insn = &mov, .expect = STEPPED };

	ASSERT_GOOD(isolated(check_insn, &check));
}

CASE(detector_sees_emulated_push)
{
	static const struct insn push = INSN("push %rbp", 0x55);
	struct check check = { .insn = &push, .expect = EMULATED };

	ASSERT_GOOD(isolated(check_insn, &check));
}

/* ------------------------------------------------------------------------- */
/* Flags and results, bit for bit against the CPU.                            */

#define VALUES_MAX	2048
static uint64_t values[VALUES_MAX][2];

static const uint64_t flag_inputs[] = {
	0, FLAGS_STATUS, FLAG_CF, 0x4, 0x10, 0x40, 0x80, 0x800,
	FLAG_DF, FLAG_ID, FLAG_AC, FLAGS_STATUS | FLAG_DF | FLAG_ID | FLAG_AC,
};

/* Stack pointers where a flag of sp - imm changes, with all flag inputs. */
static size_t corner_values(int64_t imm)
{
	const uint64_t edges[] = {
		0, imm, 0xf, 0x10, (imm & 0xf) - 1, (imm & 0xf) + 1,
		1ull << 31, (1ull << 31) + imm, 1ull << 32, (1ull << 32) + imm,
		1ull << 47, 1ull << 63, (1ull << 63) + imm, ~0ull, -imm,
	};
	size_t n = 0;

	for (size_t e = 0; e < ARRAY_LEN(edges); e++)
		for (int near = -1; near <= 1; near++)
			for (size_t f = 0; f < ARRAY_LEN(flag_inputs); f++) {
				values[n][0] = edges[e] + near;
				values[n++][1] = flag_inputs[f];
			}
	return n;
}

static size_t random_values(uint64_t *state, int64_t imm, size_t count)
{
	for (size_t n = 0; n < count; n++) {
		uint64_t choice = splitmix(state), sp = splitmix(state);

		/* Any 64 bits are far from every edge: shorten most of them. */
		sp >>= choice & 63;
		if (choice & 64)
			sp = -sp;
		if (choice & 128)
			sp += imm;
		if (choice & 256)	/* towards the signed overflow */
			sp += choice & 512 ? 1ull << 63 : 1ull << 31;
		values[n][0] = sp;
		values[n][1] = flag_inputs[(choice >> 10) % ARRAY_LEN(flag_inputs)];
	}
	return count;
}

static struct insn make_sub(int32_t imm, bool imm8, bool compat)
{
	struct insn insn = { .name = imm8 ? "sub imm8" : "sub imm32" };

	if (!compat)
		insn.bytes[insn.len++] = 0x48;
	insn.bytes[insn.len++] = imm8 ? 0x83 : 0x81;
	insn.bytes[insn.len++] = 0xec;
	memcpy(insn.bytes + insn.len, &imm, imm8 ? 1 : 4);
	insn.len += imm8 ? 1 : 4;
	return insn;
}

static const char *check_corners(bool compat)
{
	static const struct { int32_t imm; bool imm8; } subs[] = {
		{ 0x18, true }, { 0x7f, true }, { -1, true }, { -0x80, true },
		{ 0x1018, false }, { -8, false }, { 0x7fffffff, false },
		{ -0x7fffffff - 1, false },
	};
	const char *why = coverage_begin();

	for (size_t i = 0; !why && i < ARRAY_LEN(subs); i++) {
		struct insn insn = make_sub(subs[i].imm, subs[i].imm8, compat);
		struct check check = { .insn = &insn, .expect = EITHER, .compat = compat,
				       .count = corner_values(subs[i].imm),
				       .values = values };

		why = isolated(check_insn, &check);
	}
	return why ?: coverage_end();
}

static const char *check_random(bool compat, uint64_t seed)
{
	const char *why = coverage_begin();

	for (int i = 0; !why && i < 8; i++) {
		int32_t imm = splitmix(&seed) >> (splitmix(&seed) & 31);
		bool imm8 = i & 1;
		struct insn insn = make_sub(imm8 ? (int8_t)imm : imm, imm8, compat);
		struct check check = { .insn = &insn, .expect = EITHER, .compat = compat,
				       .count = random_values(&seed, imm, 500),
				       .values = values };

		why = isolated(check_insn, &check);
	}
	return why ?: coverage_end();
}

static uint64_t chosen_seed(void)
{
	const char *text = getenv("UPROBE_SUB_SEED");

	return text ? strtoull(text, NULL, 0) : 20240611;
}

CASE(flags_corners_64bit)
{
	ASSERT_GOOD(check_corners(false));
}

CASE(flags_corners_32bit)
{
	ASSERT_GOOD(check_corners(true));
}

CASE(flags_random_64bit)
{
	TH_LOG("seed %llu", (unsigned long long)chosen_seed());
	ASSERT_GOOD(check_random(false, chosen_seed()));
}

CASE(flags_random_32bit)
{
	TH_LOG("seed %llu", (unsigned long long)chosen_seed());
	ASSERT_GOOD(check_random(true, chosen_seed()));
}

/* ------------------------------------------------------------------------- */
/* One file, tasks of both modes: it is decoded for the one that comes first. */

static const char *check_mixed(const void *arg)
{
	bool first_is_32 = *(const bool *)arg;
	static const struct insn insns[] = {
		INSN("48 83 ec 18", 0x48, 0x83, 0xec, 0x18),
		INSN("83 ec 18", 0x83, 0xec, 0x18),
		INSN("81 ec imm32", 0x81, 0xec, 0x18, 0x10, 0, 0),
	};
	struct place here = { .compat = false }, there = { .compat = true };
	struct check check = { .expect = EITHER };
	struct regs64 native[2];
	const char *why;

	if (code_create(&here.code))
		return failure("no code");
	for (size_t i = 0; i < ARRAY_LEN(insns); i++)
		code_put_site(&here.code, i * 64, insns[i].bytes, insns[i].len);
	if (code_map(&here.code))
		return failure("no mapping");
	there.code = here.code;
	if (helper_start(&there.helper, &there.code))
		return failure("the 32-bit helper did not start");

	for (size_t i = 0; i < ARRAY_LEN(insns); i++) {
		pid_t first = first_is_32 ? there.helper.pid : 0;
		pid_t second = first_is_32 ? 0 : there.helper.pid;
		int event[2];

		check.insn = &insns[i];
		check.offset = i * 64;
		why = check_values(&here, &check, &native[0], false) ?:
		      check_values(&there, &check, &native[1], false);
		if (why)
			return why;
		event[0] = probe_open(&here.code, check.offset, first, 0);
		event[1] = probe_open(&here.code, check.offset, second, 0);
		if (event[0] < 0 || event[1] < 0)
			return failure("no probe");
		why = check_values(&here, &check, &native[0], true) ?:
		      check_values(&there, &check, &native[1], true);
		if (why)
			return why;
		if (probe_hits(event[0]) != 1 || probe_hits(event[1]) != 1)
			return failure("%s: hits %lld and %lld", insns[i].name,
				       probe_hits(event[0]), probe_hits(event[1]));
		close(event[0]);
		close(event[1]);
	}
	helper_stop(&there.helper);
	return NULL;
}

CASE(mixed_decoded_as_64bit)
{
	bool first_is_32 = false;

	ASSERT_GOOD(isolated(check_mixed, &first_is_32));
}

CASE(mixed_decoded_as_32bit)
{
	bool first_is_32 = true;

	ASSERT_GOOD(isolated(check_mixed, &first_is_32));
}

/* ------------------------------------------------------------------------- */
/* Functions: returns, threads, children.                                     */

/* sub $0x18,%rsp; mov $42,%eax; add $0x18,%rsp; ret */
static const uint8_t function[] = {
	0x48, 0x83, 0xec, 0x18, 0xb8, 42, 0, 0, 0, 0x48, 0x83, 0xc4, 0x18, 0xc3,
};

/* push %rbp; mov %rsp,%rbp; sub $0x1018,%rsp; mov $42,%eax; leave; ret */
static const uint8_t framed[] = {
	0x55, 0x48, 0x89, 0xe5, 0x48, 0x81, 0xec, 0x18, 0x10, 0, 0,
	0xb8, 42, 0, 0, 0, 0xc9, 0xc3,
};
#define FRAMED_SUB	4

typedef int (*function_t)(void);

static const char *function_place(struct code *code)
{
	if (code_create(code) || code_put(code, 0, function, sizeof(function)) ||
	    code_put(code, 64, framed, sizeof(framed)) || code_map(code))
		return failure("no code: %s", strerror(errno));
	return NULL;
}

static const char *call(const struct code *code, size_t offset, int times)
{
	function_t target = (function_t)(code->map + offset);

	for (int i = 0; i < times; i++) {
		int value = target();

		if (value != 42)
			return failure("call %d returned %d", i, value);
	}
	return NULL;
}

static const char *check_middle(const void *arg)
{
	struct code code;
	const char *why = function_place(&code);
	int event;

	(void)arg;
	if (why)
		return why;
	event = probe_open(&code, 64 + FRAMED_SUB, 0, 0);
	if (event < 0)
		return failure("no probe: %s", strerror(-event));
	why = call(&code, 64, 100);
	if (why)
		return why;
	if (probe_hits(event) != 100)
		return failure("%lld hits of 100", probe_hits(event));
	return stepped(0) ? failure("was single-stepped") : NULL;
}

CASE(emulated_inside_a_function)
{
	ASSERT_GOOD(isolated(check_middle, NULL));
}

static const char *check_return(const void *arg)
{
	struct code code;
	const char *why = function_place(&code);
	int entry, ret;

	(void)arg;
	if (why)
		return why;
	entry = probe_open(&code, 0, 0, 0);
	ret = probe_open(&code, 0, 0, PROBE_RETURN);
	if (entry < 0 || ret < 0)
		return failure("no probe: %s", strerror(entry < 0 ? -entry : -ret));
	why = call(&code, 0, 100);
	if (why)
		return why;
	if (probe_hits(entry) != 100 || probe_hits(ret) != 100)
		return failure("%lld entries and %lld returns of 100",
			       probe_hits(entry), probe_hits(ret));
	close(ret);
	why = call(&code, 0, 100);
	if (why)
		return why;
	if (probe_hits(entry) != 200)
		return failure("%lld entries of 200", probe_hits(entry));
	return NULL;
}

CASE(uretprobe_at_the_same_place)
{
	ASSERT_GOOD(isolated(check_return, NULL));
}

static const char *check_return32(const void *arg)
{
	/* call 1f; jmp *%edx; 1: sub $0x18,%esp; add $0x18,%esp; ret */
	static const uint8_t bytes[] = {
		0xe8, 2, 0, 0, 0, 0xff, 0xe2,
		0x83, 0xec, 0x18, 0x83, 0xc4, 0x18, 0xc3,
	};
	static const struct insn insn = { .name = "call of sub $0x18,%esp" };
	struct place place = { .compat = true };
	struct check check = { .insn = &insn };
	struct regs64 native;
	const char *why;
	int entry, ret;

	(void)arg;
	if (code_create(&place.code) ||
	    code_put(&place.code, 0, bytes, sizeof(bytes)) || code_map(&place.code))
		return failure("no code: %s", strerror(errno));
	if (helper_start(&place.helper, &place.code))
		return failure("the 32-bit helper did not start");
	why = check_values(&place, &check, &native, false);
	if (why)
		return why;
	entry = probe_open(&place.code, 7, place.helper.pid, 0);
	ret = probe_open(&place.code, 7, place.helper.pid, PROBE_RETURN);
	if (entry < 0 || ret < 0)
		return failure("no probe: %s", strerror(entry < 0 ? -entry : -ret));
	for (int i = 0; i < 100; i++) {
		why = check_values(&place, &check, &native, true);
		if (why)
			return why;
	}
	if (probe_hits(entry) != 100 || probe_hits(ret) != 100)
		return failure("%lld entries and %lld returns of 100",
			       probe_hits(entry), probe_hits(ret));
	helper_stop(&place.helper);
	return NULL;
}

CASE(uretprobe_at_the_same_place_32bit)
{
	ASSERT_GOOD(isolated(check_return32, NULL));
}

#define THREADS	4
#define CALLS	2000

struct worker {
	const struct code *code;
	long long hits;
	bool failed;
};

static void *worker_main(void *arg)
{
	struct worker *worker = arg;
	function_t target = (function_t)worker->code->map;
	int event = probe_open(worker->code, 0, 0, 0);

	for (int i = 0; i < CALLS; i++)
		if (target() != 42)
			worker->failed = true;
	worker->hits = event < 0 ? event : probe_hits(event);
	return NULL;
}

static const char *check_threads(const void *arg)
{
	struct worker workers[THREADS];
	pthread_t threads[THREADS];
	struct code code;
	const char *why = function_place(&code);

	(void)arg;
	if (why)
		return why;
	for (int i = 0; i < THREADS; i++) {
		workers[i] = (struct worker){ .code = &code };
		if (pthread_create(&threads[i], NULL, worker_main, &workers[i]))
			return failure("no thread");
	}
	for (int i = 0; i < THREADS; i++) {
		pthread_join(threads[i], NULL);
		if (workers[i].failed)
			return failure("thread %d: a call returned another value", i);
		if (workers[i].hits != CALLS)
			return failure("thread %d: %lld hits of %d", i,
				       workers[i].hits, CALLS);
	}
	return stepped(0) ? failure("was single-stepped") : NULL;
}

CASE(emulated_in_threads)
{
	ASSERT_GOOD(isolated(check_threads, NULL));
}

static const char *check_child(const void *arg)
{
	const struct code *code = arg;

	return call(code, 0, 100) ?:
	       (stepped(0) ? failure("was single-stepped") : NULL);
}

static const char *check_fork(const void *arg)
{
	struct code code;
	const char *why = function_place(&code);
	cpu_set_t here;
	int event;

	(void)arg;
	if (why)
		return why;
	/* Both tasks stay on the CPU that counts. */
	CPU_ZERO(&here);
	CPU_SET(sched_getcpu(), &here);
	if (sched_setaffinity(0, sizeof(here), &here))
		return failure("sched_setaffinity: %s", strerror(errno));
	event = probe_open(&code, 0, 0, PROBE_THIS_CPU);
	if (event < 0)
		return failure("no probe: %s", strerror(-event));
	/* The child has a copy of the page with the breakpoint in it. */
	why = call(&code, 0, 10) ?: isolated(check_child, &code);
	if (why)
		return why;
	return probe_hits(event) == 110 ? NULL :
	       failure("%lld hits of 110", probe_hits(event));
}

CASE(emulated_after_fork)
{
	ASSERT_GOOD(isolated(check_fork, NULL));
}

/* ------------------------------------------------------------------------- */
/* Single-stepping by others, and a sandbox without system calls.            */

#define TRAPS_MAX	64
static volatile size_t trap_count;
static uint64_t trap_ip[TRAPS_MAX];

static void on_trap(int sig, siginfo_t *info, void *context)
{
	const ucontext_t *uc = context;

	(void)sig;
	(void)info;
	if (trap_count < TRAPS_MAX)
		trap_ip[trap_count] = uc->uc_mcontext.gregs[REG_RIP];
	trap_count++;
}

/* A program that single-steps itself sees the same traps with a probe. */
static const char *check_own_tf(const void *arg)
{
	static uint8_t altstack[65536];
	stack_t stack = { .ss_sp = altstack, .ss_size = sizeof(altstack) };
	struct sigaction action = { .sa_sigaction = on_trap,
				    .sa_flags = SA_SIGINFO | SA_ONSTACK };
	struct check check = { .insn = arg, .expect = EITHER };
	struct place place = { .compat = false };
	const uint64_t start[1][2] = { { site_stack(), FLAG_TF } };
	uint64_t seen[2][TRAPS_MAX] = {}, count[2];
	struct regs64 out[2];
	int event = -1;

	if (code_create(&place.code) ||
	    code_put_site(&place.code, 0, check.insn->bytes, check.insn->len) ||
	    code_map(&place.code) || sigaltstack(&stack, NULL) ||
	    sigaction(SIGTRAP, &action, NULL))
		return failure("no site: %s", strerror(errno));
	for (int probed = 0; probed < 2; probed++) {
		if (probed)
			event = probe_open(&place.code, 0, 0, 0);
		if (probed && event < 0)
			return failure("no probe: %s", strerror(-event));
		trap_count = 0;
		place_run(&place, 0, start, 1, &out[probed]);
		count[probed] = trap_count;
		memcpy(seen[probed], trap_ip, sizeof(trap_ip));
	}
	if (probe_hits(event) != 1)
		return failure("%lld hits", probe_hits(event));
	if (count[0] < 4 || count[0] > TRAPS_MAX)
		return failure("%llu native traps", (unsigned long long)count[0]);
	if (count[0] != count[1] || memcmp(seen[0], seen[1], sizeof(seen[0])))
		return failure("traps differ: %llu native, %llu probed",
			       (unsigned long long)count[0], (unsigned long long)count[1]);
	return differs(&out[0], &out[1]);
}

CASE(own_trap_flag)
{
	ASSERT_GOOD(isolated(check_own_tf, &sub_imm8));
	ASSERT_GOOD(isolated(check_own_tf, &sub_imm32));
}

struct stop {
	uint64_t ip, sp, flags;
};

/* What a debugger sees from the site on: three single steps. */
static const char *debug_steps(const struct code *code, bool probed, struct stop stops[4])
{
	struct user_regs_struct regs;
	int status, event = -1;
	pid_t pid = fork();

	if (pid < 0)
		return failure("fork: %s", strerror(errno));
	if (!pid) {
		struct regs64 in, out;

		prctl(PR_SET_PDEATHSIG, SIGKILL);
		ptrace(PTRACE_TRACEME, 0, 0, 0);
		registers(&in, site_stack(), FLAG_CF);
		raise(SIGSTOP);
		site_run(code->map, &in, &out);
		_exit(0);
	}
	if (waitpid(pid, &status, 0) != pid || !WIFSTOPPED(status))
		return failure("no tracee");
	if (probed)
		event = probe_open(code, 0, pid, 0);
	if (probed && event < 0)
		return failure("no probe: %s", strerror(-event));
	for (int step = 0, seen = 0; seen < 4; step++) {
		if (step > 20000)
			return failure("the tracee never reached the site");
		if (ptrace(PTRACE_SINGLESTEP, pid, 0, 0) ||
		    waitpid(pid, &status, 0) != pid)
			return failure("step %d: %s", step, strerror(errno));
		if (!WIFSTOPPED(status) || WSTOPSIG(status) != SIGTRAP)
			return failure("step %d: status %#x", step, status);
		if (ptrace(PTRACE_GETREGS, pid, 0, &regs))
			return failure("registers: %s", strerror(errno));
		/* RF tells whether a page fault came first, not what was executed. */
		if (seen || regs.rip == (unsigned long)code->map)
			stops[seen++] = (struct stop){ regs.rip, regs.rsp,
						       regs.eflags & ~FLAG_RF };
	}
	if (probed && probe_hits(event) != 1)
		return failure("%lld hits", probe_hits(event));
	/* Having stepped over popf, the kernel takes TF for the tracee's own. */
	regs.eflags &= ~FLAG_TF;
	if (ptrace(PTRACE_SETREGS, pid, 0, &regs) ||
	    ptrace(PTRACE_CONT, pid, 0, 0) || waitpid(pid, &status, 0) != pid ||
	    !WIFEXITED(status) || WEXITSTATUS(status))
		return failure("%s: the tracee ended with status %#x",
			       probed ? "probed" : "native", status);
	close(event);
	return NULL;
}

static const char *check_debugger(const void *arg)
{
	const struct insn *insn = arg;
	struct stop native[4], probed[4];
	struct code code;
	const char *why;

	if (code_create(&code) || code_put_site(&code, 0, insn->bytes, insn->len) ||
	    code_map(&code))
		return failure("no site: %s", strerror(errno));
	why = debug_steps(&code, false, native) ?: debug_steps(&code, true, probed);
	if (why)
		return why;
	if (native[1].ip != (unsigned long)code.map + insn->len)
		return failure("the native step went to another place");
	for (int i = 0; i < 4; i++)
		if (memcmp(&native[i], &probed[i], sizeof(native[i])))
			return failure("stop %d: ip %#llx sp %#llx flags %#llx natively, ip %#llx sp %#llx flags %#llx probed",
				       i, (unsigned long long)native[i].ip,
				       (unsigned long long)native[i].sp,
				       (unsigned long long)native[i].flags,
				       (unsigned long long)probed[i].ip,
				       (unsigned long long)probed[i].sp,
				       (unsigned long long)probed[i].flags);
	return NULL;
}

CASE(debugger_steps_over)
{
	ASSERT_GOOD(isolated(check_debugger, &sub_imm8));
	ASSERT_GOOD(isolated(check_debugger, &sub_imm32));
}

static const char *check_seccomp(const void *arg)
{
	struct code code;
	const char *why = function_place(&code);
	int event;

	(void)arg;
	if (why)
		return why;
	event = probe_open(&code, 0, 0, 0);
	if (event < 0)
		return failure("no probe: %s", strerror(-event));
	if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_STRICT, 0, 0, 0))
		return failure("no seccomp: %s", strerror(errno));
	why = call(&code, 0, 100);
	/* exit_group() is not allowed here, so it ends without isolated() */
	syscall(SYS_exit, why ? 1 : 0);
	return NULL;
}

CASE(seccomp_strict)
{
	ASSERT_GOOD(isolated(check_seccomp, NULL));
}

TEST_HARNESS_MAIN
