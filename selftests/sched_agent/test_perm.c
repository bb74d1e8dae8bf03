// SPDX-License-Identifier: GPL-2.0
/*
 * Who may declare a burst: CAP_SYS_NICE, or the owner of a task whose
 * RLIMIT_NICE reaches the declared nice value; and that what one could declare
 * does not outlive the privileges that it was declared with, nor give way to
 * those that an execve(2) brings.
 *
 * Each case drops its own privileges: the harness runs it in a process apart.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "../../kselftest_harness.h"
#include "agent.h"
#include "report.h"

#define Q		(5 * MSEC)
#define T		(70 * MSEC)
#define NOBODY		65534
#define SOMEBODY	65533

FIXTURE(perm) {
	pid_t other;		/* a task of root */
};

static pid_t sleeper(uid_t uid)
{
	int ready[2];
	char byte = 0;
	pid_t pid;

	if (pipe(ready))
		return -1;
	pid = fork();
	if (!pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (uid && setresuid(uid, uid, uid))
			_exit(1);
		/* setresuid() has cleared it */
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (write(ready[1], &byte, 1) == 1)
			pause();
		_exit(1);
	}
	close(ready[1]);
	if (read(ready[0], &byte, 1) != 1)
		return -1;
	close(ready[0]);
	return pid;
}

FIXTURE_SETUP(perm)
{
	struct rlimit none = {};
	const char *why = no_agent_class();

	if (why)
		SKIP(return, "%s", why);
	if (geteuid())
		SKIP(return, "needs root");
	ASSERT_EQ(0, setrlimit(RLIMIT_NICE, &none));
	self->other = sleeper(0);
	ASSERT_LT(0, self->other);
}

FIXTURE_TEARDOWN(perm)
{
	kill(self->other, SIGKILL);
}

static int limit(int value)
{
	struct rlimit rlimit = { value, value };

	return setrlimit(RLIMIT_NICE, &rlimit);
}

static int become(uid_t uid)
{
	return setresgid(uid, uid, uid) || setresuid(uid, uid, uid);
}

/* Exactly the nice values from @lowest on may be declared. */
#define EXPECT_REACHES(who, lowest) do {				\
	int _pid = (who);						\
									\
	for (int _nice = -20; _nice <= 19; _nice++) {			\
		int _want = _nice < (lowest) ? -EPERM : 0;		\
									\
		EXPECT_EQ(_want, declare(_pid, Q, T, _nice)) {		\
			TH_LOG("nice %d", _nice);			\
		}							\
		if (!_want)						\
			EXPECT_EQ(0, withdraw(_pid));			\
	}								\
	EXPECT_FALSE(is_declared(_pid));				\
} while (0)

TEST_F(perm, root)
{
	EXPECT_REACHES(0, -20);
	EXPECT_REACHES(self->other, -20);
}

TEST_F(perm, nobody)
{
	ASSERT_EQ(0, become(NOBODY));
	EXPECT_REACHES(0, 20);
	EXPECT_EQ(-EPERM, declare(0, 0, 0, 0));
}

FIXTURE(perm_rlimit) {
};

FIXTURE_VARIANT(perm_rlimit) {
	int limit, lowest;
};

FIXTURE_VARIANT_ADD(perm_rlimit, 1) { 1, 19 };
FIXTURE_VARIANT_ADD(perm_rlimit, 19) { 19, 1 };
FIXTURE_VARIANT_ADD(perm_rlimit, 20) { 20, 0 };
FIXTURE_VARIANT_ADD(perm_rlimit, 30) { 30, -10 };
FIXTURE_VARIANT_ADD(perm_rlimit, 40) { 40, -20 };

FIXTURE_SETUP(perm_rlimit)
{
	const char *why = no_agent_class();

	if (why)
		SKIP(return, "%s", why);
	if (geteuid())
		SKIP(return, "needs root");
	ASSERT_EQ(0, limit(variant->limit));
	ASSERT_EQ(0, become(NOBODY));
}

FIXTURE_TEARDOWN(perm_rlimit)
{
}

TEST_F(perm_rlimit, own_task)
{
	EXPECT_REACHES(0, variant->lowest);
}

/* The nice value of the task does not count, only the declared one. */
TEST_F(perm_rlimit, own_nice_does_not_count)
{
	ASSERT_EQ(0, setpriority(PRIO_PROCESS, 0, 19));
	EXPECT_REACHES(0, variant->lowest);
	EXPECT_EQ(19, getpriority(PRIO_PROCESS, 0));
}

TEST_F(perm_rlimit, own_other_task)
{
	pid_t pid = sleeper(0);

	ASSERT_LT(0, pid);
	EXPECT_REACHES(pid, variant->lowest);
	kill(pid, SIGKILL);
}

