// SPDX-License-Identifier: GPL-2.0
/*
 * libagent: declaring bursts, and starting tools that are bursts.
 *
 * What the library does to its caller and how it reports errors is tested on
 * every kernel, also what it does where there is no agent class: where there is
 * one, a seccomp filter hides it.  The rest needs the class and is skipped
 * without.  What the kernel knows of a tool, the tool itself says (tool.c).
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <grp.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>

#include <agent.h>

#include "../../kselftest_harness.h"
#include "cgroup_util.h"
#include "tool.h"

/* For emulated machines on busy hosts. */
#undef TEST_TIMEOUT_DEFAULT
#define TEST_TIMEOUT_DEFAULT	150

#define MSEC		1000000ULL
#define CREDIT_DEFAULT	(8 * MSEC)
#define PERIOD_DEFAULT	(100 * MSEC)
/* Values that are no default of anything. */
#define CREDIT		(3 * MSEC)
#define PERIOD		(40 * MSEC)
#define NICE		(-7)

#define TOOL		"./tool"

/* What a tool has said of itself. */
struct told {
	int			burst;
	unsigned int		policy;
	unsigned long long	credit;
	unsigned long long	period;
	int			nice;
	int			own_nice;
	unsigned long long	blocked;
	unsigned long long	ignored;
	int			fds;
	int			pid;
	char			cgroup[256];
};

/* Whether a declaration succeeds in a child, without the library: 1, 0 or -1. */
static int kernel_has_class(void)
{
	struct burst_attr attr = { .flags = SCHED_FLAG_AGENT_CLASS };
	int status;
	pid_t pid = fork();

	if (!pid)
		_exit(set_attr(&attr) ? errno : 0);
	if (pid < 0 || waitpid(pid, &status, 0) != pid || !WIFEXITED(status))
		return -1;
	return WEXITSTATUS(status) == EINVAL ? 0 : WEXITSTATUS(status) ? -1 : 1;
}

#define NEEDS_CLASS()							\
do {									\
	int has = kernel_has_class();					\
									\
	ASSERT_NE(-1, has);						\
	if (!has)							\
		SKIP(return, "the kernel has no agent class");		\
} while (0)

static bool is_burst(uint64_t credit, uint64_t period, int nice)
{
	struct burst_attr attr;

	return !get_attr(&attr) && (attr.flags & SCHED_FLAG_AGENT_CLASS) &&
	       attr.runtime == credit && attr.period == period && attr.nice == nice;
}

static bool is_ordinary(void)
{
	struct burst_attr attr;

	return !get_attr(&attr) && !(attr.flags & SCHED_FLAG_AGENT_CLASS);
}

static bool no_child_left(void)
{
	return waitpid(-1, NULL, __WALL | WNOHANG) == -1 && errno == ECHILD;
}

static int count_fds(void)
{
	int fd, count = 0;

	for (fd = 0; fd < 256; fd++)
		count += fcntl(fd, F_GETFD) >= 0;
	return count;
}

static int exit_status(pid_t pid)
{
	int status;

	if (waitpid(pid, &status, 0) != pid)
		return -1;
	return WIFEXITED(status) ? WEXITSTATUS(status) : 256 + WTERMSIG(status);
}

/* Run a tool and have what it writes, ended by NUL; returns its exit status or -1. */
static int run_tool(const char *file, char *const argv[], struct agent_tool *tool,
		    char *out, size_t size)
{
	struct agent_tool copy = tool ? *tool : (struct agent_tool){};
	int fds[2], stdio[3] = { -1, -1, -1 }, err;
	ssize_t len = 0, more;
	pid_t pid;

	if (pipe2(fds, O_CLOEXEC))
		return -1;
	stdio[1] = fds[1];
	copy.size = sizeof(copy);
	copy.stdio = stdio;
	pid = agent_tool_spawn(file, argv, NULL, &copy);
	err = errno;
	close(fds[1]);
	while (pid > 0 && (more = read(fds[0], out + len, size - 1 - len)) > 0)
		len += more;
	close(fds[0]);
	out[len] = 0;
	errno = err;
	return pid < 0 ? -1 : exit_status(pid);
}

static int ask_tool(struct agent_tool *tool, struct told *told)
{
	char *argv[] = { "tool", NULL };
	char out[512];

	memset(told, 0, sizeof(*told));
	if (run_tool(TOOL, argv, tool, out, sizeof(out)))
		return -1;
	return sscanf(out, "burst=%d policy=%u credit=%llu period=%llu nice=%d own=%d blocked=%llx ignored=%llx fds=%d pid=%d cgroup=%255s",
		      &told->burst, &told->policy, &told->credit, &told->period, &told->nice,
		      &told->own_nice, &told->blocked, &told->ignored, &told->fds,
		      &told->pid, told->cgroup) == 11 ? 0 : -1;
}

static void become_nobody(struct __test_metadata *_metadata, int nice_limit)
{
	struct rlimit limit = { nice_limit, nice_limit };

	ASSERT_EQ(0, setrlimit(RLIMIT_NICE, &limit));
	ASSERT_EQ(0, setgroups(0, NULL));
	ASSERT_EQ(0, setresgid(NOBODY, NOBODY, NOBODY));
	ASSERT_EQ(0, setresuid(NOBODY, NOBODY, NOBODY));
}

