"""Plans and guests that the tests of harness.measure share."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from harness.core.paths import Paths
from harness.core.ui import Ui
from harness.guest.allow import AllowEntry
from harness.guest.job import BootResult, CommandResult, Fate, Job, Machine, Splat
from harness.measure.model import Plan
from harness.measure.plan import parse_plan

METRIC = {"name": "latency", "unit": "ms", "better": "lower", "statistics": ["p50"]}


def case(name: str = "one", **changes: Any) -> dict[str, Any]:
    """Return a case's table with these changes."""
    table: dict[str, Any] = {
        "name": name,
        "title": name,
        "lanes": ["L2"],
        "command": "{bin}/" + name + " --seed {seed} {args}",
        "samples": 6,
        "metric": [METRIC],
    }
    table.update(changes)
    return table


def plan(*cases: dict[str, Any], topic: str = "topic", **changes: Any) -> Plan:
    """Return a plan with these cases."""
    data = {"feature": topic, "title": topic, "case": list(cases), **changes}
    return parse_plan(data, Path("benchmarks") / topic / "plan.toml")


def programs(*topics: str) -> dict[str, Path]:
    """Return program folders of these topics and of calibrate."""
    return {name: Path("/cache") / name for name in (*topics, "calibrate")}


@dataclasses.dataclass
class Kernel:
    """A kernel's image, which nobody boots."""

    image: Path


KERNELS = {"base": Kernel(Path("/base/bzImage")), "patched": Kernel(Path("/patched/bzImage"))}


@dataclasses.dataclass
class FakeGuest:
    """A guest that prints what `say` returns for (kernel image, command name).

    say returns the log and the status; a name in `lost` ends the boot there
    with that fate.
    """

    say: Callable[[str, str], tuple[str, int]]
    lost: Mapping[str, Fate] = dataclasses.field(default_factory=dict)
    splats: tuple[Splat, ...] = ()
    topology_errors: tuple[str, ...] = ()
    timed_out: tuple[str, ...] = ()
    jobs: list[tuple[Machine, Job, Path]] = dataclasses.field(default_factory=list)

    def __call__(
        self,
        machine: Machine,
        job: Job,
        folder: Path,
        *,
        paths: Paths,
        ui: Ui,
        on_result: Callable[[CommandResult], None] | None = None,
        on_tick: Callable[[], None] | None = None,
        allow: Sequence[AllowEntry] = (),
    ) -> BootResult:
        self.jobs.append((machine, job, folder))
        folder.mkdir(parents=True)
        results = []
        fate, running = Fate.OK, ""
        for command in job.commands:
            log = folder / f"{command.name}.log"
            if fate is Fate.OK and command.name in self.lost:
                fate, running = self.lost[command.name], command.name
            if fate is not Fate.OK:
                results.append(CommandResult(command.name, None, 0.0, False, log))
                continue
            text, status = self.say(machine.kernel.parent.name, command.name)
            log.write_text(text)
            over = command.name in self.timed_out
            results.append(CommandResult(command.name, status, 1.0, over, log))
        return BootResult(
            fate=fate,
            results=tuple(results),
            splats=tuple(
                dataclasses.replace(splat, allowed=entry.reason)
                if (entry := next((e for e in allow if e.covers(splat)), None))
                else splat
                for splat in self.splats
            ),
            console=folder / "console.log",
            running=running,
            cause="" if fate is Fate.OK else f"the guest was lost while {running!r} ran",
            seconds=10.0,
            boot_seconds=5.0,
            line="vng ...",
            accel="tcg",
            qemu="10.0.2",
            cpu="Haswell",
            topology_errors=self.topology_errors,
            harness_cpu_seconds=0.1,
        )


def log(*values: float, metric: str = "latency", suffix: str = "") -> str:
    """Return the log of a program that printed these values."""
    lines = [f"kseries {metric} {value}{suffix}" for value in values]
    return "\n".join([*lines, f"kseries end {len(values)}", ""])
