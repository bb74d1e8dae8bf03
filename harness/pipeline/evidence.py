"""Adding evidence to a run: selftests judged against the base, and figures."""

from __future__ import annotations

import datetime
import time
from collections.abc import Sequence

from harness.build.selftests import Install, build_selftests
from harness.build.tools import build_tools
from harness.core.context import Context
from harness.guest.allow import load_allow
from harness.guest.topology import Topology
from harness.kselftest.areas import read_own, read_upstream
from harness.kselftest.beside import beside
from harness.kselftest.campaign import (
    TOPOLOGY_4X2,
    CampaignRequest,
    CampaignResult,
    KernelPair,
    run_campaign,
)
from harness.kselftest.known import load_known
from harness.kselftest.plan import Plan, Selection, chosen_areas, make_plan
from harness.measure.campaign import measure, plans_of
from harness.measure.planner import Selection as Figures
from harness.measure.runner import MeasureResult
from harness.measure.thin import thinned
from harness.pipeline.prepare import Prepared
from harness.pipeline.run import RunFolder

# Two guests share two cores well while our tests run, which wait most of the time.
# Upstream's keep both cores busy from one guest: two of them took 2.7 times as long.
GUESTS_AT_ONCE = 2


def guests_for(plan: Plan) -> int:
    """Return how many guests are to run the plan side by side."""
    return GUESTS_AT_ONCE if all(test.own for test in plan.tests) else 1


def install_tests(context: Context, prepared: Prepared, selection: Selection) -> Install:
    """Build the selected selftests and return where they are installed.

    They are built from the base if there is one, but for the areas that ask
    for the patched tree.
    """
    paths = context.paths
    kernel = prepared.base or prepared.patched
    assert kernel is not None
    chosen = chosen_areas((*read_own(paths.repo), *read_upstream()), selection)
    return build_selftests(
        paths,
        kernel,
        own=paths.repo / "selftests",
        areas=[area.name for area in chosen if area.own and area.tree == "base"],
        patched=prepared.patched,
        patched_areas=[area.name for area in chosen if area.own and area.tree == "patched"],
        upstream=list(dict.fromkeys(area.collection for area in chosen if not area.own)),
        ui=context.ui,
    )


def plan_tests(run: RunFolder, prepared: Prepared, selection: Selection) -> Plan:
    """Build the selected selftests (see install_tests), and return what to run."""
    paths = run.context.paths
    areas = (*read_own(paths.repo), *read_upstream())
    start = time.monotonic()
    install = install_tests(run.context, prepared, selection)
    run.stage("build selftests", start)
    plan = make_plan(areas, install, selection)
    if not selection.scheduler:
        return plan
    assert prepared.patched is not None
    name = selection.scheduler
    folder = build_tools(paths, prepared.patched, "sched_ext", [name], run.context.ui)
    return beside(plan, name, folder / name)


def add_tests(
    run: RunFolder,
    prepared: Prepared,
    selection: Selection,
    *,
    repeat: int = 1,
    topology: Topology = TOPOLOGY_4X2,
    append: Sequence[str] = (),
) -> CampaignResult:
    """Build and run the selected selftests and add what came of them to the run.

    prepared: the kernels, both or one; upstream's tests are built once, from
    the base where there is one.
    """
    paths, ui = run.context.paths, run.context.ui
    today = datetime.datetime.now(datetime.UTC).date()
    plan = plan_tests(run, prepared, selection)
    request = CampaignRequest(
        plan=plan,
        repeat=repeat,
        topology=topology,
        known=load_known(today=today),
        allow=load_allow(today=today),
        append=tuple(append),
        guests=guests_for(plan),
    )
    start = time.monotonic()
    result = run_campaign(
        request,
        paths=paths,
        ui=ui,
        kernels=KernelPair(
            prepared.base.image if prepared.base else None,
            prepared.patched.image if prepared.patched else None,
        ),
        folder=run.path,
    )
    run.stage("selftests", start)
    run.tests += result.tests
    run.splats += result.splats
    run.skips += result.skips
    run.boots[:0] = result.boots.values()  # the first guest of a report is a test guest
    run.topology = topology
    return result


def add_figures(
    run: RunFolder,
    prepared: Prepared,
    *,
    topics: Sequence[str] = (),
    boots: int | None = None,
    seed: int = 1,
    share: float = 1.0,
) -> MeasureResult:
    """Run the benchmarks of the topics (all without one) and add them to the run.

    boots: per kernel arm; None leaves it to each plan; share: of the plans'
    samples, for a first look.
    """
    plans = [thinned(plan, share) for plan in plans_of(run.context.paths, topics)]
    return measure(prepared, run, plans, Figures(boots=boots, seed=seed))
