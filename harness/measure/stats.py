"""Statistics of samples: percentiles, and intervals over boots.

Definitions, the same everywhere in results:

- The samples of all boots are pooled, and the statistic is taken of the pool.
  sum and count are of one boot: their median over boots is taken.
- p50, p90, p95, p99, p999: linear interpolation between order statistics
  (numpy's "linear", R's type 7).  A percentile p needs 3/(1-p) samples in the
  pool (6 for p50, 300 for p99); with fewer the maximum is printed in its
  place and named max.
- The interval is a 95 % percentile bootstrap over boots: whole boots are drawn
  with replacement and their statistic taken as above.  Boots are the unit
  that repeats; samples within a boot share its luck.  With two or three
  boots it is little more than the range of what single boots gave.
- With one boot its samples are drawn instead, and the figure's note says so;
  a single sample has no interval (low = value = high).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

STATISTICS = ("p50", "p90", "p95", "p99", "p999", "max", "min", "mean", "sum", "count")

RESAMPLES = 2000
ONE_BOOT = "one boot: the interval is over its samples"
ONE_SAMPLE = "one sample: no interval"


@dataclass(frozen=True)
class Summary:
    """A figure: which statistic was taken, its value and its 95 % interval.

    statistic: as asked, or "max" where the samples do not carry the
    percentile; n: samples of all boots; note: what a reader must know.
    """

    statistic: str
    value: float
    low: float
    high: float
    n: int
    note: str


def percentile_share(statistic: str) -> Fraction | None:
    """Return p of a percentile's name (p99: 99/100, p999: 999/1000), or None."""
    if not statistic.startswith("p"):
        return None
    return Fraction(int(statistic[1:]), 10 ** (len(statistic) - 1))


def samples_needed(statistic: str) -> int:
    """Return how many samples, of all boots together, the statistic needs."""
    share = percentile_share(statistic)
    return 1 if share is None else math.ceil(3 / (1 - share))


def usable(statistic: str, n: int) -> str:
    """Return the statistic that n samples carry: itself, or max."""
    return statistic if n >= samples_needed(statistic) else "max"


def compute(statistic: str, boots: Sequence[Sequence[float]]) -> float:
    """Return one statistic of the samples of these boots (at least one sample)."""
    if statistic in {"sum", "count"}:
        each = [math.fsum(boot) if statistic == "sum" else len(boot) for boot in boots]
        return float(np.median(each))
    pool = np.concatenate([np.asarray(boot, dtype=float) for boot in boots])
    return float(_along(statistic, pool[None, :])[0])


def _along(statistic: str, rows: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the statistic of each row."""
    share = percentile_share(statistic)
    if share is not None:
        return np.asarray(np.quantile(rows, float(share), axis=1))
    if statistic == "max":
        return np.asarray(rows.max(axis=1))
    if statistic == "min":
        return np.asarray(rows.min(axis=1))
    if statistic == "mean":
        return np.asarray(rows.mean(axis=1))
    if statistic == "sum":
        return np.asarray(rows.sum(axis=1))
    if statistic == "count":
        return np.full(rows.shape[0], float(rows.shape[1]))
    raise ValueError(f"no statistic {statistic!r}")


def summarize(statistic: str, boots: Sequence[Sequence[float]], seed: int) -> Summary:
    """Return the figure of these boots' samples (no boot may be empty).

    seed: of the bootstrap; equal input gives equal intervals.
    """
    if not boots or not all(boots):
        raise ValueError("a figure needs at least one sample in each boot")
    n = sum(len(boot) for boot in boots)
    taken = usable(statistic, n)
    notes = []
    if taken != statistic:
        notes.append(f"max for {statistic}, which needs {samples_needed(statistic)} samples")
    value = compute(taken, boots)
    if n == 1:
        return Summary(taken, value, value, value, n, "; ".join([*notes, ONE_SAMPLE]))
    rng = np.random.default_rng(seed)
    if len(boots) == 1:
        notes.append(ONE_BOOT)
        values = np.asarray(boots[0], dtype=float)
        drawn = _along(taken, rng.choice(values, size=(RESAMPLES, n)))
    else:
        # Few boots have few distinct draws: each is computed once.
        draws = np.sort(rng.integers(len(boots), size=(RESAMPLES, len(boots))), axis=1)
        seen: dict[tuple[int, ...], float] = {}
        for draw in draws:
            key = tuple(int(index) for index in draw)
            if key not in seen:
                seen[key] = compute(taken, [boots[index] for index in key])
        drawn = np.array([seen[tuple(int(index) for index in draw)] for draw in draws])
    low, high = (float(end) for end in np.quantile(drawn, [0.025, 0.975]))
    # Interpolation and rounding must not put the value outside of its interval.
    return Summary(taken, value, min(low, value), max(high, value), n, "; ".join(notes))
