// SPDX-License-Identifier: GPL-2.0
/* A scheduler that puts all tasks into a queue, and nothing takes them out of it. */
#include <scx/common.bpf.h>

char _license[] SEC("license") = "GPL";

UEI_DEFINE(uei);

#define STALL_DSQ	0

void BPF_STRUCT_OPS(stall_enqueue, struct task_struct *p, u64 enq_flags)
{
	/* Kernel threads get on, or there would be nobody left to notice. */
	if (p->flags & PF_KTHREAD)
		scx_bpf_dsq_insert(p, SCX_DSQ_LOCAL, SCX_SLICE_DFL, enq_flags);
	else
		scx_bpf_dsq_insert(p, STALL_DSQ, SCX_SLICE_DFL, enq_flags);
}

s32 BPF_STRUCT_OPS_SLEEPABLE(stall_init)
{
	return scx_bpf_create_dsq(STALL_DSQ, -1);
}

void BPF_STRUCT_OPS(stall_exit, struct scx_exit_info *ei)
{
	UEI_RECORD(uei, ei);
}

SCX_OPS_DEFINE(stall_ops,
	       .enqueue			= (void *)stall_enqueue,
	       .init			= (void *)stall_init,
	       .exit			= (void *)stall_exit,
	       .timeout_ms		= 1000U,
	       .name			= "stall");