static volatile sig_atomic_t handled;

static void count_signal(int sig)
{
	(void)sig;
	handled++;
}

/* ---- bursts of the caller -------------------------------------------------- */

FIXTURE(burst) {
	int unused;
};

FIXTURE_SETUP(burst)
{
	if (geteuid())
		SKIP(return, "needs root");
}

FIXTURE_TEARDOWN(burst)
{
}

TEST_F(burst, supported)
{
	int has = kernel_has_class();

	ASSERT_NE(-1, has);
	EXPECT_EQ(has, agent_burst_supported());
	ASSERT_EQ(0, hide_class(EINVAL));
	EXPECT_EQ(0, agent_burst_supported());
}

/* Who may not declare one still learns whether others may. */
TEST_F(burst, supported_as_nobody)
{
	int has = kernel_has_class();

	ASSERT_NE(-1, has);
	become_nobody(_metadata, 0);
	EXPECT_EQ(has, agent_burst_supported());
}

TEST_F(burst, supported_leaves_no_trace)
{
	struct sigaction action = { .sa_handler = count_signal };
	struct burst_attr before, after;
	int fds = count_fds();

	ASSERT_EQ(0, sigaction(SIGCHLD, &action, NULL));
	ASSERT_EQ(0, get_attr(&before));
	ASSERT_NE(-1, agent_burst_supported());
	ASSERT_EQ(0, get_attr(&after));
	EXPECT_EQ(0, memcmp(&before, &after, sizeof(before)));
	EXPECT_TRUE(no_child_left());
	EXPECT_EQ(0, handled);
	EXPECT_EQ(fds, count_fds());
}

TEST_F(burst, supported_says_when_it_cannot_tell)
{
	ASSERT_EQ(0, deny(SYS_clone, SECCOMP_RET_ERRNO | EAGAIN));
	EXPECT_EQ(-1, agent_burst_supported());
	EXPECT_EQ(EAGAIN, errno);
}

TEST_F(burst, begin_end)
{
	NEEDS_CLASS();
	ASSERT_EQ(0, agent_burst_begin(CREDIT, PERIOD, NICE));
	EXPECT_TRUE(is_burst(CREDIT, PERIOD, NICE));
	ASSERT_EQ(0, agent_burst_begin(2 * CREDIT, 2 * PERIOD, 0));
	EXPECT_TRUE(is_burst(2 * CREDIT, 2 * PERIOD, 0));
	EXPECT_EQ(0, getpriority(PRIO_PROCESS, 0));
	ASSERT_EQ(0, agent_burst_end());
	EXPECT_TRUE(is_ordinary());
}

TEST_F(burst, begin_defaults)
{
	NEEDS_CLASS();
	ASSERT_EQ(0, agent_burst_begin(0, 0, 0));
	EXPECT_TRUE(is_burst(CREDIT_DEFAULT, PERIOD_DEFAULT, 0));
}

TEST_F(burst, begin_wrong_values)
{
	static const struct {
		uint64_t credit;
		uint64_t period;
		int nice;
	} wrong[] = {
		{ 1, 0, 0 },			/* below 100 us */
		{ 101 * MSEC, 1000 * MSEC, 0 },	/* above 100 ms */
		{ 51 * MSEC, 0, 0 },		/* more than half of 100 ms */
		{ 0, 15 * MSEC, 0 },		/* less than twice 8 ms */
		{ MSEC, MSEC, 0 },		/* below 10 ms */
		{ MSEC, 10001 * MSEC, 0 },	/* above 10 s */
		{ ~0ULL, ~0ULL, 0 },
		{ 0, 0, -21 },
		{ 0, 0, 20 },
	};

	NEEDS_CLASS();
	for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
		errno = 0;
		EXPECT_EQ(-1, agent_burst_begin(wrong[i].credit, wrong[i].period, wrong[i].nice))
			TH_LOG("value %zu", i);
		EXPECT_EQ(EINVAL, errno) TH_LOG("value %zu", i);
		EXPECT_TRUE(is_ordinary());
	}
	EXPECT_TRUE(no_child_left());
}

TEST_F(burst, begin_under_another_policy)
{
	static const int policies[] = { SCHED_FIFO, SCHED_RR, SCHED_BATCH, SCHED_IDLE };

	NEEDS_CLASS();
	for (size_t i = 0; i < ARRAY_SIZE(policies); i++) {
		struct sched_param param = { .sched_priority = policies[i] == SCHED_FIFO ||
							       policies[i] == SCHED_RR };

		ASSERT_EQ(0, sched_setscheduler(0, policies[i], &param));
		EXPECT_EQ(-1, agent_burst_begin(0, 0, 0));
		EXPECT_EQ(EINVAL, errno);
		EXPECT_EQ(policies[i], sched_getscheduler(0));
	}
}

TEST_F(burst, begin_needs_a_privilege)
{
	NEEDS_CLASS();
	become_nobody(_metadata, 20);
	EXPECT_EQ(-1, agent_burst_begin(0, 0, -1));
	EXPECT_EQ(EPERM, errno);
	EXPECT_TRUE(is_ordinary());
	/* 20 - 0 is allowed, and so is withdrawing it. */
	EXPECT_EQ(0, agent_burst_begin(0, 0, 0));
	EXPECT_TRUE(is_burst(CREDIT_DEFAULT, PERIOD_DEFAULT, 0));
	EXPECT_EQ(0, agent_burst_end());
	EXPECT_TRUE(is_ordinary());
}