/* A refused declaration leaves the one that is. */
TEST_F(perm_rlimit, refusal_changes_nothing)
{
	struct attr got;

	if (variant->lowest < -19)
		return;		/* nothing is refused */
	ASSERT_EQ(0, declare(0, Q, T, 19));
	EXPECT_EQ(-EPERM, declare(0, 2 * Q, 2 * T, variant->lowest - 1));
	ASSERT_EQ(0, attr_get(0, &got));
	EXPECT_EQ(Q, got.runtime);
	EXPECT_EQ(T, got.period);
	EXPECT_EQ(19, got.nice);
}

/* What is wrong is wrong for everybody: EINVAL says more than EPERM. */
TEST_F(perm_rlimit, invalid_before_forbidden)
{
	EXPECT_EQ(-EINVAL, declare(0, 1, T, -20));
	EXPECT_EQ(-EINVAL, declare(0, Q, 1, -20));
}

TEST_F(perm, task_of_another_user)
{
	pid_t somebody = sleeper(SOMEBODY);
	struct rlimit all = { 40, 40 };

	ASSERT_LT(0, somebody);
	/* whose limit counts, were they ours */
	ASSERT_EQ(0, prlimit(somebody, RLIMIT_NICE, &all, NULL));
	ASSERT_EQ(0, prlimit(self->other, RLIMIT_NICE, &all, NULL));
	ASSERT_EQ(0, limit(40));
	ASSERT_EQ(0, declare(self->other, Q, T, 3));
	ASSERT_EQ(0, become(NOBODY));

	EXPECT_EQ(-EPERM, declare(somebody, Q, T, 19));
	EXPECT_FALSE(is_declared(somebody));
	EXPECT_EQ(-EPERM, declare(self->other, 2 * Q, 2 * T, 19));
	/* nor may they end what others have declared */
	EXPECT_EQ(-EPERM, withdraw(self->other));
	EXPECT_TRUE(is_declared(self->other));
}

/* As for priorities: the effective uid, against the real and effective one. */
TEST_F(perm, effective_uid_of_the_owner)
{
	pid_t somebody = sleeper(SOMEBODY);
	struct rlimit all = { 40, 40 };

	ASSERT_LT(0, somebody);
	ASSERT_EQ(0, prlimit(somebody, RLIMIT_NICE, &all, NULL));
	ASSERT_EQ(0, setresuid(NOBODY, SOMEBODY, NOBODY));
	EXPECT_EQ(0, declare(somebody, Q, T, -20));
	EXPECT_TRUE(is_declared(somebody));
	kill(somebody, SIGKILL);
}

static int keep_only(int cap)
{
	struct __user_cap_header_struct head = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[2] = {};

	if (cap >= 0) {
		data[cap / 32].effective = 1U << cap % 32;
		data[cap / 32].permitted = 1U << cap % 32;
	}
	return syscall(SYS_capset, &head, data);
}

TEST_F(perm, capability_alone)
{
	ASSERT_EQ(0, prctl(PR_SET_KEEPCAPS, 1));
	ASSERT_EQ(0, become(NOBODY));
	ASSERT_EQ(0, keep_only(CAP_SYS_NICE));
	EXPECT_REACHES(0, -20);
	EXPECT_REACHES(self->other, -20);
}

TEST_F(perm, root_without_capability)
{
	ASSERT_EQ(0, keep_only(-1));
	EXPECT_REACHES(0, 20);
	EXPECT_EQ(-EPERM, declare(self->other, Q, T, 19));
}

/* Who has lost the privilege may end a declaration, not renew it. */
TEST_F(perm, after_dropping_privileges)
{
	struct attr attr;

	ASSERT_EQ(0, declare(0, Q, T, -5));
	ASSERT_EQ(0, become(NOBODY));
	EXPECT_TRUE(is_declared(0));

	EXPECT_EQ(-EPERM, declare(0, Q, T, -5));
	EXPECT_EQ(-EPERM, declare(0, Q, T, 19));
	attr = burst_attr(0, 0, 0);
	attr.flags |= FLAG_KEEP_PARAMS;
	EXPECT_EQ(-EPERM, attr_set(0, &attr));
	EXPECT_TRUE(is_declared(0));

	EXPECT_EQ(0, withdraw(0));
	EXPECT_FALSE(is_declared(0));
	EXPECT_EQ(-EPERM, declare(0, Q, T, -5));
}

TEST_F(perm, user_namespace)
{
	struct __user_cap_header_struct head = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[2];

	ASSERT_EQ(0, become(NOBODY));
	if (unshare(CLONE_NEWUSER))
		SKIP(return, "no user namespaces for users: %s", strerror(errno));
	/* It has every capability there, and none here. */
	ASSERT_EQ(0, syscall(SYS_capget, &head, data));
	ASSERT_TRUE(data[0].effective & 1U << CAP_SYS_NICE);
	EXPECT_REACHES(0, 20);
}

TEST_F(perm, anybody_may_look)
{
	struct attr got;

	ASSERT_EQ(0, declare(self->other, Q, T, 3));
	ASSERT_EQ(0, become(NOBODY));
	ASSERT_EQ(0, attr_get(self->other, &got));
	EXPECT_TRUE(got.flags & SCHED_FLAG_AGENT_CLASS);
	EXPECT_EQ(Q, got.runtime);
	EXPECT_EQ(T, got.period);
	EXPECT_EQ(3, got.nice);
}

