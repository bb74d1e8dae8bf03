"""A plan with fewer samples: a first look in seconds instead of minutes."""

from __future__ import annotations

import dataclasses

from harness.measure.model import Case, Plan

FLOOR = 20  # enough for a median with its interval, and to see a gross change


def thinned(plan: Plan, share: float) -> Plan:
    """Return the plan with this share of its samples, at least FLOOR of them.

    A metric that is printed once a run stays so.  The note of each case that
    has fewer samples says it, and goes where the figures go.  Cases that are
    not for a first look are left out.
    """
    if share >= 1:
        return plan
    cases = tuple(_thin(case, share) for case in plan.cases if case.first_look)
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