TEST_F(burst, begin_without_class)
{
	ASSERT_EQ(0, hide_class(EINVAL));
	EXPECT_EQ(-1, agent_burst_begin(0, 0, 0));
	EXPECT_EQ(EOPNOTSUPP, errno);
	EXPECT_TRUE(no_child_left());
}

TEST_F(burst, begin_without_the_system_call)
{
	ASSERT_EQ(0, hide_class(ENOSYS));
	EXPECT_EQ(-1, agent_burst_begin(0, 0, 0));
	EXPECT_EQ(EOPNOTSUPP, errno);
}

/* Before and after the burst: own nice value, own slice, SCHED_RESET_ON_FORK. */
TEST_F(burst, end_leaves_the_rest)
{
	struct burst_attr before = {
		.flags = 1,		/* SCHED_FLAG_RESET_ON_FORK */
		.nice = 5,
		.runtime = CREDIT,	/* the slice, where there is no burst */
	};
	struct burst_attr after;

	NEEDS_CLASS();
	ASSERT_EQ(0, set_attr(&before));
	ASSERT_EQ(0, get_attr(&before));
	ASSERT_EQ(CREDIT, before.runtime);

	ASSERT_EQ(0, agent_burst_begin(2 * CREDIT, PERIOD, NICE));
	EXPECT_EQ(5, getpriority(PRIO_PROCESS, 0));
	ASSERT_EQ(0, agent_burst_end());
	ASSERT_EQ(0, get_attr(&after));
	EXPECT_EQ(before.policy, after.policy);
	EXPECT_EQ(before.flags, after.flags);
	EXPECT_EQ(before.nice, after.nice);
	EXPECT_EQ(before.runtime, after.runtime);
}

TEST_F(burst, end_without_begin)
{
	struct burst_attr before = { .nice = 3, .runtime = CREDIT }, after;
	struct sched_param param = { .sched_priority = 1 };

	ASSERT_EQ(0, set_attr(&before));
	ASSERT_EQ(0, get_attr(&before));
	EXPECT_EQ(0, agent_burst_end());
	EXPECT_EQ(0, agent_burst_end());
	ASSERT_EQ(0, get_attr(&after));
	EXPECT_EQ(0, memcmp(&before, &after, sizeof(before)));

	ASSERT_EQ(0, sched_setscheduler(0, SCHED_FIFO, &param));
	EXPECT_EQ(0, agent_burst_end());
	EXPECT_EQ(SCHED_FIFO, sched_getscheduler(0));
}

static void *thread_ordinary(void *arg)
{
	pthread_barrier_t *barrier = arg;
	bool ordinary;

	pthread_barrier_wait(barrier);	/* the other has declared a burst */
	ordinary = is_ordinary();
	pthread_barrier_wait(barrier);
	return ordinary ? arg : NULL;
}

static void *thread_burst(void *arg)
{
	return is_burst(CREDIT, PERIOD, NICE) ? arg : NULL;
}

TEST_F(burst, belongs_to_a_thread)
{
	pthread_barrier_t barrier;
	pthread_t before, after;
	void *ret;

	NEEDS_CLASS();
	ASSERT_EQ(0, pthread_barrier_init(&barrier, NULL, 2));
	ASSERT_EQ(0, pthread_create(&before, NULL, thread_ordinary, &barrier));
	ASSERT_EQ(0, agent_burst_begin(CREDIT, PERIOD, NICE));
	pthread_barrier_wait(&barrier);
	ASSERT_EQ(0, pthread_create(&after, NULL, thread_burst, &barrier));
	pthread_barrier_wait(&barrier);
	ASSERT_EQ(0, pthread_join(before, &ret));
	EXPECT_NE(NULL, ret) TH_LOG("another thread has become a burst");
	ASSERT_EQ(0, pthread_join(after, &ret));
	EXPECT_NE(NULL, ret) TH_LOG("a new thread has not inherited the burst");
}

/* ---- tools ------------------------------------------------------------------ */

FIXTURE(tool) {
	int fds;
};

FIXTURE_SETUP(tool)
{
	struct sigaction action = { .sa_handler = count_signal };

	if (geteuid())
		SKIP(return, "needs root");
	ASSERT_EQ(0, sigaction(SIGCHLD, &action, NULL));
	self->fds = count_fds();
}

/* Whatever happened, nothing may be left of it. */
FIXTURE_TEARDOWN(tool)
{
	EXPECT_EQ(self->fds, count_fds());
	EXPECT_TRUE(no_child_left());
}

TEST_F(tool, declares)
{
	struct agent_tool tool = { .credit_ns = CREDIT, .period_ns = PERIOD, .nice = NICE };
	struct told told;

	NEEDS_CLASS();
	ASSERT_EQ(0, ask_tool(&tool, &told));
	EXPECT_EQ(1, told.burst);
	EXPECT_EQ(CREDIT, told.credit);
	EXPECT_EQ(PERIOD, told.period);
	EXPECT_EQ(NICE, told.nice);
	EXPECT_EQ(0, told.own_nice);
	EXPECT_TRUE(is_ordinary()) TH_LOG("the caller is left with a burst");
}

