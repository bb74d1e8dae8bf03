"""One run's folder: out/<run-id>/ with everything that its report is made from."""

from __future__ import annotations

import os
import platform
import shlex
import shutil
import sys
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from harness.core.context import Context
from harness.core.proc import LOG
from harness.guest.job import BootResult
from harness.guest.topology import Topology
from harness.pipeline.prepare import Prepared
from harness.results.model import (
    Benchmark,
    Calibration,
    Results,
    RunInfo,
    Skip,
    SplatRecord,
    TestResult,
)
from harness.results.store import new_run, set_latest


@dataclass
class RunFolder:
    """A run while it goes on; finish() turns it into stored results."""

    context: Context
    id: str
    path: Path
    started: float
    when: str
    prepared: Prepared | None = None
    topology: Topology | None = None
    boots: list[BootResult] = field(default_factory=list)
    tests: list[TestResult] = field(default_factory=list)
    benchmarks: list[Benchmark] = field(default_factory=list)
    calibrations: list[Calibration] = field(default_factory=list)
    splats: list[SplatRecord] = field(default_factory=list)
    skips: list[Skip] = field(default_factory=list)
    stages: dict[str, float] = field(default_factory=dict)

    def stage(self, name: str, start: float) -> None:
        """Note how long a stage took, from a time.monotonic() at its start."""
        self.stages[name] = round(self.stages.get(name, 0.0) + time.monotonic() - start, 2)

    def finish(self, *, commands: Sequence[str]) -> Results:
        """Write results.json and point out/latest here."""
        assert self.prepared is not None
        results = Results(
            run=self._info(self.prepared, commands),
            tests=tuple(self.tests),
            benchmarks=tuple(self.benchmarks),
            calibrations=tuple(self.calibrations),
            splats=tuple(self.splats),
            skips=tuple(self.skips),
        )
        results.save(self.path / "results.json")
        kernel = next(iter(self.prepared.kernels.values()), None)
        if kernel is not None:
            shutil.copyfile(kernel.config, self.path / "config")
        set_latest(self.context.paths, self.path)
        return results

    def _info(self, prepared: Prepared, commands: Sequence[str]) -> RunInfo:
        boot = self.boots[0] if self.boots else None
        kernel = next(iter(prepared.kernels.values()), None)
        applied = prepared.applied
        return RunInfo(
            id=self.id,
            started=self.when,
            seconds=round(time.monotonic() - self.started, 1),
            command=shlex.join(["kseries", *sys.argv[1:]]),
            accel=boot.accel if boot else "",
            qemu=boot.qemu if boot else "",
            cpu=boot.cpu if boot else "",
            line=boot.line if boot else "",
            topology=self.topology.as_json() if self.topology else {},
            pin=prepared.pin.version,
            base_tree=applied.base_tree,
            patched_tree=applied.top_tree,
            base_commit=applied.base_commit,
            patches=tuple({"file": p.file, "subject": p.subject} for p in applied.patches),
            config=f"{prepared.set_name} {kernel.config_hash}" if kernel else prepared.set_name,
            toolchain=dict(kernel.toolchain) if kernel else {},
            host=host_facts(),
            commands=tuple(commands),
            stages={**prepared.seconds, **self.stages},
        )


def start_run(context: Context) -> RunFolder:
    """Make the folder of a new run and log its commands there."""
    now = datetime.now(UTC)
    path = new_run(context.paths, now)
    LOG.path = path / "commands.log"
    when = now.isoformat(timespec="seconds")
    return RunFolder(context, path.name, path, time.monotonic(), when)


def host_facts() -> dict[str, str]:
    """Return what a reader must know of the host: never its name."""
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 2**30
    return {
        "system": _os_name(),
        "kernel": platform.release(),
        "cpu": _cpu_model(),
        "cores": str(len(os.sched_getaffinity(0))),
        "memory": f"{memory:.0f} GiB",
        "python": platform.python_version(),
    }


def _first(path: str, keys: Iterable[str], separator: str) -> str:
    try:
        text = Path(path).read_text(encoding="utf-8")
    except OSError:
        return ""
    for line in text.splitlines():
        key, _, value = line.partition(separator)
        if key.strip() in keys:
            return value.strip().strip('"')
    return ""


def _os_name() -> str:
    return _first("/etc/os-release", ["PRETTY_NAME"], "=") or platform.system()


def _cpu_model() -> str:
    return _first("/proc/cpuinfo", ["model name"], ":") or platform.machine()
