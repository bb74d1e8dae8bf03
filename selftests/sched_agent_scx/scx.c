// SPDX-License-Identifier: GPL-2.0
/* Schedulers that are loaded, and the kernel's view of them.  See scx.h. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "scx.h"

#define DEBUGFS		"/sys/kernel/debug"
#define SCX_OPS		"/sys/kernel/sched_ext/root/ops"
#define SYSCTL_BUDGET	"/proc/sys/kernel/sched_agent_cpu_max_us"
#define FLAG_AGENT	0x100000000ULL

/* Emulated CPUs that share a few of the host's take their time. */
#define PATIENCE	(300 * SEC)

/* --- small things ---------------------------------------------------------- */

static u64 read_clock(clockid_t clock)
{
	struct timespec ts = {};

	clock_gettime(clock, &ts);
	return ts.tv_sec * SEC + ts.tv_nsec;
}

u64 now(void)
{
	return read_clock(CLOCK_MONOTONIC);
}

void nap(u64 ns)
{
	struct timespec ts = { ns / SEC, ns % SEC };

	while (clock_nanosleep(CLOCK_MONOTONIC, 0, &ts, &ts) == EINTR)
		;
}

void spin(u64 ns)
{
	u64 end = read_clock(CLOCK_THREAD_CPUTIME_ID) + ns;

	while (read_clock(CLOCK_THREAD_CPUTIME_ID) < end)
		for (int i = 0; i < 2000; i++)
			asm volatile("" : : : "memory");
}

u64 process_cpu(pid_t pid)
{
	clockid_t clock;

	return clock_getcpuclockid(pid, &clock) ? 0 : read_clock(clock);
}

void *shared(size_t size)
{
	void *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	if (p == MAP_FAILED)
		abort();
	return p;
}

int nr_cpus(void)
{
	return sysconf(_SC_NPROCESSORS_ONLN);
}

int pin(pid_t pid, int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	for (int i = 0; i < CPU_SETSIZE; i++)
		if (cpu < 0 || i == cpu)
			CPU_SET(i, &set);
	return sched_setaffinity(pid, sizeof(set), &set) ? -errno : 0;
}

int write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC), ret = 0;

	if (fd < 0)
		return -errno;
	if (write(fd, text, strlen(text)) < 0)
		ret = -errno;
	close(fd);
	return ret;
}

int read_file(const char *path, char *buf, size_t size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t len;

	if (fd < 0)
		return -errno;
	len = read(fd, buf, size - 1);
	close(fd);
	if (len < 0)
		return -EIO;
	buf[len] = 0;
	buf[strcspn(buf, "\n")] = 0;
	return 0;
}

int set_online(int cpu, bool online)
{
	char path[64];
	int ret = 0;

	snprintf(path, sizeof(path), "/sys/devices/system/cpu/cpu%d/online", cpu);
	/* Somebody else may hold the CPUs for a moment. */
	for (int i = 0; i < 100; i++) {
		ret = write_file(path, online ? "1" : "0");
		if (ret != -EBUSY)
			break;
		nap(20 * MSEC);
	}
	return ret;
}

/* --- declarations ---------------------------------------------------------- */

/* struct sched_attr of the kernel, by a name that no C library takes. */
struct attr {
	uint32_t size;
	uint32_t policy;
	u64 flags;
	int32_t nice;
	uint32_t priority;
	u64 runtime;
	u64 deadline;
	u64 period;
};

int declare(pid_t pid, u64 runtime, u64 period)
{
	struct attr attr = {
		.size = sizeof(attr),
		.flags = FLAG_AGENT,
		.runtime = runtime,
		.period = period,
	};

	return syscall(SYS_sched_setattr, pid, &attr, 0) ? -errno : 0;
}

bool is_declared(pid_t pid, u64 runtime, u64 period)
{
	struct attr attr = {};

	return !syscall(SYS_sched_getattr, pid, &attr, sizeof(attr), 0) &&
	       attr.flags & FLAG_AGENT && attr.runtime == runtime && attr.period == period;
}

s64 agent_counter(pid_t pid, const char *name)
{
	char path[64], line[256], *colon;
	size_t len = strlen(name);
	s64 value = -1;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/sched", pid ?: getpid());
	file = fopen(path, "re");
	if (!file)
		return -1;
	while (fgets(line, sizeof(line), file)) {
		if (strncmp(line, "agent.", 6) || strncmp(line + 6, name, len) ||
		    !strchr(" :", line[6 + len]))
			continue;
		colon = strchr(line, ':');
		if (colon)
			value = strtoll(colon + 1, NULL, 10);
		break;
	}
	fclose(file);
	return value;
}

/*
 * The class announces itself by its sysctls, not only by its flag: a kernel
 * that has it and refuses a good declaration is to fail, not to be skipped.
 */
const char *no_agent_class(void)
{
	return access(SYSCTL_BUDGET, F_OK) ? "no agent class in this kernel" : NULL;
}

/* --- programs ---------------------------------------------------------------- */

const char *beside(const char *name)
{
	static char path[PATH_MAX];
	ssize_t len = readlink("/proc/self/exe", path, sizeof(path) - 1);
	char *slash;

	if (len < 0)
		abort();
	path[len] = 0;
	slash = strrchr(path, '/');
	snprintf(slash + 1, sizeof(path) - (slash + 1 - path), "%s", name);
	return path;
}