TEST_F(tool, declares_the_default)
{
	struct told told;

	NEEDS_CLASS();
	ASSERT_EQ(0, ask_tool(NULL, &told));
	EXPECT_EQ(1, told.burst);
	EXPECT_EQ(CREDIT_DEFAULT, told.credit);
	EXPECT_EQ(PERIOD_DEFAULT, told.period);
	EXPECT_EQ(0, told.nice);
}

/* The tool's own process is the one that was returned, and its options may be NULL. */
TEST_F(tool, without_options)
{
	char *argv[] = { "sh", "-c", "exit 7", NULL };
	pid_t pid = agent_tool_spawn("sh", argv, NULL, NULL);

	ASSERT_LT(0, pid);
	EXPECT_EQ(7, exit_status(pid));
	EXPECT_EQ(1, handled) TH_LOG("SIGCHLD");
}

TEST_F(tool, of_a_burst)
{
	struct agent_tool tool = { .credit_ns = CREDIT, .period_ns = PERIOD, .nice = NICE };
	struct told told;

	NEEDS_CLASS();
	ASSERT_EQ(0, agent_burst_begin(2 * CREDIT, 2 * PERIOD, 1));
	ASSERT_EQ(0, ask_tool(&tool, &told));
	EXPECT_EQ(CREDIT, told.credit);
	EXPECT_EQ(NICE, told.nice);
	EXPECT_TRUE(is_burst(2 * CREDIT, 2 * PERIOD, 1));

	tool = (struct agent_tool){ .flags = AGENT_TOOL_NO_BURST };
	ASSERT_EQ(0, ask_tool(&tool, &told));
	EXPECT_EQ(0, told.burst);
	EXPECT_TRUE(is_burst(2 * CREDIT, 2 * PERIOD, 1));
}

TEST_F(tool, no_burst)
{
	struct agent_tool tool = { .flags = AGENT_TOOL_NO_BURST | AGENT_TOOL_STRICT };
	struct told told;

	ASSERT_EQ(0, hide_class(EINVAL));
	ASSERT_EQ(0, ask_tool(&tool, &told));
	EXPECT_EQ(0, told.burst);
}

TEST_F(tool, without_class)
{
	int step = -1;
	struct agent_tool tool = { .credit_ns = CREDIT, .step = &step };
	char *touch[] = { "touch", "executed", NULL };
	struct told told;
	char out[8];

	unlink("executed");
	ASSERT_EQ(0, hide_class(EINVAL));
	ASSERT_EQ(0, ask_tool(&tool, &told));
	EXPECT_EQ(0, told.burst);
	EXPECT_EQ(1, handled) TH_LOG("SIGCHLD of an attempt that failed");

	tool.flags = AGENT_TOOL_STRICT;
	EXPECT_EQ(-1, run_tool("touch", touch, &tool, out, sizeof(out)));
	EXPECT_EQ(EOPNOTSUPP, errno);
	EXPECT_EQ(AGENT_STEP_BURST, step);
	EXPECT_EQ(-1, access("executed", F_OK));
	EXPECT_EQ(1, handled);
}

TEST_F(tool, wrong_burst)
{
	int step = -1;
	struct agent_tool tool = { .credit_ns = 1, .step = &step };
	char *touch[] = { "touch", "executed", NULL };
	char out[8];

	NEEDS_CLASS();
	handled = 0;
	unlink("executed");
	EXPECT_EQ(-1, run_tool("touch", touch, &tool, out, sizeof(out)));
	EXPECT_EQ(EINVAL, errno);
	EXPECT_EQ(AGENT_STEP_BURST, step);
	tool = (struct agent_tool){ .nice = 20, .step = &step };
	EXPECT_EQ(-1, run_tool("touch", touch, &tool, out, sizeof(out)));
	EXPECT_EQ(EINVAL, errno);
	become_nobody(_metadata, 20);
	tool = (struct agent_tool){ .nice = -1, .step = &step };
	EXPECT_EQ(-1, run_tool("touch", touch, &tool, out, sizeof(out)));
	EXPECT_EQ(EPERM, errno);
	EXPECT_EQ(AGENT_STEP_BURST, step);
	EXPECT_EQ(-1, access("executed", F_OK));
	EXPECT_EQ(0, handled) TH_LOG("SIGCHLD of an attempt that failed");
}

TEST_F(tool, exec_errors)
{
	static const struct {
		const char *file;
		int err;
	} wrong[] = {
		{ "no-such-tool", ENOENT },
		{ "./no-such-tool", ENOENT },
		{ "/", EACCES },
		{ "settings", ENOENT },		/* not in PATH */
		{ "./settings", EACCES },	/* not executable */
		{ "./settings/tool", ENOTDIR },
		{ "", ENOENT },
	};
	char *argv[] = { "tool", NULL };
	int step;
	struct agent_tool tool = { .size = sizeof(tool), .step = &step };

	for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
		step = -1;
		EXPECT_EQ(-1, agent_tool_spawn(wrong[i].file, argv, NULL, &tool));
		EXPECT_EQ(wrong[i].err, errno) TH_LOG("%s", wrong[i].file);
		EXPECT_EQ(AGENT_STEP_EXEC, step);
		EXPECT_TRUE(no_child_left());
	}
	EXPECT_EQ(0, handled) TH_LOG("SIGCHLD of an attempt that failed");
}

