"""The slow stations of `kseries ci --full`: debug kernels, repeats, controls, the clean room."""

from __future__ import annotations

import dataclasses
import re
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from harness.build.arms import prepare as verified_series
from harness.build.each import build_each
from harness.build.hot import TABLE, compare, read_table
from harness.build.kernel import Kernel
from harness.check.mailing import mailing
from harness.check.mutants import controls
from harness.check.prefixes import PrefixTests
from harness.check.station import Station, Tally
from harness.check.stations import GUEST, Bench, cases_of_failed, trials
from harness.check.trials import copied_repository, load_trials, run_in_copy
from harness.core.errors import Exit
from harness.guest.job import Command, Job, Machine
from harness.guest.session import run_job
from harness.guest.topology import parse_topology
from harness.kselftest.plan import Selection
from harness.pipeline.evidence import add_figures, add_tests
from harness.pipeline.prepare import prepare
from harness.pipeline.run import start_run
from harness.results.outputs import write_outputs
from harness.series.mutants import areas_with_mutants, load_mutants, mutated_tree, read_mutant
from harness.series.series import load_series
from harness.series.tree import apply_texts

# One case of test_freezer fails on the base with this.
REGRESSION = Path(__file__).parents[1] / "trials/_regression/child-of-frozen-runs.patch"
# Patterns and areas of what a scheduler could break.
BESIDE = ((("test_cpu*",), ("cgroup",)), ((), ("rseq", "sched")))
UPSTREAM_FULL = ("cgroup", "seccomp", "sched_ext", "mm", "ftrace", "x86", "rseq", "sched")


def slow_stations(bench: Bench) -> list[Station]:
    """Return what `ci --full` shows beyond check."""
    slow_trials = sum(t.estimate for t in load_trials() if t.lane == "full")
    return [
        _of_series(
            "each",
            "every prefix builds, boots, warns of nothing; each topic alone",
            3600,
            _each(bench),
        ),
        _of_series(
            "each-boot",
            "every prefix boots and passes the selftests that exist by then",
            5400,
            _each_boot(bench),
        ),
        _of_series("off", "symbols off: hot objects are the base's", 600, _off(bench)),
        _of_series("kasan", "our selftests under KASAN", 1200, _debug(bench, "kasan")),
        _of_series("lockdep", "our selftests under lockdep", 1200, _debug(bench, "lockdep")),
        _of_series("repeat", "our selftests ten times", 900, _repeat(bench, 10)),
        *_controls(bench),
        _of_series("rule", "the regression rule: ten times green, once red", 2400, _rule(bench)),
        _of_series("figures-3", "every benchmark, three boots an arm", 900, _figures(bench)),
        _of_series("upstream-full", "all upstream areas", 7200, _upstream(bench)),
        _of_series("beside", "upstream's scheduler tests beside scx_agent", 2700, _beside(bench)),
        Station(
            "trials-full",
            "the trials that build kernels",
            GUEST,
            slow_trials,
            trials(bench, "full"),
        ),
        Station(
            "mails",
            "each topic as mails gives the quilt's trees, also after an edit",
            ("git", "compiler"),
            240,
            mailing(bench),
        ),
        Station("topic", "a new topic without an edit in harness/", GUEST, 900, _topic(bench)),
        Station(
            "clean-room", "./kseries demo in a bare Debian", ("debootstrap",), 2700, _clean(bench)
        ),
    ]


def _controls(bench: Bench) -> list[Station]:
    """Return a station for each area with mutants: some have many, and each is a kernel."""
    selftests = bench.context.paths.repo / "selftests"
    return [
        _of_series(
            f"controls-{area}",
            f"each mutant fails its case of {area}",
            300 * len(load_mutants(selftests, area)),
            controls(bench, area),
        )
        for area in areas_with_mutants(selftests)
    ]


def _of_series(name: str, why: str, estimate: float, work: Callable[[Tally], None]) -> Station:
    needs = (*GUEST, "upstream")
    return Station(name, why, needs, estimate, work, of_series=True)


def _count(tally: Tally, outcome: object) -> None:
    passed, failed, skipped = outcome.counts  # type: ignore[attr-defined]
    code = outcome.code  # type: ignore[attr-defined]
    tally.good(passed)
    tally.skipped += skipped
    for line in cases_of_failed(outcome.tests):  # type: ignore[attr-defined]
        tally.bad(line, code or Exit.TEST)
    if code and not failed:
        tally.bad("every case passed, but the console or a guest did not", code)