static pid_t spawn(const char *path, char *const argv[], int *out)
{
	int fds[2];
	pid_t pid;

	if (pipe2(fds, O_CLOEXEC))
		return -1;
	fflush(stdout);
	pid = fork();
	if (!pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		/* The verifier works for seconds, and a load must not make that minutes. */
		setpriority(PRIO_PROCESS, 0, -15);
		dup2(fds[1], STDOUT_FILENO);
		dup2(fds[1], STDERR_FILENO);
		execv(path, argv);
		_exit(126);
	}
	close(fds[1]);
	*out = fds[0];
	return pid;
}

/* Take what a program says, for up to @ms; false at the end of it. */
static bool listen_to(int fd, struct said *said, int ms)
{
	size_t have = strlen(said->text), room = sizeof(said->text) - 1 - have;
	struct pollfd poll_fd = { .fd = fd, .events = POLLIN };
	char rest[4096];
	ssize_t len;

	if (poll(&poll_fd, 1, ms) <= 0)
		return true;
	len = read(fd, room ? said->text + have : rest, room ?: sizeof(rest));
	if (len > 0 && room)
		said->text[have + len] = 0;
	return len > 0;
}

static int status_of(int status)
{
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

/* Wait for a program's end; -1 if it does not come. */
static int finish(pid_t pid, int out, struct said *said)
{
	u64 end = now() + PATIENCE;
	bool talks = true;
	int status;
	pid_t done;

	while (!(done = waitpid(pid, &status, WNOHANG)) && now() < end) {
		if (talks)
			talks = listen_to(out, said, 20);
		else
			nap(5 * MSEC);
	}
	while (done == pid && talks) {
		size_t have = strlen(said->text);

		talks = listen_to(out, said, 0) && strlen(said->text) > have;
	}
	close(out);
	return done == pid ? status_of(status) : -1;
}

void run(struct said *said, const char *name, ...)
{
	char *argv[8] = { (char *)name };
	va_list args;
	int n = 1, out;
	pid_t pid;

	va_start(args, name);
	while (n < 7 && (argv[n] = va_arg(args, char *)))
		n++;
	va_end(args);

	memset(said, 0, sizeof(*said));
	pid = spawn(beside(name), argv, &out);
	said->status = pid < 0 ? -1 : finish(pid, out, said);
}

/* --- schedulers -------------------------------------------------------------- */

bool sched_load(struct sched *s, const char *name, const char *arg)
{
	char *argv[] = { (char *)name, (char *)arg, NULL };
	u64 end = now() + PATIENCE;

	memset(s, 0, sizeof(*s));
	s->pid = spawn(beside(name), argv, &s->out);
	if (s->pid < 0)
		return false;
	while (now() < end) {
		if (!listen_to(s->out, &s->said, 100))
			return false;
		if (strstr(s->said.text, " is loaded\n"))
			return true;
	}
	return false;
}

int sched_end(struct sched *s, int sig)
{
	if (s->pid <= 0)
		return -1;
	if (sig)
		kill(s->pid, sig);
	s->said.status = finish(s->pid, s->out, &s->said);
	s->pid = 0;
	return s->said.status;
}

bool sched_gone(u64 limit)
{
	u64 end = now() + limit;
	char state[32] = "";

	do {
		if (!read_file(SCX_STATE, state, sizeof(state)) && !strcmp(state, "disabled"))
			return true;
		nap(10 * MSEC);
	} while (now() < end);
	return false;
}

bool sched_is(const char *ops)
{
	char state[32], name[128];

	return !read_file(SCX_STATE, state, sizeof(state)) && !strcmp(state, "enabled") &&
	       !read_file(SCX_OPS, name, sizeof(name)) && !strcmp(name, ops);
}

s64 sched_count(const char *name)
{
	static struct said said;
	char key[64], *at;

	run(&said, "scx_agent", "--once", NULL);
	snprintf(key, sizeof(key), "\"%s\": ", name);
	at = said.status ? NULL : strstr(said.text, key);
	return at ? strtoll(at + strlen(key), NULL, 10) : -1;
}

/* --- the kernel ------------------------------------------------------------------ */

int klog_open(void)
{
	int fd = open("/dev/kmsg", O_RDONLY | O_NONBLOCK | O_CLOEXEC);

	if (fd >= 0)
		lseek(fd, 0, SEEK_END);
	return fd;
}

const char *klog_bad(int fd)
{
	static const char * const words[] = {
		"WARNING:", "BUG:", "Oops", "rcu: INFO", "blocked for more than",
		"soft lockup", "scheduling while atomic", "general protection", NULL
	};
	static char record[8192];
	ssize_t len;

	for (;;) {
		len = read(fd, record, sizeof(record) - 1);
		if (len < 0 && errno == EPIPE)
			continue;	/* overtaken by the ring, goes on with the next */
		if (len <= 0)
			return NULL;
		record[len] = 0;
		for (int i = 0; words[i]; i++)
			if (strstr(record, words[i]))
				return record;
	}
}

const char *lanes_bad(void)
{
	static char line[256];
	const char *bad = NULL;
	int lanes = 0;
	FILE *file;

	file = fopen(DEBUGFS "/sched/agent", "re");
	if (!file && !mount("none", DEBUGFS, "debugfs", 0, NULL))
		file = fopen(DEBUGFS "/sched/agent", "re");
	if (!file)
		return "debugfs has no sched/agent";
	while (!bad && fgets(line, sizeof(line), file)) {
		if (strstr(line, "wrong"))
			bad = line;
		lanes += !strncmp(line, "cpu", 3);
	}
	fclose(file);
	return bad ?: lanes ? bad : "sched/agent shows no lane";
}