TEST_F(tool, wrong_options)
{
	struct {
		struct agent_tool tool;
		char more[16];
	} big = { .tool.size = sizeof(big) };
	char *argv[] = { "true", NULL }, *none[] = { NULL };
	int step = -1;
	struct agent_tool tool = { .step = &step };
	pid_t pid;

	EXPECT_EQ(-1, agent_tool_spawn("true", argv, NULL, &tool));
	EXPECT_EQ(EINVAL, errno) TH_LOG("size 0");
	tool.size = sizeof(tool) - 1;
	EXPECT_EQ(-1, agent_tool_spawn("true", argv, NULL, &tool));
	EXPECT_EQ(EINVAL, errno) TH_LOG("too small");

	tool.size = sizeof(tool);
	tool.flags = 1U << 31;
	EXPECT_EQ(-1, agent_tool_spawn("true", argv, NULL, &tool));
	EXPECT_EQ(EINVAL, errno) TH_LOG("unknown flag");
	EXPECT_EQ(AGENT_STEP_ARGS, step);

	tool.flags = AGENT_TOOL_CGROUP;
	tool.cgroup_fd = -1;
	EXPECT_EQ(-1, agent_tool_spawn("true", argv, NULL, &tool));
	EXPECT_EQ(EBADF, errno);

	EXPECT_EQ(-1, agent_tool_spawn(NULL, argv, NULL, NULL));
	EXPECT_EQ(EINVAL, errno);
	EXPECT_EQ(-1, agent_tool_spawn("true", NULL, NULL, NULL));
	EXPECT_EQ(EINVAL, errno);
	EXPECT_EQ(-1, agent_tool_spawn("true", none, NULL, NULL));
	EXPECT_EQ(EINVAL, errno);

	/* Of a newer library: fine, as long as it asks for nothing new. */
	pid = agent_tool_spawn("true", argv, NULL, &big.tool);
	ASSERT_LT(0, pid);
	EXPECT_EQ(0, exit_status(pid));
	big.more[15] = 1;
	EXPECT_EQ(-1, agent_tool_spawn("true", argv, NULL, &big.tool));
	EXPECT_EQ(E2BIG, errno);
}

TEST_F(tool, script_and_environment)
{
	char *argv[] = { "script", "two words", NULL };
	char *envp[] = { "COLOUR=green", "PATH=/nowhere", NULL };
	struct agent_tool tool = { .size = sizeof(tool) };
	int fds[2], stdio[] = { -1, -1, -1 }, file;
	char out[64] = "";
	pid_t pid;

	/* No #! line: the shell runs it, as everywhere. */
	file = open("script", O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0755);
	ASSERT_LT(0, file);
	ASSERT_EQ(23, write(file, "echo \"$1, $COLOUR.\"\n\n\n\n", 23));
	close(file);
	ASSERT_EQ(0, pipe2(fds, O_CLOEXEC));
	stdio[1] = fds[1];
	tool.stdio = stdio;
	pid = agent_tool_spawn("./script", argv, envp, &tool);
	close(fds[1]);
	ASSERT_LT(0, pid);
	EXPECT_LT(0, read(fds[0], out, sizeof(out) - 1));
	close(fds[0]);
	EXPECT_STREQ("two words, green.\n", out);
	EXPECT_EQ(0, exit_status(pid));
	unlink("script");
}

/* What is where in the tool: a line from its 0 to its 1, one to its 2. */
static const char *swap = "read line; echo \"out $line\"; echo \"err $line\" >&2";

TEST_F(tool, stdio_in_any_order)
{
	static const int orders[][3] = {
		{ 0, 1, 2 }, { 0, 2, 1 }, { 1, 0, 2 }, { 1, 2, 0 }, { 2, 0, 1 }, { 2, 1, 0 },
	};
	char *argv[] = { "sh", "-c", (char *)swap, NULL };

	for (size_t i = 0; i < ARRAY_SIZE(orders); i++) {
		int in[2], out[2], err[2], saved[3], fd;
		const int *order = orders[i];
		struct agent_tool tool = { .size = sizeof(tool) };
		char text[2][16] = {};
		pid_t pid;

		for (fd = 0; fd < 3; fd++) {
			saved[fd] = fcntl(fd, F_DUPFD_CLOEXEC, 10);
			ASSERT_LT(0, saved[fd]);
		}
		ASSERT_EQ(0, pipe2(in, O_CLOEXEC));
		ASSERT_EQ(0, pipe2(out, O_CLOEXEC));
		ASSERT_EQ(0, pipe2(err, O_CLOEXEC));
		ASSERT_EQ(3, write(in[1], "hi\n", 3));

		/* Ours lie where the tool's are wanted, and are to be closed by an exec. */
		ASSERT_EQ(order[0], dup3(in[0], order[0], O_CLOEXEC));
		ASSERT_EQ(order[1], dup3(out[1], order[1], O_CLOEXEC));
		ASSERT_EQ(order[2], dup3(err[1], order[2], O_CLOEXEC));
		tool.stdio = order;
		pid = agent_tool_spawn("sh", argv, NULL, &tool);
		for (fd = 0; fd < 3; fd++) {
			dup2(saved[fd], fd);
			close(saved[fd]);
		}

		ASSERT_LT(0, pid);
		EXPECT_EQ(0, exit_status(pid));
		EXPECT_EQ(7, read(out[0], text[0], 15));
		EXPECT_STREQ("out hi\n", text[0]);
		EXPECT_EQ(7, read(err[0], text[1], 15));
		EXPECT_STREQ("err hi\n", text[1]);
		close(in[0]);
		close(in[1]);
		close(out[0]);
		close(out[1]);
		close(err[0]);
		close(err[1]);
	}
}

