"""The stations of `kseries check`, in the order in which a failure explains the next."""

from __future__ import annotations

import re
import sys
import tempfile
import time
import xml.etree.ElementTree as ET
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path

from harness.build.arms import Builder
from harness.build.workshop import KernelOf
from harness.check.station import Station, Tally
from harness.check.trials import load_trials, run_trial
from harness.core.context import Context
from harness.core.errors import Exit
from harness.core.proc import run
from harness.kselftest.plan import Selection
from harness.pipeline.evidence import add_figures, add_tests
from harness.pipeline.prepare import Prepared, prepare
from harness.pipeline.run import RunFolder, start_run
from harness.results.outputs import write_outputs
from harness.results.summary import cases_of

FIRST_LOOK = 0.1  # share of the plans' samples: gates, not the docs' figures
GUEST = ("git", "xz", "compiler", "btf", "qemu", "guest")
UPSTREAM = ("cgroup", "seccomp", "sched_ext", "mm", "ftrace", "x86")


@dataclass
class Bench:
    """What the stations hand on: the kernels and the folder of this run."""

    context: Context
    boots: int
    prepared: Prepared | None = None
    folder: RunFolder | None = None
    commands: list[str] = field(default_factory=list)

    def run_folder(self) -> RunFolder:
        """Return the run's folder, made at its first use."""
        if self.folder is None:
            self.folder = start_run(self.context)
        return self.folder

    def kernels(self) -> Prepared:
        """Return the built kernels."""
        if self.prepared is None:
            self.prepared = prepare(self.context)
            self.run_folder().prepared = self.prepared
        return self.prepared

    def workshop(self) -> AbstractContextManager[KernelOf]:
        """Return the place where kernels of other trees are made for one boot each."""
        return Builder(self.context.paths, self.context.ui, self.kernels().source).workshop()


def fast_stations(bench: Bench) -> list[Station]:
    """Return what `check` shows."""
    return [
        Station(
            "form", "style, types, and the form of patches and fragments", (), 40, _form(bench)
        ),
        Station("unit", "the harness without guests or compilers", (), 60, _unit(bench)),
        Station("source", "the pinned kernel, verified and patched", ("git",), 120, _tree(bench)),
        Station(
            "patches",
            "checkpatch, messages, licences, maintainers, shared numbers: kseries lint",
            ("git", "compiler"),
            150,
            _patches(bench),
            after=("source",),
        ),
        Station(
            "kernels",
            "base and patched build, and the series adds no warning",
            ("git", "xz", "compiler", "btf"),
            900,
            _kernels(bench),
            after=("source",),
        ),
        Station(
            "selftests",
            "our selftests, base against patched",
            GUEST,
            240,
            _own(bench),
            after=("kernels",),
        ),
        Station(
            "figures",
            "one boot an arm of every benchmark, its targets",
            GUEST,
            240,
            _figures(bench),
            after=("kernels",),
        ),
        Station(
            "upstream",
            "the kernel's own selftests, as on the base",
            (*GUEST, "upstream"),
            1200,
            _upstream(bench),
            after=("kernels",),
        ),
        Station(
            "trials",
            "what must go wrong does, with its exit status",
            GUEST,
            sum(t.estimate for t in load_trials() if t.lane == "fast"),
            trials(bench, "fast"),
            after=("kernels",),
        ),
        Station("report", "the report of this run", (), 20, _report(bench), after=("kernels",)),
    ]


def _form(bench: Bench) -> Callable[[Tally], None]:
    python = [sys.executable, "-m"]
    commands = {
        "ruff check": [*python, "ruff", "check", "."],
        "ruff format": [*python, "ruff", "format", "--check", "."],
        "mypy --strict": [*python, "mypy"],
        "kseries lint": [*python, "harness", "lint"],
    }

    def work(tally: Tally) -> None:
        for name, argv in commands.items():
            done = run(argv, cwd=bench.context.paths.repo, check=False)
            if done.ok:
                tally.good()
            else:
                said = "\n".join((done.stdout + done.stderr).strip().splitlines()[-20:])
                tally.bad(f"{name}: {said}", Exit.LINT)

    return work


def _unit(bench: Bench) -> Callable[[Tally], None]:
    def work(tally: Tally) -> None:
        _pytest(bench, tally, "not real_tarball")

    return work


