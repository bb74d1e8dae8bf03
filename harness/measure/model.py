"""A plan as data: what harness.measure.plan reads, and everything else works on."""

from __future__ import annotations

import re
import string
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from harness.guest.job import Lane
from harness.measure.target import Target

KERNELS = ("base", "patched")
LANES = ("L1", "L2", "L3")
# How thorough a run is: a first look (`demo`, `check`), `bench`, `bench --full`.
LEVELS = ("look", "bench", "full")
PLACEHOLDERS = (
    "bin",
    "dir",
    "seed",
    "samples",
    "warmup",
    "x",
    "args",
    "arm",
    "kernel",
    "lane",
    "tools",
)
WORD = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")
METRIC = re.compile(r"[a-z][a-z0-9_]*")
# Lines of the protocol that are not samples.
RESERVED = ("skip", "end")


@dataclass(frozen=True)
class Metric:
    """What a program prints: its unit, direction, statistics and targets.

    samples: how many values of it one command prints per arm and x; arms:
    the only ones that print it, empty for all.
    """

    name: str
    title: str
    unit: str
    better: str
    statistics: tuple[str, ...]
    samples: int
    targets: tuple[Target, ...] = ()
    arms: tuple[str, ...] = ()

    def printed_by(self, arm: str) -> bool:
        """Whether an arm prints this metric."""
        return not self.arms or arm in self.arms


@dataclass(frozen=True)
class Rival:
    """What a user would pick instead, measured in the boots of `kernel`.

    samples: None for as many as the case has; level: the least thorough run
    that has it.
    """

    name: str
    title: str
    kernel: str
    args: str = ""
    env: Mapping[str, str] = field(default_factory=dict)
    inline: bool = False
    samples: int | None = None
    level: str = LEVELS[0]


@dataclass(frozen=True)
class Sweep:
    """The x axis: one figure for each value."""

    name: str
    label: str
    values: tuple[float, ...]


@dataclass(frozen=True)
class Need:
    """A condition in the guest's shell without which a case is skipped."""

    run: str
    reason: str


@dataclass(frozen=True)
class Case:
    """One command, its arms and its metrics (limit is in guest seconds)."""

    name: str
    title: str
    lanes: tuple[Lane, ...]
    command: str
    kernels: tuple[str, ...]
    metrics: tuple[Metric, ...]
    samples: int
    warmup: int = 0
    boots: int = 3
    limit: float = 300.0
    args: Mapping[str, str] = field(default_factory=dict)  # by kernel arm
    env: Mapping[str, str] = field(default_factory=dict)
    setup: tuple[str, ...] = ()
    needs: tuple[Need, ...] = ()
    topology: str = ""
    append: tuple[str, ...] = ()
    scratch: bool = False
    isolate: bool = False
    level: str = LEVELS[0]  # the least thorough run that has it
    note: str = ""
    sweep: Sweep | None = None
    rivals: tuple[Rival, ...] = ()

    def samples_of(self, arm: str) -> int:
        """Return {samples} of an arm."""
        own = next((rival.samples for rival in self.rivals if rival.name == arm), None)
        return own or self.samples

    def wants(self, placeholder: str, kernel: str) -> bool:
        """Whether the command of an arm that a kernel boots for has {placeholder}."""
        texts = [self.command, *self.setup, *(need.run for need in self.needs), self.args[kernel]]
        texts += [rival.args for rival in self.rivals if rival.kernel == kernel]
        return kernel in self.kernels and any(placeholder in placeholders(t) for t in texts)

    def planned(self, metric: Metric, arm: str) -> int:
        """Return how many values of a metric one run of an arm prints, per x."""
        if not metric.printed_by(arm):
            return 0
        return self.samples_of(arm) if metric.samples == self.samples else metric.samples

    @property
    def sweeps_itself(self) -> bool:
        """Whether one run of the program goes through all values of x."""
        return self.sweep is not None and "x" not in placeholders(self.command)


@dataclass(frozen=True)
class Tool:
    """Programs of a folder below the kernel's own tools/, built for a plan."""

    folder: str
    programs: tuple[str, ...]
    kernel: str


@dataclass(frozen=True)
class Plan:
    """One topic's plan.  topic: the folder's name below benchmarks/."""

    topic: str
    feature: str
    title: str
    patches: tuple[str, ...]
    cases: tuple[Case, ...]
    file: Path
    tools: tuple[Tool, ...] = ()


def placeholders(template: str) -> set[str]:
    """Return the names between braces in template."""
    return {name for _, name, _, _ in string.Formatter().parse(template) if name is not None}