/* With 0 and 1 closed the library's own pipe must not end up there. */
TEST_F(tool, stdio_closed)
{
	char *argv[] = { "no-such-tool", NULL };
	int saved[2], fd, err;
	struct agent_tool tool = { .size = sizeof(tool), .stdio = (int []){ -1, 2, -1 } };
	pid_t pid;

	for (fd = 0; fd < 2; fd++) {
		saved[fd] = fcntl(fd, F_DUPFD_CLOEXEC, 10);
		close(fd);
	}
	pid = agent_tool_spawn("no-such-tool", argv, NULL, &tool);
	err = errno;
	for (fd = 0; fd < 2; fd++) {
		EXPECT_EQ(-1, fcntl(fd, F_GETFD));
		dup2(saved[fd], fd);
		close(saved[fd]);
	}
	EXPECT_EQ(-1, pid);
	EXPECT_EQ(ENOENT, err);
}

TEST_F(tool, stdio_wrong)
{
	char *argv[] = { "true", NULL };
	int step = -1;
	struct agent_tool tool = { .size = sizeof(tool), .step = &step };

	tool.stdio = (int []){ -1, 250, -1 };
	EXPECT_EQ(-1, agent_tool_spawn("true", argv, NULL, &tool));
	EXPECT_EQ(EBADF, errno);
	EXPECT_EQ(AGENT_STEP_STDIO, step);
}

/* The tool has those of ours that are not to be closed, and none of the library's. */
TEST_F(tool, descriptors)
{
	struct told told;
	int fd;

	for (fd = 3; fd < 256; fd++)
		fcntl(fd, F_SETFD, FD_CLOEXEC);
	ASSERT_EQ(0, ask_tool(NULL, &told));
	EXPECT_EQ(3, told.fds);
	fd = dup(0);
	ASSERT_EQ(0, ask_tool(NULL, &told));
	EXPECT_EQ(4, told.fds);
	close(fd);
}

#define BIT(sig)	(1ULL << ((sig) - 1))

TEST_F(tool, signals)
{
	struct sigaction action = { .sa_handler = count_signal };
	struct told told;
	sigset_t set, now;

	ASSERT_EQ(0, sigaction(SIGUSR1, &action, NULL));
	action.sa_handler = SIG_IGN;
	ASSERT_EQ(0, sigaction(SIGUSR2, &action, NULL));
	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGRTMIN + 2);
	ASSERT_EQ(0, sigprocmask(SIG_SETMASK, &set, NULL));

	ASSERT_EQ(0, ask_tool(NULL, &told));
	EXPECT_EQ(BIT(SIGTERM) | BIT(SIGRTMIN + 2), told.blocked);
	EXPECT_EQ(BIT(SIGUSR2), told.ignored & ~BIT(SIGPIPE));

	ASSERT_EQ(0, sigprocmask(SIG_SETMASK, NULL, &now));
	EXPECT_EQ(0, memcmp(&set, &now, 8)) TH_LOG("the caller's own mask");
	ASSERT_EQ(0, sigaction(SIGUSR1, NULL, &action));
	EXPECT_TRUE(action.sa_handler == count_signal);
}

static pid_t storm_parent;
static long storm_us;		/* that starting a tool takes */

#define STORM_SPAWNS	100
#define STORM_US	20000000	/* or fewer, in this time */
static volatile sig_atomic_t strayed;
static atomic_bool storm_ends;

/* In a child that has our memory this would be the child's doing. */
static void look_where(int sig)
{
	handled++;
	(void)sig;
	if (syscall(SYS_getpid) != storm_parent)
		strayed = 1;
}

static void *storm(void *arg)
{
	(void)arg;
	while (!storm_ends) {
		/* To children as well. */
		kill(0, SIGUSR1);
		usleep(random() % (4 * storm_us));
	}
	return NULL;
}

static long now_us(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000000L + ts.tv_nsec / 1000;
}

