"""What a benchmark program printed: samples, a skip, or an incomplete log.

The lines are described in benchmarks/include/kseries.h.  Everything else in a
log is for people.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

_LINE = re.compile(r"kseries (\S+)(?: (.*))?")
_OPTION = re.compile(r"(arm|x)=(\S+)")


@dataclass(frozen=True)
class Sample:
    """One value.  arm: empty for the arm that was started; x: None outside a sweep."""

    metric: str
    value: float
    arm: str = ""
    x: float | None = None


@dataclass(frozen=True)
class Output:
    """A program's log as data.

    skip: the reason, if the program said it cannot run here; problem: one
    sentence if the log cannot be trusted (no end, wrong count, a bad line).
    """

    samples: tuple[Sample, ...]
    skip: str = ""
    problem: str = ""


def parse_output(text: str) -> Output:
    """Return the samples in a log."""
    samples: list[Sample] = []
    end: int | None = None
    problem = ""
    for number, raw in enumerate(text.splitlines(), 1):
        match = _LINE.fullmatch(raw.strip())
        if not match or problem:
            continue
        word, rest = match[1], (match[2] or "").strip()
        if word == "skip":
            return Output((), skip=rest or "the program gave no reason")
        sample = _sample(word, rest.split())
        if end is not None:
            problem = f"line {number} comes after the end: {raw!r}"
        elif word == "end" and rest.isdigit():
            end = int(rest)
        elif word == "end" or sample is None:
            problem = f"line {number} is not understood: {raw!r}"
        else:
            samples.append(sample)
    if not problem and end is None:
        problem = f"no `kseries end` after {len(samples)} samples"
    elif not problem and end != len(samples):
        problem = f"`kseries end {end}`, but {len(samples)} samples came"
    return Output(tuple(samples), problem=problem)


def _sample(metric: str, words: list[str]) -> Sample | None:
    if not words:
        return None
    value = _number(words[0])
    if value is None:
        return None
    arm, x = "", None
    for word in words[1:]:
        option = _OPTION.fullmatch(word)
        if not option:
            return None
        if option[1] == "arm":
            arm = option[2]
        else:
            x = _number(option[2])
            if x is None:
                return None
    return Sample(metric, value, arm, x)


def _number(text: str) -> float | None:
    """Return a finite number, or None: nan in a figure would hide itself."""
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) else None
