// SPDX-License-Identifier: GPL-2.0
/*
 * The 32-bit side of test_uprobe_sub: maps the file of sites that it inherits,
 * says where, then executes one site a request with the registers it is sent.
 * Freestanding: no C library, no stack protector, int 0x80 for system calls.
 */
#include "site.h"

static struct request32 request __attribute__((used));
static struct regs32 answer __attribute__((used));
static unsigned int host_sp __attribute__((used));
static unsigned int target __attribute__((used));
static unsigned char stack[16384] __attribute__((aligned(16)));

/* request is 4 bytes of offset, then the registers by number, then the flags */
asm(".pushsection .text\n"
    "run_site:\n"
    "	pushal\n"
    "	mov %esp, host_sp\n"
    "	pushl request+36\n"
    "	popfl\n"
    "	mov request+4, %eax\n"
    "	mov request+8, %ecx\n"
    "	mov $site_return, %edx\n"
    "	mov request+16, %ebx\n"
    "	mov request+24, %ebp\n"
    "	mov request+28, %esi\n"
    "	mov request+32, %edi\n"
    "	mov request+20, %esp\n"
    "	jmp *target\n"
    "site_return:\n"
    "	mov %esp, answer+16\n"
    "	mov host_sp, %esp\n"
    "	pushfl\n"
    "	popl answer+32\n"
    "	mov %eax, answer+0\n"
    "	mov %ecx, answer+4\n"
    "	movl $0, answer+8\n"
    "	mov %ebx, answer+12\n"
    "	mov %ebp, answer+20\n"
    "	mov %esi, answer+24\n"
    "	mov %edi, answer+28\n"
    "	pushl $2\n"
    "	popfl\n"
    "	popal\n"
    "	ret\n"
    ".popsection\n");
void run_site(void);

static long syscall3(long nr, long a, long b, long c)
{
	long ret;

	asm volatile("int $0x80" : "=a" (ret) : "a" (nr), "b" (a), "c" (b), "d" (c)
		     : "memory");
	return ret;
}

/* mmap of i386 takes a block of arguments; mmap2 would need %ebp. */
static long map_code(void)
{
	unsigned long args[6] = { 0, SITE_FILE_SIZE, 1 | 4 /* READ | EXEC */,
				  2 /* PRIVATE */, HELPER_CODE_FD, 0 };

	return syscall3(90 /* __NR_mmap */, (long)args, 0, 0);
}

static void leave(int status)
{
	syscall3(1 /* __NR_exit */, status, 0, 0);
	__builtin_unreachable();
}

void _start(void)
{
	struct hello32 hello;
	long map = map_code();

	if (map < 0 && map > -4096)
		leave(1);
	hello.map = map;
	hello.stack = (unsigned long)stack + sizeof(stack) - 4096;
	if (syscall3(4 /* __NR_write */, 1, (long)&hello, sizeof(hello)) != sizeof(hello))
		leave(2);

	while (syscall3(3 /* __NR_read */, 0, (long)&request, sizeof(request)) ==
	       sizeof(request)) {
		target = hello.map + request.offset;
		run_site();
		if (syscall3(4 /* __NR_write */, 1, (long)&answer, sizeof(answer)) !=
		    sizeof(answer))
			leave(3);
	}
	leave(0);
}
