/* SPDX-License-Identifier: GPL-2.0 */
/* What the tests and the tool that they start agree on. */
#ifndef __TOOL_H
#define __TOOL_H

#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#define NOBODY		65534

#ifndef SCHED_FLAG_AGENT_CLASS
#define SCHED_FLAG_AGENT_CLASS	0x100000000ULL
#endif

/* The kernel's structure; the C library may have one of that name. */
struct burst_attr {
	uint32_t	size;
	uint32_t	policy;
	uint64_t	flags;
	int32_t		nice;
	uint32_t	priority;
	uint64_t	runtime;
	uint64_t	deadline;
	uint64_t	period;
};

static inline int get_attr(struct burst_attr *attr)
{
	return syscall(SYS_sched_getattr, 0, attr, sizeof(*attr), 0);
}

static inline int set_attr(struct burst_attr *attr)
{
	attr->size = sizeof(*attr);
	return syscall(SYS_sched_setattr, 0, attr, 0);
}

/* Let system call @nr of this process and its children end with @action. */
static inline int deny(int nr, uint32_t action)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, nr, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, action),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = { .len = sizeof(code) / sizeof(code[0]), .filter = code };

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
		return -1;
	return prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program);
}

/* What a kernel without the class says to a declaration; others see it as well. */
static inline int hide_class(int err)
{
	return deny(SYS_sched_setattr, SECCOMP_RET_ERRNO | err);
}

#endif /* __TOOL_H */
