// SPDX-License-Identifier: GPL-2.0
/*
 * The sched_ext snippet that this series began with, as a rival.
 *
 * Its callbacks to the letter, but for what keeps 6.18.15 from loading them: a
 * burst goes to the local queue of a CPU without preempting anybody, all others go
 * to one batch queue with four times the slice.  It is a rival, not a proposal.
 *
 * What is renamed:
 *
 *  - scx_bpf_dispatch() is called scx_bpf_dsq_insert();
 *  - scx_select_idle_cpu(p, flags) never was a kfunc.  The one that takes the same
 *    flags is scx_bpf_pick_idle_cpu(p->cpus_ptr, flags).
 *
 * What is added:
 *
 *  - prev_cpu where that finds no wholly idle core: the kernel throws a scheduler
 *    out whose select_cpu callback returns an error;
 *  - task_is_agent_burst(), which the snippet calls and nobody defines.  It reads
 *    what the snippet's user half declares;
 *  - the init callback, because a queue has to be made before it is used;
 *  - the body of the dispatch callback, which the snippet names and does not show:
 *    without it nothing ever leaves the batch queue.
 *
 * It has no credit, no budget, no cgroups and no hotplug: the snippet has none.
 */
#include <stdbool.h>
#include <linux/types.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

char _license[] SEC("license") = "GPL";

/*
 * The few types of the kernel that are needed, found in the running one by name:
 * so this needs neither bpftool nor a vmlinux.h.
 */
#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

/* A member, because a kfunc's argument has to be known as a struct, not by name alone. */
struct cpumask {
	unsigned long bits[1];
};

struct sched_agent_entity {
	__u64 runtime;
};

struct task_struct {
	const struct cpumask *cpus_ptr;
	struct sched_agent_entity agent;
};

#pragma clang attribute pop

struct sched_ext_ops {
	__s32 (*select_cpu)(struct task_struct *p, __s32 prev_cpu, __u64 wake_flags);
	void (*enqueue)(struct task_struct *p, __u64 enq_flags);
	void (*dispatch)(__s32 cpu, struct task_struct *prev);
	__s32 (*init)(void);
	char name[128];
};

__s32 scx_bpf_create_dsq(__u64 dsq_id, __s32 node) __ksym;
__s32 scx_bpf_pick_idle_cpu(const struct cpumask *cpus_allowed, __u64 flags) __ksym;
void scx_bpf_dsq_insert(struct task_struct *p, __u64 dsq_id, __u64 slice, __u64 flags) __ksym;
bool scx_bpf_dsq_move_to_local(__u64 dsq_id) __ksym;

/* Part of the kernel's interface, with the values of include/linux/sched/ext.h. */
#define SCX_DSQ_LOCAL		(1ULL << 63 | 2)
#define SCX_SLICE_DFL		20000000ULL
#define SCX_PICK_IDLE_CORE	1ULL

#define BATCH_DSQ		0

static bool task_is_agent_burst(struct task_struct *p)
{
	return bpf_core_field_exists(p->agent) && p->agent.runtime;
}

SEC("struct_ops/agent_select_cpu")
__s32 BPF_PROG(agent_select_cpu, struct task_struct *p, __s32 prev_cpu, __u64 wake_flags)
{
	if (task_is_agent_burst(p)) {
		__s32 cpu = scx_bpf_pick_idle_cpu(p->cpus_ptr, SCX_PICK_IDLE_CORE);

		return cpu >= 0 ? cpu : prev_cpu;
	}
	return prev_cpu;
}

SEC("struct_ops/agent_enqueue")
void BPF_PROG(agent_enqueue, struct task_struct *p, __u64 enq_flags)
{
	if (task_is_agent_burst(p))
		/* burst queue: drains before BATCH_DSQ */
		scx_bpf_dsq_insert(p, SCX_DSQ_LOCAL, SCX_SLICE_DFL, enq_flags);
	else
		/* batch: four times the slice, lower priority */
		scx_bpf_dsq_insert(p, BATCH_DSQ, SCX_SLICE_DFL * 4, enq_flags);
}

SEC("struct_ops/agent_dispatch")
void BPF_PROG(agent_dispatch, __s32 cpu, struct task_struct *prev)
{
	scx_bpf_dsq_move_to_local(BATCH_DSQ);
}

SEC("struct_ops.s/agent_init")
__s32 BPF_PROG(agent_init)
{
	return scx_bpf_create_dsq(BATCH_DSQ, -1);
}

SEC(".struct_ops.link")
struct sched_ext_ops agent_ops = {
	.select_cpu	= (void *)agent_select_cpu,
	.enqueue	= (void *)agent_enqueue,
	.dispatch	= (void *)agent_dispatch,
	.init		= (void *)agent_init,
	.name		= "agent_class",
};
