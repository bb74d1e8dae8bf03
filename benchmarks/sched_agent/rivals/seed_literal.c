// SPDX-License-Identifier: GPL-2.0
/*
 * Loads seed_literal.bpf.o, which lies beside this program.
 *
 * It stays loaded until SIGINT or SIGTERM, or until the kernel ends it, which
 * is status 3.
 */
#include <errno.h>
#include <libgen.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <bpf/libbpf.h>

#define STATE "/sys/kernel/sched_ext/state"

static volatile sig_atomic_t stop;

static void handler(int sig)
{
	(void)sig;
	stop = 1;
}

static int enabled(void)
{
	char text[32] = "";
	FILE *file = fopen(STATE, "r");

	if (!file)
		return 0;
	if (!fgets(text, sizeof(text), file))
		text[0] = '\0';
	fclose(file);
	return !strncmp(text, "enabl", 5);	/* or enabling */
}

static int fail(const char *what)
{
	fprintf(stderr, "seed_literal: %s: %s\n", what, strerror(errno));
	return 1;
}

int main(void)
{
	char path[PATH_MAX];
	struct bpf_object *object;
	struct bpf_link *link;
	struct bpf_map *ops;
	ssize_t len;
	int status;

	len = readlink("/proc/self/exe", path, sizeof(path) - 1);
	if (len < 0)
		return fail("/proc/self/exe");
	snprintf(path + len, sizeof(path) - len, ".bpf.o");

	signal(SIGINT, handler);
	signal(SIGTERM, handler);

	object = bpf_object__open_file(path, NULL);
	if (!object)
		return fail(path);
	if (bpf_object__load(object))
		return fail("load");
	ops = bpf_object__find_map_by_name(object, "agent_ops");
	link = ops ? bpf_map__attach_struct_ops(ops) : NULL;
	if (!link)
		return fail("attach");

	printf("seed_literal is loaded\n");
	fflush(stdout);
	while (!stop && enabled())
		usleep(100000);
	status = stop ? 0 : 3;
	if (status)
		fprintf(stderr, "EXIT: the kernel has ended it, see its log\n");
	bpf_link__destroy(link);
	bpf_object__close(object);
	return status;
}
