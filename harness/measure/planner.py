"""From plans to boots: which commands run in which guest, in which order.

Booting costs more than most measurements, so cases of all topics that want the
same kernel and machine share boots.  Kernel arms alternate (base, patched,
base, ...), so that a host that slows down hurts both alike, and the arms
within a boot start with another one in each boot.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from harness.core.errors import Exit, KseriesError
from harness.guest.job import Command, Lane
from harness.guest.topology import parse_topology
from harness.measure.calibrate import calibration_command
from harness.measure.lanes import topology_of
from harness.measure.model import KERNELS, Case, Plan

# The shell's status when a setup command failed; programs leave it alone.
SETUP_FAILED = 97
SKIP = 4
# Two boots are the least that shows whether a lane repeats.
CALIBRATION_BOOTS = 2


# Lane, topology and kernel words: what decides how well a machine repeats.
MachineKey = tuple[Lane, str, tuple[str, ...]]


@dataclass(frozen=True)
class Run:
    """One command of one boot: one arm of a case, at one x or at all of them."""

    plan: Plan
    case: Case
    arm: str
    x: float | None
    command: Command


@dataclass(frozen=True)
class BootPlan:
    """One guest: its kernel and machine, and what runs in it.

    number: 1 for a kernel's first boot in this group; calibration: the
    command that goes first in lanes whose clock must be calibrated.
    """

    name: str
    lane: Lane
    kernel: str
    number: int
    topology: str
    append: tuple[str, ...]
    scratch: bool
    runs: tuple[Run, ...]
    calibration: Command | None = None

    @property
    def machine(self) -> MachineKey:
        """What a calibration is about."""
        return self.lane, self.topology, self.append

    @property
    def commands(self) -> tuple[Command, ...]:
        """All commands, in order."""
        own = tuple(run.command for run in self.runs)
        return (self.calibration, *own) if self.calibration else own


@dataclass(frozen=True)
class Selection:
    """What of the plans is wanted: lanes, kernels, one case, boots, the seed.

    boots: per kernel arm, None leaves it to each case.
    """

    lanes: tuple[Lane, ...] = (Lane.L1, Lane.L2, Lane.L3)
    kernels: tuple[str, ...] = KERNELS
    case: str = ""
    boots: int | None = None
    seed: int = 1


@dataclass
class _Group:
    """Cases that can share boots."""

    lane: Lane
    topology: str
    append: tuple[str, ...]
    scratch: bool
    label: str
    cases: list[tuple[Plan, Case]] = field(default_factory=list)


def plan_boots(
    plans: Sequence[Plan], programs: Mapping[str, Path], selection: Selection
) -> tuple[BootPlan, ...]:
    """Return the boots, in the order in which they run.

    Guests that share the host come first: one that wants the host for itself
    would wait beside a single other, and keep the rest from running.
    programs: guest folder of each topic's programs, of `calibrate`, and at
    tools_of() that of a topic's [[tool]] programs.
    """
    boots: list[BootPlan] = []
    for group in _groups(plans, selection):
        counts = [selection.boots or case.boots for _, case in group.cases]
        for number in range(1, max(counts) + 1):
            for kernel in selection.kernels:
                runs = [
                    run
                    for (plan, case), count in zip(group.cases, counts, strict=True)
                    if number <= count and kernel in case.kernels
                    for run in _runs(
                        plan, case, group, kernel, number, programs=programs, seed=selection.seed
                    )
                ]
                if runs:
                    boots.append(_boot(group, kernel, number, tuple(runs), programs))
        boots += _calibration_only(group, boots, programs)
    return tuple(sorted(boots, key=lambda boot: not boot.lane.icount))


def tools_of(topic: str, kernel: str) -> str:
    """Return under which name `programs` has the kernel's tools that a topic wants."""
    return f"{topic}/{kernel}"


