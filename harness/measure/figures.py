"""From samples to figures: statistics, roles, and whether targets are met."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from harness.guest.job import Lane
from harness.measure.model import KERNELS, Case, Metric, Plan
from harness.measure.protocol import Sample
from harness.measure.stats import summarize
from harness.measure.target import Figure, Target, resolve
from harness.results.model import Benchmark


@dataclass(frozen=True)
class Key:
    """Which figure samples belong to."""

    feature: str
    case: str
    lane: Lane
    arm: str
    metric: str
    x: float | None


@dataclass
class Samples:
    """All samples so far: per figure, one list per boot."""

    boots: dict[Key, list[tuple[float, ...]]] = field(default_factory=dict)

    def add(self, key: Key, values: tuple[float, ...]) -> None:
        """Add one boot's samples of one figure."""
        self.boots.setdefault(key, []).append(values)


def sort_samples(
    case: Case, kernel: str, arm: str, x: float | None, samples: Sequence[Sample]
) -> tuple[dict[tuple[str, str, float | None], tuple[float, ...]], str]:
    """Return one run's samples by (metric, arm, x), and what is wrong with them.

    kernel: of the boot; arm, x: what was started.  The samples must be the
    planned ones, no fewer, no more, and of no other name.
    """
    found: dict[tuple[str, str, float | None], list[float]] = {}
    for sample in samples:
        key = (sample.metric, sample.arm or arm, sample.x if sample.x is not None else x)
        found.setdefault(key, []).append(sample.value)
    inline = [rival for rival in case.rivals if rival.inline]
    # Only the kernel arm's own run prints for inline rivals, in every kernel.
    arms = [arm, *(rival.name for rival in inline if arm in KERNELS)]
    positions: tuple[float | None, ...] = (x,)
    if case.sweep is not None and case.sweeps_itself:
        positions = case.sweep.values
    for metric in case.metrics:
        for one in arms:
            for position in positions:
                count = len(found.get((metric.name, one, position), ()))
                planned = case.planned(metric, one)
                if count != planned:
                    where = "" if position is None else f" at {position:g}"
                    return {}, (
                        f"{planned} samples of {metric.name} planned for {one}{where}, {count} came"
                    )
    known = {
        (metric.name, one, position)
        for metric in case.metrics
        for one in arms
        for position in positions
    }
    for metric_name, one, position in found:
        if (metric_name, one, position) not in known:
            where = "" if position is None else f" x={position:g}"
            return {}, f"samples that the plan does not have: {metric_name} arm={one}{where}"
    elsewhere = {rival.name for rival in inline if rival.kernel != kernel}
    return {key: tuple(values) for key, values in found.items() if key[1] not in elsewhere}, ""


def figures(
    plans: Iterable[Plan],
    samples: Samples,
    *,
    margins: Mapping[tuple[str, str, Lane], float],
    planned: Mapping[tuple[str, str, Lane, str], int],
    seed: int,
) -> tuple[Benchmark, ...]:
    """Return the figures of all samples, in the order of the plans.

    margins: calibrated margin of (feature, case, lane); planned: how many
    boots (feature, case, lane, arm) should have given samples.
    """
    benchmarks: list[Benchmark] = []
    for plan in plans:
        for case in plan.cases:
            for lane in case.lanes:
                made = _case_figures(plan, case, lane, samples, planned=planned, seed=seed)
                margin = margins.get((plan.feature, case.name, lane), 0.0)
                benchmarks += _judge(case, made, margin)
    return tuple(benchmarks)


def _case_figures(
    plan: Plan,
    case: Case,
    lane: Lane,
    samples: Samples,
    *,
    planned: Mapping[tuple[str, str, Lane, str], int],
    seed: int,
) -> list[Benchmark]:
    roles = {kernel: kernel for kernel in case.kernels}
    roles.update({rival.name: "rival" for rival in case.rivals})
    positions: tuple[float | None, ...] = case.sweep.values if case.sweep else (None,)
    made = []
    for metric in case.metrics:
        for arm, role in roles.items():
            for x in positions:
                boots = samples.boots.get(
                    Key(plan.feature, case.name, lane, arm, metric.name, x), []
                )
                if not boots:
                    continue
                asked = planned.get((plan.feature, case.name, lane, arm), len(boots))
                notes = [case.note] if case.note else []
                if len(boots) < asked:
                    notes.append(f"{len(boots)} of {asked} boots gave samples")
                for statistic in metric.statistics:
                    summary = summarize(statistic, boots, seed)
                    made.append(
                        Benchmark(
                            feature=plan.feature,
                            name=case.name,
                            lane=str(lane),
                            arm=arm,
                            metric=metric.name,
                            unit=metric.unit,
                            better=metric.better,
                            statistic=summary.statistic,
                            value=summary.value,
                            low=summary.low,
                            high=summary.high,
                            n=summary.n,
                            samples=tuple(boots),
                            role=role,
                            note="; ".join([*notes, summary.note] if summary.note else notes),
                            x=x,
                            x_label=case.sweep.label if case.sweep else "",
                        )
                    )
    return _without_doubles(made)


def _without_doubles(made: list[Benchmark]) -> list[Benchmark]:
    """Drop a second maximum: asked for, and in the place of a percentile."""
    seen: set[tuple[object, ...]] = set()
    kept = []
    for item in made:
        key = (item.arm, item.metric, item.statistic, item.x)
        if key not in seen:
            seen.add(key)
            kept.append(item)
    return kept


def _judge(case: Case, made: list[Benchmark], margin: float) -> list[Benchmark]:
    """Fill target and target_met of the figures that carry a verdict."""
    for metric in case.metrics:
        for target in metric.targets:
            _judge_one(metric, target, case, made, margin)
    return made


def _judge_one(
    metric: Metric, target: Target, case: Case, made: list[Benchmark], margin: float
) -> None:
    """Fill in one target's verdict, in the figure that it names first."""
    first = target.figures[0]
    statistics = {other.name: other.statistics for other in case.metrics}
    name, statistic = resolve(first, metric.name, statistics)
    for index, item in enumerate(made):
        if (item.arm, item.metric) != (first.arm, name):
            continue
        if item.statistic != statistic and f"max for {statistic}," not in item.note:
            continue
        if first.x is not None and item.x != first.x:
            continue
        made[index] = dataclasses.replace(
            item,
            target=target.text,
            target_met=_met(metric, target, case, made, x=item.x, margin=margin),
        )


def _met(
    metric: Metric,
    target: Target,
    case: Case,
    made: Sequence[Benchmark],
    *,
    x: float | None,
    margin: float,
) -> bool:
    """Return whether a target holds at x; a figure that is missing fails it."""
    statistics = {other.name: other.statistics for other in case.metrics}

    def lookup(figure: Figure) -> tuple[float, str]:
        name, statistic = resolve(figure, metric.name, statistics)
        position = figure.x if figure.x is not None else x
        for item in made:
            if (item.arm, item.metric, item.x) != (figure.arm, name, position):
                continue
            # The maximum stands in for a percentile that had too few samples.
            if item.statistic == statistic or f"max for {statistic}," in item.note:
                return item.value, item.unit
        raise LookupError(figure.text)

    try:
        return target.met(lookup, margin)
    except LookupError:
        return False
