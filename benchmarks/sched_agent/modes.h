/* SPDX-License-Identifier: GPL-2.0 */
/*
 * modes.h - what a user can do today to have bursts run first, and the class
 *
 *	eevdf		nothing
 *	nice-10		bursts have nice -10
 *	nice-20		bursts have nice -20
 *	slice-100us	bursts have a slice of 0.1 ms (sched_runtime)
 *	fifo		bursts are SCHED_FIFO 1
 *	rr		bursts are SCHED_RR 1
 *	deadline	bursts are SCHED_DEADLINE, 4.8 ms in 24
 *	hogs-idle	hogs are SCHED_IDLE
 *	cpu-idle	the groups of the hogs have cpu.idle 1
 *	weight-10000	the groups of the bursts have cpu.weight 10000
 *	autogroup	each task has a session, and so a group, of its own
 *	agent		bursts are declared with SCHED_FLAG_AGENT_CLASS
 */
#ifndef MODES_H
#define MODES_H

#include <stdbool.h>
#include <stdint.h>

#include "groups.h"

struct mode;

struct mode *mode_find(const char *name);
const char *mode_names(void);
const char *mode_name(const struct mode *mode);

/* For mode agent: credit and period in ns. */
void mode_agent(uint64_t credit, uint64_t period);
bool mode_is_agent(const struct mode *mode);

/* Once, before groups and tasks are made; skips what this machine lacks. */
void mode_prepare(const struct mode *mode);
void mode_group(const struct mode *mode, struct tenant who, bool burst);

/* By each task, of itself. */
void mode_hog(const struct mode *mode);
void mode_burst(const struct mode *mode);

/* Withdraw what mode_burst() did in mode agent. */
void mode_withdraw(void);

#endif /* MODES_H */
