"""Less than the whole of a plan: fewer samples, or fewer cases and rivals."""

from __future__ import annotations

import dataclasses

from harness.measure.model import LEVELS, Case, Plan

FLOOR = 20  # enough for a median with its interval, and to see a gross change


def at_level(plan: Plan, level: str) -> Plan:
    """Return the plan with what a run of this level has, of LEVELS."""
    most = LEVELS.index(level)
    cases = tuple(_case_at(case, most) for case in plan.cases if LEVELS.index(case.level) <= most)
    return dataclasses.replace(plan, cases=cases)


def _case_at(case: Case, most: int) -> Case:
    """Leave out rivals, and targets about a rival that is left out."""
    rivals = tuple(rival for rival in case.rivals if LEVELS.index(rival.level) <= most)
    arms = {*case.kernels, *(rival.name for rival in rivals)}
    metrics = tuple(
        dataclasses.replace(
            metric,
            targets=tuple(t for t in metric.targets if {f.arm for f in t.figures} <= arms),
        )
        for metric in case.metrics
    )
    return dataclasses.replace(case, rivals=rivals, metrics=metrics)


def thinned(plan: Plan, share: float) -> Plan:
    """Return the plan with this share of its samples, at least FLOOR of them.

    A metric that is printed once a run stays so.  The note of each case that
    has fewer samples says it, and goes where the figures go.  Cases and rivals
    that are not for a first look are left out.
    """
    if share >= 1:
        return plan
    cases = tuple(_thin(case, share) for case in at_level(plan, "look").cases)
    return dataclasses.replace(plan, cases=cases)


def _thin(case: Case, share: float) -> Case:
    samples = min(case.samples, max(FLOOR, round(case.samples * share)))
    if samples == case.samples:
        return case
    said = f"A first look: {samples} samples a boot; the plan has {case.samples}."
    return dataclasses.replace(
        case,
        samples=samples,
        rivals=tuple(
            dataclasses.replace(rival, samples=min(rival.samples, samples))
            if rival.samples
            else rival
            for rival in case.rivals
        ),
        metrics=tuple(
            dataclasses.replace(metric, samples=min(metric.samples, samples))
            for metric in case.metrics
        ),
        note=f"{case.note} {said}".strip(),
    )
