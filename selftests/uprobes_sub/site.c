// SPDX-License-Identifier: GPL-2.0
/* Sites, probes on them, and the 32-bit helper; see site.h. */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <linux/perf_event.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "site.h"

struct regs64 site_in, site_out;
uint64_t site_host_sp;
void *site_target;

asm(".pushsection .text\n"
    ".type site_enter, @function\n"
    "site_enter:\n"
    "	push %rbx\n"
    "	push %rbp\n"
    "	push %r12\n"
    "	push %r13\n"
    "	push %r14\n"
    "	push %r15\n"
    "	mov %rsp, site_host_sp(%rip)\n"
    "	pushq site_in+128(%rip)\n"
    "	popfq\n"
    "	mov site_in+0(%rip), %rax\n"
    "	mov site_in+8(%rip), %rcx\n"
    "	lea site_return(%rip), %rdx\n"
    "	mov site_in+24(%rip), %rbx\n"
    "	mov site_in+40(%rip), %rbp\n"
    "	mov site_in+48(%rip), %rsi\n"
    "	mov site_in+56(%rip), %rdi\n"
    "	mov site_in+64(%rip), %r8\n"
    "	mov site_in+72(%rip), %r9\n"
    "	mov site_in+80(%rip), %r10\n"
    "	mov site_in+88(%rip), %r11\n"
    "	mov site_in+96(%rip), %r12\n"
    "	mov site_in+104(%rip), %r13\n"
    "	mov site_in+112(%rip), %r14\n"
    "	mov site_in+120(%rip), %r15\n"
    "	mov site_in+32(%rip), %rsp\n"
    "	jmp *site_target(%rip)\n"
    "site_return:\n"
    "	mov %rsp, site_out+32(%rip)\n"
    "	mov site_host_sp(%rip), %rsp\n"
    "	pushfq\n"
    "	popq site_out+128(%rip)\n"
    "	mov %rax, site_out+0(%rip)\n"
    "	mov %rcx, site_out+8(%rip)\n"
    "	mov %rbx, site_out+24(%rip)\n"
    "	mov %rbp, site_out+40(%rip)\n"
    "	mov %rsi, site_out+48(%rip)\n"
    "	mov %rdi, site_out+56(%rip)\n"
    "	mov %r8, site_out+64(%rip)\n"
    "	mov %r9, site_out+72(%rip)\n"
    "	mov %r10, site_out+80(%rip)\n"
    "	mov %r11, site_out+88(%rip)\n"
    "	mov %r12, site_out+96(%rip)\n"
    "	mov %r13, site_out+104(%rip)\n"
    "	mov %r14, site_out+112(%rip)\n"
    "	mov %r15, site_out+120(%rip)\n"
    "	pushq $2\n"
    "	popfq\n"
    "	pop %r15\n"
    "	pop %r14\n"
    "	pop %r13\n"
    "	pop %r12\n"
    "	pop %rbp\n"
    "	pop %rbx\n"
    "	ret\n"
    ".size site_enter, . - site_enter\n"
    ".popsection\n");
extern void site_enter(void);

void site_run(void *target, const struct regs64 *in, struct regs64 *out)
{
	site_in = *in;
	site_target = target;
	site_enter();
	*out = site_out;
	out->r[DX] = 0;
}

uint64_t site_stack(void)
{
	static uint8_t stack[65536] __attribute__((aligned(16)));

	return (uint64_t)stack + sizeof(stack) / 2;
}

int code_create(struct code *code)
{
	code->map = NULL;
	code->fd = memfd_create("uprobe-sites", MFD_CLOEXEC);
	if (code->fd < 0 || ftruncate(code->fd, SITE_FILE_SIZE))
		return -errno;
	return 0;
}

int code_put(struct code *code, size_t offset, const void *bytes, size_t len)
{
	if (pwrite(code->fd, bytes, len, offset) != (ssize_t)len)
		return -EIO;
	return 0;
}

int code_put_site(struct code *code, size_t offset, const void *insn, size_t len)
{
	/*
	 * 16 nops, as many bytes as uprobes copy, then jmp *%rdx: a task that
	 * goes on in the copy instead of here does not find the way back.
	 */
	static const uint8_t back[] = {
		0x90, 0x90, 0x90, 0x90, 0x90, 0x90, 0x90, 0x90,
		0x90, 0x90, 0x90, 0x90, 0x90, 0x90, 0x90, 0x90,
		0xff, 0xe2,
	};

	return code_put(code, offset, insn, len) ?:
	       code_put(code, offset + len, back, sizeof(back));
}

int code_map(struct code *code)
{
	code->map = mmap(NULL, SITE_FILE_SIZE, PROT_READ | PROT_EXEC, MAP_PRIVATE,
			 code->fd, 0);
	return code->map == MAP_FAILED ? -errno : 0;
}

static int helper_path(char *path, size_t size)
{
	ssize_t len = readlink("/proc/self/exe", path, size - sizeof("sub32"));
	char *slash;

	if (len < 0)
		return -errno;
	path[len] = 0;
	slash = strrchr(path, '/');
	strcpy(slash ? slash + 1 : path, "sub32");
	return 0;
}

