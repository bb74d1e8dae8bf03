"""Every prefix of the series in a guest: it boots, and passes the selftests that exist by then.

A selftest area exists from the last patch on whose claim it shows, as
patches/ledger.toml states: before that patch its cases would wait for what is
not there yet.  An area that no patch names is left to the whole series.
"""

from __future__ import annotations

import dataclasses
import datetime
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from harness.build.each import Visit
from harness.check.stations import cases_of_failed
from harness.core.context import Context
from harness.core.errors import Exit, KseriesError
from harness.core.record import Record, hash_files, load_record, save_record
from harness.guest.allow import load_allow
from harness.guest.job import Command, Fate
from harness.guest.runjob import RunJob
from harness.kselftest.areas import OWN, Entry, Expect, read_own
from harness.kselftest.campaign import (
    CampaignRequest,
    CampaignResult,
    KernelPair,
    run_campaign,
)
from harness.kselftest.judge import GUESTS
from harness.kselftest.known import load_known
from harness.kselftest.plan import Plan, PlannedTest, Selection
from harness.lint.ledger import Row, read_ledger
from harness.pipeline.evidence import plan_tests
from harness.pipeline.prepare import Prepared
from harness.pipeline.run import RunFolder
from harness.series.series import load_series

_STAGE = "each-boot"
# What each prefix does first, and those do alone that come before every area.
BOOTS = PlannedTest(
    suite="kernel:boots",
    area="kernel",
    entry=Entry("boots", "true", plan=False, base=Expect("pass")),
    own=True,
    command=Command("kernel:boots", "true"),
)


@dataclass(frozen=True)
class PrefixBoot:
    """What one prefix did in its guests.

    areas: selftests that existed; passed, failed, skipped: their cases; code:
    as of the exit status; problems: a line for each thing that went wrong;
    console: of the boot that tells of it; kept: known from an earlier run.
    """

    patch: str
    areas: tuple[str, ...]
    passed: int
    failed: int
    skipped: int
    code: Exit = Exit.OK
    problems: tuple[str, ...] = ()
    console: str = ""
    kept: bool = False

    @property
    def line(self) -> str:
        """What it did, in a few words."""
        cases = f"{self.passed} passed, {self.failed} failed, {self.skipped} skipped"
        if not self.areas:
            tests = "no selftest exists yet"
        else:
            tests = f"selftests {', '.join(self.areas)}: {cases}"
        if self.code:
            return f"exit {int(self.code)}; {tests}"
        return f"boots; {tests}{' (kept)' if self.kept else ''}"


def whole_from(rows: Sequence[Row], areas: Sequence[str]) -> dict[str, int]:
    """Return, of each area, the number (from 1) of the patch with which it exists.

    rows: the ledger, a row for each patch of the series.
    """
    found = {}
    for area in areas:
        numbers = [
            number
            for number, row in enumerate(rows, 1)
            if any(name.partition(":")[0] == area for name in row.cells["selftest"].entries)
        ]
        found[area] = max(numbers, default=len(rows))
    return found


class PrefixTests:
    """Boots each prefix that it is shown (build_each's visit), and keeps what passed.

    folder: gives the run's folder, which is made when the first guest needs it;
    run_job: how guests are run (the real one unless a test says otherwise).
    """

    def __init__(
        self,
        context: Context,
        folder: Callable[[], RunFolder],
        *,
        config_set: str = "prod",
        run_job: RunJob | None = None,
    ) -> None:
        self.context = context
        self.folder = folder
        self.config_set = config_set
        self.run_job = run_job
        self.boots: list[PrefixBoot] = []
        repo = context.paths.repo
        rows = read_ledger(repo, load_series(context.paths))
        self.whole = whole_from(rows, [area.name for area in read_own(repo)])

    def __call__(self, stop: Visit) -> None:
        """Boot one prefix, or find that it has passed in an earlier run."""
        areas = tuple(area for area, number in self.whole.items() if number <= stop.number)
        inputs = self._inputs(stop, areas)
        done = self._kept(stop.patch.file, areas, inputs)
        if done is None:
            done = self._run(stop, areas)
            if done.code is Exit.OK:  # what failed runs again
                outputs = {"passed": done.passed, "skipped": done.skipped}
                save_record(self.context.paths.records, Record(_STAGE, inputs, outputs))
        self.boots.append(done)
        ui = self.context.ui
        ui.line(f"{done.patch}: {done.line}")
        for problem in done.problems:
            ui.warn(f"{done.patch}: {problem}")

    def _inputs(self, stop: Visit, areas: Sequence[str]) -> dict[str, str]:
        """Return what a prefix's result depends on, by hash.

        Mutants do not count: they are no part of a test.
        """
        root = self.context.paths.repo / "selftests"
        files = [path.relative_to(root) for area in areas for path in (root / area).rglob("*")]
        names = [str(f) for f in files if (root / f).is_file() and "mutants" not in f.parts]
        return {
            **stop.inputs,
            "base": stop.applied.base_tree,
            "areas": " ".join(areas),
            "selftests": hash_files(root, names),
        }

    def _kept(
        self, patch: str, areas: tuple[str, ...], inputs: Mapping[str, str]
    ) -> PrefixBoot | None:
        record = load_record(self.context.paths.records, _STAGE, inputs)
        if record is None:
            return None
        out = record.outputs
        return PrefixBoot(patch, areas, out["passed"], 0, out["skipped"], kept=True)

    def _run(self, stop: Visit, areas: tuple[str, ...]) -> PrefixBoot:
        kernel = stop.kernel()
        run = self.folder()
        prepared = Prepared(
            stop.source.pin, stop.source, stop.applied, self.config_set, stop.base, kernel
        )
        plan = Plan((BOOTS,))
        if areas:
            try:
                own = plan_tests(run, prepared, Selection(tuple(f"{OWN}/{a}" for a in areas)))
            except KseriesError as error:
                error.what += f"\n    on the series up to {stop.patch.file}"
                error.details["patches"] = [stop.patch.file]
                raise
            plan = dataclasses.replace(own, tests=(BOOTS, *own.tests))
        today = datetime.datetime.now(datetime.UTC).date()
        slug = re.sub(r"[^a-z0-9]+", "-", stop.patch.file.removesuffix(".patch"))
        result = run_campaign(
            CampaignRequest(plan, known=load_known(today=today), allow=load_allow(today=today)),
            paths=self.context.paths,
            ui=self.context.ui,
            kernels=KernelPair(None, kernel.image),
            folder=run.path / "prefixes" / f"{stop.number:02}-{slug}",
            run_job=self.run_job,
        )
        return summed_up(stop.patch.file, areas, result)


def summed_up(patch: str, areas: tuple[str, ...], result: CampaignResult) -> PrefixBoot:
    """Return what a prefix's campaign comes to."""
    cases = [test for test in result.tests if test.suite not in {GUESTS, BOOTS.suite}]
    passed, failed, skipped = dataclasses.replace(result, tests=tuple(cases)).counts
    splats = [f"{s.boot}: {s.title}" for s in result.splats if not s.allowed]
    problems = tuple(dict.fromkeys([*cases_of_failed(result.tests), *splats]))
    console = str(_console(result)) if result.code else ""
    return PrefixBoot(patch, areas, passed, failed, skipped, result.code, problems, console)


def _console(result: CampaignResult) -> Path:
    """Return the console that tells most: of a guest that died, complained, or just ran."""
    boots = list(result.boots.values())
    dead = [boot for boot in boots if boot.fate is not Fate.OK]
    loud = [boot for boot in boots if any(not splat.allowed for splat in boot.splats)]
    return (dead or loud or boots)[0].console
