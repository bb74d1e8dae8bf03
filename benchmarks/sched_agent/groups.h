/* SPDX-License-Identifier: GPL-2.0 */
/*
 * groups.h - a tree of cgroups like a node agent makes it
 *
 *	kseries-sched/kubepods/burstable/hog0/ctr	depth 3: pod in class in root
 *	kseries-sched/hog0				depth 1
 *
 * What is set for a tenant (cpu.weight, cpu.idle) is set on its pod, which is
 * where it competes with the others.
 */
#ifndef GROUPS_H
#define GROUPS_H

#include <stdbool.h>

/* A tenant: its kind ("hog", "burst", ...) and number. */
struct tenant {
	const char *kind;
	int number;
};

/* Skips where there is no cpu controller.  depth 0: no groups at all. */
void groups_open(int depth);
bool groups_wanted(void);

/* Make a tenant's group, and write to a file of its pod. */
void group_make(struct tenant who);
void group_set(struct tenant who, const char *file, const char *text);

/* Move the calling process into a tenant's group; false: it could not. */
bool group_join(struct tenant who);

/* Remove what was made; all processes must be gone. */
void groups_close(void);

#endif /* GROUPS_H */