def _pytest(bench: Bench, tally: Tally, marker: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        xml = Path(folder) / "unit.xml"
        done = run(
            [sys.executable, "-m", "pytest", "-m", marker, f"--junit-xml={xml}"],
            cwd=bench.context.paths.repo,
            check=False,
        )
        count_junit(xml, done.stdout, tally)


def count_junit(xml: Path, said: str, tally: Tally) -> None:
    """Add pytest's cases to the tally; no file, or no case at all, is a failure."""
    if not xml.exists():
        tally.bad("pytest wrote no results:\n" + "\n".join(said.splitlines()[-20:]))
        return
    for case in ET.parse(xml).getroot().iter("testcase"):
        bad = [child for child in case if child.tag in {"failure", "error"}]
        if bad:
            text = (bad[0].text or bad[0].get("message") or "").strip().splitlines()
            tally.bad(f"{case.get('classname')}::{case.get('name')}: {text[-1] if text else ''}")
        elif case.find("skipped") is not None:
            tally.skipped += 1
        else:
            tally.good()
    if not tally.passed:
        tally.bad("no unit test ran")


def _tree(bench: Bench) -> Callable[[Tally], None]:
    def work(tally: Tally) -> None:
        from harness.build.arms import prepare as prepare_tree

        context = bench.context
        _, applied = prepare_tree(context.paths, context.ui)
        tally.good(1 + len(applied.patches))  # the pin, and each patch that applies
        # Every refusal of the pin on real input, and the lossless quilt.
        _pytest(bench, tally, "real_tarball")

    return work


def _patches(bench: Bench) -> Callable[[Tally], None]:
    """Lint what `form` could not while the kernel was not in the cache."""

    def work(tally: Tally) -> None:
        from harness.lint.run import lint

        done = lint(bench.context.paths, bench.context.ui)
        for finding in done.findings:
            tally.bad(f"{finding.where}: {finding.what} [{finding.rule}]", Exit.LINT)
        for text in done.skipped:
            tally.bad(f"not checked: {text}", Exit.LINT)
        if not done.findings and not done.skipped:
            tally.good(len(done.series.entries))
        tally.note = f"{done.excused} findings excused in patches/exceptions.toml"

    return work


def _kernels(bench: Bench) -> Callable[[Tally], None]:
    def work(tally: Tally) -> None:
        tally.good(len(bench.kernels().kernels))

    return work


def _own(bench: Bench) -> Callable[[Tally], None]:
    def work(tally: Tally) -> None:
        _tests(bench, tally, upstream=())

    return work


def _upstream(bench: Bench) -> Callable[[Tally], None]:
    def work(tally: Tally) -> None:
        _tests(bench, tally, upstream=UPSTREAM)

    return work


def _tests(bench: Bench, tally: Tally, upstream: Sequence[str]) -> None:
    selection = Selection(upstream=tuple(upstream))
    outcome = add_tests(bench.run_folder(), bench.kernels(), selection)
    passed, failed, skipped = outcome.counts
    tally.good(passed)
    tally.skipped += skipped
    for case in cases_of_failed(outcome.tests):
        tally.bad(case, outcome.code or Exit.TEST)
    if failed == 0 and outcome.code:
        reasons = [s.title for s in outcome.splats if not s.allowed] or list(outcome.problems)
        tally.bad(f"every case passed, but: {'; '.join(reasons) or 'a guest died'}", outcome.code)
    if not passed:
        tally.bad("no selftest passed: nothing was shown")


def cases_of_failed(tests: Sequence[object]) -> list[str]:
    """Return a line for each case whose verdict fails the run."""
    lines: dict[str, None] = {}
    for result in tests:
        verdict = getattr(result, "verdict", "ok")
        if verdict not in {"ok", "fixed", "flaky"}:
            suite, name = getattr(result, "suite", ""), getattr(result, "name", "")
            lines[f"{suite} {name}: {verdict} {getattr(result, 'reason', '')}".strip()] = None
    return list(lines)


def _figures(bench: Bench) -> Callable[[Tally], None]:
    def work(tally: Tally) -> None:
        outcome = add_figures(
            bench.run_folder(), bench.kernels(), boots=bench.boots, share=FIRST_LOOK
        )
        for result in outcome.tests:
            if result.status in {"pass", "xfail"}:
                tally.good()
            elif result.status == "skip":
                tally.skipped += 1
            else:
                tally.bad(f"{result.suite} {result.name} ({result.arm}): {result.reason}")
        for skip in outcome.skips:
            tally.note = f"{skip.what}: {skip.reason}"

    return work


def trials(bench: Bench, lane: str) -> Callable[[Tally], None]:
    """Return the work of running the trials of a lane."""

    def work(tally: Tally) -> None:
        for trial in load_trials():
            if trial.lane != lane:
                continue
            start = time.monotonic()
            result = run_trial(trial, bench.context.paths)
            took = time.monotonic() - start
            bench.context.ui.line(
                f"   {trial.name}: {result.problem or 'as it must'} ({took:.0f} s)"
            )
            if result.problem:
                tally.bad(result.problem)
            else:
                tally.good()

    return work


def _report(bench: Bench) -> Callable[[Tally], None]:
    def work(tally: Tally) -> None:
        folder = bench.run_folder()
        results = folder.finish(commands=bench.commands)
        files = write_outputs(results, folder.path)
        body = files["html"].read_text(encoding="utf-8")
        outside = re.findall(r'(?:src|href)="(?:https?:)?//[^"]+"', body)
        if outside:
            tally.bad(f"the report is not self-contained: {outside[0]}")
        elif len(cases_of(results)) == 0 or not results.benchmarks:
            tally.bad("the report shows no test or no figure")
        else:
            tally.good()
        tally.note = str(files["html"].relative_to(bench.context.paths.out))

    return work
