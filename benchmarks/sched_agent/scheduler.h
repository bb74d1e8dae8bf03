/* SPDX-License-Identifier: GPL-2.0 */
/*
 * scheduler.h - a BPF scheduler that is loaded for the time of a run
 */
#ifndef SCHEDULER_H
#define SCHEDULER_H

/*
 * Start the command line of a sched_ext scheduler and wait until it rules.
 * Skips where the kernel has no sched_ext.
 */
void scheduler_start(const char *command);

/*
 * Whether it still rules: the kernel throws a scheduler out that lets a task
 * wait for too long.  reason: gets what it said about that.
 */
int scheduler_rules(char *reason, unsigned int size);

/* End it, and wait until the kernel's own scheduler is back. */
void scheduler_stop(void);

#endif /* SCHEDULER_H */