TEST_F(tool, signal_storm)
{
	struct sigaction action = { .sa_handler = look_where, .sa_flags = SA_RESTART };
	struct agent_tool tool = { .size = sizeof(tool), .flags = AGENT_TOOL_NO_BURST };
	char *argv[] = { "true", NULL };
	int started = 0, killed = 0, status;
	long start = now_us();
	pthread_t thread;

	for (int i = 0; i < 5; i++)
		ASSERT_EQ(0, exit_status(agent_tool_spawn("true", argv, NULL, &tool)));
	storm_us = (now_us() - start) / 5 + 1;

	/* A group of our own, which a timeout would not reach. */
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	ASSERT_EQ(0, setpgid(0, 0));
	storm_parent = getpid();
	ASSERT_EQ(0, sigaction(SIGUSR1, &action, NULL));
	ASSERT_EQ(0, pthread_create(&thread, NULL, storm, NULL));
	for (int i = 0; i < STORM_SPAWNS && now_us() - start < STORM_US; i++) {
		pid_t pid = agent_tool_spawn("true", argv, NULL, &tool);

		if (pid < 0) {
			ASSERT_EQ(EINTR, errno);
			killed++;
			continue;
		}
		started++;
		while (waitpid(pid, &status, 0) < 0)
			ASSERT_EQ(EINTR, errno);
		if (!WIFEXITED(status))
			ASSERT_EQ(SIGUSR1, WTERMSIG(status));
	}
	storm_ends = true;
	ASSERT_EQ(0, pthread_join(thread, NULL));
	TH_LOG("%d started, %d killed before, %d signals", started, killed, (int)handled);
	EXPECT_EQ(0, strayed) TH_LOG("a handler ran in a child");
	EXPECT_LT(0, started);
	EXPECT_LT(0, handled);
}

TEST_F(tool, killed_before_it_executes)
{
	char *argv[] = { "true", NULL };

	handled = 0;
	ASSERT_EQ(0, deny(SYS_execve, SECCOMP_RET_KILL_PROCESS));
	EXPECT_EQ(-1, agent_tool_spawn("true", argv, NULL, NULL));
	EXPECT_EQ(EINTR, errno);
	EXPECT_EQ(0, handled) TH_LOG("SIGCHLD");
}

static void *spawn_cancelled(void *arg)
{
	char *argv[] = { "no-such-tool", NULL };
	int *done = arg;

	pthread_cancel(pthread_self());
	if (agent_tool_spawn("no-such-tool", argv, NULL, NULL) == -1 && errno == ENOENT)
		*done = 1;
	pthread_testcancel();
	*done = 2;
	return NULL;
}

TEST_F(tool, cancelled_thread)
{
	pthread_t thread;
	int done = 0;
	void *ret;

	ASSERT_EQ(0, pthread_create(&thread, NULL, spawn_cancelled, &done));
	ASSERT_EQ(0, pthread_join(thread, &ret));
	EXPECT_EQ(PTHREAD_CANCELED, ret);
	EXPECT_EQ(1, done);
}

TEST_F(tool, cgroup)
{
	char root[256], *group, expected[320];
	int step = -1;
	struct agent_tool tool = { .flags = AGENT_TOOL_CGROUP, .step = &step };
	char *argv[] = { "true", NULL };
	struct told told;
	int fd;

	if (cg_find_unified_root(root, sizeof(root), NULL))
		SKIP(return, "no cgroup v2");
	group = cg_name(root, "libagent_test");
	cg_destroy(group);	/* of a run that failed */
	ASSERT_EQ(0, cg_create(group));
	tool.cgroup_fd = open(group, O_PATH | O_CLOEXEC);
	ASSERT_LT(0, tool.cgroup_fd);

	EXPECT_EQ(0, ask_tool(&tool, &told));
	snprintf(expected, sizeof(expected), "%s", strrchr(group, '/'));
	EXPECT_STREQ(expected, strrchr(told.cgroup, '/'));
	/* Together with what else was asked for. */
	if (kernel_has_class() == 1) {
		tool.credit_ns = CREDIT;
		EXPECT_EQ(0, ask_tool(&tool, &told));
		EXPECT_EQ(1, told.burst);
		EXPECT_EQ(CREDIT, told.credit);
	}
	/* The attempt that declares nothing is in the cgroup as well. */
	ASSERT_EQ(0, hide_class(EINVAL));
	EXPECT_EQ(0, ask_tool(&tool, &told));
	EXPECT_STREQ(expected, strrchr(told.cgroup, '/'));
	close(tool.cgroup_fd);

	fd = open("/", O_PATH | O_CLOEXEC);
	tool.size = sizeof(tool);
	tool.cgroup_fd = fd;
	EXPECT_EQ(-1, agent_tool_spawn("true", argv, NULL, &tool));
	EXPECT_EQ(EBADF, errno);
	EXPECT_EQ(AGENT_STEP_CLONE, step);
	close(fd);

	EXPECT_EQ(0, cg_destroy(group));
	free(group);
}

/* As container runtimes do it: then only what clone(2) can do is to be had. */
TEST_F(tool, without_clone3)
{
	struct agent_tool tool = { .size = sizeof(tool), .flags = AGENT_TOOL_CGROUP };
	char *argv[] = { "true", NULL };
	struct told told;
	char root[256];

	if (cg_find_unified_root(root, sizeof(root), NULL))
		SKIP(return, "no cgroup v2");
	ASSERT_EQ(0, deny(SYS_clone3, SECCOMP_RET_ERRNO | ENOSYS));
	EXPECT_EQ(0, ask_tool(NULL, &told));
	tool.cgroup_fd = open(root, O_PATH | O_CLOEXEC);
	ASSERT_LT(0, tool.cgroup_fd);
	EXPECT_EQ(-1, agent_tool_spawn("true", argv, NULL, &tool));
	EXPECT_EQ(ENOSYS, errno);
	close(tool.cgroup_fd);
}

#define THREADS		8
#define SPAWNS		12

