"""A measuring campaign: plans found, programs built, boots run, results stored.

What `bench`, `demo`, `check` and `ci` call with prepared kernels and the
folder of their run.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

from harness.build.kernel import Kernel
from harness.build.programs import build_benchmark
from harness.build.tools import build_tools
from harness.core.errors import Exit, KseriesError
from harness.core.paths import Paths
from harness.core.record import hash_json
from harness.core.ui import Ui
from harness.guest.allow import load_allow
from harness.guest.topology import parse_topology
from harness.measure.model import KERNELS, Plan
from harness.measure.plan import find_plans
from harness.measure.planner import Selection, tools_of
from harness.measure.runner import MeasureResult, run_plans
from harness.pipeline.prepare import Prepared
from harness.pipeline.run import RunFolder

CALIBRATE = "calibrate"


def plans_of(paths: Paths, topics: Sequence[str] = ()) -> list[Plan]:
    """Return the plans of these topics (all without one) of the repository."""
    return find_plans(paths.repo / "benchmarks", topics)


def kernels_of(plans: Sequence[Plan], selection: Selection) -> tuple[str, ...]:
    """Return the kernel arms that the selected cases boot, base first.

    A selection that leaves no case is an error.
    """
    wanted = {
        kernel
        for plan in plans
        for case in plan.cases
        if (not selection.case or case.name == selection.case)
        and set(case.lanes) & set(selection.lanes)
        for kernel in case.kernels
        if kernel in selection.kernels
    }
    if not wanted:
        raise KseriesError(
            Exit.USAGE,
            "no case of these plans fits what was asked for",
            where=", ".join(plan.topic for plan in plans),
            hint="leave out --lane or --case, or name another topic",
        )
    return tuple(kernel for kernel in KERNELS if kernel in wanted)


def check_patches(plans: Sequence[Plan], applied: Sequence[str]) -> None:
    """Refuse a plan about patches that the series does not have.

    applied: file names of the series, relative to patches/.
    """
    for plan in plans:
        for name in plan.patches:
            if name not in applied:
                raise KseriesError(
                    Exit.USAGE,
                    f"the plan belongs to {name}, which is not in the series",
                    where=str(plan.file),
                    hint="correct `patches` in the plan, or add the patch to patches/series",
                )


def build_programs(
    paths: Paths, plans: Sequence[Plan], kernels: Mapping[str, Kernel], ui: Ui
) -> dict[str, Path]:
    """Return the folders of programs as plan_boots() wants them.

    kernels: by arm; the topics' own programs are built beside the first, the
    tools that a plan names from the source of the kernel that it names, if a
    command asks for them.
    """
    first = next(iter(kernels.values()))
    folders = {plan.topic: plan.file.parent for plan in plans}
    folders[CALIBRATE] = paths.repo / "benchmarks" / CALIBRATE
    programs = {
        topic: build_benchmark(paths, folder, first, ui) for topic, folder in folders.items()
    }
    for plan in plans:
        for kernel in {tool.kernel for tool in plan.tools} & set(kernels):
            if any(case.wants("tools", kernel) for case in plan.cases):
                programs[tools_of(plan.topic, kernel)] = _tools(paths, plan, kernel, kernels, ui)
    return programs


def _tools(paths: Paths, plan: Plan, kernel: str, kernels: Mapping[str, Kernel], ui: Ui) -> Path:
    """Return one folder with all tools of a plan that belong to a kernel."""
    built = [
        build_tools(paths, kernels[kernel], tool.folder, tool.programs, ui)
        for tool in plan.tools
        if tool.kernel == kernel
    ]
    if len(built) == 1:
        return built[0]
    together = paths.builds / f"tools-{hash_json([str(folder) for folder in built])}"
    together.mkdir(parents=True, exist_ok=True)
    for folder in built:
        for program in folder.iterdir():
            link = together / program.name
            link.unlink(missing_ok=True)
            link.symlink_to(program)
    return together


def measure(
    prepared: Prepared, run: RunFolder, plans: Sequence[Plan], selection: Selection
) -> MeasureResult:
    """Run the plans on the prepared kernels and add what came of them to the run."""
    paths, ui = run.context.paths, run.context.ui
    check_patches(plans, [patch.file for patch in prepared.applied.patches])
    start = time.monotonic()
    programs = build_programs(paths, plans, prepared.kernels, ui)
    run.stage("build benchmarks", start)
    start = time.monotonic()
    result = run_plans(
        plans,
        prepared.kernels,
        programs=programs,
        selection=selection,
        paths=paths,
        ui=ui,
        folder=run.path / "bench",
        allow=load_allow(today=datetime.now(UTC).date()),
    )
    run.stage("benchmarks", start)
    run.benchmarks += result.benchmarks
    run.calibrations += result.calibrations
    run.skips += result.skips
    run.splats += result.splats
    run.tests += result.tests
    run.boots += [note.result for note in result.boots]
    if run.topology is None and result.boots:
        run.topology = parse_topology(result.boots[0].topology)
    return result