def _each(bench: Bench) -> Callable[[Tally], None]:
    """Build and boot every prefix of the series, and the base with each topic alone."""

    def work(tally: Tally) -> None:
        context = bench.context
        prefixes = build_each(
            context.paths,
            context.ui,
            visit=lambda stop: _boots(bench, stop.kernel(), stop.patch.file, tally),
        )
        for prefix in prefixes:
            if prefix.fresh:
                tally.bad(f"{prefix.patch} adds warnings: {prefix.fresh[0]}", Exit.BUILD)
            else:
                tally.good()
        source = bench.kernels().source
        series = load_series(context.paths)
        with bench.workshop() as kernel_of:
            for topic in dict.fromkeys(entry.topic for entry in series.entries):
                own = [(e.file, series.text(e.file)) for e in series.entries if e.topic == topic]
                alone = apply_texts(context.paths, source, own, context.ui)
                _boots(bench, kernel_of(alone.top_tree), f"{topic}/ alone", tally)

    return work


def _each_boot(bench: Bench) -> Callable[[Tally], None]:
    """Run the selftests of every prefix of the series: `kseries build --each --boot`."""

    def work(tally: Tally) -> None:
        context = bench.context
        tests = PrefixTests(context, bench.run_folder)
        build_each(context.paths, context.ui, visit=tests)  # `each` judges the warnings
        for boot in tests.boots:
            tally.good(boot.passed + (boot.code is Exit.OK))
            tally.skipped += boot.skipped
            for problem in boot.problems if boot.code else ():
                tally.bad(f"{boot.patch}: {problem} ({boot.console})", boot.code)

    return work


def _boots(bench: Bench, kernel: Kernel, name: str, tally: Tally) -> None:
    context = bench.context
    folder = bench.run_folder().path / "boots" / re.sub(r"[^a-z0-9]+", "-", name)
    machine = Machine(kernel.image, parse_topology("4x2"))
    done = run_job(
        machine, Job((Command("true", "true"),)), folder, paths=context.paths, ui=context.ui
    )
    if done.fate == "ok" and done.results[0].status == 0 and not done.splats:
        tally.good()
    else:
        tally.bad(f"{name}: {done.cause or 'the kernel complained'}", Exit.DIED)


def _off(bench: Bench) -> Callable[[Tally], None]:
    """Compare hot objects of base and series while the series' symbols are off."""

    def work(tally: Tally) -> None:
        paths, ui = bench.context.paths, bench.context.ui
        source, applied = verified_series(paths, ui)
        table = read_table(paths.repo / "kconfig")
        missing = load_series(paths).symbols() - set(table)
        for name in sorted(missing):
            tally.bad(f"kconfig/{TABLE} does not say which objects CONFIG_{name} must not change")
        if not table:
            return
        trees = (applied.base_tree, applied.top_tree)
        found = compare(paths, source.git, trees, table, ui)
        for name, told in found.items():
            if told:
                tally.bad(f"{name}: {len(told)} functions are not the base's: {told[0]}")
            else:
                tally.good()

    return work


def _debug(bench: Bench, set_name: str) -> Callable[[Tally], None]:
    def work(tally: Tally) -> None:
        folder = start_run(bench.context)
        # The base has shown what the tests do there; here only our code is watched.
        prepared = prepare(bench.context, set_name=set_name, want=("patched",))
        folder.prepared = prepared
        _count(tally, add_tests(folder, prepared, Selection(full=True)))
        results = folder.finish(
            commands=[f"./kseries test --full --config {set_name} --arm patched"]
        )
        write_outputs(results, folder.path)
        tally.note = f"config {results.run.config}, {folder.id}"

    return work


def _repeat(bench: Bench, times: int) -> Callable[[Tally], None]:
    def work(tally: Tally) -> None:
        folder = bench.run_folder()
        _count(tally, add_tests(folder, bench.kernels(), Selection(), repeat=times))

    return work


