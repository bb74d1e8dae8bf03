/* SPDX-License-Identifier: GPL-2.0 */
/* What the executed programs write to their stdout. */
#ifndef SELFTEST_SCHED_REPORT_H
#define SELFTEST_SCHED_REPORT_H

#include "agent.h"

struct report {
	struct attr attr;	/* of sched_getattr(2) */
	s32 error;		/* of it */
	u32 uid, euid;
};

/* What abi32 writes. */
struct report32 {
	struct attr inherited, declared, refused;
	s32 set, get, too_short, too_big, bad_runtime, withdrawn, bad_flag;
	u32 size_told;	/* by E2BIG */
	u32 flags_left;	/* the upper half, after the withdrawal */
	u32 end;		/* 0: the same size for 32 and 64 bits */
};

#endif /* SELFTEST_SCHED_REPORT_H */