def _groups(plans: Sequence[Plan], selection: Selection) -> list[_Group]:
    """Return the groups in the order of lanes; names are unique."""
    groups: dict[tuple[object, ...], _Group] = {}
    wanted = [
        (lane, plan, case)
        for lane in selection.lanes
        for plan in plans
        for case in plan.cases
        if lane in case.lanes
        and (not selection.case or case.name == selection.case)
        and any(kernel in selection.kernels for kernel in case.kernels)
    ]
    if selection.case and not any(
        case.name == selection.case for plan in plans for case in plan.cases
    ):
        names = sorted({case.name for plan in plans for case in plan.cases})
        raise KseriesError(
            Exit.USAGE,
            f"no case {selection.case!r} in these plans",
            where=", ".join(str(plan.file) for plan in plans),
            hint=f"there are: {', '.join(names)}",
        )
    for lane, plan, case in wanted:
        topology = topology_of(lane, case.topology)
        alone = (plan.feature, case.name) if case.isolate else ()
        key = (lane, topology, case.append, case.scratch, alone)
        if key not in groups:
            count = sum(1 for other in groups.values() if other.lane is lane)
            label = f"{lane}" if not count else f"{lane}.{count + 1}"
            groups[key] = _Group(lane, topology, case.append, case.scratch, label)
        groups[key].cases.append((plan, case))
    return list(groups.values())


def _boot(
    group: _Group, kernel: str, number: int, runs: tuple[Run, ...], programs: Mapping[str, Path]
) -> BootPlan:
    calibration = calibration_command(
        group.lane, parse_topology(group.topology).cpus, programs["calibrate"]
    )
    return BootPlan(
        f"{group.label}-{kernel}-{number}",
        group.lane,
        kernel,
        number,
        group.topology,
        group.append,
        group.scratch,
        runs,
        calibration,
    )


def _calibration_only(
    group: _Group, boots: Sequence[BootPlan], programs: Mapping[str, Path]
) -> list[BootPlan]:
    """Return the boots that are missing for the lane's calibration."""
    if not group.lane.icount:
        return []
    machine = (group.lane, group.topology, group.append)
    alike = [boot for boot in boots if boot.machine == machine]
    missing = CALIBRATION_BOOTS - len(alike)
    if not alike or missing <= 0:
        return []
    kernel = alike[0].kernel
    return [
        _boot(group, kernel, alike[-1].number + 1 + extra, (), programs) for extra in range(missing)
    ]


def _runs(
    plan: Plan,
    case: Case,
    group: _Group,
    kernel: str,
    number: int,
    *,
    programs: Mapping[str, Path],
    seed: int,
) -> list[Run]:
    """Return the commands of one case in one boot."""
    arms: list[tuple[str, str, Mapping[str, str]]] = [(kernel, case.args[kernel], case.env)]
    arms += [
        (rival.name, rival.args, {**case.env, **rival.env})
        for rival in case.rivals
        if rival.kernel == kernel and not rival.inline
    ]
    turn = (number - 1) % len(arms)
    positions: Iterable[float | None] = (None,)
    if case.sweep is not None and not case.sweeps_itself:
        positions = case.sweep.values
    runs = []
    for x in positions:
        for arm, args, env in arms[turn:] + arms[:turn]:
            values = {
                "bin": str(programs[plan.topic]),
                "dir": str(plan.file.parent.resolve()),
                "seed": str(derive_seed(seed, plan.feature, case.name, number)),
                "samples": str(case.samples_of(arm)),
                "warmup": str(case.warmup),
                "x": "" if x is None else f"{x:g}",
                "arm": arm,
                "kernel": kernel,
                "lane": str(group.lane),
                "tools": str(programs.get(tools_of(plan.topic, kernel), "")),
            }
            values["args"] = args.format(**values)
            name = f"{plan.feature}.{case.name}.{arm}" + ("" if x is None else f".{x:g}")
            command = Command(name, _script(case, name, values), case.limit, env=dict(env))
            runs.append(Run(plan, case, arm, x, command))
    return runs


def derive_seed(seed: int, feature: str, case: str, boot: int) -> int:
    """Return a program's seed: equal in all arms of a boot, other in each boot."""
    digest = hashlib.sha256(f"{seed}/{feature}/{case}/{boot}".encode()).digest()
    return int.from_bytes(digest[:4], "big") >> 1


def _script(case: Case, name: str, values: Mapping[str, str]) -> str:
    """Return the shell lines of one command, in an empty folder of its own."""
    lines = [f"mkdir -p '{name}' && cd '{name}' || exit {SETUP_FAILED}"]
    for need in case.needs:
        reason = need.reason.replace("'", "'\\''")
        lines.append(f"( {need.run.format(**values)} ) >/dev/null 2>&1 ||")
        lines.append(f"  {{ echo 'kseries skip {reason}'; exit {SKIP}; }}")
    lines += [
        f"( {setup.format(**values)} ) || {{ echo setup failed; exit {SETUP_FAILED}; }}"
        for setup in case.setup
    ]
    lines.append(case.command.format(**values))
    return "\n".join(lines)
