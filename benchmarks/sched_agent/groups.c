// SPDX-License-Identifier: GPL-2.0
#define _GNU_SOURCE
#include <errno.h>
#include <fts.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "groups.h"
#include "kseries.h"
#include "work.h"

#define MOUNT	"/sys/fs/cgroup"
#define TOP	MOUNT "/kseries-sched"

static int depth;

static const char *above(void)
{
	return depth == 3 ? TOP "/kubepods/burstable" : TOP;
}

static void make(const char *path, bool controlled)
{
	char file[512];

	if (mkdir(path, 0755) && errno != EEXIST)
		die("mkdir %s", path);
	if (!controlled)
		return;
	snprintf(file, sizeof(file), "%s/cgroup.subtree_control", path);
	if (!write_file(file, "+cpu"))
		die("%s", file);
}

void groups_open(int wanted)
{
	char text[1024];

	depth = wanted;
	if (!depth)
		return;
	if (!read_file(MOUNT "/cgroup.controllers", text, sizeof(text)) ||
	    !strstr(text, "cpu"))
		kseries_skip("there is no cpu controller in %s", MOUNT);
	groups_close();		/* of a run that was killed */
	if (!write_file(MOUNT "/cgroup.subtree_control", "+cpu"))
		die(MOUNT "/cgroup.subtree_control");
	make(TOP, true);
	if (depth == 3) {
		make(TOP "/kubepods", true);
		make(TOP "/kubepods/burstable", true);
	}
}

bool groups_wanted(void)
{
	return depth > 0;
}

static void pod(struct tenant who, char *path, size_t size)
{
	snprintf(path, size, "%s/%s%d", above(), who.kind, who.number);
}

void group_make(struct tenant who)
{
	char path[256];

	if (!depth)
		return;
	pod(who, path, sizeof(path));
	make(path, depth == 3);
	if (depth == 3) {
		strcat(path, "/ctr");
		make(path, false);
	}
}

void group_set(struct tenant who, const char *file, const char *text)
{
	char path[256];

	pod(who, path, sizeof(path));
	strcat(path, "/");
	strcat(path, file);
	if (!write_file(path, text))
		die("%s", path);
}

bool group_join(struct tenant who)
{
	char path[256];

	if (!depth)
		return true;
	pod(who, path, sizeof(path));
	strcat(path, depth == 3 ? "/ctr/cgroup.procs" : "/cgroup.procs");
	return write_file(path, "0");
}

void groups_close(void)
{
	char *paths[] = { (char *)TOP, NULL };
	FTSENT *entry;
	FTS *fts;

	if (!depth || access(TOP, F_OK))
		return;
	fts = fts_open(paths, FTS_PHYSICAL | FTS_NOCHDIR, NULL);
	if (!fts)
		die("fts_open");
	while ((entry = fts_read(fts))) {
		if (entry->fts_info != FTS_DP)
			continue;
		/* A process that has ended leaves its group a moment later. */
		for (int i = 0; rmdir(entry->fts_accpath) && errno == EBUSY && i < 500; i++)
			nap(10 * MS);
	}
	fts_close(fts);
}