/* ---- execve ---- */

enum gain { NONE, SETUID, SETGID, FILECAPS };

FIXTURE(perm_exec) {
	char folder[64], path[80];
};

FIXTURE_VARIANT(perm_exec) {
	enum gain gain;
	bool no_new_privs, keeps;
};

FIXTURE_VARIANT_ADD(perm_exec, plain) { NONE, false, true };
FIXTURE_VARIANT_ADD(perm_exec, setuid) { SETUID, false, false };
FIXTURE_VARIANT_ADD(perm_exec, setgid) { SETGID, false, false };
FIXTURE_VARIANT_ADD(perm_exec, file_capability) { FILECAPS, false, false };
FIXTURE_VARIANT_ADD(perm_exec, setuid_no_new_privs) { SETUID, true, true };

static bool copy_file(const char *from, const char *to)
{
	int in = open(from, O_RDONLY | O_CLOEXEC), out;
	char buf[65536];
	ssize_t len = -1;

	out = open(to, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0755);
	while (in >= 0 && out >= 0 && (len = read(in, buf, sizeof(buf))) > 0)
		if (write(out, buf, len) != len)
			break;
	close(in);
	close(out);
	return len == 0;
}

/* What an execve(2) of it gains; or why that cannot be tested. */
static const char *give(const char *path, enum gain gain)
{
	struct vfs_cap_data caps = {
		.magic_etc = VFS_CAP_REVISION_2 | VFS_CAP_FLAGS_EFFECTIVE,
		.data[0].permitted = 1U << CAP_SYS_NICE,
	};

	switch (gain) {
	case NONE:
		break;
	case SETUID:
		if (chmod(path, 04755))
			return "cannot make a program setuid";
		break;
	case SETGID:
		if (chmod(path, 02755))
			return "cannot make a program setgid";
		break;
	case FILECAPS:
		if (setxattr(path, "security.capability", &caps, XATTR_CAPS_SZ_2, 0))
			return "this file system keeps no capabilities";
		break;
	}
	return NULL;
}

FIXTURE_SETUP(perm_exec)
{
	const char *why = no_agent_class();

	if (why)
		SKIP(return, "%s", why);
	if (geteuid())
		SKIP(return, "needs root");
	/*
	 * A file system that takes setuid programs and capabilities, whatever the
	 * current folder lies on; it ends with this process.
	 */
	snprintf(self->folder, sizeof(self->folder), "./perm.%d", getpid());
	ASSERT_EQ(0, unshare(CLONE_NEWNS));
	ASSERT_EQ(0, mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL));
	ASSERT_EQ(0, mkdir(self->folder, 0755));
	ASSERT_EQ(0, mount("none", self->folder, "tmpfs", 0, "mode=755"));
	snprintf(self->path, sizeof(self->path), "%s/report", self->folder);
	ASSERT_TRUE(copy_file("./report", self->path));
	why = give(self->path, variant->gain);
	if (why) {
		umount2(self->folder, MNT_DETACH);
		rmdir(self->folder);
		SKIP(return, "%s", why);
	}
}

FIXTURE_TEARDOWN(perm_exec)
{
	umount2(self->folder, MNT_DETACH);
	rmdir(self->folder);
}

TEST_F(perm_exec, as_nobody)
{
	struct report report = {};
	int fd[2], status, program;
	pid_t pid;

	/* By descriptor: the folders above may be closed to nobody. */
	program = open(self->path, O_PATH | O_CLOEXEC);
	ASSERT_LE(0, program);
	ASSERT_EQ(0, pipe(fd));
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid) {
		static char *const argv[] = { "report", NULL }, *const envp[] = { NULL };

		dup2(fd[1], STDOUT_FILENO);
		if (limit(20) || become(NOBODY))
			_exit(10);
		if (variant->no_new_privs && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
			_exit(11);
		if (declare(0, Q, T, 0))
			_exit(12);
		syscall(SYS_execveat, program, "", argv, envp, AT_EMPTY_PATH);
		_exit(13);
	}
	close(fd[1]);
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	ASSERT_TRUE(WIFEXITED(status));
	ASSERT_EQ(0, WEXITSTATUS(status));
	ASSERT_EQ(sizeof(report), read(fd[0], &report, sizeof(report)));
	ASSERT_EQ(0, report.error);
	ASSERT_EQ(NOBODY, report.uid);
	ASSERT_EQ(variant->gain == SETUID && !variant->no_new_privs ? 0 : NOBODY, report.euid);

	EXPECT_EQ(variant->keeps, !!(report.attr.flags & SCHED_FLAG_AGENT_CLASS));
	if (variant->keeps) {
		EXPECT_EQ(Q, report.attr.runtime);
		EXPECT_EQ(T, report.attr.period);
		EXPECT_EQ(0, report.attr.nice);
	}
}

TEST_HARNESS_MAIN