struct worker {
	pthread_t thread;
	int number;
	const char *why;
};

static void *spawn_many(void *arg)
{
	struct worker *worker = arg;

	for (int i = 0; i < SPAWNS; i++) {
		struct agent_tool tool = {
			.credit_ns = MSEC + worker->number * 1000 + i,
			.nice = worker->number,
		};
		struct told told;

		if (ask_tool(&tool, &told))
			worker->why = strerror(errno);
		else if (!told.burst || told.credit != tool.credit_ns || told.nice != tool.nice)
			worker->why = "a tool has declared something else";
		if (!is_ordinary())
			worker->why = "the caller is left with a burst";
	}
	return NULL;
}

TEST_F(tool, threads)
{
	struct worker workers[THREADS] = {};

	NEEDS_CLASS();
	for (int i = 0; i < THREADS; i++) {
		workers[i].number = i;
		ASSERT_EQ(0, pthread_create(&workers[i].thread, NULL, spawn_many, &workers[i]));
	}
	for (int i = 0; i < THREADS; i++) {
		ASSERT_EQ(0, pthread_join(workers[i].thread, NULL));
		EXPECT_EQ(NULL, workers[i].why) TH_LOG("%s", workers[i].why);
	}
}

#define PAGES		2048

static long touch_faults(char *memory)
{
	struct rusage before, after;

	getrusage(RUSAGE_THREAD, &before);
	for (size_t i = 0; i < PAGES; i++)
		((volatile char *)memory)[i * PAGE_SIZE]++;
	getrusage(RUSAGE_THREAD, &after);
	return after.ru_minflt - before.ru_minflt;
}

/* A copy would be seen by the faults that writing takes afterwards. */
TEST_F(tool, memory_is_not_copied)
{
	char root[256], *argv[] = { "true", NULL };
	struct agent_tool tool = { .size = sizeof(tool), .flags = AGENT_TOOL_NO_BURST };
	char *memory = mmap(NULL, PAGES * PAGE_SIZE, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	pid_t pid;

	ASSERT_NE(MAP_FAILED, memory);
	madvise(memory, PAGES * PAGE_SIZE, MADV_NOHUGEPAGE);
	ASSERT_LE(PAGES / 2, touch_faults(memory));
	pid = fork();
	if (!pid)
		_exit(0);
	ASSERT_EQ(0, exit_status(pid));
	ASSERT_LE(PAGES / 2, touch_faults(memory)) TH_LOG("a fork was not seen either");

	pid = agent_tool_spawn("true", argv, NULL, &tool);
	ASSERT_LT(0, pid);
	EXPECT_GT(PAGES / 10, touch_faults(memory));
	EXPECT_EQ(0, exit_status(pid));

	if (cg_find_unified_root(root, sizeof(root), NULL))
		return;
	tool.flags |= AGENT_TOOL_CGROUP;
	tool.cgroup_fd = open(root, O_PATH | O_CLOEXEC);
	pid = agent_tool_spawn("true", argv, NULL, &tool);
	close(tool.cgroup_fd);
	ASSERT_LT(0, pid);
#if defined(__x86_64__) && !defined(COPIES)
	EXPECT_GT(PAGES / 10, touch_faults(memory));
#else
	EXPECT_LE(PAGES / 2, touch_faults(memory));
#endif
	EXPECT_EQ(0, exit_status(pid));
}

#define HOGS		12
#define SAMPLES		7
#define WORK_MS		"4"

static int compare(const void *a, const void *b)
{
	long x = *(const long *)a, y = *(const long *)b;

	return x < y ? -1 : x > y;
}

/* What it is all for: among hogs a tool is done much sooner than without. */
TEST_F(tool, runs_first)
{
	struct agent_tool plain = { .flags = AGENT_TOOL_NO_BURST }, burst = {};
	char *argv[] = { "tool", "--work", "0", WORK_MS, NULL }, out[32];
	long took[2][SAMPLES];
	pid_t hogs[HOGS];

	NEEDS_CLASS();
	for (int i = 0; i < HOGS; i++) {
		hogs[i] = fork();
		if (!hogs[i]) {
			cpu_set_t set;

			prctl(PR_SET_PDEATHSIG, SIGKILL);
			CPU_ZERO(&set);
			CPU_SET(0, &set);
			sched_setaffinity(0, sizeof(set), &set);
			for (;;)
				;
		}
	}
	for (int i = 0; i < 2 * SAMPLES; i++) {
		usleep(250000);		/* the budget is full again */
		ASSERT_EQ(0, run_tool(TOOL, argv, i % 2 ? &burst : &plain, out, sizeof(out)));
		took[i % 2][i / 2] = atol(out);
	}
	for (int i = 0; i < HOGS; i++) {
		kill(hogs[i], SIGKILL);
		waitpid(hogs[i], NULL, 0);
	}
	for (int i = 0; i < 2; i++)
		qsort(took[i], SAMPLES, sizeof(long), compare);
	TH_LOG("median of %s ms of work: %ld us, as a burst %ld us", WORK_MS,
	       took[0][SAMPLES / 2], took[1][SAMPLES / 2]);
	EXPECT_LT(2 * took[1][SAMPLES / 2], took[0][SAMPLES / 2]);
}

TEST_HARNESS_MAIN