static int transfer(int fd, void *buffer, size_t size, bool out)
{
	ssize_t done = out ? write(fd, buffer, size) : read(fd, buffer, size);

	return done == (ssize_t)size ? 0 : -EPIPE;
}

int helper_start(struct helper *helper, const struct code *code)
{
	char path[4096];
	int to[2], from[2], err = helper_path(path, sizeof(path));

	if (err)
		return err;
	signal(SIGPIPE, SIG_IGN);
	if (pipe2(to, O_CLOEXEC) || pipe2(from, O_CLOEXEC))
		return -errno;
	helper->pid = fork();
	if (helper->pid < 0)
		return -errno;
	if (!helper->pid) {
		int fd = fcntl(code->fd, F_DUPFD, 10);	/* out of the way of 0, 1, 3 */
		int in = fcntl(to[0], F_DUPFD, 10), out = fcntl(from[1], F_DUPFD, 10);

		prctl(PR_SET_PDEATHSIG, SIGKILL);
		dup2(in, 0);
		dup2(out, 1);
		dup2(fd, HELPER_CODE_FD);
		/* nothing of the test may stay open in the helper */
		syscall(SYS_close_range, HELPER_CODE_FD + 1, ~0U, 0);
		execl(path, path, (char *)NULL);
		_exit(127);
	}
	close(to[0]);
	close(from[1]);
	helper->to = to[1];
	helper->from = from[0];
	err = transfer(helper->from, &helper->hello, sizeof(helper->hello), false);
	if (err)
		helper_stop(helper);
	return err;
}

int helper_run(struct helper *helper, size_t offset, const struct regs32 *in,
	       struct regs32 *out, size_t count)
{
	struct request32 requests[HELPER_BATCH];
	int err = 0;

	while (count && !err) {
		size_t batch = count < HELPER_BATCH ? count : HELPER_BATCH;

		for (size_t i = 0; i < batch; i++)
			requests[i] = (struct request32){ .offset = offset, .in = in[i] };
		err = transfer(helper->to, requests, batch * sizeof(*requests), true);
		for (size_t i = 0; i < batch && !err; i++)
			err = transfer(helper->from, &out[i], sizeof(*out), false);
		in += batch;
		out += batch;
		count -= batch;
	}
	return err;
}

void helper_stop(struct helper *helper)
{
	close(helper->to);
	close(helper->from);
	kill(helper->pid, SIGKILL);
	waitpid(helper->pid, NULL, 0);
}

static int uprobe_type(void)
{
	FILE *file = fopen("/sys/bus/event_source/devices/uprobe/type", "re");
	int type = -1;

	if (!file)
		return -ENODEV;
	if (fscanf(file, "%d", &type) != 1)
		type = -ENODEV;
	fclose(file);
	return type;
}

int probe_open(const struct code *code, size_t offset, pid_t pid, int flags)
{
	struct perf_event_attr attr = { .size = sizeof(attr) };
	int type = uprobe_type(), event, cpu = -1;
	char path[64];

	if (type < 0)
		return type;
	snprintf(path, sizeof(path), "/proc/self/fd/%d", code->fd);
	if (flags & PROBE_THIS_CPU) {
		pid = -1;
		cpu = sched_getcpu();
	}
	attr.type = type;
	attr.config = flags & PROBE_RETURN ? 1 : 0;
	attr.uprobe_path = (unsigned long)path;
	attr.probe_offset = offset;
	event = syscall(SYS_perf_event_open, &attr, pid, cpu, -1, PERF_FLAG_FD_CLOEXEC);
	return event < 0 ? -errno : event;
}

long long probe_hits(int event)
{
	long long count;

	return read(event, &count, sizeof(count)) == sizeof(count) ? count : -1;
}

int stepped(pid_t pid)
{
	char path[64], line[512];
	int found = 0;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/maps", pid ?: getpid());
	file = fopen(path, "re");
	if (!file)
		return -1;
	while (fgets(line, sizeof(line), file))
		if (strstr(line, "[uprobes]\n"))
			found = 1;
	fclose(file);
	return found;
}

const char *failure(const char *format, ...)
{
	static char text[1024];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	return text;
}

const char *isolated(const char *(*check)(const void *arg), const void *arg)
{
	char *shared = mmap(NULL, 4096, PROT_READ | PROT_WRITE,
			    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	const char *result = NULL;
	int status;
	pid_t pid;

	if (shared == MAP_FAILED)
		return failure("mmap: %s", strerror(errno));
	pid = fork();
	if (pid < 0)
		return failure("fork: %s", strerror(errno));
	if (!pid) {
		const char *text;

		prctl(PR_SET_PDEATHSIG, SIGKILL);
		text = check(arg);
		if (text)
			strncpy(shared, text, 4095);
		_exit(0);
	}
	if (waitpid(pid, &status, 0) != pid)
		result = failure("waitpid: %s", strerror(errno));
	else if (WIFSIGNALED(status))
		result = failure("died of signal %d (%s)", WTERMSIG(status),
				 strsignal(WTERMSIG(status)));
	else if (WEXITSTATUS(status))
		result = failure("exited with status %d", WEXITSTATUS(status));
	else if (*shared)
		result = failure("%s", shared);
	munmap(shared, 4096);
	return result;
}
