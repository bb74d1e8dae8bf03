// SPDX-License-Identifier: GPL-2.0
/* Loads stall.bpf.c, and ends with 3 when the kernel has thrown it out. */
#include <stdio.h>
#include <unistd.h>
#include <bpf/bpf.h>
#include <scx/common.h>
#include "stall.bpf.skel.h"

int main(void)
{
	struct bpf_link *link;
	struct stall *skel;

	skel = SCX_OPS_OPEN(stall_ops, stall);
	SCX_OPS_LOAD(skel, stall_ops, stall, uei);
	/* It will not run again before its scheduler has ended. */
	printf("stall is loaded\n");
	fflush(stdout);
	link = SCX_OPS_ATTACH(skel, stall_ops, stall);
	while (!UEI_EXITED(skel, uei))
		usleep(50000);
	bpf_link__destroy(link);
	UEI_REPORT(skel, uei);
	stall__destroy(skel);
	return 3;
}
