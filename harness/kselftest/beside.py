"""Upstream's tests once more, beside a BPF scheduler of the series.

`--with scx_agent` runs them on the patched kernel while it is loaded, and on the
base as ever, so that the base stays the yardstick.  Each program gets one case
more: whether the scheduler was where it must be when the program ended.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from harness.core.errors import Exit, KseriesError
from harness.kselftest.plan import Plan, PlannedTest
from harness.results.model import Status

# The program in tools/sched_ext, and what the kernel calls its scheduler.
SCHEDULERS: Mapping[str, str] = {"scx_agent": "agent_class"}

# upstream.toml, `scheduler` of a run: where the scheduler is when it ends.
STAYS = "stays"
ENDS = "ends"  # it ends by itself, with REFUSED, because of what the test does
NONE = "none"  # the test makes no sense beside one

# The statuses with which a scheduler's program ends on SIGTERM, and by itself.
_STOPPED = 0
_REFUSED = 2

_TOLD = re.compile(r"^# kseries: scheduler (ok|bad): (.*)$", re.M)

# OPS is empty on the base: there no scheduler is loaded, before and after.
_SHELL = r"""
state=/sys/kernel/sched_ext/state
ops=/sys/kernel/sched_ext/root/ops
said=$PWD/scheduler.log
tell() { echo; echo "# kseries: scheduler $1: $2"; }
is() { [ "$(cat $ops 2>/dev/null)" = "$1" ]; }
off() {
	for i in $(seq 300); do
		[ "$(cat $state)" = disabled ] && return
		sleep 0.1
	done
	return 1
}
off || { tell bad "another one is loaded"; exit 1; }
pid=
if [ -n "$OPS" ]; then
	"$SCHEDULER" > "$said" 2>&1 &
	pid=$!
	trap 'kill $pid; exit 1' TERM
	for i in $(seq 600); do
		is "$OPS" && break
		kill -0 $pid 2>/dev/null || break
		sleep 0.1
	done
	is "$OPS" || { kill $pid; tell bad "not loaded: $(tail -n 1 "$said")"; exit 1; }
fi
# Waited for in the background, so that the trap is not held up.
( TEST_ITSELF ) &
wait $!
status=$?
if [ -z "$OPS" ]; then
	off && tell ok "none" || tell bad "one is loaded"
	exit $status
fi
is "$OPS" && there=stays || there=ends
kill $pid 2>/dev/null
wait $pid
ended=$?
if off && [ "$there $ended" = "$WANTED" ]; then
	tell ok "it $there"
else
	tell bad "it $there, status $ended: $(tail -n 1 "$said")"
fi
exit $status
"""


def beside(plan: Plan, scheduler: str, program: Path) -> Plan:
    """Return the plan with each test run beside a scheduler on the patched kernel.

    program: the scheduler's, at a path that the guest sees, too.
    """
    ops = SCHEDULERS[scheduler]
    tests, remarks = [], list(plan.remarks)
    for test in plan.tests:
        if test.entry.scheduler == NONE:
            remarks.append((_renamed(test.suite, scheduler), "makes no sense beside a scheduler"))
        else:
            tests.append(_wrapped(test, scheduler, ops, program))
    left_out = tuple(_renamed(suite, scheduler) for suite in plan.left_out)
    not_built = tuple((_renamed(suite, scheduler), why) for suite, why in plan.not_built)
    return Plan(tuple(tests), left_out, not_built, tuple(remarks))


def _renamed(suite: str, scheduler: str) -> str:
    return f"{scheduler}/{suite.partition('/')[2]}"


def _wrapped(test: PlannedTest, scheduler: str, ops: str, program: Path) -> PlannedTest:
    wanted = f"{STAYS} {_STOPPED}" if test.entry.scheduler == STAYS else f"{ENDS} {_REFUSED}"

    def shell(ops: str) -> str:
        words = {"OPS": ops, "SCHEDULER": str(program), "WANTED": wanted}
        head = "".join(f"{name}={shlex.quote(value)}\n" for name, value in words.items())
        return head + _SHELL.replace("TEST_ITSELF", f"\n{test.command.shell}\n")

    suite = _renamed(test.suite, scheduler)
    command = replace(test.command, name=re.sub(r"[^A-Za-z0-9_.:-]", ".", suite), shell=shell(""))
    return replace(
        test,
        suite=suite,
        scheduler=scheduler,
        command=command,
        patched=replace(command, shell=shell(ops)),
    )


def scheduler_case(test: PlannedTest, log: str) -> tuple[str, Status, str] | None:
    """Return (name, status, reason) of the case about the scheduler, None without one."""
    if not test.scheduler:
        return None
    told = _TOLD.findall(log)
    found, text = told[-1] if told else ("bad", "nobody looked: the program did not end")
    status = Status.PASS if found == "ok" else Status.FAIL
    return f"{test.scheduler} {test.entry.scheduler}", status, "" if found == "ok" else text


def checked(scheduler: str, upstream: Sequence[str], arms: Sequence[str]) -> str:
    """Return the scheduler's name, empty for none; what cannot be is an error."""
    if not scheduler:
        return ""
    problem = ""
    if scheduler not in SCHEDULERS:
        problem = f"the series has no scheduler {scheduler!r}"
    elif not upstream:
        problem = f"--with {scheduler} is for upstream's tests"
    elif "patched" not in arms:
        problem = f"{scheduler} needs the patched kernel"
    if problem:
        hint = f"for instance `--upstream rseq,sched --with {next(iter(SCHEDULERS))}`"
        raise KseriesError(Exit.USAGE, problem, hint=hint)
    return scheduler


def ran_beside(suites: Sequence[str]) -> tuple[tuple[str, ...], str]:
    """Return the patterns of suites of a stored run, and the scheduler beside which they ran."""
    found = {suite.partition("/")[0] for suite in suites}
    scheduler = next((name for name in SCHEDULERS if name in found), "")
    if not scheduler:
        return tuple(suites), ""
    if len(found) > 1:
        raise KseriesError(
            Exit.USAGE,
            f"some tests of that run were beside {scheduler} and some were not",
            hint="name them, and --with what",
        )
    return tuple(f"upstream/{suite.partition('/')[2]}" for suite in suites), scheduler