def _rule(bench: Bench) -> Callable[[Tally], None]:
    """Show the regression rule from both sides.

    Ten campaigns on two equal kernels must stay green: the base plays both
    arms.  One on a kernel with a case broken on purpose must be red.
    """

    def work(tally: Tally) -> None:
        kernels = bench.kernels()
        selection = Selection(("test_core", "test_freezer"), ("cgroup",))
        same = dataclasses.replace(kernels, patched=kernels.base)
        for number in range(10):
            outcome = add_tests(start_run(bench.context), same, selection)
            if outcome.code:
                lines = cases_of_failed(outcome.tests)
                tally.bad(f"run {number + 1} of 10 is red with nothing changed: {lines}")
            else:
                tally.good()
        broken = read_mutant(REGRESSION, "cgroup")
        with bench.workshop() as kernel_of:
            tree = mutated_tree(kernels.source.git, kernels.applied.base_tree, broken)
            worse = dataclasses.replace(kernels, patched=kernel_of(tree))
            outcome = add_tests(start_run(bench.context), worse, selection)
        found = {row.name for row in outcome.tests if row.verdict == "regression"}
        if found >= set(broken.fails):
            tally.good()
        else:
            tally.bad(f"{broken.name} was not found: {', '.join(sorted(found)) or 'all green'}")
        tally.note = f"red where it must be: {', '.join(sorted(found))}"

    return work


def _figures(bench: Bench) -> Callable[[Tally], None]:
    def work(tally: Tally) -> None:
        folder = start_run(bench.context)
        folder.prepared = bench.kernels()
        outcome = add_figures(folder, bench.kernels(), boots=3)
        for result in outcome.tests:
            if result.status == "pass":
                tally.good()
            else:
                tally.bad(f"{result.suite} {result.name} ({result.arm}): {result.reason}")
        write_outputs(folder.finish(commands=["./kseries bench --runs 3"]), folder.path)
        tally.note = folder.id

    return work


def _upstream(bench: Bench) -> Callable[[Tally], None]:
    def work(tally: Tally) -> None:
        folder = start_run(bench.context)
        folder.prepared = bench.kernels()
        selection = Selection(upstream=UPSTREAM_FULL, full=True)
        _count(tally, add_tests(folder, bench.kernels(), selection))
        results = folder.finish(commands=["./kseries test --full --upstream ..."])
        write_outputs(results, folder.path)
        tally.note = folder.id

    return work


def _beside(bench: Bench) -> Callable[[Tally], None]:
    def work(tally: Tally) -> None:
        folder = start_run(bench.context)
        folder.prepared = bench.kernels()
        for patterns, areas in BESIDE:
            selection = Selection(patterns, areas, full=True, scheduler="scx_agent")
            _count(tally, add_tests(folder, bench.kernels(), selection))
        results = folder.finish(commands=["./kseries test --full --upstream ... --with scx_agent"])
        write_outputs(results, folder.path)
        tally.note = folder.id

    return work


def _topic(bench: Bench) -> Callable[[Tally], None]:
    """Add a made-up topic: folders and lines alone must give rows everywhere."""

    def work(tally: Tally) -> None:
        overlay = Path(__file__).parents[1] / "trials" / "_topic"
        with copied_repository(bench.context.paths, overlay) as copy:
            series = copy / "patches/series"
            with series.open("a", encoding="utf-8") as out:
                out.write((overlay / "series.append").read_text(encoding="utf-8"))
            out_folder = copy.parent / "out"
            status, said = run_in_copy(copy, ["demo"], out_folder, 3600)
            report = out_folder / "latest" / "report.html"
            body = report.read_text(encoding="utf-8") if report.exists() else ""
            for needle in ("agent/made_up", "made-up", "README: Name the made-up topic"):
                if needle in body:
                    tally.good()
                else:
                    tally.bad(f"the report does not show {needle!r} (exit {status})")
            if status:
                tally.bad(f"demo ended with {status}: " + "\n".join(said.splitlines()[-10:]))

    return work


def _clean(bench: Bench) -> Callable[[Tally], None]:
    """Run the demo in a bare Debian, where nothing was installed by hand."""

    def work(tally: Tally) -> None:
        from harness.check.cleanroom import demo_in_clean_room

        with tempfile.TemporaryDirectory(prefix="kseries-room-", dir="/var/tmp") as folder:
            start = time.monotonic()
            problem, log = demo_in_clean_room(bench.context.paths, Path(folder))
            keep = bench.run_folder().path / "clean-room.log"
            keep.write_text(log, encoding="utf-8")
            tally.note = (
                f"{time.monotonic() - start:.0f} s, {keep.relative_to(bench.context.paths.out)}"
            )
            if problem:
                tally.bad(problem)
            else:
                tally.good()

    return work
